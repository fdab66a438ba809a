/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Operations as values: at random, as text, and the bytes they carry. */
#include <string.h>

#include "model.h"

const struct op_profile op_profile_mixed = {
	.names = 6, .namelen = 0, .blocksize = 4096,
	.max_size = 30 * 4096, .max_io = 5 * 4096,
	.weight = {
		[OP_CREATE] = 12, [OP_MKDIR] = 5, [OP_SYMLINK] = 3,
		[OP_LINK] = 4, [OP_UNLINK] = 7, [OP_RMDIR] = 2,
		[OP_RENAME] = 8, [OP_EXCHANGE] = 2, [OP_WRITE] = 18,
		[OP_APPEND] = 6, [OP_TRUNCATE] = 7, [OP_PUNCH] = 4,
		[OP_ZERO] = 3, [OP_PREALLOC] = 3, [OP_PREALLOC_KEEP] = 2,
		[OP_SETXATTR] = 4, [OP_REMOVEXATTR] = 1, [OP_CHMOD] = 3,
		[OP_SETLIST] = 5, [OP_FSYNC] = 4, [OP_SYNC] = 2, [OP_REMOUNT] = 1,
	},
};

const struct op_profile op_profile_names = {
	.names = 150, .namelen = 60, .blocksize = 4096,
	.max_size = 2 * 4096, .max_io = 3000,
	.weight = {
		[OP_CREATE] = 30, [OP_MKDIR] = 3, [OP_SYMLINK] = 8,
		[OP_LINK] = 6, [OP_UNLINK] = 12, [OP_RMDIR] = 1,
		[OP_RENAME] = 10, [OP_WRITE] = 4, [OP_SETXATTR] = 10,
		[OP_REMOVEXATTR] = 2, [OP_FSYNC] = 1, [OP_SYNC] = 1,
	},
};

const struct op_profile op_profile_data = {
	.names = 3, .namelen = 0, .blocksize = 4096,
	.max_size = 200 * 4096, .max_io = 12 * 4096,
	.weight = {
		[OP_CREATE] = 4, [OP_UNLINK] = 2, [OP_RENAME] = 3,
		[OP_WRITE] = 40, [OP_APPEND] = 6, [OP_TRUNCATE] = 8,
		[OP_PUNCH] = 8, [OP_ZERO] = 4, [OP_PREALLOC] = 4,
		[OP_PREALLOC_KEEP] = 3, [OP_FSYNC] = 4, [OP_SYNC] = 1,
		[OP_REMOUNT] = 1,
	},
};

const struct op_profile op_profile_intents = {
	.names = 2, .namelen = 0, .blocksize = 4096,
	.max_size = 600 * 4096, .max_io = 4096,
	.weight = {
		[OP_CREATE] = 6, [OP_UNLINK] = 1, [OP_RENAME] = 2,
		[OP_WRITE] = 100, [OP_APPEND] = 3, [OP_TRUNCATE] = 5,
		[OP_PUNCH] = 5, [OP_ZERO] = 2, [OP_PREALLOC] = 2,
		[OP_FSYNC] = 2, [OP_REMOUNT] = 1,
	},
};

const struct op_profile op_profile_full = {
	.names = 8, .namelen = 0, .blocksize = 4096,
	.max_size = 900 * 4096, .max_io = 250 * 4096,
	.weight = {
		[OP_CREATE] = 12, [OP_MKDIR] = 2, [OP_UNLINK] = 5,
		[OP_RENAME] = 4, [OP_WRITE] = 30, [OP_APPEND] = 10,
		[OP_TRUNCATE] = 5, [OP_PUNCH] = 4, [OP_PREALLOC] = 6,
		[OP_SETXATTR] = 3, [OP_FSYNC] = 3, [OP_SYNC] = 1,
	},
};

static const char *const op_names[OP_KINDS] = {
	"create", "mkdir", "symlink", "link", "unlink", "rmdir", "rename",
	"exchange", "write", "append", "truncate", "punch", "zero",
	"prealloc", "prealloc_keep", "setxattr", "removexattr", "chmod",
	"setlist", "fsync", "sync", "remount",
};

