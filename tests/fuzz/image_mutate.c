/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The engine's mutator for edits of an image: half of the time a whole edit comes
 * in between.
 */
#include "fuzz.h"
#include "image.h"

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t room,
			       unsigned int seed)
{
	struct rng r = { seed };

	if (LLVMFuzzerMutate && rng_below(&r, 2))
		return LLVMFuzzerMutate(data, size, room);
	return image_add_edit(data, size, room, &r);
}
