/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every call that takes a name, on everything that can stand there. */
#include "posix.h"

#include <string.h>

static const char *const kinds[] = {
	"none", "file", "empty", "hard", "dir", "full", "deep", "lfile",
	"ldir", "lnone", "loop", "fifo", "sock", "chr", "blk",
};

/* "@" is the path. */
static const char *const calls[] = {
	"stat @", "lstat @", "statx @ nofollow", "access @ f", "access @ r,w,x",
	"readlink @", "cd @", "list @",
	"open @ r", "open @ r,nofollow", "open @ r,directory", "open @ path",
	"open @ path,nofollow; fstat; fchmod 0600; read 1",
	"open @ rw", "open @ w,trunc", "open @ rw,creat 0640",
	"open @ rw,creat,excl 0640", "open @ w,creat,trunc 0640",
	"open @ rw,creat,directory", "open @ r,creat,nofollow",
	"open @ rw,tmpfile 0600", "open @ r,noatime", "creat @ 0604",
	"mkdir @ 0711", "mknod @ reg 0644", "mknod @ fifo 0622",
	"mknod @ sock", "mknod @ chr 0600 1 5", "mknod @ blk 0600 7 250",
	"mknod @ dir", "mknod @ lnk", "symlink target @", "bind @", "connect @",
	"unlink @", "rmdir @", "unlink @ 1",
	"link @ new", "link @ new follow", "rename @ new", "rename @ @",
	"rename @ new noreplace", "rename @ new whiteout",
	"chmod @ 0611", "chmod @ 07777", "lchmod @ 0611", "chown @ 7 8",
	"chown @ -1 -1", "lchown @ 7 8", "lchown @ -1 -1",
	"truncate @ 0", "truncate @ 10", "truncate @ 5000", "truncate @ -1",
	"utime @ 5.5 6.6", "utime @ 5.5 6.6 nofollow", "utime @ omit now",
	"utime @ omit omit", "utimenull @", "statfs @",
	"setxattr @ user.a one", "lsetxattr @ user.a one",
	"lsetxattr @ trusted.a one", "getxattr @ user.a", "listxattr @",
	"rmxattr @ user.a", "handle @", "watch @", "exec @",
};

/* Other ways to say it; after these the call may mean something else. */
static const char *const forms[] = {
	"x", "x/", "x/.", "x/..", "x/y", "./x", "x/../x", "x/in", "x//in/",
};

/* @call with every "@" replaced by @path. */
static void add_call(const char *setup, const char *call, const char *path)
{
	char text[512];
	size_t n = 0;

	for (; *call && n < sizeof(text) / 2; call++) {
		if (*call == '@')
			n += snprintf(text + n, sizeof(text) - n, "%s", path);
		else
			text[n++] = *call;
	}
	text[n] = '\0';
	add("%s ! %s", setup, text);
}

static void fill_one(void)
{
	char setup[64];
	unsigned int f, k, c;

	for (f = 0; f < ARRAY_SIZE(forms); f++)
		for (k = 0; k < ARRAY_SIZE(kinds); k++) {
			/* that much is the same for all that are no directory */
			if (f > 4 && k != 1 && k != 5 && k != 7 && k != 8)
				continue;
			snprintf(setup, sizeof(setup), "mk %s x", kinds[k]);
			for (c = 0; c < ARRAY_SIZE(calls); c++)
				add_call(setup, calls[c], forms[f]);
		}
}

