/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading, writing, cutting and preallocating files, one claim at a time. */
#include <fcntl.h>
#include <linux/falloc.h>
#include <unistd.h>

#include "file/attr.h"
#include "file/cut.h"
#include "file/file.h"
#include "file/iomap.h"
#include "object_fixture.h"

#define BYTES	(16u << 20)
#define BS	4096u
#define PUNCH	(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)

static struct fx fx;
static char *big;		/* 2 MiB */

static int setup(void **state)
{
	(void)state;
	fx = (struct fx){ .seed = 5 };
	fx_start(&fx, BYTES, BS);
	big = aligned_alloc(OWFS_IO_ALIGN, 2u << 20);
	return big ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	free(big);
	fx_done(&fx);
	return 0;
}

static void put(struct owfs_inode *inode, uint64_t pos, size_t len, char c)
{
	memset(big, c, len);
	assert_int_equal(owfs_file_write(inode, big, len, (loff_t)pos, false,
					 false), len);
}

/* [pos, pos + len) is all @c. */
static void assert_bytes(struct owfs_inode *inode, uint64_t pos, size_t len,
			 char c)
{
	size_t i;

	assert_int_equal(owfs_file_read(inode, big, len, (loff_t)pos), len);
	for (i = 0; i < len; i++)
		if (big[i] != c)
			fail_msg("byte %zu is %02x, not %02x", (size_t)pos + i,
				 (unsigned char)big[i], (unsigned char)c);
}

static struct owfs_inode *crash(struct owfs_inode *inode)
{
	owfs_ino_t ino = inode->i_ino;

	owfs_iput(inode);
	fx_abandon(&fx);
	fx_open(&fx);
	return fx_iget(&fx, ino);
}

static void fallocate_ok(struct owfs_inode *inode, int mode, uint64_t pos,
			 uint64_t len)
{
	assert_int_equal(owfs_file_fallocate(inode, mode, (loff_t)pos,
					     (loff_t)len), 0);
}

/* ------------------------------------------------------------------ writing */

static void test_partial_blocks_keep_their_other_bytes(void **state)
{
	struct owfs_inode *inode = fx_file(&fx);

	(void)state;
	put(inode, 0, 3 * BS, 'a');
	put(inode, 100, 50, 'b');		/* inside one block */
	put(inode, BS - 5, BS + 10, 'c');	/* two edges and a middle */
	assert_bytes(inode, 0, 100, 'a');
	assert_bytes(inode, 100, 50, 'b');
	assert_bytes(inode, 150, BS - 155, 'a');
	assert_bytes(inode, BS - 5, BS + 10, 'c');
	assert_bytes(inode, 2 * BS + 5, BS - 5, 'a');
	put(inode, 5 * BS + 7, 3, 'd');		/* into nothing */
	assert_bytes(inode, 3 * BS, 2 * BS + 7, 0);
	assert_bytes(inode, 5 * BS + 7, 3, 'd');
	assert_int_equal(owfs_file_size(inode), 5 * BS + 10);
	assert_int_equal(owfs_file_read(inode, big, 100, 5 * BS + 9), 1);
	assert_int_equal(owfs_file_read(inode, big, 100, 5 * BS + 10), 0);
	fx_check(&fx);
	owfs_iput(inode);
}

static void test_a_large_write_is_all_there_or_not_at_all(void **state)
{
	struct owfs_inode *inode = fx_file(&fx);
	size_t step, len = OWFS_WRITE_MAX;
	char seen;

	(void)state;
	put(inode, 0, len, 'a');
	assert_int_equal(owfs_commit_all(fx.fs), 0);
	for (step = 0; step < 12; step++) {
		/* the write comes between two steps of a commit */
		for (size_t i = 0; i < step % 5; i++)
			owfs_commit_step(fx.fs, true);
		put(inode, 0, len, 'b' + (char)step);
		for (size_t i = 0; i < step; i++)
			owfs_commit_step(fx.fs, true);
		inode = crash(inode);
		assert_int_equal(owfs_file_read(inode, &seen, 1, 0), 1);
		assert_bytes(inode, 0, len, seen);
	}
	owfs_iput(inode);
}

