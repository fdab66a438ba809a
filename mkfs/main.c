/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mkfs.owfs: the order in which things are refused.  Nothing is written before
 * everything that can be refused has been.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uuid.h>

#include "base/cmdline.h"
#include "base/err.h"
#include "base/sandbox.h"
#include "base/size.h"
#include "base/stdfds.h"
#include "mkfs.h"
#include "options.h"
#include "signature.h"
#include "target.h"

#define PROGRAM "mkfs.owfs"
#define complain(...) owfs_cmdline_complain(PROGRAM, __VA_ARGS__)

struct job {
	struct mkfs_options o;
	struct owfs_signatures *sig;	/* NULL: there is nothing yet */
	char why[512];			/* what the library said first */
};

/* A failure is one line: what the library says becomes a part of ours. */
static void keep_line(void *ctx, enum owfs_msg_level level, const char *line)
{
	struct job *job = ctx;

	(void)level;
	if (!job->why[0])
		snprintf(job->why, sizeof(job->why), ": %s", line);
}

/* ---------------------------------------------------------------- telling */

static void tell(const struct mkfs_options *o, const struct owfs_super *sb)
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

static void tell_more(const struct mkfs_options *o, const struct owfs_super *sb)
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
static int plan(const struct owfs_target *t, struct job *job,
		struct owfs_super *sb)
{
	struct owfs_mkfs_param *p = &job->o.mkfs;
	const struct owfs_blkdev stub = { .size = t->size & ~511ull,
					  .sector = 512 };

	p->nblocks = owfs_geo_fit(p->blocksize, t->size / p->blocksize);
	if (t->size < OWFS_BYTES_MIN || !p->nblocks)
		return complain("%s: %s (%llu blocks) is too small; the least is %s and %llu blocks",
				t->path, owfs_size_text(t->size).s,
				(unsigned long long)(t->size / p->blocksize),
				owfs_size_text(OWFS_BYTES_MIN).s,
				OWFS_BLOCKS_MIN);
	if (t->size / p->blocksize > OWFS_BLOCKS_MAX)
		return complain("%s: %s is too large; the format allows %llu blocks",
				t->path, owfs_size_text(t->size).s,
				OWFS_BLOCKS_MAX);
	if (owfs_mkfs_plan(&stub, p, sb))
		return complain("%s: cannot be done%s", t->path, job->why);
	return 0;
}

/*
 * Everything is open.  What is on the device was written by others; libblkid
 * is about to look at all that it knows, and erases it, too.
 */
static int lock_in(struct job *job, struct owfs_target *t)
{
	int ret = owfs_signatures_open(&job->sig, t->bd, t->window.offset);

	if (ret)
		return complain("cannot read %s: %s", t->path, strerror(-ret));
	owfs_sandbox_program(job->o.dry_run ? OWFS_SANDBOX_READER :
					      OWFS_SANDBOX_WRITER);
	return 0;
}

/* What would be lost; refuse unless -f. */
static int check_contents(const struct job *job, struct owfs_target *t)
{
	const struct mkfs_options *o = &job->o;
	char what[512];
	int ret = owfs_signatures_find(job->sig, t->bd, what, sizeof(what));

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

static int cannot_make(struct owfs_target *t, const struct job *job, int ret)
{
	if (ret != -EFBIG)
		return complain("%s: no filesystem made: %s%s", t->path,
				strerror(-ret), job->why);
	owfs_target_too_large(t);
	return complain("%s", t->err);
}

static int make(struct owfs_target *t, const struct job *job)
{
	int ret = owfs_target_grow(t);

	if (ret)
		return complain("%s", t->err);
	if (job->o.force && job->sig)
		ret = owfs_signatures_wipe(job->sig, t->bd);
	if (!ret)
		ret = owfs_mkfs(t->bd, &job->o.mkfs);
	return ret ? cannot_make(t, job, ret) : 0;
}

static int run_on(struct owfs_target *t, struct job *job,
		  struct owfs_super *sb)
{
	if (plan(t, job, sb))
		return 1;
	if (owfs_target_shows(t)) {
		if (owfs_target_open(t, job->o.dry_run))
			return complain("%s", t->err);
		if (lock_in(job, t) || check_contents(job, t))
			return 1;
	}
	return job->o.dry_run ? 0 : make(t, job);
}

static int run(struct job *job)
{
	const struct mkfs_options *o = &job->o;
	struct owfs_target t;
	struct owfs_super sb;
	int status;

	if (owfs_target_look(&t, o->path, o->size, &o->window))
		status = complain("%s", t.err);
	else
		status = run_on(&t, job, &sb);
	owfs_signatures_close(job->sig);
	owfs_target_close(&t, status == 0);
	if (status)
		return status;
	tell(o, &sb);
	tell_more(o, &sb);
	return 0;
}

int main(int argc, char **argv)
{
	struct job job = { .why = "" };
	const struct owfs_msg msg = {
		.emit = keep_line,
		.ctx = &job,
		.max_level = OWFS_MSG_WARN,
	};
	int ret = mkfs_options_parse(&job.o, argc, argv);

	owfs_stdfds_take();
	if (ret)
		return ret;
	/* a limit on the size of files is an error like others */
	signal(SIGXFSZ, SIG_IGN);
	job.o.mkfs.root_uid = geteuid();
	job.o.mkfs.root_gid = getegid();
	job.o.mkfs.msg = &msg;
	if (job.o.version)
		printf(PROGRAM " %s\n", PACKAGE_VERSION);
	else if (job.o.help)
		mkfs_options_usage(stdout);
	else
		ret = run(&job);
	return owfs_cmdline_flush(PROGRAM) || ret;
}
