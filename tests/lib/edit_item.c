/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Items put and taken away by transactions, so that nothing else is wrong. */
#include <errno.h>
#include <string.h>

#include "base/checksum.h"
#include "edit_impl.h"
#include "trans/commit.h"
#include "trans/trans.h"

static int begin(struct owfs_fs *fs, struct owfs_trans *tr,
		 const struct owfs_key *key)
{
	int ret = owfs_btree_prefetch(fs->fs_bt, key);

	return ret ? ret : owfs_trans_begin(fs, tr, 2, 2, OWFS_RESV_FREEING);
}

static int end(struct owfs_trans *tr, int ret)
{
	if (ret)
		owfs_trans_abort(tr, ret, "edit");
	return owfs_trans_end(tr);
}

static int put(struct owfs_fs *fs, struct owfs_key key, const void *val,
	       size_t len)
{
	struct owfs_trans tr;
	int ret = begin(fs, &tr, &key);

	if (ret)
		return ret;
	ret = owfs_btree_update(fs->fs_bt, &key, val, len);
	if (ret == -ENOENT)
		ret = owfs_btree_insert(fs->fs_bt, &key, val, len);
	return end(&tr, ret);
}

static int del(struct owfs_fs *fs, struct owfs_key key)
{
	struct owfs_trans tr;
	int ret = begin(fs, &tr, &key);

	return ret ? ret : end(&tr, owfs_btree_delete(fs->fs_bt, &key));
}

/* Each leaf is changed, and with it all that leads there. */
static int renew(struct owfs_fs *fs)
{
	const struct owfs_key last = OWFS_KEY_MAX;
	struct owfs_key key = OWFS_KEY_MIN;
	unsigned char val[OWFS_ITEM_MAX];
	int len;

	for (;; key = owfs_key_next(&key)) {
		len = owfs_btree_next(fs->fs_bt, &key, &last, val, sizeof(val));
		if (len < 0)
			return len == -ENOENT ? 0 : len;
		len = put(fs, key, val, (size_t)len);
		if (len)
			return len;
	}
}

/* @key NULL: nothing but new nodes; @val NULL: the item goes. */
static int commit(struct edit *ed, const struct owfs_key *key, const void *val,
		  size_t len)
{
	const struct owfs_fs_param p = { .bd = ed->bd, .env = ed->env };
	struct owfs_fs *fs;
	int ret = owfs_fs_open(&fs, &p);

	if (ret)
		return edit_fail(ed, "cannot be opened: %s", strerror(-ret));
	if (key)
		ret = val ? put(fs, *key, val, len) : del(fs, *key);
	if (!ret)
		ret = renew(fs);
	if (!ret)
		ret = owfs_fs_sync_and_clean(fs);
	owfs_fs_close(fs);
	edit_refresh(ed);
	return ret ? edit_fail(ed, "cannot be changed: %s", strerror(-ret)) : 0;
}

int edit_put(struct edit *ed, struct owfs_key key, const void *val, size_t len)
{
	return commit(ed, &key, val, len);
}

int edit_del(struct edit *ed, struct owfs_key key)
{
	return commit(ed, &key, NULL, 0);
}

int edit_renew(struct edit *ed)
{
	return commit(ed, NULL, NULL, 0);
}

struct owfs_key edit_hash_key(struct edit *ed, owfs_ino_t ino,
			      enum owfs_item_type type, const char *name)
{
	uint64_t hash = owfs_checksum(ed->sb.hash_seed, name, strlen(name)) >>
			(64 - OWFS_HASH_BITS);

	return owfs_key(ino, type, (hash ? hash : 1) << OWFS_HASH_SEQ_BITS);
}
