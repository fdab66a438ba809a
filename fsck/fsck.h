/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the passes of a check share.
 *
 *	pass 1	the four superblock slots; which commits there are
 *	pass 2	every node of a commit's tree, in key order; hands each item to
 *	pass 3	what belongs to one inode, item by item, and the sums at its end
 *	pass 4	entries as they come by, then names against inodes
 *	pass 5	the space map against what passes 2 and 3 found in use (T1)
 *
 * Passes 2 to 4 read the tree once: items come in the order of their keys, so
 * an inode's item comes before everything else of it, and the orphans before
 * any inode but the root.  A pass returns 0 or a reason to stop checking;
 * problems are no such reason.
 */
#ifndef OWFS_FSCK_FSCK_H
#define OWFS_FSCK_FSCK_H

#include "check.h"
#include "fix.h"
#include "inotab.h"
#include "object/acl.h"
#include "object/extent.h"
#include "object/itable.h"
#include "usedmap.h"

/* A sorted list of ranges of file blocks. */
struct range_list {
	struct range { uint64_t start, end; } *v;
	size_t n, cap;
};

/* Names of one hash, and values of extended attributes that are in chunks. */
struct name_run {
	uint64_t hash;
	unsigned char *bytes;		/* length and name, one after the other */
	size_t len, cap;
};
struct value_list {
	struct value { uint32_t id, len; uint64_t off; bool found; } *v;
	size_t n, cap;
};

/* Extents of which each overlaps one before it; one of them is to stay. */
struct overlaps {
	struct owfs_extent *v;
	size_t n, cap;
	bool refused;
};

/* An access control list whose bytes are coming by. */
struct acl_part {
	uint64_t off;			/* of its item's key */
	uint32_t id;			/* of its value; 0: all there */
	bool bad;
	struct owfs_acl acl;
};

/* The inode whose items are coming by. */
struct object {
	owfs_ino_t ino;			/* 0: none */
	bool has_item;			/* ... of the inode */
	bool good;			/* ... and attr is what it says */
	unsigned int refused_before;	/* fixes->refused_items when it began */
	unsigned int blamed;		/* types of items that it cannot have: bits */
	bool mend_alone;		/* of items without an inode: make one, or none */
	bool bad_link;			/* the target cannot be believed */
	unsigned int types;		/* of items seen: bits */
	struct owfs_inode_item item;	/* that could not be believed, */
	bool mend_item;			/* ... to be corrected at the end */
	struct owfs_attr attr;
	struct name_run names;
	uint64_t entries, subdirs;
	uint64_t target_len, target_chunks;
	struct value_list values;	/* announced by attributes, by id when sorted */
	bool values_sorted;
	uint32_t chunk_id;		/* the value whose chunks are coming by */
	uint32_t chunk_next, chunk_bytes;
	bool chunk_bad;			/* ... to be given up */
	bool has_acl[2];		/* access, default: see acls, or NULL */
	struct acl_part *acls;
	uint64_t blocks;		/* mapped */
	owfs_fileoff_t ext_end;		/* end of the last extent */
	struct owfs_extent ext_last;	/* ... and that one */
	struct overlaps overlaps;	/* ... and those that hang together with it */
	struct range_list past_eof;	/* written, and must be doomed; all that is
					   written of an item to be mended */
	struct range_list intents;
};

struct check {
	const struct owfs_check_param *param;
	struct owfs_check_report *report;
	struct owfs_blkdev *bd;
	struct owfs_msg lower;		/* what the floors below have to say */
	unsigned int lower_lines;
	bool mute;			/* what they have to say was said before */
	unsigned int lines[OWFS_PROBLEM_KINDS];
	char line[1024];		/* the last one said */

	struct owfs_super sb;
	struct owfs_slots slots;
	struct owfs_geo geo;
	struct owfs_bufcache *bc;
	/* not a filesystem that was opened: what hashing a name looks at */
	struct owfs_fs fs;
	struct owfs_itable itable;
	unsigned int names_hashed;	/* to find a byte that is wrong */
	bool aside;			/* nodes are read out of their turn */
	_Alignas(8) unsigned char restored[OWFS_ITEM_MAX];

	/* the commit being checked */
	const struct owfs_root *root;
	unsigned int problems_before;	/* of the commit before, when seen */
	bool map_before_bad;		/* ... and its space map was not sound */
	struct owfs_btree *bt;
	bool holes;			/* part of the tree could not be read */
	bool cut_next;			/* the hole that comes is to be cut out */
	bool touch_next;		/* first copy of the node that comes is bad */
	struct owfs_ptr *broken;	/* what leads to nodes that cannot be read */
	size_t nbroken;
	struct usedmap used;
	struct usedmap nodes;		/* of them, those of nodes */
	struct usedmap maybe;		/* named by what cannot be believed */
	struct usedmap freed;		/* in use, and free by the map */
	struct usedmap shared;		/* of extents that are not alone there */
	struct usedmap lost;		/* of extents of files that are lost */
	struct fixes *fixes;		/* NULL: look only */
	int (*repair)(struct check *ck);
	const struct owfs_env *env;
	struct inotab inos;
	struct object obj;
	unsigned char *copy;		/* one block, for second copies */
	struct {
		uint64_t lines;
		owfs_ino_t ino;		/* of the last one, and its path */
		char path[1024];
	} doubts;			/* owners.c */
};

/*
 * One line: "@kind @id: text of the problem: detail".  True: note what is to
 * be done about it (fix.h), in the next lines.
 */
