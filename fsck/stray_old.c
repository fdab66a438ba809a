/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which of the nodes that nothing readable leads to are older than they seem.
 *
 * A block that was given to a file, and not written since, still has the node
 * that it once was.  An extent tells when it got its blocks: a node in them that
 * was born before that is dead, and that is so whatever leaf the extent is in.
 *
 * A leaf that no pointer is left to prove may be one that a lost write has left
 * there.  If blocks of its files are claimed by newer metadata it is: by what
 * could be read, by leaves that are proven, or by leaves born later.
 */
#include <stdlib.h>

#include "base/err.h"
#include "stray.h"
#include "tree/node.h"

/* ------------------------------------------------------------- overwritten */

struct place {
	owfs_fsblock_t blk;
	struct stray *s;
};

/*
 * Sorted; and a binary tree above them, as an array in which i / 2 is above i and
 * place i is n + i.  An extent can be as long as all of them, so its birth is noted
 * only at the few nodes that cover just its blocks.
 */
struct places {
	struct place *v;
	size_t n;
	owfs_gen_t *newest;
};

static int cmp_place(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	return x->blk < y->blk ? -1 : x->blk > y->blk;
}

static int find_places(struct places *pl, const struct strays *st)
{
	size_t i;
	int c;

	pl->n = 0;
	pl->v = calloc(2 * st->n + 1, sizeof(*pl->v));
	pl->newest = calloc(4 * st->n + 1, sizeof(*pl->newest));
	if (!pl->v || !pl->newest)
		return -ENOMEM;
	for (i = 0; i < st->n; i++)
		for (c = 0; c < 2; c++)
			if (st->v[i].ptr.addr[c] != OWFS_NOBLOCK)
				pl->v[pl->n++] = (struct place){
					st->v[i].ptr.addr[c], &st->v[i] };
	qsort(pl->v, pl->n, sizeof(*pl->v), cmp_place);
	return 0;
}

