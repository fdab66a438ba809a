/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Directory entries: found by the hash of the name, compared by the name.
 *
 * All entries of one hash lie side by side under the same i_lock; one walk
 * over them finds the name, or the lowest sequence that a new one could have.
 */
#include <dirent.h>
#include <string.h>

#include "base/checksum.h"
#include "base/err.h"
#include "object/dir.h"
#include "object/itable.h"

#define SEQ_LAST	((1u << OWFS_HASH_SEQ_BITS) - 1)

uint64_t owfs_name_hash(const struct owfs_fs *fs, const char *name, size_t len)
{
	uint64_t hash = owfs_checksum(fs->fs_super.hash_seed, name, len) >>
			(64 - OWFS_HASH_BITS);

	hash &= fs->fs_itable->it_hash_mask;
	return hash ? hash : 1;
}

bool owfs_name_is_possible(const char *name, size_t len)
{
	if (len == 0 || len > OWFS_NAME_MAX)
		return false;
	if (name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')))
		return false;
	return !memchr(name, '/', len) && !memchr(name, '\0', len);
}

int owfs_dirent_check(const struct owfs_dirent_item *d, size_t len,
		      uint64_t off)
{
	size_t namelen;
	owfs_ino_t ino;

	if (len < sizeof(*d) || off >> OWFS_HASH_SEQ_BITS == 0 ||
	    off >> (OWFS_HASH_BITS + OWFS_HASH_SEQ_BITS) != 0)
		return -EFSCORRUPTED;
	namelen = le16_to_cpu(d->namelen);
	ino = le64_to_cpu(d->ino);
	if (len != sizeof(*d) + namelen || d->zero || le32_to_cpu(d->zero32) ||
	    !owfs_name_is_possible(d->name, namelen) ||
	    ino < OWFS_INO_FIRST || ino > OWFS_INO_MAX)
		return -EFSCORRUPTED;
	switch (d->ftype) {
	case DT_FIFO:
	case DT_CHR:
	case DT_DIR:
	case DT_BLK:
	case DT_REG:
	case DT_LNK:
	case DT_SOCK:
		return 0;
	default:
		return -EFSCORRUPTED;
	}
}

static int dir_bad(struct owfs_fs *fs, owfs_ino_t dir, uint64_t off)
{
	return owfs_fs_fail(fs, -EFSCORRUPTED,
			    "directory %llu: bad entry: cookie=%llu",
			    (unsigned long long)dir, (unsigned long long)off);
}

/* ---------------------------------------------------------------- looking */

struct find {
	const char *name;
	size_t len;
	struct owfs_dirslot *slot;
	uint64_t next;		/* lowest offset not seen taken */
	uint64_t bad;		/* where a bad entry is */
};

static int find_entry(void *ctx, const struct owfs_key *key, const void *val,
		      size_t len)
{
	const struct owfs_dirent_item *d = val;
	struct find *f = ctx;

	if (owfs_dirent_check(d, len, key->off)) {
		f->bad = key->off;
		return -EFSCORRUPTED;
	}
	if (key->off == f->next)
		f->next++;
	if (len - sizeof(*d) != f->len || memcmp(d->name, f->name, f->len))
		return 0;
	f->slot->key = *key;
	f->slot->ino = le64_to_cpu(d->ino);
	f->slot->ftype = d->ftype;
	return 1;
}

int owfs_dir_find(struct owfs_fs *fs, owfs_ino_t dir, const char *name,
		  size_t len, struct owfs_dirslot *slot)
{
	uint64_t hash = owfs_name_hash(fs, name, len) << OWFS_HASH_SEQ_BITS;
	struct owfs_key first = owfs_key(dir, OWFS_ITEM_DIRENT, hash);
	struct owfs_key last = first;
	struct find f = { name, len, slot, first.off, 0 };
	int ret;

	last.off |= SEQ_LAST;
	ret = owfs_btree_walk(fs->fs_bt, &first, &last, find_entry, &f);
	if (ret == 1)
		return 0;
	if (ret == -EFSCORRUPTED && f.bad)
		return dir_bad(fs, dir, f.bad);
	if (ret)
		return ret;
	slot->full = f.next > last.off;
	slot->key = first;
	slot->key.off = f.next;
	slot->ino = 0;
	return -ENOENT;
}

int owfs_dir_check_empty(struct owfs_fs *fs, owfs_ino_t dir)
{
	struct owfs_key key = owfs_key(dir, OWFS_ITEM_DIRENT, 0);
	struct owfs_key last = owfs_key(dir, OWFS_ITEM_DIRENT, UINT64_MAX);
	struct owfs_dirent_item d;
	int ret = owfs_btree_next(fs->fs_bt, &key, &last, &d, sizeof(d));

	if (ret == -ENOENT)
		return 0;
	return ret < 0 ? ret : -ENOTEMPTY;
}

/* --------------------------------------------------------------- changing */

/* The longest entry fits one item. */
static_assert(sizeof(struct owfs_dirent_item) + OWFS_NAME_MAX <= OWFS_ITEM_MAX,
	      "format");

static int entry_write(struct owfs_trans *tr, const struct owfs_dirslot *slot,
		       const char *name, size_t len, owfs_ino_t ino,
		       uint32_t mode, bool insert)
{
	struct owfs_btree *bt = tr->fs->fs_bt;
	union {
		struct owfs_dirent_item d;
		char bytes[sizeof(struct owfs_dirent_item) + OWFS_NAME_MAX];
	} e = {
		.d.ino = cpu_to_le64(ino),
		.d.namelen = cpu_to_le16((uint16_t)len),
		.d.ftype = IFTODT(mode),
	};
	int ret;

	memcpy(e.d.name, name, len);
	if (insert)
		ret = owfs_btree_insert(bt, &slot->key, &e,
					sizeof(e.d) + len);
	else
		ret = owfs_btree_update(bt, &slot->key, &e,
					sizeof(e.d) + len);
	return ret ? owfs_trans_abort(tr, ret, "directory entry") : 0;
}

int owfs_dir_insert(struct owfs_trans *tr, const struct owfs_dirslot *slot,
		    const char *name, size_t len, owfs_ino_t ino,
		    uint32_t mode)
{
	return entry_write(tr, slot, name, len, ino, mode, true);
}

int owfs_dir_replace(struct owfs_trans *tr, const struct owfs_dirslot *slot,
		     const char *name, size_t len, owfs_ino_t ino,
		     uint32_t mode)
{
	return entry_write(tr, slot, name, len, ino, mode, false);
}

int owfs_dir_remove(struct owfs_trans *tr, const struct owfs_dirslot *slot)
{
	int ret = owfs_btree_delete(tr->fs->fs_bt, &slot->key);

	return ret ? owfs_trans_abort(tr, ret, "directory entry") : 0;
}

/* ---------------------------------------------------------------- reading */

struct batch {
	char *buf;
	size_t size, used;
	unsigned int n;
	uint64_t bad;
};

static size_t view_size(size_t namelen)
{
	size_t align = _Alignof(struct owfs_dirent_view);

	return (sizeof(struct owfs_dirent_view) + namelen + align - 1) &
	       ~(align - 1);
}

const struct owfs_dirent_view *
owfs_dirent_view_next(const struct owfs_dirent_view *v)
{
	return (const void *)((const char *)v + view_size(v->namelen));
}

static int batch_entry(void *ctx, const struct owfs_key *key, const void *val,
		       size_t len)
{
	const struct owfs_dirent_item *d = val;
	struct owfs_dirent_view *v;
	struct batch *b = ctx;
	size_t namelen;

	if (owfs_dirent_check(d, len, key->off)) {
		b->bad = key->off;
		return -EFSCORRUPTED;
	}
	namelen = len - sizeof(*d);
	if (b->used + view_size(namelen) > b->size)
		return 1;
	v = (void *)(b->buf + b->used);
	v->cookie = key->off;
	v->ino = le64_to_cpu(d->ino);
	v->ftype = d->ftype;
	v->namelen = (unsigned char)namelen;
	memcpy(v->name, d->name, namelen);
	b->used += view_size(namelen);
	b->n++;
	return 0;
}

int owfs_dir_read(struct owfs_fs *fs, owfs_ino_t dir, uint64_t cookie,
		  void *buf, size_t size, unsigned int *n)
{
	struct owfs_key first = owfs_key(dir, OWFS_ITEM_DIRENT, cookie);
	struct owfs_key last = owfs_key(dir, OWFS_ITEM_DIRENT, UINT64_MAX);
	struct batch b = { .buf = buf, .size = size };
	int ret = owfs_btree_walk(fs->fs_bt, &first, &last, batch_entry, &b);

	*n = b.n;
	if (ret == -EFSCORRUPTED && b.bad)
		return dir_bad(fs, dir, b.bad);
	if (ret < 0)
		return ret;
	return ret == 0;
}
