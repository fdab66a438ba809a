/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Extents: what an edit makes of them, and what bad items do. */
#include "object_fixture.h"

#define BYTES	(16u << 20)

static struct fx fx;

static int setup(void **state)
{
	(void)state;
	fx = (struct fx){ .seed = 7 };
	fx_start(&fx, BYTES, 4096);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fx_done(&fx);
	return 0;
}

/* Blocks from the allocator, contiguous or the test is off. */
static owfs_fsblock_t stage(uint64_t n)
{
	owfs_fsblock_t start;
	uint64_t len;

	assert_int_equal(owfs_alloc_reserve(fx.fs->fs_al, n, OWFS_RESV_NORMAL), 0);
	assert_int_equal(owfs_alloc_data(fx.fs->fs_al, OWFS_NOBLOCK, n, &start,
					 &len), 0);
	assert_int_equal(len, n);
	return start;
}

static void apply(struct owfs_extent_edit *ed)
{
	struct owfs_inode *inode = ed->inode;
	struct owfs_trans tr;

	assert_int_equal(owfs_extent_edit_prepare(ed), 0);
	assert_int_equal(owfs_extent_begin(fx.fs, &tr,
					   owfs_extent_edit_cost(ed), 0,
					   OWFS_RESV_NORMAL), 0);
	assert_int_equal(owfs_extent_edit_apply(ed, &tr), 0);
	assert_int_equal(owfs_inode_store(&tr, inode, false), 0);
	assert_int_equal(owfs_trans_end(&tr), 0);
	owfs_extent_edit_done(ed);
}

static void map(struct owfs_inode *inode, owfs_fileoff_t off, uint64_t len,
		owfs_fsblock_t blk, uint32_t flags)
{
	struct owfs_extent_edit ed;

	owfs_extent_edit_init(&ed, inode);
	pthread_rwlock_wrlock(&inode->i_lock);
	assert_int_equal(owfs_extent_edit_load(&ed, off, off + len, 0), 0);
	assert_int_equal(owfs_extent_edit_map(&ed, off, len, blk, flags), 0);
	apply(&ed);
	pthread_rwlock_unlock(&inode->i_lock);
}

static void punch(struct owfs_inode *inode, owfs_fileoff_t off,
		  owfs_fileoff_t end)
{
	struct owfs_extent_edit ed;

	owfs_extent_edit_init(&ed, inode);
	pthread_rwlock_wrlock(&inode->i_lock);
	assert_int_equal(owfs_extent_edit_load(&ed, off, end, 0), 0);
	assert_int_equal(owfs_extent_edit_punch(&ed, off, end), 0);
	apply(&ed);
	pthread_rwlock_unlock(&inode->i_lock);
}

/* Is [off, off + len) one extent at @blk? */
static void assert_extent(struct owfs_inode *inode, owfs_fileoff_t off,
			  uint64_t len, owfs_fsblock_t blk)
{
	struct owfs_extent ext;

	pthread_rwlock_rdlock(&inode->i_lock);
	assert_int_equal(owfs_extent_find(inode, off, off, &ext), 0);
	pthread_rwlock_unlock(&inode->i_lock);
	assert_int_equal(ext.off, off);
	assert_int_equal(ext.len, len);
	assert_int_equal(ext.fsblock, blk);
}

static void test_neighbours_that_touch_become_one(void **state)
{
	struct owfs_inode *inode = fx_file(&fx);
	owfs_fsblock_t b = stage(12);

	(void)state;
	map(inode, 0, 4, b, 0);
	map(inode, 8, 4, b + 8, 0);
	assert_int_equal(fx_extents(inode), 2);
	assert_int_equal(owfs_commit_all(fx.fs), 0);
	map(inode, 4, 4, b + 4, 0);
	assert_int_equal(fx_extents(inode), 1);
	assert_extent(inode, 0, 12, b);
	fx_check(&fx);
	owfs_iput(inode);
}

static void test_neighbours_of_another_kind_stay_apart(void **state)
{
	struct owfs_inode *inode = fx_file(&fx);
	owfs_fsblock_t b = stage(16);

	(void)state;
	map(inode, 0, 4, b, 0);
	map(inode, 4, 4, b + 4, OWFS_EXTENT_UNWRITTEN);
	map(inode, 9, 1, b + 9, OWFS_EXTENT_UNWRITTEN);	/* a gap in the file */
	map(inode, 10, 1, b + 8, OWFS_EXTENT_UNWRITTEN);	/* not in order on disk */
	assert_int_equal(fx_extents(inode), 4);
	owfs_alloc_unstage(fx.fs->fs_al, b + 10, 6, false);
	owfs_iput(inode);
}

