/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See kmap.h. */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/util.h"
#include "file/cut.h"
#include "file/file.h"
#include "file/flags.h"
#include "file/kmap.h"
#include "file/staging.h"
#include "file/wmap.h"
#include "trans/commit.h"

/* A mapping to read by is as long as what it tells of, up to so many blocks. */
#define READ_BLOCKS	(1ull << 32)
/* Blocks that one store reserves at most; it asks again. */
#define STORE_BLOCKS	(1ull << 14)

/* A request in blocks. */
struct request {
	struct owfs_inode *inode;
	enum owfs_kmap_op op;
	loff_t pos;
	uint64_t count;
	bool nowait;
	owfs_fileoff_t first, end;	/* blocks that it touches */
};

static void set_hole(struct owfs_iomap *map, owfs_fileoff_t off, uint64_t len)
{
	*map = (struct owfs_iomap){
		.off = off, .len = len, .type = OWFS_IOMAP_HOLE,
	};
}

/* ---------------------------------------------------------------- reading */

/* Tell the kernel to keep what @km says.  Caller holds i_lock. */
static bool cache_put(const struct request *rq, const struct owfs_kmap *km)
{
	const struct owfs_kcache *kc = rq->inode->i_fs->fs_kcache;

	return kc && !kc->put(kc->ctx, rq->inode->i_ino, km);
}

static int begin_read(const struct request *rq, struct owfs_kmap *km, bool keep)
{
	const uint64_t max = OWFS_FILE_BYTES_MAX /
			     rq->inode->i_fs->fs_geo.blocksize + 1;
	int ret;

	km->overwrite = true;
	if (rq->first >= max) {
		set_hole(&km->read, rq->first, rq->end - rq->first);
		return 0;
	}
	pthread_rwlock_rdlock(&rq->inode->i_lock);
	ret = owfs_iomap_read_locked(rq->inode, rq->first,
				     min_u64(READ_BLOCKS, max - rq->first),
				     &km->read);
	if (!ret && keep) {
		set_hole(&km->write, km->read.off, km->read.len);
		cache_put(rq, km);
	}
	pthread_rwlock_unlock(&rq->inode->i_lock);
	return ret;
}

/* The kernel has the whole file written, and takes nothing but blocks. */
static int begin_swap(const struct request *rq, struct owfs_kmap *km)
{
	__atomic_store_n(&rq->inode->i_swap, true, __ATOMIC_RELAXED);
	return begin_read(rq, km, false);
}

void owfs_kmap_swapoff(struct owfs_inode *inode)
{
	__atomic_store_n(&inode->i_swap, false, __ATOMIC_RELAXED);
}

/* What is not on the device yet is shown as such. */
static int begin_report(const struct request *rq, struct owfs_kmap *km)
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

/* Blocks to place, as many as *@len says. */
static int take_blocks(const struct request *rq, const struct owfs_wstate *st,
		       owfs_fsblock_t *fsblock, uint64_t *len)
{
	struct owfs_fs *fs = rq->inode->i_fs;
	int ret;

	/* dirtied while on its way: what it replaces comes back */
	if (!st->paid)
		return owfs_staging_alloc(fs, *fsblock, *len,
					  rq->op == OWFS_KMAP_WRITEBACK ?
					  OWFS_RESV_FREEING : OWFS_RESV_NORMAL,
					  fsblock, len);
	ret = owfs_commit_start_run(fs);
	if (!ret)
		ret = owfs_alloc_data(fs->fs_al, *fsblock, *len, fsblock, len);
	return owfs_fs_check_map(fs, ret);
}

/* Behind the block before it, if that has a place and is in no extent yet. */
static void goal_of(const struct request *rq, owfs_fsblock_t *goal)
{
	struct owfs_wstate st;
	owfs_fileoff_t until;

	if (!rq->first)
		return;
	owfs_wmap_find(rq->inode, rq->first - 1, &st, &until);
	if (st.placed)
		*goal = st.fsblock + 1;
}

static int place_once(const struct request *rq, const struct owfs_wstate *st,
		      uint64_t *len, owfs_fsblock_t *fsblock)
{
	struct owfs_fs *fs = rq->inode->i_fs;
	bool in_place;
	int ret = owfs_iomap_place(rq->inode, rq->first, len, &in_place,
				   fsblock);

	if (!ret && !in_place) {
		goal_of(rq, fsblock);
		ret = take_blocks(rq, st, fsblock, len);
	}
	if (ret)
		return ret;
	ret = owfs_wmap_place(rq->inode, rq->first, *len, st->paid, *fsblock,
			      in_place);
	if (ret && !in_place)
		owfs_alloc_unstage(fs->fs_al, *fsblock, *len, st->paid);
	return ret;
}

