/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Doomed ranges: the table, the items, and reclaim, also over crashes. */
#include <time.h>

#include "object_fixture.h"

#define BYTES	(16u << 20)

static struct fx fx;

static int setup(void **state)
{
	(void)state;
	fx = (struct fx){ .seed = 11 };
	fx_start(&fx, BYTES, 4096);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fx_done(&fx);
	return 0;
}

typedef int change_fn(struct owfs_trans *tr, struct owfs_inode *inode,
		      owfs_fileoff_t first, owfs_fileoff_t end);

static int change_once(struct owfs_inode *inode, change_fn *fn,
		       owfs_fileoff_t first, owfs_fileoff_t end)
{
	const struct owfs_extent_cost one = { .changed = 1 };
	struct owfs_trans tr;
	unsigned int items;
	int ret;

	pthread_rwlock_wrlock(&inode->i_lock);
	assert_int_equal(owfs_intent_prepare(inode, first, end, 1, &items), 0);
	ret = owfs_extent_begin(fx.fs, &tr, one, items, OWFS_RESV_FREEING);
	if (!ret) {
		assert_int_equal(fn(&tr, inode, first, end), 0);
		assert_int_equal(owfs_inode_store(&tr, inode, false), 0);
		assert_int_equal(owfs_trans_end(&tr), 0);
	}
	pthread_rwlock_unlock(&inode->i_lock);
	return ret;
}

static void change(struct owfs_inode *inode, change_fn *fn,
		   owfs_fileoff_t first, owfs_fileoff_t end)
{
	int ret;

	OWFS_RETRY(fx.fs, ret, change_once(inode, fn, first, end));
	assert_int_equal(ret, 0);
}

static void doom(struct owfs_inode *inode, owfs_fileoff_t first,
		 owfs_fileoff_t end)
{
	change(inode, owfs_intent_add, first, end);
}

static void cut(struct owfs_inode *inode, owfs_fileoff_t first,
		owfs_fileoff_t end)
{
	change(inode, owfs_intent_cut, first, end);
}

static bool covers(struct owfs_inode *inode, owfs_fileoff_t off,
		   owfs_fileoff_t *until)
{
	int ret;

	pthread_rwlock_rdlock(&inode->i_lock);
	ret = owfs_intent_covers(inode, off, until);
	pthread_rwlock_unlock(&inode->i_lock);
	assert_true(ret >= 0);
	return ret;
}

/* The doomed ranges as text, "3-7 9-$", and that the items say the same. */
static void assert_intents(struct owfs_inode *inode, const char *want)
{
	char text[200] = "";
	owfs_fileoff_t off = 0, until;
	struct owfs_key orphan = owfs_orphan_key(inode->i_ino);
	uint64_t d;
	bool in;

	while (off != UINT64_MAX) {
		in = covers(inode, off, &until);
		assert_true(until > off);
		if (in && until == UINT64_MAX)
			sprintf(text + strlen(text), "%llu-$ ",
				(unsigned long long)off);
		else if (in)
			sprintf(text + strlen(text), "%llu-%llu ",
				(unsigned long long)off,
				(unsigned long long)until);
		off = until;
	}
	assert_string_equal(text, want);
	pthread_rwlock_rdlock(&inode->i_lock);
	assert_int_equal(owfs_inode_has_intents(inode), *want != 0);
	assert_int_equal(owfs_btree_lookup(fx.fs->fs_bt, &orphan, &d, sizeof(d)),
			 *want ? (int)sizeof(struct owfs_orphan_item) : -ENOENT);
	pthread_rwlock_unlock(&inode->i_lock);
}

static struct owfs_inode *reread(struct owfs_inode *inode)
{
	owfs_ino_t ino = inode->i_ino;

	owfs_iput(inode);
	fx_unmount(&fx);
	fx_open(&fx);
	return fx_iget(&fx, ino);
}

static void both(struct owfs_inode **ip, const char *want)
{
	assert_intents(*ip, want);
	*ip = reread(*ip);
	assert_intents(*ip, want);
}

static void test_ranges_are_joined_and_cut(void **state)
{
	struct owfs_inode *inode = fx_file(&fx);

	(void)state;
	both(&inode, "");
	doom(inode, 10, 20);
	both(&inode, "10-20 ");
	doom(inode, 30, 40);
	doom(inode, 50, UINT64_MAX);
	both(&inode, "10-20 30-40 50-$ ");
	doom(inode, 20, 25);		/* touches */
	both(&inode, "10-25 30-40 50-$ ");
	doom(inode, 5, 35);		/* swallows and overlaps */
	both(&inode, "5-40 50-$ ");
	cut(inode, 0, 6);
	both(&inode, "6-40 50-$ ");
	cut(inode, 10, 12);
	both(&inode, "6-10 12-40 50-$ ");
	cut(inode, 8, 60);
	both(&inode, "6-8 60-$ ");
	cut(inode, 9, 11);		/* nothing there */
	both(&inode, "6-8 60-$ ");
	doom(inode, 0, UINT64_MAX);
	both(&inode, "0-$ ");
	cut(inode, 0, UINT64_MAX);
	both(&inode, "");
	fx_check(&fx);
	owfs_iput(inode);
}

