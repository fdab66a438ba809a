/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A table of sets of four places; an inode's set is its number's low bits, so
 * that the neighbours of a directory do not compete.
 */
#include <pthread.h>
#include <stdlib.h>

#include "object/atimes.h"

#define WAYS	4u
#define SETS	16384u	/* 1.5 MiB together, as far as it is used */

struct note {
	owfs_ino_t ino;		/* 0: none */
	struct timespec atime;
};

struct owfs_atimes {
	pthread_mutex_t lock;
	size_t n;		/* lock for writing; atomic */
	struct note set[SETS][WAYS];	/* lock */
};

struct owfs_atimes *owfs_atimes_new(void)
{
	struct owfs_atimes *at = calloc(1, sizeof(*at));

	if (at)
		pthread_mutex_init(&at->lock, NULL);
	return at;
}

void owfs_atimes_free(struct owfs_atimes *at)
{
	if (!at)
		return;
	pthread_mutex_destroy(&at->lock);
	free(at);
}

static struct note *set_of(struct owfs_atimes *at, owfs_ino_t ino)
{
	return at->set[ino % SETS];
}

static bool is_older(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec < b->tv_sec ||
	       (a->tv_sec == b->tv_sec && a->tv_nsec < b->tv_nsec);
}

/* The place of @ino, or a free one, or the one with the oldest time. */
static struct note *place_for(struct note *set, owfs_ino_t ino)
{
	struct note *best = &set[0];
	unsigned int i;

	for (i = 0; i < WAYS; i++) {
		if (set[i].ino == ino)
			return &set[i];
		if (best->ino && (!set[i].ino ||
				  is_older(&set[i].atime, &best->atime)))
			best = &set[i];
	}
	return best;
}

static void count(struct owfs_atimes *at, size_t by)
{
	__atomic_store_n(&at->n, at->n + by, __ATOMIC_RELAXED);
}

void owfs_atimes_note(struct owfs_atimes *at, owfs_ino_t ino,
		      const struct timespec *atime, bool *noted)
{
	struct note *p;

	pthread_mutex_lock(&at->lock);
	if (!*noted) {
		*noted = true;
		p = place_for(set_of(at, ino), ino);
		if (!p->ino)
			count(at, 1);
		*p = (struct note){ ino, *atime };
	}
	pthread_mutex_unlock(&at->lock);
}

bool owfs_atimes_take(struct owfs_atimes *at, owfs_ino_t ino,
		      struct timespec *atime)
{
	struct note *set = set_of(at, ino);
	bool found = false;
	unsigned int i;

	if (!__atomic_load_n(&at->n, __ATOMIC_RELAXED))
		return false;
	pthread_mutex_lock(&at->lock);
	for (i = 0; i < WAYS && !found; i++) {
		if (set[i].ino != ino)
			continue;
		found = true;
		*atime = set[i].atime;
		set[i].ino = 0;
		count(at, (size_t)-1);
	}
	pthread_mutex_unlock(&at->lock);
	return found;
}

size_t owfs_atimes_list(struct owfs_atimes *at, owfs_ino_t *list, size_t max)
{
	size_t i, n = 0;

	pthread_mutex_lock(&at->lock);
	for (i = 0; i < (size_t)SETS * WAYS; i++) {
		const struct note *p = &at->set[i / WAYS][i % WAYS];

		if (!p->ino)
			continue;
		if (n < max)
			list[n] = p->ino;
		n++;
	}
	pthread_mutex_unlock(&at->lock);
	return n;
}
