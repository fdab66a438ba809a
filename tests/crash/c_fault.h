/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What c_fault.c and c_lies.c play, and the tree that they play it on.
 */
#ifndef OWFS_TESTS_C_FAULT_H
#define OWFS_TESTS_C_FAULT_H

#include "rig.h"

#define FAULT_STEPS	9	/* of a scene at most */

/* Steps besides the model's operations. */
enum {
	STEP_END = OP_KINDS,
	STEP_READ,		/* the whole file */
	STEP_LIST,		/* the directory */
	STEP_XATTR,		/* its attributes */
	STEP_HOLD,		/* keep it open ... */
	STEP_RELEASE,		/* ... no more */
	STEP_RECLAIM,
	STEP_COMMIT,		/* one whole commit, step by step */
	STEP_EVICT,
};

struct scene {
	const char *name;
	unsigned int copies;	/* of metadata; 0: 1 */
	bool mount;		/* faults come before it is mounted */
	bool tree;		/* reads nothing else: a second copy helps */
	bool discard;
	bool full;		/* the device is: some may answer -ENOSPC */
	struct op steps[FAULT_STEPS];
};

#define OP(kind_, ...)	{ .kind = (enum op_kind)(kind_), __VA_ARGS__ }
#define END		OP(STEP_END)
#define SYNC		OP(OP_SYNC)
#define ON(kind, p, ...)	OP(kind, .path = p, __VA_ARGS__)

extern const struct scene fault_scenes[];
extern const unsigned int fault_nscenes;
#define FAULT_SCENES_MAX	128

/*
 * A step that is no operation of the model.  @held is what is kept open; what is
 * looked at is hashed into *@hash.
 */
int fault_step(struct owfs_fs *fs, const struct op *op,
	       struct owfs_inode **held, uint64_t *hash);

/*
 * What every scene begins with; ends as a crash would, with an unlinked file
 * and a doomed range left over.  @m follows, or is NULL.  Exits if it fails.
 */
void fault_make_tree(struct owfs_fs *fs, struct model *m);
/* Take all room that there is, for the file "fill"; contents stay as they are. */
void fault_fill(struct owfs_fs *fs);

#endif
