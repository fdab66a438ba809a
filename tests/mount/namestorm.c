/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * namestorm SEED OPS PROCESSES DIRECTORY: processes make, link, move, exchange
 * and remove names in the same few directories.  Each knows what its own names
 * must be and looks after every step; over names that all of them fight for
 * they keep accounts, which must balance in the end.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define DIRS	5u	/* d0 ... d4, d4 inside d3 */
#define OWN	24u	/* names of a process in each */
#define PLACES	(DIRS * OWN)
#define HOT	6u	/* names that all fight for */

static const char *const dirs[DIRS] = { "d0", "d1", "d2", "d3", "d3/d4" };

/* What stands at a place: 0 nothing, else the number of an object. */
struct object {
	bool is_dir;
	unsigned int names;
	ino_t ino;
};

static struct {
	unsigned int me;
	uint64_t rng;
	uint32_t at[PLACES];
	struct object *obj;
	uint32_t nobj;
	unsigned long step;
} w;

/* Shared by all: successes that brought a name, and that took it. */
static struct account {
	long came, went;
} *accounts;

static void fail(int line, const char *what, const char *name)
{
	fprintf(stderr, "namestorm.c:%d: process %u step %lu: %s: %s (%s)\n",
		line, w.me, w.step, name, what, strerror(errno));
	_exit(1);
}

