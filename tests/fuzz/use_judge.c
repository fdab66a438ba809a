/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Damaged images in use, compared with what they were. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/util.h"
#include "file/attr.h"
#include "file/file.h"
#include "file/namei.h"
#include "repair.h"
#include "use_judge.h"

#define READ_MAX	(256u << 10)	/* bytes of a file */

/* -------------------------------------------------------------------- looks */

static void print(void *ctx, enum owfs_msg_level level, const char *line)
{
	(void)level;
	fprintf(stderr, "%s%s\n", (const char *)ctx, line);
}

/* USE_TALK=1 in the environment: what is said. */
static const struct owfs_msg *talk(const char *who)
{
	static struct owfs_msg msg;

	msg = (struct owfs_msg){ print, (void *)(uintptr_t)who, OWFS_MSG_WARN };
	return getenv("USE_TALK") ? &msg : NULL;
}

static unsigned char *buffer(void)
{
	static unsigned char buf[READ_MAX]
		__attribute__((aligned(OWFS_IO_ALIGN)));

	return buf;
}

static void look_inside(struct use_file *f, struct owfs_inode *inode)
{
	const size_t len = min_u64(f->size, READ_MAX);
	ssize_t n = 0;

	if (S_ISREG(f->mode) && len)
		n = owfs_file_read(inode, buffer(), len, 0);
	else if (S_ISLNK(f->mode) && len)
		n = owfs_readlink(inode, (char *)buffer(), len);
	if (n < 0)
		f->err = (int)n;
	else if (n)
		f->content = XXH3_64bits(buffer(), (size_t)n);
}

static void look_at(struct use_file *f, struct owfs_fs *fs, owfs_ino_t ino)
{
	struct owfs_inode *inode;

	*f = (struct use_file){ .err = owfs_iget(fs, ino, &inode) };
	if (f->err)
		return;
	f->mode = inode->i_attr.mode;
	f->nlink = inode->i_attr.nlink;
	if (!S_ISDIR(f->mode))
		f->size = inode->i_attr.size;
	look_inside(f, inode);
	owfs_iput(inode);
}

static void look_at_all(struct use_look *l, struct owfs_fs *fs)
{
	unsigned int i;

	for (i = 0; i < USE_FILES; i++)
		look_at(&l->file[i], fs, OWFS_INO_FIRST + i);
}

void use_look(struct use_look *l, struct emubd *e, struct rig_env *env)
{
	struct owfs_fs *fs;

	memset(l, 0, sizeof(*l));
	l->err = rig_mount(&fs, e, env, RIG_READONLY, NULL);
	if (l->err)
		return;
	look_at_all(l, fs);
	owfs_unmount(fs);
}

static bool is_same(const struct use_file *a, const struct use_file *b)
{
	return !a->err && !b->err && a->mode == b->mode &&
	       !a->nlink == !b->nlink && a->size == b->size &&
	       a->content == b->content;
}

/* ---------------------------------------------------------------------- use */

struct run {
	struct use *u;
	struct emubd *e;
	struct owfs_fs *fs;
	bool written[USE_FILES];
	/* operations before damage was met; the work in the background met it, and
	   so had not been done after the last of them */
	size_t done;
	bool met_behind;
	bool promised;			/* the last write is durable */
	struct use_look before;
	const char *wrong;
};

static bool is_damage(int err)
{
	return err == -EFSCORRUPTED || err == -EFSBADCRC;
}

static void mark(struct run *r, owfs_ino_t ino)
{
	if (ino - OWFS_INO_FIRST < USE_FILES)
		r->written[ino - OWFS_INO_FIRST] = true;
}

/* Whatever is at @path, and the directories above it. */
static void mark_path(struct run *r, const char *path)
{
	struct owfs_inode *inode;
	char part[OP_PATH_MAX];
	char *slash;
	int err;

	snprintf(part, sizeof(part), "%s", path);
	do {
		inode = rig_lookup(r->fs, part, &err);
		if (inode) {
			mark(r, inode->i_ino);
			owfs_iput(inode);
		}
		slash = strrchr(part, '/');
		if (slash)
			*slash = '\0';
	} while (slash);
}

static void mark_paths(struct run *r, const struct op *op)
{
	mark_path(r, op->path);
	if (op->kind == OP_LINK || op->kind == OP_RENAME ||
	    op->kind == OP_EXCHANGE)
		mark_path(r, op->path2);
}

