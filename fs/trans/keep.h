/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A commit kept for a check of a filesystem in use.  Whoever checks reads it
 * through here, which is also how he shows that he is still there: a check that
 * was killed is forgotten after a while, at once if another one wants to begin.
 * When space is short the commit is given up; from then on every answer is
 * -ESTALE.
 */
#ifndef OWFS_TRANS_KEEP_H
#define OWFS_TRANS_KEEP_H

#include "trans/fs.h"

#define OWFS_KEEP_SECS	60u	/* without a call, until it is forgotten */
#define OWFS_KEEP_IDLE	3u	/* ... if somebody else wants to check */

int owfs_keep_open(struct owfs_fs *fs);
void owfs_keep_close(struct owfs_fs *fs);
/* For tests: seconds. */
void owfs_keep_clock(struct owfs_fs *fs, uint64_t (*now)(void));

/*
 * Keep the last durable commit: *sb is its superblock, *id what the calls below
 * want.  Waits for a commit under way.  -EBUSY: somebody else checks.
 */
int owfs_keep_begin(struct owfs_fs *fs, struct owfs_super *sb, uint64_t *id);
void owfs_keep_end(struct owfs_fs *fs, uint64_t id);
/* Bytes of the device, as that commit has them. */
int owfs_keep_read(struct owfs_fs *fs, uint64_t id, void *buf, size_t len,
		   loff_t pos);
/* The used bits of group @g, for the checker's own bitmap. */
int owfs_keep_bits(struct owfs_fs *fs, uint64_t id, uint64_t g, uint64_t *bits);

/* Commit calls this. */
void owfs_keep_expire(struct owfs_fs *fs);

#endif
