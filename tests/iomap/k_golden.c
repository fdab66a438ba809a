/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the server is asked for each thing that a user does, and that it
 * answers rightly: one test for each way to lose data that is known.
 */
#include "golden.h"

/* ---------------------------------------------------------------- sequences */

static void test_new_data_is_reserved_placed_and_mapped(void **state)
{
	struct kfile *f = kmodel_create(&k, "f");

	(void)state;
	put(f, 0, 10000, 'a');
	/* what is left of the last block is answered by way of the cache */
	said("BEGIN 1 0+10000\n"
	     "END 1 0+8192 written 8192 flags 100\n"
	     "BEGIN 1 8192+1808\n"
	     "END 1 8192+1808 written 1808 flags 100\n");
	assert_int_equal(stat_now().staged, 3);
	assert_int_equal(kmodel_fsync(&k, f), 0);
	/* one answer for all that is dirty, one ioend, cut at the end of file */
	said("BEGIN 80000000 0+4096\n"
	     "BEGIN 80000000 4096+4096\n"
	     "IOEND 32 0+10000 error 0 dev 7\n");
	assert_int_equal(stat_now().reserved, 0);
	assert_int_equal(stat_now().staged, 0);
	reread(f);
	said("BEGIN 0 0+12288\n");
	reread(f);
	said("");
}

static void test_whole_blocks_are_reserved_and_placed_together(void **state)
{
	struct kfile *f = kmodel_create(&k, "f");
	char pages[16 * 40], *at = pages;
	unsigned int b;

	(void)state;
	put(f, 0, 8 * BS, 'a');
	put(f, 8 * BS, 8 * BS, 'b');
	said("BEGIN 1 0+32768\n"
	     "END 1 0+32768 written 32768 flags 100\n"
	     "BEGIN 1 32768+32768\n"
	     "END 1 32768+32768 written 32768 flags 100\n");
	assert_int_equal(stat_now().staged, 0);
	assert_true(stat_now().reserved >= 16);
	assert_int_equal(kmodel_fsync(&k, f), 0);
	/* each page is asked for, and all are in one piece */
	for (b = 0; b < 16; b++)
		at += sprintf(at, "BEGIN 80000000 %u+4096\n", b * BS);
	sprintf(at, "IOEND 32 0+65536 error 0 dev 7\n");
	said(pages);
	assert_int_equal(stat_now().reserved, 0);
	reread(f);
}

static void test_a_store_that_waited_is_checked_again(void **state)
{
	struct kfile *f = kmodel_create(&k, "f");
	struct fuse_file_iomap rd, wr;
	uint64_t seq;

	(void)state;
	put(f, 0, BS, 'a');
	assert_int_equal(kmodel_fsync(&k, f), 0);
	reread(f);
	kmodel_reclaim(&k, f, false);
	/* a writer has its mapping and waits for the page ... */
	assert_int_equal(kmodel_begin(&k, f, KM_WRITE, 100, 10, &rd, &wr), 0);
	assert_true(f->by_cache);
	seq = f->by_seq;
	/* ... which others dirty, write back and forget */
	assert_int_equal(kmodel_mmap_store(&k, f, 2000, 1, "m"), 0);
	assert_int_equal(kmodel_writeback(&k, f, 0, BS), 0);
	kmodel_complete(&k, f, false);
	kmodel_reclaim(&k, f, false);
	assert_int_not_equal(f->seq, seq);
	put(f, 100, 10, 'b');
	assert_int_equal(kmodel_fsync(&k, f), 0);
	reread(f);
}

static void test_a_store_that_was_killed_harms_no_direct_write(void **state)
{
	struct kfile *f = kmodel_create(&k, "f");
	struct fuse_file_iomap rd, wr;

	(void)state;
	put(f, 0, 2 * BS, 'a');
	assert_int_equal(kmodel_fsync(&k, f), 0);
	assert_int_equal(kmodel_begin(&k, f, KM_WRITE, 100, 10, &rd, &wr), 0);
	/* nothing was stored, nobody was told, and the cache has a place */
	memset(buf, 'd', 512);
	k.trace[0] = '\0';
	assert_int_equal(kmodel_direct_write(&k, f, 1024, 512, buf), 0);
	said("IOEND a 1024+512 error 0 dev 0\n");
	reread(f);
	assert_int_equal(stat_now().staged, 0);
}

