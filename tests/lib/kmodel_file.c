/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The page cache and the device I/O.  A page is a block: the kernel's folios
 * are at least that large in this mode, and what it does within one is not
 * seen by the server.
 */
#include "kmodel.h"
#include "emubd_image.h"

#include <errno.h>
#include <linux/falloc.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>

#define SECTOR	512u

static uint64_t block_of(const struct kmodel *k, uint64_t pos)
{
	return pos / k->bs;
}

static uint64_t end_block(const struct kmodel *k, uint64_t end)
{
	return div_round_up(end, k->bs);
}

static bool chance(struct kmodel *k, uint64_t one_of)
{
	return k->rng && rng_below(k->rng, one_of) == 0;
}

/* -------------------------------------------------------------- expectation */

static void want_resize(struct kfile *f, uint64_t size)
{
	if (size > f->want_room) {
		f->want = emubd_must(realloc(f->want, size));
		memset(f->want + f->want_room, 0, size - f->want_room);
		f->want_room = size;
	}
	if (size < f->size)
		memset(f->want + size, 0, f->size - size);
	f->size = size;
}

static void want_bytes(struct kfile *f, uint64_t pos, uint64_t len,
		       const void *data)
{
	if (pos + len > f->size)
		want_resize(f, pos + len);
	memcpy(f->want + pos, data, len);
}

static void want_zeroes(struct kfile *f, uint64_t pos, uint64_t end)
{
	if (end > f->size)
		end = f->size;
	if (pos < end)
		memset(f->want + pos, 0, end - pos);
}

/* -------------------------------------------------------------------- pages */

static struct kpage *page_at(struct kfile *f, uint64_t b)
{
	if (b >= f->npages) {
		f->page = emubd_must(realloc(f->page,
					     (b + 16) * sizeof(*f->page)));
		memset(f->page + f->npages, 0,
		       (b + 16 - f->npages) * sizeof(*f->page));
		f->npages = b + 16;
	}
	return &f->page[b];
}

static void page_fill(struct kmodel *k, struct kpage *p)
{
	if (!p->data)
		p->data = emubd_must(aligned_alloc(OWFS_IO_ALIGN, k->bs));
	memset(p->data, 0, k->bs);
	p->present = true;
}

static int device_read(struct kmodel *k, void *buf, uint64_t len, uint64_t addr)
{
	return owfs_blkdev_read(k->srv.bd, buf, len, (loff_t)addr);
}

/* Fill page @b by what @src says of it. */
static int page_read(struct kmodel *k, struct kfile *f, uint64_t b,
		     const struct fuse_file_iomap *src)
{
	struct kpage *p = page_at(f, b);

	page_fill(k, p);
	if (src->type != FUSE_IOMAP_TYPE_MAPPED)
		return 0;
	return device_read(k, p->data, k->bs,
			   src->addr + (b * k->bs - src->offset));
}

static bool covers(const struct fuse_file_iomap *m, uint64_t pos)
{
	return m->length && pos >= m->offset && pos - m->offset < m->length;
}

static uint64_t map_left(const struct fuse_file_iomap *m, uint64_t pos)
{
	return m->offset + m->length - pos;
}

static uint64_t min3(uint64_t a, uint64_t b, uint64_t c)
{
	return min_u64(a, min_u64(b, c));
}

/* Bring pages of [pos, pos + len) in, as read(2) does. */
static int pages_read(struct kmodel *k, struct kfile *f, uint64_t pos,
		      uint64_t len)
{
	struct fuse_file_iomap rd = { 0 }, wr;
	uint64_t b, end = end_block(k, pos + len);
	struct kpage *p;
	int ret = 0;

	for (b = block_of(k, pos); b < end && !ret; b++) {
		p = page_at(f, b);
		if (p->present)
			continue;
		if (!covers(&rd, b * k->bs))
			ret = kmodel_begin(k, f, KM_READ, b * k->bs,
					   (end - b) * k->bs, &rd, &wr);
		if (!ret)
			ret = page_read(k, f, b, &rd);
		/* what is past the end of file is nobody's */
		if (!ret && (b + 1) * k->bs > f->size)
			memset(page_at(f, b)->data +
			       (f->size > b * k->bs ? f->size - b * k->bs : 0), 0,
			       f->size > b * k->bs ? k->bs - (f->size - b * k->bs) :
						     k->bs);
	}
	return ret;
}

