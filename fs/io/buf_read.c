/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Filling a buffer from the device and finding out whether to believe it.
 *
 * First the checksum, against the pointer's: whatever happened to the block on
 * its way (torn, lost, misdirected, rotten) shows there, and the other copy may
 * be sound.  A block that has the right checksum is the one its writer meant;
 * if its header or structure is wrong all the same, the image was made wrong
 * and the other copy has the same bytes.
 */
#include <inttypes.h>
#include <string.h>

#include "base/checksum.h"
#include "io/buf_impl.h"

uint64_t owfs_buf_checksum(const struct owfs_buf *buf)
{
	static const le64_t zero;
	struct owfs_block_hdr *hdr = owfs_buf_hdr(buf);
	const le64_t kept = hdr->bh_csum;
	uint64_t csum;

	hdr->bh_csum = zero;
	csum = owfs_checksum(buf->b_cache->seed, buf->b_data,
			     buf->b_cache->blocksize);
	hdr->bh_csum = kept;
	return csum;
}

/* The bytes are not those the pointer means: tell as much as they show. */
static int bad_checksum(const struct owfs_buf *buf, int copy, uint64_t computed)
{
	const struct owfs_block_hdr *hdr = owfs_buf_hdr(buf);
	const struct owfs_ptr *ptr = &buf->b_ptr;
	const char *what = "bad checksum";

	if (computed == le64_to_cpu(hdr->bh_csum))
		what = "sound block, but not the expected one";
	owfs_msg(buf->b_cache->msg, OWFS_MSG_ERROR,
		 "%s %" PRIu64 ": %s: copy=%d csum=%#" PRIx64 " computed=%#" PRIx64
		 " expected=%#" PRIx64 " magic=%#x addr=%" PRIu64 " gen=%" PRIu64
		 " birth=%" PRIu64, buf->b_ops->name, ptr->addr[copy], what, copy,
		 le64_to_cpu(hdr->bh_csum), computed, ptr->csum,
		 le32_to_cpu(hdr->bh_magic), le64_to_cpu(hdr->bh_addr[0]),
		 le64_to_cpu(hdr->bh_gen), ptr->birth);
	return -EFSBADCRC;
}

static int bad_header(const struct owfs_buf *buf, int copy, const char *field,
		      uint64_t found, uint64_t expected)
{
	owfs_msg(buf->b_cache->msg, OWFS_MSG_ERROR,
		 "%s %" PRIu64 ": bad header: copy=%d %s=%#" PRIx64
		 " expected=%#" PRIx64, buf->b_ops->name,
		 buf->b_ptr.addr[copy], copy, field, found, expected);
	return -EFSCORRUPTED;
}

static int check_header(const struct owfs_buf *buf, int copy)
{
	const struct owfs_block_hdr *hdr = owfs_buf_hdr(buf);
	const struct owfs_ptr *ptr = &buf->b_ptr;
	const uint64_t csum = owfs_buf_checksum(buf);

	if (csum != ptr->csum || le64_to_cpu(hdr->bh_csum) != ptr->csum)
		return bad_checksum(buf, copy, csum);
	if (le32_to_cpu(hdr->bh_magic) != buf->b_ops->magic)
		return bad_header(buf, copy, "magic",
				  le32_to_cpu(hdr->bh_magic),
				  buf->b_ops->magic);
	for (int i = 0; i < 2; i++)
		if (le64_to_cpu(hdr->bh_addr[i]) != ptr->addr[i])
			return bad_header(buf, copy, i ? "addr1" : "addr0",
					  le64_to_cpu(hdr->bh_addr[i]),
					  ptr->addr[i]);
	if (le64_to_cpu(hdr->bh_gen) != ptr->birth)
		return bad_header(buf, copy, "gen", le64_to_cpu(hdr->bh_gen),
				  ptr->birth);
	return 0;
}

static int load_copy(struct owfs_buf *buf, int copy)
{
	struct owfs_bufcache *bc = buf->b_cache;
	owfs_fsblock_t addr = buf->b_ptr.addr[copy];
	int ret;

	ret = owfs_blkdev_read(bc->bd, buf->b_data, bc->blocksize,
			       (loff_t)(addr * bc->blocksize));
	if (!ret)
		return check_header(buf, copy);

	owfs_msg(bc->msg, OWFS_MSG_ERROR,
		 "%s %" PRIu64 ": read failed: copy=%d err=%s",
		 buf->b_ops->name, addr, copy, strerror(-ret));
	return ret;
}

void owfs_bufcache_distrust(struct owfs_bufcache *bc,
			    const struct owfs_ptr *ptr)
{
	unsigned int n;

	pthread_mutex_lock(&bc->lock);
	n = bc->ndistrusted;
	bc->distrusted[n % BUF_DISTRUSTED] = *ptr;
	__atomic_store_n(&bc->ndistrusted, n + 1, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&bc->lock);
}

/* The copy to read first. */
static int choose_copy(struct owfs_bufcache *bc, const struct owfs_ptr *ptr)
{
	unsigned int i;
	int copy = 0;

	if (ptr->addr[1] == OWFS_NOBLOCK ||
	    !__atomic_load_n(&bc->ndistrusted, __ATOMIC_RELAXED))
		return 0;
	pthread_mutex_lock(&bc->lock);
	for (i = 0; i < bc->ndistrusted && i < BUF_DISTRUSTED; i++)
		if (bc->distrusted[i].addr[0] == ptr->addr[0] &&
		    bc->distrusted[i].birth == ptr->birth)
			copy = 1;
	pthread_mutex_unlock(&bc->lock);
	return copy;
}

int owfs_buf_load(struct owfs_buf *buf, const void *expect)
{
	struct owfs_bufcache *bc = buf->b_cache;
	const struct owfs_ptr *ptr = &buf->b_ptr;
	int copy = choose_copy(bc, ptr), first = load_copy(buf, copy);
	int ret = first;

	if (ret && ret != -EFSCORRUPTED && ptr->addr[1] != OWFS_NOBLOCK) {
		ret = load_copy(buf, !copy);
		if (ret == -EFSBADCRC)	/* a device error outranks it */
			ret = first;
	}
	if (!ret)
		ret = buf->b_ops->verify(bc, ptr, buf->b_data, expect);
	if (!ret && first && bc->repair)
		bc->repair(bc->repair_ctx, ptr, buf->b_data, copy, first);
	return ret;
}
