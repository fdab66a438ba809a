/* SPDX-License-Identifier: GPL-2.0-or-later */
/* begin and ioend: what is visible when, and whose the blocks are meanwhile. */
#include <linux/falloc.h>

#include "file/cut.h"
#include "file/file.h"
#include "file/iomap.h"
#include "file/staging.h"
#include "object_fixture.h"

#define BYTES	(16u << 20)
#define BS	4096u

static struct fx fx;
static char *block;		/* an aligned buffer of 64 blocks */

static int setup(void **state)
{
	(void)state;
	fx = (struct fx){ .seed = 5 };
	fx_start(&fx, BYTES, BS);
	block = aligned_alloc(OWFS_IO_ALIGN, 64 * BS);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(block);
	fx_done(&fx);
	return 0;
}

static void begin(struct owfs_inode *inode, owfs_fileoff_t off, uint64_t len,
		  struct owfs_iomap *map)
{
	assert_int_equal(owfs_iomap_begin_write(inode, off, len, map), 0);
	assert_int_equal(map->off, off);
	assert_true(map->len >= 1 && map->len <= len);
}

/* Data of one kind into what begin gave. */
static void device_write(const struct owfs_iomap *map, char c)
{
	memset(block, c, map->len * BS);
	assert_int_equal(owfs_blkdev_write(fx.fs->fs_bd, block, map->len * BS,
					   (loff_t)(map->fsblock * BS)), 0);
}

static void ioend(struct owfs_inode *inode, owfs_fileoff_t off, uint64_t len,
		  int error)
{
	assert_int_equal(owfs_iomap_ioend(inode, (loff_t)(off * BS), len * BS,
					  error, NULL), 0);
}

/* begin, data, ioend of whole blocks. */
static void put(struct owfs_inode *inode, owfs_fileoff_t off, uint64_t len,
		char c)
{
	struct owfs_iomap map;
	owfs_fileoff_t at;

	for (at = off; at < off + len; at += map.len) {
		begin(inode, at, off + len - at, &map);
		device_write(&map, c);
	}
	ioend(inode, off, len, 0);
}

static void assert_block(struct owfs_inode *inode, owfs_fileoff_t off, int c)
{
	char buf[BS];

	if (c < 0) {
		assert_true(owfs_file_size(inode) <= off * BS);
		return;
	}
	assert_int_equal(owfs_file_read(inode, buf, BS, (loff_t)(off * BS)), BS);
	assert_int_equal(buf[0], c);
	assert_memory_equal(buf, buf + 1, BS - 1);
}

static void mapping(struct owfs_inode *inode, owfs_fileoff_t off, uint64_t max,
		    struct owfs_iomap *map)
{
	assert_int_equal(owfs_iomap_read(inode, off, max, map), 0);
	assert_int_equal(map->off, off);
	assert_true(map->len >= 1 && map->len <= max);
}

static uint64_t staged(void)
{
	struct owfs_alloc_stat st;

	owfs_alloc_stat(fx.fs->fs_al, &st);
	return st.staged;
}

static void prealloc(struct owfs_inode *inode, owfs_fileoff_t off, uint64_t len)
{
	assert_int_equal(owfs_file_fallocate(inode, FALLOC_FL_KEEP_SIZE,
					     (loff_t)(off * BS),
					     (loff_t)(len * BS)), 0);
}

/* ----------------------------------------------------------------- mappings */

