/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Damage by chance, from a seed, and the repair after it.
 *
 * Whatever was done, with checksums left wrong or made right: the repair ends;
 * if it says that no problem is left, the check agrees, the filesystem mounts,
 * works and is sound afterwards; a second repair changes nothing; and every
 * file is what it was, or is named in the report (none is silently wrong).
 *
 * FORGED_CASES=N for more cases, FORGED_SEED=N to begin elsewhere; a failure
 * names the seed of its case.  FSCK_TALK=1 shows what is said.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/util.h"
#include "file/attr.h"
#include "file/file.h"
#include "file/namei.h"
#include "fsck_defects.h"
#include "repair.h"
#include "trans/trans.h"

#define MAX_FILES	32
#define MAX_META	512

/* What a file was. */
struct known {
	owfs_ino_t ino;
	uint32_t mode;
	uint64_t size, content;
};

struct scene {
	struct image im;
	struct known file[MAX_FILES], before[MAX_FILES];
	unsigned int nfiles;
	uint64_t items;
	owfs_fsblock_t meta[MAX_META];	/* nodes of both commits, slots of the map */
	unsigned int nmeta;
};

/* What cannot be compared: inodes whose items were changed on purpose. */
struct touched {
	owfs_ino_t ino[16];
	unsigned int n;
	bool all;
};

static struct scene plain, grown, dup;

/* ------------------------------------------------------------- what is said */

struct report {
	char *text;
	size_t len, cap;
};

static void collect(void *ctx, enum owfs_msg_level level, const char *line)
{
	struct report *r = ctx;
	size_t n = strlen(line);

	(void)level;
	if (getenv("FSCK_TALK"))
		fprintf(stderr, "\t%s\n", line);
	if (r->len + n + 2 > r->cap) {
		r->cap = 2 * r->cap + n + 256;
		r->text = realloc(r->text, r->cap);
		assert_non_null(r->text);
	}
	memcpy(r->text + r->len, line, n);
	r->len += n;
	r->text[r->len++] = '\n';
	r->text[r->len] = '\0';
}

static bool names_inode(const struct report *r, owfs_ino_t ino)
{
	char what[3][40];
	int i;

	snprintf(what[0], sizeof(what[0]), "inode %llu:",
		 (unsigned long long)ino);
	snprintf(what[1], sizeof(what[1]), "inode=%llu ",
		 (unsigned long long)ino);
	snprintf(what[2], sizeof(what[2]), "directory %llu:",
		 (unsigned long long)ino);
	for (i = 0; i < 3; i++)
		if (r->text && strstr(r->text, what[i]))
			return true;
	return false;
}

static bool say_yes(void *ctx, const struct owfs_problem_info *info,
		    const char *line)
{
	(void)ctx;
	(void)info;
	(void)line;
	return true;
}

static int repair(struct image *im, struct report *text,
		  struct owfs_repair_report *r)
{
	const struct owfs_msg msg = { collect, text, OWFS_MSG_WARN };
	const struct owfs_repair_param p = {
		.check = { .commits = OWFS_CHECK_CURRENT | OWFS_CHECK_PREVIOUS,
			   .msg = &msg },
		.env = &im->env.env,
		.ask = say_yes,
	};

	return owfs_repair(emubd_blkdev(im->e), &p, r);
}

/* --------------------------------------------------------------- what it was */

/* 0, or why it cannot be read. */
static int look_at(struct owfs_fs *fs, owfs_ino_t ino, struct known *k)
{
	struct owfs_inode *inode;
	unsigned char *buf = NULL;
	ssize_t n = 0;
	int ret = owfs_iget(fs, ino, &inode);

	if (ret)
		return ret;
	*k = (struct known){ .ino = ino, .mode = inode->i_attr.mode,
			     .size = S_ISDIR(inode->i_attr.mode) ? 0 :
				     inode->i_attr.size };
	if (k->size > 1 << 20)
		k->content = 1;
	else if (k->size) {
		assert_int_equal(posix_memalign((void **)&buf, OWFS_IO_ALIGN,
						k->size), 0);
		n = S_ISLNK(k->mode)
			? owfs_readlink(inode, (char *)buf, k->size)
			: owfs_file_read(inode, buf, k->size, 0);
		if (n >= 0)
			k->content = XXH3_64bits(buf, (size_t)n);
		free(buf);
	}
	owfs_iput(inode);
	return n < 0 ? (int)n : 0;
}

