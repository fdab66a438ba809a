/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whose data may not be what it was: files with blocks that were free by the
 * map, so that somebody may have written there since, and all owners of blocks
 * that have several, since nobody knows which of them is the right one.
 */
#include <inttypes.h>

#include "fsck.h"

static const char *doubt(const struct check *ck, const struct owfs_extent *ext)
{
	if (usedmap_has(&ck->freed, ext->fsblock, ext->len))
		return "were marked free, and may hold what was written since";
	if (usedmap_has(&ck->shared, ext->fsblock, ext->len))
		return "have other owners, and hold what one of them wrote";
	return NULL;
}

static int tell(struct check *ck, const struct owfs_key *key, const void *val,
		size_t len)
{
	owfs_ino_t ino = owfs_key_ino(key);
	struct owfs_extent ext;
	char path[1024];
	const char *what;

	if (owfs_key_type(key) != OWFS_ITEM_EXTENT ||
	    owfs_extent_from_disk(&ck->geo, ck->root->gen, key, val, len, &ext))
		return 0;
	what = doubt(ck, &ext);
	if (!what)
		return 0;
	path_of(ck, ino, path, sizeof(path));
	owfs_msg(ck->param->msg, OWFS_MSG_WARN, "inode %" PRIu64
		 ": blocks %s: off=%" PRIu64 " blocks=%" PRIu64 " path=%s",
		 ino, what, ext.off, ext.len, path);
	return 0;
}

int tell_owners(struct check *ck)
{
	if ((!ck->freed.blocks && !ck->shared.blocks) ||
	    ck->root != &ck->sb.root[0])
		return 0;
	return pass2_each_item(ck, tell);
}
