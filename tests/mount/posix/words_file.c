/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Words about contents: reading, writing, seeking, copying, allocating. */
#include "posix.h"

#include <errno.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <unistd.h>

#define BAD	((void *)8)

static void note_hash(struct run *r, const void *buf, ssize_t n)
{
	if (n > 0)
		note(r, "%08x", (unsigned int)hash_bytes(99, buf, n));
}

/* read N, pread N POS; "readoff" into an address that is not aligned */
static long w_read(struct run *r)
{
	size_t n = arg_num(r, 0);
	char *buf = io_buffer(r, n);
	ssize_t ret;

	if (arg_is(r, 1, "%bad"))
		return read(fd_of(r), BAD, n);
	ret = read(fd_of(r), buf, n);
	note_hash(r, buf, ret);
	return ret;
}

static long w_pread(struct run *r)
{
	size_t n = arg_num(r, 0);
	char *buf = io_buffer(r, n);
	ssize_t ret = pread(fd_of(r), buf, n, arg_num(r, 1));

	note_hash(r, buf, ret);
	return ret;
}

static long w_preadodd(struct run *r)
{
	size_t n = arg_num(r, 0);
	char *buf = io_buffer(r, n) + 1;
	ssize_t ret = pread(fd_of(r), buf, n, arg_num(r, 1));

	note_hash(r, buf, ret);
	return ret;
}

static long w_write(struct run *r)
{
	size_t n = arg_num(r, 0);
	char *buf = io_buffer(r, n);

	return write(fd_of(r), arg_is(r, 1, "%bad") ? BAD : buf, n);
}

static long w_pwrite(struct run *r)
{
	size_t n = arg_num(r, 0);

	return pwrite(fd_of(r), io_buffer(r, n), n, arg_num(r, 1));
}

static long w_pwriteodd(struct run *r)
{
	size_t n = arg_num(r, 0);

	return pwrite(fd_of(r), io_buffer(r, n) + 1, n, arg_num(r, 1));
}

/* Vectors of N pieces of LEN bytes, an empty one between them. */
static unsigned int make_iov(struct run *r, struct iovec *iov)
{
	unsigned int n = arg_num(r, 0), i;
	size_t len = arg_num(r, 1);
	char *buf = io_buffer(r, n * len);

	for (i = 0; i < n && i < 30; i++) {
		iov[2 * i] = (struct iovec){ buf + i * len, len };
		iov[2 * i + 1] = (struct iovec){ NULL, 0 };
	}
	if (arg_is(r, 2, "%bad"))
		iov[2].iov_base = BAD;
	return n < 30 ? 2 * n : n;	/* too many: as they are */
}

static long w_readv(struct run *r)
{
	struct iovec iov[2048] = { { NULL, 0 } };
	ssize_t ret = readv(fd_of(r), iov, make_iov(r, iov));

	if (ret > 0)
		note_hash(r, iov[0].iov_base, ret);
	return ret;
}

static long w_writev(struct run *r)
{
	struct iovec iov[2048] = { { NULL, 0 } };

	return writev(fd_of(r), iov, make_iov(r, iov));
}

static const struct flag_name rwf_flags[] = {
	{ "hipri", RWF_HIPRI }, { "dsync", RWF_DSYNC }, { "sync", RWF_SYNC },
	{ "nowait", RWF_NOWAIT }, { "append", RWF_APPEND },
	{ "noappend", 0x20 }, { "atomic", 0x40 }, { "dontcache", 0x80 },
	{ NULL, 0 },
};

/* pwritev2 N LEN POS FLAGS */
static long w_pwritev2(struct run *r)
{
	struct iovec iov[2048] = { { NULL, 0 } };
	unsigned int n = make_iov(r, iov);

	return pwritev2(fd_of(r), iov, n, arg_num(r, 2),
			flags_of(r->arg[3], rwf_flags));
}

static long w_preadv2(struct run *r)
{
	struct iovec iov[2048] = { { NULL, 0 } };
	unsigned int n = make_iov(r, iov);

	return preadv2(fd_of(r), iov, n, arg_num(r, 2),
		       flags_of(r->arg[3], rwf_flags));
}

/* ----------------------------------------------------------------- seeking */

static long w_lseek(struct run *r)
{
	static const struct flag_name whences[] = {
		{ "set", SEEK_SET }, { "cur", SEEK_CUR }, { "end", SEEK_END },
		{ "data", SEEK_DATA }, { "hole", SEEK_HOLE }, { NULL, 0 },
	};

	return lseek(fd_of(r), arg_num(r, 0), flags_of(r->arg[1], whences));
}

/* extents: what SEEK_DATA and SEEK_HOLE tell of the whole file */
static long w_extents(struct run *r)
{
	off_t data = 0, hole = 0;
	long n = 0;

	while ((data = lseek(fd_of(r), hole, SEEK_DATA)) >= 0) {
		hole = lseek(fd_of(r), data, SEEK_HOLE);
		note(r, "[%lld,%lld)", (long long)data, (long long)hole);
		if (hole <= data || ++n > 20)
			return -1;
	}
	return n;
}

/* ----------------------------------------------------------------- copying */

