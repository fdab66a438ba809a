/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Transactions and the commit machine over an emulated device, with items of
 * no meaning: what is durable when, what a crash leaves, what failures do.
 */
#include "trans_fixture.h"

static void test_commit_is_there_after_a_crash_and_nothing_else(void **state)
{
	struct emubd *e = format(1);
	struct owfs_fs *fs = open_fs(e, false);

	(void)state;
	assert_int_equal(put(fs, 5, 50), 0);
	assert_int_equal(owfs_commit_all(fs), 0);
	assert_int_equal(put(fs, 6, 60), 0);
	owfs_fs_close(fs);

	fs = open_fs(e, false);
	assert_int_equal(get(fs, 0), 1);
	assert_int_equal(get(fs, 5), 50);
	assert_int_equal(get(fs, 6), 0);
	owfs_fs_close(fs);
	emubd_destroy(e);
}

static void test_commit_before_the_last_is_intact(void **state)
{
	struct emubd *e = format(2);
	struct owfs_fs *fs = open_fs(e, false);
	uint64_t round, i;

	(void)state;
	for (round = 1; round <= 30; round++) {
		struct emubd *copy;
		struct owfs_fs *old;

		for (i = 1; i < 300; i++)
			assert_int_equal(put(fs, i, round * 1000 + i), 0);
		assert_int_equal(owfs_commit_all(fs), 0);
		if (round == 1)
			continue;
		copy = emubd_fork(e);
		old = open_fs(copy, true);
		for (i = 1; i < 300; i++)
			assert_int_equal(get(old, i), (round - 1) * 1000 + i);
		owfs_fs_close(old);
		emubd_destroy(copy);
	}
	owfs_fs_close(fs);
	emubd_destroy(e);
}

static void test_operations_go_on_between_any_two_steps(void **state)
{
	struct emubd *e = format(1);
	struct owfs_fs *fs = open_fs(e, false);
	uint64_t n = 1, sealed;

	(void)state;
	assert_int_equal(put(fs, n++, 7), 0);
	sealed = n;
	while (owfs_commit_step(fs, sealed == n) > 0)
		assert_int_equal(put(fs, n++, 7), 0);
	owfs_fs_close(fs);

	fs = open_fs(e, false);
	assert_true(n > 6);
	assert_int_equal(get(fs, 1), 7);
	assert_int_equal(get(fs, sealed), 0);
	owfs_fs_close(fs);
	emubd_destroy(e);
}

static void test_looking_writes_nothing(void **state)
{
	struct emubd *e = format(1);
	uint64_t writes = emubd_count(e, EMUBD_WRITE);
	struct owfs_fs *fs = open_fs(e, false);

	(void)state;
	assert_int_equal(get(fs, 0), 1);
	assert_int_equal(owfs_commit_all(fs), 0);
	assert_int_equal(owfs_fs_sync_and_clean(fs), 0);
	owfs_fs_close(fs);
	assert_int_equal(emubd_count(e, EMUBD_WRITE), writes);
	emubd_destroy(e);
}

/* Whatever is on it, also what a crash left. */
static void test_reading_only_writes_nothing(void **state)
{
	struct emubd *e = format(1);
	struct owfs_fs *fs = open_fs(e, false);
	struct owfs_fs_param p = {
		.bd = emubd_blkdev(e), .msg = &msg, .readonly = true,
	};
	uint64_t writes;

	(void)state;
	assert_int_equal(put(fs, 1, 10), 0);
	assert_int_equal(owfs_commit_all(fs), 0);
	owfs_fs_close(fs);
	writes = emubd_count(e, EMUBD_WRITE);
	assert_int_equal(owfs_fs_open(&fs, &p), 0);
	assert_int_equal(get(fs, 1), 10);
	assert_int_equal(put(fs, 1, 20), -EROFS);
	assert_int_equal(owfs_commit_all(fs), 0);
	assert_int_equal(owfs_fs_fail_at(fs, -EIO, 7, "a test"), -EIO);
	assert_int_equal(owfs_fs_sync_and_clean(fs), 0);
	owfs_fs_close(fs);
	assert_int_equal(emubd_count(e, EMUBD_WRITE), writes);
	emubd_destroy(e);
}