static bool changes(const struct op *op)
{
	return op->kind != OP_SYNC && op->kind != OP_FSYNC;
}

/* One operation, and what must be so after it; the background has no thread. */
static void step(struct run *r, size_t i)
{
	const struct op *op = &r->u->op[i];
	bool was = r->u->met, behind;
	int ret, background;

	if (!was)
		mark_paths(r, op);
	ret = rig_apply(r->fs, op);
	behind = !owfs_fs_writable(r->fs);
	background = owfs_reclaim_step(r->fs);
	if (!was)
		mark_paths(r, op);
	if (op == r->u->last)
		r->promised = !ret;
	r->u->met |= owfs_fs_writable(r->fs) != 0;
	if (r->u->met && !was) {
		r->done = i + behind;
		r->met_behind = behind;
	}
	if ((is_damage(ret) || is_damage(background)) && !r->u->met)
		r->wrong = "damage was met, and it may still be written";
	if (was && changes(op) && !ret)
		r->wrong = "changed after damage was met";
}

static void work(struct run *r)
{
	struct use_look now;
	size_t i;

	if (r->u->walk_first)
		look_at_all(&now, r->fs);
	r->u->met = owfs_fs_writable(r->fs) != 0;
	for (i = 0; i < r->u->nops && !r->wrong; i++)
		step(r, i);
}

/* -------------------------------------------------------------------- judge */

static void show(unsigned int i, const char *what, const struct use_file *was,
		 const struct use_file *is)
{
	fprintf(stderr, "inode %u: %s: was error=%d mode=%o size=%llu, is error=%d mode=%o size=%llu\n",
		(unsigned int)OWFS_INO_FIRST + i, what, -was->err, was->mode,
		(unsigned long long)was->size, -is->err, is->mode,
		(unsigned long long)is->size);
}

/* What could be read and was not written to is what it was. */
static const char *compare(const struct run *r, const struct use_look *now,
			   const char *what)
{
	unsigned int i;

	for (i = 0; i < USE_FILES; i++) {
		if (r->before.file[i].err || r->written[i] ||
		    !r->before.file[i].nlink ||
		    is_same(&r->before.file[i], &now->file[i]))
			continue;
		show(i, what, &r->before.file[i], &now->file[i]);
		return what;
	}
	return NULL;
}

static void check_last(struct run *r, struct owfs_fs *fs)
{
	static unsigned char want[READ_MAX];
	const struct op *last = r->u->last;
	struct owfs_inode *inode;
	ssize_t n;
	int err = 0;

	inode = rig_lookup(fs, last->path, &err);
	if (!inode) {
		r->wrong = "what was written last is not there";
		return;
	}
	op_bytes(last, want, last->len);
	n = owfs_file_read(inode, buffer(), last->len, (loff_t)last->pos);
	if (n != (ssize_t)last->len || memcmp(want, buffer(), last->len))
		r->wrong = "what was written last is something else";
	owfs_iput(inode);
}

static void mount_again(struct run *r)
{
	struct use_look now = { .err = 0 };
	struct owfs_fs *fs;

	now.err = rig_mount(&fs, r->e, r->u->env, RIG_READONLY, NULL);
	if (now.err) {
		fprintf(stderr, "mount: %d, and was %d\n", now.err,
			r->before.err);
		r->wrong = "does not mount any more";
		return;
	}
	look_at_all(&now, fs);
	r->wrong = compare(r, &now, "a file is another after the unmount");
	if (!r->wrong && r->promised)
		check_last(r, fs);
	owfs_unmount(fs);
}

static bool say_yes(void *ctx, const struct owfs_problem_info *info,
		    const char *line)
{
	(void)ctx;
	(void)info;
	(void)line;
	return true;
}

/* What a repair of @e makes of it, and does it say that all is well? @e stays. */
static bool look_repaired(struct use_look *l, struct emubd *e,
			  struct rig_env *env)
{
	const struct owfs_repair_param p = {
		.check = { .commits = OWFS_CHECK_CURRENT | OWFS_CHECK_PREVIOUS,
			   .msg = talk("repair: ") },
		.env = &env->env,
		.ask = say_yes,
	};
	struct emubd *copy = emubd_fork(e);
	struct owfs_repair_report rep;
	int ret = owfs_repair(emubd_blkdev(copy), &p, &rep);

