/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Access times: changed in memory by reading, and written only together with
 * something else: a change of the inode, or an unmount.  A crash loses what has
 * not been written, which no promise covers.
 */
#ifndef OWFS_FILE_ATIME_H
#define OWFS_FILE_ATIME_H

#include "object/inode.h"

/*
 * Something of @inode was read: contents, entries, the target.  Whether that
 * changes its access time is said by mount options, the inode's flags and what
 * the time is now.  Takes i_lock.
 */
void owfs_atime_touch(struct owfs_inode *inode);

/*
 * Write what has not been written, as far as that goes without waiting for
 * room.  At unmount: nobody else uses the filesystem.
 */
void owfs_atime_flush(struct owfs_fs *fs);

#endif
