/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Places by their names. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "edit_impl.h"

#define HDR_SIZE	sizeof(struct owfs_block_hdr)

/* --------------------------------------------------------------- all leaves */

struct search {
	int (*leaf)(struct edit *ed, struct edit_place *pl, struct search *s);
	uint64_t skip;			/* so many first */
	owfs_ino_t ino;
	unsigned int type;		/* of item; 0: leaves themselves */
	const char *name;		/* ... of this name, or NULL */
	size_t namelen;
};

/* 1: found, and the place stands there; 0: not below here. */
static int search_below(struct edit *ed, struct edit_place *pl,
			struct search *s)
{
	const unsigned char *node = edit_last(pl)->block;
	unsigned int i, level = owfs_node_level(node);
	int ret;

	if (level > OWFS_MAX_LEVEL)
		return 0;
	if (!level)
		return s->leaf(ed, pl, s);
	for (i = 0; i < owfs_node_nitems(node); i++) {
		if (edit_push_child(ed, pl, i))
			return -1;
		ret = owfs_node_level(edit_last(pl)->block) == level - 1
			? search_below(ed, pl, s) : 0;
		if (ret)
			return ret;
		edit_pop(pl);
	}
	return 0;
}

static int search_tree(struct edit *ed, struct edit_place *pl, struct search *s)
{
	int ret = edit_push_root(ed, pl);

	return ret ? ret : search_below(ed, pl, s);
}

static int count_leaf(struct edit *ed, struct edit_place *pl, struct search *s)
{
	(void)ed;
	(void)pl;
	return s->skip-- == 0;
}

static bool has_name(const struct search *s, const void *val, size_t len)
{
	const struct owfs_dirent_item *d = val;
	const struct owfs_xattr_item *x = val;
	size_t n;

	if (!s->name)
		return true;
	if (len < sizeof(*d))
		return false;
	n = s->type == OWFS_ITEM_DIRENT ? le16_to_cpu(d->namelen)
					: le16_to_cpu(x->namelen);
	return n == s->namelen && sizeof(*d) + n <= len &&
	       !memcmp((const char *)val + sizeof(*d), s->name, n);
}

static int match_items(struct edit *ed, struct edit_place *pl, struct search *s)
{
	const unsigned char *node = edit_last(pl)->block;
	unsigned int i, n = owfs_node_nitems(node);

	n = (unsigned int)min_u64(n, (ed->sb.blocksize - HDR_SIZE) /
				     sizeof(struct owfs_leaf_slot));
	for (i = 0; i < n; i++) {
		const struct owfs_leaf_slot *slot = owfs_leaf_slot(node, i);
		size_t off = le16_to_cpu(slot->off), len = le16_to_cpu(slot->len);

		pl->key = owfs_leaf_key(node, i);
		if (owfs_key_type(&pl->key) != s->type ||
		    owfs_key_ino(&pl->key) != s->ino ||
		    off + len > ed->sb.blocksize ||
		    !has_name(s, node + off, len) || s->skip--)
			continue;
		pl->slot_off = HDR_SIZE + i * sizeof(*slot);
		pl->val_off = off;
		pl->val_len = len;
		return 1;
	}
	return 0;
}

/* -------------------------------------------------------------------- files */

static int step(struct edit *ed, owfs_ino_t *ino, const char *name, size_t len)
{
	struct search s = { .leaf = match_items, .ino = *ino, .name = name,
			    .type = OWFS_ITEM_DIRENT, .namelen = len };
	const struct owfs_dirent_item *d;
	struct edit_place pl = { .n = 0 };
	int ret = search_tree(ed, &pl, &s);

	if (ret == 1) {
		d = (const void *)(edit_last(&pl)->block + pl.val_off);
		*ino = le64_to_cpu(d->ino);
	} else {
		ret = edit_fail(ed, "nothing is named %.*s", (int)len, name);
	}
	edit_place_free(&pl);
	return ret == 1 ? 0 : -1;
}

static int walk(struct edit *ed, const char *path, const char *end,
		owfs_ino_t *ino)
{
	*ino = OWFS_INO_ROOT;
	while (path < end) {
		size_t n = strcspn(path, "/");

		if (path + n > end)
			n = (size_t)(end - path);
		if (n && step(ed, ino, path, n))
			return -1;
		path += n + (path[n] == '/');
	}
	return 0;
}

int edit_ino(struct edit *ed, const char *file, owfs_ino_t *ino)
{
	char *end;

	if (*file != '#')
		return walk(ed, file, file + strlen(file), ino);
	*ino = strtoull(file + 1, &end, 0);
	return *end ? edit_fail(ed, "%s is no number", file) : 0;
}

/* -------------------------------------------------------------------- items */

