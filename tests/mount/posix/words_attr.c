/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Words about attributes: mode, owner, times, extended attributes. */
#include "posix.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#ifndef SYS_fchmodat2
#define SYS_fchmodat2	452
#endif
#ifndef STATX_DIOALIGN
#define STATX_DIOALIGN	0x2000u
#endif

static long w_chmod(struct run *r)
{
	return fchmodat(dirfd_of(r), arg_path(r, 0), arg_num(r, 1), 0);
}

static long w_lchmod(struct run *r)
{
	return syscall(SYS_fchmodat2, dirfd_of(r), arg_path(r, 0),
		       (mode_t)arg_num(r, 1), AT_SYMLINK_NOFOLLOW);
}

static long w_fchmod(struct run *r)
{
	return fchmod(fd_of(r), arg_num(r, 0));
}

static long w_chown(struct run *r)
{
	return fchownat(dirfd_of(r), arg_path(r, 0), arg_num(r, 1),
			arg_num(r, 2), 0);
}

static long w_lchown(struct run *r)
{
	return fchownat(dirfd_of(r), arg_path(r, 0), arg_num(r, 1),
			arg_num(r, 2), AT_SYMLINK_NOFOLLOW);
}

static long w_fchown(struct run *r)
{
	return fchown(fd_of(r), arg_num(r, 0), arg_num(r, 1));
}

static long w_truncate(struct run *r)
{
	return truncate(arg_path(r, 0), arg_num(r, 1));
}

static long w_ftruncate(struct run *r)
{
	return ftruncate(fd_of(r), arg_num(r, 0));
}

static long w_umask(struct run *r)
{
	umask(arg_num(r, 0));
	return 0;
}

/* ------------------------------------------------------------------- times */

/* now, omit, SECONDS[.NANOSECONDS] */
static struct timespec arg_time(struct run *r, unsigned int i)
{
	struct timespec ts = { .tv_sec = 0 };
	char *end;

	if (arg_is(r, i, "now")) {
		ts.tv_nsec = UTIME_NOW;
	} else if (arg_is(r, i, "omit")) {
		ts.tv_nsec = UTIME_OMIT;
	} else {
		ts.tv_sec = strtoll(r->arg[i], &end, 10);
		if (*end == '.')
			ts.tv_nsec = strtol(end + 1, NULL, 10);
	}
	return ts;
}

/* utime PATH ATIME MTIME [nofollow] */
static long w_utime(struct run *r)
{
	const struct timespec ts[2] = { arg_time(r, 1), arg_time(r, 2) };

	return utimensat(dirfd_of(r), arg_path(r, 0), ts,
			 arg_is(r, 3, "nofollow") ? AT_SYMLINK_NOFOLLOW : 0);
}

static long w_utimenull(struct run *r)
{
	return utimensat(dirfd_of(r), arg_path(r, 0), NULL, 0);
}

static long w_futime(struct run *r)
{
	const struct timespec ts[2] = { arg_time(r, 0), arg_time(r, 1) };

	return futimens(fd_of(r), ts);
}

/* -------------------------------------------------------------------- stat */

static long w_stat(struct run *r)
{
	struct stat st;

	return fstatat(dirfd_of(r), arg_path(r, 0),
		       arg_is(r, 1, "%bad") ? (void *)8 : &st, 0);
}

static long w_lstat(struct run *r)
{
	struct stat st;

	return fstatat(dirfd_of(r), arg_path(r, 0), &st, AT_SYMLINK_NOFOLLOW);
}

static long w_fstat(struct run *r)
{
	struct stat st;
	int ret = fstat(fd_of(r), &st);

	if (!ret && S_ISREG(st.st_mode))
		note(r, "%lld,n%u,%04o", (long long)st.st_size,
		     (unsigned int)st.st_nlink, st.st_mode & 07777);
	return ret;
}

/* statx PATH [FLAGS]: what is answered, not the answers */
static long w_statx(struct run *r)
{
	static const struct flag_name flags[] = {
		{ "empty", AT_EMPTY_PATH }, { "nofollow", AT_SYMLINK_NOFOLLOW },
		{ "force", AT_STATX_FORCE_SYNC },
		{ "dont", AT_STATX_DONT_SYNC },
		{ "both", AT_STATX_FORCE_SYNC | AT_STATX_DONT_SYNC },
		{ NULL, 0 },
	};
	struct statx sx;
	long ret = statx(r->slot || fd_of(r) >= 0 ? fd_of(r) : dirfd_of(r),
			 arg_path(r, 0),
			 r->nargs > 1 ? flags_of(r->arg[1], flags) : 0,
			 STATX_BASIC_STATS | STATX_BTIME,
			 arg_is(r, 2, "%bad") ? (void *)8 : &sx);

	if (!ret)
		note(r, "%x,%x,%u", sx.stx_mask,
		     (unsigned int)sx.stx_attributes, sx.stx_blksize);
	return ret;
}

static long w_statfs(struct run *r)
{
	struct statfs st;
	int ret = statfs(arg_path(r, 0), &st);

	if (!ret)
		note(r, "%ld,%d", (long)st.f_namelen,
		     st.f_bfree <= st.f_blocks && st.f_bavail <= st.f_bfree);
	return ret;
}

static long w_fstatfs(struct run *r)
{
	struct statfs st;

	return fstatfs(fd_of(r), &st);
}

/* ---------------------------------------------------- extended attributes */

