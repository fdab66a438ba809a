/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The cache of metadata blocks.  buf_pool.c is compiled in here, over an
 * allocator that can fail; the rest comes from the library.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool no_memory;

static void *poor_calloc(size_t n, size_t size)
{
	return no_memory ? NULL : calloc(n, size);
}

static int poor_memalign(void **mem, size_t align, size_t size)
{
	return no_memory ? ENOMEM : posix_memalign(mem, align, size);
}

#define calloc poor_calloc
#define posix_memalign poor_memalign
#include "io/buf_pool.c"
#undef calloc
#undef posix_memalign

#include "base/checksum.h"
#include "emubd.h"

#define BS	4096u
#define NBLOCKS	1024u
#define SEED	0x5eedull
#define MAGIC	0x54534554u
#define BIG	(NBLOCKS * BS)

struct fixture {
	struct emubd *e;
	struct owfs_bufcache *bc;
	struct owfs_msg msg;
	unsigned int messages;		/* atomic */
	unsigned int repairs;
	int repair_copy, repair_err;
	char last[512];
};

static unsigned int verified;		/* atomic */
static int verify_says;

static int test_verify(struct owfs_bufcache *bc, const struct owfs_ptr *ptr,
		       const void *data, const void *expect)
{
	(void)bc, (void)ptr, (void)data;
	__atomic_fetch_add(&verified, 1, __ATOMIC_RELAXED);
	return expect ? *(const int *)expect : verify_says;
}

static const struct owfs_buf_ops ops = {
	.name = "testblock",
	.magic = MAGIC,
	.verify = test_verify,
};

static void emit(void *ctx, enum owfs_msg_level level, const char *line)
{
	struct fixture *f = ctx;

	(void)level;
	if (__atomic_fetch_add(&f->messages, 1, __ATOMIC_RELAXED) < 100)
		snprintf(f->last, sizeof(f->last), "%s", line);
}

static void on_repair(void *ctx, const struct owfs_ptr *ptr, int bad_copy,
		      int err)
{
	struct fixture *f = ctx;

	(void)ptr;
	f->repairs++;
	f->repair_copy = bad_copy;
	f->repair_err = err;
}

static void open_cache(struct fixture *f, size_t limit)
{
	owfs_bufcache_destroy(f->bc);
	f->bc = NULL;
	assert_int_equal(owfs_bufcache_create(&f->bc, emubd_blkdev(f->e), BS,
					      NBLOCKS, SEED, limit, &f->msg), 0);
	owfs_bufcache_on_repair(f->bc, on_repair, f);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->msg = (struct owfs_msg){ emit, f, OWFS_MSG_DEBUG };
	f->e = emubd_create(NBLOCKS * BS);
	open_cache(f, BIG);
	verified = 0;
	verify_says = 0;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	owfs_bufcache_destroy(f->bc);
	emubd_destroy(f->e);
	free(f);
	return 0;
}

/* ------------------------------------------- blocks made without the cache */

static struct owfs_ptr place(owfs_fsblock_t addr0, owfs_fsblock_t addr1,
			     owfs_gen_t birth)
{
	return (struct owfs_ptr){ { addr0, addr1 }, birth, 0 };
}

static void fill(unsigned char *block, const struct owfs_ptr *ptr, int content)
{
	struct owfs_block_hdr *hdr = (void *)block;

	memset(block, content, BS);
	memset(hdr, 0, sizeof(*hdr));
	hdr->bh_magic = cpu_to_le32(MAGIC);
	hdr->bh_addr[0] = cpu_to_le64(ptr->addr[0]);
	hdr->bh_addr[1] = cpu_to_le64(ptr->addr[1]);
	hdr->bh_gen = cpu_to_le64(ptr->birth);
}

static void seal(unsigned char *block, struct owfs_ptr *ptr)
{
	struct owfs_block_hdr *hdr = (void *)block;

	hdr->bh_csum = cpu_to_le64(0);
	ptr->csum = owfs_checksum(SEED, block, BS);
	hdr->bh_csum = cpu_to_le64(ptr->csum);
}

static void store(struct fixture *f, const unsigned char *block,
		  owfs_fsblock_t addr)
{
	if (addr != OWFS_NOBLOCK)
		emubd_poke(f->e, block, BS, addr * BS);
}

/* A good block on the device, both copies; its pointer. */
static struct owfs_ptr make(struct fixture *f, owfs_fsblock_t addr0,
			    owfs_fsblock_t addr1, owfs_gen_t birth, int content)
{
	_Alignas(8) unsigned char block[BS];
	struct owfs_ptr ptr = place(addr0, addr1, birth);

	fill(block, &ptr, content);
	seal(block, &ptr);
	store(f, block, addr0);
	store(f, block, addr1);
	return ptr;
}

static int read_ret(struct fixture *f, const struct owfs_ptr *ptr)
{
	struct owfs_buf *buf;
	int ret = owfs_buf_read(f->bc, ptr, &ops, NULL, &buf);

	if (!ret)
		owfs_buf_put(buf);
	return ret;
}

static struct owfs_buf *must_read(struct fixture *f, const struct owfs_ptr *ptr)
{
	struct owfs_buf *buf = NULL;

