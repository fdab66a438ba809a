/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Power cuts in what a real program did to a mounted filesystem: a recording
 * (lib/record.h) is cut at every flush, with the combinations of what may have
 * arrived before it, and in between.
 *
 *	c_recorded BASE LOG MARKS [states=N] [seed=N] [images=N] [dir=PATH]
 *	c_recorded BASE LOG MARKS only=CUT,MODE,STATE
 *	c_recorded mark LOG WORD...	a line for MARKS: so much had been done, and
 *					WORD... was promised by then
 *
 * BASE is the image as it was before.  Each state mounts without repair, can be
 * read from end to end, the full check finds nothing in it nor in the commit
 * before, and what was promised by the last mark before the cut is there:
 *
 *	OFFSET file SOURCE PATH		PATH shows the bytes of the file SOURCE
 *
 * Other marks are for those who look closer: of a sample of the states the image
 * is left in PATH/I.img, and the last such mark in PATH/I.mark.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"
#include "check.h"
#include "file/file.h"
#include "record.h"
#include "rig.h"
#include "said.h"
#include "states.h"

#define PIECE		4096u
#define MARK_MAX	1200u

struct promise {
	size_t cut;			/* events that had been done */
	char *source, *path;		/* of a file; else NULL ... */
	char *line;			/* ... and this */
	uint64_t size, hash;
};

struct recorded {
	struct emubd *base, *log;
	uint64_t *end;			/* of each event, in the file */
	size_t nevents;
	struct promise *promise;
	size_t npromises;

	uint64_t states, images, seed;	/* asked for */
	const char *dir;
	bool only;			/* one state, the one below */
	uint64_t only_mode, only_state;

	uint64_t every, always;		/* one of so many; prefixes that all are looked at */
	size_t cut;
	struct rng rng;
	struct seen seen;
	uint64_t judged, again, dumped, violations;
};

static void die(const char *what)
{
	fprintf(stderr, "c_recorded: %s: %s\n", what, strerror(errno));
	exit(99);
}

static void *must(void *p)
{
	if (!p)
		die("memory");
	return p;
}

/* ----------------------------------------------------------------- the base */

static void load_base(struct recorded *r, const char *path)
{
	unsigned char piece[PIECE], zero[PIECE] = { 0 };
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	off_t pos;

	if (fd < 0 || fstat(fd, &st))
		die(path);
	r->base = emubd_create((uint64_t)st.st_size);
	for (pos = 0; pos < st.st_size; pos += PIECE) {
		if (pread(fd, piece, PIECE, pos) != PIECE)
			die(path);
		if (memcmp(piece, zero, PIECE))
			emubd_poke(r->base, piece, PIECE, (uint64_t)pos);
	}
	close(fd);
}

static const struct record_head *map_log(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	const struct record_head *head = MAP_FAILED;

	if (fd >= 0)
		head = mmap(NULL, RECORD_ROOM, PROT_READ, MAP_SHARED, fd, 0);
	if (head == MAP_FAILED)
		die(path);
	close(fd);
	if (head->magic != RECORD_MAGIC) {
		errno = EINVAL;
		die(path);
	}
	return head;
}

static int replay(struct emubd *e, const struct record_event *ev)
{
	struct owfs_blkdev *bd = emubd_blkdev(e);

	switch (ev->kind) {
	case RECORD_WRITE:
		return owfs_blkdev_write(bd, ev + 1, ev->len, (loff_t)ev->pos);
	case RECORD_FLUSH:
		return owfs_blkdev_flush(bd);
	case RECORD_DISCARD:
		return owfs_blkdev_discard(bd, (loff_t)ev->pos, ev->len);
	default:
		return -EINVAL;
	}
}

static void load_log(struct recorded *r, const char *path)
{
	const struct record_head *head = map_log(path);
	const unsigned char *p = (const unsigned char *)(head + 1);
	const unsigned char *end = (const unsigned char *)head + head->used;

	r->log = emubd_fork(r->base);
	emubd_record(r->log, true);
	while (p < end) {
		const struct record_event *ev = (const void *)p;

		if (replay(r->log, ev)) {
			errno = EINVAL;
			die(path);
		}
		p += sizeof(*ev) + (ev->kind == RECORD_WRITE ? ev->len : 0);
		r->end = must(realloc(r->end,
				      (r->nevents + 1) * sizeof(*r->end)));
		r->end[r->nevents++] = (uint64_t)(p - (unsigned char *)head);
	}
	munmap((void *)head, RECORD_ROOM);
}

/* ----------------------------------------------------------------- promises */

