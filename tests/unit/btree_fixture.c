/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See btree_fixture.h. */
#include "btree_fixture.h"

#define FRONT(f)	(OWFS_FRONT_BYTES / (f)->blocksize)
#define BACK(f)		(OWFS_BACK_BYTES / (f)->blocksize)

_Thread_local char fixture_said[512];
_Thread_local bool fixture_inside;

static void remember(void *ctx, enum owfs_msg_level level, const char *line)
{
	(void)ctx;
	(void)level;
	snprintf(fixture_said, sizeof(fixture_said), "%s", line);
}

const struct owfs_msg fixture_msg = { remember, NULL, OWFS_MSG_DEBUG };

void rng_seed(struct rng *r, uint64_t seed)
{
	r->s = seed * 0x9e3779b97f4a7c15ull + 0x1234567;
}

uint64_t rng_next(struct rng *r, uint64_t n)
{
	r->s ^= r->s << 13;
	r->s ^= r->s >> 7;
	r->s ^= r->s << 17;
	return (r->s >> 11) % n;
}

/* ------------------------------------------------------------- allocator */

static void list_add(struct blocklist *l, owfs_fsblock_t blk)
{
	if (l->n == l->cap) {
		l->cap = l->cap ? l->cap * 2 : 256;
		l->blk = realloc(l->blk, l->cap * sizeof(*l->blk));
		assert_non_null(l->blk);
	}
	l->blk[l->n++] = blk;
}

static owfs_fsblock_t take_one(struct fixture *f)
{
	uint64_t i;

	for (i = 0; i < f->nblocks; i++) {
		owfs_fsblock_t blk = f->cursor++;

		if (f->cursor >= f->nblocks - BACK(f))
			f->cursor = FRONT(f);
		if (!f->used[blk]) {
			f->used[blk] = 1;
			f->nused++;
			return blk;
		}
	}
	return OWFS_NOBLOCK;
}

static int toy_alloc(void *ctx, owfs_fsblock_t addr[2])
{
	struct fixture *f = ctx;
	int ret = 0;

	pthread_mutex_lock(&f->lock);
	if (++f->allocs == f->fail_at) {
		ret = -ENOSPC;
	} else {
		addr[0] = take_one(f);
		addr[1] = f->copies == 2 ? take_one(f) : OWFS_NOBLOCK;
		assert_true(addr[0] != OWFS_NOBLOCK);
	}
	pthread_mutex_unlock(&f->lock);
	return ret;
}

static void free_now(struct fixture *f, owfs_fsblock_t blk)
{
	assert_int_equal(f->used[blk], 1);
	f->used[blk] = 0;
	emubd_garbage(f->dev, blk * f->blocksize, f->blocksize, blk);
}

static int toy_free(void *ctx, const struct owfs_ptr *ptr, bool unborn)
{
	struct fixture *f = ctx;
	int i, ret;

	assert_int_equal(unborn, ptr->birth == f->gen);
	pthread_mutex_lock(&f->lock);
	fixture_inside = true;
	ret = unborn ? 0 : f->free_err;
	for (i = 0; i < (int)f->copies && !ret; i++) {
		assert_int_equal(f->used[ptr->addr[i]], 1);
		f->nused--;
		if (unborn)
			free_now(f, ptr->addr[i]);
		else
			list_add(&f->freed_open, ptr->addr[i]);
	}
	fixture_inside = false;
	pthread_mutex_unlock(&f->lock);
	return ret;
}

const struct owfs_btree_ops fixture_ops = {
	.alloc_block = toy_alloc,
	.free_block = toy_free,
};

/* --------------------------------------------------------------- fixture */

static void open_tree(struct fixture *f)
{
	struct owfs_btree_param p = {
		.bc = f->bc,
		.ops = &fixture_ops,
		.ctx = f,
		.owner = OWFS_TREE_MAIN,
		.root = f->root[0],
		.level = f->level[0],
		.open_gen = f->gen,
	};

	assert_int_equal(owfs_btree_open(&f->bt, &p), 0);
}

struct fixture *fixture_create(size_t blocksize, uint64_t nblocks,
			       unsigned int copies, size_t cache_bytes)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->dev = emubd_create(nblocks * blocksize);
	f->blocksize = blocksize;
	f->nblocks = nblocks;
	f->copies = copies;
	f->used = calloc(nblocks, 1);
	f->cursor = FRONT(f);
	f->gen = 7;
	pthread_mutex_init(&f->lock, NULL);
	assert_int_equal(owfs_bufcache_create(&f->bc, emubd_blkdev(f->dev),
					      blocksize, nblocks, CSUM_SEED,
					      cache_bytes, &fixture_msg), 0);
	open_tree(f);
	return f;
}

static void list_free(struct blocklist *l)
{
	free(l->blk);
	memset(l, 0, sizeof(*l));
}

static void close_tree(struct fixture *f)
{
	owfs_btree_close(f->bt);
	owfs_btree_release(f->bt, &f->sealed);
	owfs_btree_release(f->bt, &f->before);
	f->committing = false;
}

