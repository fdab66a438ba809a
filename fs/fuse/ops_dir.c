/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Listing directories, with and without the attributes of what is in them. */
#include "fuse/server.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

struct listing {
	fuse_req_t req;
	struct owfs_fs *fs;
	char *buf;
	size_t size, used;
	bool plus;
};

/* FUSE's record of READDIRPLUS: as much of it as is needed to walk them. */
#define ENTRY_OUT	128u	/* begins with the node id */
#define DIRENT_HEAD	24u
#define NAMELEN_AT	16u

static bool is_dots(const struct owfs_dirent *de)
{
	return de->name[0] == '.' &&
	       (de->namelen == 1 || (de->namelen == 2 && de->name[1] == '.'));
}

/* Entries that the kernel never got are not remembered by it. */
static void forget_unsent(struct listing *l)
{
	uint64_t ino;
	uint32_t namelen;
	size_t at;

	for (at = 0; l->plus && at + ENTRY_OUT + DIRENT_HEAD <= l->used;
	     at += ENTRY_OUT + ((DIRENT_HEAD + namelen + 7) & ~7u)) {
		memcpy(&ino, l->buf + at, sizeof(ino));
		memcpy(&namelen, l->buf + at + ENTRY_OUT + NAMELEN_AT,
		       sizeof(namelen));
		if (ino)
			owfs_inode_forget(l->fs, ino, 1);
	}
}

/* 1: does not fit. */
static int add_plain(struct listing *l, const struct owfs_dirent *de,
		     const char *name)
{
	const struct stat st = {
		.st_ino = de->ino, .st_mode = DTTOIF(de->ftype),
	};
	size_t room = l->size - l->used;
	size_t len = fuse_add_direntry(l->req, l->buf + l->used, room, name,
				       &st, de->cookie);

	if (len > room)
		return 1;
	l->used += len;
	return 0;
}

static int put_plus(struct listing *l, const struct owfs_dirent *de,
		    const char *name, unsigned int iflags,
		    const struct fuse_entry_param *e)
{
	size_t room = l->size - l->used;
	size_t len = fuse_add_direntry_plus_iflags(l->req, l->buf + l->used,
						   room, name, iflags, e,
						   de->cookie);

	if (len > room)
		return 1;
	l->used += len;
	return 0;
}

static int add_plus(struct listing *l, const struct owfs_dirent *de,
		    const char *name)
{
	struct fuse_entry_param e = {
		.attr = { .st_ino = de->ino, .st_mode = DTTOIF(de->ftype) },
	};
	struct owfs_inode *inode;
	int ret;

	/*
	 * Dots are not looked up.  Everything else is answered in full, also
	 * what the kernel has: after any change its attributes are stale, and
	 * a round trip for each costs more than this does.
	 */
	if (is_dots(de))
		return put_plus(l, de, name, 0, &e);
	ret = owfs_iget(l->fs, de->ino, &inode);
	if (ret == -ENOENT || ret == -ESTALE)	/* unlinked meanwhile */
		return 0;
	if (ret) {
		/* list the name; whoever looks it up gets the error */
		return put_plus(l, de, name, 0, &e);
	}
	server_fill_entry(server_of(l->req), inode, &e);
	ret = put_plus(l, de, name, server_iflags(server_of(l->req), inode), &e);
	if (!ret)
		server_remember(server_of(l->req), inode);
	owfs_iput(inode);
	return ret;
}

static int add(void *ctx, const struct owfs_dirent *de)
{
	struct listing *l = ctx;
	char name[OWFS_NAME_MAX + 1];

	memcpy(name, de->name, de->namelen);
	name[de->namelen] = '\0';
	return l->plus ? add_plus(l, de, name) : add_plain(l, de, name);
}

static void list(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		 bool plus)
{
	struct server *srv = server_of(req);
	struct listing l = { .req = req, .size = size, .plus = plus };
	struct owfs_inode *dir;
	int ret = server_get(srv, ino, &dir);

	if (ret) {
		server_reply(req, ret);
		return;
	}
	l.fs = dir->i_fs;
	l.buf = owfs_session_buffer(size);
	ret = l.buf ? owfs_readdir(dir, off, add, &l) : -ENOMEM;
	if (!ret && !(owfs_session_open_flags() & O_NOATIME))
		owfs_atime_touch(dir);
	/* an error behind entries shows when the kernel comes for the rest */
	if (ret && !l.used)
		server_reply(req, ret);
	else if (fuse_reply_buf(req, l.buf, l.used))
		forget_unsent(&l);
	server_put(srv, dir);
}

void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		struct fuse_file_info *fi)
{
	(void)fi;
	list(req, ino, size, off, false);
}

void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi)
{
	(void)fi;
	list(req, ino, size, off, true);
}
