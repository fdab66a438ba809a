/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Applies the model's operations to an owfs, and walks it for its digest. */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "rig.h"

#include "file/attr.h"
#include "file/file.h"
#include "file/namei.h"
#include "mkfs.h"

/* ------------------------------------------------------------ environment */

static void rig_now(void *ctx, struct timespec *ts)
{
	struct rig_env *re = ctx;
	uint64_t t = __atomic_fetch_add(&re->ticks, 1, __ATOMIC_RELAXED);

	ts->tv_sec = 1600000000 + (time_t)(t / 1000);
	ts->tv_nsec = (long)(t % 1000) * 1000000;
}

static uint64_t rig_random(void *ctx)
{
	struct rig_env *re = ctx;
	struct rng r = {
		__atomic_fetch_add(&re->rng.s, RNG_STEP, __ATOMIC_RELAXED)
	};

	return rng_next(&r);
}

void rig_env_init(struct rig_env *re, uint64_t seed)
{
	re->env.ctx = re;
	re->env.now = rig_now;
	re->env.random = rig_random;
	re->ticks = 0;
	re->rng.s = seed;
	re->cut_extents = 0;
	re->discard = false;
}

struct emubd *rig_mkfs(struct rig_env *re, uint64_t bytes, uint32_t blocksize,
		       unsigned int copies)
{
	struct owfs_mkfs_param p = {
		.blocksize = blocksize, .meta_copies = copies, .env = &re->env,
	};
	struct emubd *e = emubd_create(bytes);
	int ret = owfs_mkfs(emubd_blkdev(e), &p);

	if (!ret)
		return e;
	fprintf(stderr, "mkfs: %s\n", strerror(-ret));
	emubd_destroy(e);
	return NULL;
}

int rig_mount(struct owfs_fs **fsp, struct emubd *e, struct rig_env *re,
	      unsigned int flags, const struct owfs_msg *msg)
{
	struct owfs_fs_param p = {
		.bd = emubd_blkdev(e),
		.env = &re->env,
		.msg = msg,
		.readonly = flags & RIG_READONLY,
		.fallback = flags & RIG_FALLBACK,
		.cache = 1 << 20,
		.cut_extents = re->cut_extents,
		.discard = re->discard,
	};

	return owfs_mount(fsp, &p);
}

/* ------------------------------------------------------------------- paths */

static int lookup_parent(struct owfs_fs *fs, const char *path,
			 struct owfs_inode **dirp, const char **name)
{
	struct owfs_inode *dir, *next;
	const char *slash;
	int ret = owfs_iget(fs, OWFS_INO_ROOT, &dir);

	while (!ret && (slash = strchr(path, '/'))) {
		ret = owfs_lookup(dir, path, slash - path, &next);
		owfs_iput(dir);
		if (ret)
			return ret;
		dir = next;
		path = slash + 1;
	}
	if (!ret && dir->i_type != S_IFDIR) {
		owfs_iput(dir);
		ret = -ENOTDIR;
	}
	*dirp = dir;
	*name = path;
	return ret;
}

struct owfs_inode *rig_lookup(struct owfs_fs *fs, const char *path, int *err)
{
	struct owfs_inode *dir, *inode = NULL;
	const char *name;

	*err = lookup_parent(fs, path, &dir, &name);
	if (*err)
		return NULL;
	*err = owfs_lookup(dir, name, strlen(name), &inode);
	owfs_iput(dir);
	return *err ? NULL : inode;
}

/* -------------------------------------------------------------- operations */

static int do_create(struct owfs_inode *dir, const char *name,
		     const struct op *op)
{
	struct owfs_newnode nn = { .mode = S_IFREG | 0644 };
	struct owfs_inode *inode;
	int ret;

	if (op->kind == OP_MKDIR)
		nn.mode = S_IFDIR | 0755;
	if (op->kind == OP_SYMLINK) {
		nn.mode = S_IFLNK | 0777;
		nn.target = op->path2;
	}
	ret = owfs_create(dir, name, strlen(name), &nn, &inode);
	if (!ret)
		owfs_iput(inode);
	return ret;
}

static int apply_one_name(struct owfs_fs *fs, const struct op *op)
{
	struct owfs_inode *dir;
	const char *name;
	int ret = lookup_parent(fs, op->path, &dir, &name);

	if (ret)
		return ret;
	if (op->kind == OP_UNLINK)
		ret = owfs_unlink(dir, name, strlen(name));
	else if (op->kind == OP_RMDIR)
		ret = owfs_rmdir(dir, name, strlen(name));
	else
		ret = do_create(dir, name, op);
	owfs_iput(dir);
	return ret;
}

