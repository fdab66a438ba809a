/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's side of iomap mode by many threads: requests over kmodel's socket
 * to threads of the real server, and a page cache with the kernel's locks.
 *
 * kmodel.h starts and ends the server, keeps each file's pages, mappings and
 * what users expect, and is the judge when nobody works; between kstorm_begin()
 * and kstorm_end() only what is here may be called, by any thread.
 *
 * Locks, in this order: k_rw (i_rwsem) and k_map (invalidate_lock), a page's,
 * k_lock, and the one of all tables, which the server's words take, too.
 */
#ifndef OWFS_TESTS_KSTORM_H
#define OWFS_TESTS_KSTORM_H

#include <semaphore.h>

#include "stress.h"

#include "kmodel_impl.h"

#define KBLOCKS		16u		/* of a file at most */
#define KBYTES		((uint64_t)KBLOCKS * BLOCK)

struct kstorm;

/* A thread that asks; one request at a time. */
struct kcaller {
	struct kstorm *ks;
	struct rng rng;
	unsigned int slot;
	uint64_t n;			/* requests so far */
	sem_t answered;
	uint64_t unique;		/* table lock: what is waited for, or 0 */
	void *out;
	size_t room, len;
	int error;
};

struct kpage_lock {
	pthread_mutex_t lock;		/* the folio's */
	pthread_cond_t written;		/* not under writeback any more */
};

/* An inode; its pages, mappings and contents are in @f. */
struct kino {
	struct kstorm *ks;
	struct kfile *f;
	bool exact;			/* f->want says what is in it */
	unsigned int refs;		/* table lock */
	pthread_rwlock_t k_rw, k_map;
	struct kpage_lock page[KBLOCKS];
	pthread_mutex_t k_lock;		/* size, and direct writes under way: */
	pthread_cond_t landed;
	unsigned int flights;
	unsigned int flying[KBLOCKS];
};

struct kstorm {
	struct kmodel *k;
	pthread_mutex_t table;		/* k->files, their mappings, callers */
	struct kcaller *caller[64];
	unsigned int ncallers;
	pthread_t server[8], reader;
	unsigned int nservers;
	struct owfs_iomap_sys played;	/* kmodel's own */

	pthread_mutex_t q_lock;		/* I/O that has been done, ioends to come */
	pthread_cond_t q_some;
	struct kdone *queue;
	unsigned int queued;
	bool over;
	struct kcaller completer[2];
	pthread_t complete[2];
};

/* kstorm.c */
void kstorm_begin(struct kstorm *ks, struct kmodel *k, unsigned int servers,
		  uint64_t seed);
/* All callers have gone; ioends that are to come, do. */
void kstorm_end(struct kstorm *ks);
void kcaller_init(struct kcaller *c, struct kstorm *ks, uint64_t seed);

/* As kmodel_call(), but that who is not answered ends the program. */
int kcall(struct kcaller *c, uint32_t opcode, fuse_ino_t nodeid, const void *in,
	  size_t in_len, void *out, size_t room, size_t *len);
int kbegin(struct kcaller *c, struct kino *i, uint32_t opflags, uint64_t pos,
	   uint64_t count, struct fuse_file_iomap *rd,
	   struct fuse_file_iomap *wr, uint64_t *seq);
/* The mapping was kept at @seq (0: it is an answer), and the cache has changed. */
bool kstale(struct kino *i, uint64_t seq);
void kend(struct kcaller *c, struct kino *i, uint32_t opflags, uint64_t pos,
	  uint64_t count, uint64_t written, const struct fuse_file_iomap *map,
	  bool size_changed);
int kioend(struct kcaller *c, struct kino *i, uint32_t flags, uint64_t pos,
	   uint64_t written, uint64_t addr);
struct kino *kino_create(struct kcaller *c, const char *name, bool exact);
void kino_unlink(struct kcaller *c, struct kino *i);
struct kino *kino_get(struct kino *i);
/* The last one evicts it. */
void kino_put(struct kcaller *c, struct kino *i);

/* Data is on the device: its ioend comes when a completer gets to it. */
struct kdone {
	struct kdone *next;
	struct kino *ino;		/* a reference */
	uint32_t flags;
	uint64_t pos, len, addr;
	sem_t *waiter;			/* told when it is over, or NULL */
};
void kstorm_done(struct kcaller *c, const struct kdone *d);

/* kstorm_page.c */
uint64_t kino_size(struct kino *i);
/* Wait for direct writes under way in [first, end). */
void kfile_land(struct kino *i, uint64_t first, uint64_t end);
int kfile_write(struct kcaller *c, struct kino *i, uint64_t pos, uint64_t len,
		const void *data);
void kfile_mmap_store(struct kcaller *c, struct kino *i, uint64_t pos,
		      uint64_t len, const void *data);
/* @wait, or it goes on by itself; what has to be is waited for anyway. */
void kfile_direct_write(struct kcaller *c, struct kino *i, uint64_t pos,
			uint64_t len, const void *data, bool wait);
/* Bytes up to the end of file; how many. */
uint64_t kfile_read(struct kcaller *c, struct kino *i, uint64_t pos,
		    uint64_t len, unsigned char *buf, bool direct);
void kfile_truncate(struct kcaller *c, struct kino *i, uint64_t size);
void kfile_fallocate(struct kcaller *c, struct kino *i, int mode, uint64_t pos,
		     uint64_t len);
void kfile_writeback(struct kcaller *c, struct kino *i, uint64_t first,
		     uint64_t end);
void kfile_fsync(struct kcaller *c, struct kino *i);
/* Clean pages are forgotten, some of them. */
void kfile_reclaim(struct kcaller *c, struct kino *i);
/* The completers': what @d says has come to its end. */
void kfile_complete(struct kcaller *c, struct kdone *d);

#endif
