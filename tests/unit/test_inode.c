/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of inodes, their items, references, and the removal of orphans. */
#include "object_fixture.h"

#include "object/itable.h"

#define BYTES	(16u << 20)

static struct fx fx;

static int setup(void **state)
{
	(void)state;
	fx = (struct fx){ .seed = 21 };
	fx_start(&fx, BYTES, 4096);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fx_done(&fx);
	return 0;
}

static void remount(void)
{
	fx_unmount(&fx);
	fx_open(&fx);
}

/* One transaction that changes one item by hand. */
static void poke(const struct owfs_key *key, const void *val, size_t len)
{
	struct owfs_trans tr;
	int ret;

	OWFS_RETRY(fx.fs, ret,
		   owfs_trans_begin(fx.fs, &tr, 1, 1, OWFS_RESV_NORMAL));
	assert_int_equal(ret, 0);
	ret = owfs_btree_update(fx.fs->fs_bt, key, val, len);
	if (ret == -ENOENT)
		ret = owfs_btree_insert(fx.fs->fs_bt, key, val, len);
	assert_int_equal(ret, 0);
	assert_int_equal(owfs_trans_end(&tr), 0);
}

/* Make it nameless, as unlink does. */
static void unname(struct owfs_inode *inode)
{
	struct owfs_trans tr;
	uint32_t was;
	int ret;

	pthread_rwlock_wrlock(&inode->i_lock);
	OWFS_RETRY(fx.fs, ret,
		   owfs_trans_begin(fx.fs, &tr, 2, 1, OWFS_RESV_FREEING));
	assert_int_equal(ret, 0);
	was = owfs_orphan_flags(&inode->i_attr);
	inode->i_attr.nlink = 0;
	assert_int_equal(owfs_orphan_follow(&tr, inode, was), 0);
	assert_int_equal(owfs_inode_store(&tr, inode, false), 0);
	assert_int_equal(owfs_trans_end(&tr), 0);
	pthread_rwlock_unlock(&inode->i_lock);
}

static bool has_items(owfs_ino_t ino)
{
	struct owfs_key key = owfs_key(ino, 0, 0);
	struct owfs_key last = owfs_key(ino, 0xff, UINT64_MAX);
	char byte;

	return owfs_btree_next(fx.fs->fs_bt, &key, &last, &byte, 1) >= 0;
}

static bool is_orphan(owfs_ino_t ino)
{
	struct owfs_key key = owfs_orphan_key(ino);
	struct owfs_orphan_item item;

	return owfs_btree_lookup(fx.fs->fs_bt, &key, &item, sizeof(item)) > 0;
}

static int reclaim_all(void)
{
	int ret;

	do {
		OWFS_RETRY(fx.fs, ret, owfs_reclaim_run(fx.fs));
	} while (ret > 0);
	return ret;
}

/* ------------------------------------------------------------ conversion */

static void sample(struct owfs_attr *a)
{
	*a = (struct owfs_attr){
		.mode = S_IFDIR | 02755, .nlink = 7, .uid = 1, .gid = 2,
		.size = 3, .nblocks = 0, .flags = OWFS_INODE_DIRSYNC,
		.projid = 4, .rdev = 5, .parent = 17, .gen = 6,
		.atime = { -1, 999999999 }, .mtime = { 1ll << 40, 0 },
		.ctime = { 2, 3 }, .btime = { 4, 5 }, .xattr_next = 8,
	};
}

static void test_attributes_survive_conversion(void **state)
{
	struct owfs_inode_item d;
	struct owfs_attr a, b;

	(void)state;
	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
	sample(&a);
	owfs_attr_to_disk(&d, &a);
	assert_int_equal(owfs_attr_from_disk(&b, &d, sizeof(d)), 0);
	assert_int_equal(b.mode, a.mode);
	assert_int_equal(b.atime.tv_sec, -1);
	assert_int_equal(b.atime.tv_nsec, 999999999);
	assert_int_equal(b.mtime.tv_sec, 1ll << 40);
	assert_int_equal(b.parent, 17);
	assert_int_equal(b.xattr_next, 8);
	assert_int_equal(b.flags, OWFS_INODE_DIRSYNC);
	assert_int_equal(b.projid, 4);
}

static void refused(const struct owfs_inode_item *d, size_t len)
{
	struct owfs_attr a;

	assert_int_equal(owfs_attr_from_disk(&a, d, len), -EFSCORRUPTED);
}

