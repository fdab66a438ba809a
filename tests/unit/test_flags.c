/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Inode flags: what may be set, what comes with the place, what is forbidden. */
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>

#include "file/flags.h"
#include "file/kmap.h"
#include "namei_fixture.h"

#define IMM	OWFS_INODE_IMMUTABLE
#define APP	OWFS_INODE_APPEND
#define PUNCH	(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)

static struct nx nx;

/*
 * The same small tree for each case: a directory with a file of 10000 bytes
 * that has an attribute, a spare file and a spare empty directory; and another
 * directory outside.
 */
static struct owfs_inode *dir, *file, *away;
static char bytes[10000];

static int setup(void **state)
{
	struct owfs_inode *inode;

	(void)state;
	memset(&nx, 0, sizeof(nx));
	nx_start(&nx, 16u << 20);
	dir = nx_make(nx.root, "dir", S_IFDIR | 0755);
	file = nx_make(dir, "file", S_IFREG | 0644);
	away = nx_make(nx.root, "away", S_IFDIR | 0755);
	inode = nx_make(dir, "spare", S_IFREG | 0644);
	owfs_iput(inode);
	inode = nx_make(dir, "sub", S_IFDIR | 0755);
	owfs_iput(inode);
	memset(bytes, 'a', sizeof(bytes));
	assert_int_equal(owfs_file_write(file, bytes, sizeof(bytes), 0, false,
					 false), sizeof(bytes));
	assert_int_equal(owfs_setxattr(file, "user.x", 6, "v", 1, 0), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	owfs_iput(dir);
	owfs_iput(file);
	owfs_iput(away);
	if (nx.fs)
		nx_unmount(&nx);
	nx_done(&nx);
	return 0;
}

static int set(struct owfs_inode *inode, uint32_t flags)
{
	return owfs_flags_set(inode, OWFS_FLAGS_USER, flags, NULL);
}

static uint32_t flags_of(struct owfs_inode *inode)
{
	uint32_t flags, projid;

	owfs_flags_get(inode, &flags, &projid);
	return flags;
}

static uint32_t projid_of(struct owfs_inode *inode)
{
	uint32_t flags, projid;

	owfs_flags_get(inode, &flags, &projid);
	return projid;
}

static void set_project(struct owfs_inode *inode, uint32_t flags,
			uint32_t projid)
{
	assert_int_equal(owfs_flags_set(inode, OWFS_FLAGS_USER, flags, &projid),
			 0);
}

/* -------------------------------------------------- operations, one a function */

static int setattr(unsigned int mask)
{
	const struct owfs_attr a = {
		.mode = 0600, .uid = 1, .gid = 1, .size = 5,
		.atime = { 1, 0 }, .mtime = { 1, 0 },
	};

	return owfs_setattr(file, &a, mask);
}

static int count(ssize_t n)
{
	return n < 0 ? (int)n : 0;
}

static int write_inside(void)
{
	return count(owfs_file_write(file, "b", 1, 5, false, false));
}

static int write_at_end(void)
{
	return count(owfs_file_write(file, "b", 1, 10000, false, false));
}

static int write_appending(void)
{
	return count(owfs_file_write(file, "b", 1, 0, true, false));
}

static int write_across_end(void)
{
	return count(owfs_file_write(file, "ab", 2, 9999, false, false));
}

static int writeback_same(void)
{
	char page[10002];

	memset(page, 'a', sizeof(page));
	return count(owfs_file_writeback(file, page, sizeof(page), 0, false));
}

static int writeback_other(void)
{
	char page[10002];

	memset(page, 'a', sizeof(page));
	page[9999] = 'b';
	return count(owfs_file_writeback(file, page, sizeof(page), 0, false));
}

static int copy_into(void)
{
	return count(owfs_file_copy(file, 0, file, 8000, 100));
}

static int truncate_down(void) { return setattr(OWFS_SET_SIZE); }
static int truncate_same(void) { return owfs_file_truncate(file, 10000); }
static int truncate_up(void) { return owfs_file_truncate(file, 20000); }
static int chmod_it(void) { return setattr(OWFS_SET_MODE); }
static int chown_it(void) { return setattr(OWFS_SET_UID); }
static int chgrp_it(void) { return setattr(OWFS_SET_GID); }
static int set_mtime(void) { return setattr(OWFS_SET_MTIME); }
static int set_atime(void) { return setattr(OWFS_SET_ATIME); }
static int mtime_now(void) { return setattr(OWFS_SET_MTIME_NOW); }

static int touch(void)
{
	return setattr(OWFS_SET_ATIME_NOW | OWFS_SET_MTIME_NOW);
}

static int allocate(void)
{
	return owfs_file_fallocate(file, 0, 10000, 10000);
}

static int allocate_keep(void)
{
	return owfs_file_fallocate(file, FALLOC_FL_KEEP_SIZE, 0, 20000);
}

static int punch(void)
{
	return owfs_file_fallocate(file, PUNCH, 0, 4096);
}

static int zero(void)
{
	return owfs_file_fallocate(file, FALLOC_FL_ZERO_RANGE, 0, 4096);
}

static int set_xattr(void)
{
	return owfs_setxattr(file, "user.y", 6, "v", 1, 0);
}

static int remove_xattr(void) { return owfs_removexattr(file, "user.x", 6); }
static int link_away(void) { return nx_link(file, away, "name"); }
static int unlink_it(void) { return nx_unlink(dir, "file"); }
static int read_it(void) { return count(owfs_file_read(file, bytes, 10, 0)); }

static int rename_inside(void)
{
	return nx_rename(dir, "file", dir, "renamed", 0);
}

static int rename_away(void)
{
	return nx_rename(dir, "file", away, "file", 0);
}

static int replace_it(void)
{
	return nx_rename(dir, "spare", dir, "file", 0);
}

static int exchange_it(void)
{
	return nx_rename(dir, "spare", dir, "file", RENAME_EXCHANGE);
}

static int make(uint32_t mode)
{
	struct owfs_inode *inode;
	int ret = nx_create(dir, "new", mode, &inode);

	if (!ret)
		owfs_iput(inode);
	return ret;
}

static int make_file(void) { return make(S_IFREG | 0644); }
static int make_dir(void) { return make(S_IFDIR | 0755); }
static int make_link(void) { return make(S_IFLNK | 0777); }
static int make_fifo(void) { return make(S_IFIFO | 0644); }

static int make_nameless(void)
{
	const struct owfs_newnode nn = { .mode = S_IFREG | 0644 };
	struct owfs_inode *inode;
	int ret = owfs_tmpfile(dir, &nn, &inode);

	if (!ret)
		owfs_iput(inode);
	return ret;
}

static int make_again(void)
{
	struct owfs_inode *inode;

	return nx_create(dir, "spare", S_IFREG | 0644, &inode);
}

static int link_into(void) { return nx_link(file, dir, "name"); }
static int unlink_spare(void) { return nx_unlink(dir, "spare"); }
static int unlink_none(void) { return nx_unlink(dir, "none"); }
static int remove_sub(void) { return nx_rmdir(dir, "sub"); }

static int look_up(void)
{
	struct owfs_inode *inode;
	int ret = nx_lookup(dir, "spare", &inode);

	if (!ret)
		owfs_iput(inode);
	return ret;
}

static int move_out(void)
{
	return nx_rename(dir, "spare", away, "spare", 0);
}

static int move_in(void)
{
	struct owfs_inode *inode = nx_make(away, "guest", S_IFREG | 0644);

	owfs_iput(inode);
	return nx_rename(away, "guest", dir, "guest", 0);
}

static int dir_chmod(void)
{
	const struct owfs_attr a = { .mode = 0700 };

	return owfs_setattr(dir, &a, OWFS_SET_MODE);
}

static int dir_xattr(void)
{
	return owfs_setxattr(dir, "user.y", 6, "v", 1, 0);
}

static int dir_rename(void)
{
	return nx_rename(nx.root, "dir", nx.root, "dir2", 0);
}

static int child_write(void)
{
	return write_inside();
}

/* What each gives if the file is immutable, and if it is append-only. */
static const struct {
	const char *name;
	int (*fn)(void);
	int immutable, append;
} on_file[] = {
	{ "read", read_it, 0, 0 },
	{ "write inside", write_inside, -EPERM, -EPERM },
	{ "write across the end", write_across_end, -EPERM, -EPERM },
	{ "write at the end", write_at_end, -EPERM, 0 },
	{ "append", write_appending, -EPERM, 0 },
	{ "write back the same", writeback_same, -EPERM, 0 },
	{ "write back others", writeback_other, -EPERM, -EPERM },
	{ "copy into", copy_into, -EPERM, -EPERM },
	{ "truncate", truncate_down, -EPERM, -EPERM },
	{ "truncate to its size", truncate_same, -EPERM, -EPERM },
	{ "extend", truncate_up, -EPERM, -EPERM },
	{ "chmod", chmod_it, -EPERM, -EPERM },
	{ "chown", chown_it, -EPERM, -EPERM },
	{ "chgrp", chgrp_it, -EPERM, -EPERM },
	{ "set mtime", set_mtime, -EPERM, -EPERM },
	{ "set atime", set_atime, -EPERM, -EPERM },
	{ "mtime now", mtime_now, -EPERM, -EPERM },
	{ "touch", touch, -EPERM, 0 },
	{ "allocate", allocate, -EPERM, 0 },
	{ "allocate, same size", allocate_keep, -EPERM, 0 },
	{ "punch", punch, -EPERM, -EPERM },
	{ "zero", zero, -EPERM, -EPERM },
	{ "setxattr", set_xattr, -EPERM, -EPERM },
	{ "removexattr", remove_xattr, -EPERM, -EPERM },
	{ "link", link_away, -EPERM, -EPERM },
	{ "unlink", unlink_it, -EPERM, -EPERM },
	{ "rename", rename_inside, -EPERM, -EPERM },
	{ "rename elsewhere", rename_away, -EPERM, -EPERM },
	{ "rename over", replace_it, -EPERM, -EPERM },
	{ "exchange", exchange_it, -EPERM, -EPERM },
};

/* The same for the directory. */
static const struct {
	const char *name;
	int (*fn)(void);
	int immutable, append;
} on_dir[] = {
	{ "lookup", look_up, 0, 0 },
	{ "create", make_file, -EPERM, 0 },
	{ "mkdir", make_dir, -EPERM, 0 },
	{ "symlink", make_link, -EPERM, 0 },
	{ "mknod", make_fifo, -EPERM, 0 },
	{ "tmpfile", make_nameless, -EPERM, 0 },
	{ "create what is there", make_again, -EEXIST, -EEXIST },
	{ "link into", link_into, -EPERM, 0 },
	{ "unlink", unlink_spare, -EPERM, -EPERM },
	{ "unlink nothing", unlink_none, -ENOENT, -ENOENT },
	{ "rmdir inside", remove_sub, -EPERM, -EPERM },
	{ "rename inside", rename_inside, -EPERM, -EPERM },
	{ "rename out", move_out, -EPERM, -EPERM },
	{ "rename in", move_in, -EPERM, 0 },
	{ "rename over", replace_it, -EPERM, -EPERM },
	{ "exchange", exchange_it, -EPERM, -EPERM },
	{ "chmod", dir_chmod, -EPERM, -EPERM },
	{ "setxattr", dir_xattr, -EPERM, -EPERM },
	{ "rename itself", dir_rename, -EPERM, -EPERM },
	{ "write a file in it", child_write, 0, 0 },
};

/* One operation on a fresh tree in which @inode has @flag. */
static void try_one(const char *name, int (*fn)(void),
		    struct owfs_inode **inode, uint32_t flag, int wanted)
{
	int ret;

	setup(NULL);
	assert_int_equal(set(*inode, flag), 0);
	ret = fn();
	if (ret != wanted)
		fail_msg("%s, flag 0x%x: %d, not %d", name, flag, ret, wanted);
	assert_int_equal(set(*inode, 0), 0);
	teardown(NULL);
}

static void test_files_with_flags(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(on_file); i++) {
		try_one(on_file[i].name, on_file[i].fn, &file, 0, 0);
		try_one(on_file[i].name, on_file[i].fn, &file, IMM,
			on_file[i].immutable);
		try_one(on_file[i].name, on_file[i].fn, &file, APP,
			on_file[i].append);
		try_one(on_file[i].name, on_file[i].fn, &file, APP | IMM,
			on_file[i].immutable);
	}
}

