/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What /proc says of a process, and of one that cannot be read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "fuse/caller.h"

static struct owfs_status parse(const char *text, gid_t gid)
{
	struct owfs_status st;
	FILE *f = fmemopen((void *)(uintptr_t)text, strlen(text), "r");

	assert_non_null(f);
	owfs_status_parse(&st, f, gid);
	fclose(f);
	return st;
}

#define STATUS								\
	"Name:\tUid: 0\nUmask:\t0022\nUid:\t1\t2\t3\t4\n"		\
	"Gid:\t11\t12\t13\t14\nGroups:\t5 50 500 \n"			\
	"CapInh:\t0000000000000000\nCapEff:\t0000000000200010\n"

static void test_numbers_for_files_count(void **state)
{
	struct owfs_status st = parse(STATUS, 7);

	(void)state;
	assert_int_equal(st.fsuid, 4);
	assert_int_equal(st.fsgid, 14);
	assert_int_equal(st.effective, 0x200010);
	assert_false(st.in_group);
}

static void test_groups(void **state)
{
	(void)state;
	assert_true(parse(STATUS, 5).in_group);
	assert_true(parse(STATUS, 50).in_group);
	assert_true(parse(STATUS, 500).in_group);
	assert_true(parse(STATUS, 14).in_group);
	assert_false(parse(STATUS, 11).in_group);	/* his real one */
	assert_false(parse(STATUS, 0).in_group);
	assert_false(parse(STATUS, (gid_t)-1).in_group);
	assert_false(parse("Groups:\t\n", 0).in_group);
}

static void test_what_is_not_said_gives_no_rights(void **state)
{
	static const char *const texts[] = {
		"\n", "Uid:\n", "Uid:\t0\t0\t0\n", "Uid:\tx\t0\t0\t0\n", "Gid:\n",
		"CapEff:\t\n", "Groups:", "UidX:\t0\t0\t0\t0\n",
	};
	struct owfs_status st;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		st = parse(texts[i], 0);
		assert_int_equal(st.fsuid, (uid_t)-1);
		assert_int_equal(st.effective, 0);
		assert_false(st.in_group);
	}
}

static void test_this_process_is_who_it_is(void **state)
{
	struct owfs_status st;
	FILE *f = fopen("/proc/self/status", "re");

	(void)state;
	if (!f)
		skip();
	owfs_status_parse(&st, f, getegid());
	fclose(f);
	assert_int_equal(st.fsuid, geteuid());
	assert_int_equal(st.fsgid, getegid());
	assert_true(st.in_group);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers_for_files_count),
		cmocka_unit_test(test_groups),
		cmocka_unit_test(test_what_is_not_said_gives_no_rights),
		cmocka_unit_test(test_this_process_is_who_it_is),
	};

	return cmocka_run_group_tests_name("caller", tests, NULL, NULL);
}
