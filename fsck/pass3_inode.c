/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pass 3: items, inode by inode.  Each item is checked for its shape as it
 * comes by; when the last of an inode has come, its sums are compared with
 * what the inode item claims.
 *
 * An inode without links is being taken apart, a few items in a transaction,
 * so of those only what is there is checked, not what is missing.
 */
#include <dirent.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/util.h"
#include "fsck.h"
#include "object/orphan.h"

int range_list_add(struct range_list *rl, uint64_t start, uint64_t end)
{
	struct range *v;

	if (rl->n && rl->v[rl->n - 1].end == start) {
		rl->v[rl->n - 1].end = end;
		return 0;
	}
	if (rl->n == rl->cap) {
		v = realloc(rl->v, (2 * rl->cap + 8) * sizeof(*v));
		if (!v)
			return -ENOMEM;
		rl->v = v;
		rl->cap = 2 * rl->cap + 8;
	}
	rl->v[rl->n++] = (struct range){ start, end };
	return 0;
}

/* ------------------------------------------------------- beginning and end */

static void count_inode(struct owfs_check_report *r,
			const struct owfs_attr *attr)
{
	switch (attr->mode & S_IFMT) {
	case S_IFREG:
		r->files++;
		break;
	case S_IFDIR:
		r->dirs++;
		break;
	case S_IFLNK:
		r->symlinks++;
		break;
	default:
		r->others++;
	}
	if (attr->nlink == 0)
		r->orphans++;
}

/* What other items and other inodes are compared with. */
static int learn_inode(struct check *ck)
{
	struct object *obj = &ck->obj;
	struct ino_rec *rec = inotab_get(&ck->inos, obj->ino);

	if (!rec)
		return -ENOMEM;
	obj->good = rec->good = true;
	rec->parent = obj->attr.parent;
	rec->nlink = obj->attr.nlink;
	rec->ftype = IFTODT(obj->attr.mode);
	rec->want_orphan = (uint8_t)owfs_orphan_flags(&obj->attr);
	if (obj->ino >= ck->sb.ino_limit &&
	    problem(ck, BAD_INODE_LIMIT, "inode", obj->ino,
		    "limit=%" PRIu64, ck->sb.ino_limit))
		ck->fixes->ino_limit = max_u64(ck->fixes->ino_limit,
					       obj->ino + 1);
	if (obj->attr.gen > ck->root->gen &&
	    problem(ck, BAD_INODE_BIRTH, "inode", obj->ino,
		    "gen=%" PRIu64 " commit=%" PRIu64, obj->attr.gen,
		    ck->root->gen))
		fix_attr(ck, FIX_ITEMS, obj->ino, FIX_ATTR_GEN,
			 ck->root->gen);
	count_inode(ck->report, &obj->attr);
	return 0;
}

static int inode_item(struct check *ck, const struct owfs_key *key,
		      const void *val, size_t len)
{
	struct object *obj = &ck->obj;
	struct ino_rec *rec = inotab_get(&ck->inos, obj->ino);

	if (!rec)
		return -ENOMEM;
	obj->has_item = rec->exists = true;
	if (!key->off && !owfs_attr_from_disk(&obj->attr, val, len))
		return learn_inode(ck);
	if (!problem(ck, BAD_INODE_ITEM, "inode", obj->ino,
		     "length=%zu offset=%" PRIu64, len, key->off))
		return 0;
	if (key->off || len < sizeof(obj->item)) {
		fix_del(ck, FIX_ITEMS, *key);
		return 0;
	}
	/* what kind of inode it is the items behind it may show */
	memcpy(&obj->item, val, sizeof(obj->item));
	obj->mend_item = true;
	return 0;
}

static void dir_end(struct check *ck)
{
	const struct object *obj = &ck->obj;
	const struct owfs_attr *attr = &obj->attr;

	if (attr->size != obj->entries &&
	    problem(ck, BAD_DIR_SIZE, "directory", obj->ino, "size=%" PRIu64
		    " entries=%" PRIu64, attr->size, obj->entries))
		fix_attr(ck, FIX_ITEMS, obj->ino, FIX_ATTR_SIZE, obj->entries);
	if ((attr->nlink == 0 ? obj->entries != 0
			      : attr->nlink != 2 + obj->subdirs) &&
	    problem(ck, BAD_DIR_NLINK, "directory", obj->ino,
		    "nlink=%u subdirectories=%" PRIu64, attr->nlink,
		    obj->subdirs))
		fix_attr(ck, FIX_ITEMS, obj->ino, FIX_ATTR_NLINK,
			 2 + obj->subdirs);
}

