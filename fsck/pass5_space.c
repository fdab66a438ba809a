/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pass 5: T1.  In each group the blocks marked used are the fixed ones and
 * those that the tree was found to use, no more, no fewer.  Counts and longest
 * runs at every level of the map are the verifier's, which compares each block
 * of the map with the entry that names it, up to the superblock's count.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/util.h"
#include "fsck.h"
#include "space/bitmap.h"

#define PROGRESS_EVERY	256	/* groups */

/* Bits of one group, three times over. */
struct bits {
	uint64_t *map;		/* as the map has them */
	uint64_t *want;		/* as they should be; later: of the commit before */
	uint64_t *pins;		/* not asked for */
};

static int open_map(struct check *ck, const struct owfs_root *root,
		    struct owfs_freemap **fmp)
{
	const struct owfs_freemap_param p = {
		.bd = ck->bd,
		.geo = &ck->geo,
		.seed = ck->sb.csum_seed,
		.cur = root->map,
		.msg = &ck->lower,
	};

	return owfs_freemap_open(fmp, &p);
}

/* One run of blocks of group @g. */
static int report_run(struct check *ck, enum owfs_problem what, uint64_t g,
		      owfs_fsblock_t start, uint32_t len)
{
	bool yes = problem(ck, what, "group", g, "fsblock=%" PRIu64
			   " blocks=%u", start, len);
	owfs_fsblock_t dup;

	if (yes && what == BAD_MAP_LEAK)
		ck->fixes->map_leak++;
	else if (yes)
		ck->fixes->map_bad++;
	if (what == BAD_MAP_FREE &&
	    usedmap_add(&ck->freed, start, len, &dup) < 0)
		return -ENOMEM;
	return 0;
}

/* Each run of the group in which @a is set and @b is clear. */
static int report_runs(struct check *ck, enum owfs_problem what, uint64_t g,
			const uint64_t *a, const uint64_t *b)
{
	owfs_fsblock_t first = owfs_geo_group_start(&ck->geo, g);
	uint32_t end = ck->geo.group_blocks, bit = 0, start;
	int ret = 0;

	while (bit < end && !ret) {
		bit = owfs_bitmap_next_set(a, bit, end);
		while (bit < end && owfs_bitmap_test(b, bit))
			bit = owfs_bitmap_next_set(a, bit + 1, end);
		if (bit >= end)
			break;
		start = bit;
		while (bit < end && owfs_bitmap_test(a, bit) &&
		       !owfs_bitmap_test(b, bit))
			bit++;
		ret = report_run(ck, what, g, first + start, bit - start);
	}
	return ret;
}

/* 0 also if the group's bits cannot be read: that is a problem, and *sound. */
static int check_group(struct check *ck, struct owfs_freemap *fm, uint64_t g,
		       struct bits *b, bool *sound)
{
	const size_t nwords = OWFS_BITMAP_WORDS(ck->geo.group_blocks);
	const uint64_t *used = usedmap_bits(&ck->used, g);
	size_t w;
	const struct owfs_check_kept *kept = ck->param->kept;
	int ret = kept ? kept->bits(kept->ctx, g, b->map) :
			 owfs_freemap_load(fm, g, b->map, b->pins);

	if (ret == -ENOMEM)
		return ret;
	if (ret) {
		if (problem(ck, BAD_MAP_READ, "group", g, "%s", strerror(-ret)))
			ck->fixes->map_bad++;
		*sound = false;
		return 0;
	}
	owfs_freemap_untouched(&ck->geo, g, b->want);
	for (w = 0; used && w < nwords; w++)
		b->want[w] |= used[w];
	if (!memcmp(b->map, b->want, nwords * sizeof(uint64_t)))
		return 0;
	ret = report_runs(ck, BAD_MAP_FREE, g, b->want, b->map);
	/* below a hole in the tree there is more in use than was seen */
	if (!ret && !ck->holes)
		ret = report_runs(ck, BAD_MAP_LEAK, g, b->map, b->want);
	return ret;
}