	assert_int_equal(owfs_buf_read(f->bc, ptr, &ops, NULL, &buf), 0);
	assert_non_null(buf);
	return buf;
}

static bool cached(struct fixture *f, const struct owfs_ptr *ptr)
{
	struct owfs_buf *buf = owfs_buf_peek(f->bc, ptr);

	if (buf)
		owfs_buf_put(buf);
	return buf;
}

/* ------------------------------------------------------------ what is read */

static void test_good_block_is_read_once(void **state)
{
	struct fixture *f = *state;
	struct owfs_ptr ptr = make(f, 7, 0, 3, 'x');
	struct owfs_buf *a, *b;

	assert_false(cached(f, &ptr));
	a = must_read(f, &ptr);
	b = must_read(f, &ptr);
	assert_ptr_equal(a, b);
	assert_int_equal(a->b_data[100], 'x');
	assert_int_equal(emubd_count(f->e, EMUBD_READ), 1);
	assert_int_equal(verified, 1);
	assert_int_equal(f->messages, 0);
	assert_true(cached(f, &ptr));
	owfs_buf_put(a);
	owfs_buf_put(b);
}

static void break_magic(struct owfs_block_hdr *h) { h->bh_magic.raw ^= 1; }
static void break_addr0(struct owfs_block_hdr *h) { h->bh_addr[0].raw ^= 1; }
static void break_addr1(struct owfs_block_hdr *h) { h->bh_addr[1].raw ^= 1; }
static void break_gen(struct owfs_block_hdr *h) { h->bh_gen.raw ^= 1; }

/* With a checksum that is right, as only a made image has it. */
static void test_every_wrong_header_field_is_refused(void **state)
{
	static const struct {
		void (*fn)(struct owfs_block_hdr *hdr);
		const char *name;
	} bad[] = {
		{ break_magic, " magic=" }, { break_addr0, " addr0=" },
		{ break_addr1, " addr1=" }, { break_gen, " gen=" },
	};
	struct fixture *f = *state;
	_Alignas(8) unsigned char block[BS];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct owfs_ptr ptr = place(7 + i, 107 + i, 3);

		fill(block, &ptr, 'x');
		bad[i].fn((void *)block);
		seal(block, &ptr);
		store(f, block, ptr.addr[0]);
		store(f, block, ptr.addr[1]);
		assert_int_equal(read_ret(f, &ptr), -EFSCORRUPTED);
		assert_int_equal(f->messages, i + 1);	/* not once a copy */
		assert_non_null(strstr(f->last, bad[i].name));
		assert_false(cached(f, &ptr));
	}
	assert_int_equal(verified, 0);
}

static void test_every_flipped_bit_is_a_bad_checksum(void **state)
{
	struct fixture *f = *state;
	struct owfs_ptr ptr = make(f, 7, 0, 3, 'x');

	for (unsigned int byte = 0; byte < BS; byte += byte < 64 ? 1 : 509) {
		emubd_flip_bit(f->e, 7 * BS + byte, byte);
		assert_int_equal(read_ret(f, &ptr), -EFSBADCRC);
		emubd_flip_bit(f->e, 7 * BS + byte, byte);
	}
	assert_int_equal(verified, 0);
	assert_int_equal(read_ret(f, &ptr), 0);
}

static void test_pointer_out_of_range_reads_nothing(void **state)
{
	static const owfs_fsblock_t bad[][2] = {
		{ 0, 0 }, { NBLOCKS, 0 }, { UINT64_MAX, 0 }, { 0, 7 },
		{ 7, NBLOCKS }, { 7, UINT64_MAX }, { 7, 7 },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct owfs_ptr ptr = place(bad[i][0], bad[i][1], 1);

		assert_int_equal(read_ret(f, &ptr), -EFSCORRUPTED);
		assert_int_equal(f->messages, i + 1);
	}
	assert_int_equal(emubd_count(f->e, EMUBD_READ), 0);
}

/* Half of a newer block over an older one, each sound by itself. */
static void test_torn_write_is_noticed(void **state)
{
	struct fixture *f = *state;
	unsigned char half[BS / 2];
	struct owfs_ptr old, ptr;

	ptr = make(f, 7, 0, 4, 'n');
	emubd_peek(f->e, half, sizeof(half), 7 * BS);
	old = make(f, 7, 0, 3, 'o');
	emubd_poke(f->e, half, sizeof(half), 7 * BS);
	assert_int_equal(read_ret(f, &ptr), -EFSBADCRC);
	assert_int_equal(read_ret(f, &old), -EFSBADCRC);
}

static void test_lost_write_is_noticed(void **state)
{
	struct fixture *f = *state;
	struct owfs_ptr ptr = make(f, 7, 0, 4, 'n');

	make(f, 7, 0, 3, 'n');		/* what stood there before */
	assert_int_equal(read_ret(f, &ptr), -EFSBADCRC);
	assert_non_null(strstr(f->last, "sound block, but not the expected"));
}

static void test_misdirected_write_is_noticed(void **state)
{
	struct fixture *f = *state;
	struct owfs_ptr ptr = make(f, 7, 0, 4, 'n');
	unsigned char other[BS];

	make(f, 8, 0, 4, 'n');
	emubd_peek(f->e, other, BS, 8 * BS);
	emubd_poke(f->e, other, BS, 7 * BS);
	assert_int_equal(read_ret(f, &ptr), -EFSBADCRC);
	assert_non_null(strstr(f->last, "addr=8"));
}

