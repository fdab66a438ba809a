/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The floor under every number: a FUSE server that does what owfs-fuse must
 * do for the kernel and nothing more.  Same processes, mount, session,
 * hooks, threads, lifetimes and answers; names and attributes live in a hash
 * table and an array; file data takes the same pread and pwrite of the image
 * file, at places that cost no thought.  Nothing survives an unmount.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "fuse/worker.h"

#define BLOCK		4096u
#define LIFETIME	1e6	/* seconds: the server is the only writer */
#define HASH_SIZE	(1u << 20)
#define INODES_MAX	(1u << 22)
#define REGIONS		40	/* region k holds BLOCK << k bytes */

struct node {
	struct stat st;
	uint64_t parent;
	uint64_t region[REGIONS];	/* place in the image, 0 none */
	struct name **entries;		/* directories, in order of creation */
	size_t nentries, room;
};

struct name {
	struct name *next;
	uint64_t dir, ino;
	size_t slot;			/* in the directory's entries */
	char text[];
};

struct floor {
	struct owfs_session session;
	pthread_mutex_t lock;		/* everything below */
	int fd;
	struct node **nodes;
	uint64_t nnodes;
	uint64_t *spare;		/* inode numbers to use again */
	size_t nspare;
	struct name **hash;
	uint64_t next_place;
	uint64_t *free_region[REGIONS];	/* places of deleted files */
	size_t nfree[REGIONS];
};

static struct floor *floor_of(fuse_req_t req)
{
	return (struct floor *)owfs_session_of(req);
}

/* ------------------------------------------------------------------- memory */

static void *need(void *p)
{
	if (!p)
		abort();	/* a benchmark without memory measures nothing */
	return p;
}

static void push(uint64_t **list, size_t *n, uint64_t v)
{
	if (!(*n & (*n - 1)))
		*list = need(realloc(*list, (*n ? 2 * *n : 1) * sizeof(v)));
	(*list)[(*n)++] = v;
}

static struct name **slot_of(struct floor *f, uint64_t dir, const char *text)
{
	uint64_t h = dir * 0x9e3779b97f4a7c15ull;
	struct name **np;
	const char *c;

	for (c = text; *c; c++)
		h = (h ^ (unsigned char)*c) * 0x100000001b3ull;
	np = &f->hash[(h ^ h >> 32) & (HASH_SIZE - 1)];
	while (*np && ((*np)->dir != dir || strcmp((*np)->text, text)))
		np = &(*np)->next;
	return np;
}

static struct node *node_new(struct floor *f, mode_t mode, uid_t uid, gid_t gid)
{
	struct node *n;
	uint64_t ino;

	if (f->nspare) {
		ino = f->spare[--f->nspare];
		n = f->nodes[ino];
	} else {
		ino = f->nnodes++;
		n = f->nodes[ino] = need(malloc(sizeof(*n)));
	}
	memset(n, 0, sizeof(*n));
	n->st.st_ino = ino;
	n->st.st_mode = mode;
	n->st.st_nlink = S_ISDIR(mode) ? 2 : 1;
	n->st.st_uid = uid;
	n->st.st_gid = gid;
	n->st.st_blksize = BLOCK;
	clock_gettime(CLOCK_REALTIME, &n->st.st_mtim);
	n->st.st_atim = n->st.st_ctim = n->st.st_mtim;
	return n;
}

static void node_free(struct floor *f, struct node *n)
{
	int k;

	for (k = 0; k < REGIONS; k++)
		if (n->region[k])
			push(&f->free_region[k], &f->nfree[k], n->region[k]);
	free(n->entries);
	n->entries = NULL;
	push(&f->spare, &f->nspare, n->st.st_ino);
}

static void touch(struct node *n)
{
	clock_gettime(CLOCK_REALTIME, &n->st.st_mtim);
	n->st.st_ctim = n->st.st_mtim;
}

