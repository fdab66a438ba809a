/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The space map on the device: a bitmap for each group, and above the bitmaps
 * a radix tree of fixed shape whose entries say where the live copy of each
 * child is and what it must look like.
 *
 *	superblock -> root node -> ... -> level 1 node -> bitmap of group g
 *
 * Every block of it has three slots at places known from geometry.  A commit
 * writes a changed child to a slot that neither of the last two durable
 * commits names, then the nodes above it, so saving the map takes no space.
 * A block whose entry is all zero was never written: only fixed blocks are
 * used below it, and nothing is read to know that.
 *
 * Of a short last group, the bits past the end of the device are set.
 *
 * Nodes stay in memory once read; bitmaps are the caller's.  Whatever was read
 * has been verified: checksum against the entry that names it, header, fixed
 * bits, counts.  Bad bytes are -EFSBADCRC or -EFSCORRUPTED after one message.
 *
 * Loading and asking may be done by any thread; storing by one at a time.
 */
#ifndef OWFS_SPACE_FREEMAP_H
#define OWFS_SPACE_FREEMAP_H

#include "base/msg.h"
#include "io/blkdev.h"
#include "space/geo.h"

/* Root of the space map as a superblock names it. */
struct owfs_map_root {
	owfs_gen_t gen;		/* that wrote the root node; 0: no map at all yet */
	uint64_t csum;
	unsigned int slot;
	uint64_t free_blocks;	/* not used by that commit */
	uint64_t freed_blocks;	/* of those, used by the commit before */
};

struct owfs_freemap;

struct owfs_freemap_param {
	struct owfs_blkdev *bd;
	const struct owfs_geo *geo;	/* outlives the map */
	uint64_t seed;			/* csum_seed */
	struct owfs_map_root cur, prev;	/* gen 0: none */
	/*
	 * fsck: a node that cannot be believed is no error.  It is made anew
	 * from what stands in the slots of its children, as far as that is
	 * sound and not younger than this generation, and is written with the
	 * next store.  A bitmap that cannot be believed still fails to load.
	 */
	owfs_gen_t mend;		/* 0: no */
	const struct owfs_msg *msg;
};

/* Reads nothing. */
int owfs_freemap_open(struct owfs_freemap **fmp,
		      const struct owfs_freemap_param *p);
void owfs_freemap_close(struct owfs_freemap *fm);

/*
 * The first group at or after @from whose longest free run, as last stored, is
 * at least @want (>= 1); *run is that length.  -ENOENT: none.  What is free in
 * memory is free in the last two commits, so this errs only on the high side.
 * May read map nodes.
 */
int owfs_freemap_next(struct owfs_freemap *fm, uint64_t from, uint32_t want,
		      uint64_t *g, uint32_t *run);

/*
 * The used bits of group @g: *cur as the newest commit has them; *pins those
 * free in it but used by the commit before it, as long as that one counts.
 * The group has no newer bits in memory.
 */
int owfs_freemap_load(struct owfs_freemap *fm, uint64_t g, uint64_t *cur,
		      uint64_t *pins);
/*
 * fsck: what was loaded of group @g is a guess, since a node above it could not
 * be read: it may be what an older commit had.
 */
bool owfs_freemap_is_guess(struct owfs_freemap *fm, uint64_t g);
/* The bits of a group that was never written. */
void owfs_freemap_untouched(const struct owfs_geo *geo, uint64_t g,
			    uint64_t *bits);

/*
 * Write the bits of group @g (which has been loaded) for commit @gen; at most
 * once a commit.  Then the nodes above all of them, at most @max a call (1:
 * more to do, 0: done), then ask for the root.  No flush, no memory taken.
 */
int owfs_freemap_store(struct owfs_freemap *fm, owfs_gen_t gen, uint64_t g,
		       const uint64_t *bits);
int owfs_freemap_store_nodes(struct owfs_freemap *fm, owfs_gen_t gen,
			     unsigned int max);
/* free_blocks as the map's root has them; freed_blocks 0, the caller knows. */
void owfs_freemap_root(struct owfs_freemap *fm, struct owfs_map_root *root);

/*
 * A commit of this run is durable: the one before the mounted one no longer
 * counts and is not read any more.  Waits for loads that are reading it.
 */
void owfs_freemap_forget_prev(struct owfs_freemap *fm);

#endif
