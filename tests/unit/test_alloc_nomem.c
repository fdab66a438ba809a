/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory running out: at every single allocation of a scenario once, and none
 * at all in the places that promise to take none.  Linked so that calloc,
 * malloc and the like come through here.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "fault.h"
#include "quietdev.h"
#include "space/alloc.h"

#define GROUP	32256u
#define BLOCKS	(3ull * GROUP)

/* ------------------------------------------------------------------ scenario */

static struct quietdev dev;
static struct owfs_map_root cur, prev;
static owfs_fsblock_t born;	/* a used block of the newest commit */

static int open_alloc(struct owfs_alloc **alp)
{
	struct owfs_alloc_param p = {
		.bd = &dev.bd, .seed = 1, .reserve = 384, .cur = cur,
		.prev = prev, .discard = true };

	assert_int_equal(owfs_geo_init(&p.geo, 4096, BLOCKS), 0);
	return owfs_alloc_open(alp, &p);
}

static void commit(struct owfs_alloc *al)
{
	struct owfs_map_root root;
	int ret;

	owfs_alloc_seal(al);
	do {
		ret = owfs_alloc_store(al, cur.gen + 1, 1, &root);
		assert_true(ret >= 0);
	} while (ret);
	prev = cur;
	cur = root;
	owfs_alloc_durable(al);
}

static int use_run(struct owfs_alloc *al, owfs_fsblock_t goal,
		   owfs_fsblock_t *start)
{
	uint64_t len;
	int ret;

	ret = owfs_alloc_reserve(al, 10, OWFS_RESV_NORMAL);
	if (ret)
		return ret;
	ret = owfs_alloc_data(al, goal, 10, start, &len);
	if (ret) {
		owfs_alloc_unreserve(al, 10);
		return ret;
	}
	assert_int_equal(len, 10);
	owfs_alloc_use(al, *start, 10);
	return 0;
}

/* What an operation does, steps that failed undone. */
static int scenario(struct owfs_alloc *al)
{
	owfs_fsblock_t addr[2], a, b;
	int ret;

	ret = owfs_alloc_reserve(al, 2, OWFS_RESV_FREEING);
	if (ret)
		return ret;
	assert_int_equal(owfs_alloc_node(al, 2, addr), 0);
	assert_int_equal(owfs_alloc_free_unborn(al, addr), 0);
	ret = owfs_alloc_load(al, born, 10);
	if (ret)
		return ret;
	ret = use_run(al, GROUP + 500, &a);
	if (ret)
		return ret;
	ret = use_run(al, 2 * GROUP + 500, &b);
	if (!ret)
		assert_int_equal(owfs_alloc_free(al, b, 10), 0);
	assert_int_equal(owfs_alloc_free(al, a, 10), 0);
	return ret;
}

static void make_image(void)
{
	struct owfs_alloc *al;
	owfs_fsblock_t blk;

	memset(&cur, 0, sizeof(cur));
	memset(&prev, 0, sizeof(prev));
	assert_int_equal(open_alloc(&al), 0);
	assert_int_equal(use_run(al, 1000, &born), 0);
	assert_int_equal(use_run(al, GROUP + 1000, &blk), 0);
	commit(al);
	assert_int_equal(owfs_alloc_free(al, blk, 5), 0);
	commit(al);
	owfs_alloc_close(al);
}

static void test_alloc_survives_every_failing_allocation(void **state)
{
	struct owfs_alloc_stat before, after;
	struct owfs_alloc *al;
	unsigned long n;
	int ret = -ENOMEM;

	(void)state;
	make_image();
	for (n = 1; ret; n++) {
		fault_malloc(n, 1);
		ret = open_alloc(&al);
		if (ret) {
			assert_int_equal(ret, -ENOMEM);
			continue;
		}
		owfs_alloc_stat(al, &before);
		ret = scenario(al);
		if (ret)
			assert_int_equal(ret, -ENOMEM);
		fault_malloc(0, 0);
		owfs_alloc_stat(al, &after);
		assert_int_equal(after.reserved, before.reserved);
		assert_int_equal(owfs_alloc_check(al), 0);
		assert_int_equal(scenario(al), 0);	/* it was not for good */
		assert_int_equal(owfs_alloc_check(al), 0);
		owfs_alloc_close(al);
	}
	assert_true(n > 10);
}

static void test_alloc_takes_no_memory_inside_transactions_and_commits(void **state)
{
	owfs_fsblock_t addr[2], a, b;
	struct owfs_alloc *al;
	unsigned int i;

	(void)state;
	make_image();
	assert_int_equal(open_alloc(&al), 0);
	assert_int_equal(owfs_alloc_load(al, 0, BLOCKS), 0);
	fault_malloc(1, UINT64_MAX);
	for (i = 0; i < 5; i++) {
		assert_int_equal(use_run(al, GROUP + 500, &a), 0);
		assert_int_equal(use_run(al, 2 * GROUP + 500, &b), 0);
		assert_int_equal(owfs_alloc_free(al, a, 10), 0);
		assert_int_equal(owfs_alloc_reserve(al, 2, OWFS_RESV_NORMAL), 0);
		assert_int_equal(owfs_alloc_node(al, 2, addr), 0);
		commit(al);
	}
	assert_false(fault_malloc_hit());
	fault_malloc(0, 0);
	owfs_alloc_close(al);
}

int main(void)
{
	struct emubd *ram = emubd_create(BLOCKS * 4096);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_alloc_survives_every_failing_allocation),
		cmocka_unit_test(test_alloc_takes_no_memory_inside_transactions_and_commits),
	};

	int ret;

	quietdev_init(&dev, ram);
	ret = cmocka_run_group_tests(tests, NULL, NULL);
	emubd_destroy(ram);
	return ret;
}