static int check_groups(struct check *ck, struct owfs_freemap *fm,
			struct bits *b, bool *sound)
{
	uint64_t on_device = div_round_up(ck->bd->size / ck->geo.blocksize,
					  ck->geo.group_blocks);
	uint64_t g, end = min_u64(ck->geo.ngroups, on_device);
	int ret = 0;

	/* a superblock may claim any number; that it is too much has been said */
	if (end < ck->geo.ngroups)
		*sound = false;
	for (g = 0; g < end && !ret; g++) {
		ret = check_group(ck, fm, g, b, sound);
		if (!ret && g % PROGRESS_EVERY == 0)
			ret = check_progress(ck, 5, g, end);
	}
	return ret;
}

static void check_count(struct check *ck)
{
	uint64_t nfree = ck->geo.nblocks - owfs_geo_fixed_total(&ck->geo) -
			 ck->used.blocks;

	if (nfree != ck->root->map.free_blocks &&
	    problem(ck, BAD_MAP_COUNT, "superblock", ck->slots.newest,
		    "free=%" PRIu64 " found=%" PRIu64,
		    ck->root->map.free_blocks, nfree))
		ck->fixes->map_count++;
}

/* Blocks that the commit before used and this one does not. */
static int count_freed(struct check *ck, struct owfs_freemap *cur,
		       struct owfs_freemap *prev, struct bits *b,
		       uint64_t *freed)
{
	const size_t nwords = OWFS_BITMAP_WORDS(ck->geo.group_blocks);
	uint64_t g;
	size_t w;
	int ret;

	for (g = 0; g < ck->geo.ngroups; g++) {
		ret = owfs_freemap_load(cur, g, b->map, b->pins);
		if (!ret)
			ret = owfs_freemap_load(prev, g, b->want, b->pins);
		if (ret)
			return ret;
		for (w = 0; w < nwords; w++)
			b->want[w] &= ~b->map[w];
		*freed += owfs_bitmap_weight(b->want, nwords);
	}
	return 0;
}

/* Only of the last commit are both maps there to compare. */
static int check_freed(struct check *ck, struct owfs_freemap *fm,
		       struct bits *b)
{
	const struct owfs_root *before = &ck->sb.root[1];
	struct owfs_freemap *prev;
	uint64_t freed = 0;
	int ret;

	if (ck->root != &ck->sb.root[0] || !before->gen || ck->param->kept)
		return 0;
	ret = open_map(ck, before, &prev);
	if (ret)
		return ret;
	ret = count_freed(ck, fm, prev, b, &freed);
	owfs_freemap_close(prev);
	if (ret == -ENOMEM)
		return ret;
	if (ret ? problem(ck, BAD_MAP_READ, "superblock", ck->slots.newest,
			  "of the commit before the last: %s", strerror(-ret))
		: freed != ck->root->map.freed_blocks &&
		  problem(ck, BAD_MAP_FREED, "superblock", ck->slots.newest,
			  "freed=%" PRIu64 " found=%" PRIu64,
			  ck->root->map.freed_blocks, freed))
		ck->fixes->map_bad++;
	return 0;
}

static int with_bits(struct check *ck, struct owfs_freemap *fm, struct bits *b)
{
	bool sound = true;
	int ret = check_groups(ck, fm, b, &sound);

	ck->report->used_blocks = ck->used.blocks;
	if (ret)
		return ret;
	if (!ck->holes)
		check_count(ck);
	return sound ? check_freed(ck, fm, b) : 0;
}

int pass5_space(struct check *ck)
{
	const size_t nwords = OWFS_BITMAP_WORDS(ck->geo.group_blocks);
	uint64_t *mem = calloc(3 * nwords, sizeof(*mem));
	struct bits b = { mem, mem + nwords, mem + 2 * nwords };
	struct owfs_freemap *fm;
	int ret;

	if (!mem)
		return -ENOMEM;
	ret = open_map(ck, ck->root, &fm);
	if (!ret) {
		ret = with_bits(ck, fm, &b);
		owfs_freemap_close(fm);
	}
	free(mem);
	return ret ? ret : check_progress(ck, 5, 1, 1);
}
