/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of what is in flight: a sorted list, because an inode has few
 * writes in flight at a time, and nearly always exactly one.
 */
#include <assert.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/util.h"
#include "file/staging.h"
#include "trans/commit.h"

struct owfs_staging {
	struct owfs_staged *head;
	struct owfs_staged *idle;	/* runs of who came to nothing */
};

static owfs_fileoff_t staged_end(const struct owfs_staged *st)
{
	return st->off + st->len;
}

int owfs_staging_alloc(struct owfs_fs *fs, owfs_fsblock_t goal, uint64_t want,
		       enum owfs_resv_class class, owfs_fsblock_t *fsblock,
		       uint64_t *len)
{
	int ret = owfs_commit_start_run(fs);	/* data will be written there (T2) */

	if (ret)
		return ret;
	while ((ret = owfs_room_take(fs, want, class))) {
		if (ret != -EAGAIN || want == 1)
			return ret;
		want /= 2;
	}
	ret = owfs_alloc_data(fs->fs_al, goal, want, fsblock, len);
	if (ret)
		*len = 0;
	if (*len < want)
		owfs_alloc_unreserve(fs->fs_al, want - *len);
	return owfs_fs_check_map(fs, ret);
}

/* ---------------------------------------------------------------- pieces */

static void run_give_back(struct owfs_fs *fs, const struct owfs_staged_run *run,
			  uint64_t len)
{
	if (!run->in_place)
		owfs_alloc_unstage(fs->fs_al, run->fsblock, len, false);
}

/* Whatever becomes of the newest run, those before it were never mapped. */
static void runs_free_older(struct owfs_fs *fs, struct owfs_staged *st,
			    bool give_back)
{
	struct owfs_staged_run *run;

	while ((run = st->run.older)) {
		st->run.older = run->older;
		if (give_back)
			run_give_back(fs, run, st->len);
		free(run);
	}
}

static void staged_free_one(struct owfs_fs *fs, struct owfs_staged *st,
			    bool give_back)
{
	runs_free_older(fs, st, true);
	if (give_back)
		run_give_back(fs, &st->run, st->len);
	owfs_resv_give(fs, &st->resv);
	free(st);
}

void owfs_staged_free(struct owfs_fs *fs, struct owfs_staged *list,
		      bool give_back)
{
	struct owfs_staged *st;

	while ((st = list)) {
		list = st->next;
		staged_free_one(fs, st, give_back);
	}
}

void owfs_staged_take_resv(struct owfs_staged *list, struct owfs_resv *resv)
{
	for (; list; list = list->next) {
		resv->nodes += list->resv.nodes;
		resv->blocks += list->resv.blocks;
		list->resv = (struct owfs_resv){ 0 };
	}
}

/* A copy of @st's older runs, @skip blocks into each. */
static int runs_copy_older(struct owfs_fs *fs, struct owfs_staged *to,
			   const struct owfs_staged *st, uint64_t skip)
{
	struct owfs_staged_run **tail = &to->run.older;
	const struct owfs_staged_run *run;

	*tail = NULL;
	for (run = st->run.older; run; run = run->older) {
		*tail = malloc(sizeof(**tail));
		if (!*tail) {
			runs_free_older(fs, to, false);
			return -ENOMEM;
		}
		**tail = *run;
		(*tail)->fsblock += skip;
		(*tail)->older = NULL;
		tail = &(*tail)->older;
	}
	return 0;
}

/*
 * Cut @st in two at @at, inside it.  The left one keeps the reservation: an
 * ioend that finds too little takes more.
 */
static int staged_split(struct owfs_inode *inode, struct owfs_staged *st,
			owfs_fileoff_t at)
{
	const uint64_t skip = at - st->off;
	const uint64_t bytes = at * inode->i_fs->fs_geo.blocksize;
	struct owfs_staged *right = malloc(sizeof(*right));
	int ret;

	if (!right)
		return -ENOMEM;
	*right = *st;
	ret = runs_copy_older(inode->i_fs, right, st, skip);
	if (ret) {
		free(right);
		return ret;
	}
	right->off = at;
	right->len = st->len - skip;
	right->run.fsblock += skip;
	right->resv = (struct owfs_resv){ 0 };
	if (right->size <= bytes)
		right->size = 0;
	st->len = skip;
	st->size = min_u64(st->size, bytes);
	st->next = right;
	return 0;
}

