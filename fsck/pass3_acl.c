/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pass 3, access control lists: attributes whose values mean something to the
 * filesystem.  A value in chunks is put together as they come by.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "fsck.h"

static const char *const names[2] = { OWFS_ACL_ACCESS, OWFS_ACL_DEFAULT };

/* Which of the two, or -1. */
static int which(const char *name, size_t len)
{
	int i;

	for (i = 0; i < 2; i++)
		if (len == strlen(names[i]) && !memcmp(name, names[i], len))
			return i;
	return -1;
}

static void add(struct acl_part *p, const void *bytes, size_t len)
{
	if (len <= sizeof(p->acl.bytes) - p->acl.len)
		memcpy(p->acl.bytes + p->acl.len, bytes, len);
	else
		p->bad = true;
	p->acl.len += len;
}

int pass3_acl(struct check *ck, const struct owfs_key *key,
	      const struct owfs_xattr_item *d)
{
	struct object *obj = &ck->obj;
	size_t namelen = le16_to_cpu(d->namelen);
	uint32_t len = le32_to_cpu(d->valuelen);
	int i = which(d->name, namelen);
	struct acl_part *p;

	if (i < 0)
		return 0;
	if (!obj->acls) {
		obj->acls = malloc(2 * sizeof(*obj->acls));
		if (!obj->acls)
			return -ENOMEM;
	}
	p = &obj->acls[i];
	obj->has_acl[i] = true;
	p->off = key->off;
	p->id = le32_to_cpu(d->valueid);
	p->acl.len = 0;
	p->bad = len > sizeof(p->acl.bytes);
	if (!p->id && !p->bad)
		add(p, d->name + namelen, len);
	return 0;
}

void pass3_acl_chunk(struct check *ck, uint32_t id, const void *val, size_t len)
{
	struct object *obj = &ck->obj;
	int i;

	for (i = 0; i < 2; i++)
		if (obj->has_acl[i] && obj->acls[i].id == id && !obj->acls[i].bad)
			add(&obj->acls[i], val, len);
}

/* Default lists are for directories, and links have none. */
static bool has_place(uint32_t mode, int i)
{
	return !S_ISLNK(mode) && (i == 0 || S_ISDIR(mode));
}

static void check_list(struct check *ck, int i)
{
	const struct object *obj = &ck->obj;
	const struct acl_part *p = &obj->acls[i];
	uint32_t mode = obj->attr.mode;

	if (p->bad || !has_place(mode, i) ||
	    owfs_acl_check(p->acl.bytes, p->acl.len)) {
		if (problem(ck, BAD_ACL_VALUE, "inode", obj->ino,
			    "name=%s length=%zu", names[i], p->acl.len))
			pass3_drop_attr(ck, p->off, p->id);
	} else if (i == 0 && owfs_acl_mode(&p->acl, mode) != mode) {
		if (problem(ck, BAD_ACL_MODE, "inode", obj->ino,
			    "mode=0%o list=0%o", mode & 0777,
			    owfs_acl_mode(&p->acl, 0)))
			fix_attr(ck, FIX_ITEMS, obj->ino, FIX_ATTR_MODE,
				 owfs_acl_mode(&p->acl, mode));
	}
}

/* The inode is there, and has links: its items are complete. */
void pass3_acl_end(struct check *ck)
{
	int i;

	for (i = 0; i < 2; i++)
		if (ck->obj.has_acl[i])
			check_list(ck, i);
}
