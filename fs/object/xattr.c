/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Extended attributes: items, chunks, and one transaction to change them.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "base/err.h"
#include "base/util.h"
#include "object/dir.h"
#include "object/extent.h"
#include "object/resv.h"
#include "object/xattr.h"

#define SEQ_LAST	((1u << OWFS_HASH_SEQ_BITS) - 1)
#define CHUNK_BITS	16u
/* A value id that is taken is passed over; so often, then something is wrong. */
#define VALUEID_TRIES	64u

static unsigned int chunks_of(uint32_t valuelen)
{
	return (unsigned int)div_round_up(valuelen, OWFS_ITEM_MAX);
}

static struct owfs_key chunk_key(const struct owfs_inode *inode,
				 uint32_t valueid, unsigned int chunk)
{
	return owfs_key(inode->i_ino, OWFS_ITEM_XATTR_CHUNK,
			(uint64_t)valueid << CHUNK_BITS | chunk);
}

int owfs_xattr_check(const struct owfs_xattr_item *x, size_t len, uint64_t off)
{
	size_t namelen, here;
	uint32_t valuelen;

	if (len < sizeof(*x) || off >> OWFS_HASH_SEQ_BITS == 0 ||
	    off >> (OWFS_HASH_BITS + OWFS_HASH_SEQ_BITS) != 0)
		return -EFSCORRUPTED;
	namelen = le16_to_cpu(x->namelen);
	valuelen = le32_to_cpu(x->valuelen);
	here = le32_to_cpu(x->valueid) ? 0 : valuelen;
	if (namelen == 0 || namelen > OWFS_XATTR_NAME_MAX ||
	    valuelen > OWFS_XATTR_SIZE_MAX ||
	    len != sizeof(*x) + namelen + here ||
	    le16_to_cpu(x->zero16) || le32_to_cpu(x->zero32) ||
	    memchr(x->name, '\0', namelen))
		return -EFSCORRUPTED;
	return 0;
}

static int xattr_bad(struct owfs_inode *inode, const char *what)
{
	return owfs_fs_fail(inode->i_fs, -EFSCORRUPTED,
			    "inode %llu: extended attribute: %s",
			    (unsigned long long)inode->i_ino, what);
}

/* ------------------------------------------- names that are known to be missing */

/*
 * The kernel asks for these with every file that it opens or checks, and most
 * files have none of them.  What was found missing once stays so until somebody
 * sets it, so a bit in the inode is answer enough.
 */
static const struct { const char *name; size_t len; } asked[] = {
	{ OWFS_ACL_ACCESS, sizeof(OWFS_ACL_ACCESS) - 1 },
	{ OWFS_ACL_DEFAULT, sizeof(OWFS_ACL_DEFAULT) - 1 },
	{ OWFS_XATTR_CAPABILITY, sizeof(OWFS_XATTR_CAPABILITY) - 1 },
};
static_assert(ARRAY_SIZE(asked) <= 8, "bits of i_missing");

static uint8_t asked_bit(const char *name, size_t len)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(asked); i++)
		if (asked[i].len == len && !memcmp(asked[i].name, name, len))
			return (uint8_t)(1u << i);
	return 0;
}

bool owfs_xattr_is_known_missing(const struct owfs_inode *inode,
				 const char *name, size_t len)
{
	return __atomic_load_n(&inode->i_missing, __ATOMIC_RELAXED) &
	       asked_bit(name, len);
}

/* i_lock is held at least for reading, so nobody is setting it. */
static void note_missing(struct owfs_inode *inode, const char *name, size_t len)
{
	uint8_t bit = asked_bit(name, len);

	if (bit)
		__atomic_fetch_or(&inode->i_missing, bit, __ATOMIC_RELAXED);
}

static void note_present(struct owfs_inode *inode, const char *name, size_t len)
{
	uint8_t bit = asked_bit(name, len);

	if (bit)
		__atomic_fetch_and(&inode->i_missing, (uint8_t)~bit,
				   __ATOMIC_RELAXED);
}

/* ---------------------------------------------------------------- looking */

struct xattr_find {
	const char *name;
	size_t len;
	void *value;		/* gets a value that is in the item */
	size_t size;
	struct owfs_xattr_slot *slot;
	uint64_t next;		/* lowest offset not seen taken */
	bool bad;
};

