/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Loop devices: making one over an image, and finding what is behind one. */
#ifndef OWFS_IO_LOOPDEV_H
#define OWFS_IO_LOOPDEV_H

#include <limits.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "io/window.h"

/*
 * Attach a free loop device to a part of the file @image; it goes away by itself when
 * the last user closes it.  Returns its descriptor, which keeps it alive, and
 * its name in @dev; or -errno.
 */
int owfs_loopdev_attach(const char *image, const struct owfs_window *part,
			unsigned int blocksize, bool readonly,
			char dev[PATH_MAX]);

/*
 * The path of the file behind block device @rdev, or -ENXIO if that is no
 * loop device in use.  -ENOENT: it is one, but the file cannot be found by
 * its name any more.
 */
int owfs_loopdev_backing(dev_t rdev, char path[PATH_MAX]);

/*
 * Call @fn with the number of every loop device over the file that @st
 * describes; non-zero stops and is returned.
 */
int owfs_loopdev_each(const struct stat *st, int (*fn)(void *ctx, dev_t rdev),
		      void *ctx);

#endif
