/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Operations on names, one at a time: what they do, refuse, and leave behind. */
#include "namei_fixture.h"

#include <dirent.h>
#include <sys/sysmacros.h>

#include "object/orphan.h"

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

static bool is_orphan(owfs_ino_t ino)
{
	struct owfs_key key = owfs_orphan_key(ino);
	struct owfs_orphan_item item;

	return owfs_btree_lookup(nx.fs->fs_bt, &key, &item, sizeof(item)) > 0;
}

static bool later(struct timespec a, struct timespec b)
{
	return a.tv_sec > b.tv_sec ||
	       (a.tv_sec == b.tv_sec && a.tv_nsec > b.tv_nsec);
}

/* ----------------------------------------------------------------- create */

static void test_fresh_root_is_an_empty_directory(void **state)
{
	struct stat st = nx_stat(nx.root);
	struct owfs_inode *parent;

	(void)state;
	assert_int_equal(st.st_mode, S_IFDIR | 0755);
	assert_int_equal(st.st_nlink, 2);
	assert_int_equal(st.st_size, 0);
	assert_int_equal(owfs_lookup_parent(nx.root, &parent), 0);
	assert_ptr_equal(parent, nx.root);
	owfs_iput(parent);
	nx_unmount(&nx);
}

static void test_every_type_is_created_and_found_again(void **state)
{
	static const uint32_t type[] = {
		S_IFREG, S_IFDIR, S_IFLNK, S_IFCHR, S_IFBLK, S_IFIFO, S_IFSOCK,
	};
	struct owfs_newnode nn = {
		.uid = 5, .gid = 6, .rdev = makedev(7, 8), .target = "x",
	};
	struct owfs_inode *inode;
	struct stat st;
	unsigned int i;
	char name[2] = "a";

	(void)state;
	for (i = 0; i < ARRAY_SIZE(type); i++, name[0]++) {
		nn.mode = type[i] | 06640;
		assert_int_equal(owfs_create(nx.root, name, 1, &nn, &inode), 0);
		owfs_iput(inode);
	}
	nx_remount(&nx);
	st = nx_stat(nx.root);
	assert_int_equal(st.st_size, ARRAY_SIZE(type));
	assert_int_equal(st.st_nlink, 3);
	for (i = 0, name[0] = 'a'; i < ARRAY_SIZE(type); i++, name[0]++) {
		assert_int_equal(nx_lookup(nx.root, name, &inode), 0);
		st = nx_stat(inode);
		assert_int_equal(st.st_mode, type[i] | 06640);
		assert_int_equal(st.st_nlink, type[i] == S_IFDIR ? 2 : 1);
		assert_int_equal(st.st_uid, 5);
		assert_int_equal(st.st_gid, 6);
		assert_int_equal(st.st_rdev, type[i] == S_IFCHR ||
				 type[i] == S_IFBLK ? makedev(7, 8) : 0);
		assert_int_equal(st.st_size, type[i] == S_IFLNK);
		owfs_iput(inode);
	}
	nx_unmount(&nx);
}

static void test_create_refuses(void **state)
{
	struct owfs_inode *inode, *file = nx_make(nx.root, "f", S_IFREG);
	char name[OWFS_NAME_MAX + 2];

	(void)state;
	memset(name, 'n', sizeof(name));
	name[OWFS_NAME_MAX + 1] = '\0';
	assert_int_equal(nx_create(nx.root, name, S_IFREG, &inode),
			 -ENAMETOOLONG);
	name[OWFS_NAME_MAX] = '\0';
	owfs_iput(nx_make(nx.root, name, S_IFREG));
	assert_int_equal(nx_create(nx.root, name, S_IFREG, &inode), -EEXIST);
	assert_int_equal(nx_create(nx.root, "f", S_IFDIR, &inode), -EEXIST);
	assert_int_equal(nx_create(nx.root, "", S_IFREG, &inode), -EINVAL);
	assert_int_equal(nx_create(nx.root, ".", S_IFREG, &inode), -EINVAL);
	assert_int_equal(nx_create(nx.root, "..", S_IFREG, &inode), -EINVAL);
	assert_int_equal(nx_create(nx.root, "a/b", S_IFREG, &inode), -EINVAL);
	assert_int_equal(nx_create(nx.root, "m", 0644, &inode), -EINVAL);
	assert_int_equal(nx_create(file, "x", S_IFREG, &inode), -ENOTDIR);
	assert_int_equal(nx_lookup(file, "x", &inode), -ENOTDIR);
	assert_int_equal(nx_lookup(nx.root, "nothing", &inode), -ENOENT);
	owfs_iput(file);
	nx_unmount(&nx);
}

