/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sectors that cannot be read, before, during and after the repair: it works
 * around them, says what is gone, and is not stopped by any of them.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "edit.h"
#include "repair_judge.h"

static struct scene plain, dup;

static const char *judge_repaired(struct image *im, const struct scene *s,
				  struct report *text)
{
	struct owfs_repair_report r;
	struct touched t = { .n = 0 };
	const char *wrong;

	if (repair(im, text, &r) || r.left.problems || r.changed)
		return "a second repair finds more";
	wrong = scene_compare(im, s, text, &t);
	return wrong ? wrong : scene_use(im);
}

/*
 * [pos, pos + len) cannot be read until the repair is over; a device puts
 * another sector in the place of one that is written.
 */
static void judge_bad_range(const struct scene *s, uint64_t pos, uint64_t len,
			    bool must_be_whole)
{
	struct report text = { .text = NULL };
	struct owfs_repair_report r;
	const char *wrong = NULL;
	struct image im;
	int ret;

	image_fork(&im, &s->im);
	emubd_fault_range(im.e, EMUBD_READ, pos, len, EIO);
	ret = repair(&im, &text, &r);
	if (ret || (must_be_whole && r.left.problems))
		wrong = "it was not worked around";
	emubd_fault(im.e, EMUBD_READ, 1, 0, EIO);
	if (!wrong)
		wrong = judge_repaired(&im, s, &text);
	if (wrong)
		fail_msg("unreadable at %llu: %s\n%s", (unsigned long long)pos,
			 wrong, text.text ? text.text : "");
	free(text.text);
	image_free(&im);
}

static void judge_metadata(const struct scene *s)
{
	unsigned int i;

	for (i = 0; i < s->nmeta; i++)
		judge_bad_range(s, s->meta[i] * 4096, 4096, true);
}

static void test_an_unreadable_node_is_worked_around(void **state)
{
	(void)state;
	judge_metadata(&plain);
}

static void test_an_unreadable_copy_is_worked_around(void **state)
{
	(void)state;
	judge_metadata(&dup);
}

/* A slot stays what it is; all others say where everything is. */
static void test_an_unreadable_superblock_stops_nothing(void **state)
{
	uint64_t size = emubd_blkdev(plain.im.e)->size;
	unsigned int slot;

	(void)state;
	for (slot = 0; slot < OWFS_SUPER_SLOTS; slot++)
		judge_bad_range(&plain,
				(uint64_t)owfs_geo_super_pos(size, slot), 512,
				false);
}

/* What a crash has left after some commits. */
static struct owfs_slots crash(struct image *im)
{
	struct owfs_slots slots;
	struct owfs_super sb;
	unsigned int i;

	image_fork(im, &plain.im);
	edit_begin(im);
	for (i = 0; i < 5; i++) {
		struct owfs_inode_item d = inode_get(im, im->file);

		d.uid = cpu_to_le32(i);
		inode_put(im, im->file, &d);
		assert_int_equal(owfs_commit_all(im->fs), 0);
	}
	owfs_fs_close(im->fs);
	im->fs = NULL;
	assert_int_equal(owfs_super_read(emubd_blkdev(im->e), &sb, &slots,
					 NULL), 0);
	assert_int_equal(slots.bad, 0);
	return slots;
}

static void cannot_read_slot(struct image *im, unsigned int slot, int err)
{
	uint64_t size = emubd_blkdev(im->e)->size;

	emubd_fault_range(im->e, EMUBD_READ,
			  (uint64_t)owfs_geo_super_pos(size, slot), 512, err);
}

static int repair_safely(struct image *im, struct owfs_repair_report *r)
{
	struct owfs_repair_param p = image_repair_param(im);

	p.ask = ask_safe;
	p.only_safe = true;
	return owfs_repair(emubd_blkdev(im->e), &p, r);
}

