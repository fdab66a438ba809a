/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See spin.h. */
#include "fuse/spin.h"

#include <poll.h>
#include <sched.h>
#include <time.h>

#include "base/util.h"

#define START_NS	16000u		/* the first while, where waits are short */

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Alone on one processor, looking only keeps the client from asking. */
static int processors(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) ? 2 : CPU_COUNT(&set);
}

void owfs_spin_init(struct owfs_spin *s, unsigned int max_us)
{
	s->max_ns = processors() > 1 ? max_us * 1000u : 0;
	s->now_ns = 0;
}

uint64_t owfs_spin_wait(struct owfs_spin *s, int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	uint32_t span = __atomic_load_n(&s->now_ns, __ATOMIC_RELAXED);
	uint64_t began;

	if (!s->max_ns)
		return 0;
	began = now_ns();
	while (span && !poll(&pfd, 1, 0)) {
		sched_yield();
		if (now_ns() - began >= span)
			break;
	}
	return began;
}

void owfs_spin_done(struct owfs_spin *s, uint64_t began)
{
	if (s->max_ns)
		owfs_spin_learn(s, now_ns() - began);
}

void owfs_spin_learn(struct owfs_spin *s, uint64_t waited)
{
	uint32_t span = __atomic_load_n(&s->now_ns, __ATOMIC_RELAXED);

	if (waited <= span)
		return;
	if (waited > s->max_ns)
		span = 0;
	else
		span = (uint32_t)min_u64(span ? 2ull * span : START_NS,
					 s->max_ns);
	__atomic_store_n(&s->now_ns, span, __ATOMIC_RELAXED);
}
