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

/* What a crash may show. */
struct version {
	unsigned char *data;
	uint64_t size;
	owfs_gen_t gen;			/* that was open when it was made */
};

struct run {
	const struct profile *p;
	struct fx fx;
	struct owfs_inode *inode;
	owfs_ino_t ino, filler;
	uint64_t seed, rng;
	unsigned int op;
	const char *what;
	uint64_t a, b;
	uint64_t max;
	unsigned char *data, *buf;	/* the model; what owfs says */
	uint64_t size;
	struct version old[HISTORY];
	unsigned int nold;
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
			    (unsigned long long)(r)->size, #cond,	\
			    (r)->fx.said);				\
		fail();							\
	}								\
} while (0)

static uint64_t rnd(struct run *r, uint64_t n)
{
	r->rng += 0x9e3779b97f4a7c15ull;
	uint64_t z = r->rng;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return (z ^ (z >> 31)) % n;
}

/* A byte position: often at or beside a block boundary or the end of file. */
static uint64_t rnd_pos(struct run *r)
{
	uint64_t bs = r->p->blocksize, pos;

	switch (rnd(r, 4)) {
	case 0:
		pos = rnd(r, BLOCKS) * bs;
		break;
	case 1:
		pos = rnd(r, BLOCKS) * bs + rnd(r, 3) - 1;
		break;
	case 2:
		pos = r->size + rnd(r, 3) - 1;
		break;
	default:
		pos = rnd(r, r->max);
	}
	return pos < r->max ? pos : r->max - 1;
}

static uint64_t rnd_len(struct run *r, uint64_t pos)
{
	uint64_t max = r->max - pos, len;

	switch (rnd(r, 4)) {
	case 0:
		len = (1 + rnd(r, 8)) * r->p->blocksize;
		break;
	case 1:
		len = 1 + rnd(r, 100);
		break;
	case 2:
		len = r->p->blocksize - pos % r->p->blocksize;
		break;
	default:
		len = 1 + rnd(r, 5ull * r->p->blocksize);
	}
	return len < max ? len : max;
}

static void log_op(struct run *r, const char *what, uint64_t a, uint64_t b)
{
	r->what = what;
	r->a = a;
	r->b = b;
	if (verbose())
		print_message("%4u %s(%llu, %llu) size=%llu\n", r->op, what,
			      (unsigned long long)a, (unsigned long long)b,
			      (unsigned long long)r->size);
}

/* ------------------------------------------------------------- the model */

static void model_forget(struct run *r)
{
	for (unsigned int i = 0; i < r->nold; i++)
		free(r->old[i].data);
	r->nold = 0;
}

/* The state now is one that a crash may show, those before may be, too. */
static void model_remember(struct run *r)
{
	struct version *v;

	if (r->nold == HISTORY) {
		free(r->old[0].data);
		memmove(&r->old[0], &r->old[1], (HISTORY - 1) * sizeof(*v));
		r->nold--;
	}
	v = &r->old[r->nold++];
	v->data = malloc(r->max);
	assert_non_null(v->data);
	memcpy(v->data, r->data, r->max);
	v->size = r->size;
}

static void model_durable(struct run *r)
{
	model_forget(r);
	model_remember(r);
}

static void model_size(struct run *r, uint64_t size)
{
	if (size < r->size)
		memset(r->data + size, 0, r->size - size);
	r->size = size;
}

static bool same(struct run *r, const unsigned char *data, uint64_t size)
{
	return r->inode->i_attr.size == size && !memcmp(r->buf, data, size);
}

/* What owfs has, into r->buf, in one read or several. */
static void read_all(struct run *r)
{
	uint64_t pos = 0, n;
	ssize_t ret;

	memset(r->buf, 0xaa, r->max + 1);
	for (;;) {
		n = rnd(r, 2) ? r->max + 1 - pos : 1 + rnd(r, r->max + 1 - pos);
		ret = owfs_file_read(r->inode, r->buf + pos, n, (loff_t)pos);
		CHECK(r, ret >= 0);
		pos += (uint64_t)ret;
		if ((uint64_t)ret < n)
			break;
	}
	CHECK(r, pos == r->inode->i_attr.size);
}

static void compare(struct run *r)
{
	uint64_t i;

	read_all(r);
	CHECK(r, r->inode->i_attr.size == r->size);
	if (same(r, r->data, r->size))
		return;
	for (i = 0; r->buf[i] == r->data[i]; i++)
		;
	print_error("first difference at byte %llu: is %02x, should be %02x\n",
		    (unsigned long long)i, r->buf[i], r->data[i]);
	CHECK(r, false);
}

/* ------------------------------------------------------------ operations */

static void op_write(struct run *r)
{
	bool append = rnd(r, 6) == 0;
	uint64_t pos = append ? r->size : rnd_pos(r), len, i;
	ssize_t ret;

	if (pos >= r->max)
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
	memcpy(r->data + pos, r->buf, len);
	if (pos + len > r->size)
		r->size = pos + len;
}

