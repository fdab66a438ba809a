/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whoever makes an image can put what repair looks for there as often as it has
 * blocks: pointers that lead nowhere, nodes that nothing leads to, and extents that
 * have all their blocks.  Four times as much may take four times as long, or a
 * little more, but not sixteen times.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "fsck_image.h"
#include "object/extent.h"
#include "tree/node.h"

#define BLOCK		4096u
#define BYTES		(256u << 20)
#define CHILDREN	80u		/* of a branch */
#define TOO_MUCH	10		/* times the time, for four times as much */
#define TRIES		3
#define FIRST_INO	1000u		/* of what is forged, behind all that is there */

/* An image, and blocks that are in use and nobody's. */
struct forge {
	struct image im;
	struct owfs_root root;
	struct owfs_extent left;
	owfs_fsblock_t nothing;		/* one of them, which has no node */
};

struct child {
	struct owfs_key key;
	struct owfs_ptr ptr;
};

static _Alignas(OWFS_IO_ALIGN) unsigned char node[BLOCK];

/* ----------------------------------------------------------------- the image */

/* The blocks of a file, whose extent goes; it still says how many it has. */
static void leak_blocks(struct forge *f)
{
	struct image *im = &f->im;
	struct owfs_extent_item d;
	struct owfs_key key;

	edit_begin(im);
	key = item_first(im, im->file, OWFS_ITEM_EXTENT, 0);
	assert_int_equal(item_get(im, key, &d, sizeof(d)), sizeof(d));
	assert_null(owfs_extent_from_disk(&im->fs->fs_geo,
					  im->fs->fs_super.root[0].gen, &key,
					  &d, sizeof(d), &f->left));
	item_del(im, key);
	edit_end(im);
}

static void forge_begin(struct forge *f, size_t blocks)
{
	struct op op = { .kind = OP_CREATE, .path = "f" };
	struct image *im = &f->im;
	struct owfs_slots slots;
	struct owfs_inode *inode;
	struct owfs_fs *fs;
	int ret;

	*f = (struct forge){ .nothing = 0 };
	rig_env_init(&im->env, 1);
	im->e = rig_mkfs(&im->env, BYTES, BLOCK, 1);
	assert_non_null(im->e);
	assert_int_equal(rig_mount(&fs, im->e, &im->env, 0, NULL), 0);
	assert_int_equal(rig_apply(fs, &op), 0);
	op.kind = OP_PREALLOC_KEEP;
	op.len = (blocks + 1) * BLOCK;
	assert_int_equal(rig_apply(fs, &op), 0);
	inode = rig_lookup(fs, "f", &ret);
	assert_non_null(inode);
	im->file = inode->i_ino;
	owfs_iput(inode);
	assert_int_equal(owfs_unmount(fs), 0);
	leak_blocks(f);
	assert_int_equal(owfs_super_read(emubd_blkdev(im->e), &im->sb, &slots,
					 NULL), 0);
	f->root = im->sb.root[0];
	f->nothing = f->left.fsblock++;
	f->left.len--;
}

/* What is in @node gets a block and a checksum. */
static struct owfs_ptr place(struct forge *f, owfs_gen_t birth)
{
	struct owfs_block_hdr *hdr = (void *)node;
	struct owfs_ptr ptr = { .addr = { f->left.fsblock++, OWFS_NOBLOCK },
				.birth = birth };

	assert_true(f->left.len-- > 0);
	hdr->bh_magic = cpu_to_le32(OWFS_NODE_MAGIC);
	hdr->bh_owner = cpu_to_le64(OWFS_TREE_MAIN);
	hdr->bh_gen = cpu_to_le64(birth);
	hdr->bh_addr[0] = cpu_to_le64(ptr.addr[0]);
	hdr->bh_addr[1] = cpu_to_le64(OWFS_NOBLOCK);
	ptr.csum = block_seal(&f->im, node);
	emubd_poke(f->im.e, node, BLOCK, ptr.addr[0] * BLOCK);
	return ptr;
}

/* @n extents of one file, each of the same blocks. */
static void place_leaf(struct forge *f, owfs_ino_t ino, unsigned int n,
		       struct owfs_extent ext, owfs_gen_t birth)
{
	struct owfs_extent_item d;
	unsigned int i;

	memset(node, 0, sizeof(node));
	owfs_leaf_init(node, BLOCK);
	ext.birth = 1;
	owfs_extent_to_disk(&d, &ext);
	for (i = 0; i < n; i++) {
		struct owfs_key key = owfs_key(ino, OWFS_ITEM_EXTENT, i);

		owfs_leaf_insert(node, i, &key, &d, sizeof(d));
	}
	place(f, birth);
}

static struct child place_branch(struct forge *f, const struct child *c,
				 unsigned int n, unsigned int level)
{
	struct owfs_block_hdr *hdr = (void *)node;
	unsigned int i;

	memset(node, 0, sizeof(node));
	hdr->bh_level = cpu_to_le16((uint16_t)level);
	for (i = 0; i < n; i++)
		owfs_branch_insert(node, i, &c[i].key, &c[i].ptr);
	return (struct child){ c[0].key, place(f, f->root.gen) };
}

