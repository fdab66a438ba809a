/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Records that say themselves what they are, each noted elsewhere once its
 * fsync was answered: whatever becomes of the server, those must be found.
 *
 *	records write DIRECTORY LOG	until a call fails
 *	records check DIRECTORY LOG	everything noted is there and whole
 *
 * Record N goes to one of some files, by one of several ways to make bytes
 * durable.  The log is a file that needs no care: the number of the last
 * record in 8 bytes, written in place.  Check prints how many were noted.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define FILES	4u		/* of fixed places */
#define SIZE	4096u

/* The bytes follow from the number; none of them is zero. */
struct record {
	uint64_t magic, number;
	uint64_t fill[SIZE / 8 - 2];
};

enum way { WRITE_FSYNC, WRITE_DSYNC, DIRECT_FSYNC, APPEND_FDATASYNC,
	   NEW_FILE, RENAMED_FILE, WAYS };

static char dir[PATH_MAX / 2];

static void make(struct record *r, uint64_t n)
{
	uint64_t v = n;
	unsigned int i;

	r->magic = 0x6472636572737766ull;
	r->number = n;
	for (i = 0; i < SIZE / 8 - 2; i++) {
		v = (v ^ v >> 30) * 0xbf58476d1ce4e5b9ull + i;
		r->fill[i] = v | 0x0101010101010101ull;
	}
}

static void path_of(char *path, const char *kind, uint64_t n)
{
	snprintf(path, PATH_MAX, "%s/%s-%" PRIu64, dir, kind, n);
}

/* Record @n stands in a file of its own, in the common log, or at a place. */
static enum way way_of(uint64_t n)
{
	return (enum way)(n % WAYS);
}

static void place_of(uint64_t n, char *path, off_t *pos)
{
	*pos = 0;
	switch (way_of(n)) {
	case NEW_FILE:
	case RENAMED_FILE:
		path_of(path, "own", n);
		break;
	case APPEND_FDATASYNC:
		path_of(path, "appended", 0);
		*pos = (off_t)(n / WAYS) * SIZE;
		break;
	default:
		path_of(path, "placed", n % FILES);
		*pos = (off_t)(n / FILES) * SIZE;
	}
}

/* ------------------------------------------------------------------ writing */

static bool is_written(int fd, const struct record *r, off_t pos, int flags)
{
	struct iovec v = { (void *)(uintptr_t)r, SIZE };

	return fd >= 0 && pwritev2(fd, &v, 1, pos, flags) == SIZE;
}

/* A name is durable when its directory is. */
static bool is_directory_synced(void)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY);
	bool good = fd >= 0 && !fsync(fd);

	if (fd >= 0)
		close(fd);
	return good;
}

static bool is_put(uint64_t n, const struct record *r)
{
	enum way way = way_of(n);
	char path[PATH_MAX], new[PATH_MAX + 4];
	off_t pos;
	bool good;
	int fd;

	place_of(n, path, &pos);
	snprintf(new, sizeof(new), way == RENAMED_FILE ? "%s.new" : "%s", path);
	fd = open(new, O_WRONLY | O_CREAT |
		  (way == DIRECT_FSYNC ? O_DIRECT : 0) |
		  (way == APPEND_FDATASYNC ? O_APPEND : 0), 0644);
	good = is_written(fd, r, pos, way == WRITE_DSYNC ? RWF_DSYNC : 0);
	if (good && way != WRITE_DSYNC)
		good = !(way == APPEND_FDATASYNC ? fdatasync(fd) : fsync(fd));
	if (fd >= 0)
		close(fd);
	if (good && way == RENAMED_FILE)
		good = !rename(new, path) && is_directory_synced();
	/* the first records of a file also make its name */
	if (good && (way == NEW_FILE || n < FILES * WAYS))
		good = is_directory_synced();
	return good;
}

static int write_all(int log)
{
	static struct record r __attribute__((aligned(SIZE)));
	uint64_t n;

	for (n = 0;; n++) {
		make(&r, n);
		if (!is_put(n, &r))
			return 0;
		if (pwrite(log, &(uint64_t){ n + 1 }, 8, 0) != 8)
			return 99;
	}
}

/* ----------------------------------------------------------------- checking */

static int complain(uint64_t n, uint64_t noted, const char *path, off_t pos,
		    const char *what)
{
	fprintf(stderr, "record %" PRIu64 " of %" PRIu64 " at byte %lld of %s: %s\n",
		n, noted, (long long)pos, path, what);
	return 1;
}

static int check_one(uint64_t n, uint64_t noted)
{
	static struct record want, got;
	char path[PATH_MAX];
	off_t pos;
	ssize_t len;
	int fd;

	place_of(n, path, &pos);
	make(&want, n);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return complain(n, noted, path, pos, strerror(errno));
	len = pread(fd, &got, SIZE, pos);
	close(fd);
	if (len < 0)
		return complain(n, noted, path, pos, strerror(errno));
	if (len != SIZE)
		return complain(n, noted, path, pos, "the file ends there");
	if (memcmp(&want, &got, SIZE))
		return complain(n, noted, path, pos, got.magic != want.magic ?
				"holds something else" :
				got.number != n ? "is another record" :
				"is damaged");
	return 0;
}

static int check_all(int log)
{
	uint64_t n, noted = 0;

	if (pread(log, &noted, 8, 0) < 0)
		return 99;
	for (n = 0; n < noted; n++)
		if (check_one(n, noted))
			return 1;
	printf("%" PRIu64 "\n", noted);
	return 0;
}

int main(int argc, char **argv)
{
	int log;

	if (argc != 4)
		return 99;
	snprintf(dir, sizeof(dir), "%s", argv[2]);
	log = open(argv[3], O_RDWR | O_CREAT, 0644);
	if (log < 0) {
		perror(argv[3]);
		return 99;
	}
	return strcmp(argv[1], "write") ? check_all(log) : write_all(log);
}
