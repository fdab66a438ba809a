/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * listing NAMES DIRECTORY: a directory of so many names is listed while others
 * come and go.  What stays all the time is seen once; the places that
 * telldir(3) told are still places when much has been removed; one pass that
 * removes what it sees leaves nothing, and one that renames it has an end.
 *
 * It knows nothing of owfs; on any other filesystem it must pass as well,
 * provided that places are told apart.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static unsigned long n;		/* names that stay: "s" and a number */
static unsigned char *seen;
static unsigned long *order;	/* their numbers as they are listed ... */
static long *place;		/* ... and the place behind each */

static void fail(int line, const char *what)
{
	fprintf(stderr, "listing.c:%d: %s (%s)\n", line, what,
		strerror(errno));
	_exit(1);
}

#define HOLDS(cond)	do { if (!(cond)) fail(__LINE__, #cond); } while (0)

static void name_of(char kind, unsigned long i, char *name)
{
	sprintf(name, "%c%07lu", kind, i);
}

static void make(char kind, unsigned long i)
{
	char name[32];

	name_of(kind, i, name);
	HOLDS(!mknod(name, S_IFREG | 0600, 0));
}

static void drop(char kind, unsigned long i)
{
	char name[32];

	name_of(kind, i, name);
	HOLDS(!unlink(name));
}

/* The next of the names that stay; false at the end. */
static bool next_stayer(DIR *dir, unsigned long *i)
{
	struct dirent *de;

	while ((errno = 0, de = readdir(dir))) {
		if (de->d_name[0] != 's')
			continue;
		*i = strtoul(de->d_name + 1, NULL, 10);
		HOLDS(*i < n);
		return true;
	}
	HOLDS(!errno);
	return false;
}

/* ------------------------------------------------------ others come and go */

static volatile sig_atomic_t over;

static void on_term(int sig)
{
	(void)sig;
	over = 1;
}

/* Names that are never used again, the last hundred of them there. */
static _Noreturn void come_and_go(void)
{
	unsigned long i, last;

	signal(SIGTERM, on_term);
	for (i = 0; !over; i++) {
		make('c', i);
		if (i >= 100)
			drop('c', i - 100);
	}
	for (last = i > 100 ? i - 100 : 0; last < i; last++)
		drop('c', last);
	_exit(0);
}

static pid_t start(void)
{
	pid_t pid = fork();

	HOLDS(pid >= 0);
	if (!pid)
		come_and_go();
	return pid;
}

static void stop(pid_t pid)
{
	int status;

	HOLDS(!kill(pid, SIGTERM));
	HOLDS(waitpid(pid, &status, 0) == pid && status == 0);
}

/* ------------------------------------------------------------------ claims */

/* Whoever stays is seen once; the order and the places are noted. */
static void each_once(void)
{
	DIR *dir = opendir(".");
	unsigned long i, count = 0;

	HOLDS(dir);
	memset(seen, 0, n);
	while (next_stayer(dir, &i)) {
		HOLDS(!seen[i]);
		seen[i] = 1;
		order[count] = i;
		place[count++] = telldir(dir);
	}
	HOLDS(count == n);
	closedir(dir);
}

static bool is_gone(unsigned long i, unsigned int share)
{
	return share && i % share;
}

/*
 * Behind the @at-th place come those that were listed behind it and are still
 * there, in that order; all but every @share-th are gone, if that is not 0.
 */
static void check_place(DIR *dir, unsigned long at, unsigned int share)
{
	unsigned long i, k = at + 1, steps;

	seekdir(dir, place[at]);
	for (steps = 0; steps < 10; steps++, k++) {
		while (k < n && is_gone(order[k], share))
			k++;
		if (!next_stayer(dir, &i)) {
			HOLDS(k == n);
			return;
		}
		HOLDS(k < n && order[k] == i);
	}
}

static void places_are_true(unsigned int share)
{
	DIR *dir = opendir(".");
	unsigned long i, step = n / 500 + 1;

	HOLDS(dir);
	for (i = 0; i < n; i += step)
		check_place(dir, (i * 7919) % n, share);
	check_place(dir, n - 1, share);
	check_place(dir, 0, share);
	rewinddir(dir);
	HOLDS(next_stayer(dir, &i) && !is_gone(i, share));
	closedir(dir);
}

static void drop_most(unsigned int share)
{
	unsigned long i;

	for (i = 0; i < n; i++)
		if (is_gone(i, share))
			drop('s', i);
}

/* One pass removes all, seeing each but once. */
static void one_pass_removes(void)
{
	DIR *dir = opendir(".");
	unsigned long i, count = 0;

	HOLDS(dir);
	while (next_stayer(dir, &i)) {
		drop('s', i);
		count++;
	}
	rewinddir(dir);
	HOLDS(!next_stayer(dir, &i));
	closedir(dir);
	printf("%lu of them removed in one pass\n", count);
}

/* Moving what is listed to another name does not make a listing endless. */
static void moving_ends(void)
{
	unsigned long i, moved = 0, most = n < 3000 ? n : 3000;
	DIR *dir = opendir(".");
	char old[32], new[40];

	HOLDS(dir);
	while (moved < 100 * most && next_stayer(dir, &i)) {
		if (i >= most)
			continue;
		name_of('s', i, old);
		sprintf(new, "s%07lu.", i);
		/* there and back, as often as it is met */
		if (rename(old, new))
			HOLDS(!rename(new, old));
		moved++;
	}
	HOLDS(moved >= most && moved < 100 * most);
	for (i = 0; i < most; i++) {
		name_of('s', i, old);
		sprintf(new, "s%07lu.", i);
		if (rename(new, old))
			HOLDS(errno == ENOENT && !access(old, F_OK));
	}
	closedir(dir);
}

int main(int argc, char **argv)
{
	unsigned long i;
	pid_t pid;

	if (argc != 3 || chdir(argv[2]))
		return 99;
	n = strtoul(argv[1], NULL, 10);
	seen = malloc(n);
	order = calloc(n, sizeof(*order));
	place = calloc(n, sizeof(*place));
	HOLDS(seen && order && place);
	for (i = 0; i < n; i++)
		make('s', i);
	moving_ends();
	pid = start();
	each_once();
	places_are_true(0);
	drop_most(8);
	places_are_true(8);
	stop(pid);
	places_are_true(8);
	one_pass_removes();
	return 0;
}
