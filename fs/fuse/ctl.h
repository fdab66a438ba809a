/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What passes between the two processes of a server (worker.h), over a socket
 * of whole messages.
 *
 * Once it serves, the worker sees no file and has no socket but this one: the
 * parent writes its messages to syslog, looks in /proc who a caller is, and
 * unmounts for it.  The parent believes nothing that it is told beyond that.
 */
#ifndef OWFS_FUSE_CTL_H
#define OWFS_FUSE_CTL_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/msg.h"
#include "fuse/caller.h"

/* What start-up found. */
struct owfs_served {
	unsigned int blocksize;
	bool readonly;		/* asked for, or all that is possible */
	unsigned int threads;	/* that the server wants; 0: it does not matter */
	bool iomap;		/* the kernel is going to be asked to move the data */
	bool plain;		/* no fuseblk mount */
	char loop[32];		/* the loop device that it opened; empty: none */
};

enum owfs_ctl_what {
	OWFS_CTL_READY, OWFS_CTL_MOUNTED, OWFS_CTL_SERVING,
	/* from now on, and only by the worker; the second is answered */
	OWFS_CTL_LOG, OWFS_CTL_CALLER, OWFS_CTL_UNMOUNT,
};

struct owfs_ctl {
	enum owfs_ctl_what what;
	int err;			/* READY, and CALLER's answer */
	union {
		struct owfs_served served;	/* READY */
		struct {
			dev_t dev;
			bool fuseblk;
		} mounted;			/* MOUNTED */
		struct {
			pid_t pid;
			gid_t gid;
			struct owfs_status status;
		} caller;			/* CALLER, and its answer */
		enum owfs_msg_level level;	/* LOG */
	};
	char line[PATH_MAX + 600];		/* LOG; only what is used is sent */
};

/* @fd goes along unless it is -1.  0 or -errno. */
int owfs_ctl_send(int sock, const struct owfs_ctl *msg, int fd);
/* The same without waiting for the other side: -EAGAIN. */
int owfs_ctl_try_send(int sock, const struct owfs_ctl *msg);
/*
 * -EPIPE: the other side is gone, or said something else than a message.
 * *@fd (or NULL: none is taken) is -1 if none came.
 */
int owfs_ctl_recv(int sock, struct owfs_ctl *msg, int *fd);

#endif
