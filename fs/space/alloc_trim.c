/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Telling the device about all free blocks (fstrim).
 *
 * Nobody may get a block while it is being discarded: what he wrote would be
 * gone.  So a run is taken as for data, reserved and staged, discarded, and
 * given back.  A block that can be staged is free in the last two commits, so
 * no commit loses anything either.  No more is held at a time than a quarter of
 * what others could have, so that nobody runs out of space because of us.
 */
#include "base/err.h"
#include "base/util.h"
#include "space/alloc_impl.h"

#define SHRINK_EVERY	64	/* groups */

/* Where we are in one group. */
struct trim_pos {
	uint64_t g;
	uint32_t at, end;	/* bits still to be looked at */
	uint32_t known;		/* below this the run is long enough */
};

/* Reserve as many blocks as may be held, 0 if the device is full. */
static int hold_blocks(struct owfs_alloc *al, uint32_t *n)
{
	uint64_t spare, can;
	int ret;

	pthread_mutex_lock(&al->lock);
	spare = owfs_alloc_unpromised(al);
	pthread_mutex_unlock(&al->lock);
	can = spare > al->reserve ? (spare - al->reserve + 3) / 4 : 0;
	*n = (uint32_t)min_u64(can, al->geo.group_blocks);
	for (; *n; *n /= 2) {
		ret = owfs_alloc_reserve(al, *n, OWFS_RESV_NORMAL);
		if (ret != -ENOSPC && ret != -EAGAIN)
			return ret;
	}
	return 0;
}

/* The next free run, or as much of it as @max.  Caller holds the group's lock. */
static uint32_t next_run(const struct owfs_group *grp, struct trim_pos *p,
			 uint32_t minlen, uint32_t max)
{
	uint32_t end;

	for (; p->at < p->end; p->at = end) {
		p->at = owfs_bitmap_next_clear(grp->busy, p->at, p->end);
		end = owfs_bitmap_next_set(grp->busy, p->at, p->end);
		if (end == p->at)
			break;
		if (end - p->at >= minlen)
			p->known = end;
		if (p->at < p->known)
			return (uint32_t)min_u64(end - p->at, max);
	}
	return 0;
}

/* Take the next run of at most @held reserved blocks; *len 0: there is none. */
static int take_run(struct owfs_alloc *al, struct trim_pos *p, uint32_t minlen,
		    uint32_t held, uint32_t *len)
{
	struct owfs_group *grp;
	int ret = owfs_group_lock_loaded(al, p->g, &grp);

	*len = 0;
	if (!ret) {
		*len = next_run(grp, p, minlen, held);
		if (*len) {
			owfs_group_take(grp, p->at, *len);
			grp->nr_staged += *len;
		}
		pthread_mutex_unlock(&grp->lock);
	}
	if (*len)
		owfs_alloc_account_staged(al, *len);
	if (*len < held)
		owfs_alloc_unreserve(al, held - *len);
	return ret;
}

/* One run.  1: there may be more; 0: the group is done, or the device is full. */
static int trim_run(struct owfs_alloc *al, struct trim_pos *p, uint32_t minlen,
		    uint64_t *trimmed)
{
	owfs_fsblock_t start;
	uint32_t held, len;
	int ret = hold_blocks(al, &held);

	if (ret || !held)
		return ret;
	ret = take_run(al, p, minlen, held, &len);
	if (ret || !len)
		return ret;
	start = owfs_geo_group_start(&al->geo, p->g) + p->at;
	ret = owfs_blkdev_discard(al->bd, (loff_t)(start * al->geo.blocksize),
				  (uint64_t)len * al->geo.blocksize);
	owfs_alloc_unstage(al, start, len, false);
	if (ret)
		return ret;
	*trimmed += len;
	p->at += len;
	return 1;
}

/* Groups that were only looked at need not stay in memory. */
static void shrink(struct owfs_alloc *al)
{
	pthread_mutex_lock(&al->lock);
	owfs_alloc_shrink(al);
	pthread_mutex_unlock(&al->lock);
}

int owfs_alloc_trim(struct owfs_alloc *al, const struct owfs_trim *t,
		    uint64_t *trimmed)
{
	uint64_t end = min_u64(t->end, al->geo.nblocks), base, seen = 0;
	struct trim_pos p = { 0 };
	uint32_t run;
	int ret = 0;

	*trimmed = 0;
	if (t->start >= end)
		return 0;
	p.g = owfs_geo_group_of(&al->geo, t->start);
	for (;; p.g++) {
		ret = owfs_freemap_next(al->fm, p.g, (uint32_t)t->minlen, &p.g,
					&run);
		base = owfs_geo_group_start(&al->geo, p.g);
		if (ret || base >= end)
			break;
		p.at = (uint32_t)(max_u64(t->start, base) - base);
		p.end = (uint32_t)min_u64(end - base, al->geo.group_blocks);
		p.known = 0;
		do {
			if (t->stop && t->stop(t->ctx))
				return -EINTR;
			ret = trim_run(al, &p, (uint32_t)t->minlen, trimmed);
		} while (ret > 0);
		if (ret)
			break;
		if (++seen % SHRINK_EVERY == 0)
			shrink(al);
	}
	return ret == -ENOENT ? 0 : ret;
}
