/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The list of nodes that have a bad copy, and writing them anew. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "trans/mend.h"
#include "trans/trans.h"
#include "tree/node.h"

#define MEND_MAX	256u
#define MEND_TRIES	8u	/* on a full device */

struct mend_node {
	struct owfs_ptr ptr;
	unsigned int level;
	struct owfs_key first;
};

struct owfs_mend {
	pthread_mutex_t lock;		/* innermost */
	unsigned int n;
	struct mend_node node[MEND_MAX];	/* the oldest first */
	unsigned int tries;		/* for which there was no room, one after the other */
	void (*wake)(struct owfs_fs *fs);
};

static bool same_node(const struct owfs_ptr *a, const struct owfs_ptr *b)
{
	return a->addr[0] == b->addr[0] && a->birth == b->birth;
}

/* 1: it is new. */
static int add(struct owfs_mend *m, const struct mend_node *node)
{
	unsigned int i;
	int ret = 1;

	pthread_mutex_lock(&m->lock);
	for (i = 0; i < m->n && ret; i++)
		if (same_node(&m->node[i].ptr, &node->ptr))
			ret = 0;
	if (ret && m->n == MEND_MAX)
		ret = -EAGAIN;
	if (ret == 1)
		m->node[m->n++] = *node;
	pthread_mutex_unlock(&m->lock);
	return ret;
}

static bool peek(struct owfs_mend *m, struct mend_node *node)
{
	bool some;

	pthread_mutex_lock(&m->lock);
	some = m->n > 0;
	if (some)
		*node = m->node[0];
	pthread_mutex_unlock(&m->lock);
	return some;
}

/* Those that were added meanwhile came behind it. */
static void drop(struct owfs_mend *m, const struct mend_node *node)
{
	pthread_mutex_lock(&m->lock);
	if (m->n && same_node(&m->node[0].ptr, &node->ptr))
		memmove(m->node, m->node + 1, --m->n * sizeof(m->node[0]));
	pthread_mutex_unlock(&m->lock);
}

bool owfs_mend_is_wanted(struct owfs_fs *fs)
{
	struct mend_node node;

	return fs->fs_mend && peek(fs->fs_mend, &node);
}

int owfs_mend_note(struct owfs_fs *fs, const struct owfs_ptr *ptr,
		   unsigned int level, const struct owfs_key *first)
{
	const struct mend_node node = { *ptr, level, *first };
	int ret = add(fs->fs_mend, &node);

	if (ret == 1)
		fs->fs_mend->wake(fs);
	return ret < 0 ? ret : 0;
}

/* The first copy was bad, and @data is the second. */
static void copy_is_bad(void *ctx, const struct owfs_ptr *ptr,
			const void *data, int copy, int err)
{
	struct owfs_fs *fs = ctx;
	bool ro = owfs_fs_writable(fs);

	owfs_msg(fs->fs_msg, OWFS_MSG_WARN,
		 "node %" PRIu64 ": copy %d of it is bad, the other is good: error=%d: %s",
		 ptr->addr[copy], copy, -err, ro ?
		 "left as it is: read-only" : "both are written anew");
	owfs_bufcache_distrust(fs->fs_bc, ptr);
	__atomic_fetch_add(&fs->fs_bad_copies, 1, __ATOMIC_RELAXED);
	if (!ro && owfs_node_nitems(data)) {
		const struct owfs_key first = owfs_node_first(data);

		owfs_mend_note(fs, ptr, owfs_node_level(data), &first);
	}
}

int owfs_mend_open(struct owfs_fs *fs, void (*wake)(struct owfs_fs *fs))
{
	struct owfs_mend *m = calloc(1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	pthread_mutex_init(&m->lock, NULL);
	m->wake = wake;
	fs->fs_mend = m;
	owfs_bufcache_on_repair(fs->fs_bc, copy_is_bad, fs);
	return 0;
}

void owfs_mend_close(struct owfs_fs *fs)
{
	if (!fs->fs_mend)
		return;
	owfs_bufcache_on_repair(fs->fs_bc, NULL, NULL);
	pthread_mutex_destroy(&fs->fs_mend->lock);
	free(fs->fs_mend);
	fs->fs_mend = NULL;
}

/* No room, for so long: it is left. */
static bool is_hopeless(struct owfs_mend *m, int ret)
{
	bool hopeless;

	pthread_mutex_lock(&m->lock);
	m->tries = ret == -EAGAIN ? m->tries + 1 : 0;
	hopeless = m->tries > MEND_TRIES;
	if (hopeless)
		m->tries = 0;
	pthread_mutex_unlock(&m->lock);
	return hopeless;
}

static int write_anew(struct owfs_fs *fs, const struct mend_node *node)
{
	struct owfs_trans tr;
	int ret = owfs_btree_has_node(fs->fs_bt, &node->first, node->level,
				      &node->ptr);

	if (ret <= 0)	/* a change has replaced it already */
		return ret;
	ret = owfs_trans_begin(fs, &tr, 1, 1, OWFS_RESV_REPLACING);
	if (ret)
		return ret;
	ret = owfs_btree_renew(fs->fs_bt, &node->first, node->level);
	if (ret)
		owfs_trans_abort(&tr, ret, "node with a bad copy");
	return owfs_trans_end(&tr);
}

int owfs_mend_now(struct owfs_fs *fs, const struct owfs_ptr *ptr,
		  unsigned int level, const struct owfs_key *first)
{
	const struct mend_node node = { *ptr, level, *first };
	int ret = owfs_fs_writable(fs);

	if (ret)
		return ret;
	if (level > OWFS_MAX_LEVEL)
		return -EINVAL;
	owfs_msg(fs->fs_msg, OWFS_MSG_WARN,
		 "node %" PRIu64 ": a copy of it was found bad: both are written anew",
		 ptr->addr[0]);
	__atomic_fetch_add(&fs->fs_bad_copies, 1, __ATOMIC_RELAXED);
	OWFS_RETRY(fs, ret, write_anew(fs, &node));
	return ret;
}

int owfs_mend_run(struct owfs_fs *fs)
{
	struct mend_node node;
	int ret;

	if (!fs->fs_mend || !peek(fs->fs_mend, &node))
		return 0;
	ret = owfs_fs_writable(fs) ? 0 : write_anew(fs, &node);
	if (is_hopeless(fs->fs_mend, ret)) {
		ret = -ENOSPC;
		owfs_msg(fs->fs_msg, OWFS_MSG_WARN,
			 "node %" PRIu64 ": no room to write it anew: left as it is",
			 node.ptr.addr[0]);
	}
	if (ret == -EAGAIN)
		return ret;
	drop(fs->fs_mend, &node);
	return ret ? ret : owfs_mend_is_wanted(fs);
}
