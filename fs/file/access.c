/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Access control lists and capabilities follow what is done to an inode. */
#include "file/access.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "file/attr.h"
#include "file/names.h"
#include "object/resv.h"

/* What takes a file's capability away. */
#define SET_KILLS_CAPABILITY						\
	(OWFS_SET_UID | OWFS_SET_GID | OWFS_SET_SIZE | OWFS_SET_KILL)

void owfs_access_init(struct owfs_access *a)
{
	a->n = 0;
	a->acl[0] = a->acl[1] = NULL;
}

void owfs_access_done(struct owfs_access *a)
{
	free(a->acl[0]);
	free(a->acl[1]);
	owfs_access_init(a);
}

/* Plan one more change; @acl NULL: remove.  Removing what is not there is none. */
static int plan(struct owfs_access *a, struct owfs_inode *inode,
		const char *name, const struct owfs_acl *acl)
{
	struct owfs_xattr_change *c = &a->change[a->n];
	int ret;

	*c = (struct owfs_xattr_change) {
		.inode = inode, .name = name, .len = strlen(name),
	};
	if (acl) {
		c->value = acl->bytes;
		c->size = acl->len;
	} else if (owfs_xattr_is_known_missing(inode, name, c->len)) {
		return 0;
	}
	if (a->n && a->change[0].valueid)	/* not both under one id */
		c->first_id = a->change[0].valueid + 1;
	ret = owfs_xattr_plan(c, 0);
	if (ret == -ENODATA)
		return 0;
	a->n += !ret;
	return ret;
}

/* Room for a list; -ENOMEM */
static int acl_new(struct owfs_access *a, unsigned int i)
{
	a->acl[i] = malloc(sizeof(*a->acl[i]));
	return a->acl[i] ? 0 : -ENOMEM;
}

/* Read the list @name of @inode into a->acl[i], which stays NULL if there is none. */
static int acl_load(struct owfs_access *a, unsigned int i,
		    struct owfs_inode *inode, const char *name)
{
	int ret;

	if (owfs_xattr_is_known_missing(inode, name, strlen(name)))
		return 0;
	ret = acl_new(a, i);
	if (!ret)
		ret = owfs_xattr_acl(inode, name, a->acl[i]);
	if (!ret)
		return 0;
	free(a->acl[i]);
	a->acl[i] = NULL;
	return ret == -ENODATA ? 0 : ret;
}

/* --------------------------------------------------------------- setattr */

static int plan_chmod(struct owfs_access *a, struct owfs_inode *inode,
		      uint32_t mode)
{
	int ret = acl_load(a, 0, inode, OWFS_ACL_ACCESS);

	if (ret || !a->acl[0])
		return ret;
	owfs_acl_chmod(a->acl[0], mode);
	return plan(a, inode, OWFS_ACL_ACCESS, a->acl[0]);
}

int owfs_access_plan_attr(struct owfs_access *a, struct owfs_inode *inode,
			  const struct owfs_attr *set, unsigned int mask)
{
	int ret = 0;

	if (mask & OWFS_SET_MODE)
		ret = plan_chmod(a, inode, set->mode);
	if (!ret && (mask & SET_KILLS_CAPABILITY) && inode->i_type != S_IFDIR)
		ret = plan(a, inode, OWFS_XATTR_CAPABILITY, NULL);
	return ret;
}

/* -------------------------------------------------------------- new inodes */

int owfs_access_inherit(struct owfs_access *a, struct owfs_inode *dir,
			uint32_t umask, uint32_t *mode)
{
	int ret;

	if (S_ISLNK(*mode))
		return 0;
	ret = acl_load(a, 0, dir, OWFS_ACL_DEFAULT);
	if (ret)
		return ret;
	if (!a->acl[0]) {
		*mode &= ~(umask & 0777);
		return 0;
	}
	if (S_ISDIR(*mode)) {
		ret = acl_new(a, 1);
		if (ret)
			return ret;
		*a->acl[1] = *a->acl[0];
	}
	*mode = owfs_acl_inherit(a->acl[0], *mode);
	return 0;
}

int owfs_access_plan_new(struct owfs_access *a, struct owfs_inode *inode)
{
	int ret = 0;

	if (a->acl[0] && owfs_acl_has_more(a->acl[0]))
		ret = plan(a, inode, OWFS_ACL_ACCESS, a->acl[0]);
	if (!ret && a->acl[1])
		ret = plan(a, inode, OWFS_ACL_DEFAULT, a->acl[1]);
	return ret;
}

