/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * begin and ioend: where data goes, and the one transaction that makes it part
 * of the file.
 *
 * i_lock is held for reading while a begin looks at the mapping and stages,
 * for writing while an ioend remaps; neither waits for a commit with it held,
 * except where a reservation throttles.
 */
#include "base/err.h"
#include "base/util.h"
#include "file/access.h"
#include "file/attr.h"
#include "file/iomap.h"
#include "file/staging.h"
#include "file/wmap.h"
#include "object/extent.h"
#include "object/intent.h"

/* ------------------------------------------------------------------- read */

int owfs_iomap_read_locked(struct owfs_inode *inode, owfs_fileoff_t off,
			   uint64_t max, struct owfs_iomap *map)
{
	struct owfs_extent ext;
	owfs_fileoff_t until;
	int ret, doomed = owfs_intent_covers(inode, off, &until);

	if (doomed < 0)
		return doomed;
	max = min_u64(max, until - off);
	*map = (struct owfs_iomap){
		.off = off, .len = max, .type = OWFS_IOMAP_HOLE,
	};
	if (doomed)
		return 0;
	ret = owfs_extent_find(inode, off, off + max - 1, &ext);
	if (ret)
		return ret == -ENOENT ? 0 : ret;
	if (ext.off > off) {
		map->len = ext.off - off;
		return 0;
	}
	map->len = min_u64(max, owfs_extent_end(&ext) - off);
	map->fsblock = ext.fsblock + (off - ext.off);
	map->type = ext.flags & OWFS_EXTENT_UNWRITTEN ? OWFS_IOMAP_UNWRITTEN :
							OWFS_IOMAP_MAPPED;
	return 0;
}

int owfs_iomap_read(struct owfs_inode *inode, owfs_fileoff_t off, uint64_t max,
		    struct owfs_iomap *map)
{
	int ret;

	pthread_rwlock_rdlock(&inode->i_lock);
	ret = owfs_iomap_read_locked(inode, off, max, map);
	pthread_rwlock_unlock(&inode->i_lock);
	return ret;
}

/* ------------------------------------------------------------------ begin */

/* How much of what its ioend will map a begin reserves for. */
enum begin_part {
	BEGIN_ALONE,		/* its own run */
	BEGIN_FIRST,		/* the rest of the request, in as many as it has blocks */
	BEGIN_MORE,		/* nothing: the first one did */
};

/* What a begin found at its first block, for as far as it is the same. */
struct begin {
	owfs_fileoff_t off;
	uint64_t len;
	bool in_place;
	owfs_fsblock_t fsblock;		/* in place: the blocks; else near here */
	struct owfs_extent_cost cost;	/* of the ioend's transaction, with ... */
	unsigned int intents;		/* ... so many of these */
	uint64_t mapped;		/* of len, from the first on, have blocks now */
	enum owfs_resv_class class;
	enum begin_part part;
};

/*
 * Goes through the extents of [b->off, b->off + b->len): an unwritten one that
 * may be used in place begins or ends the run.
 */
static void begin_cut_at_unwritten(struct owfs_inode *inode,
				   const struct owfs_extent_edit *ed,
				   struct begin *b)
{
	const struct owfs_extent *ext;

	for (size_t i = 0; i < ed->old.n; i++) {
		ext = &ed->old.v[i];
		if (ext->off >= b->off + b->len)
			break;
		if (owfs_extent_end(ext) <= b->off ||
		    !owfs_extent_in_place_ok(inode->i_fs, ext))
			continue;
		if (ext->off > b->off) {
			b->len = ext->off - b->off;
			break;
		}
		b->in_place = true;
		b->fsblock = ext->fsblock + (b->off - ext->off);
		b->len = min_u64(b->len, owfs_extent_end(ext) - b->off);
		break;
	}
}

/* Blocks from the first on that have some, which a write replaces. */
static uint64_t begin_mapped(const struct owfs_extent_edit *ed,
			     const struct begin *b)
{
	owfs_fileoff_t at = b->off, end = b->off + b->len;
	const struct owfs_extent *ext;

	for (size_t i = 0; i < ed->old.n && at < end; i++) {
		ext = &ed->old.v[i];
		if (ext->off > at)
			break;
		at = max_u64(at, min_u64(owfs_extent_end(ext), end));
	}
	return at - b->off;
}