void op_to_text(const struct op *op, char *buf, size_t size)
{
	snprintf(buf, size, "%s %s %s pos=%llu len=%llu num=%u",
		 op_names[op->kind], op->path, op->path2,
		 (unsigned long long)op->pos, (unsigned long long)op->len,
		 op->num);
}

bool op_is_promise(const struct op *op)
{
	return op->kind == OP_FSYNC || op->kind == OP_SYNC ||
	       op->kind == OP_REMOUNT;
}

void op_bytes(const struct op *op, unsigned char *buf, size_t len)
{
	struct rng r = { op->seed };
	size_t i, n;
	uint64_t v;

	for (i = 0; i < len; i += n) {
		n = len - i < 8 ? len - i : 8;
		v = rng_next(&r);
		memcpy(buf + i, &v, n);
	}
}

static unsigned char *put_entry(unsigned char *p, unsigned int tag,
				unsigned int perm, uint32_t id)
{
	const unsigned char bytes[8] = {
		(unsigned char)tag, 0, (unsigned char)perm, 0, id & 0xff,
		id >> 8 & 0xff, id >> 16 & 0xff, id >> 24,
	};

	memcpy(p, bytes, sizeof(bytes));
	return p + sizeof(bytes);
}

size_t op_list_bytes(unsigned char *buf, uint32_t mode, unsigned int users,
		     unsigned int perm)
{
	const uint32_t nobody = UINT32_MAX;
	unsigned char *p = buf + 4;
	unsigned int i;

	memcpy(buf, "\2\0\0\0", 4);
	p = put_entry(p, 0x01, mode >> 6 & 7, nobody);
	for (i = 0; i < users; i++)
		p = put_entry(p, 0x02, perm, 1000 + i);
	p = put_entry(p, 0x04, users ? perm : mode >> 3 & 7, nobody);
	if (users)
		p = put_entry(p, 0x10, mode >> 3 & 7, nobody);
	p = put_entry(p, 0x20, mode & 7, nobody);
	return (size_t)(p - buf);
}

size_t op_list(const struct op *op, unsigned char *buf)
{
	return op_list_bytes(buf, op->num, (unsigned int)op->len, op->seed & 7);
}

static void random_path(char *path, const struct op_profile *p, struct rng *r)
{
	static const char *const dirs[] = { "", "", "d0/", "d1/", "d0/d2/" };
	const char *dir = dirs[rng_below(r, 5)];
	unsigned int i = (unsigned int)rng_below(r, p->names + 3);

	if (i >= p->names)
		snprintf(path, OP_PATH_MAX, "%sd%u", dir, i - p->names);
	else
		snprintf(path, OP_PATH_MAX, "%sn%0*u", dir, (int)p->namelen, i);
}

/* Often at a block's edge, sometimes anywhere. */
static uint64_t random_offset(const struct op_profile *p, struct rng *r,
			      uint64_t max)
{
	uint64_t v = rng_below(r, max + 1);

	return rng_below(r, 2) ? v : v - v % p->blocksize;
}

void op_random(struct op *op, const struct op_profile *p, struct rng *r)
{
	unsigned int total = 0, pick, i;

	memset(op, 0, sizeof(*op));
	for (i = 0; i < OP_KINDS; i++)
		total += p->weight[i];
	pick = (unsigned int)rng_below(r, total);
	for (i = 0; pick >= p->weight[i]; i++)
		pick -= p->weight[i];
	op->kind = (enum op_kind)i;
	random_path(op->path, p, r);
	random_path(op->path2, p, r);
	op->seed = rng_next(r);
	op->num = (unsigned int)rng_below(r, op->kind == OP_CHMOD ||
					  op->kind == OP_SETLIST ? 0777
								 : OP_XATTRS);
	op->pos = random_offset(p, r, p->max_size);
	op->len = 1 + random_offset(p, r, p->max_io);
	if (op->kind == OP_SETXATTR)
		op->len = rng_below(r, rng_below(r, 3) ? 60 : OP_XATTR_MAX);
	if (op->kind == OP_SETLIST)
		op->len = rng_below(r, rng_below(r, 3) ? 4 : OP_LIST_USERS);
	if (op->kind == OP_PUNCH || op->kind == OP_ZERO)
		op->len = 1 + random_offset(p, r, p->max_size);
}
