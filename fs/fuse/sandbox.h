/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the worker gives up before it looks at the first request. */
#ifndef OWFS_FUSE_SANDBOX_H
#define OWFS_FUSE_SANDBOX_H

/*
 * Give up every right that serving does not need, for good, in this thread
 * and what it starts from now on: so after everything is open and before
 * there are others.  0 or -errno; one may go on if it fails.
 */
int owfs_sandbox_enter(void);

#endif
