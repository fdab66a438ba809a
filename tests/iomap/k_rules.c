/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kernel relies on beyond the data of a file: swap files, frozen
 * files, times, close, freezing and thawing; and that a filesystem is the same
 * whoever moves its data.
 */
#include "golden.h"

static void test_freeze_and_thaw(void **state)
{
	const uint64_t zero = 0;

	(void)state;
	assert_int_equal(kmodel_syncfs(&k), 0);
	assert_int_equal(kmodel_call(&k, 4089, 1, &zero, 8, NULL, 0, NULL), 0);
	assert_int_equal(kmodel_call(&k, 4090, 1, NULL, 0, NULL, 0, NULL), 0);
	assert_int_equal(kmodel_call(&k, 4091, 1, &zero, 8, NULL, 0, NULL), 0);
}

static void test_one_block_can_be_written_atomically(void **state)
{
	struct kfile *f = kmodel_create(&k, "f");
	struct fuse_file_iomap rd, wr;
	const char in[24] = { 0 };
	uint32_t out[72], word;
	size_t len = 0;

	(void)state;
	put(f, 0, 2 * BS, 'a');
	assert_int_equal(kmodel_fsync(&k, f), 0);
	assert_int_equal(kmodel_begin(&k, f, 0x211, BS, BS, &rd, &wr), 0);
	assert_int_equal(wr.type, FUSE_IOMAP_TYPE_UNWRITTEN);
	assert_int_equal(wr.offset, BS);
	assert_int_equal(wr.length, BS);
	kmodel_end(&k, f, 0x211, BS, BS, 0, &wr, false);
	/* there is no other way for it than directly */
	assert_int_equal(kmodel_mmap_store(&k, f, BS, 1, "m"), 0);
	assert_int_equal(kmodel_begin(&k, f, 0x211, BS, BS, &rd, &wr), -EAGAIN);
	assert_int_equal(kmodel_fsync(&k, f), 0);
	/* statx says so */
	assert_int_equal(kmodel_call(&k, 52, f->nodeid, in, sizeof(in), out,
				     sizeof(out), &len), 0);
	assert_int_equal(len, 288);
	word = out[32 / 4];
	assert_int_equal(word & 0x12000, 0x12000);
	assert_int_equal(out[(32 + 152) / 4], 512);
	assert_int_equal(out[(32 + 156) / 4], 512);
	assert_int_equal(out[(32 + 168) / 4], BS);
	assert_int_equal(out[(32 + 172) / 4], BS);
	assert_int_equal(out[(32 + 176) / 4], 1);
}

static void test_what_chattr_forbids_stays_forbidden(void **state)
{
	struct kfile *f = kmodel_create(&k, "f");
	struct fuse_file_iomap rd, wr;
	struct owfs_inode *inode;

	(void)state;
	put(f, 0, BS, 'a');
	assert_int_equal(kmodel_fsync(&k, f), 0);
	put(f, BS, BS, 'b');
	assert_int_equal(owfs_iget(k.srv.fs, f->nodeid, &inode), 0);
	assert_int_equal(owfs_flags_set(inode, OWFS_INODE_APPEND,
					OWFS_INODE_APPEND, NULL), 0);
	assert_int_equal(kmodel_begin(&k, f, KM_WRITE, 0, BS, &rd, &wr), -EPERM);
	assert_int_equal(kmodel_begin(&k, f, KM_DIO_WRITE, 0, BS, &rd, &wr),
			 -EPERM);
	assert_int_equal(kmodel_begin(&k, f, KM_WRITE, 2 * BS, BS, &rd, &wr), 0);
	kmodel_end(&k, f, KM_WRITE, 2 * BS, BS, 0, &wr, false);
	/* what was written before can be written back */
	assert_int_equal(kmodel_writeback(&k, f, 0, UINT32_MAX), 0);
	kmodel_complete(&k, f, false);
	assert_int_equal(owfs_flags_set(inode, OWFS_INODE_APPEND, 0, NULL), 0);
	owfs_iput(inode);
	assert_int_equal(kmodel_fsync(&k, f), 0);
	reread(f);
}

static void test_a_listed_file_is_the_kernels_too(void **state)
{
	struct { uint64_t fh, offset; uint32_t size, flags; uint64_t owner;
		 uint32_t f, pad; } in = { .size = 4096 };
	char out[4096];
	uint64_t ino;
	uint32_t flags, namelen;
	size_t len = 0, at;
	unsigned int seen = 0;

	(void)state;
	assert_non_null(kmodel_create(&k, "f"));
	assert_int_equal(kmodel_call(&k, 44, 1, &in, sizeof(in), out,
				     sizeof(out), &len), 0);
	for (at = 0; at + 152 < len; at += 128 + ((24 + namelen + 7) & ~7u)) {
		memcpy(&ino, out + at, 8);
		memcpy(&flags, out + at + 124, 4);
		memcpy(&namelen, out + at + 128 + 16, 4);
		assert_int_equal(flags, ino ? 28 : 0);
		seen += ino != 0;
	}
	assert_int_equal(seen, 1);
}

