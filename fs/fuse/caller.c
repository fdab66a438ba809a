/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A request brings a user number and a process number.  Root in a container
 * has the number 0 too, but few capabilities; and for mounts that map users the
 * kernel sends no number at all.  /proc says both, to everybody, as they are
 * outside of the container.
 */
#include "fuse/caller.h"

#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

struct status {
	unsigned int fsuid;
	unsigned long long effective;	/* capabilities */
};

static bool read_status(pid_t pid, struct status *st)
{
	unsigned int found = 0;
	char line[256];
	FILE *f;

	snprintf(line, sizeof(line), "/proc/%d/status", (int)pid);
	f = fopen(line, "re");
	if (!f)
		return false;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "Uid: %*u %*u %*u %u", &st->fsuid) == 1)
			found |= 1;
		if (sscanf(line, "CapEff: %llx", &st->effective) == 1)
			found |= 2;
	}
	fclose(f);
	return found == 3;
}

bool owfs_caller_may(uid_t uid, pid_t pid, unsigned int cap)
{
	const uid_t me = geteuid();
	struct status st;

	if (me && uid == me)
		return true;
	/* 0: a process that cannot be seen from here */
	if ((uid && uid != (uid_t)-1) || pid <= 0 || !read_status(pid, &st))
		return false;
	if (me && st.fsuid == me)
		return true;
	return st.fsuid == 0 && (st.effective >> cap & 1);
}
