/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Mount types.  root, with a block device or an image behind a loop device,
 * gets a fuseblk mount: only there umount(2) waits for the server and does
 * syncfs(2) reach it.  Everybody else gets a plain fuse mount, through
 * fusermount3 if need be.  The mount itself is made by libfuse, which knows
 * all the ways; its session is used for nothing else.
 */
#include "fuse/mnt.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/util.h"
#include "fuse/worker.h"
#include "io/loopdev.h"
#include "io/mounts.h"

/* How long INIT may take to arrive; the kernel queues it inside mount(2). */
#define INIT_TIMEOUT_MS	1000
/* ... and how long what comes after it in iomap mode */
#define BDI_TRIES	50
#define BDI_WAIT_MS	10

/* --------------------------------------------------------------- what kind */

/* fuseblk needs root in the first user namespace. */
static bool is_real_root(void)
{
	unsigned long inside, outside, count;
	FILE *f;
	int n;

	if (geteuid())
		return false;
	f = fopen("/proc/self/uid_map", "re");
	if (!f)
		return true;
	n = fscanf(f, "%lu %lu %lu", &inside, &outside, &count);
	fclose(f);
	return n != 3 || (!inside && !outside && count == 4294967295ul);
}

bool owfs_mnt_may_be_fuseblk(const struct owfs_opts *o)
{
	return !o->plain && is_real_root();
}

struct source {
	char name[PATH_MAX];	/* block device or image */
	bool blkdev;
	int loop_fd;		/* keeps a fresh loop device until it is mounted */
};

static void choose_source(const struct owfs_opts *o,
			  const struct owfs_msg *msg,
			  const struct owfs_served *served, struct source *src)
{
	struct stat st;
	int fd;

	src->loop_fd = -1;
	src->blkdev = false;
	snprintf(src->name, sizeof(src->name), "%s",
		 served->loop[0] ? served->loop : o->device);
	if (!owfs_mnt_may_be_fuseblk(o) || served->plain ||
	    stat(src->name, &st))
		return;
	if (S_ISBLK(st.st_mode)) {
		src->blkdev = true;
		return;
	}
	fd = owfs_loopdev_attach(o->device, &o->window, served->blocksize,
				 served->readonly, src->name);
	if (fd >= 0) {
		src->loop_fd = fd;
		src->blkdev = true;
		return;
	}
	snprintf(src->name, sizeof(src->name), "%s", o->device);
	owfs_msg(msg, OWFS_MSG_WARN,
		 "%s: no loop device (%s): plain fuse mount, umount will not wait for the last commit",
		 o->device, strerror(-fd));
}

/* ---------------------------------------------------------------- mounting */

static int add_options(const struct owfs_opts *o, const struct source *src,
		       const struct owfs_served *served,
		       struct fuse_args *args)
{
	unsigned long page = sysconf(_SC_PAGESIZE);
	char *opts = NULL, fsname[PATH_MAX + 8], word[64];
	int bad = 0;

	snprintf(fsname, sizeof(fsname), "fsname=%s", src->name);
	bad |= fuse_opt_add_opt_escaped(&opts, fsname);
	bad |= fuse_opt_add_opt(&opts, "subtype=owfs,default_permissions");
	if (o->allow_other || !geteuid())
		bad |= fuse_opt_add_opt(&opts, "allow_other");
	/*
	 * As mount(8) has it, unless owners are changed: nobody shall become
	 * who he is not by a program on a foreign medium.  What the user asked
	 * for comes after and wins.
	 */
	if (o->uid_given || o->gid_given)
		bad |= fuse_opt_add_opt(&opts, "nosuid,nodev");
	else if (!geteuid())
		bad |= fuse_opt_add_opt(&opts, "suid,dev");
	if (o->kernel[0])
		bad |= fuse_opt_add_opt(&opts, o->kernel);
	if (served->readonly)
		bad |= fuse_opt_add_opt(&opts, "ro");
	if (src->blkdev) {
		snprintf(word, sizeof(word), "blkdev,blksize=%lu",
			 served->blocksize < page ?
			 (unsigned long)served->blocksize : page);
		bad |= fuse_opt_add_opt(&opts, word);
	}
	bad |= fuse_opt_add_arg(args, o->prog);
	bad |= fuse_opt_add_arg(args, "-o");
	bad |= fuse_opt_add_arg(args, opts ? opts : "");
	free(opts);
	return bad ? -ENOMEM : 0;
}

static int fuse_mount_only(const struct owfs_opts *o, const struct source *src,
			   const struct owfs_served *served,
			   struct owfs_mnt *m)
{
	static const struct fuse_lowlevel_ops none;
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	struct fuse_session *se = NULL;
	int ret = add_options(o, src, served, &args);

	if (!ret) {
		se = fuse_session_new(&args, &none, sizeof(none), NULL);
		ret = se ? 0 : -EINVAL;
	}
	if (!ret && fuse_session_mount(se, o->mountpoint))
		ret = -EIO;	/* the library has said why */
	fuse_opt_free_args(&args);
	if (!ret) {
		m->se = se;
		m->fd = fuse_session_fd(se);
	} else if (se) {
		fuse_session_destroy(se);
	}
	return ret;
}

void owfs_mnt_close(struct owfs_mnt *m)
{
	struct pollfd pfd = { .fd = m->fd };

	if (!m->se)
		return;
	/* libfuse forgets the mount point only by unmounting; if the kernel
	   has done that already, all it does is to close the descriptor */
	if (poll(&pfd, 1, 0) == 1 && (pfd.revents & POLLERR))
		fuse_session_unmount(m->se);
	fuse_session_destroy(m->se);	/* closes m->fd */
	m->se = NULL;
	m->fd = -1;
}

