/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Items, changed in ordinary transactions of one filesystem that is open from
 * floor 4 down.  What an item names is not freed: blocks that lose their owner
 * are found by the space map's turn, which comes last, so two owners of one
 * block do no harm on the way.
 */
#include <string.h>

#include "base/err.h"
#include "base/util.h"
#include "fixer.h"
#include "trans/commit.h"

#define RANGE_BATCH	16u

int fix_open(struct check *ck, struct owfs_fs **fsp)
{
	const struct owfs_fs_param p = {
		.bd = ck->bd,
		.msg = ck->param->msg,
		.env = ck->env,
		.keep_freed = ck->fixes->keep_freed,
		.worn_slots = ck->fixes->unwritable != 0,
	};
	int ret = owfs_fs_open(fsp, &p);

	if (ret)
		return ret;
	(*fsp)->fs_itable = &ck->itable;	/* hashes of names */
	(*fsp)->fs_super.state |= OWFS_STATE_ERROR;	/* until all is well */
	return owfs_fs_writable(*fsp);
}

int fix_close(struct owfs_fs *fs, int ret)
{
	int err = ret ? 0 : owfs_commit_all(fs);

	fs->fs_itable = NULL;
	owfs_fs_close(fs);
	return ret ? ret : err;
}

/* ---------------------------------------------------------- transactions */

int tree_get(struct owfs_fs *fs, struct owfs_key key, void *val, size_t size)
{
	return owfs_btree_lookup(fs->fs_bt, &key, val, size);
}

int tree_begin(struct owfs_fs *fs, struct owfs_trans *tr, unsigned int places)
{
	return owfs_trans_begin(fs, tr, places, 1, OWFS_RESV_FREEING);
}

int tree_store(struct owfs_trans *tr, const struct owfs_key *key,
	       const void *val, size_t len)
{
	struct owfs_btree *bt = tr->fs->fs_bt;
	int ret = owfs_btree_update(bt, key, val, len);

	if (ret == -ENOENT)
		ret = owfs_btree_insert(bt, key, val, len);
	return ret ? owfs_trans_abort(tr, ret, "repair: store") : 0;
}

int tree_erase(struct owfs_trans *tr, const struct owfs_key *key)
{
	int ret = owfs_btree_delete(tr->fs->fs_bt, key);

	if (ret && ret != -ENOENT)
		return owfs_trans_abort(tr, ret, "repair: remove");
	return 0;
}

int tree_put_now(struct owfs_fs *fs, struct owfs_key key, const void *val,
		 size_t len)
{
	struct owfs_trans tr;
	int ret = owfs_btree_prefetch(fs->fs_bt, &key);

	if (!ret)
		ret = tree_begin(fs, &tr, 1);
	if (ret)
		return ret;
	tree_store(&tr, &key, val, len);
	return owfs_trans_end(&tr);
}

int tree_put(struct owfs_fs *fs, struct owfs_key key, const void *val,
	     size_t len)
{
	int ret;

	OWFS_RETRY(fs, ret, tree_put_now(fs, key, val, len));
	return ret;
}

/* ------------------------------------------------------------------ ranges */

/* Up to RANGE_BATCH keys in [*from, last]; their leaves are in memory then. */
static unsigned int find_keys(struct owfs_fs *fs, struct owfs_key from,
			      const struct owfs_key *last,
			      struct owfs_key *keys, int *err)
{
	unsigned int n = 0;
	char byte;
	int ret = 0;

	while (n < RANGE_BATCH) {
		ret = owfs_btree_next(fs->fs_bt, &from, last, &byte, 1);
		if (ret < 0)
			break;
		keys[n++] = from;
		if (owfs_key_cmp(&from, last) == 0)
			break;
		from = owfs_key_next(&from);
	}
	*err = ret < 0 && ret != -ENOENT ? ret : 0;
	return n;
}

static int erase_batch(struct owfs_fs *fs, const struct owfs_key *first,
		       const struct owfs_key *last, unsigned int *np)
{
	struct owfs_key keys[RANGE_BATCH];
	struct owfs_trans tr;
	unsigned int i;
	int ret;

	*np = find_keys(fs, *first, last, keys, &ret);
	if (ret || !*np)
		return ret;
	ret = owfs_btree_prefetch(fs->fs_bt, &keys[0]);
	if (!ret)
		ret = owfs_trans_begin(fs, &tr, 1, RANGE_BATCH,
				       OWFS_RESV_FREEING);
	if (ret)
		return ret;
	for (i = 0; i < *np && !tr.err; i++)
		tree_erase(&tr, &keys[i]);
	return owfs_trans_end(&tr);
}

