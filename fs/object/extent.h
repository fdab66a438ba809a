/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The extents of a file: items that map runs of file blocks to runs of disk
 * blocks, ordered, never overlapping.
 *
 * They are changed through an edit: load what stands around the place, change
 * the copy in memory, look at what that will cost, and inside the transaction
 * apply the difference.  So everything is read, checked and decided before the
 * transaction begins, and an extent that is exactly replaced is one update.
 *
 *	owfs_extent_edit_init(&ed, inode);
 *	ret = owfs_extent_edit_load(&ed, off, end, max);
 *	ret = owfs_extent_edit_punch(&ed, off, end);	or _map, _convert
 *	ret = owfs_extent_edit_prepare(&ed);
 *	ret = owfs_extent_begin(fs, &tr, owfs_extent_edit_cost(&ed), 0, class);
 *	ret = owfs_extent_edit_apply(&ed, &tr);		abort on failure
 *	ret = owfs_inode_store(&tr, inode, false);
 *	... end ...
 *	owfs_extent_edit_done(&ed);
 *
 * Caller holds i_lock from load to the end of the transaction, for writing.
 */
#ifndef OWFS_OBJECT_EXTENT_H
#define OWFS_OBJECT_EXTENT_H

#include "object/inode.h"

struct owfs_extent {
	owfs_fileoff_t off;	/* first file block */
	uint64_t len;		/* blocks */
	owfs_fsblock_t fsblock;	/* first disk block */
	uint32_t flags;		/* OWFS_EXTENT_ */
	owfs_gen_t birth;	/* 0: the generation that will be open */
};

static inline owfs_fileoff_t owfs_extent_end(const struct owfs_extent *ext)
{
	return ext->off + ext->len;
}

/* No file has a block from here on. */
static inline owfs_fileoff_t owfs_fileoff_max(const struct owfs_fs *fs)
{
	return OWFS_FILE_BYTES_MAX / fs->fs_geo.blocksize + 1;
}

/*
 * Check and convert an item.  NULL, or what is wrong with it (nothing is said
 * and nothing fails: fsck uses this too).
 */
const char *owfs_extent_from_disk(const struct owfs_geo *geo,
				  owfs_gen_t open_gen,
				  const struct owfs_key *key, const void *val,
				  size_t len, struct owfs_extent *ext);
void owfs_extent_to_disk(struct owfs_extent_item *d,
			 const struct owfs_extent *ext);

/*
 * The first extent that has blocks in [off, last], whole.  Doomed ones count:
 * ask owfs_intent_covers().  Caller holds i_lock.  -ENOENT; bad items turn the
 * filesystem read-only.
 */
int owfs_extent_find(struct owfs_inode *inode, owfs_fileoff_t off,
		     owfs_fileoff_t last, struct owfs_extent *ext);

/* May data be written over this extent where it is (P1)? */
bool owfs_extent_in_place_ok(const struct owfs_fs *fs,
			     const struct owfs_extent *ext);

/* ------------------------------------------------------------------ edits */

#define OWFS_EXTENT_VEC_INLINE	6

struct owfs_extent_vec {
	size_t n, cap;
	struct owfs_extent *v;
	struct owfs_extent few[OWFS_EXTENT_VEC_INLINE];
};

struct owfs_extent_edit {
	struct owfs_inode *inode;
	struct owfs_extent_vec old;	/* as the tree has them */
	struct owfs_extent_vec new;	/* as it shall have them */
	struct owfs_extent_vec freed;	/* disk runs to free; fsblock and len */
	struct owfs_extent_vec used;	/* staged disk runs to use */
	owfs_fileoff_t end;		/* loaded up to here */
};

/* Extents and blocks that one transaction takes away at most. */
#define OWFS_EXTENT_STEP	64u
#define OWFS_EXTENT_STEP_BLOCKS	(1ull << 20)
/*
 * The same for @fs: fewer on a small filesystem, whose reserve must cover what
 * such a transaction may need in the worst case.
 */