static void op_truncate(struct run *r)
{
	uint64_t size = rnd(r, 12) ? rnd_pos(r) : 0;
	int ret;

	log_op(r, "truncate", size, 0);
	ret = owfs_file_truncate(r->inode, size);
	if ((ret != -ENOSPC || size > r->size) && refused(r, ret))
		return;
	CHECK(r, ret == 0);
	model_size(r, size);
}

static void zero_bytes(struct run *r, uint64_t pos, uint64_t end)
{
	if (end > r->size)
		end = r->size;
	if (pos < end)
		memset(r->data + pos, 0, end - pos);
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
	zero_bytes(r, pos, pos + len);
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
		read_all(r);
		if (same(r, r->data, r->size))
			return;
	} else {
		CHECK(r, ret == 0);
	}
	zero_bytes(r, pos, pos + len);
	if (!keep && pos + len > r->size)
		r->size = pos + len;
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
	if (!keep && pos + len > r->size)
		r->size = pos + len;
}

static bool all_zero(struct run *r, uint64_t from, uint64_t to)
{
	for (; from < to; from++)
		if (r->data[from])
			return false;
	return true;
}

static void op_seek(struct run *r)
{
	uint64_t pos = rnd_pos(r);
	loff_t data, hole;

	log_op(r, "seek", pos, 0);
	data = owfs_file_seek(r->inode, (loff_t)pos, SEEK_DATA);
	hole = owfs_file_seek(r->inode, (loff_t)pos, SEEK_HOLE);
	if (pos >= r->size) {
		CHECK(r, data == -ENXIO && hole == -ENXIO);
		return;
	}
	CHECK(r, hole >= (loff_t)pos && hole <= (loff_t)r->size);
	if (data == -ENXIO) {
		CHECK(r, hole == (loff_t)pos);
		CHECK(r, all_zero(r, pos, r->size));
		return;
	}
	CHECK(r, data >= (loff_t)pos && data < (loff_t)r->size);
	CHECK(r, (data == (loff_t)pos) != (hole == (loff_t)pos));
	CHECK(r, all_zero(r, pos, (uint64_t)data));
}

static void op_copy(struct run *r)
{
	uint64_t from = rnd_pos(r), to = rnd_pos(r), len = rnd_len(r, to), n;
	ssize_t ret;

	log_op(r, "copy", from, to);
	n = from < r->size ? min_u64(len, r->size - from) : 0;
	ret = owfs_file_copy(r->inode, (loff_t)from, r->inode, (loff_t)to, len);
	if (from < to + len && to < from + len) {
		CHECK(r, ret == -EINVAL);
		return;
	}
	if (ret == -ENOSPC && r->p->leave)
		return;
	CHECK(r, ret == (ssize_t)n);
	memcpy(r->data + to, r->data + from, n);
	if (n && to + n > r->size)
		r->size = to + n;
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
	CHECK(r, size == r->size);
	CHECK(r, owfs_iomap_ioend(r->inode, (loff_t)(off * bs), len * bs, 0,
				  &size) == 0);
	CHECK(r, size == r->size);
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
	model_durable(r);
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
	model_durable(r);
}

static void op_crash(struct run *r)
{
	unsigned int i;

	log_op(r, "crash", r->nold, 0);
	owfs_iput(r->inode);
	fx_abandon(&r->fx);
	run_open(r);
	read_all(r);
	for (i = r->nold; i > 0; i--)
		if (same(r, r->old[i - 1].data, r->old[i - 1].size))
			break;
	CHECK(r, i > 0);
	memcpy(r->data, r->old[i - 1].data, r->max);
	r->size = r->old[i - 1].size;
	model_durable(r);
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
	model_remember(r);
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
		if (r->nold == HISTORY)
			op_fsync(r);
		model_remember(r);
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
		.p = p, .seed = seed, .rng = seed, .what = "start",
		.max = (uint64_t)BLOCKS * p->blocksize,
		.fx = { .seed = seed, .cut_extents = p->cut_extents,
			.copies = p->copies },
	};
	r->data = calloc(1, r->max);
	r->buf = malloc(r->max + 1);
	fx_start(&r->fx, 4200ull * p->blocksize, p->blocksize);
	if (p->leave)
		fill_device(r);
	r->inode = fx_file(&r->fx);
	r->ino = r->inode->i_ino;
	CHECK(r, owfs_commit_all(r->fx.fs) == 0);
	model_remember(r);
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
	model_forget(r);
	free(r->data);
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
		  .leave = 60 },
		{ .name = "fuller", .blocksize = 4096, .leave = 30 },
		{ .name = "full twice", .blocksize = 4096, .copies = 2,
		  .leave = 100 },
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
