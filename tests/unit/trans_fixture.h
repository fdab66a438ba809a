/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A small filesystem of floor 4 on an emulated device, with items of no
 * meaning: what tests of transactions and commits share.
 */
#ifndef OWFS_TESTS_TRANS_FIXTURE_H
#define OWFS_TESTS_TRANS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "emubd.h"
#include "trans/trans.h"

#define BYTES	(16u << 20)

static char said[2000];

static inline void remember(void *ctx, enum owfs_msg_level level, const char *line)
{
	(void)ctx;
	(void)level;
	snprintf(said, sizeof(said), "%s", line);
}

static const struct owfs_msg msg = { remember, NULL, OWFS_MSG_WARN };

static inline int put(struct owfs_fs *fs, uint64_t n, uint64_t value)
{
	struct owfs_key key = owfs_key(100, OWFS_ITEM_EXTENT, n);
	struct owfs_trans tr;
	int ret = owfs_trans_begin(fs, &tr, 1, 1, OWFS_RESV_NORMAL);

	if (ret)
		return ret;
	ret = owfs_btree_update(fs->fs_bt, &key, &value, sizeof(value));
	if (ret == -ENOENT)
		ret = owfs_btree_insert(fs->fs_bt, &key, &value, sizeof(value));
	if (ret)
		owfs_trans_abort(&tr, ret, "put");
	return owfs_trans_end(&tr);
}

static inline uint64_t get(struct owfs_fs *fs, uint64_t n)
{
	struct owfs_key key = owfs_key(100, OWFS_ITEM_EXTENT, n);
	uint64_t value = 0;

	return owfs_btree_lookup(fs->fs_bt, &key, &value, sizeof(value)) < 0
		? 0 : value;
}

static inline struct emubd *format_bytes(unsigned int copies, uint64_t bytes)
{
	struct emubd *e = emubd_create(bytes);
	struct owfs_fs_param p = { .bd = emubd_blkdev(e), .msg = &msg };
	struct owfs_super sb = {
		.blocksize = 4096, .nblocks = bytes / 4096,
		.meta_copies = copies, .csum_seed = 3, .hash_seed = 4,
		.reserve_blocks = 384,
	};
	struct owfs_fs *fs;

	assert_int_equal(owfs_fs_open_fresh(&fs, &p, &sb), 0);
	assert_int_equal(put(fs, 0, 1), 0);
	assert_int_equal(owfs_fs_format_commit(fs), 0);
	owfs_fs_close(fs);
	return e;
}

static inline struct emubd *format(unsigned int copies)
{
	return format_bytes(copies, BYTES);
}

static inline struct owfs_fs *open_fs(struct emubd *e, bool fallback)
{
	struct owfs_fs_param p = {
		.bd = emubd_blkdev(e), .msg = &msg, .fallback = fallback,
	};
	struct owfs_fs *fs;

	assert_int_equal(owfs_fs_open(&fs, &p), 0);
	return fs;
}

#endif