static void test_impossible_attributes_are_refused(void **state)
{
	struct owfs_inode_item d, good;
	struct owfs_attr a;

	(void)state;
	sample(&a);
	owfs_attr_to_disk(&good, &a);
	refused(&good, sizeof(good) - 1);
#define REFUSED(field, value)			\
	do {					\
		d = good;			\
		d.field = value;		\
		refused(&d, sizeof(d));		\
	} while (0)
	REFUSED(mode, cpu_to_le32(0755));
	REFUSED(mode, cpu_to_le32(S_IFDIR | 0200000));
	REFUSED(mode, cpu_to_le32(S_IFREG));	/* with a parent */
	REFUSED(mode, cpu_to_le32(S_IFLNK));
	REFUSED(parent, cpu_to_le64(0));
	REFUSED(parent, cpu_to_le64(OWFS_INO_MAX + 1));
	REFUSED(nlink, cpu_to_le32(OWFS_LINK_MAX + 1));
	REFUSED(size, cpu_to_le64(OWFS_FILE_BYTES_MAX + 1));
	REFUSED(flags, cpu_to_le32(0x100));
	REFUSED(flags, cpu_to_le32(OWFS_INODE_INTENTS));
	REFUSED(atime.nsec, cpu_to_le32(1000000000));
	REFUSED(btime.zero, cpu_to_le32(1));
	REFUSED(zero32, cpu_to_le32(1));
	REFUSED(zero64, cpu_to_le64(1));
#undef REFUSED
}

/* Each flag on each type: who may have it is said in format.md. */
static void test_flags_fit_the_type(void **state)
{
	static const uint32_t types[] = {
		S_IFREG, S_IFDIR, S_IFLNK, S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK,
	};
	uint32_t flag, possible;
	struct owfs_inode_item d;
	struct owfs_attr a, b;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		possible = types[i] == S_IFREG ? 0x3f :
			   types[i] == S_IFDIR ? 0xfe : 0x18;
		sample(&a);
		a.mode = types[i] | 0644;
		if (types[i] != S_IFDIR)
			a.parent = 0;
		for (flag = 1; flag; flag <<= 1) {
			a.flags = flag;
			owfs_attr_to_disk(&d, &a);
			assert_int_equal(owfs_attr_from_disk(&b, &d, sizeof(d)),
					 flag & possible ? 0 : -EFSCORRUPTED);
		}
	}
}

/* ----------------------------------------------------------------- lookup */

static void test_one_number_is_one_inode(void **state)
{
	struct owfs_inode *a = fx_file(&fx), *b = fx_iget(&fx, a->i_ino);

	(void)state;
	assert_ptr_equal(a, b);
	assert_int_equal(a->i_ref, 2);
	owfs_iput(b);
	owfs_iput(a);
}

static void test_last_put_drops_the_inode(void **state)
{
	struct owfs_inode *a = fx_file(&fx);
	owfs_ino_t ino = a->i_ino;

	(void)state;
	assert_ptr_equal(owfs_iget_cached(fx.fs, ino), a);
	owfs_iput(a);
	owfs_iput(a);
	assert_null(owfs_iget_cached(fx.fs, ino));
	a = fx_iget(&fx, ino);
	assert_int_equal(a->i_attr.mode, S_IFREG | 0644);
	assert_int_equal(a->i_type, S_IFREG);
	owfs_iput(a);
}

static void test_numbers_that_name_nothing(void **state)
{
	struct owfs_inode *inode = fx_file(&fx);
	owfs_ino_t ino = inode->i_ino, unused;
	int ret;

	(void)state;
	owfs_iput(inode);
	assert_int_equal(owfs_iget(fx.fs, 0, &inode), -ESTALE);
	assert_int_equal(owfs_iget(fx.fs, OWFS_INO_ORPHANS, &inode), -ESTALE);
	assert_int_equal(owfs_iget(fx.fs, OWFS_INO_MAX + 1, &inode), -ESTALE);
	assert_int_equal(owfs_iget(fx.fs, ino + 1000000, &inode), -ESTALE);
	OWFS_RETRY(fx.fs, ret, owfs_trans_new_ino(fx.fs, &unused));
	assert_int_equal(ret, 0);
	assert_int_equal(owfs_iget(fx.fs, unused, &inode), -ENOENT);
	/* the miss left nothing behind */
	assert_null(owfs_iget_cached(fx.fs, unused));
}

