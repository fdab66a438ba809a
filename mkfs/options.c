/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command line: words to struct mkfs_options, and nothing done about it. */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>
#include <uuid.h>

#include "base/cmdline.h"
#include "base/size.h"

#define PROGRAM "mkfs.owfs"
#define complain(...) owfs_cmdline_complain(PROGRAM, __VA_ARGS__)

void mkfs_options_usage(FILE *out)
{
	fprintf(out,
"usage: " PROGRAM " [-f] [-L label] [-U uuid] [-b blocksize] [-m single|dup]\n"
"                 [-n] [-q] [-v] [-o offset=BYTES,sizelimit=BYTES] DEVICE [SIZE]\n"
"\n"
"  DEVICE         block device or image file\n"
"  SIZE           bytes, or with K, M, G, T, P, E; an image file is created or extended\n"
"  -f             overwrite what is there, wiping its signatures\n"
"  -L label       at most %u bytes\n"
"  -U uuid        instead of a random one\n"
"  -b blocksize   4096 (default) to 65536, a power of two\n"
"  -m single|dup  write metadata once or twice; default: twice from 128 MiB on\n"
"  -o offset=BYTES,sizelimit=BYTES\n"
"                 use only this part of DEVICE\n"
"  -n             say what would be made, write nothing\n"
"  -q             say nothing but errors\n"
"  -v             say more\n"
"  -V, -h         version, this help\n", OWFS_LABEL_MAX);
}

static int set_label(struct mkfs_options *o, const char *arg)
{
	size_t len = strlen(arg);

	if (len > OWFS_LABEL_MAX)
		return complain("label has %zu bytes, at most %u fit", len,
				OWFS_LABEL_MAX);
	o->mkfs.label = arg;
	return 0;
}

static int set_uuid(struct mkfs_options *o, const char *arg)
{
	if (uuid_parse(arg, o->mkfs.uuid) || uuid_is_null(o->mkfs.uuid))
		return complain("\"%s\" is no uuid; write it like 123e4567-e89b-12d3-a456-426614174000",
				arg);
	return 0;
}

static int set_blocksize(struct mkfs_options *o, const char *arg)
{
	uint64_t bytes;

	if (owfs_size_parse(arg, &bytes) || bytes < OWFS_BLOCK_MIN ||
	    bytes > OWFS_BLOCK_MAX || (bytes & (bytes - 1)))
		return complain("block size \"%s\" is not a power of two from 4096 to 65536",
				arg);
	o->mkfs.blocksize = (uint32_t)bytes;
	return 0;
}

static int set_copies(struct mkfs_options *o, const char *arg)
{
	if (!strcmp(arg, "single"))
		o->mkfs.meta_copies = 1;
	else if (!strcmp(arg, "dup"))
		o->mkfs.meta_copies = 2;
	else
		return complain("-m takes single or dup, not \"%s\"", arg);
	return 0;
}

static int set_size(struct mkfs_options *o, const char *arg)
{
	int ret = owfs_size_parse(arg, &o->size);

	if (ret == -ERANGE)
		return complain("size \"%s\" is larger than any file", arg);
	if (ret || !o->size)
		return complain("\"%s\" is no size; write bytes, or a number with K, M, G or T",
				arg);
	return 0;
}

static int set_option(struct mkfs_options *o, int opt, const char *arg,
		      char **argv)
{
	switch (opt) {
	case 'f':
		o->force = true;
		return 0;
	case 'n':
		o->dry_run = true;
		return 0;
	case 'q':
		o->quiet = true;
		return 0;
	case 'v':
		o->verbose = true;
		return 0;
	case 'L':
		return set_label(o, arg);
	case 'U':
		return set_uuid(o, arg);
	case 'b':
		return set_blocksize(o, arg);
	case 'm':
		return set_copies(o, arg);
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

static int set_words(struct mkfs_options *o, int n, char **words)
{
	if (n < 1)
		return complain("no device given; " PROGRAM " -h shows how");
	if (n > 2)
		return complain("too many arguments: \"%s\"; give one DEVICE and one SIZE",
				words[2]);
	o->path = words[0];
	return n > 1 ? set_size(o, words[1]) : 0;
}

int mkfs_options_parse(struct mkfs_options *o, int argc, char **argv)
{
	static const struct option words[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ 0 }
	};
	int opt, ret;

	*o = (struct mkfs_options){ .mkfs = { .blocksize = OWFS_BLOCK_MIN } };
	optind = 0;	/* also forget what an earlier call left in the middle */
	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":fL:U:b:m:no:qvVh", words,
				  NULL)) != -1) {
		ret = set_option(o, opt, optarg, argv);
		if (ret || o->version || o->help)
			return ret;
	}
	return set_words(o, argc - optind, argv + optind);
}
