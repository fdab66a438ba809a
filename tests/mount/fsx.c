/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random operations on one file of a mounted filesystem against an array of
 * bytes: buffered, direct and through a memory map, appends, truncations,
 * holes, preallocation, copies, syncs; and, where somebody can do that for it,
 * remounts and crashes, after which the file must be what it was after some
 * operation, none older than the last that was promised durable.
 *
 *	fsx [-l] [-w] [-c N] [-o FD,FD] -s SEED -n OPERATIONS DIRECTORY
 *
 * Each seed is some thousand operations on a file of its own; seeds follow each
 * other until there have been so many operations.  -l prints every one.  With
 * -w the kernel keeps written bytes back, so that a crash may mix states; without
 * it a buffered write may be cut at ends of pages, and a crash come between.  With
 * -o and for one of N operations on average, somebody is asked to kill the
 * server or to mount again: a word to the first descriptor, answered by a line
 * on the second.  The last line printed is name=value, for totals.
 *
 * It knows nothing of owfs; on any other filesystem it must pass as well.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "filemodel.h"

#define BLOCKS		40
#define BLOCKSIZE	4096u
#define OPS		4000u		/* of one seed */
#define KEEP		256		/* states that a crash may show */
#define ALIGN		4096u
#define SAID		24		/* operations shown when one fails */

enum way { BUFFERED, DIRECT, MAPPED };

struct run {
	const char *dir;
	bool verbose;
	bool writeback;			/* bytes come to the disk one by one */
	unsigned int every;		/* one of so many operations is a crash */
	int ask, answer;		/* who can mount and kill; -1: nobody */

	uint64_t seed, op, base;	/* where the file's bytes begin */
	struct rng rng;
	char path[PATH_MAX];
	int fd, direct, append;		/* three ways to the same file */
	unsigned char *map, *buf;
	struct filemodel m;
	bool stores;			/* this seed stores through the map, ... */
	bool stored;			/* ... has done so, and not synced it */
	char said[SAID][80];
	uint64_t total, crashes, remounts, syncs, seeds;
};

static _Noreturn void die(const struct run *r, int line, const char *what)
{
	int err = errno;

	for (uint64_t i = r->op < SAID ? 0 : r->op - SAID + 1; i <= r->op; i++)
		fprintf(stderr, "  %s\n", r->said[i % SAID]);
	fprintf(stderr, "fsx: seed=%llu op=%llu base=%llu size=%llu: line %d: %s (%s)\n",
		(unsigned long long)r->seed, (unsigned long long)r->op,
		(unsigned long long)r->base, (unsigned long long)r->m.size,
		line, what, strerror(err));
	_exit(1);
}

/* A claim; errno is shown with it. */
#define HOLDS(r, cond)	do { if (!(cond)) die(r, __LINE__, #cond); } while (0)

static uint64_t rnd(struct run *r, uint64_t n)
{
	return rng_below(&r->rng, n);
}

static void say(struct run *r, const char *what, uint64_t a, uint64_t b)
{
	char *line = r->said[r->op % SAID];

	snprintf(line, sizeof(r->said[0]), "%llu %s(%llu, %llu) size=%llu",
		 (unsigned long long)r->op, what, (unsigned long long)a,
		 (unsigned long long)b, (unsigned long long)r->m.size);
	if (r->verbose)
		puts(line);
	errno = 0;
}

static off_t at(const struct run *r, uint64_t pos)
{
	return (off_t)(r->base + pos);
}

/* ------------------------------------------------------- opening and asking */

static void open_file(struct run *r)
{
	r->fd = open(r->path, O_RDWR | O_CREAT, 0644);
	r->direct = open(r->path, O_RDWR | O_DIRECT);
	r->append = open(r->path, O_WRONLY | O_APPEND);
	HOLDS(r, r->fd >= 0 && r->append >= 0);
	if (r->direct < 0)		/* not every filesystem has it */
		r->direct = open(r->path, O_RDWR);
	r->map = mmap(NULL, r->m.max, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd,
		      at(r, 0));
	HOLDS(r, r->direct >= 0 && r->map != MAP_FAILED);
}

