/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The oracle: objects in an array, files as byte arrays, names in lists. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "model.h"

struct mentry {
	char *name;
	unsigned int id;
};

/* An access control list, but for the bits that are in a mode. */
struct mlist {
	bool set;
	unsigned int users, perm;
};

struct mnode {
	bool live;
	uint32_t mode;
	uint32_t nlink;
	uint64_t size;
	unsigned char *data;		/* size bytes; a link's target */
	uint64_t content;		/* hash of them ... */
	bool hashed;			/* ... if known */
	uint32_t xlen[OP_XATTRS];
	unsigned char *xval[OP_XATTRS];	/* NULL: not set */
	struct mlist access, dflt;	/* the latter of directories, */
	uint32_t dflt_mode;		/* ... with what it says itself */
	unsigned int parent;		/* directories */
	struct mentry *entries;		/* sorted by name */
	unsigned int nentries;
};

struct model {
	struct mnode *nodes;		/* [0] is the root */
	unsigned int n;
};

/* ------------------------------------------------------------------- nodes */

struct model *model_new(void)
{
	struct model *m = calloc(1, sizeof(*m));

	m->nodes = calloc(1, sizeof(*m->nodes));
	m->n = 1;
	m->nodes[0].live = true;
	m->nodes[0].mode = S_IFDIR | 0755;
	m->nodes[0].nlink = 2;
	return m;
}

static void *copy_of(const void *p, size_t len)
{
	void *new = malloc(len ? len : 1);

	return p ? memcpy(new, p, len) : new;
}

static void node_copy(struct mnode *to, const struct mnode *from)
{
	unsigned int i;

	*to = *from;
	if (from->data)
		to->data = copy_of(from->data, from->size);
	for (i = 0; i < OP_XATTRS; i++)
		if (from->xval[i])
			to->xval[i] = copy_of(from->xval[i], from->xlen[i]);
	if (!from->nentries) {
		to->entries = NULL;
		return;
	}
	to->entries = copy_of(from->entries,
			      from->nentries * sizeof(*from->entries));
	for (i = 0; i < from->nentries; i++)
		to->entries[i].name = strdup(from->entries[i].name);
}

struct model *model_clone(const struct model *m)
{
	struct model *new = calloc(1, sizeof(*new));
	unsigned int i;

	new->n = m->n;
	new->nodes = calloc(m->n, sizeof(*new->nodes));
	for (i = 0; i < m->n; i++)
		if (m->nodes[i].live)
			node_copy(&new->nodes[i], &m->nodes[i]);
	return new;
}

static void node_clear(struct mnode *n)
{
	unsigned int i;

	free(n->data);
	for (i = 0; i < OP_XATTRS; i++)
		free(n->xval[i]);
	for (i = 0; i < n->nentries; i++)
		free(n->entries[i].name);
	free(n->entries);
	memset(n, 0, sizeof(*n));
}

void model_free(struct model *m)
{
	unsigned int i;

	if (!m)
		return;
	for (i = 0; i < m->n; i++)
		node_clear(&m->nodes[i]);
	free(m->nodes);
	free(m);
}

static unsigned int node_new(struct model *m, uint32_t mode)
{
	unsigned int i;

	for (i = 0; i < m->n && m->nodes[i].live; i++)
		;
	if (i == m->n) {
		m->nodes = realloc(m->nodes, ++m->n * sizeof(*m->nodes));
		memset(&m->nodes[i], 0, sizeof(*m->nodes));
	}
	m->nodes[i].live = true;
	m->nodes[i].mode = mode;
	m->nodes[i].nlink = S_ISDIR(mode) ? 2 : 1;
	return i;
}

static void node_put(struct model *m, unsigned int id)
{
	struct mnode *n = &m->nodes[id];

	if (--n->nlink == 0 || S_ISDIR(n->mode))
		node_clear(n);
}

/* ----------------------------------------------------------------- entries */

static int entry_at(const struct mnode *dir, const char *name, bool *found)
{
	unsigned int i;
	int cmp = 1;

	for (i = 0; i < dir->nentries; i++) {
		cmp = strcmp(dir->entries[i].name, name);
		if (cmp >= 0)
			break;
	}
	*found = i < dir->nentries && cmp == 0;
	return (int)i;
}

static void entry_add(struct mnode *dir, const char *name, unsigned int id)
{
	bool found;
	int i = entry_at(dir, name, &found);

	dir->entries = realloc(dir->entries,
			       (dir->nentries + 1) * sizeof(*dir->entries));
	memmove(&dir->entries[i + 1], &dir->entries[i],
		(dir->nentries - i) * sizeof(*dir->entries));
	dir->entries[i].name = strdup(name);
	dir->entries[i].id = id;
	dir->nentries++;
}

