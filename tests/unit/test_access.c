/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lists, modes and capabilities change together, in one transaction. */
#include "namei_fixture.h"

#include <linux/fs.h>

#define BYTES		(16u << 20)
#define CAP		"security.capability"

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

/* Owner, so many users, group, mask, others. */
static size_t list(struct owfs_acl *acl, uint32_t mode, unsigned int users,
		   uint32_t perm)
{
	unsigned int i, n = users + 3 + (users > 0);
	uint16_t tag;

	memset(acl, 0, sizeof(*acl));
	acl->version = cpu_to_le32(OWFS_ACL_VERSION);
	for (i = 0; i < n; i++) {
		tag = i == 0 ? OWFS_ACL_USER_OBJ : i == n - 1 ? OWFS_ACL_OTHER :
		      i <= users ? OWFS_ACL_USER :
		      i == users + 1 ? OWFS_ACL_GROUP_OBJ : OWFS_ACL_MASK;
		acl->entry[i] = (struct owfs_acl_entry) {
			cpu_to_le16(tag), cpu_to_le16((uint16_t)perm),
			cpu_to_le32(tag == OWFS_ACL_USER ? 1000 + i :
				    UINT32_MAX),
		};
	}
	acl->len = 4 + 8 * n;
	owfs_acl_chmod(acl, mode);
	return acl->len;
}

static int set(struct owfs_inode *inode, const char *name, const void *val,
	       size_t len, int flags)
{
	return owfs_setxattr(inode, name, strlen(name), val, len, flags);
}

static int set_list(struct owfs_inode *inode, const char *name, uint32_t mode,
		    unsigned int users)
{
	struct owfs_acl acl;

	list(&acl, mode, users, 5);
	return set(inode, name, acl.bytes, acl.len, 0);
}

static ssize_t get(struct owfs_inode *inode, const char *name, void *val,
		   size_t size)
{
	return owfs_getxattr(inode, name, strlen(name), val, size);
}

static bool has(struct owfs_inode *inode, const char *name)
{
	ssize_t ret = get(inode, name, NULL, 0);

	assert_true(ret >= 0 || ret == -ENODATA);
	return ret >= 0;
}

static void is_list(struct owfs_inode *inode, const char *name, uint32_t mode,
		    unsigned int users)
{
	struct owfs_acl want, got;

	list(&want, mode, users, 5);
	assert_int_equal(get(inode, name, got.bytes, sizeof(got.bytes)),
			 want.len);
	assert_memory_equal(got.bytes, want.bytes, want.len);
}

static void chmod_to(struct owfs_inode *inode, uint32_t mode)
{
	const struct owfs_attr attr = { .mode = mode };

	assert_int_equal(owfs_setattr(inode, &attr, OWFS_SET_MODE), 0);
}

static struct owfs_inode *make(struct owfs_inode *dir, const char *name,
			       uint32_t mode, uint32_t umask)
{
	struct owfs_newnode nn = {
		.mode = mode, .umask = umask, .target = "target",
	};
	struct owfs_inode *inode = NULL;

	assert_int_equal(owfs_create(dir, name, strlen(name), &nn, &inode), 0);
	return inode;
}

/* ------------------------------------------------------------------ tests */

static void test_umask_is_for_directories_without_a_list(void **state)
{
	struct owfs_inode *dir = nx_make(nx.root, "d", S_IFDIR | 0755), *i;

	(void)state;
	i = make(nx.root, "f", S_IFREG | 02666, 027);
	assert_int_equal(nx_stat(i).st_mode, S_IFREG | 02640);
	owfs_iput(i);
	i = make(nx.root, "l", S_IFLNK | 0777, 077);
	assert_int_equal(nx_stat(i).st_mode, S_IFLNK | 0777);
	owfs_iput(i);
	assert_int_equal(set_list(dir, OWFS_ACL_DEFAULT, 0775, 2), 0);
	i = make(dir, "f", S_IFREG | 0666, 077);
	assert_int_equal(nx_stat(i).st_mode, S_IFREG | 0664);
	is_list(i, OWFS_ACL_ACCESS, 0664, 2);
	assert_false(has(i, OWFS_ACL_DEFAULT));
	owfs_iput(i);
	i = make(dir, "l", S_IFLNK | 0777, 077);
	assert_int_equal(nx_stat(i).st_mode, S_IFLNK | 0777);
	assert_false(has(i, OWFS_ACL_ACCESS));
	owfs_iput(i);
	owfs_iput(dir);
	nx_unmount(&nx);
}

