/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A libfuse session that knows more than the installed libfuse.
 *
 * Two hooks sit between the library and /dev/fuse.  On the way in, requests
 * that Debian's libfuse 3.14 does not know (STATX, TMPFILE, SYNCFS,
 * COPY_FILE_RANGE_64) are dressed up as IOCTL with a flag bit that the kernel
 * never sets, so that the library makes an ordinary fuse_req_t of them and
 * calls ->ioctl in an ordinary worker; what the library drops (the kill flags
 * of WRITE and SETATTR, the payload's alignment) is kept aside for the thread
 * that is about to run the operation.  (Where the kernel's form of a request is
 * longer than the library's, the difference is cut out.)  On the way out, the
 * answer to INIT gets the capabilities that the library does not answer itself.
 *
 * Knows nothing of filesystems: owfs-fuse and the benchmark's floor use it.
 */
#ifndef OWFS_FUSE_SESSION_H
#define OWFS_FUSE_SESSION_H

#ifndef FUSE_USE_VERSION
#define FUSE_USE_VERSION 312
#endif
#include <fuse_lowlevel.h>

#include <stdbool.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "fuse/spin.h"
#include "fuse/turn.h"

/* Capabilities for owfs_session.want, as they stand in INIT's flags. */
#define OWFS_FUSE_DONT_MASK		(1ull << 6)
#define OWFS_FUSE_PARALLEL_DIROPS	(1ull << 18)
#define OWFS_FUSE_POSIX_ACL		(1ull << 20)
#define OWFS_FUSE_KILLPRIV_V2		(1ull << 28)
#define OWFS_FUSE_SETXATTR_EXT		(1ull << 29)
#define OWFS_FUSE_NO_EXPORT		(1ull << 38)
#define OWFS_FUSE_ALLOW_IDMAP		(1ull << 40)	/* needs default_permissions */
#define OWFS_FUSE_IOMAP			(1ull << 43)

/* The answer to INIT allows so much read-ahead; sysfs has the last word. */
#define OWFS_SESSION_READAHEAD	(1u << 20)

struct fuse_copy_args {
	fuse_ino_t ino_in, ino_out;
	off_t off_in, off_out;
	uint64_t len;
};

/* Operations behind the tunnel; each may be NULL (answered ENOSYS). */
struct owfs_session_ops {
	/* answer with owfs_session_reply_statx() */
	void (*statx)(fuse_req_t req, fuse_ino_t ino);
	/* answer with fuse_reply_create() */
	void (*tmpfile)(fuse_req_t req, fuse_ino_t dir, mode_t mode,
			mode_t umask, struct fuse_file_info *fi);
	/* answer with owfs_session_reply_count() */
	void (*copy)(fuse_req_t req, const struct fuse_copy_args *args);
	void (*syncfs)(fuse_req_t req);
	/* the real ioctls, as in fuse_lowlevel_ops */
	void (*ioctl)(fuse_req_t req, fuse_ino_t ino, unsigned int cmd,
		      void *arg, struct fuse_file_info *fi, unsigned int flags,
		      const void *in_buf, size_t in_bufsz, size_t out_bufsz);
};

#define OWFS_SESSION_OPCODES	64
/* Requests of the iomap series, the last seven of the first 4096. */
#define OWFS_SESSION_EXTRA	4089u

/* Is the session's userdata; a server embeds it. */
struct owfs_session {
	const struct owfs_session_ops *ops;
	/* answers opcodes from OWFS_SESSION_EXTRA on, for a library that does
	   not know them (iomap_compat.h); NULL: nobody does */
	void (*extra)(struct owfs_session *s, fuse_req_t req, fuse_ino_t ino,
		      unsigned int opcode, const void *body, size_t len);
	const void *extra_ops;	/* ->extra's own */
	uint64_t want;		/* answered if the kernel offers them */
	uint64_t offered;	/* the kernel's INIT flags; valid from ->init on */
	unsigned int minor;	/* of the kernel's protocol; the same */
	uint64_t init_unique;	/* of the INIT not answered yet; 0 none */
	struct fuse_session *se;
	struct owfs_turn turn;
	struct owfs_spin spin;
	uint64_t requests[OWFS_SESSION_OPCODES];	/* atomic; by opcode */
};

/*
 * Make the session for the descriptor @fd of a mounted connection.  @llops
 * must have .ioctl = owfs_session_ioctl; @args as for fuse_session_new().
 * 0 or -errno (the library has said why on stderr).
 */
int owfs_session_open(struct owfs_session *s, struct fuse_args *args,
		      const struct fuse_lowlevel_ops *llops, size_t size,
		      int fd);
/*
 * What every server of ours wants of a connection: for ->init.  Opens keep no
 * state (answer OPEN and OPENDIR with ENOSYS), the server is the only writer.
 */
void owfs_session_conn(struct owfs_session *s, struct fuse_conn_info *conn);
/*
 * Serve with up to @threads threads until the connection ends, waiting awake up
 * to @spin_us microseconds for the next request.  0 or -errno.
 */
int owfs_session_loop(struct owfs_session *s, unsigned int threads,
		      unsigned int spin_us);
void owfs_session_close(struct owfs_session *s);

static inline struct owfs_session *owfs_session_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

void owfs_session_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned int cmd,
			void *arg, struct fuse_file_info *fi,
			unsigned int flags, const void *in_buf,
			size_t in_bufsz, size_t out_bufsz);

/* What direct and atomic writes the kernel may do by itself; 0: none. */
struct owfs_statx_io {
	uint32_t dio_align, atomic_unit;
};
int owfs_session_reply_statx(fuse_req_t req, const struct stat *st,
			     const struct timespec *btime,
			     const struct owfs_statx_io *io /* or NULL */,
			     double timeout);
int owfs_session_reply_count(fuse_req_t req, uint64_t count);

/*
 * Ask the kernel to let go of those of @n inodes that nobody uses there; their
 * FORGETs follow.  -ENOSYS: this kernel knows no such request (before 6.18).
 * Not to be called by a request's thread: letting go may cause requests.
 */
int owfs_session_prune(struct owfs_session *s, const uint64_t *nodeid, size_t n);

/*
 * The operation is going to wait, for a commit or for much I/O: another
 * thread shall read on.
 */
void owfs_session_will_wait(fuse_req_t req);

/* ------------------------------------- facts of the request being executed */
/* Valid in the thread that received it, until it returns to the loop. */

/* WRITE: the data, page aligned; use it instead of the library's pointer. */
const void *owfs_session_payload(void);
/* WRITE, SETATTR, CREATE: the kernel asks to clear set-id bits. */
bool owfs_session_kill_suidgid(void);
/* SETXATTR of an access list: the kernel asks to clear S_ISGID. */
bool owfs_session_kill_sgid(void);
/*
 * The next answer that this thread sends has @flags at byte @at of its body,
 * where the library leaves 0: attribute flags.
 */
void owfs_session_patch_answer(unsigned int at, uint32_t flags);
/* READDIR, READDIRPLUS: the flags that the directory was opened with. */
unsigned int owfs_session_open_flags(void);
/* A page-aligned buffer of this thread, at least @size bytes; NULL no memory. */
void *owfs_session_buffer(size_t size);

/* How often each opcode was received: ioctl on any file of the mount. */
#define OWFS_IOC_REQUESTS _IOR('O', 0x7f, uint64_t[OWFS_SESSION_OPCODES])

#endif
