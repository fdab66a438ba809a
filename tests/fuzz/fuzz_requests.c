/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A stream of FUSE requests against the server, without a kernel.  Each that
 * wants an answer gets one, of a form that a kernel takes; afterwards the
 * filesystem is sound.
 *
 * The input is a list of requests: which, of which inode, and changes to a body
 * that is otherwise what a kernel could send.  What libfuse takes apart has the
 * length it must have; what owfs takes apart itself may have another.
 */
#include <errno.h>
#include <linux/fs.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "check.h"
#include "fuzz.h"
#include "image.h"
#include "kmodel.h"

#define MAX_REQUESTS	64
#define MAX_NODES	16
#define BODY_MAX	(80 + 2 * 260 + 70000)

static struct rig_env env;

struct stream {
	struct kmodel k;
	const uint8_t *data;
	size_t size;
	uint64_t node[MAX_NODES];	/* that the server named */
	unsigned int nnodes;
	struct fuse_in_header h;
	unsigned int names;		/* that follow the body's head */
	size_t len;
	unsigned char body[BODY_MAX];
};

enum { NO_ANSWER = 1, ENTRY = 2, DATA = 4, OWN = 8, IOMAP = 16 };

static const struct request {
	uint32_t opcode;
	unsigned int head;	/* bytes */
	unsigned int names;
	unsigned int flags;
} requests[] = {
	{ FUSE_LOOKUP, 0, 1, ENTRY }, { FUSE_FORGET, 8, 0, NO_ANSWER },
	{ FUSE_GETATTR, 16, 0, 0 }, { FUSE_SETATTR, 88, 0, 0 },
	{ FUSE_READLINK, 0, 0, 0 }, { FUSE_SYMLINK, 0, 2, ENTRY },
	{ FUSE_MKNOD, 16, 1, ENTRY }, { FUSE_MKDIR, 8, 1, ENTRY },
	{ FUSE_UNLINK, 0, 1, 0 }, { FUSE_RMDIR, 0, 1, 0 },
	{ FUSE_RENAME, 8, 2, 0 }, { FUSE_LINK, 8, 1, ENTRY },
	{ FUSE_OPEN, 8, 0, 0 }, { FUSE_READ, 40, 0, 0 },
	{ FUSE_WRITE, 40, 0, DATA }, { FUSE_STATFS, 0, 0, 0 },
	{ FUSE_RELEASE, 24, 0, 0 }, { FUSE_FSYNC, 16, 0, 0 },
	{ FUSE_SETXATTR, 16, 1, DATA }, { FUSE_GETXATTR, 8, 1, 0 },
	{ FUSE_LISTXATTR, 8, 0, 0 }, { FUSE_REMOVEXATTR, 0, 1, 0 },
	{ FUSE_FLUSH, 24, 0, 0 }, { FUSE_OPENDIR, 8, 0, 0 },
	{ FUSE_READDIR, 40, 0, 0 }, { FUSE_RELEASEDIR, 24, 0, 0 },
	{ FUSE_FSYNCDIR, 16, 0, 0 }, { FUSE_ACCESS, 8, 0, 0 },
	{ FUSE_CREATE, 16, 1, ENTRY }, { FUSE_IOCTL, 32, 0, DATA },
	{ FUSE_FALLOCATE, 32, 0, 0 }, { FUSE_READDIRPLUS, 40, 0, 0 },
	{ FUSE_RENAME2, 16, 2, 0 }, { FUSE_LSEEK, 24, 0, 0 },
	{ FUSE_COPY_FILE_RANGE, 56, 0, 0 }, { 50 /* SYNCFS */, 8, 0, OWN },
	{ 51 /* TMPFILE */, 16, 0, OWN }, { 52 /* STATX */, 24, 0, OWN },
	{ 53 /* COPY_FILE_RANGE_64 */, 56, 0, OWN },
	{ 4092, 64, 0, OWN | IOMAP }, { 4093, 48, 0, OWN | IOMAP },
	{ 4094, 32, 0, OWN | IOMAP }, { 4095, 72, 0, OWN | IOMAP },
	{ 4091, 32, 0, OWN | IOMAP }, { 4090, 32, 0, OWN | IOMAP },
};

