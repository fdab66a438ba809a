/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who owns which block, now and in the generations that are still protected.
 *
 * A block is in one state:
 *
 *   free     anybody may have it
 *   staged   handed out, nothing durable or visible says so (P5)
 *   used     the open generation's tree reaches it; its bit is set on disk
 *            when that generation is
 *   pinned   freed in generation F, not handed out before F+1 is durable (P4)
 *
 *            owfs_alloc_data            owfs_alloc_use
 *      free ----------------> staged ------------------> used
 *       ^  <----------------                              | owfs_alloc_free
 *       |   owfs_alloc_unstage                            v
 *       +------------------------------------------- pinned
 *       ^        owfs_alloc_durable(F+1)                  |
 *       |                                                 v
 *       +--------------------------------------------- held
 *                owfs_alloc_unkeep()        if a commit is kept that uses it
 *
 * Per group in memory (24 KiB at 4 KiB blocks, loaded when first needed): the
 * bits of the open generation, the sealed copy that commit writes, the union
 * of everything that must not be handed out, and the frees of three
 * generations (open, sealed, last durable).  Above 128 MiB of them, groups that
 * nobody touched for two commits and that only the device matters of are
 * dropped again.
 *
 * Locks: all functions lock for themselves (al_lock: accounts and cursors;
 * one mutex per group: its bits; al_lock is never taken inside a group's).
 * owfs_alloc_seal() is called with no transaction running.  Functions that may
 * read the device say so; the others never do.
 *
 * Reservations (P7).  Nothing is handed out that was not reserved.  An
 * ordinary reservation leaves `reserve` blocks alone.  One that replaces
 * (rename, overwrite, chmod) gives back what it takes, two commits later, but
 * for what metadata grows by: it may borrow a quarter of them.  One that frees
 * (unlink, truncate, punch, reclaim) may use all of them, a quarter in one
 * generation: three generations of frees can be under way, and the share that
 * is lent is never one of theirs.
 */
#ifndef OWFS_SPACE_ALLOC_H
#define OWFS_SPACE_ALLOC_H

#include "base/msg.h"
#include "io/blkdev.h"
#include "space/freemap.h"

struct owfs_alloc;

struct owfs_alloc_param {
	struct owfs_blkdev *bd;
	struct owfs_geo geo;
	uint64_t seed;			/* csum_seed */
	uint64_t reserve;		/* blocks, sb reserve_blocks */
	struct owfs_map_root cur, prev;	/* prev.gen 0: none */
	bool discard;			/* discard what becomes free */
	const struct owfs_msg *msg;
};

/* cur.gen 0: a fresh filesystem, every group never used (mkfs). */
int owfs_alloc_open(struct owfs_alloc **alp, const struct owfs_alloc_param *p);
void owfs_alloc_close(struct owfs_alloc *al);

/* ----------------------------------------------------------- reservations */

enum owfs_resv_class {
	OWFS_RESV_NORMAL,
	OWFS_RESV_REPLACING,	/* may borrow a quarter of the reserve */
	OWFS_RESV_FREEING,	/* may use it up */
};

/*
 * Set @n blocks aside.  0; -EAGAIN: not now, but blocks are pinned, commit and
 * try again; -ENOSPC: not even then.  May read bitmaps: loads groups until at
 * least the reserved number of free blocks is in loaded groups, so that
 * owfs_alloc_node() needs no I/O; other errors are from that.
 */
int owfs_alloc_reserve(struct owfs_alloc *al, uint64_t n,
		       enum owfs_resv_class class);
void owfs_alloc_unreserve(struct owfs_alloc *al, uint64_t n);

/* -------------------------------------------------------------- handing out */

/*
 * Stage up to @want contiguous blocks for data, near @goal (OWFS_NOBLOCK: no
 * wish), consuming as many reserved ones.  *len may be short: that is not
 * ENOSPC.  May read bitmaps.  -ENOSPC only if nothing at all could be had
 * (a bug, when reserved).
 */
int owfs_alloc_data(struct owfs_alloc *al, owfs_fsblock_t goal, uint64_t want,
		    owfs_fsblock_t *start, uint64_t *len);
/* Staged blocks go back, at once; they count as reserved again if @keep. */
void owfs_alloc_unstage(struct owfs_alloc *al, owfs_fsblock_t start,
			uint64_t len, bool keep);
/* Staged blocks become used in the open generation.  In a transaction. */
void owfs_alloc_use(struct owfs_alloc *al, owfs_fsblock_t start, uint64_t len);

/*
 * fsck: blocks that only the commit before has are used again in the open
 * generation; what is used already stays so, and what is free.  Loaded; in a
 * transaction.
 */
void owfs_alloc_reclaim(struct owfs_alloc *al, owfs_fsblock_t start, uint64_t len);

/*
 * @copies (1 or 2) blocks for one node, used in the open generation at once,
 * consuming as many reserved ones; two copies lie apart where they can.  In a
 * transaction; no I/O.
 */
int owfs_alloc_node(struct owfs_alloc *al, unsigned int copies,
		    owfs_fsblock_t addr[2]);

/* Make the groups of a range present.  May read.  Before a transaction. */
int owfs_alloc_load(struct owfs_alloc *al, owfs_fsblock_t start, uint64_t len);

/*
 * Used blocks become pinned.  In a transaction; reads only if the group was
 * not loaded before (-EIO and so on then; the caller aborts).  A block that is
 * not used is -EFSCORRUPTED, said once, nothing changed.
 */
int owfs_alloc_free(struct owfs_alloc *al, owfs_fsblock_t start, uint64_t len);
/* The same for data, which others may still read: it rests (owfs_alloc_rest()). */
int owfs_alloc_free_data(struct owfs_alloc *al, owfs_fsblock_t start,
			 uint64_t len);
/*
 * Before the first operation: freed data is not handed out for so many seconds
 * after its generations have let go of it, unless somebody is refused for lack
 * of space; it counts as pinned.  @now tells seconds; NULL: the system's.
 */
void owfs_alloc_rest(struct owfs_alloc *al, unsigned int secs,
		     uint64_t (*now)(void));
/* A node made in the open generation that goes again in it: free at once. */
int owfs_alloc_free_unborn(struct owfs_alloc *al, const owfs_fsblock_t addr[2]);

/* -------------------------------------------------------------------- trim */

struct owfs_trim {
	owfs_fsblock_t start, end;
	uint64_t minlen;		/* blocks, 1 or more: shorter runs are left alone */
	bool (*stop)(void *ctx);	/* asked now and then; NULL: never */
	void *ctx;
};
/*
 * Discard what is free in [start, end), while others allocate and commit; how
 * many blocks in *trimmed, also after an error.  May read bitmaps.  What only
 * the reserve holds free is not trimmed.  -EOPNOTSUPP: the device does not
 * discard; -EINTR: stopped.
 */
int owfs_alloc_trim(struct owfs_alloc *al, const struct owfs_trim *t,
		    uint64_t *trimmed);

/* ------------------------------------------------------------------ commit */

/* Copy the open generation's bits; frees of open become frees of sealed. Fast: no I/O, no memory. */
void owfs_alloc_seal(struct owfs_alloc *al);
/*
 * Write up to @max sealed bitmaps, then the map nodes above, each to a slot
 * that neither of the last two durable commits names.  1: more to do, call
 * again; 0: done, *root is what the superblock shall say; or -errno, which is
 * final.  No flush.  One caller at a time.  If nothing changed the root is the
 * one of before, but for freed_blocks, 0: a commit that changes nothing freed
 * nothing.
 */
int owfs_alloc_store(struct owfs_alloc *al, owfs_gen_t gen, unsigned int max,
		     struct owfs_map_root *root);
/* The sealed generation is durable: frees of the one before become free (discarded first if asked). */
void owfs_alloc_durable(struct owfs_alloc *al);

/* -------------------------------------------------- a commit that is kept */

/*
 * Keep the newest durable commit: no block that it uses is handed out before
 * owfs_alloc_unkeep(), or before somebody would be refused for lack of space,
 * who is more important.  By the committing thread, with nothing sealed and not
 * yet durable.  -EBUSY: one is kept already.  -ENOMEM
 */
int owfs_alloc_keep(struct owfs_alloc *al);
void owfs_alloc_unkeep(struct owfs_alloc *al);
/* The same, and say so, if there is one. */
void owfs_alloc_give_up(struct owfs_alloc *al);
bool owfs_alloc_is_kept(struct owfs_alloc *al);
/* The used bits of group @g in that commit; -ESTALE: none is kept.  May read. */
int owfs_alloc_kept_bits(struct owfs_alloc *al, uint64_t g, uint64_t *bits);

/* ------------------------------------------------------------------- counts */

struct owfs_alloc_stat {
	uint64_t free;		/* not used, not pinned, not staged */
	uint64_t pinned;	/* or resting, or held */
	uint64_t staged;
	uint64_t reserved;	/* promised, not handed out */
	uint64_t reserve;	/* the part kept for freeing operations */
	uint64_t used;		/* in the open generation, without fixed blocks */
};
void owfs_alloc_stat(struct owfs_alloc *al, struct owfs_alloc_stat *st);

/*
 * For tests: do bits and accounts agree, and is every block in exactly one
 * state?  At a quiet moment.  0 or -EFSCORRUPTED after a message.
 */
int owfs_alloc_check(struct owfs_alloc *al);

/* For fsck, dump and tests: is each block of the open generation used? May read. */
int owfs_alloc_group_bits(struct owfs_alloc *al, uint64_t g, uint64_t *bits,
			  size_t nwords);

#endif
