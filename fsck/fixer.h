/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the fix_*.c share: the ways to change a filesystem.  Each of them makes
 * a commit, or nothing.
 */
#ifndef OWFS_FSCK_FIXER_H
#define OWFS_FSCK_FIXER_H

#include "fsck.h"
#include "trans/trans.h"

/* ----------------------------------------------------------- fix_super.c */

/* The newest superblock to the slots that need it, a flush each. */
int fix_slots(struct check *ck);
/* All that are bad could not be written, and stay so. */
bool fix_slots_worn(const struct check *ck);
/* ck->sb, changed, becomes the newest superblock. */
int fix_super_write(struct check *ck);
/* Said once; the slot is passed over from then on. */
void fix_tell_unwritable(struct fixes *fx, const struct owfs_msg *msg,
			 unsigned int slot, int err);
/* Every number from here on is free; durable when this has returned 0. */
int fix_claim(struct check *ck, owfs_gen_t *gen);
/*
 * @root becomes the last commit and the one before, with numbers from @gen on,
 * which fix_claim() gave.
 */
int fix_commit(struct check *ck, const struct owfs_root *root, owfs_gen_t gen);
/* ... or the last commit only, beside the one before as it is. */
int fix_commit_last(struct check *ck, const struct owfs_root *root,
		    owfs_gen_t gen);

/* ------------------------------------------------------------- fix_map.c */

/*
 * Write the space map anew where it is not what the tree says.  @exact: what
 * nobody owns is free; else what was in use stays so.
 */
int fix_map(struct check *ck, bool exact);

/* ------------------------------------------------------------ fix_tree.c */

/*
 * The filesystem opened for writing; ck's tree shows the state before.  Each
 * function is one transaction.  0; -ENOSPC and -ENOENT leave it as it was.
 */
int fix_open(struct check *ck, struct owfs_fs **fsp);
int fix_close(struct owfs_fs *fs, int ret);	/* commits unless @ret */

int tree_get(struct owfs_fs *fs, struct owfs_key key, void *val, size_t size);
int tree_put(struct owfs_fs *fs, struct owfs_key key, const void *val,
	     size_t len);
/* ... in this generation, or -EAGAIN. */
int tree_put_now(struct owfs_fs *fs, struct owfs_key key, const void *val,
		 size_t len);
int tree_del(struct owfs_fs *fs, struct owfs_key key);
int tree_apply(struct owfs_fs *fs, const struct fix *f);
/* Begin for so many places, on a full filesystem too; abort as trans.h says. */
int tree_begin(struct owfs_fs *fs, struct owfs_trans *tr, unsigned int places);
/* In a transaction: insert or replace.  Aborts it on failure. */
int tree_store(struct owfs_trans *tr, const struct owfs_key *key,
	       const void *val, size_t len);
int tree_erase(struct owfs_trans *tr, const struct owfs_key *key);

/* ----------------------------------------------------------- fix_holes.c */

/* Cut out what cannot be read, and hang in again what is left below it. */
int fix_holes(struct check *ck);

/* ------------------------------------------------------------ fix_back.c */

/* List the inodes of which the last commit is about to be given up. */
int back_tell(struct check *ck);
/* In the next round: those whose names only the commit before knows. */
void back_tell_rest(struct check *ck);

/* ----------------------------------------------------------- fix_older.c */

/* Inodes that are what is left of others, and have no name yet. */
struct suspects {
	struct suspect { owfs_ino_t was, ino; } *v;
	size_t n;
};

int suspects_add(struct suspects *s, owfs_ino_t was, owfs_ino_t ino);
/* Names in lost+found, which say so, if there can be any. */
int suspects_name(struct owfs_fs *fs, const struct suspects *s);

/* Ranges of keys, ascending, that do not touch. */
struct key_ranges {
	struct key_range { struct owfs_key first, last; } *v;
	size_t n;
};

/* What has become of a hole. */
struct outcome {
	size_t saved;		/* nodes from below it */
	bool named;		/* the inode that it begins in had something there */
	bool whole;		/* the commit before could be asked about all of it */
};

/*
 * Put what the commit before has of a hole's keys there, as far as there is
 * room, but for its leaves that touch what is @covered by leaves of the last one.
 * A file of which somebody has blocks, in use as the check has seen it or among
 * the @claims, is among *@sus instead.  Before anything else was committed.
 */
int fix_older(struct check *ck, struct owfs_fs *fs, const struct fix *hole,
	      const struct usedmap *claims, const struct key_ranges *covered,
	      struct suspects *sus, struct outcome *out);
/* The same for the items of an older leaf, unless they are there. */
int fix_older_leaf(struct check *ck, struct owfs_fs *fs,
		   const struct owfs_ptr *leaf, const struct usedmap *claims,
		   struct suspects *sus);

/* ----------------------------------------------------------- fix_names.c */

/* Notes for every entry whose inode's record says so. */
int fix_collect_entries(struct check *ck);
int names_apply(struct owfs_fs *fs, const struct fix *f);
/* A name in lost+found like @wish, in this generation, or -EAGAIN. */
int names_connect(struct owfs_fs *fs, owfs_ino_t ino, const char *wish);

/* ------------------------------------------------------------ fix_data.c */

int fix_collect_unmaps(struct check *ck);
int data_apply(struct check *ck, struct owfs_fs *fs, const struct fix *f);

#endif
