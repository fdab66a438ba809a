/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What works on a full device, and for how long (P7): everything that frees,
 * always; everything that gives back what it takes, until metadata has grown
 * by the share that is lent.
 */
#include "full_fixture.h"

#include <fcntl.h>
#include <linux/falloc.h>

#include "file/cut.h"
#include "object/intent.h"

#define BS	4096u
#define DEVICE	(16u * MIB)
#define PUNCH	(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)

static struct rng rng;

/* Until not even one block finds room, nor a name. */
static void fill_up(struct disk *d)
{
	struct owfs_inode *inode = new_file(d), *more;
	uint64_t pos = 0;
	size_t len;

	for (len = MIB; len >= BS; len /= 2)
		while (put(d, inode, len, pos))
			pos += len;
	while ((more = new_file(d)))
		owfs_iput(more);
	owfs_iput(inode);
}

static struct owfs_inode *file_of(struct disk *d, size_t len)
{
	struct owfs_inode *inode = new_file(d);
	uint64_t pos;

	assert_non_null(inode);
	memset(buf, 'x', MIB);
	for (pos = 0; pos < len; pos += MIB)
		assert_true(put(d, inode, MIB, pos));
	return inode;
}

static void assert_block(struct owfs_inode *inode, uint64_t pos, int c)
{
	static char block[BS];
	size_t i;

	assert_int_equal(owfs_file_read(inode, block, BS, (loff_t)pos), BS);
	for (i = 0; i < BS; i++)
		assert_int_equal(block[i], c);
}

static ssize_t write_some(struct owfs_inode *inode, size_t len, uint64_t pos)
{
	return owfs_file_write_as(inode, buf, len, (loff_t)pos,
				  OWFS_WRITE_SOME);
}

static int name_of(char *name, unsigned int i)
{
	return sprintf(name, "f%u", i);
}

/* Everything goes, and the space is back. */
static void remove_all(struct disk *d, uint64_t had)
{
	char name[16];
	unsigned int i;
	int ret;

	for (i = 0; i < d->names; i++) {
		ret = owfs_unlink(d->root, name, (size_t)name_of(name, i));
		assert_true(ret == 0 || ret == -ENOENT);
	}
	settle(d);
	assert_in_range(available(d), had - had / 200, had);
	disk_done(d);
}

static void for_both(void (*fn)(struct disk *d))
{
	unsigned int copies;
	struct disk d;

	for (copies = 1; copies <= 2; copies++) {
		rng.s = copies;
		disk_make(&d, DEVICE, BS, copies);
		fn(&d);
	}
}

/* --------------------------------------------------------------- overwriting */

static void overwrite(struct disk *d)
{
	uint64_t had = available(d), pos;
	struct owfs_inode *inode = file_of(d, 6 * MIB);
	unsigned int i;

	fill_up(d);
	for (i = 0; i < 4000; i++) {
		pos = rng_below(&rng, 6 * MIB / BS) * BS;
		memset(buf, (int)(i % 100), BS);
		assert_true(put(d, inode, BS, pos));
		assert_block(inode, pos, (int)(i % 100));
	}
	/* parts of blocks, and across their borders */
	for (i = 0; i < 500; i++)
		assert_true(put(d, inode, 5000,
				rng_below(&rng, 6 * MIB - 5000)));
	owfs_iput(inode);
	remove_all(d, had);
}

static void test_blocks_can_be_overwritten_for_ever(void **state)
{
	(void)state;
	for_both(overwrite);
}

/* A request for which there is no room at once is whole or nothing, or short. */
static void overwrite_large(struct disk *d)
{
	uint64_t had = available(d), pos = 0;
	struct owfs_inode *inode = file_of(d, 2 * MIB);
	ssize_t n;

	fill_up(d);
	memset(buf, 'n', MIB);
	assert_int_equal(owfs_file_write(inode, buf, MIB, 0, false, false),
			 -ENOSPC);
	assert_block(inode, 0, 'x');
	assert_block(inode, MIB - BS, 'x');
	while (pos < 2 * MIB) {
		n = write_some(inode, min_u64(MIB, 2 * MIB - pos), pos);
		assert_true(n > 0);
		pos += (uint64_t)n;
	}
	assert_block(inode, 0, 'n');
	assert_block(inode, 2 * MIB - BS, 'n');
	owfs_iput(inode);
	remove_all(d, had);
}

