/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Attributes: what stat(2) shows and setattr changes. */
#include <string.h>
#include <sys/sysmacros.h>

#include "base/err.h"
#include "base/util.h"
#include "file/access.h"
#include "file/attr.h"
#include "file/file.h"
#include "file/flags.h"
#include "file/names.h"
#include "object/xattr.h"

void owfs_getattr(struct owfs_inode *inode, struct stat *st,
		  struct timespec *btime)
{
	uint32_t blocksize = inode->i_fs->fs_geo.blocksize;
	const struct owfs_attr *a = &inode->i_attr;

	pthread_rwlock_rdlock(&inode->i_lock);
	*st = (struct stat){
		.st_ino = inode->i_ino,
		.st_mode = a->mode,
		.st_nlink = a->nlink,
		.st_uid = a->uid,
		.st_gid = a->gid,
		.st_rdev = a->rdev,
		.st_size = (off_t)a->size,
		.st_blksize = blocksize,
		.st_blocks = (blkcnt_t)(a->nblocks * (blocksize / 512)),
		.st_atim = a->atime,
		.st_mtim = a->mtime,
		.st_ctim = a->ctime,
	};
	if (btime)
		*btime = a->btime;
	pthread_rwlock_unlock(&inode->i_lock);
}

/* ---------------------------------------------------------------- setattr */

#define SET_ALL		0x1fffu

uint32_t owfs_attr_kill(uint32_t mode, unsigned int mask)
{
	if (S_ISDIR(mode))
		return mode;
	if (mask & OWFS_SET_KILL_SUIDGID)
		mode &= ~(uint32_t)S_ISUID;
	if ((mask & OWFS_SET_KILL_SGID) ||
	    ((mask & OWFS_SET_KILL_SUIDGID) && (mode & S_IXGRP)))
		mode &= ~(uint32_t)S_ISGID;
	return mode;
}

void owfs_attr_stamp(struct owfs_fs *fs, struct owfs_attr *attr)
{
	if (fs->fs_kernel_io)
		return;
	owfs_fs_now(fs, &attr->mtime);
	attr->ctime = attr->mtime;
}

static void apply_owner(struct owfs_attr *attr, const struct owfs_attr *set,
			unsigned int mask)
{
	if (mask & OWFS_SET_MODE)
		attr->mode = (attr->mode & S_IFMT) | (set->mode & 07777);
	if (mask & OWFS_SET_UID)
		attr->uid = set->uid;
	if (mask & OWFS_SET_GID)
		attr->gid = set->gid;
	attr->mode = owfs_attr_kill(attr->mode, mask);
}

void owfs_attr_apply(struct owfs_attr *attr, const struct owfs_attr *set,
		     unsigned int mask, const struct timespec *now)
{
	apply_owner(attr, set, mask);
	if (mask & OWFS_SET_ATIME)
		attr->atime = set->atime;
	if (mask & OWFS_SET_ATIME_NOW)
		attr->atime = *now;
	if (mask & OWFS_SET_MTIME)
		attr->mtime = set->mtime;
	if (mask & OWFS_SET_MTIME_NOW)
		attr->mtime = *now;
	attr->ctime = mask & OWFS_SET_CTIME ? set->ctime : *now;
}

static bool time_is_possible(const struct timespec *ts)
{
	return ts->tv_nsec >= 0 && ts->tv_nsec < 1000000000;
}

static int check_set(const struct owfs_attr *set, unsigned int mask)
{
	if (mask & ~SET_ALL)
		return -EINVAL;
	if (((mask & OWFS_SET_ATIME) && !time_is_possible(&set->atime)) ||
	    ((mask & OWFS_SET_MTIME) && !time_is_possible(&set->mtime)) ||
	    ((mask & OWFS_SET_CTIME) && !time_is_possible(&set->ctime)))
		return -EINVAL;
	return 0;
}

/* Caller holds i_lock for writing. */
static int setattr_locked(struct owfs_inode *inode, const struct owfs_attr *set,
			  unsigned int mask, struct owfs_access *a)
{
	struct owfs_fs *fs = inode->i_fs;
	const uint32_t mode = inode->i_attr.mode;
	struct owfs_trans tr;
	struct timespec now;
	int ret = owfs_flags_may_setattr(inode, set, mask);

	if (!ret)
		ret = owfs_access_plan_attr(a, inode, set, mask);

	if (!ret && !(mask & ~OWFS_SET_KILL) && a->n == 0 &&
	    owfs_attr_kill(mode, mask) == mode)
		return 0;
	if (!ret)
		ret = owfs_names_prefetch(inode);
	if (!ret)
		ret = owfs_access_begin(a, fs, &tr, 1, 1, OWFS_RESV_REPLACING);
	if (ret)
		return ret;
	if (!owfs_access_apply(a, &tr)) {
		owfs_fs_now(fs, &now);
		owfs_attr_apply(&inode->i_attr, set, mask, &now);
		owfs_inode_store(&tr, inode, false);
	}
	return owfs_trans_end(&tr);
}

