/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Formats a message into one line and hands it to the sink. */
#include <stdio.h>
#include <string.h>

#include "base/msg.h"
#include "base/text.h"

#define LINE_BYTES	512	/* longer lines are cut */

void owfs_msg(const struct owfs_msg *msg, enum owfs_msg_level level,
	      const char *fmt, ...)
{
	char line[LINE_BYTES];
	va_list ap;

	if (!msg || !msg->emit || level > msg->max_level)
		return;
	va_start(ap, fmt);
	if (vsnprintf(line, sizeof(line), fmt, ap) < 0)
		line[0] = '\0';
	va_end(ap);
	/* names, and what cannot be read, come from a device */
	owfs_text_plain(line, strlen(line));
	msg->emit(msg->ctx, level, line);
}

void owfs_msg_stderr(void *ctx, enum owfs_msg_level level, const char *line)
{
	const char *name = ctx;

	(void)level;
	if (name)
		fprintf(stderr, "%s: %s\n", name, line);
	else
		fprintf(stderr, "%s\n", line);
}
