/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whose data may not be what it was: files with blocks that were free by the
 * map, so that somebody may have written there since, and all owners of blocks
 * that have several, since nobody knows which of them is the right one.  One of
 * several may be an extent that cannot be believed, or one of a file of which
 * only an older state is left: who has the blocks now is not the right one for
 * that.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "fsck.h"

int owners_claimed(struct fixes *fx, owfs_fsblock_t start, uint64_t len)
{
	struct claimed *v = realloc(fx->claimed,
				    (fx->nclaimed + 1) * sizeof(*v));

	if (!v)
		return -ENOMEM;
	fx->claimed = v;
	v[fx->nclaimed++] = (struct claimed){ start, len };
	return 0;
}

static int load_claimed(struct check *ck)
{
	const struct fixes *fx = ck->fixes;
	owfs_fsblock_t dup;
	size_t i;

	for (i = 0; fx && i < fx->nclaimed; i++)
		if (usedmap_add(&ck->lost, fx->claimed[i].start,
				fx->claimed[i].len, &dup) < 0)
			return -ENOMEM;
	return 0;
}

static const char *doubt(const struct check *ck, const struct owfs_extent *ext)
{
	if (usedmap_has(&ck->freed, ext->fsblock, ext->len))
		return "were marked free, and may hold what was written since";
	if (usedmap_has(&ck->shared, ext->fsblock, ext->len))
		return "have other owners, and hold what one of them wrote";
	if (usedmap_has(&ck->maybe, ext->fsblock, ext->len))
		return "have another owner that cannot be believed, and may hold what that one wrote";
	if (usedmap_has(&ck->lost, ext->fsblock, ext->len))
		return "had another owner, which is lost, and may hold what that one wrote";
	return NULL;
}

static int tell(struct check *ck, const struct owfs_key *key, const void *val,
		size_t len)
{
	owfs_ino_t ino = owfs_key_ino(key);
	struct owfs_extent ext;
	char line[1300];
	const char *what;

	if (owfs_key_type(key) != OWFS_ITEM_EXTENT ||
	    owfs_extent_from_disk(&ck->geo, ck->root->gen, key, val, len, &ext))
		return 0;
	what = doubt(ck, &ext);
	if (!what)
		return 0;
	if (!ck->fixes && ck->doubts.lines++ >= check_max_lines(ck))
		return 0;
	if (ck->doubts.ino != ino)	/* its extents come one after the other */
		path_of(ck, ino, ck->doubts.path, sizeof(ck->doubts.path));
	ck->doubts.ino = ino;
	snprintf(line, sizeof(line), "inode %" PRIu64
		 ": blocks %s: off=%" PRIu64 " blocks=%" PRIu64 " path=%s",
		 ino, what, ext.off, ext.len, ck->doubts.path);
	if (!ck->fixes || fixes_is_news(ck->fixes, line))
		owfs_msg(ck->param->msg, OWFS_MSG_WARN, "%s", line);
	return 0;
}

int tell_owners(struct check *ck)
{
	uint64_t more;
	int ret;

	if (ck->root != &ck->sb.root[0])
		return 0;
	ret = load_claimed(ck);
	if (ret || (!ck->freed.blocks && !ck->shared.blocks &&
		    !ck->maybe.blocks && !ck->lost.blocks))
		return ret;
	ck->doubts.ino = 0;
	ck->doubts.lines = 0;
	ret = pass2_each_item(ck, tell);
	if (ck->doubts.lines > check_max_lines(ck)) {
		more = ck->doubts.lines - check_max_lines(ck);
		owfs_msg(ck->param->msg, OWFS_MSG_WARN,
			 "and %" PRIu64 " more: blocks with other owners, or marked free",
			 more);
	}
	return ret;
}
