/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Truncate, punch, zero, preallocate.
 *
 * A cut is one transaction: the partial blocks at its edges, written anew with
 * zeroes beforehand, are mapped; the whole blocks between lose their extents,
 * or if there are very many become doomed (intent.h); the size changes.  It
 * frees, so it may go into the reserve, for its edge blocks too.  Zeroing part
 * of a block and nothing else is an overwrite, and has what overwrites have.
 */
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/util.h"
#include "file/access.h"
#include "file/attr.h"
#include "file/cut.h"
#include "file/file.h"
#include "file/flags.h"
#include "file/iomap.h"
#include "file/staging.h"
#include "file/wmap.h"
#include "object/extent.h"
#include "object/intent.h"
#include "object/orphan.h"
#include "trans/commit.h"

/* A new block in the place of one that is partly zeroed. */
struct edge {
	owfs_fileoff_t off;
	owfs_fsblock_t fsblock;
};

struct cut {
	struct owfs_inode *inode;
	uint64_t size;			/* of the file, before */
	struct edge edge[2];		/* ascending, staged */
	unsigned int nedges;
	owfs_fileoff_t first, end;	/* whole blocks that go; none if first >= end */
	uint64_t newsize;		/* the size becomes at least, or with ... */
	bool exact;			/* ... exactly this */
	enum owfs_resv_class class;
	const struct owfs_attr *set;	/* with the size, in one transaction */
	unsigned int mask;		/* OWFS_SET_ of them */
	struct owfs_access access;
};

/* ------------------------------------------------------------------ edges */

static bool is_zero(const char *buf, size_t len)
{
	return len == 0 || (buf[0] == 0 && !memcmp(buf, buf + 1, len - 1));
}

static int edge_write(struct cut *c, owfs_fileoff_t off, const char *block)
{
	struct owfs_fs *fs = c->inode->i_fs;
	const uint32_t bs = fs->fs_geo.blocksize;
	struct edge *e = &c->edge[c->nedges];
	struct owfs_iomap map = { .off = off };
	int ret;

	ret = owfs_staging_alloc(fs, OWFS_NOBLOCK, 1, c->class, &map.fsblock,
				 &map.len);
	if (ret)
		return ret;
	*e = (struct edge){ off, map.fsblock };
	c->nedges++;
	ret = owfs_blkdev_write(fs->fs_bd, block, bs,
				(loff_t)(e->fsblock * bs));
	if (!ret)
		return 0;
	ret = owfs_file_write_failed(c->inode, &map, ret);
	return ret == -EDQUOT ? -ENOSPC : ret;
}

/* Bytes [from, to) of block @off shall be zero: a no-op if they are. */
static int cut_edge(struct cut *c, owfs_fileoff_t off, size_t from, size_t to)
{
	const uint32_t bs = c->inode->i_fs->fs_geo.blocksize;
	char *block;
	bool mapped;
	int ret = -ENOMEM;

	if (c->inode->i_fs->fs_kernel_io)
		return 0;	/* done in its page cache */
	block = aligned_alloc(OWFS_IO_ALIGN, bs);
	if (block)
		ret = owfs_file_read_block(c->inode, off, c->size, block,
					   &mapped);
	if (!ret && mapped && !is_zero(block + from, to - from)) {
		memset(block + from, 0, to - from);
		ret = edge_write(c, off, block);
	}
	free(block);
	return ret;
}

static void cut_give_back(struct cut *c)
{
	for (unsigned int i = 0; i < c->nedges; i++)
		owfs_alloc_unstage(c->inode->i_fs->fs_al, c->edge[i].fsblock, 1,
				   false);
	c->nedges = 0;
}

/* Bytes [pos, end) go: whole blocks rounded inward, edges zeroed. */
static int cut_bytes(struct cut *c, uint64_t pos, uint64_t end)
{
	const uint32_t bs = c->inode->i_fs->fs_geo.blocksize;
	int ret = 0;

	c->first = div_round_up(pos, bs);
	c->end = end / bs;
	if (c->first > c->end)
		return cut_edge(c, pos / bs, pos % bs, end % bs);
	if (pos % bs)
		ret = cut_edge(c, pos / bs, pos % bs, bs);
	if (end % bs && !ret)
		ret = cut_edge(c, end / bs, 0, end % bs);
	return ret;
}

