/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Results are 0 (or a count) or a negative errno; pointers carry theirs as
 * ERR_PTR.  Two numbers are owfs's verdicts on bytes it read:
 * -EFSCORRUPTED, the structure is wrong; -EFSBADCRC, the checksum is.
 */
#ifndef OWFS_BASE_ERR_H
#define OWFS_BASE_ERR_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#define EFSCORRUPTED	EUCLEAN
#define EFSBADCRC	EBADMSG

#define OWFS_MAX_ERRNO	4095

static inline void *ERR_PTR(long err)
{
	return (void *)(intptr_t)err;
}

static inline long PTR_ERR(const void *ptr)
{
	return (long)(intptr_t)ptr;
}

static inline bool IS_ERR(const void *ptr)
{
	return (uintptr_t)ptr >= (uintptr_t)-OWFS_MAX_ERRNO;
}

#endif
