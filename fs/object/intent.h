/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Doomed ranges of files.
 *
 * Taking away a range with very many extents is recorded, in one small
 * transaction, as an intent [first, end): from then on every lookup sees a
 * hole there.  Reclaim takes the extents away in bounded steps, moving the
 * intent's beginning forward; the last step deletes it.  A new mapping never
 * enters a doomed range: the ioend or fallocate that brings it frees what lies
 * below and cuts its own range out of the intent in the same transaction.  So
 * the doomed bytes never come back, whatever becomes of the size.
 *
 * Intents never overlap.  They are items of the tree and looked up there, since
 * there may be any number: an ioend that cuts one in two cannot wait for
 * reclaim.  They are changed with i_lock held for writing and read with it held
 * at all.  An inode with intents has OWFS_INODE_INTENTS set and stands among
 * the orphans.
 */
#ifndef OWFS_OBJECT_INTENT_H
#define OWFS_OBJECT_INTENT_H

#include "object/inode.h"

/*
 * So many intents of one inode make its next changer reclaim some first; fewer
 * on a small filesystem, because one truncate may have to join them all.
 */
#define OWFS_INTENTS_MANY	512u
unsigned int owfs_intents_limit(const struct owfs_fs *fs);

/*
 * An inode that has the flag must have some, and the first OWFS_INTENTS_MANY be
 * sound; others are looked at when they are met.  Nobody else has the inode yet.
 */
int owfs_intents_check(const struct owfs_inode *inode);
/* What owfs_intent_prepare() has in memory. */
void owfs_intents_free(struct owfs_inode *inode);

/*
 * Is @off doomed?  1 or 0; *@until: where that changes, UINT64_MAX never.  May
 * read.  Caller holds i_lock.
 */
int owfs_intent_covers(const struct owfs_inode *inode, owfs_fileoff_t off,
		       owfs_fileoff_t *until);
static inline bool owfs_inode_has_intents(const struct owfs_inode *inode)
{
	return inode->i_attr.flags & OWFS_INODE_INTENTS;
}
/* As many as the limit?  1 or 0; may read.  Caller holds i_lock. */
int owfs_intents_are_many(const struct owfs_inode *inode);

/*
 * What @n changes inside [first, end) will need, read into memory: before the
 * transaction.  *@items is how many items may change there.  Caller holds i_lock
 * for writing, from here to the last of the changes, which are the two below.
 */
int owfs_intent_prepare(struct owfs_inode *inode, owfs_fileoff_t first,
			owfs_fileoff_t end, unsigned int n,
			unsigned int *items);
/*
 * [first, end) is doomed from now on.  The caller stores the inode, and queues
 * it for reclaim afterwards.
 */
int owfs_intent_add(struct owfs_trans *tr, struct owfs_inode *inode,
		    owfs_fileoff_t first, owfs_fileoff_t end);
/* [first, end) is not doomed any more. */
int owfs_intent_cut(struct owfs_trans *tr, struct owfs_inode *inode,
		    owfs_fileoff_t first, owfs_fileoff_t end);

/*
 * One bounded transaction of reclaim; takes i_lock.  1: there may be more;
 * 0: no intents; -EAGAIN as begin, no lock is held then.
 */
int owfs_intent_reclaim_step(struct owfs_inode *inode);
/* The same for who holds i_lock for writing. */
int owfs_intent_reclaim_locked(struct owfs_inode *inode);
/* The same for the smallest intent, until there are no longer many. */
int owfs_intent_make_room(struct owfs_inode *inode);

#endif
