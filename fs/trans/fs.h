/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One open filesystem: the handle that everything from this floor up hangs
 * off.  Two may be open in one process.
 */
#ifndef OWFS_TRANS_FS_H
#define OWFS_TRANS_FS_H

#include <pthread.h>
#include <time.h>

#include "base/atime.h"
#include "trans/super.h"
#include "tree/btree.h"

struct owfs_fs;
struct owfs_commit;
struct owfs_kcache;
struct owfs_keep;
struct owfs_mend;

/*
 * Whatever is not determined by the bytes comes in through here.  Both are called
 * by any thread at any time, with locks held.
 */
struct owfs_env {
	void *ctx;
	void (*now)(void *ctx, struct timespec *ts);	/* wall clock */
	uint64_t (*random)(void *ctx);
};
extern const struct owfs_env owfs_env_system;

enum owfs_errors {
	OWFS_ERRORS_RO,			/* turn read-only */
	OWFS_ERRORS_SHUTDOWN,		/* answer everything with EIO */
};

#define OWFS_CACHE_DEFAULT	(64u << 20)	/* bytes */

struct owfs_fs_param {
	struct owfs_blkdev *bd;		/* stays the caller's */
	const struct owfs_env *env;	/* NULL: the system's */
	const struct owfs_msg *msg;
	bool readonly;
	bool fallback;			/* start from the commit before the last */
	bool discard;
	bool keep_freed;		/* fsck: what nodes leave behind stays in use,
					   for it may have another owner */
	bool worn_slots;		/* fsck: superblocks are bad and cannot be
					   written: that stops nothing */
	bool start_later;		/* threads: when owfs_mount_start() is called */
	bool threaded;			/* commit runs in a thread of its own (owfs_fs_start);
					   otherwise whoever waits for it drives it */
	enum owfs_errors errors;
	enum owfs_atime atime;
	bool nodiratime;
	size_t cache;			/* bytes of clean metadata; 0: default */
	unsigned int commit_secs;	/* 0: default, 5 */
	uint32_t inode_flags;		/* SYNC, DIRSYNC: as if every inode had them */
	unsigned int cut_extents;	/* more than so many extents at once become an
					   intent; 0: default; tests make it small */
};

struct owfs_fs {
	struct owfs_blkdev *fs_bd;
	const struct owfs_env *fs_env;
	const struct owfs_msg *fs_msg;
	struct owfs_geo fs_geo;
	struct owfs_bufcache *fs_bc;
	struct owfs_alloc *fs_al;
	struct owfs_btree *fs_bt;
	struct owfs_fs_param fs_param;

	/*
	 * Transactions hold fs_seal for reading from join to end; sealing a
	 * generation holds it for writing.  Nobody waits for the device or for
	 * another lock of floor 5 up while holding it.
	 */
	pthread_rwlock_t fs_seal;
	owfs_gen_t fs_open_gen;		/* atomic; changed under fs_seal */

	struct owfs_super fs_super;	/* commit's; constants may be read by all */
	struct owfs_slots fs_slots;	/* commit's */
	struct owfs_commit *fs_commit;	/* commit.c's own */

	pthread_mutex_t fs_ino_lock;
	owfs_ino_t fs_next_ino;		/* fs_ino_lock */
	owfs_ino_t fs_ino_limit;	/* durable high-water mark; fs_ino_lock */

	/* a full device: whose turn it is to get what comes back (trans.c) */
	pthread_mutex_t fs_turn_lock;
	pthread_cond_t fs_turn_over;
	pthread_cond_t fs_turn_back;	/* the others gave something back ... */
	bool fs_turn_news;		/* ... since; fs_turn_lock */
	const void *fs_turn;		/* fs_turn_lock; read without; NULL: nobody's */

	/*
	 * Set before the first operation: the kernel moves file data itself,
	 * zeroes the rest of partial blocks when a file is cut, and owns times
	 * and set-id bits of files (iomap mode).
	 */
	bool fs_kernel_io;
	const struct owfs_kcache *fs_kcache;	/* its cache of mappings; NULL: none (kmap.h) */

