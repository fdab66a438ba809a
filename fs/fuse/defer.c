/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A queue under one mutex; threads stay until the end. */
#include "fuse/defer.h"

#include <errno.h>
#include <stdlib.h>

struct owfs_defer_job {
	struct owfs_defer_job *next;
	void (*fn)(void *arg);
	void *arg;
};

void owfs_defer_init(struct owfs_defer *d)
{
	pthread_mutex_init(&d->lock, NULL);
	pthread_cond_init(&d->wake, NULL);
	d->head = NULL;
	d->tail = &d->head;
	d->nthreads = d->idle = 0;
	d->closing = false;
}

/* Caller holds the lock; so it does afterwards. NULL: closing, none left. */
static struct owfs_defer_job *next_job(struct owfs_defer *d)
{
	struct owfs_defer_job *job;

	while (!d->head && !d->closing) {
		d->idle++;
		pthread_cond_wait(&d->wake, &d->lock);
		d->idle--;
	}
	job = d->head;
	if (job) {
		d->head = job->next;
		if (!d->head)
			d->tail = &d->head;
	}
	return job;
}

static void *defer_thread(void *arg)
{
	struct owfs_defer *d = arg;
	struct owfs_defer_job *job;

	pthread_mutex_lock(&d->lock);
	while ((job = next_job(d))) {
		pthread_mutex_unlock(&d->lock);
		job->fn(job->arg);
		free(job);
		pthread_mutex_lock(&d->lock);
	}
	pthread_mutex_unlock(&d->lock);
	return NULL;
}

/* Caller holds the lock. 0 if somebody will take a job. */
static int have_thread(struct owfs_defer *d)
{
	int err = 0;

	if (d->idle || d->nthreads == OWFS_DEFER_THREADS)
		return 0;
	err = pthread_create(&d->thread[d->nthreads], NULL, defer_thread, d);
	if (!err)
		d->nthreads++;
	return d->nthreads ? 0 : -err;
}

int owfs_defer_run(struct owfs_defer *d, void (*fn)(void *arg), void *arg)
{
	struct owfs_defer_job *job = malloc(sizeof(*job));
	int ret;

	if (!job)
		return -ENOMEM;
	*job = (struct owfs_defer_job){ .fn = fn, .arg = arg };
	pthread_mutex_lock(&d->lock);
	ret = have_thread(d);
	if (!ret) {
		*d->tail = job;
		d->tail = &job->next;
		pthread_cond_signal(&d->wake);
	}
	pthread_mutex_unlock(&d->lock);
	if (ret)
		free(job);
	return ret;
}

void owfs_defer_close(struct owfs_defer *d)
{
	unsigned int i;

	pthread_mutex_lock(&d->lock);
	d->closing = true;
	pthread_cond_broadcast(&d->wake);
	pthread_mutex_unlock(&d->lock);
	for (i = 0; i < d->nthreads; i++)
		pthread_join(d->thread[i], NULL);
	d->nthreads = 0;
}
