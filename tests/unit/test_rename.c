/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rename in all its forms.  Each test ends with fsck, so parents, counts and
 * orphans are right whenever an answer is.
 */
#include "namei_fixture.h"

#include <dirent.h>
#include <linux/fs.h>

static struct nx nx;

static int setup(void **state)
{
	(void)state;
	nx = (struct nx){ 0 };
	nx_start(&nx, 16u << 20);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	nx_done(&nx);
	return 0;
}

static struct owfs_inode *dir(struct owfs_inode *parent, const char *name)
{
	return nx_make(parent, name, S_IFDIR | 0755);
}

static owfs_ino_t file(struct owfs_inode *parent, const char *name)
{
	struct owfs_inode *inode = nx_make(parent, name, S_IFREG | 0644);
	owfs_ino_t ino = inode->i_ino;

	owfs_iput(inode);
	return ino;
}

static void is_at(struct owfs_inode *parent, const char *name, owfs_ino_t ino)
{
	assert_int_equal(nx_ino(parent, name), ino);
}

static unsigned int nlink_of(struct owfs_inode *inode)
{
	return (unsigned int)nx_stat(inode).st_nlink;
}

static owfs_ino_t parent_of(struct owfs_inode *inode)
{
	struct owfs_inode *parent;
	owfs_ino_t ino;

	assert_int_equal(owfs_lookup_parent(inode, &parent), 0);
	ino = parent->i_ino;
	owfs_iput(parent);
	return ino;
}

/* ------------------------------------------------------------------ plain */

static void test_rename_within_a_directory(void **state)
{
	owfs_ino_t a = file(nx.root, "a");

	(void)state;
	assert_int_equal(nx_rename(nx.root, "a", nx.root, "b", 0), 0);
	is_at(nx.root, "a", 0);
	is_at(nx.root, "b", a);
	assert_int_equal(nx_stat(nx.root).st_size, 1);
	assert_int_equal(nx_rename(nx.root, "a", nx.root, "c", 0), -ENOENT);
	assert_int_equal(nx_rename(nx.root, "b", nx.root, "b", 0), 0);
	is_at(nx.root, "b", a);
	nx_unmount(&nx);
}

static void test_rename_between_directories_up_and_down(void **state)
{
	struct owfs_inode *d = dir(nx.root, "d"), *e = dir(d, "e");
	owfs_ino_t a = file(nx.root, "a");

	(void)state;
	assert_int_equal(nx_rename(nx.root, "a", e, "a", 0), 0);
	is_at(e, "a", a);
	assert_int_equal(nx_rename(e, "a", d, "b", 0), 0);
	is_at(d, "b", a);
	assert_int_equal(nx_rename(d, "b", nx.root, "a", 0), 0);
	is_at(nx.root, "a", a);
	assert_int_equal(nx_stat(d).st_size, 1);
	assert_int_equal(nx_stat(e).st_size, 0);
	owfs_iput(d);
	owfs_iput(e);
	nx_unmount(&nx);
}

static void test_moved_directory_knows_its_parent(void **state)
{
	struct owfs_inode *d = dir(nx.root, "d"), *e = dir(nx.root, "e");
	struct owfs_inode *x = dir(d, "x");

	(void)state;
	assert_int_equal(nlink_of(d), 3);
	assert_int_equal(nx_rename(d, "x", e, "y", 0), 0);
	assert_int_equal(nlink_of(d), 2);
	assert_int_equal(nlink_of(e), 3);
	assert_int_equal(parent_of(x), e->i_ino);
	assert_int_equal(nx_rename(e, "y", e, "z", 0), 0);
	assert_int_equal(nlink_of(e), 3);
	owfs_iput(d);
	owfs_iput(e);
	owfs_iput(x);
	nx_unmount(&nx);
}

/* -------------------------------------------------------------- replacing */

static void test_rename_over_a_file_replaces_it(void **state)
{
	struct owfs_inode *d = dir(nx.root, "d");
	owfs_ino_t a = file(nx.root, "a"), b = file(d, "b");
	struct owfs_inode *gone;

	(void)state;
	assert_int_equal(nx_rename(nx.root, "a", d, "b", 0), 0);
	is_at(d, "b", a);
	assert_int_equal(nx_stat(nx.root).st_size, 1);
	assert_int_equal(nx_stat(d).st_size, 1);
	nx_reclaim(&nx);
	assert_int_equal(owfs_iget(nx.fs, b, &gone), -ENOENT);
	owfs_iput(d);
	nx_unmount(&nx);
}

