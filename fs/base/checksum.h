/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One name over libxxhash: XXH3, 64 bits, seeded from the superblock. */
#ifndef OWFS_BASE_CHECKSUM_H
#define OWFS_BASE_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

#include <xxhash.h>

static inline uint64_t owfs_checksum(uint64_t seed, const void *buf, size_t len)
{
	return XXH3_64bits_withSeed(buf, len, seed);
}

#endif
