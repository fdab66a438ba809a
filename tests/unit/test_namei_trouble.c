/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Operations on names where nothing is as it should be: damaged items, a
 * filesystem that is full or read-only, a device that does not read.
 */
#include "namei_fixture.h"

#include <dirent.h>

#define BYTES	(16u << 20)

static struct nx nx;

static int setup(void **state)
{
	(void)state;
	nx = (struct nx){ 0 };
	nx_start(&nx, BYTES);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	nx_done(&nx);
	return 0;
}

/* ----------------------------------------------------------------- damage */

/* Change one item by hand. */
static void poke(const struct owfs_key *key, const void *val, size_t len)
{
	struct owfs_trans tr;
	int ret;

	OWFS_RETRY(nx.fs, ret,
		   owfs_trans_begin(nx.fs, &tr, 1, 1, OWFS_RESV_NORMAL));
	assert_int_equal(ret, 0);
	ret = owfs_btree_update(nx.fs->fs_bt, key, val, len);
	if (ret == -ENOENT)
		ret = owfs_btree_insert(nx.fs->fs_bt, key, val, len);
	assert_int_equal(ret, 0);
	assert_int_equal(owfs_trans_end(&tr), 0);
}

static void poke_entry(struct owfs_inode *dir, owfs_ino_t ino,
		       unsigned char ftype)
{
	union {
		struct owfs_dirent_item d;
		char bytes[sizeof(struct owfs_dirent_item) + 1];
	} e = {
		.d.ino = cpu_to_le64(ino), .d.namelen = cpu_to_le16(1),
		.d.ftype = ftype,
	};
	struct owfs_key key = owfs_key(dir->i_ino, OWFS_ITEM_DIRENT, 256);

	nx.fs->fs_itable->it_hash_mask = 0;
	e.d.name[0] = 'x';
	poke(&key, &e, sizeof(e.d) + 1);
}

static void damage_is_seen(struct owfs_inode *dir, const char *what)
{
	struct owfs_inode *inode;

	assert_int_equal(nx_lookup(dir, "x", &inode), -EFSCORRUPTED);
	assert_int_equal(owfs_fs_writable(nx.fs), -EROFS);
	assert_int_equal(nx_unlink(dir, "x"), -EROFS);
	assert_non_null(strstr(nx.said, what));
}

static void test_entry_without_inode_is_damage(void **state)
{
	(void)state;
	poke_entry(nx.root, 1000000, DT_REG);
	damage_is_seen(nx.root, "does not exist");
}

static void test_entry_of_another_type_is_damage(void **state)
{
	struct owfs_inode *file = nx_make(nx.root, "f", S_IFREG);

	(void)state;
	poke_entry(nx.root, file->i_ino, DT_DIR);
	damage_is_seen(nx.root, "is of another type");
	owfs_iput(file);
}

/* Or a lock of the parent could be waited for below it. */
static void test_second_entry_of_a_directory_is_damage(void **state)
{
	struct owfs_inode *a = nx_make(nx.root, "a", S_IFDIR);
	struct owfs_inode *b = nx_make(a, "b", S_IFDIR);

	(void)state;
	poke_entry(b, a->i_ino, DT_DIR);
	damage_is_seen(b, "is in another directory");
	owfs_iput(a);
	owfs_iput(b);
}

static void test_circle_of_parents_ends_a_rename(void **state)
{
	struct owfs_inode *a = nx_make(nx.root, "a", S_IFDIR);
	struct owfs_inode *b = nx_make(nx.root, "b", S_IFDIR);
	struct owfs_inode *c = nx_make(nx.root, "c", S_IFDIR);

	(void)state;
	a->i_attr.parent = b->i_ino;
	b->i_attr.parent = a->i_ino;
	assert_int_equal(nx_rename(c, "x", a, "y", 0), -EFSCORRUPTED);
	assert_non_null(strstr(nx.said, "is above itself"));
	owfs_iput(a);
	owfs_iput(b);
	owfs_iput(c);
}