static void name_add(struct floor *f, uint64_t dir, const char *text,
		     uint64_t ino)
{
	struct name **np = slot_of(f, dir, text);
	struct name *e = need(malloc(sizeof(*e) + strlen(text) + 1));
	struct node *d = f->nodes[dir];

	e->next = NULL;
	e->dir = dir;
	e->ino = ino;
	strcpy(e->text, text);
	if (d->nentries == d->room) {
		d->room = d->room ? 2 * d->room : 16;
		d->entries = need(realloc(d->entries,
					  d->room * sizeof(*d->entries)));
	}
	e->slot = d->nentries;
	d->entries[d->nentries++] = e;
	*np = e;
	touch(d);
}

static void name_del(struct floor *f, struct name **np)
{
	struct name *e = *np;

	f->nodes[e->dir]->entries[e->slot] = NULL;
	touch(f->nodes[e->dir]);
	*np = e->next;
	free(e);
}

/* -------------------------------------------------------------------- names */

static struct fuse_entry_param entry_of(const struct node *n)
{
	return (struct fuse_entry_param) {
		.ino = n->st.st_ino, .attr = n->st,
		.attr_timeout = LIFETIME, .entry_timeout = LIFETIME,
	};
}

static void f_lookup(fuse_req_t req, fuse_ino_t parent, const char *text)
{
	struct fuse_entry_param e = { .entry_timeout = LIFETIME };
	struct floor *f = floor_of(req);
	struct name *name;

	pthread_mutex_lock(&f->lock);
	name = *slot_of(f, parent, text);
	if (name)
		e = entry_of(f->nodes[name->ino]);
	pthread_mutex_unlock(&f->lock);
	fuse_reply_entry(req, &e);
}

static void f_forget(fuse_req_t req, fuse_ino_t ino, uint64_t n)
{
	struct floor *f = floor_of(req);
	struct node *node = f->nodes[ino];

	(void)n;
	pthread_mutex_lock(&f->lock);
	if (!node->st.st_nlink)
		node_free(f, node);
	pthread_mutex_unlock(&f->lock);
	fuse_reply_none(req);
}

static void f_forget_multi(fuse_req_t req, size_t count,
			   struct fuse_forget_data *list)
{
	struct floor *f = floor_of(req);
	size_t i;

	pthread_mutex_lock(&f->lock);
	for (i = 0; i < count; i++)
		if (!f->nodes[list[i].ino]->st.st_nlink)
			node_free(f, f->nodes[list[i].ino]);
	pthread_mutex_unlock(&f->lock);
	fuse_reply_none(req);
}

static int make(fuse_req_t req, fuse_ino_t parent, const char *text,
		mode_t mode, struct fuse_entry_param *e)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	struct floor *f = floor_of(req);
	struct node *n;
	int ret = -EEXIST;

	pthread_mutex_lock(&f->lock);
	if (!*slot_of(f, parent, text)) {
		n = node_new(f, mode & ~ctx->umask, ctx->uid, ctx->gid);
		n->parent = parent;
		name_add(f, parent, text, n->st.st_ino);
		*e = entry_of(n);
		ret = 0;
	}
	pthread_mutex_unlock(&f->lock);
	return ret;
}

static void f_mkdir(fuse_req_t req, fuse_ino_t parent, const char *text,
		    mode_t mode)
{
	struct fuse_entry_param e;
	int ret = make(req, parent, text, mode | S_IFDIR, &e);

	if (ret)
		fuse_reply_err(req, -ret);
	else
		fuse_reply_entry(req, &e);
}

static void f_create(fuse_req_t req, fuse_ino_t parent, const char *text,
		     mode_t mode, struct fuse_file_info *fi)
{
	struct fuse_entry_param e;
	int ret = make(req, parent, text, mode | S_IFREG, &e);

	fi->keep_cache = 1;
	if (ret)
		fuse_reply_err(req, -ret);
	else
		fuse_reply_create(req, &e, fi);
}

