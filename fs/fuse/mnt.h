/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Mounting and unmounting, as done by the parent process. */
#ifndef OWFS_FUSE_MNT_H
#define OWFS_FUSE_MNT_H

#include <sys/types.h>

#include "base/msg.h"
#include "fuse/opts.h"

struct fuse_session;
struct owfs_served;

struct owfs_mnt {
	struct fuse_session *se;	/* libfuse's, of the mount alone */
	int fd;		/* /dev/fuse; closing every copy aborts the connection */
	dev_t dev;	/* st_dev of the mounted filesystem */
	bool fuseblk;
};

/* Root asks, and does not ask for less; a loop device may still be missing. */
bool owfs_mnt_may_be_fuseblk(const struct owfs_opts *o);
/*
 * Mount on o->mountpoint: fuseblk where possible, through a loop device of
 * its own for an image file, else plain fuse.  Checks that the kernel talks
 * to our descriptor and not to a server that was there before.  Messages say
 * what is wrong.
 */
int owfs_mnt_mount(const struct owfs_opts *o, const struct owfs_msg *msg,
		   const struct owfs_served *served, struct owfs_mnt *m);
/* The server serves, and the kernel may be about to move the data itself. */
void owfs_mnt_serving(const struct owfs_mnt *m);
/*
 * Change the flags of the mount on o->mountpoint, as "mount -o remount": to
 * reading only and back, nosuid and so on.  The server is not asked and keeps
 * its own options.  Says on stderr what is wrong.
 */
int owfs_mnt_remount(const struct owfs_opts *o);
/* Give up our copy of the descriptor; the mount stays. */
void owfs_mnt_close(struct owfs_mnt *m);

/*
 * Unmount every mount of @dev that this namespace shows; those that are busy
 * are detached and go when their last user goes, or at once if @detach.  May
 * wait for the server: not to be called by whom the server waits for.
 */
void owfs_mnt_unmount(dev_t dev, bool detach);
/*
 * The server has died and every copy of the descriptor is closed: detach its
 * mounts.  One that answers is left alone: the old one was unmounted before,
 * and the device has been mounted again.
 */
void owfs_mnt_detach_dead(dev_t dev);

#endif