void fixture_destroy(struct fixture *f)
{
	close_tree(f);
	owfs_bufcache_destroy(f->bc);
	emubd_destroy(f->dev);
	list_free(&f->freed_open);
	list_free(&f->freed_sealed);
	list_free(&f->freed_durable);
	pthread_mutex_destroy(&f->lock);
	free(f->used);
	free(f);
}

struct owfs_btree *reopen(struct fixture *f, const struct owfs_ptr *root,
			  unsigned int level, struct owfs_bufcache **bcp)
{
	struct owfs_btree_param p = {
		.owner = OWFS_TREE_MAIN,
		.root = *root,
		.level = level,
	};
	struct owfs_btree *bt;

	assert_int_equal(owfs_bufcache_create(bcp, emubd_blkdev(f->dev),
					      f->blocksize, f->nblocks,
					      CSUM_SEED, 1 << 20, &fixture_msg),
			 0);
	p.bc = *bcp;
	assert_int_equal(owfs_btree_open(&bt, &p), 0);
	return bt;
}

void reopen_close(struct owfs_btree *bt, struct owfs_bufcache *bc)
{
	owfs_btree_close(bt);
	owfs_bufcache_destroy(bc);
}

/* ---------------------------------------------------------------- commit */

void commit_seal(struct fixture *f)
{
	assert_false(f->committing);
	owfs_btree_seal(f->bt, f->gen + 1, &f->sealed);
	pthread_mutex_lock(&f->lock);
	assert_int_equal(f->freed_sealed.n, 0);
	list_free(&f->freed_sealed);
	f->freed_sealed = f->freed_open;
	memset(&f->freed_open, 0, sizeof(f->freed_open));
	f->gen++;
	f->committing = true;
	pthread_mutex_unlock(&f->lock);
}

void commit_finish(struct fixture *f)
{
	owfs_btree_finish(f->bt, &f->sealed);
	f->next_root = f->root[0];
	f->next_level = f->level[0];
	if (f->sealed.root_buf) {
		f->next_root = f->sealed.root;
		f->next_level = f->sealed.level;
	}
}

bool commit_write(struct fixture *f, size_t max)
{
	int ret = owfs_btree_write(f->bt, &f->sealed, max);

	assert_in_range(ret, 0, 1);
	return ret;
}

void commit_durable(struct fixture *f)
{
	size_t i;

	pthread_mutex_lock(&f->lock);
	for (i = 0; i < f->freed_durable.n; i++)
		free_now(f, f->freed_durable.blk[i]);
	list_free(&f->freed_durable);
	f->freed_durable = f->freed_sealed;
	memset(&f->freed_sealed, 0, sizeof(f->freed_sealed));
	pthread_mutex_unlock(&f->lock);

	f->root[1] = f->root[0];
	f->level[1] = f->level[0];
	f->root[0] = f->next_root;
	f->level[0] = f->next_level;
	owfs_btree_release(f->bt, &f->before);
	f->before = f->sealed;
	memset(&f->sealed, 0, sizeof(f->sealed));
	f->committing = false;
}

void commit_all(struct fixture *f)
{
	commit_seal(f);
	commit_finish(f);
	while (commit_write(f, 64))
		;
	commit_durable(f);
}

/* Only right after a commit; blocks freed in the last two wait two more. */
void remount(struct fixture *f)
{
	assert_false(f->committing);
	assert_int_equal(owfs_btree_dirty(f->bt), 0);
	close_tree(f);
	owfs_bufcache_shrink(f->bc, true);
	f->gen += 5;
	open_tree(f);
}

static int count_node(void *ctx, const struct owfs_ptr *ptr, unsigned int level,
		      const void *data)
{
	(void)ptr;
	(void)level;
	(void)data;
	++*(uint64_t *)ctx;
	return 0;
}

static int no_bad_node(void *ctx, const struct owfs_ptr *ptr,
		       unsigned int level, int err)
{
	(void)ctx;
	fail_msg("node %llu level %u: error %d: %s",
		 (unsigned long long)ptr->addr[0], level, err, fixture_said);
	return err;
}

uint64_t count_nodes(struct owfs_btree *bt)
{
	uint64_t n = 0;
	struct owfs_btree_visitor v = {
		.enter = count_node, .bad = no_bad_node, .ctx = &n };

	assert_int_equal(owfs_btree_visit(bt, &v), 0);
	return n;
}

/* ----------------------------------------------------------------- model */

void model_init(struct model *m, uint32_t n, unsigned int minlen,
		unsigned int maxlen)
{
	m->n = n;
	m->minlen = minlen;
	m->maxlen = maxlen;
	m->version = calloc(n, sizeof(*m->version));
}

void model_free(struct model *m)
{
	free(m->version);
	m->version = NULL;
}

void model_copy(struct model *to, const struct model *from)
{
	assert_int_equal(to->n, from->n);
	memcpy(to->version, from->version, from->n * sizeof(*from->version));
}

