/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * iomap mode: the kernel moves file data itself and asks where.  Whether it
 * can is asked before the mount, since an image file must then be reached
 * through a loop device by the server, too: no device is cached twice.
 */
#include "fuse/server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/util.h"
#include "file/kmap.h"
#include "file/staging.h"
#include "io/loopdev.h"

/* Longer than a device has for a request: half a minute, as a rule. */
#define REST_SECS	60

/* Requests may wait for others here, and each takes a thread meanwhile. */
#define IOMAP_THREADS	64

static int cache_put(void *ctx, owfs_ino_t ino, const struct owfs_kmap *km);
static void cache_drop(void *ctx, owfs_ino_t ino, owfs_fileoff_t first,
		       owfs_fileoff_t end);
static void cache_forget(void *ctx, owfs_ino_t ino, owfs_fileoff_t first,
			 owfs_fileoff_t end);

/* --------------------------------------------------------------- start-up */

static int refuse(const struct server *srv, const char *why)
{
	if (srv->opts->iomap != OWFS_IOMAP_ON)
		return 0;
	owfs_msg(srv->msg, OWFS_MSG_ERROR, "iomap=on: not possible: %s", why);
	return -EOPNOTSUPP;
}

/* An image gets a loop device, which the kernel and we use from now on. */
static int attach_loop(struct server *srv)
{
	const struct owfs_opts *o = srv->opts;
	int fd = owfs_loopdev_attach(o->device, &o->window, 512, o->readonly,
				     srv->device);

	if (fd < 0) {
		snprintf(srv->device, sizeof(srv->device), "%s", o->device);
		return fd;
	}
	srv->loop_fd = fd;
	srv->window = (struct owfs_window){ 0 };
	return 0;
}

/*
 * With the server goes what the kernel keeps of everybody's writes, so it is not
 * what to kill when memory is short.  A user may not ask for that.
 */
static void spare_from_oom(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, "-1000", 5) < 0)
		errno = 0;
	close(fd);
}

int server_iomap_choose(struct server *srv)
{
	const struct owfs_opts *o = srv->opts;
	uint64_t support;
	struct stat st;
	int ret;

	if (o->iomap == OWFS_IOMAP_OFF)
		return 0;
	support = fuse_lowlevel_discover_iomap(-1);
	if (!(support & FUSE_IOMAP_SUPPORT_FILEIO))
		return refuse(srv, "the kernel does not offer it");
	if (stat(o->device, &st) || !S_ISBLK(st.st_mode)) {
		ret = attach_loop(srv);
		if (ret)
			return refuse(srv, strerror(-ret));
	}
	spare_from_oom();
	srv->iomap_wanted = true;
	srv->iomap_atomic = support & FUSE_IOMAP_SUPPORT_ATOMIC;
	return 0;
}

void server_iomap_opened(struct server *srv, struct owfs_served *served)
{
	/* it lives as long as the device is open, which it is now */
	if (srv->loop_fd >= 0) {
		snprintf(served->loop, sizeof(served->loop), "%.31s",
			 srv->device);
		close(srv->loop_fd);
	}
	srv->loop_fd = -1;
	if (srv->iomap_wanted)
		served->threads = IOMAP_THREADS;
	served->iomap = srv->iomap_wanted;
}

void server_iomap_mounted(struct server *srv)
{
	/* also done by prctl(2), which an ordinary user may not */
	if (srv->iomap_wanted)
		fuse_lowlevel_disable_fsreclaim(srv->session.se, 1);
}

bool server_iomap_init(struct server *srv, struct fuse_conn_info *conn)
{
	if (!srv->iomap_wanted)
		return true;
	if (!owfs_iomap_ask(&srv->session, conn))
		return !refuse(srv, "the kernel does not offer it for this mount");
	/* the kernel clears set-id bits itself, and tells us */
	srv->session.want &= ~OWFS_FUSE_KILLPRIV_V2;
	srv->fs->fs_kernel_io = true;
	srv->kcache = (struct owfs_kcache){
		srv, cache_put, cache_drop, cache_forget,
	};
	srv->fs->fs_kcache = &srv->kcache;
	owfs_alloc_rest(srv->fs->fs_al, REST_SECS, NULL);
	owfs_msg(srv->msg, OWFS_MSG_INFO,
		 "%s: iomap: the kernel moves file data itself",
		 srv->opts->device);
	return true;
}

void server_iomap_statx(struct server *srv, struct owfs_inode *inode,
			struct owfs_statx_io *io)
{
	if (!srv->fs->fs_kernel_io || inode->i_type != S_IFREG)
		return;
	io->dio_align = srv->bd->sector;
	if (srv->iomap_atomic)
		io->atomic_unit = srv->fs->fs_geo.blocksize;
}

