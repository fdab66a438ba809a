/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The cache of metadata blocks that belong to the tree.
 *
 * There is one way to get a block of metadata from the device: hand over a
 * pointer (addresses, birth, checksum) and the ops that verify it.  A buffer
 * that came back has the checksum its pointer promised, stands where its
 * header says, was born when the pointer says, and passed ops->verify.
 *
 * A buffer is young (made by owfs_buf_new or _clone, content still changing,
 * csum unknown, never evicted) until owfs_buf_seal_csum() has been called and
 * it was written; after owfs_buf_clean() it is clean: immutable, and evicted
 * when unreferenced and memory is wanted.
 *
 * The table is a cds_lfht keyed by the first address; lookups take no lock.
 * b_lock protects the content of young buffers (and their csum fields); the
 * tree takes it parent before child.  Buffers are freed by call_rcu.
 */
#ifndef OWFS_IO_BUF_H
#define OWFS_IO_BUF_H

#include <pthread.h>

#include "base/format.h"
#include "base/msg.h"
#include "base/rcu.h"
#include "io/blkdev.h"

/* A pointer to a metadata block, in memory. */
struct owfs_ptr {
	owfs_fsblock_t addr[2];	/* [1] OWFS_NOBLOCK: one copy */
	owfs_gen_t birth;
	uint64_t csum;
};

void owfs_ptr_from_disk(struct owfs_ptr *ptr, const struct owfs_ptr_disk *d);
void owfs_ptr_to_disk(struct owfs_ptr_disk *d, const struct owfs_ptr *ptr);

struct owfs_bufcache;
struct owfs_buf;

struct owfs_buf_ops {
	const char *name;	/* for messages: "node" */
	uint32_t magic;
	/*
	 * Is the structure sound?  Header fields common to all blocks have been
	 * checked.  0 or -EFSCORRUPTED, after one message saying what is wrong.
	 * @expect is what the caller of owfs_buf_read() passed, or NULL.
	 */
	int (*verify)(struct owfs_bufcache *bc, const struct owfs_ptr *ptr,
		      const void *data, const void *expect);
};

struct owfs_buf {
	struct cds_lfht_node b_hash;
	struct rcu_head b_rcu;
	struct owfs_bufcache *b_cache;
	pthread_rwlock_t b_lock;	/* content while young */
	struct owfs_ptr b_ptr;		/* csum valid once b_csum_known */
	const struct owfs_buf_ops *b_ops;
	unsigned char *b_data;		/* blocksize bytes, OWFS_IO_ALIGN aligned */
	struct owfs_buf *b_next;	/* the owner's list of young buffers; tree's lock */
	int b_ref;			/* atomic; the cache itself holds none */
	int b_state;			/* atomic: buf.c's */
	bool b_csum_known;		/* under b_lock */
	bool b_forgotten;		/* freed in the generation that made it */
	bool b_used;			/* atomic, relaxed: second chance at eviction */
	struct owfs_buf *b_lru_next, *b_lru_prev;	/* cache's lock */
};

/*
 * @limit: bytes of clean buffers to keep (young ones come on top).
 * @seed: csum_seed of the superblock.  @nblocks: pointers past it are corrupt.
 */
int owfs_bufcache_create(struct owfs_bufcache **bcp, struct owfs_blkdev *bd,
			 size_t blocksize, uint64_t nblocks, uint64_t seed,
			 size_t limit, const struct owfs_msg *msg);
void owfs_bufcache_destroy(struct owfs_bufcache *bc);
size_t owfs_bufcache_blocksize(const struct owfs_bufcache *bc);
const struct owfs_msg *owfs_bufcache_msg(const struct owfs_bufcache *bc);
uint64_t owfs_bufcache_nblocks(const struct owfs_bufcache *bc);
struct owfs_blkdev *owfs_bufcache_blkdev(const struct owfs_bufcache *bc);

/*
 * Called (any thread) when a read had to fall back to the other copy, which
 * @data shows.
 */
void owfs_bufcache_on_repair(struct owfs_bufcache *bc,
			     void (*fn)(void *ctx, const struct owfs_ptr *ptr,
					const void *data, int bad_copy,
					int err), void *ctx);
/*
 * The first copy at @ptr is known to be bad: the second is read first from now
 * on, and nothing is said.  A few are remembered, the latest.
 */
void owfs_bufcache_distrust(struct owfs_bufcache *bc,
			    const struct owfs_ptr *ptr);

/*
 * Before the first read: only one thread will ever use the cache, so what is
 * evicted is freed at once, and memory stays within the limit.
 */
void owfs_bufcache_one_thread(struct owfs_bufcache *bc);

/*
 * Find or read the block at @ptr; the buffer comes referenced.  May sleep and
 * read; two callers of one block read it once.  A cached young buffer is
 * returned whatever ptr->csum says (its csum is not known to anybody yet),
 * provided address and birth agree.
 * -EIO device, -EFSBADCRC or -EFSCORRUPTED bad bytes (in every copy), -ENOMEM.
 */
int owfs_buf_read(struct owfs_bufcache *bc, const struct owfs_ptr *ptr,
		  const struct owfs_buf_ops *ops, const void *expect,
		  struct owfs_buf **bp);
/* The same if no I/O is needed, else NULL.  Never sleeps. */
struct owfs_buf *owfs_buf_peek(struct owfs_bufcache *bc,
			       const struct owfs_ptr *ptr);

void owfs_buf_get(struct owfs_buf *buf);
void owfs_buf_put(struct owfs_buf *buf);

/*
 * Buffers that owfs_buf_new and _clone hand out inside a transaction come from
 * a pool, filled by owfs_bufcache_reserve() before (-ENOMEM) and given back by
 * owfs_bufcache_unreserve(); while n are reserved, n calls cannot fail.
 */
int owfs_bufcache_reserve(struct owfs_bufcache *bc, unsigned int n);
void owfs_bufcache_unreserve(struct owfs_bufcache *bc, unsigned int n);

/* A young buffer, zeroed but for its header; referenced.  Consumes one reserved. */
struct owfs_buf *owfs_buf_new(struct owfs_bufcache *bc,
			      const owfs_fsblock_t addr[2], owfs_gen_t birth,
			      const struct owfs_buf_ops *ops, uint64_t owner,
			      unsigned int level);
/* A young buffer with @old's bytes under a new header.  Caller holds old->b_lock. */
struct owfs_buf *owfs_buf_clone(struct owfs_buf *old,
				const owfs_fsblock_t addr[2], owfs_gen_t birth);

/* Take a young buffer out of the table for good (its block was freed unborn). */
void owfs_buf_forget(struct owfs_buf *buf);

/*
 * Compute the checksum into header and b_ptr.  Caller holds b_lock for writing
 * and has filled in the checksums of everything below.
 */
void owfs_buf_seal_csum(struct owfs_buf *buf);
/* Write sealed buffers, both copies, sorted and merged into large writes.  Sorts @bufs. No flush. */
int owfs_buf_write_many(struct owfs_bufcache *bc, struct owfs_buf **bufs,
			size_t n);
/* The buffer is on the device: from now on evictable. */
void owfs_buf_clean(struct owfs_buf *buf);

/* Drop clean unreferenced buffers down to the limit (or all of them). */
void owfs_bufcache_shrink(struct owfs_bufcache *bc, bool all);

static inline bool owfs_buf_is_young(const struct owfs_buf *buf,
				     owfs_gen_t open)
{
	return buf->b_ptr.birth == open;
}

#endif
