/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Items from the commit before, for keys that the last one has lost.
 *
 * They are older than what was lost, so each inode that gets some is named as
 * suspect.  What they say of data holds only where nothing newer has the blocks:
 * both commits are intact, so blocks that the last does not use are still what
 * the one before had put there.  A file with claimed blocks is not what it was:
 * what is left of it becomes another inode, with holes, that only lost+found
 * names, and as suspect; entries of its own never lead there.
 *
 * That is so until the repair has made a commit; only its first may do this.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "fixer.h"
#include "tree/node.h"

struct older_item {
	struct owfs_key key;
	size_t at, len;			/* of its value in bytes */
};

/* As much memory as the items had on the device, and their keys. */
struct older {
	struct check *ck;
	struct owfs_fs *fs;
	struct suspects *sus;
	const char *whence;
	owfs_gen_t gen;
	const struct usedmap *claims;	/* besides those of the check; or NULL */
	struct older_item *v;
	size_t n, cap;
	unsigned char *bytes;
	size_t nbytes, bytes_cap;
};

int suspects_add(struct suspects *s, owfs_ino_t was, owfs_ino_t ino)
{
	struct suspect *v = realloc(s->v, (s->n + 1) * sizeof(*v));

	if (!v)
		return -ENOMEM;
	s->v = v;
	v[s->n++] = (struct suspect){ was, ino };
	return 0;
}

static bool has_root_dir(struct owfs_fs *fs)
{
	struct owfs_key key = owfs_key(OWFS_INO_ROOT, OWFS_ITEM_INODE, 0);
	struct owfs_inode_item d;

	return tree_get(fs, key, &d, sizeof(d)) == sizeof(d) &&
	       S_ISDIR(le32_to_cpu(d.mode));
}

/* One that finds no place is an inode without a name, for a later round. */
int suspects_name(struct owfs_fs *fs, const struct suspects *s)
{
	char wish[40];
	size_t i;
	int ret = 0;

	for (i = 0; i < s->n && !ret && has_root_dir(fs); i++) {
		snprintf(wish, sizeof(wish), "#%" PRIu64 ".suspect",
			 s->v[i].was);
		ret = names_connect(fs, s->v[i].ino, wish);
		if (ret == -ENOENT || ret == -ENOSPC || ret == -EFSCORRUPTED)
			ret = 0;
	}
	return ret;
}

static int make_room(struct older *o, size_t len)
{
	void *more;

	if (o->n == o->cap) {
		more = realloc(o->v, (2 * o->cap + 16) * sizeof(*o->v));
		if (!more)
			return -ENOMEM;
		o->v = more;
		o->cap = 2 * o->cap + 16;
	}
	if (o->bytes_cap < o->nbytes + len) {
		more = realloc(o->bytes, 2 * o->bytes_cap + OWFS_ITEM_MAX);
		if (!more)
			return -ENOMEM;
		o->bytes = more;
		o->bytes_cap = 2 * o->bytes_cap + OWFS_ITEM_MAX;
	}
	return 0;
}

static int collect(void *ctx, const struct owfs_key *key, const void *val,
		   size_t len)
{
	struct older *o = ctx;
	int ret;

	/* what is an orphan the last commit's inodes say */
	if (owfs_key_ino(key) == OWFS_INO_ORPHANS)
		return 0;
	ret = make_room(o, len);
	if (ret)
		return ret;
	o->v[o->n++] = (struct older_item){ *key, o->nbytes, len };
	memcpy(o->bytes + o->nbytes, val, len);
	o->nbytes += (len + 7) & ~(size_t)7;	/* they are read as structures */
	return 0;
}

/* What can be read of that range; what cannot is lost there, too. */
static int collect_all(struct older *o, const struct fix *hole)
{
	const struct owfs_root *root = &o->ck->sb.root[1];
	const struct owfs_btree_param p = {
		.bc = o->ck->bc,
		.owner = OWFS_TREE_MAIN,
		.root = root->tree,
		.level = root->level,
		.open_gen = root->gen + 1,
	};
	struct owfs_btree *bt;
	int ret = owfs_btree_open(&bt, &p);

	if (ret)
		return ret;
	o->ck->mute = true;
	ret = owfs_btree_walk(bt, &hole->key, &hole->last, collect, o);
	o->ck->mute = false;
	owfs_btree_close(bt);
	return ret == -ENOMEM ? ret : 0;
}

/* Newer metadata has its blocks, or it cannot be told. */
static bool is_claimed(const struct older *o, const struct older_item *item)
{
	const struct check *ck = o->ck;
	struct owfs_extent ext;

	if (owfs_key_type(&item->key) != OWFS_ITEM_EXTENT)
		return false;
	return owfs_extent_from_disk(&ck->geo, o->gen, &item->key,
				     o->bytes + item->at, item->len, &ext) ||
	       usedmap_has(&ck->used, ext.fsblock, ext.len) ||
	       usedmap_has(&ck->maybe, ext.fsblock, ext.len) ||
	       (o->claims && usedmap_has(o->claims, ext.fsblock, ext.len));
}

static void tell(const struct older *o, owfs_ino_t ino, const char *what,
		 size_t n)
{
	char path[1024];

	path_of(o->ck, ino, path, sizeof(path));
	owfs_msg(o->ck->param->msg, OWFS_MSG_WARN, "%s: items=%zu path=%s",
		 what, n, path);
}

/* ------------------------------------------------------------ blocks claimed */