/* Branches above them, which replace them; how many there are. */
static size_t place_above(struct forge *f, struct child *c, size_t n,
			  unsigned int level)
{
	size_t i, m = 0;

	for (i = 0; i < n; i += CHILDREN)
		c[m++] = place_branch(f, &c[i], n - i < CHILDREN ?
				      (unsigned int)(n - i) : CHILDREN, level);
	return m;
}

/* Leads nowhere; one for each inode number from FIRST_INO on. */
static struct child broken_child(const struct forge *f, size_t i)
{
	return (struct child){
		.key = owfs_key(FIRST_INO + i, OWFS_ITEM_INODE, 0),
		.ptr = { { f->nothing, OWFS_NOBLOCK }, f->root.gen, i + 1 } };
}

static void raise_root(struct forge *f)
{
	struct child c = { OWFS_KEY_MIN, f->root.tree };

	place_above(f, &c, 1, ++f->root.level);
	f->root.tree = c.ptr;
}

static void set_root(struct owfs_super *sb, void *ctx)
{
	sb->root[0] = *(struct owfs_root *)ctx;
}

/* The tree gets @n children more, of its own root's level. */
static void forge_end(struct forge *f, size_t n)
{
	struct child *c = calloc(n + 1, sizeof(*c));
	size_t i;

	assert_non_null(c);
	c[0] = (struct child){ OWFS_KEY_MIN, f->root.tree };
	for (i = 0; i < n; i++)
		c[i + 1] = broken_child(f, i);
	for (n++; n > 1; f->root.tree = c[0].ptr)
		n = place_above(f, c, n, ++f->root.level);
	super_edit(&f->im, set_root, &f->root);
	free(c);
}

/* ------------------------------------------------------------------ the time */

/* Seconds of one processor. */
static double repair(struct forge *f)
{
	struct owfs_repair_param p = image_repair_param(&f->im);
	struct owfs_repair_report r;
	struct timespec from, to;

	p.check.commits = OWFS_CHECK_CURRENT;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
	assert_int_equal(owfs_repair(emubd_blkdev(f->im.e), &p, &r), 0);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
	if (r.left.problems)
		fail_msg("%s", r.left.first);
	image_free(&f->im);
	return (double)(to.tv_sec - from.tv_sec) +
	       (double)(to.tv_nsec - from.tv_nsec) / 1e9;
}

/* Whoever else is busy makes it longer, but hardly each time. */
static void assert_in_proportion(double (*run)(size_t n), size_t n)
{
	double one, four;
	unsigned int i;

	for (i = 0; i < TRIES; i++) {
		one = run(n);
		four = run(4 * n);
		print_message("%zu: %.3f s, %zu: %.3f s\n", n, one, 4 * n,
			      four);
		if (four < TOO_MUCH * one)
			return;
	}
	fail_msg("%.1f times as long for four times as much", four / one);
}

/* -------------------------------------------------------------------- tests */

/* Leaves beside the holes, and a leaf for four of those. */
static double run_holes(size_t n)
{
	struct forge f;
	size_t i;

	forge_begin(&f, n + 4 * n / CHILDREN + 100);
	for (i = 0; i < n; i++)
		place_leaf(&f, OWFS_INO_ROOT, 1, f.left, 1);
	forge_end(&f, 4 * n);
	return repair(&f);
}

static void test_holes_are_not_each_asked_of_every_stray(void **state)
{
	(void)state;
	assert_in_proportion(run_holes, 5000);
}

/* A branch is lost; of those found in its place all children are. */
static double run_branches(size_t n)
{
	struct owfs_extent ext = { .len = 1 };
	struct child c[CHILDREN];
	struct forge f;
	size_t i;

	forge_begin(&f, n + 4 * n / CHILDREN + 100);
	ext.fsblock = f.nothing;
	for (i = 0; i < n; i++)
		place_leaf(&f, FIRST_INO, 1, ext, 1);
	for (i = 0; i < 4 * n; i++) {
		c[i % CHILDREN] = broken_child(&f, i + 1);
		if (i % CHILDREN == CHILDREN - 1)
			place_branch(&f, c, CHILDREN, 1);
	}
	raise_root(&f);
	forge_end(&f, 1);
	return repair(&f);
}

static void test_lost_leaves_are_not_each_compared_with_every_stray(void **state)
{
	(void)state;
	assert_in_proportion(run_branches, 4000);
}

/* One of them was born last: it has the blocks, and the others are older. */
static double run_extents(size_t n)
{
	struct forge f;
	size_t i;

	forge_begin(&f, n + 100);
	place_leaf(&f, OWFS_INO_ROOT, 80, f.left, f.root.gen);
	for (i = 1; i < n; i++)
		place_leaf(&f, OWFS_INO_ROOT, 80, f.left, 1);
	forge_end(&f, 1);
	return repair(&f);
}

static void test_extents_are_not_each_asked_of_every_block(void **state)
{
	(void)state;
	assert_in_proportion(run_extents, 1500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_holes_are_not_each_asked_of_every_stray),
		cmocka_unit_test(test_lost_leaves_are_not_each_compared_with_every_stray),
		cmocka_unit_test(test_extents_are_not_each_asked_of_every_block),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