static void test_a_device_that_is_gone_is_written_no_more(void **state)
{
	struct kfile *f = kmodel_create(&k, "f");
	const uint64_t zero = 0;
	struct fuse_file_iomap rd, wr;

	(void)state;
	put(f, 0, BS, 'a');
	assert_int_equal(kmodel_fsync(&k, f), 0);
	assert_int_equal(kmodel_call(&k, 4091, 1, &zero, 8, NULL, 0, NULL), 0);
	assert_int_equal(kmodel_begin(&k, f, KM_WRITE, 0, BS, &rd, &wr), -EIO);
	kmodel_crash(&k);
	server_up();
}

/* Who comes after DESTROY finds everything done and nobody there. */
static void test_late_requests_do_no_harm(void **state)
{
	struct { uint64_t fh; uint32_t flags, release_flags; uint64_t owner; }
		in = { 0 };
	struct kfile *f = kmodel_create(&k, "f");
	struct fuse_file_iomap rd, wr;

	(void)state;
	put(f, 0, BS, 'a');
	assert_int_equal(kmodel_close(&k, f), 0);
	assert_int_equal(kmodel_call(&k, 38, 0, NULL, 0, NULL, 0, NULL), 0);
	assert_int_equal(kmodel_call(&k, 18, f->nodeid, &in, sizeof(in), NULL,
				     0, NULL), 0);
	assert_int_equal(kmodel_begin(&k, f, KM_READ, 0, BS, &rd, &wr), -EIO);
	assert_int_equal(kmodel_ioend(&k, f, 1u << 5 | 1u << 1, 0, 0, BS, 0, 0),
			 -EIO);
	kmodel_crash(&k);
	server_up();
	assert_int_equal(kmodel_lookup(&k, "f")->size, BS);
}

/* A kernel never asks for that; who does is not served for ever. */
static void test_an_end_of_more_than_there_is_comes_to_an_end(void **state)
{
	struct kfile *f = kmodel_create(&k, "f");
	struct fuse_file_iomap rd, wr;

	(void)state;
	put(f, 0, BS, 'a');
	assert_int_equal(kmodel_fsync(&k, f), 0);
	assert_int_equal(kmodel_begin(&k, f, KM_DIO_WRITE, 0, BS, &rd, &wr), 0);
	assert_int_equal(kmodel_end(&k, f, KM_DIO_WRITE, 0, 1ull << 62, 0, &wr,
				    false), 0);
	assert_int_equal(kmodel_ioend(&k, f, 1u << 3, -EIO, 0, 1ull << 62, 0,
				      0), -EINVAL);
	memset(buf, 'b', BS);
	assert_int_equal(kmodel_direct_write(&k, f, 0, BS, buf), 0);
	assert_int_equal(kmodel_fsync(&k, f), 0);
	reread(f);
}

static void test_what_is_swapped_to_stays_where_it_is(void **state)
{
	struct kfile *f = kmodel_create(&k, "swap"), *g = kmodel_create(&k, "g");
	struct fuse_file_iomap rd, wr;

	(void)state;
	put(f, 0, 4 * BS, 's');
	assert_int_equal(kmodel_fallocate(&k, f, 0, 4 * BS, 4 * BS), 0);
	put(g, 0, BS, 'g');
	assert_int_equal(kmodel_swapon(&k, f), 0);
	assert_int_equal(kmodel_begin(&k, f, KM_WRITE, 0, BS, &rd, &wr),
			 -ETXTBSY);
	assert_int_equal(kmodel_begin(&k, f, KM_DIO_WRITE, 0, BS, &rd, &wr),
			 -ETXTBSY);
	assert_int_equal(kmodel_truncate(&k, f, BS), -ETXTBSY);
	assert_int_equal(kmodel_fallocate(&k, f, FALLOC_FL_PUNCH_HOLE |
					  FALLOC_FL_KEEP_SIZE, 0, BS), -ETXTBSY);
	assert_int_equal(kmodel_copy(&k, f, 0, g, 0, BS), -ETXTBSY);
	assert_int_equal(kmodel_copy(&k, g, 0, f, 0, BS), -ETXTBSY);
	kmodel_swapoff(&k, f);
	kmodel_reclaim(&k, f, false);
	assert_int_equal(kmodel_truncate(&k, f, BS), 0);
	put(f, 0, BS, 'n');
	assert_int_equal(kmodel_fsync(&k, f), 0);
	reread(f);
}

