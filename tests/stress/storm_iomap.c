/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The storm in iomap mode: threads of the real server against each other, asked
 * by a kernel of many threads (kstorm.h).
 *
 *	storm_iomap [SECONDS [SEED]]
 *
 * Two kinds of files.  In exact ones a block is one user's at a time, so that
 * each byte is known, while others write back, forget pages, grow, cut, fsync
 * and write the blocks beside it; a direct write is often still under way when
 * a part of its block is stored into, which has to wait for it.  In free ones
 * everybody does everything, and lose their names; there a sector shows one
 * store of this file into this place, whole.
 *
 * A round ends with all of it written, compared with what the server has, and
 * nothing promised to anybody; then an unmount and the check.
 */
#include <linux/falloc.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>

#include "kstorm.h"

#include "yield.h"

#define SERVERS		5
#define USERS		6
#define EXACT		3	/* files, the first ones */
#define FILES		5
#define ROUND_OPS	30	/* of a user */
#define RUN		4	/* blocks of one operation at most */
#define SECTORS		(BLOCK / KM_SECTOR)

/* What each sector says, over and over. */
struct stamp {
	uint64_t inode, sector, what, check;
};

struct user;

struct iomap_storm {
	struct stress s;
	struct kmodel k;
	struct kstorm ks;
	pthread_mutex_t lock;		/* which inode a name is */
	struct kino *file[FILES];
	pthread_mutex_t block[EXACT][KBLOCKS];
	uint64_t names, waits;		/* atomic */
};

struct user {
	struct iomap_storm *st;
	struct kcaller c;
	struct kino *i;			/* what the operation is about */
	unsigned char data[RUN * BLOCK], got[RUN * BLOCK];
};

static uint64_t below(struct user *u, uint64_t n)
{
	return rng_below(&u->c.rng, n);
}

/* ------------------------------------------------------------------ stamps */

static const void *bytes(struct user *u, uint64_t pos, uint64_t len)
{
	struct stamp *st = (struct stamp *)u->data;
	uint64_t what = rng_next(&u->c.rng) | 1, n;

	for (n = 0; n < len / sizeof(*st); n++) {
		st[n].inode = u->i->f->nodeid;
		st[n].sector = (pos + n * sizeof(*st)) / KM_SECTOR + 1;
		st[n].what = what;
		st[n].check = st[n].inode ^ st[n].sector ^ what;
	}
	return u->data;
}

/* A sector is of one store, or zero behind what was cut: up to @valid bytes. */
static void check_sector(fuse_ino_t ino, uint64_t sector, const void *data,
			 uint64_t valid)
{
	const struct stamp *st = data, *one = NULL;
	uint64_t n;

	for (n = 0; n < valid / sizeof(*st); n++) {
		if (!st[n].inode && !st[n].sector && !st[n].what && !st[n].check)
			continue;
		if (st[n].inode != ino || st[n].sector != sector + 1 ||
		    st[n].check != (st[n].inode ^ st[n].sector ^ st[n].what))
			stress_die("inode %llu: sector %llu has what is of sector %lld of %llu",
				   (unsigned long long)ino,
				   (unsigned long long)sector,
				   (long long)st[n].sector - 1,
				   (unsigned long long)st[n].inode);
		if (one && st[n].what != one->what)
			stress_die("inode %llu: sector %llu is of two stores",
				   (unsigned long long)ino,
				   (unsigned long long)sector);
		one = &st[n];
	}
}

static void check_free(fuse_ino_t ino, uint64_t pos, const unsigned char *got,
		       uint64_t len)
{
	uint64_t at;

	for (at = 0; at < len; at += KM_SECTOR)
		check_sector(ino, (pos + at) / KM_SECTOR, got + at,
			     min_u64(KM_SECTOR, len - at));
}

