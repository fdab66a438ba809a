/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the storms share; see stress.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "stress.h"

#include "file/namei.h"
#include "object/orphan.h"
#include "rig.h"
#include "yield.h"

static struct {
	const char *name;
	uint64_t seed;
	bool tolerant;		/* atomic */
	uint64_t checked;	/* atomic */
} self;

/* -------------------------------------------------------------- reporting */

void stress_die(const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	flockfile(stderr);
	fprintf(stderr, "FAIL: %s seed=%llu: ", self.name,
		(unsigned long long)self.seed);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	if (getenv("STRESS_ABORT"))	/* for a look with a debugger */
		abort();
	_exit(1);
}

void stress_tolerate(bool errors)
{
	__atomic_store_n(&self.tolerant, errors, __ATOMIC_RELAXED);
}

bool stress_tolerates(long ret)
{
	return (ret == -EIO || ret == -EROFS) &&
	       __atomic_load_n(&self.tolerant, __ATOMIC_RELAXED);
}

void stress_ok(int ret, const char *what)
{
	if (ret && stress_tolerates(ret))
		pthread_exit(NULL);
	if (ret)
		stress_die("%s: %s", what, strerror(-ret));
}

/* A filesystem that finds something wrong here has found a bug. */
static void said(void *ctx, enum owfs_msg_level level, const char *line)
{
	(void)ctx;
	if (level == OWFS_MSG_ERROR &&
	    !__atomic_load_n(&self.tolerant, __ATOMIC_RELAXED))
		stress_die("owfs says: %s", line);
	if (level <= OWFS_MSG_WARN &&
	    !__atomic_load_n(&self.tolerant, __ATOMIC_RELAXED))
		fprintf(stderr, "%s: %s\n", self.name, line);
}

static const struct owfs_msg sink = { said, NULL, OWFS_MSG_WARN };

bool stress_is_one_of(int ret, const int *errs)
{
	for (; *errs; errs++)
		if (ret == -*errs)
			return true;
	return ret == 0;
}

void stress_checked(unsigned int n)
{
	__atomic_fetch_add(&self.checked, n, __ATOMIC_RELAXED);
}

/* -------------------------------------------------------- beginning and end */

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

void stress_begin(struct stress *s, int argc, char **argv, const char *name,
		  double seconds, uint64_t bytes)
{
	struct rig_env env;
	unsigned int copies;

	memset(s, 0, sizeof(*s));
	s->name = name;
	s->seconds = argc > 1 ? strtod(argv[1], NULL) : seconds;
	s->seed = argc > 2 ? strtoull(argv[2], NULL, 0)
			   : (uint64_t)time(NULL) << 16 ^ (uint64_t)getpid();
	s->began = now();
	self.name = name;
	self.seed = s->seed;
	rig_env_init(&env, s->seed);
	s->discard = rng_below(&env.rng, 4) != 0;
	copies = 1 + (unsigned int)rng_below(&env.rng, 2);
	printf("%s: seconds=%.0f seed=%llu copies=%u discard=%u\n", name,
	       s->seconds, (unsigned long long)s->seed, copies, s->discard);
	fflush(stdout);
	yield_begin(s->seed);
	s->e = rig_mkfs(&env, bytes, BLOCK, copies);
	MUST(s->e);
}

bool stress_has_time(const struct stress *s)
{
	return now() < s->began + s->seconds;
}

void stress_end(struct stress *s)
{
	emubd_destroy(s->e);
	s->e = NULL;
	printf("%s: %.1f seconds\n", s->name, now() - s->began);
	printf("ok: seeds=1 yields=%llu races=%llu\n",
	       (unsigned long long)yield_count(),
	       (unsigned long long)self.checked);
}

void stress_mount(struct stress *s)
{
	struct owfs_fs_param p = {
		.bd = emubd_blkdev(s->e),
		.msg = &sink,
		.threaded = true,
		.discard = s->discard,
		.cache = 1 << 20,
		.commit_secs = 1,
		.cut_extents = 8,
	};

	if (s->discard)
		emubd_discard_noise(s->e);
	stress_ok(owfs_mount(&s->fs, &p), "mount");
}

