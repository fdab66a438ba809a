/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The layer that keeps what a repair overwrites: all that could be read is put
 * back, whatever could not be, and whatever did not fit into the file.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "emubd.h"
#include "undo.h"

#define BYTES	(1u << 20)
#define BLOCK	4096u

static unsigned char before[BYTES], after[BYTES], other[BYTES];
static char path[64];

/* A device of garbage, and one that shows the same and keeps what goes. */
static struct emubd *make(struct owfs_blkdev **bdp)
{
	struct emubd *e = emubd_create(BYTES);
	int fd;

	snprintf(path, sizeof(path), "/tmp/owfs-undo.XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
	unlink(path);
	emubd_garbage(e, 0, BYTES, 1);
	emubd_peek(e, before, BYTES, 0);
	memset(other, 0x55, sizeof(other));
	assert_int_equal(undo_open(path, emubd_blkdev(e), bdp), 0);
	return e;
}

static int put(struct owfs_blkdev *bd, size_t len, loff_t pos)
{
	return owfs_blkdev_write(bd, other, len, pos);
}

static void put_back(struct emubd *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint64_t n;

	assert_true(fd >= 0);
	assert_int_equal(undo_restore(fd, emubd_blkdev(e), &n), 0);
	close(fd);
	unlink(path);
	emubd_peek(e, after, BYTES, 0);
}

static void test_an_unreadable_block_costs_no_other(void **state)
{
	struct owfs_blkdev *bd;
	struct emubd *e = make(&bd);

	(void)state;
	emubd_fault_range(e, EMUBD_READ, 5 * BLOCK, BLOCK, EIO);
	assert_int_equal(put(bd, 16 * BLOCK, 0), 0);
	emubd_fault(e, EMUBD_READ, 1, 0, EIO);
	put_back(e);
	memset(before + 5 * BLOCK, 0, BLOCK);
	assert_memory_equal(after, before, BYTES);
	owfs_blkdev_close(bd);
	emubd_destroy(e);
}

/* A short record over the beginning of one for which there was no room. */
static void test_what_did_not_fit_leaves_nothing_behind(void **state)
{
	const struct rlimit small = { 2 * BLOCK + 100, RLIM_INFINITY };
	const struct rlimit any = { RLIM_INFINITY, RLIM_INFINITY };
	struct owfs_blkdev *bd;
	struct emubd *e = make(&bd);

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(put(bd, BLOCK, 0), 0);
	setrlimit(RLIMIT_FSIZE, &small);
	assert_int_equal(put(bd, 4 * BLOCK, 8 * BLOCK), -EFBIG);
	put(bd, 512, 16 * BLOCK);
	setrlimit(RLIMIT_FSIZE, &any);
	put_back(e);
	assert_memory_equal(after, before, BYTES);
	owfs_blkdev_close(bd);
	emubd_destroy(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_unreadable_block_costs_no_other),
		cmocka_unit_test(test_what_did_not_fit_leaves_nothing_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