/* -------------------------------------------- stores into the page cache */

/* Are these preallocated blocks, which the writeback will find there? */
static int has_blocks(const struct request *rq, const struct owfs_iomap *old,
		      uint64_t *len, bool *has)
{
	owfs_fsblock_t fsblock;
	int ret;

	*has = false;
	if (old->type != OWFS_IOMAP_UNWRITTEN)
		return 0;
	pthread_rwlock_rdlock(&rq->inode->i_lock);
	ret = owfs_iomap_place(rq->inode, old->off, len, has, &fsblock);
	pthread_rwlock_unlock(&rq->inode->i_lock);
	return ret;
}

/*
 * Set aside what the writeback of up to *@len blocks will need; fewer if there
 * is no more.  1: somebody was faster.
 */
static int reserve(const struct request *rq, owfs_fileoff_t off, uint64_t *len,
		   bool pay)
{
	struct owfs_fs *fs = rq->inode->i_fs;
	uint64_t price;
	int ret;

	for (;; *len /= 2) {
		price = owfs_wmap_price(fs, *len, pay);
		ret = owfs_alloc_reserve(fs->fs_al, price, OWFS_RESV_NORMAL);
		if (!ret || (ret != -EAGAIN && ret != -ENOSPC))
			break;
		if (*len == 1)
			return -EAGAIN;
	}
	if (ret)
		return owfs_fs_check_map(fs, ret);
	ret = owfs_wmap_reserve(rq->inode, off, *len, pay,
				rq->op != OWFS_KMAP_FAULT);
	if (ret)
		owfs_alloc_unreserve(fs->fs_al, price);
	return ret;
}

/*
 * What is dirty before a block that is being placed gets its place first, so
 * that a file's last, partial block lies behind the others.  If that fails it
 * is not needed.
 */
static void place_before(const struct request *rq)
{
	struct request before = *rq;
	struct owfs_wstate st;
	owfs_fileoff_t until;
	owfs_fsblock_t fsblock;
	uint64_t len;

	before.first = owfs_wmap_before(rq->inode, rq->first);
	while (before.first < rq->first) {
		owfs_wmap_find(rq->inode, before.first, &st, &until);
		len = min_u64(until, rq->first) - before.first;
		len = min_u64(len, OWFS_IOEND_BLOCKS);
		if (!st.reserved || st.placed ||
		    place_once(&before, &st, &len, &fsblock))
			return;
		before.first += len;
	}
}

/*
 * A store into a part of a block, whose rest may have to be read: the block is
 * placed at once, so that the kernel can keep the mapping.  Its writeback may
 * come without a begin, then.  Caller holds i_lock.
 */
static int store_part_locked(const struct request *rq, struct owfs_kmap *km)
{
	struct owfs_inode *inode = rq->inode;
	struct owfs_wstate st;
	owfs_fileoff_t until;
	uint64_t len = 1;
	int ret = owfs_iomap_read_locked(inode, rq->first, 1, &km->read);

	if (ret)
		return ret;
	km->write = km->read;
	if (rq->op == OWFS_KMAP_ZERO && km->read.type != OWFS_IOMAP_MAPPED)
		return 0;
	owfs_wmap_find(inode, rq->first, &st, &until);
	km->write.type = OWFS_IOMAP_UNWRITTEN;
	km->write.fsblock = st.fsblock;
	if (!st.placed) {
		place_before(rq);
		ret = place_once(rq, &st, &len, &km->write.fsblock);
	} else if (!st.reserved && !st.cached) {
		/* being written as it was: this is for the next time */
		ret = reserve(rq, rq->first, &len, true);
	}
	if (ret)
		return ret;
	km->retry = cache_put(rq, km);
	if (km->retry)
		owfs_wmap_cached(inode, rq->first);
	return 0;
}

/*
 * Two direct writes into one block that are not aligned to it: the second was
 * refused and comes through the page cache, and what it reads there must be
 * what the first has written.
 */