static void test_extents_grow_no_longer_than_an_item_can_say(void **state)
{
	struct owfs_extent a = { .len = OWFS_EXTENT_MAX, .fsblock = 5000, .birth = 1 };
	struct owfs_extent_item d;
	struct owfs_key key = owfs_key(20, OWFS_ITEM_EXTENT, 0);
	struct owfs_geo geo;

	(void)state;
	assert_int_equal(owfs_geo_init(&geo, 4096,
				       owfs_geo_fit(4096, 1ull << 30)), 0);
	a.fsblock = 64;
	owfs_extent_to_disk(&d, &a);
	/* such a run would cross a group's map slots */
	assert_non_null(owfs_extent_from_disk(&geo, 9, &key, &d, sizeof(d), &a));
	d.len = cpu_to_le32(100);
	assert_null(owfs_extent_from_disk(&geo, 9, &key, &d, sizeof(d), &a));
	assert_int_equal(a.len, 100);
}

static void test_a_hole_in_the_middle_splits(void **state)
{
	struct owfs_inode *inode = fx_file(&fx);
	owfs_fsblock_t b = stage(10);
	struct owfs_alloc_stat st0, st;

	(void)state;
	map(inode, 100, 10, b, 0);
	owfs_alloc_stat(fx.fs->fs_al, &st0);
	punch(inode, 103, 105);
	assert_int_equal(fx_extents(inode), 2);
	assert_extent(inode, 100, 3, b);
	assert_extent(inode, 105, 5, b + 5);
	owfs_alloc_stat(fx.fs->fs_al, &st);
	assert_true(st.pinned >= st0.pinned + 2);
	punch(inode, 0, 104);
	assert_extent(inode, 105, 5, b + 5);
	assert_int_equal(fx_extents(inode), 1);
	punch(inode, 107, UINT64_MAX);
	assert_extent(inode, 105, 2, b + 5);
	punch(inode, 0, UINT64_MAX);
	assert_int_equal(fx_extents(inode), 0);
	assert_int_equal(inode->i_attr.nblocks, 0);
	fx_check(&fx);
	owfs_iput(inode);
}

static void test_an_exact_replacement_is_one_item(void **state)
{
	struct owfs_inode *inode = fx_file(&fx);
	owfs_fsblock_t a = stage(3), b = stage(1), c;
	size_t i;

	(void)state;
	map(inode, 0, 3, a, 0);
	map(inode, 1, 1, b, 0);
	assert_int_equal(fx_extents(inode), 3);
	for (i = 0; i < 20; i++) {
		c = stage(1);
		map(inode, 1, 1, c, 0);
		assert_extent(inode, 1, 1, c);
		assert_int_equal(fx_extents(inode), 3);
	}
	fx_check(&fx);
	owfs_iput(inode);
}

static void test_conversion_passes_over_what_has_changed(void **state)
{
	struct owfs_inode *inode = fx_file(&fx);
	owfs_fsblock_t b = stage(8), c = stage(2);
	struct owfs_extent_edit ed;
	struct owfs_extent ext;

	(void)state;
	map(inode, 0, 8, b, OWFS_EXTENT_UNWRITTEN);
	map(inode, 2, 2, c, OWFS_EXTENT_UNWRITTEN);	/* other blocks now */
	punch(inode, 6, 7);
	owfs_extent_edit_init(&ed, inode);
	pthread_rwlock_wrlock(&inode->i_lock);
	assert_int_equal(owfs_extent_edit_load(&ed, 1, 8, 0), 0);
	assert_int_equal(owfs_extent_edit_convert(&ed, 1, 7, b + 1), 0);
	assert_int_equal(ed.freed.n, 0);
	apply(&ed);
	assert_int_equal(owfs_extent_find(inode, 0, 0, &ext), 0);
	assert_int_equal(ext.flags, OWFS_EXTENT_UNWRITTEN);
	assert_int_equal(ext.len, 1);
	assert_int_equal(owfs_extent_find(inode, 1, 1, &ext), 0);
	assert_int_equal(ext.flags, 0);
	assert_int_equal(owfs_extent_find(inode, 2, 2, &ext), 0);
	assert_int_equal(ext.flags, OWFS_EXTENT_UNWRITTEN);
	assert_int_equal(ext.fsblock, c);
	assert_int_equal(owfs_extent_find(inode, 4, 4, &ext), 0);
	assert_int_equal(ext.flags, 0);
	assert_int_equal(ext.len, 2);
	assert_int_equal(owfs_extent_find(inode, 6, 7, &ext), 0);
	assert_int_equal(ext.off, 7);
	assert_int_equal(ext.flags, 0);
	pthread_rwlock_unlock(&inode->i_lock);
	fx_check(&fx);
	owfs_iput(inode);
}