static off_t *offset_of(struct run *r, unsigned int i, off_t *room)
{
	if (arg_is(r, i, "cur"))
		return NULL;
	*room = arg_num(r, i);
	return room;
}

/* copy POS POS LEN [FLAGS]: from file 0 to file 1, "cur" for the offset */
static long w_copy(struct run *r)
{
	off_t in, out;
	off_t *pin = offset_of(r, 0, &in), *pout = offset_of(r, 1, &out);

	return copy_file_range(r->fd[0], pin, r->fd[1], pout, arg_num(r, 2),
			       r->nargs > 3 ? arg_num(r, 3) : 0);
}

static long w_copyself(struct run *r)
{
	off_t in = arg_num(r, 0), out = arg_num(r, 1);

	return copy_file_range(r->fd[0], &in, r->fd[0], &out, arg_num(r, 2),
			       0);
}

/* sendfile POS LEN: likewise */
static long w_sendfile(struct run *r)
{
	off_t in;

	return sendfile(r->fd[1], r->fd[0], offset_of(r, 0, &in),
			arg_num(r, 1));
}

/* splice POS POS LEN: through a pipe */
static long w_splice(struct run *r)
{
	off_t in, out;
	off_t *pin = offset_of(r, 0, &in), *pout = offset_of(r, 1, &out);
	ssize_t n = -1;
	int pipes[2], err;

	if (pipe(pipes))
		return -1;
	n = splice(r->fd[0], pin, pipes[1], NULL, arg_num(r, 2), 0);
	if (n > 0)
		n = splice(pipes[0], NULL, r->fd[1], pout, n, 0);
	err = errno;
	close(pipes[0]);
	close(pipes[1]);
	errno = err;
	return n;
}

/* -------------------------------------------------------------- allocating */

/* fallocate FLAGS POS LEN */
static long w_fallocate(struct run *r)
{
	static const struct flag_name modes[] = {
		{ "plain", 0 }, { "keep", FALLOC_FL_KEEP_SIZE },
		{ "punch", FALLOC_FL_PUNCH_HOLE },
		{ "zero", FALLOC_FL_ZERO_RANGE },
		{ "collapse", FALLOC_FL_COLLAPSE_RANGE },
		{ "insert", FALLOC_FL_INSERT_RANGE },
		{ "unshare", FALLOC_FL_UNSHARE_RANGE }, { NULL, 0 },
	};

	return fallocate(fd_of(r), flags_of(r->arg[0], modes), arg_num(r, 1),
			 arg_num(r, 2));
}

static long w_pallocate(struct run *r)
{
	int err = posix_fallocate(fd_of(r), arg_num(r, 0), arg_num(r, 1));

	errno = err;
	return err ? -1 : 0;
}

static long w_fadvise(struct run *r)
{
	int err = posix_fadvise(fd_of(r), arg_num(r, 0), arg_num(r, 1),
				arg_num(r, 2));

	errno = err;
	return err ? -1 : 0;
}

static long w_readahead(struct run *r)
{
	return readahead(fd_of(r), arg_num(r, 0), arg_num(r, 1));
}

/* ----------------------------------------------------------------- syncing */

static long w_fsync(struct run *r)
{
	return fsync(fd_of(r));
}

static long w_fdatasync(struct run *r)
{
	return fdatasync(fd_of(r));
}

static long w_syncfs(struct run *r)
{
	return syncfs(fd_of(r));
}

static long w_syncrange(struct run *r)
{
	return sync_file_range(fd_of(r), arg_num(r, 0), arg_num(r, 1),
			       arg_num(r, 2));
}

/* limit BYTES: of the size of files */
static long w_limit(struct run *r)
{
	const struct rlimit lim = { arg_num(r, 0), RLIM_INFINITY };

	return setrlimit(RLIMIT_FSIZE, &lim);
}

const struct word words_file[] = {
	{ "read", 1, 2, w_read },
	{ "pread", 2, 2, w_pread },
	{ "preadodd", 2, 2, w_preadodd },
	{ "write", 1, 2, w_write },
	{ "pwrite", 2, 2, w_pwrite },
	{ "pwriteodd", 2, 2, w_pwriteodd },
	{ "readv", 2, 3, w_readv },
	{ "writev", 2, 3, w_writev },
	{ "preadv2", 4, 4, w_preadv2 },
	{ "pwritev2", 4, 4, w_pwritev2 },
	{ "lseek", 2, 2, w_lseek },
	{ "extents", 0, 0, w_extents },
	{ "copy", 3, 4, w_copy },
	{ "copyself", 3, 3, w_copyself },
	{ "sendfile", 2, 2, w_sendfile },
	{ "splice", 3, 3, w_splice },
	{ "fallocate", 3, 3, w_fallocate },
	{ "pallocate", 2, 2, w_pallocate },
	{ "fadvise", 3, 3, w_fadvise },
	{ "readahead", 2, 2, w_readahead },
	{ "fsync", 0, 0, w_fsync },
	{ "fdatasync", 0, 0, w_fdatasync },
	{ "syncfs", 0, 0, w_syncfs },
	{ "syncrange", 3, 3, w_syncrange },
	{ "limit", 1, 1, w_limit },
	{ NULL, 0, 0, NULL },
};
