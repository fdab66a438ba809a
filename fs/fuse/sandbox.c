/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The worker parses what a device and what every user of the mount hands it.
 * Should one of them find a hole, it leads to less: no rights of root but two,
 * and no new ones by running something.
 *
 * Kept are CAP_SYS_ADMIN, because a worker without a parent unmounts itself,
 * and CAP_SYS_RESOURCE, because an image that grows may need the last blocks
 * of the filesystem that holds it.  A user's worker has no rights to give up,
 * and must be able to run fusermount3, which is set-uid.
 */
#include "fuse/sandbox.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static int keep_capabilities(unsigned int keep)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2];
	unsigned int i;

	if (syscall(SYS_capget, &head, data))
		return -errno;
	for (i = 0; prctl(PR_CAPBSET_READ, i, 0, 0, 0) >= 0; i++)
		if (i >= 32 || !(keep & 1u << i))
			prctl(PR_CAPBSET_DROP, i, 0, 0, 0);
	data[0].effective = data[0].permitted &= keep;
	data[1].effective = data[1].permitted = 0;
	data[0].inheritable = data[1].inheritable = 0;
	return syscall(SYS_capset, &head, data) ? -errno : 0;
}

int owfs_sandbox_enter(void)
{
	if (geteuid())
		return 0;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -errno;
	return keep_capabilities(1u << CAP_SYS_ADMIN | 1u << CAP_SYS_RESOURCE);
}
