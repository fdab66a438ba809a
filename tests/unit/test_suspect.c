/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A file is lost, the commit before or an older leaf has it, and some of its
 * blocks belong to another one by now: what is left of it comes back, under a
 * name that says so, also if the repair was cut short at any write.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "edit.h"
#include "file/file.h"
#include "file/namei.h"
#include "object/inode.h"
#include "repair_judge.h"

#define BLOCK		4096
#define LEAVES		40u

/* ----------------------------------------------------------------- the image */

static void apply(struct owfs_fs *fs, enum op_kind kind, const char *path,
		  uint64_t pos, uint64_t len, uint64_t seed)
{
	struct op op = { .kind = kind, .pos = pos, .len = len, .seed = seed };

	snprintf(op.path, sizeof(op.path), "%s", path);
	assert_int_equal(rig_apply(fs, &op), 0);
}

/*
 * Two extents of a file, leaves between, and another file at the end of all; the
 * root is the only branch unless @high.
 */
static owfs_ino_t make(struct image *im, bool high)
{
	char name[60];
	unsigned int i;
	struct owfs_inode *root, *inode;
	struct owfs_fs *fs;
	owfs_ino_t ino;

	image_make(im, BLOCK, 1);
	assert_int_equal(rig_mount(&fs, im->e, &im->env, 0, NULL), 0);
	apply(fs, OP_CREATE, "old", 0, 0, 0);
	apply(fs, OP_WRITE, "old", 0, 2 * BLOCK, 1);
	apply(fs, OP_WRITE, "old", 5 * BLOCK, BLOCK, 2);
	assert_int_equal(owfs_iget(fs, OWFS_INO_ROOT, &root), 0);
	assert_int_equal(owfs_lookup(root, "old", 3, &inode), 0);
	ino = inode->i_ino;
	owfs_iput(inode);
	owfs_iput(root);
	for (i = 0; i < (high ? 300 : 60); i++) {
		snprintf(name, sizeof(name), "dir/%u-%040u", i, i);
		apply(fs, OP_CREATE, name, 0, 0, 0);
	}
	apply(fs, OP_CREATE, "new", 0, 0, 0);
	apply(fs, OP_WRITE, "new", 0, BLOCK, 3);
	assert_int_equal(owfs_unmount(fs), 0);
	return ino;
}

/*
 * Both commits have all, then the last gives blocks of the one to the other,
 * and the leaf with the one is lost, or what it was before.
 */
struct way {
	const char *first, *hit, *more, *whence;
	bool high;			/* there are branches below the root */
};

static const struct way lost = {
	.first = "", .hit = "zero", .more = "",
	.whence = "the commit before",
};

/* ... and so is the directory that names it, with all pointers of both. */
static const struct way stale = {
	.first = "delete extent:old:0\n", .hit = "stale",
	.more = "zero leaf:0\nzero root\ncommit before\nzero root\n",
	.whence = "an older leaf",
};

/* The other file is found again below a branch that is lost at the same time. */
static const struct way beside = {
	.first = "", .hit = "zero", .more = "zero node:1\n",
	.whence = "the commit before", .high = true,
};

static bool damage(struct image *im, const struct way *w, unsigned int leaf)
{
	struct edit ed;
	char script[300];
	int ret;

	snprintf(script, sizeof(script),
		 "renew\nrenew\nset extent:new:0 fsblock $extent:old,fsblock\n"
		 "%schecksums left\n%s leaf:%u\n%s", w->first, w->hit, leaf,
		 w->more);
	ret = edit_open(&ed, emubd_blkdev(im->e), &im->env.env);
	return !ret && !edit_script(&ed, script);
}

/* --------------------------------------------------------------------- files */

static struct owfs_inode *look_up(struct owfs_fs *fs, const char *dir,
				  const char *name)
{
	struct owfs_inode *root, *in = NULL, *inode = NULL;

	assert_int_equal(owfs_iget(fs, OWFS_INO_ROOT, &root), 0);
	if (!dir)
		owfs_lookup(root, name, strlen(name), &inode);
	else if (!owfs_lookup(root, dir, strlen(dir), &in))
		owfs_lookup(in, name, strlen(name), &inode);
	if (in)
		owfs_iput(in);
	owfs_iput(root);
	return inode;
}