static void close_file(struct run *r)
{
	munmap(r->map, r->m.max);
	close(r->fd);
	close(r->direct);
	close(r->append);
}

/* Somebody else does it; we go on when it is done. */
static void request(struct run *r, const char *what)
{
	char line[16];
	ssize_t n;

	HOLDS(r, write(r->ask, what, strlen(what)) == (ssize_t)strlen(what));
	n = read(r->answer, line, sizeof(line));
	HOLDS(r, n >= 3 && !memcmp(line, "ok\n", 3));
}

/* ------------------------------------------------------------------ reading */

static void read_way(struct run *r, enum way way, uint64_t pos, uint64_t len)
{
	ssize_t n;

	if (way == MAPPED) {
		memcpy(r->buf, r->map + pos, len);
		return;
	}
	n = pread(way == DIRECT ? r->direct : r->fd, r->buf, len, at(r, pos));
	HOLDS(r, n == (ssize_t)len);
}

static void check_size(struct run *r)
{
	struct stat st;

	HOLDS(r, fstat(r->fd, &st) == 0);
	HOLDS(r, (uint64_t)st.st_size == r->base + r->m.size);
}

/* Everything there is, and the end where it must be. */
static void check_all(struct run *r)
{
	check_size(r);
	read_way(r, rnd(r, 4) ? BUFFERED : MAPPED, 0, r->m.size);
	HOLDS(r, fm_has(&r->m, 0, r->buf, r->m.size));
	HOLDS(r, pread(r->fd, r->buf, 1, at(r, r->m.size)) == 0);
}

/* O_DIRECT is for sectors, and most of it for blocks. */
static uint64_t aligned(struct run *r, uint64_t v)
{
	return v & ~(uint64_t)(rnd(r, 4) ? ALIGN - 1 : 511);
}

static void op_read(struct run *r)
{
	enum way way = (enum way)rnd(r, 3);
	uint64_t pos = fm_random_pos(&r->m, &r->rng);
	uint64_t len = fm_random_len(&r->m, &r->rng, pos);

	if (way == DIRECT)
		pos = aligned(r, pos);
	say(r, way == DIRECT ? "read_direct" : way == MAPPED ? "read_map" :
	    "read", pos, len);
	if (pos >= r->m.size)
		return;
	if (len > r->m.size - pos)
		len = r->m.size - pos;
	/* a short tail is read by whole sectors */
	if (way == DIRECT) {
		HOLDS(r, pread(r->direct, r->buf, (len + 511) & ~511ull,
			       at(r, pos)) >= (ssize_t)len);
	} else {
		read_way(r, way, pos, len);
	}
	HOLDS(r, fm_has(&r->m, pos, r->buf, len));
}

/* ------------------------------------------------------------------ writing */

static void random_bytes(struct run *r, uint64_t len)
{
	uint64_t i, v = 0;

	for (i = 0; i < len; i++) {
		if (i % 8 == 0)
			v = rng_next(&r->rng);
		r->buf[i] = (unsigned char)(v >> i % 8 * 8) | 1;
	}
}

static void op_write(struct run *r)
{
	uint64_t pos = fm_random_pos(&r->m, &r->rng);
	uint64_t len = fm_random_len(&r->m, &r->rng, pos), a = len / 3;
	struct iovec v[3] = {
		{ r->buf, a }, { r->buf + a, a }, { r->buf + 2 * a, len - 2 * a },
	};
	bool several = rnd(r, 8) == 0;

	say(r, several ? "writev" : "write", pos, len);
	random_bytes(r, len);
	if (several)
		HOLDS(r, pwritev(r->fd, v, 3, at(r, pos)) == (ssize_t)len);
	else
		HOLDS(r, pwrite(r->fd, r->buf, len, at(r, pos)) == (ssize_t)len);
	fm_write_pieces(&r->m, pos, r->buf, len);
}