static void test_random_changes_agree_with_a_bitmap(void **state)
{
	struct owfs_inode *inode = fx_file(&fx);
	bool model[64] = { false };
	owfs_fileoff_t until;
	uint64_t x = 12345;
	unsigned int i, a, b, k;

	(void)state;
	for (i = 0; i < 800; i++) {
		x = x * 6364136223846793005ull + 1442695040888963407ull;
		a = (x >> 33) % 64;
		b = a + 1 + (x >> 45) % (64 - a);
		if ((x >> 60) & 1)
			doom(inode, a, b);
		else
			cut(inode, a, b);
		for (k = a; k < b; k++)
			model[k] = (x >> 60) & 1;
		if (i % 100 == 99)
			inode = reread(inode);
		for (k = 0; k < 64; k++)
			assert_int_equal(covers(inode, k, &until), model[k]);
	}
	owfs_iput(inode);
}

/* Blocks [off, off + n) of the file, no two neighbours on disk. */
static void scatter(struct owfs_inode *inode, owfs_fileoff_t off, unsigned int n)
{
	struct owfs_extent_edit ed;
	owfs_fsblock_t start;
	struct owfs_trans tr;
	uint64_t len;
	unsigned int i;

	assert_int_equal(owfs_alloc_reserve(fx.fs->fs_al, 2 * n,
					    OWFS_RESV_NORMAL), 0);
	assert_int_equal(owfs_alloc_data(fx.fs->fs_al, OWFS_NOBLOCK, 2 * n,
					 &start, &len), 0);
	assert_int_equal(len, 2 * n);
	owfs_extent_edit_init(&ed, inode);
	pthread_rwlock_wrlock(&inode->i_lock);
	assert_int_equal(owfs_extent_edit_load(&ed, off, off + n, 0), 0);
	for (i = 0; i < n; i++) {
		assert_int_equal(owfs_extent_edit_map(&ed, off + i, 1,
						      start + 2 * i, 0), 0);
		owfs_alloc_unstage(fx.fs->fs_al, start + 2 * i + 1, 1, false);
	}
	assert_int_equal(owfs_extent_edit_prepare(&ed), 0);
	assert_int_equal(owfs_extent_begin(fx.fs, &tr,
					   owfs_extent_edit_cost(&ed), 0,
					   OWFS_RESV_NORMAL), 0);
	assert_int_equal(owfs_extent_edit_apply(&ed, &tr), 0);
	assert_int_equal(owfs_inode_store(&tr, inode, false), 0);
	assert_int_equal(owfs_trans_end(&tr), 0);
	pthread_rwlock_unlock(&inode->i_lock);
	owfs_extent_edit_done(&ed);
}

static void test_reclaim_goes_in_bounded_steps(void **state)
{
	struct owfs_inode *inode = fx_file(&fx);
	unsigned int steps = 1, n;
	char text[40];
	int ret;

	(void)state;
	scatter(inode, 0, 500);
	n = owfs_extent_step(fx.fs);
	assert_true(n >= 2 && n <= OWFS_EXTENT_STEP);
	doom(inode, 100, 450);
	assert_int_equal(owfs_intent_reclaim_step(inode), 1);
	sprintf(text, "%u-450 ", 100 + n);
	assert_intents(inode, text);
	assert_int_equal(fx_extents(inode), 500 - n);
	do {
		steps++;
		OWFS_RETRY(fx.fs, ret, owfs_intent_reclaim_step(inode));
	} while (ret == 1);
	assert_int_equal(ret, 0);
	assert_true(steps <= (350 + n - 1) / n);
	assert_intents(inode, "");
	assert_int_equal(fx_extents(inode), 150);
	assert_int_equal(owfs_intent_reclaim_step(inode), 0);
	fx_check(&fx);
	owfs_iput(inode);
}