/* A write of more than there is fails with @err; nothing has changed. */
static void write_fails(struct owfs_inode *inode, int err)
{
	struct owfs_alloc_stat st0, st;
	struct owfs_attr attr;

	put(inode, 0, 2 * BS, 'a');
	attr = inode->i_attr;
	owfs_alloc_stat(fx.fs->fs_al, &st0);
	emubd_fault(fx.e, EMUBD_WRITE, 1, 1, err);
	memset(big, 'b', 4 * BS);
	assert_int_equal(owfs_file_write(inode, big, 4 * BS, 100, false, false),
			 -err);
	assert_memory_equal(&attr, &inode->i_attr, sizeof(attr));
	owfs_alloc_stat(fx.fs->fs_al, &st);
	assert_memory_equal(&st0, &st, sizeof(st));
	assert_bytes(inode, 0, 2 * BS, 'a');
}

static void test_a_failed_device_write_leaves_the_old_data(void **state)
{
	struct owfs_inode *inode = fx_file(&fx);
	owfs_ino_t ino = inode->i_ino;

	(void)state;
	write_fails(inode, EIO);
	/* the device is not to be trusted, and everybody hears of it */
	assert_non_null(strstr(fx.said, "data cannot be written: off=0 fsblock="));
	assert_int_equal(owfs_file_write(inode, big, 1, 0, false, false),
			 -EROFS);
	assert_int_equal(owfs_file_fsync(inode, false), -EIO);
	assert_int_equal(owfs_file_fsync(inode, false), -EIO);
	owfs_iput(inode);
	/* what was done before is durable, and the error is on record */
	fx_unmount(&fx);
	fx_open(&fx);
	assert_true(fx.fs->fs_super.state & OWFS_STATE_ERROR);
	assert_int_equal(fx.fs->fs_super.error_code, EIO);
	assert_in_range(fx.fs->fs_super.error_block, 1, BYTES / BS);
	assert_true(fx.fs->fs_super.error_time != 0);
	inode = fx_iget(&fx, ino);
	assert_bytes(inode, 0, 2 * BS, 'a');
	put(inode, 0, 2 * BS, 'c');
	assert_int_equal(owfs_file_fsync(inode, false), 0);
	owfs_iput(inode);
}

/* An image in a file system that is full is no broken device. */
static void test_no_room_on_the_device_itself_is_no_failure(void **state)
{
	struct owfs_inode *inode = fx_file(&fx);
	uint64_t discards;

	(void)state;
	write_fails(inode, ENOSPC);
	put(inode, 0, 2 * BS, 'c');		/* and life goes on */
	assert_int_equal(owfs_file_fsync(inode, false), 0);
	/* what found room goes back, for metadata; so no less is tried */
	discards = emubd_count(fx.e, EMUBD_DISCARD);
	emubd_fault(fx.e, EMUBD_WRITE, 1, 1, EDQUOT);
	assert_int_equal(owfs_file_write_as(inode, big, 4 * BS, 0,
					    OWFS_WRITE_SOME), -ENOSPC);
	assert_int_equal(emubd_count(fx.e, EMUBD_DISCARD), discards + 1);
	emubd_fault(fx.e, EMUBD_WRITE, 1, 1, ENOSPC);
	assert_int_equal(owfs_file_truncate(inode, BS + 1), -ENOSPC);
	assert_int_equal(owfs_file_truncate(inode, BS + 1), 0);
	/* out of a cache: there is none for the whole */
	emubd_fault(fx.e, EMUBD_WRITE, 1, EMUBD_FOREVER, ENOSPC);
	assert_int_equal(owfs_file_writeback(inode, big, 4 * BS, 0, false),
			 -ENOSPC);
	emubd_fault(fx.e, EMUBD_WRITE, 1, 0, ENOSPC);
	assert_int_equal(owfs_file_fsync(inode, false), -ENOSPC);
	assert_int_equal(owfs_file_fsync(inode, false), -ENOSPC);
	owfs_iput(inode);
}

