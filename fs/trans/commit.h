/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What fs.c and trans.c ask of the commit machine besides trans.h: its birth,
 * its thread, and the superblocks that are no commit.
 */
#ifndef OWFS_TRANS_COMMIT_H
#define OWFS_TRANS_COMMIT_H

#include "trans/trans.h"

int owfs_commit_create(struct owfs_fs *fs);
/* Buffers of sealed generations are given back; nothing is written. */
void owfs_commit_destroy(struct owfs_fs *fs);
int owfs_commit_thread_start(struct owfs_fs *fs);
void owfs_commit_thread_stop(struct owfs_fs *fs);

/*
 * Before the first change of this run: a superblock with the roots of the last
 * commit that claims the run's generation and inode numbers (T2).  Cheap when
 * done before.
 */
int owfs_commit_start_run(struct owfs_fs *fs);

/* Commit even if nothing changed: that is how pinned blocks come back. */
int owfs_commit_force(struct owfs_fs *fs);

/*
 * There is a first error: the commit thread writes it down in a superblock, if
 * one can still be written.  Without that thread unmount does.
 */
void owfs_commit_record(struct owfs_fs *fs);

/* The open generation can never be committed; @err is what waiters get. */
void owfs_commit_poison(struct owfs_fs *fs, int err);

/* Generation 1, into all four slots. */
int owfs_commit_format(struct owfs_fs *fs);
/* The last superblock, marked clean (or in error), in every slot. */
int owfs_commit_finish(struct owfs_fs *fs);
/*
 * Damage was met before anything was committed after a crash.  It may be a
 * commit that was torn, and fsck can go back to the one before: the damage is not
 * put on record, so that fsck sees what the crash left, and looks because of that.
 */
bool owfs_commit_is_as_crashed(struct owfs_fs *fs);
/* fsck has checked it all: no error is on record from the next superblock on. */
void owfs_commit_forgive(struct owfs_fs *fs);

#endif