static int store_part(const struct request *rq, struct owfs_kmap *km)
{
	owfs_fileoff_t until;
	int ret;

	if (owfs_staging_covers(rq->inode, rq->first, &until))
		return rq->nowait ? -EAGAIN : -EINPROGRESS;
	pthread_rwlock_rdlock(&rq->inode->i_lock);
	ret = store_part_locked(rq, km);
	pthread_rwlock_unlock(&rq->inode->i_lock);
	return ret;
}

/* Does the store leave some of its first block as it is? */
static bool is_part(const struct request *rq)
{
	const uint64_t bs = rq->inode->i_fs->fs_geo.blocksize;

	return rq->op != OWFS_KMAP_FAULT &&
	       ((uint64_t)rq->pos % bs || rq->count < bs);
}

static int store_whole(const struct request *rq, struct owfs_kmap *km)
{
	struct owfs_inode *inode = rq->inode;
	struct owfs_wstate st;
	owfs_fileoff_t until;
	uint64_t len;
	bool has;
	int ret = owfs_iomap_read(inode, rq->first, rq->end - rq->first,
				  &km->read);

	if (ret)
		return ret;
	len = km->read.len;
	if (rq->op == OWFS_KMAP_ZERO && km->read.type != OWFS_IOMAP_MAPPED) {
		/* it reads as zeroes; what is dirty the kernel writes first */
		km->write = km->read;
		return 0;
	}
	owfs_wmap_find(inode, rq->first, &st, &until);
	len = min_u64(min_u64(len, STORE_BLOCKS), until - rq->first);
	if (st.reserved) {
		owfs_wmap_confirm(inode, rq->first, rq->first + len);
	} else {
		ret = has_blocks(rq, &km->read, &len, &has);
		if (!ret)
			ret = reserve(rq, rq->first, &len, !has);
	}
	km->read.len = len;
	km->write = (struct owfs_iomap){
		.off = rq->first, .len = len, .type = OWFS_IOMAP_DELALLOC,
	};
	return ret;
}

static int store_once(const struct request *rq, struct owfs_kmap *km)
{
	const uint64_t bs = rq->inode->i_fs->fs_geo.blocksize;
	struct request whole = *rq;

	if (is_part(rq))
		return store_part(rq, km);
	/* what is left of the last block is asked for by itself */
	if (rq->op != OWFS_KMAP_FAULT && ((uint64_t)rq->pos + rq->count) % bs)
		whole.end--;
	return store_whole(&whole, km);
}

static int begin_store(const struct request *rq, struct owfs_kmap *km)
{
	int ret;

	do {
		ret = store_once(rq, km);
	} while (ret == 1);
	return ret;
}

/* ----------------------------------------------------------- direct writes */

/* May the rest of a partly written block @off be taken for zeroes? */
static int is_untouched(const struct request *rq, owfs_fileoff_t off, bool *yes)
{
	owfs_fileoff_t until;
	struct owfs_iomap map;
	int ret = owfs_iomap_read(rq->inode, off, 1, &map);

	*yes = !ret && map.type != OWFS_IOMAP_MAPPED &&
	       !owfs_staging_covers(rq->inode, off, &until);
	return ret;
}

/*
 * The kernel writes what it was given to the new place and does not copy the
 * rest of a block from the old one; and it has written back what its page
 * cache had of the range, so what is dirty again is somebody else's, by a
 * mapping.  Such writes go through the page cache.
 */
static int check_direct(const struct request *rq)
{
	const uint32_t bs = rq->inode->i_fs->fs_geo.blocksize;
	bool yes = true;
	int ret = 0;

	if (owfs_wmap_busy(rq->inode, rq->first, rq->end))
		return -ENOSYS;
	if ((uint64_t)rq->pos % bs)
		ret = is_untouched(rq, rq->first, &yes);
	if (!ret && yes && ((uint64_t)rq->pos + rq->count) % bs)
		ret = is_untouched(rq, rq->end - 1, &yes);
	return ret ? ret : yes ? 0 : -ENOSYS;
}

static int begin_direct(const struct request *rq, struct owfs_kmap *km)
{
	int ret = check_direct(rq);

	if (ret)
		return ret;
	ret = owfs_iomap_begin_write(rq->inode, rq->first, rq->end - rq->first,
				     &km->write);
	/* nothing is copied from there: any mapping of the range will do */
	if (!ret)
		set_hole(&km->read, km->write.off, km->write.len);
	return ret;
}

/* -------------------------------------------------------------- writeback */

