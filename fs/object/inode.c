/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of inodes.
 *
 * An inode is found without locks and is gone for good once i_ref has reached
 * 0: whoever finds one like that in the table takes it out and reads the inode
 * anew.  The first to miss an inode puts a placeholder into the table and reads
 * the item; everybody who finds the placeholder waits for that one read.
 *
 * What an inode changed before it was dropped may not be durable yet, so the
 * table remembers the newest generation of them all; an inode that is read
 * starts with it, and fsync cannot miss a change.
 */
#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"
#include "base/err.h"
#include "base/util.h"
#include "object/intent.h"
#include "object/itable.h"
#include "object/orphan.h"

/* i_state; negative: could not be read, or (-ESTALE) is being removed */
#define INODE_LOADING	0
#define INODE_LIVE	1

/* Numbers come from the image, and whoever made that may have chosen them. */
static unsigned long ino_hash(const struct owfs_itable *it, owfs_ino_t ino)
{
	return (unsigned long)owfs_checksum(it->it_seed, &ino, sizeof(ino));
}

static int ino_match(struct cds_lfht_node *node, const void *key)
{
	struct owfs_inode *inode = container_of(node, struct owfs_inode,
						i_hash);
	bool same;

	owfs_rcu_consume(inode);
	same = inode->i_ino == *(const owfs_ino_t *)key;
	owfs_rcu_publish(inode);	/* looked at, and maybe no more */
	return same;
}

/* ---------------------------------------------------------------- memory */

static struct owfs_inode *inode_alloc(struct owfs_fs *fs, owfs_ino_t ino)
{
	struct owfs_inode *inode = calloc(1, sizeof(*inode));
	pthread_rwlockattr_t attr;

	if (!inode)
		return NULL;
	inode->i_fs = fs;
	inode->i_ino = ino;
	inode->i_ref = 1;
	/* a stream of lookups must not keep changes of a directory out */
	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr,
				      PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&inode->i_lock, &attr);
	pthread_rwlockattr_destroy(&attr);
	owfs_range_init(&inode->i_range);
	pthread_mutex_init(&inode->i_map_lock, NULL);
	return inode;
}

static void inode_fini(struct owfs_inode *inode)
{
	pthread_rwlock_destroy(&inode->i_lock);
	owfs_range_destroy(&inode->i_range);
	pthread_mutex_destroy(&inode->i_map_lock);
}

static void inode_free_rcu(struct rcu_head *head)
{
	struct owfs_inode *inode = container_of(head, struct owfs_inode, i_rcu);

	owfs_rcu_consume(inode);
	free(inode);
}

static void inode_free_rcu_twice(struct rcu_head *head)
{
	call_rcu(head, inode_free_rcu);
}

/* What hangs off an inode that nobody has any more. */
static void inode_strip(struct owfs_itable *it, struct owfs_inode *inode)
{
	if (it->it_drop)
		it->it_drop(inode);
	owfs_intents_free(inode);
	inode_fini(inode);
}

/*
 * Take @inode out of the table and free it when nobody can see it any more.
 * If somebody else is taking it out at this very moment, readers may meet it
 * until he is done: the first grace period is for him, the second for them.
 */
static void inode_unhash_free(struct owfs_itable *it, struct owfs_inode *inode)
{
	int ret = 0;

	if (inode->i_hashed) {
		rcu_read_lock();
		ret = cds_lfht_del(it->it_ht, &inode->i_hash);
		rcu_read_unlock();
	}

	inode_strip(it, inode);
	owfs_rcu_publish(inode);
	call_rcu(&inode->i_rcu, ret ? inode_free_rcu_twice : inode_free_rcu);
}

/* ------------------------------------------------------------ conversion */

static void time_to_disk(struct owfs_time_disk *d, const struct timespec *ts)
{
	d->sec = cpu_to_le64((uint64_t)ts->tv_sec);
	d->nsec = cpu_to_le32((uint32_t)ts->tv_nsec);
	d->zero = cpu_to_le32(0);
}

static bool time_from_disk(struct timespec *ts, const struct owfs_time_disk *d)
{
	ts->tv_sec = (time_t)le64_to_cpu(d->sec);
	ts->tv_nsec = le32_to_cpu(d->nsec);
	return ts->tv_nsec < 1000000000 && le32_to_cpu(d->zero) == 0;
}

