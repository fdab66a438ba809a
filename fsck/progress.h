/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How far a check has come: as a bar for people, as lines for fsck(8). */
#ifndef OWFS_FSCK_PROGRESS_H
#define OWFS_FSCK_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
	const char *device;
	int fd;			/* lines "pass done total device"; -1: none */
	bool bar;		/* on the terminal that is standard output */
	int shown;		/* permille last shown */
	bool drawn;		/* a bar stands on the current line */
};

/* owfs_check_param.progress; @ctx is a struct progress. Non-zero: interrupted. */
int progress_step(void *ctx, unsigned int pass, uint64_t done, uint64_t total);
/* Take the bar away, before other output and at the end. */
void progress_clear(struct progress *p);
/* From now on SIGINT and SIGTERM make progress_step() say so. */
void progress_catch_signals(void);
bool progress_interrupted(void);

#endif
