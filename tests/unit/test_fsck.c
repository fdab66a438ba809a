/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The check finds each kind of damage and calls it by its name, finds nothing
 * in what is sound, and survives what is worse.  FSCK_TALK=1 shows what it
 * says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/util.h"
#include "file/attr.h"
#include "fsck_defects.h"
#include "mkfs.h"
#include "trans/trans.h"

static bool is_wanted(const struct defect *d, enum owfs_problem what)
{
	int i;

	for (i = 0; d->want[i] != DEFECT_LAST; i++)
		if (d->want[i] == what)
			return true;
	return false;
}

static int judge_defect(const struct defect *d)
{
	struct owfs_check_report r;
	struct image im;
	int i, wrong = 0;

	defect_make(d, &im);
	assert_int_equal(image_check(&im, 0, &r), 0);
	for (i = 0; i < OWFS_PROBLEM_KINDS; i++) {
		if ((r.count[i] != 0) == is_wanted(d, i))
			continue;
		wrong++;
		print_message("%s: %s %s\n", d->name,
			      owfs_problem_info(i)->name,
			      r.count[i] ? "was reported" : "was not reported");
	}
	if (wrong)
		print_message("%s: first: %s\n", d->name, r.first);
	image_free(&im);
	return wrong;
}

static void test_each_defect_is_called_by_its_name(void **state)
{
	int wrong = 0;
	size_t i;

	(void)state;
	for (i = 0; i < ndefects; i++)
		wrong += judge_defect(&defects[i]);
	assert_int_equal(wrong, 0);
}

static void test_every_problem_has_a_defect(void **state)
{
	bool seen[OWFS_PROBLEM_KINDS] = { false };
	int i, j, missing = 0;

	(void)state;
	/* these have tests of their own */
	seen[BAD_SUPER_NONE] = seen[BAD_SUPER_SHORT] = true;
	seen[BAD_COMMIT_BEFORE] = true;
	/* only a repair asks whether to go back: test_repair.c */
	seen[BAD_COMMIT_LAST] = true;
	for (i = 0; i < (int)ndefects; i++)
		for (j = 0; defects[i].want[j] != DEFECT_LAST; j++)
			seen[defects[i].want[j]] = true;
	for (i = 0; i < OWFS_PROBLEM_KINDS; i++)
		if (!seen[i]) {
			print_message("no image for %s\n",
				      owfs_problem_info(i)->name);
			missing++;
		}
	assert_int_equal(missing, 0);
}

/* -------------------------------------------------------------- sound ones */

static void test_a_sound_image_has_no_problem(void **state)
{
	static const uint32_t sizes[] = { 4096, 8192, 65536 };
	struct image im;
	unsigned int i;

	(void)state;
	image_assert_clean(&defect_base);
	image_assert_clean(&defect_base_dup);
	for (i = 0; i < 6; i++) {
		image_make(&im, sizes[i / 2], 1 + i % 2);
		image_assert_clean(&im);
		image_free(&im);
	}
}

static void test_the_report_counts_what_is_there(void **state)
{
	struct owfs_check_report r;

	(void)state;
	assert_int_equal(image_check(&defect_base, 0, &r), 0);
	assert_int_equal(r.files, 3);
	assert_int_equal(r.dirs, 3);
	assert_int_equal(r.symlinks, 2);
	assert_int_equal(r.data_blocks, 5 + 4 + 1);
	assert_int_equal(r.used_blocks, r.data_blocks + r.nodes);
	assert_true(r.clean);
}

static void test_an_unfinished_truncation_is_no_problem(void **state)
{
	struct image im;

	(void)state;
	image_fork(&im, &defect_base);
	edit_begin(&im);
	make_intent(&im);
	edit_end(&im);
	image_assert_clean(&im);
	image_free(&im);
}

/* An inode on its way out: its attributes go some steps before their values. */
static void test_a_removal_half_done_is_no_problem(void **state)
{
	const struct op create = { .kind = OP_CREATE, .path = "big" };
	const struct op unlink = { .kind = OP_UNLINK, .path = "big" };
	static const char value[5000];
	struct owfs_check_report r;
	struct owfs_inode *inode;
	unsigned int i, steps = 0;
	struct owfs_fs *fs;
	struct image im;
	char name[16];
	int ret;

	(void)state;
	image_fork(&im, &defect_base);
	assert_int_equal(rig_mount(&fs, im.e, &im.env, 0, NULL), 0);
	assert_int_equal(rig_apply(fs, &create), 0);
	inode = rig_lookup(fs, "big", &ret);
	assert_non_null(inode);
	for (i = 0; i < 40; i++) {
		ret = sprintf(name, "user.%u", i);
		assert_int_equal(owfs_setxattr(inode, name, (size_t)ret, value,
					       sizeof(value), 0), 0);
	}
	owfs_iput(inode);
	assert_int_equal(rig_apply(fs, &unlink), 0);
	do {
		assert_int_equal(owfs_syncfs(fs), 0);
		assert_int_equal(image_check(&im, OWFS_CHECK_CURRENT, &r), 0);
		assert_int_equal(r.problems, 0);
		steps++;
		ret = owfs_reclaim_step(fs);
	} while (ret > 0);
	assert_int_equal(ret, 0);
	assert_in_range(steps, 2, 100);
	owfs_mount_abandon(fs);
	image_free(&im);
}

