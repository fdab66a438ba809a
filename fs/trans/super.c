/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The superblock: conversion with every check there is, and the ring of slots.
 * Which commit to trust is decided by whoever calls; see fs.c.
 */
#include <string.h>

#include "base/checksum.h"
#include "base/err.h"
#include "base/util.h"
#include "trans/super.h"

/* Slots in the order in which they are written: front, back, front, back. */
static const unsigned char slot_ring[OWFS_SUPER_SLOTS] = { 0, 2, 1, 3 };

unsigned int owfs_slots_ring_next(unsigned int slot)
{
	unsigned int i;

	for (i = 0; slot_ring[i] != slot; i++)
		;
	return slot_ring[(i + 1) % OWFS_SUPER_SLOTS];
}

static uint64_t super_csum(const void *sector)
{
	struct owfs_super_disk d;

	memcpy(&d, sector, sizeof(d));
	d.csum = cpu_to_le64(0);
	return owfs_checksum(0, &d, sizeof(d));
}

/* ------------------------------------------------------------- conversion */

static void root_from_disk(struct owfs_root *r, const struct owfs_root_disk *d)
{
	r->gen = le64_to_cpu(d->gen);
	owfs_ptr_from_disk(&r->tree, &d->tree);
	r->level = le32_to_cpu(d->tree_level);
	r->map.gen = le64_to_cpu(d->map_gen);
	r->map.csum = le64_to_cpu(d->map_csum);
	r->map.slot = le32_to_cpu(d->map_slot);
	r->map.free_blocks = le64_to_cpu(d->free_blocks);
	r->map.freed_blocks = le64_to_cpu(d->freed_blocks);
}

static void root_to_disk(struct owfs_root_disk *d, const struct owfs_root *r)
{
	d->gen = cpu_to_le64(r->gen);
	owfs_ptr_to_disk(&d->tree, &r->tree);
	d->tree_level = cpu_to_le32(r->level);
	d->map_gen = cpu_to_le64(r->map.gen);
	d->map_csum = cpu_to_le64(r->map.csum);
	d->map_slot = cpu_to_le32(r->map.slot);
	d->free_blocks = cpu_to_le64(r->map.free_blocks);
	d->freed_blocks = cpu_to_le64(r->map.freed_blocks);
}

static const char *root_wrong(const struct owfs_super *sb,
			      const struct owfs_root *r,
			      const struct owfs_geo *geo)
{
	int i;

	if (r->tree.birth == 0 || r->tree.birth > r->gen)
		return "birth of the tree's root";
	if (r->level > OWFS_MAX_LEVEL)
		return "level of the tree's root";
	for (i = 0; i < 2; i++) {
		if (i == 1 && sb->meta_copies == 1) {
			if (r->tree.addr[1] != OWFS_NOBLOCK)
				return "second address of the tree's root";
			break;
		}
		if (!owfs_geo_range_ok(geo, r->tree.addr[i], 1))
			return "address of the tree's root";
	}
	if (r->map.gen == 0 || r->map.gen > r->gen)
		return "generation of the space map";
	if (r->map.slot >= OWFS_MAP_SLOTS)
		return "slot of the space map";
	if (r->map.free_blocks > geo->nblocks ||
	    r->map.freed_blocks > r->map.free_blocks)
		return "free blocks";
	return NULL;
}

/* Is every field one that mkfs or a commit could have written? */
static const char *super_wrong(const struct owfs_super *sb)
{
	const struct owfs_root *cur = &sb->root[0], *prev = &sb->root[1];
	struct owfs_geo geo;
	const char *what;

	if (owfs_geo_init(&geo, sb->blocksize, sb->nblocks))
		return "block size or number of blocks";
	if (sb->meta_copies != 1 && sb->meta_copies != 2)
		return "number of metadata copies";
	if (sb->seq == 0 || sb->seq > UINT64_MAX / 2)
		return "sequence number";
	if (cur->gen == 0 || cur->gen >= sb->next_gen ||
	    sb->next_gen > UINT64_MAX / 2)
		return "generation";
	if (sb->ino_limit < OWFS_INO_FIRST || sb->ino_limit > OWFS_INO_MAX + 1)
		return "inode number limit";
	if (sb->reserve_blocks > sb->nblocks)
		return "reserve";
	what = root_wrong(sb, cur, &geo);
	if (what || prev->gen == 0)
		return what;
	if (prev->gen >= cur->gen)
		return "generation of the older commit";
	return root_wrong(sb, prev, &geo);
}

