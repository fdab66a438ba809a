/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A tree as it is, and what has become of it. */
#include "posix.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#define LONG_AGO	1000000000

uint64_t hash_bytes(uint64_t hash, const void *buf, size_t len)
{
	const unsigned char *p = buf;

	while (len--)
		hash = (hash ^ *p++) * 0x100000001b3u;
	return hash;
}

/* Blocks of zeros count as holes do: not at all. */
static uint64_t hash_range(int fd, uint64_t hash, off_t pos, off_t end)
{
	static const char zeros[4096];
	char buf[4096];
	ssize_t n;

	for (pos &= ~4095ll; pos < end; pos += sizeof(buf)) {
		n = pread(fd, buf, sizeof(buf), pos);
		if (n <= 0)
			break;
		if (!memcmp(buf, zeros, n))
			continue;
		hash = hash_bytes(hash, &pos, sizeof(pos));
		hash = hash_bytes(hash, buf, n);
	}
	return hash;
}

/* Of what is very long, the two ends. */
#define HASHED_WHOLE	(1 << 20)
#define HASHED_END	(1 << 16)

static uint64_t hash_file(const char *path, off_t size)
{
	uint64_t hash = 0xcbf29ce484222325u;
	int fd;

	if (!size)
		return 0;
	fd = open(path, O_RDONLY | O_NOATIME);
	if (fd < 0)
		return errno;
	if (size <= HASHED_WHOLE) {
		hash = hash_range(fd, hash, 0, size);
	} else {
		hash = hash_range(fd, hash, 0, HASHED_END);
		hash = hash_range(fd, hash, size - HASHED_END, size);
	}
	close(fd);
	return hash;
}

static uint64_t hash_xattrs(const char *path)
{
	char names[4096], value[70000];
	uint64_t sum = 0, hash;
	ssize_t len = llistxattr(path, names, sizeof(names)), n;
	const char *p;

	for (p = names; len > 0 && p < names + len; p += strlen(p) + 1) {
		n = lgetxattr(path, p, value, sizeof(value));
		hash = hash_bytes(7, p, strlen(p));
		/* in whatever order they are listed */
		sum += hash_bytes(hash, value, n < 0 ? 0 : n);
	}
	return sum;
}

static void take_one(struct snap *s, const char *path, bool with_xattrs)
{
	struct obj *o = &s->obj[s->n];
	ssize_t n;

	if (s->n == OBJS_MAX)
		die("more than %u objects", OBJS_MAX);
	memset(o, 0, sizeof(*o));
	if (statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW,
		  STATX_BASIC_STATS | STATX_BTIME, &o->sx))
		return;
	o->path = strdup(path);
	if (S_ISREG(o->sx.stx_mode))
		o->hash = hash_file(path, o->sx.stx_size);
	if (with_xattrs)
		o->xhash = hash_xattrs(path);
	if (S_ISLNK(o->sx.stx_mode)) {
		n = readlink(path, o->target, sizeof(o->target) - 1);
		o->target[n < 0 ? 0 : n] = '\0';
	}
	s->n++;
}

static void take_dir(struct snap *s, const char *path, bool with_xattrs)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOATIME | O_NOFOLLOW);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	char sub[PATH_MAX];
	struct dirent *de;
	unsigned int first = s->n, last, i;

	while (dir && (de = readdir(dir))) {
		if (!strcmp(de->d_name, ".") || !strcmp(de->d_name, ".."))
			continue;
		if (snprintf(sub, sizeof(sub), "%s/%s", path, de->d_name) <
		    (int)sizeof(sub))
			take_one(s, strcmp(path, ".") ? sub : sub + 2,
				 with_xattrs);
	}
	if (dir)
		closedir(dir);
	for (last = s->n, i = first; i < last; i++)
		if (S_ISDIR(s->obj[i].sx.stx_mode))
			take_dir(s, s->obj[i].path, with_xattrs);
}

static int by_path(const void *a, const void *b)
{
	const struct obj *x = a, *y = b;

	return strcmp(x->path, y->path);
}

void state_take(struct snap *s, bool with_xattrs)
{
	s->n = 0;
	take_one(s, ".", with_xattrs);
	take_dir(s, ".", with_xattrs);
	qsort(s->obj, s->n, sizeof(s->obj[0]), by_path);
}

