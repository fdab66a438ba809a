/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One file as an array of bytes: what it must hold after a sequence of
 * operations, which answers about holes are right, and what it may hold after
 * a crash.  It knows nothing of owfs; the random tests of a file use it, in the
 * library and over a mount.
 */
#ifndef OWFS_TESTS_FILEMODEL_H
#define OWFS_TESTS_FILEMODEL_H

#include <stdbool.h>
#include <stddef.h>

#include "rng.h"

/* What a crash may show. */
struct fm_version {
	unsigned char *data;
	uint64_t size;
	uint64_t from, to;	/* written in pieces, seen one by one; or 0, 0 */
};

struct filemodel {
	uint64_t max;			/* bytes it may have */
	uint32_t blocksize;
	unsigned char *data;		/* zero past size */
	uint64_t size;
	uint64_t from, to;		/* written in pieces since the last state */
	struct fm_version *old;		/* the oldest is the last promise */
	unsigned int nold, keep;
};

/* An empty file of at most @blocks; the last @keep states are remembered. */
void fm_init(struct filemodel *m, uint32_t blocksize, unsigned int blocks,
	     unsigned int keep);
void fm_done(struct filemodel *m);

void fm_write(struct filemodel *m, uint64_t pos, const void *buf, uint64_t len);
/* Somebody between cuts this write at ends of pages, first things first. */
void fm_write_pieces(struct filemodel *m, uint64_t pos, const void *buf,
		     uint64_t len);
void fm_resize(struct filemodel *m, uint64_t size);
/* Zeroes, or nothing where there is data (preallocation); up to @pos + @len. */
void fm_zero(struct filemodel *m, uint64_t pos, uint64_t len, bool keep_size);
void fm_allocate(struct filemodel *m, uint64_t pos, uint64_t len,
		 bool keep_size);
/* Bytes copied within the file; the ranges do not overlap. */
uint64_t fm_copy(struct filemodel *m, uint64_t from, uint64_t to, uint64_t len);

/* Is the whole file in @buf what it must be? */
bool fm_is(const struct filemodel *m, const unsigned char *buf, uint64_t size);
/* Are @len bytes at @pos?  If not, the difference is told on stderr. */
bool fm_has(const struct filemodel *m, uint64_t pos, const unsigned char *buf,
	    uint64_t len);
/* What SEEK_DATA and SEEK_HOLE say about @pos, FM_NONE for ENXIO. */
#define FM_NONE	UINT64_MAX
bool fm_seek_is_right(const struct filemodel *m, uint64_t pos, uint64_t data,
		      uint64_t hole);

/* The state now is one that a crash may show; those before may be, too. */
void fm_remember(struct filemodel *m);
/* ... and those before may not. */
void fm_durable(struct filemodel *m);
static inline bool fm_is_full(const struct filemodel *m)
{
	return m->nold == m->keep;
}
/*
 * After a crash the file is @size bytes at @buf: true if that is one of the
 * remembered states, or one between the pieces of a write.  The model goes on
 * from there.
 */
bool fm_recover(struct filemodel *m, const unsigned char *buf, uint64_t size);
/*
 * The same for states whose bytes may come one by one; with @grows the end of
 * the file comes with them.
 */
bool fm_recover_mixed(struct filemodel *m, const unsigned char *buf,
		      uint64_t size, bool grows);

/* A byte position below max: often at or beside a block boundary or the end. */
uint64_t fm_random_pos(const struct filemodel *m, struct rng *rng);
/* At least one byte, within max. */
uint64_t fm_random_len(const struct filemodel *m, struct rng *rng, uint64_t pos);

#endif