uint32_t owfs_attr_flags_possible(uint32_t mode)
{
	const uint32_t any = OWFS_INODE_NODUMP | OWFS_INODE_NOATIME;
	const uint32_t both = any | OWFS_INODE_IMMUTABLE | OWFS_INODE_APPEND |
			      OWFS_INODE_SYNC;

	switch (mode & S_IFMT) {
	case S_IFREG:
		return both | OWFS_INODE_INTENTS;
	case S_IFDIR:
		return both | OWFS_INODE_DIRSYNC | OWFS_INODE_PROJINHERIT;
	default:
		return any;
	}
}

static bool attr_is_sound(const struct owfs_attr *a)
{
	switch (a->mode & S_IFMT) {
	case S_IFDIR:
		if (a->parent == 0 || a->parent > OWFS_INO_MAX)
			return false;
		break;
	case S_IFLNK:
		if (a->size == 0 || a->size > OWFS_SYMLINK_MAX)
			return false;
		/* fall through */
	case S_IFREG:
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
	case S_IFSOCK:
		if (a->parent != 0)
			return false;
		break;
	default:
		return false;
	}
	return !(a->mode & ~(uint32_t)(S_IFMT | 07777)) &&
	       a->nlink <= OWFS_LINK_MAX && a->size <= OWFS_FILE_BYTES_MAX &&
	       !(a->flags & ~owfs_attr_flags_possible(a->mode));
}

int owfs_attr_from_disk(struct owfs_attr *a, const struct owfs_inode_item *d,
			size_t len)
{
	bool times;

	if (len != sizeof(*d))
		return -EFSCORRUPTED;
	a->mode = le32_to_cpu(d->mode);
	a->nlink = le32_to_cpu(d->nlink);
	a->uid = le32_to_cpu(d->uid);
	a->gid = le32_to_cpu(d->gid);
	a->size = le64_to_cpu(d->size);
	a->nblocks = le64_to_cpu(d->nblocks);
	a->flags = le32_to_cpu(d->flags);
	a->projid = le32_to_cpu(d->projid);
	a->rdev = le64_to_cpu(d->rdev);
	a->parent = le64_to_cpu(d->parent);
	a->gen = le64_to_cpu(d->gen);
	a->xattr_next = le32_to_cpu(d->xattr_next);
	times = time_from_disk(&a->atime, &d->atime) &&
		time_from_disk(&a->mtime, &d->mtime) &&
		time_from_disk(&a->ctime, &d->ctime) &&
		time_from_disk(&a->btime, &d->btime);

	if (!times || le32_to_cpu(d->zero32) || le64_to_cpu(d->zero64) ||
	    !attr_is_sound(a))
		return -EFSCORRUPTED;
	return 0;
}

void owfs_attr_to_disk(struct owfs_inode_item *d, const struct owfs_attr *a)
{
	*d = (struct owfs_inode_item){
		.mode = cpu_to_le32(a->mode),
		.nlink = cpu_to_le32(a->nlink),
		.uid = cpu_to_le32(a->uid),
		.gid = cpu_to_le32(a->gid),
		.size = cpu_to_le64(a->size),
		.nblocks = cpu_to_le64(a->nblocks),
		.flags = cpu_to_le32(a->flags),
		.projid = cpu_to_le32(a->projid),
		.rdev = cpu_to_le64(a->rdev),
		.parent = cpu_to_le64(a->parent),
		.gen = cpu_to_le64(a->gen),
		.xattr_next = cpu_to_le32(a->xattr_next),
	};
	time_to_disk(&d->atime, &a->atime);
	time_to_disk(&d->mtime, &a->mtime);
	time_to_disk(&d->ctime, &a->ctime);
	time_to_disk(&d->btime, &a->btime);
}

/* ------------------------------------------------------------- the table */

int owfs_itable_open(struct owfs_fs *fs)
{
	struct owfs_itable *it = calloc(1, sizeof(*it));

	if (!it)
		return -ENOMEM;
	/*
	 * A table that resizes itself has a thread of its own.  It has to count, or
	 * a few inodes in one chain make it grow for ever.
	 */
	it->it_ht = cds_lfht_new(1024, 1024, 0, fs->fs_param.threaded ?
				 CDS_LFHT_AUTO_RESIZE | CDS_LFHT_ACCOUNTING : 0,
				 NULL);
	if (!it->it_ht) {
		free(it);
		return -ENOMEM;
	}
	it->it_atimes = owfs_atimes_new();
	if (!it->it_atimes) {
		cds_lfht_destroy(it->it_ht, NULL);
		free(it);
		return -ENOMEM;
	}
	pthread_mutex_init(&it->it_rename, NULL);
	pthread_mutex_init(&it->it_load_lock, NULL);
	pthread_cond_init(&it->it_load_done, NULL);
	it->it_hash_mask = UINT64_MAX;
	it->it_seed = owfs_fs_random(fs);
	fs->fs_itable = it;
	return 0;
}