/* Relative to a directory that is open, the current one being elsewhere. */
static void fill_at(void)
{
	static const char *const some[] = {
		"stat @", "open @ r", "open @ rw,creat 0640", "mkdir @",
		"mknod @ fifo", "symlink target @", "unlink @", "rmdir @",
		"link @ new", "rename @ new", "chmod @ 0611", "lchown @ 7 8",
		"utime @ 5 6", "readlink @", "access @ r", "handle @",
		"statx @ empty", "link @ new 0x1000",
	};
	static const char *const dirs[] = {
		"open3 d r,directory", "open3 d path", "open3 f r",
		"open3 l path,nofollow", "open3 d path; rmdir d",
	};
	static const char *const names[] = {
		"in", "none", "%empty", ".", "..", "../f",
	};
	char call[200];
	unsigned int d, n, c;

	for (d = 0; d < ARRAY_SIZE(dirs); d++)
		for (n = 0; n < ARRAY_SIZE(names); n++)
			for (c = 0; c < ARRAY_SIZE(some); c++) {
				snprintf(call, sizeof(call), "%s; %s", dirs[d],
					 some[c]);
				add_call(d == 4 ? "mk dir d; mk file f" :
					 "mk full d; mk file f; mk ldir l",
					 call, names[n]);
			}
}

/* ------------------------------------------------------------- two objects */

static void fill_rename(void)
{
	static const char *const flags[] = {
		"", " noreplace", " exchange", " whiteout",
	};
	unsigned int a, b, f, cross;

	for (cross = 0; cross < 2; cross++)
		for (f = 0; f < ARRAY_SIZE(flags); f++)
			for (a = 0; a < ARRAY_SIZE(kinds); a++)
				for (b = 0; b < ARRAY_SIZE(kinds); b++)
					add("mk dir p; mk dir q; mk %s p/a; mk %s %s/b ! rename p/a %s/b%s",
					    kinds[a], kinds[b],
					    cross ? "q" : "p",
					    cross ? "q" : "p", flags[f]);
}

static void fill_link(void)
{
	unsigned int a, b;

	for (a = 0; a < ARRAY_SIZE(kinds); a++)
		for (b = 0; b < ARRAY_SIZE(kinds); b++)
			add("mk %s a; mk dir d; mk %s d/b ! link a d/b; link a d/b follow",
			    kinds[a], kinds[b]);
}

/* Names of one inode, of a directory and what is in it, flags that clash. */
static void fill_rename_odd(void)
{
	static const char *const pairs[] = {
		"x x", "x x.h", "x.h x", "d d", "d d/in", "d/in d", "d d/new",
		"d d/in/new", "d d/in/deep", "d/in/deep d/in", "d/in/deep d",
		"d/in d/in/deep", ". new", ".. new", "x .", "x ..", "d/. new",
		"d/.. new", "d d/.", "d d/..", "d . ", "x/ new", "d/ new",
		"x new/", "d new/", "d e/", "d/ e", "x e/", "l e", "l/ new",
		"d l", "d l/", "x l", "none new", "none none", "new/a b",
		"x none/b", "x x/b", "x d/x", "d e/d", "e d/in", "e e/e",
		"d/in/deep e", "e d/in/deep", "x.h d/x", "d d/in/new/newer",
	};
	static const char *const flags[] = {
		"", " noreplace", " exchange", " whiteout",
		" noreplace,exchange", " exchange,whiteout",
		" noreplace,whiteout", " 8", " 0x80000000",
	};
	static const char setup[] =
		"mk hard x; mk deep d; mk dir d/in/deep; mk dir e; mk ldir l";
	unsigned int i, f;

	for (f = 0; f < ARRAY_SIZE(flags); f++)
		for (i = 0; i < ARRAY_SIZE(pairs); i++)
			add("%s ! rename %s%s", setup, pairs[i], flags[f]);
}

