/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bits in memory, in words of 64; knows no filesystem.  A bit is named by its
 * number, a range by first and length; ends are exclusive.  A map's size is a
 * multiple of 64 bits.  Nothing here locks.
 */
#ifndef OWFS_SPACE_BITMAP_H
#define OWFS_SPACE_BITMAP_H

#include "base/endian.h"
#include "base/types.h"

#define OWFS_BITMAP_WORDS(nbits)	((size_t)(nbits) / 64)

bool owfs_bitmap_test(const uint64_t *map, uint32_t bit);
void owfs_bitmap_set(uint64_t *map, uint32_t start, uint32_t len);
void owfs_bitmap_clear(uint64_t *map, uint32_t start, uint32_t len);
/* Are all bits of the range set (clear)?  True of an empty range. */
bool owfs_bitmap_is_set(const uint64_t *map, uint32_t start, uint32_t len);
bool owfs_bitmap_is_clear(const uint64_t *map, uint32_t start, uint32_t len);
/* The first such bit in [from, end), @end if there is none. */
uint32_t owfs_bitmap_next_set(const uint64_t *map, uint32_t from, uint32_t end);
uint32_t owfs_bitmap_next_clear(const uint64_t *map, uint32_t from,
				uint32_t end);
/* How many bits are set. */
uint32_t owfs_bitmap_weight(const uint64_t *map, size_t nwords);
/*
 * The first run of @want clear bits within [from, end); if there is none, the
 * longest (the first of the longest).  Returns its length, at most @want, 0 if
 * no bit is clear; *start is set unless 0.
 */
uint32_t owfs_bitmap_find_clear(const uint64_t *map, uint32_t from,
				uint32_t end, uint32_t want, uint32_t *start);

/* Words as they stand on the device: low bit of the first byte is bit 0. */
void owfs_bitmap_to_disk(le64_t *disk, const uint64_t *map, size_t nwords);
void owfs_bitmap_from_disk(uint64_t *map, const le64_t *disk, size_t nwords);

#endif