void state_drop(struct snap *s)
{
	while (s->n)
		free(s->obj[--s->n].path);
}

void state_age(void)
{
	static const struct timespec then[2] = {
		{ .tv_sec = LONG_AGO }, { .tv_sec = LONG_AGO },
	};
	struct snap *s = calloc(1, sizeof(*s));
	unsigned int i;

	if (!s)
		die("no memory");
	state_take(s, false);
	for (i = 0; i < s->n; i++)
		utimensat(AT_FDCWD, s->obj[i].path, then, AT_SYMLINK_NOFOLLOW);
	state_drop(s);
	free(s);
}

static bool is_before(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec != b->tv_sec ? a->tv_sec < b->tv_sec
				      : a->tv_nsec < b->tv_nsec;
}

void wait_for_tick(struct timespec *now)
{
	const struct timespec bit = { .tv_nsec = 500000 };
	struct timespec fine;

	clock_gettime(CLOCK_REALTIME, &fine);
	while (clock_gettime(CLOCK_REALTIME_COARSE, now),
	       !is_before(&fine, now))
		nanosleep(&bit, NULL);
}

/* ---------------------------------------------------------------- printing */

void print_name(const char *name)
{
	size_t n;

	for (; *name; name += n) {
		for (n = 1; name[n] == *name; n++)
			;
		if (n > 16)
			printf("%c*%zu", *name, n);
		else if (*name < 32 || *name > 126)
			printf("\\%02x", (unsigned char)*name), n = 1;
		else
			printf("%.*s", (int)n, name);
	}
}

/* A number is used again: the time of birth tells the two apart. */
static bool is_same(const struct obj *a, const struct obj *b)
{
	return a->sx.stx_ino == b->sx.stx_ino &&
	       a->sx.stx_dev_minor == b->sx.stx_dev_minor &&
	       a->sx.stx_dev_major == b->sx.stx_dev_major &&
	       a->sx.stx_btime.tv_sec == b->sx.stx_btime.tv_sec &&
	       a->sx.stx_btime.tv_nsec == b->sx.stx_btime.tv_nsec;
}

static const struct obj *find_same(const struct snap *s, const struct obj *o)
{
	unsigned int i;

	for (i = 0; i < s->n; i++)
		if (is_same(&s->obj[i], o))
			return &s->obj[i];
	return NULL;
}

static const struct obj *find_path(const struct snap *s, const char *path)
{
	const struct obj key = { .path = (char *)path };

	return bsearch(&key, s->obj, s->n, sizeof(key), by_path);
}

/* Now, in this run, or a time that somebody has set. */
static void print_time(const char *name, const struct statx_timestamp *old,
		       const struct statx_timestamp *new,
		       const struct timespec *since)
{
	const struct timespec ts = {
		.tv_sec = new->tv_sec, .tv_nsec = new->tv_nsec,
	};
	struct timespec now;

	if (old && old->tv_sec == new->tv_sec && old->tv_nsec == new->tv_nsec)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	if (!is_before(&ts, since) && !is_before(&now, &ts))
		printf(" %s", name);
	else if (ts.tv_sec > since->tv_sec - 3600 && is_before(&ts, since))
		printf(" %s=before", name);
	else
		printf(" %s=%lld.%09u", name, (long long)new->tv_sec,
		       new->tv_nsec);
}

static void print_times(const struct obj *old, const struct obj *new,
			const struct timespec *since, bool atimes)
{
	const struct statx *o = old ? &old->sx : NULL, *n = &new->sx;

	if (atimes)
		print_time("a", o ? &o->stx_atime : NULL, &n->stx_atime, since);
	print_time("m", o ? &o->stx_mtime : NULL, &n->stx_mtime, since);
	print_time("c", o ? &o->stx_ctime : NULL, &n->stx_ctime, since);
	print_time("b", o ? &o->stx_btime : NULL, &n->stx_btime, since);
}

bool state_coarse;

/*
 * Nothing, less than the size, as much, more; "x" where attributes may have
 * blocks of their own.  Many extents may, too: then nothing is told.
 */