static int erase_range(struct owfs_fs *fs, struct owfs_key first,
		       struct owfs_key last)
{
	unsigned int n;
	int ret;

	do {
		OWFS_RETRY(fs, ret, erase_batch(fs, &first, &last, &n));
	} while (!ret && n);
	return ret;
}

int tree_del(struct owfs_fs *fs, struct owfs_key key)
{
	return erase_range(fs, key, key);
}

/* ------------------------------------------------------------------ touch */

/* The same bytes again: all nodes above are copied on the way. */
static int touch(struct owfs_fs *fs, struct owfs_key key)
{
	unsigned char val[OWFS_ITEM_MAX];
	struct owfs_key last = OWFS_KEY_MAX;
	int len = owfs_btree_next(fs->fs_bt, &key, &last, val, sizeof(val));

	return len < 0 ? len : tree_put(fs, key, val, (size_t)len);
}

/* ------------------------------------------------------------------- moves */

static int is_beyond(void *ctx, const struct owfs_key *key, const void *val,
		     size_t len)
{
	uint64_t *next = ctx;

	(void)val, (void)len;
	if (key->off != *next)
		return 1;
	++*next;
	return 0;
}

/* The lowest sequence that is free among names of a hash, or -ENOSPC. */
static int free_sequence(struct owfs_fs *fs, struct owfs_key key, uint64_t *off)
{
	struct owfs_key last = key;
	int ret;

	*off = key.off;
	last.off |= (1u << OWFS_HASH_SEQ_BITS) - 1;
	ret = owfs_btree_walk(fs->fs_bt, &key, &last, is_beyond, off);
	if (ret < 0)
		return ret;
	return *off > last.off ? -ENOSPC : 0;
}

static int move_once(struct owfs_fs *fs, const struct owfs_key *from,
		     struct owfs_key to)
{
	unsigned char val[OWFS_ITEM_MAX];
	struct owfs_trans tr;
	int ret, len = tree_get(fs, *from, val, sizeof(val));

	if (len < 0)
		return len;
	ret = free_sequence(fs, to, &to.off);
	if (!ret)
		ret = owfs_btree_prefetch(fs->fs_bt, from);
	if (!ret)
		ret = tree_begin(fs, &tr, 2);
	if (ret)
		return ret;
	if (!tree_erase(&tr, from))
		tree_store(&tr, &to, val, (size_t)len);
	return owfs_trans_end(&tr);
}

/* -------------------------------------------------------------- attributes */

static void set_attr(struct owfs_inode_item *d, enum fix_attr attr,
		     uint64_t value)
{
	switch (attr) {
	case FIX_ATTR_NLINK:
		d->nlink = cpu_to_le32((uint32_t)min_u64(value, OWFS_LINK_MAX));
		break;
	case FIX_ATTR_SIZE:
		d->size = cpu_to_le64(value);
		break;
	case FIX_ATTR_NBLOCKS:
		d->nblocks = cpu_to_le64(value);
		break;
	case FIX_ATTR_FLAGS:
		d->flags = cpu_to_le32((uint32_t)value);
		break;
	case FIX_ATTR_PARENT:
		d->parent = cpu_to_le64(value);
		break;
	case FIX_ATTR_GEN:
		d->gen = cpu_to_le64(value);
		break;
	case FIX_ATTR_MODE:
		d->mode = cpu_to_le32((uint32_t)value);
		break;
	}
}

static int apply_attr(struct owfs_fs *fs, const struct fix *f)
{
	struct owfs_inode_item d;
	int len = tree_get(fs, f->key, &d, sizeof(d));

	if (len != sizeof(d))
		return len < 0 ? len : -ENOENT;
	set_attr(&d, f->attr, f->value);
	return tree_put(fs, f->key, &d, sizeof(d));
}

int tree_apply(struct owfs_fs *fs, const struct fix *f)
{
	int ret;

	switch (f->kind) {
	case FIX_TOUCH:
		return touch(fs, f->key);
	case FIX_PUT:
		return tree_put(fs, f->key, f->val, f->len);
	case FIX_DEL:
	case FIX_DEL_RANGE:
		return erase_range(fs, f->key, f->last);
	case FIX_MOVE:
		OWFS_RETRY(fs, ret, move_once(fs, &f->key, f->last));
		return ret;
	case FIX_ATTR:
		return apply_attr(fs, f);
	default:
		return -EINVAL;
	}
}
