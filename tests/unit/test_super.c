/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The superblock's fields and the ring of its slots. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/checksum.h"
#include "base/err.h"
#include "emubd.h"
#include "trans/super.h"

#define BYTES	(32u << 20)

static void good_super(struct owfs_super *sb)
{
	memset(sb, 0, sizeof(*sb));
	sb->blocksize = 4096;
	sb->nblocks = BYTES / 4096;
	memset(sb->uuid, 7, sizeof(sb->uuid));
	strcpy(sb->label, "label");
	sb->csum_seed = 11;
	sb->hash_seed = 12;
	sb->seq = 1;
	sb->next_gen = 9;
	sb->ino_limit = 1000;
	sb->meta_copies = 1;
	sb->reserve_blocks = 384;
	sb->root[0].gen = 7;
	sb->root[0].tree.addr[0] = 1000;
	sb->root[0].tree.birth = 6;
	sb->root[0].tree.csum = 99;
	sb->root[0].map.gen = 7;
	sb->root[0].map.slot = 2;
	sb->root[0].map.free_blocks = 5000;
	sb->root[0].map.freed_blocks = 20;
	sb->root[1] = sb->root[0];
	sb->root[1].gen = 6;
	sb->root[1].map.gen = 5;
}

static int reread(const struct owfs_super *sb, struct owfs_super *out)
{
	unsigned char sector[OWFS_SUPER_BYTES];
	unsigned int slot;

	owfs_super_to_disk(sector, sb, 3);
	return owfs_super_from_disk(out, &slot, sector, NULL);
}

static void test_super_survives_the_disk(void **state)
{
	struct owfs_super sb, back;

	(void)state;
	good_super(&sb);
	memset(&back, 0xff, sizeof(back));
	assert_int_equal(reread(&sb, &back), 0);
	assert_memory_equal(&sb, &back, sizeof(sb));
}

static void test_super_any_flipped_bit_is_noticed(void **state)
{
	unsigned char sector[OWFS_SUPER_BYTES];
	struct owfs_super sb, back;
	unsigned int slot, bit;

	(void)state;
	good_super(&sb);
	owfs_super_to_disk(sector, &sb, 1);
	for (bit = 0; bit < OWFS_SUPER_BYTES * 8; bit++) {
		sector[bit / 8] ^= 1 << bit % 8;
		assert_int_not_equal(owfs_super_from_disk(&back, &slot, sector,
							  NULL), 0);
		sector[bit / 8] ^= 1 << bit % 8;
	}
}

#define REFUSES(change)							\
	do {								\
		good_super(&sb);					\
		change;							\
		assert_int_equal(reread(&sb, &back), -EFSCORRUPTED);	\
	} while (0)

static void test_super_impossible_fields_are_refused(void **state)
{
	struct owfs_super sb, back;

	(void)state;
	REFUSES(sb.blocksize = 1024);
	REFUSES(sb.blocksize = 5000);
	REFUSES(sb.nblocks = 10);
	REFUSES(sb.nblocks = OWFS_BLOCKS_MAX + 1);
	REFUSES(sb.meta_copies = 0);
	REFUSES(sb.meta_copies = 3);
	REFUSES(sb.seq = 0);
	REFUSES(sb.seq = UINT64_MAX);
	REFUSES(sb.next_gen = 7);
	REFUSES(sb.next_gen = UINT64_MAX);
	REFUSES(sb.ino_limit = 3);
	REFUSES(sb.ino_limit = OWFS_INO_MAX + 2);
	REFUSES(sb.reserve_blocks = sb.nblocks + 1);
	REFUSES(sb.root[0].gen = 0);
	REFUSES(sb.root[0].tree.birth = 8);
	REFUSES(sb.root[0].tree.birth = 0);
	REFUSES(sb.root[0].tree.addr[0] = 3);
	REFUSES(sb.root[0].tree.addr[0] = sb.nblocks);
	REFUSES(sb.root[0].tree.addr[1] = 1001);
	REFUSES(sb.root[0].level = OWFS_MAX_LEVEL + 1);
	REFUSES(sb.root[0].map.gen = 0);
	REFUSES(sb.root[0].map.gen = 8);
	REFUSES(sb.root[0].map.slot = 3);
	REFUSES(sb.root[0].map.free_blocks = sb.nblocks + 1);
	REFUSES(sb.root[0].map.freed_blocks = 5001);
	REFUSES(sb.root[1].gen = 7);
	REFUSES(sb.root[1].map.slot = 4);
}

