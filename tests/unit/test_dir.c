/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Directory entries: hashes, sequences, cookies, and bytes nobody should trust. */
#include "object_fixture.h"

#include <dirent.h>

#include "object/dir.h"
#include "object/itable.h"

#define BYTES	(16u << 20)
#define DIR	OWFS_INO_ROOT
#define INO	77u		/* what entries name; never looked at here */

static struct fx fx;

static int setup(void **state)
{
	(void)state;
	fx = (struct fx){ .seed = 31 };
	fx_start(&fx, BYTES, 4096);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fx_done(&fx);
	return 0;
}

/* All names have one hash. */
static void weaken(void)
{
	fx.fs->fs_itable->it_hash_mask = 0;
}

enum change { INSERT, REPLACE, REMOVE };

static void change(enum change what, const struct owfs_dirslot *slot,
		   const char *name, owfs_ino_t ino, uint32_t mode)
{
	size_t len = strlen(name);
	struct owfs_trans tr;
	int ret;

	OWFS_RETRY(fx.fs, ret,
		   owfs_trans_begin(fx.fs, &tr, 1, 1, OWFS_RESV_NORMAL));
	assert_int_equal(ret, 0);
	if (what == INSERT)
		ret = owfs_dir_insert(&tr, slot, name, len, ino, mode);
	else if (what == REPLACE)
		ret = owfs_dir_replace(&tr, slot, name, len, ino, mode);
	else
		ret = owfs_dir_remove(&tr, slot);
	assert_int_equal(ret, 0);
	assert_int_equal(owfs_trans_end(&tr), 0);
}

static int find(const char *name, struct owfs_dirslot *slot)
{
	return owfs_dir_find(fx.fs, DIR, name, strlen(name), slot);
}

/* Its cookie. */
static uint64_t add(const char *name)
{
	struct owfs_dirslot slot;

	assert_int_equal(find(name, &slot), -ENOENT);
	assert_false(slot.full);
	change(INSERT, &slot, name, INO, S_IFREG);
	return slot.key.off;
}

static void take_away(const char *name)
{
	struct owfs_dirslot slot;

	assert_int_equal(find(name, &slot), 0);
	change(REMOVE, &slot, name, 0, 0);
}

/* Entries in all, reading @size bytes at a time. */
static unsigned int count(size_t size)
{
	uint64_t buf[512], cookie = 0;
	const struct owfs_dirent_view *v;
	unsigned int n, i, all = 0;
	int last;

	assert_true(size <= sizeof(buf));
	do {
		last = owfs_dir_read(fx.fs, DIR, cookie, buf, size, &n);
		assert_in_range(last, 0, 1);
		assert_true(last || n);
		v = (const void *)buf;
		for (i = 0; i < n; i++, v = owfs_dirent_view_next(v)) {
			assert_true(v->cookie >= cookie);
			assert_int_equal(v->ino, INO);
			assert_int_equal(v->ftype, DT_REG);
			cookie = v->cookie + 1;
		}
		all += n;
	} while (!last);
	return all;
}

/* ------------------------------------------------------------------ tests */

static void test_hashes_are_55_bits_and_never_zero(void **state)
{
	char name[16];
	unsigned int i;
	uint64_t hash, seen = 0;

	(void)state;
	for (i = 0; i < 2000; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		hash = owfs_name_hash(fx.fs, name, strlen(name));
		assert_true(hash > 0 && hash < 1ull << OWFS_HASH_BITS);
		seen |= hash;
	}
	assert_int_equal(seen, (1ull << OWFS_HASH_BITS) - 1);
	weaken();
	assert_int_equal(owfs_name_hash(fx.fs, "x", 1), 1);
}

