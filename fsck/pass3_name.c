/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names of entries and of extended attributes, beside the hashes they stand
 * under.  A hash that fits the name in a damaged item shows that the name is as
 * it was written; and one that fits all of it but a byte, what that byte was: of
 * the 65,000 names so near, another one has that hash once in 2^39 cases.  But
 * names beside each other often differ in a byte, so an item that was put where
 * its neighbour belongs looks like that, too.
 */
#include <dirent.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "fsck.h"
#include "object/dir.h"
#include "object/xattr.h"

/* So many names hashed: whatever this image is, it takes too long. */
#define HASHED_MAX	(64u << 20)

#define HEAD_BYTES	sizeof(struct owfs_dirent_item)
static_assert(HEAD_BYTES == sizeof(struct owfs_xattr_item), "of one size");

/* ----------------------------------------------------- what the hash shows */

static bool is_name_of(struct check *ck, const struct owfs_key *key,
		       const char *name, size_t len)
{
	return owfs_name_hash(&ck->fs, name, len) ==
	       key->off >> OWFS_HASH_SEQ_BITS;
}

/* What the tree says elsewhere: its nodes come out of their turn. */
static int look_aside(struct check *ck, const struct owfs_key *first,
		      const struct owfs_key *last,
		      int (*fn)(void *ctx, const struct owfs_key *key,
				const void *val, size_t len), void *ctx)
{
	int ret;

	ck->aside = true;
	ret = owfs_btree_walk(ck->bt, first, last, fn, ctx);
	ck->aside = false;
	return ret;
}

/* @name as it was, if it is, or but for a byte. */
static bool name_by_hash(struct check *ck, const struct owfs_key *key,
			 char *name, size_t len)
{
	size_t i;
	int byte;
	char was;

	if (is_name_of(ck, key, name, len))
		return true;
	for (i = 0; i < len && ck->names_hashed < HASHED_MAX; i++) {
		ck->names_hashed += 256;
		was = name[i];
		for (byte = 0; byte < 256; byte++) {
			name[i] = (char)byte;
			if (is_name_of(ck, key, name, len))
				return true;
		}
		name[i] = was;
	}
	return false;
}

struct neighbour {
	struct check *ck;
	const void *item;
	size_t len;
};

/* One that stands under the wrong hash, too, or is the very same. */
static int is_exchanged(void *ctx, const struct owfs_key *key, const void *val,
			size_t len)
{
	const struct neighbour *n = ctx;
	const struct owfs_dirent_item *d = val;
	const struct owfs_xattr_item *x = val;

	if (len == n->len && !memcmp(val, n->item, len))
		return 1;
	if (owfs_key_type(key) == OWFS_ITEM_DIRENT)
		return !owfs_dirent_check(d, len, key->off) &&
		       !is_name_of(n->ck, key, d->name, le16_to_cpu(d->namelen));
	return !owfs_xattr_check(x, len, key->off) &&
	       !is_name_of(n->ck, key, x->name, le16_to_cpu(x->namelen));
}

/* Is @item, called @name, another one, that belongs where that is called? */
static bool belongs_elsewhere(struct check *ck, const struct owfs_key *key,
			      const void *item, size_t len, const char *name,
			      size_t namelen)
{
	struct neighbour n = { ck, item, len };
	struct owfs_key first = *key, last = *key;

	first.off = owfs_name_hash(&ck->fs, name, namelen) <<
		    OWFS_HASH_SEQ_BITS;
	last.off = first.off | ((1u << OWFS_HASH_SEQ_BITS) - 1);
	return first.off >> OWFS_HASH_SEQ_BITS !=
	       key->off >> OWFS_HASH_SEQ_BITS &&
	       look_aside(ck, &first, &last, is_exchanged, &n) == 1;
}

static int take_type(void *ctx, const struct owfs_key *key, const void *val,
		     size_t len)
{
	struct owfs_attr attr;
	uint8_t *type = ctx;

	(void)key;
	if (!owfs_attr_from_disk(&attr, val, len))
		*type = IFTODT(attr.mode);
	return 1;
}

static uint8_t type_of(struct check *ck, owfs_ino_t ino)
{
	struct owfs_key key = owfs_key(ino, OWFS_ITEM_INODE, 0);
	uint8_t type = DT_REG;		/* pass 4 says more */

	look_aside(ck, &key, &key, take_type, &type);
	return type;
}

/* The item's length, as it was; 0: nothing shows that. */
static size_t restore_entry(struct check *ck, const struct owfs_key *key,
			    struct owfs_dirent_item *d, size_t len)
{
	size_t namelen = le16_to_cpu(d->namelen);

	if (HEAD_BYTES + namelen > len || !is_name_of(ck, key, d->name, namelen))
		namelen = len - HEAD_BYTES;
	if (namelen > OWFS_NAME_MAX || !name_by_hash(ck, key, d->name, namelen))
		return 0;
	len = HEAD_BYTES + namelen;
	d->namelen = cpu_to_le16((uint16_t)namelen);
	d->zero = 0;
	d->zero32 = cpu_to_le32(0);
	if (owfs_dirent_check(d, len, key->off))
		d->ftype = type_of(ck, le64_to_cpu(d->ino));
	return owfs_dirent_check(d, len, key->off) ? 0 : len;
}

