/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is safe to repair beside what is not, as fsck.owfs -p does it: nothing
 * that the rest of the repair needs is taken away.  Each safe defect is put
 * beside each of the others.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "fsck_defects.h"

struct pair {
	const struct defect *safe, *other;
	struct image im, both;		/* to work with, and as it was made */
};

static int repair_safely(struct image *im, struct owfs_repair_report *r)
{
	struct owfs_repair_param p = image_repair_param(im);

	p.ask = ask_safe;
	p.only_safe = true;
	return owfs_repair(emubd_blkdev(im->e), &p, r);
}

static enum owfs_answer answer(enum owfs_problem what)
{
	return owfs_problem_info(what)->answer;
}

static bool is_safe(const struct defect *d)
{
	int i;

	for (i = 0; d->want[i] != DEFECT_LAST; i++)
		if (answer(d->want[i]) != OWFS_ANSWER_SAFE)
			return false;
	return true;
}

static const struct defect *find(const char *name)
{
	size_t i;

	for (i = 0; i < ndefects; i++)
		if (!strcmp(defects[i].name, name))
			return &defects[i];
	fail_msg("no defect is called %s", name);
	return NULL;
}

/* Items first: bytes of nodes would be written anew. */
static void make_both(struct pair *p)
{
	struct image *im = &p->both;

	image_fork(im, p->safe->dup || p->other->dup ? &defect_base_dup
						     : &defect_base);
	if (!p->safe->raw || !p->other->raw) {
		edit_begin(im);
		if (!p->safe->raw)
			p->safe->make(im);
		if (!p->other->raw)
			p->other->make(im);
		edit_end(im);
	}
	if (p->safe->raw)
		p->safe->make(im);
	if (p->other->raw)
		p->other->make(im);
	image_fork(&p->im, im);
}

static void pair_free(struct pair *p)
{
	image_free(&p->im);
	image_free(&p->both);
}

/* Some are made of the same bytes, entry or item. */
static bool can_be_both(const struct defect *a, const struct defect *b)
{
	static const char *const not[][2] = {
		{ "f_super_slot", "f_inode_short" },
		{ "f_dir_parent", "f_dir_names" },
		{ "f_dir_parent", "f_dir_loop" },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(not); i++)
		if (!strcmp(a->name, not[i][0]) && !strcmp(b->name, not[i][1]))
			return false;
	return !(a->raw && b->raw);
}

/* ------------------------------------------------------------- every pair */

static void assert_still_there(struct pair *p)
{
	struct owfs_check_report was, is;
	int i;

	assert_int_equal(image_check(&p->both, OWFS_CHECK_CURRENT, &was), 0);
	assert_int_equal(image_check(&p->im, OWFS_CHECK_CURRENT, &is), 0);
	for (i = 0; i < OWFS_PROBLEM_KINDS; i++)
		if (answer(i) != OWFS_ANSWER_SAFE && is.count[i] < was.count[i])
			fail_msg("%s and %s: %s is gone", p->safe->name,
				 p->other->name, owfs_problem_info(i)->name);
}

static void assert_ends(struct pair *p)
{
	struct owfs_repair_report r;
	uint64_t hash = emubd_hash(p->im.e);

	assert_int_equal(repair_safely(&p->im, &r), 0);
	if (r.changed || r.corrected || emubd_hash(p->im.e) != hash)
		fail_msg("%s and %s: a second run goes on", p->safe->name,
			 p->other->name);
}

/* What the whole repair makes of it is what it had made of it at once. */
static void assert_nothing_lost(struct pair *p)
{
	struct owfs_repair_report after, at_once;

	assert_int_equal(image_repair(&p->im, &after), 0);
	assert_int_equal(image_repair(&p->both, &at_once), 0);
	if (after.left.problems != at_once.left.problems)
		fail_msg("%s and %s: left=%u at once=%u: %s", p->safe->name,
			 p->other->name, after.left.problems,
			 at_once.left.problems, after.left.first);
	if (!after.left.problems &&
	    image_digest(&p->im) != image_digest(&p->both))
		fail_msg("%s and %s: something is lost", p->safe->name,
			 p->other->name);
}

static void judge_pair(struct pair *p)
{
	struct owfs_repair_report r;

	if (getenv("DEFECT"))
		print_message("%s %s\n", p->safe->name, p->other->name);
	make_both(p);
	assert_int_equal(repair_safely(&p->im, &r), 0);
	assert_still_there(p);
	assert_ends(p);
	assert_nothing_lost(p);
	pair_free(p);
}

static void test_nothing_is_lost_that_the_rest_needs(void **state)
{
	const char *only = getenv("DEFECT");
	unsigned int n = 0;
	size_t i, j;

	(void)state;
	for (i = 0; i < ndefects; i++)
		for (j = 0; j < ndefects; j++) {
			struct pair p = { .safe = &defects[i], .other = &defects[j] };

			if (!is_safe(p.safe) || is_safe(p.other) ||
			    !can_be_both(p.safe, p.other) ||
			    (only && strcmp(only, p.other->name)))
				continue;
			judge_pair(&p);
			n++;
		}
	assert_true(only || n > 500);
}

/* ------------------------------------------------------------- named pairs */

