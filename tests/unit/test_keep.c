/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The last commit checked while others write: each read of the check is
 * followed by changes and commits, so nothing stays where it was but what is
 * kept.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "check.h"
#include "file/file.h"
#include "file/namei.h"
#include "rig.h"
#include "trans/keep.h"
#include "trans/trans.h"

#define BS	4096u
#define FILES	1500u

struct work {
	struct owfs_blkdev bd;		/* first: what the check reads */
	struct emubd *e;
	struct rig_env env;
	struct owfs_msg msg;
	struct owfs_fs *fs;
	struct owfs_inode *root;
	struct rng rng;
	uint64_t id;
	struct owfs_super sb;
	struct owfs_check_kept kept;
	unsigned int changes;		/* after each read */
	unsigned int given_up;
	int lost;
};

static uint64_t clock_now;

static uint64_t now(void)
{
	return clock_now;
}

static void emit(void *ctx, enum owfs_msg_level level, const char *line)
{
	struct work *w = ctx;

	(void)level;
	w->given_up += strstr(line, "not kept any longer") != NULL;
}

/* ------------------------------------------------------------------ the work */

static void make(struct work *w, const char *name)
{
	struct owfs_newnode nn = { .mode = S_IFREG | 0644 };
	struct owfs_inode *inode;
	int ret;

	OWFS_RETRY(w->fs, ret, owfs_create(w->root, name, strlen(name), &nn,
					   &inode));
	if (ret == -EEXIST)
		return;
	assert_int_equal(ret, 0);
	assert_int_equal(owfs_file_write(inode, name, strlen(name), 0, false, 0),
			 strlen(name));
	owfs_iput(inode);
}

static void change(struct work *w)
{
	char name[40];

	snprintf(name, sizeof(name), "a-name-that-takes-room-%06u",
		 (unsigned int)rng_below(&w->rng, 2 * FILES));
	if (owfs_unlink(w->root, name, strlen(name)))
		make(w, name);
	owfs_reclaim_step(w->fs);
}

static int keep_read(struct owfs_blkdev *bd, void *buf, size_t len, loff_t pos)
{
	struct work *w = (struct work *)bd;
	unsigned int i;
	int ret;

	for (i = 0; i < w->changes; i++)
		change(w);
	if (w->changes)
		assert_int_equal(owfs_syncfs(w->fs), 0);
	ret = owfs_keep_read(w->fs, w->id, buf, len, pos);
	if (ret == -ESTALE)
		w->lost = ret;
	return ret;
}

static const struct owfs_blkdev_ops keep_ops = { .read = keep_read };

static int keep_bits(void *ctx, uint64_t g, uint64_t *bits)
{
	struct work *w = ctx;

	return owfs_keep_bits(w->fs, w->id, g, bits);
}

static void open_work(struct work *w, uint64_t bytes, unsigned int copies)
{
	char name[40];
	unsigned int i;

	memset(w, 0, sizeof(*w));
	w->msg = (struct owfs_msg){ emit, w, OWFS_MSG_WARN };
	rig_env_init(&w->env, 1);
	w->rng.s = 7;
	w->e = rig_mkfs(&w->env, bytes, BS, copies);
	assert_non_null(w->e);
	assert_int_equal(rig_mount(&w->fs, w->e, &w->env, 0, &w->msg), 0);
	assert_int_equal(owfs_iget(w->fs, OWFS_INO_ROOT, &w->root), 0);
	clock_now = 1000;
	owfs_keep_clock(w->fs, now);
	for (i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "a-name-that-takes-room-%06u",
			 2 * i);
		make(w, name);
	}
	assert_int_equal(owfs_syncfs(w->fs), 0);
	w->bd.ops = &keep_ops;
	w->bd.size = bytes;
	w->bd.sector = 512;
	w->kept = (struct owfs_check_kept){
		.super = &w->sb, .bits = keep_bits, .ctx = w };
}

