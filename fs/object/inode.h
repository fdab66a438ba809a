/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Inodes in memory.
 *
 * The table is a cds_lfht keyed by inode number; lookups take no lock, an
 * inode is freed by call_rcu.  The attributes in memory are what the item in
 * the tree says: an operation that changes them writes the item in the same
 * transaction (owfs_inode_store).  An inode stays in memory while referenced
 * or remembered by the kernel (i_nlookup).
 *
 * Locks, outermost first:
 *	it_rename (entries moving between directories; itable.h)
 *	i_range (block ranges of a file's data; range.h)
 *	i_lock of directories: a parent before its child, an ancestor before
 *		those below; two that are neither, lower inode number first
 *		(two parents only under it_rename, two children only with
 *		their parents locked)
 *	i_lock of other inodes, lower inode number first
 *	fs_seal (join of a transaction)
 *	tree and allocator
 */
#ifndef OWFS_OBJECT_INODE_H
#define OWFS_OBJECT_INODE_H

#include <sys/stat.h>

#include "object/range.h"
#include "trans/trans.h"

struct owfs_staging;
struct owfs_wmap;
struct owfs_intents;

/* What stands in OWFS_ITEM_INODE, in the machine's types. */
struct owfs_attr {
	uint32_t mode, nlink, uid, gid;
	uint64_t size;
	uint64_t nblocks;
	uint32_t flags, projid;
	uint64_t rdev;
	owfs_ino_t parent;
	owfs_gen_t gen;			/* of creation */
	struct timespec atime, mtime, ctime, btime;
	uint32_t xattr_next;
};

int owfs_attr_from_disk(struct owfs_attr *a, const struct owfs_inode_item *d,
			size_t len);	/* -EFSCORRUPTED */
void owfs_attr_to_disk(struct owfs_inode_item *d, const struct owfs_attr *a);
/* OWFS_INODE_ flags that an inode of this mode may have. */
uint32_t owfs_attr_flags_possible(uint32_t mode);

struct owfs_inode {
	struct cds_lfht_node i_hash;
	struct rcu_head i_rcu;
	struct owfs_fs *i_fs;
	owfs_ino_t i_ino;

	int i_ref;			/* atomic; 0: gone for good */
	uint32_t i_type;		/* S_IFMT bits of the mode, never changes */
	uint64_t i_nlookup;		/* atomic; the kernel's references, which
					   together hold one i_ref */
	int i_state;			/* atomic; inode.c's: loading, live, an error */

	pthread_rwlock_t i_lock;	/* attributes, directory contents, xattrs */
	struct owfs_attr i_attr;	/* i_lock; .parent of directories: also read
					   without, see owfs_inode_parent() */
	owfs_gen_t i_gen;		/* atomic; generation of the last change of
					   item, data or entries: what fsync waits for */
	uint8_t i_missing;		/* atomic; bits set under i_lock, cleared under it for
					   writing: xattr.c's */
	bool i_hashed;			/* inode.c's: was put into the table */
	bool i_asked;			/* atomic; for, since owfs_itable_cold() looked */
	bool i_atime_dirty;		/* i_lock; atime newer in memory than in the tree */
	bool i_atime_noted;		/* atimes.c's: it was told of that */
	int i_data_err;			/* atomic; sticky: data was lost, fsync says so */
	int i_begin_err;		/* atomic; what a direct write's begin was answered
					   with: no device has said that */
	bool i_swap;			/* atomic; the kernel swaps to its blocks, unasked */

	struct owfs_range_lock i_range;	/* regular files */
	pthread_mutex_t i_map_lock;	/* staging */
	uint64_t i_direct_next;		/* i_map_lock; iomap mode: where the direct write
					   will ask again ... */
	uint64_t i_direct_end;		/* ... that goes up to here; or both 0 */
	struct owfs_staging *i_staging;	/* i_map_lock; NULL: nothing staged */
	struct owfs_wmap *i_wmap;	/* i_map_lock; iomap mode: what the kernel
					   will write back; NULL: nothing */
	struct owfs_intents *i_intents;	/* i_lock, for writing; of the last change */
};

/* The table. Floor 6 opens and closes it with the filesystem. */
int owfs_itable_open(struct owfs_fs *fs);
void owfs_itable_close(struct owfs_fs *fs);	/* drops every inode */

/*
 * Find or read inode @ino; referenced.  -ENOENT (or -ESTALE for a number that
 * never was) if there is none, -EFSCORRUPTED and so on if it is bad.
 */
int owfs_iget(struct owfs_fs *fs, owfs_ino_t ino, struct owfs_inode **ip);
/* Only if in memory; else NULL. */
struct owfs_inode *owfs_iget_cached(struct owfs_fs *fs, owfs_ino_t ino);
void owfs_igrab(struct owfs_inode *inode);	/* one more, of one already held */
/*
 * The last put of an unlinked inode that the kernel forgot hands it to reclaim.
 */
void owfs_iput(struct owfs_inode *inode);

/* A new inode in memory, not in the tree yet; locked for writing, referenced. */
int owfs_inode_new(struct owfs_fs *fs, owfs_ino_t ino,
		   const struct owfs_attr *attr, struct owfs_inode **ip);
/* Throw away one that never made it into the tree. */
void owfs_inode_discard(struct owfs_inode *inode);

/*
 * Write the item (insert: it is new).  In a transaction; caller holds i_lock
 * for writing.  Sets i_gen.
 */
int owfs_inode_store(struct owfs_trans *tr, struct owfs_inode *inode,
		     bool insert);
/* The inode's contents changed in @gen: only ever moves i_gen forward. */
void owfs_inode_touch(struct owfs_inode *inode, owfs_gen_t gen);

/*
 * The directory that a directory is in.  Stable while that one is locked or
 * under it_rename; atomic, so that a path upwards can be walked without locks.
 */
static inline owfs_ino_t owfs_inode_parent(const struct owfs_inode *dir)
{
	return __atomic_load_n(&dir->i_attr.parent, __ATOMIC_RELAXED);
}

/* The kernel's references: one for each entry answered; forget drops @n and a lookup's worth of memory. */
void owfs_inode_remember(struct owfs_inode *inode);
void owfs_inode_forget(struct owfs_fs *fs, owfs_ino_t ino, uint64_t n);
/* How many inodes the kernel remembers; each costs memory here, too. */
uint64_t owfs_itable_remembered(const struct owfs_fs *fs);
/* How many it has forgotten since the mount. */
uint64_t owfs_itable_forgotten(const struct owfs_fs *fs);
/*
 * The numbers of up to @n inodes that are only here because the kernel remembers
 * them, and that nobody has asked for since the last time.
 */
size_t owfs_itable_cold(struct owfs_fs *fs, owfs_ino_t *ino, size_t n);
/* Every remembered inode is forgotten (the kernel is gone). */
void owfs_itable_forget_all(struct owfs_fs *fs);

#endif