static void test_replaced_file_lives_until_it_is_closed(void **state)
{
	struct owfs_inode *old = nx_make(nx.root, "b", S_IFREG | 0644);
	char buf[4];

	(void)state;
	file(nx.root, "a");
	assert_int_equal(owfs_file_write(old, "old", 4, 0, false, false), 4);
	assert_int_equal(nx_rename(nx.root, "a", nx.root, "b", 0), 0);
	nx_reclaim(&nx);
	assert_int_equal(owfs_file_read(old, buf, 4, 0), 4);
	assert_string_equal(buf, "old");
	assert_int_equal(nlink_of(old), 0);
	owfs_iput(old);
	nx_unmount(&nx);
}

static void test_rename_over_one_of_two_names(void **state)
{
	struct owfs_inode *b = nx_make(nx.root, "b", S_IFREG);

	(void)state;
	file(nx.root, "a");
	assert_int_equal(nx_link(b, nx.root, "c"), 0);
	assert_int_equal(nx_rename(nx.root, "a", nx.root, "b", 0), 0);
	assert_int_equal(nlink_of(b), 1);
	is_at(nx.root, "c", b->i_ino);
	owfs_iput(b);
	nx_unmount(&nx);
}

static void test_rename_onto_another_name_of_itself_does_nothing(void **state)
{
	struct owfs_inode *a = nx_make(nx.root, "a", S_IFREG);
	struct owfs_inode *d = dir(nx.root, "d");

	(void)state;
	assert_int_equal(nx_link(a, d, "b"), 0);
	assert_int_equal(nx_rename(nx.root, "a", d, "b", 0), 0);
	is_at(nx.root, "a", a->i_ino);
	is_at(d, "b", a->i_ino);
	assert_int_equal(nx_rename(nx.root, "a", d, "b", RENAME_NOREPLACE),
			 -EEXIST);
	owfs_iput(a);
	owfs_iput(d);
	nx_unmount(&nx);
}

static void test_only_like_replaces_like(void **state)
{
	struct owfs_inode *d = dir(nx.root, "d"), *e = dir(nx.root, "e");

	(void)state;
	file(nx.root, "f");
	file(e, "x");
	assert_int_equal(nx_rename(nx.root, "d", nx.root, "f", 0), -ENOTDIR);
	assert_int_equal(nx_rename(nx.root, "f", nx.root, "d", 0), -EISDIR);
	assert_int_equal(nx_rename(nx.root, "d", nx.root, "e", 0), -ENOTEMPTY);
	assert_int_equal(nx_rename(nx.root, "e", nx.root, "d", 0), 0);
	assert_int_equal(nlink_of(nx.root), 3);
	assert_int_equal(nlink_of(d), 0);
	is_at(nx.root, "d", e->i_ino);
	owfs_iput(d);
	owfs_iput(e);
	nx_unmount(&nx);
}

static void test_directory_replaces_an_empty_one_elsewhere(void **state)
{
	struct owfs_inode *d = dir(nx.root, "d"), *e = dir(d, "e");
	struct owfs_inode *x = dir(nx.root, "x");

	(void)state;
	assert_int_equal(nx_rename(nx.root, "x", d, "e", 0), 0);
	assert_int_equal(nlink_of(nx.root), 3);
	assert_int_equal(nlink_of(d), 3);
	assert_int_equal(nlink_of(e), 0);
	assert_int_equal(parent_of(x), d->i_ino);
	owfs_iput(d);
	owfs_iput(e);
	owfs_iput(x);
	nx_unmount(&nx);
}

/* ------------------------------------------------------------------ loops */

