/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a program gives up before it looks at bytes that others made.
 *
 * Who parses a device or requests may have a hole.  When everything is open
 * that will be needed, and before there are threads, the program enters a
 * sandbox of layers, each of which holds when another cannot be had:
 *
 *	rights	no capability but the named ones, and none again by exec
 *	root	an empty directory is all there is of the file tree
 *	net	no network; making one takes 10 ms
 *	calls	only the system calls that the work needs; any other is not
 *		there (ENOSYS), or ends the process with SIGSYS
 *
 * A build that looks into itself while it runs (sanitizers, coverage) opens
 * files when it pleases and has the first layer alone.
 */
#ifndef OWFS_BASE_SANDBOX_H
#define OWFS_BASE_SANDBOX_H

#include <stdbool.h>
#include <stdint.h>

enum owfs_sandbox_layer {
	OWFS_SANDBOX_RIGHTS = 1,
	OWFS_SANDBOX_ROOT = 2,
	OWFS_SANDBOX_NET = 4,
	OWFS_SANDBOX_CALLS = 8,
};

/* What goes on inside; each may do what those before it may. */
enum owfs_sandbox_work {
	OWFS_SANDBOX_READER,	/* reads open files, writes its findings */
	OWFS_SANDBOX_WRITER,	/* and writes to open files and devices */
	OWFS_SANDBOX_SERVER,	/* and answers requests */
};

struct owfs_sandbox {
	enum owfs_sandbox_work work;
	unsigned int layers;	/* that are wanted */
	uint64_t capabilities;	/* to keep of those it has: bits, (1 << CAP_...) */
};

/*
 * Give up all that, for good; returns the layers that hold now.  Each is
 * tried, whatever becomes of the others.
 */
unsigned int owfs_sandbox_enter(const struct owfs_sandbox *s);

/*
 * For a program that has one thread so far and has opened all that it was told to: no
 * rights but the last blocks of a full filesystem, and the calls of its work.
 */
void owfs_sandbox_program(enum owfs_sandbox_work work);

/* Can it limit calls, here?  Then there is no network to be reached either. */
bool owfs_sandbox_knows_calls(void);
/* The last layer alone, for owfs_sandbox_enter(): 0 or -errno. */
int owfs_sandbox_limit_calls(enum owfs_sandbox_work work);

/* What this build can do, for people. */
extern const char owfs_sandbox_build[];

#endif
