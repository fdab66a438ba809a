/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A block that claims to be a node: bytes laid over a sound one, so that what
 * passes the verifier is not only what is empty; then everything is looked at
 * that the verifier said may be looked at.
 */
#include <stdlib.h>
#include <string.h>

#include "base/format.h"
#include "fuzz.h"
#include "object/dir.h"
#include "object/extent.h"
#include "object/xattr.h"
#include "tree/node.h"

#define SIZE	4096u
#define NBLOCKS	65536u

static unsigned char node[SIZE] __attribute__((aligned(8)));
static volatile uint64_t sink;

static void make_leaf(void)
{
	struct owfs_block_hdr *hdr = (void *)node;
	unsigned char val[200];
	unsigned int i;

	memset(node, 0, sizeof(node));
	hdr->bh_magic = cpu_to_le32(OWFS_NODE_MAGIC);
	hdr->bh_owner = cpu_to_le64(OWFS_TREE_MAIN);
	hdr->bh_gen = cpu_to_le64(5);
	hdr->bh_addr[0] = cpu_to_le64(100);
	owfs_leaf_init(node, SIZE);
	for (i = 0; i < 12; i++) {
		struct owfs_key key = owfs_key(16 + i / 4,
					       OWFS_ITEM_INODE + i % 4 * 2,
					       i * 1000 + 300);

		memset(val, (int)i, sizeof(val));
		owfs_leaf_insert(node, i, &key, val, 24 + i * 10);
	}
}

static void make_branch(void)
{
	struct owfs_block_hdr *hdr = (void *)node;
	struct owfs_ptr ptr = { .addr = { 200 }, .birth = 3 };
	unsigned int i;

	make_leaf();
	memset(node + sizeof(*hdr), 0, SIZE - sizeof(*hdr));
	hdr->bh_level = cpu_to_le16(1);
	hdr->bh_nitems = cpu_to_le16(0);
	hdr->bh_low = cpu_to_le32(0);
	for (i = 0; i < 20; i++) {
		struct owfs_key key = owfs_key(16 + i, OWFS_ITEM_EXTENT, i);

		ptr.addr[0]++;
		owfs_branch_insert(node, i, &key, &ptr);
	}
}

/* Pairs of a place and a byte. */
static void lay_over(const uint8_t *data, size_t size)
{
	size_t i;

	for (i = 0; i + 3 <= size; i += 3)
		node[(data[i] | data[i + 1] << 8) % (data[i + 1] & 0x80 ?
						     SIZE : 512)] = data[i + 2];
}

static void look_at_item(const struct owfs_key *key, const void *val, size_t len)
{
	struct owfs_geo geo;
	struct owfs_extent ext;
	struct owfs_attr attr;

	if (owfs_geo_init(&geo, SIZE, NBLOCKS))
		abort();
	sink += !owfs_dirent_check(val, len, key->off);
	sink += !owfs_xattr_check(val, len, key->off);
	sink += !owfs_extent_from_disk(&geo, 5, key, val, len, &ext);
	sink += !owfs_attr_from_disk(&attr, val, len);
}

static void look_at_all(void)
{
	unsigned int n = owfs_node_nitems(node), i;
	bool exact;

	for (i = 0; i < n; i++) {
		struct owfs_key key = owfs_node_level(node) ?
				      owfs_branch_key(node, i) :
				      owfs_leaf_key(node, i);

		if (owfs_node_level(node)) {
			sink += owfs_branch_find(node, &key);
			sink += owfs_branch_ptr(node, i).birth;
			continue;
		}
		if (owfs_leaf_find(node, &key, &exact) != i || !exact)
			abort();
		look_at_item(&key, owfs_leaf_val(node, i),
			     owfs_leaf_len(node, i));
	}
	owfs_node_tidy(node, SIZE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t detail = 0;

	if (!size)
		return 0;
	if (data[0] & 1)
		make_leaf();
	else
		make_branch();
	if (owfs_node_check(node, SIZE, NBLOCKS, NULL, &detail))
		abort();
	lay_over(data + 1, size - 1);
	if (owfs_node_check(node, SIZE, NBLOCKS, NULL, &detail))
		return 0;
	look_at_all();
	if (owfs_node_check(node, SIZE, NBLOCKS, NULL, &detail))
		abort();	/* tidying has made it something else */
	return 0;
}
