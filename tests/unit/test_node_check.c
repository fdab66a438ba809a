/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The verifier: a defect for each of its checks, and then nodes of a real tree
 * changed at random under right checksums, as whoever makes images may do.
 * Those must be refused or read, never crash or loop.
 */
#include "base/checksum.h"
#include "btree_fixture.h"
#include "tree/node.h"

#define SIZE	4096u
#define NBLOCKS	40000u

/* ------------------------------------------------------------ one by one */

static void make_header(void *node, unsigned int level)
{
	struct owfs_block_hdr *hdr = node;

	memset(node, 0, SIZE);
	hdr->bh_magic = cpu_to_le32(OWFS_NODE_MAGIC);
	hdr->bh_level = cpu_to_le16((uint16_t)level);
	hdr->bh_addr[0] = cpu_to_le64(1000);
	hdr->bh_gen = cpu_to_le64(50);
	hdr->bh_owner = cpu_to_le64(OWFS_TREE_MAIN);
}

/* Five items with keys (5, 10) to (5, 50), 20 bytes each. */
static void make_leaf(void *node)
{
	unsigned int i;

	make_header(node, 0);
	owfs_leaf_init(node, SIZE);
	for (i = 0; i < 5; i++) {
		const struct owfs_key key = { 5, 10 * (i + 1) };

		owfs_leaf_insert(node, i, &key, "twenty bytes of text", 20);
	}
}

static void make_branch(void *node)
{
	unsigned int i;

	make_header(node, 2);
	for (i = 0; i < 5; i++) {
		const struct owfs_key key = { 5, 10 * (i + 1) };
		const struct owfs_ptr ptr = {
			.addr = { 100 + i, 0 }, .birth = 40 + i, .csum = i,
		};

		owfs_branch_insert(node, i, &key, &ptr);
	}
}

static struct owfs_node_expect expect_level(unsigned int level)
{
	return (struct owfs_node_expect){
		.level = level,
		.owner = OWFS_TREE_MAIN,
		.low = { 5, 10 },
		.last = { 5, 50 },
	};
}

static struct owfs_block_hdr *hdr(void *node)
{
	return node;
}

static struct owfs_leaf_slot *leaf(void *node, unsigned int i)
{
	return (struct owfs_leaf_slot *)owfs_leaf_slot(node, i);
}

static struct owfs_branch_slot *branch(void *node, unsigned int i)
{
	return (struct owfs_branch_slot *)owfs_branch_slot(node, i);
}

