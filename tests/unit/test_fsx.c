/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random operations on one file against an array of bytes: small files and
 * odd lengths, so that edges meet; steps of commit and reclaim between; clean
 * remounts, and crashes after which the file must be what it was after some
 * operation, none older than the last that was promised durable.
 *
 * FSX_SEED repeats one seed, FSX_RUNS=n runs more of them, FSX_LOG=1 prints
 * what is done.
 */
#include <fcntl.h>
#include <linux/falloc.h>
#include <unistd.h>

#include "file/file.h"
#include "file/iomap.h"
#include "file/staging.h"
#include "filemodel.h"
#include "object_fixture.h"

#define BLOCKS		40
#define OPS		600
#define HISTORY		64

struct profile {
	const char *name;
	uint32_t blocksize;
	unsigned int cut_extents;
	uint64_t leave;		/* blocks left free; 0: an empty device */
	unsigned int copies;	/* of metadata */
	bool faults;		/* the device fails now and then */
};

struct run {
	const struct profile *p;
	struct fx fx;
	struct owfs_inode *inode;
	owfs_ino_t ino, filler;
	uint64_t seed;
	struct rng rng;
	unsigned int op;
	const char *what;
	uint64_t a, b;
	struct filemodel m;
	unsigned char *buf;		/* what owfs says; what is written */
	unsigned int wrote, enospc, intents, eio;
	bool faulty;			/* the device may fail now */
};

static bool verbose(void)
{
	return getenv("FSX_LOG") != NULL;
}

/* May this be refused, leaving everything as it was? */
static bool refused(struct run *r, ssize_t ret)
{
	if (ret == -ENOSPC && r->p->leave) {
		r->enospc++;
		return true;
	}
	if (r->faulty && (ret == -EIO || ret == -EROFS)) {
		r->eio++;
		return true;
	}
	return false;
}

#define CHECK(r, cond) do {						\
	if (!(cond)) {							\
		print_error("%s: seed=%llu op=%u %s(%llu, %llu) size=%llu: %s [%s]\n", \
			    (r)->p->name, (unsigned long long)(r)->seed, \
			    (r)->op, (r)->what, (unsigned long long)(r)->a, \
			    (unsigned long long)(r)->b,			\
			    (unsigned long long)(r)->m.size, #cond,	\
			    (r)->fx.said);				\
		fail();							\
	}								\
} while (0)

static uint64_t rnd(struct run *r, uint64_t n)
{
	return rng_below(&r->rng, n);
}

static uint64_t rnd_pos(struct run *r)
{
	return fm_random_pos(&r->m, &r->rng);
}

static uint64_t rnd_len(struct run *r, uint64_t pos)
{
	return fm_random_len(&r->m, &r->rng, pos);
}

static void log_op(struct run *r, const char *what, uint64_t a, uint64_t b)
{
	r->what = what;
	r->a = a;
	r->b = b;
	if (verbose())
		print_message("%4u %s(%llu, %llu) size=%llu\n", r->op, what,
			      (unsigned long long)a, (unsigned long long)b,
			      (unsigned long long)r->m.size);
}

/* What owfs has, into r->buf, in one read or several. */
static void read_all(struct run *r)
{
	uint64_t pos = 0, n;
	ssize_t ret;

	memset(r->buf, 0xaa, r->m.max + 1);
	for (;;) {
		n = rnd(r, 2) ? r->m.max + 1 - pos : 1 + rnd(r, r->m.max + 1 - pos);
		ret = owfs_file_read(r->inode, r->buf + pos, n, (loff_t)pos);
		CHECK(r, ret >= 0);
		pos += (uint64_t)ret;
		if ((uint64_t)ret < n)
			break;
	}
	CHECK(r, pos == r->inode->i_attr.size);
}

static bool is_as_it_must_be(struct run *r)
{
	read_all(r);
	return fm_is(&r->m, r->buf, r->inode->i_attr.size);
}

static void compare(struct run *r)
{
	read_all(r);
	CHECK(r, r->inode->i_attr.size == r->m.size);
	CHECK(r, fm_has(&r->m, 0, r->buf, r->m.size));
}

/* ------------------------------------------------------------ operations */

