/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command lines of all programs, and the numbers in them.  The first byte
 * chooses the program; the rest are words that end with a zero byte.  A word
 * may begin with a byte that stands for one of ours, so that chance finds them
 * too: the byte 3 and "9" are "-b9".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "base/util.h"
#include "dump/options.h"
#include "fsck/options.h"
#include "fuse/opts.h"
#include "fuse/spin.h"
#include "fuzz.h"
#include "mkfs/options.h"

#define MAX_WORDS	24

static const char *const known[] = {
	"-f", "-o", "-b", "-L", "-U", "-m", "-n", "-q", "-v", "-y", "-p", "-a",
	"-C", "-j", "-r", "-s", "-t", "--undo", "--restore=", "--scrub",
	"--before", "--json", "--", "16M", "4096", "dup", "offset=",
	"sizelimit=1,", "uid=", "ro,", "123e4567-e89b-12d3-a456-4266141740",
};

static void must(bool held)
{
	if (!held)
		abort();
}

static void must_be_window(const struct owfs_window *w)
{
	must(w->offset <= INT64_MAX && w->limit <= INT64_MAX);
}

static int parse_fuse(int argc, char **argv)
{
	static struct owfs_opts o;
	int ret = owfs_opts_parse(&o, argc, argv);

	if (!ret)
		must(o.device[0] == '/' && o.mountpoint[0] == '/' &&
		     o.commit_secs <= 3600 && o.threads <= 128 &&
		     o.spin_us <= OWFS_SPIN_MAX_US &&
		     memchr(o.kernel, '\0', sizeof(o.kernel)) &&
		     (!o.debug || o.foreground));
	must_be_window(&o.window);
	return ret < 0 ? 1 : ret;
}

static int parse_mkfs(int argc, char **argv)
{
	struct mkfs_options o;
	int ret = mkfs_options_parse(&o, argc, argv);
	const uint32_t bs = o.mkfs.blocksize;

	must(bs >= 4096 && bs <= 65536 && !(bs & (bs - 1)) &&
	     o.mkfs.meta_copies <= 2 && o.size <= INT64_MAX &&
	     (!o.mkfs.label || strlen(o.mkfs.label) <= OWFS_LABEL_MAX));
	must(ret || o.help || o.version || o.path);
	must_be_window(&o.window);
	return ret;
}

static int parse_dump(int argc, char **argv)
{
	struct dump_options o;
	int ret = dump_options_parse(&o, argc, argv);

	must(ret || o.help || o.version || (o.path && o.what));
	must_be_window(&o.window);
	return ret;
}

static int parse_fsck(int argc, char **argv)
{
	struct options o;
	int ret = options_parse(&o, argc, argv);

	must_be_window(&o.window);
	must(o.progress_fd >= -1 && (!o.mode || strchr("npy", o.mode)));
	must(ret || o.help || o.version ||
	     (o.path && !(o.restore && (o.mode || o.undo)) &&
	      !(o.scrub && (o.mode || o.restore || o.undo))));
	return ret == EXIT_USAGE ? 1 : ret;
}

static const struct program {
	char name[20];
	int (*parse)(int argc, char **argv);	/* 0, or 1: there was a line */
} programs[] = {
	{ "owfs-fuse", parse_fuse }, { "mount.owfs", parse_fuse },
	{ "/x/mount.fuse.owfs", parse_fuse },
	{ "mkfs.owfs", parse_mkfs }, { "owfs-dump", parse_dump },
	{ "fsck.owfs", parse_fsck },
};

/* What is said of wrong words is for nobody to see. */
static int quietly(const struct program *p, int argc, char **argv)
{
	static FILE *null;
	FILE *err = stderr, *out = stdout;
	int ret;

	if (!null)
		null = fopen("/dev/null", "we");
	must(null);
	stderr = stdout = null;
	ret = p->parse(argc, argv);
	stderr = err;
	stdout = out;
	return ret;
}

/* A word of the input as a program gets it; whoever has it frees it. */
static char *new_word(const char *text)
{
	const unsigned char first = (unsigned char)*text;
	const char *begin = "";
	char *word;

	if (first && first <= ARRAY_SIZE(known)) {
		begin = known[first - 1];
		text++;
	}
	must(asprintf(&word, "%s%s", begin, text) >= 0);
	return word;
}

static void parse_words(const char *text, size_t size, unsigned int which)
{
	const struct program *p = &programs[which % ARRAY_SIZE(programs)];
	static char device[] = "/dev/null", point[] = "/";
	char *made[MAX_WORDS], *argv[MAX_WORDS + 4], name[20];
	int argc = 0, n = 0, ret;
	size_t i;

	memcpy(name, p->name, sizeof(name));
	argv[argc++] = name;
	for (i = 0; i < size && n < MAX_WORDS; i += strlen(text + i) + 1) {
		made[n] = new_word(text + i);
		/* a namespace would be entered */
		if (made[n][0] != '-' || !strchr(made[n], 'N'))
			argv[argc++] = made[n];
		n++;
	}
	/* so that it may come to an end */
	if (which & 0x80) {
		argv[argc++] = device;
		argv[argc++] = point;
	}
	argv[argc] = NULL;
	ret = quietly(p, argc, argv);
	must(ret == 0 || ret == 1);
	while (n)
		free(made[--n]);
}

static void parse_sizes(const char *text)
{
	struct owfs_window w = { 0 };
	char bad[64];
	uint64_t v;

	owfs_size_parse(text, &v);
	owfs_window_parse(&w, text, bad, sizeof(bad));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;

	if (!size)
		return 0;
	text = malloc(size);
	must(text);
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	parse_sizes(text);
	parse_words(text, size, data[0]);
	free(text);
	return 0;
}