static void test_directories_with_flags(void **state)
{
	int free_result;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(on_dir); i++) {
		free_result = on_dir[i].append == -EPERM ? 0 : on_dir[i].append;
		try_one(on_dir[i].name, on_dir[i].fn, &dir, 0, free_result);
		try_one(on_dir[i].name, on_dir[i].fn, &dir, IMM,
			on_dir[i].immutable);
		try_one(on_dir[i].name, on_dir[i].fn, &dir, APP,
			on_dir[i].append);
	}
}

/* A refused change changes nothing; an allowed one shows. */
static void test_frozen_bytes_stay(void **state)
{
	char got[10002];

	(void)state;
	assert_int_equal(set(file, APP), 0);
	assert_int_equal(writeback_other(), -EPERM);
	assert_int_equal(write_inside(), -EPERM);
	assert_int_equal(nx_stat(file).st_size, 10000);
	assert_int_equal(writeback_same(), 0);
	assert_int_equal(nx_stat(file).st_size, 10002);
	assert_int_equal(owfs_file_read(file, got, sizeof(got), 0),
			 sizeof(got));
	assert_memory_equal(got, bytes, sizeof(bytes));
	assert_int_equal(got[10001], 'a');
}

/* Where the kernel moves the data, it is stopped when it asks for a place. */
static int kmap(enum owfs_kmap_op op, loff_t pos)
{
	struct owfs_kmap km;
	int ret = owfs_kmap_begin(file, op, pos, 100, false, &km);

	if (!ret)
		owfs_kmap_end(file, op, pos, 100, -1, OWFS_NOBLOCK);
	return ret;
}

