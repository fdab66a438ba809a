/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The undo file: a layer over the device that saves before it writes. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/checksum.h"
#include "base/endian.h"
#include "base/err.h"
#include "base/util.h"
#include "undo.h"

#define UNDO_MAGIC	0x4f444e555346574full	/* "OWFSUNDO" */
#define RECORD_MAGIC	0x4452u
#define CHUNK_MAX	(1u << 20)	/* one record's bytes at most */

struct undo_header {
	le64_t magic;
	le64_t size;		/* of the device */
	le64_t zero[2];
};

struct undo_record {
	le32_t magic;
	le32_t len;
	le64_t pos;
	le64_t csum;		/* of position, length and bytes */
	le64_t zero;
};

struct undo_dev {
	struct owfs_blkdev bd;
	struct owfs_blkdev *below;
	int fd;
	off_t end;
	int err;		/* of keeping something */
	unsigned char *buf;	/* CHUNK_MAX bytes */
};

static uint64_t record_csum(uint64_t pos, uint32_t len, const void *bytes)
{
	return owfs_checksum(pos ^ (uint64_t)len << 40, bytes, len);
}

/* ------------------------------------------------------------------ saving */

static int write_all(int fd, const void *buf, size_t len, off_t pos)
{
	const char *p = buf;
	ssize_t n;

	while (len) {
		n = pwrite(fd, p, len, pos);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		p += n;
		pos += n;
		len -= (size_t)n;
	}
	return 0;
}

/* What cannot be read cannot be kept, and is no loss; all else around it is. */
static void read_old(struct undo_dev *u, size_t len, loff_t pos)
{
	size_t at, n;

	if (!owfs_blkdev_read(u->below, u->buf, len, pos))
		return;
	for (at = 0; at < len; at += n) {
		n = min_u64(len - at, OWFS_IO_ALIGN);
		if (owfs_blkdev_read(u->below, u->buf + at, n,
				     pos + (loff_t)at))
			memset(u->buf + at, 0, n);
	}
}

static int save_chunk(struct undo_dev *u, size_t len, loff_t pos)
{
	struct undo_record r = {
		.magic = cpu_to_le32(RECORD_MAGIC),
		.len = cpu_to_le32((uint32_t)len),
		.pos = cpu_to_le64((uint64_t)pos),
	};
	int ret;

	read_old(u, len, pos);
	r.csum = cpu_to_le64(record_csum((uint64_t)pos, (uint32_t)len, u->buf));
	ret = write_all(u->fd, &r, sizeof(r), u->end);
	if (!ret)
		ret = write_all(u->fd, u->buf, len, u->end + (off_t)sizeof(r));
	if (!ret && fdatasync(u->fd))
		ret = -errno;
	if (!ret)
		u->end += (off_t)(sizeof(r) + len);
	return ret;
}

/* After a failure none follows: it would begin within what that has left. */
static int save(struct undo_dev *u, size_t len, loff_t pos)
{
	while (len && !u->err) {
		size_t n = min_u64(len, CHUNK_MAX);

		u->err = save_chunk(u, n, pos);
		pos += (loff_t)n;
		len -= n;
	}
	return u->err;
}

/* --------------------------------------------------------------- the layer */

static int undo_read(struct owfs_blkdev *bd, void *buf, size_t len, loff_t pos)
{
	struct undo_dev *u = container_of(bd, struct undo_dev, bd);

	return owfs_blkdev_read(u->below, buf, len, pos);
}

static int undo_writev(struct owfs_blkdev *bd, const struct iovec *iov,
		       int iovcnt, size_t len, loff_t pos)
{
	struct undo_dev *u = container_of(bd, struct undo_dev, bd);
	int ret = save(u, len, pos);

	return ret ? ret : owfs_blkdev_writev(u->below, iov, iovcnt, len, pos);
}

static int undo_flush(struct owfs_blkdev *bd)
{
	struct undo_dev *u = container_of(bd, struct undo_dev, bd);

	return owfs_blkdev_flush(u->below);
}

static int undo_discard(struct owfs_blkdev *bd, loff_t pos, uint64_t len)
{
	(void)bd;
	(void)pos;
	(void)len;
	return -EOPNOTSUPP;
}

static void undo_close(struct owfs_blkdev *bd)
{
	struct undo_dev *u = container_of(bd, struct undo_dev, bd);

	owfs_blkdev_close(u->below);
	close(u->fd);
	free(u->buf);
	free(u);
}

static const struct owfs_blkdev_ops undo_ops = {
	.read = undo_read,
	.writev = undo_writev,
	.flush = undo_flush,
	.discard = undo_discard,
	.close = undo_close,
};

