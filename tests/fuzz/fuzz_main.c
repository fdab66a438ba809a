/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A fuzzer without an engine: inputs from files that are named, else so many
 * from a seed (FUZZ_RUNS, FUZZ_SEED), which is the test of make check.
 */
#include <stdio.h>
#include <stdlib.h>

#include "fuzz.h"

#define SIZE_MAX_INPUT	4096u

static uint64_t next(uint64_t *s)
{
	uint64_t z = *s += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static int run_file(const char *path)
{
	static uint8_t data[1 << 20];
	FILE *f = fopen(path, "rb");
	size_t n;

	if (!f) {
		perror(path);
		return 99;
	}
	n = fread(data, 1, sizeof(data), f);
	fclose(f);
	LLVMFuzzerTestOneInput(data, n);
	return 0;
}

static uint64_t number(const char *name, uint64_t otherwise)
{
	const char *s = getenv(name);

	return s ? strtoull(s, NULL, 0) : otherwise;
}

int main(int argc, char **argv)
{
	uint8_t data[SIZE_MAX_INPUT];
	uint64_t runs = number("FUZZ_RUNS", 1000), seed = number("FUZZ_SEED", 1);
	uint64_t i, s;
	size_t n, j;
	int ret = 0;

	for (i = 1; (int)i < argc && !ret; i++)
		ret = run_file(argv[i]);
	if (argc > 1)
		return ret;
	for (i = 0; i < runs; i++) {
		s = seed + i;
		n = next(&s) % (next(&s) % 2 ? 64 : sizeof(data));
		for (j = 0; j < n; j++)
			data[j] = (uint8_t)next(&s);
		LLVMFuzzerTestOneInput(data, n);
	}
	printf("%llu inputs from seed %llu\n", (unsigned long long)runs,
	       (unsigned long long)seed);
	return 0;
}
