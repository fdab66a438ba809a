/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One set of tests of file operations for both ways in which data moves: by
 * requests to read and write, and by the kernel itself.
 */
#include <errno.h>
#include <linux/falloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "file/cut.h"
#include "filemodel.h"
#include "kmodel.h"

#define BS		4096u
#define BYTES		(16u << 20)
#define BLOCKS		40u
#define PUNCH		(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)

/* How a file is used. */
struct transport {
	int (*start)(struct owfs_fs *fs);
	int (*write)(struct kmodel *k, struct kfile *f, uint64_t pos,
		     uint64_t len, const void *data);
	int (*read)(struct kmodel *k, struct kfile *f, uint64_t pos,
		    uint64_t len, void *buf);
	int (*truncate)(struct kmodel *k, struct kfile *f, uint64_t size);
	int (*fallocate)(struct kmodel *k, struct kfile *f, int mode,
			 uint64_t pos, uint64_t len);
	int (*copy)(struct kmodel *k, struct kfile *in, uint64_t in_pos,
		    struct kfile *out, uint64_t out_pos, uint64_t len);
	int (*fsync)(struct kmodel *k, struct kfile *f);
	/* forget what is only in memory of the kernel */
	void (*forget)(struct kmodel *k, struct kfile *f);
};

static const struct transport *t;
static struct kmodel k;
static struct rig_env env;
static struct emubd *e;
static struct kfile *f;
static unsigned char buf[BLOCKS * BS + 1], got[BLOCKS * BS + 1];

static int start_plain(struct owfs_fs *fs)
{
	return kmodel_start_plain(&k, fs, e);
}

static int start_iomap(struct owfs_fs *fs)
{
	return kmodel_start(&k, fs, e, NULL);
}

static void forget_nothing(struct kmodel *km, struct kfile *file)
{
	(void)km;
	(void)file;
}

/* Written back, so that the next read is of the device. */
static void forget_pages(struct kmodel *km, struct kfile *file)
{
	assert_int_equal(kmodel_close(km, file), 0);
	kmodel_reclaim(km, file, false);
}

static const struct transport plain = {
	start_plain, kmodel_plain_write, kmodel_plain_read,
	kmodel_plain_truncate, kmodel_plain_fallocate, kmodel_plain_copy,
	kmodel_plain_fsync, forget_nothing,
};

static const struct transport iomap = {
	start_iomap, kmodel_write, kmodel_get, kmodel_truncate,
	kmodel_fallocate, kmodel_copy, kmodel_fsync, forget_pages,
};

/* As iomap, but that every write which can be is a direct one. */
static int write_directly(struct kmodel *km, struct kfile *file, uint64_t pos,
			  uint64_t len, const void *data)
{
	if ((pos | len) % 512)
		return kmodel_write(km, file, pos, len, data);
	return kmodel_direct_write(km, file, pos, len, data);
}

static const struct transport direct = {
	start_iomap, write_directly, kmodel_get, kmodel_truncate,
	kmodel_fallocate, kmodel_copy, kmodel_fsync, forget_pages,
};

/* ------------------------------------------------------------------ fixture */

static void up(void)
{
	struct owfs_fs *fs;

	assert_int_equal(rig_mount(&fs, e, &env, 0, NULL), 0);
	assert_int_equal(t->start(fs), 0);
}

static int setup(void **state)
{
	t = *state;
	rig_env_init(&env, 11);
	e = rig_mkfs(&env, BYTES, BS, 1);
	assert_non_null(e);
	up();
	f = kmodel_create(&k, "f");
	assert_non_null(f);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return kmodel_finish(&k, e);
}

static void put(uint64_t pos, uint64_t len, int c)
{
	memset(buf, c, len);
	assert_int_equal(t->write(&k, f, pos, len, buf), 0);
}

static void is(uint64_t pos, uint64_t len, int c)
{
	uint64_t i;

	memset(got, 0xaa, sizeof(got));
	assert_int_equal(t->read(&k, f, pos, len, got), len);
	for (i = 0; i < len; i++)
		assert_int_equal(got[i], (unsigned char)c);
}