static void test_places_of_frozen_files(void **state)
{
	static const enum owfs_kmap_op stores[] = {
		OWFS_KMAP_WRITE, OWFS_KMAP_FAULT, OWFS_KMAP_ZERO,
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(stores); i++) {
		assert_int_equal(set(file, 0), 0);
		assert_int_equal(kmap(stores[i], 0), 0);
		assert_int_equal(set(file, IMM), 0);
		assert_int_equal(kmap(stores[i], 0), -EPERM);
		assert_int_equal(kmap(stores[i], 10000), -EPERM);
		assert_int_equal(set(file, APP), 0);
		assert_int_equal(kmap(stores[i], 0), -EPERM);
		assert_int_equal(kmap(stores[i], 9999), -EPERM);
		assert_int_equal(kmap(stores[i], 10000), 0);
	}
	assert_int_equal(set(file, IMM), 0);
	assert_int_equal(kmap(OWFS_KMAP_READ, 0), 0);
	assert_int_equal(kmap(OWFS_KMAP_REPORT, 0), 0);
}

/* A kernel that keeps pages tells the times of a write later, as set. */
static void test_times_of_kept_writes(void **state)
{
	const unsigned int late = OWFS_SET_MTIME | OWFS_SET_CTIME |
				  OWFS_SET_CACHED;
	struct owfs_attr a = { .mode = 0600 };

	(void)state;
	a.mtime = a.ctime = nx_stat(file).st_ctim;
	assert_int_equal(set(file, APP), 0);
	assert_int_equal(owfs_setattr(file, &a, late), 0);
	assert_int_equal(owfs_setattr(file, &a, late | OWFS_SET_ATIME_NOW), 0);
	assert_int_equal(owfs_setattr(file, &a, late | OWFS_SET_ATIME), -EPERM);
	assert_int_equal(owfs_setattr(file, &a, late | OWFS_SET_MODE), -EPERM);
	assert_int_equal(owfs_setattr(file, &a, late & ~OWFS_SET_CACHED),
			 -EPERM);
	/* of a write before it was frozen, but not of now */
	a.mtime = a.ctime = nx_stat(file).st_ctim;
	assert_int_equal(set(file, IMM), 0);
	assert_int_equal(owfs_setattr(file, &a, late | OWFS_SET_MODE), -EPERM);
	assert_int_equal(owfs_setattr(file, &a, late), 0);
	assert_int_equal(nx_stat(file).st_mtim.tv_nsec, a.mtime.tv_nsec);
	a.ctime.tv_sec++;
	assert_int_equal(owfs_setattr(file, &a, late), -EPERM);
}

