/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The model's operations as system calls on a tree; see trees.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "trees.h"

int tree_begin(struct tree *t, const char *path)
{
	t->root = open(path, O_RDONLY | O_DIRECTORY);
	return t->root < 0 ? -errno : 0;
}

void tree_end(struct tree *t)
{
	close(t->root);
}

/* -------------------------------------------------------------------- paths */

/* The model follows no link, so neither may we. */
static int open_plain(int dir, const char *path, int flags)
{
	struct open_how how = {
		.flags = (uint64_t)(flags | O_CLOEXEC),
		.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH,
	};
	long fd = syscall(SYS_openat2, dir, path, &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

int tree_open(const struct tree *t, const char *path, int flags)
{
	return open_plain(t->root, path, flags);
}

/* The directory of @path, and the last part of it. */
static int open_parent(const struct tree *t, const char *path,
		       const char **name)
{
	const char *slash = strrchr(path, '/');
	char dir[OP_PATH_MAX];

	*name = slash ? slash + 1 : path;
	if (!slash)
		return open_plain(t->root, ".", O_PATH | O_DIRECTORY);
	snprintf(dir, sizeof(dir), "%.*s", (int)(slash - path), path);
	return open_plain(t->root, dir, O_PATH | O_DIRECTORY);
}

static bool wants_regular(const struct op *op)
{
	return op->kind >= OP_WRITE && op->kind <= OP_PREALLOC_KEEP;
}

static bool wants_inode(const struct op *op)
{
	return wants_regular(op) || op->kind == OP_SETXATTR ||
	       op->kind == OP_REMOVEXATTR || op->kind == OP_CHMOD ||
	       op->kind == OP_SETLIST || op->kind == OP_FSYNC;
}

bool tree_may(const struct tree *t, struct op *op)
{
	struct stat st;
	const char *name;
	int dir, ret;

	if (!wants_inode(op))
		return true;
	dir = open_parent(t, op->path, &name);
	if (dir < 0)
		return true;
	ret = fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW);
	close(dir);
	if (ret)
		return true;
	if (op->kind == OP_APPEND)
		op->pos = (uint64_t)st.st_size;
	return wants_regular(op) ? S_ISREG(st.st_mode) : !S_ISLNK(st.st_mode);
}

/* ------------------------------------------------------------------- names */

static int create(int dir, const char *name)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	return fd < 0 ? -1 : close(fd);
}

static int apply_name(const struct tree *t, const struct op *op)
{
	const char *name;
	int dir = open_parent(t, op->path, &name), ret;

	if (dir < 0)
		return dir;
	switch (op->kind) {
	case OP_CREATE:
		ret = create(dir, name);
		break;
	case OP_MKDIR:
		ret = mkdirat(dir, name, 0755);
		break;
	case OP_SYMLINK:
		ret = symlinkat(op->path2, dir, name);
		break;
	default:
		ret = unlinkat(dir, name,
			       op->kind == OP_RMDIR ? AT_REMOVEDIR : 0);
	}
	ret = ret ? -errno : 0;
	close(dir);
	return ret;
}

static int apply_two_names(const struct tree *t, const struct op *op)
{
	const char *from, *to;
	int odir = open_parent(t, op->path, &from), ndir, ret;

	if (odir < 0)
		return odir;
	ndir = open_parent(t, op->path2, &to);
	if (ndir < 0) {
		close(odir);
		return ndir;
	}
	if (op->kind == OP_LINK)
		ret = linkat(odir, from, ndir, to, 0);
	else
		ret = (int)syscall(SYS_renameat2, odir, from, ndir, to,
				   op->kind == OP_EXCHANGE ? RENAME_EXCHANGE : 0);
	ret = ret ? -errno : 0;
	close(odir);
	close(ndir);
	return ret;
}

/* ------------------------------------------------------------------- inodes */

static int write_bytes(int fd, const struct op *op)
{
	unsigned char *buf = malloc(op->len);
	ssize_t n;

	if (!buf)
		return -ENOMEM;
	op_bytes(op, buf, op->len);
	n = op->kind == OP_APPEND ? write(fd, buf, op->len) :
				    pwrite(fd, buf, op->len, (off_t)op->pos);
	free(buf);
	if (n < 0)
		return -errno;
	return (uint64_t)n == op->len ? 0 : -EBADE;
}

static int set_xattr(int fd, const struct op *op)
{
	unsigned char *buf;
	char name[24];
	int ret;

	snprintf(name, sizeof(name), "user.x%u", op->num);
	if (op->kind == OP_REMOVEXATTR)
		return fremovexattr(fd, name) ? -errno : 0;
	buf = malloc(op->len + 1);
	if (!buf)
		return -ENOMEM;
	op_bytes(op, buf, op->len);
	ret = fsetxattr(fd, name, buf, op->len, 0) ? -errno : 0;
	free(buf);
	return ret;
}

static int set_list(int fd, const struct op *op)
{
	const char *name = op->pos & 1 ? "system.posix_acl_default" :
					 "system.posix_acl_access";
	unsigned char buf[OP_LIST_BYTES];
	size_t len = op_list(op, buf);

	if ((op->pos & 1) && !op->len)
		return fremovexattr(fd, name) ? -errno : 0;
	return fsetxattr(fd, name, buf, len, 0) ? -errno : 0;
}

static int allocate(int fd, const struct op *op)
{
	int mode = 0;

	if (op->kind == OP_PUNCH)
		mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	else if (op->kind == OP_ZERO)
		mode = FALLOC_FL_ZERO_RANGE;
	else if (op->kind == OP_PREALLOC_KEEP)
		mode = FALLOC_FL_KEEP_SIZE;
	return fallocate(fd, mode, (off_t)op->pos, (off_t)op->len) ? -errno : 0;
}

