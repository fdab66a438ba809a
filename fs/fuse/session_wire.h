/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's words, as far as the session looks at them, by our own names:
 * <linux/fuse.h> of the build machine may be older than the kernel that runs.
 */
#ifndef OWFS_FUSE_SESSION_WIRE_H
#define OWFS_FUSE_SESSION_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fuse/session.h"

enum {
	OP_FORGET = 2, OP_SETATTR = 4, OP_WRITE = 16, OP_RELEASE = 18,
	OP_SETXATTR = 21, OP_INIT = 26, OP_READDIR = 28, OP_RELEASEDIR = 29,
	OP_CREATE = 35, OP_IOCTL = 39, OP_BATCH_FORGET = 42,
	OP_READDIRPLUS = 44, OP_SYNCFS = 50, OP_TMPFILE = 51, OP_STATX = 52,
	OP_COPY_FILE_RANGE_64 = 53,
};

struct in_header {
	uint32_t len, opcode;
	uint64_t unique, nodeid;
	uint32_t uid, gid, pid, extra;
};

struct out_header {
	uint32_t len;
	int32_t error;
	uint64_t unique;
};

struct init_in {
	uint32_t major, minor, max_readahead, flags, flags2;
};

struct init_out {
	uint32_t major, minor, max_readahead, flags;
	uint16_t max_background, congestion;
	uint32_t max_write, time_gran;
	uint16_t max_pages, map_alignment;
	uint32_t flags2;
};

/* READ, READDIR and READDIRPLUS have the same, with read_flags. */
struct write_in {
	uint64_t fh, offset;
	uint32_t size, write_flags;
	uint64_t lock_owner;
	uint32_t flags, padding;
};

struct ioctl_in {
	uint64_t fh;
	uint32_t flags, cmd;
	uint64_t arg;
	uint32_t in_size, out_size;
};

struct create_in {
	uint32_t flags, mode, umask, open_flags;
};

/* The library knows the first two. */
struct setxattr_in {
	uint32_t size, flags, ext_flags, padding;
};
#define SETXATTR_EXTRA	8

struct copy_in {
	uint64_t fh_in, off_in, nodeid_out, fh_out, off_out, len, flags;
};

struct sx_time {
	int64_t sec;
	uint32_t nsec;
	int32_t pad;
};

struct statx_out {
	uint64_t attr_valid;
	uint32_t attr_valid_nsec, flags;
	uint64_t spare[2];
	uint32_t mask, blksize;
	uint64_t attributes;
	uint32_t nlink, uid, gid;
	uint16_t mode, pad0;
	uint64_t ino, size, blocks, attributes_mask;
	struct sx_time atime, btime, ctime, mtime;
	uint32_t rdev_major, rdev_minor, dev_major, dev_minor;
	uint64_t mnt_id;
	uint32_t dio_mem_align, dio_offset_align;
	uint64_t subvol;
	uint32_t atomic_min, atomic_max, atomic_segments, dio_read_align;
	uint32_t atomic_max_opt, spare1;
	uint64_t spare2[8];
};

_Static_assert(sizeof(struct in_header) == 40, "kernel");
_Static_assert(sizeof(struct write_in) == 40, "kernel");
_Static_assert(sizeof(struct ioctl_in) == 32, "kernel");
_Static_assert(sizeof(struct statx_out) == 288, "kernel");
_Static_assert(offsetof(struct init_out, flags2) == 32, "kernel");

#define INIT_EXT		(1u << 30)
#define WRITE_KILL_SUIDGID	(1u << 2)
#define SETATTR_KILL_SUIDGID	(1u << 11)
#define OPEN_KILL_SUIDGID	(1u << 0)
#define SETXATTR_KILL_SGID	(1u << 0)

/* The kernel uses bits 0 to 5 of an ioctl's flags; user space sets none. */
#define TUNNEL_FLAG		(1u << 31)

static inline bool owfs_wire_is_extra(uint32_t opcode)
{
	return opcode >= OWFS_SESSION_EXTRA && opcode < 4096;
}

#endif
