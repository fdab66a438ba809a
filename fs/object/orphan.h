/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Work that outlives an operation: inodes without a name, and files with
 * doomed ranges (intents).
 *
 * Each such inode has an OWFS_ITEM_ORPHAN, written in the transaction that
 * made the work and deleted in the one that finishes it; so a mount finds all
 * work that a crash interrupted.  In memory a queue of inode numbers says what
 * is ready.  An unlinked inode is ready when nobody refers to it any more;
 * owfs_iput() queues it.  If memory for the queue runs out, the orphan items
 * themselves are read again: nothing is forgotten.
 *
 * Removal of an inode goes in steps of one small transaction each: extents
 * first, then everything else, the inode item and the orphan item last.
 */
#ifndef OWFS_OBJECT_ORPHAN_H
#define OWFS_OBJECT_ORPHAN_H

#include "object/inode.h"

/* Floor 6 opens the table of inodes, then this; closes in the same order. */
int owfs_reclaim_open(struct owfs_fs *fs);
void owfs_reclaim_close(struct owfs_fs *fs);

/* OWFS_ORPHAN_ flags that an inode with these attributes must have. */
uint32_t owfs_orphan_flags(const struct owfs_attr *attr);

/*
 * i_attr changed in this transaction; before that, its orphan flags were
 * @was.  Inserts, updates or deletes the orphan item to match.  Caller holds
 * i_lock for writing; counts as one more place of the transaction; prefetch
 * owfs_orphan_key().  After the transaction queue the inode if there is work
 * (owfs_iput() does it for unlinked ones).
 */
int owfs_orphan_follow(struct owfs_trans *tr, const struct owfs_inode *inode,
		       uint32_t was);
struct owfs_key owfs_orphan_key(owfs_ino_t ino);

/*
 * Inode @ino has work ready: unlinked and unused, or live intents.  Any lock
 * may be held; never waits for the device.
 */
void owfs_reclaim_queue(struct owfs_fs *fs, owfs_ino_t ino);
/* Look at the orphan items in the tree again, from the first (mount does). */
void owfs_reclaim_rescan(struct owfs_fs *fs);

/*
 * One bounded transaction of background work, holding no lock before or
 * after.  1: there is more; 0: nothing is ready; -EAGAIN: room is needed
 * first, the work stays queued, commit and call again; other errors: that
 * inode's work is left for the next mount.
 */
int owfs_reclaim_run(struct owfs_fs *fs);

/* A thread that does it all as it comes. */
int owfs_reclaim_start(struct owfs_fs *fs);
void owfs_reclaim_stop(struct owfs_fs *fs);	/* waits for it; also without one */

#endif
