/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "quietdev.h"

#include "base/util.h"
#include "fault.h"

static struct owfs_blkdev *enter(struct owfs_blkdev *bd)
{
	fault_malloc_pause();
	return container_of(bd, struct quietdev, bd)->below;
}

static int leave(int ret)
{
	fault_malloc_resume();
	return ret;
}

static int quiet_read(struct owfs_blkdev *bd, void *buf, size_t len, loff_t pos)
{
	return leave(owfs_blkdev_read(enter(bd), buf, len, pos));
}

static int quiet_writev(struct owfs_blkdev *bd, const struct iovec *iov,
			int iovcnt, size_t len, loff_t pos)
{
	return leave(owfs_blkdev_writev(enter(bd), iov, iovcnt, len, pos));
}

static int quiet_flush(struct owfs_blkdev *bd)
{
	return leave(owfs_blkdev_flush(enter(bd)));
}

static int quiet_discard(struct owfs_blkdev *bd, loff_t pos, uint64_t len)
{
	return leave(owfs_blkdev_discard(enter(bd), pos, len));
}

static void quiet_close(struct owfs_blkdev *bd)
{
	(void)bd;
}

static const struct owfs_blkdev_ops quiet_ops = {
	.read = quiet_read,
	.writev = quiet_writev,
	.flush = quiet_flush,
	.discard = quiet_discard,
	.close = quiet_close,
};

void quietdev_init(struct quietdev *q, struct emubd *e)
{
	q->below = emubd_blkdev(e);
	q->bd = *q->below;
	q->bd.ops = &quiet_ops;
}
