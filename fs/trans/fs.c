/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Opening a filesystem: which superblock to believe, and the floors below put
 * together over it.  Also what hangs off the handle: time, chance, the first
 * error.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/err.h"
#include "base/util.h"
#include "trans/commit.h"
#include "trans/keep.h"
#include "trans/tree_ops.h"

/* ------------------------------------------------------------ environment */

static void system_now(void *ctx, struct timespec *ts)
{
	(void)ctx;
	clock_gettime(CLOCK_REALTIME, ts);
}

static uint64_t system_random(void *ctx)
{
	uint64_t r;

	(void)ctx;
	if (getrandom(&r, sizeof(r), 0) != sizeof(r)) {
		struct timespec ts;

		clock_gettime(CLOCK_REALTIME, &ts);
		r = (uint64_t)ts.tv_nsec << 32 ^ (uint64_t)ts.tv_sec;
	}
	return r;
}

const struct owfs_env owfs_env_system = {
	.now = system_now,
	.random = system_random,
};

void owfs_fs_now(struct owfs_fs *fs, struct timespec *ts)
{
	fs->fs_env->now(fs->fs_env->ctx, ts);
}

uint64_t owfs_fs_random(struct owfs_fs *fs)
{
	return fs->fs_env->random(fs->fs_env->ctx);
}

/* ----------------------------------------------------------------- errors */

static int fail(struct owfs_fs *fs, int err, owfs_fsblock_t block,
		const char *fmt, va_list ap)
	__attribute__((format(printf, 4, 0)));

static int fail(struct owfs_fs *fs, int err, owfs_fsblock_t block,
		const char *fmt, va_list ap)
{
	char line[256];
	bool first;

	vsnprintf(line, sizeof(line), fmt, ap);
	owfs_msg(fs->fs_msg, OWFS_MSG_ERROR, "%s", line);

	first = !__atomic_exchange_n(&fs->fs_failing, true, __ATOMIC_ACQ_REL);
	__atomic_store_n(&fs->fs_readonly, true, __ATOMIC_RELEASE);
	if (!first)
		return err;
	fs->fs_error_block = block;
	__atomic_store_n(&fs->fs_error, err, __ATOMIC_RELEASE);
	if (fs->fs_param.readonly)
		return err;
	owfs_msg(fs->fs_msg, OWFS_MSG_ERROR, "%s",
		 fs->fs_param.errors == OWFS_ERRORS_SHUTDOWN
		 ? "filesystem shut down" : "filesystem is now read-only");
	owfs_commit_record(fs);
	return err;
}

int owfs_fs_fail(struct owfs_fs *fs, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fail(fs, err, 0, fmt, ap);
	va_end(ap);
	return err;
}

int owfs_fs_fail_at(struct owfs_fs *fs, int err, owfs_fsblock_t block,
		    const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fail(fs, err, block, fmt, ap);
	va_end(ap);
	return err;
}

int owfs_fs_check_map(struct owfs_fs *fs, int ret)
{
	if ((ret == -EFSCORRUPTED || ret == -EFSBADCRC) &&
	    !__atomic_load_n(&fs->fs_error, __ATOMIC_ACQUIRE))
		owfs_fs_fail(fs, ret, "space map: cannot be believed");
	return ret;
}

int owfs_fs_readable(const struct owfs_fs *fs)
{
	if (__atomic_load_n(&fs->fs_down, __ATOMIC_ACQUIRE))
		return -EIO;
	if (fs->fs_param.errors == OWFS_ERRORS_SHUTDOWN &&
	    __atomic_load_n(&fs->fs_error, __ATOMIC_ACQUIRE))
		return -EIO;
	return 0;
}

/*
 * Operations that had begun may still end, and be answered, between the last
 * commit and the stop: like those that a crash comes upon.
 */
int owfs_fs_shutdown(struct owfs_fs *fs, bool flush)
{
	int ret = 0;

	__atomic_store_n(&fs->fs_down, true, __ATOMIC_RELEASE);
	if (flush)
		ret = owfs_commit_all(fs);
	owfs_commit_poison(fs, -EIO);
	owfs_msg(fs->fs_msg, OWFS_MSG_WARN, "filesystem shut down on request");
	return ret;
}

int owfs_fs_writable(const struct owfs_fs *fs)
{
	int ret = owfs_fs_readable(fs);

	if (ret)
		return ret;
	return __atomic_load_n(&fs->fs_readonly, __ATOMIC_ACQUIRE) ? -EROFS : 0;
}

/* ---------------------------------------------------------------- opening */

static bool some_unreadable(const struct owfs_slots *s)
{
	unsigned int i;

	for (i = 0; i < OWFS_SUPER_SLOTS; i++)
		if (s->slot[i].err == -EIO)
			return true;
	return false;
}