static void test_a_mapping_is_one_only_if_contiguous_on_disk(void **state)
{
	struct owfs_inode *a = fx_file(&fx), *b = fx_file(&fx);
	struct owfs_iomap m1, m2;

	(void)state;
	/* two files growing by turns, so that neither is in one piece */
	prealloc(a, 0, 4);
	prealloc(b, 0, 4);
	prealloc(a, 4, 4);
	put(b, 0, 4, 'b');
	put(b, 6, 2, 'b');

	mapping(a, 1, 100, &m1);
	assert_int_equal(m1.type, OWFS_IOMAP_UNWRITTEN);
	mapping(a, 1 + m1.len, 100, &m2);
	assert_int_equal(m2.type, OWFS_IOMAP_UNWRITTEN);
	assert_int_equal(m1.len + m2.len, 7);
	assert_int_not_equal(m1.fsblock + m1.len, m2.fsblock);
	begin(a, 1, 7, &m2);		/* in place: the same rule */
	assert_int_equal(m2.len, m1.len);
	assert_int_equal(m2.fsblock, m1.fsblock);
	ioend(a, 1, 7, -EIO);

	mapping(b, 4, 100, &m1);
	assert_int_equal(m1.type, OWFS_IOMAP_HOLE);
	assert_int_equal(m1.len, 2);
	mapping(b, 8, 100, &m1);
	assert_int_equal(m1.type, OWFS_IOMAP_HOLE);
	assert_int_equal(m1.len, 100);
	fx_check(&fx);
	owfs_iput(a);
	owfs_iput(b);
}

/* Leave @n blocks for ordinary allocations. */
static struct owfs_inode *fill_device(uint64_t n)
{
	struct owfs_inode *filler = fx_file(&fx);
	struct owfs_alloc_stat st;

	owfs_alloc_stat(fx.fs->fs_al, &st);
	prealloc(filler, 0, st.free - st.reserve - n);
	return filler;
}

static void test_a_short_allocation_is_no_enospc(void **state)
{
	struct owfs_inode *inode = fx_file(&fx), *filler = fill_device(120);
	owfs_fileoff_t off = 0;
	struct owfs_iomap map;
	int ret;

	(void)state;
	for (;; off += map.len) {
		OWFS_RETRY(fx.fs, ret,
			   owfs_iomap_begin_write(inode, off, 400, &map));
		if (ret)
			break;
		assert_true(map.len < 400);
	}
	assert_int_equal(ret, -ENOSPC);
	assert_true(off > 1);
	ioend(inode, 0, 400, -EIO);
	fx_check(&fx);
	owfs_iput(inode);
	owfs_iput(filler);
}

/* ------------------------------------------------------------------- P3, P5 */

static void test_the_size_grows_at_ioend_and_never_at_begin(void **state)
{
	struct owfs_inode *inode = fx_file(&fx);
	struct owfs_iomap map;
	uint64_t size;

	(void)state;
	begin(inode, 0, 2, &map);
	assert_int_equal(map.len, 2);
	assert_int_equal(owfs_file_size(inode), 0);
	device_write(&map, 'x');
	assert_int_equal(owfs_file_size(inode), 0);
	assert_int_equal(owfs_iomap_ioend(inode, 0, BS + 100, 0, &size), 0);
	assert_int_equal(size, BS + 100);
	assert_int_equal(owfs_file_size(inode), BS + 100);
	/* a smaller one later does not take it back */
	put(inode, 0, 1, 'y');
	assert_int_equal(owfs_file_size(inode), BS + 100);
	fx_check(&fx);
	owfs_iput(inode);
}

static void test_nothing_is_visible_before_ioend(void **state)
{
	struct owfs_inode *inode = fx_file(&fx);
	struct owfs_iomap map, old;
	owfs_ino_t ino = inode->i_ino;

	(void)state;
	put(inode, 0, 3, 'a');
	mapping(inode, 1, 1, &old);
	begin(inode, 1, 1, &map);
	assert_int_not_equal(map.fsblock, old.fsblock);
	device_write(&map, 'b');
	assert_block(inode, 1, 'a');
	/* staged blocks are used by no commit */
	assert_int_equal(owfs_commit_all(fx.fs), 0);
	owfs_staging_forget(inode);
	owfs_iput(inode);
	fx_abandon(&fx);
	fx_open(&fx);
	inode = fx_iget(&fx, ino);
	assert_block(inode, 1, 'a');
	fx_check(&fx);
	owfs_iput(inode);
}

