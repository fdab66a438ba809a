/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Words about names: making, finding, moving and removing. */
#include "posix.h"

#include <errno.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

/* ---------------------------------------------------------- what stands there */

static int make_file(const char *path, size_t size)
{
	static const char digits[] = "0123456789";
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);
	size_t i;

	for (i = 0; fd >= 0 && i < size; i += 10)
		if (write(fd, digits, size - i < 10 ? size - i : 10) < 0)
			break;
	return fd < 0 ? -1 : close(fd);
}

static int make_link(const char *path, const char *kind)
{
	char target[PATH_MAX];

	snprintf(target, sizeof(target), "%s.t", path);
	if (!strcmp(kind, "lfile") && make_file(target, 10))
		return -1;
	if (!strcmp(kind, "ldir") && mkdir(target, 0755))
		return -1;
	if (!strcmp(kind, "loop"))
		return symlink(basename(path), path);
	return symlink(basename(target), path);
}

static int make_dir(const char *path, const char *kind)
{
	char in[PATH_MAX];

	if (mkdir(path, 0755))
		return -1;
	snprintf(in, sizeof(in), "%s/in", path);
	if (!strcmp(kind, "full"))
		return make_file(in, 10);
	return strcmp(kind, "deep") ? 0 : mkdir(in, 0755);
}

static int make_hard(const char *path)
{
	char other[PATH_MAX];

	snprintf(other, sizeof(other), "%s.h", path);
	return make_file(path, 10) ? -1 : link(path, other);
}

static int make_sparse(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644), ret;

	if (fd < 0)
		return -1;
	ret = pwrite(fd, "data", 4, 16384) != 4 || ftruncate(fd, 32768);
	close(fd);
	return -ret;
}

static int make_kind(const char *kind, const char *path)
{
	if (!strcmp(kind, "none"))
		return 0;
	if (!strcmp(kind, "file"))
		return make_file(path, 10);
	if (!strcmp(kind, "empty"))
		return make_file(path, 0);
	if (!strcmp(kind, "big"))
		return make_file(path, 3 * 4096 + 100);
	if (!strcmp(kind, "sparse"))
		return make_sparse(path);
	if (!strcmp(kind, "hard"))
		return make_hard(path);
	if (!strcmp(kind, "dir") || !strcmp(kind, "full") ||
	    !strcmp(kind, "deep"))
		return make_dir(path, kind);
	if (kind[0] == 'l')
		return make_link(path, kind);
	if (!strcmp(kind, "fifo"))
		return mknod(path, S_IFIFO | 0644, 0);
	if (!strcmp(kind, "sock"))
		return mknod(path, S_IFSOCK | 0644, 0);
	if (!strcmp(kind, "chr"))
		return mknod(path, S_IFCHR | 0644, makedev(1, 3));
	if (!strcmp(kind, "blk"))
		return mknod(path, S_IFBLK | 0644, makedev(259, 1048575));
	die("no such kind: %s", kind);
}

/* mk KIND PATH [MODE [UID GID]]: of the object itself, if there is one. */
static long w_mk(struct run *r)
{
	const char *path = arg_path(r, 1);

	if (make_kind(r->arg[0], path))
		return -1;
	if (!strcmp(r->arg[0], "none"))
		return 0;
	if (r->nargs > 3 &&
	    lchown(path, arg_num(r, 3), r->nargs > 4 ? arg_num(r, 4)
						     : arg_num(r, 3)))
		return -1;
	if (r->nargs > 2 && r->arg[0][0] != 'l')
		return chmod(path, arg_num(r, 2));
	return 0;
}

/* many N DIR: names in a directory */
static long w_many(struct run *r)
{
	long n = arg_num(r, 0), i;
	char name[64];

	for (i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "%s/name-%ld", arg_path(r, 1), i);
		if (make_file(name, 0))
			return -1;
	}
	return 0;
}

/* deepdir N: d/d/d/..., and be in it */
static long w_deepdir(struct run *r)
{
	long n = arg_num(r, 0);

	while (n--)
		if (mkdir("d", 0755) || chdir("d"))
			return -1;
	return 0;
}

/* ------------------------------------------------------------------ making */

static long w_open(struct run *r)
{
	int fd = openat(dirfd_of(r), arg_path(r, 0), arg_open_flags(r, 1),
			r->nargs > 2 ? arg_num(r, 2) : 0644);

	if (fd < 0)
		return -1;
	if (r->fd[r->slot] >= 0)
		close(r->fd[r->slot]);
	r->fd[r->slot] = fd;
	r->yields_fd = true;
	return fd;
}

/* creat(2), but for the wait for a fifo's other end. */
static long w_creat(struct run *r)
{
	const char *path = arg_path(r, 0);
	struct stat st;
	int fd;

	if (!stat(path, &st) && S_ISFIFO(st.st_mode))
		fd = open(path, O_CREAT | O_WRONLY | O_TRUNC | O_NONBLOCK,
			  (mode_t)arg_num(r, 1));
	else
		fd = creat(path, arg_num(r, 1));

	r->yields_fd = true;
	return fd < 0 ? -1 : close(fd);
}

static long w_close(struct run *r)
{
	int fd = fd_of(r);

	r->fd[r->slot] = -1;
	return close(fd);
}

static long w_mkdir(struct run *r)
{
	return mkdirat(dirfd_of(r), arg_path(r, 0),
		       r->nargs > 1 ? arg_num(r, 1) : 0755);
}

