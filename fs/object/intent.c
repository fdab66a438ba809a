/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Doomed ranges: the items, and reclaim.
 *
 * Adding and cutting both replace the intents that meet a range by at most
 * two, so one function does both, to the items and to the window alike.  The
 * window is what was read of the items before a transaction, in which nothing
 * is to be read.  Nothing else is kept of them, nor is more read than is asked
 * for: an image may have any number.
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

/* Those that meet or touch the range that is to be changed. */
struct owfs_intents {
	size_t n, cap;
	bool others;		/* there are more, before or behind */
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

/* In the worst case an item costs four nodes; half the share of a generation. */
unsigned int owfs_intents_limit(const struct owfs_fs *fs)
{
	uint64_t n = fs->fs_super.reserve_blocks / 4 / 8 /
		     fs->fs_super.meta_copies;

	return (unsigned int)min_u64(max_u64(n, 4), OWFS_INTENTS_MANY);
}

/* ----------------------------------------------------------------- looking */

static bool intent_from_disk(struct owfs_intent *in, const struct owfs_key *key,
			     const void *val, size_t len)
{
	const struct owfs_intent_item *d = val;

	if (len != sizeof(*d))
		return false;
	*in = (struct owfs_intent){ key->off, le64_to_cpu(d->end) };
	return in->end > in->first;
}

static int intent_bad(const struct owfs_inode *inode, owfs_fileoff_t off)
{
	return owfs_fs_fail(inode->i_fs, -EFSCORRUPTED,
			    "inode %llu: bad intent: off=%llu",
			    (unsigned long long)inode->i_ino,
			    (unsigned long long)off);
}

static int intent_none(const struct owfs_inode *inode)
{
	return owfs_fs_fail(inode->i_fs, -EFSCORRUPTED,
			    "inode %llu: says it has intents, has none",
			    (unsigned long long)inode->i_ino);
}

/* What a search gave, of @len bytes or an error. */
static int intent_found(const struct owfs_inode *inode, struct owfs_intent *in,
			const struct owfs_key *key,
			const struct owfs_intent_item *d, int len)
{
	if (len < 0)
		return len;
	return intent_from_disk(in, key, d, (size_t)len) ?
		0 : intent_bad(inode, key->off);
}

/* The last one that begins at or before @off. -ENOENT */
static int intent_prev(const struct owfs_inode *inode, owfs_fileoff_t off,
		       struct owfs_intent *in)
{
	struct owfs_key key = intent_key(inode, off);
	struct owfs_key first = intent_key(inode, 0);
	struct owfs_intent_item d;
	int ret = owfs_btree_prev(inode->i_fs->fs_bt, &key, &first, &d,
				  sizeof(d));

	return intent_found(inode, in, &key, &d, ret);
}

/* The first one that begins at or behind @off. -ENOENT */
static int intent_next(const struct owfs_inode *inode, owfs_fileoff_t off,
		       struct owfs_intent *in)
{
	struct owfs_key key = intent_key(inode, off);
	struct owfs_key last = intent_key(inode, UINT64_MAX);
	struct owfs_intent_item d;
	int ret = owfs_btree_next(inode->i_fs->fs_bt, &key, &last, &d,
				  sizeof(d));

