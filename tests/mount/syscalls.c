/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a shell cannot ask of a mounted filesystem: syscalls CLAIM DIRECTORY.
 * A claim that does not hold ends the program with the line and the reason.
 * It knows nothing of owfs; on any other filesystem it must pass as well.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

static void fail(int line, const char *what)
{
	fprintf(stderr, "line %d: %s (%s)\n", line, what, strerror(errno));
	_exit(1);
}

/* A claim; errno is shown with it. */
#define HOLDS(cond)	do { if (!(cond)) fail(__LINE__, #cond); } while (0)
/* The call fails and says why. */
#define GIVES(err, call) \
	do { errno = 0; HOLDS((call) < 0 && errno == (err)); } while (0)

static int open_new(const char *name, int flags)
{
	int fd = open(name, O_RDWR | O_CREAT | O_EXCL | flags, 0644);

	HOLDS(fd >= 0);
	return fd;
}

/* Bytes that say where they stand and which round wrote them. */
static void fill(unsigned char *buf, size_t len, uint64_t pos, unsigned int round)
{
	size_t i;

	for (i = 0; i < len; i++)
		buf[i] = (unsigned char)((pos + i) * 2654435761u >> 13 ^
					 round * 77);
}

static bool is_filled(const unsigned char *buf, size_t len, uint64_t pos,
		      unsigned int round)
{
	unsigned char want[4096];
	size_t i, n;

	for (i = 0; i < len; i += n) {
		n = len - i < sizeof(want) ? len - i : sizeof(want);
		fill(want, n, pos + i, round);
		if (memcmp(want, buf + i, n))
			return false;
	}
	return true;
}

static bool is_zero(const unsigned char *buf, size_t len)
{
	return !len || (!buf[0] && !memcmp(buf, buf + 1, len - 1));
}

static void put(int fd, size_t len, off_t pos, unsigned int round)
{
	unsigned char *buf = malloc(len);

	HOLDS(buf);
	fill(buf, len, (uint64_t)pos, round);
	HOLDS(pwrite(fd, buf, len, pos) == (ssize_t)len);
	free(buf);
}

static bool has(int fd, size_t len, off_t pos, unsigned int round)
{
	unsigned char *buf = malloc(len);
	bool same;

	HOLDS(buf);
	HOLDS(pread(fd, buf, len, pos) == (ssize_t)len);
	same = is_filled(buf, len, (uint64_t)pos, round);
	free(buf);
	return same;
}

/* ------------------------------------------------------------- memory maps */

#define MAP_LEN		(3u << 20)
#define MAP_ODD		1234u	/* the file ends inside a page */

/* Stores into a hole, into written pages and into the last, partial page. */
static void map_stores(void)
{
	int fd = open_new("mapped", 0);
	unsigned char *map;

	put(fd, 1u << 20, 1u << 20, 1);
	HOLDS(!ftruncate(fd, MAP_LEN + MAP_ODD));
	map = mmap(NULL, MAP_LEN + MAP_ODD, PROT_READ | PROT_WRITE, MAP_SHARED,
		   fd, 0);
	HOLDS(map != MAP_FAILED);
	HOLDS(is_zero(map, 1u << 20));
	HOLDS(is_filled(map + (1u << 20), 1u << 20, 1u << 20, 1));
	fill(map + 4095, 2u << 19, 4095, 2);
	fill(map + (2u << 20), 10000, 2u << 20, 2);
	fill(map + MAP_LEN, MAP_ODD, MAP_LEN, 2);
	memset(map + MAP_LEN + MAP_ODD, 0xee, 100);	/* past the end */
	HOLDS(!msync(map, MAP_LEN + MAP_ODD, MS_SYNC));
	HOLDS(has(fd, 10000, 2u << 20, 2));
	HOLDS(!munmap(map, MAP_LEN + MAP_ODD));
	/* what stood past the end of the file must not show */
	HOLDS(!ftruncate(fd, MAP_LEN + 4096));
	close(fd);
}