/* May the newest superblock be believed, and written after? */
static int judge_slots(struct owfs_fs *fs)
{
	const struct owfs_slots *s = &fs->fs_slots;

	if (s->bad == 0 || s->bad_is_due || fs->fs_param.worn_slots)
		return 0;
	if (s->bad == 1) {
		owfs_msg(fs->fs_msg, OWFS_MSG_WARN,
			 "superblock: one of 4 is damaged and no crash explains it: read-only until fsck.owfs has run");
		/* for good, whatever else is found: nothing is written */
		fs->fs_param.readonly = true;
		fs->fs_readonly = true;
		return 0;
	}
	owfs_msg(fs->fs_msg, OWFS_MSG_ERROR,
		 "superblock: %u of 4 are damaged, the newest may be among them: run fsck.owfs",
		 s->bad);
	return some_unreadable(s) ? -EIO : -EFSCORRUPTED;
}

static int check_ro_features(struct owfs_fs *fs)
{
	uint64_t unknown = fs->fs_super.ro_compat & ~OWFS_ROCOMPAT_KNOWN;

	if (!unknown || fs->fs_param.readonly)
		return 0;
	owfs_msg(fs->fs_msg, OWFS_MSG_ERROR,
		 "superblock: features that allow only reading: ro_compat=0x%" PRIx64 ": mount with -o ro",
		 unknown);
	return -EROFS;
}

static int check_size(struct owfs_fs *fs)
{
	uint64_t bytes = fs->fs_super.nblocks * fs->fs_super.blocksize;
	uint64_t room = owfs_super_room(&fs->fs_super, fs->fs_bd);

	if (room)
		owfs_msg(fs->fs_msg, OWFS_MSG_INFO,
			 "device is longer than the filesystem by %" PRIu64 " blocks; making a filesystem longer is not possible yet",
			 room);
	if (bytes <= fs->fs_bd->size)
		return 0;
	owfs_msg(fs->fs_msg, OWFS_MSG_ERROR,
		 "device is shorter than the filesystem: device=%" PRIu64 " filesystem=%" PRIu64,
		 fs->fs_bd->size, bytes);
	return -ENOSPC;
}

static int fall_back(struct owfs_fs *fs)
{
	struct owfs_root *root = fs->fs_super.root;

	if (root[1].gen == 0) {
		owfs_msg(fs->fs_msg, OWFS_MSG_ERROR,
			 "superblock: there is no older commit to fall back to");
		return -EFSCORRUPTED;
	}
	root[0] = root[1];
	root[0].map.freed_blocks = 0;
	memset(&root[1], 0, sizeof(root[1]));
	return 0;
}

static void tell_errors(struct owfs_fs *fs)
{
	const struct owfs_super *sb = &fs->fs_super;

	if ((sb->state & OWFS_STATE_ERROR) && sb->error_code)
		owfs_msg(fs->fs_msg, OWFS_MSG_WARN,
			 "errors were recorded: run fsck.owfs: count=%u first=%s block=%" PRIu64,
			 sb->error_count, strerror((int)sb->error_code),
			 sb->error_block);
}

static int read_super(struct owfs_fs *fs)
{
	int ret = owfs_super_read(fs->fs_bd, &fs->fs_super, &fs->fs_slots,
				  fs->fs_msg);

	if (ret == -ENODEV)
		owfs_msg(fs->fs_msg, OWFS_MSG_ERROR, "no owfs filesystem here");
	/* a device that lost its end lost slots, too: say what is the matter */
	if (!ret)
		ret = check_size(fs);
	if (!ret)
		ret = judge_slots(fs);
	if (!ret)
		ret = check_ro_features(fs);
	if (!ret)
		tell_errors(fs);
	if (!ret && fs->fs_param.fallback)
		ret = fall_back(fs);
	return ret;
}

static int open_floors(struct owfs_fs *fs)
{
	const struct owfs_super *sb = &fs->fs_super;
	struct owfs_alloc_param ap = {
		.bd = fs->fs_bd,
		.seed = sb->csum_seed,
		.reserve = sb->reserve_blocks,
		.cur = sb->root[0].map,
		.prev = sb->root[1].map,
		.discard = fs->fs_param.discard,
		.msg = fs->fs_msg,
	};
	struct owfs_btree_param bp = {
		.ops = &owfs_trans_tree_ops,
		.ctx = fs,
		.owner = OWFS_TREE_MAIN,
		.root = sb->root[0].tree,
		.level = sb->root[0].level,
		.open_gen = owfs_open_gen(fs),
	};
	int ret;

	ret = owfs_geo_init(&fs->fs_geo, sb->blocksize, sb->nblocks);
	if (ret)
		return ret;
	ap.geo = fs->fs_geo;
	ret = owfs_bufcache_create(&fs->fs_bc, fs->fs_bd, sb->blocksize,
				   sb->nblocks, sb->csum_seed,
				   fs->fs_param.cache ? fs->fs_param.cache
						      : OWFS_CACHE_DEFAULT,
				   fs->fs_msg);
	if (ret)
		return ret;
	ret = owfs_alloc_open(&fs->fs_al, &ap);
	if (ret)
		return ret;
	bp.bc = fs->fs_bc;
	ret = owfs_btree_open(&fs->fs_bt, &bp);
	if (ret)
		return ret;
	ret = owfs_keep_open(fs);
	return ret ? ret : owfs_commit_create(fs);
}