static void magic(void *n) { hdr(n)->bh_magic = cpu_to_le32(OWFS_MAP_MAGIC); }
static void zero32(void *n) { hdr(n)->bh_zero32 = cpu_to_le32(1); }
static void zero64(void *n) { hdr(n)->bh_zero64 = cpu_to_le64(1); }
static void level_high(void *n) { hdr(n)->bh_level = cpu_to_le16(13); }
static void level_one(void *n) { hdr(n)->bh_level = cpu_to_le16(1); }
static void owner(void *n) { hdr(n)->bh_owner = cpu_to_le64(2); }
static void empty(void *n) { hdr(n)->bh_nitems = cpu_to_le16(0); }
static void leaf_empty(void *n) { owfs_leaf_truncate(n, SIZE, 0); }
static void many(void *n) { hdr(n)->bh_nitems = cpu_to_le16(65535); }
static void more_85(void *n) { hdr(n)->bh_nitems = cpu_to_le16(85); }
static void low_past(void *n) { hdr(n)->bh_low = cpu_to_le32(SIZE + 8); }
static void low_slots(void *n) { hdr(n)->bh_low = cpu_to_le32(64); }
static void low_less(void *n) { hdr(n)->bh_low = cpu_to_le32(3960); }
static void low_more(void *n) { hdr(n)->bh_low = cpu_to_le32(4008); }
static void low_branch(void *n) { hdr(n)->bh_low = cpu_to_le32(8); }
static void slot_zero(void *n) { leaf(n, 2)->zero = cpu_to_le32(1); }
static void len_none(void *n) { leaf(n, 2)->len = cpu_to_le16(0); }
static void len_more(void *n) { leaf(n, 2)->len = cpu_to_le16(961); }
static void len_past(void *n) { leaf(n, 0)->len = cpu_to_le16(25); }
static void align(void *n) { leaf(n, 2)->off = cpu_to_le16(4003); }
static void overlap(void *n) { leaf(n, 2)->off = leaf(n, 1)->off; }
static void touch(void *n) { leaf(n, 2)->len = cpu_to_le16(25); }
static void leaf_equal(void *n) { leaf(n, 2)->key = leaf(n, 1)->key; }
static void leaf_down(void *n) { leaf(n, 2)->key.off = cpu_to_le64(15); }
static void leaf_below(void *n) { leaf(n, 0)->key.off = cpu_to_le64(9); }
static void leaf_above(void *n) { leaf(n, 4)->key.off = cpu_to_le64(51); }
static void branch_down(void *n) { branch(n, 2)->key.off = cpu_to_le64(15); }
static void branch_below(void *n) { branch(n, 0)->key.off = cpu_to_le64(9); }
static void branch_above(void *n) { branch(n, 4)->key.obj = cpu_to_le64(6); }
static void addr_none(void *n) { branch(n, 1)->ptr.addr[0] = cpu_to_le64(0); }
static void addr_front(void *n) { branch(n, 1)->ptr.addr[0] = cpu_to_le64(47); }
static void addr_back(void *n)
{
	branch(n, 1)->ptr.addr[0] = cpu_to_le64(NBLOCKS - 32);
}
static void addr_far(void *n)
{
	branch(n, 1)->ptr.addr[0] = cpu_to_le64(UINT64_MAX);
}
static void second(void *n) { branch(n, 1)->ptr.addr[1] = cpu_to_le64(300); }
static void no_second(void *n) { hdr(n)->bh_addr[1] = cpu_to_le64(2000); }
static void twins(void *n)
{
	unsigned int i;

	no_second(n);
	for (i = 0; i < 5; i++)
		branch(n, i)->ptr.addr[1] = branch(n, i)->ptr.addr[0];
}
static void unborn(void *n) { branch(n, 1)->ptr.birth = cpu_to_le64(0); }
static void future(void *n) { branch(n, 1)->ptr.birth = cpu_to_le64(51); }

static const struct defect {
	bool leaf;
	void (*make)(void *node);
	const char *said;
} defects[] = {
	{ true, magic, "wrong magic" },
	{ true, zero32, "padding of the header is not zero" },
	{ false, zero64, "padding of the header is not zero" },
	{ true, level_high, "level too high" },
	{ true, level_one, "wrong level" },
	{ false, level_one, "wrong level" },
	{ true, owner, "wrong owner" },
	{ true, leaf_empty, "empty node" },
	{ false, empty, "branch without children" },
	{ true, many, "items do not fit" },
	{ false, many, "items do not fit" },
	{ false, more_85, "items do not fit" },
	{ true, low_past, "items do not fit" },
	{ true, low_slots, "items do not fit" },
	{ true, low_less, "low end of values wrong" },
	{ true, low_more, "value below the values" },
	{ false, low_branch, "low end of values in a branch" },
	{ true, slot_zero, "padding of a slot is not zero" },
	{ true, len_none, "bad length of a value" },
	{ true, len_more, "bad length of a value" },
	{ true, len_past, "value past end of node" },
	{ true, align, "value not aligned" },
	{ true, overlap, "values overlap" },
	{ true, touch, "values overlap" },
	{ true, leaf_equal, "keys do not ascend" },
	{ true, leaf_down, "keys do not ascend" },
	{ false, branch_down, "keys do not ascend" },
	{ true, leaf_below, "key below the parent's bound" },
	{ true, leaf_above, "key above the parent's bound" },
	{ false, branch_below, "key below the parent's bound" },
	{ false, branch_above, "key above the parent's bound" },
	{ false, addr_none, "pointer out of range" },
	{ false, addr_front, "pointer out of range" },
	{ false, addr_back, "pointer out of range" },
	{ false, addr_far, "pointer out of range" },
	{ false, second, "number of copies differs from the node's" },
	{ false, no_second, "number of copies differs from the node's" },
	{ false, twins, "second pointer out of range" },
	{ false, unborn, "child younger than its parent" },
	{ false, future, "child younger than its parent" },
};

