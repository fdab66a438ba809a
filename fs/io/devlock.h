/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One user per filesystem: the lock that owfs-fuse, mkfs.owfs and a repairing
 * fsck.owfs take before their first read.
 *
 * The kernel does not do this for us: two servers may open one image or
 * device, a second fuseblk mount of a device silently joins the first, and
 * one image may lie under several loop devices.
 */
#ifndef OWFS_IO_DEVLOCK_H
#define OWFS_IO_DEVLOCK_H

#include <stdbool.h>
#include <stddef.h>

struct owfs_devlock;

/* Room for a path and a sentence. */
#define OWFS_DEVLOCK_HOLDER	4600

/*
 * Lock the image file or block device @path, and whatever lies behind it if
 * it is a loop device.  Never waits.  -EBUSY: in use, and @holder says by
 * whom and where ("pid 17 (owfs-fuse), mounted on /mnt"), fit to follow
 * "is in use by ".  -ENOTBLK: neither file nor block device; or the error of
 * open(2) or stat(2), with an empty @holder.
 *
 * An exclusive lock also refuses what is mounted, by whomever, or claimed by
 * the kernel.  The lock ends with owfs_devlock_release() or the death of the
 * process and of all that it forked since.
 */
int owfs_devlock_take(const char *path, bool exclusive,
		      struct owfs_devlock **lockp, char *holder, size_t size);
/* For everybody, also for processes forked since. NULL is fine. */
void owfs_devlock_release(struct owfs_devlock *lock);

#endif