static void test_a_failed_device_read_is_an_error(void **state)
{
	struct owfs_inode *inode = fx_file(&fx);
	struct owfs_iomap map;

	(void)state;
	put(inode, 0, 2 * BS, 'a');
	assert_int_equal(owfs_iomap_read(inode, 1, 1, &map), 0);
	emubd_fault_range(fx.e, EMUBD_READ, map.fsblock * BS, BS, EIO);
	assert_int_equal(owfs_file_read(inode, big, 2 * BS, 0), -EIO);
	assert_non_null(strstr(fx.said, "data cannot be read: off="));
	assert_int_equal(owfs_file_write(inode, big, 10, BS + 5, false, false),
			 -EIO);			/* the old bytes are needed */
	assert_int_equal(owfs_file_write(inode, big, BS, BS, false, false), BS);
	assert_int_equal(owfs_fs_writable(fx.fs), 0);
	fx_check(&fx);
	owfs_iput(inode);
}

/* Of metadata, too: nothing was changed, so nothing is wrong. */
static void test_unreadable_metadata_is_an_error_for_who_needs_it(void **state)
{
	struct owfs_inode *inode = fx_file(&fx), *other;
	owfs_ino_t ino = inode->i_ino;

	(void)state;
	put(inode, 0, 2 * BS, 'a');
	owfs_iput(inode);
	fx_unmount(&fx);
	fx_open(&fx);
	owfs_bufcache_shrink(fx.fs->fs_bc, true);
	emubd_fault(fx.e, EMUBD_READ, 1, EMUBD_FOREVER, EIO);
	assert_int_equal(owfs_iget(fx.fs, ino, &other), -EIO);
	assert_int_equal(owfs_iget(fx.fs, ino, &other), -EIO);
	emubd_fault(fx.e, EMUBD_READ, 1, 0, EIO);
	assert_int_equal(owfs_fs_writable(fx.fs), 0);
	inode = fx_iget(&fx, ino);
	assert_bytes(inode, 0, 2 * BS, 'a');
	put(inode, 0, 2 * BS, 'b');
	owfs_iput(inode);
	fx_check(&fx);
}

static void test_append_goes_to_the_end_whatever_it_is(void **state)
{
	struct owfs_inode *inode = fx_file(&fx);

	(void)state;
	assert_int_equal(owfs_file_write(inode, "abc", 3, 999, true, false), 3);
	assert_int_equal(owfs_file_write(inode, "def", 3, 0, true, false), 3);
	assert_int_equal(owfs_file_truncate(inode, 4), 0);
	assert_int_equal(owfs_file_write(inode, "XY", 2, 0, true, false), 2);
	assert_int_equal(owfs_file_read(inode, big, 100, 0), 6);
	assert_memory_equal(big, "abcdXY", 6);
	owfs_iput(inode);
}

static void test_writes_change_times_and_clear_set_id_bits(void **state)
{
	struct owfs_inode *inode = fx_file(&fx);
	struct timespec m = inode->i_attr.mtime, a = inode->i_attr.atime;

	(void)state;
	inode->i_attr.mode = S_IFREG | 06755;
	assert_int_equal(owfs_file_write(inode, "x", 1, 0, false, false), 1);
	assert_int_equal(inode->i_attr.mode, S_IFREG | 06755);
	assert_true(inode->i_attr.mtime.tv_nsec != m.tv_nsec);
	assert_true(inode->i_attr.ctime.tv_nsec == inode->i_attr.mtime.tv_nsec);
	assert_int_equal(owfs_file_write(inode, "x", 1, 0, false, OWFS_SET_KILL_SUIDGID), 1);
	assert_int_equal(inode->i_attr.mode, S_IFREG | 0755);
	inode->i_attr.mode = S_IFREG | 06644;	/* set-gid means locking here */
	assert_int_equal(owfs_file_write(inode, "x", 1, 0, false, OWFS_SET_KILL_SUIDGID), 1);
	assert_int_equal(inode->i_attr.mode, S_IFREG | 02644);
	assert_int_equal(owfs_file_read(inode, big, 1, 0), 1);
	assert_true(inode->i_attr.atime.tv_nsec != a.tv_nsec);
	assert_true(inode->i_atime_dirty);
	owfs_iput(inode);
}

static void test_timed_writes_leave_times_alone(void **state)
{
	struct owfs_inode *inode = fx_file(&fx);
	struct timespec m = inode->i_attr.mtime, c = inode->i_attr.ctime;

	(void)state;
	assert_int_equal(owfs_file_write_as(inode, "abc", 3, 0,
					    OWFS_WRITE_TIMED), 3);
	assert_memory_equal(&inode->i_attr.mtime, &m, sizeof(m));
	assert_memory_equal(&inode->i_attr.ctime, &c, sizeof(c));
	assert_int_equal(inode->i_attr.size, 3);
	owfs_iput(inode);
}