/* -------------------------------------------------------------- the table */

/* The first piece that ends after @off. */
static struct owfs_staged **table_search(struct owfs_inode *inode,
					 owfs_fileoff_t off)
{
	struct owfs_staged **p = &inode->i_staging->head;

	while (*p && staged_end(*p) <= off)
		p = &(*p)->next;
	return p;
}

/* No piece shall lie across @at. */
static int table_split(struct owfs_inode *inode, owfs_fileoff_t at)
{
	struct owfs_staged *st = *table_search(inode, at);

	return st && st->off < at ? staged_split(inode, st, at) : 0;
}

static void table_trim(struct owfs_inode *inode)
{
	if (inode->i_staging && !inode->i_staging->head &&
	    !inode->i_staging->idle) {
		free(inode->i_staging);
		inode->i_staging = NULL;
	}
}

bool owfs_staging_covers_locked(struct owfs_inode *inode, owfs_fileoff_t off,
				owfs_fileoff_t *until)
{
	const struct owfs_staged *st =
		inode->i_staging ? *table_search(inode, off) : NULL;

	*until = UINT64_MAX;
	if (!st)
		return false;
	*until = st->off > off ? st->off : staged_end(st);
	return st->off <= off;
}

bool owfs_staging_covers(struct owfs_inode *inode, owfs_fileoff_t off,
			 owfs_fileoff_t *until)
{
	bool ret;

	pthread_mutex_lock(&inode->i_map_lock);
	ret = owfs_staging_covers_locked(inode, off, until);
	pthread_mutex_unlock(&inode->i_map_lock);
	return ret;
}

bool owfs_staging_only(struct owfs_inode *inode, owfs_fileoff_t off,
		       owfs_fsblock_t *fsblock)
{
	const struct owfs_staged *st;
	owfs_fileoff_t until;
	bool ret;

	pthread_mutex_lock(&inode->i_map_lock);
	ret = owfs_staging_covers_locked(inode, off, &until);
	if (ret) {
		st = *table_search(inode, off);
		*fsblock = st->run.fsblock + (off - st->off);
		ret = st->pending == 1 && !st->run.older && !st->run.in_place;
	}
	pthread_mutex_unlock(&inode->i_map_lock);
	return ret;
}

/* ------------------------------------------------------------------ begin */

static int table_add_fresh(struct owfs_inode *inode, owfs_fileoff_t off,
			   uint64_t len, const struct owfs_staged_run *run,
			   struct owfs_resv *resv)
{
	struct owfs_staged *st = malloc(sizeof(*st)), **p;

	if (!st)
		return -ENOMEM;
	p = table_search(inode, off);
	*st = (struct owfs_staged){
		.next = *p, .off = off, .len = len, .run = *run, .pending = 1,
		.resv = *resv,
	};
	*resv = (struct owfs_resv){ 0 };
	*p = st;
	return 0;
}

/* One more in flight on blocks that already are. */
static int table_add_over(struct owfs_inode *inode, owfs_fileoff_t off,
			  uint64_t len, const struct owfs_staged_run *run,
			  struct owfs_resv *resv)
{
	struct owfs_staged_run *older = malloc(sizeof(*older));
	struct owfs_staged *st;
	int ret = older ? table_split(inode, off) : -ENOMEM;

	if (!ret)
		ret = table_split(inode, off + len);
	if (ret) {
		free(older);
		return ret;
	}
	st = *table_search(inode, off);
	*older = st->run;
	st->run = *run;
	st->run.older = older;
	st->pending++;
	st->resv.nodes += resv->nodes;
	st->resv.blocks += resv->blocks;
	*resv = (struct owfs_resv){ 0 };
	return 0;
}

