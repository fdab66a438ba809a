/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Entries of a map node that is lost, from its children.
 *
 * Each child stands in one of three slots at a known place and says of itself
 * which child it is and when it was written, so the newest sound one that is
 * not younger than the commit is taken for the one that the lost entry named.
 * It may be an older one, if the newest is damaged, too; whoever asked for this
 * compares the bits with what the tree uses anyway, and what matters here is
 * that the slot is not overwritten.
 */
#include <stdlib.h>

#include "base/checksum.h"
#include "base/err.h"
#include "base/util.h"
#include "space/bitmap.h"
#include "space/freemap_impl.h"

/* What a node's entry would say of these entries below it. */
static void sum_up(const struct owfs_freemap *fm, unsigned int level,
		   uint64_t first, const struct owfs_map_entry *e,
		   struct owfs_map_ref *ref)
{
	uint64_t span = owfs_geo_entry_span(fm->geo, level);
	unsigned int i;

	ref->free = 0;
	ref->maxrun = 0;
	for (i = 0; i < fm->geo->fanout; i++, first += span) {
		bool written = le64_to_cpu(e[i].gen) != 0;

		ref->free += written ? le64_to_cpu(e[i].free) :
			     owfs_geo_ordinary(fm->geo, first, span);
		ref->maxrun = (uint32_t)max_u64(ref->maxrun, written ?
				le32_to_cpu(e[i].maxrun) :
				owfs_map_untouched_run(fm->geo, first, span));
	}
}

static void count_bits(const struct owfs_freemap *fm, const void *disk,
		       uint64_t *bits, struct owfs_map_ref *ref)
{
	uint32_t nbits = fm->geo->group_blocks, start;
	size_t nwords = OWFS_BITMAP_WORDS(nbits);

	owfs_bitmap_from_disk(bits, disk, nwords);
	ref->free = nbits - owfs_bitmap_weight(bits, nwords);
	ref->maxrun = owfs_bitmap_find_clear(bits, 0, nbits, nbits, &start);
}

/* An entry for what stands in @slot, if it claims to be this child at all. */
static bool entry_of(const struct owfs_freemap *fm, unsigned int level,
		     uint64_t first, unsigned int slot, unsigned char *block,
		     uint64_t *scratch, struct owfs_map_ref *ref)
{
	const struct owfs_block_hdr *hdr = (const void *)block;
	size_t size = fm->geo->blocksize;
	owfs_fsblock_t blk = owfs_geo_map_slot(fm->geo, level, first, slot);

	if (owfs_blkdev_read(fm->bd, block, size, (loff_t)(blk * size)))
		return false;
	*ref = (struct owfs_map_ref){
		.gen = le64_to_cpu(hdr->bh_gen),
		.csum = le64_to_cpu(hdr->bh_csum),
		.slot = (uint8_t)slot,
	};
	if (!ref->gen || ref->gen > fm->mend ||
	    le64_to_cpu(hdr->bh_owner) != first)
		return false;
	if (level)
		sum_up(fm, level, first, (const void *)(hdr + 1), ref);
	else
		count_bits(fm, hdr + 1, scratch, ref);
	return true;
}

/* The verifiers decide, and say nothing: a slot that is not it is no news. */
static bool is_sound(const struct owfs_freemap *fm, unsigned int level,
		     uint64_t first, const struct owfs_map_ref *ref,
		     uint64_t *bits, struct owfs_map_ref *refs)
{
	struct owfs_freemap quiet = { .bd = fm->bd, .geo = fm->geo,
				      .seed = fm->seed };

	if (level)
		return !owfs_map_read_node(&quiet, level, first, ref, refs);
	return !owfs_map_read_bitmap(&quiet, first, ref, bits);
}

struct guess {
	unsigned char *block;
	uint64_t *bits;
	struct owfs_map_ref *refs;
};

static void guess_child(const struct owfs_freemap *fm, unsigned int level,
			uint64_t first, const struct guess *g,
			struct owfs_map_ref *best)
{
	struct owfs_map_ref ref;
	unsigned int slot;

	*best = (struct owfs_map_ref){ 0 };
	for (slot = 0; slot < OWFS_MAP_SLOTS; slot++)
		if (entry_of(fm, level, first, slot, g->block, g->bits, &ref) &&
		    ref.gen > best->gen &&
		    is_sound(fm, level, first, &ref, g->bits, g->refs))
			*best = ref;
}

int owfs_map_guess_node(const struct owfs_freemap *fm, unsigned int level,
			uint64_t first, struct owfs_map_ref *refs)
{
	uint64_t span = owfs_geo_entry_span(fm->geo, level);
	struct guess g = {
		.block = aligned_alloc(OWFS_IO_ALIGN, fm->geo->blocksize),
		.bits = malloc(fm->geo->group_blocks / 8),
		.refs = calloc(fm->geo->fanout, sizeof(*g.refs)),
	};
	int ret = g.block && g.bits && g.refs ? 0 : -ENOMEM;
	unsigned int i;

	for (i = 0; !ret && i < fm->geo->fanout; i++, first += span) {
		refs[i] = (struct owfs_map_ref){ 0 };
		if (first < fm->geo->ngroups)
			guess_child(fm, level - 1, first, &g, &refs[i]);
	}
	free(g.block);
	free(g.bits);
	free(g.refs);
	return ret;
}
