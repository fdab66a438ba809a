/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The connection: requests to the server and back, names. */
#include "kmodel_impl.h"

#include <linux/fuse.h>
#include <sys/socket.h>
#include <unistd.h>

#define INIT_FLAGS	(FUSE_ASYNC_READ | FUSE_BIG_WRITES | FUSE_DO_READDIRPLUS | \
			 FUSE_READDIRPLUS_AUTO | FUSE_ASYNC_DIO | \
			 FUSE_PARALLEL_DIROPS | FUSE_MAX_PAGES | \
			 FUSE_NO_OPEN_SUPPORT | FUSE_NO_OPENDIR_SUPPORT | \
			 FUSE_EXPORT_SUPPORT | FUSE_CACHE_SYMLINKS | (1u << 30))
#define IOMAP_BIT	(1u << 11)	/* of flags2 */
#define DEV_COOKIE	7u

/* Attribute flags of an iomap inode: exclusive, iomap. */
#define ATTR_IOMAP	(1u << 2 | 1u << 3)

static struct kmodel *current;		/* whose ioctls these are */

void kmodel_violation(struct kmodel *k, const char *fmt, ...)
{
	va_list ap;

	k->violations++;
	if (k->why[0])
		return;
	va_start(ap, fmt);
	vsnprintf(k->why, sizeof(k->why), fmt, ap);
	va_end(ap);
}

void kmodel_trace(struct kmodel *k, bool on)
{
	free(k->trace);
	k->trace_size = on ? 1 << 16 : 0;
	k->trace = on ? emubd_must(calloc(1, k->trace_size)) : NULL;
}

/* ------------------------------------------------------------------ ioctls */

static int fake_ioctl(int fd, unsigned long cmd, void *arg)
{
	const uint32_t *word = arg;

	(void)fd;
	switch (cmd) {
	case 0x4010e501ul:
		if (word[1] != 1)
			return -EINVAL;
		current->dev = DEV_COOKIE;
		return DEV_COOKIE;
	case 0x8010e563ul:
		memset(arg, 0, 16);
		*(uint64_t *)arg = 3;
		return 0;
	default:
		return 0;
	}
}

/* recv(2), by a call that the server has in its sandbox, too: locked.c. */
static ssize_t receive(int fd, void *to, size_t len, int flags)
{
	struct iovec iov = { to, len };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };

	return recvmsg(fd, &mh, flags);
}

static bool is_answered(const struct kmodel *k)
{
	char c;

	return receive(k->sock[0], &c, 1, MSG_DONTWAIT | MSG_PEEK) > 0;
}

static int fake_notify(int fd, const void *msg, size_t len)
{
	struct {
		uint32_t len;
		int32_t code;
		uint64_t unique, nodeid, ino;
	} h;
	struct fuse_file_iomap map[2];
	struct fuse_file_range range[2];

	(void)fd;
	memcpy(&h, msg, sizeof(h));
	if (h.len != len || h.unique)
		return -EINVAL;
	if (current->in_ioend && !is_answered(current))
		kmodel_violation(current, "a mapping is told during an ioend");
	if (h.code == 100 && len == sizeof(h) + sizeof(map)) {
		memcpy(map, (const char *)msg + sizeof(h), sizeof(map));
		return kmodel_upsert(current, h.nodeid, h.ino, &map[0],
				     &map[1]);
	}
	if (h.code == 101 && len == sizeof(h) + sizeof(range)) {
		memcpy(range, (const char *)msg + sizeof(h), sizeof(range));
		return kmodel_inval(current, h.nodeid, &range[0], &range[1]);
	}
	return -EINVAL;
}

/* ---------------------------------------------------------------- requests */

static bool changes(uint32_t opcode)
{
	switch (opcode) {
	case FUSE_LOOKUP:
	case FUSE_FORGET:
	case FUSE_GETATTR:
	case FUSE_INIT:
	case FUSE_FSYNC:
	case 4092:	/* config, begin, end */
	case 4094:
	case 4095:
		return false;
	default:
		return true;
	}
}

static void serve(struct kmodel *k)
{
	int ret = fuse_session_receive_buf(k->srv.session.se, &k->buf);

	if (ret > 0)
		fuse_session_process_buf(k->srv.session.se, &k->buf);
	else
		kmodel_violation(k, "the server does not receive: %d", ret);
}

