/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Request streams: the table of requests, and what stands in their fields. */
#include "requests.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/util.h"
#include "fuse/ioctl.h"
#include "model.h"

/* All of the iomap series. */
enum {
	OP_UNFREEZE = 4090, OP_SHUTDOWN, OP_CONFIG, OP_IOEND, OP_BEGIN, OP_END,
};

static const struct request requests[] = {
	{ FUSE_LOOKUP, 0, 1, ENTRY, { { 0 } } },
	{ FUSE_FORGET, 8, 0, NO_ANSWER, { { 0, 8, K_BIT } } },
	{ FUSE_GETATTR, 16, 0, 0, { { 0, 4, K_BIT }, { 8, 8, K_ANY } } },
	{ FUSE_SETATTR, 88, 0, 0,
	  { { 0, 4, K_VALID }, { 16, 8, K_POS }, { 68, 4, K_MODE },
	    { 76, 4, K_ANY }, { 80, 4, K_ANY }, { 32, 8, K_ANY },
	    { 56, 4, K_ANY } } },
	{ FUSE_READLINK, 0, 0, 0, { { 0 } } },
	{ FUSE_SYMLINK, 0, 2, ENTRY, { { 0 } } },
	{ FUSE_MKNOD, 16, 1, ENTRY,
	  { { 0, 4, K_MODE }, { 4, 4, K_ANY }, { 8, 4, K_ANY } } },
	{ FUSE_MKDIR, 8, 1, ENTRY, { { 0, 4, K_MODE }, { 4, 4, K_ANY } } },
	{ FUSE_UNLINK, 0, 1, 0, { { 0 } } },
	{ FUSE_RMDIR, 0, 1, 0, { { 0 } } },
	{ FUSE_RENAME, 8, 2, 0, { { 0, 8, K_NODE } } },
	{ FUSE_LINK, 8, 1, ENTRY, { { 0, 8, K_NODE } } },
	{ FUSE_OPEN, 8, 0, 0, { { 0, 4, K_OPEN }, { 4, 4, K_BIT } } },
	{ FUSE_READ, 40, 0, 0,
	  { { 8, 8, K_POS }, { 16, 4, K_SIZE }, { 20, 4, K_BIT },
	    { 32, 4, K_OPEN } } },
	{ FUSE_WRITE, 40, 0, DATA,
	  { { 8, 8, K_POS }, { 20, 4, K_BIT }, { 32, 4, K_OPEN } } },
	{ FUSE_STATFS, 0, 0, 0, { { 0 } } },
	{ FUSE_RELEASE, 24, 0, 0, { { 8, 4, K_OPEN }, { 12, 4, K_BIT } } },
	{ FUSE_FSYNC, 16, 0, 0, { { 8, 4, K_BIT } } },
	{ FUSE_SETXATTR, 16, 1, DATA, { { 4, 4, K_XATTR }, { 8, 4, K_BIT } } },
	{ FUSE_GETXATTR, 8, 1, 0, { { 0, 4, K_SIZE } } },
	{ FUSE_LISTXATTR, 8, 0, 0, { { 0, 4, K_SIZE } } },
	{ FUSE_REMOVEXATTR, 0, 1, 0, { { 0 } } },
	{ FUSE_FLUSH, 24, 0, 0, { { 16, 8, K_ANY } } },
	{ FUSE_OPENDIR, 8, 0, 0, { { 0, 4, K_OPEN } } },
	{ FUSE_READDIR, 40, 0, 0, { { 8, 8, K_ANY }, { 16, 4, K_SIZE } } },
	{ FUSE_RELEASEDIR, 24, 0, 0, { { 8, 4, K_OPEN } } },
	{ FUSE_FSYNCDIR, 16, 0, 0, { { 8, 4, K_BIT } } },
	{ FUSE_ACCESS, 8, 0, 0, { { 0, 4, K_BIT } } },
	{ FUSE_CREATE, 16, 1, ENTRY,
	  { { 0, 4, K_OPEN }, { 4, 4, K_MODE }, { 8, 4, K_ANY },
	    { 12, 4, K_BIT } } },
	{ FUSE_IOCTL, 32, 0, DATA,
	  { { 8, 4, K_BIT }, { 12, 4, K_IOCTL }, { 28, 4, K_SIZE } } },
	{ FUSE_FALLOCATE, 32, 0, 0,
	  { { 8, 8, K_POS }, { 16, 8, K_LEN }, { 24, 4, K_FALLOC } } },
	{ FUSE_READDIRPLUS, 40, 0, 0,
	  { { 8, 8, K_ANY }, { 16, 4, K_SIZE } } },
	{ FUSE_RENAME2, 16, 2, 0, { { 0, 8, K_NODE }, { 8, 4, K_RENAME } } },
	{ FUSE_LSEEK, 24, 0, 0, { { 8, 8, K_POS }, { 16, 4, K_WHENCE } } },
	{ FUSE_COPY_FILE_RANGE, 56, 0, 0,
	  { { 8, 8, K_POS }, { 16, 8, K_NODE }, { 32, 8, K_POS },
	    { 40, 8, K_LEN }, { 48, 8, K_BIT } } },
	{ 50 /* SYNCFS */, 8, 0, OWN, { { 0 } } },
	{ 51 /* TMPFILE */, 16, 0, OWN | ENTRY,
	  { { 0, 4, K_OPEN }, { 4, 4, K_MODE }, { 8, 4, K_ANY } } },
	{ 52 /* STATX */, 24, 0, OWN, { { 16, 4, K_BIT }, { 20, 4, K_ANY } } },
	{ 53 /* COPY_FILE_RANGE_64 */, 56, 0, OWN,
	  { { 8, 8, K_POS }, { 16, 8, K_NODE }, { 32, 8, K_POS },
	    { 40, 8, K_LEN }, { 48, 8, K_BIT } } },
	{ OP_CONFIG, 64, 0, OWN, { { 0, 8, K_BIT }, { 8, 8, K_ANY } } },
	{ OP_IOEND, 48, 0, OWN,
	  { { 0, 4, K_IOEND }, { 4, 4, K_ERROR }, { 8, 8, K_NODE },
	    { 16, 8, K_POS }, { 24, 8, K_ADDR }, { 32, 8, K_LEN },
	    { 40, 4, K_BIT } } },
	{ OP_BEGIN, 32, 0, OWN,
	  { { 0, 4, K_OPFLAGS }, { 8, 8, K_NODE }, { 16, 8, K_POS },
	    { 24, 8, K_LEN } } },
	{ OP_END, 72, 0, OWN,
	  { { 0, 4, K_OPFLAGS }, { 8, 8, K_NODE }, { 16, 8, K_POS },
	    { 24, 8, K_LEN }, { 32, 8, K_LEN }, { 56, 8, K_ADDR },
	    { 64, 2, K_BIT }, { 66, 2, K_BIT } } },
	{ OP_SHUTDOWN, 32, 0, OWN, { { 0, 8, K_BIT } } },
	{ OP_UNFREEZE, 32, 0, OWN, { { 0 } } },
	{ FUSE_BATCH_FORGET, 24, 0, NO_ANSWER,
	  { { 8, 8, K_NODE }, { 16, 8, K_BIT } } },
};

