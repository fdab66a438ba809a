/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What was done to a device, in a file: by the recorder under a server, for
 * c_recorded, which cuts it.  The file is mapped, so that a server without the
 * right to open or to write files can record.
 *
 *	head, then for each event: struct record_event, the data of a write
 *
 * The recorder does one thing at a time: what stands before a flush was
 * complete when the flush began, and nothing was begun until it had ended.
 */
#ifndef OWFS_TESTS_RECORD_H
#define OWFS_TESTS_RECORD_H

#include <stdint.h>

#define RECORD_MAGIC	0x6472636572736677ull
#define RECORD_ROOM	(1ull << 30)	/* of the file, which is sparse */

struct record_head {
	uint64_t magic;
	uint64_t size;		/* of the device */
	uint64_t used;		/* atomic; bytes of the file that are whole */
};

enum record_kind { RECORD_WRITE, RECORD_FLUSH, RECORD_DISCARD };

struct record_event {
	uint64_t kind, pos, len;
};

#endif
