/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A device that lies: the n-th write of a scene is lost, changed by a bit, or
 * lands somewhere else, over something or over nothing, and the device says that
 * all is well; for n from 1 until the scene has no more.
 *
 *	c_lies [every=N] [seed=N]	one of so many writes in all scenes (8)
 *	c_lies SCENE LIE NTH		one run, with what is said
 *
 * Afterwards it is mounted and read, checked, written to and read again.  One of
 * these holds, and is counted:
 *
 *	noticed		an error, or the check has found it
 *	unneeded	nothing differs, in either commit: the other copy was read, or
 *			the block was free again
 *	older		the superblock did not arrive, and a commit before is shown
 *	data		the bytes of files differ and nothing else, which no checksum
 *			protects; only if the lie was about such, or hit them
 *
 * Anything else is a violation: names, attributes, lists, sizes are never wrong
 * without an error.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "c_fault.h"

#include "base/err.h"
#include "base/util.h"
#include "check.h"
#include "emubd_image.h"
#include "said.h"

#define DEVICE		(16ull << 20)
#define BLOCK		4096u
#define STATES		16
#define PROBE_BYTES	(40 * BLOCK)

/* --------------------------------------------------------------- the device */

enum lie { LOST, FLIPPED, OVER_LAST, OVER_ROOT, OVER_SUPER, ELSEWHERE, LIES };

static const char *const lie_names[LIES] = {
	"lost", "flipped", "over-last", "over-root", "over-super", "elsewhere",
};

enum what { DATA, METADATA, SUPER };

struct liar {
	struct owfs_blkdev bd;
	struct emubd *e;
	enum lie lie;
	uint64_t nth;			/* write to lie about ... */
	bool honest;			/* ... not any more */
	uint64_t writes;
	uint64_t root;			/* where a node is that is in use */
	uint64_t last;			/* where the write before went */
	enum what what;			/* was lied about ... */
	bool over_super;		/* ... and fell on a superblock */
};

static struct liar *liar_of(struct owfs_blkdev *bd)
{
	return container_of(bd, struct liar, bd);
}

static bool is_block_of_ours(const unsigned char *block, uint64_t pos)
{
	const struct owfs_block_hdr *hdr = (const void *)block;
	const uint32_t magic = le32_to_cpu(hdr->bh_magic);

	return (magic == OWFS_NODE_MAGIC || magic == OWFS_MAP_MAGIC ||
		magic == OWFS_BITMAP_MAGIC) &&
	       (le64_to_cpu(hdr->bh_addr[0]) * BLOCK == pos ||
		le64_to_cpu(hdr->bh_addr[1]) * BLOCK == pos);
}

static enum what what_is(const unsigned char *buf, size_t len, uint64_t pos)
{
	size_t off;

	if (len == OWFS_SUPER_BYTES)
		return SUPER;
	for (off = 0; off < len; off += BLOCK)
		if (is_block_of_ours(buf + off, pos + off))
			return METADATA;
	return DATA;
}

static uint64_t other_place(const struct liar *l, uint64_t len)
{
	uint64_t pos = emubd_mix(l->nth) % (DEVICE / BLOCK) * BLOCK;

	if (l->lie == OVER_LAST)
		pos = l->last;
	else if (l->lie == OVER_ROOT)
		pos = l->root;
	else if (l->lie == OVER_SUPER)
		pos = (uint64_t)owfs_geo_super_pos(DEVICE, l->nth % 4);
	return min_u64(pos, DEVICE - len) & ~511ull;
}

static bool meets_super(uint64_t pos, uint64_t len)
{
	unsigned int i;
	uint64_t slot;

	for (i = 0; i < OWFS_SUPER_SLOTS; i++) {
		slot = (uint64_t)owfs_geo_super_pos(DEVICE, i);
		if (pos < slot + OWFS_SUPER_BYTES && slot < pos + len)
			return true;
	}
	return false;
}

static void tell_lie(struct liar *l, unsigned char *buf, size_t len,
		     uint64_t pos)
{
	const uint64_t bit = emubd_mix(l->nth + 99) % (len * 8);

	l->what = what_is(buf, len, pos);
	if (l->lie == LOST)
		return;
	if (l->lie == FLIPPED)
		buf[bit / 8] ^= 1u << bit % 8;
	else
		pos = other_place(l, len);
	l->over_super = meets_super(pos, len);
	emubd_poke(l->e, buf, len, pos);
}

