/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Commit: a machine of small steps that makes one sealed generation durable
 * while operations go on in the next.
 *
 *	seal    the open generation becomes G, G+1 is open (fs_seal held for
 *	        writing: microseconds, nothing read, nothing allocated)
 *	finish  checksums, from the leaves up
 *	nodes   G's nodes, in large sorted batches
 *	map     G's bitmaps and map nodes, into slots nobody needs
 *	flush   ... which also settles the data remapped in G (T3)
 *	super   one sector
 *	settle  the flush behind it; then G is durable and G-1's frees are free
 *
 * Whoever waits for a generation drives the machine if nobody else does, so
 * one fsync costs no change of threads, many share a commit, and a test with
 * one thread decides what happens between any two steps.  The commit thread
 * only sees to it that nothing stays uncommitted for long.
 *
 * Locks: c_lock for the fields; `stepping` makes its holder the only one in
 * the machine, without c_lock.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/util.h"
#include "trans/commit.h"
#include "trans/commit_impl.h"
#include "trans/keep.h"

#define NODES_PER_STEP	256	/* 1 MiB at 4 KiB a block */
#define GROUPS_PER_STEP	64
#define DEFAULT_SECS	5

static const char *const state_names[] = {
	[COMMIT_IDLE]	= "seal",
	[COMMIT_FINISH]	= "finish",
	[COMMIT_NODES]	= "nodes",
	[COMMIT_MAP]	= "map",
	[COMMIT_FLUSH]	= "flush",
	[COMMIT_SUPER]	= "super",
	[COMMIT_SETTLE]	= "settle",
};

/* ------------------------------------------------------------ the machine */

static void commit_seal(struct owfs_fs *fs, struct owfs_commit *c)
{
	struct owfs_btree_sealed *s = &c->sealed;

	pthread_rwlock_wrlock(&fs->fs_seal);
	c->gen = owfs_open_gen(fs);
	owfs_btree_seal(fs->fs_bt, c->gen + 1, s);
	owfs_alloc_seal(fs->fs_al);
	pthread_mutex_lock(&fs->fs_ino_lock);
	c->ino_limit = fs->fs_ino_limit;
	if (fs->fs_next_ino + INO_STEP / 2 > c->ino_limit)
		c->ino_limit = min_u64(fs->fs_next_ino + INO_STEP,
				       OWFS_INO_MAX + 1);
	pthread_mutex_unlock(&fs->fs_ino_lock);
	__atomic_store_n(&fs->fs_open_gen, c->gen + 1, __ATOMIC_RELEASE);
	pthread_rwlock_unlock(&fs->fs_seal);

	c->root = fs->fs_super.root[0];
	c->root.gen = c->gen;
}

static void commit_finish_nodes(struct owfs_fs *fs, struct owfs_commit *c)
{
	owfs_btree_finish(fs->fs_bt, &c->sealed);
	if (c->sealed.root_buf) {
		c->root.tree = c->sealed.root;
		c->root.level = c->sealed.level;
	}
}

static int commit_write_super(struct owfs_fs *fs, struct owfs_commit *c)
{
	struct owfs_super *sb = &c->super;

	*sb = fs->fs_super;
	sb->root[1] = sb->root[0];
	sb->root[0] = c->root;
	sb->next_gen = c->gen + 2;
	sb->ino_limit = c->ino_limit;
	owfs_commit_super_stamp(fs, sb);
	return owfs_commit_super_write(fs, sb);
}

/* Waiters go on; only then is what the generation before freed given back. */
static void commit_publish(struct owfs_fs *fs, struct owfs_commit *c)
{
	pthread_mutex_lock(&fs->fs_ino_lock);
	fs->fs_ino_limit = c->ino_limit;
	pthread_mutex_unlock(&fs->fs_ino_lock);

	pthread_mutex_lock(&c->c_lock);
	c->durable = c->gen;
	pthread_cond_broadcast(&c->c_done);
	pthread_mutex_unlock(&c->c_lock);
}

static int commit_settle(struct owfs_fs *fs, struct owfs_commit *c)
{
	int ret = owfs_commit_super_settle(fs, &c->super);

	if (ret)
		return ret;
	commit_publish(fs, c);
	owfs_keep_expire(fs);
	owfs_alloc_durable(fs->fs_al);
	owfs_btree_release(fs->fs_bt, &c->before);
	c->before = c->sealed;
	memset(&c->sealed, 0, sizeof(c->sealed));
	return 0;
}

