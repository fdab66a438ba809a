/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who may what: callers, owners and modes against each other. */
#include "posix.h"

static const char *const callers[] = { "root", "owner", "group", "other" };

/* "d" is the directory, "d/x" the object. */
static const char *const in_dir[] = {
	"stat d/x", "list d", "open d/x r", "open d/x w", "open d/x r,trunc",
	"open d/x r,noatime", "creat d/new 0666", "mkdir d/new",
	"mknod d/new fifo", "mknod d/new chr 0600 1 3", "symlink t d/new",
	"open d rw,tmpfile", "unlink d/x", "rmdir d/x", "rename d/x d/new",
	"rename d/x o/new", "rename o/y d/new", "rename o/y d/x",
	"rename d/x o/y exchange", "link d/x o/new", "link o/y d/new",
	"cd d", "access d r,w,x", "access d/x r,w,x",
};

static void fill_dirs(void)
{
	static const char *const modes[] = {
		"0777", "0755", "0770", "0733", "0711", "0700", "0555", "0444",
		"0070", "0007", "0000", "01777", "01770", "03777", "02775",
	};
	static const char *const owners[] = { "0 0", "1000 1000" };
	static const char *const objects[] = {
		"none d/x", "file d/x 0644 0 0", "file d/x 0640 1000 1000",
		"dir d/x 0755 1000 1000",
	};
	unsigned int m, o, k, w, c;

	for (m = 0; m < ARRAY_SIZE(modes); m++)
		for (o = 0; o < ARRAY_SIZE(owners); o++)
			for (k = 0; k < ARRAY_SIZE(objects); k++)
				for (w = 1; w < ARRAY_SIZE(callers); w++)
					for (c = 0; c < ARRAY_SIZE(in_dir); c++)
						/* a part that cuts across all */
						if ((c + w + k + o * 2 + m) % 3 == 0)
							add("mk dir o 0777 1002 1002; mk file o/y 0666 1002 1002; mk dir d; mk %s; chown d %s; chmod d %s ! as %s; %s",
							    objects[k], owners[o],
							    modes[m], callers[w],
							    in_dir[c]);
}

/* What the owner of an object may, and what others. */
static const char *const on_file[] = {
	"chmod x 0600", "chmod x 04755", "chmod x 02755", "chmod x 06711",
	"chown x 1000 -1", "chown x 1001 -1", "chown x -1 1000",
	"chown x -1 1001", "chown x -1 1002", "chown x -1 -1",
	"chown x 1000 1000", "lchown x 0 0", "utimenull x", "utime x now now",
	"utime x 5 6", "utime x omit now", "utime x now omit",
	"utime x omit 6", "utime x omit omit", "truncate x 3", "open x r",
	"open x w", "open x rw", "open x r,trunc", "open x r,noatime",
	"open x w; write 3", "open x rw; ftruncate 20; fallocate keep 0 9000",
	"setxattr x user.a v", "getxattr x user.a", "listxattr x",
	"setxattr x trusted.a v", "getxattr x trusted.a",
	"setxattr x security.a v", "rmxattr x user.a", "access x r",
	"access x w", "access x x", "access x r,w,x eaccess", "exec x",
	"link x y", "handle x", "open x path",
};

static void fill_files(void)
{
	static const char *const modes[] = {
		"0666", "0644", "0640", "0400", "0004", "0040", "0200", "0000",
		"0755", "04755", "02755", "06755", "02644", "04644", "06777",
		"01666",
	};
	static const char *const owners[] = { "0 0", "1000 1000", "1002 1000" };
	unsigned int m, o, w, c;

	for (m = 0; m < ARRAY_SIZE(modes); m++)
		for (o = 0; o < ARRAY_SIZE(owners); o++)
			for (w = 0; w < ARRAY_SIZE(callers); w++)
				for (c = 0; c < ARRAY_SIZE(on_file); c++)
					if ((c + w + o + m) % 2 == 0)
						add("mk file x %s %s; setxattr x user.a u; chmod . 0777 ! as %s; %s",
						    modes[m], owners[o],
						    callers[w], on_file[c]);
}

