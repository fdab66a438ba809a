/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Entries, lost+found and the root directory.  A directory's sums change in
 * the transaction that changes its entries.
 */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/util.h"
#include "fixer.h"
#include "object/dir.h"
#include "object/orphan.h"

#define LOST_TRIES	100	/* other names, if one is taken */

/* ----------------------------------------------------------------- entries */

struct sweep {
	struct check *ck;
	bool only_look;
};

static void note_entry(struct check *ck, const struct owfs_key *key,
		       const struct owfs_dirent_item *d, size_t len,
		       struct ino_rec *rec)
{
	union {
		struct owfs_dirent_item d;
		char bytes[sizeof(struct owfs_dirent_item) + OWFS_NAME_MAX];
	} e;

	if ((rec->fix & INO_FIX_DROP) ||
	    ((rec->fix & INO_FIX_ONE) && rec->named_in != owfs_key_ino(key))) {
		fix_entry(ck, FIX_NAMES, *key, d->ftype == DT_DIR);
	} else if (rec->fix & INO_FIX_ONE) {
		rec->fix = INO_FIX_DROP;	/* this one stays */
	} else if (rec->fix & INO_FIX_FTYPE && d->ftype != rec->ftype) {
		memcpy(&e, d, len);
		e.d.ftype = rec->ftype;
		fix_put(ck, FIX_NAMES, *key, &e, len);
	}
}

static int sweep_entry(void *ctx, const struct owfs_key *key, const void *val,
		       size_t len)
{
	const struct owfs_dirent_item *d = val;
	struct sweep *s = ctx;
	struct ino_rec *rec;

	if (owfs_key_type(key) != OWFS_ITEM_DIRENT ||
	    owfs_dirent_check(d, len, key->off))
		return 0;
	rec = inotab_find(&s->ck->inos, le64_to_cpu(d->ino));
	if (!rec || !rec->fix)
		return 0;
	/* of several names a directory keeps the one its own ".." agrees with */
	if (s->only_look) {
		if (rec->parent == owfs_key_ino(key))
			pass4_set_name(rec, key);
	} else {
		note_entry(s->ck, key, d, len, rec);
	}
	return 0;
}

int fix_collect_entries(struct check *ck)
{
	struct owfs_key first = OWFS_KEY_MIN, last = OWFS_KEY_MAX;
	struct sweep look = { ck, true }, take = { ck, false };
	struct ino_rec *rec;
	bool any = false;
	int ret;

	inotab_for_each(&ck->inos, rec)
		any |= rec->fix != 0;
	if (!any)
		return 0;
	ret = owfs_btree_walk(ck->bt, &first, &last, sweep_entry, &look);
	if (!ret)
		ret = owfs_btree_walk(ck->bt, &first, &last, sweep_entry,
				      &take);
	return ret;
}

/* Add to the sums of a directory whose entries change. */
static void count_entry(struct owfs_inode_item *d, int entries, int subdirs)
{
	uint64_t size = le64_to_cpu(d->size);
	uint32_t nlink = le32_to_cpu(d->nlink);

	if (size || entries > 0)
		d->size = cpu_to_le64(size + (uint64_t)entries);
	if (nlink > 2 || subdirs > 0)
		d->nlink = cpu_to_le32(nlink + (uint32_t)subdirs);
}

static int get_inode(struct owfs_fs *fs, owfs_ino_t ino,
		     struct owfs_inode_item *d)
{
	int len = tree_get(fs, owfs_key(ino, OWFS_ITEM_INODE, 0), d,
			   sizeof(*d));

	if (len < 0)
		return len;
	return len == sizeof(*d) ? 0 : -EFSCORRUPTED;
}

static int put_inode(struct owfs_trans *tr, owfs_ino_t ino,
		     const struct owfs_inode_item *d)
{
	struct owfs_key key = owfs_key(ino, OWFS_ITEM_INODE, 0);

	return tree_store(tr, &key, d, sizeof(*d));
}

static int remove_once(struct owfs_fs *fs, const struct fix *f)
{
	owfs_ino_t dir = owfs_key_ino(&f->key);
	struct owfs_inode_item d;
	struct owfs_trans tr;
	bool counted = !get_inode(fs, dir, &d);
	int ret = owfs_btree_prefetch(fs->fs_bt, &f->key);

	if (!ret)
		ret = tree_begin(fs, &tr, 2);
	if (ret)
		return ret;
	if (!tree_erase(&tr, &f->key) && counted) {
		count_entry(&d, -1, f->value ? -1 : 0);
		put_inode(&tr, dir, &d);
	}
	return owfs_trans_end(&tr);
}

/* -------------------------------------------------------------- lost+found */

static void new_inode(struct owfs_fs *fs, struct owfs_inode_item *d,
		      uint32_t mode)
{
	struct owfs_attr attr = {
		.mode = mode,
		.nlink = 2,
		.parent = OWFS_INO_ROOT,
		.gen = owfs_open_gen(fs),
		.xattr_next = 1,
	};

	owfs_fs_now(fs, &attr.btime);
	attr.atime = attr.mtime = attr.ctime = attr.btime;
	owfs_attr_to_disk(d, &attr);
}

