/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Superblocks: the newest, and all four slots. */
#include <string.h>
#include <uuid.h>

#include "dump.h"

static void show_ptr(struct out *o, const char *key, const struct owfs_ptr *ptr)
{
	out_open(o, key, OUT_LINE);
	out_u64(o, "addr", ptr->addr[0]);
	if (ptr->addr[1] != OWFS_NOBLOCK)
		out_u64(o, "addr2", ptr->addr[1]);
	out_u64(o, "birth", ptr->birth);
	out_hex(o, "csum", ptr->csum);
	out_close(o);
}

static void show_root(struct out *o, const char *key, const struct owfs_root *r)
{
	out_open(o, key, OUT_OBJECT);
	out_u64(o, "gen", r->gen);
	show_ptr(o, "tree", &r->tree);
	out_u64(o, "tree_level", r->level);
	out_open(o, "map", OUT_LINE);
	out_u64(o, "gen", r->map.gen);
	out_u64(o, "slot", r->map.slot);
	out_hex(o, "csum", r->map.csum);
	out_close(o);
	out_u64(o, "free_blocks", r->map.free_blocks);
	out_u64(o, "freed_blocks", r->map.freed_blocks);
	out_close(o);
}

static void show_errors(struct out *o, const struct owfs_super *sb)
{
	out_open(o, "errors", OUT_LINE);
	out_u64(o, "count", sb->error_count);
	out_str(o, "first", strerror((int)sb->error_code));
	out_u64(o, "time", sb->error_time);
	out_u64(o, "block", sb->error_block);
	out_close(o);
}

static void show_times(struct out *o, const struct owfs_super *sb)
{
	out_u64(o, "mount_count", sb->mount_count);
	out_u64(o, "mkfs_time", sb->mkfs_time);
	out_u64(o, "mount_time", sb->mount_time);
	out_u64(o, "write_time", sb->write_time);
	out_u64(o, "check_time", sb->check_time);
}

static void show_super(struct out *o, const struct owfs_super *sb)
{
	char uuid[37];

	uuid_unparse(sb->uuid, uuid);
	out_str(o, "uuid", uuid);
	out_bytes(o, "label", sb->label, strlen(sb->label));
	out_u64(o, "version", OWFS_FORMAT_VERSION);
	out_hex(o, "compat", sb->compat);
	out_hex(o, "incompat", sb->incompat);
	out_hex(o, "ro_compat", sb->ro_compat);
	out_u64(o, "block_size", sb->blocksize);
	out_u64(o, "nblocks", sb->nblocks);
	out_u64(o, "reserve_blocks", sb->reserve_blocks);
	out_u64(o, "meta_copies", sb->meta_copies);
	out_hex(o, "csum_seed", sb->csum_seed);
	out_hex(o, "hash_seed", sb->hash_seed);
	out_u64(o, "seq", sb->seq);
	out_u64(o, "next_gen", sb->next_gen);
	out_u64(o, "ino_limit", sb->ino_limit);
	out_bool(o, "clean", sb->state & OWFS_STATE_CLEAN);
	out_bool(o, "error", sb->state & OWFS_STATE_ERROR);
	show_errors(o, sb);
	show_times(o, sb);
	show_root(o, "root", &sb->root[0]);
	if (sb->root[1].gen)
		show_root(o, "root_before", &sb->root[1]);
}

static void show_slot(struct out *o, const struct owfs_slots *s, unsigned int i)
{
	out_open(o, NULL, OUT_LINE);
	out_u64(o, "slot", i);
	out_bool(o, "valid", s->slot[i].valid);
	if (s->slot[i].valid) {
		out_u64(o, "seq", s->slot[i].seq);
		out_u64(o, "gen", s->slot[i].gen);
	} else {
		out_str(o, "why", strerror(-s->slot[i].err));
	}
	out_bool(o, "newest", i == s->newest);
	out_bool(o, "due", i == owfs_slots_next(s));
	out_close(o);
}

int dump_superblock(struct dump *d)
{
	struct out *o = &d->out;
	unsigned int i;

	out_open(o, "superblock", OUT_OBJECT);
	show_super(o, &d->sb);
	out_close(o);
	out_open(o, "slots", OUT_ARRAY);
	for (i = 0; i < OWFS_SUPER_SLOTS; i++)
		show_slot(o, &d->slots, i);
	out_close(o);
	return 0;
}

static void show_slot_in_full(struct dump *d, unsigned int i)
{
	unsigned char sector[OWFS_SUPER_BYTES]
		__attribute__((aligned(OWFS_SUPER_BYTES)));
	loff_t pos = owfs_geo_super_pos(d->sb.nblocks * d->sb.blocksize, i);
	struct owfs_super sb;
	unsigned int where;
	int ret;

	out_open(&d->out, NULL, OUT_OBJECT);
	out_u64(&d->out, "slot", i);
	out_u64(&d->out, "position", (uint64_t)pos);
	ret = owfs_blkdev_read(d->bd, sector, sizeof(sector), pos);
	if (!ret)
		ret = owfs_super_from_disk(&sb, &where, sector, NULL);
	if (ret)
		out_str(&d->out, "invalid", strerror(-ret));
	else
		show_super(&d->out, &sb);
	out_close(&d->out);
}

int dump_slots(struct dump *d)
{
	unsigned int i;

	out_open(&d->out, "slots", OUT_ARRAY);
	for (i = 0; i < OWFS_SUPER_SLOTS; i++)
		show_slot_in_full(d, i);
	out_close(&d->out);
	return 0;
}
