/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See kmap.h: begin, but for stores. */
#include "base/err.h"
#include "base/util.h"
#include "file/cut.h"
#include "file/flags.h"
#include "file/kmap_impl.h"
#include "file/staging.h"
#include "trans/commit.h"

/* A mapping to read by is as long as what it tells of, up to so many blocks. */
#define READ_BLOCKS	(1ull << 32)

/* ---------------------------------------------------------------- reading */

bool owfs_kmap_keep(const struct owfs_kmap_rq *rq, const struct owfs_kmap *km)
{
	const struct owfs_kcache *kc = rq->inode->i_fs->fs_kcache;

	return kc && !kc->put(kc->ctx, rq->inode->i_ino, km);
}

void owfs_kmap_forget(struct owfs_inode *inode, uint64_t pos, uint64_t end)
{
	const struct owfs_kcache *kc = inode->i_fs->fs_kcache;
	const uint32_t bs = inode->i_fs->fs_geo.blocksize;

	end = min_u64(end, OWFS_FILE_BYTES_MAX);
	if (kc && pos < end)
		kc->forget(kc->ctx, inode->i_ino, pos / bs, div_round_up(end, bs));
}

static int begin_read(const struct owfs_kmap_rq *rq, struct owfs_kmap *km, bool keep)
{
	const uint64_t max = OWFS_FILE_BYTES_MAX /
			     rq->inode->i_fs->fs_geo.blocksize + 1;
	int ret;

	km->overwrite = true;
	if (rq->first >= max) {
		owfs_kmap_hole(&km->read, rq->first, rq->end - rq->first);
		return 0;
	}
	pthread_rwlock_rdlock(&rq->inode->i_lock);
	ret = owfs_iomap_read_locked(rq->inode, rq->first,
				     min_u64(READ_BLOCKS, max - rq->first),
				     &km->read);
	if (!ret && keep) {
		owfs_kmap_hole(&km->write, km->read.off, km->read.len);
		owfs_kmap_keep(rq, km);
	}
	pthread_rwlock_unlock(&rq->inode->i_lock);
	return ret;
}

/* Is anything of it on its way to other blocks? */
static bool is_moving(const struct owfs_kmap_rq *rq)
{
	owfs_fileoff_t until;

	return owfs_wmap_busy(rq->inode, rq->first, rq->end) ||
	       owfs_staging_covers(rq->inode, rq->first, &until) ||
	       until < rq->end;
}

/*
 * The kernel has the whole file written, and takes nothing but blocks.  It waits
 * for no direct write, and a page may be dirty again: not while that is so.
 */
static int begin_swap(const struct owfs_kmap_rq *rq, struct owfs_kmap *km)
{
	bool *swap = &rq->inode->i_swap;
	bool was = __atomic_exchange_n(swap, true, __ATOMIC_SEQ_CST);
	int ret = is_moving(rq) ? -EBUSY : begin_read(rq, km, false);

	if (ret && !was)
		__atomic_store_n(swap, false, __ATOMIC_RELAXED);
	return ret;
}

void owfs_kmap_swapoff(struct owfs_inode *inode)
{
	__atomic_store_n(&inode->i_swap, false, __ATOMIC_RELAXED);
}

/* What is not on the device yet is shown as such. */
static int begin_report(const struct owfs_kmap_rq *rq, struct owfs_kmap *km)
{
	struct owfs_wstate st;
	owfs_fileoff_t until;
	int ret = begin_read(rq, km, false);

	if (ret || km->read.type == OWFS_IOMAP_MAPPED)
		return ret;
	owfs_wmap_find(rq->inode, rq->first, &st, &until);
	km->read.len = min_u64(km->read.len, until - rq->first);
	if (st.reserved || st.placed)
		km->read.type = OWFS_IOMAP_DELALLOC;
	return 0;
}

/* ---------------------------------------------------------------- placing */

/* Behind the block before it, if that has a place and is in no extent yet. */
static void goal_of(const struct owfs_kmap_rq *rq, owfs_fsblock_t *goal)
{
	struct owfs_wstate st;
	owfs_fileoff_t until;

	if (!rq->first)
		return;
	owfs_wmap_find(rq->inode, rq->first - 1, &st, &until);
	if (st.placed)
		*goal = st.fsblock + 1;
}

/*
 * Blocks that are paid for; or others, since what was dirtied while on its way
 * will give back what it replaces.
 */
static int place_fresh(const struct owfs_kmap_rq *rq, bool paid, uint64_t *len,
		       owfs_fsblock_t *fsblock)
{
	struct owfs_fs *fs = rq->inode->i_fs;
	int ret;

	if (paid) {
		ret = owfs_commit_start_run(fs);
		if (!ret)
			ret = owfs_wmap_place_paid(rq->inode, rq->first, len,
						   fsblock);
		return owfs_fs_check_map(fs, ret);
	}
	ret = owfs_staging_alloc(fs, *fsblock, *len,
				 rq->op == OWFS_KMAP_WRITEBACK ?
				 OWFS_RESV_FREEING : OWFS_RESV_NORMAL, fsblock,
				 len);
	if (ret)
		return ret;
	ret = owfs_wmap_place(rq->inode, rq->first, *len, false, *fsblock,
			      false);
	if (ret)
		owfs_alloc_unstage(fs->fs_al, *fsblock, *len, false);
	return ret;
}