static void f_unlink(fuse_req_t req, fuse_ino_t parent, const char *text)
{
	struct floor *f = floor_of(req);
	struct name **np;
	int err = ENOENT;

	pthread_mutex_lock(&f->lock);
	np = slot_of(f, parent, text);
	if (*np) {
		f->nodes[(*np)->ino]->st.st_nlink = 0;
		name_del(f, np);
		err = 0;
	}
	pthread_mutex_unlock(&f->lock);
	fuse_reply_err(req, err);
}

static void f_rename(fuse_req_t req, fuse_ino_t parent, const char *text,
		     fuse_ino_t newparent, const char *newtext,
		     unsigned int flags)
{
	struct floor *f = floor_of(req);
	struct name **np;
	uint64_t ino;

	if (flags) {
		fuse_reply_err(req, EINVAL);
		return;
	}
	pthread_mutex_lock(&f->lock);
	np = slot_of(f, parent, text);
	if (!*np) {
		pthread_mutex_unlock(&f->lock);
		fuse_reply_err(req, ENOENT);
		return;
	}
	ino = (*np)->ino;
	name_del(f, np);
	np = slot_of(f, newparent, newtext);
	if (*np) {
		f->nodes[(*np)->ino]->st.st_nlink = 0;
		name_del(f, np);
	}
	name_add(f, newparent, newtext, ino);
	f->nodes[ino]->parent = newparent;
	pthread_mutex_unlock(&f->lock);
	fuse_reply_err(req, 0);
}

static int fill(fuse_req_t req, char *buf, size_t size, const char *text,
		const struct node *n, off_t next, bool plus, size_t *used)
{
	struct fuse_entry_param e = entry_of(n);
	size_t len;

	if (next <= 2)
		e.ino = 0;	/* "." and "..": not looked up */
	if (plus)
		len = fuse_add_direntry_plus(req, buf + *used, size - *used,
					     text, &e, next);
	else
		len = fuse_add_direntry(req, buf + *used, size - *used, text,
					&n->st, next);
	if (len > size - *used)
		return 1;
	*used += len;
	return 0;
}

static void list(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		 bool plus)
{
	struct floor *f = floor_of(req);
	const struct node *d = f->nodes[ino];
	char *buf = need(owfs_session_buffer(size));
	size_t used = 0, i;

	pthread_mutex_lock(&f->lock);
	if (off == 0 && !fill(req, buf, size, ".", d, 1, plus, &used))
		off = 1;
	if (off == 1 && !fill(req, buf, size, "..", f->nodes[d->parent], 2,
			      plus, &used))
		off = 2;
	for (i = off - 2; off >= 2 && i < d->nentries; i++)
		if (d->entries[i] &&
		    fill(req, buf, size, d->entries[i]->text,
			 f->nodes[d->entries[i]->ino], i + 3, plus, &used))
			break;
	pthread_mutex_unlock(&f->lock);
	fuse_reply_buf(req, buf, used);
}

static void f_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		      struct fuse_file_info *fi)
{
	(void)fi;
	list(req, ino, size, off, false);
}

static void f_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size,
			  off_t off, struct fuse_file_info *fi)
{
	(void)fi;
	list(req, ino, size, off, true);
}

/* --------------------------------------------------------------- attributes */

static void f_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct floor *f = floor_of(req);
	struct stat st;

	(void)fi;
	pthread_mutex_lock(&f->lock);
	st = f->nodes[ino]->st;
	pthread_mutex_unlock(&f->lock);
	fuse_reply_attr(req, &st, LIFETIME);
}

static void f_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr,
		      int set, struct fuse_file_info *fi)
{
	struct floor *f = floor_of(req);
	struct stat *st = &f->nodes[ino]->st, copy;

	(void)fi;
	pthread_mutex_lock(&f->lock);
	touch(f->nodes[ino]);
	if (set & FUSE_SET_ATTR_MODE)
		st->st_mode = (st->st_mode & S_IFMT) | (attr->st_mode & 07777);
	if (set & FUSE_SET_ATTR_UID)
		st->st_uid = attr->st_uid;
	if (set & FUSE_SET_ATTR_GID)
		st->st_gid = attr->st_gid;
	if (set & FUSE_SET_ATTR_SIZE)
		st->st_size = attr->st_size;
	if (set & FUSE_SET_ATTR_MTIME)
		st->st_mtim = attr->st_mtim;
	copy = *st;
	pthread_mutex_unlock(&f->lock);
	fuse_reply_attr(req, &copy, LIFETIME);
}

