/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threads in the tree: some change keys of their own, some look at all of it,
 * one commits without pause and drops from memory what it may.  Blocks become
 * garbage the moment they may be handed out again, so whoever still reads one
 * finds out.
 */
#include <pthread.h>
#include <unistd.h>

#include "btree_fixture.h"

#define CHANGERS	4
#define READERS		2
#define IDS		4000u
#define OPS		(24000u / SLOWNESS)
#define BLOCKS		20000u

struct storm {
	struct fixture *f;
	pthread_rwlock_t seal;		/* changes read, seal writes */
	struct model model;		/* each changer its own ids */
	int running;			/* changers; atomic */
	uint64_t seed;
};

struct worker {
	struct storm *s;
	pthread_t thread;
	unsigned int nr;
	uint64_t done;
};

static void storm_init(struct storm *s, size_t cache, unsigned int maxlen,
		       uint64_t seed)
{
	pthread_rwlockattr_t attr;

	print_message("seed %llu\n", (unsigned long long)seed);
	memset(s, 0, sizeof(*s));
	s->f = fixture_create(4096, BLOCKS, 1, cache);
	s->seed = seed;
	model_init(&s->model, IDS, 8, maxlen);
	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr,
			PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&s->seal, &attr);
	pthread_rwlockattr_destroy(&attr);
}

static void storm_free(struct storm *s)
{
	pthread_rwlock_destroy(&s->seal);
	model_free(&s->model);
	fixture_destroy(s->f);
}

/* ---------------------------------------------------------------- changers */

/* Ids of one changer lie among those of the others, leaf by leaf. */
static uint32_t own_id(const struct worker *w, struct rng *r)
{
	return (uint32_t)rng_next(r, IDS / CHANGERS) * CHANGERS + w->nr;
}

static void *changer(void *arg)
{
	struct worker *w = arg;
	struct storm *s = w->s;
	unsigned int deletes = 4, i;
	uint32_t id, version = 0;
	struct rng r;

	rng_seed(&r, s->seed * 100 + w->nr);
	for (i = 0; i < OPS; i++) {
		bool there;
		int ret;

		if (rng_next(&r, 1000) == 0)
			deletes = (unsigned int)rng_next(&r, 9);
		id = own_id(w, &r);
		there = s->model.version[id];
		pthread_rwlock_rdlock(&s->seal);
		if (rng_next(&r, 8) < deletes)
			ret = put_version(s->f, &s->model, id, 0);
		else
			ret = put_version(s->f, &s->model, id, ++version);
		pthread_rwlock_unlock(&s->seal);
		if (ret && (ret != -ENOENT || there))
			fail_msg("change: %d: %s", ret, fixture_said);
	}
	__atomic_sub_fetch(&s->running, 1, __ATOMIC_ACQ_REL);
	return NULL;
}

/* ----------------------------------------------------------------- readers */

/* An item says itself which it is; its bytes follow from that. */
static void check_item(const struct storm *s, const struct owfs_key *key,
		       const void *val, size_t len)
{
	unsigned char want[OWFS_ITEM_MAX];
	uint32_t id, version;

	memcpy(&id, val, sizeof(id));
	memcpy(&version, (const unsigned char *)val + 4, sizeof(version));
	if (id != model_id(key) || version == 0 ||
	    len != model_value(&s->model, id, version, want) ||
	    memcmp(val, want, len))
		fail_msg("item %u has bytes of %u version %u", model_id(key),
			 id, version);
}

struct scan {
	const struct storm *s;
	struct owfs_key at;
	unsigned int n;
};

static int scan_item(void *ctx, const struct owfs_key *key, const void *val,
		     size_t len)
{
	struct scan *sc = ctx;

	if (owfs_key_cmp(key, &sc->at) < 0)
		fail_msg("walk goes back");
	sc->at = owfs_key_next(key);
	check_item(sc->s, key, val, len);
	return ++sc->n == 200;
}