static void test_what_fsync_answered_is_there(void **state)
{
	struct owfs_inode *inode = fx_file(&fx);

	(void)state;
	put(inode, 0, 10000, 'a');
	assert_int_equal(owfs_file_fsync(inode, true), 0);
	put(inode, 0, 10000, 'b');
	inode = crash(inode);
	assert_int_equal(owfs_file_size(inode), 10000);
	assert_bytes(inode, 0, 10000, 'a');
	owfs_iput(inode);
}

/* --------------------------------------------------------------- end of file */

static void test_bytes_past_the_end_never_show(void **state)
{
	struct owfs_inode *inode = fx_file(&fx);
	char raw[BS] __attribute__((aligned(OWFS_IO_ALIGN)));
	struct owfs_iomap map;
	size_t i;

	(void)state;
	put(inode, 0, 3 * BS, 'a');
	assert_int_equal(owfs_file_truncate(inode, BS + 100), 0);
	/* rule (E): they are not on the device either */
	assert_int_equal(owfs_iomap_read(inode, 1, 9, &map), 0);
	assert_int_equal(map.len, 1);
	emubd_peek(fx.e, raw, BS, map.fsblock * BS);
	for (i = 100; i < BS; i++)
		assert_int_equal(raw[i], 0);
	assert_int_equal(owfs_file_truncate(inode, 4 * BS), 0);
	assert_bytes(inode, 0, BS + 100, 'a');
	assert_bytes(inode, BS + 100, 3 * BS - 100, 0);
	/* again, now growing by a write far behind */
	put(inode, 0, 3 * BS, 'a');
	assert_int_equal(owfs_file_truncate(inode, 10), 0);
	put(inode, 6 * BS, 1, 'z');
	assert_bytes(inode, 10, 6 * BS - 10, 0);
	/* and by preallocation */
	assert_int_equal(owfs_file_truncate(inode, 5), 0);
	fallocate_ok(inode, 0, 0, 2 * BS);
	assert_bytes(inode, 0, 5, 'a');
	assert_bytes(inode, 5, 2 * BS - 5, 0);
	fx_check(&fx);
	owfs_iput(inode);
}

static void test_truncate_is_all_there_or_not_at_all(void **state)
{
	struct owfs_inode *inode = fx_file(&fx);
	unsigned int step;

	(void)state;
	for (step = 0; step < 10; step++) {
		put(inode, 0, 20 * BS, 'a');
		assert_int_equal(owfs_commit_all(fx.fs), 0);
		assert_int_equal(owfs_file_truncate(inode, 7 * BS + 9), 0);
		for (unsigned int i = 0; i < step; i++)
			owfs_commit_step(fx.fs, true);
		inode = crash(inode);
		if (owfs_file_size(inode) == 20 * BS) {
			assert_bytes(inode, 0, 20 * BS, 'a');
		} else {
			assert_int_equal(owfs_file_size(inode), 7 * BS + 9);
			assert_bytes(inode, 0, 7 * BS + 9, 'a');
		}
		fx_extents(inode);
		fx_check(&fx);
	}
	owfs_iput(inode);
}

static void test_very_many_extents_go_by_intent(void **state)
{
	struct owfs_inode *inode = fx_file(&fx);
	unsigned int i, n = 4 * OWFS_EXTENT_STEP;
	int ret;

	(void)state;
	assert_int_equal(owfs_commit_all(fx.fs), 0);
	for (i = 0; i < n; i++)
		put(inode, 2ull * i * BS, BS, 'a');
	assert_int_equal(owfs_file_truncate(inode, BS), 0);
	assert_true(owfs_inode_has_intents(inode));
	assert_int_equal(owfs_file_truncate(inode, 2ull * n * BS), 0);
	assert_bytes(inode, 0, BS, 'a');
	assert_bytes(inode, BS, 100 * BS, 0);
	inode = crash(inode);		/* nothing was committed */
	assert_true(owfs_file_size(inode) == 0);
	for (i = 0; i < n; i++)
		put(inode, 2ull * i * BS, BS, 'a');
	assert_int_equal(owfs_file_truncate(inode, BS), 0);
	assert_int_equal(owfs_file_fsync(inode, false), 0);
	inode = crash(inode);
	assert_true(owfs_inode_has_intents(inode));
	do {
		OWFS_RETRY(fx.fs, ret, owfs_reclaim_run(fx.fs));
	} while (ret == 1);
	assert_int_equal(ret, 0);
	do {
		OWFS_RETRY(fx.fs, ret, owfs_intent_reclaim_step(inode));
	} while (ret == 1);
	assert_int_equal(fx_extents(inode), 1);
	fx_check(&fx);
	owfs_iput(inode);
}

