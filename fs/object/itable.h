/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of inodes in memory; what inode.c shares with its neighbours. */
#ifndef OWFS_OBJECT_ITABLE_H
#define OWFS_OBJECT_ITABLE_H

#include "object/atimes.h"
#include "object/inode.h"

struct owfs_itable {
	struct cds_lfht *it_ht;
	pthread_mutex_t it_rename;	/* the outermost lock: entries moving
					   between directories */
	pthread_mutex_t it_load_lock;	/* with it_load_done: waiting for i_state */
	pthread_cond_t it_load_done;
	uint64_t it_remembered;		/* atomic; inodes that the kernel remembers ... */
	uint64_t it_forgotten;		/* atomic; ... and has ever forgotten */
	owfs_gen_t it_dropped_gen;	/* atomic; newest i_gen of any inode dropped */
	struct owfs_atimes *it_atimes;	/* of inodes that are not in memory */
	uint64_t it_seed;		/* of it_ht's hash: in no image */
	uint64_t it_hash_mask;		/* of name hashes; tests weaken it */
	/*
	 * Floor 6's memory of an inode that goes (staging).  Called once, when
	 * nobody can find the inode any more; NULL: none.  Set before use.
	 */
	void (*it_drop)(struct owfs_inode *inode);
};

/*
 * Up to @max of the inodes, in memory or not, whose access time has not been
 * stored; how many there are.  Nobody else uses the table.
 */
size_t owfs_itable_list_atimes(struct owfs_fs *fs, owfs_ino_t *list,
			       size_t max);

/*
 * An unlinked inode is about to be removed from the tree.  False: somebody
 * besides the caller has it; his last put will queue it.  True: nobody has nor
 * gets it from now on.  Caller holds i_lock for writing and one reference.
 */
bool owfs_inode_claim(struct owfs_inode *inode);

#endif