int owfs_staging_add(struct owfs_inode *inode, owfs_fileoff_t off, uint64_t len,
		     owfs_fsblock_t fsblock, bool in_place,
		     struct owfs_resv *resv)
{
	struct owfs_staged_run run = { .fsblock = fsblock, .in_place = in_place };
	owfs_fileoff_t until;
	int ret = -ENOMEM;
	bool over;

	if (!inode->i_staging)
		inode->i_staging = calloc(1, sizeof(*inode->i_staging));
	if (inode->i_staging) {
		over = owfs_staging_covers_locked(inode, off, &until);
		if (until < off + len || (over && in_place))
			ret = 1;
		else if (over)
			ret = table_add_over(inode, off, len, &run, resv);
		else
			ret = table_add_fresh(inode, off, len, &run, resv);
		table_trim(inode);
	}
	return ret;
}

/* ------------------------------------------------------------------ ioend */

unsigned int owfs_staging_peek(struct owfs_inode *inode, owfs_fileoff_t first,
			       owfs_fileoff_t end, struct owfs_resv *have,
			       unsigned int *runs)
{
	owfs_fileoff_t behind = UINT64_MAX;	/* the piece before */
	const struct owfs_staged *st;
	unsigned int n = 0;

	*have = (struct owfs_resv){ 0 };
	*runs = 0;
	pthread_mutex_lock(&inode->i_map_lock);
	st = inode->i_staging ? *table_search(inode, first) : NULL;
	for (; st && st->off < end; st = st->next) {
		n++;
		*runs += st->off != behind;
		behind = staged_end(st);
		/* a piece that will be cut may leave its reservation behind */
		if (st->pending > 1 || st->off < first || staged_end(st) > end)
			continue;
		have->nodes += st->resv.nodes;
		have->blocks += st->resv.blocks;
	}
	pthread_mutex_unlock(&inode->i_map_lock);
	return n;
}

/* What the begin that was for nothing has of @st; NULL: it is not there. */
static struct owfs_staged_run *run_unused(struct owfs_staged *st,
					  const struct owfs_staging_news *news)
{
	const owfs_fsblock_t fsblock = news->fsblock + (st->off - news->off);
	struct owfs_staged_run *run;

	for (run = &st->run; run && run->fsblock != fsblock; run = run->older)
		;
	return run;
}

/* @run of @st is not its own any more. */
static void run_remove(struct owfs_staged *st, struct owfs_staged_run *run)
{
	struct owfs_staged_run *older = run->older, *newer = &st->run;

	if (run == &st->run && older) {
		*run = *older;
		free(older);
	} else if (run == &st->run) {
		*run = (struct owfs_staged_run){ NULL, OWFS_NOBLOCK, true };
	} else {
		while (newer->older != run)
			newer = newer->older;
		newer->older = older;
		free(run);
	}
}

/* Without memory @run goes back with the others, but is not the newest. */
static void run_make_older(struct owfs_staged *st)
{
	struct owfs_staged_run run = st->run, *older = run.older;

	if (!older)
		return;
	st->run.fsblock = older->fsblock;
	st->run.in_place = older->in_place;
	older->fsblock = run.fsblock;
	older->in_place = run.in_place;
}

static void run_set_aside(struct owfs_inode *inode, struct owfs_staged *st,
			  struct owfs_staged_run *run)
{
	struct owfs_staged *idle = malloc(sizeof(*idle));

	if (!idle) {
		if (run == &st->run)
			run_make_older(st);
		return;
	}
	*idle = (struct owfs_staged){
		.next = inode->i_staging->idle, .len = st->len,
		.run = { NULL, run->fsblock, run->in_place },
	};
	inode->i_staging->idle = idle;
	run_remove(st, run);
}

/* A begin less on @st, whose blocks are idle from now on. */
static bool staged_uncount(struct owfs_inode *inode, struct owfs_staged *st,
			   const struct owfs_staging_news *news)
{
	struct owfs_staged_run *run = run_unused(st, news);

	if (!run)
		return false;
	run_set_aside(inode, st, run);
	if (--st->pending)
		return false;
	/* nobody else has written anything there */
	st->failed |= !st->done;
	return true;
}