static void test_a_repeated_or_stray_ioend_changes_nothing(void **state)
{
	struct owfs_inode *inode = fx_file(&fx);
	struct owfs_iomap before, after;
	struct owfs_attr attr;

	(void)state;
	put(inode, 0, 2, 'a');
	mapping(inode, 0, 2, &before);
	attr = inode->i_attr;
	ioend(inode, 0, 2, 0);			/* again */
	ioend(inode, 0, 2, -EIO);
	ioend(inode, 10, 5, 0);			/* never begun */
	ioend(inode, 100, 9000, -EIO);		/* several transactions' worth */
	mapping(inode, 0, 2, &after);
	assert_memory_equal(&before, &after, sizeof(before));
	assert_memory_equal(&attr, &inode->i_attr, sizeof(attr));
	assert_block(inode, 0, 'a');
	assert_int_equal(inode->i_data_err, 0);
	fx_check(&fx);
	owfs_iput(inode);
}

static void test_an_ioend_with_an_error_gives_the_staged_blocks_back(void **state)
{
	struct owfs_inode *inode = fx_file(&fx);
	struct owfs_alloc_stat st0, st;
	struct owfs_iomap map;

	(void)state;
	put(inode, 0, 8, 'a');
	owfs_alloc_stat(fx.fs->fs_al, &st0);
	begin(inode, 4, 8, &map);
	assert_int_equal(map.len, 8);
	assert_int_equal(staged(), 8);
	device_write(&map, 'b');
	ioend(inode, 4, 8, -EIO);
	owfs_alloc_stat(fx.fs->fs_al, &st);
	assert_memory_equal(&st0, &st, sizeof(st));
	assert_block(inode, 4, 'a');
	assert_block(inode, 8, -1);
	assert_null(inode->i_staging);
	owfs_iput(inode);
}

static void test_a_replaced_block_is_not_reusable_before_two_commits(void **state)
{
	struct owfs_inode *inode = fx_file(&fx), *filler;
	struct owfs_iomap old, map;
	owfs_fileoff_t off;
	int commits;

	(void)state;
	put(inode, 0, 1, 'a');
	assert_int_equal(owfs_commit_all(fx.fs), 0);
	mapping(inode, 0, 1, &old);
	put(inode, 0, 1, 'b');
	filler = fx_file(&fx);
	for (commits = 0; commits < 2; commits++) {
		/* everything that can be had is had: never that block */
		for (off = 0; !owfs_iomap_begin_write(filler, off, 4096, &map);
		     off += map.len)
			assert_false(map.fsblock <= old.fsblock &&
				     old.fsblock < map.fsblock + map.len);
		assert_true(off > 100);
		ioend(filler, 0, off, -EIO);
		put(inode, 5 + commits, 1, 'x');
		assert_int_equal(owfs_commit_all(fx.fs), 0);
	}
	owfs_iput(filler);
	owfs_iput(inode);
}

/* ------------------------------------------------------------ preallocated */

static void test_preallocated_blocks_are_written_in_place(void **state)
{
	struct owfs_inode *inode = fx_file(&fx);
	struct owfs_iomap pre, map;

	(void)state;
	prealloc(inode, 0, 8);
	mapping(inode, 0, 8, &pre);
	assert_int_equal(pre.type, OWFS_IOMAP_UNWRITTEN);
	begin(inode, 2, 3, &map);
	assert_int_equal(map.fsblock, pre.fsblock + 2);
	assert_int_equal(map.len, 3);
	assert_int_equal(staged(), 0);
	device_write(&map, 'x');
	mapping(inode, 2, 3, &map);
	assert_int_equal(map.type, OWFS_IOMAP_UNWRITTEN);
	ioend(inode, 2, 3, 0);
	mapping(inode, 2, 8, &map);
	assert_int_equal(map.type, OWFS_IOMAP_MAPPED);
	assert_int_equal(map.fsblock, pre.fsblock + 2);
	assert_int_equal(map.len, 3);
	assert_block(inode, 1, 0);
	assert_block(inode, 2, 'x');
	assert_int_equal(inode->i_attr.nblocks, 8);
	/* from now on they hold data: the next write goes elsewhere */
	begin(inode, 2, 3, &map);
	assert_int_not_equal(map.fsblock, pre.fsblock + 2);
	ioend(inode, 2, 3, -EIO);
	fx_check(&fx);
	owfs_iput(inode);
}