/* -------------------------------------------------------------- transaction */

static int load_edges(const struct cut *c, struct owfs_extent_edit *ed,
		      bool before)
{
	int ret = 0;

	for (unsigned int i = 0; i < c->nedges && !ret; i++)
		if ((c->edge[i].off < c->first) == before)
			ret = owfs_extent_edit_load(ed, c->edge[i].off,
						    c->edge[i].off + 1, 0);
	return ret;
}

/* Read the extents and change them in memory.  1: too many, doom the range. */
static int cut_plan(struct cut *c, struct owfs_extent_edit *ed)
{
	unsigned int max = c->inode->i_fs->fs_param.cut_extents;
	unsigned int step = owfs_extent_step(c->inode->i_fs);
	int ret = load_edges(c, ed, true), many = 0;

	if (!ret && c->first < c->end)
		many = ret = owfs_extent_edit_load(ed, c->first, c->end,
						   max ? max : step);
	if (ret >= 0)
		ret = load_edges(c, ed, false);
	if (ret >= 0 && !many)
		ret = owfs_extent_edit_punch(ed, c->first, c->end);
	for (unsigned int i = 0; i < c->nedges && ret >= 0; i++)
		ret = owfs_extent_edit_map(ed, c->edge[i].off, 1,
					   c->edge[i].fsblock, 0);
	if (ret >= 0)
		ret = owfs_extent_edit_prepare(ed);
	return ret < 0 ? ret : many;
}

static int cut_apply(struct cut *c, struct owfs_extent_edit *ed, bool doom,
		     struct owfs_trans *tr)
{
	struct owfs_attr *attr = &c->inode->i_attr;
	int ret = owfs_extent_edit_apply(ed, tr);
	struct timespec now;

	if (!ret)
		ret = owfs_access_apply(&c->access, tr);
	if (!ret && doom)
		ret = owfs_intent_add(tr, c->inode, c->first, c->end);
	if (ret)
		return ret;
	/* beyond the locked range others may have moved the end since */
	if (c->exact || c->newsize > attr->size)
		attr->size = c->newsize;
	owfs_attr_stamp(tr->fs, attr);
	if (c->mask) {
		owfs_fs_now(tr->fs, &now);
		owfs_attr_apply(attr, c->set, c->mask, &now);
	}
	return owfs_inode_store(tr, c->inode, false);
}

static int cut_begin(struct cut *c, struct owfs_extent_edit *ed,
		     unsigned int intents, struct owfs_trans *tr)
{
	struct owfs_fs *fs = c->inode->i_fs;
	struct owfs_resv resv;
	int ret = owfs_access_plan_attr(&c->access, c->inode, c->set,
					c->mask | OWFS_SET_SIZE);

	if (!ret)
		ret = owfs_extent_reserve(fs, &resv, owfs_extent_edit_cost(ed),
					  intents, c->class);
	if (!ret)
		ret = owfs_access_reserve(&c->access, &resv, c->class);
	if (!ret)
		owfs_trans_join(fs, tr, &resv);
	return ret;
}

/* Caller holds i_lock.  1: the range is doomed, reclaim has work. */
static int cut_trans(struct cut *c, struct owfs_extent_edit *ed)
{
	unsigned int intents = 0;
	struct owfs_trans tr;
	int ret, doom = cut_plan(c, ed);

	if (doom < 0)
		return doom;
	if (doom) {
		ret = owfs_intent_prepare(c->inode, c->first, c->end, 1,
					  &intents);
		if (ret)
			return ret;
	}
	ret = cut_begin(c, ed, intents, &tr);
	if (ret)
		return ret;
	ret = cut_apply(c, ed, doom, &tr);
	if (ret)
		owfs_trans_abort(&tr, ret, "cut");
	c->nedges = 0;		/* theirs now, or nobody's */
	ret = owfs_trans_end(&tr);
	return ret ? ret : doom;
}

