/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Salvage: what is left below a node that cannot be read.
 *
 * The space map of the same commit says which blocks are in use.  A block that
 * is, that nothing readable leads to, and that proves to be a node of this tree
 * standing where it was meant to stand, therefore belongs to what is lost: no
 * older state of it can be mistaken for it, since those blocks are free.  But a
 * write that never came leaves in a block what had been there before: where a
 * pointer says what ought to be there, nothing else is believed, and a branch
 * that leads to a free block is none of this commit.  What has passed is hung
 * into the tree again as it is, the highest first, each with all that it leads
 * to.  Where the map was lost as well there is no such proof, and what might be
 * old is not used.
 *
 * A leaf that no pointer is left to prove may still be one that a lost write has
 * left there.  If blocks of its files are claimed by newer metadata it is: such
 * a leaf is taken apart (fix_older.c).
 *
 * The pointer that leads nowhere is cut off in the same commit, so no state in
 * between has lost what can be saved.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"
#include "base/err.h"
#include "base/util.h"
#include "fixer.h"
#include "space/bitmap.h"
#include "trans/commit.h"
#include "tree/node.h"

#define MAX_AT_ONCE	32u	/* holes */

/* A node that nothing readable leads to. */
struct stray {
	struct owfs_ptr ptr;
	unsigned int level;
	struct owfs_key first, last;
	bool taken;			/* in the tree again, or below one that is */
	bool proven;			/* a pointer says that it ought to be there */
	bool old;			/* newer metadata has blocks of its files */
	bool apart;			/* ... to be taken apart */
};

struct salvage {
	struct check *ck;
	struct owfs_fs *fs;
	struct owfs_freemap *fm;
	uint64_t *bits, *pins;
	uint64_t loaded;		/* group that those are of */
	struct stray *v;
	size_t n, cap;
	struct stray **by_addr;
	/* of the hole being mended: up to which key a level has been filled */
	struct salvage_level {
		struct owfs_key last;
		bool any;
	} level[OWFS_MAX_LEVEL + 1];
	unsigned char *block;
	struct usedmap claims;		/* blocks of leaves that are believed */
};

/* ----------------------------------------------------------------- finding */

/* It says that it stands at @blk, and its other copy where a node may. */
static bool is_at_home(const struct check *ck, const struct owfs_block_hdr *hdr,
		       owfs_fsblock_t blk)
{
	owfs_fsblock_t one = le64_to_cpu(hdr->bh_addr[0]);
	owfs_fsblock_t two = le64_to_cpu(hdr->bh_addr[1]);

	if (ck->sb.meta_copies == 1)
		return one == blk && two == OWFS_NOBLOCK;
	return (one == blk || two == blk) && one != two &&
	       owfs_geo_range_ok(&ck->geo, one, 1) &&
	       owfs_geo_range_ok(&ck->geo, two, 1);
}

static bool is_node(const struct salvage *sv, owfs_fsblock_t blk)
{
	const struct check *ck = sv->ck;
	struct owfs_block_hdr *hdr = (void *)sv->block;
	const le64_t kept = hdr->bh_csum;
	uint64_t csum, detail;

	if (le32_to_cpu(hdr->bh_magic) != OWFS_NODE_MAGIC ||
	    le64_to_cpu(hdr->bh_owner) != OWFS_TREE_MAIN ||
	    le64_to_cpu(hdr->bh_gen) == 0 ||	/* no pointer may say so */
	    le64_to_cpu(hdr->bh_gen) > ck->root->gen ||
	    !is_at_home(ck, hdr, blk))
		return false;
	hdr->bh_csum = cpu_to_le64(0);
	csum = owfs_checksum(ck->sb.csum_seed, sv->block, ck->sb.blocksize);
	hdr->bh_csum = kept;
	return csum == le64_to_cpu(kept) &&
	       !owfs_node_check(sv->block, ck->sb.blocksize, ck->sb.nblocks,
				NULL, &detail) &&
	       owfs_node_nitems(sv->block) > 0;
}

