/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every operation with every thing below it failing, once and for good: the
 * n-th read, write, flush, discard of the device, the n-th allocation, the n-th
 * time that blocks are set aside, for n from 1 until the scene runs through
 * untouched.
 *
 *	c_fault				all scenes
 *	c_fault SCENE [KIND NTH once|ever]	one of them, or one run of it
 *
 * After each run: the answer was an error that tells the truth, the mounted
 * filesystem still shows what was answered, and it can either be written or
 * says that it cannot; want of memory alone never makes it read-only.  On the
 * device, mounted without the fault, is the state after some prefix, not older
 * than the last promise, and the check finds nothing.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "c_fault.h"

#include "base/util.h"
#include "check.h"
#include "fault.h"
#include "fault_space.h"
#include "file/attr.h"
#include "file/file.h"
#include "file/namei.h"
#include "mkfs.h"
#include "quietdev.h"
#include "said.h"

#define DEVICE		(16ull << 20)

/* -------------------------------------------------------------------- faults */

enum kind { READ, WRITE, FLUSH, DISCARD, MALLOC, SPACE, KINDS, NONE };

static const char *const kind_names[] = {
	"read", "write", "flush", "discard", "malloc", "space", "(none)", "nothing"
};

/* ---------------------------------------------------------------------- runs */

#define STATES	16

struct run {
	const struct scene *scene;
	enum kind kind;
	uint64_t nth;
	bool forever;

	struct emubd *e;
	struct quietdev dev;
	struct rig_env env;
	struct owfs_fs *fs;
	struct owfs_inode *held;
	struct model *m;		/* what was answered */
	uint64_t state[STATES];		/* digests: after each change of it */
	unsigned int n, promised;	/* states[promised ..] may be seen */
	uint64_t counted;		/* operations of the device before */
	unsigned int errors;		/* answered */
};

/* What reads and lists answer when nothing fails, by scene and step. */
static uint64_t right[FAULT_SCENES_MAX][FAULT_STEPS];

static struct emubd *base[3];		/* one copy of metadata, two, and full */
static struct model *base_model;
static unsigned int violations;
static bool verbose;
static uint64_t runs;

static void violation(struct run *r, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void violation(struct run *r, const char *fmt, ...)
{
	va_list ap;

	violations++;
	fprintf(stderr, "VIOLATION: ");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\n%sreplay: c_fault %s %s %llu %s\n", said,
		r->scene->name, kind_names[r->kind],
		(unsigned long long)r->nth, r->forever ? "ever" : "once");
}

static void arm(struct run *r)
{
	uint64_t count = r->forever ? UINT64_MAX : 1;

	if (r->kind == MALLOC)
		fault_malloc(r->nth, count);
	if (r->kind == SPACE)
		fault_space(r->nth, count);
	if (r->kind >= MALLOC)
		return;
	r->counted = emubd_count(r->e, (enum emubd_kind)r->kind);
	emubd_fault(r->e, (enum emubd_kind)r->kind, r->nth, count, EIO);
}

/* Nothing fails any more; has anything? */
static bool disarm(struct run *r)
{
	bool no_memory = fault_malloc_hit(), no_space = fault_space_hit();

	fault_malloc(0, 0);
	fault_space(0, 0);
	if (r->kind == NONE)
		return false;
	if (r->kind == MALLOC)
		return no_memory;
	if (r->kind == SPACE)
		return no_space;
	emubd_fault(r->e, (enum emubd_kind)r->kind, 1, 0, EIO);
	return emubd_count(r->e, (enum emubd_kind)r->kind) >=
	       r->counted + r->nth;
}

static void new_state(struct run *r)
{
	r->state[r->n++] = model_digest(r->m, NULL);
}

/* What takes space away, or keeps it, may find none. */
static bool wants_space(const struct op *op)
{
	return op && op->kind < OP_KINDS && op->kind != OP_UNLINK &&
	       op->kind != OP_TRUNCATE && op->kind != OP_PUNCH &&
	       !op_is_promise(op);
}

/* May @op (NULL: something else) answer this, given what fails? */
static bool is_honest(struct run *r, const struct op *op, int ret)
{
	/* refused at will, unlink may be, too; what is no operation tries once */
	if (r->kind == SPACE && op && op->kind < OP_KINDS)
		return ret == -ENOSPC && !op_is_promise(op);
	if (r->kind == SPACE)
		return ret == -EAGAIN;
	if (ret == -ENOSPC && r->scene->full)
		return wants_space(op);
	if (r->kind == MALLOC)
		return ret == -ENOMEM;
	return r->kind != NONE && (ret == -EIO || ret == -EROFS);
}

