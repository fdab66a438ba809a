/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See states.h. */
#include <stdlib.h>

#include "states.h"

#include "emubd_image.h"

/* ----------------------------------------------------------- enumeration */

struct visit {
	int (*fn)(void *ctx, enum emubd_crash_mode mode, uint64_t seed);
	void *ctx;
};

static int each(const struct visit *v, enum emubd_crash_mode mode, uint64_t n)
{
	uint64_t i;
	int ret = 0;

	for (i = 0; i < n && !ret; i++)
		ret = v->fn(v->ctx, mode, i);
	return ret;
}

/* The window is complete: nothing else can come before the flush. */
static int visit_window(const struct visit *v, size_t n)
{
	int ret;

	if (n <= STATES_SUBSETS) {
		ret = each(v, EMUBD_CRASH_SUBSET, 1ull << n);
	} else {
		ret = each(v, EMUBD_CRASH_DROP_ONE, n);
		if (!ret)
			ret = each(v, EMUBD_CRASH_KEEP_ONE, n);
	}
	return ret ? ret : each(v, EMUBD_CRASH_TEAR_ONE, n);
}

static bool is_before_flush(struct emubd *log, size_t cut)
{
	return cut == emubd_log_len(log) ||
	       emubd_log_at(log, cut)->kind == EMUBD_FLUSH;
}

int states_visit(struct emubd *log, size_t cut, const struct states_plan *plan,
		 struct rng *rng,
		 int (*fn)(void *ctx, enum emubd_crash_mode mode, uint64_t seed),
		 void *ctx)
{
	const struct visit v = { fn, ctx };
	unsigned int i;
	int ret = fn(ctx, EMUBD_CRASH_PREFIX, 0);

	for (i = 0; i < plan->seeded && !ret; i++)
		ret = fn(ctx, EMUBD_CRASH_SEEDED, rng_next(rng));
	if (!ret && plan->windows && is_before_flush(log, cut))
		ret = visit_window(&v, emubd_crash_window(log, cut));
	return ret;
}

/* ---------------------------------------------------------------- memory */

/* Where @hash is or would go; 0 marks an empty slot. */
static size_t seen_slot(const struct seen *s, uint64_t hash)
{
	size_t i = emubd_mix(hash) & (s->room - 1);

	while (s->slot[i].hash && s->slot[i].hash != hash)
		i = (i + 1) & (s->room - 1);
	return i;
}

bool seen_get(const struct seen *s, uint64_t hash, int *value)
{
	size_t i;

	if (!s->room)
		return false;
	i = seen_slot(s, hash | 1);
	*value = s->slot[i].value;
	return s->slot[i].hash != 0;
}

static void seen_grow(struct seen *s)
{
	struct seen old = *s;
	size_t i;

	s->room = old.room ? 2 * old.room : 1024;
	s->slot = emubd_must(calloc(s->room, sizeof(*s->slot)));
	for (i = 0; i < old.room; i++)
		if (old.slot[i].hash)
			s->slot[seen_slot(s, old.slot[i].hash)] = old.slot[i];
	free(old.slot);
}

void seen_put(struct seen *s, uint64_t hash, int value)
{
	size_t i;

	if (2 * s->n >= s->room)
		seen_grow(s);
	i = seen_slot(s, hash | 1);
	s->n += !s->slot[i].hash;
	s->slot[i].hash = hash | 1;
	s->slot[i].value = value;
}

void seen_free(struct seen *s)
{
	free(s->slot);
	*s = (struct seen){ .slot = NULL };
}
