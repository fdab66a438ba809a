/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * File contents when owfs moves them itself (classic transport, tests, tools):
 * begin, device, ioend, under the inode's range locks.
 */
#ifndef OWFS_FILE_FILE_H
#define OWFS_FILE_FILE_H

#include "object/inode.h"

/* Bytes read: short only at end of file. @buf aligned to OWFS_IO_ALIGN is fastest. */
ssize_t owfs_file_read(struct owfs_inode *inode, void *buf, size_t len,
		       loff_t pos);
ssize_t owfs_file_read_as(struct owfs_inode *inode, void *buf, size_t len,
			  loff_t pos, unsigned int how);
#define OWFS_READ_NOATIME	0x1u	/* as open(2) with O_NOATIME */
/*
 * Bytes written: all of them or an error, as one remap (P8), up to
 * OWFS_WRITE_MAX bytes; more is cut into such pieces, and an error after the
 * first of them makes a short count.  @pos < 0 is never passed; @append: at the
 * end of file, whatever that is now.  mtime and ctime follow; security.capability
 * goes, and what @kill names (OWFS_SET_KILL_ of attr.h).
 *
 * Written blocks are padded with zeroes past the end of file: rule (E) of
 * iomap.h, on which truncate relies.
 */
#define OWFS_WRITE_MAX	(1u << 20)
ssize_t owfs_file_write(struct owfs_inode *inode, const void *buf, size_t len,
			loff_t pos, bool append, unsigned int kill);
/*
 * The same for pages of a cache, which were changed some time ago and come as
 * a whole: in an append-only file they may contain what is there already, but
 * not change it.  Of @kill nothing but what it names.
 */
ssize_t owfs_file_writeback(struct owfs_inode *inode, const void *buf,
			    size_t len, loff_t pos, unsigned int kill);
/*
 * What the two are made of; @how: these and those of OWFS_SET_KILL.  TIMED:
 * whoever wrote sets the times by owfs_setattr(), as of when that was; they
 * stay.  SOME: where there is no room for all of it, as much as there is room
 * for, as write(2) has it; -ENOSPC only if that is nothing.  CACHED: what is not
 * written is lost, which fsync tells from then on, and the answer is an error
 * and not a short count.
 */
#define OWFS_WRITE_APPEND	0x1u
#define OWFS_WRITE_CACHED	0x2u
#define OWFS_WRITE_TIMED	0x4u
#define OWFS_WRITE_SOME		0x8u
ssize_t owfs_file_write_as(struct owfs_inode *inode, const void *buf,
			   size_t len, loff_t pos, unsigned int how);
/*
 * The device refused data for staged blocks: what to answer.  The filesystem
 * turns read-only, unless it is only that the device, an image in a full file
 * system, has no room; that is -EDQUOT, and ENOSPC to the outside.
 */
struct owfs_iomap;
int owfs_file_write_failed(struct owfs_inode *inode,
			   const struct owfs_iomap *map, int err);
/* Was data of the file lost on its way to the device?  0 or that error. */
int owfs_file_lost(const struct owfs_inode *inode);
/* Waits until everything done to the inode so far is durable; reports lost data. */
int owfs_file_fsync(struct owfs_inode *inode, bool datasync);
/*
 * i_lock and ranges are taken here; called by owfs_setattr().  Shrinking writes
 * a partial last block anew (rule (E)) and works on a full filesystem; mtime and
 * ctime become now.  Up to OWFS_EXTENT_STEP extents go at once, more become an
 * intent for reclaim.
 */
int owfs_file_truncate(struct owfs_inode *inode, uint64_t size);
/* In the same transaction also owfs_attr_apply(set, mask). */
int owfs_file_truncate_set(struct owfs_inode *inode, uint64_t size,
			   const struct owfs_attr *set, unsigned int mask);
/*
 * @mode: 0, KEEP_SIZE, PUNCH_HOLE|KEEP_SIZE, ZERO_RANGE[|KEEP_SIZE]; else
 * -EOPNOTSUPP.  What changes contents or size is one transaction; preallocation
 * comes after it in several (nobody can read a difference), and if space runs
 * out in the middle, what was allocated stays.  Zeroing a range that has data
 * frees it and allocates unwritten blocks.
 */
int owfs_file_fallocate(struct owfs_inode *inode, int mode, loff_t pos,
			loff_t len);
/* @whence SEEK_DATA or SEEK_HOLE. -ENXIO */
loff_t owfs_file_seek(struct owfs_inode *inode, loff_t pos, int whence);
/* Copies through memory; bytes copied. */
ssize_t owfs_file_copy(struct owfs_inode *in, loff_t in_pos,
		       struct owfs_inode *out, loff_t out_pos, uint64_t len);

#endif
