/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What comes back of a tree of a thousand nodes and more when nodes cannot be
 * read: everything below a branch, all but its own items of a leaf; and nothing
 * that is not what it was.
 *
 * SALVAGE_SEEDS=N for more of the seeded ones.  FSCK_TALK=1 shows what is said.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/util.h"
#include "file/attr.h"
#include "file/file.h"
#include "file/namei.h"
#include "fsck_image.h"
#include "repair.h"
#include "trans/trans.h"

#define FILES	20000u
#define DIRS	40u
#define BYTES	(256u << 20)

struct known {
	owfs_ino_t ino;
	uint64_t size, content;
};

struct node {
	owfs_fsblock_t addr[2];
	unsigned int level;
};

/* A filesystem of many files, and where its nodes are. */
struct forest {
	struct image im;
	struct known *file;
	size_t nfiles;
	struct node *node;
	size_t nnodes, cap;
	unsigned int height;
};

static struct forest single, dup;

/* ------------------------------------------------------------------ making */

static int note_node(void *ctx, const struct owfs_ptr *ptr, unsigned int level,
		     const void *data)
{
	struct forest *f = ctx;

	(void)data;
	if (f->nnodes == f->cap) {
		f->cap = 2 * f->cap + 64;
		f->node = realloc(f->node, f->cap * sizeof(*f->node));
		assert_non_null(f->node);
	}
	f->node[f->nnodes++] = (struct node){
		.addr = { ptr->addr[0], ptr->addr[1] }, .level = level };
	return 0;
}

static int look_at(struct owfs_fs *fs, owfs_ino_t ino, struct known *k)
{
	unsigned char buf[8192] __attribute__((aligned(OWFS_IO_ALIGN)));
	struct owfs_inode *inode;
	ssize_t n = 0;
	int ret = owfs_iget(fs, ino, &inode);

	if (ret)
		return ret;
	*k = (struct known){ .ino = ino };
	if (S_ISREG(inode->i_attr.mode)) {
		k->size = inode->i_attr.size;
		n = owfs_file_read(inode, buf, sizeof(buf), 0);
		if (n > 0)
			k->content = XXH3_64bits(buf, (size_t)n);
	}
	owfs_iput(inode);
	return n < 0 ? (int)n : 0;
}

static void apply(struct owfs_fs *fs, struct op *op)
{
	int ret = rig_apply(fs, op);

	if (ret)
		fail_msg("%s: %d", op->path, ret);
}

static void make_files(struct owfs_fs *fs)
{
	struct op op = { .kind = OP_MKDIR };
	unsigned int i;

	for (i = 0; i < DIRS; i++) {
		snprintf(op.path, sizeof(op.path), "d%u", i);
		apply(fs, &op);
	}
	for (i = 0; i < FILES; i++) {
		op.kind = OP_CREATE;
		op.len = 0;
		snprintf(op.path, sizeof(op.path), "d%u/file%u", i % DIRS, i);
		apply(fs, &op);
		op.kind = OP_WRITE;
		op.len = 100 + i % 1000;
		op.seed = i;
		apply(fs, &op);
	}
}

static struct owfs_fs *mount_it(struct image *im, unsigned int flags)
{
	struct owfs_fs *fs;
	int ret = rig_mount(&fs, im->e, &im->env, flags, NULL);

	return ret ? NULL : fs;
}

static void make_forest(struct forest *f, unsigned int copies)
{
	const struct owfs_btree_visitor v = { .enter = note_node, .ctx = f };
	struct owfs_fs *fs;
	owfs_ino_t ino;

	rig_env_init(&f->im.env, 1);
	f->im.e = rig_mkfs(&f->im.env, BYTES, 4096, copies);
	assert_non_null(f->im.e);
	fs = mount_it(&f->im, 0);
	assert_non_null(fs);
	make_files(fs);
	assert_int_equal(owfs_unmount(fs), 0);

	fs = mount_it(&f->im, RIG_READONLY);
	assert_non_null(fs);
	assert_int_equal(owfs_btree_visit(fs->fs_bt, &v), 0);
	f->height = owfs_btree_height(fs->fs_bt);
	f->file = calloc(FILES + DIRS, sizeof(*f->file));
	for (ino = OWFS_INO_FIRST; ino < OWFS_INO_FIRST + FILES + DIRS; ino++)
		if (!look_at(fs, ino, &f->file[f->nfiles]))
			f->nfiles++;
	owfs_mount_abandon(fs);
	assert_int_equal(f->nfiles, FILES + DIRS);
	print_message("%zu nodes, %u levels\n", f->nnodes, f->height);
	assert_true(f->nnodes >= 1000 && f->height >= 3);
}

