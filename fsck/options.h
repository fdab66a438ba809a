/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fsck.owfs's command line, and the statuses that it exits with. */
#ifndef OWFS_FSCK_OPTIONS_H
#define OWFS_FSCK_OPTIONS_H

#include <stdbool.h>
#include <stdio.h>

#include "io/window.h"

/* fsck(8); added up */
#define EXIT_CORRECTED	1
#define EXIT_LEFT	4
#define EXIT_OPERATION	8
#define EXIT_USAGE	16
#define EXIT_CANCELLED	32

struct options {
	const char *path;
	char mode;			/* 0, or one of n, p, y */
	bool force, verbose, version, help, scrub;
	int progress_fd;		/* -1: not asked for */
	struct owfs_window window;	/* the part of the device that is meant */
	const char *undo, *restore;	/* files */
};

/*
 * Fill in *@o from the arguments, and point into them.  0: go on, or do what
 * help and version ask for; else the status to exit with, and stderr says why.
 */
int options_parse(struct options *o, int argc, char **argv);
void options_usage(FILE *out);

/* A line on stderr; returns @status. */
int complain(int status, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif
