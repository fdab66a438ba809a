/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every field of every structure on the device, by name, and the ways to make
 * one wrong: what the image editor and the tests of damage go by.
 */
#ifndef OWFS_TESTS_FIELDS_H
#define OWFS_TESTS_FIELDS_H

#include <stdbool.h>
#include <stddef.h>

#include "rng.h"

/* The structures; a field is found by its structure and its name. */
enum field_of {
	FIELD_SUPER,
	FIELD_HEADER,		/* of a node, of a block of the map */
	FIELD_SLOT,		/* of a leaf: key and place of an item */
	FIELD_POINTER,		/* of a branch */
	FIELD_INODE,		/* ... and those are values of items */
	FIELD_DIRENT,
	FIELD_XATTR,
	FIELD_EXTENT,
	FIELD_INTENT,
	FIELD_ORPHAN,
	FIELD_ACL,
	FIELD_BYTES,		/* what has no structure: a target */
	FIELD_ENTRY,		/* of a node of the map */
	FIELD_BITMAP,
	FIELD_STRUCTURES
};

struct field {
	enum field_of of;
	const char *name;	/* as in format.h */
	size_t off, len;
};
extern const struct field fields[];
extern const size_t nfields;

const char *field_structure(enum field_of of);
const struct field *field_find(enum field_of of, const char *name);	/* or NULL */

enum field_verb {
	VERB_ZERO,
	VERB_ONES,
	VERB_FIRST_BIT,
	VERB_MIDDLE_BIT,
	VERB_LAST_BIT,
	VERB_ADD,
	VERB_SUB,
	VERB_RANDOM,
	FIELD_VERBS
};
const char *field_verb_name(enum field_verb verb);
/* @n: how much is added or subtracted. */
void field_change(enum field_verb verb, unsigned char *p, size_t len, uint64_t n,
		  struct rng *rng);

#endif
