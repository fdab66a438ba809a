/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One system call for which the shell has no command: call WHAT ARGUMENT...
 * It says what went wrong and exits with 1.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

static mode_t octal(const char *text)
{
	return (mode_t)strtoul(text, NULL, 8);
}

static int do_create(char **arg)
{
	return open(arg[1], O_CREAT | O_WRONLY, octal(arg[0]));
}

static int do_mkdir(char **arg)
{
	return mkdir(arg[1], octal(arg[0]));
}

/* O_TMPFILE, and then it gets a name. */
static int do_nameless(char **arg)
{
	int fd = open(".", O_TMPFILE | O_WRONLY, octal(arg[0]));
	char path[40];

	if (fd < 0)
		return fd;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, path, AT_FDCWD, arg[1], AT_SYMLINK_FOLLOW);
}

static int do_socket(char **arg)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", arg[0]);
	return bind(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&addr,
		    sizeof(addr));
}

static int do_whiteout(char **arg)
{
	return renameat2(AT_FDCWD, arg[0], AT_FDCWD, arg[1], RENAME_WHITEOUT);
}

static int do_copy(char **arg)
{
	int in = open(arg[0], O_RDONLY), out = open(arg[1], O_WRONLY);

	if (in < 0 || out < 0)
		return -1;
	return (int)copy_file_range(in, NULL, out, NULL, 4, 0);
}

/* ------------------------------------------------------------------- xattrs */

static char value[70000], list[70000];

static void say(const char *what, ssize_t ret)
{
	if (ret < 0)
		printf("%s: %s\n", what, strerrorname_np(errno));
	else
		printf("%s: %zd\n", what, ret);
}

static void say_sizes(const char *file)
{
	static const size_t sizes[] = {
		0, 1, 800, 1000, 4000, 5000, 65535, 65536, 65537,
	};
	size_t i;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		printf("%zu bytes:\n", sizes[i]);
		memset(value, (int)i + 1, sizes[i]);
		say("set", setxattr(file, "user.x", value, sizes[i], 0));
		say("size", getxattr(file, "user.x", NULL, 0));
		say("get", getxattr(file, "user.x", list, sizeof(list)));
		if (sizes[i] && sizes[i] <= XATTR_SIZE_MAX)
			printf("same: %d\n", !memcmp(value, list, sizes[i]));
		if (sizes[i] > 1)
			say("short", getxattr(file, "user.x", list,
					      sizes[i] - 1));
	}
	say("remove", removexattr(file, "user.x"));
	say("gone", getxattr(file, "user.x", NULL, 0));
	say("gone", removexattr(file, "user.x"));
}

static void say_flags(const char *file)
{
	say("replace", setxattr(file, "user.f", "1", 1, XATTR_REPLACE));
	say("create", setxattr(file, "user.f", "1", 1, XATTR_CREATE));
	say("create", setxattr(file, "user.f", "2", 1, XATTR_CREATE));
	say("replace", setxattr(file, "user.f", "", 0, XATTR_REPLACE));
	say("both", setxattr(file, "user.f", "3", 1, 3));
	say("both", setxattr(file, "user.g", "3", 1, 3));
	say("other", setxattr(file, "user.f", "4", 1, 4));
	say("get", getxattr(file, "user.f", value, 10));
	say("list", listxattr(file, list, sizeof(list)));
	say("list", listxattr(file, NULL, 0));
	say("short", listxattr(file, list, 6));
	say("fits", listxattr(file, list, 7));
	say("remove", removexattr(file, "user.f"));
	say("list", listxattr(file, list, 6));
}

/* More names than a list may have bytes. */
static void say_many(const char *file)
{
	char name[XATTR_NAME_MAX + 1];
	int i;

	for (i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "user.%0240d", i);
		if (i == 100 || i == 250)
			say("list", listxattr(file, list, sizeof(list)));
		if (setxattr(file, name, "x", 1, 0))
			break;
	}
	say("too many", listxattr(file, list, sizeof(list)));
}

static int do_xattrs(char **arg)
{
	say_sizes(arg[0]);
	say_flags(arg[0]);
	return 0;
}

static int do_many(char **arg)
{
	say_many(arg[0]);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *what;
		int args;
		int (*call)(char **arg);
	} calls[] = {
		{ "create", 2, do_create }, { "mkdir", 2, do_mkdir },
		{ "nameless", 2, do_nameless }, { "socket", 1, do_socket },
		{ "whiteout", 2, do_whiteout }, { "copy", 2, do_copy },
		{ "xattrs", 1, do_xattrs }, { "many", 1, do_many },
	};
	size_t i;

	for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		if (argc < 2 || strcmp(argv[1], calls[i].what) ||
		    argc != 2 + calls[i].args)
			continue;
		if (calls[i].call(argv + 2) >= 0)
			return 0;
		printf("%s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	fprintf(stderr, "usage: call WHAT ARGUMENT...\n");
	return 2;
}
