/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Access control lists: arithmetic, and nothing else.
 *
 * A list is kept as the bytes of its attribute (base/format.h).  Of a list that
 * passed the check, the first entry is the owner's, the last is everybody's,
 * and the one before is the group class: the mask, or the group's if there are
 * no names.  These three are the permission bits of the mode.
 */
#ifndef OWFS_OBJECT_ACL_H
#define OWFS_OBJECT_ACL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/format.h"

#define OWFS_ACL_ENTRIES						\
	((OWFS_ACL_SIZE_MAX - sizeof(struct owfs_acl_value)) /		\
	 sizeof(struct owfs_acl_entry))

struct owfs_acl {
	size_t len;		/* of what is in @bytes */
	union {
		unsigned char bytes[OWFS_ACL_SIZE_MAX];
		struct {
			le32_t version;
			struct owfs_acl_entry entry[OWFS_ACL_ENTRIES];
		};
	};
};

/* Are @len bytes a list as it may stand on disk?  0 or -EINVAL. */
int owfs_acl_check(const void *bytes, size_t len);
/*
 * The list that @bytes say, whoever sent them, in the form that stands on disk.
 * -EINVAL; -E2BIG: longer than OWFS_ACL_SIZE_MAX.
 */
int owfs_acl_from_bytes(struct owfs_acl *acl, const void *bytes, size_t len);

/* All below: a list that passed. */

/* Does it say more than a mode can? */
bool owfs_acl_has_more(const struct owfs_acl *acl);
/* @mode with the permissions that the list says. */
uint32_t owfs_acl_mode(const struct owfs_acl *acl, uint32_t mode);
/* The list after chmod(2) to @mode. */
void owfs_acl_chmod(struct owfs_acl *acl, uint32_t mode);
/*
 * Make of a directory's default list the access list of what is created there
 * with @mode.  Permissions not in both are in neither; the mode is returned.
 */
uint32_t owfs_acl_inherit(struct owfs_acl *acl, uint32_t mode);

#endif
