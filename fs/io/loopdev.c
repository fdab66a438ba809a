/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loop devices by ioctl and by sysfs.
 *
 * A backing file is recognised by device and inode number.  sysfs gives its
 * present name without opening the loop device (an open would keep a dying
 * one alive for a moment); LOOP_GET_STATUS64 is asked where the name says
 * nothing, as after an unlink or from another mount namespace.
 */
#include "io/loopdev.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define ATTACH_TRIES	64	/* somebody may take the free one first */

static int attach_free(int ctl, const struct loop_config *cfg,
		       bool readonly, char dev[PATH_MAX])
{
	int nr, fd, err;

	nr = ioctl(ctl, LOOP_CTL_GET_FREE);
	if (nr < 0)
		return -errno;
	snprintf(dev, PATH_MAX, "/dev/loop%d", nr);
	fd = open(dev, (readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (!ioctl(fd, LOOP_CONFIGURE, cfg))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

static int attach(int ctl, struct loop_config *cfg, bool readonly,
		  char dev[PATH_MAX])
{
	int tries, ret = -EBUSY;

	for (tries = 0; tries < ATTACH_TRIES && ret == -EBUSY; tries++)
		ret = attach_free(ctl, cfg, readonly, dev);
	if (ret != -EINVAL)
		return ret;
	/* not every file takes direct I/O or this block size */
	cfg->info.lo_flags &= ~LO_FLAGS_DIRECT_IO;
	cfg->block_size = 0;
	return attach_free(ctl, cfg, readonly, dev);
}

int owfs_loopdev_attach(const char *image, const struct owfs_window *part,
			unsigned int blocksize, bool readonly,
			char dev[PATH_MAX])
{
	struct loop_config cfg = { 0 };
	long page = sysconf(_SC_PAGESIZE);
	int ctl, fd, ret;

	fd = open(image, (readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ctl = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	if (ctl < 0) {
		ret = -errno;
		close(fd);
		return ret;
	}
	cfg.fd = fd;
	cfg.block_size = blocksize < (unsigned long)page ? blocksize : page;
	cfg.info.lo_offset = part->offset;
	cfg.info.lo_sizelimit = part->limit;
	cfg.info.lo_flags = LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO |
			    (readonly ? LO_FLAGS_READ_ONLY : 0);
	snprintf((char *)cfg.info.lo_file_name, LO_NAME_SIZE, "%s", image);
	ret = attach(ctl, &cfg, readonly, dev);
	close(ctl);
	close(fd);
	return ret;
}

static int read_line(const char *path, char *buf, size_t size)
{
	FILE *f = fopen(path, "re");
	char *line;

	if (!f)
		return -errno;
	line = fgets(buf, size, f);
	fclose(f);
	if (!line)
		return -ENOENT;
	buf[strcspn(buf, "\n")] = '\0';
	return 0;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

int owfs_loopdev_backing(dev_t rdev, char path[PATH_MAX])
{
	char attr[96];
	struct stat st;

	snprintf(attr, sizeof(attr), "/sys/dev/block/%u:%u/loop/backing_file",
		 major(rdev), minor(rdev));
	if (read_line(attr, path, PATH_MAX))
		return -ENXIO;
	return stat(path, &st) ? -ENOENT : 0;
}

/* Does the kernel say that loop device @name is over @st? */
static bool status_matches(const char *name, const struct stat *st)
{
	struct loop_info64 info;
	char dev[NAME_MAX + 8];
	bool match = false;
	int fd;

	snprintf(dev, sizeof(dev), "/dev/%s", name);
	fd = open(dev, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	if (!ioctl(fd, LOOP_GET_STATUS64, &info))
		match = info.lo_device == st->st_dev &&
			info.lo_inode == st->st_ino;
	close(fd);
	return match;
}

static bool loop_is_over(const char *name, const struct stat *st)
{
	char attr[NAME_MAX + 40], path[PATH_MAX];
	struct stat back;

	snprintf(attr, sizeof(attr), "/sys/block/%s/loop/backing_file", name);
	if (read_line(attr, path, sizeof(path)))
		return false;	/* not in use */
	if (!stat(path, &back))
		return same_file(&back, st);
	return status_matches(name, st);
}

static int loop_rdev(const char *name, dev_t *rdev)
{
	char attr[NAME_MAX + 40], num[32];
	unsigned int maj, min;

	snprintf(attr, sizeof(attr), "/sys/block/%s/dev", name);
	if (read_line(attr, num, sizeof(num)) ||
	    sscanf(num, "%u:%u", &maj, &min) != 2)
		return -ENOENT;
	*rdev = makedev(maj, min);
	return 0;
}

int owfs_loopdev_each(const struct stat *st, int (*fn)(void *ctx, dev_t rdev),
		      void *ctx)
{
	DIR *dir = opendir("/sys/block");
	struct dirent *de;
	dev_t rdev;
	int ret = 0;

	if (!dir)
		return 0;	/* no sysfs: nothing can be said */
	while (!ret && (de = readdir(dir))) {
		if (strncmp(de->d_name, "loop", 4) ||
		    !loop_is_over(de->d_name, st) ||
		    loop_rdev(de->d_name, &rdev))
			continue;
		ret = fn(ctx, rdev);
	}
	closedir(dir);
	return ret;
}
