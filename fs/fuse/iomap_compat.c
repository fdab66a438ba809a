/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * See iomap_compat.h.  The numbers are those of the seventh version of the
 * kernel's patches, protocol 7.99.
 */
#include "fuse/iomap_compat.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int sys_ioctl(int fd, unsigned long cmd, void *arg)
{
	int ret = ioctl(fd, cmd, arg);

	return ret < 0 ? -errno : ret;
}

static int sys_notify(int fd, const void *msg, size_t len)
{
	return write(fd, msg, len) < 0 ? -errno : 0;
}

struct owfs_iomap_sys owfs_iomap_sys = { sys_ioctl, sys_notify };

#if HAVE_FUSE_IOMAP

const char owfs_iomap_build[] = "iomap by libfuse";

static const struct owfs_iomap_ops *lib_ops;

#if HAVE_FUSE_IOMAP_CONFIG_PARAMS
static void lib_config(fuse_req_t req,
		       const struct fuse_iomap_config_params *p, size_t size)
{
	(void)p;
	(void)size;
	lib_ops->config(req);
}

static void lib_ioend(fuse_req_t req, fuse_ino_t nodeid, uint64_t attr_ino,
		      off_t pos, size_t written, uint32_t flags, int error,
		      uint32_t dev, uint64_t new_addr)
{
	lib_ops->ioend(req, nodeid, attr_ino, pos, written, flags, error, dev,
		       new_addr);
}
#else
static void lib_config(fuse_req_t req, uint64_t flags, uint64_t maxbytes,
		       uint32_t cache_maxbytes)
{
	(void)flags;
	(void)maxbytes;
	(void)cache_maxbytes;
	lib_ops->config(req);
}

static void lib_ioend(fuse_req_t req, fuse_ino_t nodeid, uint64_t attr_ino,
		      off_t pos, uint64_t written, uint32_t flags, int error,
		      uint32_t dev, uint64_t new_addr)
{
	lib_ops->ioend(req, nodeid, attr_ino, pos, written, flags, error, dev,
		       new_addr);
}
#endif

static void lib_freeze(fuse_req_t req, fuse_ino_t ino, uint64_t unlinked)
{
	(void)ino;
	(void)unlinked;
	lib_ops->freeze(req);
}

static void lib_unfreeze(fuse_req_t req, fuse_ino_t ino)
{
	(void)ino;
	lib_ops->unfreeze(req);
}

static void lib_shutdown(fuse_req_t req, fuse_ino_t ino, uint64_t flags)
{
	(void)ino;
	(void)flags;
	lib_ops->shutdown(req);
}

void owfs_iomap_install(struct fuse_lowlevel_ops *llops,
			struct owfs_session *s,
			const struct owfs_iomap_ops *ops)
{
	(void)s;
	lib_ops = ops;
	llops->iomap_begin = ops->begin;
	llops->iomap_end = ops->end;
	llops->iomap_ioend = lib_ioend;
	llops->iomap_config = lib_config;
	llops->freezefs = lib_freeze;
	llops->unfreezefs = lib_unfreeze;
	llops->shutdownfs = lib_shutdown;
}

bool owfs_iomap_ask(struct owfs_session *s, struct fuse_conn_info *conn)
{
	(void)s;
	return fuse_set_feature_flag(conn, FUSE_CAP_IOMAP);
}

#else /* the kernel's protocol itself */

const char owfs_iomap_build[] = "iomap by its own means";

enum {
	OP_FREEZE = 4089, OP_UNFREEZE, OP_SHUTDOWN, OP_CONFIG, OP_IOEND,
	OP_BEGIN, OP_END,
};

enum { NOTIFY_UPSERT = 100, NOTIFY_INVAL = 101 };

#define IOC_BACKING_OPEN	0x4010e501ul
#define IOC_IOMAP_SUPPORT	0x8010e563ul
#define IOC_SET_NOFS		0x4004e564ul

#define BACKING_IOMAP		1u

/* Attribute flags stand in the kernel's word one higher than in the library's. */
#define ATTR_FLAGS(iflags)	((uint32_t)(iflags) << 1)
#define ATTR_FLAGS_AT		124u	/* in the answer to LOOKUP and its kin */

/* fuse_file_iomap is the kernel's own form */
struct begin_in {
	uint32_t opflags, zero;
	uint64_t attr_ino, pos, count;
};

struct begin_out {
	struct fuse_file_iomap read, write;
};

struct end_in {
	struct begin_in b;
	int64_t written;
	struct fuse_file_iomap map;
};

