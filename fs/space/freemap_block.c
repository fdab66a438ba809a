/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Blocks of the space map as bytes: from the device with every check there is,
 * and to the device.  The checks are those of P6; each has a sentence of its
 * own, said once.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"
#include "base/err.h"
#include "base/util.h"
#include "space/bitmap.h"
#include "space/freemap_impl.h"

/* What is being read, for the checks and for what they say. */
struct map_block {
	const struct owfs_freemap *fm;
	unsigned int level;		/* 0: bitmap */
	uint64_t first;			/* group */
	const struct owfs_map_ref *ref;
	owfs_fsblock_t blk;
	unsigned char *data;
};

static int bad(const struct map_block *mb, int err, const char *what,
	       uint64_t expected, uint64_t found)
{
	owfs_msg(mb->fm->msg, OWFS_MSG_ERROR,
		 "space map %s of group %" PRIu64 ": %s: level=%u fsblock=%" PRIu64
		 " expected=%" PRIu64 " found=%" PRIu64,
		 mb->level ? "node" : "bitmap", mb->first, what, mb->level,
		 mb->blk, expected, found);
	return err;
}

static int corrupt(const struct map_block *mb, const char *what,
		   uint64_t expected, uint64_t found)
{
	return bad(mb, -EFSCORRUPTED, what, expected, found);
}

uint32_t owfs_map_untouched_run(const struct owfs_geo *geo, uint64_t first,
				uint64_t n)
{
	/*
	 * Fixed blocks stand at the ends of a group, so all others are one
	 * run.  Of several groups the second has the fewest fixed blocks,
	 * unless it is the last of the device, and then it is the last of two.
	 */
	uint64_t run = owfs_geo_ordinary(geo, first, 1);

	if (n > 1)
		run = max_u64(run, owfs_geo_ordinary(geo, first + 1, 1));
	return run;
}

/* --------------------------------------------------------------- checksums */

/* Of the block with the field itself zero, which it is left as. */
static uint64_t block_csum(const struct owfs_freemap *fm, void *data)
{
	struct owfs_block_hdr *hdr = data;

	hdr->bh_csum = cpu_to_le64(0);
	return owfs_checksum(fm->seed, data, fm->geo->blocksize);
}

static int check_csum(const struct map_block *mb)
{
	struct owfs_block_hdr *hdr = (struct owfs_block_hdr *)mb->data;
	uint64_t stored = le64_to_cpu(hdr->bh_csum);
	uint64_t sum = block_csum(mb->fm, mb->data);

	if (sum == mb->ref->csum && sum == stored)
		return 0;
	owfs_msg(mb->fm->msg, OWFS_MSG_ERROR,
		 "space map %s of group %" PRIu64 ": %s: level=%u fsblock=%" PRIu64
		 " expected=%#" PRIx64 " found=%#" PRIx64,
		 mb->level ? "node" : "bitmap", mb->first,
		 sum == stored ? "not the block that was written last" :
				 "checksum is wrong",
		 mb->level, mb->blk, mb->ref->csum, sum);
	return -EFSBADCRC;
}

static int check_header(const struct map_block *mb)
{
	const struct owfs_block_hdr *hdr = (const void *)mb->data;
	uint32_t magic = mb->level ? OWFS_MAP_MAGIC : OWFS_BITMAP_MAGIC;

	if (le32_to_cpu(hdr->bh_magic) != magic)
		return corrupt(mb, "wrong magic", magic,
			       le32_to_cpu(hdr->bh_magic));
	if (le16_to_cpu(hdr->bh_level) != mb->level)
		return corrupt(mb, "wrong level", mb->level,
			       le16_to_cpu(hdr->bh_level));
	if (le64_to_cpu(hdr->bh_addr[0]) != mb->blk)
		return corrupt(mb, "meant for another place", mb->blk,
			       le64_to_cpu(hdr->bh_addr[0]));
	if (le64_to_cpu(hdr->bh_gen) != mb->ref->gen)
		return corrupt(mb, "wrong generation", mb->ref->gen,
			       le64_to_cpu(hdr->bh_gen));
	if (le64_to_cpu(hdr->bh_owner) != mb->first)
		return corrupt(mb, "belongs to another group", mb->first,
			       le64_to_cpu(hdr->bh_owner));
	if (le16_to_cpu(hdr->bh_nitems) || le64_to_cpu(hdr->bh_addr[1]) ||
	    le32_to_cpu(hdr->bh_low) || le32_to_cpu(hdr->bh_zero32) ||
	    le64_to_cpu(hdr->bh_zero64))
		return corrupt(mb, "header fields not zero", 0, 1);
	return 0;
}

