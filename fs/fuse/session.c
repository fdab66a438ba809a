/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hooks under libfuse: see session.h for what they are for.
 *
 * Why a tunnel and not an own receive loop: the library's threads, requests,
 * replies and interrupts stay in use, so that every version from 3.10 on does
 * the same thing.  Why not answer inside the read hook: the library does not
 * count the thread as busy there, so slow requests could starve the others.
 */
#include "fuse/session.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "fuse/session_wire.h"

/* Before the data of a WRITE. */
#define WRITE_HEAD	(sizeof(struct in_header) + sizeof(struct write_in))

/* --------------------------------------------------------- thread's storage */

/* What a thread keeps beside the request it received. */
struct facts {
	void *payload;		/* data of a WRITE lands here, page aligned */
	size_t payload_size;
	void *buffer;		/* for the operation's own use */
	size_t buffer_size;
	bool kill_suidgid;
	bool kill_sgid;
	unsigned int patch_at;	/* in the next answer's body */
	uint32_t patch;		/* 0: nothing */
	uint32_t open_flags;
	struct owfs_seat *seat;	/* the session's */
	uint64_t turn;		/* its turn's number */
};

static pthread_once_t facts_once = PTHREAD_ONCE_INIT;
static pthread_key_t facts_key;
static __thread struct facts *my_facts;

static void facts_free(void *p)
{
	struct facts *f = p;

	free(f->payload);
	free(f->buffer);
	free(f);
}

static void facts_init(void)
{
	if (pthread_key_create(&facts_key, facts_free))
		abort();
}

static struct facts *facts_get(void)
{
	struct facts *f = my_facts;

	if (f)
		return f;
	pthread_once(&facts_once, facts_init);
	f = calloc(1, sizeof(*f));
	if (!f || pthread_setspecific(facts_key, f)) {
		free(f);
		return NULL;
	}
	my_facts = f;
	return f;
}

static void *grow(void **buf, size_t *have, size_t size)
{
	void *p;

	if (*have >= size)
		return *buf;
	if (posix_memalign(&p, 4096, size))
		return NULL;
	free(*buf);
	*buf = p;
	*have = size;
	return p;
}

const void *owfs_session_payload(void)
{
	return my_facts->payload;
}

bool owfs_session_kill_suidgid(void)
{
	return my_facts->kill_suidgid;
}

bool owfs_session_kill_sgid(void)
{
	return my_facts->kill_sgid;
}

void owfs_session_patch_answer(unsigned int at, uint32_t flags)
{
	my_facts->patch_at = at;
	my_facts->patch = flags;
}

unsigned int owfs_session_open_flags(void)
{
	return my_facts->open_flags;
}

void *owfs_session_buffer(size_t size)
{
	struct facts *f = facts_get();

	return f ? grow(&f->buffer, &f->buffer_size, size) : NULL;
}

/* ------------------------------------------------------------- the way in */

static void keep_init(struct owfs_session *s, const struct in_header *h,
		      const void *body, size_t len)
{
	struct init_in in = { 0 };

	memcpy(&in, body, len < sizeof(in) ? len : sizeof(in));
	s->minor = in.minor;
	s->offered = in.flags;
	if (in.flags & INIT_EXT)
		s->offered |= (uint64_t)in.flags2 << 32;
	s->init_unique = h->unique;
}

static void keep_facts(struct facts *f, const struct in_header *h,
		       const void *body, size_t len)
{
	uint32_t word;

	f->kill_suidgid = false;
	f->open_flags = 0;
	if ((h->opcode == OP_READDIR || h->opcode == OP_READDIRPLUS) &&
	    len >= sizeof(struct write_in))
		memcpy(&f->open_flags, (const char *)body +
		       offsetof(struct write_in, flags), sizeof(word));
	if (h->opcode == OP_WRITE && len >= sizeof(struct write_in)) {
		memcpy(&word, (const char *)body +
		       offsetof(struct write_in, write_flags), sizeof(word));
		f->kill_suidgid = word & WRITE_KILL_SUIDGID;
	} else if (h->opcode == OP_SETATTR && len >= sizeof(word)) {
		memcpy(&word, body, sizeof(word));
		f->kill_suidgid = word & SETATTR_KILL_SUIDGID;
	} else if (h->opcode == OP_CREATE && len >= sizeof(struct create_in)) {
		memcpy(&word, (const char *)body +
		       offsetof(struct create_in, open_flags), sizeof(word));
		f->kill_suidgid = word & OPEN_KILL_SUIDGID;
	}
}

/* Take out of SETXATTR what the library does not know; the new length. */
static size_t shorten_setxattr(struct facts *f, void *buf, size_t n)
{
	struct in_header *h = buf;
	char *body = (char *)(h + 1);
	struct setxattr_in in;

	f->kill_sgid = false;
	if (n < sizeof(*h) + sizeof(in))
		return n;
	memcpy(&in, body, sizeof(in));
	f->kill_sgid = in.ext_flags & SETXATTR_KILL_SGID;
	n -= SETXATTR_EXTRA;
	memmove(body + sizeof(in) - SETXATTR_EXTRA, body + sizeof(in),
		n - (sizeof(*h) + sizeof(in) - SETXATTR_EXTRA));
	h->len -= SETXATTR_EXTRA;
	return n;
}

