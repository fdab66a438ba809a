/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One description, two looks: JSON, or indented text in which an object
 * opened with OUT_LINE takes one line.
 */
#ifndef OWFS_DUMP_OUT_H
#define OWFS_DUMP_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define OUT_DEPTH	16

enum out_kind {
	OUT_OBJECT,
	OUT_LINE,	/* an object, on one line of text */
	OUT_ARRAY,
};

struct out {
	FILE *f;
	bool json;
	int depth;
	enum out_kind kind[OUT_DEPTH];
	bool any[OUT_DEPTH];	/* something stands there already */
};

void out_init(struct out *o, FILE *f, bool json);
void out_end(struct out *o);

/* @key is NULL within an array. */
void out_open(struct out *o, const char *key, enum out_kind kind);
void out_close(struct out *o);
void out_u64(struct out *o, const char *key, uint64_t v);
void out_hex(struct out *o, const char *key, uint64_t v);
void out_octal(struct out *o, const char *key, uint64_t v);
void out_i64(struct out *o, const char *key, int64_t v);
void out_bool(struct out *o, const char *key, bool v);
/* Any bytes: quoted, what cannot be shown escaped. */
void out_bytes(struct out *o, const char *key, const void *s, size_t len);
void out_str(struct out *o, const char *key, const char *s);

#endif