static int write_header(struct undo_dev *u)
{
	struct undo_header h = {
		.magic = cpu_to_le64(UNDO_MAGIC),
		.size = cpu_to_le64(u->below->size),
	};
	int ret = write_all(u->fd, &h, sizeof(h), 0);

	u->end = sizeof(h);
	if (!ret && fsync(u->fd))
		ret = -errno;
	return ret;
}

int undo_open(const char *path, struct owfs_blkdev *below,
	      struct owfs_blkdev **bdp)
{
	struct undo_dev *u = calloc(1, sizeof(*u));
	int ret = 0;

	if (!u)
		return -ENOMEM;
	u->below = below;
	u->bd = *below;
	u->bd.ops = &undo_ops;
	u->buf = aligned_alloc(OWFS_IO_ALIGN, CHUNK_MAX);
	u->fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (!u->buf)
		ret = -ENOMEM;
	else if (u->fd < 0)
		ret = -errno;
	if (!ret)
		ret = write_header(u);
	if (!ret) {
		*bdp = &u->bd;
		return 0;
	}
	if (u->fd >= 0) {
		close(u->fd);
		unlink(path);	/* else the next try would find it there */
	}
	free(u->buf);
	free(u);
	return ret;
}

/* --------------------------------------------------------------- restoring */

struct places {
	off_t *v;
	size_t n, cap;
};

static int note_place(struct places *p, off_t at)
{
	off_t *v;

	if (p->n == p->cap) {
		v = realloc(p->v, (2 * p->cap + 64) * sizeof(*v));
		if (!v)
			return -ENOMEM;
		p->v = v;
		p->cap = 2 * p->cap + 64;
	}
	p->v[p->n++] = at;
	return 0;
}

/* 1: a whole record; 0: the end, or what is left of one never finished. */
static int read_record(int fd, off_t at, off_t size, struct undo_record *r,
		       unsigned char *buf)
{
	uint32_t len;

	if (at + (off_t)sizeof(*r) > size)
		return 0;
	if (pread(fd, r, sizeof(*r), at) != sizeof(*r))
		return -EIO;
	len = le32_to_cpu(r->len);
	if (le32_to_cpu(r->magic) != RECORD_MAGIC || len > CHUNK_MAX)
		return -EFSBADCRC;
	at += (off_t)sizeof(*r);
	if (at + (off_t)len > size)
		return 0;
	if (pread(fd, buf, len, at) != (ssize_t)len)
		return -EIO;
	if (record_csum(le64_to_cpu(r->pos), len, buf) == le64_to_cpu(r->csum))
		return 1;
	/* torn, if nothing comes after it */
	return at + (off_t)len == size ? 0 : -EFSBADCRC;
}

static int find_records(int fd, off_t size, struct places *p,
			unsigned char *buf, uint64_t device)
{
	off_t at = sizeof(struct undo_header);
	struct undo_record r;
	int ret;

	while ((ret = read_record(fd, at, size, &r, buf)) == 1) {
		if (le64_to_cpu(r.pos) > device ||
		    le32_to_cpu(r.len) > device - le64_to_cpu(r.pos))
			return -EFSBADCRC;
		ret = note_place(p, at);
		if (ret)
			return ret;
		at += (off_t)(sizeof(r) + le32_to_cpu(r.len));
	}
	return ret;
}

static int put_back(int fd, off_t size, const struct places *p,
		    unsigned char *buf, struct owfs_blkdev *bd)
{
	struct undo_record r;
	size_t i;
	int ret;

	for (i = p->n; i-- > 0; ) {
		ret = read_record(fd, p->v[i], size, &r, buf);
		if (ret != 1)
			return ret ? ret : -EIO;
		ret = owfs_blkdev_write(bd, buf, le32_to_cpu(r.len),
					(loff_t)le64_to_cpu(r.pos));
		if (ret)
			return ret;
	}
	return owfs_blkdev_flush(bd);
}

static int check_header(int fd, const struct owfs_blkdev *bd)
{
	struct undo_header h;

	if (pread(fd, &h, sizeof(h), 0) != sizeof(h) ||
	    le64_to_cpu(h.magic) != UNDO_MAGIC)
		return -ENODEV;
	return le64_to_cpu(h.size) == bd->size ? 0 : -EINVAL;
}

int undo_restore(int fd, struct owfs_blkdev *bd, uint64_t *n)
{
	unsigned char *buf = aligned_alloc(OWFS_IO_ALIGN, CHUNK_MAX);
	struct places p = { NULL, 0, 0 };
	off_t size = lseek(fd, 0, SEEK_END);
	int ret = buf ? check_header(fd, bd) : -ENOMEM;

	if (!ret)
		ret = find_records(fd, size, &p, buf, bd->size);
	if (!ret)
		ret = put_back(fd, size, &p, buf, bd);
	*n = p.n;
	free(p.v);
	free(buf);
	return ret;
}
