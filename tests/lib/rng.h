/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A reproducible sequence of numbers. */
#ifndef OWFS_TESTS_RNG_H
#define OWFS_TESTS_RNG_H

#include <stdint.h>

#define RNG_STEP	0x9e3779b97f4a7c15ull

struct rng { uint64_t s; };

static inline uint64_t rng_next(struct rng *r)
{
	uint64_t z = (r->s += RNG_STEP);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

static inline uint64_t rng_below(struct rng *r, uint64_t n)
{
	return n ? rng_next(r) % n : 0;
}

#endif
