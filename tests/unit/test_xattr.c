/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Extended attributes: values of every size, names of one hash, damage. */
#include "object_fixture.h"

#include <sys/xattr.h>

#include "object/itable.h"
#include "object/xattr.h"

#define BYTES	(16u << 20)

static struct fx fx;
static struct owfs_inode *file;
static char value[OWFS_XATTR_SIZE_MAX + 1], got[OWFS_XATTR_SIZE_MAX + 1];

static int setup(void **state)
{
	(void)state;
	fx = (struct fx){ .seed = 41 };
	fx_start(&fx, BYTES, 4096);
	file = fx_file(&fx);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (file)
		owfs_iput(file);
	fx_done(&fx);
	return 0;
}

/* Bytes that differ from place to place and from seed to seed. */
static const char *fill(size_t size, unsigned int seed)
{
	size_t i;

	for (i = 0; i < size; i++)
		value[i] = (char)((i * 31 + i / 251 + seed * 7) & 0xff);
	return value;
}

static int set(const char *name, const void *val, size_t size, int flags)
{
	int ret;

	OWFS_RETRY(fx.fs, ret, owfs_xattr_set(file, name, strlen(name), val,
					      size, flags));
	return ret;
}

static int take_away(const char *name)
{
	return set(name, NULL, 0, 0);
}

static ssize_t get(const char *name, size_t size)
{
	return owfs_xattr_get(file, name, strlen(name), got, size);
}

static void has(const char *name, size_t size, unsigned int seed)
{
	assert_int_equal(get(name, 0), size);
	memset(got, 0xee, sizeof(got));
	assert_int_equal(get(name, sizeof(got)), size);
	assert_memory_equal(got, fill(size, seed), size);
	assert_int_equal((unsigned char)got[size < sizeof(got) - 1 ? size :
					    sizeof(got) - 1], 0xee);
}

static unsigned int items(enum owfs_item_type type)
{
	struct owfs_key key = owfs_key(file->i_ino, type, 0);
	struct owfs_key last = owfs_key(file->i_ino, type, UINT64_MAX);
	unsigned int n = 0;
	char byte;

	while (owfs_btree_next(fx.fs->fs_bt, &key, &last, &byte, 1) >= 0) {
		n++;
		key = owfs_key_next(&key);
	}
	return n;
}

static void reload(void)
{
	owfs_ino_t ino = file->i_ino;

	owfs_iput(file);
	file = NULL;
	fx_unmount(&fx);
	fx_open(&fx);
	file = fx_iget(&fx, ino);
}

/* ------------------------------------------------------------------ tests */

static void test_values_of_every_size_come_back(void **state)
{
	static const size_t size[] = {
		0, 1, 100, 938, 939, 940, 941, 959, 960, 961, 1920, 1921, 4096,
		65535, 65536,
	};
	char name[32];
	unsigned int i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(size); i++) {
		snprintf(name, sizeof(name), "user.%02u", i);
		assert_int_equal(set(name, fill(size[i], i), size[i], 0), 0);
	}
	reload();
	for (i = 0; i < ARRAY_SIZE(size); i++) {
		snprintf(name, sizeof(name), "user.%02u", i);
		has(name, size[i], i);
	}
	for (i = 0; i < ARRAY_SIZE(size); i++) {
		snprintf(name, sizeof(name), "user.%02u", i);
		assert_int_equal(take_away(name), 0);
		assert_int_equal(get(name, 0), -ENODATA);
	}
	assert_int_equal(items(OWFS_ITEM_XATTR), 0);
	assert_int_equal(items(OWFS_ITEM_XATTR_CHUNK), 0);
	fx_check(&fx);
}

static void test_replaced_value_leaves_nothing_behind(void **state)
{
	static const size_t size[] = { 10, 5000, 0, 65536, 961, 20, 65536 };
	unsigned int i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(size); i++) {
		assert_int_equal(set("user.x", fill(size[i], i), size[i], 0),
				 0);
		has("user.x", size[i], i);
		assert_int_equal(items(OWFS_ITEM_XATTR), 1);
		assert_int_equal(items(OWFS_ITEM_XATTR_CHUNK),
				 size[i] > 900 ? div_round_up(size[i], 960) : 0);
	}
}

