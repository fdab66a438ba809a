/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Extents: items to and from memory, lookups, edits.  An edit is two sorted
 * arrays, the items as they are and as they shall be, and the disk runs that
 * change hands; applying it walks both arrays once.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/util.h"
#include "object/extent.h"
#include "object/intent.h"

/*
 * Generation of the newest snapshot: blocks born later belong to the live file
 * alone.  This version of the format has no snapshots.
 */
static owfs_gen_t newest_snapshot(const struct owfs_fs *fs)
{
	(void)fs;
	return 0;
}

/* Born after the newest snapshot; 0 is born now. */
static bool birth_is_young(const struct owfs_fs *fs, owfs_gen_t birth)
{
	return birth == 0 || birth > newest_snapshot(fs);
}

bool owfs_extent_in_place_ok(const struct owfs_fs *fs,
			     const struct owfs_extent *ext)
{
	return ext->flags == OWFS_EXTENT_UNWRITTEN &&
	       birth_is_young(fs, ext->birth);
}

/* ------------------------------------------------------------- conversion */

const char *owfs_extent_from_disk(const struct owfs_geo *geo,
				  owfs_gen_t open_gen,
				  const struct owfs_key *key, const void *val,
				  size_t len, struct owfs_extent *ext)
{
	const owfs_fileoff_t max = OWFS_FILE_BYTES_MAX / geo->blocksize + 1;
	const struct owfs_extent_item *d = val;

	if (len != sizeof(*d))
		return "wrong size";
	ext->off = key->off;
	ext->len = le32_to_cpu(d->len);
	ext->fsblock = le64_to_cpu(d->fsblock);
	ext->flags = le32_to_cpu(d->flags);
	ext->birth = le64_to_cpu(d->birth);
	if (ext->len == 0 || ext->len > OWFS_EXTENT_MAX)
		return "bad length";
	if (ext->flags & ~OWFS_EXTENT_FLAGS)
		return "unknown flags";
	if (ext->off >= max || ext->len > max - ext->off)
		return "past the largest file";
	if (!owfs_geo_range_ok(geo, ext->fsblock, ext->len))
		return "not on blocks for data";
	if (ext->birth == 0 || ext->birth > open_gen)
		return "born in the future";
	return NULL;
}

void owfs_extent_to_disk(struct owfs_extent_item *d,
			 const struct owfs_extent *ext)
{
	d->fsblock = cpu_to_le64(ext->fsblock);
	d->len = cpu_to_le32((uint32_t)ext->len);
	d->flags = cpu_to_le32(ext->flags);
	d->birth = cpu_to_le64(ext->birth);
}

static int extent_bad(struct owfs_inode *inode, const char *what,
		      owfs_fileoff_t off)
{
	return owfs_fs_fail(inode->i_fs, -EFSCORRUPTED,
			    "inode %llu: extent %s: off=%llu",
			    (unsigned long long)inode->i_ino, what,
			    (unsigned long long)off);
}

static struct owfs_key extent_key(const struct owfs_inode *inode,
				  owfs_fileoff_t off)
{
	return owfs_key(inode->i_ino, OWFS_ITEM_EXTENT, off);
}

/* ----------------------------------------------------------------- lookup */

/* The last extent that starts at or before @off. -ENOENT */
static int extent_prev(struct owfs_inode *inode, owfs_fileoff_t off,
		       struct owfs_extent *ext)
{
	struct owfs_fs *fs = inode->i_fs;
	struct owfs_key key = extent_key(inode, off);
	struct owfs_key first = extent_key(inode, 0);
	struct owfs_extent_item d;
	const char *bad;
	int ret;

	ret = owfs_btree_prev(fs->fs_bt, &key, &first, &d, sizeof(d));
	if (ret < 0)
		return ret;
	bad = owfs_extent_from_disk(&fs->fs_geo, owfs_open_gen(fs), &key, &d,
				    (size_t)ret, ext);
	return bad ? extent_bad(inode, bad, key.off) : 0;
}

