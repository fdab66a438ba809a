/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of buffers: finding, inserting, replacing, evicting.  How they come
 * from the device is in buf_read.c, how they go there in buf_write.c, and the
 * life of a buffer is told in buf_impl.h.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "io/buf_impl.h"

#define BUCKETS_MIN	64u
#define BUCKETS_MAX	65536u
#define EVICT_TRIES	32	/* buffers looked at by one put over the limit */

/* --------------------------------------------------------------- pointers */

void owfs_ptr_from_disk(struct owfs_ptr *ptr, const struct owfs_ptr_disk *d)
{
	ptr->addr[0] = le64_to_cpu(d->addr[0]);
	ptr->addr[1] = le64_to_cpu(d->addr[1]);
	ptr->birth = le64_to_cpu(d->birth);
	ptr->csum = le64_to_cpu(d->csum);
}

void owfs_ptr_to_disk(struct owfs_ptr_disk *d, const struct owfs_ptr *ptr)
{
	d->addr[0] = cpu_to_le64(ptr->addr[0]);
	d->addr[1] = cpu_to_le64(ptr->addr[1]);
	d->birth = cpu_to_le64(ptr->birth);
	d->csum = cpu_to_le64(ptr->csum);
}

static bool ptr_same_place(const struct owfs_ptr *a, const struct owfs_ptr *b)
{
	return a->addr[0] == b->addr[0] && a->addr[1] == b->addr[1] &&
	       a->birth == b->birth;
}

static bool ptr_in_range(const struct owfs_bufcache *bc,
			 const struct owfs_ptr *ptr)
{
	return ptr->addr[0] != OWFS_NOBLOCK && ptr->addr[0] < bc->nblocks &&
	       ptr->addr[1] < bc->nblocks && ptr->addr[0] != ptr->addr[1];
}

static int bad_ptr(const struct owfs_bufcache *bc, const struct owfs_ptr *ptr,
		   const char *name, const char *what)
{
	owfs_msg(bc->msg, OWFS_MSG_ERROR,
		 "%s %" PRIu64 ": %s: addr1=%" PRIu64 " birth=%" PRIu64
		 " blocks=%" PRIu64, name, ptr->addr[0], what, ptr->addr[1],
		 ptr->birth, bc->nblocks);
	return -EFSCORRUPTED;
}

/* ------------------------------------------------- references and the ring */

static int buf_state(const struct owfs_buf *buf)
{
	return __atomic_load_n(&buf->b_state, __ATOMIC_ACQUIRE);
}

/* Everything written into the buffer before is seen by who sees the state. */
static void buf_set_state(struct owfs_buf *buf, int state)
{
	__atomic_store_n(&buf->b_state, state, __ATOMIC_RELEASE);
}

static void buf_mark_used(struct owfs_buf *buf)
{
	if (!__atomic_load_n(&buf->b_used, __ATOMIC_RELAXED))
		__atomic_store_n(&buf->b_used, true, __ATOMIC_RELAXED);
}

/* Take a reference to a buffer that nobody may hold; false: on its way out. */
static bool buf_tryget(struct owfs_buf *buf)
{
	int ref = __atomic_load_n(&buf->b_ref, __ATOMIC_RELAXED);

	do {
		if (ref & REF_GONE)
			return false;
	} while (!__atomic_compare_exchange_n(&buf->b_ref, &ref, ref + 1, true,
					      __ATOMIC_ACQUIRE,
					      __ATOMIC_RELAXED));
	return true;
}

static bool buf_is_gone(const struct owfs_buf *buf)
{
	return __atomic_load_n(&buf->b_ref, __ATOMIC_RELAXED) & REF_GONE;
}

/* Caller holds bc->lock for everything that has lru in its name. */
static void lru_count(struct owfs_bufcache *bc, size_t change)
{
	__atomic_store_n(&bc->nclean, bc->nclean + change, __ATOMIC_RELAXED);
}

static void lru_link(struct owfs_bufcache *bc, struct owfs_buf *buf)
{
	buf->b_lru_prev = &bc->lru;
	buf->b_lru_next = bc->lru.b_lru_next;
	buf->b_lru_next->b_lru_prev = buf;
	bc->lru.b_lru_next = buf;
}

static void lru_unlink(struct owfs_buf *buf)
{
	buf->b_lru_next->b_lru_prev = buf->b_lru_prev;
	buf->b_lru_prev->b_lru_next = buf->b_lru_next;
	buf->b_lru_next = buf->b_lru_prev = NULL;
}

static void lru_add(struct owfs_bufcache *bc, struct owfs_buf *buf)
{
	lru_link(bc, buf);
	lru_count(bc, 1);
}

