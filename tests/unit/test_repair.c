/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the repair makes of each kind of damage: a filesystem without problems,
 * in which everything that was not hit is as it was, also if the repair was
 * cut short at any write and run again.  FSCK_TALK=1 shows what it says.
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
#include "trans/commit.h"
#include "trans/trans.h"

static int repair_with(struct image *im,
		       bool (*ask)(void *, const struct owfs_problem_info *,
				   const char *),
		       bool only_safe, struct owfs_repair_report *r)
{
	struct owfs_repair_param p = image_repair_param(im);

	p.ask = ask;
	p.only_safe = only_safe;
	return owfs_repair(emubd_blkdev(im->e), &p, r);
}

/* ------------------------------------------------------------ each defect */

static int judge_repair(const struct defect *d)
{
	struct owfs_repair_report r;
	struct owfs_check_report c;
	struct image im;
	uint64_t hash;
	int ret, wrong = 0;

	defect_make(d, &im);
	ret = image_repair(&im, &r);
	if (ret || (r.left.problems != 0) != defect_stays(d)) {
		print_message("%s: repair=%d problems left=%u: %s\n", d->name,
			      ret, r.left.problems, r.left.first);
		wrong++;
	} else if (!defect_stays(d)) {
		assert_int_equal(image_check(&im, OWFS_CHECK_CURRENT |
					     OWFS_CHECK_PREVIOUS, &c), 0);
		if (c.problems || !c.clean || !r.corrected) {
			print_message("%s: problems=%u clean=%d corrected=%u: %s\n",
				      d->name, c.problems, c.clean, r.corrected,
				      c.first);
			wrong++;
		}
	}
	hash = emubd_hash(im.e);
	ret = image_repair(&im, &r);
	if (ret || r.changed || r.corrected || emubd_hash(im.e) != hash) {
		print_message("%s: second run: repair=%d corrected=%u: %s\n",
			      d->name, ret, r.corrected, r.left.first);
		wrong++;
	}
	image_free(&im);
	return wrong;
}

static void test_each_defect_is_repaired_in_one_run(void **state)
{
	const char *only = getenv("DEFECT");
	int wrong = 0;
	size_t i;

	(void)state;
	for (i = 0; i < ndefects; i++)
		if (!only || !strcmp(only, defects[i].name))
			wrong += judge_repair(&defects[i]);
	assert_int_equal(wrong, 0);
}

/* ------------------------------------------------------------- what it is */

static bool all_safe(const struct defect *d)
{
	int i;

	for (i = 0; d->want[i] != DEFECT_LAST; i++)
		if (owfs_problem_info(d->want[i])->answer != OWFS_ANSWER_SAFE)
			return false;
	/* a move that was made on purpose */
	return strcmp(d->name, "f_dir_parent") != 0;
}

static void test_a_safe_repair_loses_nothing(void **state)
{
	struct owfs_repair_report r;
	struct image im;
	size_t i;
	int n = 0;

	(void)state;
	for (i = 0; i < ndefects; i++) {
		const struct defect *d = &defects[i];

		if (!all_safe(d))
			continue;
		n++;
		defect_make(d, &im);
		assert_int_equal(repair_with(&im, ask_safe, true, &r), 0);
		if (r.left.problems)
			fail_msg("%s: %s", d->name, r.left.first);
		if (image_digest(&im) !=
		    image_digest(d->dup ? &defect_base_dup : &defect_base))
			fail_msg("%s: something is not as it was", d->name);
		image_free(&im);
	}
	assert_true(n > 15);
}

static void test_what_is_not_safe_stops_a_safe_repair(void **state)
{
	struct owfs_repair_report r;
	struct image im;
	uint64_t hash;
	size_t i;

	(void)state;
	for (i = 0; i < ndefects; i++) {
		const struct defect *d = &defects[i];

		if (all_safe(d) || !strcmp(d->name, "f_dir_parent"))
			continue;
		defect_make(d, &im);
		hash = emubd_hash(im.e);
		assert_int_equal(repair_with(&im, ask_safe, true, &r), 0);
		if (!r.left.problems || r.changed || emubd_hash(im.e) != hash)
			fail_msg("%s: was changed", d->name);
		image_free(&im);
	}
}

