/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Operations on names, but for rename (rename.c).
 *
 * Each xxx_once() is one try and one transaction; -EAGAIN makes OWFS_RETRY
 * find room and call it again with no lock held.
 */
#include <dirent.h>
#include <string.h>

#include "base/err.h"
#include "base/util.h"
#include "file/atime.h"
#include "file/flags.h"
#include "file/names.h"
#include "object/orphan.h"

/* ------------------------------------------------------- names and inodes */

int owfs_names_check(const char *name, size_t len)
{
	if (len > OWFS_NAME_MAX)
		return -ENAMETOOLONG;
	return owfs_name_is_possible(name, len) ? 0 : -EINVAL;
}

int owfs_names_may_change(struct owfs_inode *dir, const char *name, size_t len)
{
	int ret = owfs_fs_writable(dir->i_fs);

	if (ret)
		return ret;
	if (dir->i_type != S_IFDIR)
		return -ENOTDIR;
	return owfs_names_check(name, len);
}

static int child_bad(struct owfs_inode *dir, const struct owfs_dirslot *slot,
		     const char *what)
{
	return owfs_fs_fail(dir->i_fs, -EFSCORRUPTED,
			    "directory %llu: entry names inode %llu, which %s",
			    (unsigned long long)dir->i_ino,
			    (unsigned long long)slot->ino, what);
}

int owfs_names_child(struct owfs_inode *dir, const struct owfs_dirslot *slot,
		     struct owfs_inode **ip)
{
	struct owfs_inode *inode;
	const char *wrong = NULL;
	int ret = owfs_iget(dir->i_fs, slot->ino, &inode);

	if (ret == -ENOENT || ret == -ESTALE)
		return child_bad(dir, slot, "does not exist");
	if (ret)
		return ret;
	if (IFTODT(inode->i_type) != slot->ftype)
		wrong = "is of another type";
	else if (inode == dir)
		wrong = "is that directory itself";
	else if (inode->i_type == S_IFDIR &&
		 owfs_inode_parent(inode) != dir->i_ino)
		wrong = "is in another directory";
	if (wrong) {
		owfs_iput(inode);
		return child_bad(dir, slot, wrong);
	}
	*ip = inode;
	return 0;
}

int owfs_names_prefetch(const struct owfs_inode *inode)
{
	struct owfs_key key = owfs_key(inode->i_ino, OWFS_ITEM_INODE, 0);

	return owfs_btree_prefetch(inode->i_fs->fs_bt, &key);
}

void owfs_names_stamp(struct owfs_inode *dir, const struct timespec *now)
{
	dir->i_attr.mtime = *now;
	dir->i_attr.ctime = *now;
}

/* An entry less; one that counts none is damaged. */
static int check_count(struct owfs_inode *dir)
{
	if (dir->i_attr.size)
		return 0;
	return owfs_fs_fail(dir->i_fs, -EFSCORRUPTED,
			    "directory %llu: has more entries than it counts",
			    (unsigned long long)dir->i_ino);
}

int owfs_names_check_count(struct owfs_inode *dir)
{
	if (dir->i_attr.size < OWFS_FILE_BYTES_MAX)
		return 0;
	return owfs_fs_fail(dir->i_fs, -EFSCORRUPTED,
			    "directory %llu: counts more entries than there can be",
			    (unsigned long long)dir->i_ino);
}

/* ----------------------------------------------------------------- lookup */

int owfs_lookup(struct owfs_inode *dir, const char *name, size_t len,
		struct owfs_inode **ip)
{
	struct owfs_dirslot slot;
	int ret = owfs_fs_readable(dir->i_fs);

	if (ret)
		return ret;
	if (dir->i_type != S_IFDIR)
		return -ENOTDIR;
	ret = owfs_names_check(name, len);
	if (ret)
		return ret;
	pthread_rwlock_rdlock(&dir->i_lock);
	ret = owfs_dir_find(dir->i_fs, dir->i_ino, name, len, &slot);
	if (!ret)
		ret = owfs_names_child(dir, &slot, ip);
	pthread_rwlock_unlock(&dir->i_lock);
	return ret;
}

int owfs_lookup_parent(struct owfs_inode *dir, struct owfs_inode **ip)
{
	struct owfs_inode *parent;
	int ret;

	if (dir->i_type != S_IFDIR)
		return -ENOTDIR;
	ret = owfs_iget(dir->i_fs, owfs_inode_parent(dir), &parent);
	if (ret)
		return ret;
	if (parent->i_type != S_IFDIR) {
		owfs_iput(parent);
		return owfs_fs_fail(dir->i_fs, -EFSCORRUPTED,
				    "directory %llu: its parent is none",
				    (unsigned long long)dir->i_ino);
	}
	*ip = parent;
	return 0;
}

