/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * populate IMAGE FILES [BYTES]: fill a formatted image through the library, so
 * that an image with a million files takes seconds and not an hour.  A
 * thousand files a directory, BYTES (1024) in each.
 *
 * populate -m IMAGE|DIRECTORY FILES: files of several sizes, some in pieces,
 * some with an attribute; the same in a directory of another filesystem.  Blocks
 * are allocated and not written, so the image stays small.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/err.h"
#include "file/attr.h"
#include "file/file.h"
#include "file/mount.h"
#include "file/namei.h"

#define PER_DIR	1000
#define PIECE	4096

struct tree {
	unsigned long files;
	size_t bytes;
	bool mixed;
	char *data;
};

/* Blocks of a mixed file; those of every fiftieth lie apart. */
static unsigned int blocks_of(unsigned long i)
{
	static const unsigned char blocks[] = {
		1, 1, 2, 1, 0, 1, 3, 1, 1, 16, 1, 2, 1, 1, 4, 1, 1, 0, 1, 1 };

	return i % 50 == 49 ? 6 : blocks[i % sizeof(blocks)];
}

static bool in_pieces(unsigned long i)
{
	return i % 50 == 49;
}

static bool has_attribute(unsigned long i)
{
	return i % 10 == 3;
}

static const char attribute[] = "user.note", value[] = "what somebody noted";

static void check(int ret, const char *what)
{
	if (ret >= 0)
		return;
	fprintf(stderr, "populate: %s: %s\n", what, strerror(-ret));
	exit(1);
}

/* ------------------------------------------------------- through the library */

static struct owfs_inode *make(struct owfs_inode *dir, const char *prefix,
			       unsigned long n, uint32_t mode)
{
	struct owfs_newnode nn = { .mode = mode };
	struct owfs_inode *inode;
	char name[40];
	int len = snprintf(name, sizeof(name), "%s%lu", prefix, n);

	check(owfs_create(dir, name, (size_t)len, &nn, &inode), name);
	return inode;
}

static void fill_mixed(struct owfs_inode *file, unsigned long i)
{
	unsigned int n = blocks_of(i), piece;

	for (piece = 0; in_pieces(i) && piece < n; piece++)
		check(owfs_file_fallocate(file, 0, 2L * piece * PIECE, PIECE),
		      "allocate");
	if (n && !in_pieces(i))
		check(owfs_file_fallocate(file, 0, 0, (loff_t)n * PIECE),
		      "allocate");
	if (has_attribute(i))
		check(owfs_setxattr(file, attribute, strlen(attribute), value,
				    sizeof(value), 0), "attribute");
}

static void fill_bytes(const struct tree *t, struct owfs_inode *file,
		       unsigned long i)
{
	memcpy(t->data, &i, t->bytes < sizeof(i) ? t->bytes : sizeof(i));
	if (t->bytes)
		check((int)owfs_file_write(file, t->data, t->bytes, 0, false,
					   false), "write");
}

static void fill(const struct tree *t, struct owfs_inode *root)
{
	struct owfs_inode *dir = NULL, *file;
	unsigned long i;

	for (i = 0; i < t->files; i++) {
		if (i % PER_DIR == 0) {
			if (dir)
				owfs_iput(dir);
			dir = make(root, "dir", i / PER_DIR, S_IFDIR | 0755);
		}
		file = make(dir, "file", i, S_IFREG | 0644);
		if (t->mixed)
			fill_mixed(file, i);
		else
			fill_bytes(t, file, i);
		owfs_iput(file);
	}
	if (dir)
		owfs_iput(dir);
}

static void fill_image(const struct tree *t, const char *path)
{
	const struct owfs_msg msg = { owfs_msg_stderr, (void *)"populate",
				      OWFS_MSG_WARN };
	struct owfs_fs_param p = { .msg = &msg, .threaded = true };
	struct owfs_inode *root;
	struct owfs_fs *fs;

	check(owfs_blkdev_open(path, OWFS_BLKDEV_EXCL, &p.bd), path);
	check(owfs_mount(&fs, &p), "mount");
	check(owfs_iget(fs, OWFS_INO_ROOT, &root), "root");
	fill(t, root);
	owfs_iput(root);
	check(owfs_unmount(fs), "unmount");
	owfs_blkdev_close(p.bd);
}

/* ------------------------------------------------------- through system calls */

static void call(int ret, const char *what)
{
	check(ret < 0 ? -errno : 0, what);
}

static void make_file(unsigned long i)
{
	unsigned int n = blocks_of(i), piece;
	char name[80];
	int fd;

	snprintf(name, sizeof(name), "dir%lu/file%lu", i / PER_DIR, i);
	fd = open(name, O_CREAT | O_EXCL | O_WRONLY, 0644);
	call(fd, name);
	for (piece = 0; in_pieces(i) && piece < n; piece++)
		call(fallocate(fd, 0, 2L * piece * PIECE, PIECE), "allocate");
	if (n && !in_pieces(i))
		call(fallocate(fd, 0, 0, (off_t)n * PIECE), "allocate");
	if (has_attribute(i))
		call(fsetxattr(fd, attribute, value, sizeof(value), 0),
		     "attribute");
	close(fd);
}

static void fill_directory(const struct tree *t, const char *path)
{
	unsigned long i;
	char name[40];

	call(chdir(path), path);
	for (i = 0; i < t->files; i++) {
		snprintf(name, sizeof(name), "dir%lu", i / PER_DIR);
		if (i % PER_DIR == 0)
			call(mkdir(name, 0755), name);
		make_file(i);
	}
}

int main(int argc, char **argv)
{
	struct tree t = { .mixed = argc == 4 && !strcmp(argv[1], "-m") };
	const char *path;
	struct stat st;

	if (argc < 3) {
		fprintf(stderr, "usage: populate IMAGE FILES [BYTES]\n"
			"       populate -m IMAGE|DIRECTORY FILES\n");
		return 1;
	}
	argv += t.mixed;
	path = argv[1];
	t.files = strtoul(argv[2], NULL, 0);
	t.bytes = !t.mixed && argc > 3 ? strtoul(argv[3], NULL, 0) : 1024;
	t.data = calloc(1, t.bytes + 1);
	if (!t.data)
		check(-ENOMEM, "memory");
	call(stat(path, &st), path);
	if (t.mixed && S_ISDIR(st.st_mode))
		fill_directory(&t, path);
	else
		fill_image(&t, path);
	free(t.data);
	return 0;
}
