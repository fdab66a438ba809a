/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is locked, and why just that.
 *
 * Image file: flock(2) on the file.  It belongs to the inode, so every path,
 * hard link and bind mount leads to the same lock; `flock IMAGE true` waits
 * for it in a shell.
 *
 * Block device: two device nodes may name one device, and flock(2) on a node
 * belongs to the node (udev uses it, too).  So the lock is taken on the
 * device's own attribute in sysfs, /sys/dev/block/MAJOR:MINOR/dev: one inode
 * per device whatever the nodes, readable by all, nothing to clean up.
 * Without sysfs the node has to do.  The kernel's own claim (O_EXCL) is only
 * probed: a fuseblk mount takes it for itself and would find it taken.
 *
 * Loop device: the device, and then the same for what is behind it, so that
 * an image and all loop devices over it exclude each other.
 */
#include "io/devlock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "io/loopdev.h"
#include "io/mounts.h"

#define DEPTH_MAX	8	/* loop devices upon loop devices */

struct owfs_devlock {
	int fd[DEPTH_MAX];
	int n;
};

struct holder {
	char *text;
	size_t size;
};

/* ------------------------------------------------------- who is in the way */

/* The process that /proc/locks shows for the inode behind @fd; 0 unknown. */
static pid_t lock_owner(int fd)
{
	FILE *f;
	unsigned int maj, min;
	unsigned long ino;
	char *line = NULL;
	size_t size = 0;
	pid_t pid, found = 0;
	struct stat st;

	if (fstat(fd, &st))
		return 0;
	f = fopen("/proc/locks", "re");
	if (!f)
		return 0;
	while (!found && getline(&line, &size, f) > 0)
		if (sscanf(line, "%*d: FLOCK %*s %*s %d %x:%x:%lu", &pid,
			   &maj, &min, &ino) == 4 &&
		    ino == st.st_ino && makedev(maj, min) == st.st_dev)
			found = pid;
	free(line);
	fclose(f);
	return found;
}

static void name_process(struct holder *h, pid_t pid)
{
	char path[40], comm[64] = "";
	FILE *f;

	if (pid <= 0) {
		snprintf(h->text, h->size, "another process");
		return;
	}
	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	f = fopen(path, "re");
	if (f) {
		if (fgets(comm, sizeof(comm), f))
			comm[strcspn(comm, "\n")] = '\0';
		fclose(f);
	}
	if (comm[0])
		snprintf(h->text, h->size, "pid %d (%s)", pid, comm);
	else
		snprintf(h->text, h->size, "pid %d", pid);
}

static void name_mount(struct holder *h, const char *point)
{
	size_t n = strlen(h->text);

	snprintf(h->text + n, h->size - n, "%smounted on %s; umount %s",
		 n ? ", " : "a filesystem ", point, point);
}

static int loop_mounted(void *ctx, dev_t rdev)
{
	char point[PATH_MAX];

	if (owfs_mounts_of_dev(rdev, point))
		return 0;
	name_mount(ctx, point);
	return -EBUSY;
}

struct by_source {
	struct holder *h;
	char path[PATH_MAX];
};

/* A plain fuse mount has no device; ours carries the image's name. */
static int source_mounted(void *ctx, const struct owfs_mount_entry *me)
{
	const struct by_source *bs = ctx;

	if (strcmp(me->source, bs->path) || !strstr(me->type, ".owfs"))
		return 0;
	name_mount(bs->h, me->point);
	return -EBUSY;
}

/* -EBUSY, and named, if the kernel has @path mounted; else 0. */
static int check_mounts(const char *path, const struct stat *st,
			struct holder *h)
{
	struct by_source bs = { .h = h };
	int ret;

	if (S_ISBLK(st->st_mode))
		return loop_mounted(h, st->st_rdev);
	ret = owfs_loopdev_each(st, loop_mounted, h);
	if (ret || !realpath(path, bs.path))
		return ret;
	ret = owfs_mounts_walk(source_mounted, &bs);
	return ret == -EBUSY ? ret : 0;
}

/* ------------------------------------------------------------------ locking */

static int lock_fd(struct owfs_devlock *lock, int fd, bool exclusive,
		   struct holder *h)
{
	int err;

	if (!flock(fd, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB)) {
		lock->fd[lock->n++] = fd;
		return 0;
	}
	err = errno;
	if (err == EWOULDBLOCK) {
		name_process(h, lock_owner(fd));
		err = EBUSY;
	}
	close(fd);
	return -err;
}

static int open_lockable(const char *path, const struct stat *st)
{
	char attr[64];
	int fd = -1;

	if (S_ISBLK(st->st_mode)) {
		snprintf(attr, sizeof(attr), "/sys/dev/block/%u:%u/dev",
			 major(st->st_rdev), minor(st->st_rdev));
		fd = open(attr, O_RDONLY | O_CLOEXEC);
	}
	if (fd < 0)
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

static int lock_path(struct owfs_devlock *lock, const char *path,
		     bool exclusive, struct holder *h)
{
	char behind[PATH_MAX];
	struct stat st;
	int ret, fd;

	if (stat(path, &st))
		return -errno;
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return -ENOTBLK;
	if (lock->n == DEPTH_MAX)
		return -ELOOP;
	fd = open_lockable(path, &st);
	if (fd < 0)
		return fd;
	ret = lock_fd(lock, fd, exclusive, h);
	if (ret == -EBUSY)
		check_mounts(path, &st, h);
	if (ret || !S_ISBLK(st.st_mode) ||
	    owfs_loopdev_backing(st.st_rdev, behind))
		return ret;
	return lock_path(lock, behind, exclusive, h);
}

/* Does anybody but us keep the kernel's claim on the block device? */
static int probe_claim(const char *path, struct holder *h)
{
	int fd = open(path, O_RDONLY | O_EXCL | O_CLOEXEC | O_NONBLOCK);

	if (fd >= 0) {
		close(fd);
		return 0;
	}
	if (errno != EBUSY)
		return -errno;
	snprintf(h->text, h->size,
		 "the kernel (mounted elsewhere, or part of LVM, RAID or swap)");
	return -EBUSY;
}

static int refuse_mounted(const char *path, struct holder *h)
{
	struct stat st;
	int ret;

	if (stat(path, &st))
		return -errno;
	ret = check_mounts(path, &st, h);
	if (!ret && S_ISBLK(st.st_mode))
		ret = probe_claim(path, h);
	return ret;
}

int owfs_devlock_take(const char *path, bool exclusive,
		      struct owfs_devlock **lockp, char *holder, size_t size)
{
	struct owfs_devlock *lock = calloc(1, sizeof(*lock));
	struct holder h = { holder, size };
	int ret;

	if (size)
		holder[0] = '\0';
	if (!lock)
		return -ENOMEM;
	ret = lock_path(lock, path, exclusive, &h);
	if (!ret && exclusive)
		ret = refuse_mounted(path, &h);
	if (ret) {
		owfs_devlock_release(lock);
		return ret;
	}
	*lockp = lock;
	return 0;
}

void owfs_devlock_release(struct owfs_devlock *lock)
{
	if (!lock)
		return;
	while (lock->n) {
		flock(lock->fd[--lock->n], LOCK_UN);
		close(lock->fd[lock->n]);
	}
	free(lock);
}
