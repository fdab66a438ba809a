/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Regular files and block devices as devices.
 *
 * With direct I/O the kernel wants position, length and memory in whole
 * sectors; what is not goes through one bounce buffer, allocated at open so
 * that no write can fail for want of memory later.  A write of part of a
 * sector reads the sector first.
 */
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <pthread.h>

#include "base/err.h"
#include "base/util.h"
#include "io/blkdev.h"

#define SECTOR_MIN	512u
#define BOUNCE_BYTES	(256u << 10)
#define IOV_BATCH	256

struct file_bd {
	struct owfs_blkdev bd;
	int fd;
	bool is_blk;
	bool direct;
	pthread_mutex_t bounce_lock;	/* also makes read-modify-write whole */
	unsigned char *bounce;		/* NULL unless direct */
};

static struct file_bd *file_of(struct owfs_blkdev *bd)
{
	return container_of(bd, struct file_bd, bd);
}

/* Read all of @len; a file that ends before is a device that lost its end. */
static int fd_read(int fd, unsigned char *buf, size_t len, loff_t pos)
{
	while (len) {
		ssize_t n = pread(fd, buf, len, pos);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		buf += n;
		len -= (size_t)n;
		pos += n;
	}
	return 0;
}

static bool aligned(const struct file_bd *f, uint64_t v)
{
	return v % f->bd.sector == 0;
}

/* Read through the bounce buffer: whole sectors around [pos, pos + len). */
static int bounce_read(struct file_bd *f, unsigned char *buf, size_t len,
		       loff_t pos)
{
	const unsigned int sector = f->bd.sector;
	int ret = 0;

	pthread_mutex_lock(&f->bounce_lock);
	while (len && !ret) {
		size_t skip = (size_t)((uint64_t)pos % sector);
		size_t part = min_u64(len, BOUNCE_BYTES - skip);
		size_t whole = div_round_up(skip + part, sector) * sector;

		ret = fd_read(f->fd, f->bounce, whole, pos - (loff_t)skip);
		if (!ret)
			memcpy(buf, f->bounce + skip, part);
		buf += part;
		len -= part;
		pos += (loff_t)part;
	}
	pthread_mutex_unlock(&f->bounce_lock);
	return ret;
}

static int file_read(struct owfs_blkdev *bd, void *buf, size_t len, loff_t pos)
{
	struct file_bd *f = file_of(bd);

	if (f->direct && !(aligned(f, (uintptr_t)buf) && aligned(f, len) &&
			   aligned(f, (uint64_t)pos)))
		return bounce_read(f, buf, len, pos);
	return fd_read(f->fd, buf, len, pos);
}

/* Take @n bytes off the front of the vector. */
static void iov_advance(struct iovec **iov, int *cnt, size_t n)
{
	while (*cnt && n >= (*iov)->iov_len) {
		n -= (*iov)->iov_len;
		(*iov)++;
		(*cnt)--;
	}
	if (n) {
		(*iov)->iov_base = (char *)(*iov)->iov_base + n;
		(*iov)->iov_len -= n;
	}
}

/* Write all of a vector that is ours to change. */
static int fd_writev(struct file_bd *f, struct iovec *iov, int cnt, loff_t pos)
{
	while (cnt) {
		ssize_t n = pwritev(f->fd, iov, cnt, pos);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (f->direct)		/* go on from a whole sector */
			n -= n % (ssize_t)f->bd.sector;
		if (n == 0)
			return -EIO;
		iov_advance(&iov, &cnt, (size_t)n);
		pos += n;
	}
	return 0;
}

static int fd_write(struct file_bd *f, void *buf, size_t len, loff_t pos)
{
	struct iovec iov = { .iov_base = buf, .iov_len = len };

	return fd_writev(f, &iov, 1, pos);
}

/* Gather the vector's next @part bytes behind the first @skip of the bounce. */
static void bounce_fill(struct file_bd *f, const struct iovec **iov,
			size_t *iov_off, size_t skip, size_t part)
{
	while (part) {
		size_t n = min_u64(part, (*iov)->iov_len - *iov_off);

		memcpy(f->bounce + skip, (char *)(*iov)->iov_base + *iov_off, n);
		skip += n;
		part -= n;
		*iov_off += n;
		if (*iov_off == (*iov)->iov_len) {
			(*iov)++;
			*iov_off = 0;
		}
	}
}