static void judge_error(struct run *r, const struct op *op, int ret,
			const char *what)
{
	if (!is_honest(r, op, ret))
		violation(r, "%s: answered %d", what, ret);
	r->errors += ret != -ENOSPC;
}

static int mount(struct run *r)
{
	struct owfs_fs_param p = {
		.bd = &r->dev.bd, .env = &r->env.env, .msg = &said_msg,
		.cache = 1 << 20, .cut_extents = 4,
		.discard = r->scene->discard,
	};

	return owfs_mount(&r->fs, &p);
}

/* --------------------------------------------------------------------- steps */

static bool is_look(const struct op *op)
{
	return (int)op->kind == STEP_READ || (int)op->kind == STEP_LIST ||
	       (int)op->kind == STEP_XATTR;
}

/* What is looked at is what was seen when nothing failed, or an error. */
static int step_special(struct run *r, const struct op *op)
{
	uint64_t *want = &right[r->scene - fault_scenes][op - r->scene->steps];
	uint64_t hash = 0;
	int ret = fault_step(r->fs, op, &r->held, &hash);

	if (!is_look(op))
		return ret;
	if (r->kind == NONE)
		*want = hash;
	else if (!ret && hash != *want)
		violation(r, "%s: read without an error, but wrong", op->path);
	return ret;
}

static int step_remount(struct run *r)
{
	int ret = owfs_unmount(r->fs);

	r->fs = NULL;
	if (ret) {	/* what there is now is judged in the end */
		judge_error(r, NULL, ret, "unmount");
		return 0;
	}
	r->promised = r->n - 1;
	ret = mount(r);
	if (ret)
		r->fs = NULL;
	return ret;
}

/*
 * Preallocation comes after the change of contents and may fail alone: then
 * that change stands, as the contract says.
 */
static void adopt_if_done(struct run *r, const struct op *op,
			  struct model **after)
{
	uint64_t d;
	int err;

	if (op->kind != OP_ZERO && op->kind != OP_PREALLOC)
		return;
	emubd_fault(r->e, EMUBD_READ, 1, 0, EIO);
	fault_malloc_pause();
	d = rig_digest(r->fs, NULL, &err);
	fault_malloc_resume();
	if (err || d != model_digest(*after, NULL))
		return;
	model_free(r->m);
	r->m = *after;
	*after = NULL;
	new_state(r);
}

static void step_op(struct run *r, const struct op *op)
{
	struct model *after;
	char text[400];
	int want, got;

	fault_malloc_pause();
	after = model_clone(r->m);
	want = model_apply(after, op);
	op_to_text(op, text, sizeof(text));
	fault_malloc_resume();
	got = rig_apply(r->fs, op);
	fault_malloc_pause();
	if (got != want) {
		judge_error(r, op, got, text);
		adopt_if_done(r, op, &after);
	} else if (!op_is_promise(op)) {
		model_free(r->m);
		r->m = after;
		after = NULL;
		new_state(r);
	} else {
		r->promised = r->n - 1;
	}
	if (after)
		model_free(after);
	fault_malloc_resume();
}

static void run_steps(struct run *r)
{
	const struct op *op;
	int ret;

	for (op = r->scene->steps; (int)op->kind != STEP_END && r->fs; op++) {
		if (op->kind < OP_KINDS && op->kind != OP_REMOUNT) {
			step_op(r, op);
			continue;
		}
		ret = op->kind == OP_REMOUNT ? step_remount(r)
					     : step_special(r, op);
		if (ret)
			judge_error(r, op, ret,
				    op->path[0] ? op->path : "step");
	}
}

/* ------------------------------------------------------------------- judging */

/* One operation without any fault. */
static int plain_op(struct run *r, const struct op *op)
{
	int ret = rig_apply(r->fs, op);

	if (ret)
		return ret;
	if (op_is_promise(op)) {
		r->promised = r->n - 1;
		return 0;
	}
	model_apply(r->m, op);
	new_state(r);
	return 0;
}

