/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Images made wrong: superblocks, nodes, the space map. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "edit.h"
#include "fsck_defects.h"
#include "trans/trans.h"

/* -------------------------------------------------- defects: superblocks */

uint64_t slot_pos(unsigned int slot)
{
	return (uint64_t)owfs_geo_super_pos(16 << 20, slot);
}

unsigned int slot_due(struct image *im)
{
	struct owfs_slots slots;
	struct owfs_super sb;

	assert_int_equal(owfs_super_read(emubd_blkdev(im->e), &sb, &slots,
					 NULL), 0);
	return owfs_slots_next(&slots);
}

/*
 * A crash after a few commits, and then the slot that is neither the newest
 * nor due is bad.  (After an unmount all are alike, and any may have been due.)
 */
void f_super_slot(struct image *im)
{
	struct owfs_slots slots;
	struct owfs_super sb;
	unsigned int i, due;

	edit_begin(im);
	for (i = 0; i < 5; i++) {
		struct owfs_inode_item d = inode_get(im, im->file);

		inode_put(im, im->file, &d);
		assert_int_equal(owfs_commit_all(im->fs), 0);
	}
	owfs_fs_close(im->fs);
	assert_int_equal(owfs_super_read(emubd_blkdev(im->e), &sb, &slots,
					 NULL), 0);
	due = owfs_slots_next(&slots);
	for (i = 0; i == due || i == slots.newest; i++)
		;
	emubd_garbage(im->e, slot_pos(i), 512, 1);
}

void f_super_slots(struct image *im)
{
	f_super_slot(im);
	emubd_garbage(im->e, slot_pos(slot_due(im)), 512, 2);
}

void f_super_order(struct image *im)
{
	struct owfs_blkdev *bd = emubd_blkdev(im->e);
	struct owfs_slots slots;
	struct owfs_super sb;

	assert_int_equal(owfs_super_read(bd, &sb, &slots, NULL), 0);
	sb.next_gen++;
	sb.seq--;
	assert_int_equal(owfs_super_write(bd, &sb, &slots, 2), 0);
}

/* -------------------------------------------------------- defects: nodes */

static owfs_fsblock_t root_addr(struct image *im, int copy)
{
	struct owfs_slots slots;
	struct owfs_super sb;

	assert_int_equal(owfs_super_read(emubd_blkdev(im->e), &sb, &slots,
					 NULL), 0);
	return sb.root[0].tree.addr[copy];
}

void f_node_read(struct image *im)
{
	emubd_flip_bit(im->e, root_addr(im, 0) * 4096 + 1000, 3);
}

/* The commit before has another leaf for the same keys. */
void f_leaf_lost(struct image *im)
{
	struct edit ed;

	assert_int_equal(edit_open(&ed, emubd_blkdev(im->e), &im->env.env), 0);
	if (edit_script(&ed, "renew\nchecksums left\nzero leaf:1\n"))
		fail_msg("%s", ed.why);
}

void f_first_copy(struct image *im)
{
	emubd_flip_bit(im->e, root_addr(im, 0) * 4096 + 1000, 3);
}

void f_second_copy(struct image *im)
{
	emubd_flip_bit(im->e, root_addr(im, 1) * 4096 + 1000, 3);
}

void f_both_copies(struct image *im)
{
	f_first_copy(im);
	f_second_copy(im);
}

/* --------------------------------------------------------- defects: space */

static int note_leaf(void *ctx, const struct owfs_ptr *ptr, unsigned int level,
		     const void *data)
{
	(void)data;
	if (level == 0)
		*(owfs_fsblock_t *)ctx = ptr->addr[0];
	return 0;
}

/* Enough items of the link that the tree has more than one leaf. */
void grow_tree(struct image *im)
{
	char chunk[OWFS_ITEM_MAX] = { 1 };
	unsigned int i;

	for (i = 0; i < 30; i++)
		item_put(im, owfs_key(im->link, OWFS_ITEM_XATTR_CHUNK,
				      1 << 16 | i), chunk, sizeof(chunk));
	assert_int_equal(owfs_commit_all(im->fs), 0);
}

/* The last leaf stands where an extent, which comes before, has its data. */
void f_node_twice(struct image *im)
{
	struct owfs_extent_item d = {
		.len = cpu_to_le32(1), .birth = cpu_to_le64(1) };
	owfs_fsblock_t last = 0;
	const struct owfs_btree_visitor v = { .enter = note_leaf, .ctx = &last };

	grow_tree(im);
	assert_int_equal(owfs_btree_visit(im->fs->fs_bt, &v), 0);
	d.fsblock = cpu_to_le64(last);
	extent_put(im, im->file, 3, &d);
	POKE(im, im->file, nblocks, 6);
}

