/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "attempt.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/util.h"

static bool try_look(const char *arg)
{
	struct stat st;

	return !stat(arg, &st);
}

static bool try_read(const char *arg)
{
	return open(arg, O_RDONLY) >= 0;
}

static bool try_write(const char *arg)
{
	return open(arg, O_RDWR | O_CREAT, 0600) >= 0;
}

static bool try_unlink(const char *arg)
{
	return !unlink(arg);
}

static bool try_socket(const char *arg)
{
	(void)arg;
	return socket(AF_INET, SOCK_STREAM, 0) >= 0;
}

static bool try_local(const char *arg)
{
	(void)arg;
	return socket(AF_UNIX, SOCK_STREAM, 0) >= 0;
}

static bool try_fork(const char *arg)
{
	pid_t pid = fork();

	(void)arg;
	if (!pid)
		_exit(0);
	return pid > 0 && waitpid(pid, NULL, 0) == pid;
}

/* Does not come back if it can be done: what it runs leaves a file. */
static bool try_exec(const char *arg)
{
	execl("/bin/sh", "sh", "-c", "echo > \"$0\"", arg, NULL);
	return false;
}

static bool try_trace(const char *arg)
{
	return !ptrace(PTRACE_SEIZE, atoi(arg), NULL, NULL);
}

static bool try_kill(const char *arg)
{
	return !kill(atoi(arg), SIGTERM);
}

static bool try_mount(const char *arg)
{
	return !mount("none", arg, "tmpfs", 0, NULL);
}

static bool try_unshare(const char *arg)
{
	(void)arg;
	return !unshare(CLONE_NEWUTS);
}

static bool try_code(const char *arg)
{
	(void)arg;
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED;
}

static const struct attempt {
	const char *what;
	bool (*try)(const char *arg);
} attempts[] = {
	{ "look", try_look }, { "read", try_read }, { "write", try_write },
	{ "unlink", try_unlink }, { "socket", try_socket },
	{ "local", try_local }, { "fork", try_fork }, { "exec", try_exec },
	{ "trace", try_trace }, { "kill", try_kill }, { "mount", try_mount },
	{ "unshare", try_unshare }, { "code", try_code },
};

const char *attempt(const char *text)
{
	size_t i, n;

	for (i = 0; i < ARRAY_SIZE(attempts); i++) {
		n = strlen(attempts[i].what);
		if (strncmp(attempts[i].what, text, n) || text[n] != '.')
			continue;
		errno = 0;
		return attempts[i].try(text + n + 1) ? "done" :
		       strerror(errno);
	}
	return "unknown";
}
