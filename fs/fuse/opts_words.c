/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The words behind -o: ours, or the kernel's, or only meant for those who read
 * fstab; anything else is refused by name, since a misspelt "ro" that is
 * ignored may cost data.
 */
#include "fuse/opts_words.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/size.h"
#include "base/spell.h"
#include "base/util.h"
#include "fuse/spin.h"

int owfs_opts_number(const char *s, unsigned long max, unsigned long *v)
{
	char *end;

	if (*s < '0' || *s > '9')
		return -EINVAL;
	errno = 0;
	*v = strtoul(s, &end, 10);
	return errno || *end || *v > max ? -EINVAL : 0;
}

static int set_commit(struct owfs_opts *o, const char *val)
{
	unsigned long v;

	if (owfs_opts_number(val, 3600, &v) || !v)
		return owfs_opts_refuse(o, "commit=%s: seconds from 1 to 3600 wanted",
				val);
	o->commit_secs = v;
	return 0;
}

static int set_threads(struct owfs_opts *o, const char *val)
{
	unsigned long v;

	if (owfs_opts_number(val, 128, &v) || !v)
		return owfs_opts_refuse(o, "threads=%s: a number from 1 to 128 wanted",
				val);
	o->threads = v;
	return 0;
}

static int set_spin(struct owfs_opts *o, const char *val)
{
	unsigned long v;

	if (owfs_opts_number(val, OWFS_SPIN_MAX_US, &v))
		return owfs_opts_refuse(o, "spin=%s: microseconds from 0 to %u wanted",
				val, OWFS_SPIN_MAX_US);
	o->spin_us = v;
	return 0;
}

static int set_cache(struct owfs_opts *o, const char *val)
{
	uint64_t v;

	if (owfs_size_parse(val, &v) || v > SIZE_MAX >> 1 || v < (1u << 20))
		return owfs_opts_refuse(o, "cache=%s: a size of at least 1M wanted",
				val);
	o->cache = v;
	return 0;
}

static int set_uid(struct owfs_opts *o, const char *val)
{
	const struct passwd *pw;
	unsigned long v;

	if (!owfs_opts_number(val, UINT32_MAX - 1, &v)) {
		o->uid = v;
	} else {
		pw = getpwnam(val);
		if (!pw)
			return owfs_opts_refuse(o, "uid=%s: no such user", val);
		o->uid = pw->pw_uid;
	}
	o->uid_given = true;
	return 0;
}

static int set_gid(struct owfs_opts *o, const char *val)
{
	const struct group *gr;
	unsigned long v;

	if (!owfs_opts_number(val, UINT32_MAX - 1, &v)) {
		o->gid = v;
	} else {
		gr = getgrnam(val);
		if (!gr)
			return owfs_opts_refuse(o, "gid=%s: no such group", val);
		o->gid = gr->gr_gid;
	}
	o->gid_given = true;
	return 0;
}

static int set_offset(struct owfs_opts *o, const char *val)
{
	if (owfs_size_parse(val, &o->window.offset))
		return owfs_opts_refuse(o, "offset=%s: a number of bytes wanted, K, M, G or T may follow",
				val);
	return 0;
}

static int set_sizelimit(struct owfs_opts *o, const char *val)
{
	if (owfs_size_parse(val, &o->window.limit) || !o->window.limit)
		return owfs_opts_refuse(o, "sizelimit=%s: a number of bytes wanted, K, M, G or T may follow",
				val);
	return 0;
}

static int set_errors(struct owfs_opts *o, const char *val)
{
	o->shutdown_on_error = !strcmp(val, "shutdown");
	if (!o->shutdown_on_error && strcmp(val, "remount-ro"))
		return owfs_opts_refuse(o, "errors=%s: remount-ro or shutdown wanted",
				val);
	return 0;
}

static int set_iomap(struct owfs_opts *o, const char *val)
{
	if (!strcmp(val, "auto"))
		o->iomap = OWFS_IOMAP_AUTO;
	else if (!strcmp(val, "on"))
		o->iomap = OWFS_IOMAP_ON;
	else if (!strcmp(val, "off"))
		o->iomap = OWFS_IOMAP_OFF;
	else
		return owfs_opts_refuse(o, "iomap=%s: auto, on or off wanted", val);
	return 0;
}

