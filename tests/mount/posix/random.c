/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A long script that a seed makes up: calls on few names, so that they meet.
 * What comes next never depends on what the filesystem answered.
 */
#include "posix.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BETWEEN_SNAPS	20u

static uint64_t state;

static unsigned int below(unsigned int n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (state * 0x2545f4914f6cdd1du >> 33) % n;
}

static const char *pick(const char *const *words, unsigned int n)
{
	return words[below(n)];
}

#define PICK(words)	pick(words, ARRAY_SIZE(words))

static const char *const names[] = {
	"a", "b", "c", "a", "b", "c", "d/a", "d/b", "d/c", "d/a", "e/a", "e/b",
	"e/a", "d/e/a", "d/e/b", "d/e/c", "d/e", "d", "e", "l", "l/a", "l/b",
	"d/l", "e/d", "e/d/a", "a/", "d/", "l/", "d/.", "d/..", "d/../e", ".",
	"%empty", "a/b", "%n255", "d/%n255",
};
static const char *const modes[] = {
	"0777", "0644", "0755", "0600", "0700", "01777", "02775", "04755",
	"06755", "0555", "0444", "0000", "0666", "03777",
};
static const char *const ids[] = { "0", "1000", "1001", "1002", "-1" };
static const char *const sizes[] = {
	"0", "1", "7", "10", "100", "4095", "4096", "4097", "8192", "12288",
	"20000", "40960", "65536", "70001",
};
static const char *const opens[] = {
	"r", "w", "rw", "rw,creat", "rw,creat,excl", "w,creat,trunc",
	"w,append,creat", "r,trunc", "path", "r,directory", "r,nofollow",
	"rw,tmpfile", "r,creat",
};
/* no whiteout: where it fails, ext4 has touched the directory */
static const char *const renames[] = {
	"", "", "", " noreplace", " exchange",
};
static const char *const times[] = {
	"now", "omit", "5.5", "-7.25", "3000000000", "omit",
};
static const char *const callers[] = { "root", "owner", "group", "other" };
static const char *const falls[] = {
	"plain", "keep", "punch,keep", "zero", "zero,keep",
};
static const char *const keys[] = {
	"user.a", "user.b", "security.a",
};

static void on_names(char *text, size_t room)
{
	const char *a = PICK(names), *b = PICK(names);

	switch (below(14)) {
	case 0:
	case 1:
		snprintf(text, room, "mkdir %s %s", a, PICK(modes));
		break;
	case 2:
		snprintf(text, room, "creat %s %s", a, PICK(modes));
		break;
	case 3:		/* no fifo: FUSE hears nothing of writes to it */
		snprintf(text, room, "mknod %s sock %s", a, PICK(modes));
		break;
	case 4:
		snprintf(text, room, "symlink %s %s", b, a);
		break;
	case 5:
	case 6:
		snprintf(text, room, "link %s %s", a, b);
		break;
	case 7:
		snprintf(text, room, "unlink %s", a);
		break;
	case 8:
		snprintf(text, room, "rmdir %s", a);
		break;
	case 9:
		snprintf(text, room, "list %s", a);
		break;
	default:
		snprintf(text, room, "rename %s %s%s", a, b, PICK(renames));
	}
}

static void on_attrs(char *text, size_t room)
{
	const char *a = PICK(names);

	switch (below(8)) {
	case 0:
		snprintf(text, room, "chmod %s %s", a, PICK(modes));
		break;
	case 1:
		/* never both -1: the kernel does not tell that */
		snprintf(text, room, "lchown %s %s %s", a, PICK(ids),
			 ids[below(ARRAY_SIZE(ids) - 1)]);
		break;
	case 2:
		snprintf(text, room, "utime %s %s %s", a, PICK(times),
			 PICK(times));
		break;
	case 3:
		snprintf(text, room, "truncate %s %s", a, PICK(sizes));
		break;
	case 4:
		snprintf(text, room, "lsetxattr %s %s #%u", a, PICK(keys),
			 below(900));
		break;
	case 5:
		snprintf(text, room, "lrmxattr %s %s", a, PICK(keys));
		break;
	case 6:
		snprintf(text, room, "listxattr %s", a);
		break;
	default:
		snprintf(text, room, "access %s %s", a, below(2) ? "r" : "w");
	}
}

static void on_open(char *text, size_t room)
{
	unsigned int fd = below(2);

	switch (below(16)) {
	case 0:
	case 1:
	case 2:
	case 3:
		snprintf(text, room, "open%u %s %s %s", fd, PICK(names),
			 PICK(opens), PICK(modes));
		break;
	case 4:
	case 5:
		snprintf(text, room, "pwrite%u %s %s", fd, PICK(sizes),
			 PICK(sizes));
		break;
	case 6:
		snprintf(text, room, "write%u %s", fd, PICK(sizes));
		break;
	case 7:
		snprintf(text, room, "pread%u %s %s", fd, PICK(sizes),
			 PICK(sizes));
		break;
	case 8:
		snprintf(text, room, "ftruncate%u %s", fd, PICK(sizes));
		break;
	case 9:
	case 10:
		snprintf(text, room, "fallocate%u %s %s %s", fd, PICK(falls),
			 PICK(sizes), PICK(sizes));
		break;
	case 11:
		snprintf(text, room, "fchmod%u %s", fd, PICK(modes));
		break;
	case 12:
		snprintf(text, room, "linkfd%u %s proc", fd, PICK(names));
		break;
	case 13:
		snprintf(text, room, "copy %s %s %s", PICK(sizes), PICK(sizes),
			 PICK(sizes));
		break;
	case 14:
		snprintf(text, room, "close%u", fd);
		break;
	default:
		snprintf(text, room, below(2) ? "fstat%u" : "fsync%u", fd);
	}
}

/* Now and then what the names go through is made again. */
#define BETWEEN_DIRS	100u

static void next_call(char *text, size_t room, unsigned int step)
{
	static const char *const again[] = {
		"as root", "mkdir d 0777", "mkdir e 0777", "mkdir d/e 0777",
		"symlink d l", "chmod . 01777",
	};
	unsigned int kind = below(20);

	if (step % BETWEEN_DIRS < ARRAY_SIZE(again))
		snprintf(text, room, "%s", again[step % BETWEEN_DIRS]);
	else if (kind < 10)
		on_names(text, room);
	else if (kind < 13)
		on_attrs(text, room);
	else if (kind < 19)
		on_open(text, room);
	else
		snprintf(text, room, "as %s", PICK(callers));
}

void random_run(struct run *r, unsigned long seed, unsigned int steps,
		bool atimes)
{
	static struct snap snaps[2];
	struct timespec since;
	unsigned int i, now = 0;
	char text[256];

	state_coarse = true;
	state = seed * 0x9e3779b97f4a7c15u + 1;
	if (chmod(".", 0777))
		die("chmod: %s", strerror(errno));
	state_take(&snaps[0], true);
	wait_for_tick(&since);
	for (i = 1; i <= steps; i++) {
		next_call(text, sizeof(text), i);
		printf("%u %s =>", i, text);
		script_run(r, text, true);
		printf("\n");
		if (i % BETWEEN_SNAPS)
			continue;
		become("root");
		state_take(&snaps[!now], true);
		printf("%u", i);
		state_print(&snaps[now], &snaps[!now], &since, atimes);
		printf("\n");
		state_drop(&snaps[now]);
		now = !now;
		wait_for_tick(&since);
	}
	state_drop(&snaps[now]);
}
