/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the btree*.c files share; nobody else includes it.
 *
 *	btree.c		open, close, look
 *	btree_fetch.c	missing nodes: waiting for the device without locks
 *	btree_cow.c	birth, copies and end of nodes; the list of young ones
 *	btree_path.c	the way down for a change, write locks all along
 *	btree_change.c	insert, update, delete
 *	btree_commit.c	seal, finish, write, release
 *	btree_renew.c	a node written anew where it stands
 *	btree_visit.c	every node, for fsck and dump
 *
 * Three ages of a node, by its birth:
 *
 *	open	birth == open_gen.  Changed in place under its lock.
 *	sealed	birth == sealed_gen > final_gen.  Its items never change again;
 *		owfs_btree_finish() fills in checksums, under its lock.
 *	final	birth <= final_gen.  Immutable: read without a lock.  All that
 *		is below it is final, too.
 *
 * Invariant B1.  In a node born in B, the checksum of a child born in C is
 * right if B is final, or if C was final when the node was born.  Else it may
 * be anything; the child then is in the cache, because its buffer is held until
 * the generation after C is durable, and finish of B takes it from there.
 *
 * B2.  Keys below slot i of a branch are not smaller than slot i's key, and
 * smaller than slot i+1's (the last: than the branch's own bound).  Slot 0's
 * key may lie above the branch's lower bound, after its first child went; an
 * insert between the two first lowers it.
 */
#ifndef OWFS_TREE_BTREE_IMPL_H
#define OWFS_TREE_BTREE_IMPL_H

#include "base/err.h"
#include "tree/btree.h"
#include "tree/node.h"

/*
 * Who waits for the device may come from an old state of the tree.  A block
 * freed in F may be rewritten once F+1 is durable, so finish of F+1 waits for
 * those who entered before F+1 was opened; they are counted by the number of
 * seals at entry, modulo 4.
 */
struct owfs_btree_gate {
	pthread_mutex_t lock;
	pthread_cond_t empty;
	unsigned int seals;		/* lock */
	unsigned int inside[4];		/* lock */
};

struct owfs_btree {
	struct owfs_bufcache *bc;
	const struct owfs_btree_ops *ops;
	void *ctx;
	uint64_t owner;
	size_t size;			/* of a node, bytes */

	pthread_rwlock_t root_lock;	/* above the root's own */
	struct owfs_ptr root;		/* root_lock; csum only while !root_buf */
	struct owfs_buf *root_buf;	/* root_lock; referenced; NULL: not read yet */
	unsigned int level;		/* root_lock; also read without, atomically */
	bool root_changed;		/* root_lock; also read atomically; since the
					   last seal */

	owfs_gen_t open_gen;		/* changes while no transaction runs */
	owfs_gen_t sealed_gen;		/* the same; 0 none yet */
	owfs_gen_t final_gen;		/* atomic */

	pthread_mutex_t young_lock;
	struct owfs_buf **young;	/* young_lock, as all below */
	size_t nyoung;
	size_t young_cap;
	struct owfs_buf **spare;	/* the next generation's young */
	size_t spare_cap;
	size_t promised;		/* births for which there is room in both */
	size_t young_reserved;		/* births that running changes may yet make */
	size_t nforgotten;		/* of nyoung, gone again */
	size_t dirty;			/* nyoung - nforgotten; also read atomically */

	struct owfs_btree_gate gate;
};

/* Besides 0 and -errno, internally: a node is not in memory. */
#define OWFS_BTREE_MISS		1
/* ... the change needs another mode. */
#define OWFS_BTREE_RETRY	2

static inline owfs_gen_t owfs_btree_final_gen(const struct owfs_btree *bt)
{
	return __atomic_load_n(&bt->final_gen, __ATOMIC_ACQUIRE);
}

static inline bool owfs_btree_is_open(const struct owfs_btree *bt,
				      const struct owfs_buf *buf)
{
	return owfs_buf_is_young(buf, bt->open_gen);
}

/* ---------------------------------------------------------- btree_fetch.c */

/* Of one way down: what is missing, and what was read for it. */
struct owfs_btree_fetch {
	bool inside;			/* the gate */
	unsigned int gate;
	struct owfs_ptr ptr;		/* the missing one */
	struct owfs_node_expect expect;
	struct owfs_buf *pin[OWFS_MAX_LEVEL + 1];	/* by level; only if inside */
};

void owfs_btree_gate_init(struct owfs_btree_gate *gate);
void owfs_btree_gate_destroy(struct owfs_btree_gate *gate);
void owfs_btree_gate_sealed(struct owfs_btree_gate *gate);
void owfs_btree_gate_drain(struct owfs_btree_gate *gate);

static inline void owfs_btree_fetch_init(struct owfs_btree_fetch *f)
{
	f->inside = false;
}
/*
 * Make the missing node present, or at least come nearer; then start again
 * from the root.  Caller holds no lock.
 */
int owfs_btree_fetch_miss(struct owfs_btree *bt, struct owfs_btree_fetch *f);
void owfs_btree_fetch_done(struct owfs_btree *bt, struct owfs_btree_fetch *f);

/* What a node must be to be the root / child @i of a branch with bound @last. */
void owfs_btree_expect_root(const struct owfs_btree *bt,
			    struct owfs_node_expect *expect);
void owfs_btree_expect_child(const struct owfs_btree *bt, const void *branch,
			     unsigned int i, const struct owfs_key *last,
			     struct owfs_node_expect *expect);
