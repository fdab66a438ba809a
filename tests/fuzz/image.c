/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A small filesystem, and edits of its metadata.
 *
 * The input is a list of edits: which block, where, which bytes, and whether
 * the block's checksum and those above it are made right again, which no engine
 * would find by itself.  The flags of the first also say which filesystem it is.
 */
#include "image.h"

#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"
#include "base/util.h"
#include "fuzz.h"
#include "tree/node.h"

#define MAX_NODES	64

/* A node of the tree: where it stands, or both places. */
struct node {
	owfs_fsblock_t addr[2];
};

struct base {
	struct emubd *e;
	struct owfs_super sb;
	struct node node[MAX_NODES];	/* the root first */
	unsigned int nnodes;
};

static int note_node(void *ctx, const struct owfs_ptr *ptr, unsigned int level,
		     const void *data)
{
	struct base *b = ctx;

	(void)level;
	(void)data;
	if (b->nnodes < MAX_NODES)
		b->node[b->nnodes++] = (struct node){
			{ ptr->addr[0], ptr->addr[1] } };
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

static void fill(struct owfs_fs *fs)
{
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
	apply(fs, OP_CREATE, "still", 0, 0);
	apply(fs, OP_WRITE, "still", 20000, 0);
	apply(fs, OP_SETXATTR, "still", 100, 1);
}

/* Somebody still had a file open whose name is gone. */
static void crash(struct owfs_fs *fs)
{
	struct owfs_inode *inode;
	int err;

	apply(fs, OP_CREATE, "o", 0, 0);
	apply(fs, OP_WRITE, "o", 9000, 0);
	inode = rig_lookup(fs, "o", &err);
	if (!inode)
		abort();
	apply(fs, OP_UNLINK, "o", 0, 0);
	if (owfs_syncfs(fs))
		abort();
	apply(fs, OP_CREATE, "never", 0, 0);
	owfs_iput(inode);
	owfs_mount_abandon(fs);
}

static void learn(struct base *b, struct rig_env *env)
{
	const struct owfs_btree_visitor v = { .enter = note_node, .ctx = b };
	struct owfs_slots slots;
	struct owfs_fs *fs;

	if (rig_mount(&fs, b->e, env, RIG_READONLY, NULL) ||
	    owfs_btree_visit(fs->fs_bt, &v))
		abort();
	owfs_mount_abandon(fs);
	if (owfs_super_read(emubd_blkdev(b->e), &b->sb, &slots, NULL))
		abort();
}

static void make_base(struct base *b, unsigned int flags)
{
	struct rig_env env;
	struct owfs_fs *fs;

	rig_env_init(&env, 1);
	b->e = rig_mkfs(&env, IMAGE_BYTES, 4096, flags & IMAGE_TWICE ? 2 : 1);
	if (!b->e || rig_mount(&fs, b->e, &env, 0, NULL))
		abort();
	fill(fs);
	if (flags & IMAGE_CRASHED)
		crash(fs);
	else if (owfs_unmount(fs))
		abort();
	learn(b, &env);
}

static struct base *base_of(const uint8_t *data, size_t size)
{
	static struct base bases[IMAGE_CRASHED | IMAGE_TWICE | 1];
	unsigned int flags = image_flags(data, size) &
			     (IMAGE_CRASHED | IMAGE_TWICE);
	struct base *b = &bases[flags];

	if (!b->e)
		make_base(b, flags);
	return b;
}

/* ------------------------------------------------------------------- edits */

/* What the edits of one input make of a base. */
struct edits {
	const struct base *b;
	struct emubd *e;
	struct owfs_super sb;
};

static uint64_t seal(const struct edits *ed, unsigned char *block)
{
	struct owfs_block_hdr *hdr = (void *)block;

	hdr->bh_csum = cpu_to_le64(0);
	hdr->bh_csum = cpu_to_le64(owfs_checksum(ed->sb.csum_seed, block, 4096));
	return le64_to_cpu(hdr->bh_csum);
}

static void write_supers(const struct edits *ed)
{
	struct owfs_slots slots = { .newest = 0 };
	unsigned int i;

	for (i = 0; i < OWFS_SUPER_SLOTS; i++)
		owfs_super_write(emubd_blkdev(ed->e), &ed->sb, &slots, i);
}

static void put_node(const struct edits *ed, const struct node *n,
		     const unsigned char *block)
{
	unsigned int i;

	for (i = 0; i < 2; i++)
		if (n->addr[i] != OWFS_NOBLOCK)
			emubd_poke(ed->e, block, 4096, n->addr[i] * 4096);
}

/* Does the branch @block lead to @child?  Then it gets its new checksum. */
static bool lead_to(unsigned char *block, const struct node *child,
		    uint64_t csum)
{
	unsigned int j, n = (unsigned int)min_u64(owfs_node_nitems(block),
						  owfs_branch_max(4096));
	bool changed = false;

	if (owfs_node_level(block) == 0)
		return false;
	for (j = 0; j < n; j++)
		if (owfs_branch_ptr(block, j).addr[0] == child->addr[0]) {
			owfs_branch_set_csum(block, j, csum);
			changed = true;
		}
	return changed;
}

/* Whatever points to @child gets the new checksum; the root's is in the superblock. */
static void fix_parents(struct edits *ed, const struct node *child,
			uint64_t csum)
{
	const struct base *b = ed->b;
	unsigned char block[4096];
	unsigned int i;

	if (child == b->node)
		ed->sb.root[0].tree.csum = csum;
	for (i = 0; i < b->nnodes; i++) {
		emubd_peek(ed->e, block, sizeof(block),
			   b->node[i].addr[0] * 4096);
		if (&b->node[i] == child || !lead_to(block, child, csum))
			continue;
		csum = seal(ed, block);
		put_node(ed, &b->node[i], block);
		fix_parents(ed, &b->node[i], csum);
		return;
	}
}

/* The map, and superblocks, too; or a node, of which one copy is enough. */
static void edit_at(struct edits *ed, const uint8_t *data, size_t at,
		    size_t len)
{
	const struct node *n = &ed->b->node[data[0] % ed->b->nnodes];
	unsigned char block[4096];
	owfs_fsblock_t addr = n->addr[0];

	if (data[5] & IMAGE_MAP)
		addr = 16 + data[0] % 16;
	emubd_peek(ed->e, block, sizeof(block), addr * 4096);
	memcpy(block + at, data + 6, len);
	if ((data[5] & (IMAGE_SEALED | IMAGE_MAP)) != IMAGE_SEALED) {
		emubd_poke(ed->e, block, sizeof(block), addr * 4096);
		return;
	}
	fix_parents(ed, n, seal(ed, block));
	put_node(ed, n, block);
}

/* Six bytes and what follows: block, place, length, flags. */
static size_t one_edit(struct edits *ed, const uint8_t *data, size_t size)
{
	size_t len = min_u64(1 + data[4] % 16, size - 6), at;

	at = (data[1] | data[2] << 8) % (data[3] & 1 ? 4096 : 512);
	edit_at(ed, data, at, min_u64(len, 4096 - at));
	return 6 + len;
}

static void edit(struct edits *ed, const uint8_t *data, size_t size)
{
	unsigned int n = 0;

	while (size > 6 && n++ < 16) {
		size_t used = one_edit(ed, data, size);

		data += used;
		size -= used;
	}
	if (memcmp(&ed->sb, &ed->b->sb, sizeof(ed->sb)))
		write_supers(ed);
}

unsigned int image_flags(const uint8_t *data, size_t size)
{
	return size > 6 ? data[5] : 0;
}

struct emubd *image_make(const uint8_t *data, size_t size)
{
	struct base *b = base_of(data, size);
	struct edits ed = { b, emubd_fork(b->e), b->sb };

	edit(&ed, data, size);
	return ed.e;
}

struct emubd *image_sound(const uint8_t *data, size_t size)
{
	return base_of(data, size)->e;
}
