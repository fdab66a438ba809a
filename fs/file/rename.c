/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rename: up to eight places of the tree in one transaction.
 *
 * Between two directories the filesystem's rename mutex is held: while it is,
 * no directory changes its parent, so paths upwards can be followed without
 * locks, and "is above" means the same at the end as at the beginning.  Locks
 * then go downwards: of the two directories the upper one first, then what is
 * renamed and what is replaced, directories first, lower number first.
 *
 * Nobody holds two directories neither of which is above the other without that
 * mutex: the order of numbers does not agree with downwards, and three who follow
 * one or the other could wait in a circle.  So two directories that are exchanged
 * or replaced in one directory need it as well, which shows only under the lock
 * of that directory.
 */
#include <dirent.h>
#include <linux/fs.h>

#include "base/err.h"
#include "file/flags.h"
#include "file/names.h"
#include "object/itable.h"
#include "object/orphan.h"

struct rename {
	struct owfs_fs *fs;
	struct owfs_inode *odir, *ndir;
	const char *oname, *nname;
	size_t olen, nlen;
	unsigned int flags;
	bool cross;			/* two directories */
	bool alone;			/* holds the rename mutex */

	struct owfs_dirslot oslot, nslot;
	struct owfs_inode *old;
	struct owfs_inode *new;		/* replaced or exchanged; NULL: none */
	struct owfs_newnode whiteout;
	struct owfs_inode *white;	/* takes the old place; NULL: nothing */
	struct owfs_access access;	/* of @white */
};

static bool is_dir(const struct owfs_inode *inode)
{
	return inode && inode->i_type == S_IFDIR;
}

/*
 * Is directory @ino at or above @dir?  Caller holds the rename mutex.  A way
 * upwards that ends before the root is of a directory that was removed; what
 * was above it does not matter any more.
 */
static int is_above(struct owfs_inode *dir, owfs_ino_t ino)
{
	owfs_ino_t at = dir->i_ino, mark = 0;
	struct owfs_inode *inode;
	uint64_t steps = 0;
	int ret;

	while (at != ino && at != OWFS_INO_ROOT) {
		ret = owfs_iget(dir->i_fs, at, &inode);
		if (ret == -ENOENT || ret == -ESTALE)
			return 0;
		if (ret)
			return ret;
		/* a circle comes back to one of these marks */
		if ((steps & (steps - 1)) == 0)
			mark = at;
		steps++;
		at = owfs_inode_parent(inode);
		owfs_iput(inode);
		if (at == mark)
			return owfs_fs_fail(dir->i_fs, -EFSCORRUPTED,
					    "directory %llu: is above itself",
					    (unsigned long long)at);
	}
	return at == ino;
}

/* ------------------------------------------------------------------ locks */

static void lock_two(struct owfs_inode *first, struct owfs_inode *second)
{
	pthread_rwlock_wrlock(&first->i_lock);
	if (second)
		pthread_rwlock_wrlock(&second->i_lock);
}

static void unlock_two(struct owfs_inode *a, struct owfs_inode *b)
{
	pthread_rwlock_unlock(&a->i_lock);
	if (b)
		pthread_rwlock_unlock(&b->i_lock);
}

static int lock_dirs(struct rename *r)
{
	bool odir_first;
	int ret;

	if (!r->cross) {
		lock_two(r->odir, NULL);
		return 0;
	}
	odir_first = r->odir->i_ino < r->ndir->i_ino;
	ret = is_above(r->ndir, r->odir->i_ino);
	if (ret == 1) {
		odir_first = true;
	} else if (ret == 0) {
		ret = is_above(r->odir, r->ndir->i_ino);
		if (ret == 1)
			odir_first = false;
	}
	if (ret < 0)
		return ret;
	if (odir_first)
		lock_two(r->odir, r->ndir);
	else
		lock_two(r->ndir, r->odir);
	return 0;
}

static void unlock_dirs(struct rename *r)
{
	unlock_two(r->odir, r->cross ? r->ndir : NULL);
}

static void lock_children(struct rename *r)
{
	struct owfs_inode *a = r->old, *b = r->new;
	bool swap = false;

	if (b && is_dir(a) != is_dir(b))
		swap = is_dir(b);
	else if (b)
		swap = b->i_ino < a->i_ino;
	if (swap)
		lock_two(b, a);
	else
		lock_two(a, b);
}