static void test_create_and_replace_flags(void **state)
{
	(void)state;
	assert_int_equal(set("user.a", "1", 1, XATTR_REPLACE), -ENODATA);
	assert_int_equal(set("user.a", "1", 1, XATTR_CREATE), 0);
	assert_int_equal(set("user.a", "2", 1, XATTR_CREATE), -EEXIST);
	assert_int_equal(set("user.a", "3", 1, XATTR_REPLACE), 0);
	assert_int_equal(get("user.a", 10), 1);
	assert_int_equal(got[0], '3');
	assert_int_equal(set("user.a", "3", 1, 64), -EINVAL);
	assert_int_equal(take_away("user.b"), -ENODATA);
}

static void test_limits_of_names_and_values(void **state)
{
	char name[OWFS_XATTR_NAME_MAX + 2];

	(void)state;
	memset(name, 'n', sizeof(name));
	name[OWFS_XATTR_NAME_MAX + 1] = '\0';
	assert_int_equal(set(name, "v", 1, 0), -ENAMETOOLONG);
	name[OWFS_XATTR_NAME_MAX] = '\0';
	assert_int_equal(set(name, fill(800, 1), 800, 0), 0);
	has(name, 800, 1);
	assert_int_equal(set("", "v", 1, 0), -EINVAL);
	assert_int_equal(set("user.x", value, OWFS_XATTR_SIZE_MAX + 1, 0),
			 -E2BIG);
	assert_int_equal(set("user.x", fill(100, 1), 100, 0), 0);
	assert_int_equal(get("user.x", 99), -ERANGE);
	assert_int_equal(get("user.x", 100), 100);
	assert_int_equal(set("user.x", fill(9999, 1), 9999, 0), 0);
	assert_int_equal(get("user.x", 9998), -ERANGE);
}

static void test_list_has_every_name_once(void **state)
{
	char list[600];
	ssize_t len;
	unsigned int n = 0, bits = 0;

	(void)state;
	assert_int_equal(owfs_xattr_list(file, list, sizeof(list), NULL, NULL), 0);
	assert_int_equal(set("user.a", "1", 1, 0), 0);
	assert_int_equal(set("user.bb", fill(3000, 1), 3000, 0), 0);
	assert_int_equal(set("trusted.c", "", 0, 0), 0);
	assert_int_equal(owfs_xattr_list(file, NULL, 0, NULL, NULL), 7 + 8 + 10);
	assert_int_equal(owfs_xattr_list(file, list, 24, NULL, NULL), -ERANGE);
	len = owfs_xattr_list(file, list, sizeof(list), NULL, NULL);
	assert_int_equal(len, 25);
	for (char *p = list; p < list + len; p += strlen(p) + 1, n++) {
		bits |= strcmp(p, "user.a") ? 0 : 1;
		bits |= strcmp(p, "user.bb") ? 0 : 2;
		bits |= strcmp(p, "trusted.c") ? 0 : 4;
	}
	assert_int_equal(n, 3);
	assert_int_equal(bits, 7);
}

static void test_names_of_one_hash_are_told_apart(void **state)
{
	char name[32];
	unsigned int i;

	(void)state;
	fx.fs->fs_itable->it_hash_mask = 0;
	for (i = 0; i < 256; i++) {
		snprintf(name, sizeof(name), "user.%u", i);
		assert_int_equal(set(name, fill(i, i), i, XATTR_CREATE), 0);
	}
	assert_int_equal(set("user.more", "x", 1, 0), -ENOSPC);
	assert_int_equal(set("user.7", fill(9, 9), 9, XATTR_REPLACE), 0);
	has("user.7", 9, 9);
	has("user.200", 200, 200);
	assert_int_equal(take_away("user.200"), 0);
	assert_int_equal(set("user.more", "x", 1, 0), 0);
	assert_int_equal(get("user.200", 0), -ENODATA);
}

