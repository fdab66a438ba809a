/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the kernel is told when several of its threads ask at once. */
#include "file/cut.h"
#include "file/file.h"
#include "file/kmap.h"
#include "file/staging.h"
#include "file/wmap.h"
#include "object_fixture.h"

#define BYTES	(16u << 20)
#define BS	4096u

static struct fx fx;

static int setup(void **state)
{
	(void)state;
	fx = (struct fx){ .seed = 5 };
	fx_start(&fx, BYTES, BS);
	fx.fs->fs_kernel_io = true;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fx_done(&fx);
	return 0;
}

static int store(struct owfs_inode *inode, bool nowait, struct owfs_kmap *km)
{
	return owfs_kmap_begin(inode, OWFS_KMAP_WRITE, 1024, 512, nowait, km);
}

/* Two writes of sectors, direct, into one block: the second reads the first. */
static void test_a_store_into_a_block_waits_for_direct_writes(void **state)
{
	struct owfs_inode *inode = fx_file(&fx);
	struct owfs_kmap km, other;
	uint64_t size;

	(void)state;
	assert_int_equal(owfs_kmap_begin(inode, OWFS_KMAP_DIRECT, 0, 512, false,
					 &km), 0);
	assert_int_equal(owfs_kmap_begin(inode, OWFS_KMAP_DIRECT, 1024, 512,
					 false, &other), -ENOSYS);
	assert_int_equal(store(inode, true, &other), -EAGAIN);
	assert_int_equal(store(inode, false, &other), -EINPROGRESS);
	assert_int_equal(owfs_kmap_ioend(inode, OWFS_KMAP_IOEND_DIRECT, 0, 512,
					 0, &size), 0);
	assert_int_equal(store(inode, false, &other), 0);
	assert_int_equal(other.read.type, OWFS_IOMAP_MAPPED);
	assert_int_equal(other.read.fsblock, km.write.fsblock);
	owfs_wmap_drop(inode, 0, UINT64_MAX);
	fx_check(&fx);
	owfs_iput(inode);
}

/* What another thread does between an answer's look at a block and its deed. */
static void (*between)(void);
static unsigned int deeds;		/* before that one */

int __real_owfs_commit_start_run(struct owfs_fs *fs);
int __wrap_owfs_commit_start_run(struct owfs_fs *fs);

int __wrap_owfs_commit_start_run(struct owfs_fs *fs)
{
	void (*now)(void) = between;

	if (now && !deeds--) {
		between = NULL;
		deeds = 0;
		now();
	}
	return __real_owfs_commit_start_run(fs);
}

/* Both find the block empty, and what one writes would be gone with the other. */
static struct owfs_inode *sectors;
static pthread_t second;

static void *write_second_sector(void *answer)
{
	struct owfs_kmap km;

	*(int *)answer = owfs_kmap_begin(sectors, OWFS_KMAP_DIRECT, 1024, 512,
					 false, &km);
	return NULL;
}

static int second_answer;

/* It is given the time to do it all, or to come as far as it is let. */
static void meanwhile_second(void)
{
	const struct timespec while_ = { .tv_nsec = 50000000 };

	assert_int_equal(pthread_create(&second, NULL, write_second_sector,
					&second_answer), 0);
	nanosleep(&while_, NULL);
}

static void test_two_direct_writes_into_an_empty_block(void **state)
{
	struct owfs_kmap km;
	uint64_t size;

	(void)state;
	sectors = fx_file(&fx);
	between = meanwhile_second;
	assert_int_equal(owfs_kmap_begin(sectors, OWFS_KMAP_DIRECT, 0, 512,
					 false, &km), 0);
	assert_null(between);
	pthread_join(second, NULL);
	assert_int_equal(second_answer, -ENOSYS);
	assert_int_equal(owfs_kmap_ioend(sectors, OWFS_KMAP_IOEND_DIRECT, 0,
					 512, 0, &size), 0);
	fx_check(&fx);
	owfs_iput(sectors);
}

static struct owfs_inode *stored;
static struct owfs_kmap told;

static void write_back(void)
{
	assert_int_equal(owfs_kmap_begin(stored, OWFS_KMAP_WRITEBACK, 0, BS,
					 false, &told), 0);
}

static void cancel(void)
{
	owfs_kmap_end(stored, OWFS_KMAP_WRITE, 0, BS, 0, OWFS_NOBLOCK);
}