static void op_config(fuse_req_t req)
{
	struct server *srv = server_of(req);
	struct fuse_iomap_config cfg = {
		.flags = FUSE_IOMAP_CONFIG_BLOCKSIZE |
			 FUSE_IOMAP_CONFIG_MAXBYTES,
		.s_maxbytes = OWFS_FILE_BYTES_MAX,
	};
	int ret = server_enter(srv), fd;

	if (!ret) {
		/* the whole device: places are told as they are in it */
		fd = owfs_blkdev_fd(owfs_window_under(srv->bd));
		ret = fuse_lowlevel_iomap_device_add(srv->session.se, fd, 0);
		if (ret > 0) {
			srv->iomap_dev = (uint32_t)ret;
			cfg.s_blocksize = srv->fs->fs_geo.blocksize;
		} else {
			owfs_msg(srv->msg, OWFS_MSG_ERROR,
				 "%s: iomap: the kernel does not take the device: %s",
				 srv->opts->device, strerror(-ret));
			ret = ret ? ret : -EIO;
		}
		server_leave(srv);
	}
	if (ret < 0)
		server_reply(req, ret);
	else
		fuse_reply_iomap_config(req, &cfg);
}

/* ------------------------------------------------------------------- begin */

static enum owfs_kmap_op op_of(uint32_t opflags)
{
	if (opflags & FUSE_IOMAP_OP_WRITEBACK)
		return OWFS_KMAP_WRITEBACK;
	if (opflags & FUSE_IOMAP_OP_SWAPFILE)
		return OWFS_KMAP_SWAP;
	if (opflags & FUSE_IOMAP_OP_ZERO)
		return OWFS_KMAP_ZERO;
	if (opflags & FUSE_IOMAP_OP_WRITE) {
		if (opflags & FUSE_IOMAP_OP_DIRECT)
			return OWFS_KMAP_DIRECT;
		return opflags & FUSE_IOMAP_OP_FAULT ? OWFS_KMAP_FAULT :
						       OWFS_KMAP_WRITE;
	}
	if (opflags & FUSE_IOMAP_OP_UNSHARE)
		return OWFS_KMAP_WRITE;
	return opflags & FUSE_IOMAP_OP_REPORT ? OWFS_KMAP_REPORT :
						OWFS_KMAP_READ;
}

static void fill(const struct server *srv, const struct owfs_iomap *map,
		 struct fuse_file_iomap *fmap)
{
	static const uint16_t types[] = {
		[OWFS_IOMAP_HOLE] = FUSE_IOMAP_TYPE_HOLE,
		[OWFS_IOMAP_DELALLOC] = FUSE_IOMAP_TYPE_DELALLOC,
		[OWFS_IOMAP_MAPPED] = FUSE_IOMAP_TYPE_MAPPED,
		[OWFS_IOMAP_UNWRITTEN] = FUSE_IOMAP_TYPE_UNWRITTEN,
	};
	const uint64_t bs = srv->fs->fs_geo.blocksize;

	*fmap = (struct fuse_file_iomap){
		.offset = map->off * bs, .length = map->len * bs,
		.type = types[map->type],
		.addr = FUSE_IOMAP_NULL_ADDR, .dev = FUSE_IOMAP_DEV_NULL,
	};
	if (map->type == OWFS_IOMAP_MAPPED ||
	    map->type == OWFS_IOMAP_UNWRITTEN) {
		fmap->addr = srv->window.offset + map->fsblock * bs;
		fmap->dev = srv->iomap_dev;
	}
}

static struct fuse_file_range range_of(const struct server *srv,
				       owfs_fileoff_t first, owfs_fileoff_t end)
{
	const uint64_t bs = srv->fs->fs_geo.blocksize;

	return (struct fuse_file_range){
		.offset = first * bs, .length = (end - first) * bs,
	};
}

static void forget(struct server *srv, owfs_ino_t ino,
		   const struct fuse_file_range *range)
{
	fuse_lowlevel_iomap_inval_mappings(srv->session.se, ino, ino, range,
					   range);
}

static void cache_forget(void *ctx, owfs_ino_t ino, owfs_fileoff_t first,
			 owfs_fileoff_t end)
{
	const struct fuse_file_range range = range_of(ctx, first, end);

	forget(ctx, ino, &range);
}

static void cache_drop(void *ctx, owfs_ino_t ino, owfs_fileoff_t first,
		       owfs_fileoff_t end)
{
	struct server *srv = ctx;
	const struct fuse_file_range none = { 0 };
	const struct fuse_file_range range = range_of(srv, first, end);

	fuse_lowlevel_iomap_inval_mappings(srv->session.se, ino, ino, &none,
					   &range);
}

