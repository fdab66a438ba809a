/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command line: words to struct options, and nothing done about it. */
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>

#include "base/cmdline.h"
#include "options.h"

#define PROGRAM "fsck.owfs"

int complain(int status, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, PROGRAM ": ");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return status;
}

void options_usage(FILE *out)
{
	fprintf(out,
"usage: " PROGRAM " [-n | -p | -y] [-f] [-v] [-C fd]\n"
"                 [-o offset=BYTES,sizelimit=BYTES] DEVICE\n"
"       " PROGRAM " --restore FILE DEVICE\n"
"       " PROGRAM " -n | --scrub [-v] [-C fd] MOUNTPOINT\n"
"\n"
"  -n      change nothing; works on a filesystem in use\n"
"  -p, -a  no questions: repair what is safe to repair, and stop for the rest\n"
"  -y      yes to all questions\n"
"  -f      check although it is clean, the commit before the last, too\n"
"  -v      say more\n"
"  -C fd   progress to this descriptor; 0: a bar\n"
"  --scrub         read all copies of metadata and mend bad ones\n"
"  --undo FILE     keep what a repair overwrites in a new file\n"
"  --restore FILE  put it back\n"
"  -o ...  the filesystem is only this part of DEVICE\n"
"  -V, -h  version, this help\n");
}

static int set_mode(struct options *o, char mode)
{
	if (o->mode && o->mode != mode)
		return complain(EXIT_USAGE,
				"give only one of -n, -p and -y");
	o->mode = mode;
	return 0;
}

static int set_fd(struct options *o, const char *arg)
{
	char *end;
	long fd = strtol(arg, &end, 10);

	if (end == arg || *end || fd > 65535 || fd < -65535)
		return complain(EXIT_USAGE,
				"-C takes the number of a descriptor, not \"%s\"",
				arg);
	o->progress_fd = fd < 0 ? -1 : (int)fd;
	return 0;
}

#define OPT_UNDO	256
#define OPT_RESTORE	257
#define OPT_SCRUB	258

static const struct option long_options[] = {
	{ "undo", required_argument, NULL, OPT_UNDO },
	{ "restore", required_argument, NULL, OPT_RESTORE },
	{ "scrub", no_argument, NULL, OPT_SCRUB },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

static int set_option(struct options *o, int opt, const char *arg,
		      char **argv)
{
	switch (opt) {
	case 'n':
	case 'y':
		return set_mode(o, (char)opt);
	case 'a':
	case 'p':
		return set_mode(o, 'p');
	case 'f':
		o->force = true;
		return 0;
	case 'v':
		o->verbose = true;
		return 0;
	case 'C':
		return set_fd(o, arg);
	case 'o':
		return owfs_window_option(PROGRAM, &o->window, arg) ?
		       EXIT_USAGE : 0;
	case 'V':
		o->version = true;
		return 0;
	case 'h':
		o->help = true;
		return 0;
	case OPT_SCRUB:
		o->scrub = true;
		return 0;
	case OPT_UNDO:
		o->undo = arg;
		return 0;
	case OPT_RESTORE:
		o->restore = arg;
		return 0;
	default:
		owfs_cmdline_bad_option(PROGRAM, opt, argv);
		return EXIT_USAGE;
	}
}

int options_parse(struct options *o, int argc, char **argv)
{
	int opt, ret;

	*o = (struct options){ .progress_fd = -1 };
	optind = 0;	/* also forget what an earlier call left in the middle */
	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":napyfvC:o:Vh", long_options,
				  NULL)) != -1) {
		ret = set_option(o, opt, optarg, argv);
		if (ret || o->version || o->help)
			return ret;
	}
	if (optind == argc)
		return complain(EXIT_USAGE, "no device given; " PROGRAM
				" -h shows how");
	if (optind + 1 < argc)
		return complain(EXIT_USAGE,
				"too many arguments: \"%s\"; give one DEVICE",
				argv[optind + 1]);
	o->path = argv[optind];
	if (o->scrub && (o->mode || o->undo || o->restore))
		return complain(EXIT_USAGE,
				"--scrub goes with none of -n, -p, -y, --undo and --restore");
	if (o->restore && (o->undo || o->mode))
		return complain(EXIT_USAGE,
				"--restore goes with none of -n, -p, -y and --undo");
	return 0;
}
