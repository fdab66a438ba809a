/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The way down for a change that is more than an open leaf with room.
 *
 * Write locks, child before the parent is let go.  Whatever a node needs so
 * that the change below it can be made is done while it and its parent are
 * held: an old node is copied; in mode SPLIT a full branch is cut in two; in
 * mode MERGE a thin branch takes in a neighbour that is in memory and fits.
 * None of that changes what the tree says, so every step is complete in itself
 * and an error at a later one leaves nothing to undo.
 */
#include "tree/btree_impl.h"

void owfs_path_init(struct owfs_path *p, struct owfs_btree *bt,
		    enum owfs_path_mode mode, bool inserting)
{
	p->bt = bt;
	p->mode = mode;
	p->inserting = inserting;
	p->stop = 0;
	p->root_locked = false;
	p->level = 1;
	p->top = 0;
	owfs_btree_fetch_init(&p->fetch);
}

void owfs_path_unlock(struct owfs_buf *buf)
{
	pthread_rwlock_unlock(&buf->b_lock);
	owfs_buf_put(buf);
}

static void hold(struct owfs_buf *buf)
{
	owfs_buf_get(buf);
	pthread_rwlock_wrlock(&buf->b_lock);
}

/* The same for one that nothing points to yet: no waiting, so in any order. */
static void hold_new(struct owfs_buf *buf)
{
	owfs_buf_get(buf);
	pthread_rwlock_trywrlock(&buf->b_lock);
}

static void unlock_root(struct owfs_path *p)
{
	if (p->root_locked)
		pthread_rwlock_unlock(&p->bt->root_lock);
	p->root_locked = false;
}

static void release_all(struct owfs_path *p)
{
	for (; p->level <= p->top; p->level++)
		owfs_path_unlock(p->node[p->level]);
	p->level = 1;
	p->top = 0;
	unlock_root(p);
}

/* Let go of everything above the lowest node. */
static void release_above(struct owfs_path *p)
{
	while (p->top > p->level)
		owfs_path_unlock(p->node[p->top--]);
	unlock_root(p);
}

void owfs_path_end(struct owfs_path *p)
{
	release_all(p);
	owfs_btree_fetch_done(p->bt, &p->fetch);
}

static int path_missing(struct owfs_path *p, const struct owfs_ptr *ptr,
			const struct owfs_node_expect *expect)
{
	p->fetch.ptr = *ptr;
	p->fetch.expect = *expect;
	return OWFS_BTREE_MISS;
}

static void *lowest(const struct owfs_path *p)
{
	return p->node[p->level]->b_data;
}

static bool is_full(const struct owfs_path *p)
{
	return owfs_node_nitems(lowest(p)) >= owfs_branch_max(p->bt->size);
}

/* ----------------------------------------------------------- copy on write */

/* The lowest node's parent, or the tree itself, shall point to @buf. */
static void link_node(struct owfs_path *p, struct owfs_buf *buf)
{
	unsigned int l = p->level;

	if (l < p->top)
		owfs_branch_set_ptr(p->node[l + 1]->b_data, p->slot[l + 1],
				    &buf->b_ptr);
	else
		owfs_btree_set_root(p->bt, buf, l);
}

/* Make the lowest node an open one.  Its parent, or root_lock, is held. */
static int path_cow(struct owfs_path *p)
{
	struct owfs_btree *bt = p->bt;
	struct owfs_buf *old = p->node[p->level], *copy;
	int ret;

	if (owfs_btree_is_open(bt, old))
		return 0;
	ret = owfs_btree_clone_node(bt, old, &copy);
	if (ret)
		return ret;
	ret = owfs_btree_free_node(bt, old);
	if (ret) {
		owfs_btree_free_node(bt, copy);
		owfs_btree_forget_node(bt, copy);
		return ret;
	}
	hold_new(copy);
	link_node(p, copy);
	p->node[p->level] = copy;
	owfs_path_unlock(old);
	return 0;
}

/* ------------------------------------------------------------ grow and split */

