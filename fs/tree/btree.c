/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Opening the tree, and looking.
 *
 * A look goes down holding one node at a time, taking the child before letting
 * go of the parent.  From the first final node on nothing below can change, so
 * from there no locks are needed: what is found is the state of the moment
 * when the last open or sealed node was left.
 */
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "tree/btree_impl.h"

/* ------------------------------------------------------------ open, close */

static void init_root_lock(pthread_rwlock_t *lock)
{
	pthread_rwlockattr_t attr;

	/* many readers must not keep a change waiting for ever */
	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr,
			PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(lock, &attr);
	pthread_rwlockattr_destroy(&attr);
}

int owfs_btree_open(struct owfs_btree **btp, const struct owfs_btree_param *p)
{
	const bool writable = p->ops != NULL;
	struct owfs_btree *bt;

	if (p->level > OWFS_MAX_LEVEL ||
	    (writable && p->root.birth >= p->open_gen)) {
		owfs_msg(owfs_bufcache_msg(p->bc), OWFS_MSG_ERROR,
			 "tree: bad root: level=%u birth=%llu open=%llu",
			 p->level, (unsigned long long)p->root.birth,
			 (unsigned long long)p->open_gen);
		return -EFSCORRUPTED;
	}
	bt = calloc(1, sizeof(*bt));
	if (!bt)
		return -ENOMEM;
	bt->bc = p->bc;
	bt->ops = p->ops;
	bt->ctx = p->ctx;
	bt->owner = p->owner;
	bt->size = owfs_bufcache_blocksize(p->bc);
	bt->root = p->root;
	bt->level = p->level;
	bt->open_gen = p->open_gen;
	bt->final_gen = writable ? p->open_gen - 1 : UINT64_MAX;
	init_root_lock(&bt->root_lock);
	pthread_mutex_init(&bt->young_lock, NULL);
	owfs_btree_gate_init(&bt->gate);
	*btp = bt;
	return 0;
}

void owfs_btree_close(struct owfs_btree *bt)
{
	size_t i;

	if (!bt)
		return;
	if (bt->root_buf)
		owfs_buf_put(bt->root_buf);
	for (i = 0; i < bt->nyoung; i++) {
		owfs_buf_forget(bt->young[i]);
		owfs_buf_put(bt->young[i]);
	}
	free(bt->young);
	free(bt->spare);
	owfs_btree_gate_destroy(&bt->gate);
	pthread_mutex_destroy(&bt->young_lock);
	pthread_rwlock_destroy(&bt->root_lock);
	free(bt);
}

unsigned int owfs_btree_height(const struct owfs_btree *bt)
{
	return __atomic_load_n(&bt->level, __ATOMIC_RELAXED) + 1;
}

/* ------------------------------------------------------------------- look */

static void look_leave(struct owfs_look *lk)
{
	if (!lk->buf)
		return;
	if (lk->locked)
		pthread_rwlock_unlock(&lk->buf->b_lock);
	owfs_buf_put(lk->buf);
	lk->buf = NULL;
}

void owfs_look_end(struct owfs_look *lk)
{
	look_leave(lk);
	owfs_btree_fetch_done(lk->bt, &lk->fetch);
}

/* Lock @buf if it may change; true if it was locked. */
static bool look_lock(const struct owfs_look *lk, struct owfs_buf *buf,
		      unsigned int level)
{
	if (buf->b_ptr.birth <= owfs_btree_final_gen(lk->bt))
		return false;
	if (lk->change && level == 0 && owfs_btree_is_open(lk->bt, buf))
		pthread_rwlock_wrlock(&buf->b_lock);
	else
		pthread_rwlock_rdlock(&buf->b_lock);
	return true;
}

static int look_missing(struct owfs_look *lk, const struct owfs_ptr *ptr,
			const struct owfs_node_expect *expect)
{
	lk->fetch.ptr = *ptr;
	lk->fetch.expect = *expect;
	return OWFS_BTREE_MISS;
}