static int add_stray(struct salvage *sv)
{
	const struct owfs_block_hdr *hdr = (const void *)sv->block;
	struct stray *s;

	if (sv->n == sv->cap) {
		s = realloc(sv->v, (2 * sv->cap + 64) * sizeof(*s));
		if (!s)
			return -ENOMEM;
		sv->v = s;
		sv->cap = 2 * sv->cap + 64;
	}
	sv->v[sv->n++] = (struct stray){
		.ptr = {
			.addr = { le64_to_cpu(hdr->bh_addr[0]),
				  le64_to_cpu(hdr->bh_addr[1]) },
			.birth = le64_to_cpu(hdr->bh_gen),
			.csum = le64_to_cpu(hdr->bh_csum),
		},
		.level = owfs_node_level(sv->block),
		.first = owfs_node_first(sv->block),
		.last = owfs_node_last(sv->block),
	};
	return 0;
}

/* A pointer to @blk is there, and means something else by birth and checksum. */
static bool is_outdated(const struct salvage *sv, owfs_fsblock_t blk)
{
	const struct owfs_block_hdr *hdr = (const void *)sv->block;
	const struct check *ck = sv->ck;
	size_t i;

	for (i = 0; i < ck->nbroken; i++) {
		const struct owfs_ptr *ptr = &ck->broken[i];

		if ((ptr->addr[0] == blk || ptr->addr[1] == blk) &&
		    ptr->birth != le64_to_cpu(hdr->bh_gen) &&
		    ptr->csum != le64_to_cpu(hdr->bh_csum))
			return true;
	}
	return false;
}

static int look_at_block(struct salvage *sv, owfs_fsblock_t blk)
{
	size_t size = sv->ck->sb.blocksize;

	/* one that cannot be read is lost, and its twin may be found */
	if (owfs_blkdev_read(sv->ck->bd, sv->block, size, (loff_t)(blk * size)))
		return 0;
	return is_node(sv, blk) && !is_outdated(sv, blk) ? add_stray(sv) : 0;
}

static int scan_group(struct salvage *sv, uint64_t g)
{
	const struct owfs_geo *geo = &sv->ck->geo;
	const uint64_t *known = usedmap_bits(&sv->ck->used, g);
	uint32_t bit = owfs_geo_group_head(geo, g);
	uint32_t end = bit + (uint32_t)owfs_geo_ordinary(geo, g, 1);
	int ret = owfs_freemap_load(sv->fm, g, sv->bits, sv->pins);

	if (ret)
		return ret;
	for (bit = owfs_bitmap_next_set(sv->bits, bit, end); bit < end && !ret;
	     bit = owfs_bitmap_next_set(sv->bits, bit + 1, end))
		if (!known || !owfs_bitmap_test(known, bit))
			ret = look_at_block(sv, owfs_geo_group_start(geo, g) +
						bit);
	return ret;
}

/* The highest first; of one level in the order of keys, the newest first. */
static int cmp_stray(const void *a, const void *b)
{
	const struct stray *x = a, *y = b;
	int ret;

	if (x->level != y->level)
		return x->level < y->level ? 1 : -1;
	ret = owfs_key_cmp(&x->first, &y->first);
	if (ret)
		return ret;
	if (x->ptr.birth != y->ptr.birth)
		return x->ptr.birth < y->ptr.birth ? 1 : -1;
	return x->ptr.addr[0] < y->ptr.addr[0] ? -1 :
	       x->ptr.addr[0] > y->ptr.addr[0];
}

/* Two copies are one node. */
static void drop_twins(struct salvage *sv)
{
	size_t i, kept = 0;

	for (i = 0; i < sv->n; i++)
		if (!kept || sv->v[kept - 1].ptr.addr[0] !=
			     sv->v[i].ptr.addr[0])
			sv->v[kept++] = sv->v[i];
	sv->n = kept;
}

/* 1: marked used by the map; 0: free, or nowhere. */
static int is_used(struct salvage *sv, owfs_fsblock_t blk)
{
	const struct owfs_geo *geo = &sv->ck->geo;
	uint64_t g;
	int ret = 0;

	if (!owfs_geo_range_ok(geo, blk, 1))
		return 0;
	g = owfs_geo_group_of(geo, blk);
	if (g != sv->loaded)
		ret = owfs_freemap_load(sv->fm, g, sv->bits, sv->pins);
	if (ret)
		return ret;
	sv->loaded = g;
	return owfs_bitmap_test(sv->bits,
				blk - owfs_geo_group_start(geo, g));
}

