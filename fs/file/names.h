/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What namei.c and rename.c share: names, directories, and what they name. */
#ifndef OWFS_FILE_NAMES_H
#define OWFS_FILE_NAMES_H

#include "file/access.h"
#include "file/namei.h"
#include "object/dir.h"

/* 0, -EINVAL, -ENAMETOOLONG */
int owfs_names_check(const char *name, size_t len);
/*
 * Can names be changed in this directory?  -EROFS, -ENOTDIR, -ENAMETOOLONG and
 * so on; the answer needs no lock.
 */
int owfs_names_may_change(struct owfs_inode *dir, const char *name,
			  size_t len);

/*
 * The inode that the entry in *slot names, referenced.  An entry without its
 * inode, of another type than its inode, or a directory that says it is
 * elsewhere is -EFSCORRUPTED; so what can be reached from the root is a tree,
 * and locking parents before children never goes in circles.  Caller holds
 * @dir's i_lock.
 */
int owfs_names_child(struct owfs_inode *dir, const struct owfs_dirslot *slot,
		     struct owfs_inode **ip);

/* Bring the paths to an inode's item, or to a key, into memory. */
int owfs_names_prefetch(const struct owfs_inode *inode);

/* One entry more: a count that cannot go up is damage, -EFSCORRUPTED. */
int owfs_names_check_count(struct owfs_inode *dir);

/* An entry of @dir came, went or changed. */
void owfs_names_stamp(struct owfs_inode *dir, const struct timespec *now);

/*
 * A new inode by the wish of @nn in directory @dir, not stored yet: locked,
 * referenced.  Its place in the tree is in memory.  What it inherits is planned
 * in *a, to be applied before it is stored.  Caller holds @dir's i_lock.
 */
int owfs_names_new_inode(struct owfs_inode *dir, const struct owfs_newnode *nn,
			 struct owfs_access *a, struct owfs_inode **ip);

#endif
