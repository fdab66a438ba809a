/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Each layer of the sandbox alone keeps what it promises, for root and for an
 * ordinary user; and work that may do less can do less.  Each attempt is made
 * in a child, since some of them end it.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <net/if.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/sandbox.h"
#include "base/util.h"

#define NOBODY		65534
#define DONE		0
#define REFUSED		1
#define NO_SANDBOX	2	/* the layer cannot be had here */
#define KILLED		3

struct attempt {
	unsigned int layers;
	enum owfs_sandbox_work work;
	uint64_t capabilities;
	int (*try)(int fd);	/* DONE or REFUSED */
	bool as_user;
};

static void become_user(void)
{
	if (geteuid())
		return;
	if (setgroups(0, NULL) || setgid(NOBODY) || setuid(NOBODY))
		_exit(99);
	/* as a process that was started so */
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

static void child(const struct attempt *a, int fd)
{
	const struct owfs_sandbox s = {
		.work = a->work, .layers = a->layers,
		.capabilities = a->capabilities,
	};

	if (a->as_user)
		become_user();
	if (owfs_sandbox_enter(&s) != a->layers)
		_exit(NO_SANDBOX);
	_exit(a->try(fd));
}

static int outcome(const struct attempt *a)
{
	char path[] = "/tmp/owfs-sandbox.XXXXXX";
	int fd = mkstemp(path), status;
	pid_t pid;

	assert_true(fd >= 0);
	unlink(path);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid)
		child(a, fd);
	close(fd);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status)) {
		assert_int_equal(WTERMSIG(status), SIGSYS);
		return KILLED;
	}
	assert_int_not_equal(WEXITSTATUS(status), 99);
	return WEXITSTATUS(status);
}

static int said(bool done)
{
	return done ? DONE : REFUSED;
}

/* ----------------------------------------------------------------- attempts */

static int try_look(int fd)
{
	struct stat st;

	(void)fd;
	return said(!stat("/etc/passwd", &st) || !stat("../etc/passwd", &st) ||
		    !stat("/tmp", &st) || !stat("self", &st));
}

static int try_create(int fd)
{
	(void)fd;
	return said(open("file", O_RDWR | O_CREAT, 0600) >= 0 ||
		    !mkdir("/directory", 0700));
}

/* The old root is not to be had again, by whatever is still allowed. */
static int try_chroot(int fd)
{
	(void)fd;
	return said(!chroot("/") || !chroot("../../.."));
}

static int try_network(int fd)
{
	struct ifreq ifr = { .ifr_name = "lo" };
	int s = socket(AF_INET, SOCK_DGRAM, 0);

	(void)fd;
	/* there is one, and it is down: it is not that of the machine */
	return said(s < 0 || ioctl(s, SIOCGIFFLAGS, &ifr) ||
		    (ifr.ifr_flags & IFF_UP));
}

static int try_capability(int fd)
{
	(void)fd;
	return said(prctl(PR_CAPBSET_READ, CAP_NET_ADMIN, 0, 0, 0) == 1 ||
		    prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 ||
		    !chroot("/"));
}

static int try_kept_capability(int fd)
{
	(void)fd;
	return said(!chroot("/") &&
		    prctl(PR_CAPBSET_READ, CAP_NET_ADMIN, 0, 0, 0) == 0);
}

static int try_open(int fd)
{
	(void)fd;
	return said(open("/dev/null", O_RDONLY) >= 0);
}

static int try_socket(int fd)
{
	(void)fd;
	return said(socket(AF_UNIX, SOCK_STREAM, 0) >= 0);
}

static int try_fork(int fd)
{
	(void)fd;
	return said(fork() >= 0);
}

static int try_write(int fd)
{
	return said(write(fd, "x", 1) == 1);
}

static int try_pwrite(int fd)
{
	return said(pwrite(fd, "x", 1, 0) == 1 && !fdatasync(fd));
}

static int try_pread(int fd)
{
	struct stat st;
	char c;

	return said(!fstat(fd, &st) && pread(fd, &c, 1, 0) == 0);
}

static void *nothing(void *arg)
{
	return arg;
}

static int try_thread(int fd)
{
	pthread_t t;

	(void)fd;
	return said(!pthread_create(&t, NULL, nothing, NULL) &&
		    !pthread_join(t, NULL));
}

/* What the end of libfuse's loop does. */
static void *sleeper(void *arg)
{
	for (;;)
		sleep(100);
	return arg;
}

static int try_cancel(int fd)
{
	pthread_t t;

	(void)fd;
	return said(!pthread_create(&t, NULL, sleeper, NULL) &&
		    !pthread_cancel(t) && !pthread_join(t, NULL));
}

static int try_memory(int fd)
{
	char *p = malloc(100u << 20), *q;

	(void)fd;
	if (!p)
		return REFUSED;
	memset(p, 1, 100u << 20);
	q = realloc(p, 200u << 20);
	free(q ? q : p);
	return said(q);
}

static int try_abort(int fd)
{
	(void)fd;
	signal(SIGABRT, SIG_IGN);
	return said(!raise(SIGABRT));
}

static int try_kill(int fd)
{
	(void)fd;
	return said(!kill(getpid(), 0));
}

