/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Operations on names, one transaction each, for any transport.  Inodes come
 * in referenced and go out referenced; names are not NUL terminated, 1 to 255
 * bytes, not "." nor "..", no '/' or NUL (-EINVAL, -ENAMETOOLONG otherwise).
 * Permissions are the transport's (default_permissions) business; what the
 * filesystem itself must refuse (-ENOTDIR, -EISDIR, -ENOTEMPTY, -EMLINK, ...)
 * is refused here.  All may answer -ENOSPC, -EROFS, -EIO, -ENOMEM.
 */
#ifndef OWFS_FILE_NAMEI_H
#define OWFS_FILE_NAMEI_H

#include "object/inode.h"

int owfs_lookup(struct owfs_inode *dir, const char *name, size_t len,
		struct owfs_inode **ip);
/* The parent of a directory (the root's is itself). */
int owfs_lookup_parent(struct owfs_inode *dir, struct owfs_inode **ip);

struct owfs_newnode {
	uint32_t mode;		/* type and permissions */
	uint32_t umask;		/* not for links, nor where a default list is inherited */
	uint32_t uid, gid;	/* a setgid directory overrides gid, and gives its bit to directories */
	uint64_t rdev;
	const char *target;	/* S_IFLNK: NUL terminated, 1 .. OWFS_SYMLINK_MAX bytes */
};
/* Any type of node; -EEXIST. */
int owfs_create(struct owfs_inode *dir, const char *name, size_t len,
		const struct owfs_newnode *nn, struct owfs_inode **ip);
/* A regular file without a name (an orphan until linked). */
int owfs_tmpfile(struct owfs_inode *dir, const struct owfs_newnode *nn,
		 struct owfs_inode **ip);
int owfs_link(struct owfs_inode *inode, struct owfs_inode *dir,
	      const char *name, size_t len);
int owfs_unlink(struct owfs_inode *dir, const char *name, size_t len);
int owfs_rmdir(struct owfs_inode *dir, const char *name, size_t len);
/*
 * @flags: RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT or 0.  @white: who
 * owns what the last of them leaves behind; NULL: root.
 */
int owfs_rename(struct owfs_inode *odir, const char *oname, size_t olen,
		struct owfs_inode *ndir, const char *nname, size_t nlen,
		unsigned int flags, const struct owfs_newnode *white);
/* Copies the target, not NUL terminated; its length, or -ERANGE. */
int owfs_readlink(struct owfs_inode *inode, char *buf, size_t size);

struct owfs_dirent {
	const char *name;
	size_t namelen;
	owfs_ino_t ino;
	unsigned char ftype;	/* DT_ */
	uint64_t cookie;	/* where to go on after this one */
};
/*
 * Entries after @cookie (0: from "."; 1 after ".", 2 after "..") in cookie
 * order; "." and ".." included.  @fn non-zero: full, stop (0 is returned).
 * @fn is called without tree locks held and may look inodes up.
 */
int owfs_readdir(struct owfs_inode *dir, uint64_t cookie,
		 int (*fn)(void *ctx, const struct owfs_dirent *de), void *ctx);

#endif
