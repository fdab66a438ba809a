/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reading and writing when owfs moves the data: begin, device, ioend, with the
 * blocks of the request locked from before the old edges are read until the
 * ioend is done.  Taking blocks away and preallocating is in cut.c.
 *
 * When an operation has to wait for room (-EAGAIN) it lets go of everything,
 * the range lock too, and starts again: what makes room may then need any lock.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/util.h"
#include "file/atime.h"
#include "file/attr.h"
#include "file/cut.h"
#include "file/file.h"
#include "file/flags.h"
#include "file/iomap.h"
#include "file/staging.h"
#include "object/intent.h"

int owfs_file_check(const struct owfs_inode *inode)
{
	if (inode->i_type == S_IFREG)
		return 0;
	return inode->i_type == S_IFDIR ? -EISDIR : -EINVAL;
}

uint64_t owfs_file_size(struct owfs_inode *inode)
{
	uint64_t size;

	pthread_rwlock_rdlock(&inode->i_lock);
	size = inode->i_attr.size;
	pthread_rwlock_unlock(&inode->i_lock);
	return size;
}

/* ------------------------------------------------------- devices that fail */

#define READS_SAID	20u	/* failed reads named, then no more */

/*
 * What the image is in has no room: nothing is wrong with the device.  A part
 * of the data may have found some; that goes back at once, for the commits that
 * follow need it more.
 */
static int device_full(struct owfs_inode *inode, const struct owfs_iomap *map,
		       int err)
{
	const uint32_t bs = inode->i_fs->fs_geo.blocksize;

	owfs_blkdev_discard(inode->i_fs->fs_bd, (loff_t)(map->fsblock * bs),
			    map->len * bs);
	owfs_msg(inode->i_fs->fs_msg, OWFS_MSG_WARN,
		 "inode %llu: no room on the device itself: off=%llu fsblock=%llu error=%d",
		 (unsigned long long)inode->i_ino, (unsigned long long)map->off,
		 (unsigned long long)map->fsblock, -err);
	return -EDQUOT;
}

int owfs_file_write_failed(struct owfs_inode *inode,
			   const struct owfs_iomap *map, int err)
{
	if (err == -ENOSPC || err == -EDQUOT)
		return device_full(inode, map, err);
	__atomic_store_n(&inode->i_data_err, -EIO, __ATOMIC_RELAXED);
	return owfs_fs_fail_at(inode->i_fs, err, map->fsblock,
			       "inode %llu: data cannot be written: off=%llu fsblock=%llu error=%d",
			       (unsigned long long)inode->i_ino,
			       (unsigned long long)map->off,
			       (unsigned long long)map->fsblock, -err);
}

/* That file's trouble, and nobody else's. */
static int read_failed(struct owfs_inode *inode, owfs_fileoff_t off,
		       owfs_fsblock_t fsblock, int err)
{
	struct owfs_fs *fs = inode->i_fs;

	if (__atomic_fetch_add(&fs->fs_reads_failed, 1, __ATOMIC_RELAXED) <
	    READS_SAID)
		owfs_msg(fs->fs_msg, OWFS_MSG_ERROR,
			 "inode %llu: data cannot be read: off=%llu fsblock=%llu error=%d",
			 (unsigned long long)inode->i_ino,
			 (unsigned long long)off, (unsigned long long)fsblock,
			 -err);
	return err;
}

/* ---------------------------------------------------------------- reading */

/*
 * Bytes of the device at any place.  What is not aligned goes through a small
 * buffer; the middle goes where it belongs.
 */
static int device_read(struct owfs_fs *fs, char *buf, size_t len, loff_t pos)
{
	char edge[OWFS_IO_ALIGN] __attribute__((aligned(OWFS_IO_ALIGN)));
	size_t skip, n;
	int ret = 0;

	for (; len && !ret; buf += n, len -= n, pos += (loff_t)n) {
		skip = (size_t)(pos % OWFS_IO_ALIGN);
		if (skip == 0 && len >= OWFS_IO_ALIGN) {
			n = len - len % OWFS_IO_ALIGN;
			ret = owfs_blkdev_read(fs->fs_bd, buf, n, pos);
			continue;
		}
		n = min_u64(len, OWFS_IO_ALIGN - skip);
		ret = owfs_blkdev_read(fs->fs_bd, edge, sizeof(edge),
				       pos - (loff_t)skip);
		memcpy(buf, edge + skip, n);
	}
	return ret;
}

