/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sizes and holes.  All of this waits for direct writes under way. */
#include "kmodel_impl.h"

#include <linux/falloc.h>
#include <linux/fuse.h>

int km_setattr_size(struct kmodel *k, struct kfile *f,
		    const struct fuse_setattr_in *in)
{
	struct fuse_attr_out out;
	int ret = kmodel_call(k, FUSE_SETATTR, f->nodeid, in, sizeof(*in), &out,
			      sizeof(out), NULL);

	if (!ret && out.attr.size != in->size)
		kmodel_violation(k, "%s: truncated to %llu, not to %llu", f->name,
				 (unsigned long long)out.attr.size,
				 (unsigned long long)in->size);
	return ret;
}

static int setattr_size(struct kmodel *k, struct kfile *f, uint64_t size)
{
	const struct fuse_setattr_in in = {
		.valid = FATTR_SIZE | FATTR_MTIME | FATTR_CTIME, .size = size,
		.mtime = 1700000003, .ctime = 1700000003,
	};
	int ret = km_setattr_size(k, f, &in);

	if (ret)
		return ret;
	f->disk_size = size;
	f->size_unsure = false;
	return 0;
}

static void zero_tail(struct kmodel *k, struct kfile *f, uint64_t size)
{
	uint64_t b = km_block(k, size);

	if (size % k->bs && b < f->npages && f->page[b].present)
		memset(f->page[b].data + size % k->bs, 0, k->bs - size % k->bs);
}

static int truncate_locked(struct kmodel *k, struct kfile *f, uint64_t size)
{
	uint64_t b, old = f->size;
	int ret = 0;

	if (size < old && size % k->bs)
		ret = km_zero_range(k, f, size, (km_block(k, size) + 1) * k->bs);
	else if (size > old)
		ret = km_zero_range(k, f, old, size);
	if (ret)
		return ret;
	kmodel_complete(k, f, false);
	km_want_resize(f, size);
	km_pages_drop(k, f, km_end_block(k, size), f->npages);
	if (size < old)
		zero_tail(k, f, size);
	km_flush(k, f, 0, KM_ALL);
	ret = setattr_size(k, f, size);
	if (ret) {
		/* the server may have the old size, and what was behind it */
		km_want_nothing(k, f, km_block(k, size), km_end_block(k, old));
		f->size_unsure = true;
		return ret;
	}
	kmodel_cache_drop(k, f, size, UINT64_MAX);
	for (b = km_end_block(k, size); b < f->npages; b++)
		f->page[b].unsure = false;
	return 0;
}

int kmodel_truncate(struct kmodel *k, struct kfile *f, uint64_t size)
{
	int ret;

	km_flights_land(k, f);
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
		ret = km_flush(k, f, km_block(k, pos) * k->bs,
			       end - km_block(k, pos) * k->bs);
		if (ret)
			return ret;
		km_pages_drop(k, f, km_block(k, pos), km_end_block(k, end));
	}
	ret = kmodel_call(k, FUSE_FALLOCATE, f->nodeid, &in, sizeof(in), NULL,
			  0, NULL);
	/* it may have done a part of it: zeroes first, blocks then */
	if (ret && zeroes)
		km_want_nothing(k, f, km_block(k, pos), km_end_block(k, end));
	if (ret)
		return ret;
	km_touch(k, f);
	kmodel_cache_drop(k, f, pos, end);
	if (zeroes)
		ret = km_zero_range(k, f, pos, min_u64(end, old));
	if (zeroes && !ret)
		km_want_zeroes(k, f, pos, end);
	else if (zeroes)
		km_want_nothing(k, f, km_block(k, pos), km_end_block(k, end));
	if (ret || (mode & FALLOC_FL_KEEP_SIZE) || end <= old)
		return ret;
	ret = km_zero_range(k, f, old, end);
	km_want_resize(f, end);
	f->disk_size = end;
	return ret ? ret : km_flush(k, f, 0, KM_ALL);
}

int kmodel_fallocate(struct kmodel *k, struct kfile *f, int mode, uint64_t pos,
		     uint64_t len)
{
	int ret;

	km_flights_land(k, f);
	k->no_faults = true;
	ret = fallocate_locked(k, f, mode, pos, len);
	k->no_faults = false;
	return ret;
}

/* What the copy will change must not be in pages, and nobody's by a flight. */
static int before_copy(struct kmodel *k, struct kfile *in, uint64_t in_pos,
		       struct kfile *out, uint64_t out_pos, uint64_t len)
{
	int ret;

	km_flights_land(k, in);
	km_flights_land(k, out);
	ret = km_flush(k, in, in_pos, len);
	if (!ret)
		ret = km_flush(k, out, out_pos, len);
	/* beyond the end of file the kernel zeroes first */
	if (!ret && out_pos > out->size)
		ret = km_zero_range(k, out, out->size, out_pos);
	if (!ret)
		ret = km_flush(k, out, 0, KM_ALL);
	if (!ret)
		km_pages_drop(k, out, km_block(k, out_pos),
			      km_end_block(k, out_pos + len));
	return ret;
}

static bool is_sure_range(const struct kmodel *k, struct kfile *f, uint64_t pos,
			  uint64_t len)
{
	uint64_t b;

	for (b = km_block(k, pos); b < km_end_block(k, pos + len); b++)
		if (km_page(f, b)->unsure)
			return false;
	return true;
}

int kmodel_copy(struct kmodel *k, struct kfile *in, uint64_t in_pos,
		struct kfile *out, uint64_t out_pos, uint64_t len)
{
	uint64_t arg[7] = {
		0, in_pos, out->nodeid, 0, out_pos, len, 0,
	}, n = 0;
	int ret = before_copy(k, in, in_pos, out, out_pos, len);

	if (ret)
		return ret;
	ret = kmodel_call(k, 53, in->nodeid, arg, sizeof(arg), &n, sizeof(n),
			  NULL);
	if (ret || !n)
		return ret;
	km_pages_drop(k, out, km_block(k, out_pos),
		      km_end_block(k, out_pos + n));
	kmodel_cache_drop(k, out, out_pos, out_pos + n);
	km_want_bytes(k, out, out_pos, n, in->want + in_pos);
	if (!is_sure_range(k, in, in_pos, n))
		km_want_nothing(k, out, km_block(k, out_pos),
				km_end_block(k, out_pos + n));
	out->disk_size = max_u64(out->disk_size, out_pos + n);
	km_touch(k, out);
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