static void map_stores_survive(void)
{
	size_t len = MAP_LEN + 4096;
	int fd = open("mapped", O_RDONLY);
	unsigned char *map;

	HOLDS(fd >= 0);
	map = mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0);
	HOLDS(map != MAP_FAILED);
	HOLDS(is_zero(map, 4095));
	HOLDS(is_filled(map + 4095, 2u << 19, 4095, 2));
	HOLDS(is_filled(map + 4095 + (2u << 19), (2u << 20) - 4095 - (2u << 19),
			4095 + (2u << 19), 1));
	HOLDS(is_filled(map + (2u << 20), 10000, 2u << 20, 2));
	HOLDS(is_zero(map + (2u << 20) + 10000, (1u << 20) - 10000));
	HOLDS(is_filled(map + MAP_LEN, MAP_ODD, MAP_LEN, 2));
	HOLDS(is_zero(map + MAP_LEN + MAP_ODD, 4096 - MAP_ODD));
	munmap(map, len);
	close(fd);
}

/* write(2) and maps show each other's bytes; a private map keeps its own. */
static void map_is_the_file(void)
{
	int fd = open_new("coherent", 0);
	unsigned char *shared, *private;

	put(fd, 8192, 0, 1);
	shared = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	private = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	HOLDS(shared != MAP_FAILED && private != MAP_FAILED);
	put(fd, 4096, 4096, 2);
	HOLDS(is_filled(shared + 4096, 4096, 4096, 2));
	fill(shared, 4096, 0, 3);
	HOLDS(has(fd, 4096, 0, 3));
	fill(private, 4096, 0, 4);
	HOLDS(has(fd, 4096, 0, 3));
	munmap(shared, 8192);
	munmap(private, 8192);
	close(fd);
}

/* --------------------------------------------------------------- O_APPEND */

#define RECORDS	1500
#define WRITERS	3

struct record {
	uint32_t writer, number, len;
};

static size_t record_len(unsigned int writer, unsigned int number)
{
	return sizeof(struct record) + (number * 37 + writer * 11) % 700;
}

static void append_all(unsigned int writer)
{
	int fd = open("appended", O_WRONLY | O_APPEND);
	unsigned char buf[1024];
	struct record rec;
	unsigned int i;

	HOLDS(fd >= 0);
	for (i = 0; i < RECORDS; i++) {
		rec = (struct record){ writer, i,
				       (uint32_t)record_len(writer, i) };
		memset(buf, (int)(i + writer), sizeof(buf));
		memcpy(buf, &rec, sizeof(rec));
		HOLDS(write(fd, buf, rec.len) == (ssize_t)rec.len);
	}
	close(fd);
}

static void wait_for_all(int n)
{
	int status;

	while (n--) {
		HOLDS(wait(&status) > 0);
		HOLDS(WIFEXITED(status) && !WEXITSTATUS(status));
	}
}

/* Every record is whole, and those of one writer are in their order. */
static void check_appended(void)
{
	unsigned int next[WRITERS] = { 0 };
	int fd = open("appended", O_RDONLY);
	unsigned char buf[1024];
	struct record rec;
	unsigned int i, n;

	HOLDS(fd >= 0);
	for (n = 0; n < RECORDS * WRITERS; n++) {
		HOLDS(read(fd, &rec, sizeof(rec)) == sizeof(rec));
		HOLDS(rec.writer < WRITERS);
		HOLDS(rec.number == next[rec.writer]++);
		HOLDS(rec.len == record_len(rec.writer, rec.number));
		rec.len -= sizeof(rec);
		HOLDS(read(fd, buf, rec.len) == (ssize_t)rec.len);
		for (i = 0; i < rec.len; i++)
			HOLDS(buf[i] == (unsigned char)(rec.number +
							rec.writer));
	}
	HOLDS(!read(fd, buf, 1));
	close(fd);
}

static void appends_do_not_mix(void)
{
	unsigned int writer;

	close(open_new("appended", 0));
	for (writer = 0; writer < WRITERS; writer++) {
		if (fork())
			continue;
		append_all(writer);
		_exit(0);
	}
	wait_for_all(WRITERS);
	check_appended();
}

/* --------------------------------------------------- files without a name */