/* 1: so are all children. */
static int children_are_used(struct salvage *sv, const struct stray *s)
{
	static const struct owfs_node_expect *const any;
	struct owfs_buf *buf;
	unsigned int i;
	int ret = owfs_buf_read(sv->ck->bc, &s->ptr, &owfs_node_buf_ops, any,
				&buf);

	if (ret)
		return ret == -ENOMEM ? ret : 0;
	for (i = 0, ret = 1; i < owfs_node_nitems(buf->b_data) && ret == 1; i++)
		ret = is_used(sv, owfs_branch_ptr(buf->b_data, i).addr[0]);
	owfs_buf_put(buf);
	return ret;
}

static int drop_old_branches(struct salvage *sv)
{
	size_t i, kept = 0;
	int ret;

	sv->loaded = UINT64_MAX;
	for (i = 0; i < sv->n; i++) {
		ret = sv->v[i].level ? children_are_used(sv, &sv->v[i]) : 1;
		if (ret < 0)
			return ret;
		if (ret)
			sv->v[kept++] = sv->v[i];
	}
	sv->n = kept;
	return 0;
}

static int scan(struct salvage *sv)
{
	const struct owfs_geo *geo = &sv->ck->geo;
	uint64_t g;
	int ret = 0;

	for (g = 0; g < geo->ngroups && !ret; g++) {
		ret = scan_group(sv, g);
		if (!ret)
			ret = check_progress(sv->ck, 2, g, geo->ngroups);
	}
	if (sv->n)
		qsort(sv->v, sv->n, sizeof(*sv->v), cmp_stray);
	drop_twins(sv);
	return ret ? ret : drop_old_branches(sv);
}

static int cmp_addr(const void *a, const void *b)
{
	const struct stray *const *x = a, *const *y = b;

	return (*x)->ptr.addr[0] < (*y)->ptr.addr[0] ? -1 :
	       (*x)->ptr.addr[0] > (*y)->ptr.addr[0];
}

static int index_by_addr(struct salvage *sv)
{
	size_t i;

	sv->by_addr = calloc(sv->n + 1, sizeof(struct stray *));
	if (!sv->by_addr)
		return -ENOMEM;
	for (i = 0; i < sv->n; i++)
		sv->by_addr[i] = &sv->v[i];
	qsort(sv->by_addr, sv->n, sizeof(struct stray *), cmp_addr);
	return 0;
}

static struct stray *find_stray(struct salvage *sv, owfs_fsblock_t addr)
{
	struct stray want = { .ptr.addr = { addr } }, *key = &want, **found;

	found = bsearch(&key, sv->by_addr, sv->n, sizeof(struct stray *),
			cmp_addr);
	return found ? *found : NULL;
}

/* ------------------------------------------------------------ older leaves */

/* Add the blocks of its files to the claims; or 1: some are claimed. */
static int leaf_blocks(struct salvage *sv, const struct stray *s, bool add)
{
	static const struct owfs_node_expect *const any;
	const struct check *ck = sv->ck;
	struct owfs_extent ext;
	struct owfs_buf *buf;
	owfs_fsblock_t dup;
	unsigned int i;
	int ret = owfs_buf_read(ck->bc, &s->ptr, &owfs_node_buf_ops, any, &buf);

	if (ret)
		return ret == -ENOMEM ? ret : 0;
	for (i = 0; i < owfs_node_nitems(buf->b_data) && !ret; i++) {
		struct owfs_key key = owfs_leaf_key(buf->b_data, i);

		if (owfs_key_type(&key) != OWFS_ITEM_EXTENT ||
		    owfs_extent_from_disk(&ck->geo, ck->root->gen, &key,
					  owfs_leaf_val(buf->b_data, i),
					  owfs_leaf_len(buf->b_data, i), &ext))
			continue;
		if (!add)
			ret = usedmap_has(&ck->used, ext.fsblock, ext.len) ||
			      usedmap_has(&sv->claims, ext.fsblock, ext.len);
		else if (usedmap_add(&sv->claims, ext.fsblock, ext.len, &dup) < 0)
			ret = -ENOMEM;
	}
	owfs_buf_put(buf);
	return ret;
}