static void lru_remove(struct owfs_bufcache *bc, struct owfs_buf *buf)
{
	if (!buf->b_lru_next)
		return;
	lru_unlink(buf);
	lru_count(bc, (size_t)-1);
}

/* -------------------------------------------------------------- the table */

/* Blocks that lie side by side must not share a bucket: splitmix64's mixer. */
static unsigned long hash_addr(owfs_fsblock_t addr)
{
	addr = (addr ^ (addr >> 30)) * 0xbf58476d1ce4e5b9ull;
	addr = (addr ^ (addr >> 27)) * 0x94d049bb133111ebull;
	return (unsigned long)(addr ^ (addr >> 31));
}

static struct owfs_buf *buf_of_node(struct cds_lfht_node *node)
{
	return container_of(node, struct owfs_buf, b_hash);
}

static int match_addr(struct cds_lfht_node *node, const void *key)
{
	const struct owfs_buf *buf = buf_of_node(node);

	owfs_rcu_consume(buf);
	return buf->b_ptr.addr[0] == *(const owfs_fsblock_t *)key;
}

/* Referenced, or NULL if there is none, or one on its way out. */
static struct owfs_buf *table_get(struct owfs_bufcache *bc, owfs_fsblock_t addr)
{
	struct cds_lfht_iter iter;
	struct cds_lfht_node *node;
	struct owfs_buf *buf;

	rcu_read_lock();
	cds_lfht_lookup(bc->table, hash_addr(addr), match_addr, &addr, &iter);
	node = cds_lfht_iter_get_node(&iter);
	buf = node ? buf_of_node(node) : NULL;
	if (buf && !buf_tryget(buf)) {
		owfs_rcu_publish(buf);	/* looked at, and no more */
		buf = NULL;
	}
	rcu_read_unlock();
	return buf;
}

/* Caller holds bc->lock, and a reference that the table now gives to others. */
static void table_insert(struct owfs_bufcache *bc, struct owfs_buf *buf)
{
	owfs_rcu_publish(buf);
	rcu_read_lock();
	cds_lfht_add(bc->table, hash_addr(buf->b_ptr.addr[0]), &buf->b_hash);
	rcu_read_unlock();
}

/* Out of table and ring; new references are already impossible. Under bc->lock. */
static void table_remove(struct owfs_bufcache *bc, struct owfs_buf *buf)
{
	lru_remove(bc, buf);
	rcu_read_lock();
	cds_lfht_del(bc->table, &buf->b_hash);
	rcu_read_unlock();
}

/*
 * The same whoever else holds references; the last to go frees.  Under
 * bc->lock, and the caller holds a reference, too.
 */
static void table_detach(struct owfs_bufcache *bc, struct owfs_buf *buf)
{
	__atomic_fetch_or(&buf->b_ref, REF_GONE, __ATOMIC_ACQ_REL);
	table_remove(bc, buf);
}