static void tmpfile_gets_a_name(void)
{
	char path[64];
	struct stat st;
	int fd = open(".", O_TMPFILE | O_RDWR, 0640);

	HOLDS(fd >= 0);
	put(fd, 100000, 0, 5);
	HOLDS(!fstat(fd, &st) && st.st_nlink == 0 && st.st_size == 100000);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	HOLDS(!linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
	HOLDS(!stat("named", &st) && st.st_nlink == 1);
	HOLDS((st.st_mode & 07777) == 0640);
	close(fd);
	fd = open("named", O_RDONLY);
	HOLDS(has(fd, 100000, 0, 5));
	close(fd);

	fd = open(".", O_TMPFILE | O_RDWR | O_EXCL, 0600);
	HOLDS(fd >= 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	GIVES(ENOENT, linkat(AT_FDCWD, path, AT_FDCWD, "never",
			     AT_SYMLINK_FOLLOW));
	close(fd);
}

/* A file lives after its last name, and a directory too, empty for ever. */
static void open_files_outlive_their_names(void)
{
	int fd = open_new("doomed", 0), dir;
	struct stat st;

	put(fd, 300000, 0, 6);
	HOLDS(!unlink("doomed"));
	HOLDS(!fsync(fd));
	put(fd, 1000, 300000, 6);
	HOLDS(has(fd, 301000, 0, 6));
	HOLDS(!fstat(fd, &st) && st.st_nlink == 0 && st.st_size == 301000);
	HOLDS(!ftruncate(fd, 5) && has(fd, 5, 0, 6));
	close(fd);

	HOLDS(!mkdir("gone", 0755));
	dir = open("gone", O_RDONLY | O_DIRECTORY);
	HOLDS(dir >= 0 && !rmdir("gone"));
	GIVES(ENOENT, openat(dir, "x", O_CREAT | O_RDWR, 0600));
	GIVES(ENOENT, mkdirat(dir, "x", 0700));
	close(dir);
}

/* ----------------------------------------------------------------- rename */

static int rename2(const char *old, const char *new, unsigned int flags)
{
	return renameat2(AT_FDCWD, old, AT_FDCWD, new, flags);
}

static nlink_t links(const char *name)
{
	struct stat st;

	HOLDS(!stat(name, &st));
	return st.st_nlink;
}

static void rename_exchanges(void)
{
	struct stat st;

	HOLDS(!mkdir("p", 0755) && !mkdir("p/q", 0755) && !mkdir("p/q/r", 0755));
	close(open_new("plain", 0));
	HOLDS(links("p") == 3 && links("p/q") == 3);
	GIVES(EEXIST, rename2("plain", "p/q", RENAME_NOREPLACE));
	GIVES(EISDIR, rename2("plain", "p/q", 0));
	GIVES(ENOTDIR, rename2("p", "plain", 0));
	GIVES(ENOENT, rename2("plain", "none", RENAME_EXCHANGE));
	GIVES(EINVAL, rename2("plain", "p", RENAME_EXCHANGE | RENAME_NOREPLACE));
	GIVES(EINVAL, rename2("p", "p/q/in", 0));
	GIVES(EINVAL, rename2("p", "p/q", RENAME_EXCHANGE));
	GIVES(EINVAL, rename2("p/q", "p", RENAME_EXCHANGE));
	/* a file and a directory change places: so do the link counts */
	HOLDS(!rename2("plain", "p/q", RENAME_EXCHANGE));
	HOLDS(!stat("p/q", &st) && S_ISREG(st.st_mode));
	HOLDS(!stat("plain/r", &st) && S_ISDIR(st.st_mode));
	HOLDS(links("p") == 2 && links("plain") == 3);
	HOLDS(!rename2("p/q", "new", RENAME_NOREPLACE));
	GIVES(ENOTEMPTY, rename2("p", "plain", 0));
	HOLDS(!rename2("plain/r", "p", 0));
	HOLDS(links("plain") == 2);
	/* same file: nothing happens, both names stay */
	HOLDS(!link("new", "other") && !rename("new", "other"));
	HOLDS(links("new") == 2);
}

static void rename_leaves_a_whiteout(void)
{
	struct stat st;

	close(open_new("covered", 0));
	if (rename2("covered", "uncovered", RENAME_WHITEOUT)) {
		HOLDS(errno == EINVAL || errno == EPERM);
		return;
	}
	HOLDS(!lstat("covered", &st) && S_ISCHR(st.st_mode) && !st.st_rdev);
	HOLDS(!stat("uncovered", &st) && S_ISREG(st.st_mode));
}

/* -------------------------------------------------------- sizes and holes */

#define GIB	(1ll << 30)

static bool dense;	/* the kernel says that there are no holes */

static const off_t far_places[] = {
	0, 2 * GIB - 1, 4 * GIB - 100, 5 * GIB + 4095, 1024 * GIB + 1,
	16000000 * GIB,
};

#define FAR	(sizeof(far_places) / sizeof(far_places[0]))

static void large_offsets(void)
{
	int fd = open_new("far", 0);
	struct stat st;
	size_t i;

	for (i = 0; i < FAR; i++)
		put(fd, 200, far_places[i], 7);
	HOLDS(!fstat(fd, &st) && st.st_size == far_places[FAR - 1] + 200);
	HOLDS(st.st_blocks < 2000);
	close(fd);
}

static void large_offsets_survive(void)
{
	int fd = open("far", O_RDONLY);
	off_t data = 0, hole;
	size_t i;

	HOLDS(fd >= 0);
	for (i = 0; i < FAR; i++)
		HOLDS(has(fd, 200, far_places[i], 7));
	if (dense)
		HOLDS(!lseek(fd, 0, SEEK_DATA) && lseek(fd, 0, SEEK_HOLE) ==
		      lseek(fd, 0, SEEK_END));
	for (i = 0; i < FAR && !dense; i++) {
		data = lseek(fd, data, SEEK_DATA);
		HOLDS(data >= 0 && data <= far_places[i]);
		HOLDS(data + 65536 > far_places[i]);
		hole = lseek(fd, data, SEEK_HOLE);
		HOLDS(hole >= far_places[i] + 200);
		data = hole;
	}
	GIVES(ENXIO, lseek(fd, dense ? lseek(fd, 0, SEEK_END) : data,
			   SEEK_DATA));
	close(fd);
}

/* Every way to allocate, zero and punch, against a copy in memory. */
static void fallocate_ranges(void)
{
	static unsigned char want[400000], got[sizeof(want)];
	int fd = open_new("ranges", 0);
	struct stat st;

	fill(want, 300000, 0, 8);
	put(fd, 300000, 0, 8);
	HOLDS(!fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 5000,
			 100000));
	memset(want + 5000, 0, 100000);
	HOLDS(!fallocate(fd, FALLOC_FL_ZERO_RANGE, 150001, 30001));
	memset(want + 150001, 0, 30001);
	HOLDS(!fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 290000,
			 200000));
	memset(want + 290000, 0, 10000);
	HOLDS(!fstat(fd, &st) && st.st_size == 300000);
	HOLDS(!fallocate(fd, 0, 350000, 50000));
	HOLDS(!fstat(fd, &st) && st.st_size == sizeof(want));
	fill(want + 355555, 10, 355555, 9);
	put(fd, 10, 355555, 9);
	HOLDS(pread(fd, got, sizeof(got), 0) == sizeof(got));
	HOLDS(!memcmp(got, want, sizeof(got)));
	HOLDS(!ftruncate(fd, 7) && !ftruncate(fd, sizeof(want)));
	memset(want + 7, 0, sizeof(want) - 7);
	HOLDS(pread(fd, got, sizeof(got), 0) == sizeof(got));
	HOLDS(!memcmp(got, want, sizeof(got)));
	close(fd);
}

