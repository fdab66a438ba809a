/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What becomes of blocks that were handed out: used, given back, freed. */
#include <inttypes.h>

#include "base/err.h"
#include "base/util.h"
#include "space/alloc_impl.h"

static uint32_t bit_of(const struct owfs_alloc *al,
		       const struct owfs_group *grp, owfs_fsblock_t blk)
{
	return blk - owfs_geo_group_start(&al->geo, grp->number);
}

/* The group of staged blocks is in memory: they keep it there. */
static struct owfs_group *lock_staged(struct owfs_alloc *al,
				      owfs_fsblock_t start, uint64_t len)
{
	struct owfs_group *grp;
	uint32_t bit;

	assert(owfs_geo_range_ok(&al->geo, start, len));
	grp = owfs_group_peek(al, owfs_geo_group_of(&al->geo, start));
	assert(grp);
	pthread_mutex_lock(&grp->lock);
	assert(grp->state == OWFS_GROUP_LOADED && grp->nr_staged >= len);
	bit = bit_of(al, grp, start);
	assert(owfs_bitmap_is_set(grp->busy, bit, len) &&
	       owfs_bitmap_is_clear(grp->open, bit, len));
	(void)bit;
	return grp;
}

void owfs_alloc_unstage(struct owfs_alloc *al, owfs_fsblock_t start,
			uint64_t len, bool keep)
{
	struct owfs_group *grp = lock_staged(al, start, len);

	owfs_group_give(grp, bit_of(al, grp, start), len);
	grp->nr_staged -= len;
	pthread_mutex_unlock(&grp->lock);

	pthread_mutex_lock(&al->lock);
	al->staged -= len;
	al->free += len;
	al->free_loaded += len;
	if (keep)
		al->reserved += len;
	pthread_mutex_unlock(&al->lock);
}

void owfs_alloc_use(struct owfs_alloc *al, owfs_fsblock_t start, uint64_t len)
{
	struct owfs_group *grp = lock_staged(al, start, len);
	bool newly;

	owfs_bitmap_set(grp->open, bit_of(al, grp, start), len);
	grp->nr_staged -= len;
	grp->nr_used += len;
	newly = owfs_group_mark_dirty(grp);
	pthread_mutex_unlock(&grp->lock);
	if (newly)
		owfs_group_list_dirty(al, grp);

	pthread_mutex_lock(&al->lock);
	al->staged -= len;
	al->used += len;
	pthread_mutex_unlock(&al->lock);
}

/* 1: block @bit was pinned, and is used. */
static uint32_t reclaim_one(struct owfs_group *grp, uint32_t bit)
{
	unsigned int role;

	for (role = 0; role < 3; role++) {
		if (!owfs_bitmap_test(grp->freed[role], bit))
			continue;
		owfs_bitmap_clear(grp->freed[role], bit, 1);
		owfs_bitmap_set(grp->open, bit, 1);
		grp->nr_freed[role]--;
		grp->nr_used++;
		return 1;
	}
	return 0;
}

void owfs_alloc_reclaim(struct owfs_alloc *al, owfs_fsblock_t start, uint64_t len)
{
	struct owfs_group *grp;
	uint32_t bit, n = 0;
	uint64_t i;
	bool newly = false;

	if (owfs_group_lock_loaded(al, owfs_geo_group_of(&al->geo, start), &grp))
		return;
	bit = bit_of(al, grp, start);
	for (i = 0; i < len; i++)
		n += reclaim_one(grp, bit + (uint32_t)i);
	if (n)
		newly = owfs_group_mark_dirty(grp);
	pthread_mutex_unlock(&grp->lock);
	if (newly)
		owfs_group_list_dirty(al, grp);
	pthread_mutex_lock(&al->lock);
	al->pinned -= n;
	al->used += n;
	pthread_mutex_unlock(&al->lock);
}

static int complain(struct owfs_alloc *al, const char *what,
		    owfs_fsblock_t start, uint64_t len)
{
	owfs_msg(al->msg, OWFS_MSG_ERROR,
		 "space map: %s: fsblock=%" PRIu64 " blocks=%" PRIu64, what,
		 start, len);
	return -EFSCORRUPTED;
}

