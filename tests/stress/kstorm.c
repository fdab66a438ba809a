/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests, answers and what the server says unasked; see kstorm.h. */
#include "kstorm.h"

#include <fcntl.h>
#include <linux/fuse.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuse/server.h"

/* Slower than this is no machine; a begin that nobody wakes up waits for ever. */
#define ANSWER_SECS	60

/* One after the other, of those that stop the threads. */
#define STOP		(1ull << 62)
#define SLOTS		256u

enum { OP_CODE_IOEND = 4093, OP_CODE_BEGIN, OP_CODE_END };

static struct kstorm *current;		/* whose notifications these are */

/* ------------------------------------------------------------------ server */

static void *serve(void *arg)
{
	struct kstorm *ks = arg;
	struct fuse_session *se = ks->k->srv.session.se;
	struct fuse_buf buf = { .mem = NULL };
	struct fuse_in_header h;

	for (;;) {
		MUST(fuse_session_receive_buf(se, &buf) > 0);
		memcpy(&h, buf.mem, sizeof(h));
		if (h.unique == STOP)
			break;
		fuse_session_process_buf(se, &buf);
	}
	free(buf.mem);
	return NULL;
}

static void send_request(struct kstorm *ks, struct fuse_in_header *h,
			 const void *in, size_t in_len)
{
	struct iovec iov[2] = {
		{ h, sizeof(*h) }, { (void *)(uintptr_t)in, in_len },
	};

	h->len = (uint32_t)(sizeof(*h) + in_len);
	MUST(writev(ks->k->sock[0], iov, 2) == (ssize_t)h->len);
}

/* ----------------------------------------------------------------- answers */

static void take_answer(struct kstorm *ks, const struct fuse_out_header *h,
			const void *body, size_t len)
{
	struct kcaller *c;

	pthread_mutex_lock(&ks->table);
	c = ks->caller[h->unique / 2 % SLOTS];
	if (!c || c->unique != h->unique)
		stress_die("request %llu is answered, and nobody waits for it",
			   (unsigned long long)h->unique);
	if (h->error > 0 || h->error <= -512)
		stress_die("error %d", h->error);
	c->unique = 0;
	c->error = h->error;
	c->len = len;
	if (c->room)
		memcpy(c->out, body, min_u64(len, c->room));
	sem_post(&c->answered);
	pthread_mutex_unlock(&ks->table);
}

static void *read_answers(void *arg)
{
	struct kstorm *ks = arg;
	struct { struct fuse_out_header h; char body[4096]; } msg;
	ssize_t n;

	for (;;) {
		n = recv(ks->k->sock[0], &msg, sizeof(msg), 0);
		MUST(n >= (ssize_t)sizeof(msg.h) && msg.h.len == (size_t)n);
		if (msg.h.unique == STOP + 2)
			return NULL;
		/* attributes are stale, says it otherwise: nobody keeps them */
		if (msg.h.unique)
			take_answer(ks, &msg.h, msg.body,
				    (size_t)n - sizeof(msg.h));
	}
}

static void wait_answer(struct kcaller *c, uint32_t opcode, fuse_ino_t nodeid,
			const void *in)
{
	const uint64_t *words = in;
	struct timespec until;
	int ret;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += ANSWER_SECS;
	do {
		ret = sem_timedwait(&c->answered, &until);
	} while (ret && errno == EINTR);
	if (ret && opcode == OP_CODE_BEGIN)
		stress_die("inode %llu: begin %llx at %llu is never answered",
			   (unsigned long long)nodeid,
			   (unsigned long long)words[0],
			   (unsigned long long)words[2]);
	if (ret)
		stress_die("inode %llu: request %u is never answered",
			   (unsigned long long)nodeid, opcode);
}

int kcall(struct kcaller *c, uint32_t opcode, fuse_ino_t nodeid, const void *in,
	  size_t in_len, void *out, size_t room, size_t *len)
{
	struct kstorm *ks = c->ks;
	struct fuse_in_header h = {
		.opcode = opcode, .nodeid = nodeid,
		.unique = (++c->n * SLOTS + c->slot) * 2,
	};

	pthread_mutex_lock(&ks->table);
	c->unique = opcode == FUSE_FORGET ? 0 : h.unique;
	c->out = out;
	c->room = room;
	pthread_mutex_unlock(&ks->table);
	send_request(ks, &h, in, in_len);
	if (opcode == FUSE_FORGET)
		return 0;
	wait_answer(c, opcode, nodeid, in);
	if (len)
		*len = c->len;
	return c->error;
}

/* ------------------------------------------------------------ notifications */