/* The sectors at both ends keep what the write does not cover. */
static int bounce_write(struct file_bd *f, const struct iovec *iov, size_t len,
			loff_t pos)
{
	const unsigned int sector = f->bd.sector;
	size_t iov_off = 0;
	int ret = 0;

	pthread_mutex_lock(&f->bounce_lock);
	while (len) {
		size_t skip = (size_t)((uint64_t)pos % sector);
		size_t part = min_u64(len, BOUNCE_BYTES - skip);
		size_t whole = div_round_up(skip + part, sector) * sector;

		if (skip || whole != part)
			ret = fd_read(f->fd, f->bounce, whole,
				      pos - (loff_t)skip);
		if (ret)
			break;
		bounce_fill(f, &iov, &iov_off, skip, part);
		ret = fd_write(f, f->bounce, whole, pos - (loff_t)skip);
		if (ret)
			break;
		len -= part;
		pos += (loff_t)part;
	}
	pthread_mutex_unlock(&f->bounce_lock);
	return ret;
}

static bool iov_aligned(const struct file_bd *f, const struct iovec *iov,
			int cnt)
{
	for (int i = 0; i < cnt; i++)
		if (!aligned(f, (uintptr_t)iov[i].iov_base) ||
		    !aligned(f, iov[i].iov_len))
			return false;
	return true;
}

static int file_writev(struct owfs_blkdev *bd, const struct iovec *iov,
		       int iovcnt, size_t len, loff_t pos)
{
	struct file_bd *f = file_of(bd);
	struct iovec batch[IOV_BATCH];
	int ret = 0;

	if (f->direct && !(aligned(f, len) && aligned(f, (uint64_t)pos) &&
			   iov_aligned(f, iov, iovcnt)))
		return bounce_write(f, iov, len, pos);

	while (iovcnt && !ret) {
		int cnt = (int)min_u64((uint64_t)iovcnt, IOV_BATCH);
		loff_t next = pos;

		memcpy(batch, iov, (size_t)cnt * sizeof(*iov));
		for (int i = 0; i < cnt; i++)
			next += (loff_t)iov[i].iov_len;
		ret = fd_writev(f, batch, cnt, pos);
		pos = next;
		iov += cnt;
		iovcnt -= cnt;
	}
	return ret;
}

static int file_flush(struct owfs_blkdev *bd)
{
	int ret;

	do {
		ret = fdatasync(file_of(bd)->fd);
	} while (ret < 0 && errno == EINTR);
	return ret < 0 ? -errno : 0;
}

static int file_discard(struct owfs_blkdev *bd, loff_t pos, uint64_t len)
{
	struct file_bd *f = file_of(bd);
	int ret;

	do {
		uint64_t range[2] = { (uint64_t)pos, len };

		ret = f->is_blk ? ioctl(f->fd, BLKDISCARD, range) :
			fallocate(f->fd, FALLOC_FL_PUNCH_HOLE |
				  FALLOC_FL_KEEP_SIZE, pos, (off_t)len);
	} while (ret < 0 && errno == EINTR);
	if (ret == 0)
		return 0;
	if (errno == ENOSYS || errno == ENOTTY || errno == EINVAL)
		return -EOPNOTSUPP;	/* not this device, or not in this unit */
	return -errno;
}

static void file_close(struct owfs_blkdev *bd)
{
	struct file_bd *f = file_of(bd);

	close(f->fd);
	pthread_mutex_destroy(&f->bounce_lock);
	free(f->bounce);
	free(f);
}

static const struct owfs_blkdev_ops file_ops = {
	.read = file_read,
	.writev = file_writev,
	.flush = file_flush,
	.discard = file_discard,
	.close = file_close,
};

int owfs_blkdev_fd(const struct owfs_blkdev *bd)
{
	if (bd->ops != &file_ops)
		return -1;
	return container_of((struct owfs_blkdev *)bd, struct file_bd, bd)->fd;
}

static int stat_mode(mode_t mode)
{
	return S_ISREG(mode) || S_ISBLK(mode) ? 0 : -ENOTBLK;
}

