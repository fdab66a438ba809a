/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One user per image: by whatever path, in whatever process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/devlock.h"

struct place {
	char dir[64], image[80], other[80];
};

static int make_place(void **state)
{
	struct place *p = calloc(1, sizeof(*p));
	int fd;

	assert_non_null(p);
	strcpy(p->dir, "/tmp/owfs-devlock.XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	snprintf(p->image, sizeof(p->image), "%s/image", p->dir);
	snprintf(p->other, sizeof(p->other), "%s/other", p->dir);
	fd = open(p->image, O_CREAT | O_RDWR, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	close(fd);
	*state = p;
	return 0;
}

static int remove_place(void **state)
{
	struct place *p = *state;

	unlink(p->image);
	unlink(p->other);
	rmdir(p->dir);
	free(p);
	return 0;
}

static int take(const char *path, bool exclusive, struct owfs_devlock **lock,
		char *holder)
{
	return owfs_devlock_take(path, exclusive, lock, holder,
				 OWFS_DEVLOCK_HOLDER);
}

static void test_second_user_is_refused_and_told_by_whom(void **state)
{
	struct place *p = *state;
	struct owfs_devlock *one, *two;
	char holder[OWFS_DEVLOCK_HOLDER], pid[32];

	assert_int_equal(take(p->image, true, &one, holder), 0);
	assert_int_equal(take(p->image, true, &two, holder), -EBUSY);
	snprintf(pid, sizeof(pid), "pid %d ", getpid());
	/* file systems that hide their device number do not tell the pid */
	assert_true(!strncmp(holder, pid, strlen(pid)) ||
		    !strcmp(holder, "another process"));
	owfs_devlock_release(one);
	assert_int_equal(take(p->image, true, &two, holder), 0);
	owfs_devlock_release(two);
}

static void test_hard_link_is_the_same_image(void **state)
{
	struct place *p = *state;
	struct owfs_devlock *one, *two;
	char holder[OWFS_DEVLOCK_HOLDER];

	assert_int_equal(link(p->image, p->other), 0);
	assert_int_equal(take(p->image, true, &one, holder), 0);
	assert_int_equal(take(p->other, true, &two, holder), -EBUSY);
	owfs_devlock_release(one);
}

static void test_readers_share_and_keep_writers_out(void **state)
{
	struct place *p = *state;
	struct owfs_devlock *one, *two, *three;
	char holder[OWFS_DEVLOCK_HOLDER];

	assert_int_equal(take(p->image, false, &one, holder), 0);
	assert_int_equal(take(p->image, false, &two, holder), 0);
	assert_int_equal(take(p->image, true, &three, holder), -EBUSY);
	owfs_devlock_release(one);
	owfs_devlock_release(two);
	assert_int_equal(take(p->image, true, &three, holder), 0);
	owfs_devlock_release(three);
}

static void test_lock_ends_with_its_process(void **state)
{
	struct place *p = *state;
	struct owfs_devlock *lock;
	char holder[OWFS_DEVLOCK_HOLDER], c;
	int fds[2], status;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		if (take(p->image, true, &lock, holder) ||
		    write(fds[1], "x", 1) != 1)
			_exit(1);
		pause();
	}
	assert_int_equal(read(fds[0], &c, 1), 1);
	assert_int_equal(take(p->image, true, &lock, holder), -EBUSY);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(take(p->image, true, &lock, holder), 0);
	owfs_devlock_release(lock);
	close(fds[0]);
	close(fds[1]);
}

static void test_release_holds_for_forked_processes(void **state)
{
	struct place *p = *state;
	struct owfs_devlock *lock, *again;
	char holder[OWFS_DEVLOCK_HOLDER];
	int status;
	pid_t pid;

	assert_int_equal(take(p->image, true, &lock, holder), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		pause();
		_exit(0);
	}
	owfs_devlock_release(lock);
	assert_int_equal(take(p->image, true, &again, holder), 0);
	owfs_devlock_release(again);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
}

static void test_shell_can_wait_for_it(void **state)
{
	struct place *p = *state;
	struct owfs_devlock *lock;
	char holder[OWFS_DEVLOCK_HOLDER];
	int fd = open(p->image, O_RDONLY);

	assert_true(fd >= 0);
	assert_int_equal(take(p->image, true, &lock, holder), 0);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), -1);
	owfs_devlock_release(lock);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	close(fd);
}

static void test_what_is_no_device_is_refused(void **state)
{
	struct place *p = *state;
	struct owfs_devlock *lock;
	char holder[OWFS_DEVLOCK_HOLDER];

	assert_int_equal(take(p->dir, true, &lock, holder), -ENOTBLK);
	assert_int_equal(take("/dev/null", true, &lock, holder), -ENOTBLK);
	assert_int_equal(take(p->other, true, &lock, holder), -ENOENT);
	assert_string_equal(holder, "");
	owfs_devlock_release(NULL);
}

#define T(name) cmocka_unit_test_setup_teardown(name, make_place, remove_place)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_second_user_is_refused_and_told_by_whom),
		T(test_hard_link_is_the_same_image),
		T(test_readers_share_and_keep_writers_out),
		T(test_lock_ends_with_its_process),
		T(test_release_holds_for_forked_processes),
		T(test_shell_can_wait_for_it),
		T(test_what_is_no_device_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
