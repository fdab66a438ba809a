/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What c_fault.c plays; see c_fault.h. */
#include <errno.h>
#include <stdlib.h>

#include "c_fault.h"

#include "base/util.h"

const struct scene fault_scenes[] = {
	{ .name = "create", .steps = {
		ON(OP_CREATE, "d1/new"), SYNC, END } },
	{ .name = "mkdir", .steps = {
		ON(OP_MKDIR, "d0/new"), ON(OP_CREATE, "d0/new/x"), SYNC, END } },
	{ .name = "symlink", .steps = {
		ON(OP_SYMLINK, "d0/new", .path2 = "some/where/else"), SYNC,
		END } },
	{ .name = "link", .steps = {
		ON(OP_LINK, "n0", .path2 = "d1/new"), SYNC, END } },
	{ .name = "unlink", .steps = {
		ON(OP_UNLINK, "n1"), OP(STEP_RECLAIM), SYNC, END } },
	{ .name = "unlink-open", .steps = {
		ON(STEP_HOLD, "n1"), ON(OP_UNLINK, "n1"), SYNC,
		OP(STEP_RELEASE), OP(STEP_RECLAIM), OP(STEP_RECLAIM), SYNC,
		END } },
	{ .name = "rmdir", .steps = {
		ON(OP_RMDIR, "d0/d2"), SYNC, OP(STEP_RECLAIM), END } },
	{ .name = "rename", .steps = {
		ON(OP_RENAME, "n2", .path2 = "d1/moved"), SYNC, END } },
	{ .name = "rename-over", .steps = {
		ON(OP_RENAME, "n2", .path2 = "n1"), OP(STEP_RECLAIM), SYNC,
		END } },
	{ .name = "rename-dir", .steps = {
		ON(OP_RENAME, "d0/d2", .path2 = "d1/moved"), SYNC, END } },
	{ .name = "exchange", .steps = {
		ON(OP_EXCHANGE, "n2", .path2 = "d0/d2"), SYNC, END } },
	{ .name = "write", .steps = {
		ON(OP_WRITE, "n0", .pos = 5000, .len = 30000, .seed = 7),
		ON(OP_WRITE, "n0", .pos = 8192, .len = 4096, .seed = 8), SYNC,
		END } },
	{ .name = "write-many", .steps = {
		ON(OP_WRITE, "n1", .pos = 0, .len = 100000, .seed = 7), SYNC,
		END } },
	{ .name = "append", .steps = {
		ON(OP_APPEND, "n2", .len = 9000, .seed = 3),
		ON(OP_FSYNC, "n2"), END } },
	{ .name = "truncate", .steps = {
		ON(OP_TRUNCATE, "n0", .pos = 10000), SYNC, END } },
	{ .name = "truncate-many", .steps = {
		ON(OP_TRUNCATE, "n1", .pos = 3000), OP(STEP_RECLAIM), SYNC,
		OP(STEP_RECLAIM), END } },
	{ .name = "truncate-up", .steps = {
		ON(OP_TRUNCATE, "n0", .pos = 200000),
		ON(OP_WRITE, "n0", .pos = 190000, .len = 100), SYNC, END } },
	{ .name = "punch", .steps = {
		ON(OP_PUNCH, "n0", .pos = 5000, .len = 20000), SYNC, END } },
	{ .name = "doomed", .steps = {
		ON(OP_PUNCH, "n1", .pos = 0, .len = 150000),
		ON(OP_WRITE, "n1", .pos = 20000, .len = 30000), SYNC,
		OP(STEP_RECLAIM), SYNC, END } },
	{ .name = "zero", .steps = {
		ON(OP_ZERO, "n0", .pos = 5000, .len = 20000), SYNC, END } },
	{ .name = "prealloc", .steps = {
		ON(OP_PREALLOC, "n1", .pos = 0, .len = 200000),
		ON(OP_WRITE, "n1", .pos = 50000, .len = 20000), SYNC, END } },
	{ .name = "setxattr", .steps = {
		ON(OP_SETXATTR, "n0", .len = 40), SYNC,
		ON(OP_SETXATTR, "n2", .len = 2900), SYNC, END } },
	{ .name = "removexattr", .steps = {
		ON(OP_REMOVEXATTR, "n2"), SYNC, END } },
	{ .name = "chmod", .steps = {
		ON(OP_CHMOD, "n0", .num = 0600), SYNC, END } },
	{ .name = "lists", .steps = {
		ON(OP_SETLIST, "d1", .pos = 1, .len = 3, .num = 0750),
		ON(OP_SETLIST, "n0", .len = 2, .num = 0640),
		ON(OP_CREATE, "d1/new"), ON(OP_MKDIR, "d1/dir"), SYNC,
		ON(OP_CHMOD, "d1/new", .num = 0604), SYNC, END } },
	{ .name = "long-lists", .steps = {
		ON(OP_SETLIST, "d0", .pos = 1, .len = 140, .num = 0750),
		ON(OP_MKDIR, "d0/dir"), SYNC,
		ON(OP_SETLIST, "d0/dir", .len = 2, .num = 0700), SYNC, END } },
	{ .name = "read", .steps = {
		ON(STEP_READ, "n0"), ON(STEP_READ, "n1"), ON(STEP_READ, "n2"),
		END } },
	{ .name = "list", .steps = {
		ON(STEP_LIST, "d1"), ON(STEP_LIST, "d0"), ON(STEP_XATTR, "n2"),
		OP(STEP_EVICT), ON(STEP_LIST, "d0"), END } },
	{ .name = "commit", .steps = {
		ON(OP_CREATE, "d1/new"), ON(OP_WRITE, "n0", .len = 5000),
		OP(STEP_COMMIT), ON(OP_UNLINK, "n0"), OP(STEP_COMMIT),
		OP(STEP_RECLAIM), OP(STEP_COMMIT), OP(STEP_COMMIT), END } },
	{ .name = "reclaim", .steps = {
		OP(STEP_RECLAIM), OP(STEP_RECLAIM), OP(STEP_COMMIT),
		OP(STEP_RECLAIM), OP(STEP_RECLAIM), SYNC, END } },
	{ .name = "mount", .mount = true, .steps = {
		ON(OP_CREATE, "d1/new"), SYNC, END } },
	{ .name = "unmount", .steps = {
		ON(OP_CREATE, "d1/new"), ON(OP_WRITE, "d1/new", .len = 5000),
		OP(OP_REMOUNT), ON(OP_UNLINK, "n0"), END } },
	{ .name = "discard", .discard = true, .steps = {
		ON(OP_UNLINK, "n0"), OP(STEP_RECLAIM), SYNC, OP(STEP_COMMIT),
		ON(OP_CREATE, "x"), SYNC, ON(OP_CREATE, "y"), SYNC, END } },
	{ .name = "full-unlink", .full = true, .steps = {
		ON(OP_UNLINK, "n1"), OP(STEP_RECLAIM), SYNC,
		ON(OP_CREATE, "d1/new"), SYNC, END } },
	{ .name = "full-cut", .full = true, .steps = {
		ON(OP_PUNCH, "n0", .pos = 5000, .len = 20000),
		ON(OP_TRUNCATE, "n1", .pos = 3000), OP(STEP_RECLAIM), SYNC,
		END } },
	{ .name = "full-write", .full = true, .steps = {
		ON(OP_WRITE, "n0", .pos = 5000, .len = 30000, .seed = 7),
		ON(OP_RENAME, "n2", .path2 = "d1/moved"),
		ON(OP_SETXATTR, "n2", .len = 2000), SYNC, END } },
	{ .name = "two-copies", .copies = 2, .tree = true, .steps = {
		ON(STEP_LIST, "d1"), ON(STEP_LIST, "d0"), ON(STEP_XATTR, "n2"),
		OP(STEP_EVICT), ON(STEP_LIST, "d1"), END } },
	{ .name = "two-copies-change", .copies = 2, .steps = {
		ON(OP_CREATE, "d1/new"), ON(OP_UNLINK, "n1"), SYNC, END } },
	{ .name = "two-copies-mount", .copies = 2, .mount = true, .steps = {
		ON(OP_WRITE, "n0", .pos = 5000, .len = 9000), SYNC, END } },
	{ .name = "two-copies-data", .copies = 2, .steps = {
		ON(OP_WRITE, "n1", .pos = 100, .len = 50000),
		ON(OP_TRUNCATE, "n1", .pos = 20000), ON(OP_FSYNC, "n1"),
		OP(STEP_RECLAIM), SYNC, END } },
	{ .name = "two-copies-names", .copies = 2, .steps = {
		ON(OP_RENAME, "d0/d2", .path2 = "d1/moved"),
		ON(OP_EXCHANGE, "n0", .path2 = "d1"), SYNC, END } },
	{ .name = "rename-over-dir", .steps = {
		ON(OP_RENAME, "d1", .path2 = "d0/d2"), SYNC, END } },
	{ .name = "rename-over-link", .steps = {
		ON(OP_RENAME, "n0", .path2 = "d0/link"), SYNC, END } },
	{ .name = "rename-over-itself", .steps = {
		ON(OP_RENAME, "n2", .path2 = "d0/n2"), SYNC, END } },
	{ .name = "rename-over-many", .steps = {
		ON(OP_RENAME, "n0", .path2 = "n1"), OP(STEP_RECLAIM),
		OP(STEP_RECLAIM), SYNC, OP(STEP_RECLAIM), END } },
	{ .name = "rename-over-open", .steps = {
		ON(STEP_HOLD, "n1"), ON(OP_RENAME, "n2", .path2 = "n1"), SYNC,
		OP(STEP_RELEASE), OP(STEP_RECLAIM), SYNC, END } },
	{ .name = "exchange-dirs", .steps = {
		ON(OP_EXCHANGE, "d0/d2", .path2 = "d1"), SYNC, END } },
	{ .name = "unlink-link", .steps = {
		ON(OP_UNLINK, "d0/n2"), ON(OP_UNLINK, "d0/link"), SYNC, END } },
	{ .name = "unlink-create", .steps = {
		ON(OP_UNLINK, "n0"), ON(OP_CREATE, "n0"),
		ON(OP_WRITE, "n0", .len = 20000), ON(OP_FSYNC, "n0"),
		OP(STEP_RECLAIM), END } },
	{ .name = "unlink-all", .steps = {
		ON(OP_UNLINK, "n0"), ON(OP_UNLINK, "n1"), ON(OP_UNLINK, "n2"),
		OP(STEP_COMMIT), OP(STEP_RECLAIM), OP(STEP_RECLAIM),
		OP(STEP_RECLAIM), SYNC, END } },
	{ .name = "rmdir-parent", .steps = {
		ON(OP_RMDIR, "d0/d2"), ON(OP_MKDIR, "d0/d2"), SYNC, END } },
	{ .name = "dir-moves-twice", .steps = {
		ON(OP_RENAME, "d0/d2", .path2 = "x"), OP(STEP_COMMIT),
		ON(OP_RENAME, "x", .path2 = "d1/x"), SYNC, END } },
	{ .name = "write-new", .steps = {
		ON(OP_CREATE, "x"), ON(OP_WRITE, "x", .pos = 100, .len = 9000),
		ON(OP_FSYNC, "x"), ON(OP_APPEND, "x", .len = 5), SYNC, END } },
	{ .name = "write-far", .steps = {
		ON(OP_WRITE, "n0", .pos = 230000, .len = 4096), SYNC,
		END } },
	{ .name = "write-one-byte", .steps = {
		ON(OP_WRITE, "n0", .pos = 4095, .len = 2), ON(OP_FSYNC, "n0"),
		END } },
	{ .name = "write-read", .steps = {
		OP(STEP_EVICT), ON(OP_WRITE, "n0", .pos = 70000, .len = 5000),
		OP(STEP_EVICT), SYNC, END } },
	{ .name = "overwrite-often", .steps = {
		ON(OP_WRITE, "n2", .len = 4096, .seed = 1), OP(STEP_COMMIT),
		ON(OP_WRITE, "n2", .len = 4096, .seed = 2), OP(STEP_COMMIT),
		ON(OP_WRITE, "n2", .len = 4096, .seed = 3), SYNC, END } },
	{ .name = "append-often", .steps = {
		ON(OP_APPEND, "n2", .len = 3000), ON(OP_APPEND, "n2", .len = 3000),
		ON(OP_APPEND, "n2", .len = 3000), ON(OP_FSYNC, "n2"), END } },
	{ .name = "truncate-empty", .steps = {
		ON(OP_TRUNCATE, "n0", .pos = 0), ON(OP_TRUNCATE, "n1", .pos = 0),
		OP(STEP_RECLAIM), SYNC, END } },
	{ .name = "truncate-write", .steps = {
		ON(OP_TRUNCATE, "n1", .pos = 100),
		ON(OP_WRITE, "n1", .pos = 100000, .len = 100), SYNC,
		OP(STEP_RECLAIM), END } },
	{ .name = "truncate-up-down", .steps = {
		ON(OP_TRUNCATE, "n0", .pos = 101000),
		ON(OP_TRUNCATE, "n0", .pos = 100001), SYNC, END } },
	{ .name = "cut-goes-on", .steps = {
		ON(OP_WRITE, "cut", .pos = 30000, .len = 30000),
		OP(STEP_RECLAIM), ON(OP_TRUNCATE, "cut", .pos = 40000),
		OP(STEP_RECLAIM), SYNC, END } },
	{ .name = "cut-unlink", .steps = {
		ON(OP_UNLINK, "cut"), OP(STEP_RECLAIM), OP(STEP_RECLAIM), SYNC,
		END } },
	{ .name = "punch-all", .steps = {
		ON(OP_PUNCH, "n0", .len = 200000), SYNC,
		END } },
	{ .name = "punch-edges", .steps = {
		ON(OP_PUNCH, "n0", .pos = 4097, .len = 4094),
		ON(OP_PUNCH, "n1", .pos = 100, .len = 8000), SYNC, END } },
	{ .name = "zero-many", .steps = {
		ON(OP_ZERO, "n1", .pos = 3000, .len = 150000), SYNC,
		OP(STEP_RECLAIM), END } },
	{ .name = "zero-grow", .steps = {
		ON(OP_ZERO, "n0", .pos = 95000, .len = 30000), SYNC, END } },
	{ .name = "prealloc-keep", .steps = {
		ON(OP_PREALLOC_KEEP, "n2", .pos = 4096, .len = 50000),
		ON(OP_APPEND, "n2", .len = 10000),
		ON(OP_TRUNCATE, "n2", .pos = 100), SYNC, END } },
	{ .name = "prealloc-write", .steps = {
		ON(OP_CREATE, "x"), ON(OP_PREALLOC, "x", .len = 40000),
		OP(STEP_COMMIT), ON(OP_WRITE, "x", .pos = 5000, .len = 10000),
		ON(OP_WRITE, "x", .pos = 5000, .len = 10000, .seed = 1),
		ON(OP_FSYNC, "x"), END } },
	{ .name = "setxattr-often", .steps = {
		ON(OP_SETXATTR, "n2", .len = 2000), OP(STEP_COMMIT),
		ON(OP_SETXATTR, "n2", .len = 10),
		ON(OP_SETXATTR, "n2", .num = 2, .len = 2800), SYNC,
		END } },
	{ .name = "xattr-of-dir", .steps = {
		ON(OP_SETXATTR, "d1", .len = 2000),
		ON(OP_RENAME, "d1", .path2 = "x"), SYNC, END } },
	{ .name = "remount-twice", .steps = {
		OP(OP_REMOUNT), ON(OP_APPEND, "n0", .len = 5000), OP(OP_REMOUNT),
		END } },
	{ .name = "full-create", .full = true, .steps = {
		ON(OP_CREATE, "d1/new"), ON(OP_MKDIR, "x"),
		ON(OP_SYMLINK, "y", .path2 = "z"), SYNC, END } },
	{ .name = "full-overwrite", .full = true, .steps = {
		ON(OP_WRITE, "n0", .len = 4096, .seed = 1), OP(STEP_COMMIT),
		ON(OP_WRITE, "n0", .len = 4096, .seed = 2), OP(STEP_COMMIT),
		ON(OP_WRITE, "n0", .len = 4096, .seed = 3), SYNC, END } },
	{ .name = "full-rename", .full = true, .steps = {
		ON(OP_RENAME, "n0", .path2 = "n1"), OP(STEP_RECLAIM), SYNC,
		ON(OP_APPEND, "n1", .len = 5000), SYNC, END } },
	{ .name = "full-append", .full = true, .steps = {
		ON(OP_UNLINK, "n1"), ON(OP_APPEND, "n2", .len = 50000),
		OP(STEP_RECLAIM), SYNC, END } },
	{ .name = "full-zero", .full = true, .steps = {
		ON(OP_ZERO, "n0", .pos = 4096, .len = 40960), SYNC, END } },
	{ .name = "discard-write", .discard = true, .steps = {
		ON(OP_WRITE, "n0", .len = 40000), SYNC, OP(STEP_COMMIT),
		ON(OP_WRITE, "n0", .len = 40000, .seed = 1), SYNC,
		OP(STEP_COMMIT), END } },
};

