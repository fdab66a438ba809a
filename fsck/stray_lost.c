/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Leaves that ought to be there, below branches that were found, and cannot be
 * read: what has been in the place of one before it was born is not believed.
 *
 * Branches that nothing proves may lead to the same keys many times over, and the
 * last child of each may have all keys that follow.  So a stray is not compared with
 * each of them.  Strays come in the order of their first keys: the lost that begin
 * behind one have not been added by then.  Those that were are kept by their last
 * keys, in a tree of Fenwick that counts from the end, and of each of its parts the
 * newest is known.
 */
#include <stdlib.h>

#include "base/err.h"
#include "stray.h"

/* The two newest of different checksums: a pointer to a stray says nothing of it. */
struct lost_newest {
	struct owfs_ptr ptr[2];
};

static int cmp_first(const void *a, const void *b)
{
	const struct fix *const *x = a, *const *y = b;

	return owfs_key_cmp(&(*x)->key, &(*y)->key);
}

static int cmp_last(const void *a, const void *b)
{
	return owfs_key_cmp(a, b);
}

int lost_leaves_find(struct lost_leaves *ll, const struct fix *lost,
		     size_t from, size_t to)
{
	const size_t n = to - from;
	size_t i;

	*ll = (struct lost_leaves){
		.v = calloc(n + 1, sizeof(*ll->v)),
		.last = calloc(n + 1, sizeof(*ll->last)),
		.newest = calloc(n + 1, sizeof(*ll->newest)),
	};
	if (!ll->v || !ll->last || !ll->newest)
		return -ENOMEM;
	for (i = from; i < to; i++)
		if (!lost[i].value) {
			ll->last[ll->n] = lost[i].last;
			ll->v[ll->n++] = &lost[i];
		}
	if (ll->n) {
		qsort(ll->v, ll->n, sizeof(*ll->v), cmp_first);
		qsort(ll->last, ll->n, sizeof(*ll->last), cmp_last);
	}
	return 0;
}

void lost_leaves_free(struct lost_leaves *ll)
{
	free(ll->v);
	free(ll->last);
	free(ll->newest);
	*ll = (struct lost_leaves){ .n = 0 };
}

/* How many do not end before @key. */
static size_t count_from(const struct lost_leaves *ll, const struct owfs_key *key)
{
	size_t lo = 0, hi = ll->n, mid;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (owfs_key_cmp(&ll->last[mid], key) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return ll->n - lo;
}

static void note_ptr(struct owfs_ptr newest[2], const struct owfs_ptr *ptr)
{
	if (newest[0].csum == ptr->csum) {
		if (newest[0].birth < ptr->birth)
			newest[0] = *ptr;
	} else if (newest[0].birth < ptr->birth) {
		newest[1] = newest[0];
		newest[0] = *ptr;
	} else if (newest[1].birth < ptr->birth) {
		newest[1] = *ptr;
	}
}

static void add_lost(struct lost_leaves *ll, const struct fix *lost)
{
	size_t i;

	for (i = count_from(ll, &lost->last); i <= ll->n; i += i & -i)
		note_ptr(ll->newest[i].ptr, &lost->ptr);
}

static bool is_newer(const struct owfs_ptr *ptr, const struct stray *s)
{
	return ptr->birth > s->ptr.birth && ptr->csum != s->ptr.csum;
}

bool lost_leaves_newer(struct lost_leaves *ll, const struct stray *s)
{
	const struct owfs_ptr *newest;
	size_t i;

	while (ll->added < ll->n &&
	       owfs_key_cmp(&ll->v[ll->added]->key, &s->first) <= 0)
		add_lost(ll, ll->v[ll->added++]);
	for (i = count_from(ll, &s->last); i; i -= i & -i) {
		newest = ll->newest[i].ptr;
		if (is_newer(&newest[0], s) || is_newer(&newest[1], s))
			return true;
	}
	return false;
}