static void test_damaged_item_makes_the_filesystem_readonly(void **state)
{
	struct owfs_inode *inode = fx_file(&fx);
	struct owfs_key key = owfs_key(inode->i_ino, OWFS_ITEM_INODE, 0);
	owfs_ino_t ino = inode->i_ino;

	(void)state;
	owfs_iput(inode);
	poke(&key, "short", 5);
	assert_int_equal(owfs_iget(fx.fs, ino, &inode), -EFSCORRUPTED);
	assert_int_equal(owfs_iget(fx.fs, ino, &inode), -EFSCORRUPTED);
	assert_int_equal(owfs_fs_writable(fx.fs), -EROFS);
	assert_non_null(strstr(fx.said, "bad inode item"));
}

static void test_read_error_is_passed_on_and_forgotten(void **state)
{
	struct owfs_inode *inode = fx_file(&fx);
	owfs_ino_t ino = inode->i_ino;

	(void)state;
	owfs_iput(inode);
	remount();
	emubd_fault(fx.e, EMUBD_READ, 1, EMUBD_FOREVER, EIO);
	assert_int_equal(owfs_iget(fx.fs, ino, &inode), -EIO);
	emubd_fault(fx.e, EMUBD_READ, 1, 0, 0);
	assert_int_equal(owfs_iget(fx.fs, ino, &inode), 0);
	owfs_iput(inode);
}

static void test_reread_inode_still_knows_its_generation(void **state)
{
	struct owfs_inode *inode = fx_file(&fx);
	owfs_gen_t gen = inode->i_gen;
	owfs_ino_t ino = inode->i_ino;

	(void)state;
	assert_true(gen > owfs_commit_durable(fx.fs));
	owfs_iput(inode);
	inode = fx_iget(&fx, ino);
	assert_true(inode->i_gen >= gen);
	assert_int_equal(owfs_commit_wait(fx.fs, inode->i_gen), 0);
	assert_true(owfs_commit_durable(fx.fs) >= gen);
	owfs_iput(inode);
}

/* ------------------------------------------------------------- the kernel */

static void test_remembered_inode_stays(void **state)
{
	struct owfs_inode *a = fx_file(&fx), *b;
	owfs_ino_t ino = a->i_ino;

	(void)state;
	owfs_inode_remember(a);
	owfs_inode_remember(a);
	owfs_iput(a);
	b = owfs_iget_cached(fx.fs, ino);
	assert_ptr_equal(a, b);
	owfs_iput(b);
	owfs_inode_forget(fx.fs, ino, 1);
	b = owfs_iget_cached(fx.fs, ino);
	assert_ptr_equal(a, b);
	owfs_iput(b);
	owfs_inode_forget(fx.fs, ino, 1);
	assert_null(owfs_iget_cached(fx.fs, ino));
}

static void test_forgetting_too_much_does_no_harm(void **state)
{
	struct owfs_inode *a = fx_file(&fx);

	(void)state;
	owfs_inode_forget(fx.fs, a->i_ino, 5);
	owfs_inode_remember(a);
	owfs_inode_forget(fx.fs, a->i_ino, 5);
	owfs_inode_forget(fx.fs, a->i_ino, 5);
	owfs_inode_forget(fx.fs, 12345, 5);
	assert_int_equal(a->i_ref, 1);
	owfs_iput(a);
}

/* One that is used here, one that was asked for, and one that is only remembered. */
static void test_cold_is_what_only_the_kernel_has(void **state)
{
	struct owfs_inode *held = fx_file(&fx), *asked = fx_file(&fx);
	struct owfs_inode *cold = fx_file(&fx), *again;
	owfs_ino_t ino[4], cold_ino = cold->i_ino;

	(void)state;
	owfs_inode_remember(held);
	owfs_inode_remember(asked);
	owfs_inode_remember(cold);
	assert_int_equal(owfs_itable_remembered(fx.fs), 3);
	owfs_iput(asked);
	owfs_iput(cold);
	owfs_itable_cold(fx.fs, ino, ARRAY_SIZE(ino));
	assert_int_equal(owfs_iget(fx.fs, asked->i_ino, &again), 0);
	owfs_iput(again);
	assert_int_equal(owfs_itable_cold(fx.fs, ino, ARRAY_SIZE(ino)), 1);
	assert_int_equal(ino[0], cold_ino);
	/* not asked for since */
	assert_int_equal(owfs_itable_cold(fx.fs, ino, ARRAY_SIZE(ino)), 2);
	assert_int_equal(owfs_itable_cold(fx.fs, ino, 1), 1);
	owfs_itable_forget_all(fx.fs);
	assert_int_equal(owfs_itable_remembered(fx.fs), 0);
	owfs_iput(held);
}