/* If somebody is told, the place leaves the cache, and direct writes ask. */
static void test_a_store_that_came_to_nothing_is_asked_for_again(void **state)
{
	struct kfile *f = kmodel_create(&k, "f");
	struct fuse_file_iomap rd, wr;

	(void)state;
	put(f, 0, 2 * BS, 'a');
	assert_int_equal(kmodel_fsync(&k, f), 0);
	assert_int_equal(kmodel_begin(&k, f, KM_WRITE, 100, 10, &rd, &wr), 0);
	kmodel_end(&k, f, KM_WRITE, 100, 10, 0, &wr, false);
	memset(buf, 'd', 512);
	k.trace[0] = '\0';
	assert_int_equal(kmodel_direct_write(&k, f, 1024, 512, buf), 0);
	assert_ptr_equal(strstr(k.trace, "BEGIN 11 1024+512\n"), k.trace);
	reread(f);
}

static void test_a_copy_leaves_no_place_in_what_it_frees(void **state)
{
	struct kfile *f = kmodel_create(&k, "f"), *g = kmodel_create(&k, "g");
	struct fuse_file_iomap rd, wr;

	(void)state;
	put(g, 0, 2 * BS, 'g');
	assert_int_equal(kmodel_fallocate(&k, f, 0, 0, 2 * BS), 0);
	/* a store that is killed has its place in the preallocated blocks */
	assert_int_equal(kmodel_begin(&k, f, KM_WRITE, 100, 10, &rd, &wr), 0);
	assert_int_equal(kmodel_copy(&k, g, 0, f, 0, 2 * BS), 0);
	put(f, 0, BS, 'f');
	assert_int_equal(kmodel_fsync(&k, f), 0);
	reread(f);
}

static void test_an_error_gives_nothing_back_that_the_cache_knows(void **state)
{
	struct kfile *f = kmodel_create(&k, "f");

	(void)state;
	put(f, 0, BS, 'a');
	assert_int_equal(kmodel_fsync(&k, f), 0);
	put(f, 100, 10, 'b');
	assert_int_equal(stat_now().staged, 1);
	emubd_fault(e, EMUBD_WRITE, 1, 1, ENOSPC);
	assert_int_equal(kmodel_writeback(&k, f, 0, BS), 0);
	kmodel_complete(&k, f, false);
	assert_int_equal(kmodel_fsync(&k, f), -ENOSPC);
	assert_int_equal(stat_now().staged, 1);
	memset(f->want + 100, 'a', 10);
	reread(f);
	put(f, 200, 10, 'c');
	assert_int_equal(kmodel_fsync(&k, f), 0);
	assert_int_equal(stat_now().staged, 0);
	reread(f);
}

static void test_overwriting_goes_elsewhere(void **state)
{
	struct kfile *f = kmodel_create(&k, "f");
	struct fuse_file_iomap a, b, wr;

	(void)state;
	put(f, 0, 4 * BS, 'a');
	assert_int_equal(kmodel_fsync(&k, f), 0);
	assert_int_equal(kmodel_begin(&k, f, KM_READ, 0, BS, &a, &wr), 0);
	put(f, BS + 100, 200, 'b');
	assert_int_equal(kmodel_fsync(&k, f), 0);
	assert_int_equal(kmodel_begin(&k, f, KM_READ, BS, BS, &b, &wr), 0);
	assert_int_not_equal(b.addr, a.addr + BS);
	assert_int_equal(b.length, BS);
	reread(f);
}

static void test_a_write_beyond_the_end_zeroes_first(void **state)
{
	struct kfile *f = kmodel_create(&k, "f");

	(void)state;
	put(f, 0, 100, 'a');
	assert_int_equal(kmodel_fsync(&k, f), 0);
	k.trace[0] = '\0';
	put(f, 3 * BS, 100, 'b');
	/* the rest of the old block is there, behind it is nothing */
	said("BEGIN 2 100+12188\n"
	     "BEGIN 2 4096+8192\n"
	     "BEGIN 1 12288+100\n"
	     "END 1 12288+100 written 100 flags 100\n");
	assert_int_equal(kmodel_fsync(&k, f), 0);
	reread(f);
}

