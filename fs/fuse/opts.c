/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Arguments.  Two forms:
 *
 *	owfs-fuse [-f] [-d] [-V] [-h] [-o OPTS] DEVICE MOUNTPOINT
 *	mount.owfs DEVICE MOUNTPOINT [-sfnv] [-N NS] [-t TYPE] [-o OPTS]
 *
 * What may stand behind -o is in opts_words.c.
 */
#include "fuse/opts.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cmdline.h"
#include "base/sandbox.h"
#include "fuse/iomap_compat.h"
#include "fuse/opts_words.h"
#include "fuse/spin.h"

#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "unknown"
#endif

int owfs_opts_refuse(const struct owfs_opts *o, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s: ", o->prog);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return -EINVAL;
}

static void usage(const struct owfs_opts *o)
{
	if (o->helper)
		printf("usage: %s DEVICE MOUNTPOINT [-fnrsvw] [-N NAMESPACE] [-t TYPE]\n"
		       "                  [-o OPTIONS]\n",
		       o->prog);
	else
		printf("usage: %s [-dfrw] [-o OPTIONS] DEVICE MOUNTPOINT\n"
		       "  -f   stay in the foreground\n"
		       "  -d   show every request (implies -f)\n"
		       "  -r   the same as -o ro\n"
		       "  -w   the same as -o rw\n"
		       "  -V   print the version\n"
		       "  -h   print this\n", o->prog);
	printf("options: ro rw commit=SEC errors=remount-ro|shutdown discard cache=SIZE\n"
	       "         iomap=auto|on|off threads=N spin=USEC plain allow_other\n"
	       "         uid=USER gid=GROUP offset=BYTES sizelimit=BYTES writeback\n"
	       "         sync dirsync nosandbox debug, and those of mount(8): nosuid nodev noexec noatime ...\n");
}

/* One dashed argument; 1: exit with 0. */
static int take_flag(struct owfs_opts *o, int c, char **argv, bool *sloppy)
{
	switch (c) {
	case 'h':
		usage(o);
		return 1;
	case 'V':
		printf("owfs %s (libfuse %s, %s)\n"
		       "sandbox: %s\n", PACKAGE_VERSION, fuse_pkgversion(),
		       owfs_iomap_build, owfs_sandbox_build);
		return 1;
	case 'd':
		o->debug = true;
		return 0;
	case 'f':
		*(o->helper ? &o->fake : &o->foreground) = true;
		return 0;
	case 's':
		*sloppy = true;
		return 0;
	case 'v':
		o->verbose = true;
		return 0;
	case 'N':
		o->namespace = optarg;
		return 0;
	case 'n':
	case 't':
		return 0;
	case 'r':
		o->readonly = true;
		return 0;
	case 'w':
		o->readonly = false;
		o->insist_rw = true;
		return 0;
	default:
		owfs_cmdline_bad_option(o->prog, c, argv);
		return -EINVAL;
	}
}

#define LISTS_MAX 32	/* how often -o may be given */

struct cmdline {
	char *lists[LISTS_MAX];
	int nlists;
	bool sloppy;
};

static int take_flags(struct owfs_opts *o, int argc, char **argv,
		      struct cmdline *cl)
{
	static const struct option words[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ 0 }
	};
	const char *letters = o->helper ? ":hVdfsvnrwN:t:o:" : ":hVdfrwo:";
	int c, ret = 0;

	optind = 0;	/* also forget what an earlier call left in the middle */
	opterr = 0;
	while (!ret && (c = getopt_long(argc, argv, letters, words,
					NULL)) != -1) {
		if (c != 'o')
			ret = take_flag(o, c, argv, &cl->sloppy);
		else if (cl->nlists == LISTS_MAX)
			ret = owfs_opts_refuse(o, "too many -o");
		else
			cl->lists[cl->nlists++] = optarg;
	}
	return ret;
}

/* -N of mount(8): a process, or the path of a mount namespace. */
static int enter_namespace(const struct owfs_opts *o)
{
	char path[64];
	unsigned long pid;
	int fd, ret;

	if (!o->namespace)
		return 0;
	if (!owfs_opts_number(o->namespace, INT_MAX, &pid)) {
		snprintf(path, sizeof(path), "/proc/%lu/ns/mnt", pid);
		fd = open(path, O_RDONLY | O_CLOEXEC);
	} else {
		fd = open(o->namespace, O_RDONLY | O_CLOEXEC);
	}
	ret = fd < 0 ? -1 : setns(fd, CLONE_NEWNS);
	if (ret)
		ret = owfs_opts_refuse(o, "namespace %s: %s", o->namespace,
			       strerror(errno));
	if (fd >= 0)
		close(fd);
	return ret;
}

static int take_paths(struct owfs_opts *o, int argc, char **argv)
{
	struct stat st;

	if (argc - optind != 2)
		return owfs_opts_refuse(o, "DEVICE and MOUNTPOINT wanted; try %s -h",
				o->prog);
	if (enter_namespace(o))
		return -EINVAL;
	if (!realpath(argv[optind], o->device))
		return owfs_opts_refuse(o, "%s: %s", argv[optind], strerror(errno));
	if (stat(o->device, &st))
		return owfs_opts_refuse(o, "%s: %s", o->device, strerror(errno));
	if (S_ISDIR(st.st_mode))
		return owfs_opts_refuse(o, "%s: is a directory; the device or image file comes first, then the mount point",
				o->device);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return owfs_opts_refuse(o, "%s: neither a block device nor an image file",
				o->device);
	if (!realpath(argv[optind + 1], o->mountpoint) ||
	    stat(o->mountpoint, &st)) {
		if (errno == ENOTCONN)
			return owfs_opts_refuse(o, "%s: a mount without a server is there; umount %s",
					argv[optind + 1], argv[optind + 1]);
		return owfs_opts_refuse(o, "%s: %s", argv[optind + 1],
				strerror(errno));
	}
	if (!S_ISDIR(st.st_mode))
		return owfs_opts_refuse(o, "%s: not a directory", o->mountpoint);
	return 0;
}

static void set_name(struct owfs_opts *o, const char *argv0)
{
	const char *slash = strrchr(argv0, '/');

	o->prog = slash ? slash + 1 : argv0;
	o->helper = !strncmp(o->prog, "mount.", 6);
}

int owfs_opts_parse(struct owfs_opts *o, int argc, char **argv)
{
	struct cmdline cl = { 0 };
	int ret, i;

	memset(o, 0, sizeof(*o));
	o->spin_us = OWFS_SPIN_DEFAULT_US;
	set_name(o, argc && argv[0] ? argv[0] : "owfs-fuse");
	ret = take_flags(o, argc, argv, &cl);
	if (ret)
		return ret;
	for (i = 0; i < cl.nlists && !ret; i++)
		ret = owfs_opts_words(o, cl.lists[i], cl.sloppy);
	if (!ret)
		ret = take_paths(o, argc, argv);
	if (o->debug)
		o->foreground = true;
	return ret;
}
