/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The cache at work: large writes, memory, threads. */
#include "buf_fixture.h"

/*
 * Memory does not wait for readers that cannot be: this one would hold up all
 * that is freed by RCU.
 */
static void test_one_thread_frees_at_once(void **state)
{
	struct fixture *f = *state;
	const size_t limit = 16;

	open_cache(f, limit * BS);
	owfs_bufcache_one_thread(f->bc);
	rcu_read_lock();
	for (owfs_fsblock_t i = 1; i <= 600; i++) {
		struct owfs_ptr ptr = make(f, i, 0, 3, 'x');

		assert_int_equal(read_ret(f, &ptr), 0);
	}
	assert_true(f->bc->arena->nslabs <= 2);
	rcu_read_unlock();
}

/* ---------------------------------------------------------------- writing */

#define MANY	300

static void shuffle(struct owfs_buf **bufs, size_t n)
{
	unsigned int seed = 42;

	for (size_t i = n; i > 1; i--) {
		size_t j = (size_t)rand_r(&seed) % i;
		struct owfs_buf *buf = bufs[j];

		bufs[j] = bufs[i - 1];
		bufs[i - 1] = buf;
	}
}

static void make_many(struct fixture *f, struct owfs_buf **bufs, size_t n,
		      owfs_fsblock_t at0, owfs_fsblock_t at1)
{
	for (size_t i = 0; i < n; i++) {
		bufs[i] = make_young(f, at0 + i, at1 ? at1 + i : 0, 5, (int)i);
		seal_buf(bufs[i]);
	}
	shuffle(bufs, n);
}

static void put_many(struct owfs_buf **bufs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		owfs_buf_put(bufs[i]);
}

static void test_neighbours_are_written_together(void **state)
{
	struct fixture *f = *state;
	struct owfs_buf *bufs[MANY];
	struct owfs_ptr ptrs[MANY];
	uint64_t bytes = 0;

	make_many(f, bufs, MANY, 10, 500);
	bufs[0]->b_next = NULL;
	for (size_t i = 0; i < MANY; i++)
		ptrs[i] = bufs[i]->b_ptr;
	emubd_record(f->e, true);
	assert_int_equal(owfs_buf_write_many(f->bc, bufs, MANY), 0);
	for (size_t i = 0; i < emubd_log_len(f->e); i++) {
		const struct emubd_event *ev = emubd_log_at(f->e, i);

		assert_int_equal(ev->kind, EMUBD_WRITE);
		assert_true(ev->len <= 1 << 20);
		bytes += ev->len;
	}
	assert_int_equal(bytes, 2ull * MANY * BS);
	assert_int_equal(emubd_log_len(f->e), 4);	/* 1 MiB and the rest, twice */
	put_many(bufs, MANY);

	open_cache(f, BIG);
	emubd_fault_range(f->e, EMUBD_READ, 10 * BS, MANY / 2 * BS, EIO);
	for (size_t i = 0; i < MANY; i++)
		assert_int_equal(read_ret(f, &ptrs[i]), 0);
}

/* Gaps between the first copies, single and double mixed. */
static void test_scattered_buffers_are_all_written(void **state)
{
	struct fixture *f = *state;
	struct owfs_buf *bufs[60];
	struct owfs_ptr ptrs[60];

	for (size_t i = 0; i < 60; i++) {
		bufs[i] = make_young(f, 10 + i + i / 3, i % 2 ? 0 : 500 - i, 5, 's');
		seal_buf(bufs[i]);
		ptrs[i] = bufs[i]->b_ptr;
	}
	shuffle(bufs, 60);
	assert_int_equal(owfs_buf_write_many(f->bc, bufs, 60), 0);
	put_many(bufs, 60);
	open_cache(f, BIG);
	for (size_t i = 0; i < 60; i++) {
		assert_int_equal(read_ret(f, &ptrs[i]), 0);
		if (ptrs[i].addr[1])
			emubd_garbage(f->e, ptrs[i].addr[0] * BS, BS, i);
	}
	open_cache(f, BIG);
	for (size_t i = 0; i < 60; i++)
		assert_int_equal(read_ret(f, &ptrs[i]), 0);
	assert_int_equal(f->repairs, 30);
}

