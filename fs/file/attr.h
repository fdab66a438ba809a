/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Attributes and extended attributes. */
#ifndef OWFS_FILE_ATTR_H
#define OWFS_FILE_ATTR_H

#include "object/inode.h"

/* Never waits for the device. */
void owfs_getattr(struct owfs_inode *inode, struct stat *st,
		  struct timespec *btime /* or NULL */);

#define OWFS_SET_MODE		0x001u
#define OWFS_SET_UID		0x002u
#define OWFS_SET_GID		0x004u
#define OWFS_SET_SIZE		0x008u
#define OWFS_SET_ATIME		0x010u
#define OWFS_SET_MTIME		0x020u
#define OWFS_SET_ATIME_NOW	0x040u
#define OWFS_SET_MTIME_NOW	0x080u
#define OWFS_SET_CTIME		0x100u
/*
 * What goes when somebody without the right to keep it writes or changes the
 * owner.  Set-gid without group execution once meant mandatory locking and
 * stays, unless the somebody is not in the group.
 */
#define OWFS_SET_KILL_SUIDGID	0x200u	/* set-id bits, security.capability */
#define OWFS_SET_KILL_SGID	0x400u	/* ... set-gid in any case */
#define OWFS_SET_KILL_CAP	0x800u	/* security.capability */
#define OWFS_SET_CACHED		0x1000u	/* by a kernel that keeps written pages: mtime
					   and ctime may be those of a write */
#define OWFS_SET_KILL							\
	(OWFS_SET_KILL_SUIDGID | OWFS_SET_KILL_SGID | OWFS_SET_KILL_CAP)

/* The mode with the bits that @mask kills cleared. */
uint32_t owfs_attr_kill(uint32_t mode, unsigned int mask);

/* Contents change now.  A kernel that moves the data sets the times itself. */
void owfs_attr_stamp(struct owfs_fs *fs, struct owfs_attr *attr);
/*
 * What setting @mask from @set makes of @attr at time @now: everything but the
 * size.  ctime becomes @now unless it is given.
 */
void owfs_attr_apply(struct owfs_attr *attr, const struct owfs_attr *set,
		     unsigned int mask, const struct timespec *now);

/*
 * Only the fields named by @mask are read; all in one transaction, with what
 * follows from it (access.h).  Size only of regular files (-EISDIR, -EINVAL).
 * Killing alone changes nothing if there is nothing to kill.
 */
int owfs_setattr(struct owfs_inode *inode, const struct owfs_attr *attr,
		 unsigned int mask);

/*
 * Names carry their prefix ("user.x") and are not NUL terminated.  There are
 * user., trusted. and security. and the two access control lists; another name
 * is -EOPNOTSUPP, a prefix alone -EINVAL.
 * @size 0 asks for the length; -ERANGE, -ENODATA, -EEXIST, -E2BIG, -ENAMETOOLONG.
 */
ssize_t owfs_getxattr(struct owfs_inode *inode, const char *name, size_t len,
		      void *value, size_t size);
/* @flags: XATTR_CREATE, XATTR_REPLACE; for lists only the one below. */
#define OWFS_XATTR_KILL_SGID	0x100	/* setting an access list clears S_ISGID */
int owfs_setxattr(struct owfs_inode *inode, const char *name, size_t len,
		  const void *value, size_t size, int flags);
int owfs_removexattr(struct owfs_inode *inode, const char *name, size_t len);
/*
 * NUL terminated names one after the other, as listxattr(2).  *hidden (or NULL):
 * without trusted names, and were there any?
 */
ssize_t owfs_listxattr(struct owfs_inode *inode, char *list, size_t size,
		       bool *hidden);

#endif