static int find_item(void *ctx, const struct owfs_key *key, const void *val,
		     size_t len)
{
	const struct owfs_xattr_item *x = val;
	struct xattr_find *f = ctx;
	size_t namelen;

	if (owfs_xattr_check(x, len, key->off)) {
		f->bad = true;
		return -EFSCORRUPTED;
	}
	if (key->off == f->next)
		f->next++;
	namelen = le16_to_cpu(x->namelen);
	if (namelen != f->len || memcmp(x->name, f->name, namelen))
		return 0;
	f->slot->key = *key;
	f->slot->valuelen = le32_to_cpu(x->valuelen);
	f->slot->valueid = le32_to_cpu(x->valueid);
	if (!f->slot->valueid && f->size && f->slot->valuelen <= f->size)
		memcpy(f->value, x->name + namelen, f->slot->valuelen);
	return 1;
}

/*
 * Find @name; a value that stands in the item is copied to @value if it fits.
 * -ENODATA: *slot says where it would go.  Caller holds i_lock.
 */
static int xattr_find(struct owfs_inode *inode, const char *name, size_t len,
		      void *value, size_t size, struct owfs_xattr_slot *slot)
{
	uint64_t hash = owfs_name_hash(inode->i_fs, name, len);
	struct owfs_key first = owfs_key(inode->i_ino, OWFS_ITEM_XATTR,
					 hash << OWFS_HASH_SEQ_BITS);
	struct owfs_key last = first;
	struct xattr_find f = { name, len, value, size, slot, first.off, false };
	int ret;

	memset(slot, 0, sizeof(*slot));
	last.off |= SEQ_LAST;
	ret = owfs_btree_walk(inode->i_fs->fs_bt, &first, &last, find_item, &f);
	if (f.bad)
		return xattr_bad(inode, "bad item");
	if (ret)
		return ret == 1 ? 0 : ret;
	note_missing(inode, name, len);
	slot->full = f.next > last.off;
	slot->key = first;
	slot->key.off = f.next;
	return -ENODATA;
}

struct chunk_read {
	char *value;
	uint32_t valuelen;
	unsigned int next;
	bool bad;
};

static int read_chunk(void *ctx, const struct owfs_key *key, const void *val,
		      size_t len)
{
	struct chunk_read *r = ctx;
	uint32_t done = r->next * OWFS_ITEM_MAX;

	if ((key->off & ((1u << CHUNK_BITS) - 1)) != r->next ||
	    done >= r->valuelen ||
	    len != min_u64(r->valuelen - done, OWFS_ITEM_MAX)) {
		r->bad = true;
		return -EFSCORRUPTED;
	}
	memcpy(r->value + done, val, len);
	r->next++;
	return 0;
}

static int read_chunks(struct owfs_inode *inode, const struct owfs_xattr_slot *slot,
		       void *value)
{
	struct owfs_key first = chunk_key(inode, slot->valueid, 0);
	struct owfs_key last = chunk_key(inode, slot->valueid,
					 (1u << CHUNK_BITS) - 1);
	struct chunk_read r = { value, slot->valuelen, 0, false };
	int ret;

	ret = owfs_btree_walk(inode->i_fs->fs_bt, &first, &last, read_chunk,
			      &r);
	if (r.bad || (!ret && r.next != chunks_of(slot->valuelen)))
		return xattr_bad(inode, "chunks and length of a value differ");
	return ret;
}

static int name_check(const char *name, size_t len)
{
	if (len == 0 || memchr(name, '\0', len))
		return -EINVAL;
	return len > OWFS_XATTR_NAME_MAX ? -ENAMETOOLONG : 0;
}

static bool is_acl(const char *name, size_t len)
{
	return asked_bit(name, len) & 3u;
}

/* As owfs_xattr_get(). Caller holds i_lock. */
static ssize_t get_locked(struct owfs_inode *inode, const char *name, size_t len,
			  void *value, size_t size)
{
	struct owfs_xattr_slot slot;
	int ret;

	if (owfs_xattr_is_known_missing(inode, name, len))
		return -ENODATA;
	ret = xattr_find(inode, name, len, value, size, &slot);
	if (!ret && size && size < slot.valuelen)
		ret = -ERANGE;
	if (!ret && size && slot.valueid)
		ret = read_chunks(inode, &slot, value);
	if (!ret && size && is_acl(name, len) &&
	    owfs_acl_check(value, slot.valuelen))
		ret = xattr_bad(inode, "malformed access control list");
	return ret ? ret : (ssize_t)slot.valuelen;
}

