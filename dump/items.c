/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Items of the tree, decoded. */
#include <string.h>

#include "base/util.h"
#include "dump.h"
#include "object/acl.h"

static const char *const type_names[] = {
	[OWFS_ITEM_INODE] = "inode",
	[OWFS_ITEM_SYMLINK] = "symlink",
	[OWFS_ITEM_XATTR] = "xattr",
	[OWFS_ITEM_XATTR_CHUNK] = "xattr_chunk",
	[OWFS_ITEM_DIRENT] = "dirent",
	[OWFS_ITEM_INLINE] = "inline",
	[OWFS_ITEM_EXTENT] = "extent",
	[OWFS_ITEM_INTENT] = "intent",
	[OWFS_ITEM_ORPHAN] = "orphan",
	[OWFS_ITEM_REFCOUNT] = "refcount",
	[OWFS_ITEM_CSUM] = "csum",
	[OWFS_ITEM_DEAD] = "dead",
	[OWFS_ITEM_SNAPSHOT] = "snapshot",
};

static void show_time(struct out *o, const char *key,
		      const struct owfs_time_disk *t)
{
	char text[48];

	snprintf(text, sizeof(text), "%lld.%09u",
		 (long long)le64_to_cpu(t->sec), le32_to_cpu(t->nsec));
	out_str(o, key, text);
}

static const struct { uint32_t flag; const char *name; } inode_flags[] = {
	{ OWFS_INODE_INTENTS, "intents" },
	{ OWFS_INODE_IMMUTABLE, "immutable" },
	{ OWFS_INODE_APPEND, "append" },
	{ OWFS_INODE_NODUMP, "nodump" },
	{ OWFS_INODE_NOATIME, "noatime" },
	{ OWFS_INODE_SYNC, "sync" },
	{ OWFS_INODE_DIRSYNC, "dirsync" },
	{ OWFS_INODE_PROJINHERIT, "projinherit" },
};

static void show_inode_flags(struct out *o, uint32_t flags)
{
	char names[128] = "";
	size_t i, n = 0;

	for (i = 0; i < ARRAY_SIZE(inode_flags); i++)
		if (flags & inode_flags[i].flag)
			n += (size_t)snprintf(names + n, sizeof(names) - n,
					      "%s%s", n ? "," : "",
					      inode_flags[i].name);
	if (n)
		out_str(o, "flag_names", names);
}

static bool show_inode(struct out *o, const void *val, size_t len)
{
	const struct owfs_inode_item *d = val;

	if (len != sizeof(*d))
		return false;
	out_octal(o, "mode", le32_to_cpu(d->mode));
	out_u64(o, "nlink", le32_to_cpu(d->nlink));
	out_u64(o, "uid", le32_to_cpu(d->uid));
	out_u64(o, "gid", le32_to_cpu(d->gid));
	out_u64(o, "size", le64_to_cpu(d->size));
	out_u64(o, "nblocks", le64_to_cpu(d->nblocks));
	out_hex(o, "flags", le32_to_cpu(d->flags));
	show_inode_flags(o, le32_to_cpu(d->flags));
	out_u64(o, "projid", le32_to_cpu(d->projid));
	out_hex(o, "rdev", le64_to_cpu(d->rdev));
	out_u64(o, "parent", le64_to_cpu(d->parent));
	out_u64(o, "gen", le64_to_cpu(d->gen));
	show_time(o, "atime", &d->atime);
	show_time(o, "mtime", &d->mtime);
	show_time(o, "ctime", &d->ctime);
	show_time(o, "btime", &d->btime);
	out_u64(o, "xattr_next", le32_to_cpu(d->xattr_next));
	return true;
}

static bool show_dirent(struct out *o, const void *val, size_t len)
{
	const struct owfs_dirent_item *d = val;

	if (len < sizeof(*d) || len - sizeof(*d) != le16_to_cpu(d->namelen))
		return false;
	out_bytes(o, "name", d->name, le16_to_cpu(d->namelen));
	out_u64(o, "target", le64_to_cpu(d->ino));
	out_u64(o, "ftype", d->ftype);
	return true;
}

static bool is_list(const char *name, size_t len)
{
	return (len == strlen(OWFS_ACL_ACCESS) &&
		!memcmp(name, OWFS_ACL_ACCESS, len)) ||
	       (len == strlen(OWFS_ACL_DEFAULT) &&
		!memcmp(name, OWFS_ACL_DEFAULT, len));
}

