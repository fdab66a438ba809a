/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The storm while the device fails.
 *
 *	storm_broken [SECONDS [SEED]]
 *
 * Workers operate on nobody's names and keep their ledgers; at some point a
 * read, a write or a flush fails, once or from then on.  Nobody may crash or
 * wait forever; everybody is told; and on the device there is afterwards a
 * prefix with everything that was promised, which passes the check.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "storm.h"

#include "rig.h"

#define ROUND_OPS	150	/* of a worker */

struct broken {
	struct stress s;
	struct emubd *fresh;
	struct ledger ledger[WORKERS];
	struct rng rng;
	unsigned int rounds, broken;
};

struct worker {
	struct broken *b;
	unsigned int id;
	struct rng rng;
};

struct owfs_inode *storm_shared_dir(struct owfs_fs *fs, unsigned int i)
{
	char name[16];

	snprintf(name, sizeof(name), "s%u", i);
	return stress_dir(fs, name);
}

static void *worker(void *arg)
{
	struct worker *w = arg;
	struct owfs_fs *fs = w->b->s.fs;
	unsigned int i;

	for (i = 0; i < ROUND_OPS; i++) {
		shared_op(fs, &w->rng, w->id);
		if (rng_below(&w->rng, 4) == 0)
			ledger_write(&w->b->ledger[w->id], fs,
				     rng_below(&w->rng, 3) == 0);
		if (rng_below(&w->rng, 16) == 0)
			owfs_bufcache_shrink(fs->fs_bc, true);
	}
	return NULL;
}

/* One kind of request fails, the n-th from now on. */
static enum emubd_kind break_device(struct broken *b)
{
	static const enum emubd_kind kinds[] = {
		EMUBD_READ, EMUBD_WRITE, EMUBD_WRITE, EMUBD_FLUSH
	};
	enum emubd_kind kind = kinds[rng_below(&b->rng, 4)];
	uint64_t nth = rng_below(&b->rng, kind == EMUBD_FLUSH ? 60 : 600);

	stress_tolerate(true);
	emubd_fault(b->s.e, kind, nth + 1,
		    rng_below(&b->rng, 2) ? 1 : EMUBD_FOREVER, EIO);
	return kind;
}

static void repair_device(struct broken *b, enum emubd_kind kind)
{
	emubd_fault(b->s.e, kind, 1, 0, EIO);
}

/* What a user finds who looks at it on a sound device. */
static void look(struct broken *b)
{
	struct owfs_fs_param p = {
		.bd = emubd_blkdev(b->s.e), .cache = 1 << 20,
	};
	struct owfs_fs *fs;
	unsigned int i;

	stress_check(b->s.e, "after the storm");
	stress_ok(owfs_mount(&fs, &p), "mount after the storm");
	for (i = 0; i < WORKERS; i++)
		ledger_check(&b->ledger[i], fs, b->ledger[i].durable);
	stress_ok(owfs_unmount(fs), "unmount after the storm");
	stress_check(b->s.e, "in the end");
}

static void one_round(struct broken *b)
{
	struct worker w[WORKERS];
	enum emubd_kind kind;
	unsigned int i;
	int ret;

	b->s.e = emubd_fork(b->fresh);
	memset(b->ledger, 0, sizeof(b->ledger));
	stress_mount(&b->s);
	for (i = 0; i <= SHARED_DIRS; i++)
		owfs_iput(storm_shared_dir(b->s.fs, i));
	for (i = 0; i < WORKERS; i++) {
		w[i] = (struct worker){ b, i, { rng_next(&b->rng) } };
		b->ledger[i].id = i;
	}
	kind = break_device(b);
	stress_run(worker, w, sizeof(w[0]), WORKERS);
	b->rounds++;
	b->broken += owfs_fs_writable(b->s.fs) != 0;
	if (rng_below(&b->rng, 2))
		repair_device(b, kind);
	ret = owfs_unmount(b->s.fs);
	if (ret && !stress_tolerates(ret))
		stress_die("unmount: answered %d", ret);
	for (i = 0; i < WORKERS && !ret; i++)
		b->ledger[i].durable = b->ledger[i].n ? b->ledger[i].n - 1 : 0;
	repair_device(b, kind);
	stress_tolerate(false);
	look(b);
	emubd_destroy(b->s.e);
}

int main(int argc, char **argv)
{
	struct broken b = { 0 };

	stress_begin(&b.s, argc, argv, "storm_broken", 5, 64 << 20);
	b.rng.s = b.s.seed;
	b.fresh = b.s.e;
	do {
		one_round(&b);
	} while (stress_has_time(&b.s));
	printf("storm_broken: rounds=%u broken=%u\n", b.rounds, b.broken);
	b.s.e = b.fresh;
	stress_end(&b.s);
	return 0;
}