static char blocks_class(const struct obj *o)
{
	uint64_t want = (o->sx.stx_size + 4095) / 4096 * 8;

	if (o->xhash || state_coarse)
		return 'x';
	if (!o->sx.stx_blocks)
		return '0';
	if (o->sx.stx_blocks == want)
		return '=';
	return o->sx.stx_blocks < want ? '<' : '>';
}

static char type_of(unsigned int mode)
{
	static const char types[] = "?pc?d?b?-?l?s???";

	return types[(mode & S_IFMT) >> 12];
}

#define DIFFERS(field)	(!old || old->sx.field != new->sx.field)

static void print_attrs(const struct obj *old, const struct obj *new)
{
	unsigned int mode = new->sx.stx_mode;

	if (DIFFERS(stx_mode))
		printf(" %c%04o", type_of(mode), mode & 07777);
	if (DIFFERS(stx_uid) || DIFFERS(stx_gid))
		printf(" %u:%u", new->sx.stx_uid, new->sx.stx_gid);
	if (DIFFERS(stx_nlink))
		printf(" n%u", new->sx.stx_nlink);
	if ((S_ISCHR(mode) || S_ISBLK(mode)) && DIFFERS(stx_rdev_minor))
		printf(" %u,%u", new->sx.stx_rdev_major,
		       new->sx.stx_rdev_minor);
	if (S_ISLNK(mode) && !old) {
		printf(" %llu->", (unsigned long long)new->sx.stx_size);
		print_name(new->target);
	}
	if (new->xhash != (old ? old->xhash : 0))
		printf(" xattrs=%016llx", (unsigned long long)new->xhash);
	if (!S_ISREG(mode))
		return;
	if (DIFFERS(stx_size))
		printf(" s%llu", (unsigned long long)new->sx.stx_size);
	if (!old || blocks_class(old) != blocks_class(new))
		printf(" b%c", blocks_class(new));
	if (new->hash != (old ? old->hash : 0))
		printf(" h%08x", (unsigned int)(new->hash ^ new->hash >> 32));
}

static bool times_differ(const struct obj *old, const struct obj *new,
			 bool atimes)
{
	const struct statx *o = &old->sx, *n = &new->sx;

	return (atimes && memcmp(&o->stx_atime, &n->stx_atime, 12)) ||
	       memcmp(&o->stx_mtime, &n->stx_mtime, 12) ||
	       memcmp(&o->stx_ctime, &n->stx_ctime, 12);
}

static bool differs(const struct obj *old, const struct obj *new, bool atimes)
{
	if (old->sx.stx_mode != new->sx.stx_mode ||
	    old->sx.stx_uid != new->sx.stx_uid ||
	    old->sx.stx_gid != new->sx.stx_gid ||
	    old->sx.stx_nlink != new->sx.stx_nlink ||
	    old->hash != new->hash || old->xhash != new->xhash ||
	    times_differ(old, new, atimes))
		return true;
	return S_ISREG(new->sx.stx_mode) &&
	       (old->sx.stx_size != new->sx.stx_size ||
		blocks_class(old) != blocks_class(new));
}

static void print_obj(const struct snap *os, const struct snap *ns,
		      const struct obj *new, const struct timespec *since,
		      bool atimes)
{
	const struct obj *old = find_same(os, new);
	const struct obj *at = find_path(os, new->path);
	bool moved = !at || !is_same(at, new);
	bool again = find_same(ns, new) != new;	/* another name was shown */

	if (!moved && (again || !differs(old, new, atimes)))
		return;
	printf("; %s", moved ? "+" : "");
	print_name(new->path);
	if (moved && (old || again)) {
		printf("=");
		print_name(old ? old->path : find_same(ns, new)->path);
	}
	if (again)
		return;
	print_attrs(old, new);
	print_times(old, new, since, atimes);
}

void state_print(const struct snap *old, const struct snap *new,
		 const struct timespec *since, bool atimes)
{
	unsigned int i;

	for (i = 0; i < old->n; i++)
		if (!find_path(new, old->obj[i].path)) {
			printf("; -");
			print_name(old->obj[i].path);
		}
	for (i = 0; i < new->n; i++)
		print_obj(old, new, &new->obj[i], since, atimes);
}
