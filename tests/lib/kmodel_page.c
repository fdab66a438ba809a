/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The page cache, and beside it what users expect.  A page is a block: the
 * kernel's folios are at least that large in this mode, and what it does
 * within one is not seen by the server.
 */
#include "kmodel_impl.h"

/* -------------------------------------------------------------- expectation */

void km_want_resize(struct kfile *f, uint64_t size)
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

/* Blocks that [pos, end) has in full are known again. */
static void known(struct kmodel *k, struct kfile *f, uint64_t pos, uint64_t end)
{
	uint64_t b, last = end == f->size ? km_end_block(k, end) :
					    km_block(k, end);

	for (b = km_end_block(k, pos); b < last; b++)
		km_page(f, b)->unsure = false;
}

void km_want_nothing(struct kmodel *k, struct kfile *f, uint64_t first,
		     uint64_t end)
{
	if (end > first && end * k->bs >= f->size)
		f->size_unsure = true;
	for (; first < end; first++)
		km_page(f, first)->unsure = true;
}

void km_want_bytes(struct kmodel *k, struct kfile *f, uint64_t pos,
		   uint64_t len, const void *data)
{
	if (pos + len > f->size)
		km_want_resize(f, pos + len);
	memcpy(f->want + pos, data, len);
	km_flights_race(f, pos, len);
	known(k, f, pos, pos + len);
}

void km_want_zeroes(struct kmodel *k, struct kfile *f, uint64_t pos,
		    uint64_t end)
{
	if (end > f->size)
		end = f->size;
	if (pos >= end)
		return;
	memset(f->want + pos, 0, end - pos);
	known(k, f, pos, end);
}

static bool is_sure(const struct kmodel *k, struct kfile *f, uint64_t pos)
{
	const struct kpage *p = km_page(f, km_block(k, pos));

	return !p->unsure && !p->flying;
}

int km_compare(struct kmodel *k, struct kfile *f, uint64_t pos, uint64_t len,
	       const unsigned char *got, const char *how)
{
	uint64_t i, n;

	for (i = 0; i < len; i += n) {
		n = min_u64(len - i, k->bs - (pos + i) % k->bs);
		if (!is_sure(k, f, pos + i) ||
		    !memcmp(got + i, f->want + pos + i, n))
			continue;
		while (got[i] == f->want[pos + i])
			i++;
		kmodel_violation(k, "%s: %s: byte %llu is %02x, should be %02x (size %llu)",
				 f->name, how, (unsigned long long)(pos + i),
				 got[i], f->want[pos + i],
				 (unsigned long long)f->size);
		return -EBADE;
	}
	return 0;
}

/* -------------------------------------------------------------------- pages */

struct kpage *km_page(struct kfile *f, uint64_t b)
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

void km_page_fill(struct kmodel *k, struct kpage *p)
{
	if (!p->data)
		p->data = emubd_must(aligned_alloc(OWFS_IO_ALIGN, k->bs));
	memset(p->data, 0, k->bs);
	p->present = true;
}

/* Fill page @b by what @src says of it. */
int km_page_read(struct kmodel *k, struct kfile *f, uint64_t b,
		 const struct fuse_file_iomap *src)
{
	struct kpage *p = km_page(f, b);

	km_page_fill(k, p);
	if (src->type != FUSE_IOMAP_TYPE_MAPPED)
		return 0;
	return owfs_blkdev_read(k->srv.bd, p->data, k->bs,
				(loff_t)(src->addr + (b * k->bs - src->offset)));
}

/* What is past the end of file is nobody's. */
static void zero_past_end(struct kmodel *k, struct kfile *f, uint64_t b)
{
	uint64_t valid = f->size > b * k->bs ? f->size - b * k->bs : 0;

	if (valid < k->bs)
		memset(km_page(f, b)->data + valid, 0, k->bs - valid);
}

/* Bring pages of [pos, pos + len) in, as read(2) does. */
int km_pages_read(struct kmodel *k, struct kfile *f, uint64_t pos, uint64_t len)
{
	struct fuse_file_iomap rd = { 0 }, wr;
	uint64_t b, end = km_end_block(k, pos + len);
	int ret = 0;

	for (b = km_block(k, pos); b < end && !ret; b++) {
		if (km_page(f, b)->present)
			continue;
		if (!km_covers(&rd, b * k->bs))
			ret = kmodel_begin(k, f, KM_READ, b * k->bs,
					   (end - b) * k->bs, &rd, &wr);
		if (!ret)
			ret = km_page_read(k, f, b, &rd);
		if (!ret)
			zero_past_end(k, f, b);
		else
			km_page(f, b)->present = false;
	}
	return ret;
}

void km_pages_drop(struct kmodel *k, struct kfile *f, uint64_t first,
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
		    (!some || km_chance(k, 3)))
			f->page[b].present = false;
}

int kmodel_read(struct kmodel *k, struct kfile *f, uint64_t pos, uint64_t len)
{
	uint64_t b, from, to;
	int ret;

	if (pos >= f->size)
		return 0;
	len = min_u64(len, f->size - pos);
	ret = km_pages_read(k, f, pos, len);
	for (b = km_block(k, pos); !ret && b * k->bs < pos + len; b++) {
		from = max_u64(pos, b * k->bs);
		to = min_u64(pos + len, (b + 1) * k->bs);
		ret = km_compare(k, f, from, to - from,
				 f->page[b].data + (from - b * k->bs), "read");
	}
	return ret;
}

int kmodel_get(struct kmodel *k, struct kfile *f, uint64_t pos, uint64_t len,
	       void *buf)
{
	uint64_t at, n;
	int ret;

	if (pos >= f->size)
		return 0;
	len = min_u64(len, f->size - pos);
	ret = km_pages_read(k, f, pos, len);
	for (at = pos; at < pos + len && !ret; at += n) {
		n = min_u64(pos + len - at, k->bs - at % k->bs);
		memcpy((char *)buf + (at - pos),
		       f->page[km_block(k, at)].data + at % k->bs, n);
	}
	return ret ? ret : (int)len;
}

void kmodel_expect(struct kfile *f, const void *data, uint64_t len)
{
	km_want_resize(f, len);
	if (len)
		memcpy(f->want, data, len);
}