static int look_root(struct owfs_look *lk)
{
	struct owfs_btree *bt = lk->bt;
	struct owfs_node_expect expect;
	struct owfs_buf *buf = NULL;
	int ret = -ENOENT;

	pthread_rwlock_rdlock(&bt->root_lock);
	owfs_btree_expect_root(bt, &expect);
	if (bt->root_buf) {
		buf = bt->root_buf;
		owfs_buf_get(buf);
		lk->locked = look_lock(lk, buf, expect.level);
		ret = 0;
	} else if (bt->root.birth) {
		ret = look_missing(lk, &bt->root, &expect);
	}
	pthread_rwlock_unlock(&bt->root_lock);

	lk->buf = buf;
	lk->below = false;
	lk->low = OWFS_KEY_MIN;
	lk->last = OWFS_KEY_MAX;
	return ret ? ret : owfs_btree_check_place(bt, buf, &expect);
}

static int look_child(struct owfs_look *lk, const struct owfs_key *key)
{
	struct owfs_btree *bt = lk->bt;
	const void *branch = lk->buf->b_data;
	unsigned int i = owfs_branch_find(branch, key);
	struct owfs_ptr ptr = owfs_branch_ptr(branch, i);
	struct owfs_node_expect expect;
	struct owfs_buf *child;
	bool locked;

	owfs_btree_expect_child(bt, branch, i, &lk->last, &expect);
	child = owfs_buf_peek(bt->bc, &ptr);
	if (!child)
		return look_missing(lk, &ptr, &expect);
	locked = look_lock(lk, child, expect.level);
	look_leave(lk);
	lk->buf = child;
	lk->locked = locked;
	if (i > 0)
		lk->low = expect.low;
	else if (owfs_key_cmp(key, &expect.low) < 0)
		lk->below = true;
	lk->last = expect.last;
	return owfs_btree_check_place(bt, child, &expect);
}

static int look_try(struct owfs_look *lk, const struct owfs_key *key)
{
	int ret = look_root(lk);

	while (!ret && owfs_node_level(lk->buf->b_data) > lk->stop)
		ret = look_child(lk, key);
	return ret;
}

static int look_down(struct owfs_look *lk, struct owfs_btree *bt,
		     const struct owfs_key *key)
{
	int ret;

	lk->bt = bt;
	lk->buf = NULL;
	owfs_btree_fetch_init(&lk->fetch);
	while ((ret = look_try(lk, key)) == OWFS_BTREE_MISS) {
		look_leave(lk);
		ret = owfs_btree_fetch_miss(bt, &lk->fetch);
		if (ret)
			break;
	}
	if (ret)
		owfs_look_end(lk);
	return ret;
}

int owfs_look_down(struct owfs_look *lk, struct owfs_btree *bt,
		   const struct owfs_key *key, bool change)
{
	lk->change = change;
	lk->stop = 0;
	return look_down(lk, bt, key);
}

int owfs_look_down_to(struct owfs_look *lk, struct owfs_btree *bt,
		      const struct owfs_key *key, unsigned int level)
{
	lk->change = false;
	lk->stop = level;
	return look_down(lk, bt, key);
}

/* Copy out item @pos of the leaf; returns its full length. */
static int look_take(const struct owfs_look *lk, unsigned int pos, void *val,
		     size_t size)
{
	unsigned int len = owfs_leaf_len(lk->buf->b_data, pos);

	if (size)
		memcpy(val, owfs_leaf_val(lk->buf->b_data, pos),
		       min_u64(len, size));
	return (int)len;
}

int owfs_btree_lookup(struct owfs_btree *bt, const struct owfs_key *key,
		      void *val, size_t size)
{
	struct owfs_look lk;
	unsigned int pos;
	bool exact;
	int ret;

	ret = owfs_look_down(&lk, bt, key, false);
	if (ret)
		return ret;
	pos = owfs_leaf_find(lk.buf->b_data, key, &exact);
	ret = exact ? look_take(&lk, pos, val, size) : -ENOENT;
	owfs_look_end(&lk);
	return ret;
}

