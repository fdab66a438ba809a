/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One way to be wrong for each problem, and how the check must call it. */
#ifndef OWFS_TESTS_FSCK_DEFECTS_H
#define OWFS_TESTS_FSCK_DEFECTS_H

#include "fsck_image.h"

#define DEFECT_LAST	OWFS_PROBLEM_KINDS

struct defect {
	const char *name;
	void (*make)(struct image *im);
	bool raw;		/* of bytes: not called while items are edited */
	bool dup;		/* metadata twice */
	/* exactly these are reported, the first is the defect's own */
	enum owfs_problem want[6];
};
extern const struct defect defects[];
extern const size_t ndefects;

/* What they are made in: nodes written once, and twice. */
extern struct image defect_base, defect_base_dup;
int defects_setup(void **state);
int defects_teardown(void **state);
/* One of those with the defect; the caller's to free. */
void defect_make(const struct defect *d, struct image *im);
/* There is no repair for it. */
bool defect_stays(const struct defect *d);

/* Let the inode item have another value at @off, or in a field. */
void inode_poke32(struct image *im, owfs_ino_t ino, size_t off, uint32_t value);
#define POKE(im, ino, field, value) \
	inode_poke32(im, ino, offsetof(struct owfs_inode_item, field), value)

/* fsck_defects_raw.c: bytes of superblocks, nodes and the space map */
void f_super_slot(struct image *im);
void f_super_slots(struct image *im);
void f_super_order(struct image *im);
void f_node_read(struct image *im);
void f_leaf_lost(struct image *im);
void f_first_copy(struct image *im);
void f_second_copy(struct image *im);
void f_both_copies(struct image *im);
void f_node_twice(struct image *im);
void f_node_place(struct image *im);
void f_map_leak(struct image *im);
void f_map_free(struct image *im);
void f_map_read(struct image *im);
void f_map_count(struct image *im);
void f_map_freed(struct image *im);

/* fsck_defects_attr.c */
void f_symlink_nul(struct image *im);
void f_symlink_hole(struct image *im);
void f_symlink_size(struct image *im);
void f_xattr_item(struct image *im);
void f_xattr_hash(struct image *im);
void f_xattr_name(struct image *im);
void f_xattr_twice(struct image *im);
void f_xattr_chunk_gone(struct image *im);
void f_xattr_value_gone(struct image *im);
void f_xattr_stray_chunk(struct image *im);
void f_acl_malformed(struct image *im);
void f_acl_on_link(struct image *im);
void f_acl_default_on_file(struct image *im);
void f_acl_in_chunks(struct image *im);
void f_acl_mode(struct image *im);

void extent_put(struct image *im, owfs_ino_t ino, uint64_t off,
		const struct owfs_extent_item *d);
struct owfs_extent_item extent_get(struct image *im, owfs_ino_t ino,
				   uint64_t off);
void orphan_put(struct image *im, owfs_ino_t ino, uint32_t flags);

uint64_t slot_pos(unsigned int slot);
unsigned int slot_due(struct image *im);
/* A truncation that is not done yet: no defect. */
void make_intent(struct image *im);
/* So many items that the tree has more than one leaf; committed. */
void grow_tree(struct image *im);

#endif
