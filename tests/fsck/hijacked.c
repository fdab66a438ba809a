/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Programs with a hole.  What the environment names in HIJACK (attempt.h) is
 * tried when the device is read for the first time, or written if that comes
 * first, and a line on stderr says how it went.  With HIJACK_FREE the program
 * does not lock itself in before.
 */
#include <stdio.h>
#include <stdlib.h>

#include "attempt.h"
#include "base/sandbox.h"
#include "io/blkdev.h"

int __real_owfs_blkdev_read(struct owfs_blkdev *bd, void *buf, size_t len,
			    loff_t pos);
int __wrap_owfs_blkdev_read(struct owfs_blkdev *bd, void *buf, size_t len,
			    loff_t pos);
int __real_owfs_blkdev_write(struct owfs_blkdev *bd, const void *buf,
			     size_t len, loff_t pos);
int __wrap_owfs_blkdev_write(struct owfs_blkdev *bd, const void *buf,
			     size_t len, loff_t pos);
unsigned int __real_owfs_sandbox_enter(const struct owfs_sandbox *s);
unsigned int __wrap_owfs_sandbox_enter(const struct owfs_sandbox *s);
void __real_owfs_sandbox_program(enum owfs_sandbox_work work);
void __wrap_owfs_sandbox_program(enum owfs_sandbox_work work);

static void hole(void)
{
	const char *what = getenv("HIJACK");

	if (!what)
		return;
	unsetenv("HIJACK");
	fprintf(stderr, "hijacked: %s\n", attempt(what));
}

int __wrap_owfs_blkdev_read(struct owfs_blkdev *bd, void *buf, size_t len,
			    loff_t pos)
{
	hole();
	return __real_owfs_blkdev_read(bd, buf, len, pos);
}

int __wrap_owfs_blkdev_write(struct owfs_blkdev *bd, const void *buf,
			     size_t len, loff_t pos)
{
	hole();
	return __real_owfs_blkdev_write(bd, buf, len, pos);
}

void __wrap_owfs_sandbox_program(enum owfs_sandbox_work work)
{
	if (!getenv("HIJACK_FREE"))
		__real_owfs_sandbox_program(work);
}

unsigned int __wrap_owfs_sandbox_enter(const struct owfs_sandbox *s)
{
	return getenv("HIJACK_FREE") ? 0 : __real_owfs_sandbox_enter(s);
}
