/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The bytes on the device, all of them, and nothing else.
 *
 * Everything is little-endian and naturally aligned; padding is spelled out
 * and zero.  Offsets stand in the margin.  doc/format.md is this file in
 * prose with drawings; a change here changes that file, a verifier, a pass of
 * fsck and a test in the same commit.
 */
#ifndef OWFS_BASE_FORMAT_H
#define OWFS_BASE_FORMAT_H

#include <assert.h>

#include "base/endian.h"
#include "base/types.h"

/* ------------------------------------------------------------- geometry */

#define OWFS_BLOCK_MIN		4096u
#define OWFS_BLOCK_MAX		65536u
#define OWFS_BYTES_MIN		(16ull << 20)	/* smallest filesystem ... */
#define OWFS_BLOCKS_MIN		4096ull		/* ... and at least so many blocks */
#define OWFS_BLOCKS_MAX		(1ull << 48)

/*
 * Byte places.  The boot area belongs to whoever boots; each superblock slot
 * has 64 KiB to itself, so that a slot is a whole block at any block size.
 *
 *   0        64K      128K     192K                    -128K    -64K     end
 *   | boot   | slot 0 | slot 1 | group 0's map slots ...| slot 2 | slot 3 |
 */
#define OWFS_BOOT_BYTES		65536ull
#define OWFS_SUPER_SPACING	65536ull
#define OWFS_FRONT_BYTES	(3 * 65536ull)	/* boot area and two slots */
#define OWFS_BACK_BYTES		(2 * 65536ull)	/* two slots */
#define OWFS_SUPER_SLOTS	4
#define OWFS_SUPER_BYTES	512

/* ------------------------------------------------------------ pointers */

/* A tree node: where (second address 0 unless written twice), when, what. */
struct owfs_ptr_disk {
/*00*/	le64_t	addr[2];
/*10*/	le64_t	birth;		/* generation that wrote the node */
/*18*/	le64_t	csum;		/* its bh_csum */
};
static_assert(sizeof(struct owfs_ptr_disk) == 32, "format");

/* What one commit consists of. */
struct owfs_root_disk {
/*00*/	struct owfs_ptr_disk tree;	/* root node of the tree */
/*20*/	le64_t	gen;		/* the commit; 0 in the older root: there is none */
/*28*/	le64_t	map_gen;	/* root node of the space map: generation ... */
/*30*/	le64_t	map_csum;	/* ... checksum ... */
/*38*/	le32_t	map_slot;	/* ... and which of its three slots */
/*3c*/	le32_t	tree_level;	/* level of the root node, 0 is a leaf */
/*40*/	le64_t	free_blocks;	/* blocks not used by this commit */
/*48*/	le64_t	freed_blocks;	/* of those, used by the commit before */
};
static_assert(sizeof(struct owfs_root_disk) == 80, "format");

/* ---------------------------------------------------------- superblock */

#define OWFS_SUPER_MAGIC	0x0a1a0d5346574f93ull	/* 93 "OWFS" 0d 1a 0a */
#define OWFS_FORMAT_VERSION	1
#define OWFS_LABEL_MAX		63	/* bytes, without the NUL */

/* sb_state */
#define OWFS_STATE_CLEAN	0x1u	/* unmounted properly since the last change */
#define OWFS_STATE_ERROR	0x2u	/* something was wrong: fsck should look */

/* Feature bits.  Unknown incompat: no mount.  Unknown ro-compat: read-only. */
#define OWFS_INCOMPAT_KNOWN	0ull
#define OWFS_ROCOMPAT_KNOWN	0ull
#define OWFS_COMPAT_KNOWN	0ull