/* What the server says unasked: only that attributes are stale, so far. */
static bool take_notification(struct kmodel *k)
{
	struct {
		struct fuse_out_header h;
		struct fuse_notify_inval_inode_out body;
	} msg;
	ssize_t n = receive(k->sock[0], &msg, sizeof(msg),
			    MSG_DONTWAIT | MSG_PEEK | MSG_TRUNC);

	if (n < (ssize_t)sizeof(msg.h) || msg.h.unique)
		return false;
	if (n != sizeof(msg) || msg.h.error != FUSE_NOTIFY_INVAL_INODE ||
	    msg.body.off >= 0)
		kmodel_violation(k, "notification %d of %zd bytes", msg.h.error,
				 n);
	return receive(k->sock[0], &msg, sizeof(msg), MSG_DONTWAIT) > 0;
}

/* The begin that waits may be answered before the one that ended its wait. */
static bool take_early(struct kmodel *k)
{
	struct fuse_out_header h;
	ssize_t n = receive(k->sock[0], &h, sizeof(h),
			    MSG_DONTWAIT | MSG_PEEK | MSG_TRUNC);

	if (n < (ssize_t)sizeof(h) || !k->waiting || h.unique != k->waiting)
		return false;
	k->early_len = receive(k->sock[0], k->early, sizeof(k->early), 0);
	return true;
}

static int judge_answer(struct kmodel *k, uint64_t unique,
			const struct fuse_out_header *h, ssize_t n, size_t *len)
{
	if (n < (ssize_t)sizeof(*h) || h->unique != unique ||
	    h->len != (size_t)n) {
		kmodel_violation(k, "request %llu: no answer, or a strange one: %zd",
				 (unsigned long long)unique, n);
		return -EIO;
	}
	if (h->error > 0 || h->error <= -512) {
		kmodel_violation(k, "error %d", h->error);
		return -EIO;
	}
	if (len)
		*len = (size_t)n - sizeof(*h);
	return h->error;
}

int kmodel_answer(struct kmodel *k, void *out, size_t room, size_t *len)
{
	struct fuse_out_header h = { 0 };
	uint64_t unique = k->waiting;

	if (!k->early_len)
		return -EINPROGRESS;
	memcpy(&h, k->early, sizeof(h));
	memcpy(out, k->early + sizeof(h),
	       min_u64(room, (uint64_t)k->early_len - sizeof(h)));
	k->waiting = 0;
	return judge_answer(k, unique, &h, k->early_len, len);
}

/* Of the request @unique, which is a begin if it may have to wait. */
static int answer(struct kmodel *k, uint64_t unique, bool may_wait, void *out,
		  size_t room, size_t *len)
{
	struct fuse_out_header h;
	struct iovec iov[2] = { { &h, sizeof(h) }, { out, room } };
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = 2 };
	ssize_t n;

	while (take_notification(k) || take_early(k))
		;
	n = recvmsg(k->sock[0], &mh, MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN && may_wait && !k->waiting) {
		k->waiting = unique;
		k->early_len = 0;
		return -EINPROGRESS;
	}
	if (mh.msg_flags & MSG_TRUNC)
		n = -1;
	while (take_notification(k) || take_early(k))
		;
	return judge_answer(k, unique, &h, n, len);
}

int kmodel_call(struct kmodel *k, uint32_t opcode, fuse_ino_t nodeid,
		const void *in, size_t in_len, void *out, size_t room,
		size_t *len)
{
	struct fuse_in_header h = {
		.len = (uint32_t)(sizeof(h) + in_len), .opcode = opcode,
		.unique = k->unique += 2, .nodeid = nodeid,
	};
	struct iovec iov[2] = {
		{ &h, sizeof(h) }, { (void *)(uintptr_t)in, in_len },
	};
	char none[8];
	int ret;

	current = k;
	errno = 0;
	k->calls[opcode % 64]++;
	if (writev(k->sock[0], iov, 2) != (ssize_t)h.len) {
		kmodel_violation(k, "cannot send");
		return -EIO;
	}
	serve(k);
	if (opcode == FUSE_FORGET)
		return 0;
	ret = answer(k, h.unique, opcode == 4094, out ? out : none,
		     out ? room : sizeof(none), len);
	if (k->changed && changes(opcode))
		k->changed(k->ctx);
	return ret;
}

/* ---------------------------------------------------------- start and stop */

static int do_init(struct kmodel *k)
{
	struct { uint32_t major, minor, readahead, flags, flags2, unused[11]; }
		in = { 7, 99, 1 << 20, INIT_FLAGS,
		       k->srv.iomap_wanted ? IOMAP_BIT : 0, { 0 } };
	struct fuse_init_out out = { 0 };
	size_t len;
	int ret = kmodel_call(k, FUSE_INIT, 0, &in, sizeof(in), &out,
			      sizeof(out), &len);

	if (ret)
		return ret;
	if (k->srv.iomap_wanted &&
	    (out.major != 7 || out.minor < 99 || !(out.flags & 1u << 30) ||
	     !(out.flags2 & IOMAP_BIT)))
		kmodel_violation(k, "INIT: minor=%u flags=%x flags2=%x: no iomap",
				 out.minor, out.flags, out.flags2);
	if ((out.flags & ~INIT_FLAGS) || (out.flags2 & ~in.flags2))
		kmodel_violation(k, "INIT: flags=%x flags2=%x: were not offered",
				 out.flags & ~INIT_FLAGS,
				 out.flags2 & ~in.flags2);
	return 0;
}

