/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Mounts, running programs, maps, locks, events, extended attributes. */
#include "posix.h"

static void add_all(const char *const *cases, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		add("%s", cases[i]);
}

static void fill_mounts(void)
{
	/* in "m" another filesystem, the same again, or the same for reading */
	static const char *const mounts[] = { "tmpfs", "bind", "ro" };
	static const char *const some[] = {
		"rmdir m", "unlink m", "rename m n", "rename x m", "rename d m",
		"rename m m", "rename d m exchange", "rename m d exchange",
		"rename x m/x", "rename m/f x", "rename m/f m/new", "link x m/x",
		"link m/f new", "link m/f m/new", "creat m/new 0600",
		"mkdir m/new", "rmdir m/e", "symlink t m/new",
		"mknod m/new fifo", "mknod m/new chr 0600 1 3", "unlink m/f",
		"unlink m/none", "mkdir m/f", "rmdir m/none", "open m/f r",
		"open m/f w", "open m/f rw", "open m/f r,trunc", "open m/f w,append",
		"open m/new w,creat", "open m/f r,creat", "open m rw,tmpfile",
		"chmod m/f 0600", "chmod m 0700", "lchown m/f 1 2",
		"utime m/f 5 6", "utimenull m/f", "truncate m/f 3",
		"truncate m/f 10", "setxattr m/f user.a v", "rmxattr m/f user.a",
		"access m/f r", "access m/f w", "access m w", "access m/fifo w",
		"access m/chr w", "open m/fifo rw", "open m/chr w", "stat m/f",
		"list m", "exec m/f", "cd m; rmdir ../m", "bind m/s",
		"as other; open m/f w", "as other; creat m/new 0600",
		"as other; access m/f w", "as other; unlink m/f",
		"open x r; open1 m/new w,creat; copy 0 0 5; sendfile 0 5; splice 0 0 5",
		"handle m/f", "watch m/f", "open m path; chmod m/none 0600",
		"open m/f r; fchmod 0600; fchown 1 2; futime 1 2; ftruncate 1; write 1; fsetxattr user.a v; read 5",
	};
	unsigned int k, c;

	for (k = 0; k < ARRAY_SIZE(mounts); k++)
		for (c = 0; c < ARRAY_SIZE(some); c++)
			add("mk file x; mk dir d; mk dir m; mk file m/f; mk dir m/e; mk fifo m/fifo; mk chr m/chr; mount %s m ! %s",
			    mounts[k], some[c]);
}

static void fill_programs(void)
{
	static const char *const some[] = {
		"open x w", "open x rw", "open x r,trunc", "open x rw,trunc",
		"open x r", "truncate x 0", "creat x 0755", "unlink x",
		"rename x y; open y w", "link x y; open y w", "chmod x 0600",
		"utimenull x", "setxattr x user.a v", "access x w",
		"open x path", "open x w,append", "open x r; map rw private 0 4096; store 0",
		"rename d x; rename f x; open x w",
	};
	static const char *const others[] = {
		"program x ! exec x", "program x 0644 ! exec x",
		"program x 0111 ! as other; exec x; open x r",
		"program x 0700 ! as other; exec x",
		"program x 0644 ! as other; exec x; access x x",
		"program x ! open x w; exec x; close; exec x",
		"program x ! open x rw; open1 x r; exec x",
		"mk file x 0755 ! exec x", "mk empty x 0755 ! exec x",
		"mk dir x ! exec x", "mk fifo x 0755 ! exec x",
		"mk file x 0000 ! exec x; chmod x 0100; exec x",
		"program x ! start x; start x",
		"program x; mk dir d; mount bind d ! exec x",
	};
	unsigned int c;

	for (c = 0; c < ARRAY_SIZE(some); c++)
		add("program x; mk file f; mk dir d ! start x; %s", some[c]);
	for (c = 0; c + 1 < ARRAY_SIZE(others); c++)
		add("%s", others[c]);
}

