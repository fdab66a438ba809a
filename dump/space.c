/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The space map: groups with their counts, or every run of used blocks. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "dump.h"
#include "space/bitmap.h"

struct group {
	struct dump *d;
	uint64_t g;
	uint32_t len;
	const uint64_t *bits;
};

static void show_counts(const struct group *gr)
{
	struct out *o = &gr->d->out;
	uint32_t nbits = gr->d->geo.group_blocks, start = 0;
	uint32_t used = owfs_bitmap_weight(gr->bits, OWFS_BITMAP_WORDS(nbits));

	out_open(o, NULL, OUT_LINE);
	out_u64(o, "group", gr->g);
	out_u64(o, "start", owfs_geo_group_start(&gr->d->geo, gr->g));
	out_u64(o, "blocks", gr->len);
	out_u64(o, "fixed", owfs_geo_group_fixed(&gr->d->geo, gr->g));
	out_u64(o, "free", nbits - used);
	out_u64(o, "longest_run", owfs_bitmap_find_clear(gr->bits, 0, nbits,
							 nbits, &start));
	out_close(o);
}

static void show_runs(const struct group *gr)
{
	struct out *o = &gr->d->out;
	uint32_t bit = 0, end;

	for (;;) {
		bit = owfs_bitmap_next_set(gr->bits, bit, gr->len);
		if (bit >= gr->len)
			return;
		end = owfs_bitmap_next_clear(gr->bits, bit, gr->len);
		out_open(o, NULL, OUT_LINE);
		out_u64(o, "group", gr->g);
		out_u64(o, "used_from",
			owfs_geo_group_start(&gr->d->geo, gr->g) + bit);
		out_u64(o, "blocks", end - bit);
		out_close(o);
		bit = end;
	}
}

/* Groups in which nothing but fixed blocks is used are not worth a line. */
static int each_group(struct dump *d, struct owfs_freemap *fm, uint64_t *mem,
		      void (*show)(const struct group *gr))
{
	size_t nwords = OWFS_BITMAP_WORDS(d->geo.group_blocks);
	uint64_t *bits = mem, *pins = mem + nwords, *none = mem + 2 * nwords;
	uint64_t blocks = d->bd->size / d->geo.blocksize, g;
	int ret;

	/* of what is not there a superblock may say anything */
	for (g = 0; g < d->geo.ngroups &&
	     owfs_geo_group_start(&d->geo, g) < blocks; g++) {
		struct group gr = { d, g, owfs_geo_group_len(&d->geo, g),
				    bits };

		ret = owfs_freemap_load(fm, g, bits, pins);
		if (ret)
			return ret;
		owfs_freemap_untouched(&d->geo, g, none);
		if (memcmp(bits, none, nwords * sizeof(*bits)))
			show(&gr);
	}
	return 0;
}

static int show_groups(struct dump *d, void (*show)(const struct group *gr))
{
	const struct owfs_freemap_param p = {
		.bd = d->bd,
		.geo = &d->geo,
		.seed = d->sb.csum_seed,
		.cur = d->root->map,
		.msg = d->msg,
	};
	size_t nwords = OWFS_BITMAP_WORDS(d->geo.group_blocks);
	uint64_t *mem = calloc(3 * nwords, sizeof(*mem));
	struct owfs_freemap *fm;
	int ret = -ENOMEM;

	if (d->bd->size / d->geo.blocksize < d->geo.nblocks)
		owfs_msg(d->msg, OWFS_MSG_WARN, "the device ends at block %" PRIu64
			 " of %" PRIu64, d->bd->size / d->geo.blocksize,
			 d->geo.nblocks);
	if (mem)
		ret = owfs_freemap_open(&fm, &p);
	if (!ret) {
		ret = each_group(d, fm, mem, show);
		owfs_freemap_close(fm);
	}
	free(mem);
	return ret;
}

int dump_groups(struct dump *d)
{
	int ret;

	out_u64(&d->out, "ngroups", d->geo.ngroups);
	out_u64(&d->out, "group_blocks", d->geo.group_blocks);
	out_u64(&d->out, "map_levels", d->geo.levels);
	out_u64(&d->out, "free_blocks", d->root->map.free_blocks);
	out_open(&d->out, "groups_in_use", OUT_ARRAY);
	ret = show_groups(d, show_counts);
	out_close(&d->out);
	return ret;
}

int dump_map(struct dump *d)
{
	int ret;

	out_open(&d->out, "map", OUT_ARRAY);
	ret = show_groups(d, show_runs);
	out_close(&d->out);
	return ret;
}
