/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The life of the served filesystem: lock, device, mount, and at DESTROY all
 * of it backwards before the answer, so that whoever waited for umount(2)
 * finds the image complete and free.
 */
#include "fuse/server.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/sandbox.h"
#include "fuse/mnt.h"
#include "fuse/owner.h"

/* ----------------------------------------------------------------- requests */

int server_enter(struct server *srv)
{
	pthread_rwlock_rdlock(&srv->gate);
	if (srv->fs)
		return 0;
	pthread_rwlock_unlock(&srv->gate);
	return -EIO;
}

void server_leave(struct server *srv)
{
	pthread_rwlock_unlock(&srv->gate);
}

int server_get(struct server *srv, fuse_ino_t ino, struct owfs_inode **ip)
{
	int ret = server_enter(srv);

	if (ret)
		return ret;
	ret = owfs_iget(srv->fs, ino, ip);
	if (ret)
		server_leave(srv);
	return ret;
}

void server_put(struct server *srv, struct owfs_inode *inode)
{
	owfs_iput(inode);
	server_leave(srv);
}

void server_getattr(const struct server *srv, struct owfs_inode *inode,
		    struct stat *st, struct timespec *btime)
{
	owfs_getattr(inode, st, btime);
	owfs_owner_show(srv->opts, st);
}

void server_fill_entry(const struct server *srv, struct owfs_inode *inode,
		       struct fuse_entry_param *e)
{
	memset(e, 0, sizeof(*e));
	server_getattr(srv, inode, &e->attr, NULL);
	e->ino = inode->i_ino;
	e->generation = 1;	/* inode numbers are never used again */
	e->attr_timeout = OWFS_LIFETIME;
	e->entry_timeout = OWFS_LIFETIME;
}

unsigned int server_iflags(struct server *srv, struct owfs_inode *inode)
{
	unsigned int iflags = FUSE_IFLAG_EXCLUSIVE | FUSE_IFLAG_IOMAP;
	uint32_t flags, projid;

	if (!inode->i_fs->fs_kernel_io || inode->i_type != S_IFREG)
		return 0;
	if (srv->iomap_atomic)
		iflags |= FUSE_IFLAG_ATOMIC;
	owfs_flags_get(inode, &flags, &projid);
	if (flags & OWFS_INODE_SYNC)
		iflags |= FUSE_IFLAG_SYNC;
	return iflags;
}

void server_remember(struct server *srv, struct owfs_inode *inode)
{
	owfs_inode_remember(inode);
	owfs_prune_look(srv);
}

void server_reply_entry(fuse_req_t req, struct owfs_inode *inode)
{
	struct owfs_fs *fs = inode->i_fs;
	owfs_ino_t ino = inode->i_ino;
	unsigned int iflags = server_iflags(server_of(req), inode);
	struct fuse_entry_param e;

	server_fill_entry(server_of(req), inode, &e);
	server_remember(server_of(req), inode);
	owfs_iput(inode);
	if (fuse_reply_entry_iflags(req, &e, iflags))
		owfs_inode_forget(fs, ino, 1);
}

/* -------------------------------------------------------------------- start */

static int take_lock(struct server *srv)
{
	const char *device = srv->opts->device;
	char holder[OWFS_DEVLOCK_HOLDER];
	int ret = owfs_devlock_take(device, true, &srv->lock, holder,
				    sizeof(holder));

	if (ret == -EBUSY)
		owfs_msg(srv->msg, OWFS_MSG_ERROR, "%s: is in use by %s",
			 device, holder);
	else if (ret)
		owfs_msg(srv->msg, OWFS_MSG_ERROR, "%s: cannot lock: %s",
			 device, owfs_blkdev_strerror(ret, OWFS_BLKDEV_RDONLY));
	return ret;
}

static bool is_block_device(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISBLK(st.st_mode);
}

/* Open for what @readonly says; something that can only be read is -EROFS. */
static int open_as(struct server *srv, bool readonly, char *why)
{
	const struct owfs_opts *o = srv->opts;
	unsigned int flags = OWFS_BLKDEV_DIRECT;
	int ret;

	if (readonly)
		flags |= OWFS_BLKDEV_RDONLY;
	/* a fuseblk mount claims the device itself and must find it free */
	if (!owfs_mnt_may_be_fuseblk(o) && is_block_device(srv->device))
		flags |= OWFS_BLKDEV_EXCL;
	ret = owfs_window_open(srv->device, flags, &srv->window, &srv->bd,
			       why);
	if (ret || readonly || !srv->bd->readonly)
		return ret;
	owfs_blkdev_close(srv->bd);
	srv->bd = NULL;
	snprintf(why, OWFS_WINDOW_WHY, "%s", strerror(EROFS));
	return -EROFS;
}

static bool is_protected(int err)
{
	return err == -EROFS || err == -EACCES || err == -EPERM;
}

/*
 * As mount(8) has it, what cannot be written is mounted read-only after a
 * word; who calls the program by its name is told how.
 */
