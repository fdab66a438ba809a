/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A tree over a RAM device with an allocator of one byte a block, and a model
 * of what is in it.  The allocator keeps the promise the tree counts on, that
 * a block freed in F is not handed out before F+1 is durable, and no more:
 * on the moment it may be handed out it is filled with garbage.
 */
#ifndef OWFS_TESTS_BTREE_FIXTURE_H
#define OWFS_TESTS_BTREE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/util.h"
#include "emubd.h"
#include "tree/btree.h"

#define CSUM_SEED	0x5eedull

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SLOWNESS	8
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define SLOWNESS	8
#endif
#endif
#ifndef SLOWNESS
#define SLOWNESS	1
#endif

/* --------------------------------------------------------------- numbers */

struct rng {
	uint64_t s;
};

void rng_seed(struct rng *r, uint64_t seed);
uint64_t rng_next(struct rng *r, uint64_t n);	/* 0 .. n - 1 */

/* ------------------------------------------------------------- allocator */

struct blocklist {
	owfs_fsblock_t *blk;
	size_t n, cap;
};

struct fixture {
	struct emubd *dev;
	struct owfs_bufcache *bc;
	struct owfs_btree *bt;
	size_t blocksize;
	uint64_t nblocks;
	unsigned int copies;

	pthread_mutex_t lock;		/* the allocator's */
	unsigned char *used;
	owfs_fsblock_t cursor;
	uint64_t nused;			/* blocks */
	uint64_t allocs;		/* calls so far */
	uint64_t fail_at;		/* this call fails; 0 none */
	int free_err;			/* what the next free fails with */
	struct blocklist freed_open, freed_sealed, freed_durable;

	owfs_gen_t gen;			/* open */
	/* commits: being written, durable, and the durable one before */
	struct owfs_btree_sealed sealed, before;
	bool committing;
	struct owfs_ptr root[2];	/* of the last two durable commits */
	unsigned int level[2];
	struct owfs_ptr next_root;
	unsigned int next_level;
};

struct fixture *fixture_create(size_t blocksize, uint64_t nblocks,
			       unsigned int copies, size_t cache_bytes);
void fixture_destroy(struct fixture *f);

extern const struct owfs_btree_ops fixture_ops;
/* The allocator is at work: memory it takes is not the tree's. */
extern _Thread_local bool fixture_inside;
/* What was said last. */
extern _Thread_local char fixture_said[512];
extern const struct owfs_msg fixture_msg;

/* A tree from the device alone, with a cache of its own, read-only. */
struct owfs_btree *reopen(struct fixture *f, const struct owfs_ptr *root,
			  unsigned int level, struct owfs_bufcache **bcp);
void reopen_close(struct owfs_btree *bt, struct owfs_bufcache *bc);

/* Commit by steps.  Operations may run between any two, but not during seal. */
void commit_seal(struct fixture *f);
void commit_finish(struct fixture *f);
bool commit_write(struct fixture *f, size_t max);	/* false: all written */
void commit_durable(struct fixture *f);
void commit_all(struct fixture *f);

/* Drop everything, as if mounted anew from the last commit. */
void remount(struct fixture *f);

/* Nodes of the tree; each is verified. */
uint64_t count_nodes(struct owfs_btree *bt);

/* ----------------------------------------------------------------- model */

/*
 * Keys are numbered; a key's item is given by its version: 0 there is none,
 * else length and bytes follow from key and version.
 */
struct model {
	uint32_t n;
	uint32_t *version;
	unsigned int minlen, maxlen;
};

void model_init(struct model *m, uint32_t n, unsigned int minlen,
		unsigned int maxlen);
void model_free(struct model *m);
void model_copy(struct model *to, const struct model *from);
struct owfs_key model_key(uint32_t id);
uint32_t model_id(const struct owfs_key *key);
unsigned int model_value(const struct model *m, uint32_t id, uint32_t version,
			 unsigned char *val);

/* All items, by walking; and a few by each other way of looking. */
void assert_tree_is(struct owfs_btree *bt, const struct model *m);
void assert_item_is(struct owfs_btree *bt, const struct model *m, uint32_t id);

/* Set key @id to @version in tree and model; 0 deletes it. */
int put_version(struct fixture *f, struct model *m, uint32_t id,
		uint32_t version);

#endif
