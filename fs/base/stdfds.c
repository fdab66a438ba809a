/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/stdfds.h"

#include <fcntl.h>
#include <unistd.h>

void owfs_stdfds_take(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDONLY);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}