static void read_something(const struct storm *s, struct rng *r)
{
	struct owfs_key key = model_key((uint32_t)rng_next(r, IDS));
	const struct owfs_key min = OWFS_KEY_MIN, max = OWFS_KEY_MAX;
	unsigned char val[OWFS_ITEM_MAX];
	struct scan sc = { s, key, 0 };
	int ret;

	switch (rng_next(r, 4)) {
	case 0:
		ret = owfs_btree_walk(s->f->bt, &key, &max, scan_item, &sc);
		assert_in_range(ret, 0, 1);
		return;
	case 1:
		ret = owfs_btree_next(s->f->bt, &key, &max, val, sizeof(val));
		break;
	case 2:
		ret = owfs_btree_prev(s->f->bt, &key, &min, val, sizeof(val));
		break;
	default:
		ret = owfs_btree_lookup(s->f->bt, &key, val, sizeof(val));
		break;
	}
	if (ret == -ENOENT)
		return;
	if (ret < 0)
		fail_msg("look: %d: %s", ret, fixture_said);
	check_item(s, &key, val, (size_t)ret);
}

static void *reader(void *arg)
{
	struct worker *w = arg;
	struct rng r;

	rng_seed(&r, w->s->seed * 100 + 50 + w->nr);
	while (__atomic_load_n(&w->s->running, __ATOMIC_ACQUIRE) > 0) {
		read_something(w->s, &r);
		w->done++;
	}
	return NULL;
}

/* --------------------------------------------------------------- committer */

static void *committer(void *arg)
{
	struct worker *w = arg;
	struct storm *s = w->s;
	struct fixture *f = s->f;
	struct rng r;

	rng_seed(&r, s->seed);
	while (__atomic_load_n(&s->running, __ATOMIC_ACQUIRE) > 0) {
		pthread_rwlock_wrlock(&s->seal);
		commit_seal(f);
		pthread_rwlock_unlock(&s->seal);
		commit_finish(f);
		while (commit_write(f, 16))
			;
		commit_durable(f);
		owfs_bufcache_shrink(f->bc, rng_next(&r, 2));
		w->done++;
	}
	return NULL;
}

/* -------------------------------------------------------------------- storm */

static void spawn(struct worker *w, struct storm *s, unsigned int nr,
		  void *(*fn)(void *))
{
	memset(w, 0, sizeof(*w));
	w->s = s;
	w->nr = nr;
	assert_int_equal(pthread_create(&w->thread, NULL, fn, w), 0);
}

static void assert_all_is_well(struct storm *s)
{
	struct fixture *f = s->f;
	struct owfs_bufcache *bc;
	struct owfs_btree *bt;

	assert_tree_is(f->bt, &s->model);
	assert_int_equal(count_nodes(f->bt), f->nused);
	commit_all(f);
	bt = reopen(f, &f->root[0], f->level[0], &bc);
	assert_tree_is(bt, &s->model);
	reopen_close(bt, bc);
}

static void run_storm(size_t cache, unsigned int maxlen, uint64_t seed)
{
	struct worker w[CHANGERS + READERS + 1];
	unsigned int i;
	struct storm s;

	storm_init(&s, cache, maxlen, seed);
	s.running = CHANGERS;
	for (i = 0; i < CHANGERS; i++)
		spawn(&w[i], &s, i, changer);
	for (; i < CHANGERS + READERS; i++)
		spawn(&w[i], &s, i - CHANGERS, reader);
	spawn(&w[i], &s, 0, committer);
	for (i = 0; i < ARRAY_SIZE(w); i++)
		pthread_join(w[i].thread, NULL);
	print_message("  %llu commits, %llu looks\n",
		      (unsigned long long)w[CHANGERS + READERS].done,
		      (unsigned long long)w[CHANGERS].done);
	assert_all_is_well(&s);
	storm_free(&s);
}

static void test_storm_over_a_tiny_cache(void **state)
{
	(void)state;
	run_storm(4 * 4096, 120, 1);
	run_storm(4 * 4096, OWFS_ITEM_MAX, 2);
}

static void test_storm_in_memory(void **state)
{
	(void)state;
	run_storm(64 << 20, 120, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_storm_over_a_tiny_cache),
		cmocka_unit_test(test_storm_in_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
