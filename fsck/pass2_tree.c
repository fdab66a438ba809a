/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pass 2: every node of the tree, read through the verifiers: checksum, header,
 * structure, keys between the parent's.  Left to be seen here: that no node is
 * reached twice (which also makes the way through a forged tree end), that it
 * stands where a node may, and that the second copy is the first's twin.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "fsck.h"
#include "tree/node.h"

#define PROGRESS_EVERY	64	/* nodes */

int pass2_use(struct check *ck, owfs_fsblock_t start, uint64_t len,
	      owfs_fsblock_t *dup)
{
	return usedmap_add(&ck->used, start, len, dup);
}

/*
 * The block has another owner.  If that is an extent, its data is not there:
 * this node is.
 */
static bool met_twice(struct check *ck, owfs_fsblock_t addr)
{
	bool is_node = usedmap_has(&ck->nodes, addr, 1);
	bool yes = problem(ck, BAD_NODE_TWICE, "node", addr, is_node ?
			   "by another node" : "by an extent");

	if (yes && !is_node)
		ck->fixes->find_unmap = ck->fixes->keep_freed = true;
	return yes && is_node;
}

static int use_copy(struct check *ck, owfs_fsblock_t addr, bool *fresh,
		    bool *touch)
{
	owfs_fsblock_t dup;
	int ret;

	if (!owfs_geo_range_ok(&ck->geo, addr, 1)) {
		*touch |= problem(ck, BAD_NODE_PLACE, "node", addr,
				  "blocks=%" PRIu64, ck->geo.nblocks);
		return 0;
	}
	ret = pass2_use(ck, addr, 1, &dup);
	if (ret == 0) {
		*fresh &= !usedmap_has(&ck->nodes, addr, 1);
		*touch |= met_twice(ck, addr);
	}
	if (ret >= 0)
		ret = usedmap_add(&ck->nodes, addr, 1, &dup);
	return ret < 0 ? ret : 0;
}

static int use_node(struct check *ck, const struct owfs_ptr *ptr, bool *fresh,
		    bool *touch)
{
	int ret;

	*fresh = true;
	ret = use_copy(ck, ptr->addr[0], fresh, touch);
	if (!ret && ptr->addr[1] != OWFS_NOBLOCK)
		ret = use_copy(ck, ptr->addr[1], fresh, touch);
	return ret;
}

/* The header has both addresses, so two copies are the same byte for byte. */
static bool check_copy(struct check *ck, const struct owfs_ptr *ptr,
		       const void *data)
{
	const size_t size = ck->sb.blocksize;
	int ret;

	if (ptr->addr[1] == OWFS_NOBLOCK)
		return false;
	ret = owfs_blkdev_read(ck->bd, ck->copy, size,
			       (loff_t)(ptr->addr[1] * size));
	if (!ret && memcmp(ck->copy, data, size))
		ret = -EFSBADCRC;
	return ret && !copy_mended(ck, ptr, data) &&
	       problem(ck, BAD_NODE_COPY, "node", ptr->addr[1],
		       "other=%" PRIu64 ": %s", ptr->addr[0], strerror(-ret));
}

static int check_items(struct check *ck, const void *data)
{
	unsigned int n = owfs_node_nitems(data), i;
	int ret = 0;

	for (i = 0; i < n && !ret; i++) {
		struct owfs_key key = owfs_leaf_key(data, i);

		ret = pass3_item(ck, &key, owfs_leaf_val(data, i),
				 owfs_leaf_len(data, i));
	}
	ck->report->items += n;
	return ret;
}

