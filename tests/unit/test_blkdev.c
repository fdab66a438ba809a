/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Devices: what every one of them refuses, and files as devices.
 * blkdev_file.c is compiled in here, over system calls that can be short,
 * interrupted or refused.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cmocka.h>

static struct {
	size_t most;		/* bytes moved by one call at most; 0: all */
	unsigned int interrupts;	/* calls that end with EINTR */
	int fail;		/* errno of every call */
	unsigned int calls;
	bool refuse_direct;	/* the flag is taken, the I/O is not */
} sys;

static bool sys_fails(int fd)
{
	sys.calls++;
	if (sys.interrupts) {
		sys.interrupts--;
		errno = EINTR;
		return true;
	}
	if (sys.refuse_direct && (fcntl(fd, F_GETFL) & O_DIRECT)) {
		errno = EINVAL;
		return true;
	}
	errno = sys.fail;
	return sys.fail;
}

static ssize_t poor_pread(int fd, void *buf, size_t len, off_t pos)
{
	if (sys_fails(fd))
		return -1;
	return pread(fd, buf, sys.most && len > sys.most ? sys.most : len, pos);
}

static ssize_t poor_pwritev(int fd, const struct iovec *iov, int cnt, off_t pos)
{
	if (sys_fails(fd))
		return -1;
	if (sys.most && iov[0].iov_len >= sys.most)
		return pwrite(fd, iov[0].iov_base, sys.most, pos);
	return pwritev(fd, iov, sys.most ? 1 : cnt, pos);
}

static int poor_fdatasync(int fd)
{
	return sys_fails(fd) ? -1 : fdatasync(fd);
}

static int poor_fallocate(int fd, int mode, off_t pos, off_t len)
{
	return sys_fails(fd) ? -1 : fallocate(fd, mode, pos, len);
}

#define pread poor_pread
#define pwritev poor_pwritev
#define fdatasync poor_fdatasync
#define fallocate poor_fallocate
#include "io/blkdev_file.c"
#undef pread
#undef pwritev
#undef fdatasync
#undef fallocate

#include "emubd.h"

#define SIZE	(4u << 20)

static char path[] = "test_blkdev.XXXXXX";
static unsigned char *mem, *back;	/* SIZE bytes each, aligned */

static int setup(void **state)
{
	int fd;

	(void)state;
	memset(&sys, 0, sizeof(sys));
	strcpy(path + sizeof(path) - 7, "XXXXXX");
	fd = mkstemp(path);
	if (fd < 0 || ftruncate(fd, SIZE) < 0)
		return -1;
	return close(fd);
}

static int teardown(void **state)
{
	(void)state;
	return unlink(path);
}

static struct owfs_blkdev *must_open(unsigned int flags)
{
	struct owfs_blkdev *bd = NULL;

	assert_int_equal(owfs_blkdev_open(path, flags, &bd), 0);
	assert_int_equal(bd->size, SIZE);
	return bd;
}

static void fill_random(unsigned char *p, size_t len, unsigned int seed)
{
	for (size_t i = 0; i < len; i++)
		p[i] = (unsigned char)rand_r(&seed);
}

/* ---------------------------------------------------------- every device */

static void test_requests_outside_are_refused(void **state)
{
	struct emubd *e = emubd_create(SIZE);
	struct owfs_blkdev *bd = emubd_blkdev(e);

	(void)state;
	assert_int_equal(owfs_blkdev_read(bd, mem, 512, SIZE), -EIO);
	assert_int_equal(owfs_blkdev_read(bd, mem, 1024, SIZE - 512), -EIO);
	assert_int_equal(owfs_blkdev_read(bd, mem, 512, INT64_MAX - 511), -EIO);
	assert_int_equal(owfs_blkdev_write(bd, mem, 1024, SIZE - 512), -EIO);
	assert_int_equal(owfs_blkdev_discard(bd, SIZE - 512, 1024), -EIO);
	assert_int_equal(owfs_blkdev_discard(bd, 512, UINT64_MAX - 511), -EIO);
	assert_int_equal(owfs_blkdev_read(bd, mem, 512, -512), -EINVAL);
	assert_int_equal(owfs_blkdev_read(bd, mem, 512, 1), -EINVAL);
	assert_int_equal(owfs_blkdev_write(bd, mem, 511, 0), -EINVAL);
	assert_int_equal(owfs_blkdev_read(bd, mem, 0, SIZE), 0);
	for (int kind = 0; kind < EMUBD_KINDS; kind++)
		assert_int_equal(emubd_count(e, (enum emubd_kind)kind), 0);
	assert_int_equal(owfs_blkdev_read(bd, mem, 512, SIZE - 512), 0);
	owfs_blkdev_close(NULL);
	emubd_destroy(e);
}

static void test_readonly_device_takes_no_writes(void **state)
{
	struct emubd *e = emubd_create(SIZE);
	struct owfs_blkdev *bd = emubd_blkdev(e);

	(void)state;
	bd->readonly = true;
	assert_int_equal(owfs_blkdev_write(bd, mem, 512, 0), -EROFS);
	assert_int_equal(owfs_blkdev_discard(bd, 0, 512), -EROFS);
	assert_int_equal(owfs_blkdev_flush(bd), 0);
	assert_int_equal(emubd_count(e, EMUBD_FLUSH), 0);
	assert_int_equal(owfs_blkdev_fd(bd), -1);
	emubd_destroy(e);
}

/* ------------------------------------------------------------------- open */

static void test_only_files_and_block_devices_open(void **state)
{
	struct owfs_blkdev *bd;
	char fifo[sizeof(path) + 2];

	(void)state;
	assert_int_equal(owfs_blkdev_open("no/such/file", 0, &bd), -ENOENT);
	assert_int_equal(owfs_blkdev_open("/", 0, &bd), -ENOTBLK);
	assert_int_equal(owfs_blkdev_open("/dev/null", 0, &bd), -ENOTBLK);
	snprintf(fifo, sizeof(fifo), "%s.f", path);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_int_equal(owfs_blkdev_open(fifo, 0, &bd), -ENOTBLK);
	unlink(fifo);
}

static void test_fdopen_takes_over_only_on_success(void **state)
{
	struct owfs_blkdev *bd;
	int fd = open("/", O_RDONLY);

	(void)state;
	assert_int_equal(owfs_blkdev_fdopen(fd, 0, &bd), -ENOTBLK);
	assert_int_equal(close(fd), 0);
	assert_int_equal(owfs_blkdev_fdopen(fd, 0, &bd), -EBADF);

	fd = open(path, O_RDONLY);
	assert_int_equal(owfs_blkdev_fdopen(fd, 0, &bd), 0);
	assert_true(bd->readonly);	/* as the descriptor is */
	assert_int_equal(owfs_blkdev_fd(bd), fd);
	assert_int_equal(owfs_blkdev_write(bd, mem, 512, 0), -EROFS);
	owfs_blkdev_close(bd);
	assert_int_equal(close(fd), -1);
}

static void test_exclusive_image_has_one_writer(void **state)
{
	struct owfs_blkdev *bd = must_open(OWFS_BLKDEV_EXCL), *other;
	const unsigned int ro = OWFS_BLKDEV_EXCL | OWFS_BLKDEV_RDONLY;

	(void)state;
	assert_int_equal(owfs_blkdev_open(path, OWFS_BLKDEV_EXCL, &other),
			 -EBUSY);
	assert_int_equal(owfs_blkdev_open(path, ro, &other), -EBUSY);
	owfs_blkdev_close(bd);

	bd = must_open(ro);
	other = must_open(ro);		/* readers do not mind each other */
	owfs_blkdev_close(bd);
	assert_int_equal(owfs_blkdev_open(path, OWFS_BLKDEV_EXCL, &bd), -EBUSY);
	owfs_blkdev_close(other);
	owfs_blkdev_close(must_open(OWFS_BLKDEV_EXCL));
}

static void test_odd_size_ends_with_the_last_sector(void **state)
{
	struct owfs_blkdev *bd;

	(void)state;
	assert_int_equal(truncate(path, 10000), 0);
	assert_int_equal(owfs_blkdev_open(path, OWFS_BLKDEV_DIRECT, &bd), 0);
	assert_int_equal(bd->size, 19 * 512);
	assert_int_equal(owfs_blkdev_write(bd, mem, 512, 18 * 512), 0);
	assert_int_equal(owfs_blkdev_read(bd, back, 19 * 512, 0), 0);
	owfs_blkdev_close(bd);
}

