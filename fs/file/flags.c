/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Inode flags: setting, inheriting, obeying. */
#include <fcntl.h>

#include "base/err.h"
#include "file/flags.h"

/* Of what is changed, only these two forbid anything. */
#define FROZEN		(OWFS_INODE_IMMUTABLE | OWFS_INODE_APPEND)

#define INHERITED							\
	(OWFS_INODE_NODUMP | OWFS_INODE_NOATIME | OWFS_INODE_SYNC |	\
	 OWFS_INODE_DIRSYNC | OWFS_INODE_PROJINHERIT)

static bool has(const struct owfs_inode *inode, uint32_t flags)
{
	return inode->i_attr.flags & flags;
}

/* For who holds no lock. */
static uint32_t look(struct owfs_inode *inode)
{
	uint32_t flags, projid;

	owfs_flags_get(inode, &flags, &projid);
	return flags;
}

void owfs_flags_get(struct owfs_inode *inode, uint32_t *flags,
		    uint32_t *projid)
{
	pthread_rwlock_rdlock(&inode->i_lock);
	*flags = inode->i_attr.flags & OWFS_FLAGS_USER;
	*projid = inode->i_attr.projid;
	pthread_rwlock_unlock(&inode->i_lock);
}

void owfs_flags_inherit(struct owfs_attr *attr, const struct owfs_attr *dir)
{
	attr->flags |= dir->flags & INHERITED &
		       owfs_attr_flags_possible(attr->mode);
	if (dir->flags & OWFS_INODE_PROJINHERIT)
		attr->projid = dir->projid;
}

/* ------------------------------------------------------------------ setting */

/* Caller holds i_lock for writing. */
static int set_locked(struct owfs_inode *inode, uint32_t flags, uint32_t projid)
{
	struct owfs_key key = owfs_key(inode->i_ino, OWFS_ITEM_INODE, 0);
	struct owfs_attr *attr = &inode->i_attr;
	struct owfs_fs *fs = inode->i_fs;
	struct owfs_trans tr;
	int ret;

	if (attr->flags & flags & OWFS_INODE_IMMUTABLE &&
	    (attr->flags != flags || attr->projid != projid))
		return -EPERM;
	ret = owfs_btree_prefetch(fs->fs_bt, &key);
	if (!ret)
		ret = owfs_trans_begin(fs, &tr, 1, 1, OWFS_RESV_REPLACING);
	if (ret)
		return ret;
	attr->flags = flags;
	attr->projid = projid;
	owfs_fs_now(fs, &attr->ctime);
	owfs_inode_store(&tr, inode, false);
	return owfs_trans_end(&tr);
}

static int set_once(struct owfs_inode *inode, uint32_t mask, uint32_t flags,
		    const uint32_t *projid)
{
	const struct owfs_attr *attr = &inode->i_attr;
	int ret;

	pthread_rwlock_wrlock(&inode->i_lock);
	ret = set_locked(inode, (attr->flags & ~mask) | flags,
			 projid ? *projid : attr->projid);
	pthread_rwlock_unlock(&inode->i_lock);
	return ret;
}

int owfs_flags_set(struct owfs_inode *inode, uint32_t mask, uint32_t flags,
		   const uint32_t *projid)
{
	int ret = owfs_fs_writable(inode->i_fs);

	if (ret)
		return ret;
	if ((mask & ~OWFS_FLAGS_USER) || (flags & ~mask) ||
	    (flags & ~owfs_attr_flags_possible(inode->i_type)))
		return -EOPNOTSUPP;
	OWFS_RETRY(inode->i_fs, ret, set_once(inode, mask, flags, projid));
	return owfs_flags_settle(inode, OWFS_FLAGS_SYNC, ret);
}

/* ----------------------------------------------------------------- obeying */

int owfs_flags_may_add(const struct owfs_inode *dir)
{
	return has(dir, OWFS_INODE_IMMUTABLE) ? -EPERM : 0;
}

int owfs_flags_may_remove(const struct owfs_inode *dir,
			  const struct owfs_inode *inode)
{
	return has(dir, FROZEN) || has(inode, FROZEN) ? -EPERM : 0;
}

int owfs_flags_may_link(const struct owfs_inode *inode)
{
	return has(inode, FROZEN) ? -EPERM : 0;
}

int owfs_flags_may_stand(const struct owfs_inode *inode,
			 const struct owfs_inode *dir)
{
	if (has(dir, OWFS_INODE_PROJINHERIT) &&
	    inode->i_attr.projid != dir->i_attr.projid)
		return -EXDEV;
	return 0;
}

static bool is_later(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec > b->tv_sec ||
	       (a->tv_sec == b->tv_sec && a->tv_nsec > b->tv_nsec);
}

/* Does this only tell what times the kernel has kept, those of reading too? */
static bool is_kept(const struct owfs_inode *inode, unsigned int mask)
{
	return mask == (OWFS_SET_MTIME | OWFS_SET_CTIME | OWFS_SET_CACHED |
			(inode->i_fs->fs_kernel_io ? OWFS_SET_ATIME : 0));
}

/*
 * The times of a write before the file became what it is, told only now; or
 * of a read, with those of the last write once more.
 */
static bool is_late(const struct owfs_inode *inode, const struct owfs_attr *set,
		    unsigned int mask)
{
	const struct owfs_attr *a = &inode->i_attr;
	bool read = inode->i_fs->fs_kernel_io &&
		    !is_later(&set->mtime, &a->mtime) &&
		    !is_later(&a->mtime, &set->mtime);

	return is_kept(inode, mask) && (read || !is_later(&set->ctime, &a->ctime));
}

int owfs_flags_may_setattr(const struct owfs_inode *inode,
			   const struct owfs_attr *set, unsigned int mask)
{
	const unsigned int touch = OWFS_SET_ATIME_NOW | OWFS_SET_MTIME_NOW;

	if (!has(inode, FROZEN))
		return 0;
	if (has(inode, OWFS_INODE_IMMUTABLE))
		return is_late(inode, set, mask) ? 0 : -EPERM;
	/* both times set to now is what anybody may who may write */
	if ((mask & touch) == touch)
		mask &= ~touch;
	/* ... and that is how it comes, or a write does, if pages are kept */
	if (inode->i_fs->fs_kernel_io && is_kept(inode, mask))
		return 0;
	if (mask & OWFS_SET_CACHED)
		mask &= ~(OWFS_SET_MTIME | OWFS_SET_ATIME_NOW);
	return mask & (OWFS_SET_MODE | OWFS_SET_UID | OWFS_SET_GID |
		       OWFS_SET_SIZE | OWFS_SET_ATIME | OWFS_SET_MTIME |
		       touch) ? -EPERM : 0;
}

int owfs_flags_may_setxattr(struct owfs_inode *inode)
{
	return look(inode) & FROZEN ? -EPERM : 0;
}

int owfs_flags_may_change(struct owfs_inode *inode, bool add)
{
	if (__atomic_load_n(&inode->i_swap, __ATOMIC_RELAXED))
		return -ETXTBSY;
	return look(inode) & (add ? OWFS_INODE_IMMUTABLE : FROZEN) ? -EPERM : 0;
}

int owfs_flags_may_open(struct owfs_inode *inode, int open_flags)
{
	const bool writes = (open_flags & O_ACCMODE) != O_RDONLY;
	const uint32_t flags = look(inode);

	if ((flags & OWFS_INODE_IMMUTABLE) && writes)
		return -EPERM;
	if ((flags & OWFS_INODE_APPEND) &&
	    ((writes && !(open_flags & O_APPEND)) || (open_flags & O_TRUNC)))
		return -EPERM;
	return 0;
}

int owfs_flags_settle(struct owfs_inode *inode, uint32_t which, int ret)
{
	if (ret || !((look(inode) | inode->i_fs->fs_param.inode_flags) & which))
		return ret;
	return owfs_commit_all(inode->i_fs);
}
