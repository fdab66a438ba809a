/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The undo file, put back.
 *
 * Three times through the file: is all of it there, does the device show what
 * it must, and only then, from the end, what stood there.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/util.h"
#include "undo.h"
#include "undo_file.h"

/* What may stand in a unit of the device. */
struct value {
	uint64_t pos, csum;
	bool any;		/* it was not known what stood there */
};

struct restore {
	int fd;
	off_t size;		/* of the file */
	struct owfs_blkdev *bd;
	unsigned char *buf;	/* a record's bytes and units */
	off_t *record;		/* where they begin */
	size_t n, cap;
	struct value *value;
	size_t nvalues;
	struct undo_report *report;
};

/* ---------------------------------------------------------------- the file */

static int note_record(struct restore *rs, off_t at)
{
	off_t *v;

	if (rs->n == rs->cap) {
		v = realloc(rs->record, (2 * rs->cap + 64) * sizeof(*v));
		if (!v)
			return -ENOMEM;
		rs->record = v;
		rs->cap = 2 * rs->cap + 64;
	}
	rs->record[rs->n++] = at;
	return 0;
}

static bool is_length(size_t len)
{
	return len && len <= UNDO_CHUNK && len % UNDO_UNIT == 0;
}

/* 1: a whole record; 0: the end, or what is left of one never finished. */
static int read_record(struct restore *rs, off_t at, struct undo_record *r)
{
	size_t len, body;

	if (at + (off_t)sizeof(*r) > rs->size)
		return 0;
	if (pread(rs->fd, r, sizeof(*r), at) != sizeof(*r))
		return -EIO;
	len = le32_to_cpu(r->len);
	if (le32_to_cpu(r->magic) != UNDO_RECORD || !is_length(len))
		return -EFSBADCRC;
	body = undo_body(len);
	at += (off_t)sizeof(*r);
	if (at + (off_t)body > rs->size)
		return 0;
	if (pread(rs->fd, rs->buf, body, at) != (ssize_t)body)
		return -EIO;
	if (undo_record_csum(le64_to_cpu(r->pos), len, rs->buf) ==
	    le64_to_cpu(r->csum))
		return 1;
	/* torn, if nothing comes after it */
	return at + (off_t)body == rs->size ? 0 : -EFSBADCRC;
}

static int find_records(struct restore *rs)
{
	const uint64_t device = rs->bd->size;
	off_t at = sizeof(struct undo_header);
	struct undo_record r;
	int ret;

	while ((ret = read_record(rs, at, &r)) == 1) {
		if (le64_to_cpu(r.pos) > device ||
		    le32_to_cpu(r.len) > device - le64_to_cpu(r.pos) ||
		    le64_to_cpu(r.pos) % UNDO_UNIT)
			return -EFSBADCRC;
		ret = note_record(rs, at);
		if (ret)
			return ret;
		at += (off_t)(sizeof(r) + undo_body(le32_to_cpu(r.len)));
		rs->nvalues += 2 * (le32_to_cpu(r.len) / UNDO_UNIT);
	}
	return ret;
}

static int check_header(struct restore *rs)
{
	struct undo_id *id = &rs->report->id;
	struct undo_header h;

	if (pread(rs->fd, &h, sizeof(h), 0) != sizeof(h))
		return -ENODEV;
	if (le64_to_cpu(h.magic) == UNDO_MAGIC_1)
		return -EPROTONOSUPPORT;
	if (le64_to_cpu(h.magic) != UNDO_MAGIC)
		return -ENODEV;
	if (le64_to_cpu(h.csum) != undo_header_csum(&h))
		return -EFSBADCRC;
	memcpy(id->uuid, h.uuid, sizeof(id->uuid));
	id->csum_seed = le64_to_cpu(h.csum_seed);
	return le64_to_cpu(h.size) == rs->bd->size ? 0 : -EINVAL;
}

/* -------------------------------------------------------------- the device */

static bool is_unread(const struct undo_unit *unit)
{
	return le32_to_cpu(unit->flags) & UNDO_UNREAD;
}