/* Open after the superblocks were changed as @change says. */
static int open_changed(void (*change)(struct owfs_super *sb), bool readonly)
{
	struct emubd *e = format(1);
	struct owfs_fs_param p = {
		.bd = emubd_blkdev(e), .msg = &msg, .readonly = readonly,
	};
	struct owfs_slots slots;
	struct owfs_super sb;
	struct owfs_fs *fs;
	unsigned int i;
	int ret;

	assert_int_equal(owfs_super_read(p.bd, &sb, &slots, NULL), 0);
	change(&sb);
	for (i = 0; i < 2; i++)		/* the others may lie elsewhere */
		assert_int_equal(owfs_super_write(p.bd, &sb, &slots, i), 0);
	said[0] = '\0';
	ret = owfs_fs_open(&fs, &p);
	if (!ret)
		owfs_fs_close(fs);
	emubd_destroy(e);
	return ret;
}

static void unknown_ro_compat(struct owfs_super *sb)
{
	sb->ro_compat = 1ull << 40;
	sb->seq++;
}

static void longer(struct owfs_super *sb)
{
	sb->nblocks *= 2;
	sb->seq++;
}

static void test_what_cannot_be_mounted_says_why(void **state)
{
	struct emubd *e = format(1);
	struct owfs_fs_param p = {
		.bd = emubd_blkdev(e), .msg = &msg, .fallback = true,
	};
	struct owfs_fs *fs;

	(void)state;
	assert_int_equal(owfs_fs_open(&fs, &p), -EFSCORRUPTED);
	assert_non_null(strstr(said, "no older commit"));
	emubd_destroy(e);

	e = emubd_create(BYTES);
	p = (struct owfs_fs_param){ .bd = emubd_blkdev(e), .msg = &msg };
	assert_int_equal(owfs_fs_open(&fs, &p), -ENODEV);
	assert_non_null(strstr(said, "no owfs"));
	emubd_destroy(e);

	assert_int_equal(open_changed(unknown_ro_compat, false), -EROFS);
	assert_non_null(strstr(said, "ro_compat=0x10000000000"));
	assert_int_equal(open_changed(unknown_ro_compat, true), 0);
	assert_int_equal(open_changed(longer, false), -ENOSPC);
	assert_non_null(strstr(said, "shorter than the filesystem"));
}

static void test_after_an_error_it_shuts_down_if_asked(void **state)
{
	struct emubd *e = format(1);
	struct owfs_fs_param p = {
		.bd = emubd_blkdev(e), .msg = &msg,
		.errors = OWFS_ERRORS_SHUTDOWN,
	};
	struct owfs_fs *fs;

	(void)state;
	assert_int_equal(owfs_fs_open(&fs, &p), 0);
	assert_int_equal(put(fs, 1, 10), 0);
	assert_int_equal(owfs_fs_readable(fs), 0);
	assert_int_equal(owfs_fs_fail_at(fs, -EUCLEAN, 7, "a test"), -EUCLEAN);
	assert_int_equal(owfs_fs_readable(fs), -EIO);
	assert_int_equal(put(fs, 1, 20), -EIO);
	owfs_fs_close(fs);
	emubd_destroy(e);
}

