/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One node of the tree, as bytes: finding, inserting and removing in it,
 * moving items between two of it.  Knows no buffer, no lock and no tree.
 *
 * A node is used as it stands on the device.  Leaf of three items:
 *
 *	0        64    88    112   136            bh_low            size
 *	| header | slot0 slot1 slot2 | free gap     | v1 | v0 | v2 |
 *
 * Nodes written here keep the values without holes and the gap zeroed, so that
 * no stale byte reaches the device.  Nodes of another writer may have holes;
 * those are taken out before the first change.  A branch is its header, its
 * slots, and zeroes.
 *
 * Positions are trusted; bytes were verified (node_check.c) before any of
 * these functions sees them.
 */
#ifndef OWFS_TREE_NODE_H
#define OWFS_TREE_NODE_H

#include "io/buf.h"
#include "tree/key.h"

/* ------------------------------------------------------------ reading it */

static inline const struct owfs_block_hdr *owfs_node_hdr(const void *node)
{
	return node;
}

static inline unsigned int owfs_node_level(const void *node)
{
	return le16_to_cpu(owfs_node_hdr(node)->bh_level);
}

static inline unsigned int owfs_node_nitems(const void *node)
{
	return le16_to_cpu(owfs_node_hdr(node)->bh_nitems);
}

static inline const struct owfs_leaf_slot *owfs_leaf_slot(const void *node,
							  unsigned int i)
{
	return (const struct owfs_leaf_slot *)
		((const unsigned char *)node + sizeof(struct owfs_block_hdr)) + i;
}

static inline const struct owfs_branch_slot *owfs_branch_slot(const void *node,
							      unsigned int i)
{
	return (const struct owfs_branch_slot *)
		((const unsigned char *)node + sizeof(struct owfs_block_hdr)) + i;
}

static inline struct owfs_key owfs_leaf_key(const void *node, unsigned int i)
{
	return owfs_key_from_disk(&owfs_leaf_slot(node, i)->key);
}

static inline unsigned int owfs_leaf_len(const void *node, unsigned int i)
{
	return le16_to_cpu(owfs_leaf_slot(node, i)->len);
}

static inline const void *owfs_leaf_val(const void *node, unsigned int i)
{
	return (const unsigned char *)node +
	       le16_to_cpu(owfs_leaf_slot(node, i)->off);
}

static inline struct owfs_key owfs_branch_key(const void *node, unsigned int i)
{
	return owfs_key_from_disk(&owfs_branch_slot(node, i)->key);
}

static inline owfs_gen_t owfs_branch_birth(const void *node, unsigned int i)
{
	return le64_to_cpu(owfs_branch_slot(node, i)->ptr.birth);
}

static inline struct owfs_ptr owfs_branch_ptr(const void *node, unsigned int i)
{
	struct owfs_ptr ptr;

	owfs_ptr_from_disk(&ptr, &owfs_branch_slot(node, i)->ptr);
	return ptr;
}

/* First and last key of any node that has one. */
struct owfs_key owfs_node_first(const void *node);
struct owfs_key owfs_node_last(const void *node);

/* Position of @key, or where it would have to be inserted. */
unsigned int owfs_leaf_find(const void *node, const struct owfs_key *key,
			    bool *exact);
/* The child whose range has @key; the first one if @key is below them all. */
unsigned int owfs_branch_find(const void *node, const struct owfs_key *key);

/* ----------------------------------------------------------------- sizes */

/* What an item with @len bytes of value takes in a leaf. */
static inline size_t owfs_leaf_item_size(size_t len)
{
	return sizeof(struct owfs_leaf_slot) + ((len + 7) & ~(size_t)7);
}

static inline size_t owfs_leaf_capacity(size_t size)
{
	return size - sizeof(struct owfs_block_hdr);
}

static inline size_t owfs_leaf_room(const void *node)
{
	return le32_to_cpu(owfs_node_hdr(node)->bh_low) -
	       sizeof(struct owfs_block_hdr) -
	       owfs_node_nitems(node) * sizeof(struct owfs_leaf_slot);
}

