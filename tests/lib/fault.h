/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory that runs out on demand.  A program that uses this is linked with
 * $(FAULT_LDFLAGS), so that its own and the library's calls of malloc and its
 * kin come through here; those of shared libraries do not.
 *
 * All of it concerns the calling thread alone.
 */
#ifndef OWFS_TESTS_FAULT_H
#define OWFS_TESTS_FAULT_H

#include <stdbool.h>
#include <stdint.h>

/* The @nth allocation from now on (1: the next) and those after it, @count in
   all, fail.  @count 0: none. */
void fault_malloc(uint64_t nth, uint64_t count);
/* Has one failed since? */
bool fault_malloc_hit(void);
/* Allocations in between neither count nor fail; may be nested. */
void fault_malloc_pause(void);
void fault_malloc_resume(void);

#endif
