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

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_a_store_into_a_block_waits_for_direct_writes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
