/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sizes as people write them, read and written. */
#ifndef OWFS_BASE_SIZE_H
#define OWFS_BASE_SIZE_H

#include <stdint.h>

/* "16M", "1g", "64TiB", "65536"; 0, -EINVAL (no number) or -ERANGE (too much). */
int owfs_size_parse(const char *s, uint64_t *bytes);

struct owfs_size_text { char s[32]; };
/* "64 TiB", "1.5 GiB". */
struct owfs_size_text owfs_size_text(uint64_t bytes);

#endif