/* Several calls in a row, a tick between them: each shows what it changes. */
static void fill_series(void)
{
	static const char *const series[] = {
		"mk full d ! mkdir d/a; mkdir d/a/b; rmdir d/a/b; rmdir d/a; rmdir d",
		"mk file x ! link x y; link y z; unlink x; rename y x; unlink z",
		"mk file x ! open x rw; unlink x; fstat; pwrite 5 20; fstat; pread 30 0; fchmod 0600; fchown 5 6; futime 1 2; ftruncate 3; fstat; fsync",
		"mk file x; mk file y ! open x r; rename y x; fstat; pread 20 0; linkfd z; linkfd z proc",
		"mk dir d ! open d r,directory; rmdir d; fstat; getdents 4096; open3 d r; fchmod 0700; fcd; list .; mkdir sub; open new w,creat",
		"mk dir d ! cd d; rmdir ../d; mkdir e; open f w,creat; symlink t s; mknod p fifo; stat .; stat ..; list .; rename ../d e; link ../x y",
		"mk deep d ! cd d/in; rename ../../d ../../e; stat ..; list ..; mkdir ../new",
		"! open . rw,tmpfile 0640; fstat; write 100; fstat; linkfd x proc; fstat; linkfd y proc; unlink x; unlink y; linkfd z proc",
		"! open . rw,tmpfile,excl 0640; linkfd x proc; linkfd x",
		"! open . r,tmpfile 0640; fstat",
		"! open . w,tmpfile,creat 0640; fstat",
		"! umask 077; open . w,tmpfile 0666; linkfd x proc; fstat",
		"mk file x ! open x path; linkfd y proc; linkfd z; fchmod 0600; fchown 1 2; futime 1 2; write 1; read 1; ftruncate 0; fsync; fsetxattr user.a v; fgetxattr user.a; lseek 0 set; lock rd 0 1; flock ex; ioctl version; fstat; statx %empty empty; fstatfs",
		"mk lfile x ! open x path,nofollow; fstat; statx %empty empty; linkfd y proc; linkfd z; read 1",
		"mk file x ! open x r; rename x y; fstat; stat x; rename y x; fstat; rename x x; link x y; rename x y; stat x; stat y",
		"mk file a; mk file b ! rename a b exchange; tick; rename a b exchange; tick; unlink a; rename b a",
		"mk file x ! unlink x; creat x 0644; unlink x; mkdir x; rmdir x; symlink t x; unlink x; mknod x fifo; unlink x; stat x",
		"mk full d ! rmdir d; unlink d/in; rmdir d/.; rmdir d/..; rmdir d/; rmdir d",
		"mk dir d ! many 30 d; list d; places d; unlink d/name-7; places d",
		"! umask 0; mkdir a 07777; creat b 07777; mknod c reg 07777; mknod d fifo 07777; open e w,creat 07777; umask 0777; mkdir f 0777; creat g 0666; open h rw,creat 0777; symlink t i; mknod j reg 0666",
		"! umask 027; mkdir a 0777; creat b 0666; umask 0; mkdir c 01777; open d w,creat,excl 04755; mkdir e 0; creat f 0",
		/* an open directory shows what has changed, from the beginning on */
		"mk full d ! open d r; dents; dents; creat d/new 0600; dents; lseek 0 set; dents; unlink d/in; lseek 0 set; dents; rename d/new d/old; lseek 0 set; dents",
		"mk dir d ! open d r; creat d/a 0600; mkdir d/b; dents; lseek 0 set; rename d/a d/c; dents; rmdir d/b; unlink d/c; lseek 0 set; dents",
		"mk full d ! open d r; open1 d r; dents; dents1; rename d e; lseek 0 set; dents; creat e/x 0600; lseek1 0 set; dents1; lseek -1 set; dents",
		"mk full d ! open d r; unlink d/in; rmdir d; dents; lseek 0 set; dents; read 10; write 10; ftruncate 0; fallocate plain 0 10; fsync; fdatasync",
		"mk full d ! open d path; dents; getdents 4096; close; open d r; getdents 10; getdents 0; getdents 24",
		"mk file x ! as other; open x r; as root; unlink x; as other; read 20; fstat; as root; fstat",
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(series); i++)
		add("%s", series[i]);
}

/* ----------------------------------------------------- lengths and addresses */