ssize_t owfs_xattr_get(struct owfs_inode *inode, const char *name, size_t len,
		       void *value, size_t size)
{
	ssize_t ret = owfs_fs_readable(inode->i_fs);

	if (!ret)
		ret = name_check(name, len);
	if (ret)
		return ret;
	pthread_rwlock_rdlock(&inode->i_lock);
	ret = get_locked(inode, name, len, value, size);
	pthread_rwlock_unlock(&inode->i_lock);
	return ret;
}

int owfs_xattr_acl(struct owfs_inode *inode, const char *name,
		   struct owfs_acl *acl)
{
	ssize_t ret = get_locked(inode, name, strlen(name), acl->bytes,
				 sizeof(acl->bytes));

	if (ret == -ERANGE)
		ret = xattr_bad(inode, "access control list too long");
	if (ret < 0)
		return (int)ret;
	acl->len = (size_t)ret;
	return 0;
}

struct xattr_names {
	char *list;
	size_t size, used;
	bool (*shown)(void *ctx, const char *name, size_t len);
	void *ctx;
	bool bad;
};

static int list_item(void *ctx, const struct owfs_key *key, const void *val,
		     size_t len)
{
	const struct owfs_xattr_item *x = val;
	struct xattr_names *l = ctx;
	size_t namelen;

	if (owfs_xattr_check(x, len, key->off)) {
		l->bad = true;
		return -EFSCORRUPTED;
	}
	namelen = le16_to_cpu(x->namelen);
	if (l->shown && !l->shown(l->ctx, x->name, namelen))
		return 0;
	if (l->size) {
		if (l->used + namelen + 1 > l->size)
			return -ERANGE;
		memcpy(l->list + l->used, x->name, namelen);
		l->list[l->used + namelen] = '\0';
	}
	l->used += namelen + 1;
	return 0;
}

ssize_t owfs_xattr_list(struct owfs_inode *inode, char *list, size_t size,
			bool (*shown)(void *ctx, const char *name, size_t len),
			void *ctx)
{
	struct owfs_key first = owfs_key(inode->i_ino, OWFS_ITEM_XATTR, 0);
	struct owfs_key last = owfs_key(inode->i_ino, OWFS_ITEM_XATTR,
					UINT64_MAX);
	struct xattr_names l = {
		.list = list, .size = size, .shown = shown, .ctx = ctx,
	};
	int ret = owfs_fs_readable(inode->i_fs);

	if (ret)
		return ret;
	pthread_rwlock_rdlock(&inode->i_lock);
	ret = owfs_btree_walk(inode->i_fs->fs_bt, &first, &last, list_item,
			      &l);
	pthread_rwlock_unlock(&inode->i_lock);
	if (l.bad)
		return xattr_bad(inode, "bad item");
	return ret ? ret : (ssize_t)l.used;
}

/* --------------------------------------------------------------- changing */

/* An id under which no chunk stands: the counter's, if nothing is wrong. */
static int pick_valueid(struct owfs_xattr_change *c)
{
	struct owfs_inode *inode = c->inode;
	uint32_t id = c->first_id ? c->first_id : inode->i_attr.xattr_next;
	struct owfs_key key, last;
	unsigned int tries;
	char byte;
	int ret;

	for (tries = 0; tries < VALUEID_TRIES; tries++, id++) {
		if (id == 0)
			id = 1;
		key = chunk_key(inode, id, 0);
		last = chunk_key(inode, id, (1u << CHUNK_BITS) - 1);
		ret = owfs_btree_next(inode->i_fs->fs_bt, &key, &last, &byte, 1);
		if (ret == -ENOENT) {
			c->valueid = id;
			return 0;
		}
		if (ret < 0)
			return ret;
	}
	return xattr_bad(inode, "no free value id");
}

static int prefetch_chunks(struct owfs_inode *inode, uint32_t valueid,
			   unsigned int n)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < n && !ret; i++) {
		struct owfs_key key = chunk_key(inode, valueid, i);

		ret = owfs_btree_prefetch(inode->i_fs->fs_bt, &key);
	}
	return ret;
}