static bool is_tunnelled(const struct owfs_session *s, uint32_t opcode)
{
	return (opcode >= OP_SYNCFS && opcode <= OP_COPY_FILE_RANGE_64) ||
	       (owfs_wire_is_extra(opcode) && s->extra);
}

/* Where a request is counted: those of iomap follow the ordinary ones. */
static unsigned int counter_of(uint32_t opcode)
{
	return owfs_wire_is_extra(opcode) ? opcode % OWFS_SESSION_OPCODES : opcode;
}

/* Nobody waits for the answer: sooner done than handed on. */
static bool is_quick(uint32_t opcode)
{
	return opcode == OP_FORGET || opcode == OP_BATCH_FORGET ||
	       opcode == OP_RELEASE || opcode == OP_RELEASEDIR;
}

/* Make an IOCTL of the request in @buf; its new length. */
static size_t tunnel(void *buf, size_t n, size_t room)
{
	struct in_header *h = buf;
	size_t body = n - sizeof(*h);
	struct ioctl_in in = {
		.fh = UINT64_MAX,
		.flags = TUNNEL_FLAG,
		.cmd = h->opcode,
		.in_size = body,
	};

	if (n + sizeof(in) > room)
		return n;	/* the library answers ENOSYS */
	memmove((char *)(h + 1) + sizeof(in), h + 1, body);
	memcpy(h + 1, &in, sizeof(in));
	h->opcode = OP_IOCTL;
	h->len += sizeof(in);
	return n + sizeof(in);
}

/*
 * Receive with everything behind the head of a WRITE in the thread's aligned
 * buffer.  Other requests are put together again: they are short.
 */
static ssize_t receive(int fd, void *buf, size_t len, struct facts *f)
{
	struct iovec iov[2] = {
		{ buf, WRITE_HEAD },
		{ f->payload, len - WRITE_HEAD },
	};
	ssize_t n = readv(fd, iov, 2);
	const struct in_header *h = buf;

	if (n > (ssize_t)WRITE_HEAD && h->opcode != OP_WRITE)
		memcpy((char *)buf + WRITE_HEAD, f->payload, n - WRITE_HEAD);
	return n;
}

/* Everything this thread needs to receive; NULL without memory. */
static struct facts *facts_for(struct owfs_session *s, size_t len)
{
	struct facts *f = facts_get();

	if (!f || len <= WRITE_HEAD ||
	    !grow(&f->payload, &f->payload_size, len - WRITE_HEAD))
		return NULL;
	if (!f->seat || f->turn != s->turn.number) {
		f->seat = owfs_turn_seat(&s->turn);
		f->turn = s->turn.number;
	}
	return f->seat ? f : NULL;
}

static ssize_t read_request(struct owfs_session *s, int fd, void *buf,
			    size_t len)
{
	const struct timespec moment = { .tv_nsec = 10000000 };
	struct facts *f = facts_for(s, len);
	struct in_header *h = buf;
	uint64_t began;
	ssize_t n;

	if (!f) {
		/* any other error would end the session; this one is asked again */
		nanosleep(&moment, NULL);
		errno = EINTR;
		return -1;
	}
	owfs_turn_take(&s->turn, f->seat);
	began = owfs_spin_wait(&s->spin, fd);
	n = receive(fd, buf, len, f);
	owfs_spin_done(&s->spin, began);
	if (n < 0 && errno != EINTR && errno != EAGAIN && errno != ENOENT)
		owfs_turn_end(&s->turn);
	if (n < (ssize_t)sizeof(*h))
		return n;
	owfs_turn_begin(&s->turn, f->seat, is_quick(h->opcode) ? -1 : fd);
	if (counter_of(h->opcode) < OWFS_SESSION_OPCODES)
		__atomic_fetch_add(&s->requests[counter_of(h->opcode)], 1,
				   __ATOMIC_RELAXED);
	if (h->opcode == OP_INIT)
		keep_init(s, h, h + 1, n - sizeof(*h));
	keep_facts(f, h, h + 1, n - sizeof(*h));
	if (h->opcode == OP_SETXATTR &&
	    (s->want & s->offered & OWFS_FUSE_SETXATTR_EXT))
		return shorten_setxattr(f, buf, n);
	if (is_tunnelled(s, h->opcode))
		return tunnel(buf, n, len);
	return n;
}

/*
 * The library cancels its threads where they receive.  Not in here: all of
 * them see the connection end, and leave by themselves with their stacks and
 * locks in order.
 */
