/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Messages reach the sink as one line, or not at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/msg.h"

struct sink {
	unsigned int lines;
	enum owfs_msg_level level;
	char last[4096];
};

static void emit(void *ctx, enum owfs_msg_level level, const char *line)
{
	struct sink *s = ctx;

	s->lines++;
	s->level = level;
	snprintf(s->last, sizeof(s->last), "%s", line);
}

static void test_line_is_formatted(void **state)
{
	struct sink s = { 0 };
	struct owfs_msg msg = { emit, &s, OWFS_MSG_DEBUG };

	(void)state;
	owfs_msg(&msg, OWFS_MSG_WARN, "inode %d: odd: flags=%#x", 257, 0x10);
	assert_int_equal(s.lines, 1);
	assert_int_equal(s.level, OWFS_MSG_WARN);
	assert_string_equal(s.last, "inode 257: odd: flags=0x10");
}

static void test_talkative_levels_are_dropped(void **state)
{
	struct sink s = { 0 };
	struct owfs_msg msg = { emit, &s, OWFS_MSG_WARN };

	(void)state;
	owfs_msg(&msg, OWFS_MSG_DEBUG, "no");
	owfs_msg(&msg, OWFS_MSG_INFO, "no");
	assert_int_equal(s.lines, 0);
	owfs_msg(&msg, OWFS_MSG_WARN, "yes");
	owfs_msg(&msg, OWFS_MSG_ERROR, "yes");
	assert_int_equal(s.lines, 2);
}

static void test_no_sink_is_silence(void **state)
{
	struct owfs_msg msg = { .max_level = OWFS_MSG_DEBUG };

	(void)state;
	owfs_msg(NULL, OWFS_MSG_ERROR, "nobody hears %s", "this");
	owfs_msg(&msg, OWFS_MSG_ERROR, "nor %s", "this");
}

static void test_endless_line_is_cut(void **state)
{
	struct sink s = { 0 };
	struct owfs_msg msg = { emit, &s, OWFS_MSG_DEBUG };
	char longest[3000];

	(void)state;
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	owfs_msg(&msg, OWFS_MSG_ERROR, "name %s", longest);
	assert_int_equal(s.lines, 1);
	assert_in_range(strlen(s.last), 100, 600);
	assert_memory_equal(s.last, "name xxx", 8);
}

/* Whoever names a file must not be able to say what fsck.owfs found. */
static void test_nobody_else_speaks(void **state)
{
	static const struct { const char *said, *heard; } t[] = {
		{ "name=a\nimg: clean", "name=a?img: clean" },
		{ "\x1b[2J \x9b""2J \xc2\x9b""2J \x7f\t\r", "?[2J ?2J ??2J ???" },
		{ "gr\xc3\xb6\xc3\x9f""er \xe2\x82\xac \xf0\x9f\x90\xa7",
		  "gr\xc3\xb6\xc3\x9f""er \xe2\x82\xac \xf0\x9f\x90\xa7" },
		{ "\xc3 \xff \xed\xa0\x80 \xc1\x9b \xe2\x82", "? ? ??? ?? ??" },
	};
	struct sink s = { 0 };
	struct owfs_msg msg = { emit, &s, OWFS_MSG_DEBUG };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		owfs_msg(&msg, OWFS_MSG_ERROR, "%s", t[i].said);
		assert_string_equal(s.last, t[i].heard);
	}
}

static void test_programs_speak_on_stderr(void **state)
{
	char got[200] = "", name[] = "mkfs.owfs";
	int kept = dup(STDERR_FILENO), fd[2];

	(void)state;
	assert_int_equal(pipe(fd), 0);
	dup2(fd[1], STDERR_FILENO);
	owfs_msg_stderr(name, OWFS_MSG_ERROR, "no such device");
	owfs_msg_stderr(NULL, OWFS_MSG_ERROR, "nameless");
	fflush(stderr);
	dup2(kept, STDERR_FILENO);
	assert_true(read(fd[0], got, sizeof(got) - 1) > 0);
	assert_string_equal(got, "mkfs.owfs: no such device\nnameless\n");
	close(kept);
	close(fd[0]);
	close(fd[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_line_is_formatted),
		cmocka_unit_test(test_talkative_levels_are_dropped),
		cmocka_unit_test(test_no_sink_is_silence),
		cmocka_unit_test(test_endless_line_is_cut),
		cmocka_unit_test(test_nobody_else_speaks),
		cmocka_unit_test(test_programs_speak_on_stderr),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