static void pages_drop(struct kmodel *k, struct kfile *f, uint64_t first,
		       uint64_t end)
{
	uint64_t b;

	for (b = first; b < end && b < f->npages; b++) {
		if (f->page[b].writeback)
			kmodel_violation(k, "a page under writeback is dropped");
		f->page[b].present = f->page[b].dirty = false;
	}
}

void kmodel_reclaim(struct kmodel *k, struct kfile *f, bool some)
{
	uint64_t b;

	for (b = 0; b < f->npages; b++)
		if (!f->page[b].dirty && !f->page[b].writeback &&
		    (!some || chance(k, 3)))
			f->page[b].present = false;
}

/* ---------------------------------------------------------------- writeback */

static void ioend_add(struct kmodel *k, struct kfile *f, uint64_t b,
		      const struct fuse_file_iomap *m, int error)
{
	const uint32_t state = m->type == FUSE_IOMAP_TYPE_UNWRITTEN ? 2 : 0;
	uint64_t pos = b * k->bs, addr = m->addr + (pos - m->offset);
	uint64_t len = min_u64(k->bs, f->size - pos);
	struct kioend *io = f->ioends;

	if (io && io->pos + io->written == pos &&
	    io->addr + io->written == addr && io->flags == state &&
	    io->error == error && !chance(k, 6)) {
		io->written += len;
		return;
	}
	io = emubd_must(calloc(1, sizeof(*io)));
	*io = (struct kioend){
		.next = f->ioends, .pos = pos, .written = len, .addr = addr,
		.flags = state, .error = error,
	};
	f->ioends = io;
}

/* The mapping cannot be had: the page is clean, and the data lost. */
static int page_discard(struct kmodel *k, struct kfile *f, uint64_t b, int err)
{
	f->page[b].dirty = false;
	if (!f->wb_err)
		f->wb_err = err;
	kmodel_ioend(k, f, 0, err, b * k->bs, k->bs, 0, FUSE_IOMAP_NULL_ADDR);
	return err;
}

static int page_write(struct kmodel *k, struct kfile *f, uint64_t b,
		      const struct fuse_file_iomap *m)
{
	struct kpage *p = &f->page[b];
	uint64_t pos = b * k->bs, tail = f->size - pos;
	int ret;

	if (tail < k->bs)
		memset(p->data + tail, 0, k->bs - tail);
	p->dirty = false;
	if (m->type == FUSE_IOMAP_TYPE_HOLE) {
		kmodel_violation(k, "%s: writeback into a hole at %llu", f->name,
				 (unsigned long long)pos);
		return 0;
	}
	if (m->type != FUSE_IOMAP_TYPE_MAPPED &&
	    m->type != FUSE_IOMAP_TYPE_UNWRITTEN) {
		kmodel_violation(k, "%s: writeback to type %u", f->name, m->type);
		return page_discard(k, f, b, -EIO);
	}
	p->writeback = true;
	ret = owfs_blkdev_write(k->srv.bd, p->data, k->bs,
				(loff_t)(m->addr + (pos - m->offset)));
	ioend_add(k, f, b, m, ret);
	if (ret && !f->wb_err)
		f->wb_err = ret;
	return 0;
}

int kmodel_writeback(struct kmodel *k, struct kfile *f, uint64_t pos,
		     uint64_t len)
{
	struct fuse_file_iomap rd, wr = { 0 };
	uint64_t b, end = min3(end_block(k, min_u64(len, UINT64_MAX / 2 - pos) +
					    pos),
			       f->npages, end_block(k, f->size));
	int ret = 0, err;

	for (b = block_of(k, pos); b < end; b++) {
		if (!f->page[b].dirty || f->page[b].writeback)
			continue;
		err = 0;
		if (!covers(&wr, b * k->bs) ||
		    (f->by_cache && f->by_seq != f->seq))
			err = kmodel_begin(k, f, KM_WRITEBACK, b * k->bs,
					   k->bs, &rd, &wr);
		if (err) {
			wr.length = 0;
			err = page_discard(k, f, b, err);
		} else {
			/* overwriting what it reads from needs no ioend */
			err = page_write(k, f, b,
					 wr.type == FUSE_IOMAP_TYPE_PURE_OVERWRITE ?
					 &rd : &wr);
		}
		if (err && !ret)
			ret = err;
	}
	return ret;
}

