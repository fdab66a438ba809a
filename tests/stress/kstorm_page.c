/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The page cache of many threads, as kmodel has it for one (kmodel_page.c and
 * its neighbours), with the locks under which the kernel does each of these; see
 * kstorm.h.  What users expect changes with the pages, under their locks.
 */
#include "kstorm.h"

#include <linux/falloc.h>
#include <linux/fuse.h>

uint64_t kino_size(struct kino *i)
{
	uint64_t size;

	pthread_mutex_lock(&i->k_lock);
	size = i->f->size;
	pthread_mutex_unlock(&i->k_lock);
	return size;
}

static bool grow(struct kino *i, uint64_t end)
{
	bool moved;

	pthread_mutex_lock(&i->k_lock);
	moved = end > i->f->size;
	if (moved)
		i->f->size = end;
	pthread_mutex_unlock(&i->k_lock);
	return moved;
}

static uint64_t block_of(uint64_t pos)
{
	return pos / BLOCK;
}

static uint64_t end_block(uint64_t end)
{
	return min_u64(div_round_up(end, BLOCK), KBLOCKS);
}

static void expect(struct kino *i, uint64_t pos, uint64_t len, const void *data)
{
	if (i->exact)
		memcpy(i->f->want + pos, data, len);
}

/* ------------------------------------------------------------------- pages */

static struct kpage *page_lock(struct kino *i, uint64_t b)
{
	MUST(b < KBLOCKS);
	pthread_mutex_lock(&i->page[b].lock);
	return &i->f->page[b];
}

static void page_unlock(struct kino *i, uint64_t b)
{
	pthread_mutex_unlock(&i->page[b].lock);
}

/* Caller holds its lock, which is let go meanwhile. */
static void page_wait(struct kino *i, uint64_t b)
{
	while (i->f->page[b].writeback)
		pthread_cond_wait(&i->page[b].written, &i->page[b].lock);
}

/* Caller holds the page. */
static void page_fill(struct kino *i, uint64_t b,
		      const struct fuse_file_iomap *src)
{
	const uint64_t size = kino_size(i), pos = b * BLOCK;
	uint64_t valid = size > pos ? min_u64(size - pos, BLOCK) : 0;
	struct kpage *p = &i->f->page[b];

	if (valid)
		stress_ok(km_page_read(i->ks->k, i->f, b, src), "read");
	else
		km_page_fill(i->ks->k, p);
	memset(p->data + valid, 0, BLOCK - valid);
}

static void pages_drop(struct kino *i, uint64_t first, uint64_t end)
{
	struct kpage *p;

	for (; first < end; first++) {
		p = page_lock(i, first);
		page_wait(i, first);
		p->present = p->dirty = false;
		page_unlock(i, first);
	}
}

void kfile_reclaim(struct kcaller *c, struct kino *i)
{
	struct kpage *p;
	uint64_t b;

	for (b = 0; b < KBLOCKS; b++) {
		p = page_lock(i, b);
		if (!p->dirty && !p->writeback && rng_below(&c->rng, 2))
			p->present = false;
		page_unlock(i, b);
	}
}

/* --------------------------------------------------------------- writeback */

static void submit(struct kcaller *c, struct kdone *run)
{
	if (run->len)
		kstorm_done(c, run);
	run->len = 0;
}

/* Page @b has been written to @m: its ioend is that of the page before, or not. */
static void add_to_run(struct kcaller *c, struct kino *i, struct kdone *run,
		       uint64_t b, uint64_t len, const struct fuse_file_iomap *m)
{
	const uint64_t pos = b * BLOCK, addr = m->addr + (pos - m->offset);

	if (run->len && run->pos + run->len == pos &&
	    run->addr + run->len == addr && rng_below(&c->rng, 6)) {
		run->len += len;
		return;
	}
	submit(c, run);
	*run = (struct kdone){
		.ino = kino_get(i), .pos = pos, .len = len, .addr = addr,
		.flags = KM_IOEND_WRITEBACK | KM_IOEND_UNWRITTEN,
	};
}