static void test_a_torn_slot_that_was_due_is_no_problem(void **state)
{
	struct image im;

	(void)state;
	image_fork(&im, &defect_base);
	emubd_garbage(im.e, slot_pos(slot_due(&im)), 512, 1);
	image_assert_clean(&im);
	image_free(&im);
}

/* --------------------------------------------------------- killed makers */

/* What is left of mkfs over another filesystem is neither the old one nor half a new one. */
static void judge_remains(struct emubd *from, struct emubd *log, size_t cut,
			  enum emubd_crash_mode mode, uint64_t seed,
			  bool old_may_live)
{
	struct emubd *e = emubd_crash(from, log, cut, mode, seed);
	struct image im = { .e = e };
	struct owfs_check_report r;
	int ret = image_check(&im, 0, &r);

	if (!ret && !r.problems && r.files && !old_may_live)
		fail_msg("cut %zu: the old filesystem lives on", cut);
	if (!ret && !r.problems && !r.files)
		assert_int_equal(r.dirs, 1);	/* the new one, complete */
	emubd_destroy(e);
}

static void test_a_killed_mkfs_leaves_no_filesystem(void **state)
{
	const struct owfs_mkfs_param p = { .env = &defect_base.env.env };
	struct image im;
	size_t cut, flushed = 0;
	uint64_t seed;

	(void)state;
	image_fork(&im, &defect_base);
	emubd_record(im.e, true);
	assert_int_equal(owfs_mkfs(emubd_blkdev(im.e), &p), 0);
	emubd_record(im.e, false);
	while (emubd_log_at(im.e, flushed)->kind != EMUBD_FLUSH)
		flushed++;
	for (cut = 0; cut <= emubd_log_len(im.e); cut++) {
		judge_remains(defect_base.e, im.e, cut, EMUBD_CRASH_PREFIX, 0,
			      cut <= flushed);
		for (seed = 0; seed < 5; seed++)
			judge_remains(defect_base.e, im.e, cut, EMUBD_CRASH_SEEDED,
				      seed, cut <= flushed);
	}
	image_assert_clean(&im);
	image_free(&im);
}

/* ------------------------------------------------------------- worse cases */

static void test_no_superblock_is_no_filesystem(void **state)
{
	struct owfs_check_report r;
	struct image im;
	unsigned int i;
	char zero[512] = { 0 };

	(void)state;
	image_fork(&im, &defect_base);
	for (i = 0; i < 4; i++)
		emubd_flip_bit(im.e, slot_pos(i) + 100, 1);
	assert_int_equal(image_check(&im, 0, &r), -EFSBADCRC);
	assert_int_equal(r.count[BAD_SUPER_NONE], 1);
	for (i = 0; i < 4; i++)
		emubd_poke(im.e, zero, sizeof(zero), slot_pos(i));
	assert_int_equal(image_check(&im, 0, &r), -ENODEV);
	assert_int_equal(r.problems, 0);
	image_free(&im);
}

static void test_a_cut_device_is_reported(void **state)
{
	struct owfs_blkdev *bd;
	struct owfs_check_report r;
	struct image im;

	(void)state;
	/* 24 MiB, so that it is a device at all when cut to 16 */
	memset(&im, 0, sizeof(im));
	rig_env_init(&im.env, 1);
	im.e = rig_mkfs(&im.env, 24 << 20, 4096, 1);
	assert_non_null(im.e);
	bd = emubd_blkdev(im.e);
	bd->size = 16 << 20;
	assert_int_equal(image_check(&im, 0, &r), 0);
	assert_int_equal(r.count[BAD_SUPER_SHORT], 1);
	assert_int_equal(r.count[BAD_SUPER_SLOTS], 1);
	bd->size = 24 << 20;
	image_free(&im);
}

static int stop_in_pass_2(void *ctx, unsigned int pass, uint64_t done,
			  uint64_t total)
{
	(void)ctx;
	(void)done;
	(void)total;
	return pass == 2;
}