const unsigned int fault_nscenes = ARRAY_SIZE(fault_scenes);
static_assert(ARRAY_SIZE(fault_scenes) <= FAULT_SCENES_MAX, "room for answers");

/* ----------------------------------------------------------------- the tree */

static void make(struct owfs_fs *fs, const struct op *op, struct model *m)
{
	int ret = rig_apply(fs, op);

	if (!ret && m)
		ret = model_apply(m, op);
	if (ret) {
		fprintf(stderr, "c_fault: cannot make the tree: %s: %d\n",
			op->path, ret);
		exit(99);
	}
}

static void make_fragments(struct owfs_fs *fs, const char *path, struct model *m)
{
	struct op op = ON(OP_WRITE, "", .len = 4096, .seed = 5);
	unsigned int i;

	snprintf(op.path, sizeof(op.path), "%s", path);
	for (i = 0; i < 25; i++) {
		op.pos = 8192 * i;
		make(fs, &op, m);
	}
}

static void make_names(struct owfs_fs *fs, struct model *m)
{
	struct op op = ON(OP_CREATE, "");
	unsigned int i;

	for (i = 0; i < 40; i++) {
		snprintf(op.path, sizeof(op.path), "d1/%0115u", i);
		make(fs, &op, m);
	}
}

void fault_make_tree(struct owfs_fs *fs, struct model *m)
{
	static const struct op ops[] = {
		ON(OP_MKDIR, "d0"), ON(OP_MKDIR, "d1"), ON(OP_MKDIR, "d0/d2"),
		ON(OP_CREATE, "n0"), ON(OP_CREATE, "n1"), ON(OP_CREATE, "n2"),
		ON(OP_CREATE, "gone"), ON(OP_CREATE, "cut"),
		ON(OP_CREATE, "fill"),
		ON(OP_WRITE, "n0", .len = 100000, .seed = 1),
		ON(OP_WRITE, "n2", .len = 700, .seed = 2),
		ON(OP_SETXATTR, "n2", .len = 3000, .seed = 3),
		ON(OP_SETXATTR, "n2", .len = 30, .num = 1, .seed = 4),
		ON(OP_SYMLINK, "d0/link", .path2 = "../n0"),
		ON(OP_LINK, "n2", .path2 = "d0/n2"),
	};
	static const struct op cut = ON(OP_TRUNCATE, "cut", .pos = 5000);
	static const struct op gone = ON(OP_UNLINK, "gone");
	static const struct op sync = SYNC;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ops); i++)
		make(fs, &ops[i], m);
	make_names(fs, m);
	make_fragments(fs, "n1", m);
	make_fragments(fs, "cut", m);
	make_fragments(fs, "gone", m);
	make(fs, &sync, NULL);
	make(fs, &cut, m);
	make(fs, &gone, m);
	make(fs, &sync, NULL);
}

void fault_fill(struct owfs_fs *fs)
{
	struct op op = ON(OP_PREALLOC_KEEP, "fill", .len = 8 << 20);
	int ret;

	for (; op.len >= 4096; op.len /= 2)
		while (!(ret = rig_apply(fs, &op)))
			op.pos += op.len;
	if (ret == -ENOSPC && !owfs_syncfs(fs))
		return;
	fprintf(stderr, "c_fault: cannot fill the device: %d\n", ret);
	exit(99);
}