/* What one pass has been told, and believes for as long as it lasts. */
struct pass {
	struct fuse_file_iomap rd, wr;
	uint64_t seq;
	struct kdone run;
};

/* Caller holds the page, which is dirty. */
static void page_write(struct kcaller *c, struct kino *i, struct pass *ps,
		       uint64_t b)
{
	const uint64_t size = kino_size(i), pos = b * BLOCK;
	const struct fuse_file_iomap *m;
	struct kpage *p = &i->f->page[b];
	uint64_t len;

	p->dirty = false;
	if (pos >= size)
		return;
	len = min_u64(BLOCK, size - pos);
	if (!km_covers(&ps->wr, pos) || kstale(i, ps->seq))
		stress_ok(kbegin(c, i, KM_WRITEBACK, pos, BLOCK, &ps->rd,
				 &ps->wr, &ps->seq), "begin writeback");
	m = km_dest(&ps->rd, &ps->wr);
	MUST(m->type == FUSE_IOMAP_TYPE_UNWRITTEN);
	memset(p->data + len, 0, BLOCK - len);
	p->writeback = true;
	stress_ok(owfs_blkdev_write(i->ks->k->srv.bd, p->data, BLOCK,
				    (loff_t)(m->addr + (pos - m->offset))),
		  "write");
	add_to_run(c, i, &ps->run, b, len, m);
}

void kfile_writeback(struct kcaller *c, struct kino *i, uint64_t first,
		     uint64_t end)
{
	struct pass ps = { .seq = 0 };
	struct kpage *p;

	for (; first < end; first++) {
		p = page_lock(i, first);
		if (p->dirty)
			page_wait(i, first);
		if (p->dirty)
			page_write(c, i, &ps, first);
		page_unlock(i, first);
	}
	submit(c, &ps.run);
}

static void flush(struct kcaller *c, struct kino *i, uint64_t first, uint64_t end)
{
	kfile_writeback(c, i, first, end);
	for (; first < end; first++) {
		page_lock(i, first);
		page_wait(i, first);
		page_unlock(i, first);
	}
}

void kfile_fsync(struct kcaller *c, struct kino *i)
{
	const struct fuse_fsync_in in = { .fsync_flags = 0 };

	flush(c, i, 0, KBLOCKS);
	stress_ok(kcall(c, FUSE_FSYNC, i->f->nodeid, &in, sizeof(in), NULL, 0,
			NULL), "fsync");
}

static void written(struct kino *i, const struct kdone *d)
{
	uint64_t b;

	for (b = block_of(d->pos); b < end_block(d->pos + d->len); b++) {
		page_lock(i, b)->writeback = false;
		pthread_cond_broadcast(&i->page[b].written);
		page_unlock(i, b);
	}
}

/* ------------------------------------------------------------------- zeroing */

static bool needs_writeback(struct kino *i, uint64_t first, uint64_t end)
{
	bool needs = false;
	struct kpage *p;

	for (; first < end && !needs; first++) {
		p = page_lock(i, first);
		needs = p->dirty || p->writeback;
		page_unlock(i, first);
	}
	return needs;
}

/* Store @data (NULL: zeroes) into the pages of one mapping; bytes done. */
static uint64_t store(struct kino *i, uint64_t pos, uint64_t len,
		      const unsigned char *data,
		      const struct fuse_file_iomap *src, uint64_t seq,
		      bool *moved)
{
	uint64_t done, n, b, skip;
	struct kpage *p;

	for (done = 0; done < len; done += n) {
		b = block_of(pos + done);
		skip = (pos + done) % BLOCK;
		n = min_u64(len - done, BLOCK - skip);
		p = page_lock(i, b);
		if (kstale(i, seq)) {
			page_unlock(i, b);
			break;
		}
		if (!p->present)
			page_fill(i, b, src);
		if (data)
			memcpy(p->data + skip, data + done, n);
		else
			memset(p->data + skip, 0, n);
		p->dirty = true;
		if (data) {
			expect(i, pos + done, n, data + done);
			*moved |= grow(i, pos + done + n);
		}
		page_unlock(i, b);
	}
	return done;
}

