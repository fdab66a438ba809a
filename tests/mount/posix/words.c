/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Executing a script: calls are separated by ";", words by blanks.  The last
 * digit of a call's name says which of the four open files is meant; relative
 * paths of the *at() calls begin at file 3 if that is open.
 *
 * In paths "%n255" is a name of so many characters, "%p4095:x" the path "x"
 * made so long by "./", "%s4095" a symlink's target; "%empty" is the empty
 * path and "%bad" an address where nothing is.
 */
#include "posix.h"

#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define BAD_ADDRESS	((char *)8)
#define PATH_ROOM	20000u

sigjmp_buf fault_jump;
volatile int fault_expected;

void die(const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\n");
	exit(99);
}

/* --------------------------------------------------------------- arguments */

static char *expand(const char *text)
{
	char *out = malloc(PATH_ROOM), *end;
	size_t n = 0, count;

	if (!out)
		die("no memory");
	while (*text && n < PATH_ROOM / 2) {
		if (*text != '%') {
			out[n++] = *text++;
			continue;
		}
		count = strtoul(text + 2, &end, 10);
		if (count >= PATH_ROOM / 2)
			die("too long: %s", text);
		if (text[1] == 'p') {
			count -= strlen(++end);	/* behind the colon */
			if (count % 2)
				out[n++] = '.', out[n++] = '/', out[n++] = '/',
				count -= 3;
			for (; count; count -= 2)
				out[n++] = '.', out[n++] = '/';
		} else {
			memset(out + n, text[1], count);
			n += count;
		}
		text = end;
	}
	out[n] = '\0';
	return out;
}

const char *arg_path(struct run *r, unsigned int i)
{
	if (i >= r->nargs)
		return "";
	if (!strcmp(r->arg[i], "%bad"))
		return BAD_ADDRESS;
	if (!strcmp(r->arg[i], "%empty"))
		return "";
	if (!r->path[i])
		r->path[i] = expand(r->arg[i]);
	return r->path[i];
}

bool arg_is(struct run *r, unsigned int i, const char *word)
{
	return i < r->nargs && !strcmp(r->arg[i], word);
}

long long arg_num(struct run *r, unsigned int i)
{
	static const char units[] = "kmgtpe";
	const char *u;
	long long n;
	char *end;

	if (i >= r->nargs)
		return 0;
	if (arg_is(r, i, "max"))
		return INT64_MAX;
	n = strtoll(r->arg[i], &end, 0);
	u = *end ? strchr(units, *end) : NULL;
	if (u) {
		n *= 1ll << 10 * (u - units + 1);
		end++;
	}
	if (*end == '+' || *end == '-')
		n += strtoll(end, &end, 0);
	if (*end)
		die("not a number: %s", r->arg[i]);
	return n;
}

long flags_of(const char *text, const struct flag_name *names)
{
	char copy[256], *save, *word, *end;
	const struct flag_name *f;
	long flags = 0, n;

	snprintf(copy, sizeof(copy), "%s", text);
	for (word = strtok_r(copy, ",", &save); word;
	     word = strtok_r(NULL, ",", &save)) {
		for (f = names; f->name && strcmp(f->name, word); f++)
			;
		n = f->name ? f->value : strtol(word, &end, 0);
		if (!f->name && *end)
			die("no such flag: %s", word);
		flags |= n;
	}
	return flags;
}

long arg_open_flags(struct run *r, unsigned int i)
{
	static const struct flag_name names[] = {
		{ "r", O_RDONLY }, { "w", O_WRONLY }, { "rw", O_RDWR },
		{ "creat", O_CREAT }, { "excl", O_EXCL }, { "trunc", O_TRUNC },
		{ "append", O_APPEND }, { "directory", O_DIRECTORY },
		{ "nofollow", O_NOFOLLOW }, { "path", O_PATH },
		{ "direct", O_DIRECT }, { "tmpfile", O_TMPFILE },
		{ "sync", O_SYNC }, { "dsync", O_DSYNC },
		{ "noatime", O_NOATIME }, { "wait", 0 }, { NULL, 0 },
	};

	/* fifos without another end must not stop everything */
	return flags_of(r->arg[i], names) | O_CLOEXEC | O_NONBLOCK;
}

int fd_of(const struct run *r)
{
	return r->fd[r->slot];
}

int dirfd_of(const struct run *r)
{
	return r->fd[DIR_SLOT] < 0 ? AT_FDCWD : r->fd[DIR_SLOT];
}

void note(struct run *r, const char *fmt, ...)
{
	size_t n = strlen(r->note);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r->note + n, sizeof(r->note) - n, fmt, ap);
	va_end(ap);
}

char *io_buffer(struct run *r, size_t len)
{
	static char *buf;
	static size_t room;
	size_t i;

	if (len + 8192 > room) {
		free(buf);
		room = (len + 12287) & ~4095ul;
		buf = aligned_alloc(4096, room);
		if (!buf)
			die("no memory");
	}
	r->writes++;
	for (i = 0; i < len; i++)
		buf[i] = 'a' + (i + i / 26 + r->writes) % 26;
	return buf;
}

/* ---------------------------------------------------------------- identity */