/* Many single blocks, no two of them neighbours on disk. */
static void scatter(struct owfs_inode *inode, unsigned int n)
{
	owfs_fsblock_t b = stage(2 * n);
	unsigned int i;

	for (i = 0; i < n; i++) {
		map(inode, i, 1, b + 2 * i, 0);
		owfs_alloc_unstage(fx.fs->fs_al, b + 2 * i + 1, 1, false);
	}
}

static void test_a_load_stops_at_its_limit(void **state)
{
	struct owfs_inode *inode = fx_file(&fx);
	struct owfs_extent_edit ed;

	(void)state;
	scatter(inode, 200);
	owfs_extent_edit_init(&ed, inode);
	pthread_rwlock_wrlock(&inode->i_lock);
	assert_int_equal(owfs_extent_edit_load(&ed, 10, 190, 64), 1);
	assert_int_equal(ed.end, 74);
	assert_int_equal(ed.old.n, 65);		/* and the one on the left */
	owfs_extent_edit_done(&ed);
	owfs_extent_edit_init(&ed, inode);
	assert_int_equal(owfs_extent_edit_load(&ed, 10, 74, 64), 0);
	assert_int_equal(ed.old.n, 66);		/* and the one on the right */
	owfs_extent_edit_done(&ed);
	pthread_rwlock_unlock(&inode->i_lock);
	owfs_iput(inode);
}

static void test_one_edit_may_replace_many(void **state)
{
	struct owfs_inode *inode = fx_file(&fx);
	struct owfs_extent_edit ed;
	owfs_fsblock_t b;
	unsigned int i;

	(void)state;
	scatter(inode, 300);
	b = stage(300);
	owfs_extent_edit_init(&ed, inode);
	pthread_rwlock_wrlock(&inode->i_lock);
	assert_int_equal(owfs_extent_edit_load(&ed, 0, 300, 0), 0);
	for (i = 0; i < 300; i += 3)
		assert_int_equal(owfs_extent_edit_map(&ed, i, 3, b + i, 0), 0);
	apply(&ed);
	pthread_rwlock_unlock(&inode->i_lock);
	assert_int_equal(fx_extents(inode), 1);
	assert_extent(inode, 0, 300, b);
	fx_check(&fx);
	owfs_iput(inode);
}

/* ---------------------------------------------------------------- bad items */

static void put_raw(struct owfs_inode *inode, owfs_fileoff_t off,
		    const void *val, size_t len)
{
	struct owfs_key key = owfs_key(inode->i_ino, OWFS_ITEM_EXTENT, off);
	struct owfs_trans tr;

	assert_int_equal(owfs_trans_begin(fx.fs, &tr, 1, 1, OWFS_RESV_NORMAL), 0);
	assert_int_equal(owfs_btree_insert(fx.fs->fs_bt, &key, val, len), 0);
	assert_int_equal(owfs_trans_end(&tr), 0);
}

static void expect_corrupted(const char *what, owfs_fileoff_t off, const void *val,
			     size_t len)
{
	struct owfs_inode *inode = fx_file(&fx);
	struct owfs_extent ext;
	struct owfs_extent_edit ed;

	put_raw(inode, off, val, len);
	pthread_rwlock_wrlock(&inode->i_lock);
	assert_int_equal(owfs_extent_find(inode, 0, UINT64_MAX, &ext),
			 -EFSCORRUPTED);
	if (!strstr(fx.said, what))
		fail_msg("said: %s", fx.said);
	owfs_extent_edit_init(&ed, inode);
	assert_int_equal(owfs_extent_edit_load(&ed, 0, UINT64_MAX, 0),
			 -EFSCORRUPTED);
	owfs_extent_edit_done(&ed);
	pthread_rwlock_unlock(&inode->i_lock);
	assert_int_equal(owfs_fs_writable(fx.fs), -EROFS);
	owfs_iput(inode);
	fx_done(&fx);
	setup(NULL);
}

