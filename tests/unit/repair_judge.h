/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a repair must have made of an image, however it was damaged: it ends; a
 * second one changes nothing; if it says that no problem is left, the check
 * agrees, the filesystem mounts, works and is sound afterwards; and every file
 * is what it was, or is named in the report.  FSCK_TALK=1 shows what is said.
 */
#ifndef OWFS_TESTS_REPAIR_JUDGE_H
#define OWFS_TESTS_REPAIR_JUDGE_H

#include "fsck_image.h"
#include "repair.h"

#define MAX_FILES	32
#define MAX_META	2048
#define OLD_STATES	6

/* What a file was. */
struct known {
	owfs_ino_t ino;
	uint32_t mode, nlink;
	uint64_t size, content;
};

/* An image and what is known of it; the image is only ever forked. */
struct scene {
	struct image im;
	struct known file[MAX_FILES], before[MAX_FILES];
	unsigned int nfiles;
	uint64_t items;
	owfs_fsblock_t meta[MAX_META];	/* nodes of both commits, slots of the map */
	unsigned int nmeta, leaves;
	struct emubd *old[OLD_STATES];	/* what the device was, a commit each */
};

/* What cannot be compared: inodes whose items were changed on purpose. */
struct touched {
	owfs_ino_t ino[16];
	unsigned int n;
	bool all;
};

struct report {
	char *text;
	size_t len, cap;
	struct emubd *marked;	/* gets a mark, the length, after each line; or NULL */
};

/* Look at scene->im, which has been made. */
void scene_learn(struct scene *s);
/* Some commits, and what was before each; before it is learnt. */
void scene_age(struct scene *s);
void scene_free(struct scene *s);
/* So many files that the tree has many leaves; before it is learnt. */
void scene_fill(struct image *im);
void touch(struct touched *t, owfs_ino_t ino);

/* As fsck.owfs -y does it. */
int repair(struct image *im, struct report *text, struct owfs_repair_report *r);
/* Which files with a name are what they were, one bit each; none if it cannot be mounted. */
uint32_t scene_intact(struct image *im, const struct scene *s);

/* NULL, or: a file is not what it was, and neither named nor touched. */
const char *scene_compare(struct image *im, const struct scene *s,
			  const struct report *text, const struct touched *t);
/* NULL, or: it cannot be mounted and used, or is not sound afterwards. */
const char *scene_use(struct image *im);

/*
 * Before judge(): as fsck.owfs -p does it, which must cost nothing that the whole
 * repair would have kept.  *@keep: files that are to be what they were, at the
 * end, as scene_intact() says it.  NULL, or what is wrong.
 */
const char *judge_safely(struct image *im, const struct scene *s,
			 struct report *text, uint32_t *keep);

/* NULL, or what is wrong.  @whole: no problem is left. */
const char *judge(struct image *im, const struct scene *s, struct report *text,
		  const struct touched *t, bool *whole);

#endif
