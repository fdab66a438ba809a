/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ioctls [-u|-c] COMMAND PATH [ARGUMENT...]: one ioctl of a filesystem; exits
 * with its errno.  -u: as an ordinary user; -c: as root without capabilities.
 *
 *	label			print it
 *	setlabel TEXT
 *	trim START LEN MINLEN	print the bytes trimmed
 *	shutdown [HOW]		with HOW by owfs's own number
 *	number HEX		any, without an argument
 *	hostile SEED		thousands, of all sizes, with garbage
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define USER		12345
#define SHUTDOWN	_IOR('X', 125, uint32_t)
#define SHUTDOWN_HOW	_IOW('O', 1, uint32_t)
#define GET_LABEL	_IOR(0x94, 49, char[256])
#define SET_LABEL	_IOW(0x94, 50, char[256])

static int drop_capabilities(void)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct none[2] = { 0 };

	return (int)syscall(SYS_capset, &head, none);
}

static int get_label(int fd)
{
	char label[257] = "";

	if (ioctl(fd, GET_LABEL, label))
		return errno;
	puts(label);
	return 0;
}

static int set_label(int fd, const char *text)
{
	char label[256];

	snprintf(label, sizeof(label), "%s", text);
	return ioctl(fd, SET_LABEL, label) ? errno : 0;
}

static int trim(int fd, char **argv)
{
	struct fstrim_range range = {
		.start = strtoull(argv[0], NULL, 0),
		.len = strtoull(argv[1], NULL, 0),
		.minlen = strtoull(argv[2], NULL, 0),
	};

	if (ioctl(fd, FITRIM, &range))
		return errno;
	printf("%llu\n", (unsigned long long)range.len);
	return 0;
}

static int shut_down(int fd, const char *how)
{
	uint32_t word = how ? (uint32_t)strtoul(how, NULL, 0) : 0;

	return ioctl(fd, how ? SHUTDOWN_HOW : SHUTDOWN, &word) ? errno : 0;
}

/* Which of these the filesystem knows is not known here: it must go on, that is all. */
static int hostile(int fd, uint64_t seed)
{
	static const unsigned int types[] = { 'X', 'f', 'v', 'O', 0x94, 'x', 0 };
	static unsigned char buf[1 << 14];
	unsigned int i, j, cmd;

	for (i = 0; i < 20000; i++) {
		for (j = 0; j < 64; j++) {
			seed ^= seed << 13;
			seed ^= seed >> 7;
			seed ^= seed << 17;
			memcpy(buf + 8 * j, &seed, 8);
		}
		cmd = _IOC(seed & 3, types[(seed >> 2) % 7],
			   (seed >> 8) % 130, (seed >> 20) % 300);
		/* that would end it, or hang it on the kernel's side */
		if ((cmd & 0xffff) == (SHUTDOWN & 0xffff) ||
		    (cmd & 0xffff) == (SHUTDOWN_HOW & 0xffff) ||
		    cmd == FIFREEZE)
			continue;
		ioctl(fd, cmd, buf);
	}
	return 0;
}

static int run(int fd, int argc, char **argv)
{
	if (!strcmp(argv[0], "label"))
		return get_label(fd);
	if (!strcmp(argv[0], "setlabel") && argc == 3)
		return set_label(fd, argv[2]);
	if (!strcmp(argv[0], "trim") && argc == 5)
		return trim(fd, argv + 2);
	if (!strcmp(argv[0], "shutdown"))
		return shut_down(fd, argv[2]);
	if (!strcmp(argv[0], "number") && argc == 3)
		return ioctl(fd, strtoul(argv[2], NULL, 16), 0) ? errno : 0;
	if (!strcmp(argv[0], "hostile") && argc == 3)
		return hostile(fd, strtoull(argv[2], NULL, 0));
	return 255;
}

int main(int argc, char **argv)
{
	int fd, ret = 0;

	argc--;
	argv++;
	if (argc && !strcmp(argv[0], "-u"))
		ret = setgid(USER) || setuid(USER);
	else if (argc && !strcmp(argv[0], "-c"))
		ret = drop_capabilities();
	if (ret) {
		perror("rights");
		return 255;
	}
	if (argc && argv[0][0] == '-') {
		argc--;
		argv++;
	}
	if (argc < 2)
		return 255;
	fd = open(argv[1], O_RDONLY | O_NONBLOCK);
	if (fd < 0) {
		perror(argv[1]);
		return 255;
	}
	return run(fd, argc, argv);
}
