/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The engine's mutator for streams of requests: whole records come, go and move;
 * a byte of one changes; and what the engine does by itself.
 */
#include <string.h>

#include "base/util.h"
#include "fuzz.h"
#include "image.h"
#include "requests.h"

static void fill(uint8_t *record, struct rng *r)
{
	unsigned int i;

	memset(record, 0, RECORD);
	record[0] = (uint8_t)rng_next(r);
	record[1] = (uint8_t)rng_below(r, MAX_KNOWN);
	record[2] = rng_below(r, 4) ? 0 : (uint8_t)rng_next(r);
	for (i = 3; i < RECORD; i++)
		if (rng_below(r, 2))
			record[i] = (uint8_t)rng_below(r, rng_below(r, 4) ? 24 : 256);
}

/* A new record, or one that is there, before number @at. */
static size_t insert(uint8_t *data, size_t size, size_t room, size_t at,
		     struct rng *r)
{
	const size_t n = size / RECORD;
	uint8_t record[RECORD];

	if (size + RECORD > room)
		return size;
	if (n && rng_below(r, 3) == 0)
		memcpy(record, data + rng_below(r, n) * RECORD, RECORD);
	else
		fill(record, r);
	memmove(data + (at + 1) * RECORD, data + at * RECORD,
		size - at * RECORD);
	memcpy(data + at * RECORD, record, RECORD);
	return size + RECORD;
}

static size_t mutate(uint8_t *data, size_t size, size_t room, struct rng *r)
{
	const size_t n = size / RECORD;

	if (n < 2 || rng_below(r, 3) == 0)
		return insert(data, size, room, rng_below(r, n + 1), r);
	if (rng_below(r, 4) == 0) {
		size_t at = rng_below(r, n) * RECORD;

		memmove(data + at, data + at + RECORD, size - at - RECORD);
		return size - RECORD;
	}
	data[rng_below(r, n) * RECORD + rng_below(r, RECORD)] =
		(uint8_t)rng_below(r, rng_below(r, 2) ? 24 : 256);
	return size;
}

/* Where the requests begin, and how many bytes of edits are before them. */
static size_t requests_at(const uint8_t *data, size_t size, size_t *edits)
{
	*edits = 0;
	if (size < 2 || !(data[0] & 2))
		return 1;
	*edits = min_u64(data[1], size - 2);
	return 2 + *edits;
}

/* One more edit before the requests, of which there may be none. */
static size_t damage(uint8_t *data, size_t size, size_t room, struct rng *r)
{
	uint8_t edits[UINT8_MAX];
	size_t n, at = requests_at(data, size, &n), rest = size - at;

	if (room < 2 + n + rest)
		return size;
	memcpy(edits, data + at - n, n);
	n = image_add_edit(edits, n, min_u64(sizeof(edits), room - 2 - rest),
			   r);
	memmove(data + 2 + n, data + at, rest);
	memcpy(data + 2, edits, n);
	data[0] |= 2;
	data[1] = (uint8_t)n;
	return 2 + n + rest;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t room,
			       unsigned int seed)
{
	struct rng r = { seed };
	size_t at, edits;

	if (!size) {
		data[0] = (uint8_t)rng_next(&r) & 5;
		return 1;
	}
	if (LLVMFuzzerMutate && rng_below(&r, 4) == 0)
		return LLVMFuzzerMutate(data, size, room);
	if (rng_below(&r, 16) == 0)
		return damage(data, size, room, &r);
	at = requests_at(data, size, &edits);
	return at + mutate(data + at, size - at, room - at, &r);
}
