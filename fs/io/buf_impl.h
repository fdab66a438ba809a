/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the buf_*.c share; nobody else includes it.
 *
 * Life of a buffer.  b_ref counts references; the bit REF_GONE in it says that
 * the buffer has left the table for good.  References are taken from the table
 * only while the bit is clear, so whoever brings b_ref to exactly REF_GONE (the
 * last reference of a buffer that has left, or the leaving of an unreferenced
 * one) is alone with the buffer and gives it to call_rcu.
 *
 * Everything that changes the table is done under bc->lock.  Lookups take no
 * lock; one that finds nothing, or a buffer on its way out, tries again under
 * the lock, where neither REF_GONE buffers nor two of one address are found.
 */
#ifndef OWFS_IO_BUF_IMPL_H
#define OWFS_IO_BUF_IMPL_H

#include "base/err.h"
#include "io/buf.h"

#define REF_GONE	(1 << 30)

/* b_state; negative: the errno with which reading failed */
enum {
	BUF_READING = 1,
	BUF_YOUNG,
	BUF_CLEAN,
};

/* Bad first copies that are remembered. */
#define BUF_DISTRUSTED	64u

struct owfs_buf_slab;

/* Memory of one cache's blocks; outlives the cache until the last is freed. */
struct owfs_buf_arena {
	pthread_mutex_t lock;		/* innermost */
	size_t blocksize;
	size_t users;			/* blocks given out, and the cache */
	size_t nslabs;
	struct owfs_buf_slab *partial;	/* those that have a free block */
};

struct owfs_bufcache {
	struct owfs_blkdev *bd;
	const struct owfs_msg *msg;
	size_t blocksize;
	uint64_t nblocks;
	uint64_t seed;
	void (*repair)(void *ctx, const struct owfs_ptr *ptr, const void *data,
		       int bad_copy, int err);
	void *repair_ctx;
	struct owfs_ptr distrusted[BUF_DISTRUSTED];	/* lock */
	unsigned int ndistrusted;	/* in all; atomic, changed under lock */
	bool one_thread;		/* nobody else can be looking */

	struct cds_lfht *table;		/* RCU; changed under lock */
	pthread_mutex_t lock;
	pthread_cond_t read_done;	/* some buffer left BUF_READING */
	struct owfs_buf lru;		/* ring of clean buffers, newest next; only its links are used */
	size_t nclean;			/* in the ring; atomic, changed under lock */
	size_t max_clean;

	struct owfs_buf_arena *arena;
	pthread_mutex_t pool_lock;	/* never taken together with lock */
	struct owfs_buf *pool;		/* linked by b_next; at least reserved */
	size_t npool;
	size_t reserved;
};

/* buf_slab.c */
struct owfs_buf_arena *owfs_buf_arena_create(size_t blocksize);
void owfs_buf_arena_close(struct owfs_buf_arena *ar);
unsigned char *owfs_buf_arena_alloc(struct owfs_buf_arena *ar,
				    struct owfs_buf_slab **slabp);
void owfs_buf_arena_free(struct owfs_buf_slab *slab, unsigned char *mem);

/* buf_pool.c */
struct owfs_buf *owfs_buf_alloc(struct owfs_bufcache *bc);	/* NULL: no memory */
void owfs_buf_free(struct owfs_buf *buf);			/* at once */
void owfs_buf_free_rcu(struct owfs_buf *buf);
/* One from the pool, else a new one; NULL: no memory, nothing was reserved. */
struct owfs_buf *owfs_buf_pool_take(struct owfs_bufcache *bc);
void owfs_buf_pool_drain(struct owfs_bufcache *bc);

/* buf_read.c: fill in @buf from the device, from either copy, and verify it */
int owfs_buf_load(struct owfs_buf *buf, const void *expect);

/* XXH3 over the block with its checksum field taken as zero. */
uint64_t owfs_buf_checksum(const struct owfs_buf *buf);

static inline struct owfs_block_hdr *owfs_buf_hdr(const struct owfs_buf *buf)
{
	return (struct owfs_block_hdr *)buf->b_data;
}

#endif
