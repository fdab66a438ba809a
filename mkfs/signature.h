/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What stands on a device that we would destroy: filesystems, RAIDs, volumes
 * and partition tables as libblkid knows them, and owfs itself.
 */
#ifndef OWFS_MKFS_SIGNATURE_H
#define OWFS_MKFS_SIGNATURE_H

#include "io/blkdev.h"

struct owfs_signatures;

/*
 * Get ready to look at @bd, which begins at @offset of its file: opens what
 * that takes, and does not read from it yet.  Once it was found and looked at,
 * what is there can also be erased.
 */
int owfs_signatures_open(struct owfs_signatures **sigp, struct owfs_blkdev *bd,
			 uint64_t offset);
void owfs_signatures_close(struct owfs_signatures *sig);	/* NULL is fine */

/*
 * 1 and a description in @what ("an ext4 filesystem labelled home"), 0 if
 * nothing was recognised, or -errno.
 */
int owfs_signatures_find(struct owfs_signatures *sig, struct owfs_blkdev *bd,
			 char *what, size_t size);
/*
 * Erase every signature that libblkid finds, then everything in the boot area
 * and in the last blocks of @bd, where others keep second copies.  By now it
 * may be longer than it was.
 */
int owfs_signatures_wipe(struct owfs_signatures *sig, struct owfs_blkdev *bd);

#endif