int owfs_path_grow(struct owfs_path *p)
{
	struct owfs_btree *bt = p->bt;
	const struct owfs_key low = OWFS_KEY_MIN;
	unsigned int top = p->top + 1;
	struct owfs_buf *root;
	int ret;

	if (top > OWFS_MAX_LEVEL)
		return -ENOSPC;
	ret = owfs_btree_new_node(bt, top, &root);
	if (ret)
		return ret;
	hold_new(root);
	owfs_branch_insert(root->b_data, 0, &low, &p->node[p->top]->b_ptr);
	owfs_btree_set_root(bt, root, top);
	p->node[top] = root;
	p->slot[top] = 0;
	p->low[top] = OWFS_KEY_MIN;
	p->last[top] = OWFS_KEY_MAX;
	p->top = top;
	return 0;
}

/*
 * Cut the lowest node, a full branch, in two and stay with the half that has
 * @key.  Where keys come in ascending order the left half is left nearly full,
 * but not so full that the next one would cut it again.
 */
static int path_split_branch(struct owfs_path *p, const struct owfs_key *key)
{
	const unsigned int l = p->level;
	void *left = lowest(p), *parent = p->node[l + 1]->b_data;
	unsigned int n = owfs_node_nitems(left), pos, cut;
	struct owfs_buf *right;
	struct owfs_key first;
	int ret;

	pos = owfs_branch_find(left, key);
	cut = pos == n - 1 ? n - n / 8 : n / 2;
	ret = owfs_btree_new_node(p->bt, l, &right);
	if (ret)
		return ret;
	hold_new(right);
	owfs_branch_copy(right->b_data, 0, left, cut, n - cut);
	owfs_branch_truncate(left, cut);
	first = owfs_branch_key(right->b_data, 0);
	owfs_branch_insert(parent, p->slot[l + 1] + 1, &first, &right->b_ptr);
	if (pos < cut) {
		p->last[l] = owfs_key_prev(&first);
		owfs_path_unlock(right);
	} else {
		p->low[l] = first;
		p->slot[l + 1]++;
		owfs_path_unlock(p->node[l]);
		p->node[l] = right;
	}
	return 0;
}

/* --------------------------------------------------------- merge, collapse */

int owfs_path_neighbour(struct owfs_path *p, unsigned int level, unsigned int i,
			struct owfs_buf **bp)
{
	const void *parent = p->node[level + 1]->b_data;
	struct owfs_ptr ptr = owfs_branch_ptr(parent, i);
	struct owfs_node_expect expect;
	int ret;

	*bp = owfs_buf_peek(p->bt->bc, &ptr);
	if (*bp && pthread_rwlock_trywrlock(&(*bp)->b_lock)) {
		owfs_buf_put(*bp);
		*bp = NULL;
	}
	if (!*bp)
		return 0;
	owfs_btree_expect_child(p->bt, parent, i, &p->last[level + 1], &expect);
	ret = owfs_btree_check_place(p->bt, *bp, &expect);
	if (ret)
		owfs_path_unlock(*bp);
	return ret;
}

void owfs_path_collapse(struct owfs_path *p, struct owfs_buf *child)
{
	struct owfs_buf *root = p->node[p->top];

	owfs_btree_set_root(p->bt, child, p->top - 1);
	owfs_btree_forget_node(p->bt, root);
	owfs_path_unlock(root);
	p->top--;
}

/* Take in @sib, the neighbour at slot @i, left or right of the lowest node. */
static int merge_branch(struct owfs_path *p, struct owfs_buf *sib,
			unsigned int i)
{
	const unsigned int l = p->level, s = p->slot[l + 1];
	void *node = lowest(p), *parent = p->node[l + 1]->b_data;
	unsigned int n = owfs_node_nitems(sib->b_data);
	int ret = owfs_btree_free_node(p->bt, sib);

	if (ret)
		return ret;
	if (i > s) {
		struct owfs_node_expect expect;

		owfs_btree_expect_child(p->bt, parent, i, &p->last[l + 1],
					&expect);
		p->last[l] = expect.last;
		owfs_branch_copy(node, owfs_node_nitems(node), sib->b_data, 0,
				 n);
	} else {
		p->low[l] = owfs_branch_key(parent, i);
		owfs_branch_copy(node, 0, sib->b_data, 0, n);
		owfs_branch_set_ptr(parent, i, &p->node[l]->b_ptr);
		p->slot[l + 1] = i;
	}
	owfs_branch_remove(parent, i > s ? i : s);
	owfs_btree_take_csums(p->bt, node, sib);
	owfs_btree_forget_node(p->bt, sib);
	return 0;
}

