/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Defects that once were, and each needs more than one floor to show. */
#include <dirent.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <pthread.h>
#include <sched.h>
#include <time.h>

#include "file/iomap.h"
#include "namei_fixture.h"
#include "object/dir.h"
#include "trans/commit.h"
#include "tree/node.h"

#define BYTES	(16u << 20)
#define BS	4096u

static struct nx nx;

/* ------------------------------------------------------ fsync beside a seal */

void __real_owfs_alloc_seal(struct owfs_alloc *al);
void __wrap_owfs_alloc_seal(struct owfs_alloc *al);

static bool slow_seals;

/* The middle of a seal, drawn out. */
void __wrap_owfs_alloc_seal(struct owfs_alloc *al)
{
	unsigned int i;

	for (i = 0; slow_seals && i < 20; i++)
		sched_yield();
	__real_owfs_alloc_seal(al);
}

static bool stop;

static void *commit_all_the_time(void *arg)
{
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
		owfs_commit_step(arg, true);
	return NULL;
}

static void test_fsync_is_never_answered_early(void **state)
{
	struct owfs_inode *inode = nx_make(nx.root, "f", S_IFREG | 0644);
	const time_t end = time(NULL) + 20;	/* others may want the processors */
	unsigned int i, early = 0;
	owfs_gen_t gen;
	pthread_t t;

	(void)state;
	slow_seals = true;
	stop = false;
	assert_int_equal(pthread_create(&t, NULL, commit_all_the_time, nx.fs),
			 0);
	for (i = 1; i <= 2000 && (i <= 50 || time(NULL) < end); i++) {
		assert_int_equal(owfs_file_truncate(inode, i), 0);
		gen = __atomic_load_n(&inode->i_gen, __ATOMIC_RELAXED);
		assert_int_equal(owfs_file_fsync(inode, false), 0);
		early += owfs_commit_durable(nx.fs) < gen;
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(t, NULL);
	slow_seals = false;
	owfs_iput(inode);
	assert_int_equal(early, 0);
}

/* -------------------------------------------------- what damage leads to */

/* Many files, so that the tree has leaves beside that of the root's inode. */
static void make_leaves(void)
{
	char name[200];
	unsigned int i;

	for (i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "%0150u", i);
		owfs_iput(nx_make(nx.root, name, S_IFREG | 0644));
	}
	assert_int_equal(owfs_syncfs(nx.fs), 0);
}

static void super_of(struct emubd *e, struct owfs_super *sb,
		     struct owfs_slots *slots)
{
	assert_int_equal(owfs_super_read(emubd_blkdev(e), sb, slots, NULL), 0);
}

/* The last leaf is of the files; the root directory's inode is in the first. */
static void damage_last_leaf(void)
{
	unsigned char root[BS] __attribute__((aligned(8)));
	struct owfs_slots slots;
	struct owfs_super sb;
	struct owfs_ptr ptr;

	super_of(nx.e, &sb, &slots);
	assert_int_equal(sb.root[0].level, 1);
	emubd_peek(nx.e, root, BS, sb.root[0].tree.addr[0] * BS);
	ptr = owfs_branch_ptr(root, owfs_node_nitems(root) - 1);
	emubd_flip_bit(nx.e, ptr.addr[0] * BS + BS - 100, 1);
}

/* Looks every file up; the first error. */
static int look_at_all(void)
{
	struct owfs_inode *inode;
	char name[200];
	unsigned int i;
	int ret = 0;

	for (i = 0; i < 100 && !ret; i++) {
		snprintf(name, sizeof(name), "%0150u", i);
		ret = nx_lookup(nx.root, name, &inode);
		if (!ret)
			owfs_iput(inode);
	}
	return ret;
}

static void test_a_bad_node_turns_the_filesystem_readonly(void **state)
{
	(void)state;
	make_leaves();
	nx_unmount(&nx);
	damage_last_leaf();
	nx_mount(&nx, 0);
	assert_int_equal(owfs_fs_writable(nx.fs), 0);
	assert_int_equal(look_at_all(), -EFSBADCRC);
	assert_int_equal(owfs_fs_writable(nx.fs), -EROFS);
}

