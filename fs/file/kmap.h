/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kernel asks when it moves file data itself (iomap mode): where a
 * range of a file is or goes, and that data has arrived there.  Everything is
 * written out of place and becomes part of the file by the ioend's one
 * transaction (iomap.h); what the page cache holds meanwhile is in wmap.h, what
 * direct writes hold in staging.h.
 *
 * Begin never waits for anything that needs the kernel to write: at most for a
 * commit, whose I/O goes to the device without the page cache.
 */
#ifndef OWFS_FILE_KMAP_H
#define OWFS_FILE_KMAP_H

#include "file/iomap.h"

enum owfs_kmap_op {
	OWFS_KMAP_READ,		/* into the page cache, or directly */
	OWFS_KMAP_SWAP,		/* to swap to, without asking again */
	OWFS_KMAP_REPORT,	/* somebody wants to know, nothing is read */
	OWFS_KMAP_WRITE,	/* a store into the page cache */
	OWFS_KMAP_FAULT,	/* a mapped page becomes writable */
	OWFS_KMAP_ZERO,		/* a store of zeroes, where there is something */
	OWFS_KMAP_DIRECT,	/* a direct write */
	OWFS_KMAP_WRITEBACK,
};

/* Two mappings that contain the block asked for, of the same range. */
struct owfs_kmap {
	struct owfs_iomap read;		/* what the file has */
	struct owfs_iomap write;	/* where it will be, unless ... */
	bool overwrite;			/* ... nothing is to be written */
	bool retry;			/* the kernel's cache has both: look there */
};

/*
 * The kernel may keep mappings, and then checks under the lock of a page that
 * they have not changed since.  A mapping that it gets as an answer it believes
 * for as long as it is at it; meanwhile the page that is written may be written
 * back, mapped and forgotten by others, and its old contents would be read from
 * a place that is not true any more.  So stores into parts of blocks are
 * answered by way of the cache.  Read mappings are kept for speed, each beside
 * a hole to write to, which makes the kernel ask for every store.
 *
 * It forgets by itself what an ioend, a truncate or a fallocate has changed.
 * Nothing is to be said to it while it waits for an ioend's answer: looking the
 * inode up could wait for its end, and that for the answer.
 */
struct owfs_kcache {
	void *ctx;
	/* Caller holds i_lock, so no ioend comes in between.  0: it is kept. */
	int (*put)(void *ctx, owfs_ino_t ino, const struct owfs_kmap *km);
	/* Stores into [first, end) shall be asked for again. */
	void (*drop)(void *ctx, owfs_ino_t ino, owfs_fileoff_t first,
		     owfs_fileoff_t end);
	/* Everything of it. */
	void (*forget)(void *ctx, owfs_ino_t ino, owfs_fileoff_t first,
		       owfs_fileoff_t end);
};

/*
 * An operation on bytes [pos, end) has failed, maybe half way, and of one that
 * has failed the kernel forgets nothing by itself.
 */
void owfs_kmap_forget(struct owfs_inode *inode, uint64_t pos, uint64_t end);

/*
 * Bytes [pos, pos + count).  Writing: the mapping may be shorter than asked,
 * and is never longer, but for writeback, where what is known to be dirty
 * behind the range comes along.  @nowait: -EAGAIN rather than wait for a commit.
 * -ENOSYS: a direct write that must go through the page cache; nothing was
 * changed.  -ENOTBLK: what is left of one cannot be written now.
 * -EINPROGRESS: of the first block something is written directly, to
 * be asked again when that has had its ioend.  -ENOSPC, -EROFS, -EFBIG.
 */
int owfs_kmap_begin(struct owfs_inode *inode, enum owfs_kmap_op op, loff_t pos,
		    uint64_t count, bool nowait, struct owfs_kmap *km);

/*
 * Of what begin answered only @written bytes were used (negative: none).
 * @fsblock: what it had answered for the block of @pos; OWFS_NOBLOCK: nothing.
 */
void owfs_kmap_end(struct owfs_inode *inode, enum owfs_kmap_op op, loff_t pos,
		   uint64_t count, int64_t written, owfs_fsblock_t fsblock);

/*
 * The file is swapped to no more.  Since the first begin that asked for it, no
 * block of it was given up, moved or copied: -ETXTBSY.
 */
void owfs_kmap_swapoff(struct owfs_inode *inode);

enum owfs_kmap_ioend {
	OWFS_KMAP_IOEND_WRITEBACK,
	OWFS_KMAP_IOEND_DIRECT,
	OWFS_KMAP_IOEND_DISCARD,	/* writeback could not be begun: an error */
};

/*
 * The device has the data of [pos, pos + written), or @error says why not.
 * *newsize is the file's size in any case.  If this fails, the data is lost
 * and fsync will say so.
 */
int owfs_kmap_ioend(struct owfs_inode *inode, enum owfs_kmap_ioend kind,
		    loff_t pos, uint64_t written, int error, uint64_t *newsize);

#endif
