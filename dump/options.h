/* SPDX-License-Identifier: GPL-2.0-or-later */
/* owfs-dump's command line. */
#ifndef OWFS_DUMP_OPTIONS_H
#define OWFS_DUMP_OPTIONS_H

#include <stdbool.h>
#include <stdio.h>

#include "io/window.h"

struct dump_options {
	const char *path, *what, *arg;
	bool json, before, version, help;
	struct owfs_window window;
};

/*
 * Fill in *@o from the arguments, and point into them.  0: go on, or do what
 * help and version ask for; else the status to exit with, and stderr says why.
 */
int dump_options_parse(struct dump_options *o, int argc, char **argv);
void dump_options_usage(FILE *out);

#endif
