/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A commit that is kept for a check while others write, as fsck.owfs of a
 * mounted filesystem has it: what it reads, it reads through the filesystem.
 * And nodes one of whose two copies is bad.
 */
#ifndef OWFS_TESTS_KEPT_H
#define OWFS_TESTS_KEPT_H

#include "check.h"
#include "emubd.h"
#include "rng.h"
#include "trans/fs.h"

struct kept {
	struct owfs_blkdev bd;		/* first: what the check reads */
	struct owfs_fs *fs;
	uint64_t id;
	struct owfs_super sb;
	bool active;
	bool lost;			/* it was given up while it was read */
	struct owfs_check_report seen;	/* by the first check */
	bool has_seen;
	char why[300];
};

/* 0, or why it cannot be kept. */
int kept_begin(struct kept *k, struct owfs_fs *fs);
/*
 * Check all of it; @mend: bad copies are written anew by the filesystem.  0: it
 * is whole, the same as at the first time, and has bad copies at most; 1: it has
 * been given up; -1: it is not, see ->why.
 */
int kept_check(struct kept *k, bool mend);
void kept_end(struct kept *k);

/*
 * Damage one copy of some nodes of the last commit on @e, which nobody has
 * mounted.  How many, or -errno.
 */
int kept_hurt(struct emubd *e, struct rng *rng);

#endif
