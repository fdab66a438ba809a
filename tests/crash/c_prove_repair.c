/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See c_prove.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "c_prove.h"
#include "fsck_defects.h"
#include "repair_damage.h"
#include "states.h"

/* Each state is repaired twice, checked, mounted and used: a sample has to do. */
#define STATES_WANTED	100

struct cutting {
	struct repair_cuts *rc;
	const struct scene *scene;
	struct image im;		/* damaged, then being repaired */
	struct emubd *damaged;		/* as it was before */
	const char *name;		/* of the defect */
	struct touched touched;
	struct report said;		/* by the repair that is cut */
	bool whole;			/* that repair left no problem ... */
	uint32_t intact;		/* ... and these files as they were */
	struct rng rng;
	uint64_t every;			/* one of so many states is judged */
	size_t cut;
	struct seen seen;
};

/* ------------------------------------------------------------------- images */

static struct scene *scene_of(uint64_t n)
{
	static struct scene scenes[3];
	struct scene *s = &scenes[n % ARRAY_SIZE(scenes)];

	if (s->im.e)
		return s;
	image_make(&s->im, 4096, n % 3 == 2 ? 2 : 1);
	if (n % 3)
		scene_fill(&s->im);
	scene_age(s);
	scene_learn(s);
	return s;
}

/* Every other number is one of the list of defects, in turn. */
static void damage(struct cutting *c)
{
	const struct defect *d = &defects[c->rc->number / 2 % ndefects];

	c->name = "by chance";
	if (c->rc->number % 2) {
		c->scene = scene_of(c->rc->number / 2);
		image_fork(&c->im, &c->scene->im);
		damage_by_chance(&c->im, c->scene, &c->rng, &c->touched);
		return;
	}
	c->name = d->name;
	c->scene = scene_of(d->dup ? 2 : 0);
	c->touched.all = true;
	image_fork(&c->im, &c->scene->im);
	if (!d->raw)
		edit_begin(&c->im);
	d->make(&c->im);
	if (!d->raw)
		edit_end(&c->im);
}

/* -------------------------------------------------------------------- judge */

/* What the user was told by then. */
static void say_again(const struct cutting *c, struct report *text)
{
	size_t i, len = 0;

	for (i = 0; i < c->cut; i++)
		if (emubd_log_at(c->im.e, i)->kind == EMUBD_MARK)
			len = emubd_log_at(c->im.e, i)->user;
	*text = (struct report){ .text = malloc(len + 1), .len = len,
				 .cap = len + 1 };
	if (!text->text)
		abort();
	if (len)
		memcpy(text->text, c->said.text, len);
	text->text[len] = '\0';
}

static const char *judge_again(struct cutting *c, struct image *im,
			       struct report *text)
{
	const char *wrong;
	bool whole;

	say_again(c, text);
	wrong = judge(im, c->scene, text, &c->touched, &whole);
	if (wrong)
		return wrong;
	if (c->whole && !whole)
		return "without the cut no problem was left";
	if (c->whole && c->intact & ~scene_intact(im, c->scene))
		return "without the cut more files were saved";
	return NULL;
}

static int judge_state(void *ctx, enum emubd_crash_mode mode, uint64_t seed)
{
	struct cutting *c = ctx;
	struct report text = { 0 };
	struct image im = c->im;
	const char *wrong = NULL;
	int known;

	if (mode != EMUBD_CRASH_PREFIX && rng_below(&c->rng, c->every))
		return 0;
	im.env.env.ctx = &im.env;
	im.e = emubd_crash(c->damaged, c->im.e, c->cut, mode, seed);
	if (seen_get(&c->seen, emubd_hash(im.e), &known)) {
		c->rc->again++;
	} else {
		seen_put(&c->seen, emubd_hash(im.e), 1);
		c->rc->states++;
		wrong = judge_again(c, &im, &text);
	}
	if (wrong)
		fprintf(stderr, "VIOLATION seed=%" PRIu64 " damage=%s cut=%zu mode=%d state=%" PRIu64 ": repair after a cut: %s\n%s\n",
			c->rc->seed, c->name, c->cut, mode, seed, wrong,
			text.text);
	free(text.text);
	image_free(&im);
	return wrong ? -1 : 0;
}

/* --------------------------------------------------------------------- cuts */

static int count_state(void *ctx, enum emubd_crash_mode mode, uint64_t seed)
{
	(void)mode;
	(void)seed;
	++*(uint64_t *)ctx;
	return 0;
}

static const struct states_plan plan = { .seeded = 1, .windows = true };

static int visit_cuts(struct cutting *c)
{
	struct rng count = { 0 };
	uint64_t n = 0;
	int ret = 0;

	for (c->cut = 0; c->cut <= emubd_log_len(c->im.e); c->cut++)
		states_visit(c->im.e, c->cut, &plan, &count, count_state, &n);
	c->every = n / STATES_WANTED + 1;
	for (c->cut = 0; c->cut <= emubd_log_len(c->im.e) && !ret; c->cut++)
		ret = states_visit(c->im.e, c->cut, &plan, &c->rng,
				   judge_state, c);
	return ret;
}

int repair_cuts_run(struct repair_cuts *rc)
{
	struct cutting c = { .rc = rc, .rng = { rc->seed } };
	struct owfs_repair_report r;
	int ret;

	damage(&c);
	c.damaged = emubd_fork(c.im.e);
	emubd_record(c.im.e, true);
	c.said.marked = c.im.e;
	ret = repair(&c.im, &c.said, &r);
	emubd_record(c.im.e, false);
	c.whole = !ret && !r.left.problems;
	c.intact = scene_intact(&c.im, c.scene);

	ret = visit_cuts(&c);
	emubd_destroy(c.damaged);
	image_free(&c.im);
	free(c.said.text);
	seen_free(&c.seen);
	return ret;
}