/* Look from the page cache, if there is one, and from the device. */
static void holds(uint64_t pos, uint64_t len, int c)
{
	is(pos, len, c);
	t->forget(&k, f);
	is(pos, len, c);
}

static void size_is(uint64_t size)
{
	struct owfs_inode *inode;

	t->forget(&k, f);
	assert_int_equal(owfs_iget(k.srv.fs, f->nodeid, &inode), 0);
	assert_int_equal(owfs_file_size(inode), size);
	owfs_iput(inode);
	assert_int_equal(t->read(&k, f, size, 1, got), 0);
}

static void crash(void)
{
	kmodel_crash(&k);
	up();
	f = kmodel_lookup(&k, "f");
	assert_non_null(f);
}

/* -------------------------------------------------------------------- tests */

static void parts_of_blocks_keep_the_rest(void **state)
{
	(void)state;
	put(0, 3 * BS, 'a');
	t->forget(&k, f);
	put(100, 10, 'b');
	put(BS - 5, 10, 'c');
	put(2 * BS + 512, 512, 'd');
	holds(0, 100, 'a');
	holds(100, 10, 'b');
	holds(110, BS - 115, 'a');
	holds(BS - 5, 10, 'c');
	holds(BS + 5, BS + 507, 'a');
	holds(2 * BS + 512, 512, 'd');
	holds(2 * BS + 1024, BS - 1024, 'a');
	size_is(3 * BS);
}

static void bytes_past_the_end_never_show(void **state)
{
	(void)state;
	put(0, 2 * BS, 'a');
	assert_int_equal(t->truncate(&k, f, 100), 0);
	size_is(100);
	assert_int_equal(t->truncate(&k, f, 2 * BS), 0);
	holds(0, 100, 'a');
	holds(100, 2 * BS - 100, 0);
	put(3 * BS + 7, 3, 'b');
	holds(2 * BS, BS + 7, 0);
	size_is(3 * BS + 10);
}

static void holes_are_zeroes_and_round_inward(void **state)
{
	(void)state;
	put(0, 6 * BS, 'a');
	assert_int_equal(t->fallocate(&k, f, PUNCH, 100, 2 * BS), 0);
	holds(0, 100, 'a');
	holds(100, 2 * BS, 0);
	holds(2 * BS + 100, BS, 'a');
	assert_int_equal(t->fallocate(&k, f, FALLOC_FL_ZERO_RANGE, 4 * BS + 1,
				      3 * BS), 0);
	holds(4 * BS, 1, 'a');
	holds(4 * BS + 1, 3 * BS, 0);
	size_is(7 * BS + 1);
}

static void preallocated_blocks_are_zeroes(void **state)
{
	(void)state;
	put(0, 100, 'a');
	assert_int_equal(t->fallocate(&k, f, FALLOC_FL_KEEP_SIZE, 0, 8 * BS), 0);
	size_is(100);
	assert_int_equal(t->fallocate(&k, f, 0, 0, 8 * BS), 0);
	size_is(8 * BS);
	holds(0, 100, 'a');
	holds(100, 8 * BS - 100, 0);
	put(3 * BS + 9, 9, 'b');
	holds(2 * BS, BS + 9, 0);
	holds(3 * BS + 9, 9, 'b');
	holds(3 * BS + 18, BS, 0);
}

static void copies_are_the_bytes_and_no_more(void **state)
{
	struct kfile *from = kmodel_create(&k, "from"), *to = f;

	(void)state;
	f = from;
	put(0, 2 * BS, 's');
	f = to;
	put(0, 4 * BS, 'a');
	assert_int_equal(t->copy(&k, from, 10, to, BS + 20, BS), 0);
	holds(0, BS + 20, 'a');
	holds(BS + 20, BS, 's');
	holds(2 * BS + 20, 2 * BS - 20, 'a');
	size_is(4 * BS);
}

static void what_fsync_answered_is_there(void **state)
{
	(void)state;
	put(0, 3 * BS, 'a');
	put(10, 10, 'b');
	assert_int_equal(t->fsync(&k, f), 0);
	put(0, 3 * BS, 'c');
	crash();
	assert_int_equal(f->size, 3 * BS);
	assert_int_equal(t->read(&k, f, 0, 3 * BS, got), 3 * BS);
	if (got[0] == 'c')
		return;
	assert_int_equal(got[0], 'a');
	assert_int_equal(got[10], 'b');
	assert_int_equal(got[20], 'a');
}

