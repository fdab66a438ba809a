/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Orphan items, the queue of what is ready, and the removal of inodes.
 *
 * Everything that an inode has in the tree lies side by side, so removing it
 * is deleting runs of keys: extents while there are too many for one step, then
 * the rest.  The inode item goes in the last step, together with the orphan
 * item: until then a crash leaves an orphan that the next mount finds.  A small
 * file goes in one.
 */
#include <signal.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/util.h"
#include "object/extent.h"
#include "object/intent.h"
#include "object/itable.h"
#include "object/orphan.h"
#include "object/resv.h"
#include "trans/commit.h"
#include "trans/mend.h"

/* Items deleted by one transaction, besides extents. */
#define REMOVE_ITEMS	64u
/* A file with no more extents than these goes in one transaction. */
#define REMOVE_EXTENTS	4u

struct owfs_reclaim {
	pthread_mutex_t rc_lock;	/* taken by any put; inside it only the
					   lock of trans/mend.c */
	pthread_cond_t rc_work;
	owfs_ino_t *rc_ring;		/* rc_size (a power of two) numbers, */
	size_t rc_head, rc_n, rc_size;	/* rc_n of them from rc_head on */
	bool rc_scan;			/* orphan items from rc_scan_from on are */
	owfs_ino_t rc_scan_from;	/* still to be looked at */
	unsigned int rc_busy;		/* steps being made */
	bool rc_stuck;			/* the last step failed: wait for news */
	bool rc_stop;
	bool rc_running;		/* there is a thread; opener's */
	pthread_t rc_thread;
};

/* ------------------------------------------------------------- the items */

struct owfs_key owfs_orphan_key(owfs_ino_t ino)
{
	return owfs_key(OWFS_INO_ORPHANS, OWFS_ITEM_ORPHAN, ino);
}

uint32_t owfs_orphan_flags(const struct owfs_attr *attr)
{
	return (attr->nlink ? 0 : OWFS_ORPHAN_UNLINKED) |
	       (attr->flags & OWFS_INODE_INTENTS ? OWFS_ORPHAN_INTENTS : 0);
}

int owfs_orphan_follow(struct owfs_trans *tr, const struct owfs_inode *inode,
		       uint32_t was)
{
	struct owfs_key key = owfs_orphan_key(inode->i_ino);
	struct owfs_btree *bt = inode->i_fs->fs_bt;
	uint32_t now = owfs_orphan_flags(&inode->i_attr);
	struct owfs_orphan_item item = { .flags = cpu_to_le32(now) };
	int ret = 0;

	if (now == was)
		return 0;
	if (!was)
		ret = owfs_btree_insert(bt, &key, &item, sizeof(item));
	else if (now)
		ret = owfs_btree_update(bt, &key, &item, sizeof(item));
	else
		ret = owfs_btree_delete(bt, &key);
	return ret ? owfs_trans_abort(tr, ret, "orphan item") : 0;
}

/* ------------------------------------------------------------- the queue */

static void wake(struct owfs_fs *fs)
{
	struct owfs_reclaim *rc = fs->fs_reclaim;

	pthread_mutex_lock(&rc->rc_lock);
	pthread_cond_signal(&rc->rc_work);
	pthread_mutex_unlock(&rc->rc_lock);
}

int owfs_reclaim_open(struct owfs_fs *fs)
{
	struct owfs_reclaim *rc = calloc(1, sizeof(*rc));

	if (!rc)
		return -ENOMEM;
	pthread_mutex_init(&rc->rc_lock, NULL);
	pthread_cond_init(&rc->rc_work, NULL);
	fs->fs_reclaim = rc;
	fs->fs_reclaim_step = owfs_reclaim_run;
	return owfs_mend_open(fs, wake);
}

void owfs_reclaim_close(struct owfs_fs *fs)
{
	struct owfs_reclaim *rc = fs->fs_reclaim;

	if (!rc)
		return;
	owfs_mend_close(fs);
	fs->fs_reclaim_step = NULL;
	fs->fs_reclaim = NULL;
	pthread_mutex_destroy(&rc->rc_lock);
	pthread_cond_destroy(&rc->rc_work);
	free(rc->rc_ring);
	free(rc);
}

/* Twice the room; false: no memory.  Caller holds rc_lock. */
static bool ring_grow(struct owfs_reclaim *rc)
{
	size_t size = rc->rc_size ? 2 * rc->rc_size : 64, i;
	owfs_ino_t *ring = malloc(size * sizeof(*ring));

	if (!ring)
		return false;
	for (i = 0; i < rc->rc_n; i++)
		ring[i] = rc->rc_ring[(rc->rc_head + i) & (rc->rc_size - 1)];
	free(rc->rc_ring);
	rc->rc_ring = ring;
	rc->rc_size = size;
	rc->rc_head = 0;
	return true;
}

