/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A block device in RAM for tests: sparse, forked for next to nothing, with a
 * recorder, faults on demand, and the states a power loss may leave behind.
 *
 * A crash test in short:
 *
 *	struct emubd *e = emubd_create(16 << 20), *base, *crashed;
 *	... mkfs on emubd_blkdev(e) ...
 *	base = emubd_fork(e);
 *	emubd_record(e, true);
 *	... operations; emubd_mark(e, n) when operation n was promised durable ...
 *	for (size_t cut = 0; cut <= emubd_log_len(e); cut++) {
 *		crashed = emubd_crash(base, e, cut, EMUBD_CRASH_SEEDED, seed);
 *		... mount emubd_blkdev(crashed), check ...
 *		emubd_destroy(crashed);
 *	}
 *
 * All functions may be called by any thread; memory running out ends the test.
 */
#ifndef OWFS_TESTS_EMUBD_H
#define OWFS_TESTS_EMUBD_H

#include "io/blkdev.h"

#define EMUBD_SECTOR	512u	/* what a torn write is torn into */

struct emubd;

/* Reads as zeroes; @size is a multiple of 512 and costs nothing. */
struct emubd *emubd_create(uint64_t size);
/* The same content, from now on apart; neither log nor faults. */
struct emubd *emubd_fork(struct emubd *e);
void emubd_destroy(struct emubd *e);		/* NULL is fine */
/* Owned by @e; owfs_blkdev_close() on it leaves the content alone. */
struct owfs_blkdev *emubd_blkdev(struct emubd *e);

/* -------------------------------------------------------------- content */
/* Any position and length, not recorded, never failing. */

void emubd_peek(struct emubd *e, void *buf, size_t len, uint64_t pos);
void emubd_poke(struct emubd *e, const void *buf, size_t len, uint64_t pos);
void emubd_flip_bit(struct emubd *e, uint64_t pos, unsigned int bit);
void emubd_garbage(struct emubd *e, uint64_t pos, size_t len, uint64_t seed);
/*
 * From now on what is discarded is garbage at once, so that who reads a block
 * that was discarded after it had it will notice.
 */
void emubd_discard_noise(struct emubd *e);
/* Equal for equal content, however it came about. */
uint64_t emubd_hash(struct emubd *e);
bool emubd_equal(struct emubd *a, struct emubd *b);
/* 4 KiB pieces that take memory. */
size_t emubd_chunks(struct emubd *e);

/* --------------------------------------------------------------- faults */

enum emubd_kind {
	EMUBD_READ,
	EMUBD_WRITE,
	EMUBD_FLUSH,
	EMUBD_DISCARD,
	EMUBD_MARK,		/* in the log only */
};
#define EMUBD_KINDS	4
#define EMUBD_FOREVER	UINT64_MAX

/*
 * The @nth operation of @kind from now on (1: the next) and those after it,
 * @count in all, fail with @err (EIO, positive) and do nothing.  Replaces the
 * fault set before; @count 0 takes it away.
 */
void emubd_fault(struct emubd *e, enum emubd_kind kind, uint64_t nth,
		 uint64_t count, int err);
/* The same for those that touch [pos, pos + len), as a bad place does. */
void emubd_fault_range(struct emubd *e, enum emubd_kind kind, uint64_t pos,
		       uint64_t len, int err);
/* Operations of @kind so far, failed ones included. */
uint64_t emubd_count(struct emubd *e, enum emubd_kind kind);

/* ------------------------------------------------------------------ log */

struct emubd_event {
	enum emubd_kind kind;	/* EMUBD_WRITE, _FLUSH, _DISCARD or _MARK */
	uint64_t pos, len;	/* WRITE, DISCARD */
	uint64_t user;		/* MARK */
	struct emubd_chunk **chunk;	/* WRITE: see emubd_event_data() */
};

/* Recording goes on at the end of what there is; true clears the log first. */
void emubd_record(struct emubd *e, bool on);
void emubd_mark(struct emubd *e, uint64_t user);
size_t emubd_log_len(struct emubd *e);
/* Stays where it is until the log is cleared. */
const struct emubd_event *emubd_log_at(struct emubd *e, size_t i);
/* Copy what a WRITE wrote: @len bytes from @off on. */
void emubd_event_data(const struct emubd_event *ev, uint64_t off, void *buf,
		      size_t len);

/* ---------------------------------------------------------------- crash */

/*
 * What became of the writes and discards after the last flush before the cut,
 * the window; all before that flush is there.
 */
enum emubd_crash_mode {
	EMUBD_CRASH_NONE,	/* nothing */
	EMUBD_CRASH_PREFIX,	/* everything, in order */
	EMUBD_CRASH_SEEDED,	/* some, in some order, each sector old or new */
	EMUBD_CRASH_DROP_ONE,	/* all but number @seed of the window */
	EMUBD_CRASH_KEEP_ONE,	/* only number @seed of the window */
	EMUBD_CRASH_TEAR_ONE,	/* everything, of number @seed the first half, not
				   even a whole sector at its end */
	EMUBD_CRASH_SUBSET,	/* number i if bit i of @seed is set */
};

/* How many writes and discards the window before @cut has. */
size_t emubd_crash_window(struct emubd *log, size_t cut);
/*
 * Power fails after the first @cut events of @log, which began on @base.
 * Discarded blocks read as zeroes, in SEEDED mode as zeroes or garbage, and if
 * the discard is in the window as they were before, too.  Same seed, same state.
 */
struct emubd *emubd_crash(struct emubd *base, struct emubd *log, size_t cut,
			  enum emubd_crash_mode mode, uint64_t seed);

#endif
