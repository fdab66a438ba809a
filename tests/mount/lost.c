/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who is told when a page that was stored to cannot be written back?
 *
 *	lost FILE BAD
 *
 * FILE is mapped and opened twice; after BAD was made, which makes the device
 * fail, it is stored to, unmapped, closed and synced.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define BYTES	16384

static void tell(const char *what, int ret)
{
	printf("%s=%s\n", what, ret ? strerrorname_np(errno) : "ok");
}

int main(int argc, char **argv)
{
	int fd, other, bad;
	char *map;

	if (argc != 3)
		errx(99, "usage: lost FILE BAD");
	fd = open(argv[1], O_RDWR);
	other = open(argv[1], O_RDWR);
	if (fd < 0 || other < 0)
		err(99, "%s", argv[1]);
	map = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		err(99, "mmap");
	bad = creat(argv[2], 0600);
	if (bad < 0)
		err(99, "%s", argv[2]);
	close(bad);
	memcpy(map, "lost", 4);
	munmap(map, BYTES);
	tell("close", close(fd));
	tell("fsync", fsync(other));
	tell("fsync", fsync(other));
	close(other);
	other = open(argv[1], O_RDONLY);
	tell("fsync", fsync(other));
	close(other);
	return 0;
}
