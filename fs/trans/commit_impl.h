/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the machine (commit.c) and the superblocks it writes (commit_super.c)
 * share.
 */
#ifndef OWFS_TRANS_COMMIT_IMPL_H
#define OWFS_TRANS_COMMIT_IMPL_H

#include "trans/commit.h"

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
	owfs_gen_t crashed_gen;		/* the last commit before a crash, if mounted after one; 0 */
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

/* Be the stepper between two commits; false: the machine is broken. */
bool owfs_commit_enter(struct owfs_fs *fs, struct owfs_commit *c);
void owfs_commit_leave(struct owfs_commit *c);

/* ---------------------------------------------------------- commit_super.c */
/* Caller is the stepper. */

/* Now is when @sb is written, and what is wrong with the filesystem. */
void owfs_commit_super_stamp(struct owfs_fs *fs, struct owfs_super *sb);
/*
 * Write @sb to the slot due next, or to another that may be written if that
 * one fails.  No sequence number is tried twice: a write that failed may have
 * reached the device all the same.
 */
int owfs_commit_super_write(struct owfs_fs *fs, struct owfs_super *sb);
/* Flush; then @sb is the device's newest. */
int owfs_commit_super_settle(struct owfs_fs *fs, const struct owfs_super *sb);

/*
 * The last durable commit again, with the error.  Should the machine be broken,
 * a superblock of the commit that failed may stand on the device; this one is
 * newer.
 */
int owfs_commit_write_error(struct owfs_fs *fs);

#endif