static int super_check_features(const struct owfs_super *sb,
				const struct owfs_msg *msg)
{
	uint64_t unknown = sb->incompat & ~OWFS_INCOMPAT_KNOWN;

	if (!unknown)
		return 0;
	owfs_msg(msg, OWFS_MSG_ERROR,
		 "superblock: features this program does not know: incompat=0x%llx",
		 (unsigned long long)unknown);
	return -EPROTONOSUPPORT;
}

int owfs_super_from_disk(struct owfs_super *sb, unsigned int *slot,
			 const void *sector, const struct owfs_msg *msg)
{
	struct owfs_super_disk d;
	const char *what;

	memcpy(&d, sector, sizeof(d));
	if (le64_to_cpu(d.magic) != OWFS_SUPER_MAGIC)
		return -ENODEV;
	if (le64_to_cpu(d.csum) != super_csum(sector)) {
		owfs_msg(msg, OWFS_MSG_WARN,
			 "superblock: checksum wrong: found=0x%llx expected=0x%llx",
			 (unsigned long long)le64_to_cpu(d.csum),
			 (unsigned long long)super_csum(sector));
		return -EFSBADCRC;
	}
	if (le32_to_cpu(d.version) != OWFS_FORMAT_VERSION) {
		owfs_msg(msg, OWFS_MSG_ERROR,
			 "superblock: format version not known: version=%u known=%u",
			 le32_to_cpu(d.version), OWFS_FORMAT_VERSION);
		return -EPROTONOSUPPORT;
	}

	memset(sb, 0, sizeof(*sb));
	sb->blocksize = le32_to_cpu(d.block_size);
	sb->compat = le64_to_cpu(d.compat);
	sb->incompat = le64_to_cpu(d.incompat);
	sb->ro_compat = le64_to_cpu(d.ro_compat);
	memcpy(sb->uuid, d.uuid, sizeof(sb->uuid));
	memcpy(sb->label, d.label, OWFS_LABEL_MAX);
	sb->csum_seed = le64_to_cpu(d.csum_seed);
	sb->hash_seed = le64_to_cpu(d.hash_seed);
	sb->nblocks = le64_to_cpu(d.nblocks);
	sb->seq = le64_to_cpu(d.seq);
	sb->next_gen = le64_to_cpu(d.next_gen);
	sb->ino_limit = le64_to_cpu(d.ino_limit);
	sb->state = le32_to_cpu(d.state);
	sb->meta_copies = le32_to_cpu(d.meta_copies);
	sb->error_code = le32_to_cpu(d.error_code);
	sb->error_time = le64_to_cpu(d.error_time);
	sb->error_block = le64_to_cpu(d.error_block);
	sb->error_count = le32_to_cpu(d.error_count);
	sb->mount_count = le32_to_cpu(d.mount_count);
	sb->mkfs_time = le64_to_cpu(d.mkfs_time);
	sb->mount_time = le64_to_cpu(d.mount_time);
	sb->write_time = le64_to_cpu(d.write_time);
	sb->check_time = le64_to_cpu(d.check_time);
	sb->reserve_blocks = le64_to_cpu(d.reserve_blocks);
	root_from_disk(&sb->root[0], &d.root[0]);
	root_from_disk(&sb->root[1], &d.root[1]);
	*slot = le32_to_cpu(d.slot);

	if (super_check_features(sb, msg))
		return -EPROTONOSUPPORT;
	what = *slot < OWFS_SUPER_SLOTS ? super_wrong(sb) : "slot number";
	if (what) {
		owfs_msg(msg, OWFS_MSG_ERROR, "superblock: impossible %s", what);
		return -EFSCORRUPTED;
	}
	return 0;
}

