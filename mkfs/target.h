/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What mkfs writes to: found or created, sized, locked, and put back as it was
 * if nothing came of it.
 */
#ifndef OWFS_MKFS_TARGET_H
#define OWFS_MKFS_TARGET_H

#include "io/devlock.h"
#include "io/window.h"

struct owfs_target {
	const char *path;
	struct owfs_window window;	/* the part that is ours */
	uint64_t size;			/* bytes that has, or will have */
	uint64_t old_size;		/* of the file before we came */
	bool exists, is_block;
	bool created, extended;		/* by us */
	int fd;				/* of a file that shall grow, or -1 */
	struct owfs_devlock *lock;
	struct owfs_blkdev *bd;		/* once open */
	char err[OWFS_DEVLOCK_HOLDER + 512];			/* one line: why a call below failed */
};

/*
 * Look without touching: what is there, is it in use (if not, it is locked
 * until closed), does @size (0: all that @window shows) fit.  0, or -errno and
 * a line in t->err; to be closed either way.  What lies behind @size bytes of
 * a window that shows a part is not ours and never touched.
 */
int owfs_target_look(struct owfs_target *t, const char *path, uint64_t size,
		     const struct owfs_window *window);
/* Is there anything yet that could be looked at? */
bool owfs_target_shows(const struct owfs_target *t);
/*
 * Open what exists, for looking only if @readonly, else alone.  Nothing is
 * written.  No more files are opened after that.
 */
int owfs_target_open(struct owfs_target *t, bool readonly);
/* Create or extend the file to t->size; opens it if that was not done yet. */
int owfs_target_grow(struct owfs_target *t);
/* -EFBIG, and t->err is what forbids a file of that size and what helps. */
int owfs_target_too_large(struct owfs_target *t);
/* Close.  Unless @keep, a file is removed or cut back if we made or grew it. */
void owfs_target_close(struct owfs_target *t, bool keep);

#endif
