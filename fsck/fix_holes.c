/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Salvage: what is left below a node that cannot be read.
 *
 * What was found of it (stray.c) is hung into the tree again as it is, the
 * highest first, each with all that it leads to.  What that leaves open the commit
 * before is asked for, and only where that cannot be read older leaves
 * (stray_old.c) are, item by item (fix_older.c).  Where the map was lost as
 * well nothing is found, and what might be old is not used.
 *
 * The pointer that leads nowhere is cut off in the same commit, so no state in
 * between has lost what can be saved.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "fixer.h"
#include "stray.h"
#include "trans/commit.h"
#include "tree/node.h"

struct salvage {
	struct check *ck;
	struct owfs_fs *fs;
	struct strays st;
	struct stray **leaf;		/* room for all of them */
	/* of the hole being mended: up to which key a level has been filled */
	struct salvage_level {
		struct owfs_key last;
		bool any;
	} level[OWFS_MAX_LEVEL + 1];
	/* what cannot be read below branches that were hung in */
	struct fix *lost;
	size_t nlost, cap;
	struct lost_leaves newer;	/* of them, leaves of this hole */
};

/* --------------------------------------------------------------- hanging in */

static int note_lost(struct salvage *sv, const struct fix *lost)
{
	struct fix *v;

	if (sv->nlost == sv->cap) {
		v = realloc(sv->lost, (2 * sv->cap + 16) * sizeof(*v));
		if (!v)
			return -ENOMEM;
		sv->lost = v;
		sv->cap = 2 * sv->cap + 16;
	}
	sv->lost[sv->nlost++] = *lost;
	return 0;
}

/* 1: child @i of @branch can be read, and belongs there. */
static int is_sound_child(struct salvage *sv, const void *branch, unsigned int i)
{
	const unsigned int n = owfs_node_nitems(branch);
	struct owfs_key next = i + 1 < n ? owfs_branch_key(branch, i + 1) :
					   OWFS_KEY_MAX;
	struct owfs_ptr ptr = owfs_branch_ptr(branch, i);
	const struct owfs_node_expect expect = {
		.level = owfs_node_level(branch) - 1,
		.owner = OWFS_TREE_MAIN,
		.low = owfs_branch_key(branch, i),
		.last = i + 1 < n ? owfs_key_prev(&next) : next,
	};
	const struct fix lost = {
		.kind = FIX_CUT, .why = BAD_NODE_READ, .ptr = ptr,
		.key = expect.low, .last = expect.last, .value = expect.level,
	};
	struct owfs_buf *buf;
	int ret = owfs_buf_read(sv->ck->bc, &ptr, &owfs_node_buf_ops, &expect,
				&buf);

	if (!ret)
		owfs_buf_put(buf);
	if (!ret)
		return 1;
	return ret == -ENOMEM ? ret : note_lost(sv, &lost);
}

static int take(struct salvage *sv, struct stray *s);

/* What a node leads to comes with it; what cannot be read of it is noted. */
static int take_below(struct salvage *sv, const struct stray *s)
{
	struct stray *child;
	struct owfs_buf *buf;
	unsigned int i;
	int ret = stray_read(&sv->st, s, &buf);

	if (ret)
		return ret;
	for (i = 0; i < owfs_node_nitems(buf->b_data) && ret >= 0; i++) {
		struct owfs_ptr ptr = owfs_branch_ptr(buf->b_data, i);

		ret = is_sound_child(sv, buf->b_data, i);
		child = ret == 1 ? stray_at(&sv->st, &ptr) : NULL;
		if (!child || child->taken || child->level + 1 != s->level)
			continue;
		ret = take(sv, child);
	}
	owfs_buf_put(buf);
	return ret < 0 ? ret : 0;
}

