/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See yield.h.  The wrapped calls are those of everything that is linked in. */
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "emubd_image.h"
#include "yield.h"

#define SLEEP_NS	30000	/* and what the kernel adds */

static struct {
	uint64_t seed;
	uint64_t one_in;	/* calls; 0: never */
	const void *place;	/* a lock that matters, or NULL */
	uint64_t threads;	/* atomic */
	uint64_t count;		/* atomic */
} self;

static __thread uint64_t chance;

void yield_begin(uint64_t seed)
{
	static const unsigned int rates[] = { 256, 1024, 4096, 16384 };

	self.seed = emubd_mix(seed);
	self.one_in = rates[self.seed % 4];
}

void yield_more(unsigned int times)
{
	self.one_in = (self.one_in + times - 1) / times;
}

void yield_at(const void *lock)
{
	self.place = lock;
}

uint64_t yield_count(void)
{
	return __atomic_load_n(&self.count, __ATOMIC_RELAXED);
}

static void give_way(const void *lock)
{
	const struct timespec moment = { .tv_nsec = SLEEP_NS };
	const bool here = lock && lock == self.place;

	if (!self.one_in)
		return;
	if (!chance)
		chance = self.seed + __atomic_add_fetch(&self.threads, 1,
							__ATOMIC_RELAXED);
	chance = emubd_mix(chance);
	if (here ? chance % 2 : chance % self.one_in)
		return;
	__atomic_fetch_add(&self.count, 1, __ATOMIC_RELAXED);
	if (!here && chance >> 32 & 7)
		sched_yield();
	else
		nanosleep(&moment, NULL);
}

/* Before and after a call that may wait. */
#define AROUND(type, name)						\
	int __real_##name(type *lock);					\
	int __wrap_##name(type *lock);					\
	int __wrap_##name(type *lock)					\
	{								\
		int ret;						\
									\
		give_way(lock);						\
		ret = __real_##name(lock);				\
		give_way(lock);						\
		return ret;						\
	}

AROUND(pthread_mutex_t, pthread_mutex_lock)
AROUND(pthread_mutex_t, pthread_mutex_unlock)
AROUND(pthread_rwlock_t, pthread_rwlock_rdlock)
AROUND(pthread_rwlock_t, pthread_rwlock_wrlock)
AROUND(pthread_rwlock_t, pthread_rwlock_unlock)

int __real_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock);
int __wrap_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock);

int __wrap_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock)
{
	int ret;

	give_way(lock);
	ret = __real_pthread_cond_wait(cond, lock);
	give_way(lock);
	return ret;
}

#define INSIDE(name, before, after)					\
	void __real_##name(void);					\
	void __wrap_##name(void);					\
	void __wrap_##name(void)					\
	{								\
		before;							\
		__real_##name();					\
		after;							\
	}

INSIDE(urcu_bp_read_lock, (void)0, give_way(NULL))
INSIDE(urcu_bp_read_unlock, give_way(NULL), (void)0)