/* --------------------------------------------------------------- deciding */

static int find_both(struct rename *r)
{
	int ret;

	if (r->odir->i_attr.nlink == 0 || r->ndir->i_attr.nlink == 0)
		return -ENOENT;
	ret = owfs_dir_find(r->fs, r->odir->i_ino, r->oname, r->olen,
			    &r->oslot);
	if (ret)
		return ret;
	ret = owfs_dir_find(r->fs, r->ndir->i_ino, r->nname, r->nlen,
			    &r->nslot);
	if (ret == -ENOENT && !(r->flags & RENAME_EXCHANGE))
		return r->nslot.full ? -ENOSPC : 0;
	if (!ret && (r->flags & RENAME_NOREPLACE))
		return -EEXIST;
	return ret;
}

static int get_both(struct rename *r)
{
	int ret = owfs_names_child(r->odir, &r->oslot, &r->old);

	if (!ret && r->nslot.ino)
		ret = owfs_names_child(r->ndir, &r->nslot, &r->new);
	return ret;
}

/* Nothing may end up below itself, and nothing with entries be replaced. */
static int check_loops(struct rename *r)
{
	int ret = 0;

	if (!r->cross)
		return 0;
	if (is_dir(r->old))
		ret = is_above(r->ndir, r->old->i_ino);
	if (ret)
		return ret < 0 ? ret : -EINVAL;
	if (is_dir(r->new))
		ret = is_above(r->odir, r->new->i_ino);
	if (ret == 1)
		return r->flags & RENAME_EXCHANGE ? -EINVAL : -ENOTEMPTY;
	return ret;
}

static int check_kinds(struct rename *r)
{
	int gain = is_dir(r->old) - is_dir(r->new);

	if (r->new && !(r->flags & RENAME_EXCHANGE)) {
		if (gain > 0)
			return -ENOTDIR;
		if (gain < 0)
			return -EISDIR;
	}
	if (!r->cross || gain == 0)
		return 0;
	if (gain > 0 && r->ndir->i_attr.nlink >= OWFS_LINK_MAX)
		return -EMLINK;
	if (gain < 0 && r->odir->i_attr.nlink >= OWFS_LINK_MAX)
		return -EMLINK;
	return 0;
}

/* Caller holds all inodes. */
static int check_flags_of(struct rename *r)
{
	int ret = owfs_flags_may_remove(r->odir, r->old);

	if (!ret)
		ret = r->new ? owfs_flags_may_remove(r->ndir, r->new)
			     : owfs_flags_may_add(r->ndir);
	if (!ret)
		ret = owfs_flags_may_stand(r->old, r->ndir);
	if (!ret && (r->flags & RENAME_EXCHANGE))
		ret = owfs_flags_may_stand(r->new, r->odir);
	return ret;
}

/* Counts that this will take one from must have one; others have room. */
static int check_counts(struct rename *r)
{
	bool exchange = r->flags & RENAME_EXCHANGE;
	struct owfs_inode *bad = NULL;

	if (r->odir->i_attr.size == 0 ||
	    (is_dir(r->old) && r->odir->i_attr.nlink < 3))
		bad = r->odir;
	else if (r->new && (r->ndir->i_attr.size == 0 ||
			    (is_dir(r->new) && r->ndir->i_attr.nlink < 3)))
		bad = r->ndir;
	else if (r->new && !exchange && r->new->i_attr.nlink == 0)
		bad = r->new;
	if (!bad)
		return r->new ? 0 : owfs_names_check_count(r->ndir);
	return owfs_fs_fail(r->fs, -EFSCORRUPTED,
			    "inode %llu: has more entries or names than it counts",
			    (unsigned long long)bad->i_ino);
}

static int prefetch_all(struct rename *r)
{
	struct owfs_btree *bt = r->fs->fs_bt;
	struct owfs_key orphan;
	int ret = owfs_btree_prefetch(bt, &r->oslot.key);

	if (!ret)
		ret = owfs_btree_prefetch(bt, &r->nslot.key);
	if (!ret)
		ret = owfs_names_prefetch(r->odir);
	if (!ret && r->cross)
		ret = owfs_names_prefetch(r->ndir);
	if (!ret)
		ret = owfs_names_prefetch(r->old);
	if (ret || !r->new)
		return ret;
	orphan = owfs_orphan_key(r->new->i_ino);
	ret = owfs_names_prefetch(r->new);
	return ret ? ret : owfs_btree_prefetch(bt, &orphan);
}

