/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Capabilities, the file tree, the network.  Which system calls remain is
 * said in sandbox_calls.c.
 *
 * The empty directory.  A directory of /proc whose process has ended can be
 * entered by nobody and shows nothing, so a child that shares our root moves
 * it there and ends.  A mount namespace of our own would do as well, but for
 * as long as it takes to empty it our copies of all mounts would keep other
 * filesystems from being unmounted.
 *
 * Without the right to chroot there is a user namespace in which we have it,
 * where the machine lets users have one.
 */
#include "base/sandbox.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* ------------------------------------------------------------- capabilities */

struct caps {
	struct __user_cap_header_struct head;
	struct __user_cap_data_struct data[2];
};

static int caps_get(struct caps *c)
{
	c->head = (struct __user_cap_header_struct) {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	return syscall(SYS_capget, &c->head, c->data) ? -errno : 0;
}

static int keep_capabilities(uint64_t keep)
{
	struct caps c;
	unsigned int i;
	int ret = caps_get(&c);

	if (ret)
		return ret;
	for (i = 0; prctl(PR_CAPBSET_READ, i, 0, 0, 0) >= 0; i++)
		if (i >= 64 || !(keep >> i & 1))
			prctl(PR_CAPBSET_DROP, i, 0, 0, 0);
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	for (i = 0; i < 2; i++) {
		c.data[i].permitted &= (uint32_t)(keep >> 32 * i);
		c.data[i].effective = c.data[i].permitted;
		c.data[i].inheritable = 0;
	}
	return syscall(SYS_capset, &c.head, c.data) ? -errno : 0;
}

static int drop_rights(uint64_t keep)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -errno;
	return keep_capabilities(keep);
}

#ifdef OWFS_SANDBOX_WHOLE

static bool may(unsigned int cap)
{
	struct caps c;

	return !caps_get(&c) && c.data[cap / 32].effective >> cap % 32 & 1;
}

/* ---------------------------------------------------------------- namespaces */

static int write_file(const char *path, const char *text, size_t len)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), ret = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, len) != (ssize_t)len)
		ret = -EIO;
	close(fd);
	return ret;
}

/* We stay who we are: one user and one group are known in there. */
static int write_map(const char *path, unsigned int id)
{
	char line[40];
	int n = snprintf(line, sizeof(line), "%u %u 1\n", id, id);

	return write_file(path, line, (size_t)n);
}

static int own_user_namespace(void)
{
	const uid_t uid = geteuid();
	const gid_t gid = getegid();

	if (unshare(CLONE_NEWUSER))
		return -errno;
	write_file("/proc/self/setgroups", "deny", 4);
	write_map("/proc/self/uid_map", uid);
	write_map("/proc/self/gid_map", gid);
	return 0;
}

/* ------------------------------------------------------------ the file tree */

static int move_root(void *unused)
{
	(void)unused;
	return chroot("/proc/self/fdinfo") || chdir("/");
}

static int empty_root(void)
{
	unsigned char stack[16384] __attribute__((aligned(16)));
	int status;
	/* its memory is a copy, its root and working directory are ours */
	pid_t pid = clone(move_root, stack + sizeof(stack), CLONE_FS | SIGCHLD,
			  NULL);

	if (pid < 0)
		return -errno;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -EPERM;
}

static unsigned int leave_world(unsigned int layers)
{
	unsigned int got = 0;

	if (!may(CAP_SYS_CHROOT) && own_user_namespace())
		return 0;
	if ((layers & OWFS_SANDBOX_NET) && !unshare(CLONE_NEWNET))
		got |= OWFS_SANDBOX_NET;
	if ((layers & OWFS_SANDBOX_ROOT) && !empty_root())
		got |= OWFS_SANDBOX_ROOT;
	return got;
}

#else

static unsigned int leave_world(unsigned int layers)
{
	(void)layers;
	return 0;
}

#endif

/* glibc fetches a library when the first thread is told to end. */
static void load_what_comes_later(void)
{
#ifdef __GLIBC__
	dlopen("libgcc_s.so.1", RTLD_NOW);
#endif
}

unsigned int owfs_sandbox_enter(const struct owfs_sandbox *s)
{
	unsigned int got = 0;

	if (s->layers & OWFS_SANDBOX_CALLS)
		load_what_comes_later();
	if (s->layers & (OWFS_SANDBOX_ROOT | OWFS_SANDBOX_NET))
		got |= leave_world(s->layers);
	if ((s->layers & OWFS_SANDBOX_RIGHTS) && !drop_rights(s->capabilities))
		got |= OWFS_SANDBOX_RIGHTS;
	if ((s->layers & OWFS_SANDBOX_CALLS) &&
	    !owfs_sandbox_limit_calls(s->work))
		got |= OWFS_SANDBOX_CALLS;
	return got;
}

void owfs_sandbox_program(enum owfs_sandbox_work work)
{
	const struct owfs_sandbox s = {
		.work = work,
		.layers = OWFS_SANDBOX_RIGHTS | OWFS_SANDBOX_CALLS,
		.capabilities = 1ull << CAP_SYS_RESOURCE,
	};

	owfs_sandbox_enter(&s);
}