static int open_device(struct server *srv)
{
	const struct owfs_opts *o = srv->opts;
	char why[OWFS_WINDOW_WHY];
	bool hint;
	int ret;

	srv->readonly = o->readonly;
	ret = open_as(srv, o->readonly, why);
	hint = is_protected(ret) && !o->readonly;
	if (hint && o->helper && !o->insist_rw && !open_as(srv, true, why)) {
		owfs_msg(srv->msg, OWFS_MSG_WARN,
			 "%s: is write-protected, mounted read-only",
			 o->device);
		srv->readonly = true;
		return 0;
	}
	if (ret)
		owfs_msg(srv->msg, OWFS_MSG_ERROR, "%s: %s%s", o->device, why,
			 hint ? "; -o ro mounts read-only" : "");
	return ret;
}

static int mount_fs(struct server *srv)
{
	const struct owfs_opts *o = srv->opts;
	const struct owfs_fs_param param = {
		.bd = srv->bd,
		.msg = &srv->fs_msg,
		.readonly = srv->readonly,
		.discard = o->discard,
		.threaded = true,
		.start_later = true,
		.errors = o->shutdown_on_error ? OWFS_ERRORS_SHUTDOWN :
						 OWFS_ERRORS_RO,
		.cache = o->cache,
		.commit_secs = o->commit_secs,
		.inode_flags = (o->sync ? OWFS_INODE_SYNC : 0) |
			       (o->dirsync ? OWFS_INODE_DIRSYNC : 0),
		.atime = o->atime,
		.nodiratime = o->nodiratime,
	};
	int ret = owfs_mount(&srv->fs, &param);

	if (ret && ret != -ENODEV)
		owfs_msg(srv->msg, OWFS_MSG_ERROR, "%s: cannot mount: %s",
			 o->device, strerror(-ret));
	return ret;
}

/*
 * The device is open, the threads are not made yet, and the filesystem has not
 * been looked at.  An image that grows may need the last blocks of the
 * filesystem that holds it, which are root's.  A worker that is not locked in
 * unmounts itself if its parent is gone, and a user's has no rights but may
 * run fusermount3, which is set-uid.
 */
static void give_up_rights(const struct server *srv)
{
	const bool locked_in = !srv->opts->nosandbox;
	const struct owfs_sandbox s = {
		.work = OWFS_SANDBOX_SERVER,
		.layers = locked_in ? OWFS_SANDBOX_RIGHTS | OWFS_SANDBOX_ROOT |
			  (owfs_sandbox_knows_calls() ? OWFS_SANDBOX_CALLS :
							OWFS_SANDBOX_NET) :
			  geteuid() ? 0 : OWFS_SANDBOX_RIGHTS,
		.capabilities = 1ull << CAP_SYS_RESOURCE |
				(locked_in ? 0 : 1ull << CAP_SYS_ADMIN),
	};
	const unsigned int got = owfs_sandbox_enter(&s);

	owfs_msg(srv->msg, OWFS_MSG_DEBUG, "%s: sandbox:%s%s%s%s%s",
		 srv->opts->device,
		 got & OWFS_SANDBOX_RIGHTS ? " rights" : "",
		 got & OWFS_SANDBOX_ROOT ? " root" : "",
		 got & OWFS_SANDBOX_NET ? " net" : "",
		 got & OWFS_SANDBOX_CALLS ? " calls" : "", got ? "" : " none");
	if (s.layers & ~got & OWFS_SANDBOX_RIGHTS)
		owfs_msg(srv->msg, OWFS_MSG_WARN,
			 "%s: the server keeps the rights it was started with",
			 srv->opts->device);
}

static void close_device(struct server *srv)
{
	owfs_blkdev_close(srv->bd);
	srv->bd = NULL;
	owfs_devlock_release(srv->lock);
	srv->lock = NULL;
}

static int server_start(void *ctx, const struct owfs_opts *o,
			const struct owfs_msg *msg, struct owfs_served *served)
{
	struct server *srv = ctx;
	int ret;

	srv->opts = o;
	srv->msg = msg;
	srv->log = (struct owfs_log){ .prog = o->prog, .about = o->device };
	srv->fs_msg = (struct owfs_msg) {
		.emit = owfs_log_emit, .ctx = &srv->log,
		.max_level = msg->max_level,
	};
	srv->loop_fd = -1;
	srv->window = o->window;
	snprintf(srv->device, sizeof(srv->device), "%s", o->device);
	ret = take_lock(srv);
	if (ret)
		return ret;
	ret = server_iomap_choose(srv);
	if (!ret)
		ret = open_device(srv);
	server_iomap_opened(srv, served);
	if (!ret) {
		give_up_rights(srv);
		ret = mount_fs(srv);
	}
	if (ret) {
		close_device(srv);
		return ret;
	}
	served->blocksize = srv->fs->fs_geo.blocksize;
	/* such blocks a kernel may not take of a device that is mounted */
	served->plain = srv->iomap_wanted &&
			served->blocksize > (unsigned long)sysconf(_SC_PAGESIZE);
	served->readonly = srv->readonly || owfs_fs_writable(srv->fs);
	return 0;
}

