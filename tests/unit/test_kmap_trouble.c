/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kernel writes by mappings that it was told, when something fails or
 * comes in between: nobody else's blocks, and nobody else's bytes.
 */
#include "file/cut.h"
#include "file/file.h"
#include "file/kmap.h"
#include "file/staging.h"
#include "file/wmap.h"
#include "object/extent.h"
#include "object_fixture.h"
#include "trans/commit.h"

#define BYTES	(64u << 20)
#define BS	4096u

static struct fx fx;

/* ------------------------------------------------- between look and deed */

static void (*between)(void);

int __real_owfs_commit_start_run(struct owfs_fs *fs);
int __wrap_owfs_commit_start_run(struct owfs_fs *fs);

int __wrap_owfs_commit_start_run(struct owfs_fs *fs)
{
	void (*now)(void) = between;

	between = NULL;
	if (now)
		now();
	return __real_owfs_commit_start_run(fs);
}

/* A node, or a bitmap, that cannot be read. */
static bool look_fails, prepare_fails;

int __real_owfs_extent_edit_look(struct owfs_extent_edit *ed, owfs_fileoff_t off,
				 owfs_fileoff_t end);
int __wrap_owfs_extent_edit_look(struct owfs_extent_edit *ed, owfs_fileoff_t off,
				 owfs_fileoff_t end);

int __wrap_owfs_extent_edit_look(struct owfs_extent_edit *ed, owfs_fileoff_t off,
				 owfs_fileoff_t end)
{
	return look_fails ? -EIO : __real_owfs_extent_edit_look(ed, off, end);
}

int __real_owfs_extent_edit_prepare(struct owfs_extent_edit *ed);
int __wrap_owfs_extent_edit_prepare(struct owfs_extent_edit *ed);

int __wrap_owfs_extent_edit_prepare(struct owfs_extent_edit *ed)
{
	return prepare_fails ? -EIO : __real_owfs_extent_edit_prepare(ed);
}

/* ----------------------------------------------------- the kernel's cache */

static owfs_fsblock_t writes_to;	/* of block 0, without asking; 0: it asks */

static int put(void *ctx, owfs_ino_t ino, const struct owfs_kmap *km)
{
	(void)ctx;
	(void)ino;
	if (km->write.off == 0 && km->write.type == OWFS_IOMAP_UNWRITTEN)
		writes_to = km->write.fsblock;
	return 0;
}

static void drop(void *ctx, owfs_ino_t ino, owfs_fileoff_t first,
		 owfs_fileoff_t end)
{
	(void)ctx;
	(void)ino;
	(void)end;
	if (first == 0)
		writes_to = 0;
}

static const struct owfs_kcache kcache = { NULL, put, drop, drop };

/* ---------------------------------------------------------------- fixture */

static struct owfs_inode *inode;

static int setup(void **state)
{
	(void)state;
	fx = (struct fx){ .seed = 5 };
	fx_start(&fx, BYTES, BS);
	fx.fs->fs_kernel_io = true;
	fx.fs->fs_kcache = &kcache;
	writes_to = 0;
	between = NULL;
	look_fails = prepare_fails = false;
	inode = fx_file(&fx);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	owfs_iput(inode);
	fx_done(&fx);
	return 0;
}

static int direct_begin(uint64_t pos, uint64_t count, struct owfs_kmap *km)
{
	return owfs_kmap_begin(inode, OWFS_KMAP_DIRECT, (loff_t)pos, count,
			       false, km);
}

static int direct_ioend(uint64_t pos, uint64_t count, int error)
{
	uint64_t size;

	return owfs_kmap_ioend(inode, OWFS_KMAP_IOEND_DIRECT, (loff_t)pos, count,
			       error, &size);
}

static void direct_end(uint64_t pos, uint64_t count, const struct owfs_kmap *km)
{
	owfs_kmap_end(inode, OWFS_KMAP_DIRECT, (loff_t)pos, count, 0,
		      km->write.fsblock);
}

static void written_directly(uint64_t pos, uint64_t count)
{
	struct owfs_kmap km;

	assert_int_equal(direct_begin(pos, count, &km), 0);
	assert_int_equal(direct_ioend(pos, count, 0), 0);
}

static struct owfs_iomap where(owfs_fileoff_t off)
{
	struct owfs_iomap map;

	assert_int_equal(owfs_iomap_read(inode, off, 1, &map), 0);
	return map;
}