static void f_getxattr(fuse_req_t req, fuse_ino_t ino, const char *text,
		       size_t size)
{
	(void)ino;
	(void)text;
	(void)size;
	fuse_reply_err(req, ENODATA);
}

static void f_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct statvfs st = {
		.f_bsize = BLOCK, .f_frsize = BLOCK, .f_blocks = 1u << 30,
		.f_bfree = 1u << 30, .f_bavail = 1u << 30, .f_namemax = 255,
	};

	(void)ino;
	fuse_reply_statfs(req, &st);
}

/* --------------------------------------------------------------------- data */

/* Region of a byte of a file, how far into it, and how much of it is left. */
static int region_of(uint64_t pos, uint64_t *into, uint64_t *left)
{
	int k = 63 - __builtin_clzll(pos / BLOCK + 1);
	uint64_t first = ((1ull << k) - 1) * BLOCK;

	*into = pos - first;
	*left = ((uint64_t)BLOCK << k) - *into;
	return k;
}

static uint64_t place_of(struct floor *f, struct node *n, int k, bool alloc)
{
	uint64_t place;

	pthread_mutex_lock(&f->lock);
	place = n->region[k];
	if (!place && alloc) {
		if (f->nfree[k]) {
			place = f->free_region[k][--f->nfree[k]];
		} else {
			place = f->next_place;
			f->next_place += (uint64_t)BLOCK << k;
		}
		n->region[k] = place;
	}
	pthread_mutex_unlock(&f->lock);
	return place;
}

static int move_data(struct floor *f, struct node *n, char *buf, size_t len,
		     uint64_t pos, bool write)
{
	uint64_t into, left, place;
	ssize_t ret;
	size_t now;

	for (; len; len -= now, buf += now, pos += now) {
		place = place_of(f, n, region_of(pos, &into, &left), write);
		now = len < left ? len : left;
		if (!place) {
			memset(buf, 0, now);
			continue;
		}
		ret = write ? pwrite(f->fd, buf, now, place + into) :
			      pread(f->fd, buf, now, place + into);
		if (ret != (ssize_t)now)
			return ret < 0 ? -errno : -EIO;
	}
	return 0;
}

static void f_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		   struct fuse_file_info *fi)
{
	struct floor *f = floor_of(req);
	struct node *n = f->nodes[ino];
	char *buf = need(owfs_session_buffer(size + BLOCK));
	int ret;

	(void)fi;
	if (off >= n->st.st_size)
		size = 0;
	else if ((uint64_t)(n->st.st_size - off) < size)
		size = n->st.st_size - off;
	ret = move_data(f, n, buf, (size + BLOCK - 1) & ~(size_t)(BLOCK - 1),
			off, false);
	if (ret)
		fuse_reply_err(req, -ret);
	else
		fuse_reply_buf(req, buf, size);
}

static void f_write(fuse_req_t req, fuse_ino_t ino, const char *data,
		    size_t size, off_t off, struct fuse_file_info *fi)
{
	struct floor *f = floor_of(req);
	struct node *n = f->nodes[ino];
	size_t len = size;
	int ret;

	(void)fi;
	(void)data;
	if (!(off % BLOCK))	/* a filesystem writes whole blocks */
		len = (size + BLOCK - 1) & ~(size_t)(BLOCK - 1);
	ret = move_data(f, n, (char *)(uintptr_t)owfs_session_payload(), len,
			off, true);
	if (ret) {
		fuse_reply_err(req, -ret);
		return;
	}
	pthread_mutex_lock(&f->lock);
	if (off + (off_t)size > n->st.st_size)
		n->st.st_size = off + size;
	n->st.st_blocks = (n->st.st_size + 511) / 512;
	touch(n);
	pthread_mutex_unlock(&f->lock);
	fuse_reply_write(req, size);
}

