/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The verifier of tree nodes: nothing of a node is used before it said yes.
 * Mount, fsck, dump and the fuzzers share it.
 *
 * After it, node.c may trust: counts and offsets lie inside the block, values
 * overlap neither each other nor the slots, keys ascend and lie between the
 * bounds the parent gave, and every pointer leads to a place where a node may
 * be, to a level below, and not into the future.  That makes every way down
 * end: levels fall by one, and there are at most OWFS_MAX_LEVEL of them.
 */
#include <inttypes.h>
#include <string.h>

#include "base/err.h"
#include "base/util.h"
#include "tree/node.h"

#define UNIT	8u	/* values begin at multiples of it */

/* Remember @what and the number that shows it. */
static const char *bad(uint64_t *detail, uint64_t number, const char *what)
{
	*detail = number;
	return what;
}

/* ---------------------------------------------------------------- leaves */

/* One bit for each UNIT of the block. */
typedef uint64_t units_t[OWFS_BLOCK_MAX / UNIT / 64];

/* Take [start, start + n); false if any of it was taken before. */
static bool take_units(units_t taken, unsigned int start, unsigned int n)
{
	unsigned int i;

	for (i = start; i < start + n; i++) {
		uint64_t bit = 1ull << (i % 64);

		if (taken[i / 64] & bit)
			return false;
		taken[i / 64] |= bit;
	}
	return true;
}

static const char *check_values(const void *data, size_t size, uint64_t *detail)
{
	unsigned int n = owfs_node_nitems(data), i;
	size_t low = le32_to_cpu(owfs_node_hdr(data)->bh_low), min = size;
	units_t taken;

	memset(taken, 0, size / UNIT / 8);
	for (i = 0; i < n; i++) {
		const struct owfs_leaf_slot *s = owfs_leaf_slot(data, i);
		size_t off = le16_to_cpu(s->off), len = le16_to_cpu(s->len);

		if (le32_to_cpu(s->zero))
			return bad(detail, i, "padding of a slot is not zero");
		if (len < 1 || len > OWFS_ITEM_MAX)
			return bad(detail, i, "bad length of a value");
		if (off % UNIT)
			return bad(detail, i, "value not aligned");
		if (off < low)
			return bad(detail, i, "value below the values");
		if (off + len > size)
			return bad(detail, i, "value past end of node");
		if (!take_units(taken, (unsigned int)(off / UNIT),
				(unsigned int)div_round_up(len, UNIT)))
			return bad(detail, i, "values overlap");
		min = min_u64(min, off);
	}
	return min == low ? NULL : bad(detail, low, "low end of values wrong");
}

static const char *check_leaf(const void *data, size_t size, uint64_t *detail)
{
	unsigned int n = owfs_node_nitems(data);
	size_t low = le32_to_cpu(owfs_node_hdr(data)->bh_low);

	if (low > size ||
	    low < sizeof(struct owfs_block_hdr) +
		  n * sizeof(struct owfs_leaf_slot))
		return bad(detail, n, "items do not fit");
	return check_values(data, size, detail);
}

/* -------------------------------------------------------------- branches */

/* May a node be at @addr?  Not in the front area, not in the back area. */
static bool addr_ok(uint64_t addr, size_t size, uint64_t nblocks)
{
	return addr >= OWFS_FRONT_BYTES / size &&
	       addr < nblocks - min_u64(nblocks, OWFS_BACK_BYTES / size);
}

static const char *check_pointer(const void *data, unsigned int i, size_t size,
				 uint64_t nblocks, uint64_t *detail)
{
	const struct owfs_block_hdr *hdr = owfs_node_hdr(data);
	struct owfs_ptr ptr = owfs_branch_ptr(data, i);
	const bool twice = le64_to_cpu(hdr->bh_addr[1]) != OWFS_NOBLOCK;

	if (!addr_ok(ptr.addr[0], size, nblocks))
		return bad(detail, ptr.addr[0], "pointer out of range");
	if ((ptr.addr[1] != OWFS_NOBLOCK) != twice)
		return bad(detail, i, "number of copies differs from the node's");
	if (twice && (ptr.addr[1] == ptr.addr[0] ||
		      !addr_ok(ptr.addr[1], size, nblocks)))
		return bad(detail, ptr.addr[1], "second pointer out of range");
	if (ptr.birth == 0 || ptr.birth > le64_to_cpu(hdr->bh_gen))
		return bad(detail, ptr.birth, "child younger than its parent");
	return NULL;
}

