/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which blocks the tree was found to use: a bitmap for each group that has
 * any, so that memory goes with what is used and not with the device.
 */
#ifndef OWFS_FSCK_USEDMAP_H
#define OWFS_FSCK_USEDMAP_H

#include "space/geo.h"

struct usedmap_group {
	uint64_t g_plus_1;	/* 0: empty place */
	uint64_t *bits;		/* used by the tree; fixed blocks are not set */
};

struct usedmap {
	const struct owfs_geo *geo;
	struct usedmap_group *table;
	size_t size, n;		/* places (a power of two), taken */
	uint64_t blocks;	/* bits set */
};

void usedmap_init(struct usedmap *um, const struct owfs_geo *geo);
void usedmap_free(struct usedmap *um);
/*
 * Add a range that lies in one group.  1: all of it was new; 0: part of it was
 * there, *dup is the first such block; -ENOMEM.
 */
int usedmap_add(struct usedmap *um, owfs_fsblock_t start, uint64_t len,
		owfs_fsblock_t *dup);
/* Is any block of a range that lies in one group there? */
bool usedmap_has(const struct usedmap *um, owfs_fsblock_t start, uint64_t len);
/* The bits of group @g, NULL if it has none. */
const uint64_t *usedmap_bits(const struct usedmap *um, uint64_t g);
/*
 * How many blocks of a range in one group, from its first on, are there if that
 * one is, or are not if it is not.
 */
uint64_t usedmap_run(const struct usedmap *um, owfs_fsblock_t start,
		     uint64_t len);

#endif