static void a_full_device_says_so_and_loses_nothing(void **state)
{
	uint64_t pos = 0;
	int ret = 0;

	(void)state;
	memset(buf, 'a', BLOCKS * BS);
	for (; !ret; pos += 8 * BS)
		ret = t->write(&k, f, pos, 8 * BS, buf);
	assert_int_equal(ret, -ENOSPC);
	assert_true(f->size > BYTES / 2);
	assert_int_equal(t->fsync(&k, f), 0);
	put(BS, BS, 'b');
	holds(0, BS, 'a');
	holds(BS, BS, 'b');
	assert_int_equal(t->fallocate(&k, f, PUNCH, 4 * BS, 2 * BS), 0);
	holds(4 * BS, 2 * BS, 0);
	assert_int_equal(t->truncate(&k, f, 10), 0);
	size_is(10);
}

/* ------------------------------------------------------------------- chance */

static struct filemodel m;
static struct rng rng;

static void random_write(uint64_t pos, uint64_t len)
{
	uint64_t i;

	/* whole sectors now and then, for those who can write directly */
	if (rng_below(&rng, 2)) {
		pos -= pos % 512;
		len = max_u64(len - len % 512, 512);
	}
	len = min_u64(len, m.max - pos);
	for (i = 0; i < len; i++)
		buf[i] = (unsigned char)(1 + rng_below(&rng, 255));
	assert_int_equal(t->write(&k, f, pos, len, buf), 0);
	fm_write(&m, pos, buf, len);
}

static void random_fallocate(uint64_t pos, uint64_t len)
{
	static const int modes[] = {
		0, FALLOC_FL_KEEP_SIZE, PUNCH, FALLOC_FL_ZERO_RANGE,
		FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
	};
	int mode = modes[rng_below(&rng, ARRAY_SIZE(modes))];
	bool keep = mode & FALLOC_FL_KEEP_SIZE;

	assert_int_equal(t->fallocate(&k, f, mode, pos, len), 0);
	if (mode & ~FALLOC_FL_KEEP_SIZE)
		fm_zero(&m, pos, len, keep);
	else
		fm_allocate(&m, pos, len, keep);
}

static void random_op(void)
{
	uint64_t pos = fm_random_pos(&m, &rng), len;

	pos = min_u64(pos, m.max - 1);
	len = fm_random_len(&m, &rng, pos);
	switch (rng_below(&rng, 12)) {
	case 0:
		assert_int_equal(t->truncate(&k, f, pos), 0);
		fm_resize(&m, pos);
		break;
	case 1:
	case 2:
		random_fallocate(pos, len);
		break;
	case 3:
		t->forget(&k, f);
		break;
	case 4:
		assert_int_equal(t->fsync(&k, f), 0);
		break;
	default:
		random_write(pos, len);
	}
}

static void a_file_is_what_was_done_to_it(void **state)
{
	unsigned int i;
	int n;

	(void)state;
	rng.s = 5;
	fm_init(&m, BS, BLOCKS, 2);
	for (i = 0; i < 400; i++) {
		random_op();
		n = t->read(&k, f, 0, m.max + 1, got);
		assert_int_equal(n, m.size);
		assert_true(fm_has(&m, 0, got, m.size));
	}
	fm_done(&m);
}

#define BY(transport, name)						\
	{ #transport ": " #name, name, setup, teardown, (void *)&(transport) }
#define T(name)	BY(plain, name), BY(iomap, name), BY(direct, name)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(parts_of_blocks_keep_the_rest),
		T(bytes_past_the_end_never_show),
		T(holes_are_zeroes_and_round_inward),
		T(preallocated_blocks_are_zeroes),
		T(copies_are_the_bytes_and_no_more),
		T(what_fsync_answered_is_there),
		T(a_full_device_says_so_and_loses_nothing),
		T(a_file_is_what_was_done_to_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