	struct owfs_keep *fs_keep;	/* keep.c's own */
	struct owfs_mend *fs_mend;	/* mend.c's own; NULL: bad copies are not noted */
	unsigned int fs_bad_copies;	/* atomic; found, and not yet on record */
	int fs_error;			/* atomic; first error, negative; 0: healthy */
	owfs_fsblock_t fs_error_block;	/* where it was, 0 unknown; set before fs_error */
	unsigned int fs_reads_failed;	/* atomic; of data */
	bool fs_failing;		/* atomic; there is a first error */
	bool fs_readonly;		/* atomic; asked for or since fs_error */
	bool fs_down;			/* atomic; owfs_fs_shutdown() was called */

	/*
	 * Floor 5 hangs its table and its work here and fills in the calls that
	 * this floor makes upwards.
	 */
	struct owfs_itable *fs_itable;
	struct owfs_reclaim *fs_reclaim;
	/* a bounded step of background reclaim; 1 more to do, 0 nothing; takes
	   its own transactions and inode locks.  NULL until floor 5 is up. */
	int (*fs_reclaim_step)(struct owfs_fs *fs);
};

/*
 * Open what the superblock names.  Messages say why not: -ENODEV no owfs,
 * -EFSCORRUPTED superblocks that cannot be trusted, -EPROTONOSUPPORT unknown
 * features, -EROFS written to be read-only but asked for more (with unknown
 * ro-compat features), -ENOSPC device shorter than the filesystem.
 * With one damaged superblock that is not explained by a crash the
 * filesystem opens read-only (fs_readonly tells).
 */
int owfs_fs_open(struct owfs_fs **fsp, const struct owfs_fs_param *param);

/*
 * A filesystem that is not on the device yet: empty tree, empty map,
 * generation 1 open.  For mkfs: insert, then owfs_fs_format_commit().
 */
int owfs_fs_open_fresh(struct owfs_fs **fsp, const struct owfs_fs_param *param,
		       const struct owfs_super *sb);
/* Commit generation 1 and write all four slots, each flushed. */
int owfs_fs_format_commit(struct owfs_fs *fs);

/* Start and stop the commit thread (threaded only). Floor 6 does this. */
int owfs_fs_start(struct owfs_fs *fs);
void owfs_fs_stop(struct owfs_fs *fs);

/*
 * The last commit, marked clean and copied to every slot; 0 or the first
 * error.  owfs_fs_close() without it is a crash: nothing more is written.
 */
int owfs_fs_sync_and_clean(struct owfs_fs *fs);
void owfs_fs_close(struct owfs_fs *fs);

/*
 * Stop for good: everything is answered -EIO from now on, and nothing more is
 * written, not at unmount either.  With @flush, what was done before the call is
 * made durable first; the result says whether it is.
 */
int owfs_fs_shutdown(struct owfs_fs *fs, bool flush);

/* Time and chance. */
void owfs_fs_now(struct owfs_fs *fs, struct timespec *ts);
uint64_t owfs_fs_random(struct owfs_fs *fs);

/*
 * Something is wrong with the filesystem: remember the first such error (it
 * is recorded in the superblock when one can still be written), say it, turn
 * read-only.  Returns @err, for `return owfs_fs_fail(...)`.
 */
int owfs_fs_fail(struct owfs_fs *fs, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* The same, where it is known which block of the device it is about. */
int owfs_fs_fail_at(struct owfs_fs *fs, int err, owfs_fsblock_t block,
		    const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/*
 * What a look at the space map returned passes through here: if the map turned
 * out to be bad, which it has said, the filesystem fails.
 */
int owfs_fs_check_map(struct owfs_fs *fs, int ret);
/* 0, or what an operation must answer: -EROFS, or -EIO when shut down. */
int owfs_fs_writable(const struct owfs_fs *fs);
int owfs_fs_readable(const struct owfs_fs *fs);

#endif
