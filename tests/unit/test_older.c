/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A leaf is lost in whose range the commit before has thousands of leaves: what
 * comes back of them, on a full device, too, and the memory that takes.
 * FSCK_TALK=1 shows what is said.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <malloc.h>

#include "base/err.h"
#include "repair_judge.h"
#include "trans/trans.h"

#define BLOCK		4096u

/* -------------------------------------------------------------------- memory */

static size_t heap, heap_peak;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_aligned_alloc(size_t align, size_t size);
int __real_posix_memalign(void **p, size_t align, size_t size);
void __real_free(void *p);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_aligned_alloc(size_t align, size_t size);
int __wrap_posix_memalign(void **p, size_t align, size_t size);
void __wrap_free(void *p);

/* Inodes are freed by the thread of RCU; the peak is the repair's own. */
static void went(size_t size)
{
	__atomic_sub_fetch(&heap, size, __ATOMIC_RELAXED);
}

static void *came(void *p)
{
	size_t now = __atomic_add_fetch(&heap, malloc_usable_size(p),
					__ATOMIC_RELAXED);

	if (now > __atomic_load_n(&heap_peak, __ATOMIC_RELAXED))
		__atomic_store_n(&heap_peak, now, __ATOMIC_RELAXED);
	return p;
}

void *__wrap_malloc(size_t size)
{
	return came(__real_malloc(size));
}

void *__wrap_calloc(size_t n, size_t size)
{
	return came(__real_calloc(n, size));
}

/* Both are there for a moment. */
void *__wrap_realloc(void *old, size_t size)
{
	size_t had = malloc_usable_size(old);
	void *p = came(__real_realloc(old, size));

	if (p)
		went(had);
	return p;
}

void *__wrap_aligned_alloc(size_t align, size_t size)
{
	return came(__real_aligned_alloc(align, size));
}

int __wrap_posix_memalign(void **p, size_t align, size_t size)
{
	int ret = __real_posix_memalign(p, align, size);

	if (!ret)
		came(*p);
	return ret;
}

void __wrap_free(void *p)
{
	went(malloc_usable_size(p));
	__real_free(p);
}

/* ----------------------------------------------------------------- the image */

struct lost {
	struct image im;
	unsigned int leaves;		/* of the commit before */
	owfs_ino_t first;		/* of the files */
	unsigned int nfiles;
};

static void create(struct owfs_fs *fs, unsigned int n)
{
	struct op op = { .kind = OP_MKDIR, .path = "d" };
	unsigned int i;

	assert_int_equal(rig_apply(fs, &op), 0);
	op.kind = OP_CREATE;
	for (i = 0; i < n; i++) {
		snprintf(op.path, sizeof(op.path), "d/%u", i);
		assert_int_equal(rig_apply(fs, &op), 0);
	}
}

static void erase(struct image *im, struct owfs_key key, struct owfs_key last)
{
	char byte;

	while (owfs_btree_next(im->fs->fs_bt, &key, &last, &byte, 1) >= 0)
		item_del(im, key);
}

static int see_leaf(void *ctx, const struct owfs_ptr *ptr, unsigned int level,
		    const void *data)
{
	struct lost *l = ctx;

	(void)data;
	if (!level) {
		l->leaves++;
		emubd_garbage(l->im.e, ptr->addr[0] * BLOCK, BLOCK, 1);
	}
	return 0;
}

static int count_leaf(void *ctx, const struct owfs_ptr *ptr, unsigned int level,
		      const void *data)
{
	struct lost *l = ctx;

	(void)ptr;
	(void)data;
	l->leaves += !level;
	return 0;
}

static void visit(struct lost *l, unsigned int flags,
		  int (*enter)(void *ctx, const struct owfs_ptr *ptr,
			       unsigned int level, const void *data))
{
	const struct owfs_btree_visitor v = { .enter = enter, .ctx = l };
	struct owfs_fs *fs;

	assert_int_equal(rig_mount(&fs, l->im.e, &l->im.env,
				   RIG_READONLY | flags, NULL), 0);
	l->leaves = 0;
	assert_int_equal(owfs_btree_visit(fs->fs_bt, &v), 0);
	owfs_mount_abandon(fs);
}