/* What the last commit does not share with the one before is damaged there. */
static void test_a_damaged_commit_before_is_reported_when_asked(void **state)
{
	struct owfs_check_report r;
	struct owfs_slots slots;
	struct owfs_super sb;
	struct image im;

	(void)state;
	image_fork(&im, &defect_base);
	assert_int_equal(owfs_super_read(emubd_blkdev(im.e), &sb, &slots, NULL),
			 0);
	emubd_flip_bit(im.e, sb.root[1].tree.addr[0] * 4096 + 1000, 3);
	assert_int_equal(image_check(&im, OWFS_CHECK_CURRENT, &r), 0);
	assert_int_equal(r.problems, 0);
	assert_int_equal(image_check(&im, OWFS_CHECK_CURRENT |
				     OWFS_CHECK_PREVIOUS, &r), 0);
	assert_int_equal(r.count[BAD_COMMIT_BEFORE], 1);
	assert_int_equal(r.count[BAD_NODE_READ], 1);
	image_free(&im);
}

static void test_a_check_can_be_cancelled(void **state)
{
	const struct owfs_check_param p = { .progress = stop_in_pass_2 };
	struct owfs_check_report r;

	(void)state;
	assert_int_equal(owfs_check(emubd_blkdev(defect_base.e), &p, &r), -ECANCELED);
}

static void test_read_errors_are_problems_or_refusals(void **state)
{
	struct owfs_check_report r;
	struct image im;
	uint64_t n, reads;
	int ret;

	(void)state;
	image_fork(&im, &defect_base);
	reads = emubd_count(im.e, EMUBD_READ);
	assert_int_equal(image_check(&im, OWFS_CHECK_PREVIOUS |
				     OWFS_CHECK_CURRENT, &r), 0);
	reads = emubd_count(im.e, EMUBD_READ) - reads;
	assert_true(reads > 8);
	for (n = 1; n <= reads; n++) {
		emubd_fault(im.e, EMUBD_READ, n, 1, EIO);
		ret = image_check(&im, OWFS_CHECK_PREVIOUS | OWFS_CHECK_CURRENT,
				  &r);
		if (n > 4 && !ret && !r.problems && n <= 8)
			continue;	/* a slot read a second time */
		if (!ret && !r.problems && n > 4)
			fail_msg("read %u of %u failed unnoticed",
				 (unsigned int)n, (unsigned int)reads);
	}
	emubd_fault(im.e, EMUBD_READ, 1, EMUBD_FOREVER, EIO);
	assert_int_equal(image_check(&im, 0, &r), -EIO);
	image_free(&im);
}

/*
 * Whatever the bytes of an item are, with every checksum right: the check
 * comes to an end and does not crash (under the sanitizers this says much).
 */
static void test_forged_items_are_survived(void **state)
{
	struct rng rng = { .s = 20240229 };
	struct owfs_check_report r;
	int i, rounds = 300;
	uint64_t items;

	(void)state;
	assert_int_equal(image_check(&defect_base, 0, &r), 0);
	items = r.items;
	for (i = 0; i < rounds; i++) {
		struct owfs_key key = { 0, 0 }, last = OWFS_KEY_MAX;
		unsigned char val[OWFS_ITEM_MAX];
		struct image im;
		uint64_t skip;
		int len = 0;

		image_fork(&im, &defect_base);
		edit_begin(&im);
		for (skip = rng_below(&rng, items); ; skip--, key.off++) {
			len = owfs_btree_next(im.fs->fs_bt, &key, &last, val,
					      sizeof(val));
			assert_true(len > 0);
			if (!skip)
				break;
		}
		if (rng_below(&rng, 4) == 0)
			len = 1 + (int)rng_below(&rng, OWFS_ITEM_MAX);
		val[rng_below(&rng, (uint64_t)len)] ^= 1 + rng_below(&rng, 255);
		if (rng_below(&rng, 5) == 0) {
			item_del(&im, key);
			key.off = rng_next(&rng) >> rng_below(&rng, 64);
		}
		item_put(&im, key, val, (size_t)len);
		edit_end(&im);
		assert_int_equal(image_check(&im, 0, &r), 0);
		image_free(&im);
	}
}

static void poke_node(struct image *im, unsigned char *node, void *ctx)
{
	struct rng *rng = ctx;
	unsigned int n = 1 + (unsigned int)rng_below(rng, 3);

	/* slots and headers are where it hurts */
	while (n--)
		node[rng_below(rng, rng_below(rng, 2) ? 400 :
			       im->sb.blocksize)] = (unsigned char)rng_next(rng);
}

/* The same for headers, slots and pointers. */
static void test_forged_nodes_are_survived(void **state)
{
	struct rng rng = { .s = 31 };
	struct owfs_check_report r;
	struct image grown, im;
	int i, rounds = 600, found = 0;

	(void)state;
	image_fork(&grown, &defect_base);
	edit_begin(&grown);
	grow_tree(&grown);
	edit_end(&grown);
	for (i = 0; i < rounds; i++) {
		image_fork(&im, i % 2 ? &grown : &defect_base);
		root_edit(&im, poke_node, &rng);
		assert_int_equal(image_check(&im, 0, &r), 0);
		found += r.problems != 0;
		image_free(&im);
	}
	image_free(&grown);
	assert_true(found > rounds / 2);
}

