/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The space map, made what the tree says.
 *
 * A pass of its own commit: the bitmaps that are wrong and the nodes above
 * them go to slots that neither of the last two commits names, then a
 * superblock names the new root.  Trees are not touched.  It does so for the last
 * commit and the one before alike; but if the tree of the last has holes, and the
 * map of the one before is sound, that one stays as it is: what was lost may be
 * in it.
 *
 * While something in the tree waits for its repair, or part of it cannot be
 * read, nothing becomes free: what seems to belong to nobody may be what the
 * repair brings back.  Of a group whose bitmap is lost nobody can say that: of
 * what is lost below the tree's holes as well, nothing there is protected, for
 * nothing could be proved of it (stray.c).  The same where a node of the map is
 * lost and an older bitmap has been found instead.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/util.h"
#include "fixer.h"
#include "space/bitmap.h"

#define NODES_PER_STEP	64
#define PROGRESS_EVERY	256

struct remap {
	struct check *ck;
	struct owfs_freemap *fm;
	struct owfs_freemap *before;	/* that of the commit before; NULL: it goes */
	uint64_t freed;			/* blocks that only that one uses */
	owfs_gen_t gen;
	bool exact;
	size_t nwords;
	uint64_t *map, *want, *pins;
};

static void add_bits(uint64_t *to, const uint64_t *bits, size_t nwords)
{
	size_t w;

	for (w = 0; bits && w < nwords; w++)
		to[w] |= bits[w];
}

/* @known: rm->map has what the map said of group @g. */
static void wanted_bits(struct remap *rm, uint64_t g, bool known)
{
	struct check *ck = rm->ck;

	owfs_freemap_untouched(&ck->geo, g, rm->want);
	add_bits(rm->want, usedmap_bits(&ck->used, g), rm->nwords);
	if (rm->exact)
		return;
	add_bits(rm->want, usedmap_bits(&ck->maybe, g), rm->nwords);
	if (known)
		add_bits(rm->want, rm->map, rm->nwords);
}

/* What the commit before uses in group @g, and the last does not. */
static int count_freed(struct remap *rm, uint64_t g)
{
	size_t w;
	int ret;

	if (!rm->before)
		return 0;
	ret = owfs_freemap_load(rm->before, g, rm->map, rm->pins);
	for (w = 0; w < rm->nwords && !ret; w++)
		rm->map[w] &= ~rm->want[w];
	if (!ret)
		rm->freed += owfs_bitmap_weight(rm->map, rm->nwords);
	return ret;
}

static int remap_group(struct remap *rm, uint64_t g)
{
	int ret = owfs_freemap_load(rm->fm, g, rm->map, rm->pins);
	bool known = !ret && !owfs_freemap_is_guess(rm->fm, g);

	if (ret == -ENOMEM)
		return ret;
	wanted_bits(rm, g, known);
	if (ret || memcmp(rm->map, rm->want, rm->nwords * sizeof(uint64_t)))
		ret = owfs_freemap_store(rm->fm, rm->gen, g, rm->want);
	return ret ? ret : count_freed(rm, g);
}

static int remap_groups(struct remap *rm)
{
	const struct owfs_geo *geo = &rm->ck->geo;
	uint64_t g;
	int ret = 0;

	for (g = 0; g < geo->ngroups && !ret; g++) {
		ret = remap_group(rm, g);
		if (!ret && g % PROGRESS_EVERY == 0)
			ret = check_progress(rm->ck, 5, g, geo->ngroups);
	}
	while (!ret) {
		ret = owfs_freemap_store_nodes(rm->fm, rm->gen, NODES_PER_STEP);
		if (!ret)
			break;
		ret = ret > 0 ? 0 : ret;
	}
	return ret ? ret : owfs_blkdev_flush(rm->ck->bd);
}

static int remap_commit(struct remap *rm)
{
	struct owfs_root root = rm->ck->sb.root[0];
	int ret = remap_groups(rm);

	if (ret)
		return ret;
	owfs_freemap_root(rm->fm, &root.map);
	root.map.freed_blocks = rm->freed;
	return rm->before ? fix_commit_last(rm->ck, &root, rm->gen) :
			    fix_commit(rm->ck, &root, rm->gen);
}

/* Only if there is something to be had from it, and no doubt about what it uses. */
static int open_before(struct remap *rm)
{
	struct check *ck = rm->ck;
	const struct owfs_freemap_param p = {
		.bd = ck->bd,
		.geo = &ck->geo,
		.seed = ck->sb.csum_seed,
		.cur = ck->sb.root[1].map,
	};

	if (!ck->holes || !ck->sb.root[1].gen || ck->fixes->on_the_way ||
	    !(ck->param->commits & OWFS_CHECK_PREVIOUS) || ck->map_before_bad)
		return 0;
	return owfs_freemap_open(&rm->before, &p);
}

static int remap_open(struct remap *rm)
{
	struct check *ck = rm->ck;
	const struct owfs_freemap_param p = {
		.bd = ck->bd,
		.geo = &ck->geo,
		.seed = ck->sb.csum_seed,
		.cur = ck->sb.root[0].map,
		.prev = ck->sb.root[1].map,
		.mend = ck->sb.root[0].gen,
	};
	int ret;

	rm->nwords = OWFS_BITMAP_WORDS(ck->geo.group_blocks);
	rm->map = calloc(3 * rm->nwords, sizeof(uint64_t));
	if (!rm->map)
		return -ENOMEM;
	rm->want = rm->map + rm->nwords;
	rm->pins = rm->want + rm->nwords;
	ret = owfs_freemap_open(&rm->fm, &p);
	return ret ? ret : open_before(rm);
}

int fix_map(struct check *ck, bool exact)
{
	struct remap rm = { .ck = ck, .exact = exact };
	int ret = remap_open(&rm);

	if (!ret)
		ret = fix_claim(ck, &rm.gen);
	if (!ret)
		ret = remap_commit(&rm);
	owfs_freemap_close(rm.before);
	owfs_freemap_close(rm.fm);
	free(rm.map);
	return ret;
}