static void check_exact(struct kino *i, uint64_t pos, const unsigned char *got,
			uint64_t len, const char *how)
{
	uint64_t at;

	for (at = 0; at < len && got[at] == i->f->want[pos + at]; at++)
		;
	if (at < len)
		stress_die("%s: %s: byte %llu is %02x, should be %02x",
			   i->f->name, how, (unsigned long long)(pos + at),
			   got[at], i->f->want[pos + at]);
}

static void read_back(struct user *u, uint64_t pos, uint64_t len)
{
	bool direct = below(u, 2);
	uint64_t n = kfile_read(&u->c, u->i, pos, len, u->got, direct);

	stress_checked(1);
	if (u->i->exact)
		check_exact(u->i, pos, u->got, n,
			    direct ? "direct read" : "read");
	else
		check_free(u->i->f->nodeid, pos, u->got, n);
}

/* -------------------------------------------------------------- operations */

/* Up to @max sectors inside [first, end). */
static void some_sectors(struct user *u, uint64_t first, uint64_t end,
			 uint64_t max, uint64_t *pos, uint64_t *len)
{
	const uint64_t n = (end - first) * SECTORS;
	uint64_t from = below(u, n);

	*pos = first * BLOCK + from * KM_SECTOR;
	*len = (1 + below(u, min_u64(n - from, max))) * KM_SECTOR;
}

/* Parts of one block or of two, so that direct writes under way come first. */
static void store_some(struct user *u, uint64_t first, uint64_t end)
{
	uint64_t pos, len;

	some_sectors(u, first, end, SECTORS - 1, &pos, &len);
	stress_ok(kfile_write(&u->c, u->i, pos, len, bytes(u, pos, len)),
		  "write");
}

/*
 * A direct write, and before it has landed a store into a part of a block of
 * its: what the store reads is what the other has written.
 */
static void write_directly(struct user *u, uint64_t first, uint64_t end)
{
	uint64_t pos = first * BLOCK, len = (end - first) * BLOCK;

	if (below(u, 3) == 0)
		some_sectors(u, first, end, 2 * SECTORS, &pos, &len);
	kfile_direct_write(&u->c, u->i, pos, len, bytes(u, pos, len),
			   below(u, 4) == 0);
	if (below(u, 4) == 0)
		return;
	pos = (first + below(u, end - first)) * BLOCK +
	      below(u, SECTORS) * KM_SECTOR;
	__atomic_fetch_add(&u->st->waits, 1, __ATOMIC_RELAXED);
	stress_ok(kfile_write(&u->c, u->i, pos, KM_SECTOR,
			      bytes(u, pos, KM_SECTOR)), "write");
}

static void cut_some(struct user *u, uint64_t first, uint64_t end)
{
	static const int modes[] = {
		FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
	};
	uint64_t pos = first * BLOCK, len = (end - first) * BLOCK;

	if (below(u, 2))
		some_sectors(u, first, end, 2 * SECTORS, &pos, &len);
	kfile_fallocate(&u->c, u->i, modes[below(u, ARRAY_SIZE(modes))], pos,
			len);
}

/* What overlaps a direct write under way, and is not made to wait for it. */
static void op_after_landing(struct user *u, uint64_t first, uint64_t end)
{
	const uint64_t pos = first * BLOCK, len = (end - first) * BLOCK;

	if (u->i->exact)
		kfile_land(u->i, first, end);
	switch (below(u, 8)) {
	case 0:
		stress_ok(kfile_write(&u->c, u->i, pos, len,
				      bytes(u, pos, len)), "write");
		break;
	case 1:
		kfile_mmap_store(&u->c, u->i, pos, KM_SECTOR,
				 bytes(u, pos, KM_SECTOR));
		break;
	case 2:
		cut_some(u, first, end);
		break;
	case 3 ... 4:
		read_back(u, pos, len);
		break;
	default:
		write_directly(u, first, end);
	}
}