static int apply_link(struct owfs_fs *fs, const struct op *op)
{
	struct owfs_inode *inode, *dir;
	const char *name;
	int ret;

	inode = rig_lookup(fs, op->path, &ret);
	if (!inode)
		return ret;
	ret = lookup_parent(fs, op->path2, &dir, &name);
	if (!ret) {
		ret = owfs_link(inode, dir, name, strlen(name));
		owfs_iput(dir);
	}
	owfs_iput(inode);
	return ret;
}

static int apply_rename(struct owfs_fs *fs, const struct op *op)
{
	struct owfs_inode *odir, *ndir;
	const char *oname, *nname;
	int ret = lookup_parent(fs, op->path, &odir, &oname);

	if (ret)
		return ret;
	ret = lookup_parent(fs, op->path2, &ndir, &nname);
	if (!ret) {
		ret = owfs_rename(odir, oname, strlen(oname),
				  ndir, nname, strlen(nname),
				  op->kind == OP_EXCHANGE ? RENAME_EXCHANGE : 0,
				  NULL);
		owfs_iput(ndir);
	}
	owfs_iput(odir);
	return ret;
}

static int do_write(struct owfs_inode *inode, const struct op *op)
{
	unsigned char *buf = malloc(op->len);
	ssize_t ret;

	if (!buf)
		return -ENOMEM;
	op_bytes(op, buf, op->len);
	ret = owfs_file_write(inode, buf, op->len, (loff_t)op->pos,
			      op->kind == OP_APPEND, false);
	free(buf);
	if (ret >= 0 && (uint64_t)ret != op->len)
		return -EBADE;
	return ret < 0 ? (int)ret : 0;
}

static int do_setxattr(struct owfs_inode *inode, const struct op *op)
{
	unsigned char *buf = malloc(op->len + 1);
	char name[24];
	int ret;

	if (!buf)
		return -ENOMEM;
	snprintf(name, sizeof(name), "user.x%u", op->num);
	if (op->kind == OP_REMOVEXATTR) {
		ret = owfs_removexattr(inode, name, strlen(name));
	} else {
		op_bytes(op, buf, op->len);
		ret = owfs_setxattr(inode, name, strlen(name), buf, op->len, 0);
	}
	free(buf);
	return ret;
}

static int do_setlist(struct owfs_inode *inode, const struct op *op)
{
	const char *name = op->pos & 1 ? OWFS_ACL_DEFAULT : OWFS_ACL_ACCESS;
	unsigned char buf[OP_LIST_BYTES];
	size_t len = op_list(op, buf);

	if ((op->pos & 1) && !op->len)
		return owfs_removexattr(inode, name, strlen(name));
	return owfs_setxattr(inode, name, strlen(name), buf, len, 0);
}

static int do_setattr(struct owfs_inode *inode, const struct op *op)
{
	struct owfs_attr attr = { .mode = op->num, .size = op->pos };

	return owfs_setattr(inode, &attr, op->kind == OP_CHMOD ? OWFS_SET_MODE
							: OWFS_SET_SIZE);
}

static int do_fallocate(struct owfs_inode *inode, const struct op *op)
{
	int mode = 0;

	if (op->kind == OP_PUNCH)
		mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	else if (op->kind == OP_ZERO)
		mode = FALLOC_FL_ZERO_RANGE;
	else if (op->kind == OP_PREALLOC_KEEP)
		mode = FALLOC_FL_KEEP_SIZE;
	return owfs_file_fallocate(inode, mode, (loff_t)op->pos,
				   (loff_t)op->len);
}

static bool wants_regular(const struct op *op)
{
	return op->kind >= OP_WRITE && op->kind <= OP_PREALLOC_KEEP;
}

static int apply_inode(struct owfs_fs *fs, const struct op *op)
{
	struct owfs_inode *inode;
	int ret;

	inode = rig_lookup(fs, op->path, &ret);
	if (!inode)
		return ret;
	if (wants_regular(op) && !S_ISREG(inode->i_attr.mode)) {
		owfs_iput(inode);
		return -EINVAL;		/* the kernel never asks */
	}
	switch (op->kind) {
	case OP_WRITE:
	case OP_APPEND:
		ret = do_write(inode, op);
		break;
	case OP_TRUNCATE:
	case OP_CHMOD:
		ret = do_setattr(inode, op);
		break;
	case OP_SETXATTR:
	case OP_REMOVEXATTR:
		ret = do_setxattr(inode, op);
		break;
	case OP_SETLIST:
		ret = do_setlist(inode, op);
		break;
	case OP_FSYNC:
		ret = owfs_file_fsync(inode, false);
		break;
	default:
		ret = do_fallocate(inode, op);
	}
	owfs_iput(inode);
	return ret;
}

int rig_apply(struct owfs_fs *fs, const struct op *op)
{
	switch (op->kind) {
	case OP_CREATE:
	case OP_MKDIR:
	case OP_SYMLINK:
	case OP_UNLINK:
	case OP_RMDIR:
		return apply_one_name(fs, op);
	case OP_LINK:
		return apply_link(fs, op);
	case OP_RENAME:
	case OP_EXCHANGE:
		return apply_rename(fs, op);
	case OP_SYNC:
		return owfs_syncfs(fs);
	default:
		return apply_inode(fs, op);
	}
}

