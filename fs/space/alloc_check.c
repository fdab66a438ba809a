/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Counts everything again, for tests: every block of a loaded group is in
 * exactly one state, and the accounts are the sums over the groups.
 */
#include <inttypes.h>

#include "base/err.h"
#include "space/alloc_impl.h"

struct tally {
	uint64_t free, staged, pinned, held, used;	/* used: fixed ones included */
};

static int complain(struct owfs_alloc *al, const char *what, uint64_t g,
		    uint64_t counted, uint64_t found)
{
	owfs_msg(al->msg, OWFS_MSG_ERROR,
		 "allocator: %s: group=%" PRIu64 " counted=%" PRIu64
		 " found=%" PRIu64, what, g, counted, found);
	return -EFSCORRUPTED;
}

/* Each bit of open and freed[] at most once, all of them busy. */
static int check_overlap(struct owfs_alloc *al, struct owfs_group *grp)
{
	uint64_t seen;
	unsigned int i;
	size_t w;

	for (w = 0; w < al->nwords; w++) {
		seen = grp->open[w];
		for (i = 0; i < 3; i++) {
			if (seen & grp->freed[i][w])
				return complain(al, "block in two states",
						grp->number, i, w * 64);
			seen |= grp->freed[i][w];
		}
		if (grp->kept && grp->open[w] & grp->held[w])
			return complain(al, "held block is used",
					grp->number, 0, w * 64);
		if (grp->kept)
			seen |= grp->held[w];
		if (seen & ~grp->busy[w])
			return complain(al, "owned block could be handed out",
					grp->number, 0, w * 64);
	}
	return 0;
}

static uint32_t count_held(const struct owfs_alloc *al,
			   const struct owfs_group *grp)
{
	uint32_t n = 0;
	uint64_t bits;
	size_t w;

	for (w = 0; grp->kept && w < al->nwords; w++) {
		bits = grp->held[w] & ~(grp->freed[0][w] | grp->freed[1][w] |
					grp->freed[2][w]);
		n += owfs_bitmap_weight(&bits, 1);
	}
	return n;
}

/* Caller holds al->lock and the group's. */
static int check_group(struct owfs_alloc *al, struct owfs_group *grp,
		       struct tally *t)
{
	uint32_t busy = owfs_bitmap_weight(grp->busy, al->nwords);
	uint32_t used = owfs_bitmap_weight(grp->open, al->nwords);
	uint32_t pinned = 0, held = count_held(al, grp), n, run, start;
	unsigned int i;
	int ret;

	ret = check_overlap(al, grp);
	if (ret)
		return ret;
	for (i = 0; i < 3; i++) {
		n = owfs_bitmap_weight(grp->freed[i], al->nwords);
		if (n != grp->nr_freed[i])
			return complain(al, "freed blocks", grp->number,
					grp->nr_freed[i], n);
		pinned += n;
	}
	if (held != grp->nr_held)
		return complain(al, "held blocks", grp->number, grp->nr_held,
				held);
	if (used != grp->nr_used)
		return complain(al, "used blocks", grp->number, grp->nr_used,
				used);
	if (busy - used - pinned - held != grp->nr_staged)
		return complain(al, "staged blocks", grp->number,
				grp->nr_staged, busy - used - pinned - held);
	if (al->geo.group_blocks - busy != grp->nr_free)
		return complain(al, "free blocks", grp->number, grp->nr_free,
				al->geo.group_blocks - busy);
	run = owfs_bitmap_find_clear(grp->busy, 0, al->geo.group_blocks,
				     al->geo.group_blocks, &start);
	if (run > grp->run_bound)
		return complain(al, "free run above its bound", grp->number,
				grp->run_bound, run);
	t->free += grp->nr_free;
	t->staged += grp->nr_staged;
	t->pinned += pinned;
	t->held += held;
	t->used += used - (al->geo.group_blocks -
			   owfs_geo_ordinary(&al->geo, grp->number, 1));
	return 0;
}

static int check_accounts(struct owfs_alloc *al, const struct tally *t)
{
	uint64_t all = al->free + al->pinned + al->staged + al->used +
		       al->held + al->fixed;

	if (all != al->geo.nblocks)
		return complain(al, "all states together", 0, al->geo.nblocks,
				all);
	if (t->free != al->free_loaded)
		return complain(al, "free blocks of loaded groups", 0,
				al->free_loaded, t->free);
	if (t->staged != al->staged)
		return complain(al, "staged blocks", 0, al->staged, t->staged);
	if (t->pinned + al->pins_absent != al->pinned)
		return complain(al, "pinned blocks", 0, al->pinned,
				t->pinned + al->pins_absent);
	if (t->held != al->held)
		return complain(al, "held blocks", 0, al->held, t->held);
	if (t->used > al->used || (al->nr_loaded == al->geo.ngroups &&
				   t->used != al->used))
		return complain(al, "used blocks", 0, al->used, t->used);
	if (al->free_loaded < al->reserved)
		return complain(al, "reserved blocks not in memory", 0,
				al->reserved, al->free_loaded);
	return 0;
}

int owfs_alloc_check(struct owfs_alloc *al)
{
	struct tally t = { 0 };
	struct owfs_group *grp;
	int ret = 0;
	size_t i;

	pthread_mutex_lock(&al->lock);
	for (i = 0; i < al->nr_loaded && !ret; i++) {
		grp = al->loaded[i];
		pthread_mutex_lock(&grp->lock);
		ret = check_group(al, grp, &t);
		pthread_mutex_unlock(&grp->lock);
	}
	if (!ret)
		ret = check_accounts(al, &t);
	pthread_mutex_unlock(&al->lock);
	return ret;
}
