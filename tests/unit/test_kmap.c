/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the kernel is told when several of its threads ask at once. */
#include <sched.h>

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

struct store {
	struct owfs_inode *inode;
	struct owfs_kmap km;
	bool nowait;
	int ret;
	bool done;		/* atomic */
};

static void *store(void *arg)
{
	struct store *s = arg;

	s->ret = owfs_kmap_begin(s->inode, OWFS_KMAP_WRITE, 1024, 512,
				 s->nowait, &s->km);
	__atomic_store_n(&s->done, true, __ATOMIC_SEQ_CST);
	return NULL;
}

/* Two writes of sectors, direct, into one block: the second reads the first. */
static void test_a_store_into_a_block_waits_for_direct_writes(void **state)
{
	struct owfs_inode *inode = fx_file(&fx);
	struct store s = { .inode = inode, .nowait = true };
	struct owfs_kmap km;
	pthread_t thread;
	uint64_t size;

	(void)state;
	assert_int_equal(owfs_kmap_begin(inode, OWFS_KMAP_DIRECT, 0, 512, false,
					 &km), 0);
	assert_int_equal(owfs_kmap_begin(inode, OWFS_KMAP_DIRECT, 1024, 512,
					 false, &s.km), -ENOSYS);
	store(&s);
	assert_int_equal(s.ret, -EAGAIN);
	s.nowait = s.done = false;
	assert_int_equal(pthread_create(&thread, NULL, store, &s), 0);
	while (!owfs_staging_waiting()) {
		assert_false(__atomic_load_n(&s.done, __ATOMIC_SEQ_CST));
		sched_yield();
	}
	assert_int_equal(owfs_kmap_ioend(inode, OWFS_KMAP_IOEND_DIRECT, 0, 512,
					 0, &size), 0);
	pthread_join(thread, NULL);
	assert_int_equal(s.ret, 0);
	assert_int_equal(s.km.read.type, OWFS_IOMAP_MAPPED);
	assert_int_equal(s.km.read.fsblock, km.write.fsblock);
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