static void test_a_bad_map_turns_the_filesystem_readonly(void **state)
{
	struct owfs_slots slots;
	struct owfs_inode *inode;
	struct owfs_super sb;
	struct owfs_geo geo;

	(void)state;
	nx_unmount(&nx);
	super_of(nx.e, &sb, &slots);
	assert_int_equal(owfs_geo_init(&geo, BS, sb.nblocks), 0);
	emubd_flip_bit(nx.e, owfs_geo_map_slot(&geo, 1, 0,
			       sb.root[0].map.slot) * BS + 70, 1);
	nx_mount(&nx, 0);
	assert_int_equal(nx_create(nx.root, "f", S_IFREG | 0644, &inode),
			 -EFSBADCRC);
	assert_int_equal(owfs_fs_writable(nx.fs), -EROFS);
}

/* A superblock is damaged, and then something else is found to be, too. */
static void test_readonly_for_a_lost_superblock_writes_nothing(void **state)
{
	struct owfs_slots slots;
	struct owfs_super sb;
	struct emubd *before;
	unsigned int slot;

	(void)state;
	make_leaves();
	nx_crash(&nx);
	damage_last_leaf();
	super_of(nx.e, &sb, &slots);
	slot = owfs_slots_ring_next(owfs_slots_next(&slots));
	emubd_garbage(nx.e, (uint64_t)owfs_geo_super_pos(BYTES, slot), 512, 7);
	before = emubd_fork(nx.e);

	nx_mount(&nx, 0);
	assert_int_equal(owfs_fs_writable(nx.fs), -EROFS);
	assert_int_equal(look_at_all(), -EFSBADCRC);
	owfs_iput(nx.root);
	owfs_unmount(nx.fs);
	nx.fs = NULL;
	assert_true(emubd_equal(nx.e, before));
	emubd_destroy(before);
}

/* The generation of this run is claimed before anything is written (T2). */
static void test_truncate_claims_its_generation_first(void **state)
{
	struct owfs_inode *inode = nx_make(nx.root, "f", S_IFREG | 0644);
	const struct emubd_event *ev;
	char buf[BS];
	uint64_t end;

	(void)state;
	memset(buf, 'x', sizeof(buf));
	assert_int_equal(owfs_file_write(inode, buf, BS, 0, false, false), BS);
	assert_int_equal(owfs_syncfs(nx.fs), 0);
	assert_int_equal(owfs_file_write(inode, buf, BS, BS, false, false), BS);
	owfs_iput(inode);
	nx_unmount(&nx);

	nx_mount(&nx, RIG_FALLBACK);
	emubd_record(nx.e, true);
	assert_int_equal(nx_lookup(nx.root, "f", &inode), 0);
	assert_int_equal(owfs_file_truncate(inode, 100), 0);
	owfs_iput(inode);
	assert_true(emubd_log_len(nx.e) > 2);
	ev = emubd_log_at(nx.e, 0);
	end = nx.fs->fs_super.nblocks * BS;
	assert_int_equal(ev->kind, EMUBD_WRITE);
	assert_int_equal(ev->len, OWFS_SUPER_BYTES);
	assert_true(ev->pos < OWFS_FRONT_BYTES ||
		    ev->pos >= end - OWFS_BACK_BYTES);
	assert_int_equal(emubd_log_at(nx.e, 1)->kind, EMUBD_FLUSH);
}

/* ---------------------------------------------------------- hostile entries */

static void put_item(struct owfs_key key, const void *val, size_t len)
{
	struct owfs_btree *bt = nx.fs->fs_bt;
	struct owfs_trans tr;
	int ret;

	assert_int_equal(owfs_trans_begin(nx.fs, &tr, 1, 1, OWFS_RESV_NORMAL),
			 0);
	ret = owfs_btree_update(bt, &key, val, len);
	if (ret == -ENOENT)
		ret = owfs_btree_insert(bt, &key, val, len);
	assert_int_equal(ret, 0);
	assert_int_equal(owfs_trans_end(&tr), 0);
}

