/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mkfs.owfs: options, and the order in which things are refused.  Nothing is
 * written before everything that can be refused has been.
 */
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uuid.h>

#include "base/err.h"
#include "base/size.h"
#include "base/stdfds.h"
#include "mkfs.h"
#include "signature.h"
#include "target.h"

#define PROGRAM "mkfs.owfs"

struct options {
	const char *path;
	uint64_t size;			/* 0: all there is */
	bool force, dry_run, quiet, verbose;
	struct owfs_window window;
	struct owfs_mkfs_param mkfs;
	char why[512];			/* what the library said first */
};

/* A failure is one line: what the library says becomes a part of ours. */
static void keep_line(void *ctx, enum owfs_msg_level level, const char *line)
{
	struct options *o = ctx;

	(void)level;
	if (!o->why[0])
		snprintf(o->why, sizeof(o->why), ": %s", line);
}

static int complain(const char *fmt, ...)
	__attribute__((format(printf, 1, 2)));

/* One line; returns the exit status of every failure. */
static int complain(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, PROGRAM ": ");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return 1;
}

static void usage(FILE *out)
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

/* ---------------------------------------------------------------- options */

static int set_label(struct options *o, const char *arg)
{
	size_t len = strlen(arg);

	if (len > OWFS_LABEL_MAX)
		return complain("label has %zu bytes, at most %u fit", len,
				OWFS_LABEL_MAX);
	o->mkfs.label = arg;
	return 0;
}

static int set_uuid(struct options *o, const char *arg)
{
	if (uuid_parse(arg, o->mkfs.uuid) || uuid_is_null(o->mkfs.uuid))
		return complain("\"%s\" is no uuid; write it like 123e4567-e89b-12d3-a456-426614174000",
				arg);
	return 0;
}

static int set_blocksize(struct options *o, const char *arg)
{
	uint64_t bytes;

	if (owfs_size_parse(arg, &bytes) || bytes < OWFS_BLOCK_MIN ||
	    bytes > OWFS_BLOCK_MAX || (bytes & (bytes - 1)))
		return complain("block size \"%s\" is not a power of two from 4096 to 65536",
				arg);
	o->mkfs.blocksize = (uint32_t)bytes;
	return 0;
}

static int set_copies(struct options *o, const char *arg)
{
	if (!strcmp(arg, "single"))
		o->mkfs.meta_copies = 1;
	else if (!strcmp(arg, "dup"))
		o->mkfs.meta_copies = 2;
	else
		return complain("-m takes single or dup, not \"%s\"", arg);
	return 0;
}

static int set_size(struct options *o, const char *arg)
{
	int ret = owfs_size_parse(arg, &o->size);

	if (ret == -ERANGE)
		return complain("size \"%s\" is larger than any file", arg);
	if (ret || !o->size)
		return complain("\"%s\" is no size; write bytes, or a number with K, M, G or T",
				arg);
	return 0;
}

static int set_window(struct options *o, const char *arg)
{
	char bad[64];

	if (owfs_window_parse(&o->window, arg, bad, sizeof(bad)))
		return complain("-o takes offset=BYTES and sizelimit=BYTES, not \"%s\"",
				bad);
	return 0;
}

static int set_option(struct options *o, int opt, const char *arg)
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
		return set_window(o, arg);
	case ':':
		return complain("-%c needs a value; " PROGRAM " -h lists the options",
				optopt);
	default:
		return complain("unknown option \"-%c\"; " PROGRAM " -h lists the options",
				optopt);
	}
}

/* 0, or the exit status; *done: nothing more to do. */
static int parse(struct options *o, int argc, char **argv, bool *done)
{
	int opt, ret;

	opterr = 0;
	while ((opt = getopt(argc, argv, ":fL:U:b:m:no:qvVh")) != -1) {
		*done = opt == 'V' || opt == 'h';
		if (opt == 'V')
			printf(PROGRAM " %s\n", PACKAGE_VERSION);
		else if (opt == 'h')
			usage(stdout);
		if (*done)
			return 0;
		ret = set_option(o, opt, optarg);
		if (ret)
			return ret;
	}
	if (optind == argc)
		return complain("no device given; " PROGRAM " -h shows how");
	if (argc - optind > 2)
		return complain("too many arguments: \"%s\"; give one DEVICE and one SIZE",
				argv[optind + 2]);
	o->path = argv[optind];
	return optind + 1 < argc ? set_size(o, argv[optind + 1]) : 0;
}

/* ---------------------------------------------------------------- telling */

static void tell(const struct options *o, const struct owfs_super *sb)
{
	char uuid[37];

	if (o->quiet)
		return;
	uuid_unparse(sb->uuid, uuid);
	printf("%s: %s owfs filesystem\n", o->path,
	       o->dry_run ? "would make an" : "made an");
	printf("  uuid        %s\n", uuid);
	printf("  label       %s\n", sb->label[0] ? sb->label : "(none)");
	printf("  block size  %u\n", sb->blocksize);
	printf("  blocks      %llu (%s)\n", (unsigned long long)sb->nblocks,
	       owfs_size_text(sb->nblocks * sb->blocksize).s);
	printf("  metadata    written %s\n",
	       sb->meta_copies == 2 ? "twice" : "once");
}