static void expect(const char *safe, const char *other, bool mended)
{
	struct pair p = { .safe = find(safe), .other = find(other) };
	struct owfs_repair_report r;
	uint64_t hash;

	make_both(&p);
	hash = emubd_hash(p.im.e);
	assert_int_equal(repair_safely(&p.im, &r), 0);
	if (r.changed != mended || (r.corrected != 0) != mended ||
	    (emubd_hash(p.im.e) != hash) != mended ||
	    (mended && r.left.count[p.safe->want[0]]))
		fail_msg("%s beside %s: changed=%d corrected=%u left=%u: %s",
			 safe, other, r.changed, r.corrected, r.left.problems,
			 r.left.first);
	assert_still_there(&p);
	pair_free(&p);
}

static void test_what_is_safe_is_mended(void **state)
{
	(void)state;
	expect("f_inode_birth", "f_xattr_hash", true);
	expect("f_inode_nblocks", "f_symlink_nul", true);
	expect("f_dir_size", "f_xattr_item", true);
	expect("f_second_copy", "f_dirent_hash", true);
	expect("f_map_free", "f_symlink_nul", true);
	expect("f_inode_nlink", "f_dirent_target", true);
	expect("f_dirent_ftype", "f_orphan_with_name", true);
}

/* The commit before the last is what a hole is filled from. */
static void test_a_hole_keeps_the_commit_before(void **state)
{
	(void)state;
	expect("f_inode_birth", "f_node_read", false);
	expect("f_inode_nblocks", "f_leaf_lost", false);
	expect("f_inode_nlink", "f_leaf_lost", false);
	expect("f_orphan_target", "f_leaf_lost", false);
}

static void test_what_forbids_writing_does_so(void **state)
{
	(void)state;
	expect("f_inode_birth", "f_node_twice", false);
	expect("f_dir_size", "f_extent_twice", false);
	expect("f_dir_size", "f_extent_place", false);
	expect("f_map_leak", "f_dir_names", false);
}

/* What may own blocks may own those of a group that nobody knows. */
static void test_a_lost_map_waits_for_the_owners(void **state)
{
	(void)state;
	expect("f_map_read", "f_item_type", false);
	expect("f_map_read", "f_inode_short", false);
	expect("f_map_leak", "f_item_type", false);
}

static void test_names_wait_for_the_items(void **state)
{
	(void)state;
	expect("f_inode_nlink", "f_dirent_item", false);
	expect("f_dirent_ftype", "f_item_misfit", false);
	expect("f_orphan_target", "f_item_alone", false);
}

/* ... and for a loop to be cut, which takes away an entry. */
static void test_names_wait_for_a_loop(void **state)
{
	(void)state;
	expect("f_inode_nlink", "f_dir_loop", false);
	expect("f_orphan_target", "f_dir_loop", false);
}

/* Nothing is left of the root directory, its names neither. */
static void test_names_wait_for_the_root_directory(void **state)
{
	struct owfs_key key = owfs_key(OWFS_INO_ROOT, OWFS_ITEM_INODE, 0);
	struct owfs_key last = owfs_key(OWFS_INO_ROOT, OWFS_ITEM_DIRENT,
					UINT64_MAX);
	struct owfs_repair_report r;
	struct image im;
	char byte;

	(void)state;
	image_fork(&im, &defect_base);
	edit_begin(&im);
	while (owfs_btree_next(im.fs->fs_bt, &key, &last, &byte, 1) >= 0)
		item_del(&im, key);
	POKE(&im, im.deep, nlink, 3);
	edit_end(&im);
	assert_int_equal(repair_safely(&im, &r), 0);
	assert_int_equal(r.left.count[BAD_ROOT_DIR], 1);
	assert_int_equal(r.left.count[BAD_INODE_NLINK], 1);
	assert_false(r.changed);
	image_free(&im);
}

/* A superblock is written where no commit may be: all goes back, later. */
static void test_superblocks_are_mended_beside_a_hole(void **state)
{
	struct pair p = { .safe = find("f_super_slot"),
			  .other = find("f_node_read") };
	struct owfs_repair_report r;

	(void)state;
	image_fork(&p.both, &defect_base);
	f_super_slot(&p.both);
	f_node_read(&p.both);
	image_fork(&p.im, &p.both);
	assert_int_equal(repair_safely(&p.im, &r), 0);
	assert_true(r.changed);
	assert_int_equal(r.corrected, 1);
	assert_int_equal(r.left.count[BAD_SUPER_SLOT], 0);
	assert_int_equal(r.left.count[BAD_COMMIT_LAST], 1);
	assert_still_there(&p);
	assert_ends(&p);
	assert_nothing_lost(&p);
	pair_free(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_is_lost_that_the_rest_needs),
		cmocka_unit_test(test_what_is_safe_is_mended),
		cmocka_unit_test(test_a_hole_keeps_the_commit_before),
		cmocka_unit_test(test_what_forbids_writing_does_so),
		cmocka_unit_test(test_a_lost_map_waits_for_the_owners),
		cmocka_unit_test(test_names_wait_for_the_items),
		cmocka_unit_test(test_names_wait_for_a_loop),
		cmocka_unit_test(test_names_wait_for_the_root_directory),
		cmocka_unit_test(test_superblocks_are_mended_beside_a_hole),
	};

	return cmocka_run_group_tests(tests, defects_setup, defects_teardown);
}
