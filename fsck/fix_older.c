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
#include "base/util.h"
#include "fixer.h"
#include "tree/node.h"

#define AT_ONCE	8u		/* items in a transaction */

struct older_item {
	struct owfs_key key;
	size_t at, len;			/* of its value in bytes */
};

/* The items of one inode. */
struct older {
	struct check *ck;
	struct owfs_fs *fs;
	struct suspects *sus;
	const struct fix *hole;		/* whose keys are wanted; or NULL */
	const char *whence;
	owfs_gen_t gen;
	const struct usedmap *claims;	/* besides those of the check */
	const struct key_ranges *covered;	/* by leaves of the last commit; or NULL */
	bool torn;			/* something of it could not be read */
	owfs_ino_t first;		/* that there was; 0: none */
	struct older_item *v;
	size_t n, cap;
	unsigned char *bytes;
	size_t nbytes, bytes_cap;
};

/* ------------------------------------------------------------------ suspects */

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
		OWFS_RETRY(fs, ret, names_connect(fs, s->v[i].ino, wish));
		if (ret == -ENOENT || ret == -ENOSPC || ret == -EFSCORRUPTED)
			ret = 0;
	}
	return ret;
}

/* --------------------------------------------------------------- collecting */

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

static int add_item(struct older *o, struct owfs_key key, const void *val,
		    size_t len)
{
	int ret = make_room(o, len);

	if (ret)
		return ret;
	o->v[o->n++] = (struct older_item){ key, o->nbytes, len };
	memcpy(o->bytes + o->nbytes, val, len);
	o->nbytes += (len + 7) & ~(size_t)7;	/* they are read as structures */
	return 0;
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
	       usedmap_has(o->claims, ext.fsblock, ext.len);
}

static void tell(const struct older *o, owfs_ino_t ino, const char *what,
		 size_t n)
{
	char path[1024];

	path_of(o->ck, ino, path, sizeof(path));
	owfs_msg(o->ck->param->msg, OWFS_MSG_WARN,
		 "%s: items=%zu path=%s", what, n, path);
}

/* --------------------------------------------------------------- putting there */

/* The blocks of an extent; false: it is none. */
static bool extent_of(const struct older *o, const struct older_item *item,
		      struct owfs_extent *ext)
{
	return owfs_key_type(&item->key) == OWFS_ITEM_EXTENT &&
	       !owfs_extent_from_disk(&o->ck->geo, o->gen, &item->key,
				      o->bytes + item->at, item->len, ext);
}

/* [i, i + n), all or, for want of room, none. */
static int put_some(struct older *o, owfs_ino_t ino, size_t i, size_t n)
{
	struct owfs_key key[AT_ONCE];
	struct owfs_extent ext;
	struct owfs_trans tr;
	size_t j;
	int ret = 0;

	for (j = 0; j < n && !ret; j++) {
		key[j] = o->v[i + j].key;
		key[j] = owfs_key(ino, owfs_key_type(&key[j]), key[j].off);
		ret = owfs_btree_prefetch(o->fs->fs_bt, &key[j]);
		if (!ret && extent_of(o, &o->v[i + j], &ext))
			ret = owfs_alloc_load(o->fs->fs_al, ext.fsblock, ext.len);
	}
	if (!ret)
		ret = tree_begin(o->fs, &tr, (unsigned int)n);
	if (ret)
		return ret;
	for (j = 0; j < n && !tr.err; j++) {
		tree_store(&tr, &key[j], o->bytes + o->v[i + j].at,
			   o->v[i + j].len);
		/* the last commit may have let go of them */
		if (extent_of(o, &o->v[i + j], &ext))
			owfs_alloc_reclaim(o->fs->fs_al, ext.fsblock, ext.len);
	}
	return owfs_trans_end(&tr);
}