static void test_large_overwrites_come_in_parts(void **state)
{
	(void)state;
	for_both(overwrite_large);
}

/* As much as there is room for, to the last blocks. */
static void short_write(struct disk *d)
{
	uint64_t had = available(d), pos = 0;
	struct owfs_inode *inode = new_file(d);
	ssize_t n;

	while ((n = write_some(inode, MIB, pos)) > 0)
		pos += (uint64_t)n;
	assert_int_equal(n, -ENOSPC);
	assert_int_equal(inode->i_attr.size, pos);
	assert_in_range(available(d), 0, 64 * BS * d->fs->fs_super.meta_copies);
	owfs_iput(inode);
	remove_all(d, had);
}

static void test_a_write_is_short_where_the_device_ends(void **state)
{
	(void)state;
	for_both(short_write);
}

/* What was preallocated can be written, whoever has taken the rest. */
static void preallocated(struct disk *d)
{
	uint64_t had = available(d), pos;
	struct owfs_inode *inode = new_file(d);
	unsigned int i;

	assert_int_equal(owfs_file_fallocate(inode, 0, 0, 6 * MIB), 0);
	fill_up(d);
	memset(buf, 'p', MIB);
	for (i = 0; i < 6 * MIB / BS; i++) {
		pos = i * 7919ull % (6 * MIB / BS) * BS;
		assert_true(put(d, inode, BS, pos));
		assert_block(inode, pos, 'p');
	}
	owfs_iput(inode);
	remove_all(d, had);
}

static void test_preallocated_blocks_can_be_written(void **state)
{
	(void)state;
	for_both(preallocated);
}

/*
 * Room for the blocks, but they lie in pieces, and there is none for so many
 * extents: what was given before that was found out is taken back.
 */
static void refuse_preallocation(struct disk *d)
{
	uint64_t had = available(d), room;
	struct owfs_inode *inode, *more;
	unsigned int i, n;
	char name[16];

	while ((more = new_file(d))) {
		ssize_t ret = owfs_file_write(more, buf, BS, 0, false, false);

		owfs_iput(more);
		if (ret < 0)
			break;
	}
	for (i = 0, n = d->names; i < n; i += 2)
		assert_int_equal(owfs_unlink(d->root, name,
					     (size_t)name_of(name, i)), 0);
	settle(d);
	inode = new_file(d);
	assert_true(put(d, inode, BS, 5 * BS));
	settle(d);
	room = available(d) / BS;
	assert_in_range(room, 100, DEVICE / BS);
	assert_int_equal(owfs_file_fallocate(inode, 0, 0, (loff_t)(room * BS)),
			 -ENOSPC);
	settle(d);
	assert_int_equal(inode->i_attr.nblocks, 1);
	assert_int_equal(inode->i_attr.size, 6 * BS);
	assert_block(inode, 5 * BS, buf[0]);
	assert_in_range(available(d) / BS, room - 8 * d->fs->fs_super.meta_copies,
			room + 8);
	owfs_iput(inode);
	remove_all(d, had);
}

static void test_preallocation_is_all_or_nothing(void **state)
{
	(void)state;
	for_both(refuse_preallocation);
}

/* ---------------------------------------------------------- names, attributes */

static void change_attributes(struct disk *d)
{
	uint64_t had = available(d);
	struct owfs_inode *inode = file_of(d, MIB);
	struct owfs_attr attr = { 0 };
	unsigned int i;

	assert_int_equal(owfs_setxattr(inode, "user.x", 6, buf, 2000, 0), 0);
	fill_up(d);
	for (i = 0; i < 2000; i++) {
		attr.mode = i % 0777;
		assert_int_equal(owfs_setattr(inode, &attr, OWFS_SET_MODE), 0);
		attr.size = MIB + i;
		assert_int_equal(owfs_setattr(inode, &attr, OWFS_SET_SIZE), 0);
		assert_int_equal(owfs_setxattr(inode, "user.x", 6, buf,
					       2000 - i / 2, 0), 0);
		assert_int_equal(owfs_rename(d->root, i % 2 ? "g" : "f0",
					     i % 2 ? 1 : 2, d->root,
					     i % 2 ? "f0" : "g", i % 2 ? 2 : 1,
					     0, NULL), 0);
	}
	owfs_iput(inode);
	remove_all(d, had);
}