static void test_refused_structure_is_passed_up(void **state)
{
	struct fixture *f = *state;
	struct owfs_ptr ptr = make(f, 7, 8, 3, 'x');
	const int expect = -EFSCORRUPTED;
	struct owfs_buf *buf;

	assert_int_equal(owfs_buf_read(f->bc, &ptr, &ops, &expect, &buf),
			 -EFSCORRUPTED);
	assert_int_equal(verified, 1);	/* the other copy is the same */
	assert_int_equal(f->repairs, 0);
	assert_false(cached(f, &ptr));
	assert_int_equal(read_ret(f, &ptr), 0);
}

/* ------------------------------------------------------------- two copies */

static void test_second_copy_replaces_a_rotten_one(void **state)
{
	struct fixture *f = *state;
	struct owfs_ptr ptr = make(f, 7, 9, 3, 'x');
	struct owfs_buf *buf;

	emubd_flip_bit(f->e, 7 * BS + 2000, 1);
	buf = must_read(f, &ptr);
	assert_int_equal(buf->b_data[2000], 'x');
	assert_int_equal(f->messages, 1);
	assert_int_equal(f->repairs, 1);
	assert_int_equal(f->repair_copy, 0);
	assert_int_equal(f->repair_err, -EFSBADCRC);
	owfs_buf_put(buf);
}

static void test_second_copy_replaces_an_unreadable_one(void **state)
{
	struct fixture *f = *state;
	struct owfs_ptr ptr = make(f, 7, 9, 3, 'x');

	emubd_fault_range(f->e, EMUBD_READ, 7 * BS, BS, EIO);
	assert_int_equal(read_ret(f, &ptr), 0);
	assert_int_equal(f->messages, 1);
	assert_int_equal(f->repairs, 1);
	assert_int_equal(f->repair_err, -EIO);
}

static void test_two_bad_copies_are_an_error(void **state)
{
	struct fixture *f = *state;
	struct owfs_ptr ptr = make(f, 7, 9, 3, 'x');

	emubd_flip_bit(f->e, 7 * BS + 2000, 1);
	emubd_flip_bit(f->e, 9 * BS + 3000, 1);
	assert_int_equal(read_ret(f, &ptr), -EFSBADCRC);
	assert_int_equal(f->messages, 2);
	assert_int_equal(f->repairs, 0);

	emubd_fault_range(f->e, EMUBD_READ, 9 * BS, BS, EIO);
	assert_int_equal(read_ret(f, &ptr), -EIO);
	emubd_fault_range(f->e, EMUBD_READ, 7 * BS, BS, EIO);
	assert_int_equal(read_ret(f, &ptr), -EIO);
	assert_int_equal(f->repairs, 0);
}

static void test_failed_read_leaves_nothing_behind(void **state)
{
	struct fixture *f = *state;
	struct owfs_ptr ptr = make(f, 7, 0, 3, 'x');

	emubd_fault(f->e, EMUBD_READ, 1, 1, EIO);
	assert_int_equal(read_ret(f, &ptr), -EIO);
	assert_false(cached(f, &ptr));
	assert_int_equal(read_ret(f, &ptr), 0);

	no_memory = true;
	ptr.addr[0] = 8;
	assert_int_equal(read_ret(f, &ptr), -ENOMEM);
	no_memory = false;
}

/* ---------------------------------------------------------- young buffers */

static struct owfs_buf *make_young(struct fixture *f, owfs_fsblock_t addr0,
				   owfs_fsblock_t addr1, owfs_gen_t birth,
				   int content)
{
	owfs_fsblock_t addr[2] = { addr0, addr1 };
	struct owfs_buf *buf = owfs_buf_new(f->bc, addr, birth, &ops, 1, 2);

	assert_false(IS_ERR(buf));
	memset(buf->b_data + sizeof(struct owfs_block_hdr), content,
	       BS - sizeof(struct owfs_block_hdr));
	return buf;
}

static void seal_buf(struct owfs_buf *buf)
{
	pthread_rwlock_wrlock(&buf->b_lock);
	owfs_buf_seal_csum(buf);
	pthread_rwlock_unlock(&buf->b_lock);
}

static void test_written_buffer_is_read_back(void **state)
{
	struct fixture *f = *state;
	struct owfs_buf *buf = make_young(f, 20, 30, 5, 'w');
	struct owfs_ptr ptr;

	seal_buf(buf);
	ptr = buf->b_ptr;
	assert_true(buf->b_csum_known);
	assert_int_equal(owfs_buf_write_many(f->bc, &buf, 1), 0);
	owfs_buf_clean(buf);
	owfs_buf_put(buf);

	for (int bad = 0; bad < 2; bad++) {	/* each copy by itself will do */
		open_cache(f, BIG);
		emubd_fault_range(f->e, EMUBD_READ, ptr.addr[bad] * BS, BS, EIO);
		buf = must_read(f, &ptr);
		assert_int_equal(buf->b_data[BS - 1], 'w');
		assert_int_equal(le16_to_cpu(owfs_buf_hdr(buf)->bh_level), 2);
		assert_int_equal(le64_to_cpu(owfs_buf_hdr(buf)->bh_owner), 1);
		owfs_buf_put(buf);
	}
}

