/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random operations, commits, crashes and mounts against a model that has one
 * record a block; and many threads at once.
 *
 * The model says for each block what the open generation, the sealed one and
 * the last two durable commits have.  After every commit, and in the middle of
 * every next one, both durable commits are read back from the device by an
 * allocator of their own, and must verify and say exactly that (P4).
 */
#include "alloc_rig.h"

#include <pthread.h>
#include <sched.h>

#include "base/rcu.h"

#ifdef OWFS_TSAN	/* many times slower, and it looks at threads only */
#define MODEL_SEEDS	1
#define RESV_SEEDS	2
#else
#define MODEL_SEEDS	4
#define RESV_SEEDS	10
#endif

#define GROUP	32256u
#define NGROUPS	128u	/* two levels of map nodes */

enum {
	OPEN	= 0x01,		/* used in the open generation */
	SEALED	= 0x02,
	CUR	= 0x04,		/* used in the newest durable commit */
	PREV	= 0x08,		/* used in the one before */
	STAGED	= 0x10,
	BORN	= 0x20,		/* a node made in the open generation */
};

struct run {
	owfs_fsblock_t start;
	uint64_t len;
};

struct model {
	struct rig r;
	unsigned int seed;
	uint8_t *st;		/* flags of a block */
	uint32_t *freed;	/* 0, or the generation of the model that freed it */
	uint32_t gen;		/* the model's own count of generations */
	bool touched[NGROUPS];
	struct run staged[64], used[512];
	unsigned int nstaged, nused;
	uint64_t npinned, nopen;
	bool have_prev;
};

static uint64_t rnd(uint64_t n)
{
	return (uint64_t)random() % n;
}

/* ------------------------------------------------------- what is on the device */

static void compare_commit(struct model *m, const struct owfs_map_root *cur,
			   const struct owfs_map_root *prev, uint8_t flag)
{
	struct owfs_alloc_param p = rig_param(&m->r);
	uint64_t bits[GROUP / 64], g, b;
	struct owfs_alloc *al;

	if (!cur->gen)
		return;
	p.cur = *cur;
	p.prev = *prev;
	assert_int_equal(owfs_alloc_open(&al, &p), 0);
	for (g = 0; g < NGROUPS; g++) {
		uint32_t head = owfs_geo_group_head(&m->r.geo, g);
		uint32_t end = head + owfs_geo_ordinary(&m->r.geo, g, 1);

		if (!m->touched[g])
			continue;
		assert_int_equal(owfs_alloc_group_bits(al, g, bits, GROUP / 64),
				 0);
		for (b = 0; b < GROUP; b++) {
			bool used = bits[b / 64] >> (b % 64) & 1;
			bool want = b < head || b >= end ||
				    m->st[g * GROUP + b] & flag;

			if (used != want)
				fail_msg("seed %u: block %llu of commit %u: %d",
					 m->seed, (unsigned long long)
					 (g * GROUP + b), flag, used);
		}
	}
	assert_int_equal(owfs_alloc_check(al), 0);
	owfs_alloc_close(al);
}

static void compare_durable(struct model *m)
{
	static const struct owfs_map_root none;

	compare_commit(m, &m->r.cur, &m->r.prev, CUR);
	compare_commit(m, &m->r.prev, &none, PREV);
}

/* ------------------------------------------------------------------ operations */

static void check_handed_out(struct model *m, owfs_fsblock_t start, uint64_t len)
{
	uint64_t b;

	assert_true(owfs_geo_range_ok(&m->r.geo, start, len));
	for (b = start; b < start + len; b++)
		if (m->st[b] || m->freed[b])
			fail_msg("seed %u: block %llu handed out: state %#x freed in %u",
				 m->seed, (unsigned long long)b, m->st[b],
				 m->freed[b]);
	m->touched[start / GROUP] = true;
}

static void mark(struct model *m, owfs_fsblock_t start, uint64_t len,
		 uint8_t set, uint8_t clear)
{
	uint64_t b;

	for (b = start; b < start + len; b++)
		m->st[b] = (m->st[b] & ~clear) | set;
}