/* --------------------------------------------------------------- symlinks */

static unsigned int target_chunks(size_t len)
{
	return (unsigned int)div_round_up(len, OWFS_ITEM_MAX);
}

static int target_write(struct owfs_trans *tr, const struct owfs_inode *inode,
			const char *target)
{
	size_t len = inode->i_attr.size, off, n;
	struct owfs_key key;
	int ret;

	for (off = 0; off < len; off += n) {
		n = min_u64(len - off, OWFS_ITEM_MAX);
		key = owfs_key(inode->i_ino, OWFS_ITEM_SYMLINK,
			       off / OWFS_ITEM_MAX);
		ret = owfs_btree_insert(tr->fs->fs_bt, &key, target + off, n);
		if (ret)
			return owfs_trans_abort(tr, ret, "symlink target");
	}
	return 0;
}

struct target_read {
	char *buf;
	size_t len, done;
	bool bad;
};

static int target_read_chunk(void *ctx, const struct owfs_key *key,
			     const void *val, size_t len)
{
	struct target_read *r = ctx;

	if (key->off * OWFS_ITEM_MAX != r->done || r->done >= r->len ||
	    len != min_u64(r->len - r->done, OWFS_ITEM_MAX) ||
	    memchr(val, '\0', len)) {
		r->bad = true;
		return -EFSCORRUPTED;
	}
	memcpy(r->buf + r->done, val, len);
	r->done += len;
	return 0;
}

int owfs_readlink(struct owfs_inode *inode, char *buf, size_t size)
{
	struct owfs_key first = owfs_key(inode->i_ino, OWFS_ITEM_SYMLINK, 0);
	struct owfs_key last = owfs_key(inode->i_ino, OWFS_ITEM_SYMLINK,
					UINT64_MAX);
	struct target_read r = { .buf = buf };
	int ret = owfs_fs_readable(inode->i_fs);

	if (ret)
		return ret;
	if (inode->i_type != S_IFLNK)
		return -EINVAL;
	/* the target never changes, nor does its length */
	r.len = inode->i_attr.size;
	if (r.len > size)
		return -ERANGE;
	ret = owfs_btree_walk(inode->i_fs->fs_bt, &first, &last,
			      target_read_chunk, &r);
	if (r.bad || (!ret && r.done != r.len))
		return owfs_fs_fail(inode->i_fs, -EFSCORRUPTED,
				    "inode %llu: bad symlink target",
				    (unsigned long long)inode->i_ino);
	if (ret)
		return ret;
	owfs_atime_touch(inode);
	return (int)r.len;
}

/* ----------------------------------------------------------------- create */

static int check_newnode(const struct owfs_newnode *nn)
{
	size_t len;

	switch (nn->mode & S_IFMT) {
	case S_IFREG:
	case S_IFDIR:
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
	case S_IFSOCK:
		return 0;
	case S_IFLNK:
		len = nn->target ? strnlen(nn->target, OWFS_SYMLINK_MAX + 1) : 0;
		if (len == 0)
			return -ENOENT;
		return len > OWFS_SYMLINK_MAX ? -ENAMETOOLONG : 0;
	default:
		return -EINVAL;
	}
}

static void newnode_attr(struct owfs_attr *a, struct owfs_inode *dir,
			 const struct owfs_newnode *nn)
{
	memset(a, 0, sizeof(*a));
	a->mode = nn->mode & (S_IFMT | 07777);
	a->nlink = S_ISDIR(a->mode) ? 2 : 1;
	a->uid = nn->uid;
	a->gid = nn->gid;
	if (dir->i_attr.mode & S_ISGID) {
		a->gid = dir->i_attr.gid;
		if (S_ISDIR(a->mode))
			a->mode |= S_ISGID;
	}
	if (S_ISLNK(a->mode))
		a->size = strlen(nn->target);
	if (S_ISCHR(a->mode) || S_ISBLK(a->mode))
		a->rdev = nn->rdev;
	if (S_ISDIR(a->mode))
		a->parent = dir->i_ino;
	owfs_flags_inherit(a, &dir->i_attr);
	owfs_fs_now(dir->i_fs, &a->btime);
	a->atime = a->mtime = a->ctime = a->btime;
}

