/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A ledger: entry n is the number n written into a file, then set as an
 * attribute of another, then the name "n" in a directory, then "n - 1" gone
 * from there.  Whatever a crash leaves is a prefix (P2) exactly if
 *
 *	file >= attribute >= newest name >= file - 1
 *
 * and nothing that was promised is missing.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "storm.h"

#include "file/attr.h"
#include "file/file.h"
#include "file/namei.h"

#define XATTR	"user.ledger"

static struct owfs_inode *ledger_dir(const struct ledger *l, struct owfs_fs *fs)
{
	char name[24];

	snprintf(name, sizeof(name), "ledger%u", l->id);
	return stress_dir(fs, name);
}

static void write_names(struct owfs_inode *dir, uint64_t n)
{
	struct owfs_newnode nn = { .mode = S_IFREG | 0600 };
	struct owfs_inode *inode;
	char name[24];

	snprintf(name, sizeof(name), "%llu", (unsigned long long)n);
	stress_ok(owfs_create(dir, name, strlen(name), &nn, &inode),
		  "ledger: create");
	owfs_iput(inode);
	if (n == 1)
		return;
	snprintf(name, sizeof(name), "%llu", (unsigned long long)n - 1);
	stress_ok(owfs_unlink(dir, name, strlen(name)), "ledger: unlink");
}

/* Nobody else changes it: what was promised is everything. */
static void must_be_durable(const struct owfs_inode *inode)
{
	owfs_gen_t changed = __atomic_load_n(&inode->i_gen, __ATOMIC_SEQ_CST);

	if (owfs_commit_durable(inode->i_fs) < changed)
		stress_die("inode %llu: fsync answered, but generation %llu is not durable",
			   (unsigned long long)inode->i_ino,
			   (unsigned long long)changed);
}

void ledger_write(struct ledger *l, struct owfs_fs *fs, bool sync)
{
	struct owfs_inode *dir = ledger_dir(l, fs);
	struct owfs_inode *file = stress_file(dir, "file");
	struct owfs_inode *other = stress_file(dir, "other");
	uint64_t n = l->n + 1;
	ssize_t ret;

	__atomic_store_n(&l->n, n, __ATOMIC_SEQ_CST);
	ret = owfs_file_write(file, &n, sizeof(n), 0, false, false);
	stress_ok(ret < 0 ? (int)ret : ret != sizeof(n), "ledger: write");
	stress_ok(owfs_setxattr(other, XATTR, strlen(XATTR), &n, sizeof(n), 0),
		  "ledger: setxattr");
	write_names(dir, n);
	if (sync) {
		stress_ok(owfs_file_fsync(file, n % 2), "ledger: fsync");
		must_be_durable(file);
		must_be_durable(other);
		must_be_durable(dir);
		__atomic_store_n(&l->durable, n, __ATOMIC_SEQ_CST);
	}
	owfs_iput(file);
	owfs_iput(other);
	owfs_iput(dir);
}

static int newest_name(void *ctx, const struct owfs_dirent *de)
{
	uint64_t *names = ctx, n;
	char name[24];

	snprintf(name, sizeof(name), "%.*s", (int)de->namelen, de->name);
	n = strtoull(name, NULL, 10);
	if (n) {
		names[names[0] != 0] = n;
		if (names[1] > names[0]) {
			names[1] = names[0];
			names[0] = n;
		}
	}
	return 0;
}

/* Nothing is made here: what is missing was never written. */
static struct owfs_inode *find(struct owfs_inode *dir, const char *name)
{
	struct owfs_inode *inode;
	int ret = owfs_lookup(dir, name, strlen(name), &inode);

	if (ret && ret != -ENOENT)
		stress_ok(ret, name);
	return ret ? NULL : inode;
}

static uint64_t read_number(struct owfs_inode *dir, const char *name,
			    bool xattr)
{
	struct owfs_inode *inode = find(dir, name);
	uint64_t n = 0;
	ssize_t ret;

	if (!inode)
		return 0;
	if (xattr)
		ret = owfs_getxattr(inode, XATTR, strlen(XATTR), &n, sizeof(n));
	else
		ret = owfs_file_read(inode, &n, sizeof(n), 0);
	if (ret != sizeof(n) && ret != 0 && ret != -ENODATA)
		stress_die("ledger: %s: answered %zd", name, ret);
	owfs_iput(inode);
	return n;
}

void ledger_check(const struct ledger *l, struct owfs_fs *fs, uint64_t durable)
{
	struct owfs_inode *root = stress_root(fs), *dir;
	uint64_t a = 0, b = 0, names[2] = { 0, 0 };
	char name[24];

	snprintf(name, sizeof(name), "ledger%u", l->id);
	dir = find(root, name);
	owfs_iput(root);
	stress_checked(1);
	if (dir) {
		a = read_number(dir, "file", false);
		b = read_number(dir, "other", true);
		stress_ok(owfs_readdir(dir, 0, newest_name, names), "readdir");
		owfs_iput(dir);
	}
	if (a >= b && b >= names[0] && names[0] + 1 >= a && a >= durable &&
	    names[0] >= durable && (!names[1] || names[1] + 1 == names[0]))
		return;
	stress_die("ledger %u: no prefix: file=%llu attribute=%llu names=%llu,%llu promised=%llu",
		   l->id, (unsigned long long)a, (unsigned long long)b,
		   (unsigned long long)names[0], (unsigned long long)names[1],
		   (unsigned long long)durable);
}