static void test_reclaim_goes_on_after_a_crash(void **state)
{
	struct owfs_inode *inode = fx_file(&fx);
	owfs_ino_t ino = inode->i_ino;
	unsigned int rounds;

	(void)state;
	scatter(inode, 0, 400);
	doom(inode, 0, UINT64_MAX);
	assert_int_equal(owfs_commit_all(fx.fs), 0);
	for (rounds = 0; owfs_inode_has_intents(inode); rounds++) {
		/* every other step never becomes durable */
		assert_true(owfs_intent_reclaim_step(inode) >= 0);
		if (rounds % 2)
			assert_int_equal(owfs_commit_all(fx.fs), 0);
		owfs_iput(inode);
		fx_abandon(&fx);
		fx_open(&fx);
		inode = fx_iget(&fx, ino);
		fx_check(&fx);
		fx_extents(inode);
	}
	assert_true(rounds > 400 / OWFS_EXTENT_STEP);
	assert_int_equal(fx_extents(inode), 0);
	owfs_iput(inode);
}

static void test_background_reclaim_finds_the_work(void **state)
{
	struct owfs_inode *inode = fx_file(&fx);
	int ret;

	(void)state;
	scatter(inode, 0, 200);
	doom(inode, 0, 200);
	owfs_reclaim_queue(fx.fs, inode->i_ino);
	do {
		OWFS_RETRY(fx.fs, ret, owfs_reclaim_run(fx.fs));
	} while (ret == 1);
	assert_int_equal(ret, 0);
	assert_intents(inode, "");
	assert_int_equal(fx_extents(inode), 0);
	owfs_iput(inode);
}

static int remove_step(struct owfs_inode *inode)
{
	int ret;

	pthread_rwlock_wrlock(&inode->i_lock);
	ret = owfs_extent_reclaim_step(inode);
	pthread_rwlock_unlock(&inode->i_lock);
	return ret;
}

static void test_a_file_without_a_name_loses_everything(void **state)
{
	struct owfs_inode *inode = fx_file(&fx);
	unsigned int steps = 0;
	int ret;

	(void)state;
	scatter(inode, 0, 300);
	doom(inode, 10, 200);
	doom(inode, 250, UINT64_MAX);
	do {
		OWFS_RETRY(fx.fs, ret, remove_step(inode));
		steps++;
	} while (ret == 1);
	assert_int_equal(ret, 0);
	assert_true(steps >= 4);
	assert_int_equal(fx_extents(inode), 0);
	assert_intents(inode, "");
	fx_check(&fx);
	owfs_iput(inode);
}

static void test_many_intents_become_few(void **state)
{
	struct owfs_inode *inode = fx_file(&fx);
	unsigned int i, n = owfs_intents_limit(fx.fs);
	owfs_fileoff_t until;
	int ret;

	(void)state;
	for (i = 0; i < n + 3; i++)
		doom(inode, 10 * i, 10 * i + 2 + (i + 1) % 5);
	assert_int_equal(owfs_intents_are_many(inode), 1);
	OWFS_RETRY(fx.fs, ret, owfs_intent_make_room(inode));
	assert_int_equal(ret, 0);
	assert_int_equal(owfs_intents_are_many(inode), 0);
	assert_true(covers(inode, 35, &until));		/* a large one */
	assert_false(covers(inode, 41, &until));	/* a small one */
	doom(inode, 0, UINT64_MAX);
	assert_intents(inode, "0-$ ");
	owfs_iput(inode);
}

/* An inode with @n doomed ranges, as only an image has it; nobody holds it. */
static owfs_ino_t file_of_many(unsigned int n)
{
	struct owfs_inode *inode = fx_file(&fx);
	owfs_ino_t ino = inode->i_ino;
	unsigned int i;

	for (i = 0; i < n; i++)
		doom(inode, 2 * i, 2 * i + 1);
	owfs_iput(inode);
	fx_unmount(&fx);
	fx_open(&fx);
	return ino;
}

static void test_a_look_at_an_inode_does_not_read_all_its_intents(void **state)
{
	owfs_ino_t ino = file_of_many(20000);
	uint64_t before = emubd_count(fx.e, EMUBD_READ);
	struct owfs_inode *inode = fx_iget(&fx, ino);
	owfs_fileoff_t until;

	(void)state;
	assert_int_equal(covers(inode, 30000, &until), 1);
	assert_int_equal(until, 30001);
	assert_int_equal(covers(inode, 30001, &until), 0);
	assert_int_equal(until, 30002);
	/* all of them fill more than 130 leaves */
	assert_in_range(emubd_count(fx.e, EMUBD_READ) - before, 1, 40);
	owfs_iput(inode);
}

/* Time of the processor, in seconds, that the mount after @n of them takes. */
static double time_of_reclaim(unsigned int n)
{
	owfs_ino_t ino = file_of_many(n);
	struct owfs_inode *inode;
	clock_t start = clock();
	double took;
	int ret;

	owfs_reclaim_rescan(fx.fs);
	do {
		OWFS_RETRY(fx.fs, ret, owfs_reclaim_run(fx.fs));
	} while (ret == 1);
	took = (double)(clock() - start) / CLOCKS_PER_SEC;
	assert_int_equal(ret, 0);
	inode = fx_iget(&fx, ino);
	assert_intents(inode, "");
	owfs_iput(inode);
	return took;
}

