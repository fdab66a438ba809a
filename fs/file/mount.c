/* SPDX-License-Identifier: GPL-2.0-or-later */
/* All floors opened together and closed again. */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/util.h"
#include "file/atime.h"
#include "file/mount.h"
#include "file/staging.h"
#include "file/wmap.h"
#include "object/itable.h"
#include "object/orphan.h"
#include "trans/mend.h"

/* What an empty file with its name takes in the tree, and a bit. */
#define INODE_BYTES	512u

/* Unlinked inodes cost an unmount at most so many steps; the rest can wait. */
#define UNMOUNT_STEPS	256u

/* ---------------------------------------------------------------- opening */

int owfs_mount_start(struct owfs_fs *fs)
{
	int ret;

	if (!fs->fs_param.threaded || owfs_fs_writable(fs))
		return 0;
	ret = owfs_fs_start(fs);
	if (!ret)
		ret = owfs_reclaim_start(fs);
	return ret;
}

static int check_root(struct owfs_fs *fs)
{
	struct owfs_inode *root;
	int ret = owfs_iget(fs, OWFS_INO_ROOT, &root);

	if (ret == -ENOENT)
		return owfs_fs_fail(fs, -EFSCORRUPTED,
				    "root directory: is missing");
	if (ret)
		return ret;
	if (root->i_type != S_IFDIR || root->i_attr.nlink == 0 ||
	    owfs_inode_parent(root) != OWFS_INO_ROOT)
		ret = owfs_fs_fail(fs, -EFSCORRUPTED,
				   "root directory: is no directory above all: mode=0%o nlink=%u parent=%llu",
				   root->i_attr.mode, root->i_attr.nlink,
				   (unsigned long long)owfs_inode_parent(root));
	owfs_iput(root);
	return ret;
}

static void forget_writes(struct owfs_inode *inode)
{
	owfs_staging_forget(inode);
	owfs_wmap_drop(inode, 0, UINT64_MAX);
}

static int open_upper_floors(struct owfs_fs *fs)
{
	int ret = owfs_itable_open(fs);

	if (ret)
		return ret;
	fs->fs_itable->it_drop = forget_writes;
	ret = owfs_reclaim_open(fs);
	if (!ret)
		ret = check_root(fs);
	if (ret)
		return ret;
	if (!owfs_fs_writable(fs))
		owfs_reclaim_rescan(fs);
	return fs->fs_param.start_later ? 0 : owfs_mount_start(fs);
}

int owfs_mount(struct owfs_fs **fsp, const struct owfs_fs_param *param)
{
	struct owfs_fs *fs;
	int ret = owfs_fs_open(&fs, param);

	if (ret)
		return ret;
	ret = open_upper_floors(fs);
	if (ret) {
		owfs_mount_abandon(fs);
		return ret;
	}
	*fsp = fs;
	return 0;
}

/* ---------------------------------------------------------------- closing */

static void close_upper_floors(struct owfs_fs *fs)
{
	owfs_itable_close(fs);
	owfs_reclaim_close(fs);
}

void owfs_mount_abandon(struct owfs_fs *fs)
{
	owfs_reclaim_stop(fs);
	owfs_fs_stop(fs);
	close_upper_floors(fs);
	owfs_fs_close(fs);
}

static void reclaim_quickly(struct owfs_fs *fs)
{
	unsigned int i;
	int ret = 1;

	for (i = 0; i < UNMOUNT_STEPS && ret > 0; i++)
		ret = owfs_reclaim_step(fs);
}

int owfs_unmount(struct owfs_fs *fs)
{
	int ret;

	owfs_reclaim_stop(fs);
	owfs_atime_flush(fs);
	owfs_itable_forget_all(fs);
	reclaim_quickly(fs);
	ret = owfs_fs_sync_and_clean(fs);
	close_upper_floors(fs);
	owfs_fs_close(fs);
	return ret;
}

/* -------------------------------------------------------------- in between */

int owfs_syncfs(struct owfs_fs *fs)
{
	int ret = owfs_fs_readable(fs);

	return ret ? ret : owfs_commit_all(fs);
}

int owfs_trim(struct owfs_fs *fs, uint64_t start, uint64_t len, uint64_t minlen,
	      bool (*stop)(void *ctx), void *ctx, uint64_t *trimmed)
{
	const uint64_t bs = fs->fs_geo.blocksize;
	const uint64_t end = len > UINT64_MAX - start ? UINT64_MAX : start + len;
	const struct owfs_trim t = {
		.start = div_round_up(start, bs), .end = end / bs,
		.minlen = max_u64(div_round_up(minlen, bs), 1),
		.stop = stop, .ctx = ctx,
	};
	int ret = owfs_fs_writable(fs);

	*trimmed = 0;
	if (ret)
		return ret;
	if (len < bs || t.start >= fs->fs_geo.nblocks ||
	    t.minlen > fs->fs_geo.group_blocks)
		return -EINVAL;
	ret = owfs_fs_check_map(fs, owfs_alloc_trim(fs->fs_al, &t, trimmed));
	*trimmed *= bs;
	return ret;
}

int owfs_reclaim_step(struct owfs_fs *fs)
{
	int ret = owfs_reclaim_run(fs);

	return ret ? ret : owfs_mend_run(fs);
}

static uint64_t sub_or_zero(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

/*
 * Free is what a writer can still get: what is free and what the next commits
 * make free, without the reserve and without what others were promised.  What
 * reclaim will give back is not counted before it has.  Inodes are made of
 * blocks like anything else: their numbers say how many there is room for.
 */
int owfs_statfs(struct owfs_fs *fs, struct statvfs *st)
{
	struct owfs_alloc_stat as;
	uint64_t fsid;

	owfs_alloc_stat(fs->fs_al, &as);
	memcpy(&fsid, fs->fs_super.uuid, sizeof(fsid));
	memset(st, 0, sizeof(*st));
	st->f_bsize = fs->fs_geo.blocksize;
	st->f_frsize = fs->fs_geo.blocksize;
	st->f_blocks = fs->fs_geo.nblocks - owfs_geo_fixed_total(&fs->fs_geo);
	st->f_bfree = sub_or_zero(as.free + as.pinned,
				  as.reserve + as.reserved);
	st->f_bavail = st->f_bfree;
	st->f_files = st->f_blocks * (st->f_bsize / INODE_BYTES);
	st->f_ffree = st->f_bfree * (st->f_bsize / INODE_BYTES);
	st->f_favail = st->f_ffree;
	st->f_namemax = OWFS_NAME_MAX;
	st->f_fsid = fsid;
	st->f_flag = owfs_fs_writable(fs) ? ST_RDONLY : 0;
	return owfs_fs_readable(fs);
}
