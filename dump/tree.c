/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tree: all of it, or what belongs to one inode. */
#include <string.h>

#include "base/err.h"
#include "dump.h"
#include "tree/node.h"

/* ------------------------------------------------------------------- nodes */

static void show_child(struct out *o, const void *data, unsigned int i)
{
	struct owfs_key key = owfs_branch_key(data, i);
	struct owfs_ptr ptr = owfs_branch_ptr(data, i);

	out_open(o, NULL, OUT_LINE);
	out_u64(o, "ino", owfs_key_ino(&key));
	out_u64(o, "type", owfs_key_type(&key));
	out_u64(o, "off", key.off);
	out_u64(o, "addr", ptr.addr[0]);
	if (ptr.addr[1] != OWFS_NOBLOCK)
		out_u64(o, "addr2", ptr.addr[1]);
	out_u64(o, "birth", ptr.birth);
	out_hex(o, "csum", ptr.csum);
	out_close(o);
}

static int show_node(void *ctx, const struct owfs_ptr *ptr, unsigned int level,
		     const void *data)
{
	struct dump *d = ctx;
	struct out *o = &d->out;
	unsigned int i, n = owfs_node_nitems(data);

	out_open(o, NULL, OUT_OBJECT);
	out_u64(o, "node", ptr->addr[0]);
	if (ptr->addr[1] != OWFS_NOBLOCK)
		out_u64(o, "copy", ptr->addr[1]);
	out_u64(o, "level", level);
	out_u64(o, "birth", ptr->birth);
	out_hex(o, "csum", ptr->csum);
	out_open(o, level ? "children" : "items", OUT_ARRAY);
	for (i = 0; i < n; i++) {
		struct owfs_key key;

		if (level) {
			show_child(o, data, i);
			continue;
		}
		key = owfs_leaf_key(data, i);
		dump_item(o, &key, owfs_leaf_val(data, i),
			  owfs_leaf_len(data, i));
	}
	out_close(o);
	out_close(o);
	return 0;
}

static int show_bad_node(void *ctx, const struct owfs_ptr *ptr,
			 unsigned int level, int err)
{
	struct dump *d = ctx;

	if (err == -ENOMEM)
		return err;
	if (!d->err)
		d->err = err;
	out_open(&d->out, NULL, OUT_OBJECT);
	out_u64(&d->out, "node", ptr->addr[0]);
	out_u64(&d->out, "level", level);
	out_str(&d->out, "unreadable", strerror(-err));
	out_close(&d->out);
	return 0;
}

int dump_tree(struct dump *d)
{
	const struct owfs_btree_visitor v = {
		.enter = show_node, .bad = show_bad_node, .ctx = d };
	int ret;

	out_open(&d->out, "nodes", OUT_ARRAY);
	ret = owfs_btree_visit(d->bt, &v);
	out_close(&d->out);
	return ret < 0 ? ret : d->err;
}

/* ------------------------------------------------------------------ inodes */

static int show_item(void *ctx, const struct owfs_key *key, const void *val,
		     size_t len)
{
	struct dump *d = ctx;

	dump_item(&d->out, key, val, len);
	return 0;
}

/* Items of types [first, last] of the inode. */
static int show_items(struct dump *d, owfs_ino_t ino, unsigned int first,
		      unsigned int last)
{
	struct owfs_key from = { ino << 8 | first, 0 };
	struct owfs_key to = { ino << 8 | last, UINT64_MAX };
	int ret;

	out_open(&d->out, "items", OUT_ARRAY);
	ret = owfs_btree_walk(d->bt, &from, &to, show_item, d);
	out_close(&d->out);
	return ret;
}

int dump_inode(struct dump *d, owfs_ino_t ino)
{
	struct owfs_key key = owfs_key(ino, OWFS_ITEM_INODE, 0);
	struct owfs_inode_item item;
	int ret = 0;

	if (ino != OWFS_INO_ORPHANS)
		ret = owfs_btree_lookup(d->bt, &key, &item, sizeof(item));
	out_u64(&d->out, "inode", ino);
	if (ret < 0)
		return ret;
	return show_items(d, ino, 0, 255);
}

int dump_extents(struct dump *d, owfs_ino_t ino)
{
	out_u64(&d->out, "inode", ino);
	return show_items(d, ino, OWFS_ITEM_EXTENT, OWFS_ITEM_INTENT);
}

/* ------------------------------------------------------------------- paths */

struct entry_search {
	const char *name;
	size_t len;
	owfs_ino_t ino;		/* 0: not found */
};

static int match_entry(void *ctx, const struct owfs_key *key, const void *val,
		       size_t len)
{
	const struct owfs_dirent_item *de = val;
	struct entry_search *es = ctx;

	(void)key;
	if (len != sizeof(*de) + es->len ||
	    le16_to_cpu(de->namelen) != es->len ||
	    memcmp(de->name, es->name, es->len))
		return 0;
	es->ino = le64_to_cpu(de->ino);
	return 1;
}

int dump_resolve(struct dump *d, const char *path, owfs_ino_t *ino)
{
	*ino = OWFS_INO_ROOT;
	for (;;) {
		struct entry_search es = { 0 };
		struct owfs_key first, last;
		int ret;

		path += strspn(path, "/");
		if (!*path)
			return 0;
		es.name = path;
		es.len = strcspn(path, "/");
		first = owfs_key(*ino, OWFS_ITEM_DIRENT, 0);
		last = owfs_key(*ino, OWFS_ITEM_DIRENT, UINT64_MAX);
		ret = owfs_btree_walk(d->bt, &first, &last, match_entry, &es);
		if (ret < 0)
			return ret;
		if (!es.ino)
			return -ENOENT;
		*ino = es.ino;
		path += es.len;
	}
}
