/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Insert, update, delete.  Each first goes down like a reader and changes the
 * leaf where it is, if that is open and stays a sound leaf on its own.  Else it
 * takes the path (btree_path.c), in the mode that the leaf seemed to ask for;
 * if on arrival the leaf asks for more, it goes down once again.
 */
#include <assert.h>

#include "tree/btree_impl.h"

/* A change of one item. */
struct change {
	struct owfs_btree *bt;
	const struct owfs_key *key;
	const void *val;
	size_t len;
	bool inserting, replacing;	/* neither: deleting */
	enum owfs_path_mode mode;	/* for the path */
};

static int change_check(const struct owfs_btree *bt, size_t len)
{
	if (!bt->ops)
		return -EROFS;
	return len >= 1 && len <= OWFS_ITEM_MAX ? 0 : -EINVAL;
}

/* ------------------------------------------------------- insert and update */

/* Find the place; 0, -EEXIST or -ENOENT. */
static int find_place(const struct change *c, const void *leaf,
		      unsigned int *pos)
{
	bool exact;

	*pos = owfs_leaf_find(leaf, c->key, &exact);
	if (exact == c->replacing)
		return 0;
	return exact ? -EEXIST : -ENOENT;
}

static bool fits(const struct change *c, const void *leaf, unsigned int pos)
{
	size_t room = owfs_leaf_room(leaf);

	if (c->replacing)
		room += owfs_leaf_item_size(owfs_leaf_len(leaf, pos));
	return room >= owfs_leaf_item_size(c->len);
}

static void put_item(const struct change *c, void *leaf, unsigned int pos)
{
	if (c->replacing)
		owfs_leaf_replace(leaf, pos, c->val, c->len);
	else
		owfs_leaf_insert(leaf, pos, c->key, c->val, c->len);
}

/*
 * A key past the end of a full leaf may as well begin the next one, if that is
 * open and has room: descending keys would else get a leaf each.
 */
static int spill_right(const struct change *c, struct owfs_path *p, bool *done)
{
	const unsigned int next = p->slot[1] + 1;
	void *parent = p->node[1]->b_data;
	struct owfs_buf *right;
	int ret;

	*done = false;
	if (next >= owfs_node_nitems(parent))
		return 0;
	ret = owfs_path_neighbour(p, 0, next, &right);
	if (ret || !right)
		return ret;
	if (owfs_btree_is_open(c->bt, right) &&
	    owfs_leaf_room(right->b_data) >= owfs_leaf_item_size(c->len)) {
		owfs_branch_set_key(parent, next, c->key);
		owfs_leaf_insert(right->b_data, 0, c->key, c->val, c->len);
		*done = true;
	}
	owfs_path_unlock(right);
	return 0;
}

/* The item comes between the two halves of @left, or into one of them. */
static void split_leaf(const struct change *c, void *left, void *right,
		       unsigned int pos)
{
	unsigned int n, cut;
	bool to_left;

	if (c->replacing)
		owfs_leaf_remove(left, pos);
	n = owfs_node_nitems(left);
	cut = owfs_leaf_split_at(left, c->bt->size, pos, c->key,
				 owfs_leaf_item_size(c->len), &to_left);
	owfs_leaf_copy(right, 0, left, cut, n - cut);
	owfs_leaf_truncate(left, c->bt->size, cut);
	if (pos < cut || (pos == cut && to_left))
		owfs_leaf_insert(left, pos, c->key, c->val, c->len);
	else
		owfs_leaf_insert(right, pos - cut, c->key, c->val, c->len);
}

static int split_and_put(const struct change *c, struct owfs_path *p,
			 unsigned int pos)
{
	void *left = p->node[0]->b_data;
	struct owfs_buf *right;
	struct owfs_key first;
	bool done;
	int ret;

	if (p->top == 0) {
		ret = owfs_path_grow(p);
		if (ret)
			return ret;
	}
	if (!c->replacing && pos == owfs_node_nitems(left)) {
		ret = spill_right(c, p, &done);
		if (ret || done)
			return ret;
	}
	ret = owfs_btree_new_node(c->bt, 0, &right);
	if (ret)
		return ret;
	split_leaf(c, left, right->b_data, pos);
	first = owfs_leaf_key(right->b_data, 0);
	owfs_branch_insert(p->node[1]->b_data, p->slot[1] + 1, &first,
			   &right->b_ptr);
	return 0;
}

static int put_at_path(struct change *c, struct owfs_path *p)
{
	void *leaf;
	unsigned int pos;
	int ret = owfs_path_down(p, c->key);

	if (ret)
		return ret;
	leaf = p->node[0]->b_data;
	ret = find_place(c, leaf, &pos);
	if (ret)
		return ret;
	if (fits(c, leaf, pos)) {
		put_item(c, leaf, pos);
		return 0;
	}
	if (c->mode == OWFS_PATH_SPLIT)
		return split_and_put(c, p, pos);
	c->mode = OWFS_PATH_SPLIT;
	return OWFS_BTREE_RETRY;
}

