/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Requests about the contents of files.  What waits for a commit or moves an
 * unbounded amount is handed to the deferred threads.
 */
#include "fuse/server.h"

#include <errno.h>

#define COPY_MAX	(16ull << 20)	/* of one COPY_FILE_RANGE; the caller asks again */

/* ------------------------------------------------------------ open and close */
/*
 * ENOSYS to OPEN, OPENDIR and FLUSH is remembered by the kernel and saves the
 * round trips.  A plain fuse mount is told nothing at umount, so there opens
 * are counted and the last close starts a commit.
 */

void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct server *srv = server_of(req);

	(void)ino;
	if (!srv->counts_opens) {
		fuse_reply_err(req, ENOSYS);
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

void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	(void)fi;
	fuse_reply_err(req, ENOSYS);
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
	struct owfs_inode *inode;
	char *buf = owfs_session_buffer(size);
	ssize_t ret = buf ? server_get(req, ino, &inode) : -ENOMEM;

	(void)fi;
	if (!ret) {
		ret = owfs_file_read(inode, buf, size, off);
		server_put(req, inode);
	}
	if (ret < 0)
		server_reply(req, ret);
	else
		fuse_reply_buf(req, buf, ret);
}

void op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size,
	      off_t off, struct fuse_file_info *fi)
{
	struct owfs_inode *inode;
	ssize_t ret = server_get(req, ino, &inode);

	(void)fi;
	(void)buf;	/* the data is aligned where the session put it */
	if (!ret) {
		ret = owfs_file_write(inode, owfs_session_payload(), size, off,
				      false, owfs_session_kill_suidgid());
		server_put(req, inode);
	}
	if (ret < 0)
		server_reply(req, ret);
	else
		fuse_reply_write(req, ret);
}

void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t pos, int whence,
	      struct fuse_file_info *fi)
{
	struct owfs_inode *inode;
	loff_t ret = server_get(req, ino, &inode);

	(void)fi;
	if (!ret) {
		ret = owfs_file_seek(inode, pos, whence);
		server_put(req, inode);
	}
	if (ret < 0)
		server_reply(req, ret);
	else
		fuse_reply_lseek(req, ret);
}

/* ----------------------------------------------------------------- deferred */

static void do_fsync(const struct deferred *d)
{
	struct owfs_inode *inode;
	int ret = server_get(d->req, d->ino, &inode);

	if (!ret) {
		ret = owfs_file_fsync(inode, d->mode);
		server_put(d->req, inode);
	}
	server_reply(d->req, ret);
}

void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync,
	      struct fuse_file_info *fi)
{
	const struct deferred d = {
		.req = req, .fn = do_fsync, .ino = ino, .mode = datasync,
	};

	(void)fi;
	server_defer(&d);
}

static void do_syncfs(const struct deferred *d)
{
	struct server *srv = server_of(d->req);
	int ret = server_enter(srv);

	if (!ret) {
		ret = owfs_syncfs(srv->fs);
		server_leave(srv);
	}
	server_reply(d->req, ret);
}

void op_syncfs(fuse_req_t req)
{
	const struct deferred d = { .req = req, .fn = do_syncfs };

	server_defer(&d);
}

static void do_fallocate(const struct deferred *d)
{
	struct owfs_inode *inode;
	int ret = server_get(d->req, d->ino, &inode);

	if (!ret) {
		ret = owfs_file_fallocate(inode, d->mode, d->pos, d->len);
		server_put(d->req, inode);
	}
	server_reply(d->req, ret);
}

void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t pos,
		  off_t len, struct fuse_file_info *fi)
{
	const struct deferred d = {
		.req = req, .fn = do_fallocate, .ino = ino, .mode = mode,
		.pos = pos, .len = len,
	};

	(void)fi;
	server_defer(&d);
}

static void do_copy(const struct deferred *d)
{
	const struct fuse_copy_args *c = &d->copy;
	struct owfs_inode *in, *out;
	ssize_t ret = server_get(d->req, c->ino_in, &in);

	if (!ret) {
		ret = owfs_iget(in->i_fs, c->ino_out, &out);
		if (!ret) {
			ret = owfs_file_copy(in, c->off_in, out, c->off_out,
					     min_u64(c->len, COPY_MAX));
			owfs_iput(out);
		}
		server_put(d->req, in);
	}
	if (ret < 0)
		server_reply(d->req, ret);
	else
		owfs_session_reply_count(d->req, ret);
}

void op_copy(fuse_req_t req, const struct fuse_copy_args *args)
{
	const struct deferred d = { .req = req, .fn = do_copy, .copy = *args };

	server_defer(&d);
}
