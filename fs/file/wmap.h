/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kernel's page cache holds of a file in iomap mode that is not in
 * the file yet, as far as the server can know: an inode's map of block ranges
 * in two states that may come together.
 *
 *   reserved	A begin for a store into the page cache was answered and no
 *		writeback of the block was asked for since: it is dirty or about
 *		to be.  `paid`: a data block is set aside for it (P7), which is
 *		not so where an unwritten one of the file itself waits for it.
 *   placed	A begin for writeback was answered with disk blocks and no ioend
 *		has come for them.
 *
 *	     begin(store)	   begin(writeback)	   ioend
 *	  - ------------> reserved ---------------> placed ------> mapped
 *				     begin(store)
 *		  placed --------------------------> placed, reserved
 *
 * A block is written back once at a time: the kernel keeps its page under
 * writeback until the ioend is answered.  So a placed block asked for again is
 * the same writeback (it may ask twice, and for less than it was told), the
 * ioend of a writeback is for what is placed, and what was reserved meanwhile
 * stays reserved.  Direct writes are another matter, they may be many:
 * staging.h.
 *
 *   cached	Of placed blocks: the kernel keeps the mapping, and may write there
 *		again without asking until an ioend without error has come.  So an
 *		error does not give them back; they stay placed.
 *
 * Beside the data blocks the map sets aside what the tree may grow by when
 * each reserved block becomes an extent; the copies of nodes that the ioends
 * make come back two commits later and are taken from the reserve.
 *
 * Under i_map_lock, taken here.
 */
#ifndef OWFS_FILE_WMAP_H
#define OWFS_FILE_WMAP_H

#include "file/staging.h"

struct owfs_wstate {
	bool reserved, paid, placed, in_place, cached;
	owfs_fsblock_t fsblock;		/* placed: of the block asked for */
};

/* The state of @off, and *@until: where it changes, UINT64_MAX never. */
void owfs_wmap_find(struct owfs_inode *inode, owfs_fileoff_t off,
		    struct owfs_wstate *st, owfs_fileoff_t *until);
/* The first block of what is reserved, not placed, and reaches up to @off. */
owfs_fileoff_t owfs_wmap_before(struct owfs_inode *inode, owfs_fileoff_t off);
/* Is any of [first, end) reserved or placed? */
bool owfs_wmap_busy(struct owfs_inode *inode, owfs_fileoff_t first,
		    owfs_fileoff_t end);

/* Is any of [first, end) placed?  Caller holds i_map_lock. */
bool owfs_wmap_has_placed(struct owfs_inode *inode, owfs_fileoff_t first,
			  owfs_fileoff_t end);

/* Blocks to have reserved with the allocator before owfs_wmap_reserve(). */
uint64_t owfs_wmap_price(const struct owfs_fs *fs, uint64_t len, bool pay);
/*
 * [off, off + len), none of it reserved, is from now on; the price passes to
 * the map, what it does not need goes back to the allocator.  @fresh: if the
 * write comes to nothing owfs_wmap_cancel() will say so.  1: some was reserved
 * meanwhile, look again (the price stays the caller's); -ENOMEM.
 */
int owfs_wmap_reserve(struct owfs_inode *inode, owfs_fileoff_t off,
		      uint64_t len, bool pay, bool fresh);
/* Somebody else dirties [first, end), too: nothing of it can be cancelled. */
void owfs_wmap_confirm(struct owfs_inode *inode, owfs_fileoff_t first,
		       owfs_fileoff_t end);
/* What the newest fresh reservation has in [first, end) was not used. */
void owfs_wmap_cancel(struct owfs_inode *inode, owfs_fileoff_t first,
		      owfs_fileoff_t end);

/*
 * [off, off + len), all of one state, not placed, and paid for or not, goes to
 * @fsblock.  What was paid is used up; in place it goes back, and nobody else may
 * be at it (staging.h).  1: look again; -ENOMEM.
 */
int owfs_wmap_place(struct owfs_inode *inode, owfs_fileoff_t off, uint64_t len,
		    bool paid, owfs_fsblock_t fsblock, bool in_place);
/*
 * The same for what is paid for, whose blocks are taken here, near *@fsblock:
 * what was found to be paid for may be somebody else's by the time blocks are
 * taken for it.  *@len is cut to what could be had in one piece.
 */
int owfs_wmap_place_paid(struct owfs_inode *inode, owfs_fileoff_t off,
			 uint64_t *len, owfs_fsblock_t *fsblock);
/* Block @off, which is placed, is known to the kernel's cache of mappings. */
void owfs_wmap_cached(struct owfs_inode *inode, owfs_fileoff_t off);
/* [first, end) is being written as it is now: not reserved any more. */
void owfs_wmap_clean(struct owfs_inode *inode, owfs_fileoff_t first,
		     owfs_fileoff_t end);

/* As owfs_staging_peek(), _visit() and _end(), for what is placed. */
unsigned int owfs_wmap_peek(struct owfs_inode *inode, owfs_fileoff_t first,
			    owfs_fileoff_t end, unsigned int *runs);
int owfs_wmap_visit(struct owfs_inode *inode, owfs_fileoff_t first,
		    owfs_fileoff_t end, owfs_settled_fn *fn, void *ctx);
int owfs_wmap_end(struct owfs_inode *inode, owfs_fileoff_t first,
		  owfs_fileoff_t end, uint64_t size, int error,
		  struct owfs_staged **settled);

/*
 * Somebody else maps [first, end): what was placed in blocks that the file had
 * there has no place any more.
 */
void owfs_wmap_yield(struct owfs_inode *inode, owfs_fileoff_t first,
		     owfs_fileoff_t end);
/* Nothing of [first, end) will ever be written: all of it goes back. */
void owfs_wmap_drop(struct owfs_inode *inode, owfs_fileoff_t first,
		    owfs_fileoff_t end);

#endif