/* The commit before has @n files, the last one has one leaf, and that is lost. */
static void make(struct lost *l, uint64_t bytes, unsigned int n, bool full)
{
	owfs_ino_t dir = OWFS_INO_FIRST;
	struct owfs_fs *fs;

	*l = (struct lost){ .first = dir + 1, .nfiles = n };
	rig_env_init(&l->im.env, 1);
	l->im.e = rig_mkfs(&l->im.env, bytes, BLOCK, 1);
	assert_non_null(l->im.e);
	assert_int_equal(rig_mount(&fs, l->im.e, &l->im.env, 0, NULL), 0);
	create(fs, n);
	assert_int_equal(owfs_unmount(fs), 0);
	if (full)
		image_fill_up(&l->im);
	edit_begin(&l->im);
	erase(&l->im, owfs_key(dir, OWFS_ITEM_DIRENT, 0),
	      owfs_key(dir, OWFS_ITEM_DIRENT, UINT64_MAX));
	erase(&l->im, owfs_key(l->first, OWFS_ITEM_INODE, 0),
	      owfs_key(l->first + n - 1, OWFS_ITEM_INODE, 0));
	edit_end(&l->im);
	visit(l, 0, see_leaf);
	assert_int_equal(l->leaves, 1);
	visit(l, RIG_FALLBACK, count_leaf);
}

/* ------------------------------------------------------------- a full device */

static bool is_there(struct owfs_fs *fs, owfs_ino_t ino)
{
	struct owfs_key key = owfs_key(ino, OWFS_ITEM_INODE, 0);
	char byte;

	return owfs_btree_lookup(fs->fs_bt, &key, &byte, 1) > 0;
}

static bool is_given_up(const struct report *text, owfs_ino_t ino)
{
	char line[100];

	snprintf(line, sizeof(line), "given up: inode %llu: the commit before has it, but there is no room",
		 (unsigned long long)ino);
	return strstr(text->text, line) != NULL;
}

/* Each file is there, or is told to be given up. */
static unsigned int count_back(struct lost *l, const struct report *text)
{
	unsigned int i, back = 0;
	struct owfs_fs *fs;

	assert_int_equal(rig_mount(&fs, l->im.e, &l->im.env, RIG_READONLY,
				   NULL), 0);
	for (i = 0; i < l->nfiles; i++)
		if (is_there(fs, l->first + i))
			back++;
		else if (!is_given_up(text, l->first + i))
			fail_msg("file %u is gone, and nobody says so", i);
	owfs_mount_abandon(fs);
	return back;
}

static void test_what_has_no_room_is_listed_and_the_rest_comes_back(void **state)
{
	struct report text = { NULL };
	struct owfs_repair_report r;
	unsigned int back;
	struct lost l;

	(void)state;
	make(&l, 16u << 20, 5000, true);
	assert_int_equal(repair(&l.im, &text, &r), 0);
	assert_int_equal(r.left.problems, 0);
	back = count_back(&l, &text);
	print_message("%u of %u files came back\n", back, l.nfiles);
	assert_in_range(back, l.nfiles / 10, l.nfiles - 1);
	image_assert_clean(&l.im);
	assert_int_equal(repair(&l.im, &text, &r), 0);
	assert_false(r.changed);
	free(text.text);
	image_free(&l.im);
}

static int lose_branch(void *ctx, const struct owfs_ptr *ptr,
		       unsigned int level, const void *data)
{
	struct lost *l = ctx;

	(void)data;
	if (level) {
		l->leaves++;
		emubd_garbage(l->im.e, ptr->addr[0] * BLOCK, BLOCK, 1);
	}
	return 0;
}

static void small_reserve(struct owfs_super *sb, void *ctx)
{
	(void)ctx;
	sb->reserve_blocks = 48;
}

/* Each commit leaves old nodes behind, and the file gets all that is free. */
static void make_full(struct lost *l, uint64_t bytes, unsigned int n)
{
	struct op op = { .kind = OP_CREATE };
	struct owfs_fs *fs;
	unsigned int i;

	*l = (struct lost){ .nfiles = n };
	rig_env_init(&l->im.env, 1);
	l->im.e = rig_mkfs(&l->im.env, bytes, BLOCK, 1);
	assert_non_null(l->im.e);
	super_edit(&l->im, small_reserve, NULL);
	assert_int_equal(rig_mount(&fs, l->im.e, &l->im.env, 0, NULL), 0);
	create(fs, n);
	for (i = 0; i < 9; i++) {
		snprintf(op.path, sizeof(op.path), "late%u", i);
		assert_int_equal(rig_apply(fs, &op), 0);
		assert_int_equal(owfs_syncfs(fs), 0);
	}
	assert_int_equal(owfs_unmount(fs), 0);
	image_fill_up(&l->im);
}

