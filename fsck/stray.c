/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Finding nodes that nothing readable leads to.
 *
 * The space map of the same commit says which blocks are in use.  A block that
 * is, that nothing readable leads to, and that proves to be a node of this tree
 * standing where it was meant to stand, therefore belongs to what is lost: no
 * older state of it can be mistaken for it, since those blocks are free.  But a
 * write that never came leaves in a block what had been there before: where a
 * pointer says what ought to be there, nothing else is believed, and a branch
 * that leads to a free block is none of this commit.
 */
#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"
#include "base/err.h"
#include "space/bitmap.h"
#include "space/freemap.h"
#include "stray.h"
#include "tree/node.h"

/* What a pointer says of one of its blocks, which cannot be read. */
struct unread {
	owfs_fsblock_t blk;
	const struct owfs_ptr *ptr;
};

struct scan {
	struct strays *st;
	struct check *ck;
	struct owfs_freemap *fm;
	uint64_t *bits, *pins;
	uint64_t loaded;		/* group that those are of */
	unsigned char *block;
	struct unread *unread;		/* sorted */
	size_t nunread;
	size_t here;			/* the first not before the block looked at */
};

/* It says that it stands at @blk, and its other copy where a node may. */
static bool is_at_home(const struct check *ck, const struct owfs_block_hdr *hdr,
		       owfs_fsblock_t blk)
{
	owfs_fsblock_t one = le64_to_cpu(hdr->bh_addr[0]);
	owfs_fsblock_t two = le64_to_cpu(hdr->bh_addr[1]);

	if (ck->sb.meta_copies == 1)
		return one == blk && two == OWFS_NOBLOCK;
	return (one == blk || two == blk) && one != two &&
	       owfs_geo_range_ok(&ck->geo, one, 1) &&
	       owfs_geo_range_ok(&ck->geo, two, 1);
}

static bool is_node(const struct scan *sc, owfs_fsblock_t blk)
{
	const struct check *ck = sc->ck;
	struct owfs_block_hdr *hdr = (void *)sc->block;
	const le64_t kept = hdr->bh_csum;
	uint64_t csum, detail;

	if (le32_to_cpu(hdr->bh_magic) != OWFS_NODE_MAGIC ||
	    le64_to_cpu(hdr->bh_owner) != OWFS_TREE_MAIN ||
	    le64_to_cpu(hdr->bh_gen) == 0 ||	/* no pointer may say so */
	    le64_to_cpu(hdr->bh_gen) > ck->root->gen ||
	    !is_at_home(ck, hdr, blk))
		return false;
	hdr->bh_csum = cpu_to_le64(0);
	csum = owfs_checksum(ck->sb.csum_seed, sc->block, ck->sb.blocksize);
	hdr->bh_csum = kept;
	return csum == le64_to_cpu(kept) &&
	       !owfs_node_check(sc->block, ck->sb.blocksize, ck->sb.nblocks,
				NULL, &detail) &&
	       owfs_node_nitems(sc->block) > 0;
}

static int add_stray(struct strays *st, const void *node)
{
	const struct owfs_block_hdr *hdr = node;
	struct stray *s;

	if (st->n == st->cap) {
		s = realloc(st->v, (2 * st->cap + 64) * sizeof(*s));
		if (!s)
			return -ENOMEM;
		st->v = s;
		st->cap = 2 * st->cap + 64;
	}
	st->v[st->n++] = (struct stray){
		.ptr = {
			.addr = { le64_to_cpu(hdr->bh_addr[0]),
				  le64_to_cpu(hdr->bh_addr[1]) },
			.birth = le64_to_cpu(hdr->bh_gen),
			.csum = le64_to_cpu(hdr->bh_csum),
		},
		.level = owfs_node_level(node),
		.first = owfs_node_first(node),
		.last = owfs_node_last(node),
	};
	return 0;
}

static int cmp_unread(const void *a, const void *b)
{
	const struct unread *x = a, *y = b;

	return x->blk < y->blk ? -1 : x->blk > y->blk;
}

static int index_unread(struct scan *sc)
{
	const struct check *ck = sc->ck;
	size_t i;
	int c;

	sc->unread = calloc(2 * ck->nbroken + 1, sizeof(*sc->unread));
	if (!sc->unread)
		return -ENOMEM;
	for (i = 0; i < ck->nbroken; i++)
		for (c = 0; c < 2; c++)
			sc->unread[sc->nunread++] = (struct unread){
				ck->broken[i].addr[c], &ck->broken[i] };
	qsort(sc->unread, sc->nunread, sizeof(*sc->unread), cmp_unread);
	return 0;
}

