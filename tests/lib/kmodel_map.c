/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Begin, end and ioend, checked as the kernel checks their answers. */
#include "kmodel_impl.h"

#define F_ANON_WRITE	(1u << 5)

static void trace(struct kmodel *k, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void trace(struct kmodel *k, const char *fmt, ...)
{
	size_t n;
	va_list ap;

	if (!k->trace)
		return;
	n = strlen(k->trace);
	va_start(ap, fmt);
	vsnprintf(k->trace + n, k->trace_size - n, fmt, ap);
	va_end(ap);
}

static bool is_null(const struct fuse_file_iomap *m)
{
	return m->dev == FUSE_IOMAP_DEV_NULL && m->addr == FUSE_IOMAP_NULL_ADDR;
}

/* What is wrong with a mapping, or NULL. */
static const char *bad_mapping(const struct kmodel *k,
			       const struct fuse_file_iomap *m, uint64_t pos,
			       bool is_write)
{
	const uint64_t dev_size = k->srv.fs->fs_bd->size;

	switch (m->type) {
	case FUSE_IOMAP_TYPE_MAPPED:
	case FUSE_IOMAP_TYPE_UNWRITTEN:
		if (m->dev != k->dev)
			return "not on the device";
		if (m->addr == FUSE_IOMAP_NULL_ADDR ||
		    m->addr + m->length < m->addr)
			return "no address";
		/* the kernel would find out by an error of the device */
		if (m->addr % k->bs || m->addr + m->length > dev_size)
			return "address";
		break;
	case FUSE_IOMAP_TYPE_HOLE:
	case FUSE_IOMAP_TYPE_DELALLOC:
		if (!is_null(m))
			return "address of what has none";
		break;
	case FUSE_IOMAP_TYPE_PURE_OVERWRITE:
		if (!is_write)
			return "overwrite to read from";
		break;
	default:
		return "type";
	}
	/* of the others one marks what no file of a server may have */
	if (m->flags & ~0xffu || m->flags & F_ANON_WRITE)
		return "flags";
	if (!m->length || m->offset % k->bs || m->length % k->bs ||
	    m->offset + m->length < m->offset)
		return "range";
	if (m->offset >= k->maxbytes)
		return "past the largest file";
	if (pos < m->offset || pos - m->offset >= m->length)
		return "does not have what was asked for";
	return NULL;
}

int kmodel_check(struct kmodel *k, uint32_t opflags, uint64_t pos,
		 const char *what, const struct fuse_file_iomap *m)
{
	const char *bad = bad_mapping(k, m, pos, *what == 'w');

	if (!bad)
		return 0;
	kmodel_violation(k, "begin %x at %llu: %s mapping: %s: off=%llu len=%llu addr=%llx type=%u dev=%u flags=%x",
			 opflags, (unsigned long long)pos, what, bad,
			 (unsigned long long)m->offset,
			 (unsigned long long)m->length,
			 (unsigned long long)m->addr, m->type, m->dev,
			 m->flags);
	return 1;
}

/* "Look in your cache": what must be there. */
static void check_retry(struct kmodel *k, const struct kfile *f, uint64_t pos,
			const struct fuse_file_iomap *m)
{
	struct fuse_file_iomap hole = *m;

	if (!f->has_cache)
		kmodel_violation(k, "%s: there is no cache to look in", f->name);
	hole.type = FUSE_IOMAP_TYPE_HOLE;
	kmodel_check(k, 0, pos, "retry", &hole);
}

/*
 * An answer is believed for the whole pass, which does not look whether another
 * one has written some of it, and the file goes on from there, in the meantime.
 */
static void check_pass(struct kmodel *k, const struct kfile *f, uint64_t end,
		       const struct fuse_file_iomap *m)
{
	if (km_block(k, m->offset + m->length) > km_end_block(k, end))
		kmodel_violation(k, "%s: writeback up to %llu: answered up to %llu",
				 f->name, (unsigned long long)end,
				 (unsigned long long)(m->offset + m->length));
}

static int ask(struct kmodel *k, struct kfile *f, uint32_t opflags,
	       uint64_t pos, uint64_t count, struct fuse_file_iomap *rd,
	       struct fuse_file_iomap *wr)
{
	struct { uint32_t opflags, zero; uint64_t ino, pos, count; } in = {
		opflags, 0, f->nodeid, pos, count,
	};
	struct { struct fuse_file_iomap rd, wr; } out;
	size_t len = 0;
	int ret = kmodel_call(k, 4094, f->nodeid, &in, sizeof(in), &out,
			      sizeof(out), &len);

	trace(k, "BEGIN %x %llu+%llu\n", opflags, (unsigned long long)pos,
	      (unsigned long long)count);
	while (ret == -EINPROGRESS) {
		if (!km_flights_land_one(k, f)) {
			kmodel_violation(k, "%s: begin %x at %llu: is never answered",
					 f->name, opflags,
					 (unsigned long long)pos);
			return -EIO;
		}
		ret = kmodel_answer(k, &out, sizeof(out), &len);
	}
	if (ret)
		return ret;
	if (len != sizeof(out)) {
		kmodel_violation(k, "begin: answer of %zu bytes", len);
		return -EIO;
	}
	if (out.rd.type == FUSE_IOMAP_TYPE_RETRY_CACHE)
		check_retry(k, f, pos, &out.rd);
	else
		kmodel_check(k, opflags, pos, "read", &out.rd);
	kmodel_check(k, opflags, pos, "write", &out.wr);
	if (opflags == KM_WRITEBACK)
		check_pass(k, f, pos + count, &out.wr);
	*rd = out.rd;
	*wr = out.wr;
	return 0;
}

/* The cache first, then the server, who may say that the cache has it now. */
int kmodel_begin(struct kmodel *k, struct kfile *f, uint32_t opflags,
		 uint64_t pos, uint64_t count, struct fuse_file_iomap *rd,
		 struct fuse_file_iomap *wr)
{
	int ret, tries;

	for (tries = 0; tries < 4; tries++) {
		f->by_seq = f->seq;
		f->by_cache = kmodel_cache_find(k, f, opflags, pos, count, rd,
						wr);
		if (f->by_cache)
			return 0;
		ret = ask(k, f, opflags, pos, count, rd, wr);
		if (ret || rd->type != FUSE_IOMAP_TYPE_RETRY_CACHE)
			return ret;
		/* a fatal signal ends the attempt here, and nobody is told */
		if (opflags == KM_WRITE && k->rng && rng_below(k->rng, 50) == 0)
			return -EINTR;
	}
	kmodel_violation(k, "%s: begin %x at %llu: the cache never has it",
			 f->name, opflags, (unsigned long long)pos);
	return -EIO;
}

int kmodel_end(struct kmodel *k, struct kfile *f, uint32_t opflags,
	       uint64_t pos, uint64_t count, int64_t written,
	       const struct fuse_file_iomap *map, bool size_changed)
{
	struct {
		uint32_t opflags, zero;
		uint64_t ino, pos, count;
		int64_t written;
		struct fuse_file_iomap map;
	} in = { opflags, 0, f->nodeid, pos, count, written, *map };
	int ret;

	if (k->no_end || !(opflags & 0x80000083u) ||
	    (!size_changed && written >= (int64_t)count))
		return 0;
	if (size_changed)
		in.map.flags |= FUSE_IOMAP_F_SIZE_CHANGED;
	ret = kmodel_call(k, 4095, f->nodeid, &in, sizeof(in), NULL, 0, NULL);
	trace(k, "END %x %llu+%llu written %lld flags %x\n", opflags,
	      (unsigned long long)pos, (unsigned long long)count,
	      (long long)written, in.map.flags);
	if (ret == -ENOSYS)
		k->no_end = true;
	return ret == -ENOSYS ? 0 : ret;
}

int kmodel_ioend(struct kmodel *k, struct kfile *f, uint32_t flags, int error,
		 uint64_t pos, uint64_t written, uint32_t dev, uint64_t addr)
{
	struct {
		uint32_t flags;
		int32_t error;
		uint64_t ino, pos, new_addr, written;
		uint32_t dev, zero;
	} in = {
		flags, error, f->nodeid, pos,
		addr == FUSE_IOMAP_NULL_ADDR ? addr : addr / 512, written, dev, 0,
	};
	uint64_t newsize = 0;
	size_t len = 0;
	int ret;

	if (k->no_ioend)
		return 0;
	k->in_ioend = true;
	ret = kmodel_call(k, 4093, f->nodeid, &in, sizeof(in), &newsize,
			  sizeof(newsize), &len);
	k->in_ioend = false;
	trace(k, "IOEND %x %llu+%llu error %d dev %u\n", flags,
	      (unsigned long long)pos, (unsigned long long)written, error, dev);
	if (ret == -ENOSYS) {
		k->no_ioend = true;
		kmodel_violation(k, "ioend: ENOSYS: the kernel will send no other");
		return 0;
	}
	if (ret)
		return ret;
	if (len != sizeof(newsize))
		kmodel_violation(k, "ioend: answer of %zu bytes", len);
	/* two direct writes to one block count when both have landed */
	if (!error && written && newsize < pos + written && !f->flights)
		kmodel_violation(k, "ioend: size %llu after %llu+%llu",
				 (unsigned long long)newsize,
				 (unsigned long long)pos,
				 (unsigned long long)written);
	f->disk_size = newsize;
	if (written)
		kmodel_cache_drop(k, f, pos, pos + written);
	return 0;
}