static int prove_children(struct salvage *sv, const struct stray *s)
{
	static const struct owfs_node_expect *const any;
	struct stray *child;
	struct owfs_buf *buf;
	unsigned int i;
	int ret = owfs_buf_read(sv->ck->bc, &s->ptr, &owfs_node_buf_ops, any,
				&buf);

	if (ret)
		return ret == -ENOMEM ? ret : 0;
	for (i = 0; i < owfs_node_nitems(buf->b_data); i++) {
		struct owfs_ptr ptr = owfs_branch_ptr(buf->b_data, i);

		child = find_stray(sv, ptr.addr[0]);
		if (child && child->ptr.csum == ptr.csum)
			child->proven = true;
	}
	owfs_buf_put(buf);
	return 0;
}

static int prove(struct salvage *sv)
{
	const struct check *ck = sv->ck;
	struct stray *s;
	size_t i;
	int ret = 0;

	for (i = 0; i < ck->nbroken; i++) {
		s = find_stray(sv, ck->broken[i].addr[0]);
		if (s && s->ptr.csum == ck->broken[i].csum)
			s->proven = true;
	}
	for (i = 0; i < sv->n && sv->v[i].level && !ret; i++)
		ret = prove_children(sv, &sv->v[i]);
	return ret;
}

/* What is proven before all else, then the newest first. */
static int cmp_belief(const void *a, const void *b)
{
	const struct stray *const *x = a, *const *y = b;

	if ((*x)->proven != (*y)->proven)
		return (*x)->proven ? -1 : 1;
	return (*x)->ptr.birth > (*y)->ptr.birth ? -1 :
	       (*x)->ptr.birth < (*y)->ptr.birth;
}

/* @leaf to @leaf + @n, equally new. */
static int judge_leaves(struct salvage *sv, struct stray **leaf, size_t n)
{
	size_t i;
	int ret = 0;

	for (i = 0; i < n && !leaf[i]->proven && ret >= 0; i++) {
		ret = leaf_blocks(sv, leaf[i], false);
		leaf[i]->old = ret == 1;
	}
	for (i = 0; i < n && ret >= 0; i++)
		if (!leaf[i]->old)
			ret = leaf_blocks(sv, leaf[i], true);
	return ret < 0 ? ret : 0;
}

static int find_old_leaves(struct salvage *sv)
{
	struct stray **leaf = calloc(sv->n + 1, sizeof(struct stray *));
	size_t i, n = 0, end;
	int ret = leaf ? prove(sv) : -ENOMEM;

	for (i = 0; i < sv->n && !ret; i++)
		if (!sv->v[i].level)
			leaf[n++] = &sv->v[i];
	if (n)
		qsort(leaf, n, sizeof(struct stray *), cmp_belief);
	for (i = 0; i < n && !ret; i = end) {
		for (end = i + 1; end < n; end++)
			if (cmp_belief(&leaf[i], &leaf[end]))
				break;
		ret = judge_leaves(sv, &leaf[i], end - i);
	}
	free(leaf);
	return ret;
}

/* --------------------------------------------------------------- hanging in */

/* What a node leads to comes with it. */
static int take_below(struct salvage *sv, const struct stray *s)
{
	static const struct owfs_node_expect *const any;
	struct owfs_buf *buf;
	unsigned int i;
	int ret = owfs_buf_read(sv->ck->bc, &s->ptr, &owfs_node_buf_ops, any,
				&buf);

	if (ret)
		return ret;
	for (i = 0; i < owfs_node_nitems(buf->b_data) && !ret; i++) {
		struct owfs_ptr ptr = owfs_branch_ptr(buf->b_data, i);
		struct stray *child = find_stray(sv, ptr.addr[0]);

		if (!child || child->taken || child->level + 1 != s->level ||
		    child->ptr.csum != ptr.csum)
			continue;
		child->taken = true;
		if (child->level)
			ret = take_below(sv, child);
	}
	owfs_buf_put(buf);
	return ret;
}

