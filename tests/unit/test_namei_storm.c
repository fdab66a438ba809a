/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Operations on names from many threads, with commits and reclaim beside them.
 *
 * Each worker has names of its own in directories that all share, so it knows
 * what every answer must be.  Meanwhile a mover renames the directories into
 * one another, a reader lists them, and a guesser asks for inodes by number.
 * In the end every worker's names are as it remembers, and fsck is content.
 */
#include "namei_fixture.h"

#include <linux/fs.h>
#include <unistd.h>

#define WORKERS		3
#define DIRS		5
#define NAMES		6
#define SLOTS		(DIRS * NAMES)

/* The sanitizer makes each of them many times as long. */
#ifdef OWFS_TSAN
#define ROUNDS		400
#else
#define ROUNDS		2500
#endif

#ifdef OWFS_TSAN
/*
 * Directories that change places are locked in another order afterwards, so a
 * graph of lock instances has cycles that no two threads can run into.  The
 * thread that resizes the inode table is the library's own affair.
 */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
	return "detect_deadlocks=0";
}
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
	return "race:liburcu-cds\n";
}
#endif

static struct nx nx;
static struct owfs_inode *dirs[DIRS];
static bool over;			/* atomic: the workers are done */

struct worker {
	pthread_t thread;
	unsigned int id;
	struct rng rng;
	owfs_ino_t ino[SLOTS];		/* what each name names; 0: nothing */
	bool subdir[SLOTS];
	char trouble[200];
};

static struct owfs_inode *slot_dir(unsigned int slot)
{
	return dirs[slot / NAMES];
}

static void slot_name(const struct worker *w, unsigned int slot, char name[16])
{
	snprintf(name, 16, "w%u-%u", w->id % 100, slot % NAMES);
}

static void expect(struct worker *w, const char *what, unsigned int slot,
		   int ret, int want)
{
	if (ret != want && !w->trouble[0])
		snprintf(w->trouble, sizeof(w->trouble),
			 "worker %u: %s of slot %u: %d, not %d", w->id, what,
			 slot, ret, want);
}

/* ---------------------------------------------------------------- workers */

static void do_create(struct worker *w, unsigned int slot)
{
	struct owfs_inode *inode;
	char name[16];
	bool subdir = rng_below(&w->rng, 4) == 0;
	int ret;

	slot_name(w, slot, name);
	ret = nx_create(slot_dir(slot), name,
			subdir ? S_IFDIR | 0755 : S_IFREG | 0644, &inode);
	expect(w, "create", slot, ret, w->ino[slot] ? -EEXIST : 0);
	if (ret)
		return;
	if (!subdir && rng_below(&w->rng, 2))
		owfs_setxattr(inode, "user.x", 6, name, 16, 0);
	w->ino[slot] = inode->i_ino;
	w->subdir[slot] = subdir;
	owfs_iput(inode);
}

static void do_remove(struct worker *w, unsigned int slot)
{
	bool rmdir = rng_below(&w->rng, 4) == 0;
	char name[16];
	int ret, want = 0;

	slot_name(w, slot, name);
	if (!w->ino[slot])
		want = -ENOENT;
	else if (w->subdir[slot] != rmdir)
		want = rmdir ? -ENOTDIR : -EISDIR;
	ret = rmdir ? nx_rmdir(slot_dir(slot), name)
		    : nx_unlink(slot_dir(slot), name);
	expect(w, rmdir ? "rmdir" : "unlink", slot, ret, want);
	if (!ret)
		w->ino[slot] = 0;
}

static void do_link(struct worker *w, unsigned int from, unsigned int to)
{
	struct owfs_inode *inode;
	char name[16];
	int ret, want = 0;

	if (!w->ino[from])
		return;
	ret = owfs_iget(nx.fs, w->ino[from], &inode);
	expect(w, "iget", from, ret, 0);
	if (ret)
		return;
	if (w->subdir[from])
		want = -EPERM;
	else if (w->ino[to])
		want = -EEXIST;
	slot_name(w, to, name);
	ret = nx_link(inode, slot_dir(to), name);
	expect(w, "link", to, ret, want);
	if (!ret) {
		w->ino[to] = inode->i_ino;
		w->subdir[to] = false;
	}
	owfs_iput(inode);
}