/* A block that is stored into in part while it is written back is placed once. */
static void test_a_block_is_paid_for_once(void **state)
{
	struct owfs_alloc_stat st;
	struct owfs_kmap km;
	uint64_t size;

	(void)state;
	stored = fx_file(&fx);
	assert_int_equal(owfs_kmap_begin(stored, OWFS_KMAP_WRITE, 0, BS, false,
					 &km), 0);
	between = write_back;
	assert_int_equal(store(stored, false, &km), 0);
	assert_null(between);
	assert_int_equal(km.write.fsblock, told.write.fsblock);
	assert_int_equal(owfs_kmap_ioend(stored, OWFS_KMAP_IOEND_WRITEBACK, 0,
					 BS, 0, &size), 0);
	owfs_wmap_drop(stored, 0, UINT64_MAX);
	owfs_alloc_stat(fx.fs->fs_al, &st);
	assert_int_equal(st.staged, 0);
	assert_int_equal(st.reserved, 0);
	fx_check(&fx);
	owfs_iput(stored);
}

/* What was set aside goes back when the store comes to nothing, and then only. */
static void test_a_block_is_given_back_once(void **state)
{
	struct owfs_alloc_stat st;
	struct owfs_kmap km;

	(void)state;
	stored = fx_file(&fx);
	assert_int_equal(owfs_kmap_begin(stored, OWFS_KMAP_WRITE, 0, BS, false,
					 &km), 0);
	between = cancel;
	write_back();
	assert_null(between);
	owfs_alloc_stat(fx.fs->fs_al, &st);
	assert_int_equal(st.staged, 1);
	owfs_wmap_drop(stored, 0, UINT64_MAX);
	owfs_alloc_stat(fx.fs->fs_al, &st);
	assert_int_equal(st.staged, 0);
	assert_int_equal(st.reserved, 0);
	fx_check(&fx);
	owfs_iput(stored);
}

static void arrive(void)
{
	uint64_t size;

	assert_int_equal(owfs_kmap_ioend(stored, OWFS_KMAP_IOEND_WRITEBACK, 0,
					 BS, 0, &size), 0);
}

/* What is written back while blocks are allocated there is not lost. */
static void test_writeback_beside_preallocation(void **state)
{
	struct owfs_iomap map;
	struct owfs_kmap km;

	(void)state;
	stored = fx_file(&fx);
	assert_int_equal(owfs_kmap_begin(stored, OWFS_KMAP_WRITE, 0, BS, false,
					 &km), 0);
	write_back();
	between = arrive;
	assert_int_equal(owfs_file_fallocate(stored, 0, 0, 4 * BS), 0);
	assert_null(between);
	assert_int_equal(owfs_iomap_read(stored, 0, 4, &map), 0);
	assert_int_equal(map.type, OWFS_IOMAP_MAPPED);
	assert_int_equal(map.fsblock, told.write.fsblock);
	assert_int_equal(owfs_iomap_read(stored, 1, 3, &map), 0);
	assert_int_equal(map.type, OWFS_IOMAP_UNWRITTEN);
	assert_int_equal(map.len, 3);
	fx_check(&fx);
	owfs_iput(stored);
}

static uint64_t taken;

static void write_back_and_fill_the_device(void)
{
	struct owfs_alloc_stat st;

	write_back();
	owfs_alloc_stat(fx.fs->fs_al, &st);
	taken = st.free - st.reserve - st.reserved;
	assert_int_equal(owfs_alloc_reserve(fx.fs->fs_al, taken,
					    OWFS_RESV_NORMAL), 0);
}

/* ... and not if there are not enough of them, either. */
static void test_writeback_beside_preallocation_that_fails(void **state)
{
	struct owfs_iomap map;
	struct owfs_kmap km;
	uint64_t size;

	(void)state;
	stored = fx_file(&fx);
	assert_int_equal(owfs_kmap_begin(stored, OWFS_KMAP_DIRECT, 2 * BS, BS,
					 false, &km), 0);
	assert_int_equal(owfs_kmap_ioend(stored, OWFS_KMAP_IOEND_DIRECT, 2 * BS,
					 BS, 0, &size), 0);
	assert_int_equal(owfs_kmap_begin(stored, OWFS_KMAP_WRITE, 0, BS, false,
					 &km), 0);
	deeds = 2;	/* alloc, join, alloc */
	between = write_back_and_fill_the_device;
	assert_int_equal(owfs_file_fallocate(stored, 0, 0, 4 * BS), -ENOSPC);
	assert_null(between);
	arrive();
	assert_int_equal(owfs_iomap_read(stored, 0, 1, &map), 0);
	assert_int_equal(map.type, OWFS_IOMAP_MAPPED);
	assert_int_equal(map.fsblock, told.write.fsblock);
	owfs_alloc_unreserve(fx.fs->fs_al, taken);
	fx_check(&fx);
	owfs_iput(stored);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_a_store_into_a_block_waits_for_direct_writes),
		T(test_two_direct_writes_into_an_empty_block),
		T(test_a_block_is_paid_for_once),
		T(test_a_block_is_given_back_once),
		T(test_writeback_beside_preallocation),
		T(test_writeback_beside_preallocation_that_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