static uint64_t staged(void)
{
	struct owfs_alloc_stat st;

	owfs_alloc_stat(fx.fs->fs_al, &st);
	return st.staged;
}

static struct owfs_kmap told;

static void dirty_and_write_back(void)
{
	struct owfs_kmap km;

	assert_int_equal(owfs_kmap_begin(inode, OWFS_KMAP_FAULT, 0, BS, false,
					 &km), 0);
	assert_int_equal(owfs_kmap_begin(inode, OWFS_KMAP_WRITEBACK, 0, BS,
					 false, &told), 0);
}

static int written_back(void)
{
	uint64_t size;

	return owfs_kmap_ioend(inode, OWFS_KMAP_IOEND_WRITEBACK, 0, BS, 0, &size);
}

/* --------------------------------------------------------- ioends that fail */

/* The kernel, who hears of an error, goes on writing there. */
static void test_a_failed_ioend_leaves_what_the_kernel_keeps(void **state)
{
	struct owfs_wstate st;
	owfs_fileoff_t until;
	struct owfs_kmap km;

	(void)state;
	written_directly(0, BS);
	assert_int_equal(owfs_kmap_begin(inode, OWFS_KMAP_WRITE, 1024, 512,
					 false, &km), 0);
	assert_true(km.retry && writes_to);
	prepare_fails = true;		/* its writeback asks nobody */
	assert_int_equal(written_back(), -EIO);
	prepare_fails = false;
	assert_int_equal(owfs_fs_writable(fx.fs), 0);
	owfs_wmap_find(inode, 0, &st, &until);
	assert_true(st.placed);
	assert_int_equal(st.fsblock, writes_to);
	assert_int_equal(staged(), 1);
	assert_int_equal(written_back(), 0);
	assert_int_equal(where(0).fsblock, writes_to);
	assert_int_equal(staged(), 0);
	fx_check(&fx);
}

/* Nobody can read a node: that is no word of the device. */
static void test_the_error_of_a_begin_is_not_the_devices(void **state)
{
	struct owfs_kmap km;

	(void)state;
	assert_int_equal(owfs_file_fallocate(inode, 0, 0, BS), 0);
	assert_int_equal(direct_begin(0, 4 * BS, &km), 0);
	assert_int_equal(km.write.len, 1);
	look_fails = true;
	assert_int_equal(direct_begin(BS, 3 * BS, &km), -EIO);
	look_fails = false;
	assert_int_equal(direct_ioend(0, BS, -EIO), 0);
	assert_int_equal(owfs_fs_writable(fx.fs), 0);
	/* the next one is */
	assert_int_equal(direct_begin(0, BS, &km), 0);
	assert_int_equal(direct_ioend(0, BS, -EIO), 0);
	assert_int_equal(owfs_fs_writable(fx.fs), -EROFS);
}

/* ----------------------------------------------- writes that come to nothing */

static void test_blocks_that_may_be_written_to_are_idle(void **state)
{
	struct owfs_kmap km;

	(void)state;
	assert_int_equal(direct_begin(0, 512 * BS, &km), 0);
	direct_end(0, km.write.len * BS, &km);
	assert_int_equal(staged(), km.write.len);
	assert_int_equal(direct_ioend(0, 0, -ENOSPC), 0);
	assert_int_equal(staged(), 0);
	fx_check(&fx);
}

static void test_of_two_writes_one_comes_to_nothing(void **state)
{
	struct owfs_kmap a, b;

	(void)state;
	assert_int_equal(direct_begin(0, BS, &a), 0);
	assert_int_equal(direct_begin(0, BS, &b), 0);
	direct_end(0, BS, &b);
	assert_int_equal(direct_ioend(0, 0, -EFAULT), 0);
	assert_int_equal(direct_ioend(0, BS, 0), 0);
	assert_int_equal(where(0).fsblock, a.write.fsblock);
	assert_int_equal(owfs_file_fsync(inode, false), 0);
	assert_int_equal(staged(), 0);
	fx_check(&fx);
}

/* The other one has arrived by then, and now it counts. */
static void test_of_two_writes_the_last_comes_to_nothing(void **state)
{
	struct owfs_kmap a, b;
	unsigned int older;

	(void)state;
	for (older = 0; older < 2; older++) {
		assert_int_equal(direct_begin(0, BS, &a), 0);
		assert_int_equal(direct_begin(0, BS, &b), 0);
		assert_int_equal(direct_ioend(0, BS, 0), 0);
		direct_end(0, BS, older ? &a : &b);
		assert_int_equal(where(0).type, OWFS_IOMAP_MAPPED);
		assert_int_equal(where(0).fsblock, older ? b.write.fsblock :
							   a.write.fsblock);
		assert_int_equal(staged(), 1);
		assert_int_equal(direct_ioend(0, 0, -EFAULT), 0);
		assert_int_equal(staged(), 0);
	}
	assert_int_equal(owfs_file_size(inode), BS);
	assert_int_equal(owfs_file_fsync(inode, false), 0);
	fx_check(&fx);
}

