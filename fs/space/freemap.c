/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The space map's nodes in memory, and loading and storing through them.
 *
 * A child (bitmap or node) has in its parent's memory the entry of the newest
 * commit, the entry of the commit before the mounted one, and the slot named
 * before the newest.  That last one is what makes slot choice right: of the
 * last two durable commits, one names the newest slot, and the other either
 * the same or the one before.
 *
 * Locks: fm_prev_lock (held for reading over a load, so that the commit before
 * is not given up meanwhile) above fm_lock (nodes and entries; never held over
 * I/O).  A node is complete before it is hung into the table.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/util.h"
#include "space/bitmap.h"
#include "space/freemap_impl.h"

/* ------------------------------------------------------------ nodes in memory */

static struct owfs_map_node *node_new(const struct owfs_freemap *fm,
				      unsigned int level, uint64_t first)
{
	struct owfs_map_node *node;

	node = calloc(1, sizeof(*node) +
			 fm->geo->fanout * sizeof(node->child[0]));
	if (!node)
		return NULL;
	node->level = level;
	node->first = first;
	node->span = owfs_geo_entry_span(fm->geo, level);
	return node;
}

/* Which child of @node holds group @g. */
static unsigned int node_index(const struct owfs_map_node *node, uint64_t g)
{
	return (g - node->first) / node->span;
}

static uint64_t child_first(const struct owfs_map_node *node, unsigned int i)
{
	return node->first + i * node->span;
}

/*
 * The node in memory nearest above group @g but not below @level, NULL if not
 * even the root is there.  Caller holds fm_lock.
 */
static struct owfs_map_node *node_lookup(const struct owfs_freemap *fm,
					 unsigned int level, uint64_t g)
{
	struct owfs_map_node *node = fm->root, *below;

	while (node && node->level > level) {
		below = node->child[node_index(node, g)].node;
		if (!below)
			break;
		node = below;
	}
	return node;
}

static void fill_from_prev(struct owfs_map_node *node,
			   const struct owfs_map_ref *prev, unsigned int n)
{
	struct owfs_map_child *child;
	unsigned int i;

	for (i = 0; i < n; i++) {
		child = &node->child[i];
		child->prev = prev[i];
		child->other = prev[i].gen ? prev[i].slot : OWFS_MAP_NOSLOT;
	}
}

/*
 * Read one node as both commits have it.  @cur and @prev are its entries; they
 * are the same if the commit before does not count.  @lost: nothing is known
 * of @cur, which is not to say that it was never written.
 */
static int node_read(struct owfs_freemap *fm, unsigned int level,
		     uint64_t first, const struct owfs_map_ref *cur,
		     const struct owfs_map_ref *prev, bool lost,
		     struct owfs_map_node **nodep)
{
	bool mended = false;
	unsigned int i, n = fm->geo->fanout;
	struct owfs_map_node *node;
	struct owfs_map_ref *refs;
	int ret = -ENOMEM;

	refs = calloc(n, sizeof(*refs));
	node = node_new(fm, level, first);
	if (!refs || !node)
		goto out_free;

	ret = lost ? -EFSCORRUPTED :
		     owfs_map_read_node(fm, level, first, cur, refs);
	if (ret && ret != -ENOMEM && fm->mend) {
		mended = true;
		ret = owfs_map_guess_node(fm, level, first, refs);
	}
	if (ret)
		goto out_free;
	for (i = 0; i < n; i++)
		node->child[i].cur = refs[i];
	if (prev->gen != cur->gen) {
		ret = owfs_map_read_node(fm, level, first, prev, refs);
		if (ret && (ret == -ENOMEM || !fm->mend))
			goto out_free;
	}
	fill_from_prev(node, refs, n);
	node->mended = mended;
	free(refs);
	*nodep = node;
	return 0;

out_free:
	free(refs);
	free(node);
	return ret;
}