/* Half of it may be in the tree, so none of it may ever be on the device. */
static void test_an_aborted_transaction_is_in_no_commit(void **state)
{
	struct owfs_key key = owfs_key(100, OWFS_ITEM_EXTENT, 2);
	struct emubd *e = format(1);
	struct owfs_fs *fs = open_fs(e, false);
	struct owfs_trans tr;
	uint64_t value = 20;

	(void)state;
	assert_int_equal(put(fs, 1, 10), 0);
	assert_int_equal(owfs_commit_all(fs), 0);
	assert_int_equal(owfs_trans_begin(fs, &tr, 1, 1, OWFS_RESV_NORMAL), 0);
	assert_int_equal(owfs_btree_insert(fs->fs_bt, &key, &value,
					   sizeof(value)), 0);
	/* it looked, and now it is not there: no answer for a caller */
	assert_int_equal(owfs_trans_abort(&tr, -ENOENT, "a test"),
			 -EFSCORRUPTED);
	assert_int_equal(owfs_trans_end(&tr), -EFSCORRUPTED);
	assert_int_equal(owfs_commit_all(fs), -EFSCORRUPTED);
	assert_int_equal(put(fs, 3, 30), -EROFS);
	owfs_fs_close(fs);

	fs = open_fs(e, false);
	assert_int_equal(get(fs, 1), 10);
	assert_int_equal(get(fs, 2), 0);
	owfs_fs_close(fs);
	emubd_destroy(e);
}

static void test_who_reserved_nothing_changes_nothing(void **state)
{
	struct owfs_key key = owfs_key(100, OWFS_ITEM_EXTENT, 2);
	struct emubd *e = format(1);
	struct owfs_fs *fs = open_fs(e, false);
	struct owfs_resv none = { 0 };
	struct owfs_trans tr;
	uint64_t value = 20;

	(void)state;
	assert_int_equal(put(fs, 1, 10), 0);
	assert_int_equal(owfs_commit_all(fs), 0);
	owfs_trans_join(fs, &tr, &none);
	assert_int_equal(owfs_btree_insert(fs->fs_bt, &key, &value,
					   sizeof(value)), -ENOSPC);
	assert_non_null(strstr(said, "read-only"));
	assert_int_equal(owfs_trans_end(&tr), 0);
	assert_int_equal(get(fs, 2), 0);
	owfs_fs_close(fs);
	emubd_destroy(e);
}

static void test_inode_numbers_come_to_an_end(void **state)
{
	struct emubd *e = format(1);
	struct owfs_fs *fs = open_fs(e, false);
	owfs_ino_t ino;
	int ret;

	(void)state;
	assert_int_equal(put(fs, 1, 10), 0);
	fs->fs_next_ino = OWFS_INO_MAX;
	OWFS_RETRY(fs, ret, owfs_trans_new_ino(fs, &ino));
	assert_int_equal(ret, 0);
	assert_int_equal(ino, OWFS_INO_MAX);
	OWFS_RETRY(fs, ret, owfs_trans_new_ino(fs, &ino));
	assert_int_equal(ret, -ENOSPC);
	/* the mark is a number that a superblock may have */
	assert_int_equal(owfs_fs_sync_and_clean(fs), 0);
	owfs_fs_close(fs);
	fs = open_fs(e, false);
	assert_int_equal(owfs_trans_new_ino(fs, &ino), -ENOSPC);
	owfs_fs_close(fs);
	emubd_destroy(e);
}

static void test_generation_numbers_are_never_used_twice(void **state)
{
	struct emubd *e = format(1);
	owfs_gen_t last = 0;
	int i;

	(void)state;
	for (i = 0; i < 40; i++) {
		struct owfs_fs *fs = open_fs(e, false);
		owfs_gen_t open = owfs_open_gen(fs);

		assert_true(open > last);
		assert_int_equal(put(fs, 1, i), 0);
		if (i % 3 == 0)
			assert_int_equal(owfs_commit_all(fs), 0);
		else if (i % 3 == 1)
			while (strcmp(owfs_commit_next_step(fs), "super"))
				assert_int_equal(owfs_commit_step(fs, true), 1);
		/* all numbers that may stand on a node now are below this */
		last = owfs_open_gen(fs) - (i % 3 == 2 ? 0 : 1);
		if (i % 5 == 0)
			assert_int_equal(owfs_fs_sync_and_clean(fs), 0);
		owfs_fs_close(fs);
	}
	emubd_destroy(e);
}

