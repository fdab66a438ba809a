/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Images damaged by chance.  Items are forged; nodes are poked, swapped, put in
 * each other's place, and made what they were a commit ago, with all checksums
 * right; blocks and superblocks come back flipped, zeroed, scrambled, swapped,
 * from another place, or as they were before.
 */
#ifndef OWFS_TESTS_REPAIR_DAMAGE_H
#define OWFS_TESTS_REPAIR_DAMAGE_H

#include "repair_judge.h"

/* The same seed, the same damage.  @t learns whose items were changed. */
void damage_by_chance(struct image *im, const struct scene *s, struct rng *rng,
		      struct touched *t);
/* The end of the device is gone, or has come back empty. */
void damage_cut(struct image *im, struct rng *rng, struct touched *t);
/* What was done, in the words of make check-long, and forget it. */
void damage_tell(void);

#endif
