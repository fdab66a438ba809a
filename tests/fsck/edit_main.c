/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * owfs-edit IMAGE [COMMAND]: makes an image wrong, with the commands of
 * tests/lib/edit_script.c from the standard input, or with one.
 */
#include <stdio.h>
#include <string.h>

#include "edit.h"

static int fail(const struct edit *ed)
{
	fprintf(stderr, "owfs-edit: line %u: %s\n", ed->line, ed->why);
	return 1;
}

static int run_input(struct edit *ed)
{
	char line[1024];

	while (fgets(line, sizeof(line), stdin))
		if (edit_line(ed, line))
			return fail(ed);
	return 0;
}

int main(int argc, char **argv)
{
	struct owfs_blkdev *bd;
	struct edit ed;
	int ret;

	if (argc < 2 || argc > 3) {
		fprintf(stderr, "usage: owfs-edit IMAGE [COMMAND]\n");
		return 16;
	}
	ret = owfs_blkdev_open(argv[1], 0, &bd);
	if (ret) {
		fprintf(stderr, "owfs-edit: %s: %s\n", argv[1], strerror(-ret));
		return 1;
	}
	if (edit_open(&ed, bd, NULL))
		ret = fail(&ed);
	else if (argc == 3)
		ret = edit_line(&ed, argv[2]) ? fail(&ed) : 0;
	else
		ret = run_input(&ed);
	owfs_blkdev_close(bd);
	return ret;
}