static void test_direct_writes_have_one_ioend(void **state)
{
	struct kfile *f = kmodel_create(&k, "f");

	(void)state;
	memset(buf, 'd', 4 * BS);
	assert_int_equal(kmodel_direct_write(&k, f, 0, 4 * BS, buf), 0);
	said("BEGIN 11 0+16384\n"
	     "IOEND 1a 0+16384 error 0 dev 0\n");
	assert_int_equal(stat_now().staged, 0);
	assert_int_equal(kmodel_direct_read(&k, f, 0, 4 * BS), 0);
	said("BEGIN 10 0+16384\n");
	assert_int_equal(kmodel_fsync(&k, f), 0);
	reread(f);
}

/* -------------------------------------------------- ways to lose somebody's data */

static void test_a_direct_write_of_part_of_a_block_keeps_the_rest(void **state)
{
	struct kfile *f = kmodel_create(&k, "f");

	(void)state;
	put(f, 0, 2 * BS, 'a');
	assert_int_equal(kmodel_fsync(&k, f), 0);
	memset(buf, 'd', 512);
	k.trace[0] = '\0';
	assert_int_equal(kmodel_direct_write(&k, f, 512, 512, buf), 0);
	/* refused, and the refusal that comes back is answered well */
	assert_ptr_equal(strstr(k.trace, "BEGIN 11 512+512\n"
				"IOEND 8 512+0 error -38 dev 0\n"
				"BEGIN 1 512+512\n"), k.trace);
	assert_false(k.no_ioend);
	reread(f);
	/* the last sectors of a block that spans two */
	assert_int_equal(kmodel_direct_write(&k, f, BS + 512, BS, buf), 0);
	reread(f);
	/* into a hole nothing need be kept */
	k.trace[0] = '\0';
	assert_int_equal(kmodel_direct_write(&k, f, 8 * BS + 512, 512, buf), 0);
	assert_null(strstr(k.trace, "error -"));
	reread(f);
}

static void test_a_store_during_writeback_is_written_again(void **state)
{
	struct kfile *f = kmodel_create(&k, "f");

	(void)state;
	put(f, 0, BS, 'a');
	assert_int_equal(kmodel_writeback(&k, f, 0, BS), 0);
	put(f, 100, 100, 'b');		/* its page is under writeback */
	assert_true(stat_now().reserved > 0);
	kmodel_complete(&k, f, false);
	/* what that ioend mapped is the first write; the second is yet to come */
	assert_true(stat_now().reserved > 0);
	assert_int_equal(kmodel_fsync(&k, f), 0);
	assert_int_equal(stat_now().reserved, 0);
	reread(f);
}

static void test_a_failed_writeback_keeps_the_old_data(void **state)
{
	struct kfile *f = kmodel_create(&k, "f");
	struct fuse_file_iomap a, b, wr;

	(void)state;
	put(f, 0, 2 * BS, 'a');
	assert_int_equal(kmodel_fsync(&k, f), 0);
	assert_int_equal(kmodel_begin(&k, f, KM_READ, 0, BS, &a, &wr), 0);
	put(f, 0, BS, 'b');
	emubd_fault(e, EMUBD_WRITE, 1, 1, EIO);
	assert_int_equal(kmodel_writeback(&k, f, 0, BS), 0);
	kmodel_complete(&k, f, false);
	assert_int_equal(kmodel_fsync(&k, f), -EIO);
	assert_int_equal(kmodel_begin(&k, f, KM_READ, 0, BS, &b, &wr), 0);
	assert_int_equal(a.addr, b.addr);
	assert_int_equal(stat_now().staged, 0);
	assert_int_equal(stat_now().reserved, 0);
	memset(f->want, 'a', BS);
	reread(f);
}

