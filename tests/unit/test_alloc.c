/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The states of a block, who may have one when, and where it comes from. */
#include "alloc_rig.h"

#define GROUP	32256u	/* blocks of a group at 4 KiB */

static void test_alloc_fresh_filesystem_is_all_free_without_io(void **state)
{
	struct owfs_alloc_stat st;
	struct rig r;

	(void)state;
	rig_init(&r, 4096, 5 * GROUP, 384);
	st = rig_stat(&r);
	assert_int_equal(st.free, rig_ordinary(&r));
	assert_int_equal(st.used + st.pinned + st.staged + st.reserved, 0);
	rig_use(&r, 0, 100);
	assert_int_equal(emubd_count(r.emu, EMUBD_READ), 0);
	assert_int_equal(emubd_count(r.emu, EMUBD_WRITE), 0);
	assert_int_equal(owfs_alloc_check(r.al), 0);
	rig_fini(&r);
}

static void test_alloc_block_goes_through_its_states(void **state)
{
	owfs_fsblock_t blk;
	struct rig r;
	uint64_t all;

	(void)state;
	rig_init(&r, 4096, 4096, 384);
	all = rig_ordinary(&r);
	assert_int_equal(rig_stage(&r, 0, 10, &blk), 10);
	assert_int_equal(rig_stat(&r).staged, 10);
	assert_int_equal(rig_stat(&r).free, all - 10);
	owfs_alloc_unstage(r.al, blk + 5, 3, true);
	assert_int_equal(rig_stat(&r).reserved, 3);
	owfs_alloc_unreserve(r.al, 3);
	owfs_alloc_unstage(r.al, blk + 8, 2, false);
	owfs_alloc_use(r.al, blk, 5);
	assert_int_equal(rig_stat(&r).used, 5);
	assert_int_equal(rig_stat(&r).staged, 0);
	assert_int_equal(rig_stat(&r).reserved, 0);
	assert_int_equal(owfs_alloc_free(r.al, blk, 5), 0);
	assert_int_equal(rig_stat(&r).pinned, 5);
	assert_int_equal(rig_stat(&r).free, all - 5);
	assert_int_equal(owfs_alloc_check(r.al), 0);
	rig_fini(&r);
}

/* Can an allocation get exactly block @blk? */
static bool can_have(struct rig *r, owfs_fsblock_t blk)
{
	owfs_fsblock_t got;

	assert_int_equal(rig_stage(r, blk, 1, &got), 1);
	owfs_alloc_unstage(r->al, got, 1, false);
	return got == blk;
}

static void test_alloc_freed_block_rests_until_next_commit_is_durable(void **state)
{
	struct owfs_map_root root;
	owfs_fsblock_t blk;
	struct rig r;

	(void)state;
	rig_init(&r, 4096, 4096, 384);
	blk = rig_use(&r, 0, 1);
	rig_commit(&r);
	assert_int_equal(owfs_alloc_free(r.al, blk, 1), 0);	/* in F */
	assert_false(can_have(&r, blk));
	rig_seal_store(&r, &root);
	assert_int_equal(root.freed_blocks, 1);
	assert_false(can_have(&r, blk));
	rig_durable(&r, &root);					/* F */
	assert_false(can_have(&r, blk));
	rig_seal_store(&r, &root);
	assert_int_equal(root.freed_blocks, 0);
	assert_false(can_have(&r, blk));
	assert_int_equal(rig_stat(&r).pinned, 1);
	rig_durable(&r, &root);					/* F + 1 */
	assert_int_equal(rig_stat(&r).pinned, 0);
	assert_true(can_have(&r, blk));
	assert_int_equal(owfs_alloc_check(r.al), 0);
	rig_fini(&r);
}

static void test_alloc_freed_while_sealed_rests_one_more(void **state)
{
	struct owfs_map_root root;
	owfs_fsblock_t blk;
	struct rig r;

	(void)state;
	rig_init(&r, 4096, 4096, 384);
	blk = rig_use(&r, 0, 1);
	rig_seal_store(&r, &root);
	assert_int_equal(owfs_alloc_free(r.al, blk, 1), 0);	/* in the next */
	rig_durable(&r, &root);
	assert_false(can_have(&r, blk));
	rig_commit(&r);
	assert_false(can_have(&r, blk));
	rig_commit(&r);
	assert_true(can_have(&r, blk));
	rig_fini(&r);
}