static void test_no_to_everything_changes_nothing(void **state)
{
	struct owfs_repair_report r;
	struct image im;
	uint64_t hash;
	size_t i;

	(void)state;
	for (i = 0; i < ndefects; i++) {
		defect_make(&defects[i], &im);
		hash = emubd_hash(im.e);
		assert_int_equal(repair_with(&im, ask_no, false, &r), 0);
		if (!r.left.problems || r.changed || emubd_hash(im.e) != hash)
			fail_msg("%s: was changed", defects[i].name);
		image_free(&im);
	}
}

/* ------------------------------------------------------------- interrupted */

static int stop_at(void *ctx, unsigned int pass, uint64_t done, uint64_t total)
{
	unsigned int *left = ctx;

	(void)pass;
	(void)done;
	(void)total;
	return *left ? --*left == 0 : 0;
}

/* Two rounds and something to correct in each: no more is said than was done. */
static void test_an_interrupted_repair_says_what_it_has_corrected(void **state)
{
	static const char *const names[] = { "f_inode_nblocks", "f_inode_nlink" };
	struct owfs_repair_report r;
	struct owfs_check_report was, is;
	struct image from, im;
	unsigned int n, left, some = 0;
	size_t i, j;
	int ret = -ECANCELED;

	(void)state;
	image_fork(&from, &defect_base);
	edit_begin(&from);
	for (i = 0; i < ndefects; i++)
		for (j = 0; j < ARRAY_SIZE(names); j++)
			if (!strcmp(defects[i].name, names[j]))
				defects[i].make(&from);
	edit_end(&from);
	assert_int_equal(image_check(&from, 0, &was), 0);
	for (n = 1; ret == -ECANCELED; n++) {
		struct owfs_repair_param p = image_repair_param(&im);

		image_fork(&im, &from);
		left = n;
		p.check.progress = stop_at;
		p.check.progress_ctx = &left;
		p.env = &im.env.env;
		ret = owfs_repair(emubd_blkdev(im.e), &p, &r);
		assert_int_equal(image_check(&im, 0, &is), 0);
		if (r.corrected + is.problems > was.problems)
			fail_msg("stopped at %u: corrected=%u left=%u of %u",
				 n, r.corrected, is.problems, was.problems);
		some += ret && r.corrected;
		image_free(&im);
	}
	assert_int_equal(ret, 0);
	assert_int_equal(r.corrected, was.problems);
	assert_true(some > 0);
	image_free(&from);
}

/* ------------------------------------------------------- which commit to keep */

static owfs_fsblock_t root_of(struct image *im, int commit)
{
	struct owfs_slots slots;
	struct owfs_super sb;

	assert_int_equal(owfs_super_read(emubd_blkdev(im->e), &sb, &slots,
					 NULL), 0);
	return sb.root[commit].tree.addr[0];
}

static void not_unmounted(struct owfs_super *sb, void *ctx)
{
	(void)ctx;
	sb->state &= ~OWFS_STATE_CLEAN;
}

/* The last commit is unreadable, the one before whole: that one it is. */
static void test_a_torn_last_commit_is_given_up_for_the_one_before(void **state)
{
	struct owfs_repair_report r;
	struct image im;
	struct owfs_fs *fs;
	uint64_t before;
	int err = 0;

	(void)state;
	image_fork(&im, &defect_base);
	assert_int_equal(rig_mount(&fs, im.e, &im.env, RIG_READONLY |
				   RIG_FALLBACK, NULL), 0);
	before = rig_digest(fs, NULL, &err);
	owfs_mount_abandon(fs);
	assert_int_equal(err, 0);
	assert_true(before != image_digest(&im));
	emubd_flip_bit(im.e, root_of(&im, 0) * 4096 + 1000, 3);
	super_edit(&im, not_unmounted, NULL);
	assert_int_equal(image_repair(&im, &r), 0);
	assert_int_equal(r.left.problems, 0);
	assert_true(image_digest(&im) == before);
	image_free(&im);
}

/* A leaf that only the last commit has; the root directory is in another. */
static int note_new_leaf(void *ctx, const struct owfs_ptr *ptr,
			 unsigned int level, const void *data)
{
	struct owfs_ptr *found = ctx;

	(void)data;
	if (!level && ptr->birth >= found->birth)
		*found = *ptr;
	return 0;
}

static owfs_fsblock_t new_leaf(struct image *im)
{
	struct owfs_ptr leaf = { .birth = 0 };
	const struct owfs_btree_visitor v = { .enter = note_new_leaf,
					      .ctx = &leaf };
	struct owfs_fs *fs;

	assert_int_equal(rig_mount(&fs, im->e, &im->env, RIG_READONLY, NULL),
			 0);
	assert_int_equal(owfs_btree_visit(fs->fs_bt, &v), 0);
	assert_int_equal(leaf.birth, fs->fs_super.root[0].gen);
	owfs_mount_abandon(fs);
	return leaf.addr[0];
}