/* A node found in the cache: is it what its parent says? Caller may read it. */
int owfs_btree_check_place(struct owfs_btree *bt, const struct owfs_buf *buf,
			   const struct owfs_node_expect *expect);

/* ---------------------------------------------------------------- btree.c */

/* Where a look stands. */
struct owfs_look {
	struct owfs_btree *bt;
	struct owfs_btree_fetch fetch;
	struct owfs_buf *buf;		/* referenced; NULL: nowhere */
	bool change;			/* an open leaf is locked for writing */
	bool locked;
	unsigned int stop;		/* how far down; 0: to the leaf */
	bool below;			/* key is below the first of some branch */
	struct owfs_key low, last;	/* all keys that could only be here */
};

/*
 * Down to the leaf that has @key or would have it.  0: owfs_look_end() later;
 * else all is let go.  -ENOENT: there is no tree.
 */
int owfs_look_down(struct owfs_look *lk, struct owfs_btree *bt,
		   const struct owfs_key *key, bool change);
/* The same to the node at @level, or to the root, if the tree is lower. */
int owfs_look_down_to(struct owfs_look *lk, struct owfs_btree *bt,
		      const struct owfs_key *key, unsigned int level);
void owfs_look_end(struct owfs_look *lk);

/* ------------------------------------------------------------ btree_cow.c */

/* No change makes more nodes: a copy and a split a level, and a new root. */
#define OWFS_BTREE_BIRTHS	(2u * (OWFS_MAX_LEVEL + 2))

/* Room in the list of young nodes for one change. -ENOMEM */
int owfs_btree_young_reserve(struct owfs_btree *bt);
void owfs_btree_young_unreserve(struct owfs_btree *bt);
/* Take out those that are gone; returns how many are left. */
size_t owfs_btree_drop_forgotten(struct owfs_buf **bufs, size_t n);

/* The list owns a reference to each of these; the caller gets none. */
int owfs_btree_new_node(struct owfs_btree *bt, unsigned int level,
			struct owfs_buf **bp);
/* Caller holds @old's lock, and goes on holding it until the copy is linked. */
int owfs_btree_clone_node(struct owfs_btree *bt, struct owfs_buf *old,
			  struct owfs_buf **bp);
/* @buf's block goes.  May fail; the buffer is as it was. */
int owfs_btree_free_node(struct owfs_btree *bt, const struct owfs_buf *buf);
/* ... and then, when nothing points to it any more, the buffer, if open. */
void owfs_btree_forget_node(struct owfs_btree *bt, struct owfs_buf *buf);
/*
 * Slots were copied from @from, whose lock is held: fill in what checksums of
 * children are known by now (B1).
 */
void owfs_btree_take_csums(struct owfs_btree *bt, void *node,
			   const struct owfs_buf *from);
/* Caller holds root_lock for writing. */
void owfs_btree_set_root(struct owfs_btree *bt, struct owfs_buf *buf,
			 unsigned int level);

/* ----------------------------------------------------------- btree_path.c */

enum owfs_path_mode {
	OWFS_PATH_PLAIN,	/* the change fits into the leaf */
	OWFS_PATH_SPLIT,	/* the leaf's parent gets room for one more */
	OWFS_PATH_MERGE,	/* the leaf may go, so may the nodes above */
};

/* Nodes level .. top of the way to a leaf, all locked for writing. */
struct owfs_path {
	struct owfs_btree *bt;
	enum owfs_path_mode mode;
	bool inserting;		/* branches' first keys are lowered */
	unsigned int stop;	/* how far down; 0: to the leaf */
	bool root_locked;
	unsigned int level, top;	/* nothing is held if level > top */
	struct owfs_buf *node[OWFS_MAX_LEVEL + 1];
	unsigned int slot[OWFS_MAX_LEVEL + 1];	/* of the child below */
	struct owfs_key low[OWFS_MAX_LEVEL + 1];	/* bounds of the node */
	struct owfs_key last[OWFS_MAX_LEVEL + 1];
	struct owfs_btree_fetch fetch;
};

void owfs_path_init(struct owfs_path *p, struct owfs_btree *bt,
		    enum owfs_path_mode mode, bool inserting);
/*
 * Down to the leaf for @key.  Afterwards the leaf is locked and open, except
 * in mode MERGE if it has one item only and is not the root.  Mode SPLIT: its
 * parent is held and has room, unless the leaf is the root.  Mode MERGE: held
 * are all ancestors that lose a slot if the leaf goes.
 */
int owfs_path_down(struct owfs_path *p, const struct owfs_key *key);
void owfs_path_end(struct owfs_path *p);

/* The held node at the top is the root: put a branch above it. */
int owfs_path_grow(struct owfs_path *p);
/* The same for a path that holds nothing yet. */
int owfs_path_raise(struct owfs_path *p);
/*
 * The neighbour of the held node at @level, at slot @i of the held parent,
 * locked and referenced.  NULL: not in memory, or somebody is in it.  Nobody
 * waits for a neighbour, so there is no order among them.
 */
int owfs_path_neighbour(struct owfs_path *p, unsigned int level, unsigned int i,
			struct owfs_buf **bp);
void owfs_path_unlock(struct owfs_buf *buf);
/* The held root branch has one child left, @child: that becomes the root. */
void owfs_path_collapse(struct owfs_path *p, struct owfs_buf *child);

#endif
