/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the caller of a request may do, where the kernel leaves the question to
 * the server.
 */
#ifndef OWFS_FUSE_CALLER_H
#define OWFS_FUSE_CALLER_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Is the caller, of whom a request says @uid and @pid, the administrator of
 * the filesystem: root with capability @cap (of <linux/capability.h>), or the
 * user that the server runs as?  He is waiting for us, so @pid is his.
 */
bool owfs_caller_may(uid_t uid, pid_t pid, unsigned int cap);

#endif