static void fill_maps(void)
{
	static const char *const some[] = {
		"map r shared 0 4096; load 0; load 5; load 4000; load 4096",
		"map rw shared 0 4096; store 0 3; msync sync; pread 10 0",
		"map rw shared 0 4096; store 0 3; pread 10 0; unmap; fstat",
		"map rw private 0 4096; store 0 3; load 1; pread 10 0",
		"map r shared 0 4096; store 0", "map w shared 0 4096; store 5",
		"map r shared 1 4096", "map r shared 0 0", "map r 0 0 4096",
		"map r shared,private 0 4096", "map r validate 0 4096; load 0",
		"map rw sync,validate 0 4096", "map none shared 0 4096; load 0",
		"map r shared 0 16384; load 12287; load 12388; load 16383",
		"map r shared 0 65536; load 16384; load 40000",
		"map r shared 65536 4096; load 0",
		"map rw shared 0 65536; ftruncate 4096; load 0; load 5000; ftruncate 65536; load 5000",
		"map rw shared 0 4096; store 100; msync sync; ftruncate 200; pread 200 0",
		"map rw shared 0 4096; pwrite 3 0; load 1; store 1; pread 3 0",
		"map rw shared 0 4096; msync async; msync 7; msync inval",
		"map rw shared 0 16384; close; store 8192; msync sync; open x r; pread 10 8190",
		"map rw shared 0 4096; unlink x; store 0; msync sync; fstat",
		"map rw shared 0 4096; rename x y; store 0; msync sync; fstat",
		"map x private 0 4096", "map rw shared 0 8192; fallocate punch,keep 0 4096; load 0",
		"map rw shared 0 16384; store 4090 12; msync sync; extents; pread 30 4080",
		"map rw shared max 4096", "fallocate plain 0 8192; map rw shared 0 8192; store 5000; msync sync; extents",
	};
	static const char *const files[] = { "empty", "file", "big", "sparse" };
	static const char *const ways[] = { "rw", "r", "w", "rw,append" };
	unsigned int f, w, c;

	for (f = 0; f < ARRAY_SIZE(files); f++)
		for (w = 0; w < ARRAY_SIZE(ways); w++)
			for (c = 0; c < ARRAY_SIZE(some); c++)
				add("mk %s x ! open x %s; %s", files[f],
				    ways[w], some[c]);
	add("mk dir x ! open x r; map r shared 0 4096");
	add("mk file x ! open x path; map r shared 0 4096");
}

static void fill_locks(void)
{
	static const char *const types[] = { "rd", "wr" };
	static const char *const ways[] = { "r", "w", "rw" };
	static const char *const cases[] = {
		"mk file x ! open x rw; lock wr 0 10; otherlock x wr 10 5; otherlock x rd 9 1; lock un 3 2; otherlock x wr 3 2; otherlock x wr 3 3; close; otherlock x wr 0 0",
		"mk file x ! open x rw; lock rd 0 0; otherlock x rd 5 5; otherlock x wr 1g 5; getlock wr 0 0; lock wr 0 0; otherlock x rd 0 1",
		"mk file x ! open x rw; open1 x rw; lock wr 0 0 ofd; lock1 rd 0 1 ofd; lock1 rd 0 1; getlock1 wr 0 0; otherlock x rd 0 1 ofd; close; otherlock x wr 0 1",
		"mk file x ! open x rw; open1 x rw; lock wr 0 0; close1; otherlock x wr 0 1",
		"mk file x ! open x rw; lock wr -1 5; lock wr max 5; lock wr 5 -3; otherlock x wr 2 1; otherlock x wr 1 1",
		"mk file x ! open x r; open1 x r; flock sh; flock1 ex; otherflock x sh; otherflock x ex; flock ex; otherflock x sh; flock un; flock1 ex; otherflock x ex",
		"mk file x ! open x r; flock ex; otherlock x wr 0 0; lock rd 0 0; otherflock x ex",
		"mk file x ! open x r; lease r; getlease; otheropen x r; otheropen x w; lease un; otheropen x w; getlease",
		"mk file x ! open x rw; lease r; lease w; getlease; otheropen x r; lease un",
		"mk file x ! open x r; open1 x w; lease r; close1; lease r; open1 x w; getlease",
		"mk file x 0666 ! as other; open x r; lease r; getlease",
		"mk dir x ! open x r; lease r; flock ex; otherflock x ex; lock rd 0 0",
		"mk file x ! open x rw; lock rd 0 5; lock rd 10 5; lock wr 3 9; getlock wr 0 0; otherlock x rd 0 3; otherlock x rd 3 1; otherlock x rd 12 1; otherlock x rd 13 1",
	};
	unsigned int a, b, w;

	for (w = 0; w < ARRAY_SIZE(ways); w++)
		for (a = 0; a < 2; a++)
			for (b = 0; b < 2; b++)
				add("mk file x ! open x %s; lock %s 2 4; otherlock x %s 0 3; otherlock x %s 0 2; lock un 0 0; otherlock x %s 0 0",
				    ways[w], types[a], types[b], types[b],
				    types[b]);
	add_all(cases, ARRAY_SIZE(cases));
}