	if (ret)
		*l = (struct use_look){ .err = ret };
	else
		use_look(l, copy, env);
	emubd_destroy(copy);
	return !l->err && !rep.left.problems;
}

static owfs_gen_t last_commit(struct emubd *e)
{
	struct owfs_super sb;
	struct owfs_slots slots;

	return owfs_super_read(emubd_blkdev(e), &sb, &slots, NULL) ? 0 :
	       sb.root[0].gen;
}

/*
 * What would be there if it had ended in time, before damage was met.  If nothing
 * of what had been done was committed, which an aborted transaction keeps it from,
 * that is what was there in the first place.
 */
static struct emubd *ended_before(const struct run *r)
{
	struct emubd *e = emubd_fork(r->u->damaged);
	struct owfs_fs *fs;
	size_t i;

	if (!r->done || last_commit(r->e) == last_commit(e) ||
	    rig_mount(&fs, e, r->u->env, 0, NULL))
		return e;
	for (i = 0; i < r->done; i++) {
		rig_apply(fs, &r->u->op[i]);
		if (i + 1 < r->done || !r->met_behind)
			owfs_reclaim_step(fs);
	}
	owfs_unmount(fs);
	return e;
}

/*
 * Where no damage was met nothing says that what is below it was still needed:
 * a commit or two later the older state of it, to which a repair might have gone
 * back, or from which it might have taken what it lost, is gone.  So there it is
 * about what could be read as it was.
 */
static void compare_repairs(struct run *r)
{
	const struct use_look *sound = r->u->sound;
	struct emubd *e = ended_before(r);
	struct use_look first, now;
	bool was_well = look_repaired(&first, e, r->u->env), is_well;
	unsigned int i;

	emubd_destroy(e);
	if (!was_well)
		return;
	is_well = look_repaired(&now, r->e, r->u->env);
	if (now.err || (r->u->met && !is_well)) {
		r->wrong = "cannot be repaired any more";
		return;
	}
	for (i = 0; i < USE_FILES && !r->wrong; i++) {
		if (r->written[i] || !sound->file[i].nlink ||
		    !is_same(&sound->file[i], &first.file[i]) ||
		    is_same(&sound->file[i], &now.file[i]) ||
		    (!r->u->met &&
		     !is_same(&sound->file[i], &r->before.file[i])))
			continue;
		r->wrong = "a repair brings back less";
		show(i, r->wrong, &sound->file[i], &now.file[i]);
	}
}

bool use_is_danger(struct emubd *e)
{
	const struct owfs_check_param p = {
		.commits = OWFS_CHECK_CURRENT | OWFS_CHECK_PREVIOUS,
	};
	struct owfs_check_report rep = { .problems = 0 };
	unsigned int i;

	if (getenv("USE_STRICT"))
		return false;
	owfs_check(emubd_blkdev(e), &p, &rep);
	for (i = 0; i < OWFS_PROBLEM_KINDS; i++)
		if (rep.count[i] &&
		    owfs_problem_info(i)->class == OWFS_CLASS_DANGER)
			return true;
	return false;
}

static void use_mounted(struct run *r)
{
	struct use_look now;

	mark(r, OWFS_INO_ROOT);
	work(r);
	if (r->wrong) {
		owfs_mount_abandon(r->fs);
		return;
	}
	look_at_all(&now, r->fs);
	r->wrong = compare(r, &now, "a file is another in use");
	/* when that comes to nothing, nothing was promised */
	r->promised &= !owfs_fs_writable(r->fs);
	r->promised &= !owfs_unmount(r->fs);
	if (!r->wrong && (r->promised || !r->before.err))
		mount_again(r);
	if (!r->wrong && r->u->repair)
		compare_repairs(r);
	if (r->wrong && use_is_danger(r->u->damaged))
		r->wrong = NULL;
}

const char *use_judge(struct use *u)
{
	struct run r = { .u = u, .e = emubd_fork(u->damaged) };

	u->met = false;
	use_look(&r.before, r.e, u->env);
	if (emubd_count(r.e, EMUBD_WRITE))
		r.wrong = "looking has written";
	u->mounted = !rig_mount(&r.fs, r.e, u->env, 0, talk("use: "));
	if (u->mounted)
		use_mounted(&r);
	else if (emubd_count(r.e, EMUBD_WRITE))
		r.wrong = "who was not let in has written";
	emubd_destroy(r.e);
	return r.wrong;
}
