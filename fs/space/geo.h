/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where the fixed things are: arithmetic over block size and block count,
 * nothing read.  Blocks are counted from the start of the device.
 *
 * Group g covers blocks [g * gpb, (g + 1) * gpb), the last one less.  The first
 * blocks of a group (after the front area in group 0) are map slots: three for
 * its bitmap, then three for each map level l >= 1 with fanout^l dividing g, up
 * to the root level.  The last blocks of the device are the back area.
 */
#ifndef OWFS_SPACE_GEO_H
#define OWFS_SPACE_GEO_H

#include "base/format.h"

struct owfs_geo {
	uint32_t blocksize;
	uint64_t nblocks;
	uint32_t group_blocks;	/* bits in a bitmap block, a multiple of 64 */
	uint64_t ngroups;
	uint32_t fanout;	/* entries of a map node */
	unsigned int levels;	/* level of the map's root, >= 1 */
};

/*
 * -EINVAL if the block size is none, the device too small or too large, or
 * @nblocks not what owfs_geo_fit() makes of it.
 */
int owfs_geo_init(struct owfs_geo *geo, uint32_t blocksize, uint64_t nblocks);
/*
 * The largest valid number of blocks <= @nblocks, 0 if there is none.  A last
 * group that could not hold its slots, the back area and OWFS_GEO_GROUP_MIN
 * ordinary blocks is cut off, so the back area always lies in one group.
 */
#define OWFS_GEO_GROUP_MIN	64
uint64_t owfs_geo_fit(uint32_t blocksize, uint64_t nblocks);

uint64_t owfs_geo_group_of(const struct owfs_geo *geo, owfs_fsblock_t blk);
owfs_fsblock_t owfs_geo_group_start(const struct owfs_geo *geo, uint64_t g);
uint32_t owfs_geo_group_len(const struct owfs_geo *geo, uint64_t g);	/* blocks */
/* Blocks of group @g that are fixed (boot, superblocks, map slots), counted. */
uint32_t owfs_geo_group_fixed(const struct owfs_geo *geo, uint64_t g);
/* Of those, the ones at its beginning; the others (back area) are its last. */
uint32_t owfs_geo_group_head(const struct owfs_geo *geo, uint64_t g);
/* Blocks of the groups [g, g + n) that are not fixed; past the last group are none. */
uint64_t owfs_geo_ordinary(const struct owfs_geo *geo, uint64_t g, uint64_t n);
/* A block past the end counts as fixed: nobody may have it. */
bool owfs_geo_is_fixed(const struct owfs_geo *geo, owfs_fsblock_t blk);
/* Does [start, start + len) lie on the device and touch nothing fixed? */
bool owfs_geo_range_ok(const struct owfs_geo *geo, owfs_fsblock_t start, uint64_t len);

owfs_fsblock_t owfs_geo_bitmap_slot(const struct owfs_geo *geo, uint64_t g, unsigned int slot);
/* Map node of @level >= 1 whose first group is @g (divisible by fanout^level). */
owfs_fsblock_t owfs_geo_map_slot(const struct owfs_geo *geo, unsigned int level, uint64_t g, unsigned int slot);
/* Groups below one entry of a node at @level: fanout^(level - 1). */
uint64_t owfs_geo_entry_span(const struct owfs_geo *geo, unsigned int level);

loff_t owfs_geo_super_pos(uint64_t fs_bytes, unsigned int slot);	/* byte */
/* All fixed blocks together; the rest is for data and nodes. */
uint64_t owfs_geo_fixed_total(const struct owfs_geo *geo);
/* Blocks that mkfs keeps for freeing operations (sb reserve_blocks): a 64th, within limits. */
uint64_t owfs_geo_reserve_default(const struct owfs_geo *geo);

#endif
