/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What holds for every device, whatever stands behind it: requests are checked
 * here once, so that an implementation sees only whole sectors inside the
 * device.
 */
#include "base/err.h"
#include "io/blkdev.h"

#define SECTOR_MIN	512u

/* A place that only bad metadata or a shrunken device can name is -EIO. */
static int check_range(const struct owfs_blkdev *bd, loff_t pos, uint64_t len)
{
	if (pos < 0 || (uint64_t)pos % SECTOR_MIN || len % SECTOR_MIN)
		return -EINVAL;
	if ((uint64_t)pos > bd->size || len > bd->size - (uint64_t)pos)
		return -EIO;
	return 0;
}

int owfs_blkdev_read(struct owfs_blkdev *bd, void *buf, size_t len, loff_t pos)
{
	int ret = check_range(bd, pos, len);

	if (ret || !len)
		return ret;
	return bd->ops->read(bd, buf, len, pos);
}

int owfs_blkdev_writev(struct owfs_blkdev *bd, const struct iovec *iov,
		       int iovcnt, size_t len, loff_t pos)
{
	int ret;

	if (bd->readonly)
		return -EROFS;
	ret = check_range(bd, pos, len);
	if (ret || !len)
		return ret;
	ret = bd->ops->writev(bd, iov, iovcnt, len, pos);
	if (ret)
		__atomic_store_n(&bd->bad_pos, (uint64_t)pos, __ATOMIC_RELAXED);
	return ret;
}

int owfs_blkdev_write(struct owfs_blkdev *bd, const void *buf, size_t len,
		      loff_t pos)
{
	struct iovec iov = { .iov_base = (void *)buf, .iov_len = len };

	return owfs_blkdev_writev(bd, &iov, 1, len, pos);
}

int owfs_blkdev_flush(struct owfs_blkdev *bd)
{
	if (bd->readonly)	/* nothing was written */
		return 0;
	return bd->ops->flush(bd);
}

int owfs_blkdev_discard(struct owfs_blkdev *bd, loff_t pos, uint64_t len)
{
	int ret;

	if (bd->readonly)
		return -EROFS;
	ret = check_range(bd, pos, len);
	if (ret || !len)
		return ret;
	if (!bd->ops->discard)
		return -EOPNOTSUPP;
	return bd->ops->discard(bd, pos, len);
}

void owfs_blkdev_close(struct owfs_blkdev *bd)
{
	if (bd)
		bd->ops->close(bd);
}
