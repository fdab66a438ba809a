/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Nodes that are not in memory.  Who meets one on the way down lets go of all
 * locks, enters the gate, goes down again to find out afresh what is missing,
 * lets go again, reads it and starts again from the root.
 *
 * The gate is what makes the pointer good for as long as the read takes: its
 * block is not handed out to anybody else before the reader has left.  What
 * was read stays referenced until the way down has ended, so that even the
 * smallest cache lets it arrive.
 */
#include <inttypes.h>
#include <string.h>

#include "tree/btree_impl.h"

/* ------------------------------------------------------------------- gate */

void owfs_btree_gate_init(struct owfs_btree_gate *gate)
{
	memset(gate, 0, sizeof(*gate));
	pthread_mutex_init(&gate->lock, NULL);
	pthread_cond_init(&gate->empty, NULL);
}

void owfs_btree_gate_destroy(struct owfs_btree_gate *gate)
{
	pthread_cond_destroy(&gate->empty);
	pthread_mutex_destroy(&gate->lock);
}

static unsigned int gate_enter(struct owfs_btree_gate *gate)
{
	unsigned int i;

	pthread_mutex_lock(&gate->lock);
	i = gate->seals % 4;
	gate->inside[i]++;
	pthread_mutex_unlock(&gate->lock);
	return i;
}

static void gate_leave(struct owfs_btree_gate *gate, unsigned int i)
{
	pthread_mutex_lock(&gate->lock);
	if (--gate->inside[i] == 0)
		pthread_cond_broadcast(&gate->empty);
	pthread_mutex_unlock(&gate->lock);
}

/* A generation was sealed: from now on nobody sees what it freed. */
void owfs_btree_gate_sealed(struct owfs_btree_gate *gate)
{
	pthread_mutex_lock(&gate->lock);
	gate->seals++;
	pthread_mutex_unlock(&gate->lock);
}

/*
 * Wait for those who entered before the seal before the last.  Those before
 * them were waited for a commit ago; those after may stay.
 */
void owfs_btree_gate_drain(struct owfs_btree_gate *gate)
{
	unsigned int i;

	pthread_mutex_lock(&gate->lock);
	i = (gate->seals + 2) % 4;
	while (gate->inside[i])
		pthread_cond_wait(&gate->empty, &gate->lock);
	pthread_mutex_unlock(&gate->lock);
}

/* ------------------------------------------------------------------ fetch */

/* The root was read for the first time: keep it. */
static void keep_root(struct owfs_btree *bt, struct owfs_buf *buf)
{
	pthread_rwlock_wrlock(&bt->root_lock);
	if (!bt->root_buf && bt->root.birth == buf->b_ptr.birth &&
	    bt->root.addr[0] == buf->b_ptr.addr[0]) {
		owfs_buf_get(buf);
		bt->root_buf = buf;
	}
	pthread_rwlock_unlock(&bt->root_lock);
}

/* Bad bytes are news to whoever owns the tree; a device that fails is not. */
static int tell_bad(struct owfs_btree *bt, owfs_fsblock_t addr, int err)
{
	if ((err == -EFSCORRUPTED || err == -EFSBADCRC) && bt->ops &&
	    bt->ops->bad_node)
		bt->ops->bad_node(bt->ctx, addr, err);
	return err;
}

int owfs_btree_fetch_miss(struct owfs_btree *bt, struct owfs_btree_fetch *f)
{
	struct owfs_buf **pin = &f->pin[f->expect.level];
	struct owfs_buf *buf;
	int ret;

	if (!f->inside) {
		memset(f->pin, 0, sizeof(f->pin));
		f->gate = gate_enter(&bt->gate);
		f->inside = true;
		return 0;
	}
	ret = owfs_buf_read(bt->bc, &f->ptr, &owfs_node_buf_ops, &f->expect,
			    &buf);
	if (ret)
		return tell_bad(bt, f->ptr.addr[0], ret);
	if (*pin)
		owfs_buf_put(*pin);
	*pin = buf;
	if (f->expect.root)
		keep_root(bt, buf);
	return 0;
}

void owfs_btree_fetch_done(struct owfs_btree *bt, struct owfs_btree_fetch *f)
{
	unsigned int i;

	if (!f->inside)
		return;
	for (i = 0; i <= OWFS_MAX_LEVEL; i++)
		if (f->pin[i])
			owfs_buf_put(f->pin[i]);
	gate_leave(&bt->gate, f->gate);
	f->inside = false;
}

/* ----------------------------------------------------------- expectations */

void owfs_btree_expect_root(const struct owfs_btree *bt,
			    struct owfs_node_expect *expect)
{
	*expect = (struct owfs_node_expect){
		.level = bt->level,
		.root = true,
		.owner = bt->owner,
		.low = OWFS_KEY_MIN,
		.last = OWFS_KEY_MAX,
	};
}

void owfs_btree_expect_child(const struct owfs_btree *bt, const void *branch,
			     unsigned int i, const struct owfs_key *last,
			     struct owfs_node_expect *expect)
{
	expect->level = owfs_node_level(branch) - 1;
	expect->root = false;
	expect->owner = bt->owner;
	expect->low = owfs_branch_key(branch, i);
	expect->last = *last;
	if (i + 1 < owfs_node_nitems(branch)) {
		struct owfs_key next = owfs_branch_key(branch, i + 1);

		expect->last = owfs_key_prev(&next);
	}
}

int owfs_btree_check_place(struct owfs_btree *bt, const struct owfs_buf *buf,
			   const struct owfs_node_expect *expect)
{
	uint64_t detail = 0;
	const char *what = owfs_node_check_place(buf->b_data, expect, &detail);

	if (!what)
		return 0;
	owfs_msg(owfs_bufcache_msg(bt->bc), OWFS_MSG_ERROR,
		 "node %" PRIu64 ": %s: value=%" PRIu64 " expected level=%u",
		 buf->b_ptr.addr[0], what, detail, expect->level);
	return tell_bad(bt, buf->b_ptr.addr[0], -EFSCORRUPTED);
}