static void op_write_direct(struct run *r)
{
	uint64_t pos = aligned(r, fm_random_pos(&r->m, &r->rng));
	uint64_t len = aligned(r, fm_random_len(&r->m, &r->rng, pos) + 511);

	if (len > r->m.max - pos)
		len = r->m.max - pos;
	if (!len)
		len = 512;
	say(r, "write_direct", pos, len);
	random_bytes(r, len);
	HOLDS(r, pwrite(r->direct, r->buf, len, at(r, pos)) == (ssize_t)len);
	fm_write(&r->m, pos, r->buf, len);
}

static void op_append(struct run *r)
{
	uint64_t pos = r->m.size, len;

	if (pos >= r->m.max)
		return;
	len = fm_random_len(&r->m, &r->rng, pos);
	say(r, "append", pos, len);
	random_bytes(r, len);
	HOLDS(r, write(r->append, r->buf, len) == (ssize_t)len);
	fm_write_pieces(&r->m, pos, r->buf, len);
}

/* Durable with all before, except what was stored through the map. */
static void op_write_sync(struct run *r)
{
	uint64_t pos = fm_random_pos(&r->m, &r->rng);
	uint64_t len = fm_random_len(&r->m, &r->rng, pos);
	struct iovec v = { r->buf, len };

	say(r, "write_sync", pos, len);
	random_bytes(r, len);
	HOLDS(r, pwritev2(r->fd, &v, 1, at(r, pos), rnd(r, 2) ? RWF_DSYNC :
			  RWF_SYNC) == (ssize_t)len);
	fm_write_pieces(&r->m, pos, r->buf, len);
	if (!r->stored && !r->writeback)
		fm_durable(&r->m);
}

static void op_store(struct run *r)
{
	uint64_t pos = fm_random_pos(&r->m, &r->rng), len;

	if (!r->stores || pos >= r->m.size)
		return;
	len = fm_random_len(&r->m, &r->rng, pos);
	if (len > r->m.size - pos)
		len = r->m.size - pos;
	say(r, "store", pos, len);
	random_bytes(r, len);
	memcpy(r->map + pos, r->buf, len);
	fm_write(&r->m, pos, r->buf, len);
	r->stored = true;
	if (rnd(r, 4) == 0) {
		HOLDS(r, msync(r->map, r->m.max, MS_SYNC) == 0);
		r->stored = false;
		fm_durable(&r->m);
	}
}

/* -------------------------------------------------- sizes, holes and copies */

static void op_truncate(struct run *r)
{
	uint64_t size = rnd(r, 12) ? fm_random_pos(&r->m, &r->rng) : 0;

	say(r, "truncate", size, 0);
	HOLDS(r, ftruncate(r->fd, at(r, size)) == 0);
	fm_resize(&r->m, size);
}

static void op_open_truncate(struct run *r)
{
	int fd;

	if (r->base)
		return;
	say(r, "open_truncate", 0, 0);
	fd = open(r->path, O_WRONLY | O_TRUNC);
	HOLDS(r, fd >= 0 && close(fd) == 0);
	fm_resize(&r->m, 0);
}

static void op_fallocate(struct run *r)
{
	static const struct {
		const char *name;
		int mode;
	} kinds[] = {
		{ "punch", FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE },
		{ "zero", FALLOC_FL_ZERO_RANGE },
		{ "zero_keep", FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE },
		{ "allocate", 0 },
		{ "allocate_keep", FALLOC_FL_KEEP_SIZE },
	};
	uint64_t kind = rnd(r, 5), pos = fm_random_pos(&r->m, &r->rng);
	uint64_t len = fm_random_len(&r->m, &r->rng, pos);
	bool keep = kinds[kind].mode & FALLOC_FL_KEEP_SIZE;

	say(r, kinds[kind].name, pos, len);
	HOLDS(r, fallocate(r->fd, kinds[kind].mode, at(r, pos), (off_t)len) == 0);
	if (kind < 3)
		fm_zero(&r->m, pos, len, keep);
	else
		fm_allocate(&r->m, pos, len, keep);
}