/* A value: so many bytes if it is "#N", else the word. */
static size_t arg_value(struct run *r, unsigned int i, char *buf, size_t room)
{
	size_t n;

	if (arg_is(r, i, "%empty"))
		return 0;
	if (r->arg[i][0] != '#') {
		n = strlen(r->arg[i]);
		memcpy(buf, r->arg[i], n < room ? n : room);
		return n;
	}
	n = strtoul(r->arg[i] + 1, NULL, 10);
	if (n > room)
		die("value too long");
	memset(buf, 'v', n);
	return n;
}

static const struct flag_name xattr_flags[] = {
	{ "create", XATTR_CREATE }, { "replace", XATTR_REPLACE }, { NULL, 0 },
};

/* setxattr PATH NAME VALUE [FLAGS]; of the symlink itself: lsetxattr */
static long do_setxattr(struct run *r, bool nofollow)
{
	static char value[1 << 17];
	size_t n = arg_value(r, 2, value, sizeof(value));
	int flags = r->nargs > 3 ? flags_of(r->arg[3], xattr_flags) : 0;

	return nofollow ? lsetxattr(arg_path(r, 0), arg_path(r, 1), value, n,
				    flags)
			: setxattr(arg_path(r, 0), arg_path(r, 1), value, n,
				   flags);
}

static long w_setxattr(struct run *r)
{
	return do_setxattr(r, false);
}

static long w_lsetxattr(struct run *r)
{
	return do_setxattr(r, true);
}

/* fsetxattr NAME VALUE [FLAGS] */
static long w_fsetxattr(struct run *r)
{
	static char value[1 << 17];
	size_t n = arg_value(r, 1, value, sizeof(value));

	return fsetxattr(fd_of(r), arg_path(r, 0), value, n,
			 r->nargs > 2 ? flags_of(r->arg[2], xattr_flags) : 0);
}

/* getxattr PATH NAME [ROOM] */
static long do_getxattr(struct run *r, bool nofollow)
{
	static char value[1 << 17];
	size_t room = r->nargs > 2 ? (size_t)arg_num(r, 2) : sizeof(value);
	ssize_t n;

	n = nofollow ? lgetxattr(arg_path(r, 0), arg_path(r, 1), value, room)
		     : getxattr(arg_path(r, 0), arg_path(r, 1), value, room);
	if (n > 0 && room)
		note(r, "%.*s", n > 20 ? 20 : (int)n, value);
	return n;
}

static long w_getxattr(struct run *r)
{
	return do_getxattr(r, false);
}

static long w_lgetxattr(struct run *r)
{
	return do_getxattr(r, true);
}

static long w_fgetxattr(struct run *r)
{
	char value[256];

	return fgetxattr(fd_of(r), arg_path(r, 0), value, sizeof(value));
}

static long w_rmxattr(struct run *r)
{
	return removexattr(arg_path(r, 0), arg_path(r, 1));
}

static long w_lrmxattr(struct run *r)
{
	return lremovexattr(arg_path(r, 0), arg_path(r, 1));
}

static long w_frmxattr(struct run *r)
{
	return fremovexattr(fd_of(r), arg_path(r, 0));
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* listxattr PATH [ROOM]: names in order */
static long w_listxattr(struct run *r)
{
	static char list[1 << 17];
	size_t room = r->nargs > 1 ? (size_t)arg_num(r, 1) : sizeof(list);
	ssize_t n = llistxattr(arg_path(r, 0), list, room);
	const char *names[16], *p;
	unsigned int count = 0, i;

	if (n <= 0 || !room)
		return n;
	for (p = list; p < list + n && count < 16; p += strlen(p) + 1)
		names[count++] = p;
	qsort(names, count, sizeof(names[0]), by_name);
	for (i = 0; i < count; i++)
		note(r, "%s%.24s", i ? "," : "", names[i]);
	return n;
}

const struct word words_attr[] = {
	{ "chmod", 2, 2, w_chmod },
	{ "lchmod", 2, 2, w_lchmod },
	{ "fchmod", 1, 1, w_fchmod },
	{ "chown", 3, 3, w_chown },
	{ "lchown", 3, 3, w_lchown },
	{ "fchown", 2, 2, w_fchown },
	{ "truncate", 2, 2, w_truncate },
	{ "ftruncate", 1, 1, w_ftruncate },
	{ "umask", 1, 1, w_umask },
	{ "utime", 3, 4, w_utime },
	{ "utimenull", 1, 1, w_utimenull },
	{ "futime", 2, 2, w_futime },
	{ "stat", 1, 2, w_stat },
	{ "lstat", 1, 1, w_lstat },
	{ "fstat", 0, 0, w_fstat },
	{ "statx", 1, 3, w_statx },
	{ "statfs", 1, 1, w_statfs },
	{ "fstatfs", 0, 0, w_fstatfs },
	{ "setxattr", 3, 4, w_setxattr },
	{ "lsetxattr", 3, 4, w_lsetxattr },
	{ "fsetxattr", 2, 3, w_fsetxattr },
	{ "getxattr", 2, 3, w_getxattr },
	{ "lgetxattr", 2, 3, w_lgetxattr },
	{ "fgetxattr", 1, 1, w_fgetxattr },
	{ "rmxattr", 2, 2, w_rmxattr },
	{ "lrmxattr", 2, 2, w_lrmxattr },
	{ "frmxattr", 1, 1, w_frmxattr },
	{ "listxattr", 1, 2, w_listxattr },
	{ NULL, 0, 0, NULL },
};