static struct owfs_fs *mount_it(struct image *im, unsigned int flags)
{
	struct owfs_fs *fs;
	int ret = rig_mount(&fs, im->e, &im->env, flags, NULL);

	return ret ? NULL : fs;
}

static int note_node(void *ctx, const struct owfs_ptr *ptr, unsigned int level,
		     const void *data)
{
	struct scene *s = ctx;
	int i;

	(void)level;
	(void)data;
	for (i = 0; i < 2; i++)
		if (ptr->addr[i] && s->nmeta < MAX_META)
			s->meta[s->nmeta++] = ptr->addr[i];
	return 0;
}

static void learn_nodes(struct scene *s, unsigned int flags)
{
	const struct owfs_btree_visitor v = { .enter = note_node, .ctx = s };
	struct owfs_fs *fs = mount_it(&s->im, RIG_READONLY | flags);
	unsigned int slot;

	assert_non_null(fs);
	assert_int_equal(owfs_btree_visit(fs->fs_bt, &v), 0);
	for (slot = 0; slot < OWFS_MAP_SLOTS && !flags; slot++) {
		s->meta[s->nmeta++] = owfs_geo_bitmap_slot(&fs->fs_geo, 0,
							   slot);
		s->meta[s->nmeta++] = owfs_geo_map_slot(&fs->fs_geo, 1, 0,
							slot);
	}
	owfs_mount_abandon(fs);
}

/* ... and in the commit before, which is where a repair may go back to. */
static void learn_before(struct scene *s)
{
	struct owfs_fs *fs = mount_it(&s->im, RIG_READONLY | RIG_FALLBACK);
	unsigned int i;

	assert_non_null(fs);
	for (i = 0; i < s->nfiles; i++)
		if (look_at(fs, s->file[i].ino, &s->before[i]))
			s->before[i] = (struct known){ .ino = 0 };
	owfs_mount_abandon(fs);
}

static void learn(struct scene *s)
{
	struct owfs_check_report r;
	struct owfs_fs *fs = mount_it(&s->im, RIG_READONLY);
	owfs_ino_t ino;

	assert_non_null(fs);
	for (ino = OWFS_INO_FIRST; ino < OWFS_INO_FIRST + MAX_FILES; ino++)
		if (!look_at(fs, ino, &s->file[s->nfiles]))
			s->nfiles++;
	owfs_mount_abandon(fs);
	assert_true(s->nfiles > 6);
	learn_before(s);
	learn_nodes(s, 0);
	learn_nodes(s, RIG_FALLBACK);
	assert_int_equal(image_check(&s->im, 0, &r), 0);
	assert_int_equal(r.problems, 0);
	s->items = r.items;
}

/* ------------------------------------------------------------------- damage */

static void touch(struct touched *t, owfs_ino_t ino)
{
	assert_true(t->n < ARRAY_SIZE(t->ino));
	t->ino[t->n++] = ino;
}

static bool is_touched(const struct touched *t, owfs_ino_t ino)
{
	unsigned int i;

	for (i = 0; i < t->n; i++)
		if (t->ino[i] == ino)
			return true;
	return t->all;
}

/* One item gets other bytes, another length or another key. */
static void forge_item(struct image *im, const struct scene *s, struct rng *rng,
		       struct touched *t)
{
	struct owfs_key key = { 0, 0 }, last = OWFS_KEY_MAX;
	unsigned char val[OWFS_ITEM_MAX] = { 0 };
	uint64_t skip;
	int len = 0;

	edit_begin(im);
	for (skip = rng_below(rng, s->items); ; skip--, key.off++) {
		len = owfs_btree_next(im->fs->fs_bt, &key, &last, val,
				      sizeof(val));
		if (len <= 0) {	/* fewer than there were */
			edit_end(im);
			return;
		}
		if (!skip)
			break;
	}
	touch(t, key.obj >> 8);
	touch(t, ((struct owfs_dirent_item *)val)->ino.raw);
	if (rng_below(rng, 4) == 0)
		len = 1 + (int)rng_below(rng, OWFS_ITEM_MAX);
	switch (rng_below(rng, 4)) {
	case 0:
		val[rng_below(rng, (uint64_t)len)] ^= 1 << rng_below(rng, 8);
		break;
	case 1:
		val[rng_below(rng, (uint64_t)len)] = 0;
		break;
	case 2:
		val[rng_below(rng, (uint64_t)len)] = 0xff;
		break;
	default:
		val[rng_below(rng, (uint64_t)len)] = (unsigned char)rng_next(rng);
	}
	if (rng_below(rng, 5) == 0) {
		item_del(im, key);
		key.off = rng_next(rng) >> rng_below(rng, 64);
	}
	if (rng_below(rng, 8) == 0)
		key.obj = (key.obj & ~0xffull) | (1 + rng_below(rng, 13));
	if (rng_below(rng, 10))
		item_put(im, key, val, (size_t)len);
	edit_end(im);
}