static void remember_used(struct model *m, owfs_fsblock_t start, uint64_t len)
{
	mark(m, start, len, OPEN, STAGED);
	m->nopen += len;
	m->used[m->nused++] = (struct run){ start, len };
}

static void op_stage(struct model *m)
{
	static const unsigned int where[] = { 0, 1, 2, 60, 125, 126, 127 };
	owfs_fsblock_t goal = where[rnd(7)] * (uint64_t)GROUP + rnd(GROUP);
	struct run *s = &m->staged[m->nstaged];

	if (m->nstaged == ARRAY_SIZE(m->staged))
		return;
	if (rnd(10) == 0)
		goal = OWFS_NOBLOCK;
	s->len = rig_stage(&m->r, goal, 1 + rnd(rnd(20) ? 100 : 9000), &s->start);
	check_handed_out(m, s->start, s->len);
	mark(m, s->start, s->len, STAGED, 0);
	m->nstaged++;
}

static void op_unstage_or_use(struct model *m)
{
	unsigned int i;
	struct run s;
	bool keep;

	if (!m->nstaged)
		return;
	i = rnd(m->nstaged);
	s = m->staged[i];
	m->staged[i] = m->staged[--m->nstaged];
	if (rnd(3) && m->nused < ARRAY_SIZE(m->used)) {
		owfs_alloc_use(m->r.al, s.start, s.len);
		remember_used(m, s.start, s.len);
		return;
	}
	keep = rnd(2);
	owfs_alloc_unstage(m->r.al, s.start, s.len, keep);
	mark(m, s.start, s.len, 0, STAGED);
	if (keep)
		owfs_alloc_unreserve(m->r.al, s.len);
}

static void op_free(struct model *m)
{
	uint64_t b, keep;
	unsigned int i;
	struct run u;

	if (!m->nused)
		return;
	i = rnd(m->nused);
	u = m->used[i];
	keep = rnd(2) ? 0 : rnd(u.len);		/* the first part stays */
	if (keep)
		m->used[i].len = keep;
	else
		m->used[i] = m->used[--m->nused];
	u.start += keep;
	u.len -= keep;
	assert_int_equal(owfs_alloc_free(m->r.al, u.start, u.len), 0);
	mark(m, u.start, u.len, 0, OPEN | BORN);
	for (b = u.start; b < u.start + u.len; b++)
		m->freed[b] = m->gen;
	m->nopen -= u.len;
	m->npinned += u.len;
}

static void op_node(struct model *m)
{
	unsigned int i, copies = 1 + rnd(2);
	owfs_fsblock_t addr[2];

	if (m->nused + 2 > ARRAY_SIZE(m->used))
		return;
	assert_int_equal(owfs_alloc_reserve(m->r.al, copies, OWFS_RESV_FREEING),
			 0);
	assert_int_equal(owfs_alloc_node(m->r.al, copies, addr), 0);
	for (i = 0; i < copies; i++) {
		check_handed_out(m, addr[i], 1);
		remember_used(m, addr[i], 1);
		mark(m, addr[i], 1, BORN, 0);
	}
}

static void op_unborn(struct model *m)
{
	owfs_fsblock_t addr[2] = { 0, 0 };
	unsigned int i;

	if (!m->nused)
		return;
	i = rnd(m->nused);
	if (!(m->st[m->used[i].start] & BORN))
		return;
	addr[0] = m->used[i].start;
	m->used[i] = m->used[--m->nused];
	assert_int_equal(owfs_alloc_free_unborn(m->r.al, addr), 0);
	mark(m, addr[0], 1, 0, OPEN | BORN);
	m->nopen--;
}

static void some_ops(struct model *m, unsigned int n)
{
	while (n--) {
		switch (rnd(8)) {
		case 0: case 1: op_stage(m); break;
		case 2: case 3: op_unstage_or_use(m); break;
		case 4: case 5: op_free(m); break;
		case 6: op_node(m); break;
		default: op_unborn(m); break;
		}
	}
}

