/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests about attributes, extended attributes and the whole filesystem. */
#include "fuse/server.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>

#include "fuse/caller.h"
#include "fuse/owner.h"

void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct server *srv = server_of(req);
	struct owfs_inode *inode;
	struct stat st;
	int ret = server_get(srv, ino, &inode);

	(void)fi;
	if (ret) {
		server_reply(req, ret);
		return;
	}
	server_getattr(srv, inode, &st, NULL);
	server_put(srv, inode);
	fuse_reply_attr(req, &st, OWFS_LIFETIME);
}

void op_statx(fuse_req_t req, fuse_ino_t ino)
{
	struct server *srv = server_of(req);
	struct owfs_inode *inode;
	struct owfs_statx_io io = { 0 };
	struct timespec btime;
	struct stat st;
	int ret = server_get(srv, ino, &inode);

	if (ret) {
		server_reply(req, ret);
		return;
	}
	server_getattr(srv, inode, &st, &btime);
	server_iomap_statx(srv, inode, &io);
	server_put(srv, inode);
	owfs_session_reply_statx(req, &st, &btime, &io, OWFS_LIFETIME);
}

/* Is there a set-gid bit that says nothing about running the file? */
static bool has_lone_sgid(const struct stat *st)
{
	return (st->st_mode & (S_ISGID | S_IXGRP)) == S_ISGID;
}

unsigned int server_kill_mask_of(fuse_req_t req, struct owfs_inode *inode)
{
	struct stat st;

	server_getattr(server_of(req), inode, &st, NULL);
	if (S_ISDIR(st.st_mode) || !(st.st_mode & (S_ISUID | S_ISGID)))
		return 0;
	if (has_lone_sgid(&st) &&
	    !owfs_caller_in_group(fuse_req_ctx(req)->pid, st.st_gid))
		return OWFS_SET_KILL_SUIDGID | OWFS_SET_KILL_SGID;
	return OWFS_SET_KILL_SUIDGID;
}

unsigned int server_kill_mask(fuse_req_t req, struct owfs_inode *inode)
{
	return owfs_session_kill_suidgid() ? server_kill_mask_of(req, inode) : 0;
}

static unsigned int mask_of(fuse_req_t req, struct owfs_inode *inode,
			    int to_set)
{
	static const struct { int fuse; unsigned int owfs; } bits[] = {
		{ FUSE_SET_ATTR_MODE, OWFS_SET_MODE },
		{ FUSE_SET_ATTR_UID, OWFS_SET_UID },
		{ FUSE_SET_ATTR_GID, OWFS_SET_GID },
		{ FUSE_SET_ATTR_SIZE, OWFS_SET_SIZE },
		{ FUSE_SET_ATTR_ATIME, OWFS_SET_ATIME },
		{ FUSE_SET_ATTR_MTIME, OWFS_SET_MTIME },
		{ FUSE_SET_ATTR_ATIME_NOW, OWFS_SET_ATIME_NOW },
		{ FUSE_SET_ATTR_MTIME_NOW, OWFS_SET_MTIME_NOW },
		{ FUSE_SET_ATTR_CTIME, OWFS_SET_CTIME },
	};
	unsigned int mask = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bits); i++)
		if (to_set & bits[i].fuse)
			mask |= bits[i].owfs;
	/* the time of now comes with a value, too */
	if (mask & OWFS_SET_ATIME_NOW)
		mask &= ~OWFS_SET_ATIME;
	if (mask & OWFS_SET_MTIME_NOW)
		mask &= ~OWFS_SET_MTIME;
	/* KILLPRIV_V2: the kernel leaves this to us, always with chown */
	if (owfs_session_kill_suidgid() ||
	    (mask & (OWFS_SET_UID | OWFS_SET_GID)))
		mask |= server_kill_mask_of(req, inode);
	return mask;
}

/*
 * An order to set nothing: chown(2) that keeps both owner and group, which the
 * kernel lets everybody do, or the word that a write by other means, such as
 * fallocate(2), takes set-id bits away.  The two look alike; the latter says so
 * again in its own request.  So only the owner takes bits away by this.
 */
static int set_nothing(fuse_req_t req, struct owfs_inode *inode,
		       struct owfs_attr a, unsigned int mask)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	uid_t uid = owfs_caller_uid(ctx->uid, ctx->pid);
	struct stat st;

	server_getattr(server_of(req), inode, &st, NULL);
	if (!uid || uid == st.st_uid)
		mask |= server_kill_mask_of(req, inode);
	if (!(mask & OWFS_SET_CTIME))
		clock_gettime(CLOCK_REALTIME, &a.ctime);
	return owfs_setattr(inode, &a, mask | OWFS_SET_CTIME);
}

