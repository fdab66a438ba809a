/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See repair_damage.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "fsck_defects.h"
#include "repair_damage.h"

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

static void poke_node(struct image *im, unsigned char *node, void *ctx)
{
	struct rng *rng = ctx;
	unsigned int n = 1 + (unsigned int)rng_below(rng, 3);

	while (n--)
		node[rng_below(rng, rng_below(rng, 2) ? 400 :
			       im->sb.blocksize)] = (unsigned char)rng_next(rng);
}

/* A block of metadata as it comes from a bad device: the checksum is wrong. */
static void hit_block(struct image *im, const struct scene *s, struct rng *rng)
{
	uint64_t a = s->meta[rng_below(rng, s->nmeta)];
	uint64_t b = s->meta[rng_below(rng, s->nmeta)];
	unsigned char one[4096], two[4096] = { 0 };

	emubd_peek(im->e, one, sizeof(one), a * 4096);
	switch (rng_below(rng, 5)) {
	case 0:
		emubd_flip_bit(im->e, a * 4096 + rng_below(rng, 4096),
			       (unsigned int)rng_below(rng, 8));
		break;
	case 1:
		emubd_poke(im->e, two, sizeof(two), a * 4096);
		break;
	case 2:
		emubd_garbage(im->e, a * 4096, 4096, rng_next(rng));
		break;
	case 3:	/* swapped */
		emubd_peek(im->e, two, sizeof(two), b * 4096);
		emubd_poke(im->e, two, sizeof(two), a * 4096);
		emubd_poke(im->e, one, sizeof(one), b * 4096);
		break;
	default: /* misdirected */
		emubd_poke(im->e, one, sizeof(one), b * 4096);
	}
}

static void hit_super(struct image *im, struct rng *rng)
{
	uint64_t pos = slot_pos((unsigned int)rng_below(rng, 4));

	emubd_flip_bit(im->e, pos + rng_below(rng, 512),
		       (unsigned int)rng_below(rng, 8));
}

void damage_by_chance(struct image *im, const struct scene *s, struct rng *rng,
		      struct touched *t)
{
	unsigned int n = 1 + (unsigned int)rng_below(rng, 3);

	/*
	 * What needs a sound filesystem to be made comes first.  It moves the
	 * metadata, so whatever block is hit afterwards held some before.
	 */
	while (n-- && rng_below(rng, 4) != 0)
		forge_item(im, s, rng, t);
	switch (rng_below(rng, 4)) {
	case 0:
		root_edit(im, poke_node, rng);
		t->all = true;
		break;
	case 1:
		hit_block(im, s, rng);
		break;
	case 2:
		hit_super(im, rng);
		break;
	default:
		break;
	}
}
