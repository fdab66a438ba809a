/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Entries of directories, as items keyed (directory, DIRENT, hash << 8 | seq).
 *
 * The hash is 55 bits of the name's, the sequence the lowest that was free
 * among names of the same hash when the entry was made; both stay until it is
 * removed, so the offset is a stable cookie.  A 257th name of one hash does
 * not fit: adding it is -ENOSPC.  With the hash seeded by mkfs and unknown to
 * whoever chooses names, that takes about 2^54 names in one directory.
 *
 * Callers hold the directory's i_lock: for reading to look, for writing to
 * change.  Attributes of the directory (size: entries, nlink, times) are
 * theirs.
 */
#ifndef OWFS_OBJECT_DIR_H
#define OWFS_OBJECT_DIR_H

#include "object/inode.h"

/* Where a name is, or where it would go. */
struct owfs_dirslot {
	struct owfs_key key;
	owfs_ino_t ino;			/* found: what it names ... */
	unsigned char ftype;		/* ... and its DT_ type */
	bool full;			/* -ENOENT only: no sequence is left */
};

/* 55 bits, never 0. */
uint64_t owfs_name_hash(const struct owfs_fs *fs, const char *name, size_t len);

/* 1 to 255 bytes, neither "." nor "..", no '/', no NUL. */
bool owfs_name_is_possible(const char *name, size_t len);

/* 0; -ENOENT: *slot is free, or full; other errors. */
int owfs_dir_find(struct owfs_fs *fs, owfs_ino_t dir, const char *name,
		  size_t len, struct owfs_dirslot *slot);
/* 0, -ENOTEMPTY, other errors. */
int owfs_dir_check_empty(struct owfs_fs *fs, owfs_ino_t dir);

/* Write an entry at *slot: a new one, or other contents for the one there. */
int owfs_dir_insert(struct owfs_trans *tr, const struct owfs_dirslot *slot,
		    const char *name, size_t len, owfs_ino_t ino,
		    uint32_t mode);
int owfs_dir_replace(struct owfs_trans *tr, const struct owfs_dirslot *slot,
		     const char *name, size_t len, owfs_ino_t ino,
		     uint32_t mode);
int owfs_dir_remove(struct owfs_trans *tr, const struct owfs_dirslot *slot);

/* An entry as it comes out of the tree. */
struct owfs_dirent_view {
	uint64_t cookie;
	owfs_ino_t ino;
	unsigned char ftype;
	unsigned char namelen;
	char name[];			/* not NUL terminated */
};

/* What one entry takes at most. */
#define OWFS_DIRENT_VIEW_MAX	(sizeof(struct owfs_dirent_view) + 256)

/*
 * Entries with cookies from @cookie on, copied to @buf one after the other
 * (owfs_dirent_view_next); *@n of them.  0: the buffer is full, there may be
 * more; 1: that was the last.
 */
int owfs_dir_read(struct owfs_fs *fs, owfs_ino_t dir, uint64_t cookie,
		  void *buf, size_t size, unsigned int *n);
const struct owfs_dirent_view *
owfs_dirent_view_next(const struct owfs_dirent_view *v);

/*
 * What fsck and everybody here demands of an entry at offset @off: lengths,
 * zeros, a name that can be one, an inode number, a type.  -EFSCORRUPTED.
 */
int owfs_dirent_check(const struct owfs_dirent_item *d, size_t len,
		      uint64_t off);

#endif
