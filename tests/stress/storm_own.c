/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A worker's own files, against a model.  Nobody else touches them, though
 * their directories are everybody's, so every answer is known beforehand.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>

#include "storm.h"

#include "file/attr.h"
#include "file/file.h"
#include "file/namei.h"

#define XATTR	"user.storm"

void own_init(struct own *o, unsigned int id, uint64_t seed)
{
	unsigned int i;

	memset(o, 0, sizeof(*o));
	o->id = id;
	o->rng.s = seed;
	/* every other name is long, so that directories have many nodes */
	for (i = 0; i < SLOTS; i++)
		snprintf(o->slot[i].name, sizeof(o->slot[i].name), "t%u.%0*u",
			 id, i % 2 ? 140 : 2, i);
}

static uint64_t below(struct own *o, uint64_t n)
{
	return rng_below(&o->rng, n);
}

static void expect(const struct own *o, long got, long want, const char *what)
{
	if (got != want)
		stress_die("worker %u: %s: answered %ld, should be %ld", o->id,
			   what, got, want);
}

/* ------------------------------------------------------- names and inodes */

static struct owfs_inode *slot_dir(struct own *o, unsigned int dir)
{
	return dir ? storm_shared_dir(o->fs, dir - 1)
		   : storm_own_dir(o->fs, o->id);
}

static struct owfs_inode *slot_inode(struct own *o, const struct own_slot *s)
{
	struct owfs_inode *dir = slot_dir(o, s->dir), *inode;

	expect(o, owfs_lookup(dir, s->name, strlen(s->name), &inode), 0,
	       "lookup");
	owfs_iput(dir);
	return inode;
}

/* A random slot that has a file, or has none; NULL: there is none such. */
static struct own_slot *pick(struct own *o, bool used)
{
	unsigned int i, from = (unsigned int)below(o, SLOTS);

	for (i = 0; i < SLOTS; i++) {
		struct own_slot *s = &o->slot[(from + i) % SLOTS];

		if (!s->obj == !used)
			return s;
	}
	return NULL;
}

static struct own_obj *free_obj(struct own *o)
{
	unsigned int i;

	for (i = 0; i < OBJS; i++)
		if (!o->obj[i].nlink && !o->obj[i].held)
			return &o->obj[i];
	return NULL;
}

static void obj_reset(struct own_obj *obj)
{
	memset(obj->data, 0, obj->size);
	obj->size = 0;
	obj->has_xattr = false;
}

static void obj_drop_name(struct own_obj *obj)
{
	if (--obj->nlink == 0 && !obj->held)
		obj_reset(obj);
}

static void op_create(struct own *o)
{
	struct owfs_newnode nn = { .mode = S_IFREG | 0600 };
	struct own_slot *s = pick(o, false);
	struct own_obj *obj = free_obj(o);
	struct owfs_inode *dir, *inode;
	int ret;

	if (!s || !obj)
		return;
	s->dir = (unsigned int)below(o, SHARED_DIRS + 1);
	dir = slot_dir(o, s->dir);
	if (below(o, 4)) {
		ret = owfs_create(dir, s->name, strlen(s->name), &nn, &inode);
	} else {
		expect(o, owfs_tmpfile(dir, &nn, &inode), 0, "tmpfile");
		ret = owfs_link(inode, dir, s->name, strlen(s->name));
	}
	expect(o, ret, 0, "create");
	owfs_iput(inode);
	expect(o, owfs_create(dir, s->name, strlen(s->name), &nn, &inode),
	       -EEXIST, "create again");
	owfs_iput(dir);
	s->obj = obj;
	obj->nlink = 1;
}

static void op_link(struct own *o)
{
	struct own_slot *from = pick(o, true), *to = pick(o, false);
	struct owfs_inode *dir, *inode;

	if (!from || !to)
		return;
	to->dir = (unsigned int)below(o, SHARED_DIRS + 1);
	dir = slot_dir(o, to->dir);
	inode = slot_inode(o, from);
	expect(o, owfs_link(inode, dir, to->name, strlen(to->name)), 0, "link");
	owfs_iput(inode);
	owfs_iput(dir);
	to->obj = from->obj;
	to->obj->nlink++;
}

