/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Handing out blocks for data: near the goal, in one run, without looking at
 * the whole device for it.
 *
 * A sweep goes over the groups from the goal's on and once round, and takes
 * the first run of at least so many blocks.  Groups are passed over by what is
 * known of them without their bits: those in memory by their own bound, others
 * by the space map's entries, whole subtrees at a time.  What is asked for
 * halves from sweep to sweep, so the result is at least half of the best that
 * the groups looked at could have given.
 */
#include "base/err.h"
#include "base/util.h"
#include "space/alloc_impl.h"

#define SWEEP_GROUPS	256	/* bounds looked at in one sweep, unless it is the last */
#define LAST_SWEEPS	16	/* others may race us for the last blocks; they end */

struct data_search {
	owfs_fsblock_t goal;
	uint32_t want, atleast;
	bool spare_nodes;	/* leave the groups where nodes are made alone */
	unsigned int budget;	/* groups left in this sweep */
	owfs_fsblock_t start;	/* found */
	uint32_t len;
};

/* Could group @g have what we look for, as far as its bits need not be seen? */
static bool worth_trying(const struct owfs_alloc *al, uint64_t g,
			 const struct data_search *ds)
{
	const struct owfs_group *grp = owfs_group_peek(al, g);

	if (!grp)
		return true;
	if (ds->spare_nodes &&
	    __atomic_load_n(&grp->for_nodes, __ATOMIC_RELAXED))
		return false;
	return !owfs_group_is_loaded(grp) ||
	       owfs_group_run_hint(grp) >= ds->atleast;
}

/* 1: blocks are staged; 0: not here. */
static int try_group(struct owfs_alloc *al, uint64_t g, struct data_search *ds)
{
	uint32_t from = 0, start, len;
	struct owfs_group *grp;
	int ret;

	if (g == owfs_geo_group_of(&al->geo, ds->goal))
		from = ds->goal - owfs_geo_group_start(&al->geo, g);
	ret = owfs_group_lock_loaded(al, g, &grp);
	if (ret)
		return ret;
	len = owfs_group_find(al, grp, from, ds->want, &start);
	if (len && len >= ds->atleast) {
		owfs_group_take(grp, start, len);
		grp->nr_staged += len;
		ds->start = owfs_geo_group_start(&al->geo, g) + start;
		ds->len = len;
		ret = 1;
	}
	pthread_mutex_unlock(&grp->lock);
	return ret;
}

static int sweep_range(struct owfs_alloc *al, uint64_t g, uint64_t end,
		       struct data_search *ds)
{
	uint32_t run;
	int ret;

	for (; g < end && ds->budget; g++) {
		ret = owfs_freemap_next(al->fm, g, ds->atleast, &g, &run);
		if (ret == -ENOENT || (!ret && g >= end))
			return 0;
		if (ret)
			return ret;
		ds->budget--;
		if (!worth_trying(al, g, ds))
			continue;
		ret = try_group(al, g, ds);
		if (ret)
			return ret;
	}
	return 0;
}

static int sweep(struct owfs_alloc *al, struct data_search *ds,
		 uint32_t atleast, bool spare_nodes)
{
	uint64_t first = owfs_geo_group_of(&al->geo, ds->goal);
	int ret;

	ds->atleast = atleast;
	ds->spare_nodes = spare_nodes;
	ds->budget = atleast > 1 ? SWEEP_GROUPS : UINT32_MAX;
	ret = sweep_range(al, first, al->geo.ngroups, ds);
	if (!ret)
		ret = sweep_range(al, 0, first, ds);
	return ret;
}

static int search(struct owfs_alloc *al, struct data_search *ds)
{
	uint32_t atleast;
	unsigned int i;
	int ret;

	for (atleast = ds->want; atleast > ds->want / 8; atleast /= 2) {
		ret = sweep(al, ds, atleast, true);
		if (ret)
			return ret;
	}
	for (atleast = ds->want; atleast > 1; atleast /= 2) {
		ret = sweep(al, ds, atleast, false);
		if (ret)
			return ret;
	}
	for (i = 0; i < LAST_SWEEPS; i++) {
		ret = sweep(al, ds, 1, false);
		if (ret)
			return ret;
	}
	return 0;
}

void owfs_alloc_account_staged(struct owfs_alloc *al, uint64_t len)
{
	pthread_mutex_lock(&al->lock);
	assert(al->reserved >= len && al->free_loaded >= len);
	al->reserved -= len;
	al->free -= len;
	al->free_loaded -= len;
	al->staged += len;
	pthread_mutex_unlock(&al->lock);
}

int owfs_alloc_data(struct owfs_alloc *al, owfs_fsblock_t goal, uint64_t want,
		    owfs_fsblock_t *start, uint64_t *len)
{
	struct data_search ds = {
		.want = min_u64(want, al->geo.group_blocks) };
	bool wish = goal && goal < al->geo.nblocks;
	int ret;

	if (!want)
		return -EINVAL;
	ds.goal = wish ? goal :
		  __atomic_load_n(&al->data_next, __ATOMIC_RELAXED);
	ret = search(al, &ds);
	if (ret < 0)
		return ret;
	if (!ret) {
		owfs_msg(al->msg, OWFS_MSG_ERROR,
			 "allocator: no block for a reservation of %llu",
			 (unsigned long long)want);
		return -ENOSPC;
	}
	owfs_alloc_account_staged(al, ds.len);
	if (!wish)	/* at the device's very end it is no goal, and harmless */
		__atomic_store_n(&al->data_next,
				 min_u64(ds.start + ds.len, al->geo.nblocks - 1),
				 __ATOMIC_RELAXED);
	*start = ds.start;
	*len = ds.len;
	return 0;
}
