/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Waiting awake: long enough for a quick client, not at all for a slow one. */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "fuse/spin.h"

static void test_short_waits_are_waited_awake(void **state)
{
	struct owfs_spin s = { .max_ns = 64000 };
	int i;

	(void)state;
	for (i = 0; i < 4; i++)
		owfs_spin_learn(&s, 40000);
	assert_true(s.now_ns >= 40000);
	assert_true(s.now_ns <= s.max_ns);
}

static void test_what_suffices_is_kept(void **state)
{
	struct owfs_spin s = { .max_ns = 64000, .now_ns = 32000 };

	(void)state;
	owfs_spin_learn(&s, 10000);
	owfs_spin_learn(&s, 32000);
	assert_int_equal(s.now_ns, 32000);
}

static void test_a_slow_client_lets_the_server_sleep(void **state)
{
	struct owfs_spin s = { .max_ns = 64000, .now_ns = 64000 };

	(void)state;
	owfs_spin_learn(&s, 64001);
	assert_int_equal(s.now_ns, 0);
	owfs_spin_learn(&s, 10000000);
	assert_int_equal(s.now_ns, 0);
	owfs_spin_learn(&s, 30000);
	assert_true(s.now_ns > 0);
}

static void test_the_limit_is_kept(void **state)
{
	struct owfs_spin s = { .max_ns = 20000 };
	int i;

	(void)state;
	for (i = 0; i < 10; i++)
		owfs_spin_learn(&s, 19000);
	assert_int_equal(s.now_ns, 20000);
}

static void test_zero_never_looks(void **state)
{
	struct owfs_spin s;

	(void)state;
	owfs_spin_init(&s, 0);
	owfs_spin_done(&s, owfs_spin_wait(&s, -1));
	owfs_spin_learn(&s, 1);
	assert_int_equal(s.now_ns, 0);
}

static void test_one_processor_never_looks(void **state)
{
	struct owfs_spin s;
	cpu_set_t all, one;
	int cpu;

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
	for (cpu = 0; !CPU_ISSET(cpu, &all); cpu++)
		;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	owfs_spin_init(&s, OWFS_SPIN_DEFAULT_US);
	assert_int_equal(s.max_ns, 0);
	assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
}

/* It ends with a request, with the end of the connection, and by itself. */
static void test_it_returns(void **state)
{
	struct owfs_spin s = { .max_ns = 64000, .now_ns = 64000 };
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	owfs_spin_wait(&s, fds[0]);
	s.now_ns = UINT32_MAX;
	assert_int_equal(write(fds[1], "x", 1), 1);
	owfs_spin_wait(&s, fds[0]);
	close(fds[1]);
	owfs_spin_wait(&s, fds[0]);
	close(fds[0]);
	owfs_spin_wait(&s, fds[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_short_waits_are_waited_awake),
		cmocka_unit_test(test_what_suffices_is_kept),
		cmocka_unit_test(test_a_slow_client_lets_the_server_sleep),
		cmocka_unit_test(test_the_limit_is_kept),
		cmocka_unit_test(test_zero_never_looks),
		cmocka_unit_test(test_one_processor_never_looks),
		cmocka_unit_test(test_it_returns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
