/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The rounds of a repair, and what is done in one.
 *
 *	superblocks	nothing is found without them
 *	the space map	wherever it would give away what is in use
 *	nodes		so that the tree can be changed
 *	items		inode by inode
 *	names		inodes against entries
 *	the space map	exactly, when all owners are known
 *
 * The first of these with something to do is this round's commit.
 *
 * Where only what is safe is to be repaired, and something else is wrong too,
 * a repair must not take away what that needs:
 *
 *	a commit replaces the commit before the last, of which the items below a
 *	hole are, or to which all goes back; and with what forbids writing it
 *	would do damage: only superblocks are written then
 *
 *	the map of a group that is lost is made from what owns blocks, and an
 *	item that was left may own some: only superblocks, too
 *
 *	sums of an inode whose items are in doubt stay (fix.c), and so do link
 *	counts, parents and types while an entry may be among those items
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/util.h"
#include "fixer.h"
#include "repair.h"
#include "trans/commit.h"

/* A repair that has not ended by then goes round in circles. */
#define MAX_ROUNDS	64u
#define TEXT_MAX	256u
#define FULL_MAX	4096u	/* so many in a row found no room: nothing will */

struct repair {
	const struct owfs_repair_param *param;
	struct fixes fixes;
};

/* ------------------------------------------------------------- giving up */

static const char *item_name(unsigned int type)
{
	switch (type) {
	case OWFS_ITEM_SYMLINK:
		return "target";
	case OWFS_ITEM_XATTR:
		return "extended attribute";
	case OWFS_ITEM_XATTR_CHUNK:
		return "extended attribute's value";
	case OWFS_ITEM_DIRENT:
		return "entry";
	case OWFS_ITEM_EXTENT:
		return "extent";
	case OWFS_ITEM_INTENT:
		return "intent";
	case OWFS_ITEM_INODE:
		return "inode";
	default:
		return "item";
	}
}

static bool gives_up(const struct fix *f)
{
	return f->kind == FIX_DEL || f->kind == FIX_DEL_RANGE ||
	       f->kind == FIX_ENTRY || f->kind == FIX_UNMAP;
}

/* An extent, of which only that is left. */
static bool cuts_short(const struct fix *f)
{
	return f->kind == FIX_PUT && f->why == BAD_EXTENT_OVERLAP;
}

/* Of an inode, what somebody sees of it: not sums of what it has. */
static bool is_changed(const struct fix *f)
{
	return owfs_key_type(&f->key) == OWFS_ITEM_INODE &&
	       (f->kind == FIX_PUT ||
		(f->kind == FIX_ATTR && (f->attr == FIX_ATTR_MODE ||
					 f->why == BAD_EXTENT_EOF)));
}

/* A sum that does not fit shows who had items in a node that is lost. */
static bool has_lost(const struct check *ck, const struct fix *f)
{
	return ck->fixes->salvaged && f->kind == FIX_ATTR &&
	       (f->attr == FIX_ATTR_NBLOCKS || f->attr == FIX_ATTR_SIZE);
}

static const char *what_becomes(const struct fix *f)
{
	if (owfs_key_type(&f->key) == OWFS_ITEM_ORPHAN)
		return NULL;
	if (gives_up(f))
		return "given up";
	if (cuts_short(f))
		return "cut short";
	return is_changed(f) ? "changed" : NULL;
}

static void tell_once(struct check *ck, const char *line)
{
	if (fixes_is_news(ck->fixes, line))
		owfs_msg(ck->param->msg, OWFS_MSG_WARN, "%s", line);
}

/* The item at one key, for people: an entry by its name. */
static void describe(struct check *ck, const struct fix *f, char *buf, size_t size)
{
	unsigned int type = owfs_key_type(&f->key);
	int n = snprintf(buf, size, "%s: offset=%" PRIu64, item_name(type),
			 f->key.off);

	if (type == OWFS_ITEM_DIRENT && f->kind != FIX_DEL_RANGE)
		snprintf(buf + n, size - (size_t)n, " name=%s",
			 pass4_name_at(ck, &f->key).s);
}

