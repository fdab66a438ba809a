/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Images made wrong, one way each; the table at the end says what is expected. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/util.h"
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
static void f_super_slot(struct image *im)
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

static void f_super_slots(struct image *im)
{
	f_super_slot(im);
	emubd_garbage(im->e, slot_pos(slot_due(im)), 512, 2);
}

static void f_super_order(struct image *im)
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

static void f_node_read(struct image *im)
{
	emubd_flip_bit(im->e, root_addr(im, 0) * 4096 + 1000, 3);
}

static void f_first_copy(struct image *im)
{
	emubd_flip_bit(im->e, root_addr(im, 0) * 4096 + 1000, 3);
}

static void f_second_copy(struct image *im)
{
	emubd_flip_bit(im->e, root_addr(im, 1) * 4096 + 1000, 3);
}

static void f_both_copies(struct image *im)
{
	f_first_copy(im);
	f_second_copy(im);
}

/* -------------------------------------------------------- defects: items */

static void f_item_type(struct image *im)
{
	item_put(im, owfs_key(im->file, 40, 0), "x", 1);
}

static void f_item_reserved_type(struct image *im)
{
	item_put(im, owfs_key(im->file, OWFS_ITEM_INLINE, 0), "x", 1);
}

static void f_item_object(struct image *im)
{
	struct owfs_inode_item d = inode_get(im, im->file);

	inode_put(im, 5, &d);
}

static void f_item_alone(struct image *im)
{
	item_del(im, owfs_key(im->link, OWFS_ITEM_INODE, 0));
}

static void f_item_misfit(struct image *im)
{
	item_put(im, owfs_key(im->file, OWFS_ITEM_SYMLINK, 0), "x", 1);
}

void inode_poke32(struct image *im, owfs_ino_t ino, size_t off, uint32_t value)
{
	struct owfs_inode_item d = inode_get(im, ino);
	le32_t v = cpu_to_le32(value);

	memcpy((char *)&d + off, &v, sizeof(v));
	inode_put(im, ino, &d);
}

static void f_inode_mode(struct image *im)
{
	POKE(im, im->file, mode, 0644);
}

static void f_inode_unknown_flag(struct image *im)
{
	POKE(im, im->file, flags, 0x100);
}

static void f_inode_misfit_flag(struct image *im)
{
	POKE(im, im->link, flags, OWFS_INODE_IMMUTABLE);
}

static void f_inode_time(struct image *im)
{
	POKE(im, im->file, mtime.nsec, 1000000000);
}

static void f_inode_short(struct image *im)
{
	struct owfs_inode_item d = inode_get(im, im->file);

	item_put(im, owfs_key(im->file, OWFS_ITEM_INODE, 0), &d, 100);
}

static void f_inode_limit(struct image *im)
{
	struct owfs_inode_item d = inode_get(im, im->deep);

	d.nblocks = cpu_to_le64(0);
	inode_put(im, 1ull << 40, &d);
}

static void f_inode_birth(struct image *im)
{
	POKE(im, im->file, gen, 1000000);
}

static void f_inode_nblocks(struct image *im)
{
	POKE(im, im->file, nblocks, 6);
}

static void f_inode_flags(struct image *im)
{
	POKE(im, im->file, flags, OWFS_INODE_INTENTS);
}

/* ----------------------------------------------------- defects: directories */

static void f_dir_size(struct image *im)
{
	POKE(im, im->dir, size, 7);
}

static void f_dir_nlink(struct image *im)
{
	POKE(im, im->dir, nlink, 4);
}

static void f_dirent_item(struct image *im)
{
	char val[OWFS_ITEM_MAX];
	struct owfs_dirent_item *d = (void *)val;
	size_t len;
	struct owfs_key key = entry_of(im, im->sub, im->deep, val, &len);

	d->name[1] = '/';
	item_put(im, key, val, len);
}

static void f_dirent_hash(struct image *im)
{
	char val[OWFS_ITEM_MAX];
	struct owfs_dirent_item *d = (void *)val;
	size_t len;
	struct owfs_key key = entry_of(im, im->sub, im->deep, val, &len);

	d->name[1] ^= 1;
	item_put(im, key, val, len);
}

static void f_dirent_twice(struct image *im)
{
	char val[OWFS_ITEM_MAX];
	size_t len;
	struct owfs_key key = entry_of(im, im->sub, im->deep, val, &len);

	key.off++;
	item_put(im, key, val, len);
}

static void f_dirent_target(struct image *im)
{
	char val[OWFS_ITEM_MAX];
	struct owfs_dirent_item *d = (void *)val;
	size_t len;
	struct owfs_key key = entry_of(im, im->sub, im->deep, val, &len);

	d->ino = cpu_to_le64(99999);
	item_put(im, key, val, len);
}

