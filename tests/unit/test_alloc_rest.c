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

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_data_rests_for_its_time_and_nodes_do_not),
		T(test_resting_blocks_are_handed_out_to_nobody),
		T(test_need_wakes_them_at_the_next_commit),
		T(test_a_crash_forgets_that_they_rested),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
