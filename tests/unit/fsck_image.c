/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Makes the images of the tests of check and repair, and changes them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/checksum.h"
#include "base/err.h"
#include "file/attr.h"
#include "file/namei.h"
#include "fsck_image.h"
#include "object/acl.h"
#include "trans/trans.h"

#define BYTES	(16u << 20)

/* ------------------------------------------------------------------ making */

static void apply(struct owfs_fs *fs, enum op_kind kind, const char *path,
		  const char *path2, uint64_t pos, uint64_t len,
		  unsigned int num)
{
	struct op op = { .kind = kind, .pos = pos, .len = len, .seed = pos + 1,
			 .num = num };
	int ret;

	snprintf(op.path, sizeof(op.path), "%s", path);
	snprintf(op.path2, sizeof(op.path2), "%s", path2);
	ret = rig_apply(fs, &op);
	if (ret)
		fail_msg("operation %d on %s: %d", kind, path, ret);
}

static owfs_ino_t number(struct owfs_fs *fs, const char *path)
{
	struct owfs_inode *inode;
	owfs_ino_t ino;
	int ret;

	inode = rig_lookup(fs, path, &ret);
	if (!inode)
		fail_msg("%s: %d", path, ret);
	ino = inode->i_ino;
	owfs_iput(inode);
	return ino;
}

/* A target of more than one item. */
static void make_long_symlink(struct owfs_fs *fs, const char *name)
{
	char target[2001];
	struct owfs_newnode nn = { .mode = S_IFLNK | 0777, .target = target };
	struct owfs_inode *root, *inode;

	memset(target, 'x', 2000);
	target[2000] = '\0';
	assert_int_equal(owfs_iget(fs, OWFS_INO_ROOT, &root), 0);
	assert_int_equal(owfs_create(root, name, strlen(name), &nn, &inode), 0);
	owfs_iput(inode);
	owfs_iput(root);
}

/* A default list too long for one item; what is made in @path inherits it. */
static void set_long_list(struct owfs_fs *fs, const char *path)
{
	struct owfs_acl acl = { .version = cpu_to_le32(OWFS_ACL_VERSION) };
	const unsigned int names = 150;
	struct owfs_inode *inode;
	unsigned int i, n = names + 4;
	uint16_t tag;
	int ret;

	for (i = 0; i < n; i++) {
		tag = i == 0 ? OWFS_ACL_USER_OBJ : i <= names ? OWFS_ACL_USER :
		      i == n - 3 ? OWFS_ACL_GROUP_OBJ :
		      i == n - 2 ? OWFS_ACL_MASK : OWFS_ACL_OTHER;
		acl.entry[i] = (struct owfs_acl_entry) {
			cpu_to_le16(tag), cpu_to_le16(7), cpu_to_le32(i),
		};
	}
	inode = rig_lookup(fs, path, &ret);
	assert_non_null(inode);
	assert_int_equal(owfs_setxattr(inode, OWFS_ACL_DEFAULT,
				       strlen(OWFS_ACL_DEFAULT), acl.bytes,
				       4 + n * 8, 0), 0);
	owfs_iput(inode);
}

static void fill(struct owfs_fs *fs, uint32_t bs)
{
	apply(fs, OP_CREATE, "file", "", 0, 0, 0);
	apply(fs, OP_WRITE, "file", "", 0, 3 * bs, 0);
	apply(fs, OP_WRITE, "file", "", 5 * bs, 2 * bs, 0);
	apply(fs, OP_LINK, "file", "again", 0, 0, 0);
	apply(fs, OP_SETXATTR, "file", "", 0, 30, 1);
	apply(fs, OP_SETXATTR, "file", "", 1, 5000, 2);
	apply(fs, OP_SETXATTR, "file", "", 2, 0, 3);
	apply(fs, OP_CREATE, "other", "", 0, 0, 0);
	apply(fs, OP_WRITE, "other", "", 0, 2 * bs, 0);
	apply(fs, OP_PREALLOC_KEEP, "other", "", 8 * bs, 2 * bs, 0);
	apply(fs, OP_MKDIR, "dir", "", 0, 0, 0);
	set_long_list(fs, "dir");
	apply(fs, OP_MKDIR, "dir/sub", "", 0, 0, 0);
	apply(fs, OP_CREATE, "dir/sub/deep", "", 0, 0, 0);
	make_long_symlink(fs, "link");
	apply(fs, OP_SYMLINK, "dir/short", "file", 0, 0, 0);
}