static void test_each_defect_is_found_and_named(void **state)
{
	static unsigned char node[SIZE];
	uint64_t detail;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(defects); i++) {
		const struct defect *d = &defects[i];
		struct owfs_node_expect expect = expect_level(d->leaf ? 0 : 2);
		const char *what;

		(d->leaf ? make_leaf : make_branch)(node);
		assert_null(owfs_node_check(node, SIZE, NBLOCKS, &expect,
					    &detail));
		d->make(node);
		what = owfs_node_check(node, SIZE, NBLOCKS, &expect, &detail);
		if (!what || strcmp(what, d->said))
			fail_msg("defect %zu: %s instead of %s", i,
				 what ? what : "nothing", d->said);
	}
}

static void test_empty_leaf_may_be_the_root(void **state)
{
	static unsigned char node[SIZE];
	struct owfs_node_expect expect = expect_level(0);
	uint64_t detail;

	(void)state;
	make_leaf(node);
	owfs_leaf_truncate(node, SIZE, 0);
	assert_non_null(owfs_node_check(node, SIZE, NBLOCKS, &expect, &detail));
	expect.root = true;
	assert_null(owfs_node_check(node, SIZE, NBLOCKS, &expect, &detail));
}

/* What a reader asks of a node that is in memory already. */
static void test_empty_node_has_no_other_place(void **state)
{
	static unsigned char node[SIZE];
	struct owfs_node_expect expect = expect_level(0);
	uint64_t detail;

	(void)state;
	make_leaf(node);
	owfs_leaf_truncate(node, SIZE, 0);
	assert_string_equal(owfs_node_check_place(node, &expect, &detail),
			    "empty node");
	expect.root = true;
	assert_null(owfs_node_check_place(node, &expect, &detail));
	expect.level = 2;
	make_branch(node);
	empty(node);
	assert_string_equal(owfs_node_check_place(node, &expect, &detail),
			    "empty node");
}

static void test_what_lies_in_the_gap_is_nobodys_business(void **state)
{
	static unsigned char node[SIZE];
	struct owfs_node_expect expect = expect_level(0);
	uint64_t detail;

	(void)state;
	make_leaf(node);
	memset(node + 1000, 0xff, 2000);
	assert_null(owfs_node_check(node, SIZE, NBLOCKS, &expect, &detail));
}

/* Bytes alone, at random: any answer will do, from inside the block. */
static void test_random_bytes_never_lead_outside(void **state)
{
	unsigned char *node = malloc(SIZE);
	struct owfs_node_expect expect;
	struct rng r;
	uint64_t detail, i, k, sound = 0;

	(void)state;
	rng_seed(&r, 31);
	for (i = 0; i < 200000 / SLOWNESS; i++) {
		bool is_leaf = rng_next(&r, 2);

		(is_leaf ? make_leaf : make_branch)(node);
		for (k = rng_next(&r, 4); k; k--)
			node[rng_next(&r, 320)] = (unsigned char)rng_next(&r, 256);
		expect = expect_level(is_leaf ? 0 : 2);
		sound += !owfs_node_check(node, SIZE, NBLOCKS, &expect, &detail);
		owfs_node_check(node, SIZE, NBLOCKS, NULL, &detail);
	}
	assert_true(sound > 0);
	free(node);
}

