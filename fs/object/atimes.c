/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A table of sets of four places; an inode's set is its number's low bits, so
 * that the neighbours of a directory do not compete.  The sets come in pages,
 * made when the first note is put there: a mount that needs none pays for none.
 */
#include <pthread.h>
#include <stdlib.h>

#include "object/atimes.h"

#define WAYS	4u
#define SETS	64u	/* of a page, 6 KiB */
#define PAGES	256u	/* 1.5 MiB together */

struct note {
	owfs_ino_t ino;		/* 0: none */
	struct timespec atime;
};

struct owfs_atimes {
	pthread_mutex_t lock;
	size_t n;		/* lock for writing; atomic */
	struct note (*page[PAGES])[WAYS];	/* lock; NULL: nothing there */
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
	unsigned int i;

	if (!at)
		return;
	for (i = 0; i < PAGES; i++)
		free(at->page[i]);
	pthread_mutex_destroy(&at->lock);
	free(at);
}

/* NULL: nothing was put there yet; with @make, there is no memory for it. */
static struct note *set_of(struct owfs_atimes *at, owfs_ino_t ino, bool make)
{
	struct note (**page)[WAYS] = &at->page[ino / SETS % PAGES];

	if (!*page && make)
		*page = calloc(SETS, sizeof(**page));
	return *page ? (*page)[ino % SETS] : NULL;
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
	struct note *p, *set;

	pthread_mutex_lock(&at->lock);
	set = *noted ? NULL : set_of(at, ino, true);
	*noted = true;
	if (set) {
		p = place_for(set, ino);
		if (!p->ino)
			count(at, 1);
		*p = (struct note){ ino, *atime };
	}
	pthread_mutex_unlock(&at->lock);
}

bool owfs_atimes_take(struct owfs_atimes *at, owfs_ino_t ino,
		      struct timespec *atime)
{
	struct note *set;
	bool found = false;
	unsigned int i;

	if (!__atomic_load_n(&at->n, __ATOMIC_RELAXED))
		return false;
	pthread_mutex_lock(&at->lock);
	set = set_of(at, ino, false);
	for (i = 0; set && i < WAYS && !found; i++) {
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

static size_t list_page(struct note (*page)[WAYS], owfs_ino_t *list, size_t n,
			size_t max)
{
	size_t i;

	for (i = 0; page && i < (size_t)SETS * WAYS; i++) {
		const struct note *p = &page[i / WAYS][i % WAYS];

		if (!p->ino)
			continue;
		if (n < max)
			list[n] = p->ino;
		n++;
	}
	return n;
}

size_t owfs_atimes_list(struct owfs_atimes *at, owfs_ino_t *list, size_t max)
{
	size_t i, n = 0;

	pthread_mutex_lock(&at->lock);
	for (i = 0; i < PAGES; i++)
		n = list_page(at->page[i], list, n, max);
	pthread_mutex_unlock(&at->lock);
	return n;
}