/* The fault is gone: is what is mounted of any use? */
static void judge_live(struct run *r)
{
	static const struct op create = ON(OP_CREATE, "d0/probe");
	static const struct op write = ON(OP_WRITE, "d0/probe", .len = 6000);
	static const struct op sync = SYNC;
	bool readonly = owfs_fs_writable(r->fs);
	int err, ret;
	uint64_t d = rig_digest(r->fs, NULL, &err);

	if (err && !readonly)
		violation(r, "the mounted filesystem cannot be read: %d", err);
	else if (d != r->state[r->n - 1] && !readonly)
		violation(r, "the mounted filesystem shows something else");
	if (readonly && (r->kind == MALLOC || r->kind == SPACE ||
			 r->kind == NONE ||
			 r->kind == DISCARD))
		violation(r, "read-only for no good reason");
	ret = plain_op(r, &create);
	if (readonly && ret != -EROFS)
		violation(r, "read-only, but create answers %d", ret);
	if (readonly)
		return;
	if (!ret)
		ret = plain_op(r, &write);
	if (!ret || ret == -ENOSPC)
		ret = plain_op(r, &sync);
	if (ret)
		violation(r, "not usable afterwards: %d", ret);
}

static void judge_check(struct run *r, const char *when)
{
	struct owfs_check_param p = { .msg = &said_msg };
	struct owfs_check_report rep;
	unsigned int i;
	int ret;

	for (i = 0; i < 2; i++) {
		p.commits = i ? OWFS_CHECK_PREVIOUS : OWFS_CHECK_CURRENT;
		ret = owfs_check(emubd_blkdev(r->e), &p, &rep);
		if (ret || rep.problems)
			violation(r, "%s: the check of commit %u: error=%d problems=%u: %s",
				  when, i, ret, rep.problems, rep.first);
	}
}

static void dump(struct run *r)
{
	int err;

	fprintf(stderr, "--- owfs\n");
	rig_digest(r->fs, stderr, &err);
	fprintf(stderr, "--- model\n");
	model_digest(r->m, stderr);
}

/* What is on the device is a prefix that keeps the promises. */
static void judge_device(struct run *r)
{
	unsigned int i;
	uint64_t d;
	int ret;

	judge_check(r, "afterwards");
	ret = mount(r);
	if (ret) {
		violation(r, "does not mount afterwards: %d", ret);
		return;
	}
	d = rig_digest(r->fs, NULL, &ret);
	for (i = r->promised; i < r->n && r->state[i] != d;)
		i++;
	if (ret || i == r->n) {
		violation(r, "no state from %u to %u looks like the device: error=%d",
			  r->promised, r->n - 1, ret);
		if (verbose)
			dump(r);
	}
	ret = owfs_unmount(r->fs);
	if (ret)
		violation(r, "unmount afterwards: %d", ret);
	if (r->nth % 8 == 1)
		judge_check(r, "after another mount");
}

static void end_mount(struct run *r)
{
	bool readonly = owfs_fs_writable(r->fs);
	int ret;

	if (r->held)
		owfs_iput(r->held);
	r->held = NULL;
	if (r->nth % 3 == 0) {
		owfs_mount_abandon(r->fs);
		return;
	}
	ret = owfs_unmount(r->fs);
	if (!ret)
		r->promised = r->n - 1;
	else if (!readonly)
		violation(r, "unmount: %d", ret);
}

/* False: nothing failed, the scene has no n-th of the kind. */
static bool run(const struct scene *sc, enum kind kind, uint64_t nth,
		bool forever)
{
	struct run r = {
		.scene = sc, .kind = kind, .nth = nth, .forever = forever,
	};
	int ret;
	bool hit;

	runs++;
	said[0] = 0;
	rig_env_init(&r.env, 1);
	r.m = model_clone(base_model);
	r.e = emubd_fork(base[sc->full ? 2 : sc->copies == 2]);
	quietdev_init(&r.dev, r.e);
	new_state(&r);
	if (sc->mount)
		arm(&r);
	ret = mount(&r);
	if (ret)
		judge_error(&r, NULL, ret, "mount");
	if (!sc->mount)
		arm(&r);
	if (!ret)
		run_steps(&r);
	hit = disarm(&r);
	if (r.errors && sc->tree && kind == READ && !forever)
		violation(&r, "the other copy was of no help");
	if (r.errors && kind == DISCARD)
		violation(&r, "a discard is a hint");
	if (r.fs) {
		judge_live(&r);
		end_mount(&r);
	}
	judge_device(&r);
	emubd_destroy(r.e);
	model_free(r.m);
	return hit;
}

static void run_kind(const struct scene *sc, enum kind kind)
{
	uint64_t nth;
	int forever;

	for (forever = 0; forever < 2; forever++)
		for (nth = 1; run(sc, kind, nth, forever); nth++)
			if (violations > 10)
				exit(1);
}

