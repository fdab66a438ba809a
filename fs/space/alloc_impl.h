/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Shared by alloc.c (groups in memory, accounts), alloc_resv.c (admission),
 * alloc_data.c and alloc_node.c (handing out), alloc_free.c (taking back),
 * alloc_commit.c and alloc_check.c.  Nobody else includes this.
 *
 * Six bitmaps a group while it is loaded:
 *
 *   open	used in the open generation
 *   sealed	used in the generation sealed last; what commit writes.  Between
 *		commits that is what the newest durable commit has.
 *   busy	must not be handed out: used, staged or pinned
 *   freed[3]	pinned, by the generation that freed: open, sealed, last durable
 *
 * And two while a commit is kept for a check (alloc_keep.c):
 *
 *   kept	used in that commit
 *   held	of those, nodes that were freed since: when they are not pinned
 *		any longer they stay busy, and are nothing else
 *
 * A block is staged if it is busy and nothing else, held neither.  What is not busy is free
 * in both of the last two durable commits (P4), so what the space map on the
 * device says of a group's free blocks bounds what memory has from above.
 *
 * Order of locks: al->lock, then a group's.  Neither is held over I/O.  Bits
 * change first and accounts after.  In between, blocks that became free are not
 * counted yet, which harms nobody, and blocks that were taken are still counted
 * as free but are covered by the taker's reservation.
 */
#ifndef OWFS_SPACE_ALLOC_IMPL_H
#define OWFS_SPACE_ALLOC_IMPL_H

#include <pthread.h>

#include "space/alloc.h"
#include "space/bitmap.h"

#define OWFS_ALLOC_MAPS		6

enum owfs_group_state {
	OWFS_GROUP_ABSENT,	/* no bits in memory */
	OWFS_GROUP_LOADING,	/* one thread is reading them */
	OWFS_GROUP_LOADED,
};

struct owfs_group {
	uint64_t number;
	pthread_mutex_t lock;
	pthread_cond_t loaded;		/* LOADING is over, well or badly */
	enum owfs_group_state state;	/* lock; read without as a hint */

	/* present while LOADED; content under lock */
	uint64_t *maps;			/* one piece of memory for all six */
	uint64_t *open, *sealed, *busy, *freed[3];
	uint64_t *kept, *held;		/* one piece of memory; NULL: no commit is kept */
	uint32_t nr_used, nr_staged, nr_freed[3], nr_held;	/* lock */
	uint32_t nr_free;		/* lock; read without as a hint */
	uint32_t run_bound;		/* no free run is longer; as nr_free */

	bool dirty;			/* lock: open differs from sealed */
	bool storing;			/* lock: sealed, not yet written */
	bool for_nodes;			/* al->lock; read without as a hint */
	bool touched;			/* hint: used since the last look */
	struct owfs_group *dirty_next;	/* al->lock: al->dirty */
	struct owfs_group *store_next;	/* al->store */
	struct owfs_group *freed_next[3];	/* al->lock: al->freed[] */
	struct owfs_group *all_next;	/* al->lock: al->all */
};

/* Where nodes are taken from next. */
struct owfs_node_cursor {
	struct owfs_group *group;	/* NULL: none yet */
	uint32_t pos;
};

/* Data that was freed, and rests when it is pinned no longer. */
struct owfs_rest {
	struct owfs_rest *next;
	owfs_fsblock_t start;
	uint64_t len;
	uint64_t until;			/* second of rest_now() */
};

struct owfs_alloc {
	struct owfs_blkdev *bd;
	struct owfs_geo geo;
	const struct owfs_msg *msg;
	struct owfs_freemap *fm;
	size_t nwords;			/* of one bitmap */
	uint64_t fixed;			/* blocks */
	bool discard;			/* alloc_rest.c */
	unsigned int rest_secs;		/* set before the first operation; 0: nothing rests */
	uint64_t (*rest_now)(void);
	struct owfs_rest *rest_freed[3];	/* by role, like freed[] */
	uint64_t resting;		/* of staged */
	bool rest_wanted;		/* somebody was refused */

	/* the committing thread's */
	struct owfs_rest *rest_head, **rest_tail;	/* resting, by time */

	struct owfs_group **table;	/* by number; atomic, set once */
	size_t table_bytes;

	pthread_mutex_t lock;
	/* accounts in blocks; under lock, as everything below unless it says so */
	uint64_t free, pinned, staged, used, reserved, held;
	uint64_t reserve;		/* fixed at open */
	uint64_t floor;			/* freeing reservations leave so many in this generation */
	uint64_t free_loaded;		/* of free, in loaded groups */
	uint64_t pins_absent;		/* of pinned, in groups not yet loaded */
	bool prev_counts;		/* no commit of this run is durable yet */
	bool keeping;			/* a commit is kept for a check */

	struct owfs_group **loaded;	/* array of those LOADED */
	size_t nr_loaded, max_loaded;
	struct owfs_group *all;
	struct owfs_group *dirty;
	struct owfs_group *freed[3];
	/*
	 * Which of the three freed maps plays which part.  role_open changes at
	 * seal only, when no transaction runs, and is read inside transactions
	 * without lock.
	 */
	unsigned int role_open, role_sealed, role_last;

	struct owfs_node_cursor node[2];	/* second: for second copies */
	size_t node_scan;		/* in loaded[], where to look when a cursor fails */
	bool node_copies;		/* second copies have been asked for */
	bool node_settled;		/* no better place for nodes until space comes back */
	uint64_t load_next;		/* group; where to look for more to load */