/*
 * One that moves the data itself owns all three times, and tells them together:
 * after an append, after a read, and when the file was frozen meanwhile.
 */
static void test_times_of_the_kernels_own_files(void **state)
{
	const unsigned int all = OWFS_SET_ATIME | OWFS_SET_MTIME |
				 OWFS_SET_CTIME | OWFS_SET_CACHED;
	struct owfs_attr a = { .mode = 0600 };

	(void)state;
	nx.fs->fs_kernel_io = true;
	a.atime = a.mtime = a.ctime = nx_stat(file).st_ctim;
	assert_int_equal(set(file, APP), 0);
	a.mtime.tv_sec += 5;
	a.ctime.tv_sec += 5;
	assert_int_equal(owfs_setattr(file, &a, all), 0);
	assert_int_equal(nx_stat(file).st_mtim.tv_sec, a.mtime.tv_sec);
	assert_int_equal(owfs_setattr(file, &a, all | OWFS_SET_MODE), -EPERM);
	/* of a write before the file was frozen */
	assert_int_equal(set(file, 0), 0);
	a.mtime = a.ctime = nx_stat(file).st_ctim;
	assert_int_equal(set(file, IMM), 0);
	assert_int_equal(owfs_setattr(file, &a, all), 0);
	assert_int_equal(nx_stat(file).st_mtim.tv_sec, a.mtime.tv_sec);
	/* of a read afterwards */
	a.atime.tv_sec += 9;
	a.ctime.tv_sec += 9;
	assert_int_equal(owfs_setattr(file, &a, all), 0);
	assert_int_equal(nx_stat(file).st_atim.tv_sec, a.atime.tv_sec);
	/* of now */
	a.mtime.tv_sec += 9;
	a.ctime.tv_sec += 9;
	assert_int_equal(owfs_setattr(file, &a, all), -EPERM);
}

