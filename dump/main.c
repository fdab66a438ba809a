/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * owfs-dump: what stands on a device, read through the verifiers and never
 * written.  No lock is taken, so that a mounted filesystem can be looked at;
 * if a commit went by meanwhile, that is said.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cmdline.h"
#include "base/err.h"
#include "base/sandbox.h"
#include "base/stdfds.h"
#include "base/util.h"
#include "dump.h"
#include "io/window.h"
#include "options.h"

#define PROGRAM "owfs-dump"
#define complain(...) owfs_cmdline_complain(PROGRAM, __VA_ARGS__)
#define CACHE_BYTES	(8u << 20)

/* ------------------------------------------------------------------- views */

static int by_number(struct dump *d, const char *arg,
		     int (*show)(struct dump *d, owfs_ino_t ino))
{
	char *end;
	uint64_t ino = strtoull(arg, &end, 0);

	if (end == arg || *end || ino == 0 || ino > OWFS_INO_MAX)
		return -EINVAL;
	return show(d, ino);
}

static int show_inode(struct dump *d, const char *arg)
{
	return by_number(d, arg, dump_inode);
}

static int show_extents(struct dump *d, const char *arg)
{
	return by_number(d, arg, dump_extents);
}

static int show_path(struct dump *d, const char *arg)
{
	owfs_ino_t ino;
	int ret = dump_resolve(d, arg, &ino);

	return ret ? ret : dump_inode(d, ino);
}

static const struct view {
	const char *name;
	const char *arg;	/* what it wants, NULL: nothing */
	int (*show)(struct dump *d);
	int (*show_arg)(struct dump *d, const char *arg);
} views[] = {
	{ "superblock", NULL, dump_superblock, NULL },
	{ "slots", NULL, dump_slots, NULL },
	{ "tree", NULL, dump_tree, NULL },
	{ "groups", NULL, dump_groups, NULL },
	{ "map", NULL, dump_map, NULL },
	{ "inode", "the number of an inode", NULL, show_inode },
	{ "extents", "the number of an inode", NULL, show_extents },
	{ "path", "a path from the root of the filesystem", NULL, show_path },
};

static const struct view *find_view(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(views); i++)
		if (!strcmp(views[i].name, name))
			return &views[i];
	return NULL;
}

/* ----------------------------------------------------------------- opening */

static int open_tree(struct dump *d)
{
	struct owfs_btree_param p = {
		.owner = OWFS_TREE_MAIN,
		.root = d->root->tree,
		.level = d->root->level,
		.open_gen = d->root->gen + 1,
	};
	int ret = owfs_bufcache_create(&d->bc, d->bd, d->sb.blocksize,
				       d->sb.nblocks, d->sb.csum_seed,
				       CACHE_BYTES, d->msg);

	if (ret)
		return ret;
	p.bc = d->bc;
	return owfs_btree_open(&d->bt, &p);
}

/* Open the commit that is asked for; a line is said if there is none. */
static int open_commit(struct dump *d, const struct dump_options *o)
{
	int ret = owfs_super_read(d->bd, &d->sb, &d->slots, d->msg);

	if (ret == -ENODEV)
		return complain("%s holds no owfs filesystem", o->path);
	if (!ret)
		ret = owfs_geo_init(&d->geo, d->sb.blocksize, d->sb.nblocks);
	if (ret)
		return complain("%s: no usable superblock: %s", o->path,
				strerror(-ret));
	d->root = &d->sb.root[o->before ? 1 : 0];
	if (!d->root->gen)
		return complain("%s: there is only one commit", o->path);
	ret = open_tree(d);
	if (ret)
		return complain("%s: %s", o->path, strerror(-ret));
	return 0;
}

static bool has_moved(const struct dump *d)
{
	struct owfs_super now;
	struct owfs_slots slots;

	return owfs_super_read(d->bd, &now, &slots, NULL) ||
	       now.seq != d->sb.seq;
}

static int show(struct dump *d, const struct view *view,
		const struct dump_options *o)
{
	int ret;

	out_init(&d->out, stdout, o->json);
	ret = view->show ? view->show(d) : view->show_arg(d, o->arg);
	out_end(&d->out);
	if (owfs_cmdline_flush(PROGRAM))
		return 1;
	if (has_moved(d))
		complain("note: %s is in use and changed while it was read",
			 o->path);
	if (ret == -EINVAL && view->arg)
		return complain("\"%s\" is not %s", o->arg, view->arg);
	if (ret)
		return complain("%s: %s%s%s: %s", o->path, view->name,
				o->arg ? " " : "", o->arg ? o->arg : "",
				strerror(-ret));
	return 0;
}

static int run(const struct dump_options *o)
{
	static char name[] = PROGRAM;
	const struct owfs_msg msg = {
		.emit = owfs_msg_stderr, .ctx = name,
		.max_level = OWFS_MSG_WARN };
	const struct view *view = find_view(o->what);
	struct dump d = { .msg = &msg };
	char why[OWFS_WINDOW_WHY];
	int ret;

	if (!view)
		return complain("cannot show \"%s\"; " PROGRAM
				" -h lists what can be shown", o->what);
	if (!view->arg != !o->arg)
		return complain(view->arg ? "%s needs %s" : "%s takes nothing%.0s",
				o->what, view->arg ? view->arg : "");
	ret = owfs_window_open(o->path, OWFS_BLKDEV_RDONLY, &o->window, &d.bd,
			       why);
	if (ret)
		return complain("cannot open %s: %s%s", o->path, why,
				ret == -ENOTBLK ? "; of what is mounted, findmnt says on which it is" :
				"");
	owfs_sandbox_program(OWFS_SANDBOX_READER);
	ret = open_commit(&d, o);
	if (!ret)
		ret = show(&d, view, o);
	owfs_btree_close(d.bt);
	owfs_bufcache_destroy(d.bc);
	owfs_blkdev_close(d.bd);
	return ret;
}

int main(int argc, char **argv)
{
	struct dump_options o;
	int ret = dump_options_parse(&o, argc, argv);

	owfs_stdfds_take();
	if (ret)
		return ret;
	if (o.version)
		printf(PROGRAM " %s\n", PACKAGE_VERSION);
	else if (o.help)
		dump_options_usage(stdout);
	else
		return run(&o);
	return owfs_cmdline_flush(PROGRAM);
}
