/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reservations of several parts, for changes of unequal size. */
#ifndef OWFS_OBJECT_RESV_H
#define OWFS_OBJECT_RESV_H

#include "trans/trans.h"

/* So many nodes on top of what *@r holds; on failure it holds nothing. */
static inline int owfs_resv_more(struct owfs_fs *fs, struct owfs_resv *r,
				 unsigned int nodes, enum owfs_resv_class class)
{
	struct owfs_resv more;
	int ret = owfs_resv_take_nodes(fs, &more, nodes, class);

	if (ret) {
		owfs_resv_give(fs, r);
		return ret;
	}
	r->nodes += more.nodes;
	r->blocks += more.blocks;
	return 0;
}

#endif