static const struct {
	const char *name;
	int (*set)(struct owfs_opts *o, const char *val);
} valued[] = {
	{ "commit", set_commit },
	{ "threads", set_threads },
	{ "spin", set_spin },
	{ "cache", set_cache },
	{ "errors", set_errors },
	{ "iomap", set_iomap },
	{ "uid", set_uid },
	{ "gid", set_gid },
	{ "offset", set_offset },
	{ "sizelimit", set_sizelimit },
};

static const struct {
	const char *name;
	size_t field;
	bool value;
} switches[] = {
	{ "ro", offsetof(struct owfs_opts, readonly), true },
	{ "rw", offsetof(struct owfs_opts, readonly), false },
	{ "discard", offsetof(struct owfs_opts, discard), true },
	{ "nodiscard", offsetof(struct owfs_opts, discard), false },
	{ "allow_other", offsetof(struct owfs_opts, allow_other), true },
	{ "writeback", offsetof(struct owfs_opts, writeback), true },
	{ "nowriteback", offsetof(struct owfs_opts, writeback), false },
	{ "sandbox", offsetof(struct owfs_opts, nosandbox), false },
	{ "nosandbox", offsetof(struct owfs_opts, nosandbox), true },
	{ "plain", offsetof(struct owfs_opts, plain), true },
	{ "remount", offsetof(struct owfs_opts, remount), true },
	{ "debug", offsetof(struct owfs_opts, debug), true },
};

/* For the mount itself. */
static const char *const kernel_words[] = {
	"suid", "nosuid", "dev", "nodev", "exec", "noexec", "sync", "async",
	"dirsync", "noatime",
};

/*
 * Access times are the server's business.  These words are in one of the other
 * lists, too: the mount shows noatime, of nodiratime libfuse knows nothing.
 */
static const struct {
	const char *name;
	enum owfs_atime atime;
} atime_words[] = {
	{ "noatime", OWFS_ATIME_NEVER },
	{ "strictatime", OWFS_ATIME_ALWAYS },
	{ "atime", OWFS_ATIME_RELATIVE },
	{ "relatime", OWFS_ATIME_RELATIVE },
	{ "norelatime", OWFS_ATIME_RELATIVE },
	{ "nostrictatime", OWFS_ATIME_RELATIVE },
};

static void note_atime(struct owfs_opts *o, const char *word)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(atime_words); i++)
		if (!strcmp(atime_words[i].name, word))
			o->atime = atime_words[i].atime;
	if (!strcmp(word, "nodiratime"))
		o->nodiratime = true;
	else if (!strcmp(word, "diratime"))
		o->nodiratime = false;
}

/* Said to mount(8), to systemd, or without a meaning here. */
static const char *const fstab_words[] = {
	"defaults", "auto", "noauto", "nofail", "user", "nouser", "users",
	"nousers", "owner", "noowner", "group", "nogroup", "_netdev", "loop",
	"atime", "relatime", "norelatime", "diratime", "nodiratime",
	"strictatime", "nostrictatime", "lazytime", "nolazytime", "silent", "loud", "mand",
	"nomand", "iversion", "noiversion", "default_permissions",
};

static bool listed(const char *const *list, size_t n, const char *word)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (!strcmp(list[i], word))
			return true;
	return false;
}

/* Security contexts are for the kernel, too. */
static bool is_context(const char *word)
{
	return !strncmp(word, "context=", 8) ||
	       !strncmp(word, "fscontext=", 10) ||
	       !strncmp(word, "defcontext=", 11) ||
	       !strncmp(word, "rootcontext=", 12);
}

static bool is_comment(const char *word)
{
	return !strncasecmp(word, "x-", 2) || !strncmp(word, "comment=", 8) ||
	       !strncmp(word, "uhelper=", 8) || !strncmp(word, "helper=", 7) ||
	       !strncmp(word, "user=", 5) || !strncmp(word, "loop=", 5);
}

/*
 * What the table of mounts says of one.  mount(8) hands all that on with what
 * is to be another when it remounts, behind the word that says so.
 */
static bool is_shown(const char *word)
{
	return !strncmp(word, "user_id=", 8) || !strncmp(word, "group_id=", 9) ||
	       !strncmp(word, "max_read=", 9) || !strncmp(word, "blksize=", 8) ||
	       !strcmp(word, "seclabel");
}