/* --------------------------------------------------------------- changing */

static void set_parent(struct owfs_inode *inode, const struct owfs_inode *dir)
{
	if (is_dir(inode))
		__atomic_store_n(&inode->i_attr.parent, dir->i_ino,
				 __ATOMIC_RELAXED);
}

/* The inode that @r->new's name named has one name less. */
static int apply_replaced(struct rename *r, struct owfs_trans *tr,
			  const struct timespec *now)
{
	struct owfs_inode *new = r->new;
	uint32_t was = owfs_orphan_flags(&new->i_attr);
	int ret;

	new->i_attr.nlink = is_dir(new) ? 0 : new->i_attr.nlink - 1;
	new->i_attr.ctime = *now;
	ret = owfs_orphan_follow(tr, new, was);
	return ret ? ret : owfs_inode_store(tr, new, false);
}

static int apply_old_place(struct rename *r, struct owfs_trans *tr)
{
	int ret;

	if (!r->white)
		return owfs_dir_remove(tr, &r->oslot);
	r->white->i_attr.gen = tr->gen;
	ret = owfs_access_apply(&r->access, tr);
	if (!ret)
		ret = owfs_inode_store(tr, r->white, true);
	if (ret)
		return ret;
	return owfs_dir_replace(tr, &r->oslot, r->oname, r->olen,
				r->white->i_ino, r->white->i_type);
}

static int apply_move(struct rename *r, struct owfs_trans *tr,
		      const struct timespec *now)
{
	int ret;

	if (r->new)
		ret = owfs_dir_replace(tr, &r->nslot, r->nname, r->nlen,
				       r->old->i_ino, r->old->i_type);
	else
		ret = owfs_dir_insert(tr, &r->nslot, r->nname, r->nlen,
				      r->old->i_ino, r->old->i_type);
	if (!ret)
		ret = apply_old_place(r, tr);
	if (!ret && r->new)
		ret = apply_replaced(r, tr, now);
	r->odir->i_attr.size -= !r->white;
	r->ndir->i_attr.size += !r->new;
	r->odir->i_attr.nlink -= is_dir(r->old);
	r->ndir->i_attr.nlink += is_dir(r->old);
	r->ndir->i_attr.nlink -= is_dir(r->new);
	return ret;
}

static int apply_exchange(struct rename *r, struct owfs_trans *tr,
			  const struct timespec *now)
{
	struct owfs_inode *new = r->new;
	int ret;

	ret = owfs_dir_replace(tr, &r->nslot, r->nname, r->nlen,
			       r->old->i_ino, r->old->i_type);
	if (!ret)
		ret = owfs_dir_replace(tr, &r->oslot, r->oname, r->olen,
				       new->i_ino, new->i_type);
	if (ret)
		return ret;
	r->odir->i_attr.nlink += is_dir(new) - is_dir(r->old);
	r->ndir->i_attr.nlink += is_dir(r->old) - is_dir(new);
	set_parent(new, r->odir);
	new->i_attr.ctime = *now;
	return owfs_inode_store(tr, new, false);
}

static int apply(struct rename *r, struct owfs_trans *tr)
{
	struct timespec now;
	int ret;

	owfs_fs_now(r->fs, &now);
	ret = r->flags & RENAME_EXCHANGE ? apply_exchange(r, tr, &now)
					 : apply_move(r, tr, &now);
	if (ret)
		return ret;
	set_parent(r->old, r->ndir);
	r->old->i_attr.ctime = now;
	ret = owfs_inode_store(tr, r->old, false);
	owfs_names_stamp(r->odir, &now);
	owfs_names_stamp(r->ndir, &now);
	if (!ret)
		ret = owfs_inode_store(tr, r->odir, false);
	if (!ret && r->cross)
		ret = owfs_inode_store(tr, r->ndir, false);
	return ret;
}

