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
	uint64_t blocks;

	if (written > 0)
		first = div_round_up((uint64_t)pos + (uint64_t)written, bs);
	if (first >= end)
		return;
	/* more was not handed out, and to look there would take for ever */
	blocks = min_u64(end - first, inode->i_fs->fs_geo.nblocks);
	if (op == OWFS_KMAP_DIRECT)
		owfs_iomap_ioend(inode, (loff_t)(first * bs), blocks * bs, -EIO,
				 NULL);
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
	const struct owfs_geo *geo = &inode->i_fs->fs_geo;
	int ret = 0;

	if (pos < 0 || written > OWFS_FILE_BYTES_MAX - (uint64_t)pos)
		return -EFBIG;
	/* nothing was handed out for it, and to look would take for ever */
	if (written / geo->blocksize > geo->nblocks)
		return -EINVAL;
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
