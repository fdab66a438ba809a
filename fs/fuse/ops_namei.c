/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests about names. */
#include "fuse/server.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "fuse/owner.h"

/*
 * A file handle is being opened: "." is the inode itself.  The kernel asks for
 * what it does not have, so nobody has it open, and without a name it is gone.
 */
static int lookup_any(struct owfs_inode *dir, const char *name,
		      struct owfs_inode **ip)
{
	struct stat st;

	if (!strcmp(name, ".")) {
		owfs_getattr(dir, &st, NULL);
		if (!st.st_nlink)
			return -ESTALE;
		owfs_igrab(dir);
		*ip = dir;
		return 0;
	}
	if (!strcmp(name, ".."))
		return owfs_lookup_parent(dir, ip);
	return owfs_lookup(dir, name, strlen(name), ip);
}

void op_lookup(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	struct server *srv = server_of(req);
	const struct fuse_entry_param none = { .entry_timeout = OWFS_LIFETIME };
	struct owfs_inode *dir, *inode;
	int ret = server_get(srv, ino, &dir);

	if (ret) {
		server_reply(req, ret);
		return;
	}
	ret = lookup_any(dir, name, &inode);
	if (!ret)
		server_reply_entry(req, inode);
	else if (ret == -ENOENT)
		fuse_reply_entry(req, &none);	/* worth remembering, too */
	else
		server_reply(req, ret);
	server_put(srv, dir);
}

void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t n)
{
	struct server *srv = server_of(req);

	if (!server_enter(srv)) {
		owfs_inode_forget(srv->fs, ino, n);
		server_leave(srv);
	}
	fuse_reply_none(req);
}

void op_forget_multi(fuse_req_t req, size_t count,
		     struct fuse_forget_data *forgets)
{
	struct server *srv = server_of(req);
	size_t i;

	if (!server_enter(srv)) {
		for (i = 0; i < count; i++)
			owfs_inode_forget(srv->fs, forgets[i].ino,
					  forgets[i].nlookup);
		server_leave(srv);
	}
	fuse_reply_none(req);
}

/* ------------------------------------------------------------------- making */

static struct owfs_newnode newnode(fuse_req_t req, mode_t mode)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);

	return (struct owfs_newnode) {
		.mode = mode, .umask = ctx->umask,
		.uid = ctx->uid, .gid = ctx->gid,
	};
}

static void make(fuse_req_t req, fuse_ino_t ino, const char *name,
		 struct owfs_newnode *nn)
{
	struct server *srv = server_of(req);
	struct owfs_inode *dir, *inode;
	int ret = server_get(srv, ino, &dir);

	if (ret) {
		server_reply(req, ret);
		return;
	}
	owfs_owner_of_new(srv->opts, dir, nn);
	ret = owfs_create(dir, name, strlen(name), nn, &inode);
	if (ret)
		server_reply(req, ret);
	else
		server_reply_entry(req, inode);
	server_put(srv, dir);
}

void op_mknod(fuse_req_t req, fuse_ino_t ino, const char *name, mode_t mode,
	      dev_t rdev)
{
	struct owfs_newnode nn = newnode(req, mode);

	nn.rdev = rdev;
	make(req, ino, name, &nn);
}

void op_mkdir(fuse_req_t req, fuse_ino_t ino, const char *name, mode_t mode)
{
	struct owfs_newnode nn = newnode(req, S_IFDIR | (mode & 07777));

	make(req, ino, name, &nn);
}

void op_symlink(fuse_req_t req, const char *target, fuse_ino_t ino,
		const char *name)
{
	struct owfs_newnode nn = newnode(req, S_IFLNK | 0777);

	nn.target = target;
	make(req, ino, name, &nn);
}

void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	struct server *srv = server_of(req);
	char target[PATH_MAX];
	struct owfs_inode *inode;
	int ret = server_get(srv, ino, &inode);

	if (!ret) {
		ret = owfs_readlink(inode, target, sizeof(target) - 1);
		server_put(srv, inode);
	}
	if (ret < 0) {
		server_reply(req, ret);
		return;
	}
	target[ret] = '\0';
	fuse_reply_readlink(req, target);
}

/* Answer CREATE or TMPFILE; takes over the reference. */
static void reply_create(fuse_req_t req, struct owfs_inode *inode,
			 struct fuse_file_info *fi)
{
	struct server *srv = server_of(req);
	unsigned int iflags = server_iflags(srv, inode);
	owfs_ino_t ino = inode->i_ino;
	struct fuse_entry_param e;

