/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Geometry against a count of every block, and at the limits. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "base/util.h"
#include "space/geo.h"

static const uint32_t sizes[] = { 4096, 8192, 16384, 32768, 65536 };

/* What stands in each block, found the long way: 0 ordinary, 1 fixed. */
static unsigned char *paint(const struct owfs_geo *geo)
{
	unsigned char *map = calloc(1, geo->nblocks);
	uint64_t g, span, b;
	unsigned int level, slot;

	assert_non_null(map);
	for (b = 0; b < OWFS_FRONT_BYTES / geo->blocksize; b++)
		map[b]++;
	for (b = 1; b <= OWFS_BACK_BYTES / geo->blocksize; b++)
		map[geo->nblocks - b]++;
	for (g = 0; g < geo->ngroups; g++) {
		for (level = 0, span = 1; level <= geo->levels; level++) {
			for (slot = 0; g % span == 0 && slot < 3; slot++)
				map[owfs_geo_map_slot(geo, level, g, slot)]++;
			span *= geo->fanout;
		}
	}
	return map;
}

static void compare_painted(const struct owfs_geo *geo)
{
	unsigned char *map = paint(geo);
	uint64_t b, g, total = 0, n;

	for (g = 0; g < geo->ngroups; g++) {
		uint64_t start = owfs_geo_group_start(geo, g);
		uint32_t len = owfs_geo_group_len(geo, g), head = 0;

		for (n = 0, b = start; b < start + len; b++) {
			assert_true(map[b] <= 1);	/* nothing overlaps */
			assert_int_equal(owfs_geo_is_fixed(geo, b), map[b]);
			assert_int_equal(owfs_geo_range_ok(geo, b, 1), !map[b]);
			assert_int_equal(owfs_geo_group_of(geo, b), g);
			n += map[b];
		}
		while (map[start + head])
			head++;
		assert_int_equal(owfs_geo_group_fixed(geo, g), n);
		assert_int_equal(owfs_geo_group_head(geo, g), head);
		assert_int_equal(owfs_geo_ordinary(geo, g, 1), len - n);
		assert_true(len - n >= OWFS_GEO_GROUP_MIN);
		total += n;
	}
	assert_int_equal(owfs_geo_fixed_total(geo), total);
	assert_int_equal(owfs_geo_ordinary(geo, 0, UINT64_MAX),
			 geo->nblocks - total);
	free(map);
}

static void test_geo_matches_a_count_of_every_block(void **state)
{
	static const uint64_t tries[] = { 4096, 5000, 32256, 32256 + 99,
		32256 + 98, 3 * 32256, 127 * 32256 + 4000, 126 * 32256 };
	struct owfs_geo geo;
	unsigned int i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(tries); i++) {
		uint64_t n = owfs_geo_fit(4096, tries[i]);

		assert_int_equal(owfs_geo_init(&geo, 4096, n), 0);
		compare_painted(&geo);
	}
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		assert_int_equal(owfs_geo_init(&geo, sizes[i], 700000), 0);
		compare_painted(&geo);
	}
}

static void test_geo_ordinary_adds_up_over_any_cut(void **state)
{
	struct owfs_geo geo;
	uint64_t a, b, g, sum;

	(void)state;
	assert_int_equal(owfs_geo_init(&geo, 4096, 400 * 32256ull + 7000), 0);
	srandom(7);
	for (unsigned int i = 0; i < 2000; i++) {
		a = (uint64_t)random() % geo.ngroups;
		b = (uint64_t)random() % (geo.ngroups + 5);
		for (sum = 0, g = a; g < a + b && g < geo.ngroups; g++)
			sum += owfs_geo_ordinary(&geo, g, 1);
		assert_int_equal(owfs_geo_ordinary(&geo, a, b), sum);
	}
	assert_int_equal(owfs_geo_ordinary(&geo, geo.ngroups, 1), 0);
}