static void check_counts(struct model *m)
{
	struct owfs_alloc_stat st = rig_stat(&m->r);
	uint64_t staged = 0;
	unsigned int i;

	for (i = 0; i < m->nstaged; i++)
		staged += m->staged[i].len;
	if (st.staged != staged || st.used != m->nopen ||
	    st.pinned != m->npinned || st.reserved ||
	    st.free + staged + m->nopen + m->npinned != rig_ordinary(&m->r))
		fail_msg("seed %u: staged %llu/%llu used %llu/%llu pinned %llu/%llu",
			 m->seed, (unsigned long long)st.staged,
			 (unsigned long long)staged, (unsigned long long)st.used,
			 (unsigned long long)m->nopen,
			 (unsigned long long)st.pinned,
			 (unsigned long long)m->npinned);
	assert_int_equal(owfs_alloc_check(m->r.al), 0);
}

/* ------------------------------------------------------------ commit and crash */

static void for_touched(struct model *m, void (*fn)(struct model *, uint64_t))
{
	uint64_t g, b;

	for (g = 0; g < NGROUPS; g++)
		for (b = 0; m->touched[g] && b < GROUP; b++)
			fn(m, g * GROUP + b);
}

static void seal_block(struct model *m, uint64_t b)
{
	m->st[b] &= ~(SEALED | BORN);
	if (m->st[b] & OPEN)
		m->st[b] |= SEALED;
}

static void durable_block(struct model *m, uint64_t b)
{
	uint8_t st = m->st[b];

	m->st[b] = (st & ~(CUR | PREV | SEALED)) | (st & CUR ? PREV : 0) |
		   (st & SEALED ? CUR : 0);
	/* m->gen is two ahead of the generation before the sealed one */
	if (m->freed[b] && m->freed[b] + 2 <= m->gen) {
		m->freed[b] = 0;
		m->npinned--;
	}
}

static void crash_block(struct model *m, uint64_t b)
{
	m->st[b] &= CUR | PREV;
	m->freed[b] = 0;
	if (m->st[b] & CUR) {
		m->st[b] |= OPEN;
		m->nopen++;
	} else if (m->st[b] & PREV) {
		m->freed[b] = m->gen - 1;
		m->npinned++;
	}
}

static void find_runs(struct model *m)
{
	uint64_t g, b, end;

	m->nused = 0;
	for (g = 0; g < NGROUPS; g++) {
		for (b = g * GROUP; m->touched[g] && b < (g + 1) * GROUP; b = end) {
			end = b + 1;
			if (!(m->st[b] & OPEN) ||
			    m->nused == ARRAY_SIZE(m->used))
				continue;
			while (end < (g + 1) * GROUP && m->st[end] & OPEN)
				end++;
			m->used[m->nused++] = (struct run){ b, end - b };
		}
	}
}

static void crash(struct model *m)
{
	m->nstaged = m->nused = 0;
	m->nopen = m->npinned = 0;
	m->gen++;
	for_touched(m, crash_block);
	find_runs(m);
	rig_remount(&m->r);
	check_counts(m);
}

/* False: power failed before it was durable. */
static bool commit(struct model *m)
{
	struct owfs_map_root root;
	int ret;

	owfs_alloc_seal(m->r.al);
	for_touched(m, seal_block);
	m->gen++;
	some_ops(m, rnd(10));
	do {
		ret = owfs_alloc_store(m->r.al, m->r.gen, 1 + rnd(2), &root);
		assert_true(ret >= 0);
		some_ops(m, rnd(4));
		if (rnd(60) == 0)
			return false;
	} while (ret);
	m->r.gen++;
	if (rnd(3) == 0)
		compare_durable(m);
	if (rnd(20) == 0)
		return false;
	rig_durable(&m->r, &root);
	for_touched(m, durable_block);
	return true;
}