/* Behind what stands before it in the file, so that files lie in one piece. */
static owfs_fsblock_t begin_goal(const struct owfs_extent_edit *ed,
				 owfs_fileoff_t off)
{
	const struct owfs_extent *ext = ed->old.n ? &ed->old.v[0] : NULL;

	if (!ext || ext->off > off)
		return OWFS_NOBLOCK;
	return ext->fsblock + min_u64(ext->len, off - ext->off);
}

static int begin_look(struct owfs_inode *inode, struct begin *b)
{
	struct owfs_extent_edit ed;
	struct owfs_wstate w;
	owfs_fileoff_t until;
	bool staged;
	uint64_t len = b->len, pieces = b->part == BEGIN_FIRST ? len : 1;
	int ret, doomed;

	doomed = owfs_intent_covers(inode, b->off, &until);
	if (doomed < 0)
		return doomed;
	b->len = min_u64(b->len, until - b->off);
	staged = owfs_staging_covers(inode, b->off, &until);
	b->len = min_u64(b->len, until - b->off);
	owfs_wmap_find(inode, b->off, &w, &until);
	b->len = min_u64(b->len, until - b->off);
	staged |= w.placed;

	owfs_extent_edit_init(&ed, inode);
	ret = owfs_extent_edit_look(&ed, b->off, b->off + len);
	if (!ret) {
		b->fsblock = begin_goal(&ed, b->off);
		if (!doomed && !staged)
			begin_cut_at_unwritten(inode, &ed, b);
		if (!doomed && !staged)
			b->mapped = begin_mapped(&ed, b);
		b->cost = owfs_extent_edit_worst(&ed, b->off, b->off + len,
						 (unsigned int)pieces, 1);
		b->intents = owfs_inode_has_intents(inode) ? 3 : 0;
	}
	owfs_extent_edit_done(&ed);
	return ret;
}

int owfs_iomap_place(struct owfs_inode *inode, owfs_fileoff_t off,
		     uint64_t *len, bool *in_place, owfs_fsblock_t *fsblock)
{
	struct begin b = { .off = off, .len = *len };
	int ret = begin_look(inode, &b);

	*len = b.len;
	*in_place = b.in_place;
	*fsblock = b.fsblock;
	return ret;
}

/* Unwritten blocks of the file itself take one write at a time.  1: look again. */
static int begin_remember(struct owfs_inode *inode, const struct begin *b,
			  struct owfs_resv *resv)
{
	int ret = 1;

	pthread_mutex_lock(&inode->i_map_lock);
	if (!b->in_place ||
	    !owfs_wmap_has_placed(inode, b->off, b->off + b->len))
		ret = owfs_staging_add(inode, b->off, b->len, b->fsblock,
				       b->in_place, resv);
	pthread_mutex_unlock(&inode->i_map_lock);
	return ret;
}

/* 1: somebody was faster, look again. */
static int begin_stage(struct owfs_inode *inode, struct begin *b)
{
	struct owfs_fs *fs = inode->i_fs;
	struct owfs_resv resv = { 0 };
	int ret = 0;

	if (b->part != BEGIN_MORE)
		ret = owfs_extent_reserve(fs, &resv, b->cost, b->intents,
					  b->class);
	if (ret)
		return ret;
	if (!b->in_place)
		ret = owfs_staging_alloc(fs, b->fsblock, b->len, b->class,
					 &b->fsblock, &b->len);
	if (!ret) {
		ret = begin_remember(inode, b, &resv);
		if (ret && !b->in_place)
			owfs_alloc_unstage(fs->fs_al, b->fsblock, b->len, false);
	}
	if (ret)
		owfs_resv_give(fs, &resv);
	return ret;
}

/*
 * Where there is no room for more, there still is for what gives back as much
 * as it takes: for as far as the range is mapped.
 */
