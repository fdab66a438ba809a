/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The storm in one file: several threads in the same blocks.
 *
 *	storm_file [SECONDS [SEED]]
 *
 * Five files, each for one claim:
 *
 *	stamps	a write is one remap: whatever else is written, cut and
 *		preallocated, a block shows one write, whole
 *	lanes	writes of different bytes of one block lose nothing
 *	log	appends never meet: every record is there once, in order
 *	iomap	the same as stamps, by begin and ioend without range locks, as
 *		a kernel does it
 *	failing	the same, while some of the ioends bring errors
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>

#include "stress.h"

#include "base/util.h"
#include "file/attr.h"
#include "file/file.h"
#include "file/iomap.h"

#define THREADS		4
#define ROUND_OPS	600	/* of a thread */
#define BLOCKS		48	/* of a file */
#define RUN		12	/* blocks of one write at most */
#define LANE		64	/* bytes of a block that are one thread's */

enum { STAMPS, LANES, LOG, IOMAP, FAILING, FILES };
static const char *const names[FILES] = {
	"stamps", "lanes", "log", "iomap", "failing"
};

/* What every 16 bytes of a block say. */
struct stamp {
	uint64_t block;		/* where in the file, counted from 1 */
	uint64_t what;		/* of one write */
};
#define STAMPS_OF_BLOCK	(BLOCK / sizeof(struct stamp))

struct record {
	uint64_t thread, n;
	unsigned char rest[80];	/* so that blocks end inside records */
};

struct thread {
	struct owfs_fs *fs;
	unsigned int id;
	struct rng rng;
	struct owfs_inode *file[FILES];
	uint64_t lane[BLOCKS];	/* what stands in ours; 0: nothing yet */
	uint64_t nrecords;
	struct stamp buf[RUN * STAMPS_OF_BLOCK];
};

static uint64_t below(struct thread *t, uint64_t n)
{
	return rng_below(&t->rng, n);
}

/* ------------------------------------------------------------------ stamps */

static void fill_stamps(struct thread *t, uint64_t first, uint64_t n)
{
	uint64_t what = rng_next(&t->rng) | 1, i;

	for (i = 0; i < n * STAMPS_OF_BLOCK; i++)
		t->buf[i] = (struct stamp){ first + i / STAMPS_OF_BLOCK + 1,
					    what };
}

/* One write's stamps and zeroes; no zeroes if @whole. */
static void check_stamps(const char *file, const struct stamp *st, size_t n,
			 uint64_t block, bool whole)
{
	uint64_t what = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		if (!whole && !st[i].what && !st[i].block)
			continue;
		if (st[i].block != block + 1)
			stress_die("%s: block %llu has bytes of block %lld",
				   file, (unsigned long long)block,
				   (long long)st[i].block - 1);
		if (what && st[i].what != what)
			stress_die("%s: block %llu has bytes of two writes",
				   file, (unsigned long long)block);
		what = st[i].what;
	}
}

static void read_stamps(struct thread *t, unsigned int file, uint64_t first,
			bool whole)
{
	ssize_t n = owfs_file_read(t->file[file], t->buf, sizeof(t->buf),
				   (loff_t)(first * BLOCK));
	size_t i, left;

	if (n < 0)
		stress_die("%s: read: %zd", names[file], n);
	stress_checked(1);
	left = (size_t)n / sizeof(struct stamp);
	for (i = 0; left; i++) {
		size_t some = min_u64(left, STAMPS_OF_BLOCK);

		check_stamps(names[file], t->buf + i * STAMPS_OF_BLOCK, some,
			     first + i, whole);
		left -= some;
	}
}

static void write_stamps(struct thread *t)
{
	uint64_t first = below(t, BLOCKS), n = 1 + below(t, RUN);

	fill_stamps(t, first, n);
	MUST(owfs_file_write(t->file[STAMPS], t->buf, n * BLOCK,
			     (loff_t)(first * BLOCK), false, false) ==
	     (ssize_t)(n * BLOCK));
}