/* ------------------------------------------------------ punch, zero, allocate */

static void test_punch_and_zero_round_inward(void **state)
{
	const int modes[] = { PUNCH, FALLOC_FL_ZERO_RANGE };
	struct owfs_inode *inode;
	struct owfs_iomap map;
	unsigned int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		inode = fx_file(&fx);
		put(inode, 0, 6 * BS, 'a');
		fallocate_ok(inode, modes[i], BS - 10, 2 * BS + 30);
		assert_bytes(inode, 0, BS - 10, 'a');
		assert_bytes(inode, BS - 10, 2 * BS + 30, 0);
		assert_bytes(inode, 3 * BS + 20, 3 * BS - 20, 'a');
		/* the edge blocks are still data, those between are not */
		assert_int_equal(owfs_iomap_read(inode, 0, 9, &map), 0);
		assert_int_equal(map.type, OWFS_IOMAP_MAPPED);
		assert_int_equal(owfs_iomap_read(inode, 1, 2, &map), 0);
		assert_int_equal(map.type, i ? OWFS_IOMAP_UNWRITTEN :
					       OWFS_IOMAP_HOLE);
		assert_int_equal(owfs_iomap_read(inode, 3, 1, &map), 0);
		assert_int_equal(map.type, OWFS_IOMAP_MAPPED);
		/* inside one block nothing but zeroing */
		fallocate_ok(inode, modes[i], 4 * BS + 1, 100);
		assert_bytes(inode, 4 * BS + 1, 100, 0);
		assert_bytes(inode, 4 * BS + 101, 100, 'a');
		assert_int_equal(owfs_file_size(inode), 6 * BS);
		fx_extents(inode);
		fx_check(&fx);
		owfs_iput(inode);
	}
}

static void test_zeroing_never_makes_written_blocks_unwritten(void **state)
{
	struct owfs_inode *inode = fx_file(&fx);
	struct owfs_iomap old, map;

	(void)state;
	put(inode, 0, 4 * BS, 'a');
	assert_int_equal(owfs_iomap_read(inode, 0, 4, &old), 0);
	fallocate_ok(inode, FALLOC_FL_ZERO_RANGE, 0, 4 * BS);
	assert_int_equal(owfs_iomap_read(inode, 0, 4, &map), 0);
	assert_int_equal(map.type, OWFS_IOMAP_UNWRITTEN);
	assert_true(map.fsblock + map.len <= old.fsblock ||
		    old.fsblock + old.len <= map.fsblock);
	/* once more: nothing is written now, so nothing moves */
	old = map;
	fallocate_ok(inode, FALLOC_FL_ZERO_RANGE, 0, 4 * BS);
	assert_int_equal(owfs_iomap_read(inode, 0, 4, &map), 0);
	assert_int_equal(map.fsblock, old.fsblock);
	fx_check(&fx);
	owfs_iput(inode);
}

static void test_sizes_after_fallocate_are_as_asked(void **state)
{
	struct owfs_inode *inode = fx_file(&fx);

	(void)state;
	fallocate_ok(inode, FALLOC_FL_KEEP_SIZE, 0, 10 * BS);
	assert_int_equal(owfs_file_size(inode), 0);
	assert_int_equal(inode->i_attr.nblocks, 10);
	fallocate_ok(inode, 0, 0, 3 * BS + 5);
	assert_int_equal(owfs_file_size(inode), 3 * BS + 5);
	assert_int_equal(inode->i_attr.nblocks, 10);
	fallocate_ok(inode, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 0,
		     20 * BS);
	assert_int_equal(owfs_file_size(inode), 3 * BS + 5);
	fallocate_ok(inode, FALLOC_FL_ZERO_RANGE, BS, 5 * BS + 1);
	assert_int_equal(owfs_file_size(inode), 6 * BS + 1);
	assert_int_equal(owfs_file_truncate(inode, 6 * BS + 1), 0);
	assert_int_equal(inode->i_attr.nblocks, 7);
	fx_extents(inode);
	fx_check(&fx);
	owfs_iput(inode);
}