static void test_young_buffer_needs_no_checksum(void **state)
{
	struct fixture *f = *state;
	struct owfs_buf *buf = make_young(f, 20, 0, 5, 'y'), *found;
	struct owfs_ptr ptr = buf->b_ptr;

	ptr.csum = 0xbad;
	found = must_read(f, &ptr);
	assert_ptr_equal(found, buf);
	owfs_buf_put(found);
	assert_true(cached(f, &ptr));

	ptr.birth = 4;			/* but nobody else may point there */
	assert_false(cached(f, &ptr));
	assert_int_equal(read_ret(f, &ptr), -EFSCORRUPTED);
	ptr = place(20, 21, 5);
	assert_int_equal(read_ret(f, &ptr), -EFSCORRUPTED);
	assert_int_equal(f->messages, 2);
	assert_int_equal(emubd_count(f->e, EMUBD_READ), 0);
	owfs_buf_put(buf);
}

static void test_clone_has_new_header_and_old_bytes(void **state)
{
	struct fixture *f = *state;
	struct owfs_ptr ptr = make(f, 7, 0, 3, 'x');
	const owfs_fsblock_t addr[2] = { 11, 12 };
	struct owfs_buf *old = must_read(f, &ptr), *new;
	struct owfs_block_hdr *hdr;

	new = owfs_buf_clone(old, addr, 9);
	assert_false(IS_ERR(new));
	hdr = owfs_buf_hdr(new);
	assert_int_equal(le32_to_cpu(hdr->bh_magic), MAGIC);
	assert_int_equal(le64_to_cpu(hdr->bh_addr[0]), 11);
	assert_int_equal(le64_to_cpu(hdr->bh_addr[1]), 12);
	assert_int_equal(le64_to_cpu(hdr->bh_gen), 9);
	assert_int_equal(le64_to_cpu(hdr->bh_csum), 0);
	assert_memory_equal(new->b_data + sizeof(*hdr),
			    old->b_data + sizeof(*hdr), BS - sizeof(*hdr));
	assert_true(owfs_buf_is_young(new, 9));
	assert_false(owfs_buf_is_young(old, 9));
	assert_true(cached(f, &ptr));
	owfs_buf_put(old);
	owfs_buf_put(new);
}

/* The block was freed, and generations later it is a node again. */
static void test_new_buffer_replaces_history(void **state)
{
	struct fixture *f = *state;
	struct owfs_ptr ptr = make(f, 7, 0, 3, 'o');
	struct owfs_buf *old = must_read(f, &ptr), *new, *found;

	new = make_young(f, 7, 0, 9, 'n');
	found = must_read(f, &new->b_ptr);
	assert_ptr_equal(found, new);
	assert_int_equal(old->b_data[100], 'o');	/* the reader's is whole */
	assert_int_equal(read_ret(f, &ptr), -EFSCORRUPTED);
	owfs_buf_put(old);
	assert_true(cached(f, &new->b_ptr));
	owfs_buf_put(found);
	owfs_buf_put(new);
}

static void test_clean_buffer_of_another_pointer_is_read_again(void **state)
{
	struct fixture *f = *state;
	struct owfs_ptr old_ptr = make(f, 7, 0, 3, 'o'), ptr;
	struct owfs_buf *old = must_read(f, &old_ptr), *new;

	ptr = make(f, 7, 0, 4, 'n');
	assert_false(cached(f, &ptr));
	new = must_read(f, &ptr);
	assert_ptr_not_equal(old, new);
	assert_int_equal(new->b_data[100], 'n');
	assert_int_equal(old->b_data[100], 'o');
	owfs_buf_put(old);
	assert_true(cached(f, &ptr));
	assert_int_equal(read_ret(f, &old_ptr), -EFSBADCRC);

	/* a pointer that lies costs the cache a read, and nobody the block */
	assert_int_equal(read_ret(f, &ptr), 0);
	old_ptr = ptr;
	old_ptr.csum ^= 1;
	assert_int_equal(read_ret(f, &old_ptr), -EFSBADCRC);
	assert_int_equal(new->b_data[100], 'n');
	assert_int_equal(read_ret(f, &ptr), 0);
	owfs_buf_put(new);
}

static void test_forgotten_buffer_is_gone_and_never_written(void **state)
{
	struct fixture *f = *state;
	struct owfs_buf *buf[2] = { make_young(f, 20, 0, 5, 'f'), NULL };
	struct owfs_ptr ptr = buf[0]->b_ptr;

	owfs_buf_forget(buf[0]);
	assert_false(cached(f, &ptr));
	buf[1] = make_young(f, 20, 0, 5, 'g');	/* the block is used again */
	assert_int_equal(f->messages, 0);
	assert_true(cached(f, &ptr));
	seal_buf(buf[0]);
	seal_buf(buf[1]);
	ptr = buf[1]->b_ptr;
	assert_int_equal(owfs_buf_write_many(f->bc, buf, 2), 0);
	assert_int_equal(emubd_count(f->e, EMUBD_WRITE), 1);
	owfs_buf_put(buf[0]);
	owfs_buf_put(buf[1]);
	open_cache(f, BIG);
	assert_int_equal(read_ret(f, &ptr), 0);
}

