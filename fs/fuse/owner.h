/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owners put in place of those on the device: uid= and gid=.
 *
 * A medium that was filled elsewhere carries user numbers that mean somebody
 * else here, or nobody.  With uid= every file is shown as that user's.  On the
 * device owners stay as they are, and what is made here belongs there to the
 * owner of its directory, so that it fits in when the medium goes back.
 */
#ifndef OWFS_FUSE_OWNER_H
#define OWFS_FUSE_OWNER_H

#include "fuse/server.h"

static inline bool owfs_owner_is_changed(const struct owfs_opts *o)
{
	return o->uid_given || o->gid_given;
}

/* What stat(2) shall show of what is stored. */
void owfs_owner_show(const struct owfs_opts *o, struct stat *st);
/* Who shall own what is made in @dir, beginning with the caller in @nn. */
void owfs_owner_of_new(const struct owfs_opts *o, struct owfs_inode *dir,
		       struct owfs_newnode *nn);
/*
 * An owner is being set by @mask: to the one that is shown changes nothing and
 * leaves the mask, to another cannot be done: -EPERM.
 */
int owfs_owner_set(const struct owfs_opts *o, const struct owfs_attr *attr,
		   unsigned int *mask);

#endif