/* ------------------------------------------------------------------ values */

static uint8_t byte(struct stream *s)
{
	if (!s->size)
		return 0;
	s->size--;
	return *s->data++;
}

static const uint64_t any[] = {
	0, 1, 2, 4, 10, 100, 255, 511, 512, 1000, 4095, 4096, 4097, 8192, 65536,
	1 << 20, 16 << 20, 0x7fffffff, 0x80000000, 0xffffffff, 1ull << 40,
	INT64_MAX, 1ull << 63, UINT64_MAX,
};
static const uint64_t positions[] = {
	0, 1, 511, 512, 4095, 4096, 4097, 5000, 8192, 9000, 12288, 20000,
	65536, 100000, 1 << 20, 16 << 20, 1ull << 31, 1ull << 40,
	(1ull << 47) - 4096, 1ull << 47, INT64_MAX - 4095, INT64_MAX,
	1ull << 63, UINT64_MAX - 4095, UINT64_MAX,
};
static const uint64_t lengths[] = {
	4096, 1, 512, 8192, 5000, 12288, 65536, 1 << 20, 0, 100, 4095, 4097,
	16 << 20, 1ull << 31, 1ull << 40, 1ull << 47, INT64_MAX - 4095,
	INT64_MAX, 1ull << 63, UINT64_MAX,
};
static const uint64_t sizes[] = {
	4096, 0, 1, 24, 100, 255, 511, 1000, 8192, 20000, 65536, 1 << 20,
	UINT64_MAX,
};
static const uint64_t modes[] = {
	S_IFREG | 0644, S_IFDIR | 0755, S_IFIFO | 0600, S_IFCHR | 0600,
	S_IFSOCK | 0777, S_IFLNK | 0777, S_IFREG | 06775, S_IFREG | 02644,
	S_IFDIR | 03777, 0, 0777, 07777, UINT32_MAX,
};
static const uint64_t opens[] = {
	O_RDWR, O_RDONLY, O_WRONLY, O_RDWR | O_TRUNC, O_WRONLY | O_APPEND,
	O_RDWR | O_CREAT | O_EXCL, O_DIRECT | O_RDWR, O_SYNC | O_WRONLY,
	O_DIRECTORY, O_TMPFILE, UINT32_MAX,
};
static const uint64_t renames[] = { 0, 1, 2, 4, 3, 5, 6, UINT32_MAX };
static const uint64_t fallocs[] = {
	0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
	FALLOC_FL_ZERO_RANGE, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
	FALLOC_FL_PUNCH_HOLE, FALLOC_FL_COLLAPSE_RANGE, FALLOC_FL_INSERT_RANGE,
	FALLOC_FL_UNSHARE_RANGE, UINT32_MAX,
};
static const uint64_t whences[] = { 3, 4, 0, 1, 2, 5, UINT32_MAX };
static const uint64_t ioctls[] = {
	FS_IOC_GETFLAGS, FS_IOC_SETFLAGS, FS_IOC_FSGETXATTR, FS_IOC_FSSETXATTR,
	FITRIM, FS_IOC_GETFSLABEL, FS_IOC_SETFSLABEL, OWFS_IOC_SHUTDOWN,
	OWFS_IOC_KEEP, OWFS_IOC_KEEP_READ, OWFS_IOC_KEEP_BITS,
	OWFS_IOC_KEEP_END, OWFS_IOC_MEND, FIFREEZE, FITHAW, UINT32_MAX,
};
/* write, write through a mapping, direct, writeback, report, swap, zero ... */
static const uint64_t opflags[] = {
	0x1, 0x9, 0x11, 0x80000000, 0x0, 0x10, 0x4, 0x40000004, 0x2, 0x81,
	0x211, 0x31, 0x20, 0x80000001, 0x40000000, UINT32_MAX,
};
static const uint64_t ioends[] = {
	0x22, 0xa, 0x2, 0x20, 0x8, 0x0, 0x40, 0x2a, 0x1, 0x23, UINT32_MAX,
};
static const uint64_t errors[] = {
	0, (uint32_t)-5, (uint32_t)-28, (uint32_t)-38, (uint32_t)-12, 5,
	(uint32_t)-4095, UINT32_MAX, 0x80000000,
};

