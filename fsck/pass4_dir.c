/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pass 4: names.  Entries are looked at as their directory's items come by and
 * counted at the inode they name; when the whole tree has been seen, inodes
 * are compared with the names they were given, and every directory must lead
 * up to the root.
 */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"
#include "fsck.h"
#include "object/dir.h"
#include "object/orphan.h"

/* rec->reach */
enum reach {
	REACH_UNKNOWN,
	REACH_WALKING,		/* on the way up from where this walk began */
	REACH_ROOT,
	REACH_LOST,
};

/* ---------------------------------------------------------------- entries */

struct shown shown_name(const char *name, size_t len)
{
	struct shown out;

	if (len > OWFS_NAME_MAX)
		len = OWFS_NAME_MAX;
	memcpy(out.s, name, len);
	owfs_text_plain(out.s, len);
	out.s[len] = '\0';
	return out;
}

/* What is there of the name, whatever else is wrong with the entry. */
struct shown pass4_entry_name(const struct owfs_dirent_item *d, size_t len)
{
	len = len > sizeof(*d) ? len - sizeof(*d) : 0;
	while (len && !d->name[len - 1])
		len--;
	return shown_name(d->name, len);
}

void pass4_set_name(struct ino_rec *rec, const struct owfs_key *key)
{
	rec->named_in = owfs_key_ino(key);
	rec->named_hash = key->off >> OWFS_HASH_SEQ_BITS;
}

int pass4_entry(struct check *ck, const struct owfs_key *key, const void *val,
		size_t len)
{
	const struct owfs_dirent_item *d =
		pass3_restore_entry(ck, key, val, &len);
	struct object *obj = &ck->obj;
	struct ino_rec *rec;
	size_t namelen;
	int ret;

	obj->entries++;
	if (!d)
		return 0;
	if (owfs_dirent_check(d, len, key->off)) {
		if (problem(ck, BAD_DIRENT_ITEM, "directory", obj->ino,
			    "cookie=%" PRIu64 " length=%zu name=%s", key->off,
			    len, pass4_entry_name(d, len).s))
			fix_entry(ck, FIX_ITEMS, *key, false);
		return 0;
	}
	namelen = le16_to_cpu(d->namelen);
	ret = pass3_name(ck, key, d->name, namelen);
	if (ret < 0)
		return ret;
	if (ret == 0 &&
	    problem(ck, BAD_DIRENT_TWICE, "directory", obj->ino,
		    "cookie=%" PRIu64 " name=%s", key->off,
		    shown_name(d->name, namelen).s))
		fix_entry(ck, FIX_ITEMS, *key, d->ftype == DT_DIR);
	if (d->ftype == DT_DIR)
		obj->subdirs++;
	rec = inotab_get(&ck->inos, le64_to_cpu(d->ino));
	if (!rec)
		return -ENOMEM;
	rec->names++;
	if (rec->named_in != obj->ino)
		pass4_set_name(rec, key);
	rec->ftypes |= (uint16_t)(1u << (d->ftype & 15));
	return 0;
}

/* --------------------------------------------- the name of a bad entry again */

struct name_search {
	owfs_ino_t ino;
	struct shown name;
};

static int is_entry_of(void *ctx, const struct owfs_key *key, const void *val,
		       size_t len)
{
	const struct owfs_dirent_item *d = val;
	struct name_search *ns = ctx;

	(void)key;
	if (len < sizeof(*d) || le64_to_cpu(d->ino) != ns->ino)
		return 0;
	ns->name = pass4_entry_name(d, len);
	return 1;
}

struct shown pass4_name_of(struct check *ck, const struct ino_rec *rec)
{
	struct name_search ns = { .ino = rec->ino, .name = { "?" } };
	uint64_t hash = rec->named_hash;
	struct owfs_key first = owfs_key(rec->named_in, OWFS_ITEM_DIRENT,
					 hash << OWFS_HASH_SEQ_BITS);
	struct owfs_key last = first;

	last.off |= (1u << OWFS_HASH_SEQ_BITS) - 1;
	owfs_btree_walk(ck->bt, &first, &last, is_entry_of, &ns);
	return ns.name;
}

struct shown pass4_name_at(struct check *ck, const struct owfs_key *key)
{
	union {
		struct owfs_dirent_item d;
		char bytes[OWFS_ITEM_MAX];
	} e;
	int len = owfs_btree_lookup(ck->bt, key, &e, sizeof(e));

	return pass4_entry_name(&e.d, len < 0 ? 0 : (size_t)len);
}

/* ---------------------------------------------------------- names and inodes */

static void check_missing(struct check *ck, struct ino_rec *rec)
{
	if (rec->names &&
	    problem(ck, BAD_DIRENT_TARGET, "directory", rec->named_in,
		    "name=%s inode=%" PRIu64, pass4_name_of(ck, rec).s, rec->ino))
		rec->fix |= INO_FIX_DROP;
	if (rec->orphan &&
	    problem(ck, BAD_ORPHAN_TARGET, "inode", rec->ino, "flags=%#x",
		    rec->orphan))
		fix_del(ck, FIX_NAMES, owfs_orphan_key(rec->ino));
}