static struct kioend *ioend_take(struct kioend **p)
{
	struct kioend *io = *p;

	*p = io->next;
	return io;
}

static void ioend_send(struct kmodel *k, struct kfile *f, struct kioend *io)
{
	uint64_t b, end = end_block(k, io->pos + io->written);
	uint32_t flags = io->flags;

	if (io->pos + io->written > f->disk_size)
		flags |= 1u << 4;
	if (io->error || flags) {
		/* an error answered to this one is heard by nobody */
		kmodel_ioend(k, f, flags | 1u << 5, io->error, io->pos,
			     io->written, k->dev, io->addr);
	}
	for (b = block_of(k, io->pos); b < end; b++)
		f->page[b].writeback = false;
	free(io);
}

void kmodel_complete(struct kmodel *k, struct kfile *f, bool some)
{
	struct kioend **p = &f->ioends, *list = NULL, **at, *io;

	while (*p) {
		if (some && chance(k, 2)) {
			p = &(*p)->next;
			continue;
		}
		io = ioend_take(p);
		for (at = &list; *at && (*at)->pos < io->pos; at = &(*at)->next)
			;
		io->next = *at;
		*at = io;
	}
	/* sorted; neighbours on the device are one, or not */
	while ((io = list)) {
		list = io->next;
		while (list && list->pos == io->pos + io->written &&
		       list->addr == io->addr + io->written &&
		       list->flags == io->flags && list->error == io->error &&
		       !chance(k, 4)) {
			io->written += list->written;
			free(ioend_take(&list));
		}
		ioend_send(k, f, io);
	}
}

/* Write back what is dirty there, and wait for it. */
static int flush_range(struct kmodel *k, struct kfile *f, uint64_t pos,
		       uint64_t len)
{
	int ret;

	kmodel_complete(k, f, false);
	ret = kmodel_writeback(k, f, pos, len);
	kmodel_complete(k, f, false);
	return ret;
}

/* ------------------------------------------------------------------- zeroing */

static bool interfere(struct kmodel *k, struct kfile *f);

static bool needs_writeback(const struct kfile *f, uint64_t first, uint64_t end)
{
	uint64_t b;

	for (b = first; b < end && b < f->npages; b++)
		if (f->page[b].dirty || f->page[b].writeback)
			return true;
	return false;
}

/* Zero what of [pos, pos + len), inside one mapping, is not zero already. */
static int zero_pages(struct kmodel *k, struct kfile *f, uint64_t pos,
		      uint64_t len, const struct fuse_file_iomap *src)
{
	uint64_t b, from, to;
	struct kpage *p;
	int ret = 0;

	for (b = block_of(k, pos); b * k->bs < pos + len && !ret; b++) {
		p = page_at(f, b);
		if (!p->present)
			ret = page_read(k, f, b, src);
		if (ret)
			break;
		from = max_u64(pos, b * k->bs) - b * k->bs;
		to = min_u64(pos + len, (b + 1) * k->bs) - b * k->bs;
		p = page_at(f, b);
		memset(p->data + from, 0, to - from);
		p->dirty = true;
	}
	return ret;
}

static int zero_range(struct kmodel *k, struct kfile *f, uint64_t pos,
		      uint64_t end)
{
	struct fuse_file_iomap rd, wr, *src;
	uint64_t n;
	bool flushed = false;
	int ret;

	while (pos < end) {
		ret = kmodel_begin(k, f, KM_ZERO, pos, end - pos, &rd, &wr);
		if (ret)
			return ret;
		src = wr.type == FUSE_IOMAP_TYPE_PURE_OVERWRITE ||
		      rd.type != FUSE_IOMAP_TYPE_HOLE ? &rd : &wr;
		n = min3(end - pos, map_left(&rd, pos), map_left(&wr, pos));
		if (src->type == FUSE_IOMAP_TYPE_HOLE ||
		    src->type == FUSE_IOMAP_TYPE_UNWRITTEN) {
			if (!flushed && needs_writeback(f, block_of(k, pos),
							end_block(k, pos + n))) {
				ret = flush_range(k, f, pos, n);
				if (ret)
					return ret;
				flushed = true;
				continue;
			}
		} else if (interfere(k, f)) {
			continue;
		} else {
			ret = zero_pages(k, f, pos, n, src);
			if (ret)
				return ret;
		}
		kmodel_end(k, f, KM_ZERO, pos, n, (int64_t)n,
			   wr.type == FUSE_IOMAP_TYPE_PURE_OVERWRITE ? &rd : &wr,
			   false);
		flushed = false;
		pos += n;
	}
	f->times_dirty = true;
	return 0;
}

