/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Other orders of threads than the scheduler's own: a program that links with
 * YIELD_LDFLAGS (tests.am) gives way, now and then, before it takes a lock,
 * while it holds one, after it has let it go, and in read-side sections of RCU.
 * How often, for how long and when says the seed; the order itself is still the
 * scheduler's.
 */
#ifndef OWFS_TESTS_YIELD_H
#define OWFS_TESTS_YIELD_H

#include <stdint.h>

/* Before there are threads.  Without it nothing is done. */
void yield_begin(uint64_t seed);
/* Another rate, so many times as often: for who takes few locks. */
void yield_more(unsigned int times);
/* Around this lock, every other time. */
void yield_at(const void *lock);
/* How often somebody gave way. */
uint64_t yield_count(void);

#endif
