/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stores into the kernel's page cache.  Whole blocks are reserved, parts of
 * blocks placed at once: see owfs_kcache in kmap.h.
 */
#include "base/err.h"
#include "base/util.h"
#include "file/kmap_impl.h"
#include "file/staging.h"

/* Blocks that one store reserves at most; it asks again. */
#define STORE_BLOCKS	(1ull << 14)

/* Are these preallocated blocks, which the writeback will find there? */
static int has_blocks(const struct owfs_kmap_rq *rq, const struct owfs_iomap *old,
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
static int reserve(const struct owfs_kmap_rq *rq, owfs_fileoff_t off, uint64_t *len,
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
static void place_before(const struct owfs_kmap_rq *rq)
{
	struct owfs_kmap_rq before = *rq;
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
		    owfs_kmap_place(&before, &st, &len, &fsblock))
			return;
		before.first += len;
	}
}

/*
 * A store into a part of a block, whose rest may have to be read: the block is
 * placed at once, so that the kernel can keep the mapping.  Its writeback may
 * come without a begin, then.
 *
 * Two direct writes into one block that are not aligned to it: the second was
 * refused and comes through the page cache, and what it reads there must be
 * what the first has written.  Caller holds i_lock.
 */
static int store_part_locked(const struct owfs_kmap_rq *rq, struct owfs_kmap *km)
{
	struct owfs_inode *inode = rq->inode;
	struct owfs_wstate st;
	owfs_fileoff_t until;
	uint64_t len = 1;
	int ret;

	if (owfs_staging_covers(inode, rq->first, &until))
		return rq->nowait ? -EAGAIN : -EINPROGRESS;
	ret = owfs_iomap_read_locked(inode, rq->first, 1, &km->read);
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
		ret = owfs_kmap_place(rq, &st, &len, &km->write.fsblock);
	} else if (!st.reserved && !st.cached) {
		/* being written as it was: this is for the next time */
		ret = reserve(rq, rq->first, &len, true);
	}
	if (ret)
		return ret;
	km->retry = owfs_kmap_keep(rq, km);
	if (km->retry)
		owfs_wmap_cached(inode, rq->first);
	return 0;
}

static int store_part(const struct owfs_kmap_rq *rq, struct owfs_kmap *km)
{
	int ret;

	pthread_rwlock_rdlock(&rq->inode->i_lock);
	ret = store_part_locked(rq, km);
	pthread_rwlock_unlock(&rq->inode->i_lock);
	return ret;
}

/* Does the store leave some of its first block as it is? */
static bool is_part(const struct owfs_kmap_rq *rq)
{
	const uint64_t bs = rq->inode->i_fs->fs_geo.blocksize;

	return rq->op != OWFS_KMAP_FAULT &&
	       ((uint64_t)rq->pos % bs || rq->count < bs);
}

static int store_whole(const struct owfs_kmap_rq *rq, struct owfs_kmap *km)
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

static int store_once(const struct owfs_kmap_rq *rq, struct owfs_kmap *km)
{
	const uint64_t bs = rq->inode->i_fs->fs_geo.blocksize;
	struct owfs_kmap_rq whole = *rq;

	if (is_part(rq))
		return store_part(rq, km);
	/* what is left of the last block is asked for by itself */
	if (rq->op != OWFS_KMAP_FAULT && ((uint64_t)rq->pos + rq->count) % bs)
		whole.end--;
	return store_whole(&whole, km);
}

int owfs_kmap_store(const struct owfs_kmap_rq *rq, struct owfs_kmap *km)
{
	int ret;

	do {
		ret = store_once(rq, km);
	} while (ret == 1);
	return ret;
}