/* A crash, and a leaf of the last commit is bad: the digest of the one before. */
static uint64_t tear_last_commit(struct image *im)
{
	struct owfs_fs *fs;
	uint64_t before;
	int err = 0;

	image_fork(im, &defect_base);
	assert_int_equal(rig_mount(&fs, im->e, &im->env, RIG_READONLY |
				   RIG_FALLBACK, NULL), 0);
	before = rig_digest(fs, NULL, &err);
	owfs_mount_abandon(fs);
	emubd_flip_bit(im->e, new_leaf(im) * 4096 + 3000, 3);
	super_edit(im, not_unmounted, NULL);
	return before;
}

/*
 * Who mounts it before it is checked, and reads, does not take the way back away;
 * nor with @begun who began a change, and met the damage before it was durable.
 */
static void met_and_given_up(bool begun)
{
	struct owfs_repair_report r;
	struct image im;
	struct owfs_fs *fs;
	uint64_t before, hash;
	int err = 0;

	before = tear_last_commit(&im);
	assert_int_equal(rig_mount(&fs, im.e, &im.env, 0, NULL), 0);
	if (begun)
		assert_int_equal(owfs_commit_start_run(fs), 0);
	hash = emubd_hash(im.e);
	rig_digest(fs, NULL, &err);
	assert_int_equal(err, -EFSBADCRC);
	assert_int_equal(owfs_fs_writable(fs), -EROFS);
	assert_int_equal(owfs_unmount(fs), 0);
	assert_true(emubd_hash(im.e) == hash);
	assert_int_equal(image_repair(&im, &r), 0);
	assert_int_equal(r.left.problems, 0);
	assert_true(image_digest(&im) == before);
	image_free(&im);
}

static void test_a_torn_commit_that_was_met_can_still_be_given_up(void **state)
{
	(void)state;
	met_and_given_up(false);
	met_and_given_up(true);
}

static void low_limit(struct image *im)
{
	struct owfs_slots slots;
	struct owfs_super sb;
	unsigned int i;

	assert_int_equal(owfs_super_read(emubd_blkdev(im->e), &sb, &slots,
					 NULL), 0);
	sb.ino_limit = OWFS_INO_FIRST;
	for (i = 0; i < OWFS_SUPER_SLOTS; i++)
		assert_int_equal(owfs_super_write(emubd_blkdev(im->e), &sb,
						  &slots, i), 0);
}

/* What else has to be written in a superblock does not take the way back away. */
static void go_back_beside(void (*damage)(struct image *im),
			   enum owfs_problem what)
{
	struct owfs_repair_report r;
	struct owfs_check_report was;
	struct image im;
	uint64_t before;

	before = tear_last_commit(&im);
	damage(&im);
	assert_int_equal(image_check(&im, 0, &was), 0);
	assert_true(was.count[what] > 0);
	assert_int_equal(image_repair(&im, &r), 0);
	assert_int_equal(r.left.problems, 0);
	assert_true(image_digest(&im) == before);
	image_free(&im);
}

static void test_superblocks_beside_a_torn_commit_keep_the_way_back(void **state)
{
	(void)state;
	go_back_beside(low_limit, BAD_INODE_LIMIT);
	go_back_beside(f_super_order, BAD_SUPER_ORDER);
}

static void test_a_damaged_commit_before_is_let_go(void **state)
{
	struct owfs_repair_report r;
	struct image im;

	(void)state;
	image_fork(&im, &defect_base);
	emubd_flip_bit(im.e, root_of(&im, 1) * 4096 + 1000, 3);
	assert_int_equal(repair_with(&im, ask_safe, true, &r), 0);
	assert_int_equal(r.left.problems, 0);
	assert_int_equal(r.corrected, 1);
	assert_true(image_digest(&im) == image_digest(&defect_base));
	image_free(&im);
}

/* A filesystem that had errors on record has none when all has been seen. */
static void test_a_sound_filesystem_is_marked_clean(void **state)
{
	struct owfs_repair_report r;
	struct owfs_slots slots;
	struct owfs_super sb;
	struct image im;

	(void)state;
	image_fork(&im, &defect_base);
	edit_begin(&im);
	im.fs->fs_super.state |= OWFS_STATE_ERROR;
	im.fs->fs_super.error_count = 3;
	edit_end(&im);
	assert_int_equal(repair_with(&im, ask_no, false, &r), 0);
	assert_int_equal(r.left.problems, 0);
	assert_false(r.changed);
	assert_int_equal(owfs_super_read(emubd_blkdev(im.e), &sb, &slots, NULL),
			 0);
	assert_int_equal(sb.state, OWFS_STATE_CLEAN);
	assert_int_equal(sb.error_count, 0);
	assert_int_equal(slots.bad, 0);
	image_free(&im);
}