/* Put a group that has its first freed blocks of this generation on the list. */
static void list_freed(struct owfs_alloc *al, struct owfs_group *grp,
		       unsigned int role)
{
	pthread_mutex_lock(&al->lock);
	grp->freed_next[role] = al->freed[role];
	al->freed[role] = grp;
	pthread_mutex_unlock(&al->lock);
}

static int free_blocks(struct owfs_alloc *al, owfs_fsblock_t start,
		       uint64_t len, bool node)
{
	unsigned int role = al->role_open;
	struct owfs_group *grp;
	bool newly, first;
	uint32_t bit;
	int ret;

	if (!owfs_geo_range_ok(&al->geo, start, len))
		return complain(al, "freed blocks lie outside of what can be used",
				start, len);
	ret = owfs_group_lock_loaded(al, owfs_geo_group_of(&al->geo, start),
				     &grp);
	if (ret)
		return ret;
	bit = bit_of(al, grp, start);
	if (!owfs_bitmap_is_set(grp->open, bit, len)) {
		pthread_mutex_unlock(&grp->lock);
		return complain(al, "freed block is not used", start, len);
	}
	owfs_bitmap_clear(grp->open, bit, len);
	owfs_bitmap_set(grp->freed[role], bit, len);
	if (node)
		owfs_keep_nodes(grp, bit, (uint32_t)len);
	first = !grp->nr_freed[role];
	grp->nr_freed[role] += len;
	grp->nr_used -= len;
	newly = owfs_group_mark_dirty(grp);
	pthread_mutex_unlock(&grp->lock);

	if (newly)
		owfs_group_list_dirty(al, grp);
	if (first)
		list_freed(al, grp, role);
	pthread_mutex_lock(&al->lock);
	al->used -= len;
	al->pinned += len;
	pthread_mutex_unlock(&al->lock);
	return 0;
}

int owfs_alloc_free(struct owfs_alloc *al, owfs_fsblock_t start, uint64_t len)
{
	return free_blocks(al, start, len, true);
}

int owfs_alloc_free_data(struct owfs_alloc *al, owfs_fsblock_t start,
			 uint64_t len)
{
	int ret = free_blocks(al, start, len, false);

	if (!ret && al->rest_secs)
		owfs_rest_note(al, al->role_open, start, len);
	return ret;
}

/* A block that a sealed generation has, too, cannot have been born in this one. */
static int free_one_unborn(struct owfs_alloc *al, owfs_fsblock_t blk)
{
	struct owfs_group *grp;
	uint32_t bit;
	int ret;

	if (!owfs_geo_range_ok(&al->geo, blk, 1))
		return complain(al, "freed node lies outside of what can be used",
				blk, 1);
	ret = owfs_group_lock_loaded(al, owfs_geo_group_of(&al->geo, blk), &grp);
	if (ret)
		return ret;
	bit = bit_of(al, grp, blk);
	if (!owfs_bitmap_test(grp->open, bit) ||
	    owfs_bitmap_test(grp->sealed, bit)) {
		pthread_mutex_unlock(&grp->lock);
		return complain(al, "freed node was not born in this generation",
				blk, 1);
	}
	owfs_bitmap_clear(grp->open, bit, 1);
	owfs_group_give(grp, bit, 1);
	grp->nr_used--;
	pthread_mutex_unlock(&grp->lock);

	pthread_mutex_lock(&al->lock);
	al->used--;
	al->free++;
	al->free_loaded++;
	pthread_mutex_unlock(&al->lock);
	return 0;
}

int owfs_alloc_free_unborn(struct owfs_alloc *al, const owfs_fsblock_t addr[2])
{
	int ret;

	ret = free_one_unborn(al, addr[0]);
	if (!ret && addr[1] != OWFS_NOBLOCK)
		ret = free_one_unborn(al, addr[1]);
	return ret;
}
