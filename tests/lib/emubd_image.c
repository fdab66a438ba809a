/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A persistent radix tree: an image owns one reference to its root, a node one
 * to each child.  What has one owner is changed in place, anything else is
 * copied first; since only an owner can make another owner, a count of one
 * seen by the owner stays one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"
#include "base/util.h"
#include "emubd_image.h"

#define FANOUT_BITS	6u
#define FANOUT		(1u << FANOUT_BITS)

struct emubd_chunk {
	int ref;		/* atomic; first, as in struct node */
	uint64_t hash;		/* atomic; 0: unknown */
	unsigned char data[EMUBD_CHUNK];
};

struct node {
	int ref;		/* atomic */
	void *child[FANOUT];
};

void *emubd_must(void *mem)
{
	if (!mem) {
		fprintf(stderr, "emubd: out of memory\n");
		abort();
	}
	return mem;
}

/* The finalizer of splitmix64: enough to make a seed's neighbours strangers. */
uint64_t emubd_mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15ull;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

void emubd_noise(void *buf, size_t len, uint64_t seed)
{
	unsigned char *p = buf;

	for (size_t off = 0; off < len; off += sizeof(seed)) {
		seed = emubd_mix(seed);
		memcpy(p + off, &seed, min_u64(sizeof(seed), len - off));
	}
}

/* ------------------------------------------------------------ ownership */

static bool sole_owner(const void *obj)
{
	return __atomic_load_n((const int *)obj, __ATOMIC_ACQUIRE) == 1;
}

static void *obj_get(void *obj)
{
	if (obj)
		__atomic_fetch_add((int *)obj, 1, __ATOMIC_RELAXED);
	return obj;
}

static void obj_put(void *obj, unsigned int height)
{
	if (!obj || __atomic_sub_fetch((int *)obj, 1, __ATOMIC_ACQ_REL))
		return;
	if (height) {
		struct node *node = obj;

		for (unsigned int i = 0; i < FANOUT; i++)
			obj_put(node->child[i], height - 1);
	}
	free(obj);
}

static struct emubd_chunk *chunk_new(void)
{
	struct emubd_chunk *c = emubd_must(malloc(sizeof(*c)));

	c->ref = 1;
	c->hash = 0;
	return c;
}

/* The node in *slot, made if there is none, ours alone. */
static struct node *own_node(void **slot, unsigned int height)
{
	struct node *old = *slot, *node;

	if (old && sole_owner(old))
		return old;
	node = emubd_must(calloc(1, sizeof(*node)));
	node->ref = 1;
	for (unsigned int i = 0; old && i < FANOUT; i++)
		node->child[i] = obj_get(old->child[i]);
	obj_put(old, height);
	*slot = node;
	return node;
}

/* The same for a chunk, about to change. */
static struct emubd_chunk *own_chunk(void **slot)
{
	struct emubd_chunk *old = *slot, *c;

	if (!old || !sole_owner(old)) {
		c = chunk_new();
		if (old)
			memcpy(c->data, old->data, EMUBD_CHUNK);
		else
			memset(c->data, 0, EMUBD_CHUNK);
		obj_put(old, 0);
		*slot = c;
		return c;
	}
	__atomic_store_n(&old->hash, 0, __ATOMIC_RELAXED);
	return old;
}

/* --------------------------------------------------------------- places */

static unsigned int child_index(uint64_t index, unsigned int height)
{
	return (unsigned int)(index >> (height - 1) * FANOUT_BITS) % FANOUT;
}

/* Chunks below a node's child at @height - 1. */
static uint64_t child_span(unsigned int height)
{
	return 1ull << (height - 1) * FANOUT_BITS;
}

static const struct emubd_chunk *find_chunk(const struct emubd_image *img,
					    uint64_t index)
{
	const void *obj = img->root;

	for (unsigned int h = img->height; obj && h; h--)
		obj = ((const struct node *)obj)->child[child_index(index, h)];
	return obj;
}

/* The slot of a chunk that is going to be put or changed. */
static void **own_slot(struct emubd_image *img, uint64_t index)
{
	void **slot = &img->root;

	for (unsigned int h = img->height; h; h--)
		slot = &own_node(slot, h)->child[child_index(index, h)];
	return slot;
}