static void f_dirent_ftype(struct image *im)
{
	char val[OWFS_ITEM_MAX];
	struct owfs_dirent_item *d = (void *)val;
	size_t len;
	struct owfs_key key = entry_of(im, im->sub, im->deep, val, &len);

	d->ftype = DT_FIFO;
	item_put(im, key, val, len);
}

static void f_inode_nlink(struct image *im)
{
	POKE(im, im->file, nlink, 3);
}

static void f_inode_lost(struct image *im)
{
	char val[OWFS_ITEM_MAX];
	size_t len;

	item_del(im, entry_of(im, im->sub, im->deep, val, &len));
	POKE(im, im->sub, size, 0);
}

static void f_inode_without_orphan(struct image *im)
{
	char val[OWFS_ITEM_MAX];
	size_t len;

	item_del(im, entry_of(im, im->sub, im->deep, val, &len));
	POKE(im, im->sub, size, 0);
	POKE(im, im->deep, nlink, 0);
}

/* The entry for @ino in @from moves to @to, whose and its own sums follow. */
static void move_entry(struct image *im, owfs_ino_t from, owfs_ino_t to,
		       owfs_ino_t ino, bool keep)
{
	struct owfs_inode_item f = inode_get(im, from), t;
	char val[OWFS_ITEM_MAX];
	size_t len;
	struct owfs_key key = entry_of(im, from, ino, val, &len);

	if (!keep) {
		item_del(im, key);
		f.size = cpu_to_le64(le64_to_cpu(f.size) - 1);
		f.nlink = cpu_to_le32(le32_to_cpu(f.nlink) - 1);
		inode_put(im, from, &f);
	}
	key.obj = to << 8 | OWFS_ITEM_DIRENT;
	item_put(im, key, val, len);
	t = inode_get(im, to);
	t.size = cpu_to_le64(le64_to_cpu(t.size) + 1);
	t.nlink = cpu_to_le32(le32_to_cpu(t.nlink) + 1);
	inode_put(im, to, &t);
}

static void f_dir_names(struct image *im)
{
	move_entry(im, im->dir, OWFS_INO_ROOT, im->sub, true);
}

static void f_dir_parent(struct image *im)
{
	move_entry(im, im->dir, OWFS_INO_ROOT, im->sub, false);
}

static void f_dir_loop(struct image *im)
{
	move_entry(im, OWFS_INO_ROOT, im->sub, im->dir, false);
	POKE(im, im->dir, parent, (uint32_t)im->sub);
}

static void f_root_gone(struct image *im)
{
	item_del(im, owfs_key(OWFS_INO_ROOT, OWFS_ITEM_INODE, 0));
}

/* ---------------------------------------------------------- defects: data */

static struct owfs_extent_item extent_get(struct image *im, owfs_ino_t ino,
					  uint64_t off)
{
	struct owfs_extent_item d;

	assert_int_equal(item_get(im, owfs_key(ino, OWFS_ITEM_EXTENT, off), &d,
				  sizeof(d)), sizeof(d));
	return d;
}

static void extent_put(struct image *im, owfs_ino_t ino, uint64_t off,
		       const struct owfs_extent_item *d)
{
	item_put(im, owfs_key(ino, OWFS_ITEM_EXTENT, off), d, sizeof(*d));
}

static void f_extent_flags(struct image *im)
{
	struct owfs_extent_item d = extent_get(im, im->file, 0);

	d.flags = cpu_to_le32(0x80);
	extent_put(im, im->file, 0, &d);
}

static void f_extent_place(struct image *im)
{
	struct owfs_extent_item d = extent_get(im, im->file, 0);

	d.fsblock = cpu_to_le64(4);
	extent_put(im, im->file, 0, &d);
}

static void f_extent_past_device(struct image *im)
{
	struct owfs_extent_item d = extent_get(im, im->file, 0);

	d.fsblock = cpu_to_le64(4096 - 33);
	extent_put(im, im->file, 0, &d);
}

static void f_extent_overlap(struct image *im)
{
	struct owfs_extent_item d = extent_get(im, im->file, 0);

	d.fsblock = cpu_to_le64(le64_to_cpu(d.fsblock) + 1);
	d.len = cpu_to_le32(2);
	extent_put(im, im->file, 1, &d);
	POKE(im, im->file, nblocks, 7);
}

static void f_extent_twice(struct image *im)
{
	struct owfs_extent_item d = extent_get(im, im->file, 0);

	d.len = cpu_to_le32(1);
	extent_put(im, im->other, 5, &d);
	POKE(im, im->other, nblocks, 5);
	POKE(im, im->other, size, 6 * 4096);
}

static void f_extent_birth(struct image *im)
{
	struct owfs_extent_item d = extent_get(im, im->file, 0);

	d.birth = cpu_to_le64(1000000);
	extent_put(im, im->file, 0, &d);
}

