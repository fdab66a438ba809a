/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One node against a model: sorted arrays of keys and values.  After every
 * change the node must have the model's items, pass the verifier, have no
 * holes, and nothing but zeroes where it is free.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "tree/node.h"

#define NBLOCKS		1000000u
#define MAX_ITEMS	4096

struct item {
	struct owfs_key key;
	unsigned int len;
	unsigned char val[OWFS_ITEM_MAX];
};

struct model {
	unsigned int n;
	struct item *items[MAX_ITEMS];
};

static uint64_t rng;

static uint64_t rnd(uint64_t n)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (rng >> 11) % n;
}

static void seed(uint64_t s)
{
	print_message("seed %llu\n", (unsigned long long)s);
	rng = s * 0x9e3779b97f4a7c15ull + 1;
}

/* ---------------------------------------------------------------- the node */

static void *new_node(size_t size, unsigned int level)
{
	struct owfs_block_hdr *hdr = aligned_alloc(4096, size);

	memset(hdr, 0, size);
	hdr->bh_magic = cpu_to_le32(OWFS_NODE_MAGIC);
	hdr->bh_level = cpu_to_le16((uint16_t)level);
	hdr->bh_addr[0] = cpu_to_le64(1000);
	hdr->bh_gen = cpu_to_le64(50);
	hdr->bh_owner = cpu_to_le64(OWFS_TREE_MAIN);
	if (level == 0)
		owfs_leaf_init(hdr, size);
	return hdr;
}

static struct owfs_node_expect whole_range(const void *node)
{
	return (struct owfs_node_expect){
		.level = owfs_node_level(node),
		.root = true,
		.owner = OWFS_TREE_MAIN,
		.low = OWFS_KEY_MIN,
		.last = OWFS_KEY_MAX,
	};
}

static void assert_sound(const void *node, size_t size)
{
	struct owfs_node_expect expect = whole_range(node);
	uint64_t detail;
	const char *what = owfs_node_check(node, size, NBLOCKS, &expect,
					   &detail);

	if (what)
		fail_msg("%s (%llu)", what, (unsigned long long)detail);
}

static void assert_zero(const void *node, size_t from, size_t to)
{
	const unsigned char *p = node;

	for (; from < to; from++)
		if (p[from])
			fail_msg("stale byte at %zu", from);
}

/* Nothing free but one gap, and that is zero. */
static void assert_tidy(const void *node, size_t size)
{
	unsigned int n = owfs_node_nitems(node), i;
	size_t slots = sizeof(struct owfs_block_hdr), live = 0, low;

	if (owfs_node_level(node)) {
		slots += n * sizeof(struct owfs_branch_slot);
		assert_zero(node, slots, size);
		return;
	}
	slots += n * sizeof(struct owfs_leaf_slot);
	low = le32_to_cpu(owfs_node_hdr(node)->bh_low);
	assert_zero(node, slots, low);
	for (i = 0; i < n; i++) {
		size_t off = le16_to_cpu(owfs_leaf_slot(node, i)->off);
		size_t len = owfs_leaf_len(node, i);

		assert_zero(node, off + len, (off + len + 7) & ~(size_t)7);
		live += owfs_leaf_item_size(len);
	}
	assert_int_equal(live, owfs_leaf_used(node, size));
	assert_int_equal(size - live, owfs_leaf_room(node) +
			 sizeof(struct owfs_block_hdr));
}

/* --------------------------------------------------------------- the model */

static unsigned int model_find(const struct model *m, const struct owfs_key *key,
			       bool *exact)
{
	unsigned int i;

	for (i = 0; i < m->n; i++) {
		int cmp = owfs_key_cmp(&m->items[i]->key, key);

		if (cmp >= 0) {
			*exact = cmp == 0;
			return i;
		}
	}
	*exact = false;
	return m->n;
}

static void fill_item(struct item *it, unsigned int max)
{
	unsigned int i;

	it->len = 1 + (unsigned int)rnd(max);
	for (i = 0; i < it->len; i++)
		it->val[i] = (unsigned char)(1 + rnd(255));
}

static struct item *new_item(unsigned int max)
{
	struct item *it = calloc(1, sizeof(*it));

	it->key = (struct owfs_key){ rnd(8), rnd(2000) };
	fill_item(it, max);
	return it;
}