static void test_directories_hand_the_default_list_on(void **state)
{
	struct owfs_inode *dir = nx_make(nx.root, "d", S_IFDIR | 0755), *i, *j;

	(void)state;
	assert_int_equal(set_list(dir, OWFS_ACL_DEFAULT, 0770, 3), 0);
	assert_int_equal(nx_stat(dir).st_mode, S_IFDIR | 0755);
	i = make(dir, "sub", S_IFDIR | 0751, 022);
	assert_int_equal(nx_stat(i).st_mode, S_IFDIR | 0750);
	is_list(i, OWFS_ACL_ACCESS, 0750, 3);
	is_list(i, OWFS_ACL_DEFAULT, 0770, 3);
	j = make(i, "fifo", S_IFIFO | 0666, 022);
	is_list(j, OWFS_ACL_ACCESS, 0660, 3);
	owfs_iput(j);
	owfs_iput(i);
	owfs_iput(dir);
	nx_remount(&nx);
	assert_int_equal(nx_lookup(nx.root, "d", &dir), 0);
	is_list(dir, OWFS_ACL_DEFAULT, 0770, 3);
	i = make(dir, "g", S_IFREG | 0777, 0);
	is_list(i, OWFS_ACL_ACCESS, 0770, 3);
	owfs_iput(i);
	owfs_iput(dir);
	nx_unmount(&nx);
}

/* Lists of more than one item, under value ids of their own. */
static void test_long_lists_are_inherited(void **state)
{
	struct owfs_inode *dir = nx_make(nx.root, "d", S_IFDIR | 0755), *i;
	const unsigned int users = OWFS_ACL_ENTRIES - 4;
	static const char bytes[2000];

	(void)state;
	assert_int_equal(set_list(dir, OWFS_ACL_DEFAULT, 0777, users), 0);
	i = make(dir, "sub", S_IFDIR | 0750, 0);
	is_list(i, OWFS_ACL_ACCESS, 0750, users);
	is_list(i, OWFS_ACL_DEFAULT, 0777, users);
	assert_int_equal(set(i, "user.x", bytes, sizeof(bytes), 0), 0);
	chmod_to(i, 0700);
	is_list(i, OWFS_ACL_ACCESS, 0700, users);
	is_list(i, OWFS_ACL_DEFAULT, 0777, users);
	owfs_iput(i);
	owfs_iput(dir);
	nx_unmount(&nx);
}

static void test_list_without_names_becomes_the_mode(void **state)
{
	struct owfs_inode *dir = nx_make(nx.root, "d", S_IFDIR | 0755), *i;

	(void)state;
	assert_int_equal(set_list(dir, OWFS_ACL_DEFAULT, 0751, 0), 0);
	i = make(dir, "f", S_IFREG | 0666, 077);
	assert_int_equal(nx_stat(i).st_mode, S_IFREG | 0640);
	assert_false(has(i, OWFS_ACL_ACCESS));
	owfs_iput(i);
	i = make(dir, "sub", S_IFDIR | 0777, 077);
	assert_int_equal(nx_stat(i).st_mode, S_IFDIR | 0751);
	assert_false(has(i, OWFS_ACL_ACCESS));
	is_list(i, OWFS_ACL_DEFAULT, 0751, 0);
	owfs_iput(i);
	owfs_iput(dir);
	nx_unmount(&nx);
}