static int enter(void *ctx, const struct owfs_ptr *ptr, unsigned int level,
		 const void *data)
{
	struct check *ck = ctx;
	const struct owfs_root *root = ck->root;
	bool fresh, touch = ck->touch_next;
	int ret;

	ck->touch_next = false;
	ret = use_node(ck, ptr, &fresh, &touch);
	if (ret)
		return ret;
	touch |= fresh && check_copy(ck, ptr, data);
	if (touch && owfs_node_nitems(data))
		fix_touch(ck, owfs_node_first(data));
	if (!fresh) {
		ck->holes = true;
		return 1;
	}
	if (ck->report->nodes++ % PROGRESS_EVERY == 0) {
		ret = check_progress(ck, 2, ck->used.blocks, ck->geo.nblocks -
				     owfs_geo_fixed_total(&ck->geo) -
				     root->map.free_blocks);
		if (ret)
			return ret;
	}
	return level ? 0 : check_items(ck, data);
}

static int note_broken(struct check *ck, const struct owfs_ptr *ptr)
{
	size_t n = ck->nbroken;
	struct owfs_ptr *v = ck->broken;

	if ((n & (n - 1)) == 0)		/* full: twice as much */
		v = realloc(v, (n ? 2 * n : 1) * sizeof(*v));
	if (!v)
		return -ENOMEM;
	ck->broken = v;
	v[ck->nbroken++] = *ptr;
	return 0;
}

static int bad(void *ctx, const struct owfs_ptr *ptr, unsigned int level,
	       int err)
{
	struct check *ck = ctx;

	if (err == -ENOMEM || note_broken(ck, ptr))
		return -ENOMEM;
	ck->holes = true;
	ck->cut_next = problem(ck, BAD_NODE_READ, "node", ptr->addr[0],
			       "level=%u birth=%" PRIu64 ": %s", level,
			       ptr->birth, strerror(-err));
	return 0;
}

static void hole(void *ctx, const struct owfs_ptr *ptr, unsigned int level,
		 const struct owfs_key *low, const struct owfs_key *last)
{
	struct check *ck = ctx;

	if (ck->cut_next)
		fix_cut(ck, ptr, level, *low, *last);
	ck->cut_next = false;
}

int pass2_tree(struct check *ck)
{
	const struct owfs_btree_visitor v = {
		.enter = enter, .bad = bad, .hole = hole, .ctx = ck };
	int ret = owfs_btree_visit(ck->bt, &v);

	return ret < 0 ? ret : pass3_end(ck);
}

/* ------------------------------------------------------ once more, for one thing */

struct again {
	struct check *ck;
	struct usedmap met;
	int (*fn)(struct check *ck, const struct owfs_key *key, const void *val,
		  size_t len);
};

static int enter_again(void *ctx, const struct owfs_ptr *ptr,
		       unsigned int level, const void *data)
{
	struct again *a = ctx;
	unsigned int n = owfs_node_nitems(data), i;
	owfs_fsblock_t dup;
	int ret = usedmap_add(&a->met, ptr->addr[0], 1, &dup);

	if (ret < 1)
		return ret ? ret : 1;
	for (i = 0, ret = 0; !level && i < n && !ret; i++) {
		struct owfs_key key = owfs_leaf_key(data, i);

		ret = a->fn(a->ck, &key, owfs_leaf_val(data, i),
			    owfs_leaf_len(data, i));
	}
	return ret;
}

int pass2_skip_bad(void *ctx, const struct owfs_ptr *ptr, unsigned int level,
		   int err)
{
	(void)ctx;
	(void)ptr;
	(void)level;
	return err == -ENOMEM ? err : 0;
}

int pass2_each_item(struct check *ck,
		    int (*fn)(struct check *ck, const struct owfs_key *key,
			      const void *val, size_t len))
{
	struct again a = { .ck = ck, .fn = fn };
	const struct owfs_btree_visitor v = {
		.enter = enter_again, .bad = pass2_skip_bad, .ctx = &a };
	int ret;

	usedmap_init(&a.met, &ck->geo);
	ck->mute = true;
	ret = owfs_btree_visit(ck->bt, &v);
	ck->mute = false;
	usedmap_free(&a.met);
	return ret;
}
