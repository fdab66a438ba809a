/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The RAM device must be right, or every test above it proves nothing. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "emubd.h"

#define SIZE	(1u << 20)
#define BLK	4096u

static void put(struct emubd *e, uint64_t pos, size_t len, int c)
{
	unsigned char *buf = malloc(len);

	memset(buf, c, len);
	assert_int_equal(owfs_blkdev_write(emubd_blkdev(e), buf, len,
					   (loff_t)pos), 0);
	free(buf);
}

static int at(struct emubd *e, uint64_t pos)
{
	unsigned char c;

	emubd_peek(e, &c, 1, pos);
	return c;
}

static void flush(struct emubd *e)
{
	assert_int_equal(owfs_blkdev_flush(emubd_blkdev(e)), 0);
}

static void discard(struct emubd *e, uint64_t pos, uint64_t len)
{
	assert_int_equal(owfs_blkdev_discard(emubd_blkdev(e), (loff_t)pos, len),
			 0);
}

/* Random writes at any alignment against a plain array. */
static void test_content_equals_an_array(void **state)
{
	static unsigned char model[SIZE], buf[SIZE];
	struct emubd *e = emubd_create(SIZE), *old = NULL;
	unsigned int seed = 1;

	(void)state;
	memset(model, 0, SIZE);
	for (int i = 0; i < 2000; i++) {
		size_t pos = (size_t)rand_r(&seed) % SIZE;
		size_t len = (size_t)rand_r(&seed) % (3 * BLK);

		len = min_u64(len, SIZE - pos);
		memset(buf, i, len);
		emubd_poke(e, buf, len, pos);
		memcpy(model + pos, buf, len);
		if (i % 100 == 0) {	/* sharing must not show */
			emubd_destroy(old);
			old = emubd_fork(e);
		}
	}
	emubd_peek(e, buf, SIZE, 0);
	assert_memory_equal(buf, model, SIZE);
	emubd_destroy(old);
	emubd_destroy(e);
}

static void test_fork_goes_its_own_way(void **state)
{
	struct emubd *a = emubd_create(SIZE), *b;

	(void)state;
	put(a, 0, 8 * BLK, 'a');
	b = emubd_fork(a);
	assert_true(emubd_equal(a, b));
	put(b, BLK, 512, 'b');
	put(a, 5 * BLK, BLK, 'c');
	assert_int_equal(at(a, BLK), 'a');
	assert_int_equal(at(b, BLK), 'b');
	assert_int_equal(at(b, BLK + 512), 'a');
	assert_int_equal(at(b, 5 * BLK), 'a');
	emubd_destroy(a);
	assert_int_equal(at(b, 7 * BLK), 'a');
	emubd_destroy(b);
}

static void test_64_tib_cost_nothing(void **state)
{
	const uint64_t size = 64ull << 40;
	struct emubd *e = emubd_create(size);

	(void)state;
	put(e, size - BLK, BLK, 'z');
	put(e, size / 2, 512, 'y');
	assert_int_equal(emubd_chunks(e), 2);
	assert_int_equal(at(e, size - 1), 'z');
	assert_int_equal(at(e, size / 2 + 512), 0);
	discard(e, 0, size - BLK);
	assert_int_equal(emubd_chunks(e), 1);
	assert_int_equal(at(e, size / 2), 0);
	assert_int_equal(at(e, size - 1), 'z');
	emubd_destroy(e);
}

static void test_hash_is_of_the_content_alone(void **state)
{
	struct emubd *a = emubd_create(SIZE), *b = emubd_create(SIZE);

	(void)state;
	put(a, 0, BLK, 1);
	put(a, 8 * BLK, BLK, 2);
	put(b, 8 * BLK, BLK, 2);
	assert_false(emubd_equal(a, b));
	put(b, 0, BLK, 3);
	put(b, 0, BLK, 1);
	put(b, 4 * BLK, BLK, 0);	/* zeroes are a hole */
	assert_true(emubd_equal(a, b));
	emubd_flip_bit(b, 17, 3);
	assert_int_equal(at(b, 17), 1 ^ 8);
	assert_false(emubd_equal(a, b));
	emubd_flip_bit(b, 17, 3);
	assert_true(emubd_equal(a, b));

	discard(a, 0, SIZE);
	discard(b, 0, SIZE);
	put(a, 0, BLK, 1);
	put(b, BLK, BLK, 1);		/* the same bytes elsewhere */
	assert_false(emubd_equal(a, b));
	emubd_destroy(a);
	emubd_destroy(b);
}