static int rename_answer(const struct worker *w, unsigned int from,
			 unsigned int to, unsigned int flags)
{
	if (!w->ino[from])
		return -ENOENT;
	if (!w->ino[to])
		return flags & RENAME_EXCHANGE ? -ENOENT : 0;
	if (flags & RENAME_NOREPLACE)
		return -EEXIST;
	if (w->ino[from] == w->ino[to] || (flags & RENAME_EXCHANGE) ||
	    w->subdir[from] == w->subdir[to])
		return 0;
	return w->subdir[from] ? -ENOTDIR : -EISDIR;
}

static void do_rename(struct worker *w, unsigned int from, unsigned int to)
{
	static const unsigned int flag[] = {
		0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE,
	};
	unsigned int flags = flag[rng_below(&w->rng, ARRAY_SIZE(flag))];
	owfs_ino_t ino = w->ino[to];
	bool subdir = w->subdir[to];
	char a[16], b[16];
	int ret;

	slot_name(w, from, a);
	slot_name(w, to, b);
	ret = nx_rename(slot_dir(from), a, slot_dir(to), b, flags);
	expect(w, "rename", from, ret, rename_answer(w, from, to, flags));
	if (ret || w->ino[from] == ino)
		return;
	w->ino[to] = w->ino[from];
	w->subdir[to] = w->subdir[from];
	w->ino[from] = flags & RENAME_EXCHANGE ? ino : 0;
	w->subdir[from] = subdir;
}

static void do_lookup(struct worker *w, unsigned int slot)
{
	struct owfs_inode *inode;
	char name[16];
	int ret;

	slot_name(w, slot, name);
	ret = nx_lookup(slot_dir(slot), name, &inode);
	expect(w, "lookup", slot, ret, w->ino[slot] ? 0 : -ENOENT);
	if (ret)
		return;
	if (inode->i_ino != w->ino[slot])
		expect(w, "identity", slot, 1, 0);
	owfs_inode_remember(inode);
	owfs_inode_forget(nx.fs, inode->i_ino, 1);
	owfs_iput(inode);
}

static void do_tmpfile(struct worker *w, unsigned int slot)
{
	struct owfs_newnode nn = { .mode = S_IFREG | 0600 };
	struct owfs_inode *inode;
	char name[16];
	int ret = owfs_tmpfile(slot_dir(slot), &nn, &inode);

	expect(w, "tmpfile", slot, ret, 0);
	if (ret)
		return;
	if (rng_below(&w->rng, 2)) {
		slot_name(w, slot, name);
		ret = nx_link(inode, slot_dir(slot), name);
		expect(w, "link of tmpfile", slot, ret,
		       w->ino[slot] ? -EEXIST : 0);
		if (!ret) {
			w->ino[slot] = inode->i_ino;
			w->subdir[slot] = false;
		}
	}
	owfs_iput(inode);
}

static void *worker(void *arg)
{
	struct worker *w = arg;
	unsigned int i, a, b;

	for (i = 0; i < ROUNDS && !w->trouble[0]; i++) {
		a = (unsigned int)rng_below(&w->rng, SLOTS);
		b = (unsigned int)rng_below(&w->rng, SLOTS);
		switch (rng_below(&w->rng, 12)) {
		case 0 ... 3:
			do_create(w, a);
			break;
		case 4 ... 5:
			do_remove(w, a);
			break;
		case 6:
			do_link(w, a, b);
			break;
		case 7 ... 8:
			do_rename(w, a, b);
			break;
		case 9:
			do_tmpfile(w, a);
			break;
		default:
			do_lookup(w, a);
		}
	}
	return NULL;
}

/* -------------------------------------------------------------- the others */