/* A number from beyond the high-water mark: an item there is no work of ours. */
static int check_unused(struct owfs_fs *fs, owfs_ino_t ino)
{
	struct owfs_key first = owfs_key(ino, 0, 0);
	struct owfs_key last = owfs_key(ino, 0xff, UINT64_MAX);
	char byte;
	int ret = owfs_btree_next(fs->fs_bt, &first, &last, &byte, 1);

	if (ret == -ENOENT)
		return 0;
	if (ret < 0)
		return ret;
	return owfs_fs_fail(fs, -EFSCORRUPTED,
			    "inode %llu: never given out, but has items",
			    (unsigned long long)ino);
}

int owfs_names_new_inode(struct owfs_inode *dir, const struct owfs_newnode *nn,
			 struct owfs_access *a, struct owfs_inode **ip)
{
	struct owfs_fs *fs = dir->i_fs;
	struct owfs_attr attr;
	owfs_ino_t ino;
	int ret = owfs_trans_new_ino(fs, &ino);

	if (!ret)
		ret = check_unused(fs, ino);
	if (ret)
		return ret;
	newnode_attr(&attr, dir, nn);
	ret = owfs_access_inherit(a, dir, nn->umask, &attr.mode);
	if (!ret)
		ret = owfs_inode_new(fs, ino, &attr, ip);
	if (ret)
		return ret;
	ret = owfs_access_plan_new(a, *ip);
	if (ret)
		owfs_inode_discard(*ip);
	return ret;
}

/* Where @dir takes another entry, and subdirectory.  Decides the errors. */
static int find_free(struct owfs_inode *dir, const char *name, size_t len,
		     bool subdir, struct owfs_dirslot *slot)
{
	int ret;

	if (dir->i_attr.nlink == 0)
		return -ENOENT;
	ret = owfs_dir_find(dir->i_fs, dir->i_ino, name, len, slot);
	if (ret != -ENOENT)
		return ret ? ret : -EEXIST;
	ret = owfs_flags_may_add(dir);
	if (ret)
		return ret;
	if (slot->full)
		return -ENOSPC;
	if (subdir && dir->i_attr.nlink >= OWFS_LINK_MAX)
		return -EMLINK;
	ret = owfs_names_check_count(dir);
	if (!ret)
		ret = owfs_btree_prefetch(dir->i_fs->fs_bt, &slot->key);
	return ret ? ret : owfs_names_prefetch(dir);
}

/* Everything that is the new inode's own. */
static int new_apply(struct owfs_trans *tr, struct owfs_access *a,
		     struct owfs_inode *inode)
{
	int ret = owfs_access_apply(a, tr);

	inode->i_attr.gen = tr->gen;
	return ret ? ret : owfs_inode_store(tr, inode, true);
}

static int create_apply(struct owfs_trans *tr, struct owfs_inode *dir,
			const char *name, size_t len,
			const struct owfs_dirslot *slot,
			const struct owfs_newnode *nn, struct owfs_access *a,
			struct owfs_inode *inode)
{
	int ret = new_apply(tr, a, inode);

	if (!ret && inode->i_type == S_IFLNK)
		ret = target_write(tr, inode, nn->target);
	if (!ret)
		ret = owfs_dir_insert(tr, slot, name, len, inode->i_ino,
				      inode->i_type);
	if (ret)
		return ret;
	dir->i_attr.size++;
	dir->i_attr.nlink += inode->i_type == S_IFDIR;
	owfs_names_stamp(dir, &inode->i_attr.btime);
	return owfs_inode_store(tr, dir, false);
}

static int create_locked(struct owfs_inode *dir, const char *name, size_t len,
			 const struct owfs_newnode *nn, struct owfs_access *a,
			 struct owfs_inode **ip)
{
	struct owfs_dirslot slot;
	struct owfs_inode *inode;
	struct owfs_trans tr;
	int ret;

	ret = find_free(dir, name, len, S_ISDIR(nn->mode), &slot);
	if (!ret)
		ret = owfs_names_new_inode(dir, nn, a, &inode);
	if (ret)
		return ret;
	/* entry, directory, inode with its target */
	ret = owfs_access_begin(a, dir->i_fs, &tr, 3,
				1 + target_chunks(inode->i_attr.size),
				OWFS_RESV_NORMAL);
	if (ret) {
		owfs_inode_discard(inode);
		return ret;
	}
	create_apply(&tr, dir, name, len, &slot, nn, a, inode);
	ret = owfs_trans_end(&tr);
	pthread_rwlock_unlock(&inode->i_lock);
	if (ret)
		owfs_iput(inode);
	else
		*ip = inode;
	return ret;
}

