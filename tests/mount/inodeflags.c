/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * inodeflags flags|projects DIRECTORY: what every operation answers for a file
 * and a directory with each inode flag, or with projects, one line each, so
 * that two filesystems can be compared.  As root.  It knows nothing of owfs.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#define USER	12345

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int open_dir_or_file(const char *path)
{
	return open(path, O_RDONLY | O_NONBLOCK);
}

/* Those of ext4 that are facts and no settings. */
#define FACTS	(FS_EXTENT_FL | FS_INDEX_FL)

static int set_flags(const char *path, int flags)
{
	int fd = open_dir_or_file(path), now, ret;

	if (fd < 0)
		return -1;
	ret = ioctl(fd, FS_IOC_GETFLAGS, &now);
	flags |= now & FACTS;
	if (!ret)
		ret = ioctl(fd, FS_IOC_SETFLAGS, &flags);
	close(fd);
	return ret;
}

static int get_flags(const char *path)
{
	int fd = open_dir_or_file(path), flags = 0;

	if (fd < 0 || ioctl(fd, FS_IOC_GETFLAGS, &flags))
		die("get flags");
	close(fd);
	return flags & ~FACTS;
}

static struct fsxattr get_fsx(const char *path)
{
	int fd = open_dir_or_file(path);
	struct fsxattr fsx;

	if (fd < 0 || ioctl(fd, FS_IOC_FSGETXATTR, &fsx))
		die("get fsxattr");
	close(fd);
	return fsx;
}

static int set_fsx(const char *path, unsigned int xflags, unsigned int projid)
{
	struct fsxattr fsx = { .fsx_xflags = xflags, .fsx_projid = projid };
	int fd = open_dir_or_file(path), ret;

	if (fd < 0)
		return -1;
	ret = ioctl(fd, FS_IOC_FSSETXATTR, &fsx);
	close(fd);
	return ret;
}

/* ---------------------------------------------------- one operation a function */

/* Open, do something, close; the first error counts. */
static int write_with(int open_flags, off_t pos, size_t len)
{
	static const char buf[3 << 20];
	int fd = open("d/file", O_WRONLY | open_flags), err, ret;

	if (fd < 0)
		return -1;
	ret = pwrite(fd, buf, len, pos) < 0 ? -1 : 0;
	err = errno;
	if (close(fd) && !ret)
		return -1;
	errno = err;
	return ret;
}

static int op_write(void) { return write_with(0, 5, 1); }
static int op_append(void) { return write_with(O_APPEND, 0, 1); }
static int op_append_much(void) { return write_with(O_APPEND, 0, 3 << 20); }
static int op_open_trunc(void) { return write_with(O_TRUNC, 0, 1); }
static int op_trunc_append(void) { return write_with(O_TRUNC | O_APPEND, 0, 1); }
static int op_truncate(void) { return truncate("d/file", 5); }
static int op_extend(void) { return truncate("d/file", 50000); }
static int op_chmod(void) { return chmod("d/file", 0600); }
static int op_chown(void) { return chown("d/file", 1, 1); }
static int op_touch(void) { return utimensat(AT_FDCWD, "d/file", NULL, 0); }
static int op_link(void) { return link("d/file", "away/link"); }
static int op_unlink(void) { return unlink("d/file"); }
static int op_rename(void) { return rename("d/file", "d/other"); }
static int op_rename_out(void) { return rename("d/file", "away/other"); }
static int op_rename_in(void) { return rename("away/guest", "d/guest"); }
static int op_replace(void) { return rename("d/spare", "d/file"); }
static int op_mkdir(void) { return mkdir("d/new", 0755); }
static int op_symlink(void) { return symlink("x", "d/new"); }
static int op_mkfifo(void) { return mkfifo("d/new", 0644); }
static int op_mkdir_again(void) { return mkdir("d/sub", 0755); }
static int op_rmdir(void) { return rmdir("d/sub"); }
static int op_unlink_none(void) { return unlink("d/none"); }
static int op_unlink_spare(void) { return unlink("d/spare"); }
static int op_link_in(void) { return link("away/guest", "d/link"); }
static int op_chmod_dir(void) { return chmod("d", 0700); }
static int op_rename_dir(void) { return rename("d", "d2"); }