static void test_setgid_directory_gives_its_group(void **state)
{
	struct owfs_newnode nn = { .mode = S_IFDIR | 02755, .gid = 33 };
	struct owfs_inode *dir, *inode;

	(void)state;
	assert_int_equal(owfs_create(nx.root, "d", 1, &nn, &dir), 0);
	nn = (struct owfs_newnode){ .mode = S_IFREG | 0644, .gid = 44 };
	assert_int_equal(owfs_create(dir, "f", 1, &nn, &inode), 0);
	assert_int_equal(nx_stat(inode).st_gid, 33);
	assert_int_equal(nx_stat(inode).st_mode, S_IFREG | 0644);
	owfs_iput(inode);
	nn.mode = S_IFDIR | 0700;
	assert_int_equal(owfs_create(dir, "d", 1, &nn, &inode), 0);
	assert_int_equal(nx_stat(inode).st_gid, 33);
	assert_int_equal(nx_stat(inode).st_mode, S_IFDIR | 02700);
	owfs_iput(inode);
	owfs_iput(dir);
	nx_unmount(&nx);
}

static void test_symlink_targets_of_every_length(void **state)
{
	static const size_t len[] = { 1, 959, 960, 961, 1920, 4095 };
	char target[OWFS_SYMLINK_MAX + 2], buf[OWFS_SYMLINK_MAX], name[8];
	struct owfs_newnode nn = { .mode = S_IFLNK | 0777, .target = target };
	struct owfs_inode *inode;
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(target); i++)
		target[i] = (char)('a' + i % 23);
	for (i = 0; i < ARRAY_SIZE(len); i++) {
		char end = target[len[i]];

		snprintf(name, sizeof(name), "l%u", i);
		target[len[i]] = '\0';
		assert_int_equal(owfs_create(nx.root, name, strlen(name), &nn,
					     &inode), 0);
		owfs_iput(inode);
		target[len[i]] = end;
	}
	target[OWFS_SYMLINK_MAX + 1] = '\0';
	assert_int_equal(owfs_create(nx.root, "x", 1, &nn, &inode),
			 -ENAMETOOLONG);
	target[0] = '\0';
	assert_int_equal(owfs_create(nx.root, "x", 1, &nn, &inode), -ENOENT);
	target[0] = 'a';
	nx_remount(&nx);
	for (i = 0; i < ARRAY_SIZE(len); i++) {
		snprintf(name, sizeof(name), "l%u", i);
		assert_int_equal(nx_lookup(nx.root, name, &inode), 0);
		assert_int_equal(owfs_readlink(inode, buf, sizeof(buf)), len[i]);
		assert_memory_equal(buf, target, len[i]);
		assert_int_equal(owfs_readlink(inode, buf, len[i] - 1),
				 -ERANGE);
		owfs_iput(inode);
		assert_int_equal(nx_unlink(nx.root, name), 0);
	}
	assert_int_equal(owfs_readlink(nx.root, buf, sizeof(buf)), -EINVAL);
	nx_unmount(&nx);
}

/* ---------------------------------------------------------- link, unlink */

