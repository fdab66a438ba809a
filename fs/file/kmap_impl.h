/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of kmap.h share. */
#ifndef OWFS_FILE_KMAP_IMPL_H
#define OWFS_FILE_KMAP_IMPL_H

#include "file/kmap.h"
#include "file/wmap.h"

/* A request in blocks. */
struct owfs_kmap_rq {
	struct owfs_inode *inode;
	enum owfs_kmap_op op;
	loff_t pos;
	uint64_t count;
	bool nowait;
	owfs_fileoff_t first, end;	/* blocks that it touches */
};

static inline void owfs_kmap_hole(struct owfs_iomap *map, owfs_fileoff_t off,
				  uint64_t len)
{
	*map = (struct owfs_iomap){
		.off = off, .len = len, .type = OWFS_IOMAP_HOLE,
	};
}

/* Tell the kernel to keep what @km says.  Caller holds i_lock. */
bool owfs_kmap_keep(const struct owfs_kmap_rq *rq, const struct owfs_kmap *km);
/*
 * Place up to *@len blocks from rq->first on, all in state @st, in the map of
 * what will be written back.  Caller holds i_lock.  1: look again.
 */
int owfs_kmap_place(const struct owfs_kmap_rq *rq, const struct owfs_wstate *st,
		    uint64_t *len, owfs_fsblock_t *fsblock);

/* The direct write that has begun asks for no more; @end != 0: if it goes up to there. */
void owfs_kmap_direct_over(struct owfs_inode *inode, uint64_t end);

/* kmap_store.c: begin of a store into the page cache */
int owfs_kmap_store(const struct owfs_kmap_rq *rq, struct owfs_kmap *km);

#endif
