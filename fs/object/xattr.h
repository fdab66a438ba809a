/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Extended attributes: one item for each name, keyed (inode, XATTR,
 * hash << 8 | seq) as directory entries are, the value behind the name if both
 * fit one item, else in chunks under an id of its own.  Setting a value is
 * one transaction: the new value goes under a new id, the old chunks go away.
 *
 * Names carry their prefix, and all are stored alike.  What an access control
 * list says is checked when it is read: a malformed one is damage.
 */
#ifndef OWFS_OBJECT_XATTR_H
#define OWFS_OBJECT_XATTR_H

#include "object/acl.h"
#include "object/inode.h"

#define OWFS_XATTR_NAME_MAX	255
#define OWFS_XATTR_CAPABILITY	"security.capability"

/* ------------------------------------------- whole operations: take i_lock */

/* See file/attr.h for the answers. */
ssize_t owfs_xattr_get(struct owfs_inode *inode, const char *name, size_t len,
		       void *value, size_t size);
/* Only the names that @shown (or NULL: all) says yes to. */
ssize_t owfs_xattr_list(struct owfs_inode *inode, char *list, size_t size,
			bool (*shown)(void *ctx, const char *name, size_t len),
			void *ctx);

/* One try: -EAGAIN is for OWFS_RETRY. @value NULL: remove. */
int owfs_xattr_set(struct owfs_inode *inode, const char *name, size_t len,
		   const void *value, size_t size, int flags);

/* ------------------------------------- parts of operations: i_lock is held */

/*
 * Is it known without looking that there is no attribute @name?  Kept for the
 * few names that are asked for all the time.
 */
bool owfs_xattr_is_known_missing(const struct owfs_inode *inode,
				 const char *name, size_t len);
/* The list @name (OWFS_ACL_ACCESS or _DEFAULT).  -ENODATA, -EFSCORRUPTED */
int owfs_xattr_acl(struct owfs_inode *inode, const char *name,
		   struct owfs_acl *acl);

/* An attribute as its item has it. */
struct owfs_xattr_slot {
	struct owfs_key key;
	uint32_t valuelen;
	uint32_t valueid;	/* 0: the value is in the item */
	bool full;		/* not found, and no sequence is left */
};

/* One attribute changes as part of a transaction. */
struct owfs_xattr_change {
	struct owfs_inode *inode;
	const char *name;
	size_t len;
	const void *value;	/* NULL: remove */
	size_t size;
	uint32_t first_id;	/* where to look for a value id; 0: anywhere */

	struct owfs_xattr_slot slot;	/* what is there now */
	bool found;
	uint32_t valueid;	/* for the new value; 0: in the item */
};

/*
 * Look at what is there, decide every error (-EEXIST, -ENODATA, -ENOSPC), have
 * all in memory that the change will need.
 */
int owfs_xattr_plan(struct owfs_xattr_change *c, int flags);
/* After that: is the value the one that is there already? */
bool owfs_xattr_is_same(const struct owfs_xattr_change *c);
/* Add to *@r what the change takes; on failure *@r holds nothing. */
int owfs_xattr_reserve(const struct owfs_xattr_change *c, struct owfs_resv *r,
		       enum owfs_resv_class class);
/* Removing works on a full filesystem, as far as it can be promised. */
enum owfs_resv_class owfs_xattr_class(const struct owfs_xattr_change *c);
/* Change the items; the caller stores the inode in the same transaction. */
int owfs_xattr_apply(struct owfs_xattr_change *c, struct owfs_trans *tr);

/* What fsck and the functions above demand of an item, given its key. */
int owfs_xattr_check(const struct owfs_xattr_item *x, size_t len, uint64_t off);

#endif
