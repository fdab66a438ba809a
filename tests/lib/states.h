/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which states a loss of power may leave after a cut, one after the other, and
 * the memory of those that were judged already.
 *
 * At every cut everything up to it, and a few seeded samples of what reordering
 * and tearing can do.  Where a flush comes next, the writes since the flush
 * before are complete, and their combinations are gone through: all subsets if
 * they are at most STATES_SUBSETS, else each one missing, each one alone, and
 * each one torn in the middle of a sector.
 */
#ifndef OWFS_TESTS_STATES_H
#define OWFS_TESTS_STATES_H

#include "emubd.h"
#include "rng.h"

#define STATES_SUBSETS	10u

struct states_plan {
	unsigned int seeded;	/* samples a cut */
	bool windows;		/* the combinations before a flush, too */
};

/* @fn non-zero ends it and is returned. */
int states_visit(struct emubd *log, size_t cut, const struct states_plan *plan,
		 struct rng *rng,
		 int (*fn)(void *ctx, enum emubd_crash_mode mode, uint64_t seed),
		 void *ctx);

/*
 * What a state, known by the hash of its content, was found to show: the number
 * of an operation.  Content that differs and hashes the same is taken for one.
 */
struct seen {
	struct { uint64_t hash; int value; } *slot;
	size_t room, n;
};
/* False: never put. */
bool seen_get(const struct seen *s, uint64_t hash, int *value);
void seen_put(struct seen *s, uint64_t hash, int value);
void seen_free(struct seen *s);

#endif