static void test_links_are_counted(void **state)
{
	struct owfs_inode *file = nx_make(nx.root, "a", S_IFREG);
	struct owfs_inode *dir = nx_make(nx.root, "d", S_IFDIR);

	(void)state;
	assert_int_equal(nx_link(file, dir, "b"), 0);
	assert_int_equal(nx_link(file, dir, "b"), -EEXIST);
	assert_int_equal(nx_link(dir, nx.root, "dd"), -EPERM);
	assert_int_equal(nx_stat(file).st_nlink, 2);
	assert_int_equal(nx_ino(dir, "b"), file->i_ino);
	assert_int_equal(nx_unlink(nx.root, "a"), 0);
	assert_int_equal(nx_stat(file).st_nlink, 1);
	assert_false(is_orphan(file->i_ino));
	assert_int_equal(nx_unlink(dir, "b"), 0);
	assert_int_equal(nx_stat(file).st_nlink, 0);
	assert_true(is_orphan(file->i_ino));
	owfs_iput(file);
	owfs_iput(dir);
	nx_unmount(&nx);
}

static void test_unlinked_file_lives_until_it_is_closed(void **state)
{
	struct owfs_inode *file = nx_make(nx.root, "a", S_IFREG | 0600);
	char buf[6];
	owfs_ino_t ino = file->i_ino;

	(void)state;
	assert_int_equal(owfs_file_write(file, "hello", 6, 0, false, false), 6);
	assert_int_equal(nx_unlink(nx.root, "a"), 0);
	nx_reclaim(&nx);
	assert_int_equal(owfs_file_read(file, buf, 6, 0), 6);
	assert_string_equal(buf, "hello");
	owfs_iput(file);
	nx_reclaim(&nx);
	assert_int_equal(owfs_iget(nx.fs, ino, &file), -ENOENT);
	nx_unmount(&nx);
}

static void test_orphans_of_a_crash_go_with_the_next_mount(void **state)
{
	struct owfs_inode *file = nx_make(nx.root, "a", S_IFREG);
	struct owfs_inode *dir = nx_make(nx.root, "d", S_IFDIR);
	owfs_ino_t ino = file->i_ino, dino = dir->i_ino;

	(void)state;
	assert_int_equal(owfs_file_write(file, "hello", 6, 0, false, false), 6);
	assert_int_equal(nx_unlink(nx.root, "a"), 0);
	assert_int_equal(nx_rmdir(nx.root, "d"), 0);
	assert_int_equal(owfs_syncfs(nx.fs), 0);
	owfs_iput(file);
	owfs_iput(dir);
	nx_crash(&nx);
	nx_mount(&nx, RIG_READONLY);
	assert_true(is_orphan(ino) && is_orphan(dino));
	nx_crash(&nx);
	nx_mount(&nx, 0);
	nx_reclaim(&nx);
	assert_false(is_orphan(ino) || is_orphan(dino));
	nx_unmount(&nx);
}

static void test_tmpfile_is_an_orphan_until_it_is_linked(void **state)
{
	struct owfs_newnode nn = { .mode = S_IFREG | 0600 };
	struct owfs_inode *file, *lost;
	owfs_ino_t ino, lost_ino;

	(void)state;
	assert_int_equal(owfs_tmpfile(nx.root, &nn, &file), 0);
	assert_int_equal(owfs_tmpfile(nx.root, &nn, &lost), 0);
	ino = file->i_ino;
	lost_ino = lost->i_ino;
	assert_int_equal(nx_stat(file).st_nlink, 0);
	assert_int_equal(nx_stat(nx.root).st_size, 0);
	assert_true(is_orphan(ino));
	assert_int_equal(nx_link(file, nx.root, "named"), 0);
	assert_false(is_orphan(ino));
	assert_int_equal(nx_stat(file).st_nlink, 1);
	owfs_iput(file);
	owfs_iput(lost);
	nx_reclaim(&nx);
	assert_false(is_orphan(lost_ino));
	nn.mode = S_IFDIR;
	assert_int_equal(owfs_tmpfile(nx.root, &nn, &file), -EINVAL);
	nx_remount(&nx);
	assert_int_equal(nx_ino(nx.root, "named"), ino);
	nx_unmount(&nx);
}