static void test_nothing_ends_up_below_itself(void **state)
{
	struct owfs_inode *a = dir(nx.root, "a"), *b = dir(a, "b");
	struct owfs_inode *c = dir(b, "c");

	(void)state;
	assert_int_equal(nx_rename(nx.root, "a", a, "x", 0), -EINVAL);
	assert_int_equal(nx_rename(nx.root, "a", b, "x", 0), -EINVAL);
	assert_int_equal(nx_rename(nx.root, "a", c, "x", 0), -EINVAL);
	assert_int_equal(nx_rename(a, "b", c, "x", 0), -EINVAL);
	assert_int_equal(nx_rename(a, "b", nx.root, "a", 0), -ENOTEMPTY);
	assert_int_equal(nx_rename(b, "c", nx.root, "a", 0), -ENOTEMPTY);
	assert_int_equal(nx_rename(b, "c", nx.root, "a", RENAME_EXCHANGE),
			 -EINVAL);
	assert_int_equal(nx_rename(nx.root, "a", b, "c", RENAME_EXCHANGE),
			 -EINVAL);
	assert_int_equal(nx_rename(b, "c", nx.root, "c", 0), 0);
	owfs_iput(a);
	owfs_iput(b);
	owfs_iput(c);
	nx_unmount(&nx);
}

/* ------------------------------------------------------------------ flags */

static void test_flags_that_contradict_are_refused(void **state)
{
	(void)state;
	file(nx.root, "a");
	file(nx.root, "b");
	assert_int_equal(nx_rename(nx.root, "a", nx.root, "b", 1u << 30),
			 -EINVAL);
	assert_int_equal(nx_rename(nx.root, "a", nx.root, "b",
				   RENAME_EXCHANGE | RENAME_NOREPLACE), -EINVAL);
	assert_int_equal(nx_rename(nx.root, "a", nx.root, "b",
				   RENAME_EXCHANGE | RENAME_WHITEOUT), -EINVAL);
	nx_unmount(&nx);
}

static void test_noreplace_replaces_nothing(void **state)
{
	owfs_ino_t a = file(nx.root, "a"), b = file(nx.root, "b");

	(void)state;
	assert_int_equal(nx_rename(nx.root, "a", nx.root, "b",
				   RENAME_NOREPLACE), -EEXIST);
	assert_int_equal(nx_rename(nx.root, "a", nx.root, "c",
				   RENAME_NOREPLACE), 0);
	is_at(nx.root, "b", b);
	is_at(nx.root, "c", a);
	nx_unmount(&nx);
}

static void test_exchange_of_two_files(void **state)
{
	struct owfs_inode *d = dir(nx.root, "d");
	owfs_ino_t a = file(nx.root, "a"), b = file(d, "b");

	(void)state;
	assert_int_equal(nx_rename(nx.root, "a", d, "b", RENAME_EXCHANGE), 0);
	is_at(nx.root, "a", b);
	is_at(d, "b", a);
	assert_int_equal(nx_rename(nx.root, "a", d, "c", RENAME_EXCHANGE),
			 -ENOENT);
	owfs_iput(d);
	nx_unmount(&nx);
}

static void test_exchange_of_a_file_and_a_directory(void **state)
{
	struct owfs_inode *d = dir(nx.root, "d"), *x = dir(nx.root, "x");
	owfs_ino_t b = file(d, "b");

	(void)state;
	file(x, "inside");
	assert_int_equal(nx_rename(nx.root, "x", d, "b", RENAME_EXCHANGE), 0);
	is_at(nx.root, "x", b);
	is_at(d, "b", x->i_ino);
	assert_int_equal(parent_of(x), d->i_ino);
	assert_int_equal(nlink_of(nx.root), 3);
	assert_int_equal(nlink_of(d), 3);
	/* and back, the other way round */
	assert_int_equal(nx_rename(nx.root, "x", d, "b", RENAME_EXCHANGE), 0);
	assert_int_equal(nlink_of(nx.root), 4);
	assert_int_equal(nlink_of(d), 2);
	/* within one directory nothing is counted differently */
	assert_int_equal(nx_rename(nx.root, "x", nx.root, "d",
				   RENAME_EXCHANGE), 0);
	assert_int_equal(nlink_of(nx.root), 4);
	is_at(nx.root, "d", x->i_ino);
	owfs_iput(d);
	owfs_iput(x);
	nx_unmount(&nx);
}

static void test_exchange_of_two_directories(void **state)
{
	struct owfs_inode *d = dir(nx.root, "d"), *e = dir(nx.root, "e");
	struct owfs_inode *x = dir(d, "x"), *y = dir(e, "y");

	(void)state;
	assert_int_equal(nx_rename(d, "x", e, "y", RENAME_EXCHANGE), 0);
	assert_int_equal(parent_of(x), e->i_ino);
	assert_int_equal(parent_of(y), d->i_ino);
	assert_int_equal(nlink_of(d), 3);
	assert_int_equal(nlink_of(e), 3);
	owfs_iput(d);
	owfs_iput(e);
	owfs_iput(x);
	owfs_iput(y);
	nx_unmount(&nx);
}