static int op_exchange(void)
{
	return renameat2(AT_FDCWD, "d/spare", AT_FDCWD, "d/file",
			 RENAME_EXCHANGE);
}

static int op_whiteout(void)
{
	return renameat2(AT_FDCWD, "d/file", AT_FDCWD, "away/x",
			 RENAME_WHITEOUT);
}

static int set_times(time_t atime_nsec, time_t mtime_nsec)
{
	const struct timespec ts[2] = { { 1, atime_nsec }, { 1, mtime_nsec } };

	return utimensat(AT_FDCWD, "d/file", ts, 0);
}

static int op_atime(void) { return set_times(1, UTIME_OMIT); }
static int op_mtime(void) { return set_times(UTIME_OMIT, 1); }
static int op_mtime_now(void) { return set_times(UTIME_OMIT, UTIME_NOW); }
static int op_both_now(void) { return set_times(UTIME_NOW, UTIME_NOW); }

static int op_setxattr(void)
{
	return setxattr("d/file", "user.new", "v", 1, 0);
}

static int op_removexattr(void) { return removexattr("d/file", "user.x"); }
static int op_removenone(void) { return removexattr("d/file", "user.none"); }
static int op_dirxattr(void) { return setxattr("d", "user.new", "v", 1, 0); }

static int allocate_with(int mode)
{
	int fd = open("d/file", O_WRONLY | O_APPEND), ret;

	if (fd < 0)
		return -1;
	ret = fallocate(fd, mode, 0, 16384);
	close(fd);
	return ret;
}

static int op_allocate(void) { return allocate_with(0); }

static int op_punch(void)
{
	return allocate_with(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
}

static int op_zero(void) { return allocate_with(FALLOC_FL_ZERO_RANGE); }

static int op_create(void)
{
	int fd = open("d/new", O_WRONLY | O_CREAT, 0644);

	return fd < 0 ? -1 : close(fd);
}

static int op_create_there(void)
{
	int fd = open("d/spare", O_WRONLY | O_CREAT, 0644);

	return fd < 0 ? -1 : close(fd);
}

static int op_tmpfile(void)
{
	int fd = open("d", O_WRONLY | O_TMPFILE, 0644);

	return fd < 0 ? -1 : close(fd);
}

static int op_read(void)
{
	int fd = open("d/file", O_RDONLY), ret;
	char c;

	if (fd < 0)
		return -1;
	ret = read(fd, &c, 1) == 1 ? 0 : -1;
	close(fd);
	return ret;
}

static int op_map_private(void)
{
	int fd = open("d/file", O_RDONLY);
	void *p;

	if (fd < 0)
		return -1;
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	close(fd);
	if (p == MAP_FAILED)
		return -1;
	*(volatile char *)p = 1;
	return munmap(p, 4096);
}

static const struct op {
	const char *name;
	int (*fn)(void);
} ops[] = {
	{ "read", op_read }, { "write", op_write }, { "append", op_append },
	{ "append much", op_append_much }, { "open O_TRUNC", op_open_trunc },
	{ "open O_TRUNC|O_APPEND", op_trunc_append },
	{ "truncate", op_truncate }, { "extend", op_extend },
	{ "chmod", op_chmod }, { "chown", op_chown }, { "touch", op_touch },
	{ "atime", op_atime }, { "mtime", op_mtime },
	{ "mtime now", op_mtime_now }, { "both now", op_both_now },
	{ "allocate", op_allocate }, { "punch", op_punch }, { "zero", op_zero },
	{ "setxattr", op_setxattr }, { "removexattr", op_removexattr },
	{ "removexattr of none", op_removenone }, { "map", op_map_private },
	{ "link", op_link }, { "unlink", op_unlink }, { "rename", op_rename },
	{ "rename out", op_rename_out }, { "rename in", op_rename_in },
	{ "replace", op_replace }, { "exchange", op_exchange },
	{ "whiteout", op_whiteout }, { "create", op_create },
	{ "create what is there", op_create_there }, { "tmpfile", op_tmpfile },
	{ "mkdir", op_mkdir }, { "symlink", op_symlink },
	{ "mkfifo", op_mkfifo }, { "mkdir again", op_mkdir_again },
	{ "link in", op_link_in }, { "rmdir", op_rmdir },
	{ "unlink nothing", op_unlink_none }, { "unlink", op_unlink_spare },
	{ "chmod directory", op_chmod_dir }, { "rename directory", op_rename_dir },
	{ "setxattr of directory", op_dirxattr },
};

#define COUNT(a)	(sizeof(a) / sizeof((a)[0]))

static const struct {
	const char *name;
	int flags;
} states[] = {
	{ "immutable", FS_IMMUTABLE_FL }, { "append", FS_APPEND_FL },
	{ "both", FS_IMMUTABLE_FL | FS_APPEND_FL },
	{ "nodump+sync", FS_NODUMP_FL | FS_SYNC_FL },
};

/* ------------------------------------------------------------------- the table */

static void touch_new(const char *path, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);
	char *buf = malloc(size + 1);

	if (fd < 0 || !buf)
		die(path);
	memset(buf, 'a', size);
	if (write(fd, buf, size) != (ssize_t)size || close(fd))
		die(path);
	free(buf);
}

