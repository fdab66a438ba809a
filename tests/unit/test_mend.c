/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Metadata written twice, and one copy of some nodes damaged while the
 * filesystem is in use or before it was mounted: nobody notices, it is told
 * once and counted, and the nodes are written anew.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "check.h"
#include "file/namei.h"
#include "object/orphan.h"
#include "rig.h"
#include "trans/mend.h"
#include "trans/trans.h"
#include "tree/node.h"

#define BYTES	(32u << 20)
#define BS	4096u
#define FILES	6000u

struct nodes {
	struct owfs_ptr *ptr;
	unsigned int *level;
	size_t n;
};

struct said {
	unsigned int bad, anew, left;
};

struct mend {
	struct emubd *e;
	struct rig_env env;
	struct nodes nodes;
	struct said said;
	struct owfs_msg msg;
};

static void emit(void *ctx, enum owfs_msg_level level, const char *line)
{
	struct said *said = ctx;

	(void)level;
	said->bad += strstr(line, "copy=0") != NULL;
	said->anew += strstr(line, "are written anew") != NULL;
	said->left += strstr(line, "left as it is") != NULL;
}

static struct owfs_fs *mount(struct mend *m, unsigned int flags, size_t cache)
{
	struct owfs_fs_param p = {
		.bd = emubd_blkdev(m->e), .env = &m->env.env, .msg = &m->msg,
		.readonly = flags & RIG_READONLY, .cache = cache };
	struct owfs_fs *fs;

	assert_int_equal(owfs_mount(&fs, &p), 0);
	return fs;
}

static void name_of(char name[20], unsigned int i)
{
	snprintf(name, 20, "some-name-%06u", i);
}

static void make_files(struct owfs_fs *fs)
{
	struct owfs_newnode nn = { .mode = S_IFREG | 0644 };
	struct owfs_inode *root, *inode;
	char name[20];
	unsigned int i;

	assert_int_equal(owfs_iget(fs, OWFS_INO_ROOT, &root), 0);
	for (i = 0; i < FILES; i++) {
		name_of(name, i);
		assert_int_equal(owfs_create(root, name, strlen(name), &nn,
					     &inode), 0);
		owfs_iput(inode);
	}
	owfs_iput(root);
}

/* How many of the files can be found, with their inodes. */
static unsigned int count_files(struct owfs_fs *fs)
{
	struct owfs_inode *root, *inode;
	unsigned int i, n = 0;
	char name[20];

	assert_int_equal(owfs_iget(fs, OWFS_INO_ROOT, &root), 0);
	for (i = 0; i < FILES; i++) {
		name_of(name, i);
		if (owfs_lookup(root, name, strlen(name), &inode))
			continue;
		owfs_iput(inode);
		n++;
	}
	owfs_iput(root);
	return n;
}

static int note_node(void *ctx, const struct owfs_ptr *ptr, unsigned int level,
		     const void *data)
{
	struct nodes *nodes = ctx;

	(void)data;
	nodes->ptr[nodes->n] = *ptr;
	nodes->level[nodes->n++] = level;
	return 0;
}

static void find_nodes(struct mend *m)
{
	const struct owfs_btree_visitor v = { .enter = note_node,
					      .ctx = &m->nodes };
	struct owfs_fs *fs = mount(m, RIG_READONLY, 0);

	m->nodes.n = 0;
	assert_int_equal(owfs_btree_visit(fs->fs_bt, &v), 0);
	assert_int_equal(owfs_unmount(fs), 0);
	/* root, branches and leaves */
	assert_int_equal(m->nodes.level[0], 2);
}

static int setup(void **state)
{
	struct mend *m = calloc(1, sizeof(*m));
	struct owfs_fs *fs;

	m->msg = (struct owfs_msg){ emit, &m->said, OWFS_MSG_WARN };
	m->nodes.ptr = calloc(BYTES / BS, sizeof(*m->nodes.ptr));
	m->nodes.level = calloc(BYTES / BS, sizeof(*m->nodes.level));
	rig_env_init(&m->env, 1);
	m->e = rig_mkfs(&m->env, BYTES, BS, 2);
	assert_non_null(m->e);
	fs = mount(m, 0, 0);
	make_files(fs);
	assert_int_equal(owfs_unmount(fs), 0);
	find_nodes(m);
	*state = m;
	return 0;
}

static int teardown(void **state)
{
	struct mend *m = *state;

	emubd_destroy(m->e);
	free(m->nodes.ptr);
	free(m->nodes.level);
	free(m);
	return 0;
}

static void hurt(struct mend *m, size_t i, unsigned int copy)
{
	emubd_garbage(m->e, m->nodes.ptr[i].addr[copy] * BS, BS, i);
}

static unsigned int problems(struct mend *m, unsigned int *copies)
{
	const struct owfs_check_param p = { .commits = OWFS_CHECK_CURRENT };
	struct owfs_check_report r;

	assert_int_equal(owfs_check(emubd_blkdev(m->e), &p, &r), 0);
	if (copies)
		*copies = r.count[BAD_NODE_COPY];
	return r.problems;
}

static uint32_t counted(struct mend *m)
{
	struct owfs_super sb;
	struct owfs_slots slots;

	assert_int_equal(owfs_super_read(emubd_blkdev(m->e), &sb, &slots, NULL),
			 0);
	assert_int_equal(sb.state, OWFS_STATE_CLEAN);
	return sb.error_count;
}

/* ------------------------------------------------------------------- tests */