void stress_unmount(struct stress *s)
{
	stress_ok(owfs_unmount(s->fs), "unmount");
	s->fs = NULL;
}

/* ----------------------------------------------------------------- judging */

static void check_commit(struct emubd *e, unsigned int commit, const char *when)
{
	struct owfs_check_param p = { .commits = commit };
	struct owfs_check_report rep;
	int ret = owfs_check(emubd_blkdev(e), &p, &rep);

	if (ret || rep.problems)
		stress_die("%s: the check of the %s commit: error=%d problems=%u: %s",
			   when, commit == OWFS_CHECK_CURRENT ? "last" : "older",
			   -ret, rep.problems, rep.first);
}

void stress_check(struct emubd *e, const char *when)
{
	check_commit(e, OWFS_CHECK_CURRENT, when);
	check_commit(e, OWFS_CHECK_PREVIOUS, when);
}

void stress_check_accounts(struct owfs_fs *fs)
{
	const struct owfs_geo *geo = &fs->fs_geo;
	uint64_t all = geo->nblocks - owfs_geo_fixed_total(geo);
	struct owfs_alloc_stat st;

	stress_ok(owfs_alloc_check(fs->fs_al), "accounts of the space map");
	owfs_alloc_stat(fs->fs_al, &st);
	if (st.staged || st.reserved ||
	    st.free + st.used + st.pinned != all)
		stress_die("accounts: free=%llu used=%llu pinned=%llu staged=%llu reserved=%llu of %llu",
			   (unsigned long long)st.free,
			   (unsigned long long)st.used,
			   (unsigned long long)st.pinned,
			   (unsigned long long)st.staged,
			   (unsigned long long)st.reserved,
			   (unsigned long long)all);
}

void stress_settle(struct owfs_fs *fs)
{
	struct owfs_alloc_stat st;
	unsigned int i;
	int ret;

	owfs_reclaim_stop(fs);
	owfs_fs_stop(fs);
	do {
		ret = owfs_reclaim_step(fs);
		if (ret == -EAGAIN)
			ret = owfs_syncfs(fs) ? -EIO : 1;
	} while (ret > 0);
	stress_ok(ret, "reclaim");
	stress_ok(owfs_syncfs(fs), "syncfs");
	/* what was freed rests for two commits */
	for (i = 0; i < 4; i++) {
		owfs_alloc_stat(fs->fs_al, &st);
		if (!st.pinned)
			return;
		stress_ok(owfs_commit_wait(fs, owfs_open_gen(fs)), "commit");
	}
	stress_die("%llu blocks do not come back",
		   (unsigned long long)st.pinned);
}

/* ------------------------------------------------------------------- tools */

void stress_run(void *(*fn)(void *), void *arg, size_t size, unsigned int n)
{
	pthread_t thread[64];
	unsigned int i;

	MUST(n <= 64);
	for (i = 0; i < n; i++)
		MUST(!pthread_create(&thread[i], NULL, fn,
				     (char *)arg + i * size));
	for (i = 0; i < n; i++)
		MUST(!pthread_join(thread[i], NULL));
}

struct owfs_inode *stress_root(struct owfs_fs *fs)
{
	struct owfs_inode *root;

	stress_ok(owfs_iget(fs, OWFS_INO_ROOT, &root), "root");
	return root;
}

static struct owfs_inode *find_or_make(struct owfs_inode *dir, const char *name,
				       uint32_t mode)
{
	struct owfs_newnode nn = { .mode = mode };
	struct owfs_inode *inode;
	int ret = owfs_lookup(dir, name, strlen(name), &inode);

	if (ret == -ENOENT)
		ret = owfs_create(dir, name, strlen(name), &nn, &inode);
	stress_ok(ret, name);
	return inode;
}

struct owfs_inode *stress_dir(struct owfs_fs *fs, const char *name)
{
	struct owfs_inode *root = stress_root(fs);
	struct owfs_inode *dir = find_or_make(root, name, S_IFDIR | 0755);

	owfs_iput(root);
	return dir;
}

struct owfs_inode *stress_file(struct owfs_inode *dir, const char *name)
{
	return find_or_make(dir, name, S_IFREG | 0644);
}
