/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Contents, sizes and times of files. */
#include "posix.h"

/* Each of these in a file of its own that is open. */
static const char *const acts[] = {
	"read 0", "read 5; read 5; read 5", "read 20000", "pread 10 3",
	"pread 10 -1", "pread 10 max", "pread 0 -1", "pread 10 100000",
	"preadodd 100 0", "write 0", "write 3", "pwrite 0 100000",
	"pwrite 3 0", "pwrite 3 8", "pwrite 5000 4000", "pwrite 1 -1",
	"pwriteodd 100 7", "write 70000", "write 3; write 4; lseek 0 cur",
	"lseek 5 set; write 3; read 3", "lseek 0 end; write 3; fstat",
	"lseek 100000 end; write 1; extents", "readv 3 4", "writev 3 4",
	"readv 3 4 %bad", "writev 3 4 %bad", "writev 1025 1", "readv 1025 1",
	"writev 1024 0", "pwritev2 2 5 0 0", "pwritev2 2 5 -1 0",
	"pwritev2 2 5 3 append", "pwritev2 2 5 3 dsync", "pwritev2 2 5 3 sync",
	"pwritev2 2 5 0 hipri", "preadv2 2 5 0 hipri", "preadv2 2 5 -1 0",
	"preadv2 2 5 0 0x4000", "pwritev2 2 5 0 0x4000",
	"pwritev2 2 5 0 append,noappend", "pwritev2 2 5 0 noappend",
	"ftruncate 0", "ftruncate 3", "ftruncate 4096", "ftruncate 100000",
	"ftruncate -1", "ftruncate 5; ftruncate 5000; pread 5000 0",
	"fstat; ftruncate 10; fstat",
	"lseek 0 data", "lseek 0 hole", "lseek 5 hole", "lseek 100000 data",
	"lseek 100000 hole", "lseek -1 data", "lseek -1 set", "lseek max set",
	"lseek max end", "lseek -5 end", "lseek 0 9", "lseek -1 hole",
	"extents", "lseek max set; write 1", "lseek max set; read 1",
	"fallocate plain 0 100", "fallocate plain 0 20000",
	"fallocate plain 20000 5000", "fallocate keep 0 20000",
	"fallocate punch,keep 0 4096", "fallocate punch,keep 0 5",
	"fallocate punch,keep 3 8192", "fallocate punch,keep 50000 8192",
	"fallocate punch,keep 0 20000", "fallocate punch 0 4096",
	"fallocate punch,keep 8192 4196; extents",
	"fallocate punch,keep 8192 4300; extents",
	"fallocate punch,keep 12288 200; extents; fstat", "fallocate zero 0 4096", "fallocate zero 2 5",
	"fallocate zero 0 50000", "fallocate zero,keep 0 50000",
	"fallocate zero,keep 4096 4096", "fallocate zero,punch 0 4096",
	"fallocate plain 0 0", "fallocate plain -1 5", "fallocate plain 5 -1",
	"fallocate plain max 5", "fallocate plain 5 max",
	"fallocate plain 16t 4096", "fallocate punch,keep 16t 4096",
	"fallocate 0x80 0 5", "fallocate 0x200 0 5",
	"pallocate 0 50000", "pallocate 0 0", "pallocate -1 5",
	"pallocate 5 max", "pallocate 3 3",
	"fsync", "fdatasync", "syncfs", "syncrange 0 0 7", "syncrange -1 5 0",
	"syncrange 0 0 100", "fadvise 0 0 0", "fadvise 0 0 4", "fadvise 0 0 99",
	"fadvise 0 -1 0", "readahead 0 4096", "fionread", "ioctl bsz",
	"getdents 4096", "fcd", "ioctl tty", "ioctl unknown",
	"copyself 0 5 5", "copyself 0 3 5", "copyself 0 100 10",
	"copyself 0 20000 20000", "fchmod 0600", "fchown 1 2", "futime 5 6",
	"fsetxattr user.a v; fgetxattr user.a; frmxattr user.a",
	"write 3; tick; futime omit omit; tick; write 2",
	"fchmod 0644", "fchown 0 0", "fchown -1 -1", "futime now now",
};

static const char *const openings[] = { "r", "w", "rw", "rw,append", "path" };

static const char *const kinds[] = {
	"empty x", "file x", "big x", "sparse x", "dir x", "fifo x", "chr x",
};

static void fill_open_file(void)
{
	unsigned int k, o, a;

	for (k = 0; k < ARRAY_SIZE(kinds); k++)
		for (o = 0; o < ARRAY_SIZE(openings); o++)
			for (a = 0; a < ARRAY_SIZE(acts); a++)
				/* what is no file, by one opening each */
				if (k < 4 || o == (k == 4 ? 0u : 2u))
					add("mk %s ! open x %s; %s", kinds[k],
					    openings[o], acts[a]);
}

