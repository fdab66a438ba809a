/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Behind the tunnel: requests that came dressed up as IOCTL are taken apart and
 * handed to their operations, and what the library cannot say is said.
 */
#include <errno.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>

#include "fuse/session.h"
#include "fuse/session_wire.h"

static void do_tmpfile(const struct owfs_session *s, fuse_req_t req,
		       fuse_ino_t ino, const void *body, size_t len)
{
	struct create_in in;
	struct fuse_file_info fi = { 0 };

	if (len < sizeof(in)) {
		fuse_reply_err(req, EINVAL);
		return;
	}
	memcpy(&in, body, sizeof(in));
	fi.flags = in.flags;
	s->ops->tmpfile(req, ino, in.mode, in.umask, &fi);
}

static void do_copy(const struct owfs_session *s, fuse_req_t req,
		    fuse_ino_t ino, const void *body, size_t len)
{
	struct fuse_copy_args args;
	struct copy_in in;

	if (len < sizeof(in)) {
		fuse_reply_err(req, EINVAL);
		return;
	}
	memcpy(&in, body, sizeof(in));
	if (in.flags || in.off_in > INT64_MAX || in.off_out > INT64_MAX) {
		fuse_reply_err(req, EINVAL);
		return;
	}
	args = (struct fuse_copy_args) {
		.ino_in = ino, .ino_out = in.nodeid_out,
		.off_in = in.off_in, .off_out = in.off_out, .len = in.len,
	};
	s->ops->copy(req, &args);
}

static void dispatch(struct owfs_session *s, fuse_req_t req,
		     fuse_ino_t ino, unsigned int opcode, const void *body,
		     size_t len)
{
	const struct owfs_session_ops *ops = s->ops;

	if (opcode == OP_STATX && ops->statx)
		ops->statx(req, ino);
	else if (opcode == OP_TMPFILE && ops->tmpfile)
		do_tmpfile(s, req, ino, body, len);
	else if (opcode == OP_COPY_FILE_RANGE_64 && ops->copy)
		do_copy(s, req, ino, body, len);
	else if (opcode == OP_SYNCFS && ops->syncfs)
		ops->syncfs(req);
	else if (owfs_wire_is_extra(opcode) && s->extra)
		s->extra(s, req, ino, opcode, body, len);
	else
		fuse_reply_err(req, ENOSYS);
}

static void reply_requests(struct owfs_session *s, fuse_req_t req,
			   size_t out_bufsz)
{
	uint64_t n[OWFS_SESSION_OPCODES];
	int i;

	if (out_bufsz < sizeof(n)) {
		fuse_reply_err(req, EINVAL);
		return;
	}
	for (i = 0; i < OWFS_SESSION_OPCODES; i++)
		n[i] = __atomic_load_n(&s->requests[i], __ATOMIC_RELAXED);
	fuse_reply_ioctl(req, 0, n, sizeof(n));
}

void owfs_session_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned int cmd,
			void *arg, struct fuse_file_info *fi,
			unsigned int flags, const void *in_buf,
			size_t in_bufsz, size_t out_bufsz)
{
	struct owfs_session *s = owfs_session_of(req);

	if (flags & TUNNEL_FLAG)
		dispatch(s, req, ino, cmd, in_buf, in_bufsz);
	else if (cmd == (unsigned int)OWFS_IOC_REQUESTS)
		reply_requests(s, req, out_bufsz);
	else if (s->ops->ioctl)
		s->ops->ioctl(req, ino, cmd, arg, fi, flags, in_buf, in_bufsz,
			      out_bufsz);
	else
		fuse_reply_err(req, ENOTTY);
}

/* ------------------------------------------------------------------ answers */

static void set_time(struct sx_time *t, const struct timespec *ts)
{
	t->sec = ts->tv_sec;
	t->nsec = ts->tv_nsec;
}

#define STATX_BASIC	0x7ffu
#define STATX_HAS_BTIME	0x800u
#define STATX_HAS_DIO	0x2000u
#define STATX_HAS_ATOMIC 0x10000u

int owfs_session_reply_statx(fuse_req_t req, const struct stat *st,
			     const struct timespec *btime,
			     const struct owfs_statx_io *io, double timeout)
{
	struct statx_out out = {
		.attr_valid = timeout,
		.mask = STATX_BASIC | STATX_HAS_BTIME,
		.blksize = st->st_blksize,
		.nlink = st->st_nlink, .uid = st->st_uid, .gid = st->st_gid,
		.mode = st->st_mode, .ino = st->st_ino, .size = st->st_size,
		.blocks = st->st_blocks,
		.rdev_major = major(st->st_rdev),
		.rdev_minor = minor(st->st_rdev),
	};

	if (io && io->dio_align) {
		out.mask |= STATX_HAS_DIO;
		out.dio_mem_align = out.dio_offset_align = io->dio_align;
	}
	if (io && io->atomic_unit) {
		out.mask |= STATX_HAS_ATOMIC;
		out.atomic_min = out.atomic_max = io->atomic_unit;
		out.atomic_segments = 1;
	}
	set_time(&out.atime, &st->st_atim);
	set_time(&out.mtime, &st->st_mtim);
	set_time(&out.ctime, &st->st_ctim);
	set_time(&out.btime, btime);
	return fuse_reply_buf(req, (const char *)&out, sizeof(out));
}

int owfs_session_reply_count(fuse_req_t req, uint64_t count)
{
	return fuse_reply_buf(req, (const char *)&count, sizeof(count));
}

/* ------------------------------------------------------------- notification */

struct prune_out {
	uint32_t count, padding;
	uint64_t spare;
};

#define NOTIFY_PRUNE		9
#define PRUNE_SINCE_MINOR	45

int owfs_session_prune(struct owfs_session *s, const uint64_t *nodeid, size_t n)
{
	struct prune_out body = { .count = (uint32_t)n };
	struct out_header head = {
		.len = (uint32_t)(sizeof(head) + sizeof(body) +
				  n * sizeof(*nodeid)),
		.error = NOTIFY_PRUNE,
	};
	struct iovec iov[3] = {
		{ &head, sizeof(head) },
		{ &body, sizeof(body) },
		{ (void *)(uintptr_t)nodeid, n * sizeof(*nodeid) },
	};

	if (s->minor < PRUNE_SINCE_MINOR)
		return -ENOSYS;
	return writev(fuse_session_fd(s->se), iov, 3) < 0 ? -errno : 0;
}
