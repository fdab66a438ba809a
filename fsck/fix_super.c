/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Superblocks, and commits that change nothing but what they point to.
 *
 * A slot is written with a flush of its own, and never the only one that holds
 * the newest: after a cut the newest that is found is the one before or the
 * one after.  One that cannot be written is named and passed over, as a commit
 * does it: what else is wrong need not stay so.
 */
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/util.h"
#include "fixer.h"

/* Nobody writes so many superblocks while some others are lost. */
#define SKIP_NUMBERS	(1ull << 32)
#define SKIP_INODES	(1u << 20)

void fix_tell_unwritable(struct fixes *fx, const struct owfs_msg *msg,
			 unsigned int slot, int err)
{
	char line[120];

	fx->unwritable |= 1u << slot;
	snprintf(line, sizeof(line), "superblock %u: cannot be written: %s",
		 slot, strerror(-err));
	if (fixes_is_news(fx, line))
		owfs_msg(msg, OWFS_MSG_WARN, "%s", line);
}

bool fix_slots_worn(const struct check *ck)
{
	unsigned int i;

	for (i = 0; i < OWFS_SUPER_SLOTS; i++)
		if (!ck->slots.slot[i].valid &&
		    !(ck->fixes->unwritable & 1u << i))
			return false;
	return true;
}

/* *@done: it was written, and not only tried. */
static int write_slot(struct check *ck, unsigned int slot, bool *done)
{
	int ret = owfs_super_write(ck->bd, &ck->sb, &ck->slots, slot);

	*done = !ret;
	if (ret) {
		fix_tell_unwritable(ck->fixes, ck->param->msg, slot, ret);
		return 0;
	}
	ret = owfs_blkdev_flush(ck->bd);
	ck->fixes->applied += !ret;
	return ret;
}

/* The slot whose turn it is, or the next that can be written. */
static int write_next(struct check *ck)
{
	unsigned int tries, slot = owfs_slots_next(&ck->slots);
	bool done = false;
	int ret = 0;

	for (tries = 0; tries < OWFS_SUPER_SLOTS && !done && !ret; tries++) {
		if (!(ck->fixes->unwritable & 1u << slot))
			ret = write_slot(ck, slot, &done);
		if (!done)
			slot = owfs_slots_after(&ck->slots, slot);
	}
	return ret || done ? ret : -EIO;
}

/* Until all is well: nobody shall take this for a crash, nor for a clean end. */
static void set_at_work(struct check *ck)
{
	ck->sb.state &= ~OWFS_STATE_CLEAN;
	ck->sb.state |= OWFS_STATE_ERROR;
}

/*
 * Nothing but superblocks is about to be written: what a crash has left may still
 * be given up for the commit before it, and that is told by the state (check.c).
 */
static void set_begun(struct check *ck)
{
	if (ck->sb.state & OWFS_STATE_CLEAN)
		set_at_work(ck);
}

static uint64_t skip(uint64_t number, uint64_t n)
{
	return max_u64(number, min_u64(number + n, UINT64_MAX / 2));
}

/*
 * Whatever was written under a number, it is not used again: those that are known,
 * and far more than lost superblocks can have given out.  One of those may even be
 * read again one day: it shall not be the newest then.
 */
static void pass_over_numbers(struct check *ck)
{
	struct owfs_super *sb = &ck->sb;

	sb->next_gen = max_u64(sb->next_gen, ck->fixes->next_gen);
	if (ck->fixes->newer_lost) {
		sb->next_gen = skip(sb->next_gen, SKIP_NUMBERS);
		sb->seq = skip(sb->seq, SKIP_NUMBERS);
		sb->ino_limit = min_u64(sb->ino_limit + SKIP_INODES,
					OWFS_INO_MAX + 1);
	}
	sb->seq++;
}

/* Written in an earlier round, and as bad as before: that would go on for ever. */
static void find_worn(struct check *ck)
{
	struct fixes *fx = ck->fixes;
	unsigned int i;

	for (i = 0; i < OWFS_SUPER_SLOTS; i++)
		if (fx->slots & fx->rewritten & 1u << i)
			fix_tell_unwritable(fx, ck->param->msg, i, -EIO);
}

int fix_slots(struct check *ck)
{
	struct fixes *fx = ck->fixes;
	bool numbers = fx->order || fx->newer_lost;
	unsigned int i;
	bool done, any = false;
	int ret = 0;

	if (numbers) {
		pass_over_numbers(ck);
		set_begun(ck);
	}
	find_worn(ck);
	for (i = 0; i < OWFS_SUPER_SLOTS && !ret; i++)
		if (fx->slots & ~fx->unwritable & 1u << i) {
			ret = write_slot(ck, i, &done);
			any |= done;
			fx->rewritten |= 1u << i;
		}
	/* before anything else is written, numbers have to be on the device */
	if (!ret && !any && numbers && (fx->order || fixes_pending(fx) > 1))
		ret = write_next(ck);
	return ret;
}

int fix_super_write(struct check *ck)
{
	set_at_work(ck);
	ck->sb.seq++;
	return write_next(ck);
}

int fix_claim(struct check *ck, owfs_gen_t *gen)
{
	*gen = ck->sb.next_gen;
	ck->sb.next_gen += 3;
	set_begun(ck);
	ck->sb.seq++;
	return write_next(ck);
}

int fix_commit(struct check *ck, const struct owfs_root *root, owfs_gen_t gen)
{
	struct owfs_root new = *root;

	new.map.freed_blocks = 0;
	new.gen = gen;
	ck->sb.root[1] = new;
	new.gen = gen + 1;
	ck->sb.root[0] = new;
	ck->fixes->on_the_way = false;
	return fix_super_write(ck);
}

int fix_commit_last(struct check *ck, const struct owfs_root *root,
		    owfs_gen_t gen)
{
	ck->sb.root[0] = *root;
	ck->sb.root[0].gen = gen;
	return fix_super_write(ck);
}