/* True if @sib went, or an error. */
static int try_merge_with(struct owfs_path *p, unsigned int i)
{
	unsigned int max = owfs_branch_max(p->bt->size);
	unsigned int n = owfs_node_nitems(lowest(p));
	struct owfs_buf *sib;
	int ret = owfs_path_neighbour(p, p->level, i, &sib);

	if (ret || !sib)
		return ret;
	if (n + owfs_node_nitems(sib->b_data) <= max - max / 8) {
		ret = merge_branch(p, sib, i);
		if (!ret)
			ret = 1;
	}
	owfs_path_unlock(sib);
	return ret;
}

/* The lowest node is a branch; its parent has at least one slot afterwards. */
static int path_merge(struct owfs_path *p)
{
	const unsigned int l = p->level, s = p->slot[l + 1];
	const void *parent = p->node[l + 1]->b_data;
	int ret = 0;

	if (owfs_node_nitems(lowest(p)) > owfs_branch_max(p->bt->size) / 3)
		return 0;
	if (s + 1 < owfs_node_nitems(parent))
		ret = try_merge_with(p, s + 1);
	if (ret == 0 && s > 0)
		ret = try_merge_with(p, s - 1);
	if (ret <= 0)
		return ret;
	if (p->root_locked && l + 1 == p->top && owfs_node_nitems(parent) == 1) {
		ret = owfs_btree_free_node(p->bt, p->node[p->top]);
		if (ret)
			return ret;
		owfs_path_collapse(p, p->node[l]);
	}
	return 0;
}

/* ---------------------------------------------------------------- the way */

/* The child of the lowest node for @key, locked, becomes the lowest. */
static int path_to_child(struct owfs_path *p, const struct owfs_key *key)
{
	const unsigned int l = p->level;
	unsigned int i = owfs_branch_find(lowest(p), key);
	struct owfs_ptr ptr = owfs_branch_ptr(lowest(p), i);
	struct owfs_node_expect expect;
	struct owfs_buf *child = owfs_buf_peek(p->bt->bc, &ptr);

	owfs_btree_expect_child(p->bt, lowest(p), i, &p->last[l], &expect);
	if (!child)
		return path_missing(p, &ptr, &expect);
	pthread_rwlock_wrlock(&child->b_lock);
	p->slot[l] = i;
	p->level = l - 1;
	p->node[l - 1] = child;
	p->low[l - 1] = expect.low;
	p->last[l - 1] = expect.last;
	return owfs_btree_check_place(p->bt, child, &expect);
}

/* The root branch has one child: as long as that is so, it can go. */
static int path_shrink(struct owfs_path *p, const struct owfs_key *key)
{
	int ret = 0;

	while (!ret && p->level > p->stop &&
	       owfs_node_nitems(lowest(p)) == 1) {
		ret = path_to_child(p, key);
		if (!ret)
			ret = owfs_btree_free_node(p->bt, p->node[p->top]);
		if (ret)
			break;
		owfs_path_collapse(p, p->node[p->level]);
		p->low[p->level] = OWFS_KEY_MIN;
		p->last[p->level] = OWFS_KEY_MAX;
		ret = path_cow(p);
	}
	return ret;
}

static int first_leaf(struct owfs_btree *bt)
{
	struct owfs_buf *leaf;
	int ret = owfs_btree_new_node(bt, 0, &leaf);

	if (!ret)
		owfs_btree_set_root(bt, leaf, 0);
	return ret;
}

