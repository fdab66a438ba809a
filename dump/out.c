/* SPDX-License-Identifier: GPL-2.0-or-later */
/* JSON and text from the same calls. */
#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "out.h"

void out_init(struct out *o, FILE *f, bool json)
{
	*o = (struct out){ .f = f, .json = json };
	o->kind[0] = OUT_OBJECT;
	if (json)
		fputc('{', f);
}

void out_end(struct out *o)
{
	assert(o->depth == 0);
	if (o->json)
		fputs("\n}\n", o->f);
}

static bool in_line(const struct out *o)
{
	return o->kind[o->depth] == OUT_LINE;
}

static void indent(struct out *o, int depth)
{
	fprintf(o->f, "%*s", 2 * depth, "");
}

static void begin_json(struct out *o, const char *key)
{
	if (o->any[o->depth])
		fputc(',', o->f);
	if (in_line(o)) {
		if (o->any[o->depth])
			fputc(' ', o->f);
	} else {
		fputc('\n', o->f);
		indent(o, o->depth + 1);
	}
	if (key)
		fprintf(o->f, "\"%s\": ", key);
}

/* In text, "key: " on a line of its own, or "key=" in a line. */
static void begin_text(struct out *o, const char *key)
{
	if (in_line(o)) {
		if (o->any[o->depth])
			fputc(' ', o->f);
		fprintf(o->f, "%s=", key);
		return;
	}
	indent(o, o->depth);
	if (key)
		fprintf(o->f, "%s: ", key);
}

static void begin(struct out *o, const char *key)
{
	if (o->json)
		begin_json(o, key);
	else
		begin_text(o, key);
	o->any[o->depth] = true;
}

/* The end of a plain value. */
static void finish(struct out *o)
{
	if (!o->json && !in_line(o))
		fputc('\n', o->f);
}

void out_open(struct out *o, const char *key, enum out_kind kind)
{
	assert(o->depth + 1 < OUT_DEPTH && !in_line(o));
	if (o->json || kind == OUT_LINE) {
		begin(o, key);
	} else {
		indent(o, o->depth);
		fprintf(o->f, "%s\n", key ? key : "-");
	}
	if (o->json)
		fputc(kind == OUT_ARRAY ? '[' : '{', o->f);
	o->depth++;
	o->kind[o->depth] = kind;
	o->any[o->depth] = false;
}

void out_close(struct out *o)
{
	enum out_kind kind = o->kind[o->depth];
	bool any = o->any[o->depth];

	o->depth--;
	if (o->json) {
		if (any && kind != OUT_LINE) {
			fputc('\n', o->f);
			indent(o, o->depth + 1);
		}
		fputc(kind == OUT_ARRAY ? ']' : '}', o->f);
	} else if (kind == OUT_LINE) {
		fputc('\n', o->f);
	}
}

void out_u64(struct out *o, const char *key, uint64_t v)
{
	begin(o, key);
	fprintf(o->f, "%" PRIu64, v);
	finish(o);
}

void out_i64(struct out *o, const char *key, int64_t v)
{
	begin(o, key);
	fprintf(o->f, "%" PRId64, v);
	finish(o);
}

void out_hex(struct out *o, const char *key, uint64_t v)
{
	begin(o, key);
	fprintf(o->f, o->json ? "\"0x%" PRIx64 "\"" : "0x%" PRIx64, v);
	finish(o);
}

void out_octal(struct out *o, const char *key, uint64_t v)
{
	begin(o, key);
	fprintf(o->f, o->json ? "\"0%" PRIo64 "\"" : "0%" PRIo64, v);
	finish(o);
}

void out_bool(struct out *o, const char *key, bool v)
{
	begin(o, key);
	fputs(v ? "true" : "false", o->f);
	finish(o);
}

/* One byte, or a control character of two, of which the second has the number. */
static void escape(struct out *o, const char *p, size_t n)
{
	size_t i;

	if (o->json)
		fprintf(o->f, "\\u00%02x", (unsigned char)p[n - 1]);
	else
		for (i = 0; i < n; i++)
			fprintf(o->f, "\\x%02x", (unsigned char)p[i]);
}

/* JSON has no bytes: what is no UTF-8 becomes the character of that number. */
void out_bytes(struct out *o, const char *key, const void *s, size_t len)
{
	const char *p = s, *end = p + len;

	begin(o, key);
	fputc('"', o->f);
	while (p < end) {
		size_t n = owfs_text_utf8(p, (size_t)(end - p));

		if (n == 0 || owfs_text_is_control(p)) {
			n = n ? n : 1;
			escape(o, p, n);
		} else {
			if (*p == '"' || *p == '\\')
				fputc('\\', o->f);
			fwrite(p, 1, n, o->f);
		}
		p += n;
	}
	fputc('"', o->f);
	finish(o);
}

void out_str(struct out *o, const char *key, const char *s)
{
	if (o->json) {
		out_bytes(o, key, s, strlen(s));
		return;
	}
	begin(o, key);
	fputs(s, o->f);
	finish(o);
}
