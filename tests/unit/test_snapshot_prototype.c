/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A prototype, in this test only: snapshots and clones over the tree as it is,
 * to prove that the format carries them.
 *
 * A snapshot is an old root.  A block that the live tree drops is free if it
 * was born after the newest snapshot; otherwise it goes on the dead list,
 * which belongs to the time between the newest snapshot and now.  Deleting a
 * snapshot frees, from the list of the time after it, what was born after the
 * snapshot before it, and joins the lists on both sides (as ZFS does).  Dead
 * lists are items of the live tree.
 *
 * A clone of a file shares its data blocks: extents flagged SHARED, a count
 * for each block in a REFCOUNT item of the live tree.  The last live reference
 * decides, by birth, between free and dead.
 *
 * The judge: after every step the blocks in use are exactly those reached from
 * the live root and from the roots of all snapshots, and every snapshot still
 * shows what the live tree showed when it was made.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "emubd.h"
#include "model.h"
#include "tree/btree.h"

#define NBLOCKS		16384u
#define FIRST_BLOCK	64u
#define SNAPS		6
#define FILES		8
#define FILE_BLOCKS	400
#define DEAD_INO	3ull		/* + snapshot id: the list after it */

struct dead { le64_t block, birth; };

struct snap {
	unsigned int id;
	owfs_gen_t gen;			/* last generation it holds */
	struct owfs_ptr root;
	unsigned int level;
	uint64_t digest;
};

struct proto {
	struct emubd *e;
	struct owfs_bufcache *bc;
	struct owfs_btree *bt;
	owfs_gen_t gen;
	unsigned char used[NBLOCKS];
	unsigned int hand;
	struct snap snap[SNAPS];	/* oldest first */
	unsigned int nsnaps, next_id;
	uint64_t next_dead;
	struct owfs_ptr pending[NBLOCKS];	/* dead nodes not yet on the list */
	unsigned int npending;
	struct owfs_btree_sealed before;
	struct owfs_ptr root;		/* of the last commit */
	unsigned int level;
	struct rng rng;
};

/* ------------------------------------------------------- a toy allocator */

static owfs_fsblock_t take(struct proto *p)
{
	unsigned int i;

	for (i = 0; i < NBLOCKS; i++) {
		unsigned int b = FIRST_BLOCK + (p->hand + i) %
				 (NBLOCKS - FIRST_BLOCK);

		if (!p->used[b]) {
			p->used[b] = 1;
			p->hand = b - FIRST_BLOCK + 1;
			return b;
		}
	}
	fail_msg("device full");
	return 0;
}

static void give(struct proto *p, owfs_fsblock_t b)
{
	assert_true(p->used[b]);
	p->used[b] = 0;
}

static owfs_gen_t newest_snap(const struct proto *p)
{
	return p->nsnaps ? p->snap[p->nsnaps - 1].gen : 0;
}

static int proto_alloc(void *ctx, owfs_fsblock_t addr[2])
{
	addr[0] = take(ctx);
	addr[1] = OWFS_NOBLOCK;
	return 0;
}

static int proto_free(void *ctx, const struct owfs_ptr *ptr, bool unborn)
{
	struct proto *p = ctx;

	if (unborn || ptr->birth > newest_snap(p))
		give(p, ptr->addr[0]);
	else
		p->pending[p->npending++] = *ptr;
	return 0;
}

static const struct owfs_btree_ops proto_ops = {
	.alloc_block = proto_alloc,
	.free_block = proto_free,
};

/* ------------------------------------------------------------- dead lists */

/* The list of the time after the newest snapshot. */
static owfs_ino_t open_list(const struct proto *p)
{
	return DEAD_INO + p->snap[p->nsnaps - 1].id;
}

static void list_add(struct proto *p, owfs_ino_t list, owfs_fsblock_t block,
		     owfs_gen_t birth)
{
	struct owfs_key key = owfs_key(list, OWFS_ITEM_DEAD, p->next_dead++);
	struct dead d = { cpu_to_le64(block), cpu_to_le64(birth) };

	assert_int_equal(owfs_btree_insert(p->bt, &key, &d, sizeof(d)), 0);
}

/*
 * Recording a dead node copies nodes, which kills more nodes; but a node is
 * copied once in a generation, so this comes to an end.
 */
static void drain_pending(struct proto *p)
{
	while (p->npending) {
		struct owfs_ptr ptr = p->pending[--p->npending];

		list_add(p, open_list(p), ptr.addr[0], ptr.birth);
	}
}

