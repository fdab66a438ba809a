/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owners as uid= and gid= want them. */
#include "fuse/owner.h"

#include <errno.h>

void owfs_owner_show(const struct owfs_opts *o, struct stat *st)
{
	if (o->uid_given)
		st->st_uid = o->uid;
	if (o->gid_given)
		st->st_gid = o->gid;
}

void owfs_owner_of_new(const struct owfs_opts *o, struct owfs_inode *dir,
		       struct owfs_newnode *nn)
{
	struct stat st;

	if (!owfs_owner_is_changed(o))
		return;
	owfs_getattr(dir, &st, NULL);
	if (o->uid_given)
		nn->uid = st.st_uid;
	if (o->gid_given)
		nn->gid = st.st_gid;
}

int owfs_owner_set(const struct owfs_opts *o, const struct owfs_attr *attr,
		   unsigned int *mask)
{
	if (o->uid_given && (*mask & OWFS_SET_UID)) {
		if (attr->uid != o->uid)
			return -EPERM;
		*mask &= ~OWFS_SET_UID;
	}
	if (o->gid_given && (*mask & OWFS_SET_GID)) {
		if (attr->gid != o->gid)
			return -EPERM;
		*mask &= ~OWFS_SET_GID;
	}
	return 0;
}
