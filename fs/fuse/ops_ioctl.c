/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ioctls.  The kernel copies as many bytes in and out as the number of the
 * ioctl says, or, where it calls for itself, as it has.  What is not known is
 * ENOTTY, and what is too short EINVAL.
 */
#include "fuse/server.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>

#include "fuse/caller.h"
#include "fuse/ioctl.h"
#include "space/bitmap.h"
#include "trans/keep.h"
#include "trans/mend.h"

/* One ioctl being answered. */
struct call {
	fuse_req_t req;
	struct server *srv;
	fuse_ino_t ino;
	const void *in;
	size_t in_size, out_size;
};

static bool caller_may(const struct call *c, unsigned int cap)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(c->req);

	return owfs_caller_may(ctx->uid, ctx->pid, cap);
}

/* ------------------------------------------------------------- inode flags */

static const struct {
	uint32_t owfs, fs, xflag;	/* xflag 0: FSSETXATTR does not know it */
} words[] = {
	{ OWFS_INODE_IMMUTABLE, FS_IMMUTABLE_FL, FS_XFLAG_IMMUTABLE },
	{ OWFS_INODE_APPEND, FS_APPEND_FL, FS_XFLAG_APPEND },
	{ OWFS_INODE_NODUMP, FS_NODUMP_FL, FS_XFLAG_NODUMP },
	{ OWFS_INODE_NOATIME, FS_NOATIME_FL, FS_XFLAG_NOATIME },
	{ OWFS_INODE_SYNC, FS_SYNC_FL, FS_XFLAG_SYNC },
	{ OWFS_INODE_DIRSYNC, FS_DIRSYNC_FL, 0 },
	{ OWFS_INODE_PROJINHERIT, FS_PROJINHERIT_FL, FS_XFLAG_PROJINHERIT },
};

static uint32_t fs_of_owfs(uint32_t owfs)
{
	uint32_t fs = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(words); i++)
		if (owfs & words[i].owfs)
			fs |= words[i].fs;
	return fs;
}

static uint32_t xflags_of_owfs(uint32_t owfs)
{
	uint32_t xflags = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(words); i++)
		if (owfs & words[i].owfs)
			xflags |= words[i].xflag;
	return xflags;
}

/* What is known of *@fs is taken out of it. */
static uint32_t owfs_of_fs(uint32_t *fs)
{
	uint32_t owfs = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(words); i++)
		if (*fs & words[i].fs) {
			owfs |= words[i].owfs;
			*fs &= ~words[i].fs;
		}
	return owfs;
}

static uint32_t owfs_of_xflags(uint32_t *xflags)
{
	uint32_t owfs = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(words); i++)
		if (*xflags & words[i].xflag) {
			owfs |= words[i].owfs;
			*xflags &= ~words[i].xflag;
		}
	return owfs;
}

static void get_flags(const struct call *c, struct owfs_inode *inode)
{
	uint32_t flags, projid, fs;

	if (c->out_size < sizeof(fs)) {
		fuse_reply_err(c->req, EINVAL);
		return;
	}
	owfs_flags_get(inode, &flags, &projid);
	fs = fs_of_owfs(flags);
	fuse_reply_ioctl(c->req, 0, &fs, sizeof(fs));
}

static void get_xattr(const struct call *c, struct owfs_inode *inode)
{
	struct fsxattr fsx = { 0 };
	uint32_t flags;

	if (c->out_size < sizeof(fsx)) {
		fuse_reply_err(c->req, EINVAL);
		return;
	}
	owfs_flags_get(inode, &flags, &fsx.fsx_projid);
	fsx.fsx_xflags = xflags_of_owfs(flags);
	fuse_reply_ioctl(c->req, 0, &fsx, sizeof(fsx));
}

/* As Linux does since 5.13 before it asks us. */
static int check_caller(const struct call *c, struct owfs_inode *inode,
			uint32_t mask, uint32_t flags)
{
	const uint32_t frozen = OWFS_INODE_IMMUTABLE | OWFS_INODE_APPEND;
	uint32_t now, projid;
	struct stat st;

	if (!c->srv->checks_callers)
		return 0;
	server_getattr(c->srv, inode, &st, NULL);
	if (fuse_req_ctx(c->req)->uid != st.st_uid &&
	    !caller_may(c, CAP_FOWNER))
		return -EPERM;
	owfs_flags_get(inode, &now, &projid);
	if ((now ^ flags) & mask & frozen && !caller_may(c, CAP_LINUX_IMMUTABLE))
		return -EPERM;
	return 0;
}

