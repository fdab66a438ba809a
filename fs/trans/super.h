/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The superblock in memory, and the four slots it rotates through.
 *
 * Slots are written in ring order front, back, front, back (0 2 1 3), each
 * time the one after the slot last written, passing over a slot that alone
 * still holds the commit before the last.  The newest slot is never written.
 */
#ifndef OWFS_TRANS_SUPER_H
#define OWFS_TRANS_SUPER_H

#include "io/buf.h"
#include "space/alloc.h"

/* One commit: what the tree and the space map were. */
struct owfs_root {
	owfs_gen_t gen;			/* 0: there is none */
	struct owfs_ptr tree;
	unsigned int level;
	struct owfs_map_root map;
};

struct owfs_super {
	uint32_t blocksize;
	uint64_t compat, incompat, ro_compat;
	unsigned char uuid[16];
	char label[OWFS_LABEL_MAX + 1];
	uint64_t csum_seed, hash_seed;
	uint64_t nblocks;
	uint64_t seq;
	owfs_gen_t next_gen;
	owfs_ino_t ino_limit;
	uint32_t state;
	uint32_t meta_copies;
	uint32_t error_code, error_count, mount_count;
	uint64_t error_time, error_block;
	uint64_t mkfs_time, mount_time, write_time, check_time;
	uint64_t reserve_blocks;
	struct owfs_root root[2];
};

/*
 * Checks magic, checksum, version and that every field is one that mkfs or a
 * commit could have written; says what is wrong unless @msg is NULL.
 * -ENODEV not an owfs superblock, -EFSBADCRC, -EFSCORRUPTED, -EPROTONOSUPPORT
 * a version or incompat feature that this program does not know (named).
 */
int owfs_super_from_disk(struct owfs_super *sb, unsigned int *slot,
			 const void *sector, const struct owfs_msg *msg);
void owfs_super_to_disk(void *sector, const struct owfs_super *sb,
			unsigned int slot);

/* What stands in the four slots. */
struct owfs_slots {
	struct {
		bool valid;
		int err;		/* why not */
		uint64_t seq;
		owfs_gen_t gen;
	} slot[OWFS_SUPER_SLOTS];
	unsigned int newest;		/* last written of the newest */
	unsigned int bad;		/* how many are not valid */
	bool bad_is_due;		/* the only bad one is the one due next, and
					   it could be read */
};

/* The slot to write next, and the one after @slot if that fails. */
unsigned int owfs_slots_next(const struct owfs_slots *s);
unsigned int owfs_slots_after(const struct owfs_slots *s, unsigned int slot);
/* The neighbour of @slot in the ring, whatever it holds. */
unsigned int owfs_slots_ring_next(unsigned int slot);

/*
 * Read all slots of the device, front ones first (their size finds the back
 * ones; without them the end of the device does).  *@sb is the newest valid
 * one.  -ENODEV: no slot has one; else what was wrong with the only ones
 * there.  Judging s->bad is the caller's.
 */
int owfs_super_read(struct owfs_blkdev *bd, struct owfs_super *sb,
		    struct owfs_slots *s, const struct owfs_msg *msg);

/*
 * Write *sb to @slot, no flush; on success s->slot[slot] and s->newest follow.
 */
int owfs_super_write(struct owfs_blkdev *bd, const struct owfs_super *sb,
		     struct owfs_slots *s, unsigned int slot);

/*
 * Blocks that the device has behind the filesystem and that one made anew
 * would take; 0: none.
 */
uint64_t owfs_super_room(const struct owfs_super *sb,
			 const struct owfs_blkdev *bd);

#endif