static void test_alloc_mount_keeps_what_the_commit_before_needs(void **state)
{
	owfs_fsblock_t blk, other;
	struct rig r;

	(void)state;
	rig_init(&r, 4096, 3 * GROUP, 384);
	blk = rig_use(&r, GROUP + 100, 7);
	other = rig_use(&r, 2 * GROUP + 100, 5);
	rig_commit(&r);
	assert_int_equal(owfs_alloc_free(r.al, blk, 7), 0);
	assert_int_equal(owfs_alloc_free(r.al, other, 5), 0);
	rig_commit(&r);
	assert_int_equal(r.cur.freed_blocks, 12);

	rig_remount(&r);
	assert_int_equal(rig_stat(&r).pinned, 12);	/* nothing read yet */
	assert_int_equal(emubd_count(r.emu, EMUBD_READ), 0);
	assert_false(can_have(&r, blk));
	assert_int_equal(rig_stat(&r).pinned, 12);
	assert_int_equal(owfs_alloc_check(r.al), 0);
	rig_commit(&r);		/* one group was loaded, the other never */
	assert_int_equal(rig_stat(&r).pinned, 0);
	assert_true(can_have(&r, blk));
	assert_true(can_have(&r, other));
	assert_int_equal(owfs_alloc_check(r.al), 0);
	rig_fini(&r);
}

static void test_alloc_staged_blocks_never_reach_the_device(void **state)
{
	struct owfs_map_root root;
	owfs_fsblock_t blk;
	uint64_t writes;
	struct rig r;

	(void)state;
	rig_init(&r, 4096, 4096, 384);
	rig_use(&r, 0, 3);
	rig_commit(&r);
	writes = emubd_count(r.emu, EMUBD_WRITE);
	rig_stage(&r, 0, 50, &blk);
	rig_seal_store(&r, &root);
	assert_int_equal(emubd_count(r.emu, EMUBD_WRITE), writes);
	assert_int_equal(root.gen, r.cur.gen);
	assert_int_equal(root.csum, r.cur.csum);
	assert_int_equal(root.slot, r.cur.slot);
	rig_durable(&r, &root);
	rig_use(&r, 0, 1);	/* another block of the same group is written */
	rig_commit(&r);
	assert_int_equal(r.cur.free_blocks, rig_ordinary(&r) - 4);
	rig_remount(&r);
	assert_int_equal(rig_stat(&r).free, rig_ordinary(&r) - 4);
	assert_true(can_have(&r, blk));
	rig_fini(&r);
}

static void test_alloc_refuses_to_free_what_is_not_used(void **state)
{
	owfs_fsblock_t blk, node[2] = { 0, 0 };
	struct rig r;

	(void)state;
	rig_init(&r, 4096, 2 * GROUP, 384);
	blk = rig_use(&r, 0, 4);
	rig_commit(&r);
	r.quiet = true;
	assert_int_equal(owfs_alloc_free(r.al, blk + 4, 1), -EFSCORRUPTED);
	assert_int_equal(owfs_alloc_free(r.al, blk, 5), -EFSCORRUPTED);
	assert_int_equal(owfs_alloc_free(r.al, blk, 0), -EFSCORRUPTED);
	assert_int_equal(owfs_alloc_free(r.al, 17, 1), -EFSCORRUPTED);
	assert_int_equal(owfs_alloc_free(r.al, GROUP, 1), -EFSCORRUPTED);
	assert_int_equal(owfs_alloc_free(r.al, 2 * GROUP, 1), -EFSCORRUPTED);
	assert_int_equal(owfs_alloc_free(r.al, UINT64_MAX, 2), -EFSCORRUPTED);
	assert_int_equal(owfs_alloc_free(r.al, blk, UINT64_MAX), -EFSCORRUPTED);
	assert_int_equal(r.nmsg, 8);
	assert_int_equal(owfs_alloc_free(r.al, blk, 1), 0);
	assert_int_equal(owfs_alloc_free(r.al, blk, 1), -EFSCORRUPTED);
	node[0] = blk + 1;	/* used, but not born in this generation */
	assert_int_equal(owfs_alloc_free_unborn(r.al, node), -EFSCORRUPTED);
	assert_int_equal(rig_stat(&r).used, 3);
	assert_int_equal(owfs_alloc_check(r.al), 0);
	rig_fini(&r);
}

