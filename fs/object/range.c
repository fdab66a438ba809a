/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Locks on block ranges: one list by arrival, walked by whoever wants in.
 * A file has few requests at a time, so the plain list is also the fast one.
 */
#include <assert.h>
#include <stdlib.h>

#include "object/range.h"

void owfs_range_init(struct owfs_range_lock *rl)
{
	pthread_mutex_init(&rl->rl_lock, NULL);
	pthread_cond_init(&rl->rl_wait, NULL);
	rl->rl_head = NULL;
	rl->rl_tail = &rl->rl_head;
}

void owfs_range_destroy(struct owfs_range_lock *rl)
{
	assert(!rl->rl_head);
	pthread_cond_destroy(&rl->rl_wait);
	pthread_mutex_destroy(&rl->rl_lock);
}

static bool range_conflict(const struct owfs_range *a,
			   const struct owfs_range *b)
{
	return (a->exclusive || b->exclusive) && a->first <= b->last &&
	       b->first <= a->last;
}

/*
 * Only earlier requests matter, granted or not: that makes waiting fair, and
 * since everybody waits for earlier ones only, the first in the list never
 * waits.
 */
static bool range_must_wait(const struct owfs_range_lock *rl,
			    const struct owfs_range *r)
{
	const struct owfs_range *other;

	for (other = rl->rl_head; other != r; other = other->next)
		if (range_conflict(other, r))
			return true;
	return false;
}

void owfs_range_lock(struct owfs_range_lock *rl, struct owfs_range *r,
		     owfs_fileoff_t first, owfs_fileoff_t last, bool exclusive)
{
	r->first = first;
	r->last = last;
	r->exclusive = exclusive;
	r->next = NULL;

	pthread_mutex_lock(&rl->rl_lock);
	*rl->rl_tail = r;
	rl->rl_tail = &r->next;
	while (range_must_wait(rl, r))
		pthread_cond_wait(&rl->rl_wait, &rl->rl_lock);
	pthread_mutex_unlock(&rl->rl_lock);
}

void owfs_range_unlock(struct owfs_range_lock *rl, struct owfs_range *r)
{
	struct owfs_range **p;

	pthread_mutex_lock(&rl->rl_lock);
	for (p = &rl->rl_head; *p != r; p = &(*p)->next)
		;
	*p = r->next;
	if (*p)		/* only those who came later can wait for us */
		pthread_cond_broadcast(&rl->rl_wait);
	else
		rl->rl_tail = p;
	pthread_mutex_unlock(&rl->rl_lock);
}