static struct owfs_fs *fs_new(const struct owfs_fs_param *param)
{
	struct owfs_fs *fs = calloc(1, sizeof(*fs));
	pthread_rwlockattr_t attr;
	pthread_condattr_t cattr;

	if (!fs)
		return NULL;
	fs->fs_param = *param;
	fs->fs_bd = param->bd;
	fs->fs_env = param->env ? param->env : &owfs_env_system;
	fs->fs_msg = param->msg;
	fs->fs_readonly = param->readonly;
	pthread_mutex_init(&fs->fs_ino_lock, NULL);
	pthread_mutex_init(&fs->fs_turn_lock, NULL);
	pthread_cond_init(&fs->fs_turn_over, NULL);
	pthread_condattr_init(&cattr);
	pthread_condattr_setclock(&cattr, CLOCK_MONOTONIC);
	pthread_cond_init(&fs->fs_turn_back, &cattr);
	pthread_condattr_destroy(&cattr);
	pthread_rwlockattr_init(&attr);
	/* a seal must not starve behind a stream of transactions */
	pthread_rwlockattr_setkind_np(&attr,
			PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&fs->fs_seal, &attr);
	pthread_rwlockattr_destroy(&attr);
	return fs;
}

void owfs_fs_close(struct owfs_fs *fs)
{
	if (!fs)
		return;
	owfs_fs_stop(fs);
	owfs_keep_close(fs);
	owfs_commit_destroy(fs);
	owfs_btree_close(fs->fs_bt);
	owfs_alloc_close(fs->fs_al);
	owfs_bufcache_destroy(fs->fs_bc);
	pthread_rwlock_destroy(&fs->fs_seal);
	pthread_cond_destroy(&fs->fs_turn_back);
	pthread_cond_destroy(&fs->fs_turn_over);
	pthread_mutex_destroy(&fs->fs_turn_lock);
	pthread_mutex_destroy(&fs->fs_ino_lock);
	free(fs);
}

int owfs_fs_open(struct owfs_fs **fsp, const struct owfs_fs_param *param)
{
	struct owfs_fs *fs = fs_new(param);
	int ret;

	if (!fs)
		return -ENOMEM;
	ret = read_super(fs);
	if (!ret) {
		fs->fs_open_gen = fs->fs_super.next_gen;
		fs->fs_next_ino = fs->fs_super.ino_limit;
		fs->fs_ino_limit = fs->fs_super.ino_limit;
		ret = open_floors(fs);
	}
	if (ret) {
		owfs_fs_close(fs);
		return ret;
	}
	*fsp = fs;
	return 0;
}

int owfs_fs_open_fresh(struct owfs_fs **fsp, const struct owfs_fs_param *param,
		       const struct owfs_super *sb)
{
	struct owfs_fs *fs = fs_new(param);
	int ret;

	if (!fs)
		return -ENOMEM;
	fs->fs_super = *sb;
	fs->fs_open_gen = 1;
	fs->fs_next_ino = OWFS_INO_FIRST;
	fs->fs_ino_limit = OWFS_INO_FIRST;
	ret = open_floors(fs);
	if (ret) {
		owfs_fs_close(fs);
		return ret;
	}
	*fsp = fs;
	return 0;
}

int owfs_fs_format_commit(struct owfs_fs *fs)
{
	return owfs_commit_format(fs);
}

int owfs_fs_start(struct owfs_fs *fs)
{
	if (!fs->fs_param.threaded || fs->fs_param.readonly)
		return 0;
	return owfs_commit_thread_start(fs);
}

void owfs_fs_stop(struct owfs_fs *fs)
{
	if (fs->fs_commit)
		owfs_commit_thread_stop(fs);
}

/* Nothing was written in this run and nothing needs to be. */
static bool is_untouched(struct owfs_fs *fs)
{
	return fs->fs_param.readonly ||
	       ((fs->fs_super.state & OWFS_STATE_CLEAN) && !fs->fs_error) ||
	       owfs_commit_is_as_crashed(fs);
}

int owfs_fs_sync_and_clean(struct owfs_fs *fs)
{
	int ret, ret2;

	owfs_fs_stop(fs);
	if (__atomic_load_n(&fs->fs_down, __ATOMIC_ACQUIRE))
		return 0;
	ret = owfs_commit_all(fs);
	if (is_untouched(fs))
		return ret;
	ret2 = owfs_commit_finish(fs);
	return ret ? ret : ret2;
}
