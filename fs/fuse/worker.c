/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The worker: opens the filesystem, gets the mounted descriptor from its
 * parent, serves until the kernel ends the connection.
 *
 * Signals.  Ending the session's loop would abort the connection under open
 * files, so a signal means unmount, and serving goes on until the kernel is
 * done.  The parent does it while it lives; without it the worker does.
 */
#include "fuse/worker.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuse/log.h"
#include "fuse/mnt.h"

/* Threads that find nothing to do are parked and cost nothing. */
#define THREADS		16

#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER 57
#endif

/* --------------------------------------------------------------- the socket */

int owfs_ctl_send(int sock, const struct owfs_ctl *msg, int fd)
{
	char space[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { (void *)(uintptr_t)msg, sizeof(*msg) };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *cm;

	if (fd >= 0) {
		mh.msg_control = space;
		mh.msg_controllen = sizeof(space);
		cm = CMSG_FIRSTHDR(&mh);
		cm->cmsg_level = SOL_SOCKET;
		cm->cmsg_type = SCM_RIGHTS;
		cm->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(cm), &fd, sizeof(int));
	}
	return sendmsg(sock, &mh, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int owfs_ctl_recv(int sock, struct owfs_ctl *msg, int *fd)
{
	char space[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { msg, sizeof(*msg) };
	struct msghdr mh = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = space, .msg_controllen = sizeof(space),
	};
	struct cmsghdr *cm;
	ssize_t n;

	do {
		n = recvmsg(sock, &mh, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if (fd)
		*fd = -1;
	cm = CMSG_FIRSTHDR(&mh);
	if (fd && cm && cm->cmsg_type == SCM_RIGHTS)
		memcpy(fd, CMSG_DATA(cm), sizeof(int));
	return n == sizeof(*msg) ? 0 : -EPIPE;
}

/* ------------------------------------------------------------------ signals */

/* One worker per process; ->init and the signal thread have no other way. */
static struct worker {
	const struct owfs_opts *o;
	int sock;
	int fd;		/* of the mount */
	pid_t parent;
	dev_t dev;
	bool fuseblk;
	sigset_t signals;
} me;

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
		owfs_log_detach(me.o->prog);
	owfs_ctl_send(me.sock, &msg, -1);
}

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
	int sig;

	(void)arg;
	for (;;) {
		if (sigwait(&me.signals, &sig))
			continue;
		if (getppid() == me.parent)
			kill(me.parent, SIGTERM);
		else
			unmount_aside();
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
	me.dev = msg.dev;
	me.fuseblk = msg.fuseblk;
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
		.o = o, .sock = sock, .fd = -1, .parent = getppid(),
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
