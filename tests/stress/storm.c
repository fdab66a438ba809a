/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The mixed storm: the library with threads of its own and many more above it.
 *
 *	storm [SECONDS [SEED]]
 *
 * A round mounts, lets workers operate while another thread evicts metadata,
 * steps the commit and takes copies of the device as a power loss would leave
 * it, and ends with an unmount, or without one; then the check must find
 * nothing, and the next round what the last one left.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "storm.h"

#include "rig.h"

#define ROUND_OPS	400	/* of a worker */

struct storm {
	struct stress s;
	struct own *own[WORKERS];
	struct ledger ledger[WORKERS];
	struct rng rng;
	unsigned int rounds, crashes;
	bool over;		/* atomic: the disturber may go */
};

struct worker {
	struct storm *storm;
	unsigned int id;
};

struct owfs_inode *storm_shared_dir(struct owfs_fs *fs, unsigned int i)
{
	char name[16];

	snprintf(name, sizeof(name), "s%u", i);
	return stress_dir(fs, name);
}

struct owfs_inode *storm_own_dir(struct owfs_fs *fs, unsigned int i)
{
	char name[16];

	snprintf(name, sizeof(name), "w%u", i);
	return stress_dir(fs, name);
}

/* ----------------------------------------------------------------- workers */

static void *worker(void *arg)
{
	struct worker *w = arg;
	struct storm *st = w->storm;
	struct own *o = st->own[w->id];
	unsigned int i;

	o->fs = st->s.fs;
	own_verify(o);
	for (i = 0; i < ROUND_OPS; i++) {
		if (rng_below(&o->rng, 2))
			own_op(o);
		else
			shared_op(st->s.fs, &o->rng, w->id);
		if (rng_below(&o->rng, 8) == 0)
			ledger_write(&st->ledger[w->id], st->s.fs,
				     rng_below(&o->rng, 4) == 0);
		if (rng_below(&o->rng, 100) == 0)
			stress_ok(owfs_syncfs(st->s.fs), "syncfs");
	}
	own_verify(o);
	own_let_go(o);
	return NULL;
}

/* --------------------------------------------------------------- disturber */

/* What is on the device at this moment mounts and shows a prefix. */
static void crash(struct storm *st)
{
	struct owfs_fs_param p = { .cache = 1 << 20 };
	uint64_t durable[WORKERS];
	struct owfs_fs *fs;
	struct emubd *e;
	unsigned int i;

	for (i = 0; i < WORKERS; i++)
		durable[i] = __atomic_load_n(&st->ledger[i].durable,
					     __ATOMIC_SEQ_CST);
	e = emubd_fork(st->s.e);
	p.bd = emubd_blkdev(e);
	stress_check(e, "crash");
	stress_ok(owfs_mount(&fs, &p), "mount after a crash");
	for (i = 0; i < WORKERS; i++)
		ledger_check(&st->ledger[i], fs, durable[i]);
	owfs_mount_abandon(fs);
	emubd_destroy(e);
	st->crashes++;
}

static void *disturber(void *arg)
{
	const struct timespec breath = { .tv_nsec = 500000 };
	struct storm *st = arg;
	struct owfs_fs *fs = st->s.fs;
	struct statvfs vfs;

	while (!__atomic_load_n(&st->over, __ATOMIC_RELAXED)) {
		owfs_bufcache_shrink(fs->fs_bc, rng_below(&st->rng, 2));
		MUST(owfs_commit_step(fs, rng_below(&st->rng, 2)) >= 0);
		MUST(owfs_reclaim_step(fs) >= 0);
		stress_ok(owfs_statfs(fs, &vfs), "statfs");
		if (rng_below(&st->rng, 100) == 0)
			crash(st);
		/* the others are to get on with it */
		nanosleep(&breath, NULL);
	}
	return NULL;
}

/* ------------------------------------------------------------------- rounds */

static void run_threads(struct storm *st)
{
	struct worker w[WORKERS];
	pthread_t disturb;
	unsigned int i;

	for (i = 0; i < WORKERS; i++)
		w[i] = (struct worker){ st, i };
	st->over = false;
	MUST(!pthread_create(&disturb, NULL, disturber, st));
	stress_run(worker, w, sizeof(w[0]), WORKERS);
	__atomic_store_n(&st->over, true, __ATOMIC_RELAXED);
	MUST(!pthread_join(disturb, NULL));
}

static void one_round(struct storm *st)
{
	bool crashes = rng_below(&st->rng, 3) == 0;
	unsigned int i;

	stress_mount(&st->s);
	for (i = 0; i <= SHARED_DIRS; i++)
		owfs_iput(storm_shared_dir(st->s.fs, i));
	run_threads(st);
	if (crashes) {
		/* nothing more is written, but what was promised is there */
		stress_ok(owfs_syncfs(st->s.fs), "syncfs");
		owfs_mount_abandon(st->s.fs);
	} else {
		if (rng_below(&st->rng, 2)) {
			stress_settle(st->s.fs);
			stress_check_accounts(st->s.fs);
		}
		stress_unmount(&st->s);
	}
	stress_check(st->s.e, "end of a round");
	st->rounds++;
}

int main(int argc, char **argv)
{
	struct storm *st = calloc(1, sizeof(*st));
	unsigned int i;

	stress_begin(&st->s, argc, argv, "storm", 6, 256 << 20);
	st->rng.s = st->s.seed;
	for (i = 0; i < WORKERS; i++) {
		st->own[i] = calloc(1, sizeof(*st->own[i]));
		own_init(st->own[i], i, rng_next(&st->rng));
		st->ledger[i].id = i;
	}
	do {
		one_round(st);
	} while (stress_has_time(&st->s));
	printf("storm: rounds=%u crashes=%u\n", st->rounds, st->crashes);
	stress_end(&st->s);
	for (i = 0; i < WORKERS; i++)
		free(st->own[i]);
	free(st);
	return 0;
}
