/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A commit as a device.  Where the device can be found and opened it is read
 * from there, and the server is only asked now and then whether it still keeps
 * the commit; else each read is an ioctl of the server.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sandbox.h"
#include "base/util.h"
#include "fuse/ioctl.h"
#include "io/loopdev.h"
#include "io/mounts.h"
#include "io/window.h"
#include "online.h"
#include "space/bitmap.h"
#include "space/geo.h"

#define ASK_EVERY	64u	/* reads */

struct online {
	struct owfs_blkdev bd;		/* first */
	int fd;
	struct owfs_blkdev *direct;	/* NULL: through the server */
	unsigned int reads;
	uint64_t id;
	int err;			/* the server does not answer as it should */
	bool mended;
	struct owfs_super super;
	struct owfs_check_kept kept;
	struct owfs_ioc_read io;
};

/* A signal asks the check to stop, and says nothing of what is being read. */
static int call(struct online *on, unsigned long what, void *arg)
{
	int ret;

	do
		ret = ioctl(on->fd, what, arg);
	while (ret < 0 && errno == EINTR);
	return ret;
}

/* @len bytes, some at a time. */
static int fetch(struct online *on, unsigned long what, void *buf, size_t len,
		 uint64_t at, bool bits)
{
	struct owfs_ioc_read *io = &on->io;
	size_t done, part;

	for (done = 0; done < len; done += part) {
		part = min_u64(len - done, OWFS_IOC_BYTES);
		io->id = on->id;
		io->at = bits ? at : at + done;
		io->off = bits ? (uint32_t)done : 0;
		io->len = (uint32_t)part;
		if (call(on, what, io)) {
			if (errno == ESTALE || errno == ENOTCONN ||
			    errno == ENOTTY || errno == EPERM)
				on->err = -errno;
			return -errno;
		}
		memcpy((char *)buf + done, io->data, part);
	}
	return 0;
}

/* Does the server still keep it? */
static int ask(struct online *on)
{
	on->io = (struct owfs_ioc_read){ .id = on->id };
	if (!on->err && call(on, OWFS_IOC_KEEP_READ, &on->io))
		on->err = -errno;
	return on->err;
}

static int online_read(struct owfs_blkdev *bd, void *buf, size_t len, loff_t pos)
{
	struct online *on = (struct online *)bd;

	if (on->direct) {
		if (on->reads++ % ASK_EVERY == 0 && ask(on))
			return on->err;
		if (!owfs_blkdev_read(on->direct, buf, len, pos))
			return 0;
	}
	return fetch(on, OWFS_IOC_KEEP_READ, buf, len, (uint64_t)pos, false);
}

static int online_flush(struct owfs_blkdev *bd)
{
	(void)bd;
	return 0;
}

static void online_bd_close(struct owfs_blkdev *bd)
{
	(void)bd;	/* online_close() does it */
}

static const struct owfs_blkdev_ops online_ops = {
	.read = online_read,
	.flush = online_flush,
	.close = online_bd_close,
};

static int online_bits(void *ctx, uint64_t g, uint64_t *bits)
{
	struct online *on = ctx;
	struct owfs_geo geo;
	int ret = owfs_geo_init(&geo, on->super.blocksize, on->super.nblocks);

	if (ret)
		return ret;
	return fetch(on, OWFS_IOC_KEEP_BITS, bits,
		     OWFS_BITMAP_WORDS(geo.group_blocks) * sizeof(*bits), g,
		     true);
}

static int online_mend(void *ctx, const struct owfs_ptr *ptr,
		       unsigned int level, const struct owfs_key *first)
{
	struct online *on = ctx;
	struct owfs_ioc_mend m = {
		.addr = { ptr->addr[0], ptr->addr[1] }, .birth = ptr->birth,
		.first = { first->obj, first->off }, .level = level };

	if (call(on, OWFS_IOC_MEND, &m))
		return -errno;
	on->mended = true;
	return 0;
}

/* ------------------------------------------------------- the device itself */

struct source {
	dev_t dev;
	char path[PATH_MAX];
};