static void test_whiteout_stays_in_the_old_place(void **state)
{
	struct owfs_inode *d = dir(nx.root, "d"), *white;
	owfs_ino_t a = file(nx.root, "a"), b = file(nx.root, "b");
	struct stat st;

	(void)state;
	assert_int_equal(nx_rename(nx.root, "a", d, "a", RENAME_WHITEOUT), 0);
	is_at(d, "a", a);
	assert_int_equal(nx_lookup(nx.root, "a", &white), 0);
	st = nx_stat(white);
	owfs_iput(white);
	assert_int_equal(st.st_mode, S_IFCHR);
	assert_int_equal(st.st_rdev, 0);
	assert_int_equal(st.st_nlink, 1);
	assert_int_equal(nx_stat(nx.root).st_size, 3);
	assert_int_equal(nx_rename(nx.root, "b", d, "a",
				   RENAME_WHITEOUT | RENAME_NOREPLACE), -EEXIST);
	assert_int_equal(nx_rename(nx.root, "b", nx.root, "a",
				   RENAME_WHITEOUT), 0);
	is_at(nx.root, "a", b);
	assert_int_equal(nx_rename(nx.root, "d", nx.root, "e",
				   RENAME_WHITEOUT), 0);
	assert_int_equal(nlink_of(nx.root), 3);
	owfs_iput(d);
	nx_unmount(&nx);
}

/* ----------------------------------------------------------------- limits */

static void test_rename_works_with_names_of_one_hash(void **state)
{
	owfs_ino_t a, b;

	(void)state;
	nx.hash_mask = 1;
	nx.fs->fs_itable->it_hash_mask = 1;
	a = file(nx.root, "a");
	b = file(nx.root, "b");
	assert_int_equal(nx_rename(nx.root, "a", nx.root, "c", 0), 0);
	assert_int_equal(nx_rename(nx.root, "b", nx.root, "a", 0), 0);
	assert_int_equal(nx_rename(nx.root, "c", nx.root, "a",
				   RENAME_EXCHANGE), 0);
	is_at(nx.root, "a", a);
	is_at(nx.root, "c", b);
	nx_unmount(&nx);
}

static void test_subdirectories_of_a_directory_have_a_limit(void **state)
{
	struct owfs_inode *d = dir(nx.root, "d"), *x = dir(nx.root, "x"), *y;

	(void)state;
	d->i_attr.nlink = OWFS_LINK_MAX;
	assert_int_equal(nx_rename(nx.root, "x", d, "x", 0), -EMLINK);
	assert_int_equal(nx_create(d, "y", S_IFDIR, &y), -EMLINK);
	file(nx.root, "f");
	assert_int_equal(nx_rename(nx.root, "f", d, "f", 0), 0);
	d->i_attr.nlink = 2;
	owfs_iput(d);
	owfs_iput(x);
	nx_crash(&nx);
}

static void test_damaged_counts_are_noticed(void **state)
{
	struct owfs_inode *d = dir(nx.root, "d");

	(void)state;
	file(d, "f");
	d->i_attr.size = 0;
	assert_int_equal(nx_rename(d, "f", nx.root, "f", 0), -EFSCORRUPTED);
	assert_int_equal(owfs_fs_writable(nx.fs), -EROFS);
	owfs_iput(d);
}

/* One more would be a count that cannot be read again. */
static void no_room_in_the_count(struct owfs_inode *d)
{
	d->i_attr.size = INT64_MAX;
}

static void test_a_count_with_no_room_is_noticed_by_create(void **state)
{
	struct owfs_inode *d = dir(nx.root, "d"), *f;

	(void)state;
	no_room_in_the_count(d);
	assert_int_equal(nx_create(d, "f", S_IFREG, &f), -EFSCORRUPTED);
	assert_int_equal(owfs_fs_writable(nx.fs), -EROFS);
	owfs_iput(d);
}

