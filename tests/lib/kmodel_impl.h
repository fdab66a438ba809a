/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the played kernel share. */
#ifndef OWFS_TESTS_KMODEL_IMPL_H
#define OWFS_TESTS_KMODEL_IMPL_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "emubd_image.h"
#include "kmodel.h"

#define KM_SECTOR	512u
#define KM_ALL		(UINT64_MAX / 4)	/* as a length: to the end */

/* Of an ioend, as on the wire. */
#define KM_IOEND_UNWRITTEN	(1u << 1)
#define KM_IOEND_DIRECT		(1u << 3)
#define KM_IOEND_APPEND		(1u << 4)
#define KM_IOEND_WRITEBACK	(1u << 5)
#define KM_IOEND_SWAPOFF	(1u << 6)

static inline uint64_t km_block(const struct kmodel *k, uint64_t pos)
{
	return pos / k->bs;
}

static inline uint64_t km_end_block(const struct kmodel *k, uint64_t end)
{
	return div_round_up(end, k->bs);
}

static inline bool km_chance(struct kmodel *k, uint64_t one_of)
{
	return k->rng && rng_below(k->rng, one_of) == 0;
}

static inline uint64_t km_min3(uint64_t a, uint64_t b, uint64_t c)
{
	return min_u64(a, min_u64(b, c));
}

static inline bool km_covers(const struct fuse_file_iomap *m, uint64_t pos)
{
	return m->length && pos >= m->offset && pos - m->offset < m->length;
}

/* How much of @m is left at @pos, which it has. */
static inline uint64_t km_left(const struct fuse_file_iomap *m, uint64_t pos)
{
	return m->offset + m->length - pos;
}

/* Contents change now. */
static inline void km_touch(struct kmodel *k, struct kfile *f)
{
	f->times_dirty = true;
	if (k->srv.fs)
		owfs_fs_now(k->srv.fs, &f->time);
}

/* The mapping that is written to, and the one that old bytes come from. */
static inline const struct fuse_file_iomap *
km_dest(const struct fuse_file_iomap *rd, const struct fuse_file_iomap *wr)
{
	return wr->type == FUSE_IOMAP_TYPE_PURE_OVERWRITE ? rd : wr;
}

static inline const struct fuse_file_iomap *
km_source(const struct fuse_file_iomap *rd, const struct fuse_file_iomap *wr)
{
	return rd->type != FUSE_IOMAP_TYPE_HOLE ? rd : km_dest(rd, wr);
}

/* kmodel_page.c: what users expect, and the page cache */
void km_want_resize(struct kfile *f, uint64_t size);
/* SETATTR with a size; it has to be what is answered. */
struct fuse_setattr_in;
int km_setattr_size(struct kmodel *k, struct kfile *f,
		    const struct fuse_setattr_in *in);
void km_want_bytes(struct kmodel *k, struct kfile *f, uint64_t pos,
		   uint64_t len, const void *data);
void km_want_zeroes(struct kmodel *k, struct kfile *f, uint64_t pos,
		    uint64_t end);
/* Nobody can say what [first, end) holds until it is written anew. */
void km_want_nothing(struct kmodel *k, struct kfile *f, uint64_t first,
		     uint64_t end);
int km_compare(struct kmodel *k, struct kfile *f, uint64_t pos, uint64_t len,
	       const unsigned char *got, const char *how);
struct kpage *km_page(struct kfile *f, uint64_t b);
void km_page_fill(struct kmodel *k, struct kpage *p);
int km_page_read(struct kmodel *k, struct kfile *f, uint64_t b,
		 const struct fuse_file_iomap *src);
int km_pages_read(struct kmodel *k, struct kfile *f, uint64_t pos, uint64_t len);
void km_pages_drop(struct kmodel *k, struct kfile *f, uint64_t first,
		   uint64_t end);

/* kmodel_back.c: write back what is dirty there, and wait for it */
int km_flush(struct kmodel *k, struct kfile *f, uint64_t pos, uint64_t len);

/* kmodel_store.c */
int km_zero_range(struct kmodel *k, struct kfile *f, uint64_t pos,
		  uint64_t end);

/* kmodel_direct.c: direct writes under way */
/* Somebody else changes [pos, pos + len) meanwhile. */
void km_flights_race(struct kfile *f, uint64_t pos, uint64_t len);
/* One of them, or all, comes to its end.  False: there was none. */
bool km_flights_land_one(struct kmodel *k, struct kfile *f);
void km_flights_land(struct kmodel *k, struct kfile *f);
void km_flights_free(struct kfile *f);

/* kmodel_sync.c */
int km_setattr_times(struct kmodel *k, struct kfile *f);

#endif
