/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Blocks with two owners.
 *
 * Of two files each gets what is there: nobody can tell whose it was, and both
 * are named in the report.  The second owner's extent moves to fresh blocks,
 * some at a time, each with the data copied before the mapping changes.
 *
 * Of a node and a file the node is right, since it proved itself, and the
 * file's data is no longer there: it gets a hole.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/util.h"
#include "fixer.h"

#define COPY_BLOCKS	64u

/* ----------------------------------------------------------------- finding */

static int find_unmap(struct check *ck, const struct owfs_key *key,
		      const void *val, size_t len)
{
	struct owfs_extent ext;

	if (owfs_key_type(key) == OWFS_ITEM_EXTENT &&
	    !owfs_extent_from_disk(&ck->geo, ck->root->gen, key, val, len,
				   &ext) &&
	    usedmap_has(&ck->nodes, ext.fsblock, ext.len))
		fix_unmap(ck, *key);
	return 0;
}

int fix_collect_unmaps(struct check *ck)
{
	return ck->fixes->find_unmap ? pass2_each_item(ck, find_unmap) : 0;
}

/* ---------------------------------------------------------------- changing */

static int get_extent(struct check *ck, struct owfs_fs *fs,
		      const struct owfs_key *key, struct owfs_extent *ext)
{
	unsigned char val[OWFS_ITEM_MAX];
	int len = tree_get(fs, *key, val, sizeof(val));

	if (len < 0)
		return len;
	return owfs_extent_from_disk(&ck->geo, owfs_open_gen(fs), key, val,
				     (size_t)len, ext) ? -ENOENT : 0;
}

static int store_extent(struct owfs_trans *tr, owfs_ino_t ino,
			const struct owfs_extent *ext)
{
	struct owfs_key key = owfs_key(ino, OWFS_ITEM_EXTENT, ext->off);
	struct owfs_extent_item d;

	owfs_extent_to_disk(&d, ext);
	return tree_store(tr, &key, &d, sizeof(d));
}

static int lose_blocks(struct owfs_trans *tr, owfs_ino_t ino, uint64_t n)
{
	struct owfs_key key = owfs_key(ino, OWFS_ITEM_INODE, 0);
	struct owfs_inode_item d;
	uint64_t had;

	if (tree_get(tr->fs, key, &d, sizeof(d)) != sizeof(d))
		return 0;
	had = le64_to_cpu(d.nblocks);
	d.nblocks = cpu_to_le64(had > n ? had - n : 0);
	return tree_store(tr, &key, &d, sizeof(d));
}

/* ----------------------------------------------------------------- a hole */

/* The first @n blocks of @ext become an extent of their own, or go. */
static int cut_head(struct owfs_fs *fs, owfs_ino_t ino,
		    const struct owfs_extent *ext, uint64_t n, bool keep,
		    struct owfs_extent *rest)
{
	struct owfs_key at = owfs_key(ino, OWFS_ITEM_EXTENT, ext->off);
	struct owfs_extent head = *ext;
	struct owfs_trans tr;
	int ret;

	head.len = n;
	*rest = *ext;
	rest->off += n;
	rest->fsblock += n;
	rest->len -= n;
	ret = owfs_btree_prefetch(fs->fs_bt, &at);
	if (!ret)
		ret = tree_begin(fs, &tr, 4);
	if (ret)
		return ret;
	if (keep)
		store_extent(&tr, ino, &head);
	else if (!tree_erase(&tr, &at))
		lose_blocks(&tr, ino, n);
	if (!tr.err && rest->len)
		store_extent(&tr, ino, rest);
	return owfs_trans_end(&tr);
}

/*
 * One step: if @ext begins with blocks that nodes have, it loses those; else
 * it is cut before the first of them, and the rest is a step of its own.
 */
static int unmap_once(struct check *ck, struct owfs_fs *fs,
		      const struct owfs_key *key, const struct owfs_extent *ext,
		      struct owfs_extent *rest)
{
	bool lost = usedmap_has(&ck->nodes, ext->fsblock, 1);
	uint64_t n = usedmap_run(&ck->nodes, ext->fsblock, ext->len);

	return cut_head(fs, owfs_key_ino(key), ext, n, !lost, rest);
}

static int unmap(struct check *ck, struct owfs_fs *fs,
		 const struct owfs_key *key)
{
	struct owfs_extent ext, rest;
	int ret = get_extent(ck, fs, key, &ext);

	while (!ret && ext.len) {
		OWFS_RETRY(fs, ret, unmap_once(ck, fs, key, &ext, &rest));
		ext = rest;
	}
	return ret;
}

/* ----------------------------------------------------------------- a copy */