static int take(struct salvage *sv, struct stray *s)
{
	s->taken = true;
	return s->level ? take_below(sv, s) : stray_claim(&sv->st, s);
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

/* A branch comes without those of its children that cannot be read. */
static int take_with_children(struct salvage *sv, struct stray *s)
{
	size_t i = sv->nlost;
	int ret = take(sv, s);

	for (; i < sv->nlost && !ret; i++)
		ret = cut(sv, &sv->lost[i]);
	return ret;
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
	return ret ? ret : take_with_children(sv, s);
}

static bool has_root_inode(struct owfs_fs *fs)
{
	struct owfs_key key = owfs_key(OWFS_INO_ROOT, OWFS_ITEM_INODE, 0);
	char byte;

	return tree_get(fs, key, &byte, 1) != -ENOENT;
}

/*
 * A tree without any item is none, and suspects have names that lead to them:
 * both want a root directory.
 */
static int plant(struct salvage *sv, const struct suspects *sus)
{
	const struct fix root = { .kind = FIX_ROOT };

	if (sv->fs->fs_bt && !owfs_btree_is_empty(sv->fs->fs_bt) &&
	    (!sus->n || has_root_inode(sv->fs)))
		return 0;
	owfs_msg(sv->ck->param->msg, OWFS_MSG_WARN,
		 "given up: inode 1: it is lost, and a new root directory is made: path=/");
	return names_apply(sv->fs, &root);
}

/* Was it there before what ought to be in the place of this lost leaf? */
static bool is_before(const struct stray *s, const struct fix *hole)
{
	return !hole->value && hole->why == BAD_NODE_READ &&
	       s->ptr.birth < hole->ptr.birth && s->ptr.csum != hole->ptr.csum;
}

/*
 * In the place of a leaf that cannot be read another that was born before it is
 * what was there earlier.  A leaf that is linked twice says nothing of what it took
 * the place of.
 */
static bool is_older(struct salvage *sv, const struct stray *s,
		     const struct fix *hole)
{
	return !s->level && (s->old || is_before(s, hole) ||
			     lost_leaves_newer(&sv->newer, s));
}

/* The next of @level that lies in a hole, from *@i on, where they begin there. */
static struct stray *next_in(const struct salvage *sv, unsigned int level,
			     const struct fix *hole, size_t *i)
{
	struct stray *s;

	while (*i < sv->st.n) {
		s = &sv->st.v[(*i)++];
		if (s->level != level || owfs_key_cmp(&s->first, &hole->last) > 0)
			return NULL;
		if (lies_in(s, hole))
			return s;
	}
	return NULL;
}

static int fill_level(struct salvage *sv, unsigned int level,
		      const struct fix *hole, size_t *saved)
{
	size_t i = strays_from(&sv->st, level, &hole->key);
	struct stray *s;
	int ret = 0;

	while (!ret && (s = next_in(sv, level, hole, &i))) {
		/* what a branch that was hung in leads to is what it says */
		s->apart = !s->taken && is_older(sv, s, hole);
		if (s->apart || collides(sv, s) || s->taken)
			continue;
		ret = adopt(sv, s);
		*saved += s->taken;
	}
	return ret;
}

/* What is lost below the branches that came says which leaves are older. */
static int fill(struct salvage *sv, const struct fix *hole, size_t *saved)
{
	unsigned int level = (unsigned int)hole->value;
	size_t from = sv->nlost;
	int ret = 0;

	*saved = 0;
	memset(sv->level, 0, sizeof(sv->level));
	for (; level && !ret; level--)
		ret = fill_level(sv, level, hole, saved);
	if (!ret)
		ret = lost_leaves_find(&sv->newer, sv->lost, from, sv->nlost);
	if (!ret)
		ret = fill_level(sv, 0, hole, saved);
	lost_leaves_free(&sv->newer);
	return ret;
}

/* Which keys the leaves that were hung in again have. */
static int find_covered(const struct salvage *sv, struct key_ranges *kr)
{
	struct key_range *last;
	size_t i;

	kr->n = 0;
	kr->v = calloc(sv->st.n + 1, sizeof(*kr->v));
	if (!kr->v)
		return -ENOMEM;
	for (i = 0; i < sv->st.n; i++) {
		const struct stray *s = &sv->st.v[i];

		if (s->level || !s->taken)
			continue;
		last = kr->n ? &kr->v[kr->n - 1] : NULL;
		if (!last || owfs_key_cmp(&last->last, &s->first) < 0)
			kr->v[kr->n++] = (struct key_range){ s->first, s->last };
		else if (owfs_key_cmp(&last->last, &s->last) < 0)
			last->last = s->last;
	}
	return 0;
}

/* The commit before, as long as it is that. */
static int ask_before(struct salvage *sv, const struct fix *hole, size_t n,
		      struct suspects *sus, struct outcome *out)
{
	struct key_ranges covered;
	size_t i;
	int ret = find_covered(sv, &covered);

	for (i = 0; i < n && !ret; i++)
		if (hole[i].value || !out[i].saved)
			ret = fix_older(sv->ck, sv->fs, &hole[i],
					&sv->st.claims, &covered, sus, &out[i]);
	free(covered.v);
	return ret;
}

static int cmp_birth(const void *a, const void *b)
{
	const struct stray *const *x = a, *const *y = b;

	return (*x)->ptr.birth > (*y)->ptr.birth ? -1 :
	       (*x)->ptr.birth < (*y)->ptr.birth;
}

static size_t find_apart(struct salvage *sv, const struct fix *hole,
			 struct stray **leaf)
{
	size_t i = strays_from(&sv->st, 0, &hole->key), n = 0;
	struct stray *s;

	while ((s = next_in(sv, 0, hole, &i))) {
		if (s->apart)
			leaf[n++] = s;
		s->apart = false;
	}
	return n;
}

/*
 * Of older leaves the newest first.  Items lie where they belong, which no leaf
 * can be hung in over: that is last.
 */
static int take_apart(struct salvage *sv, const struct fix *hole, size_t n,
		      const struct outcome *out, struct suspects *sus)
{
	struct stray **leaf = sv->leaf;
	size_t i, found = 0;
	int ret = 0;

	for (i = 0; i < n; i++)
		if (!out[i].whole)
			found += find_apart(sv, &hole[i], &leaf[found]);
	if (found)
		qsort(leaf, found, sizeof(struct stray *), cmp_birth);
	for (i = 0; i < found && !ret; i++) {
		leaf[i]->taken = true;
		ret = fix_older_leaf(sv->ck, sv->fs, &leaf[i]->ptr,
				     &sv->st.claims, sus);
	}
	/* before, each would have found its own blocks claimed */
	for (i = 0; i < found && !ret; i++)
		ret = stray_claim(&sv->st, leaf[i]);
	return ret;
}

/*
 * Inodes that begin in a hole are missed where they are named.  One that begins
 * before it is not, and may have lost items that nothing counts.
 */
static void tell(struct salvage *sv, const struct fix *hole,
		 const struct outcome *out)
{
	owfs_ino_t first = owfs_key_ino(&hole->key);
	char path[1024];

	if (!hole->value && !out->saved && !out->named &&
	    owfs_key_type(&hole->key) > OWFS_ITEM_INODE) {
		path_of(sv->ck, first, path, sizeof(path));
		owfs_msg(sv->ck->param->msg, OWFS_MSG_WARN,
			 "given up: inode %" PRIu64
			 ": what it had in a node that is lost: path=%s",
			 first, path);
	}
	owfs_msg(sv->ck->param->msg, OWFS_MSG_WARN,
		 "given up: a node at level %u, from inode %" PRIu64 " to %"
		 PRIu64 "; saved from below it: nodes=%zu",
		 (unsigned int)hole->value, first, owfs_key_ino(&hole->last),
		 out->saved);
}

/*
 * Some holes in one generation.  A neighbour takes over the range of what is cut
 * off, so all of them have to go before anything is hung in.  @first: nothing was
 * committed yet, and the commit before is what it was.
 */
static int mend_holes(struct salvage *sv, const struct fix *hole, size_t n,
		      bool first)
{
	struct outcome *out = calloc(n, sizeof(*out));
	const owfs_gen_t gen = sv->fs->fs_super.root[0].gen;
	struct suspects sus = { NULL, 0 };
	size_t i;
	int ret;

	if (!out)
		return -ENOMEM;
	OWFS_RETRY(sv->fs, ret, cut(sv, &hole[0]));
	first &= sv->fs->fs_super.root[0].gen == gen;
	for (i = 1; i < n && !ret; i++)
		ret = cut(sv, &hole[i]);
	for (i = 0; i < n && !ret; i++)
		ret = fill(sv, &hole[i], &out[i].saved);
	if (!ret && first)
		ret = ask_before(sv, hole, n, &sus, out);
	if (!ret)
		ret = take_apart(sv, hole, n, out, &sus);
	if (!ret)
		ret = plant(sv, &sus);
	if (!ret)
		ret = suspects_name(sv->fs, &sus);
	if (ret)	/* what is half done must not be committed */
		owfs_commit_poison(sv->fs, ret);
	else
		ret = owfs_commit_force(sv->fs);
	for (i = 0; i < n && !ret; i++)
		tell(sv, &hole[i], &out[i]);
	for (i = 0; i < sv->nlost && !ret; i++)
		tell(sv, &sv->lost[i], &(struct outcome){ .saved = 0 });
	sv->nlost = 0;
	sv->ck->fixes->applied += !ret;
	sv->ck->fixes->salvaged |= !ret;
	free(out);
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
 * All at once if there is room, so that the commit before can still be used; else
 * those that have to be.
 */
static int mend_all(struct salvage *sv, const struct fixlist *l)
{
	struct fixes *fx = sv->ck->fixes;
	bool at_once = !fx->small_steps;
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

static int make_room(struct salvage *sv)
{
	sv->leaf = calloc(sv->st.n + 1, sizeof(*sv->leaf));
	return sv->leaf ? 0 : -ENOMEM;
}

int fix_holes(struct check *ck)
{
	const struct fixlist *l = &ck->fixes->list[FIX_HOLES];
	struct salvage sv = { .ck = ck };
	int ret = strays_find(&sv.st, ck);

	if (!ret)
		ret = strays_judge(&sv.st);
	if (!ret)
		ret = make_room(&sv);
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
	strays_free(&sv.st);
	free(sv.lost);
	free(sv.leaf);
	return ret;
}