static int notified(int fd, const void *msg, size_t len)
{
	struct {
		uint32_t len;
		int32_t code;
		uint64_t unique, nodeid, ino;
	} h;
	struct fuse_file_iomap map[2];
	struct fuse_file_range range[2];
	struct kstorm *ks = current;
	int ret = -EINVAL;

	(void)fd;
	memcpy(&h, msg, sizeof(h));
	MUST(h.len == len && !h.unique);
	pthread_mutex_lock(&ks->table);
	if (h.code == 100 && len == sizeof(h) + sizeof(map)) {
		memcpy(map, (const char *)msg + sizeof(h), sizeof(map));
		ret = kmodel_upsert(ks->k, h.nodeid, h.ino, &map[0], &map[1]);
	} else if (h.code == 101 && len == sizeof(h) + sizeof(range)) {
		memcpy(range, (const char *)msg + sizeof(h), sizeof(range));
		ret = kmodel_inval(ks->k, h.nodeid, &range[0], &range[1]);
	}
	if (ks->k->violations)
		stress_die("%s", ks->k->why);
	pthread_mutex_unlock(&ks->table);
	return ret;
}

/* --------------------------------------------------------- begin, end, ioend */

static bool look_in_cache(struct kino *i, uint32_t opflags, uint64_t pos,
			  uint64_t count, struct fuse_file_iomap *rd,
			  struct fuse_file_iomap *wr, uint64_t *seq)
{
	struct kmodel *k = i->ks->k;
	bool found;

	pthread_mutex_lock(&i->ks->table);
	found = kmodel_cache_find(k, i->f, opflags, pos, count, rd, wr);
	*seq = found ? i->f->seq + 1 : 0;
	if (k->violations)
		stress_die("%s", k->why);
	pthread_mutex_unlock(&i->ks->table);
	return found;
}

bool kstale(struct kino *i, uint64_t seq)
{
	bool stale;

	pthread_mutex_lock(&i->ks->table);
	stale = seq && seq != i->f->seq + 1;
	pthread_mutex_unlock(&i->ks->table);
	return stale;
}

static void check(struct kino *i, uint32_t opflags, uint64_t pos,
		  const struct fuse_file_iomap *rd,
		  const struct fuse_file_iomap *wr)
{
	struct kmodel *k = i->ks->k;
	struct fuse_file_iomap hole = *rd;

	pthread_mutex_lock(&i->ks->table);
	if (rd->type == FUSE_IOMAP_TYPE_RETRY_CACHE) {
		MUST(i->f->has_cache);
		hole.type = FUSE_IOMAP_TYPE_HOLE;
	}
	kmodel_check(k, opflags, pos, "read", &hole);
	kmodel_check(k, opflags, pos, "write", wr);
	if (k->violations)
		stress_die("%s", k->why);
	pthread_mutex_unlock(&i->ks->table);
}

/* The cache first, then the server, who may say that the cache has it now. */
int kbegin(struct kcaller *c, struct kino *i, uint32_t opflags, uint64_t pos,
	   uint64_t count, struct fuse_file_iomap *rd,
	   struct fuse_file_iomap *wr, uint64_t *seq)
{
	const struct { uint32_t opflags, zero; uint64_t ino, pos, count; } in = {
		opflags, 0, i->f->nodeid, pos, count,
	};
	struct { struct fuse_file_iomap rd, wr; } out;
	size_t len = 0;
	int ret;

	while (!look_in_cache(i, opflags, pos, count, rd, wr, seq)) {
		ret = kcall(c, OP_CODE_BEGIN, i->f->nodeid, &in, sizeof(in),
			    &out, sizeof(out), &len);
		if (ret)
			return ret;
		MUST(len == sizeof(out));
		check(i, opflags, pos, &out.rd, &out.wr);
		*rd = out.rd;
		*wr = out.wr;
		if (rd->type != FUSE_IOMAP_TYPE_RETRY_CACHE)
			break;
	}
	return 0;
}

void kend(struct kcaller *c, struct kino *i, uint32_t opflags, uint64_t pos,
	  uint64_t count, uint64_t written, const struct fuse_file_iomap *map,
	  bool size_changed)
{
	struct {
		uint32_t opflags, zero;
		uint64_t ino, pos, count;
		int64_t written;
		struct fuse_file_iomap map;
	} in = {
		opflags, 0, i->f->nodeid, pos, count, (int64_t)written, *map,
	};

	if (!size_changed && written >= count)
		return;
	if (size_changed)
		in.map.flags |= FUSE_IOMAP_F_SIZE_CHANGED;
	stress_ok(kcall(c, OP_CODE_END, i->f->nodeid, &in, sizeof(in), NULL, 0,
			NULL), "end");
}

