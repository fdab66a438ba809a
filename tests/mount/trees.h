/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The model's operations as system calls on a tree, and the tree's digest. */
#ifndef OWFS_TESTS_TREES_H
#define OWFS_TESTS_TREES_H

#include <sys/stat.h>

#include "model.h"

struct tree {
	int root;			/* of the tree, a directory */
};

/* All answer 0 or a negative errno. */
int tree_begin(struct tree *t, const char *path);
void tree_end(struct tree *t);

/*
 * Is this an operation that system calls have?  (Not on symbolic links, say.)
 * If so, an append also learns its place.
 */
bool tree_may(const struct tree *t, struct op *op);
int tree_apply(const struct tree *t, const struct op *op);
/* A descriptor, of the thing at @path itself, no link on the way followed. */
int tree_open(const struct tree *t, const char *path, int flags);

/* As model_digest(); a negative errno in *err if the walk itself failed. */
uint64_t tree_digest(const struct tree *t, FILE *dump, int *err);

#endif
