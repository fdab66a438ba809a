/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A named defect that is not repaired but used. */
#ifndef OWFS_TESTS_FSCK_DEFECTS_USE_H
#define OWFS_TESTS_FSCK_DEFECTS_USE_H

#include "../fuzz/use_judge.h"

/* NULL, or what is wrong: several workloads, each on what it was (use_judge.h). */
const char *defect_use(struct emubd *damaged, const struct use_look *sound,
		       struct rig_env *env);

#endif
