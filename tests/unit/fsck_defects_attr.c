/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Images made wrong: symbolic links, extended attributes, access control lists. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/checksum.h"
#include "base/err.h"
#include "base/util.h"
#include "fsck_defects.h"
#include "object/acl.h"

void f_symlink_nul(struct image *im)
{
	char val[OWFS_ITEM_MAX];
	struct owfs_key key = owfs_key(im->link, OWFS_ITEM_SYMLINK, 1);
	int len = item_get(im, key, val, sizeof(val));

	assert_true(len > 0);
	val[5] = '\0';
	item_put(im, key, val, (size_t)len);
}

void f_symlink_hole(struct image *im)
{
	item_del(im, owfs_key(im->link, OWFS_ITEM_SYMLINK, 1));
}

void f_symlink_size(struct image *im)
{
	POKE(im, im->link, size, 1999);
}

static struct owfs_key xattr_get(struct image *im, void *val, size_t *len,
				 bool chunked)
{
	struct owfs_key key = owfs_key(im->file, OWFS_ITEM_XATTR, 0);
	struct owfs_xattr_item *d = val;

	for (;; key.off++) {
		key = item_first(im, im->file, OWFS_ITEM_XATTR, key.off);
		*len = (size_t)item_get(im, key, val, OWFS_ITEM_MAX);
		if ((le32_to_cpu(d->valueid) != 0) == chunked)
			return key;
	}
}

void f_xattr_item(struct image *im)
{
	char val[OWFS_ITEM_MAX];
	size_t len;
	struct owfs_key key = xattr_get(im, val, &len, false);

	item_put(im, key, val, len + 1);
}

void f_xattr_hash(struct image *im)
{
	char val[OWFS_ITEM_MAX];
	struct owfs_xattr_item *d = (void *)val;
	size_t len;
	struct owfs_key key = xattr_get(im, val, &len, false);

	d->name[0] ^= 1;
	d->name[1] ^= 1;
	item_put(im, key, val, len);
}

void f_xattr_name(struct image *im)
{
	char val[OWFS_ITEM_MAX];
	struct owfs_xattr_item *d = (void *)val;
	size_t len;
	struct owfs_key key = xattr_get(im, val, &len, false);

	d->name[0] ^= 1;
	item_put(im, key, val, len);
}

void f_xattr_twice(struct image *im)
{
	char val[OWFS_ITEM_MAX];
	size_t len;
	struct owfs_key key = xattr_get(im, val, &len, false);

	key.off++;
	item_put(im, key, val, len);
}

void f_xattr_chunk_gone(struct image *im)
{
	item_del(im, item_first(im, im->file, OWFS_ITEM_XATTR_CHUNK, 0));
}

void f_xattr_value_gone(struct image *im)
{
	char val[OWFS_ITEM_MAX];
	struct owfs_xattr_item *d = (void *)val;
	size_t len;
	struct owfs_key key = xattr_get(im, val, &len, true);

	d->valueid = cpu_to_le32(77);
	item_put(im, key, val, len);
}

void f_xattr_stray_chunk(struct image *im)
{
	item_put(im, owfs_key(im->link, OWFS_ITEM_XATTR_CHUNK, 9 << 16), "x",
		 1);
}

/* A list of four entries: a mask, but nobody by name. */
static size_t acl_bytes(struct owfs_acl *acl, uint32_t mode)
{
	static const uint16_t tags[] = {
		OWFS_ACL_USER_OBJ, OWFS_ACL_GROUP_OBJ, OWFS_ACL_MASK,
		OWFS_ACL_OTHER,
	};
	size_t i;

	acl->version = cpu_to_le32(OWFS_ACL_VERSION);
	for (i = 0; i < ARRAY_SIZE(tags); i++)
		acl->entry[i] = (struct owfs_acl_entry) {
			cpu_to_le16(tags[i]), cpu_to_le16(0),
			cpu_to_le32(UINT32_MAX),
		};
	acl->len = sizeof(acl->version) + i * sizeof(acl->entry[0]);
	owfs_acl_chmod(acl, mode);
	return acl->len;
}

static void acl_put(struct image *im, owfs_ino_t ino, const char *name,
		    const struct owfs_acl *acl)
{
	union {
		struct owfs_xattr_item x;
		char bytes[OWFS_ITEM_MAX];
	} e = {
		.x.namelen = cpu_to_le16((uint16_t)strlen(name)),
		.x.valuelen = cpu_to_le32((uint32_t)acl->len),
	};
	uint64_t hash = owfs_checksum(im->fs->fs_super.hash_seed, name,
				      strlen(name)) >> (64 - OWFS_HASH_BITS);

	memcpy(e.x.name, name, strlen(name));
	memcpy(e.x.name + strlen(name), acl->bytes, acl->len);
	item_put(im, owfs_key(ino, OWFS_ITEM_XATTR,
			      hash << OWFS_HASH_SEQ_BITS),
		 &e, sizeof(e.x) + strlen(name) + acl->len);
}

static void acl_put_good(struct image *im, owfs_ino_t ino, const char *name,
			 uint32_t mode)
{
	struct owfs_acl acl;

	acl_bytes(&acl, mode);
	acl_put(im, ino, name, &acl);
}

void f_acl_malformed(struct image *im)
{
	struct owfs_acl acl;

	acl_bytes(&acl, 0644);
	acl.entry[2].tag = cpu_to_le16(OWFS_ACL_USER);
	acl_put(im, im->file, OWFS_ACL_ACCESS, &acl);
}

void f_acl_on_link(struct image *im)
{
	acl_put_good(im, im->link, OWFS_ACL_ACCESS, 0777);
}

void f_acl_default_on_file(struct image *im)
{
	acl_put_good(im, im->file, OWFS_ACL_DEFAULT, 0644);
}

/* A bit in the second of its chunks. */
void f_acl_in_chunks(struct image *im)
{
	struct owfs_key key = item_first(im, im->sub, OWFS_ITEM_XATTR_CHUNK, 0);
	char val[OWFS_ITEM_MAX];
	int len;

	key.off++;
	len = item_get(im, key, val, sizeof(val));
	assert_true(len > 0);
	val[4] ^= 0x40;	/* the tag of an entry */
	item_put(im, key, val, (size_t)len);
}

void f_acl_mode(struct image *im)
{
	acl_put_good(im, im->file, OWFS_ACL_ACCESS, 0111);
}
