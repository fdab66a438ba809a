/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Processor time by a timer, memory by the hooks of the sanitizers. */
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "fuzz.h"

/*
 * An image of 16 MiB takes some 50 ms in an instrumented build, and holds little
 * more than itself: it is in memory, and so is what is written to it.  Who walks
 * through it (rig_digest) reads up to 64 MiB of a file at once.
 */
#define SECONDS_PER_MIB		1
#define MEMORY_TIMES		4
#define WALKER_BYTES		(64u << 20)

int __sanitizer_install_malloc_and_free_hooks(
	void (*malloc_hook)(const volatile void *, size_t),
	void (*free_hook)(const volatile void *)) __attribute__((weak));
size_t __sanitizer_get_allocated_size(const volatile void *)
	__attribute__((weak));

static int64_t held, limit = INT64_MAX;
static int64_t most;

static void complain(const char *what)
{
	if (write(2, what, strlen(what)) < 0)
		_exit(1);
	abort();
}

static void on_malloc(const volatile void *p, size_t size)
{
	int64_t now;

	(void)p;
	now = __atomic_add_fetch(&held, (int64_t)size, __ATOMIC_RELAXED);
	if (now > most)
		most = now;
	if (now > limit) {
		limit = INT64_MAX;
		complain("more memory is held than an image of this size is worth\n");
	}
}

static void on_free(const volatile void *p)
{
	if (p)
		__atomic_sub_fetch(&held,
				   (int64_t)__sanitizer_get_allocated_size(p),
				   __ATOMIC_RELAXED);
}

static void on_time(int sig)
{
	(void)sig;
	complain("more time is spent than an image of this size is worth\n");
}

static void set_timer(time_t seconds)
{
	const struct itimerval t = { .it_value = { .tv_sec = seconds } };

	setitimer(ITIMER_PROF, &t, NULL);
}

void fuzz_limits(uint64_t bytes)
{
	static bool installed;

	if (!installed) {
		installed = true;
		signal(SIGPROF, on_time);
		if (__sanitizer_install_malloc_and_free_hooks &&
		    __sanitizer_get_allocated_size)
			__sanitizer_install_malloc_and_free_hooks(on_malloc,
								  on_free);
	}
	limit = __atomic_load_n(&held, __ATOMIC_RELAXED) +
		(int64_t)(bytes * MEMORY_TIMES + WALKER_BYTES);
	set_timer((time_t)(1 + (bytes >> 20) * SECONDS_PER_MIB));
}

void fuzz_limits_end(void)
{
	set_timer(0);
	limit = INT64_MAX;
	if (getenv("FUZZ_SHOW_MEMORY"))
		fprintf(stderr, "most memory held: %lld\n", (long long)most);
}
