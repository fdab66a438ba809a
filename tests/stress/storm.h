/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The mixed storm: what its threads have in common.
 *
 * Each worker has names of its own (slots), partly in directories of its own
 * and partly in shared ones, and knows exactly what they must look like
 * (storm_own.c); between them lie names that belong to nobody, where only
 * sanity can be asked for (storm_shared.c).  And each keeps a ledger, which
 * tells whether a copy of the device, taken in the middle, shows a prefix of
 * what the worker did (storm_ledger.c).
 */
#ifndef OWFS_TESTS_STORM_H
#define OWFS_TESTS_STORM_H

#include "stress.h"

#define WORKERS		4
#define SHARED_DIRS	3	/* "s0" ..; never removed, never moved; one more
				   is full of names */

/* ------------------------------------------------------------ own files */

#define SLOTS		12	/* names of a worker */
#define OBJS		12
#define OBJ_BYTES	(48 * BLOCK)
#define XATTR_BYTES	6000

struct own_obj {
	unsigned int nlink;	/* names; 0 and not held: free */
	struct owfs_inode *held;	/* kept open, or NULL */
	bool remembered;	/* ... and counted as the kernel does */
	uint64_t size;
	size_t xlen;
	bool has_xattr;
	unsigned char xval[XATTR_BYTES];
	unsigned char data[OBJ_BYTES];	/* zero past size */
};

struct own_slot {
	char name[160];
	struct own_obj *obj;	/* NULL: no such name */
	unsigned int dir;	/* 0: the worker's own; else shared + 1 */
};

struct own {
	unsigned int id;
	struct rng rng;
	struct owfs_fs *fs;
	struct own_slot slot[SLOTS];
	struct own_obj obj[OBJS];
	unsigned char buf[OBJ_BYTES];
};

void own_init(struct own *o, unsigned int id, uint64_t seed);
/* One random operation, its answer checked. */
void own_op(struct own *o);
/* Everything is as it should be. */
void own_verify(struct own *o);
/* Before an unmount: nothing may be held. */
void own_let_go(struct own *o);

/* --------------------------------------------------------- nobody's files */

void shared_op(struct owfs_fs *fs, struct rng *rng, unsigned int id);

/* --------------------------------------------------------------- ledgers */

struct ledger {
	unsigned int id;
	uint64_t n;		/* atomic: entries begun */
	uint64_t durable;	/* atomic: entries promised */
};

/* The next entry: three operations that a crash must not show out of order. */
void ledger_write(struct ledger *l, struct owfs_fs *fs, bool sync);
/* What a filesystem that was cut off shows.  @durable was promised before. */
void ledger_check(const struct ledger *l, struct owfs_fs *fs, uint64_t durable);

/* The shared directory number @i, or the own one of worker @i; referenced. */
struct owfs_inode *storm_shared_dir(struct owfs_fs *fs, unsigned int i);
struct owfs_inode *storm_own_dir(struct owfs_fs *fs, unsigned int i);

#endif
