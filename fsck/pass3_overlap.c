/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pass 3, extents of one file that overlap: of each block the extent written
 * last is what the file had, and of the others what lies beside it stays.
 *
 *	birth 7	    |-------------------|
 *	birth 9	          |------|
 *	birth 8	              |-----------|
 *	becomes	    |--7--|---9--|---8----|
 *
 * Those that hang together are gathered, and settled when an extent comes that
 * begins behind all of them: going along the blocks, with those that cover the
 * place in a heap.
 */
#include <stdlib.h>

#include "base/err.h"
#include "base/util.h"
#include "fsck.h"

/* As they come by, so in the order of their first blocks. */
static int gather(struct overlaps *ov, const struct owfs_extent *ext)
{
	struct owfs_extent *v;

	if (ov->n == ov->cap) {
		v = realloc(ov->v, (2 * ov->cap + 8) * sizeof(*v));
		if (!v)
			return -ENOMEM;
		ov->v = v;
		ov->cap = 2 * ov->cap + 8;
	}
	ov->v[ov->n++] = *ext;
	return 0;
}

int pass3_overlap(struct check *ck, const struct owfs_extent *ext, bool yes)
{
	struct object *obj = &ck->obj;
	int ret = 0;

	if (!ck->fixes)
		return 0;
	/* if one has to stay as it is, so have all that it touches */
	obj->overlaps.refused |= !yes;
	if (!obj->overlaps.n)
		ret = gather(&obj->overlaps, &obj->ext_last);
	return ret ? ret : gather(&obj->overlaps, ext);
}

/* -------------------------------------------------------------------- heap */

struct heap {
	const struct owfs_extent **v;
	size_t n;
};

/* Of two written at once the first. */
static bool is_later(const struct owfs_extent *a, const struct owfs_extent *b)
{
	return a->birth != b->birth ? a->birth > b->birth : a < b;
}

static void heap_push(struct heap *h, const struct owfs_extent *ext)
{
	size_t i = h->n++, up;

	for (; i && is_later(ext, h->v[(i - 1) / 2]); i = up) {
		up = (i - 1) / 2;
		h->v[i] = h->v[up];
	}
	h->v[i] = ext;
}

static void heap_pop(struct heap *h)
{
	const struct owfs_extent *last = h->v[--h->n];
	size_t i, down;

	for (i = 0; (down = 2 * i + 1) < h->n; i = down) {
		if (down + 1 < h->n && is_later(h->v[down + 1], h->v[down]))
			down++;
		if (!is_later(h->v[down], last))
			break;
		h->v[i] = h->v[down];
	}
	h->v[i] = last;
}

/* -------------------------------------------------------------- what is left */

struct piece {
	const struct owfs_extent *of;		/* NULL: none yet */
	owfs_fileoff_t off, end;
};

static void put_piece(struct check *ck, const struct piece *p)
{
	struct owfs_extent part;

	if (!p->of || (p->off == p->of->off && p->end == owfs_extent_end(p->of)))
		return;
	part = *p->of;
	part.off = p->off;
	part.len = p->end - p->off;
	part.fsblock += p->off - p->of->off;
	pass3_put_extent(ck, &part, part.birth);
}

/* [off, end) is @of's; @item: one has its key there. */
static void add_piece(struct check *ck, struct piece *p,
		      const struct owfs_extent *of, owfs_fileoff_t off,
		      owfs_fileoff_t end, bool item)
{
	if (p->of == of && p->end == off) {
		p->end = end;
		if (item)
			fix_del(ck, FIX_ITEMS, owfs_key(ck->obj.ino,
							OWFS_ITEM_EXTENT, off));
		return;
	}
	put_piece(ck, p);
	*p = (struct piece){ of, off, end };
}

static void settle(struct check *ck, const struct overlaps *ov, struct heap *h)
{
	const struct owfs_extent *next = ov->v, *all = ov->v + ov->n;
	owfs_fileoff_t pos = next->off, end;
	struct piece p = { NULL, 0, 0 };
	bool item;

	while (next < all || h->n) {
		item = next < all && next->off == pos;
		if (item)
			heap_push(h, next++);
		while (h->n && owfs_extent_end(h->v[0]) <= pos)
			heap_pop(h);
		if (!h->n)
			break;
		end = owfs_extent_end(h->v[0]);
		if (next < all)
			end = min_u64(end, next->off);
		add_piece(ck, &p, h->v[0], pos, end, item);
		pos = end;
	}
	put_piece(ck, &p);
}

int pass3_overlap_end(struct check *ck)
{
	struct overlaps *ov = &ck->obj.overlaps;
	struct heap h = { NULL, 0 };

	if (ov->n && !ov->refused) {
		h.v = malloc(ov->n * sizeof(*h.v));
		if (!h.v)
			return -ENOMEM;
		ck->fixes->why = BAD_EXTENT_OVERLAP;
		settle(ck, ov, &h);
		free(h.v);
	}
	ov->n = 0;
	ov->refused = false;
	return 0;
}
