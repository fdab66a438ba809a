/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Keys of the tree in memory: (inode, type, offset), two machine words. */
#ifndef OWFS_TREE_KEY_H
#define OWFS_TREE_KEY_H

#include "base/format.h"

struct owfs_key {
	uint64_t obj;	/* inode << 8 | enum owfs_item_type */
	uint64_t off;
};

#define OWFS_KEY_MIN	((struct owfs_key){ 0, 0 })
#define OWFS_KEY_MAX	((struct owfs_key){ UINT64_MAX, UINT64_MAX })

static inline struct owfs_key owfs_key(owfs_ino_t ino, enum owfs_item_type type,
				       uint64_t off)
{
	return (struct owfs_key){ ino << 8 | type, off };
}

static inline owfs_ino_t owfs_key_ino(const struct owfs_key *k)
{
	return k->obj >> 8;
}

static inline unsigned int owfs_key_type(const struct owfs_key *k)
{
	return k->obj & 0xff;
}

static inline int owfs_key_cmp(const struct owfs_key *a,
			       const struct owfs_key *b)
{
	if (a->obj != b->obj)
		return a->obj < b->obj ? -1 : 1;
	if (a->off != b->off)
		return a->off < b->off ? -1 : 1;
	return 0;
}

/* The key after @k; not to be asked of OWFS_KEY_MAX. */
static inline struct owfs_key owfs_key_next(const struct owfs_key *k)
{
	return (struct owfs_key){ k->obj + (k->off == UINT64_MAX), k->off + 1 };
}

/* The key before @k; not to be asked of OWFS_KEY_MIN. */
static inline struct owfs_key owfs_key_prev(const struct owfs_key *k)
{
	return (struct owfs_key){ k->obj - (k->off == 0), k->off - 1 };
}

static inline struct owfs_key owfs_key_from_disk(const struct owfs_key_disk *d)
{
	return (struct owfs_key){ le64_to_cpu(d->obj), le64_to_cpu(d->off) };
}

static inline void owfs_key_to_disk(struct owfs_key_disk *d,
				    const struct owfs_key *k)
{
	d->obj = cpu_to_le64(k->obj);
	d->off = cpu_to_le64(k->off);
}

#endif