static void f_extent_eof(struct image *im)
{
	POKE(im, im->file, size, 6 * 4096);
}

static void f_intent_item(struct image *im)
{
	struct owfs_intent_item d = { .end = cpu_to_le64(9) };

	item_put(im, owfs_key(im->file, OWFS_ITEM_INTENT, 9), &d, sizeof(d));
}

/* What a truncation to 6 blocks that is not done yet looks like. */
void make_intent(struct image *im)
{
	struct owfs_intent_item d = { .end = cpu_to_le64(UINT64_MAX) };
	struct owfs_orphan_item o = {
		.flags = cpu_to_le32(OWFS_ORPHAN_INTENTS) };

	POKE(im, im->file, size, 6 * 4096);
	POKE(im, im->file, flags, OWFS_INODE_INTENTS);
	item_put(im, owfs_key(im->file, OWFS_ITEM_INTENT, 6), &d, sizeof(d));
	item_put(im, owfs_key(OWFS_INO_ORPHANS, OWFS_ITEM_ORPHAN, im->file), &o,
		 sizeof(o));
}

static void f_intent_overlap(struct image *im)
{
	struct owfs_intent_item d = { .end = cpu_to_le64(12) };

	make_intent(im);
	item_put(im, owfs_key(im->file, OWFS_ITEM_INTENT, 8), &d, sizeof(d));
}

static void f_intent_without_orphan(struct image *im)
{
	make_intent(im);
	item_del(im, owfs_key(OWFS_INO_ORPHANS, OWFS_ITEM_ORPHAN, im->file));
}

static void orphan_put(struct image *im, owfs_ino_t ino, uint32_t flags)
{
	struct owfs_orphan_item d = { .flags = cpu_to_le32(flags) };

	item_put(im, owfs_key(OWFS_INO_ORPHANS, OWFS_ITEM_ORPHAN, ino), &d,
		 sizeof(d));
}

static void f_orphan_item(struct image *im)
{
	orphan_put(im, im->file, 0x10);
}

static void f_orphan_target(struct image *im)
{
	orphan_put(im, 4711, OWFS_ORPHAN_UNLINKED);
}