/* A target that is not what was written could lead anywhere: it goes. */
static void symlink_end(struct check *ck)
{
	struct object *obj = &ck->obj;

	if (obj->attr.nlink && obj->attr.size != obj->target_len &&
	    problem(ck, BAD_SYMLINK_SIZE, "inode", obj->ino, "size=%" PRIu64
		    " target=%" PRIu64, obj->attr.size, obj->target_len))
		obj->bad_link = true;
	if (obj->bad_link)
		fix_del_inode(ck, obj->ino);
}

static uint32_t mode_of_items(unsigned int types)
{
	if (types & 1u << OWFS_ITEM_DIRENT)
		return S_IFDIR;
	if (types & 1u << OWFS_ITEM_SYMLINK)
		return S_IFLNK;
	return types & (1u << OWFS_ITEM_EXTENT) ? S_IFREG : 0;
}

static void mend_time(struct owfs_time_disk *t)
{
	t->zero = cpu_to_le32(0);
	if (le32_to_cpu(t->nsec) >= 1000000000)
		t->nsec = cpu_to_le32(0);
}

/*
 * One bit that cannot be was flipped, and says nothing against the others; of
 * several nobody knows what they are.
 */
static uint32_t mend_flags(uint32_t flags, uint32_t mode, bool intents)
{
	uint32_t wrong = flags & ~owfs_attr_flags_possible(mode);

	flags &= ~(wrong | OWFS_INODE_INTENTS);
	if (wrong & (wrong - 1))
		flags = 0;
	return flags | (intents ? OWFS_INODE_INTENTS : 0);
}

/* The end of what is written, and not to be taken away; both are sorted. */
static uint64_t written_end(const struct object *obj)
{
	const struct range *w = obj->past_eof.v, *in = obj->intents.v;
	size_t i, j = obj->intents.n;

	for (i = obj->past_eof.n; i-- > 0; ) {
		uint64_t end = w[i].end;

		while (j && in[j - 1].start >= end)
			j--;
		if (j && end <= in[j - 1].end)	/* none touches the next */
			end = in[j - 1].start;
		if (end > w[i].start)
			return end;
	}
	return 0;
}

/*
 * A size that no file can have: all that was written can be read again.  If
 * but for its highest bit it ends in the last block, it is that bit.
 */
static uint64_t mend_size(const struct check *ck, uint64_t size, uint32_t mode)
{
	const uint32_t bs = ck->sb.blocksize;
	uint64_t low = size & OWFS_FILE_BYTES_MAX, bytes;

	if (size == low)
		return size;
	if (!S_ISREG(mode))
		return 0;
	bytes = written_end(&ck->obj) * bs;
	if (low <= bytes && bytes - low < bs)
		return low;
	return min_u64(bytes, OWFS_FILE_BYTES_MAX);
}

/*
 * Fields that cannot be what was written, each by itself.  The type is taken
 * from the items the inode has; sums are right, parents a later pass's.
 */
static void mend_fields(const struct check *ck, struct owfs_inode_item *d)
{
	const struct object *obj = &ck->obj;
	uint32_t mode = le32_to_cpu(d->mode), type = mode_of_items(obj->types);
	bool dir;

	mode &= S_IFMT | 07777;
	if (type)
		mode = (mode & 07777) | type;
	dir = S_ISDIR(mode);
	d->mode = cpu_to_le32(mode);
	if (dir && (!le64_to_cpu(d->parent) ||
		    le64_to_cpu(d->parent) > OWFS_INO_MAX))
		d->parent = cpu_to_le64(OWFS_INO_ROOT);
	if (!dir)
		d->parent = cpu_to_le64(0);
	if (le32_to_cpu(d->nlink) > OWFS_LINK_MAX || !obj->has_item)
		d->nlink = cpu_to_le32(dir ? 2 + (uint32_t)obj->subdirs : 1);
	d->size = cpu_to_le64(mend_size(ck, le64_to_cpu(d->size), mode));
	if (dir)
		d->size = cpu_to_le64(obj->entries);
	if (S_ISLNK(mode))
		d->size = cpu_to_le64(obj->target_len);
	d->nblocks = cpu_to_le64(obj->blocks);
	d->flags = cpu_to_le32(mend_flags(le32_to_cpu(d->flags), mode,
					  obj->intents.n));
	mend_time(&d->atime);
	mend_time(&d->mtime);
	mend_time(&d->ctime);
	mend_time(&d->btime);
	d->zero32 = cpu_to_le32(0);
	d->zero64 = cpu_to_le64(0);
}