static void test_a_second_write_into_a_preallocated_extent_in_flight_tears_nothing(
	void **state)
{
	struct owfs_inode *inode = fx_file(&fx);
	struct owfs_iomap first, second;

	(void)state;
	prealloc(inode, 0, 4);
	begin(inode, 0, 4, &first);
	begin(inode, 0, 4, &second);
	assert_int_equal(first.len, 4);
	assert_int_equal(second.len, 4);
	assert_int_not_equal(second.fsblock, first.fsblock);
	device_write(&second, 'n');
	ioend(inode, 0, 4, 0);		/* one of them is done, but which? */
	assert_block(inode, 0, -1);
	device_write(&first, 'o');
	ioend(inode, 0, 4, 0);
	assert_block(inode, 0, 'n');
	assert_block(inode, 3, 'n');
	assert_int_equal(staged(), 0);
	assert_int_equal(inode->i_attr.nblocks, 4);
	fx_check(&fx);
	owfs_iput(inode);
}

/* --------------------------------------------------------------- overlapping */

static void test_of_two_writes_in_flight_the_newest_stays(void **state)
{
	struct owfs_inode *inode = fx_file(&fx);
	struct owfs_iomap a, b;

	(void)state;
	put(inode, 0, 8, 'o');
	begin(inode, 0, 6, &a);
	device_write(&a, 'a');
	begin(inode, 2, 6, &b);		/* the part that is in flight already ... */
	assert_int_equal(b.len, 4);
	device_write(&b, 'b');
	begin(inode, 6, 2, &b);		/* ... and the rest */
	device_write(&b, 'b');
	assert_int_equal(staged(), 12);
	ioend(inode, 0, 6, 0);
	assert_block(inode, 1, 'a');
	assert_block(inode, 2, 'o');	/* still waited for */
	assert_block(inode, 6, 'o');
	assert_int_equal(staged(), 10);	/* the device may still write there */
	ioend(inode, 2, 6, 0);
	assert_block(inode, 1, 'a');
	assert_block(inode, 2, 'b');
	assert_block(inode, 7, 'b');
	assert_int_equal(inode->i_attr.nblocks, 8);
	fx_check(&fx);
	owfs_iput(inode);
}

static void test_if_one_of_two_fails_the_old_data_stays_and_fsync_says_so(
	void **state)
{
	struct owfs_inode *inode = fx_file(&fx);
	struct owfs_iomap a, b;

	(void)state;
	put(inode, 0, 2, 'o');
	begin(inode, 0, 2, &a);
	begin(inode, 0, 2, &b);
	ioend(inode, 0, 2, -EIO);
	assert_int_equal(staged(), 4);
	ioend(inode, 0, 2, 0);
	assert_block(inode, 0, 'o');
	assert_int_equal(owfs_file_fsync(inode, false), -EIO);
	fx_check(&fx);
	owfs_iput(inode);
}

static void test_an_ioend_may_come_in_parts(void **state)
{
	struct owfs_inode *inode = fx_file(&fx);
	struct owfs_iomap map;

	(void)state;
	begin(inode, 0, 9, &map);
	assert_int_equal(map.len, 9);
	device_write(&map, 'p');
	ioend(inode, 3, 3, 0);
	assert_int_equal(owfs_file_size(inode), 6 * BS);
	assert_block(inode, 0, 0);
	assert_block(inode, 3, 'p');
	ioend(inode, 6, 3, -EIO);
	assert_int_equal(owfs_file_size(inode), 6 * BS);
	ioend(inode, 0, 3, 0);
	assert_block(inode, 0, 'p');
	assert_int_equal(inode->i_attr.nblocks, 6);
	fx_check(&fx);
	owfs_iput(inode);
}

static void test_one_ioend_may_end_many_mappings(void **state)
{
	struct owfs_inode *inode = fx_file(&fx), *other = fx_file(&fx);
	struct owfs_iomap map;
	owfs_fileoff_t off;

	(void)state;
	put(inode, 0, 40, 'o');
	for (off = 0; off < 40; off++) {
		begin(inode, off, 1, &map);
		device_write(&map, 'n');
		put(other, off, 1, 'x');
	}
	assert_block(inode, 0, 'o');
	ioend(inode, 0, 40, 0);
	for (off = 0; off < 40; off++)
		assert_block(inode, off, 'n');
	fx_extents(inode);
	fx_check(&fx);
	owfs_iput(inode);
	owfs_iput(other);
}