static void test_a_swapon_that_fails_leaves_the_file_alone(void **state)
{
	struct kfile *f = kmodel_create(&k, "swap");

	(void)state;
	put(f, 4 * BS, BS, 's');
	assert_int_equal(kmodel_swapon(&k, f), -EINVAL);
	put(f, 0, BS, 'n');
	assert_int_equal(kmodel_fsync(&k, f), 0);
	reread(f);
}

static void chattr(struct kfile *f, uint32_t flags)
{
	struct owfs_inode *inode;

	assert_int_equal(owfs_iget(k.srv.fs, f->nodeid, &inode), 0);
	assert_int_equal(owfs_flags_set(inode, OWFS_INODE_APPEND |
					OWFS_INODE_IMMUTABLE, flags, NULL), 0);
	owfs_iput(inode);
}

/* Times come with the last close, whatever the file has become since. */
static void test_frozen_files_can_be_closed(void **state)
{
	struct kfile *f = kmodel_create(&k, "f");

	(void)state;
	put(f, 0, BS, 'a');
	chattr(f, OWFS_INODE_IMMUTABLE);
	assert_int_equal(kmodel_close(&k, f), 0);
	f->times_dirty = true;		/* of a read */
	assert_int_equal(kmodel_close(&k, f), 0);
	chattr(f, OWFS_INODE_APPEND);
	put(f, BS, BS, 'b');
	assert_int_equal(kmodel_close(&k, f), 0);
	reread(f);
}

/* The kernel does not hear when an ioend fails; fsync and close tell. */
static void test_close_and_fsync_say_what_was_lost(void **state)
{
	struct kfile *f = kmodel_create(&k, "f");

	(void)state;
	put(f, 0, 2 * BS, 'a');
	assert_int_equal(kmodel_fsync(&k, f), 0);
	put(f, 0, BS, 'b');
	assert_int_equal(kmodel_writeback(&k, f, 0, BS), 0);
	k.srv.fs->fs_readonly = true;
	kmodel_complete(&k, f, false);
	k.srv.fs->fs_readonly = false;
	assert_true(f->untold);
	assert_int_equal(kmodel_close(&k, f), -EROFS);
	assert_int_equal(kmodel_fsync(&k, f), -EROFS);
}

static void test_a_device_that_fails_makes_it_read_only(void **state)
{
	struct kfile *f = kmodel_create(&k, "f"), *g = kmodel_create(&k, "g");
	struct fuse_file_iomap rd, wr;

	(void)state;
	put(f, 0, BS, 'a');
	put(g, 0, BS, 'g');
	assert_int_equal(kmodel_fsync(&k, f), 0);
	put(f, 0, BS, 'b');
	emubd_fault(e, EMUBD_WRITE, 1, 1, EIO);
	assert_int_equal(kmodel_fsync(&k, f), -EIO);
	assert_int_equal(kmodel_begin(&k, g, KM_WRITE, 0, BS, &rd, &wr), -EROFS);
	kmodel_crash(&k);
	server_up();
	f = kmodel_lookup(&k, "f");
	assert_int_equal(f->size, BS);
}

/* ... but not if it is only full, or the writer's memory is not there. */
static void test_other_errors_are_those_of_the_writer(void **state)
{
	struct kfile *f = kmodel_create(&k, "f");
	struct fuse_file_iomap rd, wr;

	(void)state;
	assert_int_equal(kmodel_begin(&k, f, KM_DIO_WRITE, 0, BS, &rd, &wr), 0);
	kmodel_ioend(&k, f, 1u << 3 | 1u << 1, -EFAULT, 0, BS, 0,
		     FUSE_IOMAP_NULL_ADDR);
	put(f, 0, BS, 'b');
	emubd_fault(e, EMUBD_WRITE, 1, 1, ENOSPC);
	assert_int_equal(kmodel_fsync(&k, f), -ENOSPC);
	put(f, 0, BS, 'c');
	assert_int_equal(kmodel_fsync(&k, f), 0);
	reread(f);
}

/* ------------------------------------------------------- several direct writes */

static void fly(struct kfile *f, uint64_t pos, uint64_t len, int c)
{
	memset(buf, c, len);
	assert_int_equal(kmodel_direct_async(&k, f, pos, len, buf), 0);
	assert_non_null(f->flights);
}