static void entry_remove(struct mnode *dir, const char *name)
{
	bool found;
	int i = entry_at(dir, name, &found);

	free(dir->entries[i].name);
	dir->nentries--;
	memmove(&dir->entries[i], &dir->entries[i + 1],
		(dir->nentries - i) * sizeof(*dir->entries));
}

static int entry_find(const struct model *m, unsigned int dir, const char *name)
{
	bool found;
	int i = entry_at(&m->nodes[dir], name, &found);

	return found ? (int)m->nodes[dir].entries[i].id : -ENOENT;
}

/* The directory that @path's last component is in; *name is that component. */
static int walk_parent(const struct model *m, const char *path,
		       const char **name)
{
	char part[OP_PATH_MAX];
	const char *slash;
	int dir = 0;

	while ((slash = strchr(path, '/'))) {
		memcpy(part, path, slash - path);
		part[slash - path] = 0;
		dir = entry_find(m, dir, part);
		if (dir < 0)
			return dir;
		if (!S_ISDIR(m->nodes[dir].mode))
			return -ENOTDIR;
		path = slash + 1;
	}
	*name = path;
	return dir;
}

static int walk(const struct model *m, const char *path)
{
	const char *name;
	int dir = walk_parent(m, path, &name);

	return dir < 0 ? dir : entry_find(m, dir, name);
}

/* ------------------------------------------------------------ names change */

/* From the directory's default list: lists, and a mode of both. */
static void inherit(const struct mnode *dir, struct mnode *n)
{
	if (!dir->dflt.set || S_ISLNK(n->mode))
		return;
	n->mode &= S_IFMT | dir->dflt_mode;
	n->access = dir->dflt;
	if (!S_ISDIR(n->mode))
		return;
	n->dflt = dir->dflt;
	n->dflt_mode = dir->dflt_mode;
}

static int apply_new(struct model *m, const struct op *op, uint32_t mode)
{
	const char *name;
	int dir = walk_parent(m, op->path, &name), id;

	if (dir < 0)
		return dir;
	if (entry_find(m, dir, name) >= 0)
		return -EEXIST;
	id = (int)node_new(m, mode);
	inherit(&m->nodes[dir], &m->nodes[id]);
	entry_add(&m->nodes[dir], name, id);
	if (S_ISDIR(mode)) {
		m->nodes[id].parent = dir;
		m->nodes[dir].nlink++;
	}
	if (S_ISLNK(mode)) {
		m->nodes[id].size = strlen(op->path2);
		m->nodes[id].data = copy_of(op->path2, strlen(op->path2));
	}
	return 0;
}

static int apply_link(struct model *m, const struct op *op)
{
	const char *name;
	int id = walk(m, op->path), dir;

	if (id < 0)
		return id;
	dir = walk_parent(m, op->path2, &name);
	if (dir < 0)
		return dir;
	if (S_ISDIR(m->nodes[id].mode))
		return -EPERM;
	if (entry_find(m, dir, name) >= 0)
		return -EEXIST;
	entry_add(&m->nodes[dir], name, id);
	m->nodes[id].nlink++;
	return 0;
}

static void drop(struct model *m, unsigned int dir, const char *name,
		 unsigned int id)
{
	entry_remove(&m->nodes[dir], name);
	if (S_ISDIR(m->nodes[id].mode))
		m->nodes[dir].nlink--;
	node_put(m, id);
}

static int apply_remove(struct model *m, const struct op *op, bool rmdir)
{
	const char *name;
	int dir = walk_parent(m, op->path, &name), id;

	if (dir < 0)
		return dir;
	id = entry_find(m, dir, name);
	if (id < 0)
		return id;
	if (rmdir && !S_ISDIR(m->nodes[id].mode))
		return -ENOTDIR;
	if (!rmdir && S_ISDIR(m->nodes[id].mode))
		return -EISDIR;
	if (rmdir && m->nodes[id].nentries)
		return -ENOTEMPTY;
	drop(m, dir, name, id);
	return 0;
}

static bool is_below(const struct model *m, unsigned int dir, unsigned int top)
{
	while (dir != 0 && dir != top)
		dir = m->nodes[dir].parent;
	return dir == top;
}

static void move_parent(struct model *m, unsigned int id, unsigned int from,
			unsigned int to)
{
	if (!S_ISDIR(m->nodes[id].mode) || from == to)
		return;
	m->nodes[from].nlink--;
	m->nodes[to].nlink++;
	m->nodes[id].parent = to;
}

static int rename_allowed(const struct model *m, int src, int dst)
{
	bool sdir = S_ISDIR(m->nodes[src].mode);

	if (dst < 0)
		return 0;
	if (sdir != S_ISDIR(m->nodes[dst].mode))
		return sdir ? -ENOTDIR : -EISDIR;
	return sdir && m->nodes[dst].nentries ? -ENOTEMPTY : 0;
}