/* Locking it after its parent would wait for itself. */
static void test_a_directory_in_itself_is_corrupt(void **state)
{
	struct owfs_inode *dir = nx_make(nx.root, "d", S_IFDIR | 0755);
	union {
		struct owfs_dirent_item d;
		char bytes[sizeof(struct owfs_dirent_item) + 4];
	} e = { .d.namelen = cpu_to_le16(4), .d.ftype = DT_DIR };
	struct owfs_attr attr = dir->i_attr;
	struct owfs_inode_item item;
	owfs_ino_t ino = dir->i_ino;

	(void)state;
	owfs_iput(dir);
	attr.parent = ino;
	attr.nlink = 3;
	attr.size = 1;
	owfs_attr_to_disk(&item, &attr);
	put_item(owfs_key(ino, OWFS_ITEM_INODE, 0), &item, sizeof(item));
	e.d.ino = cpu_to_le64(ino);
	memcpy(e.d.name, "self", 4);
	put_item(owfs_key(ino, OWFS_ITEM_DIRENT,
			  owfs_name_hash(nx.fs, "self", 4) <<
			  OWFS_HASH_SEQ_BITS), &e, sizeof(e.d) + 4);

	assert_int_equal(owfs_iget(nx.fs, ino, &dir), 0);
	assert_int_equal(nx_rmdir(dir, "self"), -EFSCORRUPTED);
	owfs_iput(dir);
	assert_int_equal(owfs_fs_writable(nx.fs), -EROFS);
}

/* ------------------------------------------------------------ failed ioends */

/* One ioend that takes several transactions, the first of which fails. */
static void test_a_failed_ioend_gives_everything_back(void **state)
{
	const uint64_t blocks = 3 * OWFS_IOEND_BLOCKS;
	struct owfs_alloc_stat st;
	struct owfs_inode *inode;
	struct owfs_iomap map;
	owfs_fileoff_t off;

	(void)state;
	nx_crash(&nx);
	emubd_destroy(nx.e);
	nx_start(&nx, 128u << 20);
	make_leaves();
	inode = nx_make(nx.root, "f", S_IFREG | 0644);
	for (off = 0; off < blocks; off += map.len)
		assert_int_equal(owfs_iomap_begin_write(inode, off,
							blocks - off, &map), 0);
	/* twice, so that nothing young is left and all nodes can go */
	assert_int_equal(owfs_commit_force(nx.fs), 0);
	assert_int_equal(owfs_commit_force(nx.fs), 0);
	assert_int_equal(owfs_commit_force(nx.fs), 0);
	owfs_bufcache_shrink(nx.fs->fs_bc, true);
	emubd_fault(nx.e, EMUBD_READ, 1, 1, EIO);
	assert_int_equal(owfs_iomap_ioend(inode, 0, blocks * BS, 0, NULL),
			 -EIO);
	owfs_alloc_stat(nx.fs->fs_al, &st);
	assert_int_equal(st.staged, 0);
	assert_int_equal(st.reserved, 0);
	assert_int_equal(owfs_file_fsync(inode, false), -EIO);
	owfs_iput(inode);
}

/* ------------------------------------------------------------- full devices */

#ifdef OWFS_TSAN
#define FULL_ROUNDS	1u
#else
#define FULL_ROUNDS	2u
#endif

static uint32_t rounds_seed;
static char junk[65536];

static unsigned int some(unsigned int n)
{
	rounds_seed = rounds_seed * 1103515245u + 12345u;
	return (rounds_seed >> 8) % n;
}

static void name_of(char *name, size_t size, unsigned int i)
{
	snprintf(name, size, "%u-%0*u", i * 2654435761u, i % 3 ? 10 : 200, i);
}

static int write_pieces(struct owfs_inode *inode, unsigned int n, size_t len)
{
	ssize_t ret = 0;
	unsigned int i;

	for (i = 0; i < n && ret >= 0; i++)
		ret = owfs_file_write(inode, junk, len, 2 * i * BS, false,
				      false);
	return ret < 0 ? (int)ret : 0;
}

/* A file of some kind.  -ENOSPC: without what did not fit. */
static int make_file(unsigned int i, unsigned int kind)
{
	struct owfs_inode *inode;
	char name[256];
	int ret;

	name_of(name, sizeof(name), i);
	ret = nx_create(nx.root, name, S_IFREG | 0644, &inode);
	if (ret)
		return ret;
	if (kind == 1)
		ret = owfs_setxattr(inode, "user.x", 6, junk, some(900), 0);
	if (kind == 2)
		ret = write_pieces(inode, 1, 1 + some(sizeof(junk) - 1));
	if (kind == 3)
		ret = write_pieces(inode, some(200), 100);
	owfs_iput(inode);
	return ret;
}