static void test_alloc_unborn_node_is_free_at_once(void **state)
{
	owfs_fsblock_t addr[2];
	struct owfs_alloc_stat st;
	struct rig r;

	(void)state;
	rig_init(&r, 4096, 3 * GROUP, 384);
	st = rig_stat(&r);
	assert_int_equal(owfs_alloc_reserve(r.al, 2, OWFS_RESV_NORMAL), 0);
	assert_int_equal(owfs_alloc_node(r.al, 2, addr), 0);
	assert_int_equal(rig_stat(&r).used, 2);
	assert_int_equal(rig_stat(&r).reserved, 0);
	assert_int_equal(owfs_alloc_free_unborn(r.al, addr), 0);
	assert_int_equal(rig_stat(&r).free, st.free);
	assert_int_equal(rig_stat(&r).pinned, 0);
	assert_int_equal(owfs_alloc_check(r.al), 0);
	rig_fini(&r);
}

static void test_alloc_nodes_come_in_runs_apart_from_data(void **state)
{
	owfs_fsblock_t addr[2], first = 0, data;
	struct rig r;
	int i;

	(void)state;
	rig_init(&r, 4096, 8 * GROUP, 384);
	for (i = 0; i < 300; i++) {
		assert_int_equal(owfs_alloc_reserve(r.al, 1, OWFS_RESV_NORMAL),
				 0);
		assert_int_equal(owfs_alloc_node(r.al, 1, addr), 0);
		assert_int_equal(addr[1], OWFS_NOBLOCK);
		first = i ? first : addr[0];
		assert_int_equal(addr[0], first + i);
		data = rig_use(&r, 0, 3);
		assert_int_not_equal(owfs_geo_group_of(&r.geo, data),
				     owfs_geo_group_of(&r.geo, addr[0]));
	}
	rig_fini(&r);
}

static void test_alloc_second_copies_are_far_away(void **state)
{
	owfs_fsblock_t addr[2];
	uint64_t a, b;
	struct rig r;
	int i;

	(void)state;
	rig_init(&r, 4096, 8 * GROUP, 384);
	for (i = 0; i < 50; i++) {
		assert_int_equal(owfs_alloc_reserve(r.al, 2, OWFS_RESV_NORMAL),
				 0);
		assert_int_equal(owfs_alloc_node(r.al, 2, addr), 0);
		a = owfs_geo_group_of(&r.geo, addr[0]);
		b = owfs_geo_group_of(&r.geo, addr[1]);
		assert_true(i ? b >= a + 3 :	/* one group is known at first */
			    addr[1] - addr[0] >= GROUP / 4);
	}
	rig_fini(&r);

	rig_init(&r, 4096, 4096, 384);	/* one group only */
	assert_int_equal(owfs_alloc_reserve(r.al, 2, OWFS_RESV_NORMAL), 0);
	assert_int_equal(owfs_alloc_node(r.al, 2, addr), 0);
	assert_true(addr[0] - addr[1] + 100 >= 1000 + 100 ||
		    addr[1] - addr[0] >= 1000);
	rig_fini(&r);
}

static void test_alloc_data_follows_its_goal(void **state)
{
	owfs_fsblock_t a, b, c;
	struct rig r;

	(void)state;
	rig_init(&r, 4096, 4 * GROUP, 384);
	a = rig_use(&r, GROUP + 500, 10);
	assert_int_equal(a, GROUP + 500);
	b = rig_use(&r, a + 10, 10);
	assert_int_equal(b, a + 10);
	rig_use(&r, GROUP + 530, 1);		/* ten free blocks before it */
	c = rig_use(&r, b + 10, 20);
	assert_int_equal(c, GROUP + 531);	/* the first run that holds all */
	c = rig_use(&r, GROUP + 40000, 5);
	assert_int_equal(c, GROUP + 40000);
	rig_fini(&r);
}