static void hash_source(struct promise *p)
{
	int fd = open(p->source, O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *bytes;

	if (fd < 0 || fstat(fd, &st))
		die(p->source);
	p->size = (uint64_t)st.st_size;
	bytes = must(malloc(p->size + 1));
	if (read(fd, bytes, p->size) != st.st_size)
		die(p->source);
	p->hash = XXH3_64bits(bytes, p->size);
	free(bytes);
	close(fd);
}

static size_t events_before(const struct recorded *r, uint64_t offset)
{
	size_t n = 0;

	while (n < r->nevents && r->end[n] <= offset)
		n++;
	return n;
}

static void load_marks(struct recorded *r, const char *path)
{
	char text[MARK_MAX], source[MARK_MAX], name[MARK_MAX];
	FILE *f = fopen(path, "r");
	struct promise *p;
	uint64_t offset;

	while (f && fscanf(f, "%" SCNu64 " %1199[^\n]", &offset, text) == 2) {
		r->promise = must(realloc(r->promise, (r->npromises + 1) *
					  sizeof(*r->promise)));
		p = &r->promise[r->npromises++];
		*p = (struct promise){ .cut = events_before(r, offset) };
		if (sscanf(text, "file %1199s %1199s", source, name) == 2) {
			p->source = must(strdup(source));
			p->path = must(strdup(name));
			hash_source(p);
		} else {
			p->line = must(strdup(text));
		}
	}
	if (!f)
		die(path);
	fclose(f);
}

static int print_mark(const char *log, int n, char **word)
{
	const struct record_head *head = map_log(log);
	int i;

	printf("%" PRIu64, __atomic_load_n(&head->used, __ATOMIC_ACQUIRE));
	for (i = 0; i < n; i++)
		printf(" %s", word[i]);
	printf("\n");
	return 0;
}

/* -------------------------------------------------------------------- judge */

static int wrong(struct recorded *r, const char *what, const char *which,
		 int ret)
{
	r->violations++;
	fprintf(stderr, "VIOLATION cut=%zu of %zu: %s%s%s: %s\n%s", r->cut,
		r->nevents, what, which ? " " : "", which ? which : "",
		ret < 0 ? strerror(-ret) : "it differs", said);
	return -1;
}

static int compare_file(struct owfs_fs *fs, const struct promise *p)
{
	struct owfs_inode *inode;
	void *buf;
	ssize_t n;
	int ret;

	inode = rig_lookup(fs, p->path, &ret);
	if (!inode)
		return ret;
	if (posix_memalign(&buf, OWFS_IO_ALIGN, p->size + PIECE))
		die("memory");
	n = owfs_file_read(inode, buf, p->size + PIECE, 0);
	ret = n < 0 ? (int)n :
	      (uint64_t)n != p->size || XXH3_64bits(buf, p->size) != p->hash;
	free(buf);
	owfs_iput(inode);
	return ret;
}

static int judge_promises(struct recorded *r, struct owfs_fs *fs)
{
	const struct promise *p;
	int ret;

	for (p = r->promise; p < r->promise + r->npromises; p++) {
		if (!p->path || p->cut > r->cut)
			continue;
		ret = compare_file(fs, p);
		if (ret)
			return wrong(r, "promised file", p->path, ret);
	}
	return 0;
}

static int judge_commit(struct recorded *r, struct emubd *e, unsigned int which)
{
	const struct owfs_check_param p = { .commits = which, .msg = &said_msg };
	struct owfs_check_report rep;
	int ret = owfs_check(emubd_blkdev(e), &p, &rep);

	if (!ret && !rep.problems)
		return 0;
	return wrong(r, which == OWFS_CHECK_CURRENT ? "the check found"
				: "the check of the commit before found",
		     rep.first, ret ? ret : -EUCLEAN);
}

static int judge_state(struct recorded *r, struct emubd *e)
{
	struct rig_env env;
	struct owfs_fs *fs;
	int ret, bad;

	said[0] = '\0';
	rig_env_init(&env, r->seed);
	ret = rig_mount(&fs, e, &env, 0, &said_msg);
	if (ret)
		return wrong(r, "mount", NULL, ret);
	rig_digest(fs, NULL, &ret);
	bad = ret ? wrong(r, "reading", NULL, ret) : judge_promises(r, fs);
	owfs_mount_abandon(fs);
	if (bad)
		return bad;
	bad = judge_commit(r, e, OWFS_CHECK_CURRENT);
	return bad ? bad : judge_commit(r, e, OWFS_CHECK_PREVIOUS);
}

/* ------------------------------------------------------------------- images */

static void dump_image(struct recorded *r, struct emubd *e)
{
	unsigned char piece[PIECE], zero[PIECE] = { 0 };
	const uint64_t size = emubd_blkdev(e)->size;
	char name[MARK_MAX];
	uint64_t pos;
	int fd;

	snprintf(name, sizeof(name), "%s/%" PRIu64 ".img", r->dir, r->dumped);
	fd = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, (off_t)size))
		die(name);
	for (pos = 0; pos < size; pos += PIECE) {
		emubd_peek(e, piece, PIECE, pos);
		if (memcmp(piece, zero, PIECE) &&
		    pwrite(fd, piece, PIECE, (off_t)pos) != PIECE)
			die(name);
	}
	close(fd);
}

