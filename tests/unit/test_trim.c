/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Trim: all free blocks, and never one that somebody has. */
#include <malloc.h>
#include <pthread.h>
#include <sched.h>

#include "alloc_rig.h"

#define GROUP	32256u	/* blocks of a group at 4 KiB */
#define BS	4096u

/*
 * A device that knows who has which block, and counts how often each was
 * discarded.  A discard of a block that somebody has, or gets before it is
 * over, is the error that all this is about.
 */
struct watch {
	struct owfs_blkdev bd;
	struct owfs_blkdev *below;
	uint8_t *owned;			/* atomic; by block */
	uint8_t *discarded;		/* atomic; times */
	unsigned int wrong;		/* atomic */
	unsigned int discards;		/* atomic */
	int err;			/* what discards return */
	uint64_t blocks;		/* all that were discarded */
	bool only_counts;		/* there are too many to note each */
};

static struct rig r;
static struct watch w;

static int watch_read(struct owfs_blkdev *bd, void *buf, size_t len, loff_t pos)
{
	(void)bd;
	return owfs_blkdev_read(w.below, buf, len, pos);
}

static int watch_writev(struct owfs_blkdev *bd, const struct iovec *iov,
			int iovcnt, size_t len, loff_t pos)
{
	(void)bd;
	return owfs_blkdev_writev(w.below, iov, iovcnt, len, pos);
}

static int watch_flush(struct owfs_blkdev *bd)
{
	(void)bd;
	return owfs_blkdev_flush(w.below);
}

static bool any_owned(uint64_t blk, uint64_t n)
{
	for (; n; n--, blk++)
		if (__atomic_load_n(&w.owned[blk], __ATOMIC_ACQUIRE))
			return true;
	return false;
}

static int watch_discard(struct owfs_blkdev *bd, loff_t pos, uint64_t len)
{
	uint64_t blk = (uint64_t)pos / BS, n = len / BS, i;
	unsigned int wrong;

	(void)bd;
	__atomic_add_fetch(&w.discards, 1, __ATOMIC_RELAXED);
	if (w.err)
		return w.err;
	w.blocks += n;
	if (w.only_counts)
		return 0;
	wrong = any_owned(blk, n);
	sched_yield();
	wrong |= any_owned(blk, n);
	__atomic_add_fetch(&w.wrong, wrong, __ATOMIC_RELAXED);
	for (i = 0; i < n; i++)
		__atomic_add_fetch(&w.discarded[blk + i], 1, __ATOMIC_RELAXED);
	return 0;
}

static const struct owfs_blkdev_ops watch_ops = {
	.read = watch_read, .writev = watch_writev, .flush = watch_flush,
	.discard = watch_discard,
};

static void open_watched(void)
{
	struct owfs_alloc_param p = rig_param(&r);

	p.bd = &w.bd;
	assert_int_equal(owfs_alloc_open(&r.al, &p), 0);
}

static void start(uint64_t nblocks)
{
	rig_init(&r, BS, nblocks, 384);
	owfs_alloc_close(r.al);
	memset(&w, 0, sizeof(w));
	w.below = emubd_blkdev(r.emu);
	w.bd = (struct owfs_blkdev){
		.ops = &watch_ops, .size = w.below->size,
		.sector = w.below->sector,
	};
	w.owned = calloc(nblocks, 1);
	w.discarded = calloc(nblocks, 1);
	assert_true(w.owned && w.discarded);
	open_watched();
}

static void finish(void)
{
	assert_int_equal(w.wrong, 0);
	assert_int_equal(owfs_alloc_check(r.al), 0);
	assert_int_equal(rig_stat(&r).staged, 0);
	assert_int_equal(rig_stat(&r).reserved, 0);
	free(w.owned);
	free(w.discarded);
	rig_fini(&r);
}

static uint64_t trim_range(owfs_fsblock_t from, owfs_fsblock_t end,
			   uint64_t minlen)
{
	const struct owfs_trim t = {
		.start = from, .end = end, .minlen = minlen,
	};
	uint64_t trimmed;

	memset(w.discarded, 0, r.geo.nblocks);
	assert_int_equal(owfs_alloc_trim(r.al, &t, &trimmed), 0);
	return trimmed;
}

static uint64_t trim_all(void)
{
	return trim_range(0, UINT64_MAX, 1);
}

/* Blocks of [from, end) that were discarded; none twice. */
static uint64_t count(owfs_fsblock_t from, owfs_fsblock_t end)
{
	uint64_t n = 0;

	for (; from < end; from++) {
		assert_true(w.discarded[from] <= 1);
		n += w.discarded[from];
	}
	return n;
}