/* The first extent that starts in [off, last]. -ENOENT */
static int extent_next(struct owfs_inode *inode, owfs_fileoff_t off,
		       owfs_fileoff_t last, struct owfs_extent *ext)
{
	struct owfs_fs *fs = inode->i_fs;
	struct owfs_key key = extent_key(inode, off);
	struct owfs_key end = extent_key(inode, last);
	struct owfs_extent_item d;
	const char *bad;
	int ret;

	ret = owfs_btree_next(fs->fs_bt, &key, &end, &d, sizeof(d));
	if (ret < 0)
		return ret;
	bad = owfs_extent_from_disk(&fs->fs_geo, owfs_open_gen(fs), &key, &d,
				    (size_t)ret, ext);
	return bad ? extent_bad(inode, bad, key.off) : 0;
}

int owfs_extent_find(struct owfs_inode *inode, owfs_fileoff_t off,
		     owfs_fileoff_t last, struct owfs_extent *ext)
{
	int ret = extent_prev(inode, off, ext);

	if (!ret && owfs_extent_end(ext) > off)
		return 0;
	if (ret && ret != -ENOENT)
		return ret;
	if (off >= last)
		return -ENOENT;
	return extent_next(inode, off + 1, last, ext);
}

/* ---------------------------------------------------------------- vectors */

static void vec_init(struct owfs_extent_vec *vec)
{
	vec->n = 0;
	vec->cap = OWFS_EXTENT_VEC_INLINE;
	vec->v = vec->few;
}

static void vec_done(struct owfs_extent_vec *vec)
{
	if (vec->v != vec->few)
		free(vec->v);
}

/* Room for @more elements. */
static int vec_grow(struct owfs_extent_vec *vec, size_t more)
{
	size_t cap = vec->cap;
	struct owfs_extent *v;

	if (vec->n + more <= cap)
		return 0;
	while (cap < vec->n + more)
		cap *= 2;
	v = realloc(vec->v == vec->few ? NULL : vec->v, cap * sizeof(*v));
	if (!v)
		return -ENOMEM;
	if (vec->v == vec->few)
		memcpy(v, vec->few, vec->n * sizeof(*v));
	vec->v = v;
	vec->cap = cap;
	return 0;
}

static int vec_push(struct owfs_extent_vec *vec, const struct owfs_extent *ext)
{
	int ret = vec_grow(vec, 1);

	if (!ret)
		vec->v[vec->n++] = *ext;
	return ret;
}

/* A run of disk blocks, joined to the one before where it can be. */
static int vec_push_run(struct owfs_extent_vec *vec, owfs_fsblock_t fsblock,
			uint64_t len)
{
	struct owfs_extent run = { .fsblock = fsblock, .len = len };
	struct owfs_extent *last = vec->n ? &vec->v[vec->n - 1] : NULL;

	if (last && last->fsblock + last->len == fsblock) {
		last->len += len;
		return 0;
	}
	return vec_push(vec, &run);
}

static uint64_t vec_blocks(const struct owfs_extent_vec *vec)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < vec->n; i++)
		sum += vec->v[i].len;
	return sum;
}

