/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Notes of what to change, and the lines that were said with their answers. */
#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"
#include "base/err.h"
#include "fsck.h"

#define SAID_MIN	64

/*
 * A line is known by a hash of 64 bits: of two that share one, the second
 * would be left out of the output and answered like the first.
 */
struct said {
	uint64_t hash;		/* 0: empty place */
	unsigned int round;	/* met last in */
	bool answered, yes;
};

/* -------------------------------------------------------------------- lines */

static struct said *place(const struct fixes *fx, uint64_t hash)
{
	size_t i = hash & (fx->said_size - 1);

	while (fx->said[i].hash && fx->said[i].hash != hash)
		i = (i + 1) & (fx->said_size - 1);
	return &fx->said[i];
}

static int grow(struct fixes *fx)
{
	struct said *old = fx->said;
	size_t size = fx->said_size, i;

	fx->said_size = size ? 2 * size : SAID_MIN;
	fx->said = calloc(fx->said_size, sizeof(*fx->said));
	if (!fx->said) {
		fx->said = old;
		fx->said_size = size;
		return -ENOMEM;
	}
	for (i = 0; i < size; i++)
		if (old[i].hash)
			*place(fx, old[i].hash) = old[i];
	free(old);
	return 0;
}

static uint64_t line_hash(const struct fixes *fx, const char *line)
{
	uint64_t hash = owfs_checksum(fx->seed, line, strlen(line));

	return hash ? hash : 1;
}

bool fixes_is_news(struct fixes *fx, const char *line)
{
	uint64_t hash = line_hash(fx, line);
	struct said *s;

	if (2 * fx->nsaid >= fx->said_size && grow(fx)) {
		fx->err = -ENOMEM;
		return true;
	}
	s = place(fx, hash);
	if (s->hash) {
		s->round = fx->round;
		return false;
	}
	*s = (struct said){ .hash = hash, .round = fx->round };
	fx->nsaid++;
	return true;
}

static bool keeps_blocks(enum owfs_problem what)
{
	return owfs_problem_info(what)->number / 100 <= 4;
}

static void count_refusal(struct fixes *fx, enum owfs_problem what)
{
	fx->refused++;
	if (what == BAD_MAP_READ || what == BAD_MAP_FREE ||
	    what == BAD_MAP_FREED)
		fx->refused_map++;
	if (what == BAD_NODE_READ || what == BAD_NODE_TWICE)
		fx->refused_hole++;
	if (what == BAD_SUPER_SHORT)
		fx->is_short = true;
	if (keeps_blocks(what))
		fx->refused_loss++;
	if (owfs_problem_info(what)->class == OWFS_CLASS_DANGER)
		fx->refused_danger++;
	if (owfs_problem_info(what)->number / 100 == 3 ||
	    what == BAD_ROOT_DIR || what == BAD_DIR_LOOP)
		fx->refused_items++;
}

/*
 * Nobody is asked for what would not be done.  What is not repaired may own what
 * seems to belong to nobody; and where a part of the device is missing nothing
 * is written.
 */
static bool has_to_stay(const struct fixes *fx, enum owfs_problem what)
{
	return fx->is_short ||
	       ((what == BAD_MAP_LEAK || what == BAD_MAP_COUNT) &&
		fx->refused_loss);
}

bool fixes_answer(struct fixes *fx, enum owfs_problem what, const char *line)
{
	const struct owfs_problem_info *info = owfs_problem_info(what);
	struct said *s = fx->said_size ? place(fx, line_hash(fx, line)) : NULL;

	fx->why = what;
	if (!s || !s->hash)	/* no memory */
		return false;
	if (has_to_stay(fx, what))
		return false;
	if (!s->answered) {
		s->answered = true;
		s->yes = info->repair && fx->ask(fx->ask_ctx, info, line);
	}
	if (!s->yes)
		count_refusal(fx, what);
	return s->yes;
}

unsigned int fixes_gone(const struct fixes *fx)
{
	unsigned int n = 0;
	size_t i;

	for (i = 0; i < fx->said_size; i++)
		n += fx->said[i].hash && fx->said[i].yes &&
		     fx->said[i].round < fx->round;
	return n;
}

/* ------------------------------------------------------------------- rounds */

static void list_clear(struct fixlist *l)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		free(l->v[i].val);
	free(l->v);
	*l = (struct fixlist){ 0 };
}

void fixes_new_round(struct fixes *fx)
{
	struct fixes next = {
		.ask = fx->ask, .ask_ctx = fx->ask_ctx,
		.only_safe = fx->only_safe,
		.said = fx->said, .said_size = fx->said_size,
		.nsaid = fx->nsaid, .round = fx->round + 1,
		.on_the_way = fx->on_the_way,
		.small_steps = fx->small_steps,
		.no_room = fx->no_room,
		.salvaged = fx->salvaged,
		.unwritable = fx->unwritable,
		.rewritten = fx->rewritten,
		.nameless = fx->nameless, .nnameless = fx->nnameless,
		.claimed = fx->claimed, .nclaimed = fx->nclaimed };
	int i;

	for (i = 0; i < FIX_PHASES; i++)
		list_clear(&fx->list[i]);
	*fx = next;
}

void fixes_free(struct fixes *fx)
{
	fixes_new_round(fx);
	free(fx->nameless);
	fx->nameless = NULL;
	fx->nnameless = 0;
	free(fx->claimed);
	fx->claimed = NULL;
	fx->nclaimed = 0;
	free(fx->said);
	fx->said = NULL;
	fx->said_size = fx->nsaid = 0;
}