static int do_config(struct kmodel *k)
{
	struct {
		uint64_t flags;
		int64_t maxbytes;
		uint32_t cache, zero;
		uint64_t zeroes[5];
	} in = { .flags = 0x7f, .maxbytes = INT64_MAX, .cache = 262144 };
	struct { char bytes[104]; } out = { { 0 } };
	uint32_t bs;
	uint64_t flags;
	int64_t maxbytes;
	size_t len = 0;
	int ret = kmodel_call(k, 4092, 0, &in, sizeof(in), &out, sizeof(out),
			      &len);

	if (ret)
		return ret;
	memcpy(&flags, out.bytes, 8);
	memcpy(&bs, out.bytes + 60, 4);
	memcpy(&maxbytes, out.bytes + 88, 8);
	k->maxbytes = flags & 1u << 5 ? (uint64_t)maxbytes : INT64_MAX;
	if (!k->dev || flags & ~0x7full || len > 104 || bs != k->bs ||
	    maxbytes <= 0 || (bs & (bs - 1)))
		kmodel_violation(k, "CONFIG: dev=%u flags=%llx blocksize=%u",
				 k->dev, (unsigned long long)flags, bs);
	return 0;
}

static int open_session(struct kmodel *k)
{
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	int ret;

	if (fuse_opt_add_arg(&args, "kmodel") ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, k->sock))
		return -errno;
	ret = owfs_session_open(&k->srv.session, &args, server_ops.llops,
				sizeof(*server_ops.llops), k->sock[1]);
	fuse_opt_free_args(&args);
	if (!ret)
		ret = owfs_turn_open(&k->srv.session.turn);
	return ret;
}

static int start(struct kmodel *k, struct owfs_fs *fs, struct emubd *e,
		 struct rng *rng, bool iomap)
{
	static const struct owfs_msg quiet = { .max_level = OWFS_MSG_ERROR };
	int ret;

	memset(k, 0, sizeof(*k));
	owfs_iomap_sys = (struct owfs_iomap_sys){ fake_ioctl, fake_notify };
	k->opts.iomap = iomap ? OWFS_IOMAP_ON : OWFS_IOMAP_OFF;
	k->e = e;
	k->rng = rng;
	k->bs = fs->fs_geo.blocksize;
	server_init(&k->srv);
	k->srv.opts = &k->opts;
	k->srv.msg = fs->fs_msg ? fs->fs_msg : &quiet;
	k->srv.fs = fs;
	k->srv.bd = fs->fs_bd;
	k->srv.loop_fd = -1;
	k->srv.iomap_wanted = k->srv.iomap_atomic = iomap;
	ret = open_session(k);
	if (!ret)
		ret = do_init(k);
	return ret || !iomap ? ret : do_config(k);
}

int kmodel_start(struct kmodel *k, struct owfs_fs *fs, struct emubd *e,
		 struct rng *rng)
{
	return start(k, fs, e, rng, true);
}

int kmodel_start_plain(struct kmodel *k, struct owfs_fs *fs, struct emubd *e)
{
	return start(k, fs, e, NULL, false);
}

static void file_free(struct kfile *f)
{
	struct kioend *io;
	uint64_t i;

	while ((io = f->ioends)) {
		f->ioends = io->next;
		free(io);
	}
	for (i = 0; i < f->npages; i++)
		free(f->page[i].data);
	kmodel_cache_free(f);
	km_flights_free(f);
	free(f->page);
	free(f->want);
	free(f);
}

static void stop(struct kmodel *k)
{
	struct kfile *f;

	while ((f = k->files)) {
		k->files = f->next;
		file_free(f);
	}
	owfs_turn_close(&k->srv.session.turn);
	/* the library closes its end, and calls ->destroy if it never came */
	owfs_session_close(&k->srv.session);
	close(k->sock[0]);
	free(k->buf.mem);
	server_exit(&k->srv);
	kmodel_trace(k, false);
}

int kmodel_unmount(struct kmodel *k)
{
	int ret = kmodel_call(k, FUSE_DESTROY, 0, NULL, 0, NULL, 0, NULL);

	if (!ret && k->srv.fs)
		kmodel_violation(k, "DESTROY was answered and the filesystem is there");
	stop(k);
	return ret ? ret : k->srv.stop_ret;
}

