/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Making a filesystem: the first generation, built through the transaction
 * code.  Knows nothing of options, signatures or prompts (main.c does).
 */
#ifndef OWFS_MKFS_H
#define OWFS_MKFS_H

#include "trans/fs.h"

/*
 * Below that the smallest reserve there is weighs, twice, and the two copies
 * could not lie in different groups.
 */
#define OWFS_MKFS_DUP_BYTES	(128u << 20)

struct owfs_mkfs_param {
	uint32_t blocksize;		/* 0: 4096 */
	uint64_t nblocks;		/* 0: all of the device */
	unsigned int meta_copies;	/* 0: 2, or 1 below OWFS_MKFS_DUP_BYTES */
	unsigned char uuid[16];		/* all zero: random from env */
	const char *label;		/* NULL: none; at most OWFS_LABEL_MAX bytes */
	uint32_t root_uid, root_gid;
	uint32_t root_mode;		/* 0: 0755 */
	const struct owfs_env *env;	/* NULL: the system's */
	const struct owfs_msg *msg;
};

/* What would be made: fills in every default.  -EINVAL said by a message. */
int owfs_mkfs_plan(const struct owfs_blkdev *bd, struct owfs_mkfs_param *p,
		   struct owfs_super *sb);
/*
 * Make it.  The superblock slots are cleared first and written last: a device
 * on which this was interrupted is no owfs.
 */
int owfs_mkfs(struct owfs_blkdev *bd, const struct owfs_mkfs_param *p);

#endif
