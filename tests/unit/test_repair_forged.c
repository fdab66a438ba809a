/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Damage by chance, from a seed, and the repair after it.
 *
 * Whatever was done, with checksums left wrong or made right: the repair ends;
 * if it says that no problem is left, the check agrees, the filesystem mounts,
 * works and is sound afterwards; a second repair changes nothing; and every
 * file is what it was, or is named in the report (none is silently wrong).
 * Every third time only what is safe is repaired first, and no file is lost by
 * that.
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
#include "repair_damage.h"

static struct scene plain, grown, dup;

/* -------------------------------------------------------------------- cases */

static bool run_case(const struct scene *s, uint64_t seed)
{
	struct rng rng = { .s = seed };
	struct report text = { 0 };
	struct touched t = { .n = 0 };
	struct image im;
	const char *wrong = NULL;
	uint32_t keep = 0;
	bool whole;

	image_fork(&im, &s->im);
	rng_next(&rng);
	damage_by_chance(&im, s, &rng, &t);
	if (!rng_below(&rng, 12))
		damage_cut(&im, &rng, &t);
	if (seed % 3 == 0)
		wrong = judge_safely(&im, s, &text, &keep);
	if (!wrong)
		wrong = judge(&im, s, &text, &t, &whole);
	if (!wrong && (keep & ~scene_intact(&im, s)))
		wrong = "a safe repair has cost a file";
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
	damage_tell();
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

/* Each has found something once. */
static void test_seeds_that_did_not_survive(void **state)
{
	static const uint64_t seeds[] = {
		93004671,	/* a leaf lost below a branch that was hung in */
		97001530,	/* a bad first copy met while something else was looked up */
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(seeds); i++) {
		run_case(&plain, seeds[i]);
		run_case(&grown, seeds[i]);
		run_case(&dup, seeds[i]);
	}
}

/* ------------------------------------------------------------------ setup */

static void make_scene(struct scene *s, unsigned int copies, bool fill)
{
	image_make(&s->im, 4096, copies);
	if (fill)
		scene_fill(&s->im);
	scene_age(s);
	scene_learn(s);
}

static int setup(void **state)
{
	(void)state;
	make_scene(&plain, 1, false);
	make_scene(&grown, 1, true);
	make_scene(&dup, 2, true);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	scene_free(&plain);
	scene_free(&grown);
	scene_free(&dup);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_plain_tree_survives),
		cmocka_unit_test(test_a_tree_of_several_nodes_survives),
		cmocka_unit_test(test_a_tree_with_two_copies_survives),
		cmocka_unit_test(test_seeds_that_did_not_survive),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
