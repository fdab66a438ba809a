/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The same server under a kernel that leaves the data to it: requests to read
 * and write, and no page cache in between.
 */
#include "kmodel_impl.h"

#include <linux/fuse.h>

#define REQUEST_MAX	(64u << 10)

int kmodel_plain_write(struct kmodel *k, struct kfile *f, uint64_t pos,
		       uint64_t len, const void *data)
{
	struct { struct fuse_write_in in; char data[REQUEST_MAX]; } *rq =
		emubd_must(calloc(1, sizeof(*rq)));
	const char *from = data;
	struct fuse_write_out out = { 0 };
	uint64_t n;
	int ret = 0;

	for (; len && !ret; pos += n, from += n, len -= n) {
		n = min_u64(len, REQUEST_MAX);
		rq->in.offset = pos;
		rq->in.size = (uint32_t)n;
		memcpy(rq->data, from, n);
		ret = kmodel_call(k, FUSE_WRITE, f->nodeid, rq,
				  sizeof(rq->in) + n, &out, sizeof(out), NULL);
		if (ret)
			break;
		if (out.size > n || !out.size)
			kmodel_violation(k, "%s: wrote %u of %llu", f->name,
					 out.size, (unsigned long long)n);
		n = out.size;
		km_want_bytes(k, f, pos, n, from);
	}
	free(rq);
	return ret;
}

int kmodel_plain_read(struct kmodel *k, struct kfile *f, uint64_t pos,
		      uint64_t len, void *buf)
{
	char *to = buf;
	uint64_t done = 0;
	size_t n = 1;
	int ret = 0;

	while (done < len && n && !ret) {
		struct fuse_read_in in = {
			.offset = pos + done,
			.size = (uint32_t)min_u64(len - done, REQUEST_MAX),
		};

		ret = kmodel_call(k, FUSE_READ, f->nodeid, &in, sizeof(in),
				  to + done, in.size, &n);
		done += ret ? 0 : n;
	}
	return ret ? ret : (int)done;
}

int kmodel_plain_truncate(struct kmodel *k, struct kfile *f, uint64_t size)
{
	const struct fuse_setattr_in in = { .valid = FATTR_SIZE, .size = size };
	int ret = km_setattr_size(k, f, &in);

	if (!ret)
		km_want_resize(f, size);
	return ret;
}

int kmodel_plain_fallocate(struct kmodel *k, struct kfile *f, int mode,
			   uint64_t pos, uint64_t len)
{
	struct fuse_fallocate_in in = {
		.offset = pos, .length = len, .mode = (uint32_t)mode,
	};

	return kmodel_call(k, FUSE_FALLOCATE, f->nodeid, &in, sizeof(in), NULL,
			   0, NULL);
}

int kmodel_plain_copy(struct kmodel *k, struct kfile *in, uint64_t in_pos,
		      struct kfile *out, uint64_t out_pos, uint64_t len)
{
	uint64_t arg[7] = { 0, in_pos, out->nodeid, 0, out_pos, len, 0 }, n = 0;

	return kmodel_call(k, 53, in->nodeid, arg, sizeof(arg), &n, sizeof(n),
			   NULL);
}

int kmodel_plain_fsync(struct kmodel *k, struct kfile *f)
{
	struct fuse_fsync_in in = { .fsync_flags = 0 };

	return kmodel_call(k, FUSE_FSYNC, f->nodeid, &in, sizeof(in), NULL, 0,
			   NULL);
}
