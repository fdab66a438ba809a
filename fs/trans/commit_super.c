/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The superblocks that commits write, and those that are no commit: the one that
 * claims numbers before the first change, a new label, an error put on record,
 * and the last one of a clean unmount.
 */
#include <string.h>

#include "base/err.h"
#include "base/util.h"
#include "trans/commit_impl.h"

/* ----------------------------------------------------- writing and settling */

static void tell_unwritable(struct owfs_fs *fs, unsigned int slot, int err)
{
	owfs_msg(fs->fs_msg, OWFS_MSG_WARN,
		 "superblock: slot cannot be written: slot=%u error=%d", slot,
		 -err);
}

int owfs_commit_super_write(struct owfs_fs *fs, struct owfs_super *sb)
{
	struct owfs_commit *c = fs->fs_commit;
	unsigned int slot = owfs_slots_next(&fs->fs_slots);
	int ret;

	sb->seq = ++c->seq;
	ret = owfs_super_write(fs->fs_bd, sb, &fs->fs_slots, slot);
	if (!ret)
		return 0;
	tell_unwritable(fs, slot, ret);
	slot = owfs_slots_after(&fs->fs_slots, slot);
	return owfs_super_write(fs->fs_bd, sb, &fs->fs_slots, slot);
}

/*
 * @sb is the device's newest.  Everybody reads the constants at any time, so
 * only what a superblock may change is written.
 */
static void adopt_super(struct owfs_super *to, const struct owfs_super *sb)
{
	to->seq = sb->seq;
	to->next_gen = sb->next_gen;
	to->ino_limit = sb->ino_limit;
	to->state = sb->state;
	to->error_code = sb->error_code;
	to->error_count = sb->error_count;
	to->error_block = sb->error_block;
	to->error_time = sb->error_time;
	to->mount_count = sb->mount_count;
	to->mount_time = sb->mount_time;
	to->write_time = sb->write_time;
	to->root[0] = sb->root[0];
	to->root[1] = sb->root[1];
}

/* The label is what others than the stepper read and what may change. */
static void adopt_label(struct owfs_fs *fs, const struct owfs_super *sb)
{
	pthread_mutex_lock(&fs->fs_commit->c_lock);
	memcpy(fs->fs_super.label, sb->label, sizeof(sb->label));
	pthread_mutex_unlock(&fs->fs_commit->c_lock);
}

int owfs_commit_super_settle(struct owfs_fs *fs, const struct owfs_super *sb)
{
	int ret = owfs_blkdev_flush(fs->fs_bd);

	if (!ret) {
		adopt_super(&fs->fs_super, sb);
		adopt_label(fs, sb);
	}
	return ret;
}

void owfs_commit_super_stamp(struct owfs_fs *fs, struct owfs_super *sb)
{
	struct timespec now;
	int err = __atomic_load_n(&fs->fs_error, __ATOMIC_ACQUIRE);

	owfs_fs_now(fs, &now);
	sb->write_time = now.tv_sec;
	sb->state &= ~OWFS_STATE_CLEAN;
	/* they are written anew, and no reason to check */
	sb->error_count += __atomic_exchange_n(&fs->fs_bad_copies, 0,
					       __ATOMIC_RELAXED);
	if (!err)
		return;
	if (!(sb->state & OWFS_STATE_ERROR) || !sb->error_code) {
		sb->error_code = -err;
		sb->error_time = now.tv_sec;
		sb->error_block = fs->fs_error_block;
	}
	if (!(sb->state & OWFS_STATE_ERROR))
		sb->error_count++;
	sb->state |= OWFS_STATE_ERROR;
}

/* --------------------------------------- superblocks that are no commit */

static int claim_numbers(struct owfs_fs *fs)
{
	struct owfs_super sb = fs->fs_super;
	struct timespec now;
	int ret;

	owfs_fs_now(fs, &now);
	sb.next_gen = owfs_open_gen(fs) + 1;
	pthread_mutex_lock(&fs->fs_ino_lock);
	sb.ino_limit = min_u64(fs->fs_next_ino + INO_STEP, OWFS_INO_MAX + 1);
	pthread_mutex_unlock(&fs->fs_ino_lock);
	sb.mount_count++;
	sb.mount_time = now.tv_sec;
	owfs_commit_super_stamp(fs, &sb);

	ret = owfs_commit_super_write(fs, &sb);
	if (!ret)
		ret = owfs_commit_super_settle(fs, &sb);
	if (ret)
		return ret;
	pthread_mutex_lock(&fs->fs_ino_lock);
	fs->fs_ino_limit = sb.ino_limit;
	pthread_mutex_unlock(&fs->fs_ino_lock);
	return 0;
}

int owfs_commit_start_run(struct owfs_fs *fs)
{
	struct owfs_commit *c = fs->fs_commit;
	int ret = 0;

	if (__atomic_load_n(&c->started, __ATOMIC_ACQUIRE))
		return 0;
	if (!owfs_commit_enter(fs, c))
		return -EIO;
	if (!c->started) {
		ret = claim_numbers(fs);
		if (!ret)
			__atomic_store_n(&c->started, true, __ATOMIC_RELEASE);
	}
	owfs_commit_leave(c);
	if (!ret)
		return 0;
	owfs_fs_fail(fs, ret, "superblock: cannot claim generation %llu",
		     (unsigned long long)owfs_open_gen(fs));
	owfs_commit_poison(fs, ret);
	return ret;
}

