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

#define NODES_PER_STEP	256	/* 1 MiB at 4 KiB a block */
#define GROUPS_PER_STEP	64
#define DEFAULT_SECS	5

/* Inode numbers claimed at once, ahead of use. */
#define INO_STEP	(1ull << 20)

enum commit_state {
	COMMIT_IDLE,
	COMMIT_FINISH,
	COMMIT_NODES,
	COMMIT_MAP,
	COMMIT_FLUSH,
	COMMIT_SUPER,
	COMMIT_SETTLE,
};

static const char *const state_names[] = {
	[COMMIT_IDLE]	= "seal",
	[COMMIT_FINISH]	= "finish",
	[COMMIT_NODES]	= "nodes",
	[COMMIT_MAP]	= "map",
	[COMMIT_FLUSH]	= "flush",
	[COMMIT_SUPER]	= "super",
	[COMMIT_SETTLE]	= "settle",
};

struct owfs_commit {
	pthread_mutex_t c_lock;
	pthread_cond_t c_done;		/* a step was made */
	pthread_cond_t c_work;		/* for the thread: something is wanted */

	bool stepping;			/* somebody is in the machine */
	owfs_gen_t durable;		/* c_lock; last durable generation */
	owfs_gen_t wanted;		/* c_lock; commit until this is durable */
	bool kicked;			/* c_lock; commit soon what there is */
	bool record;			/* c_lock; write down that there is an error */
	int err;			/* c_lock; no commit will succeed any more */

	/* the rest is the stepper's */
	enum commit_state state;
	bool started;			/* this run has claimed its numbers; also read under c_lock */
	owfs_gen_t gen;			/* being made durable */
	struct owfs_btree_sealed sealed;	/* its nodes */
	struct owfs_btree_sealed before;	/* those of the last durable one */
	struct owfs_root root;		/* what the superblock will say */
	struct owfs_super super;	/* the superblock being settled */
	owfs_ino_t ino_limit;
	uint64_t seq;			/* last sequence number that was tried */

