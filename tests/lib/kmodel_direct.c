/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Direct I/O.  A direct write is begun, then it is a flight for as long as the
 * device has it, then it lands: an ioend, and the pages are dropped.  One that
 * is waited for lands at once; of the others there may be many, and they land
 * in any order, or never (crash).  What was stored into the same bytes
 * meanwhile leaves nobody the wiser.
 */
#include "kmodel_impl.h"

struct piece {
	struct piece *next;
	uint64_t pos, len, addr;
	bool fresh;			/* its rest is to be zeroed */
};

struct kflight {
	struct kflight *next;
	uint64_t pos, len;		/* len: what was begun */
	unsigned char *data;
	struct piece *pieces;
	uint32_t flags;
	int error;
	bool issued, raced;
};

int kmodel_direct_read(struct kmodel *k, struct kfile *f, uint64_t pos,
		       uint64_t len)
{
	struct fuse_file_iomap rd, wr;
	unsigned char *buf;
	uint64_t n;
	int ret = km_flush(k, f, pos, len);

	if (ret || pos >= f->size)
		return ret;
	len = min_u64(len, f->size - pos);
	buf = emubd_must(aligned_alloc(OWFS_IO_ALIGN,
				       km_end_block(k, len + k->bs) * k->bs));
	for (; len && !ret; pos += n, len -= n) {
		ret = kmodel_begin(k, f, KM_DIO_READ, pos, len, &rd, &wr);
		if (ret)
			break;
		n = min_u64(len, km_left(&rd, pos));
		if (rd.type == FUSE_IOMAP_TYPE_DELALLOC)
			kmodel_violation(k, "%s: direct read of what is delayed",
					 f->name);
		memset(buf, 0, n);
		if (rd.type == FUSE_IOMAP_TYPE_MAPPED)
			ret = owfs_blkdev_read(k->srv.bd, buf,
					       div_round_up(n, KM_SECTOR) *
					       KM_SECTOR,
					       (loff_t)(rd.addr + (pos - rd.offset)));
		if (!ret)
			ret = km_compare(k, f, pos, n, buf, "direct read");
	}
	free(buf);
	return ret;
}

/* ------------------------------------------------------------------- flights */

static void flight_free(struct kflight *fl)
{
	struct piece *pc;

	while ((pc = fl->pieces)) {
		fl->pieces = pc->next;
		free(pc);
	}
	free(fl->data);
	free(fl);
}

void km_flights_free(struct kfile *f)
{
	struct kflight *fl;

	while ((fl = f->flights)) {
		f->flights = fl->next;
		flight_free(fl);
	}
}

void km_flights_race(struct kfile *f, uint64_t pos, uint64_t len)
{
	struct kflight *fl;

	for (fl = f->flights; fl; fl = fl->next)
		if (pos < fl->pos + fl->len && fl->pos < pos + len)
			fl->raced = true;
}

/* Zeroes to the edges of a block that is new, or past the end of file. */
static int pad(struct kmodel *k, uint64_t addr, uint64_t len)
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

static int issue_piece(struct kmodel *k, const struct kfile *f,
		       const struct kflight *fl, const struct piece *pc)
{
	uint64_t head = pc->pos % k->bs, tail = (pc->pos + pc->len) % k->bs;
	void *buf = emubd_must(aligned_alloc(OWFS_IO_ALIGN,
					     div_round_up(pc->len, OWFS_IO_ALIGN) *
					     OWFS_IO_ALIGN));
	int ret = 0;

	memcpy(buf, fl->data + (pc->pos - fl->pos), pc->len);
	if (pc->fresh)
		ret = pad(k, pc->addr - head, head);
	if (!ret)
		ret = owfs_blkdev_write(k->srv.bd, buf, pc->len,
					(loff_t)pc->addr);
	if (!ret && tail && (pc->fresh || pc->pos + pc->len >= f->size))
		ret = pad(k, pc->addr + pc->len, k->bs - tail);
	free(buf);
	return ret;
}

static void issue(struct kmodel *k, struct kfile *f, struct kflight *fl)
{
	const struct piece *pc;
	int ret;

	if (fl->issued)
		return;
	fl->issued = true;
	for (pc = fl->pieces; pc; pc = pc->next) {
		ret = issue_piece(k, f, fl, pc);
		if (ret && !fl->error)
			fl->error = ret;
	}
}

static int begin_piece(struct kmodel *k, struct kfile *f, struct kflight *fl,
		       uint64_t len)
{
	const uint64_t pos = fl->pos + fl->len;
	const struct fuse_file_iomap *m;
	struct fuse_file_iomap rd, wr;
	struct piece *pc;
	int ret = kmodel_begin(k, f, KM_DIO_WRITE, pos, len, &rd, &wr);

	if (ret)
		return ret;
	m = km_dest(&rd, &wr);
	if (m->type != FUSE_IOMAP_TYPE_UNWRITTEN &&
	    m->type != FUSE_IOMAP_TYPE_MAPPED) {
		kmodel_violation(k, "%s: direct write to type %u", f->name,
				 m->type);
		return -EIO;
	}
	pc = emubd_must(calloc(1, sizeof(*pc)));
	*pc = (struct piece){
		.next = fl->pieces, .pos = pos,
		.len = km_min3(len, km_left(&rd, pos), km_left(&wr, pos)),
		.addr = m->addr + (pos - m->offset),
		.fresh = m->type == FUSE_IOMAP_TYPE_UNWRITTEN,
	};
	fl->pieces = pc;
	fl->len += pc->len;
	if (pc->fresh)
		fl->flags |= KM_IOEND_UNWRITTEN;
	kmodel_end(k, f, KM_DIO_WRITE, pos, pc->len, (int64_t)pc->len, m, false);
	return 0;
}