static void mend_inode(struct check *ck)
{
	struct object *obj = &ck->obj;
	struct owfs_inode_item *d = &obj->item;
	struct owfs_attr attr;

	mend_fields(ck, d);
	if (owfs_attr_from_disk(&attr, d, sizeof(*d)))
		fix_del_inode(ck, obj->ino);
	else
		fix_put(ck, FIX_ITEMS, owfs_key(obj->ino, OWFS_ITEM_INODE, 0),
			d, sizeof(*d));
}

/*
 * A directory's entries say all about it but whose it is, so only its owner
 * and root may have it, unless a list is left that says otherwise.
 */
static void new_directory(struct check *ck)
{
	struct owfs_attr attr = {
		.mode = S_IFDIR | 0700,
		.parent = OWFS_INO_ROOT,
		.gen = ck->root->gen,
		.xattr_next = 1,
	};

	clock_gettime(CLOCK_REALTIME, &attr.btime);
	attr.atime = attr.mtime = attr.ctime = attr.btime;
	owfs_attr_to_disk(&ck->obj.item, &attr);
	ck->obj.mend_item = true;
}

/* Of all else nobody knows how long it was, or whose. */
static void mend_alone(struct check *ck)
{
	if (ck->obj.types & 1u << OWFS_ITEM_DIRENT)
		new_directory(ck);
	else
		fix_del_inode(ck, ck->obj.ino);
}

static int object_end(struct check *ck)
{
	struct object *obj = &ck->obj;
	int ret = pass3_overlap_end(ck);

	if (ret)
		return ret;
	if (obj->good && S_ISDIR(obj->attr.mode))
		dir_end(ck);
	if (obj->good && S_ISLNK(obj->attr.mode))
		symlink_end(ck);
	if (obj->good)
		pass3_file_end(ck);
	if (obj->good)
		pass3_xattr_end(ck);
	if (obj->mend_alone)
		mend_alone(ck);
	if (obj->mend_item)
		mend_inode(ck);
	return 0;
}

/* Everything but the memory. */
static void object_begin(struct object *obj, owfs_ino_t ino)
{
	struct object o = { .ino = ino };

	o.names.bytes = obj->names.bytes;
	o.names.cap = obj->names.cap;
	o.acls = obj->acls;
	o.values.v = obj->values.v;
	o.values.cap = obj->values.cap;
	o.overlaps.v = obj->overlaps.v;
	o.overlaps.cap = obj->overlaps.cap;
	o.past_eof.v = obj->past_eof.v;
	o.past_eof.cap = obj->past_eof.cap;
	o.intents.v = obj->intents.v;
	o.intents.cap = obj->intents.cap;
	*obj = o;
}

int pass3_end(struct check *ck)
{
	int ret = object_end(ck);

	ck->obj.ino = 0;
	return ret ? ret : check_progress(ck, 3, 1, 1);
}

void pass3_free(struct check *ck)
{
	struct object *obj = &ck->obj;

	free(obj->names.bytes);
	free(obj->acls);
	free(obj->values.v);
	free(obj->overlaps.v);
	free(obj->past_eof.v);
	free(obj->intents.v);
	*obj = (struct object){ 0 };
}

/* ------------------------------------------------------------------- items */

static int orphan_item(struct check *ck, const struct owfs_key *key,
		       const void *val, size_t len)
{
	const struct owfs_orphan_item *d = val;
	uint32_t flags, known = OWFS_ORPHAN_UNLINKED | OWFS_ORPHAN_INTENTS;
	struct ino_rec *rec;

	if (len == sizeof(*d))
		flags = le32_to_cpu(d->flags);
	if (len != sizeof(*d) || !flags || (flags & ~known) ||
	    le32_to_cpu(d->zero) || key->off == 0 || key->off > OWFS_INO_MAX) {
		if (problem(ck, BAD_ORPHAN_ITEM, "inode", key->off,
			    "length=%zu", len))
			fix_del(ck, FIX_ITEMS, *key);
		return 0;
	}
	rec = inotab_get(&ck->inos, key->off);
	if (!rec)
		return -ENOMEM;
	rec->orphan = (uint8_t)flags;
	return 0;
}