int kioend(struct kcaller *c, struct kino *i, uint32_t flags, uint64_t pos,
	   uint64_t written, uint64_t addr)
{
	const struct {
		uint32_t flags;
		int32_t error;
		uint64_t ino, pos, new_addr, written;
		uint32_t dev, zero;
	} in = {
		flags, 0, i->f->nodeid, pos,
		addr == FUSE_IOMAP_NULL_ADDR ? addr : addr / KM_SECTOR, written,
		addr == FUSE_IOMAP_NULL_ADDR ? 0 : i->ks->k->dev, 0,
	};
	uint64_t newsize = 0;
	size_t len = 0;
	int ret = kcall(c, OP_CODE_IOEND, i->f->nodeid, &in, sizeof(in), &newsize,
			sizeof(newsize), &len);

	if (ret)
		return ret;
	MUST(len == sizeof(newsize));
	pthread_mutex_lock(&i->ks->table);
	if (written)
		kmodel_cache_drop(i->ks->k, i->f, pos, pos + written);
	pthread_mutex_unlock(&i->ks->table);
	return 0;
}

/* ------------------------------------------------------------------- inodes */

static struct kfile *file_new(const char *name, fuse_ino_t nodeid)
{
	struct kfile *f = emubd_must(calloc(1, sizeof(*f)));

	snprintf(f->name, sizeof(f->name), "%s", name);
	f->nodeid = nodeid;
	/* neither grows from now on */
	km_page(f, KBLOCKS);
	km_want_resize(f, KBYTES);
	km_want_resize(f, 0);
	return f;
}

static void ino_init(struct kino *i)
{
	unsigned int b;

	pthread_rwlock_init(&i->k_rw, NULL);
	pthread_rwlock_init(&i->k_map, NULL);
	pthread_mutex_init(&i->k_lock, NULL);
	pthread_cond_init(&i->landed, NULL);
	for (b = 0; b < KBLOCKS; b++) {
		pthread_mutex_init(&i->page[b].lock, NULL);
		pthread_cond_init(&i->page[b].written, NULL);
	}
}

struct kino *kino_create(struct kcaller *c, const char *name, bool exact)
{
	struct { struct fuse_create_in in; char name[32]; } in = {
		.in = { .flags = O_RDWR, .mode = S_IFREG | 0644 },
	};
	struct { struct fuse_entry_out e; struct fuse_open_out o; } out;
	struct kino *i = emubd_must(calloc(1, sizeof(*i)));
	size_t len = 0;

	snprintf(in.name, sizeof(in.name), "%s", name);
	stress_ok(kcall(c, FUSE_CREATE, FUSE_ROOT_ID, &in,
			sizeof(in.in) + strlen(name) + 1, &out, sizeof(out),
			&len), "create");
	MUST(len == sizeof(out) && !out.e.attr.size);
	*i = (struct kino){
		.ks = c->ks, .f = file_new(name, out.e.nodeid), .exact = exact,
		.refs = 1,
	};
	ino_init(i);
	pthread_mutex_lock(&c->ks->table);
	i->f->next = c->ks->k->files;
	c->ks->k->files = i->f;
	pthread_mutex_unlock(&c->ks->table);
	return i;
}

void kino_unlink(struct kcaller *c, struct kino *i)
{
	stress_ok(kcall(c, FUSE_UNLINK, FUSE_ROOT_ID, i->f->name,
			strlen(i->f->name) + 1, NULL, 0, NULL), "unlink");
}

struct kino *kino_get(struct kino *i)
{
	pthread_mutex_lock(&i->ks->table);
	i->refs++;
	pthread_mutex_unlock(&i->ks->table);
	return i;
}

static bool is_last(struct kino *i)
{
	struct kfile **p;
	bool last;

	pthread_mutex_lock(&i->ks->table);
	last = --i->refs == 0;
	for (p = &i->ks->k->files; last && *p; p = &(*p)->next)
		if (*p == i->f) {
			*p = i->f->next;
			break;
		}
	pthread_mutex_unlock(&i->ks->table);
	return last;
}

static void ino_free(struct kino *i)
{
	unsigned int b;

	for (b = 0; b < KBLOCKS; b++) {
		pthread_mutex_destroy(&i->page[b].lock);
		pthread_cond_destroy(&i->page[b].written);
	}
	for (b = 0; b < i->f->npages; b++)
		free(i->f->page[b].data);
	kmodel_cache_free(i->f);
	free(i->f->page);
	free(i->f->want);
	free(i->f);
	free(i);
}

