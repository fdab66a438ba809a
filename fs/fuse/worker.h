/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The two processes of a server and what passes between them.
 *
 *	parent				worker
 *	  fork  ----------------------->
 *					lock, open, check the filesystem
 *	        <---------- READY (or an error, already said)
 *	  loop device, mount
 *	  MOUNTED + descriptor -------->
 *					session, answers INIT
 *	        <---------- SERVING
 *	  exit status to the terminal
 *	  waits				serves
 *	        <---------- LOG, CALLER (answered), UNMOUNT
 *
 * The parent never opens the device (but for the moment of making a loop
 * device); it keeps a copy of the /dev/fuse descriptor and owns mount and
 * unmount.  The filesystem is opened before it is mounted, so that one that
 * cannot be used never shows, and a start that fails leaves nothing behind.
 */
#ifndef OWFS_FUSE_WORKER_H
#define OWFS_FUSE_WORKER_H

#include "base/msg.h"
#include "fuse/ctl.h"
#include "fuse/opts.h"
#include "fuse/session.h"

/* A server: what owfs-fuse, or the benchmark's floor, brings along. */
struct owfs_server_ops {
	/*
	 * In the worker, before there is a mount or a thread: lock and open
	 * everything; says what is wrong.
	 */
	int (*start)(void *ctx, const struct owfs_opts *o,
		     const struct owfs_msg *msg, struct owfs_served *served);
	/*
	 * Everything durable, device closed, lock dropped.  Called for DESTROY
	 * (by the server's own ->destroy) or when the loop has ended, whichever
	 * is first; later calls return what the first returned.
	 */
	int (*stop)(void *ctx);
	/* The session is there, its threads are not; or NULL.  0 or -errno. */
	int (*mounted)(void *ctx);
	/* Make everything durable and serve on. */
	int (*sync)(void *ctx);
	/* Never mounted: give everything back, write nothing. */
	void (*abandon)(void *ctx);
	const struct fuse_lowlevel_ops *llops;
};

struct owfs_server {
	const struct owfs_server_ops *ops;
	void *ctx;
	struct owfs_session *session;	/* inside *ctx */
};

/* The parent's life; the exit status of the program. */
int owfs_parent_run(const struct owfs_opts *o, const struct owfs_server *srv);
/* The worker's life; its exit status. */
int owfs_worker_run(const struct owfs_opts *o, const struct owfs_server *srv,
		    const struct owfs_msg *msg, int sock);
/* From ->init on: will umount and sync ask us? */
bool owfs_worker_on_fuseblk(void);
/* The server's ->init calls this: the mount is alive. */
void owfs_worker_serving(void);

#endif
