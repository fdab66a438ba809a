/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Subtrees out of the tree and in again: what is not below them stays as it
 * was, and what is comes back as it was, at every node of a tree.
 */
#include "btree_fixture.h"
#include "tree/node.h"

#define ITEMS	3000u
#define MAX_NODES	2048u

struct seen {
	struct owfs_ptr ptr;
	unsigned int level;
	struct owfs_key first;
	uint32_t from, to;		/* items below, as numbers */
};

struct nodes {
	struct seen v[MAX_NODES];
	unsigned int n;
};

static struct nodes nodes;

static int note(void *ctx, const struct owfs_ptr *ptr, unsigned int level,
		const void *data)
{
	struct nodes *all = ctx;

	assert_true(all->n < MAX_NODES);
	all->v[all->n++] = (struct seen){
		.ptr = *ptr, .level = level, .first = owfs_node_first(data) };
	return 0;
}

static struct fixture *make_tree(struct model *m, unsigned int copies)
{
	const struct owfs_btree_visitor v = { .enter = note, .ctx = &nodes };
	struct fixture *f = fixture_create(4096, 8192, copies, 1 << 20);
	uint32_t id;

	model_init(m, ITEMS, 100, 300);
	for (id = 0; id < ITEMS; id++)
		assert_int_equal(put_version(f, m, id, 1), 0);
	commit_all(f);
	remount(f);
	nodes.n = 0;
	assert_int_equal(owfs_btree_visit(f->bt, &v), 0);
	assert_true(owfs_btree_height(f->bt) >= 3);
	return f;
}

/* What is below @s: up to the first key of the next node of its level or above. */
static void range_of(struct seen *s)
{
	const struct seen *next = s + 1, *end = nodes.v + nodes.n;
	struct owfs_key key;

	while (next < end && next->level < s->level)
		next++;
	for (s->from = 0; s->from < ITEMS; s->from++) {
		key = model_key(s->from);
		if (owfs_key_cmp(&key, &s->first) >= 0)
			break;
	}
	for (s->to = s->from; s->to < ITEMS; s->to++) {
		key = model_key(s->to);
		if (next < end && owfs_key_cmp(&key, &next->first) >= 0)
			break;
	}
}

static void without(struct model *m, const struct seen *s)
{
	uint32_t id;

	for (id = s->from; id < s->to; id++)
		m->version[id] = 0;
}

/* Out, and a commit; in, and a commit; unless nothing would be left between. */
static void out_and_in(struct fixture *f, const struct model *whole,
		       struct seen *s)
{
	struct model rest;

	range_of(s);
	model_init(&rest, ITEMS, 100, 300);
	model_copy(&rest, whole);
	without(&rest, s);
	assert_int_equal(owfs_btree_cut(f->bt, &s->first, s->level), 0);
	if (!owfs_btree_is_empty(f->bt)) {
		assert_tree_is(f->bt, &rest);
		commit_all(f);
		remount(f);
		assert_tree_is(f->bt, &rest);
	}
	assert_int_equal(owfs_btree_adopt(f->bt, &s->ptr, s->level, &s->first),
			 0);
	assert_tree_is(f->bt, whole);
	if (owfs_btree_dirty(f->bt)) {
		commit_all(f);
		remount(f);
	}
	assert_tree_is(f->bt, whole);
	model_free(&rest);
}

/* From the same state each time: nodes must still be where they were seen. */
static void test_each_subtree_goes_out_and_comes_in(void **state)
{
	struct model m;
	struct fixture *f = make_tree(&m, 1);
	unsigned int i, step = 1 + nodes.n / (60 / SLOWNESS + 4);

	(void)state;
	fixture_destroy(f);
	model_free(&m);
	for (i = 0; i < nodes.n; i += nodes.v[i].level ? 1 : step) {
		f = make_tree(&m, 1 + i % 2);
		out_and_in(f, &m, &nodes.v[i]);
		fixture_destroy(f);
		model_free(&m);
	}
}

/* All leaves of a tree whose branches are gone, in any order. */
static void test_a_tree_grows_from_its_leaves(void **state)
{
	struct rng rng;
	struct model m;
	struct fixture *f = make_tree(&m, 2);
	unsigned int i, j;

	(void)state;
	rng_seed(&rng, 1);
	for (i = nodes.n - 1; i > 0; i--) {
		struct seen s = nodes.v[i];

		j = (unsigned int)rng_next(&rng, i + 1);
		nodes.v[i] = nodes.v[j];
		nodes.v[j] = s;
	}
	assert_int_equal(owfs_btree_cut(f->bt, &nodes.v[0].first,
					owfs_btree_height(f->bt) - 1), 0);
	assert_true(owfs_btree_is_empty(f->bt));
	for (i = 0; i < nodes.n; i++)
		if (nodes.v[i].level == 0)
			assert_int_equal(owfs_btree_adopt(f->bt,
							  &nodes.v[i].ptr, 0,
							  &nodes.v[i].first),
					 0);
	assert_tree_is(f->bt, &m);
	commit_all(f);
	remount(f);
	assert_tree_is(f->bt, &m);
	for (i = 0; i < ITEMS; i += 7)
		if (put_version(f, &m, i, i % 3))
			fail_msg("item %u: %s", i, fixture_said);
	assert_tree_is(f->bt, &m);
	commit_all(f);
	assert_tree_is(f->bt, &m);
	fixture_destroy(f);
	model_free(&m);
}

static void test_what_is_there_is_not_hung_in_twice(void **state)
{
	struct model m;
	struct fixture *f = make_tree(&m, 1);

	(void)state;
	assert_int_equal(owfs_btree_adopt(f->bt, &nodes.v[3].ptr,
					  nodes.v[3].level, &nodes.v[3].first),
			 -EEXIST);
	assert_tree_is(f->bt, &m);
	fixture_destroy(f);
	model_free(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_subtree_goes_out_and_comes_in),
		cmocka_unit_test(test_a_tree_grows_from_its_leaves),
		cmocka_unit_test(test_what_is_there_is_not_hung_in_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
