/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/cmdline.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int owfs_cmdline_complain(const char *prog, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s: ", prog);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return 1;
}

int owfs_cmdline_bad_option(const char *prog, int opt, char **argv)
{
	const char letter[] = { '-', (char)optopt, '\0' };
	const char *word = argv[optind - 1];

	if (strncmp(word, "--", 2))
		word = letter;
	if (opt == ':')
		return owfs_cmdline_complain(prog, "%s needs a value; %s -h lists the options",
					     word, prog);
	return owfs_cmdline_complain(prog, "unknown option \"%s\"; %s -h lists the options",
				     word, prog);
}

int owfs_cmdline_flush(const char *prog)
{
	int err = 0;

	if (fflush(stdout))
		err = errno;
	else if (ferror(stdout))	/* said before, and gone since */
		err = EIO;
	return err ? owfs_cmdline_complain(prog, "cannot write: %s",
					   strerror(err)) : 0;
}
