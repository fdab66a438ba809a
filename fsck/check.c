/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The order of the passes, and what each of them needs to speak and to stop. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/util.h"
#include "fsck.h"
#include "tree/node.h"

#define MAX_LINES	20
#define LOWER_LINES	100	/* of detail from the floors below */
#define CACHE_BYTES	(4u << 20)

/* The line as it is said. */
static void compose(const struct check *ck, char *line, size_t size,
		    enum owfs_problem what, const char *kind, uint64_t id,
		    const char *detail)
{
	snprintf(line, size, "%s%s %" PRIu64 ": %s: %s",
		 ck->root == &ck->sb.root[1] ? "commit before the last: " : "",
		 kind, id, owfs_problem_info(what)->text, detail);
}

unsigned int check_max_lines(const struct check *ck)
{
	return ck->param->max_lines ? ck->param->max_lines : MAX_LINES;
}

static void say(struct check *ck, enum owfs_problem what, const char *line)
{
	unsigned int max = check_max_lines(ck);

	/* what is asked about, or was given up, is never left out */
	if (ck->lines[what]++ < max || ck->fixes)
		owfs_msg(ck->param->msg, OWFS_MSG_ERROR, "%s", line);
}

bool problem(struct check *ck, enum owfs_problem what, const char *kind,
	     uint64_t id, const char *fmt, ...)
{
	struct owfs_check_report *r = ck->report;
	char detail[640], *line = ck->line;
	va_list ap;

	r->count[what]++;
	r->problems++;
	va_start(ap, fmt);
	vsnprintf(detail, sizeof(detail), fmt, ap);
	va_end(ap);
	compose(ck, line, sizeof(ck->line), what, kind, id, detail);
	if (r->problems == 1)
		snprintf(r->first, sizeof(r->first), "%s", line);
	if (!ck->fixes || fixes_is_news(ck->fixes, line))
		say(ck, what, line);
	if (!ck->fixes)
		return false;
	/* one answer for all of that commit */
	if (ck->root == &ck->sb.root[1]) {
		ck->map_before_bad |= what == BAD_MAP_READ ||
				      what == BAD_MAP_FREE;
		return false;
	}
	return fixes_answer(ck->fixes, what, line);
}

/* The floors below say what exactly is wrong with a block; not for ever. */
static void lower_emit(void *ctx, enum owfs_msg_level level, const char *line)
{
	struct check *ck = ctx;

	if (!ck->mute && ck->lower_lines++ < LOWER_LINES)
		owfs_msg(ck->param->msg, level, "%s", line);
}

int check_progress(struct check *ck, unsigned int pass, uint64_t done,
		   uint64_t total)
{
	const struct owfs_check_param *p = ck->param;

	if (!p->progress)
		return 0;
	return p->progress(p->progress_ctx, pass, done, total) ? -ECANCELED : 0;
}

static void tell_suppressed(const struct check *ck)
{
	unsigned int max = check_max_lines(ck), i;

	for (i = 0; i < OWFS_PROBLEM_KINDS; i++)
		if (ck->lines[i] > max && !ck->fixes)
			owfs_msg(ck->param->msg, OWFS_MSG_ERROR,
				 "and %u more: %s", ck->lines[i] - max,
				 owfs_problem_info(i)->text);
}

/* ---------------------------------------------------------------- a commit */

int check_open_tree(struct check *ck, const struct owfs_root *root,
		    struct owfs_btree **btp)
{
	const struct owfs_btree_param p = {
		.bc = ck->bc,
		.owner = OWFS_TREE_MAIN,
		.root = root->tree,
		.level = root->level,
		.open_gen = root->gen + 1,
	};

	return owfs_btree_open(btp, &p);
}

static void clear_report(struct check *ck)
{
	struct owfs_check_report *r = ck->report;

	r->gen = ck->root->gen;
	r->nodes = r->items = 0;
	r->files = r->dirs = r->symlinks = r->others = r->orphans = 0;
	r->extents = r->data_blocks = r->used_blocks = 0;
	r->free_blocks = ck->root->map.free_blocks;
}