static void test_alloc_full_device_gives_short_runs_not_enospc(void **state)
{
	owfs_fsblock_t start;
	uint64_t len, n = 0;
	struct rig r;

	(void)state;
	rig_init(&r, 4096, 2 * GROUP, 384);
	rig_fill(&r);
	/* what is left of it in twos and threes */
	assert_int_equal(owfs_alloc_free(r.al, GROUP + 101, 2), 0);
	assert_int_equal(owfs_alloc_free(r.al, GROUP + 201, 3), 0);
	assert_int_equal(owfs_alloc_free(r.al, 301, 2), 0);
	assert_int_equal(owfs_alloc_reserve(r.al, 7, OWFS_RESV_NORMAL), -EAGAIN);
	rig_commit(&r);
	rig_commit(&r);
	assert_int_equal(owfs_alloc_reserve(r.al, 7, OWFS_RESV_NORMAL), 0);
	assert_int_equal(owfs_alloc_reserve(r.al, 1, OWFS_RESV_NORMAL), -ENOSPC);
	while (n < 7) {
		assert_int_equal(owfs_alloc_data(r.al, 0, 7 - n, &start, &len), 0);
		assert_true(len >= 1 && len <= 7 - n);
		owfs_alloc_use(r.al, start, len);
		n += len;
	}
	assert_int_equal(owfs_alloc_check(r.al), 0);
	rig_fini(&r);
}

static void test_alloc_ordinary_reservations_leave_the_reserve(void **state)
{
	uint64_t all;
	struct rig r;

	(void)state;
	rig_init(&r, 4096, 4096, 390);
	all = rig_ordinary(&r);
	assert_int_equal(owfs_alloc_reserve(r.al, all - 389, OWFS_RESV_NORMAL),
			 -ENOSPC);
	assert_int_equal(owfs_alloc_reserve(r.al, UINT64_MAX, OWFS_RESV_NORMAL),
			 -ENOSPC);
	assert_int_equal(owfs_alloc_reserve(r.al, UINT64_MAX, OWFS_RESV_FREEING),
			 -ENOSPC);
	assert_int_equal(owfs_alloc_reserve(r.al, all - 390, OWFS_RESV_NORMAL), 0);
	assert_int_equal(owfs_alloc_reserve(r.al, 1, OWFS_RESV_NORMAL), -ENOSPC);
	assert_int_equal(owfs_alloc_reserve(r.al, 1, OWFS_RESV_FREEING), 0);
	owfs_alloc_unreserve(r.al, all - 389);
	assert_int_equal(rig_stat(&r).reserved, 0);
	rig_fini(&r);
}

static void test_alloc_one_generation_frees_from_a_quarter_of_the_reserve(void **state)
{
	owfs_fsblock_t addr[2];
	struct rig r;
	int gen, i;

	(void)state;
	rig_init(&r, 4096, 4096, 400);
	rig_fill(&r);
	rig_commit(&r);
	for (gen = 0; gen < 3; gen++) {
		for (i = 0; i < 100; i++) {
			assert_int_equal(owfs_alloc_reserve(r.al, 1,
							    OWFS_RESV_FREEING), 0);
			assert_int_equal(owfs_alloc_node(r.al, 1, addr), 0);
			/* the node it replaces, as copying on write does */
			assert_int_equal(owfs_alloc_free(r.al, addr[0], 1), 0);
		}
		assert_int_equal(owfs_alloc_reserve(r.al, 1, OWFS_RESV_FREEING),
				 -EAGAIN);
		if (gen < 2)
			rig_commit(&r);
	}
	/* the first generation's frees came back with the second commit */
	assert_int_equal(rig_stat(&r).free, 200);
	assert_int_equal(rig_stat(&r).pinned, 200);
	rig_commit(&r);
	assert_int_equal(owfs_alloc_reserve(r.al, 100, OWFS_RESV_FREEING), 0);
	assert_int_equal(owfs_alloc_reserve(r.al, 1, OWFS_RESV_NORMAL), -ENOSPC);
	rig_fini(&r);
}

