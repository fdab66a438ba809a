/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Repair, as a function: like the check it has no globals, no exit and no
 * output of its own.
 *
 * A repair goes in rounds.  Each begins with a complete check; then what the
 * first pass with problems asks for is done and committed, and the next round
 * sees what is left.  So every state on the way is one that a commit wrote,
 * and whoever is killed half way begins with what has been done.
 */
#ifndef OWFS_FSCK_REPAIR_H
#define OWFS_FSCK_REPAIR_H

#include "check.h"
#include "trans/fs.h"

struct owfs_repair_param {
	struct owfs_check_param check;
	const struct owfs_env *env;	/* NULL: the system's */
	/* @line was just said.  Shall it be repaired?  Not asked if it cannot be. */
	bool (*ask)(void *ctx, const struct owfs_problem_info *info,
		    const char *line);
	void *ask_ctx;
	/*
	 * -p: @ask says yes to what is safe and no to the rest.  What the rest
	 * may still need stays as it is: see repair.c.
	 */
	bool only_safe;
};

struct owfs_repair_report {
	struct owfs_check_report left;	/* of the last round */
	unsigned int corrected;		/* problems that are known to be gone */
	unsigned int refused;		/* in the last round */
	bool changed;			/* something was written */
};

/*
 * As owfs_check(), and the errors of writing.  Every problem is said once.
 * If none is left, the filesystem is marked clean.
 */
int owfs_repair(struct owfs_blkdev *bd, const struct owfs_repair_param *param,
		struct owfs_repair_report *report);

#endif
