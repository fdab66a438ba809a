/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The RAM device: operations, faults, recorder and crash states.  The content
 * itself, a copy-on-write tree of chunks, is in emubd_image.c.
 *
 * One mutex a device: operations copy at most a few hundred kilobytes under
 * it, and so each is atomic, which makes the log an order that has happened.
 */
#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/util.h"
#include "emubd.h"
#include "emubd_image.h"

struct fault {
	uint64_t skip, count;
	uint64_t pos, len;
	int err;
};

struct emubd {
	struct owfs_blkdev bd;
	pthread_mutex_t lock;
	struct emubd_image img;
	struct fault fault[EMUBD_KINDS];
	uint64_t ops[EMUBD_KINDS];
	bool recording;
	struct emubd_event **log;
	size_t nlog, log_room;
	bool noisy;			/* discards leave noise */
};

static struct emubd *emubd_of(struct owfs_blkdev *bd)
{
	return container_of(bd, struct emubd, bd);
}

/* ------------------------------------------------------------------ log */

static void event_free(struct emubd_event *ev)
{
	emubd_chunks_put(ev->chunk, emubd_chunks_of(ev->pos, ev->len));
	free(ev->chunk);
	free(ev);
}

static void log_clear(struct emubd *e)
{
	for (size_t i = 0; i < e->nlog; i++)
		event_free(e->log[i]);
	free(e->log);
	e->log = NULL;
	e->nlog = e->log_room = 0;
}

static struct emubd_event *log_add(struct emubd *e, enum emubd_kind kind,
				   uint64_t pos, uint64_t len)
{
	struct emubd_event *ev;

	if (!e->recording)
		return NULL;
	if (e->nlog == e->log_room) {
		e->log_room = e->log_room ? 2 * e->log_room : 64;
		e->log = emubd_must(realloc(e->log, e->log_room *
					    sizeof(*e->log)));
	}
	ev = emubd_must(calloc(1, sizeof(*ev)));
	ev->kind = kind;
	ev->pos = pos;
	ev->len = len;
	e->log[e->nlog++] = ev;
	return ev;
}

void emubd_record(struct emubd *e, bool on)
{
	pthread_mutex_lock(&e->lock);
	if (on)
		log_clear(e);
	e->recording = on;
	pthread_mutex_unlock(&e->lock);
}

void emubd_mark(struct emubd *e, uint64_t user)
{
	struct emubd_event *ev;

	pthread_mutex_lock(&e->lock);
	ev = log_add(e, EMUBD_MARK, 0, 0);
	if (ev)
		ev->user = user;
	pthread_mutex_unlock(&e->lock);
}

size_t emubd_log_len(struct emubd *e)
{
	size_t n;

	pthread_mutex_lock(&e->lock);
	n = e->nlog;
	pthread_mutex_unlock(&e->lock);
	return n;
}

const struct emubd_event *emubd_log_at(struct emubd *e, size_t i)
{
	const struct emubd_event *ev;

	pthread_mutex_lock(&e->lock);
	assert(i < e->nlog);
	ev = e->log[i];
	pthread_mutex_unlock(&e->lock);
	return ev;
}

void emubd_event_data(const struct emubd_event *ev, uint64_t off, void *buf,
		      size_t len)
{
	assert(ev->kind == EMUBD_WRITE && off + len <= ev->len);
	emubd_chunks_copy(ev->chunk, ev->pos, off, buf, len);
}

/* --------------------------------------------------------------- faults */

static bool in_range(const struct fault *f, uint64_t pos, uint64_t len)
{
	return !f->len || (pos < f->pos + f->len && f->pos < pos + len);
}

/* Count the operation; negative if it is to fail. */
static int take_fault(struct emubd *e, enum emubd_kind kind, uint64_t pos,
		      uint64_t len)
{
	struct fault *f = &e->fault[kind];

	e->ops[kind]++;
	if (!f->count || !in_range(f, pos, len))
		return 0;
	if (f->skip) {
		f->skip--;
		return 0;
	}
	if (f->count != EMUBD_FOREVER)
		f->count--;
	return -f->err;
}

static void set_fault(struct emubd *e, enum emubd_kind kind,
		      const struct fault *f)
{
	assert(kind < EMUBD_KINDS);
	pthread_mutex_lock(&e->lock);
	e->fault[kind] = *f;
	pthread_mutex_unlock(&e->lock);
}

void emubd_fault(struct emubd *e, enum emubd_kind kind, uint64_t nth,
		 uint64_t count, int err)
{
	assert(nth > 0);
	set_fault(e, kind, &(struct fault){
		.skip = nth - 1, .count = count, .err = err });
}

