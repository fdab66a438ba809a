/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pass 3, regular files: extents and intents.
 *
 * Extents come before intents, so written blocks past the end of file are
 * remembered until it is known whether an intent dooms them; they are a few
 * ranges, since neighbours join.
 */
#include <inttypes.h>

#include "base/util.h"
#include "fsck.h"
#include "object/extent.h"

static void malformed(struct check *ck, const struct owfs_extent *ext,
		      const char *what, size_t len)
{
	enum owfs_problem which = BAD_EXTENT_ITEM;

	if (len == sizeof(struct owfs_extent_item)) {
		if (ext->len && ext->len <= OWFS_EXTENT_MAX &&
		    !owfs_geo_range_ok(&ck->geo, ext->fsblock, ext->len))
			which = BAD_EXTENT_PLACE;
		else if (ext->birth > ck->root->gen)
			which = BAD_EXTENT_BIRTH;
	}
	problem(ck, which, "inode", ck->obj.ino, "%s: off=%" PRIu64
		" fsblock=%" PRIu64 " blocks=%" PRIu64 " flags=%#x birth=%"
		PRIu64, what, ext->off, ext->fsblock, ext->len, ext->flags,
		ext->birth);
}

static int note_past_eof(struct check *ck, const struct owfs_extent *ext)
{
	struct object *obj = &ck->obj;
	uint64_t eof;

	if (!obj->good || (ext->flags & OWFS_EXTENT_UNWRITTEN))
		return 0;
	eof = div_round_up(obj->attr.size, ck->sb.blocksize);
	if (owfs_extent_end(ext) <= eof)
		return 0;
	return range_list_add(&obj->past_eof, max_u64(ext->off, eof),
			      owfs_extent_end(ext));
}

int pass3_extent(struct check *ck, const struct owfs_key *key, const void *val,
		 size_t len)
{
	struct object *obj = &ck->obj;
	struct owfs_extent ext = { .off = key->off };
	owfs_fsblock_t dup;
	const char *what;
	int ret;

	what = owfs_extent_from_disk(&ck->geo, ck->root->gen, key, val, len,
				     &ext);
	if (what) {
		malformed(ck, &ext, what, len);
		return 0;
	}
	if (ext.off < obj->ext_end)
		problem(ck, BAD_EXTENT_OVERLAP, "inode", obj->ino, "off=%"
			PRIu64 " blocks=%" PRIu64 " before=%" PRIu64, ext.off,
			ext.len, obj->ext_end);
	obj->ext_end = max_u64(obj->ext_end, owfs_extent_end(&ext));
	obj->blocks += ext.len;
	ck->report->extents++;
	ck->report->data_blocks += ext.len;
	ret = pass2_use(ck, ext.fsblock, ext.len, &dup);
	if (ret < 0)
		return ret;
	if (ret == 0)
		problem(ck, BAD_EXTENT_TWICE, "inode", obj->ino, "off=%" PRIu64
			" fsblock=%" PRIu64 " blocks=%" PRIu64 " shared=%"
			PRIu64, ext.off, ext.fsblock, ext.len, dup);
	return note_past_eof(ck, &ext);
}

int pass3_intent(struct check *ck, const struct owfs_key *key, const void *val,
		 size_t len)
{
	const struct owfs_intent_item *d = val;
	struct range_list *in = &ck->obj.intents;
	uint64_t end = len == sizeof(*d) ? le64_to_cpu(d->end) : 0;

	if (end <= key->off) {
		problem(ck, BAD_INTENT_ITEM, "inode", ck->obj.ino, "off=%"
			PRIu64 " end=%" PRIu64 " length=%zu", key->off, end,
			len);
		return 0;
	}
	if (in->n && in->v[in->n - 1].end > key->off) {
		problem(ck, BAD_INTENT_OVERLAP, "inode", ck->obj.ino, "off=%"
			PRIu64 " before=%" PRIu64, key->off,
			in->v[in->n - 1].end);
		return 0;
	}
	return range_list_add(in, key->off, end);
}

/* Every written block past the end must lie in an intent; both are sorted. */
static void check_past_eof(struct check *ck)
{
	const struct object *obj = &ck->obj;
	const struct range_list *in = &obj->intents;
	size_t i, j = 0;

	for (i = 0; i < obj->past_eof.n; i++) {
		const struct range *r = &obj->past_eof.v[i];

		while (j < in->n && in->v[j].end <= r->start)
			j++;
		if (j < in->n && in->v[j].start <= r->start &&
		    in->v[j].end >= r->end)
			continue;
		problem(ck, BAD_EXTENT_EOF, "inode", obj->ino, "off=%" PRIu64
			" blocks=%" PRIu64 " size=%" PRIu64, r->start,
			r->end - r->start, obj->attr.size);
	}
}

void pass3_file_end(struct check *ck)
{
	const struct object *obj = &ck->obj;
	bool flag = obj->attr.flags & OWFS_INODE_INTENTS;

	if (obj->attr.nblocks != obj->blocks)
		problem(ck, BAD_INODE_NBLOCKS, "inode", obj->ino, "nblocks=%"
			PRIu64 " extents=%" PRIu64, obj->attr.nblocks,
			obj->blocks);
	/* without links, intents may have gone before the inode */
	if (obj->intents.n ? !flag : flag && obj->attr.nlink)
		problem(ck, BAD_INODE_FLAGS, "inode", obj->ino,
			"flags=%#x intents=%zu", obj->attr.flags,
			obj->intents.n);
	if (obj->attr.nlink)
		check_past_eof(ck);
}
