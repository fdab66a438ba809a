/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An allocator that refuses on demand; see fault_space.h. */
#include <errno.h>

#include "fault_space.h"

#include "space/alloc.h"

int __real_owfs_alloc_reserve(struct owfs_alloc *al, uint64_t n,
			      enum owfs_resv_class class);
int __wrap_owfs_alloc_reserve(struct owfs_alloc *al, uint64_t n,
			      enum owfs_resv_class class);

static _Thread_local struct {
	uint64_t skip, count;
	bool hit;
} fault;

void fault_space(uint64_t nth, uint64_t count)
{
	fault.skip = nth ? nth - 1 : 0;
	fault.count = count;
	fault.hit = false;
}

bool fault_space_hit(void)
{
	return fault.hit;
}

int __wrap_owfs_alloc_reserve(struct owfs_alloc *al, uint64_t n,
			      enum owfs_resv_class class)
{
	if (!fault.count)
		return __real_owfs_alloc_reserve(al, n, class);
	if (fault.skip) {
		fault.skip--;
		return __real_owfs_alloc_reserve(al, n, class);
	}
	if (fault.count != UINT64_MAX)
		fault.count--;
	fault.hit = true;
	return -ENOSPC;
}
