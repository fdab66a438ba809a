/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory running out at every single allocation of an operation on a file:
 * it answers -ENOMEM, the file is what it was, the filesystem goes on.
 * Linked so that malloc and the like come through here.
 */
#include <fcntl.h>
#include <linux/falloc.h>

#include "file/attr.h"
#include "file/cut.h"
#include "file/file.h"
#include "file/iomap.h"
#include "file/staging.h"
#include "fault.h"
#include "object_fixture.h"
#include "quietdev.h"

#define BYTES	(16u << 20)
#define BS	4096u
#define SIZE	(40u * BS + 123)	/* of the file before the operation */

static struct quietdev dev;

/* --------------------------------------------------------------- operations */

static char buf[64 * BS] __attribute__((aligned(OWFS_IO_ALIGN)));
static char was[64 * BS];

static int op_write(struct owfs_inode *inode)
{
	ssize_t n;

	memset(buf, 'n', 20 * BS);
	n = owfs_file_write(inode, buf, 20 * BS - 50, 3 * BS + 7, false, OWFS_SET_KILL_SUIDGID);
	return n < 0 ? (int)n : 0;
}

static int op_append(struct owfs_inode *inode)
{
	ssize_t n = owfs_file_write(inode, buf, 9, 0, true, false);

	return n < 0 ? (int)n : 0;
}

static int op_shrink(struct owfs_inode *inode)
{
	return owfs_file_truncate(inode, 5 * BS + 99);
}

static int op_grow(struct owfs_inode *inode)
{
	return owfs_file_truncate(inode, 50 * BS + 99);
}

static int op_punch(struct owfs_inode *inode)
{
	return owfs_file_fallocate(inode,
				   FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				   2 * BS + 1, 20 * BS);
}

static int op_prealloc(struct owfs_inode *inode)
{
	return owfs_file_fallocate(inode, 0, 0, 60 * BS);
}

/* A write that fails over one that is in flight, on other blocks. */
static int op_overlap(struct owfs_inode *inode)
{
	struct owfs_iomap map;
	int ret = owfs_iomap_begin_write(inode, 4, 8, &map);

	if (ret)
		return ret;
	ret = owfs_iomap_begin_write(inode, 6, 3, &map);
	if (!ret)
		while ((ret = owfs_iomap_ioend(inode, 6 * BS, 3 * BS, -EIO,
					       NULL)) == -ENOMEM)
			;
	while (owfs_iomap_ioend(inode, 4 * BS, 8 * BS, -EIO, NULL) == -ENOMEM)
		;
	return ret;
}

/* ------------------------------------------------------------------ scenario */

static struct fx fx;

/* A file with holes, single blocks, unwritten ones, and a doomed range. */
static struct owfs_inode *make_file(void)
{
	struct owfs_inode *inode;
	loff_t off;

	fx = (struct fx){ .seed = 3, .bd = &dev.bd, .cut_extents = 2 };
	fx_start(&fx, BYTES, BS);
	inode = fx_file(&fx);
	memset(buf, 'a', BS);
	for (off = 0; off < 60; off += 2)
		assert_int_equal(owfs_file_write(inode, buf, BS, off * BS, false,
						 false), BS);
	assert_int_equal(owfs_file_truncate(inode, 30 * BS), 0);
	assert_true(owfs_inode_has_intents(inode));
	assert_int_equal(owfs_file_fallocate(inode, 0, 9 * BS, 3 * BS), 0);
	assert_int_equal(owfs_file_truncate(inode, SIZE), 0);
	return inode;
}

static void read_file(struct owfs_inode *inode, char *to)
{
	assert_int_equal(owfs_file_read(inode, to, 64 * BS, 0),
			 owfs_file_size(inode));
}

/* With the @nth allocation failing.  False: it takes no more than that. */
static bool once(int (*op)(struct owfs_inode *inode), unsigned long nth)
{
	struct owfs_inode *inode = make_file();
	struct owfs_attr attr = inode->i_attr;
	bool failed;
	int ret;

	read_file(inode, was);
	attr.atime = inode->i_attr.atime;
	fault_malloc(nth, 1);
	ret = op(inode);
	failed = fault_malloc_hit();
	fault_malloc(0, 0);
	if (ret) {
		assert_true(ret == -ENOMEM || ret == -EIO);
		read_file(inode, buf);
		attr.atime = inode->i_attr.atime;
		/* preallocation may have come some way */
		if (op != op_prealloc)
			assert_memory_equal(&attr, &inode->i_attr, sizeof(attr));
		assert_int_equal(inode->i_attr.size, attr.size);
		assert_memory_equal(was, buf, attr.size);
	}
	assert_int_equal(owfs_fs_writable(fx.fs), 0);
	assert_null(inode->i_staging);
	fx_extents(inode);
	fx_check(&fx);
	assert_int_equal(op(inode), 0);
	fx_extents(inode);
	owfs_iput(inode);
	fx_unmount(&fx);
	return failed;
}

static void every(int (*op)(struct owfs_inode *inode), unsigned long least)
{
	unsigned long nth = 1;

	while (once(op, nth))
		nth++;
	assert_true(nth > least);
}

static void test_writing_without_memory_changes_nothing(void **state)
{
	(void)state;
	every(op_write, 3);
	every(op_append, 2);
}

static void test_cutting_without_memory_changes_nothing(void **state)
{
	(void)state;
	every(op_shrink, 1);
	every(op_grow, 0);
	every(op_punch, 1);
}

static void test_allocating_without_memory_keeps_the_contents(void **state)
{
	(void)state;
	every(op_prealloc, 0);
}

static void test_writes_in_flight_survive_lack_of_memory(void **state)
{
	(void)state;
	every(op_overlap, 5);
}

int main(void)
{
	struct emubd *ram = emubd_create(BYTES);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_writing_without_memory_changes_nothing),
		cmocka_unit_test(test_cutting_without_memory_changes_nothing),
		cmocka_unit_test(test_allocating_without_memory_keeps_the_contents),
		cmocka_unit_test(test_writes_in_flight_survive_lack_of_memory),
	};
	int ret;

	quietdev_init(&dev, ram);
	ret = cmocka_run_group_tests(tests, NULL, NULL);
	emubd_destroy(ram);
	return ret;
}