void owfs_itable_close(struct owfs_fs *fs)
{
	struct owfs_itable *it = fs->fs_itable;
	struct cds_lfht_iter iter;
	struct cds_lfht_node *node;
	struct owfs_inode *inode;

	if (!it)
		return;
	/* nobody else is here any more: no grace period has to be waited for */
	rcu_read_lock();
	cds_lfht_for_each(it->it_ht, &iter, node) {
		inode = container_of(node, struct owfs_inode, i_hash);
		cds_lfht_del(it->it_ht, &inode->i_hash);
		inode_strip(it, inode);
		free(inode);
	}
	rcu_read_unlock();
	cds_lfht_destroy(it->it_ht, NULL);
	owfs_atimes_free(it->it_atimes);
	pthread_mutex_destroy(&it->it_rename);
	pthread_mutex_destroy(&it->it_load_lock);
	pthread_cond_destroy(&it->it_load_done);
	free(it);
	fs->fs_itable = NULL;
}

static void gen_raise(owfs_gen_t *gen, owfs_gen_t to)
{
	owfs_gen_t old = __atomic_load_n(gen, __ATOMIC_RELAXED);

	while (old < to && !__atomic_compare_exchange_n(gen, &old, to, true,
							__ATOMIC_SEQ_CST,
							__ATOMIC_RELAXED))
		;
}

void owfs_inode_touch(struct owfs_inode *inode, owfs_gen_t gen)
{
	gen_raise(&inode->i_gen, gen);
}

/* Whoever finds @inode dead first says what must be known of it later. */
static void table_note_drop(struct owfs_itable *it, struct owfs_inode *inode)
{
	if (inode->i_atime_dirty && inode->i_attr.nlink)
		owfs_atimes_note(it->it_atimes, inode->i_ino,
				 &inode->i_attr.atime, &inode->i_atime_noted);
	gen_raise(&it->it_dropped_gen,
		  __atomic_load_n(&inode->i_gen, __ATOMIC_SEQ_CST));
}

static bool inode_get_live(struct owfs_inode *inode)
{
	/* of one that is gone the last holder's i_gen is wanted: acquire */
	int ref = __atomic_load_n(&inode->i_ref, __ATOMIC_ACQUIRE);

	while (ref > 0)
		if (__atomic_compare_exchange_n(&inode->i_ref, &ref, ref + 1,
						true, __ATOMIC_SEQ_CST,
						__ATOMIC_ACQUIRE))
			return true;
	return false;
}

/* Whatever stands in the table for @ino, referenced; NULL: nothing. */
static struct owfs_inode *table_find(struct owfs_itable *it, owfs_ino_t ino)
{
	struct owfs_inode *inode = NULL;
	struct cds_lfht_node *node;
	struct cds_lfht_iter iter;

	rcu_read_lock();
	cds_lfht_lookup(it->it_ht, ino_hash(it, ino), ino_match, &ino, &iter);
	node = cds_lfht_iter_get_node(&iter);
	if (node) {
		inode = container_of(node, struct owfs_inode, i_hash);
		if (!inode_get_live(inode)) {
			table_note_drop(it, inode);
			cds_lfht_del(it->it_ht, node);
			owfs_rcu_publish(inode);
			inode = NULL;
		}
	}
	rcu_read_unlock();
	return inode;
}

/* Put a placeholder for @ino into the table; NULL: somebody else did. */
static struct owfs_inode *table_add(struct owfs_fs *fs, owfs_ino_t ino)
{
	struct owfs_itable *it = fs->fs_itable;
	struct owfs_inode *inode = inode_alloc(fs, ino);
	struct cds_lfht_node *node;

