/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What somebody would try who got into a program by a hole in it. */
#ifndef OWFS_TESTS_ATTEMPT_H
#define OWFS_TESTS_ATTEMPT_H

/*
 * @text is WHAT.ARGUMENT, as in "read./etc/passwd".  Returns "done", or the
 * error that kept it from being done.
 */
const char *attempt(const char *text);

#endif