static void run_scene(const struct scene *sc)
{
	unsigned int kind;

	run(sc, NONE, 1, false);
	for (kind = 0; kind < KINDS; kind++)
		run_kind(sc, (enum kind)kind);
}

/* -------------------------------------------------------------- the base */

static void make_base(unsigned int i, unsigned int copies)
{
	struct run r = { .scene = &fault_scenes[0] };

	rig_env_init(&r.env, copies);
	r.e = rig_mkfs(&r.env, DEVICE, 4096, copies);
	quietdev_init(&r.dev, r.e);
	if (!r.e || mount(&r))
		exit(99);
	fault_make_tree(r.fs, i == 0 ? base_model : NULL);
	if (i == 2)
		fault_fill(r.fs);
	owfs_mount_abandon(r.fs);
	base[i] = r.e;
}

/* ---------------------------------------------------------- mkfs and the check */

static const struct scene mkfs_scene = { .name = "mkfs" };
static const struct scene check_scene = { .name = "check" };

static int do_mkfs(struct run *r)
{
	struct owfs_mkfs_param p = { .blocksize = 4096, .env = &r->env.env };

	return owfs_mkfs(&r->dev.bd, &p);
}

static int do_check(struct run *r)
{
	struct owfs_check_param p = { .msg = &said_msg };
	struct owfs_check_report rep;
	int ret = owfs_check(&r->dev.bd, &p, &rep);

	return ret ? ret : rep.problems ? -EIO : 0;
}

static bool run_program(const struct scene *sc, int (*fn)(struct run *),
			struct emubd *from, enum kind kind, uint64_t nth,
			bool forever)
{
	struct run r = {
		.scene = sc, .kind = kind, .nth = nth, .forever = forever,
	};
	bool hit;
	int ret;

	runs++;
	said[0] = 0;
	rig_env_init(&r.env, 1);
	r.e = from ? emubd_fork(from) : emubd_create(DEVICE);
	quietdev_init(&r.dev, r.e);
	arm(&r);
	ret = fn(&r);
	hit = disarm(&r);
	if (ret)
		judge_error(&r, NULL, ret, sc->name);
	else if (hit && !from && kind != DISCARD)
		violation(&r, "%s: failed, and said nothing", sc->name);
	emubd_destroy(r.e);
	return hit;
}

static void run_programs(void)
{
	unsigned int kind;
	uint64_t n;
	int ever;

	for (kind = 0; kind < KINDS; kind++) {
		for (ever = 0; ever < 2; ever++) {
			for (n = 1; run_program(&mkfs_scene, do_mkfs, NULL,
						(enum kind)kind, n, ever); n++)
				;
			for (n = 1; run_program(&check_scene, do_check, base[0],
						(enum kind)kind, n, ever); n++)
				;
		}
	}
}

/* ----------------------------------------------------------------------- main */

static const struct scene *scene_named(const char *name)
{
	size_t i;

	for (i = 0; i < fault_nscenes; i++)
		if (!strcmp(fault_scenes[i].name, name))
			return &fault_scenes[i];
	fprintf(stderr, "c_fault: no such scene: %s\n", name);
	exit(99);
}

static void run_one(const struct scene *sc, const char *kind, uint64_t nth,
		    bool forever)
{
	unsigned int k;

	verbose = true;
	run(sc, NONE, 1, false);
	for (k = 0; k < KINDS; k++)
		if (!strcmp(kind, kind_names[k]))
			run(sc, (enum kind)k, nth, forever);
	printf("%s", said);
}

int main(int argc, char **argv)
{
	size_t i;

	base_model = model_new();
	make_base(0, 1);
	make_base(1, 2);
	make_base(2, 1);
	if (argc > 4)
		run_one(scene_named(argv[1]), argv[2],
			strtoull(argv[3], NULL, 0), !strcmp(argv[4], "ever"));
	else if (argc > 1)
		run_scene(scene_named(argv[1]));
	for (i = 0; i < fault_nscenes && argc == 1; i++)
		run_scene(&fault_scenes[i]);
	if (argc == 1)
		run_programs();
	printf("runs=%llu violations=%u\n", (unsigned long long)runs,
	       violations);
	emubd_destroy(base[0]);
	emubd_destroy(base[1]);
	emubd_destroy(base[2]);
	model_free(base_model);
	return violations != 0;
}
