/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Finding, inserting, removing and moving in one node's bytes. */
#include <string.h>

#include "tree/node.h"

#define SLOTS	sizeof(struct owfs_block_hdr)	/* where they begin */

static struct owfs_block_hdr *hdr_of(void *node)
{
	return node;
}

static struct owfs_leaf_slot *leaf_slot(void *node, unsigned int i)
{
	return (struct owfs_leaf_slot *)owfs_leaf_slot(node, i);
}

static struct owfs_branch_slot *branch_slot(void *node, unsigned int i)
{
	return (struct owfs_branch_slot *)owfs_branch_slot(node, i);
}

static void set_nitems(void *node, unsigned int n)
{
	hdr_of(node)->bh_nitems = cpu_to_le16((uint16_t)n);
}

static size_t low_of(const void *node)
{
	return le32_to_cpu(owfs_node_hdr(node)->bh_low);
}

static void set_low(void *node, size_t low)
{
	hdr_of(node)->bh_low = cpu_to_le32((uint32_t)low);
}

static size_t align8(size_t len)
{
	return (len + 7) & ~(size_t)7;
}

/* --------------------------------------------------------------- finding */

struct owfs_key owfs_node_first(const void *node)
{
	return owfs_node_level(node) ? owfs_branch_key(node, 0)
				     : owfs_leaf_key(node, 0);
}

struct owfs_key owfs_node_last(const void *node)
{
	unsigned int last = owfs_node_nitems(node) - 1;

	return owfs_node_level(node) ? owfs_branch_key(node, last)
				     : owfs_leaf_key(node, last);
}

static bool key_less(const struct owfs_key_disk *d, const struct owfs_key *key)
{
	const uint64_t obj = le64_to_cpu(d->obj);

	return obj < key->obj ||
	       (obj == key->obj && le64_to_cpu(d->off) < key->off);
}

/* How many of the @n keys, @stride bytes apart, are smaller than @key. */
static unsigned int count_less(const void *keys, size_t stride, unsigned int n,
			       const struct owfs_key *key)
{
	const unsigned char *base = keys;
	unsigned int lo = 0;

	while (n > 0) {
		unsigned int half = n / 2;

		if (key_less((const void *)(base + (lo + half) * stride), key)) {
			lo += half + 1;
			n -= half + 1;
		} else {
			n = half;
		}
	}
	return lo;
}

unsigned int owfs_leaf_find(const void *node, const struct owfs_key *key,
			    bool *exact)
{
	unsigned int n = owfs_node_nitems(node), pos;
	struct owfs_key found;

	pos = count_less(owfs_leaf_slot(node, 0), sizeof(struct owfs_leaf_slot),
			 n, key);
	*exact = false;
	if (pos < n) {
		found = owfs_leaf_key(node, pos);
		*exact = owfs_key_cmp(&found, key) == 0;
	}
	return pos;
}

unsigned int owfs_branch_find(const void *node, const struct owfs_key *key)
{
	unsigned int n = owfs_node_nitems(node), pos;
	struct owfs_key found;

	pos = count_less(owfs_branch_slot(node, 0),
			 sizeof(struct owfs_branch_slot), n, key);
	if (pos < n) {
		found = owfs_branch_key(node, pos);
		if (owfs_key_cmp(&found, key) == 0)
			return pos;
	}
	return pos > 0 ? pos - 1 : 0;
}

/* ---------------------------------------------------------------- leaves */

void owfs_leaf_init(void *node, size_t size)
{
	set_nitems(node, 0);
	set_low(node, size);
}

static void zero_gap(void *node, size_t size)
{
	unsigned int n = owfs_node_nitems(node);
	size_t start, end;

	if (owfs_node_level(node)) {
		start = SLOTS + n * sizeof(struct owfs_branch_slot);
		end = size;
	} else {
		start = SLOTS + n * sizeof(struct owfs_leaf_slot);
		end = low_of(node);
	}
	memset((unsigned char *)node + start, 0, end - start);
}

/* Put @len bytes at the end of the gap; returns where. */
static size_t push_value(void *node, const void *val, size_t len)
{
	size_t low = low_of(node) - align8(len);
	unsigned char *place = (unsigned char *)node + low;

	memcpy(place, val, len);
	memset(place + len, 0, align8(len) - len);
	set_low(node, low);
	return low;
}