/* Set-id bits and who clears them by what; of directories, too. */
static void fill_setid(void)
{
	static const char *const modes[] = {
		"04755", "02755", "06755", "02745", "06745", "06644", "04700",
		"06777",
	};
	static const char *const acts[] = {
		"chown x 1000 1000", "chown x 1002 1002", "chown x -1 -1",
		"chown x -1 1000", "chown x 1000 -1", "open x w; write 1",
		"open x w; write 0", "open x rw; pwrite 4 4000",
		"open x rw; ftruncate 4", "open x rw; ftruncate 10",
		"truncate x 5", "truncate x 10", "open x w,trunc",
		"open x rw; fallocate plain 0 100", "open x rw; fallocate keep 0 9000",
		"open x rw; fallocate punch,keep 0 5",
		"open x rw; map rw shared 0 10; store 0; msync sync",
		"open x r; open1 x w; copy 0 5 2", "utimenull x",
		"chmod x 06755", "chmod x 02755", "setxattr x user.a v",
		"link x y", "rename x y", "open x w,append; write 3",
		"open x rw,direct; pwrite 4096 0",
	};
	static const char *const owners[] = { "0 0", "1000 1000", "1000 1002" };
	static const char *const what[] = { "file", "dir" };
	unsigned int m, a, w, k, o;

	for (k = 0; k < 2; k++)
		for (m = 0; m < ARRAY_SIZE(modes); m++)
			for (o = 0; o < ARRAY_SIZE(owners); o++)
				for (w = 0; w < ARRAY_SIZE(callers); w++)
					for (a = 0; a < ARRAY_SIZE(acts); a++)
						if ((m + o + w + a + k) % 3 == 0)
							add("mk %s x %s %s; chmod . 0777 ! umask 0; open2 x r; as %s; %s",
							    what[k], modes[m],
							    owners[o],
							    callers[w], acts[a]);
}

/* Who is the group of what is made, and what becomes of its mode. */
static void fill_inherit(void)
{
	static const char *const acts[] = {
		"creat d/x 0777", "creat d/x 02777", "creat d/x 02666",
		"creat d/x 06777", "mkdir d/x 0777", "mkdir d/x 02777",
		"mkdir d/x 01777", "mknod d/x fifo 02777", "symlink t d/x",
		"mknod d/x reg 02755", "open d rw,tmpfile 02777; linkfd d/x proc",
		"mkdir d/x; mkdir d/x/y; creat d/x/y/z 02755",
		"mkdir d/x; chmod d/x 0755; chmod d/x 02755",
		"creat y 0644; rename y d/y", "creat d/x 0644; chmod d/x 02755",
		"bind d/x",
	};
	static const char *const modes[] = { "0777", "02777", "03777", "06777" };
	static const char *const groups[] = { "0", "1000", "1002" };
	unsigned int m, g, w, a, u;

	for (m = 0; m < ARRAY_SIZE(modes); m++)
		for (g = 0; g < ARRAY_SIZE(groups); g++)
			for (w = 0; w < ARRAY_SIZE(callers); w++)
				for (u = 0; u < 2; u++)
					for (a = 0; a < ARRAY_SIZE(acts); a++)
						add("mk dir d %s 0 %s; chmod . 0777 ! umask %s; as %s; %s",
						    modes[m], groups[g],
						    u ? "022" : "0", callers[w],
						    acts[a]);
}

/* The sticky bit, for each owner of directory, object and caller. */
static void fill_sticky(void)
{
	static const char *const owners[] = { "0 0", "1000 1000", "1002 1002" };
	static const char *const acts[] = {
		"unlink d/x", "rmdir d/x", "rename d/x d/new", "rename d/x e/new",
		"rename e/y d/x", "rename e/y d/x exchange",
		"rename d/x e/y exchange", "rename d/x d/x", "link d/x e/new",
	};
	static const char *const what[] = { "file", "dir", "lnone", "fifo" };
	unsigned int d, x, w, a, k;

	for (d = 0; d < ARRAY_SIZE(owners); d++)
		for (x = 0; x < ARRAY_SIZE(owners); x++)
			for (w = 0; w < ARRAY_SIZE(callers); w++)
				for (k = 0; k < ARRAY_SIZE(what); k++)
					for (a = 0; a < ARRAY_SIZE(acts); a++)
						add("mk dir d 01777 %s; mk %s d/x 0666 %s; mk dir e 0777 1001 1001; mk %s e/y 0666 1002 1002 ! as %s; %s",
						    owners[d], what[k],
						    owners[x], what[k],
						    callers[w], acts[a]);
}

const struct section sections_perm[] = {
	{ "dirs", fill_dirs },
	{ "files", fill_files },
	{ "setid", fill_setid },
	{ "inherit", fill_inherit },
	{ "sticky", fill_sticky },
	{ NULL, NULL },
};
