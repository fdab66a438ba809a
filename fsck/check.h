/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The complete check of a filesystem, as a function: no globals, no exit, no
 * output but through the sink it is given.  fsck.owfs is one caller, the crash
 * tests are the other.
 *
 * Nothing is written.  The device must not change meanwhile; if it does, the
 * report may name problems that are none.
 */
#ifndef OWFS_FSCK_CHECK_H
#define OWFS_FSCK_CHECK_H

#include "base/msg.h"
#include "io/blkdev.h"
#include "problem.h"
#include "trans/super.h"
#include "tree/key.h"

/* Which commits to look at; the superblocks are always looked at. */
#define OWFS_CHECK_CURRENT	0x1u
#define OWFS_CHECK_PREVIOUS	0x2u	/* none there is no problem */

/*
 * A commit of a filesystem in use, which does not change: where the space map's
 * slots may be rewritten, @bits tells what they had.
 */
struct owfs_check_kept {
	const struct owfs_super *super;
	int (*bits)(void *ctx, uint64_t g, uint64_t *bits);
	/* one of two copies of a node is bad: 0 if that has been mended; or NULL */
	int (*mend)(void *ctx, const struct owfs_ptr *ptr, unsigned int level,
		    const struct owfs_key *first);
	void *ctx;
};

struct owfs_check_param {
	unsigned int commits;		/* 0: OWFS_CHECK_CURRENT */
	/*
	 * Problems are errors; what is worth knowing but right is a warning;
	 * what went well is information.  NULL: silence.
	 */
	const struct owfs_msg *msg;
	unsigned int max_lines;		/* of each kind of problem; 0: 20 */
	const struct owfs_check_kept *kept;	/* NULL: the device's last commits */
	bool search;			/* repair: look for superblocks everywhere */
	uint64_t hash_mask;		/* tests with weakened name hashes; 0: all bits */
	/* @done of @total in @pass, now and then; non-zero cancels. NULL: none */
	int (*progress)(void *ctx, unsigned int pass, uint64_t done,
			uint64_t total);
	void *progress_ctx;
};

struct owfs_check_report {
	unsigned int problems;			/* all of them */
	unsigned int count[OWFS_PROBLEM_KINDS];	/* by number */
	unsigned int mended;			/* that are none any more; not among them */
	char first[1024];			/* the first, as it was said */

	/* what the last commit checked consists of */
	uint64_t gen;
	uint64_t nodes, items;
	uint64_t files, dirs, symlinks, others, orphans;
	uint64_t extents, data_blocks, used_blocks, free_blocks, nblocks;
	uint32_t blocksize;
	bool clean;				/* the superblock says so */
};

#define OWFS_CHECK_PASSES	5

/*
 * 0: checked, and @report says what was found; or why it could not be done:
 * -ENODEV no owfs here, -EPROTONOSUPPORT features this program does not know,
 * -ENOMEM, -ECANCELED, -EFSCORRUPTED or -EFSBADCRC or -EIO if not one
 * superblock could be used.  Problems found until then are in the report.
 */
int owfs_check(struct owfs_blkdev *bd, const struct owfs_check_param *param,
	       struct owfs_check_report *report);

#endif