static void op_unlink(struct own *o)
{
	struct own_slot *s = pick(o, true);
	struct owfs_inode *dir, *inode;

	if (!s)
		return;
	dir = slot_dir(o, s->dir);
	expect(o, owfs_unlink(dir, s->name, strlen(s->name)), 0, "unlink");
	expect(o, owfs_lookup(dir, s->name, strlen(s->name), &inode), -ENOENT,
	       "lookup of what was unlinked");
	owfs_iput(dir);
	obj_drop_name(s->obj);
	s->obj = NULL;
}

static void op_rename(struct own *o)
{
	struct own_slot *from = pick(o, true), *to;
	struct owfs_inode *odir, *ndir;
	unsigned int flags = 0;
	int want = 0;

	if (!from)
		return;
	to = &o->slot[below(o, SLOTS)];
	if (to == from)
		return;
	if (!to->obj)
		to->dir = (unsigned int)below(o, SHARED_DIRS + 1);
	if (below(o, 4) == 0) {
		flags = RENAME_NOREPLACE;
		want = to->obj ? -EEXIST : 0;
	}
	odir = slot_dir(o, from->dir);
	ndir = slot_dir(o, to->dir);
	expect(o, owfs_rename(odir, from->name, strlen(from->name),
			      ndir, to->name, strlen(to->name), flags, NULL),
	       want, "rename");
	owfs_iput(odir);
	owfs_iput(ndir);
	/* two names of one file: nothing happens */
	if (want || to->obj == from->obj)
		return;
	if (to->obj)
		obj_drop_name(to->obj);
	to->obj = from->obj;
	from->obj = NULL;
}

static void op_exchange(struct own *o)
{
	struct own_slot *a = pick(o, true), *b = pick(o, true);
	struct owfs_inode *adir, *bdir;
	struct own_obj *obj;

	if (!a || a == b)
		return;
	adir = slot_dir(o, a->dir);
	bdir = slot_dir(o, b->dir);
	expect(o, owfs_rename(adir, a->name, strlen(a->name),
			      bdir, b->name, strlen(b->name), RENAME_EXCHANGE,
			      NULL), 0, "exchange");
	owfs_iput(adir);
	owfs_iput(bdir);
	obj = a->obj;
	a->obj = b->obj;
	b->obj = obj;
}

/* --------------------------------------------------------------- contents */

/* An object to work on: a held one, or by one of its names. */
static struct owfs_inode *pick_inode(struct own *o, struct own_obj **objp)
{
	struct own_obj *obj = &o->obj[below(o, OBJS)];
	struct own_slot *s;

	if (obj->held && below(o, 2)) {
		owfs_igrab(obj->held);
		*objp = obj;
		return obj->held;
	}
	s = pick(o, true);
	*objp = s ? s->obj : NULL;
	return s ? slot_inode(o, s) : NULL;
}

static void obj_hold(struct own *o, struct own_obj *obj,
		     struct owfs_inode *inode)
{
	if (obj->held)
		return;
	obj->held = inode;
	obj->remembered = below(o, 2);
	if (obj->remembered)
		owfs_inode_remember(inode);
	else
		owfs_igrab(inode);
}

static void obj_let_go(struct own *o, struct own_obj *obj)
{
	if (!obj->held)
		return;
	if (obj->remembered)
		owfs_inode_forget(o->fs, obj->held->i_ino, 1);
	else
		owfs_iput(obj->held);
	obj->held = NULL;
	if (!obj->nlink)
		obj_reset(obj);
}

static void do_write(struct own *o, struct own_obj *obj,
		     struct owfs_inode *inode)
{
	uint64_t pos = below(o, 2) ? below(o, OBJ_BYTES)
				   : below(o, OBJ_BYTES / BLOCK) * BLOCK;
	uint64_t len = 1 + below(o, below(o, 4) ? 2 * BLOCK : OBJ_BYTES / 2);
	unsigned int kill = below(o, 2) ? OWFS_SET_KILL_SUIDGID : 0;
	bool append = below(o, 5) == 0;
	uint64_t i;

