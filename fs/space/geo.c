/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where the fixed things are.  See geo.h for the picture; nothing here reads a
 * device or keeps anything.
 */
#include "base/err.h"
#include "base/util.h"
#include "space/geo.h"

#define RESERVE_SHARE	64	/* one block in so many ... */
#define RESERVE_MIN	384	/* ... but three generations of deep unlinks ... */
#define RESERVE_MAX	65536	/* ... and no more than anybody could need */

static uint32_t front_blocks(const struct owfs_geo *geo)
{
	return OWFS_FRONT_BYTES / geo->blocksize;
}

static uint32_t back_blocks(const struct owfs_geo *geo)
{
	return OWFS_BACK_BYTES / geo->blocksize;
}

static bool blocksize_ok(uint32_t blocksize)
{
	return blocksize >= OWFS_BLOCK_MIN && blocksize <= OWFS_BLOCK_MAX &&
	       (blocksize & (blocksize - 1)) == 0;
}

/* Arithmetic only; whether the result is a valid geometry, fit() decides. */
static void fill(struct owfs_geo *geo, uint32_t blocksize, uint64_t nblocks)
{
	uint32_t payload = blocksize - sizeof(struct owfs_block_hdr);
	uint64_t span;

	geo->blocksize = blocksize;
	geo->nblocks = nblocks;
	geo->group_blocks = payload * 8;
	geo->ngroups = div_round_up(nblocks, geo->group_blocks);
	geo->fanout = payload / sizeof(struct owfs_map_entry);
	geo->levels = 1;
	for (span = geo->fanout; span < geo->ngroups; span *= geo->fanout)
		geo->levels++;
}

/* A byte position must fit a loff_t, which binds before OWFS_BLOCKS_MAX does at 32 KiB. */
static uint64_t most_blocks(uint32_t blocksize)
{
	return min_u64(OWFS_BLOCKS_MAX, INT64_MAX / blocksize);
}

uint64_t owfs_geo_fit(uint32_t blocksize, uint64_t nblocks)
{
	struct owfs_geo geo;
	uint64_t last, need;

	if (!blocksize_ok(blocksize))
		return 0;
	nblocks = min_u64(nblocks, most_blocks(blocksize));
	if (nblocks < OWFS_BLOCKS_MIN || nblocks * blocksize < OWFS_BYTES_MIN)
		return 0;

	fill(&geo, blocksize, nblocks);
	last = geo.ngroups - 1;
	need = owfs_geo_group_head(&geo, last) + back_blocks(&geo) +
	       OWFS_GEO_GROUP_MIN;
	if (owfs_geo_group_len(&geo, last) < need)
		return last * geo.group_blocks;
	return nblocks;
}

int owfs_geo_init(struct owfs_geo *geo, uint32_t blocksize, uint64_t nblocks)
{
	if (!nblocks || owfs_geo_fit(blocksize, nblocks) != nblocks)
		return -EINVAL;
	fill(geo, blocksize, nblocks);
	return 0;
}

uint64_t owfs_geo_group_of(const struct owfs_geo *geo, owfs_fsblock_t blk)
{
	return blk / geo->group_blocks;
}

owfs_fsblock_t owfs_geo_group_start(const struct owfs_geo *geo, uint64_t g)
{
	return g * geo->group_blocks;
}

uint32_t owfs_geo_group_len(const struct owfs_geo *geo, uint64_t g)
{
	return min_u64(geo->group_blocks,
		       geo->nblocks - owfs_geo_group_start(geo, g));
}

/* Map levels whose node begins at group @g, the bitmap counted as one. */
static unsigned int slot_sets(const struct owfs_geo *geo, uint64_t g)
{
	unsigned int n = 1;
	uint64_t span = geo->fanout;

	while (n <= geo->levels && g % span == 0) {
		span *= geo->fanout;
		n++;
	}
	return n;
}

uint32_t owfs_geo_group_head(const struct owfs_geo *geo, uint64_t g)
{
	return (g ? 0 : front_blocks(geo)) +
	       OWFS_MAP_SLOTS * slot_sets(geo, g);
}