/* ------------------------------------------------------------------ writing */

/*
 * What others may do while a writer that has its mapping waits for the page:
 * store through a mapping of their own, write back, and reclaim the page.
 * True: the mapping came from the cache, and that has changed since.
 */
static bool interfere(struct kmodel *k, struct kfile *f)
{
	bool by_cache = f->by_cache;
	uint64_t seq = f->by_seq;
	unsigned char c;

	if (chance(k, 8)) {
		c = (unsigned char)rng_next(k->rng);
		if (f->size && !k->no_faults && chance(k, 2))
			kmodel_mmap_store(k, f, rng_below(k->rng, f->size), 1,
					  &c);
		kmodel_writeback(k, f, 0, UINT64_MAX / 4);
		kmodel_complete(k, f, false);
		kmodel_reclaim(k, f, false);
	}
	return by_cache && seq != f->seq;
}

static int store_page(struct kmodel *k, struct kfile *f, uint64_t pos,
		      uint64_t len, const unsigned char *data,
		      const struct fuse_file_iomap *src)
{
	uint64_t b = block_of(k, pos), skip = pos - b * k->bs;
	struct kpage *p = page_at(f, b);
	int ret = 0;

	if (!p->present) {
		/* past the end there is nothing to be read */
		if (len == k->bs || b * k->bs >= f->size)
			page_fill(k, p);
		else
			ret = page_read(k, f, b, src);
	}
	if (ret)
		return ret;
	p = page_at(f, b);
	memcpy(p->data + skip, data, len);
	p->dirty = true;
	return 0;
}

/* Store into the pages of one mapping; bytes done. */
static uint64_t store(struct kmodel *k, struct kfile *f, uint64_t pos,
		      uint64_t len, const unsigned char *data,
		      const struct fuse_file_iomap *src)
{
	const uint64_t whole = len;
	uint64_t done = 0, n, all;

	/* a signal, or a user's page that is not there */
	if (chance(k, 40))
		len = rng_below(k->rng, len + 1);
	for (; done < len; done += n) {
		all = min_u64(whole - done, k->bs - (pos + done) % k->bs);
		n = min_u64(len - done, all);
		/* copied in part into a page whose rest is not there: rejected */
		if (n < all && !page_at(f, block_of(k, pos + done))->present)
			break;
		if (store_page(k, f, pos + done, n, data + done, src))
			break;
	}
	return done;
}

int kmodel_write(struct kmodel *k, struct kfile *f, uint64_t pos, uint64_t len,
		 const void *data)
{
	struct fuse_file_iomap rd, wr, *src, *dst;
	const unsigned char *from = data;
	uint64_t n, done;
	bool moved;
	int ret = 0;

	if (pos > f->size)
		ret = zero_range(k, f, f->size, pos);
	while (len && !ret) {
		ret = kmodel_begin(k, f, KM_WRITE, pos, len, &rd, &wr);
		if (ret)
			break;
		dst = wr.type == FUSE_IOMAP_TYPE_PURE_OVERWRITE ? &rd : &wr;
		src = rd.type != FUSE_IOMAP_TYPE_HOLE ? &rd : dst;
		n = min3(len, map_left(&rd, pos), map_left(&wr, pos));
		if (interfere(k, f)) {
			kmodel_end(k, f, KM_WRITE, pos, n, 0, dst, false);
			continue;
		}
		done = store(k, f, pos, n, from, src);
		moved = done && pos + done > f->size;
		if (done)
			want_bytes(f, pos, done, from);
		kmodel_end(k, f, KM_WRITE, pos, n, (int64_t)done, dst, moved);
		f->times_dirty |= done != 0;
		if (done < n)
			return -EINTR;
		pos += n;
		from += n;
		len -= n;
	}
	return ret;
}

