/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An owfs on an emulated device, driven by the model's operations, with one
 * thread, a clock that counts and numbers from a seed: the same seed gives the
 * same device writes.
 */
#ifndef OWFS_TESTS_RIG_H
#define OWFS_TESTS_RIG_H

#include "model.h"

#include "emubd.h"
#include "file/mount.h"

/* Time and chance for one run. */
struct rig_env {
	struct owfs_env env;
	uint64_t ticks;
	struct rng rng;
	unsigned int cut_extents;	/* of mounts; 0: default */
	bool discard;			/* of mounts */
};
void rig_env_init(struct rig_env *re, uint64_t seed);

/* A formatted device; NULL and a message if mkfs failed. */
struct emubd *rig_mkfs(struct rig_env *re, uint64_t bytes, uint32_t blocksize,
		       unsigned int copies);

#define RIG_READONLY	0x1u
#define RIG_FALLBACK	0x2u
int rig_mount(struct owfs_fs **fsp, struct emubd *e, struct rig_env *re,
	      unsigned int flags, const struct owfs_msg *msg);

/* What owfs says to @op (not OP_REMOUNT). */
int rig_apply(struct owfs_fs *fs, const struct op *op);
/* Like model_digest(); negative errno in *err if the walk itself failed. */
uint64_t rig_digest(struct owfs_fs *fs, FILE *dump, int *err);

/* A referenced inode at @path, or NULL. */
struct owfs_inode *rig_lookup(struct owfs_fs *fs, const char *path, int *err);

#endif
