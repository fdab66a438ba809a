/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Writeback: dirty pages to the device, and the ioends that follow. */
#include "kmodel_impl.h"

static void ioend_add(struct kmodel *k, struct kfile *f, uint64_t b,
		      const struct fuse_file_iomap *m, int error)
{
	const uint32_t state = m->type == FUSE_IOMAP_TYPE_UNWRITTEN ?
			       KM_IOEND_UNWRITTEN : 0;
	uint64_t pos = b * k->bs, addr = m->addr + (pos - m->offset);
	uint64_t len = min_u64(k->bs, f->size - pos);
	struct kioend *io = f->ioends;

	if (io && io->pos + io->written == pos &&
	    io->addr + io->written == addr && io->flags == state &&
	    io->error == error && !km_chance(k, 6)) {
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
	km_want_nothing(k, f, b, b + 1);
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
	if (!ret)
		return 0;
	if (!f->wb_err)
		f->wb_err = ret;
	km_want_nothing(k, f, b, b + 1);
	return 0;
}

int kmodel_writeback(struct kmodel *k, struct kfile *f, uint64_t pos,
		     uint64_t len)
{
	struct fuse_file_iomap rd, wr = { 0 };
	uint64_t b, end = km_min3(km_end_block(k, min_u64(len, UINT64_MAX / 2 - pos) +
					       pos),
				  f->npages, km_end_block(k, f->size));
	int ret = 0, err;

	for (b = km_block(k, pos); b < end; b++) {
		if (!f->page[b].dirty || f->page[b].writeback)
			continue;
		err = 0;
		if (!km_covers(&wr, b * k->bs) ||
		    (f->by_cache && f->by_seq != f->seq))
			err = kmodel_begin(k, f, KM_WRITEBACK, b * k->bs,
					   k->bs, &rd, &wr);
		if (err) {
			wr.length = 0;
			err = page_discard(k, f, b, err);
		} else {
			/* overwriting what it reads from needs no ioend */
			err = page_write(k, f, b, km_dest(&rd, &wr));
		}
		if (err && !ret)
			ret = err;
	}
	return ret;
}

/* ------------------------------------------------------------------- ioends */

static struct kioend *ioend_take(struct kioend **p)
{
	struct kioend *io = *p;

	*p = io->next;
	return io;
}

static void ioend_send(struct kmodel *k, struct kfile *f, struct kioend *io)
{
	uint64_t b, end = km_end_block(k, io->pos + io->written);
	uint32_t flags = io->flags;
	int ret;

	if (io->pos + io->written > f->disk_size)
		flags |= KM_IOEND_APPEND;
	if (io->error || flags) {
		ret = kmodel_ioend(k, f, flags | KM_IOEND_WRITEBACK, io->error,
				   io->pos, io->written, k->dev, io->addr);
		/* an error answered to this is heard by nobody: fsync has to say it */
		if (ret && !io->error) {
			km_want_nothing(k, f, km_block(k, io->pos), end);
			f->untold = true;
		}
	}
	for (b = km_block(k, io->pos); b < end; b++)
		f->page[b].writeback = false;
	free(io);
}

void kmodel_complete(struct kmodel *k, struct kfile *f, bool some)
{
	struct kioend **p = &f->ioends, *list = NULL, **at, *io;

	while (*p) {
		if (some && km_chance(k, 2)) {
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
		       !km_chance(k, 4)) {
			io->written += list->written;
			free(ioend_take(&list));
		}
		ioend_send(k, f, io);
	}
}

int km_flush(struct kmodel *k, struct kfile *f, uint64_t pos, uint64_t len)
{
	int ret;

	kmodel_complete(k, f, false);
	ret = kmodel_writeback(k, f, pos, len);
	kmodel_complete(k, f, false);
	return ret;
}
