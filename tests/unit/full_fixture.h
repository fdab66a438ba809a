/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A small device, to be filled. */
#ifndef OWFS_TESTS_FULL_FIXTURE_H
#define OWFS_TESTS_FULL_FIXTURE_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "file/attr.h"
#include "file/file.h"
#include "file/namei.h"
#include "mkfs.h"
#include "rig.h"
#include "trans/commit.h"

#define MIB	(1u << 20)

struct disk {
	struct rig_env env;
	struct emubd *e;
	struct owfs_fs *fs;
	struct owfs_inode *root;
	unsigned int names;
	uint64_t data;		/* bytes written */
};

static char buf[MIB];		/* what is written */

static void disk_make(struct disk *d, uint64_t bytes, uint32_t blocksize,
		      unsigned int copies)
{
	memset(d, 0, sizeof(*d));
	rig_env_init(&d->env, 3);
	d->e = rig_mkfs(&d->env, bytes, blocksize, copies);
	assert_non_null(d->e);
	assert_int_equal(rig_mount(&d->fs, d->e, &d->env, 0, NULL), 0);
	assert_int_equal(owfs_iget(d->fs, OWFS_INO_ROOT, &d->root), 0);
}

static void disk_done(struct disk *d)
{
	struct owfs_alloc_stat st;

	owfs_alloc_stat(d->fs->fs_al, &st);
	assert_int_equal(st.reserved, 0);
	assert_int_equal(st.staged, 0);
	assert_int_equal(owfs_alloc_check(d->fs->fs_al), 0);
	owfs_iput(d->root);
	assert_int_equal(owfs_unmount(d->fs), 0);
	emubd_destroy(d->e);
}

/* NULL: no room. */
static inline struct owfs_inode *new_file(struct disk *d)
{
	struct owfs_newnode nn = { .mode = S_IFREG | 0600 };
	struct owfs_inode *inode;
	char name[16];
	size_t len = (size_t)snprintf(name, sizeof(name), "f%u", d->names);
	int ret = owfs_create(d->root, name, len, &nn, &inode);

	if (ret) {
		assert_int_equal(ret, -ENOSPC);
		return NULL;
	}
	d->names++;
	return inode;
}

/* False: no room. */
static inline bool put(struct disk *d, struct owfs_inode *inode, size_t len,
		uint64_t pos)
{
	ssize_t ret = owfs_file_write(inode, buf, len, (loff_t)pos, false,
				      false);

	if (ret < 0) {
		assert_int_equal(ret, -ENOSPC);
		return false;
	}
	d->data += (uint64_t)ret;
	return true;
}

static inline uint64_t available(struct disk *d)
{
	struct statvfs st;

	assert_int_equal(owfs_statfs(d->fs, &st), 0);
	return st.f_bavail * st.f_frsize;
}

static inline void settle(struct disk *d)
{
	int ret;

	do {
		OWFS_RETRY(d->fs, ret, owfs_reclaim_step(d->fs));
		assert_true(ret >= 0);
	} while (ret > 0);
	assert_int_equal(owfs_commit_force(d->fs), 0);
	assert_int_equal(owfs_commit_force(d->fs), 0);
}

#endif