static void test_nth_operation_fails(void **state)
{
	struct emubd *e = emubd_create(SIZE);
	struct owfs_blkdev *bd = emubd_blkdev(e);
	unsigned char buf[512] = { 1 };

	(void)state;
	emubd_fault(e, EMUBD_WRITE, 3, 1, EIO);
	for (int i = 1; i <= 5; i++)
		assert_int_equal(owfs_blkdev_write(bd, buf, 512, i * 512),
				 i == 3 ? -EIO : 0);
	assert_int_equal(at(e, 2 * 512), 1);
	assert_int_equal(at(e, 3 * 512), 0);
	assert_int_equal(emubd_count(e, EMUBD_WRITE), 5);

	emubd_fault(e, EMUBD_READ, 2, EMUBD_FOREVER, ENXIO);
	for (int i = 1; i <= 5; i++)
		assert_int_equal(owfs_blkdev_read(bd, buf, 512, 0),
				 i >= 2 ? -ENXIO : 0);
	emubd_fault(e, EMUBD_READ, 1, 0, 0);
	assert_int_equal(owfs_blkdev_read(bd, buf, 512, 0), 0);

	emubd_fault(e, EMUBD_FLUSH, 1, 2, EIO);
	assert_int_equal(owfs_blkdev_flush(bd), -EIO);
	assert_int_equal(owfs_blkdev_flush(bd), -EIO);
	assert_int_equal(owfs_blkdev_flush(bd), 0);

	emubd_fault_range(e, EMUBD_READ, 4096, 512, EIO);
	assert_int_equal(owfs_blkdev_read(bd, buf, 512, 4096 - 512), 0);
	assert_int_equal(owfs_blkdev_read(bd, buf, 512, 4096), -EIO);
	assert_int_equal(owfs_blkdev_read(bd, buf, 512, 4096), -EIO);
	assert_int_equal(owfs_blkdev_read(bd, buf, 512, 4096 + 512), 0);
	emubd_destroy(e);
}

static void test_log_tells_what_happened(void **state)
{
	struct emubd *e = emubd_create(SIZE);
	unsigned char a[1024], b[3072 + 4096], got[4096];
	struct iovec iov[2] = { { a, sizeof(a) }, { b, sizeof(b) } };
	const struct emubd_event *ev;

	(void)state;
	memset(a, 'a', sizeof(a));
	memset(b, 'b', sizeof(b));
	put(e, 0, BLK, 'x');		/* before recording */
	emubd_record(e, true);
	assert_int_equal(owfs_blkdev_writev(emubd_blkdev(e), iov, 2,
					    sizeof(a) + sizeof(b), 2560), 0);
	emubd_mark(e, 77);
	flush(e);
	discard(e, 8192, 4096);
	emubd_fault(e, EMUBD_WRITE, 1, 1, EIO);
	assert_int_equal(owfs_blkdev_write(emubd_blkdev(e), a, 512, 0), -EIO);
	emubd_record(e, false);
	put(e, 16 * BLK, BLK, 'y');	/* after */

	assert_int_equal(emubd_log_len(e), 4);
	ev = emubd_log_at(e, 0);
	assert_int_equal(ev->kind, EMUBD_WRITE);
	assert_int_equal(ev->pos, 2560);
	assert_int_equal(ev->len, 8192);
	emubd_event_data(ev, 1000, got, 4096);
	assert_int_equal(got[23], 'a');
	assert_int_equal(got[24], 'b');
	assert_int_equal(got[4095], 'b');
	assert_int_equal(emubd_log_at(e, 1)->kind, EMUBD_MARK);
	assert_int_equal(emubd_log_at(e, 1)->user, 77);
	assert_int_equal(emubd_log_at(e, 2)->kind, EMUBD_FLUSH);
	assert_int_equal(emubd_log_at(e, 3)->kind, EMUBD_DISCARD);
	assert_int_equal(at(e, 2560 + 1023), 'a');
	assert_int_equal(at(e, 2560 + 1024), 'b');
	assert_int_equal(at(e, 8192), 0);
	emubd_destroy(e);
}

