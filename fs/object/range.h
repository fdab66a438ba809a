/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Locks on block ranges of one file: readers share, a writer is alone in its
 * range.  A write holds its blocks from before it reads the old edges until
 * its ioend is done, so that two writers in one block lose nothing; a read
 * holds its blocks while the device reads, so that a replaced block is not
 * handed back under it; truncate holds from the new end to infinity.
 * Waiting is fair by arrival: a range is granted when no earlier request,
 * granted or waiting, conflicts with it.
 */
#ifndef OWFS_OBJECT_RANGE_H
#define OWFS_OBJECT_RANGE_H

#include <pthread.h>

#include "base/types.h"

struct owfs_range {			/* on the caller's stack */
	owfs_fileoff_t first, last;	/* blocks, inclusive; last UINT64_MAX: to the end */
	bool exclusive;
	struct owfs_range *next;	/* rl_lock; by arrival */
};

struct owfs_range_lock {
	pthread_mutex_t rl_lock;
	pthread_cond_t rl_wait;
	struct owfs_range *rl_head, **rl_tail;
};

void owfs_range_init(struct owfs_range_lock *rl);
void owfs_range_destroy(struct owfs_range_lock *rl);
void owfs_range_lock(struct owfs_range_lock *rl, struct owfs_range *r,
		     owfs_fileoff_t first, owfs_fileoff_t last, bool exclusive);
void owfs_range_unlock(struct owfs_range_lock *rl, struct owfs_range *r);

#endif