static void test_alloc_hopeless_freeing_reservation_says_so(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, 4096, 4096, 400);
	rig_fill(&r);
	rig_commit(&r);
	/* more than a generation's share, and nothing is pinned */
	assert_int_equal(owfs_alloc_reserve(r.al, 101, OWFS_RESV_FREEING),
			 -ENOSPC);
	assert_int_equal(owfs_alloc_reserve(r.al, 70, OWFS_RESV_FREEING), 0);
	assert_int_equal(owfs_alloc_reserve(r.al, 31, OWFS_RESV_FREEING),
			 -EAGAIN);
	owfs_alloc_unreserve(r.al, 70);
	assert_int_equal(owfs_alloc_reserve(r.al, 100, OWFS_RESV_FREEING), 0);
	rig_fini(&r);
}

/* What is lent is a quarter, and what unlink may take is not less for it. */
static void test_alloc_lends_a_quarter_to_what_replaces(void **state)
{
	owfs_fsblock_t addr[2];
	struct rig r;
	int i;

	(void)state;
	rig_init(&r, 4096, 4096, 400);
	rig_fill(&r);
	rig_commit(&r);
	assert_int_equal(owfs_alloc_reserve(r.al, 1, OWFS_RESV_NORMAL),
			 -ENOSPC);
	assert_int_equal(owfs_alloc_reserve(r.al, 101, OWFS_RESV_REPLACING),
			 -ENOSPC);
	for (i = 0; i < 100; i++) {
		assert_int_equal(owfs_alloc_reserve(r.al, 1,
						    OWFS_RESV_REPLACING), 0);
		assert_int_equal(owfs_alloc_node(r.al, 1, addr), 0);
	}
	assert_int_equal(owfs_alloc_reserve(r.al, 1, OWFS_RESV_REPLACING),
			 -ENOSPC);
	rig_commit(&r);
	for (i = 0; i < 3; i++) {
		assert_int_equal(owfs_alloc_reserve(r.al, 100,
						    OWFS_RESV_FREEING), 0);
		assert_int_equal(owfs_alloc_reserve(r.al, 1,
						    OWFS_RESV_REPLACING),
				 -ENOSPC);
		rig_commit(&r);
	}
	assert_int_equal(owfs_alloc_reserve(r.al, 1, OWFS_RESV_FREEING),
			 -ENOSPC);
	owfs_alloc_unreserve(r.al, 300);
	rig_fini(&r);
}

static void test_alloc_discards_before_a_block_can_be_had(void **state)
{
	const struct emubd_event *ev;
	owfs_fsblock_t blk;
	size_t i, found = 0;
	struct rig r;

	(void)state;
	rig_init(&r, 4096, 4096, 384);
	owfs_alloc_close(r.al);
	r.discard = true;
	rig_open(&r);
	blk = rig_use(&r, 0, 20);
	rig_commit(&r);
	assert_int_equal(owfs_alloc_free(r.al, blk, 8), 0);
	assert_int_equal(owfs_alloc_free(r.al, blk + 10, 4), 0);
	emubd_record(r.emu, true);
	rig_commit(&r);
	assert_int_equal(emubd_count(r.emu, EMUBD_DISCARD), 0);
	rig_commit(&r);
	for (i = 0; i < emubd_log_len(r.emu); i++) {
		ev = emubd_log_at(r.emu, i);
		if (ev->kind != EMUBD_DISCARD)
			continue;
		found++;
		assert_true((ev->pos == blk * 4096 && ev->len == 8 * 4096) ||
			    (ev->pos == (blk + 10) * 4096 && ev->len == 4 * 4096));
	}
	assert_int_equal(found, 2);
	assert_int_equal(rig_stat(&r).pinned, 0);

	/* one that fails is said once and changes nothing */
	assert_int_equal(owfs_alloc_free(r.al, blk + 8, 1), 0);
	assert_int_equal(owfs_alloc_free(r.al, blk + 14, 1), 0);
	emubd_fault(r.emu, EMUBD_DISCARD, 1, EMUBD_FOREVER, EIO);
	r.quiet = true;
	rig_commit(&r);
	rig_commit(&r);
	assert_int_equal(r.nmsg, 1);
	assert_int_equal(rig_stat(&r).pinned, 0);
	rig_fini(&r);
}

