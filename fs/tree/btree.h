/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The copy-on-write B+tree: items of up to OWFS_ITEM_MAX bytes by key.
 *
 * Blocks come from and go to an ops table, so that this floor knows neither
 * allocator nor transaction.  A node born in the open generation is changed
 * where it is; an older one is first copied to a fresh block (and its parent
 * changed to point there, up to the root).
 *
 * Locking.  Each node has its buffer's rwlock; bt_root_lock stands above the
 * root.  Everybody goes down taking the child before letting go of the parent.
 * Readers take read locks, and none from the first node on that can no longer
 * change.  Writers first go down like readers and take only the leaf for
 * writing; if the leaf is old, would split or would run empty, they start again
 * taking write locks, letting go of the ancestors as soon as a young child with
 * room (safe) is reached.  Nobody waits for the device with a lock held: all
 * locks are dropped, the missing child is read, and the descent starts again.
 * Its block cannot have been given to anybody else meanwhile, because
 * owfs_btree_finish() waits for readers from before the seal before the last:
 * it has to be called for each sealed generation, before that is durable.
 *
 * Checksums of children.  A child born in the open or the sealed generation
 * has no checksum yet; its pointer's csum in the parent is meaningless until
 * the child is sealed, and the child's buffer stays in the cache until then
 * and until no parent with the old bytes can be left: owfs_btree_finish()
 * fills in the pointers of the generation it writes, and a parent that is
 * copied takes what is known by then.  So buffers born in G stay (referenced
 * by the sealed list) until G+1 is durable.
 *
 * Changing functions are called inside a transaction (between two seals), by
 * any number of threads; two of them never change the same key at once (inode
 * locks see to that).  They return -EIO and the like only if something was not
 * in memory; owfs_btree_prefetch() before the transaction avoids that.
 */
#ifndef OWFS_TREE_BTREE_H
#define OWFS_TREE_BTREE_H

#include "io/buf.h"
#include "tree/key.h"

struct owfs_btree;

/*
 * @ctx is owfs_btree_param.ctx.  Called with node locks held; no I/O.  All is
 * asked for before anything is changed, so the tree is as it was if one fails;
 * but of several blocks that go at once some may have been freed already, so a
 * transaction in which free_block failed has to be aborted.
 */
struct owfs_btree_ops {
	/* a block (two with metadata written twice) for a new node */
	int (*alloc_block)(void *ctx, owfs_fsblock_t addr[2]);
	/* @ptr's node is gone from the open generation; @unborn: born in it, too */
	int (*free_block)(void *ctx, const struct owfs_ptr *ptr, bool unborn);
	/* a node that cannot be believed was met, and why; NULL: nobody asks */
	void (*bad_node)(void *ctx, owfs_fsblock_t addr, int err);
};

struct owfs_btree_param {
	struct owfs_bufcache *bc;
	const struct owfs_btree_ops *ops;	/* NULL: read-only tree */
	void *ctx;
	uint64_t owner;		/* bh_owner: OWFS_TREE_MAIN */
	struct owfs_ptr root;	/* birth 0: no tree yet, an empty leaf is made by the first insert */
	unsigned int level;	/* of the root */
	owfs_gen_t open_gen;
};

/* Opens; the root node is read and verified by the first use, not here. */
int owfs_btree_open(struct owfs_btree **btp, const struct owfs_btree_param *p);
/* Young buffers are dropped unwritten. */
void owfs_btree_close(struct owfs_btree *bt);

bool owfs_btree_is_empty(struct owfs_btree *bt);	/* there is not even a root */
unsigned int owfs_btree_height(const struct owfs_btree *bt);	/* levels, atomic read */
/*
 * Nodes that changing items at @nplaces unrelated places (each up to @run
 * neighbouring items, run >= 1) can need in the worst case.
 */
unsigned int owfs_btree_worst(const struct owfs_btree *bt,
			      unsigned int nplaces, unsigned int run);
/*
 * The same for one run in ascending order: @changed items are updated, without
 * growing, or deleted, and @inserted ones of at most @len bytes come between
 * them.
 */
unsigned int owfs_btree_worst_run(const struct owfs_btree *bt,
				  unsigned int changed, unsigned int inserted,
				  size_t len);

/* ------------------------------------------------------------- looking */
/* Values are copied out, at most @size bytes; the full length is returned. */

int owfs_btree_lookup(struct owfs_btree *bt, const struct owfs_key *key,
		      void *val, size_t size);		/* -ENOENT */
/* First item with *key <= its key <= *last; *key becomes its key. -ENOENT */
int owfs_btree_next(struct owfs_btree *bt, struct owfs_key *key,
		    const struct owfs_key *last, void *val, size_t size);
/* Last item with *first <= its key <= *key; *key becomes its key. -ENOENT */
int owfs_btree_prev(struct owfs_btree *bt, struct owfs_key *key,
		    const struct owfs_key *first, void *val, size_t size);
/*
 * Call @fn for each item in [first, last] in order, a leaf's worth at a time
 * under that leaf's read lock: @fn must not call the tree nor sleep.  @fn
 * returns 0 to go on, anything else stops and is returned.
 */