static void test_forget_all_leaves_only_what_is_held(void **state)
{
	struct owfs_inode *held = fx_file(&fx), *inode;
	owfs_ino_t ino[20];
	unsigned int i;

	(void)state;
	owfs_inode_remember(held);
	for (i = 0; i < ARRAY_SIZE(ino); i++) {
		inode = fx_file(&fx);
		ino[i] = inode->i_ino;
		owfs_inode_remember(inode);
		owfs_iput(inode);
	}
	owfs_itable_forget_all(fx.fs);
	for (i = 0; i < ARRAY_SIZE(ino); i++)
		assert_null(owfs_iget_cached(fx.fs, ino[i]));
	assert_int_equal(held->i_ref, 1);
	owfs_iput(held);
}

/* ---------------------------------------------------------------- orphans */

static void test_nameless_inode_goes_with_its_last_reference(void **state)
{
	struct owfs_inode *inode = fx_file(&fx);
	owfs_ino_t ino = inode->i_ino;

	(void)state;
	unname(inode);
	assert_true(is_orphan(ino));
	assert_int_equal(reclaim_all(), 0);
	assert_true(has_items(ino));
	owfs_inode_remember(inode);
	owfs_iput(inode);
	assert_int_equal(reclaim_all(), 0);
	assert_true(has_items(ino));
	owfs_inode_forget(fx.fs, ino, 1);
	assert_int_equal(reclaim_all(), 0);
	assert_false(has_items(ino));
	assert_false(is_orphan(ino));
	assert_int_equal(owfs_iget(fx.fs, ino, &inode), -ENOENT);
	fx_check(&fx);
}

static void test_crash_leaves_orphans_that_a_rescan_finds(void **state)
{
	struct owfs_inode *inode[30], *used;
	owfs_ino_t ino[30];
	unsigned int i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(inode); i++) {
		inode[i] = fx_file(&fx);
		ino[i] = inode[i]->i_ino;
		unname(inode[i]);
	}
	assert_int_equal(owfs_commit_all(fx.fs), 0);
	for (i = 0; i < ARRAY_SIZE(inode); i++)
		owfs_iput(inode[i]);
	fx_abandon(&fx);
	fx_open(&fx);
	assert_true(is_orphan(ino[0]) && is_orphan(ino[29]));
	used = fx_iget(&fx, ino[7]);
	owfs_reclaim_rescan(fx.fs);
	assert_int_equal(reclaim_all(), 0);
	for (i = 0; i < ARRAY_SIZE(inode); i++) {
		assert_int_equal(is_orphan(ino[i]), i == 7);
		assert_int_equal(has_items(ino[i]), i == 7);
	}
	owfs_iput(used);
	assert_int_equal(reclaim_all(), 0);
	assert_false(has_items(ino[7]));
}

/* More items than one step takes go in several transactions. */
static void test_inode_with_many_items_goes_in_steps(void **state)
{
	struct owfs_inode *inode = fx_file(&fx);
	owfs_ino_t ino = inode->i_ino;
	unsigned int i, steps = 0;
	char value[OWFS_ITEM_MAX] = { 1 };

	(void)state;
	for (i = 0; i < 300; i++) {
		struct owfs_key key = owfs_key(ino, OWFS_ITEM_XATTR_CHUNK, i);

		poke(&key, value, sizeof(value));
	}
	unname(inode);
	owfs_iput(inode);
	while (owfs_reclaim_run(fx.fs) == 1)
		steps++;
	assert_in_range(steps, 300 / 64, 300);
	assert_false(has_items(ino));
	assert_false(is_orphan(ino));
	fx_check(&fx);
}

static void test_nameless_inode_with_entries_is_damage(void **state)
{
	struct owfs_inode *inode = fx_file(&fx);
	struct owfs_key key = owfs_key(inode->i_ino, OWFS_ITEM_DIRENT, 256);

	(void)state;
	poke(&key, "x", 1);
	unname(inode);
	owfs_iput(inode);
	assert_int_equal(owfs_reclaim_run(fx.fs), -EFSCORRUPTED);
	assert_int_equal(owfs_fs_writable(fx.fs), -EROFS);
	/* and does not go on for ever */
	assert_int_equal(owfs_reclaim_run(fx.fs), 0);
}

