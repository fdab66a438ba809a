/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Generations and transactions.
 *
 * A transaction is one operation's change of the tree.  It reserves its worst
 * case, joins the open generation, changes items, and ends.  Between join and
 * end the generation cannot be sealed, so all of it is in one commit (P2).
 * Commit seals generation G in microseconds and writes it while operations go
 * on in G+1; one generation is being written at a time.
 *
 * The pattern of every changing operation (see OWFS_RETRY below):
 *
 *	take inode locks
 *	read what will be needed (lookups, owfs_btree_prefetch, owfs_alloc_load)
 *	decide every error the operation can have
 *	owfs_trans_begin()		-EAGAIN: unlock, owfs_trans_retry()
 *	change items; a failure here is owfs_trans_abort(tr, err) on that line
 *	owfs_trans_end()
 *	unlock
 *
 * Invariants, cited as T1.. by code, asserts and fsck:
 *
 *  T1 Every block up to the end of the device is, in one generation, exactly
 *     one of: fixed, reached by the tree once, pinned, staged, free.
 *  T2 A node or bitmap with generation G is written only while the last
 *     durable superblock has next_gen > G.
 *  T3 The superblock of G is written only after a flush that followed the
 *     last write of G's nodes, G's map and the data remapped in G.
 *  T4 A transaction never waits: not for the device, not for a commit, not
 *     for a lock of floor 5 or 6.
 *  T5 A changed item and the accounting that goes with it are in the same
 *     transaction.
 */
#ifndef OWFS_TRANS_TRANS_H
#define OWFS_TRANS_TRANS_H

#include "trans/fs.h"

struct owfs_trans {
	struct owfs_fs *fs;
	owfs_gen_t gen;			/* the generation it is part of */
	unsigned int nodes;		/* nodes still reserved */
	uint64_t blocks;		/* blocks still reserved, for those nodes */
	int err;			/* poisoned */
};

/* Space and buffers set aside before joining: at begin for an ioend to come. */
struct owfs_resv {
	unsigned int nodes;
	uint64_t blocks;
};

/*
 * Reserve for changing items at @nplaces unrelated places of the tree, each up
 * to @run neighbours.  -EAGAIN: let go of every lock and owfs_trans_retry();
 * -ENOSPC, -ENOMEM, -EROFS; read errors of bitmaps.
 */
int owfs_resv_take(struct owfs_fs *fs, struct owfs_resv *r,
		   unsigned int nplaces, unsigned int run,
		   enum owfs_resv_class class);
/* The same for so many nodes. */
int owfs_resv_take_nodes(struct owfs_fs *fs, struct owfs_resv *r,
			 unsigned int nodes, enum owfs_resv_class class);
void owfs_resv_give(struct owfs_fs *fs, struct owfs_resv *r);
/* Blocks for data, as owfs_resv_take(); back through owfs_alloc_unreserve(). */
int owfs_room_take(struct owfs_fs *fs, uint64_t blocks,
		   enum owfs_resv_class class);

/* Join with what *@r holds; it passes to the transaction.  Cannot fail. */
void owfs_trans_join(struct owfs_fs *fs, struct owfs_trans *tr,
		     struct owfs_resv *r);
/* owfs_resv_take() and join in one. */
int owfs_trans_begin(struct owfs_fs *fs, struct owfs_trans *tr,
		     unsigned int nplaces, unsigned int run,
		     enum owfs_resv_class class);
/* Leave the generation, give back what was not used.  0 or tr->err. */
int owfs_trans_end(struct owfs_trans *tr);
/*
 * A change failed half way: the generation can never be committed, the
 * filesystem turns read-only.  Returns @err; owfs_trans_end() still follows.
 */
int owfs_trans_abort(struct owfs_trans *tr, int err, const char *where);

/*
 * After -EAGAIN with every lock dropped: make room by committing and
 * reclaiming.  True: try again.  False: *ret now says -ENOSPC (or the commit's
 * error).  Any other *ret: false at once.
 */
struct owfs_retry {
	unsigned int tries, rounds;
	uint64_t last_free, last_held;
	uint64_t since;		/* milliseconds; both are as they are */
	bool turn;		/* others wait */
};
bool owfs_trans_retry(struct owfs_fs *fs, int *ret, struct owfs_retry *r);

/* do { ret = op_once(...); } while (owfs_trans_retry(fs, &ret, &retry)); */
#define OWFS_RETRY(fs, ret, call)					\
	do {								\
		struct owfs_retry retry_ = { 0 };			\
		do {							\
			(ret) = (call);					\
		} while (owfs_trans_retry((fs), &(ret), &retry_));	\
	} while (0)

/* An inode number that was never used; before joining.  -EAGAIN as above; -ENOSPC: all used. */
int owfs_trans_new_ino(struct owfs_fs *fs, owfs_ino_t *ino);

/* ------------------------------------------------------------------ commit */

static inline owfs_gen_t owfs_open_gen(const struct owfs_fs *fs)
{
	return __atomic_load_n(&fs->fs_open_gen, __ATOMIC_ACQUIRE);
}

/* Wait until generation @gen is durable. 0 or the error that made it impossible. */
int owfs_commit_wait(struct owfs_fs *fs, owfs_gen_t gen);
/* Make everything done so far durable. */
int owfs_commit_all(struct owfs_fs *fs);
/* Ask for a commit soon; does not wait. */
void owfs_commit_kick(struct owfs_fs *fs);
owfs_gen_t owfs_commit_durable(struct owfs_fs *fs);

/*
 * The filesystem's label.  Setting writes superblocks, all four, that are no
 * commit, and is durable on return.  -EINVAL: longer than OWFS_LABEL_MAX.
 */
void owfs_label_get(struct owfs_fs *fs, char label[OWFS_LABEL_MAX + 1]);
int owfs_label_set(struct owfs_fs *fs, const char *label);

/*
 * One step of the commit machine: begin one if asked or if @start, or go on
 * with the one under way.  1: a step was made and more is to do; 0: idle;
 * negative: it failed.  Tests call this between operations; the commit thread
 * and whoever waits in an unthreaded filesystem call it in a loop.
 */
int owfs_commit_step(struct owfs_fs *fs, bool start);
/* For tests' logs: the name of the step that comes next. */
const char *owfs_commit_next_step(struct owfs_fs *fs);

#endif
