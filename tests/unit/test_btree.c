/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tree against a model, through commits, evictions, remounts and faults. */
#include "btree_fixture.h"

/* ----------------------------------------------------------------- random */

/* What a generation looked like when it was sealed. */
struct history {
	struct model now, sealed, durable, before;
	bool has_durable, has_before;
};

static void history_init(struct history *h, uint32_t ids, unsigned int minlen,
			 unsigned int maxlen)
{
	memset(h, 0, sizeof(*h));
	model_init(&h->now, ids, minlen, maxlen);
	model_init(&h->sealed, ids, minlen, maxlen);
	model_init(&h->durable, ids, minlen, maxlen);
	model_init(&h->before, ids, minlen, maxlen);
}

static void history_free(struct history *h)
{
	model_free(&h->now);
	model_free(&h->sealed);
	model_free(&h->durable);
	model_free(&h->before);
}

/* The last two commits are on the device, each as it was sealed. */
static void assert_commits_are(struct fixture *f, const struct history *h)
{
	const struct model *m[2] = { &h->durable, &h->before };
	int i, n = h->has_before ? 2 : h->has_durable;

	for (i = 0; i < n; i++) {
		struct owfs_bufcache *bc;
		struct owfs_btree *bt = reopen(f, &f->root[i], f->level[i], &bc);

		assert_tree_is(bt, m[i]);
		reopen_close(bt, bc);
	}
}

/* One more step of a commit, or the first of the next. */
static void commit_step(struct fixture *f, struct history *h, struct rng *r,
			int *state)
{
	switch (*state) {
	case 0:
		commit_seal(f);
		model_copy(&h->sealed, &h->now);
		*state = 1;
		break;
	case 1:
		commit_finish(f);
		*state = 2;
		break;
	case 2:
		if (!commit_write(f, 1 + rng_next(r, 64)))
			*state = 3;
		break;
	case 3:
		commit_durable(f);
		model_copy(&h->before, &h->durable);
		model_copy(&h->durable, &h->sealed);
		h->has_before = h->has_durable;
		h->has_durable = true;
		*state = 0;
		break;
	}
}

/* Where changes go for a while, and what they are. */
struct phase {
	uint32_t base, width;
	unsigned int deletes;		/* of 8 */
	int step;			/* 0: anywhere */
	uint32_t at;
};

static void new_phase(struct phase *ph, struct rng *r, uint32_t ids)
{
	ph->width = 1 + (uint32_t)rng_next(r, rng_next(r, 2) ? ids : 200);
	ph->base = (uint32_t)rng_next(r, ids - ph->width + 1);
	ph->deletes = (unsigned int)rng_next(r, 9);
	ph->step = (int)rng_next(r, 3) - 1;
	ph->at = ph->step < 0 ? ph->width - 1 : 0;
}

static uint32_t phase_id(struct phase *ph, struct rng *r)
{
	if (ph->step == 0)
		return ph->base + (uint32_t)rng_next(r, ph->width);
	ph->at = (ph->at + ph->width + (uint32_t)ph->step) % ph->width;
	return ph->base + ph->at;
}

static void random_op(struct fixture *f, struct history *h, struct rng *r,
		      struct phase *ph, uint32_t *version)
{
	uint32_t id = phase_id(ph, r);
	struct owfs_key key = model_key(id);
	bool there = h->now.version[id];
	int ret;

	if (rng_next(r, 8) < ph->deletes) {
		ret = put_version(f, &h->now, id, 0);
		assert_int_equal(ret, there ? 0 : -ENOENT);
	} else {
		assert_int_equal(put_version(f, &h->now, id, ++*version), 0);
	}
	if (rng_next(r, 16) == 0) {
		assert_item_is(f->bt, &h->now, (uint32_t)rng_next(r, h->now.n));
		if (h->now.version[id])
			assert_int_equal(owfs_btree_insert(f->bt, &key, "x", 1),
					 -EEXIST);
		else
			assert_int_equal(owfs_btree_update(f->bt, &key, "x", 1),
					 -ENOENT);
	}
}

