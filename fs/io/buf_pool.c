/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory of buffers, and the pool that lets a transaction make nodes without
 * failing: it always holds at least as many buffers as are reserved.
 */
#include <assert.h>
#include <stdlib.h>

#include "base/util.h"
#include "io/buf_impl.h"

/* Kept beyond what is reserved, so that transactions do not allocate each time. */
#define POOL_SLACK_BYTES	(1u << 20)

/* A buffer and what it takes to free it when its cache is gone. */
struct buf_box {
	struct owfs_buf buf;
	struct owfs_buf_slab *slab;
};

struct owfs_buf *owfs_buf_alloc(struct owfs_bufcache *bc)
{
	struct buf_box *box = calloc(1, sizeof(*box));
	struct owfs_buf *buf;

	if (!box)
		return NULL;
	buf = &box->buf;
	buf->b_data = owfs_buf_arena_alloc(bc->arena, &box->slab);
	if (!buf->b_data) {
		free(box);
		return NULL;
	}
	buf->b_cache = bc;
	cds_lfht_node_init(&buf->b_hash);
	pthread_rwlock_init(&buf->b_lock, NULL);
	return buf;
}

void owfs_buf_free(struct owfs_buf *buf)
{
	struct buf_box *box = container_of(buf, struct buf_box, buf);

	pthread_rwlock_destroy(&buf->b_lock);
	owfs_buf_arena_free(box->slab, buf->b_data);
	free(box);
}

static void free_callback(struct rcu_head *head)
{
	struct owfs_buf *buf = container_of(head, struct owfs_buf, b_rcu);

	owfs_rcu_consume(buf);
	owfs_buf_free(buf);	/* the cache may be gone: nothing of it is touched */
}

void owfs_buf_free_rcu(struct owfs_buf *buf)
{
	if (buf->b_cache->one_thread) {
		owfs_buf_free(buf);
		return;
	}
	owfs_rcu_publish(buf);
	call_rcu(&buf->b_rcu, free_callback);
}

static void pool_push(struct owfs_bufcache *bc, struct owfs_buf *buf)
{
	buf->b_next = bc->pool;
	bc->pool = buf;
	bc->npool++;
}

static struct owfs_buf *pool_pop(struct owfs_bufcache *bc)
{
	struct owfs_buf *buf = bc->pool;

	if (buf) {
		bc->pool = buf->b_next;
		bc->npool--;
		buf->b_next = NULL;
	}
	return buf;
}

struct owfs_buf *owfs_buf_pool_take(struct owfs_bufcache *bc)
{
	struct owfs_buf *buf;

	pthread_mutex_lock(&bc->pool_lock);
	buf = pool_pop(bc);
	if (bc->reserved)
		bc->reserved--;
	pthread_mutex_unlock(&bc->pool_lock);
	return buf ? buf : owfs_buf_alloc(bc);
}

/* Free what lies in the pool beyond @keep. */
static void pool_trim(struct owfs_bufcache *bc, size_t keep)
{
	struct owfs_buf *buf;

	do {
		pthread_mutex_lock(&bc->pool_lock);
		buf = bc->npool > bc->reserved + keep ? pool_pop(bc) : NULL;
		pthread_mutex_unlock(&bc->pool_lock);
		if (buf)
			owfs_buf_free(buf);
	} while (buf);
}

void owfs_buf_pool_drain(struct owfs_bufcache *bc)
{
	bc->reserved = 0;
	pool_trim(bc, 0);
}

int owfs_bufcache_reserve(struct owfs_bufcache *bc, unsigned int n)
{
	struct owfs_buf *buf;

	pthread_mutex_lock(&bc->pool_lock);
	bc->reserved += n;
	while (bc->npool < bc->reserved) {
		pthread_mutex_unlock(&bc->pool_lock);
		buf = owfs_buf_alloc(bc);
		if (!buf) {
			owfs_bufcache_unreserve(bc, n);
			return -ENOMEM;
		}
		pthread_mutex_lock(&bc->pool_lock);
		pool_push(bc, buf);
	}
	pthread_mutex_unlock(&bc->pool_lock);
	return 0;
}

void owfs_bufcache_unreserve(struct owfs_bufcache *bc, unsigned int n)
{
	pthread_mutex_lock(&bc->pool_lock);
	assert(bc->reserved >= n);
	bc->reserved -= n;
	pthread_mutex_unlock(&bc->pool_lock);
	pool_trim(bc, POOL_SLACK_BYTES / bc->blocksize);
}
