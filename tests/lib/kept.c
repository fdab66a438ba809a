/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See kept.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kept.h"

#include "base/util.h"
#include "emubd_image.h"
#include "file/mount.h"
#include "trans/keep.h"
#include "trans/mend.h"

static int keep_read(struct owfs_blkdev *bd, void *buf, size_t len, loff_t pos)
{
	struct kept *k = container_of(bd, struct kept, bd);
	int ret = owfs_keep_read(k->fs, k->id, buf, len, pos);

	if (ret == -ESTALE)
		k->lost = true;
	return ret;
}

static const struct owfs_blkdev_ops keep_ops = { .read = keep_read };

static int keep_bits(void *ctx, uint64_t g, uint64_t *bits)
{
	struct kept *k = ctx;
	int ret = owfs_keep_bits(k->fs, k->id, g, bits);

	if (ret == -ESTALE)
		k->lost = true;
	return ret;
}

static int mend(void *ctx, const struct owfs_ptr *ptr, unsigned int level,
		const struct owfs_key *first)
{
	struct kept *k = ctx;

	return owfs_mend_now(k->fs, ptr, level, first);
}

int kept_begin(struct kept *k, struct owfs_fs *fs)
{
	int ret;

	*k = (struct kept){
		.bd = { .ops = &keep_ops, .size = fs->fs_bd->size,
			.sector = fs->fs_bd->sector },
		.fs = fs,
	};
	ret = owfs_keep_begin(fs, &k->sb, &k->id);
	k->active = !ret;
	return ret;
}

void kept_end(struct kept *k)
{
	if (k->active)
		owfs_keep_end(k->fs, k->id);
	k->active = false;
}

/* What was there cannot have changed. */
static bool is_same(const struct owfs_check_report *a,
		    const struct owfs_check_report *b)
{
	return a->gen == b->gen && a->nodes == b->nodes &&
	       a->items == b->items && a->files == b->files &&
	       a->dirs == b->dirs && a->orphans == b->orphans &&
	       a->extents == b->extents && a->used_blocks == b->used_blocks &&
	       a->free_blocks == b->free_blocks;
}

static int judge(struct kept *k, int ret, const struct owfs_check_report *rep)
{
	if (k->lost) {
		kept_end(k);
		return 1;
	}
	if (ret || rep->problems != rep->count[BAD_NODE_COPY])
		snprintf(k->why, sizeof(k->why),
			 "kept generation %llu: error=%d problems=%u: %.200s",
			 (unsigned long long)k->sb.root[0].gen, -ret,
			 rep->problems, rep->first);
	else if (k->has_seen && !is_same(&k->seen, rep))
		snprintf(k->why, sizeof(k->why),
			 "kept generation %llu: is not what it was",
			 (unsigned long long)k->sb.root[0].gen);
	else
		return 0;
	return -1;
}

int kept_check(struct kept *k, bool mends)
{
	const struct owfs_check_kept kept = {
		.super = &k->sb, .bits = keep_bits, .mend = mends ? mend : NULL,
		.ctx = k,
	};
	const struct owfs_check_param p = { .kept = &kept };
	struct owfs_check_report rep;
	int ret = owfs_check(&k->bd, &p, &rep);

	ret = judge(k, ret, &rep);
	if (!ret) {
		k->seen = rep;
		k->has_seen = true;
	}
	return ret;
}

/* ------------------------------------------------------------------ damage */

struct hurt {
	struct emubd *e;
	struct rng *rng;
	uint32_t bs;
	int n;
};

/* The other one must not be bad from the last time. */
static bool is_good(const struct hurt *h, owfs_fsblock_t addr, const void *data)
{
	void *copy = emubd_must(malloc(h->bs));
	bool good;

	emubd_peek(h->e, copy, h->bs, addr * h->bs);
	good = !memcmp(copy, data, h->bs);
	free(copy);
	return good;
}

static int hurt_node(void *ctx, const struct owfs_ptr *ptr, unsigned int level,
		     const void *data)
{
	struct hurt *h = ctx;
	unsigned int copy = (unsigned int)rng_below(h->rng, 2);

	(void)level;
	if (ptr->addr[1] == OWFS_NOBLOCK || rng_below(h->rng, 2) ||
	    !is_good(h, ptr->addr[!copy], data))
		return 0;
	emubd_garbage(h->e, ptr->addr[copy] * h->bs, h->bs, rng_next(h->rng));
	h->n++;
	return 0;
}

int kept_hurt(struct emubd *e, struct rng *rng)
{
	struct hurt h = { .e = e, .rng = rng };
	const struct owfs_btree_visitor v = { .enter = hurt_node, .ctx = &h };
	struct owfs_fs_param p = { .bd = emubd_blkdev(e), .readonly = true };
	struct owfs_fs *fs;
	int ret = owfs_mount(&fs, &p);

	if (ret)
		return ret;
	h.bs = fs->fs_geo.blocksize;
	ret = owfs_btree_visit(fs->fs_bt, &v);
	owfs_mount_abandon(fs);
	return ret ? ret : h.n;
}