int kmodel_mmap_store(struct kmodel *k, struct kfile *f, uint64_t pos,
		      uint64_t len, const void *data)
{
	struct fuse_file_iomap rd, wr;
	uint64_t b = block_of(k, pos), skip = pos - b * k->bs, n, count;
	int ret;

	if (pos >= f->size)
		return -EFAULT;
	n = min3(len, k->bs - skip, f->size - pos);
	ret = pages_read(k, f, pos, n);
	count = min_u64(k->bs, f->size - b * k->bs);
	if (!ret && !f->page[b].dirty)
		ret = kmodel_begin(k, f, KM_FAULT, b * k->bs, count, &rd, &wr);
	if (ret)
		return ret;
	memcpy(f->page[b].data + skip, data, n);
	f->page[b].dirty = true;
	f->times_dirty = true;
	want_bytes(f, pos, n, data);
	return 0;
}

/* ------------------------------------------------------------------ reading */

static int compare(struct kmodel *k, struct kfile *f, uint64_t pos,
		   uint64_t len, const unsigned char *got, const char *how)
{
	uint64_t i;

	for (i = 0; i < len; i++) {
		if (got[i] == f->want[pos + i])
			continue;
		kmodel_violation(k, "%s: %s: byte %llu is %02x, should be %02x (size %llu)",
				 f->name, how, (unsigned long long)(pos + i),
				 got[i], f->want[pos + i],
				 (unsigned long long)f->size);
		return -EBADE;
	}
	return 0;
}

int kmodel_read(struct kmodel *k, struct kfile *f, uint64_t pos, uint64_t len)
{
	uint64_t b, from, to;
	int ret;

	if (pos >= f->size)
		return 0;
	len = min_u64(len, f->size - pos);
	ret = pages_read(k, f, pos, len);
	for (b = block_of(k, pos); !ret && b * k->bs < pos + len; b++) {
		from = max_u64(pos, b * k->bs);
		to = min_u64(pos + len, (b + 1) * k->bs);
		ret = compare(k, f, from, to - from,
			      f->page[b].data + (from - b * k->bs), "read");
	}
	return ret;
}

int kmodel_direct_read(struct kmodel *k, struct kfile *f, uint64_t pos,
		       uint64_t len)
{
	struct fuse_file_iomap rd, wr;
	unsigned char *buf;
	uint64_t n;
	int ret = flush_range(k, f, pos, len);

	if (ret || pos >= f->size)
		return ret;
	len = min_u64(len, f->size - pos);
	buf = emubd_must(aligned_alloc(OWFS_IO_ALIGN,
				       end_block(k, len + k->bs) * k->bs));
	for (; len && !ret; pos += n, len -= n) {
		ret = kmodel_begin(k, f, KM_DIO_READ, pos, len, &rd, &wr);
		if (ret)
			break;
		n = min_u64(len, map_left(&rd, pos));
		if (rd.type == FUSE_IOMAP_TYPE_DELALLOC)
			kmodel_violation(k, "%s: direct read of what is delayed",
					 f->name);
		memset(buf, 0, n);
		if (rd.type == FUSE_IOMAP_TYPE_MAPPED)
			ret = device_read(k, buf, div_round_up(n, SECTOR) * SECTOR,
					  rd.addr + (pos - rd.offset));
		if (!ret)
			ret = compare(k, f, pos, n, buf, "direct read");
	}
	free(buf);
	return ret;
}

/* ------------------------------------------------------------ direct writing */

/* Zeroes to the edges of a block that is new, or past the end of file. */
static int direct_pad(struct kmodel *k, uint64_t addr, uint64_t len)
{
	void *zero;
	int ret;

	if (!len)
		return 0;
	zero = emubd_must(aligned_alloc(OWFS_IO_ALIGN, k->bs));
	memset(zero, 0, k->bs);
	ret = owfs_blkdev_write(k->srv.bd, zero, len, (loff_t)addr);
	free(zero);
	return ret;
}