/* The place where the node below @parent (NULL: the root) towards @g hangs. */
static struct owfs_map_child *node_place(struct owfs_freemap *fm,
					 struct owfs_map_node *parent,
					 uint64_t g)
{
	return parent ? &parent->child[node_index(parent, g)] : &fm->top;
}

/* Caller holds fm_lock. */
static void mark_dirty(struct owfs_freemap *fm, struct owfs_map_node *node)
{
	while (node && !node->dirty) {
		node->dirty = true;
		node->dirty_next = fm->dirty[node->level];
		fm->dirty[node->level] = node;
		node = node->parent;
	}
}

/*
 * Bring in the node below @parent towards group @g.  Called and returns with
 * fm_lock held, drops it to read.
 */
static int node_bring(struct owfs_freemap *fm, struct owfs_map_node *parent,
		      uint64_t g)
{
	struct owfs_map_child *place = node_place(fm, parent, g);
	unsigned int level = parent ? parent->level - 1 : fm->geo->levels;
	uint64_t first = parent ? child_first(parent, node_index(parent, g)) : 0;
	struct owfs_map_ref cur = place->cur, prev = place->prev;
	bool lost = parent && parent->mended && !cur.gen;
	struct owfs_map_node *node;
	int ret;

	if (!fm->prev_counts)
		prev = cur;
	pthread_mutex_unlock(&fm->lock);
	ret = node_read(fm, level, first, &cur, &prev, lost, &node);
	pthread_mutex_lock(&fm->lock);
	if (ret)
		return ret;
	if (place->node) {	/* somebody was faster */
		free(node);
		return 0;
	}
	node->parent = parent;
	place->node = node;
	if (!parent)
		fm->root = node;
	if (node->mended)
		mark_dirty(fm, node);
	return 0;
}

/* The level 1 node above group @g, read if need be.  Caller holds fm_lock. */
static int node_get(struct owfs_freemap *fm, uint64_t g,
		    struct owfs_map_node **nodep)
{
	struct owfs_map_node *node;
	int ret;

	for (;;) {
		node = node_lookup(fm, 1, g);
		if (node && node->level == 1) {
			*nodep = node;
			return 0;
		}
		ret = node_bring(fm, node, g);
		if (ret)
			return ret;
	}
}

static void node_free(const struct owfs_freemap *fm,
		      struct owfs_map_node *node)
{
	unsigned int i;

	if (!node)
		return;
	for (i = 0; node->level > 1 && i < fm->geo->fanout; i++)
		node_free(fm, node->child[i].node);	/* levels deep at most */
	free(node);
}

/* ---------------------------------------------------------- open and close */

static void ref_from_root(struct owfs_map_child *top,
			  const struct owfs_freemap_param *p)
{
	top->cur = (struct owfs_map_ref){
		.gen = p->cur.gen, .csum = p->cur.csum,
		.free = p->cur.free_blocks, .slot = p->cur.slot };
	top->prev = (struct owfs_map_ref){
		.gen = p->prev.gen, .csum = p->prev.csum,
		.free = p->prev.free_blocks, .slot = p->prev.slot };
	top->other = p->prev.gen ? p->prev.slot : OWFS_MAP_NOSLOT;
}

static bool root_sane(const struct owfs_freemap_param *p,
		      const struct owfs_map_root *root)
{
	if (!root->gen || (root->slot < OWFS_MAP_SLOTS && root->free_blocks <=
			   owfs_geo_ordinary(p->geo, 0, p->geo->ngroups)))
		return true;
	owfs_msg(p->msg, OWFS_MSG_ERROR,
		 "space map: root is impossible: gen=%llu slot=%u free=%llu",
		 (unsigned long long)root->gen, root->slot,
		 (unsigned long long)root->free_blocks);
	return false;
}

