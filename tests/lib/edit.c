/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Blocks of an image: the way to them, and back with checksums. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"
#include "edit_impl.h"

#define HDR_SIZE	sizeof(struct owfs_block_hdr)

int edit_fail(struct edit *ed, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(ed->why, sizeof(ed->why), fmt, ap);
	va_end(ap);
	return -1;
}

int edit_open(struct edit *ed, struct owfs_blkdev *bd,
	      const struct owfs_env *env)
{
	*ed = (struct edit){ .bd = bd, .env = env, .copy = -1,
			     .rng = { .s = 1 } };
	edit_refresh(ed);
	return ed->sb.blocksize ? 0 : edit_fail(ed, "no superblock");
}

/* What cannot be read any more stays as it was known. */
void edit_refresh(struct edit *ed)
{
	struct owfs_slots slots;
	struct owfs_super sb;

	if (owfs_super_read(ed->bd, &sb, &slots, NULL))
		return;
	if (!owfs_geo_init(&ed->geo, sb.blocksize, sb.nblocks))
		ed->sb = sb;
}

void edit_place_free(struct edit_place *pl)
{
	while (pl->n)
		free(pl->link[--pl->n].block);
}

/* ------------------------------------------------------------- superblocks */

static loff_t super_pos(const struct edit *ed, unsigned int slot)
{
	return owfs_geo_super_pos(ed->sb.nblocks * ed->sb.blocksize, slot);
}

static int read_super(struct edit *ed, unsigned int slot, void *sector)
{
	if (owfs_blkdev_read(ed->bd, sector, OWFS_SUPER_BYTES,
			     super_pos(ed, slot)))
		return edit_fail(ed, "superblock %u cannot be read", slot);
	return 0;
}

static int write_super(struct edit *ed, unsigned int slot, void *sector,
		       bool seal)
{
	struct owfs_super_disk *d = sector;

	if (seal) {
		d->csum = cpu_to_le64(0);
		d->csum = cpu_to_le64(owfs_checksum(0, d, sizeof(*d)));
	}
	if (owfs_blkdev_write(ed->bd, sector, OWFS_SUPER_BYTES,
			      super_pos(ed, slot)))
		return edit_fail(ed, "superblock %u cannot be written", slot);
	return 0;
}

/* The place is the first of the slots; store writes all of them. */
int edit_find_super(struct edit *ed, unsigned int slots, struct edit_place *pl)
{
	unsigned int slot = 0;

	while (!(slots >> slot & 1))
		slot++;
	pl->slots = slots;
	pl->of = FIELD_SUPER;
	pl->len = pl->block_size = OWFS_SUPER_BYTES;
	pl->link[0].block = aligned_alloc(OWFS_IO_ALIGN, OWFS_IO_ALIGN);
	pl->link[0].addr[0] = (uint64_t)super_pos(ed, slot) / ed->sb.blocksize;
	pl->n = 1;
	if (read_super(ed, slot, pl->link[0].block))
		return -1;
	pl->seal = le64_to_cpu(((struct owfs_super_disk *)
				pl->link[0].block)->csum);
	return 0;
}

/* The same change in each, but for the number of the slot. */
static int store_super(struct edit *ed, struct edit_place *pl)
{
	struct owfs_super_disk *d = (void *)pl->link[0].block, one, old;
	bool seal = !ed->left && le64_to_cpu(d->csum) == pl->seal;
	unsigned int slot, first = 0;

	while (!(pl->slots >> first & 1))
		first++;
	if (read_super(ed, first, &old))
		return -1;
	for (slot = first; slot < OWFS_SUPER_SLOTS; slot++) {
		if (!(pl->slots >> slot & 1))
			continue;
		one = *d;
		if (old.slot.raw == d->slot.raw)
			one.slot = cpu_to_le32(slot);
		if (write_super(ed, slot, &one, seal))
			return -1;
	}
	return 0;
}

/* All slots name another root. */
static int set_root_csum(struct edit *ed, bool map, uint64_t csum)
{
	struct owfs_super_disk d;
	unsigned int slot;

	for (slot = 0; slot < OWFS_SUPER_SLOTS; slot++) {
		struct owfs_root_disk *r = &d.root[ed->commit];

		if (read_super(ed, slot, &d))
			return -1;
		*(map ? &r->map_csum : &r->tree.csum) = cpu_to_le64(csum);
		if (write_super(ed, slot, &d, true))
			return -1;
	}
	return 0;
}

/* ------------------------------------------------------------------- blocks */

