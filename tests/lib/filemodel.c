/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One file as an array of bytes; see filemodel.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "filemodel.h"

#define PAGE	4096u

static void *must(void *p)
{
	if (p)
		return p;
	perror("filemodel");
	exit(99);
}

static uint64_t min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

void fm_init(struct filemodel *m, uint32_t blocksize, unsigned int blocks,
	     unsigned int keep)
{
	*m = (struct filemodel){
		.max = (uint64_t)blocks * blocksize, .blocksize = blocksize,
		.keep = keep,
	};
	m->data = must(calloc(1, m->max));
	m->old = must(calloc(keep, sizeof(*m->old)));
}

void fm_done(struct filemodel *m)
{
	for (unsigned int i = 0; i < m->keep; i++)
		free(m->old[i].data);
	free(m->old);
	free(m->data);
}

/* ------------------------------------------------------------- operations */

static void grow(struct filemodel *m, uint64_t end)
{
	if (end > m->size)
		m->size = end;
}

void fm_write(struct filemodel *m, uint64_t pos, const void *buf, uint64_t len)
{
	memcpy(m->data + pos, buf, len);
	if (len)
		grow(m, pos + len);
}

void fm_write_pieces(struct filemodel *m, uint64_t pos, const void *buf,
		     uint64_t len)
{
	fm_write(m, pos, buf, len);
	m->from = pos;
	m->to = pos + len;
}

void fm_resize(struct filemodel *m, uint64_t size)
{
	if (size < m->size)
		memset(m->data + size, 0, m->size - size);
	m->size = size;
}

void fm_zero(struct filemodel *m, uint64_t pos, uint64_t len, bool keep_size)
{
	uint64_t end = min(pos + len, m->size);

	if (pos < end)
		memset(m->data + pos, 0, end - pos);
	fm_allocate(m, pos, len, keep_size);
}

void fm_allocate(struct filemodel *m, uint64_t pos, uint64_t len,
		 bool keep_size)
{
	if (!keep_size)
		grow(m, pos + len);
}

uint64_t fm_copy(struct filemodel *m, uint64_t from, uint64_t to, uint64_t len)
{
	uint64_t n = from < m->size ? min(len, m->size - from) : 0;

	memcpy(m->data + to, m->data + from, n);
	if (n)
		grow(m, to + n);
	return n;
}

/* ------------------------------------------------------------------ answers */

bool fm_is(const struct filemodel *m, const unsigned char *buf, uint64_t size)
{
	return m->size == size && !memcmp(buf, m->data, size);
}

bool fm_has(const struct filemodel *m, uint64_t pos, const unsigned char *buf,
	    uint64_t len)
{
	const unsigned char *want = m->data + pos;
	uint64_t i, n = 0;

	if (!memcmp(buf, want, len))
		return true;
	for (i = len; i-- > 0;)
		n += buf[i] != want[i];
	for (i = 0; buf[i] == want[i]; i++)
		;
	fprintf(stderr, "%llu bytes differ, the first is byte %llu: %02x, should be %02x\n",
		(unsigned long long)n, (unsigned long long)(pos + i), buf[i],
		want[i]);
	return false;
}

static bool all_zero(const struct filemodel *m, uint64_t from, uint64_t to)
{
	for (; from < to; from++)
		if (m->data[from])
			return false;
	return true;
}

bool fm_seek_is_right(const struct filemodel *m, uint64_t pos, uint64_t data,
		      uint64_t hole)
{
	if (pos >= m->size)
		return data == FM_NONE && hole == FM_NONE;
	if (hole < pos || hole > m->size)
		return false;
	if (data == FM_NONE)
		return hole == pos && all_zero(m, pos, m->size);
	return data >= pos && data < m->size &&
	       (data == pos) != (hole == pos) && all_zero(m, pos, data);
}

/* ------------------------------------------------------------------ crashes */

void fm_remember(struct filemodel *m)
{
	struct fm_version v;

	if (fm_is_full(m)) {
		v = m->old[0];
		memmove(&m->old[0], &m->old[1],
			(m->keep - 1) * sizeof(*m->old));
		m->old[--m->nold] = v;
	}
	v = m->old[m->nold];
	if (!v.data)
		v.data = must(malloc(m->max));
	memcpy(v.data, m->data, m->size);
	v.size = m->size;
	v.from = m->from;
	v.to = m->to;
	m->from = m->to = 0;
	m->old[m->nold++] = v;
}