static int liar_writev(struct owfs_blkdev *bd, const struct iovec *iov,
		       int iovcnt, size_t len, loff_t pos)
{
	struct liar *l = liar_of(bd);
	unsigned char *buf = malloc(len), *p = buf;
	int i;

	if (!buf)
		abort();
	for (i = 0; i < iovcnt; i++) {
		memcpy(p, iov[i].iov_base, iov[i].iov_len);
		p += iov[i].iov_len;
	}
	if (++l->writes == l->nth && !l->honest)
		tell_lie(l, buf, len, (uint64_t)pos);
	else
		emubd_poke(l->e, buf, len, (uint64_t)pos);
	l->last = (uint64_t)pos;
	free(buf);
	return 0;
}

static int liar_read(struct owfs_blkdev *bd, void *buf, size_t len, loff_t pos)
{
	emubd_peek(liar_of(bd)->e, buf, len, (uint64_t)pos);
	return 0;
}

static int liar_flush(struct owfs_blkdev *bd)
{
	(void)bd;
	return 0;
}

static int liar_discard(struct owfs_blkdev *bd, loff_t pos, uint64_t len)
{
	return owfs_blkdev_discard(emubd_blkdev(liar_of(bd)->e), pos, len);
}

static void liar_close(struct owfs_blkdev *bd)
{
	(void)bd;
}

static const struct owfs_blkdev_ops liar_ops = {
	.read = liar_read,
	.writev = liar_writev,
	.flush = liar_flush,
	.discard = liar_discard,
	.close = liar_close,
};

/* --------------------------------------------------------------------- runs */

enum { NOTICED, UNNEEDED, OLDER, OTHER_DATA, OUTCOMES };

struct run {
	const struct scene *scene;
	struct liar liar;
	struct emubd *e;
	struct rig_env env;
	struct owfs_fs *fs;
	struct owfs_inode *held;
	struct model *state[STATES];	/* after each change */
	unsigned int n, promised;
	bool noticed, older, data;
};

static struct emubd *base[2];		/* one copy of metadata, and two */
static struct model *base_model;
static uint64_t outcome[OUTCOMES], runs, violations;
static bool verbose;

static void violation(struct run *r, const char *what, int ret)
{
	violations++;
	fprintf(stderr, "VIOLATION: %s: %d\n%sreplay: c_lies %s %s %" PRIu64 "\n",
		what, ret, said, r->scene->name, lie_names[r->liar.lie],
		r->liar.nth);
}

/* An error that says that something is wrong with the device. */
static bool tells(int ret)
{
	return ret == -EFSCORRUPTED || ret == -EFSBADCRC || ret == -EIO ||
	       ret == -EROFS;
}

static void note_error(struct run *r, const char *what, int ret)
{
	if (tells(ret))
		r->noticed = true;
	else if (ret)
		violation(r, what, ret);
}

static struct model *last_state(const struct run *r)
{
	return r->state[r->n - 1];
}

static int mount(struct run *r)
{
	struct owfs_fs_param p = {
		.bd = &r->liar.bd, .env = &r->env.env, .msg = &said_msg,
		.cache = 1 << 20, .cut_extents = 4,
		.discard = r->scene->discard,
	};
	int ret = owfs_mount(&r->fs, &p);

	if (ret)
		r->fs = NULL;
	return ret;
}

static int step_op(struct run *r, const struct op *op)
{
	struct model *after = model_clone(last_state(r));
	const int want = model_apply(after, op), got = rig_apply(r->fs, op);
	const bool changes = got == want && !op_is_promise(op);

	if (changes)
		r->state[r->n++] = after;
	else
		model_free(after);
	if (got == want && op_is_promise(op))
		r->promised = r->n - 1;
	return got == want ? 0 : got;
}

static int step(struct run *r, const struct op *op)
{
	uint64_t hash = 0;
	int ret;

	if (op->kind == OP_REMOUNT) {
		ret = owfs_unmount(r->fs);
		r->fs = NULL;
		if (ret)
			return ret;
		r->promised = r->n - 1;
		return mount(r);
	}
	if (op->kind < OP_KINDS)
		return step_op(r, op);
	ret = fault_step(r->fs, op, &r->held, &hash);
	return ret == -EAGAIN ? 0 : ret;
}

/* Who has noticed it goes no further: what he answers from then on is no news. */
static void play(struct run *r)
{
	const struct op *op;

	note_error(r, "mount", mount(r));
	for (op = r->scene->steps;
	     r->fs && (int)op->kind != STEP_END && !r->noticed; op++)
		note_error(r, "answered", step(r, op));
	if (r->held)
		owfs_iput(r->held);
	r->held = NULL;
}