static void test_inode_numbers_are_never_used_twice(void **state)
{
	struct emubd *e = format(1);
	owfs_ino_t last = OWFS_INO_FIRST - 1, ino;
	int i, j;

	(void)state;
	for (i = 0; i < 12; i++) {
		struct owfs_fs *fs = open_fs(e, false);

		for (j = 0; j < 1000; j++) {
			assert_int_equal(owfs_trans_new_ino(fs, &ino), 0);
			assert_true(ino > last);
			last = ino;
		}
		if (i % 3 == 0)
			assert_int_equal(put(fs, 1, i), 0);
		if (i % 4 == 0)
			assert_int_equal(owfs_fs_sync_and_clean(fs), 0);
		owfs_fs_close(fs);
	}
	emubd_destroy(e);
}

static void test_clean_unmount_leaves_four_equal_slots(void **state)
{
	struct emubd *e = format(1);
	struct owfs_fs *fs = open_fs(e, false);
	struct owfs_super sb;
	struct owfs_slots s;
	unsigned int i;

	(void)state;
	assert_int_equal(put(fs, 1, 1), 0);
	assert_int_equal(owfs_fs_sync_and_clean(fs), 0);
	owfs_fs_close(fs);
	assert_int_equal(owfs_super_read(emubd_blkdev(e), &sb, &s, &msg), 0);
	assert_int_equal(s.bad, 0);
	assert_true(sb.state & OWFS_STATE_CLEAN);
	for (i = 0; i < OWFS_SUPER_SLOTS; i++)
		assert_int_equal(s.slot[i].seq, sb.seq);
	emubd_destroy(e);
}

/* The nth write or flush of a commit fails: before or after, never between. */
static void fail_nth(enum emubd_kind kind, uint64_t nth, bool *failed)
{
	struct emubd *e = format(1);
	struct owfs_fs *fs = open_fs(e, false);
	uint64_t seen;

	assert_int_equal(put(fs, 1, 10), 0);
	assert_int_equal(owfs_commit_all(fs), 0);
	assert_int_equal(put(fs, 1, 20), 0);
	emubd_fault(e, kind, nth, 1, EIO);
	*failed = owfs_commit_all(fs) != 0;
	if (*failed) {
		assert_int_equal(put(fs, 1, 30), -EROFS);
		assert_int_equal(owfs_commit_all(fs), -EIO);
		assert_int_equal(get(fs, 1), 20);
	}
	emubd_fault(e, kind, 1, 0, 0);
	owfs_fs_sync_and_clean(fs);
	owfs_fs_close(fs);

	fs = open_fs(e, false);
	seen = get(fs, 1);
	assert_true(*failed ? seen == 10 || seen == 20 : seen == 20);
	assert_int_equal(!!(fs->fs_super.state & OWFS_STATE_ERROR), *failed);
	owfs_fs_close(fs);
	emubd_destroy(e);
}

static void test_commit_failure_is_reported_and_changes_nothing(void **state)
{
	bool failed;
	uint64_t n;
	int failures = 0;

	(void)state;
	for (n = 1; n < 8; n++) {
		fail_nth(EMUBD_WRITE, n, &failed);
		failures += failed;
	}
	assert_true(failures >= 2);
	fail_nth(EMUBD_FLUSH, 1, &failed);
	assert_true(failed);
	fail_nth(EMUBD_FLUSH, 2, &failed);
	assert_true(failed);
}

static void test_superblock_slot_that_fails_is_passed_over(void **state)
{
	struct emubd *e = format(1);
	struct owfs_fs *fs = open_fs(e, false);
	unsigned int due;

	(void)state;
	assert_int_equal(put(fs, 1, 10), 0);
	assert_int_equal(owfs_commit_all(fs), 0);
	assert_int_equal(put(fs, 1, 20), 0);
	due = owfs_slots_next(&fs->fs_slots);
	emubd_fault_range(e, EMUBD_WRITE, owfs_geo_super_pos(BYTES, due), 512,
			  EIO);
	assert_int_equal(owfs_commit_all(fs), 0);
	owfs_fs_close(fs);
	fs = open_fs(e, false);
	assert_int_equal(get(fs, 1), 20);
	owfs_fs_close(fs);
	emubd_destroy(e);
}