static void drop_block(struct proto *p, owfs_fsblock_t block, owfs_gen_t birth)
{
	if (birth > newest_snap(p))
		give(p, block);
	else
		list_add(p, open_list(p), block, birth);
}

/* ------------------------------------------------------------ file blocks */

static void get_ref(struct proto *p, owfs_fsblock_t block)
{
	struct owfs_key key = owfs_key(2, OWFS_ITEM_REFCOUNT, block);
	le64_t n = { 0 };

	if (owfs_btree_lookup(p->bt, &key, &n, sizeof(n)) < 0) {
		n = cpu_to_le64(2);
		assert_int_equal(owfs_btree_insert(p->bt, &key, &n, sizeof(n)), 0);
		return;
	}
	n = cpu_to_le64(le64_to_cpu(n) + 1);
	assert_int_equal(owfs_btree_update(p->bt, &key, &n, sizeof(n)), 0);
}

/* True if that was the last live reference. */
static bool put_ref(struct proto *p, owfs_fsblock_t block)
{
	struct owfs_key key = owfs_key(2, OWFS_ITEM_REFCOUNT, block);
	le64_t n;

	if (owfs_btree_lookup(p->bt, &key, &n, sizeof(n)) < 0)
		return true;
	if (le64_to_cpu(n) == 2) {
		assert_int_equal(owfs_btree_delete(p->bt, &key), 0);
		return false;
	}
	n = cpu_to_le64(le64_to_cpu(n) - 1);
	assert_int_equal(owfs_btree_update(p->bt, &key, &n, sizeof(n)), 0);
	return false;
}

static struct owfs_key extent_key(unsigned int file, unsigned int off)
{
	return owfs_key(100 + file, OWFS_ITEM_EXTENT, off);
}

static bool get_extent(struct proto *p, unsigned int file, unsigned int off,
		       struct owfs_extent_item *x)
{
	struct owfs_key key = extent_key(file, off);

	return owfs_btree_lookup(p->bt, &key, x, sizeof(*x)) >= 0;
}

static void punch(struct proto *p, unsigned int file, unsigned int off)
{
	struct owfs_key key = extent_key(file, off);
	struct owfs_extent_item x;

	if (!get_extent(p, file, off, &x))
		return;
	assert_int_equal(owfs_btree_delete(p->bt, &key), 0);
	if ((le32_to_cpu(x.flags) & OWFS_EXTENT_SHARED) &&
	    !put_ref(p, le64_to_cpu(x.fsblock)))
		return;
	drop_block(p, le64_to_cpu(x.fsblock), le64_to_cpu(x.birth));
}

static void map(struct proto *p, unsigned int file, unsigned int off,
		const struct owfs_extent_item *x)
{
	struct owfs_key key = extent_key(file, off);

	punch(p, file, off);
	assert_int_equal(owfs_btree_insert(p->bt, &key, x, sizeof(*x)), 0);
}

static void write_block(struct proto *p, unsigned int file, unsigned int off)
{
	struct owfs_extent_item x = {
		.fsblock = cpu_to_le64(take(p)), .len = cpu_to_le32(1),
		.birth = cpu_to_le64(p->gen),
	};

	map(p, file, off, &x);
}

/* The birth stays: it is the block's, not the mapping's. */
static void clone_block(struct proto *p, unsigned int from, unsigned int to,
			unsigned int off)
{
	struct owfs_key key = extent_key(from, off);
	struct owfs_extent_item x;

	if (from == to || !get_extent(p, from, off, &x))
		return;
	punch(p, to, off);
	x.flags = cpu_to_le32(OWFS_EXTENT_SHARED);
	assert_int_equal(owfs_btree_update(p->bt, &key, &x, sizeof(x)), 0);
	get_ref(p, le64_to_cpu(x.fsblock));
	map(p, to, off, &x);
}

/* ----------------------------------------------------------------- commit */

static void commit(struct proto *p)
{
	struct owfs_btree_sealed s;

	if (p->nsnaps)
		drain_pending(p);
	assert_int_equal(p->npending, 0);
	owfs_btree_seal(p->bt, ++p->gen, &s);
	owfs_btree_finish(p->bt, &s);
	while (owfs_btree_write(p->bt, &s, 64) > 0)
		;
	if (s.root_buf) {
		p->root = s.root;
		p->level = s.level;
	}
	owfs_btree_release(p->bt, &p->before);
	p->before = s;
}

/* --------------------------------------------------------------- the judge */

