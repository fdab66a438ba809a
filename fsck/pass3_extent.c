/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pass 3, regular files: extents and intents.
 *
 * Extents come before intents, so written blocks past the end of file are
 * remembered until it is known whether an intent dooms them; they are a few
 * ranges, since neighbours join.
 */
#include <inttypes.h>

#include "base/err.h"
#include "base/util.h"
#include "fsck.h"
#include "object/extent.h"

void pass3_put_extent(struct check *ck, const struct owfs_extent *ext,
		      owfs_gen_t birth)
{
	struct owfs_extent changed = *ext;
	struct owfs_extent_item d;

	changed.birth = birth;
	owfs_extent_to_disk(&d, &changed);
	fix_put(ck, FIX_ITEMS, owfs_key(ck->obj.ino, OWFS_ITEM_EXTENT,
					ext->off), &d, sizeof(d));
}

static int malformed(struct check *ck, const struct owfs_key *key,
		     const struct owfs_extent *ext, const char *what,
		     size_t len)
{
	enum owfs_problem which = BAD_EXTENT_ITEM;
	bool place = false;
	owfs_fsblock_t dup;

	if (len == sizeof(struct owfs_extent_item)) {
		place = ext->len && ext->len <= OWFS_EXTENT_MAX &&
			owfs_geo_range_ok(&ck->geo, ext->fsblock, ext->len);
		if (ext->len && ext->len <= OWFS_EXTENT_MAX && !place)
			which = BAD_EXTENT_PLACE;
		else if (ext->birth > ck->root->gen)
			which = BAD_EXTENT_BIRTH;
	}
	if (problem(ck, which, "inode", ck->obj.ino, "%s: off=%" PRIu64
		    " fsblock=%" PRIu64 " blocks=%" PRIu64
		    " flags=%#x birth=%" PRIu64, what, ext->off, ext->fsblock,
		    ext->len, ext->flags, ext->birth)) {
		if (which == BAD_EXTENT_BIRTH)
			pass3_put_extent(ck, ext, ck->root->gen);
		else
			fix_del(ck, FIX_ITEMS, *key);
	}
	/* until it is known what becomes of it, nobody else may have those */
	if (!place || owfs_geo_group_of(&ck->geo, ext->fsblock) !=
		      owfs_geo_group_of(&ck->geo, ext->fsblock + ext->len - 1))
		return 0;
	return usedmap_add(&ck->maybe, ext->fsblock, ext->len, &dup) < 0 ?
	       -ENOMEM : 0;
}

static int note_past_eof(struct check *ck, const struct owfs_extent *ext)
{
	struct object *obj = &ck->obj;
	uint64_t eof;

	/* of an item to be mended the size may be what is wrong */
	if ((!obj->good && !obj->mend_item) ||
	    (ext->flags & OWFS_EXTENT_UNWRITTEN))
		return 0;
	eof = obj->good ? div_round_up(obj->attr.size, ck->sb.blocksize) : 0;
	if (owfs_extent_end(ext) <= eof)
		return 0;
	return range_list_add(&obj->past_eof, max_u64(ext->off, eof),
			      owfs_extent_end(ext));
}

/* *parted: what stays of it will be seen again in the next round. */
static int check_overlap(struct check *ck, const struct owfs_extent *ext,
			 bool *parted)
{
	struct object *obj = &ck->obj;
	int ret = 0;

	*parted = false;
	if (ext->off < obj->ext_end) {
		*parted = problem(ck, BAD_EXTENT_OVERLAP, "inode", obj->ino,
				  "off=%" PRIu64 " blocks=%" PRIu64 " before=%"
				  PRIu64, ext->off, ext->len, obj->ext_end);
		ret = pass3_overlap(ck, ext, *parted);
	} else {
		ret = pass3_overlap_end(ck);
	}
	if (owfs_extent_end(ext) > obj->ext_end) {
		obj->ext_end = owfs_extent_end(ext);
		obj->ext_last = *ext;
	}
	return ret;
}

/* Blocks that a node has are the node's, and the data that was there is gone. */
static void share_out(struct check *ck, const struct owfs_key *key,
		      const struct owfs_extent *ext)
{
	ck->fixes->keep_freed = true;
	if (usedmap_has(&ck->nodes, ext->fsblock, ext->len))
		fix_unmap(ck, *key);
	else
		fix_copy(ck, *key);
}