static void f_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	(void)fi;
	fuse_reply_err(req, ENOSYS);
}

static void f_release(fuse_req_t req, fuse_ino_t ino,
		      struct fuse_file_info *fi)
{
	(void)ino;
	(void)fi;
	fuse_reply_err(req, 0);
}

static void f_fsync(fuse_req_t req, fuse_ino_t ino, int datasync,
		    struct fuse_file_info *fi)
{
	(void)ino;
	(void)datasync;
	(void)fi;
	fuse_reply_err(req, fdatasync(floor_of(req)->fd) ? errno : 0);
}

static void f_syncfs(fuse_req_t req)
{
	fuse_reply_err(req, fdatasync(floor_of(req)->fd) ? errno : 0);
}

/* ------------------------------------------------------------- start and stop */

static void f_init(void *userdata, struct fuse_conn_info *conn)
{
	owfs_session_conn(userdata, conn);
	owfs_worker_serving();
}

static int floor_stop(void *ctx)
{
	struct floor *f = ctx;

	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
	return 0;
}

static void f_destroy(void *userdata)
{
	floor_stop(userdata);
}

static int floor_start(void *ctx, const struct owfs_opts *o,
		       const struct owfs_msg *msg, struct owfs_served *served)
{
	struct floor *f = ctx;

	f->fd = open(o->device, O_RDWR | O_CLOEXEC | O_DIRECT);
	if (f->fd < 0)
		f->fd = open(o->device, O_RDWR | O_CLOEXEC);
	if (f->fd < 0) {
		owfs_msg(msg, OWFS_MSG_ERROR, "%s: %s", o->device,
			 strerror(errno));
		return -errno;
	}
	pthread_mutex_init(&f->lock, NULL);
	f->nodes = need(calloc(INODES_MAX, sizeof(*f->nodes)));
	f->hash = need(calloc(HASH_SIZE, sizeof(*f->hash)));
	f->nnodes = FUSE_ROOT_ID;
	f->next_place = 1 << 20;
	node_new(f, S_IFDIR | 0755, getuid(), getgid())->parent = FUSE_ROOT_ID;
	served->blocksize = BLOCK;
	served->readonly = o->readonly;
	return 0;
}

static void floor_abandon(void *ctx)
{
	floor_stop(ctx);
}

int main(int argc, char **argv)
{
	static const struct owfs_session_ops session_ops = {
		.syncfs = f_syncfs,
	};
	static const struct fuse_lowlevel_ops llops = {
		.init = f_init, .destroy = f_destroy,
		.lookup = f_lookup, .forget = f_forget,
		.forget_multi = f_forget_multi,
		.getattr = f_getattr, .setattr = f_setattr,
		.getxattr = f_getxattr, .statfs = f_statfs,
		.mkdir = f_mkdir, .create = f_create, .unlink = f_unlink,
		.rmdir = f_unlink, .rename = f_rename,
		.open = f_open, .opendir = f_open,
		.release = f_release, .releasedir = f_release,
		.read = f_read, .write = f_write, .fsync = f_fsync,
		.readdir = f_readdir, .readdirplus = f_readdirplus,
		.ioctl = owfs_session_ioctl,
	};
	static const struct owfs_server_ops ops = {
		.start = floor_start, .stop = floor_stop,
		.abandon = floor_abandon, .llops = &llops,
	};
	static struct floor floor = { .session.ops = &session_ops, .fd = -1 };
	const struct owfs_server srv = {
		.ops = &ops, .ctx = &floor, .session = &floor.session,
	};
	struct owfs_opts o;
	int ret = owfs_opts_parse(&o, argc, argv);

	if (ret)
		return ret < 0 ? 1 : 0;
	return owfs_parent_run(&o, &srv);
}