/* ----------------------------------------------------- no superblock at all */

static void test_superblocks_with_a_wrong_byte_each_are_corrected(void **state)
{
	struct owfs_repair_report r;
	struct image im;
	unsigned int i, at;

	(void)state;
	for (at = 0; at < 416; at += 13) {
		image_fork(&im, &defect_base);
		for (i = 0; i < OWFS_SUPER_SLOTS; i++)
			emubd_flip_bit(im.e, slot_pos(i) + (at + i) % 416,
				       i + 1);
		assert_int_equal(image_repair(&im, &r), 0);
		assert_int_equal(r.left.problems, 0);
		assert_int_equal(r.corrected, 1);
		assert_true(image_digest(&im) == image_digest(&defect_base));
		image_free(&im);
	}
}

/* After a crash they differ: the newest that can be corrected is the one. */
static void test_of_superblocks_with_a_wrong_byte_the_newest_counts(void **state)
{
	struct owfs_repair_report r;
	struct owfs_inode_item d;
	struct image im;
	uint64_t sum;
	unsigned int i;

	(void)state;
	image_fork(&im, &defect_base);
	edit_begin(&im);
	d = inode_get(&im, im.file);
	d.mode = cpu_to_le32(le32_to_cpu(d.mode) ^ 0111);
	inode_put(&im, im.file, &d);
	assert_int_equal(owfs_commit_all(im.fs), 0);
	owfs_fs_close(im.fs);
	sum = image_digest(&im);
	assert_true(sum != image_digest(&defect_base));
	for (i = 0; i < OWFS_SUPER_SLOTS; i++)
		emubd_flip_bit(im.e, slot_pos(i) + 100 + i, i + 1);
	assert_int_equal(image_repair(&im, &r), 0);
	assert_int_equal(r.left.problems, 0);
	assert_true(image_digest(&im) == sum);
	image_free(&im);
}

/* In each slot other bytes: what most of them have is proved by a checksum. */
static void test_superblocks_with_wrong_bytes_elsewhere_each_are_corrected(void **state)
{
	struct owfs_repair_report r;
	struct image im;
	unsigned int i, at, n;

	(void)state;
	for (at = 0; at < 480; at += 29) {
		image_fork(&im, &defect_base);
		for (i = 0; i < OWFS_SUPER_SLOTS; i++)
			for (n = 0; n < 5; n++)
				emubd_flip_bit(im.e, slot_pos(i) +
					       (at + 40 * i + 3 * n) % 416, n);
		assert_int_equal(image_repair(&im, &r), 0);
		assert_int_equal(r.left.problems, 0);
		assert_int_equal(r.corrected, 1);
		assert_true(image_digest(&im) == image_digest(&defect_base));
		image_free(&im);
	}
}

/* A constant, all the same: no byte of it is known, and with @more one besides. */
static void no_magic(bool more)
{
	const unsigned char zero[8] = { 0 };
	struct owfs_repair_report r;
	struct image im;
	unsigned int i;

	image_fork(&im, &defect_base);
	for (i = 0; i < OWFS_SUPER_SLOTS; i++) {
		emubd_poke(im.e, zero, sizeof(zero), slot_pos(i));
		if (more)
			emubd_flip_bit(im.e, slot_pos(i) + 77, 2);
	}
	assert_int_equal(image_repair(&im, &r), 0);
	assert_int_equal(r.left.problems, 0);
	assert_true(image_digest(&im) == image_digest(&defect_base));
	image_free(&im);
}

static void test_superblocks_without_their_magic_are_known(void **state)
{
	(void)state;
	no_magic(false);
	no_magic(true);
}

/* The front is overwritten, and the device has grown. */
static void grow_without_front(struct image *im)
{
	unsigned char *mem = malloc(1 << 20);
	uint64_t pos;

	*im = defect_base;
	im->env.env.ctx = &im->env;
	im->e = emubd_create(24 << 20);
	for (pos = 0; pos < 16 << 20; pos += 1 << 20) {
		emubd_peek(defect_base.e, mem, 1 << 20, pos);
		emubd_poke(im->e, mem, 1 << 20, pos);
	}
	memset(mem, 0, 1 << 20);
	emubd_poke(im->e, mem, 4096, slot_pos(0));
	emubd_poke(im->e, mem, 4096, slot_pos(1));
	free(mem);
}

