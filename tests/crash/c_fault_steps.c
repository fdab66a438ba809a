/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The steps of a scene that are no operations of the model. */
#include <string.h>

#include "c_fault.h"

#include "file/attr.h"
#include "file/file.h"
#include "file/namei.h"

#define FILE_BYTES	(60 * 4096)

static int hash_file(struct owfs_inode *inode, uint64_t *hash)
{
	static unsigned char buf[FILE_BYTES] __attribute__((aligned(4096)));
	ssize_t n = owfs_file_read(inode, buf, sizeof(buf), 0);

	if (n >= 0)
		*hash = XXH3_64bits(buf, (size_t)n);
	return n < 0 ? (int)n : 0;
}

static int hash_entry(void *ctx, const struct owfs_dirent *de)
{
	uint64_t *hash = ctx;

	*hash = *hash * 31 + XXH3_64bits(de->name, de->namelen);
	return 0;
}

static int hash_xattrs(struct owfs_inode *inode, uint64_t *hash)
{
	static char list[4096], value[4096];
	ssize_t n = owfs_listxattr(inode, list, sizeof(list), NULL);
	const char *name;

	for (name = list; n > 0 && name < list + n; name += strlen(name) + 1) {
		ssize_t len = owfs_getxattr(inode, name, strlen(name), value,
					    sizeof(value));

		if (len < 0)
			return (int)len;
		*hash += XXH3_64bits(value, (size_t)len);
	}
	return n < 0 ? (int)n : 0;
}

static int step_look(struct owfs_fs *fs, const struct op *op, uint64_t *hash)
{
	struct owfs_inode *inode;
	int ret;

	inode = rig_lookup(fs, op->path, &ret);
	if (!inode)
		return ret;
	if ((int)op->kind == STEP_READ)
		ret = hash_file(inode, hash);
	else if ((int)op->kind == STEP_LIST)
		ret = owfs_readdir(inode, 0, hash_entry, hash);
	else
		ret = hash_xattrs(inode, hash);
	owfs_iput(inode);
	return ret;
}

static int step_commit(struct owfs_fs *fs)
{
	int ret = owfs_commit_step(fs, true);

	while (ret > 0)
		ret = owfs_commit_step(fs, false);
	return ret;
}

static int step_reclaim(struct owfs_fs *fs)
{
	int ret = owfs_reclaim_step(fs);

	return ret > 0 ? 0 : ret;
}

int fault_step(struct owfs_fs *fs, const struct op *op,
	       struct owfs_inode **held, uint64_t *hash)
{
	int ret = 0;

	switch ((int)op->kind) {
	case STEP_HOLD:
		*held = rig_lookup(fs, op->path, &ret);
		return ret;
	case STEP_RELEASE:
		if (*held)
			owfs_iput(*held);
		*held = NULL;
		return 0;
	case STEP_RECLAIM:
		return step_reclaim(fs);
	case STEP_COMMIT:
		return step_commit(fs);
	case STEP_EVICT:
		owfs_bufcache_shrink(fs->fs_bc, true);
		return 0;
	default:
		return step_look(fs, op, hash);
	}
}