static void copies_ranges(void)
{
	int in = open_new("from", 0), out = open_new("to", 0);
	loff_t from = 1000, to = 5000;
	unsigned char *buf;
	struct stat st;

	put(in, 3000000, 0, 10);
	while (from < 2000000)
		HOLDS(copy_file_range(in, &from, out, &to,
				      (size_t)(2000000 - from), 0) > 0);
	HOLDS(!fstat(out, &st) && st.st_size == 2000000 + 4000);
	buf = malloc(1999000);
	HOLDS(buf && pread(out, buf, 1999000, 5000) == 1999000);
	HOLDS(is_filled(buf, 1999000, 1000, 10));
	free(buf);
	close(in);
	close(out);
}

/* --------------------------------------------------------------- direct I/O */

/* Aligned direct and unaligned buffered writes to one file, read both ways. */
static void direct_and_buffered(void)
{
	int fd = open_new("both", 0);
	int direct = open("both", O_RDWR | O_DIRECT);
	static unsigned char want[1u << 20], got[sizeof(want)];
	unsigned char *page;
	unsigned int i;

	HOLDS(direct >= 0);
	HOLDS(!posix_memalign((void **)&page, 4096, sizeof(want)));
	fill(page, sizeof(want), 0, 11);
	HOLDS(pwrite(direct, page, sizeof(want), 0) == sizeof(want));
	memcpy(want, page, sizeof(want));
	for (i = 0; i < 40; i++) {
		off_t pos = (off_t)(i * 7919 % 250) * 4096;
		size_t len = (1 + i % 5) * 4096;

		fill(page, len, (uint64_t)pos, 12 + i);
		HOLDS(pwrite(direct, page, len, pos) == (ssize_t)len);
		memcpy(want + pos, page, len);
		fill(want + pos + 1234, 3000, (uint64_t)pos + 1234, 60 + i);
		put(fd, 3000, pos + 1234, 60 + i);
		HOLDS(pread(direct, page, sizeof(want), 0) == sizeof(want));
		HOLDS(!memcmp(page, want, sizeof(want)));
		HOLDS(pread(fd, got, sizeof(got), 0) == sizeof(got));
		HOLDS(!memcmp(got, want, sizeof(got)));
	}
	free(page);
	close(direct);
	close(fd);
}

