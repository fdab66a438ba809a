/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Nodes of the commit being repaired that nothing readable leads to, and which
 * of their leaves are older than that commit.
 */
#ifndef OWFS_FSCK_STRAY_H
#define OWFS_FSCK_STRAY_H

#include "fsck.h"

struct stray {
	struct owfs_ptr ptr;
	unsigned int level;
	struct owfs_key first, last;
	bool taken;			/* in the tree again, or below one that is */
	bool dead;			/* a file has its block by now */
	bool proven;			/* a pointer says that it ought to be there */
	bool old;			/* newer metadata has blocks of its files */
	bool apart;			/* not to be believed as it is: its items are asked
					   for where nothing else is known */
};

/* The highest first; of one level in the order of keys, the newest first. */
struct strays {
	struct check *ck;
	struct stray *v;
	size_t n, cap;
	struct stray **by_addr;
	struct usedmap claims;		/* blocks of leaves that are believed */
};

/* All there are; to be freed whatever is returned. */
int strays_find(struct strays *st, struct check *ck);
void strays_free(struct strays *st);

/* Read; with owfs_buf_put(). */
int stray_read(const struct strays *st, const struct stray *s,
	       struct owfs_buf **bufp);
/* Where those of @level begin whose first key is not before @key. */
size_t strays_from(const struct strays *st, unsigned int level,
		   const struct owfs_key *key);
/* The one that @ptr means, or NULL. */
struct stray *stray_at(const struct strays *st, const struct owfs_ptr *ptr);

/* stray_lost.c: leaves that cannot be read, of which each has a range of keys. */
struct lost_leaves {
	const struct fix **v;		/* by first key */
	size_t n, added;
	struct owfs_key *last;		/* of all of them, sorted */
	struct lost_newest *newest;	/* of those added */
};

/* Of the notes [from, to), which stay; to be freed whatever is returned. */
int lost_leaves_find(struct lost_leaves *ll, const struct fix *lost,
		     size_t from, size_t to);
void lost_leaves_free(struct lost_leaves *ll);
/*
 * Does one of them have all keys of @s, and was born after it?  To be asked in the
 * order of first keys.
 */
bool lost_leaves_newer(struct lost_leaves *ll, const struct stray *s);

/* stray_old.c: before anything is known by its address */
int strays_drop_dead(struct strays *st);
/* ... say of each leaf whether it is old.  Afterwards no block is claimed. */
int strays_judge(struct strays *st);
/* The leaf was taken, and claims the blocks of its files. */
int stray_claim(struct strays *st, const struct stray *s);

#endif
