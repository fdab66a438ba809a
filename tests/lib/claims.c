/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See claims.h. */
#include <stdio.h>

#include "claims.h"

#include "trans/super.h"

/* The first generation that the newest superblock does not claim. */
struct claims {
	owfs_gen_t durable, written;	/* written: not flushed yet */
	uint32_t blocksize;
};

/* A block of metadata in a write; 0: something else. */
static owfs_gen_t gen_of_block(const struct emubd_event *ev, uint64_t off,
			       uint32_t blocksize)
{
	struct owfs_block_hdr hdr;
	uint32_t magic;

	emubd_event_data(ev, off, &hdr, sizeof(hdr));
	magic = le32_to_cpu(hdr.bh_magic);
	if ((magic != OWFS_NODE_MAGIC && magic != OWFS_MAP_MAGIC &&
	     magic != OWFS_BITMAP_MAGIC) ||
	    (le64_to_cpu(hdr.bh_addr[0]) * blocksize != ev->pos + off &&
	     le64_to_cpu(hdr.bh_addr[1]) * blocksize != ev->pos + off))
		return 0;
	return le64_to_cpu(hdr.bh_gen);
}

static int check_write(struct claims *c, const struct emubd_event *ev, char *why)
{
	unsigned char sector[OWFS_SUPER_BYTES];
	struct owfs_super sb;
	unsigned int slot;
	owfs_gen_t gen;
	uint64_t off;

	if (ev->len == OWFS_SUPER_BYTES) {
		emubd_event_data(ev, 0, sector, sizeof(sector));
		if (!owfs_super_from_disk(&sb, &slot, sector, NULL))
			c->written = sb.next_gen;
		return 0;
	}
	for (off = 0; off < ev->len; off += c->blocksize) {
		gen = gen_of_block(ev, off, c->blocksize);
		if (gen < c->durable)
			continue;
		snprintf(why, CLAIMS_WHY,
			 "block %llu of generation %llu written, claimed are those below %llu",
			 (unsigned long long)((ev->pos + off) / c->blocksize),
			 (unsigned long long)gen,
			 (unsigned long long)c->durable);
		return -1;
	}
	return 0;
}

int claims_check(struct emubd *base, struct emubd *log, char *why)
{
	size_t i, len = emubd_log_len(log);
	const struct emubd_event *ev;
	struct owfs_slots slots;
	struct owfs_super sb;
	struct claims c;

	if (owfs_super_read(emubd_blkdev(base), &sb, &slots, NULL)) {
		snprintf(why, CLAIMS_WHY, "no superblock to begin with");
		return -1;
	}
	c.durable = c.written = sb.next_gen;
	c.blocksize = sb.blocksize;
	for (i = 0; i < len; i++) {
		ev = emubd_log_at(log, i);
		if (ev->kind == EMUBD_FLUSH)
			c.durable = c.written;
		if (ev->kind == EMUBD_WRITE && check_write(&c, ev, why))
			return -1;
	}
	return 0;
}
