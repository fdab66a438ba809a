/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Birth, copies and end of nodes, the list of the young ones, and how many of
 * them a transaction can need.
 *
 * The list has room for all births of a change before the change begins, so
 * that sealing takes no memory: it hands over the list as it is.
 */
#include <stdlib.h>

#include "base/util.h"
#include "tree/btree_impl.h"

#define YOUNG_MIN	64u	/* first size of the list; fewer gone ones stay in it */

/* ------------------------------------------------------ the list of young */

static void set_dirty(struct owfs_btree *bt)
{
	__atomic_store_n(&bt->dirty, bt->nyoung - bt->nforgotten,
			 __ATOMIC_RELAXED);
}

size_t owfs_btree_dirty(const struct owfs_btree *bt)
{
	size_t n = __atomic_load_n(&bt->dirty, __ATOMIC_RELAXED);

	/* the root may have become one of before, and nothing else be left */
	return n ? n : __atomic_load_n(&bt->root_changed, __ATOMIC_RELAXED);
}

size_t owfs_btree_drop_forgotten(struct owfs_buf **bufs, size_t n)
{
	size_t i, kept = 0;

	for (i = 0; i < n; i++) {
		if (bufs[i]->b_forgotten)
			owfs_buf_put(bufs[i]);
		else
			bufs[kept++] = bufs[i];
	}
	return kept;
}

static int grow(struct owfs_buf ***list, size_t *capp, size_t need)
{
	size_t cap = *capp ? *capp : YOUNG_MIN;
	struct owfs_buf **bigger;

	if (need <= *capp)
		return 0;
	while (cap < need)
		cap *= 2;
	bigger = realloc(*list, cap * sizeof(struct owfs_buf *));
	if (!bigger)
		return -ENOMEM;
	*list = bigger;
	*capp = cap;
	return 0;
}

/* Caller holds young_lock. */
static int grow_young(struct owfs_btree *bt, size_t need)
{
	if (bt->nforgotten > YOUNG_MIN && bt->nforgotten > bt->nyoung / 2) {
		bt->nyoung = owfs_btree_drop_forgotten(bt->young, bt->nyoung);
		bt->nforgotten = 0;
	}
	return grow(&bt->young, &bt->young_cap, bt->nyoung + need);
}

int owfs_btree_promise(struct owfs_btree *bt, size_t n)
{
	size_t need;
	int ret;

	pthread_mutex_lock(&bt->young_lock);
	need = bt->promised + n;
	ret = grow_young(bt, need);
	if (!ret)
		ret = grow(&bt->spare, &bt->spare_cap, need);
	if (!ret)
		bt->promised = need;
	pthread_mutex_unlock(&bt->young_lock);
	return ret;
}

void owfs_btree_unpromise(struct owfs_btree *bt, size_t n)
{
	pthread_mutex_lock(&bt->young_lock);
	bt->promised -= n;
	pthread_mutex_unlock(&bt->young_lock);
}

/* Caller holds young_lock. */
static bool is_promised(const struct owfs_btree *bt)
{
	return bt->promised && bt->nyoung + bt->promised <= bt->young_cap;
}

int owfs_btree_young_reserve(struct owfs_btree *bt)
{
	int ret;

	pthread_mutex_lock(&bt->young_lock);
	ret = is_promised(bt) ? 0 :
		grow_young(bt, bt->promised + bt->young_reserved +
			       OWFS_BTREE_BIRTHS);
	if (!ret)
		bt->young_reserved += OWFS_BTREE_BIRTHS;
	pthread_mutex_unlock(&bt->young_lock);
	return ret;
}

void owfs_btree_young_unreserve(struct owfs_btree *bt)
{
	pthread_mutex_lock(&bt->young_lock);
	bt->young_reserved -= OWFS_BTREE_BIRTHS;
	pthread_mutex_unlock(&bt->young_lock);
}

/* ---------------------------------------------------------- birth and end */

/* @ret is a buffer at @addr or why there is none; then the block goes back. */
static int add_young(struct owfs_btree *bt, const owfs_fsblock_t addr[2],
		     struct owfs_buf *buf)
{
	struct owfs_ptr ptr = {
		.addr = { addr[0], addr[1] },
		.birth = bt->open_gen,
	};

	if (IS_ERR(buf))
		bt->ops->free_block(bt->ctx, &ptr, true);
	pthread_mutex_lock(&bt->young_lock);
	bt->promised -= bt->promised > 0;
	if (!IS_ERR(buf)) {
		bt->young[bt->nyoung++] = buf;
		set_dirty(bt);
	}
	pthread_mutex_unlock(&bt->young_lock);
	return IS_ERR(buf) ? (int)PTR_ERR(buf) : 0;
}

int owfs_btree_new_node(struct owfs_btree *bt, unsigned int level,
			struct owfs_buf **bp)
{
	owfs_fsblock_t addr[2] = { OWFS_NOBLOCK, OWFS_NOBLOCK };
	int ret = bt->ops->alloc_block(bt->ctx, addr);

	if (ret)
		return ret;
	*bp = owfs_buf_new(bt->bc, addr, bt->open_gen, &owfs_node_buf_ops,
			   bt->owner, level);
	if (!IS_ERR(*bp) && level == 0)
		owfs_leaf_init((*bp)->b_data, bt->size);
	return add_young(bt, addr, *bp);
}