static void fill_flags(void)
{
	static const char *const extra[] = {
		"creat", "excl", "trunc", "append", "directory", "nofollow",
		"path", "tmpfile",
	};
	static const char *const what[] = {
		"none", "file", "dir", "lfile", "ldir", "lnone", "fifo", "chr",
	};
	static const char *const base[] = { "r", "w", "rw", "3" };
	unsigned int k, b, set, i;
	char flags[128];
	size_t n;

	for (k = 0; k < ARRAY_SIZE(what); k++)
		for (b = 0; b < ARRAY_SIZE(base); b++)
			for (set = 0; set < 1u << ARRAY_SIZE(extra); set++) {
				if (k >= 3 && (set * 7 + b * 3 + k) % 5)
					continue;
				n = snprintf(flags, sizeof(flags), "%s", base[b]);
				for (i = 0; i < ARRAY_SIZE(extra); i++)
					if (set & 1u << i)
						n += snprintf(flags + n,
							      sizeof(flags) - n,
							      ",%s", extra[i]);
				add("mk %s x ! open x %s 0640; write 2; read 3",
				    what[k], flags);
			}
}

/* Direct I/O: what must be aligned and what need not. */
static void fill_direct(void)
{
	static const char *const direct[] = {
		"pread 4096 0", "pread 4096 4096", "pread 8192 8192",
		"pread 20000 0", "pwrite 4096 0", "pwrite 4096 4096",
		"pwrite 8192 12288", "pwrite 4096 16384", "pwrite 65536 0",
		"pread 4096 12288", "pwrite 4096 40960; extents",
		"pwrite 4096 0; pread 4096 0", "pread 4096 100000",
		"open1 x rw; pwrite1 5 3; pread 4096 0; pwrite 4096 0; pread1 20 0",
		"fallocate plain 0 65536; pwrite 4096 8192; extents",
		"open1 x r; map1 r shared 0 4096; load 0; pwrite 4096 0; load 0",
	};
	unsigned int k, a;

	for (k = 0; k < 4; k++)
		for (a = 0; a < ARRAY_SIZE(direct); a++)
			add("mk %s ! open x rw,direct; %s", kinds[k], direct[a]);
}

static void fill_two_files(void)
{
	static const char *const between[] = {
		"copy 0 0 5", "copy cur cur 100; lseek 0 cur; lseek1 0 cur",
		"copy 0 0 100000", "copy 3 7 4", "copy 0 100000 5",
		"copy 100000 0 5", "copy 0 0 0", "copy 0 0 5 1", "copy -1 0 5",
		"copy 0 -1 5", "copy 0 max 5", "copy max 0 5", "copy 4096 0 4096",
		"copy 1 4095 9000", "sendfile cur 7; lseek 0 cur",
		"sendfile 3 4", "sendfile 100000 4", "sendfile -1 4",
		"sendfile 0 100000", "splice cur cur 7; lseek 0 cur; lseek1 0 cur",
		"splice 3 2 5", "splice 100000 2 5", "splice 0 100000 60000",
		"splice 0 -1 5", "ioctl clone",
	};
	static const char *const ways[][2] = {
		{ "r", "w" }, { "r", "rw" }, { "r", "r" }, { "w", "w" },
		{ "r", "w,append" }, { "path", "w" }, { "r", "path" },
	};
	static const char *const pairs[] = {
		"mk file x; mk file y", "mk big x; mk empty y",
		"mk sparse x; mk big y", "mk empty x; mk file y",
		"mk dir x; mk file y", "mk fifo x; mk file y",
	};
	unsigned int p, w, b;

	for (p = 0; p < ARRAY_SIZE(pairs); p++)
		for (w = 0; w < ARRAY_SIZE(ways); w++)
			for (b = 0; b < ARRAY_SIZE(between); b++)
				add("%s ! open x %s; open1 y %s; %s", pairs[p],
				    ways[w][0], ways[w][1], between[b]);
}