static void ring_push(struct owfs_reclaim *rc, owfs_ino_t ino)
{
	if (rc->rc_n == rc->rc_size && !ring_grow(rc)) {
		rc->rc_scan = true;
		rc->rc_scan_from = 0;
		return;
	}
	rc->rc_ring[(rc->rc_head + rc->rc_n++) & (rc->rc_size - 1)] = ino;
}

void owfs_reclaim_queue(struct owfs_fs *fs, owfs_ino_t ino)
{
	struct owfs_reclaim *rc = fs->fs_reclaim;

	if (!rc)
		return;
	pthread_mutex_lock(&rc->rc_lock);
	ring_push(rc, ino);
	rc->rc_stuck = false;
	pthread_cond_signal(&rc->rc_work);
	pthread_mutex_unlock(&rc->rc_lock);
}

void owfs_reclaim_rescan(struct owfs_fs *fs)
{
	struct owfs_reclaim *rc = fs->fs_reclaim;

	pthread_mutex_lock(&rc->rc_lock);
	rc->rc_scan = true;
	rc->rc_scan_from = 0;
	pthread_cond_signal(&rc->rc_work);
	pthread_mutex_unlock(&rc->rc_lock);
}

/* Nothing can be written any more: the next mount will find it all. */
static void work_drop(struct owfs_reclaim *rc)
{
	pthread_mutex_lock(&rc->rc_lock);
	rc->rc_n = 0;
	rc->rc_scan = false;
	pthread_mutex_unlock(&rc->rc_lock);
}

/*
 * After a step with result @ret: is there more?  What somebody else is at work
 * on will come back, too.
 */
static bool work_is_left(struct owfs_reclaim *rc, int ret)
{
	bool left;

	pthread_mutex_lock(&rc->rc_lock);
	rc->rc_busy--;
	rc->rc_stuck = ret < 0;
	left = rc->rc_n || rc->rc_scan || rc->rc_busy;
	pthread_mutex_unlock(&rc->rc_lock);
	return left;
}

/* The next orphan item from @from on.  1: found; 0: there is none. */
static int scan_next(struct owfs_fs *fs, owfs_ino_t from, owfs_ino_t *ino)
{
	struct owfs_reclaim *rc = fs->fs_reclaim;
	struct owfs_key key = owfs_orphan_key(from);
	struct owfs_key last = owfs_orphan_key(UINT64_MAX);
	struct owfs_orphan_item item;
	int ret = owfs_btree_next(fs->fs_bt, &key, &last, &item, sizeof(item));

	if (ret < 0 && ret != -ENOENT)
		return ret;
	pthread_mutex_lock(&rc->rc_lock);
	if (rc->rc_scan && rc->rc_scan_from == from) {
		rc->rc_scan = ret >= 0 && key.off < OWFS_INO_MAX;
		rc->rc_scan_from = key.off + 1;
	}
	pthread_mutex_unlock(&rc->rc_lock);
	*ino = key.off;
	return ret >= 0;
}

/* What to work on.  1: *ino; 0: nothing is ready. */
static int work_next(struct owfs_fs *fs, owfs_ino_t *ino)
{
	struct owfs_reclaim *rc = fs->fs_reclaim;
	owfs_ino_t from = 0;
	bool queued, scan;

	pthread_mutex_lock(&rc->rc_lock);
	rc->rc_busy++;
	queued = rc->rc_n > 0;
	scan = !queued && rc->rc_scan;
	if (queued) {
		*ino = rc->rc_ring[rc->rc_head];
		rc->rc_head = (rc->rc_head + 1) & (rc->rc_size - 1);
		rc->rc_n--;
	} else if (scan) {
		from = rc->rc_scan_from;
	}
	pthread_mutex_unlock(&rc->rc_lock);
	return scan ? scan_next(fs, from, ino) : queued;
}

/* --------------------------------------------------------------- removal */

/* What the last transactions take away of an inode that nobody has. */
struct removal {
	struct owfs_inode *inode;
	struct owfs_extent_edit edit;	/* its last few extents */
	struct owfs_key key[REMOVE_ITEMS];
	unsigned int nkeys, max;
	bool more;			/* something is left afterwards */
};