static void zero_range(struct kcaller *c, struct kino *i, uint64_t pos,
		       uint64_t end)
{
	struct fuse_file_iomap rd, wr;
	const struct fuse_file_iomap *src;
	bool flushed = false, none;
	uint64_t n, done, seq;

	while (pos < end) {
		stress_ok(kbegin(c, i, KM_ZERO, pos, end - pos, &rd, &wr, &seq),
			  "begin of zeroes");
		src = km_source(&rd, &wr);
		done = n = km_min3(end - pos, km_left(&rd, pos),
				   km_left(&wr, pos));
		if (src->type != FUSE_IOMAP_TYPE_HOLE &&
		    src->type != FUSE_IOMAP_TYPE_UNWRITTEN) {
			done = store(i, pos, n, NULL, src, seq, &none);
		} else if (!flushed && needs_writeback(i, block_of(pos),
						       end_block(pos + n))) {
			flush(c, i, block_of(pos), end_block(pos + n));
			flushed = true;
			continue;
		}
		kend(c, i, KM_ZERO, pos, n, done, km_dest(&rd, &wr), false);
		flushed = false;
		pos += done;
	}
}

/* ------------------------------------------------------------------ writing */

/* Caller holds k_rw for writing. */
static int write_locked(struct kcaller *c, struct kino *i, uint64_t pos,
			uint64_t len, const unsigned char *data)
{
	struct fuse_file_iomap rd, wr;
	uint64_t n, some, done, seq, size = kino_size(i);
	bool moved;
	int ret;

	if (pos > size)
		zero_range(c, i, size, pos);
	for (; len; pos += done, data += done, len -= done) {
		ret = kbegin(c, i, KM_WRITE, pos, len, &rd, &wr, &seq);
		if (ret)
			return ret;
		some = n = km_min3(len, km_left(&rd, pos), km_left(&wr, pos));
		/* a page of the user's is not there: whole blocks, or nothing */
		if (rng_below(&c->rng, 16) == 0)
			some = rng_below(&c->rng, n / BLOCK + 1) * BLOCK;
		moved = false;
		done = store(i, pos, min_u64(some, n), data,
			     km_source(&rd, &wr), seq, &moved);
		kend(c, i, KM_WRITE, pos, n, done, km_dest(&rd, &wr), moved);
	}
	return 0;
}

int kfile_write(struct kcaller *c, struct kino *i, uint64_t pos, uint64_t len,
		const void *data)
{
	int ret;

	pthread_rwlock_wrlock(&i->k_rw);
	ret = write_locked(c, i, pos, len, data);
	pthread_rwlock_unlock(&i->k_rw);
	return ret;
}

void kfile_mmap_store(struct kcaller *c, struct kino *i, uint64_t pos,
		      uint64_t len, const void *data)
{
	const uint64_t b = block_of(pos);
	struct fuse_file_iomap rd, wr;
	struct kpage *p;
	uint64_t size, seq;

	pthread_rwlock_rdlock(&i->k_map);
	p = page_lock(i, b);
	size = kino_size(i);
	if (pos + len <= size) {
		if (!p->present) {
			stress_ok(kbegin(c, i, KM_READ, b * BLOCK, BLOCK, &rd,
					 &wr, &seq), "begin of a fault");
			page_fill(i, b, &rd);
		}
		if (!p->dirty)
			stress_ok(kbegin(c, i, KM_FAULT, b * BLOCK,
					 min_u64(BLOCK, size - b * BLOCK), &rd,
					 &wr, &seq), "begin of a write fault");
		memcpy(p->data + pos % BLOCK, data, len);
		p->dirty = true;
		expect(i, pos, len, data);
	}
	page_unlock(i, b);
	pthread_rwlock_unlock(&i->k_map);
}

/* ------------------------------------------------------------------- reading */