static int commit_do(struct owfs_fs *fs, struct owfs_commit *c)
{
	int ret;

	switch (c->state) {
	case COMMIT_IDLE:
		commit_seal(fs, c);
		c->state = COMMIT_FINISH;
		return 0;
	case COMMIT_FINISH:
		commit_finish_nodes(fs, c);
		c->state = COMMIT_NODES;
		return 0;
	case COMMIT_NODES:
		ret = owfs_btree_write(fs->fs_bt, &c->sealed, NODES_PER_STEP);
		if (ret == 0)
			c->state = COMMIT_MAP;
		return ret < 0 ? ret : 0;
	case COMMIT_MAP:
		ret = owfs_alloc_store(fs->fs_al, c->gen, GROUPS_PER_STEP,
				       &c->root.map);
		if (ret == 0)
			c->state = COMMIT_FLUSH;
		return ret < 0 ? ret : 0;
	case COMMIT_FLUSH:
		c->state = COMMIT_SUPER;
		return owfs_blkdev_flush(fs->fs_bd);
	case COMMIT_SUPER:
		c->state = COMMIT_SETTLE;
		return commit_write_super(fs, c);
	case COMMIT_SETTLE:
		ret = commit_settle(fs, c);
		c->state = COMMIT_IDLE;
		return ret;
	}
	return -EINVAL;
}

/* The machine failed at @state: nothing can be committed any more. */
static void commit_failed(struct owfs_fs *fs, struct owfs_commit *c,
			  enum commit_state state, int err)
{
	owfs_gen_t last = fs->fs_super.root[0].gen;
	owfs_fsblock_t block = 0;

	if (state != COMMIT_FLUSH && state != COMMIT_SETTLE)
		block = __atomic_load_n(&fs->fs_bd->bad_pos, __ATOMIC_RELAXED) /
			fs->fs_geo.blocksize;
	if (state >= COMMIT_SUPER)
		owfs_fs_fail_at(fs, err, block,
				"commit: %s failed: fsblock=%llu error=%d: the device shows generation %llu or %llu",
				state_names[state], (unsigned long long)block,
				-err, (unsigned long long)last,
				(unsigned long long)c->gen);
	else
		owfs_fs_fail_at(fs, err, block,
				"commit: %s failed: fsblock=%llu error=%d: the device shows generation %llu",
				state_names[state], (unsigned long long)block,
				-err, (unsigned long long)last);
	owfs_commit_poison(fs, err);
}

/* Is there a reason to seal?  Caller holds c_lock. */
static bool commit_due(struct owfs_fs *fs, struct owfs_commit *c, bool start)
{
	if (c->wanted > c->durable)
		return true;
	return (start || c->kicked) && owfs_btree_dirty(fs->fs_bt) > 0;
}

/* Caller holds c_lock and found !stepping; it is let go meanwhile. */
static int commit_step_locked(struct owfs_fs *fs, struct owfs_commit *c,
			      bool start)
{
	enum commit_state state = c->state;
	int ret;

	if (c->err)
		return c->err;
	if (state == COMMIT_IDLE && !commit_due(fs, c, start)) {
		c->kicked = false;
		return 0;
	}
	if (state == COMMIT_IDLE)
		c->kicked = false;

	c->stepping = true;
	pthread_mutex_unlock(&c->c_lock);
	ret = commit_do(fs, c);
	if (ret)
		commit_failed(fs, c, state, ret);
	pthread_mutex_lock(&c->c_lock);
	c->stepping = false;
	pthread_cond_broadcast(&c->c_done);
	return ret ? ret : 1;
}

int owfs_commit_step(struct owfs_fs *fs, bool start)
{
	struct owfs_commit *c = fs->fs_commit;
	int ret;

	pthread_mutex_lock(&c->c_lock);
	while (c->stepping)
		pthread_cond_wait(&c->c_done, &c->c_lock);
	ret = commit_step_locked(fs, c, start);
	pthread_mutex_unlock(&c->c_lock);
	return ret;
}

const char *owfs_commit_next_step(struct owfs_fs *fs)
{
	return state_names[fs->fs_commit->state];
}

