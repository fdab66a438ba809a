/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The worker: opens the filesystem, gets the mounted descriptor from its
 * parent, serves until the kernel ends the connection.
 *
 * Signals.  Ending the session's loop would abort the connection under open
 * files, so a signal means unmount, and serving goes on until the kernel is
 * done.  The parent does it while it lives.  Without one nobody can, out of a
 * sandbox: then all is made durable, and umount(8) does the rest.
 */
#include "fuse/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuse/log.h"
#include "fuse/mnt.h"

/* Threads that find nothing to do are parked and cost nothing. */
#define THREADS		16

#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER 57
#endif

/* One worker per process; ->init and the signal thread have no other way. */
static struct worker {
	const struct owfs_opts *o;
	const struct owfs_server *srv;
	int sock;
	int fd;		/* of the mount */
	int null;	/* /dev/null, for when nobody looks; -1 none */
	dev_t dev;
	bool fuseblk;
	sigset_t signals;
} me = { .fd = -1 };

/* ---------------------------------------------------------------- the parent */

/* Nobody waits for syslog; without a parent nobody reads it. */
static void log_by_parent(enum owfs_msg_level level, const char *line)
{
	struct owfs_ctl msg = { .what = OWFS_CTL_LOG, .level = level };

	snprintf(msg.line, sizeof(msg.line), "%s", line);
	owfs_ctl_try_send(me.sock, &msg);
}

/* One question at a time: the answer carries no name. */
static bool look_by_parent(struct owfs_status *st, pid_t pid, gid_t gid)
{
	static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;
	struct owfs_ctl msg = {
		.what = OWFS_CTL_CALLER, .caller = { .pid = pid, .gid = gid },
	};
	int ret;

	pthread_mutex_lock(&one);
	ret = owfs_ctl_send(me.sock, &msg, -1);
	if (!ret)
		ret = owfs_ctl_recv(me.sock, &msg, NULL);
	pthread_mutex_unlock(&one);
	*st = msg.caller.status;
	return !ret && !msg.err;
}

bool owfs_worker_on_fuseblk(void)
{
	return me.fuseblk;
}

void owfs_worker_serving(void)
{
	struct owfs_ctl msg = { .what = OWFS_CTL_SERVING };

	if (!me.o)
		return;		/* a test serves without a parent */
	if (!me.o->foreground)
		owfs_log_hand_over(log_by_parent, me.null);
	owfs_caller_ask(look_by_parent);
	owfs_ctl_send(me.sock, &msg, -1);
}

/* ------------------------------------------------------------------ signals */

/* The child must not keep the connection alive if we die meanwhile. */
static void unmount_aside(void)
{
	pid_t pid = fork();

	if (!pid) {
		close(me.fd);
		owfs_mnt_unmount(me.dev, false);
		_exit(0);
	}
	if (pid > 0)
		waitpid(pid, NULL, 0);
}

static void *signal_thread(void *arg)
{
	struct owfs_ctl msg = { .what = OWFS_CTL_UNMOUNT };
	int sig;

	(void)arg;
	for (;;) {
		if (sigwait(&me.signals, &sig))
			continue;
		if (!owfs_ctl_send(me.sock, &msg, -1))
			continue;
		if (me.o->nosandbox)
			unmount_aside();
		else if (me.srv->ops->sync)
			me.srv->ops->sync(me.srv->ctx);
	}
	return NULL;
}

static int start_signals(void)
{
	pthread_t thread;
	int err = pthread_create(&thread, NULL, signal_thread, NULL);

	if (!err)
		pthread_detach(thread);
	return -err;
}

/* Before any thread, so that all of them inherit it. */
static void block_signals(void)
{
	sigemptyset(&me.signals);
	sigaddset(&me.signals, SIGTERM);
	sigaddset(&me.signals, SIGINT);
	sigaddset(&me.signals, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &me.signals, NULL);
	signal(SIGPIPE, SIG_IGN);
}

/* ------------------------------------------------------------------ serving */

static int open_session(const struct owfs_opts *o,
			const struct owfs_server *srv, int fd)
{
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	int ret = 0;

	if (fuse_opt_add_arg(&args, o->prog) ||
	    (o->debug && fuse_opt_add_arg(&args, "-d")))
		ret = -ENOMEM;
	if (!ret)
		ret = owfs_session_open(srv->session, &args, srv->ops->llops,
					sizeof(*srv->ops->llops), fd);
	fuse_opt_free_args(&args);
	return ret;
}

static int serve(const struct owfs_opts *o, const struct owfs_server *srv,
		 const struct owfs_served *served, int fd)
{
	unsigned int threads = served->threads ? served->threads : THREADS;
	int ret = open_session(o, srv, fd);

	if (ret) {
		close(fd);
		return ret;
	}
	if (srv->ops->mounted)
		ret = srv->ops->mounted(srv->ctx);
	if (!ret)
		ret = start_signals();
	if (!ret)
		ret = owfs_session_loop(srv->session,
					o->threads ? o->threads : threads,
					o->spin_us);
	return ret;
}

/* The mounted descriptor, or a negative errno. */
static int handshake(int sock, const struct owfs_served *served)
{
	struct owfs_ctl msg = { .what = OWFS_CTL_READY, .served = *served };
	int ret = owfs_ctl_send(sock, &msg, -1), fd;

	if (!ret)
		ret = owfs_ctl_recv(sock, &msg, &fd);
	if (ret)
		return ret;
	me.dev = msg.mounted.dev;
	me.fuseblk = msg.mounted.fuseblk;
	me.fd = fd;
	return msg.what == OWFS_CTL_MOUNTED && fd >= 0 ? fd : -EPROTO;
}

int owfs_worker_run(const struct owfs_opts *o, const struct owfs_server *srv,
		    const struct owfs_msg *msg, int sock)
{
	struct owfs_ctl failed = { .what = OWFS_CTL_READY };
	struct owfs_served served = { 0 };
	int ret, fd, stopped;

	me = (struct worker){
		.o = o, .srv = srv, .sock = sock, .fd = -1,
		.null = open("/dev/null", O_RDWR | O_CLOEXEC),
	};
	block_signals();
	/* memory that we need to write must not wait for us to write */
	prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0);
	ret = srv->ops->start(srv->ctx, o, msg, &served);
	if (ret) {
		failed.err = ret;
		owfs_ctl_send(sock, &failed, -1);
		return 1;
	}
	fd = handshake(sock, &served);
	if (fd < 0) {
		srv->ops->abandon(srv->ctx);
		return 1;
	}
	ret = serve(o, srv, &served, fd);
	if (ret)
		owfs_msg(msg, OWFS_MSG_ERROR, "%s: session ended: %s",
			 o->device, strerror(-ret));
	stopped = srv->ops->stop(srv->ctx);
	owfs_session_close(srv->session);
	return ret || stopped ? 1 : 0;
}
