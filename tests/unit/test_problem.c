/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of problems is sound, and fsck.owfs(8) lists it as it is.  With an
 * argument: print the list for the page.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "problem.h"

#define BEGIN	".\\\" problem.c: begin\n"
#define END	".\\\" problem.c: end\n"

static void print_problem(FILE *out, const struct owfs_problem_info *info)
{
	fprintf(out, ".It %u %s ( %s , %s )\n%s", info->number, info->name,
		owfs_problem_class_name(info->class),
		owfs_problem_answer_name(info->answer), info->text);
	if (info->repair)
		fprintf(out, ":\n.Em %s", info->repair);
	fputc('\n', out);
}

static void print_all(FILE *out)
{
	int i;

	for (i = 0; i < OWFS_PROBLEM_KINDS; i++)
		print_problem(out, owfs_problem_info((enum owfs_problem)i));
}

static char *read_page(void)
{
	const char *top = getenv("top_srcdir");
	char path[4096], *text = calloc(1, 1 << 20);
	FILE *f;

	snprintf(path, sizeof(path), "%s/man/fsck.owfs.8", top ? top : ".");
	f = fopen(path, "r");
	if (!f)
		fail_msg("%s cannot be opened", path);
	assert_true(fread(text, 1, (1 << 20) - 1, f) > 0);
	fclose(f);
	return text;
}

static void test_the_manual_lists_every_problem(void **state)
{
	char *page = read_page(), *from, *to, *want = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&want, &len);

	(void)state;
	print_all(f);
	fclose(f);
	from = strstr(page, BEGIN);
	to = strstr(page, END);
	assert_non_null(from);
	assert_non_null(to);
	*to = '\0';
	assert_string_equal(from + strlen(BEGIN), want);
	free(want);
	free(page);
}

static void test_numbers_ascend_and_names_differ(void **state)
{
	const struct owfs_problem_info *a, *b;
	int i, j;

	(void)state;
	for (i = 0; i < OWFS_PROBLEM_KINDS; i++) {
		a = owfs_problem_info((enum owfs_problem)i);
		assert_true(a->number / 100 >= 1 && a->number / 100 <= 5);
		assert_int_equal(a->repair == NULL,
				 a->answer == OWFS_ANSWER_NONE);
		for (j = 0; j < i; j++) {
			b = owfs_problem_info((enum owfs_problem)j);
			assert_true(b->number < a->number);
			assert_string_not_equal(b->name, a->name);
		}
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_manual_lists_every_problem),
		cmocka_unit_test(test_numbers_ascend_and_names_differ),
	};

	(void)argv;
	if (argc > 1) {
		print_all(stdout);
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