static int begin_try(struct owfs_inode *inode, struct begin *b)
{
	int ret = begin_stage(inode, b);

	if (ret != -EAGAIN || !b->mapped)
		return ret;
	b->len = min_u64(b->len, b->mapped);
	b->class = OWFS_RESV_REPLACING;
	return begin_stage(inode, b);
}

/* Caller holds i_lock. */
static int begin_locked(struct owfs_inode *inode, owfs_fileoff_t off,
			uint64_t len, enum begin_part part,
			struct owfs_iomap *map)
{
	const owfs_fileoff_t max = owfs_fileoff_max(inode->i_fs);
	struct begin b;
	int ret;

	if (off >= max)
		return -EFBIG;
	len = min_u64(len, min_u64(max - off, OWFS_IOEND_BLOCKS));
	do {
		b = (struct begin){
			.off = off, .len = len, .part = part,
			.class = OWFS_RESV_NORMAL,
		};
		ret = begin_look(inode, &b);
		if (!ret)
			ret = begin_try(inode, &b);
	} while (ret == 1);
	if (!ret)
		*map = (struct owfs_iomap){
			.off = off, .len = b.len, .fsblock = b.fsblock,
			.type = OWFS_IOMAP_UNWRITTEN,
		};
	return ret;
}

static int begin_write(struct owfs_inode *inode, owfs_fileoff_t off,
		       uint64_t len, enum begin_part part,
		       struct owfs_iomap *map)
{
	int ret;

	pthread_rwlock_rdlock(&inode->i_lock);
	ret = begin_locked(inode, off, len, part, map);
	pthread_rwlock_unlock(&inode->i_lock);
	return ret;
}

int owfs_iomap_begin_write_locked(struct owfs_inode *inode, owfs_fileoff_t off,
				  uint64_t len, struct owfs_iomap *map)
{
	return begin_locked(inode, off, len, BEGIN_ALONE, map);
}

int owfs_iomap_begin_write(struct owfs_inode *inode, owfs_fileoff_t off,
			   uint64_t len, struct owfs_iomap *map)
{
	return begin_write(inode, off, len, BEGIN_ALONE, map);
}

int owfs_iomap_begin_part(struct owfs_inode *inode, owfs_fileoff_t off,
			  uint64_t len, bool first, struct owfs_iomap *map)
{
	return begin_write(inode, off, len, first ? BEGIN_FIRST : BEGIN_MORE,
			   map);
}

/* ------------------------------------------------------------------ ioend */

/* One transaction's worth of an ioend. */
struct remap {
	struct owfs_inode *inode;
	struct owfs_ioend *io;
	owfs_fileoff_t first, end;
	struct owfs_extent_edit ed;
	struct owfs_resv resv;
	struct owfs_staged *list;	/* settled, to be mapped */
	struct owfs_access access;
};

/* Which of the two tables this ioend is about. */
static unsigned int settle_peek(struct remap *rm, struct owfs_resv *have,
				unsigned int *runs)
{
	*have = (struct owfs_resv){ 0 };
	if (rm->io->writeback)
		return owfs_wmap_peek(rm->inode, rm->first, rm->end, runs);
	return owfs_staging_peek(rm->inode, rm->first, rm->end, have, runs);
}

static struct owfs_staging_news news_of(const struct remap *rm, int error)
{
	const struct owfs_ioend *io = rm->io;

	return (struct owfs_staging_news){
		.size = (uint64_t)io->pos + io->written, .error = error,
		.unused = io->unused, .fsblock = io->fsblock,
		.off = (uint64_t)io->pos / rm->inode->i_fs->fs_geo.blocksize,
	};
}

static int settle_visit(struct remap *rm, owfs_settled_fn *fn)
{
	const struct owfs_staging_news news = news_of(rm, 0);

	if (rm->io->writeback)
		return owfs_wmap_visit(rm->inode, rm->first, rm->end, fn, rm);
	return owfs_staging_visit(rm->inode, rm->first, rm->end, &news, fn, rm);
}

static int settle_end(struct remap *rm, int error)
{
	const struct owfs_staging_news news = news_of(rm, error);

	if (rm->io->writeback)
		return owfs_wmap_end(rm->inode, rm->first, rm->end, news.size,
				     error, &rm->list);
	return owfs_staging_end(rm->inode, rm->first, rm->end, &news, &rm->list);
}