static void test_geo_levels_are_the_fewest(void **state)
{
	struct owfs_geo geo;
	uint64_t span;

	(void)state;
	for (uint64_t n = 4096; n <= OWFS_BLOCKS_MAX; n = n * 3 + 1) {
		for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++) {
			uint64_t fit = owfs_geo_fit(sizes[i], n);

			if (owfs_geo_init(&geo, sizes[i], fit))
				continue;
			span = owfs_geo_entry_span(&geo, geo.levels);
			assert_true(span * geo.fanout >= geo.ngroups);
			assert_true(geo.levels == 1 || span < geo.ngroups);
			assert_int_equal(geo.group_blocks % 64, 0);
		}
	}
}

static void test_geo_fit_gives_the_largest_valid_size(void **state)
{
	struct owfs_geo geo;

	(void)state;
	for (uint64_t n = 3 * 32256 - 200; n < 3 * 32256 + 300; n++) {
		uint64_t fit = owfs_geo_fit(4096, n);

		assert_true(fit <= n && fit > 0);
		assert_int_equal(owfs_geo_fit(4096, fit), fit);
		assert_int_equal(owfs_geo_init(&geo, 4096, fit), 0);
		if (fit != n) {
			assert_int_equal(owfs_geo_init(&geo, 4096, n), -EINVAL);
			assert_int_equal(fit, 3 * 32256);
			/* slots, back area and 64 blocks would not have fitted */
			assert_true(n - fit < 3 + 32 + 64);
		}
	}
	/* the group at which a level begins has three slots more */
	assert_int_equal(owfs_geo_fit(4096, 126 * 32256 + 6 + 32 + 63),
			 126 * 32256);
	assert_int_equal(owfs_geo_fit(4096, 126 * 32256 + 6 + 32 + 64),
			 126 * 32256 + 6 + 32 + 64);
}

static void test_geo_refuses_what_is_none(void **state)
{
	struct owfs_geo geo;

	(void)state;
	assert_int_equal(owfs_geo_init(&geo, 4095, 100000), -EINVAL);
	assert_int_equal(owfs_geo_init(&geo, 2048, 100000), -EINVAL);
	assert_int_equal(owfs_geo_init(&geo, 12288, 100000), -EINVAL);
	assert_int_equal(owfs_geo_init(&geo, 131072, 100000), -EINVAL);
	assert_int_equal(owfs_geo_init(&geo, 0, 100000), -EINVAL);
	assert_int_equal(owfs_geo_init(&geo, 4096, 0), -EINVAL);
	assert_int_equal(owfs_geo_init(&geo, 4096, 4095), -EINVAL);
	assert_int_equal(owfs_geo_init(&geo, 65536, 4095), -EINVAL);
	assert_int_equal(owfs_geo_init(&geo, 4096, OWFS_BLOCKS_MAX + 1), -EINVAL);
	assert_int_equal(owfs_geo_init(&geo, 4096, UINT64_MAX), -EINVAL);
	assert_int_equal(owfs_geo_fit(4096, 4095), 0);
	assert_int_equal(owfs_geo_fit(4096, 4096), 4096);
}

static void check_limits(const struct owfs_geo *geo)
{
	uint64_t bytes = geo->nblocks * geo->blocksize;
	uint64_t last = geo->ngroups - 1;
	owfs_fsblock_t end = owfs_geo_group_start(geo, last) +
			     owfs_geo_group_len(geo, last);

	assert_true(bytes <= INT64_MAX);
	assert_int_equal(end, geo->nblocks);
	assert_true(owfs_geo_fixed_total(geo) < geo->nblocks / 100);
	assert_true(owfs_geo_super_pos(bytes, 3) == (loff_t)(bytes - 65536));
	assert_true(owfs_geo_super_pos(bytes, 2) == (loff_t)(bytes - 131072));
	assert_true(owfs_geo_is_fixed(geo, geo->nblocks));
	assert_true(owfs_geo_is_fixed(geo, UINT64_MAX));
	assert_true(owfs_geo_is_fixed(geo, geo->nblocks - 1));
	assert_false(owfs_geo_range_ok(geo, geo->nblocks - 1, 1));
	assert_false(owfs_geo_range_ok(geo, UINT64_MAX, UINT64_MAX));
	assert_false(owfs_geo_range_ok(geo, 1000, UINT64_MAX));
	assert_true(owfs_geo_bitmap_slot(geo, last, 2) < geo->nblocks);
}