static void test_attributes_and_names_can_be_changed(void **state)
{
	(void)state;
	for_both(change_attributes);
}

/* Longer and longer names: metadata grows, and the share that is lent ends. */
static void grow_names(struct disk *d)
{
	uint64_t had = available(d);
	char name[16], longer[256];
	unsigned int i, n, done = 0;
	struct owfs_inode *inode;
	int ret;

	while ((inode = new_file(d)))
		owfs_iput(inode);
	memset(longer, 'l', sizeof(longer));
	for (i = 0, n = d->names; i < n; i++) {
		snprintf(longer + 240, 15, "%u", i);
		ret = owfs_rename(d->root, name, (size_t)name_of(name, i),
				  d->root, longer, strlen(longer), 0, NULL);
		if (ret)
			break;
		done++;
	}
	print_message("%u of %u renamed\n", done, n);
	assert_int_equal(ret, -ENOSPC);
	assert_in_range(done, 300, n - 1);
	for (i = 0; i < done; i++) {
		snprintf(longer + 240, 15, "%u", i);
		assert_int_equal(owfs_unlink(d->root, longer, strlen(longer)),
				 0);
	}
	remove_all(d, had);
}

static void test_renames_end_before_unlink_does(void **state)
{
	(void)state;
	for_both(grow_names);
}

/* -------------------------------------------------------------------- cutting */

/* Whole blocks go for ever; parts of them while there is a share to borrow. */
static void punch_many(struct disk *d)
{
	uint64_t had = available(d), pos;
	struct owfs_inode *inode = file_of(d, 8 * MIB);
	struct owfs_attr attr = { 0 };
	unsigned int i;

	fill_up(d);
	for (i = 0; i < 10000; i++) {
		pos = rng_below(&rng, 8 * MIB / BS) * BS;
		assert_int_equal(owfs_file_fallocate(inode, PUNCH,
					(loff_t)pos + 100, 200), 0);
		pos = rng_below(&rng, 8 * MIB / BS) * BS;
		if (i % 5 == 0)
			assert_int_equal(owfs_file_fallocate(inode, PUNCH,
						(loff_t)pos, BS), 0);
	}
	for (attr.size = 8 * MIB; attr.size > MIB; attr.size -= 100001)
		assert_int_equal(owfs_setattr(inode, &attr, OWFS_SET_SIZE), 0);
	owfs_iput(inode);
	remove_all(d, had);
}

static void test_punching_never_ends(void **state)
{
	(void)state;
	for_both(punch_many);
}

/*
 * Nothing but parts of blocks, on a device so large that an extent for each
 * block is more than the share: then what frees still works.
 */
static void zero_parts(struct disk *d)
{
	struct owfs_inode *inode = file_of(d, 100 * MIB);
	uint64_t had = available(d) + 100 * MIB, pos;
	unsigned int done = 0;
	int ret = 0;

	fill_up(d);
	for (pos = 0; pos < 100 * MIB && !ret; pos += 2 * BS) {
		ret = owfs_file_fallocate(inode, FALLOC_FL_ZERO_RANGE,
					  (loff_t)pos + 1, 1);
		done += !ret;
	}
	print_message("%u parts\n", done);
	assert_int_equal(ret, -ENOSPC);
	assert_in_range(done, 4000, 100 * MIB / BS / 2);
	assert_int_equal(owfs_file_fallocate(inode, PUNCH, BS, 100 * BS), 0);
	assert_int_equal(owfs_file_truncate(inode, 50 * MIB + 5), 0);
	owfs_iput(inode);
	remove_all(d, had);
}

static void test_what_is_lent_is_not_unlinks(void **state)
{
	struct disk d;

	(void)state;
	disk_make(&d, 128 * MIB, BS, 1);
	zero_parts(&d);
}

/* ------------------------------------------------------- what comes back later */

