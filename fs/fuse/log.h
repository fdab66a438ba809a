/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where the messages of a server go: to stderr while somebody may be looking
 * at it, to syslog once it is a daemon; what the worker says by way of its
 * parent.
 */
#ifndef OWFS_FUSE_LOG_H
#define OWFS_FUSE_LOG_H

#include "base/msg.h"

struct owfs_log {
	const char *prog;
	const char *about;	/* what all lines are about, or NULL */
};

/* A sink for struct owfs_msg; @ctx is a struct owfs_log. */
void owfs_log_emit(void *ctx, enum owfs_msg_level level, const char *line);

/*
 * From here on this process is a daemon: syslog under @ident, the standard
 * descriptors on /dev/null.  libfuse's own messages follow.
 */
void owfs_log_detach(const char *ident);
/*
 * The same with @emit, which knows where syslog is, and the descriptor @null
 * of /dev/null (-1: the standard descriptors stay).
 */
void owfs_log_hand_over(void (*emit)(enum owfs_msg_level level,
				     const char *line), int null);

#endif