/* -------------------------------------------------------------------- I/O */

/* Write the whole device in pieces of all sorts, read it in others. */
static void round_trip(struct owfs_blkdev *bd, unsigned int seed, bool crooked)
{
	unsigned char *twin = malloc(SIZE + 1);
	struct iovec iov[3];

	fill_random(mem, SIZE, seed);
	memcpy(twin + 1, mem, SIZE);
	for (size_t pos = 0; pos < SIZE; ) {
		unsigned char *src = crooked ? twin + 1 + pos : mem + pos;
		size_t len = ((size_t)rand_r(&seed) % 200 + 1) * 512;
		size_t a, b;

		if (len > SIZE - pos)
			len = SIZE - pos;
		a = (size_t)rand_r(&seed) % (len + 1);
		b = (size_t)rand_r(&seed) % (len - a + 1);
		iov[0] = (struct iovec){ src, a };
		iov[1] = (struct iovec){ src + a, b };
		iov[2] = (struct iovec){ src + a + b, len - a - b };
		assert_int_equal(owfs_blkdev_writev(bd, iov, 3, len,
						    (loff_t)pos), 0);
		pos += len;
	}
	assert_int_equal(owfs_blkdev_flush(bd), 0);
	memset(back, 0, SIZE);
	assert_int_equal(owfs_blkdev_read(bd, back, SIZE, 0), 0);
	assert_memory_equal(mem, back, SIZE);

	memset(twin, 0, SIZE + 1);
	assert_int_equal(owfs_blkdev_read(bd, twin + 1, SIZE - 1024, 512), 0);
	assert_memory_equal(mem + 512, twin + 1, SIZE - 1024);
	free(twin);
}

static void test_what_is_written_is_read(void **state)
{
	struct owfs_blkdev *bd = must_open(0);

	(void)state;
	round_trip(bd, 1, false);
	owfs_blkdev_close(bd);
}

static void test_direct_device_takes_crooked_requests(void **state)
{
	struct owfs_blkdev *bd = must_open(OWFS_BLKDEV_DIRECT);

	(void)state;
	round_trip(bd, 2, false);
	round_trip(bd, 3, true);
	owfs_blkdev_close(bd);
}

/* A sector of 4096 bytes: writes of 512 keep their neighbours. */
static void test_part_of_a_sector_keeps_the_rest(void **state)
{
	struct owfs_blkdev *bd = must_open(OWFS_BLKDEV_DIRECT);

	(void)state;
	if (!file_of(bd)->direct) {
		owfs_blkdev_close(bd);
		skip();
	}
	bd->sector = 4096;
	round_trip(bd, 4, false);
	fill_random(mem + 2 * 4096 + 512, 512, 99);
	assert_int_equal(owfs_blkdev_write(bd, mem + 2 * 4096 + 512, 512,
					   2 * 4096 + 512), 0);
	assert_int_equal(owfs_blkdev_read(bd, back, SIZE, 0), 0);
	assert_memory_equal(mem, back, SIZE);

	sys.fail = EIO;		/* reading the rest, or writing the whole */
	assert_int_equal(owfs_blkdev_write(bd, mem, 512, 0), -EIO);
	assert_int_equal(owfs_blkdev_write(bd, mem + 1, 4096, 0), -EIO);
	owfs_blkdev_close(bd);
}

static void test_file_that_refuses_direct_io_does_without(void **state)
{
	struct owfs_blkdev *bd;

	(void)state;
	sys.refuse_direct = true;
	bd = must_open(OWFS_BLKDEV_DIRECT);
	assert_false(file_of(bd)->direct);
	round_trip(bd, 5, true);
	owfs_blkdev_close(bd);
}

