/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Freed data rests until old reads have ended (P4, iomap mode). */
#include "alloc_rig.h"

#define BLOCKS	4096u
#define SECS	60u

static struct rig r;
static uint64_t clock_now;

static uint64_t now(void)
{
	return clock_now;
}

static int setup(void **state)
{
	(void)state;
	clock_now = 1000;
	rig_init(&r, 4096, BLOCKS, 384);
	owfs_alloc_rest(r.al, SECS, now);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	assert_int_equal(owfs_alloc_check(r.al), 0);
	rig_fini(&r);
	return 0;
}

/* @n blocks that were freed two commits ago. */
static owfs_fsblock_t freed(uint64_t n, bool data)
{
	owfs_fsblock_t start = rig_use(&r, 0, n);
	int ret;

	rig_commit(&r);
	ret = data ? owfs_alloc_free_data(r.al, start, n) :
		     owfs_alloc_free(r.al, start, n);
	assert_int_equal(ret, 0);
	rig_commit(&r);
	rig_commit(&r);
	return start;
}

static void test_data_rests_for_its_time_and_nodes_do_not(void **state)
{
	struct owfs_alloc_stat st0 = rig_stat(&r), st;

	(void)state;
	freed(10, false);
	st = rig_stat(&r);
	assert_int_equal(st.free, st0.free);
	freed(10, true);
	st = rig_stat(&r);
	assert_int_equal(st.free, st0.free - 10);
	assert_int_equal(st.pinned, 10);
	assert_int_equal(st.staged, 0);
	assert_int_equal(owfs_alloc_check(r.al), 0);
	clock_now += SECS - 1;
	rig_commit(&r);
	assert_int_equal(rig_stat(&r).free, st0.free - 10);
	clock_now += 1;
	rig_commit(&r);
	assert_int_equal(rig_stat(&r).free, st0.free);
}

static void test_resting_blocks_are_handed_out_to_nobody(void **state)
{
	owfs_fsblock_t old = freed(10, true), start;
	uint64_t len, left;

	(void)state;
	for (left = rig_stat(&r).free - r.reserve; left; left -= len) {
		len = rig_stage(&r, old, left, &start);
		assert_false(start < old + 10 && old < start + len);
		owfs_alloc_use(r.al, start, len);
	}
}

static void test_need_wakes_them_at_the_next_commit(void **state)
{
	uint64_t n = 100, left;

	(void)state;
	freed(n, true);
	left = rig_stat(&r).free - r.reserve;
	/* one block more than is awake: try again after a commit */
	assert_int_equal(owfs_alloc_reserve(r.al, left + 1, OWFS_RESV_NORMAL),
			 -EAGAIN);
	rig_commit(&r);
	assert_int_equal(rig_stat(&r).pinned, 0);
	assert_int_equal(owfs_alloc_reserve(r.al, left + n, OWFS_RESV_NORMAL),
			 0);
	owfs_alloc_unreserve(r.al, left + n);
}

static void test_a_crash_forgets_that_they_rested(void **state)
{
	uint64_t before = rig_stat(&r).free;

	(void)state;
	freed(10, true);
	rig_remount(&r);
	rig_commit(&r);
	rig_commit(&r);
	assert_int_equal(rig_stat(&r).free, before);
}

/* A device on which others look at the counts whenever something is discarded. */
static struct {
	struct owfs_blkdev bd;
	struct owfs_blkdev *below;
	unsigned int discards;
	uint64_t most_staged, most_known;
} peep;

static int peep_read(struct owfs_blkdev *bd, void *buf, size_t len, loff_t pos)
{
	(void)bd;
	return owfs_blkdev_read(peep.below, buf, len, pos);
}

static int peep_writev(struct owfs_blkdev *bd, const struct iovec *iov,
		       int iovcnt, size_t len, loff_t pos)
{
	(void)bd;
	return owfs_blkdev_writev(peep.below, iov, iovcnt, len, pos);
}