void image_make(struct image *im, uint32_t blocksize, unsigned int copies)
{
	struct owfs_fs *fs;

	memset(im, 0, sizeof(*im));
	rig_env_init(&im->env, 1);
	im->e = rig_mkfs(&im->env, blocksize > 4096 ? 4096ull * blocksize
						    : BYTES, blocksize, copies);
	assert_non_null(im->e);
	assert_int_equal(rig_mount(&fs, im->e, &im->env, 0, NULL), 0);
	fill(fs, blocksize);
	assert_int_equal(owfs_syncfs(fs), 0);
	apply(fs, OP_WRITE, "dir/sub/deep", "", 0, 100, 0);
	im->file = number(fs, "file");
	im->other = number(fs, "other");
	im->dir = number(fs, "dir");
	im->sub = number(fs, "dir/sub");
	im->deep = number(fs, "dir/sub/deep");
	im->link = number(fs, "link");
	assert_int_equal(owfs_unmount(fs), 0);
}

void image_fill_up(struct image *im)
{
	struct op op = { .kind = OP_CREATE, .path = "filler" };
	struct owfs_fs *fs;
	uint64_t len = 1 << 20;
	int ret;

	assert_int_equal(rig_mount(&fs, im->e, &im->env, 0, NULL), 0);
	assert_int_equal(rig_apply(fs, &op), 0);
	op.kind = OP_PREALLOC_KEEP;
	while (len >= 4096) {
		op.len = len;
		ret = rig_apply(fs, &op);
		if (!ret)
			op.pos += len;
		else
			len /= 2;
	}
	assert_int_equal(owfs_unmount(fs), 0);
}

void image_fork(struct image *copy, const struct image *im)
{
	*copy = *im;
	copy->env.env.ctx = &copy->env;
	copy->e = emubd_fork(im->e);
}

void image_free(struct image *im)
{
	emubd_destroy(im->e);
	im->e = NULL;
}

/* ----------------------------------------------------------------- editing */

void edit_begin(struct image *im)
{
	struct owfs_fs_param p = { .bd = emubd_blkdev(im->e),
				   .env = &im->env.env };

	assert_int_equal(owfs_fs_open(&im->fs, &p), 0);
}

void edit_end(struct image *im)
{
	assert_int_equal(owfs_fs_sync_and_clean(im->fs), 0);
	owfs_fs_close(im->fs);
	im->fs = NULL;
}

static void trans_begin(struct image *im, struct owfs_trans *tr,
			const struct owfs_key *key)
{
	assert_int_equal(owfs_btree_prefetch(im->fs->fs_bt, key), 0);
	assert_int_equal(owfs_trans_begin(im->fs, tr, 2, 2, OWFS_RESV_FREEING),
			 0);
}

void item_put(struct image *im, struct owfs_key key, const void *val,
	      size_t len)
{
	struct owfs_trans tr;
	int ret;

	trans_begin(im, &tr, &key);
	ret = owfs_btree_update(im->fs->fs_bt, &key, val, len);
	if (ret == -ENOENT)
		ret = owfs_btree_insert(im->fs->fs_bt, &key, val, len);
	assert_int_equal(ret, 0);
	assert_int_equal(owfs_trans_end(&tr), 0);
}

int item_get(struct image *im, struct owfs_key key, void *val, size_t size)
{
	return owfs_btree_lookup(im->fs->fs_bt, &key, val, size);
}

void item_del(struct image *im, struct owfs_key key)
{
	struct owfs_trans tr;

	trans_begin(im, &tr, &key);
	assert_int_equal(owfs_btree_delete(im->fs->fs_bt, &key), 0);
	assert_int_equal(owfs_trans_end(&tr), 0);
}

struct owfs_key item_first(struct image *im, owfs_ino_t ino,
			   enum owfs_item_type type, uint64_t off)
{
	struct owfs_key key = owfs_key(ino, type, off);
	struct owfs_key last = owfs_key(ino, type, UINT64_MAX);
	char byte;

	assert_true(owfs_btree_next(im->fs->fs_bt, &key, &last, &byte, 1) > 0);
	return key;
}

struct owfs_key entry_of(struct image *im, owfs_ino_t dir, owfs_ino_t ino,
			 void *val, size_t *len)
{
	struct owfs_key key = owfs_key(dir, OWFS_ITEM_DIRENT, 0);
	struct owfs_dirent_item *d = val;

	for (;; key.off++) {
		key = item_first(im, dir, OWFS_ITEM_DIRENT, key.off);
		*len = (size_t)item_get(im, key, val, OWFS_ITEM_MAX);
		if (le64_to_cpu(d->ino) == ino)
			return key;
	}
}

struct owfs_inode_item inode_get(struct image *im, owfs_ino_t ino)
{
	struct owfs_inode_item d;

	assert_int_equal(item_get(im, owfs_key(ino, OWFS_ITEM_INODE, 0), &d,
				  sizeof(d)), sizeof(d));
	return d;
}