/* Where the shared directories are, by the mover's own doing. */
static void *mover(void *arg)
{
	struct rng *rng = arg;
	struct owfs_inode *where[DIRS], *to;
	char a[16], b[16];
	int ret;

	for (unsigned int i = 0; i < DIRS; i++)
		where[i] = nx.root;
	while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE)) {
		uint64_t i = rng_below(rng, DIRS), j = rng_below(rng, DIRS);

		to = rng_below(rng, 3) ? dirs[j] : nx.root;
		snprintf(a, sizeof(a), "d%u", (unsigned int)i);
		snprintf(b, sizeof(b), "d%u", (unsigned int)j);
		if (rng_below(rng, 4) == 0) {
			/* and back, so that names and places stay as known */
			ret = nx_rename(where[i], a, where[j], b,
					RENAME_EXCHANGE);
			if (!ret)
				ret = nx_rename(where[i], a, where[j], b,
						RENAME_EXCHANGE);
			else if (ret == -EINVAL)
				ret = 0;
			if (ret)
				abort();
			continue;
		}
		ret = nx_rename(where[i], a, to, a, RENAME_NOREPLACE);
		if (!ret)
			where[i] = to;
		else if (ret != -EINVAL && ret != -EEXIST)
			abort();
	}
	return NULL;
}

static int count_entry(void *ctx, const struct owfs_dirent *de)
{
	unsigned int *n = ctx;

	(void)de;
	return ++*n > 1000;
}

static void *reader(void *arg)
{
	struct rng *rng = arg;
	unsigned int n;

	while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE)) {
		n = 0;
		if (owfs_readdir(dirs[rng_below(rng, DIRS)], 0, count_entry,
				 &n) || n < 2)
			abort();
		nx_stat(dirs[rng_below(rng, DIRS)]);
	}
	return NULL;
}

/* Asks for numbers that are being given out, or taken away, this moment. */
static void *guesser(void *arg)
{
	struct rng *rng = arg;
	struct owfs_inode *inode;
	owfs_ino_t next;
	int ret;

	while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE)) {
		pthread_mutex_lock(&nx.fs->fs_ino_lock);
		next = nx.fs->fs_next_ino;
		pthread_mutex_unlock(&nx.fs->fs_ino_lock);
		ret = owfs_iget(nx.fs, next + 2 - rng_below(rng, 40), &inode);
		if (!ret) {
			nx_stat(inode);
			owfs_iput(inode);
		} else if (ret != -ENOENT && ret != -ESTALE) {
			abort();
		}
	}
	return NULL;
}

static void *syncer(void *arg)
{
	(void)arg;
	while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE)) {
		if (owfs_syncfs(nx.fs))
			abort();
		usleep(2000);
	}
	return NULL;
}

/* ------------------------------------------------------------------- tests */

static void storm_mount(void)
{
	struct owfs_fs_param p = {
		.bd = emubd_blkdev(nx.e), .threaded = true, .cache = 1 << 20,
	};

	assert_int_equal(owfs_mount(&nx.fs, &p), 0);
	assert_int_equal(owfs_iget(nx.fs, OWFS_INO_ROOT, &nx.root), 0);
}

static void check_names(struct worker *w, uint64_t seed)
{
	unsigned int slot;

	for (slot = 0; slot < SLOTS; slot++)
		do_lookup(w, slot);
	if (w->trouble[0])
		fail_msg("seed %llu: %s", (unsigned long long)seed, w->trouble);
}