	if (!inode)
		return ERR_PTR(-ENOMEM);
	inode->i_state = INODE_LOADING;
	inode->i_hashed = true;
	owfs_rcu_publish(inode);
	rcu_read_lock();
	node = cds_lfht_add_unique(it->it_ht, ino_hash(it, ino), ino_match, &ino,
				   &inode->i_hash);
	rcu_read_unlock();
	if (node == &inode->i_hash)
		return inode;
	inode_fini(inode);
	free(inode);
	return NULL;
}

/* --------------------------------------------------------------- reading */

static bool ino_is_possible(struct owfs_fs *fs, owfs_ino_t ino)
{
	bool used;

	if (ino == OWFS_INO_ROOT)
		return true;
	if (ino < OWFS_INO_FIRST || ino > OWFS_INO_MAX)
		return false;
	pthread_mutex_lock(&fs->fs_ino_lock);
	used = ino < fs->fs_next_ino;
	pthread_mutex_unlock(&fs->fs_ino_lock);
	return used;
}

static int inode_read(struct owfs_inode *inode)
{
	struct owfs_fs *fs = inode->i_fs;
	struct owfs_key key = owfs_key(inode->i_ino, OWFS_ITEM_INODE, 0);
	struct owfs_inode_item d;
	int ret;

	inode->i_gen = __atomic_load_n(&fs->fs_itable->it_dropped_gen,
				       __ATOMIC_SEQ_CST);
	ret = owfs_btree_lookup(fs->fs_bt, &key, &d, sizeof(d));
	if (ret < 0)
		return ret;
	ret = owfs_attr_from_disk(&inode->i_attr, &d, (size_t)ret);
	if (ret)
		return owfs_fs_fail(fs, ret, "inode %llu: bad inode item",
				    (unsigned long long)inode->i_ino);
	inode->i_type = inode->i_attr.mode & S_IFMT;
	if (owfs_atimes_take(fs->fs_itable->it_atimes, inode->i_ino,
			     &inode->i_attr.atime))
		inode->i_atime_dirty = true;
	if (inode->i_attr.flags & OWFS_INODE_INTENTS)
		return owfs_intents_check(inode);
	return 0;
}

static void inode_set_state(struct owfs_inode *inode, int state)
{
	__atomic_store_n(&inode->i_state, state, __ATOMIC_SEQ_CST);
}

/*
 * Fill the placeholder and wake those who wait.  -EAGAIN: while we read, the
 * number was given to a new inode that has taken our place.
 */
static int inode_load(struct owfs_inode *inode)
{
	struct owfs_itable *it = inode->i_fs->fs_itable;
	int ret = inode_read(inode);

	if (!ret && cds_lfht_is_node_deleted(&inode->i_hash))
		ret = -EAGAIN;
	if (ret) {
		rcu_read_lock();
		cds_lfht_del(it->it_ht, &inode->i_hash);
		rcu_read_unlock();
	}
	pthread_mutex_lock(&it->it_load_lock);
	inode_set_state(inode, ret ? ret : INODE_LIVE);
	pthread_cond_broadcast(&it->it_load_done);
	pthread_mutex_unlock(&it->it_load_lock);
	return ret;
}

static int inode_wait(struct owfs_inode *inode)
{
	struct owfs_itable *it = inode->i_fs->fs_itable;
	int state = __atomic_load_n(&inode->i_state, __ATOMIC_SEQ_CST);

	if (state == INODE_LOADING) {
		pthread_mutex_lock(&it->it_load_lock);
		while ((state = __atomic_load_n(&inode->i_state,
						__ATOMIC_SEQ_CST)) ==
		       INODE_LOADING)
			pthread_cond_wait(&it->it_load_done,
					  &it->it_load_lock);
		pthread_mutex_unlock(&it->it_load_lock);
	}
	return state == INODE_LIVE ? 0 : state;
}

static int iget_once(struct owfs_fs *fs, owfs_ino_t ino,
		     struct owfs_inode **ip)
{
	struct owfs_inode *inode = table_find(fs->fs_itable, ino);
	int ret;

	if (inode) {
		__atomic_store_n(&inode->i_asked, true, __ATOMIC_RELAXED);
		ret = inode_wait(inode);
	} else {
		inode = table_add(fs, ino);
		if (!inode)
			return -EAGAIN;
		if (IS_ERR(inode))
			return (int)PTR_ERR(inode);
		ret = inode_load(inode);
	}
	if (ret)
		owfs_iput(inode);
	else
		*ip = inode;
	return ret;
}

