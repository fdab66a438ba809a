/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The allocator's part of a commit: seal, store, durable, in this order, by
 * one thread, while operations go on in the generation that seal opened.
 *
 * The three freed maps of a group change parts without being copied:
 *
 *	seal		open -> sealed, and an empty one becomes open
 *	durable		last is released and empty; sealed -> last
 */
#include <inttypes.h>
#include <string.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/util.h"
#include "space/alloc_impl.h"

#define LOADED_BYTES	(128u << 20)	/* bits kept in memory once nobody needs them */

/* --------------------------------------------------------------------- seal */

/* Copy one group's bits; returns how many blocks the last commit had on top. */
static uint32_t seal_group(struct owfs_alloc *al, struct owfs_group *grp)
{
	uint32_t freed = 0;
	uint64_t gone;
	size_t w;

	pthread_mutex_lock(&grp->lock);
	for (w = 0; w < al->nwords; w++) {
		gone = grp->sealed[w] & ~grp->open[w];
		if (gone)
			freed += owfs_bitmap_weight(&gone, 1);
		grp->sealed[w] = grp->open[w];
	}
	grp->dirty = false;
	grp->storing = true;
	pthread_mutex_unlock(&grp->lock);
	return freed;
}

void owfs_alloc_seal(struct owfs_alloc *al)
{
	struct owfs_group *grp;
	unsigned int role;

	assert(!al->sealed_pending && !al->store);
	pthread_mutex_lock(&al->lock);
	grp = al->dirty;
	al->dirty = NULL;
	role = al->role_open;
	al->role_open = al->role_sealed;
	al->role_sealed = role;
	assert(!al->freed[al->role_open]);
	owfs_resv_set_floor(al);
	pthread_mutex_unlock(&al->lock);

	al->sealed_pending = true;
	al->sealed_freed = 0;
	al->store_sorted = false;
	for (; grp; grp = grp->dirty_next) {
		al->sealed_freed += seal_group(al, grp);
		grp->store_next = al->store;
		al->store = grp;
	}
}

/* -------------------------------------------------------------------- store */

static struct owfs_group *merge(struct owfs_group *a, struct owfs_group *b)
{
	struct owfs_group *head = NULL, **tail = &head, **low;

	while (a && b) {
		low = a->number < b->number ? &a : &b;
		*tail = *low;
		tail = &(*low)->store_next;
		*low = *tail;
	}
	*tail = a ? a : b;
	return head;
}

/* By number, so that the device sees an ascending sweep.  Takes no memory. */
static struct owfs_group *sorted(struct owfs_group *list)
{
	struct owfs_group *runs[64] = { NULL }, *one, *all = NULL;
	unsigned int i;

	while (list) {
		one = list;
		list = list->store_next;
		one->store_next = NULL;
		for (i = 0; runs[i]; i++) {	/* a run of 2^i each */
			one = merge(runs[i], one);
			runs[i] = NULL;
		}
		runs[i] = one;
	}
	for (i = 0; i < ARRAY_SIZE(runs); i++)
		all = merge(runs[i], all);
	return all;
}

static int store_bitmap(struct owfs_alloc *al, owfs_gen_t gen)
{
	struct owfs_group *grp = al->store;
	int ret;

	/* nobody writes sealed bits but seal */
	ret = owfs_freemap_store(al->fm, gen, grp->number, grp->sealed);
	if (ret)
		return ret;
	al->store = grp->store_next;
	pthread_mutex_lock(&grp->lock);
	grp->storing = false;
	pthread_mutex_unlock(&grp->lock);
	return 0;
}

static int store(struct owfs_alloc *al, owfs_gen_t gen, unsigned int max)
{
	int ret;

	if (!al->store_sorted) {
		al->store = sorted(al->store);
		al->store_sorted = true;
	}
	for (; al->store; max--) {
		if (!max)
			return 1;
		ret = store_bitmap(al, gen);
		if (ret)
			return ret;
	}
	return owfs_freemap_store_nodes(al->fm, gen, max);
}

int owfs_alloc_store(struct owfs_alloc *al, owfs_gen_t gen, unsigned int max,
		     struct owfs_map_root *root)
{
	int ret;

	assert(al->sealed_pending);
	/* after a failure memory and device no longer agree on slots */
	if (al->store_error)
		return al->store_error;
	ret = store(al, gen, max ? max : 1);
	if (ret < 0)
		al->store_error = ret;
	if (ret)
		return ret;
	owfs_freemap_root(al->fm, root);
	root->freed_blocks = al->sealed_freed;
	return 0;
}

/* ------------------------------------------------------------------ durable */

void owfs_alloc_discard_run(struct owfs_alloc *al, owfs_fsblock_t start,
			    uint64_t len)
{
	int ret;

	ret = owfs_blkdev_discard(al->bd, start * al->geo.blocksize,
				  len * al->geo.blocksize);
	if (!ret || al->discard_failed)
		return;
	al->discard_failed = true;
	owfs_msg(al->msg, OWFS_MSG_WARN,
		 "discard failed: fsblock=%" PRIu64 " blocks=%" PRIu64
		 " error=%d", start, len, -ret);
	if (ret == -EOPNOTSUPP)
		al->discard = false;
}

