/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Block range locks: who waits for whom. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "object/range.h"

/* A thread that locks, says so, and unlocks when told. */
struct locker {
	struct owfs_range_lock *rl;
	owfs_fileoff_t first, last;
	bool exclusive;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool has, let_go;
};

static void *locker_main(void *arg)
{
	struct locker *l = arg;
	struct owfs_range r;

	owfs_range_lock(l->rl, &r, l->first, l->last, l->exclusive);
	pthread_mutex_lock(&l->lock);
	l->has = true;
	pthread_cond_broadcast(&l->cond);
	while (!l->let_go)
		pthread_cond_wait(&l->cond, &l->lock);
	pthread_mutex_unlock(&l->lock);
	owfs_range_unlock(l->rl, &r);
	return NULL;
}

static unsigned int queue_len(struct owfs_range_lock *rl)
{
	struct owfs_range *r;
	unsigned int n = 0;

	pthread_mutex_lock(&rl->rl_lock);
	for (r = rl->rl_head; r; r = r->next)
		n++;
	pthread_mutex_unlock(&rl->rl_lock);
	return n;
}

/* Start one and wait until it stands in the queue, granted or not. */
static void start(struct locker *l, struct owfs_range_lock *rl,
		  owfs_fileoff_t first, owfs_fileoff_t last, bool exclusive)
{
	unsigned int before = queue_len(rl);

	*l = (struct locker){ .rl = rl, .first = first, .last = last,
			      .exclusive = exclusive };
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->cond, NULL);
	assert_int_equal(pthread_create(&l->thread, NULL, locker_main, l), 0);
	while (queue_len(rl) == before)
		sched_yield();
}

static void wait_has(struct locker *l)
{
	pthread_mutex_lock(&l->lock);
	while (!l->has)
		pthread_cond_wait(&l->cond, &l->lock);
	pthread_mutex_unlock(&l->lock);
}

static bool has(struct locker *l)
{
	bool ret;

	pthread_mutex_lock(&l->lock);
	ret = l->has;
	pthread_mutex_unlock(&l->lock);
	return ret;
}

static void stop(struct locker *l)
{
	pthread_mutex_lock(&l->lock);
	l->let_go = true;
	pthread_cond_broadcast(&l->cond);
	pthread_mutex_unlock(&l->lock);
	pthread_join(l->thread, NULL);
}

static void test_readers_share_and_a_writer_is_alone(void **state)
{
	struct owfs_range_lock rl;
	struct locker r1, r2, w;

	(void)state;
	owfs_range_init(&rl);
	start(&r1, &rl, 0, 10, false);
	wait_has(&r1);
	start(&r2, &rl, 5, 15, false);
	wait_has(&r2);
	start(&w, &rl, 10, 10, true);
	assert_false(has(&w));
	stop(&r1);
	assert_false(has(&w));	/* the second one covers block 10 too */
	stop(&r2);
	wait_has(&w);
	stop(&w);
	owfs_range_destroy(&rl);
}

static void test_ranges_apart_do_not_wait(void **state)
{
	struct owfs_range_lock rl;
	struct locker w1, w2, w3;

	(void)state;
	owfs_range_init(&rl);
	start(&w1, &rl, 0, 4, true);
	start(&w2, &rl, 5, 5, true);
	start(&w3, &rl, 6, UINT64_MAX, true);
	wait_has(&w1);
	wait_has(&w2);
	wait_has(&w3);
	stop(&w2);
	stop(&w1);
	stop(&w3);
	owfs_range_destroy(&rl);
}

static void test_a_stream_of_readers_does_not_pass_a_writer(void **state)
{
	struct owfs_range_lock rl;
	struct locker r1, w, r2, r3;

	(void)state;
	owfs_range_init(&rl);
	start(&r1, &rl, 0, 0, false);
	wait_has(&r1);
	start(&w, &rl, 0, UINT64_MAX, true);
	start(&r2, &rl, 0, 0, false);
	assert_false(has(&w));
	assert_false(has(&r2));	/* the writer was here before */
	stop(&r1);
	wait_has(&w);
	start(&r3, &rl, 7, 8, false);
	assert_false(has(&r2));
	assert_false(has(&r3));
	stop(&w);
	wait_has(&r2);
	wait_has(&r3);
	stop(&r2);
	stop(&r3);
	owfs_range_destroy(&rl);
}

#define STORM_THREADS	4
#define STORM_BLOCKS	16

struct storm {
	struct owfs_range_lock rl;
	unsigned int count[STORM_BLOCKS];	/* protected by the ranges */
	uint64_t added;
};

static void *storm_main(void *arg)
{
	struct storm *s = arg;
	uint64_t x = (uint64_t)(uintptr_t)&x, sum = 0;
	struct owfs_range r;
	int i;

	for (i = 0; i < 3000; i++) {
		owfs_fileoff_t first, last, b;
		bool write;

		x = x * 6364136223846793005ull + 1442695040888963407ull;
		first = (x >> 33) % STORM_BLOCKS;
		last = first + (x >> 40) % (STORM_BLOCKS - first);
		write = (x >> 60) & 1;
		owfs_range_lock(&s->rl, &r, first, last, write);
		for (b = first; b <= last; b++) {
			if (write)
				s->count[b]++;
			sum += s->count[b];
		}
		if (write)
			__atomic_add_fetch(&s->added, last - first + 1,
					   __ATOMIC_RELAXED);
		owfs_range_unlock(&s->rl, &r);
	}
	return (void *)(uintptr_t)(sum & 1);
}

static void test_no_increment_is_lost_in_a_storm(void **state)
{
	pthread_t t[STORM_THREADS];
	static struct storm s;
	uint64_t sum = 0;
	int i;

	(void)state;
	owfs_range_init(&s.rl);
	for (i = 0; i < STORM_THREADS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, storm_main, &s), 0);
	for (i = 0; i < STORM_THREADS; i++)
		pthread_join(t[i], NULL);
	for (i = 0; i < STORM_BLOCKS; i++)
		sum += s.count[i];
	assert_int_equal(sum, s.added);
	owfs_range_destroy(&s.rl);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_readers_share_and_a_writer_is_alone),
		cmocka_unit_test(test_ranges_apart_do_not_wait),
		cmocka_unit_test(test_a_stream_of_readers_does_not_pass_a_writer),
		cmocka_unit_test(test_no_increment_is_lost_in_a_storm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
