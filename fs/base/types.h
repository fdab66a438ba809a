/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The units owfs counts in.  A number that is a place on the device, a place
 * in a file or a point in the history of the filesystem says so in its type;
 * bytes are loff_t (position) and size_t (length).
 */
#ifndef OWFS_BASE_TYPES_H
#define OWFS_BASE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef uint64_t owfs_fsblock_t;	/* block of the device */
typedef uint64_t owfs_fileoff_t;	/* block of a file */
typedef uint64_t owfs_ino_t;		/* inode number */
typedef uint64_t owfs_gen_t;		/* generation: one commit's worth of changes */

/* No block.  Block 0 is boot area, so no mapping can ever mean it. */
#define OWFS_NOBLOCK	((owfs_fsblock_t)0)

#endif