static void test_direct_writes_land_in_any_order(void **state)
{
	struct kfile *f = kmodel_create(&k, "f");

	(void)state;
	put(f, 0, 8 * BS, 'a');
	assert_int_equal(kmodel_fsync(&k, f), 0);
	fly(f, 0, 2 * BS, 'b');
	fly(f, 4 * BS, 2 * BS, 'c');
	put(f, 2 * BS, BS, 'd');
	assert_int_equal(kmodel_fsync(&k, f), 0);
	kmodel_land(&k, f, false);
	assert_int_equal(stat_now().staged, 0);
	assert_int_equal(kmodel_fsync(&k, f), 0);
	reread(f);
}

/* No thread of the server may wait for a request that none is left to serve. */
static void test_a_store_beside_a_direct_write_is_answered_later(void **state)
{
	struct kfile *f = kmodel_create(&k, "f");

	(void)state;
	assert_int_equal(kmodel_truncate(&k, f, 4 * BS), 0);
	fly(f, 512, 512, 'd');
	k.trace[0] = '\0';
	put(f, 2048, 100, 'b');
	/* answered by way of the cache, which the ioend's end then clears */
	said("BEGIN 1 2048+100\n"
	     "IOEND a 512+512 error 0 dev 0\n"
	     "BEGIN 1 2048+100\n");
	assert_null(f->flights);
	assert_int_equal(kmodel_fsync(&k, f), 0);
	reread(f);
}

/* ------------------------------------------------------------- either mode */

static void own_write(const char *name, uint64_t pos, uint64_t len, int c)
{
	struct owfs_inode *root, *inode;

	assert_int_equal(owfs_iget(k.srv.fs, OWFS_INO_ROOT, &root), 0);
	assert_int_equal(owfs_lookup(root, name, strlen(name), &inode), 0);
	memset(buf, c, len);
	assert_int_equal(owfs_file_write(inode, buf, len, (loff_t)pos, false, 0),
			 len);
	assert_int_equal(owfs_file_fallocate(inode, FALLOC_FL_PUNCH_HOLE |
					     FALLOC_FL_KEEP_SIZE, 3 * BS + 100,
					     BS), 0);
	owfs_iput(inode);
	owfs_iput(root);
}

/* Written by the kernel, by the server, by the kernel again: one file. */
static void test_a_filesystem_is_the_same_in_either_mode(void **state)
{
	unsigned char want[8 * BS];
	struct owfs_fs *fs;
	struct kfile *f;
	int round;

	(void)state;
	memset(want, 0, sizeof(want));
	assert_non_null(kmodel_create(&k, "f"));
	for (round = 0; round < 6; round++) {
		f = kmodel_lookup(&k, "f");
		assert_non_null(f);
		kmodel_expect(f, want, f->size);
		reread(f);
		put(f, (uint64_t)round * 1000, 2 * BS, 'k' + round);
		assert_int_equal(kmodel_fallocate(&k, f, FALLOC_FL_KEEP_SIZE,
						  6 * BS, BS), 0);
		put(f, 6 * BS + 5, 10, 'p' + round);
		assert_int_equal(kmodel_syncfs(&k), 0);
		memcpy(want, f->want, f->size);
		assert_int_equal(kmodel_unmount(&k), 0);

		assert_int_equal(rig_mount(&fs, e, &env, 0, NULL), 0);
		assert_false(fs->fs_kernel_io);
		k.srv.fs = fs;
		own_write("f", 4 * BS - 300, 600, 'A' + round);
		memset(want + 4 * BS - 300, 'A' + round, 600);
		memset(want + 3 * BS + 100, 0, BS);
		assert_int_equal(owfs_unmount(fs), 0);
		server_up();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_freeze_and_thaw),
		T(test_one_block_can_be_written_atomically),
		T(test_what_chattr_forbids_stays_forbidden),
		T(test_a_listed_file_is_the_kernels_too),
		T(test_a_device_that_is_gone_is_written_no_more),
		T(test_late_requests_do_no_harm),
		T(test_an_end_of_more_than_there_is_comes_to_an_end),
		T(test_what_is_swapped_to_stays_where_it_is),
		T(test_a_swapon_that_fails_leaves_the_file_alone),
		T(test_frozen_files_can_be_closed),
		T(test_close_and_fsync_say_what_was_lost),
		T(test_a_device_that_fails_makes_it_read_only),
		T(test_other_errors_are_those_of_the_writer),
		T(test_direct_writes_land_in_any_order),
		T(test_a_store_beside_a_direct_write_is_answered_later),
		T(test_a_filesystem_is_the_same_in_either_mode),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