static int repair_by_search(struct image *im, struct owfs_repair_report *r)
{
	const struct owfs_repair_param p = {
		.check = { .search = true },
		.env = &im->env.env,
		.ask = ask_yes,
	};

	return owfs_repair(emubd_blkdev(im->e), &p, r);
}

static void test_superblocks_of_a_device_that_has_grown_are_found(void **state)
{
	struct owfs_repair_report r;
	struct image im;

	(void)state;
	grow_without_front(&im);
	assert_int_equal(repair_by_search(&im, &r), 0);
	assert_int_equal(r.left.problems, 0);
	assert_int_equal(r.corrected, 1);
	assert_true(image_digest(&im) == image_digest(&defect_base));
	image_free(&im);
}

/*
 * A larger filesystem was there before and wrote more often; one superblock of
 * it is left, in a place of its own.  With @root its tree begins where it says,
 * and only the time tells; without, only that.
 */
static void plant_older(struct emubd *e, struct owfs_super sb, bool root)
{
	unsigned char sector[OWFS_SUPER_BYTES];

	sb.nblocks += 1024;
	sb.seq += 100;
	sb.uuid[0] ^= 1;
	if (root) {
		sb.mkfs_time--;
	} else {
		sb.mkfs_time++;		/* by a clock that was wrong */
		sb.root[0].tree.csum ^= 1;
	}
	owfs_super_to_disk(sector, &sb, 2);
	emubd_poke(e, sector, sizeof(sector),
		   (uint64_t)owfs_geo_super_pos(sb.nblocks * sb.blocksize, 2));
}

static void test_an_older_filesystem_is_not_what_a_search_finds(void **state)
{
	struct owfs_repair_report r;
	struct owfs_super sb, found;
	struct owfs_slots slots;
	struct image im;
	unsigned int root;

	(void)state;
	assert_int_equal(owfs_super_read(emubd_blkdev(defect_base.e), &sb, &slots,
					 NULL), 0);
	for (root = 0; root < 2; root++) {
		grow_without_front(&im);
		plant_older(im.e, sb, root);
		assert_int_equal(repair_by_search(&im, &r), 0);
		assert_int_equal(r.left.problems, 0);
		assert_int_equal(owfs_super_read(emubd_blkdev(im.e), &found,
						 &slots, NULL), 0);
		assert_memory_equal(found.uuid, sb.uuid, sizeof(sb.uuid));
		assert_int_equal(found.nblocks, sb.nblocks);
		assert_true(image_digest(&im) == image_digest(&defect_base));
		image_free(&im);
	}
}

static void test_garbage_is_not_taken_for_a_superblock(void **state)
{
	struct owfs_repair_report r;
	struct image im;
	unsigned int i;
	uint64_t hash;

	(void)state;
	image_fork(&im, &defect_base);
	for (i = 0; i < OWFS_SUPER_SLOTS; i++)
		emubd_garbage(im.e, slot_pos(i) + 100, 100, i);
	hash = emubd_hash(im.e);
	assert_int_equal(image_repair(&im, &r), -EFSBADCRC);
	assert_int_equal(r.left.count[BAD_SUPER_NONE], 1);
	assert_true(emubd_hash(im.e) == hash);
	image_free(&im);
}

/* ----------------------------------------------------------- killed at work */

/* The repair was cut short: what is there is repaired to the same end. */
static void judge_cut(const struct defect *d, struct image *from,
		      struct image *log, size_t cut, enum emubd_crash_mode mode,
		      uint64_t seed, uint64_t want)
{
	struct image im = *log;
	struct owfs_repair_report r;
	int ret;

	im.env.env.ctx = &im.env;
	im.e = emubd_crash(from->e, log->e, cut, mode, seed);
	ret = image_repair(&im, &r);
	if (ret || (r.left.problems != 0) != defect_stays(d))
		fail_msg("%s: cut=%zu mode=%d seed=%u: repair=%d: %s", d->name,
			 cut, mode, (unsigned int)seed, ret, r.left.first);
	if (!defect_stays(d) && image_digest(&im) != want)
		fail_msg("%s: cut=%zu mode=%d seed=%u: another end", d->name,
			 cut, mode, (unsigned int)seed);
	image_free(&im);
}

