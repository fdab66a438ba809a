/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What fails: space, memory, the device, the allocator.  A change that returns
 * an error has changed nothing, and what it took it has given back.  Linked
 * with malloc and its kin wrapped, so that the n-th call can fail.
 */
#include "btree_fixture.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
int __real_posix_memalign(void **p, size_t align, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
int __wrap_posix_memalign(void **p, size_t align, size_t size);

static unsigned int until_failure;	/* calls; 0 none fails */

static bool fails_now(void)
{
	return until_failure && !fixture_inside && --until_failure == 0;
}

void *__wrap_malloc(size_t size)
{
	return fails_now() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails_now() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
	return fails_now() ? NULL : __real_realloc(p, size);
}

int __wrap_posix_memalign(void **p, size_t align, size_t size)
{
	return fails_now() ? ENOMEM : __real_posix_memalign(p, align, size);
}

/* ------------------------------------------------------------ all or nothing */

#define IDS	3000u

/* A committed tree of three levels with room to split and merge everywhere. */
static struct fixture *grown(struct model *m, unsigned int copies)
{
	struct fixture *f = fixture_create(4096, 60000, copies, 64 << 20);
	uint32_t i;

	model_init(m, IDS, 600, OWFS_ITEM_MAX);
	for (i = 0; i < IDS; i += 2)
		assert_int_equal(put_version(f, m, i, 1), 0);
	commit_all(f);
	assert_int_equal(owfs_btree_height(f->bt), 3);
	return f;
}

static void assert_sound(struct fixture *f, const struct model *m)
{
	assert_tree_is(f->bt, m);
	assert_int_equal(count_nodes(f->bt) * f->copies, f->nused);
}

/* Some change that is possible. */
static int random_change(struct fixture *f, struct model *m, struct rng *r,
			 uint32_t version)
{
	uint32_t id = (uint32_t)rng_next(r, IDS);

	if (m->version[id] && rng_next(r, 2))
		version = 0;
	return put_version(f, m, id, version);
}

static void test_no_space_changes_nothing(void **state)
{
	unsigned int i, failed = 0;
	struct fixture *f;
	struct model m;
	struct rng r;

	(void)state;
	f = grown(&m, 1);
	print_message("seed 41\n");
	rng_seed(&r, 41);
	for (i = 0; i < 8000 / SLOWNESS; i++) {
		int ret;

		f->fail_at = f->allocs + 1 + rng_next(&r, 5);
		ret = random_change(f, &m, &r, i + 2);
		f->fail_at = 0;
		if (ret) {
			assert_int_equal(ret, -ENOSPC);
			failed++;
		}
		if (i % 100 == 0)
			assert_sound(f, &m);
		if (rng_next(&r, 10) == 0)
			commit_all(f);
	}
	assert_in_range(failed, i / 10, i);
	assert_sound(f, &m);
	model_free(&m);
	fixture_destroy(f);
}

/* ... and seal and finish need none. */
static void test_no_memory_changes_nothing(void **state)
{
	unsigned int i, failed = 0;
	struct fixture *f;
	struct model m;
	struct rng r;

	(void)state;
	f = grown(&m, 1);
	print_message("seed 42\n");
	rng_seed(&r, 42);
	for (i = 0; i < 8000 / SLOWNESS; i++) {
		int ret;

		until_failure = 1 + (unsigned int)rng_next(&r, 12);
		ret = random_change(f, &m, &r, i + 2);
		until_failure = 0;
		if (ret) {
			assert_int_equal(ret, -ENOMEM);
			failed++;
		}
		if (i % 100 == 0)
			assert_sound(f, &m);
		if (rng_next(&r, 10) == 0) {
			until_failure = 1;
			commit_seal(f);
			commit_finish(f);
			assert_int_equal(until_failure, 1);
			until_failure = 0;
			while (commit_write(f, 50))
				;
			commit_durable(f);
			owfs_bufcache_shrink(f->bc, true);
		}
	}
	assert_in_range(failed, i / 10, i);
	assert_sound(f, &m);
	model_free(&m);
	fixture_destroy(f);
}

static void test_allocators_refusal_changes_nothing(void **state)
{
	unsigned int i, failed = 0;
	struct fixture *f;
	struct model m;
	struct rng r;

	(void)state;
	f = grown(&m, 2);
	print_message("seed 43\n");
	rng_seed(&r, 43);
	for (i = 0; i < 4000 / SLOWNESS; i++) {
		int ret;

		f->free_err = -EIO;
		ret = random_change(f, &m, &r, i + 2);
		f->free_err = 0;
		if (ret) {
			assert_int_equal(ret, -EIO);
			failed++;
		} else if (rng_next(&r, 2)) {
			commit_all(f);
		}
		random_change(f, &m, &r, i + 2);
		if (i % 100 == 0)
			assert_tree_is(f->bt, &m);
	}
	assert_in_range(failed, i / 10, i);
	assert_tree_is(f->bt, &m);
	model_free(&m);
	fixture_destroy(f);
}

/* ------------------------------------------------------------- the device */

static void forget_all(struct fixture *f)
{
	commit_all(f);
	commit_all(f);
	commit_all(f);
	remount(f);
}

static void test_read_errors_are_passed_up_and_pass(void **state)
{
	unsigned char val[OWFS_ITEM_MAX];
	unsigned int i, failed = 0;
	struct fixture *f;
	struct model m;
	struct rng r;

	(void)state;
	f = grown(&m, 1);
	print_message("seed 44\n");
	rng_seed(&r, 44);
	for (i = 0; i < 1000 / SLOWNESS; i++) {
		uint32_t id = (uint32_t)rng_next(&r, IDS);
		struct owfs_key key = model_key(id);
		int ret;

		forget_all(f);
		emubd_fault(f->dev, EMUBD_READ, 1 + rng_next(&r, 4), 1, EIO);
		if (i % 3)
			ret = random_change(f, &m, &r, i + 2);
		else
			ret = owfs_btree_lookup(f->bt, &key, val, sizeof(val));
		emubd_fault(f->dev, EMUBD_READ, 1, 0, 0);
		if (ret == -EIO)
			failed++;
		else
			assert_true(ret >= 0 || ret == -ENOENT);
		assert_item_is(f->bt, &m, id);
	}
	assert_in_range(failed, i / 10, i);
	assert_sound(f, &m);
	model_free(&m);
	fixture_destroy(f);
}

static void test_second_copy_serves_when_the_first_is_bad(void **state)
{
	struct owfs_bufcache *bc;
	struct owfs_btree *bt;
	struct fixture *f;
	struct model m;
	uint64_t blk;

	(void)state;
	f = grown(&m, 2);
	/* the toy allocator gives out pairs: spoil the first of each */
	for (blk = OWFS_FRONT_BYTES / 4096; blk < 59000; blk += 2)
		if (f->used[blk])
			emubd_garbage(f->dev, blk * 4096, 4096, blk);
	bt = reopen(f, &f->root[0], f->level[0], &bc);
	assert_tree_is(bt, &m);
	reopen_close(bt, bc);
	model_free(&m);
	fixture_destroy(f);
}

static int count_bad(void *ctx, const struct owfs_ptr *ptr, unsigned int level,
		     int err)
{
	(void)ptr;
	(void)level;
	assert_int_equal(err, -EIO);
	++*(unsigned int *)ctx;
	return 0;
}

static int enter(void *ctx, const struct owfs_ptr *ptr, unsigned int level,
		 const void *data)
{
	(void)ctx;
	(void)ptr;
	(void)level;
	(void)data;
	return 0;
}

static void test_visit_tells_of_unreadable_nodes(void **state)
{
	unsigned int bad = 0;
	struct owfs_btree_visitor v = { .enter = enter, .bad = count_bad,
					 .ctx = &bad };
	struct fixture *f;
	struct model m;

	(void)state;
	f = grown(&m, 1);
	forget_all(f);
	emubd_fault(f->dev, EMUBD_READ, 5, 3, EIO);
	assert_int_equal(owfs_btree_visit(f->bt, &v), 0);
	assert_int_equal(bad, 3);
	v.bad = NULL;
	owfs_bufcache_shrink(f->bc, true);
	emubd_fault(f->dev, EMUBD_READ, 2, 1, EIO);
	assert_int_equal(owfs_btree_visit(f->bt, &v), -EIO);
	model_free(&m);
	fixture_destroy(f);
}

/* A commit that cannot be written leaves a tree that can be read. */
static void test_failed_commit_is_dropped_cleanly(void **state)
{
	struct owfs_bufcache *bc;
	struct owfs_btree *bt;
	struct model m, durable;
	struct fixture *f;
	uint32_t i;
	int ret;

	(void)state;
	f = grown(&m, 1);
	model_init(&durable, IDS, 600, OWFS_ITEM_MAX);
	model_copy(&durable, &m);
	for (i = 0; i < IDS; i += 7)
		put_version(f, &m, i, 9);
	commit_seal(f);
	commit_finish(f);
	emubd_fault(f->dev, EMUBD_WRITE, 3, EMUBD_FOREVER, EIO);
	do {
		ret = owfs_btree_write(f->bt, &f->sealed, 10);
	} while (ret > 0);
	assert_int_equal(ret, -EIO);
	assert_tree_is(f->bt, &m);
	bt = reopen(f, &f->root[0], f->level[0], &bc);
	assert_tree_is(bt, &durable);
	reopen_close(bt, bc);
	model_free(&m);
	model_free(&durable);
	fixture_destroy(f);
}

/* The same between seal and finish: the filesystem was closed in an emergency. */
static void test_unfinished_commit_is_dropped_cleanly(void **state)
{
	struct fixture *f;
	struct model m;
	uint32_t i;

	(void)state;
	f = grown(&m, 1);
	for (i = 0; i < IDS; i += 7)
		put_version(f, &m, i, 9);
	commit_seal(f);
	for (i = 0; i < IDS; i += 11)
		put_version(f, &m, i, 10);
	assert_tree_is(f->bt, &m);
	model_free(&m);
	fixture_destroy(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_space_changes_nothing),
		cmocka_unit_test(test_no_memory_changes_nothing),
		cmocka_unit_test(test_allocators_refusal_changes_nothing),
		cmocka_unit_test(test_read_errors_are_passed_up_and_pass),
		cmocka_unit_test(test_second_copy_serves_when_the_first_is_bad),
		cmocka_unit_test(test_visit_tells_of_unreadable_nodes),
		cmocka_unit_test(test_failed_commit_is_dropped_cleanly),
		cmocka_unit_test(test_unfinished_commit_is_dropped_cleanly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
