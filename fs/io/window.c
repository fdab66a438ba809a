/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Parts of devices: every place is moved by the offset, and no more. */
#include "io/window.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cmdline.h"
#include "base/err.h"
#include "base/size.h"
#include "base/util.h"

#define SECTOR_MIN	512u

struct window_bd {
	struct owfs_blkdev bd;
	struct owfs_blkdev *under;
	loff_t offset;
};

static struct window_bd *window_of(struct owfs_blkdev *bd)
{
	return container_of(bd, struct window_bd, bd);
}

/* ----------------------------------------------------------- the operations */

static int window_read(struct owfs_blkdev *bd, void *buf, size_t len,
		       loff_t pos)
{
	const struct window_bd *w = window_of(bd);

	return owfs_blkdev_read(w->under, buf, len, w->offset + pos);
}

static int window_writev(struct owfs_blkdev *bd, const struct iovec *iov,
			 int iovcnt, size_t len, loff_t pos)
{
	const struct window_bd *w = window_of(bd);

	return owfs_blkdev_writev(w->under, iov, iovcnt, len, w->offset + pos);
}

static int window_flush(struct owfs_blkdev *bd)
{
	return owfs_blkdev_flush(window_of(bd)->under);
}

static int window_discard(struct owfs_blkdev *bd, loff_t pos, uint64_t len)
{
	const struct window_bd *w = window_of(bd);

	return owfs_blkdev_discard(w->under, w->offset + pos, len);
}

static void window_close(struct owfs_blkdev *bd)
{
	struct window_bd *w = window_of(bd);

	owfs_blkdev_close(w->under);
	free(w);
}

static const struct owfs_blkdev_ops window_ops = {
	.read = window_read,
	.writev = window_writev,
	.flush = window_flush,
	.discard = window_discard,
	.close = window_close,
};

struct owfs_blkdev *owfs_window_under(struct owfs_blkdev *bd)
{
	return bd && bd->ops == &window_ops ? window_of(bd)->under : bd;
}

/* ------------------------------------------------------------------ opening */

uint64_t owfs_window_size(const struct owfs_window *w, uint64_t size)
{
	uint64_t rest = size > w->offset ? size - w->offset : 0;

	return w->limit ? min_u64(rest, w->limit) : rest;
}

static int check(const struct owfs_blkdev *under, const struct owfs_window *w,
		 char *why)
{
	if (w->offset % under->sector) {
		snprintf(why, OWFS_WINDOW_WHY, "offset=%" PRIu64
			 ": not a multiple of the device's sector of %u bytes",
			 w->offset, under->sector);
		return -EINVAL;
	}
	if (owfs_window_size(w, under->size) < SECTOR_MIN) {
		snprintf(why, OWFS_WINDOW_WHY, "offset=%" PRIu64
			 ": the device has only %" PRIu64 " bytes", w->offset,
			 under->size);
		return -ENXIO;
	}
	return 0;
}

int owfs_window_over(struct owfs_blkdev *under, const struct owfs_window *w,
		     struct owfs_blkdev **bdp, char why[OWFS_WINDOW_WHY])
{
	struct window_bd *wb;
	uint64_t size;
	int ret;

	if (owfs_window_is_all(w)) {
		*bdp = under;
		return 0;
	}
	ret = check(under, w, why);
	if (ret)
		return ret;
	wb = calloc(1, sizeof(*wb));
	if (!wb) {
		snprintf(why, OWFS_WINDOW_WHY, "%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	size = owfs_window_size(w, under->size);
	wb->bd = (struct owfs_blkdev){
		.ops = &window_ops,
		.size = size - size % SECTOR_MIN,
		.sector = under->sector,
		.readonly = under->readonly,
	};
	wb->under = under;
	wb->offset = (loff_t)w->offset;
	*bdp = &wb->bd;
	return 0;
}

int owfs_window_open(const char *path, unsigned int flags,
		     const struct owfs_window *w, struct owfs_blkdev **bdp,
		     char why[OWFS_WINDOW_WHY])
{
	struct owfs_blkdev *under;
	int ret = owfs_blkdev_open(path, flags, &under);

	if (ret) {
		snprintf(why, OWFS_WINDOW_WHY, "%s",
			 owfs_blkdev_strerror(ret, flags));
		return ret;
	}
	ret = owfs_window_over(under, w, bdp, why);
	if (ret)
		owfs_blkdev_close(under);
	return ret;
}

/* ------------------------------------------------------------------ options */

static int set_size(uint64_t *bytes, const char *val, bool zero)
{
	uint64_t v;

	if (owfs_size_parse(val, &v) || (!v && !zero))
		return -EINVAL;
	*bytes = v;
	return 1;
}

int owfs_window_set(struct owfs_window *w, const char *word)
{
	if (!strncmp(word, "offset=", 7))
		return set_size(&w->offset, word + 7, true);
	if (!strncmp(word, "sizelimit=", 10))
		return set_size(&w->limit, word + 10, false);
	return 0;
}

int owfs_window_parse(struct owfs_window *w, const char *list, char *bad,
		      size_t size)
{
	size_t n;

	for (; *list; list += n + (list[n] == ',')) {
		n = strcspn(list, ",");
		snprintf(bad, size, "%.*s", (int)n, list);
		if (n && owfs_window_set(w, bad) <= 0)
			return -EINVAL;
	}
	return 0;
}

int owfs_window_option(const char *prog, struct owfs_window *w,
		       const char *list)
{
	char bad[64];

	if (!owfs_window_parse(w, list, bad, sizeof(bad)))
		return 0;
	return owfs_cmdline_complain(prog, "-o takes offset=BYTES and sizelimit=BYTES, not \"%s\"",
				     bad);
}