static int server_mounted(void *ctx)
{
	struct server *srv = ctx;

	server_iomap_mounted(srv);
	return owfs_mount_start(srv->fs);
}

/* --------------------------------------------------------------------- stop */

static struct owfs_fs *take_fs(struct server *srv)
{
	struct owfs_fs *fs = srv->fs;

	srv->fs = NULL;
	return fs;
}

static int server_stop(void *ctx)
{
	struct server *srv = ctx;
	struct owfs_fs *fs;
	int ret;

	pthread_rwlock_wrlock(&srv->gate);
	fs = take_fs(srv);
	if (fs) {
		srv->stop_ret = owfs_unmount(fs);
		if (srv->stop_ret)
			owfs_msg(srv->msg, OWFS_MSG_ERROR,
				 "%s: the last commit failed: %s",
				 srv->opts->device, strerror(-srv->stop_ret));
		close_device(srv);
	}
	ret = srv->stop_ret;
	pthread_rwlock_unlock(&srv->gate);
	server_iomap_unpark(srv, 0);
	return ret;
}

static int server_sync(void *ctx)
{
	struct server *srv = ctx;
	int ret = server_enter(srv);

	if (!ret) {
		ret = owfs_syncfs(srv->fs);
		server_leave(srv);
	}
	return ret;
}

static void server_abandon(void *ctx)
{
	struct server *srv = ctx;

	owfs_mount_abandon(take_fs(srv));
	close_device(srv);
}

/* From this protocol on (Linux 5.14) the kernel has checked who sets flags. */
#define MINOR_FILEATTR	34

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
	struct server *srv = container_of((struct owfs_session *)userdata,
					  struct server, session);

	srv->checks_callers = srv->session.minor < MINOR_FILEATTR;
	owfs_session_conn(userdata, conn);
	if (!server_iomap_init(srv, conn)) {
		fuse_session_exit(srv->session.se);
		return;
	}
	/* what was not agreed on is not known: begins would wait for each other */
	if (!srv->fs->fs_kernel_io)
		srv->session.extra = NULL;
	if (srv->opts->writeback && !srv->fs->fs_kernel_io)
		conn->want |= conn->capable & FUSE_CAP_WRITEBACK_CACHE;
	/* only root can make such a mount; requests then lack their user */
	if (!geteuid())
		srv->session.want |= OWFS_FUSE_ALLOW_IDMAP;
	srv->counts_opens = !owfs_worker_on_fuseblk();
	srv->writeback = conn->want & FUSE_CAP_WRITEBACK_CACHE;
	owfs_prune_start(srv);
	owfs_worker_serving();
}

static void op_destroy(void *userdata)
{
	server_stop(container_of((struct owfs_session *)userdata,
				 struct server, session));
}

static const struct owfs_session_ops session_ops = {
	.statx = op_statx,
	.tmpfile = op_tmpfile,
	.copy = op_copy,
	.syncfs = op_syncfs,
	.ioctl = op_ioctl,
};

/* but for iomap, which not every libfuse has: server_init() */
static struct fuse_lowlevel_ops lowlevel_ops = {
	.init = op_init, .destroy = op_destroy,
	.lookup = op_lookup, .forget = op_forget,
	.forget_multi = op_forget_multi,
	.getattr = op_getattr, .setattr = op_setattr,
	.readlink = op_readlink, .mknod = op_mknod, .mkdir = op_mkdir,
	.unlink = op_unlink, .rmdir = op_rmdir, .symlink = op_symlink,
	.rename = op_rename, .link = op_link, .create = op_create,
	.open = op_open, .read = op_read, .write = op_write,
	.flush = op_flush, .release = op_release, .fsync = op_fsync,
	.opendir = op_opendir, .readdir = op_readdir,
	.readdirplus = op_readdirplus, .fsyncdir = op_fsync,
	.statfs = op_statfs,
	.setxattr = op_setxattr, .getxattr = op_getxattr,
	.listxattr = op_listxattr, .removexattr = op_removexattr,
	.fallocate = op_fallocate, .lseek = op_lseek,
	.ioctl = owfs_session_ioctl,
};

const struct owfs_server_ops server_ops = {
	.start = server_start,
	.stop = server_stop,
	.sync = server_sync,
	.abandon = server_abandon,
	.mounted = server_mounted,
	.llops = &lowlevel_ops,
};

void server_init(struct server *srv)
{
	memset(srv, 0, sizeof(*srv));
	srv->session.ops = &session_ops;
	owfs_iomap_install(&lowlevel_ops, &srv->session, &iomap_ops);
	pthread_rwlock_init(&srv->gate, NULL);
	pthread_mutex_init(&srv->park_lock, NULL);
}

void server_exit(struct server *srv)
{
	owfs_prune_stop(srv);
	pthread_mutex_destroy(&srv->park_lock);
	pthread_rwlock_destroy(&srv->gate);
}
