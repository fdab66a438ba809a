/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The storm on a device that is nearly always full.
 *
 *	storm_full [SECONDS [SEED]]
 *
 * Workers make, write, rename and remove until there is no room, and then go
 * on.  Anything that wants space may answer ENOSPC, and must then have changed
 * nothing; unlink, truncate and punch never may (P7).  In the end everything
 * can be removed, and the space is back to the last block.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>

#include "stress.h"

#include "file/attr.h"
#include "file/file.h"
#include "file/namei.h"

#define THREADS		4
#define ROUND_OPS	1000	/* of a worker */
#define SLOTS		60	/* names of a worker */
#define BIG		(64 * BLOCK)

struct slot {
	bool used;
	uint64_t size;
	uint64_t what;		/* all bytes say this */
};

struct worker {
	struct owfs_fs *fs;
	unsigned int id;
	struct rng rng;
	struct slot slot[SLOTS];
	uint64_t enospc;
	uint64_t buf[BIG / 8];
};

static uint64_t below(struct worker *w, uint64_t n)
{
	return rng_below(&w->rng, n);
}

/* Is it done?  If not, there was no room. */
static bool done(struct worker *w, long ret, long want, const char *what)
{
	if (ret == want)
		return true;
	if (ret != -ENOSPC)
		stress_die("worker %u: %s: answered %ld", w->id, what, ret);
	w->enospc++;
	return false;
}

/* ------------------------------------------------------------------- names */

static size_t slot_name(const struct worker *w, unsigned int i, char *name)
{
	/* long ones, so that names take space, too */
	return (size_t)sprintf(name, "%u.%0*u", w->id, i % 2 ? 200 : 3, i);
}

static struct owfs_inode *open_dir(struct worker *w)
{
	return stress_dir(w->fs, w->id % 2 ? "odd" : "even");
}

static struct owfs_inode *open_slot(struct worker *w, unsigned int i)
{
	struct owfs_inode *dir = open_dir(w), *inode;
	char name[256];
	size_t len = slot_name(w, i, name);

	stress_ok(owfs_lookup(dir, name, len, &inode), "lookup");
	owfs_iput(dir);
	return inode;
}

static void op_create(struct worker *w, unsigned int i)
{
	struct owfs_newnode nn = { .mode = S_IFREG | 0600 };
	struct owfs_inode *dir = open_dir(w), *inode;
	char name[256];
	size_t len = slot_name(w, i, name);

	if (done(w, owfs_create(dir, name, len, &nn, &inode), 0, "create")) {
		w->slot[i] = (struct slot){ .used = true };
		owfs_iput(inode);
	} else {
		MUST(owfs_lookup(dir, name, len, &inode) == -ENOENT);
	}
	owfs_iput(dir);
}

static void op_unlink(struct worker *w, unsigned int i)
{
	struct owfs_inode *dir = open_dir(w);
	char name[256];
	size_t len = slot_name(w, i, name);

	stress_ok(owfs_unlink(dir, name, len), "unlink on a full device");
	w->slot[i].used = false;
	owfs_iput(dir);
}

static void op_rename(struct worker *w, unsigned int from, unsigned int to)
{
	struct owfs_inode *dir = open_dir(w);
	char oname[256], nname[256];
	size_t olen = slot_name(w, from, oname), nlen = slot_name(w, to, nname);

	if (from != to &&
	    done(w, owfs_rename(dir, oname, olen, dir, nname, nlen, 0, NULL), 0,
		 "rename")) {
		w->slot[to] = w->slot[from];
		w->slot[from].used = false;
	}
	owfs_iput(dir);
}

/* ---------------------------------------------------------------- contents */

/* Replaces everything, so that the slot has one content before and after. */
static void op_write(struct worker *w, struct slot *s, struct owfs_inode *inode)
{
	uint64_t len = 1 + below(w, below(w, 4) ? BIG : BLOCK);
	uint64_t what = rng_next(&w->rng), i;

	if (len < s->size)
		len = s->size;
	for (i = 0; i < BIG / 8; i++)
		w->buf[i] = what;
	if (done(w, owfs_file_write(inode, w->buf, len, 0, false, false),
		 (long)len, "write")) {
		s->size = len;
		s->what = what;
	}
}

static void check(struct worker *w, const struct slot *s,
		  struct owfs_inode *inode)
{
	uint64_t i;

	stress_checked(1);
	MUST(owfs_file_read(inode, w->buf, BIG, 0) == (ssize_t)s->size);
	for (i = 0; i < s->size / 8; i++)
		if (w->buf[i] != s->what)
			stress_die("worker %u: wrong data at %llu of %llu",
				   w->id, (unsigned long long)i * 8,
				   (unsigned long long)s->size);
}

