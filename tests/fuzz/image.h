/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The small filesystem whose metadata the bytes of an input change. */
#ifndef OWFS_TESTS_FUZZ_IMAGE_H
#define OWFS_TESTS_FUZZ_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "rig.h"

#define IMAGE_BYTES	(16u << 20)

/* Flags of an edit ... */
#define IMAGE_SEALED	0x01u	/* checksums are made right */
#define IMAGE_MAP	0x02u	/* not of a node but of the fixed blocks */
/* ... and of the first for all: what the filesystem is, and what is done with it. */
#define IMAGE_CRASHED	0x04u	/* it was not unmounted */
#define IMAGE_TWICE	0x08u	/* nodes are written twice */
#define IMAGE_WALK	0x10u	/* everything is read first */
#define IMAGE_COMPARE	0x60u	/* both: fuzz_fsck compares repairs, which takes time */
unsigned int image_flags(const uint8_t *data, size_t size);

/* One more edit somewhere in a list of @size bytes, which has @room; its size now. */
size_t image_add_edit(uint8_t *data, size_t size, size_t room, struct rng *r);

/*
 * Without input it is sound: /d, /d/f with attributes, /l, /g, and /still that no
 * workload writes to.
 */
struct emubd *image_make(const uint8_t *data, size_t size);
/*
 * It is used, and judged as use_judge.h says, with @repair by repairs before and
 * after, too; what is wrong ends the program.
 */
void image_use(const uint8_t *data, size_t size, bool repair);
/* What it was before the edits; stays as it is. */
struct emubd *image_sound(const uint8_t *data, size_t size);

#endif