/* Edges that were not used go back. */
static int cut_commit(struct cut *c)
{
	struct owfs_inode *inode = c->inode;
	struct owfs_extent_edit ed;
	int ret;

	owfs_extent_edit_init(&ed, inode);
	owfs_access_init(&c->access);
	pthread_rwlock_wrlock(&inode->i_lock);
	ret = cut_trans(c, &ed);
	pthread_rwlock_unlock(&inode->i_lock);
	owfs_access_done(&c->access);
	owfs_extent_edit_done(&ed);
	if (ret < 0)
		return ret;
	if (c->first < c->end) {
		owfs_staging_drop(inode, c->first, c->end);
		owfs_wmap_drop(inode, c->first, c->end);
	}
	if (ret)
		owfs_reclaim_queue(inode->i_fs, inode->i_ino);
	return 0;
}

/* ----------------------------------------------------------------- truncate */

static int truncate_once(struct owfs_inode *inode, uint64_t size,
			 const struct owfs_attr *set, unsigned int mask)
{
	const uint32_t bs = inode->i_fs->fs_geo.blocksize;
	struct cut c = {
		.inode = inode, .newsize = size, .exact = true, .set = set,
		.mask = mask,
	};
	struct owfs_range range;
	int ret = 0;

	owfs_range_lock(&inode->i_range, &range, size / bs, UINT64_MAX, true);
	c.size = owfs_file_size(inode);
	c.class = OWFS_RESV_REPLACING;
	ret = owfs_flags_may_change(inode, false);
	if (!ret && size <= c.size) {	/* at the same size, what was preallocated goes */
		c.class = OWFS_RESV_FREEING;
		c.first = div_round_up(size, bs);
		c.end = UINT64_MAX;
		if (size % bs)
			ret = cut_edge(&c, size / bs, size % bs, bs);
	}
	if (!ret)
		ret = cut_commit(&c);
	cut_give_back(&c);
	owfs_range_unlock(&inode->i_range, &range);
	return ret;
}

int owfs_file_truncate_set(struct owfs_inode *inode, uint64_t size,
			   const struct owfs_attr *set, unsigned int mask)
{
	int ret = owfs_file_check(inode);

	if (!ret)
		ret = owfs_fs_writable(inode->i_fs);
	if (!ret && size > OWFS_FILE_BYTES_MAX)
		ret = -EFBIG;
	if (!ret)
		ret = owfs_file_make_room(inode);
	if (!ret)
		OWFS_RETRY(inode->i_fs, ret,
			   truncate_once(inode, size, set, mask));
	return owfs_flags_settle(inode, OWFS_FLAGS_SYNC, ret);
}

int owfs_file_truncate(struct owfs_inode *inode, uint64_t size)
{
	return owfs_file_truncate_set(inode, size, NULL, 0);
}

/* ---------------------------------------------------------------- preallocate */

/* Blocks of [first, end) that have no extent; *@written: of those, or others,
   some hold data. */
static int count_missing(struct owfs_inode *inode, owfs_fileoff_t first,
			 owfs_fileoff_t end, uint64_t *missing, bool *written)
{
	struct owfs_iomap map;
	int ret = 0;

	*missing = 0;
	*written = false;
	for (; first < end; first += map.len) {
		ret = owfs_iomap_read(inode, first, end - first, &map);
		if (ret)
			break;
		if (map.type == OWFS_IOMAP_HOLE)
			*missing += map.len;
		if (map.type == OWFS_IOMAP_MAPPED)
			*written = true;
	}
	return ret;
}