static void cut_stamps(struct thread *t)
{
	static const int modes[] = {
		FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_ZERO_RANGE, FALLOC_FL_KEEP_SIZE, 0,
	};
	uint64_t pos = below(t, BLOCKS * STAMPS_OF_BLOCK) *
		       sizeof(struct stamp);
	uint64_t len = (1 + below(t, 9 * STAMPS_OF_BLOCK)) *
		       sizeof(struct stamp);
	struct owfs_attr attr = { .size = pos };

	if (below(t, 2))
		stress_ok(owfs_setattr(t->file[STAMPS], &attr, OWFS_SET_SIZE),
			  "truncate");
	else
		stress_ok(owfs_file_fallocate(t->file[STAMPS],
					      modes[below(t, 4)], (loff_t)pos,
					      (loff_t)len), "fallocate");
}

static void op_stamps(struct thread *t)
{
	switch (below(t, 8)) {
	case 0 ... 3:
		write_stamps(t);
		break;
	case 4 ... 5:
		read_stamps(t, STAMPS, below(t, BLOCKS), false);
		break;
	default:
		cut_stamps(t);
	}
}

/* ------------------------------------------------------------------- lanes */

static void check_lane(struct thread *t, uint64_t block)
{
	uint64_t lane[LANE / 8];
	loff_t pos = (loff_t)(block * BLOCK + t->id * LANE);
	size_t i;

	stress_checked(1);
	MUST(owfs_file_read(t->file[LANES], lane, LANE, pos) == LANE);
	for (i = 0; i < LANE / 8; i++)
		if (lane[i] != t->lane[block])
			stress_die("lanes: thread %u block %llu: an update was lost",
				   t->id, (unsigned long long)block);
}

static void op_lanes(struct thread *t)
{
	uint64_t block = below(t, BLOCKS), lane[LANE / 8];
	loff_t pos = (loff_t)(block * BLOCK + t->id * LANE);
	size_t i;

	if (below(t, 3) == 0) {
		if (t->lane[block])
			check_lane(t, block);
		return;
	}
	if (below(t, 8) == 0)
		stress_ok(owfs_file_fallocate(t->file[LANES],
					      FALLOC_FL_KEEP_SIZE,
					      (loff_t)(block * BLOCK),
					      4 * BLOCK), "fallocate");
	t->lane[block] = rng_next(&t->rng) | 1;
	for (i = 0; i < LANE / 8; i++)
		lane[i] = t->lane[block];
	MUST(owfs_file_write(t->file[LANES], lane, LANE, pos, false, false) ==
	     LANE);
}

/* --------------------------------------------------------------------- log */

static void op_log(struct thread *t)
{
	struct record rec = { .thread = t->id, .n = ++t->nrecords };

	memset(rec.rest, (int)(t->id + 1), sizeof(rec.rest));
	MUST(owfs_file_write(t->file[LOG], &rec, sizeof(rec), 0, true, false) ==
	     sizeof(rec));
}

static void check_log(const struct thread *threads)
{
	uint64_t n[THREADS] = { 0 }, total = 0;
	struct record rec;
	struct stat st;
	unsigned int i;
	loff_t pos;

	for (i = 0; i < THREADS; i++)
		total += threads[i].nrecords;
	stress_checked(1);
	owfs_getattr(threads[0].file[LOG], &st, NULL);
	if (st.st_size != (off_t)(total * sizeof(rec)))
		stress_die("log: %lld bytes, should be %llu",
			   (long long)st.st_size,
			   (unsigned long long)(total * sizeof(rec)));
	for (pos = 0; pos < st.st_size; pos += sizeof(rec)) {
		MUST(owfs_file_read(threads[0].file[LOG], &rec, sizeof(rec),
				    pos) == sizeof(rec));
		MUST(rec.thread < THREADS);
		if (rec.n != ++n[rec.thread] ||
		    rec.rest[0] != rec.thread + 1 ||
		    memcmp(rec.rest, rec.rest + 1, sizeof(rec.rest) - 1))
			stress_die("log: record %llu of thread %llu, should be %llu",
				   (unsigned long long)rec.n,
				   (unsigned long long)rec.thread,
				   (unsigned long long)n[rec.thread]);
	}
}

/* ------------------------------------------------------------------- iomap */

