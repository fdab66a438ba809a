/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Transactions: reserve, join, change, end.
 *
 * The tree asks for blocks through its ops without knowing on whose behalf, so
 * the running transaction is remembered per thread, as kernel filesystems do
 * in current->journal_info.  A thread has one at most: joining twice would
 * also deadlock against a seal in between.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/util.h"
#include "trans/commit.h"
#include "trans/tree_ops.h"

/*
 * Young nodes that may wait for a commit: from the first number on one is
 * begun, beyond the second operations wait for it.  A tenth of a second of a
 * slow device's writing.
 */
#define DIRTY_KICK	2048u
#define DIRTY_WAIT	8192u

/*
 * A full filesystem is given so many rounds of commit and reclaim that bring
 * nothing, and so many in all while nobody else holds anything.
 *
 * What others hold they give back as soon as they have a processor and the
 * device: rounds say nothing of that, time does.  In iomap mode it may be the
 * kernel that holds it, for as long as it likes to keep pages dirty.
 */
#define RETRY_ROUNDS	6u
#define RETRY_LAST	100u
#define RETRY_NSEC	20000000
#define HELD_MSEC	2000u
#define HELD_MSEC_KERNEL 120u
#define RECLAIM_STEPS	64u

static _Thread_local struct owfs_trans *running;
static _Thread_local bool throttled;	/* why this thread was last refused */

/* ------------------------------------------------- what the tree asks for */

static int trans_alloc_block(void *ctx, owfs_fsblock_t addr[2])
{
	struct owfs_fs *fs = ctx;
	struct owfs_trans *tr = running;
	unsigned int copies = fs->fs_super.meta_copies;
	int ret;

	if (!tr || tr->nodes == 0 || tr->blocks < copies)
		return owfs_fs_fail(fs, -ENOSPC,
				    "transaction: more nodes than reserved");
	ret = owfs_alloc_node(fs->fs_al, copies, addr);
	if (ret)
		return ret;
	tr->nodes--;
	tr->blocks -= copies;
	return 0;
}

static int trans_free_block(void *ctx, const struct owfs_ptr *ptr, bool unborn)
{
	struct owfs_fs *fs = ctx;
	int i, ret = 0;

	if (unborn)
		return owfs_alloc_free_unborn(fs->fs_al, ptr->addr);
	if (fs->fs_param.keep_freed)
		return 0;
	for (i = 0; i < 2 && !ret; i++)
		if (ptr->addr[i] != OWFS_NOBLOCK)
			ret = owfs_alloc_free(fs->fs_al, ptr->addr[i], 1);
	return ret;
}

static void trans_bad_node(void *ctx, owfs_fsblock_t addr, int err)
{
	struct owfs_fs *fs = ctx;

	/* which node, and what is wrong with it, has been said */
	if (!__atomic_load_n(&fs->fs_error, __ATOMIC_ACQUIRE))
		owfs_fs_fail_at(fs, err, addr,
				"tree: node %llu cannot be believed",
				(unsigned long long)addr);
}

const struct owfs_btree_ops owfs_trans_tree_ops = {
	.alloc_block = trans_alloc_block,
	.free_block = trans_free_block,
	.bad_node = trans_bad_node,
};

/* ------------------------------------------------------------ making room */

/*
 * On a full device everybody who wants space is refused, makes room, and finds
 * that others were faster.  So who was refused twice gets a turn: until it is
 * over the others are refused at once, and what comes back is there for one.
 * Who frees is never refused for that.  Nobody holds a lock while waiting here.
 */
static bool is_others_turn(struct owfs_fs *fs)
{
	const void *who = __atomic_load_n(&fs->fs_turn, __ATOMIC_RELAXED);

	return who && who != &running;
}

/* Also if it was taken by an operation that this one is part of. */
static bool is_my_turn(struct owfs_fs *fs)
{
	return __atomic_load_n(&fs->fs_turn, __ATOMIC_RELAXED) == &running;
}

static void turn_take(struct owfs_fs *fs)
{
	pthread_mutex_lock(&fs->fs_turn_lock);
	while (fs->fs_turn)
		pthread_cond_wait(&fs->fs_turn_over, &fs->fs_turn_lock);
	__atomic_store_n(&fs->fs_turn, &running, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&fs->fs_turn_lock);
}

static void turn_end(struct owfs_fs *fs)
{
	pthread_mutex_lock(&fs->fs_turn_lock);
	__atomic_store_n(&fs->fs_turn, NULL, __ATOMIC_RELAXED);
	pthread_cond_signal(&fs->fs_turn_over);
	pthread_mutex_unlock(&fs->fs_turn_lock);
}

