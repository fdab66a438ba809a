/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See turn.h. */
#include "fuse/turn.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <time.h>

/* How long a request may keep the turn, and how long the watch stays awake. */
#define WATCH_NSEC	1000000		/* 1 ms */
#define WATCH_ROUNDS	100		/* without any request: sleep */

static struct owfs_seat *holder(const struct owfs_turn *t)
{
	return __atomic_load_n(&t->holder, __ATOMIC_ACQUIRE);
}

/* Caller holds the lock. */
static void set_holder(struct owfs_turn *t, struct owfs_seat *seat)
{
	__atomic_store_n(&t->holder, seat, __ATOMIC_RELEASE);
}

struct owfs_seat *owfs_turn_seat(struct owfs_turn *t)
{
	struct owfs_seat *seat = calloc(1, sizeof(*seat));

	if (!seat)
		return NULL;
	sem_init(&seat->called, 0, 0);
	pthread_mutex_lock(&t->lock);
	seat->all = t->all;
	t->all = seat;
	pthread_mutex_unlock(&t->lock);
	return seat;
}

/* No request is under way now. */
static void nothing_begun(struct owfs_turn *t)
{
	__atomic_store_n(&t->done, __atomic_load_n(&t->begun, __ATOMIC_RELAXED),
			 __ATOMIC_RELAXED);
}

void owfs_turn_take(struct owfs_turn *t, struct owfs_seat *seat)
{
	bool mine;

	if (holder(t) == seat) {
		nothing_begun(t);
		return;
	}
	pthread_mutex_lock(&t->lock);
	mine = t->ended || !t->holder || t->holder == seat;
	if (mine) {
		set_holder(t, seat);
	} else {
		seat->next = t->parked;
		t->parked = seat;
	}
	pthread_mutex_unlock(&t->lock);
	while (!mine && sem_wait(&seat->called) && errno == EINTR)
		;
	nothing_begun(t);
}

void owfs_turn_pass(struct owfs_turn *t, struct owfs_seat *seat)
{
	struct owfs_seat *next;

	if (holder(t) != seat)
		return;
	pthread_mutex_lock(&t->lock);
	if (t->holder == seat) {
		next = t->parked;
		/* none parked: the first to come back takes it */
		set_holder(t, next);
		if (next) {
			t->parked = next->next;
			sem_post(&next->called);
		}
	}
	pthread_mutex_unlock(&t->lock);
}

void owfs_turn_end(struct owfs_turn *t)
{
	pthread_mutex_lock(&t->lock);
	t->ended = true;
	for (; t->parked; t->parked = t->parked->next)
		sem_post(&t->parked->called);
	pthread_mutex_unlock(&t->lock);
}

void owfs_turn_begin(struct owfs_turn *t, struct owfs_seat *seat, int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	if (holder(t) != seat)
		return;
	__atomic_fetch_add(&t->begun, 1, __ATOMIC_SEQ_CST);
	if (fd >= 0 && poll(&pfd, 1, 0) == 1)
		owfs_turn_pass(t, seat);
	else if (__atomic_load_n(&t->watch_sleeps, __ATOMIC_SEQ_CST) &&
		 __atomic_exchange_n(&t->watch_sleeps, false, __ATOMIC_ACQ_REL))
		sem_post(&t->activity);
}

/* ---------------------------------------------------------------- the watch */

static bool closing(const struct owfs_turn *t)
{
	return __atomic_load_n(&t->closing, __ATOMIC_ACQUIRE);
}

/* A request that was under way at the last look and still is. */
static bool is_stuck(const struct owfs_turn *t, uint64_t last)
{
	return __atomic_load_n(&t->begun, __ATOMIC_RELAXED) == last &&
	       __atomic_load_n(&t->done, __ATOMIC_RELAXED) != last;
}

/*
 * Sleep until a request begins after number @last.  Whoever begins one counts
 * it first and looks for a sleeper then; here it is the other way round, so
 * that one of the two sees the other.
 */
static void watch_sleep(struct owfs_turn *t, uint64_t last)
{
	__atomic_store_n(&t->watch_sleeps, true, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&t->begun, __ATOMIC_SEQ_CST) != last &&
	    __atomic_exchange_n(&t->watch_sleeps, false, __ATOMIC_ACQ_REL))
		return;
	while (sem_wait(&t->activity) && errno == EINTR)
		;
}

static void *watch(void *arg)
{
	const struct timespec tick = { .tv_nsec = WATCH_NSEC };
	struct owfs_turn *t = arg;
	uint64_t last = 0, now;
	int quiet = 0;

	while (!closing(t)) {
		nanosleep(&tick, NULL);
		now = __atomic_load_n(&t->begun, __ATOMIC_RELAXED);
		if (now != last) {
			last = now;
			quiet = 0;
		} else if (is_stuck(t, last)) {
			owfs_turn_pass(t, holder(t));
		} else if (++quiet >= WATCH_ROUNDS) {
			quiet = 0;
			watch_sleep(t, last);
		}
	}
	return NULL;
}

int owfs_turn_open(struct owfs_turn *t)
{
	static uint64_t turns;

	*t = (struct owfs_turn){
		.number = __atomic_add_fetch(&turns, 1, __ATOMIC_RELAXED),
	};
	pthread_mutex_init(&t->lock, NULL);
	sem_init(&t->activity, 0, 0);
	return -pthread_create(&t->watch, NULL, watch, t);
}

void owfs_turn_close(struct owfs_turn *t)
{
	struct owfs_seat *seat;

	__atomic_store_n(&t->closing, true, __ATOMIC_RELEASE);
	sem_post(&t->activity);
	pthread_join(t->watch, NULL);
	sem_destroy(&t->activity);
	while ((seat = t->all)) {
		t->all = seat->all;
		sem_destroy(&seat->called);
		free(seat);
	}
	pthread_mutex_destroy(&t->lock);
}