/* ---------------------------------------------------------------- crash */

static struct emubd *base, *dev;

/* 'A' everywhere | b0 b1 flush | c0 c2 (torn candidate: 2 blocks) d3 mark */
static int crash_setup(void **state)
{
	(void)state;
	dev = emubd_create(SIZE);
	put(dev, 0, 16 * BLK, 'A');
	base = emubd_fork(dev);
	emubd_record(dev, true);
	put(dev, 0, BLK, 'b');
	put(dev, BLK, BLK, 'b');
	flush(dev);
	put(dev, 0, BLK, 'c');
	put(dev, 2 * BLK, 2 * BLK, 'c');
	put(dev, 3 * BLK, BLK, 'd');
	emubd_mark(dev, 1);
	return 0;
}

static int crash_teardown(void **state)
{
	(void)state;
	emubd_destroy(base);
	emubd_destroy(dev);
	return 0;
}

/* The first byte of the first four blocks. */
static void assert_crash(size_t cut, enum emubd_crash_mode mode, uint64_t seed,
			 const char *expect)
{
	struct emubd *e = emubd_crash(base, dev, cut, mode, seed);
	char got[5] = "";

	for (unsigned int i = 0; i < 4; i++)
		got[i] = (char)at(e, i * BLK);
	assert_string_equal(got, expect);
	emubd_destroy(e);
}

static void test_flushed_is_there_unflushed_may_be(void **state)
{
	const size_t all = emubd_log_len(dev);

	(void)state;
	assert_int_equal(all, 7);
	assert_crash(0, EMUBD_CRASH_NONE, 0, "AAAA");
	assert_crash(2, EMUBD_CRASH_NONE, 0, "AAAA");
	assert_crash(2, EMUBD_CRASH_PREFIX, 0, "bbAA");
	assert_crash(3, EMUBD_CRASH_NONE, 0, "bbAA");
	assert_crash(all, EMUBD_CRASH_NONE, 0, "bbAA");
	assert_crash(4, EMUBD_CRASH_PREFIX, 0, "cbAA");
	assert_crash(all, EMUBD_CRASH_PREFIX, 0, "cbcd");
}

static void test_one_write_is_lost_or_alone(void **state)
{
	const size_t all = emubd_log_len(dev);

	(void)state;
	assert_int_equal(emubd_crash_window(dev, all), 3);
	assert_int_equal(emubd_crash_window(dev, 3), 0);
	assert_int_equal(emubd_crash_window(dev, 2), 2);
	assert_crash(all, EMUBD_CRASH_DROP_ONE, 0, "bbcd");
	assert_crash(all, EMUBD_CRASH_DROP_ONE, 1, "cbAd");
	assert_crash(all, EMUBD_CRASH_DROP_ONE, 2, "cbcc");
	assert_crash(all, EMUBD_CRASH_KEEP_ONE, 0, "cbAA");
	assert_crash(all, EMUBD_CRASH_KEEP_ONE, 1, "bbcc");
	assert_crash(all, EMUBD_CRASH_KEEP_ONE, 2, "bbAd");
}

/* Which of the things a power loss can do did the seeds do? */
static void test_seeds_reorder_drop_and_tear(void **state)
{
	bool torn = false, reordered = false, dropped = false, whole = false;
	const size_t all = emubd_log_len(dev);

	(void)state;
	for (uint64_t seed = 0; seed < 500; seed++) {
		struct emubd *e = emubd_crash(base, dev, all,
					      EMUBD_CRASH_SEEDED, seed);
		struct emubd *again = emubd_crash(base, dev, all,
						  EMUBD_CRASH_SEEDED, seed);
		bool whole2 = true;

		assert_true(emubd_equal(e, again));
		for (uint64_t pos = 0; pos < 4 * BLK; pos += EMUBD_SECTOR) {
			int c = at(e, pos);

			/* sectors are whole, and one of what was written */
			assert_int_equal(c, at(e, pos + EMUBD_SECTOR - 1));
			assert_non_null(strchr(pos < BLK ? "bc" :
					       pos < 2 * BLK ? "b" :
					       pos < 3 * BLK ? "Ac" : "Acd", c));
			whole2 &= pos / BLK != 2 || c == at(e, 2 * BLK);
		}
		torn |= !whole2;
		whole |= at(e, 0) == 'c' && at(e, 2 * BLK) == 'c' &&
			 at(e, 3 * BLK) == 'd';
		dropped |= at(e, 0) == 'b';
		reordered |= at(e, 2 * BLK) == 'c' && at(e, 3 * BLK) == 'c' &&
			     at(e, 0) == 'c';
		assert_int_equal(at(e, 4 * BLK), 'A');
		emubd_destroy(e);
		emubd_destroy(again);
	}
	assert_true(torn);
	assert_true(reordered);
	assert_true(dropped);
	assert_true(whole);
}

