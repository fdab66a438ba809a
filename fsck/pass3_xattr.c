/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pass 3, what is stored in pieces: targets of symbolic links, and extended
 * attributes with their values.  Attributes come before chunks, so each
 * attribute announces its value and the chunks must be what was announced.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "fsck.h"
#include "object/dir.h"
#include "object/xattr.h"

int pass3_symlink(struct check *ck, const struct owfs_key *key,
		  const void *val, size_t len)
{
	struct object *obj = &ck->obj;
	bool torn = obj->good && obj->attr.nlink == 0;

	/* all chunks but the last are full, so a whole one comes before each */
	if ((key->off != obj->target_chunks && !torn) ||
	    (obj->target_len % OWFS_ITEM_MAX) || memchr(val, '\0', len))
		obj->bad_link |= problem(ck, BAD_SYMLINK_ITEM, "inode",
					 obj->ino, "chunk=%" PRIu64
					 " expected=%" PRIu64 " length=%zu",
					 key->off, obj->target_chunks, len);
	obj->target_chunks = key->off + 1;
	obj->target_len += len;
	return 0;
}

/* ------------------------------------------------------------- attributes */

static int announce(struct check *ck, uint64_t off, uint32_t id, uint32_t len)
{
	struct value_list *vl = &ck->obj.values;
	struct value *v;

	if (vl->n == vl->cap) {
		v = realloc(vl->v, (2 * vl->cap + 8) * sizeof(*v));
		if (!v)
			return -ENOMEM;
		vl->v = v;
		vl->cap = 2 * vl->cap + 8;
	}
	vl->v[vl->n++] = (struct value){ .id = id, .len = len, .off = off };
	return 0;
}

int pass3_xattr(struct check *ck, const struct owfs_key *key, const void *val,
		size_t len)
{
	const struct owfs_xattr_item *d = pass3_restore_attr(ck, key, val, len);
	struct object *obj = &ck->obj;
	uint32_t id;
	size_t namelen;
	int ret;

	if (!d)
		return 0;
	if (owfs_xattr_check(d, len, key->off)) {
		if (problem(ck, BAD_XATTR_ITEM, "inode", obj->ino, "offset=%"
			    PRIu64 " length=%zu", key->off, len))
			fix_del(ck, FIX_ITEMS, *key);
		return 0;
	}
	namelen = le16_to_cpu(d->namelen);
	ret = pass3_name(ck, key, d->name, namelen);
	if (ret < 0)
		return ret;
	if (ret == 0 && problem(ck, BAD_XATTR_TWICE, "inode", obj->ino,
				"name=%s", shown_name(d->name, namelen).s))
		fix_del(ck, FIX_ITEMS, *key);
	ret = pass3_acl(ck, key, d);
	if (ret)
		return ret;
	id = le32_to_cpu(d->valueid);
	return id ? announce(ck, key->off, id, le32_to_cpu(d->valuelen)) : 0;
}

/* ------------------------------------------------------------------ values */

static int cmp_value(const void *a, const void *b)
{
	const struct value *va = a, *vb = b;

	return va->id < vb->id ? -1 : va->id > vb->id;
}

/* An attribute whose value is not what was written: no attribute. */
static void drop_attr(struct check *ck, const struct value *v)
{
	fix_del(ck, FIX_ITEMS, owfs_key(ck->obj.ino, OWFS_ITEM_XATTR, v->off));
}

static void drop_chunks(struct check *ck, uint32_t id)
{
	uint64_t first = (uint64_t)id << 16;

	fix_del_range(ck, FIX_ITEMS,
		      owfs_key(ck->obj.ino, OWFS_ITEM_XATTR_CHUNK, first),
		      owfs_key(ck->obj.ino, OWFS_ITEM_XATTR_CHUNK,
			       first | 0xffff));
}

void pass3_drop_attr(struct check *ck, uint64_t off, uint32_t id)
{
	const struct value v = { .off = off };

	drop_attr(ck, &v);
	if (id)
		drop_chunks(ck, id);
}

