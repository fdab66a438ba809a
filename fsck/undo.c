/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The undo file: a layer over the device that saves before it writes. */
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/util.h"
#include "undo.h"
#include "undo_file.h"

struct undo_dev {
	struct owfs_blkdev bd;
	struct owfs_blkdev *below;
	int fd;
	off_t end;
	int err;		/* of keeping something */
	unsigned char *buf;	/* a record's bytes and units */
};

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

static void mark_unread(struct undo_dev *u, size_t len, size_t at, size_t n)
{
	struct undo_unit *unit = undo_units(u->buf, len) + at / UNDO_UNIT;

	memset(u->buf + at, 0, n);
	for (n /= UNDO_UNIT; n--; unit++)
		unit->flags = cpu_to_le32(UNDO_UNREAD);
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
			mark_unread(u, len, at, n);
	}
}

/* Bytes that are to be written, taken piece by piece. */
struct source {
	const struct iovec *iov;
	size_t off;		/* within the first */
};

static void take(struct source *s, unsigned char *to, size_t len)
{
	size_t n;

	for (; len; len -= n, to += n) {
		while (s->off == s->iov->iov_len) {
			s->iov++;
			s->off = 0;
		}
		n = min_u64(len, s->iov->iov_len - s->off);
		memcpy(to, (const char *)s->iov->iov_base + s->off, n);
		s->off += n;
	}
}

/* The units of a record about @len bytes, with what comes. */
static void learn_new(struct undo_dev *u, size_t len, struct source *new)
{
	struct undo_unit *unit = undo_units(u->buf, len);
	unsigned char bytes[UNDO_UNIT];
	size_t at;

	for (at = 0; at < len; at += UNDO_UNIT, unit++) {
		take(new, bytes, UNDO_UNIT);
		*unit = (struct undo_unit){
			.csum = cpu_to_le64(undo_unit_csum(bytes)) };
	}
}

static int save_chunk(struct undo_dev *u, struct source *new, size_t len,
		      loff_t pos)
{
	struct undo_record r = {
		.magic = cpu_to_le32(UNDO_RECORD),
		.len = cpu_to_le32((uint32_t)len),
		.pos = cpu_to_le64((uint64_t)pos),
	};
	int ret;

	learn_new(u, len, new);
	read_old(u, len, pos);
	r.csum = cpu_to_le64(undo_record_csum((uint64_t)pos, len, u->buf));
	ret = write_all(u->fd, &r, sizeof(r), u->end);
	if (!ret)
		ret = write_all(u->fd, u->buf, undo_body(len),
				u->end + (off_t)sizeof(r));
	if (!ret && fdatasync(u->fd))
		ret = -errno;
	if (!ret)
		u->end += (off_t)(sizeof(r) + undo_body(len));
	return ret;
}

/* After a failure none follows: it would begin within what that has left. */
static int save(struct undo_dev *u, struct source new, size_t len, loff_t pos)
{
	while (len && !u->err) {
		size_t n = min_u64(len, UNDO_CHUNK);

		u->err = save_chunk(u, &new, n, pos);
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

	/* that the file has no room says nothing of room on the device */
	if (save(u, (struct source){ .iov = iov }, len, pos))
		return -EIO;
	return owfs_blkdev_writev(u->below, iov, iovcnt, len, pos);
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

int undo_error(const struct owfs_blkdev *bd)
{
	return container_of(bd, const struct undo_dev, bd)->err;
}

static const struct owfs_blkdev_ops undo_ops = {
	.read = undo_read,
	.writev = undo_writev,
	.flush = undo_flush,
	.discard = undo_discard,
	.close = undo_close,
};

static int write_header(struct undo_dev *u, const struct undo_id *id)
{
	struct undo_header h = {
		.magic = cpu_to_le64(UNDO_MAGIC),
		.size = cpu_to_le64(u->below->size),
		.csum_seed = cpu_to_le64(id->csum_seed),
	};
	int ret;

	memcpy(h.uuid, id->uuid, sizeof(h.uuid));
	h.csum = cpu_to_le64(undo_header_csum(&h));
	ret = write_all(u->fd, &h, sizeof(h), 0);
	u->end = sizeof(h);
	if (!ret && fsync(u->fd))
		ret = -errno;
	return ret;
}

/* The file has a name after a power cut, too. */
static int sync_directory(const char *path)
{
	char *copy = strdup(path);
	int fd, ret = 0;

	if (!copy)
		return -ENOMEM;
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(copy);
	if (fd < 0)
		return -errno;
	if (fsync(fd))
		ret = -errno;
	close(fd);
	return ret == -EINVAL ? 0 : ret;	/* no such thing there */
}

int undo_open(const char *path, const struct undo_id *id,
	      struct owfs_blkdev *below, struct owfs_blkdev **bdp)
{
	struct undo_dev *u = calloc(1, sizeof(*u));
	int ret = 0;

	if (!u)
		return -ENOMEM;
	u->below = below;
	u->bd = *below;
	u->bd.ops = &undo_ops;
	u->buf = aligned_alloc(OWFS_IO_ALIGN, undo_body(UNDO_CHUNK));
	u->fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (!u->buf)
		ret = -ENOMEM;
	else if (u->fd < 0)
		ret = -errno;
	if (!ret)
		ret = write_header(u, id);
	if (!ret)
		ret = sync_directory(path);
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