static inline size_t owfs_leaf_used(const void *node, size_t size)
{
	return owfs_leaf_capacity(size) - owfs_leaf_room(node);
}

static inline unsigned int owfs_branch_max(size_t size)
{
	return (unsigned int)((size - sizeof(struct owfs_block_hdr)) /
			      sizeof(struct owfs_branch_slot));
}

/* -------------------------------------------------------------- changing */

/* Make a zeroed block with a common header an empty leaf. */
void owfs_leaf_init(void *node, size_t size);
/*
 * Take out holes and zero what is free: a node that was just copied may come
 * from another writer.  All other changes expect and leave a tidy node.
 */
void owfs_node_tidy(void *node, size_t size);

/* There is room. */
void owfs_leaf_insert(void *node, unsigned int pos, const struct owfs_key *key,
		      const void *val, size_t len);
void owfs_leaf_remove(void *node, unsigned int pos);
/* There is room for the difference in size. */
void owfs_leaf_replace(void *node, unsigned int pos, const void *val,
		       size_t len);
/* Copy @n items of @src from @from on to position @pos of @dst. There is room. */
void owfs_leaf_copy(void *dst, unsigned int pos, const void *src,
		    unsigned int from, unsigned int n);
/* Forget all items from @n on. */
void owfs_leaf_truncate(void *node, size_t size, unsigned int n);
/*
 * Where to cut a full leaf in two so that an item of @need bytes with @key fits
 * in at @pos: items from the result on go to the right.  The item itself goes
 * left if @pos is smaller, right if it is larger, and where *@left says if they
 * are equal.  In the middle, unless keys seem to come in ascending order: then
 * the left half is left full.
 */
unsigned int owfs_leaf_split_at(const void *node, size_t size, unsigned int pos,
				const struct owfs_key *key, size_t need,
				bool *left);

void owfs_branch_insert(void *node, unsigned int pos,
			const struct owfs_key *key, const struct owfs_ptr *ptr);
void owfs_branch_remove(void *node, unsigned int pos);
void owfs_branch_set_key(void *node, unsigned int pos,
			 const struct owfs_key *key);
void owfs_branch_set_ptr(void *node, unsigned int pos,
			 const struct owfs_ptr *ptr);
void owfs_branch_set_csum(void *node, unsigned int pos, uint64_t csum);
void owfs_branch_copy(void *dst, unsigned int pos, const void *src,
		      unsigned int from, unsigned int n);
void owfs_branch_truncate(void *node, unsigned int n);

/* ------------------------------------------------------------- verifying */

/* What the parent says about a node; [low, last] are the keys it may have. */
struct owfs_node_expect {
	unsigned int level;
	bool root;			/* may be an empty leaf */
	uint64_t owner;
	struct owfs_key low, last;
};

/* For owfs_buf_read(): magic OWFS_NODE_MAGIC and owfs_node_verify(). */
extern const struct owfs_buf_ops owfs_node_buf_ops;

/*
 * Is @data a sound node?  @expect may be NULL: then only what the node says of
 * itself is checked.  0, or -EFSCORRUPTED after one message.  Common header
 * fields (address, generation, checksum) are buf.c's, but for the magic.
 */
int owfs_node_verify(struct owfs_bufcache *bc, const struct owfs_ptr *ptr,
		     const void *data, const void *expect);
/* The same over plain bytes; NULL or what is wrong and a number to go with it. */
const char *owfs_node_check(const void *data, size_t size, uint64_t nblocks,
			    const struct owfs_node_expect *expect,
			    uint64_t *detail);
/*
 * The part that depends on who points here, for a node found in the cache: it
 * was verified, but perhaps with another pointer to it.
 */
const char *owfs_node_check_place(const void *data,
				  const struct owfs_node_expect *expect,
				  uint64_t *detail);

#endif