static int create_once(struct owfs_inode *dir, const char *name, size_t len,
		       const struct owfs_newnode *nn, struct owfs_inode **ip)
{
	struct owfs_access a;
	int ret;

	owfs_access_init(&a);
	pthread_rwlock_wrlock(&dir->i_lock);
	ret = create_locked(dir, name, len, nn, &a, ip);
	pthread_rwlock_unlock(&dir->i_lock);
	owfs_access_done(&a);
	return ret;
}

int owfs_create(struct owfs_inode *dir, const char *name, size_t len,
		const struct owfs_newnode *nn, struct owfs_inode **ip)
{
	int ret = owfs_names_may_change(dir, name, len);

	if (!ret)
		ret = check_newnode(nn);
	if (!ret)
		OWFS_RETRY(dir->i_fs, ret, create_once(dir, name, len, nn, ip));
	if (ret)
		return ret;
	ret = owfs_flags_settle(dir, OWFS_FLAGS_DIRSYNC, 0);
	if (ret)
		owfs_iput(*ip);
	return ret;
}

/* Caller holds @dir's i_lock for reading: nothing of it changes. */
static int tmpfile_locked(struct owfs_inode *dir, const struct owfs_newnode *nn,
			  struct owfs_access *a, struct owfs_inode **ip)
{
	struct owfs_inode *inode;
	struct owfs_trans tr;
	struct owfs_key key;
	int ret;

	if (dir->i_attr.nlink == 0)
		return -ENOENT;
	ret = owfs_flags_may_add(dir);
	if (!ret)
		ret = owfs_names_new_inode(dir, nn, a, &inode);
	if (ret)
		return ret;
	inode->i_attr.nlink = 0;
	key = owfs_orphan_key(inode->i_ino);
	ret = owfs_btree_prefetch(dir->i_fs->fs_bt, &key);
	if (!ret)
		ret = owfs_access_begin(a, dir->i_fs, &tr, 2, 1,
					OWFS_RESV_NORMAL);
	if (ret) {
		owfs_inode_discard(inode);
		return ret;
	}
	if (!new_apply(&tr, a, inode))
		owfs_orphan_follow(&tr, inode, 0);
	ret = owfs_trans_end(&tr);
	pthread_rwlock_unlock(&inode->i_lock);
	if (ret)
		owfs_iput(inode);
	else
		*ip = inode;
	return ret;
}

static int tmpfile_once(struct owfs_inode *dir, const struct owfs_newnode *nn,
			struct owfs_inode **ip)
{
	struct owfs_access a;
	int ret;

	owfs_access_init(&a);
	pthread_rwlock_rdlock(&dir->i_lock);
	ret = tmpfile_locked(dir, nn, &a, ip);
	pthread_rwlock_unlock(&dir->i_lock);
	owfs_access_done(&a);
	return ret;
}

int owfs_tmpfile(struct owfs_inode *dir, const struct owfs_newnode *nn,
		 struct owfs_inode **ip)
{
	int ret = owfs_fs_writable(dir->i_fs);

	if (ret)
		return ret;
	if (dir->i_type != S_IFDIR)
		return -ENOTDIR;
	if (!S_ISREG(nn->mode))
		return -EINVAL;
	OWFS_RETRY(dir->i_fs, ret, tmpfile_once(dir, nn, ip));
	return ret;
}

/* ------------------------------------------------------------------- link */

static int link_apply(struct owfs_trans *tr, struct owfs_inode *inode,
		      struct owfs_inode *dir, const char *name, size_t len,
		      const struct owfs_dirslot *slot)
{
	uint32_t was = owfs_orphan_flags(&inode->i_attr);
	struct timespec now;
	int ret;

	owfs_fs_now(tr->fs, &now);
	inode->i_attr.nlink++;
	inode->i_attr.ctime = now;
	ret = owfs_dir_insert(tr, slot, name, len, inode->i_ino, inode->i_type);
	if (!ret)
		ret = owfs_orphan_follow(tr, inode, was);
	if (!ret)
		ret = owfs_inode_store(tr, inode, false);
	if (ret)
		return ret;
	dir->i_attr.size++;
	owfs_names_stamp(dir, &now);
	return owfs_inode_store(tr, dir, false);
}