	fi->keep_cache = 1;
	fi->noflush = 1;
	server_fill_entry(srv, inode, &e);
	server_remember(srv, inode);
	owfs_iput(inode);
	__atomic_fetch_add(&srv->nopen, 1, __ATOMIC_RELAXED);
	if (!fuse_reply_create_iflags(req, &e, iflags, fi))
		return;
	__atomic_fetch_sub(&srv->nopen, 1, __ATOMIC_RELAXED);
	owfs_inode_forget(srv->fs, ino, 1);
}

/* Somebody else made the name since the kernel looked. */
static int create_raced(fuse_req_t req, struct owfs_inode *dir,
			const char *name, const struct fuse_file_info *fi,
			struct owfs_inode **ip)
{
	const struct owfs_attr empty = { .size = 0 };
	int ret = owfs_lookup(dir, name, strlen(name), ip);

	if (ret || !(fi->flags & O_TRUNC))
		return ret;
	ret = owfs_setattr(*ip, &empty, OWFS_SET_SIZE |
			   server_kill_mask(req, *ip));
	if (ret)
		owfs_iput(*ip);
	return ret;
}

void op_create(fuse_req_t req, fuse_ino_t ino, const char *name, mode_t mode,
	       struct fuse_file_info *fi)
{
	struct server *srv = server_of(req);
	struct owfs_newnode nn = newnode(req, S_IFREG | (mode & 07777));
	struct owfs_inode *dir, *inode;
	int ret = server_get(srv, ino, &dir);

	if (ret) {
		server_reply(req, ret);
		return;
	}
	owfs_owner_of_new(srv->opts, dir, &nn);
	ret = owfs_create(dir, name, strlen(name), &nn, &inode);
	if (ret == -EEXIST && !(fi->flags & O_EXCL))
		ret = create_raced(req, dir, name, fi, &inode);
	if (ret)
		server_reply(req, ret);
	else
		reply_create(req, inode, fi);
	server_put(srv, dir);
}

void op_tmpfile(fuse_req_t req, fuse_ino_t ino, mode_t mode, mode_t umask,
		struct fuse_file_info *fi)
{
	struct server *srv = server_of(req);
	struct owfs_newnode nn = newnode(req, S_IFREG | (mode & 07777));
	struct owfs_inode *dir, *inode;
	int ret = server_get(srv, ino, &dir);

	nn.umask = umask;
	if (ret) {
		server_reply(req, ret);
		return;
	}
	owfs_owner_of_new(srv->opts, dir, &nn);
	ret = owfs_tmpfile(dir, &nn, &inode);
	if (ret)
		server_reply(req, ret);
	else
		reply_create(req, inode, fi);
	server_put(srv, dir);
}

/* ------------------------------------------------------ changing and removing */

void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t to, const char *name)
{
	struct server *srv = server_of(req);
	struct owfs_inode *inode, *dir;
	int ret = server_get(srv, to, &dir);

	if (ret) {
		server_reply(req, ret);
		return;
	}
	ret = owfs_iget(srv->fs, ino, &inode);
	if (!ret) {
		ret = owfs_link(inode, dir, name, strlen(name));
		if (ret)
			owfs_iput(inode);
	}
	if (ret)
		server_reply(req, ret);
	else
		server_reply_entry(req, inode);
	server_put(srv, dir);
}

void op_unlink(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	struct server *srv = server_of(req);
	struct owfs_inode *dir;
	int ret = server_get(srv, ino, &dir);

	if (!ret) {
		ret = owfs_unlink(dir, name, strlen(name));
		server_put(srv, dir);
	}
	server_reply(req, ret);
}

void op_rmdir(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	struct server *srv = server_of(req);
	struct owfs_inode *dir;
	int ret = server_get(srv, ino, &dir);

	if (!ret) {
		ret = owfs_rmdir(dir, name, strlen(name));
		server_put(srv, dir);
	}
	server_reply(req, ret);
}

void op_rename(fuse_req_t req, fuse_ino_t from, const char *oname,
	       fuse_ino_t to, const char *nname, unsigned int flags)
{
	struct owfs_newnode whiteout = newnode(req, S_IFCHR);
	struct server *srv = server_of(req);
	struct owfs_inode *odir, *ndir;
	int ret = server_get(srv, from, &odir);

	if (!ret) {
		ret = owfs_iget(srv->fs, to, &ndir);
		if (!ret) {
			owfs_owner_of_new(srv->opts, odir, &whiteout);
			ret = owfs_rename(odir, oname, strlen(oname), ndir,
					  nname, strlen(nname), flags,
					  &whiteout);
			owfs_iput(ndir);
		}
		server_put(srv, odir);
	}
	server_reply(req, ret);
}
