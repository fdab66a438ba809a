/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Words about everything else: who asks, mounts, maps, locks, events. */
#include "posix.h"

#include <dirent.h>
#include <errno.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

static long w_as(struct run *r)
{
	return become(r->arg[0]);
}

/* tick: what comes now is later than what was before, in file times too */
static long w_tick(struct run *r)
{
	struct timespec now;

	(void)r;
	wait_for_tick(&now);
	return 0;
}

/* ------------------------------------------------------------------ mounts */

/* mount tmpfs PATH; mount ro PATH, mount bind PATH: on itself */
static long w_mount(struct run *r)
{
	const char *path = arg_path(r, 1);

	if (arg_is(r, 0, "tmpfs"))
		return mount("none", path, "tmpfs", 0, NULL);
	if (mount(path, path, NULL, MS_BIND, NULL))
		return -1;
	if (arg_is(r, 0, "ro"))
		return mount(NULL, path, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY,
			     NULL);
	return 0;
}

static long w_umount(struct run *r)
{
	return umount(arg_path(r, 0));
}

/* ---------------------------------------------------------------- programs */

static bool copy_program(const char *path)
{
	char buf[65536];
	int in = open("/bin/cat", O_RDONLY);
	int out = open(path, O_WRONLY | O_CREAT | O_EXCL, 0755);
	ssize_t n = -1;

	while (in >= 0 && out >= 0 && (n = read(in, buf, sizeof(buf))) > 0)
		if (write(out, buf, n) != n)
			break;
	close(in);
	close(out);
	return n == 0;
}

/* program PATH [MODE]: one that runs until its input ends */
static long w_program(struct run *r)
{
	if (!copy_program(arg_path(r, 0)))
		return -1;
	return r->nargs > 1 ? chmod(arg_path(r, 0), arg_num(r, 1)) : 0;
}

static long exec_it(struct run *r)
{
	char *const argv[] = { (char *)"it", NULL };
	int null = open("/dev/null", O_RDWR);

	dup2(null, 0);
	dup2(null, 1);
	return execv(arg_path(r, 0), argv);
}

static long w_exec(struct run *r)
{
	return in_child(r, exec_it);
}

/* start PATH: it runs until the script is over */
static long w_start(struct run *r)
{
	char *const argv[] = { (char *)"it", NULL };
	int in[2], started[2], err = 0;

	if (pipe2(in, O_CLOEXEC) || pipe2(started, O_CLOEXEC))
		return -1;
	r->child = fork();
	if (!r->child) {
		dup2(in[0], 0);
		execv(arg_path(r, 0), argv);
		err = errno;
		_exit(write(started[1], &err, sizeof(err)) < 0);
	}
	close(in[0]);
	close(started[1]);
	r->child_pipe = in[1];
	if (read(started[0], &err, sizeof(err)) < 0)
		err = errno;
	close(started[0]);
	errno = err;
	return err ? -1 : 0;
}

/* -------------------------------------------------------------------- maps */

/* map PROT FLAGS POS LEN */
static long w_map(struct run *r)
{
	static const struct flag_name prots[] = {
		{ "none", 0 }, { "r", PROT_READ }, { "w", PROT_WRITE },
		{ "rw", PROT_READ | PROT_WRITE }, { "x", PROT_EXEC },
		{ NULL, 0 },
	};
	static const struct flag_name flags[] = {
		{ "shared", MAP_SHARED }, { "private", MAP_PRIVATE },
		{ "validate", MAP_SHARED_VALIDATE }, { "sync", MAP_SYNC },
		{ NULL, 0 },
	};
	void *map = mmap(NULL, arg_num(r, 3), flags_of(r->arg[0], prots),
			 flags_of(r->arg[1], flags), fd_of(r), arg_num(r, 2));

	if (map == MAP_FAILED)
		return -1;
	if (r->map)
		munmap(r->map, r->map_len);
	r->map = map;
	r->map_len = arg_num(r, 3);
	return 0;
}

/* load POS: the byte there; store POS LEN.  A fault is EFAULT. */
static long w_load(struct run *r)
{
	volatile char *p = (char *)r->map + arg_num(r, 0);
	long c;

	if (sigsetjmp(fault_jump, 1)) {
		errno = EFAULT;
		return -1;
	}
	fault_expected = 1;
	c = *p;
	fault_expected = 0;
	return c;
}

static long w_store(struct run *r)
{
	volatile char *p = (char *)r->map + arg_num(r, 0);
	long long n = r->nargs > 1 ? arg_num(r, 1) : 1;

	if (sigsetjmp(fault_jump, 1)) {
		errno = EFAULT;
		return -1;
	}
	fault_expected = 1;
	while (n--)
		*p++ = 'M';
	fault_expected = 0;
	return 0;
}

static long w_msync(struct run *r)
{
	static const struct flag_name flags[] = {
		{ "sync", MS_SYNC }, { "async", MS_ASYNC },
		{ "inval", MS_INVALIDATE }, { NULL, 0 },
	};

	return msync(r->map, r->map_len, flags_of(r->arg[0], flags));
}