/* Lock the root; it becomes open. */
static int path_take_root(struct owfs_path *p)
{
	struct owfs_btree *bt = p->bt;
	struct owfs_node_expect expect;
	int ret;

	pthread_rwlock_wrlock(&bt->root_lock);
	p->root_locked = true;
	if (!bt->root.birth) {
		ret = p->inserting ? first_leaf(bt) : -ENOENT;
		if (ret)
			return ret;
	}
	owfs_btree_expect_root(bt, &expect);
	if (!bt->root_buf)
		return path_missing(p, &bt->root, &expect);
	hold(bt->root_buf);
	p->level = p->top = bt->level;
	p->node[p->top] = bt->root_buf;
	p->low[p->top] = OWFS_KEY_MIN;
	p->last[p->top] = OWFS_KEY_MAX;
	ret = owfs_btree_check_place(bt, bt->root_buf, &expect);
	return ret ? ret : path_cow(p);
}

static int path_root(struct owfs_path *p, const struct owfs_key *key)
{
	int ret = path_take_root(p);

	if (ret)
		return ret;
	switch (p->mode) {
	case OWFS_PATH_PLAIN:
		release_above(p);
		return 0;
	case OWFS_PATH_SPLIT:
		if (p->level == 0)
			return 0;
		if (is_full(p)) {
			ret = owfs_path_grow(p);
			if (!ret)
				ret = path_split_branch(p, key);
			if (ret)
				return ret;
		}
		release_above(p);
		return 0;
	case OWFS_PATH_MERGE:
		ret = path_shrink(p, key);
		/* it loses one slot at most, and shall keep two */
		if (!ret && p->level > 0 && owfs_node_nitems(lowest(p)) > 2)
			release_above(p);
		return ret;
	}
	return -EINVAL;
}

/* A child was reached: make it what the mode promises. */
static int path_settle(struct owfs_path *p, const struct owfs_key *key)
{
	int ret;

	if (p->mode == OWFS_PATH_MERGE && p->level == 0 &&
	    owfs_node_nitems(lowest(p)) == 1)
		return 0;	/* it will go: a copy would be for nothing */
	ret = path_cow(p);
	if (ret)
		return ret;
	switch (p->mode) {
	case OWFS_PATH_PLAIN:
		release_above(p);
		return 0;
	case OWFS_PATH_SPLIT:
		if (p->level == 0)
			return 0;
		if (is_full(p))
			ret = path_split_branch(p, key);
		if (!ret)
			release_above(p);
		return ret;
	case OWFS_PATH_MERGE:
		if (p->level == 0)
			return 0;
		ret = path_merge(p);
		if (!ret && owfs_node_nitems(lowest(p)) >= 2)
			release_above(p);
		return ret;
	}
	return -EINVAL;
}

static int path_step(struct owfs_path *p, const struct owfs_key *key)
{
	int ret;

	if (p->inserting) {
		struct owfs_key first = owfs_branch_key(lowest(p), 0);

		if (owfs_key_cmp(key, &first) < 0)
			owfs_branch_set_key(lowest(p), 0, &p->low[p->level]);
	}
	ret = path_to_child(p, key);
	return ret ? ret : path_settle(p, key);
}

static int path_try(struct owfs_path *p, const struct owfs_key *key)
{
	int ret = path_root(p, key);

	while (!ret && p->level > p->stop)
		ret = path_step(p, key);
	return ret;
}

int owfs_path_down(struct owfs_path *p, const struct owfs_key *key)
{
	int ret;

	while ((ret = path_try(p, key)) == OWFS_BTREE_MISS) {
		release_all(p);
		ret = owfs_btree_fetch_miss(p->bt, &p->fetch);
		if (ret)
			break;
	}
	return ret;
}

int owfs_path_raise(struct owfs_path *p)
{
	int ret;

	while ((ret = path_take_root(p)) == OWFS_BTREE_MISS) {
		release_all(p);
		ret = owfs_btree_fetch_miss(p->bt, &p->fetch);
		if (ret)
			return ret;
	}
	return ret ? ret : owfs_path_grow(p);
}