struct ioend_in {
	uint32_t flags;
	int32_t error;
	uint64_t attr_ino, pos, new_addr, written;
	uint32_t dev, zero;
};

struct backing_map {
	int32_t fd;
	uint32_t flags;
	uint64_t zero;
};

struct support {
	uint64_t flags, zero;
};

struct out_header {
	uint32_t len;
	int32_t error;
	uint64_t unique;
};

struct upsert_out {
	struct out_header head;
	uint64_t nodeid, attr_ino;
	struct fuse_file_iomap read, write;
};

struct inval_out {
	struct out_header head;
	uint64_t nodeid, attr_ino;
	struct fuse_file_range read, write;
};

_Static_assert(sizeof(struct begin_in) == 32, "kernel");
_Static_assert(sizeof(struct begin_out) == 64, "kernel");
_Static_assert(sizeof(struct end_in) == 72, "kernel");
_Static_assert(sizeof(struct ioend_in) == 48, "kernel");
_Static_assert(sizeof(struct backing_map) == 16, "kernel");
_Static_assert(sizeof(struct upsert_out) == 16 + 80, "kernel");
_Static_assert(sizeof(struct inval_out) == 16 + 48, "kernel");
_Static_assert(offsetof(struct fuse_iomap_config, s_blocksize) == 60, "kernel");
_Static_assert(offsetof(struct fuse_iomap_config, s_maxbytes) == 88, "kernel");

#define CONFIG_BYTES (offsetof(struct fuse_iomap_config, cache_maxbytes) + 4)

/* --------------------------------------------------------------- requests */

static void do_begin(const struct owfs_iomap_ops *ops, fuse_req_t req,
		     fuse_ino_t ino, const void *body)
{
	struct begin_in in;

	memcpy(&in, body, sizeof(in));
	ops->begin(req, ino, in.attr_ino, (off_t)in.pos, in.count, in.opflags);
}

static void do_end(const struct owfs_iomap_ops *ops, fuse_req_t req,
		   fuse_ino_t ino, const void *body)
{
	struct end_in in;

	memcpy(&in, body, sizeof(in));
	ops->end(req, ino, in.b.attr_ino, (off_t)in.b.pos, in.b.count,
		 in.b.opflags, (ssize_t)in.written, &in.map);
}

static void do_ioend(const struct owfs_iomap_ops *ops, fuse_req_t req,
		     fuse_ino_t ino, const void *body)
{
	struct ioend_in in;

	memcpy(&in, body, sizeof(in));
	ops->ioend(req, ino, in.attr_ino, (off_t)in.pos, in.written, in.flags,
		   in.error, in.dev, in.new_addr);
}

static size_t body_of(unsigned int opcode)
{
	switch (opcode) {
	case OP_BEGIN:
		return sizeof(struct begin_in);
	case OP_END:
		return sizeof(struct end_in);
	case OP_IOEND:
		return sizeof(struct ioend_in);
	default:
		return 0;
	}
}

static void extra(struct owfs_session *s, fuse_req_t req, fuse_ino_t ino,
		  unsigned int opcode, const void *body, size_t len)
{
	const struct owfs_iomap_ops *ops = s->extra_ops;

	if (len < body_of(opcode)) {
		fuse_reply_err(req, EINVAL);
		return;
	}
	switch (opcode) {
	case OP_BEGIN:
		do_begin(ops, req, ino, body);
		break;
	case OP_END:
		do_end(ops, req, ino, body);
		break;
	case OP_IOEND:
		do_ioend(ops, req, ino, body);
		break;
	case OP_CONFIG:
		ops->config(req);
		break;
	case OP_FREEZE:
		ops->freeze(req);
		break;
	case OP_UNFREEZE:
		ops->unfreeze(req);
		break;
	default:
		ops->shutdown(req);
	}
}

void owfs_iomap_install(struct fuse_lowlevel_ops *llops,
			struct owfs_session *s,
			const struct owfs_iomap_ops *ops)
{
	(void)llops;
	s->extra = extra;
	s->extra_ops = ops;
}

bool owfs_iomap_ask(struct owfs_session *s, struct fuse_conn_info *conn)
{
	(void)conn;
	if (!(s->offered & OWFS_FUSE_IOMAP))
		return false;
	s->want |= OWFS_FUSE_IOMAP;
	return true;
}

/* ---------------------------------------------------------------- answers */

