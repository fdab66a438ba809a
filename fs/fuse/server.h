/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The classic transport: FUSE requests in, calls of floor 6 out.  Nothing is
 * decided here.  A node id is an inode number, an open keeps no state, and
 * since nobody else writes to the device the kernel may keep what it was told
 * for as long as it likes.
 */
#ifndef OWFS_FUSE_SERVER_H
#define OWFS_FUSE_SERVER_H

#include <pthread.h>

#include "base/util.h"
#include "file/atime.h"
#include "file/attr.h"
#include "file/file.h"
#include "file/flags.h"
#include "file/mount.h"
#include "file/kmap.h"
#include "file/namei.h"
#include "fuse/iomap_compat.h"
#include "fuse/log.h"
#include "fuse/prune.h"
#include "fuse/worker.h"
#include "io/devlock.h"

#define OWFS_LIFETIME	1e6	/* seconds an entry or attribute is valid */

struct server {
	struct owfs_session session;	/* first: what libfuse hands around */
	const struct owfs_opts *opts;
	const struct owfs_msg *msg;
	struct owfs_log log;		/* what the filesystem says, about the device */
	struct owfs_msg fs_msg;
	struct owfs_devlock *lock;
	struct owfs_blkdev *bd;
	bool readonly;			/* asked for, or all the device allows */

	/*
	 * Held for reading by every request while it uses @fs, for writing
	 * when the filesystem is taken away: the last RELEASE and FORGETs may
	 * still run when DESTROY is being answered.
	 */
	pthread_rwlock_t gate;
	struct owfs_fs *fs;		/* under gate; NULL once stopped */
	int stop_ret;			/* under gate */

	bool checks_callers;		/* of ioctls about flags: an old kernel
					   leaves that to us */
	bool writeback;			/* the kernel keeps written pages a while */
	char device[PATH_MAX];		/* what is opened: the user's, or a loop device */
	struct owfs_window window;	/* and the part of it */
	int loop_fd;			/* keeps a loop device until it is opened; -1 */
	bool iomap_wanted;		/* the kernel said before the mount that it could */
	bool iomap_atomic;		/* ... writes of one block, too */
	struct owfs_kcache kcache;
	uint32_t iomap_dev;		/* what it calls the device; set by CONFIG, before
					   which nothing else is asked */
	struct owfs_prune prune;

	pthread_mutex_t park_lock;
	struct server_parked *parked;	/* park_lock; ops_iomap.c's */
	bool counts_opens;		/* plain fuse: commit at the last close */
	int nopen;			/* atomic */
};

static inline struct server *server_of(fuse_req_t req)
{
	return container_of(owfs_session_of(req), struct server, session);
}

/*
 * A request begins: the filesystem stays until server_leave().  -EIO: it is
 * gone already, and there is nothing to leave.
 */
int server_enter(struct server *srv);
void server_leave(struct server *srv);
/* The same with the inode that the request is about. */
int server_get(struct server *srv, fuse_ino_t ino, struct owfs_inode **ip);
void server_put(struct server *srv, struct owfs_inode *inode);

/* owfs_getattr(), as it is shown to the kernel. */
void server_getattr(const struct server *srv, struct owfs_inode *inode,
		    struct stat *st, struct timespec *btime /* or NULL */);
/* The kernel will remember the inode: before the answer, a FORGET may follow it at once. */
void server_remember(struct server *srv, struct owfs_inode *inode);
/* Give an inode to the kernel; takes over the caller's reference. */
void server_fill_entry(const struct server *srv, struct owfs_inode *inode,
		       struct fuse_entry_param *e);
void server_reply_entry(fuse_req_t req, struct owfs_inode *inode);
/* What the kernel is told of an inode: FUSE_IFLAG_ bits. */
unsigned int server_iflags(struct server *srv, struct owfs_inode *inode);

/*
 * What a write by the caller takes from @inode's mode, if he may not keep it:
 * OWFS_SET_KILL_ bits.
 */
unsigned int server_kill_mask_of(fuse_req_t req, struct owfs_inode *inode);
/* ... and nothing, unless the request says that he may not. */
unsigned int server_kill_mask(fuse_req_t req, struct owfs_inode *inode);

static inline void server_reply(fuse_req_t req, int ret)
{
	fuse_reply_err(req, -ret);
}

extern const struct owfs_server_ops server_ops;
void server_init(struct server *srv);
void server_exit(struct server *srv);

/* ops_namei.c */
void op_lookup(fuse_req_t req, fuse_ino_t dir, const char *name);
void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t n);
void op_forget_multi(fuse_req_t req, size_t count,
		     struct fuse_forget_data *forgets);
void op_mknod(fuse_req_t req, fuse_ino_t dir, const char *name, mode_t mode,
	      dev_t rdev);
void op_mkdir(fuse_req_t req, fuse_ino_t dir, const char *name, mode_t mode);
void op_symlink(fuse_req_t req, const char *target, fuse_ino_t dir,
		const char *name);
void op_readlink(fuse_req_t req, fuse_ino_t ino);
void op_create(fuse_req_t req, fuse_ino_t dir, const char *name, mode_t mode,
	       struct fuse_file_info *fi);
void op_tmpfile(fuse_req_t req, fuse_ino_t dir, mode_t mode, mode_t umask,
		struct fuse_file_info *fi);
void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t dir, const char *name);
void op_unlink(fuse_req_t req, fuse_ino_t dir, const char *name);
void op_rmdir(fuse_req_t req, fuse_ino_t dir, const char *name);
void op_rename(fuse_req_t req, fuse_ino_t odir, const char *oname,
	       fuse_ino_t ndir, const char *nname, unsigned int flags);

/* ops_dir.c */
void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		struct fuse_file_info *fi);
void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi);

/* ops_inode.c */
void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_statx(fuse_req_t req, fuse_ino_t ino);
void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
		struct fuse_file_info *fi);
void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size);
void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name,
		 const char *value, size_t size, int flags);
void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name);
void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size);
void op_statfs(fuse_req_t req, fuse_ino_t ino);

/* ops_iomap.c */
extern const struct owfs_iomap_ops iomap_ops;
/* Before the device is opened: shall the mode be asked for?  An error was said. */
int server_iomap_choose(struct server *srv);
/* The device is open. */
void server_iomap_opened(struct server *srv, struct owfs_served *served);
/* The calling thread, and those that it makes, may be asked by reclaim. */
void server_iomap_mounted(struct server *srv);
/* Go on with begins that wait for a direct write of @ino (0: anything) to end. */
void server_iomap_unpark(struct server *srv, fuse_ino_t ino);
/* What statx(2) shall say of files whose data the kernel moves. */
void server_iomap_statx(struct server *srv, struct owfs_inode *inode,
			struct owfs_statx_io *io);
/* In ->init.  False: it was demanded and cannot be had. */
bool server_iomap_init(struct server *srv, struct fuse_conn_info *conn);

/* ops_file.c */
void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
	     struct fuse_file_info *fi);
void op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size,
	      off_t off, struct fuse_file_info *fi);
void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync,
	      struct fuse_file_info *fi);
void op_syncfs(fuse_req_t req);
void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t pos,
		  off_t len, struct fuse_file_info *fi);
void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t pos, int whence,
	      struct fuse_file_info *fi);
void op_copy(fuse_req_t req, const struct fuse_copy_args *args);

/* ops_ioctl.c */
void op_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned int cmd, void *arg,
	      struct fuse_file_info *fi, unsigned int flags, const void *in_buf,
	      size_t in_bufsz, size_t out_bufsz);

#endif