void kino_put(struct kcaller *c, struct kino *i)
{
	const struct { uint64_t nlookup; } in = { 1 };

	if (!is_last(i))
		return;
	kcall(c, FUSE_FORGET, i->f->nodeid, &in, sizeof(in), NULL, 0, NULL);
	ino_free(i);
}

/* -------------------------------------------------------------- completions */

void kstorm_done(struct kcaller *c, const struct kdone *what)
{
	struct kstorm *ks = c->ks;
	struct kdone *d = emubd_must(malloc(sizeof(*d)));

	*d = *what;
	pthread_mutex_lock(&ks->q_lock);
	d->next = ks->queue;
	ks->queue = d;
	ks->queued++;
	pthread_cond_signal(&ks->q_some);
	pthread_mutex_unlock(&ks->q_lock);
}

/* Any of them, as devices do. */
static struct kdone *take_done(struct kcaller *c)
{
	struct kstorm *ks = c->ks;
	struct kdone **p = &ks->queue, *d = NULL;
	uint64_t n;

	pthread_mutex_lock(&ks->q_lock);
	while (!ks->queued && !ks->over)
		pthread_cond_wait(&ks->q_some, &ks->q_lock);
	if (ks->queued) {
		for (n = rng_below(&c->rng, ks->queued); n; n--)
			p = &(*p)->next;
		d = *p;
		*p = d->next;
		ks->queued--;
	}
	pthread_mutex_unlock(&ks->q_lock);
	return d;
}

static void *complete(void *arg)
{
	struct kcaller *c = arg;
	struct kdone *d;

	while ((d = take_done(c))) {
		kfile_complete(c, d);
		free(d);
	}
	return NULL;
}

/* ---------------------------------------------------------- begin and end */

void kcaller_init(struct kcaller *c, struct kstorm *ks, uint64_t seed)
{
	*c = (struct kcaller){ .ks = ks, .rng = { seed } };
	sem_init(&c->answered, 0, 0);
	pthread_mutex_lock(&ks->table);
	c->slot = ks->ncallers++;
	MUST(c->slot < ARRAY_SIZE(ks->caller));
	ks->caller[c->slot] = c;
	pthread_mutex_unlock(&ks->table);
}

void kstorm_begin(struct kstorm *ks, struct kmodel *k, unsigned int servers,
		  uint64_t seed)
{
	unsigned int i;

	*ks = (struct kstorm){
		.k = k, .nservers = servers, .played = owfs_iomap_sys,
	};
	MUST(servers <= ARRAY_SIZE(ks->server));
	pthread_mutex_init(&ks->table, NULL);
	pthread_mutex_init(&ks->q_lock, NULL);
	pthread_cond_init(&ks->q_some, NULL);
	current = ks;
	owfs_iomap_sys.notify = notified;
	for (i = 0; i < servers; i++)
		MUST(!pthread_create(&ks->server[i], NULL, serve, ks));
	MUST(!pthread_create(&ks->reader, NULL, read_answers, ks));
	for (i = 0; i < ARRAY_SIZE(ks->complete); i++) {
		kcaller_init(&ks->completer[i], ks, seed + i);
		MUST(!pthread_create(&ks->complete[i], NULL, complete,
				     &ks->completer[i]));
	}
}

/* The reader is sent home by an answer, each server by a request. */
static void stop_servers(struct kstorm *ks)
{
	struct fuse_in_header h = {
		.opcode = FUSE_GETATTR, .nodeid = FUSE_ROOT_ID,
		.unique = STOP + 2,
	};
	const struct fuse_getattr_in in = { .fh = 0 };
	unsigned int i;

	send_request(ks, &h, &in, sizeof(in));
	MUST(!pthread_join(ks->reader, NULL));
	h.unique = STOP;
	for (i = 0; i < ks->nservers; i++)
		send_request(ks, &h, &in, sizeof(in));
	for (i = 0; i < ks->nservers; i++)
		MUST(!pthread_join(ks->server[i], NULL));
}

void kstorm_end(struct kstorm *ks)
{
	unsigned int i;

	pthread_mutex_lock(&ks->q_lock);
	ks->over = true;
	pthread_cond_broadcast(&ks->q_some);
	pthread_mutex_unlock(&ks->q_lock);
	for (i = 0; i < ARRAY_SIZE(ks->complete); i++)
		MUST(!pthread_join(ks->complete[i], NULL));
	stop_servers(ks);
	owfs_iomap_sys = ks->played;
}
