/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "said.h"

#include <stdio.h>
#include <string.h>

char said[8192];

static void remember(void *ctx, enum owfs_msg_level level, const char *line)
{
	size_t len = strlen(said);

	(void)ctx;
	(void)level;
	if (len + strlen(line) + 3 < sizeof(said))
		snprintf(said + len, sizeof(said) - len, "  %s\n", line);
}

const struct owfs_msg said_msg = { remember, NULL, OWFS_MSG_WARN };