static int apply_inode(const struct tree *t, const struct op *op)
{
	int fd = tree_open(t, op->path, !wants_regular(op) ? O_RDONLY :
			   op->kind == OP_APPEND ? O_RDWR | O_APPEND : O_RDWR);
	int ret;

	if (fd < 0)
		return fd;
	switch (op->kind) {
	case OP_WRITE:
	case OP_APPEND:
		ret = write_bytes(fd, op);
		break;
	case OP_TRUNCATE:
		ret = ftruncate(fd, (off_t)op->pos) ? -errno : 0;
		break;
	case OP_CHMOD:
		ret = fchmod(fd, op->num) ? -errno : 0;
		break;
	case OP_SETXATTR:
	case OP_REMOVEXATTR:
		ret = set_xattr(fd, op);
		break;
	case OP_SETLIST:
		ret = set_list(fd, op);
		break;
	case OP_FSYNC:
		ret = fsync(fd) ? -errno : 0;
		break;
	default:
		ret = allocate(fd, op);
	}
	close(fd);
	return ret;
}

int tree_apply(const struct tree *t, const struct op *op)
{
	switch (op->kind) {
	case OP_CREATE:
	case OP_MKDIR:
	case OP_SYMLINK:
	case OP_UNLINK:
	case OP_RMDIR:
		return apply_name(t, op);
	case OP_LINK:
	case OP_RENAME:
	case OP_EXCHANGE:
		return apply_two_names(t, op);
	case OP_SYNC:
		return syncfs(t->root) ? -errno : 0;
	default:
		return apply_inode(t, op);
	}
}

/* ------------------------------------------------------------------- digest */

struct walk {
	XXH3_state_t st;
	FILE *dump;
	ino_t *seen;
	size_t nseen;
};

static unsigned int link_of(struct walk *w, ino_t ino)
{
	size_t i;

	for (i = 0; i < w->nseen; i++)
		if (w->seen[i] == ino)
			return (unsigned int)i + 1;
	w->seen = realloc(w->seen, ++w->nseen * sizeof(*w->seen));
	w->seen[i] = ino;
	return (unsigned int)i + 1;
}

static int hash_bytes(int fd, uint64_t size, uint64_t *hash)
{
	char *buf = malloc(size + 1);
	ssize_t n;

	if (!buf)
		return -ENOMEM;
	n = pread(fd, buf, size + 1, 0);
	if (n >= 0)
		*hash = n ? XXH3_64bits(buf, (size_t)n) : 0;
	free(buf);
	if (n < 0)
		return -errno;
	return (uint64_t)n == size ? 0 : -EBADE;
}

static int hash_link(int dir, const char *name, uint64_t *hash)
{
	char target[OP_PATH_MAX + 1];
	ssize_t n = readlinkat(dir, name, target, sizeof(target));

	if (n < 0)
		return -errno;
	*hash = XXH3_64bits(target, (size_t)n);
	return 0;
}

static int hash_xattrs(int fd, uint64_t *sum)
{
	char names[1024], value[65536], *name;
	ssize_t len = flistxattr(fd, names, sizeof(names)), n;

	if (len < 0)
		return -errno;
	for (name = names; name < names + len; name += strlen(name) + 1) {
		n = fgetxattr(fd, name, value, sizeof(value));
		if (n < 0)
			return -errno;
		*sum += digest_xattr(name, strlen(name), value, (size_t)n);
	}
	return 0;
}

static int walk_dir(int fd, const char *path, struct walk *w);

static int walk_node(int dir, const char *name, const char *path,
		     struct walk *w)
{
	struct digest_node d = { .path = path };
	struct stat st;
	int fd = -1, ret;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW))
		return -errno;
	d.mode = st.st_mode;
	d.nlink = (uint32_t)st.st_nlink;
	d.size = S_ISDIR(st.st_mode) ? 0 : (uint64_t)st.st_size;
	d.link = link_of(w, st.st_ino);
	if (S_ISLNK(st.st_mode)) {
		ret = hash_link(dir, name, &d.content);
	} else {
		fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			return -errno;
		ret = S_ISREG(st.st_mode) ? hash_bytes(fd, d.size, &d.content) : 0;
		if (!ret)
			ret = hash_xattrs(fd, &d.xattrs);
	}
	digest_add(&w->st, &d, w->dump);
	if (!ret && S_ISDIR(st.st_mode))
		ret = walk_dir(fd, path, w);
	if (fd >= 0)
		close(fd);
	return ret;
}

static int is_entry(const struct dirent *de)
{
	return strcmp(de->d_name, ".") && strcmp(de->d_name, "..");
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int walk_dir(int fd, const char *path, struct walk *w)
{
	char below[4 * OP_PATH_MAX];
	struct dirent **list;
	int n = scandirat(fd, ".", &list, is_entry, by_name), i, ret = 0;

	if (n < 0)
		return -errno;
	for (i = 0; i < n; i++) {
		snprintf(below, sizeof(below), "%s/%s", path, list[i]->d_name);
		if (!ret)
			ret = walk_node(fd, list[i]->d_name, below, w);
		free(list[i]);
	}
	free(list);
	return ret;
}

uint64_t tree_digest(const struct tree *t, FILE *dump, int *err)
{
	struct walk w = { .dump = dump };

	digest_start(&w.st);
	*err = walk_node(t->root, ".", "", &w);
	free(w.seen);
	return digest_end(&w.st);
}