/* Caller holds both for writing. */
static int link_locked(struct owfs_inode *inode, struct owfs_inode *dir,
		       const char *name, size_t len)
{
	struct owfs_key orphan = owfs_orphan_key(inode->i_ino);
	struct owfs_dirslot slot;
	struct owfs_trans tr;
	int ret = find_free(dir, name, len, false, &slot);

	if (!ret)
		ret = owfs_flags_may_link(inode);
	if (ret)
		return ret;
	if (inode->i_attr.nlink >= OWFS_LINK_MAX)
		return -EMLINK;
	ret = owfs_flags_may_stand(inode, dir);
	if (!ret)
		ret = owfs_names_prefetch(inode);
	if (!ret && owfs_orphan_flags(&inode->i_attr))
		ret = owfs_btree_prefetch(dir->i_fs->fs_bt, &orphan);
	if (!ret)
		ret = owfs_trans_begin(dir->i_fs, &tr, 4, 1, OWFS_RESV_NORMAL);
	if (ret)
		return ret;
	link_apply(&tr, inode, dir, name, len, &slot);
	return owfs_trans_end(&tr);
}

static int link_once(struct owfs_inode *inode, struct owfs_inode *dir,
		     const char *name, size_t len)
{
	int ret;

	pthread_rwlock_wrlock(&dir->i_lock);
	pthread_rwlock_wrlock(&inode->i_lock);
	ret = link_locked(inode, dir, name, len);
	pthread_rwlock_unlock(&inode->i_lock);
	pthread_rwlock_unlock(&dir->i_lock);
	return ret;
}

int owfs_link(struct owfs_inode *inode, struct owfs_inode *dir,
	      const char *name, size_t len)
{
	int ret = owfs_names_may_change(dir, name, len);

	if (ret)
		return ret;
	if (inode->i_type == S_IFDIR)
		return -EPERM;
	OWFS_RETRY(dir->i_fs, ret, link_once(inode, dir, name, len));
	return owfs_flags_settle(dir, OWFS_FLAGS_DIRSYNC, ret);
}

/* ---------------------------------------------------------- unlink, rmdir */

static int unlink_apply(struct owfs_trans *tr, struct owfs_inode *dir,
			struct owfs_inode *inode,
			const struct owfs_dirslot *slot)
{
	uint32_t was = owfs_orphan_flags(&inode->i_attr);
	bool subdir = inode->i_type == S_IFDIR;
	struct timespec now;
	int ret;

	owfs_fs_now(tr->fs, &now);
	inode->i_attr.nlink = subdir ? 0 : inode->i_attr.nlink - 1;
	inode->i_attr.ctime = now;
	ret = owfs_dir_remove(tr, slot);
	if (!ret)
		ret = owfs_orphan_follow(tr, inode, was);
	if (!ret)
		ret = owfs_inode_store(tr, inode, false);
	if (ret)
		return ret;
	dir->i_attr.size--;
	dir->i_attr.nlink -= subdir;
	owfs_names_stamp(dir, &now);
	return owfs_inode_store(tr, dir, false);
}

static int check_nlink(struct owfs_inode *dir, struct owfs_inode *inode)
{
	uint32_t least = inode->i_type == S_IFDIR ? 2 : 1;

	if (inode->i_attr.nlink < least ||
	    (least == 2 && dir->i_attr.nlink < 3))
		return owfs_fs_fail(dir->i_fs, -EFSCORRUPTED,
				    "inode %llu: has more names than it counts",
				    (unsigned long long)inode->i_ino);
	return check_count(dir);
}

/* Caller holds both for writing. */
static int unlink_locked(struct owfs_inode *dir, struct owfs_inode *inode,
			 const struct owfs_dirslot *slot)
{
	struct owfs_key orphan = owfs_orphan_key(inode->i_ino);
	struct owfs_btree *bt = dir->i_fs->fs_bt;
	struct owfs_trans tr;
	int ret = owfs_flags_may_remove(dir, inode);

	if (!ret)
		ret = check_nlink(dir, inode);
	if (!ret && inode->i_type == S_IFDIR)
		ret = owfs_dir_check_empty(dir->i_fs, inode->i_ino);
	if (!ret)
		ret = owfs_btree_prefetch(bt, &slot->key);
	if (!ret)
		ret = owfs_names_prefetch(inode);
	if (!ret)
		ret = owfs_names_prefetch(dir);
	if (!ret)
		ret = owfs_btree_prefetch(bt, &orphan);
	if (!ret)
		ret = owfs_trans_begin(dir->i_fs, &tr, 4, 1, OWFS_RESV_FREEING);
	if (ret)
		return ret;
	unlink_apply(&tr, dir, inode, slot);
	return owfs_trans_end(&tr);
}