static void test_zeroing_gives_partial_blocks_a_place_too(void **state)
{
	static const int modes[] = {
		FALLOC_FL_ZERO_RANGE,
		FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
	};
	struct owfs_inode *inode;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		inode = fx_file(&fx);
		fallocate_ok(inode, modes[i], 2, 5);
		assert_int_equal(inode->i_attr.nblocks, 1);
		fallocate_ok(inode, modes[i], 2 * BS + 7, 3 * BS);
		assert_int_equal(inode->i_attr.nblocks, 5);
		put(inode, 7 * BS, BS, 'a');
		fallocate_ok(inode, modes[i], 6 * BS + 1, 3 * BS);
		assert_int_equal(inode->i_attr.nblocks, 9);
		assert_bytes(inode, 7 * BS, BS, 0);
		fx_check(&fx);
		owfs_iput(inode);
	}
}

static void test_a_punch_past_the_end_takes_the_last_block(void **state)
{
	struct owfs_inode *inode = fx_file(&fx);

	(void)state;
	put(inode, 0, 2 * BS + 100, 'a');
	fallocate_ok(inode, PUNCH, 2 * BS, 99);
	assert_int_equal(inode->i_attr.nblocks, 3);
	assert_bytes(inode, 2 * BS + 99, 1, 'a');
	fallocate_ok(inode, PUNCH, 2 * BS, 101);
	assert_int_equal(inode->i_attr.nblocks, 2);
	assert_int_equal(owfs_file_size(inode), 2 * BS + 100);
	assert_bytes(inode, 2 * BS, 100, 0);
	put(inode, 2 * BS, 100, 'b');
	fallocate_ok(inode, PUNCH, BS + 5, 2 * BS);
	assert_int_equal(inode->i_attr.nblocks, 2);
	assert_bytes(inode, BS, 5, 'a');
	assert_bytes(inode, BS + 5, BS + 95, 0);
	fx_check(&fx);
	owfs_iput(inode);
}

static void test_preallocation_changes_times_even_of_what_is_there(void **state)
{
	static const struct owfs_attr old = { .size = 0 };
	static const int modes[] = {
		0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_KEEP_SIZE, 0,
		FALLOC_FL_ZERO_RANGE, PUNCH,
	};
	struct owfs_inode *inode = fx_file(&fx);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		assert_int_equal(owfs_setattr(inode, &old, OWFS_SET_MTIME |
					      OWFS_SET_CTIME), 0);
		fallocate_ok(inode, modes[i], 0, 2 * BS * (1 + i / 2));
		assert_int_not_equal(inode->i_attr.mtime.tv_sec, 0);
		assert_int_equal(inode->i_attr.mtime.tv_sec,
				 inode->i_attr.ctime.tv_sec);
	}
	owfs_iput(inode);
}

static void test_seek_finds_data_and_holes(void **state)
{
	struct owfs_inode *inode = fx_file(&fx);

	(void)state;
	put(inode, 3 * BS, 2 * BS, 'a');
	assert_int_equal(owfs_file_truncate(inode, 9 * BS + 1), 0);
	fallocate_ok(inode, FALLOC_FL_KEEP_SIZE, 6 * BS, BS);	/* reads as zeroes */
	assert_int_equal(owfs_file_seek(inode, 0, SEEK_DATA), 3 * BS);
	assert_int_equal(owfs_file_seek(inode, 0, SEEK_HOLE), 0);
	assert_int_equal(owfs_file_seek(inode, 4 * BS + 9, SEEK_DATA),
			 4 * BS + 9);
	assert_int_equal(owfs_file_seek(inode, 3 * BS, SEEK_HOLE), 5 * BS);
	assert_int_equal(owfs_file_seek(inode, 5 * BS, SEEK_DATA), -ENXIO);
	assert_int_equal(owfs_file_seek(inode, 9 * BS + 1, SEEK_HOLE), -ENXIO);
	assert_int_equal(owfs_file_seek(inode, -1, SEEK_DATA), -ENXIO);
	assert_int_equal(owfs_file_seek(inode, 0, SEEK_SET), -EINVAL);
	put(inode, 9 * BS, 1, 'z');
	assert_int_equal(owfs_file_seek(inode, 9 * BS, SEEK_HOLE), 9 * BS + 1);
	owfs_iput(inode);
}

