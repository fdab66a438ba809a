/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command line: words to struct dump_options, and nothing done about it. */
#include "options.h"

#include <getopt.h>

#include "base/cmdline.h"

#define PROGRAM "owfs-dump"
#define complain(...) owfs_cmdline_complain(PROGRAM, __VA_ARGS__)

void dump_options_usage(FILE *out)
{
	fprintf(out,
"usage: " PROGRAM " [-b] [-j] [-o offset=BYTES,sizelimit=BYTES]\n"
"                 DEVICE [WHAT [ARGUMENT]]\n"
"\n"
"  superblock    the newest superblock and the state of the slots (default)\n"
"  slots         all four superblocks\n"
"  tree          every node with its items\n"
"  inode N       everything that belongs to an inode\n"
"  path /A/B     the same, found by its name\n"
"  extents N     where the blocks of an inode are\n"
"  groups        groups in use, with their free blocks\n"
"  map           every run of used blocks\n"
"\n"
"  -b, --before  the commit before the last\n"
"  -j, --json    JSON instead of text\n"
"  -o ...        the filesystem is only this part of DEVICE\n"
"  -V, -h        version, this help\n");
}

static int set_words(struct dump_options *o, int n, char **words)
{
	if (n < 1)
		return complain("no device given; " PROGRAM " -h shows how");
	if (n > 3)
		return complain("too many arguments: \"%s\"; " PROGRAM
				" -h shows how", words[3]);
	o->path = words[0];
	if (n > 1)
		o->what = words[1];
	if (n > 2)
		o->arg = words[2];
	return 0;
}

static int set_option(struct dump_options *o, int opt, const char *arg,
		      char **argv)
{
	switch (opt) {
	case 'j':
		o->json = true;
		return 0;
	case 'b':
		o->before = true;
		return 0;
	case 'o':
		return owfs_window_option(PROGRAM, &o->window, arg);
	case 'V':
		o->version = true;
		return 0;
	case 'h':
		o->help = true;
		return 0;
	default:
		return owfs_cmdline_bad_option(PROGRAM, opt, argv);
	}
}

int dump_options_parse(struct dump_options *o, int argc, char **argv)
{
	static const struct option words[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "before", no_argument, NULL, 'b' },
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 }
	};
	int opt, ret;

	*o = (struct dump_options){ .what = "superblock" };
	optind = 0;	/* also forget what an earlier call left in the middle */
	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":jbo:Vh", words, NULL)) != -1) {
		ret = set_option(o, opt, optarg, argv);
		if (ret || o->version || o->help)
			return ret;
	}
	return set_words(o, argc - optind, argv + optind);
}
