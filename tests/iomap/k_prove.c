/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random use of several files in iomap mode against the played kernel: every
 * read, every fsync and every answer is checked, and the power is cut.  In some
 * runs the device fails: then errors are answers, too, but what was promised
 * before holds, and what is lost must have been said.
 *
 *	k_prove [STEPS [SEED [-v]]]
 *
 * The last line is "steps=N crash_states=N violations=N".
 */
#include <errno.h>
#include <linux/falloc.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "emubd_image.h"
#include "kmodel.h"

#define FILES		4
#define MAX_SIZE	(160u << 10)
#define RUN_STEPS	120	/* of one filesystem, from mkfs to the cuts */
#define CUTS		24	/* looked at in a run */

/* The filesystem after a request, as a digest; [0] is how the run began. */
struct hist {
	size_t start, end;	/* of the request, in the log */
	uint64_t digest;
	bool promise;
};

struct prove {
	struct rng rng;
	struct rig_env env;
	struct kmodel k;
	struct emubd *base, *e;
	struct hist *hist;
	size_t nhist, room;
	size_t log_at;		/* end of the last request */
	uint64_t seed, steps, states, violations;
	unsigned char *data;
	uint32_t stamp;		/* no two writes write the same */
	bool verbose;
	bool faulty;		/* the device has begun to fail */
	char what[200];		/* the step under way */
};

static const struct owfs_msg quiet;

static int violation(struct prove *p, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static int violation(struct prove *p, const char *fmt, ...)
{
	va_list ap;

	p->violations++;
	fprintf(stderr, "VIOLATION seed=%llu step=%llu %s: ",
		(unsigned long long)p->seed, (unsigned long long)p->steps,
		p->what);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return -1;
}

/* ------------------------------------------------------------------ history */

static void note(struct prove *p, bool promise)
{
	struct hist *h;
	int err;

	if (p->nhist == p->room) {
		p->room = p->room ? 2 * p->room : 256;
		p->hist = emubd_must(realloc(p->hist,
					     p->room * sizeof(*p->hist)));
	}
	h = &p->hist[p->nhist++];
	h->start = p->log_at;
	h->digest = rig_digest(p->k.srv.fs, NULL, &err);
	h->end = p->log_at = emubd_log_len(p->e);
	h->promise = promise;
	if (err)
		violation(p, "reading: %s", strerror(-err));
}

static void changed(void *ctx)
{
	struct prove *p = ctx;

	if (p->k.srv.fs)
		note(p, false);
}

/* -------------------------------------------------------------------- steps */

static uint64_t below(struct prove *p, uint64_t n)
{
	return rng_below(&p->rng, n);
}

static struct kfile *some_file(struct prove *p)
{
	char name[8];
	struct kfile *f;

	snprintf(name, sizeof(name), "f%llu",
		 (unsigned long long)below(p, FILES));
	for (f = p->k.files; f; f = f->next)
		if (!strcmp(f->name, name))
			return f;
	f = kmodel_create(&p->k, name);
	if (!f && !p->faulty)
		violation(p, "create");
	return f;
}

/* Places and lengths that like the edges of blocks. */
static uint64_t some_pos(struct prove *p, const struct kfile *f)
{
	uint64_t pos;

	switch (below(p, 4)) {
	case 0:
		pos = f->size;
		break;
	case 1:
		pos = below(p, MAX_SIZE / p->k.bs) * p->k.bs;
		break;
	default:
		pos = below(p, MAX_SIZE);
	}
	return min_u64(pos, MAX_SIZE - 1);
}

static uint64_t some_len(struct prove *p, uint64_t pos)
{
	uint64_t len;

	switch (below(p, 4)) {
	case 0:
		len = 1 + below(p, 64);
		break;
	case 1:
		len = (1 + below(p, 8)) * p->k.bs;
		break;
	default:
		len = 1 + below(p, 24000);
	}
	return min_u64(len, MAX_SIZE - pos);
}

static const unsigned char *bytes(struct prove *p, uint64_t len)
{
	uint64_t i;

	p->stamp++;
	for (i = 0; i < len; i += sizeof(p->stamp))
		memcpy(p->data + i, &p->stamp, sizeof(p->stamp));
	return p->data;
}

static int step_write(struct prove *p, struct kfile *f)
{
	uint64_t pos = some_pos(p, f), len = some_len(p, pos);
	unsigned int how = (unsigned int)below(p, 8);

	snprintf(p->what, sizeof(p->what), "%s: store %u %llu+%llu", f->name,
		 how, (unsigned long long)pos, (unsigned long long)len);
	if (how < 5)
		return kmodel_write(&p->k, f, pos, len, bytes(p, len));
	if (how == 5) {
		if (!f->size)
			return 0;
		pos = below(p, f->size);
		return kmodel_mmap_store(&p->k, f, pos, len, bytes(p, len));
	}
	pos -= pos % 512;
	len = max_u64(len - len % 512, 512);
	if (below(p, 2)) {
		pos -= pos % p->k.bs;
		len = max_u64(len - len % p->k.bs, p->k.bs);
	}
	if (how == 6)
		return kmodel_direct_async(&p->k, f, pos, len, bytes(p, len));
	return kmodel_direct_write(&p->k, f, pos, len, bytes(p, len));
}

static int step_fallocate(struct prove *p, struct kfile *f)
{
	static const int modes[] = {
		0, FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_ZERO_RANGE,
		FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
	};
	int mode = modes[below(p, ARRAY_SIZE(modes))];
	uint64_t pos = some_pos(p, f), len = some_len(p, pos);

	snprintf(p->what, sizeof(p->what), "%s: fallocate %x %llu+%llu",
		 f->name, mode, (unsigned long long)pos,
		 (unsigned long long)len);
	return kmodel_fallocate(&p->k, f, mode, pos, len);
}

static int step_copy(struct prove *p, struct kfile *f)
{
	struct kfile *to = some_file(p);
	uint64_t pos, len;

	if (!to || !f->size || to == f)
		return 0;
	pos = below(p, f->size);
	len = min_u64(some_len(p, pos), f->size - pos);
	snprintf(p->what, sizeof(p->what), "%s: copy %llu+%llu", f->name,
		 (unsigned long long)pos, (unsigned long long)len);
	return kmodel_copy(&p->k, f, pos, to, min_u64(some_pos(p, to),
						      MAX_SIZE - len), len);
}

static int step_fsync(struct prove *p, struct kfile *f)
{
	int ret;

	snprintf(p->what, sizeof(p->what), "%s: fsync", f->name);
	ret = kmodel_fsync(&p->k, f);
	if (!ret)
		note(p, true);
	return ret;
}

static int step_sync(struct prove *p)
{
	int ret;

	snprintf(p->what, sizeof(p->what), "syncfs");
	ret = kmodel_syncfs(&p->k);
	if (!ret)
		note(p, true);
	return ret;
}

/* Everything evicted: what a later lookup finds must be all there is. */
static int step_evict(struct prove *p, struct kfile *f)
{
	char name[32];
	int ret = kmodel_close(&p->k, f);

	snprintf(p->what, sizeof(p->what), "%s: evict", f->name);
	memcpy(name, f->name, sizeof(name));
	if (!ret && !kmodel_lookup(&p->k, name) && !p->faulty)
		ret = violation(p, "lookup");
	return ret;
}

static int step_read(struct prove *p, struct kfile *f)
{
	uint64_t pos = some_pos(p, f);
	unsigned int n;

	snprintf(p->what, sizeof(p->what), "%s: read %llu", f->name,
		 (unsigned long long)pos);
	switch (below(p, 4)) {
	case 0:
		pos -= pos % 512;
		return kmodel_direct_read(&p->k, f, pos, some_len(p, pos));
	case 1:
		return kmodel_fiemap(&p->k, f, &n);
	default:
		return kmodel_read(&p->k, f, pos, some_len(p, pos));
	}
}

static void step_background(struct prove *p)
{
	struct kfile *f;

	for (f = p->k.files; f; f = f->next) {
		if (below(p, 3) == 0)
			kmodel_writeback(&p->k, f, below(p, MAX_SIZE),
					 below(p, MAX_SIZE));
		if (below(p, 3) == 0)
			kmodel_complete(&p->k, f, true);
		if (below(p, 4) == 0)
			kmodel_land(&p->k, f, true);
		if (below(p, 4) == 0)
			kmodel_reclaim(&p->k, f, true);
	}
	if (below(p, 3) == 0)
		owfs_commit_step(p->k.srv.fs, below(p, 4) == 0);
	if (below(p, 4) == 0)
		owfs_reclaim_step(p->k.srv.fs);
}

static bool is_expected(const struct prove *p, int ret)
{
	return ret == -ENOSPC || ret == -EINTR ||
	       (p->faulty && (ret == -EIO || ret == -EROFS));
}

/* From now on a write fails, or some, or all do; or a flush. */
static void break_device(struct prove *p)
{
	static const uint64_t counts[] = { 1, 1, 3, EMUBD_FOREVER };
	enum emubd_kind kind = below(p, 4) ? EMUBD_WRITE : EMUBD_FLUSH;

	emubd_fault(p->e, kind, 1 + below(p, 30),
		    counts[below(p, ARRAY_SIZE(counts))],
		    kind == EMUBD_WRITE && below(p, 4) == 0 ? ENOSPC : EIO);
	p->faulty = true;
}

static int step_close(struct prove *p, struct kfile *f)
{
	snprintf(p->what, sizeof(p->what), "%s: close", f->name);
	return kmodel_close(&p->k, f);
}

static int one_step(struct prove *p)
{
	struct kfile *f;
	int ret;

	step_background(p);
	f = some_file(p);
	if (!f)
		return p->faulty ? 0 : -1;
	switch (below(p, 16)) {
	case 0:
		snprintf(p->what, sizeof(p->what), "%s: truncate", f->name);
		ret = kmodel_truncate(&p->k, f, some_pos(p, f));
		break;
	case 1:
	case 2:
		ret = step_fallocate(p, f);
		break;
	case 3:
	case 4:
		ret = step_read(p, f);
		break;
	case 5:
		ret = step_fsync(p, f);
		break;
	case 6:
		ret = step_copy(p, f);
		break;
	case 7:
		ret = below(p, 3) ? step_evict(p, f) : step_sync(p);
		break;
	case 9:
		ret = below(p, 2) ? step_close(p, f) : kmodel_stat(&p->k, f);
		break;
	case 8:
		snprintf(p->what, sizeof(p->what), "%s: unlink", f->name);
		ret = below(p, 3) ? 0 : kmodel_unlink(&p->k, f);
		break;
	default:
		ret = step_write(p, f);
	}
	p->steps++;
	if (p->verbose) {
		printf("%s = %d\n%s", p->what, ret, p->k.trace);
		p->k.trace[0] = '\0';
	}
	if (p->k.violations)
		return violation(p, "%s", p->k.why);
	if (ret && !is_expected(p, ret))
		return violation(p, "%s", strerror(-ret));
	return 0;
}

/* ---------------------------------------------------------------- judging */

static int check_state(struct emubd *e, bool previous)
{
	struct owfs_check_param c = {
		.commits = previous ? OWFS_CHECK_PREVIOUS : OWFS_CHECK_CURRENT,
		.msg = &quiet,
	};
	struct owfs_check_report rep;
	int ret = owfs_check(emubd_blkdev(e), &c, &rep);

	return ret ? ret : (int)rep.problems;
}

static int judge_commit(struct prove *p, struct emubd *e, unsigned int flags,
			size_t lo, size_t hi)
{
	struct owfs_fs *fs;
	uint64_t d;
	size_t i;
	int err, ret = rig_mount(&fs, e, &p->env, flags, &quiet);

	if (ret)
		return violation(p, "mount: %s", strerror(-ret));
	d = rig_digest(fs, NULL, &err);
	owfs_mount_abandon(fs);
	if (err)
		return violation(p, "reading: %s", strerror(-err));
	for (i = hi + 1; i-- > lo;)
		if (p->hist[i].digest == d)
			break;
	if (i + 1 == lo || i > hi)
		return violation(p, "no state from %zu to %zu looks like this",
				 lo, hi);
	ret = check_state(e, flags & RIG_FALLBACK);
	return ret ? violation(p, "the check found %d", ret) : 0;
}

static bool has_fallback(struct emubd *e)
{
	struct owfs_super sb;
	struct owfs_slots slots;

	return !owfs_super_read(emubd_blkdev(e), &sb, &slots, NULL) &&
	       sb.root[1].gen != 0;
}

static int judge(struct prove *p, size_t cut)
{
	uint64_t seed = rng_next(&p->rng);
	enum emubd_crash_mode mode = seed % 4 ? EMUBD_CRASH_SEEDED :
						EMUBD_CRASH_PREFIX;
	struct emubd *e = emubd_crash(p->base, p->e, cut, mode, seed);
	size_t i, lo = 0, hi = 0;
	int ret;

	for (i = 1; i < p->nhist; i++) {
		if (p->hist[i].start <= cut)
			hi = i;
		if (p->hist[i].end <= cut && p->hist[i].promise)
			lo = i;
	}
	snprintf(p->what, sizeof(p->what), "cut=%zu mode=%d state=%llu", cut,
		 mode, (unsigned long long)seed);
	p->states++;
	ret = judge_commit(p, e, 0, lo, hi);
	if (!ret && has_fallback(e))
		ret = judge_commit(p, e, RIG_FALLBACK, 0, hi);
	emubd_destroy(e);
	return ret;
}

/* --------------------------------------------------------------------- runs */

static int run_forward(struct prove *p, unsigned int steps)
{
	unsigned int fails_at = below(p, 4) ? 0 : (unsigned int)below(p, steps);
	struct owfs_fs *fs;
	int ret = rig_mount(&fs, p->e, &p->env, 0, &quiet);

	if (!ret)
		ret = kmodel_start(&p->k, fs, p->e, &p->rng);
	if (ret)
		return violation(p, "start: %s", strerror(-ret));
	kmodel_trace(&p->k, p->verbose);
	p->k.changed = changed;
	p->k.ctx = p;
	note(p, false);
	while (steps-- && !ret) {
		if (fails_at && steps == fails_at)
			break_device(p);
		ret = one_step(p);
	}
	return ret;
}

static int close_all(struct prove *p)
{
	struct kfile *f;
	int ret;

	for (f = p->k.files; f; f = f->next) {
		ret = step_close(p, f);
		if (p->k.violations)
			return violation(p, "%s", p->k.why);
		if (ret && !is_expected(p, ret))
			return violation(p, "%s", strerror(-ret));
	}
	ret = step_sync(p);
	if (p->k.violations)
		return violation(p, "%s", p->k.why);
	return ret && !is_expected(p, ret) ? violation(p, "syncfs") : 0;
}

static int run_end(struct prove *p)
{
	int ret;

	if (below(p, 2)) {
		kmodel_crash(&p->k);
		return 0;
	}
	snprintf(p->what, sizeof(p->what), "umount");
	ret = close_all(p);
	if (ret)
		return ret;
	ret = kmodel_unmount(&p->k);
	if (ret && !is_expected(p, ret))
		return violation(p, "umount: %s", strerror(-ret));
	emubd_fault(p->e, EMUBD_WRITE, 1, 0, EIO);
	emubd_fault(p->e, EMUBD_FLUSH, 1, 0, EIO);
	ret = check_state(p->e, false);
	return ret ? violation(p, "umount: the check found %d", ret) : 0;
}

static int one_run(struct prove *p, unsigned int steps)
{
	uint32_t bs;
	size_t len;
	int i, ret;

	p->rng.s = p->seed;
	rig_env_init(&p->env, p->seed);
	p->nhist = p->log_at = 0;
	p->faulty = false;
	bs = below(p, 4) ? 4096 : 16384;
	p->base = rig_mkfs(&p->env, (uint64_t)bs * 4096, bs, 1);
	if (!p->base)
		return violation(p, "mkfs");
	p->e = emubd_fork(p->base);
	emubd_record(p->e, true);
	ret = run_forward(p, steps);
	if (ret)
		kmodel_crash(&p->k);
	else
		ret = run_end(p);
	len = emubd_log_len(p->e);
	for (i = 0; i < CUTS && !ret; i++)
		ret = judge(p, below(p, len + 1));
	emubd_destroy(p->e);
	emubd_destroy(p->base);
	return ret;
}

int main(int argc, char **argv)
{
	uint64_t steps = argc > 1 ? strtoull(argv[1], NULL, 0) : 3000;
	struct prove p = { .seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1 };
	int ret = 0;

	/* buffers come and go too often to be given back to the system */
	mallopt(M_MMAP_THRESHOLD, 256 << 20);
	mallopt(M_TRIM_THRESHOLD, 256 << 20);
	p.verbose = argc > 3;
	p.data = emubd_must(aligned_alloc(OWFS_IO_ALIGN, 2 * MAX_SIZE));
	for (; p.steps < steps && !ret; p.seed++)
		ret = one_run(&p, RUN_STEPS);
	free(p.hist);
	free(p.data);
	printf("steps=%llu crash_states=%llu violations=%llu\n",
	       (unsigned long long)p.steps, (unsigned long long)p.states,
	       (unsigned long long)p.violations);
	return p.violations != 0;
}