/* The newest mount comes last. */
static int is_source(void *ctx, const struct owfs_mount_entry *me)
{
	struct source *s = ctx;

	if (me->dev == s->dev)
		snprintf(s->path, sizeof(s->path), "%s", me->source);
	return 0;
}

/*
 * Everything is open.  Who asks the server must go on being root to it, and it
 * looks for this one.
 */
static void lock_in(void)
{
	const struct owfs_sandbox s = {
		.work = OWFS_SANDBOX_READER,
		.layers = OWFS_SANDBOX_RIGHTS | OWFS_SANDBOX_CALLS,
		.capabilities = 1ull << CAP_SYS_ADMIN,
	};

	owfs_sandbox_enter(&s);
}

/* What the filesystem was mounted from; of a loop device, what is behind it. */
static bool find_source(int fd, struct source *s)
{
	char behind[PATH_MAX];
	struct stat st;

	if (fstat(fd, &st))
		return false;
	s->dev = st.st_dev;
	s->path[0] = '\0';
	owfs_mounts_walk(is_source, s);
	if (!owfs_loopdev_backing(st.st_dev, behind))
		memcpy(s->path, behind, sizeof(s->path));
	return s->path[0] == '/';
}

/* Is it what the server has?  Another file may have got the name. */
static bool is_same(struct owfs_blkdev *bd, const struct online *on)
{
	struct owfs_super sb;
	struct owfs_slots slots;

	return bd->size >= on->bd.size &&
	       !owfs_super_read(bd, &sb, &slots, NULL) &&
	       !memcmp(sb.uuid, on->super.uuid, sizeof(sb.uuid)) &&
	       sb.csum_seed == on->super.csum_seed;
}

static void open_direct(struct online *on, uint64_t offset)
{
	const struct owfs_window w = { .offset = offset };
	char why[OWFS_WINDOW_WHY];
	struct source s;

	if (!find_source(on->fd, &s) ||
	    owfs_window_open(s.path, OWFS_BLKDEV_RDONLY | OWFS_BLKDEV_DIRECT,
			     &w, &on->direct, why))
		on->direct = NULL;
}

/* Know what was kept, and whether the device has it. */
static int look(struct online *on, const unsigned char *super)
{
	unsigned int slot;
	int ret = owfs_super_from_disk(&on->super, &slot, super, NULL);

	if (on->direct && (ret || !is_same(on->direct, on))) {
		owfs_blkdev_close(on->direct);
		on->direct = NULL;
	}
	return ret;
}

/* --------------------------------------------------------- beginning and end */

static int begin(struct online *on)
{
	struct owfs_ioc_keep k;

	if (call(on, OWFS_IOC_KEEP, &k))
		return -errno;
	on->id = k.id;
	on->bd.size = k.size;
	open_direct(on, k.offset);
	lock_in();
	return look(on, k.super);
}

int online_open(const char *path, bool mend, struct online **onp)
{
	struct online *on = calloc(1, sizeof(*on));
	int ret;

	if (!on)
		return -ENOMEM;
	on->bd.ops = &online_ops;
	on->bd.sector = 512;
	on->bd.readonly = true;
	on->kept = (struct owfs_check_kept){
		.super = &on->super, .bits = online_bits,
		.mend = mend ? online_mend : NULL, .ctx = on };
	on->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ret = on->fd < 0 ? -errno : begin(on);
	if (ret) {
		if (on->fd >= 0)
			close(on->fd);
		free(on);
		return ret;
	}
	*onp = on;
	return 0;
}

int online_close(struct online *on)
{
	int ret = on->mended && syncfs(on->fd) ? -errno : 0;

	ioctl(on->fd, OWFS_IOC_KEEP_END, &on->id);
	owfs_blkdev_close(on->direct);
	close(on->fd);
	free(on);
	return ret;
}

struct owfs_blkdev *online_blkdev(struct online *on)
{
	return &on->bd;
}

const struct owfs_check_kept *online_kept(struct online *on)
{
	return &on->kept;
}

bool online_is_lost(struct online *on)
{
	return ask(on);
}