/* Is there any point in trying?  Not a promise. */
static int room_for(struct owfs_fs *fs, uint64_t blocks)
{
	struct owfs_alloc_stat st;

	if (blocks == 0)
		return 0;
	owfs_alloc_stat(fs->fs_al, &st);
	if (st.free < st.reserved || st.free - st.reserved < st.reserve ||
	    st.free - st.reserved - st.reserve < blocks)
		return -EAGAIN;
	return 0;
}

/* Blocks that one transaction of preallocation maps at most. */
#define FILL_MAX	(1ull << 16)
/* ... and where doomed extents may lie below, so that they are few */
#define FILL_DOOMED	64u
#define UNFILL_TRIES	6u

/*
 * 1: it is none any more.  The range keeps nobody from writing back what the
 * kernel had there before.  Caller holds i_lock.
 */
static int is_no_hole(struct owfs_inode *inode, owfs_fileoff_t off, uint64_t len)
{
	struct owfs_iomap map;
	int ret = owfs_iomap_read_locked(inode, off, len, &map);

	return ret ? ret : map.type != OWFS_IOMAP_HOLE || map.len < len;
}

static int fill_trans(struct owfs_inode *inode, owfs_fileoff_t off,
		      owfs_fsblock_t fsblock, uint64_t len,
		      struct owfs_extent_edit *ed)
{
	bool intents = owfs_inode_has_intents(inode);
	unsigned int items = 0;
	struct owfs_trans tr;
	int ret = is_no_hole(inode, off, len);

	if (!ret)
		ret = owfs_extent_edit_load(ed, off, off + len, 0);
	if (!ret)
		ret = owfs_extent_edit_map(ed, off, len, fsblock,
					   OWFS_EXTENT_UNWRITTEN);
	if (!ret)
		ret = owfs_extent_edit_prepare(ed);
	if (!ret && intents)
		ret = owfs_intent_prepare(inode, off, off + len, 1, &items);
	if (!ret)
		ret = owfs_extent_begin(inode->i_fs, &tr,
					owfs_extent_edit_cost(ed), items,
					OWFS_RESV_NORMAL);
	if (ret) {
		owfs_alloc_unstage(inode->i_fs->fs_al, fsblock, len, false);
		return ret;
	}
	ret = owfs_extent_edit_apply(ed, &tr);
	if (!ret && intents)
		ret = owfs_intent_cut(&tr, inode, off, off + len);
	if (!ret) {
		owfs_attr_stamp(tr.fs, &inode->i_attr);
		ret = owfs_inode_store(&tr, inode, false);
	}
	if (ret)
		owfs_trans_abort(&tr, ret, "preallocation");
	return owfs_trans_end(&tr);
}

/* Some of the hole [off, off + *len).  1: look again. */
static int fill_some(struct owfs_inode *inode, owfs_fileoff_t off,
		     owfs_fsblock_t *goal, uint64_t *len)
{
	struct owfs_extent_edit ed;
	owfs_fsblock_t fsblock;
	uint64_t want;
	int ret;

	pthread_rwlock_rdlock(&inode->i_lock);
	want = min_u64(*len, owfs_inode_has_intents(inode) ? FILL_DOOMED :
							     FILL_MAX);
	pthread_rwlock_unlock(&inode->i_lock);
	ret = owfs_staging_alloc(inode->i_fs, *goal, want, OWFS_RESV_NORMAL,
				 &fsblock, len);
	if (ret)
		return ret;
	*goal = fsblock + *len;
	owfs_extent_edit_init(&ed, inode);
	pthread_rwlock_wrlock(&inode->i_lock);
	ret = fill_trans(inode, off, fsblock, *len, &ed);
	pthread_rwlock_unlock(&inode->i_lock);
	owfs_extent_edit_done(&ed);
	return ret;
}

/* What one preallocation has filled so far, to take it back. */
struct filled {
	unsigned int n, cap;
	struct { owfs_fileoff_t off; uint64_t len; } *run;
};

static int filled_grow(struct filled *f)
{
	unsigned int cap = f->cap ? 2 * f->cap : 16;
	void *run;

	if (f->n < f->cap)
		return 0;
	run = realloc(f->run, cap * sizeof(f->run[0]));
	if (!run)
		return -ENOMEM;
	f->run = run;
	f->cap = cap;
	return 0;
}