static void check_dir(struct check *ck, struct ino_rec *rec)
{
	owfs_ino_t in = rec->ino == OWFS_INO_ROOT ? rec->ino : rec->named_in;

	if (rec->names > 1 || (rec->names && rec->ino == OWFS_INO_ROOT)) {
		if (problem(ck, BAD_DIR_NAMES, "directory", rec->ino,
			    "names=%u one=%s in=%" PRIu64, rec->names,
			    pass4_name_of(ck, rec).s, rec->named_in))
			rec->fix |= INO_FIX_ONE;
	} else if (in && rec->parent != in &&
		   problem(ck, BAD_DIR_PARENT, "directory", rec->ino,
			   "parent=%" PRIu64 " named in=%" PRIu64,
			   rec->parent, in)) {
		fix_attr(ck, FIX_NAMES, rec->ino, FIX_ATTR_PARENT, in);
	}
}

/* True: the count of links will change, and with it what depends on it. */
static bool check_links(struct check *ck, struct ino_rec *rec)
{
	bool dir = rec->ftype == DT_DIR;

	if (rec->ino == OWFS_INO_ROOT)
		return false;
	if (rec->names == 0 && rec->nlink) {
		if (problem(ck, BAD_INODE_LOST, "inode", rec->ino, "nlink=%u",
			    rec->nlink))
			fix_lost(ck, rec->ino);
	} else if (dir ? rec->names && !rec->nlink
		       : rec->names != rec->nlink) {
		if (problem(ck, BAD_INODE_NLINK, "inode", rec->ino,
			    "nlink=%u names=%u", rec->nlink, rec->names)) {
			/* of a directory, pass 3 sees the rest next time */
			fix_attr(ck, FIX_NAMES, rec->ino, FIX_ATTR_NLINK,
				 dir ? 2 : rec->names);
			return true;
		}
	}
	return false;
}

static void put_orphan(struct check *ck, owfs_ino_t ino, uint32_t flags)
{
	struct owfs_orphan_item d = { .flags = cpu_to_le32(flags) };

	if (flags)
		fix_put(ck, FIX_NAMES, owfs_orphan_key(ino), &d, sizeof(d));
	else
		fix_del(ck, FIX_NAMES, owfs_orphan_key(ino));
}

static void check_inode(struct check *ck, struct ino_rec *rec)
{
	if ((rec->ftypes & ~(1u << rec->ftype)) &&
	    problem(ck, BAD_DIRENT_FTYPE, "directory", rec->named_in,
		    "name=%s inode=%" PRIu64 " type=%u types named=%#x",
		    pass4_name_of(ck, rec).s, rec->ino, rec->ftype, rec->ftypes))
		rec->fix |= INO_FIX_FTYPE;
	if (check_links(ck, rec))
		return;
	if (rec->ftype == DT_DIR)
		check_dir(ck, rec);
	if (rec->orphan != rec->want_orphan &&
	    problem(ck, BAD_ORPHAN_FLAGS, "inode", rec->ino,
		    "flags=%#x wanted=%#x nlink=%u", rec->orphan,
		    rec->want_orphan, rec->nlink))
		put_orphan(ck, rec->ino, rec->want_orphan);
}

/* ------------------------------------------------------------ reachability */

/*
 * From @rec upwards until it is known where that leads.  A directory without a
 * name is somebody else's problem, and so is one whose parent is missing.
 */
static void walk_up(struct check *ck, struct ino_rec *rec)
{
	struct ino_rec *r = rec;
	uint8_t reach;

	while (r && r->reach == REACH_UNKNOWN) {
		r->reach = REACH_WALKING;
		r = inotab_find(&ck->inos, r->named_in);
	}
	reach = r ? r->reach : REACH_LOST;
	if (reach == REACH_WALKING) {
		reach = REACH_LOST;
		if (problem(ck, BAD_DIR_LOOP, "directory", r->ino,
			    "name=%s in=%" PRIu64, pass4_name_of(ck, r).s,
			    r->named_in)) {
			r->fix |= INO_FIX_DROP;
			fix_lost(ck, r->ino);
		}
	}
	for (r = rec; r && r->reach == REACH_WALKING;
	     r = inotab_find(&ck->inos, r->named_in))
		r->reach = reach;
}

static bool check_root_dir(struct check *ck)
{
	struct ino_rec *root = inotab_find(&ck->inos, OWFS_INO_ROOT);

	if (!root || !root->exists ||
	    (root->good && (root->ftype != DT_DIR || !root->nlink))) {
		if (problem(ck, BAD_ROOT_DIR, "inode", OWFS_INO_ROOT, "%s",
			    root && root->exists ? "no directory" : "missing"))
			fix_root(ck);
		return false;
	}
	root->reach = REACH_ROOT;
	return true;
}

int pass4_names(struct check *ck)
{
	bool rooted = check_root_dir(ck);
	struct ino_rec *rec;

	inotab_for_each(&ck->inos, rec) {
		if (!rec->exists)
			check_missing(ck, rec);
		else if (rec->good)
			check_inode(ck, rec);
		if (rooted && rec->good && rec->ftype == DT_DIR)
			walk_up(ck, rec);
	}
	return check_progress(ck, 4, 1, 1);
}