struct reach {
	struct proto *p;
	unsigned char *seen;
	XXH3_state_t st;		/* of the items that are files' */
};

static int enter(void *ctx, const struct owfs_ptr *ptr, unsigned int level,
		 const void *data)
{
	struct reach *r = ctx;

	(void)data;
	(void)level;
	r->seen[ptr->addr[0]] = 1;
	return 0;
}

static int bad(void *ctx, const struct owfs_ptr *ptr, unsigned int level, int err)
{
	(void)ctx;
	fail_msg("node %llu level %u: %d", (unsigned long long)ptr->addr[0],
		 level, err);
	return err;
}

static int item(void *ctx, const struct owfs_key *key, const void *val,
		size_t len)
{
	struct reach *r = ctx;
	struct owfs_extent_item x;

	(void)len;
	if (owfs_key_type(key) != OWFS_ITEM_EXTENT)
		return 0;
	memcpy(&x, val, sizeof(x));
	r->seen[le64_to_cpu(x.fsblock)] = 1;
	x.flags = cpu_to_le32(0);
	XXH3_64bits_update(&r->st, key, sizeof(*key));
	XXH3_64bits_update(&r->st, &x, sizeof(x));
	return 0;
}

static uint64_t reach_from(struct proto *p, const struct owfs_ptr *root,
			   unsigned int level, unsigned char *seen)
{
	struct owfs_btree_param bp = {
		.bc = p->bc, .owner = OWFS_TREE_MAIN, .root = *root,
		.level = level, .open_gen = p->gen,
	};
	struct reach r = { .p = p, .seen = seen };
	struct owfs_btree_visitor v = { .enter = enter, .bad = bad,
					 .ctx = &r };
	struct owfs_key min = OWFS_KEY_MIN, max = OWFS_KEY_MAX;
	struct owfs_btree *bt;

	XXH3_64bits_reset(&r.st);
	assert_int_equal(owfs_btree_open(&bt, &bp), 0);
	assert_int_equal(owfs_btree_visit(bt, &v), 0);
	assert_int_equal(owfs_btree_walk(bt, &min, &max, item, &r), 0);
	owfs_btree_close(bt);
	return XXH3_64bits_digest(&r.st);
}

/* After a commit: no block leaked, none given away too early. */
static void judge(struct proto *p)
{
	static unsigned char seen[NBLOCKS];
	unsigned int i;

	memset(seen, 0, sizeof(seen));
	if (p->root.birth)
		reach_from(p, &p->root, p->level, seen);
	for (i = 0; i < p->nsnaps; i++)
		assert_true(reach_from(p, &p->snap[i].root, p->snap[i].level,
				       seen) == p->snap[i].digest);
	for (i = FIRST_BLOCK; i < NBLOCKS; i++)
		if (seen[i] != p->used[i])
			fail_msg("block %u: reached=%d used=%d", i, seen[i],
				 p->used[i]);
}

/* -------------------------------------------------------------- snapshots */

static void snapshot_create(struct proto *p)
{
	static unsigned char seen[NBLOCKS];
	struct snap *s = &p->snap[p->nsnaps];

	if (p->nsnaps == SNAPS || !p->root.birth)
		return;
	commit(p);
	s->id = p->next_id++;
	s->gen = p->gen - 1;
	s->root = p->root;
	s->level = p->level;
	s->digest = reach_from(p, &s->root, s->level, seen);
	p->nsnaps++;
}

struct dead_pick {
	uint64_t seq[4096];
	struct dead d[4096];
	unsigned int n;
};

static int pick(void *ctx, const struct owfs_key *key, const void *val,
		size_t len)
{
	struct dead_pick *dp = ctx;

	(void)len;
	if (dp->n == 4096)
		return 1;
	dp->seq[dp->n] = key->off;
	memcpy(&dp->d[dp->n++], val, sizeof(struct dead));
	return 0;
}

/*
 * Go over the list of the time after snapshot @id: what only that snapshot
 * held is free, the rest moves to list @to.  In batches, as background work
 * would do it.
 */