/*
 * Before contents are frozen, what the kernel has in its cache shall arrive.
 * Others have to serve it meanwhile.
 */
static void flush_cache(const struct call *c)
{
	if (c->srv->opts->threads == 1)
		return;
	owfs_session_will_wait(c->req);
	fuse_lowlevel_notify_inval_inode(c->srv->session.se, c->ino, 0, 0);
}

static void set(const struct call *c, struct owfs_inode *inode, uint32_t mask,
		uint32_t flags, const uint32_t *projid)
{
	int ret = check_caller(c, inode, mask, flags);

	if (!ret) {
		if (flags & (OWFS_INODE_IMMUTABLE | OWFS_INODE_APPEND))
			flush_cache(c);
		ret = owfs_flags_set(inode, mask, flags, projid);
	}
	if (ret) {
		server_reply(c->req, ret);
		return;
	}
	/* the kernel does not know that this changes the ctime */
	fuse_lowlevel_notify_inval_inode(c->srv->session.se, c->ino, -1, 0);
	fuse_reply_ioctl(c->req, 0, NULL, 0);
}

static void set_flags(const struct call *c, struct owfs_inode *inode)
{
	uint32_t fs, flags;

	if (c->in_size < sizeof(fs)) {
		fuse_reply_err(c->req, EINVAL);
		return;
	}
	memcpy(&fs, c->in, sizeof(fs));
	flags = owfs_of_fs(&fs);
	if (fs)
		fuse_reply_err(c->req, EOPNOTSUPP);
	else
		set(c, inode, OWFS_FLAGS_USER, flags, NULL);
}

static void set_xattr(const struct call *c, struct owfs_inode *inode)
{
	struct fsxattr fsx;
	uint32_t flags;

	if (c->in_size < sizeof(fsx)) {
		fuse_reply_err(c->req, EINVAL);
		return;
	}
	memcpy(&fsx, c->in, sizeof(fsx));
	flags = owfs_of_xflags(&fsx.fsx_xflags);
	if (fsx.fsx_xflags)
		fuse_reply_err(c->req, EOPNOTSUPP);
	else
		set(c, inode, OWFS_FLAGS_USER & ~OWFS_INODE_DIRSYNC, flags,
		    &fsx.fsx_projid);
}

/* ------------------------------------------------------- the whole filesystem */
/* The kernel asks nobody whether the caller may: root may. */

static void get_label(const struct call *c, struct owfs_inode *inode)
{
	char label[OWFS_FSLABEL_BYTES] = "";

	if (c->out_size < sizeof(label)) {
		fuse_reply_err(c->req, EINVAL);
		return;
	}
	owfs_label_get(inode->i_fs, label);
	fuse_reply_ioctl(c->req, 0, label, sizeof(label));
}

static void set_label(const struct call *c, struct owfs_inode *inode)
{
	char label[OWFS_LABEL_MAX + 2] = "";
	int ret = 0;

	if (!caller_may(c, CAP_SYS_ADMIN))
		ret = -EPERM;
	else if (c->in_size < sizeof(label))
		ret = -EINVAL;
	if (!ret) {
		/* one too many is seen as such */
		memcpy(label, c->in, sizeof(label) - 1);
		owfs_session_will_wait(c->req);
		ret = owfs_label_set(inode->i_fs, label);
	}
	if (ret)
		server_reply(c->req, ret);
	else
		fuse_reply_ioctl(c->req, 0, NULL, 0);
}

static bool is_interrupted(void *ctx)
{
	return fuse_req_interrupted(ctx);
}

