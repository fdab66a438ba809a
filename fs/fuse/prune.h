/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How many inodes the kernel may remember.
 *
 * What the kernel remembers we have to remember, too, and it forgets only when
 * memory runs short on the whole machine.  So when there are more than fit into
 * what cache= allows, a thread of its own asks the kernel to let the coldest
 * ones go.  Kernels before 6.18 cannot be asked; there the server grows with
 * what the kernel remembers.
 */
#ifndef OWFS_FUSE_PRUNE_H
#define OWFS_FUSE_PRUNE_H

#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>

struct server;

struct owfs_prune {
	uint64_t limit;		/* inodes; set before use */
	sem_t wanted;
	uint64_t rest_secs;	/* the thread's: how long after the last round */
	bool asked;		/* atomic; the thread has been told */
	bool stop;		/* atomic */
	bool running;
	pthread_t thread;
};

/* Once the kernel has said what it can do (INIT). */
void owfs_prune_start(struct server *srv);
/* The session is over. */
void owfs_prune_stop(struct server *srv);
/* The kernel was given one more inode: never waits. */
void owfs_prune_look(struct server *srv);

#endif
