/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A filesystem, its server and the played kernel, anew for each test. */
#ifndef OWFS_TESTS_GOLDEN_H
#define OWFS_TESTS_GOLDEN_H

#include <errno.h>
#include <linux/falloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kmodel.h"

#define BYTES	(16u << 20)
#define BS	4096u

static struct kmodel k;
static struct rig_env env;
static struct emubd *e;
static unsigned char buf[64 * BS];

static inline void server_up(void)
{
	struct owfs_fs *fs;

	assert_int_equal(rig_mount(&fs, e, &env, 0, NULL), 0);
	assert_int_equal(kmodel_start(&k, fs, e, NULL), 0);
	kmodel_trace(&k, true);
}

static inline int setup(void **state)
{
	(void)state;
	rig_env_init(&env, 7);
	e = rig_mkfs(&env, BYTES, BS, 1);
	assert_non_null(e);
	server_up();
	return 0;
}

static inline void fine(void)
{
	if (k.violations)
		print_error("%s\n", k.why);
	assert_int_equal(k.violations, 0);
}

static inline int teardown(void **state)
{
	(void)state;
	return kmodel_finish(&k, e);
}

static inline void said(const char *lines)
{
	assert_string_equal(k.trace, lines);
	k.trace[0] = '\0';
}

static inline void put(struct kfile *f, uint64_t pos, uint64_t len, int c)
{
	memset(buf, c, len);
	assert_int_equal(kmodel_write(&k, f, pos, len, buf), 0);
}

static inline struct owfs_alloc_stat stat_now(void)
{
	struct owfs_alloc_stat st;

	owfs_alloc_stat(k.srv.fs->fs_al, &st);
	return st;
}

/* What the server has of @f must not be in the kernel's pages only. */
static inline void reread(struct kfile *f)
{
	kmodel_reclaim(&k, f, false);
	assert_int_equal(kmodel_read(&k, f, 0, UINT32_MAX), 0);
	fine();
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