static void model_init(struct model *m, unsigned int seed)
{
	memset(m, 0, sizeof(*m));
	m->seed = seed;
	m->gen = 1;
	srandom(seed);
	rig_init(&m->r, 4096, NGROUPS * (uint64_t)GROUP - 5000, 40000);
	m->st = calloc(NGROUPS, GROUP);
	m->freed = calloc(NGROUPS, GROUP * sizeof(*m->freed));
	assert_true(m->st && m->freed);
}

static void model_fini(struct model *m)
{
	rig_fini(&m->r);
	free(m->st);
	free(m->freed);
}

static void test_alloc_agrees_with_a_model_through_commits_and_crashes(void **state)
{
	struct model m;
	unsigned int seed, i;

	(void)state;
	for (seed = 1; seed <= MODEL_SEEDS; seed++) {
		model_init(&m, seed);
		for (i = 0; i < 150; i++) {
			some_ops(&m, rnd(60));
			check_counts(&m);
			if (!commit(&m) || rnd(8) == 0)
				crash(&m);
			if (rnd(3) == 0)
				compare_durable(&m);
		}
		model_fini(&m);
	}
}

/* --------------------------------------------------- reservations, one by one */

/*
 * The rules of admission said again: what is unpromised, what a generation
 * began with, what came back in it.
 */
struct shadow {
	int64_t free, pinned[3], reserved, floor, reserve;
};

static int64_t shadow_floor(const struct shadow *s, int64_t unpromised)
{
	int64_t base = unpromised < s->reserve ? unpromised : s->reserve;

	base -= s->reserve / 4;
	return base < 0 ? 0 : base;
}

static int shadow_reserve(const struct shadow *s, int64_t n,
			  enum owfs_resv_class class)
{
	int64_t now = s->free - s->reserved;
	int64_t later = now + s->pinned[0] + s->pinned[1] + s->pinned[2];
	int64_t leave = s->reserve, leave_later = s->reserve;

	if (class == OWFS_RESV_FREEING) {
		leave = s->floor;
		leave_later = shadow_floor(s, later);
	} else if (class == OWFS_RESV_REPLACING) {
		leave = leave_later = s->reserve - s->reserve / 4;
	}
	if (now - n >= leave)
		return 0;
	return later - n >= leave_later ? -EAGAIN : -ENOSPC;
}

static void shadow_commit(struct rig *r, struct shadow *s)
{
	int64_t most = s->reserve - s->reserve / 4;

	s->floor = shadow_floor(s, s->free - s->reserved);
	rig_commit(r);
	s->free += s->pinned[2];
	s->floor = s->floor + s->pinned[2] < most ? s->floor + s->pinned[2] : most;
	/* open became sealed, and sealed became last */
	s->pinned[2] = s->pinned[0];
	s->pinned[0] = 0;
}

static void compare_shadow(struct rig *r, const struct shadow *s)
{
	struct owfs_alloc_stat st = rig_stat(r);

	assert_int_equal(st.free, s->free);
	assert_int_equal(st.reserved, s->reserved);
	assert_int_equal(st.pinned, s->pinned[0] + s->pinned[1] + s->pinned[2]);
}

static void test_alloc_reservations_are_exact_near_full(void **state)
{
	static owfs_fsblock_t held[4096];
	struct shadow s = { .reserve = 390 };
	unsigned int seed, i, nheld;
	owfs_fsblock_t addr[2];
	struct rig r;

	(void)state;
	for (seed = 1; seed <= RESV_SEEDS; seed++) {
		srandom(seed);
		rig_init(&r, 4096, 4096, s.reserve);
		s = (struct shadow){ .reserve = 390, .free = rig_stat(&r).free };
		s.floor = shadow_floor(&s, s.free);
		for (nheld = 0, i = 0; i < 20000; i++) {
			enum owfs_resv_class class = rnd(3);
			int64_t n = 1 + rnd(rnd(4) ? 12 : 200);
			int ret, want = shadow_reserve(&s, n, class);

			ret = owfs_alloc_reserve(r.al, n, class);
			if (ret != want)
				fail_msg("seed %u step %u: reserve %d, not %d",
					 seed, i, ret, want);
			if (!ret) {
				s.reserved += n;
				while (rnd(3) && n) {
					assert_int_equal(owfs_alloc_node(
						r.al, 1, addr), 0);
					held[nheld++] = addr[0];
					s.free--;
					s.reserved--;
					n--;
				}
				owfs_alloc_unreserve(r.al, n);
				s.reserved -= n;
			}
			while (nheld && rnd(nheld > 3300 ? 8 : 3) == 0) {
				unsigned int k = rnd(nheld);

				assert_int_equal(owfs_alloc_free(r.al, held[k],
								 1), 0);
				held[k] = held[--nheld];
				s.pinned[0]++;
			}
			if (rnd(40) == 0)
				shadow_commit(&r, &s);
			compare_shadow(&r, &s);
		}
		assert_int_equal(owfs_alloc_check(r.al), 0);
		rig_fini(&r);
	}
}