static void test_failed_write_is_reported(void **state)
{
	struct fixture *f = *state;
	struct owfs_buf *bufs[MANY];

	make_many(f, bufs, MANY, 10, 500);
	for (uint64_t nth = 1; nth <= 4; nth++) {
		emubd_fault(f->e, EMUBD_WRITE, nth, 1, EIO);
		assert_int_equal(owfs_buf_write_many(f->bc, bufs, MANY), -EIO);
	}
	emubd_fault(f->e, EMUBD_WRITE, 5, 1, EIO);
	assert_int_equal(owfs_buf_write_many(f->bc, bufs, MANY), 0);
	put_many(bufs, MANY);
}

/* ------------------------------------------------------------------- memory */

static size_t count_cached(struct fixture *f, const struct owfs_ptr *ptrs,
			   size_t n)
{
	size_t found = 0;

	for (size_t i = 0; i < n; i++)
		found += cached(f, &ptrs[i]);
	return found;
}

static void test_clean_buffers_stay_within_the_limit(void **state)
{
	struct fixture *f = *state;
	struct owfs_ptr ptrs[100];

	open_cache(f, 10 * BS);
	for (size_t i = 0; i < 100; i++) {
		ptrs[i] = make(f, 10 + i, 0, 3, 'x');
		assert_int_equal(read_ret(f, &ptrs[i]), 0);
	}
	assert_int_equal(count_cached(f, ptrs, 100), 10);
	owfs_bufcache_shrink(f->bc, true);
	assert_int_equal(count_cached(f, ptrs, 100), 0);
}

static void test_used_buffers_outlive_a_scan(void **state)
{
	struct fixture *f = *state;
	struct owfs_ptr hot[5], ptr;

	open_cache(f, 20 * BS);
	for (size_t i = 0; i < 5; i++) {
		hot[i] = make(f, 10 + i, 0, 3, 'h');
		assert_int_equal(read_ret(f, &hot[i]), 0);
	}
	for (size_t i = 0; i < 500; i++) {
		ptr = make(f, 100 + i, 0, 3, 'c');
		assert_int_equal(read_ret(f, &ptr), 0);
		assert_int_equal(read_ret(f, &hot[i % 5]), 0);
	}
	assert_int_equal(count_cached(f, hot, 5), 5);
	assert_int_equal(emubd_count(f->e, EMUBD_READ), 505);
}

struct settle {
	struct rcu_head head;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool done;
};

static void settled(struct rcu_head *head)
{
	struct settle *s = container_of(head, struct settle, head);

	owfs_rcu_consume(s);
	pthread_mutex_lock(&s->lock);
	s->done = true;
	pthread_cond_signal(&s->cond);
	pthread_mutex_unlock(&s->lock);
}

/* Wait until what call_rcu got before has run (rcu_barrier() upsets TSan). */
static void settle(void)
{
	static struct settle s = {
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.cond = PTHREAD_COND_INITIALIZER,
	};

	s.done = false;
	owfs_rcu_publish(&s);
	call_rcu(&s.head, settled);
	pthread_mutex_lock(&s.lock);
	while (!s.done)
		pthread_cond_wait(&s.cond, &s.lock);
	pthread_mutex_unlock(&s.lock);
}

/* Memory follows what is cached, and a slab of it goes back when it is free. */
static void test_memory_of_the_evicted_is_used_again(void **state)
{
	struct fixture *f = *state;
	struct owfs_buf *bufs[MANY];

	open_cache(f, 4 * BS);
	for (int round = 0; round < 5; round++) {
		make_many(f, bufs, MANY, 10, 0);
		assert_int_equal(f->bc->arena->nslabs, div_round_up(MANY, 64));
		for (size_t i = 0; i < MANY; i++)
			owfs_buf_forget(bufs[i]);
		put_many(bufs, MANY);
		settle();
		assert_int_equal(f->bc->arena->nslabs, 1);
	}
}

static void test_eviction_respects_references(void **state)
{
	struct fixture *f = *state;
	struct owfs_ptr ptrs[40];
	struct owfs_buf *held[20];

	open_cache(f, 4 * BS);
	for (size_t i = 0; i < 40; i++) {
		ptrs[i] = make(f, 10 + i, 0, 3, 'A' + (int)i);
		if (i < 20)
			held[i] = must_read(f, &ptrs[i]);
		else
			assert_int_equal(read_ret(f, &ptrs[i]), 0);
	}
	owfs_bufcache_shrink(f->bc, true);
	assert_int_equal(count_cached(f, ptrs, 20), 20);
	assert_int_equal(count_cached(f, ptrs + 20, 20), 0);
	for (size_t i = 0; i < 20; i++) {
		assert_int_equal(held[i]->b_data[200], 'A' + (int)i);
		owfs_buf_put(held[i]);
	}
	owfs_bufcache_shrink(f->bc, false);
	assert_int_equal(count_cached(f, ptrs, 40), 4);
}

