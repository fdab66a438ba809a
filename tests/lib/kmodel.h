/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's side of iomap mode, in user space: requests over a socket pair
 * into the real server, a page cache for each file, and the device I/O that
 * the kernel would do.  Every answer is checked as the kernel checks it; what
 * it would reject, or would believe to somebody's loss, is a violation.
 *
 * Everything is one thread: a request is sent, served and answered before the
 * call returns, so a seed decides all.  (A begin that waits for a direct write
 * is answered when that has landed.)  What is asynchronous in the kernel is
 * under the caller's control: pages are written back when told, and their
 * ioends, which may be merged or apart, come when told; so do those of direct
 * writes.
 *
 * Beside the page cache each file has the bytes that its users expect (want),
 * which every read must show and every fsync must find in the server.  Blocks
 * that nobody can be sure of, because the device has failed or two have written
 * them at once, are left out.
 */
#ifndef OWFS_TESTS_KMODEL_H
#define OWFS_TESTS_KMODEL_H

#include "fuse/server.h"

#include "rig.h"

/* Opflags of begin, as on the wire. */
#define KM_READ		0x0u
#define KM_WRITE	0x1u
#define KM_ZERO		0x2u
#define KM_REPORT	0x4u
#define KM_FAULT	0x9u
#define KM_DIO_READ	0x10u
#define KM_DIO_WRITE	0x11u
#define KM_SWAP		0x40000004u
#define KM_WRITEBACK	0x80000000u

struct kpage {
	bool present, dirty, writeback;
	bool unsure;			/* nobody knows what it should hold */
	int flying;			/* direct writes under way to it */
	unsigned char *data;		/* a block; NULL until present */
};

/* Data that has reached the device, and whose ioend has not been sent. */
struct kioend {
	struct kioend *next;
	uint64_t pos, written, addr;
	uint32_t flags;
	int error;
};

struct kfile {
	struct kfile *next;
	fuse_ino_t nodeid;
	char name[32];
	uint64_t size;			/* i_size */
	uint64_t disk_size;		/* what the server last said */
	struct kpage *page;		/* by block */
	uint64_t npages;
	struct kioend *ioends;
	struct kflight *flights;	/* kmodel_direct.c: direct writes under way */
	bool times_dirty;
	struct timespec time;		/* of the last change */
	int wb_err;			/* the next fsync reports it */
	bool untold;			/* only the server knows what is lost */
	bool size_unsure;		/* the server's may be another */
	struct kentry *rd, *wr;		/* kmodel_cache.c: mappings it keeps */
	bool has_cache, wr_used;
	uint64_t seq;			/* counts changes of them */
	bool by_cache;			/* the last begin was answered by the cache ... */
	uint64_t by_seq;		/* ... as it was then */
	unsigned char *want;		/* what users expect, size bytes */
	uint64_t want_room;
};

struct kmodel {
	struct server srv;
	struct owfs_opts opts;
	struct emubd *e;
	uint32_t bs;
	int sock[2];			/* ours, the server's */
	uint64_t unique;
	struct fuse_buf buf;
	struct kfile *files;
	uint32_t dev;			/* registered; 0 none yet */
	uint64_t maxbytes;		/* of a file, as configured */
	bool no_end, no_ioend, no_flush, in_ioend;
	bool no_faults;			/* a file is being cut: faults wait */
	uint64_t waiting;		/* the begin that has no answer yet */
	unsigned char early[96];	/* its answer, come before another's */
	ssize_t early_len;
	uint64_t calls[64];		/* by opcode, iomap's as the session counts */
	unsigned int violations;
	char why[400];			/* the first of them */
	char *trace;			/* the upcalls as text, or NULL */
	size_t trace_size;
	/* after each request that may have changed the filesystem */
	void (*changed)(void *ctx);
	void *ctx;
	struct rng *rng;		/* what is left to chance; NULL: nothing is */
};

/* A server over @fs, whose device is @e; INIT and CONFIG are done. */
int kmodel_start(struct kmodel *k, struct owfs_fs *fs, struct emubd *e,
		 struct rng *rng);
/* The same under a kernel that does not know the mode: kmodel_plain_ only. */
int kmodel_start_plain(struct kmodel *k, struct owfs_fs *fs, struct emubd *e);
/* DESTROY, which makes everything durable; 0 or -errno. */
int kmodel_unmount(struct kmodel *k);
/* The power fails. */
void kmodel_crash(struct kmodel *k);
/*
 * The end of a test: everything is taken down, @e too, before anything is
 * judged, so that one that failed leaves nothing for the next to wait for.
 * 0, or -1 and the violation was printed.
 */
int kmodel_finish(struct kmodel *k, struct emubd *e);

