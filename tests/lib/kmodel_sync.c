/* SPDX-License-Identifier: GPL-2.0-or-later */
/* close, fsync, syncfs, stat, and what they promise; swap files. */
#include "kmodel_impl.h"

#include <linux/fuse.h>

int km_setattr_times(struct kmodel *k, struct kfile *f)
{
	struct fuse_setattr_in in = {
		.valid = FATTR_ATIME | FATTR_MTIME | FATTR_CTIME,
		.atime = 1700000000,
		.mtime = (uint64_t)f->time.tv_sec,
		.mtimensec = (uint32_t)f->time.tv_nsec,
		.ctime = (uint64_t)f->time.tv_sec,
		.ctimensec = (uint32_t)f->time.tv_nsec,
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

static bool is_size_unsure(const struct kmodel *k, struct kfile *f)
{
	return f->size_unsure ||
	       (f->size && km_page(f, (f->size - 1) / k->bs)->flying);
}

/* All is written: the server must have what the users expect. */
static void compare_server(struct kmodel *k, struct kfile *f)
{
	struct owfs_inode *inode;
	unsigned char *buf;
	uint64_t size;
	ssize_t n;

	if (owfs_iget(k->srv.fs, f->nodeid, &inode)) {
		kmodel_violation(k, "%s: the server has lost the inode", f->name);
		return;
	}
	buf = emubd_must(aligned_alloc(OWFS_IO_ALIGN,
				       km_end_block(k, f->size + k->bs) * k->bs));
	size = inode->i_attr.size;
	if (size != f->size && !is_size_unsure(k, f))
		kmodel_violation(k, "%s: fsync: the server's size is %llu, should be %llu",
				 f->name, (unsigned long long)size,
				 (unsigned long long)f->size);
	n = owfs_file_read(inode, buf, f->size, 0);
	if (n >= 0)
		km_compare(k, f, 0, min_u64((uint64_t)n, f->size), buf, "fsync");
	owfs_iput(inode);
	free(buf);
}

/* Everything to the server; an error is told once. */
static int hand_over(struct kmodel *k, struct kfile *f)
{
	int ret = km_flush(k, f, 0, KM_ALL), err = f->wb_err;

	f->wb_err = 0;
	if (!ret)
		ret = err;
	return ret ? ret : km_setattr_times(k, f);
}

/* What only the server knows to be lost, it has to say. */
static void check_told(struct kmodel *k, const struct kfile *f, const char *how)
{
	if (f->untold)
		kmodel_violation(k, "%s: data was lost, and %s does not say so",
				 f->name, how);
}

int kmodel_fsync(struct kmodel *k, struct kfile *f)
{
	struct fuse_fsync_in in = { .fsync_flags = 0 };
	int ret = hand_over(k, f);

	if (!ret)
		ret = kmodel_call(k, FUSE_FSYNC, f->nodeid, &in, sizeof(in),
				  NULL, 0, NULL);
	if (ret)
		return ret;
	check_told(k, f, "fsync");
	compare_server(k, f);
	return 0;
}

int kmodel_close(struct kmodel *k, struct kfile *f)
{
	struct fuse_flush_in in = { .fh = 0 };
	int ret;

	km_flights_land(k, f);
	ret = hand_over(k, f);
	if (ret)
		return ret;
	if (!k->no_flush)
		ret = kmodel_call(k, FUSE_FLUSH, f->nodeid, &in, sizeof(in),
				  NULL, 0, NULL);
	if (ret == -ENOSYS) {
		k->no_flush = true;
		ret = 0;
	}
	if (ret)
		return ret;
	check_told(k, f, "close");
	compare_server(k, f);
	return 0;
}

int kmodel_syncfs(struct kmodel *k)
{
	const uint64_t in = 0;
	struct kfile *f;
	int ret = 0;

	for (f = k->files; f; f = f->next) {
		km_flush(k, f, 0, KM_ALL);
		if (km_setattr_times(k, f) && !ret)
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

/*
 * The size in the answer is not the kernel's, which it keeps, and by a mistake
 * of this version it then believes that the server has its own.
 */
int kmodel_stat(struct kmodel *k, struct kfile *f)
{
	struct fuse_getattr_in in = { .fh = 0 };
	struct fuse_attr_out out;
	int ret = kmodel_call(k, FUSE_GETATTR, f->nodeid, &in, sizeof(in), &out,
			      sizeof(out), NULL);

	if (ret)
		return ret;
	if (out.attr.size > f->size && !f->size_unsure)
		kmodel_violation(k, "%s: stat: size=%llu, should be %llu at most",
				 f->name, (unsigned long long)out.attr.size,
				 (unsigned long long)f->size);
	f->disk_size = f->size;
	return 0;
}

int kmodel_swapon(struct kmodel *k, struct kfile *f)
{
	struct fuse_file_iomap rd, wr;
	uint64_t pos;
	int ret = kmodel_fsync(k, f);

	for (pos = 0; pos < f->size && !ret; pos = rd.offset + rd.length) {
		ret = kmodel_begin(k, f, KM_SWAP, pos, f->size - pos, &rd, &wr);
		if (ret)
			break;
		if (rd.flags & (1u << 1 | 1u << 2))
			kmodel_violation(k, "%s: swapon: flags=%x", f->name,
					 rd.flags);
		if (rd.type != FUSE_IOMAP_TYPE_MAPPED &&
		    rd.type != FUSE_IOMAP_TYPE_UNWRITTEN)
			ret = -EINVAL;
	}
	if (ret)
		kmodel_ioend(k, f, KM_IOEND_SWAPOFF, ret, 0, 0, 0,
			     FUSE_IOMAP_NULL_ADDR);
	return ret;
}

void kmodel_swapoff(struct kmodel *k, struct kfile *f)
{
	kmodel_ioend(k, f, KM_IOEND_SWAPOFF, 0, 0, 0, 0, FUSE_IOMAP_NULL_ADDR);
}