/* One side alone would be worse than none: writes go where reads come from. */
static int cache_put(void *ctx, owfs_ino_t ino, const struct owfs_kmap *km)
{
	struct server *srv = ctx;
	struct fuse_file_iomap read, write;
	int ret;

	fill(srv, &km->read, &read);
	fill(srv, &km->write, &write);
	ret = fuse_lowlevel_iomap_upsert_mappings(srv->session.se, ino, ino,
						  &read, &write);
	if (ret)
		cache_forget(ctx, ino, km->read.off, km->read.off + km->read.len);
	return ret;
}

static void reply_begin(fuse_req_t req, const struct owfs_kmap *km)
{
	struct server *srv = server_of(req);
	struct fuse_file_iomap read, write;

	fill(srv, &km->read, &read);
	if (km->retry) {
		read.type = FUSE_IOMAP_TYPE_RETRY_CACHE;
		read.addr = FUSE_IOMAP_NULL_ADDR;
		read.dev = FUSE_IOMAP_DEV_NULL;
	}
	if (km->overwrite || km->retry) {
		fuse_reply_iomap_begin(req, &read, NULL);
		return;
	}
	fill(srv, &km->write, &write);
	/* nothing is durable before a commit, whatever the device says: fsync */
	if (write.type == FUSE_IOMAP_TYPE_UNWRITTEN)
		write.flags |= FUSE_IOMAP_F_DIRTY;
	fuse_reply_iomap_begin(req, &read, &write);
}

/* A begin that can be answered only after another request was. */
struct server_parked {
	struct server_parked *next;
	fuse_req_t req;
	fuse_ino_t ino;
	off_t pos;
	uint64_t count;
	uint32_t opflags;
};

static bool is_written_directly(struct owfs_inode *inode, off_t pos)
{
	owfs_fileoff_t until;

	return owfs_staging_covers(inode, (uint64_t)pos /
				   inode->i_fs->fs_geo.blocksize, &until);
}

/*
 * No thread waits for another request: they could all do so, and none be left
 * to serve it.  0: put aside, and whoever ends the write goes on with it, maybe
 * before this returns; 1: the write is over already.
 */
static int park(struct server *srv, struct owfs_inode *inode,
		const struct server_parked *what)
{
	struct server_parked *a = malloc(sizeof(*a));
	bool wait;

	if (!a)
		return -ENOMEM;
	*a = *what;
	/* who ends a write looks for us after that, and takes the lock for it */
	pthread_mutex_lock(&srv->park_lock);
	wait = is_written_directly(inode, a->pos);
	if (wait) {
		a->next = srv->parked;
		srv->parked = a;
	}
	pthread_mutex_unlock(&srv->park_lock);
	if (wait)
		return 0;
	free(a);
	return 1;
}

static void begin(struct server *srv, const struct server_parked *a)
{
	enum owfs_kmap_op op = op_of(a->opflags);
	struct owfs_inode *inode;
	struct owfs_kmap km;
	int ret = server_get(srv, a->ino, &inode);
	bool parked;

	if (ret) {
		server_reply(a->req, ret);
		return;
	}
	do {
		ret = owfs_kmap_begin(inode, op, a->pos, a->count,
				      a->opflags & FUSE_IOMAP_OP_NOWAIT, &km);
		parked = ret == -EINPROGRESS;
		if (parked)
			ret = park(srv, inode, a);
	} while (ret == 1);
	/* what must be one write cannot go another way: it may be tried again */
	if (ret == -ENOSYS && (a->opflags & FUSE_IOMAP_OP_ATOMIC))
		ret = -EAGAIN;
	if (ret)
		server_reply(a->req, ret);
	else if (!parked)
		reply_begin(a->req, &km);
	server_put(srv, inode);
}

void server_iomap_unpark(struct server *srv, fuse_ino_t ino)
{
	struct server_parked **p = &srv->parked, *list = NULL, *a;

	pthread_mutex_lock(&srv->park_lock);
	while ((a = *p)) {
		if (ino && a->ino != ino) {
			p = &a->next;
			continue;
		}
		*p = a->next;
		a->next = list;
		list = a;
	}
	pthread_mutex_unlock(&srv->park_lock);
	while ((a = list)) {
		list = a->next;
		begin(srv, a);
		free(a);
	}
}

static void op_begin(fuse_req_t req, fuse_ino_t ino, uint64_t attr_ino,
		     off_t pos, uint64_t count, uint32_t opflags)
{
	const struct server_parked a = {
		.req = req, .ino = ino, .pos = pos, .count = count,
		.opflags = opflags,
	};

	(void)attr_ino;
	if (opflags & FUSE_IOMAP_OP_WRITEBACK)
		owfs_session_will_wait(req);
	begin(server_of(req), &a);
}