static void end(struct run *r)
{
	int ret;

	if (!r->fs)
		return;
	if (r->noticed || r->liar.nth % 2) {
		owfs_mount_abandon(r->fs);
		return;
	}
	ret = owfs_unmount(r->fs);
	note_error(r, "unmount", ret);
	if (!ret)
		r->promised = r->n - 1;
}

/* ------------------------------------------------------------------ judging */

/* Everything but the contents, as text. */
static void without_contents(char *text)
{
	char *from, *to;

	while ((from = strstr(text, " content="))) {
		to = from + 1 + strcspn(from + 1, " \n");
		memmove(from, to, strlen(to) + 1);
		text = from;
	}
}

static bool is_like(struct run *r, const struct model *m)
{
	char *text[2] = { NULL, NULL };
	size_t len[2];
	bool same;
	FILE *f;
	int i, err = 0;

	for (i = 0; i < 2; i++) {
		f = open_memstream(&text[i], &len[i]);
		if (!f)
			abort();
		if (i)
			model_digest(m, f);
		else
			rig_digest(r->fs, f, &err);
		fclose(f);
		without_contents(text[i]);
	}
	same = !err && !strcmp(text[0], text[1]);
	free(text[0]);
	free(text[1]);
	return same;
}

static bool may_be_older(const struct run *r)
{
	return r->liar.what == SUPER || r->liar.over_super;
}

/* Nothing else is wrong. */
static bool differs_in_contents(struct run *r)
{
	unsigned int i;

	for (i = may_be_older(r) ? 0 : r->promised; i < r->n; i++)
		if (is_like(r, r->state[i]))
			return true;
	return false;
}

/* What was moved may have fallen on contents. */
static bool may_hit_data(const struct run *r)
{
	return r->liar.what == DATA || r->liar.lie >= OVER_LAST;
}

static void dump(struct run *r)
{
	int err;

	fprintf(stderr, "lied about %d, promised %u of %u\n--- owfs\n",
		r->liar.what, r->promised, r->n - 1);
	rig_digest(r->fs, stderr, &err);
	fprintf(stderr, "--- model\n");
	model_digest(last_state(r), stderr);
}

static void look(struct run *r)
{
	unsigned int i;
	int err;
	uint64_t d = rig_digest(r->fs, NULL, &err);

	if (err) {
		note_error(r, "reading", err);
		return;
	}
	for (i = r->n; i-- > 0;)
		if (model_digest(r->state[i], NULL) == d)
			break;
	if (i < r->n && i >= r->promised)
		return;
	r->older = i < r->n && may_be_older(r);
	r->data = !r->older && may_hit_data(r) && differs_in_contents(r);
	if (r->data || r->older)
		return;
	violation(r, "what is shown is wrong", (int)i);
	if (verbose)
		dump(r);
}

/* It is written to, and all the rest is what it was. */
static void use(struct run *r)
{
	static const struct op create = ON(OP_CREATE, "d0/probe");
	static const struct op write = ON(OP_WRITE, "d0/probe",
					  .len = PROBE_BYTES);
	static const struct op sync = SYNC;
	static const struct op unlink = ON(OP_UNLINK, "d0/probe");
	const struct op *const ops[] = { &create, &write, &sync, &unlink, &sync };
	uint64_t before, after;
	unsigned int i;
	int err, ret = 0;

	before = rig_digest(r->fs, NULL, &err);
	for (i = 0; i < ARRAY_SIZE(ops) && !ret; i++) {
		ret = rig_apply(r->fs, ops[i]);
		ret = ret == -ENOSPC ? 0 : ret;
		if (i == 1)
			owfs_bufcache_shrink(r->fs->fs_bc, true);
	}
	owfs_bufcache_shrink(r->fs->fs_bc, true);
	note_error(r, "using it", ret);
	after = rig_digest(r->fs, NULL, &err);
	note_error(r, "reading after use", err);
	if (!ret && !err && before != after)
		violation(r, "what was there is not what it was", 0);
}

static void check(struct run *r, struct emubd *e)
{
	struct owfs_check_param p = { .msg = &said_msg };
	struct owfs_check_report rep;
	unsigned int i;
	int ret;

	for (i = 0; i < 2; i++) {
		p.commits = i ? OWFS_CHECK_PREVIOUS : OWFS_CHECK_CURRENT;
		ret = owfs_check(emubd_blkdev(e), &p, &rep);
		r->noticed |= ret || rep.problems;
	}
}

