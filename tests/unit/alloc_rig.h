/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An allocator over a RAM device, with the part of a superblock that it needs:
 * what tests of the space floor share.
 */
#ifndef OWFS_TESTS_ALLOC_RIG_H
#define OWFS_TESTS_ALLOC_RIG_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/util.h"
#include "emubd.h"
#include "space/alloc.h"

#define RIG_SEED	0x5eedull

struct rig {
	struct emubd *emu;
	struct owfs_geo geo;
	struct owfs_alloc *al;
	struct owfs_map_root cur, prev;	/* as the newest superblock says */
	owfs_gen_t gen;			/* open */
	uint64_t reserve;
	bool discard, quiet;
	unsigned int nmsg;		/* errors and warnings said */
	char last[256];
	struct owfs_msg msg;
};

static inline void rig_emit(void *ctx, enum owfs_msg_level level,
			    const char *line)
{
	struct rig *r = ctx;

	(void)level;
	__atomic_add_fetch(&r->nmsg, 1, __ATOMIC_RELAXED);
	if (r->quiet)
		snprintf(r->last, sizeof(r->last), "%s", line);
	else
		fprintf(stderr, "%s\n", line);
}

static inline struct owfs_alloc_param rig_param(struct rig *r)
{
	return (struct owfs_alloc_param){
		.bd = emubd_blkdev(r->emu), .geo = r->geo, .seed = RIG_SEED,
		.reserve = r->reserve, .cur = r->cur, .prev = r->prev,
		.discard = r->discard, .msg = &r->msg };
}

static inline void rig_open(struct rig *r)
{
	struct owfs_alloc_param p = rig_param(r);

	assert_int_equal(owfs_alloc_open(&r->al, &p), 0);
}

static inline void rig_init(struct rig *r, uint32_t blocksize, uint64_t nblocks,
			    uint64_t reserve)
{
	memset(r, 0, sizeof(*r));
	assert_int_equal(owfs_geo_init(&r->geo, blocksize, nblocks), 0);
	r->emu = emubd_create(nblocks * blocksize);
	r->gen = 1;
	r->reserve = reserve;
	r->msg = (struct owfs_msg){
		.emit = rig_emit, .ctx = r, .max_level = OWFS_MSG_WARN };
	rig_open(r);
}

static inline void rig_fini(struct rig *r)
{
	owfs_alloc_close(r->al);
	emubd_destroy(r->emu);
}

/* Seal and write, but let nothing be durable yet. */
static inline void rig_seal_store(struct rig *r, struct owfs_map_root *root)
{
	int ret;

	owfs_alloc_seal(r->al);
	do {
		ret = owfs_alloc_store(r->al, r->gen, 3, root);
		assert_true(ret >= 0);
	} while (ret);
	r->gen++;
}

static inline void rig_durable(struct rig *r, const struct owfs_map_root *root)
{
	r->prev = r->cur;
	r->cur = *root;
	owfs_alloc_durable(r->al);
}

static inline void rig_commit(struct rig *r)
{
	struct owfs_map_root root;

	rig_seal_store(r, &root);
	rig_durable(r, &root);
}

/* What a crash and a mount do: memory is gone, numbers move on. */
static inline void rig_remount(struct rig *r)
{
	owfs_alloc_close(r->al);
	r->gen += 10;
	rig_open(r);
}

static inline struct owfs_alloc_stat rig_stat(struct rig *r)
{
	struct owfs_alloc_stat st;

	owfs_alloc_stat(r->al, &st);
	return st;
}

static inline uint64_t rig_ordinary(const struct rig *r)
{
	return r->geo.nblocks - owfs_geo_fixed_total(&r->geo);
}

/* Reserve and stage one run; how long it is comes back. */
static inline uint64_t rig_stage(struct rig *r, owfs_fsblock_t goal,
				 uint64_t want, owfs_fsblock_t *start)
{
	uint64_t len;

	assert_int_equal(owfs_alloc_reserve(r->al, want, OWFS_RESV_NORMAL), 0);
	assert_int_equal(owfs_alloc_data(r->al, goal, want, start, &len), 0);
	assert_true(len >= 1 && len <= want);
	owfs_alloc_unreserve(r->al, want - len);
	return len;
}

static inline owfs_fsblock_t rig_use(struct rig *r, owfs_fsblock_t goal,
				     uint64_t want)
{
	owfs_fsblock_t start;

	assert_int_equal(rig_stage(r, goal, want, &start), want);
	owfs_alloc_use(r->al, start, want);
	return start;
}

/* Use all blocks an ordinary reservation can have. */
static inline void rig_fill(struct rig *r)
{
	struct owfs_alloc_stat st = rig_stat(r);
	uint64_t left = st.free - st.reserved - r->reserve, len;
	owfs_fsblock_t start;

	assert_int_equal(owfs_alloc_reserve(r->al, left, OWFS_RESV_NORMAL), 0);
	while (left) {
		assert_int_equal(owfs_alloc_data(r->al, 0, left, &start, &len),
				 0);
		owfs_alloc_use(r->al, start, len);
		left -= len;
	}
}

#endif