static int make_lost_found(struct owfs_fs *fs, const char *name,
			   const struct owfs_dirslot *slot, owfs_ino_t *ino)
{
	struct owfs_inode_item root, d;
	struct owfs_trans tr;
	int ret = get_inode(fs, OWFS_INO_ROOT, &root);

	if (!ret)
		ret = owfs_trans_new_ino(fs, ino);
	if (!ret)
		ret = owfs_btree_prefetch(fs->fs_bt, &slot->key);
	if (!ret)
		ret = tree_begin(fs, &tr, 3);
	if (ret)
		return ret;
	new_inode(fs, &d, S_IFDIR | 0700);
	count_entry(&root, 1, 1);
	if (!put_inode(&tr, *ino, &d) &&
	    !put_inode(&tr, OWFS_INO_ROOT, &root))
		owfs_dir_insert(&tr, slot, name, strlen(name), *ino, S_IFDIR);
	return owfs_trans_end(&tr);
}

/* A free name, or one that is what is wanted: *slot says which. */
static int find_name(struct owfs_fs *fs, owfs_ino_t dir, const char *wish,
		     bool dir_will_do, char *name, size_t size,
		     struct owfs_dirslot *slot)
{
	int i, ret;

	for (i = 0; i < LOST_TRIES; i++) {
		snprintf(name, size, i ? "%s.%d" : "%s", wish, i);
		ret = owfs_dir_find(fs, dir, name, strlen(name), slot);
		if (ret == -ENOENT && slot->full)
			continue;
		if (ret == -ENOENT || (!ret && dir_will_do &&
				       slot->ftype == DT_DIR))
			return 0;
		if (ret)
			return ret;
	}
	return -ENOSPC;
}

static int lost_found(struct owfs_fs *fs, owfs_ino_t *ino)
{
	struct owfs_dirslot slot;
	char name[OWFS_NAME_MAX + 1];
	int ret = find_name(fs, OWFS_INO_ROOT, "lost+found", true, name,
			    sizeof(name), &slot);

	if (ret)
		return ret;
	*ino = slot.ino;
	return slot.ino ? 0 : make_lost_found(fs, name, &slot, ino);
}

/* Only a name was missing: all else of the inode stays as it is. */
static void give_name(struct owfs_inode_item *d, owfs_ino_t dir, bool is_dir)
{
	if (is_dir)
		d->parent = cpu_to_le64(dir);
	else
		d->nlink = cpu_to_le32(1);
}

int names_connect(struct owfs_fs *fs, owfs_ino_t ino, const char *wish)
{
	struct owfs_inode_item lf, d;
	struct owfs_dirslot slot;
	char name[OWFS_NAME_MAX + 1];
	struct owfs_trans tr;
	uint32_t mode;
	owfs_ino_t dir;
	int ret = lost_found(fs, &dir);

	if (ret == -ENOSPC) {	/* no number is left, or no name */
		dir = OWFS_INO_ROOT;
		ret = 0;
	}
	if (!ret)
		ret = get_inode(fs, dir, &lf);
	if (!ret)
		ret = get_inode(fs, ino, &d);
	if (!ret)
		ret = find_name(fs, dir, wish, false, name, sizeof(name),
				&slot);
	if (!ret)
		ret = owfs_btree_prefetch(fs->fs_bt, &slot.key);
	if (!ret)
		ret = tree_begin(fs, &tr, 4);
	if (ret)
		return ret;
	mode = le32_to_cpu(d.mode);
	give_name(&d, dir, S_ISDIR(mode));
	count_entry(&lf, 1, S_ISDIR(mode) ? 1 : 0);
	if (!put_inode(&tr, ino, &d) && !put_inode(&tr, dir, &lf))
		owfs_dir_insert(&tr, &slot, name, strlen(name), ino, mode);
	return owfs_trans_end(&tr);
}

/* Of one that has entries only those are known, and not whose they were. */
static int make_root(struct owfs_fs *fs)
{
	struct owfs_key key = owfs_key(OWFS_INO_ROOT, OWFS_ITEM_DIRENT, 0);
	struct owfs_key last = owfs_key(OWFS_INO_ROOT, OWFS_ITEM_DIRENT,
					UINT64_MAX);
	struct owfs_inode_item d;
	char byte;
	bool used = !owfs_btree_is_empty(fs->fs_bt) &&
		    owfs_btree_next(fs->fs_bt, &key, &last, &byte, 1) >= 0;

	new_inode(fs, &d, S_IFDIR | (used ? 0700 : 0755));
	return tree_put(fs, owfs_key(OWFS_INO_ROOT, OWFS_ITEM_INODE, 0), &d,
			sizeof(d));
}

int names_apply(struct owfs_fs *fs, const struct fix *f)
{
	owfs_ino_t ino = owfs_key_ino(&f->key);
	char wish[32];
	int ret;

	switch (f->kind) {
	case FIX_ENTRY:
		OWFS_RETRY(fs, ret, remove_once(fs, f));
		return ret;
	case FIX_LOST:
		snprintf(wish, sizeof(wish), "#%" PRIu64, ino);
		OWFS_RETRY(fs, ret, names_connect(fs, ino, wish));
		return ret;
	case FIX_ROOT:
		return make_root(fs);
	default:
		return -EINVAL;
	}
}