static void test_a_short_write_gives_its_reservation_back(void **state)
{
	struct kfile *f = kmodel_create(&k, "f");
	struct fuse_file_iomap rd, wr;
	uint64_t reserved;

	(void)state;
	put(f, 0, 2 * BS, 'a');
	reserved = stat_now().reserved;
	assert_int_equal(kmodel_begin(&k, f, KM_WRITE, 2 * BS, 8 * BS, &rd, &wr),
			 0);
	assert_true(stat_now().reserved >= reserved + 8);
	kmodel_end(&k, f, KM_WRITE, 2 * BS, 8 * BS, 0, &wr, false);
	assert_int_equal(stat_now().reserved, reserved);
	/* what was dirty before stays reserved */
	assert_int_equal(kmodel_begin(&k, f, KM_WRITE, 0, 2 * BS, &rd, &wr), 0);
	kmodel_end(&k, f, KM_WRITE, 0, 2 * BS, 0, &wr, false);
	assert_int_equal(stat_now().reserved, reserved);
	/* and so does what a mapping has made writable meanwhile */
	assert_int_equal(kmodel_begin(&k, f, KM_WRITE, 2 * BS, BS, &rd, &wr), 0);
	assert_int_equal(kmodel_begin(&k, f, KM_FAULT, 2 * BS, BS, &rd, &wr), 0);
	kmodel_end(&k, f, KM_WRITE, 2 * BS, BS, 0, &wr, false);
	assert_true(stat_now().reserved > reserved);
	assert_int_equal(kmodel_fsync(&k, f), 0);
}

static void test_only_the_last_begin_can_come_to_nothing(void **state)
{
	struct kfile *f = kmodel_create(&k, "f");
	struct fuse_file_iomap rd, wr;
	uint64_t reserved;

	(void)state;
	put(f, 0, 2 * BS, 'a');
	put(f, 2 * BS, 2 * BS, 'a');
	reserved = stat_now().reserved;
	assert_int_equal(kmodel_begin(&k, f, KM_WRITE, 0, 2 * BS, &rd, &wr), 0);
	kmodel_end(&k, f, KM_WRITE, 0, 2 * BS, 0, &wr, false);
	assert_int_equal(stat_now().reserved, reserved);
	assert_int_equal(kmodel_fsync(&k, f), 0);
}

static void test_a_direct_write_over_dirty_pages_is_refused(void **state)
{
	struct kfile *f = kmodel_create(&k, "f");
	struct fuse_file_iomap rd, wr;

	(void)state;
	put(f, 0, 4 * BS, 'a');
	assert_int_equal(kmodel_fsync(&k, f), 0);
	/* written back for the direct write, and dirtied again by a mapping */
	assert_int_equal(kmodel_mmap_store(&k, f, 2 * BS, 1, "m"), 0);
	assert_int_equal(kmodel_begin(&k, f, KM_DIO_WRITE, 0, 4 * BS, &rd, &wr),
			 -ENOSYS);
	assert_int_equal(stat_now().staged, 0);
	assert_int_equal(kmodel_fsync(&k, f), 0);
	assert_int_equal(kmodel_begin(&k, f, KM_DIO_WRITE, 0, 4 * BS, &rd, &wr),
			 0);
	kmodel_end(&k, f, KM_DIO_WRITE, 0, 4 * BS, 0, &wr, false);
	reread(f);
}

static void test_what_is_cut_off_needs_no_space(void **state)
{
	struct kfile *f = kmodel_create(&k, "f");
	struct fuse_file_iomap rd, wr;

	(void)state;
	put(f, 0, BS, 'a');
	/* stores that never came */
	assert_int_equal(kmodel_begin(&k, f, KM_WRITE, 2 * BS, 8 * BS, &rd, &wr),
			 0);
	assert_int_equal(kmodel_begin(&k, f, KM_WRITE, 20 * BS + 1, 9, &rd, &wr),
			 0);
	assert_int_equal(kmodel_truncate(&k, f, BS), 0);
	assert_int_equal(stat_now().reserved, 0);
	assert_int_equal(stat_now().staged, 0);
	reread(f);
}

static void test_the_kernel_alone_zeroes_parts_of_blocks(void **state)
{
	struct kfile *f = kmodel_create(&k, "f");
	struct { uint64_t fh, pos, len; uint32_t mode, pad; } in = {
		.pos = 100, .len = 3 * BS,
		.mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
	};
	uint64_t writes;

	(void)state;
	put(f, 0, 4 * BS, 'a');
	assert_int_equal(kmodel_fsync(&k, f), 0);
	writes = emubd_count(e, EMUBD_WRITE);
	assert_int_equal(kmodel_call(&k, 43, f->nodeid, &in, sizeof(in), NULL,
				     0, NULL), 0);
	assert_int_equal(emubd_count(e, EMUBD_WRITE), writes);
}