static void read_page(struct kcaller *c, struct kino *i, uint64_t b,
		      unsigned char *buf, uint64_t skip, uint64_t n)
{
	struct fuse_file_iomap rd, wr;
	struct kpage *p;
	uint64_t seq;

	pthread_rwlock_rdlock(&i->k_map);
	p = page_lock(i, b);
	if (!p->present) {
		stress_ok(kbegin(c, i, KM_READ, b * BLOCK, BLOCK, &rd, &wr,
				 &seq), "begin of a read");
		page_fill(i, b, &rd);
	}
	memcpy(buf, p->data + skip, n);
	page_unlock(i, b);
	pthread_rwlock_unlock(&i->k_map);
}

static void read_pages(struct kcaller *c, struct kino *i, uint64_t pos,
		       uint64_t len, unsigned char *buf)
{
	uint64_t n;

	for (; len; pos += n, buf += n, len -= n) {
		n = min_u64(len, BLOCK - pos % BLOCK);
		read_page(c, i, block_of(pos), buf, pos % BLOCK, n);
	}
}

/* Whole sectors into a buffer that has room for them.  Caller holds k_rw. */
static void read_device(struct kcaller *c, struct kino *i, uint64_t pos,
			uint64_t len, unsigned char *buf)
{
	const uint64_t end = div_round_up(pos + len, KM_SECTOR) * KM_SECTOR;
	struct fuse_file_iomap rd, wr;
	uint64_t n, seq;

	flush(c, i, block_of(pos), end_block(end));
	for (; pos < end; pos += n, buf += n) {
		stress_ok(kbegin(c, i, KM_DIO_READ, pos, end - pos, &rd, &wr,
				 &seq), "begin of a direct read");
		n = min_u64(end - pos, km_left(&rd, pos));
		MUST(rd.type != FUSE_IOMAP_TYPE_DELALLOC);
		memset(buf, 0, n);
		if (rd.type == FUSE_IOMAP_TYPE_MAPPED)
			stress_ok(owfs_blkdev_read(i->ks->k->srv.bd, buf, n,
					(loff_t)(rd.addr + (pos - rd.offset))),
				  "direct read");
	}
}

uint64_t kfile_read(struct kcaller *c, struct kino *i, uint64_t pos,
		    uint64_t len, unsigned char *buf, bool direct)
{
	uint64_t size;

	if (direct)
		pthread_rwlock_rdlock(&i->k_rw);
	size = kino_size(i);
	len = pos < size ? min_u64(len, size - pos) : 0;
	if (len && direct)
		read_device(c, i, pos, len, buf);
	else if (len)
		read_pages(c, i, pos, len, buf);
	if (direct)
		pthread_rwlock_unlock(&i->k_rw);
	return len;
}

/* ------------------------------------------------------------- direct writes */

static void fly(struct kino *i, uint64_t pos, uint64_t len, int n)
{
	uint64_t b;

	pthread_mutex_lock(&i->k_lock);
	i->flights += (unsigned int)n;
	for (b = block_of(pos); b < end_block(pos + len); b++)
		i->flying[b] += (unsigned int)n;
	pthread_cond_broadcast(&i->landed);
	pthread_mutex_unlock(&i->k_lock);
}

static bool is_flying(const struct kino *i, uint64_t first, uint64_t end)
{
	for (; first < end; first++)
		if (i->flying[first])
			return true;
	return false;
}

void kfile_land(struct kino *i, uint64_t first, uint64_t end)
{
	pthread_mutex_lock(&i->k_lock);
	while (is_flying(i, first, end))
		pthread_cond_wait(&i->landed, &i->k_lock);
	pthread_mutex_unlock(&i->k_lock);
}

/* Before a direct write.  False: a page was stored into meanwhile. */
static bool invalidate(struct kino *i, uint64_t first, uint64_t end)
{
	bool clean = true;
	struct kpage *p;

	for (; first < end; first++) {
		p = page_lock(i, first);
		page_wait(i, first);
		clean &= !p->dirty;
		p->present = p->dirty;
		page_unlock(i, first);
	}
	return clean;
}

