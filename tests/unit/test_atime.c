/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Access times: when reading changes them, and that it costs no commit. */
#include "file/atime.h"
#include "file/flags.h"
#include "namei_fixture.h"

#define DAY	86400

static struct nx nx;
static struct owfs_inode *file;

static int setup(void **state)
{
	(void)state;
	memset(&nx, 0, sizeof(nx));
	nx_start(&nx, 16u << 20);
	file = nx_make(nx.root, "file", S_IFREG | 0644);
	assert_int_equal(owfs_file_write(file, "text", 4, 0, false, false), 4);
	assert_int_equal(owfs_commit_all(nx.fs), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	owfs_iput(file);
	if (nx.fs)
		nx_unmount(&nx);
	nx_done(&nx);
	return 0;
}

static void pass(uint64_t seconds)
{
	struct timespec before, now;

	nx.re.env.now(nx.re.env.ctx, &before);
	do {
		nx.re.ticks += 1000;
		nx.re.env.now(nx.re.env.ctx, &now);
	} while (now.tv_sec < before.tv_sec + (time_t)seconds);
}

static struct timespec atime_of(struct owfs_inode *inode)
{
	return nx_stat(inode).st_atim;
}

static bool same(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static void read_it(void)
{
	char c;

	assert_int_equal(owfs_file_read(file, &c, 1, 0), 1);
}

/* Does reading now change the time? */
static bool reading_counts(void)
{
	struct timespec was = atime_of(file);

	read_it();
	return !same(atime_of(file), was);
}

static void chmod_it(void)
{
	const struct owfs_attr a = { .mode = 0600 };

	assert_int_equal(owfs_setattr(file, &a, OWFS_SET_MODE), 0);
}

static void reopen(void)
{
	assert_int_equal(nx_lookup(nx.root, "file", &file), 0);
}

static bool is_durable(void)
{
	return owfs_btree_dirty(nx.fs->fs_bt) == 0;
}

/* ------------------------------------------------------------------- whether */

static void test_relative_times_change_when_it_is_news(void **state)
{
	(void)state;
	assert_true(reading_counts());
	assert_false(reading_counts());
	chmod_it();			/* ctime */
	assert_true(reading_counts());
	assert_false(reading_counts());
	assert_int_equal(owfs_file_write(file, "t", 1, 0, false, false), 1);
	assert_true(reading_counts());
	assert_false(reading_counts());
	pass(DAY / 2);
	assert_false(reading_counts());
	pass(DAY / 2);
	assert_true(reading_counts());
}

static void test_options_decide(void **state)
{
	(void)state;
	nx.fs->fs_param.atime = OWFS_ATIME_NEVER;
	assert_false(reading_counts());
	nx.fs->fs_param.atime = OWFS_ATIME_ALWAYS;
	assert_true(reading_counts());
	assert_true(reading_counts());
	nx.fs->fs_param.nodiratime = true;
	assert_true(reading_counts());
}

static void test_directories_have_an_option(void **state)
{
	struct timespec was = atime_of(nx.root);

	(void)state;
	nx.fs->fs_param.nodiratime = true;
	owfs_atime_touch(nx.root);
	assert_true(same(atime_of(nx.root), was));
	nx.fs->fs_param.nodiratime = false;
	owfs_atime_touch(nx.root);
	assert_false(same(atime_of(nx.root), was));
}

static void test_the_flag_of_the_inode_decides(void **state)
{
	(void)state;
	nx.fs->fs_param.atime = OWFS_ATIME_ALWAYS;
	assert_int_equal(owfs_flags_set(file, OWFS_FLAGS_USER,
					OWFS_INODE_NOATIME, NULL), 0);
	assert_false(reading_counts());
	/* an immutable file may be read, and that shows */
	assert_int_equal(owfs_flags_set(file, OWFS_FLAGS_USER,
					OWFS_INODE_IMMUTABLE, NULL), 0);
	assert_true(reading_counts());
}

static void test_who_reads_may_decide(void **state)
{
	struct timespec was = atime_of(file);
	char c;

	(void)state;
	nx.fs->fs_param.atime = OWFS_ATIME_ALWAYS;
	assert_int_equal(owfs_file_read_as(file, &c, 1, 0, OWFS_READ_NOATIME),
			 1);
	assert_true(same(atime_of(file), was));
}

static void test_asking_for_more_is_reading(void **state)
{
	struct timespec was = atime_of(file);
	char c;

	(void)state;
	assert_int_equal(owfs_file_read(file, &c, 0, 0), 0);
	assert_true(same(atime_of(file), was));
	assert_int_equal(owfs_file_read(file, &c, 1, 4), 0);
	assert_false(same(atime_of(file), was));
}

static void test_targets_are_read_too(void **state)
{
	struct owfs_inode *link = nx_make(nx.root, "link", S_IFLNK | 0777);
	struct timespec was = atime_of(link);
	char buf[64];

	(void)state;
	assert_int_equal(owfs_readlink(link, buf, sizeof(buf)), 6);
	assert_false(same(atime_of(link), was));
	owfs_iput(link);
}

/* ---------------------------------------------------------------------- where */

static void test_reading_makes_nothing_dirty(void **state)
{
	int i;

	(void)state;
	nx.fs->fs_param.atime = OWFS_ATIME_ALWAYS;
	for (i = 0; i < 100; i++)
		read_it();
	owfs_atime_touch(nx.root);
	assert_true(is_durable());
	owfs_iput(file);
	assert_true(is_durable());
	reopen();
}

static void test_times_survive_an_unmount(void **state)
{
	struct timespec was;

	(void)state;
	read_it();
	was = atime_of(file);
	owfs_iput(file);
	nx_remount(&nx);
	reopen();
	assert_true(same(atime_of(file), was));
}

static void test_times_wait_for_their_inode(void **state)
{
	struct timespec was;

	(void)state;
	read_it();
	was = atime_of(file);
	owfs_iput(file);	/* the last one: it is not in memory any more */
	reopen();
	assert_true(same(atime_of(file), was));
	assert_true(file->i_atime_dirty);
	/* and again, without being read in between */
	owfs_iput(file);
	nx_remount(&nx);
	reopen();
	assert_true(same(atime_of(file), was));
	assert_false(file->i_atime_dirty);
}

static void test_times_go_with_the_next_change(void **state)
{
	struct timespec was;

	(void)state;
	read_it();
	was = atime_of(file);
	chmod_it();
	assert_false(file->i_atime_dirty);
	assert_int_equal(owfs_commit_all(nx.fs), 0);
	owfs_iput(file);
	nx_crash(&nx);
	nx_mount(&nx, 0);
	reopen();
	assert_true(same(atime_of(file), was));
}

/* What is set is set: nothing that waited comes after it. */
static void test_set_times_stay(void **state)
{
	const struct owfs_attr a = { .atime = { 5, 6 } };

	(void)state;
	read_it();
	owfs_iput(file);
	reopen();
	assert_int_equal(owfs_setattr(file, &a, OWFS_SET_ATIME), 0);
	owfs_iput(file);
	nx_remount(&nx);
	reopen();
	assert_int_equal(atime_of(file).tv_sec, 5);
}

static void test_unlinked_files_need_no_time(void **state)
{
	(void)state;
	read_it();
	assert_int_equal(nx_unlink(nx.root, "file"), 0);
	read_it();
	chmod_it();
	read_it();
	owfs_iput(file);
	nx_reclaim(&nx);
	nx_remount(&nx);
	assert_int_equal(nx_ino(nx.root, "file"), 0);
	file = nx_make(nx.root, "file", S_IFREG | 0644);
}

/* More than are remembered: old ones are lost, nothing else. */
static void test_many_times_are_bounded(void **state)
{
	struct owfs_atimes *at = owfs_atimes_new();
	struct timespec ts = { 0 };
	owfs_ino_t ino, *list;
	size_t n, i, newer = 0;
	bool noted;

	(void)state;
	assert_non_null(at);
	for (ino = 16; ino < 16 + 200000; ino++) {
		ts.tv_sec = (time_t)ino;
		noted = false;
		owfs_atimes_note(at, ino, &ts, &noted);
		assert_true(noted);
		ts.tv_sec = 0;
		owfs_atimes_note(at, ino, &ts, &noted);	/* the second is no news */
	}
	n = owfs_atimes_list(at, NULL, 0);
	assert_int_equal(n, 65536);
	list = calloc(n, sizeof(*list));
	assert_int_equal(owfs_atimes_list(at, list, n), n);
	for (i = 0; i < n; i++) {
		newer += list[i] >= 16 + 200000 - 65536;
		assert_true(owfs_atimes_take(at, list[i], &ts));
		assert_int_equal(ts.tv_sec, list[i]);
		assert_false(owfs_atimes_take(at, list[i], &ts));
	}
	assert_int_equal(newer, n);
	assert_int_equal(owfs_atimes_list(at, NULL, 0), 0);
	free(list);
	owfs_atimes_free(at);
}

static void test_many_files_at_unmount(void **state)
{
	struct owfs_inode *inode[200];
	struct timespec was[200];
	char name[16], c;
	int i;

	(void)state;
	for (i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		inode[i] = nx_make(nx.root, name, S_IFREG | 0644);
		assert_int_equal(owfs_file_write(inode[i], "x", 1, 0, false,
						 false), 1);
		assert_int_equal(owfs_file_read(inode[i], &c, 1, 0), 1);
		was[i] = atime_of(inode[i]);
		if (i % 2)
			owfs_iput(inode[i]);
	}
	for (i = 0; i < 200; i += 2)
		owfs_iput(inode[i]);
	owfs_iput(file);
	nx_remount(&nx);
	for (i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		assert_int_equal(nx_lookup(nx.root, name, &inode[i]), 0);
		assert_true(same(atime_of(inode[i]), was[i]));
		owfs_iput(inode[i]);
	}
	reopen();
}

static void test_read_only_changes_nothing(void **state)
{
	(void)state;
	owfs_iput(file);
	nx_unmount(&nx);
	nx_mount(&nx, RIG_READONLY);
	nx.fs->fs_param.atime = OWFS_ATIME_ALWAYS;
	reopen();
	assert_false(reading_counts());
}

#define WITH_FILE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FILE(test_relative_times_change_when_it_is_news),
		WITH_FILE(test_options_decide),
		WITH_FILE(test_directories_have_an_option),
		WITH_FILE(test_the_flag_of_the_inode_decides),
		WITH_FILE(test_who_reads_may_decide),
		WITH_FILE(test_asking_for_more_is_reading),
		WITH_FILE(test_targets_are_read_too),
		WITH_FILE(test_reading_makes_nothing_dirty),
		WITH_FILE(test_times_survive_an_unmount),
		WITH_FILE(test_times_wait_for_their_inode),
		WITH_FILE(test_times_go_with_the_next_change),
		WITH_FILE(test_set_times_stay),
		WITH_FILE(test_unlinked_files_need_no_time),
		cmocka_unit_test(test_many_times_are_bounded),
		WITH_FILE(test_many_files_at_unmount),
		WITH_FILE(test_read_only_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
