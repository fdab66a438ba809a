/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * populate IMAGE FILES [BYTES]: fill a formatted image through the library, so
 * that an image with a million files takes seconds and not an hour.  A
 * thousand files a directory, BYTES (1024) in each.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "file/file.h"
#include "file/mount.h"
#include "file/namei.h"

#define PER_DIR	1000

static void check(int ret, const char *what)
{
	if (ret >= 0)
		return;
	fprintf(stderr, "populate: %s: %s\n", what, strerror(-ret));
	exit(1);
}

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

static void fill(struct owfs_inode *root, unsigned long files, size_t bytes)
{
	struct owfs_inode *dir = NULL, *file;
	char *data = calloc(1, bytes + 1);
	unsigned long i;

	if (!data)
		check(-ENOMEM, "memory");
	for (i = 0; i < files; i++) {
		if (i % PER_DIR == 0) {
			if (dir)
				owfs_iput(dir);
			dir = make(root, "dir", i / PER_DIR, S_IFDIR | 0755);
		}
		file = make(dir, "file", i, S_IFREG | 0644);
		memcpy(data, &i, bytes < sizeof(i) ? bytes : sizeof(i));
		if (bytes)
			check((int)owfs_file_write(file, data, bytes, 0, false,
						   false), "write");
		owfs_iput(file);
	}
	if (dir)
		owfs_iput(dir);
	free(data);
}

int main(int argc, char **argv)
{
	const struct owfs_msg msg = { owfs_msg_stderr, (void *)"populate",
				      OWFS_MSG_WARN };
	struct owfs_fs_param p = { .msg = &msg, .threaded = true };
	struct owfs_inode *root;
	struct owfs_fs *fs;

	if (argc < 3) {
		fprintf(stderr, "usage: populate IMAGE FILES [BYTES]\n");
		return 1;
	}
	check(owfs_blkdev_open(argv[1], OWFS_BLKDEV_EXCL, &p.bd), argv[1]);
	check(owfs_mount(&fs, &p), "mount");
	check(owfs_iget(fs, OWFS_INO_ROOT, &root), "root");
	fill(root, strtoul(argv[2], NULL, 0),
	     argc > 3 ? strtoul(argv[3], NULL, 0) : 1024);
	owfs_iput(root);
	check(owfs_unmount(fs), "unmount");
	owfs_blkdev_close(p.bd);
	return 0;
}