static void model_insert(struct model *m, unsigned int pos, struct item *it)
{
	memmove(m->items + pos + 1, m->items + pos,
		(m->n - pos) * sizeof(struct item *));
	m->items[pos] = it;
	m->n++;
}

static void model_remove(struct model *m, unsigned int pos)
{
	free(m->items[pos]);
	memmove(m->items + pos, m->items + pos + 1,
		(m->n - pos - 1) * sizeof(struct item *));
	m->n--;
}

static void model_free(struct model *m)
{
	while (m->n)
		model_remove(m, m->n - 1);
}

/* Items [from, from + n) of the model are the node's. */
static void assert_equal(const struct model *m, unsigned int from,
			 unsigned int n, const void *node)
{
	unsigned int i;

	assert_int_equal(owfs_node_nitems(node), n);
	for (i = 0; i < n; i++) {
		const struct item *it = m->items[from + i];
		struct owfs_key key = owfs_leaf_key(node, i);

		assert_int_equal(owfs_key_cmp(&key, &it->key), 0);
		assert_int_equal(owfs_leaf_len(node, i), it->len);
		assert_memory_equal(owfs_leaf_val(node, i), it->val, it->len);
	}
}

/* ------------------------------------------------------------------ leaves */

static void random_leaf_op(struct model *m, void *node, size_t size,
			   unsigned int max)
{
	struct item *it = new_item(max), *old;
	bool exact, found;
	unsigned int pos = owfs_leaf_find(node, &it->key, &found);

	assert_int_equal(pos, model_find(m, &it->key, &exact));
	assert_int_equal(exact, found);
	if (!exact) {
		if (owfs_leaf_room(node) >= owfs_leaf_item_size(it->len)) {
			owfs_leaf_insert(node, pos, &it->key, it->val, it->len);
			model_insert(m, pos, it);
			return;
		}
		if (m->n && rnd(2)) {
			pos = (unsigned int)rnd(m->n);
			owfs_leaf_remove(node, pos);
			model_remove(m, pos);
		}
	} else if (rnd(3) == 0) {
		owfs_leaf_remove(node, pos);
		model_remove(m, pos);
	} else {
		old = m->items[pos];
		if (owfs_leaf_room(node) + owfs_leaf_item_size(old->len) >=
		    owfs_leaf_item_size(it->len)) {
			owfs_leaf_replace(node, pos, it->val, it->len);
			old->len = it->len;
			memcpy(old->val, it->val, it->len);
		}
	}
	free(it);
	(void)size;
}

static void leaf_ops(size_t size, unsigned int max, unsigned int count)
{
	void *node = new_node(size, 0);
	struct model m = { 0 };
	unsigned int i;

	for (i = 0; i < count; i++) {
		random_leaf_op(&m, node, size, max);
		if (i % 16 == 0 || size == 4096) {
			assert_equal(&m, 0, m.n, node);
			assert_sound(node, size);
			assert_tidy(node, size);
		}
	}
	while (m.n) {
		unsigned int pos = (unsigned int)rnd(m.n);

		owfs_leaf_remove(node, pos);
		model_remove(&m, pos);
		if (m.n % 8 == 0)
			assert_equal(&m, 0, m.n, node);
	}
	assert_tidy(node, size);
	assert_int_equal(owfs_leaf_room(node), owfs_leaf_capacity(size));
	free(node);
}

static void test_leaf_does_what_the_model_does(void **state)
{
	size_t size;

	(void)state;
	seed(11);
	for (size = OWFS_BLOCK_MIN; size <= OWFS_BLOCK_MAX; size *= 4) {
		leaf_ops(size, OWFS_ITEM_MAX, 3000);
		leaf_ops(size, 40, 3000);
		leaf_ops(size, 8, 3000);
	}
}

static void fill_leaf(struct model *m, void *node, unsigned int max)
{
	for (;;) {
		struct item *it = new_item(max);
		bool exact;
		unsigned int pos = owfs_leaf_find(node, &it->key, &exact);

		if (exact) {
			free(it);
			continue;
		}
		if (owfs_leaf_room(node) < owfs_leaf_item_size(it->len)) {
			free(it);
			return;
		}
		owfs_leaf_insert(node, pos, &it->key, it->val, it->len);
		model_insert(m, pos, it);
	}
}