/* One ioend for @st; true if it was the last. */
static bool staged_count(struct owfs_inode *inode, struct owfs_staged *st,
			 const struct owfs_staging_news *news)
{
	const uint64_t bytes = staged_end(st) * inode->i_fs->fs_geo.blocksize;

	if (news->unused)
		return staged_uncount(inode, st, news);
	if (news->error) {
		st->failed = true;
	} else {
		st->done = true;
		st->size = max_u64(st->size, min_u64(news->size, bytes));
	}
	return --st->pending == 0;
}

int owfs_staging_end(struct owfs_inode *inode, owfs_fileoff_t first,
		     owfs_fileoff_t end, const struct owfs_staging_news *news,
		     struct owfs_staged **settled)
{
	struct owfs_staged **p, *st;
	int ret = 0;

	*settled = NULL;
	pthread_mutex_lock(&inode->i_map_lock);
	if (inode->i_staging) {
		ret = table_split(inode, first);
		if (!ret)
			ret = table_split(inode, end);
		p = table_search(inode, first);
		while (!ret && (st = *p) && st->off < end) {
			if (!staged_count(inode, st, news)) {
				p = &st->next;
				continue;
			}
			*p = st->next;
			st->next = NULL;
			*settled = st;
			settled = &st->next;
		}
		table_trim(inode);
	}
	pthread_mutex_unlock(&inode->i_map_lock);
	return ret;
}

/* The run of @st that is mapped when this one has been counted; NULL: none. */
static const struct owfs_staged_run *
run_to_map(struct owfs_staged *st, const struct owfs_staging_news *news)
{
	const struct owfs_staged_run *unused;

	if (st->pending > 1 || st->failed || news->error)
		return NULL;
	if (!news->unused)
		return &st->run;
	unused = run_unused(st, news);
	if (!unused || !st->done)
		return NULL;
	return unused == &st->run ? st->run.older : &st->run;
}

int owfs_staging_visit(struct owfs_inode *inode, owfs_fileoff_t first,
		       owfs_fileoff_t end, const struct owfs_staging_news *news,
		       owfs_settled_fn *fn, void *ctx)
{
	const struct owfs_staged_run *run;
	struct owfs_staged_run part;
	struct owfs_staged *st;
	owfs_fileoff_t off;
	int ret = 0;

	pthread_mutex_lock(&inode->i_map_lock);
	st = inode->i_staging ? *table_search(inode, first) : NULL;
	for (; st && st->off < end && !ret; st = st->next) {
		run = run_to_map(st, news);
		if (!run)
			continue;
		off = max_u64(st->off, first);
		part = *run;
		part.fsblock += off - st->off;
		ret = fn(ctx, off, min_u64(staged_end(st), end) - off, &part);
	}
	pthread_mutex_unlock(&inode->i_map_lock);
	return ret;
}

void owfs_staging_idle_free(struct owfs_inode *inode)
{
	struct owfs_staged *list = NULL;

	pthread_mutex_lock(&inode->i_map_lock);
	if (inode->i_staging) {
		list = inode->i_staging->idle;
		inode->i_staging->idle = NULL;
		table_trim(inode);
	}
	pthread_mutex_unlock(&inode->i_map_lock);
	owfs_staged_free(inode->i_fs, list, true);
}

/* --------------------------------------------------------------- forgetting */

void owfs_staging_drop(struct owfs_inode *inode, owfs_fileoff_t first,
		       owfs_fileoff_t end)
{
	struct owfs_staged **p, *st, *list = NULL;

	pthread_mutex_lock(&inode->i_map_lock);
	if (inode->i_staging) {
		p = table_search(inode, first);
		while ((st = *p) && st->off < end) {
			/* one that reaches out of the range has an owner yet */
			if (st->off < first || staged_end(st) > end) {
				p = &st->next;
				continue;
			}
			*p = st->next;
			st->next = list;
			list = st;
		}
		table_trim(inode);
	}
	pthread_mutex_unlock(&inode->i_map_lock);
	owfs_staged_free(inode->i_fs, list, true);
}

void owfs_staging_forget(struct owfs_inode *inode)
{
	owfs_staging_drop(inode, 0, UINT64_MAX);
	owfs_staging_idle_free(inode);
}