/* Blocks of the back area within [start, end). */
static uint64_t back_within(const struct owfs_geo *geo, owfs_fsblock_t start,
			    owfs_fsblock_t end)
{
	start = max_u64(start, geo->nblocks - back_blocks(geo));
	end = min_u64(end, geo->nblocks);
	return end > start ? end - start : 0;
}

uint32_t owfs_geo_group_fixed(const struct owfs_geo *geo, uint64_t g)
{
	owfs_fsblock_t start = owfs_geo_group_start(geo, g);

	return owfs_geo_group_head(geo, g) +
	       back_within(geo, start, start + geo->group_blocks);
}

/* Slots of all levels that stand in groups [0, g). */
static uint64_t slots_before(const struct owfs_geo *geo, uint64_t g)
{
	uint64_t n = g, span = geo->fanout;
	unsigned int level;

	for (level = 1; level <= geo->levels; level++) {
		n += div_round_up(g, span);
		span *= geo->fanout;
	}
	return n * OWFS_MAP_SLOTS;
}

uint64_t owfs_geo_ordinary(const struct owfs_geo *geo, uint64_t g, uint64_t n)
{
	uint64_t end, blocks, fixed;

	if (g >= geo->ngroups || !n)
		return 0;
	end = n > geo->ngroups - g ? geo->ngroups : g + n;
	blocks = min_u64(owfs_geo_group_start(geo, end), geo->nblocks) -
		 owfs_geo_group_start(geo, g);
	fixed = slots_before(geo, end) - slots_before(geo, g);
	if (g == 0)
		fixed += front_blocks(geo);
	fixed += back_within(geo, owfs_geo_group_start(geo, g),
			     owfs_geo_group_start(geo, end));
	return blocks - fixed;
}

bool owfs_geo_is_fixed(const struct owfs_geo *geo, owfs_fsblock_t blk)
{
	uint64_t g = owfs_geo_group_of(geo, blk);

	return blk >= geo->nblocks - back_blocks(geo) ||
	       blk - owfs_geo_group_start(geo, g) < owfs_geo_group_head(geo, g);
}

/* Every group begins with something fixed, so a good range lies in one group. */
bool owfs_geo_range_ok(const struct owfs_geo *geo, owfs_fsblock_t start,
		       uint64_t len)
{
	uint64_t g, end;

	if (!len || owfs_geo_is_fixed(geo, start))
		return false;
	g = owfs_geo_group_of(geo, start);
	end = min_u64(owfs_geo_group_start(geo, g) + geo->group_blocks,
		      geo->nblocks - back_blocks(geo));
	return len <= end - start;
}

owfs_fsblock_t owfs_geo_map_slot(const struct owfs_geo *geo, unsigned int level,
				 uint64_t g, unsigned int slot)
{
	return owfs_geo_group_start(geo, g) + (g ? 0 : front_blocks(geo)) +
	       (uint64_t)level * OWFS_MAP_SLOTS + slot;
}

owfs_fsblock_t owfs_geo_bitmap_slot(const struct owfs_geo *geo, uint64_t g,
				    unsigned int slot)
{
	return owfs_geo_map_slot(geo, 0, g, slot);
}

uint64_t owfs_geo_entry_span(const struct owfs_geo *geo, unsigned int level)
{
	uint64_t span = 1;

	while (--level)
		span *= geo->fanout;
	return span;
}

loff_t owfs_geo_super_pos(uint64_t fs_bytes, unsigned int slot)
{
	assert(slot < OWFS_SUPER_SLOTS);
	if (slot < 2)
		return OWFS_BOOT_BYTES + slot * OWFS_SUPER_SPACING;
	return fs_bytes - (OWFS_SUPER_SLOTS - slot) * OWFS_SUPER_SPACING;
}

uint64_t owfs_geo_fixed_total(const struct owfs_geo *geo)
{
	return geo->nblocks - owfs_geo_ordinary(geo, 0, geo->ngroups);
}

uint64_t owfs_geo_reserve_default(const struct owfs_geo *geo)
{
	return min_u64(max_u64(geo->nblocks / RESERVE_SHARE, RESERVE_MIN),
		       RESERVE_MAX);
}