static int direct_piece(struct kmodel *k, struct kfile *f, uint64_t pos,
			uint64_t len, const unsigned char *data,
			const struct fuse_file_iomap *m, uint32_t *flags)
{
	uint64_t addr = m->addr + (pos - m->offset);
	bool fresh = m->type == FUSE_IOMAP_TYPE_UNWRITTEN;
	uint64_t head = pos % k->bs, tail = (pos + len) % k->bs;
	void *buf;
	int ret = 0;

	if (!fresh && m->type != FUSE_IOMAP_TYPE_MAPPED) {
		kmodel_violation(k, "%s: direct write to type %u", f->name,
				 m->type);
		return -EIO;
	}
	if (fresh)
		*flags |= 1u << 1;
	buf = emubd_must(aligned_alloc(OWFS_IO_ALIGN,
				       div_round_up(len, OWFS_IO_ALIGN) *
				       OWFS_IO_ALIGN));
	memcpy(buf, data, len);
	if (fresh)
		ret = direct_pad(k, addr - head, head);
	if (!ret)
		ret = owfs_blkdev_write(k->srv.bd, buf, len, (loff_t)addr);
	if (!ret && tail && (fresh || pos + len >= f->size))
		ret = direct_pad(k, addr + len, k->bs - tail);
	free(buf);
	return ret;
}

static int direct_write(struct kmodel *k, struct kfile *f, uint64_t pos,
			uint64_t len, const unsigned char *data)
{
	const uint64_t start = pos;
	struct fuse_file_iomap rd, wr, *dst;
	uint32_t flags = 1u << 3;
	uint64_t n;
	int ret = 0, err;

	for (; len && !ret; pos += n, data += n, len -= n) {
		ret = kmodel_begin(k, f, KM_DIO_WRITE, pos, len, &rd, &wr);
		if (ret)
			break;
		dst = wr.type == FUSE_IOMAP_TYPE_PURE_OVERWRITE ? &rd : &wr;
		n = min3(len, map_left(&rd, pos), map_left(&wr, pos));
		ret = direct_piece(k, f, pos, n, data, dst, &flags);
		kmodel_end(k, f, KM_DIO_WRITE, pos, n, (int64_t)n, dst, false);
	}
	if (ret == -ENOSYS && pos > start)
		ret = 0;	/* what was done counts, the rest comes apart */
	if (pos > f->disk_size)
		flags |= 1u << 4;
	if (pos > start || ret) {
		err = kmodel_ioend(k, f, flags, ret, start, pos - start, 0,
				   FUSE_IOMAP_NULL_ADDR);
		if (!ret)
			ret = err;
	}
	pages_drop(k, f, block_of(k, start), end_block(k, pos));
	return ret ? ret : (int)(pos - start);
}

static int direct_fallback(struct kmodel *k, struct kfile *f, uint64_t pos,
			   uint64_t len, const unsigned char *data)
{
	int ret = kmodel_write(k, f, pos, len, data);

	return ret ? ret : flush_range(k, f, pos, len);
}

int kmodel_direct_write(struct kmodel *k, struct kfile *f, uint64_t pos,
			uint64_t len, const void *data)
{
	const unsigned char *from = data;
	int ret = 0;

	if (pos > f->size)
		ret = zero_range(k, f, f->size, pos);
	if (!ret)
		ret = flush_range(k, f, pos, len);
	if (ret)
		return ret;
	pages_drop(k, f, block_of(k, pos), end_block(k, pos + len));
	ret = direct_write(k, f, pos, len, from);
	if (ret == -ENOSYS)
		return direct_fallback(k, f, pos, len, from);
	if (ret < 0)
		return ret;
	f->times_dirty = true;
	want_bytes(f, pos, (uint64_t)ret, from);
	if ((uint64_t)ret == len)
		return 0;
	return direct_fallback(k, f, pos + (uint64_t)ret, len - (uint64_t)ret,
			       from + ret);
}

/* --------------------------------------------------------- size and holes */