static int removal_note(void *ctx, const struct owfs_key *key, const void *val,
			size_t len)
{
	struct removal *rm = ctx;

	(void)val;
	(void)len;
	switch (owfs_key_type(key)) {
	case OWFS_ITEM_EXTENT:
		return 0;	/* the edit's */
	case OWFS_ITEM_SYMLINK:
	case OWFS_ITEM_XATTR:
	case OWFS_ITEM_XATTR_CHUNK:
	case OWFS_ITEM_INLINE:
		break;
	default:
		return -EFSCORRUPTED;
	}
	rm->key[rm->nkeys++] = *key;
	return rm->nkeys == rm->max;
}

/* The items that own no blocks, as many as one step takes. */
static int removal_plan_items(struct removal *rm)
{
	struct owfs_inode *inode = rm->inode;
	struct owfs_key first = owfs_key(inode->i_ino, OWFS_ITEM_INODE, 1);
	struct owfs_key last = owfs_key(inode->i_ino, 0xff, UINT64_MAX);
	struct owfs_fs *fs = inode->i_fs;
	int ret;

	rm->max = (unsigned int)min_u64(REMOVE_ITEMS, owfs_extent_step(fs));
	ret = owfs_btree_walk(fs->fs_bt, &first, &last, removal_note, rm);
	if (ret == -EFSCORRUPTED)
		return owfs_fs_fail(fs, ret,
				    "inode %llu: unlinked, but has items of other kinds",
				    (unsigned long long)inode->i_ino);
	if (ret < 0)
		return ret;
	rm->more = ret;
	return rm->nkeys ? owfs_btree_prefetch(fs->fs_bt,
					       &rm->key[rm->nkeys - 1]) : 0;
}

/* All extents are few enough to go with the rest. */
static int removal_plan(struct removal *rm)
{
	struct owfs_key item = owfs_key(rm->inode->i_ino, OWFS_ITEM_INODE, 0);
	struct owfs_key orphan = owfs_orphan_key(rm->inode->i_ino);
	struct owfs_btree *bt = rm->inode->i_fs->fs_bt;
	int ret = owfs_extent_edit_punch(&rm->edit, 0, rm->edit.end);

	if (!ret)
		ret = owfs_extent_edit_prepare(&rm->edit);
	if (!ret)
		ret = removal_plan_items(rm);
	if (!ret)
		ret = owfs_btree_prefetch(bt, &item);
	return ret ? ret : owfs_btree_prefetch(bt, &orphan);
}

/* The inode and its items; a few extents; the orphan item. */
static int removal_begin(struct removal *rm, struct owfs_trans *tr)
{
	struct owfs_fs *fs = rm->inode->i_fs;
	unsigned int extents = owfs_extent_edit_cost(&rm->edit).changed;
	struct owfs_resv resv = { 0 };
	int ret = owfs_resv_take(fs, &resv, 1, rm->nkeys + 1,
				 OWFS_RESV_FREEING);

	if (!ret && extents)
		ret = owfs_resv_more(fs, &resv,
				     owfs_btree_worst_run(fs->fs_bt, extents,
							  0, 0),
				     OWFS_RESV_FREEING);
	if (!ret)
		ret = owfs_resv_more(fs, &resv,
				     owfs_btree_worst(fs->fs_bt, 1, 1),
				     OWFS_RESV_FREEING);
	if (!ret)
		owfs_trans_join(fs, tr, &resv);
	return ret;
}

static int removal_delete(struct removal *rm, struct owfs_trans *tr,
			  const struct owfs_key *key)
{
	int ret = owfs_btree_delete(rm->inode->i_fs->fs_bt, key);

	return ret ? owfs_trans_abort(tr, ret, "removal of an inode") : 0;
}

static int removal_apply(struct removal *rm, struct owfs_trans *tr)
{
	struct owfs_key item = owfs_key(rm->inode->i_ino, OWFS_ITEM_INODE, 0);
	struct owfs_key orphan = owfs_orphan_key(rm->inode->i_ino);
	unsigned int i;
	int ret;

	ret = owfs_extent_edit_apply(&rm->edit, tr);
	if (ret)
		return owfs_trans_abort(tr, ret, "extents of an inode that goes");
	for (i = 0; i < rm->nkeys && !ret; i++)
		ret = removal_delete(rm, tr, &rm->key[i]);
	if (ret)
		return ret;
	if (rm->more)
		return owfs_inode_store(tr, rm->inode, false);
	ret = removal_delete(rm, tr, &item);
	return ret ? ret : removal_delete(rm, tr, &orphan);
}

static int removal_run(struct removal *rm)
{
	struct owfs_trans tr;
	int ret = removal_plan(rm);

	if (!ret)
		ret = removal_begin(rm, &tr);
	if (ret)
		return ret;
	removal_apply(rm, &tr);
	ret = owfs_trans_end(&tr);
	return ret ? ret : rm->more;
}