bool problem(struct check *ck, enum owfs_problem what, const char *kind,
	     uint64_t id, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
/* A copy of the node at @ptr, which is @data, is bad: was that mended at once? */
bool copy_mended(struct check *ck, const struct owfs_ptr *ptr,
		 const void *data);
/* So many lines of a kind, if nobody is asked. */
unsigned int check_max_lines(const struct check *ck);
/* 0, or -ECANCELED. */
int check_progress(struct check *ck, unsigned int pass, uint64_t done,
		   uint64_t total);

/*
 * One check.  With @fx problems are asked about, and when the last commit has
 * been seen @repair is called, with all that was learned still there.
 */
int check_round(struct owfs_blkdev *bd, const struct owfs_check_param *param,
		struct owfs_check_report *report, struct fixes *fx,
		int (*repair)(struct check *ck), const struct owfs_env *env);

/* The tree of one of the device's commits, to be read. */
int check_open_tree(struct check *ck, const struct owfs_root *root,
		    struct owfs_btree **btp);

int pass1_super(struct check *ck);
/* No superblock could be used: ck->sb from elsewhere; -ENODEV there is none. */
int super_find(struct check *ck);

int pass2_tree(struct check *ck);
/*
 * The tree uses [start, start + len), which is a good range of blocks.  1: and
 * nobody else does; 0: *dup is also somebody else's; -ENOMEM.
 */
int pass2_use(struct check *ck, owfs_fsblock_t start, uint64_t len,
	      owfs_fsblock_t *dup);

/*
 * All items once more, those that can be read; nothing is said.  0, or what @fn
 * returned.
 */
int pass2_each_item(struct check *ck,
		    int (*fn)(struct check *ck, const struct owfs_key *key,
			      const void *val, size_t len));

/* For a visitor that goes on where a node is bad: that has been told. */
int pass2_skip_bad(void *ctx, const struct owfs_ptr *ptr, unsigned int level,
		   int err);

int pass3_item(struct check *ck, const struct owfs_key *key, const void *val,
	       size_t len);
int pass3_end(struct check *ck);		/* that was the last item */
void pass3_free(struct check *ck);
/* The file of extents and intents, and that of symbolic links and attributes. */
int pass3_extent(struct check *ck, const struct owfs_key *key, const void *val,
		 size_t len);
int pass3_intent(struct check *ck, const struct owfs_key *key, const void *val,
		 size_t len);
void pass3_file_end(struct check *ck);
/* The item, as @ext says and born in @birth. */
void pass3_put_extent(struct check *ck, const struct owfs_extent *ext,
		      owfs_gen_t birth);
/* @ext begins within obj.ext_last, and is to be cut short, or not. */
int pass3_overlap(struct check *ck, const struct owfs_extent *ext, bool yes);
/* The next one does not, or there is none. */
int pass3_overlap_end(struct check *ck);
int pass3_symlink(struct check *ck, const struct owfs_key *key,
		  const void *val, size_t len);
int pass3_xattr(struct check *ck, const struct owfs_key *key, const void *val,
		size_t len);
int pass3_xattr_chunk(struct check *ck, const struct owfs_key *key,
		      const void *val, size_t len);
int pass3_acl(struct check *ck, const struct owfs_key *key,
	      const struct owfs_xattr_item *d);
/* Note that an attribute goes, with its value. */
void pass3_drop_attr(struct check *ck, uint64_t off, uint32_t id);
void pass3_acl_chunk(struct check *ck, uint32_t id, const void *val, size_t len);
void pass3_acl_end(struct check *ck);
void pass3_xattr_end(struct check *ck);
/*
 * The item, or as it was before it was damaged if its name's hash shows that:
 * then it is to be put right.  Until the next call; NULL: it is not to be.
 */
const struct owfs_dirent_item *
pass3_restore_entry(struct check *ck, const struct owfs_key *key,
		    const struct owfs_dirent_item *d, size_t *len);
const struct owfs_xattr_item *
pass3_restore_attr(struct check *ck, const struct owfs_key *key,
		   const struct owfs_xattr_item *d, size_t len);
/*
 * A sound item's name is compared with its hash, and with those before of the
 * same hash.  1: it is new; 0: it was there already; -ENOMEM.
 */
int pass3_name(struct check *ck, const struct owfs_key *key, const char *name,
	       size_t len);
/* Add a range behind those there, joining it to the last if they touch. */
int range_list_add(struct range_list *rl, uint64_t start, uint64_t end);

int pass4_entry(struct check *ck, const struct owfs_key *key, const void *val,
		size_t len);
int pass4_names(struct check *ck);
/* The entry at @key, in its directory, gives it a name. */
void pass4_set_name(struct ino_rec *rec, const struct owfs_key *key);
/* A name fit for a message: any, and one that the inode has, in its named_in. */
struct shown {
	char s[OWFS_NAME_MAX + 1];
};
struct shown shown_name(const char *name, size_t len);
struct shown pass4_name_of(struct check *ck, const struct ino_rec *rec);
/* ... and what is there of that in an entry, malformed or not; or in that at @key. */
struct shown pass4_entry_name(const struct owfs_dirent_item *d, size_t len);
struct shown pass4_name_at(struct check *ck, const struct owfs_key *key);

int pass5_space(struct check *ck);
/* owners.c: files whose data is in doubt after all that. */
int tell_owners(struct check *ck);

/* Where an inode is, as far as that is known: "/a/b", "?/b". */
void path_of(struct check *ck, owfs_ino_t ino, char *buf, size_t size);

#endif
