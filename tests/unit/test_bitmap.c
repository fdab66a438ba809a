/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bitmaps against one byte a bit. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "space/bitmap.h"

#define NBITS	640u

struct pair {
	uint64_t map[NBITS / 64];
	unsigned char bit[NBITS];
};

static void random_range(uint32_t *start, uint32_t *len)
{
	*start = random() % NBITS;
	*len = random() % (NBITS - *start + 1);
	if (random() % 2)
		*len = min_u64(*len, random() % 70);
}

static void mutate(struct pair *p)
{
	uint32_t start, len;
	bool set = random() % 2;

	random_range(&start, &len);
	if (set)
		owfs_bitmap_set(p->map, start, len);
	else
		owfs_bitmap_clear(p->map, start, len);
	memset(p->bit + start, set, len);
}

static uint32_t slow_next(const struct pair *p, uint32_t from, uint32_t end,
			  int bit)
{
	while (from < end && p->bit[from] != bit)
		from++;
	return min_u64(from, end);
}

/* The first run of @want, or the first of the longest. */
static uint32_t slow_find(const struct pair *p, uint32_t from, uint32_t end,
			  uint32_t want, uint32_t *start)
{
	uint32_t best = 0, len, i;

	for (i = from; i < end; i++) {
		for (len = 0; i + len < end && len < want; len++)
			if (p->bit[i + len])
				break;
		if (len > best) {
			best = len;
			*start = i;
		}
		if (best == want)
			break;
	}
	return best;
}

static void compare(const struct pair *p)
{
	uint32_t start, len, end, want, a = 0, b = 0, n = 0, i;

	for (i = 0; i < NBITS; i++) {
		assert_int_equal(owfs_bitmap_test(p->map, i), p->bit[i]);
		n += p->bit[i];
	}
	assert_int_equal(owfs_bitmap_weight(p->map, NBITS / 64), n);

	random_range(&start, &len);
	end = start + len;
	assert_int_equal(owfs_bitmap_next_set(p->map, start, end),
			 slow_next(p, start, end, 1));
	assert_int_equal(owfs_bitmap_next_clear(p->map, start, end),
			 slow_next(p, start, end, 0));
	assert_int_equal(owfs_bitmap_is_set(p->map, start, len),
			 slow_next(p, start, end, 0) == end);
	assert_int_equal(owfs_bitmap_is_clear(p->map, start, len),
			 slow_next(p, start, end, 1) == end);
	want = 1 + random() % (random() % 2 ? 8 : NBITS);
	n = slow_find(p, start, end, want, &a);
	assert_int_equal(owfs_bitmap_find_clear(p->map, start, end, want, &b), n);
	assert_int_equal(a, b);
}

static void test_bitmap_agrees_with_one_byte_a_bit(void **state)
{
	struct pair p;
	unsigned int seed, i;

	(void)state;
	for (seed = 1; seed <= 20; seed++) {
		srandom(seed);
		memset(&p, 0, sizeof(p));
		for (i = 0; i < 500; i++) {
			mutate(&p);
			compare(&p);
		}
	}
}

static void test_bitmap_ranges_may_be_empty_or_all(void **state)
{
	uint64_t map[4] = { 0 };
	uint32_t start = 77;

	(void)state;
	owfs_bitmap_set(map, 64, 0);
	owfs_bitmap_set(map, 255, 0);
	assert_int_equal(owfs_bitmap_weight(map, 4), 0);
	assert_true(owfs_bitmap_is_set(map, 10, 0));
	owfs_bitmap_set(map, 0, 256);
	assert_int_equal(owfs_bitmap_weight(map, 4), 256);
	assert_int_equal(owfs_bitmap_find_clear(map, 0, 256, 5, &start), 0);
	assert_int_equal(start, 77);
	owfs_bitmap_clear(map, 255, 1);
	assert_int_equal(owfs_bitmap_find_clear(map, 0, 256, 5, &start), 1);
	assert_int_equal(start, 255);
}

static void test_bitmap_on_disk_begins_with_the_low_bit(void **state)
{
	uint64_t map[2] = { 0 }, back[2];
	unsigned char disk[16];

	(void)state;
	owfs_bitmap_set(map, 0, 1);
	owfs_bitmap_set(map, 9, 1);
	owfs_bitmap_set(map, 127, 1);
	owfs_bitmap_to_disk((void *)disk, map, 2);
	assert_int_equal(disk[0], 1);
	assert_int_equal(disk[1], 2);
	assert_int_equal(disk[15], 0x80);
	owfs_bitmap_from_disk(back, (void *)disk, 2);
	assert_memory_equal(map, back, sizeof(map));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bitmap_agrees_with_one_byte_a_bit),
		cmocka_unit_test(test_bitmap_ranges_may_be_empty_or_all),
		cmocka_unit_test(test_bitmap_on_disk_begins_with_the_low_bit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