int owfs_kmap_place(const struct owfs_kmap_rq *rq, const struct owfs_wstate *st,
		      uint64_t *len, owfs_fsblock_t *fsblock)
{
	bool in_place;
	int ret = owfs_iomap_place(rq->inode, rq->first, len, &in_place,
				   fsblock);

	if (ret)
		return ret;
	if (in_place)
		return owfs_wmap_place(rq->inode, rq->first, *len, st->paid,
				       *fsblock, true);
	goal_of(rq, fsblock);
	return place_fresh(rq, st->paid, len, fsblock);
}

/* ----------------------------------------------------------- direct writes */

/* May the rest of a partly written block @off be taken for zeroes? */
static int is_untouched(const struct owfs_kmap_rq *rq, owfs_fileoff_t off, bool *yes)
{
	owfs_fileoff_t until;
	struct owfs_iomap map;
	int ret = owfs_iomap_read_locked(rq->inode, off, 1, &map);

	*yes = !ret && map.type != OWFS_IOMAP_MAPPED &&
	       !owfs_staging_covers(rq->inode, off, &until);
	return ret;
}

/*
 * A direct write asks again behind where its last answer ended, for all that is
 * left of it, and there is one at a time that does so.  What the kernel's cache
 * has of it, from stores that came to nothing, it does not ask for.
 */
static bool is_continued(const struct owfs_kmap_rq *rq)
{
	struct owfs_inode *inode = rq->inode;
	struct owfs_wstate before = { .cached = false };
	owfs_fileoff_t until;
	bool ret;

	pthread_mutex_lock(&inode->i_map_lock);
	ret = inode->i_direct_end == (uint64_t)rq->pos + rq->count &&
	      inode->i_direct_next && inode->i_direct_next <= (uint64_t)rq->pos;
	pthread_mutex_unlock(&inode->i_map_lock);
	if (!ret && rq->first && (uint64_t)rq->pos % inode->i_fs->fs_geo.blocksize == 0)
		owfs_wmap_find(inode, rq->first - 1, &before, &until);
	return ret || before.cached;
}

static void note_direct(struct owfs_inode *inode, uint64_t next, uint64_t end)
{
	pthread_mutex_lock(&inode->i_map_lock);
	inode->i_direct_next = next < end ? next : 0;
	inode->i_direct_end = next < end ? end : 0;
	pthread_mutex_unlock(&inode->i_map_lock);
}

void owfs_kmap_direct_over(struct owfs_inode *inode, uint64_t end)
{
	pthread_mutex_lock(&inode->i_map_lock);
	if (!end || inode->i_direct_end == end)
		inode->i_direct_next = inode->i_direct_end = 0;
	pthread_mutex_unlock(&inode->i_map_lock);
}

/*
 * The kernel writes what it was given to the new place and does not copy the
 * rest of a block from the old one; and it has written back what its page
 * cache had of the range, so what is dirty again is somebody else's, by a
 * mapping.  Such writes go through the page cache.
 */
static int check_direct(const struct owfs_kmap_rq *rq, bool head, bool tail)
{
	bool yes = true;
	int ret = 0;

	if (owfs_wmap_busy(rq->inode, rq->first, rq->end))
		return -ENOSYS;
	if (head)
		ret = is_untouched(rq, rq->first, &yes);
	if (!ret && yes && tail)
		ret = is_untouched(rq, rq->end - 1, &yes);
	return ret ? ret : yes ? 0 : -ENOSYS;
}

/*
 * Part of it is written already, and would be written over by what is left if
 * that went through the page cache: the kernel would begin there with it.  Who
 * has dirtied a page since it began might have done so a moment later.  If the
 * last block cannot be written in part any more it is not, and -ENOTBLK, the
 * kernel's own word for that, makes it a short write.
 */
static int check_rest(const struct owfs_kmap_rq *rq, bool tail, uint64_t *len)
{
	bool yes;
	int ret;

	if (!tail)
		return 0;
	ret = is_untouched(rq, rq->end - 1, &yes);
	if (ret || yes)
		return ret;
	return --*len ? 0 : -ENOTBLK;
}

/* What is untouched stays so until it is staged: nobody else begins or ends. */
static void lock_direct(struct owfs_inode *inode, bool alone)
{
	if (alone)
		pthread_rwlock_wrlock(&inode->i_lock);
	else
		pthread_rwlock_rdlock(&inode->i_lock);
}