static void test_nameless_files_and_whiteouts_inherit(void **state)
{
	const struct owfs_newnode nn = {
		.mode = S_IFREG | 0666, .umask = 077, .uid = 7, .gid = 8,
	};
	struct owfs_inode *dir = nx_make(nx.root, "d", S_IFDIR | 0755), *i;

	(void)state;
	assert_int_equal(set_list(dir, OWFS_ACL_DEFAULT, 0770, 3), 0);
	assert_int_equal(owfs_tmpfile(dir, &nn, &i), 0);
	is_list(i, OWFS_ACL_ACCESS, 0660, 3);
	assert_int_equal(nx_link(i, dir, "linked"), 0);
	owfs_iput(i);
	assert_int_equal(owfs_rename(dir, "linked", 6, dir, "there", 5,
				     RENAME_WHITEOUT, &nn), 0);
	assert_int_equal(nx_lookup(dir, "linked", &i), 0);
	assert_int_equal(nx_stat(i).st_mode, S_IFCHR);
	assert_int_equal(nx_stat(i).st_rdev, 0);
	assert_int_equal(nx_stat(i).st_uid, 7);
	assert_int_equal(nx_stat(i).st_gid, 8);
	is_list(i, OWFS_ACL_ACCESS, 0, 3);
	owfs_iput(i);
	owfs_iput(dir);
	nx_unmount(&nx);
}

static void test_mode_follows_the_list_and_back(void **state)
{
	struct owfs_inode *f = nx_make(nx.root, "f", S_IFREG | 02755);

	(void)state;
	assert_int_equal(set_list(f, OWFS_ACL_ACCESS, 0641, 2), 0);
	assert_int_equal(nx_stat(f).st_mode, S_IFREG | 02641);
	chmod_to(f, 0710);
	is_list(f, OWFS_ACL_ACCESS, 0710, 2);
	owfs_iput(f);
	nx_remount(&nx);
	assert_int_equal(nx_lookup(nx.root, "f", &f), 0);
	assert_int_equal(nx_stat(f).st_mode, S_IFREG | 0710);
	is_list(f, OWFS_ACL_ACCESS, 0710, 2);
	/* no more than a mode: kept as one */
	assert_int_equal(set_list(f, OWFS_ACL_ACCESS, 0600, 0), 0);
	assert_int_equal(nx_stat(f).st_mode, S_IFREG | 0600);
	assert_false(has(f, OWFS_ACL_ACCESS));
	/* removing the list leaves the mode */
	assert_int_equal(set_list(f, OWFS_ACL_ACCESS, 0671, 1), 0);
	assert_int_equal(owfs_removexattr(f, OWFS_ACL_ACCESS,
					  strlen(OWFS_ACL_ACCESS)), 0);
	assert_int_equal(nx_stat(f).st_mode, S_IFREG | 0671);
	assert_int_equal(owfs_removexattr(f, OWFS_ACL_ACCESS,
					  strlen(OWFS_ACL_ACCESS)), 0);
	owfs_iput(f);
	nx_unmount(&nx);
}

static void test_set_gid_goes_if_the_kernel_says_so(void **state)
{
	struct owfs_inode *f = nx_make(nx.root, "f", S_IFREG | 06755);
	struct owfs_acl acl;

	(void)state;
	list(&acl, 0755, 1, 5);
	assert_int_equal(set(f, OWFS_ACL_ACCESS, acl.bytes, acl.len,
			     OWFS_XATTR_KILL_SGID), 0);
	assert_int_equal(nx_stat(f).st_mode, S_IFREG | 04755);
	owfs_iput(f);
	nx_unmount(&nx);
}