static void test_pinned_blocks_come_back_without_new_work(void **state)
{
	struct emubd *e = format(1);
	struct owfs_fs *fs = open_fs(e, false);
	struct owfs_alloc_stat st, st0;
	uint64_t round;

	(void)state;
	owfs_alloc_stat(fs->fs_al, &st0);
	for (round = 0; round < 3000; round++) {
		struct owfs_retry retry = { 0 };
		int ret;

		do {
			ret = put(fs, 1, round);
		} while (owfs_trans_retry(fs, &ret, &retry));
		assert_int_equal(ret, 0);
		if (round % 2)
			while (owfs_commit_step(fs, true) > 0)
				;
	}
	owfs_alloc_stat(fs->fs_al, &st);
	assert_int_equal(st.used, st0.used);
	assert_int_equal(st.reserved, 0);
	owfs_fs_close(fs);
	emubd_destroy(e);
}

/* ------------------------------------------------------- label, shutdown */

static void assert_label(struct emubd *e, const char *wanted, const char *or)
{
	struct owfs_fs *fs = open_fs(e, false);
	char label[OWFS_LABEL_MAX + 1];

	owfs_label_get(fs, label);
	if (strcmp(label, wanted) && (!or || strcmp(label, or)))
		fail_msg("label is \"%s\", not \"%s\"", label, wanted);
	assert_int_equal(get(fs, 0), 1);
	owfs_fs_close(fs);
}

static void test_label_is_durable_in_every_slot(void **state)
{
	static const char longest[] =
		"123456789012345678901234567890123456789012345678901234567890123";
	struct emubd *e = format(1);
	struct owfs_fs *fs = open_fs(e, false);
	char label[OWFS_LABEL_MAX + 1];
	struct owfs_super sb;
	struct owfs_slots s;
	unsigned int i;

	(void)state;
	assert_int_equal(put(fs, 1, 1), 0);
	assert_int_equal(owfs_label_set(fs, "one"), 0);
	assert_label(e, "one", NULL);
	assert_int_equal(owfs_super_read(emubd_blkdev(e), &sb, &s, &msg), 0);
	assert_int_equal(s.bad, 0);
	for (i = 0; i < OWFS_SUPER_SLOTS; i++)
		assert_int_equal(s.slot[i].seq, sb.seq);
	/* it was no commit, and later ones keep it */
	assert_int_equal(owfs_commit_all(fs), 0);
	assert_int_equal(put(fs, 2, 2), 0);
	assert_int_equal(owfs_label_set(fs, longest), 0);
	assert_int_equal(owfs_commit_all(fs), 0);
	assert_int_equal(put(fs, 3, 3), 0);
	assert_int_equal(owfs_commit_all(fs), 0);
	owfs_label_get(fs, label);
	assert_string_equal(label, longest);
	owfs_fs_close(fs);
	assert_label(e, longest, NULL);

	fs = open_fs(e, false);
	assert_int_equal(get(fs, 1), 1);
	assert_int_equal(get(fs, 3), 3);
	assert_int_equal(owfs_label_set(fs, ""), 0);
	assert_int_equal(owfs_fs_sync_and_clean(fs), 0);
	owfs_fs_close(fs);
	assert_label(e, "", NULL);

	fs = open_fs(e, false);
	assert_true(fs->fs_super.state & OWFS_STATE_CLEAN);
	assert_int_equal(owfs_label_set(fs, "1234567890123456789012345678901"
					"234567890123456789012345678901234"),
			 -EINVAL);
	owfs_fs_close(fs);
	emubd_destroy(e);
}