/* Begin [first, first + n) and send the data; returns the blocks begun. */
static uint64_t begin_all(struct thread *t, struct owfs_inode *inode,
			  uint64_t first, uint64_t n)
{
	struct owfs_iomap map;
	uint64_t done;
	int ret;

	for (done = 0; done < n; done += map.len) {
		ret = owfs_iomap_begin_write(inode, first + done, n - done,
					     &map);
		if (ret == -EAGAIN)	/* no room; what was begun is to end */
			break;
		stress_ok(ret, "begin");
		MUST(map.off == first + done && map.len && map.len <= n - done);
		stress_ok(owfs_blkdev_write(t->fs->fs_bd,
					    t->buf + done * STAMPS_OF_BLOCK,
					    map.len * BLOCK,
					    (loff_t)(map.fsblock * BLOCK)),
			  "device");
	}
	return done;
}

static void op_iomap(struct thread *t, unsigned int file)
{
	uint64_t first = below(t, BLOCKS), n = 1 + below(t, RUN), done;
	struct owfs_inode *inode = t->file[file];
	int err = file == FAILING && below(t, 3) == 0 ? -EIO : 0;

	fill_stamps(t, first, n);
	done = begin_all(t, inode, first, n);
	if (done)
		stress_ok(owfs_iomap_ioend(inode, (loff_t)(first * BLOCK),
					   done * BLOCK, err, NULL), "ioend");
	if (below(t, 8) == 0)	/* a stray one changes nothing */
		stress_ok(owfs_iomap_ioend(inode, (loff_t)4 * BLOCKS * BLOCK,
					   BLOCK, 0, NULL), "stray ioend");
}

/* --------------------------------------------------------------- everything */

static void *run(void *arg)
{
	struct thread *t = arg;
	unsigned int i;

	for (i = 0; i < ROUND_OPS; i++) {
		switch (below(t, 12)) {
		case 0 ... 3:
			op_stamps(t);
			break;
		case 4 ... 6:
			op_lanes(t);
			break;
		case 7:
			op_log(t);
			break;
		case 8 ... 9:
			op_iomap(t, IOMAP);
			break;
		default:
			op_iomap(t, FAILING);
		}
		if (below(t, 40) == 0)
			stress_ok(owfs_file_fsync(t->file[below(t, FAILING)],
						  false), "fsync");
		if (below(t, 20) == 0)
			owfs_bufcache_shrink(t->fs->fs_bc, true);
	}
	return NULL;
}

static void verify(struct thread *threads)
{
	struct thread *t = &threads[0];
	uint64_t block;
	unsigned int i;

	for (block = 0; block < BLOCKS + RUN; block += RUN) {
		read_stamps(t, STAMPS, block, false);
		read_stamps(t, IOMAP, block, false);
		read_stamps(t, FAILING, block, false);
	}
	for (i = 0; i < THREADS; i++)
		for (block = 0; block < BLOCKS; block++)
			if (threads[i].lane[block])
				check_lane(&threads[i], block);
	check_log(threads);
}

static void open_files(struct stress *s, struct thread *threads)
{
	struct owfs_inode *root;
	unsigned int i, f;

	stress_mount(s);
	root = stress_root(s->fs);
	for (i = 0; i < THREADS; i++) {
		threads[i].fs = s->fs;
		for (f = 0; f < FILES; f++)
			threads[i].file[f] = stress_file(root, names[f]);
	}
	owfs_iput(root);
}

static void close_files(struct stress *s, struct thread *threads)
{
	unsigned int i, f;

	for (i = 0; i < THREADS; i++)
		for (f = 0; f < FILES; f++)
			owfs_iput(threads[i].file[f]);
	stress_settle(s->fs);
	stress_check_accounts(s->fs);
	stress_unmount(s);
	stress_check(s->e, "end of a round");
}

int main(int argc, char **argv)
{
	struct thread *threads = calloc(THREADS, sizeof(*threads));
	unsigned int i, rounds = 0;
	struct stress s;

	stress_begin(&s, argc, argv, "storm_file", 5, 128 << 20);
	for (i = 0; i < THREADS; i++) {
		threads[i].id = i;
		threads[i].rng.s = s.seed + i;
	}
	do {
		open_files(&s, threads);
		verify(threads);
		stress_run(run, threads, sizeof(threads[0]), THREADS);
		verify(threads);
		close_files(&s, threads);
		rounds++;
	} while (stress_has_time(&s));
	printf("storm_file: rounds=%u\n", rounds);
	stress_end(&s);
	free(threads);
	return 0;
}