	if (append)
		pos = obj->size;
	if (len > OBJ_BYTES - pos)
		len = OBJ_BYTES - pos;
	if (!len)
		return;
	for (i = 0; i < len; i++)
		obj->data[pos + i] = (unsigned char)(o->rng.s >> i % 57) | 1;
	expect(o, owfs_file_write(inode, obj->data + pos, len, (loff_t)pos,
				  append, kill), (long)len, "write");
	if (obj->size < pos + len)
		obj->size = pos + len;
}

static void do_truncate(struct own *o, struct own_obj *obj,
			struct owfs_inode *inode)
{
	struct owfs_attr attr = { .size = below(o, OBJ_BYTES + 1) };

	if (below(o, 3) == 0)
		attr.size -= attr.size % BLOCK;
	expect(o, owfs_setattr(inode, &attr, OWFS_SET_SIZE), 0, "truncate");
	if (attr.size < obj->size)
		memset(obj->data + attr.size, 0, obj->size - attr.size);
	obj->size = attr.size;
}

static void do_fallocate(struct own *o, struct own_obj *obj,
			 struct owfs_inode *inode)
{
	static const int modes[] = {
		0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_ZERO_RANGE,
		FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
	};
	int mode = modes[below(o, 6)];
	uint64_t pos = below(o, OBJ_BYTES);
	uint64_t len = 1 + below(o, OBJ_BYTES - pos);

	expect(o, owfs_file_fallocate(inode, mode, (loff_t)pos, (loff_t)len),
	       0, "fallocate");
	if (mode & (FALLOC_FL_ZERO_RANGE | FALLOC_FL_PUNCH_HOLE))
		memset(obj->data + pos, 0, len);
	if (!(mode & FALLOC_FL_KEEP_SIZE) && obj->size < pos + len)
		obj->size = pos + len;
}

static void check_data(struct own *o, struct own_obj *obj,
		       struct owfs_inode *inode, uint64_t pos, uint64_t len)
{
	uint64_t want = pos >= obj->size ? 0 : obj->size - pos, i;

	if (want > len)
		want = len;
	expect(o, owfs_file_read(inode, o->buf, len, (loff_t)pos), (long)want,
	       "read");
	if (!memcmp(o->buf, obj->data + pos, want))
		return;
	for (i = 0; o->buf[i] == obj->data[pos + i];)
		i++;
	stress_die("worker %u: inode %llu: wrong data at %llu: 0x%02x, should be 0x%02x (size %llu)",
		   o->id, (unsigned long long)inode->i_ino,
		   (unsigned long long)(pos + i), o->buf[i],
		   obj->data[pos + i], (unsigned long long)obj->size);
}

static void check_attr(struct own *o, const struct own_obj *obj,
		       struct owfs_inode *inode)
{
	struct stat st;

	owfs_getattr(inode, &st, NULL);
	expect(o, st.st_size, (long)obj->size, "size");
	expect(o, (long)st.st_nlink, obj->nlink, "nlink");
}

static void do_xattr(struct own *o, struct own_obj *obj,
		     struct owfs_inode *inode)
{
	size_t i;

	if (obj->has_xattr && below(o, 4) == 0) {
		expect(o, owfs_removexattr(inode, XATTR, strlen(XATTR)), 0,
		       "removexattr");
		obj->has_xattr = false;
		return;
	}
	obj->xlen = below(o, below(o, 3) ? 100 : XATTR_BYTES);
	for (i = 0; i < obj->xlen; i++)
		obj->xval[i] = (unsigned char)(o->rng.s >> i % 53);
	expect(o, owfs_setxattr(inode, XATTR, strlen(XATTR), obj->xval,
				obj->xlen, 0), 0, "setxattr");
	obj->has_xattr = true;
}

static void check_xattr(struct own *o, const struct own_obj *obj,
			struct owfs_inode *inode)
{
	ssize_t n = owfs_getxattr(inode, XATTR, strlen(XATTR), o->buf,
				  sizeof(o->buf));

	expect(o, n, obj->has_xattr ? (long)obj->xlen : -ENODATA, "getxattr");
	if (n > 0 && memcmp(o->buf, obj->xval, (size_t)n))
		stress_die("worker %u: inode %llu: wrong xattr", o->id,
			   (unsigned long long)inode->i_ino);
}