/* Power fails at any write of it: old label or new, and the last two commits. */
static void test_label_survives_a_crash_whole(void **state)
{
	struct emubd *e = format(1), *base, *crashed;
	struct owfs_fs *fs = open_fs(e, false), *after;
	uint64_t seed;
	size_t cut;

	(void)state;
	assert_int_equal(owfs_label_set(fs, "before"), 0);
	assert_int_equal(put(fs, 1, 10), 0);
	assert_int_equal(owfs_commit_all(fs), 0);
	assert_int_equal(put(fs, 1, 20), 0);
	assert_int_equal(owfs_commit_all(fs), 0);
	base = emubd_fork(e);
	emubd_record(e, true);
	assert_int_equal(owfs_label_set(fs, "after"), 0);
	assert_true(emubd_log_len(e) >= 8);
	for (cut = 0; cut <= emubd_log_len(e); cut++)
		for (seed = 0; seed < 8; seed++) {
			crashed = emubd_crash(base, e, cut,
					      EMUBD_CRASH_SEEDED, seed);
			assert_label(crashed, cut == emubd_log_len(e) ?
				     "after" : "before", "after");
			after = open_fs(crashed, false);
			assert_false(after->fs_readonly);
			assert_int_equal(get(after, 1), 20);
			owfs_fs_close(after);
			after = open_fs(crashed, true);
			assert_int_equal(get(after, 1), 10);
			owfs_fs_close(after);
			emubd_destroy(crashed);
		}
	owfs_fs_close(fs);
	emubd_destroy(base);
	emubd_destroy(e);
}

static void test_label_that_cannot_be_written_fails(void **state)
{
	struct emubd *e = format(1);
	struct owfs_fs *fs = open_fs(e, false);

	(void)state;
	assert_int_equal(put(fs, 1, 10), 0);
	assert_int_equal(owfs_commit_all(fs), 0);
	emubd_fault(e, EMUBD_WRITE, 1, EMUBD_FOREVER, EIO);
	assert_int_equal(owfs_label_set(fs, "new"), -EIO);
	assert_int_equal(put(fs, 1, 20), -EROFS);
	assert_int_equal(owfs_label_set(fs, "new"), -EROFS);
	owfs_fs_close(fs);
	assert_label(e, "", NULL);
	emubd_destroy(e);
}

/* What was done is durable or is not, as asked; then nothing is written. */
static void shut_down(bool flush, uint64_t wanted)
{
	struct emubd *e = format(1);
	struct owfs_fs *fs = open_fs(e, false);
	uint64_t writes;

	assert_int_equal(put(fs, 1, 10), 0);
	assert_int_equal(owfs_commit_all(fs), 0);
	assert_int_equal(put(fs, 1, 20), 0);
	assert_int_equal(owfs_fs_shutdown(fs, flush), 0);
	writes = emubd_count(e, EMUBD_WRITE);
	assert_int_equal(put(fs, 1, 30), -EIO);
	assert_int_equal(owfs_fs_readable(fs), -EIO);
	assert_int_equal(owfs_fs_writable(fs), -EIO);
	assert_int_equal(owfs_label_set(fs, "new"), -EIO);
	assert_int_equal(owfs_fs_sync_and_clean(fs), 0);
	owfs_fs_close(fs);
	assert_int_equal(emubd_count(e, EMUBD_WRITE), writes);

	fs = open_fs(e, false);
	assert_int_equal(get(fs, 1), wanted);
	assert_false(fs->fs_super.state & OWFS_STATE_CLEAN);
	assert_false(fs->fs_super.state & OWFS_STATE_ERROR);
	assert_int_equal(put(fs, 1, 40), 0);
	owfs_fs_close(fs);
	emubd_destroy(e);
}

static void test_shutdown_stops_for_good(void **state)
{
	(void)state;
	shut_down(true, 20);
	shut_down(false, 10);
}

/* What the superblock on the device says of errors. */
static bool error_is_recorded(struct emubd *e, uint64_t block)
{
	struct owfs_slots slots;
	struct owfs_super sb;

	return !owfs_super_read(emubd_blkdev(e), &sb, &slots, NULL) &&
	       (sb.state & OWFS_STATE_ERROR) && sb.error_code == EIO &&
	       sb.error_block == block && sb.error_time && sb.error_count == 1;
}