unsigned int owfs_extent_step(const struct owfs_fs *fs);

void owfs_extent_edit_init(struct owfs_extent_edit *ed,
			   struct owfs_inode *inode);
void owfs_extent_edit_done(struct owfs_extent_edit *ed);
/*
 * Add what [off, end) has, and its neighbours on both sides.  0: all of it;
 * 1: only up to ed->end, because @max extents (or OWFS_EXTENT_STEP_BLOCKS
 * blocks, unless @max is 0, which means no limit) were reached.  Loads of one
 * edit go upwards.  May read.
 */
int owfs_extent_edit_load(struct owfs_extent_edit *ed, owfs_fileoff_t off,
			  owfs_fileoff_t end, unsigned int max);
/*
 * Only to look at: what [off, end) has, and what touches it on the left unless
 * something begins at @off.  Cheaper; such an edit is not to be planned with.
 */
int owfs_extent_edit_look(struct owfs_extent_edit *ed, owfs_fileoff_t off,
			  owfs_fileoff_t end);
/* Nothing shall be mapped in [off, end), which is loaded. -ENOMEM */
int owfs_extent_edit_punch(struct owfs_extent_edit *ed, owfs_fileoff_t off,
			   owfs_fileoff_t end);
/* [off, off + len), loaded, shall map to staged blocks. -ENOMEM */
int owfs_extent_edit_map(struct owfs_extent_edit *ed, owfs_fileoff_t off,
			 uint64_t len, owfs_fsblock_t fsblock, uint32_t flags);
/*
 * What [off, off + len) has of the unwritten blocks from @fsblock on was
 * written in place.  What has become something else since is passed over.
 */
int owfs_extent_edit_convert(struct owfs_extent_edit *ed, owfs_fileoff_t off,
			     uint64_t len, owfs_fsblock_t fsblock);
/* Read what freeing will need; check the inode's count of blocks. */
int owfs_extent_edit_prepare(struct owfs_extent_edit *ed);
/* Extent items, side by side, that a transaction changes or deletes, and inserts. */
struct owfs_extent_cost {
	unsigned int changed, inserted;
};

/* What applying the edit will do: for owfs_extent_begin(). */
struct owfs_extent_cost
owfs_extent_edit_cost(const struct owfs_extent_edit *ed);
/*
 * The same before anything is planned: what is done at most if @n pieces of
 * [first, end), which is loaded, are mapped, in @runs runs without a gap.
 */
struct owfs_extent_cost
owfs_extent_edit_worst(const struct owfs_extent_edit *ed, owfs_fileoff_t first,
		       owfs_fileoff_t end, unsigned int n, unsigned int runs);
/*
 * Reserve for a transaction that costs this, changes the inode item, and if
 * @intents is not 0 so many intents and the orphan item.
 */
int owfs_extent_reserve(struct owfs_fs *fs, struct owfs_resv *resv,
			struct owfs_extent_cost cost, unsigned int intents,
			enum owfs_resv_class class);
int owfs_extent_begin(struct owfs_fs *fs, struct owfs_trans *tr,
		      struct owfs_extent_cost cost, unsigned int intents,
		      enum owfs_resv_class class);
/* Nodes that owfs_extent_reserve() would take. */
unsigned int owfs_extent_nodes(const struct owfs_fs *fs,
			       struct owfs_extent_cost cost,
			       unsigned int intents);
/*
 * Change the tree, free, use, and count in i_attr.nblocks; the caller stores
 * the inode in the same transaction (T5).
 */
int owfs_extent_edit_apply(struct owfs_extent_edit *ed, struct owfs_trans *tr);

/* --------------------------------------------------------------- reclaim */

/*
 * One bounded transaction that takes extents and intents of a file without a
 * name away, on a full filesystem too.  Caller holds i_lock for writing.
 * 1: there may be more; 0: there are none; -EAGAIN as begin.
 */
int owfs_extent_reclaim_step(struct owfs_inode *inode);

#endif
