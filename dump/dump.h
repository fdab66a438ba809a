/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the views of owfs-dump share: one commit of a device, open to read. */
#ifndef OWFS_DUMP_DUMP_H
#define OWFS_DUMP_DUMP_H

#include "out.h"
#include "trans/super.h"
#include "tree/btree.h"

struct dump {
	struct out out;
	const struct owfs_msg *msg;
	struct owfs_blkdev *bd;
	struct owfs_super sb;
	struct owfs_slots slots;
	struct owfs_geo geo;
	const struct owfs_root *root;	/* of the commit that is shown */
	struct owfs_bufcache *bc;
	struct owfs_btree *bt;
	int err;			/* the first thing that went wrong */
};

/* One item, decoded if its value is what its type says, else as bytes. */
void dump_item(struct out *o, const struct owfs_key *key, const void *val,
	       size_t len);

/* 0 or -errno */
int dump_superblock(struct dump *d);
int dump_slots(struct dump *d);
int dump_tree(struct dump *d);
int dump_inode(struct dump *d, owfs_ino_t ino);
int dump_extents(struct dump *d, owfs_ino_t ino);
int dump_groups(struct dump *d);
int dump_map(struct dump *d);
/* The inode at @path from the root; -ENOENT, -ENOTDIR. */
int dump_resolve(struct dump *d, const char *path, owfs_ino_t *ino);

#endif