static void wait_for_record(struct emubd *e, uint64_t block)
{
	struct timespec tick = { .tv_nsec = 1000000 };
	unsigned int i;

	for (i = 0; i < 20000 && !error_is_recorded(e, block); i++)
		nanosleep(&tick, NULL);
	assert_true(error_is_recorded(e, block));
}

static struct owfs_fs *open_threaded(struct emubd *e)
{
	struct owfs_fs_param p = {
		.bd = emubd_blkdev(e), .msg = &msg, .threaded = true,
	};
	struct owfs_fs *fs;

	assert_int_equal(owfs_fs_open(&fs, &p), 0);
	assert_int_equal(owfs_fs_start(fs), 0);
	return fs;
}

static void test_an_error_is_recorded_though_the_server_is_killed(void **state)
{
	struct emubd *e = format(1);
	struct owfs_fs *fs = open_threaded(e);

	(void)state;
	assert_int_equal(put(fs, 5, 50), 0);
	assert_int_equal(owfs_fs_fail_at(fs, -EIO, 1234, "a test"), -EIO);
	wait_for_record(e, 1234);
	/* what was done before it is not lost by it */
	assert_int_equal(owfs_commit_all(fs), 0);
	owfs_fs_close(fs);

	fs = open_fs(e, false);
	assert_int_equal(get(fs, 5), 50);
	assert_non_null(strstr(said, "errors were recorded: run fsck.owfs"));
	owfs_fs_close(fs);
	emubd_destroy(e);
}

static void test_a_failed_commit_names_its_block_and_is_recorded(void **state)
{
	struct emubd *e = format(1);
	struct owfs_fs *fs = open_threaded(e);

	(void)state;
	assert_int_equal(put(fs, 5, 50), 0);
	assert_int_equal(owfs_commit_all(fs), 0);
	assert_int_equal(put(fs, 6, 60), 0);
	emubd_fault(e, EMUBD_WRITE, 1, 1, EIO);
	assert_int_equal(owfs_commit_all(fs), -EIO);
	assert_true(fs->fs_error_block != 0);
	wait_for_record(e, fs->fs_error_block);
	owfs_fs_close(fs);

	fs = open_fs(e, false);
	assert_int_equal(get(fs, 5), 50);
	assert_int_equal(get(fs, 6), 0);
	assert_int_equal(put(fs, 6, 61), 0);
	assert_int_equal(owfs_commit_all(fs), 0);
	owfs_fs_close(fs);
	emubd_destroy(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_commit_is_there_after_a_crash_and_nothing_else),
		cmocka_unit_test(test_commit_before_the_last_is_intact),
		cmocka_unit_test(test_operations_go_on_between_any_two_steps),
		cmocka_unit_test(test_looking_writes_nothing),
		cmocka_unit_test(test_reading_only_writes_nothing),
		cmocka_unit_test(test_what_cannot_be_mounted_says_why),
		cmocka_unit_test(test_after_an_error_it_shuts_down_if_asked),
		cmocka_unit_test(test_an_aborted_transaction_is_in_no_commit),
		cmocka_unit_test(test_who_reserved_nothing_changes_nothing),
		cmocka_unit_test(test_inode_numbers_come_to_an_end),
		cmocka_unit_test(test_generation_numbers_are_never_used_twice),
		cmocka_unit_test(test_inode_numbers_are_never_used_twice),
		cmocka_unit_test(test_clean_unmount_leaves_four_equal_slots),
		cmocka_unit_test(test_commit_failure_is_reported_and_changes_nothing),
		cmocka_unit_test(test_superblock_slot_that_fails_is_passed_over),
		cmocka_unit_test(test_pinned_blocks_come_back_without_new_work),
		cmocka_unit_test(test_label_is_durable_in_every_slot),
		cmocka_unit_test(test_label_survives_a_crash_whole),
		cmocka_unit_test(test_label_that_cannot_be_written_fails),
		cmocka_unit_test(test_shutdown_stops_for_good),
		cmocka_unit_test(test_an_error_is_recorded_though_the_server_is_killed),
		cmocka_unit_test(test_a_failed_commit_names_its_block_and_is_recorded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
