/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A seed gives the same device writes: operations, commit, reclaim and
 * eviction, played twice, leave the same log to the byte.
 */
#include <stdlib.h>
#include <string.h>

#include "rig.h"

#define OPS	400

static void play(struct owfs_fs *fs, struct rng *rng)
{
	struct op op;
	int i;

	for (i = 0; i < OPS; i++) {
		op_random(&op, &op_profile_mixed, rng);
		if (op.kind != OP_REMOUNT)
			rig_apply(fs, &op);
		switch (rng_below(rng, 4)) {
		case 0:
			owfs_commit_step(fs, true);
			break;
		case 1:
			owfs_reclaim_step(fs);
			break;
		case 2:
			owfs_bufcache_shrink(fs->fs_bc, true);
			break;
		default:
			break;
		}
	}
}

static uint64_t log_hash(struct emubd *e)
{
	unsigned char buf[4096];
	XXH3_state_t st;
	uint64_t off;
	size_t i;

	XXH3_64bits_reset(&st);
	for (i = 0; i < emubd_log_len(e); i++) {
		const struct emubd_event *ev = emubd_log_at(e, i);
		uint64_t head[] = { ev->kind, ev->pos, ev->len };

		XXH3_64bits_update(&st, head, sizeof(head));
		for (off = 0; ev->kind == EMUBD_WRITE && off < ev->len;
		     off += EMUBD_SECTOR) {
			emubd_event_data(ev, off, buf, EMUBD_SECTOR);
			XXH3_64bits_update(&st, buf, EMUBD_SECTOR);
		}
	}
	return XXH3_64bits_digest(&st);
}

static uint64_t run(uint64_t seed, size_t *len)
{
	struct rig_env env;
	struct rng rng = { seed };
	struct emubd *e;
	struct owfs_fs *fs;
	uint64_t hash;

	rig_env_init(&env, seed);
	e = rig_mkfs(&env, 16 << 20, 0, 0);
	if (!e)
		exit(1);
	emubd_record(e, true);
	if (rig_mount(&fs, e, &env, 0, NULL))
		exit(1);
	play(fs, &rng);
	owfs_mount_abandon(fs);
	hash = log_hash(e);
	*len = emubd_log_len(e);
	emubd_destroy(e);
	return hash;
}

int main(void)
{
	uint64_t seed, a, b;
	size_t len, len2;
	int failed = 0;

	for (seed = 1; seed <= 8; seed++) {
		a = run(seed, &len);
		b = run(seed, &len2);
		if (a != b || len != len2 || len < 50) {
			printf("seed %llu: logs of %zu and %zu events differ\n",
			       (unsigned long long)seed, len, len2);
			failed++;
		}
	}
	printf("seeds=%d failed=%d\n", 8, failed);
	return failed != 0;
}
