/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The bytes of an undo file: a header, and a record for each write, which is
 *
 *	struct undo_record
 *	the bytes that stood there
 *	struct undo_unit	for each UNDO_UNIT of them, about what came there
 *
 * The magic number's last byte is the version: a record of the first had no units.
 */
#ifndef OWFS_FSCK_UNDO_FILE_H
#define OWFS_FSCK_UNDO_FILE_H

#include <assert.h>

#include "base/checksum.h"
#include "base/endian.h"

#define UNDO_MAGIC	0x32444e555346574full	/* "OWFSUND2" */
#define UNDO_MAGIC_1	0x4f444e555346574full
#define UNDO_RECORD	0x4452u
#define UNDO_CHUNK	(1u << 20)	/* one record's bytes at most */
#define UNDO_UNIT	512u		/* a cut leaves it old or new */

struct undo_header {
/*00*/	le64_t	magic;
/*08*/	le64_t	size;		/* of the device */
/*10*/	unsigned char uuid[16];	/* of its superblock, zeroes if there was none */
/*20*/	le64_t	csum_seed;
/*28*/	le64_t	csum;		/* of what stands before it */
/*30*/	le64_t	zero[2];
};
static_assert(sizeof(struct undo_header) == 64, "undo file");

struct undo_record {
/*00*/	le32_t	magic;
/*04*/	le32_t	len;
/*08*/	le64_t	pos;
/*10*/	le64_t	csum;		/* of position, length, bytes and units */
/*18*/	le64_t	zero;
};
static_assert(sizeof(struct undo_record) == 32, "undo file");

#define UNDO_UNREAD	0x1u	/* what stood there could not be read */

struct undo_unit {
/*00*/	le64_t	csum;		/* of what came there */
/*08*/	le32_t	flags;		/* UNDO_UNREAD */
/*0c*/	le32_t	zero;
};
static_assert(sizeof(struct undo_unit) == 16, "undo file");

/* What follows a record about @len bytes. */
static inline size_t undo_body(size_t len)
{
	return len + len / UNDO_UNIT * sizeof(struct undo_unit);
}

static inline struct undo_unit *undo_units(unsigned char *body, size_t len)
{
	return (struct undo_unit *)(void *)(body + len);
}

static inline uint64_t undo_unit_csum(const void *bytes)
{
	return owfs_checksum(0, bytes, UNDO_UNIT);
}

static inline uint64_t undo_record_csum(uint64_t pos, size_t len,
					const void *body)
{
	return owfs_checksum(pos ^ (uint64_t)len << 40, body, undo_body(len));
}

static inline uint64_t undo_header_csum(const struct undo_header *h)
{
	return owfs_checksum(0, h, offsetof(struct undo_header, csum));
}

#endif