void inode_put(struct image *im, owfs_ino_t ino,
	       const struct owfs_inode_item *d)
{
	item_put(im, owfs_key(ino, OWFS_ITEM_INODE, 0), d, sizeof(*d));
}

void super_edit(struct image *im,
		void (*change)(struct owfs_super *sb, void *ctx), void *ctx)
{
	struct owfs_blkdev *bd = emubd_blkdev(im->e);
	struct owfs_slots slots;
	struct owfs_super sb;
	unsigned int i;

	assert_int_equal(owfs_super_read(bd, &sb, &slots, NULL), 0);
	change(&sb, ctx);
	for (i = 0; i < OWFS_SUPER_SLOTS; i++)
		assert_int_equal(owfs_super_write(bd, &sb, &slots, i), 0);
}

uint64_t block_seal(struct image *im, unsigned char *block)
{
	struct owfs_block_hdr *hdr = (struct owfs_block_hdr *)block;
	uint64_t csum;

	hdr->bh_csum = cpu_to_le64(0);
	csum = owfs_checksum(im->sb.csum_seed, block, im->sb.blocksize);
	hdr->bh_csum = cpu_to_le64(csum);
	return csum;
}

static void set_root_csum(struct owfs_super *sb, void *ctx)
{
	sb->root[0].tree.csum = *(uint64_t *)ctx;
}

void root_edit(struct image *im,
	       void (*change)(struct image *im, unsigned char *node, void *ctx),
	       void *ctx)
{
	static unsigned char node[OWFS_BLOCK_MAX]
		__attribute__((aligned(OWFS_IO_ALIGN)));
	struct owfs_slots slots;
	uint64_t pos, csum;

	assert_int_equal(owfs_super_read(emubd_blkdev(im->e), &im->sb, &slots,
					 NULL), 0);
	pos = im->sb.root[0].tree.addr[0] * im->sb.blocksize;
	emubd_peek(im->e, node, im->sb.blocksize, pos);
	change(im, node, ctx);
	csum = block_seal(im, node);
	emubd_poke(im->e, node, im->sb.blocksize, pos);
	super_edit(im, set_root_csum, &csum);
}

/* ---------------------------------------------------------------- checking */

static void print(void *ctx, enum owfs_msg_level level, const char *line)
{
	(void)ctx;
	(void)level;
	fprintf(stderr, "\t%s\n", line);
}

static const struct owfs_msg talk = { print, NULL, OWFS_MSG_WARN };

int image_check(struct image *im, unsigned int commits,
		struct owfs_check_report *r)
{
	const struct owfs_check_param p = {
		.commits = commits,
		.msg = getenv("FSCK_TALK") ? &talk : NULL,
	};

	return owfs_check(emubd_blkdev(im->e), &p, r);
}

void image_assert_clean(struct image *im)
{
	struct owfs_check_report r;

	assert_int_equal(image_check(im, OWFS_CHECK_CURRENT |
				     OWFS_CHECK_PREVIOUS, &r), 0);
	if (r.problems)
		fail_msg("%u problems: %s", r.problems, r.first);
	assert_true(r.clean);
}

uint64_t image_digest(struct image *im)
{
	struct owfs_fs *fs;
	uint64_t sum;
	int err = 0, ret = rig_mount(&fs, im->e, &im->env, RIG_READONLY, NULL);

	if (ret)
		fail_msg("cannot be mounted: %d", ret);
	sum = rig_digest(fs, NULL, &err);
	if (err)
		fail_msg("cannot be read: %d", err);
	owfs_mount_abandon(fs);
	return sum;
}

/* --------------------------------------------------------------- repairing */

bool ask_yes(void *ctx, const struct owfs_problem_info *info, const char *line)
{
	(void)ctx;
	(void)info;
	(void)line;
	return true;
}

bool ask_no(void *ctx, const struct owfs_problem_info *info, const char *line)
{
	(void)ctx;
	(void)info;
	(void)line;
	return false;
}

bool ask_safe(void *ctx, const struct owfs_problem_info *info, const char *line)
{
	(void)ctx;
	(void)line;
	return info->answer == OWFS_ANSWER_SAFE;
}

struct owfs_repair_param image_repair_param(struct image *im)
{
	return (struct owfs_repair_param){
		.check = { .commits = OWFS_CHECK_CURRENT | OWFS_CHECK_PREVIOUS,
			   .search = true,
			   .msg = getenv("FSCK_TALK") ? &talk : NULL },
		.env = &im->env.env,
		.ask = ask_yes,
	};
}

int image_repair(struct image *im, struct owfs_repair_report *r)
{
	const struct owfs_repair_param p = image_repair_param(im);

	return owfs_repair(emubd_blkdev(im->e), &p, r);
}
