/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A whole image through a repair and a mount.  Whatever stands there, the
 * repair ends; what it calls whole mounts, takes a workload, and has nothing
 * left to repair.  And who uses it before does not take from the repair what it
 * could bring back (use_judge.h).
 */
#include <stdlib.h>

#include "fuzz.h"
#include "image.h"
#include "repair.h"

static struct rig_env env;

static void use(struct emubd *e, bool must)
{
	struct op op = { .kind = OP_CREATE, .path = "new" };
	struct owfs_fs *fs;
	int err = 0;

	if (rig_mount(&fs, e, &env, 0, NULL)) {
		if (must)
			abort();
		return;
	}
	rig_digest(fs, NULL, &err);
	rig_apply(fs, &op);
	op.kind = OP_WRITE;
	op.len = 20000;
	rig_apply(fs, &op);
	if (owfs_unmount(fs) && must)
		abort();
}

static bool say_yes(void *ctx, const struct owfs_problem_info *info,
		    const char *line)
{
	(void)ctx;
	(void)info;
	(void)line;
	return true;
}

static void repair(struct emubd *e)
{
	const struct owfs_repair_param p = {
		.check = { .commits = OWFS_CHECK_CURRENT | OWFS_CHECK_PREVIOUS },
		.env = &env.env,
		.ask = say_yes,
	};
	struct owfs_repair_report r;
	int ret = owfs_repair(emubd_blkdev(e), &p, &r);

	use(e, !ret && !r.left.problems);
	if (ret || r.left.problems)
		return;
	if (owfs_repair(emubd_blkdev(e), &p, &r) || r.left.problems ||
	    r.corrected)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct emubd *e = image_make(data, size);

	fuzz_limits(IMAGE_BYTES);
	rig_env_init(&env, 1);
	repair(e);
	emubd_destroy(e);
	fuzz_limits_end();
	if ((image_flags(data, size) & IMAGE_COMPARE) == IMAGE_COMPARE)
		image_use(data, size, true);
	return 0;
}
