/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A filesystem in plain memory, as simple as it can be: what owfs should look
 * like after a sequence of operations.  Operations are values, so that a run
 * can be repeated up to any point, and a state is compared by its digest: a
 * hash over every path, attribute, extended attribute and byte, the same for
 * the model and for an owfs that was walked (rig.h).
 */
#ifndef OWFS_TESTS_MODEL_H
#define OWFS_TESTS_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define XXH_STATIC_LINKING_ONLY	/* a digest's state lives on the stack */
#include <xxhash.h>

#include "rng.h"

enum op_kind {
	OP_CREATE, OP_MKDIR, OP_SYMLINK, OP_LINK, OP_UNLINK, OP_RMDIR,
	OP_RENAME, OP_EXCHANGE, OP_WRITE, OP_APPEND, OP_TRUNCATE, OP_PUNCH,
	OP_ZERO, OP_PREALLOC, OP_PREALLOC_KEEP, OP_SETXATTR, OP_REMOVEXATTR,
	OP_CHMOD, OP_SETLIST,
	OP_FSYNC, OP_SYNC, OP_REMOUNT,		/* promises */
	OP_KINDS
};

#define OP_PATH_MAX	128

struct op {
	enum op_kind kind;
	char path[OP_PATH_MAX];		/* "a", "d0/b": no leading slash */
	char path2[OP_PATH_MAX];
	uint64_t pos, len;
	uint64_t seed;			/* of the bytes written */
	unsigned int num;		/* mode; which xattr */
};

/* What may be in a run. */
struct op_profile {
	unsigned int names;		/* how many names a directory knows */
	unsigned int namelen;		/* padded to so many characters */
	unsigned int blocksize;
	uint64_t max_size;		/* of a file */
	uint64_t max_io;		/* of one write */
	unsigned int weight[OP_KINDS];	/* 0: never */
};
extern const struct op_profile op_profile_mixed;	/* everything, few names */
extern const struct op_profile op_profile_names;	/* many long names: splits and merges */
extern const struct op_profile op_profile_data;		/* few files, much data, big truncates */

extern const struct op_profile op_profile_intents;	/* fragmented files cut short and written again */
extern const struct op_profile op_profile_full;		/* more than 16 MiB hold */

void op_random(struct op *op, const struct op_profile *p, struct rng *r);
void op_to_text(const struct op *op, char *buf, size_t size);
/* The first @len bytes that an OP_WRITE or OP_SETXATTR carries. */
void op_bytes(const struct op *op, unsigned char *buf, size_t len);
/*
 * An OP_SETLIST sets the access list of an object, or if pos is odd the default
 * list of a directory: permissions num for owner, mask and others, and len users
 * (none: no list) with the permissions seed & 7.  The bytes of such a list in
 * @buf, as the kernel hands it over, and how many.
 */
#define OP_LIST_USERS	150
#define OP_LIST_BYTES	(4 + 8 * (OP_LIST_USERS + 4))
size_t op_list(const struct op *op, unsigned char *buf);
size_t op_list_bytes(unsigned char *buf, uint32_t mode, unsigned int users,
		     unsigned int perm);
#define OP_XATTRS	4		/* num of an OP_SETXATTR is below */
#define OP_XATTR_MAX	3000		/* ... and its len */
bool op_is_promise(const struct op *op);

struct model;
struct model *model_new(void);
struct model *model_clone(const struct model *m);
void model_free(struct model *m);
/* 0, or the negative errno that owfs must answer; nothing changed then. */
int model_apply(struct model *m, const struct op *op);
/* @dump: also as text, or NULL. */
uint64_t model_digest(const struct model *m, FILE *dump);

/* ------------------------------------------------------------- the digest */

/* One object under one of its paths. */
struct digest_node {
	const char *path;
	uint32_t mode, nlink;
	uint64_t size;			/* 0 for directories */
	unsigned int link;		/* which object, in order of first sight */
	uint64_t content;		/* hash of bytes or of the target */
	uint64_t xattrs;		/* sum of hashes of name and value */
};
void digest_start(XXH3_state_t *st);
void digest_add(XXH3_state_t *st, const struct digest_node *n, FILE *dump);
uint64_t digest_end(XXH3_state_t *st);
uint64_t digest_xattr(const char *name, size_t len, const void *value,
		      size_t size);

#endif
