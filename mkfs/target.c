/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Devices and image files as something to make a filesystem on.  Every reason
 * to refuse ends up as one line that names the path and what to do.
 */
#include <fcntl.h>
#include <linux/fs.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/err.h"
#include "base/size.h"
#include "io/loopdev.h"
#include "io/mounts.h"
#include "target.h"

static int fail(struct owfs_target *t, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int fail(struct owfs_target *t, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(t->err, sizeof(t->err), fmt, ap);
	va_end(ap);
	return err;
}

/* Names under /dev are devices; a file of that name would be a slip. */
static bool is_device_name(const char *path)
{
	return !strncmp(path, "/dev/", 5) && strncmp(path, "/dev/shm/", 9);
}

/* @has bytes are there, or may be: what of it shall the filesystem take? */
static int set_size(struct owfs_target *t, uint64_t size, uint64_t has)
{
	struct owfs_window *w = &t->window;
	uint64_t shown = owfs_window_size(w, has);

	if (size > shown)
		return fail(t, -ENOSPC,
			    "%s has %llu bytes there, fewer than the %llu asked for",
			    t->path, (unsigned long long)shown,
			    (unsigned long long)size);
	if (!size && !shown)
		return fail(t, -EINVAL, w->offset ?
			    "%s ends before the offset; give a SIZE" :
			    "%s is empty; give a SIZE", t->path);
	t->size = size ? size : shown;
	if (!owfs_window_is_all(w))
		w->limit = t->size;
	return 0;
}

static int look_missing(struct owfs_target *t, uint64_t size)
{
	if (errno != ENOENT)
		return fail(t, -errno, "%s: %s", t->path, strerror(errno));
	if (is_device_name(t->path))
		return fail(t, -ENOENT, "%s: no such device", t->path);
	if (!size)
		return fail(t, -ENOENT,
			    "%s does not exist; give a SIZE to create an image file",
			    t->path);
	return set_size(t, size, INT64_MAX);
}

static int block_size(struct owfs_target *t)
{
	int fd = open(t->path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return fail(t, -errno, "cannot open %s: %s", t->path,
			    strerror(errno));
	if (ioctl(fd, BLKGETSIZE64, &t->old_size)) {
		int err = -errno;

		close(fd);
		return fail(t, err, "cannot learn the size of %s: %s", t->path,
			    strerror(-err));
	}
	close(fd);
	return 0;
}

static int look_size(struct owfs_target *t, uint64_t size)
{
	int ret;

	if (t->is_block) {
		ret = block_size(t);
		if (ret)
			return ret;
	}
	/* a file grows to what it is asked for */
	return set_size(t, size,
			size && !t->is_block ? INT64_MAX : t->old_size);
}

static int loop_found(void *ctx, dev_t rdev)
{
	*(dev_t *)ctx = rdev;
	return 1;
}

struct file_mount {
	const struct stat *st;
	char point[PATH_MAX];
};

/* Is the file itself named as what is mounted, as FUSE servers do? */
static int source_is_file(void *ctx, const struct owfs_mount_entry *me)
{
	struct file_mount *fm = ctx;
	struct stat st;

	if (me->source[0] != '/' || stat(me->source, &st) ||
	    st.st_dev != fm->st->st_dev || st.st_ino != fm->st->st_ino)
		return 0;
	snprintf(fm->point, sizeof(fm->point), "%s", me->point);
	return 1;
}

/*
 * The lock knows what is mounted and who serves it.  Beyond that, an image
 * with a loop device over it is as good as mounted: both would have caches.
 */
static int check_users(struct owfs_target *t, const struct stat *st)
{
	struct file_mount fm = { .st = st };
	char holder[OWFS_DEVLOCK_HOLDER];
	dev_t loop;
	int ret = owfs_devlock_take(t->path, true, &t->lock, holder,
				    sizeof(holder));

	if (ret == -EBUSY)
		return fail(t, ret, "%s is in use by %s", t->path, holder);
	if (ret)
		return fail(t, ret, "cannot open %s: %s", t->path,
			    owfs_blkdev_strerror(ret, 0));
	if (t->is_block)
		return 0;
	if (owfs_mounts_walk(source_is_file, &fm) == 1)
		return fail(t, -EBUSY, "%s is mounted on %s", t->path,
			    fm.point);
	if (owfs_loopdev_each(st, loop_found, &loop) == 1)
		return fail(t, -EBUSY, "%s is in use by /dev/loop%u", t->path,
			    minor(loop));
	return 0;
}

int owfs_target_look(struct owfs_target *t, const char *path, uint64_t size,
		     const struct owfs_window *window)
{
	struct stat st;
	int ret;

	memset(t, 0, sizeof(*t));
	t->path = path;
	t->fd = -1;
	t->window = *window;
	if (stat(path, &st))
		return look_missing(t, size);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return fail(t, -ENOTBLK,
			    "%s is neither a block device nor a regular file",
			    path);
	t->exists = true;
	t->is_block = S_ISBLK(st.st_mode);
	t->old_size = (uint64_t)st.st_size;
	ret = check_users(t, &st);
	return ret ? ret : look_size(t, size);
}

static uint64_t end_of(const struct owfs_target *t)
{
	return t->window.offset + t->size;
}

static bool has_to_grow(const struct owfs_target *t)
{
	return !t->is_block && !(t->exists && t->old_size >= end_of(t));
}

static int open_bd(struct owfs_target *t, bool readonly)
{
	unsigned int flags = readonly ? OWFS_BLKDEV_RDONLY : 0;
	char why[OWFS_WINDOW_WHY];
	int ret;

	/* on a file this would wait for our own lock */
	if (!readonly && t->is_block)
		flags |= OWFS_BLKDEV_EXCL;
	ret = owfs_window_open(t->path, flags, &t->window, &t->bd, why);

	if (ret == -EBUSY)
		return fail(t, ret, "%s is in use by another program",
			    t->path);
	if (ret)
		return fail(t, ret, "cannot open %s%s: %s", t->path,
			    readonly ? "" : " for writing", why);
	if (t->bd->readonly && !readonly)
		return fail(t, -EROFS, "%s is read-only", t->path);
	return 0;
}

static int open_to_grow(struct owfs_target *t, int flags)
{
	t->fd = open(t->path, O_RDWR | O_CLOEXEC | flags, 0666);
	if (t->fd < 0)
		return fail(t, -errno, "cannot %s %s: %s",
			    flags ? "create" : "open", t->path,
			    strerror(errno));
	return 0;
}

int owfs_target_open(struct owfs_target *t, bool readonly)
{
	int ret = open_bd(t, readonly);

	if (!ret && !readonly && has_to_grow(t))
		ret = open_to_grow(t, 0);
	return ret;
}

static int create(struct owfs_target *t)
{
	char holder[OWFS_DEVLOCK_HOLDER];
	int ret = open_to_grow(t, O_CREAT | O_EXCL);

	if (ret)
		return ret;
	t->created = true;
	ret = owfs_devlock_take(t->path, true, &t->lock, holder,
				sizeof(holder));
	if (ret)
		return fail(t, ret, "%s is in use by %s", t->path, holder);
	return 0;
}

int owfs_target_too_large(struct owfs_target *t)
{
	struct rlimit limit;

	if (!getrlimit(RLIMIT_FSIZE, &limit) && limit.rlim_cur < end_of(t))
		return fail(t, -EFBIG,
			    "%s: no file may be larger than %s here, and %s are wanted; ulimit -f unlimited lifts that",
			    t->path, owfs_size_text(limit.rlim_cur).s,
			    owfs_size_text(end_of(t)).s);
	return fail(t, -EFBIG,
		    "the file system that holds %s does not take a file of %s; give a smaller SIZE, or another place",
		    t->path, owfs_size_text(end_of(t)).s);
}

static int extend(struct owfs_target *t)
{
	int err;

	if (!ftruncate(t->fd, (off_t)end_of(t))) {
		t->extended = true;
		return 0;
	}
	err = errno;
	if (err == EFBIG || err == EINVAL)
		return owfs_target_too_large(t);
	return fail(t, -err, "cannot extend %s to %s: %s", t->path,
		    owfs_size_text(end_of(t)).s, strerror(err));
}

bool owfs_target_shows(const struct owfs_target *t)
{
	return t->exists && owfs_window_size(&t->window, t->old_size);
}

/* The size of an open device is fixed: another one takes its place. */
static int open_grown(struct owfs_target *t)
{
	char why[OWFS_WINDOW_WHY];
	struct owfs_blkdev *under;
	int ret = owfs_blkdev_fdopen(t->fd, 0, &under);

	if (ret)
		return fail(t, ret, "cannot open %s: %s", t->path,
			    strerror(-ret));
	t->fd = -1;
	owfs_blkdev_close(t->bd);
	t->bd = under;
	ret = owfs_window_over(under, &t->window, &t->bd, why);
	if (ret)
		return fail(t, ret, "cannot open %s: %s", t->path, why);
	return 0;
}

int owfs_target_grow(struct owfs_target *t)
{
	int ret = 0;

	if (!has_to_grow(t))
		return 0;
	if (!t->exists)
		ret = create(t);
	else if (t->fd < 0)
		ret = open_to_grow(t, 0);
	if (!ret)
		ret = extend(t);
	return ret ? ret : open_grown(t);
}

static int cut_back(const struct owfs_target *t)
{
	int fd = t->bd ? owfs_blkdev_fd(owfs_window_under(t->bd)) : t->fd;

	return ftruncate(fd, (off_t)t->old_size) ? -errno : 0;
}

void owfs_target_close(struct owfs_target *t, bool keep)
{
	int ret = 0;

	if (!keep && t->extended && !t->created)
		ret = cut_back(t);
	if (ret)
		fprintf(stderr, "%s: left longer than it was: %s\n", t->path,
			strerror(-ret));
	owfs_blkdev_close(t->bd);
	t->bd = NULL;
	if (t->fd >= 0)
		close(t->fd);
	t->fd = -1;
	if (!keep && t->created)
		unlink(t->path);
	owfs_devlock_release(t->lock);
	t->lock = NULL;
}