/* Read and check what all blocks of the map have in common; frees on failure. */
static int block_read(struct map_block *mb)
{
	const struct owfs_geo *geo = mb->fm->geo;
	int ret;

	mb->blk = owfs_geo_map_slot(geo, mb->level, mb->first, mb->ref->slot);
	mb->data = aligned_alloc(OWFS_IO_ALIGN, geo->blocksize);
	if (!mb->data)
		return -ENOMEM;
	ret = owfs_blkdev_read(mb->fm->bd, mb->data, geo->blocksize,
			       mb->blk * geo->blocksize);
	if (ret)
		owfs_msg(mb->fm->msg, OWFS_MSG_ERROR,
			 "space map %s of group %" PRIu64
			 ": cannot be read: level=%u fsblock=%" PRIu64 " error=%d",
			 mb->level ? "node" : "bitmap", mb->first, mb->level,
			 mb->blk, -ret);
	if (!ret)
		ret = check_csum(mb);
	if (!ret)
		ret = check_header(mb);
	if (ret)
		free(mb->data);
	return ret;
}

/* ------------------------------------------------------------------- nodes */

static bool entry_is_zero(const struct owfs_map_entry *e)
{
	static const struct owfs_map_entry zero;

	return memcmp(e, &zero, sizeof(zero)) == 0;
}

static int check_entry(const struct map_block *mb, uint64_t first,
		       const struct owfs_map_entry *e,
		       const struct owfs_map_ref *ref)
{
	const struct owfs_geo *geo = mb->fm->geo;
	uint64_t span = owfs_geo_entry_span(geo, mb->level);
	uint64_t size = owfs_geo_ordinary(geo, first, span);

	if (first >= geo->ngroups)
		return corrupt(mb, "entry past the last group", geo->ngroups,
			       first);
	if (!ref->gen || ref->gen > mb->ref->gen)
		return corrupt(mb, "entry of an impossible generation",
			       mb->ref->gen, ref->gen);
	if (ref->slot >= OWFS_MAP_SLOTS)
		return corrupt(mb, "entry names no slot", OWFS_MAP_SLOTS,
			       ref->slot);
	if (e->zero[0] || e->zero[1] || e->zero[2])
		return corrupt(mb, "entry with padding not zero", 0, 1);
	if (ref->free > size)
		return corrupt(mb, "entry with more free blocks than there are",
			       size, ref->free);
	if (ref->maxrun > ref->free || !ref->maxrun != !ref->free ||
	    ref->maxrun > owfs_map_untouched_run(geo, first, span))
		return corrupt(mb, "entry with an impossible free run",
			       ref->free, ref->maxrun);
	return 0;
}

static void entry_from_disk(struct owfs_map_ref *ref,
			    const struct owfs_map_entry *e)
{
	ref->gen = le64_to_cpu(e->gen);
	ref->csum = le64_to_cpu(e->csum);
	ref->free = le64_to_cpu(e->free);
	ref->maxrun = le32_to_cpu(e->maxrun);
	ref->slot = e->slot;
}

/* The entries, and that together they are what the node's own entry says. */
static int node_check(const struct map_block *mb, struct owfs_map_ref *refs)
{
	const struct owfs_geo *geo = mb->fm->geo;
	const struct owfs_map_entry *e =
		(const void *)(mb->data + sizeof(struct owfs_block_hdr));
	uint64_t span = owfs_geo_entry_span(geo, mb->level);
	uint64_t first = mb->first, nfree = 0, run = 0;
	unsigned int i;
	int ret;

	for (i = 0; i < geo->fanout; i++, first += span) {
		entry_from_disk(&refs[i], &e[i]);
		if (entry_is_zero(&e[i])) {
			nfree += owfs_geo_ordinary(geo, first, span);
			run = max_u64(run, owfs_map_untouched_run(geo, first,
								  span));
			continue;
		}
		ret = check_entry(mb, first, &e[i], &refs[i]);
		if (ret)
			return ret;
		nfree += refs[i].free;
		run = max_u64(run, refs[i].maxrun);
	}
	if (nfree != mb->ref->free)
		return corrupt(mb, "free blocks below do not add up",
			       mb->ref->free, nfree);
	if (mb->level < geo->levels && run != mb->ref->maxrun)
		return corrupt(mb, "longest free run below is another",
			       mb->ref->maxrun, run);
	return 0;
}

int owfs_map_read_node(const struct owfs_freemap *fm, unsigned int level,
		       uint64_t first, const struct owfs_map_ref *ref,
		       struct owfs_map_ref *refs)
{
	struct map_block mb = {
		.fm = fm, .level = level, .first = first, .ref = ref };
	int ret;

	if (!ref->gen) {
		memset(refs, 0, fm->geo->fanout * sizeof(*refs));
		return 0;
	}
	ret = block_read(&mb);
	if (ret)
		return ret;
	ret = node_check(&mb, refs);
	free(mb.data);
	return ret;
}

/* ----------------------------------------------------------------- bitmaps */

