/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is given up when all goes back to the commit before: each inode of which
 * the last one has something else, and where a node of it is lost, each that the
 * one before has there.  Nodes that both share are not looked at.
 *
 * Names are those of the last commit as far as it can be read; whoever has none
 * there is told with the next round, which knows the names of the one before.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "fixer.h"
#include "tree/node.h"

struct back {
	struct check *ck;
	struct owfs_btree *before;
	owfs_gen_t gen;			/* of it */
	owfs_ino_t ino;			/* the last that was told */
	unsigned char *val;		/* room for one */
	int err;
};

static bool tell(struct check *ck, owfs_ino_t ino, bool nameless_too)
{
	char path[1024], line[1200];

	path_of(ck, ino, path, sizeof(path));
	if (path[0] == '?' && !nameless_too)
		return false;
	snprintf(line, sizeof(line), "given up: inode %" PRIu64
		 ": what the last commit has of it: path=%s", ino, path);
	if (fixes_is_news(ck->fixes, line))
		owfs_msg(ck->param->msg, OWFS_MSG_WARN, "%s", line);
	return true;
}

static int put_off(struct fixes *fx, owfs_ino_t ino)
{
	owfs_ino_t *v = realloc(fx->nameless, (fx->nnameless + 1) * sizeof(*v));

	if (!v)
		return -ENOMEM;
	fx->nameless = v;
	v[fx->nnameless++] = ino;
	return 0;
}

static int note(struct back *b, owfs_ino_t ino)
{
	if (ino == b->ino)
		return 0;
	b->ino = ino;
	return tell(b->ck, ino, false) ? 0 : put_off(b->ck->fixes, ino);
}

static bool is_same(struct back *b, const void *leaf, unsigned int i)
{
	struct owfs_key key = owfs_leaf_key(leaf, i);
	size_t len = owfs_leaf_len(leaf, i);

	return owfs_btree_lookup(b->before, &key, b->val, b->ck->sb.blocksize) ==
	       (int)len && !memcmp(b->val, owfs_leaf_val(leaf, i), len);
}

static int compare(void *ctx, const struct owfs_ptr *ptr, unsigned int level,
		   const void *data)
{
	struct back *b = ctx;
	unsigned int i;
	int ret = 0;

	if (ptr->birth <= b->gen)
		return 1;
	for (i = 0; !level && i < owfs_node_nitems(data) && !ret; i++) {
		struct owfs_key key = owfs_leaf_key(data, i);

		if (owfs_key_ino(&key) != b->ino && !is_same(b, data, i))
			ret = note(b, owfs_key_ino(&key));
	}
	return ret ? ret : b->err;
}

/* What the last commit had there cannot be compared. */
static void list_all(void *ctx, const struct owfs_ptr *ptr, unsigned int level,
		     const struct owfs_key *low, const struct owfs_key *last)
{
	struct back *b = ctx;
	struct owfs_key key = *low;

	(void)ptr;
	(void)level;
	while (!b->err && owfs_key_cmp(&key, last) <= 0 &&
	       owfs_btree_next(b->before, &key, last, b->val,
			       b->ck->sb.blocksize) >= 0) {
		b->err = note(b, owfs_key_ino(&key));
		if (owfs_key_ino(&key) >= OWFS_INO_MAX)
			return;
		key = owfs_key(owfs_key_ino(&key) + 1, 0, 0);
	}
}

static int walk(struct back *b)
{
	const struct owfs_btree_visitor v = { .enter = compare,
					      .bad = pass2_skip_bad,
					      .hole = list_all, .ctx = b };
	int ret;

	b->ck->mute = true;
	ret = owfs_btree_visit(b->ck->bt, &v);
	b->ck->mute = false;
	return ret ? ret : b->err;
}

int back_tell(struct check *ck)
{
	const struct owfs_root *root = &ck->sb.root[1];
	struct back b = { .ck = ck, .gen = root->gen };
	int ret = check_open_tree(ck, root, &b.before);

	if (ret)
		return ret;
	b.val = malloc(ck->sb.blocksize);
	ret = b.val ? walk(&b) : -ENOMEM;
	free(b.val);
	owfs_btree_close(b.before);
	return ret;
}

void back_tell_rest(struct check *ck)
{
	struct fixes *fx = ck->fixes;
	size_t i;

	for (i = 0; i < fx->nnameless; i++)
		tell(ck, fx->nameless[i], true);
	free(fx->nameless);
	fx->nameless = NULL;
	fx->nnameless = 0;
}