static void test_young_buffers_are_never_evicted(void **state)
{
	struct fixture *f = *state;
	struct owfs_buf *bufs[20];
	struct owfs_ptr ptrs[20];

	open_cache(f, 0);
	make_many(f, bufs, 20, 10, 0);
	for (size_t i = 0; i < 20; i++)
		ptrs[i] = bufs[i]->b_ptr;
	assert_int_equal(owfs_buf_write_many(f->bc, bufs, 20), 0);
	put_many(bufs, 20);
	owfs_bufcache_shrink(f->bc, true);
	assert_int_equal(count_cached(f, ptrs, 20), 20);
	for (size_t i = 0; i < 20; i++) {
		bufs[i] = must_read(f, &ptrs[i]);
		owfs_buf_clean(bufs[i]);
		owfs_buf_put(bufs[i]);
	}
	assert_int_equal(count_cached(f, ptrs, 20), 0);
	for (size_t i = 0; i < 20; i++)
		assert_int_equal(read_ret(f, &ptrs[i]), 0);
}

static void test_reserved_buffers_need_no_memory(void **state)
{
	struct fixture *f = *state;
	struct owfs_ptr ptr = make(f, 7, 0, 3, 'x');
	struct owfs_buf *old = must_read(f, &ptr), *bufs[51], *none;
	owfs_fsblock_t addr[2] = { 10, 0 };

	assert_int_equal(owfs_bufcache_reserve(f->bc, 20), 0);
	assert_int_equal(owfs_bufcache_reserve(f->bc, 31), 0);
	no_memory = true;
	for (int i = 0; i < 51; i++, addr[0]++) {
		bufs[i] = i % 2 ? owfs_buf_clone(old, addr, 5) :
				  owfs_buf_new(f->bc, addr, 5, &ops, 1, 0);
		assert_false(IS_ERR(bufs[i]));
	}
	none = owfs_buf_new(f->bc, addr, 5, &ops, 1, 0);
	assert_int_equal(PTR_ERR(none), -ENOMEM);
	none = owfs_buf_clone(old, addr, 5);
	assert_int_equal(PTR_ERR(none), -ENOMEM);
	assert_int_equal(owfs_bufcache_reserve(f->bc, 1), -ENOMEM);
	assert_int_equal(f->bc->reserved, 0);
	no_memory = false;
	put_many(bufs, 51);
	owfs_buf_put(old);
}

/* More than the pool keeps for itself: one gives back, the other still has. */
static void test_unreserve_leaves_the_reserved_of_others(void **state)
{
	struct fixture *f = *state;
	owfs_fsblock_t addr[2] = { 10, 0 };

	assert_int_equal(owfs_bufcache_reserve(f->bc, 400), 0);
	assert_int_equal(owfs_bufcache_reserve(f->bc, 400), 0);
	owfs_bufcache_unreserve(f->bc, 400);
	assert_true(f->bc->npool < 800);
	no_memory = true;
	for (int i = 0; i < 400; i++, addr[0]++) {
		struct owfs_buf *buf = owfs_buf_new(f->bc, addr, 5, &ops, 1, 0);

		assert_false(IS_ERR(buf));
		owfs_buf_put(buf);
	}
	no_memory = false;
}

/* ------------------------------------------------------------------ threads */

/* A device whose first read waits until the test opens the gate. */
struct gate {
	struct owfs_blkdev bd;
	struct owfs_blkdev *lower;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool inside, open;
	int err;
};

static int gate_read(struct owfs_blkdev *bd, void *buf, size_t len, loff_t pos)
{
	struct gate *g = container_of(bd, struct gate, bd);
	int err;

	pthread_mutex_lock(&g->lock);
	g->inside = true;
	pthread_cond_broadcast(&g->cond);
	while (!g->open)
		pthread_cond_wait(&g->cond, &g->lock);
	err = g->err;
	pthread_mutex_unlock(&g->lock);
	return err ? err : owfs_blkdev_read(g->lower, buf, len, pos);
}

static const struct owfs_blkdev_ops gate_ops = { .read = gate_read };

struct reader {
	struct owfs_bufcache *bc;
	struct owfs_ptr ptr;
	struct owfs_buf *buf;
	int ret;
	pthread_t th;
};

static void *reader_run(void *arg)
{
	struct reader *r = arg;

	r->ret = owfs_buf_read(r->bc, &r->ptr, &ops, NULL, &r->buf);
	return NULL;
}