static void cut_everywhere(const struct defect *d)
{
	struct owfs_repair_report r;
	struct image from, im;
	uint64_t seed, want = 0;
	size_t cut;

	defect_make(d, &from);
	image_fork(&im, &from);
	emubd_record(im.e, true);
	assert_int_equal(image_repair(&im, &r), 0);
	emubd_record(im.e, false);
	if (!defect_stays(d))
		want = image_digest(&im);
	for (cut = 0; cut <= emubd_log_len(im.e); cut++) {
		judge_cut(d, &from, &im, cut, EMUBD_CRASH_PREFIX, 0, want);
		judge_cut(d, &from, &im, cut, EMUBD_CRASH_NONE, 0, want);
		for (seed = 0; seed < 3; seed++)
			judge_cut(d, &from, &im, cut, EMUBD_CRASH_SEEDED, seed,
				  want);
	}
	image_free(&im);
	image_free(&from);
}

static void test_a_repair_cut_at_any_write_converges(void **state)
{
	const char *only = getenv("DEFECT");
	size_t i;

	(void)state;
	for (i = 0; i < ndefects; i++)
		if (!only || !strcmp(only, defects[i].name))
			cut_everywhere(&defects[i]);
}

/* Each write fails in its turn: an error, and then as after a cut. */
static void test_a_failing_write_ends_a_repair_and_harms_nothing(void **state)
{
	struct owfs_repair_report r;
	struct image im, from;
	uint64_t n, writes, want;
	size_t i;
	int ret;

	(void)state;
	for (i = 0; i < ndefects; i++) {
		const struct defect *d = &defects[i];

		if (defect_stays(d))
			continue;
		defect_make(d, &from);
		image_fork(&im, &from);
		writes = emubd_count(im.e, EMUBD_WRITE);
		assert_int_equal(image_repair(&im, &r), 0);
		writes = emubd_count(im.e, EMUBD_WRITE) - writes;
		want = image_digest(&im);
		image_free(&im);
		for (n = 1; n <= writes; n++) {
			image_fork(&im, &from);
			emubd_fault(im.e, EMUBD_WRITE, n, EMUBD_FOREVER, EIO);
			ret = image_repair(&im, &r);
			if (!ret && !r.left.problems)
				fail_msg("%s: write %u failed unnoticed",
					 d->name, (unsigned int)n);
			emubd_fault(im.e, EMUBD_WRITE, 1, 0, EIO);
			ret = image_repair(&im, &r);
			if (ret || r.left.problems ||
			    image_digest(&im) != want)
				fail_msg("%s: write %u failed, then %d: %s",
					 d->name, (unsigned int)n, ret,
					 r.left.first);
			image_free(&im);
		}
		image_free(&from);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_defect_is_repaired_in_one_run),
		cmocka_unit_test(test_a_safe_repair_loses_nothing),
		cmocka_unit_test(test_what_is_not_safe_stops_a_safe_repair),
		cmocka_unit_test(test_no_to_everything_changes_nothing),
		cmocka_unit_test(test_an_interrupted_repair_says_what_it_has_corrected),
		cmocka_unit_test(test_a_torn_last_commit_is_given_up_for_the_one_before),
		cmocka_unit_test(test_a_torn_commit_that_was_met_can_still_be_given_up),
		cmocka_unit_test(test_superblocks_beside_a_torn_commit_keep_the_way_back),
		cmocka_unit_test(test_a_damaged_commit_before_is_let_go),
		cmocka_unit_test(test_a_sound_filesystem_is_marked_clean),
		cmocka_unit_test(test_superblocks_with_a_wrong_byte_each_are_corrected),
		cmocka_unit_test(test_of_superblocks_with_a_wrong_byte_the_newest_counts),
		cmocka_unit_test(test_superblocks_with_wrong_bytes_elsewhere_each_are_corrected),
		cmocka_unit_test(test_superblocks_without_their_magic_are_known),
		cmocka_unit_test(test_superblocks_of_a_device_that_has_grown_are_found),
		cmocka_unit_test(test_an_older_filesystem_is_not_what_a_search_finds),
		cmocka_unit_test(test_garbage_is_not_taken_for_a_superblock),
		cmocka_unit_test(test_a_repair_cut_at_any_write_converges),
		cmocka_unit_test(test_a_failing_write_ends_a_repair_and_harms_nothing),
	};

	return cmocka_run_group_tests(tests, defects_setup,
				      defects_teardown);
}