int owfs_freemap_open(struct owfs_freemap **fmp,
		      const struct owfs_freemap_param *p)
{
	struct owfs_freemap *fm;

	if (!p->mend && (!root_sane(p, &p->cur) || !root_sane(p, &p->prev)))
		return -EFSCORRUPTED;
	if (!p->mend && p->prev.gen > p->cur.gen) {
		owfs_msg(p->msg, OWFS_MSG_ERROR,
			 "space map: commit before is newer: gen=%llu before=%llu",
			 (unsigned long long)p->cur.gen,
			 (unsigned long long)p->prev.gen);
		return -EFSCORRUPTED;
	}
	fm = calloc(1, sizeof(*fm));
	if (!fm)
		return -ENOMEM;
	fm->block = aligned_alloc(OWFS_IO_ALIGN, p->geo->blocksize);
	if (!fm->block) {
		free(fm);
		return -ENOMEM;
	}
	fm->bd = p->bd;
	fm->geo = p->geo;
	fm->seed = p->seed;
	fm->msg = p->msg;
	fm->mend = p->mend;
	ref_from_root(&fm->top, p);
	fm->prev_counts = p->prev.gen != 0;
	pthread_mutex_init(&fm->lock, NULL);
	pthread_rwlock_init(&fm->prev_lock, NULL);
	*fmp = fm;
	return 0;
}

void owfs_freemap_close(struct owfs_freemap *fm)
{
	if (!fm)
		return;
	node_free(fm, fm->root);
	pthread_rwlock_destroy(&fm->prev_lock);
	pthread_mutex_destroy(&fm->lock);
	free(fm->block);
	free(fm);
}

void owfs_freemap_forget_prev(struct owfs_freemap *fm)
{
	pthread_rwlock_wrlock(&fm->prev_lock);
	pthread_mutex_lock(&fm->lock);
	fm->prev_counts = false;
	pthread_mutex_unlock(&fm->lock);
	pthread_rwlock_unlock(&fm->prev_lock);
}

/* ------------------------------------------------------------------ asking */

/* What a child's entry says of its longest run; one never written is all free. */
static uint32_t child_run(const struct owfs_freemap *fm,
			  const struct owfs_map_node *node, unsigned int i)
{
	const struct owfs_map_ref *ref = &node->child[i].cur;

	if (ref->gen)
		return ref->maxrun;
	return owfs_map_untouched_run(fm->geo, child_first(node, i),
				      node->span);
}

/*
 * Look through the children of the deepest node in memory above *g, from *g
 * on.  0: *g and *run are the answer; 1: *g has moved on, look again; 2: *g is
 * below a child that must be brought in first.
 */
static int scan_node(const struct owfs_freemap *fm,
		     const struct owfs_map_node *node, uint32_t want,
		     uint64_t *g, uint32_t *run)
{
	unsigned int i;

	for (i = node_index(node, *g); i < fm->geo->fanout; i++) {
		*g = max_u64(*g, child_first(node, i));
		if (*g >= fm->geo->ngroups)
			return 1;
		*run = child_run(fm, node, i);
		if (*run < want)
			continue;
		if (node->level == 1)
			return 0;
		return node->child[i].node ? 1 : 2;
	}
	*g = child_first(node, i);
	return 1;
}

/* The deepest node in memory above @g that has not been ruled out by @want. */
static struct owfs_map_node *scan_from(const struct owfs_freemap *fm,
				       uint64_t g, uint32_t want)
{
	struct owfs_map_node *node = fm->root;
	unsigned int i;

	while (node && node->level > 1) {
		i = node_index(node, g);
		if (!node->child[i].node || child_run(fm, node, i) < want)
			break;
		node = node->child[i].node;
	}
	return node;
}