static long w_unmap(struct run *r)
{
	int ret = munmap(r->map, r->map_len);

	r->map = NULL;
	return ret;
}

/* ------------------------------------------------------------------- locks */

/* lock TYPE POS LEN [ofd]; otherlock PATH TYPE POS LEN [ofd]: somebody else */
static long lock_file(struct run *r, int fd, unsigned int i)
{
	static const struct flag_name types[] = {
		{ "rd", F_RDLCK }, { "wr", F_WRLCK }, { "un", F_UNLCK },
		{ NULL, 0 },
	};
	struct flock fl = {
		.l_type = flags_of(r->arg[i], types), .l_whence = SEEK_SET,
		.l_start = arg_num(r, i + 1), .l_len = arg_num(r, i + 2),
	};

	return fcntl(fd, arg_is(r, i + 3, "ofd") ? F_OFD_SETLK : F_SETLK, &fl);
}

static long w_lock(struct run *r)
{
	return lock_file(r, fd_of(r), 0);
}

static long other_lock(struct run *r)
{
	int fd = open(arg_path(r, 0), O_RDWR);

	return fd < 0 ? -1 : lock_file(r, fd, 1);
}

static long w_otherlock(struct run *r)
{
	return in_child(r, other_lock);
}

/* getlock TYPE POS LEN: who is in the way */
static long w_getlock(struct run *r)
{
	struct flock fl = {
		.l_type = arg_is(r, 0, "rd") ? F_RDLCK : F_WRLCK,
		.l_start = arg_num(r, 1), .l_len = arg_num(r, 2),
	};
	int ret = fcntl(fd_of(r), F_GETLK, &fl);

	if (!ret && fl.l_type != F_UNLCK)
		note(r, "%d,%lld,%lld,%d", fl.l_type, (long long)fl.l_start,
		     (long long)fl.l_len, fl.l_pid == getpid());
	return ret;
}

static const struct flag_name flock_ops[] = {
	{ "sh", LOCK_SH }, { "ex", LOCK_EX }, { "un", LOCK_UN }, { NULL, 0 },
};

static long w_flock(struct run *r)
{
	return flock(fd_of(r), flags_of(r->arg[0], flock_ops) | LOCK_NB);
}

static long other_flock(struct run *r)
{
	int fd = open(arg_path(r, 0), O_RDONLY);

	if (fd < 0)
		return -1;
	return flock(fd, flags_of(r->arg[1], flock_ops) | LOCK_NB);
}

static long w_otherflock(struct run *r)
{
	return in_child(r, other_flock);
}

static long w_lease(struct run *r)
{
	return fcntl(fd_of(r), F_SETLEASE, arg_is(r, 0, "r") ? F_RDLCK :
		     arg_is(r, 0, "w") ? F_WRLCK : F_UNLCK);
}

static long w_getlease(struct run *r)
{
	return fcntl(fd_of(r), F_GETLEASE);
}

static long other_open(struct run *r)
{
	return open(arg_path(r, 0), arg_open_flags(r, 1), 0644);
}

static long w_otheropen(struct run *r)
{
	return in_child(r, other_open);
}

/* ---------------------------------------------------------------- listings */

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* list PATH: names and types, in order */
static long w_list(struct run *r)
{
	DIR *dir = opendir(arg_path(r, 0));
	char *names[64], line[300];
	struct dirent *de;
	long n = 0, i;

	if (!dir)
		return -1;
	while ((de = readdir(dir)) && n < 64) {
		snprintf(line, sizeof(line), "%s/%d", de->d_name, de->d_type);
		names[n++] = strdup(line);
	}
	closedir(dir);
	qsort(names, n, sizeof(names[0]), by_name);
	for (i = 0; i < n; i++) {
		note(r, "%s%.30s", i ? "," : "", names[i]);
		free(names[i]);
	}
	return n;
}

static void check_places(struct run *r, DIR *dir, const long *places,
			 char names[][64], long n)
{
	struct dirent *de;
	long i;

	for (i = n; i-- > 0;) {
		seekdir(dir, places[i]);
		if (telldir(dir) != places[i])
			note(r, "told another place");
		de = readdir(dir);
		if (!de || strncmp(de->d_name, names[i], 63)) {
			note(r, "place %ld is not that of its name", i);
			return;
		}
	}
}

/* places PATH: each place of a listing is found again */
static long w_places(struct run *r)
{
	static char names[1024][64];
	static long places[1024];
	DIR *dir = opendir(arg_path(r, 0));
	struct dirent *de;
	long n = 0, again = 0;

	if (!dir)
		return -1;
	while (n < 1024) {
		places[n] = telldir(dir);
		de = readdir(dir);
		if (!de)
			break;
		snprintf(names[n++], sizeof(names[0]), "%.63s", de->d_name);
	}
	check_places(r, dir, places, names, n);
	rewinddir(dir);
	while (readdir(dir))
		again++;
	closedir(dir);
	note(r, "%ld again", again);
	return n;
}

