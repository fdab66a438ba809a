/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Data blocks that rest before they are handed out again (P4, iomap mode).
 *
 * Where the kernel reads files itself nobody says when the last read by an old
 * mapping has ended, so blocks that were replaced are kept for longer than any
 * device takes for a request.  When the generations have let go of them they
 * become staged, for nobody: they are busy in memory and free on the device,
 * and a crash forgets that they rested, as it forgets the reads.
 *
 *	freed, data --- pinned ---> resting (staged) --- time, or need ---> free
 *
 * Whoever is refused for lack of space wakes all of them at the next commit.
 */
#include <stdlib.h>
#include <time.h>

#include "base/err.h"
#include "base/util.h"
#include "space/alloc_impl.h"

static uint64_t monotonic(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec;
}

void owfs_alloc_rest(struct owfs_alloc *al, unsigned int secs,
		     uint64_t (*now)(void))
{
	pthread_mutex_lock(&al->lock);
	al->rest_secs = secs;
	al->rest_now = now ? now : monotonic;
	pthread_mutex_unlock(&al->lock);
}

/*
 * In a transaction, after the blocks were freed.  Without memory they do not
 * rest, or a transaction could fail.
 */
void owfs_rest_note(struct owfs_alloc *al, unsigned int role,
		    owfs_fsblock_t start, uint64_t len)
{
	struct owfs_rest *r = malloc(sizeof(*r));

	if (!r)
		return;
	r->start = start;
	r->len = len;
	pthread_mutex_lock(&al->lock);
	r->next = al->rest_freed[role];
	al->rest_freed[role] = r;
	pthread_mutex_unlock(&al->lock);
}

/* One that is pinned for the last time: staged from now on, for nobody. */
static void lie_down(struct owfs_alloc *al, const struct owfs_rest *r,
		     unsigned int role)
{
	struct owfs_group *grp =
		owfs_group_peek(al, owfs_geo_group_of(&al->geo, r->start));
	uint32_t bit = r->start - owfs_geo_group_start(&al->geo, grp->number);

	pthread_mutex_lock(&grp->lock);
	owfs_bitmap_clear(grp->freed[role], bit, r->len);
	owfs_keep_not(grp, bit, (uint32_t)r->len);
	grp->nr_freed[role] -= r->len;
	grp->nr_staged += r->len;
	pthread_mutex_unlock(&grp->lock);
	pthread_mutex_lock(&al->lock);
	al->pinned -= r->len;
	al->staged += r->len;
	al->resting += r->len;
	pthread_mutex_unlock(&al->lock);
}

void owfs_rest_begin(struct owfs_alloc *al, unsigned int role)
{
	struct owfs_rest *list, *r;
	uint64_t until;

	pthread_mutex_lock(&al->lock);
	list = al->rest_freed[role];
	al->rest_freed[role] = NULL;
	until = al->rest_secs ? al->rest_now() + al->rest_secs : 0;
	pthread_mutex_unlock(&al->lock);
	while ((r = list)) {
		list = r->next;
		r->next = NULL;
		r->until = until;
		lie_down(al, r, role);
		*al->rest_tail = r;
		al->rest_tail = &r->next;
	}
}

static struct owfs_rest *take_rested(struct owfs_alloc *al, uint64_t now,
				     bool all)
{
	struct owfs_rest *r = al->rest_head;

	if (!r || (!all && r->until > now))
		return NULL;
	al->rest_head = r->next;
	if (!al->rest_head)
		al->rest_tail = &al->rest_head;
	return r;
}

uint64_t owfs_rest_end(struct owfs_alloc *al)
{
	uint64_t now = 0, woken = 0;
	struct owfs_rest *r;
	bool all;

	pthread_mutex_lock(&al->lock);
	all = al->rest_wanted || !al->rest_secs;
	al->rest_wanted = false;
	if (al->rest_secs)
		now = al->rest_now();
	pthread_mutex_unlock(&al->lock);
	while ((r = take_rested(al, now, all))) {
		if (al->discard)
			owfs_alloc_discard_run(al, r->start, r->len);
		/* first, for more cannot rest than is staged */
		pthread_mutex_lock(&al->lock);
		al->resting -= r->len;
		pthread_mutex_unlock(&al->lock);
		owfs_alloc_unstage(al, r->start, r->len, false);
		woken += r->len;
		free(r);
	}
	return woken;
}

void owfs_rest_close(struct owfs_alloc *al)
{
	struct owfs_rest *r;
	unsigned int role;

	for (role = 0; role < 3; role++) {
		while ((r = al->rest_freed[role])) {
			al->rest_freed[role] = r->next;
			free(r);
		}
	}
	while ((r = take_rested(al, 0, true)))
		free(r);
}
