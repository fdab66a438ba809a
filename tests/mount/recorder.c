/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A device that does what the real one does and notes it (lib/record.h), put
 * under the server of a test: recording-owfs-fuse is owfs-fuse, but what it
 * opens is wrapped, and the log is the file that OWFS_RECORD names.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/err.h"
#include "base/util.h"
#include "io/window.h"
#include "record.h"

struct recorder {
	struct owfs_blkdev bd;
	struct owfs_blkdev *under;
	pthread_mutex_t lock;
	struct record_head *head;	/* mapped, all of the file */
};

static struct recorder *recorder_of(struct owfs_blkdev *bd)
{
	return container_of(bd, struct recorder, bd);
}

/* ------------------------------------------------------------------ noting */

static bool has_room(const struct recorder *r, uint64_t len)
{
	return len <= RECORD_ROOM - sizeof(struct record_event) -
		      r->head->used;
}

/* Done: say so.  Caller holds the lock. */
static void note(struct recorder *r, enum record_kind kind, uint64_t pos,
		 uint64_t len, const struct iovec *iov, int iovcnt)
{
	const struct record_event ev = { kind, pos, len };
	unsigned char *p = (unsigned char *)r->head + r->head->used;
	int i;

	memcpy(p, &ev, sizeof(ev));
	p += sizeof(ev);
	for (i = 0; i < iovcnt; i++) {
		memcpy(p, iov[i].iov_base, iov[i].iov_len);
		p += iov[i].iov_len;
	}
	__atomic_store_n(&r->head->used,
			 (uint64_t)(p - (unsigned char *)r->head),
			 __ATOMIC_RELEASE);
}

/* ----------------------------------------------------------- the operations */

static int recorder_read(struct owfs_blkdev *bd, void *buf, size_t len,
			 loff_t pos)
{
	return owfs_blkdev_read(recorder_of(bd)->under, buf, len, pos);
}

static int recorder_writev(struct owfs_blkdev *bd, const struct iovec *iov,
			   int iovcnt, size_t len, loff_t pos)
{
	struct recorder *r = recorder_of(bd);
	int ret = -ENOSPC;

	pthread_mutex_lock(&r->lock);
	if (has_room(r, len))
		ret = owfs_blkdev_writev(r->under, iov, iovcnt, len, pos);
	if (!ret)
		note(r, RECORD_WRITE, (uint64_t)pos, len, iov, iovcnt);
	pthread_mutex_unlock(&r->lock);
	return ret;
}

static int recorder_flush(struct owfs_blkdev *bd)
{
	struct recorder *r = recorder_of(bd);
	int ret;

	pthread_mutex_lock(&r->lock);
	ret = has_room(r, 0) ? owfs_blkdev_flush(r->under) : -ENOSPC;
	if (!ret)
		note(r, RECORD_FLUSH, 0, 0, NULL, 0);
	pthread_mutex_unlock(&r->lock);
	return ret;
}

static int recorder_discard(struct owfs_blkdev *bd, loff_t pos, uint64_t len)
{
	struct recorder *r = recorder_of(bd);
	int ret;

	pthread_mutex_lock(&r->lock);
	ret = has_room(r, 0) ? owfs_blkdev_discard(r->under, pos, len) : -ENOSPC;
	if (!ret)
		note(r, RECORD_DISCARD, (uint64_t)pos, len, NULL, 0);
	pthread_mutex_unlock(&r->lock);
	return ret;
}

static void recorder_close(struct owfs_blkdev *bd)
{
	struct recorder *r = recorder_of(bd);

	owfs_blkdev_close(r->under);
	munmap(r->head, RECORD_ROOM);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

static const struct owfs_blkdev_ops recorder_ops = {
	.read = recorder_read,
	.writev = recorder_writev,
	.flush = recorder_flush,
	.discard = recorder_discard,
	.close = recorder_close,
};

/* ----------------------------------------------------------------- opening */

static struct record_head *map_log(const char *path, uint64_t size)
{
	struct record_head *head = MAP_FAILED;
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd >= 0 && !ftruncate(fd, (off_t)RECORD_ROOM))
		head = mmap(NULL, RECORD_ROOM, PROT_READ | PROT_WRITE,
			    MAP_SHARED, fd, 0);
	if (head == MAP_FAILED) {
		perror(path);
		exit(1);
	}
	close(fd);
	*head = (struct record_head){ RECORD_MAGIC, size, sizeof(*head) };
	return head;
}

int __real_owfs_window_open(const char *path, unsigned int flags,
			    const struct owfs_window *w,
			    struct owfs_blkdev **bdp, char *why);
int __wrap_owfs_window_open(const char *path, unsigned int flags,
			    const struct owfs_window *w,
			    struct owfs_blkdev **bdp, char *why);

int __wrap_owfs_window_open(const char *path, unsigned int flags,
			    const struct owfs_window *w,
			    struct owfs_blkdev **bdp, char *why)
{
	const char *log = getenv("OWFS_RECORD");
	struct recorder *r;
	int ret = __real_owfs_window_open(path, flags, w, bdp, why);

	if (ret || !log)
		return ret;
	r = calloc(1, sizeof(*r));
	if (!r)
		exit(1);
	r->under = *bdp;
	r->bd = (struct owfs_blkdev){
		.ops = &recorder_ops,
		.size = r->under->size,
		.sector = r->under->sector,
		.readonly = r->under->readonly,
	};
	pthread_mutex_init(&r->lock, NULL);
	r->head = map_log(log, r->bd.size);
	*bdp = &r->bd;
	return 0;
}
