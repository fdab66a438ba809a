/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A node is written anew where it stands in the tree, with nothing changed. */
#include "tree/btree_impl.h"

int owfs_btree_has_node(struct owfs_btree *bt, const struct owfs_key *key,
			unsigned int level, const struct owfs_ptr *ptr)
{
	struct owfs_look lk;
	int ret = owfs_look_down_to(&lk, bt, key, level);

	if (ret)
		return ret == -ENOENT ? 0 : ret;
	ret = owfs_node_level(lk.buf->b_data) == level &&
	      lk.buf->b_ptr.addr[0] == ptr->addr[0] &&
	      lk.buf->b_ptr.birth == ptr->birth;
	owfs_look_end(&lk);
	return ret;
}

int owfs_btree_renew(struct owfs_btree *bt, const struct owfs_key *key,
		     unsigned int level)
{
	struct owfs_path p;
	int ret = owfs_btree_young_reserve(bt);

	if (ret)
		return ret;
	owfs_path_init(&p, bt, OWFS_PATH_PLAIN, false);
	p.stop = level;
	ret = owfs_path_down(&p, key);
	owfs_path_end(&p);
	owfs_btree_young_unreserve(bt);
	return ret == -ENOENT ? 0 : ret;
}
