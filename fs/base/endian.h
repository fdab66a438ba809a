/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Little-endian integers as they stand on the device.  Each is a struct of its
 * own, so that mixing one with a number of the machine does not compile.
 */
#ifndef OWFS_BASE_ENDIAN_H
#define OWFS_BASE_ENDIAN_H

#include <endian.h>
#include <stdint.h>

typedef struct { uint16_t raw; } le16_t;
typedef struct { uint32_t raw; } le32_t;
typedef struct { uint64_t raw; } le64_t;

static inline uint16_t le16_to_cpu(le16_t v) { return le16toh(v.raw); }
static inline uint32_t le32_to_cpu(le32_t v) { return le32toh(v.raw); }
static inline uint64_t le64_to_cpu(le64_t v) { return le64toh(v.raw); }

static inline le16_t cpu_to_le16(uint16_t v) { return (le16_t){ htole16(v) }; }
static inline le32_t cpu_to_le32(uint32_t v) { return (le32_t){ htole32(v) }; }
static inline le64_t cpu_to_le64(uint64_t v) { return (le64_t){ htole64(v) }; }

#endif