struct run {
	size_t blocksize;
	unsigned int copies;
	uint32_t ids;
	unsigned int minlen, maxlen;
	size_t cache;
	unsigned int ops;
	uint64_t seed;
};

static void random_run(const struct run *c)
{
	struct fixture *f = fixture_create(c->blocksize, 40000, c->copies,
					   c->cache);
	struct history h;
	struct phase ph;
	struct rng r;
	uint32_t version = 0;
	unsigned int i, pace = 100, height = 0;
	int state = 0;

	print_message("blocksize %zu copies %u seed %llu\n", c->blocksize,
		      c->copies, (unsigned long long)c->seed);
	history_init(&h, c->ids, c->minlen, c->maxlen);
	rng_seed(&r, c->seed);
	new_phase(&ph, &r, c->ids);
	for (i = 0; i < c->ops / SLOWNESS; i++) {
		random_op(f, &h, &r, &ph, &version);
		height = (unsigned int)max_u64(height, owfs_btree_height(f->bt));
		if (rng_next(&r, 2000) == 0)
			new_phase(&ph, &r, c->ids);
		if (rng_next(&r, 5000) == 0)
			pace = 1 + (unsigned int)rng_next(&r, 400);
		if (rng_next(&r, 50) == 0)
			owfs_bufcache_shrink(f->bc, true);
		if (rng_next(&r, pace) == 0)
			commit_step(f, &h, &r, &state);
		if (rng_next(&r, 20000) == 0) {
			assert_tree_is(f->bt, &h.now);
			assert_int_equal(count_nodes(f->bt) * c->copies,
					 f->nused);
			assert_commits_are(f, &h);
		}
		if (rng_next(&r, 40000) == 0) {
			do {
				commit_step(f, &h, &r, &state);
			} while (state || owfs_btree_dirty(f->bt));
			remount(f);
		}
	}
	print_message("  levels %u generations %llu\n", height,
		      (unsigned long long)f->gen);
	assert_tree_is(f->bt, &h.now);
	for (i = 0; i < c->ids; i++)
		if (h.now.version[i])
			assert_int_equal(put_version(f, &h.now, i, 0), 0);
	assert_tree_is(f->bt, &h.now);
	assert_int_equal(owfs_btree_height(f->bt), 1);
	assert_int_equal(f->nused, c->copies);
	assert_commits_are(f, &h);
	history_free(&h);
	fixture_destroy(f);
}