static int unlink_once(struct owfs_inode *dir, const char *name, size_t len,
		       bool subdir)
{
	struct owfs_inode *inode = NULL;
	struct owfs_dirslot slot;
	int ret;

	pthread_rwlock_wrlock(&dir->i_lock);
	ret = owfs_dir_find(dir->i_fs, dir->i_ino, name, len, &slot);
	if (!ret && (slot.ftype == DT_DIR) != subdir)
		ret = subdir ? -ENOTDIR : -EISDIR;
	if (!ret)
		ret = owfs_names_child(dir, &slot, &inode);
	if (!ret) {
		pthread_rwlock_wrlock(&inode->i_lock);
		ret = unlink_locked(dir, inode, &slot);
		pthread_rwlock_unlock(&inode->i_lock);
	}
	pthread_rwlock_unlock(&dir->i_lock);
	if (inode)
		owfs_iput(inode);
	return ret;
}

int owfs_unlink(struct owfs_inode *dir, const char *name, size_t len)
{
	int ret = owfs_names_may_change(dir, name, len);

	if (!ret)
		OWFS_RETRY(dir->i_fs, ret, unlink_once(dir, name, len, false));
	return owfs_flags_settle(dir, OWFS_FLAGS_DIRSYNC, ret);
}

int owfs_rmdir(struct owfs_inode *dir, const char *name, size_t len)
{
	int ret = owfs_names_may_change(dir, name, len);

	if (!ret)
		OWFS_RETRY(dir->i_fs, ret, unlink_once(dir, name, len, true));
	return owfs_flags_settle(dir, OWFS_FLAGS_DIRSYNC, ret);
}

/* ---------------------------------------------------------------- readdir */

#define COOKIE_DOT	1	/* after "." */
#define COOKIE_DOTDOT	2	/* after ".."; entries' own are all above */

/* "." and "..", as far as they lie behind *cookie.  1: the caller is full. */
static int readdir_dots(struct owfs_inode *dir, uint64_t *cookie,
			int (*fn)(void *, const struct owfs_dirent *),
			void *ctx)
{
	struct owfs_dirent de = { .name = "..", .ftype = DT_DIR };

	while (*cookie < COOKIE_DOTDOT) {
		de.cookie = *cookie + 1;
		de.namelen = de.cookie;
		de.ino = de.cookie == COOKIE_DOT ? dir->i_ino
						 : owfs_inode_parent(dir);
		if (fn(ctx, &de))
			return 1;
		*cookie = de.cookie;
	}
	return 0;
}

/* One bufferful.  0: go on at *cookie; 1: finished, or the caller is full. */
static int readdir_some(struct owfs_inode *dir, uint64_t *cookie,
			int (*fn)(void *, const struct owfs_dirent *),
			void *ctx)
{
	uint64_t buf[512];
	const struct owfs_dirent_view *v = (const void *)buf;
	struct owfs_dirent de;
	unsigned int i, n;
	int last;

	pthread_rwlock_rdlock(&dir->i_lock);
	last = owfs_dir_read(dir->i_fs, dir->i_ino, *cookie + 1, buf,
			     sizeof(buf), &n);
	pthread_rwlock_unlock(&dir->i_lock);
	if (last < 0)
		return last;
	for (i = 0; i < n; i++, v = owfs_dirent_view_next(v)) {
		de = (struct owfs_dirent){
			.name = v->name, .namelen = v->namelen, .ino = v->ino,
			.ftype = v->ftype, .cookie = v->cookie,
		};
		if (fn(ctx, &de))
			return 1;
		*cookie = v->cookie;
	}
	return last;
}

int owfs_readdir(struct owfs_inode *dir, uint64_t cookie,
		 int (*fn)(void *ctx, const struct owfs_dirent *de), void *ctx)
{
	int ret = owfs_fs_readable(dir->i_fs);

	if (ret)
		return ret;
	if (dir->i_type != S_IFDIR)
		return -ENOTDIR;
	ret = readdir_dots(dir, &cookie, fn, ctx);
	while (!ret && cookie < UINT64_MAX)
		ret = readdir_some(dir, &cookie, fn, ctx);
	return ret < 0 ? ret : 0;
}