/* Up to the first one that cannot be read: *@n is how many, then. */
static int copy_blocks(struct check *ck, owfs_fsblock_t from,
		       owfs_fsblock_t to, uint64_t *n)
{
	size_t size = ck->sb.blocksize;
	uint64_t i;
	int ret = 0;

	for (i = 0; i < *n && !ret; i++) {
		if (owfs_blkdev_read(ck->bd, ck->copy, size,
				     (loff_t)((from + i) * size)))
			*n = i;
		else
			ret = owfs_blkdev_write(ck->bd, ck->copy, size,
						(loff_t)((to + i) * size));
	}
	return ret;
}

/* What cannot be read cannot be copied: a hole says that it is not there. */
static int give_up_block(struct check *ck, struct owfs_fs *fs, owfs_ino_t ino,
			 const struct owfs_extent *ext)
{
	struct owfs_extent rest;
	char path[1024];
	int ret = cut_head(fs, ino, ext, 1, false, &rest);

	if (ret)
		return ret;
	path_of(ck, ino, path, sizeof(path));
	owfs_msg(ck->param->msg, OWFS_MSG_WARN, "given up: inode %" PRIu64
		 ": a block of data that cannot be read: offset=%" PRIu64
		 " fsblock=%" PRIu64 " path=%s", ino, ext->off, ext->fsblock,
		 path);
	return 0;
}

/* The first @n blocks of @ext are at @to now, and the rest where it was. */
static int remap(struct owfs_fs *fs, owfs_ino_t ino,
		 const struct owfs_extent *ext, owfs_fsblock_t to, uint64_t n)
{
	struct owfs_key key = owfs_key(ino, OWFS_ITEM_EXTENT, ext->off);
	struct owfs_extent head = *ext, rest = *ext;
	struct owfs_trans tr;
	int ret = owfs_btree_prefetch(fs->fs_bt, &key);

	if (!ret)
		ret = tree_begin(fs, &tr, 2);
	if (ret)
		return ret;
	head.fsblock = to;
	head.len = n;
	head.birth = tr.gen;
	rest.off += n;
	rest.fsblock += n;
	rest.len -= n;
	owfs_alloc_use(fs->fs_al, to, n);
	if (!store_extent(&tr, ino, &head) && rest.len)
		store_extent(&tr, ino, &rest);
	return owfs_trans_end(&tr);
}

static int copy_once(struct check *ck, struct owfs_fs *fs, owfs_ino_t ino,
		     const struct owfs_extent *ext, uint64_t *done)
{
	uint64_t want = min_u64(ext->len, COPY_BLOCKS), len, n;
	owfs_fsblock_t to;
	int ret = owfs_alloc_reserve(fs->fs_al, want, OWFS_RESV_NORMAL);

	if (ret)
		return ret == -ENOSPC ? -EAGAIN : ret;
	ret = owfs_alloc_data(fs->fs_al, OWFS_NOBLOCK, want, &to, &len);
	if (ret) {
		owfs_alloc_unreserve(fs->fs_al, want);
		return ret;
	}
	owfs_alloc_unreserve(fs->fs_al, want - len);
	n = len;
	ret = copy_blocks(ck, ext->fsblock, to, &n);
	*done = n;
	if (!ret && n < len)
		owfs_alloc_unstage(fs->fs_al, to + n, len - n, false);
	if (!ret && n)
		ret = remap(fs, ino, ext, to, n);
	/* after an abort nothing is written any more, nor handed out */
	if (ret && !owfs_fs_writable(fs))
		owfs_alloc_unstage(fs->fs_al, to, n, false);
	return ret;
}

/* As far as there is room: another round goes on from there. */
static int copy(struct check *ck, struct owfs_fs *fs,
		const struct owfs_key *key)
{
	owfs_ino_t ino = owfs_key_ino(key);
	struct owfs_extent ext;
	uint64_t done = 0;
	bool some = false;
	int ret = get_extent(ck, fs, key, &ext);

	while (!ret && ext.len) {
		OWFS_RETRY(fs, ret, copy_once(ck, fs, ino, &ext, &done));
		if (!ret && !done) {
			OWFS_RETRY(fs, ret, give_up_block(ck, fs, ino, &ext));
			done = 1;
		}
		if (ret)
			break;
		some = true;
		ext.off += done;
		ext.fsblock += done;
		ext.len -= done;
	}
	return ret == -ENOSPC && some ? 0 : ret;
}

int data_apply(struct check *ck, struct owfs_fs *fs, const struct fix *f)
{
	return f->kind == FIX_UNMAP ? unmap(ck, fs, &f->key)
				    : copy(ck, fs, &f->key);
}