/* Ask for all of it.  *@ret: why it ended earlier. */
static struct kflight *begin(struct kmodel *k, struct kfile *f, uint64_t pos,
			     uint64_t len, const void *data, int *ret)
{
	struct kflight *fl = emubd_must(calloc(1, sizeof(*fl)));

	*fl = (struct kflight){
		.pos = pos, .data = emubd_must(malloc(len)),
		.flags = KM_IOEND_DIRECT,
	};
	memcpy(fl->data, data, len);
	for (*ret = 0; fl->len < len && !*ret;)
		*ret = begin_piece(k, f, fl, len - fl->len);
	/* the rest of the bytes would be written where the first of them belong */
	if (*ret == -ENOSYS && fl->len)
		kmodel_violation(k, "%s: a direct write is refused half way",
				 f->name);
	/* a short write is what this one word means */
	if (*ret && *ret != -ENOTBLK)
		fl->error = *ret;
	return fl;
}

/* Pages of [first, end) that nobody has dirtied meanwhile are forgotten. */
static void invalidate(struct kfile *f, uint64_t first, uint64_t end)
{
	uint64_t b;

	for (b = first; b < end && b < f->npages; b++)
		if (!f->page[b].dirty && !f->page[b].writeback)
			f->page[b].present = false;
}

/* The ioend; what has become of @fl, which is gone. */
static int land(struct kmodel *k, struct kfile *f, struct kflight *fl)
{
	const uint64_t end = fl->pos + fl->len;
	int ret;

	issue(k, f, fl);
	if (end > f->disk_size)
		fl->flags |= KM_IOEND_APPEND;
	ret = kmodel_ioend(k, f, fl->flags, fl->error, fl->pos, fl->len, 0,
			   FUSE_IOMAP_NULL_ADDR);
	if (fl->error)
		ret = fl->error;
	invalidate(f, km_block(k, fl->pos), km_end_block(k, end));
	if (fl->raced)
		km_want_nothing(k, f, km_block(k, fl->pos), km_end_block(k, end));
	else if (!ret && fl->len)
		km_want_bytes(k, f, fl->pos, fl->len, fl->data);
	flight_free(fl);
	return ret;
}

static void count_flying(struct kmodel *k, struct kfile *f,
			 const struct kflight *fl, int n)
{
	uint64_t b;

	for (b = km_block(k, fl->pos); b < km_end_block(k, fl->pos + fl->len); b++)
		km_page(f, b)->flying += n;
}

static void take_off(struct kmodel *k, struct kfile *f, struct kflight *fl)
{
	const struct kflight *other;

	km_flights_race(f, fl->pos, fl->len);
	for (other = f->flights; other; other = other->next)
		fl->raced |= other->pos < fl->pos + fl->len &&
			     fl->pos < other->pos + other->len;
	fl->next = f->flights;
	f->flights = fl;
	count_flying(k, f, fl, 1);
	if (km_chance(k, 2))
		issue(k, f, fl);
}

bool km_flights_land_one(struct kmodel *k, struct kfile *f)
{
	struct kflight **p = &f->flights, *fl;

	if (!*p)
		return false;
	while ((*p)->next && km_chance(k, 2))
		p = &(*p)->next;
	fl = *p;
	*p = fl->next;
	count_flying(k, f, fl, -1);
	land(k, f, fl);
	return true;
}

void km_flights_land(struct kmodel *k, struct kfile *f)
{
	while (km_flights_land_one(k, f))
		;
}

void kmodel_land(struct kmodel *k, struct kfile *f, bool some)
{
	if (!some)
		km_flights_land(k, f);
	while (some && !km_chance(k, 2) && km_flights_land_one(k, f))
		;
}

/* ------------------------------------------------------------------- writing */

static int fallback(struct kmodel *k, struct kfile *f, uint64_t pos,
		    uint64_t len, const unsigned char *data)
{
	int ret = kmodel_write(k, f, pos, len, data);

	return ret ? ret : km_flush(k, f, pos, len);
}

static int direct_write(struct kmodel *k, struct kfile *f, uint64_t pos,
			uint64_t len, const unsigned char *data, bool wait)
{
	struct kflight *fl;
	uint64_t done;
	int ret = 0, err;

	if (pos > f->size)
		ret = km_zero_range(k, f, f->size, pos);
	if (!ret)
		ret = km_flush(k, f, pos, len);
	if (ret)
		return ret;
	km_pages_drop(k, f, km_block(k, pos), km_end_block(k, pos + len));
	fl = begin(k, f, pos, len, data, &err);
	done = fl->len;
	if (!err && !wait && pos + len <= f->size) {
		km_touch(k, f);
		take_off(k, f, fl);
		return 0;
	}
	ret = land(k, f, fl);
	if (!ret)
		km_touch(k, f);
	/* by the kernel, or by who wrote it */
	if ((err == -ENOSYS && !done) || (err == -ENOTBLK && !ret))
		return fallback(k, f, pos + done, len - done, data + done);
	return ret;
}

int kmodel_direct_write(struct kmodel *k, struct kfile *f, uint64_t pos,
			uint64_t len, const void *data)
{
	return direct_write(k, f, pos, len, data, true);
}

int kmodel_direct_async(struct kmodel *k, struct kfile *f, uint64_t pos,
			uint64_t len, const void *data)
{
	return direct_write(k, f, pos, len, data, false);
}
