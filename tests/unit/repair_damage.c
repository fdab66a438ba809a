/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See repair_damage.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "edit.h"
#include "repair_damage.h"

/* -------------------------------------------------------------------- items */

/* One item gets other bytes, another length or another key. */
static void forge_item(struct image *im, const struct scene *s, struct rng *rng,
		       struct touched *t)
{
	struct owfs_key key = { 0, 0 }, last = OWFS_KEY_MAX;
	unsigned char val[OWFS_ITEM_MAX] = { 0 };
	uint64_t skip;
	int len = 0;

	edit_begin(im);
	for (skip = rng_below(rng, s->items); ; skip--, key.off++) {
		len = owfs_btree_next(im->fs->fs_bt, &key, &last, val,
				      sizeof(val));
		if (len <= 0) {	/* fewer than there were */
			edit_end(im);
			return;
		}
		if (!skip)
			break;
	}
	touch(t, key.obj >> 8);
	touch(t, ((struct owfs_dirent_item *)val)->ino.raw);
	if (rng_below(rng, 4) == 0)
		len = 1 + (int)rng_below(rng, OWFS_ITEM_MAX);
	switch (rng_below(rng, 4)) {
	case 0:
		val[rng_below(rng, (uint64_t)len)] ^= 1 << rng_below(rng, 8);
		break;
	case 1:
		val[rng_below(rng, (uint64_t)len)] = 0;
		break;
	case 2:
		val[rng_below(rng, (uint64_t)len)] = 0xff;
		break;
	default:
		val[rng_below(rng, (uint64_t)len)] = (unsigned char)rng_next(rng);
	}
	if (rng_below(rng, 5) == 0) {
		item_del(im, key);
		key.off = rng_next(rng) >> rng_below(rng, 64);
	}
	if (rng_below(rng, 8) == 0)
		key.obj = (key.obj & ~0xffull) | (1 + rng_below(rng, 13));
	if (rng_below(rng, 10))
		item_put(im, key, val, (size_t)len);
	edit_end(im);
}

/* ------------------------------------------------- blocks, as bytes come back */

enum kind {
	FORGED, FLIPPED, ZEROED, SCRAMBLED, SWAPPED, MISDIRECTED, STALE, CUT,
	KINDS
};
static const char *const kind_name[KINDS] = {
	"forged", "flipped", "zeroed", "scrambled", "swapped", "misdirected",
	"stale", "cut",
};
static unsigned long done[KINDS][2];	/* checksums wrong, made right */

/* What a write that never came has left there. */
static void get_old(const struct scene *s, struct rng *rng, void *buf,
		    size_t len, uint64_t pos)
{
	struct emubd *old = s->old[rng_below(rng, OLD_STATES)];

	if (old)
		emubd_peek(old, buf, len, pos);
}

/* A block of metadata as it comes from a bad device: the checksum is wrong. */
static void hit_block(struct image *im, const struct scene *s, struct rng *rng)
{
	enum kind kind = FLIPPED + (enum kind)rng_below(rng, CUT - FLIPPED);
	uint64_t a = s->meta[rng_below(rng, s->nmeta)];
	uint64_t b = s->meta[rng_below(rng, s->nmeta)];
	unsigned char one[4096], two[4096] = { 0 };

	done[kind][0]++;
	emubd_peek(im->e, one, sizeof(one), a * 4096);
	switch (kind) {
	case FLIPPED:
		emubd_flip_bit(im->e, a * 4096 + rng_below(rng, 4096),
			       (unsigned int)rng_below(rng, 8));
		break;
	case ZEROED:
		emubd_poke(im->e, two, sizeof(two), a * 4096);
		break;
	case SCRAMBLED:
		emubd_garbage(im->e, a * 4096, 4096, rng_next(rng));
		break;
	case SWAPPED:
		emubd_peek(im->e, two, sizeof(two), b * 4096);
		emubd_poke(im->e, two, sizeof(two), a * 4096);
		emubd_poke(im->e, one, sizeof(one), b * 4096);
		break;
	case MISDIRECTED:
		emubd_poke(im->e, one, sizeof(one), b * 4096);
		break;
	default:
		get_old(s, rng, two, sizeof(two), a * 4096);
		emubd_poke(im->e, two, sizeof(two), a * 4096);
	}
}

/* One of the superblocks. */
static void hit_super(struct image *im, const struct scene *s, struct rng *rng)
{
	unsigned int slot = (unsigned int)rng_below(rng, OWFS_SUPER_SLOTS);
	uint64_t pos = (uint64_t)owfs_geo_super_pos(emubd_blkdev(im->e)->size,
						    slot);
	unsigned char sector[OWFS_SUPER_BYTES];

	if (rng_below(rng, 3)) {
		done[FLIPPED][0]++;
		emubd_flip_bit(im->e, pos + rng_below(rng, 512),
			       (unsigned int)rng_below(rng, 8));
		return;
	}
	done[STALE][0]++;
	emubd_peek(im->e, sector, sizeof(sector), pos);
	get_old(s, rng, sector, sizeof(sector), pos);
	emubd_poke(im->e, sector, sizeof(sector), pos);
}