static void test_block_given_out_twice_is_named(void **state)
{
	struct fixture *f = *state;
	struct owfs_buf *a = make_young(f, 20, 0, 5, 'a');
	struct owfs_buf *b = make_young(f, 20, 0, 5, 'b');

	assert_int_equal(f->messages, 1);
	assert_non_null(strstr(f->last, "given out twice"));
	owfs_buf_put(a);
	owfs_buf_put(b);
}

/* ---------------------------------------------------------------- writing */

#define MANY	300

static void shuffle(struct owfs_buf **bufs, size_t n)
{
	unsigned int seed = 42;

	for (size_t i = n; i > 1; i--) {
		size_t j = (size_t)rand_r(&seed) % i;
		struct owfs_buf *buf = bufs[j];

		bufs[j] = bufs[i - 1];
		bufs[i - 1] = buf;
	}
}

static void make_many(struct fixture *f, struct owfs_buf **bufs, size_t n,
		      owfs_fsblock_t at0, owfs_fsblock_t at1)
{
	for (size_t i = 0; i < n; i++) {
		bufs[i] = make_young(f, at0 + i, at1 ? at1 + i : 0, 5, (int)i);
		seal_buf(bufs[i]);
	}
	shuffle(bufs, n);
}

static void put_many(struct owfs_buf **bufs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		owfs_buf_put(bufs[i]);
}

static void test_neighbours_are_written_together(void **state)
{
	struct fixture *f = *state;
	struct owfs_buf *bufs[MANY];
	struct owfs_ptr ptrs[MANY];
	uint64_t bytes = 0;

	make_many(f, bufs, MANY, 10, 500);
	bufs[0]->b_next = NULL;
	for (size_t i = 0; i < MANY; i++)
		ptrs[i] = bufs[i]->b_ptr;
	emubd_record(f->e, true);
	assert_int_equal(owfs_buf_write_many(f->bc, bufs, MANY), 0);
	for (size_t i = 0; i < emubd_log_len(f->e); i++) {
		const struct emubd_event *ev = emubd_log_at(f->e, i);

		assert_int_equal(ev->kind, EMUBD_WRITE);
		assert_true(ev->len <= 1 << 20);
		bytes += ev->len;
	}
	assert_int_equal(bytes, 2ull * MANY * BS);
	assert_int_equal(emubd_log_len(f->e), 4);	/* 1 MiB and the rest, twice */
	put_many(bufs, MANY);

	open_cache(f, BIG);
	emubd_fault_range(f->e, EMUBD_READ, 10 * BS, MANY / 2 * BS, EIO);
	for (size_t i = 0; i < MANY; i++)
		assert_int_equal(read_ret(f, &ptrs[i]), 0);
}

/* Gaps between the first copies, single and double mixed. */
static void test_scattered_buffers_are_all_written(void **state)
{
	struct fixture *f = *state;
	struct owfs_buf *bufs[60];
	struct owfs_ptr ptrs[60];

	for (size_t i = 0; i < 60; i++) {
		bufs[i] = make_young(f, 10 + i + i / 3, i % 2 ? 0 : 500 - i, 5, 's');
		seal_buf(bufs[i]);
		ptrs[i] = bufs[i]->b_ptr;
	}
	shuffle(bufs, 60);
	assert_int_equal(owfs_buf_write_many(f->bc, bufs, 60), 0);
	put_many(bufs, 60);
	open_cache(f, BIG);
	for (size_t i = 0; i < 60; i++) {
		assert_int_equal(read_ret(f, &ptrs[i]), 0);
		if (ptrs[i].addr[1])
			emubd_garbage(f->e, ptrs[i].addr[0] * BS, BS, i);
	}
	open_cache(f, BIG);
	for (size_t i = 0; i < 60; i++)
		assert_int_equal(read_ret(f, &ptrs[i]), 0);
	assert_int_equal(f->repairs, 30);
}

static void test_failed_write_is_reported(void **state)
{
	struct fixture *f = *state;
	struct owfs_buf *bufs[MANY];

	make_many(f, bufs, MANY, 10, 500);
	for (uint64_t nth = 1; nth <= 4; nth++) {
		emubd_fault(f->e, EMUBD_WRITE, nth, 1, EIO);
		assert_int_equal(owfs_buf_write_many(f->bc, bufs, MANY), -EIO);
	}
	emubd_fault(f->e, EMUBD_WRITE, 5, 1, EIO);
	assert_int_equal(owfs_buf_write_many(f->bc, bufs, MANY), 0);
	put_many(bufs, MANY);
}

/* ------------------------------------------------------------------- memory */

static size_t count_cached(struct fixture *f, const struct owfs_ptr *ptrs,
			   size_t n)
{
	size_t found = 0;

	for (size_t i = 0; i < n; i++)
		found += cached(f, &ptrs[i]);
	return found;
}

static void test_clean_buffers_stay_within_the_limit(void **state)
{
	struct fixture *f = *state;
	struct owfs_ptr ptrs[100];

	open_cache(f, 10 * BS);
	for (size_t i = 0; i < 100; i++) {
		ptrs[i] = make(f, 10 + i, 0, 3, 'x');
		assert_int_equal(read_ret(f, &ptrs[i]), 0);
	}
	assert_int_equal(count_cached(f, ptrs, 100), 10);
	owfs_bufcache_shrink(f->bc, true);
	assert_int_equal(count_cached(f, ptrs, 100), 0);
}

