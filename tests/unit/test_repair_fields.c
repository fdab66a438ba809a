/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Each field of each structure on the device, made wrong in each way, with the
 * checksums left as they were and with all of them made right again; and the
 * repair after it.  FIELDS_ONLY=FIELD for some of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "edit.h"
#include "repair_judge.h"

static struct scene plain, dup;

/* ------------------------------------------------------------------- places */

/* Where each structure is found; what a change there makes incomparable. */
static const struct instance {
	const char *place;
	bool everything;		/* else what the item's inode has */
	bool intents;			/* only where there are some */
} instances[] = {
	{ "super", true, false },
	{ "root", true, false },
	{ "leaf:0", true, false },
	{ "slot:0:0", true, false },
	{ "slot:0:1", true, false },
	{ "pointer:0", true, false },
	{ "pointer:1", true, false },
	{ "inode:file", false, false },
	{ "inode:dir", false, false },
	{ "dirent:file", false, false },
	{ "xattr:file", false, false },
	{ "extent:file", false, false },
	{ "symlink:link", false, false },
	{ "acl:dir", false, false },
	{ "intent:other", false, true },
	{ "orphan:other", false, true },
	{ "map", false, false },
	{ "entry:0", false, false },
	{ "entry:1", false, false },
	{ "bitmap:0", false, false },
	{ "bits:0", false, false },
};

/* ------------------------------------------------------------------ editing */

struct kase {
	const struct instance *in;
	const struct field *f;
	enum field_verb verb;
	bool fix;			/* checksums, up to the superblock */
	struct touched t;
};

/* With its checksum wrong one superblock is enough; right, all are alike. */
static const char *place_of(const struct kase *c)
{
	return c->f->of == FIELD_SUPER && !c->fix ? "super:0" : c->in->place;
}

static void change(struct image *im, struct kase *c)
{
	struct edit_place pl;
	struct edit ed;

	assert_int_equal(edit_open(&ed, emubd_blkdev(im->e), &im->env.env), 0);
	ed.left = !c->fix;
	ed.rng.s = 7 + c->verb;
	ed.copy = (int)(c->verb % 3) - 1;	/* both, or one of two */
	if (edit_find(&ed, place_of(c), &pl))
		fail_msg("%s: %s", c->in->place, ed.why);
	assert_true(c->f->off + c->f->len <= pl.len);
	c->t.all = c->fix && c->in->everything;
	if (pl.val_len) {
		touch(&c->t, owfs_key_ino(&pl.key));
		touch(&c->t, pl.key.off);	/* of an orphan's item */
	}
	field_change(c->verb, edit_at(&pl) + c->f->off, c->f->len, 1, &ed.rng);
	assert_int_equal(edit_store(&ed, &pl), 0);
	edit_place_free(&pl);
}

/* ------------------------------------------------------------------- cases */

static void run_case(const struct scene *s, struct kase *c, unsigned int *whole)
{
	struct report text = { 0 };
	struct image im;
	const char *wrong;
	bool ok;

	image_fork(&im, &s->im);
	change(&im, c);
	wrong = judge(&im, s, &text, &c->t, &ok);
	if (wrong)
		fail_msg("%s %s %s, checksum %s: %s\n%s",
			 field_verb_name(c->verb), c->in->place, c->f->name,
			 c->fix ? "fixed" : "left", wrong,
			 text.text ? text.text : "");
	*whole += ok;
	free(text.text);
	image_free(&im);
}

static enum field_of structure_of(const struct scene *s,
				  const struct instance *in)
{
	struct image im = s->im;
	struct edit_place pl;
	struct edit ed;
	enum field_of of;

	assert_int_equal(edit_open(&ed, emubd_blkdev(im.e), NULL), 0);
	if (edit_find(&ed, in->place, &pl))
		fail_msg("%s: %s", in->place, ed.why);
	of = pl.of;
	edit_place_free(&pl);
	return of;
}

static void run_instance(const struct scene *s, const struct instance *in,
			 unsigned int *n, unsigned int *whole)
{
	enum field_of of = structure_of(s, in);
	const char *only = getenv("FIELDS_ONLY");
	unsigned int verb, fix;
	size_t i;

	for (i = 0; i < nfields; i++) {
		if (fields[i].of != of || (only && strcmp(fields[i].name, only)))
			continue;
		for (verb = 0; verb < FIELD_VERBS; verb++)
			for (fix = 0; fix < 2; fix++, ++*n)
				run_case(s, &(struct kase){
					.in = in, .f = &fields[i],
					.verb = verb, .fix = fix }, whole);
	}
}

static void run_all(const struct scene *s, bool intents)
{
	unsigned int n = 0, whole = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(instances); i++)
		if (intents || !instances[i].intents)
			run_instance(s, &instances[i], &n, &whole);
	print_message("ok: fields=%u\n%u of them whole again\n", n, whole);
}

static void test_each_field_of_a_tree_of_a_few_leaves(void **state)
{
	(void)state;
	run_all(&plain, false);
}

static void test_each_field_where_nodes_have_two_copies_and_ranges_are_doomed(void **state)
{
	(void)state;
	run_all(&dup, true);
}

/* Blocks past its end that nobody has reclaimed yet. */
static void doom(struct image *im)
{
	struct edit ed;

	assert_int_equal(edit_open(&ed, emubd_blkdev(im->e), &im->env.env), 0);
	if (edit_script(&ed, "insert intent other 6 end=-1\n"
			     "insert orphan #2 #other flags=2\n"
			     "set inode:other flags 1\n"
			     "renew\n"))
		fail_msg("%s", ed.why);
}

static int setup(void **state)
{
	(void)state;
	image_make(&plain.im, 4096, 1);
	scene_learn(&plain);
	image_make(&dup.im, 4096, 2);
	doom(&dup.im);
	scene_learn(&dup);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	image_free(&plain.im);
	image_free(&dup.im);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_field_of_a_tree_of_a_few_leaves),
		cmocka_unit_test(test_each_field_where_nodes_have_two_copies_and_ranges_are_doomed),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