static void test_what_is_no_list_changes_nothing(void **state)
{
	struct owfs_inode *f = nx_make(nx.root, "f", S_IFREG | 0644);
	struct owfs_inode *l = nx_make(nx.root, "l", S_IFLNK | 0777);
	struct owfs_acl acl;
	char big[OWFS_ACL_SIZE_MAX + 8] = { 2 };

	(void)state;
	assert_int_equal(set(f, OWFS_ACL_ACCESS, "", 0, 0), -EINVAL);
	assert_int_equal(set(f, OWFS_ACL_ACCESS, NULL, 0, 0), -EINVAL);
	assert_int_equal(set(f, OWFS_ACL_ACCESS, "\2\0\0\0", 4, 0), -EINVAL);
	assert_int_equal(set(f, OWFS_ACL_ACCESS, big, sizeof(big), 0), -E2BIG);
	list(&acl, 0644, 1, 5);
	acl.entry[1].perm = cpu_to_le16(8);
	assert_int_equal(set(f, OWFS_ACL_ACCESS, acl.bytes, acl.len, 0),
			 -EINVAL);
	assert_int_equal(set_list(f, OWFS_ACL_DEFAULT, 0644, 1), -EACCES);
	assert_int_equal(set_list(l, OWFS_ACL_ACCESS, 0644, 1), -EOPNOTSUPP);
	assert_int_equal(nx_stat(f).st_mode, S_IFREG | 0644);
	assert_false(has(f, OWFS_ACL_ACCESS));
	owfs_iput(f);
	owfs_iput(l);
	nx_unmount(&nx);
}

static void test_names_that_there_are(void **state)
{
	struct owfs_inode *f = nx_make(nx.root, "f", S_IFREG | 0644);
	static const char *const none[] = {
		"system.posix_acl", "system.posix_acl_accesss", "system.x",
		"system.", "btrfs.compression", "x", "users.x", "user",
	};
	static const char *const short_[] = { "user.", "trusted.", "security." };
	char buf[100];
	bool hidden;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(none); i++) {
		assert_int_equal(set(f, none[i], "x", 1, 0), -EOPNOTSUPP);
		assert_int_equal(get(f, none[i], buf, 9), -EOPNOTSUPP);
		assert_int_equal(owfs_removexattr(f, none[i], strlen(none[i])),
				 -EOPNOTSUPP);
	}
	for (i = 0; i < ARRAY_SIZE(short_); i++)
		assert_int_equal(set(f, short_[i], "x", 1, 0), -EINVAL);
	assert_int_equal(set(f, "user.a", "x", 1, 0), 0);
	assert_int_equal(owfs_listxattr(f, buf, sizeof(buf), &hidden), 7);
	assert_false(hidden);
	assert_int_equal(set(f, "trusted.b", "x", 1, 0), 0);
	assert_int_equal(owfs_listxattr(f, buf, sizeof(buf), &hidden), 7);
	assert_true(hidden);
	assert_int_equal(owfs_listxattr(f, buf, sizeof(buf), NULL), 17);
	assert_int_equal(owfs_listxattr(f, NULL, 0, &hidden), 7);
	assert_int_equal(owfs_listxattr(f, buf, 7, &hidden), 7);
	owfs_iput(f);
	nx_unmount(&nx);
}

/* ------------------------------------------------------------ capabilities */

static struct owfs_inode *capable(const char *name)
{
	struct owfs_inode *f = nx_make(nx.root, name, S_IFREG | 06755);

	assert_int_equal(owfs_file_write(f, "data", 4, 0, false, 0), 4);
	assert_int_equal(set(f, CAP, "0123456789abcdef0123", 20, 0), 0);
	assert_true(has(f, CAP));
	return f;
}

static void test_what_changes_a_file_takes_its_capability(void **state)
{
	const struct owfs_attr attr = { .uid = 3, .mode = 0700, .size = 2 };
	struct owfs_inode *f = capable("f");

	(void)state;
	chmod_to(f, 06755);
	assert_true(has(f, CAP));
	assert_int_equal(owfs_file_write(f, "x", 1, 0, false, 0), 1);
	assert_false(has(f, CAP));
	assert_int_equal(nx_stat(f).st_mode, S_IFREG | 06755);

	/* set after a write whose pages come only now */
	assert_int_equal(set(f, CAP, "0123456789abcdef0123", 20, 0), 0);
	assert_int_equal(owfs_file_writeback(f, "y", 1, 0, 0), 1);
	assert_true(has(f, CAP));

	assert_int_equal(owfs_setattr(f, &attr, OWFS_SET_SIZE), 0);
	assert_false(has(f, CAP));
	assert_int_equal(nx_stat(f).st_mode, S_IFREG | 06755);

	assert_int_equal(set(f, CAP, "0123456789abcdef0123", 20, 0), 0);
	assert_int_equal(owfs_setattr(f, &attr, OWFS_SET_UID), 0);
	assert_false(has(f, CAP));

	assert_int_equal(set(f, CAP, "0123456789abcdef0123", 20, 0), 0);
	assert_int_equal(owfs_file_fallocate(f, 3, 0, 1), 0);	/* a hole */
	assert_false(has(f, CAP));

	assert_int_equal(set(f, CAP, "0123456789abcdef0123", 20, 0), 0);
	assert_int_equal(owfs_setattr(f, &attr, OWFS_SET_KILL_CAP), 0);
	assert_false(has(f, CAP));
	owfs_iput(f);
	nx_unmount(&nx);
}