/*
 * A fuseblk mount of a device that is mounted already gives the old tree and
 * leaves our descriptor without a connection.
 */
static int check_ours(const struct owfs_opts *o, const struct source *src,
		      const struct owfs_msg *msg, struct owfs_mnt *m)
{
	struct pollfd pfd = { .fd = m->fd, .events = POLLIN };
	char point[PATH_MAX];

	if (poll(&pfd, 1, INIT_TIMEOUT_MS) == 1 && pfd.revents == POLLIN)
		return 0;
	owfs_mnt_close(m);
	umount2(o->mountpoint, MNT_DETACH);
	if (owfs_mounts_of_dev(m->dev, point))
		owfs_msg(msg, OWFS_MSG_ERROR,
			 "%s: the kernel still serves an older mount of it that is detached but in use",
			 src->name);
	else
		owfs_msg(msg, OWFS_MSG_ERROR,
			 "%s: is already mounted on %s; umount %s",
			 src->name, point, point);
	return -EBUSY;
}

/* As the kernel calls what a mount reads and writes by. */
static int set_readahead(dev_t dev, const char *kind)
{
	char path[80];
	FILE *f;

	snprintf(path, sizeof(path), "/sys/class/bdi/%u:%u%s/read_ahead_kb",
		 major(dev), minor(dev), kind);
	f = fopen(path, "we");
	if (!f)
		return -errno;
	fprintf(f, "%u\n", OWFS_SESSION_READAHEAD >> 10);
	fclose(f);
	return 0;
}

/*
 * The kernel reads ahead 128 KiB, which makes eight requests of what could be
 * one.  INIT can only lower that; this is where it is raised.  A plain mount
 * by a user stays as it is.
 */
static void raise_readahead(const struct owfs_mnt *m)
{
	set_readahead(m->dev, m->fuseblk ? "-fuseblk" : "");
}

/* It gets another one soon after INIT was answered, if it is going to. */
void owfs_mnt_serving(const struct owfs_mnt *m)
{
	const char *kind = m->fuseblk ? "-fuseblk.iomap" : "-fuse.iomap";
	int i;

	for (i = 0; i < BDI_TRIES && set_readahead(m->dev, kind) == -ENOENT; i++)
		poll(NULL, 0, BDI_WAIT_MS);
}

int owfs_mnt_mount(const struct owfs_opts *o, const struct owfs_msg *msg,
		   const struct owfs_served *served, struct owfs_mnt *m)
{
	struct source src;
	int ret;

	m->se = NULL;
	m->fd = -1;
	choose_source(o, msg, served, &src);
	m->fuseblk = src.blkdev;
	ret = fuse_mount_only(o, &src, served, m);
	if (!ret)
		ret = owfs_mounts_on(o->mountpoint, &m->dev);
	if (!ret)
		ret = check_ours(o, &src, msg, m);
	else
		owfs_msg(msg, OWFS_MSG_ERROR, "%s: cannot mount on %s",
			 o->device, o->mountpoint);
	if (!ret)
		raise_readahead(m);
	if (src.loop_fd >= 0)
		close(src.loop_fd);
	return ret;
}

/* -------------------------------------------------------------- remounting */

static unsigned long flag_of(const char *word)
{
	static const struct { const char *word; unsigned long flag; } flags[] = {
		{ "nosuid", MS_NOSUID }, { "nodev", MS_NODEV },
		{ "noexec", MS_NOEXEC }, { "noatime", MS_NOATIME },
		{ "sync", MS_SYNCHRONOUS },
		{ "dirsync", MS_DIRSYNC },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(flags); i++)
		if (!strcmp(word, flags[i].word))
			return flags[i].flag;
	return 0;
}

int owfs_mnt_remount(const struct owfs_opts *o)
{
	unsigned long flags = MS_REMOUNT | (o->readonly ? MS_RDONLY : 0);
	char list[sizeof(o->kernel)], *word, *save;

	snprintf(list, sizeof(list), "%s", o->kernel);
	for (word = strtok_r(list, ",", &save); word;
	     word = strtok_r(NULL, ",", &save))
		flags |= flag_of(word);
	if (!mount(o->device, o->mountpoint, NULL, flags, NULL))
		return 0;
	fprintf(stderr, "%s: %s: cannot remount: %s\n", o->prog,
		o->mountpoint, strerror(errno));
	return -errno;
}

/* -------------------------------------------------------------- unmounting */

static int run_fusermount(const char *point, bool detach)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		execlp("fusermount3", "fusermount3", "-u", "-q",
		       detach ? "-z" : "--", detach ? "--" : point,
		       detach ? point : NULL, NULL);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -errno;
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -EBUSY;
}

static int umount_one(const char *point, bool detach)
{
	if (geteuid())
		return run_fusermount(point, detach);
	if (!umount2(point, UMOUNT_NOFOLLOW | (detach ? MNT_DETACH : 0)))
		return 0;
	return -errno;
}

void owfs_mnt_unmount(dev_t dev, bool detach)
{
	char point[PATH_MAX];

	while (!owfs_mounts_of_dev(dev, point)) {
		if (!detach && !umount_one(point, false))
			continue;
		if (umount_one(point, true))
			return;
	}
}

void owfs_mnt_detach_dead(dev_t dev)
{
	char point[PATH_MAX];
	struct statfs st;

	while (!owfs_mounts_of_dev(dev, point)) {
		if (!statfs(point, &st) || errno != ENOTCONN)
			return;
		if (umount_one(point, true))
			return;
	}
}
