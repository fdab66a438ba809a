/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Handing out blocks for tree nodes: from groups in memory only, ascending, so
 * that the nodes of a commit are written in long runs.
 *
 * One group at a time is where nodes are made (a second one, half the device
 * away, for second copies); data keeps out of it while it finds room elsewhere.
 * When it runs low, the next reservation looks for another, since reading is
 * allowed there and not here.  If the group has nothing, any group in memory
 * will do: a reservation has made sure that one of them has a block.
 */
#include <sched.h>

#include "base/err.h"
#include "base/util.h"
#include "space/alloc_impl.h"

#define NODE_RUN	32	/* free blocks in a row that are worth going to */
#define PLACE_TRIES	8	/* groups looked at when a place is wanted */
#define RACES		1000	/* others taking what we saw before giving up */

/* Blocks of a group as far as this device has them. */
static uint32_t group_unit(const struct owfs_alloc *al)
{
	return min_u64(al->geo.group_blocks, al->geo.nblocks);
}

/* ------------------------------------------------------------- a good place */

static bool is_low(const struct owfs_alloc *al,
		   const struct owfs_node_cursor *nc)
{
	return !nc->group ||
	       owfs_group_free_hint(nc->group) < group_unit(al) / 16;
}

bool owfs_node_wants_place(const struct owfs_alloc *al)
{
	if (al->node_settled)
		return false;
	return is_low(al, &al->node[0]) ||
	       (al->node_copies && is_low(al, &al->node[1]));
}

static void set_for_nodes(struct owfs_group *grp, bool on)
{
	if (grp)
		__atomic_store_n(&grp->for_nodes, on, __ATOMIC_RELAXED);
}

/* Caller holds al->lock. */
static void move_cursor(struct owfs_alloc *al, unsigned int which,
			struct owfs_group *grp)
{
	struct owfs_node_cursor *nc = &al->node[which];

	set_for_nodes(nc->group, false);
	set_for_nodes(grp, true);
	nc->group = grp;
	/* alone on the device, nodes and data begin at different ends */
	nc->pos = al->geo.ngroups > 1 ? 0 : group_unit(al) / 2;
}

/* Where to begin looking; the group that shall not be it in *avoid. */
static uint64_t place_from(struct owfs_alloc *al, unsigned int which,
			   uint64_t *avoid)
{
	uint64_t n = al->geo.ngroups, from = 0;
	struct owfs_group *mine, *other;

	pthread_mutex_lock(&al->lock);
	mine = al->node[which].group;
	other = al->node[!which].group;
	pthread_mutex_unlock(&al->lock);
	*avoid = other ? other->number : n;
	if (mine)
		from = mine->number + 1;
	else if (which)
		from = (other ? other->number : 0) + n / 2;
	return from % n;
}

/* 1: nodes have moved to group @g; 0: it has less than @want. */
static int try_place(struct owfs_alloc *al, unsigned int which, uint64_t g,
		     uint32_t want)
{
	struct owfs_group *grp;
	bool good;
	int ret;

	ret = owfs_group_lock_loaded(al, g, &grp);
	if (ret)
		return ret;
	good = grp->nr_free >= want;
	pthread_mutex_unlock(&grp->lock);
	if (!good)
		return 0;
	pthread_mutex_lock(&al->lock);
	move_cursor(al, which, grp);
	pthread_mutex_unlock(&al->lock);
	return 1;
}

static int find_place(struct owfs_alloc *al, unsigned int which, uint32_t want)
{
	uint64_t avoid, g, from = place_from(al, which, &avoid);
	bool wrapped = false;
	unsigned int tries;
	uint32_t run;
	int ret;

	g = from;
	for (tries = 0; tries < PLACE_TRIES; tries++, g++) {
		ret = owfs_freemap_next(al->fm, g, want, &g, &run);
		if (ret == -ENOENT && !wrapped) {
			wrapped = true;
			ret = owfs_freemap_next(al->fm, 0, want, &g, &run);
		}
		if (ret == -ENOENT || (!ret && wrapped && g >= from))
			return 0;
		if (!ret && g != avoid)
			ret = try_place(al, which, g, want);
		if (ret)
			return ret;
	}
	return 0;
}

int owfs_node_find_place(struct owfs_alloc *al)
{
	unsigned int which, copies;
	bool low, settled = true;
	int ret;

	pthread_mutex_lock(&al->lock);
	copies = al->node_copies ? 2 : 1;
	pthread_mutex_unlock(&al->lock);
	for (which = 0; which < copies; which++) {
		pthread_mutex_lock(&al->lock);
		low = is_low(al, &al->node[which]);
		pthread_mutex_unlock(&al->lock);
		if (!low)
			continue;
		ret = find_place(al, which, group_unit(al) / 2);
		if (!ret)
			ret = find_place(al, which, group_unit(al) / 8);
		if (ret < 0)
			return ret;
		settled &= !ret;
	}
	if (!settled)
		return 0;
	pthread_mutex_lock(&al->lock);
	al->node_settled = true;
	pthread_mutex_unlock(&al->lock);
	return 0;
}

