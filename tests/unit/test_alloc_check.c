/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The count that other tests rely on: whatever is wrong with a bit or with an
 * account, it finds, and it finds nothing when it is put right again.
 */
#include "alloc_rig.h"

#include "space/alloc_impl.h"

#define BLOCKS	4096u

/* One group with used, staged and pinned blocks, and what may go wrong in it. */
struct scene {
	struct rig r;
	struct owfs_alloc *al;
	struct owfs_group *grp;
	uint32_t used, staged, pinned, free;	/* a bit of each */
};

static void scene_init(struct scene *s)
{
	owfs_fsblock_t blk;

	rig_init(&s->r, 4096, BLOCKS, 384);
	s->used = rig_use(&s->r, 1000, 10);
	s->pinned = rig_use(&s->r, 1100, 10);
	rig_commit(&s->r);
	assert_int_equal(owfs_alloc_free(s->r.al, s->pinned, 10), 0);
	assert_int_equal(rig_stage(&s->r, 1200, 10, &blk), 10);
	assert_int_equal(owfs_alloc_reserve(s->r.al, 5, OWFS_RESV_NORMAL), 0);
	s->staged = blk;
	s->free = 2000;
	s->al = s->r.al;
	s->grp = s->al->loaded[0];
	s->r.quiet = true;
}

static void flip(uint64_t *map, uint32_t bit)
{
	map[bit / 64] ^= 1ull << bit % 64;
}

static void in_two_states(struct scene *s)
{
	flip(s->grp->freed[s->al->role_open], s->used);
}

static void pinned_twice(struct scene *s)
{
	flip(s->grp->freed[s->al->role_sealed], s->pinned);
}

static void used_not_busy(struct scene *s) { flip(s->grp->busy, s->used); }
static void pinned_not_busy(struct scene *s) { flip(s->grp->busy, s->pinned); }
static void staged_not_busy(struct scene *s) { flip(s->grp->busy, s->staged); }
static void busy_for_nobody(struct scene *s) { flip(s->grp->busy, s->free); }
static void staged_is_used(struct scene *s) { flip(s->grp->open, s->staged); }
static void group_freed(struct scene *s) { s->grp->nr_freed[0] ^= 1; }
static void group_used(struct scene *s) { s->grp->nr_used ^= 1; }
static void group_staged(struct scene *s) { s->grp->nr_staged ^= 1; }
static void group_free(struct scene *s) { s->grp->nr_free ^= 1; }
static void run(struct scene *s) { s->grp->run_bound ^= BLOCKS - 1; }
static void all_free(struct scene *s) { s->al->free ^= 1; }
static void loaded_free(struct scene *s) { s->al->free_loaded ^= 1; }
static void used_for_fixed(struct scene *s)
{
	s->al->used ^= 1;
	s->al->fixed = BLOCKS - s->al->free - s->al->pinned - s->al->staged -
		       s->al->used;
}

static void pinned_for_staged(struct scene *s)
{
	s->al->pinned ^= 16;
	s->al->staged = BLOCKS - s->al->free - s->al->pinned - s->al->used -
			s->al->fixed;
}

static void pinned_for_free(struct scene *s)
{
	s->al->pinned ^= 16;
	s->al->free = BLOCKS - s->al->staged - s->al->pinned - s->al->used -
		      s->al->fixed;
}

static void promised_too_much(struct scene *s) { s->al->reserved ^= 1u << 20; }

/* Each is undone by doing it again. */
static const struct {
	void (*break_it)(struct scene *s);
	const char *says;
} wrongs[] = {
	{ in_two_states, "block in two states" },
	{ pinned_twice, "block in two states" },
	{ used_not_busy, "owned block could be handed out" },
	{ pinned_not_busy, "owned block could be handed out" },
	{ staged_not_busy, "staged blocks" },
	{ busy_for_nobody, "staged blocks" },
	{ staged_is_used, "used blocks" },
	{ group_freed, "freed blocks" },
	{ group_used, "used blocks" },
	{ group_staged, "staged blocks" },
	{ group_free, "free blocks" },
	{ run, "free run above its bound" },
	{ all_free, "all states together" },
	{ loaded_free, "free blocks of loaded groups" },
	{ used_for_fixed, "used blocks" },
	{ pinned_for_staged, "staged blocks" },
	{ pinned_for_free, "pinned blocks" },
	{ promised_too_much, "reserved blocks not in memory" },
};

static void test_alloc_check_finds_whatever_is_wrong(void **state)
{
	struct scene s;
	unsigned int i;

	(void)state;
	scene_init(&s);
	for (i = 0; i < ARRAY_SIZE(wrongs); i++) {
		assert_int_equal(owfs_alloc_check(s.al), 0);
		s.r.last[0] = '\0';
		wrongs[i].break_it(&s);
		if (owfs_alloc_check(s.al) != -EFSCORRUPTED ||
		    !strstr(s.r.last, wrongs[i].says))
			fail_msg("%u: \"%s\" instead of \"%s\"", i, s.r.last,
				 wrongs[i].says);
		wrongs[i].break_it(&s);
	}
	assert_int_equal(owfs_alloc_check(s.al), 0);
	owfs_alloc_unstage(s.al, s.staged, 10, false);
	rig_fini(&s.r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_alloc_check_finds_whatever_is_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
