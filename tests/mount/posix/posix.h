/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a filesystem answers, case by case, as text.
 *
 * A case is two short scripts: what stands there, and what is done to it,
 *
 *	mk full d; mk file d/f ! as other; unlink d/f; rmdir d
 *
 * and its outcome is one line: the script, the result of each call that was
 * done, and what is different afterwards, times included.  Nothing is expected
 * here: the same cases run on another filesystem are the expectation.
 *
 * The program is made of: words.c (how a script is executed), words_*.c (its
 * vocabulary), state.c (a tree before and after), cases*.c (the tables),
 * random.c (long scripts that a seed makes up), main.c.
 */
#ifndef OWFS_TEST_POSIX_H
#define OWFS_TEST_POSIX_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

void die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

/* ------------------------------------------------------------------- state */

struct obj {
	char *path;
	struct statx sx;
	uint64_t hash;		/* of the contents, holes being zeros */
	uint64_t xhash;		/* of the extended attributes */
	char target[64];	/* as it is shown */
};

#define OBJS_MAX	256u

struct snap {
	struct obj obj[OBJS_MAX];	/* by path */
	unsigned int n;
};

/* All below the working directory, itself included. */
void state_take(struct snap *s, bool with_xattrs);
void state_drop(struct snap *s);
/* What is different; times not before @since are "now". */
void state_print(const struct snap *old, const struct snap *new,
		 const struct timespec *since, bool atimes);
/* Tell nothing of blocks. */
extern bool state_coarse;
/* Give everything times that lie far back. */
void state_age(void);
/* A path or name, long runs of one character as *N. */
void print_name(const char *name);
/* Now; and return when the clock of file times shows something later. */
void wait_for_tick(struct timespec *now);

/* ------------------------------------------------------------------- words */

#define ARGS_MAX	9u
#define SLOTS		4u	/* open files of a script */
#define DIR_SLOT	3u	/* what the *at() calls are relative to */

/* A script being executed. */
struct run {
	int top;		/* the case's directory */
	int fd[SLOTS];
	void *map;
	size_t map_len;
	pid_t child;
	int child_pipe;
	unsigned int writes;	/* so that each writes something else */

	/* the call being executed */
	unsigned int nargs, slot;
	const char *arg[ARGS_MAX];
	char *path[ARGS_MAX];	/* expanded, or NULL */
	char note[512];		/* shown behind the result */
	bool yields_fd;		/* the result is not the same everywhere */
};

struct word {
	const char *name;
	unsigned int least, most;	/* arguments */
	long (*run)(struct run *r);
};

extern const struct word words_name[], words_attr[], words_file[],
	words_more[];

/* Execute a script.  @report: print results; else any failure is returned. */
const char *script_run(struct run *r, const char *script, bool report);
void run_begin(struct run *r, int top);
/* Undo whatever the script left: files, identity, mounts, limits, children. */
void run_end(struct run *r);

/* For the words: arguments. */
const char *arg_path(struct run *r, unsigned int i);
long long arg_num(struct run *r, unsigned int i);
bool arg_is(struct run *r, unsigned int i, const char *word);
int dirfd_of(const struct run *r);
int fd_of(const struct run *r);

struct flag_name {
	const char *name;
	long value;
};
/* "a,b,c", or a number. */
long flags_of(const char *text, const struct flag_name *names);
long arg_open_flags(struct run *r, unsigned int i);
void note(struct run *r, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* A buffer of pages, filled with something new. */
char *io_buffer(struct run *r, size_t len);
uint64_t hash_bytes(uint64_t hash, const void *buf, size_t len);
/* Become somebody: root, owner, group (a member), other. */
int become(const char *who);
long in_child(struct run *r, long (*fn)(struct run *r));

extern sigjmp_buf fault_jump;
extern volatile int fault_expected;

/* ------------------------------------------------------------------- cases */

/* "what stands there ! what is done" */
void add(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

struct section {
	const char *name;
	void (*fill)(void);
};

extern const struct section sections_name[], sections_perm[], sections_file[],
	sections_more[];

/* random.c: @steps calls made up from @seed, outcomes printed. */
void random_run(struct run *r, unsigned long seed, unsigned int steps,
		bool atimes);

#endif
