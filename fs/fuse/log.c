/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Two sinks and the switch between them. */
#include "fuse/log.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#ifndef FUSE_USE_VERSION
#define FUSE_USE_VERSION 312
#endif
#include <fuse_log.h>

/*
 * A property of the process, like the descriptors it goes with: set once,
 * before the threads that log.  NULL: stderr.
 */
static void (*detached)(enum owfs_msg_level level, const char *line);

static void to_syslog(enum owfs_msg_level level, const char *line)
{
	static const int prio[] = {
		[OWFS_MSG_ERROR] = LOG_ERR,
		[OWFS_MSG_WARN] = LOG_WARNING,
		[OWFS_MSG_INFO] = LOG_INFO,
		[OWFS_MSG_DEBUG] = LOG_DEBUG,
	};

	syslog(prio[level], "%s", line);
}

void owfs_log_emit(void *ctx, enum owfs_msg_level level, const char *line)
{
	const struct owfs_log *log = ctx;
	const char *about = log->about ? log->about : "";
	const char *colon = log->about ? ": " : "";
	char whole[PATH_MAX + 600];
	void (*emit)(enum owfs_msg_level, const char *) =
		__atomic_load_n(&detached, __ATOMIC_ACQUIRE);

	if (!emit) {
		fprintf(stderr, "%s: %s%s%s\n", log->prog, about, colon, line);
		return;
	}
	snprintf(whole, sizeof(whole), "%s%s%s", about, colon, line);
	emit(level, whole);
}

static void fuse_said(enum fuse_log_level level, const char *fmt, va_list ap)
	__attribute__((format(printf, 2, 0)));

static void fuse_said(enum fuse_log_level level, const char *fmt, va_list ap)
{
	char line[600];

	vsnprintf(line, sizeof(line), fmt, ap);
	line[strcspn(line, "\n")] = '\0';
	detached(level <= FUSE_LOG_ERR ? OWFS_MSG_ERROR :
		 level == FUSE_LOG_WARNING ? OWFS_MSG_WARN :
		 level == FUSE_LOG_DEBUG ? OWFS_MSG_DEBUG : OWFS_MSG_INFO, line);
}

void owfs_log_hand_over(void (*emit)(enum owfs_msg_level level,
				     const char *line), int null)
{
	int i;

	__atomic_store_n(&detached, emit, __ATOMIC_RELEASE);
	fuse_set_log_func(fuse_said);
	for (i = 0; null >= 0 && i < 3; i++)
		dup2(null, i);
	if (null > 2)
		close(null);
}

void owfs_log_detach(const char *ident)
{
	openlog(ident, LOG_PID, LOG_DAEMON);
	owfs_log_hand_over(to_syslog, open("/dev/null", O_RDWR | O_CLOEXEC));
}
