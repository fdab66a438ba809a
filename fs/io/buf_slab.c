/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory for the bytes of buffers, 64 blocks at a time.
 *
 * malloc() would spend two pages on every aligned page, its own header being in
 * the way.  An arena outlives its cache for as long as buffers wait for their
 * grace period; a slab that is all free goes back unless it is the only one
 * that has anything to give.
 */
#include <stdlib.h>

#include "io/buf_impl.h"

#if defined(__SANITIZE_ADDRESS__)
#define OWFS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define OWFS_ASAN 1
#endif
#endif

/* A freed block is as untouchable to AddressSanitizer as freed memory. */
#ifdef OWFS_ASAN
#include <sanitizer/asan_interface.h>
#define hide(mem, len)		ASAN_POISON_MEMORY_REGION(mem, len)
#define show(mem, len)		ASAN_UNPOISON_MEMORY_REGION(mem, len)
#else
#define hide(mem, len)		((void)(mem), (void)(len))
#define show(mem, len)		((void)(mem), (void)(len))
#endif

#define SLAB_BLOCKS	64u
#define ALL_FREE	UINT64_MAX

struct owfs_buf_slab {
	struct owfs_buf_arena *arena;
	unsigned char *mem;
	uint64_t free;		/* one bit a block; arena's lock */
	struct owfs_buf_slab *next, *prev;	/* of the arena's partial ones */
};

struct owfs_buf_arena *owfs_buf_arena_create(size_t blocksize)
{
	struct owfs_buf_arena *ar = calloc(1, sizeof(*ar));

	if (!ar)
		return NULL;
	ar->blocksize = blocksize;
	ar->users = 1;
	pthread_mutex_init(&ar->lock, NULL);
	return ar;
}

static void partial_add(struct owfs_buf_arena *ar, struct owfs_buf_slab *slab)
{
	slab->prev = NULL;
	slab->next = ar->partial;
	if (slab->next)
		slab->next->prev = slab;
	ar->partial = slab;
}

static void partial_remove(struct owfs_buf_arena *ar,
			   struct owfs_buf_slab *slab)
{
	if (slab->prev)
		slab->prev->next = slab->next;
	else
		ar->partial = slab->next;
	if (slab->next)
		slab->next->prev = slab->prev;
}

static struct owfs_buf_slab *slab_create(struct owfs_buf_arena *ar)
{
	struct owfs_buf_slab *slab = calloc(1, sizeof(*slab));
	void *mem;

	if (!slab)
		return NULL;
	if (posix_memalign(&mem, OWFS_IO_ALIGN, SLAB_BLOCKS * ar->blocksize)) {
		free(slab);
		return NULL;
	}
	hide(mem, SLAB_BLOCKS * ar->blocksize);
	slab->arena = ar;
	slab->mem = mem;
	slab->free = ALL_FREE;
	ar->nslabs++;
	partial_add(ar, slab);
	return slab;
}

static void slab_destroy(struct owfs_buf_arena *ar, struct owfs_buf_slab *slab)
{
	partial_remove(ar, slab);
	ar->nslabs--;
	show(slab->mem, SLAB_BLOCKS * ar->blocksize);
	free(slab->mem);
	free(slab);
}

unsigned char *owfs_buf_arena_alloc(struct owfs_buf_arena *ar,
				    struct owfs_buf_slab **slabp)
{
	unsigned char *mem = NULL;
	struct owfs_buf_slab *slab;

	pthread_mutex_lock(&ar->lock);
	slab = ar->partial ? ar->partial : slab_create(ar);
	if (slab) {
		unsigned int i = (unsigned int)__builtin_ctzll(slab->free);

		slab->free &= slab->free - 1;
		if (!slab->free)
			partial_remove(ar, slab);
		ar->users++;
		mem = slab->mem + i * ar->blocksize;
		show(mem, ar->blocksize);
	}
	pthread_mutex_unlock(&ar->lock);
	*slabp = slab;
	return mem;
}

/* Takes the lock away. */
static void arena_unuse(struct owfs_buf_arena *ar)
{
	const bool last = --ar->users == 0;

	pthread_mutex_unlock(&ar->lock);
	if (!last)
		return;
	while (ar->partial)	/* with all blocks free, that is every slab */
		slab_destroy(ar, ar->partial);
	pthread_mutex_destroy(&ar->lock);
	free(ar);
}

void owfs_buf_arena_free(struct owfs_buf_slab *slab, unsigned char *mem)
{
	struct owfs_buf_arena *ar = slab->arena;

	pthread_mutex_lock(&ar->lock);
	hide(mem, ar->blocksize);
	if (!slab->free)
		partial_add(ar, slab);
	slab->free |= 1ull << (size_t)(mem - slab->mem) / ar->blocksize;
	if (slab->free == ALL_FREE && (slab->next || slab->prev))
		slab_destroy(ar, slab);
	arena_unuse(ar);
}

void owfs_buf_arena_close(struct owfs_buf_arena *ar)
{
	pthread_mutex_lock(&ar->lock);
	arena_unuse(ar);
}
