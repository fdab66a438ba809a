/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Linked into a test of the played kernel, it locks the test in as the server
 * is locked in that it plays with: nothing that iomap mode does may need a
 * call outside of the sandbox's list, or the test is killed.
 *
 * The played kernel wants a pair of sockets for each filesystem it mounts, and
 * in there are none to be had.  So the first time that it asks, many are made,
 * and then the door is shut: before INIT, as the worker does it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/sandbox.h"
#include "fuse/iomap_compat.h"

#define PAIRS	200

int __real_socketpair(int domain, int type, int protocol, int sv[2]);
int __wrap_socketpair(int domain, int type, int protocol, int sv[2]);

static int pool[PAIRS][2];
static unsigned int left;
static struct owfs_iomap_sys played;

/* What the played kernel answers, and would the real one have been asked? */
static int real_ioctl(int fd, unsigned long cmd, void *arg)
{
	if (ioctl(-1, cmd, arg) != -1 || errno != EBADF) {
		fprintf(stderr, "ioctl %lx: is not on the list\n", cmd);
		abort();
	}
	return played.ioctl(fd, cmd, arg);
}

static void shut_the_door(void)
{
	const struct owfs_sandbox s = {
		.work = OWFS_SANDBOX_SERVER,
		.layers = OWFS_SANDBOX_RIGHTS | OWFS_SANDBOX_CALLS,
	};

	if (owfs_sandbox_enter(&s) == s.layers)
		return;
	printf("SKIP: no sandbox to be had: %s\n", owfs_sandbox_build);
	fflush(stdout);
	_exit(77);
}

int __wrap_socketpair(int domain, int type, int protocol, int sv[2])
{
	static bool shut;

	if (!shut) {
		shut = true;
		while (left < PAIRS && !__real_socketpair(domain, type,
							  protocol, pool[left]))
			left++;
		shut_the_door();
	}
	if (!left)
		return __real_socketpair(domain, type, protocol, sv);
	left--;
	sv[0] = pool[left][0];
	sv[1] = pool[left][1];
	played = owfs_iomap_sys;
	owfs_iomap_sys.ioctl = real_ioctl;
	return 0;
}