static uint64_t pick(const uint64_t *table, size_t n, uint8_t how)
{
	return how < n ? table[how] : (uint64_t)how << (how & 7 ? 0 : 9);
}
#define PICK(table, how)	pick(table, ARRAY_SIZE(table), how)

static uint64_t known(const uint64_t *table, unsigned int n, uint8_t how)
{
	if (how >= 240 || !n)
		return PICK(any, how % 32);
	return table[how % n];
}

static uint64_t value(const struct stream *s, enum kind kind, uint8_t how)
{
	switch (kind) {
	case K_POS:
		return PICK(positions, how);
	case K_LEN:
		return PICK(lengths, how);
	case K_SIZE:
		return PICK(sizes, how);
	case K_NODE:
		return known(s->node, s->nnodes, how);
	case K_ADDR:
		return known(s->place, s->nplaces, how);
	case K_MODE:
		return PICK(modes, how);
	case K_OPEN:
		return PICK(opens, how);
	case K_VALID:	/* the size, or one or two others */
		return how < 128 ? 1u << (how + 3) % 17
				 : 1u << how % 17 | 1u << how / 17 % 17;
	case K_RENAME:
		return PICK(renames, how);
	case K_XATTR:
		return how % 4;
	case K_FALLOC:
		return PICK(fallocs, how);
	case K_WHENCE:
		return PICK(whences, how);
	case K_IOCTL:
		return PICK(ioctls, how);
	case K_OPFLAGS:
		return PICK(opflags, how);
	case K_IOEND:
		return PICK(ioends, how);
	case K_ERROR:
		return PICK(errors, how);
	case K_BIT:
		return how ? 1ull << how % 64 : 0;
	default:
		return PICK(any, how);
	}
}

/* -------------------------------------------------------------------- body */

static void add(struct stream *s, const void *bytes, size_t n)
{
	if (n > sizeof(s->body) - s->len)
		abort();
	memcpy(s->body + s->len, bytes, n);
	s->len += n;
}

static void put(struct stream *s, size_t at, size_t width, uint64_t v)
{
	memcpy(s->body + at, &v, width);
}

void request_add_name(struct stream *s, const char *name)
{
	add(s, name, strlen(name) + 1);
}

static void add_name(struct stream *s)
{
	static const char *const names[] = {
		"new", "f", "g", "d", "l", "still", "a", "b", ".", "..",
		"user.x1", "user.x2", "user.a", "trusted.a",
		"security.capability", "system.posix_acl_access",
		"system.posix_acl_default", "",
	};
	uint8_t how = byte(s);
	char name[258];
	size_t n;

	if (how < 160) {
		request_add_name(s, names[how % ARRAY_SIZE(names)]);
		return;
	}
	n = how < 176 ? 255 : how < 180 ? 256 : how % 16 + 1;
	memset(name, '0' + how % 64, n);
	add(s, name, n);
	add(s, "", 1);
}