int pass3_extent(struct check *ck, const struct owfs_key *key, const void *val,
		 size_t len)
{
	struct object *obj = &ck->obj;
	struct owfs_extent ext = { .off = key->off };
	owfs_fsblock_t dup, again;
	const char *what;
	bool parted;
	int ret;

	what = owfs_extent_from_disk(&ck->geo, ck->root->gen, key, val, len,
				     &ext);
	if (what)
		return malformed(ck, key, &ext, what, len);
	ret = check_overlap(ck, &ext, &parted);
	if (ret)
		return ret;
	obj->blocks += ext.len;
	ck->report->extents++;
	ck->report->data_blocks += ext.len;
	ret = pass2_use(ck, ext.fsblock, ext.len, &dup);
	if (ret < 0)
		return ret;
	if (ret == 0 &&
	    usedmap_add(&ck->shared, ext.fsblock, ext.len, &again) < 0)
		return -ENOMEM;
	if (ret == 0 &&
	    problem(ck, BAD_EXTENT_TWICE, "inode", obj->ino, "off=%" PRIu64
		    " fsblock=%" PRIu64 " blocks=%" PRIu64 " shared=%"
		    PRIu64, ext.off, ext.fsblock, ext.len, dup) && !parted)
		share_out(ck, key, &ext);
	return note_past_eof(ck, &ext);
}

/* What one says is doomed stays so: the second begins where the first ends. */
static void join_intents(struct check *ck, const struct owfs_key *key,
			 owfs_fileoff_t before,
			 const struct owfs_intent_item *d)
{
	struct owfs_key moved = *key;

	fix_del(ck, FIX_ITEMS, *key);
	moved.off = before;
	if (le64_to_cpu(d->end) > before)
		fix_put(ck, FIX_ITEMS, moved, d, sizeof(*d));
}

int pass3_intent(struct check *ck, const struct owfs_key *key, const void *val,
		 size_t len)
{
	const struct owfs_intent_item *d = val;
	struct range_list *in = &ck->obj.intents;
	uint64_t end = len == sizeof(*d) ? le64_to_cpu(d->end) : 0;

	if (end <= key->off) {
		if (problem(ck, BAD_INTENT_ITEM, "inode", ck->obj.ino, "off=%"
			    PRIu64 " end=%" PRIu64 " length=%zu", key->off,
			    end, len))
			fix_del(ck, FIX_ITEMS, *key);
		return 0;
	}
	if (in->n && in->v[in->n - 1].end > key->off) {
		if (problem(ck, BAD_INTENT_OVERLAP, "inode", ck->obj.ino,
			    "off=%" PRIu64 " before=%" PRIu64, key->off,
			    in->v[in->n - 1].end))
			join_intents(ck, key, in->v[in->n - 1].end, d);
		return 0;
	}
	return range_list_add(in, key->off, end);
}

/* Every written block past the end must lie in an intent; both are sorted. */
static void check_past_eof(struct check *ck)
{
	const struct object *obj = &ck->obj;
	const struct range_list *in = &obj->intents;
	uint64_t bytes = 0;
	size_t i, j = 0;

	for (i = 0; i < obj->past_eof.n; i++) {
		const struct range *r = &obj->past_eof.v[i];

		while (j < in->n && in->v[j].end <= r->start)
			j++;
		if (j < in->n && in->v[j].start <= r->start &&
		    in->v[j].end >= r->end)
			continue;
		if (problem(ck, BAD_EXTENT_EOF, "inode", obj->ino, "off=%"
			    PRIu64 " blocks=%" PRIu64 " size=%" PRIu64,
			    r->start, r->end - r->start, obj->attr.size))
			bytes = min_u64(OWFS_FILE_BYTES_MAX,
					r->end * ck->sb.blocksize);
	}
	/* all that was written can be read again */
	if (bytes)
		fix_attr(ck, FIX_ITEMS, obj->ino, FIX_ATTR_SIZE, bytes);
}

void pass3_file_end(struct check *ck)
{
	const struct object *obj = &ck->obj;
	bool flag = obj->attr.flags & OWFS_INODE_INTENTS;

	if (obj->attr.nblocks != obj->blocks &&
	    problem(ck, BAD_INODE_NBLOCKS, "inode", obj->ino, "nblocks=%"
		    PRIu64 " extents=%" PRIu64, obj->attr.nblocks,
		    obj->blocks))
		fix_attr(ck, FIX_ITEMS, obj->ino, FIX_ATTR_NBLOCKS,
			 obj->blocks);
	/* without links, intents may have gone before the inode */
	if ((obj->intents.n ? !flag : flag && obj->attr.nlink) &&
	    problem(ck, BAD_INODE_FLAGS, "inode", obj->ino,
		    "flags=%#x intents=%zu", obj->attr.flags,
		    obj->intents.n))
		fix_attr(ck, FIX_ITEMS, obj->ino, FIX_ATTR_FLAGS,
			 obj->attr.flags ^ OWFS_INODE_INTENTS);
	if (obj->attr.nlink)
		check_past_eof(ck);
}
