/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sizes as people write them: powers of 1024, one letter, "iB" or "B" allowed. */
#include "base/size.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char units[] = "KMGTPE";

/* How far to shift for the suffix @s; -1 if it is none. */
static int suffix_shift(const char *s)
{
	const char *unit;

	if (!*s || !strcasecmp(s, "b"))
		return 0;
	unit = strchr(units, toupper((unsigned char)*s));
	if (!unit)
		return -1;
	s++;
	if (*s && strcasecmp(s, "b") && strcasecmp(s, "ib"))
		return -1;
	return 10 * (int)(unit - units + 1);
}

int owfs_size_parse(const char *s, uint64_t *bytes)
{
	unsigned long long n;
	char *end;
	int shift;

	if (!isdigit((unsigned char)*s))
		return -EINVAL;
	errno = 0;
	n = strtoull(s, &end, 10);
	shift = suffix_shift(end);
	if (shift < 0)
		return -EINVAL;
	if (errno || n > (uint64_t)INT64_MAX >> shift)
		return -ERANGE;
	*bytes = (uint64_t)n << shift;
	return 0;
}

struct owfs_size_text owfs_size_text(uint64_t bytes)
{
	struct owfs_size_text t;
	int unit = -1;
	uint64_t whole = bytes, rest = 0;

	while (whole >= 1024 && units[unit + 1]) {
		rest = whole % 1024;
		whole /= 1024;
		unit++;
	}
	if (unit < 0)
		snprintf(t.s, sizeof(t.s), "%llu bytes",
			 (unsigned long long)whole);
	else if (rest * 10 / 1024)
		snprintf(t.s, sizeof(t.s), "%llu.%llu %ciB",
			 (unsigned long long)whole,
			 (unsigned long long)(rest * 10 / 1024), units[unit]);
	else
		snprintf(t.s, sizeof(t.s), "%llu %ciB",
			 (unsigned long long)whole, units[unit]);
	return t;
}
