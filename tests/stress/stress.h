/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the storms share: a filesystem with threads of its own on a RAM device,
 * a seed, an end of time, and what must hold when nobody is working.
 *
 * Whatever is found wrong ends the program on the spot, with the seed: the
 * threads of a storm cannot be brought to a common stop in a broken state.
 */
#ifndef OWFS_TESTS_STRESS_H
#define OWFS_TESTS_STRESS_H

#include <pthread.h>

#include "model.h"

#include "check.h"
#include "emubd.h"
#include "file/mount.h"

#define BLOCK	4096u

struct stress {
	const char *name;
	uint64_t seed;
	double seconds;		/* how long to go on */
	double began;
	bool discard;
	struct emubd *e;
	struct owfs_fs *fs;
};

/*
 * PROGRAM [SECONDS [SEED]]; formats a device of @bytes.  The seed also says
 * whether metadata is written twice and free blocks are discarded.
 */
void stress_begin(struct stress *s, int argc, char **argv, const char *name,
		  double seconds, uint64_t bytes);
void stress_end(struct stress *s);
bool stress_has_time(const struct stress *s);

/*
 * So many inodes were compared with what a serial order of the operations on
 * them must show: contents, sizes, links, attributes, or what a crash left.
 */
void stress_checked(unsigned int n);

_Noreturn void stress_die(const char *fmt, ...)
	__attribute__((format(printf, 1, 2)));
#define MUST(cond)							\
	do {								\
		if (!(cond))						\
			stress_die("%s:%d: %s", __FILE__, __LINE__, #cond); \
	} while (0)
/*
 * @ret must be 0; @what names the operation.  If the device may fail and that
 * is the answer, the calling thread ends here, with whatever it holds.
 */
void stress_ok(int ret, const char *what);
/* The device may fail from now on: such answers and messages are right. */
void stress_tolerate(bool errors);
bool stress_tolerates(long ret);

void stress_mount(struct stress *s);
void stress_unmount(struct stress *s);
/* The full check of both commits on a device nobody writes to. */
void stress_check(struct emubd *e, const char *when);
/* Every block is accounted for, nothing is promised.  At a quiet moment. */
void stress_check_accounts(struct owfs_fs *fs);
/*
 * Send the filesystem's own threads home, then commit and reclaim until
 * nothing is left to do.  Nobody else is working.
 */
void stress_settle(struct owfs_fs *fs);

/* Run @n threads of @fn(arg + i * size) and wait for them. */
void stress_run(void *(*fn)(void *), void *arg, size_t size, unsigned int n);

/* Sets of errors that an operation may answer. */
bool stress_is_one_of(int ret, const int *errs);

struct owfs_inode *stress_root(struct owfs_fs *fs);
/* A directory below the root, made if missing; referenced. */
struct owfs_inode *stress_dir(struct owfs_fs *fs, const char *name);
/* A regular file in @dir, made if missing; referenced. */
struct owfs_inode *stress_file(struct owfs_inode *dir, const char *name);

#endif