static const struct {
	const char *name;
	enum owfs_item_type type;
	enum field_of of;
} types[] = {
	{ "inode", OWFS_ITEM_INODE, FIELD_INODE },
	{ "symlink", OWFS_ITEM_SYMLINK, FIELD_BYTES },
	{ "xattr", OWFS_ITEM_XATTR, FIELD_XATTR },
	{ "chunk", OWFS_ITEM_XATTR_CHUNK, FIELD_BYTES },
	{ "acl", OWFS_ITEM_XATTR_CHUNK, FIELD_ACL },
	{ "dirent", OWFS_ITEM_DIRENT, FIELD_DIRENT },
	{ "inline", OWFS_ITEM_INLINE, FIELD_BYTES },
	{ "extent", OWFS_ITEM_EXTENT, FIELD_EXTENT },
	{ "intent", OWFS_ITEM_INTENT, FIELD_INTENT },
	{ "orphan", OWFS_ITEM_ORPHAN, FIELD_ORPHAN },
	{ "refcount", OWFS_ITEM_REFCOUNT, FIELD_BYTES },
	{ "csum", OWFS_ITEM_CSUM, FIELD_BYTES },
	{ "dead", OWFS_ITEM_DEAD, FIELD_BYTES },
	{ "snapshot", OWFS_ITEM_SNAPSHOT, FIELD_BYTES },
};

static int type_index(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(types); i++)
		if (!strcmp(types[i].name, name))
			return (int)i;
	return -1;
}

int edit_type(const char *name)
{
	int i = type_index(name);

	return i < 0 ? i : (int)types[i].type;
}

enum field_of edit_type_fields(const char *name)
{
	int i = type_index(name);

	return i < 0 ? FIELD_BYTES : types[i].of;
}

/* The entry that a path ends with, or an orphan entry: found by other things. */
static int special_item(struct edit *ed, const char *file, struct search *s)
{
	const char *slash = strrchr(file, '/');
	owfs_ino_t ino;

	if (s->type == OWFS_ITEM_DIRENT) {
		s->name = slash ? slash + 1 : file;
		s->namelen = strlen(s->name);
		s->skip = 0;
		if (*file == '#') {	/* #DIR/name */
			s->ino = strtoull(file + 1, NULL, 0);
			return 0;
		}
		return walk(ed, file, slash ? slash : file, &s->ino);
	}
	s->ino = OWFS_INO_ORPHANS;
	if (edit_ino(ed, file, &ino))
		return -1;
	s->skip = ino;		/* see match_orphan() */
	return 0;
}

static int match_orphan(struct edit *ed, struct edit_place *pl,
			struct search *s)
{
	struct search any = *s;
	uint64_t i;

	for (i = 0; ; i++) {
		any.skip = i;
		if (match_items(ed, pl, &any) != 1)
			return 0;
		if (pl->key.off == s->skip)
			return 1;
	}
}

static int find_item(struct edit *ed, const char *type, char *file,
		     struct edit_place *pl)
{
	int i = type_index(type), ret = 0;
	struct search s = { .leaf = match_items, .type = types[i].type };
	char *number = strchr(file, ':');

	if (number)
		*number++ = '\0';
	if (s.type == OWFS_ITEM_DIRENT || s.type == OWFS_ITEM_ORPHAN)
		ret = special_item(ed, file, &s);
	else
		ret = edit_ino(ed, file, &s.ino);
	if (ret)
		return ret;
	if (s.type == OWFS_ITEM_ORPHAN)
		s.leaf = match_orphan;
	else if (number)
		s.skip = strtoull(number, NULL, 0);
	ret = search_tree(ed, pl, &s);
	if (ret != 1)
		return edit_fail(ed, "no such item: %s:%s", type, file);
	pl->of = types[i].of;
	pl->off = pl->val_off;
	pl->len = pl->val_len;
	return 0;
}

/* ------------------------------------------------------------------- places */

static void is_block(const struct edit *ed, struct edit_place *pl,
		     enum field_of of)
{
	pl->of = of;
	pl->off = 0;
	pl->len = ed->sb.blocksize;
	pl->whole = true;
}

static void is_part(struct edit_place *pl, enum field_of of, size_t off,
		    size_t len)
{
	pl->of = of;
	pl->off = off;
	pl->len = len;
}

static int find_path(struct edit *ed, const char *path, struct edit_place *pl)
{
	char *end;

	if (edit_push_root(ed, pl))
		return -1;
	for (; *path; path = *end ? end + 1 : end) {
		unsigned long i = strtoul(path, &end, 0);

		if (end == path)
			return edit_fail(ed, "%s is no way", path);
		if (edit_push_child(ed, pl, (unsigned int)i))
			return -1;
	}
	is_block(ed, pl, FIELD_HEADER);
	return 0;
}

static int find_pointer(struct edit *ed, const char *path,
			struct edit_place *pl)
{
	size_t off;

	if (find_path(ed, path, pl))
		return -1;
	if (pl->n < 2)
		return edit_fail(ed, "nothing in the tree points at its root");
	off = edit_last(pl)->ptr_off;
	edit_pop(pl);
	pl->whole = false;
	pl->seal = le64_to_cpu(owfs_node_hdr(edit_last(pl)->block)->bh_csum);
	is_part(pl, FIELD_POINTER, off, sizeof(struct owfs_branch_slot));
	return 0;
}