/* Split as the tree does, and look at both halves. */
static void split_once(size_t size, unsigned int max)
{
	void *left = new_node(size, 0), *right = new_node(size, 0);
	struct model m = { 0 };
	struct item *it;
	unsigned int pos, cut, n;
	bool exact, to_left;

	fill_leaf(&m, left, max);
	do {
		it = new_item(OWFS_ITEM_MAX);
		pos = owfs_leaf_find(left, &it->key, &exact);
		if (exact || owfs_leaf_room(left) >= owfs_leaf_item_size(it->len)) {
			free(it);
			it = NULL;
		}
	} while (!it);

	n = owfs_node_nitems(left);
	cut = owfs_leaf_split_at(left, size, pos, &it->key,
				 owfs_leaf_item_size(it->len), &to_left);
	assert_true(cut <= n);
	owfs_leaf_copy(right, 0, left, cut, n - cut);
	owfs_leaf_truncate(left, size, cut);
	if (pos < cut || (pos == cut && to_left)) {
		assert_true(owfs_leaf_room(left) >= owfs_leaf_item_size(it->len));
		owfs_leaf_insert(left, pos, &it->key, it->val, it->len);
	} else {
		assert_true(owfs_leaf_room(right) >= owfs_leaf_item_size(it->len));
		owfs_leaf_insert(right, pos - cut, &it->key, it->val, it->len);
	}
	model_insert(&m, pos, it);
	n = owfs_node_nitems(left);
	assert_in_range(n, 1, m.n - 1);
	assert_equal(&m, 0, n, left);
	assert_equal(&m, n, m.n - n, right);
	assert_sound(left, size);
	assert_sound(right, size);
	assert_tidy(left, size);
	assert_tidy(right, size);
	model_free(&m);
	free(left);
	free(right);
}

static void test_leaf_split_leaves_two_sound_halves(void **state)
{
	unsigned int i;
	size_t size;

	(void)state;
	seed(12);
	for (size = OWFS_BLOCK_MIN; size <= OWFS_BLOCK_MAX; size *= 2)
		for (i = 0; i < (size == 4096 ? 400 : 20); i++)
			split_once(size, i % 2 ? OWFS_ITEM_MAX : 100);
}

static void test_leaf_append_keeps_the_left_half_full(void **state)
{
	void *node = new_node(4096, 0);
	struct model m = { 0 };
	bool to_left;
	unsigned int n;

	(void)state;
	seed(13);
	fill_leaf(&m, node, 64);
	n = owfs_node_nitems(node);
	assert_int_equal(owfs_leaf_split_at(node, 4096, n, &OWFS_KEY_MAX, 100,
					    &to_left), n);
	assert_false(to_left);
	model_free(&m);
	free(node);
}

static void test_leaf_copy_joins_two_leaves_in_either_order(void **state)
{
	unsigned int round;

	(void)state;
	seed(14);
	for (round = 0; round < 200; round++) {
		void *a = new_node(8192, 0), *b = new_node(8192, 0);
		struct model m = { 0 };
		unsigned int cut, n;

		fill_leaf(&m, a, 200);
		n = m.n;
		cut = (unsigned int)rnd(n + 1);
		owfs_leaf_copy(b, 0, a, cut, n - cut);
		owfs_leaf_truncate(a, 8192, cut);
		if (round % 2) {
			owfs_leaf_copy(a, cut, b, 0, n - cut);
			assert_equal(&m, 0, n, a);
			assert_tidy(a, 8192);
		} else {
			owfs_leaf_copy(b, 0, a, 0, cut);
			assert_equal(&m, 0, n, b);
			assert_tidy(b, 8192);
		}
		model_free(&m);
		free(a);
		free(b);
	}
}

