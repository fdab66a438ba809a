/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Admission (P7): who may have how many blocks set aside.
 *
 * An ordinary reservation leaves the reserve alone.  A replacing one may leave
 * it a quarter smaller: what it takes it gives back, so that quarter is used up
 * only by what metadata has grown by, and then these get ENOSPC, too.
 *
 * A freeing one goes into the reserve, but within one generation no deeper than
 * a quarter of it: what it frees comes back when the generation after is
 * durable, so three generations can be living from the reserve at once.  That
 * is kept as a floor: at the beginning of a generation, what is unpromised then
 * less a quarter of the reserve; no freeing reservation may take the unpromised
 * blocks below it.  Three quarters are thus theirs alone.
 *
 * A retry is promising (-EAGAIN) if the request would be admitted in a fresh
 * generation with all that is pinned now come back.
 */
#include "base/err.h"
#include "base/util.h"
#include "space/alloc_impl.h"

static uint64_t share(const struct owfs_alloc *al)
{
	return al->reserve / 4;
}

/* The floor of a generation that begins with @unpromised blocks. */
static uint64_t floor_of(const struct owfs_alloc *al, uint64_t unpromised)
{
	uint64_t base = min_u64(al->reserve, unpromised);

	return base > share(al) ? base - share(al) : 0;
}

void owfs_resv_set_floor(struct owfs_alloc *al)
{
	al->floor = floor_of(al, owfs_alloc_unpromised(al));
}

/* Blocks that come back within a generation are no reason to go deeper in it. */
void owfs_resv_raise_floor(struct owfs_alloc *al, uint64_t released)
{
	al->floor = min_u64(al->reserve - share(al), al->floor + released);
}

static bool admits(uint64_t unpromised, uint64_t n, uint64_t leave)
{
	return n <= unpromised && unpromised - n >= leave;
}

/* What a reservation has to leave, if the generation's floor is @floor. */
static uint64_t to_leave(const struct owfs_alloc *al,
			 enum owfs_resv_class class, uint64_t floor)
{
	switch (class) {
	case OWFS_RESV_FREEING:
		return floor;
	case OWFS_RESV_REPLACING:
		return al->reserve - share(al);
	default:
		return al->reserve;
	}
}

/* Caller holds al->lock. */
static int admit(const struct owfs_alloc *al, uint64_t n,
		 enum owfs_resv_class class)
{
	uint64_t now = owfs_alloc_unpromised(al);
	uint64_t later = al->free + al->pinned + al->resting;

	if (admits(now, n, to_leave(al, class, al->floor)))
		return 0;
	later = later > al->reserved ? later - al->reserved : 0;
	if (admits(later, n, to_leave(al, class, floor_of(al, later))))
		return -EAGAIN;
	return -ENOSPC;
}

/*
 * The next group from @from on that is not in memory and has a free run of
 * @want blocks on the device.  -ENOENT: none up to the last group.
 */
static int next_absent(struct owfs_alloc *al, uint64_t from, uint32_t want,
		       uint64_t *g)
{
	struct owfs_group *grp;
	uint32_t run;
	int ret;

	for (;; from = *g + 1) {
		ret = owfs_freemap_next(al->fm, from, want, g, &run);
		if (ret)
			return ret;
		grp = owfs_group_peek(al, *g);
		if (!grp || !owfs_group_is_loaded(grp))
			return 0;
	}
}

static int find_absent(struct owfs_alloc *al, uint64_t from, uint64_t *g)
{
	uint32_t want;
	int ret;

	/* groups with room for many first */
	for (want = al->geo.group_blocks / 8; ; want = want / 16) {
		want = max_u64(want, 1);
		ret = next_absent(al, from, want, g);
		if (ret == -ENOENT && from)
			ret = next_absent(al, 0, want, g);
		if (ret != -ENOENT || want == 1)
			return ret;
	}
}

static bool is_backed(struct owfs_alloc *al)
{
	bool backed;

	pthread_mutex_lock(&al->lock);
	backed = al->free_loaded >= al->reserved;
	pthread_mutex_unlock(&al->lock);
	return backed;
}

/* Read one more group that has free blocks. */
static int load_another(struct owfs_alloc *al)
{
	struct owfs_group *grp;
	uint64_t from, g;
	int ret;

	pthread_mutex_lock(&al->lock);
	from = al->load_next;
	pthread_mutex_unlock(&al->lock);

	ret = find_absent(al, from, &g);
	if (ret == -ENOENT) {
		if (is_backed(al))	/* others have loaded the rest */
			return 0;
		owfs_msg(al->msg, OWFS_MSG_ERROR,
			 "space map: fewer free blocks than the superblock counts");
		return -EFSCORRUPTED;
	}
	if (!ret)
		ret = owfs_group_lock_loaded(al, g, &grp);
	if (ret)
		return ret;
	pthread_mutex_unlock(&grp->lock);

	pthread_mutex_lock(&al->lock);
	al->load_next = g + 1;
	pthread_mutex_unlock(&al->lock);
	return 0;
}

int owfs_alloc_reserve(struct owfs_alloc *al, uint64_t n,
		       enum owfs_resv_class class)
{
	bool ready;
	int ret;

	pthread_mutex_lock(&al->lock);
	ret = admit(al, n, class);
	if (ret && al->held) {
		pthread_mutex_unlock(&al->lock);
		owfs_alloc_give_up(al);
		pthread_mutex_lock(&al->lock);
		ret = admit(al, n, class);
	}
	if (!ret)
		al->reserved += n;
	else
		al->rest_wanted = true;
	ready = al->free_loaded >= al->reserved && !owfs_node_wants_place(al);
	pthread_mutex_unlock(&al->lock);
	if (ret || ready)
		return ret;

	ret = owfs_node_find_place(al);
	while (!ret && !is_backed(al))
		ret = load_another(al);
	if (ret)
		owfs_alloc_unreserve(al, n);
	return ret;
}

void owfs_alloc_unreserve(struct owfs_alloc *al, uint64_t n)
{
	pthread_mutex_lock(&al->lock);
	assert(al->reserved >= n);
	al->reserved -= n;
	pthread_mutex_unlock(&al->lock);
}
