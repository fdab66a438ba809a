/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The space map of a large device is rebuilt from the tree, whichever of its
 * blocks are lost; a full device and places that cannot be read do not stop a
 * repair.  FSCK_TALK=1 shows what is said.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/util.h"
#include "fsck_defects.h"
#include "repair.h"
#include "trans/trans.h"

#define BYTES	(64ull << 30)	/* 512 groups: a map of two levels */

static struct image big;
static uint64_t big_digest;

static void apply(struct owfs_fs *fs, enum op_kind kind, const char *path,
		  uint64_t pos, uint64_t len)
{
	struct op op = { .kind = kind, .pos = pos, .len = len, .seed = 1 };
	int ret;

	snprintf(op.path, sizeof(op.path), "%s", path);
	ret = rig_apply(fs, &op);
	if (ret)
		fail_msg("%s: %d", path, ret);
}

/* Blocks in several groups, and several commits. */
static void make_big(void)
{
	struct owfs_fs *fs;
	unsigned int i;

	rig_env_init(&big.env, 1);
	big.e = rig_mkfs(&big.env, BYTES, 4096, 2);
	assert_non_null(big.e);
	assert_int_equal(rig_mount(&fs, big.e, &big.env, 0, NULL), 0);
	for (i = 0; i < 4; i++) {
		char name[8] = { 'a', (char)('0' + i) };

		apply(fs, OP_CREATE, name, 0, 0);
		apply(fs, OP_WRITE, name, 0, 10000);
		apply(fs, OP_PREALLOC_KEEP, name, 1 << 20, 150 << 20);
		assert_int_equal(owfs_syncfs(fs), 0);
	}
	assert_int_equal(owfs_unmount(fs), 0);
	big_digest = image_digest(&big);
}

/* ----------------------------------------------------------- the space map */

/* Every slot of the map that was ever written. */
static unsigned int find_slots(owfs_fsblock_t *slots, unsigned int max)
{
	const uint64_t firsts[] = { 0, 1, 2, 3, 4, 5, 6, 126, 252, 378, 504 };
	struct owfs_geo geo;
	unsigned int level, i, slot, n = 0;

	assert_int_equal(owfs_geo_init(&geo, 4096, owfs_geo_fit(4096, BYTES /
								4096)), 0);
	assert_int_equal(geo.levels, 2);
	for (level = 0; level <= geo.levels; level++)
		for (i = 0; i < ARRAY_SIZE(firsts); i++)
			for (slot = 0; slot < OWFS_MAP_SLOTS; slot++) {
				owfs_fsblock_t blk;
				le32_t magic;

				if (level && firsts[i] %
				    (owfs_geo_entry_span(&geo, level) *
				     geo.fanout))
					continue;
				blk = owfs_geo_map_slot(&geo, level, firsts[i],
							slot);
				emubd_peek(big.e, &magic, 4, blk * 4096);
				if (le32_to_cpu(magic) && n < max)
					slots[n++] = blk;
			}
	return n;
}

static void judge_map(struct image *im, const char *what)
{
	struct owfs_repair_report r;

	if (image_repair(im, &r) || r.left.problems)
		fail_msg("%s: %s", what, r.left.first);
	image_assert_clean(im);
	assert_true(image_digest(im) == big_digest);
}

static void test_each_block_of_the_map_may_be_lost(void **state)
{
	owfs_fsblock_t slots[100];
	unsigned int n = find_slots(slots, 100), i;
	struct image im;

	(void)state;
	assert_true(n > 12);
	for (i = 0; i < n; i++) {
		image_fork(&im, &big);
		emubd_garbage(im.e, slots[i] * 4096, 4096, i);
		judge_map(&im, "one");
		image_free(&im);
	}
}

static void test_any_blocks_of_the_map_may_be_lost(void **state)
{
	struct rng rng = { .s = 1 };
	owfs_fsblock_t slots[100];
	unsigned int n = find_slots(slots, 100), i, round;
	struct image im;

	(void)state;
	for (round = 0; round < 60; round++) {
		image_fork(&im, &big);
		for (i = 0; i < n; i++)
			if (!round || rng_below(&rng, 2))
				emubd_garbage(im.e, slots[i] * 4096, 4096, i);
		judge_map(&im, "some");
		image_free(&im);
	}
}

/* ---------------------------------------------------------- unreadable places */

/* Each block that a check reads cannot be read: said, worked around, and over. */
static void judge_unreadable(const struct image *from, uint64_t blk)
{
	struct owfs_repair_report r;
	struct owfs_check_report c;
	struct image im;
	int ret;

	image_fork(&im, from);
	emubd_fault_range(im.e, EMUBD_READ, blk * 4096, 4096, EIO);
	ret = image_repair(&im, &r);
	if (ret || (r.left.problems && !r.left.count[BAD_SUPER_SLOT] &&
		    !r.left.count[BAD_SUPER_SLOTS]))
		fail_msg("block %u: repair=%d: %s", (unsigned int)blk, ret,
			 r.left.first);
	emubd_fault_range(im.e, EMUBD_READ, 0, 0, 0);
	assert_int_equal(image_check(&im, 0, &c), 0);
	if (c.problems)
		fail_msg("block %u: then: %s", (unsigned int)blk, c.first);
	image_free(&im);
}

static void test_what_cannot_be_read_is_worked_around(void **state)
{
	uint64_t blk;

	(void)state;
	for (blk = 16; blk < 90; blk++) {
		judge_unreadable(&defect_base, blk);
		judge_unreadable(&defect_base_dup, blk);
	}
}

/* ------------------------------------------------------------ a full device */

static void test_a_full_device_does_not_stop_a_repair(void **state)
{
	struct owfs_repair_report r;
	struct image full, im;
	size_t i;

	(void)state;
	image_fork(&full, &defect_base);
	image_fill_up(&full);
	image_assert_clean(&full);
	for (i = 0; i < ndefects; i++) {
		const struct defect *d = &defects[i];

		if (d->dup || d->raw || !strcmp(d->name, "f_map_leak") ||
		    !strcmp(d->name, "f_extent_twice"))
			continue;	/* not to be made there, or a copy is needed */
		image_fork(&im, &full);
		edit_begin(&im);
		d->make(&im);
		edit_end(&im);
		if (image_repair(&im, &r) ||
		    r.left.problems != r.left.count[BAD_ITEM_TYPE])
			fail_msg("%s: %s", d->name, r.left.first);
		image_free(&im);
	}
	image_free(&full);
}

/* ------------------------------------------------------------------ setup */

static int setup(void **state)
{
	make_big();
	return defects_setup(state);
}

static int teardown(void **state)
{
	image_free(&big);
	return defects_teardown(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_block_of_the_map_may_be_lost),
		cmocka_unit_test(test_any_blocks_of_the_map_may_be_lost),
		cmocka_unit_test(test_what_cannot_be_read_is_worked_around),
		cmocka_unit_test(test_a_full_device_does_not_stop_a_repair),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