int owfs_room_take(struct owfs_fs *fs, uint64_t blocks,
		   enum owfs_resv_class class)
{
	int ret;

	if (class != OWFS_RESV_FREEING && is_others_turn(fs))
		return -EAGAIN;
	ret = owfs_alloc_reserve(fs->fs_al, blocks, class);
	/* whether there is more to be had is found out without locks */
	return ret == -ENOSPC ? -EAGAIN : owfs_fs_check_map(fs, ret);
}

/* True if background reclaim took something away. */
static bool reclaim_some(struct owfs_fs *fs)
{
	unsigned int i;

	if (!fs->fs_reclaim_step)
		return false;
	for (i = 0; i < RECLAIM_STEPS; i++)
		if (fs->fs_reclaim_step(fs) <= 0)
			break;
	return i > 0;
}

/* Somebody gave something back: it may be what the one whose turn it is needs. */
static void turn_news(struct owfs_fs *fs)
{
	if (!is_others_turn(fs))
		return;
	pthread_mutex_lock(&fs->fs_turn_lock);
	fs->fs_turn_news = true;
	pthread_cond_signal(&fs->fs_turn_back);
	pthread_mutex_unlock(&fs->fs_turn_lock);
}

static void turn_wait(struct owfs_fs *fs)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += RETRY_NSEC;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&fs->fs_turn_lock);
	while (!fs->fs_turn_news)
		if (pthread_cond_timedwait(&fs->fs_turn_back, &fs->fs_turn_lock,
					   &until))
			break;
	fs->fs_turn_news = false;
	pthread_mutex_unlock(&fs->fs_turn_lock);
}

