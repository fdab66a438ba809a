/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Many threads in one file, with the commit thread and reclaim beside them:
 * what one thread wrote no other thread's write, truncate or commit may lose
 * or tear.  Meant for ThreadSanitizer, useful without.
 */
#include <fcntl.h>
#include <linux/falloc.h>
#include <pthread.h>

#include "file/cut.h"
#include "file/file.h"
#include "file/iomap.h"
#include "object_fixture.h"

#define BYTES		(64u << 20)
#define BS		4096u
#define ROUNDS		150
#define LANES		4
#define LANE		24u		/* bytes; blocks hold lanes of all writers */
#define BLOCKS		3u
#define TAIL		(8u * BS)	/* here the truncaters play */

struct storm {
	struct fx fx;
	struct owfs_inode *file, *log;
	unsigned int next;		/* atomic; number of the next thread */
	unsigned int bad;		/* atomic */
	bool stop;			/* atomic */
};

/* As an assert, which only the main thread may use; the first one is told. */
static void expect_at(struct storm *s, bool cond, int line)
{
	if (!cond && __atomic_fetch_add(&s->bad, 1, __ATOMIC_RELAXED) == 0)
		print_error("line %d: not as expected [%s]\n", line,
			    s->fx.said);
}
#define expect(s, cond)	expect_at(s, cond, __LINE__)

static bool stopped(struct storm *s)
{
	return __atomic_load_n(&s->stop, __ATOMIC_RELAXED);
}

/* Places of a lane: one in each block, and one across two blocks. */
static uint64_t lane_pos(unsigned int lane, unsigned int k)
{
	if (k % (BLOCKS + 1) == BLOCKS)
		return BS - LANE / 2 + lane * BS;
	return (k % (BLOCKS + 1)) * BS + 512 + lane * LANE;
}

/* Overwrites its lane, byte by byte the same, and finds it again. */
static void *writer_main(void *arg)
{
	struct storm *s = arg;
	unsigned int me = __atomic_fetch_add(&s->next, 1, __ATOMIC_RELAXED) %
			  LANES;
	char buf[LANE], back[LANE];

	for (unsigned int i = 0; i < ROUNDS; i++) {
		uint64_t pos = lane_pos(me, i);

		memset(buf, (int)(me * 50 + i % 50 + 1), LANE);
		expect(s, owfs_file_write(s->file, buf, LANE, (loff_t)pos,
					  false, false) == LANE);
		expect(s, owfs_file_read(s->file, back, LANE, (loff_t)pos) ==
			  LANE);
		expect(s, !memcmp(buf, back, LANE));
	}
	return NULL;
}

/* No lane is ever seen half written. */
static void *reader_main(void *arg)
{
	struct storm *s = arg;
	char *buf = malloc(TAIL);

	while (!stopped(s)) {
		expect(s, owfs_file_read(s->file, buf, TAIL, 0) == TAIL);
		for (unsigned int lane = 0; lane < LANES; lane++)
			for (unsigned int k = 0; k <= BLOCKS; k++) {
				char *p = buf + lane_pos(lane, k);

				expect(s, !memcmp(p, p + 1, LANE - 1));
			}
	}
	free(buf);
	return NULL;
}

/* Beyond the lanes: grow, punch, preallocate, shrink; the lanes never notice. */
static void *cutter_main(void *arg)
{
	struct storm *s = arg;
	const int punch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	char *buf = malloc(5 * BS);

	memset(buf, 'c', 5 * BS);
	for (unsigned int i = 0; i < ROUNDS; i++) {
		loff_t pos = TAIL + (i % 7) * 1000;

		expect(s, owfs_file_write(s->file, buf, 5 * BS, pos, false,
					  false) == 5 * BS);
		expect(s, !owfs_file_fallocate(s->file, punch, pos + 500, 2 * BS));
		expect(s, !owfs_file_fallocate(s->file, 0, pos, 9 * BS));
		expect(s, !owfs_file_fallocate(s->file, FALLOC_FL_ZERO_RANGE,
					       pos + 100, 3 * BS));
		expect(s, !owfs_file_truncate(s->file, TAIL + i % 3 * 77));
	}
	free(buf);
	return NULL;
}