/* ------------------------------------------------------------------ setting */

static void test_flags_survive(void **state)
{
	(void)state;
	set_project(file, OWFS_INODE_NODUMP | OWFS_INODE_NOATIME, 77);
	set_project(dir, OWFS_INODE_PROJINHERIT | OWFS_INODE_DIRSYNC | IMM,
		    0xfffffffe);
	owfs_iput(dir);
	owfs_iput(file);
	owfs_iput(away);
	nx_remount(&nx);
	assert_int_equal(nx_lookup(nx.root, "dir", &dir), 0);
	assert_int_equal(nx_lookup(nx.root, "away", &away), 0);
	assert_int_equal(nx_lookup(dir, "file", &file), 0);
	assert_int_equal(flags_of(file),
			 OWFS_INODE_NODUMP | OWFS_INODE_NOATIME);
	assert_int_equal(projid_of(file), 77);
	assert_int_equal(flags_of(dir), OWFS_INODE_PROJINHERIT |
			 OWFS_INODE_DIRSYNC | IMM);
	assert_int_equal(projid_of(dir), 0xfffffffe);
}

static void test_impossible_flags_are_refused(void **state)
{
	struct owfs_inode *fifo = nx_make(nx.root, "fifo", S_IFIFO | 0644);

	(void)state;
	assert_int_equal(set(file, OWFS_INODE_DIRSYNC), -EOPNOTSUPP);
	assert_int_equal(set(file, OWFS_INODE_PROJINHERIT), -EOPNOTSUPP);
	assert_int_equal(set(fifo, IMM), -EOPNOTSUPP);
	assert_int_equal(owfs_flags_set(file, 1, 1, NULL), -EOPNOTSUPP);
	assert_int_equal(owfs_flags_set(file, 0x100, 0x100, NULL),
			 -EOPNOTSUPP);
	assert_int_equal(owfs_flags_set(file, IMM, APP, NULL), -EOPNOTSUPP);
	assert_int_equal(set(fifo, OWFS_INODE_NODUMP), 0);
	owfs_iput(fifo);
}