/* A sector with something changed under a right checksum. */
static int read_changed(size_t at, uint32_t to)
{
	unsigned char sector[OWFS_SUPER_BYTES];
	struct owfs_super_disk *d = (void *)sector;
	const le32_t value = cpu_to_le32(to);
	struct owfs_super sb, back;
	unsigned int slot;

	good_super(&sb);
	owfs_super_to_disk(sector, &sb, 3);
	memcpy(sector + at, &value, sizeof(value));
	d->csum = cpu_to_le64(0);
	d->csum = cpu_to_le64(owfs_checksum(0, sector, sizeof(sector)));
	return owfs_super_from_disk(&back, &slot, sector, NULL);
}

static void test_super_of_another_version_or_no_slot_is_refused(void **state)
{
	const size_t version = offsetof(struct owfs_super_disk, version);
	const size_t slot = offsetof(struct owfs_super_disk, slot);

	(void)state;
	assert_int_equal(read_changed(version, OWFS_FORMAT_VERSION), 0);
	assert_int_equal(read_changed(version, OWFS_FORMAT_VERSION + 1),
			 -EPROTONOSUPPORT);
	assert_int_equal(read_changed(slot, OWFS_SUPER_SLOTS - 1), 0);
	assert_int_equal(read_changed(slot, OWFS_SUPER_SLOTS), -EFSCORRUPTED);
}

static void test_super_unknown_incompat_feature_is_named(void **state)
{
	struct owfs_super sb, back;

	(void)state;
	good_super(&sb);
	sb.incompat = 1ull << 40;
	assert_int_equal(reread(&sb, &back), -EPROTONOSUPPORT);
	sb.incompat = 0;
	sb.ro_compat = 1ull << 40;
	assert_int_equal(reread(&sb, &back), 0);
}

/* --------------------------------------------------------------- the ring */

static struct emubd *all_slots(struct owfs_super *sb, struct owfs_slots *s)
{
	struct emubd *e = emubd_create(BYTES);
	unsigned int i;

	memset(s, 0, sizeof(*s));
	for (i = 0; i < OWFS_SUPER_SLOTS; i++)
		assert_int_equal(owfs_super_write(emubd_blkdev(e), sb, s, i), 0);
	return e;
}

static void next_commit(struct owfs_super *sb)
{
	sb->root[1] = sb->root[0];
	sb->root[0].gen++;
	sb->next_gen++;
	sb->seq++;
}

static unsigned int write_next(struct emubd *e, struct owfs_super *sb,
			       struct owfs_slots *s)
{
	unsigned int slot = owfs_slots_next(s);

	assert_int_equal(owfs_super_write(emubd_blkdev(e), sb, s, slot), 0);
	return slot;
}

static void test_slots_go_front_back_front_back(void **state)
{
	static const unsigned int ring[] = { 0, 2, 1, 3 };
	struct owfs_slots s, seen;
	struct owfs_super sb, back;
	struct emubd *e;
	int i;

	(void)state;
	good_super(&sb);
	e = all_slots(&sb, &s);
	for (i = 0; i < 20; i++) {
		next_commit(&sb);
		assert_int_equal(write_next(e, &sb, &s), ring[i % 4]);
		assert_int_equal(owfs_super_read(emubd_blkdev(e), &back, &seen,
						 NULL), 0);
		assert_memory_equal(&sb, &back, sizeof(sb));
		assert_int_equal(seen.newest, s.newest);
		assert_int_equal(owfs_slots_next(&seen), owfs_slots_next(&s));
	}
	emubd_destroy(e);
}