static void test_trim_takes_all_that_is_free(void **state)
{
	owfs_fsblock_t a, b, staged;
	uint64_t n;

	(void)state;
	start(3 * GROUP);
	a = rig_use(&r, 1000, 500);
	b = rig_use(&r, GROUP + 5000, 7000);
	assert_int_equal(rig_stage(&r, 2 * GROUP + 50, 20, &staged), 20);
	memset(w.owned + a, 1, 500);
	memset(w.owned + b, 1, 7000);
	memset(w.owned + staged, 1, 20);
	n = trim_all();
	assert_int_equal(n, rig_stat(&r).free);
	assert_int_equal(count(0, 3 * GROUP), n);
	assert_int_equal(trim_all(), n);
	owfs_alloc_unstage(r.al, staged, 20, false);
	finish();
}

/* Neither of the last two commits may need what is discarded. */
static void test_trim_leaves_what_commits_need(void **state)
{
	struct owfs_map_root root;
	owfs_fsblock_t blk;
	uint64_t all;

	(void)state;
	start(2 * GROUP);
	all = rig_ordinary(&r);
	blk = rig_use(&r, 20000, 100);
	rig_commit(&r);
	assert_int_equal(owfs_alloc_free(r.al, blk, 100), 0);
	assert_int_equal(trim_all(), all - 100);
	assert_int_equal(count(blk, blk + 100), 0);
	rig_seal_store(&r, &root);
	assert_int_equal(trim_all(), all - 100);
	rig_durable(&r, &root);
	assert_int_equal(trim_all(), all - 100);
	/* a mount sees it as free in the last commit, used in the one before */
	owfs_alloc_close(r.al);
	r.gen += 10;
	open_watched();
	assert_int_equal(trim_all(), all - 100);
	rig_commit(&r);
	assert_int_equal(trim_all(), all);
	assert_int_equal(count(blk, blk + 100), 100);
	finish();
}

static void test_trim_keeps_to_the_range(void **state)
{
	(void)state;
	start(3 * GROUP);
	assert_int_equal(trim_range(20000, 20001, 1), 1);
	assert_int_equal(w.discarded[20000], 1);
	assert_int_equal(trim_range(GROUP - 10, GROUP + 20, 1), 27);
	assert_int_equal(count(0, 3 * GROUP), 27);	/* three are fixed */
	assert_int_equal(count(0, GROUP - 10), 0);
	assert_int_equal(count(GROUP - 10, GROUP), 10);
	assert_int_equal(count(GROUP + 20, 3 * GROUP), 0);
	assert_int_equal(trim_range(5, 5, 1), 0);
	assert_int_equal(trim_range(3 * GROUP, UINT64_MAX, 1), 0);
	assert_int_equal(trim_range(0, 10, 1), 0);	/* fixed */
	finish();
}

static void test_trim_leaves_short_runs_alone(void **state)
{
	owfs_fsblock_t a, b;
	uint64_t n;

	(void)state;
	start(2 * GROUP);
	/* free: 40000 to 40099, 40110 to 40159, and the rest */
	a = rig_use(&r, 39000, 1000);
	b = rig_use(&r, 40100, 10);
	assert_int_equal(a, 39000);
	assert_int_equal(b, 40100);
	assert_int_equal(rig_use(&r, 40160, 10), 40160);
	n = trim_range(39500, 41000, 60);
	assert_int_equal(n, 100 + 830);
	assert_int_equal(count(40000, 40100), 100);
	assert_int_equal(count(40100, 40170), 0);
	/* a run cut by the range counts as what is left of it */
	assert_int_equal(trim_range(40050, 40100, 60), 0);
	assert_int_equal(trim_range(0, UINT64_MAX, GROUP), 0);
	finish();
}

/* However little is free beyond the reserve; of the reserve itself nothing. */
static void test_trim_on_a_full_device(void **state)
{
	struct owfs_alloc_stat st;
	owfs_fsblock_t blk;

	(void)state;
	start(GROUP);
	blk = rig_use(&r, 20000, 3);
	rig_fill(&r);
	assert_int_equal(trim_all(), 0);
	assert_int_equal(owfs_alloc_free(r.al, blk, 3), 0);
	rig_commit(&r);
	rig_commit(&r);
	st = rig_stat(&r);
	assert_int_equal(st.free, 384 + 3);
	assert_int_equal(trim_all(), 384 + 3);
	finish();
}

