/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A part of a device as a device: moved by the offset, and never beyond. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/window.h"

#define WHOLE	(64u << 10)
#define OFFSET	1536u
#define LIMIT	(16u << 10)

static char path[] = "/tmp/owfs-window.XXXXXX";
static unsigned char was[WHOLE];

static int setup(void **state)
{
	int fd = mkstemp(path);
	size_t i;

	(void)state;
	for (i = 0; i < WHOLE; i++)
		was[i] = (unsigned char)(i * 7 + i / 256);
	return fd < 0 || write(fd, was, WHOLE) != WHOLE || close(fd);
}

static int teardown(void **state)
{
	(void)state;
	return unlink(path);
}

static struct owfs_blkdev *open_window(uint64_t offset, uint64_t limit,
				       int expected)
{
	const struct owfs_window w = { offset, limit };
	char why[OWFS_WINDOW_WHY] = "";
	struct owfs_blkdev *bd = NULL;

	assert_int_equal(owfs_window_open(path, 0, &w, &bd, why), expected);
	if (expected)
		assert_true(why[0]);
	return expected ? NULL : bd;
}

static void test_window_shows_its_part(void **state)
{
	struct owfs_blkdev *bd = open_window(OFFSET, LIMIT, 0);
	unsigned char buf[2048];

	(void)state;
	assert_int_equal(bd->size, LIMIT);
	assert_int_equal(owfs_blkdev_read(bd, buf, sizeof(buf), 512), 0);
	assert_memory_equal(buf, was + OFFSET + 512, sizeof(buf));
	assert_int_equal(owfs_blkdev_read(bd, buf, 512, LIMIT), -EIO);
	assert_int_equal(owfs_blkdev_read(bd, buf, 1024, LIMIT - 512), -EIO);
	assert_ptr_not_equal(owfs_window_under(bd), bd);
	assert_int_equal(owfs_blkdev_fd(bd), -1);
	owfs_blkdev_close(bd);
}

static void test_window_writes_nothing_around_it(void **state)
{
	struct owfs_blkdev *bd = open_window(OFFSET, LIMIT, 0), *all;
	static unsigned char buf[WHOLE], new[LIMIT];

	(void)state;
	memset(new, 0xa5, sizeof(new));
	assert_int_equal(owfs_blkdev_write(bd, new, LIMIT, 0), 0);
	assert_int_equal(owfs_blkdev_write(bd, new, 512, LIMIT), -EIO);
	assert_int_equal(owfs_blkdev_flush(bd), 0);
	assert_int_equal(owfs_blkdev_discard(bd, LIMIT, 512), -EIO);
	owfs_blkdev_close(bd);

	all = open_window(0, 0, 0);
	assert_ptr_equal(owfs_window_under(all), all);
	assert_int_equal(all->size, WHOLE);
	assert_int_equal(owfs_blkdev_read(all, buf, WHOLE, 0), 0);
	assert_memory_equal(buf, was, OFFSET);
	assert_memory_equal(buf + OFFSET, new, LIMIT);
	assert_memory_equal(buf + OFFSET + LIMIT, was + OFFSET + LIMIT,
			    WHOLE - OFFSET - LIMIT);
	owfs_blkdev_close(all);
}

static void test_window_discards_where_it_is(void **state)
{
	struct owfs_blkdev *bd = open_window(OFFSET, LIMIT, 0), *all;
	static unsigned char before[WHOLE], after[WHOLE];
	const size_t from = 4096, len = 8192;
	int ret;

	(void)state;
	all = open_window(0, 0, 0);
	assert_int_equal(owfs_blkdev_read(all, before, WHOLE, 0), 0);
	ret = owfs_blkdev_discard(bd, from, len);
	owfs_blkdev_close(bd);
	if (ret != -EOPNOTSUPP) {	/* else of a filesystem that has no holes */
		assert_int_equal(ret, 0);
		memset(before + OFFSET + from, 0, len);
	}
	assert_int_equal(owfs_blkdev_read(all, after, WHOLE, 0), 0);
	assert_memory_equal(before, after, WHOLE);
	owfs_blkdev_close(all);
}

static void test_window_ends_with_the_device(void **state)
{
	struct owfs_blkdev *bd = open_window(WHOLE - 2048, 0, 0);

	(void)state;
	assert_int_equal(bd->size, 2048);
	owfs_blkdev_close(bd);
	bd = open_window(WHOLE - 2048, 1u << 30, 0);
	assert_int_equal(bd->size, 2048);
	owfs_blkdev_close(bd);
	bd = open_window(0, 1000, 0);
	assert_int_equal(bd->size, 512);
	owfs_blkdev_close(bd);
}

static void test_window_that_shows_nothing_is_refused(void **state)
{
	(void)state;
	open_window(WHOLE, 0, -ENXIO);
	open_window(INT64_MAX - 511, 0, -ENXIO);
	open_window(0, 511, -ENXIO);
	open_window(100, 0, -EINVAL);
}

static void test_options_are_read(void **state)
{
	struct owfs_window w = { 0 };
	char bad[32];

	(void)state;
	assert_int_equal(owfs_window_parse(&w, "offset=1k,sizelimit=3M", bad,
					   sizeof(bad)), 0);
	assert_int_equal(w.offset, 1024);
	assert_int_equal(w.limit, 3 << 20);
	assert_int_equal(owfs_window_parse(&w, "offset=0,", bad, sizeof(bad)), 0);
	assert_int_equal(w.offset, 0);
	assert_int_equal(owfs_window_parse(&w, "offset=1,ro", bad, sizeof(bad)),
			 -EINVAL);
	assert_string_equal(bad, "ro");
	assert_int_equal(owfs_window_parse(&w, "sizelimit=0", bad, sizeof(bad)),
			 -EINVAL);
	assert_int_equal(owfs_window_parse(&w, "offset", bad, sizeof(bad)),
			 -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_window_shows_its_part),
		cmocka_unit_test(test_window_writes_nothing_around_it),
		cmocka_unit_test(test_window_discards_where_it_is),
		cmocka_unit_test(test_window_ends_with_the_device),
		cmocka_unit_test(test_window_that_shows_nothing_is_refused),
		cmocka_unit_test(test_options_are_read),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