static void test_short_and_interrupted_calls_go_on(void **state)
{
	struct owfs_blkdev *bd = must_open(0);

	(void)state;
	sys.most = 3000;
	sys.interrupts = 100;
	round_trip(bd, 6, false);
	assert_int_equal(sys.interrupts, 0);
	sys.interrupts = 3;
	assert_int_equal(owfs_blkdev_read(bd, back, SIZE, 0), 0);
	assert_memory_equal(mem, back, SIZE);
	owfs_blkdev_close(bd);

	sys.most = 5000;	/* not a multiple of the sector */
	bd = must_open(OWFS_BLKDEV_DIRECT);
	sys.interrupts = 3;
	memset(mem, 'd', SIZE);
	if (!file_of(bd)->direct)
		assert_int_equal(owfs_blkdev_write(bd, mem, 65536, 0), 0);
	assert_int_equal(owfs_blkdev_flush(bd), 0);
	owfs_blkdev_close(bd);
}

static void test_many_pieces_are_written_in_order(void **state)
{
	struct owfs_blkdev *bd = must_open(0);
	struct iovec iov[1500];

	(void)state;
	fill_random(mem, 1500 * 512, 7);
	for (size_t i = 0; i < 1500; i++)
		iov[i] = (struct iovec){ mem + i * 512, 512 };
	assert_int_equal(owfs_blkdev_writev(bd, iov, 1500, 1500 * 512, 512), 0);
	assert_int_equal(owfs_blkdev_read(bd, back, 1500 * 512, 512), 0);
	assert_memory_equal(mem, back, 1500 * 512);
	owfs_blkdev_close(bd);
}

static void test_errors_are_passed_up(void **state)
{
	struct owfs_blkdev *bd = must_open(0);

	(void)state;
	sys.fail = EIO;
	assert_int_equal(owfs_blkdev_read(bd, mem, 512, 0), -EIO);
	assert_int_equal(owfs_blkdev_flush(bd), -EIO);
	sys.fail = ENOSPC;	/* a sparse image on a full disk */
	assert_int_equal(owfs_blkdev_write(bd, mem, 512, 0), -ENOSPC);
	sys.fail = EOPNOTSUPP;
	assert_int_equal(owfs_blkdev_discard(bd, 0, 4096), -EOPNOTSUPP);
	sys.fail = 0;
	assert_int_equal(owfs_blkdev_read(bd, mem, 512, 0), 0);
	owfs_blkdev_close(bd);
}

static void test_file_cut_under_us_is_an_io_error(void **state)
{
	struct owfs_blkdev *bd = must_open(0);

	(void)state;
	assert_int_equal(truncate(path, 4096), 0);
	assert_int_equal(owfs_blkdev_read(bd, mem, 4096, 0), 0);
	assert_int_equal(owfs_blkdev_read(bd, mem, 8192, 0), -EIO);
	owfs_blkdev_close(bd);
}

static void test_discarded_file_range_is_a_hole(void **state)
{
	struct owfs_blkdev *bd = must_open(0);
	int ret;

	(void)state;
	memset(mem, 'x', SIZE);
	assert_int_equal(owfs_blkdev_write(bd, mem, SIZE, 0), 0);
	sys.interrupts = 1;
	ret = owfs_blkdev_discard(bd, 4096, 8192);
	if (ret != -EOPNOTSUPP) {
		assert_int_equal(ret, 0);
		memset(mem + 4096, 0, 8192);
	}
	assert_int_equal(owfs_blkdev_read(bd, back, SIZE, 0), 0);
	assert_memory_equal(mem, back, SIZE);
	owfs_blkdev_close(bd);
}

#define file_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests_outside_are_refused),
		cmocka_unit_test(test_readonly_device_takes_no_writes),
		file_test(test_only_files_and_block_devices_open),
		file_test(test_fdopen_takes_over_only_on_success),
		file_test(test_exclusive_image_has_one_writer),
		file_test(test_odd_size_ends_with_the_last_sector),
		file_test(test_what_is_written_is_read),
		file_test(test_direct_device_takes_crooked_requests),
		file_test(test_part_of_a_sector_keeps_the_rest),
		file_test(test_file_that_refuses_direct_io_does_without),
		file_test(test_short_and_interrupted_calls_go_on),
		file_test(test_many_pieces_are_written_in_order),
		file_test(test_errors_are_passed_up),
		file_test(test_file_cut_under_us_is_an_io_error),
		file_test(test_discarded_file_range_is_a_hole),
	};
	int failed;

	mem = aligned_alloc(OWFS_IO_ALIGN, SIZE);
	back = aligned_alloc(OWFS_IO_ALIGN, SIZE);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	free(mem);
	free(back);
	return failed;
}