static void test_a_count_with_no_room_is_noticed_by_link(void **state)
{
	struct owfs_inode *d = dir(nx.root, "d"), *f;

	(void)state;
	f = nx_make(nx.root, "f", S_IFREG | 0644);
	no_room_in_the_count(d);
	assert_int_equal(owfs_link(f, d, "f", 1), -EFSCORRUPTED);
	owfs_iput(f);
	owfs_iput(d);
}

static void test_a_count_with_no_room_is_noticed_by_rename(void **state)
{
	struct owfs_inode *d = dir(nx.root, "d");

	(void)state;
	file(nx.root, "f");
	no_room_in_the_count(d);
	assert_int_equal(nx_rename(nx.root, "f", d, "f", 0), -EFSCORRUPTED);
	owfs_iput(d);
}

static void test_a_count_with_no_room_can_be_exchanged_in(void **state)
{
	struct owfs_inode *d = dir(nx.root, "d");

	(void)state;
	file(nx.root, "f");
	file(d, "f");
	no_room_in_the_count(d);
	assert_int_equal(nx_rename(nx.root, "f", d, "f", RENAME_EXCHANGE), 0);
	owfs_iput(d);
	nx_crash(&nx);
}

/* ------------------------------------------------------------------ model */

static int apply(const struct op *op)
{
	if (op->kind != OP_REMOUNT)
		return rig_apply(nx.fs, op);
	nx_remount(&nx);
	return 0;
}

static void against_model(uint64_t seed, const struct op_profile *profile,
			  unsigned int n)
{
	struct model *model = model_new();
	struct rng rng = { seed };
	unsigned int i;
	struct op op;
	char text[600];
	int err;

	for (i = 0; i < n; i++) {
		op_random(&op, profile, &rng);
		op_to_text(&op, text, sizeof(text));
		err = model_apply(model, &op);
		if (apply(&op) != err)
			fail_msg("seed %llu, operation %u: %s: not %d",
				 (unsigned long long)seed, i, text, err);
		if (i % 7 == 0)
			owfs_reclaim_step(nx.fs);
		if (i % 5 == 0)
			assert_true(owfs_commit_step(nx.fs, i % 3 == 0) >= 0);
		if (i % 100 == 99 &&
		    rig_digest(nx.fs, NULL, &err) != model_digest(model, NULL))
			fail_msg("seed %llu: another tree after operation %u: %s",
				 (unsigned long long)seed, i, text);
	}
	model_free(model);
	nx_unmount(&nx);
}

static void test_operations_do_what_the_model_does(void **state)
{
	(void)state;
	against_model(7, &op_profile_mixed, 1500);
}

static void test_long_names_do_what_the_model_does(void **state)
{
	(void)state;
	against_model(8, &op_profile_names, 1500);
}

static void test_names_of_three_hashes_do_what_the_model_does(void **state)
{
	(void)state;
	nx.hash_mask = 3;
	nx.fs->fs_itable->it_hash_mask = 3;
	against_model(9, &op_profile_mixed, 1000);
}

#define T(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_rename_within_a_directory),
		T(test_rename_between_directories_up_and_down),
		T(test_moved_directory_knows_its_parent),
		T(test_rename_over_a_file_replaces_it),
		T(test_replaced_file_lives_until_it_is_closed),
		T(test_rename_over_one_of_two_names),
		T(test_rename_onto_another_name_of_itself_does_nothing),
		T(test_only_like_replaces_like),
		T(test_directory_replaces_an_empty_one_elsewhere),
		T(test_nothing_ends_up_below_itself),
		T(test_flags_that_contradict_are_refused),
		T(test_noreplace_replaces_nothing),
		T(test_exchange_of_two_files),
		T(test_exchange_of_a_file_and_a_directory),
		T(test_exchange_of_two_directories),
		T(test_whiteout_stays_in_the_old_place),
		T(test_rename_works_with_names_of_one_hash),
		T(test_subdirectories_of_a_directory_have_a_limit),
		T(test_damaged_counts_are_noticed),
		T(test_a_count_with_no_room_is_noticed_by_create),
		T(test_a_count_with_no_room_is_noticed_by_link),
		T(test_a_count_with_no_room_is_noticed_by_rename),
		T(test_a_count_with_no_room_can_be_exchanged_in),
		T(test_operations_do_what_the_model_does),
		T(test_long_names_do_what_the_model_does),
		T(test_names_of_three_hashes_do_what_the_model_does),
	};

	return cmocka_run_group_tests_name("rename", tests, NULL, NULL);
}
