/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A device whose own memory does not run out (fault.h) and is not counted: the
 * emulated one takes some for each block that is written.
 */
#ifndef OWFS_TESTS_QUIETDEV_H
#define OWFS_TESTS_QUIETDEV_H

#include "emubd.h"

struct quietdev {
	struct owfs_blkdev bd;
	struct owfs_blkdev *below;
};

/* @q->bd is the same device as @e; closing it leaves @e alone. */
void quietdev_init(struct quietdev *q, struct emubd *e);

#endif
