/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Damaged images, repaired and compared with what they were. */
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
#include "repair_judge.h"
#include "trans/trans.h"

/* ------------------------------------------------------------- what is said */

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
	if (r->marked)
		emubd_mark(r->marked, r->len);
}

static bool report_names(const struct report *r, owfs_ino_t ino)
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

static int repair_as(struct image *im, bool only_safe, struct report *text,
		     struct owfs_repair_report *r)
{
	const struct owfs_msg msg = { collect, text, OWFS_MSG_WARN };
	const struct owfs_repair_param p = {
		.check = { .commits = OWFS_CHECK_CURRENT | OWFS_CHECK_PREVIOUS,
			   .msg = &msg },
		.env = &im->env.env,
		.ask = only_safe ? ask_safe : ask_yes,
		.only_safe = only_safe,
	};

	return owfs_repair(emubd_blkdev(im->e), &p, r);
}

int repair(struct image *im, struct report *text, struct owfs_repair_report *r)
{
	return repair_as(im, false, text, r);
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
			     .nlink = inode->i_attr.nlink,
			     .size = S_ISDIR(inode->i_attr.mode) ? 0 :
				     inode->i_attr.size };
	if (k->size > 1 << 20)
		k->content = 1;
	else if (k->size && (S_ISREG(k->mode) || S_ISLNK(k->mode))) {
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

	(void)data;
	s->leaves += !level;
	assert_true(s->nmeta + 2 + 2 * OWFS_MAP_SLOTS <= MAX_META);
	for (i = 0; i < 2; i++)
		if (ptr->addr[i])
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

void scene_learn(struct scene *s)
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
	learn_nodes(s, RIG_FALLBACK);
	s->leaves = 0;
	learn_nodes(s, 0);
	assert_int_equal(image_check(&s->im, 0, &r), 0);
	assert_int_equal(r.problems, 0);
	s->items = r.items;
}

/* -------------------------------------------------------------------- judge */

void touch(struct touched *t, owfs_ino_t ino)
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

uint32_t scene_intact(struct image *im, const struct scene *s)
{
	struct owfs_fs *fs = mount_it(im, RIG_READONLY);
	struct known now;
	uint32_t mask = 0;
	unsigned int i;

	for (i = 0; fs && i < s->nfiles; i++)
		if (!look_at(fs, s->file[i].ino, &now) && now.nlink &&
		    is_same(&now, &s->file[i]))
			mask |= 1u << i;
	if (fs)
		owfs_mount_abandon(fs);
	return mask;
}

const char *scene_compare(struct image *im, const struct scene *s,
			  const struct report *text, const struct touched *t)
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
			 !is_touched(t, k->ino) && !report_names(text, k->ino))
			wrong = show(k->ino, "a file is silently wrong");
	}
	owfs_mount_abandon(fs);
	return wrong;
}

/* Not with features that allow only reading. */
static bool may_write(struct image *im)
{
	struct owfs_slots slots;
	struct owfs_super sb;

	return !owfs_super_read(emubd_blkdev(im->e), &sb, &slots, NULL) &&
	       !(sb.ro_compat & ~OWFS_ROCOMPAT_KNOWN);
}

const char *scene_use(struct image *im)
{
	struct op create = { .kind = OP_CREATE, .path = "new" };
	struct op write = { .kind = OP_WRITE, .path = "new", .len = 50000,
			    .seed = 1 };
	struct owfs_check_report r;
	struct owfs_fs *fs = mount_it(im, 0);
	int ret;

	if (!fs)
		return may_write(im) ? "cannot be mounted for writing" : NULL;
	ret = rig_apply(fs, &create);
	if (!ret || ret == -EEXIST)
		ret = rig_apply(fs, &write);
	/* -EPERM: the flags that were forged say that nothing may be made */
	if (ret && ret != -ENOSPC && ret != -EPERM) {
		print_message("workload: %d\n", ret);
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

const char *judge_safely(struct image *im, const struct scene *s,
			 struct report *text, uint32_t *keep)
{
	struct owfs_repair_report r;
	struct report unread = { 0 };
	struct image at_once;
	uint64_t hash;
	int ret;

	image_fork(&at_once, im);
	ret = repair(&at_once, &unread, &r);
	*keep = ret || r.left.problems ? 0 : scene_intact(&at_once, s);
	image_free(&at_once);
	free(unread.text);
	ret = repair_as(im, true, text, &r);
	hash = emubd_hash(im->e);
	if (repair_as(im, true, text, &r) != ret)
		return "a second safe repair says something else";
	if (r.changed || emubd_hash(im->e) != hash)
		return "a second safe repair goes on";
	return NULL;
}

const char *judge(struct image *im, const struct scene *s,
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
	wrong = scene_compare(im, s, text, t);
	return wrong ? wrong : scene_use(im);
}

/* Enough files that there are many leaves. */
void scene_fill(struct image *im)
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

/* Blocks of nodes are used again after two commits, slots of the map sooner. */
void scene_age(struct scene *s)
{
	struct op op = { .kind = OP_SETXATTR, .len = 20 };
	static const char *const names[] = { "file", "dir", "other" };
	struct owfs_fs *fs;
	unsigned int i;

	for (i = 0; i < OLD_STATES; i++) {
		s->old[i] = emubd_fork(s->im.e);
		fs = mount_it(&s->im, 0);
		assert_non_null(fs);
		snprintf(op.path, sizeof(op.path), "%s", names[i % 3]);
		op.seed = i;
		assert_int_equal(rig_apply(fs, &op), 0);
		assert_int_equal(owfs_unmount(fs), 0);
	}
}

void scene_free(struct scene *s)
{
	unsigned int i;

	image_free(&s->im);
	for (i = 0; i < OLD_STATES; i++)
		emubd_destroy(s->old[i]);
}
