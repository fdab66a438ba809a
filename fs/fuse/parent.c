/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The parent: starts the worker, mounts, tells the terminal how it went,
 * unmounts when told to, and cleans up behind a worker that died.
 *
 * It has one thread and touches the mounted tree never: an access to it, and
 * umount(2) too, would wait for ever if the worker died while our copy of the
 * descriptor keeps the connection alive.  So unmounting is left to a child
 * that has no copy, and the first thing done for a dead worker is to close it.
 */
#include "fuse/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuse/log.h"
#include "fuse/mnt.h"

#define EXIT_FAILED	1

struct parent {
	const struct owfs_opts *o;
	const struct owfs_server *srv;
	struct owfs_msg msg;
	struct owfs_mnt mnt;
	pid_t worker;
	pid_t unmounter;	/* 0: none runs */
	int sock;
	int status_fd;		/* to the terminal's process, -1 none */
	sigset_t signals;
};

/* --------------------------------------------------------------- daemon life */

/*
 * Go on in a child.  The process of the terminal waits for one byte: the exit
 * status; none means failure.
 */
static int daemonise(struct parent *p)
{
	unsigned char status = EXIT_FAILED;
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	fflush(NULL);
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid) {
		close(fds[1]);
		while (read(fds[0], &status, 1) < 0 && errno == EINTR)
			;
		exit(status);
	}
	close(fds[0]);
	setsid();
	p->status_fd = fds[1];
	return 0;
}

static void tell_terminal(struct parent *p)
{
	const unsigned char status = 0;

	if (p->status_fd < 0)
		return;
	if (chdir("/"))
		owfs_msg(&p->msg, OWFS_MSG_WARN, "/: %s", strerror(errno));
	owfs_log_detach(p->o->prog);
	if (write(p->status_fd, &status, 1) < 0)
		owfs_msg(&p->msg, OWFS_MSG_WARN, "nobody waited for the start");
	close(p->status_fd);
	p->status_fd = -1;
}

/* ------------------------------------------------------------------ start-up */

static int start_worker(struct parent *p)
{
	int socks[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, socks))
		return -errno;
	fflush(NULL);
	p->worker = fork();
	if (p->worker < 0)
		return -errno;
	if (!p->worker) {
		close(socks[0]);
		if (p->status_fd >= 0)
			close(p->status_fd);
		exit(owfs_worker_run(p->o, p->srv, &p->msg, socks[1]));
	}
	close(socks[1]);
	p->sock = socks[0];
	return 0;
}

/* From here on a signal means unmount, and must not be lost. */
static void block_signals(struct parent *p, bool all)
{
	sigemptyset(&p->signals);
	sigaddset(&p->signals, SIGCHLD);
	if (all) {
		sigaddset(&p->signals, SIGTERM);
		sigaddset(&p->signals, SIGINT);
		sigaddset(&p->signals, SIGHUP);
	}
	sigprocmask(SIG_BLOCK, &p->signals, NULL);
}

static void tell_end(int status, char *how, size_t size)
{
	if (!WIFSIGNALED(status))
		snprintf(how, size, "exit status %d", WEXITSTATUS(status));
	else if (WTERMSIG(status) == SIGSYS)
		snprintf(how, size, "its sandbox stopped a system call that serving does not need");
	else
		snprintf(how, size, "%s", strsignal(WTERMSIG(status)));
}

