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

uint64_t slot_pos(unsigned int slot);
unsigned int slot_due(struct image *im);
/* A truncation that is not done yet: no defect. */
void make_intent(struct image *im);
/* So many items that the tree has more than one leaf; committed. */
void grow_tree(struct image *im);

#endif