/* What goes or is another is listed, whether it could have been read or not. */
static void tell_fate(struct check *ck, const struct fix *f)
{
	const char *fate = what_becomes(f);
	owfs_ino_t ino = owfs_key_ino(&f->key);
	bool lost = has_lost(ck, f);
	char path[1024], item[320], line[1400];

	if (!fate && !lost)
		return;
	path_of(ck, ino, path, sizeof(path));
	if (lost) {
		snprintf(line, sizeof(line), "given up: inode %" PRIu64
			 ": %s in a node that is lost: path=%s", ino,
			 f->attr == FIX_ATTR_SIZE ? "entries" : "extents", path);
		tell_once(ck, line);
	}
	if (fate) {
		describe(ck, f, item, sizeof(item));
		snprintf(line, sizeof(line), "%s: inode %" PRIu64 ": %s path=%s",
			 fate, ino, item, path);
		tell_once(ck, line);
	}
}

/* --------------------------------------------------------------- one list */

static int apply_one(struct check *ck, struct owfs_fs *fs, const struct fix *f)
{
	switch (f->kind) {
	case FIX_ENTRY:
	case FIX_LOST:
	case FIX_ROOT:
		return names_apply(fs, f);
	case FIX_COPY:
	case FIX_UNMAP:
		return data_apply(ck, fs, f);
	default:
		return tree_apply(fs, f);
	}
}

/* Fields are set to what was counted before entries are taken away. */
static bool is_turn(const struct fix *f, bool second)
{
	return second == (f->kind != FIX_PUT && f->kind != FIX_ATTR);
}

/* No room, or what a note was about is gone: that one waits, the others go on. */
static bool can_wait(int ret)
{
	return ret == -ENOSPC || ret == -ENOENT;
}

static void tell_unrepaired(struct check *ck, const struct fix *f, int err)
{
	char line[128];

	snprintf(line, sizeof(line), "inode %" PRIu64 ": cannot be repaired: %s",
		 owfs_key_ino(&f->key), strerror(-err));
	tell_once(ck, line);
}

static int apply_turn(struct check *ck, struct owfs_fs *fs,
		      const struct fixlist *l, bool second)
{
	unsigned int full = 0;
	size_t i;
	int ret;

	for (i = 0; i < l->n; i++) {
		if (!is_turn(&l->v[i], second))
			continue;
		ret = apply_one(ck, fs, &l->v[i]);
		if (ret && !can_wait(ret))
			return ret;
		ck->fixes->applied += !ret;
		full = ret == -ENOSPC ? full + 1 : 0;
		if (ret)
			tell_unrepaired(ck, &l->v[i], ret);
		/* each of them has waited for two commits */
		if (full == FULL_MAX)
			return 0;
		ret = check_progress(ck, 5, i, l->n);
		if (ret)
			return ret;
	}
	return 0;
}

static int apply_list(struct check *ck, const struct fixlist *l)
{
	struct owfs_fs *fs = NULL;
	size_t i;
	int ret;

	for (i = 0; i < l->n; i++)
		tell_fate(ck, &l->v[i]);
	ck->fixes->committed = true;
	ret = fix_open(ck, &fs);
	if (!ret)
		ret = apply_turn(ck, fs, l, false);
	if (!ret)
		ret = apply_turn(ck, fs, l, true);
	return fs ? fix_close(fs, ret) : ret;
}

/* --------------------------------------------------------------- one round */

static bool any_notes(const struct fixes *fx)
{
	return fx->list[FIX_HOLES].n || fx->list[FIX_NODES].n || fx->list[FIX_ITEMS].n ||
	       fx->list[FIX_NAMES].n;
}

static int raise_limit(struct check *ck)
{
	ck->sb.ino_limit = min_u64(ck->fixes->ino_limit, OWFS_INO_MAX + 1);
	return fix_super_write(ck);
}

static int move_commits(struct check *ck, const struct owfs_root *root)
{
	struct owfs_root keep = *root;
	owfs_gen_t gen;
	int ret = fix_claim(ck, &gen);

	return ret ? ret : fix_commit(ck, &keep, gen);
}

static int go_back(struct check *ck)
{
	int ret = back_tell(ck);

	return ret ? ret : move_commits(ck, &ck->sb.root[1]);
}

/* What must be right before anything is written elsewhere.  1: it is. */
static int apply_supers(struct check *ck)
{
	const struct owfs_slots *s = &ck->slots;
	struct fixes *fx = ck->fixes;
	int ret = 0;

	if (ck->report->count[BAD_SUPER_SHORT])
		return 0;
	if (ck->sb.ro_compat & ~OWFS_ROCOMPAT_KNOWN) {
		owfs_msg(ck->param->msg, OWFS_MSG_WARN,
			 "superblock: features that allow only reading: ro_compat=0x%" PRIx64
			 ": nothing is repaired", ck->sb.ro_compat);
		return 0;
	}
	if (s->bad > 1 && !fx->several)
		return 0;
	if (fx->slots & ~fx->unwritable)
		ret = fix_slots(ck);
	if (ret || fx->applied || (s->bad && !s->bad_is_due &&
				   !fix_slots_worn(ck)))
		return ret;
	/* first: whatever else is put on record would make an end of that */
	if (fx->go_back)
		return go_back(ck);
	return fx->ino_limit ? raise_limit(ck) : 1;
}

/* Names are what items say, and some of those may not be what they were. */
static bool is_withheld(const struct fixes *fx, int phase)
{
	return fx->only_safe && phase == FIX_NAMES && fx->refused_items;
}

/* Nobody looks, and a commit could cost what the rest of the repair needs. */
static bool must_not_commit(const struct check *ck)
{
	const struct fixes *fx = ck->fixes;
	bool map_lost = ck->report->count[BAD_MAP_READ] != 0;

	return fx->only_safe && (ck->holes || fx->refused_danger ||
				 (fx->refused_loss && map_lost));
}

/* Those of a phase for which there is no room do not keep the next one waiting. */
static int apply_notes(struct check *ck)
{
	struct fixes *fx = ck->fixes;
	int i, ret = 0;

	if (fx->list[FIX_HOLES].n)
		return fix_holes(ck);
	for (i = 0; i < FIX_PHASES && !ret && !fx->applied; i++)
		if (fx->list[i].n && !is_withheld(fx, i))
			ret = apply_list(ck, &fx->list[i]);
	return ret;
}

/* Nothing that waits would bring back what seems to belong to nobody. */
static bool only_copies(const struct fixes *fx)
{
	size_t i;
	int ph;

	for (ph = 0; ph < FIX_PHASES; ph++)
		for (i = 0; i < fx->list[ph].n; i++)
			if (fx->list[ph].v[i].kind != FIX_COPY)
				return false;
	return true;
}

/* Blocks are only set free when nothing is left that might have owned them. */
static int apply_map(struct check *ck)
{
	struct fixes *fx = ck->fixes;
	bool exact = !ck->holes && !fx->refused_loss;

	if (fx->map_bad || (exact && (fx->map_leak || fx->map_count)))
		return fix_map(ck, exact);
	/* ... and who looks may find there what is wrong with the last */
	if (fx->previous && !ck->holes && !(fx->only_safe && fx->refused))
		return move_commits(ck, &ck->sb.root[0]);
	return 0;
}

static int apply_problems(struct check *ck)
{
	struct fixes *fx = ck->fixes;
	int ret;

	ret = fix_collect_entries(ck);
	if (!ret)
		ret = fix_collect_unmaps(ck);
	if (!ret)
		ret = fx->err;
	if (ret || !fixes_pending(fx))
		return ret;
	ret = apply_supers(ck);
	if (ret != 1)
		return ret;
	/* a map that was not to be corrected would give away what is in use */
	if (fx->refused_map || must_not_commit(ck))
		return 0;
	/* ... and so would one that does not know of what was not to be cut off */
	if (ck->holes && fx->refused_hole && fx->map_bad)
		return 0;
	if (!any_notes(fx))
		return apply_map(ck);
	if (fx->map_bad)
		return fix_map(ck, false);
	/* there may be room in what nobody owns */
	if (fx->no_room && only_copies(fx)) {
		fx->no_room = false;
		return apply_map(ck);
	}
	ret = apply_notes(ck);
	if (!ret && !fx->applied && only_copies(fx) && fx->map_leak) {
		fx->no_room = true;	/* for the next round */
		fx->applied++;
	}
	return ret;
}