static int setattr_times(struct kmodel *k, struct kfile *f)
{
	struct fuse_setattr_in in = {
		.valid = FATTR_ATIME | FATTR_MTIME | FATTR_CTIME,
		.atime = 1700000000, .mtime = 1700000001, .ctime = 1700000002,
	};
	struct fuse_attr_out out;
	int ret;

	if (!f->times_dirty)
		return 0;
	ret = kmodel_call(k, FUSE_SETATTR, f->nodeid, &in, sizeof(in), &out,
			  sizeof(out), NULL);
	if (ret)
		return ret;
	f->times_dirty = false;
	if (out.attr.mtime != in.mtime || out.attr.ctime != in.ctime ||
	    out.attr.atime != in.atime)
		kmodel_violation(k, "%s: times are not those that were set",
				 f->name);
	return 0;
}

static int setattr_size(struct kmodel *k, struct kfile *f, uint64_t size)
{
	struct fuse_setattr_in in = {
		.valid = FATTR_SIZE | FATTR_MTIME | FATTR_CTIME, .size = size,
		.mtime = 1700000003, .ctime = 1700000003,
	};
	struct fuse_attr_out out;
	int ret = kmodel_call(k, FUSE_SETATTR, f->nodeid, &in, sizeof(in), &out,
			      sizeof(out), NULL);

	if (ret)
		return ret;
	if (out.attr.size != size)
		kmodel_violation(k, "%s: truncated to %llu, not to %llu", f->name,
				 (unsigned long long)out.attr.size,
				 (unsigned long long)size);
	f->disk_size = size;
	return 0;
}

static int truncate_locked(struct kmodel *k, struct kfile *f, uint64_t size)
{
	uint64_t b, old = f->size;
	int ret = 0;

	if (size < old && size % k->bs)
		ret = zero_range(k, f, size, (block_of(k, size) + 1) * k->bs);
	else if (size > old)
		ret = zero_range(k, f, old, size);
	if (ret)
		return ret;
	kmodel_complete(k, f, false);
	want_resize(f, size);
	pages_drop(k, f, end_block(k, size), f->npages);
	for (b = 0; b < f->npages && size < old; b++)
		if (b * k->bs < size && (b + 1) * k->bs > size &&
		    f->page[b].present)
			memset(f->page[b].data + size % k->bs, 0,
			       k->bs - size % k->bs);
	flush_range(k, f, 0, UINT64_MAX / 4);
	ret = setattr_size(k, f, size);
	if (!ret)
		kmodel_cache_drop(k, f, size, UINT64_MAX);
	return ret;
}

int kmodel_truncate(struct kmodel *k, struct kfile *f, uint64_t size)
{
	int ret;

	k->no_faults = true;
	ret = truncate_locked(k, f, size);
	k->no_faults = false;
	return ret;
}

static int fallocate_locked(struct kmodel *k, struct kfile *f, int mode,
			    uint64_t pos, uint64_t len)
{
	struct fuse_fallocate_in in = {
		.offset = pos, .length = len, .mode = (uint32_t)mode,
	};
	bool zeroes = mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE);
	uint64_t old = f->size, end = pos + len;
	int ret = 0;

	if (zeroes) {
		ret = flush_range(k, f, block_of(k, pos) * k->bs,
				  end - block_of(k, pos) * k->bs);
		if (ret)
			return ret;
		pages_drop(k, f, block_of(k, pos), end_block(k, end));
	}
	ret = kmodel_call(k, FUSE_FALLOCATE, f->nodeid, &in, sizeof(in), NULL,
			  0, NULL);
	if (ret)
		return ret;
	f->times_dirty = true;
	kmodel_cache_drop(k, f, pos, end);
	if (zeroes)
		ret = zero_range(k, f, pos, min_u64(end, old));
	if (zeroes)
		want_zeroes(f, pos, end);
	if (ret || (mode & FALLOC_FL_KEEP_SIZE) || end <= old)
		return ret;
	ret = zero_range(k, f, old, end);
	want_resize(f, end);
	f->disk_size = end;
	return ret ? ret : flush_range(k, f, 0, UINT64_MAX / 4);
}

int kmodel_fallocate(struct kmodel *k, struct kfile *f, int mode, uint64_t pos,
		     uint64_t len)
{
	int ret;

	k->no_faults = true;
	ret = fallocate_locked(k, f, mode, pos, len);
	k->no_faults = false;
	return ret;
}