/* Move the root's first child to a slot of the space map. */
static void move_child(struct image *im, unsigned char *node, void *ctx)
{
	static unsigned char child[4096];
	struct owfs_branch_slot *s = (void *)(node +
					      sizeof(struct owfs_block_hdr));
	struct owfs_block_hdr *hdr = (void *)child;
	owfs_fsblock_t to = OWFS_FRONT_BYTES / 4096;
	unsigned int i;

	(void)ctx;
	/* the bitmap's live slot is wanted afterwards */
	for (i = 0; i < OWFS_MAP_SLOTS; i++, to++) {
		emubd_peek(im->e, child, sizeof(child), to * 4096);
		if (le64_to_cpu(hdr->bh_gen) != im->sb.root[0].map.gen)
			break;
	}
	assert_true(i < OWFS_MAP_SLOTS);
	emubd_peek(im->e, child, sizeof(child),
		   le64_to_cpu(s->ptr.addr[0]) * 4096);
	hdr->bh_addr[0] = s->ptr.addr[0] = cpu_to_le64(to);
	s->ptr.csum = cpu_to_le64(block_seal(im, child));
	emubd_poke(im->e, child, sizeof(child), to * 4096);
}

void f_node_place(struct image *im)
{
	edit_begin(im);
	grow_tree(im);
	edit_end(im);
	root_edit(im, move_child, NULL);
}

void f_map_leak(struct image *im)
{
	owfs_fsblock_t start;
	struct owfs_trans tr;
	uint64_t len;

	assert_int_equal(owfs_alloc_reserve(im->fs->fs_al, 3, OWFS_RESV_NORMAL),
			 0);
	assert_int_equal(owfs_alloc_data(im->fs->fs_al, OWFS_NOBLOCK, 3, &start,
					 &len), 0);
	assert_int_equal(owfs_trans_begin(im->fs, &tr, 1, 1, OWFS_RESV_NORMAL),
			 0);
	owfs_alloc_use(im->fs->fs_al, start, len);
	assert_int_equal(owfs_trans_end(&tr), 0);
	orphan_put(im, im->file, OWFS_ORPHAN_UNLINKED);	/* something to commit */
	item_del(im, owfs_key(OWFS_INO_ORPHANS, OWFS_ITEM_ORPHAN, im->file));
}

void f_map_free(struct image *im)
{
	struct owfs_extent_item d = extent_get(im, im->file, 0);
	struct owfs_trans tr;

	assert_int_equal(owfs_alloc_load(im->fs->fs_al,
					 le64_to_cpu(d.fsblock), 2), 0);
	assert_int_equal(owfs_trans_begin(im->fs, &tr, 1, 1, OWFS_RESV_NORMAL),
			 0);
	assert_int_equal(owfs_alloc_free(im->fs->fs_al, le64_to_cpu(d.fsblock),
					 2), 0);
	assert_int_equal(owfs_trans_end(&tr), 0);
	orphan_put(im, im->file, OWFS_ORPHAN_UNLINKED);
	item_del(im, owfs_key(OWFS_INO_ORPHANS, OWFS_ITEM_ORPHAN, im->file));
}

void f_map_read(struct image *im)
{
	struct owfs_slots slots;
	struct owfs_super sb;
	struct owfs_geo geo;

	assert_int_equal(owfs_super_read(emubd_blkdev(im->e), &sb, &slots,
					 NULL), 0);
	assert_int_equal(owfs_geo_init(&geo, sb.blocksize, sb.nblocks), 0);
	emubd_flip_bit(im->e, owfs_geo_map_slot(&geo, 1, 0,
						sb.root[0].map.slot) * 4096 +
		       200, 1);
}

static void one_more_free(struct owfs_super *sb, void *ctx)
{
	(void)ctx;
	sb->root[0].map.free_blocks++;
}

void f_map_count(struct image *im)
{
	super_edit(im, one_more_free, NULL);
}

static void one_more_freed(struct owfs_super *sb, void *ctx)
{
	(void)ctx;
	sb->root[0].map.freed_blocks++;
}

void f_map_freed(struct image *im)
{
	super_edit(im, one_more_freed, NULL);
}