static void test_used_buffers_outlive_a_scan(void **state)
{
	struct fixture *f = *state;
	struct owfs_ptr hot[5], ptr;

	open_cache(f, 20 * BS);
	for (size_t i = 0; i < 5; i++) {
		hot[i] = make(f, 10 + i, 0, 3, 'h');
		assert_int_equal(read_ret(f, &hot[i]), 0);
	}
	for (size_t i = 0; i < 500; i++) {
		ptr = make(f, 100 + i, 0, 3, 'c');
		assert_int_equal(read_ret(f, &ptr), 0);
		assert_int_equal(read_ret(f, &hot[i % 5]), 0);
	}
	assert_int_equal(count_cached(f, hot, 5), 5);
	assert_int_equal(emubd_count(f->e, EMUBD_READ), 505);
}

static void test_eviction_respects_references(void **state)
{
	struct fixture *f = *state;
	struct owfs_ptr ptrs[40];
	struct owfs_buf *held[20];

	open_cache(f, 4 * BS);
	for (size_t i = 0; i < 40; i++) {
		ptrs[i] = make(f, 10 + i, 0, 3, 'A' + (int)i);
		if (i < 20)
			held[i] = must_read(f, &ptrs[i]);
		else
			assert_int_equal(read_ret(f, &ptrs[i]), 0);
	}
	owfs_bufcache_shrink(f->bc, true);
	assert_int_equal(count_cached(f, ptrs, 20), 20);
	assert_int_equal(count_cached(f, ptrs + 20, 20), 0);
	for (size_t i = 0; i < 20; i++) {
		assert_int_equal(held[i]->b_data[200], 'A' + (int)i);
		owfs_buf_put(held[i]);
	}
	owfs_bufcache_shrink(f->bc, false);
	assert_int_equal(count_cached(f, ptrs, 40), 4);
}

static void test_young_buffers_are_never_evicted(void **state)
{
	struct fixture *f = *state;
	struct owfs_buf *bufs[20];
	struct owfs_ptr ptrs[20];

	open_cache(f, 0);
	make_many(f, bufs, 20, 10, 0);
	for (size_t i = 0; i < 20; i++)
		ptrs[i] = bufs[i]->b_ptr;
	assert_int_equal(owfs_buf_write_many(f->bc, bufs, 20), 0);
	put_many(bufs, 20);
	owfs_bufcache_shrink(f->bc, true);
	assert_int_equal(count_cached(f, ptrs, 20), 20);
	for (size_t i = 0; i < 20; i++) {
		bufs[i] = must_read(f, &ptrs[i]);
		owfs_buf_clean(bufs[i]);
		owfs_buf_put(bufs[i]);
	}
	assert_int_equal(count_cached(f, ptrs, 20), 0);
	for (size_t i = 0; i < 20; i++)
		assert_int_equal(read_ret(f, &ptrs[i]), 0);
}

static void test_reserved_buffers_need_no_memory(void **state)
{
	struct fixture *f = *state;
	struct owfs_ptr ptr = make(f, 7, 0, 3, 'x');
	struct owfs_buf *old = must_read(f, &ptr), *bufs[51], *none;
	owfs_fsblock_t addr[2] = { 10, 0 };

	assert_int_equal(owfs_bufcache_reserve(f->bc, 20), 0);
	assert_int_equal(owfs_bufcache_reserve(f->bc, 31), 0);
	no_memory = true;
	for (int i = 0; i < 51; i++, addr[0]++) {
		bufs[i] = i % 2 ? owfs_buf_clone(old, addr, 5) :
				  owfs_buf_new(f->bc, addr, 5, &ops, 1, 0);
		assert_false(IS_ERR(bufs[i]));
	}
	none = owfs_buf_new(f->bc, addr, 5, &ops, 1, 0);
	assert_int_equal(PTR_ERR(none), -ENOMEM);
	none = owfs_buf_clone(old, addr, 5);
	assert_int_equal(PTR_ERR(none), -ENOMEM);
	assert_int_equal(owfs_bufcache_reserve(f->bc, 1), -ENOMEM);
	no_memory = false;
	put_many(bufs, 51);
	owfs_buf_put(old);

	/* what a failed reservation had taken is not missing afterwards */
	assert_int_equal(owfs_bufcache_reserve(f->bc, 3), 0);
	owfs_bufcache_unreserve(f->bc, 3);
}

/* ------------------------------------------------------------------ threads */

/* A device whose first read waits until the test opens the gate. */
struct gate {
	struct owfs_blkdev bd;
	struct owfs_blkdev *lower;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool inside, open;
	int err;
};

static int gate_read(struct owfs_blkdev *bd, void *buf, size_t len, loff_t pos)
{
	struct gate *g = container_of(bd, struct gate, bd);
	int err;

	pthread_mutex_lock(&g->lock);
	g->inside = true;
	pthread_cond_broadcast(&g->cond);
	while (!g->open)
		pthread_cond_wait(&g->cond, &g->lock);
	err = g->err;
	pthread_mutex_unlock(&g->lock);
	return err ? err : owfs_blkdev_read(g->lower, buf, len, pos);
}

