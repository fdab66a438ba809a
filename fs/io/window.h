/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A part of a device as a device of its own, for a filesystem that begins
 * somewhere inside an image: behind a partition table, in a container.
 */
#ifndef OWFS_IO_WINDOW_H
#define OWFS_IO_WINDOW_H

#include <stdbool.h>
#include <stddef.h>

#include "io/blkdev.h"

struct owfs_window {
	uint64_t offset;	/* bytes */
	uint64_t limit;		/* bytes; 0: to the end of the device */
};

/* Room for why something cannot be opened. */
#define OWFS_WINDOW_WHY	160

static inline bool owfs_window_is_all(const struct owfs_window *w)
{
	return !w->offset && !w->limit;
}

/* What the window shows of a device of @size bytes; 0: nothing. */
uint64_t owfs_window_size(const struct owfs_window *w, uint64_t size);

/*
 * One word of a list of options, "offset=1M" or "sizelimit=64M".  1: it was
 * one of those; 0: it was not; -EINVAL: it was, but says no size.
 */
int owfs_window_set(struct owfs_window *w, const char *word);
/* A list of such words alone; -EINVAL, and @bad is the word that is wrong. */
int owfs_window_parse(struct owfs_window *w, const char *list, char *bad,
		      size_t size);

/* The same for -o of the program @prog; 0, or 1 after a line on stderr. */
int owfs_window_option(const char *prog, struct owfs_window *w,
		       const char *list);

/*
 * Cut the window out of @under, which belongs to the window from then on; a
 * window over everything is @under itself.  A window begins with a sector of
 * the device, since whoever writes half a sector may tear the other half.
 * On failure @under stays the caller's, and @why says what is wrong.
 */
int owfs_window_over(struct owfs_blkdev *under, const struct owfs_window *w,
		     struct owfs_blkdev **bdp, char why[OWFS_WINDOW_WHY]);
/* The same with what owfs_blkdev_open() opens. */
int owfs_window_open(const char *path, unsigned int flags,
		     const struct owfs_window *w, struct owfs_blkdev **bdp,
		     char why[OWFS_WINDOW_WHY]);
/* The device behind; @bd itself if it is no window. */
struct owfs_blkdev *owfs_window_under(struct owfs_blkdev *bd);

#endif