void owfs_super_to_disk(void *sector, const struct owfs_super *sb,
			unsigned int slot)
{
	struct owfs_super_disk d;

	memset(&d, 0, sizeof(d));
	d.magic = cpu_to_le64(OWFS_SUPER_MAGIC);
	d.version = cpu_to_le32(OWFS_FORMAT_VERSION);
	d.block_size = cpu_to_le32(sb->blocksize);
	d.compat = cpu_to_le64(sb->compat);
	d.incompat = cpu_to_le64(sb->incompat);
	d.ro_compat = cpu_to_le64(sb->ro_compat);
	memcpy(d.uuid, sb->uuid, sizeof(d.uuid));
	memcpy(d.label, sb->label, OWFS_LABEL_MAX);
	d.csum_seed = cpu_to_le64(sb->csum_seed);
	d.hash_seed = cpu_to_le64(sb->hash_seed);
	d.nblocks = cpu_to_le64(sb->nblocks);
	d.seq = cpu_to_le64(sb->seq);
	d.next_gen = cpu_to_le64(sb->next_gen);
	d.ino_limit = cpu_to_le64(sb->ino_limit);
	d.slot = cpu_to_le32(slot);
	d.state = cpu_to_le32(sb->state);
	d.meta_copies = cpu_to_le32(sb->meta_copies);
	d.error_code = cpu_to_le32(sb->error_code);
	d.error_time = cpu_to_le64(sb->error_time);
	d.error_block = cpu_to_le64(sb->error_block);
	d.error_count = cpu_to_le32(sb->error_count);
	d.mount_count = cpu_to_le32(sb->mount_count);
	d.mkfs_time = cpu_to_le64(sb->mkfs_time);
	d.mount_time = cpu_to_le64(sb->mount_time);
	d.write_time = cpu_to_le64(sb->write_time);
	d.check_time = cpu_to_le64(sb->check_time);
	d.reserve_blocks = cpu_to_le64(sb->reserve_blocks);
	root_to_disk(&d.root[0], &sb->root[0]);
	root_to_disk(&d.root[1], &sb->root[1]);
	d.csum = cpu_to_le64(super_csum(&d));
	memcpy(sector, &d, sizeof(d));
}

/* -------------------------------------------------------------- the slots */

/* The last slot of the run of slots that carry the highest sequence number. */
static unsigned int slots_last_written(const struct owfs_slots *s,
				       unsigned int start)
{
	uint64_t seq = s->slot[start].seq;
	unsigned int i, slot = start;

	for (i = 1; i < OWFS_SUPER_SLOTS; i++) {
		unsigned int next = owfs_slots_ring_next(slot);

		if (!s->slot[next].valid || s->slot[next].seq != seq)
			break;
		slot = next;
	}
	return slot;
}

static bool slot_alone_holds(const struct owfs_slots *s, unsigned int slot,
			     owfs_gen_t gen)
{
	unsigned int i;

	if (!s->slot[slot].valid || s->slot[slot].gen != gen)
		return false;
	for (i = 0; i < OWFS_SUPER_SLOTS; i++)
		if (i != slot && s->slot[i].valid && s->slot[i].gen == gen)
			return false;
	return true;
}

/* The highest generation below that of the newest slot; 0 if there is none. */
static owfs_gen_t slots_older_gen(const struct owfs_slots *s)
{
	owfs_gen_t newest = s->slot[s->newest].gen, gen = 0;
	unsigned int i;

	for (i = 0; i < OWFS_SUPER_SLOTS; i++)
		if (s->slot[i].valid && s->slot[i].gen < newest)
			gen = max_u64(gen, s->slot[i].gen);
	return gen;
}

unsigned int owfs_slots_after(const struct owfs_slots *s, unsigned int slot)
{
	owfs_gen_t older = slots_older_gen(s);

	do {
		slot = owfs_slots_ring_next(slot);
	} while (slot == s->newest ||
		 (older && slot_alone_holds(s, slot, older)));
	return slot;
}

unsigned int owfs_slots_next(const struct owfs_slots *s)
{
	return owfs_slots_after(s, s->newest);
}

/* A device that lost its end may have lost the back slots, and no others. */
static bool slot_is_there(const struct owfs_blkdev *bd, uint64_t fs_bytes,
			  unsigned int slot)
{
	return (slot < 2 || fs_bytes >= OWFS_BYTES_MIN) &&
	       (uint64_t)owfs_geo_super_pos(fs_bytes, slot) +
	       OWFS_SUPER_BYTES <= bd->size;
}

static int slot_read(struct owfs_blkdev *bd, uint64_t fs_bytes,
		     unsigned int slot, struct owfs_super *sb,
		     const struct owfs_msg *msg)
{
	unsigned char sector[OWFS_SUPER_BYTES]
		__attribute__((aligned(OWFS_SUPER_BYTES)));
	unsigned int where;
	int ret;

	if (!slot_is_there(bd, fs_bytes, slot))
		return -ENODEV;
	ret = owfs_blkdev_read(bd, sector, sizeof(sector),
			       owfs_geo_super_pos(fs_bytes, slot));
	if (ret)
		return -EIO;	/* whatever the device calls it */
	ret = owfs_super_from_disk(sb, &where, sector, msg);
	if (!ret && where != slot)
		return -EFSCORRUPTED;
	return ret;
}

