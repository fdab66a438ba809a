/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A superblock where none could be used.
 *
 * First the four places, each byte of each sector with every other value: if
 * that makes the checksum right, it is what was written, for a checksum of 64
 * bits is not right by chance.  After an unmount the four are alike: what most
 * of them have in each byte is what was written, if the checksum of one says so.
 * Then the whole device: a device that has grown or was cut has its back slots
 * elsewhere.  A sector counts only if it stands where it says that it stands, so
 * an image within a file is not taken for it.
 *
 * Superblocks of a filesystem that was there before may stand in places of their
 * own.  One whose tree begins where it says wins over one whose tree does not,
 * and of two filesystems the one that was made later.
 */
#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"
#include "base/err.h"
#include "base/util.h"
#include "fsck.h"

#define CHUNK	(1u << 20)
#define STEP	OWFS_BLOCK_MIN	/* slots stand at multiples of it */

static bool is_in_place(const struct owfs_super *sb, unsigned int slot,
			uint64_t pos)
{
	return (uint64_t)owfs_geo_super_pos(sb->nblocks * sb->blocksize,
					    slot) == pos;
}

struct found {
	struct check *ck;
	struct owfs_super sb;		/* seq 0: none yet */
	bool has_root;
};

static bool is_root_copy(struct owfs_block_hdr *hdr, const struct owfs_super *sb)
{
	const struct owfs_ptr *ptr = &sb->root[0].tree;
	uint64_t said = le64_to_cpu(hdr->bh_csum);

	hdr->bh_csum = cpu_to_le64(0);
	return said == ptr->csum && le64_to_cpu(hdr->bh_gen) == ptr->birth &&
	       owfs_checksum(sb->csum_seed, hdr, sb->blocksize) == said;
}

/* Is the root of its tree there, in either copy? */
static bool has_root(struct check *ck, const struct owfs_super *sb)
{
	void *block = aligned_alloc(OWFS_IO_ALIGN, sb->blocksize);
	bool there = false;
	unsigned int i;

	for (i = 0; i < sb->meta_copies && block && !there; i++)
		there = !owfs_blkdev_read(ck->bd, block, sb->blocksize,
					  (loff_t)(sb->root[0].tree.addr[i] *
						   sb->blocksize)) &&
			is_root_copy(block, sb);
	free(block);
	return there;
}

static bool is_better(const struct found *than, const struct owfs_super *sb,
		      bool rooted)
{
	if (!than->sb.seq || rooted != than->has_root)
		return !than->sb.seq || rooted;
	if (memcmp(sb->uuid, than->sb.uuid, sizeof(sb->uuid)) &&
	    sb->mkfs_time != than->sb.mkfs_time)
		return sb->mkfs_time > than->sb.mkfs_time;
	return sb->seq > than->sb.seq;
}

/* Take it if it is one, and better than what was found before. */
static void consider(struct found *best, const void *sector, uint64_t pos)
{
	struct owfs_super sb;
	unsigned int slot;
	bool rooted;

	if (owfs_super_from_disk(&sb, &slot, sector, NULL) ||
	    !is_in_place(&sb, slot, pos))
		return;
	rooted = has_root(best->ck, &sb);
	if (is_better(best, &sb, rooted)) {
		best->sb = sb;
		best->has_root = rooted;
	}
}

/* One byte is wrong, the checksum's own perhaps. */
static bool mend_sector(unsigned char *sector)
{
	struct owfs_super_disk d;
	uint64_t stored;
	unsigned int i, v;

	memcpy(&d, sector, sizeof(d));
	stored = le64_to_cpu(d.csum);
	d.csum = cpu_to_le64(0);
	for (i = 0; i < sizeof(d); i++) {
		unsigned char *byte = (unsigned char *)&d + i, kept = *byte;

		if (i >= offsetof(struct owfs_super_disk, csum) &&
		    i < offsetof(struct owfs_super_disk, version))
			continue;
		for (v = 0; v < 256; v++) {
			*byte = (unsigned char)v;
			if (owfs_checksum(0, &d, sizeof(d)) != stored)
				continue;
			d.csum = cpu_to_le64(stored);
			memcpy(sector, &d, sizeof(d));
			return true;
		}
		*byte = kept;
	}
	return false;
}

/* The checksum itself may be what is wrong, in one byte. */
static bool mend_checksum(unsigned char *sector)
{
	struct owfs_super_disk d;
	uint64_t diff, right;

	memcpy(&d, sector, sizeof(d));
	diff = le64_to_cpu(d.csum);
	d.csum = cpu_to_le64(0);
	right = owfs_checksum(0, &d, sizeof(d));
	diff ^= right;
	if (!diff || diff >> (__builtin_ctzll(diff) / 8 * 8) > 0xff)
		return false;
	d.csum = cpu_to_le64(right);
	memcpy(sector, &d, sizeof(d));
	return true;
}

