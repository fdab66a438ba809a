/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is done with a damaged filesystem that nobody checked. */
#include "base/util.h"
#include "defects_use.h"

/* Only new files: whatever was there stays. */
static const struct op beside[] = {
	{ .kind = OP_CREATE, .path = "last" },
	{ .kind = OP_WRITE, .path = "last", .len = 20000, .seed = 5 },
	{ .kind = OP_SYNC },
	{ .kind = OP_MKDIR, .path = "new" },
	{ .kind = OP_CREATE, .path = "new/file" },
	{ .kind = OP_WRITE, .path = "new/file", .len = 300000, .seed = 6 },
	{ .kind = OP_SYNC },
	{ .kind = OP_SYMLINK, .path = "new/link", .path2 = "target" },
	{ .kind = OP_UNLINK, .path = "new/file" },
	{ .kind = OP_SYNC },
	{ .kind = OP_CREATE, .path = "new/file" },
	{ .kind = OP_SYNC },
};

/* What is there grows, and loses something. */
static const struct op into[] = {
	{ .kind = OP_WRITE, .path = "file", .pos = 5000, .len = 9000, .seed = 2 },
	{ .kind = OP_SYNC },
	{ .kind = OP_SETXATTR, .path = "file", .len = 40, .num = 1, .seed = 4 },
	{ .kind = OP_APPEND, .path = "other", .len = 70000, .seed = 3 },
	{ .kind = OP_SYNC },
	{ .kind = OP_PUNCH, .path = "big", .len = 16384 },
	{ .kind = OP_CREATE, .path = "dir/sub/last" },
	{ .kind = OP_WRITE, .path = "dir/sub/last", .len = 9000, .seed = 7 },
	{ .kind = OP_SYNC },
	{ .kind = OP_CHMOD, .path = "dir", .num = 0700 },
	{ .kind = OP_TRUNCATE, .path = "dir/sub/deep", .pos = 10 },
	{ .kind = OP_PREALLOC, .path = "empty", .len = 50000 },
	{ .kind = OP_SYNC },
};

/* Names come and go. */
static const struct op names[] = {
	{ .kind = OP_RENAME, .path = "dir/sub/deep", .path2 = "dir/moved" },
	{ .kind = OP_SYNC },
	{ .kind = OP_UNLINK, .path = "again" },
	{ .kind = OP_UNLINK, .path = "file" },
	{ .kind = OP_SYNC },
	{ .kind = OP_LINK, .path = "other", .path2 = "dir/sub/other" },
	{ .kind = OP_EXCHANGE, .path = "link", .path2 = "empty" },
	{ .kind = OP_UNLINK, .path = "big" },
	{ .kind = OP_SYNC },
	{ .kind = OP_RENAME, .path = "dir", .path2 = "many/dir" },
	{ .kind = OP_UNLINK, .path = "fifo" },
	{ .kind = OP_UNLINK, .path = "other" },
	{ .kind = OP_SYNC },
};

static const char *use(struct emubd *damaged, const struct use_look *sound,
		       struct rig_env *env, const struct op *op, size_t n,
		       bool walk)
{
	struct use u = {
		.damaged = damaged, .sound = sound, .env = env,
		.op = op, .nops = n, .last = op == beside ? &op[1] : NULL,
		.walk_first = walk, .repair = true,
	};

	return use_judge(&u);
}

const char *defect_use(struct emubd *damaged, const struct use_look *sound,
		       struct rig_env *env)
{
	const char *wrong;

	wrong = use(damaged, sound, env, beside, ARRAY_SIZE(beside), false);
	if (!wrong)
		wrong = use(damaged, sound, env, into, ARRAY_SIZE(into), false);
	if (!wrong)
		wrong = use(damaged, sound, env, names, ARRAY_SIZE(names),
			    false);
	if (!wrong)
		wrong = use(damaged, sound, env, into, ARRAY_SIZE(into), true);
	return wrong;
}