/* Caller holds i_lock for reading.  1: look again. */
static int writeback_locked(const struct request *rq, struct owfs_iomap *map)
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
		ret = place_once(rq, &st, &len, &map->fsblock);
	}
	map->off = rq->first;
	map->len = len;
	map->type = OWFS_IOMAP_UNWRITTEN;
	return ret;
}

static int begin_writeback(const struct request *rq, struct owfs_kmap *km)
{
	int ret;

	do {
		pthread_rwlock_rdlock(&rq->inode->i_lock);
		ret = writeback_locked(rq, &km->write);
		pthread_rwlock_unlock(&rq->inode->i_lock);
	} while (ret == 1);
	if (!ret)
		set_hole(&km->read, km->write.off, km->write.len);
	return ret;
}

/* ------------------------------------------------------------------ begin */

static int begin_once(const struct request *rq, struct owfs_kmap *km)
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
		return begin_store(rq, km);
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
	struct request rq = {
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
		return begin_once(&rq, km);
	OWFS_RETRY(inode->i_fs, ret, begin_once(&rq, km));
	return ret;
}

/* -------------------------------------------------------------------- end */

/*
 * Nothing was stored there.  A block that was placed stays so, since a mapped
 * page may be on its way to it; but no direct write shall find it in the cache.
 */
static void cancel_store(struct owfs_inode *inode, owfs_fileoff_t first,
			 owfs_fileoff_t end)
{
	const struct owfs_kcache *kc = inode->i_fs->fs_kcache;

	owfs_wmap_cancel(inode, first, end);
	if (kc && owfs_wmap_busy(inode, first, end))
		kc->drop(kc->ctx, inode->i_ino, first, end);
}

void owfs_kmap_end(struct owfs_inode *inode, enum owfs_kmap_op op, loff_t pos,
		   uint64_t count, int64_t written)
{
	const uint32_t bs = inode->i_fs->fs_geo.blocksize;
	owfs_fileoff_t first = (uint64_t)pos / bs;
	owfs_fileoff_t end = div_round_up((uint64_t)pos + count, bs);

	if (written > 0)
		first = div_round_up((uint64_t)pos + (uint64_t)written, bs);
	if (first >= end)
		return;
	if (op == OWFS_KMAP_DIRECT)
		owfs_iomap_ioend(inode, (loff_t)(first * bs),
				 (end - first) * bs, -EIO, NULL);
	else if (op == OWFS_KMAP_WRITE || op == OWFS_KMAP_ZERO)
		cancel_store(inode, first, end);
}

/* ------------------------------------------------------------------ ioend */

/*
 * What an ioend needs beyond what its begin reserved is copies of nodes, which
 * come from the reserve, a share of it in each generation: commits make room.
 */
#define IOEND_TRIES	16

/* What a device says, as opposed to who did not get as far as asking it. */
static bool is_of_device(int error)
{
	switch (-error) {
	case EAGAIN:
	case EFAULT:
	case EINTR:
	case EINVAL:
	case ENOMEM:
	case ENOSYS:
	case EOPNOTSUPP:
		return false;
	default:
		return true;
	}
}

/* As when owfs itself writes and the device fails: said, and remembered. */
static void device_failed(struct owfs_inode *inode, const struct owfs_ioend *io)
{
	struct owfs_iomap map = {
		.off = (uint64_t)io->pos / inode->i_fs->fs_geo.blocksize,
	};
	struct owfs_wstate st;
	owfs_fileoff_t until;

	owfs_wmap_find(inode, map.off, &st, &until);
	if (io->writeback && st.placed) {
		map.fsblock = st.fsblock;
		map.len = 1;
	}
	owfs_file_write_failed(inode, &map, io->error);
}

static int ioend_retried(struct owfs_inode *inode, const struct owfs_ioend *io)
{
	struct owfs_ioend again;
	int ret, tries = 0;

	do {
		OWFS_RETRY(inode->i_fs, ret,
			   (again = *io, owfs_ioend(inode, &again)));
	} while (ret == -ENOSPC && ++tries < IOEND_TRIES);
	return ret;
}

/* The writeback of these blocks will not come: the kernel has dropped them. */
static void discard(struct owfs_inode *inode, const struct owfs_ioend *io)
{
	const uint32_t bs = inode->i_fs->fs_geo.blocksize;

	owfs_wmap_clean(inode, (uint64_t)io->pos / bs,
			div_round_up((uint64_t)io->pos + io->written, bs));
}