static int apply_rename(struct model *m, const struct op *op, bool exchange)
{
	const char *oname, *nname;
	int odir, ndir, src, dst, ret;

	odir = walk_parent(m, op->path, &oname);
	if (odir < 0)
		return odir;
	ndir = walk_parent(m, op->path2, &nname);
	if (ndir < 0)
		return ndir;
	src = entry_find(m, odir, oname);
	if (src < 0)
		return src;
	dst = entry_find(m, ndir, nname);
	if (exchange && dst < 0)
		return dst;
	if (src == dst)
		return 0;
	if (S_ISDIR(m->nodes[src].mode) && is_below(m, ndir, src))
		return -EINVAL;
	if (dst >= 0 && S_ISDIR(m->nodes[dst].mode) && is_below(m, odir, dst))
		return exchange ? -EINVAL : -ENOTEMPTY;
	ret = exchange ? 0 : rename_allowed(m, src, dst);
	if (ret)
		return ret;

	if (dst >= 0 && !exchange)
		drop(m, ndir, nname, dst);
	entry_remove(&m->nodes[odir], oname);
	if (exchange) {
		entry_remove(&m->nodes[ndir], nname);
		entry_add(&m->nodes[odir], oname, dst);
		move_parent(m, dst, ndir, odir);
	}
	entry_add(&m->nodes[ndir], nname, src);
	move_parent(m, src, odir, ndir);
	return 0;
}

/* ------------------------------------------------------------ data changes */

static void set_size(struct mnode *n, uint64_t size)
{
	n->data = realloc(n->data, size ? size : 1);
	if (size > n->size)
		memset(n->data + n->size, 0, size - n->size);
	n->size = size;
	n->hashed = false;
}

static void clear_range(struct mnode *n, uint64_t pos, uint64_t len)
{
	uint64_t end = pos + len < n->size ? pos + len : n->size;

	if (pos < end)
		memset(n->data + pos, 0, end - pos);
	n->hashed = false;
}

static void apply_write(struct mnode *n, const struct op *op, uint64_t pos)
{
	if (pos + op->len > n->size)
		set_size(n, pos + op->len);
	op_bytes(op, n->data + pos, op->len);
	n->hashed = false;
}

static int apply_data(struct model *m, const struct op *op)
{
	int id = walk(m, op->path);
	struct mnode *n;

	if (id < 0)
		return id;
	n = &m->nodes[id];
	if (!S_ISREG(n->mode))
		return -EINVAL;
	switch (op->kind) {
	case OP_WRITE:
		apply_write(n, op, op->pos);
		return 0;
	case OP_APPEND:
		apply_write(n, op, n->size);
		return 0;
	case OP_TRUNCATE:
		set_size(n, op->pos);
		return 0;
	case OP_PUNCH:
		clear_range(n, op->pos, op->len);
		return 0;
	case OP_ZERO:
	case OP_PREALLOC:
		if (op->kind == OP_ZERO)
			clear_range(n, op->pos, op->len);
		if (op->pos + op->len > n->size)
			set_size(n, op->pos + op->len);
		return 0;
	default:
		return 0;
	}
}

static int apply_xattr(struct model *m, const struct op *op)
{
	int id = walk(m, op->path);
	struct mnode *n;

	if (id < 0)
		return id;
	n = &m->nodes[id];
	if (op->kind == OP_REMOVEXATTR && !n->xval[op->num])
		return -ENODATA;
	free(n->xval[op->num]);
	n->xval[op->num] = NULL;
	if (op->kind == OP_REMOVEXATTR)
		return 0;
	n->xlen[op->num] = (uint32_t)op->len;
	n->xval[op->num] = malloc(op->len + 1);
	op_bytes(op, n->xval[op->num], op->len);
	return 0;
}

static int apply_chmod(struct model *m, const struct op *op)
{
	int id = walk(m, op->path);

	if (id < 0)
		return id;
	m->nodes[id].mode = (m->nodes[id].mode & S_IFMT) | op->num;
	return 0;
}

static struct mlist list_of(const struct op *op)
{
	return (struct mlist){
		.set = op->len > 0, .users = (unsigned int)op->len,
		.perm = op->seed & 7,
	};
}

static int apply_setlist(struct model *m, const struct op *op)
{
	int id = walk(m, op->path);
	struct mnode *n;

	if (id < 0)
		return id;
	n = &m->nodes[id];
	if (S_ISLNK(n->mode))
		return -EOPNOTSUPP;
	if (!(op->pos & 1)) {
		n->mode = (n->mode & S_IFMT) | op->num;
		n->access = list_of(op);
		return 0;
	}
	if (!S_ISDIR(n->mode))
		return op->len ? -EACCES : 0;
	n->dflt = list_of(op);
	n->dflt_mode = op->num;
	return 0;
}