/* Look at what is there, decide every error, have all in memory. */
int owfs_xattr_plan(struct owfs_xattr_change *c, int flags)
{
	struct owfs_inode *inode = c->inode;
	struct owfs_key item = owfs_key(inode->i_ino, OWFS_ITEM_INODE, 0);
	int ret = xattr_find(inode, c->name, c->len, NULL, 0, &c->slot);

	c->found = !ret;
	if (ret && ret != -ENODATA)
		return ret;
	if (c->found && (flags & XATTR_CREATE))
		return -EEXIST;
	if (!c->found && ((flags & XATTR_REPLACE) || !c->value))
		return -ENODATA;
	if (!c->found && c->slot.full)
		return -ENOSPC;
	ret = 0;
	if (c->value && sizeof(struct owfs_xattr_item) + c->len + c->size >
				OWFS_ITEM_MAX)
		ret = pick_valueid(c);
	if (!ret && c->slot.valueid)
		ret = prefetch_chunks(inode, c->slot.valueid,
				      chunks_of(c->slot.valuelen));
	if (!ret)
		ret = owfs_btree_prefetch(inode->i_fs->fs_bt, &c->slot.key);
	return ret ? ret : owfs_btree_prefetch(inode->i_fs->fs_bt, &item);
}

/* Values in chunks are not compared: nobody sets those over and over. */
bool owfs_xattr_is_same(const struct owfs_xattr_change *c)
{
	struct owfs_xattr_slot slot;
	char value[OWFS_ITEM_MAX];

	return c->value && c->found && !c->slot.valueid &&
	       c->size == c->slot.valuelen &&
	       !xattr_find(c->inode, c->name, c->len, value, sizeof(value),
			   &slot) &&
	       !memcmp(value, c->value, c->size);
}

static int set_delete_chunks(struct owfs_xattr_change *c, struct owfs_trans *tr)
{
	unsigned int i, n = c->slot.valueid ? chunks_of(c->slot.valuelen) : 0;
	struct owfs_key key;
	int ret;

	for (i = 0; i < n; i++) {
		key = chunk_key(c->inode, c->slot.valueid, i);
		ret = owfs_btree_delete(tr->fs->fs_bt, &key);
		if (ret)
			return owfs_trans_abort(tr, ret, "xattr chunk");
	}
	return 0;
}

static int set_insert_chunks(struct owfs_xattr_change *c, struct owfs_trans *tr)
{
	unsigned int i, n = c->valueid ? chunks_of((uint32_t)c->size) : 0;
	struct owfs_key key;
	size_t off;
	int ret;

	for (i = 0; i < n; i++) {
		off = (size_t)i * OWFS_ITEM_MAX;
		key = chunk_key(c->inode, c->valueid, i);
		ret = owfs_btree_insert(tr->fs->fs_bt, &key,
					(const char *)c->value + off,
					min_u64(c->size - off, OWFS_ITEM_MAX));
		if (ret)
			return owfs_trans_abort(tr, ret, "xattr chunk");
	}
	return 0;
}

static int set_write_item(struct owfs_xattr_change *c, struct owfs_trans *tr)
{
	union {
		struct owfs_xattr_item x;
		char bytes[OWFS_ITEM_MAX];
	} e = {
		.x.valuelen = cpu_to_le32((uint32_t)c->size),
		.x.valueid = cpu_to_le32(c->valueid),
		.x.namelen = cpu_to_le16((uint16_t)c->len),
	};
	size_t len = sizeof(e.x) + c->len;
	int ret;

	memcpy(e.x.name, c->name, c->len);
	if (!c->valueid && c->size) {
		memcpy(e.x.name + c->len, c->value, c->size);
		len += c->size;
	}
	if (c->found)
		ret = owfs_btree_update(tr->fs->fs_bt, &c->slot.key, &e, len);
	else
		ret = owfs_btree_insert(tr->fs->fs_bt, &c->slot.key, &e, len);
	return ret ? owfs_trans_abort(tr, ret, "xattr item") : 0;
}

