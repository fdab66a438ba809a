/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How much of a device can be used: filled until ENOSPC in several ways, on
 * the smallest devices too.  The bounds are what was reached when they were
 * written down, less a little; who makes reservations larger will notice.
 */
#include "full_fixture.h"

/* ------------------------------------------------------------ ways to fill */

static void fill_files(struct disk *d, size_t size)
{
	struct owfs_inode *inode;
	bool more = true;

	while (more && (inode = new_file(d))) {
		more = put(d, inode, size, 0);
		owfs_iput(inode);
	}
}

static void fill_small(struct disk *d)
{
	fill_files(d, 4096);
}

static void fill_large(struct disk *d)
{
	fill_files(d, MIB);
}

/* One file, block by block in an order that makes neighbours of none. */
static void fill_scattered(struct disk *d)
{
	const uint32_t bs = d->fs->fs_geo.blocksize;
	const uint64_t n = d->fs->fs_geo.nblocks;
	struct owfs_inode *inode = new_file(d);
	uint64_t i;

	for (i = 0; i < n && put(d, inode, bs, i * 7919 % n * bs); i++)
		;
	assert_true(i < n);
	owfs_iput(inode);
}

struct bound {
	const char *what;
	void (*fill)(struct disk *d);
	uint64_t bytes;
	uint32_t blocksize;
	unsigned int copies;
	unsigned int percent;	/* of the device, at least */
};

/* ext4 has room for 12.6 of 16 MiB and 50 of 64 MiB, made with its defaults. */
static const struct bound bounds[] = {
	{ "small files", fill_small, 16 * MIB, 4096, 1, 81 },
	{ "small files", fill_small, 16 * MIB, 4096, 2, 67 },
	{ "small files", fill_small, 64 * MIB, 4096, 1, 90 },
	{ "large files", fill_large, 16 * MIB, 4096, 1, 87 },
	{ "large files", fill_large, 64 * MIB, 4096, 1, 95 },
	{ "large files", fill_large, 64 * MIB, 16384, 1, 89 },
	{ "large files", fill_large, 256ull * MIB, 65536, 1, 89 },
	{ "scattered", fill_scattered, 16 * MIB, 4096, 1, 86 },
	{ "scattered", fill_scattered, 16 * MIB, 4096, 2, 75 },
	{ "scattered", fill_scattered, 64 * MIB, 4096, 1, 95 },
	{ "scattered", fill_scattered, 64 * MIB, 16384, 1, 88 },
};

static void test_a_device_can_be_used(void **state)
{
	const struct bound *b;
	struct disk d;

	(void)state;
	for (b = bounds; b < bounds + ARRAY_SIZE(bounds); b++) {
		disk_make(&d, b->bytes, b->blocksize, b->copies);
		b->fill(&d);
		print_message("%s, %u MiB, blocksize=%u copies=%u: %.1f%%\n",
			      b->what, (unsigned int)(b->bytes / MIB),
			      b->blocksize, b->copies,
			      100.0 * (double)d.data / (double)b->bytes);
		assert_in_range(d.data * 100 / b->bytes, b->percent, 99);
		disk_done(&d);
	}
}

/* --------------------------------------------------------- what is in pieces */

/* Every second of many small files goes: no two free blocks side by side. */
static void make_holes(struct disk *d)
{
	unsigned int i, n;
	char name[16];

	fill_small(d);
	for (i = 0, n = d->names; i < n; i += 2)
		assert_int_equal(owfs_unlink(d->root, name,
					     (size_t)sprintf(name, "f%u", i)),
				 0);
	settle(d);
}

/* A request that comes in 256 pieces is not refused while there is room for it. */
static void fill_holes(uint64_t bytes, uint32_t blocksize, unsigned int copies)
{
	struct owfs_inode *inode;
	uint64_t had, left;
	struct disk d;

	disk_make(&d, bytes, blocksize, copies);
	make_holes(&d);
	had = available(&d);
	inode = new_file(&d);
	assert_non_null(inode);
	for (d.data = 0; put(&d, inode, MIB, d.data);)
		;
	left = available(&d);
	print_message("%u MiB in pieces, blocksize=%u copies=%u: %u of %u KiB left\n",
		      (unsigned int)(bytes / MIB), blocksize, copies,
		      (unsigned int)(left >> 10), (unsigned int)(had >> 10));
	assert_in_range(had, bytes / 4, bytes);
	assert_in_range(left, 0, MIB + MIB / 2 * copies);
	owfs_iput(inode);
	disk_done(&d);
}

static void test_space_in_pieces_can_be_used(void **state)
{
	(void)state;
	fill_holes(16 * MIB, 4096, 1);
	fill_holes(16 * MIB, 4096, 2);
	fill_holes(64 * MIB, 4096, 1);
}

/* ---------------------------------------------------------- again and again */

static void remove_names(struct disk *d)
{
	char name[16];
	unsigned int i;

	for (i = 0; i < d->names; i++)
		assert_int_equal(owfs_unlink(d->root, name,
					     (size_t)sprintf(name, "f%u", i)),
				 0);
	d->names = 0;
	settle(d);
}

static void remount(struct disk *d)
{
	owfs_iput(d->root);
	assert_int_equal(owfs_unmount(d->fs), 0);
	assert_int_equal(rig_mount(&d->fs, d->e, &d->env, 0, NULL), 0);
	assert_int_equal(owfs_iget(d->fs, OWFS_INO_ROOT, &d->root), 0);
	settle(d);
}

static uint64_t free_blocks(struct disk *d)
{
	struct owfs_alloc_stat st;

	owfs_alloc_stat(d->fs->fs_al, &st);
	return st.free + st.pinned;
}

/* Each way of filling in turn, to the same bytes, and nothing is lost. */
static void ten_rounds(uint64_t bytes, uint32_t blocksize, unsigned int copies)
{
	static void (*const fills[])(struct disk *) = {
		fill_small, fill_large, fill_scattered,
	};
	uint64_t had, first[ARRAY_SIZE(fills)];
	unsigned int round, way;
	struct disk d;

	disk_make(&d, bytes, blocksize, copies);
	fill_small(&d);
	remove_names(&d);
	had = free_blocks(&d);
	for (round = 0; round < 10; round++) {
		way = round % ARRAY_SIZE(fills);
		d.data = 0;
		fills[way](&d);
		if (round % 4 == 3)
			remount(&d);
		remove_names(&d);
		if (round % 4 == 1)
			remount(&d);
		assert_int_equal(free_blocks(&d), had);
		assert_int_equal(owfs_alloc_check(d.fs->fs_al), 0);
		if (round < ARRAY_SIZE(fills))
			first[way] = d.data;
		/* where things lie moves what the last blocks are used for */
		assert_in_range(d.data, first[way] - first[way] / 50,
				first[way] + first[way] / 50);
	}
	disk_done(&d);
}

static void test_ten_rounds_leak_nothing(void **state)
{
	(void)state;
	ten_rounds(16 * MIB, 4096, 1);
	ten_rounds(16 * MIB, 4096, 2);
	ten_rounds(64 * MIB, 16384, 2);
	ten_rounds(256ull * MIB, 65536, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_device_can_be_used),
		cmocka_unit_test(test_space_in_pieces_can_be_used),
		cmocka_unit_test(test_ten_rounds_leak_nothing),
	};

	memset(buf, 'x', MIB);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