struct owfs_key model_key(uint32_t id)
{
	return owfs_key(100 + id / 64, OWFS_ITEM_EXTENT, id % 64 * 10);
}

uint32_t model_id(const struct owfs_key *key)
{
	return (uint32_t)((owfs_key_ino(key) - 100) * 64 + key->off / 10);
}

/* Most values are small, as extents and names are; some are as large as may be. */
unsigned int model_value(const struct model *m, uint32_t id, uint32_t version,
			 unsigned char *val)
{
	struct rng r;
	unsigned int spread = m->maxlen - m->minlen + 1, len, i;

	rng_seed(&r, (uint64_t)id << 32 | version);
	rng_next(&r, 2);
	if (rng_next(&r, 8))
		spread = (unsigned int)min_u64(spread, 40);
	len = m->minlen + (unsigned int)rng_next(&r, spread);
	for (i = 0; i < len; i++)
		val[i] = (unsigned char)(id * 31 + version * 7 + i);
	memcpy(val, &id, 4);
	memcpy(val + 4, &version, 4);
	return len;
}

static void assert_value(const struct model *m, uint32_t id, const void *val,
			 size_t len)
{
	unsigned char want[OWFS_ITEM_MAX];
	unsigned int wantlen = model_value(m, id, m->version[id], want);

	if (len != wantlen || memcmp(val, want, len))
		fail_msg("item %u: version %u length %u, found version %u length %zu",
			 id, m->version[id], wantlen,
			 ((const uint32_t *)val)[1], len);
}

struct walk_state {
	const struct model *m;
	uint32_t next;			/* id to be seen next, or later */
};

static int walk_item(void *ctx, const struct owfs_key *key, const void *val,
		     size_t len)
{
	struct walk_state *w = ctx;
	uint32_t id = model_id(key);

	for (; w->next < id; w->next++)
		if (w->m->version[w->next])
			fail_msg("item %u is missing", w->next);
	if (id < w->next || id >= w->m->n || !w->m->version[id])
		fail_msg("item %u should not be there", id);
	assert_value(w->m, id, val, len);
	w->next = id + 1;
	return 0;
}

void assert_tree_is(struct owfs_btree *bt, const struct model *m)
{
	struct walk_state w = { m, 0 };
	const struct owfs_key first = OWFS_KEY_MIN, last = OWFS_KEY_MAX;

	assert_int_equal(owfs_btree_walk(bt, &first, &last, walk_item, &w), 0);
	for (; w.next < m->n; w.next++)
		if (m->version[w.next])
			fail_msg("item %u is missing", w.next);
}

/* From @id in direction @step the first that is there, within @far. */
static uint32_t model_seek(const struct model *m, uint32_t id, int step,
			   uint32_t far)
{
	for (; id < m->n && far; id += (uint32_t)step, far--)
		if (m->version[id])
			return id;
	return m->n;
}

void assert_item_is(struct owfs_btree *bt, const struct model *m, uint32_t id)
{
	struct owfs_key key = model_key(id), bound;
	unsigned char val[OWFS_ITEM_MAX];
	uint32_t want;
	int ret = owfs_btree_lookup(bt, &key, val, sizeof(val));

	if (m->version[id]) {
		assert_in_range(ret, 1, OWFS_ITEM_MAX);
		assert_value(m, id, val, (size_t)ret);
	} else {
		assert_int_equal(ret, -ENOENT);
	}

	want = model_seek(m, id, 1, 500);
	bound = id + 500 < m->n ? model_key(id + 499) : OWFS_KEY_MAX;
	ret = owfs_btree_next(bt, &key, &bound, val, sizeof(val));
	if (want < m->n) {
		assert_int_equal(model_id(&key), want);
		assert_value(m, want, val, (size_t)ret);
	} else {
		assert_int_equal(ret, -ENOENT);
	}

	key = model_key(id);
	want = model_seek(m, id, -1, 500);
	bound = id >= 500 ? model_key(id - 499) : OWFS_KEY_MIN;
	ret = owfs_btree_prev(bt, &key, &bound, val, sizeof(val));
	if (want < m->n) {
		assert_int_equal(model_id(&key), want);
		assert_value(m, want, val, (size_t)ret);
	} else {
		assert_int_equal(ret, -ENOENT);
	}
}

int put_version(struct fixture *f, struct model *m, uint32_t id,
		uint32_t version)
{
	struct owfs_key key = model_key(id);
	unsigned char val[OWFS_ITEM_MAX];
	unsigned int len = version ? model_value(m, id, version, val) : 0;
	int ret;

	if (!version)
		ret = owfs_btree_delete(f->bt, &key);
	else if (m->version[id])
		ret = owfs_btree_update(f->bt, &key, val, len);
	else
		ret = owfs_btree_insert(f->bt, &key, val, len);
	if (!ret)
		m->version[id] = version;
	return ret;
}