static void filled_add(struct filled *f, owfs_fileoff_t off, uint64_t len)
{
	if (f->n && f->run[f->n - 1].off + f->run[f->n - 1].len == off) {
		f->run[f->n - 1].len += len;
		return;
	}
	f->run[f->n].off = off;
	f->run[f->n++].len = len;
}

/* A generation admits so much freeing; commits wait for nothing we hold. */
static int unfill_run(struct owfs_inode *inode, owfs_fileoff_t off, uint64_t len)
{
	struct cut c = {
		.inode = inode, .first = off, .end = off + len,
		.class = OWFS_RESV_FREEING,
	};
	unsigned int tries;
	int ret = -EAGAIN;

	for (tries = 0; tries < UNFILL_TRIES && ret == -EAGAIN; tries++) {
		ret = cut_commit(&c);
		if (ret == -EAGAIN && owfs_commit_force(inode->i_fs))
			break;
	}
	return ret;
}

/*
 * Where that fails what was preallocated stays; it reads as the hole it was.  It
 * also does where the kernel may be writing back into it by now.
 */
static void unfill(struct owfs_inode *inode, const struct filled *f)
{
	unsigned int i;

	for (i = 0; i < f->n && !inode->i_fs->fs_kernel_io; i++)
		if (unfill_run(inode, f->run[i].off, f->run[i].len))
			return;
}

/*
 * Give every block of [first, end) an extent, or if there is no room take back
 * what was given.  Caller holds the range.
 */
static int fill(struct owfs_inode *inode, owfs_fileoff_t first,
		owfs_fileoff_t end)
{
	owfs_fsblock_t goal = OWFS_NOBLOCK;
	struct filled filled = { 0 };
	struct owfs_iomap map;
	int ret = 0;

	for (; first < end && !ret; first += map.len) {
		ret = owfs_iomap_read(inode, first, end - first, &map);
		if (!ret && map.type != OWFS_IOMAP_HOLE)
			goal = map.fsblock + map.len;
		if (ret || map.type != OWFS_IOMAP_HOLE)
			continue;
		ret = filled_grow(&filled);
		if (!ret)
			ret = fill_some(inode, first, &goal, &map.len);
		if (!ret)
			filled_add(&filled, first, map.len);
		if (ret == 1) {
			map.len = 0;
			ret = 0;
		}
	}
	if (ret)
		unfill(inode, &filled);
	free(filled.run);
	return ret;
}

/* ---------------------------------------------------------------- fallocate */

static int allocate_locked(struct owfs_inode *inode, uint64_t pos, uint64_t end,
			   bool keep_size)
{
	const uint32_t bs = inode->i_fs->fs_geo.blocksize;
	owfs_fileoff_t first = pos / bs, last = div_round_up(end, bs);
	struct cut c = {
		.inode = inode, .newsize = keep_size ? 0 : end,
		.class = OWFS_RESV_REPLACING,
	};
	uint64_t missing;
	bool written;
	int ret = count_missing(inode, first, last, &missing, &written);

	if (!ret)
		ret = room_for(inode->i_fs, missing);
	if (!ret)
		ret = fill(inode, first, last);
	/* the times change even if nothing was missing */
	return ret ? ret : cut_commit(&c);
}

/* Does taking whole blocks away pay for the edges? */
static enum owfs_resv_class class_of(bool whole_blocks)
{
	return whole_blocks ? OWFS_RESV_FREEING : OWFS_RESV_REPLACING;
}

static int punch_locked(struct owfs_inode *inode, uint64_t pos, uint64_t end,
			bool keep_size)
{
	const uint32_t bs = inode->i_fs->fs_geo.blocksize;
	struct cut c = { .inode = inode, .size = owfs_file_size(inode) };
	int ret;

	c.newsize = keep_size ? 0 : end;
	/* behind the end of the file the last block holds nothing */
	if (keep_size && end > c.size)
		end = div_round_up(end, bs) * bs;
	c.class = class_of(div_round_up(pos, bs) < end / bs);
	ret = cut_bytes(&c, pos, end);
	if (!ret)
		ret = cut_commit(&c);
	cut_give_back(&c);
	return ret;
}

