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

/* Two of the bytes of an entry's name are changed by so many bits. */
static void bend_name(struct image *im, int one, int two)
{
	char val[OWFS_ITEM_MAX];
	struct owfs_dirent_item *d = (void *)val;
	size_t len;
	struct owfs_key key = entry_of(im, im->sub, im->deep, val, &len);

	d->name[1] = (char)(d->name[1] ^ one);
	d->name[2] = (char)(d->name[2] ^ two);
	item_put(im, key, val, len);
}

static void f_dirent_item(struct image *im)
{
	bend_name(im, 'e' ^ '/', 1);	/* "deep" */
}

static void f_dirent_hash(struct image *im)
{
	bend_name(im, 1, 1);
}

static void f_dirent_name(struct image *im)
{
	bend_name(im, 1, 0);
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

struct owfs_extent_item extent_get(struct image *im, owfs_ino_t ino,
				   uint64_t off)
{
	struct owfs_extent_item d;

	assert_int_equal(item_get(im, owfs_key(ino, OWFS_ITEM_EXTENT, off), &d,
				  sizeof(d)), sizeof(d));
	return d;
}

void extent_put(struct image *im, owfs_ino_t ino, uint64_t off,
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

void orphan_put(struct image *im, owfs_ino_t ino, uint32_t flags)
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

/* --------------------------------------------------------------- the table */

const struct defect defects[] = {
#define RAW(f, ...)	{ #f, f, true, false, { __VA_ARGS__, DEFECT_LAST } }
#define DUP(f, ...)	{ #f, f, true, true, { __VA_ARGS__, DEFECT_LAST } }
#define ITEM(f, ...)	{ #f, f, false, false, { __VA_ARGS__, DEFECT_LAST } }
	RAW(f_super_slot, BAD_SUPER_SLOT),
	RAW(f_super_slots, BAD_SUPER_SLOTS, BAD_SUPER_SLOT),
	RAW(f_super_order, BAD_SUPER_ORDER),
	RAW(f_node_read, BAD_NODE_READ),
	RAW(f_leaf_lost, BAD_NODE_READ, BAD_XATTR_VALUE),
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
	ITEM(f_dirent_name, BAD_DIRENT_NAME),
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
	ITEM(f_xattr_name, BAD_XATTR_NAME),
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

/* ------------------------------------------------------------------ making */

struct image defect_base, defect_base_dup;

int defects_setup(void **state)
{
	(void)state;
	image_make(&defect_base, 4096, 1);
	image_make(&defect_base_dup, 4096, 2);
	return 0;
}

int defects_teardown(void **state)
{
	(void)state;
	image_free(&defect_base);
	image_free(&defect_base_dup);
	return 0;
}

void defect_make(const struct defect *d, struct image *im)
{
	image_fork(im, d->dup ? &defect_base_dup : &defect_base);
	if (!d->raw)
		edit_begin(im);
	d->make(im);
	if (!d->raw)
		edit_end(im);
}

bool defect_stays(const struct defect *d)
{
	int i;

	for (i = 0; d->want[i] != DEFECT_LAST; i++)
		if (owfs_problem_info(d->want[i])->answer == OWFS_ANSWER_NONE)
			return true;
	return false;
}
