/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Young buffers on their way to the device: the checksum, then large writes of
 * blocks that lie side by side.  Nothing here takes memory, because a commit
 * must not need any.
 */
#include <stdlib.h>

#include "base/util.h"
#include "io/buf_impl.h"

#define BATCH_BYTES	(1u << 20)
#define BATCH_BUFS	(BATCH_BYTES / OWFS_BLOCK_MIN)

void owfs_buf_seal_csum(struct owfs_buf *buf)
{
	buf->b_ptr.csum = owfs_buf_checksum(buf);
	owfs_buf_hdr(buf)->bh_csum = cpu_to_le64(buf->b_ptr.csum);
	buf->b_csum_known = true;
}

static int cmp_addr(const void *a, const void *b, void *copyp)
{
	const int copy = *(int *)copyp;
	const struct owfs_buf *x = *(struct owfs_buf *const *)a;
	const struct owfs_buf *y = *(struct owfs_buf *const *)b;

	return (x->b_ptr.addr[copy] > y->b_ptr.addr[copy]) -
	       (x->b_ptr.addr[copy] < y->b_ptr.addr[copy]);
}

/*
 * Is there anything to write?  The block of a forgotten buffer may belong to
 * somebody else by now.
 */
static bool wants_write(const struct owfs_buf *buf, int copy)
{
	return buf->b_ptr.addr[copy] != OWFS_NOBLOCK && !buf->b_forgotten;
}

/* One write of neighbours, starting with @bufs[0]; returns how many or -errno. */
static int write_run(struct owfs_bufcache *bc, struct owfs_buf **bufs, size_t n,
		     int copy)
{
	struct iovec iov[BATCH_BUFS];
	const owfs_fsblock_t start = bufs[0]->b_ptr.addr[copy];
	size_t max = min_u64(n, BATCH_BYTES / bc->blocksize);
	int cnt = 0, ret;

	while ((size_t)cnt < max && wants_write(bufs[cnt], copy) &&
	       bufs[cnt]->b_ptr.addr[copy] == start + (uint64_t)cnt) {
		iov[cnt].iov_base = bufs[cnt]->b_data;
		iov[cnt].iov_len = bc->blocksize;
		cnt++;
	}
	ret = owfs_blkdev_writev(bc->bd, iov, cnt, (size_t)cnt * bc->blocksize,
				 (loff_t)(start * bc->blocksize));
	if (ret)
		owfs_msg(bc->msg, OWFS_MSG_ERROR,
			 "%s %llu: cannot be written: copy=%d blocks=%d error=%d",
			 bufs[0]->b_ops->name, (unsigned long long)start, copy,
			 cnt, -ret);
	return ret ? ret : cnt;
}

static int write_copy(struct owfs_bufcache *bc, struct owfs_buf **bufs,
		      size_t n, int copy)
{
	size_t i = 0;

	qsort_r(bufs, n, sizeof(*bufs), cmp_addr, &copy);
	while (i < n) {
		int done = 1;

		if (wants_write(bufs[i], copy))
			done = write_run(bc, bufs + i, n - i, copy);
		if (done < 0)
			return done;
		i += (size_t)done;
	}
	return 0;
}

int owfs_buf_write_many(struct owfs_bufcache *bc, struct owfs_buf **bufs,
			size_t n)
{
	int ret = write_copy(bc, bufs, n, 1);

	return ret ? ret : write_copy(bc, bufs, n, 0);
}
