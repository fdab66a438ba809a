/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Messages.  Whoever opens a filesystem brings a sink; the library only ever
 * speaks through it.  A message is one line without a full stop, object
 * first: "inode 257: extent past end of device: fsblock=90112 blocks=65536".
 */
#ifndef OWFS_BASE_MSG_H
#define OWFS_BASE_MSG_H

#include <stdarg.h>

enum owfs_msg_level {
	OWFS_MSG_ERROR,		/* something is wrong with the filesystem or device */
	OWFS_MSG_WARN,		/* worth knowing, nothing lost */
	OWFS_MSG_INFO,
	OWFS_MSG_DEBUG,
};

struct owfs_msg {
	/* @line has no newline, nor other control characters; may be called from any thread */
	void (*emit)(void *ctx, enum owfs_msg_level level, const char *line);
	void *ctx;
	enum owfs_msg_level max_level;	/* more talkative levels are dropped */
};

/* NULL @msg is silence. */
void owfs_msg(const struct owfs_msg *msg, enum owfs_msg_level level,
	      const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* A sink for programs: "NAME: line" on stderr; @ctx is the name. */
void owfs_msg_stderr(void *ctx, enum owfs_msg_level level, const char *line);

#endif