int owfs_btree_walk(struct owfs_btree *bt, const struct owfs_key *first,
		    const struct owfs_key *last,
		    int (*fn)(void *ctx, const struct owfs_key *key,
			      const void *val, size_t len), void *ctx);
/* Read the path to @key into the cache. */
int owfs_btree_prefetch(struct owfs_btree *bt, const struct owfs_key *key);

/* ------------------------------------------------------------ changing */
/* An error means that nothing was changed. -ENOSPC and -ENOMEM: not reserved. */

/*
 * Before a transaction: memory to note the births of @n nodes, in the open
 * generation and the one after it.  A birth takes one; the rest is given back.
 * Who promises nothing may get -ENOMEM from a change.
 */
int owfs_btree_promise(struct owfs_btree *bt, size_t n);
void owfs_btree_unpromise(struct owfs_btree *bt, size_t n);

int owfs_btree_insert(struct owfs_btree *bt, const struct owfs_key *key,
		      const void *val, size_t len);	/* -EEXIST */
int owfs_btree_update(struct owfs_btree *bt, const struct owfs_key *key,
		      const void *val, size_t len);	/* -ENOENT; length may change */
int owfs_btree_delete(struct owfs_btree *bt, const struct owfs_key *key);	/* -ENOENT */

/* ------------------------------------------------------- changing, by nodes */
/* For fsck, in a transaction for one place, while nobody else is there. */

/*
 * The child at @level that @key leads to goes, with everything below it, and is
 * not looked at: only the pointer is removed.  Neighbours take over the range.
 * Afterwards the tree may be empty, and has to get something before a commit.
 */
int owfs_btree_cut(struct owfs_btree *bt, const struct owfs_key *key,
		   unsigned int level);
/*
 * The node at @ptr, of @level and with @first as its first key, becomes part
 * of the tree as it is.  The caller knows that no other key of the tree lies
 * in its range, and that its block is marked used.
 */
int owfs_btree_adopt(struct owfs_btree *bt, const struct owfs_ptr *ptr,
		     unsigned int level, const struct owfs_key *first);

/* ------------------------------------------------------- one node, as it is */

/*
 * Is the node at @level that @key leads to the one at @ptr?  Reads the way
 * there.  1, 0, or why that is not known.
 */
int owfs_btree_has_node(struct owfs_btree *bt, const struct owfs_key *key,
			unsigned int level, const struct owfs_ptr *ptr);
/*
 * In a transaction for one place: the node at @level that @key leads to gets
 * other blocks, unless the open generation has made it.
 */
int owfs_btree_renew(struct owfs_btree *bt, const struct owfs_key *key,
		     unsigned int level);

/* -------------------------------------------------------------- commit */

/* The young nodes of a generation that was sealed. */
struct owfs_btree_sealed {
	struct owfs_buf **bufs;		/* owned; references held; finish may drop some */
	size_t n, written;
	struct owfs_buf *root_buf;	/* referenced; NULL if the tree is empty or unchanged */
	struct owfs_ptr root;		/* csum right after owfs_btree_finish() */
	unsigned int level;
};

/* How many young nodes the open generation has; 1 if only the root is another. */
size_t owfs_btree_dirty(const struct owfs_btree *bt);
/*
 * Close the open generation; the next is @next.  No transaction runs.  No I/O
 * and no memory taken: the array was grown as nodes were born.
 */
void owfs_btree_seal(struct owfs_btree *bt, owfs_gen_t next,
		     struct owfs_btree_sealed *out);
/* Fill in checksums from the leaves up.  Operations go on beside it. */
void owfs_btree_finish(struct owfs_btree *bt, struct owfs_btree_sealed *s);
/* Write up to @max more nodes.  1: more to do; 0: all written; or -errno. No flush. */
int owfs_btree_write(struct owfs_btree *bt, struct owfs_btree_sealed *s,
		     size_t max);
/*
 * After the generation that followed @s is durable: its buffers may be evicted.
 * Also for one that was not written to its end: its buffers are dropped then.
 */
void owfs_btree_release(struct owfs_btree *bt, struct owfs_btree_sealed *s);

/* --------------------------------------------------------------- walking nodes */

/*
 * For fsck, dump and the snapshot prototype: call @enter for every node from
 * the root, parents first, with its verified bytes.  Returns of @enter: 0 go
 * down, 1 skip what is below, negative stop.  @bad is called for a node that
 * cannot be read or verified (and what is below is unknown); 0 goes on.
 * Takes no node locks across calls: for trees nobody changes meanwhile.
 */
struct owfs_btree_visitor {
	int (*enter)(void *ctx, const struct owfs_ptr *ptr, unsigned int level,
		     const void *data);
	int (*bad)(void *ctx, const struct owfs_ptr *ptr, unsigned int level,
		   int err);
	void *ctx;
	/* NULL, or called after @bad: the keys that would be below, inclusive */
	void (*hole)(void *ctx, const struct owfs_ptr *ptr, unsigned int level,
		     const struct owfs_key *low, const struct owfs_key *last);
	/* both NULL, or: only nodes that may have items in [*from, *to] */
	const struct owfs_key *from, *to;
};
int owfs_btree_visit(struct owfs_btree *bt, const struct owfs_btree_visitor *v);

#endif
