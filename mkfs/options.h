/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mkfs.owfs's command line. */
#ifndef OWFS_MKFS_OPTIONS_H
#define OWFS_MKFS_OPTIONS_H

#include <stdbool.h>
#include <stdio.h>

#include "io/window.h"
#include "mkfs.h"

struct mkfs_options {
	const char *path;
	uint64_t size;			/* 0: all there is */
	bool force, dry_run, quiet, verbose, version, help;
	struct owfs_window window;
	struct owfs_mkfs_param mkfs;	/* as far as the arguments say */
};

/*
 * Fill in *@o from the arguments, and point into them.  0: go on, or do what
 * help and version ask for; else the status to exit with, and stderr says why.
 */
int mkfs_options_parse(struct mkfs_options *o, int argc, char **argv);
void mkfs_options_usage(FILE *out);

#endif