struct owfs_super_disk {
/*000*/	le64_t	magic;
/*008*/	le64_t	csum;		/* XXH3 of the 512 bytes with this field zero, seed 0 */
/*010*/	le32_t	version;
/*014*/	le32_t	block_size;
/*018*/	le64_t	compat;
/*020*/	le64_t	incompat;
/*028*/	le64_t	ro_compat;
/*030*/	uint8_t	uuid[16];
/*040*/	char	label[64];	/* NUL padded */
/*080*/	le64_t	csum_seed;	/* of every metadata block */
/*088*/	le64_t	hash_seed;	/* of name hashes */
/*090*/	le64_t	nblocks;	/* blocks of the filesystem */
/*098*/	le64_t	seq;		/* one more with every superblock written */
/*0a0*/	le64_t	next_gen;	/* first number no block on the device can carry */
/*0a8*/	le64_t	ino_limit;	/* no inode number from here on was ever used */
/*0b0*/	le32_t	slot;		/* which slot this is */
/*0b4*/	le32_t	state;		/* OWFS_STATE_ */
/*0b8*/	le32_t	meta_copies;	/* 1 or 2 */
/*0bc*/	le32_t	error_code;	/* errno of the first error, 0 none */
/*0c0*/	le64_t	error_time;	/* seconds */
/*0c8*/	le64_t	error_block;
/*0d0*/	le32_t	error_count;
/*0d4*/	le32_t	mount_count;
/*0d8*/	le64_t	mkfs_time;	/* seconds, as the rest */
/*0e0*/	le64_t	mount_time;
/*0e8*/	le64_t	write_time;
/*0f0*/	le64_t	check_time;
/*0f8*/	le64_t	reserve_blocks;	/* kept for unlink and its like, see alloc.h */
/*100*/	struct owfs_root_disk root[2];	/* [0] this commit, [1] the one before */
/*1a0*/	uint8_t	zero[96];
};
static_assert(sizeof(struct owfs_super_disk) == OWFS_SUPER_BYTES, "format");
static_assert(offsetof(struct owfs_super_disk, root) == 0x100, "format");

/* ------------------------------------------------------- metadata blocks */

#define OWFS_NODE_MAGIC		0x4e57464fu	/* "OFWN": tree node */
#define OWFS_MAP_MAGIC		0x4d57464fu	/* "OFWM": space map node */
#define OWFS_BITMAP_MAGIC	0x4257464fu	/* "OFWB": space map bitmap */

/* At the head of every metadata block but the superblock. */
struct owfs_block_hdr {
/*00*/	le32_t	bh_magic;
/*04*/	le16_t	bh_level;	/* node: 0 leaf; map: 1 above bitmaps; bitmap: 0 */
/*06*/	le16_t	bh_nitems;	/* node: items; else 0 */
/*08*/	le64_t	bh_csum;	/* XXH3 of the block with this field zero, sb csum_seed */
/*10*/	le64_t	bh_addr[2];	/* where the block is meant to be; [1] 0: one copy */
/*20*/	le64_t	bh_gen;		/* generation that wrote it */
/*28*/	le64_t	bh_owner;	/* node: OWFS_TREE_MAIN; map, bitmap: first group below */
/*30*/	le32_t	bh_low;		/* leaf: where values begin (end of the free gap) */
/*34*/	le32_t	bh_zero32;
/*38*/	le64_t	bh_zero64;
};
static_assert(sizeof(struct owfs_block_hdr) == 64, "format");

#define OWFS_TREE_MAIN		1ull	/* bh_owner of the one tree's nodes */
#define OWFS_MAX_LEVEL		12	/* root level at most */

/* ------------------------------------------------------------- the tree */

/*
 * Items are ordered by (object, type, offset).  Object and type share one
 * number, so that a key is two machine words and compares as such.
 */
struct owfs_key_disk {
/*00*/	le64_t	obj;		/* inode number << 8 | type */
/*08*/	le64_t	off;
};
static_assert(sizeof(struct owfs_key_disk) == 16, "format");

/* Interior node: header, then these, ascending. Slot 0's key is the node's lower bound. */
struct owfs_branch_slot {
/*00*/	struct owfs_key_disk key;	/* no key below the child is smaller */
/*10*/	struct owfs_ptr_disk ptr;
};
static_assert(sizeof(struct owfs_branch_slot) == 48, "format");

/*
 * Leaf: header, then these, ascending; values grow down from the block's end,
 * each at a multiple of 8, in any order, never overlapping.
 */
struct owfs_leaf_slot {
/*00*/	struct owfs_key_disk key;
/*10*/	le16_t	off;		/* of the value, from the start of the block */
/*12*/	le16_t	len;		/* of the value, 1 .. OWFS_ITEM_MAX */
/*14*/	le32_t	zero;
};
static_assert(sizeof(struct owfs_leaf_slot) == 24, "format");

#define OWFS_ITEM_MAX	960	/* bytes of a value, at every block size */