/* --------------------------------------------------------- images made wrong */

/* A committed tree of three levels, and room for what happens to it. */
struct image {
	struct fixture *base;
	struct model model;
	struct emubd *dev;
	struct owfs_ptr root;
	owfs_fsblock_t next;		/* free from here on */
};

static void image_create(struct image *im)
{
	struct rng r;
	uint32_t i;

	memset(im, 0, sizeof(*im));
	im->base = fixture_create(SIZE, NBLOCKS, 1, 1 << 20);
	model_init(&im->model, 4000, 100, 200);
	rng_seed(&r, 32);
	for (i = 0; i < 4000; i++) {
		assert_int_equal(put_version(im->base, &im->model, i, 1), 0);
		if (i % 900 == 0)
			commit_all(im->base);
	}
	commit_all(im->base);
	assert_int_equal(owfs_btree_height(im->base->bt), 3);
}

static void image_destroy(struct image *im)
{
	model_free(&im->model);
	fixture_destroy(im->base);
}

static void image_fork(struct image *im)
{
	im->dev = emubd_fork(im->base->dev);
	im->root = im->base->root[0];
	im->next = 20000;
}

static int image_alloc(void *ctx, owfs_fsblock_t addr[2])
{
	struct image *im = ctx;

	if (im->next >= NBLOCKS - 100)
		return -ENOSPC;
	addr[0] = im->next++;
	addr[1] = 0;
	return 0;
}

/* As the allocator does it: what is not used cannot be freed. */
static int image_free(void *ctx, const struct owfs_ptr *ptr, bool unborn)
{
	struct image *im = ctx;
	const bool used = im->base->used[ptr->addr[0]];

	return unborn || used ? 0 : -EFSCORRUPTED;
}

static const struct owfs_btree_ops image_ops = {
	.alloc_block = image_alloc,
	.free_block = image_free,
};

/* The way to some node, from the root down. */
struct way {
	unsigned int n;
	struct owfs_ptr ptr[4];
	unsigned int slot[4];
	unsigned char data[4][SIZE];
};

static void load(struct image *im, struct way *w)
{
	emubd_peek(im->dev, w->data[w->n], SIZE, w->ptr[w->n].addr[0] * SIZE);
	w->n++;
}

static void pick_way(struct image *im, struct rng *r, struct way *w,
		     unsigned int depth)
{
	w->n = 0;
	w->ptr[0] = im->root;
	load(im, w);
	while (w->n <= depth) {
		const void *node = w->data[w->n - 1];
		unsigned int i = (unsigned int)rng_next(r,
						owfs_node_nitems(node));

		w->slot[w->n - 1] = i;
		w->ptr[w->n] = owfs_branch_ptr(node, i);
		load(im, w);
	}
}

/* Write the lowest node of the way, and whatever its checksum changes above. */
static void store_way(struct image *im, struct way *w)
{
	uint64_t csum = 0;

	while (w->n--) {
		unsigned char *node = w->data[w->n];

		hdr(node)->bh_csum = cpu_to_le64(0);
		csum = owfs_checksum(CSUM_SEED, node, SIZE);
		hdr(node)->bh_csum = cpu_to_le64(csum);
		emubd_poke(im->dev, node, SIZE, w->ptr[w->n].addr[0] * SIZE);
		if (w->n)
			owfs_branch_set_csum(w->data[w->n - 1],
					     w->slot[w->n - 1], csum);
	}
	im->root.csum = csum;
}

static int touch_item(void *ctx, const struct owfs_key *key, const void *val,
		      size_t len)
{
	const unsigned char *p = val;

	(void)key;
	while (len--)
		*(unsigned int *)ctx += p[len];
	return 0;
}

