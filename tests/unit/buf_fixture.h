/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the tests of the buffer cache share: a cache on a RAM device, and blocks
 * made without it.  buf_pool.c and buf_slab.c are compiled in here, over an
 * allocator that can fail; the rest comes from the library.
 */
#ifndef OWFS_TESTS_BUF_FIXTURE_H
#define OWFS_TESTS_BUF_FIXTURE_H

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

static inline void *poor_calloc(size_t n, size_t size)
{
	return no_memory ? NULL : calloc(n, size);
}

static inline int poor_memalign(void **mem, size_t align, size_t size)
{
	return no_memory ? ENOMEM : posix_memalign(mem, align, size);
}

#define calloc poor_calloc
#define posix_memalign poor_memalign
#include "io/buf_pool.c"
#include "io/buf_slab.c"
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

static inline int test_verify(struct owfs_bufcache *bc,
			      const struct owfs_ptr *ptr, const void *data,
			      const void *expect)
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

static inline void emit(void *ctx, enum owfs_msg_level level, const char *line)
{
	struct fixture *f = ctx;

	(void)level;
	if (__atomic_fetch_add(&f->messages, 1, __ATOMIC_RELAXED) < 100)
		snprintf(f->last, sizeof(f->last), "%s", line);
}

static inline void on_repair(void *ctx, const struct owfs_ptr *ptr,
			     const void *data, int bad_copy, int err)
{
	struct fixture *f = ctx;

	(void)ptr, (void)data;
	f->repairs++;
	f->repair_copy = bad_copy;
	f->repair_err = err;
}

static inline void open_cache(struct fixture *f, size_t limit)
{
	owfs_bufcache_destroy(f->bc);
	f->bc = NULL;
	assert_int_equal(owfs_bufcache_create(&f->bc, emubd_blkdev(f->e), BS,
					      NBLOCKS, SEED, limit, &f->msg), 0);
	owfs_bufcache_on_repair(f->bc, on_repair, f);
}

static inline int setup(void **state)
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

static inline int teardown(void **state)
{
	struct fixture *f = *state;

	owfs_bufcache_destroy(f->bc);
	emubd_destroy(f->e);
	free(f);
	return 0;
}

/* ------------------------------------------- blocks made without the cache */

static inline struct owfs_ptr place(owfs_fsblock_t addr0,
				    owfs_fsblock_t addr1, owfs_gen_t birth)
{
	return (struct owfs_ptr){ { addr0, addr1 }, birth, 0 };
}

static inline void fill(unsigned char *block, const struct owfs_ptr *ptr,
			int content)
{
	struct owfs_block_hdr *hdr = (void *)block;

	memset(block, content, BS);
	memset(hdr, 0, sizeof(*hdr));
	hdr->bh_magic = cpu_to_le32(MAGIC);
	hdr->bh_addr[0] = cpu_to_le64(ptr->addr[0]);
	hdr->bh_addr[1] = cpu_to_le64(ptr->addr[1]);
	hdr->bh_gen = cpu_to_le64(ptr->birth);
}

static inline void seal(unsigned char *block, struct owfs_ptr *ptr)
{
	struct owfs_block_hdr *hdr = (void *)block;

	hdr->bh_csum = cpu_to_le64(0);
	ptr->csum = owfs_checksum(SEED, block, BS);
	hdr->bh_csum = cpu_to_le64(ptr->csum);
}

static inline void store(struct fixture *f, const unsigned char *block,
			 owfs_fsblock_t addr)
{
	if (addr != OWFS_NOBLOCK)
		emubd_poke(f->e, block, BS, addr * BS);
}

/* A good block on the device, both copies; its pointer. */
static inline struct owfs_ptr make(struct fixture *f, owfs_fsblock_t addr0,
				   owfs_fsblock_t addr1, owfs_gen_t birth,
				   int content)
{
	_Alignas(8) unsigned char block[BS];
	struct owfs_ptr ptr = place(addr0, addr1, birth);

	fill(block, &ptr, content);
	seal(block, &ptr);
	store(f, block, addr0);
	store(f, block, addr1);
	return ptr;
}

static inline int read_ret(struct fixture *f, const struct owfs_ptr *ptr)
{
	struct owfs_buf *buf;
	int ret = owfs_buf_read(f->bc, ptr, &ops, NULL, &buf);

	if (!ret)
		owfs_buf_put(buf);
	return ret;
}

static inline struct owfs_buf *must_read(struct fixture *f,
					 const struct owfs_ptr *ptr)
{
	struct owfs_buf *buf = NULL;

	assert_int_equal(owfs_buf_read(f->bc, ptr, &ops, NULL, &buf), 0);
	assert_non_null(buf);
	return buf;
}

static inline bool cached(struct fixture *f, const struct owfs_ptr *ptr)
{
	struct owfs_buf *buf = owfs_buf_peek(f->bc, ptr);

	if (buf)
		owfs_buf_put(buf);
	return buf;
}

/* ---------------------------------------------------------- young buffers */

static inline struct owfs_buf *make_young(struct fixture *f,
					  owfs_fsblock_t addr0,
					  owfs_fsblock_t addr1,
					  owfs_gen_t birth, int content)
{
	owfs_fsblock_t addr[2] = { addr0, addr1 };
	struct owfs_buf *buf = owfs_buf_new(f->bc, addr, birth, &ops, 1, 2);

	assert_false(IS_ERR(buf));
	memset(buf->b_data + sizeof(struct owfs_block_hdr), content,
	       BS - sizeof(struct owfs_block_hdr));
	return buf;
}

static inline void seal_buf(struct owfs_buf *buf)
{
	pthread_rwlock_wrlock(&buf->b_lock);
	owfs_buf_seal_csum(buf);
	pthread_rwlock_unlock(&buf->b_lock);
}

#define buf_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