/* ------------------------------------------------------------------- judging */

struct text {
	char *s;
	size_t len;
	FILE *f;
};

static void collect(void *ctx, enum owfs_msg_level level, const char *line)
{
	struct text *t = ctx;

	(void)level;
	fprintf(t->f, "%s\n", line);
	if (getenv("FSCK_TALK"))
		fprintf(stderr, "\t%s\n", line);
}

static int repair(struct image *im, struct text *t,
		  struct owfs_repair_report *r)
{
	const struct owfs_msg msg = { collect, t, OWFS_MSG_WARN };
	const struct owfs_repair_param p = {
		.check = { .msg = &msg },
		.env = &im->env.env,
		.ask = ask_yes,
	};
	int ret;

	free(t->s);
	t->f = open_memstream(&t->s, &t->len);
	assert_non_null(t->f);
	ret = owfs_repair(emubd_blkdev(im->e), &p, r);
	fclose(t->f);
	return ret;
}

static bool is_named(const struct text *t, owfs_ino_t ino)
{
	char what[40];

	snprintf(what, sizeof(what), "inode %llu:", (unsigned long long)ino);
	return strstr(t->s, what) != NULL;
}

/* How many files are what they were; a difference has to be in the report. */
static size_t count_back(struct image *im, const struct forest *f,
			 const struct text *t)
{
	struct owfs_fs *fs = mount_it(im, RIG_READONLY);
	size_t i, back = 0;
	struct known now;
	int ret;

	assert_non_null(fs);
	for (i = 0; i < f->nfiles; i++) {
		const struct known *k = &f->file[i];

		ret = look_at(fs, k->ino, &now);
		if (ret == -ENOENT || ret == -ESTALE)
			continue;
		if (ret)
			fail_msg("inode %llu: %d", (unsigned long long)k->ino,
				 ret);
		if (now.size == k->size && now.content == k->content)
			back++;
		else if (!is_named(t, k->ino))
			fail_msg("inode %llu is silently wrong",
				 (unsigned long long)k->ino);
	}
	owfs_mount_abandon(fs);
	return back;
}

static size_t judge(struct image *im, const struct forest *f)
{
	struct owfs_repair_report r;
	struct owfs_check_report c;
	struct text t = { .s = NULL };
	size_t back;
	int ret = repair(im, &t, &r);

	if (ret || r.left.problems)
		fail_msg("repair=%d: %s", ret, r.left.first);
	assert_int_equal(image_check(im, OWFS_CHECK_CURRENT |
				     OWFS_CHECK_PREVIOUS, &c), 0);
	if (c.problems)
		fail_msg("not sound: %s", c.first);
	back = count_back(im, f, &t);
	free(t.s);
	return back;
}

static void hit(struct image *im, owfs_fsblock_t addr, struct rng *rng)
{
	emubd_garbage(im->e, addr * 4096, 4096, rng_next(rng));
}

/* -------------------------------------------------------------------- tests */

/* Nothing that a leaf has is lost with a branch, be it the root. */
static void test_a_lost_branch_costs_nothing(void **state)
{
	struct rng rng = { .s = 1 };
	struct image im;
	size_t i, n = 0;

	(void)state;
	for (i = 0; i < single.nnodes; i++) {
		if (single.node[i].level == 0 || (n > 6 && i % 3))
			continue;
		n++;
		image_fork(&im, &single.im);
		hit(&im, single.node[i].addr[0], &rng);
		assert_int_equal(judge(&im, &single), single.nfiles);
		image_free(&im);
	}
	assert_true(n > 3);
}

static void test_all_branches_lost_cost_nothing(void **state)
{
	struct rng rng = { .s = 2 };
	struct image im;
	size_t i;

	(void)state;
	image_fork(&im, &single.im);
	for (i = 0; i < single.nnodes; i++)
		if (single.node[i].level)
			hit(&im, single.node[i].addr[0], &rng);
	assert_int_equal(judge(&im, &single), single.nfiles);
	image_free(&im);
}