void emubd_fault_range(struct emubd *e, enum emubd_kind kind, uint64_t pos,
		       uint64_t len, int err)
{
	set_fault(e, kind, &(struct fault){
		.count = EMUBD_FOREVER, .pos = pos, .len = len, .err = err });
}

uint64_t emubd_count(struct emubd *e, enum emubd_kind kind)
{
	uint64_t n;

	assert(kind < EMUBD_KINDS);
	pthread_mutex_lock(&e->lock);
	n = e->ops[kind];
	pthread_mutex_unlock(&e->lock);
	return n;
}

/* ----------------------------------------------------------- operations */

static int ram_read(struct owfs_blkdev *bd, void *buf, size_t len, loff_t pos)
{
	struct emubd *e = emubd_of(bd);
	int ret;

	pthread_mutex_lock(&e->lock);
	ret = take_fault(e, EMUBD_READ, (uint64_t)pos, len);
	if (!ret)
		emubd_image_read(&e->img, buf, len, (uint64_t)pos);
	pthread_mutex_unlock(&e->lock);
	return ret;
}

/* Called with the lock held: the event's chunks become the image's. */
static void write_recorded(struct emubd *e, const struct iovec *iov, int iovcnt,
			   uint64_t len, uint64_t pos)
{
	struct emubd_event *ev = log_add(e, EMUBD_WRITE, pos, len);

	ev->chunk = emubd_chunks_gather(iov, iovcnt, pos, len);
	emubd_image_write_chunks(&e->img, ev->chunk, pos, len);
}

static void write_plain(struct emubd *e, const struct iovec *iov, int iovcnt,
			uint64_t pos)
{
	for (int i = 0; i < iovcnt; i++) {
		emubd_image_write(&e->img, iov[i].iov_base, iov[i].iov_len,
				  pos);
		pos += iov[i].iov_len;
	}
}

static int ram_writev(struct owfs_blkdev *bd, const struct iovec *iov,
		      int iovcnt, size_t len, loff_t pos)
{
	struct emubd *e = emubd_of(bd);
	int ret;

	pthread_mutex_lock(&e->lock);
	ret = take_fault(e, EMUBD_WRITE, (uint64_t)pos, len);
	if (!ret && e->recording)
		write_recorded(e, iov, iovcnt, len, (uint64_t)pos);
	else if (!ret)
		write_plain(e, iov, iovcnt, (uint64_t)pos);
	pthread_mutex_unlock(&e->lock);
	return ret;
}

static int ram_flush(struct owfs_blkdev *bd)
{
	struct emubd *e = emubd_of(bd);
	int ret;

	pthread_mutex_lock(&e->lock);
	ret = take_fault(e, EMUBD_FLUSH, 0, bd->size);
	if (!ret)
		log_add(e, EMUBD_FLUSH, 0, 0);
	pthread_mutex_unlock(&e->lock);
	return ret;
}

static void write_noise(struct emubd *e, uint64_t pos, uint64_t len)
{
	unsigned char noise[4096];
	uint64_t n;

	emubd_noise(noise, sizeof(noise), pos);
	for (; len; pos += n, len -= n) {
		n = len < sizeof(noise) ? len : sizeof(noise);
		emubd_image_write(&e->img, noise, n, pos);
	}
}

static int ram_discard(struct owfs_blkdev *bd, loff_t pos, uint64_t len)
{
	struct emubd *e = emubd_of(bd);
	int ret;

	pthread_mutex_lock(&e->lock);
	ret = take_fault(e, EMUBD_DISCARD, (uint64_t)pos, len);
	if (!ret) {
		emubd_image_zero(&e->img, (uint64_t)pos, len);
		if (e->noisy)
			write_noise(e, (uint64_t)pos, len);
		log_add(e, EMUBD_DISCARD, (uint64_t)pos, len);
	}
	pthread_mutex_unlock(&e->lock);
	return ret;
}

/* A filesystem that was unmounted leaves its device to the test. */
static void ram_close(struct owfs_blkdev *bd)
{
	(void)bd;
}

static const struct owfs_blkdev_ops ram_ops = {
	.read = ram_read,
	.writev = ram_writev,
	.flush = ram_flush,
	.discard = ram_discard,
	.close = ram_close,
};

struct emubd *emubd_create(uint64_t size)
{
	struct emubd *e = emubd_must(calloc(1, sizeof(*e)));