/* ------------------------------------------------------------------ doomed */

static void test_a_write_into_a_doomed_range_cuts_it_out(void **state)
{
	struct owfs_inode *inode;
	struct owfs_iomap map;
	owfs_ino_t ino;

	(void)state;
	fx_done(&fx);
	fx.cut_extents = 1;
	fx_start(&fx, BYTES, BS);
	inode = fx_file(&fx);
	ino = inode->i_ino;
	put(inode, 0, 20, 'o');
	put(inode, 5, 1, 'p');		/* more than one extent */
	assert_int_equal(owfs_file_truncate(inode, 2 * BS), 0);
	assert_true(owfs_inode_has_intents(inode));
	assert_int_equal(inode->i_attr.nblocks, 20);	/* honest: not yet free */
	mapping(inode, 2, 1000, &map);
	assert_int_equal(map.type, OWFS_IOMAP_HOLE);
	assert_int_equal(map.len, 1000);

	put(inode, 8, 2, 'n');
	assert_int_equal(inode->i_attr.nblocks, 20);
	assert_int_equal(owfs_file_truncate(inode, 20 * BS), 0);
	assert_block(inode, 1, 'o');
	assert_block(inode, 2, 0);
	assert_block(inode, 5, 0);
	assert_block(inode, 8, 'n');
	assert_block(inode, 10, 0);
	assert_block(inode, 19, 0);
	owfs_iput(inode);
	fx_unmount(&fx);
	fx_open(&fx);
	inode = fx_iget(&fx, ino);
	while (owfs_intent_reclaim_step(inode) == 1)
		;
	assert_int_equal(inode->i_attr.nblocks, 4);
	assert_block(inode, 7, 0);
	assert_block(inode, 8, 'n');
	assert_block(inode, 19, 0);
	fx_extents(inode);
	fx_check(&fx);
	owfs_iput(inode);
}

static void test_unwritten_doomed_blocks_are_not_written_in_place(void **state)
{
	struct owfs_inode *inode;
	struct owfs_iomap pre, map;

	(void)state;
	fx_done(&fx);
	fx.cut_extents = 1;
	fx_start(&fx, BYTES, BS);
	inode = fx_file(&fx);
	prealloc(inode, 0, 8);
	put(inode, 7, 1, 'x');
	mapping(inode, 0, 8, &pre);
	assert_int_equal(owfs_file_truncate(inode, 0), 0);
	assert_true(owfs_inode_has_intents(inode));
	begin(inode, 0, 4, &map);
	assert_int_not_equal(map.fsblock, pre.fsblock);
	device_write(&map, 'n');
	ioend(inode, 0, 4, 0);
	assert_block(inode, 3, 'n');
	assert_int_equal(inode->i_attr.nblocks, 8);
	fx_check(&fx);
	owfs_iput(inode);
}

static int count_item(void *ctx, const struct owfs_key *key, const void *val,
		      size_t len)
{
	(void)key;
	(void)val;
	(void)len;
	++*(unsigned int *)ctx;
	return 0;
}

static unsigned int intents(struct owfs_inode *inode)
{
	struct owfs_key first = owfs_key(inode->i_ino, OWFS_ITEM_INTENT, 0);
	struct owfs_key last = owfs_key(inode->i_ino, OWFS_ITEM_INTENT,
					UINT64_MAX);
	unsigned int n = 0;

	assert_int_equal(owfs_btree_walk(fx.fs->fs_bt, &first, &last,
					 count_item, &n), 0);
	return n;
}