/*
 * A pointer to @blk is there, and means something else by birth and checksum.  To
 * be asked of each block once, in their order.
 */
static bool is_outdated(struct scan *sc, owfs_fsblock_t blk)
{
	const struct owfs_block_hdr *hdr = (const void *)sc->block;
	const struct unread *u = sc->unread;
	size_t i;

	while (sc->here < sc->nunread && u[sc->here].blk < blk)
		sc->here++;
	for (i = sc->here; i < sc->nunread && u[i].blk == blk; i++)
		if (u[i].ptr->birth != le64_to_cpu(hdr->bh_gen) &&
		    u[i].ptr->csum != le64_to_cpu(hdr->bh_csum))
			return true;
	return false;
}

static int look_at_block(struct scan *sc, owfs_fsblock_t blk)
{
	size_t size = sc->ck->sb.blocksize;

	/* one that cannot be read is lost, and its twin may be found */
	if (owfs_blkdev_read(sc->ck->bd, sc->block, size, (loff_t)(blk * size)))
		return 0;
	if (!is_node(sc, blk) || is_outdated(sc, blk))
		return 0;
	return add_stray(sc->st, sc->block);
}

static int scan_group(struct scan *sc, uint64_t g)
{
	const struct owfs_geo *geo = &sc->ck->geo;
	const uint64_t *known = usedmap_bits(&sc->ck->used, g);
	uint32_t bit = owfs_geo_group_head(geo, g);
	uint32_t end = bit + (uint32_t)owfs_geo_ordinary(geo, g, 1);
	int ret = owfs_freemap_load(sc->fm, g, sc->bits, sc->pins);

	if (ret)
		return ret;
	for (bit = owfs_bitmap_next_set(sc->bits, bit, end); bit < end && !ret;
	     bit = owfs_bitmap_next_set(sc->bits, bit + 1, end))
		if (!known || !owfs_bitmap_test(known, bit))
			ret = look_at_block(sc, owfs_geo_group_start(geo, g) +
						bit);
	return ret;
}

/* The highest first; of one level in the order of keys, the newest first. */
static int cmp_stray(const void *a, const void *b)
{
	const struct stray *x = a, *y = b;
	int ret;

	if (x->level != y->level)
		return x->level < y->level ? 1 : -1;
	ret = owfs_key_cmp(&x->first, &y->first);
	if (ret)
		return ret;
	if (x->ptr.birth != y->ptr.birth)
		return x->ptr.birth < y->ptr.birth ? 1 : -1;
	return x->ptr.addr[0] < y->ptr.addr[0] ? -1 :
	       x->ptr.addr[0] > y->ptr.addr[0];
}

/* Two copies are one node. */
static void drop_twins(struct strays *st)
{
	size_t i, kept = 0;

	for (i = 0; i < st->n; i++)
		if (!kept || st->v[kept - 1].ptr.addr[0] !=
			     st->v[i].ptr.addr[0])
			st->v[kept++] = st->v[i];
	st->n = kept;
}

/* 1: marked used by the map; 0: free, or nowhere. */
static int is_used(struct scan *sc, owfs_fsblock_t blk)
{
	const struct owfs_geo *geo = &sc->ck->geo;
	uint64_t g;
	int ret = 0;

	if (!owfs_geo_range_ok(geo, blk, 1))
		return 0;
	g = owfs_geo_group_of(geo, blk);
	if (g != sc->loaded)
		ret = owfs_freemap_load(sc->fm, g, sc->bits, sc->pins);
	if (ret)
		return ret;
	sc->loaded = g;
	return owfs_bitmap_test(sc->bits,
				blk - owfs_geo_group_start(geo, g));
}

/* 1: so are all children. */
static int children_are_used(struct scan *sc, const struct stray *s)
{
	struct owfs_buf *buf;
	unsigned int i;
	int ret = stray_read(sc->st, s, &buf);

	if (ret)
		return ret == -ENOMEM ? ret : 0;
	for (i = 0, ret = 1; i < owfs_node_nitems(buf->b_data) && ret == 1; i++)
		ret = is_used(sc, owfs_branch_ptr(buf->b_data, i).addr[0]);
	owfs_buf_put(buf);
	return ret;
}