static int begin_direct(const struct owfs_kmap_rq *rq, struct owfs_kmap *km)
{
	const uint32_t bs = rq->inode->i_fs->fs_geo.blocksize;
	const bool head = (uint64_t)rq->pos % bs;
	const bool tail = ((uint64_t)rq->pos + rq->count) % bs;
	uint64_t len = rq->end - rq->first;
	int ret;

	lock_direct(rq->inode, head || tail);
	ret = is_continued(rq) ? check_rest(rq, tail, &len) :
				 check_direct(rq, head, tail);
	if (!ret)
		ret = owfs_iomap_begin_write_locked(rq->inode, rq->first, len,
						    &km->write);
	pthread_rwlock_unlock(&rq->inode->i_lock);
	if (ret)
		return ret;
	note_direct(rq->inode, (km->write.off + km->write.len) * bs,
		    (uint64_t)rq->pos + rq->count);
	/* nothing is copied from there: any mapping of the range will do */
	owfs_kmap_hole(&km->read, km->write.off, km->write.len);
	return 0;
}

/* -------------------------------------------------------------- writeback */

/*
 * Places go to all that is dirty behind what is asked for, in one piece; the
 * answer has no more than that, since the kernel believes it for a whole pass.
 * Another pass may write what comes behind, and have it mapped, before this one
 * gets there.  Caller holds i_lock for reading.  1: look again.
 */
static int writeback_locked(const struct owfs_kmap_rq *rq, struct owfs_iomap *map)
{
	struct owfs_wstate st;
	owfs_fileoff_t until;
	uint64_t len, want = rq->end - rq->first;
	int ret = 0;

	owfs_wmap_find(rq->inode, rq->first, &st, &until);
	len = until - rq->first;
	if (st.placed) {
		/* its last begin came to nothing, and all that is dirty goes now */
		len = min_u64(len, want);
		owfs_wmap_clean(rq->inode, rq->first, rq->first + len);
		map->fsblock = st.fsblock;
	} else {
		len = min_u64(len, st.reserved ? OWFS_IOEND_BLOCKS : want);
		ret = owfs_kmap_place(rq, &st, &len, &map->fsblock);
	}
	map->off = rq->first;
	map->len = min_u64(len, want);
	map->type = OWFS_IOMAP_UNWRITTEN;
	return ret;
}

static int begin_writeback(const struct owfs_kmap_rq *rq, struct owfs_kmap *km)
{
	int ret;

	do {
		pthread_rwlock_rdlock(&rq->inode->i_lock);
		ret = writeback_locked(rq, &km->write);
		pthread_rwlock_unlock(&rq->inode->i_lock);
	} while (ret == 1);
	if (!ret)
		owfs_kmap_hole(&km->read, km->write.off, km->write.len);
	return ret;
}

/* ------------------------------------------------------------------ begin */

static int begin_once(const struct owfs_kmap_rq *rq, struct owfs_kmap *km)
{
	switch (rq->op) {
	case OWFS_KMAP_READ:
		return begin_read(rq, km, true);
	case OWFS_KMAP_SWAP:
		return begin_swap(rq, km);
	case OWFS_KMAP_REPORT:
		return begin_report(rq, km);
	case OWFS_KMAP_DIRECT:
		return begin_direct(rq, km);
	case OWFS_KMAP_WRITEBACK:
		return begin_writeback(rq, km);
	default:
		return owfs_kmap_store(rq, km);
	}
}

/*
 * What chattr(1) forbids; the kernel knows the flags only as they were.  A store
 * is stopped before it is made; what is written back was allowed then.
 */
static int may_store(struct owfs_inode *inode, enum owfs_kmap_op op,
		     uint64_t pos)
{
	int ret;

	if (op < OWFS_KMAP_WRITE || op == OWFS_KMAP_WRITEBACK)
		return 0;
	ret = owfs_fs_writable(inode->i_fs);
	return ret ? ret : owfs_flags_may_change(inode,
						 pos >= owfs_file_size(inode));
}

int owfs_kmap_begin(struct owfs_inode *inode, enum owfs_kmap_op op, loff_t pos,
		    uint64_t count, bool nowait, struct owfs_kmap *km)
{
	const uint32_t bs = inode->i_fs->fs_geo.blocksize;
	struct owfs_kmap_rq rq = {
		.inode = inode, .op = op, .pos = pos, .count = count,
		.nowait = nowait,
		.first = (uint64_t)pos / bs,
	};
	int ret = owfs_file_check(inode);

	*km = (struct owfs_kmap){ .overwrite = false };
	if (ret || pos < 0 || !count)
		return ret ? ret : -EINVAL;
	if (op >= OWFS_KMAP_WRITE && (uint64_t)pos >= OWFS_FILE_BYTES_MAX)
		return -EFBIG;
	ret = owfs_fs_readable(inode->i_fs);
	if (!ret)
		ret = may_store(inode, op, (uint64_t)pos);
	if (ret)
		return ret;
	rq.count = min_u64(count, (uint64_t)INT64_MAX - (uint64_t)pos);
	rq.end = div_round_up((uint64_t)pos + rq.count, bs);
	if (nowait)
		ret = begin_once(&rq, km);
	else
		OWFS_RETRY(inode->i_fs, ret, begin_once(&rq, km));
	/* -EAGAIN: it is asked again */
	if (ret && ret != -EAGAIN && op == OWFS_KMAP_DIRECT) {
		__atomic_store_n(&inode->i_begin_err, ret, __ATOMIC_RELAXED);
		owfs_kmap_direct_over(inode, 0);
	}
	return ret;
}
