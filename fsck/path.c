/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Paths, for people: from the inode upwards, along what pass 4 has learned. */
#include <string.h>

#include "fsck.h"

#define MAX_DEPTH	100

/* Put @name before what stands at @at; the new beginning, NULL: no room. */
static char *prepend(char *at, const char *buf, const char *name)
{
	size_t len = strlen(name);

	if ((size_t)(at - buf) < len + 1)
		return NULL;
	at -= len;
	memcpy(at, name, len);
	*--at = '/';
	return at;
}

void path_of(struct check *ck, owfs_ino_t ino, char *buf, size_t size)
{
	char *at = buf + size - 1, *up;
	unsigned int depth;

	*at = '\0';
	for (depth = 0; ino != OWFS_INO_ROOT; depth++) {
		struct ino_rec *rec = inotab_find(&ck->inos, ino);

		if (!rec || !rec->named_in || depth == MAX_DEPTH)
			break;
		up = prepend(at, buf + 1, pass4_name_of(ck, rec).s);
		if (!up)
			break;
		at = up;
		ino = rec->named_in;
	}
	if (ino != OWFS_INO_ROOT)
		*--at = '?';
	else if (!*at)
		*--at = '/';
	memmove(buf, at, strlen(at) + 1);
}