int owfs_freemap_next(struct owfs_freemap *fm, uint64_t from, uint32_t want,
		      uint64_t *g, uint32_t *run)
{
	struct owfs_map_node *node;
	int ret = -ENOENT, step;

	pthread_rwlock_rdlock(&fm->prev_lock);
	pthread_mutex_lock(&fm->lock);
	*g = from;
	while (*g < fm->geo->ngroups) {
		node = scan_from(fm, *g, want);
		step = node ? scan_node(fm, node, want, g, run) : 2;
		if (!step) {
			ret = 0;
			break;
		}
		ret = step == 2 ? node_bring(fm, node, *g) : -ENOENT;
		if (ret && ret != -ENOENT)
			break;
		ret = -ENOENT;
	}
	pthread_mutex_unlock(&fm->lock);
	pthread_rwlock_unlock(&fm->prev_lock);
	return ret;
}

/* ----------------------------------------------------------------- loading */

void owfs_freemap_untouched(const struct owfs_geo *geo, uint64_t g,
			    uint64_t *bits)
{
	uint32_t head = owfs_geo_group_head(geo, g);
	uint32_t end = head + owfs_geo_ordinary(geo, g, 1);

	memset(bits, 0, geo->group_blocks / 8);
	owfs_bitmap_set(bits, 0, head);
	owfs_bitmap_set(bits, end, geo->group_blocks - end);
}

/* Turn the bits of the commit before, in @pins, into those to be pinned. */
static void pins_from_prev(uint64_t *pins, const uint64_t *cur, size_t nwords)
{
	size_t w;

	for (w = 0; w < nwords; w++)
		pins[w] &= ~cur[w];
}

static int load_bits(struct owfs_freemap *fm, uint64_t g,
		     const struct owfs_map_ref *cur,
		     const struct owfs_map_ref *prev, uint64_t *bits,
		     uint64_t *pins)
{
	size_t nwords = OWFS_BITMAP_WORDS(fm->geo->group_blocks);
	int ret;

	ret = owfs_map_read_bitmap(fm, g, cur, bits);
	if (ret)
		return ret;
	if (!prev->gen || prev->gen == cur->gen) {
		memset(pins, 0, nwords * sizeof(*pins));
		return 0;
	}
	ret = owfs_map_read_bitmap(fm, g, prev, pins);
	if (ret && (ret == -ENOMEM || !fm->mend))
		return ret;
	if (ret)
		memset(pins, 0, nwords * sizeof(*pins));
	pins_from_prev(pins, bits, nwords);
	return 0;
}

int owfs_freemap_load(struct owfs_freemap *fm, uint64_t g, uint64_t *cur,
		      uint64_t *pins)
{
	struct owfs_map_ref cur_ref = { 0 }, prev_ref = { 0 };
	struct owfs_map_node *node;
	struct owfs_map_child *child;
	int ret;

	pthread_rwlock_rdlock(&fm->prev_lock);
	pthread_mutex_lock(&fm->lock);
	ret = node_get(fm, g, &node);
	if (!ret) {
		child = &node->child[node_index(node, g)];
		cur_ref = child->cur;
		prev_ref = fm->prev_counts ? child->prev : child->cur;
		if (node->mended && !cur_ref.gen)
			ret = -EFSCORRUPTED;	/* written or not: unknown */
	}
	pthread_mutex_unlock(&fm->lock);
	if (!ret)
		ret = load_bits(fm, g, &cur_ref, &prev_ref, cur, pins);
	pthread_rwlock_unlock(&fm->prev_lock);
	return ret;
}

bool owfs_freemap_is_guess(struct owfs_freemap *fm, uint64_t g)
{
	const struct owfs_map_node *node;
	bool guess = false;

	pthread_mutex_lock(&fm->lock);
	for (node = node_lookup(fm, 1, g); node; node = node->parent)
		guess |= node->mended;
	pthread_mutex_unlock(&fm->lock);
	return guess;
}

/* ----------------------------------------------------------------- storing */

/* A slot that neither of the last two durable commits names. */
static unsigned int choose_slot(const struct owfs_map_child *child)
{
	unsigned int slot = 0;

	while ((child->cur.gen && slot == child->cur.slot) ||
	       slot == child->other)
		slot++;
	return slot;
}