/* ... when it is over: some of it may be on its way to them. */
static void test_a_direct_write_cut_short_gives_its_blocks_back(void **state)
{
	struct kfile *f = kmodel_create(&k, "f");
	struct fuse_file_iomap rd, wr;

	(void)state;
	assert_int_equal(kmodel_begin(&k, f, KM_DIO_WRITE, 0, 8 * BS, &rd, &wr),
			 0);
	assert_int_equal(stat_now().staged, 8);
	kmodel_end(&k, f, KM_DIO_WRITE, 0, 8 * BS, 2 * BS, &wr, false);
	assert_int_equal(stat_now().staged, 8);
	kmodel_ioend(&k, f, 1u << 3 | 1u << 1, -EIO, 0, 2 * BS, 0,
		     FUSE_IOMAP_NULL_ADDR);
	assert_int_equal(stat_now().staged, 0);
	assert_int_equal(stat_now().reserved, 0);
}

static void test_an_empty_ioend_touches_nobody(void **state)
{
	struct kfile *f = kmodel_create(&k, "f");
	struct fuse_file_iomap rd, wr;

	(void)state;
	assert_int_equal(kmodel_begin(&k, f, KM_DIO_WRITE, 0, BS, &rd, &wr), 0);
	kmodel_ioend(&k, f, 1u << 3, -ENOSYS, 512, 0, 0, FUSE_IOMAP_NULL_ADDR);
	assert_int_equal(stat_now().staged, 1);
	kmodel_ioend(&k, f, 1u << 3 | 1u << 1, -EIO, 0, BS, 0,
		     FUSE_IOMAP_NULL_ADDR);
	assert_int_equal(stat_now().staged, 0);
}

static void test_the_size_is_told_after_a_stat(void **state)
{
	struct kfile *f = kmodel_create(&k, "f");
	struct stat st;
	struct owfs_inode *inode;

	(void)state;
	put(f, 0, 100, 'a');
	assert_int_equal(kmodel_fsync(&k, f), 0);
	put(f, 100, 10, 'b');
	f->disk_size = f->size;		/* what a GETATTR makes the kernel believe */
	assert_int_equal(kmodel_fsync(&k, f), 0);
	assert_int_equal(owfs_iget(k.srv.fs, f->nodeid, &inode), 0);
	owfs_getattr(inode, &st, NULL);
	owfs_iput(inode);
	assert_int_equal(st.st_size, 110);
}

static void test_truncating_leaves_nothing_beyond_the_end(void **state)
{
	struct kfile *f = kmodel_create(&k, "f");
	struct fuse_file_iomap rd, wr;

	(void)state;
	put(f, 0, 8 * BS, 'a');
	assert_int_equal(kmodel_truncate(&k, f, BS + 10), 0);
	assert_int_equal(stat_now().reserved, 0);
	assert_int_equal(kmodel_begin(&k, f, KM_READ, 2 * BS, BS, &rd, &wr), 0);
	assert_int_equal(rd.type, FUSE_IOMAP_TYPE_HOLE);
	assert_int_equal(kmodel_truncate(&k, f, 6 * BS), 0);
	reread(f);
	put(f, 2 * BS + 5, 10, 'c');
	assert_int_equal(kmodel_fsync(&k, f), 0);
	reread(f);
}

static void test_preallocated_blocks_are_written_where_they_are(void **state)
{
	struct kfile *f = kmodel_create(&k, "f");
	struct fuse_file_iomap pre, rd, wr;

	(void)state;
	assert_int_equal(kmodel_fallocate(&k, f, 0, 0, 8 * BS), 0);
	assert_int_equal(kmodel_begin(&k, f, KM_READ, 0, BS, &pre, &wr), 0);
	assert_int_equal(pre.type, FUSE_IOMAP_TYPE_UNWRITTEN);
	put(f, BS, 2 * BS, 'a');
	assert_int_equal(stat_now().reserved, 1);	/* for the tree alone */
	assert_int_equal(kmodel_fsync(&k, f), 0);
	assert_int_equal(kmodel_begin(&k, f, KM_READ, BS, BS, &rd, &wr), 0);
	assert_int_equal(rd.type, FUSE_IOMAP_TYPE_MAPPED);
	assert_int_equal(rd.addr, pre.addr + BS);
	reread(f);
	assert_int_equal(kmodel_fallocate(&k, f, FALLOC_FL_PUNCH_HOLE |
					  FALLOC_FL_KEEP_SIZE, BS + 10, BS), 0);
	assert_int_equal(kmodel_fsync(&k, f), 0);
	reread(f);
	assert_int_equal(kmodel_fallocate(&k, f, FALLOC_FL_ZERO_RANGE, 10,
					  9 * BS), 0);
	assert_int_equal(kmodel_fsync(&k, f), 0);
	reread(f);
}