/* What is there now is said as @what; *@done items are. */
static int put_items(struct older *o, owfs_ino_t was, owfs_ino_t ino,
		     const char *what, size_t *done)
{
	char full[160];
	size_t n;
	int ret = 0;

	for (*done = 0; *done < o->n && !ret; *done += ret ? 0 : n) {
		n = min_u64(o->n - *done, AT_ONCE);
		ret = put_some(o, ino, *done, n);
	}
	if (ret && ret != -EAGAIN && ret != -ENOSPC)
		return ret;
	if (*done)
		tell(o, was, what, *done);
	snprintf(full, sizeof(full), "given up: inode %" PRIu64
		 ": %s has it, but there is no room", was, o->whence);
	if (ret)
		tell(o, was, full, o->n - *done);
	return 0;
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

/* Whoever has its blocks now is in doubt as well. */
static int note_claim(const struct older *o, const struct older_item *item)
{
	struct owfs_extent ext;

	return extent_of(o, item, &ext) ?
	       owners_claimed(o->ck->fixes, ext.fsblock, ext.len) : 0;
}

static int drop_claimed(struct older *o)
{
	size_t i, kept = 0;
	int ret = 0;

	for (i = 0; i < o->n && !ret; i++) {
		if (is_claimed(o, &o->v[i]))
			ret = note_claim(o, &o->v[i]);
		if (is_kept(o, &o->v[i]))
			o->v[kept++] = o->v[i];
	}
	o->n = kept;
	return ret;
}

static uint64_t blocks_of(const struct older *o)
{
	struct owfs_extent ext;
	uint64_t blocks = 0;
	size_t i;

	for (i = 0; i < o->n; i++)
		if (extent_of(o, &o->v[i], &ext))
			blocks += ext.len;
	return blocks;
}

static bool has_inode_item(const struct older *o)
{
	return o->n && owfs_key_type(&o->v[0].key) == OWFS_ITEM_INODE;
}

/* Extents whose inode was not lost: another one like it is to have them. */
static int borrow_inode(struct older *o, owfs_ino_t ino)
{
	struct owfs_key key = owfs_key(ino, OWFS_ITEM_INODE, 0);
	struct owfs_inode_item d;
	struct older_item first;
	int ret;

	if (has_inode_item(o) || !blocks_of(o) ||
	    owfs_btree_is_empty(o->fs->fs_bt) ||
	    tree_get(o->fs, key, &d, sizeof(d)) != sizeof(d) || !d.nlink.raw)
		return 0;
	ret = add_item(o, key, &d, sizeof(d));
	if (ret)
		return ret;
	first = o->v[o->n - 1];
	memmove(&o->v[1], &o->v[0], (o->n - 1) * sizeof(first));
	o->v[0] = first;
	return 0;
}

/* The inode item as that of a file that has only what is kept: it is first. */
static bool mend_first(struct older *o)
{
	struct owfs_inode_item *d;
	struct owfs_attr attr;

	if (!has_inode_item(o))
		return false;
	d = (void *)(o->bytes + o->v[0].at);
	if (owfs_attr_from_disk(&attr, d, o->v[0].len) || !S_ISREG(attr.mode))
		return false;
	d->nlink = cpu_to_le32(1);
	d->nblocks = cpu_to_le64(blocks_of(o));
	d->flags = cpu_to_le32(le32_to_cpu(d->flags) & ~OWFS_INODE_INTENTS);
	return true;
}

/* Without an inode item, or a number, there is no inode for what is left. */
static int save_rest(struct older *o)
{
	owfs_ino_t ino = owfs_key_ino(&o->v[0].key), new;
	size_t n = o->n, done;
	char what[200];
	bool saved;
	int ret;

	ret = drop_claimed(o);
	if (!ret)
		ret = borrow_inode(o, ino);
	if (ret)
		return ret;
	saved = mend_first(o) && !owfs_trans_new_ino(o->fs, &new);
	snprintf(what, sizeof(what), "%s: inode %" PRIu64
		 ": %s has it, but its blocks are used by others%s",
		 saved ? "suspect" : "given up", ino, o->whence, saved ?
		 ": what is left is in lost+found, with holes" : "");
	if (!saved) {
		tell(o, ino, what, n);
		return 0;
	}
	ret = put_items(o, ino, new, what, &done);
	return ret || !done ? ret : suspects_add(o->sus, ino, new);
}

/* -------------------------------------------------------------- all of them */

/* All that there is of one inode. */
static int put_inode(struct older *o)
{
	owfs_ino_t ino;
	char what[160];
	size_t i;
	int ret = 0;

	if (!o->n)
		return 0;
	ino = owfs_key_ino(&o->v[0].key);
	if (!o->first)
		o->first = ino;
	for (i = 0; i < o->n; i++)
		if (is_claimed(o, &o->v[i]))
			break;
	snprintf(what, sizeof(what), "suspect: inode %" PRIu64
		 ": in part as it was in %s", ino, o->whence);
	ret = i < o->n ? save_rest(o) : put_items(o, ino, ino, what, &i);
	o->n = o->nbytes = 0;
	return ret;
}

/* When the next inode begins the one before goes where it belongs. */
static int take_item(struct older *o, struct owfs_key key, const void *val,
		     size_t len)
{
	int ret = 0;

	/* what is an orphan the last commit's inodes say */
	if (owfs_key_ino(&key) == OWFS_INO_ORPHANS)
		return 0;
	if (o->n && owfs_key_ino(&key) != owfs_key_ino(&o->v[0].key))
		ret = put_inode(o);
	return ret ? ret : add_item(o, key, val, len);
}

static bool is_wanted(const struct older *o, const struct owfs_key *key)
{
	char byte;

	if (o->hole)
		return owfs_key_cmp(key, &o->hole->key) >= 0 &&
		       owfs_key_cmp(key, &o->hole->last) <= 0;
	return owfs_btree_is_empty(o->fs->fs_bt) ||
	       tree_get(o->fs, *key, &byte, 1) == -ENOENT;
}

/* Does a leaf of the last commit say what has become of this one? */
static bool is_covered(const struct older *o, const void *leaf)
{
	const struct key_ranges *kr = o->covered;
	struct owfs_key first = owfs_node_first(leaf), last = owfs_node_last(leaf);
	size_t lo = 0, hi = kr ? kr->n : 0, mid;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (owfs_key_cmp(&kr->v[mid].last, &first) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return kr && lo < kr->n && owfs_key_cmp(&kr->v[lo].first, &last) <= 0;
}

static int take_node(void *ctx, const struct owfs_ptr *ptr, unsigned int level,
		     const void *data)
{
	struct older *o = ctx;
	unsigned int i;
	int ret = 0;

	(void)ptr;
	if (level || !owfs_node_nitems(data) || is_covered(o, data))
		return 0;
	for (i = 0; i < owfs_node_nitems(data) && !ret; i++) {
		struct owfs_key key = owfs_leaf_key(data, i);

		if (is_wanted(o, &key))
			ret = take_item(o, key, owfs_leaf_val(data, i),
					owfs_leaf_len(data, i));
	}
	return ret;
}

static int end(struct older *o, int ret)
{
	if (!ret)
		ret = put_inode(o);
	free(o->v);
	free(o->bytes);
	return ret;
}

/* What cannot be read is lost there, too. */
static int skip_torn(void *ctx, const struct owfs_ptr *ptr, unsigned int level,
		     int err)
{
	struct older *o = ctx;

	o->torn = true;
	return pass2_skip_bad(o->ck, ptr, level, err);
}

int fix_older(struct check *ck, struct owfs_fs *fs, const struct fix *hole,
	      const struct usedmap *claims, const struct key_ranges *covered,
	      struct suspects *sus, struct outcome *out)
{
	const struct owfs_root *root = &ck->sb.root[1];
	struct older o = { .ck = ck, .fs = fs, .sus = sus, .hole = hole,
			   .claims = claims, .covered = covered,
			   .whence = "the commit before", .gen = root->gen };
	const struct owfs_btree_visitor v = {
		.enter = take_node, .bad = skip_torn, .ctx = &o,
		.from = &hole->key, .to = &hole->last };
	struct owfs_btree *bt;
	int ret;

	if (!root->gen)
		return 0;
	ret = check_open_tree(ck, root, &bt);
	if (ret)
		return ret;
	ck->mute = true;
	ret = owfs_btree_visit(bt, &v);
	ck->mute = false;
	owfs_btree_close(bt);
	ret = end(&o, ret);
	out->named = o.first == owfs_key_ino(&hole->key);
	out->whole = !o.torn;
	return ret;
}

int fix_older_leaf(struct check *ck, struct owfs_fs *fs,
		   const struct owfs_ptr *leaf, const struct usedmap *claims,
		   struct suspects *sus)
{
	static const struct owfs_node_expect *const any;
	struct older o = { .ck = ck, .fs = fs, .sus = sus, .claims = claims,
			   .whence = "an older leaf", .gen = ck->root->gen };
	struct owfs_buf *buf;
	int ret = owfs_buf_read(ck->bc, leaf, &owfs_node_buf_ops, any, &buf);

	if (ret)
		return ret;
	ret = take_node(&o, leaf, 0, buf->b_data);
	owfs_buf_put(buf);
	return end(&o, ret);
}
