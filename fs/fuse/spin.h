/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Waiting awake, for a moment, for the next request.
 *
 * A client that works through many files asks again within microseconds of its
 * answer.  If the server sleeps meanwhile, its processor sleeps too, and
 * waking both costs more than all that the server does: on a virtual machine
 * some 15 microseconds for each request.  So whoever has the turn to read looks
 * again and again for a while, and yields the processor at each look to anybody
 * who has use for it.
 *
 * How long is learnt, in the manner of the halt polling of Linux's KVM: a wait
 * that awake looking could have shortened makes the while longer, one that was
 * much too long for that ends the looking, until waits are short again.  So an
 * idle server sleeps, and so does one with a slow client.
 */
#ifndef OWFS_FUSE_SPIN_H
#define OWFS_FUSE_SPIN_H

#include <stdint.h>

#define OWFS_SPIN_DEFAULT_US	64u
#define OWFS_SPIN_MAX_US	1000u

/* Belongs to whoever has the turn; the fields are atomic, since two may think so. */
struct owfs_spin {
	uint32_t max_ns;	/* never longer; 0: sleep at once */
	uint32_t now_ns;	/* as learnt */
};

/* Up to @max_us; not at all where there is only one processor to run on. */
void owfs_spin_init(struct owfs_spin *s, unsigned int max_us);
/*
 * Return when @fd can be read or has ended, or it is time to sleep.  Returns
 * when the wait began: for owfs_spin_done() after the read.
 */
uint64_t owfs_spin_wait(struct owfs_spin *s, int fd);
void owfs_spin_done(struct owfs_spin *s, uint64_t began);

/* A request came after @waited nanoseconds: how long to look next time. */
void owfs_spin_learn(struct owfs_spin *s, uint64_t waited);

#endif
