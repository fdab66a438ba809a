/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A whole image through mount, a walk and a workload, as it is.  Who mounts it
 * sees errors or contents, and may write; a write that meets damage leaves the
 * filesystem read-only or untouched.  What it promises it keeps: if everything
 * was made durable and nothing was said to be wrong, it mounts again, and what
 * was written last is there.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/util.h"
#include "file/file.h"
#include "fuzz.h"
#include "image.h"

static struct rig_env env;

#define LAST_BYTES	20000u

/* Each meets other items: those that are there, and new ones beside them. */
static const struct op workload[] = {
	{ .kind = OP_MKDIR, .path = "e" },
	{ .kind = OP_CREATE, .path = "d/new" },
	{ .kind = OP_WRITE, .path = "d/f", .pos = 3000, .len = 9000, .seed = 2 },
	{ .kind = OP_APPEND, .path = "g", .len = 70000, .seed = 3 },
	{ .kind = OP_SETXATTR, .path = "d/f", .len = 40, .num = 3, .seed = 4 },
	{ .kind = OP_REMOVEXATTR, .path = "d/f", .num = 2 },
	{ .kind = OP_PUNCH, .path = "d/f", .pos = 4096, .len = 4096 },
	{ .kind = OP_PREALLOC, .path = "g", .pos = 100000, .len = 50000 },
	{ .kind = OP_LINK, .path = "d/f", .path2 = "e/f" },
	{ .kind = OP_SYNC },
	{ .kind = OP_RENAME, .path = "l", .path2 = "e/l" },
	{ .kind = OP_EXCHANGE, .path = "d/f", .path2 = "g" },
	{ .kind = OP_TRUNCATE, .path = "g", .len = 10 },
	{ .kind = OP_UNLINK, .path = "d/f" },
	{ .kind = OP_CHMOD, .path = "d", .num = 0700 },
	{ .kind = OP_RMDIR, .path = "d" },
};

static bool is_damage(int err)
{
	return err == -EFSCORRUPTED || err == -EFSBADCRC || err == -EIO;
}

/* Nothing was wrong so far: neither was met, nor has it become read-only. */
static bool work(struct owfs_fs *fs)
{
	bool well = true;
	size_t i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(workload); i++) {
		ret = rig_apply(fs, &workload[i]);
		well &= !is_damage(ret);
	}
	return well && !owfs_fs_writable(fs);
}

static const struct op last = {
	.kind = OP_WRITE, .path = "last", .len = LAST_BYTES, .seed = 5,
};

static bool write_last(struct owfs_fs *fs)
{
	const struct op create = { .kind = OP_CREATE, .path = "last" };

	return !rig_apply(fs, &create) && !rig_apply(fs, &last) &&
	       !owfs_syncfs(fs) && !owfs_fs_writable(fs);
}

static void check_last(struct owfs_fs *fs)
{
	static unsigned char want[LAST_BYTES], got[LAST_BYTES];
	struct owfs_inode *inode;
	ssize_t n;
	int err = 0;

	inode = rig_lookup(fs, "last", &err);
	if (!inode)
		abort();
	op_bytes(&last, want, LAST_BYTES);
	n = owfs_file_read(inode, got, LAST_BYTES, 0);
	if (n != (ssize_t)LAST_BYTES || memcmp(want, got, LAST_BYTES))
		abort();
	owfs_iput(inode);
}

static void walk_and_work(struct emubd *e)
{
	struct owfs_fs *fs;
	bool promised;
	int err = 0;

	if (rig_mount(&fs, e, &env, 0, NULL))
		return;
	rig_digest(fs, NULL, &err);
	promised = work(fs) && write_last(fs);
	if (owfs_unmount(fs) || !promised)
		return;
	if (rig_mount(&fs, e, &env, 0, NULL))
		abort();
	check_last(fs);
	rig_digest(fs, NULL, &err);
	owfs_unmount(fs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct emubd *e = image_make(data, size);

	fuzz_limits(IMAGE_BYTES);
	rig_env_init(&env, 1);
	walk_and_work(e);
	emubd_destroy(e);
	fuzz_limits_end();
	return 0;
}
