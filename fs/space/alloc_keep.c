/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A commit that somebody checks while others write.  Its nodes are held when
 * they would become free, until the check has ended or space is wanted.  Data is
 * not looked at by a check and goes its way.
 *
 * Which freed blocks were nodes is known when they are freed; of those freed
 * before the commit began to be kept it is not, and all of them are held.
 *
 * A group's maps for that are filled in when the commit begins to be kept, or
 * when the group is loaded: one that is not in memory has not changed since,
 * because those that have changed are not dropped.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "space/alloc_impl.h"

/* Caller holds al->lock and the group's, or nobody else knows the group. */
static void begin(const struct owfs_alloc *al, struct owfs_group *grp,
		  uint64_t *memory)
{
	const size_t bytes = al->nwords * sizeof(*memory);
	size_t w;

	grp->kept = memory;
	grp->held = memory + al->nwords;
	grp->nr_held = 0;
	memcpy(grp->kept, grp->sealed, bytes);
	for (w = 0; w < al->nwords; w++)
		grp->held[w] = grp->freed[al->role_open][w] & grp->kept[w];
}

void owfs_keep_install(struct owfs_alloc *al, struct owfs_group *grp,
		       uint64_t **memory)
{
	if (!al->keeping)
		return;
	begin(al, grp, *memory);
	*memory = NULL;
}

void owfs_keep_nodes(struct owfs_group *grp, uint32_t start, uint32_t len)
{
	uint32_t bit;

	for (bit = start; grp->kept && bit < start + len; bit++)
		if (owfs_bitmap_test(grp->kept, bit))
			owfs_bitmap_set(grp->held, bit, 1);
}

void owfs_keep_not(struct owfs_group *grp, uint32_t start, uint32_t len)
{
	if (grp->kept)
		owfs_bitmap_clear(grp->held, start, len);
}

uint32_t owfs_keep_hold(const struct owfs_alloc *al, struct owfs_group *grp,
			const uint64_t *freed)
{
	uint32_t n = 0;
	uint64_t bits;
	size_t w;

	for (w = 0; grp->kept && w < al->nwords; w++) {
		bits = freed[w] & grp->held[w];
		n += bits ? owfs_bitmap_weight(&bits, 1) : 0;
	}
	grp->nr_held += n;
	return n;
}

bool owfs_keep_spares(const struct owfs_group *grp, uint32_t start, uint32_t len)
{
	return !grp->kept || owfs_bitmap_is_clear(grp->held, start, len);
}

bool owfs_keep_is_same(const struct owfs_alloc *al, const struct owfs_group *grp)
{
	return !grp->kept || !memcmp(grp->kept, grp->sealed,
				     al->nwords * sizeof(*grp->kept));
}

/* Caller holds al->lock. */
static int begin_all(struct owfs_alloc *al)
{
	uint64_t *memory;
	size_t i;

	for (i = 0; i < al->nr_loaded; i++) {
		struct owfs_group *grp = al->loaded[i];

		memory = malloc(2 * al->nwords * sizeof(*memory));
		if (!memory)
			return -ENOMEM;
		pthread_mutex_lock(&grp->lock);
		begin(al, grp, memory);
		pthread_mutex_unlock(&grp->lock);
	}
	return 0;
}

/* What was held is free; how many.  Caller holds al->lock. */
static uint32_t end(struct owfs_alloc *al, struct owfs_group *grp)
{
	uint32_t n;
	size_t w;

	pthread_mutex_lock(&grp->lock);
	n = grp->nr_held;
	/* those still pinned go their way */
	for (w = 0; n && w < al->nwords; w++)
		grp->busy[w] &= ~grp->held[w] | grp->freed[0][w] |
				grp->freed[1][w] | grp->freed[2][w];
	free(grp->kept);
	grp->kept = grp->held = NULL;
	grp->nr_held = 0;
	owfs_group_given(grp, n);
	pthread_mutex_unlock(&grp->lock);
	return n;
}

/* Caller holds al->lock. */
static void end_all(struct owfs_alloc *al)
{
	uint64_t released = 0;
	size_t i;

	al->keeping = false;
	for (i = 0; i < al->nr_loaded; i++)
		released += end(al, al->loaded[i]);
	al->held -= released;
	al->free += released;
	al->free_loaded += released;
	if (released)
		al->node_settled = false;
	owfs_resv_raise_floor(al, released);
}

int owfs_alloc_keep(struct owfs_alloc *al)
{
	int ret = -EBUSY;

	assert(!al->sealed_pending);
	pthread_mutex_lock(&al->lock);
	if (!al->keeping) {
		al->keeping = true;
		ret = begin_all(al);
		if (ret)
			end_all(al);
	}
	pthread_mutex_unlock(&al->lock);
	return ret;
}

void owfs_alloc_unkeep(struct owfs_alloc *al)
{
	pthread_mutex_lock(&al->lock);
	if (al->keeping)
		end_all(al);
	pthread_mutex_unlock(&al->lock);
}

void owfs_alloc_give_up(struct owfs_alloc *al)
{
	bool kept;

	pthread_mutex_lock(&al->lock);
	kept = al->keeping;
	if (kept)
		end_all(al);
	pthread_mutex_unlock(&al->lock);
	if (kept)
		owfs_msg(al->msg, OWFS_MSG_WARN,
			 "space is short: the commit that is being checked is not kept any longer");
}

bool owfs_alloc_is_kept(struct owfs_alloc *al)
{
	bool kept;

	pthread_mutex_lock(&al->lock);
	kept = al->keeping;
	pthread_mutex_unlock(&al->lock);
	return kept;
}

int owfs_alloc_kept_bits(struct owfs_alloc *al, uint64_t g, uint64_t *bits)
{
	struct owfs_group *grp;
	int ret;

	if (g >= al->geo.ngroups)
		return -EINVAL;
	ret = owfs_group_lock_loaded(al, g, &grp);
	if (ret)
		return ret;
	if (grp->kept)
		memcpy(bits, grp->kept, al->nwords * sizeof(*bits));
	else
		ret = -ESTALE;
	pthread_mutex_unlock(&grp->lock);
	/* all groups of a large device pass through here */
	pthread_mutex_lock(&al->lock);
	owfs_alloc_shrink(al);
	pthread_mutex_unlock(&al->lock);
	return ret;
}