/* One way down with write locks, with @fn at its end. */
static int change_by_path(struct change *c,
			  int (*fn)(struct change *c, struct owfs_path *p))
{
	struct owfs_path p;
	int ret = owfs_btree_young_reserve(c->bt);

	if (ret)
		return ret;
	do {
		owfs_path_init(&p, c->bt, c->mode, c->inserting);
		ret = fn(c, &p);
		owfs_path_end(&p);
	} while (ret == OWFS_BTREE_RETRY);
	owfs_btree_young_unreserve(c->bt);
	return ret;
}

/* Change the leaf alone, or find out that this will not do. */
static int put_in_place(struct change *c)
{
	struct owfs_look lk;
	unsigned int pos;
	bool room;
	int ret = owfs_look_down(&lk, c->bt, c->key, true);

	c->mode = OWFS_PATH_PLAIN;
	if (ret == -ENOENT && !c->replacing)
		return OWFS_BTREE_RETRY;
	if (ret)
		return ret;
	ret = find_place(c, lk.buf->b_data, &pos);
	if (!ret) {
		room = fits(c, lk.buf->b_data, pos);
		if (!room)
			c->mode = OWFS_PATH_SPLIT;
		if (room && owfs_btree_is_open(c->bt, lk.buf) &&
		    (c->replacing || !lk.below))
			put_item(c, lk.buf->b_data, pos);
		else
			ret = OWFS_BTREE_RETRY;
	}
	owfs_look_end(&lk);
	return ret;
}

static int change_put(struct owfs_btree *bt, const struct owfs_key *key,
		      const void *val, size_t len, bool replace)
{
	struct change c = {
		.bt = bt,
		.key = key,
		.val = val,
		.len = len,
		.inserting = !replace,
		.replacing = replace,
	};
	int ret = change_check(bt, len);

	if (!ret)
		ret = put_in_place(&c);
	if (ret == OWFS_BTREE_RETRY)
		ret = change_by_path(&c, put_at_path);
	return ret;
}

int owfs_btree_insert(struct owfs_btree *bt, const struct owfs_key *key,
		      const void *val, size_t len)
{
	return change_put(bt, key, val, len, false);
}

int owfs_btree_update(struct owfs_btree *bt, const struct owfs_key *key,
		      const void *val, size_t len)
{
	return change_put(bt, key, val, len, true);
}

/* ----------------------------------------------------------------- delete */

/*
 * Merging is worth a look when a leaf has become thin; if it found no partner
 * then, again at half and at a quarter of that.
 */
static bool becomes_thin(const struct owfs_btree *bt, const void *leaf,
			 unsigned int pos)
{
	size_t before = owfs_leaf_used(leaf, bt->size), thin;
	size_t after = before - owfs_leaf_item_size(owfs_leaf_len(leaf, pos));
	int i;

	thin = owfs_leaf_capacity(bt->size) / 3;
	for (i = 0; i < 3; i++, thin /= 2)
		if (before >= thin && after < thin)
			return true;
	return false;
}

/* If the held branch at @level loses a slot, is it a root with one child? */
static bool root_ends(struct owfs_path *p, unsigned int level)
{
	return p->root_locked && level == p->top &&
	       owfs_node_nitems(p->node[level]->b_data) == 2;
}

/*
 * The leaf goes, and with it the branches above that have no other child.  All
 * blocks are given back first, as only that can fail.
 */
static int unlink_leaf(const struct change *c, struct owfs_path *p)
{
	struct owfs_buf *child = NULL;
	unsigned int top = 1, l;
	int ret;

	while (owfs_node_nitems(p->node[top]->b_data) == 1)
		top++;
	assert(top <= p->top);
	if (root_ends(p, top)) {
		struct owfs_ptr ptr = owfs_branch_ptr(p->node[top]->b_data,
						      !p->slot[top]);

		child = owfs_buf_peek(c->bt->bc, &ptr);
	}
	for (l = 0, ret = 0; l < top && !ret; l++)
		ret = owfs_btree_free_node(c->bt, p->node[l]);
	if (child && !ret)
		ret = owfs_btree_free_node(c->bt, p->node[top]);
	if (!ret) {
		for (l = 0; l < top; l++)
			owfs_btree_forget_node(c->bt, p->node[l]);
		owfs_branch_remove(p->node[top]->b_data, p->slot[top]);
		if (child)
			owfs_path_collapse(p, child);
	}
	if (child)
		owfs_buf_put(child);
	return ret;
}