static void test_unlink_and_rmdir_refuse(void **state)
{
	struct owfs_inode *dir = nx_make(nx.root, "d", S_IFDIR), *inode;

	(void)state;
	owfs_iput(nx_make(dir, "f", S_IFREG));
	assert_int_equal(nx_unlink(nx.root, "d"), -EISDIR);
	assert_int_equal(nx_rmdir(nx.root, "d"), -ENOTEMPTY);
	assert_int_equal(nx_rmdir(dir, "f"), -ENOTDIR);
	assert_int_equal(nx_unlink(dir, "g"), -ENOENT);
	assert_int_equal(nx_rmdir(dir, "g"), -ENOENT);
	assert_int_equal(nx_unlink(dir, ".."), -EINVAL);
	assert_int_equal(nx_unlink(dir, "f"), 0);
	assert_int_equal(nx_rmdir(nx.root, "d"), 0);
	/* a directory without a name takes nothing more */
	assert_int_equal(nx_create(dir, "f", S_IFREG, &inode), -ENOENT);
	inode = nx_make(nx.root, "f", S_IFREG);
	assert_int_equal(nx_link(inode, dir, "f"), -ENOENT);
	assert_int_equal(nx_rename(nx.root, "f", dir, "f", 0), -ENOENT);
	owfs_iput(inode);
	owfs_iput(dir);
	nx_unmount(&nx);
}

/* ------------------------------------------------------------------ times */

static void test_changes_stamp_what_posix_says(void **state)
{
	struct owfs_inode *file = nx_make(nx.root, "f", S_IFREG);
	struct stat dir, st, was;

	(void)state;
	dir = nx_stat(nx.root);
	st = nx_stat(file);
	assert_int_equal(dir.st_mtim.tv_nsec, st.st_mtim.tv_nsec);
	assert_int_equal(dir.st_ctim.tv_nsec, st.st_ctim.tv_nsec);

	was = st;
	assert_int_equal(nx_link(file, nx.root, "g"), 0);
	st = nx_stat(file);
	assert_true(later(st.st_ctim, was.st_ctim));
	assert_false(later(st.st_mtim, was.st_mtim));
	assert_true(later(nx_stat(nx.root).st_mtim, dir.st_mtim));

	was = st;
	dir = nx_stat(nx.root);
	assert_int_equal(nx_rename(nx.root, "g", nx.root, "h", 0), 0);
	st = nx_stat(file);
	assert_true(later(st.st_ctim, was.st_ctim));
	assert_false(later(st.st_mtim, was.st_mtim));
	assert_true(later(nx_stat(nx.root).st_mtim, dir.st_mtim));

	was = st;
	dir = nx_stat(nx.root);
	assert_int_equal(nx_unlink(nx.root, "h"), 0);
	assert_true(later(nx_stat(file).st_ctim, was.st_ctim));
	assert_true(later(nx_stat(nx.root).st_ctim, dir.st_ctim));
	owfs_iput(file);
	nx_unmount(&nx);
}

/* ---------------------------------------------------------------- setattr */

static void test_setattr_sets_what_is_asked(void **state)
{
	struct owfs_inode *file = nx_make(nx.root, "f", S_IFREG | 0644);
	struct owfs_attr set = {
		.mode = S_IFDIR | 04755, .uid = 7, .gid = 8,
		.atime = { 1, 2 }, .mtime = { 3, 4 }, .ctime = { 5, 6 },
	};
	struct stat st, was = nx_stat(file);

	(void)state;
	assert_int_equal(owfs_setattr(file, &set, OWFS_SET_MODE), 0);
	st = nx_stat(file);
	assert_int_equal(st.st_mode, S_IFREG | 04755);
	assert_int_equal(st.st_uid, was.st_uid);
	assert_true(later(st.st_ctim, was.st_ctim));
	assert_false(later(st.st_mtim, was.st_mtim));

	assert_int_equal(owfs_setattr(file, &set, OWFS_SET_UID | OWFS_SET_GID |
				      OWFS_SET_ATIME | OWFS_SET_MTIME |
				      OWFS_SET_CTIME), 0);
	owfs_iput(file);
	nx_remount(&nx);
	assert_int_equal(nx_lookup(nx.root, "f", &file), 0);
	st = nx_stat(file);
	assert_int_equal(st.st_uid, 7);
	assert_int_equal(st.st_gid, 8);
	assert_int_equal(st.st_atim.tv_sec, 1);
	assert_int_equal(st.st_mtim.tv_nsec, 4);
	assert_int_equal(st.st_ctim.tv_sec, 5);

	assert_int_equal(owfs_setattr(file, &set, OWFS_SET_MTIME_NOW), 0);
	assert_true(nx_stat(file).st_mtim.tv_sec > 3);
	set.mtime.tv_nsec = 1000000000;
	assert_int_equal(owfs_setattr(file, &set, OWFS_SET_MTIME), -EINVAL);
	assert_int_equal(owfs_setattr(file, &set, 0x2000), -EINVAL);
	owfs_iput(file);
	nx_unmount(&nx);
}

