/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Waiting for room on a full device: what comes back is waited for, what does
 * not is refused, and who waits is not overtaken.
 */
#include <pthread.h>
#include <time.h>

#include "base/util.h"
#include "trans/commit.h"
#include "trans_fixture.h"

#define WANT	60u	/* blocks that are not there yet */

/* Reserve all, so that whoever comes is refused; *@n: how much that was. */
static void take_all(struct owfs_fs *fs, uint64_t *n)
{
	struct owfs_alloc_stat st;

	owfs_alloc_stat(fs->fs_al, &st);
	*n = st.free - st.reserved - st.reserve;
	assert_int_equal(owfs_alloc_reserve(fs->fs_al, *n, OWFS_RESV_NORMAL), 0);
}

static int inner(struct owfs_fs *fs)
{
	int ret;

	OWFS_RETRY(fs, ret, put(fs, 5, 50));
	return ret == -ENOSPC ? -EAGAIN : ret;
}

/* Who has the turn does not wait for it, nor give it away from inside. */
static void test_an_operation_in_an_operation_has_its_turn(void **state)
{
	struct emubd *e = format(1);
	struct owfs_fs *fs = open_fs(e, false);
	uint64_t n;
	int ret;

	(void)state;
	assert_int_equal(put(fs, 1, 10), 0);
	take_all(fs, &n);
	OWFS_RETRY(fs, ret, inner(fs));
	assert_int_equal(ret, -ENOSPC);
	assert_null(fs->fs_turn);
	owfs_alloc_unreserve(fs->fs_al, n);
	OWFS_RETRY(fs, ret, inner(fs));
	assert_int_equal(ret, 0);
	assert_int_equal(get(fs, 5), 50);
	owfs_fs_close(fs);
	emubd_destroy(e);
}

/* ------------------------------------------------- what others give back */

struct wait {
	struct owfs_fs *fs;
	uint64_t held;		/* reserved by somebody else */
	unsigned int tries, give_at;
	owfs_fsblock_t at;	/* used blocks that are freed one by one ... */
	unsigned int left;	/* ... so often */
};

/* Somebody frees a sixth of what is wanted; it comes back two commits later. */
static void free_some(struct wait *w)
{
	struct owfs_trans tr;

	assert_int_equal(owfs_trans_begin(w->fs, &tr, 1, 1, OWFS_RESV_FREEING),
			 0);
	assert_int_equal(owfs_alloc_free(w->fs->fs_al, w->at, WANT / 6), 0);
	assert_int_equal(owfs_trans_end(&tr), 0);
	w->at += WANT / 6;
	w->left--;
}

static int try_once(struct wait *w)
{
	if (++w->tries == w->give_at) {
		owfs_alloc_unreserve(w->fs->fs_al, w->held);
		w->held = 0;
	}
	if (w->left)
		free_some(w);
	return owfs_room_take(w->fs, WANT, OWFS_RESV_NORMAL);
}

static int wait_for_room(struct wait *w)
{
	int ret;

	OWFS_RETRY(w->fs, ret, try_once(w));
	assert_null(w->fs->fs_turn);
	return ret;
}

static void test_what_others_hold_is_waited_for(void **state)
{
	struct emubd *e = format(1);
	struct wait w = { .fs = open_fs(e, false), .give_at = 12 };

	(void)state;
	assert_int_equal(put(w.fs, 1, 10), 0);
	take_all(w.fs, &w.held);
	assert_int_equal(wait_for_room(&w), 0);
	assert_int_equal(w.tries, w.give_at);
	owfs_alloc_unreserve(w.fs->fs_al, WANT);
	owfs_fs_close(w.fs);
	emubd_destroy(e);
}

/* A kernel may keep what it has reserved for as long as it likes. */
static void test_what_is_held_for_good_is_not(void **state)
{
	struct emubd *e = format(1);
	struct wait w = { .fs = open_fs(e, false) };
	struct timespec from, to;

	(void)state;
	w.fs->fs_kernel_io = true;
	assert_int_equal(put(w.fs, 1, 10), 0);
	take_all(w.fs, &w.held);
	clock_gettime(CLOCK_MONOTONIC, &from);
	assert_int_equal(wait_for_room(&w), -ENOSPC);
	clock_gettime(CLOCK_MONOTONIC, &to);
	assert_true((to.tv_sec - from.tv_sec) * 1000 +
		    (to.tv_nsec - from.tv_nsec) / 1000000 >= 100);
	owfs_alloc_unreserve(w.fs->fs_al, w.held);
	owfs_fs_close(w.fs);
	emubd_destroy(e);
}

/* ------------------------------------------------------ what is being freed */

/* Use all there is; the first WANT blocks of it in one run at w->at. */
static void fill(struct wait *w)
{
	struct owfs_alloc *al = w->fs->fs_al;
	struct owfs_trans tr;
	owfs_fsblock_t start;
	uint64_t n, len;

	assert_int_equal(put(w->fs, 1, 10), 0);
	take_all(w->fs, &n);
	assert_int_equal(owfs_trans_begin(w->fs, &tr, 1, 1, OWFS_RESV_FREEING),
			 0);
	assert_int_equal(owfs_alloc_data(al, 0, WANT, &w->at, &len), 0);
	assert_int_equal(len, WANT);
	owfs_alloc_use(al, w->at, len);
	for (n -= len; n; n -= len) {
		assert_int_equal(owfs_alloc_data(al, 0, n, &start, &len), 0);
		owfs_alloc_use(al, start, len);
	}
	assert_int_equal(owfs_trans_end(&tr), 0);
	assert_int_equal(owfs_commit_force(w->fs), 0);
	assert_int_equal(owfs_commit_force(w->fs), 0);
}