void emubd_image_init(struct emubd_image *img, uint64_t size)
{
	const uint64_t chunks = div_round_up(size, EMUBD_CHUNK);

	img->root = NULL;
	img->height = 0;
	while (img->height * FANOUT_BITS < 64 &&
	       chunks > 1ull << img->height * FANOUT_BITS)
		img->height++;
}

void emubd_image_share(struct emubd_image *copy, const struct emubd_image *img)
{
	obj_put(copy->root, copy->height);
	copy->root = obj_get(img->root);
	copy->height = img->height;
}

void emubd_image_free(struct emubd_image *img)
{
	obj_put(img->root, img->height);
	img->root = NULL;
}

/* -------------------------------------------------------------- content */

static size_t in_chunk(uint64_t pos, uint64_t len)
{
	return min_u64(len, EMUBD_CHUNK - pos % EMUBD_CHUNK);
}

void emubd_image_read(const struct emubd_image *img, void *buf, uint64_t len,
		      uint64_t pos)
{
	unsigned char *p = buf;

	while (len) {
		const struct emubd_chunk *c = find_chunk(img, pos / EMUBD_CHUNK);
		size_t n = in_chunk(pos, len);

		if (c)
			memcpy(p, c->data + pos % EMUBD_CHUNK, n);
		else
			memset(p, 0, n);
		p += n;
		pos += n;
		len -= n;
	}
}

void emubd_image_write(struct emubd_image *img, const void *buf, uint64_t len,
		       uint64_t pos)
{
	const unsigned char *p = buf;

	while (len) {
		size_t n = in_chunk(pos, len);
		void **slot = own_slot(img, pos / EMUBD_CHUNK);

		memcpy(own_chunk(slot)->data + pos % EMUBD_CHUNK, p, n);
		p += n;
		pos += n;
		len -= n;
	}
}

/* Change bytes [pos, pos + n) of one chunk that is there. */
typedef void (*change_fn)(unsigned char *data, size_t n, uint64_t pos,
			  uint64_t seed);

static void change_zero(unsigned char *data, size_t n, uint64_t pos,
			uint64_t seed)
{
	(void)pos, (void)seed;
	memset(data, 0, n);
}

static void change_noise(unsigned char *data, size_t n, uint64_t pos,
			 uint64_t seed)
{
	emubd_noise(data, n, seed ^ emubd_mix(pos));
}

/*
 * Call @fn for the part of [pos, end) in each existing chunk at or below *slot,
 * whose first chunk is @index.  Costs what exists, not what is covered; zeroes
 * over all of it give the memory back.
 */
static void change_range(void **slot, unsigned int height, uint64_t index,
			 uint64_t pos, uint64_t end, change_fn fn, uint64_t seed)
{
	const uint64_t start = index * EMUBD_CHUNK;
	const uint64_t last = start + (EMUBD_CHUNK << height * FANOUT_BITS) - 1;
	uint64_t from, to;
	struct node *node;

	if (!*slot)
		return;
	if (fn == change_zero && pos <= start && last < end) {
		obj_put(*slot, height);
		*slot = NULL;
		return;
	}
	if (!height) {
		from = max_u64(pos, start);
		to = min_u64(end, start + EMUBD_CHUNK);
		fn(own_chunk(slot)->data + (from - start), to - from, from, seed);
		return;
	}
	node = own_node(slot, height);
	for (unsigned int i = 0; i < FANOUT; i++) {
		uint64_t first = index + i * child_span(height);

		if (first * EMUBD_CHUNK < end &&
		    (first + child_span(height)) * EMUBD_CHUNK > pos)
			change_range(&node->child[i], height - 1, first, pos,
				     end, fn, seed);
	}
}

void emubd_image_zero(struct emubd_image *img, uint64_t pos, uint64_t len)
{
	if (len)
		change_range(&img->root, img->height, 0, pos, pos + len,
			     change_zero, 0);
}

void emubd_image_noise(struct emubd_image *img, uint64_t pos, uint64_t len,
		       uint64_t seed)
{
	if (len)
		change_range(&img->root, img->height, 0, pos, pos + len,
			     change_noise, seed);
}

static bool chunk_is_zero(const struct emubd_chunk *c)
{
	return c->data[0] == 0 &&
	       memcmp(c->data, c->data + 1, EMUBD_CHUNK - 1) == 0;
}

