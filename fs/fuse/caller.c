/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A request brings a user number and a process number.  Root in a container
 * has the number 0 too, but few capabilities; and for mounts that map users the
 * kernel sends no number at all.  /proc says both, to everybody, as they are
 * outside of the container.
 */
#include "fuse/caller.h"

#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NOBODY	((uid_t)-1)

/* The fourth number, of real, effective, saved and for files. */
static uint32_t fourth(const char *text)
{
	unsigned long n = NOBODY;
	char *end;
	int i;

	for (i = 0; i < 4; i++, text = end) {
		n = strtoul(text, &end, 10);
		if (end == text)
			return NOBODY;
	}
	return (uint32_t)n;
}

static bool has_number(const char *text, gid_t gid)
{
	unsigned long n;
	char *end;

	for (;; text = end) {
		n = strtoul(text, &end, 10);
		if (end == text)
			return false;
		if (n == gid)
			return true;
	}
}

void owfs_status_parse(struct owfs_status *st, FILE *text, gid_t gid)
{
	char *line = NULL;
	size_t size = 0;

	*st = (struct owfs_status){ .fsuid = NOBODY, .fsgid = NOBODY };
	/* of no length that could be known: a process may have 65536 groups */
	while (getline(&line, &size, text) > 0) {
		if (!strncmp(line, "Uid:", 4))
			st->fsuid = fourth(line + 4);
		else if (!strncmp(line, "Gid:", 4))
			st->fsgid = fourth(line + 4);
		else if (!strncmp(line, "Groups:", 7))
			st->in_group = has_number(line + 7, gid);
		else if (!strncmp(line, "CapEff:", 7))
			st->effective = strtoull(line + 7, NULL, 16);
	}
	free(line);
	st->in_group |= st->fsgid == gid && gid != NOBODY;
}

bool owfs_caller_look(struct owfs_status *st, pid_t pid, gid_t gid)
{
	char path[40];
	FILE *f;

	/* 0: a process that cannot be seen from here */
	if (pid <= 0)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	owfs_status_parse(st, f, gid);
	fclose(f);
	return true;
}

/* Set before there are threads. */
static bool (*look)(struct owfs_status *st, pid_t pid, gid_t gid) =
	owfs_caller_look;

void owfs_caller_ask(bool (*other)(struct owfs_status *st, pid_t pid,
				   gid_t gid))
{
	look = other;
}

static bool is_root_with(const struct owfs_status *st, unsigned int cap)
{
	return st->fsuid == 0 && (st->effective >> cap & 1);
}

bool owfs_caller_has(uid_t uid, pid_t pid, unsigned int cap)
{
	struct owfs_status st;

	return (uid == 0 || uid == NOBODY) && look(&st, pid, NOBODY) &&
	       is_root_with(&st, cap);
}

bool owfs_caller_may(uid_t uid, pid_t pid, unsigned int cap)
{
	const uid_t me = geteuid();
	struct owfs_status st;

	if (me && uid == me)
		return true;
	if ((uid && uid != NOBODY) || !look(&st, pid, NOBODY))
		return false;
	return (me && st.fsuid == me) || is_root_with(&st, cap);
}

uid_t owfs_caller_uid(uid_t uid, pid_t pid)
{
	struct owfs_status st;

	return uid == NOBODY && look(&st, pid, NOBODY) ? st.fsuid : uid;
}

bool owfs_caller_in_group(pid_t pid, gid_t gid)
{
	struct owfs_status st;

	return look(&st, pid, gid) &&
	       (st.in_group || is_root_with(&st, CAP_FSETID));
}