static void f_orphan_with_name(struct image *im)
{
	orphan_put(im, im->file, OWFS_ORPHAN_UNLINKED);
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
static void f_node_twice(struct image *im)
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

static void f_node_place(struct image *im)
{
	edit_begin(im);
	grow_tree(im);
	edit_end(im);
	root_edit(im, move_child, NULL);
}

static void f_map_leak(struct image *im)
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

static void f_map_free(struct image *im)
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

static void f_map_read(struct image *im)
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

static void f_map_count(struct image *im)
{
	super_edit(im, one_more_free, NULL);
}

static void one_more_freed(struct owfs_super *sb, void *ctx)
{
	(void)ctx;
	sb->root[0].map.freed_blocks++;
}

static void f_map_freed(struct image *im)
{
	super_edit(im, one_more_freed, NULL);
}

/* --------------------------------------------------------------- the table */

const struct defect defects[] = {
#define RAW(f, ...)	{ #f, f, true, false, { __VA_ARGS__, DEFECT_LAST } }
#define DUP(f, ...)	{ #f, f, true, true, { __VA_ARGS__, DEFECT_LAST } }
#define ITEM(f, ...)	{ #f, f, false, false, { __VA_ARGS__, DEFECT_LAST } }
	RAW(f_super_slot, BAD_SUPER_SLOT),
	RAW(f_super_slots, BAD_SUPER_SLOTS, BAD_SUPER_SLOT),
	RAW(f_super_order, BAD_SUPER_ORDER),
	RAW(f_node_read, BAD_NODE_READ),
	DUP(f_first_copy, BAD_NODE_COPY),
	DUP(f_second_copy, BAD_NODE_COPY),
	DUP(f_both_copies, BAD_NODE_READ),
	ITEM(f_node_twice, BAD_NODE_TWICE, BAD_XATTR_VALUE),
	RAW(f_node_place, BAD_NODE_PLACE, BAD_XATTR_VALUE, BAD_MAP_LEAK,
	    BAD_MAP_COUNT),
	ITEM(f_item_type, BAD_ITEM_TYPE),
	ITEM(f_item_reserved_type, BAD_ITEM_TYPE),
	ITEM(f_item_object, BAD_ITEM_OBJECT),
	ITEM(f_item_alone, BAD_ITEM_ALONE, BAD_DIRENT_TARGET),
	ITEM(f_item_misfit, BAD_ITEM_MISFIT),
	ITEM(f_inode_mode, BAD_INODE_ITEM),
	ITEM(f_inode_unknown_flag, BAD_INODE_ITEM),
	ITEM(f_inode_misfit_flag, BAD_INODE_ITEM),
	ITEM(f_inode_time, BAD_INODE_ITEM),
	ITEM(f_inode_short, BAD_INODE_ITEM),
	ITEM(f_inode_limit, BAD_INODE_LIMIT, BAD_INODE_LOST),
	ITEM(f_inode_birth, BAD_INODE_BIRTH),
	ITEM(f_inode_nblocks, BAD_INODE_NBLOCKS),
	ITEM(f_inode_flags, BAD_INODE_FLAGS, BAD_ORPHAN_FLAGS),
	ITEM(f_dir_size, BAD_DIR_SIZE),
	ITEM(f_dir_nlink, BAD_DIR_NLINK),
	ITEM(f_dirent_item, BAD_DIRENT_ITEM, BAD_INODE_LOST),
	ITEM(f_dirent_hash, BAD_DIRENT_HASH),
	ITEM(f_dirent_twice, BAD_DIRENT_TWICE, BAD_DIR_SIZE, BAD_INODE_NLINK),
	ITEM(f_dirent_target, BAD_DIRENT_TARGET, BAD_INODE_LOST),
	ITEM(f_dirent_ftype, BAD_DIRENT_FTYPE),
	ITEM(f_inode_nlink, BAD_INODE_NLINK),
	ITEM(f_inode_lost, BAD_INODE_LOST),
	ITEM(f_inode_without_orphan, BAD_ORPHAN_FLAGS),
	ITEM(f_dir_names, BAD_DIR_NAMES),
	ITEM(f_dir_parent, BAD_DIR_PARENT),
	ITEM(f_dir_loop, BAD_DIR_LOOP),
	ITEM(f_root_gone, BAD_ROOT_DIR, BAD_ITEM_ALONE),
	ITEM(f_symlink_nul, BAD_SYMLINK_ITEM),
	ITEM(f_symlink_hole, BAD_SYMLINK_ITEM, BAD_SYMLINK_SIZE),
	ITEM(f_symlink_size, BAD_SYMLINK_SIZE),
	ITEM(f_xattr_item, BAD_XATTR_ITEM),
	ITEM(f_xattr_hash, BAD_XATTR_HASH),
	ITEM(f_xattr_twice, BAD_XATTR_TWICE),
	ITEM(f_xattr_chunk_gone, BAD_XATTR_VALUE),
	ITEM(f_xattr_value_gone, BAD_XATTR_VALUE),
	ITEM(f_xattr_stray_chunk, BAD_XATTR_VALUE),
	ITEM(f_acl_malformed, BAD_ACL_VALUE),
	ITEM(f_acl_on_link, BAD_ACL_VALUE),
	ITEM(f_acl_default_on_file, BAD_ACL_VALUE),
	ITEM(f_acl_in_chunks, BAD_ACL_VALUE),
	ITEM(f_acl_mode, BAD_ACL_MODE),
	ITEM(f_extent_flags, BAD_EXTENT_ITEM, BAD_INODE_NBLOCKS, BAD_MAP_LEAK,
	     BAD_MAP_COUNT),
	ITEM(f_extent_place, BAD_EXTENT_PLACE, BAD_INODE_NBLOCKS, BAD_MAP_LEAK,
	     BAD_MAP_COUNT),
	ITEM(f_extent_past_device, BAD_EXTENT_PLACE, BAD_INODE_NBLOCKS,
	     BAD_MAP_LEAK, BAD_MAP_COUNT),
	ITEM(f_extent_overlap, BAD_EXTENT_OVERLAP, BAD_EXTENT_TWICE),
	ITEM(f_extent_twice, BAD_EXTENT_TWICE),
	ITEM(f_extent_birth, BAD_EXTENT_BIRTH, BAD_INODE_NBLOCKS, BAD_MAP_LEAK,
	     BAD_MAP_COUNT),
	ITEM(f_extent_eof, BAD_EXTENT_EOF),
	ITEM(f_intent_item, BAD_INTENT_ITEM),
	ITEM(f_intent_overlap, BAD_INTENT_OVERLAP),
	ITEM(f_intent_without_orphan, BAD_ORPHAN_FLAGS),
	ITEM(f_orphan_item, BAD_ORPHAN_ITEM),
	ITEM(f_orphan_target, BAD_ORPHAN_TARGET),
	ITEM(f_orphan_with_name, BAD_ORPHAN_FLAGS),
	ITEM(f_map_leak, BAD_MAP_LEAK, BAD_MAP_COUNT),
	ITEM(f_map_free, BAD_MAP_FREE, BAD_MAP_COUNT),
	RAW(f_map_read, BAD_MAP_READ),
	RAW(f_map_count, BAD_MAP_READ, BAD_MAP_COUNT),
	RAW(f_map_freed, BAD_MAP_FREED),
};

const size_t ndefects = ARRAY_SIZE(defects);