static void fill_long(void)
{
	static const char *const names[] = {
		"%n255", "%n256", "%n1000", "x/%n255", "x/%n256",
		"%p4095:x", "%p4096:x", "%p4097:x", "%p8000:x",
		"%p4095:none", "%p4096:none", "%n255/x", "%n256/x", "none/%n256",
		"f/%n256", "%empty", "%bad",
	};
	static const char *const some[] = {
		"stat @", "open @ r", "open @ rw,creat 0640", "mkdir @",
		"mknod @ fifo", "mknod @ reg", "symlink target @", "unlink @",
		"rmdir @", "link @ new", "link f @", "rename @ new",
		"rename f @", "rename f @ exchange", "chmod @ 0611",
		"lchmod @ 0611", "lchown @ 7 8", "utime @ 5 6", "readlink @",
		"access @ r", "truncate @ 3", "listxattr @",
		"setxattr @ user.a b", "cd @", "statfs @", "handle @", "watch @",
		"exec @", "creat @ 0600", "utimenull @", "rootin @",
	};
	static const char *const setups[] = {
		"mk dir x; mk file f",
		"mk dir x; mk file f; mk dir %n255; mk full x/%n255",
	};
	unsigned int s, n, c;

	for (s = 0; s < ARRAY_SIZE(setups); s++)
		for (n = 0; n < ARRAY_SIZE(names); n++)
			for (c = 0; c < ARRAY_SIZE(some); c++)
				add_call(setups[s], some[c], names[n]);
}

static void fill_long_odd(void)
{
	static const char *const odd[] = {
		"! symlink %s4095 a; lstat a; readlink a; readlink a 10; readlink a 0; stat a; unlink a",
		"! symlink %s4096 a; symlink %s1 b; symlink %s59 c; symlink %s60 d; symlink %s61 e; symlink %s255 f; symlink %s1024 g; symlink %s4000 h",
		"! symlink %empty a; symlink %bad a; symlink a %bad; symlink / a; symlink . b; symlink .. c; list b; list a/none",
		"mk file x ! stat x %bad; readlink x 10 %bad; statx x 0 %bad; open x rw; read 10 %bad; write 10 %bad; readv 2 10 %bad; writev 2 10 %bad; fstat",
		"mk lfile x ! readlink x 4096 %bad; link %bad y; rename x %bad; rename %bad x",
		"! deepdir 200; creat f 0600; stat f; mkdir e; rename e g; symlink f s; readlink s; stat s; unlink f",
		"mk file a; mk file b ! creat %n255 0600; rename %n255 a; rename a %n255; link %n255 b; unlink %n255; stat a",
		"! mkdir %n255; mkdir %n255/%m255; mkdir %n255/%m255/%o255; creat %n255/%m255/%o255/%p255:x 0600; rename %n255/%m255/%o255 x; rmdir %n255/%m255; list x",
		/* chains of symlinks: forty may be followed */
		"mk file t ! symlink t l0; symlink l0 l1; symlink l1 l2; symlink l2 l3; stat l3; symlink d/.. d; stat d",
		"mk dir d ! symlink d l; stat l/l/l/l; symlink .. d/up; stat d/up/d/up/d/up/d; symlink ../l d/l; stat l/l/l/l/l/l/l/l/l/l; stat l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l; stat l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l",
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(odd); i++)
		add("%s", odd[i]);
	/* every byte but / and NUL is a letter like any other */
	for (i = 1; i < 256; i++)
		if (!strchr("/; !%", (char)i))
			add("mk dir d ! mkdir d/%c; list d; rename d/%c d/%c%c; stat d/%c%c; unlink d/%c%c; rmdir d/%c%c",
			    i, i, i, i, i, i, i, i, i, i);
}

const struct section sections_name[] = {
	{ "one", fill_one },
	{ "at", fill_at },
	{ "rename", fill_rename },
	{ "rename-odd", fill_rename_odd },
	{ "link", fill_link },
	{ "series", fill_series },
	{ "long", fill_long },
	{ "long-odd", fill_long_odd },
	{ NULL, NULL },
};