/* It is the same everywhere. */
static void mend_magic(unsigned char *sector)
{
	const le64_t magic = cpu_to_le64(OWFS_SUPER_MAGIC);

	memcpy(sector + offsetof(struct owfs_super_disk, magic), &magic,
	       sizeof(magic));
}

/* The sectors of the slots that can be read. */
struct places {
	unsigned char sector[OWFS_SUPER_SLOTS][OWFS_SUPER_BYTES]
		__attribute__((aligned(OWFS_SUPER_BYTES)));
	uint64_t pos[OWFS_SUPER_SLOTS];
	bool there[OWFS_SUPER_SLOTS];
};

/* What most of them have there; of as many the first. */
static unsigned char most_have(const struct places *p, size_t at)
{
	unsigned int i, j, n, most = 0;
	unsigned char value = 0;

	for (i = 0; i < OWFS_SUPER_SLOTS; i++) {
		for (j = n = 0; j < OWFS_SUPER_SLOTS; j++)
			n += p->there[i] && p->there[j] &&
			     p->sector[i][at] == p->sector[j][at];
		if (n > most) {
			most = n;
			value = p->sector[i][at];
		}
	}
	return value;
}

/* Of each slot only the number is its own, and by that the checksum. */
static void consider_vote(struct found *best, const struct places *p)
{
	struct owfs_super_disk d, has;
	unsigned int slot;
	size_t at;

	for (at = 0; at < sizeof(d); at++)
		((unsigned char *)&d)[at] = most_have(p, at);
	for (slot = 0; slot < OWFS_SUPER_SLOTS; slot++) {
		memcpy(&has, p->sector[slot], sizeof(has));
		d.slot = cpu_to_le32(slot);
		d.csum = cpu_to_le64(0);
		if (!p->there[slot] || owfs_checksum(0, &d, sizeof(d)) !=
				       le64_to_cpu(has.csum))
			continue;
		d.csum = has.csum;
		consider(best, &d, p->pos[slot]);
	}
}

static void read_places(struct owfs_blkdev *bd, struct places *p)
{
	uint64_t bytes = bd->size & ~(uint64_t)(STEP - 1);
	unsigned int slot;

	for (slot = 0; slot < OWFS_SUPER_SLOTS; slot++) {
		p->pos[slot] = (uint64_t)owfs_geo_super_pos(bytes, slot);
		p->there[slot] = !owfs_blkdev_read(bd, p->sector[slot],
						   OWFS_SUPER_BYTES,
						   (loff_t)p->pos[slot]);
		mend_magic(p->sector[slot]);
	}
}

static void look_at_places(struct found *best)
{
	struct places p;
	unsigned int slot;

	if (best->ck->bd->size < OWFS_BYTES_MIN)
		return;
	memset(&p, 0, sizeof(p));
	read_places(best->ck->bd, &p);
	consider_vote(best, &p);
	for (slot = 0; slot < OWFS_SUPER_SLOTS; slot++)
		if (p.there[slot] && (mend_checksum(p.sector[slot]) ||
				      mend_sector(p.sector[slot])))
			consider(best, p.sector[slot], p.pos[slot]);
}

static int scan_chunk(struct found *best, unsigned char *buf, uint64_t pos,
		      size_t len)
{
	const uint64_t magic = OWFS_SUPER_MAGIC;
	size_t at;

	if (owfs_blkdev_read(best->ck->bd, buf, len, (loff_t)pos))
		return 0;	/* not there, then */
	for (at = 0; at + OWFS_SUPER_BYTES <= len; at += STEP)
		if (le64_to_cpu(*(le64_t *)(buf + at)) == magic)
			consider(best, buf + at, pos + at);
	return 0;
}

static int scan_device(struct found *best)
{
	unsigned char *buf = aligned_alloc(OWFS_IO_ALIGN, CHUNK);
	uint64_t size = best->ck->bd->size & ~(uint64_t)511, pos;
	int ret = buf ? 0 : -ENOMEM;

	for (pos = 0; pos < size && !ret; pos += CHUNK) {
		ret = scan_chunk(best, buf, pos, min_u64(CHUNK, size - pos));
		if (!ret)
			ret = check_progress(best->ck, 1, pos, size);
	}
	free(buf);
	return ret;
}

int super_find(struct check *ck)
{
	struct found best = { .ck = ck };
	unsigned int i;
	int ret = 0;

	look_at_places(&best);
	if (!best.sb.seq)
		ret = scan_device(&best);
	if (ret || !best.sb.seq)
		return ret ? ret : -ENODEV;
	ck->sb = best.sb;
	memset(&ck->slots, 0, sizeof(ck->slots));
	for (i = 0; i < OWFS_SUPER_SLOTS; i++)
		ck->slots.slot[i].err = -EFSBADCRC;
	ck->slots.bad = OWFS_SUPER_SLOTS;
	ck->fixes->slots = (1u << OWFS_SUPER_SLOTS) - 1;
	ck->fixes->several = ck->fixes->newer_lost = true;
	return 0;
}
