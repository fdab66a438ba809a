/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A filesystem on a RAM device for tests of files: no directories, files are
 * made by number.  The clock counts, chance is seeded, nothing runs by itself.
 */
#ifndef OWFS_TESTS_OBJECT_FIXTURE_H
#define OWFS_TESTS_OBJECT_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/util.h"
#include "emubd.h"
#include "object/extent.h"
#include "object/intent.h"
#include "object/orphan.h"

#ifdef OWFS_TSAN
/* The thread that resizes the inode table is the library's own affair. */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
	return "race:liburcu-cds\n";
}
#endif

struct fx {
	struct emubd *e;
	struct owfs_blkdev *bd;		/* the test's own device; NULL: of @e */
	struct owfs_fs *fs;
	struct owfs_env env;
	uint64_t ticks, seed;
	uint32_t blocksize;
	unsigned int cut_extents;
	unsigned int copies;		/* of metadata; 0: one */
	bool threaded;
	char said[2000];		/* messages, until it is full */
	struct owfs_msg msg;
};

static inline void fx_now(void *ctx, struct timespec *ts)
{
	struct fx *fx = ctx;
	uint64_t t = __atomic_add_fetch(&fx->ticks, 1, __ATOMIC_RELAXED);

	ts->tv_sec = 1000000 + (time_t)(t / 1000);
	ts->tv_nsec = (long)(t % 1000) * 1000000;
}

static inline uint64_t fx_random(void *ctx)
{
	struct fx *fx = ctx;

	return __atomic_add_fetch(&fx->seed, 0x9e3779b97f4a7c15ull,
				  __ATOMIC_RELAXED);
}

static inline void fx_emit(void *ctx, enum owfs_msg_level level,
			   const char *line)
{
	struct fx *fx = ctx;
	size_t n = strlen(fx->said);

	(void)level;
	snprintf(fx->said + n, sizeof(fx->said) - n, "%s\n", line);
}

static inline void fx_param(struct fx *fx, struct owfs_fs_param *p)
{
	fx->env = (struct owfs_env){ fx, fx_now, fx_random };
	fx->msg = (struct owfs_msg){ fx_emit, fx, OWFS_MSG_WARN };
	*p = (struct owfs_fs_param){
		.bd = fx->bd ? fx->bd : emubd_blkdev(fx->e), .env = &fx->env, .msg = &fx->msg,
		.cut_extents = fx->cut_extents, .threaded = fx->threaded,
	};
}

static inline void fx_format(struct fx *fx, uint64_t bytes, uint32_t blocksize)
{
	struct owfs_geo geo;
	struct owfs_super sb = {
		.blocksize = blocksize, .nblocks = bytes / blocksize,
		.meta_copies = fx->copies ? fx->copies : 1, .csum_seed = 3, .hash_seed = 4,
	};
	struct owfs_fs_param p;
	struct owfs_key key = owfs_key(OWFS_INO_ROOT, OWFS_ITEM_INODE, 0);
	struct owfs_inode_item item;
	struct owfs_attr attr = {
		.mode = S_IFDIR | 0755, .nlink = 2, .parent = OWFS_INO_ROOT,
		.gen = 1,
	};
	struct owfs_trans tr;

	if (!fx->bd)
		fx->e = emubd_create(bytes);
	fx->blocksize = blocksize;
	fx_param(fx, &p);
	assert_int_equal(owfs_geo_init(&geo, blocksize, sb.nblocks), 0);
	sb.reserve_blocks = owfs_geo_reserve_default(&geo);
	assert_int_equal(owfs_fs_open_fresh(&fx->fs, &p, &sb), 0);
	assert_int_equal(owfs_trans_begin(fx->fs, &tr, 1, 1, OWFS_RESV_NORMAL),
			 0);
	owfs_attr_to_disk(&item, &attr);
	assert_int_equal(owfs_btree_insert(fx->fs->fs_bt, &key, &item,
					   sizeof(item)), 0);
	assert_int_equal(owfs_trans_end(&tr), 0);
	assert_int_equal(owfs_fs_format_commit(fx->fs), 0);
	owfs_fs_close(fx->fs);
	fx->fs = NULL;
}

static inline void fx_open(struct fx *fx)
{
	struct owfs_fs_param p;

	fx_param(fx, &p);
	assert_int_equal(owfs_fs_open(&fx->fs, &p), 0);
	assert_int_equal(owfs_itable_open(fx->fs), 0);
	assert_int_equal(owfs_reclaim_open(fx->fs), 0);
	if (fx->threaded)
		assert_int_equal(owfs_fs_start(fx->fs), 0);
}

/* Nothing more is written: what a crash leaves. */
static inline void fx_abandon(struct fx *fx)
{
	if (fx->threaded)
		owfs_fs_stop(fx->fs);
	owfs_reclaim_close(fx->fs);
	owfs_itable_close(fx->fs);
	owfs_fs_close(fx->fs);
	fx->fs = NULL;
}

static inline void fx_unmount(struct fx *fx)
{
	assert_int_equal(owfs_commit_all(fx->fs), 0);
	assert_int_equal(owfs_fs_sync_and_clean(fx->fs), 0);
	fx_abandon(fx);
}

static inline void fx_done(struct fx *fx)
{
	if (fx->fs)
		fx_abandon(fx);
	emubd_destroy(fx->e);
	fx->e = NULL;
}

static inline void fx_start(struct fx *fx, uint64_t bytes, uint32_t blocksize)
{
	fx_format(fx, bytes, blocksize);
	fx_open(fx);
}

/* An empty file with one link (somewhere). */
static inline struct owfs_inode *fx_file(struct fx *fx)
{
	struct owfs_attr attr = { .mode = S_IFREG | 0644, .nlink = 1 };
	struct owfs_fs *fs = fx->fs;
	struct owfs_inode *inode;
	struct owfs_trans tr;
	owfs_ino_t ino = 0;
	int ret;

	OWFS_RETRY(fs, ret, owfs_trans_new_ino(fs, &ino));
	assert_int_equal(ret, 0);
	attr.gen = 1;
	owfs_fs_now(fs, &attr.mtime);
	attr.atime = attr.ctime = attr.btime = attr.mtime;
	assert_int_equal(owfs_inode_new(fs, ino, &attr, &inode), 0);
	OWFS_RETRY(fs, ret, owfs_trans_begin(fs, &tr, 1, 1, OWFS_RESV_NORMAL));
	assert_int_equal(ret, 0);
	assert_int_equal(owfs_inode_store(&tr, inode, true), 0);
	assert_int_equal(owfs_trans_end(&tr), 0);
	pthread_rwlock_unlock(&inode->i_lock);
	return inode;
}

static inline struct owfs_inode *fx_iget(struct fx *fx, owfs_ino_t ino)
{
	struct owfs_inode *inode;

	assert_int_equal(owfs_iget(fx->fs, ino, &inode), 0);
	return inode;
}

/* Everything that owns a block owns it alone, and the counts say so. */
static inline void fx_check(struct fx *fx)
{
	struct owfs_alloc_stat st;

	assert_int_equal(owfs_alloc_check(fx->fs->fs_al), 0);
	owfs_alloc_stat(fx->fs->fs_al, &st);
	assert_int_equal(st.staged, 0);
	assert_int_equal(st.reserved, 0);
}

/* The extents of a file: how many, and that nblocks counts their blocks. */
static inline unsigned int fx_extents(struct owfs_inode *inode)
{
	struct owfs_extent ext = { 0 };
	owfs_fileoff_t off = 0;
	uint64_t blocks = 0;
	unsigned int n = 0;
	int ret;

	pthread_rwlock_rdlock(&inode->i_lock);
	while (!(ret = owfs_extent_find(inode, off, UINT64_MAX - 1, &ext))) {
		assert_true(ext.off >= off);
		off = owfs_extent_end(&ext);
		blocks += ext.len;
		n++;
	}
	assert_int_equal(ret, -ENOENT);
	assert_int_equal(blocks, inode->i_attr.nblocks);
	pthread_rwlock_unlock(&inode->i_lock);
	return n;
}

#endif
