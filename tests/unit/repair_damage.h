/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Images damaged by chance: items forged, nodes poked, blocks and superblocks hit. */
#ifndef OWFS_TESTS_REPAIR_DAMAGE_H
#define OWFS_TESTS_REPAIR_DAMAGE_H

#include "repair_judge.h"

/* The same seed, the same damage.  @t learns whose items were changed. */
void damage_by_chance(struct image *im, const struct scene *s, struct rng *rng,
		      struct touched *t);

#endif
