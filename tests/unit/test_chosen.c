/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Numbers chosen by whoever made the image, who has read this source: they want
 * the same place in every table, and a file of theirs claims all at once.  Time
 * and memory stay as they were.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/util.h"
#include "fsck_image.h"
#include "inotab.h"
#include "object/inode.h"
#include "usedmap.h"

/* 1 by the multiplier that hashes numbers, as far as 64 bits go. */
static uint64_t inverse(uint64_t mul)
{
	uint64_t inv = mul;
	int i;

	for (i = 0; i < 6; i++)		/* Newton: the bits that are right double */
		inv *= 2 - mul * inv;
	return inv;
}

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* ------------------------------------------------------------------ inotab */

/* Runs whose product has the same bits from 24 to 55. */
static uint64_t add_runs(struct inotab *it, uint64_t runs)
{
	uint64_t begin = now_ms(), inv = inverse(0x9e3779b97f4a7c15ull), y, x;
	unsigned int i;

	for (y = 0; runs; y++) {
		x = ((y >> 24 << 56 | (y & 0xffffff)) + (1ull << 40)) * inv;
		if (!x || x > OWFS_INO_MAX / 16)
			continue;
		for (i = 0; i < 16; i++)
			assert_non_null(inotab_get(it, x * 16 + i));
		runs--;
	}
	return now_ms() - begin;
}

static void test_records_of_chosen_inodes(void **state)
{
	struct inotab it = { 0 };
	uint64_t ms;

	(void)state;
	ms = add_runs(&it, 12000);
	print_message("ok: records=%zu milliseconds=%llu\n", it.n,
		      (unsigned long long)ms);
	assert_int_equal(it.n, 12000 * 16);
	assert_true(ms < 8000);
	inotab_free(&it);
}

/* Of a run that nobody chose all is found again, in the order of a hash. */
static void test_records_of_inodes(void **state)
{
	struct inotab it = { 0 };
	owfs_ino_t ino;

	(void)state;
	for (ino = 16; ino < 200000; ino++)
		inotab_get(&it, ino)->nlink = (uint32_t)ino;
	assert_int_equal(it.seed, 0);
	for (ino = 16; ino < 200000; ino++)
		assert_int_equal(inotab_find(&it, ino)->nlink, ino);
	assert_null(inotab_find(&it, 15));
	inotab_free(&it);
}

/* --------------------------------------------------------- inodes in memory */

static uint64_t resident(void)
{
	unsigned long long all, here = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%llu %llu", &all, &here), 2);
	fclose(f);
	return here * (uint64_t)sysconf(_SC_PAGESIZE);
}

#define CHOSEN	24

/* Bits 16 to 55 of the product are the same: one bucket, whatever its size. */
static void choose(owfs_ino_t ino[CHOSEN])
{
	uint64_t inv = inverse(0x9e3779b97f4a7c15ull), y, x;
	int n = 0;

	for (y = 0; n < CHOSEN; y++) {
		x = (y >> 16 << 56 | 0x123456789aull << 16 | (y & 0xffff)) * inv;
		if (x < OWFS_INO_FIRST || x > OWFS_INO_MAX)
			continue;
		ino[n++] = x;
		y |= 0xffff;	/* the next one, of another hash */
	}
}

static void raise_limit(struct owfs_super *sb, void *ctx)
{
	(void)ctx;
	sb->ino_limit = OWFS_INO_MAX;
}

static void look_at_all(struct owfs_fs *fs, const owfs_ino_t ino[CHOSEN])
{
	const struct timespec moment = { .tv_nsec = 20000000 };
	struct owfs_inode *inode[CHOSEN];
	int i;

	for (i = 0; i < CHOSEN; i++) {
		assert_int_equal(owfs_iget(fs, ino[i], &inode[i]), 0);
		nanosleep(&moment, NULL);	/* the table is made larger meanwhile */
	}
	nanosleep(&(struct timespec){ .tv_sec = 2 }, NULL);
	for (i = 0; i < CHOSEN; i++)
		owfs_iput(inode[i]);
}

static void test_inodes_of_chosen_numbers(void **state)
{
	struct image im;
	struct owfs_inode_item item;
	struct owfs_fs_param p = { .threaded = true };
	owfs_ino_t ino[CHOSEN];
	struct owfs_fs *fs;
	uint64_t before;
	int i;

	(void)state;
	choose(ino);
	image_make(&im, 4096, 1);
	edit_begin(&im);
	item = inode_get(&im, im.file);
	for (i = 0; i < CHOSEN; i++)
		inode_put(&im, ino[i], &item);
	edit_end(&im);
	super_edit(&im, raise_limit, NULL);
	p.bd = emubd_blkdev(im.e);
	assert_int_equal(owfs_fs_open(&fs, &p), 0);
	assert_int_equal(owfs_itable_open(fs), 0);
	before = resident();
	look_at_all(fs, ino);
	print_message("ok: inodes=%d grown_KiB=%lld\n", CHOSEN,
		      (long long)(resident() - before) / 1024);
	assert_true(resident() < before + (48u << 20));
	owfs_itable_close(fs);
	owfs_fs_close(fs);
	image_free(&im);
}

/* ------------------------------------------------------------------ usedmap */

static void test_blocks_that_all_extents_claim(void **state)
{
	struct owfs_geo geo;
	struct usedmap um;
	owfs_fsblock_t start, dup;
	uint64_t begin, len;
	int i;

	(void)state;
	assert_int_equal(owfs_geo_init(&geo, 4096, 1u << 20), 0);
	usedmap_init(&um, &geo);
	start = owfs_geo_group_start(&geo, 3) + 7;
	len = owfs_geo_group_len(&geo, 3) - 90;
	begin = now_ms();
	assert_int_equal(usedmap_add(&um, start, len, &dup), 1);
	for (i = 0; i < 50000; i++) {
		assert_int_equal(usedmap_add(&um, start, len, &dup), 0);
		assert_int_equal(dup, start);
	}
	assert_int_equal(um.blocks, len);
	assert_int_equal(usedmap_add(&um, start - 3, 5, &dup), 0);
	assert_int_equal(um.blocks, len + 3);
	print_message("ok: extents=%d milliseconds=%llu\n", i,
		      (unsigned long long)(now_ms() - begin));
	assert_true(now_ms() - begin < 4000);
	usedmap_free(&um);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_records_of_chosen_inodes),
		cmocka_unit_test(test_records_of_inodes),
		cmocka_unit_test(test_inodes_of_chosen_numbers),
		cmocka_unit_test(test_blocks_that_all_extents_claim),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
