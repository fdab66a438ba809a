/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The content of a RAM device: 4 KiB chunks under a radix tree, both counted
 * and shared between images, copied when one of several owners writes.
 * Callers serialise what they do to one image; images may share freely.
 */
#ifndef OWFS_TESTS_EMUBD_IMAGE_H
#define OWFS_TESTS_EMUBD_IMAGE_H

#include <sys/uio.h>

#include "base/types.h"

#define EMUBD_CHUNK	4096ull

struct emubd_chunk;

struct emubd_image {
	void *root;		/* node, or chunk if height is 0; NULL: zeroes */
	unsigned int height;
};

void emubd_image_init(struct emubd_image *img, uint64_t size);
/* @copy, empty and of the same size, becomes @img's twin. */
void emubd_image_share(struct emubd_image *copy, const struct emubd_image *img);
void emubd_image_free(struct emubd_image *img);

void emubd_image_read(const struct emubd_image *img, void *buf, uint64_t len,
		      uint64_t pos);
void emubd_image_write(struct emubd_image *img, const void *buf, uint64_t len,
		       uint64_t pos);
void emubd_image_zero(struct emubd_image *img, uint64_t pos, uint64_t len);
/* Noise where there is something; holes stay zero, whatever their size. */
void emubd_image_noise(struct emubd_image *img, uint64_t pos, uint64_t len,
		       uint64_t seed);
uint64_t emubd_image_hash(const struct emubd_image *img);
size_t emubd_image_chunks(const struct emubd_image *img);

/*
 * What one write wrote, as the chunks it touches; in the first and the last
 * only the bytes it covers count.
 */
size_t emubd_chunks_of(uint64_t pos, uint64_t len);
struct emubd_chunk **emubd_chunks_gather(const struct iovec *iov, int iovcnt,
					 uint64_t pos, uint64_t len);
void emubd_chunks_put(struct emubd_chunk **chunk, size_t n);
void emubd_chunks_copy(struct emubd_chunk **chunk, uint64_t pos, uint64_t off,
		       void *buf, size_t len);
/* Whole chunks are shared with the image, not copied. */
void emubd_image_write_chunks(struct emubd_image *img,
			      struct emubd_chunk **chunk, uint64_t pos,
			      uint64_t len);

void *emubd_must(void *mem);	/* ends the test if NULL */
uint64_t emubd_mix(uint64_t x);
void emubd_noise(void *buf, size_t len, uint64_t seed);

#endif