static void *syncer_main(void *arg)
{
	struct storm *s = arg;

	while (!stopped(s)) {
		expect(s, !owfs_file_fsync(s->log, false));
		expect(s, !owfs_commit_all(s->fx.fs));
		expect(s, owfs_reclaim_run(s->fx.fs) >= -EAGAIN);
	}
	return NULL;
}

struct record {
	unsigned int thread, number;
	char fill[29];		/* odd, so that records cross blocks */
} __attribute__((packed));

static void *appender_main(void *arg)
{
	struct storm *s = arg;
	struct record r = { 0 };

	r.thread = __atomic_fetch_add(&s->next, 1, __ATOMIC_RELAXED);
	memset(r.fill, (int)r.thread, sizeof(r.fill));
	for (r.number = 0; r.number < ROUNDS; r.number++)
		expect(s, owfs_file_write(s->log, &r, sizeof(r), 0, true,
					  false) == sizeof(r));
	return NULL;
}

static void start(struct storm *s)
{
	char *zero = calloc(1, TAIL);

	memset(s, 0, sizeof(*s));
	s->fx = (struct fx){ .seed = 9, .threaded = true, .cut_extents = 2 };
	fx_start(&s->fx, BYTES, BS);
	s->file = fx_file(&s->fx);
	s->log = fx_file(&s->fx);
	assert_int_equal(owfs_file_write(s->file, zero, TAIL, 0, false, false),
			 TAIL);
	free(zero);
}

static void finish(struct storm *s)
{
	int ret;

	assert_int_equal(s->bad, 0);
	do {
		OWFS_RETRY(s->fx.fs, ret, owfs_reclaim_run(s->fx.fs));
	} while (ret == 1);
	fx_extents(s->file);
	fx_extents(s->log);
	owfs_iput(s->file);
	owfs_iput(s->log);
	assert_int_equal(owfs_commit_all(s->fx.fs), 0);
	owfs_fs_stop(s->fx.fs);
	s->fx.threaded = false;
	fx_check(&s->fx);
	fx_unmount(&s->fx);
	fx_done(&s->fx);
}

static void test_two_writers_in_one_block_lose_nothing(void **state)
{
	void *(*const busy[])(void *) = { writer_main, writer_main, writer_main,
					  writer_main, cutter_main };
	void *(*const idle[])(void *) = { reader_main, syncer_main };
	pthread_t tb[ARRAY_SIZE(busy)], ti[ARRAY_SIZE(idle)];
	static struct storm s;
	size_t i;

	(void)state;
	start(&s);
	for (i = 0; i < ARRAY_SIZE(busy); i++)
		assert_int_equal(pthread_create(&tb[i], NULL, busy[i], &s), 0);
	for (i = 0; i < ARRAY_SIZE(idle); i++)
		assert_int_equal(pthread_create(&ti[i], NULL, idle[i], &s), 0);
	for (i = 0; i < ARRAY_SIZE(busy); i++)
		pthread_join(tb[i], NULL);
	__atomic_store_n(&s.stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < ARRAY_SIZE(idle); i++)
		pthread_join(ti[i], NULL);
	finish(&s);
}