/* mknod PATH TYPE [MODE [MAJOR MINOR]] */
static long w_mknod(struct run *r)
{
	static const struct flag_name types[] = {
		{ "reg", S_IFREG }, { "dir", S_IFDIR }, { "chr", S_IFCHR },
		{ "blk", S_IFBLK }, { "fifo", S_IFIFO }, { "sock", S_IFSOCK },
		{ "lnk", S_IFLNK }, { NULL, 0 },
	};
	mode_t mode = flags_of(r->arg[1], types) |
		      (r->nargs > 2 ? arg_num(r, 2) : 0644);

	return mknodat(dirfd_of(r), arg_path(r, 0), mode,
		       makedev(arg_num(r, 3), arg_num(r, 4)));
}

static long w_symlink(struct run *r)
{
	return symlinkat(arg_path(r, 0), dirfd_of(r), arg_path(r, 1));
}

/* link OLD NEW [follow] */
static long w_link(struct run *r)
{
	return linkat(dirfd_of(r), arg_path(r, 0), dirfd_of(r), arg_path(r, 1),
		      r->nargs > 2 ? arg_is(r, 2, "follow") ? AT_SYMLINK_FOLLOW
				   : arg_num(r, 2) : 0);
}

/* linkfd NEW [proc]: give the open file a name */
static long w_linkfd(struct run *r)
{
	char proc[64];

	if (!arg_is(r, 1, "proc"))
		return linkat(fd_of(r), "", AT_FDCWD, arg_path(r, 0),
			      AT_EMPTY_PATH);
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd_of(r));
	return linkat(AT_FDCWD, proc, AT_FDCWD, arg_path(r, 0),
		      AT_SYMLINK_FOLLOW);
}

/* bind PATH, connect PATH: sockets */
static long on_socket(struct run *r, bool do_bind)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), ret, err;

	if (fd < 0)
		return -1;
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", arg_path(r, 0));
	ret = do_bind ? bind(fd, (struct sockaddr *)&sun, sizeof(sun))
		      : connect(fd, (struct sockaddr *)&sun, sizeof(sun));
	err = errno;
	close(fd);
	errno = err;
	return ret;
}

static long w_bind(struct run *r)
{
	return on_socket(r, true);
}

static long w_connect(struct run *r)
{
	return on_socket(r, false);
}

/* --------------------------------------------------------------- looking up */

static long w_readlink(struct run *r)
{
	char buf[PATH_MAX];
	size_t size = r->nargs > 1 ? (size_t)arg_num(r, 1) : sizeof(buf);
	ssize_t n = readlinkat(dirfd_of(r), arg_path(r, 0),
			       arg_is(r, 2, "%bad") ? (char *)8 : buf, size);

	if (n > 0)
		note(r, "%.*s", n > 40 ? 40 : (int)n, buf);
	return n;
}

static long w_access(struct run *r)
{
	static const struct flag_name modes[] = {
		{ "r", R_OK }, { "w", W_OK }, { "x", X_OK }, { "f", F_OK },
		{ NULL, 0 },
	};
	static const struct flag_name flags[] = {
		{ "eaccess", AT_EACCESS }, { "nofollow", AT_SYMLINK_NOFOLLOW },
		{ NULL, 0 },
	};

	return faccessat(dirfd_of(r), arg_path(r, 0),
			 flags_of(r->arg[1], modes),
			 r->nargs > 2 ? flags_of(r->arg[2], flags) : 0);
}

static long w_cd(struct run *r)
{
	return chdir(arg_path(r, 0));
}

static long w_fcd(struct run *r)
{
	return fchdir(fd_of(r));
}

static long w_chroot(struct run *r)
{
	return chroot(arg_path(r, 0));
}

static long w_rootin(struct run *r)
{
	return in_child(r, w_chroot);
}

/* ------------------------------------------------------- moving and removing */

static long w_unlink(struct run *r)
{
	return unlinkat(dirfd_of(r), arg_path(r, 0),
			r->nargs > 1 ? arg_num(r, 1) : 0);
}

static long w_rmdir(struct run *r)
{
	return unlinkat(dirfd_of(r), arg_path(r, 0), AT_REMOVEDIR);
}

static long w_rename(struct run *r)
{
	static const struct flag_name flags[] = {
		{ "noreplace", RENAME_NOREPLACE },
		{ "exchange", RENAME_EXCHANGE },
		{ "whiteout", RENAME_WHITEOUT }, { NULL, 0 },
	};

	return syscall(SYS_renameat2, dirfd_of(r), arg_path(r, 0), dirfd_of(r),
		       arg_path(r, 1),
		       r->nargs > 2 ? flags_of(r->arg[2], flags) : 0);
}

const struct word words_name[] = {
	{ "mk", 2, 5, w_mk },
	{ "many", 2, 2, w_many },
	{ "deepdir", 1, 1, w_deepdir },
	{ "open", 2, 3, w_open },
	{ "creat", 2, 2, w_creat },
	{ "close", 0, 0, w_close },
	{ "mkdir", 1, 2, w_mkdir },
	{ "mknod", 2, 5, w_mknod },
	{ "symlink", 2, 2, w_symlink },
	{ "link", 2, 3, w_link },
	{ "linkfd", 1, 2, w_linkfd },
	{ "bind", 1, 1, w_bind },
	{ "connect", 1, 1, w_connect },
	{ "readlink", 1, 3, w_readlink },
	{ "access", 2, 3, w_access },
	{ "cd", 1, 1, w_cd },
	{ "fcd", 0, 0, w_fcd },
	{ "rootin", 1, 1, w_rootin },
	{ "unlink", 1, 2, w_unlink },
	{ "rmdir", 1, 1, w_rmdir },
	{ "rename", 2, 3, w_rename },
	{ NULL, 0, 0, NULL },
};