static void test_killing_nothing_is_no_change(void **state)
{
	static const struct owfs_attr none;
	struct owfs_inode *f = nx_make(nx.root, "f", S_IFREG | 0755);
	struct timespec ctime = nx_stat(f).st_ctim;

	(void)state;
	assert_int_equal(owfs_setattr(f, &none, OWFS_SET_KILL_SUIDGID |
				      OWFS_SET_KILL_SGID | OWFS_SET_KILL_CAP),
			 0);
	assert_int_equal(nx_stat(f).st_ctim.tv_nsec, ctime.tv_nsec);
	owfs_iput(f);
	nx_unmount(&nx);
}

static void test_set_gid_without_group_execution(void **state)
{
	static const struct owfs_attr none;
	struct owfs_inode *f = nx_make(nx.root, "f", S_IFREG | 06745);

	(void)state;
	assert_int_equal(owfs_setattr(f, &none, OWFS_SET_KILL_SUIDGID), 0);
	assert_int_equal(nx_stat(f).st_mode, S_IFREG | 02745);
	assert_int_equal(owfs_file_write(f, "x", 1, 0, false,
					 OWFS_SET_KILL_SUIDGID), 1);
	assert_int_equal(nx_stat(f).st_mode, S_IFREG | 02745);
	assert_int_equal(owfs_file_write(f, "x", 1, 0, false,
					 OWFS_SET_KILL_SUIDGID |
					 OWFS_SET_KILL_SGID), 1);
	assert_int_equal(nx_stat(f).st_mode, S_IFREG | 0745);
	owfs_iput(f);
	nx_unmount(&nx);
}

/* Size, mode, list and capability in one: before it all old, after it all new. */
static void test_truncate_with_a_mode_is_one_change(void **state)
{
	const struct owfs_attr attr = { .mode = 0640, .size = 0 };
	struct owfs_inode *f = capable("f");

	(void)state;
	assert_int_equal(set_list(f, OWFS_ACL_ACCESS, 0755, 2), 0);
	assert_int_equal(owfs_syncfs(nx.fs), 0);
	assert_int_equal(owfs_setattr(f, &attr, OWFS_SET_SIZE | OWFS_SET_MODE),
			 0);
	assert_int_equal(nx_stat(f).st_mode, S_IFREG | 0640);
	is_list(f, OWFS_ACL_ACCESS, 0640, 2);
	owfs_iput(f);
	nx_crash(&nx);
	nx_mount(&nx, 0);
	assert_int_equal(nx_lookup(nx.root, "f", &f), 0);
	assert_int_equal(nx_stat(f).st_mode, S_IFREG | 06755);
	assert_int_equal(nx_stat(f).st_size, 4);
	is_list(f, OWFS_ACL_ACCESS, 0755, 2);
	assert_true(has(f, CAP));
	owfs_iput(f);
	nx_unmount(&nx);
}

/* ----------------------------------------------------------------- trouble */