/* ----------------------------------------------------------------- one block */

/* A block of @grp at @pos, or in the next good run. */
static bool take_from(struct owfs_alloc *al, struct owfs_group *grp,
		      uint32_t pos, uint32_t *bit)
{
	bool newly = false;
	uint32_t len = 1;

	if (!owfs_group_trylock_loaded(grp))
		return false;
	if (pos < al->geo.group_blocks && !owfs_bitmap_test(grp->busy, pos))
		*bit = pos;
	else
		len = owfs_group_find(al, grp, pos, NODE_RUN, bit);
	if (len) {
		owfs_group_take(grp, *bit, 1);
		owfs_bitmap_set(grp->open, *bit, 1);
		grp->nr_used++;
		newly = owfs_group_mark_dirty(grp);
	}
	pthread_mutex_unlock(&grp->lock);
	if (newly)
		owfs_group_list_dirty(al, grp);
	return len != 0;
}

/* Any group in memory that seems to have a free block. */
static struct owfs_group *next_with_free(struct owfs_alloc *al,
					 const struct owfs_group *avoid)
{
	struct owfs_group *grp = NULL;
	size_t i;

	pthread_mutex_lock(&al->lock);
	for (i = 0; i < al->nr_loaded; i++) {
		if (++al->node_scan >= al->nr_loaded)
			al->node_scan = 0;
		grp = al->loaded[al->node_scan];
		if (grp != avoid && owfs_group_free_hint(grp))
			break;
		grp = NULL;
	}
	pthread_mutex_unlock(&al->lock);
	return grp;
}

static struct owfs_group *take_anywhere(struct owfs_alloc *al,
					const struct owfs_group *avoid,
					uint32_t *bit)
{
	struct owfs_group *grp;
	unsigned int races;

	for (races = 0; races < RACES; races++) {
		grp = next_with_free(al, avoid);
		if (grp && take_from(al, grp, 0, bit))
			return grp;
		if (!grp && avoid)
			return NULL;
		if (!grp)
			sched_yield();
	}
	return NULL;
}

/* Half a group away is as far as a second copy gets when there is one group. */
static bool take_across(struct owfs_alloc *al, struct owfs_group *grp,
			owfs_fsblock_t first, uint32_t *bit)
{
	uint32_t unit = group_unit(al);
	uint32_t pos = first - owfs_geo_group_start(&al->geo, grp->number);

	return take_from(al, grp, (pos + unit / 2) % unit, bit);
}

static void advance(struct owfs_alloc *al, unsigned int which,
		    struct owfs_group *grp, uint32_t bit)
{
	pthread_mutex_lock(&al->lock);
	if (al->node[which].group == grp)
		al->node[which].pos = bit + 1;
	pthread_mutex_unlock(&al->lock);
}

/* Block number @which of a node; @first is where the first copy is. */
static int take_block(struct owfs_alloc *al, unsigned int which,
		      owfs_fsblock_t first, owfs_fsblock_t *blk)
{
	struct owfs_node_cursor nc;
	struct owfs_group *grp, *avoid = NULL;
	uint32_t bit;

	pthread_mutex_lock(&al->lock);
	nc = al->node[which];
	pthread_mutex_unlock(&al->lock);
	if (which)
		avoid = owfs_group_peek(al, owfs_geo_group_of(&al->geo, first));

	grp = nc.group;
	if (!grp || grp == avoid || !take_from(al, grp, nc.pos, &bit))
		grp = take_anywhere(al, avoid, &bit);
	if (!grp && avoid && take_across(al, avoid, first, &bit))
		grp = avoid;
	if (!grp && avoid)
		grp = take_anywhere(al, NULL, &bit);
	if (!grp) {
		owfs_msg(al->msg, OWFS_MSG_ERROR,
			 "allocator: no block for a reserved node");
		return -ENOSPC;
	}
	advance(al, which, grp, bit);
	*blk = owfs_geo_group_start(&al->geo, grp->number) + bit;
	return 0;
}

static void account_nodes(struct owfs_alloc *al, unsigned int n)
{
	pthread_mutex_lock(&al->lock);
	assert(al->reserved >= n && al->free_loaded >= n);
	al->reserved -= n;
	al->free -= n;
	al->free_loaded -= n;
	al->used += n;
	al->node_copies |= n > 1;
	pthread_mutex_unlock(&al->lock);
}

int owfs_alloc_node(struct owfs_alloc *al, unsigned int copies,
		    owfs_fsblock_t addr[2])
{
	int ret;

	addr[0] = addr[1] = OWFS_NOBLOCK;
	ret = take_block(al, 0, 0, &addr[0]);
	if (ret)
		return ret;
	if (copies > 1)
		ret = take_block(al, 1, addr[0], &addr[1]);
	account_nodes(al, ret ? 1 : copies);
	if (ret) {	/* the one block goes back, its reservation is used up */
		owfs_alloc_free_unborn(al, addr);
		addr[0] = OWFS_NOBLOCK;
	}
	return ret;
}