static int add_kernel(struct owfs_opts *o, const char *word)
{
	size_t n = strlen(o->kernel);

	if (n + strlen(word) + 2 > sizeof(o->kernel))
		return owfs_opts_refuse(o, "too many options");
	snprintf(o->kernel + n, sizeof(o->kernel) - n, "%s%s", n ? "," : "",
		 word);
	return 0;
}

/* The kernel does its part for these, and the server the other. */
static void note_sync(struct owfs_opts *o, const char *word)
{
	if (!strcmp(word, "sync") || !strcmp(word, "async"))
		o->sync = *word == 's';
	else if (!strcmp(word, "dirsync"))
		o->dirsync = true;
}

static bool set_switch(struct owfs_opts *o, const char *word)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(switches); i++) {
		if (strcmp(switches[i].name, word))
			continue;
		*(bool *)((char *)o + switches[i].field) = switches[i].value;
		return true;
	}
	return false;
}

static int set_valued(struct owfs_opts *o, const char *word, bool *known)
{
	size_t i, n;

	*known = true;
	for (i = 0; i < ARRAY_SIZE(valued); i++) {
		n = strlen(valued[i].name);
		if (strncmp(valued[i].name, word, n))
			continue;
		if (word[n] == '=')
			return valued[i].set(o, word + n + 1);
		if (!word[n])
			return owfs_opts_refuse(o, "option '%s' wants a value", word);
	}
	*known = false;
	return 0;
}

struct guess {
	const char *word, *best;
	size_t len;
	unsigned int distance;
};

static void consider(struct guess *g, const char *known)
{
	unsigned int d = owfs_spell_distance(g->word, g->len, known);

	if (d < g->distance) {
		g->distance = d;
		g->best = known;
	}
}

/* A name that looks much like @word, or NULL. */
static const char *nearest(const char *word)
{
	struct guess g = { .word = word, .len = strcspn(word, "=") };
	size_t i;

	g.distance = owfs_spell_slips(g.len) + 1;
	for (i = 0; i < ARRAY_SIZE(switches); i++)
		consider(&g, switches[i].name);
	for (i = 0; i < ARRAY_SIZE(valued); i++)
		consider(&g, valued[i].name);
	for (i = 0; i < ARRAY_SIZE(kernel_words); i++)
		consider(&g, kernel_words[i]);
	for (i = 0; i < ARRAY_SIZE(fstab_words); i++)
		consider(&g, fstab_words[i]);
	return g.best;
}

/* Options of filesystems whose files have no modes. */
static bool is_mask(const char *word)
{
	return !strncmp(word, "umask=", 6) || !strncmp(word, "fmask=", 6) ||
	       !strncmp(word, "dmask=", 6);
}

static int refuse_word(const struct owfs_opts *o, const char *word)
{
	const char *near = nearest(word);

	if (is_mask(word))
		return owfs_opts_refuse(o, "option '%s': files have modes of their own here; uid= and gid= show other owners",
				word);
	if (near)
		return owfs_opts_refuse(o, "unknown option '%s'; is '%s' meant?", word,
				near);
	return owfs_opts_refuse(o, "unknown option '%s'", word);
}

static int set_option(struct owfs_opts *o, const char *word, bool sloppy)
{
	bool known;
	int ret;

	note_atime(o, word);
	if (!*word || set_switch(o, word) || is_comment(word) ||
	    listed(fstab_words, ARRAY_SIZE(fstab_words), word))
		return 0;
	note_sync(o, word);
	if (listed(kernel_words, ARRAY_SIZE(kernel_words), word) ||
	    is_context(word))
		return add_kernel(o, word);
	ret = set_valued(o, word, &known);
	if (known || sloppy || (o->remount && is_shown(word)))
		return ret;
	return refuse_word(o, word);
}

int owfs_opts_words(struct owfs_opts *o, char *list, bool sloppy)
{
	char *save, *word;
	int ret = 0;

	for (word = strtok_r(list, ",", &save); word && !ret;
	     word = strtok_r(NULL, ",", &save))
		ret = set_option(o, word, sloppy);
	return ret;
}
