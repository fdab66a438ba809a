/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of mounts, as /proc/self/mountinfo tells it. */
#ifndef OWFS_IO_MOUNTS_H
#define OWFS_IO_MOUNTS_H

#include <limits.h>
#include <sys/types.h>

struct owfs_mount_entry {
	dev_t dev;		/* st_dev of what is mounted */
	char *point, *type, *source;	/* valid during the call */
};

/*
 * Call @fn for every mount, oldest first; non-zero stops and is returned.
 * -errno if the table cannot be read.
 */
int owfs_mounts_walk(int (*fn)(void *ctx, const struct owfs_mount_entry *me),
		     void *ctx);

/*
 * The newest mount whose device is @dev, or -ENOENT.  For a filesystem on a
 * block device that is the block device's number.
 */
int owfs_mounts_of_dev(dev_t dev, char point[PATH_MAX]);
/* The newest mount on directory @point (a real path): its device. */
int owfs_mounts_on(const char *point, dev_t *dev);

#endif
