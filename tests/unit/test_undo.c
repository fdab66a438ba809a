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
	const struct undo_id id = { { 1, 2, 3 }, 4 };
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
	assert_int_equal(undo_open(path, &id, emubd_blkdev(e), bdp), 0);
	return e;
}

static int put(struct owfs_blkdev *bd, size_t len, loff_t pos)
{
	return owfs_blkdev_write(bd, other, len, pos);
}

static int restore(struct emubd *e, struct undo_report *r)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), ret;

	assert_true(fd >= 0);
	ret = undo_restore(fd, emubd_blkdev(e), r);
	close(fd);
	emubd_peek(e, after, BYTES, 0);
	return ret;
}

static void put_back(struct emubd *e, uint64_t left)
{
	struct undo_report r;

	assert_int_equal(restore(e, &r), 0);
	assert_int_equal(r.left, left);
	unlink(path);
}

static void test_an_unreadable_block_costs_no_other(void **state)
{
	struct owfs_blkdev *bd;
	struct emubd *e = make(&bd);

	(void)state;
	emubd_fault_range(e, EMUBD_READ, 5 * BLOCK, BLOCK, EIO);
	assert_int_equal(put(bd, 16 * BLOCK, 0), 0);
	emubd_fault(e, EMUBD_READ, 1, 0, EIO);
	put_back(e, BLOCK);
	/* what had stood there nobody knows, so it is left alone */
	memset(before + 5 * BLOCK, 0x55, BLOCK);
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
	assert_int_equal(undo_error(bd), 0);
	assert_int_equal(put(bd, 4 * BLOCK, 8 * BLOCK), -EIO);
	assert_int_equal(undo_error(bd), -EFBIG);
	put(bd, 512, 16 * BLOCK);
	setrlimit(RLIMIT_FSIZE, &any);
	put_back(e, 0);
	assert_memory_equal(after, before, BYTES);
	owfs_blkdev_close(bd);
	emubd_destroy(e);
}

/* The file of one device, on another of the same size: nothing is written. */
static void test_another_device_stays_as_it_is(void **state)
{
	struct emubd *other_e = emubd_create(BYTES);
	struct owfs_blkdev *bd;
	struct emubd *e = make(&bd);
	struct undo_report r;

	(void)state;
	assert_int_equal(put(bd, 4 * BLOCK, 0), 0);
	assert_int_equal(put(bd, 4 * BLOCK, 64 * BLOCK), 0);
	/* alike but for the last sector */
	emubd_poke(other_e, before, BYTES, 0);
	memcpy(before + 68 * BLOCK - 512, path, 10);
	emubd_poke(other_e, before + 68 * BLOCK - 512, 512, 68 * BLOCK - 512);
	assert_int_equal(restore(other_e, &r), -ESTALE);
	assert_int_equal(r.at, 68 * BLOCK - 512);
	assert_int_equal(r.id.uuid[2], 3);
	assert_int_equal(r.id.csum_seed, 4);
	assert_memory_equal(after, before, BYTES);
	unlink(path);
	owfs_blkdev_close(bd);
	emubd_destroy(e);
	emubd_destroy(other_e);
}

/* Whatever reached the device, sector by sector, and whatever a restore did. */
static void test_it_can_be_undone_wherever_it_was_cut(void **state)
{
	static unsigned char second[BYTES], cut[BYTES];
	const unsigned char *const versions[] = { before, other, second };
	struct owfs_blkdev *bd;
	struct emubd *e = make(&bd);
	unsigned int seed, at;

	(void)state;
	assert_int_equal(put(bd, 8 * BLOCK, 8 * BLOCK), 0);
	memset(second, 0xaa, sizeof(second));
	assert_int_equal(owfs_blkdev_write(bd, second, 4 * BLOCK, 10 * BLOCK), 0);
	for (seed = 0; seed < 50; seed++) {
		struct undo_report r;
		unsigned int x = seed;

		memcpy(cut, before, BYTES);
		for (at = 8 * BLOCK; at < 16 * BLOCK; at += 512) {
			bool twice = at >= 10 * BLOCK && at < 14 * BLOCK;

			x = x * 1103515245 + 12345;
			memcpy(cut + at, versions[(x >> 16) % (2 + twice)] + at,
			       512);
		}
		emubd_poke(e, cut, BYTES, 0);
		assert_int_equal(restore(e, &r), 0);
		assert_int_equal(r.writes, 2);
		assert_memory_equal(after, before, BYTES);
	}
	unlink(path);
	owfs_blkdev_close(bd);
	emubd_destroy(e);
}

/* Where nothing can be read it could be any device. */
static void test_what_shows_nothing_is_not_written(void **state)
{
	struct owfs_blkdev *bd;
	struct emubd *e = make(&bd);
	struct undo_report r;

	(void)state;
	assert_int_equal(put(bd, 4 * BLOCK, 0), 0);
	emubd_fault_range(e, EMUBD_READ, 0, 4 * BLOCK, EIO);
	assert_int_equal(restore(e, &r), -ESTALE);
	memcpy(before, other, 4 * BLOCK);
	emubd_fault(e, EMUBD_READ, 1, 0, EIO);
	emubd_peek(e, after, BYTES, 0);
	assert_memory_equal(after, before, BYTES);
	unlink(path);
	owfs_blkdev_close(bd);
	emubd_destroy(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_unreadable_block_costs_no_other),
		cmocka_unit_test(test_another_device_stays_as_it_is),
		cmocka_unit_test(test_it_can_be_undone_wherever_it_was_cut),
		cmocka_unit_test(test_what_shows_nothing_is_not_written),
		cmocka_unit_test(test_what_did_not_fit_leaves_nothing_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