/* The block that @map, which we had answered, has for @pos. */
static owfs_fsblock_t block_of(const struct server *srv,
			       const struct fuse_file_iomap *map, off_t pos)
{
	const uint64_t bs = srv->fs->fs_geo.blocksize;

	if (map->addr == FUSE_IOMAP_NULL_ADDR || map->addr < srv->window.offset ||
	    (uint64_t)pos < map->offset)
		return OWFS_NOBLOCK;
	return (map->addr - srv->window.offset) / bs +
	       ((uint64_t)pos / bs - map->offset / bs);
}

static void op_end(fuse_req_t req, fuse_ino_t ino, uint64_t attr_ino, off_t pos,
		   uint64_t count, uint32_t opflags, ssize_t written,
		   const struct fuse_file_iomap *iomap)
{
	struct server *srv = server_of(req);
	struct owfs_inode *inode;
	int ret = server_get(srv, ino, &inode);

	(void)attr_ino;
	if (!ret) {
		owfs_kmap_end(inode, op_of(opflags), pos, count, written,
			      block_of(srv, iomap, pos));
		server_put(srv, inode);
	}
	server_reply(req, ret);
	server_iomap_unpark(srv, ino);
}

/* ------------------------------------------------------------------- ioend */

static enum owfs_kmap_ioend kind_of(uint32_t flags, int error)
{
	if (flags & FUSE_IOMAP_IOEND_DIRECT)
		return OWFS_KMAP_IOEND_DIRECT;
	if (error && !(flags & FUSE_IOMAP_IOEND_WRITEBACK))
		return OWFS_KMAP_IOEND_DISCARD;
	return OWFS_KMAP_IOEND_WRITEBACK;
}

/* 0 or negative; what is no errno is still an error. */
static int error_of(int error)
{
	if (error < -OWFS_MAX_ERRNO || error > OWFS_MAX_ERRNO)
		return -EIO;
	return error > 0 ? -error : error;
}

static struct fuse_file_range range_of_bytes(const struct server *srv, off_t pos,
					     uint64_t len)
{
	const uint64_t bs = srv->fs->fs_geo.blocksize;

	if (pos < 0 || len > OWFS_FILE_BYTES_MAX - (uint64_t)pos)
		return (struct fuse_file_range){ 0 };
	return range_of(srv, (uint64_t)pos / bs,
			div_round_up((uint64_t)pos + len, bs));
}

static int do_ioend(struct owfs_inode *inode, loff_t pos, uint64_t written,
		    uint32_t flags, int error, uint64_t *size)
{
	if (flags & FUSE_IOMAP_IOEND_SWAPOFF) {
		owfs_kmap_swapoff(inode);
		written = 0;
	}
	return owfs_kmap_ioend(inode, kind_of(flags, error), pos, written,
			       error_of(error), size);
}

/*
 * No answer here may be ENOSYS, not even to one who brings it: the kernel
 * would tell us of no completion any more.
 */
static void op_ioend(fuse_req_t req, fuse_ino_t ino, uint64_t attr_ino,
		     off_t pos, uint64_t written, uint32_t flags, int error,
		     uint32_t dev, uint64_t new_addr)
{
	struct server *srv = server_of(req);
	struct fuse_file_range range = { 0 };
	struct owfs_inode *inode;
	uint64_t size = 0;
	int ret = server_get(srv, ino, &inode);

	(void)attr_ino;
	(void)dev;
	(void)new_addr;
	if (!ret) {
		ret = do_ioend(inode, pos, written, flags, error, &size);
		range = range_of_bytes(srv, pos, written);
		server_put(srv, inode);
	}
	if (ret)
		server_reply(req, ret == -ENOSYS ? -EIO : ret);
	else
		fuse_reply_iomap_ioend(req, (off_t)size);
	/* some of it may have been mapped; it waits no more: see owfs_kcache */
	if (ret && range.length)
		forget(srv, ino, &range);
	server_iomap_unpark(srv, ino);
}

/* ------------------------------------------------------ the whole filesystem */

/* The device is gone: nothing that anybody writes from now on will last. */
static void op_shutdown(fuse_req_t req)
{
	struct server *srv = server_of(req);

	if (!server_enter(srv)) {
		owfs_fs_shutdown(srv->fs, false);
		server_leave(srv);
	}
	fuse_reply_err(req, 0);
}

/* What is frozen is what a crash would leave, as at any other time. */
static void op_freeze(fuse_req_t req)
{
	op_syncfs(req);
}

static void op_nothing(fuse_req_t req)
{
	fuse_reply_err(req, 0);
}

const struct owfs_iomap_ops iomap_ops = {
	.begin = op_begin, .end = op_end, .ioend = op_ioend,
	.config = op_config,
	.freeze = op_freeze, .unfreeze = op_nothing, .shutdown = op_shutdown,
};