/*
 * Block @off was written from @from to @to where it is placed, and the kernel
 * has zeroed the rest of it: that rest is to be what it was.
 */
static int mend_edge(struct owfs_inode *inode, owfs_fileoff_t off, uint64_t from,
		     uint64_t to)
{
	struct owfs_fs *fs = inode->i_fs;
	const uint32_t bs = fs->fs_geo.blocksize;
	char *block = aligned_alloc(OWFS_IO_ALIGN, 2 * (size_t)bs);
	struct owfs_wstate st;
	owfs_fileoff_t until;
	bool mapped = false;
	int ret = -ENOMEM;

	owfs_wmap_find(inode, off, &st, &until);
	if (block && st.placed)
		ret = owfs_file_read_block(inode, off, owfs_file_size(inode),
					   block, &mapped);
	else if (block)
		ret = 0;
	if (!ret && mapped)
		ret = owfs_blkdev_read(fs->fs_bd, block + bs, bs,
				       (loff_t)(st.fsblock * bs));
	if (!ret && mapped) {
		memcpy(block + from, block + bs + from, to - from);
		ret = owfs_blkdev_write(fs->fs_bd, block, bs,
					(loff_t)(st.fsblock * bs));
	}
	free(block);
	return ret;
}

/* Blocks [first, end) were written directly where they are placed. */
static int adopt_run(struct owfs_inode *inode, const struct owfs_ioend *io,
		     owfs_fileoff_t first, owfs_fileoff_t end)
{
	const uint32_t bs = inode->i_fs->fs_geo.blocksize;
	uint64_t from = max_u64((uint64_t)io->pos, first * bs);
	uint64_t to = min_u64((uint64_t)io->pos + io->written, end * bs);
	struct owfs_ioend run = {
		.pos = (loff_t)from, .written = to - from, .writeback = true,
	};
	int ret = 0;

	if (from % bs)
		ret = mend_edge(inode, first, from % bs,
				min_u64(to - first * bs, bs));
	if (!ret && to % bs && (end - first > 1 || !(from % bs)))
		ret = mend_edge(inode, end - 1, 0, to % bs);
	return ret ? ret : ioend_retried(inode, &run);
}

/*
 * Who was about to store into a part of a block, and was killed before he did,
 * leaves the placed block in the kernel's cache, and a direct write may find it
 * there and ask nobody.  It is known by having begun nothing.
 */
static int adopt_direct(struct owfs_inode *inode, const struct owfs_ioend *io)
{
	const uint32_t bs = inode->i_fs->fs_geo.blocksize;
	owfs_fileoff_t end = div_round_up((uint64_t)io->pos + io->written, bs);
	owfs_fileoff_t off = (uint64_t)io->pos / bs, until, next;
	struct owfs_wstate st;
	int ret = 0;

	for (; off < end && !ret; off = until) {
		owfs_wmap_find(inode, off, &st, &until);
		until = min_u64(until, end);
		if (!st.placed)
			continue;
		if (owfs_staging_covers(inode, off, &next))
			until = min_u64(until, next);
		else
			ret = adopt_run(inode, io, off,
					until = min_u64(until, next));
	}
	return ret;
}

int owfs_kmap_ioend(struct owfs_inode *inode, enum owfs_kmap_ioend kind,
		    loff_t pos, uint64_t written, int error, uint64_t *newsize)
{
	struct owfs_ioend io = {
		.pos = pos, .written = written, .error = error,
		.writeback = kind != OWFS_KMAP_IOEND_DIRECT,
	};
	int ret = 0;

	if (pos < 0 || written > OWFS_FILE_BYTES_MAX - (uint64_t)pos)
		return -EFBIG;
	if (written && kind != OWFS_KMAP_IOEND_DISCARD && error &&
	    is_of_device(error))
		device_failed(inode, &io);
	/* no byte, no block: a write that was refused tells us so, too */
	if (written && !error && kind == OWFS_KMAP_IOEND_DIRECT)
		ret = adopt_direct(inode, &io);
	if (written && !ret)
		ret = ioend_retried(inode, &io);
	if (ret && !error) {
		__atomic_store_n(&inode->i_data_err, ret, __ATOMIC_RELAXED);
		io.error = ret;		/* what is left of it goes back */
		owfs_ioend(inode, &io);
	}
	if (kind == OWFS_KMAP_IOEND_DISCARD)
		discard(inode, &io);
	*newsize = owfs_file_size(inode);
	return ret;
}