/* Far offsets and the limit on the size of files. */
static void fill_limits(void)
{
	static const char *const far[] = {
		"pwrite 1 4g-1; fstat; extents", "pwrite 2 8t; extents; fstat",
		"pwrite 1 16t-4097; fstat; pread 1 16t-4097",
		"ftruncate 16t-4096; fstat", "ftruncate 8t; fstat; lseek 0 data",
		"pwrite 10 2g-5; pread 10 2g-5", "ftruncate 2g; pread 10 2g-5",
		"pwrite 10 4g-5; pread 10 4g-5; ftruncate 4g; pread 10 4g-5",
		"pwrite 5 1t; ftruncate 1t+2; extents; ftruncate 1t-1; extents",
		"pwrite 5 1t; fallocate punch,keep 1t 4096; extents",
		"fallocate plain 1t 8192; extents; fstat",
		"fallocate keep 1t 8192; fstat",
		"pwrite 3 5; limit 100; pwrite 200 0; fstat",
		"limit 100; pwrite 1 100; fstat", "limit 100; pwrite 1 99; fstat",
		"limit 100; pwrite 50 90; fstat", "limit 100; ftruncate 100",
		"limit 100; ftruncate 101; fstat", "limit 100; truncate x 101",
		"limit 100; fallocate plain 0 101; fstat",
		"limit 100; fallocate keep 0 101; fstat",
		"limit 0; write 1; write 0", "limit 4096; write 5000; write 1; fstat",
		"limit 100; open1 y rw,creat; pwrite 90 0; copy 0 0 90; lseek 200 set; copy 0 cur 5",
		"limit 100; as other; pwrite 1 100; as root",
		"pwrite 3 0; limit 2; pwrite 1 0; pwrite 1 1; pwrite 1 2",
		"limit 100; pwrite 10 95; pwritev2 2 10 0 append",
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(far); i++)
		add("mk empty x ! open x rw; %s", far[i]);
}

static void fill_append(void)
{
	static const char *const series[] = {
		"mk file x ! open x rw,append; write 3; pwrite 3 0; lseek 0 cur; fstat; read 5; lseek 2 set; write 4; lseek 0 cur",
		"mk file x ! open x rw,append; open1 x rw,append; write 3; write1 3; write 3; fstat1; ftruncate 5; write1 2; fstat",
		"mk file x ! open x w,append; open1 x rw; pwrite1 1 100; write 5; fstat; pread1 20 90",
		"mk file x ! open x w; open1 x r; write 4; read1 20; read1 20; lseek1 0 set; read1 20",
		"mk file x ! open x w,sync; write 5; open1 x w,dsync; write1 5; pwrite1 5 5000",
		"mk big x ! open x rw; open1 x w,trunc; fstat; pread 10 0; pwrite 10 5000; fstat1; extents",
		"mk empty x ! open x w,trunc; fstat; tick; open1 x w,trunc; tick; truncate x 0",
		"mk file x ! truncate x 10; tick; truncate x 10; tick; truncate x 5; tick; open x w; tick; write 0; tick; pwrite 0 50",
		"mk sparse x ! open x rw; extents; pwrite 1 0; extents; fallocate punch,keep 0 4096; extents; fallocate zero 4096 4096; extents; pwrite 4096 8192; extents; fstat",
		"mk empty x ! open x rw; fallocate plain 0 40960; extents; pwrite 5 8192; extents; ftruncate 10000; extents; ftruncate 50000; extents; pread 5000 8192",
		"mk big x ! open x rw; fallocate punch,keep 4000 200; pread 300 3950; fallocate punch,keep 0 12388; extents; fstat",
		"mk big x ! open x rw; ftruncate 100; ftruncate 12388; pread 4096 0; extents; pread 12388 0",
		"mk file x ! open x rw; pwrite 5 4091; ftruncate 4093; ftruncate 5000; pread 20 4085",
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(series); i++)
		add("%s", series[i]);
}

static void fill_times(void)
{
	static const char *const times[] = {
		"0 0", "1 1.999999999", "-1 -1", "-1000 -2000.5",
		"-2147483648 -2147483648.1", "2147483647 2147483647.999999999",
		"2147483648 2147483648", "4294967295 4294967296",
		"4294967296.123456789 6442450944.5",
		"15032385535 15032385535.999999999", "now 5", "5 now",
		"omit 5", "5 omit", "now omit", "omit now", "omit omit",
		"now now", "5.1000000000 5", "5 5.2000000000", "5.-1 5",
	};
	static const char *const what[] = {
		"file", "dir", "lfile", "lnone", "fifo", "hard",
	};
	unsigned int k, t;

	for (k = 0; k < ARRAY_SIZE(what); k++)
		for (t = 0; t < ARRAY_SIZE(times); t++)
			add("mk %s x ! utime x %s; utime x %s nofollow; stat x",
			    what[k], times[t], times[t]);
	add("mk file x ! open x r; futime 7.5 8.25; as other; futime now now; futime 1 2");
	add("mk file x 0666 1000 1000 ! open x r; as owner; futime 7 8; as other; open1 x w; futime1 now now; futime1 1 now; futime1 omit omit");
}

const struct section sections_file[] = {
	{ "open-file", fill_open_file },
	{ "flags", fill_flags },
	{ "direct", fill_direct },
	{ "two-files", fill_two_files },
	{ "limits", fill_limits },
	{ "append", fill_append },
	{ "times", fill_times },
	{ NULL, NULL },
};