static int run_passes(struct check *ck)
{
	int ret = pass2_tree(ck);

	if (ret)
		return ret;
	if (ck->holes)
		owfs_msg(ck->param->msg, OWFS_MSG_WARN,
			 "part of the tree is missing: names, and what could be free, are not checked");
	else
		ret = pass4_names(ck);
	if (!ret)
		ret = pass5_space(ck);
	return ret ? ret : tell_owners(ck);
}

/*
 * Whether to go back is a question only where the last commit has holes, and
 * may have been torn: after an unmount, or when errors are on record, it was
 * complete once, so what is lost of it was lost later, and what is left is
 * worth more than the commit before.  A repair puts itself on record first.
 */
static void judge_before(struct check *ck)
{
	struct owfs_check_param p = *ck->param;
	struct owfs_check_report r;

	if (!ck->holes || !ck->sb.root[1].gen ||
	    (ck->sb.state & (OWFS_STATE_CLEAN | OWFS_STATE_ERROR)))
		return;
	p.commits = OWFS_CHECK_PREVIOUS;
	p.msg = NULL;
	/* the limit is the superblock's, and raised whatever becomes of this */
	if (owfs_check(ck->bd, &p, &r) ||
	    r.problems > r.count[BAD_INODE_LIMIT])
		return;
	if (problem(ck, BAD_COMMIT_LAST, "generation", ck->root->gen,
		    "before=%" PRIu64, ck->sb.root[1].gen))
		ck->fixes->go_back = true;
}

/*
 * Is the commit before worse than the last?  What is wrong with both, and
 * stays so, is no reason to give it up.
 */
static void compare_commits(struct check *ck, unsigned int here)
{
	if (ck->problems_before > here &&
	    problem(ck, BAD_COMMIT_BEFORE, "generation", ck->sb.root[1].gen,
		    "problems=%u", ck->problems_before))
		ck->fixes->previous = true;
}

static int run_commit(struct check *ck)
{
	unsigned int before = ck->report->problems;
	int ret = run_passes(ck);

	if (ret)
		return ret;
	before = ck->report->problems - before;
	if (ck->root == &ck->sb.root[1]) {
		ck->problems_before = before;
		return 0;
	}
	compare_commits(ck, before);
	if (!ck->fixes)
		return 0;
	judge_before(ck);
	return ck->fixes->err ? ck->fixes->err : ck->repair(ck);
}

static int check_commit(struct check *ck, const struct owfs_root *root)
{
	int ret;

	ck->root = root;
	ck->holes = false;
	ck->names_hashed = 0;
	clear_report(ck);
	usedmap_init(&ck->used, &ck->geo);
	usedmap_init(&ck->nodes, &ck->geo);
	usedmap_init(&ck->maybe, &ck->geo);
	usedmap_init(&ck->freed, &ck->geo);
	usedmap_init(&ck->shared, &ck->geo);
	usedmap_init(&ck->lost, &ck->geo);
	ret = check_open_tree(ck, root, &ck->bt);
	if (!ret)
		ret = run_commit(ck);
	owfs_btree_close(ck->bt);
	ck->bt = NULL;
	free(ck->broken);
	ck->broken = NULL;
	ck->nbroken = 0;
	pass3_free(ck);
	inotab_free(&ck->inos);
	usedmap_free(&ck->used);
	usedmap_free(&ck->nodes);
	usedmap_free(&ck->maybe);
	usedmap_free(&ck->freed);
	usedmap_free(&ck->shared);
	usedmap_free(&ck->lost);
	/* what is wrong with a copy the next commit shall hear, too */
	owfs_bufcache_shrink(ck->bc, true);
	ck->root = NULL;
	return ret;
}

/* ------------------------------------------------------------- all of them */

