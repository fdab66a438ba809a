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

#ifndef FS_IOC_GETFSLABEL
#define FS_IOC_GETFSLABEL	_IOR(0x94, 49, char[256])
#define FS_IOC_SETFSLABEL	_IOW(0x94, 50, char[256])
#endif
#define OWFS_FSLABEL_BYTES	256u

#endif
