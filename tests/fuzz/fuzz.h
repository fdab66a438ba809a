/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What each fuzz_*.c is: a function of bytes that returns, whatever they are. */
#ifndef OWFS_TESTS_FUZZ_H
#define OWFS_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