/* Caller holds the range.  [pos, pos + len) of the file, wherever EOF is. */
static int read_range(struct owfs_inode *inode, char *buf, size_t len,
		      loff_t pos)
{
	struct owfs_fs *fs = inode->i_fs;
	const uint32_t bs = fs->fs_geo.blocksize;
	struct owfs_iomap map;
	uint64_t off, skip;
	size_t n;
	int ret = 0;

	for (; len && !ret; buf += n, len -= n, pos += (loff_t)n) {
		off = (uint64_t)pos / bs;
		skip = (uint64_t)pos % bs;
		ret = owfs_iomap_read(inode, off, div_round_up(skip + len, bs),
				      &map);
		if (ret)
			break;
		n = min_u64(len, map.len * bs - skip);
		if (map.type == OWFS_IOMAP_MAPPED)
			ret = device_read(fs, buf, n,
					  (loff_t)(map.fsblock * bs + skip));
		else
			memset(buf, 0, n);
		if (ret)
			return read_failed(inode, off, map.fsblock, ret);
	}
	return ret;
}

/* @len > 0 */
static ssize_t read_locked(struct owfs_inode *inode, void *buf, size_t len,
			   loff_t pos)
{
	const uint32_t bs = inode->i_fs->fs_geo.blocksize;
	struct owfs_range range;
	uint64_t size;
	int ret;

	if (owfs_file_size(inode) <= (uint64_t)pos)
		return 0;
	owfs_range_lock(&inode->i_range, &range, (uint64_t)pos / bs,
			((uint64_t)pos + len - 1) / bs, false);
	size = owfs_file_size(inode);
	len = size > (uint64_t)pos ? min_u64(len, size - (uint64_t)pos) : 0;
	ret = read_range(inode, buf, len, pos);
	owfs_range_unlock(&inode->i_range, &range);
	return ret ? ret : (ssize_t)len;
}

ssize_t owfs_file_read_as(struct owfs_inode *inode, void *buf, size_t len,
			  loff_t pos, unsigned int how)
{
	ssize_t ret = owfs_file_check(inode);

	if (!ret)
		ret = owfs_fs_readable(inode->i_fs);
	len = min_u64(len, OWFS_FILE_BYTES_MAX - (uint64_t)pos);
	if (ret || !len)
		return ret;
	ret = read_locked(inode, buf, len, pos);
	/* also at the end of the file, where there is nothing */
	if (ret >= 0 && !(how & OWFS_READ_NOATIME))
		owfs_atime_touch(inode);
	return ret;
}

ssize_t owfs_file_read(struct owfs_inode *inode, void *buf, size_t len,
		       loff_t pos)
{
	return owfs_file_read_as(inode, buf, len, pos, 0);
}

/* ------------------------------------------------------------ edge blocks */

int owfs_file_read_block(struct owfs_inode *inode, owfs_fileoff_t off,
			 uint64_t size, char *block, bool *mapped)
{
	const uint32_t bs = inode->i_fs->fs_geo.blocksize;
	const uint64_t start = off * bs;
	uint64_t valid = size > start ? min_u64(size - start, bs) : 0;
	struct owfs_iomap map;
	int ret = owfs_iomap_read(inode, off, 1, &map);

	if (ret)
		return ret;
	*mapped = map.type == OWFS_IOMAP_MAPPED;
	if (*mapped)
		ret = owfs_blkdev_read(inode->i_fs->fs_bd, block, bs,
				       (loff_t)(map.fsblock * bs));
	else
		valid = 0;
	if (ret)
		return read_failed(inode, off, map.fsblock, ret);
	/* (E) says so already; an image made by others need not know it */
	memset(block + valid, 0, bs - valid);
	return ret;
}

/* ---------------------------------------------------------------- writing */

/*
 * A write cut at block boundaries: the caller's bytes in the middle, and for
 * each partial edge a whole block of old and new bytes.
 */
struct write {
	struct owfs_inode *inode;
	const char *buf;
	size_t len;
	loff_t pos;
	uint64_t size;			/* of the file, before */
	owfs_fileoff_t first, end;	/* blocks */
	unsigned int how;		/* OWFS_WRITE_ */
	char *edges;			/* two blocks; NULL: none is partial */
	bool head, tail;		/* the first, the last block is an edge;
					   a single partial block is a head */
};

/* Does the write leave every byte as it is that is in the file already? */
static int check_only_adds(const struct write *w)
{
	size_t len = min_u64(w->len, w->size - (uint64_t)w->pos);
	char *old = aligned_alloc(OWFS_IO_ALIGN, OWFS_IO_ALIGN *
				  div_round_up(len, OWFS_IO_ALIGN));
	int ret = -ENOMEM;

	if (old)
		ret = read_range(w->inode, old, len, w->pos);
	if (!ret && memcmp(old, w->buf, len))
		ret = -EPERM;
	free(old);
	return ret;
}