static void test_tree_does_what_the_model_does(void **state)
{
	static const struct run runs[] = {
		{ 4096, 1, 6000, 8, 960, 8 * 4096, 300000, 1 },
		{ 4096, 2, 6000, 8, 200, 8 * 4096, 150000, 2 },
		{ 4096, 1, 6000, 8, 400, 64 << 20, 200000, 3 },
		{ 4096, 1, 30000, 900, 960, 64 * 4096, 200000, 4 },
		{ 8192, 1, 6000, 8, 960, 4 * 8192, 100000, 5 },
		{ 65536, 1, 6000, 8, 960, 65536, 50000, 6 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(runs); i++)
		random_run(&runs[i]);
}

/* ------------------------------------------------------------------- shape */

static struct owfs_key plain_key(uint64_t file, uint64_t n)
{
	return owfs_key(file, OWFS_ITEM_EXTENT, n);
}

static void insert_plain(struct fixture *f, uint64_t file, uint64_t n)
{
	const struct owfs_key key = plain_key(file, n);
	const uint64_t val[3] = { n, n, n };

	assert_int_equal(owfs_btree_insert(f->bt, &key, val, sizeof(val)), 0);
}

/* Of all leaves' bytes, how many are used, in percent. */
static unsigned int fill_percent(struct fixture *f, uint64_t items)
{
	uint64_t bytes = items * 48;
	uint64_t leaves = count_nodes(f->bt) - owfs_btree_height(f->bt) + 1;

	return (unsigned int)(bytes * 100 / (leaves * 4032));
}

static void test_ascending_inserts_leave_full_leaves(void **state)
{
	struct fixture *f = fixture_create(4096, 40000, 1, 1 << 20);
	uint64_t i, n = 40000;

	(void)state;
	for (i = 0; i < n; i++) {
		insert_plain(f, 100, i);
		if (i % 5000 == 4999)
			commit_all(f);
	}
	assert_in_range(fill_percent(f, n), 94, 100);
	fixture_destroy(f);
}

/* Several files grow at their ends, one among the others. */
static void test_appends_in_the_middle_leave_leaves_mostly_full(void **state)
{
	struct fixture *f = fixture_create(4096, 40000, 1, 1 << 20);
	uint64_t i, file, n = 4000;

	(void)state;
	for (i = 0; i < n; i++)
		for (file = 0; file < 10; file++)
			insert_plain(f, 100 + file, i);
	assert_in_range(fill_percent(f, n * 10), 80, 100);
	fixture_destroy(f);
}

static void test_descending_inserts_share_leaves(void **state)
{
	struct fixture *f = fixture_create(4096, 40000, 1, 1 << 20);
	uint64_t i, n = 40000;

	(void)state;
	for (i = n; i > 0; i--)
		insert_plain(f, 100, i);
	assert_in_range(fill_percent(f, n), 45, 100);
	fixture_destroy(f);
}

static void test_thin_leaves_are_merged(void **state)
{
	struct fixture *f = fixture_create(4096, 40000, 1, 64 << 20);
	uint64_t i, n = 40000, before;

	(void)state;
	for (i = 0; i < n; i++)
		insert_plain(f, 100, i);
	before = f->nused;
	for (i = 0; i < n; i++) {
		const struct owfs_key key = plain_key(100, i);

		if (i % 8)
			assert_int_equal(owfs_btree_delete(f->bt, &key), 0);
	}
	assert_in_range(f->nused, 1, before / 2);
	assert_int_equal(count_nodes(f->bt), f->nused);
	fixture_destroy(f);
}

/* From the end, leaf after leaf: the neighbour is too full to be merged with. */
static void test_last_item_of_a_leaf_takes_the_root_along(void **state)
{
	struct fixture *f = fixture_create(4096, 40000, 1, 64 << 20);
	uint64_t i, n = 0;

	(void)state;
	while (owfs_btree_height(f->bt) < 3)
		insert_plain(f, 100, n++);
	for (i = n; i-- > 1; ) {
		const struct owfs_key key = plain_key(100, i);

		if (i % 64 == 0)
			commit_all(f);
		assert_int_equal(owfs_btree_delete(f->bt, &key), 0);
		assert_int_equal(count_nodes(f->bt), f->nused);
	}
	assert_int_equal(owfs_btree_height(f->bt), 1);
	assert_int_equal(f->nused, 1);
	fixture_destroy(f);
}

/* -------------------------------------------------------------- worst case */

/* Change up to @run neighbours from @id on. */
static void change_run(struct fixture *f, struct model *m, struct rng *r,
		       uint32_t id, unsigned int run, uint32_t *version)
{
	unsigned int deletes = (unsigned int)rng_next(r, 9), i;

	for (i = 0; i < run && id < m->n; i++, id++) {
		if (rng_next(r, 8) >= deletes)
			assert_int_equal(put_version(f, m, id, ++*version), 0);
		else if (m->version[id])
			assert_int_equal(put_version(f, m, id, 0), 0);
	}
}

static void worst_search(unsigned int minlen, size_t cache, uint64_t seed)
{
	struct fixture *f = fixture_create(4096, 60000, 1, cache);
	unsigned int round, worst, most = 0;
	struct model m;
	struct rng r;
	uint32_t version = 0;

	print_message("seed %llu\n", (unsigned long long)seed);
	rng_seed(&r, seed);
	model_init(&m, 20000, minlen, OWFS_ITEM_MAX);
	for (round = 0; round < 5000 / SLOWNESS; round++) {
		unsigned int places = 1 + (unsigned int)rng_next(&r, 4), i;
		unsigned int run = 1 + (unsigned int)rng_next(&r,
						rng_next(&r, 4) ? 3 : 60);
		uint64_t allocs = f->allocs;

		worst = owfs_btree_worst(f->bt, places, run);
		for (i = 0; i < places; i++)
			change_run(f, &m, &r, (uint32_t)rng_next(&r, m.n), run,
				   &version);
		assert_in_range(f->allocs - allocs, 0, worst);
		most = (unsigned int)max_u64(most,
					(f->allocs - allocs) * 100 / worst);
		commit_all(f);
		owfs_bufcache_shrink(f->bc, true);
	}
	print_message("  at most %u%% of the worst case\n", most);
	model_free(&m);
	fixture_destroy(f);
}

static void test_worst_case_is_never_exceeded(void **state)
{
	(void)state;
	worst_search(8, 4 * 4096, 21);
	worst_search(900, 4 * 4096, 22);
	worst_search(900, 64 << 20, 23);
}

/*
 * Files of extents between larger items: runs of them are replaced by others,
 * as a write does that finds its space, or its file, in pieces.
 */
#define FILES		40u
#define FILE_OFFS	900u

struct runs {
	struct fixture *f;
	struct rng r;
	bool there[FILES][FILE_OFFS];
	unsigned int changed, inserted;
};

static struct owfs_key run_key(unsigned int file, unsigned int off)
{
	return owfs_key(100 + file, OWFS_ITEM_EXTENT, off);
}

/* One step of a run: what is there is kept, updated or goes; or one comes. */
static void run_step(struct runs *rs, unsigned int file, unsigned int off,
		     unsigned int mood)
{
	const struct owfs_key key = run_key(file, off);
	static const char val[24];
	bool *there = &rs->there[file][off];
	struct owfs_btree *bt = rs->f->bt;

	rs->changed += *there;
	if (*there && rng_next(&rs->r, 8) < mood) {
		assert_int_equal(owfs_btree_delete(bt, &key), 0);
		*there = false;
	} else if (*there && mood < 8) {
		assert_int_equal(owfs_btree_update(bt, &key, val, 24), 0);
	} else if (rng_next(&rs->r, 8) >= mood) {
		assert_int_equal(owfs_btree_insert(bt, &key, val, 24), 0);
		*there = true;
		rs->inserted++;
	}
}

static void run_once(struct runs *rs, unsigned int len)
{
	unsigned int file = (unsigned int)rng_next(&rs->r, FILES);
	unsigned int off = (unsigned int)rng_next(&rs->r, FILE_OFFS - len);
	unsigned int mood = (unsigned int)rng_next(&rs->r, 10), end = off + len;

	rs->changed = rs->inserted = 0;
	for (; off < end; off++)
		run_step(rs, file, off, mood);
}

static void run_begin(struct runs *rs)
{
	static const char big[OWFS_ITEM_MAX];
	unsigned int file;

	for (file = 0; file < FILES; file++) {
		const struct owfs_key key = owfs_key(100 + file,
						     OWFS_ITEM_INODE, 0);

		assert_int_equal(owfs_btree_insert(rs->f->bt, &key, big,
					144 + rng_next(&rs->r, 800)), 0);
	}
	commit_all(rs->f);
}

static void run_search(size_t cache, uint64_t seed)
{
	struct runs rs = { .f = fixture_create(4096, 60000, 1, cache) };
	unsigned int round, worst, most = 0;
	uint64_t allocs, used;

	print_message("seed %llu\n", (unsigned long long)seed);
	rng_seed(&rs.r, seed);
	run_begin(&rs);
	for (round = 0; round < 6000 / SLOWNESS; round++) {
		unsigned int height = owfs_btree_height(rs.f->bt);

		allocs = rs.f->allocs;
		run_once(&rs, 1 + (unsigned int)rng_next(&rs.r,
					rng_next(&rs.r, 2) ? 8 : 600));
		used = rs.f->allocs - allocs;
		worst = owfs_btree_worst_run(rs.f->bt, rs.changed, rs.inserted,
					     24);
		/* it was asked for before */
		if (owfs_btree_height(rs.f->bt) == height)
			assert_in_range(used, 0, worst);
		most = (unsigned int)max_u64(most, used * 100 / worst);
		commit_all(rs.f);
		owfs_bufcache_shrink(rs.f->bc, true);
	}
	print_message("  at most %u%% of the worst case\n", most);
	assert_in_range(most, 20, 100);
	fixture_destroy(rs.f);
}

static void test_worst_case_of_a_run_is_never_exceeded(void **state)
{
	unsigned int seed;

	(void)state;
	for (seed = 31; seed < 34; seed++)
		run_search(4 * 4096, seed);
	run_search(64 << 20, 35);
}

/* As many in one place as a request has blocks cost no more than a few nodes. */
static void test_a_run_of_inserts_shares_its_leaves(void **state)
{
	struct fixture *f = fixture_create(4096, 60000, 1, 1 << 20);

	(void)state;
	assert_in_range(owfs_btree_worst_run(f->bt, 1, 256, 24), 1, 60);
	assert_true(owfs_btree_worst_run(f->bt, 1, 257, 24) <=
		    owfs_btree_worst_run(f->bt, 1, 8, 24) + 249);
	fixture_destroy(f);
}

/* ------------------------------------------------------------- small claims */

static void test_values_are_cut_to_the_buffer(void **state)
{
	struct fixture *f = fixture_create(4096, 40000, 1, 1 << 20);
	const struct owfs_key key = plain_key(100, 5);
	char val[8] = "........";

	(void)state;
	assert_int_equal(owfs_btree_insert(f->bt, &key, "abcdef", 6), 0);
	assert_int_equal(owfs_btree_lookup(f->bt, &key, val, 3), 6);
	assert_memory_equal(val, "abc.", 4);
	assert_int_equal(owfs_btree_lookup(f->bt, &key, NULL, 0), 6);
	fixture_destroy(f);
}

static void test_values_have_limits(void **state)
{
	struct fixture *f = fixture_create(4096, 40000, 1, 1 << 20);
	const struct owfs_key key = plain_key(100, 5);
	char val[OWFS_ITEM_MAX + 1] = { 0 };

	(void)state;
	assert_int_equal(owfs_btree_insert(f->bt, &key, val, 0), -EINVAL);
	assert_int_equal(owfs_btree_insert(f->bt, &key, val, sizeof(val)),
			 -EINVAL);
	assert_int_equal(f->nused, 0);
	assert_int_equal(owfs_btree_insert(f->bt, &key, val, OWFS_ITEM_MAX), 0);
	assert_int_equal(owfs_btree_update(f->bt, &key, val, 0), -EINVAL);
	fixture_destroy(f);
}

static void test_first_and_last_key_can_be_used(void **state)
{
	struct fixture *f = fixture_create(4096, 40000, 1, 1 << 20);
	const struct owfs_key min = OWFS_KEY_MIN, max = OWFS_KEY_MAX;
	struct owfs_key key;
	uint64_t i;

	(void)state;
	for (i = 0; i < 1000; i++)
		insert_plain(f, 100, i);
	assert_int_equal(owfs_btree_insert(f->bt, &min, "min", 3), 0);
	assert_int_equal(owfs_btree_insert(f->bt, &max, "max", 3), 0);
	key = plain_key(99, 0);
	assert_int_equal(owfs_btree_prev(f->bt, &key, &min, NULL, 0), 3);
	assert_int_equal(owfs_key_cmp(&key, &min), 0);
	key = plain_key(101, 0);
	assert_int_equal(owfs_btree_next(f->bt, &key, &max, NULL, 0), 3);
	assert_int_equal(owfs_key_cmp(&key, &max), 0);
	assert_int_equal(owfs_btree_delete(f->bt, &min), 0);
	assert_int_equal(owfs_btree_delete(f->bt, &max), 0);
	key = max;
	assert_int_equal(owfs_btree_prev(f->bt, &key, &min, NULL, 0), 24);
	assert_int_equal(owfs_key_ino(&key), 100);
	fixture_destroy(f);
}

static void test_no_tree_is_an_empty_tree(void **state)
{
	struct fixture *f = fixture_create(4096, 40000, 1, 1 << 20);
	struct model m;

	(void)state;
	model_init(&m, 10, 8, 20);
	assert_item_is(f->bt, &m, 5);
	assert_tree_is(f->bt, &m);
	assert_int_equal(put_version(f, &m, 5, 0), -ENOENT);
	assert_int_equal(owfs_btree_prefetch(f->bt, &OWFS_KEY_MIN), 0);
	assert_int_equal(count_nodes(f->bt), 0);
	assert_int_equal(f->nused, 0);
	commit_all(f);
	assert_int_equal(f->root[0].birth, 0);
	model_free(&m);
	fixture_destroy(f);
}

static void test_read_only_tree_refuses_changes(void **state)
{
	struct fixture *f = fixture_create(4096, 40000, 1, 1 << 20);
	const struct owfs_key key = plain_key(100, 5);
	struct owfs_bufcache *bc;
	struct owfs_btree *bt;

	(void)state;
	insert_plain(f, 100, 5);
	commit_all(f);
	bt = reopen(f, &f->root[0], f->level[0], &bc);
	assert_int_equal(owfs_btree_insert(bt, &key, "a", 1), -EROFS);
	assert_int_equal(owfs_btree_update(bt, &key, "a", 1), -EROFS);
	assert_int_equal(owfs_btree_delete(bt, &key), -EROFS);
	assert_int_equal(owfs_btree_lookup(bt, &key, NULL, 0), 24);
	reopen_close(bt, bc);
	fixture_destroy(f);
}

static void test_root_from_the_future_is_refused(void **state)
{
	struct fixture *f = fixture_create(4096, 40000, 1, 1 << 20);
	struct owfs_btree_param p = {
		.bc = f->bc, .ops = &fixture_ops, .ctx = f,
		.root = { .addr = { 500, 0 }, .birth = 9 }, .open_gen = 9,
	};
	struct owfs_btree *bt;

	(void)state;
	assert_int_equal(owfs_btree_open(&bt, &p), -EFSCORRUPTED);
	p.open_gen = 10;
	p.level = OWFS_MAX_LEVEL + 1;
	assert_int_equal(owfs_btree_open(&bt, &p), -EFSCORRUPTED);
	fixture_destroy(f);
}

static void test_unchanged_generation_has_no_root(void **state)
{
	struct fixture *f = fixture_create(4096, 40000, 1, 1 << 20);

	(void)state;
	insert_plain(f, 100, 5);
	assert_int_equal(owfs_btree_dirty(f->bt), 1);
	commit_all(f);
	assert_int_equal(owfs_btree_dirty(f->bt), 0);
	commit_seal(f);
	assert_null(f->sealed.root_buf);
	assert_int_equal(f->sealed.n, 0);
	commit_finish(f);
	assert_false(commit_write(f, 10));
	commit_durable(f);
	assert_int_equal(f->root[0].csum, f->root[1].csum);
	fixture_destroy(f);
}

/* What is left is a leaf of before, and nothing that is to be written. */
static void test_a_root_of_before_is_a_change(void **state)
{
	struct fixture *f = fixture_create(4096, 40000, 1, 1 << 20);
	struct owfs_bufcache *bc;
	struct owfs_btree *bt;
	struct owfs_key key;
	uint64_t n = 0;

	(void)state;
	while (owfs_btree_height(f->bt) < 2)
		insert_plain(f, 100, n++);
	commit_all(f);
	while (owfs_btree_height(f->bt) > 1) {
		key = plain_key(100, --n);
		assert_int_equal(owfs_btree_delete(f->bt, &key), 0);
	}
	assert_true(owfs_btree_dirty(f->bt) > 0);
	commit_all(f);
	assert_int_equal(owfs_btree_dirty(f->bt), 0);
	bt = reopen(f, &f->root[0], f->level[0], &bc);
	assert_int_equal(owfs_btree_lookup(bt, &key, NULL, 0), -ENOENT);
	key = plain_key(100, n - 1);
	assert_int_equal(owfs_btree_lookup(bt, &key, NULL, 0), 24);
	reopen_close(bt, bc);
	fixture_destroy(f);
}

static void test_prefetched_change_reads_nothing(void **state)
{
	struct fixture *f = fixture_create(4096, 40000, 1, 1 << 20);
	const struct owfs_key key = plain_key(100, 777);
	uint64_t i, reads;

	(void)state;
	for (i = 0; i < 20000; i += 2)
		insert_plain(f, 100, i);
	commit_all(f);
	commit_all(f);
	remount(f);
	assert_int_equal(owfs_btree_prefetch(f->bt, &key), 0);
	reads = emubd_count(f->dev, EMUBD_READ);
	insert_plain(f, 100, 777);
	assert_int_equal(owfs_btree_delete(f->bt, &key), 0);
	assert_int_equal(emubd_count(f->dev, EMUBD_READ), reads);
	fixture_destroy(f);
}

/* -------------------------------------------------------------------- visit */

struct visited {
	uint64_t n, leaves;
	unsigned int root_level;
	unsigned int skip_at;		/* level; enter says 1 there */
	int stop;			/* what the next enter returns */
};

static int visit_one(void *ctx, const struct owfs_ptr *ptr, unsigned int level,
		     const void *data)
{
	struct visited *v = ctx;

	(void)ptr;
	(void)data;
	assert_true(v->n == 0 || level <= v->root_level);
	if (v->n == 0)
		v->root_level = level;
	v->n++;
	v->leaves += level == 0;
	if (v->stop)
		return v->stop;
	return level == v->skip_at;
}

static void test_visit_goes_down_skips_and_stops(void **state)
{
	struct fixture *f = fixture_create(4096, 40000, 1, 1 << 20);
	const struct owfs_key from = plain_key(100, 10000);
	const struct owfs_key to = plain_key(100, 10001);
	struct visited seen = { .skip_at = 99 };
	struct owfs_btree_visitor v = { .enter = visit_one, .ctx = &seen };
	uint64_t i;

	(void)state;
	for (i = 0; i < 20000; i++)
		insert_plain(f, 100, i);
	assert_int_equal(owfs_btree_height(f->bt), 3);
	assert_int_equal(owfs_btree_visit(f->bt, &v), 0);
	assert_int_equal(seen.n, f->nused);
	commit_all(f);
	assert_int_equal(owfs_btree_visit(f->bt, &v), 0);
	assert_int_equal(seen.n, 2 * f->nused);

	seen = (struct visited){ .skip_at = 1 };
	assert_int_equal(owfs_btree_visit(f->bt, &v), 0);
	assert_int_equal(seen.leaves, 0);
	assert_in_range(seen.n, 3, 20);

	/* a root with a branch and a leaf below it, or two of them */
	seen = (struct visited){ .skip_at = 99 };
	v.from = &from;
	v.to = &to;
	assert_int_equal(owfs_btree_visit(f->bt, &v), 0);
	assert_in_range(seen.leaves, 1, 2);
	assert_in_range(seen.n, 3, 5);

	seen = (struct visited){ .stop = -7 };
	assert_int_equal(owfs_btree_visit(f->bt, &v), -7);
	assert_int_equal(seen.n, 1);
	fixture_destroy(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tree_does_what_the_model_does),
		cmocka_unit_test(test_ascending_inserts_leave_full_leaves),
		cmocka_unit_test(test_appends_in_the_middle_leave_leaves_mostly_full),
		cmocka_unit_test(test_descending_inserts_share_leaves),
		cmocka_unit_test(test_thin_leaves_are_merged),
		cmocka_unit_test(test_last_item_of_a_leaf_takes_the_root_along),
		cmocka_unit_test(test_worst_case_is_never_exceeded),
		cmocka_unit_test(test_worst_case_of_a_run_is_never_exceeded),
		cmocka_unit_test(test_a_run_of_inserts_shares_its_leaves),
		cmocka_unit_test(test_values_are_cut_to_the_buffer),
		cmocka_unit_test(test_values_have_limits),
		cmocka_unit_test(test_first_and_last_key_can_be_used),
		cmocka_unit_test(test_no_tree_is_an_empty_tree),
		cmocka_unit_test(test_read_only_tree_refuses_changes),
		cmocka_unit_test(test_root_from_the_future_is_refused),
		cmocka_unit_test(test_unchanged_generation_has_no_root),
		cmocka_unit_test(test_a_root_of_before_is_a_change),
		cmocka_unit_test(test_prefetched_change_reads_nothing),
		cmocka_unit_test(test_visit_goes_down_skips_and_stops),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