/* While it is immutable, only that may be taken away. */
static void test_immutable_flags_are_frozen(void **state)
{
	const uint32_t five = 5;

	(void)state;
	assert_int_equal(set(file, IMM), 0);
	assert_int_equal(set(file, IMM), 0);
	assert_int_equal(set(file, IMM | OWFS_INODE_NODUMP), -EPERM);
	assert_int_equal(owfs_flags_set(file, OWFS_INODE_NODUMP,
					OWFS_INODE_NODUMP, NULL), -EPERM);
	assert_int_equal(owfs_flags_set(file, 0, 0, &five), -EPERM);
	assert_int_equal(flags_of(file), IMM);
	assert_int_equal(owfs_flags_set(file, OWFS_FLAGS_USER,
					OWFS_INODE_NODUMP, &five), 0);
	assert_int_equal(flags_of(file), OWFS_INODE_NODUMP);
	assert_int_equal(projid_of(file), 5);
	/* append-only is not as strict */
	assert_int_equal(set(file, APP), 0);
	assert_int_equal(set(file, APP | OWFS_INODE_NODUMP), 0);
}

/* The mask keeps what it does not name, and intents. */
static void test_other_flags_stay(void **state)
{
	(void)state;
	assert_int_equal(set(dir, OWFS_INODE_DIRSYNC), 0);
	assert_int_equal(owfs_flags_set(dir, OWFS_FLAGS_USER &
					~OWFS_INODE_DIRSYNC,
					OWFS_INODE_NODUMP, NULL), 0);
	assert_int_equal(flags_of(dir), OWFS_INODE_DIRSYNC | OWFS_INODE_NODUMP);
}

/* --------------------------------------------------------------- inheriting */

static void test_flags_come_with_the_place(void **state)
{
	const uint32_t all = OWFS_INODE_NODUMP | OWFS_INODE_NOATIME |
			     OWFS_INODE_SYNC | OWFS_INODE_DIRSYNC |
			     OWFS_INODE_PROJINHERIT;
	struct owfs_inode *inode;

	(void)state;
	set_project(dir, all | APP, 9);
	inode = nx_make(dir, "f", S_IFREG | 0644);
	assert_int_equal(flags_of(inode), OWFS_INODE_NODUMP |
			 OWFS_INODE_NOATIME | OWFS_INODE_SYNC);
	assert_int_equal(projid_of(inode), 9);
	owfs_iput(inode);
	inode = nx_make(dir, "d", S_IFDIR | 0755);
	assert_int_equal(flags_of(inode), all);
	assert_int_equal(projid_of(inode), 9);
	owfs_iput(inode);
	inode = nx_make(dir, "l", S_IFLNK | 0777);
	assert_int_equal(flags_of(inode), OWFS_INODE_NODUMP |
			 OWFS_INODE_NOATIME);
	assert_int_equal(projid_of(inode), 9);
	owfs_iput(inode);

	set_project(dir, 0, 9);
	inode = nx_make(dir, "none", S_IFREG | 0644);
	assert_int_equal(flags_of(inode), 0);
	assert_int_equal(projid_of(inode), 0);
	owfs_iput(inode);
}

static void test_projects_do_not_mix(void **state)
{
	(void)state;
	set_project(away, OWFS_INODE_PROJINHERIT, 3);
	assert_int_equal(link_away(), -EXDEV);
	assert_int_equal(rename_away(), -EXDEV);
	set_project(file, 0, 3);
	assert_int_equal(link_away(), 0);
	assert_int_equal(rename_away(), 0);
	/* out of it anything may go, unless the other place minds */
	assert_int_equal(nx_rename(away, "name", dir, "back", 0), 0);
	set_project(dir, OWFS_INODE_PROJINHERIT, 4);
	assert_int_equal(nx_rename(dir, "spare", away, "file",
				   RENAME_EXCHANGE), -EXDEV);
	set_project(dir, 0, 4);
	assert_int_equal(nx_rename(dir, "spare", away, "file",
				   RENAME_EXCHANGE), -EXDEV);
	assert_int_equal(nx_rename(dir, "back", away, "file",
				   RENAME_EXCHANGE), 0);
}