static uint64_t now_msec(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* Have others held the same for longer than a working one would? */
static bool is_held_for_good(const struct owfs_fs *fs,
			     const struct owfs_retry *r)
{
	return now_msec() - r->since > (fs->fs_kernel_io ? HELD_MSEC_KERNEL :
							   HELD_MSEC);
}

/*
 * Did the last round bring nothing, nor can another one?  It counts if nobody
 * else could take what it brought.  And only if all is as it was before the
 * last attempt: what came back after it was refused has not been tried for.
 */
static bool is_drained(const struct owfs_fs *fs, struct owfs_retry *r,
		       bool had_turn, const struct owfs_alloc_stat *st)
{
	uint64_t held = st->reserved + st->staged;
	bool same = st->free == r->last_free && held == r->last_held;

	r->last_free = st->free;
	r->last_held = held;
	if (!had_turn || !same)
		r->since = now_msec();
	if (!had_turn) {
		r->tries = 1;
		return false;
	}
	r->tries += same;
	if (held)
		return is_held_for_good(fs, r);
	if (++r->rounds > RETRY_LAST)
		return true;
	return same && (!st->pinned || r->tries > RETRY_ROUNDS);
}

/* Too much waits for a commit: let go of the locks and wait for it. */
static bool is_throttled(struct owfs_fs *fs)
{
	size_t dirty = owfs_btree_dirty(fs->fs_bt);

	if (dirty >= DIRTY_KICK)
		owfs_commit_kick(fs);
	return dirty >= DIRTY_WAIT;
}

/* One round of a full device.  0: try again. */
static int make_room(struct owfs_fs *fs, struct owfs_retry *r)
{
	bool reclaimed = reclaim_some(fs), had_turn = is_my_turn(fs);
	struct owfs_alloc_stat st;

	if (r->tries && !had_turn) {
		turn_take(fs);
		r->turn = true;
	}
	owfs_alloc_stat(fs->fs_al, &st);
	if (!reclaimed && is_drained(fs, r, had_turn, &st))
		return -ENOSPC;
	if (had_turn && !reclaimed && st.reserved + st.staged &&
	    (!st.pinned || r->tries > 2))
		turn_wait(fs);
	return owfs_commit_force(fs);
}

bool owfs_trans_retry(struct owfs_fs *fs, int *ret, struct owfs_retry *r)
{
	int err = *ret;

	if (err == -EAGAIN && is_throttled(fs))
		err = owfs_commit_wait(fs, owfs_open_gen(fs));
	else if (err == -EAGAIN)	/* what was too much may be sealed by now */
		err = throttled ? 0 : make_room(fs, r);
	throttled = false;
	if (*ret == -EAGAIN && !err)
		return true;
	if (r->turn)
		turn_end(fs);
	r->turn = false;
	if (*ret == -EAGAIN)
		*ret = err;
	return false;
}

/* ----------------------------------------------------------- reservations */

/* Buffers for so many new nodes, and room to note them. */
static int reserve_memory(struct owfs_fs *fs, unsigned int nodes)
{
	int ret = owfs_bufcache_reserve(fs->fs_bc, nodes);

	if (ret)
		return ret;
	ret = owfs_btree_promise(fs->fs_bt, nodes);
	if (ret)
		owfs_bufcache_unreserve(fs->fs_bc, nodes);
	return ret;
}

static void unreserve_memory(struct owfs_fs *fs, unsigned int nodes)
{
	owfs_btree_unpromise(fs->fs_bt, nodes);
	owfs_bufcache_unreserve(fs->fs_bc, nodes);
}

int owfs_resv_take_nodes(struct owfs_fs *fs, struct owfs_resv *r,
			 unsigned int nodes, enum owfs_resv_class class)
{
	uint64_t blocks = (uint64_t)nodes * fs->fs_super.meta_copies;
	int ret = owfs_fs_writable(fs);

	r->nodes = 0;
	r->blocks = 0;
	if (ret)
		return ret;
	ret = owfs_commit_start_run(fs);
	if (ret)
		return ret;
	throttled = is_throttled(fs);
	if (throttled)
		return -EAGAIN;
	ret = reserve_memory(fs, nodes);
	if (ret)
		return ret;
	ret = owfs_room_take(fs, blocks, class);
	if (ret) {
		unreserve_memory(fs, nodes);
		return ret;
	}
	r->nodes = nodes;
	r->blocks = blocks;
	return 0;
}

int owfs_resv_take(struct owfs_fs *fs, struct owfs_resv *r,
		   unsigned int nplaces, unsigned int run,
		   enum owfs_resv_class class)
{
	return owfs_resv_take_nodes(fs, r,
				    owfs_btree_worst(fs->fs_bt, nplaces, run),
				    class);
}

void owfs_resv_give(struct owfs_fs *fs, struct owfs_resv *r)
{
	if (r->blocks)
		owfs_alloc_unreserve(fs->fs_al, r->blocks);
	if (r->nodes)
		unreserve_memory(fs, r->nodes);
	if (r->blocks)
		turn_news(fs);
	r->nodes = 0;
	r->blocks = 0;
}

/* ----------------------------------------------------------- transactions */

void owfs_trans_join(struct owfs_fs *fs, struct owfs_trans *tr,
		     struct owfs_resv *r)
{
	assert(!running);
	tr->fs = fs;
	tr->nodes = r->nodes;
	tr->blocks = r->blocks;
	tr->err = 0;
	r->nodes = 0;
	r->blocks = 0;
	pthread_rwlock_rdlock(&fs->fs_seal);
	tr->gen = owfs_open_gen(fs);
	running = tr;
}

int owfs_trans_begin(struct owfs_fs *fs, struct owfs_trans *tr,
		     unsigned int nplaces, unsigned int run,
		     enum owfs_resv_class class)
{
	struct owfs_resv r;
	int ret = owfs_resv_take(fs, &r, nplaces, run, class);

	if (!ret)
		owfs_trans_join(fs, tr, &r);
	return ret;
}

int owfs_trans_end(struct owfs_trans *tr)
{
	struct owfs_resv rest = { tr->nodes, tr->blocks };

	assert(running == tr);
	running = NULL;
	pthread_rwlock_unlock(&tr->fs->fs_seal);
	owfs_resv_give(tr->fs, &rest);
	return tr->err;
}

int owfs_trans_abort(struct owfs_trans *tr, int err, const char *where)
{
	/* what it looked up before is not there any more, or not as it was */
	if (err == -ENOENT || err == -EEXIST)
		err = -EFSCORRUPTED;
	if (!tr->err)
		tr->err = err;
	owfs_commit_poison(tr->fs, err);
	return owfs_fs_fail(tr->fs, err, "transaction aborted: %s: error=%d",
			    where, -err);
}

int owfs_trans_new_ino(struct owfs_fs *fs, owfs_ino_t *ino)
{
	int ret = owfs_fs_writable(fs);

	if (!ret)
		ret = owfs_commit_start_run(fs);
	if (ret)
		return ret;
	pthread_mutex_lock(&fs->fs_ino_lock);
	if (fs->fs_next_ino < fs->fs_ino_limit)
		*ino = fs->fs_next_ino++;
	else
		ret = fs->fs_next_ino > OWFS_INO_MAX ? -ENOSPC : -EAGAIN;
	pthread_mutex_unlock(&fs->fs_ino_lock);
	return ret;
}