/* ------------------------------------------------------------------- input */

static uint8_t byte(struct stream *s)
{
	if (!s->size)
		return 0;
	s->size--;
	return *s->data++;
}

static uint64_t number(struct stream *s)
{
	static const uint64_t known[] = {
		0, 1, 2, 4, 10, 100, 255, 511, 512, 1000, 4095, 4096, 4097,
		8192, 65536, 1 << 20, 16 << 20, 0x7fffffff, 0x80000000,
		0xffffffff, 1ull << 40, INT64_MAX, 1ull << 63, UINT64_MAX,
		FS_IOC_GETFLAGS, FS_IOC_SETFLAGS, FS_IOC_FSGETXATTR,
		FS_IOC_FSSETXATTR, FITRIM, FS_IOC_GETFSLABEL, FS_IOC_SETFSLABEL,
	};
	uint8_t how = byte(s);

	if (how < ARRAY_SIZE(known))
		return known[how];
	if (how < 64)
		return s->node[how % s->nnodes];
	return how < 128 ? byte(s) : (uint64_t)byte(s) << 8 | byte(s);
}

static void add(struct stream *s, const void *bytes, size_t n)
{
	if (n > sizeof(s->body) - s->len)
		abort();
	memcpy(s->body + s->len, bytes, n);
	s->len += n;
}

static void add_name(struct stream *s)
{
	static const char *const known[] = {
		"a", "b", "c", "d", "e", "f", "g", "l", ".", "..", "new",
		"user.a", "user.b", "trusted.a", "security.capability",
		"system.posix_acl_access", "system.posix_acl_default", "",
	};
	uint8_t how = byte(s);
	char name[258];
	size_t n;

	if (how < 128) {
		const char *k = known[how % ARRAY_SIZE(known)];

		add(s, k, strlen(k) + 1);
		return;
	}
	n = how < 160 ? 255 : how < 170 ? 256 : how % 16 + 1;
	memset(name, byte(s) | 1, n);
	memset(name, '0' + how % 64, n / 2);
	add(s, name, n);
	add(s, "", 1);
}

static void add_data(struct stream *s, size_t at_size)
{
	static const uint32_t sizes[] = { 0, 1, 28, 100, 4096, 5000, 65536 };
	uint8_t how = byte(s);
	uint32_t n = how < 64 ? sizes[how % ARRAY_SIZE(sizes)] : how - 64u, i;

	memcpy(s->body + at_size, &n, sizeof(n));
	for (i = 0; i < n; i++)
		s->body[s->len + i] = i < 64 ? byte(s) : (uint8_t)(i * 7);
	s->len += n;
}

/* Where the length of what follows stands. */
static size_t size_field(uint32_t opcode)
{
	return opcode == FUSE_WRITE ? 16 : opcode == FUSE_IOCTL ? 24 : 0;
}

/* What a kernel keeps within bounds, because there are buffers of that size. */
static void bound_sizes(struct stream *s, const struct request *r)
{
	const size_t at = r->opcode == FUSE_GETXATTR ||
			  r->opcode == FUSE_LISTXATTR ? 0 :
			  r->opcode == FUSE_IOCTL ? 28 : 16;
	uint32_t n;

	if (r->opcode != FUSE_READ && r->opcode != FUSE_READDIR &&
	    r->opcode != FUSE_READDIRPLUS && at == 16)
		return;
	memcpy(&n, s->body + at, sizeof(n));
	n = (uint32_t)min_u64(n, r->opcode == FUSE_IOCTL ? 1 << 14 : 1 << 20);
	memcpy(s->body + at, &n, sizeof(n));
}