static void op_blocks(struct user *u, uint64_t first, uint64_t end)
{
	if (below(u, 3))
		op_after_landing(u, first, end);
	else
		store_some(u, first, end);
}

/* Nobody's data changes. */
static void op_background(struct user *u)
{
	const struct fuse_getattr_in in = { .fh = 0 };
	struct fuse_file_iomap rd, wr;
	struct fuse_attr_out out;
	uint64_t first = below(u, KBLOCKS), seq;

	switch (below(u, 8)) {
	case 0 ... 3:
		kfile_writeback(&u->c, u->i, first,
				first + 1 + below(u, KBLOCKS - first));
		break;
	case 4 ... 5:
		kfile_reclaim(&u->c, u->i);
		break;
	case 6:
		stress_ok(kbegin(&u->c, u->i, KM_REPORT, first * BLOCK, BLOCK,
				 &rd, &wr, &seq), "begin of a report");
		stress_ok(kcall(&u->c, FUSE_GETATTR, u->i->f->nodeid, &in,
				sizeof(in), &out, sizeof(out), NULL), "stat");
		break;
	default:
		if (below(u, 4) == 0)
			kfile_fsync(&u->c, u->i);
		owfs_bufcache_shrink(u->st->s.fs->fs_bc, true);
	}
}

/* ------------------------------------------------------------------- files */

static struct kino *file_get(struct iomap_storm *st, unsigned int nr)
{
	struct kino *i;

	pthread_mutex_lock(&st->lock);
	i = kino_get(st->file[nr]);
	pthread_mutex_unlock(&st->lock);
	return i;
}

static struct kino *new_file(struct iomap_storm *st, struct kcaller *c,
			     unsigned int nr)
{
	char name[32];

	snprintf(name, sizeof(name), "f%u-%llu", nr, (unsigned long long)
		 __atomic_fetch_add(&st->names, 1, __ATOMIC_RELAXED));
	return kino_create(c, name, nr < EXACT);
}

/* The name goes, and those who use the inode go on; the next one is another. */
static void replace(struct user *u, unsigned int nr)
{
	struct iomap_storm *st = u->st;
	struct kino *new = new_file(st, &u->c, nr), *old;

	pthread_mutex_lock(&st->lock);
	old = st->file[nr];
	st->file[nr] = new;
	pthread_mutex_unlock(&st->lock);
	kino_unlink(&u->c, old);
	kino_put(&u->c, old);
}

static void op_free(struct user *u, unsigned int nr)
{
	uint64_t first = below(u, KBLOCKS);

	switch (below(u, 24)) {
	case 0:
		replace(u, nr);
		break;
	case 1:
		kfile_truncate(&u->c, u->i, below(u, KBYTES / 32) * 32);
		break;
	default:
		op_blocks(u, first, min_u64(first + 1 + below(u, RUN), KBLOCKS));
	}
}

/* [first, end) is ours. */
static void op_exact(struct user *u, unsigned int nr)
{
	bool all = below(u, 24) == 0;
	uint64_t first = all ? 0 : below(u, KBLOCKS), b;
	uint64_t end = all ? KBLOCKS :
		       min_u64(first + 1 + below(u, RUN), KBLOCKS);
	unsigned int ops = 1 + (unsigned int)below(u, 3);

	for (b = first; b < end; b++)
		pthread_mutex_lock(&u->st->block[nr][b]);
	if (all)
		kfile_truncate(&u->c, u->i, below(u, KBYTES));
	while (!all && ops--)
		op_blocks(u, first, end);
	for (b = first; b < end; b++)
		pthread_mutex_unlock(&u->st->block[nr][b]);
}

static void *use(void *arg)
{
	struct user *u = arg;
	unsigned int n, nr;

	for (n = 0; n < ROUND_OPS; n++) {
		nr = (unsigned int)below(u, FILES);
		u->i = file_get(u->st, nr);
		if (below(u, 3) == 0)
			op_background(u);
		else if (nr < EXACT)
			op_exact(u, nr);
		else
			op_free(u, nr);
		kino_put(&u->c, u->i);
	}
	return NULL;
}