static void list_split(struct proto *p, unsigned int id, owfs_gen_t older,
		       bool move, owfs_ino_t to)
{
	static struct dead_pick dp;
	struct owfs_key first = owfs_key(DEAD_INO + id, OWFS_ITEM_DEAD, 0);
	struct owfs_key last = owfs_key(DEAD_INO + id, OWFS_ITEM_DEAD,
					UINT64_MAX);
	unsigned int i;

	do {
		dp.n = 0;
		owfs_btree_walk(p->bt, &first, &last, pick, &dp);
		for (i = 0; i < dp.n; i++) {
			uint64_t block = le64_to_cpu(dp.d[i].block);
			uint64_t birth = le64_to_cpu(dp.d[i].birth);

			first.off = dp.seq[i];
			assert_int_equal(owfs_btree_delete(p->bt, &first), 0);
			if (birth > older)
				give(p, block);
			else if (move)
				list_add(p, to, block, birth);
		}
		first.off = 0;
	} while (dp.n);
}

static void snapshot_delete(struct proto *p, unsigned int i)
{
	unsigned int id = p->snap[i].id;
	owfs_gen_t older = i ? p->snap[i - 1].gen : 0;
	bool newest = i == p->nsnaps - 1;

	/* dead nodes known so far belong to lists made while it was there */
	drain_pending(p);
	memmove(&p->snap[i], &p->snap[i + 1],
		(p->nsnaps - i - 1) * sizeof(p->snap[0]));
	p->nsnaps--;
	if (newest && !p->nsnaps) {
		list_split(p, id, 0, false, 0);
		return;
	}
	/* what the snapshot before still holds goes to that one's list */
	list_split(p, id, older, i > 0, i ? DEAD_INO + p->snap[i - 1].id : 0);
	if (p->nsnaps)
		drain_pending(p);
}

/* ------------------------------------------------------------------- tests */

static void proto_open(struct proto *p, uint64_t seed)
{
	struct owfs_btree_param bp = {
		.ops = &proto_ops, .ctx = p, .owner = OWFS_TREE_MAIN,
		.open_gen = 1,
	};

	memset(p, 0, sizeof(*p));
	p->rng.s = seed;
	p->gen = 1;
	p->e = emubd_create((uint64_t)NBLOCKS * 4096);
	assert_int_equal(owfs_bufcache_create(&p->bc, emubd_blkdev(p->e), 4096,
					      NBLOCKS, 5, 1 << 20, NULL), 0);
	assert_int_equal(owfs_bufcache_reserve(p->bc, 4096), 0);
	bp.bc = p->bc;
	assert_int_equal(owfs_btree_open(&p->bt, &bp), 0);
}

static void proto_close(struct proto *p)
{
	owfs_btree_release(p->bt, &p->before);
	owfs_btree_close(p->bt);
	owfs_bufcache_destroy(p->bc);
	emubd_destroy(p->e);
}

static void random_change(struct proto *p)
{
	unsigned int file = (unsigned int)rng_below(&p->rng, FILES);
	unsigned int off = (unsigned int)rng_below(&p->rng, FILE_BLOCKS);
	unsigned int n = (unsigned int)rng_below(&p->rng, 30), i;
	unsigned int other = (unsigned int)rng_below(&p->rng, FILES);
	uint64_t what = rng_below(&p->rng, 4);

	for (i = off; i < off + n && i < FILE_BLOCKS; i++) {
		if (what == 0)
			punch(p, file, i);
		else if (what == 1)
			clone_block(p, file, other, i);
		else
			write_block(p, file, i);
	}
}

static void random_life(uint64_t seed, unsigned int steps)
{
	static struct proto p;
	unsigned int i, j;

	proto_open(&p, seed);
	for (i = 0; i < steps; i++) {
		uint64_t what = rng_below(&p.rng, 20);

		owfs_bufcache_unreserve(p.bc, 0);
		assert_int_equal(owfs_bufcache_reserve(p.bc, 1024), 0);
		if (what == 0)
			snapshot_create(&p);
		else if (what == 1 && p.nsnaps)
			snapshot_delete(&p, (unsigned int)
					rng_below(&p.rng, p.nsnaps));
		else
			random_change(&p);
		if (rng_below(&p.rng, 4) == 0) {
			commit(&p);
			judge(&p);
		}
	}
	while (p.nsnaps)
		snapshot_delete(&p, (unsigned int)rng_below(&p.rng, p.nsnaps));
	for (i = 0; i < FILES; i++)
		for (j = 0; j < FILE_BLOCKS; j++)
			punch(&p, i, j);
	commit(&p);
	judge(&p);
	proto_close(&p);
}

static void test_snapshots_and_clones_neither_leak_nor_lose(void **state)
{
	uint64_t seed;

	(void)state;
	for (seed = 1; seed <= 6; seed++)
		random_life(seed, 400);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_snapshots_and_clones_neither_leak_nor_lose),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
