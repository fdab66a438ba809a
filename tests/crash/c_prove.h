/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The parts of c_prove. */
#ifndef OWFS_TESTS_C_PROVE_H
#define OWFS_TESTS_C_PROVE_H

#include <stdint.h>

/*
 * Power lost inside a repair: an image is damaged, by one defect or by chance
 * from the seed, and repaired; that is cut, and each state repaired again.  The
 * second repair ends, a third changes nothing, no file is silently wrong, and
 * nothing is lost that the repair saved when nobody cut it short.
 */
struct repair_cuts {
	uint64_t seed;
	uint64_t number;	/* says which image and which kind of damage */

	uint64_t states, again;
};
/* 0, or -1 after the first violation, which has been described on stderr. */
int repair_cuts_run(struct repair_cuts *rc);

#endif