static void poke_node(struct image *im, unsigned char *node, void *ctx)
{
	struct rng *rng = ctx;
	unsigned int n = 1 + (unsigned int)rng_below(rng, 3);

	while (n--)
		node[rng_below(rng, rng_below(rng, 2) ? 400 :
			       im->sb.blocksize)] = (unsigned char)rng_next(rng);
}

/* A block of metadata as it comes from a bad device: the checksum is wrong. */
static void hit_block(struct image *im, const struct scene *s, struct rng *rng)
{
	uint64_t a = s->meta[rng_below(rng, s->nmeta)];
	uint64_t b = s->meta[rng_below(rng, s->nmeta)];
	unsigned char one[4096], two[4096] = { 0 };

	emubd_peek(im->e, one, sizeof(one), a * 4096);
	switch (rng_below(rng, 5)) {
	case 0:
		emubd_flip_bit(im->e, a * 4096 + rng_below(rng, 4096),
			       (unsigned int)rng_below(rng, 8));
		break;
	case 1:
		emubd_poke(im->e, two, sizeof(two), a * 4096);
		break;
	case 2:
		emubd_garbage(im->e, a * 4096, 4096, rng_next(rng));
		break;
	case 3:	/* swapped */
		emubd_peek(im->e, two, sizeof(two), b * 4096);
		emubd_poke(im->e, two, sizeof(two), a * 4096);
		emubd_poke(im->e, one, sizeof(one), b * 4096);
		break;
	default: /* misdirected */
		emubd_poke(im->e, one, sizeof(one), b * 4096);
	}
}

static void hit_super(struct image *im, struct rng *rng)
{
	uint64_t pos = slot_pos((unsigned int)rng_below(rng, 4));

	emubd_flip_bit(im->e, pos + rng_below(rng, 512),
		       (unsigned int)rng_below(rng, 8));
}

static void damage(struct image *im, const struct scene *s, struct rng *rng,
		   struct touched *t)
{
	unsigned int n = 1 + (unsigned int)rng_below(rng, 3);

	/*
	 * What needs a sound filesystem to be made comes first.  It moves the
	 * metadata, so whatever block is hit afterwards held some before.
	 */
	while (n-- && rng_below(rng, 4) != 0)
		forge_item(im, s, rng, t);
	switch (rng_below(rng, 4)) {
	case 0:
		root_edit(im, poke_node, rng);
		t->all = true;
		break;
	case 1:
		hit_block(im, s, rng);
		break;
	case 2:
		hit_super(im, rng);
		break;
	default:
		break;
	}
}

/* -------------------------------------------------------------------- judge */

static const char *show(owfs_ino_t ino, const char *what)
{
	print_message("inode %llu: %s\n", (unsigned long long)ino, what);
	return what;
}

static bool is_same(const struct known *a, const struct known *b)
{
	return a->ino == b->ino && a->mode == b->mode && a->size == b->size &&
	       a->content == b->content;
}

/* No file may have come back silently wrong. */
static const char *compare_files(struct image *im, const struct scene *s,
				 const struct report *text,
				 const struct touched *t)
{
	bool back = text->text && strstr(text->text, "the one before it is whole");
	struct owfs_fs *fs = mount_it(im, RIG_READONLY);
	struct known now;
	unsigned int i;
	const char *wrong = NULL;

	if (!fs)
		return "cannot be mounted";
	for (i = 0; i < s->nfiles && !wrong; i++) {
		const struct known *k = &s->file[i];
		int ret = look_at(fs, k->ino, &now);

		if (ret == -ENOENT || ret == -ESTALE)
			continue;	/* gone is not wrong */
		if (ret)
			wrong = show(k->ino, "a file cannot be read");
		else if (!is_same(&now, k) &&
			 !(back && is_same(&now, &s->before[i])) &&
			 !is_touched(t, k->ino) && !names_inode(text, k->ino))
			wrong = show(k->ino, "a file is silently wrong");
	}
	owfs_mount_abandon(fs);
	return wrong;
}