/* A call that only a later library knows: it must be able to go on without. */
static int try_unknown(int fd)
{
	(void)fd;
	return said(syscall(9999) >= 0 || errno != ENOSYS ||
		    syscall(SYS_getpriority, 0, 0) >= 0 || errno != ENOSYS);
}

/* What the server of iomap mode tells the kernel; BADF: it was asked. */
static int try_iomap(int fd)
{
	(void)fd;
	return said(ioctl(-1, 0x4010e501ul, NULL) && errno == EBADF &&
		    ioctl(-1, 0x4004e564ul, NULL) && errno == EBADF);
}

static int try_new_namespace(int fd)
{
	(void)fd;
	return said(syscall(SYS_unshare, 0x10000000 /* user */) == 0);
}

/* -------------------------------------------------------------------- tests */

static void check(const struct attempt *a, int wanted)
{
	int got = outcome(a);

	if (got == NO_SANDBOX) {
		print_message("layers %u: not to be had here\n", a->layers);
		skip();
	}
	assert_int_equal(got, wanted);
}

static void check_both(struct attempt a, int wanted)
{
	check(&a, wanted);
	if (geteuid())
		return;
	a.as_user = true;
	check(&a, wanted);
}

static void test_without_layers_all_is_possible(void **state)
{
	int (*const tries[])(int) = {
		try_look, try_network, try_open, try_socket, try_fork,
		try_write, try_pwrite, try_thread, try_kill,
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(tries); i++)
		check_both((struct attempt){ .try = tries[i] }, DONE);
}

static void test_root_is_empty(void **state)
{
	(void)state;
	check_both((struct attempt){ .layers = OWFS_SANDBOX_ROOT,
				     .try = try_look }, REFUSED);
	check_both((struct attempt){ .layers = OWFS_SANDBOX_ROOT,
				     .try = try_create }, REFUSED);
	check_both((struct attempt){
		.layers = OWFS_SANDBOX_ROOT | OWFS_SANDBOX_RIGHTS,
		.try = try_chroot }, REFUSED);
}

static void test_network_is_another(void **state)
{
	(void)state;
	check_both((struct attempt){ .layers = OWFS_SANDBOX_NET,
				     .try = try_network }, REFUSED);
}

static void test_rights_are_gone_but_those_kept(void **state)
{
	(void)state;
	check((&(struct attempt){ .layers = OWFS_SANDBOX_RIGHTS,
				  .try = try_capability }), REFUSED);
	if (geteuid())
		return;
	check((&(struct attempt){ .layers = OWFS_SANDBOX_RIGHTS,
				  .capabilities = 1ull << CAP_SYS_CHROOT,
				  .try = try_kept_capability }), DONE);
}

static void test_calls_are_those_of_the_work(void **state)
{
	static const struct {
		int (*try)(int fd);
		int wanted[3];	/* reader, writer, server */
	} table[] = {
		{ try_open, { REFUSED, REFUSED, REFUSED } },
		{ try_look, { REFUSED, REFUSED, REFUSED } },
		{ try_create, { KILLED, KILLED, KILLED } },
		{ try_socket, { KILLED, KILLED, KILLED } },
		{ try_fork, { KILLED, KILLED, KILLED } },
		{ try_kill, { KILLED, KILLED, KILLED } },
		{ try_new_namespace, { KILLED, KILLED, KILLED } },
		{ try_chroot, { KILLED, KILLED, KILLED } },
		{ try_unknown, { REFUSED, REFUSED, REFUSED } },
		{ try_write, { DONE, DONE, DONE } },
		{ try_pread, { DONE, DONE, DONE } },
		{ try_memory, { DONE, DONE, DONE } },
		{ try_abort, { DONE, DONE, DONE } },
		{ try_pwrite, { KILLED, DONE, DONE } },
		{ try_thread, { DONE, DONE, DONE } },
		{ try_cancel, { DONE, DONE, DONE } },
		{ try_iomap, { REFUSED, REFUSED, DONE } },
	};
	size_t i;
	int work;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(table); i++)
		for (work = 0; work < 3; work++)
			check_both((struct attempt){
				.layers = OWFS_SANDBOX_RIGHTS |
					  OWFS_SANDBOX_CALLS,
				.work = (enum owfs_sandbox_work)work,
				.try = table[i].try,
			}, table[i].wanted[work]);
}

/* All of them at once, as a server has them. */
static void test_a_server_works_inside(void **state)
{
	int (*const tries[])(int) = {
		try_write, try_pwrite, try_pread, try_memory, try_thread,
		try_cancel,
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(tries); i++)
		check_both((struct attempt){
			.layers = OWFS_SANDBOX_RIGHTS | OWFS_SANDBOX_ROOT |
				  OWFS_SANDBOX_NET | OWFS_SANDBOX_CALLS,
			.work = OWFS_SANDBOX_SERVER, .try = tries[i],
		}, DONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_without_layers_all_is_possible),
		cmocka_unit_test(test_root_is_empty),
		cmocka_unit_test(test_network_is_another),
		cmocka_unit_test(test_rights_are_gone_but_those_kept),
		cmocka_unit_test(test_calls_are_those_of_the_work),
		cmocka_unit_test(test_a_server_works_inside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
