/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The iomap calls of libfuse's development branch, whichever libfuse is
 * installed.
 *
 * With HAVE_FUSE_IOMAP (configure looks) they are the library's own and this
 * header only includes them.  Otherwise iomap_compat.c speaks the kernel's
 * protocol itself, through the session's tunnel (session.h), under the same
 * names, types and numbers, so that no other file knows the difference.
 *
 * Offsets and lengths are bytes, multiples of the block size; a mapping must
 * contain the first byte asked for.
 */
#ifndef OWFS_FUSE_IOMAP_COMPAT_H
#define OWFS_FUSE_IOMAP_COMPAT_H

#include "fuse/session.h"

#ifndef HAVE_FUSE_IOMAP
#define HAVE_FUSE_IOMAP 0
#endif

#if !HAVE_FUSE_IOMAP

struct fuse_file_iomap {
	uint64_t offset, length;	/* in the file */
	uint64_t addr;			/* on the device */
	uint16_t type, flags;
	uint32_t dev;
};

struct fuse_file_range {
	uint64_t offset, length;
};

struct fuse_iomap_config {
	uint64_t flags;
	char s_id[32];
	char s_uuid[16];
	uint8_t s_uuid_len, s_pad[3];
	uint32_t s_blocksize, s_max_links, s_time_gran;
	int64_t s_time_min, s_time_max, s_maxbytes;
	uint32_t cache_maxbytes;
};

#define FUSE_IOMAP_TYPE_HOLE		0
#define FUSE_IOMAP_TYPE_DELALLOC	1
#define FUSE_IOMAP_TYPE_MAPPED		2
#define FUSE_IOMAP_TYPE_UNWRITTEN	3
#define FUSE_IOMAP_TYPE_INLINE		4
#define FUSE_IOMAP_TYPE_NOCACHE		253
#define FUSE_IOMAP_TYPE_RETRY_CACHE	254
#define FUSE_IOMAP_TYPE_PURE_OVERWRITE	255

#define FUSE_IOMAP_DEV_NULL		0u
#define FUSE_IOMAP_NULL_ADDR		UINT64_MAX
#define FUSE_IOMAP_INVAL_TO_EOF		UINT64_MAX

#define FUSE_IOMAP_F_DIRTY		(1u << 1)
#define FUSE_IOMAP_F_SIZE_CHANGED	(1u << 8)

#define FUSE_IOMAP_OP_WRITE		(1u << 0)
#define FUSE_IOMAP_OP_ZERO		(1u << 1)
#define FUSE_IOMAP_OP_REPORT		(1u << 2)
#define FUSE_IOMAP_OP_FAULT		(1u << 3)
#define FUSE_IOMAP_OP_DIRECT		(1u << 4)
#define FUSE_IOMAP_OP_NOWAIT		(1u << 5)
#define FUSE_IOMAP_OP_UNSHARE		(1u << 7)
#define FUSE_IOMAP_OP_ATOMIC		(1u << 9)
#define FUSE_IOMAP_OP_SWAPFILE		(1u << 30)
#define FUSE_IOMAP_OP_WRITEBACK		(1u << 31)

#define FUSE_IOMAP_IOEND_UNWRITTEN	(1u << 1)
#define FUSE_IOMAP_IOEND_DIRECT		(1u << 3)
#define FUSE_IOMAP_IOEND_WRITEBACK	(1u << 5)
#define FUSE_IOMAP_IOEND_SWAPOFF	(1u << 6)

#define FUSE_IOMAP_CONFIG_BLOCKSIZE	(1ull << 2)
#define FUSE_IOMAP_CONFIG_MAXBYTES	(1ull << 5)

#define FUSE_IFLAG_EXCLUSIVE		(1u << 1)
#define FUSE_IFLAG_IOMAP		(1u << 2)
#define FUSE_IFLAG_ATOMIC		(1u << 3)
#define FUSE_IFLAG_SYNC			(1u << 4)

