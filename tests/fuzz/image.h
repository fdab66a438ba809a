/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The small filesystem whose metadata the bytes of an input change. */
#ifndef OWFS_TESTS_FUZZ_IMAGE_H
#define OWFS_TESTS_FUZZ_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "rig.h"

#define IMAGE_BYTES	(16u << 20)

/* Without input it is sound: /d, /d/f with attributes, /l, /g. */
struct emubd *image_make(const uint8_t *data, size_t size);

#endif
