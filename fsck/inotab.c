/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Records by inode number in an open hash table that doubles. */
#include <errno.h>
#include <stdlib.h>

#include "inotab.h"

#define SIZE_MIN	64
#define RUN		16

void inotab_free(struct inotab *it)
{
	free(it->table);
	*it = (struct inotab){ 0 };
}

/* Where @ino is or would be: sixteen that were made together lie together. */
static struct ino_rec *place(const struct inotab *it, owfs_ino_t ino)
{
	uint64_t run = (ino / RUN) * 0x9e3779b97f4a7c15ull >> 24;
	size_t i = (run * RUN + ino % RUN) & (it->size - 1);

	while (it->table[i].ino && it->table[i].ino != ino)
		i = (i + 1) & (it->size - 1);
	return &it->table[i];
}

static int grow(struct inotab *it)
{
	struct inotab old = *it;
	struct ino_rec *rec;

	it->size = old.size ? 2 * old.size : SIZE_MIN;
	it->table = calloc(it->size, sizeof(*it->table));
	if (!it->table) {
		*it = old;
		return -ENOMEM;
	}
	inotab_for_each(&old, rec)
		*place(it, rec->ino) = *rec;
	free(old.table);
	return 0;
}

struct ino_rec *inotab_get(struct inotab *it, owfs_ino_t ino)
{
	struct ino_rec *rec;

	if (4 * it->n >= 3 * it->size && grow(it))
		return NULL;
	rec = place(it, ino);
	if (!rec->ino) {
		rec->ino = ino;
		it->n++;
	}
	return rec;
}

struct ino_rec *inotab_find(const struct inotab *it, owfs_ino_t ino)
{
	struct ino_rec *rec;

	if (!it->size || !ino)
		return NULL;
	rec = place(it, ino);
	return rec->ino ? rec : NULL;
}