static int set_delete_item(struct owfs_xattr_change *c, struct owfs_trans *tr)
{
	int ret = owfs_btree_delete(tr->fs->fs_bt, &c->slot.key);

	return ret ? owfs_trans_abort(tr, ret, "xattr item") : 0;
}

int owfs_xattr_apply(struct owfs_xattr_change *c, struct owfs_trans *tr)
{
	struct owfs_inode *inode = c->inode;
	int ret = set_delete_chunks(c, tr);

	if (!ret)
		ret = set_insert_chunks(c, tr);
	if (!ret)
		ret = c->value ? set_write_item(c, tr) : set_delete_item(c, tr);
	if (ret)
		return ret;
	if (c->value)
		note_present(inode, c->name, c->len);
	if (c->valueid)
		inode->i_attr.xattr_next = c->valueid + 1;
	return 0;
}

/*
 * But for a value so large that the worst case of it is more than one
 * transaction may take of the reserve.  A value that is not larger than the one
 * before replaces it.
 */
enum owfs_resv_class owfs_xattr_class(const struct owfs_xattr_change *c)
{
	unsigned int gone = c->slot.valueid ? chunks_of(c->slot.valuelen) : 0;

	if (c->value && c->found && c->size <= c->slot.valuelen)
		return OWFS_RESV_REPLACING;
	if (c->value || gone > owfs_extent_step(c->inode->i_fs))
		return OWFS_RESV_NORMAL;
	return OWFS_RESV_FREEING;
}

/* The item; chunks that come; chunks that go. */
int owfs_xattr_reserve(const struct owfs_xattr_change *c, struct owfs_resv *r,
		       enum owfs_resv_class class)
{
	unsigned int come = c->valueid ? chunks_of((uint32_t)c->size) : 0;
	unsigned int gone = c->slot.valueid ? chunks_of(c->slot.valuelen) : 0;
	struct owfs_fs *fs = c->inode->i_fs;
	int ret = owfs_resv_more(fs, r, owfs_btree_worst(fs->fs_bt, 1, 1),
				 class);

	if (!ret && come)
		ret = owfs_resv_more(fs, r,
				     owfs_btree_worst_run(fs->fs_bt, 0, come,
							  OWFS_ITEM_MAX),
				     class);
	if (!ret && gone)
		ret = owfs_resv_more(fs, r,
				     owfs_btree_worst_run(fs->fs_bt, gone, 0, 0),
				     class);
	return ret;
}

static int set_begin(const struct owfs_xattr_change *c, struct owfs_trans *tr)
{
	enum owfs_resv_class class = owfs_xattr_class(c);
	struct owfs_fs *fs = c->inode->i_fs;
	struct owfs_resv resv;
	int ret = owfs_resv_take(fs, &resv, 1, 1, class);

	if (!ret)
		ret = owfs_xattr_reserve(c, &resv, class);
	if (!ret)
		owfs_trans_join(fs, tr, &resv);
	return ret;
}

static int set_locked(struct owfs_xattr_change *c, int flags)
{
	struct owfs_inode *inode = c->inode;
	struct owfs_trans tr;
	int ret = owfs_xattr_plan(c, flags);

	if (!ret && owfs_xattr_is_same(c))
		return 0;
	if (!ret)
		ret = set_begin(c, &tr);
	if (ret)
		return ret;
	if (!owfs_xattr_apply(c, &tr)) {
		owfs_fs_now(tr.fs, &inode->i_attr.ctime);
		owfs_inode_store(&tr, inode, false);
	}
	return owfs_trans_end(&tr);
}

int owfs_xattr_set(struct owfs_inode *inode, const char *name, size_t len,
		   const void *value, size_t size, int flags)
{
	struct owfs_xattr_change c = {
		.inode = inode, .name = name, .len = len, .value = value,
		.size = size,
	};
	int ret = owfs_fs_writable(inode->i_fs);

	if (!ret)
		ret = name_check(name, len);
	if (!ret && size > OWFS_XATTR_SIZE_MAX)
		ret = -E2BIG;
	if (!ret && (flags & ~(XATTR_CREATE | XATTR_REPLACE)))
		ret = -EINVAL;
	if (ret)
		return ret;
	pthread_rwlock_wrlock(&inode->i_lock);
	ret = set_locked(&c, flags);
	pthread_rwlock_unlock(&inode->i_lock);
	return ret;
}