/* What the kernel writes back does not wait for reclaim: there is no limit. */
static void test_ioends_leave_any_number_of_intents(void **state)
{
	const unsigned int n = 3 * OWFS_INTENTS_MANY;
	struct owfs_inode *inode;
	unsigned int i;
	owfs_ino_t ino;

	(void)state;
	fx_done(&fx);
	fx.cut_extents = 1;
	fx_start(&fx, BYTES, BS);
	inode = fx_file(&fx);
	ino = inode->i_ino;
	put(inode, 0, 2, 'o');
	put(inode, 1, 1, 'p');		/* more than one extent */
	assert_int_equal(owfs_file_truncate(inode, 0), 0);
	for (i = 0; i < n; i++) {
		put(inode, 2 * i + 1, 1, (char)('a' + i % 26));
		if (i % 64 == 0)
			assert_int_equal(owfs_commit_all(fx.fs), 0);
	}
	assert_int_equal(intents(inode), n + 1);
	owfs_iput(inode);
	fx_unmount(&fx);
	fx_open(&fx);
	inode = fx_iget(&fx, ino);
	for (i = 0; i < n; i++) {
		assert_block(inode, 2 * i, 0);
		assert_block(inode, 2 * i + 1, 'a' + i % 26);
	}
	assert_int_equal(owfs_file_truncate(inode, 2 * BS), 0);
	assert_in_range(intents(inode), 1, OWFS_INTENTS_MANY);
	assert_block(inode, 0, 0);
	assert_block(inode, 1, 'a');
	fx_check(&fx);
	owfs_iput(inode);
}

/* ------------------------------------------------------------------ failures */

static void test_an_ioend_that_cannot_be_remapped_loses_data_aloud(void **state)
{
	struct owfs_inode *inode = fx_file(&fx);
	struct owfs_iomap map;

	(void)state;
	put(inode, 0, 1, 'o');
	begin(inode, 0, 1, &map);
	owfs_fs_fail(fx.fs, -EIO, "a test");
	assert_int_equal(owfs_iomap_ioend(inode, 0, BS, 0, NULL), -EROFS);
	assert_int_equal(staged(), 0);
	assert_int_equal(inode->i_data_err, -EROFS);
	assert_int_equal(owfs_iomap_begin_write(inode, 0, 1, &map), -EROFS);
	fx_check(&fx);
	owfs_iput(inode);
}

static void test_places_past_the_largest_file_are_refused(void **state)
{
	struct owfs_inode *inode = fx_file(&fx);
	struct owfs_iomap map;

	(void)state;
	assert_int_equal(owfs_iomap_begin_write(inode, UINT64_MAX / 2, 1, &map),
			 -EFBIG);
	assert_int_equal(owfs_iomap_begin_write(inode, owfs_fileoff_max(fx.fs),
						1, &map), -EFBIG);
	assert_int_equal(owfs_iomap_ioend(inode, INT64_MAX, 2, 0, NULL), -EFBIG);
	assert_int_equal(owfs_iomap_ioend(inode, -1, 2, 0, NULL), -EFBIG);
	begin(inode, owfs_fileoff_max(fx.fs) - 1, 4, &map);
	assert_int_equal(map.len, 1);
	assert_int_equal(owfs_iomap_ioend(inode, (loff_t)(map.off * BS), BS - 1,
					  -EIO, NULL), 0);
	fx_check(&fx);
	owfs_iput(inode);
}

#define T(name)	cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_a_mapping_is_one_only_if_contiguous_on_disk),
		T(test_a_short_allocation_is_no_enospc),
		T(test_the_size_grows_at_ioend_and_never_at_begin),
		T(test_nothing_is_visible_before_ioend),
		T(test_a_repeated_or_stray_ioend_changes_nothing),
		T(test_an_ioend_with_an_error_gives_the_staged_blocks_back),
		T(test_a_replaced_block_is_not_reusable_before_two_commits),
		T(test_preallocated_blocks_are_written_in_place),
		T(test_a_second_write_into_a_preallocated_extent_in_flight_tears_nothing),
		T(test_of_two_writes_in_flight_the_newest_stays),
		T(test_if_one_of_two_fails_the_old_data_stays_and_fsync_says_so),
		T(test_an_ioend_may_come_in_parts),
		T(test_one_ioend_may_end_many_mappings),
		T(test_a_write_into_a_doomed_range_cuts_it_out),
		T(test_unwritten_doomed_blocks_are_not_written_in_place),
		T(test_ioends_leave_any_number_of_intents),
		T(test_an_ioend_that_cannot_be_remapped_loses_data_aloud),
		T(test_places_past_the_largest_file_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