static void test_damaged_symlink_is_no_answer(void **state)
{
	struct owfs_inode *inode = nx_make(nx.root, "l", S_IFLNK | 0777);
	struct owfs_key key = owfs_key(inode->i_ino, OWFS_ITEM_SYMLINK, 0);
	char buf[OWFS_SYMLINK_MAX];

	(void)state;
	assert_int_equal(owfs_readlink(inode, buf, sizeof(buf)), 6);
	poke(&key, "targe", 5);
	assert_int_equal(owfs_readlink(inode, buf, sizeof(buf)),
			 -EFSCORRUPTED);
	owfs_iput(inode);
}

static void test_mount_refuses_a_root_that_is_none(void **state)
{
	struct owfs_key key = owfs_key(OWFS_INO_ROOT, OWFS_ITEM_INODE, 0);
	struct owfs_attr attr = { .mode = S_IFREG | 0755, .nlink = 1 };
	struct owfs_inode_item item;

	(void)state;
	owfs_attr_to_disk(&item, &attr);
	poke(&key, &item, sizeof(item));
	assert_int_equal(owfs_syncfs(nx.fs), 0);
	nx_crash(&nx);
	assert_int_equal(rig_mount(&nx.fs, nx.e, &nx.re, 0, &nx.msg),
			 -EFSCORRUPTED);
	nx.fs = NULL;
}

/* --------------------------------------------------- read-only, full, rest */

static void test_readonly_mount_changes_nothing(void **state)
{
	struct owfs_inode *inode = nx_make(nx.root, "f", S_IFREG), *other;
	struct owfs_attr set = { 0 };
	uint64_t hash;

	(void)state;
	owfs_iput(inode);
	nx_unmount(&nx);
	hash = emubd_hash(nx.e);
	nx_mount(&nx, RIG_READONLY);
	assert_int_equal(nx_lookup(nx.root, "f", &inode), 0);
	assert_int_equal(nx_create(nx.root, "g", S_IFREG, &other), -EROFS);
	assert_int_equal(nx_unlink(nx.root, "f"), -EROFS);
	assert_int_equal(nx_rmdir(nx.root, "f"), -EROFS);
	assert_int_equal(nx_link(inode, nx.root, "g"), -EROFS);
	assert_int_equal(nx_rename(nx.root, "f", nx.root, "g", 0), -EROFS);
	assert_int_equal(owfs_setattr(inode, &set, OWFS_SET_MODE), -EROFS);
	owfs_iput(inode);
	nx_unmount(&nx);
	assert_int_equal(emubd_hash(nx.e), hash);
}

/*
 * The first number that could not be created, for want of space.  The first
 * @empty files have no data.
 */
static unsigned int fill_with_files(unsigned int empty)
{
	static char data[128 << 10];
	struct owfs_inode *inode;
	ssize_t size = sizeof(data);
	unsigned int n;
	char name[16];
	int ret;

	for (n = 0;; n++) {
		snprintf(name, sizeof(name), "f%u", n);
		ret = nx_create(nx.root, name, S_IFREG, &inode);
		if (ret)
			break;
		while (n >= empty && size > 0 &&
		       owfs_file_write(inode, data, (size_t)size, 0, false,
				       false) < 0)
			size /= 2;
		owfs_iput(inode);
	}
	assert_int_equal(ret, -ENOSPC);
	return n;
}

static void test_full_filesystem_lets_everything_be_removed(void **state)
{
	unsigned int n, i;
	struct statvfs st;
	char name[16], to[200];

	(void)state;
	n = fill_with_files(0);
	assert_true(n > 50);
	/* long names make the tree grow; some fit into the share, not all need to */
	memset(to, 'r', sizeof(to));
	to[sizeof(to) - 1] = '\0';
	assert_int_equal(nx_rename(nx.root, "f0", nx.root, "r0", 0), 0);
	assert_int_equal(nx_rename(nx.root, "f1", nx.root, to, 0), 0);
	assert_int_equal(nx_rename(nx.root, "f2", nx.root, "r0", 0), 0);
	assert_int_equal(nx_unlink(nx.root, "r0"), 0);
	assert_int_equal(nx_unlink(nx.root, to), 0);
	for (i = 3; i < n; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		assert_int_equal(nx_unlink(nx.root, name), 0);
	}
	nx_reclaim(&nx);
	assert_int_equal(owfs_syncfs(nx.fs), 0);
	nx_remount(&nx);
	assert_int_equal(owfs_statfs(nx.fs, &st), 0);
	assert_true(st.f_bavail > st.f_blocks * 4 / 5);
	assert_true(fill_with_files(0) > n / 2);
	nx_unmount(&nx);
}

