/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Memory that runs out on demand; see fault.h. */
#include <errno.h>
#include <stdlib.h>

#include "fault.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_aligned_alloc(size_t align, size_t size);
int __real_posix_memalign(void **p, size_t align, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_aligned_alloc(size_t align, size_t size);
int __wrap_posix_memalign(void **p, size_t align, size_t size);

static _Thread_local struct {
	uint64_t skip, count;
	unsigned int paused;
	bool hit;
} fault;

void fault_malloc(uint64_t nth, uint64_t count)
{
	fault.skip = nth ? nth - 1 : 0;
	fault.count = count;
	fault.hit = false;
}

bool fault_malloc_hit(void)
{
	return fault.hit;
}

void fault_malloc_pause(void)
{
	fault.paused++;
}

void fault_malloc_resume(void)
{
	fault.paused--;
}

static bool fails(void)
{
	if (!fault.count || fault.paused)
		return false;
	if (fault.skip) {
		fault.skip--;
		return false;
	}
	if (fault.count != UINT64_MAX)
		fault.count--;
	fault.hit = true;
	errno = ENOMEM;
	return true;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return fails() ? NULL : __real_realloc(old, size);
}

void *__wrap_aligned_alloc(size_t align, size_t size)
{
	return fails() ? NULL : __real_aligned_alloc(align, size);
}

int __wrap_posix_memalign(void **p, size_t align, size_t size)
{
	return fails() ? ENOMEM : __real_posix_memalign(p, align, size);
}