/* The child has been written: the newest entry becomes the one before. */
static void child_written(struct owfs_map_child *child,
			  const struct owfs_map_ref *ref)
{
	if (child->cur.gen)
		child->other = child->cur.slot;
	child->cur = *ref;
}

int owfs_freemap_store(struct owfs_freemap *fm, owfs_gen_t gen, uint64_t g,
		       const uint64_t *bits)
{
	struct owfs_map_ref ref = { .gen = gen };
	struct owfs_map_child *child;
	struct owfs_map_node *node;
	int ret;

	pthread_mutex_lock(&fm->lock);
	node = node_lookup(fm, 1, g);
	assert(node && node->level == 1);	/* loading the group brought it */
	child = &node->child[node_index(node, g)];
	ref.slot = choose_slot(child);
	pthread_mutex_unlock(&fm->lock);

	ret = owfs_map_write_bitmap(fm, g, bits, &ref);
	if (ret)
		return ret;

	pthread_mutex_lock(&fm->lock);
	child_written(child, &ref);
	mark_dirty(fm, node);
	pthread_mutex_unlock(&fm->lock);
	return 0;
}

static uint64_t child_free(const struct owfs_freemap *fm,
			   const struct owfs_map_node *node, unsigned int i)
{
	const struct owfs_map_ref *ref = &node->child[i].cur;

	return ref->gen ? ref->free :
	       owfs_geo_ordinary(fm->geo, child_first(node, i), node->span);
}

/* Bring a node's totals and block up to date.  Caller holds fm_lock. */
static void node_encode(struct owfs_freemap *fm, struct owfs_map_node *node,
			struct owfs_map_ref *ref)
{
	unsigned int i;

	ref->free = 0;
	ref->maxrun = 0;
	owfs_map_begin_node(fm, node->level, node->first, ref);
	for (i = 0; i < fm->geo->fanout &&
		    child_first(node, i) < fm->geo->ngroups; i++) {
		ref->free += child_free(fm, node, i);
		ref->maxrun = max_u64(ref->maxrun, child_run(fm, node, i));
		owfs_map_put_entry(fm, i, &node->child[i].cur);
	}
}

static int store_node(struct owfs_freemap *fm, owfs_gen_t gen,
		      struct owfs_map_node *node)
{
	struct owfs_map_ref ref = { .gen = gen };
	struct owfs_map_child *place;
	int ret;

	pthread_mutex_lock(&fm->lock);
	place = node_place(fm, node->parent, node->first);
	ref.slot = choose_slot(place);
	node_encode(fm, node, &ref);
	pthread_mutex_unlock(&fm->lock);

	ret = owfs_map_write_node(fm, node->level, node->first, &ref);
	if (ret)
		return ret;

	pthread_mutex_lock(&fm->lock);
	child_written(place, &ref);
	fm->dirty[node->level] = node->dirty_next;
	node->dirty = false;
	pthread_mutex_unlock(&fm->lock);
	return 0;
}

int owfs_freemap_store_nodes(struct owfs_freemap *fm, owfs_gen_t gen,
			     unsigned int max)
{
	unsigned int level;
	int ret;

	/* only the storing thread changes the lists */
	for (level = 1; level <= fm->geo->levels; level++) {
		while (fm->dirty[level]) {
			if (!max--)
				return 1;
			ret = store_node(fm, gen, fm->dirty[level]);
			if (ret)
				return ret;
		}
	}
	return 0;
}

void owfs_freemap_root(struct owfs_freemap *fm, struct owfs_map_root *root)
{
	const struct owfs_map_ref *ref = &fm->top.cur;

	pthread_mutex_lock(&fm->lock);
	*root = (struct owfs_map_root){
		.gen = ref->gen, .csum = ref->csum, .slot = ref->slot,
		.free_blocks = ref->free };
	if (!ref->gen)
		root->free_blocks = owfs_geo_ordinary(fm->geo, 0,
						      fm->geo->ngroups);
	pthread_mutex_unlock(&fm->lock);
}