static int find_leaf(struct edit *ed, uint64_t n, struct edit_place *pl)
{
	struct search s = { .leaf = count_leaf, .skip = n };

	if (search_tree(ed, pl, &s) != 1)
		return edit_fail(ed, "there is no such leaf");
	is_block(ed, pl, FIELD_HEADER);
	return 0;
}

static int find_slot(struct edit *ed, char *rest, struct edit_place *pl)
{
	char *end;
	uint64_t leaf = strtoull(rest, &end, 0), i;

	i = *end == ':' ? strtoull(end + 1, NULL, 0) : 0;
	if (find_leaf(ed, leaf, pl))
		return -1;
	pl->whole = false;
	is_part(pl, FIELD_SLOT, HDR_SIZE + i * sizeof(struct owfs_leaf_slot),
		sizeof(struct owfs_leaf_slot));
	return 0;
}

static int find_key(struct edit *ed, const char *rest, struct edit_place *pl)
{
	if (edit_find(ed, rest, pl))
		return -1;
	if (!pl->val_len)
		return edit_fail(ed, "%s is no item", rest);
	is_part(pl, FIELD_SLOT, pl->slot_off, sizeof(struct owfs_leaf_slot));
	return 0;
}

static int find_map(struct edit *ed, const char *kind, uint64_t g,
		    struct edit_place *pl)
{
	bool bitmap = !strcmp(kind, "bitmap") || !strcmp(kind, "bits");
	size_t i = g % ed->geo.fanout;

	if (edit_push_map(ed, pl, g, bitmap))
		return -1;
	is_block(ed, pl, FIELD_HEADER);
	if (!strcmp(kind, "bits")) {
		pl->whole = false;
		is_part(pl, FIELD_BITMAP, HDR_SIZE, ed->sb.blocksize - HDR_SIZE);
	}
	if (!strcmp(kind, "entry")) {
		pl->whole = false;
		is_part(pl, FIELD_ENTRY,
			HDR_SIZE + i * sizeof(struct owfs_map_entry),
			sizeof(struct owfs_map_entry));
	}
	return 0;
}

static int find_block(struct edit *ed, owfs_fsblock_t addr,
		      struct edit_place *pl)
{
	const owfs_fsblock_t both[2] = { addr, 0 };

	pl->loose = true;
	if (edit_push(ed, pl, both, 0, 0))
		return -1;
	is_block(ed, pl, FIELD_HEADER);
	return 0;
}

static int find_data(struct edit *ed, char *rest, struct edit_place *pl)
{
	struct edit_place item = { .n = 0 };
	const struct owfs_extent_item *d;
	int ret = find_item(ed, "extent", rest, &item);

	if (!ret) {
		d = (const void *)edit_at(&item);
		ret = find_block(ed, le64_to_cpu(d->fsblock), pl);
	}
	edit_place_free(&item);
	return ret;
}

static int find(struct edit *ed, char *kind, char *rest, struct edit_place *pl)
{
	uint64_t n = strtoull(rest, NULL, 0);

	if (!strcmp(kind, "super"))
		return edit_find_super(ed, *rest ? 1u << (n & 3) : 0xfu, pl);
	if (!strcmp(kind, "root") || !strcmp(kind, "node"))
		return find_path(ed, rest, pl);
	if (!strcmp(kind, "leaf"))
		return find_leaf(ed, n, pl);
	if (!strcmp(kind, "slot"))
		return find_slot(ed, rest, pl);
	if (!strcmp(kind, "pointer"))
		return find_pointer(ed, rest, pl);
	if (!strcmp(kind, "key"))
		return find_key(ed, rest, pl);
	if (!strcmp(kind, "map") || !strcmp(kind, "entry") ||
	    !strcmp(kind, "bitmap") || !strcmp(kind, "bits"))
		return find_map(ed, kind, n, pl);
	if (!strcmp(kind, "mapslot"))
		return find_block(ed, owfs_geo_map_slot(&ed->geo, 1, 0, n & 3),
				  pl);
	if (!strcmp(kind, "bitmapslot"))
		return find_block(ed, owfs_geo_bitmap_slot(&ed->geo, 0, n & 3),
				  pl);
	if (!strcmp(kind, "block"))
		return find_block(ed, n, pl);
	if (!strcmp(kind, "data"))
		return find_data(ed, rest, pl);
	if (type_index(kind) >= 0)
		return find_item(ed, kind, rest, pl);
	return edit_fail(ed, "no such place: %s", kind);
}

int edit_find(struct edit *ed, const char *word, struct edit_place *pl)
{
	char kind[300], *rest;

	snprintf(kind, sizeof(kind), "%s", word);
	rest = strchr(kind, ':');
	if (rest)
		*rest++ = '\0';
	*pl = (struct edit_place){ .n = 0 };
	edit_refresh(ed);
	if (!find(ed, kind, rest ? rest : kind + strlen(kind), pl))
		return 0;
	edit_place_free(pl);
	return -1;
}