static void test_entry_is_found_replaced_and_removed(void **state)
{
	struct owfs_dirslot slot;
	uint64_t cookie = add("name");

	(void)state;
	assert_int_equal(find("name", &slot), 0);
	assert_int_equal(slot.ino, INO);
	assert_int_equal(slot.ftype, DT_REG);
	assert_int_equal(slot.key.off, cookie);
	assert_int_equal(find("nam", &slot), -ENOENT);
	assert_int_equal(find("name2", &slot), -ENOENT);

	assert_int_equal(find("name", &slot), 0);
	change(REPLACE, &slot, "name", 99, S_IFDIR);
	assert_int_equal(find("name", &slot), 0);
	assert_int_equal(slot.ino, 99);
	assert_int_equal(slot.ftype, DT_DIR);
	assert_int_equal(slot.key.off, cookie);

	change(REMOVE, &slot, "name", 0, 0);
	assert_int_equal(find("name", &slot), -ENOENT);
}

static void test_names_of_one_hash_are_told_apart(void **state)
{
	struct owfs_dirslot slot;
	uint64_t a, b, c;

	(void)state;
	weaken();
	a = add("aa");
	b = add("bb");
	c = add("cc");
	assert_int_equal(a, 256);
	assert_int_equal(b, 257);
	assert_int_equal(c, 258);
	assert_int_equal(find("bb", &slot), 0);
	assert_int_equal(slot.key.off, b);
	/* others keep their place when one goes; the next one takes it */
	take_away("bb");
	assert_int_equal(find("cc", &slot), 0);
	assert_int_equal(slot.key.off, c);
	assert_int_equal(add("dd"), b);
	assert_int_equal(add("ee"), 259);
}

static void test_name_257_of_one_hash_does_not_fit(void **state)
{
	struct owfs_dirslot slot;
	char name[16];
	unsigned int i;

	(void)state;
	weaken();
	for (i = 0; i < 256; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		assert_int_equal(add(name), 256 + i);
	}
	assert_int_equal(find("more", &slot), -ENOENT);
	assert_true(slot.full);
	assert_int_equal(find("n255", &slot), 0);
	take_away("n100");
	assert_int_equal(add("more"), 256 + 100);
	assert_int_equal(count(4096), 256);
}

static void test_reading_returns_each_entry_once(void **state)
{
	char name[OWFS_NAME_MAX + 1];
	unsigned int i;

	(void)state;
	for (i = 0; i < 300; i++) {
		memset(name, 'x', sizeof(name));
		snprintf(name, sizeof(name), "%u", i);
		name[strlen(name)] = 'x';
		name[1 + i % OWFS_NAME_MAX] = '\0';
		if (strlen(name) < 8)
			snprintf(name, sizeof(name), "s%u", i);
		add(name);
	}
	assert_int_equal(count(4096), 300);
	assert_int_equal(count(OWFS_DIRENT_VIEW_MAX), 300);
}

static void test_empty_directory_is_empty(void **state)
{
	unsigned int n;
	uint64_t buf[64];

	(void)state;
	assert_int_equal(owfs_dir_check_empty(fx.fs, DIR), 0);
	assert_int_equal(owfs_dir_read(fx.fs, DIR, 0, buf, sizeof(buf), &n), 1);
	assert_int_equal(n, 0);
	add("x");
	assert_int_equal(owfs_dir_check_empty(fx.fs, DIR), -ENOTEMPTY);
	take_away("x");
	assert_int_equal(owfs_dir_check_empty(fx.fs, DIR), 0);
}

static void test_longest_name_fits(void **state)
{
	struct owfs_dirslot slot;
	char name[OWFS_NAME_MAX + 1];

	(void)state;
	memset(name, 'n', OWFS_NAME_MAX);
	name[OWFS_NAME_MAX] = '\0';
	add(name);
	assert_int_equal(find(name, &slot), 0);
	assert_int_equal(count(OWFS_DIRENT_VIEW_MAX), 1);
}

static void test_possible_names(void **state)
{
	(void)state;
	assert_true(owfs_name_is_possible("a", 1));
	assert_true(owfs_name_is_possible("...", 3));
	assert_true(owfs_name_is_possible(".a", 2));
	assert_true(owfs_name_is_possible("\xff\n ", 3));
	assert_false(owfs_name_is_possible("", 0));
	assert_false(owfs_name_is_possible(".", 1));
	assert_false(owfs_name_is_possible("..", 2));
	assert_false(owfs_name_is_possible("a/b", 3));
	assert_false(owfs_name_is_possible("a\0b", 3));
}