static void op_write(struct run *r)
{
	bool append = rnd(r, 6) == 0;
	uint64_t pos = append ? r->m.size : rnd_pos(r), len, i;
	ssize_t ret;

	if (pos >= r->m.max)
		return;
	len = rnd_len(r, pos);
	log_op(r, append ? "append" : "write", pos, len);
	for (i = 0; i < len; i++)
		r->buf[i] = (unsigned char)(1 + rnd(r, 255));
	ret = owfs_file_write(r->inode, r->buf, len, append ? 0 : (loff_t)pos,
			      append, false);
	if (refused(r, ret))
		return;
	CHECK(r, ret == (ssize_t)len);
	r->wrote++;
	fm_write(&r->m, pos, r->buf, len);
}

static void op_truncate(struct run *r)
{
	uint64_t size = rnd(r, 12) ? rnd_pos(r) : 0;
	int ret;

	log_op(r, "truncate", size, 0);
	ret = owfs_file_truncate(r->inode, size);
	if ((ret != -ENOSPC || size > r->m.size) && refused(r, ret))
		return;
	CHECK(r, ret == 0);
	fm_resize(&r->m, size);
}

static void op_punch(struct run *r)
{
	uint64_t pos = rnd_pos(r), len = rnd_len(r, pos);
	int ret;

	log_op(r, "punch", pos, len);
	ret = owfs_file_fallocate(r->inode,
				  FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				  (loff_t)pos, (loff_t)len);
	if (ret != -ENOSPC && refused(r, ret))
		return;
	CHECK(r, ret == 0);
	fm_zero(&r->m, pos, len, true);
}

static void op_zero(struct run *r)
{
	uint64_t pos = rnd_pos(r), len = rnd_len(r, pos);
	bool keep = rnd(r, 2);
	int ret;

	log_op(r, keep ? "zero_keep" : "zero", pos, len);
	ret = owfs_file_fallocate(r->inode, FALLOC_FL_ZERO_RANGE |
				  (keep ? FALLOC_FL_KEEP_SIZE : 0),
				  (loff_t)pos, (loff_t)len);
	if (refused(r, ret)) {
		/* before anything was changed, or while preallocating */
		if (is_as_it_must_be(r))
			return;
	} else {
		CHECK(r, ret == 0);
	}
	fm_zero(&r->m, pos, len, keep);
}

static void op_prealloc(struct run *r)
{
	uint64_t pos = rnd_pos(r), len = rnd_len(r, pos);
	bool keep = rnd(r, 2);
	int ret;

	log_op(r, keep ? "prealloc_keep" : "prealloc", pos, len);
	ret = owfs_file_fallocate(r->inode, keep ? FALLOC_FL_KEEP_SIZE : 0,
				  (loff_t)pos, (loff_t)len);
	if (refused(r, ret))
		return;
	CHECK(r, ret == 0);
	fm_allocate(&r->m, pos, len, keep);
}

static uint64_t seek(struct run *r, uint64_t pos, int whence)
{
	loff_t ret = owfs_file_seek(r->inode, (loff_t)pos, whence);

	CHECK(r, ret >= 0 || ret == -ENXIO);
	return ret < 0 ? FM_NONE : (uint64_t)ret;
}

static void op_seek(struct run *r)
{
	uint64_t pos = rnd_pos(r);

	log_op(r, "seek", pos, 0);
	CHECK(r, fm_seek_is_right(&r->m, pos, seek(r, pos, SEEK_DATA),
				  seek(r, pos, SEEK_HOLE)));
}

static void op_copy(struct run *r)
{
	uint64_t from = rnd_pos(r), to = rnd_pos(r), len = rnd_len(r, to);
	ssize_t ret;

	log_op(r, "copy", from, to);
	ret = owfs_file_copy(r->inode, (loff_t)from, r->inode, (loff_t)to, len);
	if (from < to + len && to < from + len) {
		CHECK(r, ret == -EINVAL);
		return;
	}
	if (ret == -ENOSPC && r->p->leave)
		return;
	CHECK(r, ret == (ssize_t)fm_copy(&r->m, from, to, len));
}

/* An iomap begin whose write fails: nothing of it is left. */
static void op_failed_io(struct run *r)
{
	uint64_t bs = r->p->blocksize, off = rnd(r, BLOCKS);
	uint64_t len = 1 + rnd(r, BLOCKS - off);
	struct owfs_iomap map;
	uint64_t size;
	int ret;

	log_op(r, "failed_io", off, len);
	OWFS_RETRY(r->fx.fs, ret,
		   owfs_iomap_begin_write(r->inode, off, len, &map));
	if (ret == -ENOSPC && r->p->leave)
		return;
	CHECK(r, ret == 0 && map.off == off && map.len >= 1 && map.len <= len);
	CHECK(r, owfs_iomap_ioend(r->inode, (loff_t)(off * bs), len * bs, -EIO,
				  &size) == 0);
	CHECK(r, size == r->m.size);
	CHECK(r, owfs_iomap_ioend(r->inode, (loff_t)(off * bs), len * bs, 0,
				  &size) == 0);
	CHECK(r, size == r->m.size);
}