	assert(size % EMUBD_SECTOR == 0);
	pthread_mutex_init(&e->lock, NULL);
	e->bd.ops = &ram_ops;
	e->bd.size = size;
	e->bd.sector = EMUBD_SECTOR;
	emubd_image_init(&e->img, size);
	return e;
}

struct emubd *emubd_fork(struct emubd *e)
{
	struct emubd *copy = emubd_create(e->bd.size);

	pthread_mutex_lock(&e->lock);
	emubd_image_share(&copy->img, &e->img);
	pthread_mutex_unlock(&e->lock);
	return copy;
}

void emubd_destroy(struct emubd *e)
{
	if (!e)
		return;
	log_clear(e);
	emubd_image_free(&e->img);
	pthread_mutex_destroy(&e->lock);
	free(e);
}

struct owfs_blkdev *emubd_blkdev(struct emubd *e)
{
	return &e->bd;
}

/* -------------------------------------------------------------- content */

static void assert_inside(const struct emubd *e, uint64_t pos, uint64_t len)
{
	assert(pos <= e->bd.size && len <= e->bd.size - pos);
	(void)e, (void)pos, (void)len;
}

void emubd_peek(struct emubd *e, void *buf, size_t len, uint64_t pos)
{
	assert_inside(e, pos, len);
	pthread_mutex_lock(&e->lock);
	emubd_image_read(&e->img, buf, len, pos);
	pthread_mutex_unlock(&e->lock);
}

void emubd_poke(struct emubd *e, const void *buf, size_t len, uint64_t pos)
{
	assert_inside(e, pos, len);
	pthread_mutex_lock(&e->lock);
	emubd_image_write(&e->img, buf, len, pos);
	pthread_mutex_unlock(&e->lock);
}

void emubd_flip_bit(struct emubd *e, uint64_t pos, unsigned int bit)
{
	unsigned char byte;

	emubd_peek(e, &byte, 1, pos);
	byte ^= (unsigned char)(1u << bit % 8);
	emubd_poke(e, &byte, 1, pos);
}

void emubd_garbage(struct emubd *e, uint64_t pos, size_t len, uint64_t seed)
{
	unsigned char *buf = emubd_must(malloc(len ? len : 1));

	emubd_noise(buf, len, seed);
	emubd_poke(e, buf, len, pos);
	free(buf);
}

uint64_t emubd_hash(struct emubd *e)
{
	uint64_t h;

	pthread_mutex_lock(&e->lock);
	h = emubd_image_hash(&e->img);
	pthread_mutex_unlock(&e->lock);
	return h;
}

size_t emubd_chunks(struct emubd *e)
{
	size_t n;

	pthread_mutex_lock(&e->lock);
	n = emubd_image_chunks(&e->img);
	pthread_mutex_unlock(&e->lock);
	return n;
}

bool emubd_equal(struct emubd *a, struct emubd *b)
{
	return a->bd.size == b->bd.size && emubd_hash(a) == emubd_hash(b);
}

void emubd_discard_noise(struct emubd *e)
{
	pthread_mutex_lock(&e->lock);
	e->noisy = true;
	pthread_mutex_unlock(&e->lock);
}

/* ---------------------------------------------------------------- crash */

static bool changes_content(const struct emubd_event *ev)
{
	return ev->kind == EMUBD_WRITE || ev->kind == EMUBD_DISCARD;
}

/* Index of the first event that no flush before @cut covers. */
static size_t window_start(const struct emubd *log, size_t cut)
{
	assert(cut <= log->nlog);
	while (cut && log->log[cut - 1]->kind != EMUBD_FLUSH)
		cut--;
	return cut;
}

static size_t window_len(const struct emubd *log, size_t start, size_t cut)
{
	size_t n = 0;

	for (size_t i = start; i < cut; i++)
		n += changes_content(log->log[i]);
	return n;
}

size_t emubd_crash_window(struct emubd *log, size_t cut)
{
	size_t n;

	pthread_mutex_lock(&log->lock);
	n = window_len(log, window_start(log, cut), cut);
	pthread_mutex_unlock(&log->lock);
	return n;
}

/* The whole event happened; @seed 0: discarded is zero. */
static void apply(struct emubd_image *img, const struct emubd_event *ev,
		  uint64_t seed)
{
	if (ev->kind == EMUBD_WRITE)
		emubd_image_write_chunks(img, ev->chunk, ev->pos, ev->len);
	else if (ev->kind == EMUBD_DISCARD && seed && (emubd_mix(seed) & 1))
		emubd_image_noise(img, ev->pos, ev->len, seed);
	else if (ev->kind == EMUBD_DISCARD)
		emubd_image_zero(img, ev->pos, ev->len);
}

