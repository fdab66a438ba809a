/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Doomed ranges: the items, the sorted array in memory, and reclaim.
 *
 * Adding and cutting both replace the intents that meet a range by at most
 * two, so one function does both, to the items and to the array alike.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/util.h"
#include "object/extent.h"
#include "object/intent.h"
#include "object/orphan.h"

struct owfs_intent {
	owfs_fileoff_t first, end;
};

struct owfs_intents {
	size_t n, cap;
	struct owfs_intent v[];
};

static struct owfs_key intent_key(const struct owfs_inode *inode,
				  owfs_fileoff_t first)
{
	return owfs_key(inode->i_ino, OWFS_ITEM_INTENT, first);
}

/* ------------------------------------------------------------------ memory */

void owfs_intents_free(struct owfs_inode *inode)
{
	free(inode->i_intents);
	inode->i_intents = NULL;
}

static int intents_grow(struct owfs_intents **tabp, size_t more)
{
	struct owfs_intents *tab = *tabp;
	size_t n = tab ? tab->n : 0, cap = tab ? tab->cap : 0;

	if (n + more <= cap)
		return 0;
	cap = max_u64(2 * cap, n + more + 6);
	tab = realloc(tab, sizeof(*tab) + cap * sizeof(tab->v[0]));
	if (!tab)
		return -ENOMEM;
	tab->n = n;
	tab->cap = cap;
	*tabp = tab;
	return 0;
}