static void test_change_sets_ctime_only(void **state)
{
	struct timespec mtime = file->i_attr.mtime, ctime = file->i_attr.ctime;

	(void)state;
	assert_int_equal(set("user.a", "1", 1, 0), 0);
	assert_int_equal(file->i_attr.mtime.tv_nsec, mtime.tv_nsec);
	assert_true(file->i_attr.ctime.tv_sec > ctime.tv_sec ||
		    file->i_attr.ctime.tv_nsec > ctime.tv_nsec);
	reload();
	assert_int_equal(file->i_attr.mtime.tv_nsec, mtime.tv_nsec);
}

static void test_same_value_is_no_change(void **state)
{
	struct timespec ctime;

	(void)state;
	assert_int_equal(set("user.a", fill(500, 1), 500, 0), 0);
	assert_int_equal(set("user.e", "", 0, 0), 0);
	ctime = file->i_attr.ctime;
	assert_int_equal(set("user.a", fill(500, 1), 500, 0), 0);
	assert_int_equal(set("user.a", fill(500, 1), 500, XATTR_CREATE), -EEXIST);
	assert_int_equal(set("user.e", "", 0, XATTR_REPLACE), 0);
	assert_memory_equal(&file->i_attr.ctime, &ctime, sizeof(ctime));
	value[499] ^= 1;
	assert_int_equal(set("user.a", value, 500, 0), 0);
	assert_memory_not_equal(&file->i_attr.ctime, &ctime, sizeof(ctime));
	assert_int_equal(get("user.a", sizeof(got)), 500);
	assert_memory_equal(got, value, 500);
}

static void test_value_ids_may_wrap(void **state)
{
	(void)state;
	assert_int_equal(set("user.a", fill(1000, 1), 1000, 0), 0);
	pthread_rwlock_wrlock(&file->i_lock);
	file->i_attr.xattr_next = UINT32_MAX;
	pthread_rwlock_unlock(&file->i_lock);
	assert_int_equal(set("user.b", fill(2000, 2), 2000, 0), 0);
	assert_int_equal(set("user.c", fill(3000, 3), 3000, 0), 0);
	has("user.a", 1000, 1);
	has("user.b", 2000, 2);
	has("user.c", 3000, 3);
	assert_int_equal(items(OWFS_ITEM_XATTR_CHUNK), 2 + 3 + 4);
}

static void test_change_is_whole_after_a_crash(void **state)
{
	struct owfs_inode *inode;
	owfs_ino_t ino = file->i_ino;

	(void)state;
	assert_int_equal(set("user.x", fill(60000, 1), 60000, 0), 0);
	assert_int_equal(owfs_commit_all(fx.fs), 0);
	assert_int_equal(set("user.x", fill(50000, 2), 50000, 0), 0);
	owfs_iput(file);
	fx_abandon(&fx);
	fx_open(&fx);
	inode = file = fx_iget(&fx, ino);
	assert_non_null(inode);
	has("user.x", 60000, 1);
	assert_int_equal(items(OWFS_ITEM_XATTR_CHUNK), div_round_up(60000, 960));
}

static void test_readonly_filesystem_keeps_its_attributes(void **state)
{
	(void)state;
	assert_int_equal(set("user.a", "1", 1, 0), 0);
	owfs_fs_fail(fx.fs, -EIO, "on purpose");
	assert_int_equal(set("user.a", "2", 1, 0), -EROFS);
	assert_int_equal(take_away("user.a"), -EROFS);
	assert_int_equal(get("user.a", 10), 1);
	assert_int_equal(got[0], '1');
}

/* ----------------------------------------------------------------- damage */

static void poke(const struct owfs_key *key, const void *val, size_t len)
{
	struct owfs_trans tr;
	int ret;

	OWFS_RETRY(fx.fs, ret,
		   owfs_trans_begin(fx.fs, &tr, 1, 1, OWFS_RESV_NORMAL));
	assert_int_equal(ret, 0);
	if (val)
		ret = owfs_btree_update(fx.fs->fs_bt, key, val, len);
	else
		ret = owfs_btree_delete(fx.fs->fs_bt, key);
	assert_int_equal(ret, 0);
	assert_int_equal(owfs_trans_end(&tr), 0);
}

static struct owfs_key first_key(enum owfs_item_type type)
{
	struct owfs_key key = owfs_key(file->i_ino, type, 0);
	struct owfs_key last = owfs_key(file->i_ino, type, UINT64_MAX);
	char byte;