static void trim(const struct call *c, struct owfs_inode *inode)
{
	struct fstrim_range range;
	uint64_t trimmed;
	int ret = 0;

	if (!caller_may(c, CAP_SYS_ADMIN))
		ret = -EPERM;
	else if (c->in_size < sizeof(range) || c->out_size < sizeof(range))
		ret = -EINVAL;
	if (!ret) {
		memcpy(&range, c->in, sizeof(range));
		owfs_session_will_wait(c->req);
		ret = owfs_trim(inode->i_fs, range.start, range.len,
				range.minlen, is_interrupted, c->req, &trimmed);
	}
	if (ret) {
		server_reply(c->req, ret);
		return;
	}
	range.len = trimmed;
	fuse_reply_ioctl(c->req, 0, &range, sizeof(range));
}

static void stop(const struct call *c, struct owfs_inode *inode, uint32_t how)
{
	int ret = 0;

	if (!caller_may(c, CAP_SYS_ADMIN))
		ret = -EPERM;
	else if (how > OWFS_SHUTDOWN_NOFLUSH)
		ret = -EINVAL;
	if (!ret) {
		owfs_session_will_wait(c->req);
		ret = owfs_fs_shutdown(inode->i_fs,
				       how != OWFS_SHUTDOWN_NOFLUSH);
	}
	if (ret)
		server_reply(c->req, ret);
	else
		fuse_reply_ioctl(c->req, 0, NULL, 0);
}

/* It says it brings nothing, and so the kernel brings nothing. */
static void shut_down(const struct call *c, struct owfs_inode *inode)
{
	stop(c, inode, OWFS_SHUTDOWN_FLUSH);
}

static void shut_down_how(const struct call *c, struct owfs_inode *inode)
{
	uint32_t how;

	if (c->in_size < sizeof(how)) {
		fuse_reply_err(c->req, EINVAL);
		return;
	}
	memcpy(&how, c->in, sizeof(how));
	stop(c, inode, how);
}

/* ------------------------------------------------------ a check beside the work */

static void reply(const struct call *c, int ret, const void *out, size_t size)
{
	if (ret)
		server_reply(c->req, ret);
	else
		fuse_reply_ioctl(c->req, 0, out, size);
}

static void keep(const struct call *c, struct owfs_inode *inode)
{
	struct owfs_fs *fs = inode->i_fs;
	struct owfs_ioc_keep out = { .size = fs->fs_bd->size,
				     .offset = c->srv->window.offset };
	struct owfs_super sb;
	int ret = 0;

	if (!caller_may(c, CAP_SYS_ADMIN))
		ret = -EPERM;
	else if (c->out_size < sizeof(out))
		ret = -EINVAL;
	if (!ret) {
		owfs_session_will_wait(c->req);
		ret = owfs_keep_begin(fs, &sb, &out.id);
	}
	if (!ret)
		owfs_super_to_disk(out.super, &sb, 0);
	reply(c, ret, &out, sizeof(out));
}

static int kept_bits(struct owfs_fs *fs, struct owfs_ioc_read *io)
{
	size_t bytes = OWFS_BITMAP_WORDS(fs->fs_geo.group_blocks) *
		       sizeof(uint64_t);
	unsigned char *bits;
	int ret = -EINVAL;

	if (io->off > bytes || io->len > bytes - io->off)
		return ret;
	bits = malloc(bytes);
	if (!bits)
		return -ENOMEM;
	ret = owfs_keep_bits(fs, io->id, io->at, (uint64_t *)bits);
	if (!ret)
		memcpy(io->data, bits + io->off, io->len);
	free(bits);
	return ret;
}

static int kept_bytes(struct owfs_fs *fs, struct owfs_ioc_read *io)
{
	_Alignas(OWFS_IO_ALIGN) unsigned char data[OWFS_IOC_BYTES];
	int ret = owfs_keep_read(fs, io->id, data, io->len, (loff_t)io->at);

	if (!ret)
		memcpy(io->data, data, io->len);
	return ret;
}

static void kept(const struct call *c, struct owfs_inode *inode,
		 int (*fn)(struct owfs_fs *fs, struct owfs_ioc_read *io))
{
	struct owfs_ioc_read io;
	int ret = 0;

	if (!caller_may(c, CAP_SYS_ADMIN))
		ret = -EPERM;
	else if (c->in_size < sizeof(io) || c->out_size < sizeof(io))
		ret = -EINVAL;
	if (!ret) {
		memcpy(&io, c->in, sizeof(io));
		ret = io.len > sizeof(io.data) ? -EINVAL :
						 fn(inode->i_fs, &io);
	}
	reply(c, ret, &io, sizeof(io));
}