static void close_work(struct work *w)
{
	struct owfs_check_param p = { .commits = OWFS_CHECK_CURRENT |
						 OWFS_CHECK_PREVIOUS };
	struct owfs_check_report r;

	owfs_iput(w->root);
	assert_int_equal(owfs_unmount(w->fs), 0);
	assert_int_equal(owfs_check(emubd_blkdev(w->e), &p, &r), 0);
	assert_int_equal(r.problems, 0);
	emubd_destroy(w->e);
}

static void check_kept(struct work *w, struct owfs_check_report *r)
{
	const struct owfs_check_param p = { .kept = &w->kept };

	w->lost = 0;
	assert_int_equal(owfs_keep_begin(w->fs, &w->sb, &w->id), 0);
	assert_int_equal(owfs_check(&w->bd, &p, r), 0);
}

/* ------------------------------------------------------------------- tests */

static void rounds(unsigned int copies, unsigned int changes)
{
	struct owfs_check_report r;
	struct work w;
	unsigned int i;

	open_work(&w, 48u << 20, copies);
	w.changes = changes;
	for (i = 0; i < 4; i++) {
		owfs_gen_t before = owfs_commit_durable(w.fs);

		check_kept(&w, &r);
		if (r.problems)
			print_message("%s\n", r.first);
		assert_int_equal(r.problems, 0);
		assert_int_equal(r.gen, before);
		assert_true(owfs_commit_durable(w.fs) > before + 30);
		assert_int_equal(w.lost, 0);
		owfs_keep_end(w.fs, w.id);
		assert_int_equal(owfs_alloc_check(w.fs->fs_al), 0);
	}
	close_work(&w);
}

static void test_nothing_is_found_while_others_write(void **state)
{
	(void)state;
	rounds(1, 5);
	rounds(2, 5);
	rounds(1, 40);
}

/* A crash has torn the superblock that was due, and nobody has changed anything yet. */
static void test_a_crash_explains_a_torn_superblock(void **state)
{
	unsigned char torn[512] = "torn", kept[512];
	struct owfs_check_report r;
	struct owfs_slots slots;
	struct owfs_super sb;
	struct work w;
	unsigned int due;
	uint64_t other;

	(void)state;
	open_work(&w, 48u << 20, 1);
	assert_int_equal(owfs_super_read(emubd_blkdev(w.e), &sb, &slots, NULL),
			 0);
	due = owfs_slots_next(&slots);
	emubd_poke(w.e, torn, sizeof(torn),
		   (uint64_t)owfs_geo_super_pos(48u << 20, due));
	check_kept(&w, &r);
	assert_int_equal(r.problems, 0);
	owfs_keep_end(w.fs, w.id);

	/* no crash tears two */
	other = (uint64_t)owfs_geo_super_pos(48u << 20,
					     owfs_slots_after(&slots, due));
	emubd_peek(w.e, kept, sizeof(kept), other);
	emubd_poke(w.e, torn, sizeof(torn), other);
	check_kept(&w, &r);
	assert_int_equal(r.problems, 2);
	owfs_keep_end(w.fs, w.id);
	emubd_poke(w.e, kept, sizeof(kept), other);
	close_work(&w);
}

static void test_what_was_given_up_is_not_read(void **state)
{
	struct owfs_check_report r;
	struct work w;

	(void)state;
	open_work(&w, 48u << 20, 1);
	check_kept(&w, &r);
	assert_int_equal(r.problems, 0);
	owfs_alloc_unkeep(w.fs->fs_al);
	assert_int_equal(owfs_keep_read(w.fs, w.id, &r, 512, 0), -ESTALE);
	owfs_keep_end(w.fs, w.id);
	assert_int_equal(owfs_keep_begin(w.fs, &w.sb, &w.id), 0);
	owfs_keep_end(w.fs, w.id);
	assert_int_equal(owfs_keep_read(w.fs, w.id, &r, 512, 0), -ESTALE);
	assert_int_equal(owfs_keep_bits(w.fs, w.id, 0, NULL), -ESTALE);
	close_work(&w);
}

