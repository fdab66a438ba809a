/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What was learned of each inode: from its item, from the entries that name
 * it, from its orphan entry; 48 bytes each.  Whichever is met first makes the
 * record.
 */
#ifndef OWFS_FSCK_INOTAB_H
#define OWFS_FSCK_INOTAB_H

#include <assert.h>

#include "base/types.h"

struct ino_rec {
	owfs_ino_t ino;		/* 0: empty place */
	owfs_ino_t parent;	/* as a directory's item says */
	owfs_ino_t named_in;	/* a directory that names it, 0 none */
	uint64_t named_hash:56;	/* ... and the hash that the name has there */
	uint64_t fix:8;		/* pass 4: what is to become of its entries */
	uint32_t nlink;
	uint32_t names;		/* entries found */
	uint16_t ftypes;	/* bit n: an entry calls it DT_ n */
	uint8_t ftype;		/* DT_ of its mode */
	uint8_t orphan;		/* OWFS_ORPHAN_ flags, as its entry says */
	uint8_t want_orphan;	/* ... and as its item asks for */
	bool exists;		/* has an inode item */
	bool good;		/* ... that can be believed */
	uint8_t reach;		/* pass 4: enum reach */
};
static_assert(sizeof(struct ino_rec) == 48, "there may be very many");

/* ino_rec.fix; the entries are gone through once, for all of them. */
#define INO_FIX_DROP	0x1u	/* remove all that name it */
#define INO_FIX_ONE	0x2u	/* leave it one, in directory named_in */
#define INO_FIX_FTYPE	0x4u	/* correct the type they give */

struct inotab {
	struct ino_rec *table;
	size_t size, n;		/* places (a power of two), taken */
	uint64_t seed;		/* of the hash; 0: none was needed */
};

void inotab_free(struct inotab *it);
/* The record of @ino, made if there was none; NULL: no memory. */
struct ino_rec *inotab_get(struct inotab *it, owfs_ino_t ino);
/* NULL: nothing is known of it. */
struct ino_rec *inotab_find(const struct inotab *it, owfs_ino_t ino);

#define inotab_for_each(it, rec)					\
	for ((rec) = (it)->table;					\
	     (rec) && (rec) < (it)->table + (it)->size; (rec)++)	\
		if ((rec)->ino)

#endif