/* ----------------------------------------------------------------- damage */

union entry {
	struct owfs_dirent_item d;
	char bytes[sizeof(struct owfs_dirent_item) + 8];
};

static int check(const union entry *e, size_t len, uint64_t off)
{
	return owfs_dirent_check(&e->d, len, off);
}

static void test_impossible_entries_are_refused(void **state)
{
	const union entry good = {
		.d.ino = cpu_to_le64(INO), .d.namelen = cpu_to_le16(4),
		.d.ftype = DT_REG,
	};
	size_t len = sizeof(good.d) + 4;
	union entry e;

	(void)state;
	e = good;
	memcpy(e.d.name, "name", 4);
	assert_int_equal(check(&e, len, 256), 0);
	assert_int_equal(check(&e, len, 255), -EFSCORRUPTED);
	assert_int_equal(check(&e, len, 1ull << 63), -EFSCORRUPTED);
	assert_int_equal(check(&e, len - 1, 256), -EFSCORRUPTED);
	assert_int_equal(check(&e, len + 1, 256), -EFSCORRUPTED);
	assert_int_equal(check(&e, 3, 256), -EFSCORRUPTED);
	memset(e.d.name, 0, 4);
	assert_int_equal(check(&e, len, 256), -EFSCORRUPTED);
#define REFUSED(field, value)						\
	do {								\
		e = good;						\
		memcpy(e.d.name, "name", 4);				\
		e.d.field = value;					\
		assert_int_equal(check(&e, len, 256), -EFSCORRUPTED);	\
	} while (0)
	REFUSED(ino, cpu_to_le64(0));
	REFUSED(ino, cpu_to_le64(OWFS_INO_ROOT));
	REFUSED(ino, cpu_to_le64(OWFS_INO_MAX + 1));
	REFUSED(ftype, DT_UNKNOWN);
	REFUSED(ftype, 255);
	REFUSED(zero, 1);
	REFUSED(zero32, cpu_to_le32(1));
	REFUSED(namelen, cpu_to_le16(0));
#undef REFUSED
}

static void test_damaged_entry_makes_the_filesystem_readonly(void **state)
{
	struct owfs_dirslot slot;
	struct owfs_trans tr;
	uint64_t buf[64];
	unsigned int n;
	int ret;

	(void)state;
	add("name");
	assert_int_equal(find("name", &slot), 0);
	OWFS_RETRY(fx.fs, ret,
		   owfs_trans_begin(fx.fs, &tr, 1, 1, OWFS_RESV_NORMAL));
	assert_int_equal(ret, 0);
	assert_int_equal(owfs_btree_update(fx.fs->fs_bt, &slot.key, "garbage",
					   7), 0);
	assert_int_equal(owfs_trans_end(&tr), 0);
	assert_int_equal(find("name", &slot), -EFSCORRUPTED);
	assert_int_equal(owfs_dir_read(fx.fs, DIR, 0, buf, sizeof(buf), &n),
			 -EFSCORRUPTED);
	assert_int_equal(owfs_fs_writable(fx.fs), -EROFS);
	assert_non_null(strstr(fx.said, "bad entry"));
}

#define T(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_hashes_are_55_bits_and_never_zero),
		T(test_entry_is_found_replaced_and_removed),
		T(test_names_of_one_hash_are_told_apart),
		T(test_name_257_of_one_hash_does_not_fit),
		T(test_reading_returns_each_entry_once),
		T(test_empty_directory_is_empty),
		T(test_longest_name_fits),
		cmocka_unit_test(test_possible_names),
		cmocka_unit_test(test_impossible_entries_are_refused),
		T(test_damaged_entry_makes_the_filesystem_readonly),
	};

	return cmocka_run_group_tests_name("dir", tests, NULL, NULL);
}