static void op_cut(struct worker *w, struct slot *s, struct owfs_inode *inode)
{
	struct owfs_attr attr = { .size = below(w, s->size + 1) };

	if (below(w, 2)) {
		stress_ok(owfs_setattr(inode, &attr, OWFS_SET_SIZE),
			  "truncate on a full device");
		s->size = attr.size;
		return;
	}
	/* the end of the file, so that the rest stays as it was */
	stress_ok(owfs_file_fallocate(inode, FALLOC_FL_PUNCH_HOLE |
				      FALLOC_FL_KEEP_SIZE, (loff_t)attr.size,
				      BIG), "punch on a full device");
	attr.size -= attr.size % 8;
	stress_ok(owfs_setattr(inode, &attr, OWFS_SET_SIZE),
		  "truncate on a full device");
	s->size = attr.size;
}

static void op_other(struct worker *w, struct owfs_inode *inode)
{
	char value[9000] = "";

	if (below(w, 2))
		done(w, owfs_setxattr(inode, "user.x", 6, value,
				      below(w, sizeof(value)), 0), 0,
		     "setxattr");
	else
		done(w, owfs_file_fallocate(inode, FALLOC_FL_KEEP_SIZE, 0,
					    BIG), 0, "fallocate");
}

static void op_content(struct worker *w, unsigned int i)
{
	struct owfs_inode *inode = open_slot(w, i);

	switch (below(w, 10)) {
	case 0 ... 4:
		op_write(w, &w->slot[i], inode);
		break;
	case 5:
		op_cut(w, &w->slot[i], inode);
		break;
	case 6:
		op_other(w, inode);
		break;
	case 7:
		stress_ok(owfs_file_fsync(inode, false), "fsync");
		break;
	default:
		check(w, &w->slot[i], inode);
	}
	owfs_iput(inode);
}

static void *run(void *arg)
{
	struct worker *w = arg;
	unsigned int n, i;

	for (n = 0; n < ROUND_OPS; n++) {
		i = (unsigned int)below(w, SLOTS);
		if (!w->slot[i].used)
			op_create(w, i);
		else if (below(w, 20) == 0)
			op_unlink(w, i);
		else if (below(w, 10) == 0)
			op_rename(w, i, (unsigned int)below(w, SLOTS));
		else
			op_content(w, i);
	}
	return NULL;
}

static void *remove_all(void *arg)
{
	struct worker *w = arg;
	unsigned int i;

	for (i = 0; i < SLOTS; i++)
		if (w->slot[i].used)
			op_unlink(w, i);
	return NULL;
}

/* -------------------------------------------------------------------- rounds */

static uint64_t free_blocks(struct stress *s)
{
	struct owfs_alloc_stat st;

	stress_settle(s->fs);
	stress_check_accounts(s->fs);
	owfs_alloc_stat(s->fs->fs_al, &st);
	return st.free;
}

static void make_dirs(struct stress *s)
{
	stress_mount(s);
	owfs_iput(stress_dir(s->fs, "odd"));
	owfs_iput(stress_dir(s->fs, "even"));
}

static void one_round(struct stress *s, struct worker *w, uint64_t before)
{
	uint64_t after, enospc = 0;
	unsigned int i;

	stress_mount(s);
	for (i = 0; i < THREADS; i++)
		w[i].fs = s->fs;
	stress_run(run, w, sizeof(w[0]), THREADS);
	stress_run(remove_all, w, sizeof(w[0]), THREADS);
	after = free_blocks(s);
	if (after != before)
		stress_die("%llu blocks free, %llu before",
			   (unsigned long long)after,
			   (unsigned long long)before);
	stress_unmount(s);
	stress_check(s->e, "end of a round");
	for (i = 0; i < THREADS; i++)
		enospc += w[i].enospc;
	MUST(enospc);
}

int main(int argc, char **argv)
{
	struct worker *w = calloc(THREADS, sizeof(*w));
	unsigned int i, rounds = 0;
	uint64_t before;
	struct stress s;

	stress_begin(&s, argc, argv, "storm_full", 5, 16 << 20);
	for (i = 0; i < THREADS; i++) {
		w[i].id = i;
		w[i].rng.s = s.seed + i;
	}
	make_dirs(&s);
	before = free_blocks(&s);
	stress_unmount(&s);
	do {
		one_round(&s, w, before);
		rounds++;
	} while (stress_has_time(&s));
	printf("storm_full: rounds=%u enospc=%llu\n", rounds,
	       (unsigned long long)(w[0].enospc + w[1].enospc + w[2].enospc +
				    w[3].enospc));
	stress_end(&s);
	free(w);
	return 0;
}
