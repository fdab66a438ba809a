/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A target's mutator as AFL++ takes it, a library of its own.  AFL++ has its own
 * ways of changing bytes beside, so here it is always ours.
 */
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "fuzz.h"
#include "rng.h"

#define ROOM	600u		/* as libFuzzer's inputs (sitting.sh) */

struct afl_mutator {
	struct rng rng;
	uint8_t out[ROOM];
};

void *afl_custom_init(void *afl, unsigned int seed);
size_t afl_custom_fuzz(void *data, uint8_t *buf, size_t size, uint8_t **out,
		       uint8_t *other, size_t other_size, size_t max);
void afl_custom_deinit(void *data);

void *afl_custom_init(void *afl, unsigned int seed)
{
	struct afl_mutator *m = calloc(1, sizeof(*m));

	(void)afl;
	if (m)
		m->rng.s = seed;
	return m;
}

size_t afl_custom_fuzz(void *data, uint8_t *buf, size_t size, uint8_t **out,
		       uint8_t *other, size_t other_size, size_t max)
{
	struct afl_mutator *m = data;
	const size_t room = min_u64(max, ROOM);

	(void)other;
	(void)other_size;
	size = min_u64(size, room);
	memcpy(m->out, buf, size);
	*out = m->out;
	return LLVMFuzzerCustomMutator(m->out, size, room,
				       (unsigned int)rng_next(&m->rng));
}

void afl_custom_deinit(void *data)
{
	free(data);
}