static void test_impossible_requests_are_refused(void **state)
{
	struct owfs_inode *inode = fx_file(&fx), *root = fx_iget(&fx, OWFS_INO_ROOT);
	const loff_t max = INT64_MAX;

	(void)state;
	assert_int_equal(owfs_file_read(root, big, 1, 0), -EISDIR);
	assert_int_equal(owfs_file_write(root, big, 1, 0, false, false), -EISDIR);
	assert_int_equal(owfs_file_truncate(root, 0), -EISDIR);
	assert_int_equal(owfs_file_truncate(inode, 1ull << 63), -EFBIG);
	assert_int_equal(owfs_file_fallocate(inode, 0, max - 5, 10), -EFBIG);
	assert_int_equal(owfs_file_fallocate(inode, 0, -1, 10), -EINVAL);
	assert_int_equal(owfs_file_fallocate(inode, 0, 0, 0), -EINVAL);
	assert_int_equal(owfs_file_fallocate(inode, FALLOC_FL_COLLAPSE_RANGE, 0,
					     BS), -EOPNOTSUPP);
	assert_int_equal(owfs_file_fallocate(inode, FALLOC_FL_PUNCH_HOLE, 0, BS),
			 -EOPNOTSUPP);
	assert_int_equal(owfs_file_write(inode, "x", 1, max, false, false),
			 -EFBIG);
	assert_int_equal(owfs_file_write(inode, "x", 0, 5, false, false), 0);
	/* the last byte there can be */
	assert_int_equal(owfs_file_write(inode, "xy", 2, max - 1, false, false),
			 1);
	assert_int_equal(owfs_file_size(inode), max);
	assert_int_equal(owfs_file_read(inode, big, 10, max - 3), 3);
	assert_memory_equal(big, "\0\0x", 3);
	assert_int_equal(owfs_file_write(inode, "x", 1, 0, true, false), -EFBIG);
	fallocate_ok(inode, PUNCH, 0, (uint64_t)max);
	assert_int_equal(owfs_file_truncate(inode, 0), 0);
	assert_int_equal(fx_extents(inode), 0);
	fx_check(&fx);
	owfs_iput(inode);
	owfs_iput(root);
}

static void test_copy_brings_the_bytes_and_no_more(void **state)
{
	struct owfs_inode *a = fx_file(&fx), *b = fx_file(&fx);

	(void)state;
	put(a, 0, 9000, 'a');
	assert_int_equal(owfs_file_copy(a, 10, b, 5, 100000), 8990);
	assert_int_equal(owfs_file_size(b), 8995);
	assert_bytes(b, 0, 5, 0);
	assert_bytes(b, 5, 8990, 'a');
	assert_int_equal(owfs_file_copy(a, 9000, b, 0, 5), 0);
	assert_int_equal(owfs_file_copy(a, 0, a, 100, 200), -EINVAL);
	assert_int_equal(owfs_file_copy(a, 8000, a, 9000, 5000), -EINVAL);
	assert_int_equal(owfs_file_copy(a, 0, a, 9000, 9000), 9000);
	assert_int_equal(owfs_file_size(a), 18000);
	owfs_iput(a);
	owfs_iput(b);
}

/* -------------------------------------------------------------- full devices */

static struct owfs_inode *fill_device(void)
{
	struct owfs_inode *inode = fx_file(&fx);
	uint64_t pos = 0;
	ssize_t n;
	size_t len = 64 * BS;

	memset(big, 'f', len);
	while (len) {
		n = owfs_file_write(inode, big, len, (loff_t)pos, false, false);
		if (n == -ENOSPC) {
			len /= 2;
			len -= len % BS;
			continue;
		}
		assert_int_equal(n, len);
		pos += len;
	}
	return inode;
}