static void test_bad_items_are_never_believed(void **state)
{
	const struct owfs_extent_item good = {
		.fsblock = cpu_to_le64(2000), .len = cpu_to_le32(4),
		.birth = cpu_to_le64(1),
	};
	struct owfs_extent_item d;

	(void)state;
	expect_corrupted("wrong size", 5, &good, sizeof(good) - 8);
	expect_corrupted("past the largest", OWFS_FILE_BYTES_MAX / 4096 - 2, &good,
			 sizeof(good));
	d = good;
	d.len = cpu_to_le32(0);
	expect_corrupted("bad length", 5, &d, sizeof(d));
	d.len = cpu_to_le32(OWFS_EXTENT_MAX + 1);
	expect_corrupted("bad length", 5, &d, sizeof(d));
	d = good;
	d.flags = cpu_to_le32(8);
	expect_corrupted("unknown flags", 5, &d, sizeof(d));
	d = good;
	d.fsblock = cpu_to_le64(BYTES / 4096 - 2);
	expect_corrupted("not on blocks", 5, &d, sizeof(d));
	d.fsblock = cpu_to_le64(UINT64_MAX - 1);
	expect_corrupted("not on blocks", 5, &d, sizeof(d));
	d.fsblock = cpu_to_le64(0);
	expect_corrupted("not on blocks", 5, &d, sizeof(d));
	d = good;
	d.birth = cpu_to_le64(1u << 30);
	expect_corrupted("born in the future", 5, &d, sizeof(d));
	d.birth = cpu_to_le64(0);
	expect_corrupted("born in the future", 5, &d, sizeof(d));
}

static void test_overlapping_items_are_found(void **state)
{
	struct owfs_inode *inode = fx_file(&fx);
	struct owfs_extent_item d = {
		.fsblock = cpu_to_le64(2000), .len = cpu_to_le32(4),
		.birth = cpu_to_le64(1),
	};
	struct owfs_extent_edit ed;

	(void)state;
	put_raw(inode, 0, &d, sizeof(d));
	put_raw(inode, 3, &d, sizeof(d));
	owfs_extent_edit_init(&ed, inode);
	pthread_rwlock_wrlock(&inode->i_lock);
	assert_int_equal(owfs_extent_edit_load(&ed, 0, 9, 0), -EFSCORRUPTED);
	pthread_rwlock_unlock(&inode->i_lock);
	owfs_extent_edit_done(&ed);
	assert_non_null(strstr(fx.said, "overlaps"));
	owfs_iput(inode);
}

static void test_more_blocks_than_the_inode_says_are_not_freed(void **state)
{
	struct owfs_inode *inode = fx_file(&fx);
	owfs_fsblock_t b = stage(4);
	struct owfs_extent_edit ed;

	(void)state;
	map(inode, 0, 4, b, 0);
	owfs_extent_edit_init(&ed, inode);
	pthread_rwlock_wrlock(&inode->i_lock);
	inode->i_attr.nblocks = 3;
	assert_int_equal(owfs_extent_edit_load(&ed, 0, 4, 0), 0);
	assert_int_equal(owfs_extent_edit_punch(&ed, 0, 4), 0);
	assert_int_equal(owfs_extent_edit_prepare(&ed), -EFSCORRUPTED);
	pthread_rwlock_unlock(&inode->i_lock);
	owfs_extent_edit_done(&ed);
	assert_int_equal(owfs_fs_writable(fx.fs), -EROFS);
	owfs_iput(inode);
}

#define T(name)	cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_neighbours_that_touch_become_one),
		T(test_neighbours_of_another_kind_stay_apart),
		T(test_extents_grow_no_longer_than_an_item_can_say),
		T(test_a_hole_in_the_middle_splits),
		T(test_an_exact_replacement_is_one_item),
		T(test_conversion_passes_over_what_has_changed),
		T(test_a_load_stops_at_its_limit),
		T(test_one_edit_may_replace_many),
		T(test_bad_items_are_never_believed),
		T(test_overlapping_items_are_found),
		T(test_more_blocks_than_the_inode_says_are_not_freed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
