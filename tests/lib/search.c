/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The search for broken promises; see search.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "search.h"

#include "base/util.h"
#include "check.h"
#include "claims.h"
#include "file/attr.h"
#include "file/file.h"
#include "kept.h"
#include "rig.h"
#include "said.h"

#define HOLDS	SEARCH_HOLDS
#define RECOVERY_STEPS	10000	/* one that takes more does not end */
#define FORMAT_GEN	1	/* the generation that mkfs commits */

/* The state after operation number i; [0] is how the run began. */
struct hist {
	size_t start, end;	/* of the operation, in the log */
	uint64_t digest;
	bool promise;
};

struct run {
	struct search *s;
	struct rng rng;
	struct rig_env env;
	struct emubd *base, *e;
	struct owfs_fs *fs;
	struct model *first, *model;
	struct op *ops;			/* [i]: operation number i */
	struct hist *hist;
	unsigned int n;			/* operations done */
	unsigned int depth;
	bool recovery;			/* nothing but what a mount does by itself */
	uint64_t seed;
	struct seen seen;
	struct owfs_inode *hold[HOLDS];
	struct kept kept;
	unsigned int bad;		/* copies of nodes, at the beginning */
};

static int violation(struct run *r, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static int violation(struct run *r, const char *fmt, ...)
{
	va_list ap;

	r->s->violations++;
	fprintf(stderr, "VIOLATION seed=%llu depth=%u run=%llu op=%u: ",
		(unsigned long long)r->s->seed, r->depth,
		(unsigned long long)r->seed, r->n);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\n%s", said);
	return -1;
}

/* --------------------------------------------------------- running forward */

static void drop_hold(struct run *r, unsigned int i)
{
	if (r->hold[i])
		owfs_iput(r->hold[i]);
	r->hold[i] = NULL;
}

static void drop_holds(struct run *r)
{
	unsigned int i;

	for (i = 0; i < HOLDS; i++)
		drop_hold(r, i);
}

/*
 * Keep some files open, so that unlink meets open files, and write to those
 * that have lost their name: nobody may see it.
 */
static void play_with_holds(struct run *r)
{
	unsigned int i = (unsigned int)rng_below(&r->rng, HOLDS);
	struct owfs_attr attr = { .size = rng_below(&r->rng, 100000) };
	struct op op;
	int err;

	if (!r->hold[i]) {
		op_random(&op, r->s->profile, &r->rng);
		r->hold[i] = rig_lookup(r->fs, op.path, &err);
		return;
	}
	if (S_ISREG(r->hold[i]->i_attr.mode) && !r->hold[i]->i_attr.nlink) {
		owfs_file_write(r->hold[i], "unseen", 6,
				(loff_t)rng_below(&r->rng, 50000), false,
				false);
		if (rng_below(&r->rng, 2))
			owfs_setattr(r->hold[i], &attr, OWFS_SET_SIZE);
	}
	if (rng_below(&r->rng, 3) == 0)
		drop_hold(r, i);
}

/* ------------------------------------------------------------ kept commits */

/* What is kept is whole at any time, until it is not kept any longer. */
static int look_at_kept(struct run *r)
{
	int ret;

	if (!r->kept.active)
		return 0;
	ret = kept_check(&r->kept, r->s->hurt);
	r->s->kept++;
	r->s->given_up += ret == 1;
	return ret < 0 ? violation(r, "%s", r->kept.why) : 0;
}

static int play_with_kept(struct run *r)
{
	int ret;

	if (!r->s->keep || rng_below(&r->rng, 6))
		return 0;
	if (r->kept.active) {
		ret = look_at_kept(r);
		if (!ret && rng_below(&r->rng, 6) == 0)
			kept_end(&r->kept);
		return ret;
	}
	ret = kept_begin(&r->kept, r->fs);
	return ret ? violation(r, "keep: %s", strerror(-ret)) : look_at_kept(r);
}

/* What a real system does whenever it likes, here when the seed says so. */
static void play_background(struct run *r)
{
	uint64_t steps = rng_below(&r->rng, 8);

	while (steps--) {
		switch (rng_below(&r->rng, 8)) {
		case 0:
			owfs_reclaim_step(r->fs);
			break;
		case 1:
			owfs_bufcache_shrink(r->fs->fs_bc, true);
			break;
		case 2:
			play_with_holds(r);
			break;
		default:
			owfs_commit_step(r->fs, rng_below(&r->rng, 4) == 0);
		}
	}
}

static int remount(struct run *r)
{
	int ret;

	drop_holds(r);
	kept_end(&r->kept);
	ret = owfs_unmount(r->fs);
	r->fs = NULL;
	if (ret)
		return ret;
	return rig_mount(&r->fs, r->e, &r->env, 0, &said_msg);
}

static int one_op(struct run *r)
{
	struct op *op = &r->ops[r->n + 1];
	struct hist *h = &r->hist[r->n + 1];
	struct model *before;
	char text[400];
	int want, got;

	if (r->s->script && r->depth == 1)
		*op = r->s->script[r->n];
	else
		op_random(op, r->s->profile, &r->rng);
	h->start = emubd_log_len(r->e);
	before = model_clone(r->model);
	want = model_apply(r->model, op);
	got = op->kind == OP_REMOUNT ? remount(r) : rig_apply(r->fs, op);
	if (got == -ENOSPC && want == 0) {
		r->s->enospc++;
		model_free(r->model);
		r->model = before;
		before = NULL;
		op->kind = OP_SYNC;	/* when replayed: nothing */
		want = got;
	} else {
		h->promise = op_is_promise(op) && got == 0;
	}
	model_free(before);
	r->n++;
	r->s->ops++;
	h->end = emubd_log_len(r->e);
	h->digest = model_digest(r->model, NULL);
	if (got == want)
		return 0;
	op_to_text(op, text, sizeof(text));
	return violation(r, "%s: answered %d, should be %d", text, got, want);
}

/* The live filesystem must look like the model at any time. */
static int compare_live(struct run *r)
{
	int err;
	uint64_t d = rig_digest(r->fs, NULL, &err);

	said[0] = 0;
	if (!err && d == r->hist[r->n].digest)
		return 0;
	fprintf(stderr, "--- model\n");
	model_digest(r->model, stderr);
	fprintf(stderr, "--- owfs\n");
	rig_digest(r->fs, stderr, &err);
	return violation(r, "the mounted filesystem differs: error=%d", err);
}

static void hold_at_first(struct run *r)
{
	unsigned int i;
	int err;

	for (i = 0; i < HOLDS && r->depth == 1; i++)
		if (r->s->hold[i])
			r->hold[i] = rig_lookup(r->fs, r->s->hold[i], &err);
}

static int run_forward(struct run *r)
{
	unsigned int i;
	int ret;

	ret = rig_mount(&r->fs, r->e, &r->env, 0, &said_msg);
	if (ret)
		return violation(r, "mount: %s", strerror(-ret));
	hold_at_first(r);
	for (i = 0; i < r->s->nops; i++) {
		play_background(r);
		if (!r->fs)
			return violation(r, "remount failed");
		if (one_op(r) || play_with_kept(r))
			return -1;
		if (rng_below(&r->rng, 16) == 0 && compare_live(r))
			return -1;
	}
	play_background(r);
	if (look_at_kept(r))
		return -1;
	kept_end(&r->kept);
	return compare_live(r);
}

/* All that orphans and intents ask for; 0, or why it could not be done. */
static int reclaim_all(struct run *r)
{
	unsigned int i;
	int ret = 1;

	for (i = 0; ret > 0; i++) {
		if (i == RECOVERY_STEPS)
			return -ELOOP;
		ret = owfs_reclaim_step(r->fs);
		if (ret == -EAGAIN)
			ret = owfs_syncfs(r->fs) ? -EIO : 1;
		else if (rng_below(&r->rng, 3) == 0)
			owfs_commit_step(r->fs, rng_below(&r->rng, 2));
	}
	return ret;
}

/* All that was bad is found by a check, and written anew. */
static int run_mend(struct run *r)
{
	struct owfs_check_param p = { .commits = OWFS_CHECK_CURRENT };
	struct owfs_check_report rep;
	int ret = kept_begin(&r->kept, r->fs);

	if (ret)
		return violation(r, "keep: %s", strerror(-ret));
	ret = kept_check(&r->kept, true);
	kept_end(&r->kept);
	if (ret < 0)
		return violation(r, "%s", r->kept.why);
	ret = reclaim_all(r);
	if (!ret)
		ret = owfs_syncfs(r->fs);
	if (!ret)
		ret = owfs_check(emubd_blkdev(r->e), &p, &rep);
	if (ret || rep.problems)
		return violation(r, "mended: error=%d problems=%u: %s", -ret,
				 rep.problems, rep.first);
	r->s->mended += r->bad;
	return 0;
}

/*
 * What a mount after a crash does by itself: claims numbers, gives back what is
 * doomed or has no name, and at the end is unmounted with nothing left to do.
 */
static int run_recovery(struct run *r)
{
	int ret = rig_mount(&r->fs, r->e, &r->env, 0, &said_msg);

	if (ret)
		return violation(r, "mount: %s", strerror(-ret));
	ret = reclaim_all(r);
	if (ret)
		return violation(r, "recovery: %s", strerror(-ret));
	if (compare_live(r))
		return -1;
	ret = owfs_unmount(r->fs);
	r->fs = NULL;
	if (ret)
		return violation(r, "unmount: %s", strerror(-ret));
	return 0;
}

/* ---------------------------------------------------------------- judging */

static int find_state(const struct run *r, uint64_t digest, unsigned int lo,
		      unsigned int hi)
{
	unsigned int k;

	for (k = hi + 1; k-- > lo;)
		if (r->hist[k].digest == digest)
			return (int)k;
	return -1;
}

static void bounds(const struct run *r, size_t cut, unsigned int *lo,
		   unsigned int *hi)
{
	unsigned int k;

	*lo = 0;
	*hi = 0;
	for (k = 1; k <= r->n; k++) {
		if (r->hist[k].start <= cut)
			*hi = k;
		if (r->hist[k].end <= cut && r->hist[k].promise)
			*lo = k;
	}
}

static void dump_state(struct run *r, struct emubd *e, unsigned int lo,
		       unsigned int hi)
{
	struct owfs_fs *fs;
	struct model *m;
	char text[400];
	unsigned int k;
	int err;

	for (k = lo > 3 ? lo - 3 : 1; k <= hi; k++) {
		op_to_text(&r->ops[k], text, sizeof(text));
		fprintf(stderr, "  op %u log=%zu..%zu%s %s\n", k,
			r->hist[k].start, r->hist[k].end,
			r->hist[k].promise ? " promise" : "", text);
	}
	if (rig_mount(&fs, e, &r->env, RIG_READONLY, NULL))
		return;
	fprintf(stderr, "--- owfs\n");
	rig_digest(fs, stderr, &err);
	owfs_mount_abandon(fs);
	fprintf(stderr, "--- model after op %u\n", lo);
	m = model_clone(r->first);
	for (k = 1; k <= lo; k++)
		model_apply(m, &r->ops[k]);
	model_digest(m, stderr);
	model_free(m);
}

/* What the commit before the last counts as a whole is counted one by one, too. */
static unsigned int other_than_copies(const struct owfs_check_report *rep)
{
	return rep->problems - rep->count[BAD_NODE_COPY] -
	       rep->count[BAD_COMMIT_BEFORE];
}

static int check_state(const struct run *r, struct emubd *e, bool previous,
		       struct owfs_check_report *rep)
{
	struct owfs_check_param p = {
		.commits = previous ? OWFS_CHECK_PREVIOUS : OWFS_CHECK_CURRENT,
		.msg = r->bad ? NULL : &said_msg,
	};
	int ret = owfs_check(emubd_blkdev(e), &p, rep);

	if (ret)
		return ret;
	if (r->bad && rep->count[BAD_NODE_COPY] <= r->bad)
		return (int)other_than_copies(rep);
	return (int)rep->problems;
}

/* Mount, walk, compare, check.  The number of the operation, or -1. */
static int judge_commit(struct run *r, struct emubd *e, unsigned int flags,
			unsigned int lo, unsigned int hi, const char *what)
{
	struct owfs_check_report rep;
	struct owfs_fs *fs;
	uint64_t d;
	int ret, k;

	said[0] = 0;
	ret = rig_mount(&fs, e, &r->env, flags, &said_msg);
	if (ret)
		return violation(r, "%s: mount: %s", what, strerror(-ret));
	d = rig_digest(fs, NULL, &ret);
	owfs_mount_abandon(fs);
	if (ret) {
		dump_state(r, e, lo, hi);
		return violation(r, "%s: reading: %s", what, strerror(-ret));
	}
	k = find_state(r, d, lo, hi);
	if (k < 0) {
		dump_state(r, e, lo, hi);
		return violation(r, "%s: no prefix from %u to %u looks like this",
				 what, lo, hi);
	}
	ret = check_state(r, e, flags & RIG_FALLBACK, &rep);
	if (ret)
		return violation(r, "%s: the check found %d", what, ret);
	return k;
}

/* 1: the newest superblock names the commit before; 0: mkfs made the only one. */
static int has_fallback(struct run *r, struct emubd *e, const char *what)
{
	struct owfs_super sb;
	struct owfs_slots slots;

	if (owfs_super_read(emubd_blkdev(e), &sb, &slots, NULL) ||
	    sb.root[0].gen == FORMAT_GEN)
		return 0;
	if (sb.root[1].gen && sb.root[1].gen < sb.root[0].gen)
		return 1;
	return violation(r, "%s: generation %llu has none before it: %llu",
			 what, (unsigned long long)sb.root[0].gen,
			 (unsigned long long)sb.root[1].gen);
}

static int search_from(struct search *s, struct emubd *base,
		       struct model *model, unsigned int depth, uint64_t seed,
		       bool recovery);

static int go_on(struct run *r, struct emubd *e, int k, bool recovery)
{
	struct model *m = model_clone(r->first);
	int i, ret;

	for (i = 1; i <= k; i++)
		model_apply(m, &r->ops[i]);
	ret = search_from(r->s, e, m, r->depth + 1, rng_next(&r->rng), recovery);
	model_free(m);
	return ret;
}

/* One of @every states to go on from; 0: none. */
static bool is_chosen(struct run *r, unsigned int every)
{
	return r->depth < r->s->depth && every && rng_below(&r->rng, every) == 0;
}

/*
 * One more commit of what is there: with RIG_FALLBACK the older commit becomes
 * the current one, without it the last two look the same.
 */
static int settle(struct emubd *e, struct rig_env *env, unsigned int flags)
{
	struct owfs_attr attr = { .mode = 0755 };
	struct owfs_inode *root;
	struct owfs_fs *fs;
	int ret = rig_mount(&fs, e, env, flags, &said_msg);

	if (ret)
		return ret;
	ret = owfs_iget(fs, OWFS_INO_ROOT, &root);
	if (!ret) {
		ret = owfs_setattr(root, &attr, OWFS_SET_MODE);
		owfs_iput(root);
	}
	if (!ret)
		ret = owfs_syncfs(fs);
	owfs_mount_abandon(fs);
	return ret;
}

/* @old shows operation @k after falling back: write, crash, look again. */
static int go_on_fallback(struct run *r, struct emubd *old, int k)
{
	int ret = settle(old, &r->env, RIG_FALLBACK);

	if (ret)
		return violation(r, "going on after a fallback: %s",
				 strerror(-ret));
	return go_on(r, old, k, false);
}

/*
 * Fall back one commit and go on from there.  What the older commit shows may
 * be from before this run; then only the check speaks.
 */
static int judge_fallback(struct run *r, struct emubd *e, unsigned int hi,
			  const char *what)
{
	struct emubd *old = emubd_fork(e);
	struct owfs_check_report rep;
	int k;

	if (r->depth > 1) {
		k = check_state(r, old, true, &rep);
		if (k)
			violation(r, "%s: the check of the older commit found %d",
				  what, k);
		k = k ? -1 : 0;
	} else {
		k = judge_commit(r, old, RIG_FALLBACK, 0, hi, what);
		if (k >= 0 && is_chosen(r, 2 * r->s->nest_every) &&
		    go_on_fallback(r, old, k))
			k = -1;
	}
	emubd_destroy(old);
	return k;
}

/* Not judged before: all of it.  The number of the operation, or -1. */
static int judge_new(struct run *r, struct emubd *e, unsigned int lo,
		     unsigned int hi, const char *what)
{
	int k = judge_commit(r, e, 0, lo, hi, what);
	int older = k < 0 ? 0 : has_fallback(r, e, what);

	r->s->states++;
	r->s->nested += r->depth > 1;
	if (older < 0 || (older && judge_fallback(r, e, hi, what) < 0))
		return -1;
	if (k >= 0 && is_chosen(r, r->s->nest_every) && go_on(r, e, k, false))
		return -1;
	if (k >= 0 && is_chosen(r, r->s->recover_every) && go_on(r, e, k, true))
		return -1;
	return k;
}

/*
 * The same content was judged at another cut, where other promises held: it
 * shows @k.  Of equal states the newest was found then, so an older one that
 * fits may have to be looked for.
 */
static int judge_known(struct run *r, int k, unsigned int lo, unsigned int hi,
		       const char *what)
{
	r->s->again++;
	if (find_state(r, r->hist[k].digest, lo, hi) >= 0)
		return 0;
	said[0] = 0;
	return violation(r, "%s: shows operation %d, not one from %u to %u",
			 what, k, lo, hi);
}

struct judging {
	struct run *r;
	size_t cut;
};

static int judge(void *ctx, enum emubd_crash_mode mode, uint64_t seed)
{
	const struct judging *j = ctx;
	struct run *r = j->r;
	struct emubd *e = emubd_crash(r->base, r->e, j->cut, mode, seed);
	uint64_t hash = r->s->once ? emubd_hash(e) : 0;
	unsigned int lo, hi;
	char what[100];
	int k, ret;

	bounds(r, j->cut, &lo, &hi);
	snprintf(what, sizeof(what), "cut=%zu mode=%d state=%llu", j->cut, mode,
		 (unsigned long long)seed);
	if (r->s->once && seen_get(&r->seen, hash, &k)) {
		ret = judge_known(r, k, lo, hi, what);
	} else {
		k = judge_new(r, e, lo, hi, what);
		ret = k < 0 ? -1 : 0;
		if (!ret && r->s->once)
			seen_put(&r->seen, hash, k);
	}
	emubd_destroy(e);
	return ret;
}

static int judge_cut(struct run *r, size_t cut)
{
	struct judging j = { r, cut };

	r->s->cuts++;
	return states_visit(r->e, cut, &r->s->plan, &r->rng, judge, &j);
}

static int run_cuts(struct run *r)
{
	size_t cut, len = emubd_log_len(r->e);
	unsigned int every = r->s->cut_every ? r->s->cut_every : 1;

	/* deeper down a sample is enough: there are many runs */
	if (r->depth > 1 && !r->recovery)
		every = (unsigned int)max_u64(every, len / 4 + 1);
	for (cut = rng_below(&r->rng, every); cut <= len;
	     cut += 1 + rng_below(&r->rng, 2 * every - 1))
		if (judge_cut(r, cut))
			return -1;
	return 0;
}

/* -------------------------------------------------------------------- runs */

/* Recovery has nothing left behind. */
static int check_recovered(struct run *r)
{
	struct owfs_check_report rep;
	int ret = check_state(r, r->e, false, &rep);

	if (ret)
		return violation(r, "after recovery: the check found %d", ret);
	if (rep.orphans || !rep.clean)
		return violation(r, "after recovery: orphans=%llu clean=%d",
				 (unsigned long long)rep.orphans, rep.clean);
	return 0;
}

/* Copies of nodes that are bad in one of the commits, or in both. */
static int count_bad(struct run *r)
{
	struct owfs_check_param p = {
		.commits = OWFS_CHECK_CURRENT | OWFS_CHECK_PREVIOUS,
	};
	struct owfs_check_report rep;
	int ret = owfs_check(emubd_blkdev(r->base), &p, &rep);

	if (ret || other_than_copies(&rep))
		return violation(r, "hurt: error=%d problems=%u: %s", -ret,
				 rep.problems, rep.first);
	r->bad = rep.count[BAD_NODE_COPY];
	return 0;
}

/* The device as the run finds it. */
static int set_out(struct run *r, struct emubd *base)
{
	int ret = 0;

	r->base = emubd_fork(base);
	if (r->s->hurt)
		ret = kept_hurt(r->base, &r->rng);
	if (ret < 0)
		ret = violation(r, "hurt: %s", strerror(-ret));
	else if (r->s->hurt)
		ret = count_bad(r);
	r->e = emubd_fork(r->base);
	emubd_record(r->e, true);
	if (r->s->keep && r->s->discard)
		emubd_discard_noise(r->e);
	return ret;
}

static int search_from(struct search *s, struct emubd *base,
		       struct model *model, unsigned int depth, uint64_t seed,
		       bool recovery)
{
	struct run r = { .s = s, .depth = depth, .seed = seed,
			 .rng = { seed }, .recovery = recovery };
	char why[CLAIMS_WHY];
	int ret;

	rig_env_init(&r.env, seed);
	r.env.cut_extents = s->cut_extents;
	r.env.discard = s->discard;
	r.first = model;
	r.model = model_clone(model);
	r.ops = calloc(s->nops + 1, sizeof(*r.ops));
	r.hist = calloc(s->nops + 1, sizeof(*r.hist));
	r.hist[0].digest = model_digest(model, NULL);
	ret = set_out(&r, base);
	s->recoveries += recovery;
	if (!ret)
		ret = recovery ? run_recovery(&r) : run_forward(&r);
	if (!ret && recovery)
		ret = check_recovered(&r);
	else if (!ret && s->hurt)
		ret = run_mend(&r);
	drop_holds(&r);
	kept_end(&r.kept);
	if (r.fs)
		owfs_mount_abandon(r.fs);
	if (!ret && claims_check(r.base, r.e, why))
		ret = violation(&r, "%s", why);
	if (!ret)
		ret = run_cuts(&r);

	emubd_destroy(r.e);
	emubd_destroy(r.base);
	model_free(r.model);
	seen_free(&r.seen);
	free(r.ops);
	free(r.hist);
	return ret;
}

/* What the run begins with: durable, in both of the last two commits. */
static int set_up(struct search *s, struct rig_env *env, struct emubd *e,
		  struct model *m)
{
	struct owfs_fs *fs;
	unsigned int i;
	int ret = rig_mount(&fs, e, env, 0, &said_msg);

	if (ret)
		return -1;
	for (i = 0; i < s->nsetup && !ret; i++) {
		ret = rig_apply(fs, &s->setup[i]);
		if (!ret)
			ret = model_apply(m, &s->setup[i]);
	}
	if (ret)
		fprintf(stderr, "set-up: operation %u: %s\n", i,
			strerror(-ret));
	if (owfs_unmount(fs) || settle(e, env, 0))
		ret = -EIO;
	return ret ? -1 : 0;
}

int search_run(struct search *s)
{
	struct rig_env env;
	struct model *m = model_new();
	struct emubd *base;
	int ret = -1;

	rig_env_init(&env, s->seed);
	base = rig_mkfs(&env, s->bytes ? s->bytes : 16 << 20,
			s->blocksize, s->copies);
	if (base)
		ret = s->nsetup ? set_up(s, &env, base, m) : 0;
	if (!ret)
		ret = search_from(s, base, m, 1, s->seed, false);
	emubd_destroy(base);
	model_free(m);
	return ret;
}