size_t fixes_pending(const struct fixes *fx)
{
	size_t n = fx->map_bad + fx->map_leak + fx->map_count + (fx->slots != 0) +
		   (fx->ino_limit != 0) + fx->previous + fx->go_back +
		   fx->find_unmap;
	int i;

	for (i = 0; i < FIX_PHASES; i++)
		n += fx->list[i].n;
	return n;
}

/* -------------------------------------------------------------------- notes */

static struct fix *note(struct check *ck, enum fix_phase ph, enum fix_kind kind)
{
	struct fixes *fx = ck->fixes;
	struct fixlist *l = &fx->list[ph];
	struct fix *f;

	if (l->n == l->cap) {
		f = realloc(l->v, (2 * l->cap + 16) * sizeof(*f));
		if (!f) {
			fx->err = -ENOMEM;
			return NULL;
		}
		l->v = f;
		l->cap = 2 * l->cap + 16;
	}
	f = &l->v[l->n];
	*f = (struct fix){ .kind = kind, .why = fx->why };
	l->n++;
	return f;
}

static void note_key(struct check *ck, enum fix_phase ph, enum fix_kind kind,
		     struct owfs_key key, struct owfs_key last)
{
	struct fix *f = note(ck, ph, kind);

	if (!f)
		return;
	f->key = key;
	f->last = last;
}

void fix_touch(struct check *ck, struct owfs_key key)
{
	ck->fixes->keep_freed = true;
	note_key(ck, FIX_NODES, FIX_TOUCH, key, key);
}

void fix_cut(struct check *ck, const struct owfs_ptr *ptr, unsigned int level,
	     struct owfs_key low, struct owfs_key last)
{
	struct fix *f = note(ck, FIX_HOLES, FIX_CUT);

	if (!f)
		return;
	f->key = low;
	f->last = last;
	f->value = level;
	f->ptr = *ptr;
}

void fix_put(struct check *ck, enum fix_phase ph, struct owfs_key key,
	     const void *val, size_t len)
{
	struct fix *f = note(ck, ph, FIX_PUT);

	if (!f)
		return;
	f->key = key;
	f->val = malloc(len);
	if (!f->val) {
		ck->fixes->err = -ENOMEM;
		return;
	}
	memcpy(f->val, val, len);
	f->len = (uint16_t)len;
}

void fix_del(struct check *ck, enum fix_phase ph, struct owfs_key key)
{
	note_key(ck, ph, FIX_DEL, key, key);
}

void fix_del_range(struct check *ck, enum fix_phase ph, struct owfs_key first,
		   struct owfs_key last)
{
	note_key(ck, ph, FIX_DEL_RANGE, first, last);
}

/* Items of types that are not known stay, as long as that is. */
void fix_del_inode(struct check *ck, owfs_ino_t ino)
{
	fix_del_range(ck, FIX_ITEMS, owfs_key(ino, OWFS_ITEM_INODE, 0),
		      owfs_key(ino, OWFS_ITEM_DIRENT, UINT64_MAX));
	fix_del_range(ck, FIX_ITEMS, owfs_key(ino, OWFS_ITEM_EXTENT, 0),
		      owfs_key(ino, OWFS_ITEM_INTENT, UINT64_MAX));
}

void fix_move(struct check *ck, struct owfs_key key, uint64_t hash)
{
	struct owfs_key to = key;

	to.off = hash << OWFS_HASH_SEQ_BITS;
	note_key(ck, FIX_ITEMS, FIX_MOVE, key, to);
}

/*
 * What the inode coming by was said to have, and is not to be touched, the sums
 * over its items may leave out, or count twice.
 */
static bool is_in_doubt(const struct check *ck, enum fix_phase ph)
{
	const struct fixes *fx = ck->fixes;

	return fx->only_safe && ph == FIX_ITEMS &&
	       fx->refused_items > ck->obj.refused_before;
}

void fix_attr(struct check *ck, enum fix_phase ph, owfs_ino_t ino,
	      enum fix_attr attr, uint64_t value)
{
	struct fix *f = is_in_doubt(ck, ph) ? NULL : note(ck, ph, FIX_ATTR);

	if (!f)
		return;
	f->key = owfs_key(ino, OWFS_ITEM_INODE, 0);
	f->attr = attr;
	f->value = value;
}

void fix_entry(struct check *ck, enum fix_phase ph, struct owfs_key key,
	       bool is_dir)
{
	struct fix *f = note(ck, ph, FIX_ENTRY);

	if (!f)
		return;
	f->key = key;
	f->value = is_dir;
}

void fix_copy(struct check *ck, struct owfs_key key)
{
	note_key(ck, FIX_ITEMS, FIX_COPY, key, key);
}

void fix_unmap(struct check *ck, struct owfs_key key)
{
	note_key(ck, FIX_ITEMS, FIX_UNMAP, key, key);
}

void fix_lost(struct check *ck, owfs_ino_t ino)
{
	struct owfs_key key = owfs_key(ino, OWFS_ITEM_INODE, 0);

	note_key(ck, FIX_NAMES, FIX_LOST, key, key);
}

void fix_root(struct check *ck)
{
	struct owfs_key key = owfs_key(OWFS_INO_ROOT, OWFS_ITEM_INODE, 0);

	note_key(ck, FIX_NAMES, FIX_ROOT, key, key);
}