/* Of the value nothing shows what it was, so that must have its length. */
static size_t restore_attr(struct check *ck, const struct owfs_key *key,
			   struct owfs_xattr_item *d, size_t len)
{
	size_t here = le32_to_cpu(d->valueid) ? 0 : le32_to_cpu(d->valuelen);
	size_t namelen = len - HEAD_BYTES - here;

	if (here >= len - HEAD_BYTES || namelen > OWFS_XATTR_NAME_MAX ||
	    !name_by_hash(ck, key, d->name, namelen))
		return 0;
	d->namelen = cpu_to_le16((uint16_t)namelen);
	d->zero16 = cpu_to_le16(0);
	d->zero32 = cpu_to_le32(0);
	return owfs_xattr_check(d, len, key->off) ? 0 : len;
}

/* A copy of the item, to be restored; NULL: nothing would show how. */
static void *take_copy(struct check *ck, const void *item, size_t len)
{
	if (len <= HEAD_BYTES || len > sizeof(ck->restored) ||
	    ck->itable.it_hash_mask != UINT64_MAX)	/* weakened by a test */
		return NULL;
	return memcpy(ck->restored, item, len);
}

/* Said and asked: @there is called @right, by its hash. */
static bool is_to_be_right(struct check *ck, const struct owfs_key *key,
			   const char *there, const char *right)
{
	bool entry = owfs_key_type(key) == OWFS_ITEM_DIRENT;
	bool other = strcmp(there, right);

	return problem(ck, entry ? BAD_DIRENT_NAME : BAD_XATTR_NAME,
		       entry ? "directory" : "inode", ck->obj.ino,
		       "%s=%" PRIu64 " name=%s%s%s",
		       entry ? "cookie" : "offset", key->off, there,
		       other ? " right=" : "", other ? right : "");
}

const struct owfs_dirent_item *
pass3_restore_entry(struct check *ck, const struct owfs_key *key,
		    const struct owfs_dirent_item *d, size_t *len)
{
	bool sound = !owfs_dirent_check(d, *len, key->off);
	struct owfs_dirent_item *was;
	size_t waslen;

	if (sound && is_name_of(ck, key, d->name, le16_to_cpu(d->namelen)))
		return d;
	was = take_copy(ck, d, *len);
	waslen = was ? restore_entry(ck, key, was, *len) : 0;
	if (!waslen || belongs_elsewhere(ck, key, d, *len, d->name,
					 waslen - HEAD_BYTES))
		return d;
	if (is_to_be_right(ck, key, pass4_entry_name(d, *len).s,
			   shown_name(was->name, waslen - HEAD_BYTES).s))
		fix_put(ck, FIX_ITEMS, *key, was, waslen);
	else if (!sound && ck->root == &ck->sb.root[0])
		return NULL;
	*len = waslen;
	return was;
}

const struct owfs_xattr_item *
pass3_restore_attr(struct check *ck, const struct owfs_key *key,
		   const struct owfs_xattr_item *d, size_t len)
{
	bool sound = !owfs_xattr_check(d, len, key->off);
	struct owfs_xattr_item *was;
	size_t namelen;

	if (sound && is_name_of(ck, key, d->name, le16_to_cpu(d->namelen)))
		return d;
	was = take_copy(ck, d, len);
	if (!was || !restore_attr(ck, key, was, len))
		return d;
	namelen = le16_to_cpu(was->namelen);
	if (belongs_elsewhere(ck, key, d, len, d->name, namelen))
		return d;
	if (is_to_be_right(ck, key, shown_name(d->name, namelen).s,
			   shown_name(was->name, namelen).s))
		fix_put(ck, FIX_ITEMS, *key, was, len);
	else if (!sound && ck->root == &ck->sb.root[0])
		return NULL;
	return was;
}

/* -------------------------------------------------- names that occur twice */

/* 1: a name of this hash for the first time; 0: again; -ENOMEM. */
static int name_is_new(struct name_run *run, uint64_t hash, const char *name,
		       size_t len)
{
	unsigned char *p, *bytes;

	if (hash != run->hash) {
		run->hash = hash;
		run->len = 0;
	}
	for (p = run->bytes; p && p < run->bytes + run->len; p += 1 + p[0])
		if (p[0] == len && !memcmp(p + 1, name, len))
			return 0;
	if (run->len + len + 1 > run->cap) {
		bytes = realloc(run->bytes, 2 * run->cap + 256);
		if (!bytes)
			return -ENOMEM;
		run->bytes = bytes;
		run->cap = 2 * run->cap + 256;
	}
	run->bytes[run->len] = (unsigned char)len;
	memcpy(run->bytes + run->len + 1, name, len);
	run->len += len + 1;
	return 1;
}

int pass3_name(struct check *ck, const struct owfs_key *key, const char *name,
	       size_t len)
{
	uint64_t hash = key->off >> OWFS_HASH_SEQ_BITS;
	uint64_t right = owfs_name_hash(&ck->fs, name, len);
	bool entry = owfs_key_type(key) == OWFS_ITEM_DIRENT;

	if (right != hash &&
	    problem(ck, entry ? BAD_DIRENT_HASH : BAD_XATTR_HASH,
		    entry ? "directory" : "inode", ck->obj.ino,
		    "%s=%" PRIu64 " name=%s", entry ? "cookie" : "offset",
		    key->off, shown_name(name, len).s))
		fix_move(ck, *key, right);
	return name_is_new(&ck->obj.names, hash, name, len);
}