/* ... and after it, by who may not wait. */
static void invalidate_after(struct kino *i, uint64_t first, uint64_t end)
{
	struct kpage *p;

	for (; first < end; first++) {
		p = page_lock(i, first);
		p->present = p->dirty || p->writeback;
		page_unlock(i, first);
	}
}

/* Data to the device, and zeroes to the edges of blocks that are new. */
static void issue(struct kino *i, uint64_t pos, uint64_t len,
		  const unsigned char *data, const struct fuse_file_iomap *m)
{
	const uint64_t head = pos % BLOCK, end = head + len;
	const uint64_t room = div_round_up(end, BLOCK) * BLOCK;
	unsigned char *buf = emubd_must(aligned_alloc(OWFS_IO_ALIGN, room));
	uint64_t from = head, to = end;

	memset(buf, 0, room);
	memcpy(buf + head, data, len);
	if (m->type == FUSE_IOMAP_TYPE_UNWRITTEN) {
		from = 0;
		to = room;
	}
	stress_ok(owfs_blkdev_write(i->ks->k->srv.bd, buf + from, to - from,
				    (loff_t)(m->addr + (pos - m->offset) - head +
					     from)), "direct write");
	free(buf);
}

/* As much of it as goes directly; bytes. */
static uint64_t send_out(struct kcaller *c, struct kino *i, uint64_t pos,
			 uint64_t len, const unsigned char *data)
{
	struct fuse_file_iomap rd, wr;
	const struct fuse_file_iomap *m;
	uint64_t done, n, seq;
	int ret;

	for (done = 0; done < len; done += n) {
		ret = kbegin(c, i, KM_DIO_WRITE, pos + done, len - done, &rd,
			     &wr, &seq);
		/* the rest of the bytes would go where the first of them belong */
		MUST(ret != -ENOSYS || !done);
		if (ret == -ENOSYS || ret == -ENOTBLK)
			break;
		stress_ok(ret, "begin of a direct write");
		m = km_dest(&rd, &wr);
		MUST(m->type == FUSE_IOMAP_TYPE_UNWRITTEN);
		n = km_min3(len - done, km_left(&rd, pos + done),
			    km_left(&wr, pos + done));
		issue(i, pos + done, n, data + done, m);
	}
	expect(i, pos, done, data);
	return done;
}

/* Caller holds k_rw for writing; bytes written. */
static uint64_t direct_locked(struct kcaller *c, struct kino *i, uint64_t pos,
			      uint64_t len, const void *data, sem_t *waiter)
{
	const uint64_t first = block_of(pos), end = end_block(pos + len);
	struct kdone d = {
		.pos = pos, .addr = FUSE_IOMAP_NULL_ADDR, .waiter = waiter,
		.flags = KM_IOEND_DIRECT | KM_IOEND_UNWRITTEN,
	};
	uint64_t size = kino_size(i);

	if (pos > size)
		zero_range(c, i, size, pos);
	flush(c, i, first, end);
	if (!invalidate(i, first, end))
		return 0;
	fly(i, pos, len, 1);
	d.len = send_out(c, i, pos, len, data);
	if (d.len < len) {
		/* what is written is the beginning, and the flight this */
		if (d.len)
			fly(i, pos, d.len, 1);
		fly(i, pos, len, -1);
	}
	if (!d.len)
		return 0;
	d.ino = kino_get(i);
	kstorm_done(c, &d);
	while (waiter && sem_wait(waiter))
		;
	return d.len;
}

void kfile_direct_write(struct kcaller *c, struct kino *i, uint64_t pos,
			uint64_t len, const void *data, bool wait)
{
	uint64_t done;
	sem_t landed;

	sem_init(&landed, 0, 0);
	pthread_rwlock_wrlock(&i->k_rw);
	wait |= pos + len > kino_size(i);
	done = direct_locked(c, i, pos, len, data, wait ? &landed : NULL);
	if (done && wait)
		grow(i, pos + done);
	pthread_rwlock_unlock(&i->k_rw);
	sem_destroy(&landed);
	if (done == len)
		return;
	/* the rest goes through the page cache, and is waited for */
	stress_ok(kfile_write(c, i, pos + done, len - done,
			      (const char *)data + done), "write");
	flush(c, i, block_of(pos), end_block(pos + len));
}