/* What the inode's flags say to it.  Caller holds the range. */
static int check_allowed(const struct write *w)
{
	int ret = owfs_flags_may_change(w->inode, true);

	if (ret || (uint64_t)w->pos >= w->size)
		return ret;
	ret = owfs_flags_may_change(w->inode, false);
	if (ret && (w->how & OWFS_WRITE_CACHED))
		ret = check_only_adds(w);
	return ret;
}

static int write_merge_edge(struct write *w, owfs_fileoff_t off, char *block)
{
	const uint32_t bs = w->inode->i_fs->fs_geo.blocksize;
	const uint64_t start = off * bs, pos = (uint64_t)w->pos;
	uint64_t from = max_u64(pos, start);
	uint64_t to = min_u64(pos + w->len, start + bs);
	bool mapped;
	int ret = 0;

	if (from == start && to >= w->size)
		memset(block, 0, bs);	/* nothing of the old one is left */
	else
		ret = owfs_file_read_block(w->inode, off, w->size, block,
					   &mapped);
	memcpy(block + (from - start), w->buf + (from - pos), to - from);
	return ret;
}

static int write_merge_edges(struct write *w)
{
	const uint32_t bs = w->inode->i_fs->fs_geo.blocksize;
	int ret = 0;

	w->head = w->pos % bs != 0;
	w->tail = ((uint64_t)w->pos + w->len) % bs != 0;
	if (w->tail && w->end - w->first == 1) {
		w->head = true;
		w->tail = false;
	}
	if (!w->head && !w->tail)
		return 0;
	w->edges = aligned_alloc(OWFS_IO_ALIGN, 2 * (size_t)bs);
	if (!w->edges)
		return -ENOMEM;
	if (w->head)
		ret = write_merge_edge(w, w->first, w->edges);
	if (w->tail && !ret)
		ret = write_merge_edge(w, w->end - 1, w->edges + bs);
	return ret;
}

/* Blocks [map->off, map->off + map->len) of the request go to the device. */
static int write_mapping(struct write *w, const struct owfs_iomap *map)
{
	struct owfs_fs *fs = w->inode->i_fs;
	const size_t bs = fs->fs_geo.blocksize;
	owfs_fileoff_t off = map->off, end = map->off + map->len;
	struct iovec iov[3];
	int n = 0, ret;

	if (w->head && off == w->first) {
		iov[n++] = (struct iovec){ w->edges, bs };
		off++;
	}
	if (w->tail && end == w->end)
		end--;
	if (off < end)
		iov[n++] = (struct iovec){
			(char *)w->buf + ((loff_t)(off * bs) - w->pos),
			(end - off) * bs,
		};
	if (end < map->off + map->len)
		iov[n++] = (struct iovec){ w->edges + bs, bs };
	ret = owfs_blkdev_writev(fs->fs_bd, iov, n, map->len * bs,
				 (loff_t)(map->fsblock * bs));
	return ret ? owfs_file_write_failed(w->inode, map, ret) : 0;
}

static int write_data(struct write *w)
{
	struct owfs_iomap map;
	owfs_fileoff_t off;
	int ret = 0;

	for (off = w->first; off < w->end && !ret; off += map.len) {
		ret = owfs_iomap_begin_part(w->inode, off, w->end - off,
					    off == w->first, &map);
		if (!ret)
			ret = write_mapping(w, &map);
		if (ret)
			break;
	}
	return ret;
}

/* Data first, then the transaction; on failure what was staged goes back. */
static int write_through(struct write *w)
{
	struct owfs_ioend io = {
		.pos = w->pos, .written = w->len, .stamp = !(w->how & OWFS_WRITE_TIMED),
		.kill = w->how & OWFS_SET_KILL,
	};
	int ret = check_allowed(w), err;

	if (!ret)
		ret = write_merge_edges(w);
	if (!ret) {
		ret = write_data(w);
		io.error = ret;
		err = owfs_ioend(w->inode, &io);
		if (!ret)
			ret = err;
		if (err == -EAGAIN) {
			io.error = err;
			owfs_ioend(w->inode, &io);
		}
	}
	free(w->edges);
	return ret;
}

/*
 * Lock from the block of the end of file to infinity: two appends exclude each
 * other, and with the lock held nobody but us moves the end of file.
 */