bool copy_mended(struct check *ck, const struct owfs_ptr *ptr, const void *data)
{
	const struct owfs_check_kept *kept = ck->param->kept;
	struct owfs_key first;

	if (!kept || !kept->mend || !owfs_node_nitems(data))
		return false;
	first = owfs_node_first(data);
	if (kept->mend(kept->ctx, ptr, owfs_node_level(data), &first))
		return false;
	owfs_msg(ck->param->msg, OWFS_MSG_WARN,
		 "node %" PRIu64 ": one of two copies was damaged: both were written anew",
		 ptr->addr[0]);
	ck->report->mended++;
	return true;
}

/* The reader found a bad first copy and went on with the second. */
static void first_copy_bad(void *ctx, const struct owfs_ptr *ptr,
			   const void *data, int bad_copy, int err)
{
	struct check *ck = ctx;

	if (copy_mended(ck, ptr, data))
		return;
	if (!problem(ck, BAD_NODE_COPY, "node", ptr->addr[bad_copy],
		     "other=%" PRIu64 ": %s", ptr->addr[!bad_copy],
		     strerror(-err)))
		return;
	/* the node itself comes next, and with it a key to find it by; or not */
	if (!ck->aside)
		ck->touch_next = true;
	else if (owfs_node_nitems(data))
		fix_touch(ck, owfs_node_first(data));
}

static int check_commits(struct check *ck)
{
	unsigned int which = ck->param->commits ? ck->param->commits
						: OWFS_CHECK_CURRENT;
	const struct owfs_root *root = ck->sb.root;
	int ret = 0;

	ck->copy = aligned_alloc(OWFS_IO_ALIGN, ck->sb.blocksize);
	if (!ck->copy)
		return -ENOMEM;
	ret = owfs_bufcache_create(&ck->bc, ck->bd, ck->sb.blocksize,
				   ck->sb.nblocks, ck->sb.csum_seed,
				   CACHE_BYTES, &ck->lower);
	if (ret)
		return ret;
	owfs_bufcache_one_thread(ck->bc);
	owfs_bufcache_on_repair(ck->bc, first_copy_bad, ck);
	if ((which & OWFS_CHECK_PREVIOUS) && root[1].gen)
		ret = check_commit(ck, &root[1]);
	if (!ret && (which & OWFS_CHECK_CURRENT))
		ret = check_commit(ck, &root[0]);
	return ret;
}

/* Names are hashed as the filesystem does it. */
static void prepare_hash(struct check *ck)
{
	ck->itable.it_hash_mask = ck->param->hash_mask ? ck->param->hash_mask
						       : UINT64_MAX;
	ck->fs.fs_itable = &ck->itable;
	ck->fs.fs_super = ck->sb;
}

int check_round(struct owfs_blkdev *bd, const struct owfs_check_param *param,
		struct owfs_check_report *report, struct fixes *fx,
		int (*repair)(struct check *ck), const struct owfs_env *env)
{
	struct check *ck = calloc(1, sizeof(*ck));
	int ret;

	memset(report, 0, sizeof(*report));
	if (!ck)
		return -ENOMEM;
	ck->param = param;
	ck->report = report;
	ck->bd = bd;
	ck->fixes = fx;
	ck->repair = repair;
	ck->env = env;
	ck->lower = (struct owfs_msg){
		.emit = lower_emit, .ctx = ck, .max_level = OWFS_MSG_WARN };
	ret = pass1_super(ck);
	if (!ret) {
		prepare_hash(ck);
		ret = check_commits(ck);
	}
	tell_suppressed(ck);
	owfs_bufcache_destroy(ck->bc);
	free(ck->copy);
	free(ck);
	return ret;
}

int owfs_check(struct owfs_blkdev *bd, const struct owfs_check_param *param,
	       struct owfs_check_report *report)
{
	return check_round(bd, param, report, NULL, NULL, NULL);
}
