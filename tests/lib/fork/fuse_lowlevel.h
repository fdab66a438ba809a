/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What libfuse's development branch declares beyond the installed libfuse, as
 * far as owfs uses it: only to see that the code for that library compiles.
 * The struct of operations grows, which needs -fms-extensions.
 */
#ifndef OWFS_TESTS_FORK_FUSE_LOWLEVEL_H
#define OWFS_TESTS_FORK_FUSE_LOWLEVEL_H

#define fuse_lowlevel_ops	fuse_lowlevel_ops_installed
#include_next <fuse_lowlevel.h>
#undef fuse_lowlevel_ops

#include <stdbool.h>
#include <stdint.h>

struct fuse_file_iomap {
	uint64_t offset, length, addr;
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
	uint8_t s_uuid_len;
	uint8_t s_pad[3];
	uint32_t s_blocksize, s_max_links, s_time_gran;
	int64_t s_time_min, s_time_max, s_maxbytes;
	uint32_t cache_maxbytes;
};

struct fuse_iomap_config_params;

struct fuse_lowlevel_ops {
	struct fuse_lowlevel_ops_installed;
	void (*iomap_begin)(fuse_req_t req, fuse_ino_t nodeid,
			    uint64_t attr_ino, off_t pos, uint64_t count,
			    uint32_t opflags);
	void (*iomap_end)(fuse_req_t req, fuse_ino_t nodeid, uint64_t attr_ino,
			  off_t pos, uint64_t count, uint32_t opflags,
			  ssize_t written, const struct fuse_file_iomap *iomap);
#ifdef FORK_CONFIG_PARAMS
	void (*iomap_ioend)(fuse_req_t req, fuse_ino_t nodeid,
			    uint64_t attr_ino, off_t pos, size_t written,
			    uint32_t ioendflags, int error, uint32_t dev,
			    uint64_t new_addr);
	void (*iomap_config)(fuse_req_t req,
			     const struct fuse_iomap_config_params *p,
			     size_t psize);
#else
	void (*iomap_ioend)(fuse_req_t req, fuse_ino_t nodeid,
			    uint64_t attr_ino, off_t pos, uint64_t written,
			    uint32_t ioendflags, int error, uint32_t dev,
			    uint64_t new_addr);
	void (*iomap_config)(fuse_req_t req, uint64_t flags, uint64_t maxbytes,
			     uint32_t cache_maxbytes);
#endif
	void (*freezefs)(fuse_req_t req, fuse_ino_t ino, uint64_t unlinked);
	void (*unfreezefs)(fuse_req_t req, fuse_ino_t ino);
	void (*shutdownfs)(fuse_req_t req, fuse_ino_t ino, uint64_t flags);
};

/* the library's own takes the larger struct */
#define fuse_session_new(args, ops, size, data) \
	fuse_session_new(args, (const void *)(ops), size, data)

enum {
	FUSE_IOMAP_TYPE_HOLE, FUSE_IOMAP_TYPE_DELALLOC, FUSE_IOMAP_TYPE_MAPPED,
	FUSE_IOMAP_TYPE_UNWRITTEN, FUSE_IOMAP_TYPE_INLINE,
	FUSE_IOMAP_TYPE_NOCACHE = 253, FUSE_IOMAP_TYPE_RETRY_CACHE = 254,
	FUSE_IOMAP_TYPE_PURE_OVERWRITE = 255,
};

#define FUSE_CAP_IOMAP			(1ull << 32)
#define FUSE_IOMAP_DEV_NULL		0u
#define FUSE_IOMAP_NULL_ADDR		(~(uint64_t)0)
#define FUSE_IOMAP_INVAL_TO_EOF		(~(uint64_t)0)
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
#define FUSE_IOMAP_CONFIG_BLOCKSIZE	(1u << 2)
#define FUSE_IOMAP_CONFIG_MAXBYTES	(1u << 5)
#define FUSE_IFLAG_EXCLUSIVE		(1u << 1)
#define FUSE_IFLAG_IOMAP		(1u << 2)
#define FUSE_IFLAG_ATOMIC		(1u << 3)
#define FUSE_IFLAG_SYNC			(1u << 4)
#define FUSE_IOMAP_SUPPORT_FILEIO	(1ull << 0)
#define FUSE_IOMAP_SUPPORT_ATOMIC	(1ull << 1)

bool fuse_set_feature_flag(struct fuse_conn_info *conn, uint64_t flag);
int fuse_reply_iomap_begin(fuse_req_t, const struct fuse_file_iomap *read,
			   const struct fuse_file_iomap *write);
int fuse_reply_iomap_ioend(fuse_req_t, off_t newsize);
int fuse_reply_iomap_config(fuse_req_t, const struct fuse_iomap_config *);
int fuse_reply_entry_iflags(fuse_req_t, const struct fuse_entry_param *,
			    unsigned int iflags);
int fuse_reply_create_iflags(fuse_req_t, const struct fuse_entry_param *,
			     unsigned int iflags, const struct fuse_file_info *);
int fuse_reply_attr_iflags(fuse_req_t, const struct stat *,
			   unsigned int iflags, double timeout);
size_t fuse_add_direntry_plus_iflags(fuse_req_t, char *buf, size_t size,
				     const char *name, unsigned int iflags,
				     const struct fuse_entry_param *, off_t off);
int fuse_lowlevel_iomap_device_add(struct fuse_session *, int fd,
				   unsigned int flags);
int fuse_lowlevel_iomap_upsert_mappings(struct fuse_session *,
					fuse_ino_t nodeid, uint64_t attr_ino,
					const struct fuse_file_iomap *read,
					const struct fuse_file_iomap *write);
int fuse_lowlevel_iomap_inval_mappings(struct fuse_session *,
				       fuse_ino_t nodeid, uint64_t attr_ino,
				       const struct fuse_file_range *read,
				       const struct fuse_file_range *write);
uint64_t fuse_lowlevel_discover_iomap(int fd);
int fuse_lowlevel_disable_fsreclaim(struct fuse_session *, int val);

#endif