/* -------------------------------------------------------------- attributes */

static const struct timespec odd_times[] = {
	{ 0, 0 }, { -1, 999999999 }, { -2147483649ll, 5 }, { 4294967296ll, 1 },
	{ 253402300799ll, 123456789 },
};

static void times_are_exact(void)
{
	struct timespec ts[2];
	struct stat st;
	size_t i;

	close(open_new("timed", 0));
	for (i = 0; i < sizeof(odd_times) / sizeof(odd_times[0]); i++) {
		ts[0] = ts[1] = odd_times[i];
		ts[0].tv_nsec ^= 1;
		HOLDS(!utimensat(AT_FDCWD, "timed", ts, 0));
		HOLDS(!stat("timed", &st));
		HOLDS(!memcmp(&st.st_atim, &ts[0], sizeof(ts[0])));
		HOLDS(!memcmp(&st.st_mtim, &ts[1], sizeof(ts[1])));
	}
}

static void attributes_of_any_size(void)
{
	static char value[65536], got[65536], list[8192];
	char name[32];
	int len;

	close(open_new("attributed", 0));
	for (len = 1; len <= 65536; len *= 2) {
		fill((unsigned char *)value, (size_t)len, 0, (unsigned int)len);
		snprintf(name, sizeof(name), "user.value-%05d", len);
		HOLDS(!setxattr("attributed", name, value, (size_t)len,
				XATTR_CREATE));
		HOLDS(getxattr("attributed", name, NULL, 0) == len);
		HOLDS(getxattr("attributed", name, got, sizeof(got)) == len);
		HOLDS(!memcmp(got, value, (size_t)len));
	}
	GIVES(EEXIST, setxattr("attributed", "user.value-00001", "x", 1,
			       XATTR_CREATE));
	GIVES(ENODATA, setxattr("attributed", "user.none", "x", 1,
				XATTR_REPLACE));
	GIVES(ERANGE, getxattr("attributed", "user.value-00512", got, 511));
	HOLDS(!setxattr("attributed", "user.empty", "", 0, 0));
	HOLDS(!getxattr("attributed", "user.empty", got, sizeof(got)));
	HOLDS(listxattr("attributed", list, sizeof(list)) == 17 * 17 + 11);
	/* no access lists: they must be refused, not kept without effect */
	errno = 0;
	HOLDS(getxattr("attributed", "system.posix_acl_access", got, 64) < 0 &&
	      (errno == EOPNOTSUPP || errno == ENODATA));
}

/* ----------------------------------------------------------- directories */

#define NAMES	3000