static void assert_all_back(struct lost *l, uint64_t was)
{
	struct owfs_repair_report r;

	assert_int_equal(image_repair(&l->im, &r), 0);
	if (r.left.problems)
		fail_msg("%s", r.left.first);
	image_assert_clean(&l->im);
	assert_true(image_digest(&l->im) == was);
	image_free(&l->im);
}

static int lose_root(void *ctx, const struct owfs_ptr *ptr, unsigned int level,
		     const void *data)
{
	lose_branch(ctx, ptr, level, data);
	return 1;
}

/* The old nodes in the blocks that the file was given are not what is lost. */
static void test_nodes_in_a_preallocated_file_are_dead(void **state)
{
	struct lost l;
	uint64_t was;

	(void)state;
	make_full(&l, 16u << 20, 1000);
	was = image_digest(&l.im);
	visit(&l, 0, lose_root);
	assert_all_back(&l, was);
}

/* ... and there is no more room than for the branches that are made anew. */
static void test_all_branches_are_made_anew_on_a_full_device(void **state)
{
	struct lost l;
	uint64_t was;

	(void)state;
	make_full(&l, 64u << 20, 24000);
	was = image_digest(&l.im);
	visit(&l, 0, lose_branch);
	assert_in_range(l.leaves, 15, 100);
	assert_all_back(&l, was);
}

/* ------------------------------------------------- a leaf lost there, as well */

static int lose_third(void *ctx, const struct owfs_ptr *ptr, unsigned int level,
		      const void *data)
{
	struct lost *l = ctx;

	(void)data;
	if (!level && ++l->leaves == 3)
		emubd_garbage(l->im.e, ptr->addr[0] * BLOCK, BLOCK, 1);
	return 0;
}

static void test_a_leaf_that_the_commit_before_has_lost_costs_only_its_own(void **state)
{
	struct owfs_repair_report r;
	struct lost l;

	(void)state;
	make(&l, 16u << 20, 1000, false);
	visit(&l, RIG_FALLBACK, lose_third);
	assert_in_range(l.leaves, 10, 1000);
	assert_int_equal(image_repair(&l.im, &r), 0);
	assert_int_equal(r.left.problems, 0);
	assert_in_range(r.left.files, l.nfiles - 100, l.nfiles);
	image_free(&l.im);
}

/* ------------------------------------------------------------------- memory */

/*
 * The nodes of one commit are in memory until they are written; the device is,
 * too; and there are a cache of 4 MiB on either side, and tables.
 */
static void test_memory_is_that_of_the_nodes_that_come_back(void **state)
{
	struct owfs_repair_report r;
	struct lost l;
	size_t before, limit;

	(void)state;
	make(&l, 64u << 20, 40000, false);
	assert_true(l.leaves > 1000);
	before = __atomic_load_n(&heap, __ATOMIC_RELAXED);
	__atomic_store_n(&heap_peak, before, __ATOMIC_RELAXED);
	assert_int_equal(image_repair(&l.im, &r), 0);
	assert_int_equal(r.left.problems, 0);
	assert_in_range(r.left.files, l.nfiles, l.nfiles);
	limit = 2 * (size_t)l.leaves * BLOCK + (16u << 20);
	print_message("%u leaves, peak %zu KiB of %zu\n", l.leaves,
		      (heap_peak - before) >> 10, limit >> 10);
	assert_in_range(heap_peak - before, 1, limit);
	image_free(&l.im);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_has_no_room_is_listed_and_the_rest_comes_back),
		cmocka_unit_test(test_all_branches_are_made_anew_on_a_full_device),
		cmocka_unit_test(test_nodes_in_a_preallocated_file_are_dead),
		cmocka_unit_test(test_a_leaf_that_the_commit_before_has_lost_costs_only_its_own),
		cmocka_unit_test(test_memory_is_that_of_the_nodes_that_come_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