/*
 * The newest superblock into every slot that has an older one, a flush each.  Of
 * those that cannot be written the first error is returned when all others have
 * it.
 */
static int copy_to_all_slots(struct owfs_fs *fs, const struct owfs_super *sb)
{
	struct owfs_slots *slots = &fs->fs_slots;
	unsigned int i, slot = slots->newest;
	int ret, first = 0;

	for (i = 1; i < OWFS_SUPER_SLOTS; i++) {
		slot = owfs_slots_ring_next(slot);
		ret = owfs_super_write(fs->fs_bd, sb, slots, slot);
		if (ret) {
			tell_unwritable(fs, slot, ret);
			first = first ? first : ret;
			continue;
		}
		ret = owfs_blkdev_flush(fs->fs_bd);
		if (ret)
			return ret;
	}
	return first;
}

void owfs_commit_forgive(struct owfs_fs *fs)
{
	struct owfs_super *sb = &fs->fs_super;
	struct timespec now;

	owfs_fs_now(fs, &now);
	sb->state &= ~(OWFS_STATE_ERROR | OWFS_STATE_CLEAN);
	sb->error_code = sb->error_count = 0;
	sb->error_time = sb->error_block = 0;
	sb->check_time = (uint64_t)now.tv_sec;
}

void owfs_label_get(struct owfs_fs *fs, char label[OWFS_LABEL_MAX + 1])
{
	pthread_mutex_lock(&fs->fs_commit->c_lock);
	memcpy(label, fs->fs_super.label, OWFS_LABEL_MAX + 1);
	pthread_mutex_unlock(&fs->fs_commit->c_lock);
}

/* Caller is the stepper between two commits. */
static int write_label(struct owfs_fs *fs, const char *label)
{
	struct owfs_super sb = fs->fs_super;
	int ret;

	memset(sb.label, 0, sizeof(sb.label));
	memcpy(sb.label, label, strlen(label));
	owfs_commit_super_stamp(fs, &sb);
	ret = owfs_commit_super_write(fs, &sb);
	if (!ret)
		ret = owfs_commit_super_settle(fs, &sb);
	if (ret)
		return owfs_fs_fail(fs, ret, "superblock: cannot write the label");
	/* it is durable now; programs that look for labels read the first slot */
	return copy_to_all_slots(fs, &sb);
}

int owfs_label_set(struct owfs_fs *fs, const char *label)
{
	struct owfs_commit *c = fs->fs_commit;
	int ret = owfs_fs_writable(fs);

	if (!ret && strlen(label) > OWFS_LABEL_MAX)
		ret = -EINVAL;
	if (!ret)
		ret = owfs_commit_start_run(fs);
	if (ret)
		return ret;
	if (!owfs_commit_enter(fs, c))
		return -EIO;
	ret = write_label(fs, label);
	owfs_commit_leave(c);
	return ret;
}

bool owfs_commit_is_as_crashed(struct owfs_fs *fs)
{
	int err = __atomic_load_n(&fs->fs_error, __ATOMIC_ACQUIRE);

	return (err == -EFSCORRUPTED || err == -EFSBADCRC) &&
	       fs->fs_commit->crashed_gen &&
	       fs->fs_commit->crashed_gen == fs->fs_super.root[0].gen;
}

int owfs_commit_finish(struct owfs_fs *fs)
{
	struct owfs_commit *c = fs->fs_commit;
	bool broken = !owfs_commit_enter(fs, c);
	struct owfs_super sb = fs->fs_super;
	int ret;

	/* after a failed commit its number may stand on the device */
	sb.next_gen = max_u64(sb.next_gen, owfs_open_gen(fs) + broken);
	owfs_commit_super_stamp(fs, &sb);
	if (!broken) {
		sb.state |= OWFS_STATE_CLEAN;
		sb.ino_limit = fs->fs_next_ino;
	}
	ret = owfs_commit_super_write(fs, &sb);
	if (!ret)
		ret = owfs_commit_super_settle(fs, &sb);
	if (!ret && !broken)
		ret = copy_to_all_slots(fs, &sb);
	if (!broken)
		owfs_commit_leave(c);
	return ret;
}

int owfs_commit_write_error(struct owfs_fs *fs)
{
	bool broken = !owfs_commit_enter(fs, fs->fs_commit);
	struct owfs_super sb = fs->fs_super;
	int ret = 0;

	if (!((sb.state & OWFS_STATE_ERROR) && sb.error_code) && !fs->fs_down &&
	    !owfs_commit_is_as_crashed(fs)) {
		sb.next_gen = max_u64(sb.next_gen, owfs_open_gen(fs) + broken);
		owfs_commit_super_stamp(fs, &sb);
		ret = owfs_commit_super_write(fs, &sb);
		if (!ret)
			ret = owfs_commit_super_settle(fs, &sb);
	}
	if (!broken)
		owfs_commit_leave(fs->fs_commit);
	return ret;
}
