/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names that belong to nobody: a small tree of directories, files and links in
 * which every worker makes, moves and removes what he likes.  What can be asked
 * for is that answers are possible ones, that a block of a file holds what one
 * write put there, for this very file, and that nobody waits forever.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <string.h>

#include "storm.h"

#include "file/attr.h"
#include "file/file.h"
#include "file/namei.h"

#define NAMES		7
#define BLOCKS		12	/* of a file at most */

/* What anybody may come across when others rename under his feet. */
static const int races[] = {
	ENOENT, EEXIST, ENOTDIR, EISDIR, ENOTEMPTY, EINVAL, EPERM, ESTALE, 0
};

struct visit {
	struct owfs_fs *fs;
	struct rng *rng;
	unsigned int id;
};

static uint64_t below(struct visit *v, uint64_t n)
{
	return rng_below(v->rng, n);
}

static void sane(int ret, const char *what)
{
	if (!stress_is_one_of(ret > 0 ? 0 : ret, races) &&
	    !stress_tolerates(ret))
		stress_die("shared names: %s: answered %d", what, ret);
}

static size_t random_name(struct visit *v, char *name)
{
	return (size_t)sprintf(name, "x%u", (unsigned int)below(v, NAMES));
}

/* Down a random path as long as there are directories; referenced. */
static struct owfs_inode *random_dir(struct visit *v)
{
	struct owfs_inode *dir, *child;
	unsigned int depth = (unsigned int)below(v, 4);
	char name[16];
	size_t len;

	dir = storm_shared_dir(v->fs, (unsigned int)below(v, SHARED_DIRS));
	while (depth--) {
		len = random_name(v, name);
		if (owfs_lookup(dir, name, len, &child))
			break;
		if (child->i_type != S_IFDIR) {
			owfs_iput(child);
			break;
		}
		owfs_iput(dir);
		dir = child;
	}
	return dir;
}

/* Something of type @type (0: any) with a name, referenced; or NULL. */
static struct owfs_inode *random_inode(struct visit *v, uint32_t type)
{
	struct owfs_inode *dir = random_dir(v), *inode;
	char name[16];
	size_t len = random_name(v, name);
	int ret = owfs_lookup(dir, name, len, &inode);

	sane(ret, "lookup");
	owfs_iput(dir);
	if (ret)
		return NULL;
	if (!type || inode->i_type == type)
		return inode;
	owfs_iput(inode);
	return NULL;
}

/* ---------------------------------------------------------------- names */

static void op_create(struct visit *v)
{
	static const uint32_t types[] = {
		S_IFREG, S_IFREG, S_IFREG, S_IFDIR, S_IFDIR, S_IFLNK, S_IFIFO
	};
	struct owfs_newnode nn = { .target = "a/b/../c" };
	struct owfs_inode *dir = random_dir(v), *inode;
	char name[16];
	size_t len = random_name(v, name);
	int ret;

	nn.mode = types[below(v, 7)] | 0666;
	ret = owfs_create(dir, name, len, &nn, &inode);
	sane(ret, "create");
	if (!ret)
		owfs_iput(inode);
	owfs_iput(dir);
}

static void op_remove(struct visit *v)
{
	struct owfs_inode *dir = random_dir(v);
	char name[16];
	size_t len = random_name(v, name);

	if (below(v, 3))
		sane(owfs_unlink(dir, name, len), "unlink");
	else
		sane(owfs_rmdir(dir, name, len), "rmdir");
	owfs_iput(dir);
}

static void op_rename(struct visit *v)
{
	static const unsigned int flags[] = {
		0, 0, 0, RENAME_EXCHANGE, RENAME_NOREPLACE, RENAME_WHITEOUT
	};
	struct owfs_inode *odir = random_dir(v), *ndir = random_dir(v);
	char oname[16], nname[16];
	size_t olen = random_name(v, oname), nlen = random_name(v, nname);

	sane(owfs_rename(odir, oname, olen, ndir, nname, nlen,
			 flags[below(v, 6)], NULL), "rename");
	owfs_iput(odir);
	owfs_iput(ndir);
}