static const struct owfs_blkdev_ops gate_ops = { .read = gate_read };

struct reader {
	struct owfs_bufcache *bc;
	struct owfs_ptr ptr;
	struct owfs_buf *buf;
	int ret;
	pthread_t th;
};

static void *reader_run(void *arg)
{
	struct reader *r = arg;

	r->ret = owfs_buf_read(r->bc, &r->ptr, &ops, NULL, &r->buf);
	return NULL;
}

#define NREADERS	6

/* One reader is inside the device before the others start; then let go. */
static void read_through_gate(struct gate *g, struct reader *r)
{
	assert_int_equal(pthread_create(&r[0].th, NULL, reader_run, &r[0]), 0);
	pthread_mutex_lock(&g->lock);
	while (!g->inside)
		pthread_cond_wait(&g->cond, &g->lock);
	pthread_mutex_unlock(&g->lock);
	for (int i = 1; i < NREADERS; i++)
		assert_int_equal(pthread_create(&r[i].th, NULL, reader_run,
						&r[i]), 0);
	pthread_mutex_lock(&g->lock);
	g->open = true;
	pthread_cond_broadcast(&g->cond);
	pthread_mutex_unlock(&g->lock);
	for (int i = 0; i < NREADERS; i++)
		pthread_join(r[i].th, NULL);
}

static void run_gate(struct fixture *f, int err)
{
	struct gate g = { .bd = *emubd_blkdev(f->e) };
	struct owfs_ptr ptr = make(f, 7, 0, 3, 'x');
	struct reader r[NREADERS];
	struct owfs_bufcache *bc;

	g.bd.ops = &gate_ops;
	g.lower = emubd_blkdev(f->e);
	g.err = err;
	pthread_mutex_init(&g.lock, NULL);
	pthread_cond_init(&g.cond, NULL);
	assert_int_equal(owfs_bufcache_create(&bc, &g.bd, BS, NBLOCKS, SEED,
					      BIG, &f->msg), 0);
	for (int i = 0; i < NREADERS; i++)
		r[i] = (struct reader){ .bc = bc, .ptr = ptr };
	read_through_gate(&g, r);
	for (int i = 0; i < NREADERS; i++) {
		assert_int_equal(r[i].ret, err);
		if (!err) {
			assert_ptr_equal(r[i].buf, r[0].buf);
			owfs_buf_put(r[i].buf);
		}
	}
	g.err = 0;
	assert_int_equal(owfs_buf_read(bc, &ptr, &ops, NULL, &r[0].buf), 0);
	owfs_buf_put(r[0].buf);
	assert_int_equal(emubd_count(f->e, EMUBD_READ), 1);
	owfs_bufcache_destroy(bc);
	pthread_cond_destroy(&g.cond);
	pthread_mutex_destroy(&g.lock);
}

static void test_concurrent_readers_read_once(void **state)
{
	run_gate(*state, 0);
	assert_int_equal(verified, 1);
}

static void test_concurrent_readers_share_a_failure(void **state)
{
	run_gate(*state, -EIO);
}

/* While it is being read the block is given out anew: the reader is alone. */
static void test_block_reborn_under_its_reader(void **state)
{
	struct fixture *f = *state;
	struct owfs_ptr ptr = make(f, 7, 0, 3, 'o');
	struct gate g = { .bd = *emubd_blkdev(f->e) };
	const owfs_fsblock_t addr[2] = { 7, 0 };
	struct owfs_buf *young;
	struct reader r;

	g.bd.ops = &gate_ops;
	g.lower = emubd_blkdev(f->e);
	pthread_mutex_init(&g.lock, NULL);
	pthread_cond_init(&g.cond, NULL);
	r = (struct reader){ .ptr = ptr };
	assert_int_equal(owfs_bufcache_create(&r.bc, &g.bd, BS, NBLOCKS, SEED,
					      BIG, &f->msg), 0);
	pthread_create(&r.th, NULL, reader_run, &r);
	pthread_mutex_lock(&g.lock);
	while (!g.inside)
		pthread_cond_wait(&g.cond, &g.lock);
	young = owfs_buf_new(r.bc, addr, 5, &ops, 1, 0);
	g.open = true;
	pthread_cond_broadcast(&g.cond);
	pthread_mutex_unlock(&g.lock);
	pthread_join(r.th, NULL);

	assert_int_equal(r.ret, 0);
	assert_ptr_not_equal(r.buf, young);
	assert_int_equal(r.buf->b_data[100], 'o');
	owfs_buf_put(r.buf);
	assert_ptr_equal(owfs_buf_peek(r.bc, &young->b_ptr), young);
	owfs_buf_put(young);
	owfs_buf_put(young);
	owfs_bufcache_destroy(r.bc);
	pthread_cond_destroy(&g.cond);
	pthread_mutex_destroy(&g.lock);
}

#define NSTORM	4
#define NPTRS	64

struct storm {
	struct fixture *f;
	const struct owfs_ptr *ptrs;
	unsigned int id;
	int failed;
	pthread_t th;
};

