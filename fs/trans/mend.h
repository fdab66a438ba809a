/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Nodes of which one of two copies is bad.  Whoever reads one gets the other
 * copy and goes on; the node is noted, and soon written anew, both copies, by
 * an ordinary transaction that changes nothing but where it stands.
 *
 * The list is short: what does not fit is noted when it is read again.
 */
#ifndef OWFS_TRANS_MEND_H
#define OWFS_TRANS_MEND_H

#include "trans/fs.h"

/*
 * From now on bad copies are noted, and @wake is called when there are new
 * ones: by any thread, which may hold any lock but one of this floor or above.
 */
int owfs_mend_open(struct owfs_fs *fs, void (*wake)(struct owfs_fs *fs));
/* Nobody reads any more. */
void owfs_mend_close(struct owfs_fs *fs);

/*
 * Note that a copy of the node at @ptr, of @level and with @first as its first
 * key, is bad.  -EAGAIN: the list is full.
 */
int owfs_mend_note(struct owfs_fs *fs, const struct owfs_ptr *ptr,
		   unsigned int level, const struct owfs_key *first);
/* The same, done when it returns, by whoever found it. */
int owfs_mend_now(struct owfs_fs *fs, const struct owfs_ptr *ptr,
		  unsigned int level, const struct owfs_key *first);
bool owfs_mend_is_wanted(struct owfs_fs *fs);
/*
 * One of them, in one transaction, holding no lock before or after.  1: there
 * are more; 0: none; -EAGAIN: room is needed first, commit and call again, which
 * ends some time; other errors: that one is left as it is.
 */
int owfs_mend_run(struct owfs_fs *fs);

#endif