int owfs_iget(struct owfs_fs *fs, owfs_ino_t ino, struct owfs_inode **ip)
{
	int ret = owfs_fs_readable(fs);

	if (ret)
		return ret;
	if (!ino_is_possible(fs, ino))
		return -ESTALE;
	do {
		ret = iget_once(fs, ino, ip);
	} while (ret == -EAGAIN);
	return ret;
}

struct owfs_inode *owfs_iget_cached(struct owfs_fs *fs, owfs_ino_t ino)
{
	struct owfs_inode *inode = table_find(fs->fs_itable, ino);

	if (inode && __atomic_load_n(&inode->i_state, __ATOMIC_SEQ_CST) !=
			     INODE_LIVE) {
		owfs_iput(inode);
		return NULL;
	}
	return inode;
}

/* ------------------------------------------------------------ references */

void owfs_igrab(struct owfs_inode *inode)
{
	__atomic_fetch_add(&inode->i_ref, 1, __ATOMIC_RELAXED);
}

void owfs_iput(struct owfs_inode *inode)
{
	struct owfs_fs *fs = inode->i_fs;
	owfs_ino_t ino = inode->i_ino;
	bool ready;

	if (__atomic_sub_fetch(&inode->i_ref, 1, __ATOMIC_SEQ_CST))
		return;
	ready = __atomic_load_n(&inode->i_state, __ATOMIC_SEQ_CST) ==
			INODE_LIVE &&
		inode->i_attr.nlink == 0;
	table_note_drop(fs->fs_itable, inode);
	inode_unhash_free(fs->fs_itable, inode);
	if (ready)
		owfs_reclaim_queue(fs, ino);
}

void owfs_inode_remember(struct owfs_inode *inode)
{
	struct owfs_itable *it = inode->i_fs->fs_itable;

	if (__atomic_fetch_add(&inode->i_nlookup, 1, __ATOMIC_SEQ_CST))
		return;
	owfs_igrab(inode);
	__atomic_fetch_add(&it->it_remembered, 1, __ATOMIC_RELAXED);
}

/* The kernel has no reference any more: nor has the one that stood for all. */
static void forgotten(struct owfs_inode *inode)
{
	struct owfs_itable *it = inode->i_fs->fs_itable;

	__atomic_fetch_sub(&it->it_remembered, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&it->it_forgotten, 1, __ATOMIC_RELAXED);
	owfs_iput(inode);
}

void owfs_inode_forget(struct owfs_fs *fs, owfs_ino_t ino, uint64_t n)
{
	struct owfs_inode *inode = owfs_iget_cached(fs, ino);
	uint64_t had;

	if (!inode)
		return;
	had = __atomic_load_n(&inode->i_nlookup, __ATOMIC_SEQ_CST);
	/* forgetting more than was ever answered is not our mistake */
	while (!__atomic_compare_exchange_n(&inode->i_nlookup, &had,
					    had - min_u64(had, n), false,
					    __ATOMIC_SEQ_CST,
					    __ATOMIC_SEQ_CST))
		;
	if (had && had <= n)
		forgotten(inode);
	owfs_iput(inode);
}

void owfs_itable_forget_all(struct owfs_fs *fs)
{
	struct cds_lfht_iter iter;
	struct cds_lfht_node *node;
	struct owfs_inode *inode;

	rcu_read_lock();
	cds_lfht_for_each(fs->fs_itable->it_ht, &iter, node) {
		inode = container_of(node, struct owfs_inode, i_hash);
		owfs_rcu_consume(inode);
		if (__atomic_exchange_n(&inode->i_nlookup, 0, __ATOMIC_SEQ_CST))
			forgotten(inode);
	}
	rcu_read_unlock();
}

uint64_t owfs_itable_remembered(const struct owfs_fs *fs)
{
	return __atomic_load_n(&fs->fs_itable->it_remembered, __ATOMIC_RELAXED);
}

uint64_t owfs_itable_forgotten(const struct owfs_fs *fs)
{
	return __atomic_load_n(&fs->fs_itable->it_forgotten, __ATOMIC_RELAXED);
}