static void op_copy(struct run *r)
{
	uint64_t from = fm_random_pos(&r->m, &r->rng);
	uint64_t to = fm_random_pos(&r->m, &r->rng);
	uint64_t len = fm_random_len(&r->m, &r->rng, to);
	off_t in = at(r, from), out = at(r, to);
	ssize_t n;

	if (from < to + len && to < from + len)
		return;
	say(r, "copy", from, to);
	n = copy_file_range(r->fd, &in, r->fd, &out, len, 0);
	HOLDS(r, n >= 0);
	HOLDS(r, (uint64_t)n == fm_copy(&r->m, from, to, len));
}

static void op_sync(struct run *r)
{
	bool data = rnd(r, 2);

	say(r, data ? "fdatasync" : "fsync", 0, 0);
	HOLDS(r, (data ? fdatasync(r->fd) : fsync(r->fd)) == 0);
	r->stored = false;
	r->syncs++;
	fm_durable(&r->m);
}

static uint64_t seek(struct run *r, uint64_t pos, int whence)
{
	off_t ret = lseek(r->fd, at(r, pos), whence);

	HOLDS(r, ret >= 0 || errno == ENXIO);
	return ret < 0 ? FM_NONE : (uint64_t)ret - r->base;
}

/* Where pages wait to be written, not every kernel asks who knows of holes. */
static void op_seek(struct run *r)
{
	uint64_t pos = fm_random_pos(&r->m, &r->rng);

	if (r->stored || r->writeback)
		op_sync(r);
	say(r, "seek", pos, 0);
	HOLDS(r, fm_seek_is_right(&r->m, pos, seek(r, pos, SEEK_DATA),
				  seek(r, pos, SEEK_HOLE)));
}

/* The kernel forgets the pages that nobody waits for. */
static void op_drop(struct run *r)
{
	say(r, "drop", 0, 0);
	HOLDS(r, posix_fadvise(r->fd, 0, 0, POSIX_FADV_DONTNEED) == 0);
	check_all(r);
}

static void op_reopen(struct run *r)
{
	say(r, "reopen", 0, 0);
	close_file(r);
	open_file(r);
	check_all(r);
}

/* -------------------------------------------------------- remount and crash */

static void op_remount(struct run *r)
{
	say(r, "remount", 0, 0);
	close_file(r);
	request(r, "remount\n");
	open_file(r);
	r->stored = false;
	r->remounts++;
	fm_durable(&r->m);
	check_all(r);
}

static void recover(struct run *r)
{
	struct stat st;
	uint64_t size;
	bool right;

	HOLDS(r, fstat(r->fd, &st) == 0);
	size = (uint64_t)st.st_size - r->base;
	HOLDS(r, (uint64_t)st.st_size >= r->base && size <= r->m.max);
	HOLDS(r, pread(r->fd, r->buf, r->m.max, at(r, 0)) == (ssize_t)size);
	right = r->stored || r->writeback ?
		fm_recover_mixed(&r->m, r->buf, size, r->writeback) :
		fm_recover(&r->m, r->buf, size);
	HOLDS(r, right);
	r->stored = false;
	check_all(r);
}

/* The server dies while the file is open and pages wait to be written. */
static void op_crash(struct run *r)
{
	say(r, "crash", r->m.nold, 0);
	request(r, "kill\n");
	close_file(r);
	request(r, "mount\n");
	open_file(r);
	r->crashes++;
	recover(r);
}

/* --------------------------------------------------------------------- runs */