/* ----------------------------------------------------------------- waiting */

/* Drive the machine, or watch it being driven.  Caller holds c_lock. */
static int wait_locked(struct owfs_fs *fs, struct owfs_commit *c,
		       owfs_gen_t gen)
{
	int ret;

	while (c->durable < gen) {
		if (c->stepping) {
			pthread_cond_wait(&c->c_done, &c->c_lock);
			continue;
		}
		ret = commit_step_locked(fs, c, false);
		if (ret < 0)
			return ret;
	}
	return 0;
}

static int want(struct owfs_fs *fs, owfs_gen_t gen)
{
	struct owfs_commit *c = fs->fs_commit;
	int ret;

	pthread_mutex_lock(&c->c_lock);
	if (c->wanted < gen)
		c->wanted = gen;
	ret = wait_locked(fs, c, gen);
	pthread_mutex_unlock(&c->c_lock);
	return ret;
}

int owfs_commit_wait(struct owfs_fs *fs, owfs_gen_t gen)
{
	if (gen <= owfs_commit_durable(fs))
		return 0;
	if (fs->fs_param.readonly)
		return 0;
	return want(fs, gen);
}

int owfs_commit_all(struct owfs_fs *fs)
{
	owfs_gen_t gen;

	/*
	 * No seal between the two looks: what it took away from the open
	 * generation would be in neither.
	 */
	pthread_rwlock_rdlock(&fs->fs_seal);
	gen = owfs_open_gen(fs);
	if (!owfs_btree_dirty(fs->fs_bt))
		gen--;	/* what was sealed before is in the way either way */
	pthread_rwlock_unlock(&fs->fs_seal);
	return owfs_commit_wait(fs, gen);
}

int owfs_commit_force(struct owfs_fs *fs)
{
	int ret = owfs_commit_start_run(fs);

	return ret ? ret : want(fs, owfs_open_gen(fs));
}

void owfs_commit_kick(struct owfs_fs *fs)
{
	struct owfs_commit *c = fs->fs_commit;

	pthread_mutex_lock(&c->c_lock);
	if (!c->kicked) {
		c->kicked = true;
		pthread_cond_signal(&c->c_work);
	}
	pthread_mutex_unlock(&c->c_lock);
}

owfs_gen_t owfs_commit_durable(struct owfs_fs *fs)
{
	struct owfs_commit *c = fs->fs_commit;
	owfs_gen_t gen;

	pthread_mutex_lock(&c->c_lock);
	gen = c->durable;
	pthread_mutex_unlock(&c->c_lock);
	return gen;
}

void owfs_commit_record(struct owfs_fs *fs)
{
	struct owfs_commit *c = fs->fs_commit;

	if (!c)
		return;
	pthread_mutex_lock(&c->c_lock);
	c->record = true;
	pthread_cond_signal(&c->c_work);
	pthread_mutex_unlock(&c->c_lock);
}

void owfs_commit_poison(struct owfs_fs *fs, int err)
{
	struct owfs_commit *c = fs->fs_commit;

	pthread_mutex_lock(&c->c_lock);
	if (!c->err)
		c->err = err;
	pthread_cond_broadcast(&c->c_done);
	pthread_mutex_unlock(&c->c_lock);
}

/* -------------------------------------------------------- between commits */

bool owfs_commit_enter(struct owfs_fs *fs, struct owfs_commit *c)
{
	int ret = 0;

	pthread_mutex_lock(&c->c_lock);
	while (c->stepping || c->state != COMMIT_IDLE) {
		if (c->stepping)
			pthread_cond_wait(&c->c_done, &c->c_lock);
		else
			ret = commit_step_locked(fs, c, false);
		if (ret < 0)
			break;
	}
	if (!c->err)
		c->stepping = true;
	ret = c->err;
	pthread_mutex_unlock(&c->c_lock);
	return !ret;
}

void owfs_commit_leave(struct owfs_commit *c)
{
	pthread_mutex_lock(&c->c_lock);
	c->stepping = false;
	pthread_cond_broadcast(&c->c_done);
	pthread_mutex_unlock(&c->c_lock);
}

int owfs_commit_format(struct owfs_fs *fs)
{
	struct owfs_commit *c = fs->fs_commit;
	struct owfs_super sb = fs->fs_super;
	unsigned int slot;
	int ret;

	do {
		ret = commit_do(fs, c);
	} while (!ret && c->state != COMMIT_SUPER);
	if (ret)
		return ret;

	sb.root[0] = c->root;
	sb.root[0].map.freed_blocks = 0;
	sb.next_gen = c->gen + 2;
	sb.ino_limit = fs->fs_next_ino;
	sb.seq = ++c->seq;
	sb.state = OWFS_STATE_CLEAN;
	for (slot = 0; slot < OWFS_SUPER_SLOTS && !ret; slot++) {
		ret = owfs_super_write(fs->fs_bd, &sb, &fs->fs_slots, slot);
		if (!ret)
			ret = owfs_commit_super_settle(fs, &sb);
	}
	return ret;
}

/* ------------------------------------------------------------- the thread */

static void wait_for_work(struct owfs_fs *fs, struct owfs_commit *c)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += fs->fs_param.commit_secs ? fs->fs_param.commit_secs
						 : DEFAULT_SECS;
	while (!c->stop && !c->record && (c->err || !c->kicked))
		if (pthread_cond_timedwait(&c->c_work, &c->c_lock, &until))
			break;
}

/* Caller holds c_lock; it is let go meanwhile. */
static void record_locked(struct owfs_fs *fs, struct owfs_commit *c)
{
	if (!c->record || c->stop)
		return;
	c->record = false;
	pthread_mutex_unlock(&c->c_lock);
	if (owfs_commit_write_error(fs))
		owfs_msg(fs->fs_msg, OWFS_MSG_WARN,
			 "superblock: the error cannot be recorded");
	pthread_mutex_lock(&c->c_lock);
}

static void *commit_thread(void *arg)
{
	struct owfs_fs *fs = arg;
	struct owfs_commit *c = fs->fs_commit;

	pthread_mutex_lock(&c->c_lock);
	while (!c->stop) {
		int ret = 1;

		wait_for_work(fs, c);
		c->kicked = true;
		while (ret > 0 && !c->stop) {
			if (c->stepping) {
				pthread_cond_wait(&c->c_done, &c->c_lock);
				continue;
			}
			ret = commit_step_locked(fs, c, false);
		}
		record_locked(fs, c);
	}
	pthread_mutex_unlock(&c->c_lock);
	return NULL;
}

int owfs_commit_thread_start(struct owfs_fs *fs)
{
	struct owfs_commit *c = fs->fs_commit;
	int ret = pthread_create(&c->thread, NULL, commit_thread, fs);

	c->running = !ret;
	return -ret;
}

void owfs_commit_thread_stop(struct owfs_fs *fs)
{
	struct owfs_commit *c = fs->fs_commit;

	if (!c->running)
		return;
	pthread_mutex_lock(&c->c_lock);
	c->stop = true;
	pthread_cond_signal(&c->c_work);
	pthread_mutex_unlock(&c->c_lock);
	pthread_join(c->thread, NULL);
	c->running = false;
}

int owfs_commit_create(struct owfs_fs *fs)
{
	struct owfs_commit *c = calloc(1, sizeof(*c));
	pthread_condattr_t attr;

	if (!c)
		return -ENOMEM;
	pthread_mutex_init(&c->c_lock, NULL);
	pthread_cond_init(&c->c_done, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&c->c_work, &attr);
	pthread_condattr_destroy(&attr);
	/* what is not open is durable, or was never begun */
	c->durable = owfs_open_gen(fs) - 1;
	c->seq = fs->fs_super.seq;
	c->started = fs->fs_super.root[0].gen == 0;	/* nothing to protect */
	if (!(fs->fs_super.state & (OWFS_STATE_CLEAN | OWFS_STATE_ERROR)))
		c->crashed_gen = fs->fs_super.root[0].gen;
	fs->fs_commit = c;
	return 0;
}

void owfs_commit_destroy(struct owfs_fs *fs)
{
	struct owfs_commit *c = fs->fs_commit;

	if (!c)
		return;
	owfs_btree_release(fs->fs_bt, &c->before);
	owfs_btree_release(fs->fs_bt, &c->sealed);
	pthread_cond_destroy(&c->c_work);
	pthread_cond_destroy(&c->c_done);
	pthread_mutex_destroy(&c->c_lock);
	free(c);
	fs->fs_commit = NULL;
}
