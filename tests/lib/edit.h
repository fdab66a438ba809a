/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An editor of images, to make them wrong: places are found by what stands
 * there, bytes are changed, and checksums are made right again up to the
 * superblock, or not.  Nothing is verified: what was damaged before can be
 * damaged again as long as the way there can be followed.
 *
 * Places, as words:
 *
 *	super[:SLOT]		all four slots, or one
 *	root			the root of the tree
 *	node:I[.J...]		the child I of the root, its child J, ...
 *	leaf:N			the leaf number N in the order of keys
 *	slot:N:I		slot I of leaf N
 *	pointer:I[.J...]	what leads to node:I[.J...]
 *	TYPE:FILE[:N]		an item of a file, the first or number N of its type:
 *				inode symlink xattr chunk inline extent intent
 *				refcount csum dead snapshot; acl is a chunk
 *	dirent:FILE		the entry that names it
 *	orphan:FILE
 *	key:PLACE		the slot of an item instead of its value
 *	map[:G]			the root of the space map
 *	entry:G			group G's entry in the node of the map above it
 *	bitmap:G bits:G		group G's bitmap, and the bits in it
 *	mapslot:SLOT bitmapslot:SLOT	as a block, whether in use or not (group 0)
 *	block:B			any block
 *	data:FILE[:N]		the first block of its extent number N
 *
 * FILE is "/", a path without a slash before it, or #INO.
 */
#ifndef OWFS_TESTS_EDIT_H
#define OWFS_TESTS_EDIT_H

#include "fields.h"
#include "space/geo.h"
#include "trans/fs.h"

struct edit {
	struct owfs_blkdev *bd;
	const struct owfs_env *env;	/* NULL: the system's */
	unsigned int commit;		/* 0 the last, 1 the one before */
	int copy;			/* of nodes: 0, 1; -1 all there are */
	bool left;			/* checksums are left as they are */
	struct rng rng;
	struct owfs_super sb;
	struct owfs_geo geo;
	unsigned int line;		/* of a script */
	char why[200];			/* what the last -1 was about */
};

/* The blocks from the root of a tree down to the one meant, and in that one: */
#define EDIT_LINKS	(OWFS_MAX_LEVEL + 2)
struct edit_link {
	unsigned char *block;
	owfs_fsblock_t addr[2];
	size_t ptr_off;			/* in the link before */
	size_t csum_off;		/* ... what checks this block; 0: unknown */
};
struct edit_place {
	unsigned int slots;		/* superblocks: bit mask; else 0 */
	bool map;
	bool loose;			/* nothing is known to point at it */
	unsigned int n;
	struct edit_link link[EDIT_LINKS];
	size_t block_size;		/* of a link */
	enum field_of of;		/* what stands there */
	size_t off, len;
	bool whole;			/* ... a block */
	uint64_t seal;			/* the checksum as it was read */
	/* of an item */
	struct owfs_key key;
	size_t slot_off, val_off, val_len;
};

/* All return 0, or -1 and ed->why. */
int edit_open(struct edit *ed, struct owfs_blkdev *bd,
	      const struct owfs_env *env);
int edit_fail(struct edit *ed, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

int edit_find(struct edit *ed, const char *word, struct edit_place *pl);
void edit_place_free(struct edit_place *pl);
static inline struct edit_link *edit_last(struct edit_place *pl)
{
	return &pl->link[pl->n - 1];
}
static inline unsigned char *edit_at(struct edit_place *pl)
{
	return edit_last(pl)->block + pl->off;
}
/* Write what was changed in the last block, with checksums unless ed->left. */
int edit_store(struct edit *ed, struct edit_place *pl);

/* FILE as above. */
int edit_ino(struct edit *ed, const char *file, owfs_ino_t *ino);

/*
 * Items by ordinary transactions, a commit each in which every node is written
 * anew: the commit before stays as it was.
 */
int edit_put(struct edit *ed, struct owfs_key key, const void *val, size_t len);
int edit_del(struct edit *ed, struct owfs_key key);
/* Nothing but that commit. */
int edit_renew(struct edit *ed);
int edit_type(const char *name);	/* of items; -1: none */
struct owfs_key edit_hash_key(struct edit *ed, owfs_ino_t ino,
			      enum owfs_item_type type, const char *name);

/* One line, or all lines of @text; see edit_script.c. */
int edit_line(struct edit *ed, const char *line);
int edit_script(struct edit *ed, const char *text);

#endif