static void dump(struct recorded *r, struct emubd *e)
{
	const char *mark = "none";
	char name[MARK_MAX];
	FILE *f;
	size_t i;

	dump_image(r, e);
	for (i = 0; i < r->npromises; i++)
		if (r->promise[i].line && r->promise[i].cut <= r->cut)
			mark = r->promise[i].line;
	snprintf(name, sizeof(name), "%s/%" PRIu64 ".mark", r->dir, r->dumped);
	f = fopen(name, "w");
	if (!f || fprintf(f, "%s\n", mark) < 0 || fclose(f))
		die(name);
	r->dumped++;
}

/* --------------------------------------------------------------------- cuts */

static bool is_wanted(struct recorded *r, enum emubd_crash_mode mode)
{
	if (r->only)
		return true;
	if (mode == EMUBD_CRASH_PREFIX && r->cut < r->nevents && r->always &&
	    emubd_log_at(r->log, r->cut)->kind == EMUBD_FLUSH) {
		r->always--;
		return true;
	}
	return rng_below(&r->rng, r->every) == 0;
}

/* How many promises hold at the cut. */
static int promises_held(const struct recorded *r)
{
	int n = 0;
	size_t i;

	for (i = 0; i < r->npromises; i++)
		n += r->promise[i].cut <= r->cut;
	return n;
}

static int judge(void *ctx, enum emubd_crash_mode mode, uint64_t seed)
{
	struct recorded *r = ctx;
	struct emubd *e;
	int known = 0, ret = 0, held = promises_held(r);
	bool again;

	if (!is_wanted(r, mode))
		return 0;
	e = emubd_crash(r->base, r->log, r->cut, mode, seed);
	again = seen_get(&r->seen, emubd_hash(e), &known);
	r->again += again;
	r->judged += !again;
	if (!again || known != held) {
		seen_put(&r->seen, emubd_hash(e), held);
		ret = judge_state(r, e);
		if (!ret && r->dumped < r->images &&
		    r->judged * r->images >= r->dumped * r->states)
			dump(r, e);
	}
	if (ret)
		fprintf(stderr, "replay: c_recorded BASE LOG MARKS only=%zu,%d,%" PRIu64 "\n",
			r->cut, mode, seed);
	emubd_destroy(e);
	return ret;
}

static int count(void *ctx, enum emubd_crash_mode mode, uint64_t seed)
{
	(void)mode;
	(void)seed;
	++*(uint64_t *)ctx;
	return 0;
}

static const struct states_plan plan = { .seeded = 1, .windows = true };

static int visit_cuts(struct recorded *r)
{
	struct rng rng = { r->seed };
	uint64_t n = 0;
	int ret = 0;

	if (r->only)
		return judge(r, (enum emubd_crash_mode)r->only_mode,
			     r->only_state);
	for (r->cut = 0; r->cut <= r->nevents; r->cut++)
		states_visit(r->log, r->cut, &plan, &rng, count, &n);
	r->every = n / r->states + 1;
	r->always = r->states / 2;
	for (r->cut = 0; r->cut <= r->nevents && !ret; r->cut++)
		ret = states_visit(r->log, r->cut, &plan, &r->rng, judge, r);
	return ret;
}

/* --------------------------------------------------------------------- main */

static void parse(struct recorded *r, const char *word)
{
	if (sscanf(word, "states=%" SCNu64, &r->states) == 1 && r->states)
		return;
	if (sscanf(word, "seed=%" SCNu64, &r->seed) == 1 ||
	    sscanf(word, "images=%" SCNu64, &r->images) == 1)
		return;
	if (!strncmp(word, "dir=", 4)) {
		r->dir = word + 4;
		return;
	}
	r->only = sscanf(word, "only=%zu,%" SCNu64 ",%" SCNu64, &r->cut,
			 &r->only_mode, &r->only_state) == 3;
	if (r->only)
		return;
	fprintf(stderr, "c_recorded: %s: states=N, seed=N, images=N, dir=PATH or only=CUT,MODE,STATE wanted\n",
		word);
	exit(99);
}

int main(int argc, char **argv)
{
	struct recorded r = { .states = 1000, .seed = 1, .dir = "." };
	size_t i;
	int arg;

	if (argc > 2 && !strcmp(argv[1], "mark"))
		return print_mark(argv[2], argc - 3, argv + 3);
	if (argc < 4) {
		printf("SKIP: c_recorded: needs a recording\n");
		return 77;
	}
	for (arg = 4; arg < argc; arg++)
		parse(&r, argv[arg]);
	r.rng.s = r.seed;
	load_base(&r, argv[1]);
	load_log(&r, argv[2]);
	load_marks(&r, argv[3]);
	visit_cuts(&r);
	printf("ok: events=%zu promises=%zu images=%" PRIu64 " again=%" PRIu64 " crash_states=%" PRIu64 " violations=%" PRIu64 "\n",
	       r.nevents, r.npromises, r.dumped, r.again, r.judged,
	       r.violations);

	emubd_destroy(r.log);
	emubd_destroy(r.base);
	for (i = 0; i < r.npromises; i++) {
		free(r.promise[i].source);
		free(r.promise[i].path);
		free(r.promise[i].line);
	}
	free(r.promise);
	free(r.end);
	seen_free(&r.seen);
	return r.violations || !r.judged;
}