/* The same for who would truncate the file. */
static double time_of_room(unsigned int n)
{
	struct owfs_inode *inode = fx_iget(&fx, file_of_many(n));
	clock_t start = clock();
	double took;
	int ret;

	OWFS_RETRY(fx.fs, ret, owfs_intent_make_room(inode));
	took = (double)(clock() - start) / CLOCKS_PER_SEC;
	assert_int_equal(ret, 0);
	doom(inode, 0, UINT64_MAX);
	assert_intents(inode, "0-$ ");
	owfs_iput(inode);
	return took;
}

static void test_so_many_take_so_much_longer(void **state)
{
	double few = time_of_reclaim(4000), many = time_of_reclaim(32000);

	(void)state;
	print_message("reclaim: %.2f s and %.2f s\n", few, many);
	/* eight times as many; 64 would be the square */
	assert_true(many < 24 * few + 0.5);
	few = time_of_room(4000);
	many = time_of_room(32000);
	print_message("room: %.2f s and %.2f s\n", few, many);
	assert_true(many < 24 * few + 0.5);
}

static void put_raw(owfs_ino_t ino, owfs_fileoff_t off, const void *val,
		    size_t len)
{
	struct owfs_key key = owfs_key(ino, OWFS_ITEM_INTENT, off);
	struct owfs_trans tr;

	assert_int_equal(owfs_trans_begin(fx.fs, &tr, 1, 1, OWFS_RESV_NORMAL), 0);
	assert_int_equal(owfs_btree_insert(fx.fs->fs_bt, &key, val, len), 0);
	assert_int_equal(owfs_trans_end(&tr), 0);
}

static void bad_item(owfs_fileoff_t off, uint64_t end, size_t len)
{
	struct owfs_intent_item d = { .end = cpu_to_le64(end) };
	struct owfs_inode *inode = fx_file(&fx), *again;
	owfs_ino_t ino = inode->i_ino;

	doom(inode, 10, 20);
	put_raw(ino, off, &d, len);
	owfs_iput(inode);
	fx_unmount(&fx);
	fx_open(&fx);
	assert_int_equal(owfs_iget(fx.fs, ino, &again), -EFSCORRUPTED);
	assert_non_null(strstr(fx.said, "bad intent"));
	assert_int_equal(owfs_fs_writable(fx.fs), -EROFS);
	fx_done(&fx);
	setup(NULL);
}

static void test_bad_intents_are_never_believed(void **state)
{
	(void)state;
	bad_item(30, 40, 7);		/* wrong size */
	bad_item(30, 30, 8);		/* empty */
	bad_item(30, 4, 8);		/* backwards */
	bad_item(15, 40, 8);		/* overlaps */
	bad_item(5, 11, 8);
}

/* What is not looked at when the inode is read is when it is met. */
static void test_a_bad_intent_behind_many_is_met(void **state)
{
	const owfs_fileoff_t at = 3 * OWFS_INTENTS_MANY;
	struct owfs_intent_item d = { .end = cpu_to_le64(at + 3) };
	owfs_ino_t ino = file_of_many(2 * OWFS_INTENTS_MANY);
	struct owfs_inode *inode;
	owfs_fileoff_t until;
	unsigned int items;

	(void)state;
	put_raw(ino, at + 1, &d, sizeof(d));	/* overlaps the one at + 2 */
	inode = fx_iget(&fx, ino);
	assert_true(covers(inode, at - 2, &until));
	pthread_rwlock_wrlock(&inode->i_lock);
	assert_int_equal(owfs_intent_prepare(inode, at, at + 9, 1, &items),
			 -EFSCORRUPTED);
	pthread_rwlock_unlock(&inode->i_lock);
	assert_non_null(strstr(fx.said, "bad intent"));
	assert_int_equal(owfs_fs_writable(fx.fs), -EROFS);
	owfs_iput(inode);
}

#define T(name)	cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_ranges_are_joined_and_cut),
		T(test_random_changes_agree_with_a_bitmap),
		T(test_reclaim_goes_in_bounded_steps),
		T(test_reclaim_goes_on_after_a_crash),
		T(test_background_reclaim_finds_the_work),
		T(test_a_file_without_a_name_loses_everything),
		T(test_many_intents_become_few),
		T(test_a_look_at_an_inode_does_not_read_all_its_intents),
		T(test_so_many_take_so_much_longer),
		T(test_bad_intents_are_never_believed),
		T(test_a_bad_intent_behind_many_is_met),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