static int is_one(void *ctx, owfs_fileoff_t off, uint64_t len,
		  const struct owfs_staged_run *run)
{
	(void)ctx;
	(void)off;
	(void)len;
	(void)run;
	return 1;
}

static int plan_one(void *ctx, owfs_fileoff_t off, uint64_t len,
		    const struct owfs_staged_run *run)
{
	struct remap *rm = ctx;

	if (run->in_place)
		return owfs_extent_edit_convert(&rm->ed, off, len, run->fsblock);
	return owfs_extent_edit_map(&rm->ed, off, len, run->fsblock, 0);
}

static int remap_plan(struct remap *rm)
{
	int ret = settle_visit(rm, plan_one);

	return ret ? ret : owfs_extent_edit_prepare(&rm->ed);
}

/*
 * Read, reserve and plan: all that may fail and let the ioend be repeated, or
 * fail while all is still as it was.  1: there is something to do.
 */
static int remap_prepare(struct remap *rm)
{
	struct owfs_inode *inode = rm->inode;
	struct owfs_fs *fs = inode->i_fs;
	unsigned int n, runs, intents = 0;
	struct owfs_extent_cost cost;
	struct owfs_resv have;
	int ret;

	n = settle_peek(rm, &have, &runs);
	if (n == 0)
		return 0;
	ret = owfs_fs_writable(fs);
	if (!ret && !settle_visit(rm, is_one))
		return 1;	/* it only counts */
	if (!ret)
		ret = owfs_extent_edit_load(&rm->ed, rm->first, rm->end, 0);
	if (ret)
		return ret;
	cost = owfs_extent_edit_worst(&rm->ed, rm->first, rm->end, n, runs);
	if (owfs_inode_has_intents(inode))
		ret = owfs_intent_prepare(inode, rm->first, rm->end, n,
					  &intents);
	if (!ret && have.nodes < owfs_extent_nodes(fs, cost, intents))
		ret = owfs_extent_reserve(fs, &rm->resv, cost, intents,
					  OWFS_RESV_FREEING);
	if (!ret)
		ret = owfs_access_plan_attr(&rm->access, inode, NULL,
					    rm->io->kill);
	if (!ret)
		ret = owfs_access_reserve(&rm->access, &rm->resv,
					  OWFS_RESV_FREEING);
	if (!ret)
		ret = remap_plan(rm);
	return ret ? ret : 1;
}

/* Pieces one of whose writes failed keep their old mapping. */
static void remap_drop_failed(struct remap *rm)
{
	struct owfs_staged **p = &rm->list, *st;

	while ((st = *p)) {
		if (!st->failed) {
			p = &st->next;
			continue;
		}
		if (st->done)
			__atomic_store_n(&rm->inode->i_data_err, -EIO,
					 __ATOMIC_RELAXED);
		*p = st->next;
		st->next = NULL;
		owfs_staged_free(rm->inode->i_fs, st, true);
	}
}

static void remap_attr(struct remap *rm)
{
	struct owfs_attr *attr = &rm->inode->i_attr;
	struct owfs_staged *st;

	for (st = rm->list; st; st = st->next)
		attr->size = max_u64(attr->size, st->size);
	if (rm->io->stamp) {
		owfs_fs_now(rm->inode->i_fs, &attr->mtime);
		attr->ctime = attr->mtime;
	}
	attr->mode = owfs_attr_kill(attr->mode, rm->io->kill);
}

static int remap_apply(struct remap *rm, struct owfs_trans *tr)
{
	struct owfs_inode *inode = rm->inode;
	struct owfs_staged *st;
	int ret = owfs_extent_edit_apply(&rm->ed, tr);

	if (!ret)
		ret = owfs_access_apply(&rm->access, tr);
	for (st = rm->list; st && !ret; st = st->next)
		if (owfs_inode_has_intents(inode))
			ret = owfs_intent_cut(tr, inode, st->off,
					      st->off + st->len);
	if (ret)
		return ret;
	remap_attr(rm);
	return owfs_inode_store(tr, inode, false);
}

