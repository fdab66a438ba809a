/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Making a filesystem.  The old superblocks go first and the new ones come
 * last, so that a device on which mkfs was killed is no owfs; in between the
 * first generation is an ordinary transaction and an ordinary commit.
 */
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "mkfs.h"
#include "object/inode.h"
#include "trans/trans.h"

static uint64_t plan_random(const struct owfs_mkfs_param *p)
{
	const struct owfs_env *env = p->env ? p->env : &owfs_env_system;

	return env->random(env->ctx);
}

static void plan_uuid(struct owfs_mkfs_param *p)
{
	static const unsigned char none[16];
	uint64_t half;
	int i;

	if (memcmp(p->uuid, none, sizeof(none)))
		return;
	for (i = 0; i < 2; i++) {
		half = plan_random(p);
		memcpy(p->uuid + 8 * i, &half, 8);
	}
	p->uuid[6] = (p->uuid[6] & 0x0f) | 0x40;	/* version 4, random */
	p->uuid[8] = (p->uuid[8] & 0x3f) | 0x80;
}

static int plan_size(const struct owfs_blkdev *bd, struct owfs_mkfs_param *p,
		     struct owfs_geo *geo)
{
	uint64_t avail = bd->size / p->blocksize;
	int ret;

	if (p->nblocks == 0)
		p->nblocks = avail;
	if (p->nblocks > avail) {
		owfs_msg(p->msg, OWFS_MSG_ERROR,
			 "device is too short: blocks=%llu asked=%llu",
			 (unsigned long long)avail,
			 (unsigned long long)p->nblocks);
		return -EINVAL;
	}
	p->nblocks = owfs_geo_fit(p->blocksize, p->nblocks);
	ret = p->nblocks ? owfs_geo_init(geo, p->blocksize, p->nblocks)
			 : -EINVAL;
	if (ret)
		owfs_msg(p->msg, OWFS_MSG_ERROR,
			 "too small or too large: bytes=%llu; from 16 MiB and 4096 blocks to 2^48 blocks",
			 (unsigned long long)bd->size);
	return ret;
}

int owfs_mkfs_plan(const struct owfs_blkdev *bd, struct owfs_mkfs_param *p,
		   struct owfs_super *sb)
{
	const struct owfs_env *env = p->env ? p->env : &owfs_env_system;
	struct timespec now;
	struct owfs_geo geo;
	int ret;

	if (!p->blocksize)
		p->blocksize = OWFS_BLOCK_MIN;
	if (!p->root_mode)
		p->root_mode = 0755;
	if (p->blocksize < OWFS_BLOCK_MIN || p->blocksize > OWFS_BLOCK_MAX ||
	    (p->blocksize & (p->blocksize - 1))) {
		owfs_msg(p->msg, OWFS_MSG_ERROR,
			 "block size must be a power of two from 4096 to 65536: %u",
			 p->blocksize);
		return -EINVAL;
	}
	if (p->meta_copies > 2 ||
	    (p->label && strlen(p->label) > OWFS_LABEL_MAX)) {
		owfs_msg(p->msg, OWFS_MSG_ERROR,
			 "one or two copies of metadata, a label of at most %d bytes",
			 OWFS_LABEL_MAX);
		return -EINVAL;
	}
	ret = plan_size(bd, p, &geo);
	if (ret)
		return ret;
	if (!p->meta_copies)
		p->meta_copies = p->nblocks * p->blocksize <
				 OWFS_MKFS_DUP_BYTES ? 1 : 2;
	plan_uuid(p);

	memset(sb, 0, sizeof(*sb));
	env->now(env->ctx, &now);
	sb->blocksize = p->blocksize;
	sb->nblocks = p->nblocks;
	sb->meta_copies = p->meta_copies;
	memcpy(sb->uuid, p->uuid, sizeof(sb->uuid));
	if (p->label)
		strcpy(sb->label, p->label);
	sb->csum_seed = plan_random(p);
	sb->hash_seed = plan_random(p);
	/* for every copy of a node */
	sb->reserve_blocks = owfs_geo_reserve_default(&geo) *
			     sb->meta_copies;
	sb->mkfs_time = now.tv_sec;
	return 0;
}

static int clear_slots(struct owfs_blkdev *bd, uint64_t fs_bytes)
{
	static const unsigned char zero[OWFS_IO_ALIGN]
		__attribute__((aligned(OWFS_IO_ALIGN)));
	unsigned int slot;
	int ret = 0;

	for (slot = 0; slot < OWFS_SUPER_SLOTS && !ret; slot++)
		ret = owfs_blkdev_write(bd, zero, sizeof(zero),
					owfs_geo_super_pos(fs_bytes, slot));
	return ret;
}

/* Superblocks where this filesystem and one that filled the device have them. */
static int clear_supers(struct owfs_blkdev *bd, const struct owfs_super *sb)
{
	int ret = clear_slots(bd, sb->nblocks * sb->blocksize);

	if (!ret)
		ret = clear_slots(bd, bd->size &
				      ~(uint64_t)(OWFS_BLOCK_MIN - 1));
	return ret ? ret : owfs_blkdev_flush(bd);
}

static void root_attr(const struct owfs_mkfs_param *p, const struct timespec *now,
		      struct owfs_attr *attr)
{
	memset(attr, 0, sizeof(*attr));
	attr->mode = S_IFDIR | p->root_mode;
	attr->nlink = 2;
	attr->uid = p->root_uid;
	attr->gid = p->root_gid;
	attr->parent = OWFS_INO_ROOT;
	attr->gen = 1;
	attr->atime = attr->mtime = attr->ctime = attr->btime = *now;
}

static int make_root(struct owfs_fs *fs, const struct owfs_mkfs_param *p)
{
	struct owfs_key key = owfs_key(OWFS_INO_ROOT, OWFS_ITEM_INODE, 0);
	struct owfs_inode_item item;
	struct owfs_attr attr;
	struct owfs_trans tr;
	struct timespec now;
	int ret;

	owfs_fs_now(fs, &now);
	root_attr(p, &now, &attr);
	owfs_attr_to_disk(&item, &attr);
	ret = owfs_trans_begin(fs, &tr, 1, 1, OWFS_RESV_NORMAL);
	if (ret)
		return ret;
	ret = owfs_btree_insert(fs->fs_bt, &key, &item, sizeof(item));
	if (ret)
		owfs_trans_abort(&tr, ret, "root directory");
	return owfs_trans_end(&tr);
}

int owfs_mkfs(struct owfs_blkdev *bd, const struct owfs_mkfs_param *param)
{
	struct owfs_mkfs_param p = *param;
	struct owfs_fs_param fp = { .bd = bd, .env = p.env, .msg = p.msg };
	struct owfs_super sb;
	struct owfs_fs *fs;
	int ret;

	ret = owfs_mkfs_plan(bd, &p, &sb);
	if (ret)
		return ret;
	ret = clear_supers(bd, &sb);
	if (ret)
		return ret;
	ret = owfs_fs_open_fresh(&fs, &fp, &sb);
	if (ret)
		return ret;
	ret = make_root(fs, &p);
	if (!ret)
		ret = owfs_fs_format_commit(fs);
	owfs_fs_close(fs);
	return ret;
}