/* It holds what was answered for: who only repairs what is safe lets it be. */
static void newest_unreadable(int err)
{
	struct owfs_repair_report r;
	struct image im;
	unsigned int newest = crash(&im).newest;
	uint64_t hash = emubd_hash(im.e), sum = image_digest(&im);

	cannot_read_slot(&im, newest, err);
	assert_int_equal(repair_safely(&im, &r), 0);
	assert_int_equal(r.left.count[BAD_SUPER_SLOTS], 1);
	assert_false(r.changed);
	assert_true(emubd_hash(im.e) == hash);
	emubd_fault(im.e, EMUBD_READ, 1, 0, EIO);
	assert_int_equal(repair_safely(&im, &r), 0);
	assert_int_equal(r.left.problems, 0);
	assert_true(image_digest(&im) == sum);
	image_free(&im);
}

static void test_a_newest_superblock_that_cannot_be_read_stays(void **state)
{
	(void)state;
	newest_unreadable(EIO);
	newest_unreadable(ENODATA);	/* as a disk says it that is read direct */
}

/* Not so one that cannot be the newest, nor any after an unmount. */
static void test_another_superblock_that_cannot_be_read_is_written(void **state)
{
	struct owfs_repair_report r;
	struct image im;
	struct owfs_slots s = crash(&im);
	unsigned int slot;

	(void)state;
	image_free(&im);
	for (slot = 0; slot < 2 * OWFS_SUPER_SLOTS; slot++) {
		if (slot == s.newest || slot == owfs_slots_next(&s))
			continue;
		if (slot < OWFS_SUPER_SLOTS)
			crash(&im);
		else
			image_fork(&im, &plain.im);
		cannot_read_slot(&im, slot % OWFS_SUPER_SLOTS, EIO);
		assert_int_equal(repair_safely(&im, &r), 0);
		assert_int_equal(r.left.count[BAD_SUPER_SLOTS], 0);
		assert_true(r.changed);
		image_free(&im);
	}
}

/* --------------------------------------------------- numbers of what is lost */

static uint64_t pos_of(unsigned int slot)
{
	return (uint64_t)owfs_geo_super_pos(emubd_blkdev(plain.im.e)->size,
					    slot);
}

/* Two are gone, one of them the newest; or one, and it cannot be read. */
static void lose_newest(struct image *im, const struct owfs_slots *s, int how)
{
	unsigned int i;

	if (how == 0) {
		emubd_garbage(im->e, pos_of(s->newest), 512, 1);
		emubd_garbage(im->e, pos_of(owfs_slots_next(s)), 512, 2);
	} else if (how == 1) {
		cannot_read_slot(im, s->newest, EIO);
	} else {	/* no slot is good, and of the newest nothing is left */
		for (i = 0; i < OWFS_SUPER_SLOTS; i++)
			emubd_flip_bit(im->e, pos_of(i) + 100, 1);
		emubd_garbage(im->e, pos_of(s->newest), 512, 1);
	}
}

/* Blocks of a commit that is lost lie about: nothing new may look like them. */
static void test_numbers_of_a_lost_superblock_are_not_used_again(void **state)
{
	struct owfs_super lost, sb;
	struct owfs_repair_report r;
	struct owfs_slots s;
	struct image im;
	int how;

	(void)state;
	for (how = 0; how < 3; how++) {
		crash(&im);
		assert_int_equal(owfs_super_read(emubd_blkdev(im.e), &lost, &s,
						 NULL), 0);
		lose_newest(&im, &s, how);
		assert_int_equal(image_repair(&im, &r), 0);
		assert_int_equal(r.left.problems, how == 1);
		emubd_fault(im.e, EMUBD_READ, 1, 0, EIO);
		assert_int_equal(owfs_super_read(emubd_blkdev(im.e), &sb, &s,
						 NULL), 0);
		assert_int_equal(s.bad, 0);
		assert_true(sb.next_gen > lost.next_gen + 1000000);
		assert_true(sb.seq > lost.seq + 1000000);
		assert_true(sb.ino_limit > lost.ino_limit);
		image_free(&im);
	}
}

/* ------------------------------------------- a slot that cannot be written */

static void make_count_wrong(struct image *im)
{
	struct owfs_inode_item d;

	image_fork(im, &plain.im);
	edit_begin(im);
	d = inode_get(im, im->file);
	d.nblocks = cpu_to_le64(le64_to_cpu(d.nblocks) + 1);
	inode_put(im, im->file, &d);
	edit_end(im);
}