/* ------------------------------------------------------------- many at once */

#define THREADS	4

struct storm {
	struct rig r;
	pthread_rwlock_t seal;		/* held for reading by transactions */
	unsigned int rounds;
	bool stop;
	unsigned char *owner;		/* one a block, atomic: who has it */
};

struct worker {
	struct storm *s;
	unsigned int rng;
	struct run held[32];
	unsigned int n;
};

static unsigned int wrnd(struct worker *w, unsigned int n)
{
	return rand_r(&w->rng) % n;
}

static void own(struct storm *s, owfs_fsblock_t start, uint64_t len, int delta)
{
	for (; len; len--, start++) {
		unsigned char now = __atomic_add_fetch(&s->owner[start], delta,
						       __ATOMIC_RELAXED);

		if (now > 1)
			abort();	/* two have it */
	}
}

/* A write: reserve, stage outside, then switch over in a transaction. */
static void storm_write(struct worker *w)
{
	struct storm *s = w->s;
	struct owfs_alloc *al = s->r.al;
	uint64_t len, want = 1 + wrnd(w, 60);
	owfs_fsblock_t start;
	int ret;

	ret = owfs_alloc_reserve(al, want, OWFS_RESV_NORMAL);
	if (ret)
		return;
	ret = owfs_alloc_data(al, wrnd(w, 3) ? wrnd(w, 4 * GROUP) : 0, want,
			      &start, &len);
	if (ret)
		abort();
	own(s, start, len, 1);
	owfs_alloc_unreserve(al, want - len);
	if (wrnd(w, 4) == 0) {
		own(s, start, len, -1);
		owfs_alloc_unstage(al, start, len, false);
		return;
	}
	pthread_rwlock_rdlock(&s->seal);
	owfs_alloc_use(al, start, len);
	pthread_rwlock_unlock(&s->seal);
	w->held[w->n++] = (struct run){ start, len };
}

static void storm_free(struct worker *w)
{
	struct storm *s = w->s;
	struct run u;

	w->n--;
	u = w->held[w->n];
	pthread_rwlock_rdlock(&s->seal);
	own(s, u.start, u.len, -1);
	if (owfs_alloc_free(s->r.al, u.start, u.len))
		abort();
	pthread_rwlock_unlock(&s->seal);
}

static void storm_node(struct worker *w)
{
	struct storm *s = w->s;
	owfs_fsblock_t addr[2];

	if (owfs_alloc_reserve(s->r.al, 2, OWFS_RESV_FREEING))
		return;
	pthread_rwlock_rdlock(&s->seal);
	if (owfs_alloc_node(s->r.al, 2, addr))
		abort();
	own(s, addr[0], 1, 1);
	own(s, addr[1], 1, 1);
	own(s, addr[0], 1, -1);
	own(s, addr[1], 1, -1);
	if (owfs_alloc_free_unborn(s->r.al, addr))
		abort();
	pthread_rwlock_unlock(&s->seal);
}