static void test_discarded_is_old_zero_or_garbage(void **state)
{
	bool old = false, zero = false, garbage = false, flushed_old = false;
	size_t before;

	(void)state;
	discard(dev, 8 * BLK, BLK);
	before = emubd_log_len(dev);
	flush(dev);
	for (uint64_t seed = 0; seed < 200; seed++) {
		struct emubd *e = emubd_crash(base, dev, before,
					      EMUBD_CRASH_SEEDED, seed);
		int c = at(e, 8 * BLK);

		old |= c == 'A';
		zero |= c == 0;
		garbage |= c != 'A' && c != 0;
		emubd_destroy(e);
		e = emubd_crash(base, dev, before + 1, EMUBD_CRASH_SEEDED, seed);
		flushed_old |= at(e, 8 * BLK) == 'A' &&
			       at(e, 8 * BLK + 1) == 'A';
		assert_int_equal(at(e, 9 * BLK), 'A');
		emubd_destroy(e);
	}
	assert_true(old);
	assert_true(zero);
	assert_true(garbage);
	assert_false(flushed_old);
}

/* --------------------------------------------------------------- threads */

#define NTHREADS	4

/* Each thread owns every fourth block; a fifth one forks and crashes. */
static void *storm(void *arg)
{
	struct emubd *e = dev;
	unsigned int n = *(unsigned int *)arg, seed = n;
	unsigned char buf[BLK], got[BLK];

	for (int i = 0; i < 500; i++) {
		uint64_t blk = (uint64_t)(rand_r(&seed) % 16) * NTHREADS + n;

		memset(buf, i, BLK);
		if (owfs_blkdev_write(emubd_blkdev(e), buf, BLK,
				      (loff_t)(blk * BLK)) ||
		    owfs_blkdev_read(emubd_blkdev(e), got, BLK,
				     (loff_t)(blk * BLK)) ||
		    memcmp(buf, got, BLK))
			return e;
		if (i % 16 == 0)
			owfs_blkdev_flush(emubd_blkdev(e));
	}
	return NULL;
}

static void test_storm_of_threads(void **state)
{
	unsigned int n[NTHREADS];
	pthread_t th[NTHREADS];
	struct emubd *last;
	void *failed;

	(void)state;
	for (unsigned int i = 0; i < NTHREADS; i++) {
		n[i] = i;
		assert_int_equal(pthread_create(&th[i], NULL, storm, &n[i]), 0);
	}
	for (uint64_t i = 0; i < 50; i++)
		emubd_destroy(emubd_crash(base, dev, emubd_log_len(dev),
					  EMUBD_CRASH_SEEDED, i));
	for (unsigned int i = 0; i < NTHREADS; i++) {
		assert_int_equal(pthread_join(th[i], &failed), 0);
		assert_null(failed);
	}
	/* the log is an order that leads to the content */
	last = emubd_crash(base, dev, emubd_log_len(dev), EMUBD_CRASH_PREFIX, 0);
	assert_true(emubd_equal(last, dev));
	emubd_destroy(last);
}

#define crash_test(f) \
	cmocka_unit_test_setup_teardown(f, crash_setup, crash_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_content_equals_an_array),
		cmocka_unit_test(test_fork_goes_its_own_way),
		cmocka_unit_test(test_64_tib_cost_nothing),
		cmocka_unit_test(test_hash_is_of_the_content_alone),
		cmocka_unit_test(test_nth_operation_fails),
		cmocka_unit_test(test_log_tells_what_happened),
		crash_test(test_flushed_is_there_unflushed_may_be),
		crash_test(test_one_write_is_lost_or_alone),
		crash_test(test_seeds_reorder_drop_and_tear),
		crash_test(test_discarded_is_old_zero_or_garbage),
		crash_test(test_storm_of_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
