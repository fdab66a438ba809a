/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A few threads for work that waits long (for a commit, for gigabytes to be
 * copied), so that the session's own threads, of which there are only about
 * as many as processors, stay free for everybody else.
 */
#ifndef OWFS_FUSE_DEFER_H
#define OWFS_FUSE_DEFER_H

#include <pthread.h>
#include <stdbool.h>

#define OWFS_DEFER_THREADS	8

struct owfs_defer_job;

struct owfs_defer {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct owfs_defer_job *head, **tail;	/* lock */
	pthread_t thread[OWFS_DEFER_THREADS];
	unsigned int nthreads, idle;		/* lock */
	bool closing;				/* lock */
};

void owfs_defer_init(struct owfs_defer *d);
/*
 * Run @fn(@arg) soon in another thread; threads are made as needed.  -ENOMEM
 * or the error of making the first thread.
 */
int owfs_defer_run(struct owfs_defer *d, void (*fn)(void *arg), void *arg);
/* Finish what is queued, end the threads. */
void owfs_defer_close(struct owfs_defer *d);

#endif
