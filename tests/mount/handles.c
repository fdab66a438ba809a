/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * File handles, as an NFS server uses them.
 *
 *	handles take FILE...		a line of hexadecimal digits for each
 *	handles open MOUNTPOINT		for each such line on the standard input
 *					the inode number, size and type of what
 *					it leads to, or the error
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

union handle {
	struct file_handle h;
	unsigned char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
};

static int take(const char *path)
{
	union handle u = { .h.handle_bytes = MAX_HANDLE_SZ };
	unsigned int i;
	int mount_id;

	if (name_to_handle_at(AT_FDCWD, path, &u.h, &mount_id, 0)) {
		perror(path);
		return 1;
	}
	printf("%08x", (unsigned int)u.h.handle_type);
	for (i = 0; i < u.h.handle_bytes; i++)
		printf("%02x", u.h.f_handle[i]);
	putchar('\n');
	return 0;
}

static int parse(union handle *u, const char *line)
{
	unsigned int type, byte, n = 0;

	if (sscanf(line, "%8x", &type) != 1 || strlen(line) < 8)
		return -1;
	for (line += 8; n < MAX_HANDLE_SZ && sscanf(line, "%2x", &byte) == 1;
	     line += 2)
		u->h.f_handle[n++] = (unsigned char)byte;
	u->h.handle_type = (int)type;
	u->h.handle_bytes = n;
	return 0;
}

static void show(int mountfd, union handle *u)
{
	int fd = open_by_handle_at(mountfd, &u->h, O_RDONLY);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		printf("%s\n", strerror(errno));
	else
		printf("%llu %lld %s\n", (unsigned long long)st.st_ino,
		       (long long)st.st_size,
		       S_ISDIR(st.st_mode) ? "directory" : "file");
	if (fd >= 0)
		close(fd);
}

static int open_all(const char *mountpoint)
{
	int fd = open(mountpoint, O_RDONLY | O_DIRECTORY);
	char line[2 * sizeof(union handle) + 16];
	union handle u;

	if (fd < 0) {
		perror(mountpoint);
		return 1;
	}
	while (fgets(line, sizeof(line), stdin)) {
		if (parse(&u, line))
			return 1;
		show(fd, &u);
	}
	close(fd);
	return 0;
}

int main(int argc, char **argv)
{
	int i, ret = 0;

	if (argc > 2 && !strcmp(argv[1], "take")) {
		for (i = 2; i < argc; i++)
			ret |= take(argv[i]);
		return ret;
	}
	if (argc == 3 && !strcmp(argv[1], "open"))
		return open_all(argv[2]);
	fprintf(stderr, "usage: handles take FILE... | open MOUNTPOINT\n");
	return 2;
}
