/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A whole image, mounted as it is and used by who does not know that it is
 * damaged: use_judge.h says what must hold.
 */
#include "fuzz.h"
#include "image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	image_use(data, size, false);
	return 0;
}
