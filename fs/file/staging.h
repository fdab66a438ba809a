/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What begin has handed out and no ioend has claimed yet, per inode: disk
 * blocks that hold, or will hold, new contents of file blocks (P3, P5).
 *
 * Two writes may be in flight on one file block, and an ioend brings no
 * address, so it cannot say which of them is done.  Therefore a file block
 * counts: each begin adds one ioend to wait for, each ioend takes one off.
 * When none is left the block is settled: the run of the newest begin is
 * mapped, the others go back; if any of those ioends brought an error, all go
 * back and the old mapping stays (and, if another one succeeded, the inode
 * remembers that data was lost).  Until then nothing of the block is visible,
 * since any of its runs may be half written, and nothing goes back to the
 * allocator, since the device may still be writing there (P4).  Whoever begins
 * and then does not write owes an ioend with an error; or he names the blocks
 * that he was given, and the block counts as if he had never begun.  Such blocks
 * are idle until the ioend of the same write has come, for its device may have
 * been sent some of it before.
 *
 * In classic mode the range lock lets one write at a time have a block, and
 * all of this is one begin and one ioend.
 *
 * The table is under i_map_lock.  A block nobody begun has no ioend to wait
 * for: repeated and stray ioends find nothing and change nothing.
 */
#ifndef OWFS_FILE_STAGING_H
#define OWFS_FILE_STAGING_H

#include "object/inode.h"

/* Disk blocks of one begin. */
struct owfs_staged_run {
	struct owfs_staged_run *older;	/* begun before, on the same file blocks */
	owfs_fsblock_t fsblock;
	bool in_place;		/* unwritten blocks of the file itself: not staged
				   with the allocator, not to be given back */
};

/* A piece of the file that is in one state; the table has them ascending. */
struct owfs_staged {
	struct owfs_staged *next;
	owfs_fileoff_t off;
	uint64_t len;			/* blocks */
	struct owfs_staged_run run;	/* of the newest begin */
	unsigned int pending;		/* ioends to wait for, > 0 */
	bool failed, done;		/* an ioend with an error, without one */
	uint64_t size;			/* what the file shall grow to; 0: nothing */
	struct owfs_resv resv;		/* for the transaction to come */
};

/*
 * Is @off in flight?  *@until: where that changes, UINT64_MAX never.  Only a
 * hint by the time it returns: owfs_staging_add() looks again.
 */
bool owfs_staging_covers(struct owfs_inode *inode, owfs_fileoff_t off,
			 owfs_fileoff_t *until);
/* The same for who holds i_map_lock. */
bool owfs_staging_covers_locked(struct owfs_inode *inode, owfs_fileoff_t off,
				owfs_fileoff_t *until);
/* Where the one begin on block @off writes; false: in place, or not just one. */
bool owfs_staging_only(struct owfs_inode *inode, owfs_fileoff_t off,
		       owfs_fsblock_t *fsblock);
/*
 * Remember a begin.  [off, off + len) is all in flight in one state or not at
 * all, else 1 is returned: look again.  The same if an in-place run is not
 * alone.  On success *@resv passes to the table.  -ENOMEM.  Caller holds
 * i_map_lock.
 */
int owfs_staging_add(struct owfs_inode *inode, owfs_fileoff_t off, uint64_t len,
		     owfs_fsblock_t fsblock, bool in_place,
		     struct owfs_resv *resv);

/* What an ioend says. */
struct owfs_staging_news {
	uint64_t size;			/* what the file shall grow to; without error */
	int error;
	bool unused;			/* the begin that ... */
	owfs_fileoff_t off;		/* ... had for block @off ... */
	owfs_fsblock_t fsblock;		/* ... this one, was for nothing */
};

/*
 * An ioend for [first, end).  What it settles comes back as a list, out of the
 * table; of the rest it is remembered.  -ENOMEM: nothing was changed.
 */
int owfs_staging_end(struct owfs_inode *inode, owfs_fileoff_t first,
		     owfs_fileoff_t end, const struct owfs_staging_news *news,
		     struct owfs_staged **settled);
/*
 * @fn of each piece of what owfs_staging_end() would settle and nothing is wrong
 * with, and of the run that is to be mapped, until one is not 0.  Under
 * i_map_lock.
 */
typedef int owfs_settled_fn(void *ctx, owfs_fileoff_t off, uint64_t len,
			    const struct owfs_staged_run *run);
int owfs_staging_visit(struct owfs_inode *inode, owfs_fileoff_t first,
		       owfs_fileoff_t end, const struct owfs_staging_news *news,
		       owfs_settled_fn *fn, void *ctx);
/* The ioend of a write has come: what it had for nothing goes back. */
void owfs_staging_idle_free(struct owfs_inode *inode);
/*
 * What owfs_staging_end() would settle has reserved *@have; returns how many
 * pieces of the table lie in [first, end), in *@runs runs without a gap.
 */
unsigned int owfs_staging_peek(struct owfs_inode *inode, owfs_fileoff_t first,
			       owfs_fileoff_t end, struct owfs_resv *have,
			       unsigned int *runs);

/* Take a settled list's reservations together into *@resv. */
void owfs_staged_take_resv(struct owfs_staged *list, struct owfs_resv *resv);
/*
 * Forget a settled list.  Runs that newer ones have replaced go back; the
 * newest go back if @give_back says that they were not mapped.
 */
void owfs_staged_free(struct owfs_fs *fs, struct owfs_staged *list,
		      bool give_back);

/*
 * Stage up to @want blocks with the allocator, contiguous, near @goal; as many
 * as can be had, if only one.  -EAGAIN: not even that now.
 */
int owfs_staging_alloc(struct owfs_fs *fs, owfs_fsblock_t goal, uint64_t want,
		       enum owfs_resv_class class, owfs_fsblock_t *fsblock,
		       uint64_t *len);

/* One ioend as file.c and the transports see it. */
struct owfs_ioend {
	loff_t pos;
	uint64_t written;
	int error;
	bool stamp;		/* mtime and ctime become now */
	unsigned int kill;	/* OWFS_SET_KILL_: what goes with the change */
	bool writeback;		/* of the kernel's page cache: wmap.h has the blocks */
	bool unused;		/* not even begun: as owfs_staging_news */
	owfs_fsblock_t fsblock;	/* ... which had this for the block of @pos */
	uint64_t newsize;	/* out */
};
/* owfs_iomap_ioend() with everything that goes into the same transaction. */
int owfs_ioend(struct owfs_inode *inode, struct owfs_ioend *io);

/*
 * The inode goes (owfs_itable.it_drop), or [first, end) is taken away with
 * nothing in flight: begins that never got their ioend are forgotten.
 */
void owfs_staging_forget(struct owfs_inode *inode);
void owfs_staging_drop(struct owfs_inode *inode, owfs_fileoff_t first,
		       owfs_fileoff_t end);

#endif