/* What has to work when nothing else does. */
static void free_some(unsigned int i)
{
	struct owfs_inode *inode;
	char name[256];
	loff_t size;

	name_of(name, sizeof(name), i);
	assert_int_equal(nx_lookup(nx.root, name, &inode), 0);
	size = nx_stat(inode).st_size;
	assert_int_equal(owfs_file_fallocate(inode, FALLOC_FL_PUNCH_HOLE |
					     FALLOC_FL_KEEP_SIZE, 50,
					     i % 2 ? 9000 : 1000000), 0);
	assert_int_equal(owfs_file_truncate(inode, (uint64_t)size / 2 + 1), 0);
	assert_int_equal(owfs_file_truncate(inode, 0), 0);
	owfs_iput(inode);
}

static uint64_t used_at_rest(void)
{
	struct owfs_alloc_stat st;
	unsigned int i;

	nx_reclaim(&nx);
	for (i = 0; i < 3; i++)
		assert_int_equal(owfs_commit_force(nx.fs), 0);
	owfs_alloc_stat(nx.fs->fs_al, &st);
	assert_int_equal(st.pinned + st.staged + st.reserved, 0);
	return st.used;
}

/* Until not even an empty file fits; how many there are. */
static unsigned int fill_up(unsigned int kinds)
{
	unsigned int n = 0;
	int ret;

	do {
		ret = make_file(n++, some(kinds));
	} while (!ret);
	assert_int_equal(ret, -ENOSPC);
	while (!make_file(n, 0))
		n++;
	return n;
}

static void fill_and_empty(unsigned int kinds)
{
	unsigned int i, n = fill_up(kinds), done = 0;
	char name[256];

	/* the last file may be missing, its name not made */
	for (i = 0; i < 20 && i < n; i++)
		free_some(some(n / 2));
	for (i = 0; i < n; i++) {
		name_of(name, sizeof(name), i);
		if (nx_ino(nx.root, name)) {
			assert_int_equal(nx_unlink(nx.root, name), 0);
			done++;
		}
	}
	assert_true(done >= n - 1);
}

static void full_rounds(unsigned int copies)
{
	const char *rounds = getenv("FULL_ROUNDS");
	unsigned int i, n = rounds ? (unsigned int)atoi(rounds) : FULL_ROUNDS;
	uint64_t before;

	nx_crash(&nx);
	emubd_destroy(nx.e);
	rig_env_init(&nx.re, 51);
	nx.e = rig_mkfs(&nx.re, BYTES, BS, copies);
	assert_non_null(nx.e);
	nx_mount(&nx, 0);
	rounds_seed = 1;
	memset(junk, 'j', sizeof(junk));
	before = used_at_rest();
	for (i = 0; i < n; i++) {
		fill_and_empty(i % 2 ? 1 : 4);
		/* a tree of one leaf may have kept a root above it */
		assert_in_range(used_at_rest(), before, before + copies);
		nx_remount(&nx);
	}
}

static void test_a_full_device_can_be_emptied(void **state)
{
	(void)state;
	full_rounds(1);
}

static void test_a_full_device_with_two_copies_can_be_emptied(void **state)
{
	(void)state;
	full_rounds(2);
}

/* -------------------------------------------------------------------- main */

static int setup(void **state)
{
	(void)state;
	memset(&nx, 0, sizeof(nx));
	nx_start(&nx, BYTES);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	nx_done(&nx);
	return 0;
}

#define TEST(name)	cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_fsync_is_never_answered_early),
		TEST(test_a_bad_node_turns_the_filesystem_readonly),
		TEST(test_a_bad_map_turns_the_filesystem_readonly),
		TEST(test_readonly_for_a_lost_superblock_writes_nothing),
		TEST(test_truncate_claims_its_generation_first),
		TEST(test_a_directory_in_itself_is_corrupt),
		TEST(test_a_failed_ioend_gives_everything_back),
		TEST(test_a_full_device_can_be_emptied),
		TEST(test_a_full_device_with_two_copies_can_be_emptied),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