/* What stood there, and what came; @v has room for both of each unit. */
static struct value *note_values(struct restore *rs,
				 const struct undo_record *r, struct value *v)
{
	size_t len = le32_to_cpu(r->len), at;
	const struct undo_unit *unit = undo_units(rs->buf, len);

	for (at = 0; at < len; at += UNDO_UNIT, unit++) {
		v->pos = le64_to_cpu(r->pos) + at;
		v->csum = undo_unit_csum(rs->buf + at);
		v->any = is_unread(unit);
		v[1].pos = v->pos;
		v[1].csum = le64_to_cpu(unit->csum);
		v[1].any = false;
		v += 2;
	}
	return v;
}

static int cmp_value(const void *a, const void *b)
{
	const struct value *va = a, *vb = b;

	return va->pos < vb->pos ? -1 : va->pos > vb->pos;
}

static int learn_values(struct restore *rs)
{
	struct undo_record r;
	struct value *v;
	size_t i;
	int ret;

	v = rs->value = calloc(rs->nvalues + 1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	for (i = 0; i < rs->n; i++) {
		ret = read_record(rs, rs->record[i], &r);
		if (ret != 1)
			return ret ? ret : -EIO;
		v = note_values(rs, &r, v);
	}
	qsort(rs->value, rs->nvalues, sizeof(*v), cmp_value);
	return 0;
}

/* One of the @n values, all of one unit? */
static bool is_one_of(const struct value *v, size_t n, uint64_t csum)
{
	while (n--)
		if (v[n].any || v[n].csum == csum)
			return true;
	return false;
}

/*
 * Does the device show at each place what the repair has found there, or put
 * there?  What cannot be read says nothing, as long as something can.
 */
static int check_device(struct restore *rs)
{
	unsigned char *unit = rs->buf;
	bool known = !rs->nvalues;
	size_t i, n;

	for (i = 0; i < rs->nvalues; i += n) {
		const struct value *v = &rs->value[i];

		for (n = 1; i + n < rs->nvalues && v[n].pos == v->pos; n++)
			;
		rs->report->at = v->pos;
		if (owfs_blkdev_read(rs->bd, unit, UNDO_UNIT, (loff_t)v->pos))
			continue;
		if (!is_one_of(v, n, undo_unit_csum(unit)))
			return -ESTALE;
		known = true;
	}
	return known ? 0 : -ESTALE;
}

/* ------------------------------------------------------------ what is done */

/* From @at on, how much is alike. */
static size_t run_of(const struct undo_unit *unit, size_t len, size_t at,
		     bool unread)
{
	size_t end = at;

	while (end < len && is_unread(&unit[end / UNDO_UNIT]) == unread)
		end += UNDO_UNIT;
	return end - at;
}

static int put_record(struct restore *rs, const struct undo_record *r)
{
	size_t len = le32_to_cpu(r->len), at, n;
	const struct undo_unit *unit = undo_units(rs->buf, len);
	int ret = 0;

	for (at = 0; at < len && !ret; at += n) {
		n = run_of(unit, len, at, true);
		rs->report->left += n;
		at += n;
		n = run_of(unit, len, at, false);
		if (n)
			ret = owfs_blkdev_write(rs->bd, rs->buf + at, n,
						(loff_t)(le64_to_cpu(r->pos) + at));
	}
	return ret;
}

static int put_back(struct restore *rs)
{
	struct undo_record r;
	size_t i;
	int ret;

	for (i = rs->n; i-- > 0; ) {
		ret = read_record(rs, rs->record[i], &r);
		if (ret == 1)
			ret = put_record(rs, &r);
		else if (!ret)
			ret = -EIO;
		if (ret)
			return ret;
	}
	return owfs_blkdev_flush(rs->bd);
}

int undo_restore(int fd, struct owfs_blkdev *bd, struct undo_report *r)
{
	struct restore rs = {
		.fd = fd,
		.size = lseek(fd, 0, SEEK_END),
		.bd = bd,
		.buf = aligned_alloc(OWFS_IO_ALIGN, undo_body(UNDO_CHUNK)),
		.report = r,
	};
	int ret;

	*r = (struct undo_report){ 0 };
	ret = rs.buf ? check_header(&rs) : -ENOMEM;
	if (!ret)
		ret = find_records(&rs);
	if (!ret)
		ret = learn_values(&rs);
	if (!ret)
		ret = check_device(&rs);
	if (!ret)
		ret = put_back(&rs);
	r->writes = rs.n;
	free(rs.record);
	free(rs.value);
	free(rs.buf);
	return ret;
}