/* No room for what would be inherited: nothing is made. */
static void test_full_filesystem_makes_all_or_nothing(void **state)
{
	struct owfs_inode *dir = nx_make(nx.root, "d", S_IFDIR | 0755), *i;
	char name[16];
	unsigned int n = 0, found = 0;
	int ret;

	(void)state;
	assert_int_equal(set_list(dir, OWFS_ACL_DEFAULT, 0777,
				  OWFS_ACL_ENTRIES - 4), 0);
	for (;; n++) {
		snprintf(name, sizeof(name), "%u", n);
		ret = nx_create(dir, name, S_IFDIR | 0777, &i);
		if (ret)
			break;
		owfs_iput(i);
	}
	assert_int_equal(ret, -ENOSPC);
	assert_int_equal(nx_stat(dir).st_nlink, n + 2);
	for (found = 0; found < n; found += 97) {
		snprintf(name, sizeof(name), "%u", found);
		assert_int_equal(nx_lookup(dir, name, &i), 0);
		is_list(i, OWFS_ACL_DEFAULT, 0777, OWFS_ACL_ENTRIES - 4);
		owfs_iput(i);
	}
	owfs_iput(dir);
	nx_unmount(&nx);
}

/* Write over the list on the device: what is read must be judged. */
static void break_list(struct owfs_inode *inode, const char *name)
{
	struct owfs_acl acl;
	struct owfs_xattr_change c = {
		.inode = inode, .name = name, .len = strlen(name),
		.value = acl.bytes,
	};
	struct owfs_trans tr;
	int ret;

	list(&acl, 0755, 1, 5);
	acl.entry[1].tag = cpu_to_le16(0x40);
	c.size = acl.len;
	pthread_rwlock_wrlock(&inode->i_lock);
	assert_int_equal(owfs_xattr_plan(&c, 0), 0);
	OWFS_RETRY(nx.fs, ret,
		   owfs_trans_begin(nx.fs, &tr, 2, 1, OWFS_RESV_NORMAL));
	assert_int_equal(ret, 0);
	assert_int_equal(owfs_xattr_apply(&c, &tr), 0);
	assert_int_equal(owfs_inode_store(&tr, inode, false), 0);
	assert_int_equal(owfs_trans_end(&tr), 0);
	pthread_rwlock_unlock(&inode->i_lock);
}

static void test_malformed_list_on_disk_is_damage(void **state)
{
	const struct owfs_attr attr = { .mode = 0700 };
	static const char *const names[] = { OWFS_ACL_ACCESS, OWFS_ACL_DEFAULT };
	struct owfs_inode *dir, *i;
	char buf[100];
	int what;

	(void)state;
	for (what = 0; what < 3; what++) {
		dir = nx_make(nx.root, what ? "b" : "a", S_IFDIR | 0755);
		break_list(dir, names[what == 2]);
		nx.said[0] = '\0';
		if (what == 0)
			assert_int_equal(get(dir, OWFS_ACL_ACCESS, buf, 100),
					 -EFSCORRUPTED);
		else if (what == 1)
			assert_int_equal(owfs_setattr(dir, &attr,
						      OWFS_SET_MODE),
					 -EFSCORRUPTED);
		else
			assert_int_equal(nx_create(dir, "x", S_IFREG | 0666, &i),
					 -EFSCORRUPTED);
		assert_non_null(strstr(nx.said, "access control list"));
		assert_int_equal(owfs_fs_writable(nx.fs), -EROFS);
		owfs_iput(dir);
		nx_crash(&nx);
		nx_mount(&nx, 0);
	}
}

#define T(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_umask_is_for_directories_without_a_list),
		T(test_directories_hand_the_default_list_on),
		T(test_long_lists_are_inherited),
		T(test_list_without_names_becomes_the_mode),
		T(test_nameless_files_and_whiteouts_inherit),
		T(test_mode_follows_the_list_and_back),
		T(test_set_gid_goes_if_the_kernel_says_so),
		T(test_what_is_no_list_changes_nothing),
		T(test_names_that_there_are),
		T(test_what_changes_a_file_takes_its_capability),
		T(test_killing_nothing_is_no_change),
		T(test_set_gid_without_group_execution),
		T(test_truncate_with_a_mode_is_one_change),
		T(test_full_filesystem_makes_all_or_nothing),
		T(test_malformed_list_on_disk_is_damage),
	};

	return cmocka_run_group_tests_name("access", tests, NULL, NULL);
}