/* Size, sector and what the kernel says about writing. */
static int learn_geometry(struct file_bd *f)
{
	int acc = fcntl(f->fd, F_GETFL);
	int sector = (int)SECTOR_MIN, ro = 0;
	struct stat st;
	int ret;

	if (acc < 0 || fstat(f->fd, &st) < 0)
		return -errno;
	ret = stat_mode(st.st_mode);
	if (ret)
		return ret;

	f->is_blk = S_ISBLK(st.st_mode);
	f->bd.size = (uint64_t)st.st_size;
	if (f->is_blk && (ioctl(f->fd, BLKGETSIZE64, &f->bd.size) < 0 ||
			  ioctl(f->fd, BLKSSZGET, &sector) < 0 ||
			  ioctl(f->fd, BLKROGET, &ro) < 0))
		return -errno;
	if (sector < (int)SECTOR_MIN || sector > OWFS_IO_ALIGN ||
	    (sector & (sector - 1)))
		return -EINVAL;

	f->bd.size -= f->bd.size % SECTOR_MIN;
	f->bd.sector = (unsigned int)sector;
	if (ro || (acc & O_ACCMODE) == O_RDONLY)
		f->bd.readonly = true;
	return 0;
}

/* Does a direct read in units of @sector work here? */
static bool direct_works(struct file_bd *f, unsigned int sector)
{
	return f->bd.size % sector == 0 &&
	       fd_read(f->fd, f->bounce, sector, 0) == 0;
}

/*
 * Switch to direct I/O if the file can do it.  Some files take the flag and
 * refuse the I/O, others want more than their sector: one read tells.
 */
static int try_direct(struct file_bd *f)
{
	int fl = fcntl(f->fd, F_GETFL);
	void *mem;

	if (fl < 0 || fcntl(f->fd, F_SETFL, fl | O_DIRECT) < 0)
		return 0;
	if (posix_memalign(&mem, OWFS_IO_ALIGN, BOUNCE_BYTES))
		return -ENOMEM;
	f->bounce = mem;
	f->direct = true;

	if (f->bd.size == 0 || direct_works(f, f->bd.sector))
		return 0;
	if (!f->is_blk && direct_works(f, OWFS_IO_ALIGN)) {
		f->bd.sector = OWFS_IO_ALIGN;
		return 0;
	}

	f->direct = false;
	if (fcntl(f->fd, F_SETFL, fl) < 0)
		return -errno;
	return 0;
}

/* A file has no exclusive open, so everybody who wants one takes a lock. */
static int claim_file(const struct file_bd *f)
{
	int how = (f->bd.readonly ? LOCK_SH : LOCK_EX) | LOCK_NB;

	if (f->is_blk || flock(f->fd, how) == 0)
		return 0;
	return errno == EWOULDBLOCK ? -EBUSY : 0;
}

/* On failure the descriptor stays with the caller. */
int owfs_blkdev_fdopen(int fd, unsigned int flags, struct owfs_blkdev **bdp)
{
	struct file_bd *f = calloc(1, sizeof(*f));
	int ret;

	if (!f)
		return -ENOMEM;
	f->fd = fd;
	f->bd.ops = &file_ops;
	f->bd.readonly = flags & OWFS_BLKDEV_RDONLY;
	pthread_mutex_init(&f->bounce_lock, NULL);

	ret = learn_geometry(f);
	if (!ret && (flags & OWFS_BLKDEV_EXCL))
		ret = claim_file(f);
	if (!ret && (flags & OWFS_BLKDEV_DIRECT))
		ret = try_direct(f);
	if (ret) {
		pthread_mutex_destroy(&f->bounce_lock);
		free(f->bounce);
		free(f);
		return ret;
	}
	*bdp = &f->bd;
	return 0;
}

const char *owfs_blkdev_strerror(int err, unsigned int flags)
{
	switch (err) {
	case -EACCES:
		return flags & OWFS_BLKDEV_RDONLY ?
		       "Permission denied; it takes root, or the right to read it" :
		       "Permission denied; it takes root, or the right to read and write it";
	case -ENOTBLK:
		return "neither a block device nor an image file";
	default:
		return strerror(-err);
	}
}

int owfs_blkdev_open(const char *path, unsigned int flags,
		     struct owfs_blkdev **bdp)
{
	int oflags = O_CLOEXEC;
	struct stat st;
	int fd, ret;

	/* look before opening: a fifo would keep us waiting */
	if (stat(path, &st) < 0)
		return -errno;
	ret = stat_mode(st.st_mode);
	if (ret)
		return ret;

	oflags |= flags & OWFS_BLKDEV_RDONLY ? O_RDONLY : O_RDWR;
	if ((flags & OWFS_BLKDEV_EXCL) && S_ISBLK(st.st_mode))
		oflags |= O_EXCL;
	fd = open(path, oflags);
	if (fd < 0)
		return -errno;
	ret = owfs_blkdev_fdopen(fd, flags, bdp);
	if (ret)
		close(fd);
	return ret;
}