/* ------------------------------------------------------------------ digest */

struct names {
	char **name;
	size_t n;
};

static int collect(void *ctx, const struct owfs_dirent *de)
{
	struct names *l = ctx;

	if (de->namelen <= 2 && !memcmp(de->name, "..", de->namelen))
		return 0;
	l->name = realloc(l->name, (l->n + 1) * sizeof(*l->name));
	l->name[l->n++] = strndup(de->name, de->namelen);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

struct walk {
	XXH3_state_t st;
	FILE *dump;
	owfs_ino_t *seen;
	size_t nseen;
};

static unsigned int link_of(struct walk *w, owfs_ino_t ino)
{
	size_t i;

	for (i = 0; i < w->nseen; i++)
		if (w->seen[i] == ino)
			return (unsigned int)i + 1;
	w->seen = realloc(w->seen, (w->nseen + 1) * sizeof(*w->seen));
	w->seen[w->nseen++] = ino;
	return (unsigned int)w->nseen;
}

#define HASH_MAX	(64u << 20)

static int hash_content(struct owfs_inode *inode, uint64_t size, uint64_t *hash)
{
	unsigned char *buf;
	ssize_t n;

	*hash = 0;
	if (size == 0)
		return 0;
	/* no model has so much; a damaged image may say anything */
	size = min_u64(size, HASH_MAX);
	if (posix_memalign((void **)&buf, OWFS_IO_ALIGN, size))
		return -ENOMEM;
	n = S_ISLNK(inode->i_attr.mode)
		? owfs_readlink(inode, (char *)buf, size)
		: owfs_file_read(inode, buf, size, 0);
	if (n >= 0)
		*hash = XXH3_64bits(buf, (size_t)n);
	free(buf);
	if (n >= 0 && (uint64_t)n != size)
		return -EBADE;
	return n < 0 ? (int)n : 0;
}

static int hash_xattrs(struct owfs_inode *inode, uint64_t *sum)
{
	unsigned char value[OWFS_XATTR_SIZE_MAX];
	char list[512], *name;
	ssize_t n = owfs_listxattr(inode, list, sizeof(list), NULL), len;

	*sum = 0;
	for (name = list; n > 0 && name < list + n; name += strlen(name) + 1) {
		len = owfs_getxattr(inode, name, strlen(name), value,
				    sizeof(value));
		if (len < 0)
			return (int)len;
		*sum += digest_xattr(name, strlen(name), value, (size_t)len);
	}
	return n < 0 ? (int)n : 0;
}

static int walk_node(struct owfs_inode *inode, const char *path,
		     struct walk *w);

static int walk_entries(struct owfs_inode *dir, const char *path,
			struct walk *w)
{
	char below[4 * OP_PATH_MAX];
	struct owfs_inode *inode;
	struct names l = { 0 };
	size_t i;
	int ret = owfs_readdir(dir, 0, collect, &l);

	if (l.n)
		qsort(l.name, l.n, sizeof(*l.name), by_name);
	for (i = 0; i < l.n; i++) {
		if (!ret)
			ret = owfs_lookup(dir, l.name[i], strlen(l.name[i]),
					  &inode);
		if (!ret) {
			snprintf(below, sizeof(below), "%s/%s", path,
				 l.name[i]);
			ret = walk_node(inode, below, w);
			owfs_iput(inode);
		}
		free(l.name[i]);
	}
	free(l.name);
	return ret;
}

static int walk_node(struct owfs_inode *inode, const char *path, struct walk *w)
{
	struct digest_node d = { .path = path };
	bool dir = S_ISDIR(inode->i_attr.mode);
	int ret = 0;

	d.mode = inode->i_attr.mode;
	d.nlink = inode->i_attr.nlink;
	d.size = dir ? 0 : inode->i_attr.size;
	d.link = link_of(w, inode->i_ino);
	if (!dir)
		ret = hash_content(inode, d.size, &d.content);
	if (!ret)
		ret = hash_xattrs(inode, &d.xattrs);
	digest_add(&w->st, &d, w->dump);
	if (ret && w->dump)
		fprintf(w->dump, "%s: error=%d\n", path, -ret);
	return ret || !dir ? ret : walk_entries(inode, path, w);
}

uint64_t rig_digest(struct owfs_fs *fs, FILE *dump, int *err)
{
	struct walk w = { .dump = dump };
	struct owfs_inode *root;

	digest_start(&w.st);
	*err = owfs_iget(fs, OWFS_INO_ROOT, &root);
	if (!*err) {
		*err = walk_node(root, "", &w);
		owfs_iput(root);
	}
	free(w.seen);
	return digest_end(&w.st);
}