/* ------------------------------------------------------------ transactions */

int owfs_access_reserve(const struct owfs_access *a, struct owfs_resv *r,
			enum owfs_resv_class class)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < a->n && !ret; i++)
		ret = owfs_xattr_reserve(&a->change[i], r, class);
	return ret;
}

int owfs_access_begin(const struct owfs_access *a, struct owfs_fs *fs,
		      struct owfs_trans *tr, unsigned int nplaces,
		      unsigned int run, enum owfs_resv_class class)
{
	struct owfs_resv resv;
	int ret = owfs_resv_take(fs, &resv, nplaces, run, class);

	if (!ret)
		ret = owfs_access_reserve(a, &resv, class);
	if (!ret)
		owfs_trans_join(fs, tr, &resv);
	return ret;
}

int owfs_access_apply(struct owfs_access *a, struct owfs_trans *tr)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < a->n && !ret; i++)
		ret = owfs_xattr_apply(&a->change[i], tr);
	return ret;
}

/* ---------------------------------------------------------- setting a list */

struct set_acl {
	struct owfs_inode *inode;
	const char *name;
	const struct owfs_acl *acl;	/* NULL: remove */
	bool kill_sgid;
};

/* The mode that goes with it. */
static uint32_t set_acl_mode(const struct set_acl *s)
{
	uint32_t mode = s->inode->i_attr.mode;

	if (!s->acl || strcmp(s->name, OWFS_ACL_ACCESS) != 0)
		return mode;
	if (s->kill_sgid)
		mode &= ~(uint32_t)S_ISGID;
	return owfs_acl_mode(s->acl, mode);
}

/* Caller holds i_lock for writing. */
static int set_acl_trans(const struct set_acl *s, struct owfs_access *a)
{
	bool access = !strcmp(s->name, OWFS_ACL_ACCESS);
	struct owfs_inode *inode = s->inode;
	const uint32_t mode = set_acl_mode(s);
	struct owfs_trans tr;
	bool keep = s->acl && (!access || owfs_acl_has_more(s->acl));
	int ret = plan(a, inode, s->name, keep ? s->acl : NULL);

	if (ret)
		return ret;
	if (mode == inode->i_attr.mode &&
	    (a->n == 0 || owfs_xattr_is_same(&a->change[0])))
		return 0;
	ret = owfs_names_prefetch(inode);
	if (!ret)
		ret = owfs_access_begin(a, inode->i_fs, &tr, 1, 1,
					a->n ? owfs_xattr_class(&a->change[0]) :
					OWFS_RESV_REPLACING);
	if (ret)
		return ret;
	if (!owfs_access_apply(a, &tr)) {
		inode->i_attr.mode = mode;
		owfs_fs_now(tr.fs, &inode->i_attr.ctime);
		owfs_inode_store(&tr, inode, false);
	}
	return owfs_trans_end(&tr);
}

static int set_acl_once(const struct set_acl *s)
{
	struct owfs_access a;
	int ret;

	owfs_access_init(&a);
	pthread_rwlock_wrlock(&s->inode->i_lock);
	ret = set_acl_trans(s, &a);
	pthread_rwlock_unlock(&s->inode->i_lock);
	owfs_access_done(&a);
	return ret;
}

static int set_acl(const struct set_acl *s)
{
	int ret = owfs_fs_writable(s->inode->i_fs);

	if (!ret)
		OWFS_RETRY(s->inode->i_fs, ret, set_acl_once(s));
	return ret;
}

int owfs_access_set_acl(struct owfs_inode *inode, const char *name,
			const void *value, size_t size, bool kill_sgid)
{
	struct set_acl s = {
		.inode = inode, .name = name, .kill_sgid = kill_sgid,
	};
	struct owfs_acl *acl;
	int ret;

	if (inode->i_type == S_IFLNK)
		return -EOPNOTSUPP;
	if (!value)
		return set_acl(&s);
	if (inode->i_type != S_IFDIR && !strcmp(name, OWFS_ACL_DEFAULT))
		return -EACCES;
	acl = malloc(sizeof(*acl));
	if (!acl)
		return -ENOMEM;
	ret = owfs_acl_from_bytes(acl, value, size);
	s.acl = acl;
	if (!ret)
		ret = set_acl(&s);
	free(acl);
	return ret;
}