static void tree_make(void)
{
	if (mkdir("d", 0755) || mkdir("d/sub", 0755) || mkdir("away", 0755))
		die("mkdir");
	touch_new("d/file", 10000);
	touch_new("d/spare", 1);
	touch_new("away/guest", 1);
	if (setxattr("d/file", "user.x", "v", 1, 0))
		die("setxattr");
}

static void tree_remove(void)
{
	if (system("rm -rf d d2 away"))
		die("rm");
}

static void say(const char *state, const char *where, const char *op, int ret)
{
	printf("%s %s: %s: %s\n", state, where, op,
	       ret ? strerror(errno) : "ok");
}

static void try_op(const char *state, int flags, const char *path,
		   const struct op *op)
{
	const char *const again[] = { path, "d2", "d2/file", "d/other",
				      "away/other", "d/spare" };
	int ret, err;
	size_t i;

	tree_make();
	if (set_flags(path, flags))
		die("set flags");
	ret = op->fn();
	err = errno;
	for (i = 0; i < COUNT(again); i++)
		/* what is not there, or a whiteout, has none */
		if (set_flags(again[i], 0) && errno != ENOENT &&
		    errno != ENXIO)
			die("clear flags");
	errno = err;
	say(state, path, op->name, ret);
	tree_remove();
}

static void table(void)
{
	size_t i, j;

	for (i = 0; i < COUNT(states); i++)
		for (j = 0; j < COUNT(ops); j++) {
			try_op(states[i].name, states[i].flags, "d/file",
			       &ops[j]);
			try_op(states[i].name, states[i].flags, "d", &ops[j]);
		}
}

/* --------------------------------------------------------------- who may set */

/* In a process that is an ordinary user. */
static void as_user(const char *what, int (*fn)(const char *, int),
		    const char *path, int flags)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		if (setgid(USER) || setuid(USER))
			die("setuid");
		say("user", path, what, fn(path, flags));
		fflush(stdout);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		die("user");
}

static int set_project(const char *path, int projid)
{
	return set_fsx(path, 0, (unsigned int)projid);
}

static void rights(void)
{
	tree_make();
	if (chmod("d", 0777) || chown("d/file", USER, USER))
		die("chown");
	as_user("nodump of his own", set_flags, "d/file", FS_NODUMP_FL);
	as_user("nothing of his own", set_flags, "d/file", 0);
	as_user("immutable of his own", set_flags, "d/file", FS_IMMUTABLE_FL);
	as_user("append of his own", set_flags, "d/file", FS_APPEND_FL);
	as_user("nodump of another's", set_flags, "d/spare", FS_NODUMP_FL);
	set_flags("d/file", FS_IMMUTABLE_FL);
	as_user("clearing immutable", set_flags, "d/file", 0);
	set_flags("d/file", 0);
	tree_remove();
}

/* ------------------------------------------------------------- what they become */

static void show(const char *path)
{
	struct fsxattr fsx = get_fsx(path);

	printf("%s: flags %x xflags %x projid %u\n", path, get_flags(path),
	       fsx.fsx_xflags, fsx.fsx_projid);
}