static void test_slots_of_the_last_two_commits_are_never_written(void **state)
{
	struct owfs_slots s;
	struct owfs_super sb;
	struct emubd *e;
	unsigned int i, slot;
	int older_slot = -1, newest_slot = -1;

	(void)state;
	good_super(&sb);
	e = all_slots(&sb, &s);
	srandom(1);
	for (i = 0; i < 500; i++) {
		bool commit = random() % 3;

		if (commit)
			next_commit(&sb);
		else
			sb.seq++;	/* a generation skip: the same roots */
		slot = owfs_slots_next(&s);
		assert_int_not_equal((int)slot, newest_slot);
		assert_int_not_equal((int)slot, older_slot);
		if (commit)
			older_slot = newest_slot;
		assert_int_equal(owfs_super_write(emubd_blkdev(e), &sb, &s,
						  slot), 0);
		newest_slot = (int)slot;
	}
	emubd_destroy(e);
}

static void test_slots_torn_write_is_explained_bit_rot_is_not(void **state)
{
	struct owfs_slots s, seen;
	struct owfs_super sb, back;
	struct emubd *e;
	unsigned int due, i;

	(void)state;
	good_super(&sb);
	e = all_slots(&sb, &s);
	for (i = 0; i < 5; i++) {
		next_commit(&sb);
		write_next(e, &sb, &s);
	}
	due = owfs_slots_next(&s);
	for (i = 0; i < OWFS_SUPER_SLOTS; i++) {
		struct emubd *f = emubd_fork(e);

		emubd_flip_bit(f, (uint64_t)owfs_geo_super_pos(BYTES, i) + 77, 3);
		assert_int_equal(owfs_super_read(emubd_blkdev(f), &back, &seen,
						 NULL), 0);
		assert_int_equal(seen.bad, 1);
		if (i == due)
			assert_true(seen.bad_is_due);
		else if (i != s.newest)
			assert_false(seen.bad_is_due);
		emubd_flip_bit(f, (uint64_t)owfs_geo_super_pos(BYTES, i ^ 1) + 9, 0);
		assert_int_equal(owfs_super_read(emubd_blkdev(f), &back, &seen,
						 NULL), 0);
		assert_int_equal(seen.bad, 2);
		assert_false(seen.bad_is_due);
		emubd_destroy(f);
	}
	emubd_destroy(e);
}

static void test_slots_of_another_filesystem_are_bad(void **state)
{
	struct owfs_slots s, other, seen;
	struct owfs_super sb, old, back;
	struct emubd *e;

	(void)state;
	good_super(&old);
	e = all_slots(&old, &other);
	sb = old;
	memset(sb.uuid, 9, sizeof(sb.uuid));
	sb.seq = 50;
	memset(&s, 0, sizeof(s));
	owfs_super_write(emubd_blkdev(e), &sb, &s, 0);
	owfs_super_write(emubd_blkdev(e), &sb, &s, 2);
	assert_int_equal(owfs_super_read(emubd_blkdev(e), &back, &seen, NULL), 0);
	assert_int_equal(seen.bad, 2);
	assert_memory_equal(back.uuid, sb.uuid, sizeof(sb.uuid));
	emubd_destroy(e);
}

static void test_slots_back_ones_are_found_without_the_front(void **state)
{
	struct owfs_slots s, seen;
	struct owfs_super sb, back;
	struct emubd *e;

	(void)state;
	good_super(&sb);
	e = all_slots(&sb, &s);
	emubd_garbage(e, 0, 192 * 1024, 5);
	assert_int_equal(owfs_super_read(emubd_blkdev(e), &back, &seen, NULL), 0);
	assert_int_equal(seen.bad, 2);
	assert_memory_equal(&sb, &back, sizeof(sb));
	emubd_garbage(e, BYTES - 128 * 1024, 128 * 1024, 5);
	assert_int_equal(owfs_super_read(emubd_blkdev(e), &back, &seen, NULL),
			 -ENODEV);
	emubd_destroy(e);
}

