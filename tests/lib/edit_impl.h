/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the edit*.c share. */
#ifndef OWFS_TESTS_EDIT_IMPL_H
#define OWFS_TESTS_EDIT_IMPL_H

#include "edit.h"
#include "tree/node.h"

/* edit.c: the superblock again, and one block more on the way. */
void edit_refresh(struct edit *ed);
int edit_find_super(struct edit *ed, unsigned int slots, struct edit_place *pl);
int edit_push(struct edit *ed, struct edit_place *pl,
	      const owfs_fsblock_t addr[2], size_t ptr_off, size_t csum_off);
int edit_push_root(struct edit *ed, struct edit_place *pl);
int edit_push_child(struct edit *ed, struct edit_place *pl, unsigned int i);
int edit_push_map(struct edit *ed, struct edit_place *pl, uint64_t g,
		  bool bitmap);
void edit_pop(struct edit_place *pl);
/* edit_find.c: what the value of an item of that type has. */
enum field_of edit_type_fields(const char *name);
uint64_t edit_seal(const struct edit *ed, unsigned char *block);

#endif
