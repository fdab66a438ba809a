/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bitmaps by group in an open hash table that doubles. */
#include <stdlib.h>

#include "base/err.h"
#include "space/bitmap.h"
#include "usedmap.h"

#define SIZE_MIN	16

void usedmap_init(struct usedmap *um, const struct owfs_geo *geo)
{
	*um = (struct usedmap){ .geo = geo };
}

void usedmap_free(struct usedmap *um)
{
	size_t i;

	for (i = 0; i < um->size; i++)
		free(um->table[i].bits);
	free(um->table);
	um->table = NULL;
	um->size = um->n = 0;
}

/* Where group @g is or would be. */
static struct usedmap_group *find(const struct usedmap *um, uint64_t g)
{
	size_t i = (g * 0x9e3779b97f4a7c15ull >> 32) & (um->size - 1);

	while (um->table[i].g_plus_1 && um->table[i].g_plus_1 != g + 1)
		i = (i + 1) & (um->size - 1);
	return &um->table[i];
}

static int grow(struct usedmap *um)
{
	struct usedmap old = *um;
	size_t i;

	um->size = old.size ? 2 * old.size : SIZE_MIN;
	um->table = calloc(um->size, sizeof(*um->table));
	if (!um->table) {
		*um = old;
		return -ENOMEM;
	}
	for (i = 0; i < old.size; i++)
		if (old.table[i].g_plus_1)
			*find(um, old.table[i].g_plus_1 - 1) = old.table[i];
	free(old.table);
	return 0;
}

static uint64_t *bits_of(struct usedmap *um, uint64_t g)
{
	struct usedmap_group *ug;

	if (2 * um->n >= um->size && grow(um))
		return NULL;
	ug = find(um, g);
	if (ug->bits)
		return ug->bits;
	ug->bits = calloc(OWFS_BITMAP_WORDS(um->geo->group_blocks),
			  sizeof(uint64_t));
	if (!ug->bits)
		return NULL;
	ug->g_plus_1 = g + 1;
	um->n++;
	return ug->bits;
}

int usedmap_add(struct usedmap *um, owfs_fsblock_t start, uint64_t len,
		owfs_fsblock_t *dup)
{
	uint64_t g = owfs_geo_group_of(um->geo, start);
	owfs_fsblock_t base = owfs_geo_group_start(um->geo, g);
	uint32_t first = (uint32_t)(start - base), end = first + (uint32_t)len;
	uint64_t *bits = bits_of(um, g), *words;
	uint32_t bit, nwords;
	int ret = 1;

	if (!bits)
		return -ENOMEM;
	bit = owfs_bitmap_next_set(bits, first, end);
	if (bit < end) {
		*dup = base + bit;
		ret = 0;
	}
	words = bits + first / 64;
	nwords = (end + 63) / 64 - first / 64;
	um->blocks -= owfs_bitmap_weight(words, nwords);
	owfs_bitmap_set(bits, first, (uint32_t)len);
	um->blocks += owfs_bitmap_weight(words, nwords);
	return ret;
}

const uint64_t *usedmap_bits(const struct usedmap *um, uint64_t g)
{
	return um->size ? find(um, g)->bits : NULL;
}

bool usedmap_has(const struct usedmap *um, owfs_fsblock_t start, uint64_t len)
{
	uint64_t g = owfs_geo_group_of(um->geo, start);
	const uint64_t *bits = usedmap_bits(um, g);
	uint32_t first, end;

	if (!bits)
		return false;
	first = (uint32_t)(start - owfs_geo_group_start(um->geo, g));
	end = first + (uint32_t)len;
	return owfs_bitmap_next_set(bits, first, end) < end;
}

uint64_t usedmap_run(const struct usedmap *um, owfs_fsblock_t start,
		     uint64_t len)
{
	uint64_t g = owfs_geo_group_of(um->geo, start);
	const uint64_t *bits = usedmap_bits(um, g);
	uint32_t first, end;

	if (!bits)
		return len;
	first = (uint32_t)(start - owfs_geo_group_start(um->geo, g));
	end = first + (uint32_t)len;
	return (owfs_bitmap_test(bits, first) ?
		owfs_bitmap_next_clear(bits, first, end) :
		owfs_bitmap_next_set(bits, first, end)) - first;
}