/* It is used, and sound afterwards. */
static const char *use_it(struct image *im)
{
	struct op create = { .kind = OP_CREATE, .path = "new" };
	struct op write = { .kind = OP_WRITE, .path = "new", .len = 50000,
			    .seed = 1 };
	struct owfs_check_report r;
	struct owfs_fs *fs = mount_it(im, 0);
	int ret;

	if (!fs)
		return "cannot be mounted for writing";
	ret = rig_apply(fs, &create);
	if (!ret || ret == -EEXIST)
		ret = rig_apply(fs, &write);
	if (ret && ret != -ENOSPC) {
		owfs_mount_abandon(fs);
		return "does not work";
	}
	if (owfs_unmount(fs))
		return "cannot be unmounted";
	if (image_check(im, OWFS_CHECK_CURRENT | OWFS_CHECK_PREVIOUS, &r) ||
	    r.problems)
		return "is not sound after use";
	return NULL;
}

static const char *judge(struct image *im, const struct scene *s,
			 struct report *text, const struct touched *t,
			 bool *whole)
{
	struct owfs_repair_report r;
	struct owfs_check_report c;
	const char *wrong;
	uint64_t hash;
	int ret = repair(im, text, &r);

	*whole = !ret && !r.left.problems;
	hash = emubd_hash(im->e);
	if (repair(im, text, &r) != ret)
		return "a second repair says something else";
	if (r.changed || emubd_hash(im->e) != hash)
		return "a second repair goes on";
	if (!*whole)
		return NULL;
	if (image_check(im, OWFS_CHECK_CURRENT | OWFS_CHECK_PREVIOUS, &c) ||
	    c.problems || !c.clean)
		return "the check disagrees";
	wrong = compare_files(im, s, text, t);
	return wrong ? wrong : use_it(im);
}

static bool run_case(const struct scene *s, uint64_t seed)
{
	struct rng rng = { .s = seed };
	struct report text = { 0 };
	struct touched t = { .n = 0 };
	struct image im;
	const char *wrong;
	bool whole;

	image_fork(&im, &s->im);
	rng_next(&rng);
	damage(&im, s, &rng, &t);
	wrong = judge(&im, s, &text, &t, &whole);
	if (wrong)
		fail_msg("seed %llu: %s\n%s", (unsigned long long)seed, wrong,
			 text.text ? text.text : "");
	free(text.text);
	image_free(&im);
	return whole;
}

static void run_cases(const struct scene *s, unsigned int n)
{
	const char *cases = getenv("FORGED_CASES");
	const char *first = getenv("FORGED_SEED");
	uint64_t seed = first ? strtoull(first, NULL, 0) : 1, i;
	unsigned int whole = 0;

	if (cases)
		n = (unsigned int)strtoul(cases, NULL, 0);
	for (i = 0; i < n; i++)
		whole += run_case(s, seed + i);
	print_message("%u of %u whole again\n", whole, n);
}

static void test_a_plain_tree_survives(void **state)
{
	(void)state;
	run_cases(&plain, 400);
}

static void test_a_tree_of_several_nodes_survives(void **state)
{
	(void)state;
	run_cases(&grown, 400);
}

static void test_a_tree_with_two_copies_survives(void **state)
{
	(void)state;
	run_cases(&dup, 400);
}

/* ------------------------------------------------------------------ setup */

/* Enough files that there are many leaves. */
static void fill(struct image *im)
{
	struct op op = { .kind = OP_CREATE };
	struct owfs_fs *fs = mount_it(im, 0);
	unsigned int i;

	assert_non_null(fs);
	for (i = 0; i < 300; i++) {
		snprintf(op.path, sizeof(op.path), "dir/%u-%040u", i, i);
		assert_int_equal(rig_apply(fs, &op), 0);
	}
	assert_int_equal(owfs_unmount(fs), 0);
}

static int setup(void **state)
{
	(void)state;
	image_make(&plain.im, 4096, 1);
	learn(&plain);
	image_make(&grown.im, 4096, 1);
	fill(&grown.im);
	learn(&grown);
	image_make(&dup.im, 4096, 2);
	fill(&dup.im);
	learn(&dup);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	image_free(&plain.im);
	image_free(&grown.im);
	image_free(&dup.im);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_plain_tree_survives),
		cmocka_unit_test(test_a_tree_of_several_nodes_survives),
		cmocka_unit_test(test_a_tree_with_two_copies_survives),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
