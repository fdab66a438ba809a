/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Access times: whether they change, and how they get to the device. */
#include <stdlib.h>

#include "base/err.h"
#include "file/atime.h"
#include "object/itable.h"

#define DAY	(24 * 60 * 60)

static bool is_before(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec < b->tv_sec ||
	       (a->tv_sec == b->tv_sec && a->tv_nsec < b->tv_nsec);
}

/* relatime: often enough for who wants to know whether it was read since. */
static bool is_news(const struct owfs_attr *a, const struct timespec *now)
{
	return !is_before(&a->mtime, &a->atime) ||
	       !is_before(&a->ctime, &a->atime) ||
	       a->atime.tv_sec <= now->tv_sec - DAY;
}

static bool is_due(struct owfs_inode *inode, const struct timespec *now)
{
	const struct owfs_fs_param *p = &inode->i_fs->fs_param;
	bool due;

	if (p->atime == OWFS_ATIME_NEVER ||
	    (p->nodiratime && inode->i_type == S_IFDIR))
		return false;
	pthread_rwlock_rdlock(&inode->i_lock);
	due = !(inode->i_attr.flags & OWFS_INODE_NOATIME) &&
	      (p->atime == OWFS_ATIME_ALWAYS || is_news(&inode->i_attr, now));
	pthread_rwlock_unlock(&inode->i_lock);
	return due;
}

void owfs_atime_touch(struct owfs_inode *inode)
{
	struct timespec now;

	if (owfs_fs_writable(inode->i_fs))
		return;
	owfs_fs_now(inode->i_fs, &now);
	if (!is_due(inode, &now))
		return;
	pthread_rwlock_wrlock(&inode->i_lock);
	inode->i_attr.atime = now;
	inode->i_atime_dirty = true;
	pthread_rwlock_unlock(&inode->i_lock);
}

/* ----------------------------------------------------------------- unmount */

/* -ENOMEM, -EAGAIN and so on: others will hardly fare better. */
static int store_one(struct owfs_inode *inode)
{
	struct owfs_key key = owfs_key(inode->i_ino, OWFS_ITEM_INODE, 0);
	struct owfs_trans tr;
	int ret = 0;

	pthread_rwlock_wrlock(&inode->i_lock);
	if (inode->i_atime_dirty && inode->i_attr.nlink) {
		ret = owfs_btree_prefetch(inode->i_fs->fs_bt, &key);
		if (!ret)
			ret = owfs_trans_begin(inode->i_fs, &tr, 1, 1,
					       OWFS_RESV_NORMAL);
		if (!ret) {
			owfs_inode_store(&tr, inode, false);
			ret = owfs_trans_end(&tr);
		}
	}
	pthread_rwlock_unlock(&inode->i_lock);
	return ret;
}

static int by_number(const void *a, const void *b)
{
	const owfs_ino_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

void owfs_atime_flush(struct owfs_fs *fs)
{
	size_t n = owfs_itable_list_atimes(fs, NULL, 0), i;
	owfs_ino_t *list = n ? malloc(n * sizeof(*list)) : NULL;
	struct owfs_inode *inode;
	int ret = 0;

	if (!list)
		return;
	owfs_itable_list_atimes(fs, list, n);
	/* neighbours have their items side by side */
	qsort(list, n, sizeof(*list), by_number);
	for (i = 0; i < n && !ret; i++) {
		/* one that is gone needs no time any more */
		if (owfs_iget(fs, list[i], &inode))
			continue;
		ret = store_one(inode);
		owfs_iput(inode);
	}
	free(list);
}
