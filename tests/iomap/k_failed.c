/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Operations that fail half way.  Of such a one the kernel forgets nothing by
 * itself: the mappings that it keeps must not be of blocks that were given up.
 */
#include "golden.h"

#include "object/extent.h"
#include "file/staging.h"

#define LARGE	(128u << 20)

/* ------------------------------------------------------------------ failures */

static unsigned int load_fails, alloc_fails;	/* the nth from now; 0: none */

int __real_owfs_extent_edit_load(struct owfs_extent_edit *ed, owfs_fileoff_t off,
				 owfs_fileoff_t end, unsigned int max);
int __wrap_owfs_extent_edit_load(struct owfs_extent_edit *ed, owfs_fileoff_t off,
				 owfs_fileoff_t end, unsigned int max);

int __wrap_owfs_extent_edit_load(struct owfs_extent_edit *ed, owfs_fileoff_t off,
				 owfs_fileoff_t end, unsigned int max)
{
	if (load_fails && !--load_fails)
		return -EIO;
	return __real_owfs_extent_edit_load(ed, off, end, max);
}

int __real_owfs_staging_alloc(struct owfs_fs *fs, owfs_fsblock_t goal,
			      uint64_t want, enum owfs_resv_class class,
			      owfs_fsblock_t *fsblock, uint64_t *len);
int __wrap_owfs_staging_alloc(struct owfs_fs *fs, owfs_fsblock_t goal,
			      uint64_t want, enum owfs_resv_class class,
			      owfs_fsblock_t *fsblock, uint64_t *len);

int __wrap_owfs_staging_alloc(struct owfs_fs *fs, owfs_fsblock_t goal,
			      uint64_t want, enum owfs_resv_class class,
			      owfs_fsblock_t *fsblock, uint64_t *len)
{
	if (alloc_fails && !--alloc_fails)
		return -ENOSPC;
	return __real_owfs_staging_alloc(fs, goal, want, class, fsblock, len);
}

/* ------------------------------------------------------------------- fixture */

static int setup_large(void **state)
{
	(void)state;
	(void)setup;
	rig_env_init(&env, 7);
	e = rig_mkfs(&env, LARGE, BS, 1);
	assert_non_null(e);
	server_up();
	load_fails = alloc_fails = 0;
	return 0;
}

/* A file of @blocks, of which the kernel keeps where block 0 is. */
static struct kfile *known(uint64_t blocks, unsigned char *data)
{
	struct kfile *f = kmodel_create(&k, "f");
	struct fuse_file_iomap rd, wr;

	memset(data, 'a', blocks * BS);
	assert_int_equal(kmodel_direct_write(&k, f, 0, blocks * BS, data), 0);
	assert_int_equal(kmodel_fsync(&k, f), 0);
	assert_int_equal(kmodel_begin(&k, f, 0, 0, BS, &rd, &wr), 0);
	assert_true(kmodel_cache_find(&k, f, 0, 0, BS, &rd, &wr));
	assert_int_equal(rd.type, FUSE_IOMAP_TYPE_MAPPED);
	return f;
}

static bool is_known(struct kfile *f)
{
	struct fuse_file_iomap rd, wr;

	return kmodel_cache_find(&k, f, 0, 0, BS, &rd, &wr);
}

/* -------------------------------------------------------------------- tests */

static void test_an_ioend_that_fails_half_way(void **state)
{
	const uint64_t blocks = OWFS_IOEND_BLOCKS + 1;
	unsigned char *data = test_calloc(blocks, BS);
	struct kfile *f = known(blocks, data);

	(void)state;
	load_fails = 2;
	assert_int_equal(kmodel_direct_write(&k, f, 0, blocks * BS, data), -EIO);
	assert_int_equal(load_fails, 0);
	assert_false(is_known(f));
	test_free(data);
}

static void test_a_range_that_was_cut_and_not_filled(void **state)
{
	struct { uint64_t fh, pos, len; uint32_t mode, pad; } in = {
		.len = 64 * BS, .mode = FALLOC_FL_ZERO_RANGE,
	};
	struct kfile *f = known(64, buf);

	(void)state;
	alloc_fails = 1;
	assert_int_equal(kmodel_call(&k, 43, f->nodeid, &in, sizeof(in), NULL,
				     0, NULL), -ENOSPC);
	assert_int_equal(alloc_fails, 0);
	assert_false(is_known(f));
}

#define TL(name) cmocka_unit_test_setup_teardown(name, setup_large, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TL(test_an_ioend_that_fails_half_way),
		TL(test_a_range_that_was_cut_and_not_filled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