#define NREADERS	6

/* One reader is inside the device before the others start; then let go. */
static void read_through_gate(struct gate *g, struct reader *r)
{
	assert_int_equal(pthread_create(&r[0].th, NULL, reader_run, &r[0]), 0);
	pthread_mutex_lock(&g->lock);
	while (!g->inside)
		pthread_cond_wait(&g->cond, &g->lock);
	pthread_mutex_unlock(&g->lock);
	for (int i = 1; i < NREADERS; i++)
		assert_int_equal(pthread_create(&r[i].th, NULL, reader_run,
						&r[i]), 0);
	pthread_mutex_lock(&g->lock);
	g->open = true;
	pthread_cond_broadcast(&g->cond);
	pthread_mutex_unlock(&g->lock);
	for (int i = 0; i < NREADERS; i++)
		pthread_join(r[i].th, NULL);
}

static void run_gate(struct fixture *f, int err)
{
	struct gate g = { .bd = *emubd_blkdev(f->e) };
	struct owfs_ptr ptr = make(f, 7, 0, 3, 'x');
	struct reader r[NREADERS];
	struct owfs_bufcache *bc;

	g.bd.ops = &gate_ops;
	g.lower = emubd_blkdev(f->e);
	g.err = err;
	pthread_mutex_init(&g.lock, NULL);
	pthread_cond_init(&g.cond, NULL);
	assert_int_equal(owfs_bufcache_create(&bc, &g.bd, BS, NBLOCKS, SEED,
					      BIG, &f->msg), 0);
	for (int i = 0; i < NREADERS; i++)
		r[i] = (struct reader){ .bc = bc, .ptr = ptr };
	read_through_gate(&g, r);
	for (int i = 0; i < NREADERS; i++) {
		assert_int_equal(r[i].ret, err);
		if (!err) {
			assert_ptr_equal(r[i].buf, r[0].buf);
			owfs_buf_put(r[i].buf);
		}
	}
	g.err = 0;
	assert_int_equal(owfs_buf_read(bc, &ptr, &ops, NULL, &r[0].buf), 0);
	owfs_buf_put(r[0].buf);
	assert_int_equal(emubd_count(f->e, EMUBD_READ), 1);
	owfs_bufcache_destroy(bc);
	pthread_cond_destroy(&g.cond);
	pthread_mutex_destroy(&g.lock);
}

static void test_concurrent_readers_read_once(void **state)
{
	run_gate(*state, 0);
	assert_int_equal(verified, 1);
}

static void test_concurrent_readers_share_a_failure(void **state)
{
	run_gate(*state, -EIO);
}

/* While it is being read the block is given out anew: the reader is alone. */
static void test_block_reborn_under_its_reader(void **state)
{
	struct fixture *f = *state;
	struct owfs_ptr ptr = make(f, 7, 0, 3, 'o');
	struct gate g = { .bd = *emubd_blkdev(f->e) };
	const owfs_fsblock_t addr[2] = { 7, 0 };
	struct owfs_buf *young;
	struct reader r;

	g.bd.ops = &gate_ops;
	g.lower = emubd_blkdev(f->e);
	pthread_mutex_init(&g.lock, NULL);
	pthread_cond_init(&g.cond, NULL);
	r = (struct reader){ .ptr = ptr };
	assert_int_equal(owfs_bufcache_create(&r.bc, &g.bd, BS, NBLOCKS, SEED,
					      BIG, &f->msg), 0);
	pthread_create(&r.th, NULL, reader_run, &r);
	pthread_mutex_lock(&g.lock);
	while (!g.inside)
		pthread_cond_wait(&g.cond, &g.lock);
	young = owfs_buf_new(r.bc, addr, 5, &ops, 1, 0);
	g.open = true;
	pthread_cond_broadcast(&g.cond);
	pthread_mutex_unlock(&g.lock);
	pthread_join(r.th, NULL);

	assert_int_equal(r.ret, 0);
	assert_ptr_not_equal(r.buf, young);
	assert_int_equal(r.buf->b_data[100], 'o');
	owfs_buf_put(r.buf);
	assert_ptr_equal(owfs_buf_peek(r.bc, &young->b_ptr), young);
	owfs_buf_put(young);
	assert_int_equal(r.bc->nclean, 0);	/* the reader's is in no list */
	owfs_buf_put(young);
	owfs_bufcache_destroy(r.bc);
	pthread_cond_destroy(&g.cond);
	pthread_mutex_destroy(&g.lock);
}

#define NSTORM	4
#define NPTRS	64

