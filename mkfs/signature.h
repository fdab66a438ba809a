/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What stands on a device that we would destroy: filesystems, RAIDs, volumes
 * and partition tables as libblkid knows them, and owfs itself.
 */
#ifndef OWFS_MKFS_SIGNATURE_H
#define OWFS_MKFS_SIGNATURE_H

#include "io/blkdev.h"

/*
 * 1 and a description in @what ("an ext4 filesystem labelled home"), 0 if
 * nothing was recognised, or -errno.  @bd begins at @offset of its file.
 */
int owfs_signature_find(struct owfs_blkdev *bd, uint64_t offset, char *what,
			size_t size);
/*
 * Erase every signature that libblkid finds, then everything in the boot area
 * and in the last blocks, where others keep second copies.
 */
int owfs_signature_wipe(struct owfs_blkdev *bd, uint64_t offset);

#endif
