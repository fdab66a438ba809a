/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the tree calls for blocks: trans.c fills it in, fs.c hands it over. */
#ifndef OWFS_TRANS_TREE_OPS_H
#define OWFS_TRANS_TREE_OPS_H

#include "tree/btree.h"

extern const struct owfs_btree_ops owfs_trans_tree_ops;

#endif