static int drop_old_branches(struct scan *sc)
{
	struct strays *st = sc->st;
	size_t i, kept = 0;
	int ret;

	sc->loaded = UINT64_MAX;
	for (i = 0; i < st->n; i++) {
		ret = st->v[i].level ? children_are_used(sc, &st->v[i]) : 1;
		if (ret < 0)
			return ret;
		if (ret)
			st->v[kept++] = st->v[i];
	}
	st->n = kept;
	return 0;
}

static int scan(struct scan *sc)
{
	const struct owfs_geo *geo = &sc->ck->geo;
	struct strays *st = sc->st;
	uint64_t g;
	int ret = 0;

	for (g = 0; g < geo->ngroups && !ret; g++) {
		ret = scan_group(sc, g);
		if (!ret)
			ret = check_progress(sc->ck, 2, g, geo->ngroups);
	}
	if (st->n)
		qsort(st->v, st->n, sizeof(*st->v), cmp_stray);
	drop_twins(st);
	return ret ? ret : drop_old_branches(sc);
}

static int scan_open(struct scan *sc)
{
	struct check *ck = sc->ck;
	size_t nwords = OWFS_BITMAP_WORDS(ck->geo.group_blocks);
	const struct owfs_freemap_param p = {
		.bd = ck->bd,
		.geo = &ck->geo,
		.seed = ck->sb.csum_seed,
		.cur = ck->sb.root[0].map,
		.msg = ck->param->msg,
	};

	sc->bits = calloc(2 * nwords, sizeof(uint64_t));
	sc->block = aligned_alloc(OWFS_IO_ALIGN, ck->sb.blocksize);
	if (!sc->bits || !sc->block)
		return -ENOMEM;
	sc->pins = sc->bits + nwords;
	return index_unread(sc) ? -ENOMEM : owfs_freemap_open(&sc->fm, &p);
}

/* --------------------------------------------------------------- by address */

static int cmp_addr(const void *a, const void *b)
{
	const struct stray *const *x = a, *const *y = b;

	return (*x)->ptr.addr[0] < (*y)->ptr.addr[0] ? -1 :
	       (*x)->ptr.addr[0] > (*y)->ptr.addr[0];
}

static int index_by_addr(struct strays *st)
{
	size_t i;

	st->by_addr = calloc(st->n + 1, sizeof(struct stray *));
	if (!st->by_addr)
		return -ENOMEM;
	for (i = 0; i < st->n; i++)
		st->by_addr[i] = &st->v[i];
	qsort(st->by_addr, st->n, sizeof(struct stray *), cmp_addr);
	return 0;
}

struct stray *stray_at(const struct strays *st, const struct owfs_ptr *ptr)
{
	struct stray want = { .ptr = *ptr }, *key = &want, **found;

	found = bsearch(&key, st->by_addr, st->n, sizeof(struct stray *),
			cmp_addr);
	return found && (*found)->ptr.csum == ptr->csum ? *found : NULL;
}

size_t strays_from(const struct strays *st, unsigned int level,
		   const struct owfs_key *key)
{
	const struct stray *s;
	size_t lo = 0, hi = st->n, mid;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		s = &st->v[mid];
		if (s->level > level || (s->level == level &&
					 owfs_key_cmp(&s->first, key) < 0))
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

int stray_read(const struct strays *st, const struct stray *s,
	       struct owfs_buf **bufp)
{
	static const struct owfs_node_expect *const any;

	return owfs_buf_read(st->ck->bc, &s->ptr, &owfs_node_buf_ops, any,
			     bufp);
}

/* ------------------------------------------------------------ all of them */

int strays_find(struct strays *st, struct check *ck)
{
	struct scan sc = { .st = st, .ck = ck };
	int ret = scan_open(&sc);

	*st = (struct strays){ .ck = ck };
	usedmap_init(&st->claims, &ck->geo);
	if (!ret)
		ret = scan(&sc);
	owfs_freemap_close(sc.fm);
	free(sc.bits);
	free(sc.block);
	free(sc.unread);
	if (!ret)
		ret = strays_drop_dead(st);
	return ret ? ret : index_by_addr(st);
}

void strays_free(struct strays *st)
{
	free(st->by_addr);
	free(st->v);
	usedmap_free(&st->claims);
}