static uint64_t append_lock(struct owfs_inode *inode, struct owfs_range *range)
{
	const uint32_t bs = inode->i_fs->fs_geo.blocksize;
	uint64_t size = owfs_file_size(inode);
	owfs_fileoff_t first;

	for (;;) {
		first = size / bs;
		owfs_range_lock(&inode->i_range, range, first, UINT64_MAX, true);
		size = owfs_file_size(inode);
		if (size / bs >= first)
			return size;
		owfs_range_unlock(&inode->i_range, range);
	}
}

static int write_once(struct owfs_inode *inode, const void *buf, size_t len,
		      loff_t *pos, unsigned int how)
{
	const uint32_t bs = inode->i_fs->fs_geo.blocksize;
	struct write w = { .inode = inode, .buf = buf, .len = len, .how = how };
	struct owfs_range range;
	int ret = -EFBIG;

	if (how & OWFS_WRITE_APPEND) {
		w.size = append_lock(inode, &range);
		*pos = (loff_t)w.size;
	} else {
		owfs_range_lock(&inode->i_range, &range, (uint64_t)*pos / bs,
				((uint64_t)*pos + len - 1) / bs, true);
		w.size = owfs_file_size(inode);
	}
	w.pos = *pos;
	w.first = (uint64_t)w.pos / bs;
	w.end = div_round_up((uint64_t)w.pos + len, bs);
	if (len <= OWFS_FILE_BYTES_MAX - (uint64_t)w.pos)
		ret = write_through(&w);
	owfs_range_unlock(&inode->i_range, &range);
	return ret;
}

int owfs_file_make_room(struct owfs_inode *inode)
{
	int ret;

	pthread_rwlock_rdlock(&inode->i_lock);
	ret = owfs_intents_are_many(inode);
	pthread_rwlock_unlock(&inode->i_lock);
	if (ret <= 0)
		return ret;
	OWFS_RETRY(inode->i_fs, ret, owfs_intent_make_room(inode));
	return ret;
}

/*
 * There was no room for @len bytes at @pos: how many to try next, cut between
 * blocks where there are some; 0: none.
 */
static size_t write_less(const struct owfs_inode *inode, uint64_t pos,
			 size_t len)
{
	const uint32_t bs = inode->i_fs->fs_geo.blocksize;
	size_t skip = (size_t)(pos % bs);

	if (len <= bs - skip)
		return 0;
	return max_u64((skip + len / 2) / bs * bs, bs) - skip;
}

/* How much was written before *@ret. */
static size_t write_pieces(struct owfs_inode *inode, const char *buf,
			   size_t len, loff_t pos, unsigned int how, int *ret)
{
	size_t n, done = 0, max = OWFS_WRITE_MAX;

	while (done < len && !*ret) {
		n = min_u64(len - done, max);
		OWFS_RETRY(inode->i_fs, *ret,
			   write_once(inode, buf + done, n, &pos, how));
		if (!*ret) {
			done += n;
			pos += (loff_t)n;
			/* the rest follows, whoever came between */
			how &= ~OWFS_WRITE_APPEND;
		} else if (*ret == -ENOSPC && (how & OWFS_WRITE_SOME)) {
			max = write_less(inode, (uint64_t)pos, n);
			*ret = max ? 0 : -ENOSPC;
		}
	}
	return done;
}

ssize_t owfs_file_write_as(struct owfs_inode *inode, const void *buf,
			   size_t len, loff_t pos, unsigned int how)
{
	bool append = how & OWFS_WRITE_APPEND;
	int ret = owfs_file_check(inode);
	size_t done;

	if (!ret)
		ret = owfs_fs_writable(inode->i_fs);
	if (!ret)
		ret = owfs_file_make_room(inode);
	if (!ret && !append && len && (uint64_t)pos >= OWFS_FILE_BYTES_MAX)
		ret = -EFBIG;
	if (!append)
		len = min_u64(len, OWFS_FILE_BYTES_MAX - (uint64_t)pos);
	done = write_pieces(inode, buf, len, pos, how, &ret);
	if (ret == -EDQUOT)	/* of the device; not to be tried with less */
		ret = -ENOSPC;
	if (ret && (how & OWFS_WRITE_CACHED)) {
		/* nobody will bring it again, and who wrote it was allowed to */
		if (ret == -EROFS)
			ret = -EIO;
		__atomic_store_n(&inode->i_data_err, ret, __ATOMIC_RELAXED);
		return ret;
	}
	if (done)
		ret = owfs_flags_settle(inode, OWFS_FLAGS_SYNC, 0);
	return done && !ret ? (ssize_t)done : ret;
}