static void test_renames_cannot_eat_the_reserve_of_unlink(void **state)
{
	unsigned int n = fill_with_files(4000), i, denied = 0;
	char name[16], to[OWFS_NAME_MAX + 1];
	int ret;

	(void)state;
	for (i = 0; i < n; i++) {
		memset(to, 'r', sizeof(to));
		snprintf(name, sizeof(name), "f%u", i);
		memcpy(to, name, strlen(name));
		to[OWFS_NAME_MAX] = '\0';
		ret = nx_rename(nx.root, name, nx.root, to, 0);
		assert_true(ret == 0 || ret == -ENOSPC);
		denied += ret != 0;
	}
	assert_in_range(denied, 1, n - 100);
	for (i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		memset(to, 'r', sizeof(to));
		memcpy(to, name, strlen(name));
		to[OWFS_NAME_MAX] = '\0';
		ret = nx_unlink(nx.root, to);
		assert_int_equal(ret == -ENOENT ? nx_unlink(nx.root, name)
						: ret, 0);
	}
	nx_reclaim(&nx);
	nx_unmount(&nx);
}

static void test_statfs_does_not_count_the_reserve(void **state)
{
	struct statvfs st;

	(void)state;
	assert_int_equal(owfs_statfs(nx.fs, &st), 0);
	assert_int_equal(st.f_bsize, 4096);
	assert_int_equal(st.f_frsize, 4096);
	assert_int_equal(st.f_namemax, 255);
	assert_true(st.f_blocks < BYTES / 4096);
	assert_true(st.f_bfree + nx.fs->fs_super.reserve_blocks <= st.f_blocks);
	assert_int_equal(st.f_bavail, st.f_bfree);
	assert_int_equal(st.f_flag & ST_RDONLY, 0);
	nx_unmount(&nx);
	nx_mount(&nx, RIG_READONLY);
	assert_int_equal(owfs_statfs(nx.fs, &st), 0);
	assert_int_equal(st.f_flag & ST_RDONLY, ST_RDONLY);
	nx_unmount(&nx);
}

static void test_mount_of_a_dead_device_fails_and_leaks_nothing(void **state)
{
	unsigned int nth;
	int ret;

	(void)state;
	nx_unmount(&nx);
	for (nth = 1; nth < 12; nth++) {
		emubd_fault(nx.e, EMUBD_READ, nth, EMUBD_FOREVER, EIO);
		ret = rig_mount(&nx.fs, nx.e, &nx.re, 0, NULL);
		emubd_fault(nx.e, EMUBD_READ, 1, 0, 0);
		if (!ret)
			break;
		nx.fs = NULL;
	}
	assert_in_range(nth, 2, 11);
	owfs_mount_abandon(nx.fs);
	nx.fs = NULL;
}

#define T(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_entry_without_inode_is_damage),
		T(test_entry_of_another_type_is_damage),
		T(test_second_entry_of_a_directory_is_damage),
		T(test_circle_of_parents_ends_a_rename),
		T(test_damaged_symlink_is_no_answer),
		T(test_mount_refuses_a_root_that_is_none),
		T(test_readonly_mount_changes_nothing),
		T(test_full_filesystem_lets_everything_be_removed),
		T(test_renames_cannot_eat_the_reserve_of_unlink),
		T(test_statfs_does_not_count_the_reserve),
		T(test_mount_of_a_dead_device_fails_and_leaks_nothing),
	};

	return cmocka_run_group_tests_name("namei trouble", tests, NULL, NULL);
}