static void *storm_worker(void *arg)
{
	struct worker *w = arg;
	unsigned int i;

	for (i = 0; i < w->s->rounds; i++) {
		switch (wrnd(w, 4)) {
		case 0: case 1:
			if (w->n < ARRAY_SIZE(w->held))
				storm_write(w);
			break;
		case 2:
			if (w->n)
				storm_free(w);
			break;
		default:
			storm_node(w);
		}
	}
	return NULL;
}

static void *storm_committer(void *arg)
{
	struct storm *s = arg;
	struct owfs_map_root root;
	int ret;

	while (!__atomic_load_n(&s->stop, __ATOMIC_ACQUIRE)) {
		pthread_rwlock_wrlock(&s->seal);
		owfs_alloc_seal(s->r.al);
		pthread_rwlock_unlock(&s->seal);
		do {
			ret = owfs_alloc_store(s->r.al, s->r.gen, 2, &root);
			if (ret < 0)
				abort();
		} while (ret);
		s->r.gen++;
		rig_durable(&s->r, &root);
		sched_yield();
	}
	return NULL;
}

static void run_storm(struct storm *s, unsigned int seed)
{
	struct worker w[THREADS];
	pthread_t t[THREADS], committer;
	unsigned int i;

	memset(w, 0, sizeof(w));
	s->stop = false;
	pthread_create(&committer, NULL, storm_committer, s);
	for (i = 0; i < THREADS; i++) {
		w[i].s = s;
		w[i].rng = seed + i;
		pthread_create(&t[i], NULL, storm_worker, &w[i]);
	}
	for (i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	__atomic_store_n(&s->stop, true, __ATOMIC_RELEASE);
	pthread_join(committer, NULL);
	for (i = 0; i < THREADS; i++)
		while (w[i].n)
			storm_free(&w[i]);
}

static void test_alloc_threads_never_share_a_block(void **state)
{
	struct storm *s = calloc(1, sizeof(*s));
	unsigned int seed;

	(void)state;
	assert_non_null(s);
	for (seed = 1; seed <= 2; seed++) {
		rig_init(&s->r, 4096, 4 * GROUP, 400);
		pthread_rwlock_init(&s->seal, NULL);
		s->rounds = 1500;
		s->owner = calloc(4, GROUP);
		assert_non_null(s->owner);
		run_storm(s, seed);
		assert_int_equal(owfs_alloc_check(s->r.al), 0);
		rig_commit(&s->r);
		rig_remount(&s->r);	/* loading beside everything else */
		run_storm(s, seed + 100);
		rig_commit(&s->r);
		rig_commit(&s->r);
		rig_commit(&s->r);
		assert_int_equal(owfs_alloc_check(s->r.al), 0);
		assert_int_equal(rig_stat(&s->r).free, rig_ordinary(&s->r));
		free(s->owner);
		pthread_rwlock_destroy(&s->seal);
		rig_fini(&s->r);
	}
	free(s);
}

static void test_alloc_threads_share_a_full_device(void **state)
{
	struct storm *s = calloc(1, sizeof(*s));
	owfs_fsblock_t addr[2];

	(void)state;
	assert_non_null(s);
	rig_init(&s->r, 4096, 4096, 400);
	pthread_rwlock_init(&s->seal, NULL);
	s->owner = calloc(4, GROUP);
	assert_non_null(s->owner);
	/* leave a hundred blocks to fight over */
	while (rig_stat(&s->r).free > 500) {
		assert_int_equal(owfs_alloc_reserve(s->r.al, 1, OWFS_RESV_NORMAL),
				 0);
		assert_int_equal(owfs_alloc_node(s->r.al, 1, addr), 0);
	}
	s->rounds = 1500;
	run_storm(s, 5);
	assert_int_equal(owfs_alloc_check(s->r.al), 0);
	pthread_rwlock_destroy(&s->seal);
	free(s->owner);
	rig_fini(&s->r);
	free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_alloc_agrees_with_a_model_through_commits_and_crashes),
		cmocka_unit_test(test_alloc_reservations_are_exact_near_full),
		cmocka_unit_test(test_alloc_threads_never_share_a_block),
		cmocka_unit_test(test_alloc_threads_share_a_full_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