static int count_bad(void *ctx, const struct owfs_ptr *ptr, unsigned int level,
		     int err)
{
	(void)ptr;
	(void)level;
	assert_true(err == -EFSCORRUPTED || err == -EFSBADCRC);
	++*(unsigned int *)ctx;
	return 0;
}

static int enter_all(void *ctx, const struct owfs_ptr *ptr, unsigned int level,
		     const void *data)
{
	(void)ctx;
	(void)ptr;
	assert_int_equal(owfs_node_level(data), level);
	return 0;
}

static bool answer_ok(int ret)
{
	return ret >= 0 || ret == -ENOENT || ret == -EEXIST ||
	       ret == -EFSCORRUPTED || ret == -EFSBADCRC || ret == -ENOSPC;
}

/* Use the tree for all it is good for. */
static unsigned int use_tree(struct image *im, struct owfs_btree *bt,
			     struct rng *r)
{
	const struct owfs_key min = OWFS_KEY_MIN, max = OWFS_KEY_MAX;
	unsigned char val[OWFS_ITEM_MAX] = { 1 };
	unsigned int sum = 0, bad = 0, i;
	struct owfs_btree_visitor v = {
		.enter = enter_all, .bad = count_bad, .ctx = &bad };

	assert_int_equal(owfs_btree_visit(bt, &v), 0);
	assert_true(answer_ok(owfs_btree_walk(bt, &min, &max, touch_item, &sum)));
	for (i = 0; i < 60; i++) {
		struct owfs_key key = model_key((uint32_t)rng_next(r, im->model.n));
		struct owfs_key at = key;
		int ret;

		switch (rng_next(r, 6)) {
		case 0:
			ret = owfs_btree_lookup(bt, &key, val, sizeof(val));
			break;
		case 1:
			ret = owfs_btree_next(bt, &at, &max, val, sizeof(val));
			break;
		case 2:
			ret = owfs_btree_prev(bt, &at, &min, val, sizeof(val));
			break;
		case 3:
			key.off++;
			ret = owfs_btree_insert(bt, &key, val,
						1 + rng_next(r, OWFS_ITEM_MAX));
			break;
		case 4:
			ret = owfs_btree_update(bt, &key, val,
						1 + rng_next(r, OWFS_ITEM_MAX));
			break;
		default:
			ret = owfs_btree_delete(bt, &key);
			break;
		}
		assert_true(answer_ok(ret));
	}
	return bad;
}

/* Returns how many nodes could not be had. */
static unsigned int use_image(struct image *im, struct rng *r)
{
	struct owfs_btree_param p = {
		.ops = &image_ops, .ctx = im, .owner = OWFS_TREE_MAIN,
		.root = im->root, .level = 2, .open_gen = 1000,
	};
	struct owfs_btree_sealed sealed;
	struct owfs_btree *bt;
	unsigned int bad;

	assert_int_equal(owfs_bufcache_create(&p.bc, emubd_blkdev(im->dev),
					      SIZE, NBLOCKS, CSUM_SEED, 16 * SIZE,
					      &fixture_msg), 0);
	assert_int_equal(owfs_btree_open(&bt, &p), 0);
	bad = use_tree(im, bt, r);
	owfs_btree_seal(bt, 1001, &sealed);
	owfs_btree_finish(bt, &sealed);
	while (owfs_btree_write(bt, &sealed, 32) > 0)
		;
	use_tree(im, bt, r);
	owfs_btree_close(bt);
	owfs_btree_release(bt, &sealed);
	owfs_bufcache_destroy(p.bc);
	emubd_destroy(im->dev);
	return bad;
}

static void mutate_bytes(struct rng *r, unsigned char *node)
{
	uint64_t k, far = rng_next(r, 2) ? 200 : SIZE;

	for (k = 1 + rng_next(r, 3); k; k--) {
		uint64_t at = rng_next(r, far);

		if (rng_next(r, 2))
			node[at] = (unsigned char)rng_next(r, 256);
		else
			node[at] ^= (unsigned char)(1 << rng_next(r, 8));
	}
}