/* The tail of one, and a block that nobody begun. */
static void test_a_part_that_comes_to_nothing(void **state)
{
	struct owfs_kmap km;

	(void)state;
	assert_int_equal(direct_begin(0, 4 * BS, &km), 0);
	owfs_kmap_end(inode, OWFS_KMAP_DIRECT, 0, 4 * BS, BS + 1,
		      km.write.fsblock);
	owfs_kmap_end(inode, OWFS_KMAP_DIRECT, 0, BS, 0, km.write.fsblock + 9);
	assert_int_equal(direct_ioend(0, BS + 1, 0), 0);
	assert_int_equal(where(1).fsblock, km.write.fsblock + 1);
	assert_int_equal(where(2).type, OWFS_IOMAP_HOLE);
	assert_int_equal(owfs_file_size(inode), BS + 1);
	assert_int_equal(staged(), 0);
	fx_check(&fx);
}

/* -------------------------------------------------------- two ways to write */

/*
 * A direct write that has begun is not sent to the page cache: all that is left
 * of the bytes would go where the first of them belong.
 */
static void test_no_write_is_refused_half_way(void **state)
{
	struct owfs_kmap km, other;

	(void)state;
	assert_int_equal(owfs_file_fallocate(inode, 0, 0, BS), 0);
	assert_int_equal(direct_begin(0, 4 * BS + 512, &km), 0);
	assert_int_equal(km.write.len, 1);
	assert_int_equal(owfs_kmap_begin(inode, OWFS_KMAP_FAULT, 2 * BS, BS,
					 false, &other), 0);
	assert_int_equal(direct_begin(BS, 3 * BS + 512, &km), 0);
	assert_int_equal(direct_ioend(0, 4 * BS + 512, 0), 0);
	/* the same from the start is */
	assert_int_equal(direct_begin(BS, 3 * BS, &km), -ENOSYS);
	owfs_wmap_drop(inode, 0, UINT64_MAX);
	fx_check(&fx);
}

/* ... nor where the kernel's cache had the blocks in between, or all before. */
static void test_no_write_is_refused_behind_the_cache(void **state)
{
	struct owfs_kmap km, other;

	(void)state;
	assert_int_equal(owfs_file_fallocate(inode, 0, 0, BS), 0);
	assert_int_equal(direct_begin(0, 4 * BS, &km), 0);
	assert_int_equal(km.write.len, 1);
	assert_int_equal(owfs_kmap_begin(inode, OWFS_KMAP_FAULT, 3 * BS, BS,
					 false, &other), 0);
	assert_int_equal(direct_begin(2 * BS, 2 * BS, &km), 0);
	assert_int_equal(direct_ioend(0, 4 * BS, 0), 0);
	assert_int_equal(direct_begin(2 * BS, 2 * BS, &km), -ENOSYS);

	assert_int_equal(owfs_kmap_begin(inode, OWFS_KMAP_WRITE, 5 * BS + 512,
					 512, false, &km), 0);
	assert_true(km.retry);
	assert_int_equal(owfs_kmap_begin(inode, OWFS_KMAP_FAULT, 7 * BS, BS,
					 false, &other), 0);
	assert_int_equal(direct_begin(6 * BS, 2 * BS, &km), 0);
	assert_int_equal(direct_ioend(6 * BS, 2 * BS, 0), 0);
	owfs_wmap_drop(inode, 0, UINT64_MAX);
	fx_check(&fx);
}