static const struct who {
	const char *name;
	uid_t uid;
	gid_t gid, more;
} whos[] = {
	{ "root", 0, 0, 0 },
	{ "owner", 1000, 1000, 1000 },
	{ "group", 1001, 1001, 1000 },
	{ "other", 1002, 1002, 1002 },
};

int become(const char *name)
{
	const struct who *w;

	/* back to all rights first */
	if (setresuid(0, 0, 0) || setresgid(0, 0, 0))
		die("cannot become root again");
	for (w = whos; w < whos + ARRAY_SIZE(whos); w++) {
		if (strcmp(w->name, name))
			continue;
		if (setgroups(w->uid ? 1 : 0, &w->more) ||
		    setresgid(w->gid, w->gid, w->gid))
			return -1;
		return setresuid(w->uid, w->uid, 0);
	}
	die("who is %s?", name);
}

long in_child(struct run *r, long (*fn)(struct run *r))
{
	int status, err[2];
	pid_t pid;
	long ret;

	pid = fork();
	if (!pid) {
		ret = fn(r);
		_exit(ret < 0 ? errno : 0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		die("fork: %s", strerror(errno));
	err[0] = WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
	errno = err[0];
	return err[0] ? -1 : 0;
}

/* --------------------------------------------------------------- execution */

static const struct word *find_in(const struct word *words, const char *name,
				  size_t len)
{
	for (; words->name; words++)
		if (strlen(words->name) == len &&
		    !strncmp(words->name, name, len))
			return words;
	return NULL;
}

static const struct word *find_word(struct run *r, const char *name)
{
	const struct word *const all[] = {
		words_name, words_attr, words_file, words_more,
	};
	size_t len = strlen(name), i;
	const struct word *w = NULL;

	r->slot = 0;
	for (i = 0; i < ARRAY_SIZE(all) && !w; i++)
		w = find_in(all[i], name, len);
	if (w)
		return w;
	r->slot = name[len - 1] - '0';
	for (i = 0; i < ARRAY_SIZE(all) && !w; i++)
		w = find_in(all[i], name, len - 1);
	if (!w || r->slot >= SLOTS)
		die("no such word: %s", name);
	return w;
}

static void drop_args(struct run *r)
{
	unsigned int i;

	for (i = 0; i < ARGS_MAX; i++) {
		free(r->path[i]);
		r->path[i] = NULL;
	}
}

static void show_result(const struct run *r, long ret, int err)
{
	const char *name = ret < 0 ? strerrorname_np(err) : NULL;

	printf(" ");
	if (ret < 0)
		printf("%s", name ? name : "?");
	else if (r->yields_fd)
		printf("ok");
	else
		printf("%ld", ret);
	if (r->note[0]) {
		printf(":");
		print_name(r->note);
	}
}

/* 0, or the errno of the call. */
static int run_call(struct run *r, char *text, bool report)
{
	const struct word *w;
	char *save, *name = strtok_r(text, " ", &save), *a;
	int err = 0;
	long ret;

	if (!name)
		return 0;
	r->nargs = 0;
	while ((a = strtok_r(NULL, " ", &save))) {
		if (r->nargs == ARGS_MAX)
			die("too many arguments: %s", name);
		r->arg[r->nargs++] = a;
	}
	w = find_word(r, name);
	if (r->nargs < w->least || r->nargs > w->most)
		die("%s takes %u to %u arguments", name, w->least, w->most);
	r->note[0] = '\0';
	r->yields_fd = false;
	errno = 0;
	ret = w->run(r);
	if (ret < 0)
		err = errno;
	if (report)
		show_result(r, ret, err);
	drop_args(r);
	return err;
}

const char *script_run(struct run *r, const char *script, bool report)
{
	static char failed[128];
	char *copy = strdup(script), *save, *call;
	int err;

	if (!copy)
		die("no memory");
	failed[0] = '\0';
	for (call = strtok_r(copy, ";", &save); call;
	     call = strtok_r(NULL, ";", &save)) {
		err = run_call(r, call, report);
		if (err && !report && !failed[0])
			snprintf(failed, sizeof(failed), "%s: %s", call,
				 strerrorname_np(err));
	}
	free(copy);
	return failed[0] ? failed : NULL;
}

/* ------------------------------------------------------- beginning and end */

void run_begin(struct run *r, int top)
{
	unsigned int i;

	memset(r, 0, sizeof(*r));
	r->top = top;
	r->child = -1;
	for (i = 0; i < SLOTS; i++)
		r->fd[i] = -1;
	if (fchdir(top))
		die("fchdir: %s", strerror(errno));
	umask(022);
}

static void end_child(struct run *r)
{
	if (r->child <= 0)
		return;
	close(r->child_pipe);
	waitpid(r->child, NULL, 0);
	r->child = -1;
}

void run_end(struct run *r)
{
	const struct rlimit none = { RLIM_INFINITY, RLIM_INFINITY };
	unsigned int i;

	become("root");
	setrlimit(RLIMIT_FSIZE, &none);
	if (r->map)
		munmap(r->map, r->map_len);
	for (i = 0; i < SLOTS; i++)
		if (r->fd[i] >= 0)
			close(r->fd[i]);
	end_child(r);
	if (fchdir(r->top))
		die("fchdir: %s", strerror(errno));
	while (!umount2("m", MNT_DETACH))
		;
}
