/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ioctls that the headers of the system may lack, and our own. */
#ifndef OWFS_FUSE_IOCTL_H
#define OWFS_FUSE_IOCTL_H

#include <linux/fs.h>
#include <stdint.h>
#include <sys/ioctl.h>

/* How to stop: the kernel does not bring this word along. */
#define OWFS_FS_IOC_SHUTDOWN	_IOR('X', 125, uint32_t)
/* The same with the word. */
#define OWFS_IOC_SHUTDOWN	_IOW('O', 1, uint32_t)
#define OWFS_SHUTDOWN_FLUSH	0u	/* everything durable first */
#define OWFS_SHUTDOWN_LOGFLUSH	1u	/* the same here: there is no log */
#define OWFS_SHUTDOWN_NOFLUSH	2u	/* as a crash */

/*
 * A check of the last commit while others write (trans/keep.h): begin, read,
 * end.  For root alone.  ESTALE: the commit was given up, space was short.
 */
#define OWFS_IOC_BYTES		8192u

struct owfs_ioc_keep {
	uint64_t id;		/* for the others */
	uint64_t size;		/* of the device, or the part of it, bytes */
	uint64_t offset;	/* where that part begins */
	unsigned char super[512];	/* of the commit */
};
struct owfs_ioc_read {
	uint64_t id;
	uint64_t at;		/* byte of the device, or number of a group */
	uint32_t off;		/* bits: byte of the group's bitmap */
	uint32_t len;		/* at most OWFS_IOC_BYTES */
	unsigned char data[OWFS_IOC_BYTES];
};
/* A node of which one copy is bad: written anew when this returns. */
struct owfs_ioc_mend {
	uint64_t addr[2], birth;
	uint64_t first[2];	/* its first key: object, offset */
	uint32_t level, zero;
};
#define OWFS_IOC_KEEP		_IOR('O', 2, struct owfs_ioc_keep)
#define OWFS_IOC_KEEP_READ	_IOWR('O', 3, struct owfs_ioc_read)
#define OWFS_IOC_KEEP_BITS	_IOWR('O', 4, struct owfs_ioc_read)
#define OWFS_IOC_KEEP_END	_IOW('O', 5, uint64_t)
#define OWFS_IOC_MEND		_IOW('O', 6, struct owfs_ioc_mend)

#ifndef FS_IOC_GETFSLABEL
#define FS_IOC_GETFSLABEL	_IOR(0x94, 49, char[256])
#define FS_IOC_SETFSLABEL	_IOW(0x94, 50, char[256])
#endif
#define OWFS_FSLABEL_BYTES	256u

#endif