static int set_something(struct server *srv, struct owfs_inode *inode,
			 const struct owfs_attr *a, unsigned int mask)
{
	int ret = owfs_owner_set(srv->opts, a, &mask);

	/* only a kernel that keeps written pages sends a ctime */
	if (mask & OWFS_SET_CTIME)
		mask |= OWFS_SET_CACHED;
	return ret ? ret : owfs_setattr(inode, a, mask);
}

void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
		struct fuse_file_info *fi)
{
	struct server *srv = server_of(req);
	const struct owfs_attr a = {
		.mode = attr->st_mode, .uid = attr->st_uid,
		.gid = attr->st_gid, .size = attr->st_size,
		.atime = attr->st_atim, .mtime = attr->st_mtim,
		.ctime = attr->st_ctim,
	};
	unsigned int mask;
	struct owfs_inode *inode;
	struct stat st;
	int ret = server_get(srv, ino, &inode);

	(void)fi;
	if (!ret) {
		mask = mask_of(req, inode, to_set);
		/* with a cache for writes the kernel knows the time */
		if (mask & ~OWFS_SET_CTIME)
			ret = set_something(srv, inode, &a, mask);
		else
			ret = set_nothing(req, inode, a, mask);
		if (!ret)
			server_getattr(srv, inode, &st, NULL);
		server_put(srv, inode);
	}
	if (ret)
		server_reply(req, ret);
	else
		fuse_reply_attr(req, &st, OWFS_LIFETIME);
}

/* ------------------------------------------------------- extended attributes */

/* How GETXATTR and LISTXATTR are answered: the length, or the bytes. */
static void reply_value(fuse_req_t req, const char *buf, size_t size,
			ssize_t ret)
{
	if (ret < 0)
		server_reply(req, ret);
	else if (!size)
		fuse_reply_xattr(req, ret);
	else
		fuse_reply_buf(req, buf, ret);
}

void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	struct server *srv = server_of(req);
	struct owfs_inode *inode;
	char *buf = NULL;
	ssize_t ret = server_get(srv, ino, &inode);

	if (!ret) {
		if (size)
			buf = owfs_session_buffer(size);
		ret = size && !buf ? -ENOMEM :
		      owfs_getxattr(inode, name, strlen(name), buf, size);
		server_put(srv, inode);
	}
	reply_value(req, buf, size, ret);
}

/* Trusted attributes are shown to who may read them. */
static ssize_t list_for(fuse_req_t req, struct owfs_inode *inode, char *buf,
			size_t size)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	bool hidden;
	ssize_t ret = owfs_listxattr(inode, buf, size, &hidden);

	if ((ret >= 0 || ret == -ERANGE) && hidden &&
	    owfs_caller_has(ctx->uid, ctx->pid, CAP_SYS_ADMIN))
		ret = owfs_listxattr(inode, buf, size, NULL);
	return ret;
}

void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	struct server *srv = server_of(req);
	struct owfs_inode *inode;
	char *buf = NULL;
	ssize_t ret = server_get(srv, ino, &inode);

	if (!ret) {
		if (size)
			buf = owfs_session_buffer(size);
		ret = size && !buf ? -ENOMEM :
		      list_for(req, inode, buf, size);
		server_put(srv, inode);
	}
	reply_value(req, buf, size, ret);
}

void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name,
		 const char *value, size_t size, int flags)
{
	struct server *srv = server_of(req);
	struct owfs_inode *inode;
	int ret = server_get(srv, ino, &inode);

	if (!ret) {
		if (owfs_session_kill_sgid())
			flags |= OWFS_XATTR_KILL_SGID;
		ret = owfs_setxattr(inode, name, strlen(name), value, size,
				    flags);
		server_put(srv, inode);
	}
	server_reply(req, ret);
}

void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	struct server *srv = server_of(req);
	struct owfs_inode *inode;
	int ret = server_get(srv, ino, &inode);

	if (!ret) {
		ret = owfs_removexattr(inode, name, strlen(name));
		server_put(srv, inode);
	}
	server_reply(req, ret);
}

void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct server *srv = server_of(req);
	struct statvfs st;
	int ret = server_enter(srv);

	(void)ino;
	if (!ret) {
		ret = owfs_statfs(srv->fs, &st);
		server_leave(srv);
	}
	if (ret)
		server_reply(req, ret);
	else
		fuse_reply_statfs(req, &st);
}
