/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A stream of FUSE requests against the server, without a kernel.  Each that
 * wants an answer gets one, of a form that a kernel takes; afterwards the
 * filesystem is sound, or if it was damaged before, it mounts again.
 *
 * The first byte says how the kernel is, whether there is damage, and whether few
 * extents are many to be cut off at once; with damage, the second is the length of
 * the edits that follow (image.c).  The rest are requests (requests.c).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/util.h"
#include "check.h"
#include "fuse/caller.h"
#include "fuzz.h"
#include "image.h"
#include "kmodel.h"
#include "requests.h"
#include "use_judge.h"

#define OP_BEGIN	4094u

static struct rig_env env;

struct client {
	struct kmodel k;
	struct stream s;
};

/* Of the processes that ask, number 1 is root's, with all that root may. */
static bool look(struct owfs_status *st, pid_t pid, gid_t gid)
{
	(void)gid;
	*st = (struct owfs_status){ .fsuid = pid == 1 ? 0 : 1000,
				    .effective = pid == 1 ? UINT64_MAX : 0 };
	return true;
}

/* ---------------------------------------------------------------- exchange */

/* The nodes and places in an answer may come again. */
static void learn(struct stream *s, const unsigned char *body, size_t n,
		  unsigned int flags)
{
	uint64_t v;

	if (flags & ENTRY && n >= sizeof(v)) {
		memcpy(&v, body, sizeof(v));
		request_learn_node(s, v);
	}
	if (s->h.opcode == FUSE_IOCTL && n >= 16 + sizeof(v)) {
		memcpy(&v, body + 16, sizeof(v));
		request_learn_place(s, v);
	}
	if (s->h.opcode == OP_BEGIN && n >= 64) {
		memcpy(&v, body + 16, sizeof(v));
		request_learn_place(s, v);
		memcpy(&v, body + 32 + 16, sizeof(v));
		request_learn_place(s, v);
	}
}

/* Takes what came; how many answers to @unique were among it. */
static unsigned int take_answers(struct client *c, uint64_t unique,
				 unsigned int flags)
{
	static unsigned char buf[(1 << 20) + 4096];
	struct fuse_out_header h;
	unsigned int found = 0;
	ssize_t n;

	while ((n = recv(c->k.sock[0], buf, sizeof(buf), MSG_DONTWAIT)) >= 0) {
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
		if (!h.error)
			learn(&c->s, buf + sizeof(h), (size_t)n - sizeof(h),
			      flags);
	}
	return found;
}

static unsigned int exchange(struct client *c, unsigned int flags)
{
	struct stream *s = &c->s;
	struct iovec iov[2] = { { &s->h, sizeof(s->h) }, { s->body, s->len } };
	struct fuse_session *se = c->k.srv.session.se;

	s->h.len = (uint32_t)(sizeof(s->h) + s->len);
	s->h.unique += 2;
	if (writev(c->k.sock[0], iov, 2) != (ssize_t)s->h.len ||
	    fuse_session_receive_buf(se, &c->k.buf) <= 0)
		abort();
	fuse_session_process_buf(se, &c->k.buf);
	return take_answers(c, s->h.unique, flags);
}

static void look_up(struct client *c, uint64_t dir, const char *name)
{
	c->s.h.opcode = FUSE_LOOKUP;
	c->s.h.nodeid = dir;
	c->s.len = 0;
	request_add_name(&c->s, name);
	exchange(c, ENTRY);
}

/* What is there is known: the root, d, d/f, g, l, still. */
static void begin(struct client *c)
{
	request_learn_node(&c->s, FUSE_ROOT_ID);
	look_up(c, FUSE_ROOT_ID, "d");
	if (c->s.nnodes > 1)
		look_up(c, c->s.node[1], "f");
	look_up(c, FUSE_ROOT_ID, "g");
	look_up(c, FUSE_ROOT_ID, "l");
	look_up(c, FUSE_ROOT_ID, "still");
}

static void run(struct client *c, const uint8_t *data, size_t size, bool iomap)
{
	const struct request *r;
	unsigned int n, answers;

	begin(c);
	for (n = 0; n < MAX_REQUESTS && n * RECORD < size; n++) {
		r = request_decode(&c->s, data + n * RECORD, size - n * RECORD);
		answers = exchange(c, r->flags);
		/* in iomap mode some wait for others */
		if (answers > 1 || (r->flags & NO_ANSWER ? answers :
				    !answers && !iomap))
			abort();
	}
}

/* Begins that wait are answered by then, too.  0, or why the last commit failed. */
static int unmount(struct client *c)
{
	int ret;

	c->s.h.opcode = FUSE_DESTROY;
	c->s.h.nodeid = 0;
	c->s.len = 0;
	if (exchange(c, 0) != 1 || c->k.srv.fs)
		abort();
	ret = c->k.srv.stop_ret;
	kmodel_crash(&c->k);	/* there is nothing left but to let go */
	return ret;
}

/* ------------------------------------------------------------------- judge */

static void must_be_sound(struct emubd *e)
{
	const struct owfs_check_param p = { .commits = OWFS_CHECK_CURRENT };
	struct owfs_check_report r;

	if (owfs_check(emubd_blkdev(e), &p, &r) || r.problems)
		abort();
}

static bool mounts(struct emubd *e)
{
	struct owfs_fs *fs;
	int ret = rig_mount(&fs, e, &env, RIG_READONLY, NULL);

	if (!ret)
		owfs_mount_abandon(fs);
	return !ret;
}

/* @before: what it was, if it was damaged; else NULL. */
static void serve(struct emubd *e, struct emubd *before, const uint8_t *data,
		  size_t size, bool iomap)
{
	static struct client c;
	struct rng rng = { 1 };
	struct owfs_fs *fs;
	int ret;

	if (rig_mount(&fs, e, &env, 0, NULL)) {
		if (!before)
			abort();
		return;
	}
	if (iomap ? kmodel_start(&c.k, fs, e, &rng) :
		    kmodel_start_plain(&c.k, fs, e))
		abort();
	memset(&c.s, 0, offsetof(struct stream, body));
	c.s.h.unique = c.k.unique;
	run(&c, data, size, iomap);
	ret = unmount(&c);
	if (!before && !ret)
		must_be_sound(e);
	else if (!before || (!mounts(e) && mounts(before) &&
			     !use_is_danger(before)))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t first = size ? data[0] : 0;
	struct emubd *e, *before = NULL;
	size_t at = min_u64(size, 1), edits = 0;

	if (first & 2 && size > 1) {
		edits = min_u64(data[1], size - 2);
		at = 2;
	}
	owfs_caller_ask(look);
	rig_env_init(&env, 1);
	env.cut_extents = first & 4 ? 2 : 0;
	e = image_make(data + at, edits);
	if (edits)
		before = emubd_fork(e);
	fuzz_limits(IMAGE_BYTES);
	serve(e, before, data + at + edits, size - at - edits, first & 1);
	emubd_destroy(before);
	emubd_destroy(e);
	fuzz_limits_end();
	return 0;
}