/* Close the hole that the value of @pos is; its slot is left dangling. */
static void drop_value(void *node, unsigned int pos)
{
	unsigned int n = owfs_node_nitems(node), i;
	size_t off = le16_to_cpu(leaf_slot(node, pos)->off);
	size_t gone = align8(le16_to_cpu(leaf_slot(node, pos)->len));
	size_t low = low_of(node);
	unsigned char *base = node;

	if (off > low) {
		memmove(base + low + gone, base + low, off - low);
		for (i = 0; i < n; i++) {
			struct owfs_leaf_slot *s = leaf_slot(node, i);
			size_t o = le16_to_cpu(s->off);

			if (o < off)
				s->off = cpu_to_le16((uint16_t)(o + gone));
		}
	}
	memset(base + low, 0, gone);
	set_low(node, low + gone);
}

void owfs_leaf_insert(void *node, unsigned int pos, const struct owfs_key *key,
		      const void *val, size_t len)
{
	unsigned int n = owfs_node_nitems(node);
	struct owfs_leaf_slot *s = leaf_slot(node, pos);
	size_t off = push_value(node, val, len);

	memmove(s + 1, s, (n - pos) * sizeof(*s));
	owfs_key_to_disk(&s->key, key);
	s->off = cpu_to_le16((uint16_t)off);
	s->len = cpu_to_le16((uint16_t)len);
	s->zero = cpu_to_le32(0);
	set_nitems(node, n + 1);
}

void owfs_leaf_remove(void *node, unsigned int pos)
{
	unsigned int n = owfs_node_nitems(node);
	struct owfs_leaf_slot *s = leaf_slot(node, pos);

	drop_value(node, pos);
	memmove(s, s + 1, (n - 1 - pos) * sizeof(*s));
	memset(leaf_slot(node, n - 1), 0, sizeof(*s));
	set_nitems(node, n - 1);
}

void owfs_leaf_replace(void *node, unsigned int pos, const void *val,
		       size_t len)
{
	struct owfs_leaf_slot *s = leaf_slot(node, pos);
	size_t old = le16_to_cpu(s->len), off = le16_to_cpu(s->off);
	unsigned char *place = (unsigned char *)node + off;

	if (align8(old) == align8(len)) {
		memcpy(place, val, len);
		memset(place + len, 0, align8(len) - len);
	} else {
		drop_value(node, pos);
		s->off = cpu_to_le16((uint16_t)push_value(node, val, len));
	}
	s->len = cpu_to_le16((uint16_t)len);
}

void owfs_leaf_copy(void *dst, unsigned int pos, const void *src,
		    unsigned int from, unsigned int n)
{
	unsigned int nd = owfs_node_nitems(dst), i;
	struct owfs_leaf_slot *d = leaf_slot(dst, pos);

	memmove(d + n, d, (nd - pos) * sizeof(*d));
	memcpy(d, owfs_leaf_slot(src, from), n * sizeof(*d));
	for (i = 0; i < n; i++)
		d[i].off = cpu_to_le16((uint16_t)push_value(dst,
					owfs_leaf_val(src, from + i),
					owfs_leaf_len(src, from + i)));
	set_nitems(dst, nd + n);
}

/* Lay the values of the first @n items out anew, without holes; keep no others. */
static void rebuild(void *node, size_t size, unsigned int n)
{
	unsigned char kept[OWFS_BLOCK_MAX];
	size_t low = low_of(node);
	unsigned int i;

	memcpy(kept + low, (unsigned char *)node + low, size - low);
	set_nitems(node, n);
	set_low(node, size);
	for (i = 0; i < n; i++) {
		struct owfs_leaf_slot *s = leaf_slot(node, i);

		s->off = cpu_to_le16((uint16_t)push_value(node,
						kept + le16_to_cpu(s->off),
						le16_to_cpu(s->len)));
	}
}

void owfs_leaf_truncate(void *node, size_t size, unsigned int n)
{
	rebuild(node, size, n);
	zero_gap(node, size);
}

/* Slots and values of the first @n items alone. */
static size_t live_bytes(const void *node, unsigned int n)
{
	size_t sum = 0;
	unsigned int i;

	for (i = 0; i < n; i++)
		sum += owfs_leaf_item_size(owfs_leaf_len(node, i));
	return sum;
}