/* An access control list with up to seven names. */
static uint32_t add_list(struct stream *s, uint8_t how)
{
	return (uint32_t)op_list_bytes(s->body + s->len, (how & 1) ? 0750 : 0664,
				       how / 2 % 8, how % 8);
}

/* Arguments of ioctls, and values, begin with some numbers. */
static void add_data(struct stream *s, const struct request *r, size_t at_size)
{
	static const uint32_t counts[] = {
		4096, 0, 1, 4, 8, 24, 28, 44, 56, 100, 256, 5000, 65536,
		sizeof(struct owfs_ioc_read),
	};
	uint8_t how = byte(s);
	uint32_t n = how < ARRAY_SIZE(counts) ? counts[how] : how, i;
	uint64_t v;

	if (r->opcode == FUSE_SETXATTR && how >= 128) {
		n = add_list(s, how);
		put(s, at_size, sizeof(n), n);
		s->len += n;
		return;
	}
	put(s, at_size, sizeof(n), n);
	for (i = 0; i < n; i++)
		s->body[s->len + i] = (uint8_t)(i * 7);
	for (i = 0; r->opcode != FUSE_WRITE && s->size && i + 8 <= n; i += 8) {
		v = known(s->place, s->nplaces, byte(s));
		memcpy(s->body + s->len + i, &v, sizeof(v));
	}
	s->len += n;
}

/* Where the length of what follows stands. */
static size_t size_field(uint32_t opcode)
{
	return opcode == FUSE_WRITE ? 16 : opcode == FUSE_IOCTL ? 24 : 0;
}

/*
 * What a kernel keeps within bounds, because there are buffers of that size.  A
 * socket takes less at once than it may ask for.  The library believes how many
 * inodes there are to forget.
 */
static void bound_size(struct stream *s, const struct request *r)
{
	const uint32_t one = 1;
	const uint32_t most = r->opcode == FUSE_IOCTL ? 1 << 14 : 1 << 17;
	size_t at;
	uint32_t n;

	switch (r->opcode) {
	case FUSE_READ:
	case FUSE_READDIR:
	case FUSE_READDIRPLUS:
		at = 16;
		break;
	case FUSE_IOCTL:
		at = 28;
		break;
	case FUSE_GETXATTR:
	case FUSE_LISTXATTR:
		at = 0;
		break;
	case FUSE_BATCH_FORGET:
		memcpy(s->body, &one, sizeof(one));
		return;
	default:
		return;
	}
	memcpy(&n, s->body + at, sizeof(n));
	n = (uint32_t)min_u64(n, most);
	memcpy(s->body + at, &n, sizeof(n));
}

/* One number anywhere in the head. */
static void change(struct stream *s, const struct request *r)
{
	const size_t width = 1u << byte(s) % 4;
	const size_t at = byte(s) % r->head & ~(width - 1);

	put(s, at, width, PICK(any, byte(s)));
}

const struct request *request_decode(struct stream *s, const uint8_t *record,
				     size_t size)
{
	const struct request *r;
	const struct field *f;
	unsigned int i;
	uint8_t how;

	s->data = record;
	s->size = min_u64(size, RECORD);
	r = &requests[byte(s) % ARRAY_SIZE(requests)];
	s->h.opcode = r->opcode;
	s->h.nodeid = value(s, K_NODE, byte(s));
	how = byte(s);
	s->h.uid = how & 1 ? 1000 : 0;
	s->h.gid = how & 2 ? 1000 : 0;
	s->h.pid = how & 4 ? 2 : 1;
	memset(s->body, 0, r->head);
	s->len = r->head;
	for (f = r->field; f->kind && f < r->field + ARRAY_SIZE(r->field); f++)
		put(s, f->at, f->width, value(s, f->kind, byte(s)));
	if (how & 8 && r->head)
		change(s, r);
	for (i = 0; i < r->names; i++)
		add_name(s);
	if (r->flags & DATA)
		add_data(s, r, size_field(r->opcode));
	bound_size(s, r);
	if (r->flags & OWN && (how & 0x30) == 0x30)
		s->len = byte(s) % (r->head + 8);
	return r;
}

static void learn(uint64_t *table, unsigned int *n, uint64_t v)
{
	unsigned int i;

	for (i = 0; i < min_u64(*n, MAX_KNOWN); i++)
		if (table[i] == v)
			return;
	table[(*n)++ % MAX_KNOWN] = v;
}

void request_learn_node(struct stream *s, uint64_t nodeid)
{
	if (nodeid && s->nnodes < MAX_KNOWN)
		learn(s->node, &s->nnodes, nodeid);
}

void request_learn_place(struct stream *s, uint64_t addr)
{
	if (s->nplaces < MAX_KNOWN)
		learn(s->place, &s->nplaces, addr);
}
