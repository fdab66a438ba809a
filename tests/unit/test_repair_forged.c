/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Damage by chance, from a seed, and the repair after it.
 *
 * Whatever was done, with checksums left wrong or made right: the repair ends;
 * if it says that no problem is left, the check agrees, the filesystem mounts,
 * works and is sound afterwards; a second repair changes nothing; and every
 * file is what it was, or is named in the report (none is silently wrong).
 *
 * FORGED_CASES=N for more cases, FORGED_SEED=N to begin elsewhere, and the long
 * tier goes on where it was; a failure names the seed of its case.  FSCK_TALK=1 shows what is said.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/util.h"
#include "fsck_defects.h"
#include "repair_judge.h"
#include "trans/trans.h"

static struct scene plain, grown, dup;

/* ------------------------------------------------------------------- damage */

/* One item gets other bytes, another length or another key. */
static void forge_item(struct image *im, const struct scene *s, struct rng *rng,
		       struct touched *t)
{
	struct owfs_key key = { 0, 0 }, last = OWFS_KEY_MAX;
	unsigned char val[OWFS_ITEM_MAX] = { 0 };
	uint64_t skip;
	int len = 0;

	edit_begin(im);
	for (skip = rng_below(rng, s->items); ; skip--, key.off++) {
		len = owfs_btree_next(im->fs->fs_bt, &key, &last, val,
				      sizeof(val));
		if (len <= 0) {	/* fewer than there were */
			edit_end(im);
			return;
		}
		if (!skip)
			break;
	}
	touch(t, key.obj >> 8);
	touch(t, ((struct owfs_dirent_item *)val)->ino.raw);
	if (rng_below(rng, 4) == 0)
		len = 1 + (int)rng_below(rng, OWFS_ITEM_MAX);
	switch (rng_below(rng, 4)) {
	case 0:
		val[rng_below(rng, (uint64_t)len)] ^= 1 << rng_below(rng, 8);
		break;
	case 1:
		val[rng_below(rng, (uint64_t)len)] = 0;
		break;
	case 2:
		val[rng_below(rng, (uint64_t)len)] = 0xff;
		break;
	default:
		val[rng_below(rng, (uint64_t)len)] = (unsigned char)rng_next(rng);
	}
	if (rng_below(rng, 5) == 0) {
		item_del(im, key);
		key.off = rng_next(rng) >> rng_below(rng, 64);
	}
	if (rng_below(rng, 8) == 0)
		key.obj = (key.obj & ~0xffull) | (1 + rng_below(rng, 13));
	if (rng_below(rng, 10))
		item_put(im, key, val, (size_t)len);
	edit_end(im);
}

static void poke_node(struct image *im, unsigned char *node, void *ctx)
{
	struct rng *rng = ctx;
	unsigned int n = 1 + (unsigned int)rng_below(rng, 3);

	while (n--)
		node[rng_below(rng, rng_below(rng, 2) ? 400 :
			       im->sb.blocksize)] = (unsigned char)rng_next(rng);
}

/* A block of metadata as it comes from a bad device: the checksum is wrong. */
static void hit_block(struct image *im, const struct scene *s, struct rng *rng)
{
	uint64_t a = s->meta[rng_below(rng, s->nmeta)];
	uint64_t b = s->meta[rng_below(rng, s->nmeta)];
	unsigned char one[4096], two[4096] = { 0 };

	emubd_peek(im->e, one, sizeof(one), a * 4096);
	switch (rng_below(rng, 5)) {
	case 0:
		emubd_flip_bit(im->e, a * 4096 + rng_below(rng, 4096),
			       (unsigned int)rng_below(rng, 8));
		break;
	case 1:
		emubd_poke(im->e, two, sizeof(two), a * 4096);
		break;
	case 2:
		emubd_garbage(im->e, a * 4096, 4096, rng_next(rng));
		break;
	case 3:	/* swapped */
		emubd_peek(im->e, two, sizeof(two), b * 4096);
		emubd_poke(im->e, two, sizeof(two), a * 4096);
		emubd_poke(im->e, one, sizeof(one), b * 4096);
		break;
	default: /* misdirected */
		emubd_poke(im->e, one, sizeof(one), b * 4096);
	}
}

static void hit_super(struct image *im, struct rng *rng)
{
	uint64_t pos = slot_pos((unsigned int)rng_below(rng, 4));

	emubd_flip_bit(im->e, pos + rng_below(rng, 512),
		       (unsigned int)rng_below(rng, 8));
}

static void damage(struct image *im, const struct scene *s, struct rng *rng,
		   struct touched *t)
{
	unsigned int n = 1 + (unsigned int)rng_below(rng, 3);

	/*
	 * What needs a sound filesystem to be made comes first.  It moves the
	 * metadata, so whatever block is hit afterwards held some before.
	 */
	while (n-- && rng_below(rng, 4) != 0)
		forge_item(im, s, rng, t);
	switch (rng_below(rng, 4)) {
	case 0:
		root_edit(im, poke_node, rng);
		t->all = true;
		break;
	case 1:
		hit_block(im, s, rng);
		break;
	case 2:
		hit_super(im, rng);
		break;
	default:
		break;
	}
}

/* -------------------------------------------------------------------- cases */

static bool run_case(const struct scene *s, uint64_t seed)
{
	struct rng rng = { .s = seed };
	struct report text = { 0 };
	struct touched t = { .n = 0 };
	struct image im;
	const char *wrong;
	bool whole;

	image_fork(&im, &s->im);
	rng_next(&rng);
	damage(&im, s, &rng, &t);
	wrong = judge(&im, s, &text, &t, &whole);
	if (wrong)
		fail_msg("seed %llu: %s\n%s", (unsigned long long)seed, wrong,
			 text.text ? text.text : "");
	free(text.text);
	image_free(&im);
	return whole;
}

static void run_cases(const struct scene *s, unsigned int n)
{
	const char *cases = getenv("FORGED_CASES");
	const char *first = getenv("FORGED_SEED"), *done = getenv("LONG_DONE");
	uint64_t seed = first ? strtoull(first, NULL, 0) :
			done ? 1 + strtoull(done, NULL, 0) : 1, i;
	unsigned int whole = 0;

	if (cases)
		n = (unsigned int)strtoul(cases, NULL, 0);
	for (i = 0; i < n; i++)
		whole += run_case(s, seed + i);
	printf("ok: cases=%u whole=%u\n", n, whole);
}

static void test_a_plain_tree_survives(void **state)
{
	(void)state;
	run_cases(&plain, 400);
}

static void test_a_tree_of_several_nodes_survives(void **state)
{
	(void)state;
	run_cases(&grown, 400);
}

static void test_a_tree_with_two_copies_survives(void **state)
{
	(void)state;
	run_cases(&dup, 400);
}

/* ------------------------------------------------------------------ setup */

static int setup(void **state)
{
	(void)state;
	image_make(&plain.im, 4096, 1);
	scene_learn(&plain);
	image_make(&grown.im, 4096, 1);
	scene_fill(&grown.im);
	scene_learn(&grown);
	image_make(&dup.im, 4096, 2);
	scene_fill(&dup.im);
	scene_learn(&dup);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	image_free(&plain.im);
	image_free(&grown.im);
	image_free(&dup.im);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_plain_tree_survives),
		cmocka_unit_test(test_a_tree_of_several_nodes_survives),
		cmocka_unit_test(test_a_tree_with_two_copies_survives),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
