/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Inode flags and project ids, as chattr(1) sets them, and what they forbid.
 *
 * The kernel keeps the flags of its own filesystems in its inodes and checks
 * them there; of a FUSE filesystem it knows none.  So every operation that
 * changes something asks here, and gets the answers that ext4 gives.
 */
#ifndef OWFS_FILE_FLAGS_H
#define OWFS_FILE_FLAGS_H

#include "file/attr.h"

/* What users set and see; the others are the filesystem's own business. */
#define OWFS_FLAGS_USER							\
	(OWFS_INODE_IMMUTABLE | OWFS_INODE_APPEND | OWFS_INODE_NODUMP |	\
	 OWFS_INODE_NOATIME | OWFS_INODE_SYNC | OWFS_INODE_DIRSYNC |	\
	 OWFS_INODE_PROJINHERIT)

void owfs_flags_get(struct owfs_inode *inode, uint32_t *flags,
		    uint32_t *projid);
/*
 * Of the flags in @mask, those in @flags are set and the others cleared; and
 * the project, unless @projid is NULL.  -EOPNOTSUPP: not on this type of inode;
 * -EPERM: it is immutable and would stay so, and something else changes.  Who
 * may do this is the caller's business.
 */
int owfs_flags_set(struct owfs_inode *inode, uint32_t mask, uint32_t flags,
		   const uint32_t *projid);

/* A new inode @attr in @dir: flags and project come with the place. */
void owfs_flags_inherit(struct owfs_attr *attr, const struct owfs_attr *dir);

/* ---------------------------------------------------------- what they forbid */
/* 0 or -EPERM, or what is said.  Caller holds the i_lock of all inodes. */

/* May @dir get an entry? */
int owfs_flags_may_add(const struct owfs_inode *dir);
/* May the entry of @inode go away from @dir, or name something else? */
int owfs_flags_may_remove(const struct owfs_inode *dir,
			  const struct owfs_inode *inode);
/* May @inode get one more name? */
int owfs_flags_may_link(const struct owfs_inode *inode);
/* May a name of @inode stand in @dir?  -EXDEV: that is for another project. */
int owfs_flags_may_stand(const struct owfs_inode *inode,
			 const struct owfs_inode *dir);
/* May the attributes that @mask (OWFS_SET_) names be set? */
int owfs_flags_may_setattr(const struct owfs_inode *inode,
			   const struct owfs_attr *set, unsigned int mask);

/* The same for who holds no i_lock: it is taken here. */

/* May extended attributes be changed? */
int owfs_flags_may_setxattr(struct owfs_inode *inode);
/*
 * May contents be changed that are there already (@add: may some be added)?
 */
int owfs_flags_may_change(struct owfs_inode *inode, bool add);
/* May it be opened with these open(2) flags? */
int owfs_flags_may_open(struct owfs_inode *inode, int open_flags);

/*
 * The end of an operation that returned @ret: if it went well and @inode has
 * one of the flags @which, everything is durable on return, or the error is
 * why not.  No lock is held.
 */
int owfs_flags_settle(struct owfs_inode *inode, uint32_t which, int ret);

#define OWFS_FLAGS_SYNC		OWFS_INODE_SYNC
#define OWFS_FLAGS_DIRSYNC	(OWFS_INODE_SYNC | OWFS_INODE_DIRSYNC)

#endif
