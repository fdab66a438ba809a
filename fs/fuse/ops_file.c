/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Requests about the contents of files.  What waits for a commit or moves much
 * says so first, so that another thread goes on reading requests.
 */
#include "fuse/server.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>

#include "file/kmap.h"
#include "fuse/caller.h"

#define COPY_MAX	(16ull << 20)	/* of one COPY_FILE_RANGE; the caller asks again */

/* ------------------------------------------------------------ open and close */
/*
 * ENOSYS to OPEN, OPENDIR and, if the server moves the data, to FLUSH is
 * remembered by the kernel and saves the round trips.  A plain fuse mount is
 * told nothing at umount, so there opens are counted and the last close starts
 * a commit.
 */

void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct server *srv = server_of(req);
	struct owfs_inode *inode;
	int ret;

	if (!srv->counts_opens) {
		fuse_reply_err(req, ENOSYS);
		return;
	}
	ret = server_get(srv, ino, &inode);
	if (!ret) {
		ret = owfs_flags_may_open(inode, fi->flags);
		server_put(srv, inode);
	}
	if (ret) {
		server_reply(req, ret);
		return;
	}
	fi->keep_cache = 1;
	fi->noflush = 1;
	__atomic_fetch_add(&srv->nopen, 1, __ATOMIC_RELAXED);
	if (fuse_reply_open(req, fi))
		__atomic_fetch_sub(&srv->nopen, 1, __ATOMIC_RELAXED);
}

void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	(void)fi;
	fuse_reply_err(req, ENOSYS);
}

/* The kernel does not listen when an ioend fails, but does here. */
void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct server *srv = server_of(req);
	struct owfs_inode *inode;
	int ret = server_get(srv, ino, &inode);

	(void)fi;
	if (!ret) {
		ret = srv->fs->fs_kernel_io ? owfs_file_lost(inode) : -ENOSYS;
		server_put(srv, inode);
	}
	server_reply(req, ret);
}

void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct server *srv = server_of(req);

	(void)ino;
	(void)fi;
	if (__atomic_sub_fetch(&srv->nopen, 1, __ATOMIC_RELAXED) == 0 &&
	    srv->counts_opens && !server_enter(srv)) {
		owfs_commit_kick(srv->fs);
		server_leave(srv);
	}
	fuse_reply_err(req, 0);
}

/* ------------------------------------------------------------ read and write */

void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
	     struct fuse_file_info *fi)
{
	struct server *srv = server_of(req);
	struct owfs_inode *inode;
	char *buf = owfs_session_buffer(size);
	ssize_t ret = buf ? server_get(srv, ino, &inode) : -ENOMEM;

	if (!ret) {
		ret = owfs_file_read_as(inode, buf, size, off,
					fi->flags & O_NOATIME ?
					OWFS_READ_NOATIME : 0);
		server_put(srv, inode);
	}
	if (ret < 0)
		server_reply(req, ret);
	else
		fuse_reply_buf(req, buf, ret);
}

/*
 * A write has cleared set-id bits, say.  The kernel left that to us and goes on
 * with the mode it knows, for exec(2) too, unless told that it is stale.
 */
static void attr_changed(struct server *srv, fuse_ino_t ino)
{
	fuse_lowlevel_notify_inval_inode(srv->session.se, ino, -1, 0);
}

/* For requests that bring no word of it: as the kernel would for this caller. */
static int kill_privs(fuse_req_t req, struct owfs_inode *inode)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	static const struct owfs_attr none;
	unsigned int kill = server_kill_mask_of(req, inode);
	int ret;

	if (kill && owfs_caller_has(ctx->uid, ctx->pid, CAP_FSETID))
		kill = 0;
	ret = owfs_setattr(inode, &none, kill | OWFS_SET_KILL_CAP);
	if (!ret && kill)
		attr_changed(server_of(req), inode->i_ino);
	return ret;
}

/*
 * A direct write is all or nothing, others are as much as there is room for.
 * A kernel that keeps pages sets the times, too, and by SETATTR.
 */
static unsigned int how_to_write(const struct server *srv,
				 const struct fuse_file_info *fi)
{
	bool direct = !fi->writepage && (fi->flags & O_DIRECT);
	/*
	 * Pages were changed some time ago: what that took away is gone, and
	 * what was set since stays.
	 */
	unsigned int how = fi->writepage ? OWFS_WRITE_CACHED :
					   OWFS_SET_KILL_CAP;

	return how | (direct ? 0 : OWFS_WRITE_SOME) |
	       (srv->writeback ? OWFS_WRITE_TIMED : 0);
}

