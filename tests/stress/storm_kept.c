/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The storm beside a check of what is in use.
 *
 *	storm_kept [SECONDS [SEED]]
 *
 * Metadata is there twice, and before each round one copy of some nodes is
 * damaged.  Workers operate on nobody's names, the library's threads commit and
 * write bad copies anew, one thread evicts what is cached, and two want to keep a
 * commit, check it and have mended what they find: it is whole for as long as it
 * is kept.  At the end of a round no bad copy is left.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "storm.h"

#include "base/util.h"
#include "kept.h"
#include "rig.h"

#define STORM_WORKERS	3
#define CHECKERS	2
#define ROUND_OPS	60	/* of a worker */

struct storm_kept {
	struct stress s;
	struct rng rng;
	uint64_t checks, hurt;		/* checks: atomic */
	unsigned int working;		/* atomic: workers that are at it */
};

struct thread {
	struct storm_kept *st;
	unsigned int id;
	struct rng rng;
};

struct owfs_inode *storm_shared_dir(struct owfs_fs *fs, unsigned int i)
{
	char name[16];

	snprintf(name, sizeof(name), "s%u", i);
	return stress_dir(fs, name);
}

/* Of bad copies it is told, and of nothing worse. */
static void told(void *ctx, enum owfs_msg_level level, const char *line)
{
	(void)ctx;
	if (level == OWFS_MSG_ERROR && !strstr(line, ": copy="))
		stress_die("owfs says: %s", line);
}

static const struct owfs_msg sink = { told, NULL, OWFS_MSG_WARN };

/* ----------------------------------------------------------------- threads */

static void work(struct thread *t)
{
	struct owfs_fs *fs = t->st->s.fs;
	unsigned int i;

	for (i = 0; i < ROUND_OPS; i++) {
		shared_op(fs, &t->rng, t->id);
		if (rng_below(&t->rng, 20) == 0)
			stress_ok(owfs_syncfs(fs), "syncfs");
	}
	__atomic_fetch_sub(&t->st->working, 1, __ATOMIC_RELAXED);
}

static bool is_working(const struct thread *t)
{
	return __atomic_load_n(&t->st->working, __ATOMIC_RELAXED) > 0;
}

static void evict(struct thread *t)
{
	struct owfs_fs *fs = t->st->s.fs;

	while (is_working(t)) {
		owfs_bufcache_shrink(fs->fs_bc, true);
		MUST(owfs_commit_step(fs, rng_below(&t->rng, 2)) >= 0);
	}
}

/* 1: somebody else checks. */
static int check_one(struct thread *t)
{
	struct kept k;
	int ret = kept_begin(&k, t->st->s.fs);

	if (ret == -EBUSY)
		return 1;
	stress_ok(ret, "keep");
	do {
		ret = kept_check(&k, rng_below(&t->rng, 2));
		if (ret < 0)
			stress_die("%s", k.why);
		__atomic_fetch_add(&t->st->checks, 1, __ATOMIC_RELAXED);
	} while (!ret && is_working(t) && rng_below(&t->rng, 3));
	kept_end(&k);
	return 0;
}

static void check(struct thread *t)
{
	while (is_working(t))
		if (!check_one(t))
			stress_checked(1);
}

static void *run(void *arg)
{
	struct thread *t = arg;

	if (t->id < STORM_WORKERS)
		work(t);
	else if (t->id < STORM_WORKERS + CHECKERS)
		check(t);
	else
		evict(t);
	return NULL;
}

/* ------------------------------------------------------------------ rounds */

static void mount(struct storm_kept *st)
{
	struct owfs_fs_param p = {
		.bd = emubd_blkdev(st->s.e), .msg = &sink, .threaded = true,
		.discard = st->s.discard, .cache = 1 << 20, .commit_secs = 1,
		.cut_extents = 8,
	};

	if (st->s.discard)
		emubd_discard_noise(st->s.e);
	stress_ok(owfs_mount(&st->s.fs, &p), "mount");
}

static void mend_all(struct storm_kept *st)
{
	struct kept k;

	stress_ok(kept_begin(&k, st->s.fs), "keep");
	if (kept_check(&k, true) < 0)
		stress_die("%s", k.why);
	kept_end(&k);
	/* the commit before shall have none, either */
	stress_ok(owfs_commit_wait(st->s.fs, owfs_open_gen(st->s.fs)), "commit");
	stress_ok(owfs_commit_wait(st->s.fs, owfs_open_gen(st->s.fs)), "commit");
}

static void one_round(struct storm_kept *st)
{
	struct thread t[STORM_WORKERS + CHECKERS + 1];
	unsigned int i;
	int hurt = kept_hurt(st->s.e, &st->rng);

	MUST(hurt >= 0);
	st->hurt += (unsigned int)hurt;
	mount(st);
	for (i = 0; i <= SHARED_DIRS; i++)
		owfs_iput(storm_shared_dir(st->s.fs, i));
	for (i = 0; i < ARRAY_SIZE(t); i++)
		t[i] = (struct thread){ st, i, { rng_next(&st->rng) } };
	st->working = STORM_WORKERS;
	stress_run(run, t, sizeof(t[0]), ARRAY_SIZE(t));
	mend_all(st);
	stress_settle(st->s.fs);
	stress_check_accounts(st->s.fs);
	stress_unmount(&st->s);
	stress_check(st->s.e, "end of a round");
}

int main(int argc, char **argv)
{
	struct storm_kept *st = calloc(1, sizeof(*st));
	struct rig_env env;
	unsigned int rounds = 0;

	stress_begin(&st->s, argc, argv, "storm_kept", 3, 64 << 20);
	st->rng.s = st->s.seed;
	emubd_destroy(st->s.e);
	rig_env_init(&env, st->s.seed);
	st->s.e = rig_mkfs(&env, 64 << 20, BLOCK, 2);
	MUST(st->s.e);
	do {
		one_round(st);
		rounds++;
	} while (stress_has_time(&st->s));
	printf("storm_kept: rounds=%u checks=%llu hurt=%llu\n", rounds,
	       (unsigned long long)st->checks, (unsigned long long)st->hurt);
	stress_end(&st->s);
	free(st);
	return 0;
}