static void test_garbage_is_survived(void **state)
{
	struct rng rng = { .s = 7 };
	struct owfs_check_report r;
	int i, rounds = 200;

	(void)state;
	for (i = 0; i < rounds; i++) {
		struct image im;

		image_fork(&im, &defect_base_dup);
		emubd_garbage(im.e, rng_below(&rng, 200) * 4096 +
			      rng_below(&rng, 4096),
			      rng_below(&rng, 3 * 4096), rng_next(&rng));
		image_check(&im, OWFS_CHECK_CURRENT | OWFS_CHECK_PREVIOUS, &r);
		image_free(&im);
	}
}

static void test_a_check_takes_a_few_milliseconds(void **state)
{
	struct owfs_check_report r;
	struct timespec a, b;
	double ms;
	int i, rounds = 50;

	(void)state;
	clock_gettime(CLOCK_MONOTONIC, &a);
	for (i = 0; i < rounds; i++)
		assert_int_equal(image_check(&defect_base, 0, &r), 0);
	clock_gettime(CLOCK_MONOTONIC, &b);
	ms = ((double)(b.tv_sec - a.tv_sec) * 1e3 +
	      (double)(b.tv_nsec - a.tv_nsec) / 1e6) / rounds;
	print_message("%.3f ms a check\n", ms);
}

/* ----------------------------------------------------------- how much is read */

#define NAMES	30000u
#define GONE	100u

static void make_long_directory(struct image *im)
{
	struct op op = { .kind = OP_CREATE };
	struct owfs_fs *fs;
	unsigned int i;

	*im = (struct image){ .e = NULL };
	rig_env_init(&im->env, 1);
	im->e = rig_mkfs(&im->env, 64u << 20, 4096, 1);
	assert_int_equal(rig_mount(&fs, im->e, &im->env, 0, NULL), 0);
	for (i = 0; i < NAMES; i++) {
		snprintf(op.path, sizeof(op.path), "%0120u", i);
		assert_int_equal(rig_apply(fs, &op), 0);
	}
	assert_int_equal(owfs_unmount(fs), 0);
}

/* Each of many inodes that a line names is found where it is, in any directory. */
static void test_a_name_is_found_without_a_search(void **state)
{
	struct owfs_check_report r;
	struct image im;
	uint64_t reads;
	unsigned int i;

	(void)state;
	make_long_directory(&im);
	edit_begin(&im);
	for (i = 0; i < GONE; i++)
		item_del(&im, owfs_key(OWFS_INO_FIRST + i * (NAMES / GONE),
				       OWFS_ITEM_INODE, 0));
	edit_end(&im);
	reads = emubd_count(im.e, EMUBD_READ);
	assert_int_equal(image_check(&im, OWFS_CHECK_CURRENT, &r), 0);
	reads = emubd_count(im.e, EMUBD_READ) - reads;
	assert_int_equal(r.count[BAD_DIRENT_TARGET], GONE);
	if (reads > r.nodes + 10 * GONE)
		fail_msg("reads=%llu nodes=%llu", (unsigned long long)reads,
			 (unsigned long long)r.nodes);
	image_free(&im);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_sound_image_has_no_problem),
		cmocka_unit_test(test_the_report_counts_what_is_there),
		cmocka_unit_test(test_each_defect_is_called_by_its_name),
		cmocka_unit_test(test_every_problem_has_a_defect),
		cmocka_unit_test(test_an_unfinished_truncation_is_no_problem),
		cmocka_unit_test(test_a_removal_half_done_is_no_problem),
		cmocka_unit_test(test_a_torn_slot_that_was_due_is_no_problem),
		cmocka_unit_test(test_a_killed_mkfs_leaves_no_filesystem),
		cmocka_unit_test(test_no_superblock_is_no_filesystem),
		cmocka_unit_test(test_a_cut_device_is_reported),
		cmocka_unit_test(test_a_damaged_commit_before_is_reported_when_asked),
		cmocka_unit_test(test_a_check_can_be_cancelled),
		cmocka_unit_test(test_read_errors_are_problems_or_refusals),
		cmocka_unit_test(test_forged_items_are_survived),
		cmocka_unit_test(test_forged_nodes_are_survived),
		cmocka_unit_test(test_garbage_is_survived),
		cmocka_unit_test(test_a_name_is_found_without_a_search),
		cmocka_unit_test(test_a_check_takes_a_few_milliseconds),
	};

	return cmocka_run_group_tests(tests, defects_setup,
				      defects_teardown);
}