static int bitmap_check(const struct map_block *mb, const uint64_t *bits)
{
	const struct owfs_geo *geo = mb->fm->geo;
	uint32_t nbits = geo->group_blocks, nfree, run, start;
	uint32_t head = owfs_geo_group_head(geo, mb->first);
	uint32_t end = head + owfs_geo_ordinary(geo, mb->first, 1);

	if (!owfs_bitmap_is_set(bits, 0, head))
		return corrupt(mb, "fixed block marked free", head,
			       owfs_bitmap_next_clear(bits, 0, head));
	if (!owfs_bitmap_is_set(bits, end, nbits - end))
		return corrupt(mb, "back area or what is past the end marked free",
			       nbits, owfs_bitmap_next_clear(bits, end, nbits));
	nfree = nbits - owfs_bitmap_weight(bits, OWFS_BITMAP_WORDS(nbits));
	if (nfree != mb->ref->free)
		return corrupt(mb, "wrong number of free blocks", mb->ref->free,
			       nfree);
	run = owfs_bitmap_find_clear(bits, 0, nbits, nbits, &start);
	if (run != mb->ref->maxrun)
		return corrupt(mb, "wrong longest free run", mb->ref->maxrun,
			       run);
	return 0;
}

int owfs_map_read_bitmap(const struct owfs_freemap *fm, uint64_t g,
			 const struct owfs_map_ref *ref, uint64_t *bits)
{
	struct map_block mb = { .fm = fm, .first = g, .ref = ref };
	int ret;

	if (!ref->gen) {
		owfs_freemap_untouched(fm->geo, g, bits);
		return 0;
	}
	ret = block_read(&mb);
	if (ret)
		return ret;
	owfs_bitmap_from_disk(bits,
			      (le64_t *)(mb.data + sizeof(struct owfs_block_hdr)),
			      OWFS_BITMAP_WORDS(fm->geo->group_blocks));
	ret = bitmap_check(&mb, bits);
	free(mb.data);
	return ret;
}

/* ----------------------------------------------------------------- writing */

static void block_begin(struct owfs_freemap *fm, unsigned int level,
			uint64_t first, const struct owfs_map_ref *ref)
{
	struct owfs_block_hdr *hdr = fm->block;

	memset(fm->block, 0, fm->geo->blocksize);
	hdr->bh_magic = cpu_to_le32(level ? OWFS_MAP_MAGIC : OWFS_BITMAP_MAGIC);
	hdr->bh_level = cpu_to_le16(level);
	hdr->bh_addr[0] = cpu_to_le64(owfs_geo_map_slot(fm->geo, level, first,
							ref->slot));
	hdr->bh_gen = cpu_to_le64(ref->gen);
	hdr->bh_owner = cpu_to_le64(first);
}

static int block_write(struct owfs_freemap *fm, struct owfs_map_ref *ref)
{
	struct owfs_block_hdr *hdr = fm->block;
	owfs_fsblock_t blk = le64_to_cpu(hdr->bh_addr[0]);
	int ret;

	ref->csum = block_csum(fm, fm->block);
	hdr->bh_csum = cpu_to_le64(ref->csum);
	ret = owfs_blkdev_write(fm->bd, fm->block, fm->geo->blocksize,
				blk * fm->geo->blocksize);
	if (ret)
		owfs_msg(fm->msg, OWFS_MSG_ERROR,
			 "space map: cannot be written: fsblock=%" PRIu64
			 " error=%d", blk, -ret);
	return ret;
}

int owfs_map_write_bitmap(struct owfs_freemap *fm, uint64_t g,
			  const uint64_t *bits, struct owfs_map_ref *ref)
{
	uint32_t nbits = fm->geo->group_blocks, start;
	size_t nwords = OWFS_BITMAP_WORDS(nbits);

	ref->free = nbits - owfs_bitmap_weight(bits, nwords);
	ref->maxrun = owfs_bitmap_find_clear(bits, 0, nbits, nbits, &start);
	block_begin(fm, 0, g, ref);
	owfs_bitmap_to_disk((le64_t *)((struct owfs_block_hdr *)fm->block + 1),
			    bits, nwords);
	return block_write(fm, ref);
}

void owfs_map_begin_node(struct owfs_freemap *fm, unsigned int level,
			 uint64_t first, const struct owfs_map_ref *ref)
{
	block_begin(fm, level, first, ref);
}

void owfs_map_put_entry(struct owfs_freemap *fm, unsigned int i,
			const struct owfs_map_ref *ref)
{
	struct owfs_block_hdr *hdr = fm->block;
	struct owfs_map_entry *e = (struct owfs_map_entry *)(hdr + 1) + i;

	e->gen = cpu_to_le64(ref->gen);
	e->csum = cpu_to_le64(ref->csum);
	e->free = cpu_to_le64(ref->free);
	e->maxrun = cpu_to_le32(ref->maxrun);
	e->slot = ref->slot;
}

int owfs_map_write_node(struct owfs_freemap *fm, unsigned int level,
			uint64_t first, struct owfs_map_ref *ref)
{
	assert(le64_to_cpu(((struct owfs_block_hdr *)fm->block)->bh_addr[0]) ==
	       owfs_geo_map_slot(fm->geo, level, first, ref->slot));
	return block_write(fm, ref);
}