static bool is_cold(struct owfs_inode *inode)
{
	return !__atomic_exchange_n(&inode->i_asked, false, __ATOMIC_RELAXED) &&
	       __atomic_load_n(&inode->i_nlookup, __ATOMIC_RELAXED) &&
	       __atomic_load_n(&inode->i_ref, __ATOMIC_RELAXED) == 1 &&
	       inode->i_ino != OWFS_INO_ROOT;
}

size_t owfs_itable_cold(struct owfs_fs *fs, owfs_ino_t *ino, size_t n)
{
	struct cds_lfht_iter iter;
	struct cds_lfht_node *node;
	struct owfs_inode *inode;
	size_t found = 0;

	rcu_read_lock();
	cds_lfht_for_each(fs->fs_itable->it_ht, &iter, node) {
		inode = container_of(node, struct owfs_inode, i_hash);
		if (found == n)
			break;
		owfs_rcu_consume(inode);
		if (is_cold(inode))
			ino[found++] = inode->i_ino;
		owfs_rcu_publish(inode);
	}
	rcu_read_unlock();
	return found;
}

size_t owfs_itable_list_atimes(struct owfs_fs *fs, owfs_ino_t *list,
			       size_t max)
{
	struct owfs_itable *it = fs->fs_itable;
	size_t n = owfs_atimes_list(it->it_atimes, list, max);
	struct cds_lfht_iter iter;
	struct cds_lfht_node *node;
	struct owfs_inode *inode;

	rcu_read_lock();
	cds_lfht_for_each(it->it_ht, &iter, node) {
		inode = container_of(node, struct owfs_inode, i_hash);
		owfs_rcu_consume(inode);
		if (!inode->i_atime_dirty)
			continue;
		if (n < max)
			list[n] = inode->i_ino;
		n++;
	}
	rcu_read_unlock();
	return n;
}

/*
 * One who comes between our two looks at i_ref either sees -ESTALE or is seen
 * by the second.
 */
bool owfs_inode_claim(struct owfs_inode *inode)
{
	if (__atomic_load_n(&inode->i_ref, __ATOMIC_SEQ_CST) != 1)
		return false;
	inode_set_state(inode, -ESTALE);
	if (__atomic_load_n(&inode->i_ref, __ATOMIC_SEQ_CST) == 1)
		return true;
	inode_set_state(inode, INODE_LIVE);
	return false;
}

/* ------------------------------------------------------ making, changing */

int owfs_inode_new(struct owfs_fs *fs, owfs_ino_t ino,
		   const struct owfs_attr *attr, struct owfs_inode **ip)
{
	struct owfs_inode *inode = inode_alloc(fs, ino);

	if (!inode)
		return -ENOMEM;
	inode->i_state = INODE_LIVE;
	inode->i_attr = *attr;
	inode->i_type = attr->mode & S_IFMT;
	inode->i_missing = UINT8_MAX;	/* it has nothing yet */
	pthread_rwlock_wrlock(&inode->i_lock);
	*ip = inode;
	return 0;
}

void owfs_inode_discard(struct owfs_inode *inode)
{
	pthread_rwlock_unlock(&inode->i_lock);
	inode_fini(inode);
	free(inode);
}

/*
 * The number was never used, but somebody may ask for it all the same and
 * have a placeholder in the table; it gives way, and its owner notices.
 */
static void table_add_new(struct owfs_itable *it, struct owfs_inode *inode)
{
	inode->i_hashed = true;
	owfs_rcu_publish(inode);
	rcu_read_lock();
	cds_lfht_add_replace(it->it_ht, ino_hash(it, inode->i_ino), ino_match,
			     &inode->i_ino, &inode->i_hash);
	rcu_read_unlock();
}

int owfs_inode_store(struct owfs_trans *tr, struct owfs_inode *inode,
		     bool insert)
{
	struct owfs_key key = owfs_key(inode->i_ino, OWFS_ITEM_INODE, 0);
	struct owfs_btree *bt = inode->i_fs->fs_bt;
	struct owfs_inode_item d;
	int ret;

	owfs_attr_to_disk(&d, &inode->i_attr);
	if (insert) {
		table_add_new(inode->i_fs->fs_itable, inode);
		ret = owfs_btree_insert(bt, &key, &d, sizeof(d));
	} else {
		ret = owfs_btree_update(bt, &key, &d, sizeof(d));
	}
	if (ret)
		return owfs_trans_abort(tr, ret, "inode item");
	inode->i_atime_dirty = false;
	owfs_inode_touch(inode, tr->gen);
	return 0;
}