static int peep_flush(struct owfs_blkdev *bd)
{
	(void)bd;
	return owfs_blkdev_flush(peep.below);
}

static int peep_discard(struct owfs_blkdev *bd, loff_t pos, uint64_t len)
{
	struct owfs_alloc_stat st = rig_stat(&r);

	(void)bd, (void)pos, (void)len;
	peep.discards++;
	peep.most_staged = max_u64(peep.most_staged, st.staged);
	peep.most_known = max_u64(peep.most_known, st.free + st.pinned +
				  st.staged + st.used);
	return 0;
}

static const struct owfs_blkdev_ops peep_ops = {
	.read = peep_read, .writev = peep_writev, .flush = peep_flush,
	.discard = peep_discard,
};

/* They wake one by one, and others look at the counts meanwhile. */
static void test_counts_are_true_while_they_wake(void **state)
{
	owfs_fsblock_t start[3];
	struct owfs_alloc_param p;
	unsigned int i;

	(void)state;
	owfs_alloc_close(r.al);
	memset(&peep, 0, sizeof(peep));
	peep.below = emubd_blkdev(r.emu);
	peep.bd = (struct owfs_blkdev){ .ops = &peep_ops,
					.size = peep.below->size,
					.sector = peep.below->sector };
	r.discard = true;
	p = rig_param(&r);
	p.bd = &peep.bd;
	assert_int_equal(owfs_alloc_open(&r.al, &p), 0);
	owfs_alloc_rest(r.al, SECS, now);

	for (i = 0; i < 3; i++)
		start[i] = rig_use(&r, 1000 + 100 * i, 10);
	rig_commit(&r);
	for (i = 0; i < 3; i++)
		assert_int_equal(owfs_alloc_free_data(r.al, start[i], 10), 0);
	rig_commit(&r);
	rig_commit(&r);
	assert_int_equal(peep.discards, 0);
	clock_now += SECS;
	rig_commit(&r);
	assert_int_equal(peep.discards, 3);
	assert_int_equal(rig_stat(&r).free, rig_ordinary(&r));
	/* nothing is staged but what rests, and no block is there twice */
	assert_true(peep.most_staged <= 10);
	assert_true(peep.most_known <= rig_ordinary(&r));
}

static void test_the_systems_clock_ticks_in_seconds(void **state)
{
	(void)state;
	owfs_alloc_rest(r.al, 3600, NULL);
	freed(10, true);
	rig_commit(&r);
	assert_int_equal(rig_stat(&r).pinned, 10);
	/* nothing rests any more, nor what rested */
	owfs_alloc_rest(r.al, 0, NULL);
	rig_commit(&r);
	assert_int_equal(rig_stat(&r).pinned, 0);
}

/* What was freed is not lost when the allocator goes before it could rest. */
static void test_what_waits_to_rest_is_let_go_at_the_end(void **state)
{
	owfs_fsblock_t start = rig_use(&r, 0, 30);
	uint64_t before = rig_ordinary(&r);

	(void)state;
	rig_commit(&r);
	assert_int_equal(owfs_alloc_free_data(r.al, start, 10), 0);
	rig_commit(&r);
	assert_int_equal(owfs_alloc_free_data(r.al, start + 10, 10), 0);
	rig_commit(&r);
	assert_int_equal(owfs_alloc_free_data(r.al, start + 20, 10), 0);
	rig_commit(&r);
	rig_remount(&r);
	rig_commit(&r);
	rig_commit(&r);
	assert_int_equal(rig_stat(&r).free, before);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_data_rests_for_its_time_and_nodes_do_not),
		T(test_resting_blocks_are_handed_out_to_nobody),
		T(test_need_wakes_them_at_the_next_commit),
		T(test_a_crash_forgets_that_they_rested),
		T(test_counts_are_true_while_they_wake),
		T(test_the_systems_clock_ticks_in_seconds),
		T(test_what_waits_to_rest_is_let_go_at_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
