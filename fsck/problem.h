/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Everything that can be wrong with a filesystem, one number each.  Numbers,
 * names and texts stand in one table (problem.c); tests and people refer to a
 * problem by its name.
 */
#ifndef OWFS_FSCK_PROBLEM_H
#define OWFS_FSCK_PROBLEM_H

enum owfs_problem {
	/* pass 1: superblocks */
	BAD_SUPER_NONE,
	BAD_SUPER_SLOT,
	BAD_SUPER_SLOTS,
	BAD_SUPER_ORDER,
	BAD_SUPER_SHORT,
	/* pass 2: nodes of the tree */
	BAD_NODE_READ,
	BAD_NODE_COPY,
	BAD_NODE_TWICE,
	BAD_NODE_PLACE,
	BAD_COMMIT_LAST,
	BAD_COMMIT_BEFORE,
	/* pass 3: items, one inode at a time */
	BAD_ITEM_TYPE,
	BAD_ITEM_OBJECT,
	BAD_ITEM_ALONE,
	BAD_ITEM_MISFIT,
	BAD_INODE_ITEM,
	BAD_INODE_LIMIT,
	BAD_INODE_BIRTH,
	BAD_INODE_NBLOCKS,
	BAD_INODE_FLAGS,
	BAD_DIR_SIZE,
	BAD_DIR_NLINK,
	BAD_DIRENT_ITEM,
	BAD_DIRENT_HASH,
	BAD_DIRENT_TWICE,
	BAD_SYMLINK_ITEM,
	BAD_SYMLINK_SIZE,
	BAD_XATTR_ITEM,
	BAD_XATTR_HASH,
	BAD_XATTR_TWICE,
	BAD_XATTR_VALUE,
	BAD_EXTENT_ITEM,
	BAD_EXTENT_PLACE,
	BAD_EXTENT_OVERLAP,
	BAD_EXTENT_TWICE,
	BAD_EXTENT_BIRTH,
	BAD_EXTENT_EOF,
	BAD_INTENT_ITEM,
	BAD_INTENT_OVERLAP,
	BAD_ORPHAN_ITEM,
	BAD_ACL_VALUE,
	BAD_ACL_MODE,
	BAD_DIRENT_NAME,
	BAD_XATTR_NAME,
	/* pass 4: names */
	BAD_ROOT_DIR,
	BAD_DIRENT_TARGET,
	BAD_DIRENT_FTYPE,
	BAD_INODE_NLINK,
	BAD_INODE_LOST,
	BAD_DIR_NAMES,
	BAD_DIR_PARENT,
	BAD_DIR_LOOP,
	BAD_ORPHAN_TARGET,
	BAD_ORPHAN_FLAGS,
	/* pass 5: the space map */
	BAD_MAP_READ,
	BAD_MAP_FREE,
	BAD_MAP_LEAK,
	BAD_MAP_COUNT,
	BAD_MAP_FREED,

	OWFS_PROBLEM_KINDS
};

/* What it costs. */
enum owfs_problem_class {
	OWFS_CLASS_COUNT,	/* a number or a note is wrong, nothing is lost */
	OWFS_CLASS_LOSS,	/* something cannot be reached or used */
	OWFS_CLASS_DANGER,	/* writing to the filesystem would do damage */
};

/* Shall it be repaired?  What somebody who only presses Enter has answered. */
enum owfs_answer {
	OWFS_ANSWER_SAFE,	/* yes, and with -p without a question */
	OWFS_ANSWER_YES,	/* keeps all there is, but somebody should look */
	OWFS_ANSWER_NO,		/* something is given up */
	OWFS_ANSWER_NONE,	/* there is no repair */
};

struct owfs_problem_info {
	unsigned int number;	/* pass * 100 + n */
	const char *name;
	enum owfs_problem_class class;
	enum owfs_answer answer;
	const char *text;
	const char *repair;	/* what yes does; NULL: there is no repair */
};

const struct owfs_problem_info *owfs_problem_info(enum owfs_problem what);
const char *owfs_problem_class_name(enum owfs_problem_class class);
const char *owfs_problem_answer_name(enum owfs_answer answer);

#endif