void kfile_complete(struct kcaller *c, struct kdone *d)
{
	struct kino *i = d->ino;

	stress_ok(kioend(c, i, d->flags, d->pos, d->len, d->addr), "ioend");
	if (d->flags & KM_IOEND_DIRECT) {
		invalidate_after(i, block_of(d->pos), end_block(d->pos + d->len));
		fly(i, d->pos, d->len, -1);
	} else {
		written(i, d);
	}
	if (d->waiter)
		sem_post(d->waiter);
	kino_put(c, i);
}

/* ----------------------------------------------------------- sizes and holes */

static void lock_all(struct kino *i)
{
	pthread_rwlock_wrlock(&i->k_rw);
	pthread_rwlock_wrlock(&i->k_map);
	kfile_land(i, 0, KBLOCKS);
}

static void unlock_all(struct kino *i)
{
	pthread_rwlock_unlock(&i->k_map);
	pthread_rwlock_unlock(&i->k_rw);
}

static void cache_drop(struct kino *i, uint64_t pos, uint64_t end)
{
	pthread_mutex_lock(&i->ks->table);
	kmodel_cache_drop(i->ks->k, i->f, pos, end);
	pthread_mutex_unlock(&i->ks->table);
}

static void zero_tail(struct kino *i, uint64_t size)
{
	const uint64_t skip = size % BLOCK;
	struct kpage *p;

	if (!skip)
		return;
	p = page_lock(i, block_of(size));
	if (p->present)
		memset(p->data + skip, 0, BLOCK - skip);
	page_unlock(i, block_of(size));
}

static void set_size(struct kcaller *c, struct kino *i, uint64_t size)
{
	const struct fuse_setattr_in in = {
		.valid = FATTR_SIZE | FATTR_MTIME | FATTR_CTIME, .size = size,
		.mtime = 1700000003, .ctime = 1700000003,
	};
	struct fuse_attr_out out;

	stress_ok(kcall(c, FUSE_SETATTR, i->f->nodeid, &in, sizeof(in), &out,
			sizeof(out), NULL), "truncate");
	MUST(out.attr.size == size);
}

void kfile_truncate(struct kcaller *c, struct kino *i, uint64_t size)
{
	uint64_t old;

	lock_all(i);
	old = kino_size(i);
	if (size < old && size % BLOCK)
		zero_range(c, i, size, (block_of(size) + 1) * BLOCK);
	else if (size > old)
		zero_range(c, i, old, size);
	pthread_mutex_lock(&i->k_lock);
	km_want_resize(i->f, size);
	pthread_mutex_unlock(&i->k_lock);
	pages_drop(i, end_block(size), KBLOCKS);
	zero_tail(i, size);
	flush(c, i, 0, KBLOCKS);
	set_size(c, i, size);
	cache_drop(i, size, UINT64_MAX);
	unlock_all(i);
}

void kfile_fallocate(struct kcaller *c, struct kino *i, int mode, uint64_t pos,
		     uint64_t len)
{
	const struct fuse_fallocate_in in = {
		.offset = pos, .length = len, .mode = (uint32_t)mode,
	};
	const bool zeroes = mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE);
	const uint64_t first = block_of(pos), end = end_block(pos + len);
	uint64_t size;

	lock_all(i);
	size = kino_size(i);
	if (zeroes) {
		flush(c, i, first, end);
		pages_drop(i, first, end);
	}
	stress_ok(kcall(c, FUSE_FALLOCATE, i->f->nodeid, &in, sizeof(in), NULL, 0,
			NULL), "fallocate");
	cache_drop(i, pos, pos + len);
	if (zeroes && pos < size) {
		len = min_u64(len, size - pos);
		zero_range(c, i, pos, pos + len);
		if (i->exact)
			memset(i->f->want + pos, 0, len);
	}
	unlock_all(i);
}