static void storm(uint64_t seed)
{
	static void *(*const other[])(void *) = {
		mover, reader, guesser, syncer,
	};
	static struct worker w[WORKERS];
	struct rng rng[ARRAY_SIZE(other)];
	pthread_t thread[ARRAY_SIZE(other)];
	unsigned int i;
	char name[16];

	over = false;
	storm_mount();
	for (i = 0; i < DIRS; i++) {
		snprintf(name, sizeof(name), "d%u", i);
		dirs[i] = nx_make(nx.root, name, S_IFDIR | 0755);
	}
	for (i = 0; i < ARRAY_SIZE(other); i++) {
		rng[i].s = seed * 1000 + i;
		assert_int_equal(pthread_create(&thread[i], NULL, other[i],
						&rng[i]), 0);
	}
	for (i = 0; i < WORKERS; i++) {
		w[i] = (struct worker){ .id = i, .rng = { seed * 77 + i } };
		assert_int_equal(pthread_create(&w[i].thread, NULL, worker,
						&w[i]), 0);
	}
	for (i = 0; i < WORKERS; i++)
		pthread_join(w[i].thread, NULL);
	__atomic_store_n(&over, true, __ATOMIC_RELEASE);
	for (i = 0; i < ARRAY_SIZE(other); i++)
		pthread_join(thread[i], NULL);
	for (i = 0; i < WORKERS; i++)
		check_names(&w[i], seed);
	for (i = 0; i < DIRS; i++)
		owfs_iput(dirs[i]);
	nx_unmount(&nx);
}

static void test_many_threads_agree_with_their_models(void **state)
{
	(void)state;
	nx = (struct nx){ 0 };
	rig_env_init(&nx.re, 61);
	nx.e = rig_mkfs(&nx.re, 32u << 20, 4096, 1);
	assert_non_null(nx.e);
	storm(1);
	nx_done(&nx);
}

/*
 * Of the directories x < y < z, by number, y and z are neighbours and x is in
 * z.  Three threads that take z and then x, x and then y, y and then z would
 * wait for each other.
 */
#define CIRCLE_ROUNDS	20000

static struct owfs_inode *circle[4];		/* x, y, z, the parent of y and z */

static void swap_names(struct owfs_inode *a, const char *aname,
		       struct owfs_inode *b, const char *bname,
		       unsigned int flags)
{
	for (unsigned int i = 0; i < CIRCLE_ROUNDS / 2; i++) {
		if (nx_rename(a, aname, b, bname, flags) ||
		    nx_rename(b, bname, a, aname, flags))
			abort();
	}
}

static void *move_in_z(void *arg)
{
	swap_names(circle[2], "x", circle[2], "w", 0);
	return arg;
}

static void *move_x_to_y(void *arg)
{
	swap_names(circle[0], "file", circle[1], "file", 0);
	return arg;
}

static void *exchange_y_and_z(void *arg)
{
	swap_names(circle[3], "y", circle[3], "z", RENAME_EXCHANGE);
	return arg;
}

static void test_renames_never_wait_in_a_circle(void **state)
{
	static void *(*const mover[])(void *) = {
		move_in_z, move_x_to_y, exchange_y_and_z,
	};
	static const char *const name[] = { "x", "y", "z" };
	pthread_t thread[3];
	unsigned int i;

	(void)state;
	nx = (struct nx){ 0 };
	rig_env_init(&nx.re, 62);
	nx.e = rig_mkfs(&nx.re, 32u << 20, 4096, 1);
	assert_non_null(nx.e);
	storm_mount();
	circle[3] = nx_make(nx.root, "q", S_IFDIR | 0755);
	for (i = 0; i < 3; i++)
		circle[i] = nx_make(circle[3], name[i], S_IFDIR | 0755);
	owfs_iput(nx_make(circle[0], "file", S_IFREG | 0644));
	assert_int_equal(nx_rename(circle[3], "x", circle[2], "x", 0), 0);
	assert_true(circle[0]->i_ino < circle[1]->i_ino &&
		    circle[1]->i_ino < circle[2]->i_ino);
	alarm(60);
	for (i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, mover[i],
						NULL), 0);
	for (i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	alarm(0);
	for (i = 0; i < 4; i++)
		owfs_iput(circle[i]);
	nx_unmount(&nx);
	nx_done(&nx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_many_threads_agree_with_their_models),
		cmocka_unit_test(test_renames_never_wait_in_a_circle),
	};

	return cmocka_run_group_tests_name("namei storm", tests, NULL, NULL);
}