/* What zero_locked() may need: blocks of the whole range, partial ones too. */
static int room_to_zero(struct owfs_inode *inode, uint64_t pos, uint64_t end,
			bool *written)
{
	const uint32_t bs = inode->i_fs->fs_geo.blocksize;
	owfs_fileoff_t first = div_round_up(pos, bs), last = end / bs;
	uint64_t missing, inside;
	int ret = count_missing(inode, pos / bs, div_round_up(end, bs),
				&missing, written);

	if (!ret)
		ret = count_missing(inode, first, last, &inside, written);
	if (!ret && *written)
		missing += last - first - inside;
	return ret ? ret : room_for(inode->i_fs, missing);
}

/*
 * Contents and size change at once, by punching; the blocks come afterwards,
 * also where the range begins or ends inside one.  Whole blocks are left alone
 * if none of them holds data.
 */
static int zero_locked(struct owfs_inode *inode, uint64_t pos, uint64_t end,
		       bool keep_size)
{
	const uint32_t bs = inode->i_fs->fs_geo.blocksize;
	struct cut c = { .inode = inode, .size = owfs_file_size(inode) };
	bool written;
	int ret = room_to_zero(inode, pos, end, &written);

	c.class = class_of(written);
	if (!ret)
		ret = cut_bytes(&c, pos, end);
	if (!written)
		c.first = c.end = 0;
	c.newsize = keep_size ? 0 : end;
	if (!ret)
		ret = cut_commit(&c);
	cut_give_back(&c);
	return ret ? ret : fill(inode, pos / bs, div_round_up(end, bs));
}

typedef int falloc_fn(struct owfs_inode *inode, uint64_t pos, uint64_t end,
		      bool keep_size);

static falloc_fn *falloc_of_mode(int mode)
{
	switch (mode) {
	case 0:
	case FALLOC_FL_KEEP_SIZE:
		return allocate_locked;
	case FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE:
		return punch_locked;
	case FALLOC_FL_ZERO_RANGE:
	case FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE:
		return zero_locked;
	default:
		return NULL;
	}
}

static int falloc_once(struct owfs_inode *inode, falloc_fn *fn, uint64_t pos,
		       uint64_t end, bool keep_size)
{
	const uint32_t bs = inode->i_fs->fs_geo.blocksize;
	struct owfs_range range;
	int ret;

	owfs_range_lock(&inode->i_range, &range, pos / bs, (end - 1) / bs,
			true);
	ret = owfs_flags_may_change(inode, fn == allocate_locked);
	if (!ret)
		ret = fn(inode, pos, end, keep_size);
	owfs_range_unlock(&inode->i_range, &range);
	return ret;
}

int owfs_file_fallocate(struct owfs_inode *inode, int mode, loff_t pos,
			loff_t len)
{
	falloc_fn *fn = falloc_of_mode(mode);
	int ret = owfs_file_check(inode);

	if (!ret && (pos < 0 || len <= 0))
		ret = -EINVAL;
	if (!ret && !fn)
		ret = -EOPNOTSUPP;
	if (!ret)
		ret = owfs_fs_writable(inode->i_fs);
	if (!ret && (uint64_t)len > OWFS_FILE_BYTES_MAX - (uint64_t)pos)
		ret = -EFBIG;
	if (!ret)
		ret = owfs_file_make_room(inode);
	if (!ret)
		OWFS_RETRY(inode->i_fs, ret,
			   falloc_once(inode, fn, (uint64_t)pos,
				       (uint64_t)pos + (uint64_t)len,
				       mode & FALLOC_FL_KEEP_SIZE));
	return owfs_flags_settle(inode, OWFS_FLAGS_SYNC, ret);
}