/* All else is repaired, the slot is named, and who knows it goes round no more. */
static void judge_worn_slot(unsigned int slot, bool unreadable)
{
	uint64_t size = emubd_blkdev(plain.im.e)->size, hash;
	uint64_t pos = (uint64_t)owfs_geo_super_pos(size, slot);
	struct report text = { .text = NULL };
	struct owfs_repair_report r;
	struct image im;
	char line[40];

	make_count_wrong(&im);
	emubd_fault_range(im.e, EMUBD_WRITE, pos, 512, EIO);
	if (unreadable)
		emubd_fault_range(im.e, EMUBD_READ, pos, 512, EIO);
	assert_int_equal(repair(&im, &text, &r), 0);
	assert_true(r.changed);
	assert_int_equal(r.left.problems, 1);
	assert_int_equal(r.left.count[BAD_SUPER_SLOT], 1);
	snprintf(line, sizeof(line), "superblock %u: cannot be written", slot);
	assert_non_null(strstr(text.text, line));
	free(text.text);

	hash = emubd_hash(im.e);
	assert_int_equal(image_repair(&im, &r), 0);
	assert_int_equal(r.left.problems, unreadable);
	assert_int_equal(r.left.count[BAD_SUPER_SLOT] +
			 r.left.count[BAD_SUPER_SLOTS], unreadable);
	assert_true(emubd_hash(im.e) == hash);

	emubd_fault(im.e, EMUBD_WRITE, 1, 0, EIO);
	emubd_fault(im.e, EMUBD_READ, 1, 0, EIO);
	assert_int_equal(image_repair(&im, &r), 0);
	assert_int_equal(r.left.problems, 0);
	assert_true(image_digest(&im) == image_digest(&plain.im));
	image_free(&im);
}

static void test_a_superblock_that_cannot_be_written_stops_nothing(void **state)
{
	unsigned int slot;

	(void)state;
	for (slot = 0; slot < OWFS_SUPER_SLOTS; slot++) {
		judge_worn_slot(slot, false);
		judge_worn_slot(slot, true);
	}
}

/* Blocks of two files, one of which cannot be read: the copy has a hole. */
static void test_data_that_cannot_be_copied_is_given_up(void **state)
{
	struct report text = { .text = NULL };
	struct owfs_repair_report r;
	struct edit_place pl;
	struct edit ed;
	struct image im;
	char line[64];

	(void)state;
	image_fork(&im, &plain.im);
	assert_int_equal(edit_open(&ed, emubd_blkdev(im.e), &im.env.env), 0);
	assert_int_equal(edit_line(&ed, "set extent:other fsblock $extent:file,fsblock"), 0);
	assert_int_equal(edit_find(&ed, "data:file", &pl), 0);
	emubd_fault_range(im.e, EMUBD_READ,
			  (edit_last(&pl)->addr[0] + 1) * 4096, 4096, EIO);
	edit_place_free(&pl);
	assert_int_equal(repair(&im, &text, &r), 0);
	assert_int_equal(r.left.problems, 0);
	snprintf(line, sizeof(line), "given up: inode %u: a block of data",
		 (unsigned int)im.other);
	assert_non_null(strstr(text.text, line));
	assert_null(scene_use(&im));
	free(text.text);
	image_free(&im);
}

static int setup(void **state)
{
	(void)state;
	image_make(&plain.im, 4096, 1);
	scene_age(&plain);
	scene_learn(&plain);
	image_make(&dup.im, 4096, 2);
	scene_age(&dup);
	scene_learn(&dup);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	scene_free(&plain);
	scene_free(&dup);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_unreadable_node_is_worked_around),
		cmocka_unit_test(test_an_unreadable_copy_is_worked_around),
		cmocka_unit_test(test_an_unreadable_superblock_stops_nothing),
		cmocka_unit_test(test_a_newest_superblock_that_cannot_be_read_stays),
		cmocka_unit_test(test_another_superblock_that_cannot_be_read_is_written),
		cmocka_unit_test(test_numbers_of_a_lost_superblock_are_not_used_again),
		cmocka_unit_test(test_a_superblock_that_cannot_be_written_stops_nothing),
		cmocka_unit_test(test_data_that_cannot_be_copied_is_given_up),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
