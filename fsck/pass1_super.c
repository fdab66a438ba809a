/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pass 1: the four superblock slots.
 *
 * A crash may leave the slot that was due bad, and nothing else; a mount
 * judges alike.  One that cannot be read may be good, and the newest.  The others
 * must be earlier states of the newest: same filesystem, numbers that never went
 * back.  (A commit newer than the newest superblock's may stand there: whoever
 * fell back to the one before left it.)
 */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "base/util.h"
#include "fsck.h"

#define SLOT_TRIES	5

static bool same_roots(const struct owfs_root *a, const struct owfs_root *b)
{
	return a->gen == b->gen && a->level == b->level &&
	       !memcmp(&a->tree, &b->tree, sizeof(a->tree)) &&
	       a->map.gen == b->map.gen && a->map.csum == b->map.csum &&
	       a->map.slot == b->map.slot;
}

/* What an earlier superblock may not have if @sb came later; NULL: all well. */
static const char *history_wrong(const struct owfs_super *old,
				 const struct owfs_super *sb)
{
	int i;

	if (old->hash_seed != sb->hash_seed ||
	    old->meta_copies != sb->meta_copies)
		return "seed of hashes, or copies of metadata";
	if (old->next_gen > sb->next_gen)
		return "next generation is newer";
	/* ino_limit may go down: a clean unmount gives back what was only claimed */
	for (i = 0; i < 2; i++)
		if (old->root[0].gen && old->root[0].gen == sb->root[i].gen &&
		    !same_roots(&old->root[0], &sb->root[i]))
			return "other roots for the same generation";
	return NULL;
}

static void check_history(struct check *ck, unsigned int slot)
{
	unsigned char sector[OWFS_SUPER_BYTES]
		__attribute__((aligned(OWFS_SUPER_BYTES)));
	uint64_t bytes = ck->sb.nblocks * ck->sb.blocksize;
	struct owfs_super old;
	unsigned int where;
	const char *what;

	if (owfs_blkdev_read(ck->bd, sector, sizeof(sector),
			     owfs_geo_super_pos(bytes, slot)) ||
	    owfs_super_from_disk(&old, &where, sector, NULL))
		return;		/* counted as bad, or bad from now on */
	what = history_wrong(&old, &ck->sb);
	if (what && problem(ck, BAD_SUPER_ORDER, "superblock", slot,
			    "%s: seq=%" PRIu64 " gen=%" PRIu64, what, old.seq,
			    old.root[0].gen)) {
		ck->fixes->slots |= 1u << slot;
		ck->fixes->order = true;
		ck->fixes->next_gen = max_u64(ck->fixes->next_gen,
					      old.next_gen);
	}
}

static void tell_torn(struct check *ck, unsigned int slot)
{
	owfs_msg(ck->param->msg, OWFS_MSG_WARN,
		 "superblock %u: not valid; it was due to be written, a crash explains it",
		 slot);
}

/* All that can be read are alike, as only an unmount leaves them. */
static bool is_unmounted(const struct check *ck)
{
	const struct owfs_slots *s = &ck->slots;
	unsigned int i;

	for (i = 0; i < OWFS_SUPER_SLOTS; i++)
		if (s->slot[i].valid && s->slot[i].seq != ck->sb.seq)
			return false;
	return ck->sb.state & OWFS_STATE_CLEAN;
}

/* Due to be written, and not to be read: that may have been the last write. */
static bool may_be_newest(const struct check *ck, unsigned int slot)
{
	const struct owfs_slots *s = &ck->slots;
	bool known = ck->fixes && ck->fixes->unwritable & 1u << slot;

	return s->bad == 1 && s->slot[slot].err == -EIO && !known &&
	       owfs_slots_next(s) == slot;
}

static void check_bad_slot(struct check *ck, unsigned int slot)
{
	bool newest = may_be_newest(ck, slot);
	/* what comes first after an unmount is no commit: it claims numbers */
	bool commit = newest && !is_unmounted(ck);

	if (!problem(ck, commit ? BAD_SUPER_SLOTS : BAD_SUPER_SLOT,
		     "superblock", slot, "%s",
		     strerror(-ck->slots.slot[slot].err)))
		return;
	ck->fixes->slots |= 1u << slot;
	ck->fixes->several |= commit;
	ck->fixes->newer_lost |= newest;
}

/* Behind the end of a device that is too short: that has been said. */
static bool is_cut_off(const struct check *ck, unsigned int slot)
{
	uint64_t bytes = ck->sb.nblocks * ck->sb.blocksize;

	return (uint64_t)owfs_geo_super_pos(bytes, slot) + OWFS_SUPER_BYTES >
	       ck->bd->size;
}

