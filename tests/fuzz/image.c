/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A small filesystem, and edits of its metadata.
 *
 * The input is a list of edits: which block, where, which bytes, and whether
 * the block's checksum and those above it are made right again, which no engine
 * would find by itself.
 */
#include "image.h"

#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"
#include "base/util.h"
#include "fuzz.h"
#include "tree/node.h"

#define MAX_NODES	64

static struct emubd *base;
static struct owfs_super sb;
static owfs_fsblock_t nodes[MAX_NODES];	/* the root first */
static unsigned int nnodes;

static int note_node(void *ctx, const struct owfs_ptr *ptr, unsigned int level,
		     const void *data)
{
	(void)ctx;
	(void)level;
	(void)data;
	if (nnodes < MAX_NODES)
		nodes[nnodes++] = ptr->addr[0];
	return 0;
}

static void apply(struct owfs_fs *fs, enum op_kind kind, const char *path,
		  uint64_t len, unsigned int num)
{
	struct op op = { .kind = kind, .len = len, .seed = 1, .num = num };

	snprintf(op.path, sizeof(op.path), "%s", path);
	snprintf(op.path2, sizeof(op.path2), "%s", "target");
	if (rig_apply(fs, &op))
		abort();
}

static void make_base(void)
{
	const struct owfs_btree_visitor v = { .enter = note_node };
	struct owfs_slots slots;
	struct rig_env env;
	struct owfs_fs *fs;

	rig_env_init(&env, 1);
	base = rig_mkfs(&env, IMAGE_BYTES, 4096, 1);
	if (!base || rig_mount(&fs, base, &env, 0, NULL))
		abort();
	apply(fs, OP_MKDIR, "d", 0, 0);
	apply(fs, OP_CREATE, "d/f", 0, 0);
	apply(fs, OP_WRITE, "d/f", 9000, 0);
	apply(fs, OP_SETXATTR, "d/f", 30, 1);
	apply(fs, OP_SETXATTR, "d/f", 3000, 2);
	apply(fs, OP_SYMLINK, "l", 0, 0);
	if (owfs_syncfs(fs))
		abort();
	apply(fs, OP_CREATE, "g", 0, 0);
	apply(fs, OP_WRITE, "g", 5000, 0);
	if (owfs_unmount(fs) || rig_mount(&fs, base, &env, RIG_READONLY, NULL) ||
	    owfs_btree_visit(fs->fs_bt, &v))
		abort();
	owfs_mount_abandon(fs);
	if (owfs_super_read(emubd_blkdev(base), &sb, &slots, NULL))
		abort();
}

/* ------------------------------------------------------------------- edits */

static uint64_t seal(unsigned char *block)
{
	struct owfs_block_hdr *hdr = (void *)block;

	hdr->bh_csum = cpu_to_le64(0);
	hdr->bh_csum = cpu_to_le64(owfs_checksum(sb.csum_seed, block, 4096));
	return le64_to_cpu(hdr->bh_csum);
}

static void write_supers(struct emubd *e, const struct owfs_super *new)
{
	struct owfs_slots slots = { .newest = 0 };
	unsigned int i;

	for (i = 0; i < OWFS_SUPER_SLOTS; i++)
		owfs_super_write(emubd_blkdev(e), new, &slots, i);
}

/* Whatever points to @addr gets the new checksum; the root's is in @new. */
static void fix_parents(struct emubd *e, owfs_fsblock_t addr, uint64_t csum,
			struct owfs_super *new)
{
	unsigned char block[4096];
	unsigned int i, j;

	if (addr == nodes[0])
		new->root[0].tree.csum = csum;
	for (i = 0; i < nnodes; i++) {
		bool changed = false;

		emubd_peek(e, block, sizeof(block), nodes[i] * 4096);
		if (owfs_node_level(block) == 0 || nodes[i] == addr)
			continue;
		for (j = 0; j < min_u64(owfs_node_nitems(block),
					owfs_branch_max(4096)); j++)
			if (owfs_branch_ptr(block, j).addr[0] == addr) {
				owfs_branch_set_csum(block, j, csum);
				changed = true;
			}
		if (!changed)
			continue;
		csum = seal(block);
		emubd_poke(e, block, sizeof(block), nodes[i] * 4096);
		fix_parents(e, nodes[i], csum, new);
		return;
	}
}

/* Six bytes and what follows: block, place, length, flags. */
static size_t one_edit(struct emubd *e, const uint8_t *data, size_t size,
		       struct owfs_super *new)
{
	size_t len = min_u64(1 + data[4] % 16, size - 6), at;
	unsigned char block[4096];
	owfs_fsblock_t addr = nodes[data[0] % nnodes];

	if (data[5] & 2)	/* the map, and superblocks, too */
		addr = 16 + data[0] % 16;
	at = (data[1] | data[2] << 8) % (data[3] & 1 ? 4096 : 512);
	len = min_u64(len, 4096 - at);
	emubd_peek(e, block, sizeof(block), addr * 4096);
	memcpy(block + at, data + 6, len);
	if ((data[5] & 1) && !(data[5] & 2))
		fix_parents(e, addr, seal(block), new);
	emubd_poke(e, block, sizeof(block), addr * 4096);
	return 6 + len;
}

static void edit(struct emubd *e, const uint8_t *data, size_t size)
{
	struct owfs_super new = sb;
	unsigned int n = 0;

	while (size > 6 && n++ < 16) {
		size_t used = one_edit(e, data, size, &new);

		data += used;
		size -= used;
	}
	if (memcmp(&new, &sb, sizeof(sb)))
		write_supers(e, &new);
}

struct emubd *image_make(const uint8_t *data, size_t size)
{
	struct emubd *e;

	if (!base)
		make_base();
	e = emubd_fork(base);
	edit(e, data, size);
	return e;
}