/* The root is there, and says where all its children have been. */
static void test_neighbours_lost_cost_nothing(void **state)
{
	struct rng rng = { .s = 5 };
	struct image im;
	size_t i;

	(void)state;
	image_fork(&im, &single.im);
	for (i = 0; i < single.nnodes; i++)
		if (single.node[i].level == 1)
			hit(&im, single.node[i].addr[0], &rng);
	assert_int_equal(judge(&im, &single), single.nfiles);
	image_free(&im);
}

static void test_a_lost_leaf_costs_its_own_items(void **state)
{
	struct rng rng = { .s = 3 };
	struct image im;
	size_t i, n = 0;

	(void)state;
	for (i = 0; i < single.nnodes; i += 211) {
		if (single.node[i].level)
			continue;
		n++;
		image_fork(&im, &single.im);
		hit(&im, single.node[i].addr[0], &rng);
		assert_true(judge(&im, &single) + 40 >= single.nfiles);
		image_free(&im);
	}
	assert_true(n > 3);
}

/* One in a hundred nodes, or of their copies. */
static double hit_one_percent(const struct forest *f, uint64_t seed)
{
	struct rng rng = { .s = seed };
	struct image im;
	size_t i, n = 0, back, blocks = f->nnodes * (f->node[0].addr[1] ? 2 : 1);

	rng_next(&rng);
	image_fork(&im, &f->im);
	for (i = 0; i < blocks; i++) {
		if (rng_below(&rng, 100))
			continue;
		hit(&im, f->node[i % f->nnodes].addr[i / f->nnodes], &rng);
		n++;
	}
	back = judge(&im, f);
	image_free(&im);
	print_message("seed %u: %zu of %zu blocks hit, %zu of %zu files back\n",
		      (unsigned int)seed, n, blocks, back, f->nfiles);
	return (double)back / (double)f->nfiles;
}

static void run_seeds(const struct forest *f, double least)
{
	const char *seeds = getenv("SALVAGE_SEEDS");
	uint64_t i, n = seeds ? strtoull(seeds, NULL, 0) : 3;

	for (i = 1; i <= n; i++)
		assert_true(hit_one_percent(f, i) >= least);
}

static void test_of_a_tree_hit_at_random_95_percent_come_back(void **state)
{
	(void)state;
	run_seeds(&single, 0.95);
}

static void test_with_two_copies_99_percent_come_back(void **state)
{
	(void)state;
	run_seeds(&dup, 0.99);
}

/* Cut at some writes of a salvage: the next run saves as much. */
static void test_a_salvage_cut_short_loses_nothing(void **state)
{
	struct owfs_repair_report r;
	struct text t = { .s = NULL };
	struct rng rng = { .s = 4 };
	struct image from, im, after;
	size_t i, cut, step;

	(void)state;
	image_fork(&from, &single.im);
	for (i = 0; i < single.nnodes; i++)
		if (single.node[i].level == 1 && i % 2)
			hit(&from, single.node[i].addr[0], &rng);
	image_fork(&im, &from);
	emubd_record(im.e, true);
	assert_int_equal(repair(&im, &t, &r), 0);
	emubd_record(im.e, false);
	assert_int_equal(count_back(&im, &single, &t), single.nfiles);
	step = emubd_log_len(im.e) / 25 + 1;
	for (cut = 0; cut <= emubd_log_len(im.e); cut += step) {
		after = im;
		after.env.env.ctx = &after.env;
		after.e = emubd_crash(from.e, im.e, cut, EMUBD_CRASH_SEEDED,
				      cut);
		assert_int_equal(judge(&after, &single), single.nfiles);
		image_free(&after);
	}
	image_free(&im);
	image_free(&from);
	free(t.s);
}

/* ------------------------------------------------------------------ setup */

static int setup(void **state)
{
	(void)state;
	make_forest(&single, 1);
	make_forest(&dup, 2);
	return 0;
}

static void free_forest(struct forest *f)
{
	image_free(&f->im);
	free(f->file);
	free(f->node);
}

static int teardown(void **state)
{
	(void)state;
	free_forest(&single);
	free_forest(&dup);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_lost_branch_costs_nothing),
		cmocka_unit_test(test_all_branches_lost_cost_nothing),
		cmocka_unit_test(test_neighbours_lost_cost_nothing),
		cmocka_unit_test(test_a_lost_leaf_costs_its_own_items),
		cmocka_unit_test(test_of_a_tree_hit_at_random_95_percent_come_back),
		cmocka_unit_test(test_with_two_copies_99_percent_come_back),
		cmocka_unit_test(test_a_salvage_cut_short_loses_nothing),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
