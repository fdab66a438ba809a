/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What file.c and cut.c share. */
#ifndef OWFS_FILE_CUT_H
#define OWFS_FILE_CUT_H

#include "object/inode.h"

/* 0, or why this is no file with contents. */
int owfs_file_check(const struct owfs_inode *inode);
uint64_t owfs_file_size(struct owfs_inode *inode);
/* Before an operation that may add intents, no lock held: keep them few. */
int owfs_file_make_room(struct owfs_inode *inode);
/*
 * Block @off of a file of @size bytes as its readers see it, zero past the end.
 * *@mapped: it has written data of its own.  Caller holds the range.
 */
int owfs_file_read_block(struct owfs_inode *inode, owfs_fileoff_t off,
			 uint64_t size, char *block, bool *mapped);

#endif