enum owfs_item_type {
	OWFS_ITEM_INODE		= 1,	/* off 0 */
	OWFS_ITEM_SYMLINK	= 2,	/* off: chunk number */
	OWFS_ITEM_XATTR		= 3,	/* off: name hash << 8 | sequence */
	OWFS_ITEM_XATTR_CHUNK	= 4,	/* off: value id << 16 | chunk number */
	OWFS_ITEM_DIRENT	= 5,	/* off: name hash << 8 | sequence; the cookie */
	OWFS_ITEM_INLINE	= 6,	/* off: chunk number (reserved) */
	OWFS_ITEM_EXTENT	= 7,	/* off: first file block */
	OWFS_ITEM_INTENT	= 8,	/* off: first doomed file block */
	OWFS_ITEM_ORPHAN	= 9,	/* object OWFS_INO_ORPHANS, off: inode number */
	OWFS_ITEM_REFCOUNT	= 10,	/* off: disk block (reserved) */
	OWFS_ITEM_CSUM		= 11,	/* off: disk block (reserved) */
	OWFS_ITEM_DEAD		= 12,	/* dead list of a snapshot (reserved) */
	OWFS_ITEM_SNAPSHOT	= 13,	/* a snapshot's root (reserved) */
};

#define OWFS_INO_ROOT		1ull
#define OWFS_INO_ORPHANS	2ull	/* holds OWFS_ITEM_ORPHAN */
#define OWFS_INO_FIRST		16ull	/* first number given to a file */
#define OWFS_INO_MAX		((1ull << 56) - 1)

#define OWFS_NAME_MAX		255
#define OWFS_SYMLINK_MAX	4095
#define OWFS_XATTR_SIZE_MAX	65536
#define OWFS_FILE_BYTES_MAX	0x7fffffffffffffffull
#define OWFS_LINK_MAX		0x7fffffffu

/* ------------------------------------------------------------ the items */

struct owfs_time_disk {
/*00*/	le64_t	sec;		/* two's complement */
/*08*/	le32_t	nsec;		/* 0 .. 999999999 */
/*0c*/	le32_t	zero;
};
static_assert(sizeof(struct owfs_time_disk) == 16, "format");

struct owfs_inode_item {
/*00*/	le32_t	mode;		/* S_IFMT and permissions */
/*04*/	le32_t	nlink;
/*08*/	le32_t	uid;
/*0c*/	le32_t	gid;
/*10*/	le64_t	size;		/* bytes; directories: entries */
/*18*/	le64_t	nblocks;	/* data blocks owned, unwritten ones included */
/*20*/	le32_t	flags;		/* OWFS_INODE_ */
/*24*/	le32_t	projid;
/*28*/	le64_t	rdev;
/*30*/	le64_t	parent;		/* directories: inode of ".."; else 0 */
/*38*/	le64_t	gen;		/* generation of its creation */
/*40*/	struct owfs_time_disk atime;
/*50*/	struct owfs_time_disk mtime;
/*60*/	struct owfs_time_disk ctime;
/*70*/	struct owfs_time_disk btime;
/*80*/	le32_t	xattr_next;	/* next free value id for XATTR_CHUNK */
/*84*/	le32_t	zero32;
/*88*/	le64_t	zero64;
};
static_assert(sizeof(struct owfs_inode_item) == 144, "format");

#define OWFS_INODE_INTENTS	0x01u	/* has OWFS_ITEM_INTENT items */
/* What chattr(1) sets; of other types than files and directories only the two. */
#define OWFS_INODE_IMMUTABLE	0x02u	/* nothing of it changes */
#define OWFS_INODE_APPEND	0x04u	/* contents and entries are only added */
#define OWFS_INODE_NODUMP	0x08u	/* not to be backed up (any type) */
#define OWFS_INODE_NOATIME	0x10u	/* its atime stays (any type) */
#define OWFS_INODE_SYNC		0x20u	/* changes are durable when answered */
#define OWFS_INODE_DIRSYNC	0x40u	/* directories: the same for entries */
#define OWFS_INODE_PROJINHERIT	0x80u	/* directories: what is made in it gets
					   its projid */

/* A name in a directory; the name follows, not NUL terminated. */
struct owfs_dirent_item {
/*00*/	le64_t	ino;
/*08*/	le16_t	namelen;	/* 1 .. OWFS_NAME_MAX */
/*0a*/	uint8_t	ftype;		/* DT_ as in dirent.h */
/*0b*/	uint8_t	zero;
/*0c*/	le32_t	zero32;
/*10*/	char	name[];
};
static_assert(sizeof(struct owfs_dirent_item) == 16, "format");

/*
 * Names' hashes: 55 bits of XXH3 seeded with hash_seed, never 0, so that
 * cookies (hash << 8 | sequence) are positive and above those of "." and "..".
 */
#define OWFS_HASH_BITS		55
#define OWFS_HASH_SEQ_BITS	8