/* What another writer may leave: values in any order with holes between. */
static void test_tidy_takes_out_holes_and_stale_bytes(void **state)
{
	const size_t size = 4096;
	unsigned char *node = new_node(size, 0);
	struct owfs_block_hdr *hdr = (void *)node;
	struct model m = { 0 };
	unsigned int i, at[] = { 4000, 3200, 3600 };

	(void)state;
	seed(15);
	memset(node + sizeof(*hdr), 0xee, size - sizeof(*hdr));
	for (i = 0; i < 3; i++) {
		struct owfs_leaf_slot *s = (void *)owfs_leaf_slot(node, i);
		struct item *it = new_item(90);

		it->key = (struct owfs_key){ 1, i };
		owfs_key_to_disk(&s->key, &it->key);
		s->off = cpu_to_le16((uint16_t)at[i]);
		s->len = cpu_to_le16((uint16_t)it->len);
		s->zero = cpu_to_le32(0);
		memcpy(node + at[i], it->val, it->len);
		model_insert(&m, i, it);
	}
	hdr->bh_nitems = cpu_to_le16(3);
	hdr->bh_low = cpu_to_le32(3200);
	assert_sound(node, size);
	owfs_node_tidy(node, size);
	assert_equal(&m, 0, 3, node);
	assert_sound(node, size);
	assert_tidy(node, size);
	model_free(&m);
	free(node);
}

/* ---------------------------------------------------------------- branches */

static struct owfs_ptr some_ptr(uint64_t n)
{
	return (struct owfs_ptr){
		.addr = { 100 + n, 0 },
		.birth = 1 + n % 50,
		.csum = n * 77,
	};
}

static void branch_ops(size_t size)
{
	void *node = new_node(size, 3);
	uint64_t keys[1400];
	unsigned int n = 0, i, round;

	for (round = 0; round < 4000; round++) {
		struct owfs_key key = { 5, rnd(100000) };
		struct owfs_ptr ptr = some_ptr(key.off);
		unsigned int at = owfs_branch_find(node, &key);

		for (i = 0; i + 1 < n && keys[i + 1] <= key.off; i++)
			;
		assert_int_equal(at, i);
		if (n && keys[i] == key.off)
			continue;
		if (n < owfs_branch_max(size) && rnd(3)) {
			if (n && keys[i] < key.off)
				i++;
			owfs_branch_insert(node, i, &key, &ptr);
			memmove(keys + i + 1, keys + i, (n - i) * sizeof(*keys));
			keys[i] = key.off;
			n++;
		} else if (n > 1) {
			i = (unsigned int)rnd(n);
			owfs_branch_remove(node, i);
			memmove(keys + i, keys + i + 1,
				(n - i - 1) * sizeof(*keys));
			n--;
		}
		if (round % 8)
			continue;
		assert_int_equal(owfs_node_nitems(node), n);
		for (i = 0; i < n; i++) {
			ptr = owfs_branch_ptr(node, i);
			assert_int_equal(owfs_branch_key(node, i).off, keys[i]);
			assert_int_equal(ptr.csum, keys[i] * 77);
		}
		assert_tidy(node, size);
		if (n)
			assert_sound(node, size);
	}
	free(node);
}

static void test_branch_does_what_the_model_does(void **state)
{
	(void)state;
	seed(16);
	branch_ops(4096);
	branch_ops(65536);
}

static void test_branch_copy_and_truncate_move_slots(void **state)
{
	void *a = new_node(4096, 1), *b = new_node(4096, 1);
	unsigned int i, n = owfs_branch_max(4096);

	(void)state;
	assert_int_equal(n, 84);
	for (i = 0; i < n; i++) {
		struct owfs_key key = { 1, i };
		struct owfs_ptr ptr = some_ptr(i);

		owfs_branch_insert(a, i, &key, &ptr);
	}
	owfs_branch_copy(b, 0, a, 50, n - 50);
	owfs_branch_truncate(a, 50);
	assert_tidy(a, 4096);
	assert_tidy(b, 4096);
	owfs_branch_copy(b, 0, a, 0, 50);
	for (i = 0; i < n; i++)
		assert_int_equal(owfs_branch_ptr(b, i).csum, i * 77);
	assert_sound(b, 4096);
	free(a);
	free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_leaf_does_what_the_model_does),
		cmocka_unit_test(test_leaf_split_leaves_two_sound_halves),
		cmocka_unit_test(test_leaf_append_keeps_the_left_half_full),
		cmocka_unit_test(test_leaf_copy_joins_two_leaves_in_either_order),
		cmocka_unit_test(test_tidy_takes_out_holes_and_stale_bytes),
		cmocka_unit_test(test_branch_does_what_the_model_does),
		cmocka_unit_test(test_branch_copy_and_truncate_move_slots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