/* An entry as getfacl(1) writes it, with numbers. */
static int list_entry(char *text, size_t size, const struct owfs_acl_entry *e)
{
	const unsigned int tag = le16_to_cpu(e->tag), perm = le16_to_cpu(e->perm);
	char id[12] = "";

	if (tag & (OWFS_ACL_USER | OWFS_ACL_GROUP))
		snprintf(id, sizeof(id), "%u", le32_to_cpu(e->id));
	return snprintf(text, size, "%s:%s:%c%c%c",
			tag & (OWFS_ACL_USER_OBJ | OWFS_ACL_USER) ? "u" :
			tag & (OWFS_ACL_GROUP_OBJ | OWFS_ACL_GROUP) ? "g" :
			tag & OWFS_ACL_MASK ? "m" : "o", id,
			perm & 4 ? 'r' : '-', perm & 2 ? 'w' : '-',
			perm & 1 ? 'x' : '-');
}

/* An access control list that is one. */
static void show_list(struct out *o, const char *value, size_t len)
{
	char text[OWFS_ITEM_MAX / sizeof(struct owfs_acl_entry) * 20];
	struct owfs_acl_entry e;
	size_t done = 0, at;

	if (owfs_acl_check(value, len))
		return;
	for (at = 4; at < len; at += sizeof(e)) {
		memcpy(&e, value + at, sizeof(e));
		if (done)
			text[done++] = ',';
		done += (size_t)list_entry(text + done, sizeof(text) - done, &e);
	}
	out_str(o, "list", text);
}

static bool show_xattr(struct out *o, const void *val, size_t len)
{
	const struct owfs_xattr_item *d = val;
	size_t namelen, valuelen;

	if (len < sizeof(*d))
		return false;
	namelen = le16_to_cpu(d->namelen);
	valuelen = le32_to_cpu(d->valueid) ? 0 : le32_to_cpu(d->valuelen);
	if (len != sizeof(*d) + namelen + valuelen)
		return false;
	out_bytes(o, "name", d->name, namelen);
	out_u64(o, "valuelen", le32_to_cpu(d->valuelen));
	if (le32_to_cpu(d->valueid))
		out_u64(o, "valueid", le32_to_cpu(d->valueid));
	else
		out_bytes(o, "value", d->name + namelen, valuelen);
	if (!le32_to_cpu(d->valueid) && is_list(d->name, namelen))
		show_list(o, d->name + namelen, valuelen);
	return true;
}

static bool show_extent(struct out *o, const void *val, size_t len)
{
	const struct owfs_extent_item *d = val;

	if (len != sizeof(*d))
		return false;
	out_u64(o, "fsblock", le64_to_cpu(d->fsblock));
	out_u64(o, "len", le32_to_cpu(d->len));
	out_bool(o, "unwritten", le32_to_cpu(d->flags) & OWFS_EXTENT_UNWRITTEN);
	out_hex(o, "flags", le32_to_cpu(d->flags));
	out_u64(o, "birth", le64_to_cpu(d->birth));
	return true;
}

static bool show_intent(struct out *o, const void *val, size_t len)
{
	const struct owfs_intent_item *d = val;

	if (len != sizeof(*d))
		return false;
	out_u64(o, "end", le64_to_cpu(d->end));
	return true;
}

static bool show_orphan(struct out *o, const void *val, size_t len)
{
	const struct owfs_orphan_item *d = val;

	if (len != sizeof(*d))
		return false;
	out_hex(o, "flags", le32_to_cpu(d->flags));
	return true;
}

static bool show_value(struct out *o, unsigned int type, const void *val,
		       size_t len)
{
	switch (type) {
	case OWFS_ITEM_INODE:
		return show_inode(o, val, len);
	case OWFS_ITEM_DIRENT:
		return show_dirent(o, val, len);
	case OWFS_ITEM_XATTR:
		return show_xattr(o, val, len);
	case OWFS_ITEM_EXTENT:
		return show_extent(o, val, len);
	case OWFS_ITEM_INTENT:
		return show_intent(o, val, len);
	case OWFS_ITEM_ORPHAN:
		return show_orphan(o, val, len);
	case OWFS_ITEM_SYMLINK:
		out_bytes(o, "target", val, len);
		return true;
	default:
		return false;
	}
}

static const char *type_name(unsigned int type, char buf[static 16])
{
	if (type < ARRAY_SIZE(type_names) && type_names[type])
		return type_names[type];
	snprintf(buf, 16, "type%u", type);
	return buf;
}

void dump_item(struct out *o, const struct owfs_key *key, const void *val,
	       size_t len)
{
	char buf[16];

	out_open(o, NULL, OUT_LINE);
	out_u64(o, "ino", owfs_key_ino(key));
	out_str(o, "item", type_name(owfs_key_type(key), buf));
	out_u64(o, "off", key->off);
	if (!show_value(o, owfs_key_type(key), val, len)) {
		out_u64(o, "length", len);
		out_bytes(o, "bytes", val, len);
	}
	out_close(o);
}