/*
 * One step of the removal of an inode that nobody has.  1: more to do; 0: it
 * is gone.  Caller holds i_lock for writing.
 */
static int remove_step(struct owfs_inode *inode)
{
	struct removal rm = { .inode = inode };
	int ret = 0;

	owfs_extent_edit_init(&rm.edit, inode);
	if (owfs_inode_has_intents(inode))
		ret = 1;
	else if (inode->i_type == S_IFREG)
		ret = owfs_extent_edit_load(&rm.edit, 0,
					    owfs_fileoff_max(inode->i_fs),
					    REMOVE_EXTENTS + 1);
	if (ret == 0) {
		ret = removal_run(&rm);
	} else if (ret == 1) {
		ret = owfs_extent_reclaim_step(inode);
		if (ret == 0)
			ret = 1;
	}
	owfs_extent_edit_done(&rm.edit);
	return ret;
}

/* ------------------------------------------------------------------ steps */

/* One step for an inode that is there: as owfs_reclaim_run(). */
static int step_inode(struct owfs_inode *inode)
{
	int ret;

	pthread_rwlock_wrlock(&inode->i_lock);
	if (inode->i_attr.nlink == 0) {
		ret = owfs_inode_claim(inode) ? remove_step(inode) : 0;
		pthread_rwlock_unlock(&inode->i_lock);
		return ret;
	}
	ret = (inode->i_attr.flags & OWFS_INODE_INTENTS) != 0;
	pthread_rwlock_unlock(&inode->i_lock);
	return ret ? owfs_intent_reclaim_step(inode) : 0;
}

static int step_ino(struct owfs_fs *fs, owfs_ino_t ino)
{
	struct owfs_inode *inode;
	int ret = owfs_iget(fs, ino, &inode);

	/* gone already, or an orphan item without an inode: fsck's business */
	if (ret == -ENOENT || ret == -ESTALE)
		return 0;
	if (ret)
		return ret;
	ret = step_inode(inode);
	owfs_iput(inode);
	return ret;
}

int owfs_reclaim_run(struct owfs_fs *fs)
{
	struct owfs_reclaim *rc = fs->fs_reclaim;
	owfs_ino_t ino = 0;
	bool left;
	int ret;

	if (owfs_fs_writable(fs)) {
		work_drop(rc);
		return 0;
	}
	ret = work_next(fs, &ino);
	if (ret == 1) {
		ret = step_ino(fs, ino);
		if (ret == 1 || ret == -EAGAIN)
			owfs_reclaim_queue(fs, ino);
	}
	left = work_is_left(rc, ret);
	return ret < 0 ? ret : left;
}

/* ----------------------------------------------------------------- thread */

/* Sleep until there is work; false: stop. */
static bool wait_for_work(struct owfs_fs *fs)
{
	struct owfs_reclaim *rc = fs->fs_reclaim;
	bool go_on;

	pthread_mutex_lock(&rc->rc_lock);
	while (!rc->rc_stop && !owfs_mend_is_wanted(fs) &&
	       (rc->rc_stuck || (!rc->rc_n && !rc->rc_scan)))
		pthread_cond_wait(&rc->rc_work, &rc->rc_lock);
	go_on = !rc->rc_stop;
	pthread_mutex_unlock(&rc->rc_lock);
	return go_on;
}

static void *reclaim_thread(void *arg)
{
	struct owfs_fs *fs = arg;
	int ret;

	while (wait_for_work(fs)) {
		if (owfs_mend_run(fs) == -EAGAIN)
			owfs_commit_force(fs);
		OWFS_RETRY(fs, ret, owfs_reclaim_run(fs));
	}
	return NULL;
}

int owfs_reclaim_start(struct owfs_fs *fs)
{
	struct owfs_reclaim *rc = fs->fs_reclaim;
	sigset_t all, before;
	int ret;

	/* signals are for those who expect them */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ret = pthread_create(&rc->rc_thread, NULL, reclaim_thread, fs);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	rc->rc_running = !ret;
	return -ret;
}

void owfs_reclaim_stop(struct owfs_fs *fs)
{
	struct owfs_reclaim *rc = fs->fs_reclaim;

	if (!rc || !rc->rc_running)
		return;
	pthread_mutex_lock(&rc->rc_lock);
	rc->rc_stop = true;
	pthread_cond_broadcast(&rc->rc_work);
	pthread_mutex_unlock(&rc->rc_lock);
	pthread_join(rc->rc_thread, NULL);
	rc->rc_running = false;
}
