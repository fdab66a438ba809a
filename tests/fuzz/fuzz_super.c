/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A sector that claims to be a superblock, with the right checksum: what is
 * taken for one is written again as it was.
 */
#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"
#include "fuzz.h"
#include "trans/super.h"

/* As mkfs could have made it. */
static void make_super(struct owfs_super_disk *d)
{
	struct owfs_super sb = {
		.blocksize = 4096,
		.nblocks = 65536,
		.seq = 9,
		.next_gen = 12,
		.ino_limit = 1 << 20,
		.meta_copies = 1,
		.reserve_blocks = 1000,
		.root = {
			{ .gen = 10, .tree = { .addr = { 500 }, .birth = 10 },
			  .map = { .gen = 10, .free_blocks = 60000 } },
			{ .gen = 9, .tree = { .addr = { 400 }, .birth = 9 },
			  .map = { .gen = 9, .free_blocks = 60001 } },
		},
	};

	sb.nblocks = owfs_geo_fit(4096, sb.nblocks);
	owfs_super_to_disk(d, &sb, 0);
}

static void seal(struct owfs_super_disk *d)
{
	d->csum = cpu_to_le64(0);
	d->csum = cpu_to_le64(owfs_checksum(0, d, sizeof(*d)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct owfs_super_disk d, again;
	struct owfs_super sb, sb2;
	unsigned int slot, slot2;
	size_t i;

	make_super(&d);
	if (owfs_super_from_disk(&sb, &slot, &d, NULL))
		abort();
	for (i = 0; i + 3 <= size; i += 3)
		((uint8_t *)&d)[(data[i] | data[i + 1] << 8) % sizeof(d)] =
			data[i + 2];
	seal(&d);
	if (owfs_super_from_disk(&sb, &slot, &d, NULL))
		return 0;
	owfs_super_to_disk(&again, &sb, slot);
	if (owfs_super_from_disk(&sb2, &slot2, &again, NULL) || slot2 != slot ||
	    sb2.nblocks != sb.nblocks || sb2.seq != sb.seq ||
	    memcmp(&sb2.root, &sb.root, sizeof(sb.root)))
		abort();
	return 0;
}