int edit_push(struct edit *ed, struct edit_place *pl,
	      const owfs_fsblock_t addr[2], size_t ptr_off, size_t csum_off)
{
	size_t size = pl->block_size = ed->sb.blocksize;
	struct edit_link *l = &pl->link[pl->n];
	int which = ed->copy == 1 && addr[1] ? 1 : 0;

	if (pl->n == EDIT_LINKS || addr[0] >= ed->sb.nblocks)
		return edit_fail(ed, "the way leads nowhere");
	l->addr[0] = addr[0];
	l->addr[1] = addr[1];
	l->ptr_off = ptr_off;
	l->csum_off = csum_off;
	l->block = aligned_alloc(OWFS_IO_ALIGN, size);
	pl->n++;
	if (owfs_blkdev_read(ed->bd, l->block, size,
			     (loff_t)(addr[which] * size)))
		return edit_fail(ed, "block %llu cannot be read",
				 (unsigned long long)addr[which]);
	pl->seal = le64_to_cpu(owfs_node_hdr(l->block)->bh_csum);
	return 0;
}

void edit_pop(struct edit_place *pl)
{
	free(pl->link[--pl->n].block);
}

int edit_push_root(struct edit *ed, struct edit_place *pl)
{
	return edit_push(ed, pl, ed->sb.root[ed->commit].tree.addr, 0, 0);
}

int edit_push_child(struct edit *ed, struct edit_place *pl, unsigned int i)
{
	const unsigned char *node = edit_last(pl)->block;
	size_t off = HDR_SIZE + i * sizeof(struct owfs_branch_slot);
	struct owfs_ptr ptr;

	if (!owfs_node_level(node) || i >= owfs_node_nitems(node) ||
	    i >= owfs_branch_max(ed->sb.blocksize))
		return edit_fail(ed, "there is no child %u", i);
	ptr = owfs_branch_ptr(node, i);
	return edit_push(ed, pl, ptr.addr, off,
			 off + offsetof(struct owfs_branch_slot, ptr.csum));
}

/* Map nodes from the root down to the one of level 1, or to a bitmap. */
int edit_push_map(struct edit *ed, struct edit_place *pl, uint64_t g, bool bitmap)
{
	owfs_fsblock_t addr[2] = { 0, 0 };
	unsigned int level = ed->geo.levels;
	const struct owfs_map_entry *e;
	uint64_t span;
	size_t off;

	pl->map = true;
	addr[0] = owfs_geo_map_slot(&ed->geo, level, 0,
				    ed->sb.root[ed->commit].map.slot);
	if (edit_push(ed, pl, addr, 0, 0))
		return -1;
	for (; level > !bitmap; level--) {
		span = owfs_geo_entry_span(&ed->geo, level);
		off = HDR_SIZE + g / span % ed->geo.fanout * sizeof(*e);
		e = (const void *)(edit_last(pl)->block + off);
		addr[0] = level > 1
			? owfs_geo_map_slot(&ed->geo, level - 1,
					    g - g % span, e->slot)
			: owfs_geo_bitmap_slot(&ed->geo, g, e->slot);
		if (edit_push(ed, pl, addr, off,
			      off + offsetof(struct owfs_map_entry, csum)))
			return -1;
	}
	return 0;
}

static int write_block(struct edit *ed, const struct edit_place *pl,
		       const struct edit_link *l)
{
	int i;

	for (i = 0; i < 2; i++) {
		if ((i && !l->addr[1]) || (ed->copy >= 0 && ed->copy != i))
			continue;
		if (owfs_blkdev_write(ed->bd, l->block, pl->block_size,
				      (loff_t)(l->addr[i] * pl->block_size)))
			return edit_fail(ed, "block %llu cannot be written",
					 (unsigned long long)l->addr[i]);
	}
	return 0;
}

uint64_t edit_seal(const struct edit *ed, unsigned char *block)
{
	struct owfs_block_hdr *hdr = (void *)block;

	hdr->bh_csum = cpu_to_le64(0);
	hdr->bh_csum = cpu_to_le64(owfs_checksum(ed->sb.csum_seed, block,
						 ed->sb.blocksize));
	return le64_to_cpu(hdr->bh_csum);
}

/* A checksum that was changed on purpose stays, and who points here has it. */
static int store_chain(struct edit *ed, struct edit_place *pl)
{
	uint64_t csum = le64_to_cpu(owfs_node_hdr(edit_last(pl)->block)->bh_csum);
	unsigned int i = pl->n - 1;
	le64_t v;

	if (csum == pl->seal)
		csum = edit_seal(ed, edit_last(pl)->block);
	for (; i; i--) {
		if (write_block(ed, pl, &pl->link[i]))
			return -1;
		v = cpu_to_le64(csum);
		memcpy(pl->link[i - 1].block + pl->link[i].csum_off, &v,
		       sizeof(v));
		csum = edit_seal(ed, pl->link[i - 1].block);
	}
	if (write_block(ed, pl, &pl->link[0]))
		return -1;
	return set_root_csum(ed, pl->map, csum);
}

int edit_store(struct edit *ed, struct edit_place *pl)
{
	if (pl->slots)
		return store_super(ed, pl);
	if (ed->left || pl->loose)
		return write_block(ed, pl, edit_last(pl));
	return store_chain(ed, pl);
}