int model_apply(struct model *m, const struct op *op)
{
	switch (op->kind) {
	case OP_CREATE:
		return apply_new(m, op, S_IFREG | 0644);
	case OP_MKDIR:
		return apply_new(m, op, S_IFDIR | 0755);
	case OP_SYMLINK:
		return apply_new(m, op, S_IFLNK | 0777);
	case OP_LINK:
		return apply_link(m, op);
	case OP_UNLINK:
		return apply_remove(m, op, false);
	case OP_RMDIR:
		return apply_remove(m, op, true);
	case OP_RENAME:
		return apply_rename(m, op, false);
	case OP_EXCHANGE:
		return apply_rename(m, op, true);
	case OP_SETXATTR:
	case OP_REMOVEXATTR:
		return apply_xattr(m, op);
	case OP_CHMOD:
		return apply_chmod(m, op);
	case OP_SETLIST:
		return apply_setlist(m, op);
	case OP_FSYNC:
		return walk(m, op->path) < 0 ? walk(m, op->path) : 0;
	case OP_SYNC:
	case OP_REMOUNT:
		return 0;
	default:
		return apply_data(m, op);
	}
}

/* ------------------------------------------------------------------ digest */

void digest_start(XXH3_state_t *st)
{
	XXH3_64bits_reset(st);
}

void digest_add(XXH3_state_t *st, const struct digest_node *n, FILE *dump)
{
	uint64_t num[] = { n->mode, n->nlink, n->size, n->link, n->content,
			   n->xattrs };

	XXH3_64bits_update(st, n->path, strlen(n->path) + 1);
	XXH3_64bits_update(st, num, sizeof(num));
	if (dump)
		fprintf(dump, "%s mode=%o nlink=%u size=%llu link=%u content=%llx xattrs=%llx\n",
			n->path, n->mode, n->nlink,
			(unsigned long long)n->size, n->link,
			(unsigned long long)n->content,
			(unsigned long long)n->xattrs);
}

uint64_t digest_end(XXH3_state_t *st)
{
	return XXH3_64bits_digest(st);
}

uint64_t digest_xattr(const char *name, size_t len, const void *value,
		      size_t size)
{
	return XXH3_64bits_withSeed(value, size,
				    XXH3_64bits(name, len));
}

static uint64_t digest_list(const char *name, uint32_t mode,
			    const struct mlist *list)
{
	unsigned char bytes[OP_LIST_BYTES];
	size_t len;

	if (!list->set)
		return 0;
	len = op_list_bytes(bytes, mode, list->users, list->perm);
	return digest_xattr(name, strlen(name), bytes, len);
}

static uint64_t node_xattrs(const struct mnode *n)
{
	uint64_t sum = 0;
	char name[24];
	int i;

	for (i = 0; i < OP_XATTRS; i++) {
		if (!n->xval[i])
			continue;
		snprintf(name, sizeof(name), "user.x%d", i);
		sum += digest_xattr(name, strlen(name), n->xval[i], n->xlen[i]);
	}
	return sum + digest_list("system.posix_acl_access", n->mode, &n->access) +
	       digest_list("system.posix_acl_default", n->dflt_mode, &n->dflt);
}

struct walk_state {
	XXH3_state_t *st;
	FILE *dump;
	unsigned int *link;		/* by node; 0: not seen yet */
	unsigned int seen;
};

static void digest_walk(const struct model *m, unsigned int id,
			const char *path, struct walk_state *w)
{
	struct mnode *n = &m->nodes[id];
	struct digest_node d = { .path = path };
	char below[4 * OP_PATH_MAX];
	unsigned int i;

	if (!w->link[id])
		w->link[id] = ++w->seen;
	if (!n->hashed) {
		n->content = n->size ? XXH3_64bits(n->data, n->size) : 0;
		n->hashed = true;
	}
	d.mode = n->mode;
	d.nlink = n->nlink;
	d.size = n->size;
	d.link = w->link[id];
	d.content = n->content;
	d.xattrs = node_xattrs(n);
	digest_add(w->st, &d, w->dump);
	for (i = 0; i < n->nentries; i++) {
		snprintf(below, sizeof(below), "%s/%s", path,
			 n->entries[i].name);
		digest_walk(m, n->entries[i].id, below, w);
	}
}

uint64_t model_digest(const struct model *m, FILE *dump)
{
	XXH3_state_t st;
	struct walk_state w = { .st = &st, .dump = dump };

	digest_start(&st);
	w.link = calloc(m->n, sizeof(*w.link));
	digest_walk(m, 0, "", &w);
	free(w.link);
	return digest_end(&st);
}