/* Is @ino the number of an inode? */
static bool is_inode_number(owfs_ino_t ino)
{
	return ino == OWFS_INO_ROOT ||
	       (ino >= OWFS_INO_FIRST && ino <= OWFS_INO_MAX);
}

static bool type_fits(uint32_t mode, unsigned int type)
{
	switch (type) {
	case OWFS_ITEM_DIRENT:
		return S_ISDIR(mode);
	case OWFS_ITEM_SYMLINK:
		return S_ISLNK(mode);
	case OWFS_ITEM_EXTENT:
	case OWFS_ITEM_INTENT:
		return S_ISREG(mode);
	default:
		return true;
	}
}

/* Said once for each inode, and once for each type it cannot have. */
static void check_owner(struct check *ck, unsigned int type)
{
	struct object *obj = &ck->obj;

	if (!obj->has_item) {
		if (obj->blamed)
			return;
		obj->blamed = ~0u;
		obj->mend_alone = problem(ck, BAD_ITEM_ALONE, "inode", obj->ino,
					  "type=%u", type);
	} else if (obj->good && !type_fits(obj->attr.mode, type) &&
		   !(obj->blamed & 1u << type)) {
		obj->blamed |= 1u << type;
		if (problem(ck, BAD_ITEM_MISFIT, "inode", obj->ino,
			    "type=%u mode=0%o", type, obj->attr.mode))
			fix_del_range(ck, FIX_ITEMS,
				      owfs_key(obj->ino, type, 0),
				      owfs_key(obj->ino, type, UINT64_MAX));
	}
}

static int inode_part(struct check *ck, const struct owfs_key *key,
		      const void *val, size_t len)
{
	unsigned int type = owfs_key_type(key);

	check_owner(ck, type);
	ck->obj.types |= 1u << type;
	switch (type) {
	case OWFS_ITEM_SYMLINK:
		return pass3_symlink(ck, key, val, len);
	case OWFS_ITEM_XATTR:
		return pass3_xattr(ck, key, val, len);
	case OWFS_ITEM_XATTR_CHUNK:
		return pass3_xattr_chunk(ck, key, val, len);
	case OWFS_ITEM_DIRENT:
		return pass4_entry(ck, key, val, len);
	case OWFS_ITEM_EXTENT:
		return pass3_extent(ck, key, val, len);
	default:
		return pass3_intent(ck, key, val, len);
	}
}

static bool type_is_known(unsigned int type)
{
	return type == OWFS_ITEM_INODE || type == OWFS_ITEM_SYMLINK ||
	       type == OWFS_ITEM_XATTR || type == OWFS_ITEM_XATTR_CHUNK ||
	       type == OWFS_ITEM_DIRENT || type == OWFS_ITEM_EXTENT ||
	       type == OWFS_ITEM_INTENT || type == OWFS_ITEM_ORPHAN;
}

int pass3_item(struct check *ck, const struct owfs_key *key, const void *val,
	       size_t len)
{
	owfs_ino_t ino = owfs_key_ino(key);
	unsigned int type = owfs_key_type(key);

	if (ino != ck->obj.ino) {
		int ret = object_end(ck);

		if (ret)
			return ret;
		object_begin(&ck->obj, ino);
		if (ck->fixes)
			ck->obj.refused_before = ck->fixes->refused_items;
	}
	if (!type_is_known(type)) {
		problem(ck, BAD_ITEM_TYPE, "inode", ino, "type=%u offset=%"
			PRIu64, type, key->off);
		return 0;
	}
	if (type == OWFS_ITEM_ORPHAN ? ino != OWFS_INO_ORPHANS
				     : !is_inode_number(ino)) {
		if (problem(ck, BAD_ITEM_OBJECT, "inode", ino,
			    "type=%u offset=%" PRIu64, type, key->off))
			fix_del(ck, FIX_ITEMS, *key);
		return 0;
	}
	if (type == OWFS_ITEM_ORPHAN)
		return orphan_item(ck, key, val, len);
	if (type == OWFS_ITEM_INODE)
		return inode_item(ck, key, val, len);
	return inode_part(ck, key, val, len);
}
