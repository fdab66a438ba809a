/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A program that was started without standard input, output or error. */
#ifndef OWFS_BASE_STDFDS_H
#define OWFS_BASE_STDFDS_H

/*
 * Take those of the descriptors 0 to 2 that are closed.  Else the device would
 * become one of them, and what is said be written on it.  Writing to one that
 * was taken fails with EBADF, as it would have before.  Call it before anything is opened.
 */
void owfs_stdfds_take(void);

#endif