int owfs_btree_next(struct owfs_btree *bt, struct owfs_key *key,
		    const struct owfs_key *last, void *val, size_t size)
{
	struct owfs_key from = *key, found;
	struct owfs_look lk;
	unsigned int pos;
	bool exact;
	int ret;

	for (;;) {
		ret = owfs_look_down(&lk, bt, &from, false);
		if (ret)
			return ret;
		pos = owfs_leaf_find(lk.buf->b_data, &from, &exact);
		if (pos < owfs_node_nitems(lk.buf->b_data))
			break;
		owfs_look_end(&lk);
		if (owfs_key_cmp(&lk.last, last) >= 0)
			return -ENOENT;
		from = owfs_key_next(&lk.last);
	}
	found = owfs_leaf_key(lk.buf->b_data, pos);
	if (owfs_key_cmp(&found, last) > 0) {
		ret = -ENOENT;
	} else {
		ret = look_take(&lk, pos, val, size);
		*key = found;
	}
	owfs_look_end(&lk);
	return ret;
}

int owfs_btree_prev(struct owfs_btree *bt, struct owfs_key *key,
		    const struct owfs_key *first, void *val, size_t size)
{
	struct owfs_key from = *key, found;
	struct owfs_look lk;
	unsigned int pos;
	bool exact;
	int ret;

	for (;;) {
		ret = owfs_look_down(&lk, bt, &from, false);
		if (ret)
			return ret;
		pos = owfs_leaf_find(lk.buf->b_data, &from, &exact);
		if (exact || pos > 0)
			break;
		owfs_look_end(&lk);
		if (owfs_key_cmp(&lk.low, first) <= 0)
			return -ENOENT;
		from = owfs_key_prev(&lk.low);
	}
	if (!exact)
		pos--;
	found = owfs_leaf_key(lk.buf->b_data, pos);
	if (owfs_key_cmp(&found, first) < 0) {
		ret = -ENOENT;
	} else {
		ret = look_take(&lk, pos, val, size);
		*key = found;
	}
	owfs_look_end(&lk);
	return ret;
}

/* Items of one leaf from @from to @last. */
static int walk_leaf(const void *leaf, const struct owfs_key *from,
		     const struct owfs_key *last,
		     int (*fn)(void *ctx, const struct owfs_key *key,
			       const void *val, size_t len), void *ctx)
{
	unsigned int n = owfs_node_nitems(leaf), pos;
	bool exact;
	int ret = 0;

	for (pos = owfs_leaf_find(leaf, from, &exact); pos < n && !ret; pos++) {
		struct owfs_key key = owfs_leaf_key(leaf, pos);

		if (owfs_key_cmp(&key, last) > 0)
			break;
		ret = fn(ctx, &key, owfs_leaf_val(leaf, pos),
			 owfs_leaf_len(leaf, pos));
	}
	return ret;
}

int owfs_btree_walk(struct owfs_btree *bt, const struct owfs_key *first,
		    const struct owfs_key *last,
		    int (*fn)(void *ctx, const struct owfs_key *key,
			      const void *val, size_t len), void *ctx)
{
	struct owfs_key from = *first;
	struct owfs_look lk;
	int ret;

	for (;;) {
		ret = owfs_look_down(&lk, bt, &from, false);
		if (ret)
			return ret == -ENOENT ? 0 : ret;
		ret = walk_leaf(lk.buf->b_data, &from, last, fn, ctx);
		owfs_look_end(&lk);
		if (ret || owfs_key_cmp(&lk.last, last) >= 0)
			return ret;
		from = owfs_key_next(&lk.last);
	}
}

int owfs_btree_prefetch(struct owfs_btree *bt, const struct owfs_key *key)
{
	struct owfs_look lk;
	int ret = owfs_look_down(&lk, bt, key, false);

	if (ret)
		return ret == -ENOENT ? 0 : ret;
	owfs_look_end(&lk);
	return 0;
}
