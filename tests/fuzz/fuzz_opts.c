/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Command lines of owfs-fuse and its helpers, and the numbers in those of all
 * programs.  Words end with a zero byte; the first byte chooses the name.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "base/util.h"
#include "fuse/opts.h"
#include "fuse/spin.h"
#include "fuzz.h"

#define MAX_WORDS	24

static void check(const struct owfs_opts *o)
{
	if (o->device[0] != '/' || o->mountpoint[0] != '/' ||
	    o->commit_secs > 3600 || o->threads > 128 ||
	    o->spin_us > OWFS_SPIN_MAX_US ||
	    !memchr(o->kernel, '\0', sizeof(o->kernel)) ||
	    (o->debug && !o->foreground))
		abort();
}

/* What is said of wrong words is for nobody to see. */
static void quietly(struct owfs_opts *o, int argc, char **argv)
{
	static FILE *null;
	FILE *err = stderr, *out = stdout;
	int ret;

	if (!null)
		null = fopen("/dev/null", "we");
	if (!null)
		abort();
	stderr = stdout = null;
	ret = owfs_opts_parse(o, argc, argv);
	stderr = err;
	stdout = out;
	if (!ret && argc)
		check(o);
}

static void parse_words(char *text, size_t size, unsigned int name)
{
	static char names[][20] = { "owfs-fuse", "mount.owfs", "/x/mount.fuse.owfs" };
	static char device[] = "/dev/null", point[] = "/";
	char *argv[MAX_WORDS + 3] = { names[name % ARRAY_SIZE(names)] };
	static struct owfs_opts o;
	int argc = 1;
	size_t i;

	for (i = 0; i < size && argc < MAX_WORDS; i += strlen(text + i) + 1) {
		/* would be entered */
		if (text[i] == '-' && strchr(text + i, 'N'))
			continue;
		argv[argc++] = text + i;
	}
	/* so that it may come to an end */
	if (name & 0x80) {
		argv[argc++] = device;
		argv[argc++] = point;
	}
	quietly(&o, argc, argv);
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
	if (!text)
		abort();
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	parse_sizes(text);
	parse_words(text, size, data[0]);
	free(text);
	return 0;
}
