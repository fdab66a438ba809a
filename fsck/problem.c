/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of problems: number, name, class, text. */
#include <assert.h>
#include <stddef.h>

#include "problem.h"

#define COUNT	OWFS_CLASS_COUNT
#define LOSS	OWFS_CLASS_LOSS
#define DANGER	OWFS_CLASS_DANGER

static const struct owfs_problem_info table[OWFS_PROBLEM_KINDS] = {
[BAD_SUPER_NONE] = { 101, "super-none", LOSS,
	"no usable superblock" },
[BAD_SUPER_SLOT] = { 102, "super-slot", COUNT,
	"damaged, and no crash explains it" },
[BAD_SUPER_SLOTS] = { 103, "super-slots", DANGER,
	"several are damaged, the newest may be among them" },
[BAD_SUPER_ORDER] = { 104, "super-order", DANGER,
	"history differs from that of the newest" },
[BAD_SUPER_SHORT] = { 105, "super-short", LOSS,
	"device is shorter than the filesystem" },

[BAD_NODE_READ] = { 201, "node-read", LOSS,
	"cannot be read, everything below is unknown" },
[BAD_NODE_COPY] = { 202, "node-copy", COUNT,
	"one of two copies is damaged" },
[BAD_NODE_TWICE] = { 203, "node-twice", DANGER,
	"block is already in use" },
[BAD_NODE_PLACE] = { 204, "node-place", DANGER,
	"stands where no node may" },

[BAD_ITEM_TYPE] = { 301, "item-type", LOSS,
	"item of unknown type" },
[BAD_ITEM_OBJECT] = { 302, "item-object", LOSS,
	"item of an object that cannot have it" },
[BAD_ITEM_ALONE] = { 303, "item-alone", LOSS,
	"items without an inode" },
[BAD_ITEM_MISFIT] = { 304, "item-misfit", LOSS,
	"item that an inode of this type cannot have" },
[BAD_INODE_ITEM] = { 305, "inode-item", LOSS,
	"inode item is malformed" },
[BAD_INODE_LIMIT] = { 306, "inode-limit", DANGER,
	"number is not below the limit of numbers given out" },
[BAD_INODE_BIRTH] = { 307, "inode-birth", COUNT,
	"created in a generation still to come" },
[BAD_INODE_NBLOCKS] = { 308, "inode-nblocks", COUNT,
	"block count is not that of its extents" },
[BAD_INODE_FLAGS] = { 309, "inode-flags", DANGER,
	"flag and items disagree about intents" },
[BAD_DIR_SIZE] = { 310, "dir-size", COUNT,
	"size is not the number of entries" },
[BAD_DIR_NLINK] = { 311, "dir-nlink", COUNT,
	"link count is not two and the subdirectories" },
[BAD_DIRENT_ITEM] = { 312, "dirent-item", LOSS,
	"entry is malformed" },
[BAD_DIRENT_HASH] = { 313, "dirent-hash", LOSS,
	"entry stands under the wrong hash" },
[BAD_DIRENT_TWICE] = { 314, "dirent-twice", LOSS,
	"name occurs twice" },
[BAD_SYMLINK_ITEM] = { 315, "symlink-item", LOSS,
	"symbolic link's target is malformed" },
[BAD_SYMLINK_SIZE] = { 316, "symlink-size", LOSS,
	"size is not that of the target" },
[BAD_XATTR_ITEM] = { 317, "xattr-item", LOSS,
	"extended attribute is malformed" },
[BAD_XATTR_HASH] = { 318, "xattr-hash", LOSS,
	"extended attribute stands under the wrong hash" },
[BAD_XATTR_TWICE] = { 319, "xattr-twice", LOSS,
	"extended attribute occurs twice" },
[BAD_XATTR_VALUE] = { 320, "xattr-value", LOSS,
	"extended attribute's value is not all there, or not wanted" },
[BAD_EXTENT_ITEM] = { 321, "extent-item", LOSS,
	"extent is malformed" },
[BAD_EXTENT_PLACE] = { 322, "extent-place", DANGER,
	"extent lies where no data may" },
[BAD_EXTENT_OVERLAP] = { 323, "extent-overlap", LOSS,
	"extents of one file overlap" },
[BAD_EXTENT_TWICE] = { 324, "extent-twice", DANGER,
	"extent's blocks have another owner, too" },
[BAD_EXTENT_BIRTH] = { 325, "extent-birth", DANGER,
	"extent from a generation still to come" },
[BAD_EXTENT_EOF] = { 326, "extent-eof", LOSS,
	"written extent past the end of file" },
[BAD_INTENT_ITEM] = { 327, "intent-item", LOSS,
	"intent is malformed" },
[BAD_INTENT_OVERLAP] = { 328, "intent-overlap", LOSS,
	"intents overlap" },
[BAD_ORPHAN_ITEM] = { 329, "orphan-item", LOSS,
	"orphan entry is malformed" },

[BAD_ROOT_DIR] = { 401, "root-dir", LOSS,
	"root directory is missing or none" },
[BAD_DIRENT_TARGET] = { 402, "dirent-target", LOSS,
	"entry names an inode that does not exist" },
[BAD_DIRENT_FTYPE] = { 403, "dirent-ftype", COUNT,
	"entry and inode disagree about the type" },
[BAD_INODE_NLINK] = { 404, "inode-nlink", DANGER,
	"link count is not the number of names" },
[BAD_INODE_LOST] = { 405, "inode-lost", LOSS,
	"has links but no name" },
[BAD_DIR_NAMES] = { 406, "dir-names", DANGER,
	"directory has more than one name" },
[BAD_DIR_PARENT] = { 407, "dir-parent", LOSS,
	"parent is not the directory that names it" },
[BAD_DIR_LOOP] = { 408, "dir-loop", LOSS,
	"directory cannot be reached from the root" },
[BAD_ORPHAN_TARGET] = { 409, "orphan-target", COUNT,
	"orphan entry of an inode that does not exist" },
[BAD_ORPHAN_FLAGS] = { 410, "orphan-flags", LOSS,
	"orphan entry is not what the inode needs" },

[BAD_MAP_READ] = { 501, "map-read", DANGER,
	"space map cannot be read" },
[BAD_MAP_FREE] = { 502, "map-free", DANGER,
	"blocks in use are marked free" },
[BAD_MAP_LEAK] = { 503, "map-leak", COUNT,
	"blocks marked used belong to nobody" },
[BAD_MAP_COUNT] = { 504, "map-count", COUNT,
	"count of free blocks is wrong" },
[BAD_MAP_FREED] = { 505, "map-freed", COUNT,
	"count of blocks freed since the commit before is wrong" },
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