static void keep_read(const struct call *c, struct owfs_inode *inode)
{
	kept(c, inode, kept_bytes);
}

static void keep_bits(const struct call *c, struct owfs_inode *inode)
{
	kept(c, inode, kept_bits);
}

static void keep_end(const struct call *c, struct owfs_inode *inode)
{
	uint64_t id;
	int ret = 0;

	if (!caller_may(c, CAP_SYS_ADMIN))
		ret = -EPERM;
	else if (c->in_size < sizeof(id))
		ret = -EINVAL;
	if (!ret) {
		memcpy(&id, c->in, sizeof(id));
		owfs_keep_end(inode->i_fs, id);
	}
	reply(c, ret, NULL, 0);
}

static void mend(const struct call *c, struct owfs_inode *inode)
{
	struct owfs_ioc_mend in;
	int ret = 0;

	if (!caller_may(c, CAP_SYS_ADMIN))
		ret = -EPERM;
	else if (c->in_size < sizeof(in))
		ret = -EINVAL;
	if (!ret) {
		const struct owfs_ioc_mend *p = memcpy(&in, c->in, sizeof(in));
		const struct owfs_ptr ptr = {
			.addr = { p->addr[0], p->addr[1] }, .birth = p->birth };
		const struct owfs_key first = { p->first[0], p->first[1] };

		owfs_session_will_wait(c->req);
		ret = owfs_mend_now(inode->i_fs, &ptr, p->level, &first);
	}
	reply(c, ret, NULL, 0);
}

/* ----------------------------------------------------------------- which one */

static const struct {
	unsigned int cmd;
	void (*fn)(const struct call *c, struct owfs_inode *inode);
} calls[] = {
	{ (unsigned int)FS_IOC_GETFLAGS, get_flags },
	{ (unsigned int)FS_IOC32_GETFLAGS, get_flags },
	{ (unsigned int)FS_IOC_SETFLAGS, set_flags },
	{ (unsigned int)FS_IOC32_SETFLAGS, set_flags },
	{ (unsigned int)FS_IOC_FSGETXATTR, get_xattr },
	{ (unsigned int)FS_IOC_FSSETXATTR, set_xattr },
	{ (unsigned int)FS_IOC_GETFSLABEL, get_label },
	{ (unsigned int)FS_IOC_SETFSLABEL, set_label },
	{ (unsigned int)FITRIM, trim },
	{ (unsigned int)OWFS_FS_IOC_SHUTDOWN, shut_down },
	{ (unsigned int)OWFS_IOC_SHUTDOWN, shut_down_how },
	{ (unsigned int)OWFS_IOC_KEEP, keep },
	{ (unsigned int)OWFS_IOC_KEEP_READ, keep_read },
	{ (unsigned int)OWFS_IOC_KEEP_BITS, keep_bits },
	{ (unsigned int)OWFS_IOC_KEEP_END, keep_end },
	{ (unsigned int)OWFS_IOC_MEND, mend },
};

void op_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned int cmd, void *arg,
	      struct fuse_file_info *fi, unsigned int flags, const void *in_buf,
	      size_t in_bufsz, size_t out_bufsz)
{
	const struct call c = {
		.req = req, .srv = server_of(req), .ino = ino, .in = in_buf,
		.in_size = in_bufsz, .out_size = out_bufsz,
	};
	struct owfs_inode *inode;
	size_t i;
	int ret;

	(void)arg;
	(void)fi;
	(void)flags;
	for (i = 0; i < ARRAY_SIZE(calls) && calls[i].cmd != cmd; i++)
		;
	if (i == ARRAY_SIZE(calls)) {
		fuse_reply_err(req, ENOTTY);
		return;
	}
	ret = server_get(c.srv, ino, &inode);
	if (ret) {
		server_reply(req, ret);
		return;
	}
	calls[i].fn(&c, inode);
	server_put(c.srv, inode);
}