void kmodel_violation(struct kmodel *k, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* Begin or end a trace of the upcalls, a line each. */
void kmodel_trace(struct kmodel *k, bool on);

/*
 * One request and its answer: 0 or the errno it was answered with, negative.
 * *@len is how long the answer was, which has at most @room bytes.
 * -EINPROGRESS: a begin that is to be asked for again with kmodel_answer().
 */
int kmodel_call(struct kmodel *k, uint32_t opcode, fuse_ino_t nodeid,
		const void *in, size_t in_len, void *out, size_t room,
		size_t *len);

int kmodel_answer(struct kmodel *k, void *out, size_t room, size_t *len);

/* ------------------------------------------------------------------ names */

struct kfile *kmodel_create(struct kmodel *k, const char *name);
/* Look @name up anew: as after the inode was evicted; contents are @want. */
struct kfile *kmodel_lookup(struct kmodel *k, const char *name);
int kmodel_unlink(struct kmodel *k, struct kfile *f);

/* ---------------------------------------------------------------- contents */

/* 0 or -errno; what could not be written is expected by nobody. */
int kmodel_write(struct kmodel *k, struct kfile *f, uint64_t pos, uint64_t len,
		 const void *data);
int kmodel_mmap_store(struct kmodel *k, struct kfile *f, uint64_t pos,
		      uint64_t len, const void *data);
int kmodel_direct_write(struct kmodel *k, struct kfile *f, uint64_t pos,
			uint64_t len, const void *data);
/* The same, if it lies inside the file, without waiting for its end. */
int kmodel_direct_async(struct kmodel *k, struct kfile *f, uint64_t pos,
			uint64_t len, const void *data);
/* Direct writes under way end: all, or (@some) as chance says. */
void kmodel_land(struct kmodel *k, struct kfile *f, bool some);
/* What read(2) gives: the bytes, at most to the end of file; how many. */
int kmodel_get(struct kmodel *k, struct kfile *f, uint64_t pos, uint64_t len,
	       void *buf);
/* Users expect these bytes of @f: all it has. */
void kmodel_expect(struct kfile *f, const void *data, uint64_t len);
/* Compare with @want. */
int kmodel_read(struct kmodel *k, struct kfile *f, uint64_t pos, uint64_t len);
int kmodel_direct_read(struct kmodel *k, struct kfile *f, uint64_t pos,
		       uint64_t len);
int kmodel_truncate(struct kmodel *k, struct kfile *f, uint64_t size);
int kmodel_fallocate(struct kmodel *k, struct kfile *f, int mode, uint64_t pos,
		     uint64_t len);
int kmodel_copy(struct kmodel *k, struct kfile *in, uint64_t in_pos,
		struct kfile *out, uint64_t out_pos, uint64_t len);
/* FIEMAP: how many extents. */
int kmodel_fiemap(struct kmodel *k, struct kfile *f, unsigned int *n);

/* Write dirty pages of [pos, pos + len) to the device; no ioend yet. */
int kmodel_writeback(struct kmodel *k, struct kfile *f, uint64_t pos,
		     uint64_t len);
/* Send the ioends there are, or (@some) those that chance says. */
void kmodel_complete(struct kmodel *k, struct kfile *f, bool some);
/* Forget clean pages, or (@some) a few. */
void kmodel_reclaim(struct kmodel *k, struct kfile *f, bool some);
/* 0 or the error; then what the server has is compared with @want. */
int kmodel_fsync(struct kmodel *k, struct kfile *f);
int kmodel_syncfs(struct kmodel *k);
/* The last close: as fsync, but that nothing need be durable. */
int kmodel_close(struct kmodel *k, struct kfile *f);
int kmodel_stat(struct kmodel *k, struct kfile *f);
int kmodel_swapon(struct kmodel *k, struct kfile *f);
void kmodel_swapoff(struct kmodel *k, struct kfile *f);

/* Without the page cache; 0 or -errno, of a read how many bytes. */
int kmodel_plain_write(struct kmodel *k, struct kfile *f, uint64_t pos,
		       uint64_t len, const void *data);
int kmodel_plain_read(struct kmodel *k, struct kfile *f, uint64_t pos,
		      uint64_t len, void *buf);
int kmodel_plain_truncate(struct kmodel *k, struct kfile *f, uint64_t size);
int kmodel_plain_fallocate(struct kmodel *k, struct kfile *f, int mode,
			   uint64_t pos, uint64_t len);
int kmodel_plain_copy(struct kmodel *k, struct kfile *in, uint64_t in_pos,
		      struct kfile *out, uint64_t out_pos, uint64_t len);
int kmodel_plain_fsync(struct kmodel *k, struct kfile *f);

/* kmodel_cache.c */
struct kentry;
bool kmodel_cache_find(struct kmodel *k, struct kfile *f, uint32_t opflags,
		       uint64_t pos, uint64_t count,
		       struct fuse_file_iomap *rd, struct fuse_file_iomap *wr);
void kmodel_cache_drop(struct kmodel *k, struct kfile *f, uint64_t pos,
		       uint64_t end);
void kmodel_cache_free(struct kfile *f);
int kmodel_upsert(struct kmodel *k, uint64_t nodeid, uint64_t ino,
		  const struct fuse_file_iomap *rd,
		  const struct fuse_file_iomap *wr);
int kmodel_inval(struct kmodel *k, uint64_t nodeid,
		 const struct fuse_file_range *rd,
		 const struct fuse_file_range *wr);

/* kmodel_map.c: ask and check as the kernel does. */
/* Nonzero: the mapping would be rejected, which has been said. */
int kmodel_check(struct kmodel *k, uint32_t opflags, uint64_t pos,
		 const char *what, const struct fuse_file_iomap *m);
int kmodel_begin(struct kmodel *k, struct kfile *f, uint32_t opflags,
		 uint64_t pos, uint64_t count, struct fuse_file_iomap *rd,
		 struct fuse_file_iomap *wr);
int kmodel_end(struct kmodel *k, struct kfile *f, uint32_t opflags,
	       uint64_t pos, uint64_t count, int64_t written,
	       const struct fuse_file_iomap *map, bool size_changed);
int kmodel_ioend(struct kmodel *k, struct kfile *f, uint32_t flags, int error,
		 uint64_t pos, uint64_t written, uint32_t dev, uint64_t addr);

#endif