static void test_setattr_of_size_is_for_files(void **state)
{
	struct owfs_attr set = { .size = 10000 };
	struct owfs_inode *file = nx_make(nx.root, "f", S_IFREG | 0644);
	struct owfs_inode *fifo = nx_make(nx.root, "p", S_IFIFO | 0644);

	(void)state;
	assert_int_equal(owfs_setattr(file, &set, OWFS_SET_SIZE), 0);
	assert_int_equal(nx_stat(file).st_size, 10000);
	set = (struct owfs_attr){ .size = 5, .mode = 0600, .mtime = { 7, 8 } };
	assert_int_equal(owfs_setattr(file, &set, OWFS_SET_SIZE |
				      OWFS_SET_MODE | OWFS_SET_MTIME), 0);
	assert_int_equal(nx_stat(file).st_size, 5);
	assert_int_equal(nx_stat(file).st_mode, S_IFREG | 0600);
	assert_int_equal(nx_stat(file).st_mtim.tv_sec, 7);
	assert_int_equal(owfs_setattr(nx.root, &set, OWFS_SET_SIZE), -EISDIR);
	assert_int_equal(owfs_setattr(fifo, &set, OWFS_SET_SIZE), -EINVAL);
	owfs_iput(file);
	owfs_iput(fifo);
	nx_unmount(&nx);
}

static void test_set_id_bits_are_killed_as_the_kernel_would(void **state)
{
	static const uint32_t mode[][2] = {
		{ 06755, 0755 }, { 06745, 02745 }, { 04644, 0644 },
		{ 02710, 0710 }, { 01777, 01777 },
	};
	struct owfs_inode *file = nx_make(nx.root, "f", S_IFREG | 0644);
	struct owfs_attr set = { 0 };
	unsigned int i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(mode); i++) {
		set.mode = mode[i][0];
		assert_int_equal(owfs_setattr(file, &set, OWFS_SET_MODE), 0);
		assert_int_equal(owfs_setattr(file, &set,
					      OWFS_SET_KILL_SUIDGID), 0);
		assert_int_equal(nx_stat(file).st_mode, S_IFREG | mode[i][1]);
	}
	owfs_iput(file);
	nx_unmount(&nx);
}

/* ---------------------------------------------------------------- readdir */

struct seen {
	unsigned int n, max;	/* max: the buffer is full then */
	uint64_t cookie[600];
	char name[600][8];
	owfs_ino_t ino[600];
};

static int see(void *ctx, const struct owfs_dirent *de)
{
	struct seen *s = ctx;

	if (s->n == s->max)
		return 1;
	assert_in_range(de->namelen, 1, 7);
	memcpy(s->name[s->n], de->name, de->namelen);
	s->name[s->n][de->namelen] = '\0';
	s->cookie[s->n] = de->cookie;
	s->ino[s->n] = de->ino;
	s->n++;
	return 0;
}

static void see_from(struct owfs_inode *dir, uint64_t cookie, unsigned int max,
		     struct seen *s)
{
	memset(s, 0, sizeof(*s));
	s->max = max;
	assert_int_equal(owfs_readdir(dir, cookie, see, s), 0);
}

static void make_many(struct owfs_inode *dir, unsigned int n)
{
	char name[16];
	unsigned int i;

	for (i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		owfs_iput(nx_make(dir, name, S_IFREG));
	}
}

static void test_readdir_goes_on_from_every_cookie(void **state)
{
	struct owfs_inode *dir = nx_make(nx.root, "d", S_IFDIR);
	static struct seen all, part;
	unsigned int i, j;

	(void)state;
	make_many(dir, 300);
	see_from(dir, 0, 600, &all);
	assert_int_equal(all.n, 302);
	assert_string_equal(all.name[0], ".");
	assert_string_equal(all.name[1], "..");
	assert_int_equal(all.ino[0], dir->i_ino);
	assert_int_equal(all.ino[1], OWFS_INO_ROOT);
	assert_int_equal(all.cookie[0], 1);
	assert_int_equal(all.cookie[1], 2);
	for (i = 0; i < all.n; i++) {
		assert_true(all.cookie[i] > (i ? all.cookie[i - 1] : 0));
		assert_true(all.cookie[i] <= INT64_MAX);
		see_from(dir, all.cookie[i], 3, &part);
		assert_int_equal(part.n, min_u64(3, all.n - i - 1));
		for (j = 0; j < part.n; j++)
			assert_string_equal(part.name[j], all.name[i + 1 + j]);
	}
	see_from(dir, UINT64_MAX, 3, &part);
	assert_int_equal(part.n, 0);
	see_from(dir, INT64_MAX, 3, &part);
	assert_int_equal(part.n, 0);
	owfs_iput(dir);
	nx_unmount(&nx);
}

static void test_removing_while_reading_misses_nothing(void **state)
{
	static struct seen part;
	unsigned int removed = 0, i;
	uint64_t cookie = 2;

	(void)state;
	make_many(nx.root, 500);
	for (;;) {
		see_from(nx.root, cookie, 7, &part);
		if (!part.n)
			break;
		for (i = 0; i < part.n; i++, removed++)
			assert_int_equal(nx_unlink(nx.root, part.name[i]), 0);
		cookie = part.cookie[part.n - 1];
	}
	assert_int_equal(removed, 500);
	assert_int_equal(nx_stat(nx.root).st_size, 0);
	nx_unmount(&nx);
}

static void test_a_257th_name_of_one_hash_is_refused(void **state)
{
	struct owfs_inode *inode;

	(void)state;
	nx.hash_mask = 1;
	nx.fs->fs_itable->it_hash_mask = 1;
	make_many(nx.root, 256);
	assert_int_equal(nx_create(nx.root, "more", S_IFREG, &inode), -ENOSPC);
	assert_int_equal(nx_unlink(nx.root, "f77"), 0);
	owfs_iput(nx_make(nx.root, "more", S_IFREG));
	nx_unmount(&nx);
}

#define T(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_fresh_root_is_an_empty_directory),
		T(test_every_type_is_created_and_found_again),
		T(test_create_refuses),
		T(test_setgid_directory_gives_its_group),
		T(test_symlink_targets_of_every_length),
		T(test_links_are_counted),
		T(test_unlinked_file_lives_until_it_is_closed),
		T(test_orphans_of_a_crash_go_with_the_next_mount),
		T(test_tmpfile_is_an_orphan_until_it_is_linked),
		T(test_unlink_and_rmdir_refuse),
		T(test_changes_stamp_what_posix_says),
		T(test_setattr_sets_what_is_asked),
		T(test_setattr_of_size_is_for_files),
		T(test_set_id_bits_are_killed_as_the_kernel_would),
		T(test_readdir_goes_on_from_every_cookie),
		T(test_removing_while_reading_misses_nothing),
		T(test_a_257th_name_of_one_hash_is_refused),
	};

	return cmocka_run_group_tests_name("namei", tests, NULL, NULL);
}
