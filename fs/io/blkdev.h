/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The device, as everything above sees it: a table of operations.  Tests slip
 * theirs in underneath (RAM, recorder, faults); programs open a file or a
 * block device.  Positions and lengths are bytes, multiples of 512; buffers
 * handed to a device opened with direct I/O are aligned to OWFS_IO_ALIGN.
 *
 * All operations may be called by any thread at once and return 0 or -errno.
 * A read or write moves all of @len or fails.  Nothing written is durable
 * before a later flush has returned 0.
 */
#ifndef OWFS_IO_BLKDEV_H
#define OWFS_IO_BLKDEV_H

#include <sys/uio.h>

#include "base/types.h"

#define OWFS_IO_ALIGN	4096

struct owfs_blkdev;

struct owfs_blkdev_ops {
	int (*read)(struct owfs_blkdev *bd, void *buf, size_t len, loff_t pos);
	/* gather write of one run of the device; @len is the sum of @iov */
	int (*writev)(struct owfs_blkdev *bd, const struct iovec *iov,
		      int iovcnt, size_t len, loff_t pos);
	int (*flush)(struct owfs_blkdev *bd);
	/* a hint: -EOPNOTSUPP is no failure; contents afterwards are undefined */
	int (*discard)(struct owfs_blkdev *bd, loff_t pos, uint64_t len);
	void (*close)(struct owfs_blkdev *bd);
};

/* Embedded in the implementation's own struct. */
struct owfs_blkdev {
	const struct owfs_blkdev_ops *ops;
	uint64_t size;		/* bytes, fixed while open */
	unsigned int sector;	/* logical block size; direct I/O unit */
	bool readonly;		/* writes fail with -EROFS */
	uint64_t bad_pos;	/* atomic: where the last write failed, for messages */
};

int owfs_blkdev_read(struct owfs_blkdev *bd, void *buf, size_t len, loff_t pos);
int owfs_blkdev_write(struct owfs_blkdev *bd, const void *buf, size_t len,
		      loff_t pos);
int owfs_blkdev_writev(struct owfs_blkdev *bd, const struct iovec *iov,
		       int iovcnt, size_t len, loff_t pos);
int owfs_blkdev_flush(struct owfs_blkdev *bd);
int owfs_blkdev_discard(struct owfs_blkdev *bd, loff_t pos, uint64_t len);
void owfs_blkdev_close(struct owfs_blkdev *bd);	/* NULL is fine */

/* ------------------------------------------------- files and block devices */

#define OWFS_BLKDEV_RDONLY	0x1u	/* open for reading only */
#define OWFS_BLKDEV_DIRECT	0x2u	/* O_DIRECT where the file allows it, else not */
#define OWFS_BLKDEV_EXCL	0x4u	/* O_EXCL: fail with -EBUSY if mounted or claimed */

/*
 * Open @path (a regular file or a block device; anything else is -ENOTBLK).
 * Misaligned requests to a direct device go through a bounce buffer.
 */
int owfs_blkdev_open(const char *path, unsigned int flags,
		     struct owfs_blkdev **bdp);
/* What @err says of opening, or locking, with @flags; and what helps. */
const char *owfs_blkdev_strerror(int err, unsigned int flags);
/* The same over an open descriptor, which it takes over. */
int owfs_blkdev_fdopen(int fd, unsigned int flags, struct owfs_blkdev **bdp);
/* The descriptor behind, for ioctls and locks; -1 if there is none. */
int owfs_blkdev_fd(const struct owfs_blkdev *bd);

#endif
