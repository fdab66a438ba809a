/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * allocation DIRECTORY SEED FILES: short random histories of files, of writes,
 * cuts and every mode of fallocate(2); after each step size, blocks, where data
 * is, and a sum over the bytes, one line each, so that two filesystems can be
 * compared.  It knows nothing of owfs.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STEPS	5
#define FAR	300000u

static uint64_t state;

static uint32_t below(uint32_t n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)((state >> 20) % n);
}

/* Places that matter: on blocks, beside them, anywhere. */
static off_t place(void)
{
	off_t at = below(FAR / 4096) * 4096;

	switch (below(4)) {
	case 0:
		return at;
	case 1:
		return at + 1;
	case 2:
		return at + 4095;
	default:
		return below(FAR);
	}
}

static const struct {
	const char *name;
	int mode;
} modes[] = {
	{ "allocate", 0 },
	{ "allocate+keep", FALLOC_FL_KEEP_SIZE },
	{ "punch", FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE },
	{ "zero", FALLOC_FL_ZERO_RANGE },
	{ "zero+keep", FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE },
	{ "punch alone", FALLOC_FL_PUNCH_HOLE },
	{ "punch+zero", FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE |
			FALLOC_FL_KEEP_SIZE },
	{ "nonsense", 0x100 },
};

#define MODES	(sizeof(modes) / sizeof(modes[0]))

static int step(int fd)
{
	static char buf[FAR];
	off_t pos = place();
	off_t len = 1 + below(2) * below(FAR / 3) + below(5000);
	unsigned int what = below(12), n;
	struct stat st;

	if (what < 3) {
		n = below(60000) + 1;
		memset(buf, 'a' + (int)below(26), n);
		printf("write %lld %u", (long long)pos, n);
		return pwrite(fd, buf, n, pos) == (ssize_t)n ? 0 : -1;
	}
	if (what == 3) {
		printf("truncate %lld", (long long)pos);
		return ftruncate(fd, pos);
	}
	n = below(MODES + 6);
	n = n < MODES ? n : n % 5;
	/* what is preallocated past the end ext4 does not punch */
	if (!fstat(fd, &st) && (modes[n].mode & FALLOC_FL_PUNCH_HOLE) &&
	    pos + len > st.st_size && pos < st.st_size)
		len = st.st_size - pos;
	else if ((modes[n].mode & FALLOC_FL_PUNCH_HOLE) && pos >= st.st_size)
		n = 0;
	if (!below(40))
		pos = -pos;
	if (!below(40))
		len = -len + 1;
	printf("%s %lld %lld", modes[n].name, (long long)pos, (long long)len);
	return fallocate(fd, modes[n].mode, pos, len);
}

static uint64_t sum_of(int fd)
{
	static unsigned char buf[65536];
	uint64_t sum = 14695981039346656037ull;
	off_t at = 0;
	ssize_t n, i;

	while ((n = pread(fd, buf, sizeof(buf), at)) > 0) {
		for (i = 0; i < n; i++)
			sum = (sum ^ buf[i]) * 1099511628211ull;
		at += n;
	}
	/* what is in the cache of a preallocated block may be called data */
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	return n ? 0 : sum;
}

static void show(int fd)
{
	off_t at = 0, end;
	struct stat st;

	if (fsync(fd) || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) ||
	    fstat(fd, &st)) {
		perror("fsync");
		exit(1);
	}
	printf("  size %lld blocks %lld sum %016llx data",
	       (long long)st.st_size, (long long)st.st_blocks,
	       (unsigned long long)sum_of(fd));
	while ((at = lseek(fd, at, SEEK_DATA)) >= 0) {
		end = lseek(fd, at, SEEK_HOLE);
		printf(" %lld-%lld", (long long)at, (long long)end);
		at = end;
	}
	at = lseek(fd, st.st_size, SEEK_HOLE);
	printf(" %s", at < 0 ? strerror(errno) : "?");
	at = lseek(fd, st.st_size ? st.st_size - 1 : 0, SEEK_HOLE);
	printf(" %lld\n", (long long)at);
}

static void history(int n)
{
	char name[32];
	int fd, i, ret;

	snprintf(name, sizeof(name), "file%d", n);
	fd = open(name, O_RDWR | O_CREAT | O_EXCL, 0644);
	if (fd < 0) {
		perror(name);
		exit(1);
	}
	for (i = 0; i < STEPS; i++) {
		printf("%d: ", n);
		ret = step(fd);
		printf(": %s\n", ret ? strerror(errno) : "ok");
		show(fd);
	}
	close(fd);
	unlink(name);
}

int main(int argc, char **argv)
{
	int i;

	if (argc != 4 || chdir(argv[1])) {
		fprintf(stderr, "usage: %s DIRECTORY SEED FILES\n", argv[0]);
		return 2;
	}
	state = strtoull(argv[2], NULL, 0) * 2654435761u + 88172645463325252ull;
	for (i = 0; i < atoi(argv[3]); i++)
		history(i);
	return 0;
}
