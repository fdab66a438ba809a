/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A commit that is kept for a check while others write. */
#include "alloc_rig.h"
#include "space/bitmap.h"

#define BLOCKS	(3u * 32256u + 5000u)	/* four groups */
#define NODES	64u

static struct rig r;
static owfs_fsblock_t node[NODES], data;
static uint64_t *at_begin;	/* bits of all groups */

static size_t nwords(void)
{
	return OWFS_BITMAP_WORDS(r.geo.group_blocks);
}

static void make_nodes(void)
{
	owfs_fsblock_t addr[2];
	unsigned int i;

	assert_int_equal(owfs_alloc_reserve(r.al, NODES, OWFS_RESV_NORMAL), 0);
	for (i = 0; i < NODES; i++) {
		assert_int_equal(owfs_alloc_node(r.al, 1, addr), 0);
		node[i] = addr[0];
	}
}

static int setup(void **state)
{
	uint64_t g;

	(void)state;
	rig_init(&r, 4096, BLOCKS, 384);
	make_nodes();
	data = rig_use(&r, owfs_geo_group_start(&r.geo, 1) + 10, 500);
	rig_commit(&r);
	rig_commit(&r);
	at_begin = calloc(r.geo.ngroups * nwords(), sizeof(*at_begin));
	for (g = 0; g < r.geo.ngroups; g++)
		assert_int_equal(owfs_alloc_group_bits(r.al, g, at_begin +
						       g * nwords(), nwords()),
				 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	assert_int_equal(owfs_alloc_check(r.al), 0);
	rig_fini(&r);
	free(at_begin);
	return 0;
}

static void check_bits(void)
{
	uint64_t *bits = calloc(nwords(), sizeof(*bits)), g;

	for (g = 0; g < r.geo.ngroups; g++) {
		assert_int_equal(owfs_alloc_kept_bits(r.al, g, bits), 0);
		assert_memory_equal(bits, at_begin + g * nwords(),
				    nwords() * sizeof(*bits));
	}
	free(bits);
}

static bool is_node(owfs_fsblock_t start, uint64_t len)
{
	unsigned int i;

	for (i = 0; i < NODES; i++)
		if (node[i] >= start && node[i] < start + len)
			return true;
	return false;
}

static void free_nodes(unsigned int from, unsigned int to)
{
	for (; from < to; from++)
		assert_int_equal(owfs_alloc_free(r.al, node[from], 1), 0);
}

/* Stage all that can be had, see that no node is in it, and give it back. */
static bool nodes_can_be_had(void)
{
	struct { owfs_fsblock_t start; uint64_t len; } run[400];
	struct owfs_alloc_stat st = rig_stat(&r);
	uint64_t left = st.free - r.reserve;
	unsigned int n = 0;
	bool had = false;

	assert_int_equal(owfs_alloc_reserve(r.al, left, OWFS_RESV_NORMAL), 0);
	while (left) {
		assert_true(n < ARRAY_SIZE(run));
		assert_int_equal(owfs_alloc_data(r.al, node[0], left,
						 &run[n].start, &run[n].len), 0);
		had |= is_node(run[n].start, run[n].len);
		left -= run[n++].len;
	}
	while (n--)
		owfs_alloc_unstage(r.al, run[n].start, run[n].len, false);
	return had;
}

static void test_nodes_are_held_and_data_is_not(void **state)
{
	struct owfs_alloc_stat st;
	unsigned int i;

	(void)state;
	free_nodes(0, 10);	/* in the generation that is open already */
	assert_int_equal(owfs_alloc_keep(r.al), 0);
	assert_int_equal(owfs_alloc_keep(r.al), -EBUSY);
	st = rig_stat(&r);
	free_nodes(10, NODES);
	assert_int_equal(owfs_alloc_free_data(r.al, data, 500), 0);
	for (i = 0; i < 5; i++) {
		rig_commit(&r);
		assert_int_equal(owfs_alloc_check(r.al), 0);
		check_bits();
	}
	assert_int_equal(rig_stat(&r).free, st.free + 500);
	assert_int_equal(rig_stat(&r).pinned, NODES);
	assert_false(nodes_can_be_had());
	owfs_alloc_unkeep(r.al);
	assert_false(owfs_alloc_is_kept(r.al));
	assert_int_equal(owfs_alloc_kept_bits(r.al, 0, at_begin), -ESTALE);
	assert_int_equal(rig_stat(&r).free, st.free + 500 + NODES);
	assert_int_equal(owfs_alloc_check(r.al), 0);
	assert_true(nodes_can_be_had());
}

/* What is still pinned when it ends goes on as if nothing had been. */
static void test_end_in_the_middle(void **state)
{
	uint64_t before = rig_stat(&r).free;
	struct owfs_map_root root;
	unsigned int steps;

	(void)state;
	for (steps = 0; steps < 4; steps++) {
		assert_int_equal(owfs_alloc_keep(r.al), 0);
		free_nodes(steps * 10, steps * 10 + 5);
		if (steps >= 1)
			rig_seal_store(&r, &root);
		free_nodes(steps * 10 + 5, steps * 10 + 10);
		if (steps >= 2) {
			rig_durable(&r, &root);
			rig_seal_store(&r, &root);
		}
		if (steps >= 3) {
			rig_durable(&r, &root);
			rig_seal_store(&r, &root);
		}
		owfs_alloc_unkeep(r.al);
		assert_int_equal(owfs_alloc_check(r.al), 0);
		if (steps)
			rig_durable(&r, &root);
		rig_commit(&r);
		rig_commit(&r);
		rig_commit(&r);
		assert_int_equal(owfs_alloc_check(r.al), 0);
		assert_int_equal(rig_stat(&r).free, before + steps * 10 + 10);
	}
}

/* Blocks that nobody may have do not make anybody be refused. */
static void test_space_is_more_important(void **state)
{
	struct owfs_alloc_stat st;

	(void)state;
	assert_int_equal(owfs_alloc_keep(r.al), 0);
	free_nodes(0, NODES);
	rig_commit(&r);
	rig_commit(&r);
	rig_commit(&r);
	st = rig_stat(&r);
	assert_int_equal(st.pinned, NODES);
	/* all but what is held: it goes on */
	assert_int_equal(owfs_alloc_reserve(r.al, st.free - r.reserve,
					    OWFS_RESV_NORMAL), 0);
	assert_true(owfs_alloc_is_kept(r.al));
	r.quiet = true;
	assert_int_equal(owfs_alloc_reserve(r.al, NODES, OWFS_RESV_NORMAL), 0);
	assert_false(owfs_alloc_is_kept(r.al));
	assert_non_null(strstr(r.last, "not kept any longer"));
	assert_int_equal(rig_stat(&r).pinned, 0);
	owfs_alloc_unreserve(r.al, st.free - r.reserve + NODES);
	assert_int_equal(owfs_alloc_keep(r.al), 0);
	owfs_alloc_unkeep(r.al);
}

/* Groups that are read while it is kept have their part, too. */
static void test_groups_read_later(void **state)
{
	(void)state;
	rig_remount(&r);
	assert_int_equal(owfs_alloc_keep(r.al), 0);
	free_nodes(0, 20);
	assert_int_equal(owfs_alloc_load(r.al, data, 1), 0);
	rig_commit(&r);
	assert_int_equal(owfs_alloc_free(r.al, data, 500), 0);
	rig_commit(&r);
	rig_commit(&r);
	rig_commit(&r);
	check_bits();
	assert_int_equal(rig_stat(&r).pinned, 520);
	assert_int_equal(owfs_alloc_check(r.al), 0);
	owfs_alloc_unkeep(r.al);
	assert_int_equal(rig_stat(&r).pinned, 0);
}

/* The device is not told to forget what is held. */
static void test_no_discard_of_what_is_held(void **state)
{
	unsigned char *block = malloc(4096), *now = malloc(4096);
	unsigned int i;

	(void)state;
	r.discard = true;
	rig_remount(&r);
	emubd_discard_noise(r.emu);
	memset(block, 'n', 4096);
	for (i = 0; i < NODES; i++)
		emubd_poke(r.emu, block, 4096, node[i] * 4096);
	assert_int_equal(owfs_alloc_keep(r.al), 0);
	for (i = 0; i < NODES; i += 2)	/* every other one */
		free_nodes(i, i + 1);
	for (i = 1; i < NODES; i += 2)
		assert_int_equal(owfs_alloc_free_data(r.al, node[i], 1), 0);
	for (i = 0; i < 4; i++)
		rig_commit(&r);
	for (i = 0; i < NODES; i++) {
		emubd_peek(r.emu, now, 4096, node[i] * 4096);
		assert_int_equal(!memcmp(block, now, 4096), i % 2 == 0);
	}
	owfs_alloc_unkeep(r.al);
	free(block);
	free(now);
}

/* A group that has changed stays in memory, for as long as what it was counts. */
static void test_changed_groups_stay_in_memory(void **state)
{
	const uint64_t per = r.geo.group_blocks, ngroups = 8000;
	uint64_t *bits = calloc(nwords(), sizeof(*bits)), g;
	struct rig big;
	unsigned int i;

	(void)state;
	rig_init(&big, 4096, ngroups * per, 384);
	assert_int_equal(owfs_alloc_keep(big.al), 0);
	for (g = 0; g < ngroups; g++)
		assert_int_equal(owfs_alloc_load(big.al, (g + 1) * per - 1, 1), 0);
	rig_use(&big, 7000 * per + 50, 9);
	for (i = 0; i < 5; i++)
		rig_commit(&big);
	assert_int_equal(owfs_alloc_kept_bits(big.al, 7000, bits), 0);
	assert_true(owfs_bitmap_is_clear(bits, 50, 9));
	assert_int_equal(owfs_alloc_check(big.al), 0);
	rig_fini(&big);
	free(bits);
}

/* What rests (iomap mode) is data. */
static void test_resting_data(void **state)
{
	uint64_t before = rig_stat(&r).free;
	unsigned int i;

	(void)state;
	owfs_alloc_rest(r.al, 1000000, NULL);
	assert_int_equal(owfs_alloc_free_data(r.al, data, 250), 0);
	assert_int_equal(owfs_alloc_keep(r.al), 0);
	assert_int_equal(owfs_alloc_free_data(r.al, data + 250, 250), 0);
	for (i = 0; i < 4; i++) {
		rig_commit(&r);
		assert_int_equal(owfs_alloc_check(r.al), 0);
	}
	assert_int_equal(rig_stat(&r).free, before);
	owfs_alloc_unkeep(r.al);
	assert_int_equal(owfs_alloc_check(r.al), 0);
	assert_int_equal(rig_stat(&r).free, before);
	owfs_alloc_rest(r.al, 0, NULL);
	rig_commit(&r);
	assert_int_equal(rig_stat(&r).free, before + 500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define keep_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		keep_test(test_nodes_are_held_and_data_is_not),
		keep_test(test_end_in_the_middle),
		keep_test(test_space_is_more_important),
		keep_test(test_groups_read_later),
		keep_test(test_no_discard_of_what_is_held),
		keep_test(test_changed_groups_stay_in_memory),
		keep_test(test_resting_data),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