/* Each sector by itself arrived or did not. */
static void apply_torn(struct emubd_image *img, const struct emubd_event *ev,
		       uint64_t seed)
{
	unsigned char sector[EMUBD_SECTOR];
	uint64_t bits = 0;

	for (uint64_t off = 0, n = 0; off < ev->len; off += EMUBD_SECTOR, n++) {
		if (n % 64 == 0)
			bits = emubd_mix(seed + n);
		if (bits >> n % 64 & 1) {
			emubd_event_data(ev, off, sector, EMUBD_SECTOR);
			emubd_image_write(img, sector, EMUBD_SECTOR,
					  ev->pos + off);
		}
	}
}

/* The first half and some bytes: less than sectors promise. */
static void apply_half(struct emubd_image *img, const struct emubd_event *ev)
{
	const uint64_t len = ev->len / 2 + 100;
	unsigned char *buf;

	if (ev->kind != EMUBD_WRITE)
		return;
	buf = emubd_must(malloc(len));
	emubd_event_data(ev, 0, buf, len);
	emubd_image_write(img, buf, len, ev->pos);
	free(buf);
}

/*
 * How much of the window arrives, out of 16, depends on the seed, so that
 * nearly all and nearly nothing are tried as well as half; and so does whether
 * anything is out of order or torn.
 */
static void apply_seeded(struct emubd_image *img, struct emubd_event **win,
			 size_t n, uint64_t seed)
{
	static const unsigned char shares[4] = { 1, 8, 15, 16 };
	const uint64_t style = emubd_mix(seed);
	const unsigned int share = shares[style & 3];
	const bool reorder = style & 4, tear = style & 8;

	for (size_t i = n; reorder && i > 1; i--) {
		size_t j = emubd_mix(seed ^ i << 32) % i;
		struct emubd_event *ev = win[j];

		win[j] = win[i - 1];
		win[i - 1] = ev;
	}
	for (size_t i = 0; i < n; i++) {
		uint64_t dice = emubd_mix(style + i);

		if (dice % 16 >= share)
			continue;
		if (tear && win[i]->kind == EMUBD_WRITE && (dice >> 8) % 4 == 0)
			apply_torn(img, win[i], dice);
		else
			apply(img, win[i], dice | 1);
	}
}

static bool arrives(enum emubd_crash_mode mode, size_t i, uint64_t seed)
{
	switch (mode) {
	case EMUBD_CRASH_PREFIX:
	case EMUBD_CRASH_TEAR_ONE:
		return true;
	case EMUBD_CRASH_DROP_ONE:
		return i != seed;
	case EMUBD_CRASH_KEEP_ONE:
		return i == seed;
	case EMUBD_CRASH_SUBSET:
		return i < 64 && seed >> i & 1;
	default:
		return false;
	}
}

static void apply_window(struct emubd_image *img, struct emubd_event **win,
			 size_t n, enum emubd_crash_mode mode, uint64_t seed)
{
	if (mode == EMUBD_CRASH_SEEDED) {
		apply_seeded(img, win, n, seed);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		if (mode == EMUBD_CRASH_TEAR_ONE && i == seed)
			apply_half(img, win[i]);
		else if (arrives(mode, i, seed))
			apply(img, win[i], 0);
	}
}

/* The window's writes and discards, in order. */
static struct emubd_event **window_events(const struct emubd *log, size_t start,
					  size_t cut, size_t *np)
{
	struct emubd_event **win;

	*np = 0;
	win = emubd_must(calloc(cut - start + 1, sizeof(*win)));
	for (size_t i = start; i < cut; i++)
		if (changes_content(log->log[i]))
			win[(*np)++] = log->log[i];
	return win;
}

struct emubd *emubd_crash(struct emubd *base, struct emubd *log, size_t cut,
			  enum emubd_crash_mode mode, uint64_t seed)
{
	struct emubd *e = emubd_fork(base);
	const bool seeded = mode == EMUBD_CRASH_SEEDED;
	struct emubd_event **win;
	size_t start, n;

	pthread_mutex_lock(&log->lock);
	start = window_start(log, cut);
	for (size_t i = 0; i < start; i++)
		apply(&e->img, log->log[i],
		      seeded ? emubd_mix(seed + i) | 1 : 0);
	win = window_events(log, start, cut, &n);
	apply_window(&e->img, win, n, mode, seed);
	pthread_mutex_unlock(&log->lock);
	free(win);
	return e;
}
