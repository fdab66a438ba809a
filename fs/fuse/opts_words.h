/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What opts.c and opts_words.c, the two rooms of the command line, share. */
#ifndef OWFS_FUSE_OPTS_WORDS_H
#define OWFS_FUSE_OPTS_WORDS_H

#include "fuse/opts.h"

/*
 * Take over one argument of -o, words with commas between, which is cut up.
 * @sloppy: what nobody knows is left out.  0, or -EINVAL after a message.
 */
int owfs_opts_words(struct owfs_opts *o, char *list, bool sloppy);
/* Decimal digits and nothing else, up to @max; 0 or -EINVAL. */
int owfs_opts_number(const char *s, unsigned long max, unsigned long *v);
/* Say on stderr, in a line that begins with our name, what is wrong; -EINVAL. */
int owfs_opts_refuse(const struct owfs_opts *o, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif
