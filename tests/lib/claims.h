/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What was written: no block carries a generation that the last durable
 * superblock does not claim (T2).  Else a crash could leave it behind for
 * somebody who has the same number.
 */
#ifndef OWFS_TESTS_CLAIMS_H
#define OWFS_TESTS_CLAIMS_H

#include "emubd.h"

#define CLAIMS_WHY	200

/* 0, or -1 and why; @log began on @base. */
int claims_check(struct emubd *base, struct emubd *log, char *why);

#endif