/* --------------------------------------------------------------------- sync */

static bool is_durable(void)
{
	return owfs_btree_dirty(nx.fs->fs_bt) == 0;
}

/* Every kind of change of what has the flag is durable when it is answered. */
static void test_sync_is_durable(void **state)
{
	static int (*const changes[])(void) = {
		write_inside, write_appending, writeback_same, truncate_up,
		chmod_it, touch, allocate, punch, zero, set_xattr,
		remove_xattr, truncate_down,
	};
	size_t i;

	(void)state;
	assert_int_equal(set(file, OWFS_INODE_SYNC), 0);
	assert_true(is_durable());
	for (i = 0; i < ARRAY_SIZE(changes); i++) {
		assert_int_equal(changes[i](), 0);
		if (!is_durable())
			fail_msg("change %zu is not durable", i);
	}
	assert_int_equal(make_file(), 0);
	assert_false(is_durable());
}

static void test_dirsync_is_durable(void **state)
{
	static const uint32_t flags[] = { OWFS_INODE_SYNC, OWFS_INODE_DIRSYNC };
	static int (*const changes[])(void) = {
		make_file, link_into, rename_inside, move_out, move_in,
		remove_sub,
	};
	size_t i, j;

	(void)state;
	for (j = 0; j < ARRAY_SIZE(flags); j++) {
		assert_int_equal(set(dir, flags[j]), 0);
		assert_int_equal(owfs_commit_all(nx.fs), 0);
		for (i = 0; i < ARRAY_SIZE(changes); i++) {
			assert_int_equal(changes[i](), 0);
			if (!is_durable())
				fail_msg("change %zu is not durable", i);
		}
		assert_int_equal(nx_unlink(dir, "name"), 0);
		assert_true(is_durable());
		teardown(NULL);
		setup(NULL);
	}
}

static void test_opens_are_judged(void **state)
{
	(void)state;
	assert_int_equal(set(file, IMM), 0);
	assert_int_equal(owfs_flags_may_open(file, O_RDONLY), 0);
	assert_int_equal(owfs_flags_may_open(file, O_WRONLY), -EPERM);
	assert_int_equal(owfs_flags_may_open(file, O_RDWR | O_APPEND), -EPERM);
	assert_int_equal(set(file, APP), 0);
	assert_int_equal(owfs_flags_may_open(file, O_RDONLY), 0);
	assert_int_equal(owfs_flags_may_open(file, O_WRONLY), -EPERM);
	assert_int_equal(owfs_flags_may_open(file, O_RDWR | O_APPEND), 0);
	assert_int_equal(owfs_flags_may_open(file, O_RDONLY | O_TRUNC), -EPERM);
	assert_int_equal(owfs_flags_may_open(file, O_WRONLY | O_APPEND |
					     O_TRUNC), -EPERM);
}

#define ON_TREE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files_with_flags),
		cmocka_unit_test(test_directories_with_flags),
		ON_TREE(test_frozen_bytes_stay),
		ON_TREE(test_places_of_frozen_files),
		ON_TREE(test_times_of_kept_writes),
		ON_TREE(test_times_of_the_kernels_own_files),
		ON_TREE(test_flags_survive),
		ON_TREE(test_impossible_flags_are_refused),
		ON_TREE(test_immutable_flags_are_frozen),
		ON_TREE(test_other_flags_stay),
		ON_TREE(test_flags_come_with_the_place),
		ON_TREE(test_projects_do_not_mix),
		ON_TREE(test_sync_is_durable),
		ON_TREE(test_dirsync_is_durable),
		ON_TREE(test_opens_are_judged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
