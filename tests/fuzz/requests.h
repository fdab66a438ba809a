/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * FUSE requests from the bytes of an input, a record of RECORD bytes each, so
 * that changing one leaves the others: which, of which inode, who asks, a byte for
 * each field of the body and each name, and what is changed in it at random.
 * The bytes of a field choose among what such a field may have, and what it may
 * not; zeroes are a request that makes sense.
 *
 * What libfuse takes apart has the length it must have; what owfs takes apart
 * itself may have another.
 */
#ifndef OWFS_TESTS_FUZZ_REQUESTS_H
#define OWFS_TESTS_FUZZ_REQUESTS_H

#include <linux/fuse.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RECORD		16u	/* bytes */
#define MAX_REQUESTS	64u
#define MAX_KNOWN	16u
#define BODY_MAX	(80 + 2 * 260 + 70000)

enum { NO_ANSWER = 1, ENTRY = 2, DATA = 4, OWN = 8 };

enum kind {
	K_END, K_ANY, K_POS, K_LEN, K_SIZE, K_NODE, K_ADDR, K_MODE, K_OPEN, K_VALID,
	K_RENAME, K_XATTR, K_FALLOC, K_WHENCE, K_IOCTL, K_OPFLAGS, K_IOEND,
	K_ERROR, K_BIT,
};

struct field {
	uint8_t at, width, kind;
};

struct request {
	uint32_t opcode;
	unsigned int head;	/* bytes */
	unsigned int names;
	unsigned int flags;
	struct field field[8];
};

struct stream {
	const uint8_t *data;	/* of one record, or less at the end */
	size_t size;
	uint64_t node[MAX_KNOWN];	/* that the server named */
	unsigned int nnodes;
	uint64_t place[MAX_KNOWN];	/* on the device, that it told */
	unsigned int nplaces;
	struct fuse_in_header h;
	size_t len;
	unsigned char body[BODY_MAX];
};

/* The request that one record says; its body is in @s. */
const struct request *request_decode(struct stream *s, const uint8_t *record,
				     size_t size);
void request_add_name(struct stream *s, const char *name);

/* What an answer told, for requests to come. */
void request_learn_node(struct stream *s, uint64_t nodeid);
void request_learn_place(struct stream *s, uint64_t addr);

#endif