/* dents: the names that the open directory has from here on, in order */
static long w_dents(struct run *r)
{
	struct {
		uint64_t ino, off;
		uint16_t len;
		char type, name[];
	} *de;
	char buf[8192] __attribute__((aligned(8))), *names[128];
	ssize_t len, at;
	long n = 0, i;

	while ((len = getdents64(fd_of(r), buf, sizeof(buf))) > 0)
		for (at = 0; at < len && n < 128; at += de->len) {
			de = (void *)(buf + at);
			names[n++] = strdup(de->name);
		}
	qsort(names, n, sizeof(names[0]), by_name);
	for (i = 0; i < n; i++) {
		note(r, "%s%.30s", i ? "," : "", names[i]);
		free(names[i]);
	}
	return len < 0 ? -1 : n;
}

/* getdents ROOM: of the open file */
static long w_getdents(struct run *r)
{
	size_t room = arg_num(r, 0);
	ssize_t n = getdents64(fd_of(r), io_buffer(r, room), room);

	return n > 0 ? 1 : n;
}

/* ------------------------------------------------------------------ events */

static long w_watch(struct run *r)
{
	int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

	r->yields_fd = true;
	if (fd < 0 || inotify_add_watch(fd, arg_path(r, 0), IN_ALL_EVENTS) < 0)
		return -1;
	r->fd[r->slot] = fd;
	return fd;
}

/* events: since the last time, moves told by their cookie */
static long w_events(struct run *r)
{
	static const char letters[] = "rmawnokftdxs";
	char buf[16384] __attribute__((aligned(8)));
	ssize_t len = read(fd_of(r), buf, sizeof(buf));
	const struct inotify_event *ev;
	long n = 0, i;
	char *p;

	for (p = buf; len > 0 && p < buf + len; p += sizeof(*ev) + ev->len) {
		ev = (const void *)p;
		note(r, n++ ? "," : "");
		for (i = 0; i < 12; i++)
			if (ev->mask & 1u << i)
				note(r, "%c", letters[i]);
		note(r, "%s%s%s", ev->mask & IN_ISDIR ? "/" : "",
		     ev->mask & IN_IGNORED ? "!" : "",
		     ev->len ? ev->name : "");
	}
	return n;
}

/* ----------------------------------------------------------------- handles */

/* handle PATH: and open by it */
static long w_handle(struct run *r)
{
	struct {
		struct file_handle fh;
		unsigned char bytes[MAX_HANDLE_SZ];
	} h = { .fh.handle_bytes = MAX_HANDLE_SZ };
	int id, fd, ret;

	ret = name_to_handle_at(dirfd_of(r), arg_path(r, 0), &h.fh, &id,
				arg_is(r, 1, "follow") ? AT_SYMLINK_FOLLOW : 0);
	if (ret)
		return -1;
	if (r->nargs > 1 && unlink(arg_path(r, 1)))
		note(r, "not removed");
	fd = open_by_handle_at(r->top, &h.fh, O_RDONLY | O_NONBLOCK);
	if (fd < 0)
		return -1;
	close(fd);
	return 0;
}

/* ------------------------------------------------------------------- ioctl */

static long w_ioctl(struct run *r)
{
	static const struct flag_name numbers[] = {
		{ "clone", FICLONE },
		{ "version", FS_IOC_GETVERSION }, { "unknown", 0x5a5a },
		{ "tty", 0x5401 }, { "bmap", FIBMAP }, { "bsz", FIGETBSZ },
		{ NULL, 0 },
	};
	unsigned long number = flags_of(r->arg[0], numbers);
	long value[32] = { 0 };

	if (number == FICLONE)
		return ioctl(r->fd[1], number, r->fd[0]);
	return ioctl(fd_of(r), number, value);
}

static long w_fionread(struct run *r)
{
	int n = 0, ret = ioctl(fd_of(r), FIONREAD, &n);

	return ret ? ret : n;
}

const struct word words_more[] = {
	{ "as", 1, 1, w_as },
	{ "tick", 0, 0, w_tick },
	{ "mount", 2, 2, w_mount },
	{ "umount", 1, 1, w_umount },
	{ "program", 1, 2, w_program },
	{ "exec", 1, 1, w_exec },
	{ "start", 1, 1, w_start },
	{ "map", 4, 4, w_map },
	{ "load", 1, 1, w_load },
	{ "store", 1, 2, w_store },
	{ "msync", 1, 1, w_msync },
	{ "unmap", 0, 0, w_unmap },
	{ "lock", 3, 4, w_lock },
	{ "otherlock", 4, 5, w_otherlock },
	{ "getlock", 3, 3, w_getlock },
	{ "flock", 1, 1, w_flock },
	{ "otherflock", 2, 2, w_otherflock },
	{ "lease", 1, 1, w_lease },
	{ "getlease", 0, 0, w_getlease },
	{ "otheropen", 2, 2, w_otheropen },
	{ "list", 1, 1, w_list },
	{ "places", 1, 1, w_places },
	{ "dents", 0, 0, w_dents },
	{ "getdents", 1, 1, w_getdents },
	{ "watch", 1, 1, w_watch },
	{ "events", 0, 0, w_events },
	{ "handle", 1, 2, w_handle },
	{ "ioctl", 1, 1, w_ioctl },
	{ "fionread", 0, 0, w_fionread },
	{ NULL, 0, 0, NULL },
};