ssize_t owfs_file_write(struct owfs_inode *inode, const void *buf, size_t len,
			loff_t pos, bool append, unsigned int kill)
{
	return owfs_file_write_as(inode, buf, len, pos,
				  (append ? OWFS_WRITE_APPEND : 0) |
				  (kill & OWFS_SET_KILL) | OWFS_SET_KILL_CAP);
}

ssize_t owfs_file_writeback(struct owfs_inode *inode, const void *buf,
			    size_t len, loff_t pos, unsigned int kill)
{
	return owfs_file_write_as(inode, buf, len, pos, OWFS_WRITE_CACHED |
				  OWFS_WRITE_SOME | (kill & OWFS_SET_KILL));
}

/* ----------------------------------------------------------------- the rest */

int owfs_file_lost(const struct owfs_inode *inode)
{
	return __atomic_load_n(&inode->i_data_err, __ATOMIC_RELAXED);
}

int owfs_file_fsync(struct owfs_inode *inode, bool datasync)
{
	int ret;

	/*
	 * Everything, not only this inode: no state older than an answered
	 * fsync may ever be seen (P2).  What datasync could leave out is in the
	 * same commit anyway.
	 */
	(void)datasync;
	ret = owfs_commit_all(inode->i_fs);
	return ret ? ret : owfs_file_lost(inode);
}

/* The first byte in [pos, size) that is data, or hole. */
static loff_t seek_in(struct owfs_inode *inode, uint64_t pos, uint64_t size,
		      bool data)
{
	const uint32_t bs = inode->i_fs->fs_geo.blocksize;
	const owfs_fileoff_t end = div_round_up(size, bs);
	owfs_fileoff_t off = pos / bs;
	struct owfs_iomap map;
	int ret;

	for (; off < end; off += map.len) {
		ret = owfs_iomap_read(inode, off, end - off, &map);
		if (ret)
			return ret;
		if ((map.type == OWFS_IOMAP_MAPPED) == data)
			return (loff_t)max_u64(pos, off * bs);
	}
	return data ? -ENXIO : (loff_t)size;
}

loff_t owfs_file_seek(struct owfs_inode *inode, loff_t pos, int whence)
{
	const uint32_t bs = inode->i_fs->fs_geo.blocksize;
	struct owfs_range range;
	uint64_t size;
	loff_t ret = owfs_file_check(inode);

	if (!ret)
		ret = owfs_fs_readable(inode->i_fs);
	if (ret)
		return ret;
	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return -EINVAL;
	if (pos < 0)
		return -ENXIO;
	owfs_range_lock(&inode->i_range, &range, (uint64_t)pos / bs, UINT64_MAX,
			false);
	size = owfs_file_size(inode);
	ret = -ENXIO;
	if ((uint64_t)pos < size)
		ret = seek_in(inode, (uint64_t)pos, size, whence == SEEK_DATA);
	owfs_range_unlock(&inode->i_range, &range);
	return ret;
}

static ssize_t copy_some(struct owfs_inode *in, loff_t in_pos,
			 struct owfs_inode *out, loff_t out_pos, char *buf,
			 uint64_t len)
{
	ssize_t n = owfs_file_read(in, buf, min_u64(len, OWFS_WRITE_MAX),
				   in_pos);

	if (n <= 0)
		return n;
	return owfs_file_write(out, buf, (size_t)n, out_pos, false, false);
}

ssize_t owfs_file_copy(struct owfs_inode *in, loff_t in_pos,
		       struct owfs_inode *out, loff_t out_pos, uint64_t len)
{
	uint64_t done, size;
	ssize_t n = 0;
	char *buf;

	len = min_u64(len, SSIZE_MAX);
	if (in_pos < 0 || out_pos < 0)
		return -EINVAL;
	if (in == out && (uint64_t)in_pos < (uint64_t)out_pos + len &&
	    (uint64_t)out_pos < (uint64_t)in_pos + len)
		return -EINVAL;
	if (__atomic_load_n(&in->i_swap, __ATOMIC_RELAXED))
		return -ETXTBSY;
	/* the end as it is now: what we append is not to be copied again */
	size = owfs_file_size(in);
	len = size > (uint64_t)in_pos ? min_u64(len, size - (uint64_t)in_pos) : 0;
	buf = aligned_alloc(OWFS_IO_ALIGN, OWFS_WRITE_MAX);
	if (!buf)
		return -ENOMEM;
	for (done = 0; done < len; done += (uint64_t)n) {
		n = copy_some(in, in_pos + (loff_t)done, out,
			      out_pos + (loff_t)done, buf, len - done);
		if (n <= 0)
			break;
	}
	free(buf);
	return done ? (ssize_t)done : n;
}