static void inheriting(void)
{
	const int all = FS_NODUMP_FL | FS_NOATIME_FL | FS_SYNC_FL |
			FS_DIRSYNC_FL | FS_APPEND_FL;

	tree_make();
	say("inherit", "d", "set", set_flags("d", all));
	show("d");
	touch_new("d/child", 1);
	show("d/child");
	if (mkdir("d/deep", 0755))
		die("mkdir");
	show("d/deep");
	/* what the other interface does not know stays */
	say("inherit", "d", "set xflags", set_fsx("d", FS_XFLAG_NODUMP, 0));
	show("d");
	say("file", "d/file", "dirsync", set_flags("d/file", FS_DIRSYNC_FL));
	say("file", "d/file", "unknown", set_flags("d/file", FS_NOCOW_FL));
	say("file", "d/file", "immutable", set_flags("d/file", FS_IMMUTABLE_FL));
	say("file", "d/file", "more", set_flags("d/file", FS_IMMUTABLE_FL |
						FS_NODUMP_FL));
	say("file", "d/file", "same", set_flags("d/file", FS_IMMUTABLE_FL));
	say("file", "d/file", "other", set_flags("d/file", FS_NODUMP_FL));
	show("d/file");
	tree_remove();
}

static void projects(void)
{
	tree_make();
	if (chmod("d", 0777) || chown("d/file", USER, USER))
		die("chown");
	as_user("project of his own", set_project, "d/file", 5);
	as_user("project of another's", set_project, "d/spare", 5);
	say("project", "d", "set", set_fsx("d", FS_XFLAG_PROJINHERIT |
					   FS_XFLAG_NODUMP, 77));
	show("d");
	show("d/file");
	touch_new("d/child2", 1);
	show("d/child2");
	if (mkdir("d/deep2", 0755))
		die("mkdir");
	show("d/deep2");
	say("project", "d", "link in", link("away/guest", "d/l"));
	say("project", "d", "rename in", rename("away/guest", "d/l"));
	say("project", "d", "rename within", rename("d/spare", "d/spare2"));
	say("project", "d", "rename out", rename("d/spare", "away/out"));
	say("project", "d", "rename back", rename("away/out", "d/out"));
	say("project", "d", "set", set_fsx("away/guest", 0, 77));
	say("project", "d", "link in", link("away/guest", "d/l"));
	say("project", "d", "rename in", rename("away/guest", "d/l2"));
	say("project", "d", "exchange", renameat2(AT_FDCWD, "d/l", AT_FDCWD,
						  "away/out", RENAME_EXCHANGE));
	say("file", "d/file", "projinherit",
	    set_flags("d/file", FS_PROJINHERIT_FL));
	say("file", "d/file", "immutable", set_flags("d/file", FS_IMMUTABLE_FL));
	say("file", "d/file", "project", set_fsx("d/file", FS_XFLAG_IMMUTABLE, 1));
	say("file", "d/file", "clear", set_flags("d/file", 0));
	tree_remove();
}

/* Dirty pages of a map arrive before the file is frozen; later ones do not. */
static void maps(void)
{
	struct stat before, after;
	char *map, c;
	int fd;

	tree_make();
	fd = open("d/file", O_RDWR);
	map = mmap(NULL, 10000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		die("mmap");
	if (stat("d/file", &before))
		die("stat");
	map[5000] = 'M';
	say("map", "d/file", "immutable", set_flags("d/file", FS_IMMUTABLE_FL));
	if (stat("d/file", &after))
		die("stat");
	printf("ctime moved: %d\n", after.st_ctim.tv_sec > before.st_ctim.tv_sec ||
	       after.st_ctim.tv_nsec != before.st_ctim.tv_nsec);
	say("map", "d/file", "fsync", fsync(fd));
	munmap(map, 10000);
	if (pread(fd, &c, 1, 5000) != 1)
		die("read");
	printf("what was stored before: %c\n", c);
	say("map", "d/file", "write through the old descriptor",
	    pwrite(fd, "x", 1, 0) < 0 ? -1 : 0);
	say("map", "d/file", "ftruncate", ftruncate(fd, 0));
	say("map", "d/file", "fchmod", fchmod(fd, 0600));
	close(fd);
	set_flags("d/file", 0);
	tree_remove();
}

int main(int argc, char **argv)
{
	if (argc != 3 || chdir(argv[2])) {
		fprintf(stderr, "usage: %s flags|projects DIRECTORY\n", argv[0]);
		return 2;
	}
	umask(022);
	if (!strcmp(argv[1], "projects")) {
		projects();
		return 0;
	}
	table();
	rights();
	inheriting();
	maps();
	return 0;
}