static void test_a_full_device_still_truncates_and_punches(void **state)
{
	struct owfs_inode *inode = fx_file(&fx), *filler;
	uint64_t size;
	unsigned int i;

	(void)state;
	put(inode, 0, 100 * BS, 'a');
	filler = fill_device();
	size = owfs_file_size(filler);
	/* each needs a new block for its edge before it gives one back */
	for (i = 0; i < 90; i++)
		assert_int_equal(owfs_file_truncate(inode, (100 - i) * BS - 9), 0);
	for (i = 0; i < 200; i++)
		fallocate_ok(filler, PUNCH, 2ull * i * BS + 5, BS);
	assert_bytes(inode, 0, 11 * BS - 9, 'a');
	assert_bytes(filler, 5, BS, 0);
	assert_bytes(filler, 401 * BS, BS, 'f');
	assert_int_equal(owfs_file_size(filler), size);
	assert_int_equal(owfs_file_truncate(filler, 77), 0);
	assert_bytes(filler, 0, 5, 'f');
	fx_check(&fx);
	put(inode, 0, 400 * BS, 'b');	/* there is room again */
	owfs_iput(inode);
	owfs_iput(filler);
}

static void test_a_full_device_still_overwrites(void **state)
{
	struct owfs_inode *inode, *filler;
	uint64_t pos, last;

	(void)state;
	inode = fx_file(&fx);
	put(inode, 0, 40 * BS, 'a');
	filler = fill_device();
	/* a little room is what overwriting out of place lives on */
	last = owfs_file_size(filler) - 100 * BS;
	assert_int_equal(owfs_file_truncate(filler, last), 0);
	for (pos = 0; pos < 400 * BS; pos += BS)
		put(inode, pos % (40 * BS), BS, 'b');
	assert_bytes(inode, 0, 40 * BS, 'b');
	fx_check(&fx);
	owfs_iput(inode);
	owfs_iput(filler);
}

static void test_preallocation_that_cannot_be_is_refused_before_it_begins(
	void **state)
{
	struct owfs_inode *inode = fx_file(&fx);
	struct owfs_alloc_stat st;

	(void)state;
	owfs_alloc_stat(fx.fs->fs_al, &st);
	assert_int_equal(owfs_file_fallocate(inode, 0, 0,
					     (loff_t)(st.free * BS)), -ENOSPC);
	assert_int_equal(inode->i_attr.nblocks, 0);
	assert_int_equal(owfs_file_size(inode), 0);
	put(inode, 0, 100 * BS, 'a');
	assert_int_equal(owfs_file_fallocate(inode, FALLOC_FL_ZERO_RANGE, 0,
					     (loff_t)(st.free * BS)), -ENOSPC);
	assert_bytes(inode, 0, 100 * BS, 'a');
	fx_check(&fx);
	owfs_iput(inode);
}

#define T(name)	cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_partial_blocks_keep_their_other_bytes),
		T(test_a_large_write_is_all_there_or_not_at_all),
		T(test_a_failed_device_write_leaves_the_old_data),
		T(test_no_room_on_the_device_itself_is_no_failure),
		T(test_a_failed_device_read_is_an_error),
		T(test_unreadable_metadata_is_an_error_for_who_needs_it),
		T(test_append_goes_to_the_end_whatever_it_is),
		T(test_writes_change_times_and_clear_set_id_bits),
		T(test_timed_writes_leave_times_alone),
		T(test_what_fsync_answered_is_there),
		T(test_bytes_past_the_end_never_show),
		T(test_truncate_is_all_there_or_not_at_all),
		T(test_very_many_extents_go_by_intent),
		T(test_punch_and_zero_round_inward),
		T(test_zeroing_never_makes_written_blocks_unwritten),
		T(test_sizes_after_fallocate_are_as_asked),
		T(test_zeroing_gives_partial_blocks_a_place_too),
		T(test_a_punch_past_the_end_takes_the_last_block),
		T(test_preallocation_changes_times_even_of_what_is_there),
		T(test_seek_finds_data_and_holes),
		T(test_impossible_requests_are_refused),
		T(test_copy_brings_the_bytes_and_no_more),
		T(test_a_full_device_still_truncates_and_punches),
		T(test_a_full_device_still_overwrites),
		T(test_preallocation_that_cannot_be_is_refused_before_it_begins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