/* Evict @buf unless somebody holds it. Under bc->lock. */
static bool try_evict(struct owfs_bufcache *bc, struct owfs_buf *buf)
{
	int none = 0;

	if (!__atomic_compare_exchange_n(&buf->b_ref, &none, REF_GONE, false,
					 __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		return false;
	table_remove(bc, buf);
	owfs_buf_free_rcu(buf);
	return true;
}

/*
 * The clock: from the oldest end, evict what is neither held nor was used since
 * it was last looked at, until at most @keep are left or @tries are spent.
 */
static void evict_clean(struct owfs_bufcache *bc, size_t keep, size_t tries)
{
	while (bc->nclean > keep && tries--) {
		struct owfs_buf *buf = bc->lru.b_lru_prev;

		if (!__atomic_exchange_n(&buf->b_used, false,
					 __ATOMIC_RELAXED) &&
		    try_evict(bc, buf))
			continue;
		lru_unlink(buf);
		lru_link(bc, buf);
	}
}

/* After a put: only if it is cheap. */
static void evict_some(struct owfs_bufcache *bc)
{
	if (__atomic_load_n(&bc->nclean, __ATOMIC_RELAXED) <= bc->max_clean ||
	    pthread_mutex_trylock(&bc->lock))
		return;
	evict_clean(bc, bc->max_clean, EVICT_TRIES);
	pthread_mutex_unlock(&bc->lock);
}

void owfs_buf_get(struct owfs_buf *buf)
{
	__atomic_fetch_add(&buf->b_ref, 1, __ATOMIC_RELAXED);
}

void owfs_buf_put(struct owfs_buf *buf)
{
	struct owfs_bufcache *bc = buf->b_cache;
	int ref;

	owfs_rcu_publish(buf);
	ref = __atomic_sub_fetch(&buf->b_ref, 1, __ATOMIC_ACQ_REL);
	if (ref == REF_GONE) {
		owfs_rcu_consume(buf);
		owfs_buf_free_rcu(buf);
	} else if (ref == 0) {	/* from here on it may be evicted any time */
		evict_some(bc);
	}
}

/* ------------------------------------------------------------ find or read */

/* Is @buf what @ptr means, and ready? */
static bool buf_matches(const struct owfs_buf *buf, const struct owfs_ptr *ptr,
			const struct owfs_buf_ops *ops)
{
	if (!ptr_same_place(&buf->b_ptr, ptr) || (ops && buf->b_ops != ops))
		return false;
	switch (buf_state(buf)) {
	case BUF_YOUNG:
		return true;
	case BUF_CLEAN:
		return buf->b_ptr.csum == ptr->csum;
	default:
		return false;
	}
}

static struct owfs_buf *get_matching(struct owfs_bufcache *bc,
				     const struct owfs_ptr *ptr,
				     const struct owfs_buf_ops *ops)
{
	struct owfs_buf *buf = table_get(bc, ptr->addr[0]);

	if (!buf)
		return NULL;
	if (!buf_matches(buf, ptr, ops)) {
		owfs_buf_put(buf);
		return NULL;
	}
	buf_mark_used(buf);
	return buf;
}

struct owfs_buf *owfs_buf_peek(struct owfs_bufcache *bc,
			       const struct owfs_ptr *ptr)
{
	return get_matching(bc, ptr, NULL);
}

/* The read is over: @buf becomes clean, or leaves with its error. */
static void finish_read(struct owfs_bufcache *bc, struct owfs_buf *buf, int err)
{
	pthread_mutex_lock(&bc->lock);
	buf_set_state(buf, err ? err : BUF_CLEAN);
	if (!buf_is_gone(buf)) {
		if (err)
			table_detach(bc, buf);
		else
			lru_add(bc, buf);
	}
	evict_clean(bc, bc->max_clean, EVICT_TRIES);
	pthread_cond_broadcast(&bc->read_done);
	pthread_mutex_unlock(&bc->lock);
}

static int read_in(struct owfs_bufcache *bc, struct owfs_buf *buf,
		   const void *expect, struct owfs_buf **bp)
{
	int ret = owfs_buf_load(buf, expect);

	finish_read(bc, buf, ret);
	if (ret)
		owfs_buf_put(buf);
	else
		*bp = buf;
	return ret;
}

/*
 * Another thread reads this block.  If it followed the same pointer, its result
 * is ours: *bp or an error.  Else 0 and nothing in *bp: look again.  Under
 * bc->lock, which is dropped meanwhile.
 */
static int wait_for_reader(struct owfs_bufcache *bc, struct owfs_buf *buf,
			   const struct owfs_ptr *ptr,
			   const struct owfs_buf_ops *ops, struct owfs_buf **bp)
{
	const bool same = ptr_same_place(&buf->b_ptr, ptr) &&
			  buf->b_ptr.csum == ptr->csum && buf->b_ops == ops;
	int state;

	while ((state = buf_state(buf)) == BUF_READING)
		pthread_cond_wait(&bc->read_done, &bc->lock);
	if (same && state == BUF_CLEAN) {
		owfs_buf_get(buf);
		*bp = buf;
	}
	return same && state < 0 ? state : 0;
}

/*
 * Under bc->lock: find the buffer after all, or wait for one being read, or put
 * @fresh into the table for reading.
 */
static int find_or_insert(struct owfs_bufcache *bc, struct owfs_buf *fresh,
			  struct owfs_buf **bp)
{
	const struct owfs_ptr *ptr = &fresh->b_ptr;
	struct owfs_buf *old;

	while ((old = table_get(bc, ptr->addr[0]))) {
		int ret = 0, state = buf_state(old);

		if (buf_matches(old, ptr, fresh->b_ops)) {
			*bp = old;
			return 0;
		}
		if (state == BUF_READING)
			ret = wait_for_reader(bc, old, ptr, fresh->b_ops, bp);
		else if (state == BUF_YOUNG)
			ret = bad_ptr(bc, ptr, fresh->b_ops->name,
				      "pointer to a block that is being rewritten");
		else
			table_detach(bc, old);
		owfs_buf_put(old);
		if (ret || *bp)
			return ret;
	}
	table_insert(bc, fresh);
	*bp = fresh;
	return 0;
}

static int read_missing(struct owfs_bufcache *bc, const struct owfs_ptr *ptr,
			const struct owfs_buf_ops *ops, const void *expect,
			struct owfs_buf **bp)
{
	struct owfs_buf *fresh = owfs_buf_alloc(bc), *found = NULL;
	int ret;

	if (!fresh)
		return -ENOMEM;
	fresh->b_ptr = *ptr;
	fresh->b_csum_known = true;
	fresh->b_ops = ops;
	fresh->b_ref = 1;
	buf_set_state(fresh, BUF_READING);

	pthread_mutex_lock(&bc->lock);
	ret = find_or_insert(bc, fresh, &found);
	pthread_mutex_unlock(&bc->lock);
	if (!ret && found == fresh)
		return read_in(bc, fresh, expect, bp);
	owfs_buf_free(fresh);
	if (!ret)
		*bp = found;
	return ret;
}

int owfs_buf_read(struct owfs_bufcache *bc, const struct owfs_ptr *ptr,
		  const struct owfs_buf_ops *ops, const void *expect,
		  struct owfs_buf **bp)
{
	if (!ptr_in_range(bc, ptr))
		return bad_ptr(bc, ptr, ops->name, "pointer out of range");
	*bp = get_matching(bc, ptr, ops);
	if (*bp)
		return 0;
	return read_missing(bc, ptr, ops, expect, bp);
}

/* ---------------------------------------------------------- young buffers */

/* Every buffer at an address that is given out anew is history. */
static void insert_young(struct owfs_bufcache *bc, struct owfs_buf *buf)
{
	struct owfs_buf *old;

	pthread_mutex_lock(&bc->lock);
	old = table_get(bc, buf->b_ptr.addr[0]);
	if (old) {
		if (buf_state(old) == BUF_YOUNG)
			bad_ptr(bc, &old->b_ptr, old->b_ops->name,
				"block given out twice");
		table_detach(bc, old);
		owfs_buf_put(old);
	}
	table_insert(bc, buf);
	pthread_mutex_unlock(&bc->lock);
}

/* Place and time of birth, in memory and in the header; then into the table. */
static void give_birth(struct owfs_bufcache *bc, struct owfs_buf *buf,
		       const owfs_fsblock_t addr[2], owfs_gen_t birth,
		       const struct owfs_buf_ops *ops)
{
	struct owfs_block_hdr *hdr = owfs_buf_hdr(buf);

	hdr->bh_addr[0] = cpu_to_le64(addr[0]);
	hdr->bh_addr[1] = cpu_to_le64(addr[1]);
	hdr->bh_gen = cpu_to_le64(birth);
	hdr->bh_csum = cpu_to_le64(0);
	buf->b_ptr = (struct owfs_ptr){
		.addr = { addr[0], addr[1] },
		.birth = birth,
	};
	buf->b_ops = ops;
	buf->b_ref = 1;
	buf_set_state(buf, BUF_YOUNG);
	insert_young(bc, buf);
}

struct owfs_buf *owfs_buf_new(struct owfs_bufcache *bc,
			      const owfs_fsblock_t addr[2], owfs_gen_t birth,
			      const struct owfs_buf_ops *ops, uint64_t owner,
			      unsigned int level)
{
	struct owfs_buf *buf = owfs_buf_pool_take(bc);
	struct owfs_block_hdr *hdr;

	if (!buf)
		return ERR_PTR(-ENOMEM);
	memset(buf->b_data, 0, bc->blocksize);
	hdr = owfs_buf_hdr(buf);
	hdr->bh_magic = cpu_to_le32(ops->magic);
	hdr->bh_level = cpu_to_le16((uint16_t)level);
	hdr->bh_owner = cpu_to_le64(owner);
	give_birth(bc, buf, addr, birth, ops);
	return buf;
}

struct owfs_buf *owfs_buf_clone(struct owfs_buf *old,
				const owfs_fsblock_t addr[2], owfs_gen_t birth)
{
	struct owfs_bufcache *bc = old->b_cache;
	struct owfs_buf *buf = owfs_buf_pool_take(bc);

	if (!buf)
		return ERR_PTR(-ENOMEM);
	memcpy(buf->b_data, old->b_data, bc->blocksize);
	give_birth(bc, buf, addr, birth, old->b_ops);
	return buf;
}

void owfs_buf_forget(struct owfs_buf *buf)
{
	struct owfs_bufcache *bc = buf->b_cache;

	buf->b_forgotten = true;
	pthread_mutex_lock(&bc->lock);
	if (!buf_is_gone(buf))
		table_detach(bc, buf);
	pthread_mutex_unlock(&bc->lock);
}

void owfs_buf_clean(struct owfs_buf *buf)
{
	struct owfs_bufcache *bc = buf->b_cache;

	pthread_mutex_lock(&bc->lock);
	assert(buf->b_csum_known || buf_is_gone(buf));
	if (buf_state(buf) == BUF_YOUNG) {
		buf_set_state(buf, BUF_CLEAN);
		if (!buf_is_gone(buf))
			lru_add(bc, buf);
	}
	evict_clean(bc, bc->max_clean, EVICT_TRIES);
	pthread_mutex_unlock(&bc->lock);
}

/* --------------------------------------------------------------- the cache */

void owfs_bufcache_shrink(struct owfs_bufcache *bc, bool all)
{
	pthread_mutex_lock(&bc->lock);
	/* twice around: the first round may only take the used marks off */
	evict_clean(bc, all ? 0 : bc->max_clean, 2 * bc->nclean);
	pthread_mutex_unlock(&bc->lock);
}

static size_t table_buckets(size_t max_clean)
{
	size_t n = BUCKETS_MIN;

	while (n < max_clean && n < BUCKETS_MAX)
		n *= 2;
	return n;
}

int owfs_bufcache_create(struct owfs_bufcache **bcp, struct owfs_blkdev *bd,
			 size_t blocksize, uint64_t nblocks, uint64_t seed,
			 size_t limit, const struct owfs_msg *msg)
{
	struct owfs_bufcache *bc;
	size_t buckets = table_buckets(limit / blocksize);

	assert(blocksize >= OWFS_BLOCK_MIN && blocksize <= OWFS_BLOCK_MAX &&
	       !(blocksize & (blocksize - 1)));
	bc = calloc(1, sizeof(*bc));
	if (!bc)
		return -ENOMEM;
	bc->arena = owfs_buf_arena_create(blocksize);
	if (!bc->arena)
		goto out_free;
	/* a fixed number of buckets: no thread that resizes, no surprise */
	bc->table = cds_lfht_new(buckets, buckets, buckets, 0, NULL);
	if (!bc->table)
		goto out_arena;
	pthread_mutex_init(&bc->lock, NULL);
	pthread_mutex_init(&bc->pool_lock, NULL);
	pthread_cond_init(&bc->read_done, NULL);
	bc->lru.b_lru_next = bc->lru.b_lru_prev = &bc->lru;
	bc->bd = bd;
	bc->blocksize = blocksize;
	bc->nblocks = nblocks;
	bc->seed = seed;
	bc->max_clean = limit / blocksize;
	bc->msg = msg;
	*bcp = bc;
	return 0;

out_arena:
	owfs_buf_arena_close(bc->arena);
out_free:
	free(bc);
	return -ENOMEM;
}

/* Nobody else uses the cache any more, so nothing waits for a grace period. */
void owfs_bufcache_destroy(struct owfs_bufcache *bc)
{
	struct cds_lfht_iter iter;
	struct cds_lfht_node *node;
	int ret;

	if (!bc)
		return;
	rcu_read_lock();
	cds_lfht_for_each(bc->table, &iter, node) {
		struct owfs_buf *buf = buf_of_node(node);

		assert(__atomic_load_n(&buf->b_ref, __ATOMIC_ACQUIRE) == 0);
		cds_lfht_del(bc->table, &buf->b_hash);
		owfs_buf_free(buf);
	}
	rcu_read_unlock();
	ret = cds_lfht_destroy(bc->table, NULL);
	assert(ret == 0);
	(void)ret;
	owfs_buf_pool_drain(bc);
	owfs_buf_arena_close(bc->arena);
	pthread_cond_destroy(&bc->read_done);
	pthread_mutex_destroy(&bc->pool_lock);
	pthread_mutex_destroy(&bc->lock);
	free(bc);
}

void owfs_bufcache_on_repair(struct owfs_bufcache *bc,
			     void (*fn)(void *ctx, const struct owfs_ptr *ptr,
					const void *data, int bad_copy,
					int err), void *ctx)
{
	bc->repair_ctx = ctx;
	bc->repair = fn;
}

void owfs_bufcache_one_thread(struct owfs_bufcache *bc)
{
	bc->one_thread = true;
}

size_t owfs_bufcache_blocksize(const struct owfs_bufcache *bc)
{
	return bc->blocksize;
}

const struct owfs_msg *owfs_bufcache_msg(const struct owfs_bufcache *bc)
{
	return bc->msg;
}

uint64_t owfs_bufcache_nblocks(const struct owfs_bufcache *bc)
{
	return bc->nblocks;
}

struct owfs_blkdev *owfs_bufcache_blkdev(const struct owfs_bufcache *bc)
{
	return bc->bd;
}
