/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The language of the editor: a command a line, words between blanks, # at the
 * start of a line for comments.
 *
 *	checksums left | right		from now on (right)
 *	commit last | before		which one is edited (last)
 *	copies first | second | both	of nodes written twice (both)
 *	seed N				of random
 *
 *	zero ones first middle last random PLACE [FIELD]
 *	add sub PLACE FIELD [N]
 *	set PLACE FIELD VALUE
 *	copy TO FROM [FIELD]		the same field, or all
 *	swap PLACE PLACE [FIELD]
 *	flip PLACE BYTE [BIT]
 *	used unused BLOCK N		bits of the map, no count
 *	stale PLACE			a node as the commit before has it
 *	address PLACE			let the block say that it belongs here
 *
 *	insert TYPE FILE OFFSET [FIELD=VALUE...] [size=N] ['TEXT]
 *	delete ITEM
 *	duplicate move ITEM FILE OFFSET
 *	resize ITEM N
 *	renew				write every node anew
 *	truncate BYTES
 *	show PLACE [FIELD]
 *
 * VALUE is a number (-N counts back from 2^64); 'TEXT; #FILE, its inode number;
 * @PLACE, the block where a place is; $PLACE,FIELD.  The last two may have +N or
 * -N behind them.  OFFSET is such a number, hash:NAME, = the same as before, +N.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "edit_impl.h"

#define MAX_WORDS	16

/* ------------------------------------------------------------------- values */

static int field_at(struct edit *ed, struct edit_place *pl, const char *name,
		    size_t *off, size_t *len)
{
	const struct field *f;

	*off = 0;
	*len = pl->len;
	if (!name)
		return 0;
	f = field_find(pl->of, name);
	if (!f)
		return edit_fail(ed, "%s has no field %s",
				 field_structure(pl->of), name);
	if (f->off + f->len > pl->len)
		return edit_fail(ed, "%s is not all there", name);
	*off = f->off;
	*len = f->len;
	return 0;
}

static uint64_t get_number(const unsigned char *p, size_t len)
{
	le64_t v = { 0 };

	memcpy(&v, p, min_u64(len, sizeof(v)));
	return le64_to_cpu(v);
}

/* @PLACE or $PLACE,FIELD */
static int refer(struct edit *ed, char *word, uint64_t *v)
{
	char *name = strchr(word, ',');
	struct edit_place pl;
	size_t off, len;
	int ret = 0;

	if (*word == '$' && name)
		*name++ = '\0';
	if (edit_find(ed, word + 1, &pl))
		return -1;
	if (*word == '@')
		*v = edit_last(&pl)->addr[0];
	else
		ret = field_at(ed, &pl, name, &off, &len);
	if (*word == '$' && !ret)
		*v = get_number(edit_at(&pl) + off, len);
	edit_place_free(&pl);
	return ret;
}

static int value(struct edit *ed, const char *word, uint64_t *v)
{
	char buf[300], *more, *end;
	int64_t plus = 0;

	if (*word == '#')
		return edit_ino(ed, word + 1, v);
	if (*word != '@' && *word != '$') {
		*v = strtoull(word, &end, 0);
		return *end || end == word
			? edit_fail(ed, "%s is no number", word) : 0;
	}
	snprintf(buf, sizeof(buf), "%s", word);
	more = strpbrk(buf, "+-");
	if (more) {
		plus = strtoll(more, NULL, 0);
		*more = '\0';
	}
	if (refer(ed, buf, v))
		return -1;
	*v += (uint64_t)plus;
	return 0;
}

static int put_value(struct edit *ed, const char *word, unsigned char *p,
		     size_t len)
{
	uint64_t number;
	le64_t v;

	if (*word == '\'') {
		memset(p, 0, len);
		memcpy(p, word + 1, min_u64(strlen(word + 1), len));
		return 0;
	}
	if (value(ed, word, &number))
		return -1;
	v = cpu_to_le64(number);
	if (len > sizeof(v))
		memset(p, 0, len);
	memcpy(p, &v, min_u64(len, sizeof(v)));
	return 0;
}

static int offset(struct edit *ed, const char *word, struct owfs_key *key,
		  uint64_t old)
{
	if (!strncmp(word, "hash:", 5)) {
		*key = edit_hash_key(ed, owfs_key_ino(key),
				     owfs_key_type(key), word + 5);
		return 0;
	}
	key->off = old;
	if (!strcmp(word, "="))
		return 0;
	if (value(ed, *word == '+' ? word + 1 : word, &key->off))
		return -1;
	if (*word == '+')
		key->off += old;
	return 0;
}

/* ------------------------------------------------------------------- fields */

static int change(struct edit *ed, enum field_verb verb, char **w)
{
	struct edit_place pl;
	uint64_t n = 1;
	size_t off, len;
	int ret;

	if (!w[1] || ((verb == VERB_ADD || verb == VERB_SUB) && !w[2]))
		return edit_fail(ed, "%s what?", w[0]);
	if (w[2] && w[3] && value(ed, w[3], &n))
		return -1;
	if (edit_find(ed, w[1], &pl))
		return -1;
	ret = field_at(ed, &pl, w[2], &off, &len);
	if (!ret) {
		field_change(verb, edit_at(&pl) + off, len, n, &ed->rng);
		ret = edit_store(ed, &pl);
	}
	edit_place_free(&pl);
	return ret;
}

static int do_set(struct edit *ed, char **w)
{
	struct edit_place pl;
	size_t off, len;
	int ret;

	if (edit_find(ed, w[1], &pl))
		return -1;
	ret = field_at(ed, &pl, w[2], &off, &len);
	if (!ret)
		ret = put_value(ed, w[3], edit_at(&pl) + off, len);
	if (!ret)
		ret = edit_store(ed, &pl);
	edit_place_free(&pl);
	return ret;
}

static int do_show(struct edit *ed, char **w)
{
	struct edit_place pl;
	size_t off, len, i;
	int ret;

	if (edit_find(ed, w[1], &pl))
		return -1;
	ret = field_at(ed, &pl, w[2], &off, &len);
	if (!ret && len <= 8)
		printf("%" PRIu64 "\n", get_number(edit_at(&pl) + off, len));
	else if (!ret)
		for (i = 0; i < len; i++)
			printf("%02x%s", edit_at(&pl)[off + i],
			       i % 32 == 31 || i + 1 == len ? "\n" : "");
	edit_place_free(&pl);
	return ret;
}

/* ------------------------------------------------------------ bytes, blocks */

/* What stands at a place, which is then let go. */
static int take(struct edit *ed, const char *word, const char *field,
		unsigned char *buf, size_t *len)
{
	struct edit_place pl;
	size_t off;
	int ret;

	if (edit_find(ed, word, &pl))
		return -1;
	ret = field_at(ed, &pl, field, &off, len);
	if (!ret)
		memcpy(buf, edit_at(&pl) + off, *len);
	edit_place_free(&pl);
	return ret;
}

static int give(struct edit *ed, const char *word, const char *field,
		const unsigned char *buf, size_t size)
{
	struct edit_place pl;
	size_t off, len;
	int ret;

	if (edit_find(ed, word, &pl))
		return -1;
	ret = field_at(ed, &pl, field, &off, &len);
	if (!ret) {
		memcpy(edit_at(&pl) + off, buf, min_u64(len, size));
		if (pl.whole)	/* what it says of itself is no choice */
			pl.seal = get_number(edit_last(&pl)->block +
					     offsetof(struct owfs_block_hdr,
						      bh_csum), 8);
		ret = edit_store(ed, &pl);
	}
	edit_place_free(&pl);
	return ret;
}

static int do_copy(struct edit *ed, char **w)
{
	unsigned char *buf = malloc(OWFS_BLOCK_MAX);
	size_t len;
	int ret = take(ed, w[2], w[3], buf, &len);

	if (!ret)
		ret = give(ed, w[1], w[3], buf, len);
	free(buf);
	return ret;
}

static int do_swap(struct edit *ed, char **w)
{
	unsigned char *one = malloc(OWFS_BLOCK_MAX);
	unsigned char *two = malloc(OWFS_BLOCK_MAX);
	size_t len1, len2;
	int ret = take(ed, w[1], w[3], one, &len1);

	if (!ret)
		ret = take(ed, w[2], w[3], two, &len2);
	if (!ret)
		ret = give(ed, w[1], w[3], two, len2);
	if (!ret)
		ret = give(ed, w[2], w[3], one, len1);
	free(one);
	free(two);
	return ret;
}

static int do_flip(struct edit *ed, char **w)
{
	struct edit_place pl;
	uint64_t byte, bit = 0;
	int ret;

	if (value(ed, w[2], &byte) || (w[3] && value(ed, w[3], &bit)))
		return -1;
	if (edit_find(ed, w[1], &pl))
		return -1;
	if (byte >= pl.len) {
		ret = edit_fail(ed, "there is no byte %" PRIu64, byte);
	} else {
		edit_at(&pl)[byte] ^= (unsigned char)(1u << (bit & 7));
		ret = edit_store(ed, &pl);
	}
	edit_place_free(&pl);
	return ret;
}

static int set_bits(struct edit *ed, char **w, bool used)
{
	uint64_t from, n, i, bit;
	struct edit_place pl;
	char word[40];
	int ret;

	if (value(ed, w[1], &from) || value(ed, w[2], &n))
		return -1;
	snprintf(word, sizeof(word), "bits:%" PRIu64,
		 from / ed->geo.group_blocks);
	if (edit_find(ed, word, &pl))
		return -1;
	for (i = 0; i < n; i++) {
		unsigned char *p;

		bit = (from + i) % ed->geo.group_blocks;
		p = edit_at(&pl) + bit / 8;
		*p = (unsigned char)(used ? *p | 1u << bit % 8
					  : *p & ~(1u << bit % 8));
	}
	ret = edit_store(ed, &pl);
	edit_place_free(&pl);
	return ret;
}

/* The block says that it stands where it stands. */
static void set_address(const struct edit *ed, struct edit_place *pl)
{
	struct owfs_block_hdr *hdr = (void *)edit_last(pl)->block;

	hdr->bh_addr[0] = cpu_to_le64(edit_last(pl)->addr[0]);
	hdr->bh_addr[1] = cpu_to_le64(edit_last(pl)->addr[1]);
	pl->seal = edit_seal(ed, edit_last(pl)->block);
}

static int do_address(struct edit *ed, char **w)
{
	struct edit_place pl;
	int ret;

	if (edit_find(ed, w[1], &pl))
		return -1;
	set_address(ed, &pl);
	ret = edit_store(ed, &pl);
	edit_place_free(&pl);
	return ret;
}

/* A write that never came, to a block that had held what came before. */
static int do_stale(struct edit *ed, char **w)
{
	struct edit_place old, pl;
	unsigned int commit = ed->commit;
	int ret;

	ed->commit = 1;
	ret = edit_find(ed, w[1], &old);
	ed->commit = commit;
	if (ret)
		return ret;
	ret = edit_find(ed, w[1], &pl);
	if (!ret) {
		memcpy(edit_last(&pl)->block, edit_last(&old)->block,
		       pl.block_size);
		set_address(ed, &pl);
		ret = edit_store(ed, &pl);
		edit_place_free(&pl);
	}
	edit_place_free(&old);
	return ret;
}

static int do_truncate(struct edit *ed, char **w)
{
	int fd = owfs_blkdev_fd(ed->bd);
	uint64_t bytes;

	if (value(ed, w[1], &bytes))
		return -1;
	if (fd < 0 || ftruncate(fd, (off_t)bytes))
		return edit_fail(ed, "cannot be made shorter");
	ed->bd->size = bytes;
	return 0;
}

/* -------------------------------------------------------------------- items */

static int put_field(struct edit *ed, enum field_of of, char *word,
		     unsigned char *val, size_t *len)
{
	char *arg = strchr(word, '=');
	const struct field *f;
	uint64_t n;

	if (*word == '\'') {
		size_t more = min_u64(strlen(word + 1), OWFS_ITEM_MAX - *len);

		memcpy(val + *len, word + 1, more);
		*len += more;
		return 0;
	}
	if (!arg)
		return edit_fail(ed, "%s is no FIELD=VALUE", word);
	*arg++ = '\0';
	if (!strcmp(word, "size")) {
		if (value(ed, arg, &n))
			return -1;
		*len = min_u64(n, OWFS_ITEM_MAX);
		return 0;
	}
	f = field_find(of, word);
	if (!f)
		return edit_fail(ed, "%s has no field %s", field_structure(of),
				 word);
	return put_value(ed, arg, val + f->off, f->len);
}

static size_t plain_size(enum field_of of)
{
	switch (of) {
	case FIELD_INODE:
		return sizeof(struct owfs_inode_item);
	case FIELD_DIRENT:
		return sizeof(struct owfs_dirent_item);
	case FIELD_XATTR:
		return sizeof(struct owfs_xattr_item);
	case FIELD_EXTENT:
		return sizeof(struct owfs_extent_item);
	case FIELD_INTENT:
		return sizeof(struct owfs_intent_item);
	case FIELD_ORPHAN:
		return sizeof(struct owfs_orphan_item);
	case FIELD_ACL:
		return sizeof(struct owfs_acl_value);
	default:
		return 0;
	}
}

static int do_insert(struct edit *ed, char **w)
{
	unsigned char val[OWFS_ITEM_MAX] = { 0 };
	enum field_of of = edit_type_fields(w[1]);
	size_t len = plain_size(of);
	int type = edit_type(w[1]);
	struct owfs_key key;
	uint64_t number;
	owfs_ino_t ino;

	if (type < 0) {
		if (value(ed, w[1], &number))
			return -1;
		type = (int)(number & 0xff);
	}
	if (edit_ino(ed, w[2], &ino))
		return -1;
	key = owfs_key(ino, (enum owfs_item_type)type, 0);
	if (offset(ed, w[3], &key, 0))
		return -1;
	for (w += 4; *w; w++)
		if (put_field(ed, of, *w, val, &len))
			return -1;
	return edit_put(ed, key, val, len);
}

/* An item's value and key. */
static int take_item(struct edit *ed, const char *word, unsigned char *val,
		     size_t *len, struct owfs_key *key)
{
	struct edit_place pl;
	int ret = 0;

	if (edit_find(ed, word, &pl))
		return -1;
	if (!pl.val_len || pl.val_len > OWFS_ITEM_MAX)
		ret = edit_fail(ed, "%s is no item", word);
	else
		memcpy(val, edit_last(&pl)->block + pl.val_off, pl.val_len);
	*len = pl.val_len;
	*key = pl.key;
	edit_place_free(&pl);
	return ret;
}

static int do_delete(struct edit *ed, char **w)
{
	unsigned char val[OWFS_ITEM_MAX];
	struct owfs_key key;
	size_t len;

	if (take_item(ed, w[1], val, &len, &key))
		return -1;
	return edit_del(ed, key);
}

static int do_resize(struct edit *ed, char **w)
{
	unsigned char val[OWFS_ITEM_MAX] = { 0 };
	struct owfs_key key;
	size_t len;
	uint64_t n;

	if (value(ed, w[2], &n) || take_item(ed, w[1], val, &len, &key))
		return -1;
	return edit_put(ed, key, val, min_u64(n, OWFS_ITEM_MAX));
}

static int relocate(struct edit *ed, char **w, bool keep)
{
	unsigned char val[OWFS_ITEM_MAX];
	struct owfs_key key, to;
	owfs_ino_t ino;
	size_t len;

	if (take_item(ed, w[1], val, &len, &key) || edit_ino(ed, w[2], &ino))
		return -1;
	to = owfs_key(ino, (enum owfs_item_type)owfs_key_type(&key), 0);
	if (offset(ed, w[3], &to, key.off))
		return -1;
	if (!keep && edit_del(ed, key))
		return -1;
	return edit_put(ed, to, val, len);
}

/* ----------------------------------------------------------------- commands */

static int do_checksums(struct edit *ed, char **w)
{
	ed->left = !strcmp(w[1], "left");
	return 0;
}

static int do_commit(struct edit *ed, char **w)
{
	ed->commit = !strcmp(w[1], "before");
	return 0;
}

static int do_copies(struct edit *ed, char **w)
{
	ed->copy = !strcmp(w[1], "first") ? 0 : !strcmp(w[1], "second") ? 1 : -1;
	return 0;
}

static int do_seed(struct edit *ed, char **w)
{
	return value(ed, w[1], &ed->rng.s);
}

static int do_used(struct edit *ed, char **w)
{
	return set_bits(ed, w, true);
}

static int do_unused(struct edit *ed, char **w)
{
	return set_bits(ed, w, false);
}

static int do_duplicate(struct edit *ed, char **w)
{
	return relocate(ed, w, true);
}

static int do_move(struct edit *ed, char **w)
{
	return relocate(ed, w, false);
}

static int do_renew(struct edit *ed, char **w)
{
	(void)w;
	return edit_renew(ed);
}

static const struct {
	const char *name;
	int (*run)(struct edit *ed, char **w);
	unsigned int words;		/* that it takes at least */
} commands[] = {
	{ "checksums", do_checksums, 1 },
	{ "commit", do_commit, 1 },
	{ "copies", do_copies, 1 },
	{ "seed", do_seed, 1 },
	{ "set", do_set, 3 },
	{ "copy", do_copy, 2 },
	{ "swap", do_swap, 2 },
	{ "flip", do_flip, 2 },
	{ "used", do_used, 2 },
	{ "unused", do_unused, 2 },
	{ "stale", do_stale, 1 },
	{ "address", do_address, 1 },
	{ "insert", do_insert, 3 },
	{ "delete", do_delete, 1 },
	{ "duplicate", do_duplicate, 3 },
	{ "move", do_move, 3 },
	{ "resize", do_resize, 2 },
	{ "renew", do_renew, 0 },
	{ "truncate", do_truncate, 1 },
	{ "show", do_show, 1 },
};

static int run(struct edit *ed, char **w, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < FIELD_VERBS; i++)
		if (!strcmp(w[0], field_verb_name((enum field_verb)i)))
			return change(ed, (enum field_verb)i, w);
	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		if (strcmp(w[0], commands[i].name))
			continue;
		if (n <= commands[i].words)
			return edit_fail(ed, "%s takes more words", w[0]);
		return commands[i].run(ed, w);
	}
	return edit_fail(ed, "there is no command %s", w[0]);
}

int edit_line(struct edit *ed, const char *line)
{
	char buf[1024], *w[MAX_WORDS + 1] = { NULL }, *save;
	unsigned int n = 0;

	ed->line++;
	snprintf(buf, sizeof(buf), "%s", line);
	for (w[n] = strtok_r(buf, " \t\n", &save); w[n] && n < MAX_WORDS - 1; )
		w[++n] = strtok_r(NULL, " \t\n", &save);
	if (!n || *w[0] == '#')
		return 0;
	return run(ed, w, n);
}

int edit_script(struct edit *ed, const char *text)
{
	char line[1024];
	size_t n;

	ed->line = 0;
	for (; *text; text += n + (text[n] == '\n')) {
		n = strcspn(text, "\n");
		snprintf(line, sizeof(line), "%.*s", (int)n, text);
		if (edit_line(ed, line))
			return -1;
	}
	return 0;
}