static const struct request *decode(struct stream *s)
{
	const struct request *r = &requests[byte(s) % ARRAY_SIZE(requests)];
	unsigned int changes, i, width;
	uint8_t how = byte(s);
	size_t at;
	uint64_t v;

	s->h.opcode = r->opcode;
	s->h.nodeid = how < 200 ? s->node[how % s->nnodes] : number(s);
	s->h.uid = how & 1 ? 1000 : 0;
	memset(s->body, 0, r->head);
	s->len = r->head;
	for (changes = byte(s) % 8, i = 0; i < changes && r->head; i++) {
		width = 1u << byte(s) % 4;
		at = byte(s) % r->head & ~(width - 1);
		v = number(s);
		memcpy(s->body + at, &v, width);
	}
	for (i = 0; i < r->names; i++)
		add_name(s);
	if (r->flags & DATA)
		add_data(s, size_field(r->opcode));
	bound_sizes(s, r);
	if (r->flags & OWN && how & 2)
		s->len = byte(s) % (r->head + 8);
	return r;
}

/* ---------------------------------------------------------------- exchange */

static void learn(struct stream *s, uint64_t nodeid)
{
	if (nodeid && s->nnodes < MAX_NODES)
		s->node[s->nnodes++] = nodeid;
}

/* Takes what came; how many answers to @unique were among it. */
static unsigned int take_answers(struct stream *s, uint64_t unique, bool entry)
{
	static unsigned char buf[(1 << 20) + 4096];
	struct fuse_out_header h;
	unsigned int found = 0;
	uint64_t nodeid;
	ssize_t n;

	while ((n = recv(s->k.sock[0], buf, sizeof(buf), MSG_DONTWAIT)) >= 0) {
		if (n < (ssize_t)sizeof(h))
			abort();
		memcpy(&h, buf, sizeof(h));
		if (h.len != n)
			abort();
		if (!h.unique)
			continue;	/* a notification */
		if (h.error > 0 || h.error <= -1000)
			abort();
		if (h.unique != unique)
			continue;
		found++;
		if (entry && !h.error && n >= (ssize_t)sizeof(h) + 8) {
			memcpy(&nodeid, buf + sizeof(h), sizeof(nodeid));
			learn(s, nodeid);
		}
	}
	return found;
}

static unsigned int exchange(struct stream *s, bool entry)
{
	struct iovec iov[2] = { { &s->h, sizeof(s->h) }, { s->body, s->len } };
	struct fuse_session *se = s->k.srv.session.se;

	s->h.len = (uint32_t)(sizeof(s->h) + s->len);
	s->h.unique += 2;
	if (writev(s->k.sock[0], iov, 2) != (ssize_t)s->h.len ||
	    fuse_session_receive_buf(se, &s->k.buf) <= 0)
		abort();
	fuse_session_process_buf(se, &s->k.buf);
	return take_answers(s, s->h.unique, entry);
}

static void run(struct stream *s, bool iomap)
{
	const struct request *r;
	unsigned int n, answers;

	for (n = 0; n < MAX_REQUESTS && s->size; n++) {
		r = decode(s);
		answers = exchange(s, r->flags & ENTRY);
		/* in iomap mode some wait for others */
		if (answers > 1 || (r->flags & NO_ANSWER ? answers :
				    !answers && !iomap))
			abort();
	}
}

static void must_be_sound(struct emubd *e)
{
	const struct owfs_check_param p = { .commits = OWFS_CHECK_CURRENT };
	struct owfs_check_report r;

	if (owfs_check(emubd_blkdev(e), &p, &r) || r.problems)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct stream s;
	struct emubd *e = image_make(NULL, 0);
	struct owfs_fs *fs;
	struct rng rng = { 1 };
	bool iomap;

	fuzz_limits(IMAGE_BYTES);
	rig_env_init(&env, 1);
	memset(&s, 0, offsetof(struct stream, body));
	s.data = data;
	s.size = size;
	learn(&s, FUSE_ROOT_ID);
	iomap = byte(&s) & 1;
	if (rig_mount(&fs, e, &env, 0, NULL) ||
	    (iomap ? kmodel_start(&s.k, fs, e, &rng) :
		     kmodel_start_plain(&s.k, fs, e)))
		abort();
	s.h.unique = s.k.unique;
	run(&s, iomap);
	s.k.unique = s.h.unique;
	if (kmodel_unmount(&s.k))
		abort();
	must_be_sound(e);
	emubd_destroy(e);
	fuzz_limits_end();
	return 0;
}