static bool lies_in(const struct stray *s, const struct fix *hole)
{
	return s->level <= hole->value &&
	       owfs_key_cmp(&s->first, &hole->key) >= 0 &&
	       owfs_key_cmp(&s->last, &hole->last) <= 0;
}

/*
 * Those of a level come in the order of their keys.  Of two that claim the same
 * keys neither can be proved, and the one that came first has it.
 */
static bool collides(struct salvage *sv, const struct stray *s)
{
	struct salvage_level *l = &sv->level[s->level];
	bool claimed = l->any && owfs_key_cmp(&l->last, &s->first) >= 0;

	if (!claimed || s->taken) {
		if (!l->any || owfs_key_cmp(&s->last, &l->last) > 0)
			l->last = s->last;
		l->any = true;
	}
	return claimed;
}

static int adopt(struct salvage *sv, struct stray *s)
{
	struct owfs_trans tr;
	int ret = tree_begin(sv->fs, &tr, 1);

	if (ret)
		return ret;
	ret = owfs_btree_adopt(sv->fs->fs_bt, &s->ptr, s->level, &s->first);
	if (ret && ret != -EEXIST)
		owfs_trans_abort(&tr, ret, "repair: hang in a node");
	owfs_trans_end(&tr);
	if (ret == -EEXIST)
		return 0;
	if (ret)
		return ret;
	s->taken = true;
	return s->level ? take_below(sv, s) : 0;
}

static int cut(struct salvage *sv, const struct fix *hole)
{
	struct owfs_trans tr;
	int ret = tree_begin(sv->fs, &tr, 1);

	if (ret)
		return ret;
	ret = owfs_btree_cut(sv->fs->fs_bt, &hole->key,
			     (unsigned int)hole->value);
	if (ret)
		owfs_trans_abort(&tr, ret, "repair: cut off a node");
	return owfs_trans_end(&tr);
}

/* A tree without any item is none: it gets a root directory. */
static int plant(struct salvage *sv)
{
	const struct fix root = { .kind = FIX_ROOT };

	if (sv->fs->fs_bt && !owfs_btree_is_empty(sv->fs->fs_bt))
		return 0;
	return names_apply(sv->fs, &root);
}

static int fill(struct salvage *sv, const struct fix *hole, size_t *saved)
{
	size_t i;
	int ret = 0;

	*saved = 0;
	memset(sv->level, 0, sizeof(sv->level));
	for (i = 0; i < sv->n && !ret; i++) {
		struct stray *s = &sv->v[i];

		if (!lies_in(s, hole) || collides(sv, s) || s->taken)
			continue;
		s->apart = s->old;
		if (!s->old)
			ret = adopt(sv, s);
		++*saved;
	}
	return ret;
}

/* Items lie where they belong, which no leaf can be hung in over: that is last. */
static int take_apart(struct salvage *sv, struct suspects *sus)
{
	size_t i;
	int ret = 0;

	for (i = 0; i < sv->n && !ret; i++) {
		if (!sv->v[i].apart)
			continue;
		sv->v[i].apart = false;
		sv->v[i].taken = true;
		ret = fix_older_leaf(sv->ck, sv->fs, &sv->v[i].ptr,
				     &sv->claims, sus);
	}
	return ret;
}

static void tell(struct salvage *sv, const struct fix *hole, size_t saved)
{
	owfs_msg(sv->ck->param->msg, OWFS_MSG_WARN,
		 "given up: a node at level %u, from inode %" PRIu64 " to %"
		 PRIu64 "; saved from below it: nodes=%zu",
		 (unsigned int)hole->value, owfs_key_ino(&hole->key),
		 owfs_key_ino(&hole->last), saved);
}

/*
 * Some holes in one generation.  A neighbour takes over the range of what is cut
 * off, so all of them have to go before anything is hung in.  @first: nothing was
 * committed yet, and the commit before is what it was.
 */