static void test_appends_neither_overlap_nor_leave_gaps(void **state)
{
	static struct storm s;
	pthread_t t[LANES], syncer;
	unsigned int seen[LANES] = { 0 };
	struct record r;
	loff_t pos;
	size_t i;

	(void)state;
	start(&s);
	assert_int_equal(pthread_create(&syncer, NULL, syncer_main, &s), 0);
	for (i = 0; i < LANES; i++)
		assert_int_equal(pthread_create(&t[i], NULL, appender_main, &s),
				 0);
	for (i = 0; i < LANES; i++)
		pthread_join(t[i], NULL);
	__atomic_store_n(&s.stop, true, __ATOMIC_RELAXED);
	pthread_join(syncer, NULL);
	for (pos = 0; pos < (loff_t)owfs_file_size(s.log); pos += sizeof(r)) {
		assert_int_equal(owfs_file_read(s.log, &r, sizeof(r), pos),
				 sizeof(r));
		assert_true(r.thread < LANES);
		assert_int_equal(r.number, seen[r.thread]++);
		assert_int_equal(r.fill[0], r.thread);
		assert_memory_equal(r.fill, r.fill + 1, sizeof(r.fill) - 1);
	}
	for (i = 0; i < LANES; i++)
		assert_int_equal(seen[i], ROUNDS);
	finish(&s);
}

/*
 * What the kernel does in iomap mode, without any range lock: whole blocks of
 * one byte, some of them failing, on the same few blocks.
 */
static void *kernel_main(void *arg)
{
	struct storm *s = arg;
	unsigned int me = __atomic_fetch_add(&s->next, 1, __ATOMIC_RELAXED);
	char *buf = aligned_alloc(OWFS_IO_ALIGN, 8 * BS);
	uint64_t x = me;

	for (unsigned int i = 0; i < ROUNDS; i++) {
		owfs_fileoff_t off, end, at;
		struct owfs_iomap map;
		int ret = 0;

		x = x * 6364136223846793005ull + 1442695040888963407ull;
		off = (x >> 33) % 8;
		end = off + 1 + (x >> 40) % (8 - off);
		memset(buf, (int)(1 + (x >> 56)), 8 * BS);
		for (at = off; at < end && !ret; at += map.len) {
			OWFS_RETRY(s->fx.fs, ret,
				   owfs_iomap_begin_write(s->file, at, end - at,
							  &map));
			expect(s, ret == 0);
			expect(s, !owfs_blkdev_write(s->fx.fs->fs_bd, buf,
						     map.len * BS,
						     (loff_t)(map.fsblock * BS)));
		}
		OWFS_RETRY(s->fx.fs, ret,
			   owfs_iomap_ioend(s->file, (loff_t)(off * BS),
					    (end - off) * BS,
					    (x >> 50) % 8 ? 0 : -EIO, NULL));
		expect(s, ret == 0);
	}
	free(buf);
	return NULL;
}

static void test_begins_and_ioends_in_any_order_leave_whole_blocks(void **state)
{
	static struct storm s;
	pthread_t t[LANES], syncer;
	char buf[BS];
	size_t i;

	(void)state;
	start(&s);
	assert_int_equal(owfs_file_truncate(s.file, 0), 0);
	assert_int_equal(owfs_file_fallocate(s.file, 0, 2 * BS, 3 * BS), 0);
	assert_int_equal(pthread_create(&syncer, NULL, syncer_main, &s), 0);
	for (i = 0; i < LANES; i++)
		assert_int_equal(pthread_create(&t[i], NULL, kernel_main, &s), 0);
	for (i = 0; i < LANES; i++)
		pthread_join(t[i], NULL);
	__atomic_store_n(&s.stop, true, __ATOMIC_RELAXED);
	pthread_join(syncer, NULL);
	assert_null(s.file->i_staging);
	assert_int_equal(owfs_file_size(s.file), 8 * BS);
	for (i = 0; i < 8; i++) {
		assert_int_equal(owfs_file_read(s.file, buf, BS, (loff_t)i * BS),
				 BS);
		assert_memory_equal(buf, buf + 1, BS - 1);
	}
	finish(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_two_writers_in_one_block_lose_nothing),
		cmocka_unit_test(test_appends_neither_overlap_nor_leave_gaps),
		cmocka_unit_test(test_begins_and_ioends_in_any_order_leave_whole_blocks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