static void test_alloc_64_tib_opens_and_serves_at_once(void **state)
{
	struct owfs_map_root root;
	owfs_fsblock_t addr[2];
	struct rig r;
	int i;

	(void)state;
	rig_init(&r, 4096, 1ull << 34, 65536);
	for (i = 0; i < 100; i++)
		rig_use(&r, (uint64_t)i * 171000000, 256);
	assert_int_equal(owfs_alloc_reserve(r.al, 1, OWFS_RESV_NORMAL), 0);
	assert_int_equal(owfs_alloc_node(r.al, 1, addr), 0);
	assert_int_equal(emubd_count(r.emu, EMUBD_READ), 0);
	rig_seal_store(&r, &root);
	/* a bitmap and a level 1 node each, level 2 nodes, and the root */
	assert_true(emubd_count(r.emu, EMUBD_WRITE) <= 101 * 3 + 1);
	rig_durable(&r, &root);
	rig_remount(&r);
	rig_use(&r, 0, 1);
	assert_int_equal(rig_stat(&r).used, 100 * 256 + 2);
	assert_true(emubd_count(r.emu, EMUBD_READ) <= 12);
	rig_fini(&r);
}

static void test_alloc_idle_groups_leave_memory(void **state)
{
	struct rig r;
	uint64_t g, ngroups = 8000;

	(void)state;
	rig_init(&r, 4096, ngroups * GROUP, 384);
	for (g = 0; g < ngroups; g++)
		assert_int_equal(owfs_alloc_load(r.al, (g + 1) * GROUP - 1, 1), 0);
	rig_use(&r, 7000 * GROUP + 50, 9);
	rig_commit(&r);		/* takes note of who was touched */
	rig_commit(&r);		/* drops who was not again */
	rig_commit(&r);
	assert_int_equal(owfs_alloc_check(r.al), 0);
	assert_int_equal(owfs_alloc_free(r.al, 7000 * GROUP + 50, 9), 0);
	assert_true(emubd_count(r.emu, EMUBD_READ) >= 1);	/* it was gone */
	assert_int_equal(owfs_alloc_check(r.al), 0);
	rig_fini(&r);
}

static void test_alloc_failed_store_is_final(void **state)
{
	struct owfs_map_root root;
	struct rig r;

	(void)state;
	rig_init(&r, 4096, 3 * GROUP, 384);
	rig_use(&r, GROUP + 100, 1);
	rig_use(&r, 2 * GROUP + 100, 1);
	owfs_alloc_seal(r.al);
	emubd_fault(r.emu, EMUBD_WRITE, 2, 1, EIO);
	r.quiet = true;
	assert_int_equal(owfs_alloc_store(r.al, 1, 64, &root), -EIO);
	assert_int_equal(owfs_alloc_store(r.al, 1, 64, &root), -EIO);
	assert_int_equal(r.nmsg, 1);
	rig_fini(&r);
}

static void test_alloc_read_error_undoes_the_reservation(void **state)
{
	owfs_fsblock_t start;
	struct rig r;
	uint64_t len;

	(void)state;
	rig_init(&r, 4096, 2 * GROUP, 384);
	rig_use(&r, 100, 1);
	rig_use(&r, GROUP + 100, 1);
	rig_commit(&r);
	rig_remount(&r);
	r.quiet = true;
	emubd_fault(r.emu, EMUBD_READ, 1, EMUBD_FOREVER, EIO);
	assert_int_equal(owfs_alloc_reserve(r.al, 5, OWFS_RESV_NORMAL), -EIO);
	assert_int_equal(rig_stat(&r).reserved, 0);
	assert_int_equal(owfs_alloc_load(r.al, 100, 1), -EIO);
	assert_int_equal(owfs_alloc_free(r.al, 100, 1), -EIO);
	emubd_fault(r.emu, EMUBD_READ, 1, 0, 0);
	assert_int_equal(owfs_alloc_reserve(r.al, 5, OWFS_RESV_NORMAL), 0);
	emubd_fault(r.emu, EMUBD_READ, 1, EMUBD_FOREVER, EIO);
	assert_int_equal(owfs_alloc_data(r.al, GROUP + 500, 5, &start, &len),
			 -EIO);
	emubd_fault(r.emu, EMUBD_READ, 1, 0, 0);
	assert_int_equal(owfs_alloc_data(r.al, GROUP + 500, 5, &start, &len), 0);
	assert_int_equal(start, GROUP + 500);
	assert_int_equal(owfs_alloc_check(r.al), 0);
	rig_fini(&r);
}