static int storm_read(struct storm *s, unsigned int *seed)
{
	size_t i = (size_t)rand_r(seed) % NPTRS;
	struct owfs_buf *buf;
	int ret;

	if (rand_r(seed) % 4 == 0) {
		buf = owfs_buf_peek(s->f->bc, &s->ptrs[i]);
		if (!buf)
			return 0;
	} else {
		ret = owfs_buf_read(s->f->bc, &s->ptrs[i], &ops, NULL, &buf);
		if (ret)
			return ret;
	}
	ret = buf->b_data[BS - 1] == (unsigned char)i ? 0 : -EILSEQ;
	owfs_buf_put(buf);
	return ret;
}

/* Blocks of this thread: born, changed, written, read again, born again. */
static int storm_write(struct storm *s, unsigned int *seed, owfs_gen_t gen)
{
	owfs_fsblock_t addr[2] = { 500 + s->id * 50 + (unsigned)rand_r(seed) % 10,
				   0 };
	struct owfs_buf *buf, *again;
	int ret;

	if (owfs_bufcache_reserve(s->f->bc, 2))
		return -ENOMEM;
	buf = owfs_buf_new(s->f->bc, addr, gen, &ops, 1, 0);
	owfs_bufcache_unreserve(s->f->bc, 1);
	if (rand_r(seed) % 4 == 0) {
		owfs_buf_forget(buf);
		owfs_buf_put(buf);
		return 0;
	}
	pthread_rwlock_wrlock(&buf->b_lock);
	buf->b_data[BS - 1] = (unsigned char)gen;
	owfs_buf_seal_csum(buf);
	pthread_rwlock_unlock(&buf->b_lock);
	ret = owfs_buf_write_many(s->f->bc, &buf, 1);
	owfs_buf_clean(buf);
	if (!ret)
		ret = owfs_buf_read(s->f->bc, &buf->b_ptr, &ops, NULL, &again);
	if (!ret)
		owfs_buf_put(again);
	owfs_buf_put(buf);
	return ret;
}

static void *storm_run(void *arg)
{
	struct storm *s = arg;
	unsigned int seed = s->id;

	for (unsigned int i = 1; i < 1500 && !s->failed; i++) {
		if (i % 8 == 0)
			s->failed = storm_write(s, &seed, i);
		else
			s->failed = storm_read(s, &seed);
		if (i % 100 == 0)
			owfs_bufcache_shrink(s->f->bc, i % 300 == 0);
	}
	return NULL;
}

static void test_storm_of_readers_and_writers(void **state)
{
	struct fixture *f = *state;
	struct owfs_ptr ptrs[NPTRS];
	struct storm s[NSTORM];

	open_cache(f, 16 * BS);
	for (size_t i = 0; i < NPTRS; i++)
		ptrs[i] = make(f, 10 + i, 0, 3, (int)i);
	for (unsigned int i = 0; i < NSTORM; i++) {
		s[i] = (struct storm){ .f = f, .ptrs = ptrs, .id = i };
		assert_int_equal(pthread_create(&s[i].th, NULL, storm_run,
						&s[i]), 0);
	}
	for (unsigned int i = 0; i < NSTORM; i++) {
		pthread_join(s[i].th, NULL);
		if (s[i].failed)
			fail_msg("thread seed=%u: err=%d", s[i].id, s[i].failed);
	}
	assert_int_equal(f->messages, 0);
	owfs_bufcache_shrink(f->bc, false);
	assert_true(count_cached(f, ptrs, NPTRS) <= 16);
}

#define buf_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		buf_test(test_good_block_is_read_once),
		buf_test(test_every_wrong_header_field_is_refused),
		buf_test(test_every_flipped_bit_is_a_bad_checksum),
		buf_test(test_pointer_out_of_range_reads_nothing),
		buf_test(test_torn_write_is_noticed),
		buf_test(test_lost_write_is_noticed),
		buf_test(test_misdirected_write_is_noticed),
		buf_test(test_refused_structure_is_passed_up),
		buf_test(test_second_copy_replaces_a_rotten_one),
		buf_test(test_second_copy_replaces_an_unreadable_one),
		buf_test(test_two_bad_copies_are_an_error),
		buf_test(test_failed_read_leaves_nothing_behind),
		buf_test(test_written_buffer_is_read_back),
		buf_test(test_young_buffer_needs_no_checksum),
		buf_test(test_clone_has_new_header_and_old_bytes),
		buf_test(test_new_buffer_replaces_history),
		buf_test(test_clean_buffer_of_another_pointer_is_read_again),
		buf_test(test_forgotten_buffer_is_gone_and_never_written),
		buf_test(test_block_given_out_twice_is_named),
		buf_test(test_neighbours_are_written_together),
		buf_test(test_scattered_buffers_are_all_written),
		buf_test(test_failed_write_is_reported),
		buf_test(test_clean_buffers_stay_within_the_limit),
		buf_test(test_used_buffers_outlive_a_scan),
		buf_test(test_eviction_respects_references),
		buf_test(test_young_buffers_are_never_evicted),
		buf_test(test_reserved_buffers_need_no_memory),
		buf_test(test_concurrent_readers_read_once),
		buf_test(test_concurrent_readers_share_a_failure),
		buf_test(test_block_reborn_under_its_reader),
		buf_test(test_storm_of_readers_and_writers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
