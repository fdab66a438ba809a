/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the command line says: of owfs-fuse, and of the same program called as
 * a helper of mount(8), with all that may stand in fstab(5).
 */
#ifndef OWFS_FUSE_OPTS_H
#define OWFS_FUSE_OPTS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/atime.h"
#include "io/window.h"

enum owfs_iomap_mode { OWFS_IOMAP_AUTO, OWFS_IOMAP_ON, OWFS_IOMAP_OFF };

struct owfs_opts {
	const char *prog;		/* for messages */
	char device[PATH_MAX];		/* real path */
	char mountpoint[PATH_MAX];	/* real path */
	bool helper;			/* called by mount(8) */
	bool fake;			/* helper's -f: say only whether it would work */
	bool foreground;
	bool debug;
	bool verbose;
	bool readonly;
	bool sync, dirsync;		/* durable when the call returns */
	bool insist_rw;			/* -w: rather not at all than read-only */
	bool remount;			/* only change the flags of a mount */
	bool discard;
	bool shutdown_on_error;		/* errors=shutdown */
	bool nosandbox;			/* the worker keeps its view of the system */
	bool plain;			/* no fuseblk, even where it is possible */
	bool allow_other;
	bool uid_given, gid_given;	/* owners to show in place of all others */
	uid_t uid;
	gid_t gid;
	bool writeback;			/* the kernel may keep written pages */
	enum owfs_atime atime;
	bool nodiratime;
	struct owfs_window window;	/* the part of the device that is meant */
	enum owfs_iomap_mode iomap;
	unsigned int commit_secs;	/* 0: default */
	unsigned int threads;		/* 0: default */
	unsigned int spin_us;		/* awake for the next request */
	size_t cache;			/* bytes; 0: default */
	const char *namespace;		/* -N: mount namespace, or NULL */
	char kernel[512];		/* for the mount itself: "nosuid,nodev" */
};

/*
 * Fill in *@o from the arguments.  0: go on; 1: done, exit with 0 (-h, -V);
 * negative: said on stderr what is wrong.
 */
int owfs_opts_parse(struct owfs_opts *o, int argc, char **argv);

#endif
