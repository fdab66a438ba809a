/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A damaged image in use: what is done with it. */
#include <stdio.h>
#include <stdlib.h>

#include "base/util.h"
#include "fuzz.h"
#include "image.h"
#include "use_judge.h"

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
	{ .kind = OP_CREATE, .path = "last" },
	{ .kind = OP_WRITE, .path = "last", .len = 20000, .seed = 5 },
	{ .kind = OP_SYNC },
};

static const struct use_look *sound_look(const uint8_t *data, size_t size,
					 struct rig_env *env)
{
	static struct use_look looks[IMAGE_CRASHED | IMAGE_TWICE | 1];
	static bool looked[ARRAY_SIZE(looks)];
	unsigned int which = image_flags(data, size) &
			     (IMAGE_CRASHED | IMAGE_TWICE);

	if (!looked[which])
		use_look(&looks[which], image_sound(data, size), env);
	looked[which] = true;
	return &looks[which];
}

void image_use(const uint8_t *data, size_t size, bool repair)
{
	struct rig_env env;
	struct use u = {
		.damaged = image_make(data, size), .env = &env,
		.op = workload, .nops = ARRAY_SIZE(workload),
		.last = &workload[ARRAY_SIZE(workload) - 2],
		.walk_first = image_flags(data, size) & IMAGE_WALK,
		.repair = repair,
	};
	const char *wrong;

	rig_env_init(&env, 1);
	u.sound = sound_look(data, size, &env);
	fuzz_limits(IMAGE_BYTES);
	wrong = use_judge(&u);
	if (wrong) {
		fprintf(stderr, "%s\n", wrong);
		abort();
	}
	emubd_destroy(u.damaged);
	fuzz_limits_end();
}