static void (*const ops[])(struct run *r) = {
	op_write, op_write, op_write, op_write, op_write_direct,
	op_write_direct, op_write_direct, op_append, op_store, op_store,
	op_truncate, op_truncate, op_fallocate, op_fallocate, op_fallocate,
	op_copy, op_read, op_read, op_read, op_seek,
};

static void one_op(struct run *r)
{
	if (r->ask >= 0 && rnd(r, r->every) == 0) {
		if (rnd(r, 3))
			op_crash(r);
		else
			op_remount(r);
		return;
	}
	switch (rnd(r, 120)) {
	case 0:
		op_open_truncate(r);
		break;
	case 1:
		op_reopen(r);
		break;
	case 2:
		op_drop(r);
		break;
	case 3:
		op_write_sync(r);
		break;
	case 4:
		op_sync(r);
		break;
	default:
		ops[rnd(r, sizeof(ops) / sizeof(*ops))](r);
	}
	if (fm_is_full(&r->m))
		op_sync(r);
	fm_remember(&r->m);
}

static void start(struct run *r)
{
	static const uint64_t bases[] = {
		0, 0, 0, BLOCKSIZE, 5ull << 30, (1ull << 43) - 8 * BLOCKSIZE,
	};

	r->rng = (struct rng){ r->seed };
	r->op = 0;
	r->stores = rnd(r, 2);
	r->stored = false;
	r->base = bases[rnd(r, sizeof(bases) / sizeof(*bases))];
	fm_init(&r->m, BLOCKSIZE, BLOCKS, KEEP);
	snprintf(r->path, sizeof(r->path), "%s/fsx", r->dir);
	say(r, "start", r->base, 0);
	unlink(r->path);
	open_file(r);
	HOLDS(r, ftruncate(r->fd, at(r, 0)) == 0 && fsync(r->fd) == 0);
	fm_remember(&r->m);
}

static void run_seed(struct run *r)
{
	start(r);
	for (r->op = 1; r->op <= OPS; r->op++) {
		one_op(r);
		check_size(r);
		if (r->op % 32 == 0)
			check_all(r);
	}
	r->total += OPS;
	close_file(r);
	HOLDS(r, unlink(r->path) == 0);
	fm_done(&r->m);
	r->seeds++;
	r->seed++;
}

static void arguments(struct run *r, int argc, char **argv, uint64_t *n)
{
	int c;

	while ((c = getopt(argc, argv, "c:ln:o:s:w")) != -1) {
		if (c == 'c')
			r->every = (unsigned int)strtoul(optarg, NULL, 0);
		else if (c == 'l')
			r->verbose = true;
		else if (c == 'n')
			*n = strtoull(optarg, NULL, 0);
		else if (c == 'o' &&
			 sscanf(optarg, "%d,%d", &r->ask, &r->answer) == 2)
			;
		else if (c == 's')
			r->seed = strtoull(optarg, NULL, 0);
		else if (c == 'w')
			r->writeback = true;
		else
			exit(99);
	}
	r->dir = argv[optind];
	if (!r->dir || !r->every)
		exit(99);
}

int main(int argc, char **argv)
{
	static struct run run = { .every = 1000, .ask = -1, .answer = -1 };
	struct run *r = &run;
	uint64_t n = OPS;

	setvbuf(stdout, NULL, _IOLBF, 0);
	arguments(r, argc, argv, &n);
	r->buf = aligned_alloc(ALIGN, (BLOCKS + 1) * BLOCKSIZE);
	HOLDS(r, r->buf);
	while (r->total < n)
		run_seed(r);
	printf("seeds=%llu operations=%llu syncs=%llu crashes=%llu remounts=%llu\n",
	       (unsigned long long)r->seeds, (unsigned long long)r->total,
	       (unsigned long long)r->syncs, (unsigned long long)r->crashes,
	       (unsigned long long)r->remounts);
	return 0;
}
