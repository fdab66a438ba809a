/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A mounted filesystem on a RAM device for tests of operations on names.  When
 * it is unmounted, fsck has the last word.
 */
#ifndef OWFS_TESTS_NAMEI_FIXTURE_H
#define OWFS_TESTS_NAMEI_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/util.h"
#include "check.h"
#include "file/access.h"
#include "file/attr.h"
#include "file/file.h"
#include "file/mount.h"
#include "file/namei.h"
#include "object/itable.h"
#include "rig.h"

struct nx {
	struct emubd *e;
	struct rig_env re;
	struct owfs_fs *fs;
	struct owfs_inode *root;
	uint64_t hash_mask;		/* 0: all bits */
	char said[1000];
	struct owfs_msg msg;
};

static inline void nx_emit(void *ctx, enum owfs_msg_level level,
			   const char *line)
{
	struct nx *nx = ctx;
	size_t n = strlen(nx->said);

	(void)level;
	snprintf(nx->said + n, sizeof(nx->said) - n, "%s\n", line);
}

static inline void nx_mount(struct nx *nx, unsigned int flags)
{
	nx->msg = (struct owfs_msg){ nx_emit, nx, OWFS_MSG_WARN };
	assert_int_equal(rig_mount(&nx->fs, nx->e, &nx->re, flags, &nx->msg),
			 0);
	if (nx->hash_mask)
		nx->fs->fs_itable->it_hash_mask = nx->hash_mask;
	assert_int_equal(owfs_iget(nx->fs, OWFS_INO_ROOT, &nx->root), 0);
}

static inline void nx_start(struct nx *nx, uint64_t bytes)
{
	rig_env_init(&nx->re, 51);
	nx->e = rig_mkfs(&nx->re, bytes, 4096, 1);
	assert_non_null(nx->e);
	nx_mount(nx, 0);
}

/* Nothing more is written: what a crash leaves. */
static inline void nx_crash(struct nx *nx)
{
	owfs_iput(nx->root);
	owfs_mount_abandon(nx->fs);
	nx->fs = NULL;
}

static inline void nx_fsck(struct nx *nx)
{
	struct owfs_check_param p = { .hash_mask = nx->hash_mask };
	struct owfs_check_report r;

	assert_int_equal(owfs_check(emubd_blkdev(nx->e), &p, &r), 0);
	if (r.problems)
		fail_msg("fsck: %s", r.first);
}

static inline void nx_unmount(struct nx *nx)
{
	owfs_iput(nx->root);
	assert_int_equal(owfs_unmount(nx->fs), 0);
	nx->fs = NULL;
	nx_fsck(nx);
}

static inline void nx_remount(struct nx *nx)
{
	nx_unmount(nx);
	nx_mount(nx, 0);
}

static inline void nx_done(struct nx *nx)
{
	if (nx->fs)
		nx_crash(nx);
	emubd_destroy(nx->e);
	nx->e = NULL;
}

static inline void nx_reclaim(struct nx *nx)
{
	int ret;

	do {
		OWFS_RETRY(nx->fs, ret, owfs_reclaim_step(nx->fs));
	} while (ret > 0);
	assert_int_equal(ret, 0);
}

/* Names as C strings. */

static inline int nx_create(struct owfs_inode *dir, const char *name,
			    uint32_t mode, struct owfs_inode **ip)
{
	struct owfs_newnode nn = { .mode = mode, .target = "target" };

	return owfs_create(dir, name, strlen(name), &nn, ip);
}

static inline struct owfs_inode *nx_make(struct owfs_inode *dir,
					 const char *name, uint32_t mode)
{
	struct owfs_inode *inode = NULL;

	assert_int_equal(nx_create(dir, name, mode, &inode), 0);
	return inode;
}

static inline int nx_lookup(struct owfs_inode *dir, const char *name,
			    struct owfs_inode **ip)
{
	return owfs_lookup(dir, name, strlen(name), ip);
}

static inline int nx_unlink(struct owfs_inode *dir, const char *name)
{
	return owfs_unlink(dir, name, strlen(name));
}

static inline int nx_rmdir(struct owfs_inode *dir, const char *name)
{
	return owfs_rmdir(dir, name, strlen(name));
}

static inline int nx_link(struct owfs_inode *inode, struct owfs_inode *dir,
			  const char *name)
{
	return owfs_link(inode, dir, name, strlen(name));
}

static inline int nx_rename(struct owfs_inode *odir, const char *oname,
			    struct owfs_inode *ndir, const char *nname,
			    unsigned int flags)
{
	return owfs_rename(odir, oname, strlen(oname), ndir, nname,
			   strlen(nname), flags, NULL);
}

/* What @name names; 0: nothing. */
static inline owfs_ino_t nx_ino(struct owfs_inode *dir, const char *name)
{
	struct owfs_inode *inode;
	owfs_ino_t ino;
	int ret = nx_lookup(dir, name, &inode);

	if (ret == -ENOENT)
		return 0;
	assert_int_equal(ret, 0);
	ino = inode->i_ino;
	owfs_iput(inode);
	return ino;
}

static inline struct stat nx_stat(struct owfs_inode *inode)
{
	struct stat st;

	owfs_getattr(inode, &st, NULL);
	return st;
}

#endif