	assert_true(owfs_btree_next(fx.fs->fs_bt, &key, &last, &byte, 1) >= 0);
	return key;
}

static void test_damaged_item_makes_the_filesystem_readonly(void **state)
{
	struct owfs_key key;
	char list[100];

	(void)state;
	assert_int_equal(set("user.a", "1", 1, 0), 0);
	key = first_key(OWFS_ITEM_XATTR);
	poke(&key, "garbage", 7);
	assert_int_equal(get("user.a", 10), -EFSCORRUPTED);
	assert_int_equal(owfs_xattr_list(file, list, sizeof(list), NULL, NULL),
			 -EFSCORRUPTED);
	assert_int_equal(owfs_fs_writable(fx.fs), -EROFS);
}

static void test_missing_chunk_is_damage(void **state)
{
	struct owfs_key key;

	(void)state;
	assert_int_equal(set("user.a", fill(5000, 1), 5000, 0), 0);
	key = first_key(OWFS_ITEM_XATTR_CHUNK);
	key.off += 5;
	poke(&key, NULL, 0);
	assert_int_equal(get("user.a", sizeof(got)), -EFSCORRUPTED);
	assert_int_equal(owfs_fs_writable(fx.fs), -EROFS);
}

static void test_chunk_of_wrong_length_is_damage(void **state)
{
	struct owfs_key key;

	(void)state;
	assert_int_equal(set("user.a", fill(5000, 1), 5000, 0), 0);
	key = first_key(OWFS_ITEM_XATTR_CHUNK);
	key.off += 5;
	poke(&key, value, 201);
	assert_int_equal(get("user.a", sizeof(got)), -EFSCORRUPTED);
}

static void test_impossible_items_are_refused(void **state)
{
	union {
		struct owfs_xattr_item x;
		char bytes[sizeof(struct owfs_xattr_item) + 8];
	} e, good = {
		.x.valuelen = cpu_to_le32(3), .x.namelen = cpu_to_le16(5),
	};
	size_t len = sizeof(good.x) + 8;

	(void)state;
	memcpy(good.x.name, "namesval", 8);
	assert_int_equal(owfs_xattr_check(&good.x, len, 256), 0);
	assert_int_equal(owfs_xattr_check(&good.x, len, 0), -EFSCORRUPTED);
	assert_int_equal(owfs_xattr_check(&good.x, len, 1ull << 63),
			 -EFSCORRUPTED);
	assert_int_equal(owfs_xattr_check(&good.x, len - 1, 256),
			 -EFSCORRUPTED);
	assert_int_equal(owfs_xattr_check(&good.x, 1, 256), -EFSCORRUPTED);
#define REFUSED(field, v)						\
	do {								\
		e = good;						\
		e.x.field = v;						\
		assert_int_equal(owfs_xattr_check(&e.x, len, 256),	\
				 -EFSCORRUPTED);			\
	} while (0)
	REFUSED(valuelen, cpu_to_le32(4));
	REFUSED(valuelen, cpu_to_le32(0xffffffff));
	REFUSED(valueid, cpu_to_le32(1));
	REFUSED(namelen, cpu_to_le16(0));
	REFUSED(namelen, cpu_to_le16(256));
	REFUSED(zero16, cpu_to_le16(1));
	REFUSED(zero32, cpu_to_le32(1));
	REFUSED(name[2], '\0');
#undef REFUSED
}

#define T(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_values_of_every_size_come_back),
		T(test_replaced_value_leaves_nothing_behind),
		T(test_create_and_replace_flags),
		T(test_limits_of_names_and_values),
		T(test_list_has_every_name_once),
		T(test_names_of_one_hash_are_told_apart),
		T(test_change_sets_ctime_only),
		T(test_same_value_is_no_change),
		T(test_value_ids_may_wrap),
		T(test_change_is_whole_after_a_crash),
		T(test_readonly_filesystem_keeps_its_attributes),
		T(test_damaged_item_makes_the_filesystem_readonly),
		T(test_missing_chunk_is_damage),
		T(test_chunk_of_wrong_length_is_damage),
		cmocka_unit_test(test_impossible_items_are_refused),
	};

	return cmocka_run_group_tests_name("xattr", tests, NULL, NULL);
}
