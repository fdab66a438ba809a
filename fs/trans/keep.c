/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who checks, and since when he has not been heard of. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/err.h"
#include "trans/commit_impl.h"
#include "trans/keep.h"

struct owfs_keep {
	pthread_mutex_t lock;		/* the allocator's are taken inside */
	uint64_t id;			/* of the last one, counting up */
	bool active;
	uint64_t heard;			/* second of now() */
	uint64_t (*now)(void);
};

static uint64_t monotonic(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec;
}

int owfs_keep_open(struct owfs_fs *fs)
{
	struct owfs_keep *k = calloc(1, sizeof(*k));

	if (!k)
		return -ENOMEM;
	pthread_mutex_init(&k->lock, NULL);
	k->now = monotonic;
	fs->fs_keep = k;
	return 0;
}

void owfs_keep_close(struct owfs_fs *fs)
{
	if (!fs->fs_keep)
		return;
	pthread_mutex_destroy(&fs->fs_keep->lock);
	free(fs->fs_keep);
	fs->fs_keep = NULL;
}

void owfs_keep_clock(struct owfs_fs *fs, uint64_t (*now)(void))
{
	fs->fs_keep->now = now;
}

/* Caller holds k->lock. */
static void forget(struct owfs_fs *fs, struct owfs_keep *k)
{
	k->active = false;
	owfs_alloc_unkeep(fs->fs_al);
}

static void expire(struct owfs_fs *fs, uint64_t secs)
{
	struct owfs_keep *k = fs->fs_keep;

	pthread_mutex_lock(&k->lock);
	if (k->active && k->now() - k->heard >= secs)
		forget(fs, k);
	pthread_mutex_unlock(&k->lock);
}

void owfs_keep_expire(struct owfs_fs *fs)
{
	expire(fs, OWFS_KEEP_SECS);
}

/* Caller is the stepper between two commits, or there will be no other. */
static int begin(struct owfs_fs *fs, struct owfs_super *sb, uint64_t *id)
{
	struct owfs_keep *k = fs->fs_keep;
	int ret = -EBUSY;

	pthread_mutex_lock(&k->lock);
	if (!k->active)
		ret = owfs_alloc_keep(fs->fs_al);
	if (!ret) {
		k->active = true;
		k->heard = k->now();
		*id = ++k->id;
		*sb = fs->fs_super;
	}
	pthread_mutex_unlock(&k->lock);
	return ret;
}

int owfs_keep_begin(struct owfs_fs *fs, struct owfs_super *sb, uint64_t *id)
{
	int ret = owfs_fs_readable(fs);

	if (ret)
		return ret;
	expire(fs, OWFS_KEEP_IDLE);
	/* after a commit that failed nobody knows what the device shows */
	if (!owfs_commit_enter(fs, fs->fs_commit))
		return -EIO;
	ret = begin(fs, sb, id);
	owfs_commit_leave(fs->fs_commit);
	if (!ret)
		owfs_msg(fs->fs_msg, OWFS_MSG_INFO,
			 "generation %" PRIu64 " is kept for a check",
			 sb->root[0].gen);
	return ret;
}

/* He is heard; -ESTALE: there is nothing that could be read any more. */
static int hear(struct owfs_fs *fs, uint64_t id)
{
	struct owfs_keep *k = fs->fs_keep;
	int ret = 0;

	pthread_mutex_lock(&k->lock);
	if (!k->active || k->id != id)
		ret = -ESTALE;
	else if (!owfs_alloc_is_kept(fs->fs_al))
		ret = -ESTALE;
	else
		k->heard = k->now();
	pthread_mutex_unlock(&k->lock);
	return ret;
}

void owfs_keep_end(struct owfs_fs *fs, uint64_t id)
{
	struct owfs_keep *k = fs->fs_keep;

	pthread_mutex_lock(&k->lock);
	if (k->active && k->id == id)
		forget(fs, k);
	pthread_mutex_unlock(&k->lock);
}

int owfs_keep_read(struct owfs_fs *fs, uint64_t id, void *buf, size_t len,
		   loff_t pos)
{
	int ret = hear(fs, id), err;

	if (ret)
		return ret;
	if (pos < 0 || pos % 512 || len % 512 || len > fs->fs_bd->size ||
	    (uint64_t)pos > fs->fs_bd->size - len)
		return -EINVAL;
	err = owfs_blkdev_read(fs->fs_bd, buf, len, pos);
	/* given up meanwhile: somebody may have written there */
	ret = hear(fs, id);
	return ret ? ret : err;
}

int owfs_keep_bits(struct owfs_fs *fs, uint64_t id, uint64_t g, uint64_t *bits)
{
	int ret = hear(fs, id);

	if (!ret)
		ret = owfs_fs_check_map(fs, owfs_alloc_kept_bits(fs->fs_al, g,
								 bits));
	if (!ret)
		ret = hear(fs, id);
	return ret;
}