static void tell_more(const struct options *o, const struct owfs_super *sb)
{
	struct owfs_geo geo;
	uint64_t fixed;

	if (!o->verbose || o->quiet ||
	    owfs_geo_init(&geo, sb->blocksize, sb->nblocks))
		return;
	fixed = owfs_geo_fixed_total(&geo);
	printf("  groups      %llu of %u blocks\n",
	       (unsigned long long)geo.ngroups, geo.group_blocks);
	printf("  fixed       %llu blocks (superblocks and space map, %s)\n",
	       (unsigned long long)fixed,
	       owfs_size_text(fixed * sb->blocksize).s);
	printf("  reserve     %llu blocks (kept for unlink and truncate)\n",
	       (unsigned long long)sb->reserve_blocks);
	printf("  format      version %d\n", OWFS_FORMAT_VERSION);
}

/* ----------------------------------------------------------------- making */

/* A device that is not there yet, as far as planning needs one. */
static int plan(const struct owfs_target *t, struct options *o,
		struct owfs_super *sb)
{
	const struct owfs_blkdev stub = { .size = t->size & ~511ull,
					  .sector = 512 };

	o->mkfs.nblocks = owfs_geo_fit(o->mkfs.blocksize, t->size /
				       o->mkfs.blocksize);
	if (t->size < OWFS_BYTES_MIN || !o->mkfs.nblocks)
		return complain("%s: %s (%llu blocks) is too small; the least is %s and %llu blocks",
				t->path, owfs_size_text(t->size).s,
				(unsigned long long)(t->size /
						     o->mkfs.blocksize),
				owfs_size_text(OWFS_BYTES_MIN).s,
				OWFS_BLOCKS_MIN);
	if (t->size / o->mkfs.blocksize > OWFS_BLOCKS_MAX)
		return complain("%s: %s is too large; the format allows %llu blocks",
				t->path, owfs_size_text(t->size).s,
				OWFS_BLOCKS_MAX);
	if (owfs_mkfs_plan(&stub, &o->mkfs, sb))
		return complain("%s: cannot be done%s", t->path, o->why);
	return 0;
}

/* What would be lost; refuse unless -f. */
static int check_contents(struct owfs_target *t, const struct options *o)
{
	char what[512];
	int ret = owfs_signature_find(t->bd, t->window.offset, what,
				      sizeof(what));

	if (ret < 0)
		return complain("cannot read %s: %s", t->path, strerror(-ret));
	if (ret && !o->force)
		return complain("%s contains %s; use -f to overwrite it",
				t->path, what);
	if (ret && !o->quiet)
		printf("%s: %s %s\n", t->path,
		       o->dry_run ? "would overwrite" : "overwriting", what);
	return 0;
}

static int make(struct owfs_target *t, const struct options *o)
{
	int ret = owfs_target_grow(t);

	if (ret)
		return complain("%s", t->err);
	if (o->force && t->exists) {
		ret = owfs_signature_wipe(t->bd, t->window.offset);
		if (ret)
			return complain("cannot wipe %s: %s", t->path,
					strerror(-ret));
	}
	ret = owfs_mkfs(t->bd, &o->mkfs);
	if (ret)
		return complain("%s: no filesystem made: %s%s", t->path,
				strerror(-ret), o->why);
	return 0;
}

static int run_on(struct owfs_target *t, struct options *o,
		  struct owfs_super *sb)
{
	if (plan(t, o, sb))
		return 1;
	if (owfs_target_shows(t)) {
		if (owfs_target_open(t, o->dry_run))
			return complain("%s", t->err);
		if (check_contents(t, o))
			return 1;
	}
	return o->dry_run ? 0 : make(t, o);
}

static int run(struct options *o)
{
	struct owfs_target t;
	struct owfs_super sb;
	int status;

	if (owfs_target_look(&t, o->path, o->size, &o->window))
		status = complain("%s", t.err);
	else
		status = run_on(&t, o, &sb);
	owfs_target_close(&t, status == 0);
	if (status)
		return status;
	tell(o, &sb);
	tell_more(o, &sb);
	if (fflush(stdout))
		return complain("cannot write: %s", strerror(errno));
	return 0;
}

int main(int argc, char **argv)
{
	struct owfs_msg msg = {
		.emit = keep_line,
		.max_level = OWFS_MSG_WARN,
	};
	struct options o = {
		.mkfs = {
			.blocksize = OWFS_BLOCK_MIN,
			.root_uid = geteuid(),
			.root_gid = getegid(),
			.msg = &msg,
		},
	};
	bool done = false;
	int ret;

	owfs_stdfds_take();
	msg.ctx = &o;
	/* a limit on the size of files is an error like others */
	signal(SIGXFSZ, SIG_IGN);
	ret = parse(&o, argc, argv, &done);
	if (ret || done)
		return ret;
	return run(&o);
}