static int setattr_once(struct owfs_inode *inode, const struct owfs_attr *set,
			unsigned int mask)
{
	struct owfs_access a;
	int ret;

	owfs_access_init(&a);
	pthread_rwlock_wrlock(&inode->i_lock);
	ret = setattr_locked(inode, set, mask, &a);
	pthread_rwlock_unlock(&inode->i_lock);
	owfs_access_done(&a);
	return ret;
}

static int set_size(struct owfs_inode *inode, const struct owfs_attr *set,
		    unsigned int mask)
{
	if (inode->i_type == S_IFDIR)
		return -EISDIR;
	if (inode->i_type != S_IFREG)
		return -EINVAL;
	return owfs_file_truncate_set(inode, set->size, set,
				      mask & ~OWFS_SET_SIZE);
}

int owfs_setattr(struct owfs_inode *inode, const struct owfs_attr *attr,
		 unsigned int mask)
{
	int ret = owfs_fs_writable(inode->i_fs);

	if (!ret)
		ret = check_set(attr, mask);
	if (!ret && (mask & OWFS_SET_SIZE))
		return set_size(inode, attr, mask);
	if (!ret && mask)
		OWFS_RETRY(inode->i_fs, ret, setattr_once(inode, attr, mask));
	return owfs_flags_settle(inode, OWFS_FLAGS_SYNC, ret);
}

/* ---------------------------------------------------- extended attributes */

static bool is_name(const char *name, size_t len, const char *is)
{
	return len == strlen(is) && !memcmp(name, is, len);
}

/* The list that @name is, or NULL. */
static const char *list_of(const char *name, size_t len)
{
	if (is_name(name, len, OWFS_ACL_ACCESS))
		return OWFS_ACL_ACCESS;
	return is_name(name, len, OWFS_ACL_DEFAULT) ? OWFS_ACL_DEFAULT : NULL;
}

static int check_prefix(const char *name, size_t len)
{
	static const char *const known[] = { "user.", "trusted.", "security." };
	size_t i, n;

	for (i = 0; i < ARRAY_SIZE(known); i++) {
		n = strlen(known[i]);
		if (len >= n && !memcmp(name, known[i], n))
			return len > n ? 0 : -EINVAL;
	}
	return list_of(name, len) ? 0 : -EOPNOTSUPP;
}

ssize_t owfs_getxattr(struct owfs_inode *inode, const char *name, size_t len,
		      void *value, size_t size)
{
	int ret = check_prefix(name, len);

	return ret ? ret : owfs_xattr_get(inode, name, len, value, size);
}

/* What cannot be read is not listed.  @ctx: see owfs_listxattr(). */
static bool is_shown(void *ctx, const char *name, size_t len)
{
	bool *hidden = ctx;

	if (check_prefix(name, len))
		return false;
	if (!hidden || len < 8 || memcmp(name, "trusted.", 8) != 0)
		return true;
	*hidden = true;
	return false;
}

ssize_t owfs_listxattr(struct owfs_inode *inode, char *list, size_t size,
		       bool *hidden)
{
	if (hidden)
		*hidden = false;
	return owfs_xattr_list(inode, list, size, is_shown, hidden);
}

int owfs_setxattr(struct owfs_inode *inode, const char *name, size_t len,
		  const void *value, size_t size, int flags)
{
	const char *list = list_of(name, len);
	int ret = check_prefix(name, len);

	if (!ret)
		ret = owfs_flags_may_setxattr(inode);
	if (!value) {
		value = "";
		size = 0;
	}
	if (!ret && list)
		ret = owfs_access_set_acl(inode, list, value, size,
					  flags & OWFS_XATTR_KILL_SGID);
	else if (!ret)
		OWFS_RETRY(inode->i_fs, ret,
			   owfs_xattr_set(inode, name, len, value, size, flags));
	return owfs_flags_settle(inode, OWFS_FLAGS_SYNC, ret);
}

int owfs_removexattr(struct owfs_inode *inode, const char *name, size_t len)
{
	const char *list = list_of(name, len);
	int ret = check_prefix(name, len);

	if (!ret)
		ret = owfs_flags_may_setxattr(inode);
	if (!ret && list)
		ret = owfs_access_set_acl(inode, list, NULL, 0, false);
	else if (!ret)
		OWFS_RETRY(inode->i_fs, ret,
			   owfs_xattr_set(inode, name, len, NULL, 0, 0));
	return owfs_flags_settle(inode, OWFS_FLAGS_SYNC, ret);
}
