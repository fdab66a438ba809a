/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The turn to read: every request is read, none waits behind a slow one, and
 * a lone client finds the same thread again.  A socket pair of packets stands
 * in for the kernel: reads take whole packets, poll tells of more.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "fuse/turn.h"

#define SERVERS	6
#define CLIENTS	4
#define ROUNDS	3000

enum { SLOW = 'w', FAST = 'f' };

struct rig {
	struct owfs_turn turn;
	int fds[2];			/* server's end, clients' end */
	sem_t slow;			/* a slow request waits for this */
	sem_t answered;
	pthread_t server[SERVERS];
	unsigned int served[SERVERS];
	unsigned int next;		/* atomic: numbers for the servers */
};

static void answer(struct rig *r, char kind)
{
	if (kind == SLOW)
		while (sem_wait(&r->slow))
			;
	sem_post(&r->answered);
}

static void *serve(void *arg)
{
	struct rig *r = arg;
	unsigned int me = __atomic_fetch_add(&r->next, 1, __ATOMIC_RELAXED);
	struct owfs_seat *seat = owfs_turn_seat(&r->turn);
	char kind;

	for (;;) {
		owfs_turn_take(&r->turn, seat);
		if (read(r->fds[0], &kind, 1) != 1)
			break;
		owfs_turn_begin(&r->turn, seat, r->fds[0]);
		r->served[me]++;
		answer(r, kind);
	}
	owfs_turn_end(&r->turn);
	return NULL;
}

static void request(struct rig *r, char kind)
{
	assert_int_equal(write(r->fds[1], &kind, 1), 1);
}

static void wait_answer(struct rig *r)
{
	while (sem_wait(&r->answered))
		;
}

static int start(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));
	int i;

	assert_non_null(r);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, r->fds), 0);
	sem_init(&r->slow, 0, 0);
	sem_init(&r->answered, 0, 0);
	assert_int_equal(owfs_turn_open(&r->turn), 0);
	for (i = 0; i < SERVERS; i++)
		assert_int_equal(pthread_create(&r->server[i], NULL, serve, r),
				 0);
	*state = r;
	return 0;
}

static int stop(void **state)
{
	struct rig *r = *state;
	int i;

	/* one server sees the end and tells those that are parked */
	close(r->fds[1]);
	for (i = 0; i < SERVERS; i++)
		pthread_join(r->server[i], NULL);
	owfs_turn_close(&r->turn);
	close(r->fds[0]);
	free(r);
	return 0;
}

static void test_lone_client_meets_one_thread(void **state)
{
	struct rig *r = *state;
	unsigned int most = 0, sum = 0;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		request(r, FAST);
		wait_answer(r);
	}
	for (i = 0; i < SERVERS; i++) {
		sum += __atomic_load_n(&r->served[i], __ATOMIC_RELAXED);
		if (__atomic_load_n(&r->served[i], __ATOMIC_RELAXED) > most)
			most = r->served[i];
	}
	assert_int_equal(sum, ROUNDS);
	/* the watch may have taken the turn from a thread that got no processor */
	assert_true(most > ROUNDS / SERVERS);
}

static void test_slow_requests_hold_up_nobody(void **state)
{
	struct rig *r = *state;
	int i;

	/* all threads but one are stuck; the last one must be found each time */
	for (i = 0; i < SERVERS - 1; i++) {
		request(r, SLOW);
		request(r, FAST);
		wait_answer(r);
	}
	for (i = 0; i < 100; i++) {
		request(r, FAST);
		wait_answer(r);
	}
	for (i = 0; i < SERVERS - 1; i++)
		sem_post(&r->slow);
	for (i = 0; i < SERVERS - 1; i++)
		wait_answer(r);
}

static void *client(void *arg)
{
	struct rig *r = arg;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		char kind = i % 16 ? FAST : SLOW;

		if (kind == SLOW)
			sem_post(&r->slow);
		if (write(r->fds[1], &kind, 1) != 1)
			abort();
		wait_answer(r);
	}
	return NULL;
}

static void test_no_request_is_lost_among_many_clients(void **state)
{
	struct rig *r = *state;
	pthread_t thread[CLIENTS];
	unsigned int sum = 0;
	int i;

	for (i = 0; i < CLIENTS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, client, r),
				 0);
	for (i = 0; i < CLIENTS; i++)
		pthread_join(thread[i], NULL);
	for (i = 0; i < SERVERS; i++)
		sum += r->served[i];
	assert_int_equal(sum, CLIENTS * ROUNDS);
}

#define T(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_lone_client_meets_one_thread),
		T(test_slow_requests_hold_up_nobody),
		T(test_no_request_is_lost_among_many_clients),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