static void assert_block(struct owfs_inode *inode, unsigned int n, bool there,
			 uint64_t seed, size_t at)
{
	static unsigned char got[BLOCK] __attribute__((aligned(BLOCK)));
	static unsigned char want[4 * BLOCK];
	struct op op = { .kind = OP_WRITE, .seed = seed };

	memset(want, 0, sizeof(want));
	if (there)
		op_bytes(&op, want, at + BLOCK);
	assert_int_equal(owfs_file_read(inode, got, BLOCK, n * BLOCK), BLOCK);
	assert_memory_equal(got, want + at, BLOCK);
}

static void assert_suspect(struct image *im, owfs_ino_t ino)
{
	struct owfs_inode *inode;
	struct owfs_fs *fs;
	char name[40];

	assert_int_equal(rig_mount(&fs, im->e, &im->env, RIG_READONLY, NULL),
			 0);
	assert_null(look_up(fs, NULL, "old"));
	snprintf(name, sizeof(name), "#%llu.suspect", (unsigned long long)ino);
	inode = look_up(fs, "lost+found", name);
	assert_non_null(inode);
	assert_int_equal(inode->i_attr.nlink, 1);
	assert_int_equal(inode->i_attr.size, 6 * BLOCK);
	assert_int_equal(inode->i_attr.nblocks, 1);
	assert_block(inode, 0, false, 0, 0);
	assert_block(inode, 1, false, 0, 0);
	assert_block(inode, 5, true, 2, 0);
	owfs_iput(inode);
	owfs_mount_abandon(fs);
}

/* ------------------------------------------------------------------ judging */

/* As it is damaged, when the repair says that of the file. */
static bool find_damage(struct image *im, const struct image *base,
			const struct way *w, owfs_ino_t ino)
{
	struct owfs_repair_report r;
	struct image copy;
	unsigned int leaf;
	bool found = false;
	char said[80];

	snprintf(said, sizeof(said), "suspect: inode %llu: %s has it",
		 (unsigned long long)ino, w->whence);
	for (leaf = 0; leaf < LEAVES && !found; leaf++) {
		struct report text = { 0 };

		image_fork(im, base);
		if (damage(im, w, leaf)) {
			image_fork(&copy, im);
			assert_int_equal(repair(&copy, &text, &r), 0);
			found = text.text && strstr(text.text, said);
			image_free(&copy);
		}
		free(text.text);
		if (!found)
			image_free(im);
	}
	return found;
}

static void judge_repair(struct image *im, owfs_ino_t ino)
{
	struct report text = { 0 };
	struct owfs_repair_report r;

	assert_int_equal(repair(im, &text, &r), 0);
	if (r.left.problems)
		fail_msg("%s", r.left.first);
	image_assert_clean(im);
	assert_suspect(im, ino);
	assert_int_equal(repair(im, &text, &r), 0);
	assert_false(r.changed);
	free(text.text);
}

static void judge_cuts(const struct image *from, owfs_ino_t ino)
{
	struct report text = { 0 };
	struct owfs_repair_report r;
	struct image log, im;
	size_t cut, mode;

	image_fork(&log, from);
	emubd_record(log.e, true);
	assert_int_equal(repair(&log, &text, &r), 0);
	emubd_record(log.e, false);
	for (cut = 0; cut <= emubd_log_len(log.e); cut++)
		for (mode = 0; mode < 4; mode++) {
			im = log;
			im.env.env.ctx = &im.env;
			im.e = emubd_crash(from->e, log.e, cut,
					   mode == 0 ? EMUBD_CRASH_PREFIX :
					   mode == 1 ? EMUBD_CRASH_NONE :
					   EMUBD_CRASH_SEEDED, mode);
			judge_repair(&im, ino);
			image_free(&im);
		}
	print_message("%zu writes\n", emubd_log_len(log.e));
	image_free(&log);
	free(text.text);
}

static void judge_way(const struct way *w)
{
	struct image base, from, im;
	owfs_ino_t ino = make(&base, w->high);

	assert_true(find_damage(&from, &base, w, ino));
	image_fork(&im, &from);
	judge_repair(&im, ino);
	assert_null(scene_use(&im));
	image_free(&im);
	judge_cuts(&from, ino);
	image_free(&from);
	image_free(&base);
}

static void test_what_is_left_of_a_lost_file_is_named_as_suspect(void **state)
{
	(void)state;
	judge_way(&lost);
}

static void test_without_a_root_directory_too(void **state)
{
	(void)state;
	judge_way(&stale);
}

static void test_what_a_lost_branch_has_is_claimed_too(void **state)
{
	(void)state;
	judge_way(&beside);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_left_of_a_lost_file_is_named_as_suspect),
		cmocka_unit_test(test_without_a_root_directory_too),
		cmocka_unit_test(test_what_a_lost_branch_has_is_claimed_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