int fuse_reply_iomap_begin(fuse_req_t req, const struct fuse_file_iomap *read,
			   const struct fuse_file_iomap *write)
{
	struct begin_out out = { .read = *read };

	if (write)
		out.write = *write;
	else
		out.write = (struct fuse_file_iomap) {
			.offset = read->offset, .length = read->length,
			.addr = FUSE_IOMAP_NULL_ADDR,
			.type = FUSE_IOMAP_TYPE_PURE_OVERWRITE,
		};
	return fuse_reply_buf(req, (const char *)&out, sizeof(out));
}

int fuse_reply_iomap_ioend(fuse_req_t req, off_t newsize)
{
	const uint64_t out = (uint64_t)newsize;

	return fuse_reply_buf(req, (const char *)&out, sizeof(out));
}

int fuse_reply_iomap_config(fuse_req_t req,
			    const struct fuse_iomap_config *cfg)
{
	return fuse_reply_buf(req, (const char *)cfg, CONFIG_BYTES);
}

int fuse_reply_entry_iflags(fuse_req_t req, const struct fuse_entry_param *e,
			    unsigned int iflags)
{
	owfs_session_patch_answer(ATTR_FLAGS_AT, ATTR_FLAGS(iflags));
	return fuse_reply_entry(req, e);
}

int fuse_reply_create_iflags(fuse_req_t req, const struct fuse_entry_param *e,
			     unsigned int iflags,
			     const struct fuse_file_info *fi)
{
	owfs_session_patch_answer(ATTR_FLAGS_AT, ATTR_FLAGS(iflags));
	return fuse_reply_create(req, e, fi);
}

size_t fuse_add_direntry_plus_iflags(fuse_req_t req, char *buf, size_t size,
				     const char *name, unsigned int iflags,
				     const struct fuse_entry_param *e,
				     off_t off)
{
	const uint32_t flags = ATTR_FLAGS(iflags);
	size_t n = fuse_add_direntry_plus(req, buf, size, name, e, off);

	if (flags && n <= size)
		memcpy(buf + ATTR_FLAGS_AT, &flags, sizeof(flags));
	return n;
}

/* -------------------------------------------------------- beside the answers */

int fuse_lowlevel_iomap_device_add(struct fuse_session *se, int fd,
				   unsigned int flags)
{
	struct backing_map map = { .fd = fd, .flags = BACKING_IOMAP | flags };

	return owfs_iomap_sys.ioctl(fuse_session_fd(se), IOC_BACKING_OPEN,
				    &map);
}

int fuse_lowlevel_iomap_upsert_mappings(struct fuse_session *se,
					fuse_ino_t nodeid, uint64_t attr_ino,
					const struct fuse_file_iomap *read,
					const struct fuse_file_iomap *write)
{
	const struct fuse_file_iomap none = {
		.addr = FUSE_IOMAP_NULL_ADDR, .type = FUSE_IOMAP_TYPE_NOCACHE,
	};
	struct upsert_out out = {
		.head = { .len = sizeof(out), .error = NOTIFY_UPSERT },
		.nodeid = nodeid, .attr_ino = attr_ino,
		.read = read ? *read : none, .write = write ? *write : none,
	};

	return owfs_iomap_sys.notify(fuse_session_fd(se), &out, sizeof(out));
}

int fuse_lowlevel_iomap_inval_mappings(struct fuse_session *se,
				       fuse_ino_t nodeid, uint64_t attr_ino,
				       const struct fuse_file_range *read,
				       const struct fuse_file_range *write)
{
	struct inval_out out = {
		.head = { .len = sizeof(out), .error = NOTIFY_INVAL },
		.nodeid = nodeid, .attr_ino = attr_ino,
	};

	if (read)
		out.read = *read;
	if (write)
		out.write = *write;
	return owfs_iomap_sys.notify(fuse_session_fd(se), &out, sizeof(out));
}

uint64_t fuse_lowlevel_discover_iomap(int fd)
{
	int own = fd < 0 ? open("/dev/fuse", O_RDWR | O_CLOEXEC) : -1;
	struct support s = { 0 };
	int ret = owfs_iomap_sys.ioctl(fd < 0 ? own : fd, IOC_IOMAP_SUPPORT,
				       &s);

	if (own >= 0)
		close(own);
	return ret < 0 ? 0 : s.flags;
}

int fuse_lowlevel_disable_fsreclaim(struct fuse_session *se, int val)
{
	uint32_t on = val != 0;

	return owfs_iomap_sys.ioctl(fuse_session_fd(se), IOC_SET_NOFS, &on);
}

#endif