/* ------------------------------------------------------------------ rounds */

/* Nobody works: the one-threaded kernel looks at what is there. */
static void judge(struct iomap_storm *st, struct kfile *f, bool exact)
{
	const struct { uint64_t nlookup; } in = { 1 };
	unsigned char *buf = emubd_must(malloc(KBYTES));
	uint64_t b;
	int n;

	for (b = 0; b < f->npages && !exact; b++)
		km_page(f, b)->unsure = true;
	stress_ok(kmodel_fsync(&st->k, f), "fsync");
	kmodel_reclaim(&st->k, f, false);
	n = kmodel_get(&st->k, f, 0, KBYTES, buf);
	if (st->k.violations)
		stress_die("%s", st->k.why);
	MUST(n >= 0 && (uint64_t)n == f->size);
	if (exact && n && memcmp(buf, f->want, (size_t)n))
		stress_die("%s: in the end it is not what it should be", f->name);
	if (!exact)
		check_free(f->nodeid, 0, buf, (uint64_t)n);
	kmodel_call(&st->k, FUSE_FORGET, f->nodeid, &in, sizeof(in), NULL, 0,
		    NULL);
	stress_checked(1);
	free(buf);
}

/* All that was promised for begins has been used or given back. */
static void check_accounts(struct owfs_fs *fs)
{
	/* what is freed rests, for those who were told where it was */
	owfs_alloc_rest(fs->fs_al, 0, NULL);
	stress_settle(fs);
	stress_check_accounts(fs);
}

static void run_users(struct iomap_storm *st, uint64_t seed)
{
	struct user *u = emubd_must(calloc(USERS, sizeof(*u)));
	unsigned int i;

	for (i = 0; i < USERS; i++) {
		u[i].st = st;
		kcaller_init(&u[i].c, &st->ks, seed + i);
	}
	for (i = 0; i < FILES; i++)
		st->file[i] = new_file(st, &u[0].c, i);
	stress_run(use, u, sizeof(*u), USERS);
	for (i = 0; i < FILES; i++)
		kfile_fsync(&u[0].c, st->file[i]);
	kstorm_end(&st->ks);
	free(u);
}

static void one_round(struct iomap_storm *st, struct rng *rng)
{
	unsigned int i;

	stress_mount(&st->s);
	stress_ok(kmodel_start(&st->k, st->s.fs, st->s.e, NULL), "start");
	kstorm_begin(&st->ks, &st->k, SERVERS, rng_next(rng));
	run_users(st, rng_next(rng));
	for (i = 0; i < FILES; i++) {
		judge(st, st->file[i]->f, i < EXACT);
		free(st->file[i]);
	}
	check_accounts(st->s.fs);
	stress_ok(kmodel_unmount(&st->k), "unmount");
	stress_check(st->s.e, "end of a round");
}

int main(int argc, char **argv)
{
	struct iomap_storm *st = emubd_must(calloc(1, sizeof(*st)));
	unsigned int i, b, rounds = 0;
	struct rng rng;

	stress_begin(&st->s, argc, argv, "storm_iomap", 3, 64 << 20);
	yield_more(16);
	yield_at(&st->k.srv.park_lock);
	rng.s = st->s.seed;
	pthread_mutex_init(&st->lock, NULL);
	for (i = 0; i < EXACT; i++)
		for (b = 0; b < KBLOCKS; b++)
			pthread_mutex_init(&st->block[i][b], NULL);
	do {
		one_round(st, &rng);
		rounds++;
	} while (stress_has_time(&st->s));
	printf("storm_iomap: rounds=%u stores_over_direct_writes=%llu\n", rounds,
	       (unsigned long long)st->waits);
	stress_end(&st->s);
	free(st);
	return 0;
}