/* Index of the first intent that ends after @off. */
static size_t intents_search(const struct owfs_intents *tab, owfs_fileoff_t off)
{
	size_t lo = 0, hi = tab ? tab->n : 0;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (tab->v[mid].end > off)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

bool owfs_intent_covers(const struct owfs_inode *inode, owfs_fileoff_t off,
			owfs_fileoff_t *until)
{
	const struct owfs_intents *tab = inode->i_intents;
	size_t i = intents_search(tab, off);
	bool inside = tab && i < tab->n && tab->v[i].first <= off;

	if (until) {
		if (!tab || i == tab->n)
			*until = UINT64_MAX;
		else
			*until = inside ? tab->v[i].end : tab->v[i].first;
	}
	return inside;
}

/* In the worst case an item costs four nodes; half the share of a generation. */
unsigned int owfs_intents_limit(const struct owfs_fs *fs)
{
	uint64_t n = fs->fs_super.reserve_blocks / 4 / 8 /
		     fs->fs_super.meta_copies;

	return (unsigned int)min_u64(max_u64(n, 4), OWFS_INTENTS_MANY);
}

bool owfs_intents_are_many(const struct owfs_inode *inode)
{
	return inode->i_intents &&
	       inode->i_intents->n >= owfs_intents_limit(inode->i_fs);
}

/* ----------------------------------------------------------------- loading */

struct intents_load {
	struct owfs_intents *tab;
	owfs_fileoff_t bad_off;
};

static int load_item(void *ctx, const struct owfs_key *key, const void *val,
		     size_t len)
{
	struct intents_load *l = ctx;
	const struct owfs_intent_item *d = val;
	struct owfs_intents *tab;
	owfs_fileoff_t end;
	int ret;

	l->bad_off = key->off;
	if (len != sizeof(*d))
		return -EFSCORRUPTED;
	end = le64_to_cpu(d->end);
	tab = l->tab;
	if (end <= key->off || (tab && tab->v[tab->n - 1].end > key->off))
		return -EFSCORRUPTED;
	ret = intents_grow(&l->tab, 1);
	if (ret)
		return ret;
	tab = l->tab;
	tab->v[tab->n++] = (struct owfs_intent){ key->off, end };
	return 0;
}

int owfs_intents_load(struct owfs_inode *inode)
{
	struct owfs_fs *fs = inode->i_fs;
	struct owfs_key first = intent_key(inode, 0);
	struct owfs_key last = intent_key(inode, UINT64_MAX);
	struct intents_load l = { 0 };
	int ret = owfs_btree_walk(fs->fs_bt, &first, &last, load_item, &l);

	if (ret) {
		free(l.tab);
		return ret == -EFSCORRUPTED ?
			owfs_fs_fail(fs, ret, "inode %llu: bad intent: off=%llu",
				     (unsigned long long)inode->i_ino,
				     (unsigned long long)l.bad_off) : ret;
	}
	if (!l.tab)
		return owfs_fs_fail(fs, -EFSCORRUPTED,
				    "inode %llu: says it has intents, has none",
				    (unsigned long long)inode->i_ino);
	inode->i_intents = l.tab;
	return 0;
}

/* ---------------------------------------------------------------- changing */

/* The intents that meet or touch [first, end): indices [*i, *j). */
static void intents_meet(const struct owfs_intents *tab, owfs_fileoff_t first,
			 owfs_fileoff_t end, size_t *i, size_t *j)
{
	*i = intents_search(tab, first ? first - 1 : 0);
	*j = *i;
	while (tab && *j < tab->n && tab->v[*j].first <= end)
		(*j)++;
}

int owfs_intent_prepare(struct owfs_inode *inode, owfs_fileoff_t first,
			owfs_fileoff_t end, unsigned int n, unsigned int *items)
{
	struct owfs_btree *bt = inode->i_fs->fs_bt;
	struct owfs_key orphan = owfs_orphan_key(inode->i_ino);
	struct owfs_key key;
	size_t i, j;
	int ret = intents_grow(&inode->i_intents, n + 1);

	if (ret)
		return ret;
	intents_meet(inode->i_intents, first, end, &i, &j);
	*items = (unsigned int)(j - i) + 2 * n;
	ret = owfs_btree_prefetch(bt, &orphan);
	for (; i < j && !ret; i++) {
		key = intent_key(inode, inode->i_intents->v[i].first);
		ret = owfs_btree_prefetch(bt, &key);
	}
	key = intent_key(inode, first);
	return ret ? ret : owfs_btree_prefetch(bt, &key);
}

static int intent_write(struct owfs_trans *tr, struct owfs_inode *inode,
			const struct owfs_intent *in, bool update)
{
	struct owfs_key key = intent_key(inode, in->first);
	struct owfs_intent_item d = { .end = cpu_to_le64(in->end) };

	if (update)
		return owfs_btree_update(tr->fs->fs_bt, &key, &d, sizeof(d));
	return owfs_btree_insert(tr->fs->fs_bt, &key, &d, sizeof(d));
}

/* Items [i, j) of the table become the @n at @in; in the tree, then here. */
static int intents_replace(struct owfs_trans *tr, struct owfs_inode *inode,
			   size_t i, size_t j, const struct owfs_intent *in,
			   size_t n)
{
	struct owfs_intents *tab = inode->i_intents;
	struct owfs_key key;
	/* the first one often keeps its key */
	bool same = n && i < j && tab->v[i].first == in[0].first;
	int ret = 0;

	for (size_t k = i + same; k < j && !ret; k++) {
		key = intent_key(inode, tab->v[k].first);
		ret = owfs_btree_delete(tr->fs->fs_bt, &key);
	}
	for (size_t k = 0; k < n && !ret; k++)
		ret = intent_write(tr, inode, &in[k], k == 0 && same);
	if (ret)
		return ret;
	memmove(&tab->v[i + n], &tab->v[j], (tab->n - j) * sizeof(tab->v[0]));
	memcpy(&tab->v[i], in, n * sizeof(*in));
	tab->n = tab->n + n - (j - i);
	return 0;
}

/* The flag and the orphan item follow from whether there are intents. */
static int intents_flag(struct owfs_trans *tr, struct owfs_inode *inode)
{
	struct owfs_attr *attr = &inode->i_attr;
	uint32_t was = owfs_orphan_flags(attr);

	if (inode->i_intents->n) {
		attr->flags |= OWFS_INODE_INTENTS;
	} else {
		attr->flags &= ~OWFS_INODE_INTENTS;
		owfs_intents_free(inode);
	}
	if (owfs_orphan_flags(attr) == was)
		return 0;
	return owfs_orphan_follow(tr, inode, was);
}

int owfs_intent_add(struct owfs_trans *tr, struct owfs_inode *inode,
		    owfs_fileoff_t first, owfs_fileoff_t end)
{
	struct owfs_intents *tab = inode->i_intents;
	struct owfs_intent in = { first, end };
	size_t i, j;
	int ret;

	intents_meet(tab, first, end, &i, &j);
	if (i < j) {
		in.first = min_u64(first, tab->v[i].first);
		in.end = max_u64(end, tab->v[j - 1].end);
	}
	ret = intents_replace(tr, inode, i, j, &in, 1);
	return ret ? ret : intents_flag(tr, inode);
}

int owfs_intent_cut(struct owfs_trans *tr, struct owfs_inode *inode,
		    owfs_fileoff_t first, owfs_fileoff_t end)
{
	struct owfs_intents *tab = inode->i_intents;
	struct owfs_intent in[2];
	size_t n = 0, i = intents_search(tab, first), j = i;
	int ret;

	while (tab && j < tab->n && tab->v[j].first < end)
		j++;
	if (i == j)
		return 0;
	if (tab->v[i].first < first)
		in[n++] = (struct owfs_intent){ tab->v[i].first, first };
	if (tab->v[j - 1].end > end)
		in[n++] = (struct owfs_intent){ end, tab->v[j - 1].end };
	ret = intents_replace(tr, inode, i, j, in, n);
	return ret ? ret : intents_flag(tr, inode);
}

/* ----------------------------------------------------------------- reclaim */

static int reclaim_apply(struct owfs_extent_edit *ed, const struct owfs_intent *in,
			 owfs_fileoff_t done)
{
	struct owfs_inode *inode = ed->inode;
	struct owfs_trans tr;
	unsigned int items;
	int ret;

	ret = owfs_extent_edit_prepare(ed);
	if (!ret)
		ret = owfs_intent_prepare(inode, in->first, done, 1, &items);
	if (!ret)
		ret = owfs_extent_begin(inode->i_fs, &tr,
					owfs_extent_edit_cost(ed), items,
					OWFS_RESV_FREEING);
	if (ret)
		return ret;
	ret = owfs_extent_edit_apply(ed, &tr);
	if (!ret)
		ret = owfs_intent_cut(&tr, inode, in->first, done);
	if (!ret)
		ret = owfs_inode_store(&tr, inode, false);
	if (ret)
		owfs_trans_abort(&tr, ret, "reclaim of a doomed range");
	return owfs_trans_end(&tr);
}

/* Take some of @in away; caller holds i_lock for writing. */
static int reclaim_some(struct owfs_inode *inode, const struct owfs_intent *in)
{
	struct owfs_extent_edit ed;
	owfs_fileoff_t done = in->end;
	int ret;

	owfs_extent_edit_init(&ed, inode);
	ret = owfs_extent_edit_load(&ed, in->first, in->end,
				    owfs_extent_step(inode->i_fs));
	if (ret == 1)
		done = min_u64(ed.end, in->end);
	if (ret >= 0)
		ret = owfs_extent_edit_punch(&ed, in->first, done);
	if (!ret)
		ret = reclaim_apply(&ed, in, done);
	owfs_extent_edit_done(&ed);
	return ret;
}

int owfs_intent_reclaim_locked(struct owfs_inode *inode)
{
	struct owfs_intent in;
	int ret;

	if (!inode->i_intents || inode->i_intents->n == 0)
		return 0;
	in = inode->i_intents->v[0];
	ret = reclaim_some(inode, &in);
	return ret ? ret : owfs_inode_has_intents(inode);
}

int owfs_intent_reclaim_step(struct owfs_inode *inode)
{
	int ret;

	pthread_rwlock_wrlock(&inode->i_lock);
	ret = owfs_intent_reclaim_locked(inode);
	pthread_rwlock_unlock(&inode->i_lock);
	return ret;
}

static struct owfs_intent intents_smallest(const struct owfs_intents *tab)
{
	struct owfs_intent best = tab->v[0];

	for (size_t i = 1; i < tab->n; i++)
		if (tab->v[i].end - tab->v[i].first < best.end - best.first)
			best = tab->v[i];
	return best;
}

int owfs_intent_make_room(struct owfs_inode *inode)
{
	struct owfs_intent in;
	bool many = true;
	int ret = 0;

	while (many && !ret) {
		pthread_rwlock_wrlock(&inode->i_lock);
		many = owfs_intents_are_many(inode);
		if (many) {
			in = intents_smallest(inode->i_intents);
			ret = reclaim_some(inode, &in);
		}
		pthread_rwlock_unlock(&inode->i_lock);
	}
	return ret;
}