static void test_one_at_a_time_and_the_silent_are_forgotten(void **state)
{
	unsigned char sector[512];
	struct owfs_super sb;
	struct work w;
	uint64_t id;

	(void)state;
	open_work(&w, 48u << 20, 1);
	assert_int_equal(owfs_keep_begin(w.fs, &w.sb, &w.id), 0);
	clock_now += OWFS_KEEP_IDLE - 1;
	assert_int_equal(owfs_keep_begin(w.fs, &sb, &id), -EBUSY);
	assert_int_equal(owfs_keep_read(w.fs, w.id, sector, 512, 0), 0);
	clock_now += 1;
	assert_int_equal(owfs_keep_begin(w.fs, &sb, &id), -EBUSY);
	clock_now += OWFS_KEEP_IDLE;
	assert_int_equal(owfs_keep_begin(w.fs, &sb, &id), 0);
	assert_int_equal(owfs_keep_read(w.fs, w.id, sector, 512, 0), -ESTALE);
	owfs_keep_end(w.fs, w.id);	/* not his */
	assert_int_equal(owfs_keep_read(w.fs, id, sector, 512, 0), 0);
	assert_int_equal(owfs_keep_read(w.fs, id, sector, 511, 0), -EINVAL);
	assert_int_equal(owfs_keep_read(w.fs, id, sector, 512, 48 << 20),
			 -EINVAL);
	assert_int_equal(owfs_keep_read(w.fs, id, sector, 512, -512), -EINVAL);
	assert_int_equal(owfs_keep_bits(w.fs, id, 99, NULL), -EINVAL);

	/* a commit notices, too */
	clock_now += OWFS_KEEP_SECS;
	make(&w, "one more");
	assert_int_equal(owfs_syncfs(w.fs), 0);
	assert_false(owfs_alloc_is_kept(w.fs->fs_al));
	close_work(&w);
}

/* As many files fit as without, and the check is told. */
static unsigned int fill(struct work *w)
{
	static const char block[BS];
	struct owfs_newnode nn = { .mode = S_IFREG | 0644 };
	struct owfs_inode *inode;
	unsigned int n = 0;
	char name[20];
	int ret;

	for (;; n++) {
		snprintf(name, sizeof(name), "fill-%u", n);
		OWFS_RETRY(w->fs, ret, owfs_create(w->root, name, strlen(name),
						   &nn, &inode));
		if (ret)
			break;
		if (owfs_file_write(inode, block, BS, 0, false, 0) < 0)
			ret = -ENOSPC;
		owfs_iput(inode);
		if (ret)
			break;
	}
	assert_int_equal(ret, -ENOSPC);
	return n;
}

static void test_a_full_device_gives_it_up(void **state)
{
	unsigned char sector[512];
	unsigned int with, without, i;
	struct work w;

	(void)state;
	open_work(&w, 24u << 20, 1);
	without = fill(&w);
	close_work(&w);

	open_work(&w, 24u << 20, 1);
	assert_int_equal(owfs_keep_begin(w.fs, &w.sb, &w.id), 0);
	for (i = 0; i < 300; i++) {
		make(&w, "more nodes");
		owfs_unlink(w.root, "more nodes", 10);
		assert_int_equal(owfs_syncfs(w.fs), 0);
		clock_now = 1000;
	}
	with = fill(&w);
	assert_in_range(with, without - 2, without + 2);
	assert_int_equal(w.given_up, 1);
	assert_int_equal(owfs_keep_read(w.fs, w.id, sector, 512, 0), -ESTALE);
	close_work(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_is_found_while_others_write),
		cmocka_unit_test(test_a_crash_explains_a_torn_superblock),
		cmocka_unit_test(test_what_was_given_up_is_not_read),
		cmocka_unit_test(test_one_at_a_time_and_the_silent_are_forgotten),
		cmocka_unit_test(test_a_full_device_gives_it_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
