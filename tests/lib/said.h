/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What owfs said since said[] was last emptied: for the report of a failure. */
#ifndef OWFS_TESTS_SAID_H
#define OWFS_TESTS_SAID_H

#include "base/msg.h"

extern char said[8192];			/* a line each; what is too much is left out */
extern const struct owfs_msg said_msg;	/* warnings and errors; one thread */

#endif