	pthread_t thread;
	bool stop;			/* c_lock */
	bool running;
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

/*
 * Write @sb to the slot due next, or to another that may be written if that
 * one fails.  No sequence number is tried twice: a write that failed may have
 * reached the device all the same.
 */
static int write_super(struct owfs_fs *fs, struct owfs_super *sb)
{
	struct owfs_commit *c = fs->fs_commit;
	unsigned int slot = owfs_slots_next(&fs->fs_slots);
	int ret;

	sb->seq = ++c->seq;
	ret = owfs_super_write(fs->fs_bd, sb, &fs->fs_slots, slot);
	if (!ret)
		return 0;
	owfs_msg(fs->fs_msg, OWFS_MSG_WARN,
		 "superblock: slot cannot be written: slot=%u error=%d", slot,
		 -ret);
	slot = owfs_slots_after(&fs->fs_slots, slot);
	return owfs_super_write(fs->fs_bd, sb, &fs->fs_slots, slot);
}

/*
 * @sb is the device's newest.  Everybody reads the constants at any time, so
 * only what a superblock may change is written.
 */
static void adopt_super(struct owfs_super *to, const struct owfs_super *sb)
{
	to->seq = sb->seq;
	to->next_gen = sb->next_gen;
	to->ino_limit = sb->ino_limit;
	to->state = sb->state;
	to->error_code = sb->error_code;
	to->error_count = sb->error_count;
	to->error_block = sb->error_block;
	to->error_time = sb->error_time;
	to->mount_count = sb->mount_count;
	to->mount_time = sb->mount_time;
	to->write_time = sb->write_time;
	to->root[0] = sb->root[0];
	to->root[1] = sb->root[1];
}

/* The label is what others than the stepper read and what may change. */
static void adopt_label(struct owfs_fs *fs, const struct owfs_super *sb)
{
	pthread_mutex_lock(&fs->fs_commit->c_lock);
	memcpy(fs->fs_super.label, sb->label, sizeof(sb->label));
	pthread_mutex_unlock(&fs->fs_commit->c_lock);
}

static int settle_super(struct owfs_fs *fs, const struct owfs_super *sb)
{
	int ret = owfs_blkdev_flush(fs->fs_bd);

	if (!ret) {
		adopt_super(&fs->fs_super, sb);
		adopt_label(fs, sb);
	}
	return ret;
}

static void super_stamp(struct owfs_fs *fs, struct owfs_super *sb)
{
	struct timespec now;
	int err = __atomic_load_n(&fs->fs_error, __ATOMIC_ACQUIRE);

	owfs_fs_now(fs, &now);
	sb->write_time = now.tv_sec;
	sb->state &= ~OWFS_STATE_CLEAN;
	if (!err)
		return;
	if (!(sb->state & OWFS_STATE_ERROR) || !sb->error_code) {
		sb->error_code = -err;
		sb->error_time = now.tv_sec;
		sb->error_block = fs->fs_error_block;
	}
	if (!(sb->state & OWFS_STATE_ERROR))
		sb->error_count++;
	sb->state |= OWFS_STATE_ERROR;
}

static int commit_write_super(struct owfs_fs *fs, struct owfs_commit *c)
{
	struct owfs_super *sb = &c->super;

	*sb = fs->fs_super;
	sb->root[1] = sb->root[0];
	sb->root[0] = c->root;
	sb->next_gen = c->gen + 2;
	sb->ino_limit = c->ino_limit;
	super_stamp(fs, sb);
	return write_super(fs, sb);
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
	int ret = settle_super(fs, &c->super);

	if (ret)
		return ret;
	commit_publish(fs, c);
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

/* --------------------------------------- superblocks that are no commit */

/* Be the stepper between two commits; false: the machine is broken. */
static bool machine_enter(struct owfs_fs *fs, struct owfs_commit *c)
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

static void machine_leave(struct owfs_commit *c)
{
	pthread_mutex_lock(&c->c_lock);
	c->stepping = false;
	pthread_cond_broadcast(&c->c_done);
	pthread_mutex_unlock(&c->c_lock);
}

static int claim_numbers(struct owfs_fs *fs)
{
	struct owfs_super sb = fs->fs_super;
	struct timespec now;
	int ret;

	owfs_fs_now(fs, &now);
	sb.next_gen = owfs_open_gen(fs) + 1;
	pthread_mutex_lock(&fs->fs_ino_lock);
	sb.ino_limit = min_u64(fs->fs_next_ino + INO_STEP, OWFS_INO_MAX + 1);
	pthread_mutex_unlock(&fs->fs_ino_lock);
	sb.mount_count++;
	sb.mount_time = now.tv_sec;
	super_stamp(fs, &sb);

	ret = write_super(fs, &sb);
	if (!ret)
		ret = settle_super(fs, &sb);
	if (ret)
		return ret;
	pthread_mutex_lock(&fs->fs_ino_lock);
	fs->fs_ino_limit = sb.ino_limit;
	pthread_mutex_unlock(&fs->fs_ino_lock);
	return 0;
}

int owfs_commit_start_run(struct owfs_fs *fs)
{
	struct owfs_commit *c = fs->fs_commit;
	int ret = 0;

	if (__atomic_load_n(&c->started, __ATOMIC_ACQUIRE))
		return 0;
	if (!machine_enter(fs, c))
		return -EIO;
	if (!c->started) {
		ret = claim_numbers(fs);
		if (!ret)
			__atomic_store_n(&c->started, true, __ATOMIC_RELEASE);
	}
	machine_leave(c);
	if (!ret)
		return 0;
	owfs_fs_fail(fs, ret, "superblock: cannot claim generation %llu",
		     (unsigned long long)owfs_open_gen(fs));
	owfs_commit_poison(fs, ret);
	return ret;
}

/* The newest superblock into every slot that has an older one, a flush each. */
static int copy_to_all_slots(struct owfs_fs *fs, const struct owfs_super *sb)
{
	struct owfs_slots *slots = &fs->fs_slots;
	unsigned int i;
	int ret;

	for (i = 1; i < OWFS_SUPER_SLOTS; i++) {
		unsigned int slot = owfs_slots_ring_next(slots->newest);

		ret = owfs_super_write(fs->fs_bd, sb, slots, slot);
		if (!ret)
			ret = owfs_blkdev_flush(fs->fs_bd);
		if (ret)
			return ret;
	}
	return 0;
}

void owfs_commit_forgive(struct owfs_fs *fs)
{
	struct owfs_super *sb = &fs->fs_super;
	struct timespec now;

	owfs_fs_now(fs, &now);
	sb->state &= ~(OWFS_STATE_ERROR | OWFS_STATE_CLEAN);
	sb->error_code = sb->error_count = 0;
	sb->error_time = sb->error_block = 0;
	sb->check_time = (uint64_t)now.tv_sec;
}

void owfs_label_get(struct owfs_fs *fs, char label[OWFS_LABEL_MAX + 1])
{
	pthread_mutex_lock(&fs->fs_commit->c_lock);
	memcpy(label, fs->fs_super.label, OWFS_LABEL_MAX + 1);
	pthread_mutex_unlock(&fs->fs_commit->c_lock);
}

/* Caller is the stepper between two commits. */
static int write_label(struct owfs_fs *fs, const char *label)
{
	struct owfs_super sb = fs->fs_super;
	int ret;

	memset(sb.label, 0, sizeof(sb.label));
	memcpy(sb.label, label, strlen(label));
	super_stamp(fs, &sb);
	ret = write_super(fs, &sb);
	if (!ret)
		ret = settle_super(fs, &sb);
	if (ret)
		return owfs_fs_fail(fs, ret, "superblock: cannot write the label");
	/* it is durable now; programs that look for labels read the first slot */
	return copy_to_all_slots(fs, &sb);
}

int owfs_label_set(struct owfs_fs *fs, const char *label)
{
	struct owfs_commit *c = fs->fs_commit;
	int ret = owfs_fs_writable(fs);

	if (!ret && strlen(label) > OWFS_LABEL_MAX)
		ret = -EINVAL;
	if (!ret)
		ret = owfs_commit_start_run(fs);
	if (ret)
		return ret;
	if (!machine_enter(fs, c))
		return -EIO;
	ret = write_label(fs, label);
	machine_leave(c);
	return ret;
}

int owfs_commit_finish(struct owfs_fs *fs)
{
	struct owfs_commit *c = fs->fs_commit;
	bool broken = !machine_enter(fs, c);
	struct owfs_super sb = fs->fs_super;
	int ret;

	/* after a failed commit its number may stand on the device */
	sb.next_gen = max_u64(sb.next_gen, owfs_open_gen(fs) + broken);
	super_stamp(fs, &sb);
	if (!broken) {
		sb.state |= OWFS_STATE_CLEAN;
		sb.ino_limit = fs->fs_next_ino;
	}
	ret = write_super(fs, &sb);
	if (!ret)
		ret = settle_super(fs, &sb);
	if (!ret && !broken)
		ret = copy_to_all_slots(fs, &sb);
	if (!broken)
		machine_leave(c);
	return ret;
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
			ret = settle_super(fs, &sb);
	}
	return ret;
}

/*
 * The last durable commit again, with the error.  Should the machine be broken,
 * a superblock of the commit that failed may stand on the device; this one is
 * newer.
 */
static int write_error(struct owfs_fs *fs)
{
	bool broken = !machine_enter(fs, fs->fs_commit);
	struct owfs_super sb = fs->fs_super;
	int ret = 0;

	if (!((sb.state & OWFS_STATE_ERROR) && sb.error_code) && !fs->fs_down) {
		sb.next_gen = max_u64(sb.next_gen, owfs_open_gen(fs) + broken);
		super_stamp(fs, &sb);
		ret = write_super(fs, &sb);
		if (!ret)
			ret = settle_super(fs, &sb);
	}
	if (!broken)
		machine_leave(fs->fs_commit);
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
	if (write_error(fs))
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
