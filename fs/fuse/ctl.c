/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Messages over a pair of SOCK_SEQPACKET. */
#include "fuse/ctl.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#define HEAD_BYTES	offsetof(struct owfs_ctl, line)

static int ctl_send(int sock, const struct owfs_ctl *msg, int fd, int flags)
{
	char space[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = {
		(void *)(uintptr_t)msg,
		HEAD_BYTES + strnlen(msg->line, sizeof(msg->line) - 1),
	};
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
	return sendmsg(sock, &mh, MSG_NOSIGNAL | flags) < 0 ? -errno : 0;
}

int owfs_ctl_send(int sock, const struct owfs_ctl *msg, int fd)
{
	return ctl_send(sock, msg, fd, 0);
}

int owfs_ctl_try_send(int sock, const struct owfs_ctl *msg)
{
	return ctl_send(sock, msg, -1, MSG_DONTWAIT);
}

/* Without room for descriptors the kernel drops what was sent along. */
int owfs_ctl_recv(int sock, struct owfs_ctl *msg, int *fd)
{
	char space[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { msg, sizeof(*msg) - 1 };
	struct msghdr mh = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = fd ? space : NULL,
		.msg_controllen = fd ? sizeof(space) : 0,
	};
	struct cmsghdr *cm;
	ssize_t n;

	do {
		n = recvmsg(sock, &mh, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if (n < (ssize_t)HEAD_BYTES)
		return -EPIPE;
	((char *)msg)[n] = '\0';
	if (!fd)
		return 0;
	*fd = -1;
	cm = CMSG_FIRSTHDR(&mh);
	if (cm && cm->cmsg_type == SCM_RIGHTS)
		memcpy(fd, CMSG_DATA(cm), sizeof(int));
	return 0;
}