static void op_link(struct visit *v)
{
	struct owfs_inode *inode = random_inode(v, 0), *dir;
	char name[16];
	size_t len = random_name(v, name);

	if (!inode)
		return;
	dir = random_dir(v);
	sane(owfs_link(inode, dir, name, len), "link");
	owfs_iput(dir);
	owfs_iput(inode);
}

static void op_parent(struct visit *v)
{
	struct owfs_inode *dir = random_dir(v), *parent;
	int ret = owfs_lookup_parent(dir, &parent);

	sane(ret, "parent");
	if (!ret)
		owfs_iput(parent);
	owfs_iput(dir);
}

/*
 * One large directory, so that the tree is deep and its nodes split and merge
 * under everybody.
 */
static void op_many(struct visit *v)
{
	struct owfs_newnode nn = { .mode = S_IFREG | 0600 };
	struct owfs_inode *dir = storm_shared_dir(v->fs, SHARED_DIRS), *inode;
	unsigned int i, from = (unsigned int)below(v, 1500);
	bool make = below(v, 2);
	char name[256];
	size_t len;
	int ret;

	for (i = from; i < from + 20; i++) {
		len = (size_t)sprintf(name, "%0220u", i);
		if (make) {
			ret = owfs_create(dir, name, len, &nn, &inode);
			if (!ret)
				owfs_iput(inode);
		} else {
			ret = owfs_unlink(dir, name, len);
		}
		sane(ret, "one of many");
	}
	owfs_iput(dir);
}

struct listing {
	struct owfs_inode *dir;
	uint64_t last;
};

static int list_one(void *ctx, const struct owfs_dirent *de)
{
	struct listing *l = ctx;
	struct owfs_inode *inode;
	int ret;

	if (de->cookie <= l->last)
		stress_die("readdir: cookies do not ascend");
	l->last = de->cookie;
	ret = owfs_iget(l->dir->i_fs, de->ino, &inode);
	sane(ret, "inode of an entry");
	if (!ret)
		owfs_iput(inode);
	return 0;
}

static void op_readdir(struct visit *v)
{
	struct listing l = { .dir = random_dir(v) };

	sane(owfs_readdir(l.dir, 0, list_one, &l), "readdir");
	owfs_iput(l.dir);
}

static void op_readlink(struct visit *v)
{
	struct owfs_inode *inode = random_inode(v, S_IFLNK);
	char target[16];
	int ret;

	if (!inode)
		return;
	ret = owfs_readlink(inode, target, sizeof(target));
	if (!stress_tolerates(ret) &&
	    (ret != 8 || memcmp(target, "a/b/../c", 8)))
		stress_die("readlink: answered %d", ret);
	owfs_iput(inode);
}

/* ------------------------------------------------------------- contents */

/* What every 16 bytes of a block of an inode say. */
struct stamp {
	owfs_ino_t ino;
	uint64_t what;		/* of one write; never 0 */
};

static void do_write(struct visit *v, struct owfs_inode *inode)
{
	struct stamp block[3 * BLOCK / sizeof(struct stamp)];
	uint64_t first = below(v, BLOCKS), n = 1 + below(v, 3), i;
	struct stamp st = { inode->i_ino, rng_next(v->rng) | 1 };
	ssize_t ret;

	for (i = 0; i < n * BLOCK / sizeof(st); i++)
		block[i] = st;
	ret = owfs_file_write(inode, block, n * BLOCK, (loff_t)(first * BLOCK),
			      false, false);
	if (ret != (ssize_t)(n * BLOCK) && !stress_tolerates(ret))
		stress_die("shared file: write: answered %zd", ret);
}

/*
 * A block is one stamp up to where somebody cut the file or punched, and zero
 * besides.
 */
static void check_block(const struct owfs_inode *inode, const struct stamp *st,
			size_t n)
{
	uint64_t what = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		if (!st[i].what && !st[i].ino)
			continue;
		if (st[i].ino != inode->i_ino)
			stress_die("inode %llu: bytes of inode %llu",
				   (unsigned long long)inode->i_ino,
				   (unsigned long long)st[i].ino);
		if (what && st[i].what != what)
			stress_die("inode %llu: two writes in one block",
				   (unsigned long long)inode->i_ino);
		what = st[i].what;
	}
}