static int remap_trans(struct remap *rm)
{
	struct owfs_fs *fs = rm->inode->i_fs;
	struct owfs_staged *st;
	struct owfs_trans tr;
	int ret;

	owfs_trans_join(fs, &tr, &rm->resv);
	ret = remap_apply(rm, &tr);
	if (ret)
		owfs_trans_abort(&tr, ret, "ioend");
	ret = owfs_trans_end(&tr);
	for (st = rm->list; st && !rm->io->writeback; st = st->next)
		if (!st->run.in_place)
			owfs_wmap_yield(rm->inode, st->off, st->off + st->len);
	owfs_staged_free(fs, rm->list, false);
	return ret;
}

/* The ioend of [rm->first, rm->end) brings bad news: blocks go back. */
static int remap_fail(struct remap *rm, int err)
{
	struct owfs_staged *st;
	int ret = settle_end(rm, err);

	for (st = rm->list; st; st = st->next)
		st->failed = true;
	remap_drop_failed(rm);
	return ret;
}

/*
 * Caller holds i_lock for writing: no begin and no other ioend comes between
 * looking at the table and taking out of it.
 */
static int remap_locked(struct remap *rm)
{
	int ret = remap_prepare(rm);

	if (ret == 0 || ret == -EAGAIN)
		return ret;
	if (ret < 0) {
		remap_fail(rm, ret);
		return ret;
	}
	ret = settle_end(rm, 0);
	if (ret)
		return ret;
	/* before any piece is dropped: what is mapped may need all of it */
	owfs_staged_take_resv(rm->list, &rm->resv);
	remap_drop_failed(rm);
	return rm->list ? remap_trans(rm) : 0;
}

static int remap_range(struct owfs_inode *inode, struct owfs_ioend *io,
		       owfs_fileoff_t first, owfs_fileoff_t end)
{
	struct remap rm = {
		.inode = inode, .io = io, .first = first, .end = end,
	};
	int ret;

	owfs_extent_edit_init(&rm.ed, inode);
	owfs_access_init(&rm.access);
	pthread_rwlock_wrlock(&inode->i_lock);
	ret = io->error ? remap_fail(&rm, io->error) : remap_locked(&rm);
	io->newsize = inode->i_attr.size;
	pthread_rwlock_unlock(&inode->i_lock);
	owfs_resv_give(inode->i_fs, &rm.resv);
	owfs_access_done(&rm.access);
	owfs_extent_edit_done(&rm.ed);
	return ret;
}

int owfs_ioend(struct owfs_inode *inode, struct owfs_ioend *io)
{
	const uint32_t bs = inode->i_fs->fs_geo.blocksize;
	owfs_fileoff_t end = div_round_up((uint64_t)io->pos + io->written, bs);
	owfs_fileoff_t first = (uint64_t)io->pos / bs, next;
	struct owfs_ioend part = *io;
	int ret = 0, err;

	for (; first < end; first = next) {
		next = min_u64(first + OWFS_IOEND_BLOCKS, end);
		err = remap_range(inode, &part, first, next);
		if (err == -EAGAIN)
			return err;
		if (err && !ret)
			ret = part.error = err;	/* the rest goes back, too */
	}
	io->newsize = part.newsize;
	return ret;
}

int owfs_iomap_ioend(struct owfs_inode *inode, loff_t pos, uint64_t written,
		     int error, uint64_t *newsize)
{
	struct owfs_ioend io = { .pos = pos, .written = written, .error = error };
	int ret;

	if (pos < 0 || written > OWFS_FILE_BYTES_MAX - (uint64_t)pos)
		return -EFBIG;
	ret = owfs_ioend(inode, &io);
	if (ret && ret != -EAGAIN && !error)
		__atomic_store_n(&inode->i_data_err, ret, __ATOMIC_RELAXED);
	if (newsize) {
		pthread_rwlock_rdlock(&inode->i_lock);
		*newsize = inode->i_attr.size;
		pthread_rwlock_unlock(&inode->i_lock);
	}
	return ret;
}