void fm_durable(struct filemodel *m)
{
	m->nold = 0;
	fm_remember(m);
}

/* The file is what was found, and will stay so. */
static void accept(struct filemodel *m, const unsigned char *buf, uint64_t size)
{
	memcpy(m->data, buf, size);
	memset(m->data + size, 0, m->max - size);
	m->size = size;
	fm_durable(m);
}

/* Is the file what it was before @v, but for the bytes of @v up to @end? */
static bool is_piece(const struct fm_version *v, uint64_t end,
		     const unsigned char *buf, uint64_t size)
{
	const struct fm_version *before = v - 1;

	return size == (before->size > end ? before->size : end) &&
	       !memcmp(buf, v->data, end) &&
	       !memcmp(buf + end, before->data + end, size - end);
}

static bool is_version(const struct filemodel *m, const struct fm_version *v,
		       const unsigned char *buf, uint64_t size)
{
	uint64_t end;

	if (v->size == size && !memcmp(v->data, buf, size))
		return true;
	if (v == m->old)
		return false;
	for (end = v->from / PAGE * PAGE + PAGE; end < v->to; end += PAGE)
		if (is_piece(v, end, buf, size))
			return true;
	return false;
}

bool fm_recover(struct filemodel *m, const unsigned char *buf, uint64_t size)
{
	const struct fm_version *v;

	for (v = m->old + m->nold; v-- > m->old;) {
		if (!is_version(m, v, buf, size))
			continue;
		accept(m, buf, size);
		return true;
	}
	return false;
}

/* Had byte @pos the value @c in any of the states?  None: zero. */
static bool was_there(const struct filemodel *m, uint64_t pos, unsigned char c)
{
	const struct fm_version *v;

	for (v = m->old + m->nold; v-- > m->old;)
		if (c == (pos < v->size ? v->data[pos] : 0))
			return true;
	return false;
}

/* Had the file this size, or one on the way to it? */
static bool was_size(const struct filemodel *m, uint64_t size, bool grows)
{
	const struct fm_version *v;
	uint64_t low = UINT64_MAX, high = 0;

	for (v = m->old + m->nold; v-- > m->old;) {
		if (v->size == size)
			return true;
		low = min(low, v->size);
		high = v->size > high ? v->size : high;
	}
	return grows && low < size && size < high;
}

bool fm_recover_mixed(struct filemodel *m, const unsigned char *buf,
		      uint64_t size, bool grows)
{
	uint64_t pos;

	if (!was_size(m, size, grows)) {
		fprintf(stderr, "the file has never had the size %llu\n",
			(unsigned long long)size);
		return false;
	}
	for (pos = 0; pos < size && was_there(m, pos, buf[pos]); pos++)
		;
	if (pos < size) {
		fprintf(stderr, "byte %llu has never been %02x\n",
			(unsigned long long)pos, buf[pos]);
		return false;
	}
	accept(m, buf, size);
	return true;
}

/* ------------------------------------------------------------------- chance */

uint64_t fm_random_pos(const struct filemodel *m, struct rng *rng)
{
	uint64_t bs = m->blocksize, blocks = m->max / bs, pos;

	switch (rng_below(rng, 4)) {
	case 0:
		pos = rng_below(rng, blocks) * bs;
		break;
	case 1:
		pos = rng_below(rng, blocks) * bs + rng_below(rng, 3) - 1;
		break;
	case 2:
		pos = m->size + rng_below(rng, 3) - 1;
		break;
	default:
		pos = rng_below(rng, m->max);
	}
	return pos < m->max ? pos : m->max - 1;
}

uint64_t fm_random_len(const struct filemodel *m, struct rng *rng, uint64_t pos)
{
	uint64_t max = m->max - pos, len;

	switch (rng_below(rng, 4)) {
	case 0:
		len = (1 + rng_below(rng, 8)) * m->blocksize;
		break;
	case 1:
		len = 1 + rng_below(rng, 100);
		break;
	case 2:
		len = m->blocksize - pos % m->blocksize;
		break;
	default:
		len = 1 + rng_below(rng, 5ull * m->blocksize);
	}
	return len < max ? len : max;
}