static const char *check_branch(const void *data, size_t size, uint64_t nblocks,
				uint64_t *detail)
{
	unsigned int n = owfs_node_nitems(data), i;
	const char *what = NULL;

	if (n == 0)
		return bad(detail, 0, "branch without children");
	if (n > owfs_branch_max(size))
		return bad(detail, n, "items do not fit");
	if (le32_to_cpu(owfs_node_hdr(data)->bh_low))
		return bad(detail, 0, "low end of values in a branch");
	for (i = 0; i < n && !what; i++)
		what = check_pointer(data, i, size, nblocks, detail);
	return what;
}

/* ------------------------------------------------------------------ both */

static struct owfs_key key_at(const void *data, unsigned int i)
{
	return owfs_node_level(data) ? owfs_branch_key(data, i)
				     : owfs_leaf_key(data, i);
}

static const char *check_order(const void *data, uint64_t *detail)
{
	unsigned int n = owfs_node_nitems(data), i;

	for (i = 1; i < n; i++) {
		struct owfs_key a = key_at(data, i - 1), b = key_at(data, i);

		if (owfs_key_cmp(&a, &b) >= 0)
			return bad(detail, i, "keys do not ascend");
	}
	return NULL;
}

const char *owfs_node_check_place(const void *data,
				  const struct owfs_node_expect *expect,
				  uint64_t *detail)
{
	unsigned int level = owfs_node_level(data);
	struct owfs_key key;

	if (level != expect->level)
		return bad(detail, level, "wrong level");
	if (owfs_node_nitems(data) == 0)
		return expect->root && level == 0 ? NULL
			: bad(detail, level, "empty node");
	key = owfs_node_first(data);
	if (owfs_key_cmp(&key, &expect->low) < 0)
		return bad(detail, key.obj, "key below the parent's bound");
	key = owfs_node_last(data);
	if (owfs_key_cmp(&key, &expect->last) > 0)
		return bad(detail, key.obj, "key above the parent's bound");
	return NULL;
}

static const char *check_header(const void *data,
				const struct owfs_node_expect *expect,
				uint64_t *detail)
{
	const struct owfs_block_hdr *hdr = owfs_node_hdr(data);

	if (le32_to_cpu(hdr->bh_magic) != OWFS_NODE_MAGIC)
		return bad(detail, le32_to_cpu(hdr->bh_magic), "wrong magic");
	if (le32_to_cpu(hdr->bh_zero32) || le64_to_cpu(hdr->bh_zero64))
		return bad(detail, 0, "padding of the header is not zero");
	if (owfs_node_level(data) > OWFS_MAX_LEVEL)
		return bad(detail, owfs_node_level(data), "level too high");
	if (expect && owfs_node_level(data) != expect->level)
		return bad(detail, owfs_node_level(data), "wrong level");
	if (expect && le64_to_cpu(hdr->bh_owner) != expect->owner)
		return bad(detail, le64_to_cpu(hdr->bh_owner), "wrong owner");
	return NULL;
}

const char *owfs_node_check(const void *data, size_t size, uint64_t nblocks,
			    const struct owfs_node_expect *expect,
			    uint64_t *detail)
{
	const char *what = check_header(data, expect, detail);

	if (what)
		return what;
	if (owfs_node_level(data) == 0)
		what = check_leaf(data, size, detail);
	else
		what = check_branch(data, size, nblocks, detail);
	if (!what)
		what = check_order(data, detail);
	if (!what && expect)
		what = owfs_node_check_place(data, expect, detail);
	return what;
}

int owfs_node_verify(struct owfs_bufcache *bc, const struct owfs_ptr *ptr,
		     const void *data, const void *expect)
{
	uint64_t detail = 0;
	const char *what = owfs_node_check(data, owfs_bufcache_blocksize(bc),
					   owfs_bufcache_nblocks(bc), expect,
					   &detail);

	if (!what)
		return 0;
	owfs_msg(owfs_bufcache_msg(bc), OWFS_MSG_ERROR,
		 "node %" PRIu64 ": %s: value=%" PRIu64 " level=%u items=%u",
		 ptr->addr[0], what, detail, owfs_node_level(data),
		 owfs_node_nitems(data));
	return -EFSCORRUPTED;
}

const struct owfs_buf_ops owfs_node_buf_ops = {
	.name = "node",
	.magic = OWFS_NODE_MAGIC,
	.verify = owfs_node_verify,
};
