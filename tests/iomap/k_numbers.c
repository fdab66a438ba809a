/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How often the kernel has to ask for a GiB, counted with the played kernel on
 * a file of 64 MiB, and how much processor time an answer takes when the file
 * has very many extents.
 *
 *	k_numbers [EXTENTS]
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "file/kmap.h"
#include "kmodel.h"

#define BS		4096u
#define SIZE		(64u << 20)
#define SCALE		((1u << 30) / SIZE)
#define STEP		(1u << 20)
#define SAMPLES		20000u

static struct kmodel k;
static struct rng rng = { 1 };
static unsigned char *data;

static void must(int ret)
{
	if (ret || k.violations) {
		fprintf(stderr, "failed: %d %s\n", ret, k.why);
		exit(1);
	}
}

/* ------------------------------------------------------------------ counts */

static void count(const char *what)
{
	static uint64_t last[3];
	const uint64_t now[3] = {
		k.calls[4094 % 64], k.calls[4095 % 64], k.calls[4093 % 64],
	};
	int i;

	printf("%-42s", what);
	for (i = 0; i < 3; i++) {
		printf(" %8llu",
		       (unsigned long long)((now[i] - last[i]) * SCALE));
		last[i] = now[i];
	}
	putchar('\n');
}

static void write_all(struct kfile *f, uint64_t step)
{
	uint64_t pos;

	for (pos = 0; pos < SIZE; pos += step)
		must(kmodel_write(&k, f, pos, step, data));
	must(kmodel_fsync(&k, f));
}

static void read_all(struct kfile *f)
{
	uint64_t pos;

	kmodel_reclaim(&k, f, false);
	for (pos = 0; pos < SIZE; pos += STEP)
		must(kmodel_read(&k, f, pos, STEP));
}

static void counts(void)
{
	struct kfile *f = kmodel_create(&k, "f"), *d, *g;
	uint64_t i;

	printf("requests for a GiB%24s %8s %8s %8s\n", "", "begin", "end",
	       "ioend");
	count("(making a file)");
	write_all(f, STEP);
	count("buffered write, new, 1 MiB each");
	write_all(f, STEP);
	count("buffered overwrite, 1 MiB each");
	read_all(f);
	count("read, 1 MiB each");
	read_all(f);
	count("reread from the device");
	d = kmodel_create(&k, "d");
	for (i = 0; i < SIZE; i += STEP)
		must(kmodel_direct_write(&k, d, i, STEP, data));
	count("direct write, new, 1 MiB each");
	for (i = 0; i < SIZE; i += STEP)
		must(kmodel_direct_write(&k, d, i, STEP, data));
	count("direct overwrite, 1 MiB each");
	for (i = 0; i < SIZE; i += STEP)
		must(kmodel_direct_read(&k, d, i, STEP));
	count("direct read, 1 MiB each");
	for (i = 0; i < SIZE / BS; i++)
		must(kmodel_write(&k, f, rng_below(&rng, SIZE / BS) * BS, BS,
				  data));
	must(kmodel_fsync(&k, f));
	count("buffered overwrite, 4 KiB at random");
	g = kmodel_create(&k, "g");
	for (i = 0; i < SIZE; i += 1000)
		must(kmodel_write(&k, g, i, min_u64(1000, SIZE - i), data));
	must(kmodel_fsync(&k, g));
	count("buffered append, 1000 bytes each");
}

/* -------------------------------------------------------------------- times */

static uint64_t cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void tell(const char *what, uint64_t *ns)
{
	qsort(ns, SAMPLES, sizeof(*ns), by_value);
	printf("%-42s median %5.1f us, 99 of 100 under %5.1f us\n", what,
	       (double)ns[SAMPLES / 2] / 1000,
	       (double)ns[SAMPLES * 99 / 100] / 1000);
}

static void one(struct owfs_inode *inode, uint64_t block, enum owfs_kmap_op op,
		uint64_t *begin, uint64_t *ioend)
{
	enum owfs_kmap_ioend kind = op == OWFS_KMAP_DIRECT ?
				    OWFS_KMAP_IOEND_DIRECT :
				    OWFS_KMAP_IOEND_WRITEBACK;
	const loff_t pos = (loff_t)(block * BS);
	struct owfs_kmap km;
	uint64_t size, t0 = cpu_ns(), t1;

	must(owfs_kmap_begin(inode, op, pos, BS, false, &km));
	t1 = cpu_ns();
	*begin = t1 - t0;
	must(owfs_kmap_ioend(inode, kind, pos, BS, 0, &size));
	*ioend = cpu_ns() - t1;
}

static void times(uint64_t extents)
{
	struct kfile *f = kmodel_create(&k, "many");
	uint64_t *begin = malloc(SAMPLES * sizeof(*begin));
	uint64_t *ioend = malloc(SAMPLES * sizeof(*ioend)), i, none;
	struct owfs_inode *inode;

	must(owfs_iget(k.srv.fs, f->nodeid, &inode));
	for (i = 0; i < extents; i++) {
		one(inode, 2 * i, OWFS_KMAP_DIRECT, &none, &none);
		if (i % 50000 == 0)
			must(owfs_commit_all(k.srv.fs));
	}
	printf("\nprocessor time with %llu extents in the file\n",
	       (unsigned long long)extents);
	for (i = 0; i < SAMPLES; i++)
		one(inode, 2 * rng_below(&rng, extents), OWFS_KMAP_DIRECT,
		    &begin[i], &ioend[i]);
	tell("direct write of 4 KiB at random: begin", begin);
	tell("direct write of 4 KiB at random: ioend", ioend);
	for (i = 0; i < SAMPLES; i++)
		one(inode, 2 * rng_below(&rng, extents), OWFS_KMAP_WRITEBACK,
		    &begin[i], &ioend[i]);
	tell("writeback of 4 KiB at random: begin", begin);
	tell("writeback of 4 KiB at random: ioend", ioend);
	owfs_iput(inode);
	free(begin);
	free(ioend);
}

int main(int argc, char **argv)
{
	uint64_t extents = argc > 1 ? strtoull(argv[1], NULL, 0) : 1000000;
	struct rig_env env;
	struct emubd *e;
	struct owfs_fs *fs;

	rig_env_init(&env, 7);
	e = rig_mkfs(&env, 64ull << 30, BS, 1);
	if (!e || rig_mount(&fs, e, &env, 0, NULL))
		return 1;
	must(kmodel_start(&k, fs, e, NULL));
	data = calloc(1, STEP);
	counts();
	times(extents);
	free(data);
	kmodel_crash(&k);
	emubd_destroy(e);
	return 0;
}