static void test_alloc_impossible_roots_are_refused(void **state)
{
	struct owfs_alloc_param p;
	struct owfs_alloc *al;
	struct rig r;

	(void)state;
	rig_init(&r, 4096, 4096, 384);
	r.quiet = true;
	p = rig_param(&r);
	p.cur.gen = 5;
	p.cur.slot = 3;
	assert_int_equal(owfs_alloc_open(&al, &p), -EFSCORRUPTED);
	p.cur.slot = 0;
	p.cur.free_blocks = rig_ordinary(&r) + 1;
	assert_int_equal(owfs_alloc_open(&al, &p), -EFSCORRUPTED);
	p.cur.free_blocks = 10;
	p.cur.freed_blocks = 11;
	assert_int_equal(owfs_alloc_open(&al, &p), -EFSCORRUPTED);
	p.cur.freed_blocks = 0;
	p.prev.gen = 6;
	assert_int_equal(owfs_alloc_open(&al, &p), -EFSCORRUPTED);
	assert_int_equal(r.nmsg, 4);
	rig_fini(&r);
}

static void test_alloc_freed_count_that_is_too_small_is_corrupt(void **state)
{
	struct rig r;
	owfs_fsblock_t blk;

	(void)state;
	rig_init(&r, 4096, 2 * GROUP, 384);
	blk = rig_use(&r, GROUP + 100, 9);
	rig_commit(&r);
	assert_int_equal(owfs_alloc_free(r.al, blk, 9), 0);
	rig_commit(&r);
	r.quiet = true;
	r.cur.freed_blocks = 8;
	rig_remount(&r);
	assert_int_equal(owfs_alloc_load(r.al, blk, 1), -EFSCORRUPTED);
	assert_int_equal(r.nmsg, 1);
	assert_int_equal(owfs_alloc_check(r.al), 0);
	r.cur.freed_blocks = 10;	/* one too many rests until the next commit */
	rig_remount(&r);
	assert_int_equal(owfs_alloc_load(r.al, blk, 1), 0);
	assert_int_equal(rig_stat(&r).pinned, 10);
	rig_commit(&r);
	assert_int_equal(rig_stat(&r).pinned, 0);
	assert_int_equal(rig_stat(&r).free, rig_ordinary(&r));
	assert_int_equal(owfs_alloc_check(r.al), 0);
	rig_fini(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_alloc_fresh_filesystem_is_all_free_without_io),
		cmocka_unit_test(test_alloc_block_goes_through_its_states),
		cmocka_unit_test(test_alloc_freed_block_rests_until_next_commit_is_durable),
		cmocka_unit_test(test_alloc_freed_while_sealed_rests_one_more),
		cmocka_unit_test(test_alloc_mount_keeps_what_the_commit_before_needs),
		cmocka_unit_test(test_alloc_staged_blocks_never_reach_the_device),
		cmocka_unit_test(test_alloc_refuses_to_free_what_is_not_used),
		cmocka_unit_test(test_alloc_unborn_node_is_free_at_once),
		cmocka_unit_test(test_alloc_nodes_come_in_runs_apart_from_data),
		cmocka_unit_test(test_alloc_second_copies_are_far_away),
		cmocka_unit_test(test_alloc_data_follows_its_goal),
		cmocka_unit_test(test_alloc_full_device_gives_short_runs_not_enospc),
		cmocka_unit_test(test_alloc_ordinary_reservations_leave_the_reserve),
		cmocka_unit_test(test_alloc_one_generation_frees_from_a_quarter_of_the_reserve),
		cmocka_unit_test(test_alloc_lends_a_quarter_to_what_replaces),
		cmocka_unit_test(test_alloc_hopeless_freeing_reservation_says_so),
		cmocka_unit_test(test_alloc_discards_before_a_block_can_be_had),
		cmocka_unit_test(test_alloc_64_tib_opens_and_serves_at_once),
		cmocka_unit_test(test_alloc_idle_groups_leave_memory),
		cmocka_unit_test(test_alloc_failed_store_is_final),
		cmocka_unit_test(test_alloc_read_error_undoes_the_reservation),
		cmocka_unit_test(test_alloc_impossible_roots_are_refused),
		cmocka_unit_test(test_alloc_freed_count_that_is_too_small_is_corrupt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