/* Index of the first extent that ends after @off. */
static size_t vec_search(const struct owfs_extent_vec *vec, owfs_fileoff_t off)
{
	size_t lo = 0, hi = vec->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (owfs_extent_end(&vec->v[mid]) > off)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

/* ---------------------------------------------------------------- loading */

void owfs_extent_edit_init(struct owfs_extent_edit *ed,
			   struct owfs_inode *inode)
{
	ed->inode = inode;
	ed->end = 0;
	vec_init(&ed->old);
	vec_init(&ed->new);
	vec_init(&ed->freed);
	vec_init(&ed->used);
}

void owfs_extent_edit_done(struct owfs_extent_edit *ed)
{
	vec_done(&ed->old);
	vec_done(&ed->new);
	vec_done(&ed->freed);
	vec_done(&ed->used);
}

struct edit_load {
	struct owfs_extent_edit *ed;
	owfs_fileoff_t end;
	unsigned int max, count;
	uint64_t blocks;
	owfs_gen_t open_gen;
	const char *bad;
	owfs_fileoff_t bad_off;
};

static int edit_add(struct owfs_extent_edit *ed, const struct owfs_extent *ext)
{
	int ret = vec_push(&ed->old, ext);

	return ret ? ret : vec_push(&ed->new, ext);
}

/* 1: that was enough for one transaction. */
static int edit_load_item(void *ctx, const struct owfs_key *key,
			  const void *val, size_t len)
{
	struct edit_load *l = ctx;
	struct owfs_extent_edit *ed = l->ed;
	const struct owfs_extent *last =
		ed->old.n ? &ed->old.v[ed->old.n - 1] : NULL;
	struct owfs_extent ext;
	int ret;

	if (last && key->off <= last->off)
		return 0;	/* an earlier load of this edit has it */
	l->bad_off = key->off;
	l->bad = owfs_extent_from_disk(&ed->inode->i_fs->fs_geo, l->open_gen,
				       key, val, len, &ext);
	if (!l->bad && last && owfs_extent_end(last) > ext.off)
		l->bad = "overlaps the one before";
	if (l->bad)
		return -EFSCORRUPTED;
	ret = edit_add(ed, &ext);
	if (ret || l->max == 0)
		return ret;
	l->count++;
	l->blocks += ext.len;
	if (owfs_extent_end(&ext) >= l->end ||
	    (l->count < l->max && l->blocks < OWFS_EXTENT_STEP_BLOCKS))
		return 0;
	ed->end = owfs_extent_end(&ext);
	return 1;
}

/* What starts before @off and reaches or touches it. */
static int edit_load_left(struct owfs_extent_edit *ed, owfs_fileoff_t off)
{
	struct owfs_extent ext;
	int ret;

	if (off == 0)
		return 0;
	ret = extent_prev(ed->inode, off - 1, &ext);
	if (ret)
		return ret == -ENOENT ? 0 : ret;
	if (owfs_extent_end(&ext) < off)
		return 0;
	if (ed->old.n && ext.off <= ed->old.v[ed->old.n - 1].off)
		return 0;
	return edit_add(ed, &ext);
}

/* What starts in [off, end]. */
static int edit_load_items(struct owfs_extent_edit *ed, owfs_fileoff_t off,
			   owfs_fileoff_t end, unsigned int max)
{
	struct owfs_fs *fs = ed->inode->i_fs;
	struct owfs_key first = extent_key(ed->inode, off);
	struct owfs_key last = extent_key(ed->inode, end);
	struct edit_load l = {
		.ed = ed, .end = end, .max = max,
		.open_gen = owfs_open_gen(fs),
	};
	int ret;

	ed->end = end;
	ret = owfs_btree_walk(fs->fs_bt, &first, &last, edit_load_item, &l);
	return l.bad ? extent_bad(ed->inode, l.bad, l.bad_off) : ret;
}

int owfs_extent_edit_load(struct owfs_extent_edit *ed, owfs_fileoff_t off,
			  owfs_fileoff_t end, unsigned int max)
{
	int ret = edit_load_left(ed, off);

	return ret ? ret : edit_load_items(ed, off, end, max);
}

int owfs_extent_edit_look(struct owfs_extent_edit *ed, owfs_fileoff_t off,
			  owfs_fileoff_t end)
{
	struct owfs_extent ext;
	int ret = extent_prev(ed->inode, off, &ext);

	if (ret && ret != -ENOENT)
		return ret;
	if (!ret && owfs_extent_end(&ext) >= end) {
		ed->end = end;
		return edit_add(ed, &ext);	/* it covers all */
	}
	if (!ret && ext.off < off && owfs_extent_end(&ext) >= off)
		ret = edit_add(ed, &ext);
	else
		ret = 0;
	return ret ? ret : edit_load_items(ed, off, end, 0);
}

/* ---------------------------------------------------------------- editing */

static bool extents_merge(const struct owfs_fs *fs, const struct owfs_extent *a,
			  const struct owfs_extent *b)
{
	return owfs_extent_end(a) == b->off && a->fsblock + a->len == b->fsblock &&
	       a->flags == b->flags && a->len + b->len <= OWFS_EXTENT_MAX &&
	       birth_is_young(fs, a->birth) && birth_is_young(fs, b->birth);
}

/* Join element @i to the one before if they are one run. */
static void edit_merge(struct owfs_extent_edit *ed, size_t i)
{
	struct owfs_extent *a, *b;

	if (i == 0 || i >= ed->new.n)
		return;
	a = &ed->new.v[i - 1];
	b = &ed->new.v[i];
	if (!extents_merge(ed->inode->i_fs, a, b))
		return;
	a->len += b->len;
	a->birth = a->birth && b->birth ? max_u64(a->birth, b->birth) : 0;
	memmove(b, b + 1, (ed->new.n - i - 1) * sizeof(*b));
	ed->new.n--;
}

/* The part of @ext in [off, end), which has one. */
static struct owfs_extent extent_part(const struct owfs_extent *ext,
				      owfs_fileoff_t off, owfs_fileoff_t end)
{
	struct owfs_extent part = *ext;

	part.off = max_u64(ext->off, off);
	part.len = min_u64(owfs_extent_end(ext), end) - part.off;
	part.fsblock += part.off - ext->off;
	return part;
}

static int edit_free_parts(struct owfs_extent_edit *ed, size_t i, size_t j,
			   owfs_fileoff_t off, owfs_fileoff_t end)
{
	struct owfs_extent part;
	int ret = 0;

	for (; i < j && !ret; i++) {
		part = extent_part(&ed->new.v[i], off, end);
		ret = vec_push_run(&ed->freed, part.fsblock, part.len);
	}
	return ret;
}

/*
 * Put @ins (or nothing) where [off, end) was; what was there is freed if
 * @free says so.
 */
static int edit_replace(struct owfs_extent_edit *ed, owfs_fileoff_t off,
			owfs_fileoff_t end, const struct owfs_extent *ins,
			bool free_old)
{
	struct owfs_extent_vec *vec = &ed->new;
	struct owfs_extent piece[3];
	size_t n = 0, at, i = vec_search(vec, off), j = i;
	int ret = vec_grow(vec, 2);

	if (ret)
		return ret;
	while (j < vec->n && vec->v[j].off < end)
		j++;
	if (free_old)
		ret = edit_free_parts(ed, i, j, off, end);
	if (ret)
		return ret;
	if (i < j && vec->v[i].off < off)
		piece[n++] = extent_part(&vec->v[i], 0, off);
	at = i + n;
	if (ins)
		piece[n++] = *ins;
	if (i < j && owfs_extent_end(&vec->v[j - 1]) > end)
		piece[n++] = extent_part(&vec->v[j - 1], end, UINT64_MAX);
	memmove(&vec->v[i + n], &vec->v[j], (vec->n - j) * sizeof(*vec->v));
	memcpy(&vec->v[i], piece, n * sizeof(*piece));
	vec->n = vec->n + n - (j - i);
	if (ins) {
		edit_merge(ed, at + 1);
		edit_merge(ed, at);
	}
	return 0;
}

int owfs_extent_edit_punch(struct owfs_extent_edit *ed, owfs_fileoff_t off,
			   owfs_fileoff_t end)
{
	return off < end ? edit_replace(ed, off, end, NULL, true) : 0;
}

int owfs_extent_edit_map(struct owfs_extent_edit *ed, owfs_fileoff_t off,
			 uint64_t len, owfs_fsblock_t fsblock, uint32_t flags)
{
	const struct owfs_extent ext = {
		.off = off, .len = len, .fsblock = fsblock, .flags = flags,
	};
	int ret = vec_push_run(&ed->used, fsblock, len);

	return ret ? ret : edit_replace(ed, off, off + len, &ext, true);
}

int owfs_extent_edit_convert(struct owfs_extent_edit *ed, owfs_fileoff_t off,
			     uint64_t len, owfs_fsblock_t fsblock)
{
	const owfs_fileoff_t end = off + len;
	struct owfs_extent part;
	size_t i;
	int ret;

	for (; off < end; off = owfs_extent_end(&part)) {
		i = vec_search(&ed->new, off);
		if (i == ed->new.n || ed->new.v[i].off >= end)
			return 0;
		part = extent_part(&ed->new.v[i], off, end);
		if (part.flags != OWFS_EXTENT_UNWRITTEN ||
		    part.fsblock - fsblock != part.off - (end - len))
			continue;
		part.flags = 0;
		part.birth = 0;
		ret = edit_replace(ed, part.off, owfs_extent_end(&part), &part,
				   false);
		if (ret)
			return ret;
	}
	return 0;
}

/* --------------------------------------------------------------- applying */

int owfs_extent_edit_prepare(struct owfs_extent_edit *ed)
{
	struct owfs_inode *inode = ed->inode;
	const struct owfs_extent *run;
	int ret = 0;

	if (vec_blocks(&ed->freed) > inode->i_attr.nblocks)
		return owfs_fs_fail(inode->i_fs, -EFSCORRUPTED,
				    "inode %llu: more blocks than it says: nblocks=%llu",
				    (unsigned long long)inode->i_ino,
				    (unsigned long long)inode->i_attr.nblocks);
	for (size_t i = 0; i < ed->freed.n && !ret; i++) {
		run = &ed->freed.v[i];
		ret = owfs_alloc_load(inode->i_fs->fs_al, run->fsblock,
				      run->len);
	}
	return owfs_fs_check_map(inode->i_fs, ret);
}

static bool extent_same(const struct owfs_extent *a, const struct owfs_extent *b)
{
	return a->len == b->len && a->fsblock == b->fsblock &&
	       a->flags == b->flags && a->birth == b->birth;
}

/* Walk both arrays by offset: where they differ an item changes. */
struct owfs_extent_cost
owfs_extent_edit_cost(const struct owfs_extent_edit *ed)
{
	const struct owfs_extent *old = ed->old.v, *old_end = old + ed->old.n;
	const struct owfs_extent *new = ed->new.v, *new_end = new + ed->new.n;
	struct owfs_extent_cost cost = { 0 };

	while (old < old_end || new < new_end) {
		if (new == new_end || (old < old_end && old->off < new->off)) {
			old++;
			cost.changed++;
		} else if (old == old_end || new->off < old->off) {
			new++;
			cost.inserted++;
		} else {
			cost.changed += !extent_same(old++, new++);
		}
	}
	return cost;
}

/*
 * A piece is itself an item; a run of them may cut the extents at its two
 * ends, one of which then has a new key, or else join them.
 */
struct owfs_extent_cost
owfs_extent_edit_worst(const struct owfs_extent_edit *ed, owfs_fileoff_t first,
		       owfs_fileoff_t end, unsigned int n, unsigned int runs)
{
	size_t i = vec_search(&ed->old, first), j = i;

	while (j < ed->old.n && ed->old.v[j].off < end)
		j++;
	return (struct owfs_extent_cost){
		.changed = (unsigned int)(j - i) + 2, .inserted = n + runs,
	};
}

static int edit_write_item(struct owfs_extent_edit *ed, struct owfs_trans *tr,
			   struct owfs_extent *ext, const struct owfs_extent *old)
{
	struct owfs_key key = extent_key(ed->inode, ext->off);
	struct owfs_extent_item d;

	if (ext->birth == 0)
		ext->birth = tr->gen;
	if (old && extent_same(old, ext))
		return 0;
	owfs_extent_to_disk(&d, ext);
	if (old)
		return owfs_btree_update(tr->fs->fs_bt, &key, &d, sizeof(d));
	return owfs_btree_insert(tr->fs->fs_bt, &key, &d, sizeof(d));
}

/* Make the items what ed->new says: both arrays are sorted by offset. */
static int edit_apply_items(struct owfs_extent_edit *ed, struct owfs_trans *tr)
{
	struct owfs_extent *old = ed->old.v, *old_end = old + ed->old.n;
	struct owfs_extent *new = ed->new.v, *new_end = new + ed->new.n;
	struct owfs_key key;
	int ret = 0;

	while (!ret && (old < old_end || new < new_end)) {
		if (new == new_end || (old < old_end && old->off < new->off)) {
			key = extent_key(ed->inode, old->off);
			ret = owfs_btree_delete(tr->fs->fs_bt, &key);
			old++;
		} else if (old < old_end && old->off == new->off) {
			ret = edit_write_item(ed, tr, new++, old++);
		} else {
			ret = edit_write_item(ed, tr, new++, NULL);
		}
	}
	return ret;
}

int owfs_extent_edit_apply(struct owfs_extent_edit *ed, struct owfs_trans *tr)
{
	struct owfs_attr *attr = &ed->inode->i_attr;
	struct owfs_alloc *al = tr->fs->fs_al;
	int ret = edit_apply_items(ed, tr);

	for (size_t i = 0; i < ed->freed.n && !ret; i++)
		ret = owfs_alloc_free_data(al, ed->freed.v[i].fsblock,
					   ed->freed.v[i].len);
	if (ret)
		return ret;
	for (size_t i = 0; i < ed->used.n; i++)
		owfs_alloc_use(al, ed->used.v[i].fsblock, ed->used.v[i].len);
	attr->nblocks += vec_blocks(&ed->used);
	attr->nblocks -= vec_blocks(&ed->freed);
	return 0;
}

/* ----------------------------------------------------------- reservations */

unsigned int owfs_extent_nodes(const struct owfs_fs *fs,
			       struct owfs_extent_cost cost,
			       unsigned int intents)
{
	unsigned int nodes = owfs_btree_worst_run(fs->fs_bt, cost.changed,
						  cost.inserted,
						  sizeof(struct owfs_extent_item));

	nodes += owfs_btree_worst(fs->fs_bt, intents ? 2 : 1, 1);
	return intents ? nodes + owfs_btree_worst(fs->fs_bt, 1, intents) : nodes;
}

int owfs_extent_reserve(struct owfs_fs *fs, struct owfs_resv *resv,
			struct owfs_extent_cost cost, unsigned int intents,
			enum owfs_resv_class class)
{
	return owfs_resv_take_nodes(fs, resv,
				    owfs_extent_nodes(fs, cost, intents),
				    class);
}

int owfs_extent_begin(struct owfs_fs *fs, struct owfs_trans *tr,
		      struct owfs_extent_cost cost, unsigned int intents,
		      enum owfs_resv_class class)
{
	struct owfs_resv resv;
	int ret = owfs_extent_reserve(fs, &resv, cost, intents, class);

	if (!ret)
		owfs_trans_join(fs, tr, &resv);
	return ret;
}

/* Take so many extents away, with an edge on either side, and move an intent. */
static unsigned int step_nodes(const struct owfs_fs *fs, unsigned int n)
{
	struct owfs_extent_cost cost = { .changed = n + 2, .inserted = 3 };

	return owfs_extent_nodes(fs, cost, 2);
}

/*
 * Half of what freeing transactions of one generation may have together: a
 * punch has two edges, and is not the only one.
 */
unsigned int owfs_extent_step(const struct owfs_fs *fs)
{
	uint64_t budget = fs->fs_super.reserve_blocks / 4 / 2 /
			  fs->fs_super.meta_copies;
	unsigned int n = OWFS_EXTENT_STEP;

	while (n > 1 && step_nodes(fs, n) > budget)
		n /= 2;
	return n;
}

/* ---------------------------------------------------------------- reclaim */

static int reclaim_apply(struct owfs_extent_edit *ed)
{
	struct owfs_inode *inode = ed->inode;
	struct owfs_trans tr;
	int ret = owfs_extent_edit_prepare(ed);

	if (!ret)
		ret = owfs_extent_begin(inode->i_fs, &tr,
					owfs_extent_edit_cost(ed), 0,
					OWFS_RESV_FREEING);
	if (ret)
		return ret;
	ret = owfs_extent_edit_apply(ed, &tr);
	if (!ret)
		ret = owfs_inode_store(&tr, inode, false);
	if (ret)
		owfs_trans_abort(&tr, ret, "reclaim of extents");
	return owfs_trans_end(&tr);
}

int owfs_extent_reclaim_step(struct owfs_inode *inode)
{
	struct owfs_extent_edit ed;
	int ret, more;

	if (owfs_inode_has_intents(inode)) {
		ret = owfs_intent_reclaim_locked(inode);
		return ret ? ret : 1;
	}
	owfs_extent_edit_init(&ed, inode);
	more = ret = owfs_extent_edit_load(&ed, 0, UINT64_MAX,
					   owfs_extent_step(inode->i_fs));
	if (ret >= 0)
		ret = owfs_extent_edit_punch(&ed, 0, ed.end);
	if (!ret && ed.freed.n)
		ret = reclaim_apply(&ed);
	owfs_extent_edit_done(&ed);
	return ret ? ret : more;
}
