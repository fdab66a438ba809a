/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Extended attributes: one item for each name, keyed (inode, XATTR,
 * hash << 8 | seq) as directory entries are, the value behind the name if both
 * fit one item, else in chunks under an id of its own.  Setting a value is
 * one transaction: the new value goes under a new id, the old chunks go away.
 *
 * What names mean is the kernel's business; names carry their prefix and all
 * are stored alike.  Each function is a whole operation and takes i_lock.
 */
#ifndef OWFS_OBJECT_XATTR_H
#define OWFS_OBJECT_XATTR_H

#include "object/inode.h"

#define OWFS_XATTR_NAME_MAX	255

/* See file/attr.h for the answers. */
ssize_t owfs_xattr_get(struct owfs_inode *inode, const char *name, size_t len,
		       void *value, size_t size);
ssize_t owfs_xattr_list(struct owfs_inode *inode, char *list, size_t size);

/* One try: -EAGAIN is for OWFS_RETRY. @value NULL: remove. */
int owfs_xattr_set(struct owfs_inode *inode, const char *name, size_t len,
		   const void *value, size_t size, int flags);

/* What fsck and the functions above demand of an item, given its key. */
int owfs_xattr_check(const struct owfs_xattr_item *x, size_t len, uint64_t off);

#endif
