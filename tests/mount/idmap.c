/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Mount a directory again with other owners, as containers do:
 *
 *	idmap SOURCE TARGET ON-DISK SHOWN COUNT
 *
 * Users and groups from ON-DISK on are those from SHOWN on below TARGET.
 * Exit status 77: the kernel cannot do that.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Newer than some C libraries. */
#ifndef SYS_mount_setattr
#define SYS_mount_setattr 442
#endif
#define TREE_CLONE	1u
#define MOVE_EMPTY_PATH	4u
#define ATTR_IDMAP	0x00100000u

struct attr {
	uint64_t set, clear, propagation, userns_fd;
};

static void die(const char *what)
{
	perror(what);
	exit(errno == EINVAL || errno == ENOSYS ? 77 : 1);
}

static void write_file(pid_t pid, const char *name, const char *text)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		die(path);
	close(fd);
}

/* A user namespace with the map, which lives as long as the descriptor. */
static int make_userns(const char *map)
{
	int fds[2], fd;
	char path[64], c;
	pid_t pid;

	if (pipe(fds))
		die("pipe");
	pid = fork();
	if (pid < 0)
		die("fork");
	if (!pid) {
		if (unshare(CLONE_NEWUSER))
			_exit(1);
		if (write(fds[1], "", 1) == 1)
			pause();
		_exit(1);
	}
	close(fds[1]);
	if (read(fds[0], &c, 1) != 1)
		exit(77);	/* no user namespaces here */
	close(fds[0]);
	write_file(pid, "uid_map", map);
	write_file(pid, "gid_map", map);
	snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die(path);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return fd;
}

int main(int argc, char **argv)
{
	struct attr attr = { .set = ATTR_IDMAP };
	char map[80];
	int tree;

	if (argc != 6) {
		fprintf(stderr,
			"usage: idmap SOURCE TARGET ON-DISK SHOWN COUNT\n");
		return 2;
	}
	snprintf(map, sizeof(map), "%s %s %s\n", argv[3], argv[4], argv[5]);
	attr.userns_fd = (uint64_t)make_userns(map);
	tree = (int)syscall(SYS_open_tree, AT_FDCWD, argv[1],
			    TREE_CLONE | O_CLOEXEC);
	if (tree < 0)
		die(argv[1]);
	if (syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attr,
		    sizeof(attr)))
		die("mount_setattr");
	if (syscall(SYS_move_mount, tree, "", AT_FDCWD, argv[2],
		    MOVE_EMPTY_PATH))
		die(argv[2]);
	return 0;
}
