/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory running out at every single allocation of an operation on names: it
 * answers -ENOMEM, the tree is what it was, the filesystem goes on, and in the
 * end fsck is content.  Linked so that malloc and the like come through here.
 */
#include "namei_fixture.h"

#include <linux/fs.h>

#include "fault.h"
#include "io/buf.h"

/* --------------------------------------------------------------- operations */

static struct nx nx;
static struct owfs_inode *d;		/* a directory with "f" and "e/" in it */

static int make(const char *name, uint32_t mode)
{
	struct owfs_inode *inode;
	int ret = nx_create(d, name, mode, &inode);

	if (!ret)
		owfs_iput(inode);
	return ret;
}

static int op_create(void)
{
	return make("new", S_IFREG | 0644);
}

static int op_mkdir(void)
{
	return make("newdir", S_IFDIR | 0755);
}

static int op_symlink(void)
{
	return make("newlink", S_IFLNK | 0777);
}

static int op_tmpfile(void)
{
	struct owfs_newnode nn = { .mode = S_IFREG | 0600 };
	struct owfs_inode *inode;
	int ret = owfs_tmpfile(d, &nn, &inode);

	if (!ret)
		owfs_iput(inode);
	return ret;
}

static int op_link(void)
{
	struct owfs_inode *inode;
	int ret = nx_lookup(d, "f", &inode);

	if (ret)
		return ret;
	ret = nx_link(inode, nx.root, "second");
	owfs_iput(inode);
	return ret;
}

static int op_rename(void)
{
	return nx_rename(nx.root, "second", nx.root, "third", 0);
}

static int op_rename_over(void)
{
	return nx_rename(d, "new", d, "f", 0);
}

static int op_rename_dir(void)
{
	return nx_rename(d, "e", nx.root, "moved", RENAME_NOREPLACE);
}

static int op_exchange(void)
{
	return nx_rename(d, "f", nx.root, "moved", RENAME_EXCHANGE);
}

static int op_whiteout(void)
{
	return nx_rename(d, "newlink", d, "renamed", RENAME_WHITEOUT);
}

static int op_setxattr(void)
{
	static char value[2000];

	return owfs_setxattr(d, "user.x", 6, value, sizeof(value), 0);
}

static int op_removexattr(void)
{
	return owfs_removexattr(d, "user.x", 6);
}

static int op_chmod(void)
{
	struct owfs_attr set = { .mode = 0700 };

	return owfs_setattr(d, &set, OWFS_SET_MODE);
}

static int op_unlink(void)
{
	return nx_unlink(nx.root, "third");
}

static int op_rmdir(void)
{
	return nx_rmdir(d, "newdir");
}

static int op_reclaim(void)
{
	int ret = owfs_reclaim_step(nx.fs);

	return ret < 0 ? ret : 0;
}

/* ------------------------------------------------------------------ scenario */

static uint64_t digest(void)
{
	uint64_t hash;
	int err;

	hash = rig_digest(nx.fs, NULL, &err);
	assert_int_equal(err, 0);
	return hash;
}

static int with_failure(int (*op)(void), unsigned long nth)
{
	int ret;

	/* what is cached takes no memory, and more of it would be tested less */
	owfs_bufcache_shrink(nx.fs->fs_bc, true);
	fault_malloc(nth, 1);
	ret = op();
	fault_malloc(0, 0);
	return ret;
}

/* Each allocation in turn, until the operation needs no more and succeeds. */
static void run(const char *name, int (*op)(void))
{
	uint64_t before = digest();
	unsigned long nth;
	int ret;

	for (nth = 1; nth < 1000; nth++) {
		ret = with_failure(op, nth);
		if (!ret)
			break;
		if (ret != -ENOMEM)
			fail_msg("%s, allocation %lu: %d\n%s", name, nth, ret,
				 nx.said);
		if (digest() != before)
			fail_msg("%s, allocation %lu: changed the tree", name,
				 nth);
	}
	assert_true(nth < 1000);
	assert_int_equal(owfs_fs_writable(nx.fs), 0);
}

static void test_operations_survive_any_failed_allocation(void **state)
{
	(void)state;
	nx = (struct nx){ 0 };
	nx_start(&nx, 16u << 20);
	d = nx_make(nx.root, "d", S_IFDIR | 0755);
	owfs_iput(nx_make(d, "f", S_IFREG | 0644));
	owfs_iput(nx_make(d, "e", S_IFDIR | 0755));
	/* nodes that are on the device must be read, and that takes memory */
	assert_int_equal(owfs_syncfs(nx.fs), 0);
	assert_int_equal(owfs_syncfs(nx.fs), 0);
	run("create", op_create);
	run("mkdir", op_mkdir);
	run("symlink", op_symlink);
	run("tmpfile", op_tmpfile);
	run("link", op_link);
	run("rename", op_rename);
	run("rename over", op_rename_over);
	run("rename of a directory", op_rename_dir);
	run("exchange", op_exchange);
	run("whiteout", op_whiteout);
	run("setxattr", op_setxattr);
	run("removexattr", op_removexattr);
	run("chmod", op_chmod);
	run("unlink", op_unlink);
	run("rmdir", op_rmdir);
	run("reclaim", op_reclaim);
	nx_reclaim(&nx);
	owfs_iput(d);
	nx_unmount(&nx);
	nx_done(&nx);
}

/* What could not be queued is found among the orphan items. */
static void test_work_that_could_not_be_queued_is_not_lost(void **state)
{
	struct owfs_inode *inode[100];
	owfs_ino_t ino[100];
	char name[16];
	unsigned int i;

	(void)state;
	nx = (struct nx){ 0 };
	nx_start(&nx, 16u << 20);
	for (i = 0; i < ARRAY_SIZE(inode); i++) {
		snprintf(name, sizeof(name), "f%u", i);
		inode[i] = nx_make(nx.root, name, S_IFREG);
		ino[i] = inode[i]->i_ino;
		assert_int_equal(nx_unlink(nx.root, name), 0);
	}
	for (i = 0; i < ARRAY_SIZE(inode); i++) {
		fault_malloc(1, i % 2 ? 0 : 1);
		owfs_iput(inode[i]);
		fault_malloc(0, 0);
	}
	nx_reclaim(&nx);
	for (i = 0; i < ARRAY_SIZE(inode); i++)
		assert_int_equal(owfs_iget(nx.fs, ino[i], &inode[i]), -ENOENT);
	nx_unmount(&nx);
	nx_done(&nx);
}

static void test_mount_survives_any_failed_allocation(void **state)
{
	unsigned long nth;
	int ret = -ENOMEM;

	(void)state;
	nx = (struct nx){ 0 };
	nx_start(&nx, 16u << 20);
	nx_unmount(&nx);
	for (nth = 1; ret == -ENOMEM; nth++) {
		fault_malloc(nth, 1);
		ret = rig_mount(&nx.fs, nx.e, &nx.re, 0, NULL);
		fault_malloc(0, 0);
	}
	assert_int_equal(ret, 0);
	assert_true(nth > 10);
	owfs_mount_abandon(nx.fs);
	nx.fs = NULL;
	nx_done(&nx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_operations_survive_any_failed_allocation),
		cmocka_unit_test(test_work_that_could_not_be_queued_is_not_lost),
		cmocka_unit_test(test_mount_survives_any_failed_allocation),
	};

	return cmocka_run_group_tests_name("namei nomem", tests, NULL, NULL);
}
