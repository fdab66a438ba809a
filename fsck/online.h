/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A mounted filesystem, looked at through its server: its last commit, kept for
 * as long as this takes.
 */
#ifndef OWFS_FSCK_ONLINE_H
#define OWFS_FSCK_ONLINE_H

#include "check.h"

struct online;

/*
 * -ENOTTY: no owfs is mounted at @path.  -EBUSY: somebody else checks it.  With
 * @mend bad copies of nodes are written anew.  When this returns the program is
 * in its sandbox.
 */
int online_open(const char *path, bool mend, struct online **onp);
/* What was mended is durable then. */
int online_close(struct online *on);
struct owfs_blkdev *online_blkdev(struct online *on);
const struct owfs_check_kept *online_kept(struct online *on);
/* The server gave the commit up, or is gone: what was found says nothing. */
bool online_is_lost(struct online *on);

#endif