	return intent_found(inode, in, &key, &d, ret);
}

int owfs_intent_covers(const struct owfs_inode *inode, owfs_fileoff_t off,
		       owfs_fileoff_t *until)
{
	struct owfs_intent in;
	int ret;

	*until = UINT64_MAX;
	if (!owfs_inode_has_intents(inode))
		return 0;
	ret = intent_prev(inode, off, &in);
	if (!ret && in.end > off) {
		*until = in.end;
		return 1;
	}
	if (!ret || ret == -ENOENT)
		ret = intent_next(inode, off + 1, &in);
	if (!ret)
		*until = in.first;
	return ret == -ENOENT ? 0 : ret;
}

/* The first ones of an inode. */
struct look {
	unsigned int n, max;
	struct owfs_intent last, smallest;
	owfs_fileoff_t off;		/* of the item looked at */
};

/* 1: that was enough. */
static int look_item(void *ctx, const struct owfs_key *key, const void *val,
		     size_t len)
{
	struct look *l = ctx;
	struct owfs_intent in;

	l->off = key->off;
	if (!intent_from_disk(&in, key, val, len) ||
	    (l->n && l->last.end > in.first))
		return -EFSCORRUPTED;
	if (!l->n ||
	    in.end - in.first < l->smallest.end - l->smallest.first)
		l->smallest = in;
	l->last = in;
	return ++l->n == l->max;
}

/* 1: there are @max; 0: fewer. */
static int look_at(const struct owfs_inode *inode, struct look *l,
		   unsigned int max)
{
	struct owfs_key first = intent_key(inode, 0);
	struct owfs_key last = intent_key(inode, UINT64_MAX);
	int ret;

	*l = (struct look){ .max = max };
	if (!owfs_inode_has_intents(inode))
		return 0;
	ret = owfs_btree_walk(inode->i_fs->fs_bt, &first, &last, look_item, l);
	return ret == -EFSCORRUPTED ? intent_bad(inode, l->off) : ret;
}

int owfs_intents_check(const struct owfs_inode *inode)
{
	struct look l;
	int ret = look_at(inode, &l, OWFS_INTENTS_MANY);

	if (!ret && !l.n)
		return intent_none(inode);
	return ret < 0 ? ret : 0;
}

int owfs_intents_are_many(const struct owfs_inode *inode)
{
	struct look l;

	return look_at(inode, &l, owfs_intents_limit(inode->i_fs));
}

/* ------------------------------------------------------------------ window */

static int window_item(void *ctx, const struct owfs_key *key, const void *val,
		       size_t len)
{
	struct owfs_intents **tabp = ctx, *tab;
	struct owfs_intent in;
	int ret = intents_grow(tabp, 1);

	if (ret)
		return ret;
	tab = *tabp;
	if (!intent_from_disk(&in, key, val, len) ||
	    (tab->n && tab->v[tab->n - 1].end > in.first))
		return -EFSCORRUPTED;
	tab->v[tab->n++] = in;
	return 0;
}

/* Is there one that begins before @first, or behind @end? */
static int window_others(struct owfs_inode *inode, owfs_fileoff_t first,
			 owfs_fileoff_t end)
{
	struct owfs_intent in;
	int ret = first ? intent_prev(inode, first - 1, &in) : -ENOENT;

	if (!ret && in.end > first)
		return intent_bad(inode, in.first);
	if (ret == -ENOENT && end < UINT64_MAX)
		ret = intent_next(inode, end + 1, &in);
	inode->i_intents->others = !ret;
	return ret == -ENOENT ? 0 : ret;
}

/* Read those that meet or touch [first, end). */
static int window_load(struct owfs_inode *inode, owfs_fileoff_t first,
		       owfs_fileoff_t end)
{
	struct owfs_key from, last = intent_key(inode, end);
	struct owfs_intent in;
	int ret = intent_prev(inode, first, &in);

	if (ret && ret != -ENOENT)
		return ret;
	if (!ret && in.end >= first)
		first = in.first;
	from = intent_key(inode, first);
	ret = owfs_btree_walk(inode->i_fs->fs_bt, &from, &last, window_item,
			      &inode->i_intents);
	if (ret == -EFSCORRUPTED)
		return intent_bad(inode, first);
	return ret ? ret : window_others(inode, first, end);
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
	struct owfs_key key = intent_key(inode, first);
	int ret;

	owfs_intents_free(inode);
	ret = intents_grow(&inode->i_intents, n + 1);
	if (ret)
		return ret;
	inode->i_intents->others = false;
	if (owfs_inode_has_intents(inode))
		ret = window_load(inode, first, end);
	if (!ret)
		ret = intents_grow(&inode->i_intents, n + 1);
	if (ret)
		return ret;
	*items = (unsigned int)inode->i_intents->n + 2 * n;
	ret = owfs_btree_prefetch(bt, &orphan);
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

	if (inode->i_intents->n || inode->i_intents->others) {
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

	if (!owfs_inode_has_intents(inode))
		return 0;
	ret = intent_next(inode, 0, &in);
	if (ret)
		return ret == -ENOENT ? intent_none(inode) : ret;
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

int owfs_intent_make_room(struct owfs_inode *inode)
{
	unsigned int limit = owfs_intents_limit(inode->i_fs);
	struct look l;
	int many = 1, ret = 0;

	while (many && !ret) {
		pthread_rwlock_wrlock(&inode->i_lock);
		many = look_at(inode, &l, limit);
		if (many)
			ret = many < 0 ? many :
				reclaim_some(inode, &l.smallest);
		pthread_rwlock_unlock(&inode->i_lock);
	}
	return ret;
}