/* An intent means nothing for a file that is not what it was. */
static bool is_kept(const struct older *o, const struct older_item *item)
{
	unsigned int type = owfs_key_type(&item->key);

	return type == OWFS_ITEM_INODE || type == OWFS_ITEM_XATTR ||
	       type == OWFS_ITEM_XATTR_CHUNK ||
	       (type == OWFS_ITEM_EXTENT && !is_claimed(o, item));
}

static uint64_t blocks_of(const struct older *o, const struct older_item *item)
{
	struct owfs_extent ext;

	if (owfs_key_type(&item->key) != OWFS_ITEM_EXTENT ||
	    owfs_extent_from_disk(&o->ck->geo, o->gen,
				  &item->key, o->bytes + item->at, item->len,
				  &ext))
		return 0;
	return ext.len;
}

/* The inode item as that of a file that has only what is kept: it is first. */
static int mend_first(struct older *o, size_t i, size_t end)
{
	struct owfs_inode_item *d = (void *)(o->bytes + o->v[i].at);
	struct owfs_attr attr;
	uint64_t blocks = 0;
	size_t j;

	if (owfs_key_type(&o->v[i].key) != OWFS_ITEM_INODE ||
	    owfs_attr_from_disk(&attr, d, o->v[i].len) ||
	    !S_ISREG(attr.mode))
		return -ENOENT;
	for (j = i; j < end; j++)
		if (is_kept(o, &o->v[j]))
			blocks += blocks_of(o, &o->v[j]);
	d->nlink = cpu_to_le32(1);
	d->nblocks = cpu_to_le64(blocks);
	d->flags = cpu_to_le32(le32_to_cpu(d->flags) & ~OWFS_INODE_INTENTS);
	return 0;
}

static int put_rest(struct older *o, size_t i, size_t end, owfs_ino_t ino)
{
	size_t j;
	int ret = 0;

	for (j = i; j < end && !ret; j++) {
		const struct older_item *item = &o->v[j];

		if (is_kept(o, item))
			ret = tree_put_now(o->fs,
					   owfs_key(ino,
						    owfs_key_type(&item->key),
						    item->key.off),
					   o->bytes + item->at, item->len);
	}
	return ret;
}

/* No number, or the inode itself was not lost: then it gets nothing. */
static int save_rest(struct older *o, size_t i, size_t end)
{
	owfs_ino_t ino = owfs_key_ino(&o->v[i].key), new;
	char what[200];
	int ret = mend_first(o, i, end);

	if (!ret && owfs_trans_new_ino(o->fs, &new))
		ret = -ENOENT;
	snprintf(what, sizeof(what), "%s: inode %" PRIu64
		 ": %s has it, but its blocks are used by others%s",
		 ret ? "given up" : "suspect", ino, o->whence, ret ? "" : ": what is left is in lost+found, with holes");
	tell(o, ino, what, end - i);
	if (ret)
		return 0;
	ret = suspects_add(o->sus, ino, new);
	return ret ? ret : put_rest(o, i, end, new);
}

/* -------------------------------------------------------------- all of them */

/* The items [i, end), all that there are of one inode. */
static int put_inode_items(struct older *o, size_t i, size_t end)
{
	owfs_ino_t ino = owfs_key_ino(&o->v[i].key);
	char what[160];
	size_t j;
	int ret = 0;

	for (j = i; j < end; j++)
		if (is_claimed(o, &o->v[j]))
			return save_rest(o, i, end);
	snprintf(what, sizeof(what), "suspect: inode %" PRIu64
		 ": in part as it was in %s", ino, o->whence);
	tell(o, ino, what, end - i);
	for (j = i; j < end && !ret; j++)
		ret = tree_put_now(o->fs, o->v[j].key, o->bytes + o->v[j].at,
				   o->v[j].len);
	return ret;
}

static int put_all(struct older *o)
{
	size_t i, end;
	int ret = 0;

	for (i = 0; i < o->n && !ret; i = end) {
		for (end = i + 1; end < o->n; end++)
			if (owfs_key_ino(&o->v[end].key) !=
			    owfs_key_ino(&o->v[i].key))
				break;
		ret = put_inode_items(o, i, end);
	}
	free(o->v);
	free(o->bytes);
	return ret;
}

int fix_older(struct check *ck, struct owfs_fs *fs, const struct fix *hole,
	      struct suspects *sus)
{
	struct older o = { .ck = ck, .fs = fs, .sus = sus,
			   .whence = "the commit before",
			   .gen = ck->sb.root[1].gen };
	int ret = o.gen ? collect_all(&o, hole) : 0;

	if (ret)
		o.n = 0;
	return put_all(&o) ?: ret;
}

int fix_older_leaf(struct check *ck, struct owfs_fs *fs,
		   const struct owfs_ptr *leaf, const struct usedmap *claims,
		   struct suspects *sus)
{
	static const struct owfs_node_expect *const any;
	struct older o = { .ck = ck, .fs = fs, .sus = sus, .claims = claims,
			   .whence = "an older leaf", .gen = ck->root->gen };
	struct owfs_buf *buf;
	unsigned int i;
	char byte;
	int ret = owfs_buf_read(ck->bc, leaf, &owfs_node_buf_ops, any, &buf);

	if (ret)
		return ret;
	for (i = 0; i < owfs_node_nitems(buf->b_data) && !ret; i++) {
		struct owfs_key key = owfs_leaf_key(buf->b_data, i);

		if (!owfs_btree_is_empty(fs->fs_bt) &&
		    tree_get(fs, key, &byte, 1) != -ENOENT)
			continue;
		ret = collect(&o, &key, owfs_leaf_val(buf->b_data, i),
			      owfs_leaf_len(buf->b_data, i));
	}
	owfs_buf_put(buf);
	if (ret)
		o.n = 0;
	return put_all(&o) ?: ret;
}
