/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A filesystem in use: floors 1 to 6 opened together, with background reclaim.
 * What a transport calls first and last.
 */
#ifndef OWFS_FILE_MOUNT_H
#define OWFS_FILE_MOUNT_H

#include <sys/statvfs.h>

#include "object/inode.h"

/*
 * Opens the filesystem, checks the root directory, finds orphans and intents
 * of before (reclaim resumes unless read-only), starts threads if asked.
 */
int owfs_mount(struct owfs_fs **fsp, const struct owfs_fs_param *param);
/* The threads of one that was to start later. */
int owfs_mount_start(struct owfs_fs *fs);
/*
 * Everything durable and marked clean; then all memory is given back.  The
 * device stays the caller's.  Returns the first error; the handle is gone
 * either way.
 */
int owfs_unmount(struct owfs_fs *fs);
/* Memory given back, nothing written: what a crash leaves (tests, failed start-up). */
void owfs_mount_abandon(struct owfs_fs *fs);

int owfs_statfs(struct owfs_fs *fs, struct statvfs *st);
int owfs_syncfs(struct owfs_fs *fs);
/*
 * Discard free blocks in the bytes [start, start + len), runs of at least
 * @minlen; *trimmed bytes.  @stop is asked now and then.  -EINVAL: the range
 * begins behind the end or is less than a block, or no run can be so long.
 */
int owfs_trim(struct owfs_fs *fs, uint64_t start, uint64_t len, uint64_t minlen,
	      bool (*stop)(void *ctx), void *ctx, uint64_t *trimmed);
/* Background work: 1 there is more, 0 none; tests call it as the scheduler wants. */
int owfs_reclaim_step(struct owfs_fs *fs);

#endif
