/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Overwriters on a device that is full to the last block.
 *
 *	storm_over [SECONDS [SEED]]
 *
 * Each worker overwrites blocks of a file of its own.  All of them together
 * need more than there is to borrow, so they wait for each other; but since
 * everyone gives back what he takes, nobody may ever be refused.  Meanwhile
 * another one does ask for more, and must be: he gets nothing.  Now and then he
 * has all that is free discarded, which the device turns into garbage.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "stress.h"

#include "file/attr.h"
#include "file/file.h"
#include "file/namei.h"

#define THREADS		5	/* the last one asks for more */
#define ROUND_OPS	400
#define BLOCKS		400u	/* of a file */
#define MOST		8u	/* blocks of a write */

struct worker {
	struct owfs_fs *fs;
	unsigned int id;
	struct rng rng;
	unsigned char what[BLOCKS];	/* each block is full of it */
	char buf[MOST * BLOCK];
};

static struct owfs_inode *new_file(struct owfs_fs *fs, unsigned int id)
{
	struct owfs_newnode nn = { .mode = S_IFREG | 0600 };
	struct owfs_inode *root, *inode;
	char name[16];
	size_t len = (size_t)sprintf(name, "f%u", id);

	stress_ok(owfs_iget(fs, OWFS_INO_ROOT, &root), "root");
	stress_ok(owfs_create(root, name, len, &nn, &inode), "create");
	owfs_iput(root);
	return inode;
}

static struct owfs_inode *file_of(struct worker *w)
{
	struct owfs_inode *root, *inode;
	char name[16];
	size_t len = (size_t)sprintf(name, "f%u", w->id);

	stress_ok(owfs_iget(w->fs, OWFS_INO_ROOT, &root), "root");
	stress_ok(owfs_lookup(root, name, len, &inode), "lookup");
	owfs_iput(root);
	return inode;
}

static void check(struct worker *w, struct owfs_inode *inode, unsigned int blk)
{
	unsigned int i;

	stress_checked(1);
	MUST(owfs_file_read(inode, w->buf, BLOCK, (loff_t)blk * BLOCK) ==
	     BLOCK);
	for (i = 0; i < BLOCK; i++)
		if ((unsigned char)w->buf[i] != w->what[blk])
			stress_die("worker %u: block %u is not what it was",
				   w->id, blk);
}

static void overwrite(struct worker *w, struct owfs_inode *inode)
{
	unsigned int n = 1 + (unsigned int)rng_below(&w->rng, MOST);
	unsigned int blk = (unsigned int)rng_below(&w->rng, BLOCKS - n);
	int what = (int)rng_below(&w->rng, 256);
	ssize_t ret;

	memset(w->buf, what, n * BLOCK);
	ret = owfs_file_write(inode, w->buf, n * BLOCK, (loff_t)blk * BLOCK,
			      false, false);
	if (ret != (ssize_t)(n * BLOCK))
		stress_die("worker %u: overwriting %u blocks: answered %zd",
			   w->id, n, ret);
	memset(w->what + blk, what, n);
	check(w, inode, blk + (unsigned int)rng_below(&w->rng, n));
}

/* Behind its end. */
static void ask_for_more(struct worker *w, struct owfs_inode *inode)
{
	uint64_t trimmed;

	MUST(owfs_file_write(inode, w->buf, BLOCK, 1 << 30, false, false) ==
	     -ENOSPC);
	if (rng_below(&w->rng, 8) == 0)
		stress_ok(owfs_trim(w->fs, 0, UINT64_MAX, 0, NULL, NULL,
				    &trimmed), "trim");
}

static void *run(void *arg)
{
	struct worker *w = arg;
	struct owfs_inode *inode = file_of(w);
	unsigned int i;

	for (i = 0; i < ROUND_OPS; i++) {
		if (w->id < THREADS - 1)
			overwrite(w, inode);
		else
			ask_for_more(w, inode);
	}
	owfs_iput(inode);
	return NULL;
}

static void fill(struct owfs_fs *fs, struct worker *w)
{
	struct owfs_inode *inode;
	unsigned int i, blk;
	loff_t pos = 0;
	ssize_t ret;

	for (i = 0; i < THREADS; i++) {
		inode = new_file(fs, i);
		memset(w[i].buf, 0, sizeof(w[i].buf));
		for (blk = 0; blk < BLOCKS; blk += MOST)
			MUST(owfs_file_write(inode, w[i].buf, MOST * BLOCK,
					     (loff_t)blk * BLOCK, false,
					     false) == MOST * BLOCK);
		owfs_iput(inode);
	}
	inode = new_file(fs, THREADS);
	while ((ret = owfs_file_write_as(inode, w[0].buf, sizeof(w[0].buf),
					 pos, OWFS_WRITE_SOME)) > 0)
		pos += ret;
	MUST(ret == -ENOSPC);
	owfs_iput(inode);
}

int main(int argc, char **argv)
{
	struct worker *w = calloc(THREADS, sizeof(*w));
	unsigned int i, rounds = 0;
	struct stress s;

	stress_begin(&s, argc, argv, "storm_over", 4, 16 << 20);
	stress_mount(&s);
	fill(s.fs, w);
	stress_unmount(&s);
	do {
		stress_mount(&s);
		for (i = 0; i < THREADS; i++) {
			w[i].id = i;
			w[i].fs = s.fs;
			w[i].rng.s = s.seed + rounds * THREADS + i;
		}
		stress_run(run, w, sizeof(w[0]), THREADS);
		stress_check_accounts(s.fs);
		stress_unmount(&s);
		stress_check(s.e, "end of a round");
		rounds++;
	} while (stress_has_time(&s));
	printf("storm_over: rounds=%u\n", rounds);
	stress_end(&s);
	free(w);
	return 0;
}