/* ------------------------------------------------ nodes, with good checksums */

static void edit(struct image *im, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* What cannot be done there, since damage has been done before, is not done. */
static void edit(struct image *im, const char *fmt, ...)
{
	struct edit ed;
	char line[200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (!edit_open(&ed, emubd_blkdev(im->e), &im->env.env))
		edit_line(&ed, line);
}

/* Some bytes, mostly of headers and slots, where it hurts. */
static void poke_node(struct image *im, const char *node, struct rng *rng)
{
	unsigned int n = 1 + (unsigned int)rng_below(rng, 3);
	struct edit_place pl;
	struct edit ed;

	if (edit_open(&ed, emubd_blkdev(im->e), &im->env.env) ||
	    edit_find(&ed, node, &pl))
		return;
	while (n--)
		edit_last(&pl)->block[rng_below(rng, rng_below(rng, 2) ? 400 :
						pl.block_size)] =
			(unsigned char)rng_next(rng);
	edit_store(&ed, &pl);
	edit_place_free(&pl);
}

static void random_node(const struct scene *s, struct rng *rng, char name[24])
{
	switch (rng_below(rng, 6)) {
	case 0:
	case 1:
		snprintf(name, 24, "root");
		break;
	case 2:
		snprintf(name, 24, rng_below(rng, 2) ? "map" : "bitmap:0");
		break;
	default:
		snprintf(name, 24, "leaf:%u",
			 (unsigned int)rng_below(rng, s->leaves));
	}
}

/* Whoever points there has the checksum of what stands there now. */
static void hit_node(struct image *im, const struct scene *s, struct rng *rng)
{
	static const enum kind kinds[] = {
		FORGED, FORGED, FLIPPED, SWAPPED, MISDIRECTED, STALE };
	enum kind kind = kinds[rng_below(rng, ARRAY_SIZE(kinds))];
	char a[24], b[24];

	done[kind][1]++;
	random_node(s, rng, a);
	random_node(s, rng, b);
	switch (kind) {
	case FORGED:
		poke_node(im, a, rng);
		break;
	case FLIPPED:
		edit(im, "flip %s %u %u", a, (unsigned int)rng_below(rng, 4096),
		     (unsigned int)rng_below(rng, 8));
		break;
	case SWAPPED:
		edit(im, "swap %s %s", a, b);
		if (rng_below(rng, 2)) {
			edit(im, "address %s", a);
			edit(im, "address %s", b);
		}
		break;
	case MISDIRECTED:
		edit(im, "copy %s %s", a, b);
		if (rng_below(rng, 2))
			edit(im, "address %s", a);
		break;
	default:
		edit(im, "stale %s", a);
	}
}

/* ---------------------------------------------------------------------- all */

void damage_by_chance(struct image *im, const struct scene *s, struct rng *rng,
		      struct touched *t)
{
	unsigned int n = 1 + (unsigned int)rng_below(rng, 3);

	/*
	 * What needs a sound filesystem to be made comes first.  It moves the
	 * metadata, so whatever block is hit afterwards held some before.
	 */
	while (n-- && rng_below(rng, 4) != 0) {
		forge_item(im, s, rng, t);
		done[FORGED][1]++;
	}
	switch (rng_below(rng, 8)) {
	case 0:
	case 1:
		hit_node(im, s, rng);
		t->all = true;
		break;
	case 2:
	case 3:
	case 4:
		hit_block(im, s, rng);
		break;
	case 5:
		hit_super(im, s, rng);
		break;
	default:
		break;
	}
}

void damage_cut(struct image *im, struct rng *rng, struct touched *t)
{
	static const unsigned char zero[4096];
	struct owfs_blkdev *bd = emubd_blkdev(im->e);
	uint64_t size = bd->size, pos, keep;

	done[CUT][0]++;
	t->all = true;
	keep = rng_below(rng, 2) ? size - rng_below(rng, 300000)
				 : rng_below(rng, size);
	keep -= keep % 4096;
	if (rng_below(rng, 2)) {
		bd->size = keep;
		return;
	}
	for (pos = keep; pos < size; pos += sizeof(zero))
		emubd_poke(im->e, zero, sizeof(zero), pos);
}

void damage_tell(void)
{
	unsigned int k;

	for (k = 0; k < KINDS; k++)
		printf("ok: %s_wrong=%lu %s_right=%lu\n", kind_name[k],
		       done[k][0], kind_name[k], done[k][1]);
	memset(done, 0, sizeof(done));
}