/* Of one chunk, remembered in it; 1 for all zero, which counts as a hole. */
static uint64_t chunk_hash(struct emubd_chunk *c)
{
	uint64_t h = __atomic_load_n(&c->hash, __ATOMIC_RELAXED);

	if (h)
		return h;
	h = chunk_is_zero(c) ? 1 : owfs_checksum(0, c->data, EMUBD_CHUNK) | 2;
	__atomic_store_n(&c->hash, h, __ATOMIC_RELAXED);
	return h;
}

/* A sum over chunks of hash and place, so that holes cost nothing. */
static uint64_t hash_below(const void *obj, unsigned int height, uint64_t index)
{
	const struct node *node = obj;
	uint64_t h, sum = 0;

	if (!obj)
		return 0;
	if (!height) {
		h = chunk_hash((struct emubd_chunk *)obj);
		return h == 1 ? 0 : emubd_mix(h ^ emubd_mix(index));
	}
	for (unsigned int i = 0; i < FANOUT; i++)
		sum += hash_below(node->child[i], height - 1,
				  index + i * child_span(height));
	return sum;
}

uint64_t emubd_image_hash(const struct emubd_image *img)
{
	return hash_below(img->root, img->height, 0);
}

static size_t chunks_below(const void *obj, unsigned int height)
{
	const struct node *node = obj;
	size_t n = 0;

	if (!obj || !height)
		return obj != NULL;
	for (unsigned int i = 0; i < FANOUT; i++)
		n += chunks_below(node->child[i], height - 1);
	return n;
}

size_t emubd_image_chunks(const struct emubd_image *img)
{
	return chunks_below(img->root, img->height);
}

/* ---------------------------------------------------- the data of a write */

size_t emubd_chunks_of(uint64_t pos, uint64_t len)
{
	if (!len)
		return 0;
	return (pos + len - 1) / EMUBD_CHUNK - pos / EMUBD_CHUNK + 1;
}

struct emubd_chunk **emubd_chunks_gather(const struct iovec *iov, int iovcnt,
					 uint64_t pos, uint64_t len)
{
	const uint64_t first = pos / EMUBD_CHUNK;
	const size_t nchunks = emubd_chunks_of(pos, len);
	struct emubd_chunk **chunk;

	chunk = emubd_must(calloc(nchunks + 1, sizeof(struct emubd_chunk *)));
	for (size_t i = 0; i < nchunks; i++)
		chunk[i] = chunk_new();
	for (int i = 0; i < iovcnt; i++) {
		const unsigned char *p = iov[i].iov_base;
		size_t left = iov[i].iov_len;

		while (left) {
			size_t n = in_chunk(pos, left);

			memcpy(chunk[pos / EMUBD_CHUNK - first]->data +
			       pos % EMUBD_CHUNK, p, n);
			p += n;
			pos += n;
			left -= n;
		}
	}
	return chunk;
}

void emubd_chunks_put(struct emubd_chunk **chunk, size_t n)
{
	for (size_t i = 0; chunk && i < n; i++)
		obj_put(chunk[i], 0);
}

void emubd_chunks_copy(struct emubd_chunk **chunk, uint64_t pos, uint64_t off,
		       void *buf, size_t len)
{
	const uint64_t first = pos / EMUBD_CHUNK;
	unsigned char *p = buf;

	for (pos += off; len; ) {
		size_t n = in_chunk(pos, len);

		memcpy(p, chunk[pos / EMUBD_CHUNK - first]->data +
		       pos % EMUBD_CHUNK, n);
		p += n;
		pos += n;
		len -= n;
	}
}

void emubd_image_write_chunks(struct emubd_image *img,
			      struct emubd_chunk **chunk, uint64_t pos,
			      uint64_t len)
{
	for (; len; chunk++) {
		size_t n = in_chunk(pos, len);
		void **slot = own_slot(img, pos / EMUBD_CHUNK);

		if (n == EMUBD_CHUNK) {
			obj_put(*slot, 0);
			*slot = obj_get(*chunk);
		} else {
			memcpy(own_chunk(slot)->data + pos % EMUBD_CHUNK,
			       (*chunk)->data + pos % EMUBD_CHUNK, n);
		}
		pos += n;
		len -= n;
	}
}
