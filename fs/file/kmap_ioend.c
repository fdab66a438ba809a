/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the kernel tells: that a begin came to less, and that data has arrived. */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/util.h"
#include "file/cut.h"
#include "file/file.h"
#include "file/kmap_impl.h"
#include "file/staging.h"

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

/*
 * A direct write that was for nothing, for these blocks: other writes of them
 * count as if it had never begun.  Its own ioend is yet to come, and until then
 * the device may be writing there: some kernels say so of what has failed in part.
 */
static void cancel_direct(struct owfs_inode *inode, owfs_fileoff_t first,
			  uint64_t blocks, owfs_fsblock_t fsblock)
{
	const uint32_t bs = inode->i_fs->fs_geo.blocksize;
	struct owfs_ioend io = {
		.pos = (loff_t)(first * bs), .written = blocks * bs,
		.unused = fsblock != OWFS_NOBLOCK, .fsblock = fsblock,
		.error = fsblock == OWFS_NOBLOCK ? -EIO : 0,
	};
	int ret = ioend_retried(inode, &io);

	if (ret && !io.error) {
		io.error = ret;
		owfs_ioend(inode, &io);
	}
}

void owfs_kmap_end(struct owfs_inode *inode, enum owfs_kmap_op op, loff_t pos,
		   uint64_t count, int64_t written, owfs_fsblock_t fsblock)
{
	const uint32_t bs = inode->i_fs->fs_geo.blocksize;
	owfs_fileoff_t first = (uint64_t)pos / bs;
	owfs_fileoff_t end = div_round_up((uint64_t)pos + count, bs);
	uint64_t blocks;

	if (written > 0)
		first = div_round_up((uint64_t)pos + (uint64_t)written, bs);
	if (first >= end)
		return;
	/* more was not handed out, and to look there would take for ever */
	blocks = min_u64(end - first, inode->i_fs->fs_geo.nblocks);
	if (fsblock != OWFS_NOBLOCK)
		fsblock += first - (uint64_t)pos / bs;
	if (op == OWFS_KMAP_DIRECT) {
		owfs_kmap_direct_over(inode, 0);
		cancel_direct(inode, first, blocks, fsblock);
	}
	if (op == OWFS_KMAP_WRITE || op == OWFS_KMAP_ZERO)
		cancel_store(inode, first, end);
}

/* ------------------------------------------------------------------ ioend */

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
	case ENOTBLK:
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

/* The writeback of these blocks will not come: the kernel has dropped them. */
static void discard(struct owfs_inode *inode, const struct owfs_ioend *io)
{
	const uint32_t bs = inode->i_fs->fs_geo.blocksize;

	owfs_wmap_clean(inode, (uint64_t)io->pos / bs,
			div_round_up((uint64_t)io->pos + io->written, bs));
}

/* Where is the new block @off? */
typedef bool place_fn(struct owfs_inode *inode, owfs_fileoff_t off,
		      owfs_fsblock_t *fsblock);

static bool place_of_store(struct owfs_inode *inode, owfs_fileoff_t off,
			   owfs_fsblock_t *fsblock)
{
	struct owfs_wstate st;
	owfs_fileoff_t until;

	owfs_wmap_find(inode, off, &st, &until);
	*fsblock = st.fsblock;
	return st.placed;
}

/*
 * Block @off was written from @from to @to where @place says, and the kernel has
 * zeroed the rest of it: that rest is to be what it is in the file.
 */
static int mend_edge(struct owfs_inode *inode, owfs_fileoff_t off, uint64_t from,
		     uint64_t to, place_fn *place)
{
	struct owfs_fs *fs = inode->i_fs;
	const uint32_t bs = fs->fs_geo.blocksize;
	owfs_fsblock_t fsblock;
	bool mapped = false;
	char *block;
	int ret;

	if (!place(inode, off, &fsblock))
		return 0;
	block = aligned_alloc(OWFS_IO_ALIGN, 2 * (size_t)bs);
	if (!block)
		return -ENOMEM;
	ret = owfs_file_read_block(inode, off, owfs_file_size(inode), block,
				   &mapped);
	if (!ret && mapped)
		ret = owfs_blkdev_read(fs->fs_bd, block + bs, bs,
				       (loff_t)(fsblock * bs));
	if (!ret && mapped) {
		memcpy(block + from, block + bs + from, to - from);
		ret = owfs_blkdev_write(fs->fs_bd, block, bs,
					(loff_t)(fsblock * bs));
	}
	free(block);
	return ret;
}

/* The first and the last block of bytes [from, to), if they are in part. */
static int mend_edges(struct owfs_inode *inode, uint64_t from, uint64_t to,
		      place_fn *place)
{
	const uint32_t bs = inode->i_fs->fs_geo.blocksize;
	const owfs_fileoff_t first = from / bs, last = (to - 1) / bs;
	int ret = 0;

	if (from % bs)
		ret = mend_edge(inode, first, from % bs,
				min_u64(to - first * bs, bs), place);
	if (!ret && to % bs && (last > first || !(from % bs)))
		ret = mend_edge(inode, last, 0, to % bs, place);
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
	int ret = mend_edges(inode, from, to, place_of_store);

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

/*
 * A part of a block is written directly where the rest is empty; a mapped page
 * may have been written back there meanwhile.
 */
static int direct_arrived(struct owfs_inode *inode, const struct owfs_ioend *io)
{
	int ret = adopt_direct(inode, io);

	return ret ? ret : mend_edges(inode, (uint64_t)io->pos,
				      (uint64_t)io->pos + io->written,
				      owfs_staging_only);
}

/* Does the kernel bring back what a begin of this write has told it? */
static bool is_our_own(struct owfs_inode *inode, const struct owfs_ioend *io)
{
	return !io->writeback && io->error ==
	       __atomic_exchange_n(&inode->i_begin_err, 0, __ATOMIC_RELAXED);
}

int owfs_kmap_ioend(struct owfs_inode *inode, enum owfs_kmap_ioend kind,
		    loff_t pos, uint64_t written, int error, uint64_t *newsize)
{
	struct owfs_ioend io = {
		.pos = pos, .written = written, .error = error,
		.writeback = kind != OWFS_KMAP_IOEND_DIRECT,
	};
	const struct owfs_geo *geo = &inode->i_fs->fs_geo;
	const bool ours = is_our_own(inode, &io);
	int ret = 0;

	if (pos < 0 || written > OWFS_FILE_BYTES_MAX - (uint64_t)pos)
		return -EFBIG;
	/* nothing was handed out for it, and to look would take for ever */
	if (written / geo->blocksize > geo->nblocks)
		return -EINVAL;
	if (written && kind != OWFS_KMAP_IOEND_DISCARD && error &&
	    is_of_device(error) && !ours)
		device_failed(inode, &io);
	/* no byte, no block: a write that was refused tells us so, too */
	if (written && !error && kind == OWFS_KMAP_IOEND_DIRECT)
		ret = direct_arrived(inode, &io);
	if (written && !ret)
		ret = ioend_retried(inode, &io);
	if (ret && !error) {
		__atomic_store_n(&inode->i_data_err, ret, __ATOMIC_RELAXED);
		io.error = ret;		/* what is left of it goes back */
		owfs_ioend(inode, &io);
	}
	if (kind == OWFS_KMAP_IOEND_DISCARD)
		discard(inode, &io);
	if (kind == OWFS_KMAP_IOEND_DIRECT) {
		owfs_staging_idle_free(inode);
		owfs_kmap_direct_over(inode, error ? 0 : (uint64_t)pos + written);
	}
	*newsize = owfs_file_size(inode);
	return ret;
}
