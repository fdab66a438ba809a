/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Access times of inodes that have left memory.
 *
 * An access time that reading changed is no reason to write: it waits in the
 * inode until that is stored anyway.  If the inode leaves memory before, the
 * time waits here, and the inode finds it when it is read again.  The place is
 * limited: what does not find room takes that of an older one, which is lost,
 * and so is what finds no memory.
 */
#ifndef OWFS_OBJECT_ATIMES_H
#define OWFS_OBJECT_ATIMES_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "base/types.h"

struct owfs_atimes;

/* NULL without memory. */
struct owfs_atimes *owfs_atimes_new(void);
void owfs_atimes_free(struct owfs_atimes *at);	/* NULL is fine */

/*
 * Inode @ino is about to leave memory, and its time has not been stored.
 * *@noted is the inode's own: only the first of several callers notes it.
 */
void owfs_atimes_note(struct owfs_atimes *at, owfs_ino_t ino,
		      const struct timespec *atime, bool *noted);
/* Take away what is noted for @ino. */
bool owfs_atimes_take(struct owfs_atimes *at, owfs_ino_t ino,
		      struct timespec *atime);
/* Up to @max of the inodes that have one; how many there are. */
size_t owfs_atimes_list(struct owfs_atimes *at, owfs_ino_t *list, size_t max);

#endif