static void test_orphan_item_without_inode_is_passed_over(void **state)
{
	struct owfs_orphan_item item = {
		.flags = cpu_to_le32(OWFS_ORPHAN_UNLINKED),
	};
	struct owfs_inode *inode = fx_file(&fx);
	struct owfs_key key = owfs_orphan_key(inode->i_ino + 1);
	struct owfs_key max = owfs_orphan_key(UINT64_MAX);

	(void)state;
	poke(&key, &item, sizeof(item));
	poke(&max, &item, sizeof(item));
	owfs_reclaim_rescan(fx.fs);
	assert_int_equal(reclaim_all(), 0);
	owfs_iput(inode);
}

/* ---------------------------------------------------------------- threads */

#define STORM_INODES	8
#define STORM_ROUNDS	400

static owfs_ino_t storm_ino[STORM_INODES];

static void *storm_thread(void *arg)
{
	unsigned int seed = *(unsigned int *)arg, i;
	struct owfs_inode *inode;

	for (i = 0; i < STORM_ROUNDS; i++) {
		owfs_ino_t ino = storm_ino[rand_r(&seed) % STORM_INODES];

		if (owfs_iget(fx.fs, ino, &inode))
			continue;
		pthread_rwlock_rdlock(&inode->i_lock);
		if (inode->i_ino != ino || !S_ISREG(inode->i_attr.mode))
			abort();
		pthread_rwlock_unlock(&inode->i_lock);
		if (rand_r(&seed) % 2) {
			owfs_inode_remember(inode);
			owfs_iput(inode);
			owfs_inode_forget(fx.fs, ino, 1);
		} else {
			owfs_iput(inode);
		}
	}
	return NULL;
}

static void storm(void)
{
	unsigned int seed[4] = { 1, 2, 3, 4 }, i;
	pthread_t thread[4];

	for (i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, storm_thread,
						&seed[i]), 0);
	for (i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
}

static void storm_prepare(bool nameless)
{
	struct owfs_inode *inode;
	unsigned int i;

	for (i = 0; i < STORM_INODES; i++) {
		inode = fx_file(&fx);
		storm_ino[i] = inode->i_ino;
		if (nameless)
			unname(inode);
		owfs_iput(inode);
	}
}

static void test_threads_get_and_drop_the_same_inodes(void **state)
{
	unsigned int i;

	(void)state;
	storm_prepare(false);
	storm();
	for (i = 0; i < STORM_INODES; i++)
		assert_null(owfs_iget_cached(fx.fs, storm_ino[i]));
}

static void *reclaim_thread(void *arg)
{
	bool *stop = arg;

	while (!__atomic_load_n(stop, __ATOMIC_ACQUIRE))
		if (owfs_reclaim_run(fx.fs) < 0)
			abort();
	return NULL;
}

static void test_reclaim_never_takes_an_inode_in_use(void **state)
{
	bool stop = false;
	pthread_t thread;
	unsigned int i;

	(void)state;
	storm_prepare(true);
	assert_int_equal(pthread_create(&thread, NULL, reclaim_thread, &stop),
			 0);
	storm();
	__atomic_store_n(&stop, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	assert_int_equal(reclaim_all(), 0);
	for (i = 0; i < STORM_INODES; i++) {
		assert_false(has_items(storm_ino[i]));
		assert_false(is_orphan(storm_ino[i]));
	}
	fx_check(&fx);
}

#define T(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_attributes_survive_conversion),
		cmocka_unit_test(test_impossible_attributes_are_refused),
		cmocka_unit_test(test_flags_fit_the_type),
		T(test_one_number_is_one_inode),
		T(test_last_put_drops_the_inode),
		T(test_numbers_that_name_nothing),
		T(test_damaged_item_makes_the_filesystem_readonly),
		T(test_read_error_is_passed_on_and_forgotten),
		T(test_reread_inode_still_knows_its_generation),
		T(test_remembered_inode_stays),
		T(test_forgetting_too_much_does_no_harm),
		T(test_cold_is_what_only_the_kernel_has),
		T(test_forget_all_leaves_only_what_is_held),
		T(test_nameless_inode_goes_with_its_last_reference),
		T(test_crash_leaves_orphans_that_a_rescan_finds),
		T(test_inode_with_many_items_goes_in_steps),
		T(test_nameless_inode_with_entries_is_damage),
		T(test_orphan_item_without_inode_is_passed_over),
		T(test_threads_get_and_drop_the_same_inodes),
		T(test_reclaim_never_takes_an_inode_in_use),
	};

	return cmocka_run_group_tests_name("inode", tests, NULL, NULL);
}