/* Cookies stay good while what was read is removed. */
static void remove_while_reading(void)
{
	char name[64];
	struct dirent *de;
	unsigned int i, n = 0;
	DIR *dir;

	HOLDS(!mkdir("crowd", 0755));
	for (i = 0; i < NAMES; i++) {
		snprintf(name, sizeof(name), "crowd/member-%u", i);
		close(open_new(name, 0));
	}
	dir = opendir("crowd");
	HOLDS(dir);
	while ((de = readdir(dir))) {
		if (de->d_name[0] == '.')
			continue;
		HOLDS(!unlinkat(dirfd(dir), de->d_name, 0));
		n++;
	}
	HOLDS(n == NAMES);
	closedir(dir);
	HOLDS(!rmdir("crowd"));
}

static void seeks_in_directories(void)
{
	char name[64], at[NAME_MAX + 1];
	struct dirent *de;
	unsigned int i;
	long cookie;
	DIR *dir;

	HOLDS(!mkdir("shelf", 0755));
	for (i = 0; i < 500; i++) {
		snprintf(name, sizeof(name), "shelf/book-%u", i);
		close(open_new(name, 0));
	}
	dir = opendir("shelf");
	HOLDS(dir);
	for (i = 0; i < 300; i++)
		HOLDS(readdir(dir));
	cookie = telldir(dir);
	HOLDS(cookie > 0);
	de = readdir(dir);
	HOLDS(de);
	strcpy(at, de->d_name);
	while (readdir(dir))
		;
	seekdir(dir, cookie);
	de = readdir(dir);
	HOLDS(de && !strcmp(de->d_name, at));
	rewinddir(dir);
	for (i = 0; readdir(dir); i++)
		;
	HOLDS(i == 502);
	closedir(dir);
}

/* --------------------------------------------------------------------- main */

static const struct claim {
	const char *name;
	void (*check)(void);
	bool second;		/* after a remount, when the first are done */
} claims[] = {
	{ "map_stores", map_stores, false },
	{ "map_stores_survive", map_stores_survive, true },
	{ "map_is_the_file", map_is_the_file, false },
	{ "appends_do_not_mix", appends_do_not_mix, false },
	{ "appends_survive", check_appended, true },
	{ "tmpfile_gets_a_name", tmpfile_gets_a_name, false },
	{ "open_files_outlive_their_names", open_files_outlive_their_names,
	  false },
	{ "rename_exchanges", rename_exchanges, false },
	{ "rename_leaves_a_whiteout", rename_leaves_a_whiteout, false },
	{ "large_offsets", large_offsets, false },
	{ "large_offsets_survive", large_offsets_survive, true },
	{ "fallocate_ranges", fallocate_ranges, false },
	{ "copies_ranges", copies_ranges, false },
	{ "direct_and_buffered", direct_and_buffered, false },
	{ "times_are_exact", times_are_exact, false },
	{ "attributes_of_any_size", attributes_of_any_size, false },
	{ "remove_while_reading", remove_while_reading, false },
	{ "seeks_in_directories", seeks_in_directories, false },
};

#define CLAIMS	(sizeof(claims) / sizeof(claims[0]))

/* Each claim in a process of its own. */
static int check_one(const struct claim *c)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		c->check();
		_exit(0);
	}
	HOLDS(pid > 0 && waitpid(pid, &status, 0) == pid);
	status = WIFEXITED(status) ? WEXITSTATUS(status) : 1;
	printf("%s: %s\n", status ? "not true" : "ok", c->name);
	fflush(stdout);
	return status;
}

/* syscalls first|second DIRECTORY: all claims before or after a remount */
int main(int argc, char **argv)
{
	int failed = 0;
	size_t i;

	if (argc < 3 || argc > 4 || chdir(argv[2])) {
		fprintf(stderr, "usage: %s first|second DIRECTORY [dense]\n",
			argv[0]);
		return 2;
	}
	dense = argc == 4 && !strcmp(argv[3], "dense");
	umask(022);
	for (i = 0; i < CLAIMS; i++)
		if (claims[i].second == !strcmp(argv[1], "second"))
			failed |= check_one(&claims[i]);
	return failed;
}