/* All attributes have come by: sort, and see that no two share a value. */
static void sort_values(struct check *ck)
{
	struct value_list *vl = &ck->obj.values;
	size_t i;

	if (ck->obj.values_sorted)
		return;
	ck->obj.values_sorted = true;
	if (vl->n)
		qsort(vl->v, vl->n, sizeof(*vl->v), cmp_value);
	for (i = 1; i < vl->n; i++)
		if (vl->v[i].id == vl->v[i - 1].id &&
		    problem(ck, BAD_XATTR_VALUE, "inode", ck->obj.ino,
			    "id=%u belongs to two attributes", vl->v[i].id)) {
			drop_attr(ck, &vl->v[i - 1]);
			drop_attr(ck, &vl->v[i]);
		}
}

/* The chunks of one value have all come by. */
static void value_end(struct check *ck)
{
	struct object *obj = &ck->obj;
	struct value want = { .id = obj->chunk_id }, *v = NULL;

	if (!obj->chunk_id)
		return;
	if (obj->values.n)
		v = bsearch(&want, obj->values.v, obj->values.n, sizeof(want),
			    cmp_value);
	if (v)
		v->found = true;
	/* an inode on its way out loses its items first, its chunks then */
	if ((!v || v->len != obj->chunk_bytes) &&
	    !(obj->good && obj->attr.nlink == 0))
		obj->chunk_bad |= problem(ck, BAD_XATTR_VALUE, "inode",
					  obj->ino, "id=%u bytes=%u wanted=%u",
					  obj->chunk_id, obj->chunk_bytes,
					  v ? v->len : 0);
	if (obj->chunk_bad && v)
		drop_attr(ck, v);
	if (obj->chunk_bad)
		drop_chunks(ck, obj->chunk_id);
	obj->chunk_id = 0;
	obj->chunk_bad = false;
}

/* Of no value, so it says nothing against any. */
static int stray_chunk(struct check *ck, const struct owfs_key *key, size_t len)
{
	if (problem(ck, BAD_XATTR_VALUE, "inode", ck->obj.ino, "offset=%"
		    PRIu64 " length=%zu", key->off, len))
		fix_del(ck, FIX_ITEMS, *key);
	return 0;
}

int pass3_xattr_chunk(struct check *ck, const struct owfs_key *key,
		      const void *val, size_t len)
{
	struct object *obj = &ck->obj;
	uint32_t id = (uint32_t)(key->off >> 16), chunk = key->off & 0xffff;
	bool torn = obj->good && obj->attr.nlink == 0;

	if (key->off >> 48 || !id)
		return stray_chunk(ck, key, len);
	sort_values(ck);
	if (id != obj->chunk_id) {
		value_end(ck);
		obj->chunk_id = id;
		obj->chunk_next = obj->chunk_bytes = 0;
	}
	/* all chunks but the last are full, so a whole one comes before each */
	if ((chunk != obj->chunk_next && !torn) ||
	    obj->chunk_bytes % OWFS_ITEM_MAX)
		obj->chunk_bad |= problem(ck, BAD_XATTR_VALUE, "inode",
					  obj->ino, "id=%u chunk=%u expected=%u length=%zu",
					  id, chunk, obj->chunk_next, len);
	obj->chunk_next = chunk + 1;
	obj->chunk_bytes += (uint32_t)len;
	pass3_acl_chunk(ck, id, val, len);
	return 0;
}

void pass3_xattr_end(struct check *ck)
{
	const struct value_list *vl = &ck->obj.values;
	size_t i;

	sort_values(ck);
	value_end(ck);
	if (ck->obj.attr.nlink)
		pass3_acl_end(ck);
	for (i = 0; i < vl->n && ck->obj.attr.nlink; i++)
		if (!vl->v[i].found &&
		    problem(ck, BAD_XATTR_VALUE, "inode", ck->obj.ino,
			    "id=%u bytes=0 wanted=%u", vl->v[i].id,
			    vl->v[i].len))
			drop_attr(ck, &vl->v[i]);
}
