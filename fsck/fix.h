/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a check wants to have changed.
 *
 * A pass that meets a problem asks problem(); if that says yes, it notes here
 * what to do.  Nothing is done while the tree is being read: repair.c takes the
 * notes of the first phase that has any, makes them one commit, and has
 * everything checked anew.
 */
#ifndef OWFS_FSCK_FIX_H
#define OWFS_FSCK_FIX_H

#include "problem.h"
#include "space/geo.h"
#include "tree/key.h"

struct check;

/* In this order; a later one needs what the earlier ones have mended. */
enum fix_phase {
	FIX_HOLES,
	FIX_NODES,
	FIX_ITEMS,
	FIX_NAMES,
	FIX_PHASES
};

enum fix_kind {
	FIX_CUT,		/* what should be below level value, key to last */
	FIX_TOUCH,		/* write the nodes above key anew */
	FIX_PUT,		/* insert or replace the item */
	FIX_DEL,		/* remove the item if it is there */
	FIX_DEL_RANGE,		/* ... and all from key to last */
	FIX_MOVE,		/* a name's item to the hash in last.off */
	FIX_ATTR,		/* a field of an inode item */
	FIX_ENTRY,		/* remove the entry, and count it out */
	FIX_COPY,		/* an extent gets blocks of its own */
	FIX_UNMAP,		/* an extent loses the blocks that nodes have */
	FIX_LOST,		/* an inode gets a name in lost+found */
	FIX_ROOT,		/* a new root directory */
};

enum fix_attr {
	FIX_ATTR_NLINK,
	FIX_ATTR_SIZE,
	FIX_ATTR_NBLOCKS,
	FIX_ATTR_FLAGS,
	FIX_ATTR_PARENT,
	FIX_ATTR_GEN,
	FIX_ATTR_MODE,
};

struct fix {
	enum fix_kind kind;
	enum fix_attr attr;
	enum owfs_problem why;
	struct owfs_ptr ptr;		/* cut: what ought to be there */
	struct owfs_key key, last;
	uint64_t value;
	uint16_t len;
	unsigned char *val;
};

struct fixlist {
	struct fix *v;
	size_t n, cap;
};

struct said;			/* lines that were said, and the answers */

struct fixes {
	/* shall it be repaired?  Asked once for each line. */
	bool (*ask)(void *ctx, const struct owfs_problem_info *info,
		    const char *line);
	void *ask_ctx;
	bool only_safe;			/* nobody looks: leave alone what is in doubt */

	/* over all rounds */
	uint64_t seed;			/* of the lines' hash: nobody knows it */
	struct said *said;
	size_t said_size, nsaid;
	unsigned int round;
	bool on_the_way;		/* the commit before the last is a round's */
	bool small_steps;		/* all holes at once were too much */
	bool no_room;			/* for copies, and some blocks belong to nobody */
	bool salvaged;			/* items were lost with their nodes */
	owfs_ino_t *nameless;		/* to be told when they have names */
	size_t nnameless;
	struct claimed { owfs_fsblock_t start; uint64_t len; } *claimed;
	size_t nclaimed;		/* by files that are lost; see owners.c */
	unsigned int unwritable;	/* superblocks that could not be: bit mask */
	unsigned int rewritten;		/* ... that were, as they were bad */
	int err;			/* no memory for a note */

	/* of this round */
	struct fixlist list[FIX_PHASES];
	unsigned int refused;		/* answered no, or without a repair */
	unsigned int refused_map;	/* of them, what makes writing unsafe */
	unsigned int refused_hole;	/* of them, parts of the tree */
	unsigned int refused_loss;	/* of them, what may own blocks */
	unsigned int refused_danger;	/* of them, what forbids writing */
	unsigned int refused_items;	/* of them, what names depend on */
	bool is_short;			/* the device, and so nothing is written */
	unsigned int map_bad;		/* the map needs to be rebuilt ... */
	unsigned int map_leak, map_count;	/* ... or only to be exact */
	unsigned int slots;		/* superblocks to be written: bit mask */
	bool order;			/* ... because of their history */
	bool several;			/* ... although the newest may be lost */
	bool newer_lost;		/* one may be that nobody can read */
	uint64_t next_gen;		/* the highest that any of them has */
	owfs_ino_t ino_limit;		/* raise it; 0: no need */
	bool previous;			/* the commit before is not worth keeping */
	bool go_back;			/* ... or better than the last */
	bool keep_freed;		/* what nodes leave may be somebody else's */
	bool find_unmap;		/* look for extents that have nodes' blocks */
	enum owfs_problem why;		/* the problem answered last */
	unsigned int applied;		/* changes made */
	bool committed;			/* ... leaving a commit from before them */
};

/* A line is about to be said: false if it has been, in an earlier round. */
bool fixes_is_news(struct fixes *fx, const char *line);
/* ... and it was news: the answer; the same as before if it was not. */
bool fixes_answer(struct fixes *fx, enum owfs_problem what, const char *line);
void fixes_new_round(struct fixes *fx);
void fixes_free(struct fixes *fx);
/* Lines answered with yes that were not met again in this round. */
unsigned int fixes_gone(const struct fixes *fx);
/* So many notes, over all phases. */
size_t fixes_pending(const struct fixes *fx);

/*
 * A file of which only an older state is left had those blocks, and another has
 * them now: that one is named in the next round.
 */
int owners_claimed(struct fixes *fx, owfs_fsblock_t start, uint64_t len);

/* Notes; what the problem was is remembered from problem(). */
void fix_touch(struct check *ck, struct owfs_key key);
void fix_cut(struct check *ck, const struct owfs_ptr *ptr, unsigned int level,
	     struct owfs_key low, struct owfs_key last);
void fix_put(struct check *ck, enum fix_phase ph, struct owfs_key key,
	     const void *val, size_t len);
void fix_del(struct check *ck, enum fix_phase ph, struct owfs_key key);
void fix_del_range(struct check *ck, enum fix_phase ph, struct owfs_key first,
		   struct owfs_key last);
/* Everything that inode @ino has. */
void fix_del_inode(struct check *ck, owfs_ino_t ino);
void fix_move(struct check *ck, struct owfs_key key, uint64_t hash);
void fix_attr(struct check *ck, enum fix_phase ph, owfs_ino_t ino,
	      enum fix_attr attr, uint64_t value);
void fix_entry(struct check *ck, enum fix_phase ph, struct owfs_key key,
	       bool is_dir);
void fix_copy(struct check *ck, struct owfs_key key);
void fix_unmap(struct check *ck, struct owfs_key key);
void fix_lost(struct check *ck, owfs_ino_t ino);
void fix_root(struct check *ck);

#endif
