/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a repair overwrites, kept in a file, and put back from it.
 *
 * The file begins with a header and grows by a record for each write: place,
 * length, checksum, and the bytes that stood there.  A record is on its device
 * before the write it is about begins.  A record that is not whole at the end
 * of the file is of a write that never began.
 */
#ifndef OWFS_FSCK_UNDO_H
#define OWFS_FSCK_UNDO_H

#include "io/blkdev.h"

/*
 * A device that keeps in a new file @path what is overwritten on @below, which
 * it takes over.  -EEXIST: there is such a file, and it may be wanted.
 */
int undo_open(const char *path, struct owfs_blkdev *below,
	      struct owfs_blkdev **bdp);

/*
 * Put everything back that the file @fd holds, the last write first; *n writes.
 * -ENODEV no such file as above, -EINVAL one for another device, -EFSBADCRC damaged in the middle.
 * Nothing is written unless all of it can be read.
 */
int undo_restore(int fd, struct owfs_blkdev *bd, uint64_t *n);

#endif
