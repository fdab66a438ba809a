/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What else changes when an inode does, in the same transaction:
 *
 *	created in a directory with a default list	it inherits
 *	chmod(2)					the access list follows
 *	an access list is set				the mode follows
 *	written, cut, given to somebody else		security.capability goes
 *
 * An operation plans with its i_locks held and before it reserves, takes the
 * transaction here, applies, and is done.
 */
#ifndef OWFS_FILE_ACCESS_H
#define OWFS_FILE_ACCESS_H

#include "object/xattr.h"

struct owfs_access {
	struct owfs_xattr_change change[2];
	unsigned int n;			/* that will be made */
	struct owfs_acl *acl[2];	/* the values of those that have one */
};

void owfs_access_init(struct owfs_access *a);
void owfs_access_done(struct owfs_access *a);

/* Caller holds i_lock for writing.  @mask: OWFS_SET_; *set as for setattr. */
int owfs_access_plan_attr(struct owfs_access *a, struct owfs_inode *inode,
			  const struct owfs_attr *set, unsigned int mask);
/*
 * What a new inode in @dir inherits: *mode, the umask still to be applied, is
 * the mode it will have.  Caller holds @dir's i_lock.
 */
int owfs_access_inherit(struct owfs_access *a, struct owfs_inode *dir,
			uint32_t umask, uint32_t *mode);
/* ... the inode, not in the tree yet, to go with it. */
int owfs_access_plan_new(struct owfs_access *a, struct owfs_inode *inode);

/* Add what the changes take; on failure *r holds nothing. */
int owfs_access_reserve(const struct owfs_access *a, struct owfs_resv *r,
			enum owfs_resv_class class);
/* As owfs_trans_begin(), with room for the changes. */
int owfs_access_begin(const struct owfs_access *a, struct owfs_fs *fs,
		      struct owfs_trans *tr, unsigned int nplaces,
		      unsigned int run, enum owfs_resv_class class);
/* Before the inode is stored. */
int owfs_access_apply(struct owfs_access *a, struct owfs_trans *tr);

/*
 * Set or remove (@value NULL) the list @name, whatever it was.  The mode follows
 * an access list, without S_ISGID if @kill_sgid; one that says no more than
 * the mode is not kept.  Removing what is not there is no error.  -EINVAL,
 * -E2BIG; -EACCES: a default list of what is no directory; -EOPNOTSUPP: of a
 * symbolic link.
 */
int owfs_access_set_acl(struct owfs_inode *inode, const char *name,
			const void *value, size_t size, bool kill_sgid);

#endif
