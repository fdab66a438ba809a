/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Parts of the tree that cannot be read are cut off, and nodes that were found
 * without a way to them are hung in.  Both change one branch, on the same way
 * down as every other change, that ends one level above the node.
 */
#include <assert.h>

#include "tree/btree_impl.h"

static void set_empty(struct owfs_btree *bt)
{
	if (bt->root_buf)
		owfs_buf_put(bt->root_buf);
	bt->root_buf = NULL;
	bt->root = (struct owfs_ptr){ .birth = 0 };
	__atomic_store_n(&bt->level, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&bt->root_changed, true, __ATOMIC_RELAXED);
}

bool owfs_btree_is_empty(struct owfs_btree *bt)
{
	bool empty;

	pthread_rwlock_rdlock(&bt->root_lock);
	empty = !bt->root.birth;
	pthread_rwlock_unlock(&bt->root_lock);
	return empty;
}

/* ---------------------------------------------------------------------- cut */

static int cut_root(struct owfs_btree *bt)
{
	int ret = 0;

	pthread_rwlock_wrlock(&bt->root_lock);
	/* its block is left alone: what stands there is unknown */
	if (bt->root_buf)
		ret = -EBUSY;
	else
		set_empty(bt);
	pthread_rwlock_unlock(&bt->root_lock);
	return ret;
}

/* The slot goes, and with it the branches that have no other. */
static int cut_slot(struct owfs_btree *bt, struct owfs_path *p,
		    const struct owfs_key *key)
{
	unsigned int top = p->level, l;
	int ret = 0;

	p->slot[top] = owfs_branch_find(p->node[top]->b_data, key);
	while (top < p->top && owfs_node_nitems(p->node[top]->b_data) == 1)
		top++;
	if (owfs_node_nitems(p->node[top]->b_data) == 1) {
		assert(p->root_locked);
		top++;
	}
	for (l = p->level; l < top && !ret; l++)
		ret = owfs_btree_free_node(bt, p->node[l]);
	if (ret)
		return ret;
	if (top > p->top)
		set_empty(bt);
	else
		owfs_branch_remove(p->node[top]->b_data, p->slot[top]);
	for (l = p->level; l < top; l++)
		owfs_btree_forget_node(bt, p->node[l]);
	return 0;
}

int owfs_btree_cut(struct owfs_btree *bt, const struct owfs_key *key,
		   unsigned int level)
{
	struct owfs_path p;
	int ret;

	if (level >= bt->level)
		return level == bt->level ? cut_root(bt) : -EINVAL;
	ret = owfs_btree_young_reserve(bt);
	if (ret)
		return ret;
	owfs_path_init(&p, bt, OWFS_PATH_MERGE, false);
	p.stop = level + 1;
	ret = owfs_path_down(&p, key);
	if (!ret)
		ret = cut_slot(bt, &p, key);
	owfs_path_end(&p);
	owfs_btree_young_unreserve(bt);
	return ret;
}

/* -------------------------------------------------------------------- adopt */

/* Read it: the verifiers see to it that it is what the caller took it for. */
static int read_node(struct owfs_btree *bt, const struct owfs_ptr *ptr,
		     unsigned int level, struct owfs_buf **bp)
{
	const struct owfs_node_expect expect = {
		.level = level,
		.owner = bt->owner,
		.low = OWFS_KEY_MIN,
		.last = OWFS_KEY_MAX,
	};

	return owfs_buf_read(bt->bc, ptr, &owfs_node_buf_ops, &expect, bp);
}

/* An empty tree gets it as its root. */
static int adopt_root(struct owfs_btree *bt, const struct owfs_ptr *ptr,
		      unsigned int level)
{
	struct owfs_buf *buf;
	int ret = read_node(bt, ptr, level, &buf);

	if (ret)
		return ret;
	pthread_rwlock_wrlock(&bt->root_lock);
	owfs_btree_set_root(bt, buf, level);
	bt->root.csum = ptr->csum;
	pthread_rwlock_unlock(&bt->root_lock);
	owfs_buf_put(buf);
	return 0;
}

/*
 * Branches with one child, until the tree is higher than @level.  Their key is
 * the child's first: what comes next may come before it.
 */
static int grow_above(struct owfs_btree *bt, unsigned int level)
{
	struct owfs_key first;
	struct owfs_path p;
	int ret = 0;

	while (!ret && bt->level <= level) {
		owfs_path_init(&p, bt, OWFS_PATH_SPLIT, true);
		ret = owfs_path_raise(&p);
		if (!ret) {
			first = owfs_node_first(p.node[p.top - 1]->b_data);
			owfs_branch_set_key(p.node[p.top]->b_data, 0, &first);
		}
		owfs_path_end(&p);
	}
	return ret;
}

static int adopt_child(struct owfs_btree *bt, const struct owfs_ptr *ptr,
		       unsigned int level, const struct owfs_key *first)
{
	struct owfs_key key;
	struct owfs_path p;
	unsigned int pos;
	void *node;
	int ret;

	owfs_path_init(&p, bt, OWFS_PATH_SPLIT, true);
	p.stop = level + 1;
	ret = owfs_path_down(&p, first);
	if (!ret) {
		node = p.node[p.level]->b_data;
		pos = owfs_branch_find(node, first);
		key = owfs_branch_key(node, pos);
		if (owfs_key_cmp(&key, first) < 0)
			pos++;
		else if (owfs_key_cmp(&key, first) == 0)
			ret = -EEXIST;
		if (!ret)
			owfs_branch_insert(node, pos, first, ptr);
	}
	owfs_path_end(&p);
	return ret;
}

int owfs_btree_adopt(struct owfs_btree *bt, const struct owfs_ptr *ptr,
		     unsigned int level, const struct owfs_key *first)
{
	int ret;

	if (!bt->root.birth)
		return adopt_root(bt, ptr, level);
	ret = owfs_btree_young_reserve(bt);
	if (ret)
		return ret;
	ret = grow_above(bt, level);
	if (!ret)
		ret = adopt_child(bt, ptr, level, first);
	owfs_btree_young_unreserve(bt);
	return ret;
}