void op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size,
	      off_t off, struct fuse_file_info *fi)
{
	struct server *srv = server_of(req);
	struct owfs_inode *inode;
	ssize_t ret = server_get(srv, ino, &inode);
	unsigned int kill;

	(void)buf;	/* the data is aligned where the session put it */
	if (!ret) {
		kill = server_kill_mask(req, inode);
		ret = owfs_file_write_as(inode, owfs_session_payload(), size,
					 off, how_to_write(srv, fi) | kill);
		server_put(srv, inode);
		if (kill && ret >= 0)
			attr_changed(srv, ino);
	}
	if (ret < 0)
		server_reply(req, ret);
	else
		fuse_reply_write(req, ret);
}

void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t pos, int whence,
	      struct fuse_file_info *fi)
{
	struct server *srv = server_of(req);
	struct owfs_inode *inode;
	/*
	 * What the kernel keeps back would be holes here, and a copy would lose
	 * it.  ENOSYS makes it say that all of a file is data.
	 */
	loff_t ret = srv->writeback ? -ENOSYS : server_get(srv, ino, &inode);

	(void)fi;
	if (!ret) {
		ret = owfs_file_seek(inode, pos, whence);
		server_put(srv, inode);
	}
	if (ret < 0)
		server_reply(req, ret);
	else
		fuse_reply_lseek(req, ret);
}

/* ---------------------------------------------------------- what takes long */

void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync,
	      struct fuse_file_info *fi)
{
	struct server *srv = server_of(req);
	struct owfs_inode *inode;
	int ret = server_get(srv, ino, &inode);

	(void)fi;
	owfs_session_will_wait(req);
	if (!ret) {
		ret = owfs_file_fsync(inode, datasync);
		server_put(srv, inode);
	}
	server_reply(req, ret);
}

void op_syncfs(fuse_req_t req)
{
	struct server *srv = server_of(req);
	int ret = server_enter(srv);

	owfs_session_will_wait(req);
	if (!ret) {
		ret = owfs_syncfs(srv->fs);
		server_leave(srv);
	}
	server_reply(req, ret);
}

void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t pos,
		  off_t len, struct fuse_file_info *fi)
{
	struct server *srv = server_of(req);
	struct owfs_inode *inode;
	int ret = server_get(srv, ino, &inode);

	(void)fi;
	owfs_session_will_wait(req);
	if (!ret) {
		ret = kill_privs(req, inode);
		if (!ret)
			ret = owfs_file_fallocate(inode, mode, pos, len);
		if (ret && pos >= 0 && len > 0)
			owfs_kmap_forget(inode, (uint64_t)pos,
					 (uint64_t)pos + (uint64_t)len);
		server_put(srv, inode);
	}
	server_reply(req, ret);
}

/* The kernel does not expect that a copy reads. */
static void tell_atime(struct server *srv, struct owfs_inode *inode,
		       const struct stat *before)
{
	struct stat st;

	owfs_getattr(inode, &st, NULL);
	if (st.st_atim.tv_sec != before->st_atim.tv_sec ||
	    st.st_atim.tv_nsec != before->st_atim.tv_nsec)
		attr_changed(srv, inode->i_ino);
}

void op_copy(fuse_req_t req, const struct fuse_copy_args *args)
{
	struct server *srv = server_of(req);
	struct owfs_inode *in, *out;
	ssize_t ret = server_get(srv, args->ino_in, &in);
	struct stat before;

	owfs_session_will_wait(req);
	if (!ret)
		owfs_getattr(in, &before, NULL);
	if (!ret) {
		ret = owfs_iget(in->i_fs, args->ino_out, &out);
		if (!ret) {
			ret = kill_privs(req, out);
			if (!ret)
				ret = owfs_file_copy(in, args->off_in, out,
						     args->off_out,
						     min_u64(args->len,
							     COPY_MAX));
			owfs_iput(out);
		}
		tell_atime(srv, in, &before);
		server_put(srv, in);
		server_iomap_unpark(srv, args->ino_out);
	}
	if (ret < 0)
		server_reply(req, ret);
	else
		owfs_session_reply_count(req, ret);
}
