/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Looking for a crash that breaks a promise: run operations on a recorded
 * device with the steps of commit, reclaim and eviction in between, cut the
 * power everywhere, mount what is left, and ask the model.
 *
 * A state after a cut is right if it mounts without repair, shows exactly the
 * state after some prefix of the operations that is not older than the last
 * promise (P2), passes the full check, and if the commit before shows some
 * prefix, too (P4).  From a sample of the states the run goes on: operate,
 * commit, crash again; or recover and do nothing else, cut everywhere.
 *
 * A kept commit is whole for as long as it is kept, whatever is done meanwhile.
 * Of nodes with a bad copy no state has more than the run began with, and at its
 * end none is left.
 */
#ifndef OWFS_TESTS_SEARCH_H
#define OWFS_TESTS_SEARCH_H

#include "model.h"
#include "states.h"

#define SEARCH_HOLDS	3	/* files kept open, with or without a name */

struct search {
	uint64_t seed;
	const struct op_profile *profile;
	unsigned int nops;		/* of a run */
	const struct op *script;	/* these @nops instead of random ones */
	const struct op *setup;		/* @nsetup, done and durable before the run */
	unsigned int nsetup;
	const char *hold[SEARCH_HOLDS];	/* open from the beginning */
	unsigned int cut_extents;	/* more at once become an intent; 0: default */
	uint64_t bytes;			/* of the device; 0: 16 MiB */
	uint32_t blocksize;		/* 0: 4096 */
	unsigned int copies;		/* 0: 1 */
	bool discard;
	bool keep;			/* a commit is kept now and then, and checked */
	bool hurt;			/* one copy of some nodes is bad at the beginning,
					   and written anew; wants two copies */
	unsigned int depth;		/* crashes on top of each other, 1 to 3 */
	unsigned int cut_every;		/* look at one of so many cuts; 0: all */
	struct states_plan plan;	/* states after a cut */
	bool once;			/* a state that comes again is not judged again */
	unsigned int nest_every;	/* go on from one of so many states; 0: never */
	unsigned int recover_every;	/* recover from one of so many; 0: never */
	bool verbose;

	/* what came of it */
	uint64_t states, ops, enospc, cuts;
	uint64_t nested;		/* of the states: after a crash after a crash */
	uint64_t recoveries;
	uint64_t again;			/* states that had been judged before */
	uint64_t kept, given_up;	/* checks of kept commits; those given up */
	uint64_t mended;		/* bad copies that are none any more */
	uint64_t violations;
};

/* 0, or -1 after the first violation, which has been described on stderr. */
int search_run(struct search *s);

#endif
