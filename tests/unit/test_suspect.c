/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A file is lost, the commit before has it, and some of its blocks belong to
 * another one by now: what is left of it comes back, under a name that says so.
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

/* Two extents of a file, many leaves, and another file at the end of all. */
static owfs_ino_t make(struct image *im)
{
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
	assert_int_equal(owfs_unmount(fs), 0);
	scene_fill(im);
	assert_int_equal(rig_mount(&fs, im->e, &im->env, 0, NULL), 0);
	apply(fs, OP_CREATE, "new", 0, 0, 0);
	apply(fs, OP_WRITE, "new", 0, BLOCK, 3);
	assert_int_equal(owfs_unmount(fs), 0);
	return ino;
}

/* Both commits have all, then the last gives blocks of the one to the other. */
static bool damage(struct image *im, unsigned int leaf)
{
	struct edit ed;
	char script[200];
	int ret;

	snprintf(script, sizeof(script),
		 "renew\nrenew\nset extent:new:0 fsblock $extent:old,fsblock\n"
		 "checksums left\nzero leaf:%u\n", leaf);
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

static void test_what_is_left_is_named_as_suspect(void **state)
{
	struct owfs_repair_report r;
	struct owfs_check_report c;
	struct image base, im;
	unsigned int leaf, found = 0;
	owfs_ino_t ino = make(&base);
	char said[80];

	(void)state;
	snprintf(said, sizeof(said), "suspect: inode %llu: the commit before",
		 (unsigned long long)ino);
	for (leaf = 0; leaf < LEAVES && !found; leaf++) {
		struct report text = { 0 };

		image_fork(&im, &base);
		if (damage(&im, leaf)) {
			assert_int_equal(repair(&im, &text, &r), 0);
			assert_int_equal(r.left.problems, 0);
			found = text.text && strstr(text.text, said);
		}
		if (found) {
			image_assert_clean(&im);
			assert_suspect(&im, ino);
			assert_int_equal(image_check(&im, 0, &c), 0);
			assert_int_equal(repair(&im, &text, &r), 0);
			assert_false(r.changed);
			assert_null(scene_use(&im));
		}
		free(text.text);
		image_free(&im);
	}
	assert_true(found);
	image_free(&base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_left_is_named_as_suspect),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
