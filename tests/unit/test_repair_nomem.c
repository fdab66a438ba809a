/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory running out at some allocation of a repair: it ends with an error or
 * goes on, does no harm, and the next one brings it to the same end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "fault.h"
#include "fsck_defects.h"
#include "quietdev.h"
#include "repair.h"
#include "trans/trans.h"

#define PLACES	60u	/* of each repair, at most */

static int repair(struct image *im, struct owfs_repair_report *r)
{
	struct quietdev q;
	const struct owfs_repair_param p = {
		.check = { .commits = OWFS_CHECK_CURRENT | OWFS_CHECK_PREVIOUS },
		.env = &im->env.env,
		.ask = ask_yes,
	};

	quietdev_init(&q, im->e);
	return owfs_repair(&q.bd, &p, r);
}

/* False: there were not so many allocations. */
static bool one_place(const struct defect *d, const struct image *from,
		      uint64_t nth, uint64_t n, uint64_t want)
{
	struct owfs_repair_report r;
	struct image im;
	bool hit;
	int ret;

	image_fork(&im, from);
	fault_malloc(nth, n);
	ret = repair(&im, &r);
	hit = fault_malloc_hit();
	fault_malloc(0, 0);
	if (!hit && (ret || r.left.problems))
		fail_msg("%s: %d: %s", d->name, ret, r.left.first);
	ret = repair(&im, &r);
	if (ret || r.left.problems)
		fail_msg("%s: allocation %u failed, then: %d: %s", d->name,
			 (unsigned int)nth, ret, r.left.first);
	if (image_digest(&im) != want)
		fail_msg("%s: allocation %u failed: another end", d->name,
			 (unsigned int)nth);
	image_free(&im);
	return hit;
}

static void judge(const struct defect *d, uint64_t n)
{
	struct owfs_repair_report r;
	struct image from, im;
	uint64_t nth, step = 1, want;

	defect_make(d, &from);
	image_fork(&im, &from);
	assert_int_equal(repair(&im, &r), 0);
	want = image_digest(&im);
	image_free(&im);
	for (nth = 1; one_place(d, &from, nth, n, want); nth += step)
		if (nth > PLACES / 2)
			step = 7 + nth / 20;
	image_free(&from);
}

static void test_one_allocation_fails(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < ndefects; i++)
		if (!defect_stays(&defects[i]))
			judge(&defects[i], 1);
}

static void test_memory_runs_out_for_good(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < ndefects; i += 3)
		if (!defect_stays(&defects[i]))
			judge(&defects[i], 1u << 30);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_allocation_fails),
		cmocka_unit_test(test_memory_runs_out_for_good),
	};

	return cmocka_run_group_tests(tests, defects_setup,
				      defects_teardown);
}