static void test_reports_show_what_is_delayed(void **state)
{
	struct kfile *f = kmodel_create(&k, "f");
	struct fuse_file_iomap rd, wr;

	(void)state;
	put(f, BS, 2 * BS, 'a');
	assert_int_equal(kmodel_begin(&k, f, KM_REPORT, 0, INT64_MAX, &rd, &wr),
			 0);
	assert_int_equal(rd.type, FUSE_IOMAP_TYPE_HOLE);
	assert_int_equal(rd.length, BS);
	assert_int_equal(kmodel_begin(&k, f, KM_REPORT, BS, INT64_MAX - BS, &rd,
				      &wr), 0);
	assert_int_equal(rd.type, FUSE_IOMAP_TYPE_DELALLOC);
	assert_int_equal(rd.length, 2 * BS);
	assert_int_equal(kmodel_writeback(&k, f, 0, UINT32_MAX), 0);
	assert_int_equal(kmodel_begin(&k, f, KM_REPORT, BS, INT64_MAX - BS, &rd,
				      &wr), 0);
	assert_int_equal(rd.type, FUSE_IOMAP_TYPE_DELALLOC);
	assert_int_equal(kmodel_fsync(&k, f), 0);
	assert_int_equal(kmodel_begin(&k, f, KM_SWAP, BS, BS, &rd, &wr), 0);
	assert_int_equal(rd.type, FUSE_IOMAP_TYPE_MAPPED);
}

/* What write(2) was promised can be written back, however full it is. */
static void test_a_full_filesystem_writes_back_what_it_took(void **state)
{
	struct kfile *f = kmodel_create(&k, "f");
	uint64_t pos = 0, done = 0;
	int ret = 0;

	(void)state;
	memset(buf, 'a', sizeof(buf));
	while (!ret) {
		ret = kmodel_write(&k, f, pos, 8 * BS, buf);
		pos += 8 * BS;
	}
	assert_int_equal(ret, -ENOSPC);
	done = f->size;
	assert_true(done > BYTES / 2);
	assert_int_equal(kmodel_fsync(&k, f), 0);
	assert_int_equal(f->size, done);
	reread(f);
	/* the same once more in single blocks, in the worst order */
	for (pos = 0; pos + BS <= f->size; pos += 2 * BS) {
		ret = kmodel_write(&k, f, pos, BS, buf);
		if (ret)
			break;
	}
	assert_true(!ret || ret == -ENOSPC);
	assert_int_equal(kmodel_fsync(&k, f), 0);
	reread(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_new_data_is_reserved_placed_and_mapped),
		T(test_whole_blocks_are_reserved_and_placed_together),
		T(test_a_store_that_waited_is_checked_again),
		T(test_a_store_that_was_killed_harms_no_direct_write),
		T(test_a_store_that_came_to_nothing_is_asked_for_again),
		T(test_a_copy_leaves_no_place_in_what_it_frees),
		T(test_an_error_gives_nothing_back_that_the_cache_knows),
		T(test_overwriting_goes_elsewhere),
		T(test_a_write_beyond_the_end_zeroes_first),
		T(test_direct_writes_have_one_ioend),
		T(test_a_direct_write_of_part_of_a_block_keeps_the_rest),
		T(test_a_store_during_writeback_is_written_again),
		T(test_a_failed_writeback_keeps_the_old_data),
		T(test_a_short_write_gives_its_reservation_back),
		T(test_only_the_last_begin_can_come_to_nothing),
		T(test_a_direct_write_over_dirty_pages_is_refused),
		T(test_what_is_cut_off_needs_no_space),
		T(test_the_kernel_alone_zeroes_parts_of_blocks),
		T(test_a_direct_write_cut_short_gives_its_blocks_back),
		T(test_an_empty_ioend_touches_nobody),
		T(test_the_size_is_told_after_a_stat),
		T(test_truncating_leaves_nothing_beyond_the_end),
		T(test_preallocated_blocks_are_written_where_they_are),
		T(test_reports_show_what_is_delayed),
		T(test_a_full_filesystem_writes_back_what_it_took),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
