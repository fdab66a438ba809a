/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See kmap.h. */
#include "base/err.h"
#include "base/util.h"
#include "file/cut.h"
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
	owfs_fileoff_t first, end;	/* blocks that it touches */
};

static void set_hole(struct owfs_iomap *map, owfs_fileoff_t off, uint64_t len)
{
	*map = (struct owfs_iomap){
		.off = off, .len = len, .type = OWFS_IOMAP_HOLE,
	};
}

/* ---------------------------------------------------------------- reading */

static int begin_read(const struct request *rq, struct owfs_kmap *km)
{
	const uint64_t max = OWFS_FILE_BYTES_MAX /
			     rq->inode->i_fs->fs_geo.blocksize + 1;

	km->overwrite = true;
	if (rq->first >= max) {
		set_hole(&km->read, rq->first, rq->end - rq->first);
		return 0;
	}
	return owfs_iomap_read(rq->inode, rq->first,
			       min_u64(READ_BLOCKS, max - rq->first),
			       &km->read);
}

/* What is not on the device yet is shown as such. */
static int begin_report(const struct request *rq, struct owfs_kmap *km)
{
	struct owfs_wstate st;
	owfs_fileoff_t until;
	int ret = begin_read(rq, km);

	if (ret || km->read.type == OWFS_IOMAP_MAPPED)
		return ret;
	owfs_wmap_find(rq->inode, rq->first, &st, &until);
	km->read.len = min_u64(km->read.len, until - rq->first);
	if (st.reserved || st.placed)
		km->read.type = OWFS_IOMAP_DELALLOC;
	return 0;
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

static int store_once(const struct request *rq, struct owfs_kmap *km)
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

static int begin_store(const struct request *rq, struct owfs_kmap *km)
{
	int ret = owfs_fs_writable(rq->inode->i_fs);

	while (!ret) {
		ret = store_once(rq, km);
		if (ret != 1)
			return ret;
		ret = 0;
	}
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

/* Blocks to place, as many as *@len says. */
static int take_blocks(struct owfs_fs *fs, const struct owfs_wstate *st,
		       owfs_fsblock_t *fsblock, uint64_t *len)
{
	int ret;

	if (!st->paid)	/* dirtied while on its way: what it replaces comes back */
		return owfs_staging_alloc(fs, *fsblock, *len,
					  OWFS_RESV_FREEING, fsblock, len);
	ret = owfs_commit_start_run(fs);
	if (!ret)
		ret = owfs_alloc_data(fs->fs_al, *fsblock, *len, fsblock, len);
	return owfs_fs_check_map(fs, ret);
}

static int place_once(const struct request *rq, const struct owfs_wstate *st,
		      uint64_t *len, owfs_fsblock_t *fsblock)
{
	struct owfs_fs *fs = rq->inode->i_fs;
	bool in_place;
	int ret = owfs_iomap_place(rq->inode, rq->first, len, &in_place,
				   fsblock);

	if (!ret && !in_place)
		ret = take_blocks(fs, st, fsblock, len);
	if (ret)
		return ret;
	ret = owfs_wmap_place(rq->inode, rq->first, *len, st->paid, *fsblock,
			      in_place);
	if (ret && !in_place)
		owfs_alloc_unstage(fs->fs_al, *fsblock, *len, st->paid);
	return ret;
}

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
		return begin_read(rq, km);
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

int owfs_kmap_begin(struct owfs_inode *inode, enum owfs_kmap_op op, loff_t pos,
		    uint64_t count, bool nowait, struct owfs_kmap *km)
{
	const uint32_t bs = inode->i_fs->fs_geo.blocksize;
	struct request rq = {
		.inode = inode, .op = op, .pos = pos, .count = count,
		.first = (uint64_t)pos / bs,
	};
	int ret = owfs_file_check(inode);

	*km = (struct owfs_kmap){ .overwrite = false };
	if (ret || pos < 0 || !count)
		return ret ? ret : -EINVAL;
	if (op >= OWFS_KMAP_WRITE && (uint64_t)pos >= OWFS_FILE_BYTES_MAX)
		return -EFBIG;
	rq.count = min_u64(count, (uint64_t)INT64_MAX - (uint64_t)pos);
	rq.end = div_round_up((uint64_t)pos + rq.count, bs);
	if (nowait) {
		ret = owfs_fs_readable(inode->i_fs);
		return ret ? ret : begin_once(&rq, km);
	}
	ret = owfs_fs_readable(inode->i_fs);
	if (!ret)
		OWFS_RETRY(inode->i_fs, ret, begin_once(&rq, km));
	return ret;
}

/* -------------------------------------------------------------------- end */

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
		owfs_wmap_cancel(inode, first, end);
}

/* ------------------------------------------------------------------ ioend */

/*
 * What an ioend needs beyond what its begin reserved is copies of nodes, which
 * come from the reserve, a share of it in each generation: commits make room.
 */
#define IOEND_TRIES	16

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
	/* no byte, no block: a write that was refused tells us so, too */
	if (written)
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