static ssize_t hook_read(int fd, void *buf, size_t len, void *userdata)
{
	ssize_t n;
	int old;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
	n = read_request(userdata, fd, buf, len);
	pthread_setcancelstate(old, NULL);
	return n;
}

void owfs_session_will_wait(fuse_req_t req)
{
	owfs_turn_pass(&owfs_session_of(req)->turn, my_facts->seat);
}

/* ------------------------------------------------------------- the way out */

static void patch_init(struct owfs_session *s, struct init_out *out)
{
	uint64_t add = s->want & s->offered;

	if (add >> 32) {
		out->flags |= INIT_EXT;
		out->flags2 |= add >> 32;
	}
	out->flags |= (uint32_t)add;
	/* a lower version would make the kernel ignore what iomap needs */
	if (add & OWFS_FUSE_IOMAP)
		out->minor = s->minor;
	if (out->max_readahead < OWFS_SESSION_READAHEAD)
		out->max_readahead = OWFS_SESSION_READAHEAD;
}

static void patch_answer(struct facts *f, const struct out_header *h,
			 const struct iovec *iov, int count)
{
	if (!h->error && count > 1 &&
	    iov[1].iov_len >= f->patch_at + sizeof(f->patch))
		memcpy((char *)iov[1].iov_base + f->patch_at, &f->patch,
		       sizeof(f->patch));
	f->patch = 0;
}

static ssize_t hook_writev(int fd, struct iovec *iov, int count,
			   void *userdata)
{
	struct owfs_session *s = userdata;
	const struct out_header *h = iov[0].iov_base;

	/* INIT is the first request and alone: no other thread looks here yet */
	if (__builtin_expect(s->init_unique != 0, 0) &&
	    h->unique == s->init_unique) {
		if (!h->error && count > 1 &&
		    iov[1].iov_len >= sizeof(struct init_out))
			patch_init(s, iov[1].iov_base);
		s->init_unique = 0;
	}
	if (my_facts && __builtin_expect(my_facts->patch != 0, 0))
		patch_answer(my_facts, h, iov, count);
	return writev(fd, iov, count);
}

/* -------------------------------------------------------------- the session */

int owfs_session_open(struct owfs_session *s, struct fuse_args *args,
		      const struct fuse_lowlevel_ops *llops, size_t size,
		      int fd)
{
	static const struct fuse_custom_io io = {
		.read = hook_read,
		.writev = hook_writev,
	};
	int ret;

	/* requests that go through a ring would pass the hooks by */
	unsetenv("FUSE_URING_ENABLE");
	s->se = fuse_session_new(args, llops, size, s);
	if (!s->se)
		return -EINVAL;
	ret = fuse_session_custom_io(s->se, &io, fd);
	if (ret) {
		fuse_session_destroy(s->se);
		s->se = NULL;
	}
	return ret;
}

void owfs_session_conn(struct owfs_session *s, struct fuse_conn_info *conn)
{
	/*
	 * Without OPEN an O_TRUNC must come as SETATTR.  Cached pages are never
	 * stale, whatever mtime says, since nobody else changes files.
	 * With access control lists the kernel checks by them, keeps them as it
	 * keeps attributes, and leaves to us what they do to the mode, and the
	 * umask, which is not for directories with a default list.
	 */
	conn->want &= ~(FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_AUTO_INVAL_DATA);
	conn->want |= conn->capable &
		(FUSE_CAP_ASYNC_DIO | FUSE_CAP_READDIRPLUS |
		 FUSE_CAP_READDIRPLUS_AUTO | FUSE_CAP_CACHE_SYMLINKS |
		 FUSE_CAP_EXPORT_SUPPORT | FUSE_CAP_NO_OPEN_SUPPORT |
		 FUSE_CAP_NO_OPENDIR_SUPPORT);
	/* read-ahead and asynchronous direct I/O of several files at once */
	conn->max_background = 64;
	conn->congestion_threshold = 48;
	s->want = OWFS_FUSE_PARALLEL_DIROPS | OWFS_FUSE_KILLPRIV_V2 |
		  OWFS_FUSE_POSIX_ACL | OWFS_FUSE_DONT_MASK |
		  OWFS_FUSE_SETXATTR_EXT;
}

int owfs_session_loop(struct owfs_session *s, unsigned int threads,
		      unsigned int spin_us)
{
	struct fuse_loop_config *cfg = fuse_loop_cfg_create();
	int ret;

	if (!cfg)
		return -ENOMEM;
	fuse_loop_cfg_set_max_threads(cfg, threads);
	owfs_spin_init(&s->spin, spin_us);
	ret = owfs_turn_open(&s->turn);
	if (!ret) {
		ret = fuse_session_loop_mt(s->se, cfg);
		owfs_turn_close(&s->turn);
	}
	fuse_loop_cfg_destroy(cfg);
	return ret > 0 ? -EINTR : ret;
}

void owfs_session_close(struct owfs_session *s)
{
	if (s->se)
		fuse_session_destroy(s->se);
	s->se = NULL;
}