/* Caller holds all inodes. */
static int rename_commit(struct rename *r)
{
	struct owfs_trans tr;
	int ret = check_flags_of(r);

	if (!ret)
		ret = check_counts(r);
	if (!ret && is_dir(r->new) && !(r->flags & RENAME_EXCHANGE))
		ret = owfs_dir_check_empty(r->fs, r->new->i_ino);
	if (!ret)
		ret = prefetch_all(r);
	if (!ret && (r->flags & RENAME_WHITEOUT))
		ret = owfs_names_new_inode(r->odir, &r->whiteout, &r->access,
					   &r->white);
	if (ret)
		return ret;
	/* entries, directories, inode; replaced inode, orphan; whiteout */
	ret = owfs_access_begin(&r->access, r->fs, &tr,
				4 + r->cross + (r->new ? 2 : 0) +
				(r->white ? 1 : 0), 1, OWFS_RESV_REPLACING);
	if (ret) {
		if (r->white)
			owfs_inode_discard(r->white);
		return ret;
	}
	apply(r, &tr);
	ret = owfs_trans_end(&tr);
	if (r->white) {
		pthread_rwlock_unlock(&r->white->i_lock);
		owfs_iput(r->white);
	}
	return ret;
}

#define NOT_ALONE	1	/* to be done again with the rename mutex */

/* Caller holds the directories, and the rename mutex if there are two. */
static int rename_locked(struct rename *r)
{
	int ret = find_both(r);

	if (ret)
		return ret;
	if (r->oslot.ino == r->nslot.ino)
		return 0;	/* two names of one inode: nothing to do */
	ret = get_both(r);
	if (!ret)
		ret = check_loops(r);
	if (!ret)
		ret = check_kinds(r);
	if (ret)
		return ret;
	if (is_dir(r->old) && is_dir(r->new) && !r->alone)
		return NOT_ALONE;
	lock_children(r);
	ret = rename_commit(r);
	unlock_two(r->old, r->new);
	return ret;
}

static int rename_try(struct rename *r)
{
	struct owfs_itable *it = r->fs->fs_itable;
	int ret;

	r->old = NULL;
	r->new = NULL;
	r->white = NULL;
	owfs_access_init(&r->access);
	if (r->alone)
		pthread_mutex_lock(&it->it_rename);
	ret = lock_dirs(r);
	if (!ret) {
		ret = rename_locked(r);
		unlock_dirs(r);
	}
	if (r->alone)
		pthread_mutex_unlock(&it->it_rename);
	if (r->old)
		owfs_iput(r->old);
	if (r->new)
		owfs_iput(r->new);
	owfs_access_done(&r->access);
	return ret;
}

static int rename_once(struct rename *r)
{
	int ret;

	r->alone = r->cross;
	ret = rename_try(r);
	if (ret == NOT_ALONE) {
		r->alone = true;
		ret = rename_try(r);
	}
	return ret;
}

static int check_flags(unsigned int flags)
{
	if (flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT))
		return -EINVAL;
	if ((flags & RENAME_EXCHANGE) &&
	    (flags & (RENAME_NOREPLACE | RENAME_WHITEOUT)))
		return -EINVAL;
	return 0;
}

int owfs_rename(struct owfs_inode *odir, const char *oname, size_t olen,
		struct owfs_inode *ndir, const char *nname, size_t nlen,
		unsigned int flags, const struct owfs_newnode *white)
{
	struct rename r = {
		.fs = odir->i_fs, .odir = odir, .ndir = ndir,
		.oname = oname, .olen = olen, .nname = nname, .nlen = nlen,
		.flags = flags, .cross = odir != ndir,
	};
	int ret = check_flags(flags);

	if (white)
		r.whiteout = *white;
	r.whiteout.mode = S_IFCHR;
	if (!ret)
		ret = owfs_names_may_change(odir, oname, olen);
	if (!ret)
		ret = owfs_names_may_change(ndir, nname, nlen);
	if (!ret)
		OWFS_RETRY(r.fs, ret, rename_once(&r));
	ret = owfs_flags_settle(odir, OWFS_FLAGS_DIRSYNC, ret);
	return owfs_flags_settle(ndir, OWFS_FLAGS_DIRSYNC, ret);
}