/* -------------------------------------------------- commit, mount, crash */

static void op_commit_steps(struct run *r)
{
	unsigned int n = 1 + (unsigned int)rnd(r, 6);

	log_op(r, "commit_steps", n, 0);
	while (n--)
		CHECK(r, owfs_commit_step(r->fx.fs, rnd(r, 2)) >= 0);
}

static void op_reclaim(struct run *r)
{
	int ret;

	log_op(r, "reclaim", 0, 0);
	ret = rnd(r, 2) ? owfs_intent_reclaim_step(r->inode) :
			  owfs_reclaim_run(r->fx.fs);
	CHECK(r, ret >= 0 || ret == -EAGAIN);
}

static void op_fsync(struct run *r)
{
	log_op(r, "fsync", 0, 0);
	CHECK(r, owfs_file_fsync(r->inode, rnd(r, 2)) == 0);
	fm_durable(&r->m);
}

static void run_open(struct run *r)
{
	fx_open(&r->fx);
	CHECK(r, owfs_iget(r->fx.fs, r->ino, &r->inode) == 0);
}

static void op_remount(struct run *r)
{
	log_op(r, "remount", 0, 0);
	owfs_iput(r->inode);
	fx_unmount(&r->fx);
	run_open(r);
	fm_durable(&r->m);
}

static void op_crash(struct run *r)
{
	log_op(r, "crash", r->m.nold, 0);
	owfs_iput(r->inode);
	fx_abandon(&r->fx);
	run_open(r);
	read_all(r);
	CHECK(r, fm_recover(&r->m, r->buf, r->inode->i_attr.size));
}

/*
 * One operation while one read or write of the device fails.  It does all or
 * nothing; if the filesystem has turned read-only, what is on the device is
 * some state of before.
 */
static void op_fault(struct run *r)
{
	void (*const some[])(struct run *r) = {
		op_write, op_truncate, op_punch, op_zero, op_prealloc,
	};
	uint64_t kind = rnd(r, 2), nth = 1 + rnd(r, 3);

	log_op(r, kind ? "fault_write" : "fault_read", nth, 0);
	r->faulty = true;
	emubd_fault(r->fx.e, kind ? EMUBD_WRITE : EMUBD_READ, nth, 1, EIO);
	some[rnd(r, ARRAY_SIZE(some))](r);
	emubd_fault(r->fx.e, kind ? EMUBD_WRITE : EMUBD_READ, 1, 0, 0);
	r->faulty = false;
	fm_remember(&r->m);
	if (owfs_fs_writable(r->fx.fs))
		op_crash(r);
}

/* The filesystem agrees with itself. */
static void check_all(struct run *r)
{
	fx_check(&r->fx);
	fx_extents(r->inode);
	CHECK(r, r->inode->i_staging == NULL);
	if (owfs_inode_has_intents(r->inode))
		r->intents++;
}

static void (*const ops[])(struct run *r) = {
	op_write, op_write, op_write, op_write, op_write, op_write,
	op_truncate, op_truncate, op_punch, op_punch, op_zero, op_prealloc,
	op_prealloc, op_seek, op_copy, op_failed_io,
	op_commit_steps, op_commit_steps, op_commit_steps, op_reclaim,
};

static void one_op(struct run *r)
{
	if (r->p->faults && rnd(r, 8) == 0) {
		op_fault(r);
		return;
	}
	switch (rnd(r, 90)) {
	case 0:
		op_remount(r);
		break;
	case 1:
		op_crash(r);
		break;
	case 2:
	case 3:
		op_fsync(r);
		break;
	default:
		ops[rnd(r, ARRAY_SIZE(ops))](r);
		if (fm_is_full(&r->m))
			op_fsync(r);
		fm_remember(&r->m);
	}
}

/* ------------------------------------------------------------------ runs */

/* Take all but r->p->leave blocks. */
static void fill_device(struct run *r)
{
	struct owfs_inode *filler = fx_file(&r->fx);
	struct owfs_alloc_stat st;
	int ret;

	owfs_alloc_stat(r->fx.fs->fs_al, &st);
	ret = owfs_file_fallocate(filler, 0, 0,
				  (loff_t)((st.free - st.reserve -
					    r->p->leave) * r->p->blocksize));
	CHECK(r, ret == 0);
	owfs_iput(filler);
}

