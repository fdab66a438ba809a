/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the caller of a request may do, where the kernel leaves the question to
 * the server.  A request says a @uid and a @pid; the rest stands in /proc, which
 * costs more than most requests: for questions that come up rarely.
 *
 * Who waits for us is there to be looked up.  Who cannot be seen has no rights.
 */
#ifndef OWFS_FUSE_CALLER_H
#define OWFS_FUSE_CALLER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

/*
 * Root with capability @cap (of <linux/capability.h>)?  Others are never
 * believed to have one: theirs may be of a user namespace of their own.
 */
bool owfs_caller_has(uid_t uid, pid_t pid, unsigned int cap);
/*
 * The administrator of the filesystem: root with capability @cap, or the user
 * that the server runs as?
 */
bool owfs_caller_may(uid_t uid, pid_t pid, unsigned int cap);
/* The user himself: @uid, or where no request names one what /proc says. */
uid_t owfs_caller_uid(uid_t uid, pid_t pid);
/* In group @gid, or root with CAP_FSETID, which is as good? */
bool owfs_caller_in_group(pid_t pid, gid_t gid);

/* What the text of a status file says; seen by tests. */
struct owfs_status {
	uid_t fsuid;
	gid_t fsgid;
	uint64_t effective;	/* capabilities */
	bool in_group;		/* @gid */
};
void owfs_status_parse(struct owfs_status *st, FILE *text, gid_t gid);

/* What /proc says of @pid, and whether it is in @gid; false: nothing. */
bool owfs_caller_look(struct owfs_status *st, pid_t pid, gid_t gid);
/* From now on ask @look, which sees more of /proc than this process. */
void owfs_caller_ask(bool (*look)(struct owfs_status *st, pid_t pid,
				  gid_t gid));

#endif