static int mend_holes(struct salvage *sv, const struct fix *hole, size_t n,
		      bool first)
{
	size_t *saved = calloc(n, sizeof(*saved)), i;
	struct suspects sus = { NULL, 0 };
	int ret;

	if (!saved)
		return -ENOMEM;
	OWFS_RETRY(sv->fs, ret, cut(sv, &hole[0]));
	for (i = 1; i < n && !ret; i++)
		ret = cut(sv, &hole[i]);
	for (i = 0; i < n && !ret; i++)
		ret = fill(sv, &hole[i], &saved[i]);
	if (!ret)
		ret = take_apart(sv, &sus);
	for (i = 0; i < n && !ret && first; i++)
		if (!hole[i].value && !saved[i])
			ret = fix_older(sv->ck, sv->fs, &hole[i], &sus);
	if (!ret)
		ret = plant(sv);
	if (!ret)
		ret = suspects_name(sv->fs, &sus);
	if (ret)	/* what is half done must not be committed */
		owfs_commit_poison(sv->fs, ret);
	else
		ret = owfs_commit_force(sv->fs);
	for (i = 0; i < n && !ret; i++)
		tell(sv, &hole[i], saved[i]);
	sv->ck->fixes->applied += !ret;
	free(saved);
	free(sus.v);
	return ret == -EAGAIN ? -ENOSPC : ret;
}

/* How many holes from here on have no key between them. */
static size_t side_by_side(const struct fix *hole, size_t n)
{
	struct owfs_key next;
	size_t i;

	for (i = 1; i < n; i++) {
		if (owfs_key_cmp(&hole[i - 1].last, &hole[i].key) >= 0)
			continue;
		next = owfs_key_next(&hole[i - 1].last);
		if (owfs_key_cmp(&next, &hole[i].key))
			break;
	}
	return i;
}

/*
 * All at once if they are few, so that the commit before can still be used; else
 * those that have to be.
 */
static int mend_all(struct salvage *sv, const struct fixlist *l)
{
	struct fixes *fx = sv->ck->fixes;
	bool at_once = l->n <= MAX_AT_ONCE && !fx->small_steps;
	size_t i, n;
	int ret = 0;

	for (i = 0; i < l->n && !ret; i += n) {
		n = at_once ? l->n : side_by_side(&l->v[i], l->n - i);
		ret = mend_holes(sv, &l->v[i], n, i == 0);
	}
	if (ret == -ENOSPC && at_once) {	/* nothing was: another round */
		fx->small_steps = true;
		fx->applied++;
	}
	return ret;
}

/* ------------------------------------------------------------------- begin */

static int salvage_open(struct salvage *sv)
{
	struct check *ck = sv->ck;
	size_t nwords = OWFS_BITMAP_WORDS(ck->geo.group_blocks);
	const struct owfs_freemap_param p = {
		.bd = ck->bd,
		.geo = &ck->geo,
		.seed = ck->sb.csum_seed,
		.cur = ck->sb.root[0].map,
		.msg = ck->param->msg,
	};

	usedmap_init(&sv->claims, &ck->geo);
	sv->bits = calloc(2 * nwords, sizeof(uint64_t));
	sv->block = aligned_alloc(OWFS_IO_ALIGN, ck->sb.blocksize);
	if (!sv->bits || !sv->block)
		return -ENOMEM;
	sv->pins = sv->bits + nwords;
	return owfs_freemap_open(&sv->fm, &p);
}

int fix_holes(struct check *ck)
{
	const struct fixlist *l = &ck->fixes->list[FIX_HOLES];
	struct salvage sv = { .ck = ck };
	int ret = salvage_open(&sv);

	if (!ret)
		ret = scan(&sv);
	if (!ret)
		ret = index_by_addr(&sv);
	if (!ret)
		ret = find_old_leaves(&sv);
	if (!ret)
		ret = fix_open(ck, &sv.fs);
	if (!ret)
		ret = mend_all(&sv, l);
	if (sv.fs)
		ret = fix_close(sv.fs, ret);
	if (ret == -ENOSPC && ck->fixes->applied)
		ret = 0;
	else
		ck->fixes->committed = true;
	owfs_freemap_close(sv.fm);
	free(sv.bits);
	free(sv.block);
	free(sv.by_addr);
	usedmap_free(&sv.claims);
	free(sv.v);
	return ret;
}
