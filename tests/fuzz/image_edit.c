/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A whole edit of an image (image.c) comes into a list of them: of one number of
 * a field's size, at a field's place, with the checksums made right.
 */
#include <string.h>

#include "base/endian.h"
#include "base/util.h"
#include "fuzz.h"
#include "image.h"
#include "rng.h"

/* Numbers at which something may overflow, or that mean another thing. */
static const uint64_t numbers[] = {
	0, 1, 2, 0x7f, 0xff, 0x100, 0xfff, 0x1000, 0x7fff, 0xffff, 0x10000,
	4095, 4096, 4097, 0x7fffffff, 0x80000000, 0xffffffff, 1ull << 32,
	1ull << 40, 1ull << 47, 1ull << 48, INT64_MAX, 1ull << 63, UINT64_MAX,
};

/* One edit of one number, with the checksums above it made right. */
static size_t put_edit(uint8_t *out, struct rng *r)
{
	const unsigned int width = 1u << rng_below(r, 4);
	uint64_t at = rng_below(r, 2) ? rng_below(r, 64) : rng_below(r, 4096);
	uint64_t v = rng_below(r, 2) ? numbers[rng_below(r, ARRAY_SIZE(numbers))] :
		     rng_below(r, 512);
	const le64_t le = cpu_to_le64(v);

	at &= ~(uint64_t)(width - 1);
	out[0] = (uint8_t)rng_next(r);
	out[1] = (uint8_t)at;
	out[2] = (uint8_t)(at >> 8);
	out[3] = 1;
	out[4] = (uint8_t)(width - 1);
	out[5] = rng_below(r, 8) ? IMAGE_SEALED : (uint8_t)rng_below(r, 4);
	out[5] |= (uint8_t)rng_next(r) & ~3u;
	memcpy(out + 6, &le, width);
	return 6 + width;
}

size_t image_add_edit(uint8_t *data, size_t size, size_t room, struct rng *r)
{
	uint8_t one[16];
	size_t n = put_edit(one, r), at = 0, left;

	if (size + n > room)
		return size;
	/* in between two, or somewhere in one */
	for (left = rng_below(r, 17); left && at + 6 < size; left--)
		at = min_u64(size, at + 7 + data[at + 4] % 16);
	memmove(data + at + n, data + at, size - at);
	memcpy(data + at, one, n);
	return size + n;
}
