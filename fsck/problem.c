/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of problems: number, name, class, answer, text, and what is done
 * about it.  fsck.owfs(8) lists it too; test_problem.c compares.
 */
#include <assert.h>
#include <stddef.h>

#include "problem.h"

#define COUNT	OWFS_CLASS_COUNT
#define LOSS	OWFS_CLASS_LOSS
#define DANGER	OWFS_CLASS_DANGER

#define SAFE	OWFS_ANSWER_SAFE
#define YES	OWFS_ANSWER_YES
#define NO	OWFS_ANSWER_NO
#define NONE	OWFS_ANSWER_NONE

static const struct owfs_problem_info table[OWFS_PROBLEM_KINDS] = {
[BAD_SUPER_NONE] = { 101, "super-none", LOSS, YES,
	"no usable superblock",
	"search the device for one" },
[BAD_SUPER_SLOT] = { 102, "super-slot", COUNT, SAFE,
	"damaged, and no crash explains it",
	"write the newest superblock there" },
[BAD_SUPER_SLOTS] = { 103, "super-slots", DANGER, YES,
	"the newest may be among the damaged",
	"go on from the newest that is left" },
[BAD_SUPER_ORDER] = { 104, "super-order", DANGER, YES,
	"history differs from that of the newest",
	"write the newest superblock there" },
[BAD_SUPER_SHORT] = { 105, "super-short", LOSS, NONE,
	"device is shorter than the filesystem",
	NULL },

[BAD_NODE_READ] = { 201, "node-read", LOSS, NO,
	"cannot be read, everything below is unknown",
	"save what is left below, give up the rest" },
[BAD_NODE_COPY] = { 202, "node-copy", COUNT, SAFE,
	"one of two copies is damaged",
	"write both copies anew" },
[BAD_NODE_TWICE] = { 203, "node-twice", DANGER, NO,
	"block is already in use",
	"let the node keep the block" },
[BAD_NODE_PLACE] = { 204, "node-place", DANGER, YES,
	"stands where no node may",
	"move the node" },
[BAD_COMMIT_LAST] = { 205, "commit-last", LOSS, YES,
	"last commit cannot be read, the one before it is whole",
	"go back to that one" },
[BAD_COMMIT_BEFORE] = { 206, "commit-before", COUNT, SAFE,
	"commit before the last is damaged",
	"let the last one stand for both" },

[BAD_ITEM_TYPE] = { 301, "item-type", LOSS, NONE,
	"item of unknown type",
	NULL },
[BAD_ITEM_OBJECT] = { 302, "item-object", LOSS, NO,
	"item of an object that cannot have it",
	"remove the item" },
[BAD_ITEM_ALONE] = { 303, "item-alone", LOSS, NO,
	"items without an inode",
	"remove them" },
[BAD_ITEM_MISFIT] = { 304, "item-misfit", LOSS, NO,
	"item that an inode of this type cannot have",
	"remove the item" },
[BAD_INODE_ITEM] = { 305, "inode-item", LOSS, NO,
	"inode item is malformed",
	"correct what can be, else remove the inode" },
[BAD_INODE_LIMIT] = { 306, "inode-limit", DANGER, YES,
	"number is not below the limit of numbers given out",
	"raise the limit" },
[BAD_INODE_BIRTH] = { 307, "inode-birth", COUNT, SAFE,
	"created in a generation still to come",
	"set it to this generation" },
[BAD_INODE_NBLOCKS] = { 308, "inode-nblocks", COUNT, SAFE,
	"block count is not that of its extents",
	"correct the count" },
[BAD_INODE_FLAGS] = { 309, "inode-flags", DANGER, YES,
	"flag and items disagree about intents",
	"set the flag to what the items say" },
[BAD_DIR_SIZE] = { 310, "dir-size", COUNT, SAFE,
	"size is not the number of entries",
	"correct the size" },
[BAD_DIR_NLINK] = { 311, "dir-nlink", COUNT, SAFE,
	"link count is not two and the subdirectories",
	"correct the count" },
[BAD_DIRENT_ITEM] = { 312, "dirent-item", LOSS, NO,
	"entry is malformed",
	"remove the entry" },
[BAD_DIRENT_HASH] = { 313, "dirent-hash", LOSS, YES,
	"entry stands under the wrong hash",
	"move the entry to its place" },
[BAD_DIRENT_TWICE] = { 314, "dirent-twice", LOSS, NO,
	"name occurs twice",
	"remove the second" },
[BAD_SYMLINK_ITEM] = { 315, "symlink-item", LOSS, NO,
	"symbolic link's target is malformed",
	"remove the symbolic link" },
[BAD_SYMLINK_SIZE] = { 316, "symlink-size", LOSS, NO,
	"size is not that of the target",
	"remove the symbolic link" },
[BAD_XATTR_ITEM] = { 317, "xattr-item", LOSS, NO,
	"extended attribute is malformed",
	"remove the attribute" },
[BAD_XATTR_HASH] = { 318, "xattr-hash", LOSS, YES,
	"extended attribute stands under the wrong hash",
	"move the attribute to its place" },
[BAD_XATTR_TWICE] = { 319, "xattr-twice", LOSS, NO,
	"extended attribute occurs twice",
	"remove the second" },
[BAD_XATTR_VALUE] = { 320, "xattr-value", LOSS, NO,
	"extended attribute's value is not all there, or not wanted",
	"remove the attribute, or the stray value" },
[BAD_EXTENT_ITEM] = { 321, "extent-item", LOSS, NO,
	"extent is malformed",
	"remove it, leaving a hole" },
[BAD_EXTENT_PLACE] = { 322, "extent-place", DANGER, NO,
	"extent lies where no data may",
	"remove it, leaving a hole" },
[BAD_EXTENT_OVERLAP] = { 323, "extent-overlap", LOSS, NO,
	"extents of one file overlap",
	"let the later written one keep the range" },
[BAD_EXTENT_TWICE] = { 324, "extent-twice", DANGER, YES,
	"extent's blocks have another owner, too",
	"give the file a copy of them" },
[BAD_EXTENT_BIRTH] = { 325, "extent-birth", DANGER, YES,
	"extent from a generation still to come",
	"set it to this generation" },
[BAD_EXTENT_EOF] = { 326, "extent-eof", LOSS, YES,
	"written extent past the end of file",
	"move the end of file behind it" },
[BAD_INTENT_ITEM] = { 327, "intent-item", LOSS, NO,
	"intent is malformed",
	"remove the intent" },
[BAD_INTENT_OVERLAP] = { 328, "intent-overlap", LOSS, YES,
	"intents overlap",
	"join them" },
[BAD_ORPHAN_ITEM] = { 329, "orphan-item", LOSS, SAFE,
	"orphan entry is malformed",
	"remove the entry" },
[BAD_ACL_VALUE] = { 330, "acl-value", LOSS, NO,
	"access control list is malformed, or has no place there",
	"remove the list" },
[BAD_ACL_MODE] = { 331, "acl-mode", COUNT, YES,
	"mode is not what the access control list says",
	"set the mode" },
[BAD_DIRENT_NAME] = { 332, "dirent-name", LOSS, YES,
	"entry is damaged, and the hash of its name shows how",
	"put it right" },
[BAD_XATTR_NAME] = { 333, "xattr-name", LOSS, YES,
	"extended attribute is damaged, and the hash of its name shows how",
	"put it right" },

[BAD_ROOT_DIR] = { 401, "root-dir", LOSS, YES,
	"root directory is missing or none",
	"make a new root directory" },
[BAD_DIRENT_TARGET] = { 402, "dirent-target", LOSS, NO,
	"entry names an inode that does not exist",
	"remove the entry" },
[BAD_DIRENT_FTYPE] = { 403, "dirent-ftype", COUNT, SAFE,
	"entry and inode disagree about the type",
	"set it to the inode's" },
[BAD_INODE_NLINK] = { 404, "inode-nlink", DANGER, SAFE,
	"link count is not the number of names",
	"correct the count" },
[BAD_INODE_LOST] = { 405, "inode-lost", LOSS, YES,
	"has links but no name",
	"move it to lost+found" },
[BAD_DIR_NAMES] = { 406, "dir-names", DANGER, NO,
	"directory has more than one name",
	"leave it one name" },
[BAD_DIR_PARENT] = { 407, "dir-parent", LOSS, SAFE,
	"parent is not the directory that names it",
	"set the parent" },
[BAD_DIR_LOOP] = { 408, "dir-loop", LOSS, YES,
	"directory cannot be reached from the root",
	"move it to lost+found" },
[BAD_ORPHAN_TARGET] = { 409, "orphan-target", COUNT, SAFE,
	"orphan entry of an inode that does not exist",
	"remove the entry" },
[BAD_ORPHAN_FLAGS] = { 410, "orphan-flags", LOSS, YES,
	"orphan entry is not what the inode needs",
	"set it to what the inode needs" },

[BAD_MAP_READ] = { 501, "map-read", DANGER, SAFE,
	"space map cannot be read",
	"rebuild it from the tree" },
[BAD_MAP_FREE] = { 502, "map-free", DANGER, SAFE,
	"blocks in use are marked free",
	"mark them used" },
[BAD_MAP_LEAK] = { 503, "map-leak", COUNT, SAFE,
	"blocks marked used belong to nobody",
	"mark them free" },
[BAD_MAP_COUNT] = { 504, "map-count", COUNT, SAFE,
	"count of free blocks is wrong",
	"correct the count" },
[BAD_MAP_FREED] = { 505, "map-freed", COUNT, SAFE,
	"count of blocks freed since the commit before is wrong",
	"correct the count" },
};

const struct owfs_problem_info *owfs_problem_info(enum owfs_problem what)
{
	assert(what < OWFS_PROBLEM_KINDS && table[what].name);
	return &table[what];
}

const char *owfs_problem_class_name(enum owfs_problem_class class)
{
	static const char *const names[] = { "count", "loss", "danger" };

	return names[class];
}

const char *owfs_problem_answer_name(enum owfs_answer answer)
{
	static const char *const names[] = { "safe", "yes", "no", "none" };

	return names[answer];
}