static void test_frees_under_way_are_waited_for(void **state)
{
	struct emubd *e = format(1);
	struct wait w = { .fs = open_fs(e, false) };

	(void)state;
	fill(&w);
	w.left = 6;
	assert_int_equal(wait_for_room(&w), 0);
	assert_int_equal(w.left, 0);
	owfs_alloc_unreserve(w.fs->fs_al, WANT);
	owfs_fs_close(w.fs);
	emubd_destroy(e);
}

static void test_nothing_to_come_is_refused_at_once(void **state)
{
	struct emubd *e = format(1);
	struct wait w = { .fs = open_fs(e, false) };

	(void)state;
	fill(&w);
	assert_int_equal(wait_for_room(&w), -ENOSPC);
	assert_true(w.tries < 12);
	/* and is no reason to be read-only */
	w.left = 6;
	assert_int_equal(wait_for_room(&w), 0);
	owfs_alloc_unreserve(w.fs->fs_al, WANT);
	owfs_fs_close(w.fs);
	emubd_destroy(e);
}

/* -------------------------------------------------------------------- turns */

struct other {
	struct owfs_fs *fs;
	int normal, freeing;
};

static void *take_as_another(void *arg)
{
	struct other *o = arg;

	o->normal = owfs_room_take(o->fs, 1, OWFS_RESV_NORMAL);
	o->freeing = owfs_room_take(o->fs, 1, OWFS_RESV_FREEING);
	return NULL;
}

/* What another thread is told; all it got goes back. */
static struct other ask_as_another(struct owfs_fs *fs)
{
	struct other o = { .fs = fs };
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, take_as_another, &o), 0);
	pthread_join(thread, NULL);
	owfs_alloc_unreserve(fs->fs_al, !o.normal + !o.freeing);
	return o;
}

/* There is room for all, and still it is there for one until he has done. */
static void test_who_waits_is_not_overtaken_but_by_who_frees(void **state)
{
	struct emubd *e = format(1);
	struct owfs_fs *fs = open_fs(e, false);
	struct owfs_retry r = { 0 };
	int ret = -EAGAIN, i;
	struct other o;

	(void)state;
	assert_int_equal(put(fs, 1, 10), 0);
	for (i = 0; i < 2; i++)
		assert_true(owfs_trans_retry(fs, &ret, &r));
	assert_non_null(fs->fs_turn);
	o = ask_as_another(fs);
	assert_int_equal(o.normal, -EAGAIN);
	assert_int_equal(o.freeing, 0);
	assert_int_equal(owfs_room_take(fs, 1, OWFS_RESV_NORMAL), 0);
	owfs_alloc_unreserve(fs->fs_al, 1);

	ret = 0;
	assert_false(owfs_trans_retry(fs, &ret, &r));
	assert_null(fs->fs_turn);
	o = ask_as_another(fs);
	assert_int_equal(o.normal, 0);
	assert_int_equal(o.freeing, 0);
	owfs_fs_close(fs);
	emubd_destroy(e);
}

/* ---------------------------------------------------------------- throttling */

/* Change more nodes than may wait for a commit. */
static void make_dirty(struct owfs_fs *fs, uint64_t from)
{
	static unsigned char value[900];
	struct owfs_key key = owfs_key(100, OWFS_ITEM_EXTENT, from);
	struct owfs_trans tr;
	int ret;

	for (;; key.off++) {
		ret = owfs_trans_begin(fs, &tr, 1, 1, OWFS_RESV_NORMAL);
		if (ret)
			break;
		assert_int_equal(owfs_btree_insert(fs->fs_bt, &key, value,
						   sizeof(value)), 0);
		assert_int_equal(owfs_trans_end(&tr), 0);
	}
	assert_int_equal(ret, -EAGAIN);
}

/* Space is not what was missing: nobody has to make some, nor a turn. */
static void test_who_was_throttled_tries_again_when_it_is_sealed(void **state)
{
	struct emubd *e = format_bytes(1, 96u << 20);
	struct owfs_fs *fs = open_fs(e, false);
	struct owfs_retry r = { 0 };
	owfs_gen_t gen;
	uint64_t i;
	int ret;

	(void)state;
	for (i = 0; i < 2; i++) {
		make_dirty(fs, (i + 1) * 1000000);
		gen = owfs_open_gen(fs);
		ret = put(fs, 1, 10);
		assert_int_equal(ret, -EAGAIN);
		while (owfs_open_gen(fs) == gen)	/* others commit */
			assert_int_equal(owfs_commit_step(fs, true), 1);
		assert_true(owfs_trans_retry(fs, &ret, &r));
		assert_int_equal(owfs_open_gen(fs), gen + 1);
		assert_null(fs->fs_turn);
		ret = put(fs, 1, 10);
		assert_int_equal(ret, 0);
		assert_false(owfs_trans_retry(fs, &ret, &r));
		assert_int_equal(owfs_commit_all(fs), 0);
	}
	owfs_fs_close(fs);
	emubd_destroy(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_operation_in_an_operation_has_its_turn),
		cmocka_unit_test(test_what_others_hold_is_waited_for),
		cmocka_unit_test(test_what_is_held_for_good_is_not),
		cmocka_unit_test(test_frees_under_way_are_waited_for),
		cmocka_unit_test(test_nothing_to_come_is_refused_at_once),
		cmocka_unit_test(test_who_waits_is_not_overtaken_but_by_who_frees),
		cmocka_unit_test(test_who_was_throttled_tries_again_when_it_is_sealed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