static int reap_failed(struct parent *p)
{
	char how[100];
	int status;

	close(p->sock);		/* a worker that waits for us gives up */
	while (waitpid(p->worker, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFSIGNALED(status)) {
		tell_end(status, how, sizeof(how));
		owfs_msg(&p->msg, OWFS_MSG_ERROR,
			 "%s: the server died while starting: %s",
			 p->o->device, how);
	}
	return EXIT_FAILED;
}

/* --------------------------------------------------- what the worker asks for */

static void start_unmount(struct parent *p)
{
	if (p->unmounter > 0)
		return;
	fflush(NULL);
	p->unmounter = fork();
	if (p->unmounter)
		return;
	close(p->mnt.fd);
	owfs_mnt_unmount(p->mnt.dev, false);
	exit(0);
}

/* It may say anything: nothing that could pass for another line. */
static void make_printable(char *line)
{
	for (; *line; line++)
		if ((unsigned char)*line < ' ' || *line == 127)
			*line = '?';
}

static void log_for_worker(const struct parent *p, struct owfs_ctl *msg)
{
	make_printable(msg->line);
	if ((unsigned int)msg->level <= p->msg.max_level)
		p->msg.emit(p->msg.ctx, msg->level, msg->line);
}

static void look_for_worker(struct parent *p, struct owfs_ctl *msg)
{
	msg->err = owfs_caller_look(&msg->caller.status, msg->caller.pid,
				    msg->caller.gid) ? 0 : -ESRCH;
	msg->line[0] = '\0';
	/* one that does not read gets no answer, and we do not wait for it */
	owfs_ctl_try_send(p->sock, msg);
}

static void hear(struct parent *p, struct owfs_ctl *msg)
{
	switch (msg->what) {
	case OWFS_CTL_LOG:
		log_for_worker(p, msg);
		break;
	case OWFS_CTL_CALLER:
		look_for_worker(p, msg);
		break;
	case OWFS_CTL_UNMOUNT:
		start_unmount(p);
		break;
	default:
		break;
	}
}

static int hand_over(struct parent *p)
{
	struct owfs_ctl msg = {
		.what = OWFS_CTL_MOUNTED,
		.mounted = { p->mnt.dev, p->mnt.fuseblk },
	};
	int ret = owfs_ctl_send(p->sock, &msg, p->mnt.fd);

	while (!ret && msg.what != OWFS_CTL_SERVING) {
		ret = owfs_ctl_recv(p->sock, &msg, NULL);
		if (!ret)
			hear(p, &msg);
	}
	if (ret) {
		owfs_mnt_close(&p->mnt);
		owfs_mnt_unmount(p->mnt.dev, true);
	}
	return ret;
}

/* 0: serving.  Else everything is undone and said. */
static int start(struct parent *p)
{
	struct owfs_ctl msg;
	int ret;

	block_signals(p, false);
	ret = start_worker(p);
	if (ret) {
		owfs_msg(&p->msg, OWFS_MSG_ERROR, "cannot start: %s",
			 strerror(-ret));
		return EXIT_FAILED;
	}
	ret = owfs_ctl_recv(p->sock, &msg, NULL);
	if (ret || msg.err)
		return reap_failed(p);
	block_signals(p, true);
	if (owfs_mnt_mount(p->o, &p->msg, &msg.served, &p->mnt) ||
	    hand_over(p))
		return reap_failed(p);
	if (msg.served.iomap)
		owfs_mnt_serving(&p->mnt);
	return 0;
}

/* ------------------------------------------------------------------- waiting */

/* The worker is gone, and with it what it had not committed. */
static void clean_up(struct parent *p, int status)
{
	char how[100];

	owfs_mnt_close(&p->mnt);
	tell_end(status, how, sizeof(how));
	owfs_mnt_detach_dead(p->mnt.dev);
	owfs_msg(&p->msg, OWFS_MSG_ERROR,
		 "%s: the server ended early (%s); %s is detached, what was synced is safe",
		 p->o->device, how, p->o->mountpoint);
}

/* True: the worker has ended, *@status says how. */
static bool reap(struct parent *p, int *status)
{
	pid_t pid;
	int st;

	while ((pid = waitpid(-1, &st, WNOHANG)) > 0) {
		if (pid == p->worker) {
			*status = st;
			return true;
		}
		if (pid == p->unmounter)
			p->unmounter = 0;
	}
	return false;
}

/* One message; a worker that has closed its end says no more. */
static void listen_to_worker(struct parent *p)
{
	struct owfs_ctl msg;

	if (!owfs_ctl_recv(p->sock, &msg, NULL)) {
		hear(p, &msg);
		return;
	}
	close(p->sock);
	p->sock = -1;
}

static void take_signal(struct parent *p, int fd)
{
	struct signalfd_siginfo sig;

	if (read(fd, &sig, sizeof(sig)) == (ssize_t)sizeof(sig) &&
	    sig.ssi_signo != SIGCHLD)
		start_unmount(p);
}

static int supervise(struct parent *p)
{
	struct pollfd pfd[2] = {
		{ .fd = signalfd(-1, &p->signals, SFD_CLOEXEC | SFD_NONBLOCK),
		  .events = POLLIN },
		{ .events = POLLIN },
	};
	int status;

	while (!reap(p, &status)) {
		pfd[1].fd = p->sock;
		/* without memory for the first: at least it ends with the worker */
		if (poll(pfd, 2, pfd[0].fd < 0 ? 1000 : -1) < 0)
			continue;
		if (pfd[0].fd >= 0 && pfd[0].revents)
			take_signal(p, pfd[0].fd);
		if (pfd[1].revents)
			listen_to_worker(p);
	}
	if (WIFEXITED(status) && !WEXITSTATUS(status)) {
		owfs_mnt_close(&p->mnt);
		return 0;
	}
	clean_up(p, status);
	return EXIT_FAILED;
}

int owfs_parent_run(const struct owfs_opts *o, const struct owfs_server *srv)
{
	struct owfs_log log = { .prog = o->prog };
	struct parent p = {
		.o = o, .srv = srv, .status_fd = -1, .mnt.fd = -1,
		.msg = {
			.emit = owfs_log_emit,
			.ctx = &log,
			.max_level = o->debug ? OWFS_MSG_DEBUG : OWFS_MSG_INFO,
		},
	};
	int ret = 0;

	signal(SIGCHLD, SIG_DFL);
	if (!o->foreground)
		ret = daemonise(&p);
	if (ret) {
		owfs_msg(&p.msg, OWFS_MSG_ERROR, "cannot start: %s",
			 strerror(-ret));
		return EXIT_FAILED;
	}
	ret = start(&p);
	if (ret)
		return ret;
	if (o->verbose)
		printf("%s mounted on %s\n", o->device, o->mountpoint);
	fflush(stdout);
	tell_terminal(&p);
	return supervise(&p);
}