static void do_read(struct visit *v, struct owfs_inode *inode)
{
	struct stamp block[3 * BLOCK / sizeof(struct stamp)];
	const size_t per = BLOCK / sizeof(struct stamp);
	uint64_t first = below(v, BLOCKS);
	ssize_t n = owfs_file_read(inode, block, sizeof(block),
				   (loff_t)(first * BLOCK));
	size_t i;

	if (n < 0 && stress_tolerates(n))
		return;
	if (n < 0)
		stress_die("shared file: read: answered %zd", n);
	stress_checked(1);
	n = (ssize_t)((size_t)n / sizeof(struct stamp));
	for (i = 0; i < (size_t)n; i += per)
		check_block(inode, block + i,
			    (size_t)n - i < per ? (size_t)n - i : per);
}

static void do_cut(struct visit *v, struct owfs_inode *inode)
{
	uint64_t pos = below(v, BLOCKS * BLOCK), len = 1 + below(v, 5 * BLOCK);
	struct owfs_attr attr = { .size = pos - pos % sizeof(struct stamp) };

	pos -= pos % sizeof(struct stamp);
	len += -len % sizeof(struct stamp);
	if (below(v, 2))
		sane(owfs_setattr(inode, &attr, OWFS_SET_SIZE), "truncate");
	else
		sane(owfs_file_fallocate(inode, FALLOC_FL_PUNCH_HOLE |
					 FALLOC_FL_KEEP_SIZE, (loff_t)pos,
					 (loff_t)len), "punch");
}

static void op_content(struct visit *v)
{
	struct owfs_inode *inode = random_inode(v, S_IFREG);
	struct stat st;

	if (!inode)
		return;
	switch (below(v, 8)) {
	case 0 ... 2:
		do_write(v, inode);
		break;
	case 3 ... 4:
		do_read(v, inode);
		break;
	case 5:
		do_cut(v, inode);
		break;
	case 6:
		sane(owfs_file_fallocate(inode, below(v, 2) ? 0 :
					 FALLOC_FL_KEEP_SIZE, 0,
					 BLOCKS * BLOCK), "fallocate");
		break;
	default:
		owfs_getattr(inode, &st, NULL);
		if (st.st_size > (BLOCKS + 3) * BLOCK)
			stress_die("shared file: impossible size");
	}
	owfs_iput(inode);
}

/* Two of them at a time, so that either may find the other's work. */
static void op_xattr(struct visit *v)
{
	static const int errs[] = { ENODATA, EEXIST, ERANGE, 0 };
	struct owfs_inode *inode = random_inode(v, 0);
	char value[5000] = "";
	char name[16];
	size_t len = (size_t)sprintf(name, "user.%u",
				     (unsigned int)below(v, 3));
	ssize_t ret = 0;

	if (!inode)
		return;
	switch (below(v, 4)) {
	case 0:
		ret = owfs_removexattr(inode, name, len);
		break;
	case 1:
		ret = owfs_getxattr(inode, name, len, value, sizeof(value));
		break;
	case 2:
		ret = owfs_listxattr(inode, value, sizeof(value), NULL);
		break;
	default:
		ret = owfs_setxattr(inode, name, len, value,
				    below(v, sizeof(value)),
				    (int)below(v, 3));
	}
	if (!stress_is_one_of(ret > 0 ? 0 : (int)ret, errs) &&
	    !stress_tolerates(ret))
		stress_die("shared names: xattr: answered %zd", ret);
	owfs_iput(inode);
}

/* -------------------------------------------------------------------- all */

void shared_op(struct owfs_fs *fs, struct rng *rng, unsigned int id)
{
	struct visit v = { .fs = fs, .rng = rng, .id = id };

	switch (below(&v, 21)) {
	case 0 ... 4:
		op_create(&v);
		break;
	case 5 ... 7:
		op_remove(&v);
		break;
	case 8 ... 10:
		op_rename(&v);
		break;
	case 11:
		op_link(&v);
		break;
	case 12:
		op_parent(&v);
		break;
	case 13:
		op_readdir(&v);
		break;
	case 14:
		op_readlink(&v);
		break;
	case 15:
		op_xattr(&v);
		break;
	case 16:
		op_many(&v);
		break;
	default:
		op_content(&v);
	}
}
