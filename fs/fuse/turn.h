/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whose turn it is to read the next request.
 *
 * If all threads wait in read(2), the kernel wakes them in a circle, and a
 * single client finds a cold thread on another processor for each of its
 * requests: that costs more than most requests themselves.  So one thread has
 * the turn.  It reads a request and executes it, still having the turn, and
 * only passes it on when that is worth waking somebody for: more requests are
 * waiting, or its own is going to take long, or has taken long already, which
 * a watching thread notices.  The others are parked, the last to park is the
 * first to be called.
 *
 * The worst that a race can do is to let two threads read at once, or to let
 * a request wait until the watch looks again; never is one lost.
 */
#ifndef OWFS_FUSE_TURN_H
#define OWFS_FUSE_TURN_H

#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>

/* One for each thread.  It belongs to the turn and may outlive its thread. */
struct owfs_seat {
	sem_t called;
	struct owfs_seat *next;		/* of the parked, under lock */
	struct owfs_seat *all;		/* of all seats, under lock */
};

struct owfs_turn {
	uint64_t number;		/* no two turns of a process have the same */
	pthread_mutex_t lock;
	struct owfs_seat *parked;	/* lock */
	struct owfs_seat *all;		/* lock */
	bool ended;			/* lock; nobody is parked any more */
	struct owfs_seat *holder;	/* changed under lock; read atomically */
	uint64_t begun, done;		/* atomic; requests of whoever has the turn */
	sem_t activity;			/* wakes the watch */
	bool watch_sleeps;		/* atomic */
	bool closing;			/* atomic */
	pthread_t watch;
};

int owfs_turn_open(struct owfs_turn *t);
/* All threads have ended. */
void owfs_turn_close(struct owfs_turn *t);
/* A seat for the calling thread; NULL without memory. */
struct owfs_seat *owfs_turn_seat(struct owfs_turn *t);

/* Return when @seat has the turn, or after owfs_turn_end(). */
void owfs_turn_take(struct owfs_turn *t, struct owfs_seat *seat);
/* A request was read; @fd (-1: do not ask) tells whether more are there. */
void owfs_turn_begin(struct owfs_turn *t, struct owfs_seat *seat, int fd);
/* There is nothing more to read: let everybody find that out. */
void owfs_turn_end(struct owfs_turn *t);
/* What follows may take long: let somebody else read. */
void owfs_turn_pass(struct owfs_turn *t, struct owfs_seat *seat);

#endif
