/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An allocator that refuses on demand.  A program that uses this is linked with
 * -Wl,--wrap=owfs_alloc_reserve.  It concerns the calling thread alone.
 */
#ifndef OWFS_TESTS_FAULT_SPACE_H
#define OWFS_TESTS_FAULT_SPACE_H

#include <stdbool.h>
#include <stdint.h>

/* The @nth reservation from now on (1: the next) and those after it, @count in
   all, are told that there is no room.  @count 0: none. */
void fault_space(uint64_t nth, uint64_t count);
/* Has one been since? */
bool fault_space_hit(void);

#endif