/* An extended attribute; name, then value, follow if the value is here. */
struct owfs_xattr_item {
/*00*/	le32_t	valuelen;
/*04*/	le32_t	valueid;	/* 0: value follows the name; else in chunks */
/*08*/	le16_t	namelen;	/* 1 .. 255, with its prefix ("user.") */
/*0a*/	le16_t	zero16;
/*0c*/	le32_t	zero32;
/*10*/	char	name[];
};
static_assert(sizeof(struct owfs_xattr_item) == 16, "format");

/*
 * An access control list: the value of an attribute, in the form in which the
 * kernel hands it around.  The owner, named users, the group, named groups, a
 * mask, the others, in this order; a mask must be there if there are names.
 */
struct owfs_acl_entry {
/*00*/	le16_t	tag;		/* OWFS_ACL_ */
/*02*/	le16_t	perm;		/* 0 .. 7 */
/*04*/	le32_t	id;		/* of a name; else all ones */
};
static_assert(sizeof(struct owfs_acl_entry) == 8, "format");

struct owfs_acl_value {
/*00*/	le32_t	version;	/* OWFS_ACL_VERSION */
/*04*/	struct owfs_acl_entry entry[];
};
static_assert(sizeof(struct owfs_acl_value) == 4, "format");

#define OWFS_ACL_ACCESS		"system.posix_acl_access"
#define OWFS_ACL_DEFAULT	"system.posix_acl_default"	/* directories */
#define OWFS_ACL_VERSION	2u
#define OWFS_ACL_USER_OBJ	0x01u
#define OWFS_ACL_USER		0x02u
#define OWFS_ACL_GROUP_OBJ	0x04u
#define OWFS_ACL_GROUP		0x08u
#define OWFS_ACL_MASK		0x10u
#define OWFS_ACL_OTHER		0x20u
#define OWFS_ACL_SIZE_MAX	4096	/* a kernel with 4 KiB pages takes no more */

/* One run of file blocks mapped to one run of disk blocks. */
struct owfs_extent_item {
/*00*/	le64_t	fsblock;	/* first disk block */
/*08*/	le32_t	len;		/* blocks, 1 .. OWFS_EXTENT_MAX */
/*0c*/	le32_t	flags;		/* OWFS_EXTENT_ */
/*10*/	le64_t	birth;		/* generation that wrote it */
};
static_assert(sizeof(struct owfs_extent_item) == 24, "format");

#define OWFS_EXTENT_MAX		(1u << 20)
#define OWFS_EXTENT_UNWRITTEN	0x1u
#define OWFS_EXTENT_SHARED	0x2u	/* reserved */
#define OWFS_EXTENT_FLAGS	(OWFS_EXTENT_UNWRITTEN)

/*
 * File blocks [off, end) are gone: lookups see a hole, reclaim takes the
 * extents away a few at a time and moves off forward.
 */
struct owfs_intent_item {
/*00*/	le64_t	end;		/* first block not doomed; all ones: to the end */
};
static_assert(sizeof(struct owfs_intent_item) == 8, "format");

/* Work that a crash must not forget, one for each inode that has any. */
struct owfs_orphan_item {
/*00*/	le32_t	flags;		/* OWFS_ORPHAN_ */
/*04*/	le32_t	zero;
};
static_assert(sizeof(struct owfs_orphan_item) == 8, "format");

#define OWFS_ORPHAN_UNLINKED	0x1u	/* no name left: delete when closed */
#define OWFS_ORPHAN_INTENTS	0x2u	/* has live intents */

/* -------------------------------------------------------- the space map */

/*
 * A group is as many blocks as one bitmap block has bits.  It begins with
 * three slots for its bitmap; group g also holds three slots for the level-l
 * map node above groups g .. g + fanout^l - 1 if fanout^l divides g.  See
 * space/geo.h for the arithmetic.
 */
#define OWFS_MAP_SLOTS		3

/* Map node: header, then fanout entries of these. All zero: child never written. */
struct owfs_map_entry {
/*00*/	le64_t	gen;		/* that wrote the child */
/*08*/	le64_t	csum;
/*10*/	le64_t	free;		/* free blocks below */
/*18*/	le32_t	maxrun;		/* longest run of free blocks in any one group */
/*1c*/	uint8_t	slot;		/* which of the child's three */
/*1d*/	uint8_t	zero[3];
};
static_assert(sizeof(struct owfs_map_entry) == 32, "format");

/* Bitmap: header, then bits, low bit of the first byte is the group's first block. */

#endif
