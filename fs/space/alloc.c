/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Groups in memory and the accounts over them.  Policy is elsewhere: see
 * alloc_impl.h for which file does what.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/err.h"
#include "base/util.h"
#include "space/alloc_impl.h"

/* ---------------------------------------------------------- open and close */

static void accounts_open(struct owfs_alloc *al,
			  const struct owfs_alloc_param *p)
{
	uint64_t total = al->geo.nblocks - al->fixed;

	al->free = p->cur.gen ? p->cur.free_blocks : total;
	al->used = total - al->free;
	al->prev_counts = p->prev.gen != 0;
	if (al->prev_counts) {
		al->pins_absent = p->cur.freed_blocks;
		al->pinned = al->pins_absent;
		al->free -= al->pinned;
	}
	al->reserve = p->reserve;
	owfs_resv_set_floor(al);
}

/* The table is as large as the device has groups and costs what is touched. */
static int table_open(struct owfs_alloc *al)
{
	void *table;

	if (al->geo.ngroups > SIZE_MAX / sizeof(al->table[0]))
		return -ENOMEM;
	al->table_bytes = al->geo.ngroups * sizeof(al->table[0]);
	table = mmap(NULL, al->table_bytes, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (table == MAP_FAILED)
		return -ENOMEM;
	al->table = table;
	return 0;
}

static bool param_sane(const struct owfs_alloc_param *p)
{
	if (p->cur.freed_blocks <= p->cur.free_blocks)
		return true;
	owfs_msg(p->msg, OWFS_MSG_ERROR,
		 "space map: more blocks freed than free: free=%" PRIu64
		 " freed=%" PRIu64, p->cur.free_blocks, p->cur.freed_blocks);
	return false;
}

int owfs_alloc_open(struct owfs_alloc **alp, const struct owfs_alloc_param *p)
{
	struct owfs_freemap_param fp = {
		.bd = p->bd, .seed = p->seed, .cur = p->cur, .prev = p->prev,
		.msg = p->msg };
	struct owfs_alloc *al;
	int ret;

	if (!param_sane(p))
		return -EFSCORRUPTED;
	al = calloc(1, sizeof(*al));
	if (!al)
		return -ENOMEM;
	al->bd = p->bd;
	al->geo = p->geo;
	al->msg = p->msg;
	al->rest_tail = &al->rest_head;
	al->discard = p->discard;
	al->nwords = OWFS_BITMAP_WORDS(al->geo.group_blocks);
	al->fixed = owfs_geo_fixed_total(&al->geo);
	al->role_sealed = 1;
	al->role_last = 2;
	/* nodes begin in the first group, so data begins in the second */
	if (al->geo.ngroups > 1)
		al->data_next = owfs_geo_group_start(&al->geo, 1);

	fp.geo = &al->geo;
	ret = owfs_freemap_open(&al->fm, &fp);
	if (ret)
		goto out_free;
	ret = table_open(al);
	if (ret)
		goto out_freemap;
	accounts_open(al, p);
	pthread_mutex_init(&al->lock, NULL);
	*alp = al;
	return 0;

out_freemap:
	owfs_freemap_close(al->fm);
out_free:
	free(al);
	return ret;
}

void owfs_alloc_close(struct owfs_alloc *al)
{
	struct owfs_group *grp, *next;

	if (!al)
		return;
	owfs_rest_close(al);
	for (grp = al->all; grp; grp = next) {
		next = grp->all_next;
		pthread_cond_destroy(&grp->loaded);
		pthread_mutex_destroy(&grp->lock);
		free(grp->maps);
		free(grp->kept);
		free(grp);
	}
	free(al->loaded);
	munmap(al->table, al->table_bytes);
	owfs_freemap_close(al->fm);
	pthread_mutex_destroy(&al->lock);
	free(al);
}

/* ---------------------------------------------------------- loading a group */

struct owfs_group *owfs_group_peek(const struct owfs_alloc *al, uint64_t g)
{
	return __atomic_load_n(&al->table[g], __ATOMIC_ACQUIRE);
}

static void set_state(struct owfs_group *grp, enum owfs_group_state state)
{
	__atomic_store_n(&grp->state, state, __ATOMIC_RELAXED);
}

static struct owfs_group *group_new(struct owfs_alloc *al, uint64_t g)
{
	struct owfs_group *grp, *old;

	grp = calloc(1, sizeof(*grp));
	if (!grp)
		return NULL;
	grp->number = g;
	pthread_mutex_init(&grp->lock, NULL);
	pthread_cond_init(&grp->loaded, NULL);

	pthread_mutex_lock(&al->lock);
	old = al->table[g];
	if (!old) {
		grp->all_next = al->all;
		al->all = grp;
		__atomic_store_n(&al->table[g], grp, __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&al->lock);
	if (!old)
		return grp;
	pthread_cond_destroy(&grp->loaded);
	pthread_mutex_destroy(&grp->lock);
	free(grp);
	return old;
}

/* Make sure loaded[] has room for one more.  Caller holds al->lock. */
static int loaded_grow(struct owfs_alloc *al)
{
	size_t max = al->max_loaded ? al->max_loaded * 2 : 64;
	struct owfs_group **loaded;

	if (al->nr_loaded < al->max_loaded)
		return 0;
	loaded = realloc(al->loaded, max * sizeof(*loaded));
	if (!loaded)
		return -ENOMEM;
	al->loaded = loaded;
	al->max_loaded = max;
	return 0;
}

/*
 * Blocks freed by the mounted commit stay pinned until this run's first commit
 * is durable (P4).  Caller holds al->lock.
 */
static int install_pins(struct owfs_alloc *al, struct owfs_group *grp,
			const uint64_t *pins)
{
	uint64_t *last = grp->freed[al->role_last];
	uint32_t n = owfs_bitmap_weight(pins, al->nwords);
	size_t w;

	if (!n || !al->prev_counts)
		return 0;
	if (n > al->pins_absent) {
		owfs_msg(al->msg, OWFS_MSG_ERROR,
			 "space map: group %" PRIu64
			 " has more freed blocks than the superblock: expected=%" PRIu64
			 " found=%" PRIu32, grp->number, al->pins_absent, n);
		return -EFSCORRUPTED;
	}
	for (w = 0; w < al->nwords; w++) {
		last[w] = pins[w];
		grp->busy[w] |= pins[w];
	}
	al->pins_absent -= n;
	grp->nr_freed[al->role_last] = n;
	grp->freed_next[al->role_last] = al->freed[al->role_last];
	al->freed[al->role_last] = grp;
	return 0;
}

static void hang_maps(struct owfs_alloc *al, struct owfs_group *grp,
		      uint64_t *maps)
{
	unsigned int i;

	grp->maps = maps;
	grp->open = maps;
	grp->sealed = maps + al->nwords;
	grp->busy = maps + 2 * al->nwords;
	for (i = 0; i < 3; i++)
		grp->freed[i] = maps + (3 + i) * al->nwords;
}

/*
 * The bits have come: open has them, @pins what the commit before had on top.
 * Caller holds al->lock and the group's.
 */
static int install(struct owfs_alloc *al, struct owfs_group *grp,
		   uint64_t *maps, const uint64_t *pins, uint64_t **memory)
{
	size_t bytes = al->nwords * sizeof(*maps);
	int ret;

	ret = loaded_grow(al);
	if (ret)
		return ret;
	hang_maps(al, grp, maps);
	memcpy(grp->sealed, grp->open, bytes);
	memcpy(grp->busy, grp->open, bytes);
	memset(grp->nr_freed, 0, sizeof(grp->nr_freed));
	ret = install_pins(al, grp, pins);
	if (ret)
		return ret;

	grp->nr_used = owfs_bitmap_weight(grp->open, al->nwords);
	grp->nr_staged = 0;
	__atomic_store_n(&grp->nr_free, al->geo.group_blocks -
			 owfs_bitmap_weight(grp->busy, al->nwords),
			 __ATOMIC_RELAXED);
	__atomic_store_n(&grp->run_bound, grp->nr_free, __ATOMIC_RELAXED);
	al->free_loaded += grp->nr_free;
	al->loaded[al->nr_loaded++] = grp;
	set_state(grp, OWFS_GROUP_LOADED);
	owfs_keep_install(al, grp, memory);
	return 0;
}

/* Read a group's bits.  Its state is LOADING, by this thread; no lock held. */
static int group_read(struct owfs_alloc *al, struct owfs_group *grp)
{
	uint64_t *maps, *pins, *memory;
	int ret = -ENOMEM;

	maps = calloc(OWFS_ALLOC_MAPS * al->nwords, sizeof(*maps));
	pins = malloc(al->nwords * sizeof(*pins));
	memory = malloc(2 * al->nwords * sizeof(*memory));
	if (maps && pins && memory)
		ret = owfs_freemap_load(al->fm, grp->number, maps, pins);

	pthread_mutex_lock(&al->lock);
	pthread_mutex_lock(&grp->lock);
	if (!ret)
		ret = install(al, grp, maps, pins, &memory);
	if (ret) {
		grp->maps = NULL;
		set_state(grp, OWFS_GROUP_ABSENT);
	}
	pthread_cond_broadcast(&grp->loaded);
	pthread_mutex_unlock(&grp->lock);
	pthread_mutex_unlock(&al->lock);
	if (ret)
		free(maps);
	free(pins);
	free(memory);
	return ret;
}

int owfs_group_lock_loaded(struct owfs_alloc *al, uint64_t g,
			   struct owfs_group **grpp)
{
	struct owfs_group *grp = owfs_group_peek(al, g);
	int ret;

	if (!grp)
		grp = group_new(al, g);
	if (!grp)
		return -ENOMEM;
	pthread_mutex_lock(&grp->lock);
	while (grp->state != OWFS_GROUP_LOADED) {
		if (grp->state == OWFS_GROUP_LOADING) {
			pthread_cond_wait(&grp->loaded, &grp->lock);
			continue;
		}
		set_state(grp, OWFS_GROUP_LOADING);
		pthread_mutex_unlock(&grp->lock);
		ret = group_read(al, grp);
		if (ret)
			return ret;
		pthread_mutex_lock(&grp->lock);
	}
	__atomic_store_n(&grp->touched, true, __ATOMIC_RELAXED);
	*grpp = grp;
	return 0;
}

bool owfs_group_trylock_loaded(struct owfs_group *grp)
{
	pthread_mutex_lock(&grp->lock);
	if (grp->state == OWFS_GROUP_LOADED) {
		__atomic_store_n(&grp->touched, true, __ATOMIC_RELAXED);
		return true;
	}
	pthread_mutex_unlock(&grp->lock);
	return false;
}

int owfs_alloc_load(struct owfs_alloc *al, owfs_fsblock_t start, uint64_t len)
{
	struct owfs_group *grp;
	uint64_t g, last;
	int ret;

	if (!len || start >= al->geo.nblocks || len > al->geo.nblocks - start)
		return -EFSCORRUPTED;
	last = owfs_geo_group_of(&al->geo, start + len - 1);
	for (g = owfs_geo_group_of(&al->geo, start); g <= last; g++) {
		ret = owfs_group_lock_loaded(al, g, &grp);
		if (ret)
			return ret;
		pthread_mutex_unlock(&grp->lock);
	}
	return 0;
}

/* ---------------------------------------------------------- bits of a group */

static void set_counts(struct owfs_group *grp, uint32_t nr_free,
		       uint64_t run_bound)
{
	__atomic_store_n(&grp->nr_free, nr_free, __ATOMIC_RELAXED);
	__atomic_store_n(&grp->run_bound, min_u64(run_bound, nr_free),
			 __ATOMIC_RELAXED);
}

void owfs_group_take(struct owfs_group *grp, uint32_t start, uint32_t len)
{
	assert(owfs_bitmap_is_clear(grp->busy, start, len));
	owfs_bitmap_set(grp->busy, start, len);
	set_counts(grp, grp->nr_free - len, grp->run_bound);
}

void owfs_group_give(struct owfs_group *grp, uint32_t start, uint32_t len)
{
	assert(owfs_bitmap_is_set(grp->busy, start, len));
	owfs_bitmap_clear(grp->busy, start, len);
	/* it may have joined a run on either side */
	set_counts(grp, grp->nr_free + len, 2ull * grp->run_bound + len);
}

void owfs_group_given(struct owfs_group *grp, uint32_t n)
{
	/* n blocks can join n + 1 runs */
	set_counts(grp, grp->nr_free + n,
		   (n + 1ull) * grp->run_bound + n);
}

bool owfs_group_mark_dirty(struct owfs_group *grp)
{
	bool newly = !grp->dirty;

	grp->dirty = true;
	return newly;
}

void owfs_group_list_dirty(struct owfs_alloc *al, struct owfs_group *grp)
{
	pthread_mutex_lock(&al->lock);
	grp->dirty_next = al->dirty;
	al->dirty = grp;
	pthread_mutex_unlock(&al->lock);
}

uint32_t owfs_group_find(struct owfs_alloc *al, struct owfs_group *grp,
			 uint32_t from, uint32_t want, uint32_t *start)
{
	uint32_t n = al->geo.group_blocks, len = 0, all, first = 0;

	if (!grp->nr_free)
		return 0;
	/* nothing longer is there, so the first of that length is the best */
	want = min_u64(want, grp->run_bound);
	if (from)
		len = owfs_bitmap_find_clear(grp->busy, from, n, want, start);
	if (len >= want)
		return len;
	/* the whole group, for a run may begin before @from and pass it */
	all = owfs_bitmap_find_clear(grp->busy, 0, n, want, &first);
	if (all < want)
		set_counts(grp, grp->nr_free, all);
	if (all <= len)
		return len;
	*start = first;
	return all;
}

/* ------------------------------------------------------------------- counts */

void owfs_alloc_stat(struct owfs_alloc *al, struct owfs_alloc_stat *st)
{
	pthread_mutex_lock(&al->lock);
	*st = (struct owfs_alloc_stat){
		.free = al->free, .pinned = al->pinned + al->resting + al->held,
		.staged = al->staged - al->resting,
		.reserved = al->reserved, .reserve = al->reserve,
		.used = al->used };
	pthread_mutex_unlock(&al->lock);
}

int owfs_alloc_group_bits(struct owfs_alloc *al, uint64_t g, uint64_t *bits,
			  size_t nwords)
{
	struct owfs_group *grp;
	int ret;

	if (g >= al->geo.ngroups)
		return -EINVAL;
	ret = owfs_group_lock_loaded(al, g, &grp);
	if (ret)
		return ret;
	memcpy(bits, grp->open, min_u64(nwords, al->nwords) * sizeof(*bits));
	pthread_mutex_unlock(&grp->lock);
	return 0;
}