int owfs_btree_clone_node(struct owfs_btree *bt, struct owfs_buf *old,
			  struct owfs_buf **bp)
{
	owfs_fsblock_t addr[2] = { OWFS_NOBLOCK, OWFS_NOBLOCK };
	int ret = bt->ops->alloc_block(bt->ctx, addr);

	if (ret)
		return ret;
	*bp = owfs_buf_clone(old, addr, bt->open_gen);
	if (!IS_ERR(*bp)) {
		owfs_node_tidy((*bp)->b_data, bt->size);
		owfs_btree_take_csums(bt, (*bp)->b_data, old);
	}
	return add_young(bt, addr, *bp);
}

int owfs_btree_free_node(struct owfs_btree *bt, const struct owfs_buf *buf)
{
	return bt->ops->free_block(bt->ctx, &buf->b_ptr,
				   owfs_btree_is_open(bt, buf));
}

void owfs_btree_forget_node(struct owfs_btree *bt, struct owfs_buf *buf)
{
	if (!owfs_btree_is_open(bt, buf))
		return;
	pthread_mutex_lock(&bt->young_lock);
	owfs_buf_forget(buf);
	bt->nforgotten++;
	set_dirty(bt);
	pthread_mutex_unlock(&bt->young_lock);
}

/*
 * If @from is final, its checksums are all there.  If it is the sealed
 * generation's and finish has not come to it yet, then (as its lock is held)
 * finish cannot end before we are done: children of the generation finished
 * last still are in the cache, and theirs are the checksums that are known by
 * now but may not be in @from (B1).
 */
void owfs_btree_take_csums(struct owfs_btree *bt, void *node,
			   const struct owfs_buf *from)
{
	const owfs_gen_t final = owfs_btree_final_gen(bt);
	unsigned int n = owfs_node_nitems(node), i;

	if (owfs_node_level(node) == 0 || from->b_ptr.birth <= final ||
	    owfs_btree_is_open(bt, from))
		return;
	for (i = 0; i < n; i++) {
		struct owfs_ptr ptr = owfs_branch_ptr(node, i);
		struct owfs_buf *child;

		if (ptr.birth != final)
			continue;
		child = owfs_buf_peek(bt->bc, &ptr);
		if (!child)
			continue;	/* from before this mount: known anyway */
		owfs_branch_set_csum(node, i, child->b_ptr.csum);
		owfs_buf_put(child);
	}
}

void owfs_btree_set_root(struct owfs_btree *bt, struct owfs_buf *buf,
			 unsigned int level)
{
	if (bt->root_buf)
		owfs_buf_put(bt->root_buf);
	owfs_buf_get(buf);
	bt->root_buf = buf;
	bt->root = (struct owfs_ptr){
		.addr = { buf->b_ptr.addr[0], buf->b_ptr.addr[1] },
		.birth = buf->b_ptr.birth,
	};
	__atomic_store_n(&bt->level, level, __ATOMIC_RELAXED);
	__atomic_store_n(&bt->root_changed, true, __ATOMIC_RELAXED);
}

/* ------------------------------------------------------------- worst case */

/*
 * The height is counted with one level more, because the tree may grow before,
 * or by, the change: then its root is cut, and a new one made.  The root is
 * copied once, whoever changes what below it.
 *
 * A change of an item copies at most its path and cuts at most one node a
 * level.  Neighbours may each have a path of their own below the root, since
 * branches can have been left with one child each; but a branch that was cut
 * has an eighth of its slots free, which is ten or more, so cuts thin out
 * upwards: a run can meet two full branches of a level side by side, and
 * another one when ten more have come.
 */
#define ROOT_NODES	3u

static unsigned int cuts_above(unsigned int cuts)
{
	return (unsigned int)min_u64(cuts, 2 + cuts / 8);
}

/* Cuts of all levels below a root that grew, of which @cuts are leaves'. */
static unsigned int cuts_all(unsigned int height, unsigned int cuts)
{
	unsigned int sum = 0, level;

	for (level = 0; level + 1 < height; level++) {
		sum += cuts;
		cuts = cuts_above(cuts);
	}
	return sum;
}

unsigned int owfs_btree_worst(const struct owfs_btree *bt,
			      unsigned int nplaces, unsigned int run)
{
	const unsigned int height = owfs_btree_height(bt) + 1;

	return nplaces * (run * (height - 1) + cuts_all(height, run)) +
	       ROOT_NODES;
}

/*
 * Inserted side by side, items share their leaves.  A leaf that was cut in the
 * middle, or merged, has at least an eighth of its room free; one that was cut
 * at its end, nearly all, though both its neighbours may be full.  They come to
 * lie in the leaves of those that are changed, or in one on either side.
 */
unsigned int owfs_btree_worst_run(const struct owfs_btree *bt,
				  unsigned int changed, unsigned int inserted,
				  size_t len)
{
	const unsigned int height = owfs_btree_height(bt) + 1;
	size_t fit = owfs_leaf_capacity(bt->size) / 8 /
		     owfs_leaf_item_size(len);
	unsigned int cuts = inserted;

	if (fit > 1)
		cuts = (unsigned int)min_u64(cuts, 4 + inserted / fit);
	if (inserted)
		changed += 2;
	return changed * (height - 1) + cuts_all(height, cuts) + ROOT_NODES;
}
