/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The map is a treap of pieces that never overlap, keyed by their first block:
 * random stores make very many of them.  Priorities are a hash of the key, so
 * its shape is the same in every run.
 */
#include <assert.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/util.h"
#include "file/wmap.h"

/* One node of the tree grows by at most this share of a data block. */
#define GROWTH_BLOCKS	16u

/* Pieces kept at hand with all they need, so that an ioend can cut without memory. */
#define SPARES		4u

struct piece {
	struct piece *left, *right;
	uint64_t prio;
	owfs_fileoff_t off;
	uint64_t len;
	struct owfs_wstate st;
	struct owfs_staged *settled;	/* what an ioend will hand out; only
					   needed while placed */
};

struct owfs_wmap {
	struct piece *root;
	uint64_t reserved;		/* blocks in that state */
	uint64_t growth;		/* blocks set aside for the tree */
	owfs_fileoff_t fresh, fresh_end;	/* may yet be cancelled */
	struct piece *spare;		/* by ->right */
	unsigned int spares;
};

/* ---------------------------------------------------------------- pieces */

static owfs_fileoff_t piece_end(const struct piece *p)
{
	return p->off + p->len;
}

static uint64_t prio_of(owfs_fileoff_t off)
{
	uint64_t x = off + 0x9e3779b97f4a7c15ull;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

static void piece_free(struct piece *p)
{
	free(p->settled);
	free(p);
}

static void spare_put(struct owfs_wmap *wm, struct piece *p)
{
	if (wm->spares >= SPARES || !p->settled) {
		piece_free(p);
		return;
	}
	p->right = wm->spare;
	wm->spare = p;
	wm->spares++;
}

static struct piece *spare_get(struct owfs_wmap *wm)
{
	struct piece *p = wm->spare;

	if (p) {
		wm->spare = p->right;
		wm->spares--;
	}
	return p;
}

/* A piece of @off; to be placed if @placed, which may come from the spares. */
static struct piece *piece_get(struct owfs_wmap *wm, owfs_fileoff_t off,
			       bool placed)
{
	struct piece *p = calloc(1, sizeof(*p));

	if (p && placed)
		p->settled = malloc(sizeof(*p->settled));
	if (!p || (placed && !p->settled)) {
		free(p);
		p = spare_get(wm);
	}
	if (!p)
		return NULL;
	p->left = p->right = NULL;
	p->off = off;
	p->prio = prio_of(off);
	return p;
}

static int spares_fill(struct owfs_wmap *wm)
{
	struct piece *p;

	while (wm->spares < SPARES) {
		p = calloc(1, sizeof(*p));
		if (p)
			p->settled = malloc(sizeof(*p->settled));
		if (!p || !p->settled) {
			free(p);
			return -ENOMEM;
		}
		spare_put(wm, p);
	}
	return 0;
}

/* -------------------------------------------------------------- the treap */

/* Pieces that begin before @key, and the others. */
static void split(struct piece *t, owfs_fileoff_t key, struct piece **l,
		  struct piece **r)
{
	while (t) {
		if (t->off < key) {
			*l = t;
			l = &t->right;
			t = t->right;
		} else {
			*r = t;
			r = &t->left;
			t = t->left;
		}
	}
	*l = NULL;
	*r = NULL;
}

/* All of @a is before all of @b. */
static struct piece *join(struct piece *a, struct piece *b)
{
	struct piece *root = NULL, **at = &root;

	while (a && b) {
		if (a->prio > b->prio) {
			*at = a;
			at = &a->right;
			a = a->right;
		} else {
			*at = b;
			at = &b->left;
			b = b->left;
		}
	}
	*at = a ? a : b;
	return root;
}

/* The piece that has @off, or NULL; *@next: the first that begins behind it. */
static struct piece *find(const struct owfs_wmap *wm, owfs_fileoff_t off,
			  struct piece **next)
{
	struct piece *at = wm->root, *best = NULL;

	*next = NULL;
	while (at) {
		if (at->off <= off) {
			best = at;
			at = at->right;
		} else {
			*next = at;
			at = at->left;
		}
	}
	return best && piece_end(best) > off ? best : NULL;
}

static void insert(struct owfs_wmap *wm, struct piece *p)
{
	struct piece *l, *r;

	split(wm->root, p->off, &l, &r);
	wm->root = join(join(l, p), r);
}

/* No piece shall lie across @at. */
static int cut(struct owfs_wmap *wm, owfs_fileoff_t at)
{
	struct piece *next, *p = find(wm, at, &next), *right;

	if (!p || p->off == at)
		return 0;
	right = piece_get(wm, at, p->st.placed);
	if (!right)
		return -ENOMEM;
	right->len = piece_end(p) - at;
	right->st = p->st;
	if (p->st.placed)
		right->st.fsblock += at - p->off;
	p->len = at - p->off;
	insert(wm, right);
	return 0;
}

static int cut_both(struct owfs_wmap *wm, owfs_fileoff_t first,
		    owfs_fileoff_t end)
{
	int ret = cut(wm, first);

	return ret ? ret : cut(wm, end);
}

/* The first piece that begins in [first, end), taken out; NULL: none. */
static struct piece *take_first(struct owfs_wmap *wm, owfs_fileoff_t first,
				owfs_fileoff_t end)
{
	struct piece *l, *m, *r, *p;

	split(wm->root, first, &l, &r);
	for (p = r; p && p->left; p = p->left)
		;
	if (!p || p->off >= end) {
		wm->root = join(l, r);
		return NULL;
	}
	split(r, p->off + 1, &m, &r);
	assert(m == p && !m->left && !m->right);
	wm->root = join(l, r);
	return p;
}

/* ------------------------------------------------------- what is set aside */

static uint64_t growth_for(const struct owfs_fs *fs, uint64_t reserved)
{
	return reserved ? fs->fs_super.meta_copies *
			  (1 + reserved / GROWTH_BLOCKS) : 0;
}

uint64_t owfs_wmap_price(const struct owfs_fs *fs, uint64_t len, bool pay)
{
	/* growth_for(n + len) - growth_for(n) is never more */
	return (pay ? len : 0) + growth_for(fs, len + GROWTH_BLOCKS - 1);
}

/* @wm->reserved changes by @n; what is not needed any more goes back. */
static void count_reserved(struct owfs_fs *fs, struct owfs_wmap *wm, int64_t n)
{
	uint64_t need;

	wm->reserved += (uint64_t)n;
	need = growth_for(fs, wm->reserved);
	if (wm->growth > need) {
		owfs_alloc_unreserve(fs->fs_al, wm->growth - need);
		wm->growth = need;
	}
}

/* @p is reserved no more.  @used: its data blocks were taken. */
static void unreserve(struct owfs_fs *fs, struct owfs_wmap *wm, struct piece *p,
		      bool used)
{
	if (!p->st.reserved)
		return;
	if (p->st.paid && !used)
		owfs_alloc_unreserve(fs->fs_al, p->len);
	p->st.reserved = p->st.paid = false;
	count_reserved(fs, wm, -(int64_t)p->len);
}

static struct owfs_wmap *wmap_get(struct owfs_inode *inode)
{
	if (!inode->i_wmap)
		inode->i_wmap = calloc(1, sizeof(*inode->i_wmap));
	return inode->i_wmap;
}

static void wmap_trim(struct owfs_inode *inode)
{
	struct owfs_wmap *wm = inode->i_wmap;
	struct piece *p;

	if (!wm || wm->root)
		return;
	assert(!wm->reserved && !wm->growth);
	while ((p = spare_get(wm)))
		piece_free(p);
	free(wm);
	inode->i_wmap = NULL;
}

/* ---------------------------------------------------------------- looking */

void owfs_wmap_find(struct owfs_inode *inode, owfs_fileoff_t off,
		    struct owfs_wstate *st, owfs_fileoff_t *until)
{
	struct piece *p = NULL, *next = NULL;

	*st = (struct owfs_wstate){ .reserved = false };
	pthread_mutex_lock(&inode->i_map_lock);
	if (inode->i_wmap)
		p = find(inode->i_wmap, off, &next);
	*until = next ? next->off : UINT64_MAX;
	if (p) {
		*st = p->st;
		st->fsblock += off - p->off;
		*until = piece_end(p);
	}
	pthread_mutex_unlock(&inode->i_map_lock);
}

owfs_fileoff_t owfs_wmap_before(struct owfs_inode *inode, owfs_fileoff_t off)
{
	struct piece *p = NULL, *next;
	owfs_fileoff_t ret = off;

	pthread_mutex_lock(&inode->i_map_lock);
	if (inode->i_wmap && off)
		p = find(inode->i_wmap, off - 1, &next);
	if (p && p->st.reserved && !p->st.placed)
		ret = p->off;
	pthread_mutex_unlock(&inode->i_map_lock);
	return ret;
}

bool owfs_wmap_busy(struct owfs_inode *inode, owfs_fileoff_t first,
		    owfs_fileoff_t end)
{
	struct owfs_wstate st;
	owfs_fileoff_t until;

	owfs_wmap_find(inode, first, &st, &until);
	return st.reserved || st.placed || until < end;
}

/* The first placed piece with something of [first, end); NULL: there is none. */
static struct piece *find_placed(const struct owfs_wmap *wm,
				 owfs_fileoff_t first, owfs_fileoff_t end)
{
	struct piece *p, *next;

	for (; wm && first < end; first = piece_end(p)) {
		p = find(wm, first, &next);
		if (!p)
			p = next;
		if (!p || p->off >= end)
			break;
		if (p->st.placed)
			return p;
	}
	return NULL;
}

bool owfs_wmap_has_placed(struct owfs_inode *inode, owfs_fileoff_t first,
			  owfs_fileoff_t end)
{
	return find_placed(inode->i_wmap, first, end);
}

/* -------------------------------------------------------------- reserving */

/* May [off, off + len) simply belong to @p, which ends or begins there? */
static bool extends(const struct piece *p, bool pay)
{
	return p && p->st.reserved && !p->st.placed && p->st.paid == pay;
}

static int reserve_new(struct owfs_wmap *wm, owfs_fileoff_t off, uint64_t len,
		       bool pay)
{
	struct piece *next, *left = off ? find(wm, off - 1, &next) : NULL, *p;

	if (extends(left, pay)) {
		left->len += len;
		return 0;
	}
	p = piece_get(wm, off, false);
	if (!p)
		return -ENOMEM;
	p->len = len;
	p->st = (struct owfs_wstate){ .reserved = true, .paid = pay };
	insert(wm, p);
	return 0;
}

/* A new store into blocks whose last contents are on their way. */
static int reserve_placed(struct owfs_wmap *wm, owfs_fileoff_t off,
			  uint64_t len, bool pay)
{
	struct piece *next, *p;
	int ret = cut_both(wm, off, off + len);

	if (ret)
		return ret;
	p = find(wm, off, &next);
	p->st.reserved = true;
	p->st.paid = pay;
	return 0;
}

static int reserve_locked(struct owfs_inode *inode, struct owfs_wmap *wm,
			  owfs_fileoff_t off, uint64_t len, bool pay)
{
	struct piece *next, *p = find(wm, off, &next);
	owfs_fileoff_t until = p ? piece_end(p) : next ? next->off : UINT64_MAX;
	struct owfs_fs *fs = inode->i_fs;
	int ret;

	if (until < off + len || (p && p->st.reserved))
		return 1;
	if (p)
		ret = reserve_placed(wm, off, len, pay);
	else
		ret = reserve_new(wm, off, len, pay);
	if (ret)
		return ret;
	wm->growth += owfs_wmap_price(fs, len, false);
	count_reserved(fs, wm, (int64_t)len);
	return 0;
}

int owfs_wmap_reserve(struct owfs_inode *inode, owfs_fileoff_t off,
		      uint64_t len, bool pay, bool fresh)
{
	struct owfs_wmap *wm;
	int ret = -ENOMEM;

	pthread_mutex_lock(&inode->i_map_lock);
	wm = wmap_get(inode);
	if (wm)
		ret = reserve_locked(inode, wm, off, len, pay);
	if (!ret && fresh) {
		wm->fresh = off;
		wm->fresh_end = off + len;
	}
	wmap_trim(inode);
	pthread_mutex_unlock(&inode->i_map_lock);
	return ret;
}

static void fresh_forget(struct owfs_wmap *wm, owfs_fileoff_t first,
			 owfs_fileoff_t end)
{
	if (wm->fresh < end && first < wm->fresh_end)
		wm->fresh = wm->fresh_end = 0;
}

void owfs_wmap_confirm(struct owfs_inode *inode, owfs_fileoff_t first,
		       owfs_fileoff_t end)
{
	pthread_mutex_lock(&inode->i_map_lock);
	if (inode->i_wmap)
		fresh_forget(inode->i_wmap, first, end);
	pthread_mutex_unlock(&inode->i_map_lock);
}

/* Pieces of [first, end) lose what was reserved for them. */
static void clean_locked(struct owfs_inode *inode, owfs_fileoff_t first,
			 owfs_fileoff_t end)
{
	struct owfs_wmap *wm = inode->i_wmap;
	struct piece *p;

	if (!wm || first >= end || cut_both(wm, first, end))
		return;		/* it stays reserved, which harms nobody */
	while ((p = take_first(wm, first, end))) {
		first = piece_end(p);
		unreserve(inode->i_fs, wm, p, false);
		if (p->st.placed)
			insert(wm, p);
		else
			spare_put(wm, p);
	}
	wmap_trim(inode);
}

void owfs_wmap_clean(struct owfs_inode *inode, owfs_fileoff_t first,
		     owfs_fileoff_t end)
{
	pthread_mutex_lock(&inode->i_map_lock);
	clean_locked(inode, first, end);
	pthread_mutex_unlock(&inode->i_map_lock);
}

void owfs_wmap_cancel(struct owfs_inode *inode, owfs_fileoff_t first,
		      owfs_fileoff_t end)
{
	struct owfs_wmap *wm;

	pthread_mutex_lock(&inode->i_map_lock);
	wm = inode->i_wmap;
	if (wm && wm->fresh < wm->fresh_end) {
		first = max_u64(first, wm->fresh);
		end = min_u64(end, wm->fresh_end);
		wm->fresh = wm->fresh_end = 0;
		clean_locked(inode, first, end);
	}
	pthread_mutex_unlock(&inode->i_map_lock);
}

/* ---------------------------------------------------------------- placing */

/* The piece [off, off + len), which has no state yet or one of its own. */
static struct piece *place_piece(struct owfs_wmap *wm, owfs_fileoff_t off,
				 uint64_t len, bool is_new)
{
	struct piece *next, *p;

	if (is_new) {
		p = piece_get(wm, off, true);
		if (p) {
			p->len = len;
			p->st = (struct owfs_wstate){ .placed = false };
			insert(wm, p);
		}
		return p;
	}
	if (cut_both(wm, off, off + len))
		return NULL;
	p = find(wm, off, &next);
	if (!p->settled)
		p->settled = malloc(sizeof(*p->settled));
	return p->settled ? p : NULL;
}

/* Is [off, off + len) all of one state, not placed, and paid for or not? */
static bool may_place(const struct owfs_wmap *wm, owfs_fileoff_t off,
		      uint64_t len, bool paid)
{
	struct piece *next, *p = find(wm, off, &next);
	owfs_fileoff_t until = p ? piece_end(p) : next ? next->off : UINT64_MAX;

	return until >= off + len && !(p && p->st.placed) &&
	       (p && p->st.paid) == paid;
}

static bool is_written_directly(struct owfs_inode *inode, owfs_fileoff_t off,
				uint64_t len)
{
	owfs_fileoff_t until;

	return owfs_staging_covers_locked(inode, off, &until) ||
	       until < off + len;
}

static int place_locked(struct owfs_inode *inode, struct owfs_wmap *wm,
			owfs_fileoff_t off, uint64_t len, bool paid,
			owfs_fsblock_t fsblock, bool in_place)
{
	struct piece *next, *p = find(wm, off, &next);
	int ret = spares_fill(wm);

	if (ret)
		return ret;
	if (!may_place(wm, off, len, paid) ||
	    (in_place && is_written_directly(inode, off, len)))
		return 1;
	p = place_piece(wm, off, len, !p);
	if (!p)
		return -ENOMEM;
	unreserve(inode->i_fs, wm, p, !in_place);
	p->st.placed = true;
	p->st.in_place = in_place;
	p->st.fsblock = fsblock;
	fresh_forget(wm, off, off + len);
	return 0;
}

int owfs_wmap_place(struct owfs_inode *inode, owfs_fileoff_t off, uint64_t len,
		    bool paid, owfs_fsblock_t fsblock, bool in_place)
{
	struct owfs_wmap *wm;
	int ret = -ENOMEM;

	pthread_mutex_lock(&inode->i_map_lock);
	wm = wmap_get(inode);
	if (wm)
		ret = place_locked(inode, wm, off, len, paid, fsblock,
				   in_place);
	wmap_trim(inode);
	pthread_mutex_unlock(&inode->i_map_lock);
	return ret;
}

static int place_paid_locked(struct owfs_inode *inode, struct owfs_wmap *wm,
			     owfs_fileoff_t off, uint64_t *len,
			     owfs_fsblock_t *fsblock)
{
	struct owfs_alloc *al = inode->i_fs->fs_al;
	int ret;

	if (!may_place(wm, off, *len, true))
		return 1;
	ret = owfs_alloc_data(al, *fsblock, *len, fsblock, len);
	if (ret)
		return ret;
	ret = place_locked(inode, wm, off, *len, true, *fsblock, false);
	if (ret)
		owfs_alloc_unstage(al, *fsblock, *len, true);
	return ret;
}

int owfs_wmap_place_paid(struct owfs_inode *inode, owfs_fileoff_t off,
			 uint64_t *len, owfs_fsblock_t *fsblock)
{
	int ret = 1;

	pthread_mutex_lock(&inode->i_map_lock);
	if (inode->i_wmap)
		ret = place_paid_locked(inode, inode->i_wmap, off, len, fsblock);
	pthread_mutex_unlock(&inode->i_map_lock);
	return ret;
}

void owfs_wmap_cached(struct owfs_inode *inode, owfs_fileoff_t off)
{
	struct owfs_wmap *wm;
	struct piece *p, *next;

	pthread_mutex_lock(&inode->i_map_lock);
	wm = inode->i_wmap;
	p = wm ? find(wm, off, &next) : NULL;
	if (p && p->st.placed)
		p->st.cached = true;
	pthread_mutex_unlock(&inode->i_map_lock);
}

/* ------------------------------------------------------------------ ioend */

unsigned int owfs_wmap_peek(struct owfs_inode *inode, owfs_fileoff_t first,
			    owfs_fileoff_t end, unsigned int *runs)
{
	owfs_fileoff_t last = UINT64_MAX;
	struct piece *p;
	unsigned int n = 0;

	*runs = 0;
	pthread_mutex_lock(&inode->i_map_lock);
	for (; (p = find_placed(inode->i_wmap, first, end)); first = last) {
		n++;
		*runs += p->off != last;
		last = piece_end(p);
	}
	pthread_mutex_unlock(&inode->i_map_lock);
	return n;
}

int owfs_wmap_visit(struct owfs_inode *inode, owfs_fileoff_t first,
		    owfs_fileoff_t end, owfs_settled_fn *fn, void *ctx)
{
	struct owfs_staged_run run = { .older = NULL };
	struct piece *p;
	owfs_fileoff_t off;
	int ret = 0;

	pthread_mutex_lock(&inode->i_map_lock);
	while (!ret && (p = find_placed(inode->i_wmap, first, end))) {
		off = max_u64(p->off, first);
		first = min_u64(piece_end(p), end);
		run.fsblock = p->st.fsblock + (off - p->off);
		run.in_place = p->st.in_place;
		ret = fn(ctx, off, first - off, &run);
	}
	pthread_mutex_unlock(&inode->i_map_lock);
	return ret;
}

/* What an ioend makes of @p, which is out of the map or stays as reserved. */
static struct owfs_staged *settle(struct owfs_inode *inode, struct piece *p,
				  uint64_t size, int error)
{
	const uint64_t bytes = piece_end(p) * inode->i_fs->fs_geo.blocksize;
	struct owfs_staged *st = p->settled;

	p->settled = NULL;
	*st = (struct owfs_staged){
		.off = p->off, .len = p->len,
		.run = { .fsblock = p->st.fsblock, .in_place = p->st.in_place },
		.failed = error != 0, .done = error == 0,
		.size = error ? 0 : min_u64(size, bytes),
	};
	p->st.placed = p->st.in_place = p->st.cached = false;
	p->st.fsblock = 0;
	return st;
}

int owfs_wmap_end(struct owfs_inode *inode, owfs_fileoff_t first,
		  owfs_fileoff_t end, uint64_t size, int error,
		  struct owfs_staged **settled)
{
	struct owfs_wmap *wm;
	struct piece *p;
	int ret = 0;

	*settled = NULL;
	pthread_mutex_lock(&inode->i_map_lock);
	wm = inode->i_wmap;
	if (wm)
		ret = cut_both(wm, first, end);
	while (wm && !ret && (p = take_first(wm, first, end))) {
		first = piece_end(p);
		if (p->st.placed && !(error && p->st.cached)) {
			*settled = settle(inode, p, size, error);
			settled = &(*settled)->next;
		}
		if (p->st.reserved || p->st.placed)
			insert(wm, p);
		else
			spare_put(wm, p);
	}
	wmap_trim(inode);
	pthread_mutex_unlock(&inode->i_map_lock);
	return ret;
}

/* --------------------------------------------------------------- forgetting */

void owfs_wmap_yield(struct owfs_inode *inode, owfs_fileoff_t first,
		     owfs_fileoff_t end)
{
	struct owfs_wmap *wm;
	struct piece *p;

	pthread_mutex_lock(&inode->i_map_lock);
	wm = inode->i_wmap;
	while (wm && !cut_both(wm, first, end) &&
	       (p = take_first(wm, first, end))) {
		first = piece_end(p);
		if (p->st.in_place)
			p->st.placed = p->st.in_place = p->st.cached = false;
		if (p->st.placed || p->st.reserved)
			insert(wm, p);
		else
			spare_put(wm, p);
	}
	wmap_trim(inode);
	pthread_mutex_unlock(&inode->i_map_lock);
}

void owfs_wmap_drop(struct owfs_inode *inode, owfs_fileoff_t first,
		    owfs_fileoff_t end)
{
	struct owfs_fs *fs = inode->i_fs;
	struct owfs_wmap *wm;
	struct piece *p;

	pthread_mutex_lock(&inode->i_map_lock);
	wm = inode->i_wmap;
	if (wm && !cut_both(wm, first, end)) {
		fresh_forget(wm, first, end);
		while ((p = take_first(wm, first, end))) {
			unreserve(fs, wm, p, false);
			if (p->st.placed && !p->st.in_place)
				owfs_alloc_unstage(fs->fs_al, p->st.fsblock,
						   p->len, false);
			spare_put(wm, p);
		}
		wmap_trim(inode);
	}
	pthread_mutex_unlock(&inode->i_map_lock);
}