static void test_every_node_is_written_anew(void **state)
{
	struct mend *m = *state;
	unsigned int copies;
	struct owfs_fs *fs;
	size_t i;

	for (i = 0; i < m->nodes.n; i++)
		hurt(m, i, 0);
	assert_int_equal(problems(m, &copies), m->nodes.n);
	assert_int_equal(copies, m->nodes.n);

	/* more than the list and the cache have room for */
	assert_true(m->nodes.n > 256);
	fs = mount(m, 0, 64 * BS);
	for (i = 0; i < 3; i++) {
		assert_int_equal(count_files(fs), FILES);
		while (owfs_reclaim_step(fs) > 0)
			;
		assert_int_equal(owfs_syncfs(fs), 0);
	}
	assert_false(owfs_mend_is_wanted(fs));
	assert_int_equal(owfs_unmount(fs), 0);
	assert_int_equal(problems(m, NULL), 0);
	assert_true(m->said.anew >= m->nodes.n);
	assert_true(counted(m) >= m->nodes.n);

	find_nodes(m);
	for (i = 0; i < m->nodes.n; i++)
		hurt(m, i, 1);	/* the first ones are good again, all of them */
	fs = mount(m, RIG_READONLY, 0);
	assert_int_equal(count_files(fs), FILES);
	assert_int_equal(owfs_unmount(fs), 0);
}

/* One at each level; told once, and a device that cannot read it is the same. */
static void test_each_level(void **state)
{
	struct mend *m = *state;
	struct owfs_fs *fs;
	unsigned int level;
	size_t i;

	for (level = 0; level <= 2; level++) {
		find_nodes(m);
		for (i = m->nodes.n / 2; i && m->nodes.level[i] != level; i--)
			;
		assert_int_equal(m->nodes.level[i], level);
		m->said = (struct said){ 0 };
		if (level == 1)
			emubd_fault_range(m->e, EMUBD_READ,
					  m->nodes.ptr[i].addr[0] * BS, BS, 5);
		else
			hurt(m, i, 0);
		fs = mount(m, 0, 0);
		assert_int_equal(count_files(fs), FILES);
		assert_true(owfs_mend_is_wanted(fs));
		assert_int_equal(owfs_unmount(fs), 0);
		emubd_fault(m->e, EMUBD_READ, 1, 0, 0);
		assert_int_equal(m->said.bad, 1);
		assert_int_equal(m->said.anew, 1);
		assert_int_equal(problems(m, NULL), 0);
		assert_int_equal(counted(m), level + 1);
	}
}

static void test_read_only_tells_once_and_writes_nothing(void **state)
{
	struct mend *m = *state;
	struct owfs_fs *fs;
	uint64_t before;
	size_t i;

	for (i = 1; i < 40; i++)
		hurt(m, i, 0);
	before = emubd_hash(m->e);
	fs = mount(m, RIG_READONLY, 16 * BS);
	assert_int_equal(count_files(fs), FILES);
	assert_int_equal(count_files(fs), FILES);
	assert_int_equal(owfs_reclaim_step(fs), 0);
	assert_int_equal(owfs_unmount(fs), 0);
	assert_int_equal(m->said.bad, 39);
	assert_int_equal(m->said.left, 39);
	assert_true(emubd_hash(m->e) == before);
}

/* What a change has replaced by then is left alone. */
static void test_a_change_mends_too(void **state)
{
	struct mend *m = *state;
	struct owfs_inode *root;
	struct owfs_fs *fs;
	char name[20];
	uint64_t dirty;

	hurt(m, 0, 0);
	fs = mount(m, 0, 0);
	assert_int_equal(owfs_iget(fs, OWFS_INO_ROOT, &root), 0);
	name_of(name, 17);
	assert_int_equal(owfs_unlink(root, name, strlen(name)), 0);
	owfs_iput(root);
	assert_int_equal(owfs_syncfs(fs), 0);
	assert_true(owfs_mend_is_wanted(fs));
	while (owfs_reclaim_run(fs) > 0)
		;
	assert_int_equal(owfs_syncfs(fs), 0);
	dirty = owfs_btree_dirty(fs->fs_bt);
	assert_int_equal(owfs_mend_run(fs), 0);
	assert_int_equal(owfs_btree_dirty(fs->fs_bt), dirty);
	assert_int_equal(owfs_unmount(fs), 0);
	assert_int_equal(problems(m, NULL), 0);
}

/* Without room for a copy it ends all the same. */
static void test_a_full_device_gives_up(void **state)
{
	struct mend *m = *state;
	struct owfs_alloc_stat st;
	struct owfs_fs *fs;
	unsigned int i;
	int ret = -EAGAIN;

	hurt(m, 0, 0);
	fs = mount(m, 0, 0);
	assert_int_equal(count_files(fs), FILES);
	owfs_alloc_stat(fs->fs_al, &st);
	assert_int_equal(owfs_alloc_reserve(fs->fs_al, st.free - st.reserve,
					    OWFS_RESV_NORMAL), 0);
	assert_int_equal(owfs_alloc_reserve(fs->fs_al, st.reserve / 4,
					    OWFS_RESV_REPLACING), 0);
	for (i = 0; i < 20 && ret == -EAGAIN; i++) {
		assert_int_equal(owfs_syncfs(fs), 0);
		ret = owfs_mend_run(fs);
	}
	assert_int_equal(ret, -ENOSPC);
	assert_int_equal(m->said.left, 1);
	assert_false(owfs_mend_is_wanted(fs));
	owfs_alloc_unreserve(fs->fs_al, st.free - st.reserve + st.reserve / 4);
	assert_int_equal(owfs_unmount(fs), 0);
	assert_int_equal(problems(m, NULL), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define mend_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		mend_test(test_every_node_is_written_anew),
		mend_test(test_each_level),
		mend_test(test_read_only_tells_once_and_writes_nothing),
		mend_test(test_a_change_mends_too),
		mend_test(test_a_full_device_gives_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
