/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The write path, in the middle of which somebody moves data: the kernel (iomap
 * mode) or file.c (classic).  begin says where, ioend says done; nothing is
 * visible before ioend (P3).
 *
 *	begin:  stage fresh blocks for the range, or say where the data is
 *	        ... data goes to the device ...
 *	ioend:  one transaction: the file range now maps to the staged blocks,
 *	        size grows to the end of what was written, old blocks are freed
 *
 * Staged blocks are remembered per inode (staging.h, which also says what two
 * begins on one block mean), because an ioend need not bring an address.  One
 * ioend for a whole range of several mappings is one transaction (P8), up to
 * OWFS_IOEND_BLOCKS blocks; a longer one is several.
 *
 * Bytes past the end of file, the rule (E): in written blocks they are zero on
 * the device, and no written block lies wholly past the end.  Whoever writes a
 * block pads it with zeroes past the end; whoever shrinks a file to a size
 * inside a written block first writes that block anew, zero past the new size,
 * and maps it in the transaction that sets the size.  So growing never touches
 * data.  In classic mode file.c does that; in iomap mode the kernel does both
 * (it zeroes the tail of what it writes back, and writes the partial block
 * before SETATTR).  What stands past the end of a mapped page never comes
 * here: write requests are cut at the end of file.
 *
 * Nothing here sleeps on inode range locks: classic takes them around (see
 * object/range.h); in iomap mode the kernel's folio locks do their work.
 */
#ifndef OWFS_FILE_IOMAP_H
#define OWFS_FILE_IOMAP_H

#include "object/inode.h"

#define OWFS_IOEND_BLOCKS	4096u	/* one ioend covers at most so many blocks */

enum owfs_iomap_type {
	OWFS_IOMAP_HOLE,
	OWFS_IOMAP_DELALLOC,	/* reserved or staged, nothing on the device yet */
	OWFS_IOMAP_MAPPED,
	OWFS_IOMAP_UNWRITTEN,
};

struct owfs_iomap {
	owfs_fileoff_t off;	/* file block */
	uint64_t len;		/* blocks, > 0 */
	owfs_fsblock_t fsblock;	/* MAPPED, UNWRITTEN and staged; contiguous for len */
	enum owfs_iomap_type type;
};

/*
 * Where the committed data of @off is: one mapping that contains it, contiguous
 * on disk if it has blocks, at most up to @max blocks from @off.  Doomed ranges
 * (intents) read as holes.  Holes past the last extent are as long as @max.
 */
int owfs_iomap_read(struct owfs_inode *inode, owfs_fileoff_t off, uint64_t max,
		    struct owfs_iomap *map);

/* The same for who holds i_lock. */
int owfs_iomap_read_locked(struct owfs_inode *inode, owfs_fileoff_t off,
			   uint64_t max, struct owfs_iomap *map);

/*
 * Stage blocks to write [off, off + len): *map is where the first of it goes,
 * contiguous on the device, maybe shorter than asked (call again for the rest;
 * a short allocation is no ENOSPC).  Unwritten extents that nobody else has in
 * flight are handed out in place; everything else is fresh blocks.  Reserves
 * the metadata that the ioend will need.  Its type is UNWRITTEN.
 * -EAGAIN (owfs_trans_retry, which says -ENOSPC when it is), -EROFS, -EFBIG.
 */
int owfs_iomap_begin_write(struct owfs_inode *inode, owfs_fileoff_t off,
			   uint64_t len, struct owfs_iomap *map);

/* The same for who holds i_lock. */
int owfs_iomap_begin_write_locked(struct owfs_inode *inode, owfs_fileoff_t off,
				  uint64_t len, struct owfs_iomap *map);

/*
 * The same for a caller who calls again until the whole request is begun, and
 * then brings one ioend for all of it: the first call reserves for all, in
 * however many pieces they come, the others nothing.
 */
int owfs_iomap_begin_part(struct owfs_inode *inode, owfs_fileoff_t off,
			  uint64_t len, bool first, struct owfs_iomap *map);

/*
 * Where begin would write [off, off + *len), without doing so: *@len is cut to
 * what is of one kind.  In place: at *@fsblock, which the file has already;
 * else near it.  Caller holds i_lock.
 */
int owfs_iomap_place(struct owfs_inode *inode, owfs_fileoff_t off,
		     uint64_t *len, bool *in_place, owfs_fsblock_t *fsblock);

/*
 * The data of [pos, pos + written) is on its way to stable storage (written,
 * not flushed): remap what is staged inside, grow the size to pos + written.
 * @error != 0: give the staged blocks of the range back, change nothing.
 * A range with nothing staged changes nothing (and grows nothing).
 * *newsize (or NULL) is the size afterwards.  -EAGAIN (owfs_trans_retry) only
 * if the range is not what was begun and the metadata of the difference cannot
 * be reserved: nothing has changed then.  With any other error the blocks went
 * back, and if @error was 0 the inode remembers that data was lost.
 */
int owfs_iomap_ioend(struct owfs_inode *inode, loff_t pos, uint64_t written,
		     int error, uint64_t *newsize);

#endif
