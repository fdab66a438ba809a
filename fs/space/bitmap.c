/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bits in memory: setting, counting, finding runs. */
#include "base/util.h"
#include "space/bitmap.h"

/* Bits of word @w that lie in [start, end). */
static uint64_t word_mask(uint32_t w, uint32_t start, uint32_t end)
{
	uint64_t mask = ~0ull;

	if (start > w * 64)
		mask &= ~0ull << (start - w * 64);
	if (end - w * 64 < 64)
		mask &= ~0ull >> (64 - (end - w * 64));
	return mask;
}

bool owfs_bitmap_test(const uint64_t *map, uint32_t bit)
{
	return map[bit / 64] >> (bit % 64) & 1;
}

void owfs_bitmap_set(uint64_t *map, uint32_t start, uint32_t len)
{
	uint32_t w, end = start + len;

	for (w = start / 64; w * 64 < end; w++)
		map[w] |= word_mask(w, start, end);
}

void owfs_bitmap_clear(uint64_t *map, uint32_t start, uint32_t len)
{
	uint32_t w, end = start + len;

	for (w = start / 64; w * 64 < end; w++)
		map[w] &= ~word_mask(w, start, end);
}

/* The first bit in [from, end) that differs from those of @flip (0 or all ones). */
static uint32_t next_bit(const uint64_t *map, uint32_t from, uint32_t end,
			 uint64_t flip)
{
	uint64_t word;
	uint32_t w;

	if (from >= end)
		return end;
	w = from / 64;
	word = (map[w] ^ flip) & (~0ull << (from % 64));
	while (!word) {
		if (++w * 64 >= end)
			return end;
		word = map[w] ^ flip;
	}
	return min_u64(w * 64 + __builtin_ctzll(word), end);
}

uint32_t owfs_bitmap_next_set(const uint64_t *map, uint32_t from, uint32_t end)
{
	return next_bit(map, from, end, 0);
}

uint32_t owfs_bitmap_next_clear(const uint64_t *map, uint32_t from,
				uint32_t end)
{
	return next_bit(map, from, end, ~0ull);
}

bool owfs_bitmap_is_set(const uint64_t *map, uint32_t start, uint32_t len)
{
	return owfs_bitmap_next_clear(map, start, start + len) == start + len;
}

bool owfs_bitmap_is_clear(const uint64_t *map, uint32_t start, uint32_t len)
{
	return owfs_bitmap_next_set(map, start, start + len) == start + len;
}

/* Pairs, nibbles, bytes, all: not every machine has an instruction for it. */
static inline uint32_t word_weight(uint64_t v)
{
	v -= v >> 1 & 0x5555555555555555ull;
	v = (v & 0x3333333333333333ull) + (v >> 2 & 0x3333333333333333ull);
	v = (v + (v >> 4)) & 0x0f0f0f0f0f0f0f0full;
	return v * 0x0101010101010101ull >> 56;
}

uint32_t owfs_bitmap_weight(const uint64_t *map, size_t nwords)
{
	uint32_t n = 0;
	size_t w;

	for (w = 0; w < nwords; w++)
		n += word_weight(map[w]);
	return n;
}

uint32_t owfs_bitmap_find_clear(const uint64_t *map, uint32_t from,
				uint32_t end, uint32_t want, uint32_t *start)
{
	uint32_t best = 0, len, stop;

	for (;;) {
		from = owfs_bitmap_next_clear(map, from, end);
		if (from >= end)
			return best;
		/* looking no further than @want keeps a large free run cheap */
		stop = end - from > want ? from + want : end;
		len = owfs_bitmap_next_set(map, from, stop) - from;
		if (len > best) {
			best = len;
			*start = from;
		}
		if (best >= want)
			return best;
		from += len;
	}
}

void owfs_bitmap_to_disk(le64_t *disk, const uint64_t *map, size_t nwords)
{
	size_t w;

	for (w = 0; w < nwords; w++)
		disk[w] = cpu_to_le64(map[w]);
}

void owfs_bitmap_from_disk(uint64_t *map, const le64_t *disk, size_t nwords)
{
	size_t w;

	for (w = 0; w < nwords; w++)
		map[w] = le64_to_cpu(disk[w]);
}
