/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Records by inode number in an open hash table that doubles. */
#include <stdlib.h>

#include "base/checksum.h"
#include "base/err.h"
#include "inotab.h"
#include "trans/fs.h"

#define SIZE_MIN	64
#define RUN		16
#define STEPS_MAX	(1u << 14)	/* by chance nobody has to look so far */

void inotab_free(struct inotab *it)
{
	free(it->table);
	*it = (struct inotab){ 0 };
}

/*
 * Sixteen that were made together lie together.  Without a seed, so that what is
 * said comes in the same order each time, as long as nobody has chosen numbers
 * that want the same place.
 */
static size_t first_place(const struct inotab *it, owfs_ino_t ino)
{
	uint64_t run = ino / RUN;

	run = it->seed ? owfs_checksum(it->seed, &run, sizeof(run))
		       : run * 0x9e3779b97f4a7c15ull >> 24;
	return run * RUN + ino % RUN;
}

/* Where @ino is or would be, after so many @steps. */
static struct ino_rec *place(const struct inotab *it, owfs_ino_t ino,
			     unsigned int *steps)
{
	size_t i = first_place(it, ino) & (it->size - 1);

	for (*steps = 0; it->table[i].ino && it->table[i].ino != ino; ++*steps)
		i = (i + 1) & (it->size - 1);
	return &it->table[i];
}

static int move(struct inotab *it, size_t size)
{
	struct inotab old = *it;
	struct ino_rec *rec;
	unsigned int steps;

	it->size = size;
	it->table = calloc(it->size, sizeof(*it->table));
	if (!it->table) {
		*it = old;
		return -ENOMEM;
	}
	inotab_for_each(&old, rec)
		*place(it, rec->ino, &steps) = *rec;
	free(old.table);
	return 0;
}

static int grow(struct inotab *it)
{
	return move(it, it->size ? 2 * it->size : SIZE_MIN);
}

/* Somebody knows the hash. */
static int seed(struct inotab *it)
{
	int ret;

	it->seed = owfs_env_system.random(NULL) | 1;
	ret = move(it, it->size);
	if (ret)
		it->seed = 0;
	return ret;
}

struct ino_rec *inotab_get(struct inotab *it, owfs_ino_t ino)
{
	struct ino_rec *rec;
	unsigned int steps;

	if (4 * it->n >= 3 * it->size && grow(it))
		return NULL;
	rec = place(it, ino, &steps);
	if (steps > STEPS_MAX && !it->seed) {
		if (seed(it))
			return NULL;
		rec = place(it, ino, &steps);
	}
	if (!rec->ino) {
		rec->ino = ino;
		it->n++;
	}
	return rec;
}

struct ino_rec *inotab_find(const struct inotab *it, owfs_ino_t ino)
{
	struct ino_rec *rec;
	unsigned int steps;

	if (!it->size || !ino)
		return NULL;
	rec = place(it, ino, &steps);
	return rec->ino ? rec : NULL;
}
