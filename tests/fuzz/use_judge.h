/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a filesystem in use makes of damage.  Whatever the image says:
 *
 *	who only looks, or cannot be let in, writes nothing;
 *	an operation that meets damage leaves the filesystem read-only, and none
 *	changes anything after it;
 *	what mounted mounts again, and a file that could be read and that nobody
 *	wrote to is what it was, now and then;
 *	(@repair) a repair afterwards brings back each such file, and where damage
 *	was met also each that a repair before that would have brought back.
 *
 * Two files that claim the same blocks, or blocks in use that the space map
 * calls free, are what nobody can notice who does not read everything (a
 * "danger" in fsck's table): there only the first two hold.
 */
#ifndef OWFS_TESTS_FUZZ_USE_JUDGE_H
#define OWFS_TESTS_FUZZ_USE_JUDGE_H

#include "rig.h"

#define USE_FILES	64u	/* inode numbers that are looked at, from the first */

struct use_file {
	int err;		/* it cannot be read */
	uint32_t mode, nlink;
	uint64_t size, content;	/* a hash; of directories neither */
};

struct use_look {
	int err;		/* it cannot be mounted */
	struct use_file file[USE_FILES];
};

struct use {
	struct emubd *damaged;		/* stays as it is */
	const struct use_look *sound;	/* what it was before; for @repair */
	struct rig_env *env;
	const struct op *op;
	size_t nops;
	/* one of them, a write: if no damage was met it is there afterwards; or NULL */
	const struct op *last;
	bool walk_first;		/* everything is read before the first of them */
	bool repair;
	/* out */
	bool mounted, met;
};

/* What can be seen of it, through a mount for reading only. */
void use_look(struct use_look *l, struct emubd *e, struct rig_env *env);
/* Does a check find what nobody can notice who does not read everything? */
bool use_is_danger(struct emubd *e);
/* NULL, or what is wrong; particulars are printed. */
const char *use_judge(struct use *u);

#endif