/* A file in so many pieces that taking them away is left to the background. */
static struct owfs_inode *scattered_file(struct disk *d)
{
	struct owfs_inode *inode = new_file(d);
	const uint64_t n = DEVICE / BS;
	uint64_t i;

	for (i = 0; i < n && put(d, inode, BS, i * 7919 % n * BS); i++)
		;
	assert_in_range(i, n / 2, n);
	return inode;
}

/* It is not said to be free before it is; and nobody is refused for that. */
static void wait_for_reclaim(struct disk *d)
{
	uint64_t had = available(d), after;
	struct owfs_inode *inode = scattered_file(d);

	assert_int_equal(owfs_unlink(d->root, "f0", 2), 0);
	after = available(d);
	assert_in_range(after, 0, MIB / 2);
	owfs_iput(inode);
	inode = new_file(d);
	assert_non_null(inode);
	assert_in_range(available(d), 0, MIB / 2);
	assert_true(put(d, inode, MIB, 0));
	assert_true(put(d, inode, MIB, MIB));
	owfs_iput(inode);
	remove_all(d, had);
}

static void test_enospc_waits_for_reclaim(void **state)
{
	(void)state;
	for_both(wait_for_reclaim);
}

/* What a commit has to make free is available, and can be had at once. */
static void wait_for_commits(struct disk *d)
{
	uint64_t had = available(d), before;
	struct owfs_inode *inode = file_of(d, 2 * MIB);

	fill_up(d);
	before = available(d);
	assert_int_equal(owfs_file_truncate(inode, 0), 0);
	assert_in_range(available(d), before + 2 * MIB - 8 * BS,
			before + 2 * MIB);
	assert_true(put(d, inode, MIB, 0));
	owfs_iput(inode);
	remove_all(d, had);
}

static void test_what_is_available_can_be_had(void **state)
{
	(void)state;
	for_both(wait_for_commits);
}

/*
 * A file with as many doomed ranges as it may have, on a full device with a
 * tree as high as it gets: cutting them all is more than one generation admits,
 * so that reclaim goes first.
 */
static void cut_doomed(struct disk *d)
{
	uint64_t had = available(d);
	struct owfs_inode *inode, *more;
	unsigned int i, limit = owfs_intents_limit(d->fs);
	struct owfs_attr attr = { .size = 1 };

	while (available(d) > had / 4 && (more = new_file(d)))
		owfs_iput(more);
	assert_in_range(owfs_btree_height(d->fs->fs_bt), 3, 4);
	inode = new_file(d);
	for (i = 0; i < 4 * limit; i++)
		assert_true(put(d, inode, BS, 2ull * i * BS));
	fill_up(d);
	d->fs->fs_param.cut_extents = 1;
	for (i = 0; i < limit; i++)
		assert_int_equal(owfs_file_fallocate(inode, PUNCH,
					8ll * i * BS, 5 * BS), 0);
	assert_true(owfs_inode_has_intents(inode));
	assert_int_equal(owfs_file_fallocate(inode, PUNCH, 0, 3 * MIB), 0);
	assert_int_equal(owfs_setattr(inode, &attr, OWFS_SET_SIZE), 0);
	owfs_iput(inode);
	remove_all(d, had);
}

static void test_doomed_ranges_can_be_cut(void **state)
{
	(void)state;
	for_both(cut_doomed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_blocks_can_be_overwritten_for_ever),
		cmocka_unit_test(test_large_overwrites_come_in_parts),
		cmocka_unit_test(test_a_write_is_short_where_the_device_ends),
		cmocka_unit_test(test_preallocated_blocks_can_be_written),
		cmocka_unit_test(test_preallocation_is_all_or_nothing),
		cmocka_unit_test(test_attributes_and_names_can_be_changed),
		cmocka_unit_test(test_renames_end_before_unlink_does),
		cmocka_unit_test(test_punching_never_ends),
		cmocka_unit_test(test_what_is_lent_is_not_unlinks),
		cmocka_unit_test(test_doomed_ranges_can_be_cut),
		cmocka_unit_test(test_enospc_waits_for_reclaim),
		cmocka_unit_test(test_what_is_available_can_be_had),
	};

	memset(buf, 'x', MIB);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
