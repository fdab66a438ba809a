/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads /proc/self/mountinfo; see proc(5) for its format. */
#include "io/mounts.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

/* Undo \040 and the like, in place. */
static void unescape(char *s)
{
	char *to = s;

	for (; *s; s++, to++) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' &&
		    s[2] >= '0' && s[2] <= '7' && s[3] >= '0' && s[3] <= '7') {
			*to = (s[1] - '0') << 6 | (s[2] - '0') << 3 |
			      (s[3] - '0');
			s += 3;
		} else {
			*to = *s;
		}
	}
	*to = '\0';
}

/* "36 35 98:0 /root /point opts [tags] - type source superopts" */
static int parse(char *line, struct owfs_mount_entry *me)
{
	unsigned int maj, min;
	char *rest = strstr(line, " - "), *save, *field;
	int i;

	if (!rest || sscanf(line, "%*u %*u %u:%u", &maj, &min) != 2)
		return -EINVAL;
	*rest = '\0';
	rest += 3;
	me->dev = makedev(maj, min);
	field = strtok_r(line, " ", &save);
	for (i = 0; field && i < 4; i++)
		field = strtok_r(NULL, " ", &save);
	me->point = field;
	me->type = strtok_r(rest, " \n", &save);
	me->source = strtok_r(NULL, " \n", &save);
	if (!me->point || !me->type || !me->source)
		return -EINVAL;
	unescape(me->point);
	unescape(me->source);
	return 0;
}

int owfs_mounts_walk(int (*fn)(void *ctx, const struct owfs_mount_entry *me),
		     void *ctx)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	struct owfs_mount_entry me;
	char *line = NULL;
	size_t size = 0;
	int ret = 0;

	if (!f)
		return -errno;
	while (!ret && getline(&line, &size, f) > 0)
		if (!parse(line, &me))
			ret = fn(ctx, &me);
	free(line);
	fclose(f);
	return ret;
}

struct search {
	dev_t dev;
	char *point;
	bool found;
};

static int match_dev(void *ctx, const struct owfs_mount_entry *me)
{
	struct search *s = ctx;

	if (me->dev == s->dev && strlen(me->point) < PATH_MAX) {
		strcpy(s->point, me->point);
		s->found = true;
	}
	return 0;
}

int owfs_mounts_of_dev(dev_t dev, char point[PATH_MAX])
{
	struct search s = { .dev = dev, .point = point };
	int ret = owfs_mounts_walk(match_dev, &s);

	if (ret)
		return ret;
	return s.found ? 0 : -ENOENT;
}

static int match_point(void *ctx, const struct owfs_mount_entry *me)
{
	struct search *s = ctx;

	if (!strcmp(me->point, s->point)) {
		s->dev = me->dev;
		s->found = true;
	}
	return 0;
}

int owfs_mounts_on(const char *point, dev_t *dev)
{
	struct search s = { .point = (char *)(uintptr_t)point };
	int ret = owfs_mounts_walk(match_point, &s);

	if (ret)
		return ret;
	if (!s.found)
		return -ENOENT;
	*dev = s.dev;
	return 0;
}