struct storm {
	struct fixture *f;
	const struct owfs_ptr *ptrs;
	unsigned int id;
	int failed;
	pthread_t th;
};

static int storm_read(struct storm *s, unsigned int *seed)
{
	size_t i = (size_t)rand_r(seed) % NPTRS;
	struct owfs_buf *buf;
	int ret;

	if (rand_r(seed) % 4 == 0) {
		buf = owfs_buf_peek(s->f->bc, &s->ptrs[i]);
		if (!buf)
			return 0;
	} else {
		ret = owfs_buf_read(s->f->bc, &s->ptrs[i], &ops, NULL, &buf);
		if (ret)
			return ret;
	}
	ret = buf->b_data[BS - 1] == (unsigned char)i ? 0 : -EILSEQ;
	owfs_buf_put(buf);
	return ret;
}

/* Blocks of this thread: born, changed, written, read again, born again. */
static int storm_write(struct storm *s, unsigned int *seed, owfs_gen_t gen)
{
	owfs_fsblock_t addr[2] = { 500 + s->id * 50 + (unsigned)rand_r(seed) % 10,
				   0 };
	struct owfs_buf *buf, *again;
	int ret;

	if (owfs_bufcache_reserve(s->f->bc, 2))
		return -ENOMEM;
	buf = owfs_buf_new(s->f->bc, addr, gen, &ops, 1, 0);
	owfs_bufcache_unreserve(s->f->bc, 1);
	if (rand_r(seed) % 4 == 0) {
		owfs_buf_forget(buf);
		owfs_buf_put(buf);
		return 0;
	}
	pthread_rwlock_wrlock(&buf->b_lock);
	buf->b_data[BS - 1] = (unsigned char)gen;
	owfs_buf_seal_csum(buf);
	pthread_rwlock_unlock(&buf->b_lock);
	ret = owfs_buf_write_many(s->f->bc, &buf, 1);
	owfs_buf_clean(buf);
	if (!ret)
		ret = owfs_buf_read(s->f->bc, &buf->b_ptr, &ops, NULL, &again);
	if (!ret)
		owfs_buf_put(again);
	owfs_buf_put(buf);
	return ret;
}

static void *storm_run(void *arg)
{
	struct storm *s = arg;
	unsigned int seed = s->id;

	for (unsigned int i = 1; i < 1500 && !s->failed; i++) {
		if (i % 8 == 0)
			s->failed = storm_write(s, &seed, i);
		else
			s->failed = storm_read(s, &seed);
		if (i % 100 == 0)
			owfs_bufcache_shrink(s->f->bc, i % 300 == 0);
	}
	return NULL;
}

static void test_storm_of_readers_and_writers(void **state)
{
	struct fixture *f = *state;
	struct owfs_ptr ptrs[NPTRS];
	struct storm s[NSTORM];

	open_cache(f, 16 * BS);
	for (size_t i = 0; i < NPTRS; i++)
		ptrs[i] = make(f, 10 + i, 0, 3, (int)i);
	for (unsigned int i = 0; i < NSTORM; i++) {
		s[i] = (struct storm){ .f = f, .ptrs = ptrs, .id = i };
		assert_int_equal(pthread_create(&s[i].th, NULL, storm_run,
						&s[i]), 0);
	}
	for (unsigned int i = 0; i < NSTORM; i++) {
		pthread_join(s[i].th, NULL);
		if (s[i].failed)
			fail_msg("thread seed=%u: err=%d", s[i].id, s[i].failed);
	}
	assert_int_equal(f->messages, 0);
	owfs_bufcache_shrink(f->bc, false);
	assert_true(count_cached(f, ptrs, NPTRS) <= 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		buf_test(test_one_thread_frees_at_once),
		buf_test(test_neighbours_are_written_together),
		buf_test(test_scattered_buffers_are_all_written),
		buf_test(test_failed_write_is_reported),
		buf_test(test_clean_buffers_stay_within_the_limit),
		buf_test(test_used_buffers_outlive_a_scan),
		buf_test(test_memory_of_the_evicted_is_used_again),
		buf_test(test_eviction_respects_references),
		buf_test(test_young_buffers_are_never_evicted),
		buf_test(test_reserved_buffers_need_no_memory),
		buf_test(test_unreserve_leaves_the_reserved_of_others),
		buf_test(test_concurrent_readers_read_once),
		buf_test(test_concurrent_readers_share_a_failure),
		buf_test(test_block_reborn_under_its_reader),
		buf_test(test_storm_of_readers_and_writers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
