/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's cache of mappings: a list of ranges for each of the two sides.
 * The write side is absent until something else than an overwrite was kept
 * there; absent means that writes go where reads come from.
 */
#include "kmodel_impl.h"

struct kentry {
	struct kentry *next;
	struct fuse_file_iomap m;
};

static struct kentry *entry_new(struct kentry *next,
				const struct fuse_file_iomap *m)
{
	struct kentry *e = emubd_must(malloc(sizeof(*e)));

	e->next = next;
	e->m = *m;
	return e;
}

/* The part of @m in [from, to), which has one. */
static struct fuse_file_iomap part(const struct fuse_file_iomap *m,
				   uint64_t from, uint64_t to)
{
	struct fuse_file_iomap p = *m;

	p.offset = max_u64(m->offset, from);
	p.length = min_u64(m->offset + m->length, to) - p.offset;
	if (m->addr != FUSE_IOMAP_NULL_ADDR)
		p.addr += p.offset - m->offset;
	return p;
}

static void side_drop(struct kentry **list, uint64_t from, uint64_t to)
{
	struct kentry **p = list, *e;
	struct fuse_file_iomap m;

	while ((e = *p)) {
		m = e->m;
		if (m.offset >= to || m.offset + m.length <= from) {
			p = &e->next;
			continue;
		}
		*p = e->next;
		free(e);
		if (m.offset < from) {
			*p = entry_new(*p, &(struct fuse_file_iomap){ 0 });
			(*p)->m = part(&m, 0, from);
			p = &(*p)->next;
		}
		if (m.offset + m.length > to) {
			*p = entry_new(*p, &(struct fuse_file_iomap){ 0 });
			(*p)->m = part(&m, to, UINT64_MAX);
			p = &(*p)->next;
		}
	}
}

static bool side_find(struct kentry *list, uint64_t pos,
		      struct fuse_file_iomap *m)
{
	for (; list; list = list->next) {
		if (pos < list->m.offset || pos - list->m.offset >= list->m.length)
			continue;
		*m = list->m;
		return true;
	}
	return false;
}

void kmodel_cache_drop(struct kmodel *k, struct kfile *f, uint64_t pos,
		       uint64_t end)
{
	if (!f->rd && !f->wr)
		return;
	pos -= pos % k->bs;
	if (end < UINT64_MAX - k->bs)
		end = div_round_up(end, k->bs) * k->bs;
	side_drop(&f->rd, pos, end);
	side_drop(&f->wr, pos, end);
	f->seq++;
}

void kmodel_cache_free(struct kfile *f)
{
	side_drop(&f->rd, 0, UINT64_MAX);
	side_drop(&f->wr, 0, UINT64_MAX);
}

/* What of [pos, pos + count), rounded to blocks, a mapping is cut to. */
static struct fuse_file_iomap trim(const struct kmodel *k,
				   const struct fuse_file_iomap *m,
				   uint64_t pos, uint64_t count)
{
	uint64_t from = pos - pos % k->bs, end = UINT64_MAX;

	if (count < UINT64_MAX - pos - k->bs)
		end = div_round_up(pos + count, k->bs) * k->bs;
	return part(m, from, end);
}

bool kmodel_cache_find(struct kmodel *k, struct kfile *f, uint32_t opflags,
		       uint64_t pos, uint64_t count,
		       struct fuse_file_iomap *rd, struct fuse_file_iomap *wr)
{
	const bool write_like = opflags & 0x80000083u;
	struct fuse_file_iomap m, w;

	if (opflags & 0x40000200u)	/* swap files and atomic writes */
		return false;
	if (!side_find(f->rd, pos, &m))
		return false;
	*rd = trim(k, &m, pos, count);
	*wr = *rd;
	wr->type = FUSE_IOMAP_TYPE_PURE_OVERWRITE;
	wr->addr = FUSE_IOMAP_NULL_ADDR;
	wr->dev = FUSE_IOMAP_DEV_NULL;
	if (!write_like)
		return true;
	if (!f->wr_used) {
		kmodel_violation(k, "%s: a write overwrites what it would read",
				 f->name);
		return true;
	}
	if (!side_find(f->wr, pos, &w))
		return false;
	*wr = trim(k, &w, pos, count);
	if (wr->type == FUSE_IOMAP_TYPE_HOLE)
		return opflags & KM_ZERO;
	if (wr->type == FUSE_IOMAP_TYPE_DELALLOC)
		return !(opflags & KM_DIO_READ);
	return true;
}

static struct kfile *file_of(struct kmodel *k, uint64_t nodeid)
{
	struct kfile *f;

	for (f = k->files; f; f = f->next)
		if (f->nodeid == nodeid)
			return f;
	return NULL;
}

static void side_put(struct kentry **list, const struct fuse_file_iomap *m)
{
	side_drop(list, m->offset, m->offset + m->length);
	*list = entry_new(*list, m);
}

int kmodel_upsert(struct kmodel *k, uint64_t nodeid, uint64_t ino,
		  const struct fuse_file_iomap *rd,
		  const struct fuse_file_iomap *wr)
{
	struct kfile *f = file_of(k, nodeid);

	if (!f)
		return -ESTALE;
	if (ino != nodeid)
		return -EINVAL;
	if (rd->type != FUSE_IOMAP_TYPE_NOCACHE) {
		if (kmodel_check(k, 0, rd->offset, "read", rd))
			return -117;
		side_put(&f->rd, rd);
	}
	if (wr->type != FUSE_IOMAP_TYPE_NOCACHE &&
	    (f->wr_used || wr->type != FUSE_IOMAP_TYPE_PURE_OVERWRITE)) {
		if (kmodel_check(k, 0, wr->offset, "write", wr))
			return -117;
		if (wr->type == FUSE_IOMAP_TYPE_DELALLOC)
			kmodel_violation(k, "%s: writeback would fail by its cache",
					 f->name);
		side_put(&f->wr, wr);
		f->wr_used = true;
	}
	f->has_cache = true;
	f->seq++;
	return 0;
}

int kmodel_inval(struct kmodel *k, uint64_t nodeid,
		 const struct fuse_file_range *rd,
		 const struct fuse_file_range *wr)
{
	struct kfile *f = file_of(k, nodeid);

	if (!f)
		return -ESTALE;
	if ((rd->offset | rd->length | wr->offset | wr->length) % k->bs)
		return -EINVAL;
	if (rd->length)
		side_drop(&f->rd, rd->offset, rd->offset + rd->length);
	if (wr->length)
		side_drop(&f->wr, wr->offset, wr->offset + wr->length);
	f->seq++;
	return 0;
}