static void judge(struct run *r)
{
	struct emubd *before = emubd_fork(r->e);

	r->liar.honest = true;
	note_error(r, "mount afterwards", mount(r));
	if (r->fs) {
		look(r);
		if (!r->noticed)
			use(r);
		owfs_mount_abandon(r->fs);
	}
	check(r, before);
	emubd_destroy(before);
}

static void count(const struct run *r)
{
	if (r->noticed)
		outcome[NOTICED]++;
	else if (r->older)
		outcome[OLDER]++;
	else if (r->data)
		outcome[OTHER_DATA]++;
	else
		outcome[UNNEEDED]++;
}

/* False: the scene has no n-th write. */
static bool run(const struct scene *sc, enum lie lie, uint64_t nth)
{
	struct emubd *from = base[sc->copies == 2];
	struct run r = { .scene = sc, .n = 1 };
	struct owfs_slots slots;
	struct owfs_super sb;
	unsigned int i;
	bool hit;

	said[0] = '\0';
	rig_env_init(&r.env, 1);
	r.e = emubd_fork(from);
	r.liar.bd = *emubd_blkdev(r.e);
	r.liar.bd.ops = &liar_ops;
	r.liar.e = r.e;
	r.liar.lie = lie;
	r.liar.nth = nth;
	if (owfs_super_read(emubd_blkdev(from), &sb, &slots, NULL))
		abort();
	r.liar.root = r.liar.last = sb.root[0].tree.addr[0] * BLOCK;
	r.state[0] = model_clone(base_model);
	play(&r);
	end(&r);
	hit = r.liar.writes >= nth;
	if (hit) {
		runs++;
		judge(&r);
		count(&r);
	}
	for (i = 0; i < r.n; i++)
		model_free(r.state[i]);
	emubd_destroy(r.e);
	return hit;
}

static void run_scene(const struct scene *sc, uint64_t every, struct rng *rng)
{
	enum lie lie;
	uint64_t nth;

	for (lie = LOST; lie < LIES; lie++)
		for (nth = 1 + rng_below(rng, every); run(sc, lie, nth);
		     nth += every)
			if (violations > 10)
				exit(1);
}

/* --------------------------------------------------------------------- main */

static void make_base(unsigned int i, unsigned int copies)
{
	struct run r = { .scene = &fault_scenes[0] };

	rig_env_init(&r.env, copies);
	r.e = rig_mkfs(&r.env, DEVICE, BLOCK, copies);
	if (!r.e)
		exit(99);
	r.liar = (struct liar){ .bd = *emubd_blkdev(r.e), .e = r.e };
	r.liar.bd.ops = &liar_ops;
	if (mount(&r))
		exit(99);
	fault_make_tree(r.fs, i == 0 ? base_model : NULL);
	owfs_mount_abandon(r.fs);
	base[i] = r.e;
}

static void run_one(const char *scene, const char *lie, uint64_t nth)
{
	unsigned int i, k;

	verbose = true;
	for (i = 0; i < fault_nscenes; i++)
		for (k = 0; k < LIES; k++)
			if (!strcmp(scene, fault_scenes[i].name) &&
			    !strcmp(lie, lie_names[k]))
				run(&fault_scenes[i], (enum lie)k, nth);
	printf("%s", said);
}

int main(int argc, char **argv)
{
	struct rng rng = { 1 };
	uint64_t every = 8;
	unsigned int i;
	int arg;

	for (arg = 1; arg < argc && argc != 4; arg++)
		if (sscanf(argv[arg], "every=%" SCNu64, &every) != 1 &&
		    sscanf(argv[arg], "seed=%" SCNu64, &rng.s) != 1)
			exit(99);
	base_model = model_new();
	make_base(0, 1);
	make_base(1, 2);
	if (argc == 4)
		run_one(argv[1], argv[2], strtoull(argv[3], NULL, 10));
	for (i = 0; i < fault_nscenes && argc != 4; i++)
		if (!fault_scenes[i].full)
			run_scene(&fault_scenes[i], every ? every : 1, &rng);
	printf("lies=%" PRIu64 " noticed=%" PRIu64 " unneeded=%" PRIu64 " older=%" PRIu64 " data=%" PRIu64 " violations=%" PRIu64 "\n",
	       runs, outcome[NOTICED], outcome[UNNEEDED], outcome[OLDER],
	       outcome[OTHER_DATA], violations);
	for (i = 0; i < ARRAY_SIZE(base); i++)
		emubd_destroy(base[i]);
	model_free(base_model);
	return violations != 0;
}