static void test_mutated_nodes_are_refused_or_read(void **state)
{
	struct image im;
	struct way w;
	struct rng r;
	unsigned int i, bad = 0;

	(void)state;
	image_create(&im);
	print_message("seed 33\n");
	rng_seed(&r, 33);
	for (i = 0; i < 1500 / SLOWNESS; i++) {
		image_fork(&im);
		pick_way(&im, &r, &w, (unsigned int)rng_next(&r, 3));
		mutate_bytes(&r, w.data[w.n - 1]);
		store_way(&im, &w);
		bad += use_image(&im, &r) > 0;
	}
	assert_in_range(bad, i / 4, i);
	image_destroy(&im);
}

/* Pointers with right checksums, but where they do not belong. */
static void test_misplaced_pointers_are_found(void **state)
{
	struct image im;
	struct way w, other;
	struct rng r;
	unsigned int i, bad;

	(void)state;
	image_create(&im);
	print_message("seed 34\n");
	rng_seed(&r, 34);
	for (i = 0; i < 400 / SLOWNESS; i++) {
		struct owfs_ptr ptr;
		unsigned int slot;

		image_fork(&im);
		pick_way(&im, &r, &w, (unsigned int)rng_next(&r, 2));
		pick_way(&im, &r, &other, 1 + (unsigned int)rng_next(&r, 2));
		slot = (unsigned int)rng_next(&r,
					owfs_node_nitems(w.data[w.n - 1]));
		ptr = owfs_branch_ptr(w.data[w.n - 1], slot);
		if (ptr.addr[0] == other.ptr[other.n - 1].addr[0]) {
			emubd_destroy(im.dev);
			continue;
		}
		owfs_branch_set_ptr(w.data[w.n - 1], slot,
				    &other.ptr[other.n - 1]);
		store_way(&im, &w);
		bad = use_image(&im, &r);
		if (!bad)
			fail_msg("round %u: wrong pointer not found", i);
	}
	image_destroy(&im);
}

static void test_every_flipped_bit_is_found(void **state)
{
	const struct owfs_key min = OWFS_KEY_MIN, max = OWFS_KEY_MAX;
	struct image im;
	struct way w;
	struct rng r;
	unsigned int i, sum = 0;

	(void)state;
	image_create(&im);
	print_message("seed 35\n");
	rng_seed(&r, 35);
	for (i = 0; i < 400 / SLOWNESS; i++) {
		struct owfs_bufcache *bc;
		struct owfs_btree *bt;
		unsigned int bit;
		uint64_t at;

		im.dev = im.base->dev;
		im.root = im.base->root[0];
		pick_way(&im, &r, &w, (unsigned int)rng_next(&r, 3));
		at = w.ptr[w.n - 1].addr[0] * SIZE + rng_next(&r, SIZE);
		bit = (unsigned int)rng_next(&r, 8);
		emubd_flip_bit(im.dev, at, bit);
		bt = reopen(im.base, &im.root, 2, &bc);
		assert_int_equal(owfs_btree_walk(bt, &min, &max, touch_item,
						 &sum), -EFSBADCRC);
		assert_non_null(strstr(fixture_said, "checksum"));
		reopen_close(bt, bc);
		emubd_flip_bit(im.dev, at, bit);
	}
	image_destroy(&im);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_defect_is_found_and_named),
		cmocka_unit_test(test_empty_leaf_may_be_the_root),
		cmocka_unit_test(test_empty_node_has_no_other_place),
		cmocka_unit_test(test_what_lies_in_the_gap_is_nobodys_business),
		cmocka_unit_test(test_random_bytes_never_lead_outside),
		cmocka_unit_test(test_mutated_nodes_are_refused_or_read),
		cmocka_unit_test(test_misplaced_pointers_are_found),
		cmocka_unit_test(test_every_flipped_bit_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