static void test_geo_holds_at_the_largest_devices(void **state)
{
	struct owfs_geo geo;
	unsigned int i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		uint64_t fit = owfs_geo_fit(sizes[i], UINT64_MAX);

		assert_int_equal(owfs_geo_init(&geo, sizes[i], fit), 0);
		check_limits(&geo);
	}
	assert_int_equal(owfs_geo_init(&geo, 4096, 1ull << 34), 0);	/* 64 TiB */
	assert_int_equal(geo.levels, 3);
	assert_int_equal(geo.ngroups, 532611);
	check_limits(&geo);
}

static void test_geo_range_stays_in_its_group(void **state)
{
	struct owfs_geo geo;
	owfs_fsblock_t g1 = 32256;

	(void)state;
	assert_int_equal(owfs_geo_init(&geo, 4096, 3 * 32256), 0);
	assert_true(owfs_geo_range_ok(&geo, g1 + 3, 32256 - 3));
	assert_false(owfs_geo_range_ok(&geo, g1 + 3, 32256 - 2));
	assert_false(owfs_geo_range_ok(&geo, g1 + 2, 1));
	assert_false(owfs_geo_range_ok(&geo, g1 + 3, 0));
	assert_true(owfs_geo_range_ok(&geo, 2 * g1 + 3, 32256 - 3 - 32));
	assert_false(owfs_geo_range_ok(&geo, 2 * g1 + 3, 32256 - 3 - 31));
	assert_false(owfs_geo_range_ok(&geo, 0, 1));
}

static void test_geo_superblocks_stand_in_fixed_blocks(void **state)
{
	struct owfs_geo geo;

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++) {
		assert_int_equal(owfs_geo_init(&geo, sizes[i], 9000), 0);
		for (unsigned int slot = 0; slot < OWFS_SUPER_SLOTS; slot++) {
			loff_t pos = owfs_geo_super_pos(9000ull * sizes[i], slot);

			assert_int_equal(pos % sizes[i], 0);
			assert_true(owfs_geo_is_fixed(&geo, pos / sizes[i]));
		}
	}
}

static void test_geo_reserve_is_a_64th_within_limits(void **state)
{
	struct owfs_geo geo;

	(void)state;
	assert_int_equal(owfs_geo_init(&geo, 4096, 4096), 0);
	assert_int_equal(owfs_geo_reserve_default(&geo), 384);
	assert_int_equal(owfs_geo_init(&geo, 4096, 64 * 10000), 0);
	assert_int_equal(owfs_geo_reserve_default(&geo), 10000);
	assert_int_equal(owfs_geo_init(&geo, 4096, 1ull << 34), 0);
	assert_int_equal(owfs_geo_reserve_default(&geo), 65536);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_geo_matches_a_count_of_every_block),
		cmocka_unit_test(test_geo_ordinary_adds_up_over_any_cut),
		cmocka_unit_test(test_geo_levels_are_the_fewest),
		cmocka_unit_test(test_geo_fit_gives_the_largest_valid_size),
		cmocka_unit_test(test_geo_refuses_what_is_none),
		cmocka_unit_test(test_geo_holds_at_the_largest_devices),
		cmocka_unit_test(test_geo_range_stays_in_its_group),
		cmocka_unit_test(test_geo_superblocks_stand_in_fixed_blocks),
		cmocka_unit_test(test_geo_reserve_is_a_64th_within_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