static void check_slots(struct check *ck)
{
	const struct owfs_slots *s = &ck->slots;
	unsigned int i;

	for (i = 0; i < OWFS_SUPER_SLOTS; i++) {
		if (s->slot[i].valid)
			check_history(ck, i);
		else if (is_cut_off(ck, i))
			continue;
		else if (s->bad_is_due)
			tell_torn(ck, i);
		else
			check_bad_slot(ck, i);
	}
	if (s->bad > 1 && problem(ck, BAD_SUPER_SLOTS, "superblock", s->newest,
				  "bad=%u", s->bad))
		ck->fixes->several = ck->fixes->newer_lost = true;
}

static void check_state(struct check *ck)
{
	const struct owfs_super *sb = &ck->sb;
	time_t when = (time_t)sb->error_time;
	char text[40] = "";
	struct tm tm = { 0 };

	ck->report->clean = (sb->state & OWFS_STATE_CLEAN) &&
			    !(sb->state & OWFS_STATE_ERROR);
	if (!(sb->state & OWFS_STATE_ERROR) ||
	    (ck->fixes && ck->fixes->round > 1))
		return;
	if (!sb->error_code) {
		owfs_msg(ck->param->msg, OWFS_MSG_WARN,
			 "a repair was not finished, or has left problems");
		return;
	}
	gmtime_r(&when, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	owfs_msg(ck->param->msg, OWFS_MSG_WARN,
		 "errors were recorded: count=%u first=%s block=%" PRIu64 " time=%s",
		 sb->error_count, strerror((int)sb->error_code),
		 sb->error_block, text);
}

/*
 * Nothing that was ever a superblock is no owfs, unless somebody who insists
 * wants the whole device read.
 */
static bool may_be_lost(const struct check *ck, int err)
{
	if (err == -ENODEV)
		return ck->fixes && ck->param->search;
	return err != -EPROTONOSUPPORT && err != -ENOMEM;
}

/* After a crash it stays as it is until the first change. */
static bool is_torn(struct check *ck, unsigned int slot)
{
	struct owfs_slots s;
	struct owfs_super sb;

	return !owfs_super_read(ck->bd, &sb, &s, NULL) && s.bad_is_due &&
	       owfs_slots_next(&s) == slot;
}

/*
 * They are being written, one after the other: a slot that is not valid now may
 * be so in a moment.
 */
static void check_slot_in_use(struct check *ck, unsigned int slot)
{
	unsigned char sector[OWFS_SUPER_BYTES]
		__attribute__((aligned(OWFS_SUPER_BYTES)));
	uint64_t bytes = ck->sb.nblocks * ck->sb.blocksize;
	unsigned int where, tries;
	struct owfs_super sb;
	int ret = -EFSBADCRC;

	for (tries = 0; tries < SLOT_TRIES && ret && ret != -ESTALE; tries++) {
		ret = owfs_blkdev_read(ck->bd, sector, sizeof(sector),
				       owfs_geo_super_pos(bytes, slot));
		if (!ret)
			ret = owfs_super_from_disk(&sb, &where, sector, NULL);
		if (!ret && (where != slot || memcmp(sb.uuid, ck->sb.uuid,
						     sizeof(sb.uuid))))
			ret = -EFSCORRUPTED;
	}
	if (ret && is_torn(ck, slot))
		tell_torn(ck, slot);
	else if (ret)
		problem(ck, BAD_SUPER_SLOT, "superblock", slot, "%s",
			strerror(-ret));
}

static int pass1_in_use(struct check *ck)
{
	unsigned int slot;

	ck->sb = *ck->param->kept->super;
	if (owfs_geo_init(&ck->geo, ck->sb.blocksize, ck->sb.nblocks))
		return -EFSCORRUPTED;
	ck->report->blocksize = ck->sb.blocksize;
	ck->report->nblocks = ck->sb.nblocks;
	check_state(ck);
	for (slot = 0; slot < OWFS_SUPER_SLOTS; slot++)
		check_slot_in_use(ck, slot);
	return check_progress(ck, 1, 1, 1);
}

int pass1_super(struct check *ck)
{
	struct owfs_super *sb = &ck->sb;
	bool found = false;
	int ret;

	if (ck->param->kept)
		return pass1_in_use(ck);
	ret = owfs_super_read(ck->bd, sb, &ck->slots, &ck->lower);
	if (ret && may_be_lost(ck, ret) &&
	    problem(ck, BAD_SUPER_NONE, "superblock", 0, "%s", strerror(-ret)))
		found = !super_find(ck);
	if (ret && !found)
		return ret;
	ret = owfs_geo_init(&ck->geo, sb->blocksize, sb->nblocks);
	if (ret)
		return -EFSCORRUPTED;
	ck->report->blocksize = sb->blocksize;
	ck->report->nblocks = sb->nblocks;
	check_state(ck);
	if (sb->nblocks * sb->blocksize > ck->bd->size)
		problem(ck, BAD_SUPER_SHORT, "superblock", ck->slots.newest,
			"bytes=%" PRIu64 " device=%" PRIu64,
			sb->nblocks * sb->blocksize, ck->bd->size);
	if (!found)
		check_slots(ck);
	return check_progress(ck, 1, 1, 1);
}