/* The same sectors, as far as they reach. */
static struct emubd *cut_to(struct emubd *e, uint64_t size)
{
	struct emubd *cut = emubd_create(size);
	unsigned char sector[OWFS_SUPER_BYTES];
	unsigned int i;

	for (i = 0; i < OWFS_SUPER_SLOTS; i++) {
		uint64_t pos = (uint64_t)owfs_geo_super_pos(BYTES, i);

		emubd_peek(e, sector, sizeof(sector), pos);
		if (pos + sizeof(sector) <= size)
			emubd_poke(cut, sector, sizeof(sector), pos);
	}
	return cut;
}

/* Each slot counts whose own place is there; the newest is one in front. */
static void test_slots_that_are_there_count_on_a_device_that_was_cut(void **state)
{
	static const struct { uint64_t size; unsigned int bad; } cut[] = {
		{ BYTES - 512, 0 }, { BYTES - 65536, 1 },
		{ BYTES - 131072, 2 }, { BYTES / 2, 2 }, { 192 * 1024, 2 },
	};
	struct owfs_slots s, seen;
	struct owfs_super sb, back;
	struct emubd *e, *f;
	size_t i;

	(void)state;
	good_super(&sb);
	e = all_slots(&sb, &s);
	next_commit(&sb);
	assert_int_equal(owfs_super_write(emubd_blkdev(e), &sb, &s, 1), 0);
	for (i = 0; i < sizeof(cut) / sizeof(cut[0]); i++) {
		f = cut_to(e, cut[i].size);
		assert_int_equal(owfs_super_read(emubd_blkdev(f), &back, &seen,
						 NULL), 0);
		assert_int_equal(seen.bad, cut[i].bad);
		assert_int_equal(seen.newest, 1);
		assert_memory_equal(&sb, &back, sizeof(sb));
		emubd_destroy(f);
	}
	emubd_destroy(e);
}

static void test_slots_failed_write_goes_elsewhere(void **state)
{
	struct owfs_slots s;
	struct owfs_super sb;
	struct emubd *e;
	unsigned int due, next;

	(void)state;
	good_super(&sb);
	e = all_slots(&sb, &s);
	next_commit(&sb);
	write_next(e, &sb, &s);
	next_commit(&sb);
	write_next(e, &sb, &s);
	due = owfs_slots_next(&s);
	next = owfs_slots_after(&s, due);
	assert_int_not_equal(next, due);
	assert_int_not_equal(next, s.newest);
	next_commit(&sb);
	emubd_fault(e, EMUBD_WRITE, 1, 1, EIO);
	assert_int_equal(owfs_super_write(emubd_blkdev(e), &sb, &s, due), -EIO);
	assert_int_not_equal(s.newest, due);
	assert_int_equal(owfs_super_write(emubd_blkdev(e), &sb, &s, next), 0);
	assert_int_equal(s.newest, next);
	emubd_destroy(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_super_survives_the_disk),
		cmocka_unit_test(test_super_any_flipped_bit_is_noticed),
		cmocka_unit_test(test_super_impossible_fields_are_refused),
		cmocka_unit_test(test_super_of_another_version_or_no_slot_is_refused),
		cmocka_unit_test(test_super_unknown_incompat_feature_is_named),
		cmocka_unit_test(test_slots_go_front_back_front_back),
		cmocka_unit_test(test_slots_of_the_last_two_commits_are_never_written),
		cmocka_unit_test(test_slots_torn_write_is_explained_bit_rot_is_not),
		cmocka_unit_test(test_slots_of_another_filesystem_are_bad),
		cmocka_unit_test(test_slots_back_ones_are_found_without_the_front),
		cmocka_unit_test(test_slots_that_are_there_count_on_a_device_that_was_cut),
		cmocka_unit_test(test_slots_failed_write_goes_elsewhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
