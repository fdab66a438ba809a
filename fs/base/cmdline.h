/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the programs say of their command lines, and how they end. */
#ifndef OWFS_BASE_CMDLINE_H
#define OWFS_BASE_CMDLINE_H

/*
 * A line on stderr that begins with the program's name.  Returns 1, which is
 * the exit status of a failure wherever there is but one.
 */
int owfs_cmdline_complain(const char *prog, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/*
 * The line for what getopt_long(3) answered with @opt, ':' or '?', called with
 * a list of letters that begins with a colon.  Returns 1, too.
 */
int owfs_cmdline_bad_option(const char *prog, int opt, char **argv);
/* Has all arrived that went to stdout?  0, or 1 after a line on stderr. */
int owfs_cmdline_flush(const char *prog);

#endif