static void test_trim_says_why_it_stopped(void **state)
{
	const struct owfs_trim t = { .end = UINT64_MAX, .minlen = 1 };
	uint64_t trimmed;

	(void)state;
	start(GROUP);
	w.err = -EOPNOTSUPP;
	assert_int_equal(owfs_alloc_trim(r.al, &t, &trimmed), -EOPNOTSUPP);
	assert_int_equal(trimmed, 0);
	assert_int_equal(w.discards, 1);
	w.err = -EIO;
	assert_int_equal(owfs_alloc_trim(r.al, &t, &trimmed), -EIO);
	finish();
}

static bool stop_at_third(void *ctx)
{
	return ++*(int *)ctx == 3;
}

static void test_trim_can_be_stopped(void **state)
{
	int asked = 0;
	const struct owfs_trim t = {
		.end = UINT64_MAX, .minlen = 1, .stop = stop_at_third,
		.ctx = &asked,
	};
	uint64_t trimmed;

	(void)state;
	start(5 * GROUP);
	assert_int_equal(owfs_alloc_trim(r.al, &t, &trimmed), -EINTR);
	assert_true(w.discards > 0 && w.discards < 5);
	assert_int_equal(trimmed, w.blocks);
	finish();
}

/* Looking at every group of a large device must not keep them all. */
static void test_trim_of_a_large_device_keeps_memory(void **state)
{
	const struct owfs_trim t = { .end = UINT64_MAX, .minlen = 1 };
	const uint64_t groups = 20000;	/* 480 MiB of bits */
	struct owfs_alloc_param p;
	struct owfs_alloc *al;
	uint64_t trimmed;

	(void)state;
	start(GROUP);
	p = rig_param(&r);
	assert_int_equal(owfs_geo_init(&p.geo, BS, groups * GROUP), 0);
	w.only_counts = true;
	w.bd.size = p.geo.nblocks * BS;
	p.bd = &w.bd;
	assert_int_equal(owfs_alloc_open(&al, &p), 0);
	assert_int_equal(owfs_alloc_trim(al, &t, &trimmed), 0);
	assert_int_equal(trimmed,
			 p.geo.nblocks - owfs_geo_fixed_total(&p.geo));
	assert_int_equal(trimmed, w.blocks);
	assert_true(mallinfo2().uordblks < 200u << 20);
	assert_int_equal(owfs_alloc_check(al), 0);
	owfs_alloc_close(al);
	finish();
}

/* ------------------------------------------------------------------- threads */

#define THREADS	3
#define ROUNDS	3000

static void own(owfs_fsblock_t blk, uint64_t len, uint8_t yes)
{
	for (; len; len--, blk++)
		__atomic_store_n(&w.owned[blk], yes, __ATOMIC_RELEASE);
}

/* Get blocks, have them for a moment, give them back; now and then use them. */
static void *get_and_give(void *arg)
{
	unsigned int seed = (unsigned int)(uintptr_t)arg, i;
	owfs_fsblock_t blk;
	uint64_t want, len;

	for (i = 0; i < ROUNDS; i++) {
		seed = seed * 1103515245 + 12345;
		want = 1 + (seed >> 16) % 300;
		if (owfs_alloc_reserve(r.al, want, OWFS_RESV_NORMAL))
			continue;
		assert_int_equal(owfs_alloc_data(r.al, 1 + seed % (2 * GROUP),
						 want, &blk, &len), 0);
		own(blk, len, 1);
		owfs_alloc_unreserve(r.al, want - len);
		sched_yield();
		own(blk, len, 0);
		owfs_alloc_unstage(r.al, blk, len, false);
	}
	return NULL;
}

static void test_trim_never_takes_what_somebody_has(void **state)
{
	pthread_t thread[THREADS];
	uintptr_t i;
	uint64_t n = 0;

	(void)state;
	start(2 * GROUP);
	for (i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, get_and_give,
						(void *)(i + 1)), 0);
	for (i = 0; i < 12; i++)
		n += trim_all();
	for (i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	assert_true(n > 12 * GROUP);
	assert_int_equal(trim_all(), rig_ordinary(&r));
	finish();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_trim_takes_all_that_is_free),
		cmocka_unit_test(test_trim_leaves_what_commits_need),
		cmocka_unit_test(test_trim_keeps_to_the_range),
		cmocka_unit_test(test_trim_leaves_short_runs_alone),
		cmocka_unit_test(test_trim_on_a_full_device),
		cmocka_unit_test(test_trim_says_why_it_stopped),
		cmocka_unit_test(test_trim_can_be_stopped),
		cmocka_unit_test(test_trim_of_a_large_device_keeps_memory),
		cmocka_unit_test(test_trim_never_takes_what_somebody_has),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
