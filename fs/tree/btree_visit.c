/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every node of the tree, parents first. */
#include "tree/btree_impl.h"

struct visit {
	struct owfs_btree *bt;
	const struct owfs_btree_visitor *v;
};

static int visit_node(const struct visit *vi, const struct owfs_ptr *ptr,
		      const struct owfs_node_expect *expect);

static bool is_wanted(const struct owfs_btree_visitor *v,
		      const struct owfs_node_expect *expect)
{
	return !v->from || (owfs_key_cmp(&expect->last, v->from) >= 0 &&
			    owfs_key_cmp(&expect->low, v->to) <= 0);
}

static int visit_children(const struct visit *vi, const struct owfs_buf *buf,
			  const struct owfs_node_expect *expect)
{
	unsigned int n = owfs_node_nitems(buf->b_data), i;
	int ret = 0;

	for (i = 0; i < n && !ret; i++) {
		struct owfs_ptr ptr = owfs_branch_ptr(buf->b_data, i);
		struct owfs_node_expect child;

		owfs_btree_expect_child(vi->bt, buf->b_data, i, &expect->last,
					&child);
		if (is_wanted(vi->v, &child))
			ret = visit_node(vi, &ptr, &child);
	}
	return ret;
}

/* Levels fall, so this is no deeper than the root is high. */
static int visit_node(const struct visit *vi, const struct owfs_ptr *ptr,
		      const struct owfs_node_expect *expect)
{
	const struct owfs_btree_visitor *v = vi->v;
	struct owfs_buf *buf = NULL;
	int ret;

	ret = owfs_buf_read(vi->bt->bc, ptr, &owfs_node_buf_ops, expect, &buf);
	if (ret == -ENOMEM)
		return ret;
	if (!ret)
		ret = owfs_btree_check_place(vi->bt, buf, expect);
	if (ret) {
		if (v->bad)
			ret = v->bad(v->ctx, ptr, expect->level, ret);
		if (v->hole)
			v->hole(v->ctx, ptr, expect->level, &expect->low,
				&expect->last);
	} else {
		ret = v->enter(v->ctx, ptr, expect->level, buf->b_data);
		if (ret == 0 && expect->level > 0)
			ret = visit_children(vi, buf, expect);
		else if (ret == 1)
			ret = 0;
	}
	if (buf)
		owfs_buf_put(buf);
	return ret;
}

int owfs_btree_visit(struct owfs_btree *bt, const struct owfs_btree_visitor *v)
{
	const struct visit vi = { .bt = bt, .v = v };
	struct owfs_node_expect expect;
	struct owfs_ptr root;

	pthread_rwlock_rdlock(&bt->root_lock);
	owfs_btree_expect_root(bt, &expect);
	root = bt->root;
	if (bt->root_buf) {
		pthread_rwlock_rdlock(&bt->root_buf->b_lock);
		root = bt->root_buf->b_ptr;
		pthread_rwlock_unlock(&bt->root_buf->b_lock);
	}
	pthread_rwlock_unlock(&bt->root_lock);
	if (!root.birth)
		return 0;
	return visit_node(&vi, &root, &expect);
}
