/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The workloads, in one process, so that nothing but the filesystem is
 * measured.  Prints one line for each: name, value, unit, and where the
 * server counts them the requests per operation.
 *
 *	driver DIR [-n FILES] [-m MIB] [-t MSEC] [-c]
 *
 * -c prints for every workload how many requests of each kind an operation
 * took.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <dirent.h>

#include "fuse/session.h"

#define MIB	(1u << 20)
#define SMALL	1024
#define DIRECT	4096

struct bench {
	const char *dir;
	unsigned int files;
	unsigned int mib;		/* size of the big file */
	unsigned int msec;		/* how long the random workloads run */
	bool detail;
	int dirfd;
	char *buf;			/* 1 MiB, aligned */
	uint64_t before[OWFS_SESSION_OPCODES];
	bool counts;
	struct timespec start;
};

static void die(const char *what)
{
	fprintf(stderr, "driver: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* ------------------------------------------------------------- measurements */

static bool requests(const struct bench *b, uint64_t *n)
{
	return !ioctl(b->dirfd, OWFS_IOC_REQUESTS, n);
}

static void begin(struct bench *b)
{
	b->counts = requests(b, b->before);
	clock_gettime(CLOCK_MONOTONIC, &b->start);
}

static double elapsed(const struct bench *b)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec - b->start.tv_sec +
	       (now.tv_nsec - b->start.tv_nsec) / 1e9;
}

static const char *opcode_name(int op)
{
	static const char *const names[OWFS_SESSION_OPCODES] = {
		[1] = "lookup", [2] = "forget", [3] = "getattr",
		[4] = "setattr", [5] = "readlink", [9] = "mkdir",
		[10] = "unlink", [11] = "rmdir", [12] = "rename",
		[14] = "open", [15] = "read", [16] = "write",
		[18] = "release", [20] = "fsync", [21] = "setxattr",
		[22] = "getxattr", [25] = "flush", [27] = "opendir",
		[28] = "readdir", [29] = "releasedir", [34] = "access",
		[35] = "create", [42] = "batch_forget", [44] = "readdirplus",
		[45] = "rename2", [52] = "statx",
	};

	return names[op] ? names[op] : "other";
}

static void show_requests(const struct bench *b, double ops)
{
	uint64_t now[OWFS_SESSION_OPCODES];
	double sum = 0;
	int i;

	if (!b->counts || !requests(b, now))
		return;
	now[39] -= 1;	/* the question itself */
	for (i = 0; i < OWFS_SESSION_OPCODES; i++)
		sum += now[i] - b->before[i];
	printf(" %.2f", sum / ops);
	for (i = 0; b->detail && i < OWFS_SESSION_OPCODES; i++)
		if ((now[i] - b->before[i]) / ops >= 0.005)
			printf(" %s=%.2f", opcode_name(i),
			       (now[i] - b->before[i]) / ops);
}

static void end_ops(const struct bench *b, const char *name, double ops)
{
	printf("%s %.1f ops/s", name, ops / elapsed(b));
	show_requests(b, ops);
	printf("\n");
}

static void end_bytes(const struct bench *b, const char *name, double bytes)
{
	printf("%s %.1f MiB/s", name, bytes / MIB / elapsed(b));
	show_requests(b, bytes / MIB);
	printf("\n");
}

/* -------------------------------------------------------------------- names */

static void name_of(char *s, size_t size, char kind, unsigned int i)
{
	snprintf(s, size, "%c%07u", kind, i);
}

static void do_create(struct bench *b)
{
	char name[32];
	unsigned int i;
	int fd;

	begin(b);
	for (i = 0; i < b->files; i++) {
		name_of(name, sizeof(name), 'f', i);
		fd = openat(b->dirfd, name, O_CREAT | O_EXCL | O_WRONLY, 0644);
		if (fd < 0 || write(fd, b->buf, SMALL) != SMALL || close(fd))
			die(name);
	}
	end_ops(b, "create", b->files);
}

static void do_stat(struct bench *b, const char *what)
{
	char name[32];
	unsigned int i;
	struct stat st;

	begin(b);
	for (i = 0; i < b->files; i++) {
		name_of(name, sizeof(name), 'f', i);
		if (fstatat(b->dirfd, name, &st, 0) || st.st_size != SMALL)
			die(name);
	}
	end_ops(b, what, b->files);
}

static void do_rename(struct bench *b)
{
	char from[32], to[32];
	unsigned int i;

	begin(b);
	for (i = 0; i < b->files; i++) {
		name_of(from, sizeof(from), 'f', i);
		name_of(to, sizeof(to), 'g', i);
		if (renameat(b->dirfd, from, b->dirfd, to))
			die(from);
	}
	end_ops(b, "rename", b->files);
}

/* What "ls -l" does. */
static void do_list(struct bench *b)
{
	DIR *dir = fdopendir(dup(b->dirfd));
	struct dirent *de;
	unsigned int n = 0;
	struct stat st;

	if (!dir)
		die("opendir");
	rewinddir(dir);
	begin(b);
	for (; (de = readdir(dir)); n++)
		if (fstatat(b->dirfd, de->d_name, &st, 0))
			die(de->d_name);
	end_ops(b, "list", n);
	closedir(dir);
	if (n < b->files)
		die("list: entries missing");
}

static void do_unlink(struct bench *b)
{
	char name[32];
	unsigned int i;

	begin(b);
	for (i = 0; i < b->files; i++) {
		name_of(name, sizeof(name), 'g', i);
		if (unlinkat(b->dirfd, name, 0))
			die(name);
	}
	end_ops(b, "unlink", b->files);
}

/* --------------------------------------------------------------------- data */

static int open_big(const struct bench *b, int flags)
{
	int fd = openat(b->dirfd, "big", flags, 0644);

	if (fd < 0)
		die("big");
	return fd;
}

static void stream(struct bench *b, const char *name, int flags, bool write)
{
	int fd = open_big(b, flags);
	unsigned int i;
	ssize_t n;

	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	begin(b);
	for (i = 0; i < b->mib; i++) {
		n = write ? pwrite(fd, b->buf, MIB, (off_t)i * MIB) :
			    pread(fd, b->buf, MIB, (off_t)i * MIB);
		if (n != MIB)
			die(name);
	}
	end_bytes(b, name, (double)b->mib * MIB);
	close(fd);
}

static void random_io(struct bench *b, const char *name, bool write)
{
	int fd = open_big(b, O_RDWR | O_DIRECT);
	uint64_t seed = 1, blocks = (uint64_t)b->mib * (MIB / DIRECT), ops = 0;
	off_t pos;
	ssize_t n;

	begin(b);
	do {
		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		pos = (off_t)((seed >> 33) % blocks * DIRECT);
		n = write ? pwrite(fd, b->buf, DIRECT, pos) :
			    pread(fd, b->buf, DIRECT, pos);
		if (n != DIRECT)
			die(name);
		ops++;
	} while (ops & 15 || elapsed(b) * 1000 < b->msec);
	end_ops(b, name, ops);
	close(fd);
}

static void do_data(struct bench *b)
{
	stream(b, "write-1m", O_WRONLY | O_CREAT, true);
	stream(b, "read-1m", O_RDONLY, false);
	stream(b, "rewrite-1m", O_WRONLY, true);
	stream(b, "dwrite-1m", O_WRONLY | O_DIRECT, true);
	stream(b, "dread-1m", O_RDONLY | O_DIRECT, false);
	random_io(b, "dwrite-4k", true);
	random_io(b, "dread-4k", false);
}

static void parse(struct bench *b, int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "n:m:t:c")) != -1) {
		if (c == 'n')
			b->files = atoi(optarg);
		else if (c == 'm')
			b->mib = atoi(optarg);
		else if (c == 't')
			b->msec = atoi(optarg);
		else if (c == 'c')
			b->detail = true;
		else
			exit(1);
	}
	if (optind + 1 != argc || !b->files || !b->mib) {
		fprintf(stderr, "usage: driver [-n FILES] [-m MIB] [-t MSEC] [-c] DIR\n");
		exit(1);
	}
	b->dir = argv[optind];
}

int main(int argc, char **argv)
{
	struct bench b = { .files = 5000, .mib = 256, .msec = 1500 };
	char sub[4096];

	parse(&b, argc, argv);
	snprintf(sub, sizeof(sub), "%s/bench", b.dir);
	if (mkdir(sub, 0755) && errno != EEXIST)
		die(sub);
	b.dirfd = open(sub, O_RDONLY | O_DIRECTORY);
	if (b.dirfd < 0 || posix_memalign((void **)&b.buf, DIRECT, MIB))
		die(sub);
	memset(b.buf, 'x', MIB);
	setvbuf(stdout, NULL, _IOLBF, 0);
	do_create(&b);
	do_stat(&b, "stat");
	do_stat(&b, "restat");
	do_rename(&b);
	do_list(&b);
	do_unlink(&b);
	do_data(&b);
	unlinkat(b.dirfd, "big", 0);
	close(b.dirfd);
	rmdir(sub);
	return 0;
}