/* The blocks are still busy, so nobody can have written them anew. */
static void discard_group(struct owfs_alloc *al, struct owfs_group *grp,
			  unsigned int role)
{
	owfs_fsblock_t base = owfs_geo_group_start(&al->geo, grp->number);
	uint32_t bit = 0, end = 0, n = al->geo.group_blocks;

	for (;;) {
		pthread_mutex_lock(&grp->lock);
		bit = owfs_bitmap_next_set(grp->freed[role], end, n);
		while (bit < n && !owfs_keep_spares(grp, bit, 1))
			bit = owfs_bitmap_next_set(grp->freed[role], bit + 1, n);
		end = owfs_bitmap_next_clear(grp->freed[role], bit, n);
		while (!owfs_keep_spares(grp, bit, end - bit))
			end--;
		pthread_mutex_unlock(&grp->lock);
		if (bit >= n || !al->discard)
			return;
		owfs_alloc_discard_run(al, base + bit, end - bit);
	}
}

/* What becomes free; *held goes on for the sake of a kept commit. */
static uint32_t release_group(struct owfs_alloc *al, struct owfs_group *grp,
			      unsigned int role, uint64_t *held)
{
	uint32_t released, kept;
	size_t w;

	pthread_mutex_lock(&grp->lock);
	kept = owfs_keep_hold(al, grp, grp->freed[role]);
	for (w = 0; w < al->nwords; w++)
		grp->busy[w] &= ~grp->freed[role][w] |
				(kept ? grp->held[w] : 0);
	memset(grp->freed[role], 0, al->nwords * sizeof(*grp->freed[role]));
	released = grp->nr_freed[role] - kept;
	*held += kept;
	grp->nr_freed[role] = 0;
	owfs_group_given(grp, released);
	pthread_mutex_unlock(&grp->lock);
	return released;
}

/* Of groups not in memory: what the mounted commit freed is simply free now. */
static uint64_t release_absent(struct owfs_alloc *al)
{
	uint64_t released;

	if (!al->prev_counts)
		return 0;
	pthread_mutex_lock(&al->lock);
	al->prev_counts = false;
	released = al->pins_absent;
	al->pins_absent = 0;
	al->pinned -= released;
	al->free += released;
	pthread_mutex_unlock(&al->lock);
	owfs_freemap_forget_prev(al->fm);
	return released;
}

void owfs_alloc_durable(struct owfs_alloc *al)
{
	unsigned int role = al->role_last;
	uint64_t absent, woken, released = 0, held = 0;
	struct owfs_group *list, *grp;

	assert(al->sealed_pending && !al->store && !al->store_error);
	absent = release_absent(al);
	owfs_rest_begin(al, role);
	pthread_mutex_lock(&al->lock);
	list = al->freed[role];
	al->freed[role] = NULL;
	pthread_mutex_unlock(&al->lock);

	for (grp = list; grp && al->discard; grp = grp->freed_next[role])
		discard_group(al, grp, role);
	for (grp = list; grp; grp = grp->freed_next[role])
		released += release_group(al, grp, role, &held);
	woken = owfs_rest_end(al);

	pthread_mutex_lock(&al->lock);
	al->pinned -= released + held;
	al->held += held;
	al->free += released;
	al->free_loaded += released;
	al->role_last = al->role_sealed;
	al->role_sealed = role;
	owfs_resv_raise_floor(al, released + absent + woken);
	if (released + absent + woken)
		al->node_settled = false;
	owfs_alloc_shrink(al);
	pthread_mutex_unlock(&al->lock);
	al->sealed_pending = false;
}

/* ------------------------------------------------------------------- memory */

/*
 * Does only the device's copy of this group matter?  What reservations count
 * on must stay.  Caller holds al->lock and the group's.
 */
static bool is_idle(const struct owfs_alloc *al, const struct owfs_group *grp)
{
	return !grp->dirty && !grp->storing && !grp->nr_staged &&
	       !grp->nr_freed[0] && !grp->nr_freed[1] && !grp->nr_freed[2] &&
	       owfs_keep_is_same(al, grp) &&
	       grp != al->node[0].group && grp != al->node[1].group &&
	       al->free_loaded >= al->reserved &&
	       al->free_loaded - al->reserved >= grp->nr_free;
}

/* Drop the bits of @grp if it was not touched since the last look.  Caller holds al->lock. */
static bool drop_group(struct owfs_alloc *al, struct owfs_group *grp)
{
	bool drop;

	pthread_mutex_lock(&grp->lock);
	drop = !__atomic_exchange_n(&grp->touched, false, __ATOMIC_RELAXED) &&
	       is_idle(al, grp);
	if (drop) {
		al->free_loaded -= grp->nr_free;
		free(grp->maps);
		grp->maps = NULL;
		free(grp->kept);
		grp->kept = grp->held = NULL;
		__atomic_store_n(&grp->state, OWFS_GROUP_ABSENT,
				 __ATOMIC_RELAXED);
	}
	pthread_mutex_unlock(&grp->lock);
	return drop;
}

void owfs_alloc_shrink(struct owfs_alloc *al)
{
	size_t bytes = OWFS_ALLOC_MAPS * al->nwords * sizeof(uint64_t);
	size_t i = 0;

	if (al->nr_loaded <= LOADED_BYTES / bytes)
		return;
	while (i < al->nr_loaded) {
		if (drop_group(al, al->loaded[i]))
			al->loaded[i] = al->loaded[--al->nr_loaded];
		else
			i++;
	}
}