void owfs_node_tidy(void *node, size_t size)
{
	unsigned int n = owfs_node_nitems(node);

	if (owfs_node_level(node) == 0 &&
	    live_bytes(node, n) != owfs_leaf_used(node, size))
		rebuild(node, size, n);
	zero_gap(node, size);
}

/*
 * Is @key the next of a row that ends at @pos, as when a file grows that has
 * others behind it?  Only if what comes before fills a quarter, so that the
 * other side has room for one more of the largest items.
 */
static bool ends_row(const void *node, unsigned int pos,
		     const struct owfs_key *key, size_t before, size_t size)
{
	return pos > 0 && before >= owfs_leaf_capacity(size) / 4 &&
	       owfs_leaf_key(node, pos - 1).obj == key->obj &&
	       owfs_leaf_key(node, pos).obj != key->obj;
}

/*
 * The middle, counted in bytes with the new item in its place.  Both sides
 * then hold at most half of a full leaf and two of the largest items, and the
 * smallest leaf holds four of those.
 */
static unsigned int middle(const void *node, unsigned int pos, size_t need,
			   bool *left)
{
	unsigned int n = owfs_node_nitems(node), i;
	size_t total = need + live_bytes(node, n), sum = 0;

	*left = false;
	for (i = 0; i < n; i++) {
		if (i == pos) {
			sum += need;
			if (sum >= total / 2) {
				*left = true;
				return i;
			}
		}
		sum += owfs_leaf_item_size(owfs_leaf_len(node, i));
		if (sum >= total / 2)
			return i + 1;
	}
	return n;
}

unsigned int owfs_leaf_split_at(const void *node, size_t size, unsigned int pos,
				const struct owfs_key *key, size_t need,
				bool *left)
{
	size_t before = live_bytes(node, pos);

	*left = false;
	if (pos == owfs_node_nitems(node))
		return pos;
	if (ends_row(node, pos, key, before, size)) {
		*left = before + need <= owfs_leaf_capacity(size);
		return pos;
	}
	return middle(node, pos, need, left);
}

/* -------------------------------------------------------------- branches */

void owfs_branch_insert(void *node, unsigned int pos,
			const struct owfs_key *key, const struct owfs_ptr *ptr)
{
	unsigned int n = owfs_node_nitems(node);
	struct owfs_branch_slot *s = branch_slot(node, pos);

	memmove(s + 1, s, (n - pos) * sizeof(*s));
	owfs_key_to_disk(&s->key, key);
	owfs_ptr_to_disk(&s->ptr, ptr);
	set_nitems(node, n + 1);
}

void owfs_branch_remove(void *node, unsigned int pos)
{
	unsigned int n = owfs_node_nitems(node);
	struct owfs_branch_slot *s = branch_slot(node, pos);

	memmove(s, s + 1, (n - 1 - pos) * sizeof(*s));
	owfs_branch_truncate(node, n - 1);
}

void owfs_branch_set_key(void *node, unsigned int pos,
			 const struct owfs_key *key)
{
	owfs_key_to_disk(&branch_slot(node, pos)->key, key);
}

void owfs_branch_set_ptr(void *node, unsigned int pos,
			 const struct owfs_ptr *ptr)
{
	owfs_ptr_to_disk(&branch_slot(node, pos)->ptr, ptr);
}

void owfs_branch_set_csum(void *node, unsigned int pos, uint64_t csum)
{
	branch_slot(node, pos)->ptr.csum = cpu_to_le64(csum);
}

void owfs_branch_copy(void *dst, unsigned int pos, const void *src,
		      unsigned int from, unsigned int n)
{
	unsigned int nd = owfs_node_nitems(dst);
	struct owfs_branch_slot *d = branch_slot(dst, pos);

	memmove(d + n, d, (nd - pos) * sizeof(*d));
	memcpy(d, owfs_branch_slot(src, from), n * sizeof(*d));
	set_nitems(dst, nd + n);
}

void owfs_branch_truncate(void *node, unsigned int n)
{
	unsigned int had = owfs_node_nitems(node);

	memset(branch_slot(node, n), 0,
	       (had - n) * sizeof(struct owfs_branch_slot));
	set_nitems(node, n);
}