#define HOLDS(cond, name) \
	do { if (!(cond)) fail(__LINE__, #cond, name); } while (0)

static unsigned int below(unsigned int n)
{
	w.rng ^= w.rng << 13;
	w.rng ^= w.rng >> 7;
	w.rng ^= w.rng << 17;
	return (w.rng * 0x2545f4914f6cdd1du >> 33) % n;
}

static void name_of(unsigned int place, char *name)
{
	sprintf(name, "%s/p%u-%u", dirs[place / OWN], w.me, place % OWN);
}

static struct object *object_at(unsigned int place)
{
	return w.at[place] ? &w.obj[w.at[place]] : NULL;
}

/* What must be true of a place, now. */
static void look(unsigned int place)
{
	struct object *o = object_at(place);
	char name[64];
	struct stat st;
	int ret;

	name_of(place, name);
	errno = 0;
	ret = lstat(name, &st);
	if (!o) {
		HOLDS(ret && errno == ENOENT, name);
		return;
	}
	HOLDS(!ret, name);
	HOLDS(S_ISDIR(st.st_mode) == o->is_dir, name);
	HOLDS(st.st_ino == o->ino, name);
	HOLDS(st.st_nlink == (o->is_dir ? 2 : o->names), name);
}

/* ---------------------------------------------------------------- own names */

static void gone(unsigned int place)
{
	struct object *o = object_at(place);

	o->names--;
	w.at[place] = 0;
}

static void make(unsigned int place, bool is_dir)
{
	char name[64];
	struct stat st;
	int ret;

	name_of(place, name);
	errno = 0;
	ret = is_dir ? mkdir(name, 0700)
		     : mknod(name, S_IFREG | 0600, 0);
	if (w.at[place]) {
		HOLDS(ret && errno == EEXIST, name);
		return;
	}
	HOLDS(!ret && !lstat(name, &st), name);
	w.at[place] = ++w.nobj;
	w.obj[w.nobj] = (struct object){ is_dir, 1, st.st_ino };
}

static void drop(unsigned int place)
{
	struct object *o = object_at(place);
	char name[64];
	int ret;

	name_of(place, name);
	errno = 0;
	ret = o && o->is_dir ? rmdir(name) : unlink(name);
	HOLDS(o ? !ret : ret && errno == ENOENT, name);
	if (o)
		gone(place);
}

static void link_to(unsigned int from, unsigned int to)
{
	struct object *o = object_at(from);
	char old[64], new[64];
	int ret, want;

	name_of(from, old);
	name_of(to, new);
	errno = 0;
	ret = link(old, new);
	want = !o ? ENOENT : object_at(to) ? EEXIST : o->is_dir ? EPERM : 0;
	HOLDS(want ? ret && errno == want : !ret, new);
	if (want)
		return;
	w.at[to] = w.at[from];
	o->names++;
}

/* What rename says, in the order in which it looks. */
static int rename_error(struct object *o, struct object *n, unsigned int flags)
{
	if (!o || (!n && (flags & RENAME_EXCHANGE)))
		return ENOENT;
	if (n && (flags & RENAME_NOREPLACE))
		return EEXIST;
	if (n && !(flags & RENAME_EXCHANGE) && o != n &&
	    o->is_dir != n->is_dir)
		return o->is_dir ? ENOTDIR : EISDIR;
	return 0;
}

static void move(unsigned int from, unsigned int to, unsigned int flags)
{
	struct object *o = object_at(from), *n = object_at(to);
	int want = rename_error(o, n, flags);
	char old[64], new[64];
	uint32_t was = w.at[to];
	int ret;

	name_of(from, old);
	name_of(to, new);
	errno = 0;
	ret = syscall(SYS_renameat2, AT_FDCWD, old, AT_FDCWD, new, flags);
	HOLDS(want ? ret && errno == want : !ret, new);
	if (want || o == n)
		return;
	if (n && !(flags & RENAME_EXCHANGE))
		gone(to);
	w.at[to] = w.at[from];
	w.at[from] = flags & RENAME_EXCHANGE ? was : 0;
}

static void own_step(void)
{
	static const unsigned int flags[] = {
		0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE,
	};
	unsigned int a = below(PLACES), b = below(PLACES);

	switch (below(8)) {
	case 0:
	case 1:
		make(a, false);
		break;
	case 2:
		make(a, true);
		break;
	case 3:
		drop(a);
		break;
	case 4:
		link_to(a, b);
		break;
	default:
		move(a, b, flags[below(4)]);
	}
	look(a);
	look(b);
}

/* ---------------------------------------------------------------- hot names */

static void hot_name(unsigned int i, char *name)
{
	sprintf(name, "%s/hot%u", dirs[i % DIRS], i);
}

static void count(long *sum, int ret, const char *name, int other)
{
	if (!ret)
		__atomic_fetch_add(sum, 1, __ATOMIC_RELAXED);
	else
		HOLDS(errno == other, name);
}

static void hot_step(void)
{
	unsigned int i = below(HOT), j = below(HOT);
	char name[64], to[64];
	int fd, ret;

	hot_name(i, name);
	hot_name(j, to);
	switch (below(4)) {
	case 0:
		fd = open(name, O_CREAT | O_EXCL | O_RDONLY, 0600);
		count(&accounts[i].came, fd < 0 ? -1 : 0, name, EEXIST);
		if (fd >= 0)
			close(fd);
		break;
	case 1:
		count(&accounts[i].went, unlink(name), name, ENOENT);
		break;
	case 2:
		ret = link(name, to);
		HOLDS(!ret || errno == ENOENT || errno == EEXIST, to);
		if (!ret)
			count(&accounts[j].came, 0, to, 0);
		break;
	default:
		ret = syscall(SYS_renameat2, AT_FDCWD, name, AT_FDCWD, to,
			      RENAME_NOREPLACE);
		HOLDS(!ret || errno == ENOENT || errno == EEXIST, to);
		if (!ret) {
			count(&accounts[i].went, 0, name, 0);
			count(&accounts[j].came, 0, to, 0);
		}
	}
}

static void check_accounts(void)
{
	struct stat st;
	char name[64];
	unsigned int i;

	for (i = 0; i < HOT; i++) {
		hot_name(i, name);
		HOLDS(accounts[i].came - accounts[i].went == !lstat(name, &st),
		      name);
	}
}

/* ---------------------------------------------------------------- the whole */

/* Own names in a directory's listing are those of the model. */
static void check_listing(unsigned int d)
{
	DIR *dir = opendir(dirs[d]);
	unsigned int me, i, there = 0, count = 0;
	struct dirent *de;

	HOLDS(dir, dirs[d]);
	while ((de = readdir(dir))) {
		if (sscanf(de->d_name, "p%u-%u", &me, &i) != 2 || me != w.me)
			continue;
		HOLDS(w.at[d * OWN + i], de->d_name);
		there++;
	}
	closedir(dir);
	for (i = 0; i < OWN; i++)
		count += w.at[d * OWN + i] != 0;
	HOLDS(there == count, dirs[d]);
}

static void check_all(void)
{
	unsigned int i;

	for (i = 0; i < PLACES; i++)
		look(i);
	for (i = 0; i < DIRS; i++)
		check_listing(i);
}

static _Noreturn void storm(unsigned int me, unsigned long seed,
			    unsigned long ops)
{
	w.me = me;
	w.rng = (seed + 1) * 0x9e3779b97f4a7c15u + me * 0x1234567u;
	w.obj = calloc(ops + 2, sizeof(*w.obj));
	HOLDS(w.obj, "memory");
	for (w.step = 1; w.step <= ops; w.step++) {
		if (below(5))
			own_step();
		else
			hot_step();
		if (w.step % 500 == 0)
			check_all();
	}
	check_all();
	_exit(0);
}

int main(int argc, char **argv)
{
	unsigned long seed, ops;
	unsigned int procs, i;
	int status, bad = 0;

	if (argc != 5 || chdir(argv[4]))
		return 99;
	seed = strtoul(argv[1], NULL, 10);
	ops = strtoul(argv[2], NULL, 10);
	procs = strtoul(argv[3], NULL, 10);
	for (i = 0; i < DIRS; i++)
		HOLDS(!mkdir(dirs[i], 0700), dirs[i]);
	accounts = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	HOLDS(accounts != MAP_FAILED, "memory");
	for (i = 0; i < procs; i++)
		if (!fork())
			storm(i, seed, ops);
	for (i = 0; i < procs; i++)
		if (wait(&status) < 0 || status)
			bad = 1;
	HOLDS(!bad, "processes");
	check_accounts();
	return 0;
}