void kmodel_crash(struct kmodel *k)
{
	if (k->srv.fs)
		owfs_mount_abandon(k->srv.fs);
	k->srv.fs = NULL;
	stop(k);
}

/* ------------------------------------------------------------------- names */

static struct kfile *file_new(struct kmodel *k, const char *name,
			      const struct fuse_entry_out *e)
{
	struct kfile *f = emubd_must(calloc(1, sizeof(*f)));
	uint32_t flags;

	/* the last word of the attributes, whatever this header calls it */
	memcpy(&flags, (const char *)e + 124, sizeof(flags));
	if ((flags & ATTR_IOMAP) != (k->srv.iomap_wanted ? ATTR_IOMAP : 0))
		kmodel_violation(k, "%s: is %s iomap inode: flags=%x", name,
				 k->srv.iomap_wanted ? "no" : "an", flags);
	f->nodeid = e->nodeid;
	snprintf(f->name, sizeof(f->name), "%s", name);
	f->size = f->disk_size = e->attr.size;
	f->next = k->files;
	k->files = f;
	return f;
}

struct kfile *kmodel_create(struct kmodel *k, const char *name)
{
	struct { struct fuse_create_in in; char name[32]; } in = {
		.in = { .flags = O_RDWR, .mode = S_IFREG | 0644 },
	};
	struct { struct fuse_entry_out e; struct fuse_open_out o; } out;
	size_t len = 0;

	snprintf(in.name, sizeof(in.name), "%s", name);
	if (kmodel_call(k, FUSE_CREATE, FUSE_ROOT_ID, &in,
			sizeof(in.in) + strlen(name) + 1, &out, sizeof(out),
			&len))
		return NULL;
	if (len != sizeof(out) || (out.o.open_flags & (1u << 2 | 1u << 4 | 1u << 7)))
		kmodel_violation(k, "CREATE: len=%zu open_flags=%x", len,
				 out.o.open_flags);
	return file_new(k, name, &out.e);
}

static void file_drop(struct kmodel *k, struct kfile *f)
{
	struct { uint64_t nlookup; } in = { 1 };
	struct kfile **p = &k->files;

	while (*p != f)
		p = &(*p)->next;
	*p = f->next;
	kmodel_call(k, FUSE_FORGET, f->nodeid, &in, sizeof(in), NULL, 0, NULL);
}

/* What was not known of @old is not known of what has its name now. */
static void keep_unsure(struct kfile *f, struct kfile *old)
{
	uint64_t b, size = f->size;

	f->size = old->size;
	km_want_resize(f, size);
	for (b = 0; b < old->npages; b++)
		if (old->page[b].unsure)
			km_page(f, b)->unsure = true;
	f->untold = old->untold;
}

struct kfile *kmodel_lookup(struct kmodel *k, const char *name)
{
	struct fuse_entry_out out;
	struct kfile *f = k->files, *old = NULL;

	for (; f && !old; f = f->next)
		if (!strcmp(f->name, name))
			old = f;
	if (old) {
		km_flights_land(k, old);
		file_drop(k, old);
	}
	if (kmodel_call(k, FUSE_LOOKUP, FUSE_ROOT_ID, name, strlen(name) + 1,
			&out, sizeof(out), NULL) || !out.nodeid)
		return NULL;
	f = file_new(k, name, &out);
	if (old) {
		if (f->size != old->size && !old->size_unsure)
			kmodel_violation(k, "%s: size=%llu, should be %llu",
					 name, (unsigned long long)f->size,
					 (unsigned long long)old->size);
		f->want = old->want;
		f->want_room = old->want_room;
		old->want = NULL;
		keep_unsure(f, old);
		file_free(old);
	}
	return f;
}

int kmodel_unlink(struct kmodel *k, struct kfile *f)
{
	int ret;

	km_flights_land(k, f);
	ret = kmodel_call(k, FUSE_UNLINK, FUSE_ROOT_ID, f->name,
			  strlen(f->name) + 1, NULL, 0, NULL);
	if (ret)
		return ret;
	file_drop(k, f);
	file_free(f);
	return 0;
}

int kmodel_finish(struct kmodel *k, struct emubd *e)
{
	unsigned int bad = k->violations;
	char why[sizeof(k->why)];
	int ret = 0;

	memcpy(why, k->why, sizeof(why));
	if (bad)
		kmodel_crash(k);
	else
		ret = kmodel_unmount(k);
	emubd_destroy(e);
	if (bad)
		fprintf(stderr, "%s\n", why);
	return bad || ret ? -1 : 0;
}