/* Somebody has written the rest of its last block: that part is left out. */
static void test_a_write_ends_before_a_block_that_is_not_empty(void **state)
{
	struct owfs_kmap km, other;
	uint64_t size;

	(void)state;
	assert_int_equal(owfs_file_fallocate(inode, 0, 0, BS), 0);
	assert_int_equal(direct_begin(0, 2 * BS + 512, &km), 0);
	assert_int_equal(km.write.len, 1);
	assert_int_equal(owfs_kmap_begin(inode, OWFS_KMAP_FAULT, 2 * BS, BS,
					 false, &other), 0);
	assert_int_equal(owfs_kmap_begin(inode, OWFS_KMAP_WRITEBACK, 2 * BS, BS,
					 false, &other), 0);
	assert_int_equal(owfs_kmap_ioend(inode, OWFS_KMAP_IOEND_WRITEBACK,
					 2 * BS, BS, 0, &size), 0);
	assert_int_equal(direct_begin(BS, BS + 512, &km), 0);
	assert_int_equal(km.write.len, 1);
	assert_int_equal(direct_begin(2 * BS, 512, &km), -ENOTBLK);
	/* who comes with that part again takes the other way */
	assert_int_equal(direct_begin(2 * BS, 512, &km), -ENOSYS);
	assert_int_equal(direct_ioend(0, 2 * BS, 0), 0);
	fx_check(&fx);
}

static void test_preallocated_blocks_take_one_write_at_a_time(void **state)
{
	struct owfs_kmap km;

	(void)state;
	assert_int_equal(owfs_file_fallocate(inode, 0, 0, BS), 0);
	between = dirty_and_write_back;
	assert_int_equal(direct_begin(0, BS, &km), 0);
	assert_null(between);
	assert_int_not_equal(km.write.fsblock, told.write.fsblock);
	assert_int_equal(direct_ioend(0, BS, 0), 0);
	assert_int_equal(written_back(), 0);
	fx_check(&fx);
}

/* The kernel has zeroed the rest of the block, where there was nothing yet. */
static void test_a_sector_leaves_the_rest_of_its_block(void **state)
{
	static unsigned char page[BS] __attribute__((aligned(OWFS_IO_ALIGN)));
	struct owfs_kmap km;

	(void)state;
	written_directly(BS, BS);
	assert_int_equal(direct_begin(0, 512, &km), 0);
	dirty_and_write_back();
	memset(page, 'm', BS);
	emubd_poke(fx.e, page, BS, told.write.fsblock * BS);
	assert_int_equal(written_back(), 0);
	memset(page, 0, BS);
	memset(page, 'd', 512);
	emubd_poke(fx.e, page, BS, km.write.fsblock * BS);
	assert_int_equal(direct_ioend(0, 512, 0), 0);
	assert_int_equal(owfs_file_read(inode, page, BS, 0), BS);
	assert_int_equal(page[511], 'd');
	assert_int_equal(page[512], 'm');
	assert_int_equal(page[BS - 1], 'm');
	fx_check(&fx);
}

/* ------------------------------------------------------------------ swapping */

static void test_nothing_is_swapped_to_that_moves(void **state)
{
	struct owfs_kmap km;

	(void)state;
	written_directly(0, 4 * BS);
	assert_int_equal(direct_begin(2 * BS, BS, &km), 0);
	assert_int_equal(owfs_kmap_begin(inode, OWFS_KMAP_SWAP, 0, 4 * BS, false,
					 &km), -EBUSY);
	assert_int_equal(direct_ioend(2 * BS, BS, 0), 0);
	assert_int_equal(owfs_kmap_begin(inode, OWFS_KMAP_SWAP, 0, 4 * BS, false,
					 &km), 0);
	owfs_kmap_swapoff(inode);
	assert_int_equal(owfs_kmap_begin(inode, OWFS_KMAP_FAULT, 0, BS, false,
					 &km), 0);
	assert_int_equal(owfs_kmap_begin(inode, OWFS_KMAP_SWAP, 0, 4 * BS, false,
					 &km), -EBUSY);
	owfs_wmap_drop(inode, 0, UINT64_MAX);
	/* who was refused leaves nothing behind */
	assert_int_equal(owfs_file_truncate(inode, BS), 0);
	fx_check(&fx);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_a_failed_ioend_leaves_what_the_kernel_keeps),
		T(test_the_error_of_a_begin_is_not_the_devices),
		T(test_blocks_that_may_be_written_to_are_idle),
		T(test_of_two_writes_one_comes_to_nothing),
		T(test_of_two_writes_the_last_comes_to_nothing),
		T(test_a_part_that_comes_to_nothing),
		T(test_no_write_is_refused_half_way),
		T(test_no_write_is_refused_behind_the_cache),
		T(test_a_write_ends_before_a_block_that_is_not_empty),
		T(test_preallocated_blocks_take_one_write_at_a_time),
		T(test_a_sector_leaves_the_rest_of_its_block),
		T(test_nothing_is_swapped_to_that_moves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