/* A neighbour, in memory, whose items fit in beside @used bytes of the leaf's. */
static int find_partner(struct owfs_path *p, size_t used, struct owfs_buf **bp,
			unsigned int *slot)
{
	const size_t cap = owfs_leaf_capacity(p->bt->size);
	unsigned int n = owfs_node_nitems(p->node[1]->b_data), s = p->slot[1];
	unsigned int tries[2] = { s + 1, s - 1 }, i;
	int ret;

	*bp = NULL;
	for (i = 0; i < 2; i++) {
		if (tries[i] >= n)	/* none; that left of 0, too */
			continue;
		ret = owfs_path_neighbour(p, 0, tries[i], bp);
		if (ret)
			return ret;
		if (!*bp)
			continue;
		*slot = tries[i];
		if (used + owfs_leaf_used((*bp)->b_data, p->bt->size) <=
		    cap - cap / 8)
			return 0;
		owfs_path_unlock(*bp);
		*bp = NULL;
	}
	return 0;
}

/* Everything of @sib, at slot @i, into the leaf; @sib goes. */
static void merge_leaf(struct owfs_path *p, struct owfs_buf *sib,
		       unsigned int i)
{
	void *leaf = p->node[0]->b_data, *parent = p->node[1]->b_data;
	unsigned int s = p->slot[1], n = owfs_node_nitems(sib->b_data);

	if (i > s) {
		owfs_leaf_copy(leaf, owfs_node_nitems(leaf), sib->b_data, 0, n);
		owfs_branch_remove(parent, i);
	} else {
		owfs_leaf_copy(leaf, 0, sib->b_data, 0, n);
		owfs_branch_set_ptr(parent, i, &p->node[0]->b_ptr);
		owfs_branch_remove(parent, s);
	}
	owfs_btree_forget_node(p->bt, sib);
}

/* Take item @pos out of the leaf, and a thin neighbour into it. */
static int remove_and_merge(struct owfs_path *p, unsigned int pos)
{
	void *leaf = p->node[0]->b_data;
	size_t used = owfs_leaf_used(leaf, p->bt->size) -
		      owfs_leaf_item_size(owfs_leaf_len(leaf, pos));
	struct owfs_buf *sib = NULL;
	unsigned int slot = 0;
	bool collapse;
	int ret = 0;

	if (p->top > 0 && used < owfs_leaf_capacity(p->bt->size) / 3)
		ret = find_partner(p, used, &sib, &slot);
	if (ret)
		return ret;
	if (!sib) {
		owfs_leaf_remove(leaf, pos);
		return 0;
	}
	collapse = root_ends(p, 1);
	ret = owfs_btree_free_node(p->bt, sib);
	if (!ret && collapse)
		ret = owfs_btree_free_node(p->bt, p->node[1]);
	if (!ret) {
		owfs_leaf_remove(leaf, pos);
		merge_leaf(p, sib, slot);
		if (collapse)
			owfs_path_collapse(p, p->node[0]);
	}
	owfs_path_unlock(sib);
	return ret;
}

static int delete_at_path(struct change *c, struct owfs_path *p)
{
	unsigned int pos;
	void *leaf;
	bool exact;
	int ret = owfs_path_down(p, c->key);

	if (ret)
		return ret;
	leaf = p->node[0]->b_data;
	pos = owfs_leaf_find(leaf, c->key, &exact);
	if (!exact)
		return -ENOENT;
	if (c->mode == OWFS_PATH_MERGE) {
		if (owfs_node_nitems(leaf) == 1 && p->top > 0)
			return unlink_leaf(c, p);
		return remove_and_merge(p, pos);
	}
	if (owfs_node_nitems(leaf) == 1) {
		c->mode = OWFS_PATH_MERGE;
		return OWFS_BTREE_RETRY;
	}
	owfs_leaf_remove(leaf, pos);
	return 0;
}

static int delete_in_place(struct change *c)
{
	struct owfs_look lk;
	unsigned int pos;
	void *leaf;
	bool exact;
	int ret = owfs_look_down(&lk, c->bt, c->key, true);

	if (ret)
		return ret;
	leaf = lk.buf->b_data;
	pos = owfs_leaf_find(leaf, c->key, &exact);
	c->mode = OWFS_PATH_PLAIN;
	if (!exact) {
		ret = -ENOENT;
	} else {
		if (owfs_node_nitems(leaf) == 1 ||
		    becomes_thin(c->bt, leaf, pos))
			c->mode = OWFS_PATH_MERGE;
		if (c->mode == OWFS_PATH_PLAIN &&
		    owfs_btree_is_open(c->bt, lk.buf))
			owfs_leaf_remove(leaf, pos);
		else
			ret = OWFS_BTREE_RETRY;
	}
	owfs_look_end(&lk);
	return ret;
}

int owfs_btree_delete(struct owfs_btree *bt, const struct owfs_key *key)
{
	struct change c = { .bt = bt, .key = key };
	int ret = bt->ops ? delete_in_place(&c) : -EROFS;

	if (ret == OWFS_BTREE_RETRY)
		ret = change_by_path(&c, delete_at_path);
	return ret;
}