/*
 * When there is nothing more to do, the commit before the last is a state on
 * the way there: nobody shall fall back to it.
 */
static int apply_round(struct check *ck)
{
	struct fixes *fx = ck->fixes;
	int ret;

	back_tell_rest(ck);
	ret = apply_problems(ck);
	if (fx->applied) {
		fx->on_the_way |= fx->committed;
		return ret;
	}
	if (ret || !fx->on_the_way || ck->holes)
		return ret;
	fx->on_the_way = false;
	/* who looked for room has made commits, too */
	ret = owfs_super_read(ck->bd, &ck->sb, &ck->slots, &ck->lower);
	return ret ? ret : move_commits(ck, &ck->sb.root[0]);
}

/* ------------------------------------------------------------- all rounds */

/* It is clean, but not in every slot, for @err: a problem that was none before. */
static int count_unwritten(struct owfs_fs *fs, struct repair *rp,
			   struct owfs_check_report *left, int err)
{
	unsigned int i;

	for (i = 0; i < OWFS_SUPER_SLOTS; i++) {
		if (fs->fs_slots.slot[i].valid)
			continue;
		fix_tell_unwritable(&rp->fixes, rp->param->check.msg, i,
				    fs->fs_slots.slot[i].err);
		left->count[BAD_SUPER_SLOT]++;
		left->problems++;
	}
	return left->problems ? 0 : err;
}

/* All is well: say so on the device, unless it says so already. */
static int mark_clean(struct owfs_blkdev *bd, struct repair *rp,
		      struct owfs_repair_report *report)
{
	const struct owfs_fs_param p = {
		.bd = bd,
		.env = rp->param->env,
		.msg = rp->param->check.msg,
	};
	struct owfs_fs *fs;
	int ret;

	if (report->left.clean && !report->changed)
		return 0;
	ret = owfs_fs_open(&fs, &p);
	if (ret == -EROFS && !report->changed)
		return 0;	/* features that allow only reading */
	if (ret)
		return ret;
	ret = owfs_fs_writable(fs);
	if (!ret) {
		owfs_commit_forgive(fs);
		ret = owfs_fs_sync_and_clean(fs);
	}
	if (ret && fs->fs_super.state & OWFS_STATE_CLEAN)
		ret = count_unwritten(fs, rp, &report->left, ret);
	owfs_fs_close(fs);
	return ret;
}

static int run_rounds(struct owfs_blkdev *bd, struct repair *rp,
		      struct owfs_repair_report *report)
{
	struct owfs_check_param p = rp->param->check;
	struct fixes *fx = &rp->fixes;
	int ret;

	do {
		fixes_new_round(fx);
		p.commits = fx->on_the_way ? OWFS_CHECK_CURRENT
					   : rp->param->check.commits;
		ret = check_round(bd, &p, &report->left, fx, apply_round,
				  rp->param->env);
		/* of what was not looked at again nothing is known */
		if (!ret && report->changed)
			report->corrected = fixes_gone(fx);
		report->changed |= fx->applied != 0;
	} while (!ret && fx->applied && fx->round < MAX_ROUNDS);
	report->refused = fx->refused;
	return ret;
}

int owfs_repair(struct owfs_blkdev *bd, const struct owfs_repair_param *param,
		struct owfs_repair_report *report)
{
	struct repair rp = {
		.param = param,
		.fixes = {
			.seed = owfs_env_system.random(NULL),
			.ask = param->ask,
			.ask_ctx = param->ask_ctx,
			.only_safe = param->only_safe,
		},
	};
	int ret;

	memset(report, 0, sizeof(*report));
	ret = run_rounds(bd, &rp, report);
	if (!ret && !report->left.problems)
		ret = mark_clean(bd, &rp, report);
	fixes_free(&rp.fixes);
	return ret;
}