#define FUSE_IOMAP_SUPPORT_FILEIO	(1ull << 0)
#define FUSE_IOMAP_SUPPORT_ATOMIC	(1ull << 1)

int fuse_reply_iomap_begin(fuse_req_t req, const struct fuse_file_iomap *read,
			   const struct fuse_file_iomap *write);
int fuse_reply_iomap_ioend(fuse_req_t req, off_t newsize);
int fuse_reply_iomap_config(fuse_req_t req,
			    const struct fuse_iomap_config *cfg);

int fuse_reply_entry_iflags(fuse_req_t req, const struct fuse_entry_param *e,
			    unsigned int iflags);
int fuse_reply_create_iflags(fuse_req_t req, const struct fuse_entry_param *e,
			     unsigned int iflags,
			     const struct fuse_file_info *fi);
size_t fuse_add_direntry_plus_iflags(fuse_req_t req, char *buf, size_t size,
				     const char *name, unsigned int iflags,
				     const struct fuse_entry_param *e,
				     off_t off);

/* A device's number, > 0, or -errno. */
int fuse_lowlevel_iomap_device_add(struct fuse_session *se, int fd,
				   unsigned int flags);
int fuse_lowlevel_iomap_upsert_mappings(struct fuse_session *se,
					fuse_ino_t nodeid, uint64_t attr_ino,
					const struct fuse_file_iomap *read,
					const struct fuse_file_iomap *write);
int fuse_lowlevel_iomap_inval_mappings(struct fuse_session *se,
				       fuse_ino_t nodeid, uint64_t attr_ino,
				       const struct fuse_file_range *read,
				       const struct fuse_file_range *write);
/* FUSE_IOMAP_SUPPORT_ bits; @fd of /dev/fuse, -1: open one. */
uint64_t fuse_lowlevel_discover_iomap(int fd);
/* Memory that this thread and those it makes ask for waits for no file I/O. */
int fuse_lowlevel_disable_fsreclaim(struct fuse_session *se, int val);

#endif /* !HAVE_FUSE_IOMAP */

/* ------------------------------------------------------- in either build */

/* The operations, with the library's arguments. */
struct owfs_iomap_ops {
	void (*begin)(fuse_req_t req, fuse_ino_t nodeid, uint64_t attr_ino,
		      off_t pos, uint64_t count, uint32_t opflags);
	void (*end)(fuse_req_t req, fuse_ino_t nodeid, uint64_t attr_ino,
		    off_t pos, uint64_t count, uint32_t opflags,
		    ssize_t written, const struct fuse_file_iomap *iomap);
	void (*ioend)(fuse_req_t req, fuse_ino_t nodeid, uint64_t attr_ino,
		      off_t pos, uint64_t written, uint32_t flags, int error,
		      uint32_t dev, uint64_t new_addr);
	void (*config)(fuse_req_t req);
	void (*freeze)(fuse_req_t req);
	void (*unfreeze)(fuse_req_t req);
	void (*shutdown)(fuse_req_t req);
};

/*
 * Before owfs_session_open(): @ops will be called, by way of @llops if the
 * library has members for them, else by way of the session's tunnel.
 */
void owfs_iomap_install(struct fuse_lowlevel_ops *llops,
			struct owfs_session *s,
			const struct owfs_iomap_ops *ops);
/* In ->init: ask for the mode.  False: the kernel does not offer it. */
bool owfs_iomap_ask(struct owfs_session *s, struct fuse_conn_info *conn);
/* Which of the two this build is: for -V. */
extern const char owfs_iomap_build[];

/*
 * How the kernel is reached beside answers; a test that plays the kernel puts
 * its own here.  Used by the compatibility build alone.
 */
struct owfs_iomap_sys {
	int (*ioctl)(int fd, unsigned long cmd, void *arg);	/* -errno */
	int (*notify)(int fd, const void *msg, size_t len);	/* 0, -errno */
};
extern struct owfs_iomap_sys owfs_iomap_sys;

#endif