/* The first place that is not before @blk. */
static size_t place_from(const struct places *pl, owfs_fsblock_t blk)
{
	size_t lo = 0, hi = pl->n, mid;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (pl->v[mid].blk < blk)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void note_birth(owfs_gen_t *newest, owfs_gen_t birth)
{
	if (*newest < birth)
		*newest = birth;
}

static void note_extent(struct places *pl, const struct owfs_extent *ext)
{
	size_t lo = pl->n + place_from(pl, ext->fsblock);
	size_t hi = pl->n + place_from(pl, ext->fsblock + ext->len);

	for (; lo < hi; lo /= 2, hi /= 2) {
		if (lo % 2)
			note_birth(&pl->newest[lo++], ext->birth);
		if (hi % 2)
			note_birth(&pl->newest[--hi], ext->birth);
	}
}

static bool is_overwritten(const struct places *pl, size_t i)
{
	const owfs_gen_t birth = pl->v[i].s->ptr.birth;

	for (i += pl->n; i; i /= 2)
		if (pl->newest[i] > birth)
			return true;
	return false;
}

static int note_extents(struct places *pl, const struct strays *st,
			const struct stray *s)
{
	const struct check *ck = st->ck;
	struct owfs_extent ext;
	struct owfs_buf *buf;
	unsigned int i;
	int ret = stray_read(st, s, &buf);

	if (ret)
		return ret == -ENOMEM ? ret : 0;
	for (i = 0; i < owfs_node_nitems(buf->b_data); i++) {
		struct owfs_key key = owfs_leaf_key(buf->b_data, i);

		if (owfs_key_type(&key) == OWFS_ITEM_EXTENT &&
		    !owfs_extent_from_disk(&ck->geo, ck->root->gen, &key,
					   owfs_leaf_val(buf->b_data, i),
					   owfs_leaf_len(buf->b_data, i), &ext))
			note_extent(pl, &ext);
	}
	owfs_buf_put(buf);
	return 0;
}

int strays_drop_dead(struct strays *st)
{
	struct places pl;
	size_t i, kept = 0;
	int ret = find_places(&pl, st);

	for (i = 0; i < st->n && !ret; i++)
		if (!st->v[i].level)
			ret = note_extents(&pl, st, &st->v[i]);
	for (i = 0; i < pl.n && !ret; i++)
		pl.v[i].s->dead |= is_overwritten(&pl, i);
	for (i = 0; i < st->n && !ret; i++)
		if (!st->v[i].dead)
			st->v[kept++] = st->v[i];
	if (!ret)
		st->n = kept;
	free(pl.v);
	free(pl.newest);
	return ret;
}

/* ----------------------------------------------------------------- older leaves */

/* Add the blocks of its files to the claims; or 1: some are claimed. */
static int leaf_blocks(struct strays *st, const struct stray *s, bool add)
{
	const struct check *ck = st->ck;
	struct owfs_extent ext;
	struct owfs_buf *buf;
	owfs_fsblock_t dup;
	unsigned int i;
	int ret = stray_read(st, s, &buf);

	if (ret)
		return ret == -ENOMEM ? ret : 0;
	for (i = 0; i < owfs_node_nitems(buf->b_data) && !ret; i++) {
		struct owfs_key key = owfs_leaf_key(buf->b_data, i);

		if (owfs_key_type(&key) != OWFS_ITEM_EXTENT ||
		    owfs_extent_from_disk(&ck->geo, ck->root->gen, &key,
					  owfs_leaf_val(buf->b_data, i),
					  owfs_leaf_len(buf->b_data, i), &ext))
			continue;
		if (!add)
			ret = usedmap_has(&ck->used, ext.fsblock, ext.len) ||
			      usedmap_has(&st->claims, ext.fsblock, ext.len);
		else if (usedmap_add(&st->claims, ext.fsblock, ext.len, &dup) < 0)
			ret = -ENOMEM;
	}
	owfs_buf_put(buf);
	return ret;
}

static int prove_children(struct strays *st, const struct stray *s)
{
	struct stray *child;
	struct owfs_buf *buf;
	unsigned int i;
	int ret = stray_read(st, s, &buf);

	if (ret)
		return ret == -ENOMEM ? ret : 0;
	for (i = 0; i < owfs_node_nitems(buf->b_data); i++) {
		struct owfs_ptr ptr = owfs_branch_ptr(buf->b_data, i);

		child = stray_at(st, &ptr);
		if (child)
			child->proven = true;
	}
	owfs_buf_put(buf);
	return 0;
}

static int prove(struct strays *st)
{
	const struct check *ck = st->ck;
	struct stray *s;
	size_t i;
	int ret = 0;

	for (i = 0; i < ck->nbroken; i++) {
		s = stray_at(st, &ck->broken[i]);
		if (s)
			s->proven = true;
	}
	for (i = 0; i < st->n && st->v[i].level && !ret; i++)
		ret = prove_children(st, &st->v[i]);
	return ret;
}

/* What is proven before all else, then the newest first. */
static int cmp_belief(const void *a, const void *b)
{
	const struct stray *const *x = a, *const *y = b;

	if ((*x)->proven != (*y)->proven)
		return (*x)->proven ? -1 : 1;
	return (*x)->ptr.birth > (*y)->ptr.birth ? -1 :
	       (*x)->ptr.birth < (*y)->ptr.birth;
}

/* @leaf to @leaf + @n, equally new. */
static int judge_leaves(struct strays *st, struct stray **leaf, size_t n)
{
	size_t i;
	int ret = 0;

	for (i = 0; i < n && !leaf[i]->proven && ret >= 0; i++) {
		ret = leaf_blocks(st, leaf[i], false);
		leaf[i]->old = ret == 1;
	}
	for (i = 0; i < n && ret >= 0; i++)
		if (!leaf[i]->old)
			ret = leaf_blocks(st, leaf[i], true);
	return ret < 0 ? ret : 0;
}

int strays_judge(struct strays *st)
{
	struct stray **leaf = calloc(st->n + 1, sizeof(struct stray *));
	size_t i, n = 0, end;
	int ret = leaf ? prove(st) : -ENOMEM;

	for (i = 0; i < st->n && !ret; i++)
		if (!st->v[i].level)
			leaf[n++] = &st->v[i];
	if (n)
		qsort(leaf, n, sizeof(struct stray *), cmp_belief);
	for (i = 0; i < n && !ret; i = end) {
		for (end = i + 1; end < n; end++)
			if (cmp_belief(&leaf[i], &leaf[end]))
				break;
		ret = judge_leaves(st, &leaf[i], end - i);
	}
	free(leaf);
	usedmap_free(&st->claims);
	usedmap_init(&st->claims, &st->ck->geo);
	return ret;
}

int stray_claim(struct strays *st, const struct stray *s)
{
	return leaf_blocks(st, s, true);
}
