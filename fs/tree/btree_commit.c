/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tree's share of a commit.
 *
 *	seal      finish        write ...        release
 *	  |         |             |   (durable)     (the next one is durable)
 *	--+---------+-------------+-------+------------+---->
 *	   no operation runs at the first mark; all along the rest they do
 *
 * Between seal and the end of finish the sealed nodes have items that never
 * change and checksums that do.  An operation that wants to change a sealed
 * node copies it; what it frees of the sealed generation is written all the
 * same, as the sealed tree has it.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "tree/btree_impl.h"

void owfs_btree_seal(struct owfs_btree *bt, owfs_gen_t next,
		     struct owfs_btree_sealed *out)
{
	memset(out, 0, sizeof(*out));
	pthread_rwlock_wrlock(&bt->root_lock);
	pthread_mutex_lock(&bt->young_lock);
	assert(next > bt->open_gen && bt->young_reserved == 0);
	/* else the children of two generations would have no checksum */
	assert(!bt->sealed_gen || bt->sealed_gen == bt->final_gen);
	if (bt->nyoung) {
		out->bufs = bt->young;
		out->n = bt->nyoung;
		bt->young = bt->spare;
		bt->young_cap = bt->spare_cap;
		bt->spare = NULL;
		bt->spare_cap = 0;
	}
	bt->nyoung = 0;
	bt->nforgotten = 0;
	__atomic_store_n(&bt->dirty, 0, __ATOMIC_RELAXED);

	out->root = bt->root;
	out->level = bt->level;
	if (bt->root_changed && bt->root_buf) {
		out->root_buf = bt->root_buf;
		owfs_buf_get(out->root_buf);
	}
	__atomic_store_n(&bt->root_changed, false, __ATOMIC_RELAXED);
	bt->sealed_gen = bt->open_gen;
	bt->open_gen = next;
	pthread_mutex_unlock(&bt->young_lock);
	pthread_rwlock_unlock(&bt->root_lock);
	owfs_btree_gate_sealed(&bt->gate);
}

/* ----------------------------------------------------------------- finish */

/*
 * Checksums of children that this node may not have (B1): of its own
 * generation, which were finished just now, and of the one finished before.
 */
static void fill_in_csums(struct owfs_btree *bt, struct owfs_buf *buf)
{
	const owfs_gen_t before = owfs_btree_final_gen(bt);
	unsigned int n = owfs_node_nitems(buf->b_data), i;

	for (i = 0; i < n; i++) {
		struct owfs_ptr ptr = owfs_branch_ptr(buf->b_data, i);
		struct owfs_buf *child;

		if (ptr.birth < before)
			continue;
		child = owfs_buf_peek(bt->bc, &ptr);
		assert(child || ptr.birth != bt->sealed_gen);
		if (!child)
			continue;	/* from before this mount: known anyway */
		owfs_branch_set_csum(buf->b_data, i, child->b_ptr.csum);
		owfs_buf_put(child);
	}
}

static void finish_node(struct owfs_btree *bt, struct owfs_buf *buf)
{
	pthread_rwlock_wrlock(&buf->b_lock);
	if (owfs_node_level(buf->b_data) > 0)
		fill_in_csums(bt, buf);
	owfs_buf_seal_csum(buf);
	pthread_rwlock_unlock(&buf->b_lock);
}

/* Move the nodes of @level to the front; returns how many there are. */
static size_t partition(struct owfs_buf **bufs, size_t n, unsigned int level)
{
	size_t i, found = 0;

	for (i = 0; i < n; i++) {
		struct owfs_buf *buf = bufs[i];

		if (owfs_node_level(buf->b_data) != level)
			continue;
		bufs[i] = bufs[found];
		bufs[found++] = buf;
	}
	return found;
}

static int cmp_addr(const void *a, const void *b)
{
	const struct owfs_buf *x = *(struct owfs_buf *const *)a;
	const struct owfs_buf *y = *(struct owfs_buf *const *)b;

	return (x->b_ptr.addr[0] > y->b_ptr.addr[0]) -
	       (x->b_ptr.addr[0] < y->b_ptr.addr[0]);
}

void owfs_btree_finish(struct owfs_btree *bt, struct owfs_btree_sealed *s)
{
	unsigned int level;
	size_t done = 0, end;

	owfs_btree_gate_drain(&bt->gate);
	s->n = owfs_btree_drop_forgotten(s->bufs, s->n);
	for (level = 0; done < s->n; level++) {
		end = done + partition(s->bufs + done, s->n - done, level);
		for (; done < end; done++)
			finish_node(bt, s->bufs[done]);
	}
	__atomic_store_n(&bt->final_gen, bt->sealed_gen, __ATOMIC_RELEASE);
	if (s->root_buf)
		s->root.csum = s->root_buf->b_ptr.csum;
	/* batches that lie side by side; with no memory it sorts in place */
	if (s->n)
		qsort(s->bufs, s->n, sizeof(struct owfs_buf *), cmp_addr);
}

/* ------------------------------------------------------- write and release */

int owfs_btree_write(struct owfs_btree *bt, struct owfs_btree_sealed *s,
		     size_t max)
{
	size_t n = s->n - s->written;
	int ret;

	if (n > max)
		n = max;
	if (n == 0)
		return 0;
	ret = owfs_buf_write_many(bt->bc, s->bufs + s->written, n);
	if (ret)
		return ret;
	s->written += n;
	return s->written < s->n;
}

void owfs_btree_release(struct owfs_btree *bt, struct owfs_btree_sealed *s)
{
	const bool written = s->written == s->n;
	size_t i;

	(void)bt;
	for (i = 0; i < s->n; i++) {
		if (written)
			owfs_buf_clean(s->bufs[i]);
		else	/* a failed commit: the device does not have it */
			owfs_buf_forget(s->bufs[i]);
		owfs_buf_put(s->bufs[i]);
	}
	if (s->root_buf)
		owfs_buf_put(s->root_buf);
	free(s->bufs);
	memset(s, 0, sizeof(*s));
}