/* Nothing is left of a file that was cut to nothing. */
static void finish(struct run *r)
{
	int ret;

	log_op(r, "finish", 0, 0);
	CHECK(r, owfs_file_truncate(r->inode, 0) == 0);
	do {
		OWFS_RETRY(r->fx.fs, ret, owfs_intent_reclaim_step(r->inode));
	} while (ret == 1);
	CHECK(r, ret == 0);
	CHECK(r, fx_extents(r->inode) == 0);
	CHECK(r, !owfs_inode_has_intents(r->inode));
	fx_check(&r->fx);
}

static void run_seed(const struct profile *p, uint64_t seed)
{
	struct run *r = calloc(1, sizeof(*r));

	assert_non_null(r);
	*r = (struct run){
		.p = p, .seed = seed, .rng = { seed }, .what = "start",
		.fx = { .seed = seed, .cut_extents = p->cut_extents,
			.copies = p->copies },
	};
	fm_init(&r->m, p->blocksize, BLOCKS, HISTORY);
	r->buf = malloc(r->m.max + 1);
	assert_non_null(r->buf);
	fx_start(&r->fx, 4200ull * p->blocksize, p->blocksize);
	if (p->leave)
		fill_device(r);
	r->inode = fx_file(&r->fx);
	r->ino = r->inode->i_ino;
	CHECK(r, owfs_commit_all(r->fx.fs) == 0);
	fm_remember(&r->m);
	for (r->op = 0; r->op < OPS; r->op++) {
		one_op(r);
		compare(r);
		if (r->op % 16 == 0)
			check_all(r);
	}
	finish(r);
	if (p->cut_extents == 1)
		CHECK(r, r->intents > 0);
	if (p->leave)
		CHECK(r, r->enospc > 0 && r->wrote > 0);
	if (verbose())
		print_message("wrote=%u enospc=%u intents=%u eio=%u\n", r->wrote,
			      r->enospc, r->intents, r->eio);
	if (p->faults)
		CHECK(r, r->eio > 0);
	owfs_iput(r->inode);
	fx_unmount(&r->fx);
	fx_done(&r->fx);
	fm_done(&r->m);
	free(r->buf);
	free(r);
}

static void run_profile(const struct profile *p, unsigned int runs)
{
	const char *seed = getenv("FSX_SEED"), *more = getenv("FSX_RUNS");
	uint64_t first = seed ? strtoull(seed, NULL, 0) : 1;

	if (seed)
		runs = 1;
	else if (more)
		runs = (unsigned int)strtoul(more, NULL, 0);
	for (uint64_t i = 0; i < runs; i++)
		run_seed(p, first + i);
}

static void test_a_file_is_what_was_done_to_it(void **state)
{
	static const struct profile p = { .name = "plain", .blocksize = 4096 };

	(void)state;
	run_profile(&p, 4);
}

static void test_doomed_bytes_never_come_back(void **state)
{
	static const struct profile p = {
		.name = "intents", .blocksize = 4096, .cut_extents = 1,
	};

	(void)state;
	run_profile(&p, 4);
}

static void test_large_blocks_are_no_different(void **state)
{
	static const struct profile p = {
		.name = "large", .blocksize = 16384, .cut_extents = 3,
	};

	(void)state;
	run_profile(&p, 1);
}

static void test_a_full_device_says_so_and_loses_nothing(void **state)
{
	static const struct profile p[] = {
		{ .name = "full", .blocksize = 4096, .cut_extents = 2,
		  .leave = 40 },
		{ .name = "fuller", .blocksize = 4096, .leave = 20 },
		{ .name = "full twice", .blocksize = 4096, .copies = 2,
		  .leave = 70 },
	};

	(void)state;
	run_profile(&p[0], 1);
	run_profile(&p[1], 1);
	run_profile(&p[2], 1);
}

static void test_a_failing_device_changes_all_or_nothing(void **state)
{
	static const struct profile p = {
		.name = "faults", .blocksize = 4096, .cut_extents = 2,
		.faults = true,
	};

	(void)state;
	run_profile(&p, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_file_is_what_was_done_to_it),
		cmocka_unit_test(test_doomed_bytes_never_come_back),
		cmocka_unit_test(test_large_blocks_are_no_different),
		cmocka_unit_test(test_a_full_device_says_so_and_loses_nothing),
		cmocka_unit_test(test_a_failing_device_changes_all_or_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