	owfs_fsblock_t data_next;	/* atomic, relaxed: end of what was handed out last */

	/* the committing thread's */
	struct owfs_group *store;	/* sealed, to be written */
	bool store_sorted;
	uint64_t sealed_freed;		/* root.freed_blocks of the sealed generation */
	bool sealed_pending;		/* sealed and not yet durable */
	int store_error;		/* the first one; commit is over for good */
	bool discard_failed;		/* said once */
};

/* ------------------------------------------------------------- alloc.c */

/* A hint read by others than the lock's holder. */
static inline uint32_t owfs_group_free_hint(const struct owfs_group *grp)
{
	return __atomic_load_n(&grp->nr_free, __ATOMIC_RELAXED);
}

static inline uint32_t owfs_group_run_hint(const struct owfs_group *grp)
{
	return __atomic_load_n(&grp->run_bound, __ATOMIC_RELAXED);
}

static inline bool owfs_group_is_loaded(const struct owfs_group *grp)
{
	return __atomic_load_n(&grp->state, __ATOMIC_RELAXED) ==
	       OWFS_GROUP_LOADED;
}

/* The group if it was ever loaded, else NULL. */
struct owfs_group *owfs_group_peek(const struct owfs_alloc *al, uint64_t g);
/* Return with the group's lock held and its bits present; reads them if need be. */
int owfs_group_lock_loaded(struct owfs_alloc *al, uint64_t g,
			   struct owfs_group **grpp);
/* The same if no reading is needed, else false. */
bool owfs_group_trylock_loaded(struct owfs_group *grp);

/*
 * alloc_keep.c.  Caller holds al->lock and the group's: @grp has been loaded;
 * *memory, for two maps, is taken if it is needed.
 */
void owfs_keep_install(struct owfs_alloc *al, struct owfs_group *grp,
		       uint64_t **memory);
/* Nodes were freed. Caller holds the group's lock, as below. */
void owfs_keep_nodes(struct owfs_group *grp, uint32_t start, uint32_t len);
/* These are data. */
void owfs_keep_not(struct owfs_group *grp, uint32_t start, uint32_t len);
/* Before @freed is cleared: how many of them are held from now on. */
uint32_t owfs_keep_hold(const struct owfs_alloc *al, struct owfs_group *grp,
			const uint64_t *freed);
/* Is nothing of [start, start + len) to be held? */
bool owfs_keep_spares(const struct owfs_group *grp, uint32_t start, uint32_t len);
/* May the group be dropped as far as the kept commit goes?  Both locks are held. */
bool owfs_keep_is_same(const struct owfs_alloc *al, const struct owfs_group *grp);

/* Caller holds the group's lock: blocks leave or enter the free ones. */
void owfs_group_take(struct owfs_group *grp, uint32_t start, uint32_t len);
void owfs_group_give(struct owfs_group *grp, uint32_t start, uint32_t len);
/* The same for @n blocks anywhere, whose bits of busy the caller has cleared. */
void owfs_group_given(struct owfs_group *grp, uint32_t n);
/* Caller holds the group's lock.  True: call owfs_group_list_dirty() after unlocking. */
bool owfs_group_mark_dirty(struct owfs_group *grp);
void owfs_group_list_dirty(struct owfs_alloc *al, struct owfs_group *grp);
/*
 * Find up to @want clear bits of busy from bit @from on, then from the
 * beginning; lowers run_bound when it has seen all.  Caller holds the lock.
 */
uint32_t owfs_group_find(struct owfs_alloc *al, struct owfs_group *grp,
			 uint32_t from, uint32_t want, uint32_t *start);

/* Blocks to keep back for admission: free ones not promised to anybody. */
static inline uint64_t owfs_alloc_unpromised(const struct owfs_alloc *al)
{
	return al->free > al->reserved ? al->free - al->reserved : 0;
}

/* -------------------------------------------------------- alloc_rest.c */

void owfs_rest_note(struct owfs_alloc *al, unsigned int role,
		    owfs_fsblock_t start, uint64_t len);
/* The committing thread's: what @role has of data begins to rest ... */
void owfs_rest_begin(struct owfs_alloc *al, unsigned int role);
/* ... and what has rested is free; how many blocks. */
uint64_t owfs_rest_end(struct owfs_alloc *al);
void owfs_rest_close(struct owfs_alloc *al);
void owfs_alloc_discard_run(struct owfs_alloc *al, owfs_fsblock_t start,
			    uint64_t len);

/* -------------------------------------------------------- alloc_resv.c */

/* A new generation opens (or blocks came back): what freeing may leave. */
void owfs_resv_set_floor(struct owfs_alloc *al);
void owfs_resv_raise_floor(struct owfs_alloc *al, uint64_t released);

/* -------------------------------------------------------- alloc_data.c */

/* Reserved blocks that have been taken from a group are staged now. */
void owfs_alloc_account_staged(struct owfs_alloc *al, uint64_t len);

/* -------------------------------------------------------- alloc_node.c */

/* Should nodes be given a better place before more are made?  Caller holds al->lock. */
bool owfs_node_wants_place(const struct owfs_alloc *al);
/* Look for one; may read.  No lock held. */
int owfs_node_find_place(struct owfs_alloc *al);

/* ------------------------------------------------------ alloc_commit.c */

/* Give back the memory of groups nobody needs now.  Caller holds al->lock. */
void owfs_alloc_shrink(struct owfs_alloc *al);

#endif
