/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a repair overwrites, kept in a file, and put back from it.
 *
 * The file begins with a header and grows by a record for each write: place,
 * length, checksum, the bytes that stood there, and checksums of those that
 * come.  A record is on its device before the write it is about begins.  A
 * record that is not whole at the end of the file is of a write that never
 * began.
 *
 * So of every place in it the file knows what may stand there, wherever the
 * repair or a restore was cut: one of those, or it is another device, or was
 * changed since.
 */
#ifndef OWFS_FSCK_UNDO_H
#define OWFS_FSCK_UNDO_H

#include "io/blkdev.h"

/* Which filesystem it was, for people; zeroes: not known. */
struct undo_id {
	unsigned char uuid[16];
	uint64_t csum_seed;
};

/*
 * A device that keeps in a new file @path what is overwritten on @below, which
 * it takes over.  -EEXIST: there is such a file, and it may be wanted.  When it
 * can keep no more, nothing more can be written: -EIO.
 */
int undo_open(const char *path, const struct undo_id *id,
	      struct owfs_blkdev *below, struct owfs_blkdev **bdp);
/* Why no more can be kept, and 0 if it can. */
int undo_error(const struct owfs_blkdev *bd);

struct undo_report {
	uint64_t writes;		/* undone */
	uint64_t left;			/* bytes that could not be read when they
					   were overwritten, and stay as they are */
	uint64_t at;			/* -ESTALE: here stands something else */
	struct undo_id id;
};

/*
 * Put everything back that the file @fd holds, the last write first.
 * -ENODEV no such file as above, -EPROTONOSUPPORT an older one, -EINVAL one for
 * a device of another size, -EFSBADCRC damaged in the middle, -ESTALE not for
 * what is on this device.  Nothing is written unless all of it can be read, and
 * what stands on the device now is what the repair found or left there.
 */
int undo_restore(int fd, struct owfs_blkdev *bd, struct undo_report *r);

#endif
