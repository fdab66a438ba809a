/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Two sinks and the switch between them. */
#include "fuse/log.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <syslog.h>
#include <unistd.h>

#ifndef FUSE_USE_VERSION
#define FUSE_USE_VERSION 312
#endif
#include <fuse_log.h>

/*
 * A property of the process, like the descriptors it goes with: set once,
 * before the threads that log.
 */
static bool detached;

void owfs_log_emit(void *ctx, enum owfs_msg_level level, const char *line)
{
	static const int prio[] = {
		[OWFS_MSG_ERROR] = LOG_ERR,
		[OWFS_MSG_WARN] = LOG_WARNING,
		[OWFS_MSG_INFO] = LOG_INFO,
		[OWFS_MSG_DEBUG] = LOG_DEBUG,
	};

	const struct owfs_log *log = ctx;
	const char *about = log->about ? log->about : "";
	const char *colon = log->about ? ": " : "";

	if (__atomic_load_n(&detached, __ATOMIC_ACQUIRE))
		syslog(prio[level], "%s%s%s", about, colon, line);
	else
		fprintf(stderr, "%s: %s%s%s\n", log->prog, about, colon, line);
}

static void fuse_to_syslog(enum fuse_log_level level, const char *fmt,
			   va_list ap) __attribute__((format(printf, 2, 0)));

static void fuse_to_syslog(enum fuse_log_level level, const char *fmt,
			   va_list ap)
{
	vsyslog((int)level, fmt, ap);
}

void owfs_log_detach(const char *ident)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC), i;

	openlog(ident, LOG_PID, LOG_DAEMON);
	__atomic_store_n(&detached, true, __ATOMIC_RELEASE);
	fuse_set_log_func(fuse_to_syslog);
	for (i = 0; fd >= 0 && i < 3; i++)
		dup2(fd, i);
	if (fd > 2)
		close(fd);
}