int kmodel_copy(struct kmodel *k, struct kfile *in, uint64_t in_pos,
		struct kfile *out, uint64_t out_pos, uint64_t len)
{
	uint64_t arg[7] = {
		0, in_pos, out->nodeid, 0, out_pos, len, 0,
	}, n = 0;
	int ret = flush_range(k, in, in_pos, len);

	if (!ret)
		ret = flush_range(k, out, out_pos, len);
	if (ret)
		return ret;
	/* beyond the end of file the kernel zeroes first */
	if (out_pos > out->size)
		ret = zero_range(k, out, out->size, out_pos);
	if (!ret)
		ret = flush_range(k, out, 0, UINT64_MAX / 4);
	if (ret)
		return ret;
	pages_drop(k, out, block_of(k, out_pos), end_block(k, out_pos + len));
	ret = kmodel_call(k, 53, in->nodeid, arg, sizeof(arg), &n, sizeof(n),
			  NULL);
	if (ret || !n)
		return ret;
	pages_drop(k, out, block_of(k, out_pos), end_block(k, out_pos + n));
	kmodel_cache_drop(k, out, out_pos, out_pos + n);
	want_bytes(out, out_pos, n, in->want + in_pos);
	out->disk_size = max_u64(out->disk_size, out_pos + n);
	out->times_dirty = true;
	return 0;
}

int kmodel_fiemap(struct kmodel *k, struct kfile *f, unsigned int *n)
{
	struct fuse_file_iomap rd, wr;
	uint64_t pos = 0, end = INT64_MAX;
	int ret;

	for (*n = 0; pos < end; pos = rd.offset + rd.length) {
		ret = kmodel_begin(k, f, KM_REPORT, pos, end - pos, &rd, &wr);
		if (ret)
			return ret == -ENOENT ? 0 : ret;
		*n += rd.type != FUSE_IOMAP_TYPE_HOLE;
		if (rd.type == FUSE_IOMAP_TYPE_HOLE && pos >= f->size)
			break;
	}
	return 0;
}

/* ------------------------------------------------------------------ promises */

/* All is written: the server must have what the users expect. */
static void compare_server(struct kmodel *k, struct kfile *f)
{
	struct owfs_inode *inode;
	unsigned char *buf;
	ssize_t n;

	if (owfs_iget(k->srv.fs, f->nodeid, &inode)) {
		kmodel_violation(k, "%s: the server has lost the inode", f->name);
		return;
	}
	buf = emubd_must(aligned_alloc(OWFS_IO_ALIGN,
				       end_block(k, f->size + k->bs) * k->bs));
	if (inode->i_attr.size != f->size)
		kmodel_violation(k, "%s: fsync: the server's size is %llu, should be %llu",
				 f->name, (unsigned long long)inode->i_attr.size,
				 (unsigned long long)f->size);
	n = owfs_file_read(inode, buf, f->size, 0);
	if (n >= 0)
		compare(k, f, 0, min_u64((uint64_t)n, f->size), buf, "fsync");
	owfs_iput(inode);
	free(buf);
}

int kmodel_fsync(struct kmodel *k, struct kfile *f)
{
	struct fuse_fsync_in in = { .fsync_flags = 0 };
	int ret = flush_range(k, f, 0, UINT64_MAX / 4), err = f->wb_err;

	f->wb_err = 0;
	if (!ret)
		ret = err;
	if (!ret)
		ret = setattr_times(k, f);
	if (!ret)
		ret = kmodel_call(k, FUSE_FSYNC, f->nodeid, &in, sizeof(in),
				  NULL, 0, NULL);
	if (!ret)
		compare_server(k, f);
	return ret;
}

int kmodel_syncfs(struct kmodel *k)
{
	const uint64_t in = 0;
	struct kfile *f;
	int ret = 0;

	for (f = k->files; f; f = f->next) {
		flush_range(k, f, 0, UINT64_MAX / 4);
		if (setattr_times(k, f) && !ret)
			ret = -EIO;
	}
	if (!ret)
		ret = kmodel_call(k, 50, FUSE_ROOT_ID, &in, sizeof(in), NULL, 0,
				  NULL);
	for (f = k->files; f && !ret; f = f->next)
		if (!f->wb_err)
			compare_server(k, f);
	return ret;
}