static bool same_fs(const struct owfs_super *a, const struct owfs_super *b)
{
	return !memcmp(a->uuid, b->uuid, sizeof(a->uuid)) &&
	       a->csum_seed == b->csum_seed && a->nblocks == b->nblocks &&
	       a->blocksize == b->blocksize;
}

/* Slot 0 and 1 first: their size says where 2 and 3 are. */
static void slots_read_all(struct owfs_blkdev *bd, struct owfs_super sb[],
			   struct owfs_slots *s, const struct owfs_msg *msg)
{
	uint64_t fs_bytes = bd->size & ~(uint64_t)(OWFS_BLOCK_MIN - 1);
	unsigned int i;

	for (i = 0; i < OWFS_SUPER_SLOTS; i++) {
		s->slot[i].err = slot_read(bd, fs_bytes, i, &sb[i], msg);
		s->slot[i].valid = !s->slot[i].err;
		if (i < 2 && s->slot[i].valid)
			fs_bytes = sb[i].nblocks * sb[i].blocksize;
	}
}

/* The valid slot with the highest sequence number; -1 if none is valid. */
static int slots_highest(const struct owfs_super sb[],
			 const struct owfs_slots *s)
{
	int i, best = -1;

	for (i = 0; i < OWFS_SUPER_SLOTS; i++)
		if (s->slot[i].valid && (best < 0 || sb[i].seq > sb[best].seq))
			best = i;
	return best;
}

/* Why no slot would do: the verdict that says most. */
static int slots_verdict(const struct owfs_slots *s)
{
	static const int telling[] = { -EPROTONOSUPPORT, -EFSCORRUPTED,
				       -EFSBADCRC, -EIO };
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(telling); i++)
		for (j = 0; j < OWFS_SUPER_SLOTS; j++)
			if (s->slot[j].err == telling[i])
				return telling[i];
	return -ENODEV;
}

/*
 * Bad as a write leaves it that a crash cut short.  One that cannot be read is
 * not: it may hold the newest commit, whole and durable.
 */
static bool is_torn(const struct owfs_slots *s, unsigned int slot)
{
	return !s->slot[slot].valid && s->slot[slot].err != -EIO;
}

int owfs_super_read(struct owfs_blkdev *bd, struct owfs_super *sb,
		    struct owfs_slots *s, const struct owfs_msg *msg)
{
	struct owfs_super all[OWFS_SUPER_SLOTS];
	unsigned int i;
	int best;

	memset(s, 0, sizeof(*s));
	slots_read_all(bd, all, s, msg);
	for (i = 0; i < OWFS_SUPER_SLOTS; i++)
		if (s->slot[i].err == -EPROTONOSUPPORT)
			return -EPROTONOSUPPORT;
	best = slots_highest(all, s);
	if (best < 0)
		return slots_verdict(s);

	for (i = 0; i < OWFS_SUPER_SLOTS; i++) {
		if (s->slot[i].valid && !same_fs(&all[i], &all[best])) {
			s->slot[i].valid = false;
			s->slot[i].err = -EFSCORRUPTED;
		}
		if (!s->slot[i].valid) {
			s->bad++;
			continue;
		}
		s->slot[i].seq = all[i].seq;
		s->slot[i].gen = all[i].root[0].gen;
	}
	s->newest = slots_last_written(s, best);
	s->bad_is_due = s->bad == 1 && is_torn(s, owfs_slots_next(s));
	*sb = all[best];
	return 0;
}

int owfs_super_write(struct owfs_blkdev *bd, const struct owfs_super *sb,
		     struct owfs_slots *s, unsigned int slot)
{
	unsigned char sector[OWFS_SUPER_BYTES]
		__attribute__((aligned(OWFS_SUPER_BYTES)));
	int ret;

	owfs_super_to_disk(sector, sb, slot);
	ret = owfs_blkdev_write(bd, sector, sizeof(sector),
				owfs_geo_super_pos(sb->nblocks * sb->blocksize,
						   slot));
	/* after a failure there is no telling what stands in the slot */
	s->slot[slot].valid = !ret;
	s->slot[slot].err = ret;
	if (ret)
		return ret;
	s->slot[slot].seq = sb->seq;
	s->slot[slot].gen = sb->root[0].gen;
	s->newest = slot;
	return 0;
}

uint64_t owfs_super_room(const struct owfs_super *sb,
			 const struct owfs_blkdev *bd)
{
	uint64_t has = owfs_geo_fit(sb->blocksize, bd->size / sb->blocksize);

	return has > sb->nblocks ? has - sb->nblocks : 0;
}