static void op_content(struct own *o)
{
	struct own_obj *obj;
	struct owfs_inode *inode = pick_inode(o, &obj);
	struct owfs_attr attr = { .mode = 0640 };
	uint64_t pos = below(o, OBJ_BYTES);

	if (!inode)
		return;
	switch (below(o, 16)) {
	case 0 ... 4:
		do_write(o, obj, inode);
		break;
	case 5:
		do_truncate(o, obj, inode);
		break;
	case 6:
		do_fallocate(o, obj, inode);
		break;
	case 7:
		do_xattr(o, obj, inode);
		break;
	case 8:
		check_xattr(o, obj, inode);
		break;
	case 9:
		expect(o, owfs_setattr(inode, &attr, OWFS_SET_MODE |
				       OWFS_SET_MTIME_NOW), 0, "setattr");
		break;
	case 10:
		stress_checked(1);
		check_attr(o, obj, inode);
		break;
	case 11:
		obj_hold(o, obj, inode);
		break;
	case 12:
		obj_let_go(o, &o->obj[below(o, OBJS)]);
		break;
	default:
		stress_checked(1);
		check_data(o, obj, inode, pos, 1 + below(o, OBJ_BYTES - pos));
	}
	owfs_iput(inode);
}

/* ------------------------------------------------------------- directories */

struct listing {
	struct own *o;
	unsigned int dir;
	unsigned int seen[SLOTS];
	uint64_t last;
	unsigned int room;	/* stop after so many */
};

static int list_one(void *ctx, const struct owfs_dirent *de)
{
	struct listing *l = ctx;
	unsigned int i;

	if (l->room-- == 0)
		return 1;
	if (de->cookie <= l->last)
		stress_die("readdir: cookies do not ascend");
	l->last = de->cookie;
	for (i = 0; i < SLOTS; i++)
		if (strlen(l->o->slot[i].name) == de->namelen &&
		    !memcmp(l->o->slot[i].name, de->name, de->namelen))
			l->seen[i]++;
	return 0;
}

/* Names that nobody touches meanwhile are seen exactly once. */
static void op_readdir(struct own *o)
{
	struct listing l = { .o = o };
	struct owfs_inode *dir;
	unsigned int i, want;
	uint64_t from;

	l.dir = (unsigned int)below(o, SHARED_DIRS + 1);
	dir = slot_dir(o, l.dir);
	do {
		from = l.last;
		l.room = 1 + (unsigned int)below(o, 30);
		expect(o, owfs_readdir(dir, from, list_one, &l), 0, "readdir");
	} while (l.last != from);
	owfs_iput(dir);
	for (i = 0; i < SLOTS; i++) {
		want = o->slot[i].obj && o->slot[i].dir == l.dir;
		if (l.seen[i] != want)
			stress_die("worker %u: readdir: %s seen %u times, should be %u",
				   o->id, o->slot[i].name, l.seen[i], want);
	}
}

/* --------------------------------------------------------------------- all */

void own_op(struct own *o)
{
	switch (below(o, 24)) {
	case 0 ... 2:
		op_create(o);
		break;
	case 3:
		op_link(o);
		break;
	case 4 ... 5:
		op_unlink(o);
		break;
	case 6 ... 7:
		op_rename(o);
		break;
	case 8:
		op_exchange(o);
		break;
	case 9:
		op_readdir(o);
		break;
	default:
		op_content(o);
	}
}

void own_verify(struct own *o)
{
	struct owfs_inode *inode;
	unsigned int i;

	for (i = 0; i < SLOTS; i++) {
		if (!o->slot[i].obj)
			continue;
		inode = slot_inode(o, &o->slot[i]);
		stress_checked(1);
		check_attr(o, o->slot[i].obj, inode);
		check_data(o, o->slot[i].obj, inode, 0, OBJ_BYTES);
		check_xattr(o, o->slot[i].obj, inode);
		owfs_iput(inode);
	}
}

void own_let_go(struct own *o)
{
	unsigned int i;

	for (i = 0; i < OBJS; i++)
		obj_let_go(o, &o->obj[i]);
}
