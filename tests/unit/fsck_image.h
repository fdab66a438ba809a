/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Images with something of everything, and an editor that makes them wrong:
 * items are changed through ordinary transactions, so that checksums, nodes
 * and space map are right and only what was meant is wrong.
 */
#ifndef OWFS_TESTS_FSCK_IMAGE_H
#define OWFS_TESTS_FSCK_IMAGE_H

#include "repair.h"
#include "rig.h"

struct image {
	struct emubd *e;
	struct rig_env env;
	struct owfs_fs *fs;	/* while being edited */
	/* file: 5 blocks in 2 extents, 2 names; xattrs small and large */
	owfs_ino_t file, other, dir, sub, deep, link;
	struct owfs_super sb;	/* while bytes are being edited */
};

/* A filesystem in use before: two commits, everything there is, unmounted. */
void image_make(struct image *im, uint32_t blocksize, unsigned int copies);
/* A file takes what is left for files. */
void image_fill_up(struct image *im);
/* @copy may be damaged, @im stays. */
void image_fork(struct image *copy, const struct image *im);
void image_free(struct image *im);

void edit_begin(struct image *im);
void edit_end(struct image *im);		/* committed, marked clean */

/* Insert or replace; the length of what is there, or -ENOENT; remove. */
void item_put(struct image *im, struct owfs_key key, const void *val,
	      size_t len);
int item_get(struct image *im, struct owfs_key key, void *val, size_t size);
void item_del(struct image *im, struct owfs_key key);
/* The first item of a type with an offset of at least key.off. */
struct owfs_key item_first(struct image *im, owfs_ino_t ino,
			   enum owfs_item_type type, uint64_t off);
/* The entry that names @ino, and its bytes. */
struct owfs_key entry_of(struct image *im, owfs_ino_t dir, owfs_ino_t ino,
			 void *val, size_t *len);

struct owfs_inode_item inode_get(struct image *im, owfs_ino_t ino);
void inode_put(struct image *im, owfs_ino_t ino,
	       const struct owfs_inode_item *d);

/* Change the newest superblock, in all four slots. */
void super_edit(struct image *im, void (*change)(struct owfs_super *sb, void *ctx),
		void *ctx);

/*
 * Change the bytes of the tree's root node (its only copy, or the first) and
 * make the checksums right again.
 */
void root_edit(struct image *im,
	       void (*change)(struct image *im, unsigned char *node, void *ctx),
	       void *ctx);
/* The checksum of a block, filled in. */
uint64_t block_seal(struct image *im, unsigned char *block);

/* 0 and a report, or why it could not be checked. */
int image_check(struct image *im, unsigned int commits,
		struct owfs_check_report *r);
/* Both commits have no problem, and it was unmounted. */
void image_assert_clean(struct image *im);
/* Everything that can be seen of the filesystem, as a number. */
uint64_t image_digest(struct image *im);

/* Answers, whatever is asked. */
bool ask_yes(void *ctx, const struct owfs_problem_info *info, const char *line);
bool ask_no(void *ctx, const struct owfs_problem_info *info, const char *line);
bool ask_safe(void *ctx, const struct owfs_problem_info *info,
	      const char *line);
/* As fsck.owfs -f -y does it; a test may ask for something else. */
struct owfs_repair_param image_repair_param(struct image *im);
int image_repair(struct image *im, struct owfs_repair_report *r);

#endif
