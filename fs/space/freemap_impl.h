/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Shared by freemap.c (nodes in memory) and freemap_block.c (blocks of the
 * map: reading with verification, writing).  Nobody else includes this.
 */
#ifndef OWFS_SPACE_FREEMAP_IMPL_H
#define OWFS_SPACE_FREEMAP_IMPL_H

#include <pthread.h>

#include "space/freemap.h"

#define OWFS_MAP_NOSLOT		OWFS_MAP_SLOTS
#define OWFS_MAP_MAX_LEVEL	8	/* 5 suffice for OWFS_BLOCKS_MAX */

/* An entry in memory: where the live copy of a child is, what is in it. */
struct owfs_map_ref {
	owfs_gen_t gen;		/* 0: never written */
	uint64_t csum;
	uint64_t free;
	uint32_t maxrun;	/* unknown (0) in the superblock's entry for the root */
	uint8_t slot;
};

/* fm_lock protects all of it; a group's entry changes only when it is stored. */
struct owfs_map_child {
	struct owfs_map_ref cur;	/* newest commit */
	struct owfs_map_ref prev;	/* commit before the mounted one */
	struct owfs_map_node *node;	/* NULL: not in memory, or a bitmap */
	uint8_t other;			/* slot named before cur's */
};

struct owfs_map_node {
	unsigned int level;
	uint64_t first;			/* group */
	uint64_t span;			/* groups below one child */
	struct owfs_map_node *parent;
	bool dirty;			/* fm_lock */
	bool mended;			/* was not what its entry says */
	struct owfs_map_node *dirty_next;
	struct owfs_map_child child[];	/* fanout */
};

struct owfs_freemap {
	struct owfs_blkdev *bd;
	const struct owfs_geo *geo;
	uint64_t seed;
	const struct owfs_msg *msg;
	void *block;			/* the storing thread's */

	pthread_rwlock_t prev_lock;
	pthread_mutex_t lock;
	bool prev_counts;		/* fm_lock; changed under prev_lock, too */
	owfs_gen_t mend;		/* freemap_mend.c; 0: not asked for */
	struct owfs_map_child top;	/* the root, as the superblock names it */
	struct owfs_map_node *root;	/* top.node */
	struct owfs_map_node *dirty[OWFS_MAP_MAX_LEVEL + 1];
};

/* Longest free run in any of @n groups from @first if none was ever written. */
uint32_t owfs_map_untouched_run(const struct owfs_geo *geo, uint64_t first,
				uint64_t n);

/*
 * Read what @ref names and verify it.  gen 0: nothing is read, all entries
 * zero or only fixed bits set.  @refs has fanout entries.
 */
int owfs_map_read_node(const struct owfs_freemap *fm, unsigned int level,
		       uint64_t first, const struct owfs_map_ref *ref,
		       struct owfs_map_ref *refs);
int owfs_map_read_bitmap(const struct owfs_freemap *fm, uint64_t g,
			 const struct owfs_map_ref *ref, uint64_t *bits);

/*
 * freemap_mend.c: an entry for each child of a node that cannot be read, from
 * what stands in the slots.  @refs has fanout entries.  -ENOMEM.
 */
int owfs_map_guess_node(const struct owfs_freemap *fm, unsigned int level,
			uint64_t first, struct owfs_map_ref *refs);

/*
 * Write to ref->slot as of ref->gen; csum (and for a bitmap free and maxrun)
 * are filled in.  A node is begun, given its entries, and written.
 */
int owfs_map_write_bitmap(struct owfs_freemap *fm, uint64_t g,
			  const uint64_t *bits, struct owfs_map_ref *ref);
void owfs_map_begin_node(struct owfs_freemap *fm, unsigned int level,
			 uint64_t first, const struct owfs_map_ref *ref);
void owfs_map_put_entry(struct owfs_freemap *fm, unsigned int i,
			const struct owfs_map_ref *ref);
int owfs_map_write_node(struct owfs_freemap *fm, unsigned int level,
			uint64_t first, struct owfs_map_ref *ref);

#endif
