/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What each fuzz_*.c is: a function of bytes that returns, whatever they are. */
#ifndef OWFS_TESTS_FUZZ_H
#define OWFS_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/*
 * The engine's, and one of ours in its place (image.c); without an engine there
 * is none.
 */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t room)
	__attribute__((weak));
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t room,
			       unsigned int seed);

/*
 * Whatever an image of @bytes says, the time that is spent on it and the memory
 * that is held at a time have limits: whoever goes beyond ends the program.
 * Memory is counted where a sanitizer can count it.
 */
void fuzz_limits(uint64_t bytes);
void fuzz_limits_end(void);

#endif
