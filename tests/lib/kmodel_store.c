/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Stores into the page cache: by write(2), by a mapping, and of zeroes. */
#include "kmodel_impl.h"

/*
 * What others may do while a writer that has its mapping waits for the page:
 * store through a mapping of their own, write back, and reclaim the page.
 */
static bool interfere(struct kmodel *k, struct kfile *f)
{
	unsigned char c;

	if (!km_chance(k, 8))
		return false;
	c = (unsigned char)rng_next(k->rng);
	if (f->size && !k->no_faults && km_chance(k, 2))
		kmodel_mmap_store(k, f, rng_below(k->rng, f->size), 1, &c);
	kmodel_writeback(k, f, 0, KM_ALL);
	kmodel_complete(k, f, false);
	kmodel_reclaim(k, f, false);
	return true;
}

/* Has the cache changed since the last begin was answered by it? */
static bool is_stale(const struct kfile *f, bool by_cache, uint64_t seq)
{
	return by_cache && seq != f->seq;
}

/* ------------------------------------------------------------------- zeroing */

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

	for (b = km_block(k, pos); b * k->bs < pos + len && !ret; b++) {
		p = km_page(f, b);
		if (!p->present)
			ret = km_page_read(k, f, b, src);
		if (ret)
			break;
		from = max_u64(pos, b * k->bs) - b * k->bs;
		to = min_u64(pos + len, (b + 1) * k->bs) - b * k->bs;
		p = km_page(f, b);
		memset(p->data + from, 0, to - from);
		p->dirty = true;
	}
	return ret;
}

static bool reads_as_zeroes(const struct fuse_file_iomap *src)
{
	return src->type == FUSE_IOMAP_TYPE_HOLE ||
	       src->type == FUSE_IOMAP_TYPE_UNWRITTEN;
}

int km_zero_range(struct kmodel *k, struct kfile *f, uint64_t pos, uint64_t end)
{
	struct fuse_file_iomap rd, wr;
	const struct fuse_file_iomap *src;
	bool flushed = false, by_cache;
	uint64_t n, seq;
	int ret;

	while (pos < end) {
		ret = kmodel_begin(k, f, KM_ZERO, pos, end - pos, &rd, &wr);
		if (ret)
			return ret;
		by_cache = f->by_cache;
		seq = f->by_seq;
		src = km_source(&rd, &wr);
		n = km_min3(end - pos, km_left(&rd, pos), km_left(&wr, pos));
		if (reads_as_zeroes(src)) {
			if (!flushed &&
			    needs_writeback(f, km_block(k, pos),
					    km_end_block(k, pos + n))) {
				ret = km_flush(k, f, pos, n);
				if (ret)
					return ret;
				flushed = true;
				continue;
			}
		} else {
			interfere(k, f);
			if (is_stale(f, by_cache, seq))
				continue;
			ret = zero_pages(k, f, pos, n, src);
		}
		if (ret)
			return ret;
		kmodel_end(k, f, KM_ZERO, pos, n, (int64_t)n,
			   km_dest(&rd, &wr), false);
		flushed = false;
		pos += n;
	}
	km_touch(k, f);
	return 0;
}

/* ------------------------------------------------------------------ writing */

static int store_page(struct kmodel *k, struct kfile *f, uint64_t pos,
		      uint64_t len, const unsigned char *data,
		      const struct fuse_file_iomap *src)
{
	uint64_t b = km_block(k, pos), skip = pos - b * k->bs;
	struct kpage *p = km_page(f, b);
	int ret = 0;

	if (!p->present) {
		/* past the end there is nothing to be read */
		if (len == k->bs || b * k->bs >= f->size)
			km_page_fill(k, p);
		else
			ret = km_page_read(k, f, b, src);
	}
	if (ret) {
		p->present = false;
		return ret;
	}
	p = km_page(f, b);
	memcpy(p->data + skip, data, len);
	p->dirty = true;
	return 0;
}

/*
 * Store into the pages of one mapping; bytes done.  What was copied in part
 * into a page whose rest is not there is rejected, and tried again for what
 * there is: then the rest is read, by the mapping that was got for all of the
 * page.  If it is not true any more (@old) the kernel does not notice.
 */
static uint64_t store(struct kmodel *k, struct kfile *f, uint64_t pos,
		      uint64_t len, const unsigned char *data,
		      const struct fuse_file_iomap *src, bool old)
{
	const uint64_t whole = len;
	uint64_t done = 0, n, all, b;

	/* a signal, or a user's page that is not there */
	if (km_chance(k, 40))
		len = rng_below(k->rng, len + 1);
	for (; done < len; done += n) {
		b = km_block(k, pos + done);
		all = min_u64(whole - done, k->bs - (pos + done) % k->bs);
		n = min_u64(len - done, all);
		if (n < all && all == k->bs && old && !km_page(f, b)->present)
			km_want_nothing(k, f, b, b + 1);
		if (store_page(k, f, pos + done, n, data + done, src))
			break;
	}
	return done;
}

int kmodel_write(struct kmodel *k, struct kfile *f, uint64_t pos, uint64_t len,
		 const void *data)
{
	struct fuse_file_iomap rd, wr;
	const unsigned char *from = data;
	bool moved, by_cache, old;
	uint64_t n, done, seq;
	int ret = 0;

	if (pos > f->size)
		ret = km_zero_range(k, f, f->size, pos);
	while (len && !ret) {
		ret = kmodel_begin(k, f, KM_WRITE, pos, len, &rd, &wr);
		if (ret)
			break;
		by_cache = f->by_cache;
		seq = f->by_seq;
		n = km_min3(len, km_left(&rd, pos), km_left(&wr, pos));
		old = interfere(k, f);
		if (is_stale(f, by_cache, seq)) {
			kmodel_end(k, f, KM_WRITE, pos, n, 0, km_dest(&rd, &wr),
				   false);
			continue;
		}
		done = store(k, f, pos, n, from, km_source(&rd, &wr), old);
		moved = done && pos + done > f->size;
		if (done)
			km_want_bytes(k, f, pos, done, from);
		kmodel_end(k, f, KM_WRITE, pos, n, (int64_t)done,
			   km_dest(&rd, &wr), moved);
		if (done)
			km_touch(k, f);
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
	uint64_t b = km_block(k, pos), skip = pos - b * k->bs, n, count;
	int ret;

	if (pos >= f->size)
		return -EFAULT;
	n = km_min3(len, k->bs - skip, f->size - pos);
	ret = km_pages_read(k, f, pos, n);
	count = min_u64(k->bs, f->size - b * k->bs);
	if (!ret && !f->page[b].dirty)
		ret = kmodel_begin(k, f, KM_FAULT, b * k->bs, count, &rd, &wr);
	if (ret)
		return ret;
	/* the kernel does not guard a page against direct writes of parts of it */
	km_flights_race(f, b * k->bs, k->bs);
	memcpy(f->page[b].data + skip, data, n);
	f->page[b].dirty = true;
	km_touch(k, f);
	km_want_bytes(k, f, pos, n, data);
	return 0;
}
