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

/* Let the inode item have another value at @off, or in a field. */
void inode_poke32(struct image *im, owfs_ino_t ino, size_t off, uint32_t value);
#define POKE(im, ino, field, value) \
	inode_poke32(im, ino, offsetof(struct owfs_inode_item, field), value)

/* fsck_defects_attr.c */
void f_symlink_nul(struct image *im);
void f_symlink_hole(struct image *im);
void f_symlink_size(struct image *im);
void f_xattr_item(struct image *im);
void f_xattr_hash(struct image *im);
void f_xattr_twice(struct image *im);
void f_xattr_chunk_gone(struct image *im);
void f_xattr_value_gone(struct image *im);
void f_xattr_stray_chunk(struct image *im);
void f_acl_malformed(struct image *im);
void f_acl_on_link(struct image *im);
void f_acl_default_on_file(struct image *im);
void f_acl_in_chunks(struct image *im);
void f_acl_mode(struct image *im);

uint64_t slot_pos(unsigned int slot);
unsigned int slot_due(struct image *im);
/* A truncation that is not done yet: no defect. */
void make_intent(struct image *im);
/* So many items that the tree has more than one leaf; committed. */
void grow_tree(struct image *im);

#endif