static void fill_events(void)
{
	static const char *const some[] = {
		"creat d/a 0644", "mkdir d/a", "mknod d/a fifo", "symlink t d/a",
		"link d/f d/a", "unlink d/f", "rmdir d/e", "rename d/f d/g",
		"rename d/f n", "rename x d/f", "rename x d/g",
		"rename d/f d/e exchange", "chmod d/f 0600", "chmod d 0700",
		"lchown d/f 1 2", "utime d/f 1 2", "utime d/f omit 2",
		"truncate d/f 3", "open1 d/f r; read1 5; close1",
		"open1 d/f w; write1 3; close1", "open1 d/f r,trunc; close1",
		"setxattr d/f user.a v", "list d", "readlink d/l", "stat d/f",
		"open1 d/f rw; ftruncate1 0; fallocate1 plain 0 50; close1",
		"open1 d/f r; open2 d/g rw,creat; copy1 0 0 5",
		"unlink d/f; rmdir d/e; unlink d/l; rmdir d",
		"open1 d rw,tmpfile; close1", "open1 d/f path; close1",
		"open1 d/f rw; map1 rw shared 0 10; store 0; msync sync; close1",
	};
	static const char *const watched[] = { "d", "d/f", "d/e", "." };
	unsigned int w, c;

	for (w = 0; w < ARRAY_SIZE(watched); w++)
		for (c = 0; c < ARRAY_SIZE(some); c++)
			add("mk file x; mk dir d; mk file d/f; mk dir d/e; symlink t d/l ! watch %s; %s; events",
			    watched[w], some[c]);
}

static void fill_xattrs(void)
{
	static const char *const names[] = {
		"user.a", "trusted.a", "security.a", "system.a", "user.", "a",
		"user", ".a", "user.%n250", "user.%n251", "other.a", "%empty",
		"%bad", "user.a/b", "user./", "trusted.a/../b", "user.a.b-c", "trusted.", "security.",
	};
	static const char *const some[] = {
		"setxattr x @ v; getxattr x @; listxattr x; rmxattr x @; rmxattr x @; getxattr x @",
		"setxattr x @ v create; setxattr x @ w create; setxattr x @ w replace; getxattr x @",
		"setxattr x @ v replace; setxattr x @ v 3; setxattr x @ v 4",
		"setxattr x @ %empty; getxattr x @; listxattr x",
		"setxattr x @ #1000; getxattr x @ 0; getxattr x @ 999; getxattr x @ 1000; listxattr x 0; listxattr x 3",
		"lsetxattr x @ v; lgetxattr x @; lrmxattr x @",
		"as other; setxattr x @ v; getxattr x @; listxattr x; rmxattr x @",
	};
	static const char *const what[] = {
		"file", "dir", "lfile", "lnone", "fifo", "chr", "sock",
	};
	static const char *const odd[] = {
		"mk file x ! setxattr x user.a #2000; setxattr x user.b #65537; setxattr x user.c v 0; listxattr x",
		"mk file x ! setxattr x user.a v; tick; setxattr x user.a v; tick; rmxattr x user.a; setxattr x user.a v; link x y; getxattr y user.a; rename x z; getxattr z user.a",
		"mk file x; setxattr x user.a v; setxattr x trusted.b w ! listxattr x; as other; listxattr x; getxattr x trusted.b; getxattr x user.a",
		"mk dir x 01777; mk dir y 01777 1002 1002 ! as other; setxattr x user.a v; setxattr y user.a v; getxattr x user.a",
		"mk file x ! open x r; fsetxattr user.a v; fgetxattr user.a; frmxattr user.a; unlink x; fsetxattr user.b v; fgetxattr user.b",
	};
	char text[512];
	unsigned int k, n, c, i;
	size_t len;

	for (k = 0; k < ARRAY_SIZE(what); k++)
		for (n = 0; n < ARRAY_SIZE(names); n++)
			for (c = 0; c < ARRAY_SIZE(some); c++) {
				for (len = 0, i = 0; some[c][i]; i++)
					if (some[c][i] == '@')
						len += snprintf(text + len, 100,
								"%s", names[n]);
					else
						text[len++] = some[c][i];
				text[len] = '\0';
				add("mk %s x ! %s", what[k], text);
			}
	add_all(odd, ARRAY_SIZE(odd));
}

static void fill_handles(void)
{
	static const char *const cases[] = {
		"mk file x ! handle x; handle x x", "mk dir x ! handle x",
		"mk lfile x ! handle x; handle x follow", "mk fifo x ! handle x",
		"mk hard x ! handle x x; handle x.h", "! handle .; handle ..",
		"mk deep x ! handle x/in; handle x",
	};

	add_all(cases, ARRAY_SIZE(cases));
}

const struct section sections_more[] = {
	{ "mounts", fill_mounts },
	{ "programs", fill_programs },
	{ "maps", fill_maps },
	{ "locks", fill_locks },
	{ "events", fill_events },
	{ "xattrs", fill_xattrs },
	{ "handles", fill_handles },
	{ NULL, NULL },
};
